//! What the closure of a transaction sees: [`Read`] over a snapshot, [`Write`] in a group.
//!
//! The operations themselves are in the rooms that own the tables (`mailboxes`, `messages`, `changes`,
//! `search`, ...), as `impl Read` and `impl Write` blocks. Here are the account's counters and the effects
//! outside of the database that wait for the commit.

use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;

use crate::blobs::BlobStore;
use crate::content::Content;
use crate::error::{Error, Result};
use crate::ids::{AccountId, MessageId, ModSeq, UidValidity};
use crate::search::Terms;
use crate::sql::{Connection, params};

/// A consistent view of an account, within `Account::read` or `Account::write`.
pub struct Read<'c> {
    sql: &'c dyn Connection,
    files: &'c dyn BlobStore,
    account: AccountId,
}

impl fmt::Debug for Read<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("account", &self.account).finish_non_exhaustive()
    }
}

impl<'c> Read<'c> {
    pub(crate) fn new(sql: &'c dyn Connection, files: &'c dyn BlobStore, account: AccountId) -> Self {
        Read { sql, files, account }
    }

    /// The account.
    #[must_use]
    pub fn account_id(&self) -> AccountId {
        self.account
    }

    pub(crate) fn sql(&self) -> &'c dyn Connection {
        self.sql
    }

    pub(crate) fn files(&self) -> &'c dyn BlobStore {
        self.files
    }

    /// How many octets the account's messages have, and its quota if it has one.
    pub fn usage(&self) -> Result<Usage> {
        let state = State::load(self)?;
        Ok(Usage { used: state.used.unsigned_abs(), quota: state.quota.map(i64::unsigned_abs) })
    }

    /// The highest modseq of anything in the account.
    pub fn account_modseq(&self) -> Result<ModSeq> {
        Ok(State::load(self)?.modseq)
    }
}

/// Storage in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Octets of all messages.
    pub used: u64,
    /// The most there may be; `None` for no limit.
    pub quota: Option<u64>,
}

/// The account's counters, a copy of its `account_state` row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    next_id: i64,
    modseq: ModSeq,
    next_uid_validity: UidValidity,
    used: i64,
    quota: Option<i64>,
}

impl State {
    fn load(read: &Read<'_>) -> Result<Self> {
        read.sql
            .row(
                "select next_id, modseq, next_uid_validity, used, quota from account_state where account_id = $1",
                params![read.account],
                |row| {
                    Ok(State {
                        next_id: row.get(0)?,
                        modseq: row.get(1)?,
                        next_uid_validity: row.get(2)?,
                        used: row.get(3)?,
                        quota: row.get(4)?,
                    })
                },
            )?
            .ok_or(Error::NoAccount)
    }

    fn store(&self, read: &Read<'_>) -> Result<()> {
        read.sql.execute(
            "update account_state set next_id = $2, modseq = $3, next_uid_validity = $4, used = $5, quota = $6
             where account_id = $1",
            params![read.account, self.next_id, self.modseq, self.next_uid_validity, self.used, self.quota],
        )?;
        Ok(())
    }
}

/// What a group does outside of the database.
#[derive(Debug, Default, Clone)]
pub(crate) struct Effects {
    /// Files linked, whose directories must be synced before the commit.
    pub(crate) added: Vec<String>,
    /// Files that no row names any more, to be removed after the commit.
    pub(crate) removed: Vec<String>,
}

/// A change of the search index that waits for the end of its group.
///
/// FTS5 writes out what it has in memory at every savepoint. Were the index changed within the closures'
/// savepoints, each message would become a segment of its own, to be merged at a great cost; so the changes
/// of all closures that succeed are made together, in their order, just before the commit. A closure that
/// searches does not find what it stored itself.
pub(crate) enum Indexing {
    Add { id: MessageId, content: Content, prefix: Terms },
    Copy { original: MessageId, copy: MessageId },
    Remove { id: MessageId },
}

/// A transaction that changes an account, within `Account::write`.
pub struct Write<'c> {
    read: Read<'c>,
    now: Timestamp,
    state: State,
    stored: State,
    /// Whether the closure that now runs has its modseq already.
    modseq_taken: bool,
    effects: Effects,
    indexing: Vec<Indexing>,
}

impl fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("account", &self.read.account).finish_non_exhaustive()
    }
}

impl<'c> Deref for Write<'c> {
    type Target = Read<'c>;

    fn deref(&self) -> &Self::Target {
        &self.read
    }
}

/// Where to go back to when a closure fails.
pub(crate) struct Mark {
    state: State,
    effects: (usize, usize),
    indexing: usize,
}

impl<'c> Write<'c> {
    /// At the beginning of a group's transaction.
    pub(crate) fn begin(read: Read<'c>, now: Timestamp) -> Result<Self> {
        let state = State::load(&read)?;
        let (effects, indexing) = (Effects::default(), Vec::new());
        Ok(Write { read, now, stored: state.clone(), state, modseq_taken: false, effects, indexing })
    }

    /// Before a closure of the group.
    pub(crate) fn mark(&mut self) -> Mark {
        self.modseq_taken = false;
        Mark {
            state: self.state.clone(),
            effects: (self.effects.added.len(), self.effects.removed.len()),
            indexing: self.indexing.len(),
        }
    }

    /// After a closure failed and its savepoint was rolled back.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.state = mark.state;
        self.effects.added.truncate(mark.effects.0);
        self.effects.removed.truncate(mark.effects.1);
        self.indexing.truncate(mark.indexing);
    }

    /// At the end of the group: writes the index and the counters, gives the effects and, if anything changed, the modseq.
    pub(crate) fn end(mut self) -> Result<(Effects, Option<ModSeq>)> {
        let indexing = std::mem::take(&mut self.indexing);
        self.apply_indexing(&indexing)?;
        if self.state != self.stored {
            self.state.store(&self.read)?;
        }
        // A file released by one closure may have been stored again by a later one.
        let mut effects = self.effects;
        let mut gone = Vec::new();
        for name in effects.removed.drain(..) {
            let sql = "select 1 from blobs where account_id = $1 and file = $2";
            if self.read.sql.scalar::<i64>(sql, params![self.read.account, &name])?.is_none() {
                gone.push(name);
            }
        }
        effects.removed = gone;
        let changed = (self.state.modseq != self.stored.modseq).then_some(self.state.modseq);
        Ok((effects, changed))
    }

    /// The time of this transaction.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Storage in use, with what this transaction did so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage { used: self.state.used.unsigned_abs(), quota: self.state.quota.map(i64::unsigned_abs) }
    }

    /// Sets or removes the limit of storage.
    pub fn set_quota(&mut self, quota: Option<u64>) {
        self.state.quota = quota.map(|octets| i64::try_from(octets).unwrap_or(i64::MAX));
    }

    /// A number that no row of the account has had.
    pub(crate) fn next_id(&mut self) -> i64 {
        let id = self.state.next_id;
        self.state.next_id += 1;
        id
    }

    /// The modseq of all that this closure changes. Taken only by a change, so that a closure without one
    /// wakes nobody.
    pub(crate) fn modseq(&mut self) -> ModSeq {
        if !self.modseq_taken {
            self.modseq_taken = true;
            self.state.modseq = ModSeq(self.state.modseq.0 + 1);
        }
        self.state.modseq
    }

    /// The account's modseq as of now, without taking one.
    pub fn account_modseq(&self) -> Result<ModSeq> {
        Ok(self.state.modseq)
    }

    pub(crate) fn next_uid_validity(&mut self) -> UidValidity {
        let next = self.state.next_uid_validity;
        self.state.next_uid_validity = UidValidity(next.0.wrapping_add(1).max(1));
        next
    }

    /// Counts octets in or out, and refuses what passes the quota.
    pub(crate) fn use_octets(&mut self, octets: i64) -> Result<()> {
        let used = self.state.used.saturating_add(octets);
        if octets > 0 && self.state.quota.is_some_and(|quota| used > quota) {
            return Err(Error::OverQuota);
        }
        self.state.used = used;
        Ok(())
    }

    /// Changes the index at the end of the group.
    pub(crate) fn index(&mut self, change: Indexing) {
        self.indexing.push(change);
    }

    pub(crate) fn added_file(&mut self, name: &str) {
        self.effects.added.push(name.to_owned());
    }

    pub(crate) fn removed_file(&mut self, name: String) {
        self.effects.removed.push(name);
    }
}
