//! What happens when the database fails in the middle of a group.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mailstead_runtime::{BlockingPool, SystemClock};
use tempfile::TempDir;

use crate::accounts::{Account, NewAccount};
use crate::error::{Error, OpenError, Result};
use crate::ids::AccountId;
use crate::lock::Lock;
use crate::refused::Refused;
use crate::sql::{Access, Connection, Database, Dialect, Engine, Row, SqliteEngine, Value};
use crate::store::{Options, Store};
use crate::transaction::Write;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The next commit meets another transaction, which undid this one.
    ConflictAtCommit,
    /// The next commit finds the disk full.
    FullAtCommit,
    /// Statements with this word find the disk full, and the engine ends the transaction.
    FullAt(&'static str),
}

#[derive(Default)]
struct Faults {
    next: Mutex<Option<Fault>>,
    commits: AtomicUsize,
}

impl Faults {
    fn set(&self, fault: Fault) {
        *self.next.lock().expect("not poisoned") = Some(fault);
    }

    fn is(&self, matches: impl Fn(Fault) -> bool) -> Option<Fault> {
        let next = self.next.lock().expect("not poisoned");
        next.filter(|fault| matches(*fault))
    }

    fn take(&self, matches: impl Fn(Fault) -> bool) -> Option<Fault> {
        let fault = self.is(matches);
        if fault.is_some() {
            *self.next.lock().expect("not poisoned") = None;
        }
        fault
    }
}

struct FaultyEngine(SqliteEngine, Arc<Faults>);

impl Engine for FaultyEngine {
    fn dialect(&self) -> Dialect {
        self.0.dialect()
    }
    fn pool_key(&self, database: Database) -> Database {
        self.0.pool_key(database)
    }
    fn connect(&self, database: Database, access: Access) -> Result<Box<dyn Connection>> {
        Ok(Box::new(FaultyConnection(self.0.connect(database, access)?, Arc::clone(&self.1))))
    }
    fn describe(&self, database: Database) -> String {
        self.0.describe(database)
    }
    fn existing(&self) -> Result<Vec<Database>, OpenError> {
        self.0.existing()
    }
    fn inspect(&self, database: Database, known: i64) -> Result<Option<i64>, OpenError> {
        self.0.inspect(database, known)
    }
    fn settle(&self, connection: &dyn Connection) -> Result<()> {
        self.0.settle(connection)
    }
    fn create(&self, database: Database) -> Result<()> {
        self.0.create(database)
    }
    fn remove(&self, database: Database) -> Result<()> {
        self.0.remove(database)
    }
    fn back_up(&self, database: Database, connection: &dyn Connection, version: i64) -> Result<()> {
        self.0.back_up(database, connection, version)
    }
}

struct FaultyConnection(Box<dyn Connection>, Arc<Faults>);

impl FaultyConnection {
    fn before(&self, sql: &str) -> Result<()> {
        let hit = self.1.is(|fault| matches!(fault, Fault::FullAt(word) if sql.contains(word)));
        if hit.is_some() {
            self.0.rollback()?;
            return Err(Error::DiskFull);
        }
        Ok(())
    }
}

impl Connection for FaultyConnection {
    fn dialect(&self) -> Dialect {
        self.0.dialect()
    }
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        self.before(sql)?;
        self.0.execute(sql, params)
    }
    fn query(&self, sql: &str, params: &[Value<'_>], each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        self.0.query(sql, params, each)
    }
    fn batch(&self, sql: &str) -> Result<()> {
        self.0.batch(sql)
    }
    fn begin(&self) -> Result<()> {
        self.0.begin()
    }
    fn begin_read(&self) -> Result<()> {
        self.0.begin_read()
    }
    fn begin_write(&self, account: AccountId) -> Result<()> {
        self.0.begin_write(account)
    }
    fn commit(&self) -> Result<()> {
        match self.1.take(|fault| matches!(fault, Fault::ConflictAtCommit | Fault::FullAtCommit)) {
            None => {
                self.1.commits.fetch_add(1, Ordering::Relaxed);
                self.0.commit()
            }
            Some(fault) => {
                self.0.rollback()?;
                Err(if fault == Fault::FullAtCommit { Error::DiskFull } else { Error::Conflict })
            }
        }
    }
    fn rollback(&self) -> Result<()> {
        self.0.rollback()
    }
    fn in_transaction(&self) -> bool {
        self.0.in_transaction()
    }
    fn is_reusable(&self) -> bool {
        self.0.is_reusable()
    }
    fn schema_version(&self) -> Result<i64> {
        self.0.schema_version()
    }
    fn set_schema_version(&self, version: i64) -> Result<()> {
        self.0.set_schema_version(version)
    }
}

/// A closure that holds its lane and then fails, so that what waits behind it makes one group of its own; with what
/// tells that it runs, and what releases it.
fn hold() -> (
    impl Fn(&mut Write<'_>) -> Result<()> + Send + Sync + 'static,
    tokio::sync::oneshot::Receiver<()>,
    std::sync::mpsc::Sender<()>,
) {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let (started, has_started) = tokio::sync::oneshot::channel();
    let started = Mutex::new(Some(started));
    let closure = move |_: &mut Write<'_>| {
        if let Some(started) = started.lock().expect("not poisoned").take() {
            let _ = started.send(());
        }
        let _ = held.lock().expect("not poisoned").recv();
        Err(Error::NoMailbox)
    };
    (closure, has_started, release)
}

struct Fixture {
    _directory: TempDir,
    faults: Arc<Faults>,
    store: Store,
    account: Account,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("made");
        let faults = Arc::new(Faults::default());
        let engine = Arc::new(FaultyEngine(SqliteEngine::new(directory.path()), Arc::clone(&faults)));
        let options = Options::new(directory.path(), Arc::new(SystemClock));
        let lock = Lock::directory(directory.path()).expect("free");
        let store = Store::assemble(options, engine, lock, BlockingPool::new(2, 8)).expect("opens");
        let account = store.create_account(NewAccount::named("alice")).await.expect("created");
        Fixture { _directory: directory, faults, store, account }
    }

    /// Starts writes behind one that holds the lane, so that they make one group; gives what became of them.
    async fn group(&self, names: &[&'static str]) -> Vec<Result<()>> {
        let (hold, started, release) = hold();
        let account = self.account.clone();
        let first = tokio::spawn(async move { account.write(hold).await });
        started.await.expect("started");
        let mut writes = Vec::new();
        for &name in names {
            let account = self.account.clone();
            writes.push(tokio::spawn(async move {
                account.write(move |write| write.create_mailbox(name, None).map(|_| ())).await
            }));
            tokio::task::yield_now().await;
        }
        release.send(()).expect("held");
        assert!(first.await.expect("ends").is_err());
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(write.await.expect("ends"));
        }
        outcomes
    }

    async fn names(&self) -> Vec<String> {
        #[allow(clippy::redundant_closure_for_method_calls, reason = "the method is not general enough over lifetimes")]
        let all = self.account.read(|read| read.mailboxes()).await.expect("read");
        all.into_iter().map(|mailbox| mailbox.name).filter(|name| name.len() == 1).collect()
    }
}

#[tokio::test]
async fn a_group_is_one_commit() {
    let fixture = Fixture::new().await;
    let before = fixture.faults.commits.load(Ordering::Relaxed);
    let outcomes = fixture.group(&["a", "b", "c"]).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(fixture.faults.commits.load(Ordering::Relaxed), before + 1);
    assert_eq!(fixture.names().await, ["a", "b", "c"]);
    fixture.store.close().await;
}

#[tokio::test]
async fn a_conflict_at_commit_runs_the_group_again() {
    let fixture = Fixture::new().await;
    let mut notices = fixture.account.notices();
    fixture.faults.set(Fault::ConflictAtCommit);
    let outcomes = fixture.group(&["a", "b"]).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(fixture.names().await, ["a", "b"]);
    notices.changed().await;
    fixture.store.close().await;
}

#[tokio::test]
async fn a_full_disk_at_commit_is_everybodys() {
    let fixture = Fixture::new().await;
    fixture.faults.set(Fault::FullAtCommit);
    let outcomes = fixture.group(&["a", "b"]).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::DiskFull))), "{outcomes:?}");
    assert!(fixture.names().await.is_empty());
    assert!(fixture.group(&["c"]).await[0].is_ok(), "and the account works again");
    fixture.store.close().await;
}

#[tokio::test]
async fn a_statement_that_ends_the_transaction_fails_only_its_closure() {
    let fixture = Fixture::new().await;
    fixture.faults.set(Fault::FullAt("insert into subscriptions"));
    let faults = Arc::clone(&fixture.faults);
    let account = fixture.account.clone();
    let renamed = async {
        // Needs no subscription, so it does not meet the fault.
        account
            .write(|write| {
                let id = write.mailbox_by_name("Junk")?.ok_or(Error::NoMailbox)?.id;
                write.rename_mailbox(id, "J").map(|_| ())
            })
            .await
    };
    let (outcomes, renamed) = tokio::join!(fixture.group(&["a"]), renamed);
    assert!(matches!(outcomes[0], Err(Error::DiskFull)), "{outcomes:?}");
    renamed.expect("done");
    faults.take(|_| true);
    assert_eq!(fixture.names().await, ["J"]);
    fixture.store.close().await;
}

fn refused(reference: &str) -> Refused {
    Refused { reference: reference.to_owned(), at: jiff::Timestamp::now(), version: 1, payload: b"{}".to_vec() }
}

#[tokio::test]
async fn a_flood_of_refused_messages_shares_a_commit() {
    let fixture = Fixture::new().await;
    let (hold, started, release) = hold();
    let store = fixture.store.clone();
    let first = tokio::spawn(async move { store.server_write(hold).await });
    started.await.expect("started");
    let before = fixture.faults.commits.load(Ordering::Relaxed);
    let mut puts = Vec::new();
    for _ in 0..100 {
        let refusals = fixture.store.refused();
        puts.push(tokio::spawn(async move { refusals.put(refused("spam")).await }));
        tokio::task::yield_now().await;
    }
    release.send(()).expect("held");
    assert!(first.await.expect("ends").is_err());
    for put in puts {
        put.await.expect("ends").expect("kept");
    }
    assert_eq!(fixture.faults.commits.load(Ordering::Relaxed), before + 1);
    assert_eq!(fixture.store.refused().find("spam", 1000).await.expect("read").len(), 100);
    fixture.store.close().await;
}

#[tokio::test]
async fn a_refused_message_that_is_not_kept_is_an_error() {
    let fixture = Fixture::new().await;
    fixture.faults.set(Fault::FullAtCommit);
    let put = fixture.store.refused().put(refused("a")).await;
    assert!(matches!(put, Err(Error::DiskFull)), "{put:?}");
    fixture.store.refused().put(refused("b")).await.expect("and the next one is kept");
    assert!(fixture.store.refused().find("a", 1).await.expect("read").is_empty());
    assert_eq!(fixture.store.refused().find("b", 9).await.expect("read").len(), 1);
    fixture.store.close().await;
}
