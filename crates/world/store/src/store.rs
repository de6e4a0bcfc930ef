//! Opening a store, and what its handles share.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mailstead_names::Secret;
use mailstead_runtime::{BlockingPool, Clock, PoolError};
use tokio::sync::watch;

use crate::blobs::{BlobFiles, BlobStore};
use crate::error::{Error, IoContext, OpenError, Result};
use crate::ids::{AccountId, ModSeq};
use crate::lock::Lock;
use crate::refused::Retention;
use crate::sql::{Access, Connections, Database, Engine, Lease, PostgresEngine, SqliteEngine};
use crate::stage::{Spool, Stage, Staged};
use crate::transaction::{Read, Write};
use crate::writer::{Lane, Writers};

/// Which database.
#[derive(Debug, Clone)]
pub enum Backend {
    /// One file for the server and one for each account, in the data directory.
    Sqlite,
    /// One PostgreSQL database; large bodies stay in the data directory.
    Postgres {
        /// Connection string, `postgres://user@host/database` or the key-value form.
        url: Secret<String>,
    },
}

/// How a store is to be opened. The defaults suit a machine with 1 GB of memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory; created if it is not there.
    pub directory: PathBuf,
    /// Which database.
    pub backend: Backend,
    /// Time of deliveries, saves and leases.
    pub clock: Arc<dyn Clock>,
    /// Threads for read transactions.
    pub readers: usize,
    /// Threads that write, sync and analyse bodies. Apart from the readers, so that slow searches do not
    /// hold up mail.
    pub stagers: usize,
    /// Password hashes computed at the same time; each takes tens of megabytes.
    pub hashers: usize,
    /// Threads for write transactions. They mostly wait for the disk.
    pub writers: usize,
    /// Connections kept open when idle.
    pub idle_connections: usize,
    /// Bodies up to this many octets lie in the database; docs/decisions/0003-blob-threshold.md.
    pub inline_max: usize,
    /// Free octets on the disk below which no body is staged.
    pub free_floor: u64,
    /// How much is kept of messages that were refused.
    pub refused: Retention,
}

impl Options {
    /// The defaults for this directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Options {
            directory: directory.into(),
            backend: Backend::Sqlite,
            clock,
            readers: 4,
            stagers: 4,
            hashers: 2,
            writers: 16,
            idle_connections: 96,
            inline_max: 128 * 1024,
            free_floor: 64 * 1024 * 1024,
            refused: Retention::default(),
        }
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

struct Inner {
    core: Arc<Core>,
    writers: Arc<Writers>,
    readers: BlockingPool,
    hashing: BlockingPool,
    spool: Spool,
    refused: Retention,
    server: Arc<Shared>,
    accounts: Mutex<HashMap<AccountId, Arc<Shared>>>,
    closed: AtomicBool,
}

impl Drop for Inner {
    /// A store that nobody closed: what was begun is finished in the background.
    fn drop(&mut self) {
        self.writers.close();
        let (core, writers) = (Arc::clone(&self.core), Arc::clone(&self.writers));
        // On a thread of its own, because the PostgreSQL client must not end on one that runs tasks.
        let ending = std::thread::Builder::new().name("store-end".to_owned()).spawn(move || core.end(&writers));
        if let Err(error) = ending {
            tracing::warn!(%error, "the store was not closed in order");
        }
    }
}

/// What the writing threads need too. The lock is released with the last of them.
pub(crate) struct Core {
    pub(crate) connections: Connections,
    pub(crate) files: Box<dyn BlobStore>,
    pub(crate) clock: Arc<dyn Clock>,
    lock: Mutex<Option<Lock>>,
}

/// What the handles of one account share.
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) name: String,
    pub(crate) lane: Lane,
    pub(crate) notices: watch::Sender<ModSeq>,
    /// Set when the account is being removed; from then on nothing is read or written.
    pub(crate) removed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(database: Database, name: String) -> Self {
        Shared {
            database,
            name,
            lane: Lane::default(),
            notices: watch::Sender::new(ModSeq(0)),
            removed: AtomicBool::new(false),
        }
    }
}

impl Core {
    /// Waits for the writers, closes all connections and gives up the lock. Blocks; may be done twice.
    fn end(&self, writers: &Writers) {
        writers.join();
        self.connections.close();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// A connection to an account's database.
    pub(crate) fn lease(&self, shared: &Shared, access: Access) -> Result<Lease<'_>> {
        if shared.removed.load(Ordering::Acquire) {
            return Err(Error::NoAccount);
        }
        self.connections.lease(shared.database, access)
    }

    /// A connection with a transaction begun. One that broke while it was idle (the PostgreSQL server was
    /// restarted) is found out here, where nothing is lost yet, and another is made.
    pub(crate) fn begin(&self, shared: &Shared, access: Access) -> Result<Lease<'_>> {
        let begin = || {
            let lease = self.lease(shared, access)?;
            match access {
                Access::Read => lease.begin_read(),
                Access::Write => lease.begin_write(shared.database.account()),
            }
            .map(|()| lease)
        };
        begin().or_else(|_| {
            self.connections.forget(shared.database);
            begin()
        })
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Panicked(text) => Error::Panicked(text),
            _ => Error::Closed,
        }
    }
}

/// Creates a directory that only we can enter.
pub(crate) fn create_directory(directory: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).at("create", directory)
}

impl Store {
    /// Opens a store; a new one is created. Older databases are brought up to date, after a backup.
    ///
    /// # Errors
    /// Each case of [`OpenError`]; nothing is changed then.
    pub async fn open(options: Options) -> Result<Store, OpenError> {
        let readers = BlockingPool::new(options.readers, options.readers * 64);
        let pool = readers.clone();
        let store = readers.run(move || Store::open_blocking(options, pool)).await.map_err(Error::from)??;
        store.remove_unfinished().await?;
        Ok(store)
    }

    fn open_blocking(options: Options, readers: BlockingPool) -> Result<Store, OpenError> {
        let directory = &options.directory;
        create_directory(directory)?;
        let lock = Lock::directory(directory)?;
        let (engine, lock): (Arc<dyn Engine>, Lock) = match &options.backend {
            Backend::Sqlite => (Arc::new(SqliteEngine::new(directory)), lock),
            Backend::Postgres { url } => {
                let engine =
                    PostgresEngine::new(url.expose()).map_err(|error| OpenError::Connect(error.to_string()))?;
                let lock = lock.with_database(&engine)?;
                (Arc::new(engine), lock)
            }
        };
        Store::assemble(options, engine, lock, readers)
    }

    /// Puts a store together over an engine.
    pub(crate) fn assemble(
        options: Options,
        engine: Arc<dyn Engine>,
        lock: Lock,
        readers: BlockingPool,
    ) -> Result<Store, OpenError> {
        let directory = &options.directory;
        crate::schema::prepare(&*engine)?;
        let spool = Spool {
            directory: directory.join("spool"),
            inline_max: options.inline_max,
            free_floor: options.free_floor,
            pool: BlockingPool::new(options.stagers, options.stagers * 64),
        };
        Spool::prepare(&spool.directory)?;
        let core = Arc::new(Core {
            connections: Connections::new(engine, options.idle_connections),
            files: Box::new(BlobFiles::new(directory)),
            clock: options.clock,
            lock: Mutex::new(Some(lock)),
        });
        let writers = Arc::new(Writers::new());
        writers.start(options.writers, &core)?;
        let server = Arc::new(Shared::new(Database::Server, String::new()));
        let inner = Inner {
            core,
            writers,
            readers,
            hashing: crate::passwords::hashing_pool(),
            spool,
            refused: options.refused,
            server,
            accounts: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Finishes what was begun, closes the databases and gives up the lock. Other handles get
    /// [`Error::Closed`] from then on.
    pub async fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.writers.close();
        let inner = Arc::clone(&self.inner);
        let closed = self.inner.readers.run(move || inner.core.end(&inner.writers));
        // A pool that is closed already has no one left to wait for.
        let _ = closed.await;
        self.inner.readers.close();
    }

    /// Begins to receive a body.
    #[must_use]
    pub fn stage(&self) -> Stage {
        Stage::new(self.inner.spool.clone())
    }

    /// The octets of a range of a staged body; what lies beyond the end is left out. Read a large one in pieces.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub async fn read_staged(&self, staged: &Staged, range: Range<u64>) -> Result<Vec<u8>> {
        if staged.body().in_memory().is_some() {
            return staged.body().read_at(range);
        }
        let body = staged.body().clone();
        self.spool().run(move || body.read_at(range)).await
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.inner.spool
    }

    pub(crate) fn retention(&self) -> Retention {
        self.inner.refused
    }

    /// The pool for password hashes.
    pub(crate) fn hashing(&self) -> &BlockingPool {
        &self.inner.hashing
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }

    pub(crate) fn known_accounts(&self) -> MutexGuard<'_, HashMap<AccountId, Arc<Shared>>> {
        self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A snapshot of the server's own tables.
    pub(crate) async fn server_read<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        self.read_in(&self.inner.server, closure).await
    }

    /// A transaction in the server's own tables; rules as for `Account::write`.
    pub(crate) async fn server_write<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.write_in(&self.inner.server, closure).await
    }

    pub(crate) async fn read_in<T, F>(&self, shared: &Arc<Shared>, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        self.check_open()?;
        let (core, shared) = (Arc::clone(&self.inner.core), Arc::clone(shared));
        self.inner.readers.run(move || read_blocking(&core, &shared, closure)).await?
    }

    pub(crate) async fn write_in<T, F>(&self, shared: &Arc<Shared>, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.check_open()?;
        self.inner.writers.submit(shared, closure).await.map_err(|_| Error::Closed)?
    }

    fn check_open(&self) -> Result<()> {
        if self.inner.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }
}

/// Runs a closure over one snapshot.
pub(crate) fn read_blocking<T>(
    core: &Core,
    shared: &Shared,
    closure: impl FnOnce(&Read<'_>) -> Result<T>,
) -> Result<T> {
    let lease = core.begin(shared, Access::Read)?;
    let result = closure(&Read::new(&*lease, &*core.files, shared.database.account()));
    match lease.rollback() {
        Ok(()) => result,
        Err(error) => {
            lease.discard();
            result.and(Err(error))
        }
    }
}
