//! The plain resolver: asks the name servers of resolv.conf and believes them.
//!
//! Queries go over UDP, and over TCP when an answer is truncated (RFC 7766 §5). Every look-up is bounded in
//! time, and so is the number of look-ups under way. Nothing is validated, so every answer is
//! [`Insecure`](mailstead_dns::Authenticity); nothing is cached either, because the servers in resolv.conf do
//! that. A validating resolver takes this one's place behind the same trait.

mod message;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::{Answer, Lookup, LookupError, LookupErrorKind, Record, RecordType, Resolver};
use mailstead_names::Domain;
use mailstead_runtime::{Deadline, Random};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use message::{Query, Reply};

/// Which servers to ask, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, in order of preference.
    pub nameservers: Vec<SocketAddr>,
    /// How long one server may take.
    pub timeout: Duration,
    /// How often the list is gone through.
    pub attempts: u32,
}

impl ResolvConf {
    /// Reads the format of resolv.conf(5). Unknown lines and options are ignored; without a name server it is
    /// the local machine, as the manual page says.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = ResolvConf { nameservers: Vec::new(), timeout: Duration::from_secs(5), attempts: 2 };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A scope (fe80::1%eth0) names an interface; the system default is taken instead.
                    let address = words.next().map(|word| word.split('%').next().unwrap_or(word));
                    if let Some(address) = address.and_then(|address| address.parse::<IpAddr>().ok()) {
                        conf.nameservers.push(SocketAddr::new(address, 53));
                    }
                }
                Some("options") => words.for_each(|option| conf.set_option(option)),
                _ => {}
            }
        }
        // The limits are those of resolv.conf(5).
        conf.nameservers.truncate(3);
        if conf.nameservers.is_empty() {
            conf.nameservers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
        }
        conf
    }

    fn set_option(&mut self, option: &str) {
        let number = |text: &str| text.parse::<u32>().ok();
        match option.split_once(':') {
            Some(("timeout", seconds)) => {
                self.timeout = Duration::from_secs(number(seconds).map_or(5, |seconds| seconds.clamp(1, 30)).into());
            }
            Some(("attempts", times)) => self.attempts = number(times).map_or(2, |times| times.clamp(1, 5)),
            _ => {}
        }
    }

    /// Reads a file such as `/etc/resolv.conf`.
    pub fn load(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string(path)?))
    }
}

/// Look-ups under way at the same time; more wait.
const CONCURRENT: usize = 256;

/// A resolver without validation and without cache.
#[derive(Debug, Clone)]
pub struct PlainResolver {
    conf: Arc<ResolvConf>,
    random: Arc<dyn Random>,
    places: Arc<Semaphore>,
}

impl PlainResolver {
    /// A resolver that asks these servers.
    #[must_use]
    pub fn new(conf: ResolvConf, random: Arc<dyn Random>) -> Self {
        PlainResolver { conf: Arc::new(conf), random, places: Arc::new(Semaphore::new(CONCURRENT)) }
    }

    async fn resolve(&self, name: &Domain, record_type: RecordType) -> Result<Answer<Record>, LookupError> {
        let failed = |kind| LookupError::new(kind, name, record_type);
        let mut last = failed(LookupErrorKind::NoResolver);
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        for _ in 0..self.conf.attempts {
            for server in &self.conf.nameservers {
                let query = Query::new(u16::from_le_bytes(self.random.bytes()), name, record_type)
                    .ok_or_else(|| failed(LookupErrorKind::Malformed))?;
                let deadline = Deadline::after(self.conf.timeout);
                let reply = deadline.bound(ask(*server, &query)).await;
                last = match reply {
                    Err(_) => failed(LookupErrorKind::Timeout),
                    Ok(Err(error)) => failed(LookupErrorKind::Network).with_detail(error.to_string()),
                    Ok(Ok(reply)) => match reply.into_answer(name, record_type) {
                        Ok(answer) => return Ok(answer),
                        Err(error) => error,
                    },
                };
            }
        }
        Err(last)
    }
}

impl Resolver for PlainResolver {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        Box::pin(self.resolve(name, record_type))
    }
}

/// One server, over UDP and then, when that is not enough, over TCP.
async fn ask(server: SocketAddr, query: &Query) -> io::Result<Reply> {
    match ask_udp(server, query).await? {
        reply if reply.is_truncated() => ask_tcp(server, query).await,
        reply => Ok(reply),
    }
}

async fn ask_udp(server: SocketAddr, query: &Query) -> io::Result<Reply> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A new socket for each query: the port is as random as the id, and both must match (RFC 5452 §4).
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query.octets()).await?;
    let mut buffer = vec![0; message::UDP_SIZE.into()];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else may be forged: keep waiting for the real one.
        if let Some(reply) = buffer.get(..length).and_then(|octets| query.match_reply(octets)) {
            return Ok(reply);
        }
    }
}

async fn ask_tcp(server: SocketAddr, query: &Query) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.octets().len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(query.octets());
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut octets = vec![0; length.into()];
    stream.read_exact(&mut octets).await?;
    query.match_reply(&octets).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf() {
        let conf = ResolvConf::parse(
            "# made by hand\nsearch example.org\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver x\n\
             options ndots:2 timeout:1 attempts:99 edns0\nnameserver 192.0.2.54\nnameserver 192.0.2.55\n",
        );
        let servers: Vec<_> = conf.nameservers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.53:53", "[fe80::1]:53", "192.0.2.54:53"]);
        assert_eq!((conf.timeout, conf.attempts), (Duration::from_secs(1), 5));
        assert_eq!(ResolvConf::parse("").nameservers, ["127.0.0.1:53".parse().unwrap()]);
    }
}
