//! The control socket: how commands reach a running server.
//!
//! A Unix socket in the data directory that only its owner can open. One request, one line of JSON; one answer,
//! one line of JSON; for `stop` the answer comes first and the end of the connection says that the server has
//! ended. A command that finds no server opens the store itself; the store's lock keeps the two apart.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailstead_config::{Config, ConfigWatch};
use mailstead_names::Address;
use mailstead_runtime::{Deadline, Shutdown, Supervisor};
use mailstead_store::Store;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::cli::{AccountCommand, Place, QueueCommand, print};
use crate::failure::Failure;
use crate::operations::queue::{Deed, Scope};
use crate::operations::{Answer, Clear, Form, Request, Site};
use crate::wiring::Sending;
use crate::{password, serve};

/// Name of the socket in the data directory.
const SOCKET: &str = "control";
/// Longest request or answer.
const MOST_OCTETS: u64 = 16 << 20;
/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);

/// The directory and a path to the socket short enough for a socket address, which holds 108 octets; the
/// directory is kept open as long as the path is used.
fn short_path(directory: &Path) -> io::Result<(File, PathBuf)> {
    let open = File::open(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(SOCKET);
    Ok((open, path))
}

/// The socket of a running server. Removed when dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    socket: UnixListener,
    path: PathBuf,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // One that stays behind is replaced by the next server.
        let _ = fs::remove_file(&self.path);
    }
}

impl ControlSocket {
    /// Binds the socket. The caller holds the lock of the data directory, so a socket that is there already
    /// belongs to nobody.
    pub(crate) fn bind(data_directory: &Path) -> Result<Self, Failure> {
        let path = data_directory.join(SOCKET);
        let failed =
            |error: io::Error| Failure::new(format!("cannot make the control socket {}: {error}", path.display()));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let (_open, short) = short_path(data_directory).map_err(failed)?;
        let socket = UnixListener::bind(short).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(ControlSocket { socket, path })
    }

    /// Serves requests until the stop begins.
    pub(crate) async fn run(
        self,
        store: Store,
        config: Arc<ConfigWatch>,
        sending: Sending,
        supervisor: Supervisor,
        shutdown: Shutdown,
    ) {
        while let Some(accepted) = shutdown.or_begun(self.socket.accept()).await {
            let Ok((stream, _)) = accepted else { continue };
            let (store, config, sending) = (store.clone(), Arc::clone(&config), sending.clone());
            let shutdown = shutdown.clone();
            supervisor.spawn("control", async move {
                if let Err(error) =
                    answer(stream, Site { store: &store, config: &config, sending: &sending }, &shutdown).await
                {
                    tracing::warn!(%error, "control connection failed");
                }
            });
        }
    }
}

async fn answer(stream: UnixStream, site: Site<'_>, shutdown: &Shutdown) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    Deadline::after(PATIENCE).bound((&mut stream).take(MOST_OCTETS).read_line(&mut line)).await??;
    let request: Request = serde_json::from_str(&line)?;
    tracing::info!(?request, "control request");
    let is_stop = matches!(request, Request::Stop);
    let outcome = if is_stop { Ok("stopped".to_owned()) } else { site.perform(request).await };
    let answer = match outcome {
        Ok(text) => Answer::Done { text },
        Err(failure) => Answer::Failed { reason: failure.to_string() },
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    if is_stop {
        // Held until the runtime ends, outside of what a stop waits for: its end is what the client waits for.
        tokio::spawn(async move {
            let _held = stream;
            std::future::pending::<()>().await;
        });
        shutdown.begin();
    }
    Ok(())
}

/// Runs one of the account commands.
pub(crate) async fn account(command: AccountCommand) -> Result<(), Failure> {
    match command {
        AccountCommand::List(place) => run(&place, Request::AccountList).await,
        AccountCommand::Add { name, addresses, place } => {
            let password = Clear::new(&password::ask(&name)?);
            let addresses = addresses.iter().map(Address::unicode).collect();
            run(&place, Request::AccountAdd { name, addresses, password }).await
        }
        AccountCommand::Password { account, place } => {
            let password = Clear::new(&password::ask(&account)?);
            run(&place, Request::AccountPassword { account, password }).await
        }
        AccountCommand::Remove { name, yes: true, place } => run(&place, Request::AccountRemove { name }).await,
        AccountCommand::Remove { name, yes: false, .. } => {
            let message =
                format!("this deletes all mail of {name} for good; repeat the command with --yes if you mean it");
            Err(Failure::new(message))
        }
    }
}

/// Has the running server do it, or does it here when none is running, and prints what comes of it.
pub(crate) async fn run(place: &Place, request: Request) -> Result<(), Failure> {
    let text = obtain(place, request).await?;
    // Lists for programs may be empty.
    if text.is_empty() { Ok(()) } else { print(&text) }
}

async fn obtain(place: &Place, request: Request) -> Result<String, Failure> {
    let watch = ConfigWatch::load(&place.config_file())?;
    let config = watch.current();
    match connect(&config.data_directory).await? {
        Some(stream) => ask(stream, &request).await,
        None => without_server(&watch, &config, request).await,
    }
}

/// Runs one of the queue commands.
pub(crate) async fn queue(command: QueueCommand) -> Result<(), Failure> {
    let request =
        |filter, all, deed| Request::QueueDo { filter, scope: if all { Scope::All } else { Scope::Named }, deed };
    match command {
        QueueCommand::List { filter, json, place } => {
            let form = if json { Form::Json } else { Form::Words };
            run(&place, Request::QueueList { filter, form }).await
        }
        QueueCommand::Schedule { filter, all, after, place } => {
            run(&place, request(filter, all, Deed::Schedule(after.unwrap_or(0)))).await
        }
        QueueCommand::Fail { filter, all, place } => run(&place, request(filter, all, Deed::Fail)).await,
        QueueCommand::Drop { filter, all, place } => run(&place, request(filter, all, Deed::Drop)).await,
        QueueCommand::Dump { id, place } => dump(&place, id).await,
    }
}

/// Writes a message of the queue to standard output, piece by piece.
async fn dump(place: &Place, id: i64) -> Result<(), Failure> {
    let mut at = 0;
    loop {
        let piece = obtain(place, Request::QueueRead { id, at }).await?;
        let octets = STANDARD.decode(piece).map_err(|error| Failure::new(format!("the server answered: {error}")))?;
        if octets.is_empty() {
            return Ok(());
        }
        at += octets.len() as u64;
        let mut out = io::stdout().lock();
        let written = out.write_all(&octets).and_then(|()| out.flush());
        written.map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    }
}

/// A connection to the server of this data directory, if one is running.
async fn connect(data_directory: &Path) -> Result<Option<UnixStream>, Failure> {
    let connected = match short_path(data_directory) {
        Ok((_open, path)) => UnixStream::connect(path).await,
        Err(error) => Err(error),
    };
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => {
            let place = data_directory.join(SOCKET);
            Err(Failure::new(format!("cannot reach the server through {}: {error}", place.display())))
        }
    }
}

async fn ask(mut stream: UnixStream, request: &Request) -> Result<String, Failure> {
    let lost = |error: io::Error| Failure::new(format!("the server did not answer: {error}"));
    let mut line = serde_json::to_vec(request).map_err(|error| lost(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(lost)?;
    // To the end: after a stop that is when the server has ended.
    let mut octets = Vec::new();
    stream.take(MOST_OCTETS).read_to_end(&mut octets).await.map_err(lost)?;
    match serde_json::from_slice(&octets) {
        Ok(Answer::Done { text }) => Ok(text),
        Ok(Answer::Failed { reason }) => Err(Failure::new(reason)),
        Err(error) => Err(lost(error.into())),
    }
}

async fn without_server(watch: &ConfigWatch, config: &Config, request: Request) -> Result<String, Failure> {
    match request {
        Request::Stop => {
            return Err(Failure::new(format!("no server is running on {}", config.data_directory.display())));
        }
        Request::StoreCheck { .. }
        | Request::AccountList
        | Request::MessageWhy { .. }
        | Request::TransportExplain { .. }
        | Request::TlsResults { .. }
        | Request::PolicyCache { .. }
        | Request::QueueList { .. }
        | Request::QueueDo { .. }
        | Request::QueueRead { .. }
        | Request::PolicyForget { .. }
            if !config.data_directory.exists() =>
        {
            return Err(Failure::new(format!("there is no data in {} yet", config.data_directory.display())));
        }
        _ => {}
    }
    let store = Store::open(serve::store_options(config)).await?;
    let outcome = match Sending::idle(watch, config, &store) {
        Ok(sending) => Site { store: &store, config: watch, sending: &sending }.perform(request).await,
        Err(failure) => Err(failure),
    };
    store.close().await;
    outcome
}
