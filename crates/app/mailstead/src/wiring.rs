//! Joins the engines to the world and to each other.
//!
//! What an engine knows of another is a trait of its own, implemented here or over there; nothing here decides
//! anything about mail.

mod addresses;
mod local;
mod outgoing;
mod routes;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mailstead_config::{Config, ConfigWatch, Directory, LogLevel, PlaintextLogin, Role, Strictness};
use mailstead_dns::Resolver;
use mailstead_login::Login;
use mailstead_net::limits::{
    AuthFailureSettings, AuthFailures, ConnectionLimitSettings, ConnectionLimits, Network, PerClass,
};
use mailstead_net::tls::ServerTls;
use mailstead_net::{ConnectionIds, Reception};
use mailstead_queue::StsCache;
use mailstead_reports::Ledger;
use mailstead_runtime::{Clock, Random, Shutdown, Supervisor, SystemClock, SystemRandom};
use mailstead_smtp_server::Sandbox;
use mailstead_store::Store;
use tokio::sync::watch;

use crate::binding::{Bound, Service};
use crate::dns;
use crate::failure::Failure;
use crate::metrics;
use crate::serve::Tls;
use crate::web::{self, HttpServer, Page};
pub(crate) use outgoing::Outgoing;

/// What the engines work with.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) config: &'a Config,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    pub(crate) tls: Option<Tls>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) supervisor: Supervisor,
    pub(crate) shutdown: Shutdown,
}

/// All engines, ready for connections.
#[derive(Debug)]
pub(crate) struct Engines {
    smtp: Arc<mailstead_smtp_server::Server>,
    imap: Arc<mailstead_imap_server::Server>,
    queue: mailstead_queue::Queue,
    policies: StsCache,
    ledger: Ledger,
    status: axum::Router,
    metrics: axum::Router,
    tls: Option<Tls>,
    limits: Arc<ConnectionLimits>,
    supervisor: Supervisor,
    shutdown: Shutdown,
}

impl Engines {
    pub(crate) async fn new(world: World<'_>, services: &[Service], page: &Page) -> Result<Self, Failure> {
        let World { config, directory, tls, store, clock, supervisor, shutdown } = world;
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let mut registry = metrics::registry(supervisor.clone());
        // A sandbox asks nobody for the root's keys of its own accord.
        let home = if config.sandbox.is_none() { Some(config.data_directory.as_path()) } else { None };
        let dns = dns::resolver(&config.dns, home, supervisor.clone())?;
        registry.register_collector(Box::new(metrics::Dns(dns.clone())));
        let upkeep = (dns.clone(), shutdown.clone());
        supervisor.spawn("dns", async move { upkeep.1.or_begun(upkeep.0.maintain()).await.unwrap_or_default() });
        let resolver: Arc<dyn Resolver> = Arc::new(dns);
        let limits = ConnectionLimits::new(connection_limits(config), Arc::clone(&clock));
        let login = login(config, &directory, &store, &clock, &random, &mut registry);
        let sandbox = if config.sandbox.is_some() { Sandbox::On } else { Sandbox::Off };
        let ledger =
            Ledger::new(store.tls_results(), Arc::clone(&clock), mailstead_reports::Metrics::register(&mut registry));
        let keeping = (ledger.clone(), shutdown.clone());
        supervisor.spawn("tls results", async move { keeping.0.run(keeping.1).await });
        let outgoing = Outgoing {
            config,
            directory: directory.clone(),
            store: store.clone(),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            resolver: Arc::clone(&resolver),
            supervisor: supervisor.clone(),
            shutdown: shutdown.clone(),
            services,
            metrics: mailstead_queue::Metrics::register(&mut registry),
            ledger: ledger.clone(),
        };
        let (queue, policies) = outgoing.queue().await?;
        if config.sandbox.is_none() {
            let upkeep = (policies.clone(), shutdown.clone());
            supervisor.spawn("mta-sts policies", async move { upkeep.0.maintain(upkeep.1).await });
        }
        let signing =
            mailstead_smtp_server::Signing::load(&config.directory).map_err(|error| Failure::new(error.to_string()))?;
        supervisor.spawn("dkim keys", signing.clone().follow(directory.clone(), shutdown.clone()));
        let smtp = mailstead_smtp_server::Server::new(
            mailstead_smtp_server::Services {
                store: store.clone(),
                login: Arc::clone(&login),
                queue: queue.clone(),
                directory,
                resolver,
                clock: Arc::clone(&clock),
                marks: marks(&config.data_directory, &random)?,
                random,
                shutdown: shutdown.clone(),
                signing,
                evaluations: Arc::new(metrics::Evaluations::register(&mut registry)),
                metrics: mailstead_smtp_server::Metrics::register(&mut registry),
            },
            smtp_settings(config, sandbox),
        );
        let imap_metrics = Arc::new(mailstead_imap_server::Metrics::default());
        imap_metrics.register(&mut registry);
        let imap = mailstead_imap_server::Server::new(
            store,
            login,
            clock,
            shutdown.clone(),
            imap_settings(config),
            imap_metrics,
        );
        Ok(Engines {
            smtp,
            imap,
            queue,
            policies,
            ledger,
            status: web::status(page),
            metrics: web::metrics(Arc::new(registry)),
            tls,
            limits,
            supervisor,
            shutdown,
        })
    }

    /// What all accept loops share.
    pub(crate) fn reception(&self) -> Reception {
        Reception {
            limits: Arc::clone(&self.limits),
            // No id of an earlier run comes again: there were fewer connections than milliseconds.
            ids: ConnectionIds::starting_at(SystemClock.now().as_millisecond().unsigned_abs()),
            supervisor: self.supervisor.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    /// What operators ask about outgoing mail.
    pub(crate) fn sending(&self) -> Sending {
        Sending { queue: self.queue.clone(), policies: self.policies.clone(), ledger: self.ledger.clone() }
    }

    /// Begins to deliver what is queued.
    pub(crate) fn start_queue(&self) {
        let queue = self.queue.clone();
        self.supervisor.spawn("queue", async move { queue.run().await });
    }

    /// Begins to serve what is bound.
    pub(crate) fn listen(&self, bound: Bound, reception: &Reception) {
        match bound.role {
            Role::Smtp | Role::Submission | Role::Submissions => self.listen_smtp(bound, reception),
            Role::Imap | Role::Imaps => self.listen_imap(bound, reception),
            Role::Http | Role::Https | Role::Metrics => self.listen_http(bound, reception),
        }
    }

    /// The TLS configuration for what is bound, if the server has a certificate.
    fn tls(&self, bound: &Bound) -> Option<ServerTls> {
        self.tls.as_ref().map(|tls| tls.of(bound.role, bound.client_certificates))
    }

    fn listen_smtp(&self, bound: Bound, reception: &Reception) {
        use mailstead_smtp_server::{CleartextLogin, Endpoint, PlaintextDelivery, Role as SmtpRole, Security};
        let tls = self.tls(&bound);
        let Bound { role, socket, plaintext_login, .. } = bound;
        let security = match tls {
            None => Security::Cleartext,
            Some(tls) if role.is_implicit_tls() => Security::Implicit(tls),
            Some(tls) => Security::StartTls(tls),
        };
        let endpoint = Arc::new(Endpoint {
            role: if role == Role::Smtp { SmtpRole::Transfer } else { SmtpRole::Submission },
            security,
            cleartext_login: match plaintext_login {
                PlaintextLogin::Allowed => CleartextLogin::Allowed,
                PlaintextLogin::Refused => CleartextLogin::Refused,
            },
            plaintext_delivery: PlaintextDelivery::Allowed,
        });
        let server = Arc::clone(&self.smtp);
        let serve = move |connection| Arc::clone(&server).serve(Arc::clone(&endpoint), connection);
        self.supervisor.spawn("listener", socket.run(role.name(), reception.clone(), serve));
    }

    fn listen_imap(&self, bound: Bound, reception: &Reception) {
        use mailstead_imap_server::{Endpoint, Security};
        let tls = self.tls(&bound);
        let Bound { role, socket, plaintext_login, .. } = bound;
        let security = match tls {
            None => Security::Cleartext,
            Some(tls) if role.is_implicit_tls() => Security::Implicit(tls),
            Some(tls) => Security::StartTls(tls),
        };
        let endpoint = Arc::new(Endpoint { security, plaintext_login });
        let server = Arc::clone(&self.imap);
        let serve = move |connection| Arc::clone(&server).serve(Arc::clone(&endpoint), connection);
        self.supervisor.spawn("listener", socket.run(role.name(), reception.clone(), serve));
    }

    fn listen_http(&self, bound: Bound, reception: &Reception) {
        let router = if bound.role == Role::Metrics { &self.metrics } else { &self.status };
        let tls = self.tls(&bound).filter(|_| bound.role.is_implicit_tls());
        let http = HttpServer::new(router.clone(), tls, self.shutdown.clone());
        let serve = move |connection| http.clone().serve(connection);
        self.supervisor.spawn("listener", bound.socket.run(bound.role.name(), reception.clone(), serve));
    }
}

/// What operators ask about outgoing mail. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    pub(crate) queue: mailstead_queue::Queue,
    pub(crate) policies: StsCache,
    pub(crate) ledger: Ledger,
}

impl Sending {
    /// Of a server that does not run: nothing is sent.
    pub(crate) async fn idle(watch: &ConfigWatch, config: &Config, store: &Store) -> Result<Sending, Failure> {
        let supervisor = Supervisor::new();
        // What would listen, were it running.
        let services: Vec<Service> = config
            .listeners
            .iter()
            .flat_map(|listener| listener.addresses.iter().map(move |address| (listener, address)))
            .flat_map(|(listener, address)| listener.services.iter().map(move |(role, port)| (*role, *address, *port)))
            .map(|(role, address, port)| Service { role, address: SocketAddr::new(address, port) })
            .collect();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ledger = Ledger::new(store.tls_results(), Arc::clone(&clock), mailstead_reports::Metrics::default());
        let outgoing = Outgoing {
            config,
            directory: watch.directory(),
            store: store.clone(),
            clock,
            random: Arc::new(SystemRandom),
            resolver: Arc::new(dns::resolver(&config.dns, None, supervisor.clone())?),
            supervisor,
            shutdown: Shutdown::new(std::time::Duration::ZERO),
            services: &services,
            metrics: mailstead_queue::Metrics::default(),
            ledger: ledger.clone(),
        };
        let (queue, policies) = outgoing.queue().await?;
        Ok(Sending { queue, policies, ledger })
    }
}

fn exempt(config: &Config) -> Vec<Network> {
    config.limits.exempt_networks.iter().map(|network| Network::around(network.address, network.prefix)).collect()
}

fn connection_limits(config: &Config) -> ConnectionLimitSettings {
    ConnectionLimitSettings {
        rate: PerClass(config.limits.connections_per_minute),
        open: PerClass(config.limits.open_connections),
        all_open: config.limits.all_open_connections,
        exempt: exempt(config),
    }
}

fn login(
    config: &Config,
    directory: &watch::Receiver<Arc<Directory>>,
    store: &Store,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
    registry: &mut prometheus_client::registry::Registry,
) -> Arc<Login> {
    let failures = AuthFailureSettings {
        per_minute: PerClass(config.limits.auth_failures_per_minute),
        per_day: PerClass(config.limits.auth_failures_per_day),
        exempt: exempt(config),
    };
    let metrics = mailstead_login::Metrics::default();
    metrics.register(registry);
    Login::new(
        mailstead_login::Settings::new(config.hostname.as_ascii()),
        store.clone(),
        directory.clone(),
        AuthFailures::new(failures, Arc::clone(clock)),
        Arc::clone(clock),
        Arc::clone(random),
        metrics,
    )
}

fn marks(data_directory: &Path, random: &Arc<dyn Random>) -> Result<mailstead_smtp_server::Marks, Failure> {
    let failed = |error| Failure::new(format!("cannot keep a key in {}: {error}", data_directory.display()));
    mailstead_smtp_server::Marks::load(data_directory, random).map_err(failed)
}

fn smtp_settings(config: &Config, sandbox: Sandbox) -> mailstead_smtp_server::Settings {
    use mailstead_smtp::server::Transcript;
    mailstead_smtp_server::Settings {
        message_max: config.limits.message_size,
        submissions_per_day: config.limits.submissions_per_day,
        strictness: match config.strictness {
            Strictness::Lenient => mailstead_smtp::Strictness::Lenient,
            Strictness::Pedantic => mailstead_smtp::Strictness::Pedantic,
        },
        sandbox,
        transcript: match config.log.level {
            LogLevel::TraceData => Transcript::WithMessages,
            LogLevel::TraceAuth => Transcript::WithCredentials,
            LogLevel::Trace => Transcript::Redacted,
            _ => Transcript::Off,
        },
        ..mailstead_smtp_server::Settings::new(config.hostname.clone())
    }
}

fn imap_settings(config: &Config) -> mailstead_imap_server::Settings {
    let mut settings = mailstead_imap_server::Settings::default();
    settings.max_message = config.limits.message_size;
    settings
}
