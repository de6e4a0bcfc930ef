//! The queue, with all that it needs of the rest of the server.

use std::sync::Arc;
use std::time::Duration;

use mailstead_config::{Config, Directory};
use mailstead_dns::Resolver;
use mailstead_net::{AddressPolicy, Dialer, DirectDialer};
use mailstead_queue::{
    InsecureMx, Metrics, NoTlsResults, OutgoingTls, PolicyFetcher, Queue, Routes, Services, Settings, StsCache,
    TlsResultSink,
};
use mailstead_reports::Ledger;
use mailstead_runtime::{Clock, Random, Shutdown, Supervisor};
use mailstead_smtp_server::{AccountDelivery, Sandbox};
use mailstead_store::Store;
use tokio::sync::watch;

use super::addresses;
use super::local::Delivery;
use super::routes::{address_policy, roots, routes};
use crate::binding::Service;
use crate::failure::Failure;

/// How long fetching an MTA-STS policy may take (RFC 8461 §3.3).
const POLICY_PATIENCE: Duration = Duration::from_secs(60);

/// What the queue is made of.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) config: &'a Config,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) supervisor: Supervisor,
    pub(crate) shutdown: Shutdown,
    /// Where this server can be reached.
    pub(crate) services: &'a [Service],
    pub(crate) metrics: Metrics,
    pub(crate) ledger: Ledger,
}

impl Outgoing<'_> {
    /// The queue, which does nothing yet, and the MTA-STS policies that it obeys.
    pub(crate) async fn queue(self) -> Result<(Queue, StsCache), Failure> {
        let Outgoing {
            config,
            directory,
            store,
            clock,
            random,
            resolver,
            supervisor,
            shutdown,
            services,
            metrics,
            ledger,
        } = self;
        let results: Arc<dyn TlsResultSink> =
            if config.queue.tls_reports { Arc::new(ledger) } else { Arc::new(NoTlsResults) };
        let routes = routes(config, &store.accounts().await?, services, &resolver)?;
        let settings = settings(config, services, routes);
        let dialer =
            |policy| -> Arc<dyn Dialer> { Arc::new(DirectDialer::new(address_policy(config, services, policy))) };
        let roots = Arc::new(roots(config, None)?);
        let fetcher = PolicyFetcher {
            dialer: dialer(AddressPolicy::Public),
            resolver: Arc::clone(&resolver),
            roots: Arc::clone(&roots),
            patience: POLICY_PATIENCE,
        };
        let policies = StsCache::new(store.sts_policies(), fetcher, Arc::clone(&clock), Arc::clone(&random));
        let sandbox = if config.sandbox.is_some() { Sandbox::On } else { Sandbox::Off };
        let delivery = AccountDelivery::new(store.clone(), directory.clone(), Arc::clone(&clock), sandbox);
        let services = Services {
            store,
            clock,
            random,
            dialer: dialer(AddressPolicy::Any),
            direct_dialer: dialer(AddressPolicy::Public),
            resolver,
            sts: Arc::new(policies.clone()),
            results,
            tls: OutgoingTls::new(roots),
            local: Arc::new(Delivery::new(delivery, directory)),
            supervisor,
            shutdown,
            metrics,
        };
        Ok((Queue::new(settings, services), policies))
    }
}

fn settings(config: &Config, services: &[Service], routes: Routes) -> Settings {
    let queue = &config.queue;
    let mut addresses = addresses::own(services);
    addresses.extend(&queue.nat_addresses);
    Settings {
        routes,
        addresses,
        sources: addresses::sources(services),
        insecure_mx: if queue.dane_with_insecure_mx { InsecureMx::Used } else { InsecureMx::NotUsed },
        concurrency: queue.concurrency as usize,
        destination_concurrency: queue.destination_concurrency as usize,
        host_concurrency: queue.host_concurrency as usize,
        ..Settings::new(config.hostname.clone())
    }
}
