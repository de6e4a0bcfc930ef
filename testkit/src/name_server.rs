//! [`Zones`] for programs that ask over UDP.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mailstead_dns::{Existence, Hop, Name, RecordType, Rtype};

use crate::Zones;

/// How often a server looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);
/// TTL of everything, in seconds.
const TTL: u32 = 300;

/// A name server on a port of the loopback that the system chose. It answers for every name, without signatures, and
/// ends when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Serves these zones.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start(zones: Arc<Zones>) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(TICK)).expect("a timeout");
        let address = socket.local_addr().expect("an address");
        let ends = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(response) = buffer.get(..length).and_then(|query| respond(&zones, query)) {
                    // Who asked may be gone.
                    let _ = socket.send_to(&response, client);
                }
            }
        });
        NameServer { address, ends, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// RFC 1035 §4.1; `None` for what is no query.
fn respond(zones: &Zones, query: &[u8]) -> Option<Vec<u8>> {
    let (name, length) = Name::from_wire(query.get(12..)?)?;
    let end = 12 + length + 4;
    let rtype = Rtype(u16::from_be_bytes(query.get(end - 4..end - 2)?.try_into().ok()?));
    let record_type = rtype.record_type();
    let asked = name.to_domain();
    let answer = record_type.zip(asked.as_ref()).map(|(record_type, asked)| zones.answer(asked, record_type));
    let mut answers = Vec::new();
    let rcode = match answer {
        Some(Ok(answer)) => {
            let owner = |name: &mailstead_names::Domain| Name::parse(name.as_ascii());
            for hop in &answer.chain {
                let Hop { from, to, .. } = hop;
                answers.push((owner(from)?, Rtype::from(RecordType::Cname), owner(to)?.as_wire().to_vec()));
            }
            let stands_under = owner(answer.final_name(asked.as_ref()?))?;
            for data in answer.records.iter().filter_map(mailstead_dns::Record::to_data) {
                answers.push((stands_under.clone(), rtype, data));
            }
            if answer.existence == Existence::NxDomain { 3 } else { 0 }
        }
        Some(Err(_)) => 2,
        // Other types: there are none of them.
        None => 0,
    };
    let mut response = query.get(..2)?.to_vec();
    response.extend([0x85, 0x80 | rcode, 0, 1]);
    response.extend(u16::try_from(answers.len()).ok()?.to_be_bytes());
    response.extend([0; 4]);
    response.extend(query.get(12..end)?);
    for (owner, rtype, data) in answers {
        response.extend(owner.as_wire());
        response.extend(rtype.0.to_be_bytes());
        response.extend([0, 1]);
        response.extend(TTL.to_be_bytes());
        response.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        response.extend(data);
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use mailstead_dns::{Message, Query, QueryFlags, Question, Record, Txt};

    use super::*;

    #[test]
    fn answers_over_udp() {
        let zones =
            Zones::new().with_alias("alias.example", "a.example").with("a.example", Record::Txt(Txt::from("hi")));
        let server = NameServer::start(Arc::new(zones));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let ask = |name: &str| {
            let question = Question { name: Name::parse(name).unwrap(), rtype: Rtype::from(RecordType::Txt) };
            let query = Query::new(7, &question, QueryFlags::default(), 0);
            socket.send_to(query.octets(), server.address()).unwrap();
            let mut buffer = [0; 1500];
            let length = socket.recv(&mut buffer).unwrap();
            Message::parse(&buffer[..length]).unwrap()
        };
        let found = ask("alias.example.");
        assert_eq!((found.answer.len(), found.rcode.0), (2, 0));
        let absent = ask("none.example.");
        assert_eq!((absent.answer.len(), absent.rcode.0), (0, 3));
    }
}
