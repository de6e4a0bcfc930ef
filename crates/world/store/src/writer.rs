//! Group commit: whatever waits to write to one account runs in one transaction and shares its fsync.
//!
//! Each account (and the server) has a [`Lane`] of waiting closures. A few threads take lanes in turn, run
//! up to [`GROUP`] closures of a lane, each in a savepoint, and commit; meanwhile the next closures gather.
//! Results and notices are released after the commit only.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::ids::ModSeq;
use crate::sql::{Access, Connection, Lease};
use crate::store::{Core, Shared};
use crate::transaction::{Read, Write};

/// Most closures in one transaction; bounds how long one waits and how large a WAL frame grows.
const GROUP: usize = 256;

/// How often a group is run again after a conflict or a lost transaction.
const ATTEMPTS: usize = 8;

/// A closure waiting to be run, with the one who waits for its result.
trait Job: Send {
    /// Whether the caller still waits.
    fn is_wanted(&self) -> bool;
    /// Runs the closure and keeps what it gives.
    fn run(&mut self, write: &mut Write<'_>) -> Result<()>;
    /// Hands out what the last run gave, or why it does not count.
    fn finish(self: Box<Self>, committed: Result<()>);
}

struct Closure<T, F> {
    closure: F,
    result: Option<T>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Closure<T, F>
where
    T: Send,
    F: Fn(&mut Write<'_>) -> Result<T> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn run(&mut self, write: &mut Write<'_>) -> Result<()> {
        self.result = None;
        match catch_unwind(AssertUnwindSafe(|| (self.closure)(write))) {
            Ok(result) => {
                self.result = Some(result?);
                Ok(())
            }
            Err(payload) => Err(Error::Panicked(panic_text(payload.as_ref()))),
        }
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let Closure { closure, result, answer } = *self;
        // What the closure holds (a spool file) is let go before the caller goes on.
        drop(closure);
        let result = match (committed, result) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(Error::Closed),
            (Err(error), _) => Err(error),
        };
        // Who stopped waiting does not want the result.
        let _ = answer.send(result);
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// The closures that wait for one account.
#[derive(Default)]
pub(crate) struct Lane {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Box<dyn Job>>,
    /// Whether a thread has the lane or it stands in the queue for one.
    scheduled: bool,
}

impl Lane {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Closures run outside of the lock, so a poisoned one still guards whole data.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads that write.
pub(crate) struct Writers {
    ready: Mutex<Ready>,
    wake: Condvar,
}

#[derive(Default)]
struct Ready {
    lanes: VecDeque<Arc<Shared>>,
    closed: bool,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Writers {
    pub(crate) fn new() -> Self {
        Writers { ready: Mutex::default(), wake: Condvar::new() }
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the threads. They end when the store is closed.
    pub(crate) fn start(self: &Arc<Self>, threads: usize, core: &Arc<Core>) -> Result<()> {
        for number in 0..threads.max(1) {
            let (writers, core) = (Arc::clone(self), Arc::clone(core));
            let builder = std::thread::Builder::new().name(format!("store-writer-{number}"));
            let spawned = builder.spawn(move || {
                while let Some(shared) = writers.next() {
                    writers.run_lane(&core, &shared);
                }
            });
            let thread = spawned.map_err(|source| Error::Io { what: "start", path: "a thread".into(), source })?;
            self.ready().threads.push(thread);
        }
        Ok(())
    }

    /// Adds a closure to an account's lane; the result comes after its commit.
    pub(crate) fn submit<T, F>(&self, shared: &Arc<Shared>, closure: F) -> oneshot::Receiver<Result<T>>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let mut waiting = shared.lane.waiting();
        waiting.jobs.push_back(Box::new(Closure { closure, result: None, answer }));
        if !std::mem::replace(&mut waiting.scheduled, true) {
            let mut ready = self.ready();
            if !ready.closed {
                ready.lanes.push_back(Arc::clone(shared));
                self.wake.notify_one();
                return answered;
            }
            // The threads may have ended: nobody would come. Dropping a closure answers `Error::Closed`; not
            // under the locks, because it may hold the last handle to the store.
            let refused = std::mem::take(&mut *waiting);
            drop((ready, waiting));
            drop(refused);
        }
        answered
    }

    /// Puts a lane back for what gathered while its group ran, also while the store is closing.
    fn schedule(&self, shared: &Arc<Shared>) {
        self.ready().lanes.push_back(Arc::clone(shared));
        self.wake.notify_one();
    }

    /// The next lane with work, or `None` when the store is closed and all is written.
    fn next(&self) -> Option<Arc<Shared>> {
        let mut ready = self.ready();
        loop {
            if let Some(lane) = ready.lanes.pop_front() {
                return Some(lane);
            }
            if ready.closed {
                return None;
            }
            ready = self.wake.wait(ready).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs one group of a lane and puts the lane back at the end of the queue if more wait.
    fn run_lane(&self, core: &Core, shared: &Arc<Shared>) {
        let jobs: Vec<Box<dyn Job>> = {
            let mut waiting = shared.lane.waiting();
            let count = waiting.jobs.len().min(GROUP);
            waiting.jobs.drain(..count).collect()
        };
        // Closures are guarded one by one; should anything else panic, the lane must not stand still. The
        // callers of the group get `Error::Closed`.
        if catch_unwind(AssertUnwindSafe(|| Group::new(jobs).run(core, shared))).is_err() {
            tracing::error!(account = %shared.database.account(), "a group of transactions panicked");
        }
        let mut waiting = shared.lane.waiting();
        waiting.scheduled = !waiting.jobs.is_empty();
        if waiting.scheduled {
            drop(waiting);
            self.schedule(shared);
        }
    }

    /// Lets the threads finish what waits and end.
    pub(crate) fn close(&self) {
        self.ready().closed = true;
        self.wake.notify_all();
    }

    /// Waits for the threads, after [`Writers::close`]. Blocks.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut self.ready().threads);
        for thread in threads {
            // The last user of the store may be one of these threads.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// A closure of a group and what its last run said.
struct Member {
    job: Box<dyn Job>,
    /// `None` until it has run, or when it is to run again.
    outcome: Option<Result<()>>,
}

/// What is run in one transaction.
struct Group {
    members: Vec<Member>,
}

/// Why a transaction came to its end without a commit.
enum Undone {
    /// Run what is left once more.
    Again(Error),
    /// Nobody's closure can be stored.
    Failed(Error),
}

impl Group {
    fn new(jobs: Vec<Box<dyn Job>>) -> Self {
        let wanted = jobs.into_iter().filter(|job| job.is_wanted());
        Group { members: wanted.map(|job| Member { job, outcome: None }).collect() }
    }

    /// Runs the group until it is committed or given up, and hands out the results.
    fn run(mut self, core: &Core, shared: &Shared) {
        if self.members.is_empty() {
            return;
        }
        match self.attempts(core, shared) {
            Ok(modseq) => {
                if let Some(modseq) = modseq {
                    shared.notices.send_replace(modseq);
                }
                for member in self.members {
                    member.job.finish(member.outcome.unwrap_or(Err(Error::Closed)));
                }
            }
            Err(error) => {
                tracing::error!(account = %shared.database.account(), %error, "a group of transactions was not stored");
                for member in self.members {
                    let own = member.outcome.and_then(Result::err);
                    member.job.finish(Err(own.unwrap_or_else(|| error.echo())));
                }
            }
        }
    }

    fn attempts(&mut self, core: &Core, shared: &Shared) -> Result<Option<ModSeq>> {
        let mut last = Error::Conflict;
        for _ in 0..ATTEMPTS {
            let lease = core.begin(shared, Access::Write)?;
            match self.transaction(core, shared, &lease) {
                Ok(modseq) => return Ok(modseq),
                Err(undone) => {
                    abandon(lease);
                    match undone {
                        Undone::Failed(error) => return Err(error),
                        Undone::Again(error) => last = error,
                    }
                }
            }
        }
        Err(last)
    }

    /// The rest of a transaction that was begun, with all closures that have not failed for good.
    fn transaction(&mut self, core: &Core, shared: &Shared, lease: &Lease<'_>) -> Result<Option<ModSeq>, Undone> {
        let sql: &dyn Connection = &**lease;
        let account = shared.database.account();
        let read = Read::new(sql, &*core.files, account);
        let mut write = Write::begin(read, core.clock.now()).map_err(Undone::Failed)?;
        for member in &mut self.members {
            if matches!(member.outcome, Some(Err(ref error)) if ends_transaction(error)) {
                continue;
            }
            member.outcome = None;
            member.run(sql, &mut write)?;
        }
        if self.members.iter().all(|member| matches!(member.outcome, Some(Err(_)))) {
            sql.rollback().map_err(Undone::from)?;
            return Ok(None);
        }
        let (effects, modseq) = write.end().map_err(Undone::from)?;
        core.files.sync(account, &effects.added).map_err(Undone::Failed)?;
        sql.commit().map_err(Undone::from)?;
        for name in &effects.removed {
            // The rows are gone; a file that stays is an orphan that `check` reclaims.
            if let Err(error) = core.files.remove(account, name) {
                tracing::warn!(%account, %error, "a message file was not removed");
            }
        }
        Ok(modseq)
    }
}

impl Member {
    /// Runs the closure in a savepoint. An error of its own is kept; one that ended the whole transaction
    /// is returned.
    fn run(&mut self, sql: &dyn Connection, write: &mut Write<'_>) -> Result<(), Undone> {
        sql.batch("savepoint closure").map_err(Undone::from)?;
        let mark = write.mark();
        let outcome = self.job.run(write);
        let undone = match &outcome {
            Ok(()) => {
                sql.batch("release savepoint closure").map_err(Undone::from)?;
                None
            }
            Err(Error::Conflict) => return Err(Undone::Again(Error::Conflict)),
            Err(error) if ends_transaction(error) => Some(Undone::Again(error.echo())),
            Err(_) => {
                write.back_to(mark);
                // The statement may have ended the transaction (SQLite does on a full disk); then this fails.
                let back = sql.batch("rollback to savepoint closure; release savepoint closure");
                back.err().map(Undone::Again)
            }
        };
        self.outcome = Some(outcome);
        undone.map_or(Ok(()), Err)
    }
}

/// Errors after which an engine may have ended the transaction, so that the others of the group must run
/// again, without the one that failed.
fn ends_transaction(error: &Error) -> bool {
    matches!(error, Error::DiskFull | Error::Corrupt(_))
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict => Undone::Again(error),
            _ => Undone::Failed(error),
        }
    }
}

/// Ends a transaction that will not commit. A connection that cannot is closed.
fn abandon(lease: Lease<'_>) {
    if lease.in_transaction() && lease.rollback().is_err() {
        lease.discard();
    }
}

#[cfg(test)]
mod tests;
