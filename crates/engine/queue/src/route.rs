//! Where mail goes that is not for us.

use mailstead_names::Host;
use mailstead_sasl::client::Credentials;
use mailstead_tlspolicy::facts::RouteSecurity;

use crate::facts::SMTP_PORT;

/// How mail leaves.
#[derive(Debug, Clone)]
pub enum Route {
    /// To the servers of the recipient's domain, as the DNS says (RFC 5321 §5.1).
    Direct,
    /// All of it to one server, which takes it from there.
    Relay(NextHop),
    /// Not at all: it comes back at once.
    None,
}

/// A server that takes all mail for elsewhere.
#[derive(Debug, Clone)]
pub struct NextHop {
    /// Name or address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// TLS towards it.
    pub security: RouteSecurity,
    /// How to log in there, if at all. Sent over TLS only.
    pub credentials: Option<Credentials>,
}

impl NextHop {
    /// The port that is connected to: a relay's, or else that of mail between servers.
    pub(crate) fn port(relay: Option<&NextHop>) -> u16 {
        relay.map_or(SMTP_PORT, |relay| relay.port)
    }
}
