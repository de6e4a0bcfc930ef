//! What all connections share.

use std::fmt;
use std::sync::Arc;

use mailstead_config::Directory;
use mailstead_dns::Resolver;
use mailstead_login::Login;
use mailstead_names::{Address, Localpart};
use mailstead_queue::Queue;
use mailstead_runtime::{Clock, Random, Shutdown};
use mailstead_store::Store;
use tokio::sync::watch;

use crate::analysis::EvaluationSink;
use crate::delivery::AccountDelivery;
use crate::mark::Marks;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::signing::Signing;
use crate::submission::Allowance;

/// What the server works with.
#[derive(Debug, Clone)]
pub struct Services {
    /// Accounts and messages.
    pub store: Store,
    /// Who may submit.
    pub login: Arc<Login>,
    /// Where submitted mail goes.
    pub queue: Queue,
    /// The directory in force.
    pub directory: watch::Receiver<Arc<Directory>>,
    /// For the domains that clients claim.
    pub resolver: Arc<dyn Resolver>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Ends connections in order.
    pub shutdown: Shutdown,
    /// Names connections towards the outside.
    pub marks: Marks,
    /// Keys of our domains.
    pub signing: Signing,
    /// Takes what DMARC reports are made of.
    pub evaluations: Arc<dyn EvaluationSink>,
    /// Counters.
    pub metrics: Metrics,
}

/// The SMTP server: give it connections with [`Server::serve`].
pub struct Server {
    pub(crate) services: Services,
    pub(crate) settings: Settings,
    pub(crate) delivery: AccountDelivery,
    pub(crate) allowance: Allowance,
    /// Who is meant by bare `<Postmaster>` (RFC 5321 §4.5.1).
    pub(crate) postmaster: Address,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Server {
    /// A server.
    #[must_use]
    pub fn new(services: Services, settings: Settings) -> Arc<Server> {
        let delivery = AccountDelivery::new(
            services.store.clone(),
            services.directory.clone(),
            Arc::clone(&services.clock),
            settings.sandbox,
        );
        let allowance = Allowance::new(settings.submissions_per_day);
        let postmaster = Localpart::new("postmaster").expect("an ordinary word is a local part");
        let postmaster = Address::new(postmaster, settings.hostname.clone());
        Arc::new(Server { services, settings, delivery, allowance, postmaster })
    }

    /// Delivery into the same store, for the queue.
    #[must_use]
    pub fn delivery(&self) -> AccountDelivery {
        self.delivery.clone()
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.services.directory.borrow())
    }

    /// A name that nothing else has: 128 random bits.
    pub(crate) fn random_name(&self) -> String {
        let octets: [u8; 16] = self.services.random.bytes();
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}
