//! What is known of messages that were not stored, for a bounded time: found again by the reference that their
//! senders were told.
//!
//! A flood of refused mail must cost little. Rows are numbered without gaps by their coming, so that the
//! newest are told from the rest by their numbers alone; each row that is put removes a few of those that
//! passed a limit, found by an index. Puts that wait at the same time share a commit, as all writes do.

use jiff::{SignedDuration, Timestamp};

use crate::error::{Error, Result};
use crate::facts::MAX_REFERENCE;
use crate::sql::{Dialect, Row, json_list, params};
use crate::store::Store;
use crate::transaction::Write;

/// Longest payload in octets. Evidence takes some thousands; this many times the default number of rows is
/// what a flood can fill of the disk.
pub(crate) const MAX_PAYLOAD: usize = 64 * 1024;

/// Rows of each kind (too old, too many) that one put removes at most. More than the one it adds, so that a
/// surplus from before a limit was lowered or the server stood still shrinks without a long transaction.
const REMOVED_AT_ONCE: usize = 16;

/// The tables of this module, for the schema.
pub(crate) fn tables(_: Dialect) -> String {
    "create table refused (
        id bigint not null primary key,
        reference text not null,
        at bigint not null,
        version bigint not null,
        payload bytea not null
     );
     create index refused_reference on refused (reference, id);
     create index refused_at on refused (at);"
        .to_owned()
}

/// What is kept of a message that was not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A word by which it can be found again; several may have the same. At most 128 octets.
    pub reference: String,
    /// When it was refused.
    pub at: Timestamp,
    /// Version of the encoding.
    pub version: u32,
    /// The encoded facts, at most 64 KiB.
    pub payload: Vec<u8>,
}

impl Refused {
    fn of(row: &Row<'_>) -> Result<Self> {
        Ok(Refused { reference: row.get(0)?, at: row.get(1)?, version: row.get(2)?, payload: row.get(3)? })
    }

    fn check(&self) -> Result<()> {
        let bounds = [
            ("a reference", self.reference.len(), MAX_REFERENCE),
            ("what is known of a refused message", self.payload.len(), MAX_PAYLOAD),
        ];
        match bounds.into_iter().find(|(_, size, most)| size > most) {
            Some((what, size, most)) => Err(Error::TooLarge { what, size, most }),
            None => Ok(()),
        }
    }
}

/// How much is kept of what was refused. What passes either limit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long, by the time of the refusal.
    pub age: SignedDuration,
    /// How many, the newest.
    pub rows: u32,
}

impl Default for Retention {
    /// 30 days and 10,000 rows: longer than people take to ask, and less disk than a large mailbox.
    fn default() -> Self {
        Retention { age: SignedDuration::from_hours(30 * 24), rows: 10_000 }
    }
}

impl Retention {
    /// What was refused before this has passed its age.
    fn oldest(self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.age).unwrap_or(Timestamp::MIN)
    }
}

/// What is known of messages that were not stored. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RefusedStore {
    store: Store,
}

impl Store {
    /// What is known of messages that were not stored.
    #[must_use]
    pub fn refused(&self) -> RefusedStore {
        RefusedStore { store: self.clone() }
    }
}

impl RefusedStore {
    /// Keeps what is known of a message that was not stored. Returns after it is on the disk; it is for the
    /// caller to bound how many wait for that.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a reference of more than 128 octets or a payload of more than 64 KiB;
    /// [`Error::DiskFull`], [`Error::Closed`] and the database's own as for any write.
    pub async fn put(&self, refused: Refused) -> Result<()> {
        refused.check()?;
        let retention = self.store.retention();
        self.store.server_write(move |write| write.put_refused(&refused, retention)).await
    }

    /// What has this reference and is not too old, latest first, at most `most` of it.
    pub async fn find(&self, reference: &str, most: usize) -> Result<Vec<Refused>> {
        let (reference, most) = (reference.to_owned(), i64::try_from(most).unwrap_or(i64::MAX));
        let oldest = self.store.retention().oldest(self.store.core().clock.now());
        self.store
            .server_read(move |read| {
                read.sql().rows(
                    "select reference, at, version, payload from refused where reference = $1 and at >= $2
                        order by id desc limit $3",
                    params![&reference, oldest, most],
                    Refused::of,
                )
            })
            .await
    }
}

impl Write<'_> {
    fn put_refused(&mut self, refused: &Refused, retention: Retention) -> Result<()> {
        let Refused { reference, at, version, payload } = refused;
        let number: Option<i64> = self.sql().scalar(
            "insert into refused (id, reference, at, version, payload)
                values (coalesce((select r.id from refused r order by r.id desc limit 1), 0) + 1, $1, $2, $3, $4)
                returning id",
            params![reference, *at, *version, payload],
        )?;
        let number = number.ok_or_else(|| Error::corrupt("a row just stored has no number"))?;
        self.prune_refused(number - i64::from(retention.rows), retention.oldest(self.now()))
    }

    /// Removes some of the rows up to a number and before a time. That both are looked for in the order of an
    /// index, a few at most, lets neither engine think of reading the whole table.
    fn prune_refused(&mut self, last: i64, oldest: Timestamp) -> Result<()> {
        let sql = self.sql();
        let surplus = format!(
            "select n.id from (select id from refused where id <= $1 order by id limit {REMOVED_AT_ONCE}) n
             union select a.id from (select id from refused where at < $2 order by at limit {REMOVED_AT_ONCE}) a"
        );
        let surplus: Vec<i64> = sql.rows(&surplus, params![last, oldest], |row| row.get(0))?;
        if !surplus.is_empty() {
            let listed = sql.dialect().is_listed("id", "$1");
            sql.execute(&format!("delete from refused where {listed}"), params![&json_list(surplus)])?;
        }
        Ok(())
    }
}
