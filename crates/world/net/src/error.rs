//! What can go wrong between us and the network.

use std::io;
use std::net::IpAddr;

use crate::SocksError;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection failed or ended.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The TLS handshake failed.
    #[error("TLS handshake: {0}")]
    Handshake(#[source] io::Error),
    /// The peer sent octets in the clear behind its STARTTLS command. They were never meant to be trusted
    /// and an attacker may have put them there, so there is no way to go on (RFC 3207 §4.2, CVE-2011-0411).
    #[error("the peer sent data in the clear after STARTTLS")]
    PlaintextAfterStartTls,
    /// TLS was asked for on a stream that has it already.
    #[error("the connection already uses TLS")]
    AlreadyTls,
    /// A deadline passed.
    #[error("timed out")]
    TimedOut,
    /// The address policy forbids connecting there.
    #[error("connecting to {0} is not allowed: {1}")]
    ForbiddenAddress(IpAddr, &'static str),
    /// A proxy does not serve us.
    #[error("{0}")]
    Socks(#[from] SocksError),
    /// The name of a host could not be turned into addresses.
    #[error("looking up {name}: {reason}")]
    Lookup {
        /// The host asked for.
        name: String,
        /// Why there are no addresses.
        reason: String,
        /// Whether asking again later may help.
        temporary: bool,
    },
    /// A certificate or key file cannot be used.
    #[error("{0}")]
    Certificate(String),
    /// The file of trust anchors cannot be used.
    #[error("{0}")]
    TrustAnchors(String),
}

impl From<mailstead_runtime::Expired> for Error {
    fn from(_: mailstead_runtime::Expired) -> Self {
        Error::TimedOut
    }
}

impl From<rcgen::Error> for Error {
    fn from(error: rcgen::Error) -> Self {
        Error::Certificate(format!("making a certificate: {error}"))
    }
}

impl From<rustls::Error> for Error {
    fn from(error: rustls::Error) -> Self {
        Error::Certificate(format!("TLS configuration: {error}"))
    }
}

impl Error {
    /// Whether the same attempt may work later without anybody changing a configuration.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Io(_)
            | Error::Handshake(_)
            | Error::TimedOut
            | Error::PlaintextAfterStartTls
            | Error::Socks(SocksError::NotConnected(_)) => true,
            Error::Lookup { temporary, .. } => *temporary,
            Error::AlreadyTls
            | Error::ForbiddenAddress(..)
            | Error::Certificate(_)
            | Error::TrustAnchors(_)
            | Error::Socks(_) => false,
        }
    }

    /// For handshakes: turns an expired wait into [`Error::TimedOut`], anything else into `Handshake`.
    pub(crate) fn handshake(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut { Error::TimedOut } else { Error::Handshake(error) }
    }
}
