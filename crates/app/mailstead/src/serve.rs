//! Running a server: everything is opened before the first connection is accepted, and closed in the reverse
//! order after the last one has ended.

use std::sync::Arc;
use std::time::Duration;

use mailstead_config::{ClientCertificates, Config, ConfigWatch, Database, Directory, Role, TlsFiles};
use mailstead_net::tls::{ServerTls, SessionTickets, UnknownName};
use mailstead_net::{Identity, Reception};
use mailstead_runtime::{Clock, Deadline, Shutdown, Supervisor, SystemClock};
use mailstead_store::{Backend, Options, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::binding::{self, Bound, Service};
use crate::cli::{Ports, ServeOptions};
use crate::control::ControlSocket;
use crate::failure::Failure;
use crate::operations::create;
use crate::web::Page;
use crate::{logging, wiring};

/// How long connections may go on after a stop has begun.
const GRACE: Duration = Duration::from_secs(3);

/// `mailstead serve`.
pub(crate) async fn run(options: ServeOptions) -> Result<(), Failure> {
    let watch = ConfigWatch::load(&options.config)?;
    let mut config = Config::clone(&watch.current());
    config.log.level = options.log_level.unwrap_or(config.log.level);
    logging::start(config.log);
    let bound = binding::bind_all(&config, Ports::Fixed)?;
    let server = Server::open(watch, config, bound).await?;
    let page = Page {
        hostname: server.config.hostname.unicode().to_owned(),
        services: server.services(),
        credentials: None,
        ca_file: None,
    };
    server.run(page).await
}

/// How the store of this configuration is opened.
pub(crate) fn store_options(config: &Config) -> Options {
    let backend = match &config.database {
        Database::Sqlite => Backend::Sqlite,
        Database::Postgres { url } => Backend::Postgres { url: url.clone() },
    };
    Options { backend, ..Options::new(&config.data_directory, Arc::new(SystemClock)) }
}

/// The TLS configurations of the server.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// For the SMTP port, where strangers connect. They are not asked for a certificate: nothing would come of it.
    public: ServerTls,
    /// For everything that our users connect to.
    users: ServerTls,
    /// The same where their programs may log in by a certificate.
    users_with_certificates: ServerTls,
}

impl Tls {
    fn load(config: &Config) -> Result<Option<Self>, Failure> {
        let Some(files) = &config.tls else { return Ok(None) };
        let identities = [identity(config, files)?];
        // Our users are told which names to use. Whoever asks for another is not meant for this server, and a
        // certificate that does not fit would only teach people to click warnings away.
        let users = ServerTls::new(&identities, SessionTickets::On, UnknownName::Refuse)?;
        Ok(Some(Tls {
            public: ServerTls::new(&identities, SessionTickets::Off, UnknownName::Fallback)?,
            users_with_certificates: users.with_client_certificates()?,
            users,
        }))
    }

    /// The one for a role. Web browsers are never asked for a certificate: there is nothing to log in to, and they would
    /// ask their user.
    pub(crate) fn of(&self, role: Role, clients: ClientCertificates) -> ServerTls {
        match (role, clients) {
            (Role::Smtp, _) => &self.public,
            (Role::Submission | Role::Submissions | Role::Imap | Role::Imaps, ClientCertificates::Requested) => {
                &self.users_with_certificates
            }
            _ => &self.users,
        }
        .clone()
    }

    /// Reads the certificate again: it has been renewed.
    fn reload(&self, config: &Config) -> Result<(), Failure> {
        let Some(files) = &config.tls else { return Ok(()) };
        let identities = [identity(config, files)?];
        self.public.replace(&identities)?;
        // They are shared with the one that asks for certificates.
        Ok(self.users.replace(&identities)?)
    }
}

fn identity(config: &Config, files: &TlsFiles) -> Result<Identity, Failure> {
    let names = vec![config.hostname.as_ascii().to_owned()];
    Ok(Identity::from_files(&files.certificate, &files.key, names)?)
}

/// A server that is ready to run.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) watch: Arc<ConfigWatch>,
    pub(crate) tls: Option<Tls>,
    store: Store,
    bound: Vec<Bound>,
    control: ControlSocket,
}

impl Server {
    /// Opens everything. `config` is what is in force in this run; `watch` has the file.
    pub(crate) async fn open(watch: ConfigWatch, config: Config, bound: Vec<Bound>) -> Result<Self, Failure> {
        let tls = Tls::load(&config)?;
        let store = Store::open(store_options(&config)).await?;
        let control = ControlSocket::bind(&config.data_directory)?;
        make_accounts(&store, &config.directory).await?;
        Ok(Server { config, watch: Arc::new(watch), tls, store, bound, control })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Where everything can be reached.
    pub(crate) fn services(&self) -> Vec<Service> {
        self.bound.iter().map(Bound::service).collect()
    }

    /// Serves until somebody asks it to stop.
    pub(crate) async fn run(self, page: Page) -> Result<(), Failure> {
        let Server { config, watch, tls, store, bound, control } = self;
        let shutdown = Shutdown::new(GRACE);
        let supervisor = Supervisor::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        watch_signals(&supervisor, &shutdown, &watch, tls.clone())?;
        let world = wiring::World {
            config: &config,
            directory: watch.directory(),
            tls,
            store: store.clone(),
            clock,
            supervisor: supervisor.clone(),
            shutdown: shutdown.clone(),
        };
        let services: Vec<_> = bound.iter().map(Bound::service).collect();
        let engines = wiring::Engines::new(world, &services, &page).await?;
        let reception: Reception = engines.reception();
        for bound in bound {
            tracing::info!(service = bound.role.name(), address = %bound.socket.local_addr(), "listening");
            engines.listen(bound, &reception);
        }
        engines.start_queue();
        let sending = engines.sending();
        let accounts = follow_accounts(store.clone(), watch.directory(), shutdown.clone());
        supervisor.spawn("accounts", accounts);
        supervisor
            .spawn("control", control.run(store.clone(), watch, sending.clone(), supervisor.clone(), shutdown.clone()));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");

        let until = shutdown.begun().await;
        tracing::info!(tasks = supervisor.running(), "stopping");
        let cut = supervisor.drain(Deadline::at(until)).await;
        // What the last deliveries have shown.
        sending.ledger.flush().await;
        store.close().await;
        tracing::info!(cut, "stopped");
        Ok(())
    }
}

/// SIGTERM and SIGINT stop, SIGHUP reads configuration and certificate again.
fn watch_signals(
    supervisor: &Supervisor,
    shutdown: &Shutdown,
    watch: &Arc<ConfigWatch>,
    tls: Option<Tls>,
) -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::new(format!("cannot listen to signals: {error}")));
    let (mut terminate, mut interrupt, mut hangup) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?);
    let (shutdown, watch) = (shutdown.clone(), Arc::clone(watch));
    supervisor.spawn("signals", async move {
        loop {
            tokio::select! {
                _ = shutdown.begun() => return,
                _ = terminate.recv() => shutdown.begin(),
                _ = interrupt.recv() => shutdown.begin(),
                _ = hangup.recv() => match reload(&watch, tls.as_ref()) {
                    Ok(needs_restart) => tracing::info!(?needs_restart, "configuration reloaded"),
                    Err(error) => tracing::error!(%error, "not reloaded; what was in force stays in force"),
                },
            }
        }
    });
    Ok(())
}

/// Says which settings wait for a restart.
fn reload(watch: &ConfigWatch, tls: Option<&Tls>) -> Result<Vec<&'static str>, Failure> {
    let reload = watch.reload()?;
    if let Some(tls) = tls {
        tls.reload(&watch.current())?;
    }
    Ok(reload.needs_restart)
}

/// Accounts of the configuration that are not in the store yet. They have no password.
async fn make_accounts(store: &Store, directory: &Directory) -> Result<(), Failure> {
    for entry in directory.accounts() {
        let account = create(store, &entry.name, entry.quota).await?;
        let quota = entry.quota;
        account
            .write(move |write| {
                if write.usage().quota != quota {
                    write.set_quota(quota);
                }
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// Makes the accounts that a reload of the configuration brings.
async fn follow_accounts(store: Store, mut directory: watch::Receiver<Arc<Directory>>, shutdown: Shutdown) {
    while let Some(Ok(())) = shutdown.or_begun(directory.changed()).await {
        let present = Arc::clone(&directory.borrow_and_update());
        if let Err(error) = make_accounts(&store, &present).await {
            tracing::error!(%error, "cannot make the accounts of the new configuration");
        }
    }
}
