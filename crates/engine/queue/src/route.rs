//! Where a message goes that is not for us.

use mailstead_names::Host;
use mailstead_sasl::client::Credentials;

/// A server that takes all mail for elsewhere.
#[derive(Debug, Clone)]
pub struct NextHop {
    /// Name or address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// TLS towards it.
    pub security: HopSecurity,
    /// How to log in there, if at all. Sent over TLS only.
    pub credentials: Option<Credentials>,
}

/// What the operator asks of the connection to a next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopSecurity {
    /// STARTTLS where it is offered, whoever answers; else in the clear.
    Opportunistic,
    /// STARTTLS with a verified certificate.
    StartTls,
    /// TLS from the first octet, with a verified certificate (RFC 8314).
    Implicit,
    /// Always in the clear.
    Plaintext,
}
