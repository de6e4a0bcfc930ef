//! Connecting through a SOCKS proxy: CONNECT of SOCKS version 5 (RFC 1928), without authentication or with a user name and
//! a password (RFC 1929).
//!
//! The proxy is told an address and never a name: which addresses a host has, our own resolver has found out, with what
//! DNSSEC says of it. Whom mail may make us connect to is decided here, before the proxy is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use mailstead_dns::Resolver;
use mailstead_names::{Host, Secret};
use mailstead_runtime::{BoxFuture, Deadline};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{AddressPolicy, Dialer, Error, Stream, Target};

/// Version of the protocol (RFC 1928 §3).
const VERSION: u8 = 5;
/// Version of the exchange of user name and password (RFC 1929 §2).
const LOGIN_VERSION: u8 = 1;
/// Authentication methods (RFC 1928 §3).
const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;
/// The command to connect (RFC 1928 §4).
const CONNECT: u8 = 1;
/// Types of addresses (RFC 1928 §5).
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// What stands for an address that nobody knows.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// Addresses of a proxy that are tried.
const MOST_ADDRESSES: usize = 4;

/// A proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Name or address.
    pub host: Host,
    /// TCP port, usually 1080.
    pub port: u16,
    /// User name and password there, if it wants them.
    pub login: Option<SocksLogin>,
}

/// A user name and a password that fit into their octets (RFC 1929 §2).
#[derive(Debug, Clone)]
pub struct SocksLogin {
    username: String,
    password: Secret<String>,
}

impl SocksLogin {
    /// `None` unless both have 1 to 255 octets.
    #[must_use]
    pub fn new(username: String, password: Secret<String>) -> Option<SocksLogin> {
        let fits = |text: &str| (1..=255).contains(&text.len());
        (fits(&username) && fits(password.expose())).then_some(SocksLogin { username, password })
    }

    fn encode(&self) -> Secret<Vec<u8>> {
        let mut octets = vec![LOGIN_VERSION];
        for text in [&self.username, self.password.expose()] {
            // What does not fit cannot be here.
            octets.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            octets.extend_from_slice(text.as_bytes());
        }
        Secret::new(octets)
    }
}

/// Why a proxy does not serve us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocksError {
    /// It speaks something else.
    #[error("the proxy does not speak SOCKS 5")]
    NotSocks,
    /// It wants another kind of authentication.
    #[error("the proxy accepts no authentication that we have")]
    NoMethod,
    /// User name or password are wrong.
    #[error("the proxy refused our user name and password")]
    LoginRefused,
    /// It answers with a type of address that does not exist.
    #[error("the proxy answered with an address of type {0}, which does not exist")]
    AddressType(u8),
    /// It did not connect us, as this reply says.
    #[error("the proxy did not connect: {words} ({0})", words = refusal(*.0))]
    NotConnected(u8),
}

/// What a reply other than success says (RFC 1928 §6).
fn refusal(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "type of address not supported",
        _ => "for a reason that has no name",
    }
}

/// How far a reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoded {
    /// At least this many octets belong to it in all. Not one more may be read: what follows is the server's.
    Needs(usize),
    /// The proxy has connected, from this address where it says one.
    Connected(Option<SocketAddr>),
}

/// Reads a reply to a request (RFC 1928 §6):
///
/// ```text
/// VER REP RSV ATYP BND.ADDR BND.PORT
///  1   1   1    1      n        2
/// ```
fn decode_reply(octets: &[u8]) -> Result<Decoded, SocksError> {
    // Some proxies hang up behind a refusal without the rest, which would say nothing.
    match octets {
        [VERSION, 0, ..] => {}
        [VERSION, reply, ..] => return Err(SocksError::NotConnected(*reply)),
        [] | [VERSION] => return Ok(Decoded::Needs(2)),
        _ => return Err(SocksError::NotSocks),
    }
    // The first octet of a name is its length; it may be empty.
    let [_, _, _, kind, first, rest @ ..] = octets else { return Ok(Decoded::Needs(5)) };
    let length = match *kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => 1 + usize::from(*first),
        other => return Err(SocksError::AddressType(other)),
    };
    let total = 4 + length + 2;
    if octets.len() < total {
        return Ok(Decoded::Needs(total));
    }
    let ip = match (*kind, rest) {
        (IPV4, [b, c, d, ..]) => Some(IpAddr::V4(Ipv4Addr::new(*first, *b, *c, *d))),
        (IPV6, _) => {
            octets.get(4..20).and_then(|bits| <[u8; 16]>::try_from(bits).ok()).map(Ipv6Addr::from).map(IpAddr::V6)
        }
        _ => None,
    };
    let port = octets.get(total - 2..total).and_then(|bits| <[u8; 2]>::try_from(bits).ok()).map(u16::from_be_bytes);
    let bound = ip.filter(|ip| !ip.is_unspecified()).zip(port).map(|(ip, port)| SocketAddr::new(ip, port));
    Ok(Decoded::Connected(bound))
}

/// The request to connect to this address (RFC 1928 §4).
fn encode_request(address: SocketAddr) -> Vec<u8> {
    let mut octets = vec![VERSION, CONNECT, 0];
    match address.ip() {
        IpAddr::V4(ip) => {
            octets.push(IPV4);
            octets.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            octets.push(IPV6);
            octets.extend_from_slice(&ip.octets());
        }
    }
    octets.extend_from_slice(&address.port().to_be_bytes());
    octets
}

/// Connects through a proxy.
#[derive(Debug, Clone)]
pub struct SocksDialer {
    proxy: Proxy,
    /// To the proxy, which the operator chose.
    dialer: Arc<dyn Dialer>,
    resolver: Arc<dyn Resolver>,
    policy: AddressPolicy,
}

impl SocksDialer {
    /// A dialer through this proxy, which is itself reached by `dialer`. What the proxy is asked to connect to is under
    /// `policy`.
    #[must_use]
    pub fn new(
        proxy: Proxy,
        dialer: Arc<dyn Dialer>,
        resolver: Arc<dyn Resolver>,
        policy: AddressPolicy,
    ) -> SocksDialer {
        SocksDialer { proxy, dialer, resolver, policy }
    }

    /// A connection to the proxy, at the first of its addresses that answers.
    async fn reach(&self, deadline: Deadline) -> Result<Stream, Error> {
        let addresses = match &self.proxy.host {
            Host::Ip(ip) => vec![*ip],
            Host::Domain(name) => {
                let failed = |reason: String, temporary| Error::Lookup { name: name.to_string(), reason, temporary };
                let answer = deadline.bound(self.resolver.addresses(name)).await?;
                answer.map_err(|error| failed(error.to_string(), true))?.records
            }
        };
        let mut last = Error::Lookup {
            name: self.proxy.host.to_string(),
            reason: "the proxy has no address".to_owned(),
            temporary: true,
        };
        for ip in addresses.into_iter().take(MOST_ADDRESSES) {
            match self.dialer.dial(SocketAddr::new(ip, self.proxy.port).into(), deadline).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Asks the proxy to connect; then the stream is that to the server.
    async fn connect(&self, stream: &mut Stream, address: SocketAddr) -> Result<Option<SocketAddr>, Error> {
        self.authenticate(stream).await?;
        stream.write_all(&encode_request(address)).await?;
        stream.flush().await?;
        let mut reply = Vec::new();
        loop {
            match decode_reply(&reply)? {
                Decoded::Connected(bound) => return Ok(bound),
                Decoded::Needs(total) => {
                    let read = reply.len();
                    reply.resize(total, 0);
                    stream.read_exact(reply.get_mut(read..).unwrap_or_default()).await?;
                }
            }
        }
    }

    /// Agrees on how we authenticate (RFC 1928 §3), and does it.
    async fn authenticate(&self, stream: &mut Stream) -> Result<(), Error> {
        let login = self.proxy.login.as_ref();
        let greeting: &[u8] = match login {
            Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD],
            None => &[VERSION, 1, NO_AUTHENTICATION],
        };
        match (ask(stream, greeting).await?, login) {
            ([VERSION, NO_AUTHENTICATION], _) => Ok(()),
            ([VERSION, USERNAME_PASSWORD], Some(login)) => match ask(stream, login.encode().expose()).await? {
                [LOGIN_VERSION, 0] => Ok(()),
                [LOGIN_VERSION, _] => Err(SocksError::LoginRefused.into()),
                _ => Err(SocksError::NotSocks.into()),
            },
            ([VERSION, _], _) => Err(SocksError::NoMethod.into()),
            _ => Err(SocksError::NotSocks.into()),
        }
    }
}

/// Sends something that has an answer of two octets.
async fn ask(stream: &mut Stream, octets: &[u8]) -> Result<[u8; 2], Error> {
    stream.write_all(octets).await?;
    stream.flush().await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

impl Dialer for SocksDialer {
    /// The address we come from is the proxy's to choose: `source` has no meaning.
    fn dial(&self, target: Target, deadline: Deadline) -> BoxFuture<'_, Result<Stream, Error>> {
        Box::pin(async move {
            self.policy.check(target.address.ip())?;
            let mut stream = self.reach(deadline).await?;
            let bound = deadline.bound(self.connect(&mut stream, target.address)).await??;
            // Where the proxy does not say, nobody knows: the server does not see the address that we have.
            let local = bound.unwrap_or(UNKNOWN);
            Ok(stream.tunnelled(target.address, local))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(kind: u8, address: &[u8], port: u16) -> Vec<u8> {
        [&[VERSION, 0, 0, kind], address, &port.to_be_bytes()].concat()
    }

    #[test]
    fn replies() {
        let bound = |octets: &[u8]| match decode_reply(octets) {
            Ok(Decoded::Connected(bound)) => bound.map_or("somewhere".to_owned(), |bound| bound.to_string()),
            other => format!("{other:?}"),
        };
        assert_eq!(bound(&reply(IPV4, &[192, 0, 2, 1], 1080)), "192.0.2.1:1080");
        assert_eq!(bound(&reply(IPV4, &[0; 4], 0)), "somewhere");
        let ip: Ipv6Addr = "2001:db8::7".parse().unwrap();
        assert_eq!(bound(&reply(IPV6, &ip.octets(), 25)), "[2001:db8::7]:25");
        assert_eq!(bound(&reply(NAME, b"\x05proxy", 25)), "somewhere");
        assert_eq!(bound(&reply(NAME, &[0], 25)), "somewhere");
        assert_eq!(decode_reply(&reply(2, &[0; 4], 0)), Err(SocksError::AddressType(2)));
        assert_eq!(decode_reply(&[VERSION, 5]), Err(SocksError::NotConnected(5)));
        assert_eq!(decode_reply(b"HTTP/1.1 400"), Err(SocksError::NotSocks));
        assert_eq!(decode_reply(b"\x04"), Err(SocksError::NotSocks));
    }

    #[test]
    fn requests() {
        let request = |text: &str| encode_request(text.parse().unwrap());
        assert_eq!(request("192.0.2.1:25"), [5, 1, 0, 1, 192, 0, 2, 1, 0, 25]);
        let v6 = request("[2001:db8::7]:587");
        assert_eq!(v6[..8], [5, 1, 0, 4, 0x20, 1, 0x0d, 0xb8]);
        assert_eq!((v6.len(), &v6[19..]), (22, &[7, 2, 75][..]));
    }

    #[test]
    fn logins_have_their_size() {
        let login = |name: usize, password: usize| SocksLogin::new("n".repeat(name), Secret::new("p".repeat(password)));
        assert_eq!(login(2, 3).unwrap().encode().expose(), b"\x01\x02nn\x03ppp");
        assert_eq!(login(255, 255).unwrap().encode().expose().len(), 513);
        for (name, password) in [(0, 1), (1, 0), (256, 1), (1, 256)] {
            assert!(login(name, password).is_none(), "{name} {password}");
        }
    }

    proptest! {
        /// Whatever a proxy sends: never a panic, always progress, and never more than the longest reply.
        #[test]
        fn any_octets_are_survived(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Decoded::Needs(total)) = decode_reply(&octets) {
                prop_assert!(total > octets.len() && total <= 4 + 256 + 2);
            }
        }

        /// The octets that a reply asks for are exactly its own, however many come behind it.
        #[test]
        fn a_reply_is_read_to_its_end_and_not_farther(
            (kind, address) in prop_oneof![
                any::<[u8; 4]>().prop_map(|bits| (IPV4, bits.to_vec())),
                any::<[u8; 16]>().prop_map(|bits| (IPV6, bits.to_vec())),
                proptest::collection::vec(any::<u8>(), 0..=255)
                    .prop_map(|name| (NAME, [&[u8::try_from(name.len()).unwrap()], name.as_slice()].concat())),
            ],
            port in any::<u16>(),
            behind in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let whole = reply(kind, &address, port);
            let mut read = 0;
            while let Decoded::Needs(total) = decode_reply(&whole[..read]).unwrap() {
                prop_assert!(total > read && total <= whole.len());
                read = total;
            }
            prop_assert_eq!(read, whole.len());
            let all = [whole.as_slice(), behind.as_slice()].concat();
            prop_assert_eq!(decode_reply(&all), decode_reply(&whole));
        }
    }
}
