//! The rows of the outgoing queue: durable, claimed in batches, with what the queue engine notes in its own
//! encoding.
//!
//! A message is stored once for all its recipients; each recipient is a row with its own attempts. A claim
//! counts the attempt and moves the next one to the end of a lease, in one commit, before anybody dials:
//! after a crash nothing is tried again sooner than that. When to try again, what a result means and
//! whether a destination is busy is the queue engine's business.

mod listing;

use jiff::{SignedDuration, Timestamp};
use mailstead_names::{Address, ReversePath};

use crate::error::{Error, Result};
use crate::ids::{AccountId, BlobId};
use crate::messages::{MessageReader, StoredMessage};
use crate::sql::{Dialect, FromValue, Row, Value, json_list, params};
use crate::stage::Staged;
use crate::store::Store;
use crate::transaction::{Read, Write};

pub use listing::{Listing, Order};

/// The tables of this module, for the schema.
pub(crate) fn tables(_: Dialect) -> String {
    "create table queue_messages (
        id bigint not null primary key,
        submitter bigint,
        sender text not null,
        blob_id bigint not null,
        prefix bytea not null,
        size bigint not null,
        eight_bit bigint not null,
        smtputf8 bigint not null,
        demand_version bigint not null,
        demand bytea not null,
        created_at bigint not null
     );
     create table queue_recipients (
        id bigint not null primary key,
        message_id bigint not null,
        recipient text not null,
        destination text not null,
        attempts bigint not null,
        last_attempt_at bigint,
        next_attempt_at bigint not null,
        leased bigint not null,
        result_version bigint,
        result bytea
     );
     create index queue_recipients_next on queue_recipients (next_attempt_at, id);
     create index queue_recipients_message on queue_recipients (message_id);"
        .to_owned()
}

/// What the sender asked to be told about delivery, in the words of the envelope (RFC 3461 §4). New in version 3.
pub(crate) fn notification_columns(_: Dialect) -> String {
    "alter table queue_messages add column ret text;
     alter table queue_messages add column envid text;
     alter table queue_recipients add column notify text;
     alter table queue_recipients add column orcpt text;"
        .to_owned()
}

/// The rows of a destination that are due. New in version 4.
pub(crate) fn destination_index(_: Dialect) -> String {
    "create index queue_recipients_destination on queue_recipients (destination, next_attempt_at, id);".to_owned()
}

/// How many times as many rows as a claim asks for may go along, because they are for the same destinations.
const ALONG: usize = 10;

/// A row of the queue: one recipient of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub i64);

impl std::fmt::Display for QueueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<QueueId> for Value<'_> {
    fn from(id: QueueId) -> Self {
        Value::Int(id.0)
    }
}

impl FromValue for QueueId {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(QueueId)
    }
}

/// Something the queue engine encodes and the store only keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Version of the encoding.
    pub version: u32,
    /// The encoded data.
    pub octets: Vec<u8>,
}

/// A message to be queued.
#[derive(Debug, Clone)]
pub struct NewQueued {
    /// Who submitted it; `None` for what the server itself sends.
    pub submitter: Option<AccountId>,
    /// Reverse-path of the envelope.
    pub sender: ReversePath,
    /// Its recipients, each a row of its own.
    pub recipients: Vec<NewRecipient>,
    /// Its octets.
    pub staged: Staged,
    /// Header fields that stand in front of the staged octets, each ended by CRLF.
    pub prefix: Vec<u8>,
    /// Whether a body part is 8-bit (RFC 6152).
    pub eight_bit: bool,
    /// Whether it needs SMTPUTF8 (RFC 6531), whoever the recipient is.
    pub smtputf8: bool,
    /// What is demanded of its delivery.
    pub demand: Payload,
    /// Value of RET (RFC 3461 §4.3), if it was given.
    pub ret: Option<String>,
    /// Value of ENVID (RFC 3461 §4.4), decoded.
    pub envid: Option<String>,
}

/// A recipient of a message to be queued.
#[derive(Debug, Clone)]
pub struct NewRecipient {
    /// Forward-path of the envelope.
    pub recipient: Address,
    /// What the engine may be busy with: a domain, a next hop.
    pub destination: String,
    /// When to try first.
    pub next_attempt: Timestamp,
    /// Value of NOTIFY (RFC 3461 §4.1), if it was given.
    pub notify: Option<String>,
    /// Value of ORCPT (RFC 3461 §4.2), as it was given.
    pub orcpt: Option<String>,
}

/// A row of the queue with its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    /// Its number.
    pub id: QueueId,
    /// Shared by the recipients of one message.
    pub base: i64,
    /// Who submitted it.
    pub submitter: Option<AccountId>,
    /// Reverse-path.
    pub sender: ReversePath,
    /// Forward-path.
    pub recipient: Address,
    /// What the engine may be busy with.
    pub destination: String,
    /// Octets, prefix included.
    pub size: u64,
    /// Whether a body part is 8-bit.
    pub eight_bit: bool,
    /// Whether it needs SMTPUTF8, whoever the recipient is.
    pub smtputf8: bool,
    /// What is demanded of its delivery.
    pub demand: Payload,
    /// When it was queued.
    pub created: Timestamp,
    /// Attempts begun, the present one included.
    pub attempts: u32,
    /// When the last one began.
    pub last_attempt: Option<Timestamp>,
    /// When the next one is due; while one is under way, the end of its lease.
    pub next_attempt: Timestamp,
    /// Whether an attempt is under way, or was when the server stopped.
    pub leased: bool,
    /// What the engine noted of attempts so far.
    pub result: Option<Payload>,
    /// Value of RET, if it was given.
    pub ret: Option<String>,
    /// Value of ENVID, decoded.
    pub envid: Option<String>,
    /// Value of NOTIFY, if it was given.
    pub notify: Option<String>,
    /// Value of ORCPT, as it was given.
    pub orcpt: Option<String>,
}

/// What to claim.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Rows due by now.
    pub now: Timestamp,
    /// The destinations of this many rows, the first that are due; other rows that are due for them go along, up to ten times
    /// as many.
    pub limit: usize,
    /// How long nobody else tries them, whatever becomes of us.
    pub lease: SignedDuration,
    /// Destinations to leave alone.
    pub busy: Vec<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Delivered, or failed for good: the row goes.
    Finished,
    /// To be tried again.
    Deferred {
        /// When.
        next_attempt: Timestamp,
        /// What the engine notes.
        result: Payload,
    },
}

/// The queue's rows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueueStore {
    store: Store,
}

impl Store {
    /// The rows of the outgoing queue.
    #[must_use]
    pub fn queue(&self) -> QueueStore {
        QueueStore { store: self.clone() }
    }
}

impl QueueStore {
    /// Queues a message for its recipients, all or none. Returns after it is on the disk.
    pub async fn enqueue(&self, message: NewQueued) -> Result<Vec<QueueId>> {
        self.store.server_write(move |write| write.enqueue(&message)).await
    }

    /// Takes due rows for an attempt: the attempt is counted and the next one is the end of the lease.
    pub async fn claim(&self, claim: Claim) -> Result<Vec<QueueRow>> {
        self.store.server_write(move |write| write.claim(&claim)).await
    }

    /// Records what became of attempts and, in the same transaction, queues messages about it. Rows that are
    /// gone meanwhile are passed over.
    pub async fn settle(&self, settled: Vec<(QueueId, Settlement)>, notices: Vec<NewQueued>) -> Result<()> {
        self.store
            .server_write(move |write| {
                for (id, settlement) in &settled {
                    write.settle(*id, settlement)?;
                }
                notices.iter().try_for_each(|notice| write.enqueue(notice).map(drop))
            })
            .await
    }

    /// Removes a row after its last attempt.
    pub async fn finish(&self, id: QueueId) -> Result<()> {
        self.settle(vec![(id, Settlement::Finished)], Vec::new()).await
    }

    /// Lets a row wait for another attempt.
    pub async fn defer(&self, id: QueueId, next_attempt: Timestamp, result: Payload) -> Result<()> {
        self.settle(vec![(id, Settlement::Deferred { next_attempt, result })], Vec::new()).await
    }

    /// Moves the next attempts of rows, for the operator; says of which. Rows of an attempt that is under way stay.
    pub async fn reschedule(&self, ids: Vec<QueueId>, next_attempt: Timestamp) -> Result<Vec<QueueId>> {
        let ids = json_list(ids.into_iter().map(|id| id.0));
        self.store
            .server_write(move |write| {
                let sql = write.sql();
                let listed = sql.dialect().is_listed("id", "$1");
                let update = format!(
                    "update queue_recipients set next_attempt_at = $2 where {listed} and leased = 0 returning id"
                );
                sql.rows(&update, params![&ids, next_attempt], |row| row.get(0).map(QueueId))
            })
            .await
    }

    /// Holds rows for the operator, so that nobody else delivers them. No attempt is counted. Rows of an attempt that is
    /// under way are left out.
    pub async fn take(&self, ids: Vec<QueueId>, now: Timestamp, lease: SignedDuration) -> Result<Vec<QueueRow>> {
        let ids = json_list(ids.into_iter().map(|id| id.0));
        let until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        self.store
            .server_write(move |write| {
                let sql = write.sql();
                let listed = sql.dialect().is_listed("id", "$1");
                let update = format!(
                    "update queue_recipients set next_attempt_at = $2, leased = 1
                        where {listed} and leased = 0 returning id"
                );
                let held: Vec<i64> = sql.rows(&update, params![&ids, until], |row| row.get(0))?;
                let shown = sql.dialect().is_listed("r.id", "$1");
                write.queue_rows(&format!("where {shown} order by r.id"), params![&json_list(held)])
            })
            .await
    }

    /// Ends the leases that the last run of the server left behind, to be called at start before the first
    /// claim. `next_attempt` says when to try a row again; the attempt stays counted.
    pub async fn reclaim(
        &self,
        next_attempt: impl Fn(&QueueRow) -> Timestamp + Send + Sync + 'static,
    ) -> Result<usize> {
        self.store
            .server_write(move |write| {
                let leased = write.queue_rows("where r.leased = 1 order by r.id", params![])?;
                for row in &leased {
                    write.sql().execute(
                        "update queue_recipients set leased = 0, next_attempt_at = $2 where id = $1",
                        params![row.id, next_attempt(row)],
                    )?;
                }
                Ok(leased.len())
            })
            .await
    }

    /// The rows by number after `after`, at most `limit` of them.
    pub async fn list(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueueRow>> {
        self.page(Listing::everything(limit), after.map(|id| (id, Timestamp::MIN))).await
    }

    /// One row.
    pub async fn row(&self, id: QueueId) -> Result<Option<QueueRow>> {
        self.store.server_read(move |read| Ok(read.queue_rows("where r.id = $1", params![id])?.pop())).await
    }

    /// How many rows there are.
    pub async fn count(&self) -> Result<u64> {
        self.store
            .server_read(|read| Ok(read.sql().scalar("select count(*) from queue_recipients", &[])?.unwrap_or(0)))
            .await
    }

    /// When the next row is due, the ends of leases included.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.store
            .server_read(|read| {
                let earliest = "select next_attempt_at from queue_recipients order by next_attempt_at limit 1";
                read.sql().scalar(earliest, &[])
            })
            .await
    }

    /// Opens the message of a row, prefix included, for sending. `None` when the row is gone.
    pub async fn open(&self, id: QueueId) -> Result<Option<MessageReader>> {
        let stored = self
            .store
            .server_read(move |read| {
                let Some((prefix, blob)) = read.queued_octets(id)? else { return Ok(None) };
                Ok(Some(StoredMessage::new(prefix, read.open_blob(blob)?)))
            })
            .await?;
        Ok(stored.map(|stored| MessageReader::new(stored, self.store.clone())))
    }

    /// The message of a row as a staged one with its prefix, for delivery to a local account without
    /// copying a large body. `None` when the row is gone.
    pub async fn stage(&self, id: QueueId) -> Result<Option<(Vec<u8>, Staged)>> {
        self.store
            .server_read(move |read| {
                let Some((prefix, blob)) = read.queued_octets(id)? else { return Ok(None) };
                let (body, file) = read.stage_blob(blob)?;
                Ok(Some((prefix, Staged::stored(body, file)?)))
            })
            .await
    }
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Write<'_> {
    fn enqueue(&mut self, message: &NewQueued) -> Result<Vec<QueueId>> {
        if message.recipients.is_empty() {
            return Ok(Vec::new());
        }
        let blob = self.put_blob(&message.staged)?;
        let base = self.next_id();
        let size = message.staged.size() + message.prefix.len() as u64;
        self.sql().execute(
            "insert into queue_messages (id, submitter, sender, blob_id, prefix, size, eight_bit, smtputf8,
                    demand_version, demand, created_at, ret, envid)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            params![
                base,
                message.submitter,
                &message.sender.to_string(),
                blob,
                &message.prefix,
                i64::try_from(size).unwrap_or(i64::MAX),
                message.eight_bit,
                message.smtputf8,
                message.demand.version,
                &message.demand.octets,
                self.now(),
                message.ret.as_deref(),
                message.envid.as_deref(),
            ],
        )?;
        let mut ids = Vec::with_capacity(message.recipients.len());
        for recipient in &message.recipients {
            let id = QueueId(self.next_id());
            self.sql().execute(
                "insert into queue_recipients (id, message_id, recipient, destination, attempts, next_attempt_at, leased,
                        notify, orcpt)
                    values ($1, $2, $3, $4, 0, $5, 0, $6, $7)",
                params![
                    id,
                    base,
                    &recipient.recipient.to_string(),
                    &recipient.destination,
                    recipient.next_attempt,
                    recipient.notify.as_deref(),
                    recipient.orcpt.as_deref(),
                ],
            )?;
            ids.push(id);
        }
        Ok(ids)
    }

    fn claim(&mut self, claim: &Claim) -> Result<Vec<QueueRow>> {
        let texts = |list: &[String]| serde_json::to_string(list).map_err(|error| Error::corrupt(error.to_string()));
        let busy = texts(&claim.busy)?;
        let sql = self.sql();
        let free = format!(
            "select destination from queue_recipients where next_attempt_at <= $1
                and destination not in (select t from {} b) order by next_attempt_at, id limit $2",
            sql.dialect().text_list("$3")
        );
        let mut destinations: Vec<String> =
            sql.rows(&free, params![claim.now, bounded(claim.limit), &busy], |row| row.get(0))?;
        destinations.sort_unstable();
        destinations.dedup();
        // Whatever else is due for them goes along.
        let together = format!(
            "select id from queue_recipients where next_attempt_at <= $1
                and destination in (select t from {} d) order by next_attempt_at, id limit $2",
            sql.dialect().text_list("$3")
        );
        let most = bounded(claim.limit.saturating_mul(ALONG));
        let due: Vec<i64> = sql.rows(&together, params![claim.now, most, &texts(&destinations)?], |row| row.get(0))?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let due = json_list(due);
        let (claimed, shown) = (sql.dialect().is_listed("id", "$1"), sql.dialect().is_listed("r.id", "$1"));
        sql.execute(
            &format!(
                "update queue_recipients set attempts = attempts + 1, last_attempt_at = $2, next_attempt_at = $3, leased = 1
                    where {claimed}"
            ),
            params![&due, claim.now, claim.now.checked_add(claim.lease).unwrap_or(Timestamp::MAX)],
        )?;
        self.queue_rows(&format!("where {shown} order by r.id"), params![&due])
    }

    fn settle(&mut self, id: QueueId, settlement: &Settlement) -> Result<()> {
        match settlement {
            Settlement::Finished => self.remove_queued(id).map(drop),
            Settlement::Deferred { next_attempt, result } => {
                self.sql().execute(
                    "update queue_recipients set leased = 0, next_attempt_at = $2, result_version = $3, result = $4
                        where id = $1",
                    params![id, *next_attempt, result.version, &result.octets],
                )?;
                Ok(())
            }
        }
    }

    /// Removes a row, and its message with the last recipient.
    fn remove_queued(&mut self, id: QueueId) -> Result<bool> {
        let sql = self.sql();
        let removed: Option<i64> =
            sql.scalar("delete from queue_recipients where id = $1 returning message_id", params![id])?;
        let Some(message) = removed else { return Ok(false) };
        let gone: Option<BlobId> = sql.scalar(
            "delete from queue_messages where id = $1
                and not exists (select 1 from queue_recipients r where r.message_id = $1) returning blob_id",
            params![message],
        )?;
        if let Some(blob) = gone {
            self.release_blob(blob)?;
        }
        Ok(true)
    }
}

impl Read<'_> {
    fn queue_rows(&self, which: &str, params: &[Value<'_>]) -> Result<Vec<QueueRow>> {
        let sql = format!(
            "select r.id, m.id, m.submitter, m.sender, r.recipient, r.destination, m.size, m.eight_bit, m.smtputf8,
                    m.demand_version, m.demand, m.created_at, r.attempts, r.last_attempt_at, r.next_attempt_at, r.leased,
                    r.result_version, r.result, m.ret, m.envid, r.notify, r.orcpt
                from queue_recipients r join queue_messages m on m.id = r.message_id {which}"
        );
        self.sql().rows(&sql, params, queue_row)
    }

    fn queued_octets(&self, id: QueueId) -> Result<Option<(Vec<u8>, BlobId)>> {
        self.sql().row(
            "select m.prefix, m.blob_id from queue_recipients r join queue_messages m on m.id = r.message_id
                where r.id = $1",
            params![id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }
}

fn queue_row(row: &Row<'_>) -> Result<QueueRow> {
    let odd = |_| Error::corrupt("an address in the queue");
    let result_version: Option<u32> = row.get(16)?;
    let result = match result_version {
        Some(version) => Some(Payload { version, octets: row.get(17)? }),
        None => None,
    };
    Ok(QueueRow {
        id: row.get(0)?,
        base: row.get(1)?,
        submitter: row.get(2)?,
        sender: ReversePath::parse(&row.get::<String>(3)?).map_err(odd)?,
        recipient: Address::parse(&row.get::<String>(4)?).map_err(odd)?,
        destination: row.get(5)?,
        size: row.get(6)?,
        eight_bit: row.get(7)?,
        smtputf8: row.get(8)?,
        demand: Payload { version: row.get(9)?, octets: row.get(10)? },
        created: row.get(11)?,
        attempts: row.get(12)?,
        last_attempt: row.get(13)?,
        next_attempt: row.get(14)?,
        leased: row.get(15)?,
        result,
        ret: row.get(18)?,
        envid: row.get(19)?,
        notify: row.get(20)?,
        orcpt: row.get(21)?,
    })
}
