//! The control socket: how commands reach a running server.
//!
//! A Unix socket in the data directory that only its owner can open. One request, one line of JSON; the answer, one
//! line of JSON, before which there may be others with parts of it, so that neither side holds a long one; for `stop`
//! the answer comes first and the end of the connection says that the server has ended. A command that finds no server
//! opens the store and answers itself; the store's lock keeps the two apart.

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
use mailstead_queue::Deed;
use mailstead_runtime::{Deadline, Shutdown, Supervisor};
use mailstead_store::Store;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::cli::{AccountCommand, Place, QueueCommand, print};
use crate::failure::Failure;
use crate::operations::queue::Results;
use crate::operations::{Answer, Clear, Form, Parts, Request, Site};
use crate::wiring::Sending;
use crate::{password, serve};

/// Name of the socket in the data directory.
const SOCKET: &str = "control";
/// Longest request, and longest line of an answer.
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
    let outcome = if is_stop { Ok("stopped".to_owned()) } else { perform(&mut stream, site, request).await? };
    let answer = match outcome {
        Ok(text) => Answer::Done { text },
        Err(failure) => Answer::Failed { reason: failure.to_string() },
    };
    send(&mut stream, &answer).await?;
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

/// Does what is asked, and hands on the parts of the answer as they come. Nothing more is done for a client that is gone.
async fn perform(
    stream: &mut BufReader<UnixStream>,
    site: Site<'_>,
    request: Request,
) -> io::Result<Result<String, Failure>> {
    let (parts, mut given) = Parts::new();
    let hand_on = async move {
        while let Some(text) = given.recv().await {
            send(stream, &Answer::Part { text }).await?;
        }
        Ok(())
    };
    let (outcome, handed_on) = tokio::join!(site.perform(request, parts), hand_on);
    handed_on.map(|()| outcome)
}

async fn send(stream: &mut BufReader<UnixStream>, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line).await
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
    obtain(place, request, print).await
}

/// The same, but hands what comes of it to `each`, part by part; lists for programs may be empty.
async fn obtain(place: &Place, request: Request, each: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let watch = ConfigWatch::load(&place.config_file())?;
    let config = watch.current();
    match connect(&config.data_directory).await? {
        Some(stream) => ask(stream, &request, each).await,
        None => without_server(&watch, &config, request, each).await,
    }
}

/// Runs one of the queue commands.
pub(crate) async fn queue(command: QueueCommand) -> Result<(), Failure> {
    let (meant, deed) = match command {
        QueueCommand::List { filter, sort, results, json, place } => {
            let form = if json { Form::Json } else { Form::Words };
            let results = if results { Results::All } else { Results::Last };
            return run(&place, Request::QueueList { filter: filter.into(), sort, results, form }).await;
        }
        QueueCommand::Dump { id, place } => return obtain(&place, Request::QueueDump { id }, write_out).await,
        QueueCommand::Schedule { meant, wait, .. } => (meant, Deed::Schedule(wait.unwrap_or_default())),
        QueueCommand::Fail { meant } => (meant, Deed::Fail),
        QueueCommand::Drop { meant } => (meant, Deed::Drop),
    };
    let (filter, scope, place) = meant.into_parts();
    run(&place, Request::QueueDo { filter, scope, deed }).await
}

/// Writes a piece of a message to standard output.
fn write_out(piece: &str) -> Result<(), Failure> {
    let octets = STANDARD.decode(piece).map_err(|error| Failure::new(format!("the server answered: {error}")))?;
    let mut out = io::stdout().lock();
    let written = out.write_all(&octets).and_then(|()| out.flush());
    written.map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))
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

async fn ask(
    stream: UnixStream,
    request: &Request,
    mut each: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let lost = |error: io::Error| Failure::new(format!("the server did not answer: {error}"));
    let mut stream = BufReader::new(stream);
    let mut line = serde_json::to_vec(request).map_err(|error| lost(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(lost)?;
    let mut outcome = Err(lost(io::ErrorKind::UnexpectedEof.into()));
    // To the end: after a stop that is when the server has ended.
    loop {
        line.clear();
        (&mut stream).take(MOST_OCTETS).read_until(b'\n', &mut line).await.map_err(lost)?;
        if line.is_empty() {
            return outcome;
        }
        let (text, ends) = match serde_json::from_slice(&line).map_err(|error| lost(error.into()))? {
            Answer::Part { text } => (text, false),
            Answer::Done { text } => (text, true),
            Answer::Failed { reason } => {
                outcome = Err(Failure::new(reason));
                continue;
            }
        };
        if !text.is_empty() {
            each(&text)?;
        }
        if ends {
            outcome = Ok(());
        }
    }
}

async fn without_server(
    watch: &ConfigWatch,
    config: &Config,
    request: Request,
    each: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
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
        | Request::QueueDump { .. }
        | Request::TlsKeyList { .. }
        | Request::TlsKeyRemove { .. }
        | Request::PolicyForget { .. }
            if !config.data_directory.exists() =>
        {
            return Err(Failure::new(format!("there is no data in {} yet", config.data_directory.display())));
        }
        _ => {}
    }
    let store = Store::open(serve::store_options(config)).await?;
    let outcome = match Sending::idle(watch, config, &store).await {
        Ok(sending) => answer_here(Site { store: &store, config: watch, sending: &sending }, &request, each).await,
        Err(failure) => Err(failure),
    };
    store.close().await;
    outcome
}

/// Answers as a server would.
async fn answer_here(
    site: Site<'_>,
    request: &Request,
    each: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Nothing is under way where no server runs; what its last run was delivering when it ended is taken back, as the next
    // one would.
    if matches!(request, Request::QueueList { .. } | Request::QueueDo { .. }) {
        site.sending.queue.take_back().await?;
    }
    let (ours, theirs) = UnixStream::pair().map_err(|error| Failure::new(format!("cannot make a socket: {error}")))?;
    let shutdown = Shutdown::new(Duration::ZERO);
    let (asked, answered) = tokio::join!(ask(ours, request, each), answer(theirs, site, &shutdown));
    // Why an answer was not read to its end is what whoever asked says.
    asked.and(answered.map_err(|error| Failure::new(format!("no answer: {error}"))))
}
