//! By which way names are resolved: through the machine's resolver, or from the root.
//!
//! A resolver that leaves out what DNSSEC adds is found out by asking it for things that must have proofs. Whatever is
//! then done instead is said; nothing falls back to answers without proof.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mailstead_dns::{LookupError, LookupErrorKind, QueryFlags, RecordType};
use mailstead_names::Domain;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Evidence;
use super::core::Core;
use super::exchange::AskServer;
use super::forward::Forwarder;
use super::link::Link;
use super::probe::{OfRoot, ResolverFault};
use super::resolv_conf::ResolvConf;
use super::upstream::{FetchError, Upstream};

/// How long it is remembered that there is no way.
const NO_WAY: Duration = Duration::from_secs(20);
/// After this time the machine's resolver gets another chance.
const ANOTHER_CHANCE: Duration = Duration::from_secs(3600);
/// Missing proofs lead to another look at the resolver, but not more often than this.
const SUSPICION: Duration = Duration::from_secs(60);

/// How names are resolved, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DnsMode {
    /// [`DnsMode::Validate`] where the resolver lets proofs through, else [`DnsMode::Recurse`].
    #[default]
    Automatic,
    /// Ask the machine's resolver, and validate here.
    Validate,
    /// Ask the authorities, from the root on, and validate here.
    Recurse,
    /// Believe a resolver on this machine, or one that resolv.conf vouches for, that it has validated (AD).
    TrustAd,
    /// Ask the machine's resolver and prove nothing: every answer is insecure.
    Unvalidated,
}

/// How names are resolved, as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in DnsMode")]
pub enum Active {
    Validate,
    Recurse,
    TrustAd,
    Unvalidated,
}

impl Active {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Active::Validate => "validate",
            Active::Recurse => "recurse",
            Active::TrustAd => "trust-ad",
            Active::Unvalidated => "unvalidated",
        }
    }

    /// Whether proofs are checked here.
    #[must_use]
    pub fn validates(self) -> bool {
        matches!(self, Active::Validate | Active::Recurse)
    }

    /// Whether the response that gave this step is good for the next one too.
    pub(super) fn is_read_on(self, link: &Link) -> bool {
        self != Active::TrustAd || link.evidence == Evidence::Vouched
    }
}

impl fmt::Display for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A way to resolve names.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) active: Active,
    pub(super) upstream: Arc<dyn Upstream>,
    /// The same without validation, to tell what is bogus from what has failed.
    pub(super) unchecked: Option<Arc<dyn Upstream>>,
    /// Whom it asks; nobody in particular where it recurses.
    pub(super) servers: Vec<SocketAddr>,
    /// Why it is not the one that was wanted.
    pub(super) notice: Option<Notice>,
}

/// What the operator should know about how names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The resolvers cannot be used, so names are resolved from the root.
    Recursing {
        /// What is wrong with each.
        faults: Vec<(SocketAddr, ResolverFault)>,
    },
    /// There is no list of resolvers, so names are resolved from the root.
    WithoutResolvConf {
        /// The file that cannot be read.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Recursing { faults } => Faults(faults).fmt(f)?,
            Notice::WithoutResolvConf { file, reason } => write!(f, "cannot read {}: {reason}", file.display())?,
        }
        f.write_str("; names are resolved from the root servers instead (mode \"recurse\")")
    }
}

/// Why names cannot be resolved at all. Every look-up fails with this until it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoWay {
    /// The resolvers let no proofs through, and that is the only way allowed.
    Resolvers {
        /// What is wrong with each.
        faults: Vec<(SocketAddr, ResolverFault)>,
    },
    /// The same, and the root servers cannot be used either.
    ResolversAndRoot {
        /// What is wrong with each resolver.
        faults: Vec<(SocketAddr, ResolverFault)>,
        /// What is wrong with the root.
        root: ResolverFault,
    },
    /// No resolver's word can be taken for validated.
    NotTrusted {
        /// The resolvers there are.
        servers: Vec<SocketAddr>,
    },
    /// resolv.conf cannot be read.
    ResolvConf {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The same, and the root servers cannot be used either.
    ResolvConfAndRoot {
        /// The file.
        file: PathBuf,
        /// Why it cannot be read.
        reason: String,
        /// What is wrong with the root.
        root: ResolverFault,
    },
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoWay::Resolvers { faults } => {
                write!(f, "DNSSEC cannot be validated: {}; ", Faults(faults))?;
                if faults.iter().any(|(_, fault)| fault.is_of_time()) {
                    f.write_str("check the clock of this machine; if it is right, ")?;
                }
                f.write_str("use another resolver, or set mode = \"recurse\" in [dns]")
            }
            NoWay::ResolversAndRoot { faults, root } => {
                let remedy = match root.is_of_time() {
                    true => "check the clock of this machine",
                    false => "allow port 53 to the internet, over UDP and TCP, or use another resolver",
                };
                write!(
                    f,
                    "DNSSEC cannot be validated: {}, and the root servers {}; {remedy}",
                    Faults(faults),
                    OfRoot(root)
                )
            }
            NoWay::NotTrusted { servers } => {
                f.write_str("mode \"trust-ad\" takes the word of resolvers on this machine only, but asks ")?;
                list(f, servers.iter().map(|server| server.ip().to_string()))?;
                f.write_str(
                    "; add \"options trust-ad\" to resolv.conf if the way to it is safe, or choose another mode",
                )
            }
            NoWay::ResolvConf { file, reason } => write!(
                f,
                "cannot read {}: {reason}; name resolvers by `servers` in [dns], or set mode = \"recurse\"",
                file.display()
            ),
            NoWay::ResolvConfAndRoot { file, reason, root } => {
                let remedy = match root.is_of_time() {
                    true => "check the clock of this machine",
                    false => "name resolvers by `servers` in [dns], or allow port 53 to the internet, over UDP and TCP",
                };
                write!(f, "cannot read {}: {reason}, and the root servers {}; {remedy}", file.display(), OfRoot(root))
            }
        }
    }
}

impl NoWay {
    pub(super) fn for_lookup(&self, name: &Domain, record_type: RecordType) -> LookupError {
        LookupError::new(LookupErrorKind::NoResolver, name, record_type).with_detail(self.to_string())
    }
}

struct Faults<'a>(&'a [(SocketAddr, ResolverFault)]);

impl fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.0.iter().map(|(server, fault)| format!("the resolver {} {fault}", server.ip())))
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = String>) -> fmt::Result {
    f.write_str(&items.collect::<Vec<_>>().join(" and "))
}

/// Which resolvers there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// Those of a file in the format of resolv.conf(5), which may change.
    ResolvConf(PathBuf),
    /// These.
    Fixed(ResolvConf),
}

impl Servers {
    fn load(&self) -> Result<ResolvConf, NoWay> {
        match self {
            Servers::Fixed(conf) => Ok(conf.clone()),
            Servers::ResolvConf(file) => ResolvConf::load(file)
                .map_err(|error| NoWay::ResolvConf { file: file.clone(), reason: error.to_string() }),
        }
    }
}

/// Chooses the way.
#[derive(Debug)]
pub(super) struct Router {
    mode: DnsMode,
    servers: Servers,
    asker: Arc<dyn AskServer>,
    recursor: Arc<dyn Upstream>,
    chosen: RwLock<Option<Chosen>>,
    choosing: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Chosen {
    way: Result<Arc<Route>, Arc<NoWay>>,
    conf: Option<ResolvConf>,
    since: Instant,
    until: Option<Instant>,
}

impl Router {
    pub(super) fn new(
        mode: DnsMode,
        servers: Servers,
        asker: Arc<dyn AskServer>,
        recursor: Arc<dyn Upstream>,
    ) -> Router {
        Router { mode, servers, asker, recursor, chosen: RwLock::new(None), choosing: Mutex::new(()) }
    }

    fn chosen(&self) -> Option<Chosen> {
        let chosen = self.chosen.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        chosen.until.is_none_or(|until| until > Instant::now()).then_some(chosen)
    }

    fn set(&self, chosen: Option<Chosen>) {
        *self.chosen.write().unwrap_or_else(PoisonError::into_inner) = chosen;
    }

    /// A way through these resolvers.
    pub(super) fn forward(&self, conf: &ResolvConf, servers: Vec<SocketAddr>, active: Active) -> Route {
        let flags = QueryFlags {
            recursion_desired: true,
            authentic_data: active == Active::TrustAd,
            checking_disabled: active == Active::Validate,
            dnssec_ok: active == Active::Validate,
            no_edns: false,
        };
        let forwarder = |flags| -> Arc<dyn Upstream> {
            let patience = (conf.attempts, conf.timeout);
            Arc::new(Forwarder::new(Arc::clone(&self.asker), servers.clone(), patience, flags))
        };
        let unchecked = QueryFlags { checking_disabled: true, ..flags };
        Route {
            active,
            upstream: forwarder(flags),
            unchecked: (active == Active::TrustAd).then(|| forwarder(unchecked)),
            servers,
            notice: None,
        }
    }

    fn recurse(&self, notice: Option<Notice>) -> Route {
        Route {
            active: Active::Recurse,
            upstream: Arc::clone(&self.recursor),
            unchecked: None,
            servers: Vec::new(),
            notice,
        }
    }

    /// Whether resolv.conf says something else than when the way was chosen, or has come or gone.
    pub(super) fn has_changed(&self) -> bool {
        let asks = self.mode != DnsMode::Recurse;
        asks && self.chosen().is_some_and(|chosen| chosen.conf != self.servers.load().ok())
    }

    /// Chooses anew at the next look-up.
    pub(super) fn reset(&self) {
        self.set(None);
    }
}

impl Core {
    /// The way to resolve names, chosen now if it has not been. That takes its own time, some seconds at most: what
    /// counts for everybody must not depend on how much time is left to whoever comes first.
    pub(super) async fn route(self: &Arc<Self>) -> Result<Arc<Route>, Arc<NoWay>> {
        if let Some(chosen) = self.router.chosen() {
            return chosen.way;
        }
        let _choosing = self.router.choosing.lock().await;
        if let Some(chosen) = self.router.chosen() {
            return chosen.way;
        }
        let conf = self.router.servers.load();
        let way = self.choose(conf.as_ref()).await.map(Arc::new).map_err(Arc::new);
        let now = Instant::now();
        let until = match &way {
            Err(_) => Some(now + NO_WAY),
            Ok(route) if route.notice.is_some() => Some(now + ANOTHER_CHANCE),
            Ok(_) => None,
        };
        match way.as_ref().map(|route| (route, &route.notice)) {
            Ok((route, Some(notice))) => tracing::warn!(mode = route.active.name(), "{notice}"),
            Ok((route, None)) => {
                tracing::debug!(mode = route.active.name(), servers = ?route.servers, "names are resolved");
            }
            Err(cause) => tracing::error!("{cause}"),
        }
        self.router.set(Some(Chosen { way: way.clone(), conf: conf.ok(), since: now, until }));
        way
    }

    async fn choose(self: &Arc<Self>, conf: Result<&ResolvConf, &NoWay>) -> Result<Route, NoWay> {
        let router = &self.router;
        let conf = match (router.mode, conf) {
            (DnsMode::Recurse, _) => return Ok(router.recurse(None)),
            // Without a list there is still the root.
            (DnsMode::Automatic, Err(NoWay::ResolvConf { file, reason })) => {
                let (file, reason) = (file.clone(), reason.clone());
                let route =
                    router.recurse(Some(Notice::WithoutResolvConf { file: file.clone(), reason: reason.clone() }));
                let tried = self.probe(&*route.upstream).await;
                return tried.map(|()| route).map_err(|root| NoWay::ResolvConfAndRoot { file, reason, root });
            }
            (_, conf) => conf.map_err(Clone::clone)?,
        };
        match router.mode {
            DnsMode::TrustAd => {
                let servers = conf.trusted_servers();
                if servers.is_empty() {
                    return Err(NoWay::NotTrusted { servers: conf.nameservers.clone() });
                }
                return Ok(router.forward(conf, servers, Active::TrustAd));
            }
            DnsMode::Unvalidated => {
                return Ok(router.forward(conf, conf.nameservers.clone(), Active::Unvalidated));
            }
            DnsMode::Automatic | DnsMode::Validate | DnsMode::Recurse => {}
        }
        let mut usable = Vec::new();
        let mut faults = Vec::new();
        for (server, fault) in self.probe_all(conf).await {
            match fault {
                None => usable.push(server),
                Some(fault) => faults.push((server, fault)),
            }
        }
        if !usable.is_empty() {
            for (server, fault) in faults {
                tracing::warn!(%server, "not used: the resolver {fault}");
            }
            return Ok(router.forward(conf, usable, Active::Validate));
        }
        if router.mode == DnsMode::Validate {
            return Err(NoWay::Resolvers { faults });
        }
        let route = router.recurse(Some(Notice::Recursing { faults: faults.clone() }));
        match self.probe(&*route.upstream).await {
            Ok(()) => Ok(route),
            Err(root) => Err(NoWay::ResolversAndRoot { faults, root }),
        }
    }

    /// After a look-up whose proofs did not come: another way, if there is reason to take one.
    pub(super) async fn reconsider(self: &Arc<Self>, route: &Arc<Route>, error: &LookupError) -> Option<Arc<Route>> {
        // Keys, signatures, proofs of absence missing (RFC 8914 §4.10, §4.11, §4.13).
        let is_missing = error.extended_errors.iter().any(|error| matches!(error.code, 9 | 10 | 12));
        if route.active != Active::Validate || !is_missing {
            return None;
        }
        // If it is not the way any more, somebody else was here first, and is trying again or has done so.
        let is_current = |chosen: &Chosen| matches!(&chosen.way, Ok(current) if Arc::ptr_eq(current, route));
        if let Some(chosen) = self.router.chosen().filter(is_current) {
            if chosen.since.elapsed() < SUSPICION {
                return None;
            }
            self.router.reset();
        }
        let another = self.route().await.ok()?;
        if another.active == route.active && another.servers == route.servers {
            return None;
        }
        self.cache.clear();
        Some(another)
    }
}

impl From<FetchError> for ResolverFault {
    fn from(error: FetchError) -> ResolverFault {
        match error.kind {
            LookupErrorKind::Timeout | LookupErrorKind::Network | LookupErrorKind::NoResolver => {
                ResolverFault::Silent(error.detail)
            }
            _ => ResolverFault::Fails(error.detail),
        }
    }
}
