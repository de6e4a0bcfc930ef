//! The names of all cases, for us in memory and for rspamd over UDP.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Name, Record, RecordType, Rtype, zonefile};
use mailstead_testkit::Zones;

/// Below a name of this label nothing can be looked up.
pub(super) const BROKEN: &str = "broken";

/// Records by owner; what is not there does not exist.
#[derive(Debug, Clone)]
pub(super) struct Names(Arc<Vec<(Name, Record)>>);

impl Names {
    /// From the text of a zone whose names are all absolute.
    pub(super) fn new(text: &str) -> Names {
        let records = zonefile::records(text).map(|record| {
            let record = record.unwrap_or_else(|error| panic!("{error}"));
            let data = record.record().unwrap_or_else(|| panic!("{record} is of a type that we know"));
            (record.owner, data)
        });
        Names(Arc::new(records.collect()))
    }

    /// For ourselves.
    pub(super) fn zones(&self) -> Zones {
        let mut zones = Zones::new();
        for (owner, record) in self.0.iter() {
            let owner = owner.to_string();
            let owner = owner.trim_end_matches('.');
            zones = zones.with(owner, record.clone());
            if owner.starts_with(BROKEN) {
                zones = zones.failing(owner, RecordType::Txt, LookupErrorKind::ServerFailure);
                zones = zones.failing(owner, RecordType::A, LookupErrorKind::ServerFailure);
            }
        }
        zones
    }

    /// The answer to a query.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, length) = Name::from_wire(query.get(12..)?)?;
        let end = 12 + length + 4;
        let rtype = Rtype(u16::from_be_bytes(query.get(end - 4..end - 2)?.try_into().ok()?));
        let at_name: Vec<&Record> =
            self.0.iter().filter(|(owner, _)| *owner == name).map(|(_, record)| record).collect();
        let below = self.0.iter().any(|(owner, _)| owner.is_within(&name));
        let rcode = if name.to_string().starts_with(BROKEN) { 2 } else { u8::from(!below) * 3 };
        let data: Vec<Vec<u8>> = at_name
            .iter()
            .filter(|record| rcode == 0 && Rtype::from(record.record_type()) == rtype)
            .filter_map(|record| record.to_data())
            .collect();
        let count = u16::try_from(data.len()).ok()?;
        let mut response = query.get(..2)?.to_vec();
        response.extend([0x85, 0x80 | rcode, 0, 1]);
        response.extend(count.to_be_bytes());
        response.extend([0; 4]);
        response.extend(query.get(12..end)?);
        for data in data {
            response.extend([0xc0, 12]);
            response.extend(rtype.0.to_be_bytes());
            response.extend([0, 1, 0, 0, 1, 44]);
            response.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
            response.extend(data);
        }
        Some(response)
    }
}

/// A name server on a port that the system chose.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(names: Names) -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let address = socket.local_addr().expect("an address");
        let ends = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(response) = buffer.get(..length).and_then(|query| names.answer(query)) {
                    let _ = socket.send_to(&response, client);
                }
            }
        });
        Server { address, ends, thread: Some(thread) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
