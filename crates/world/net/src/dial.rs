//! Connecting to other hosts.
//!
//! Mail from outside chooses whom we connect to, so addresses of our own machine and of private networks
//! are refused unless the operator allows them: nobody may use the server to reach what only it can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mailstead_runtime::{BoxFuture, Deadline};
use tokio::net::{TcpSocket, TcpStream};

use crate::{Error, Stream};

/// Connects. Object safe; tests connect to scripted peers in memory.
pub trait Dialer: std::fmt::Debug + Send + Sync {
    /// Opens a connection to this address before the deadline.
    fn dial(&self, target: Target, deadline: Deadline) -> BoxFuture<'_, Result<Stream, Error>>;
}

/// Where to connect. Which addresses a host has, and in which order to try them, is the caller's knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// Address and port.
    pub address: SocketAddr,
    /// Our address, where it is not the system's to choose. One of another family is passed over.
    pub source: Option<IpAddr>,
}

impl From<SocketAddr> for Target {
    /// From whatever address the system chooses.
    fn from(address: SocketAddr) -> Target {
        Target { address, source: None }
    }
}

/// Which addresses may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Only what is reachable over the public internet.
    Public,
    /// Everything: the operator configured the destination by hand.
    Any,
    /// Only this machine, for a server that must never send anything out: loopback, and an address that it listens at.
    ThisMachine(Option<IpAddr>),
}

impl AddressPolicy {
    /// Whether this address may be dialled, or why not.
    pub fn check(self, address: IpAddr) -> Result<(), Error> {
        let address = address.to_canonical();
        let objection = match self {
            AddressPolicy::Any => None,
            AddressPolicy::ThisMachine(own) if address.is_loopback() || own == Some(address) => None,
            AddressPolicy::ThisMachine(_) => Some("this server connects to its own machine only"),
            AddressPolicy::Public => match address {
                IpAddr::V4(address) => not_public_v4(address),
                IpAddr::V6(address) => not_public_v6(address),
            },
        };
        objection.map_or(Ok(()), |why| Err(Error::ForbiddenAddress(address, why)))
    }
}

/// IANA special-purpose registry (RFC 6890), as far as it matters to a client.
fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [first, second, ..] = address.octets();
    match (first, second) {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_private() => Some("a private address"),
        _ if address.is_link_local() => Some("a link-local address"),
        (0, _) => Some("an unspecified address"),
        (100, 64..=127) => Some("a shared address of a provider's own network"),
        _ if address.is_multicast() || address.is_broadcast() || first >= 240 => Some("not a unicast address"),
        _ => None,
    }
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_unspecified() {
        Some("an unspecified address")
    } else if address.is_unique_local() {
        Some("a private address")
    } else if address.is_unicast_link_local() {
        Some("a link-local address")
    } else if address.is_multicast() {
        Some("not a unicast address")
    } else if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() {
        // NAT64 (RFC 6052) reaches the IPv4 address inside.
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        not_public_v4(Ipv4Addr::new(a, b, c, d))
    } else {
        None
    }
}

/// Connects over TCP, within an [`AddressPolicy`].
#[derive(Debug, Clone, Copy)]
pub struct DirectDialer {
    policy: AddressPolicy,
}

impl DirectDialer {
    /// A dialer under this policy.
    #[must_use]
    pub fn new(policy: AddressPolicy) -> Self {
        DirectDialer { policy }
    }
}

impl Dialer for DirectDialer {
    fn dial(&self, target: Target, deadline: Deadline) -> BoxFuture<'_, Result<Stream, Error>> {
        Box::pin(async move {
            self.policy.check(target.address.ip())?;
            let socket = deadline.bound(connect(target)).await??;
            Ok(Stream::from_tcp(socket)?)
        })
    }
}

async fn connect(target: Target) -> std::io::Result<TcpStream> {
    let socket = match target.address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = target.source.filter(|source| source.is_ipv4() == target.address.is_ipv4()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(target.address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let allowed = |policy: AddressPolicy, text: &str| policy.check(text.parse().unwrap()).is_ok();
        for public in ["192.0.2.1", "8.8.8.8", "2001:db8::1", "64:ff9b::808:808", "100.63.0.1", "100.128.0.1"] {
            assert!(allowed(AddressPolicy::Public, public), "{public}");
            assert!(!allowed(AddressPolicy::ThisMachine(None), public), "{public}");
            assert!(allowed(AddressPolicy::Any, public), "{public}");
        }
        for inner in [
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "::ffff:127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "fe80::1",
            "fd00::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
            "64:ff9b::7f00:1",
        ] {
            assert!(!allowed(AddressPolicy::Public, inner), "{inner}");
            assert!(allowed(AddressPolicy::Any, inner), "{inner}");
        }
        let own = AddressPolicy::ThisMachine(Some([192, 0, 2, 1].into()));
        assert!(allowed(own, "192.0.2.1") && allowed(own, "127.0.0.1") && !allowed(own, "192.0.2.2"));
        assert!(allowed(AddressPolicy::ThisMachine(None), "::1"));
        assert!(allowed(AddressPolicy::ThisMachine(None), "127.0.0.53"));
    }

    #[tokio::test]
    async fn a_connection_comes_from_the_address_that_is_wanted() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let dialer = DirectDialer::new(AddressPolicy::Any);
        for (source, expected) in [("127.0.0.7", Some("127.0.0.7")), ("::1", None)] {
            let target = Target { address, source: Some(source.parse().unwrap()) };
            let stream = dialer.dial(target, Deadline::NEVER).await.unwrap();
            let (_, from) = listener.accept().await.unwrap();
            assert_eq!(stream.local_addr(), from);
            assert!(expected.is_none_or(|expected| from.ip().to_string() == expected), "{from}");
        }
    }
}
