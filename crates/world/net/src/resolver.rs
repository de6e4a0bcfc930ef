//! The resolver: names to records that say how far they can be trusted.
//!
//! [`DnsResolver`] validates DNSSEC itself, whoever brings the records: the machine's resolver, or the authorities that
//! it asks from the root on. It follows aliases and keeps the status of each, caches what it has found within a bound of
//! memory, and asks once for many who want to know the same. What it cannot prove is an error or insecure with a reason,
//! never silently either.
//!
//! Proofs are checked by `mailstead-dnssec`, messages read by `mailstead-dns`. Here are sockets, time and memory:
//!
//! | file | what |
//! |---|---|
//! | `core` | a look-up from name to answer |
//! | `chain` | the chain of trust from anchor to zone |
//! | `route`, `probe` | which way names are resolved, and whether a resolver lets proofs through |
//! | `forward`, `recurse` | responses from resolvers, and from authorities |
//! | `exchange`, `servers` | a question to a server, and what is known of servers |
//! | `cache`, `flight`, `turns` | what is known, what is being found out, and by how many at once |
//! | `anchors` | trust anchors and their updates |

mod anchors;
mod bounded;
mod cache;
mod chain;
mod core;
mod exchange;
mod flight;
mod forward;
mod link;
mod probe;
mod recurse;
mod resolv_conf;
mod root;
mod route;
mod servers;
mod statistics;
#[cfg(test)]
mod tests;
mod trace;
mod turns;
mod upkeep;
mod upstream;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mailstead_dns::{Lookup, Name, RecordType, Resolver};
use mailstead_dnssec::{Anchors, AwsLcRs, Crypto};
use mailstead_names::Domain;
use mailstead_runtime::{Clock, Random, Supervisor};
use tokio::time::Instant;

use self::anchors::AnchorStore;
use self::cache::Cache;
use self::core::{Core, MOST_LOOKUPS};
use self::exchange::{AskServer, Exchange};
use self::flight::Flight;
use self::recurse::{Recursor, root_hints};
use self::route::Router;
use self::statistics::Counters;
use self::turns::Turns;
use crate::{AddressPolicy, Error};

pub use link::Evidence;
pub use probe::ResolverFault;
pub use resolv_conf::ResolvConf;
pub use root::{HintsError, root_servers};
pub use route::{Active, DnsMode, NoWay, Notice, Servers};
pub use statistics::{DURATION_BOUNDS, OUTCOMES, Statistics};
pub use trace::{Trace, TraceStep, ZoneFinding, ZoneTrace};

/// Where trust begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustAnchors {
    /// At the root's keys that are built in.
    BuiltIn,
    /// The same, and what the root has since announced in their place (RFC 5011), kept in this file.
    Updated(PathBuf),
    /// At these, for private roots.
    Fixed(Anchors),
}

/// How to resolve names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsOptions {
    /// By which way.
    pub mode: DnsMode,
    /// The machine's resolvers.
    pub servers: Servers,
    /// Where trust begins.
    pub anchors: TrustAnchors,
    /// Zones that are not validated, and until when in seconds since 1970 (RFC 7646).
    pub negative_anchors: Vec<(Name, u64)>,
    /// Servers of the root instead of those that are built in.
    pub root_servers: Vec<(Name, Vec<IpAddr>)>,
    /// Which servers may be asked on the way from the root.
    pub server_addresses: AddressPolicy,
    /// Memory for what has been found, in octets.
    pub cache_octets: u64,
    /// How long a look-up may take.
    pub patience: Duration,
}

impl Default for DnsOptions {
    fn default() -> Self {
        DnsOptions {
            mode: DnsMode::Automatic,
            servers: Servers::ResolvConf("/etc/resolv.conf".into()),
            anchors: TrustAnchors::BuiltIn,
            negative_anchors: Vec::new(),
            root_servers: Vec::new(),
            server_addresses: AddressPolicy::Public,
            cache_octets: 16 << 20,
            patience: Duration::from_secs(20),
        }
    }
}

/// Resolves names. Cloning is cheap, and all clones share what they know.
#[derive(Debug, Clone)]
pub struct DnsResolver {
    core: Arc<Core>,
}

impl DnsResolver {
    /// A resolver. Nothing is asked before the first look-up.
    ///
    /// # Errors
    /// When the file of trust anchors cannot be read.
    pub fn new(
        options: DnsOptions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        supervisor: Supervisor,
    ) -> Result<DnsResolver, Error> {
        let now = u64::try_from(clock.now().as_second()).unwrap_or(0);
        let (chosen, negative) = (options.anchors.clone(), options.negative_anchors.clone());
        let anchors = AnchorStore::open(chosen, negative, Arc::new(AwsLcRs), now)?;
        let exchange = Arc::new(Exchange::new(Arc::clone(&random)));
        let asker = Arc::clone(&exchange) as Arc<dyn AskServer>;
        Ok(DnsResolver::assemble(options, anchors, (asker, exchange), clock, random, supervisor))
    }

    /// The resolver of these parts. Whoever asks servers need not be whose questions are counted.
    fn assemble(
        options: DnsOptions,
        anchors: AnchorStore,
        (asker, exchange): (Arc<dyn AskServer>, Arc<Exchange>),
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        supervisor: Supervisor,
    ) -> DnsResolver {
        let crypto: Arc<dyn Crypto> = Arc::new(AwsLcRs);
        let hints = if options.root_servers.is_empty() { root_hints() } else { options.root_servers };
        let (policy, limits) = (options.server_addresses, recurse::Limits::default());
        let recursor = Recursor::new(Arc::clone(&asker), Arc::clone(&random), hints, policy, limits);
        let router = Router::new(options.mode, options.servers, asker, Arc::new(recursor));
        let core = Core {
            router,
            anchors,
            exchange,
            cache: Cache::new(options.cache_octets),
            cuts: Flight::new(MOST_LOOKUPS),
            lookups: Flight::new(MOST_LOOKUPS),
            turns: Turns::default(),
            crypto,
            clock,
            random,
            supervisor,
            patience: options.patience,
            counters: Counters::default(),
        };
        DnsResolver { core: Arc::new(core) }
    }

    /// By which way names are resolved, and what the operator should know about it; why not, where there is no way.
    /// Tries the resolvers if nobody has before.
    ///
    /// # Errors
    /// When names cannot be resolved.
    pub async fn way(&self) -> Result<(Active, Option<Notice>), NoWay> {
        match self.core.route().await {
            Ok(route) => Ok((route.active, route.notice.clone())),
            Err(cause) => Err(NoWay::clone(&cause)),
        }
    }

    /// A look-up with everything that was found on the way to its answer.
    pub async fn trace(&self, name: &Domain, record_type: RecordType) -> Trace {
        self.core.trace(name, record_type).await
    }

    /// What has been done since the start.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let Core { cache, counters, exchange, .. } = &*self.core;
        let queries = exchange.stats();
        Statistics {
            outcomes: counters.outcomes(),
            durations: counters.durations(),
            total: counters.total(),
            cache_hits: cache.hits.load(Ordering::Relaxed),
            cache_misses: cache.misses.load(Ordering::Relaxed),
            cache_entries: cache.entries() as u64,
            cache_octets: cache.octets(),
            udp_queries: queries.udp_queries.load(Ordering::Relaxed),
            tcp_queries: queries.tcp_queries.load(Ordering::Relaxed),
            timeouts: queries.timeouts.load(Ordering::Relaxed),
            mismatched_replies: queries.mismatched_replies.load(Ordering::Relaxed),
        }
    }

    /// Keeps up with the world for as long as it is awaited: changes of resolv.conf, and of the root's keys (RFC 5011).
    pub async fn maintain(&self) {
        self.core.maintain().await;
    }

    /// Forgets everything that has been found, and chooses the way anew.
    pub fn reset(&self) {
        self.core.cache.clear();
        self.core.router.reset();
    }
}

impl Resolver for DnsResolver {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        Box::pin(async move {
            let start = Instant::now();
            let outcome = self.core.resolve(name, record_type).await;
            self.core.counters.count(&outcome, start.elapsed());
            outcome
        })
    }
}
