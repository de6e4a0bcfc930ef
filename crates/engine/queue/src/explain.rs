//! What would happen to a message now: the facts that delivery gathers and the plan that it follows, for people and for
//! programs that want to know before they send.
//!
//! The same code finds out and decides as for delivery, so that what is said here is what happens; only nobody is
//! connected to, and nothing is reported.

use mailstead_names::Host as HostName;
use mailstead_tlspolicy::plan::{HostPlan, TlsResult, destination_results, plan};

use crate::demand::Demand;
use crate::facts::{Exchange, Found, Gatherer, HostFacts, Nobody};
use crate::outcome::Failure;
use crate::route::{Carrier, Transport};

/// What would happen to a message for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The domain or address literal of the recipient.
    pub recipients: HostName,
    /// The operator's name for the transport that is used; `None` where no route decides.
    pub transport: Option<String>,
    /// How mail leaves.
    pub way: Way,
}

/// How mail for a recipient leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Not at all: it ends here.
    Local,
    /// Not at all: the transport is there to fail.
    Fail(Box<Failure>),
    /// To these hosts.
    Hosts(Box<Hosts>),
    /// To nobody.
    Nobody(Box<Nobody>),
}

/// The hosts, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// The destination, with whatever hosts were found.
    pub found: Found,
    /// Whether they are connected to through a proxy.
    pub is_proxied: bool,
    /// The port that is connected to.
    pub port: u16,
    /// What is reported of the destination before anybody is connected to.
    pub results: Vec<TlsResult>,
    /// Each host. Those behind one that is this server are not tried.
    pub hosts: Vec<HostExplanation>,
}

/// What would happen at a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostExplanation {
    /// The host.
    pub exchange: Exchange,
    /// What is known of it, and what would be tried; or why nothing would be.
    pub plan: Result<(HostFacts, HostPlan), Box<Nobody>>,
}

/// Explains what would happen to a message for `recipients` with this demand, by this transport. Whether the recipient is
/// one of ours is the caller's to know.
pub async fn explain(gatherer: &Gatherer, transport: &Transport, recipients: &HostName, demand: Demand) -> Explanation {
    let way = match transport.carrier() {
        Ok(carrier) => hosts(gatherer, carrier, recipients, demand).await,
        Err(failure) => Way::Fail(Box::new(failure)),
    };
    Explanation { recipients: recipients.clone(), transport: transport.name.clone(), way }
}

async fn hosts(gatherer: &Gatherer, carrier: Carrier<'_>, recipients: &HostName, demand: Demand) -> Way {
    let found = match gatherer.found(carrier, recipients).await {
        Ok(found) => found,
        Err(nobody) => return Way::Nobody(nobody),
    };
    let mut hosts = Vec::new();
    for exchange in &found.hosts {
        let plan = match gatherer.host(&found.destination, exchange, carrier.families()).await {
            Ok(facts) => {
                let planned = plan(&found.destination, &facts.host, demand);
                Ok((facts, planned))
            }
            Err(nobody) => Err(nobody),
        };
        let is_ours = plan.as_ref().is_err_and(|nobody| nobody.is_ours);
        hosts.push(HostExplanation { exchange: exchange.clone(), plan });
        if is_ours {
            break;
        }
    }
    let results = destination_results(&found.destination);
    Way::Hosts(Box::new(Hosts { found, is_proxied: carrier.proxy().is_some(), port: carrier.port(), results, hosts }))
}
