//! Where a message goes that is not for us.

use mailstead_names::Host;
use mailstead_sasl::client::Credentials;
use mailstead_tlspolicy::facts::RouteSecurity;

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
