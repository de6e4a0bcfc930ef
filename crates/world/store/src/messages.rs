//! Messages: storing, flags, copying, moving, expunging, reading.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use mailstead_message::Structure;

use crate::blobs::Body;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::flags::{FlagChange, Flags, SystemFlags};
use crate::ids::{BlobId, MailboxId, MessageId, ModSeq, ThreadId, Uid, UidSet, UidValidity};
use crate::mailboxes::Delta;
use crate::search::Terms;
use crate::sql::{Row, Value, params};
use crate::stage::Staged;
use crate::store::Store;
use crate::threads::Newcomer;
use crate::transaction::{Indexing, Read, Write};

/// Rows read at a time where all of a mailbox may be meant.
const BATCH: usize = 500;

/// Longest Message-ID that can be looked up; PostgreSQL cannot index much longer ones.
const MAX_MESSAGE_ID: usize = 998;

/// How long a delivery is remembered; longer than any queue tries.
const DELIVERY_MEMORY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A message to be stored.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Where to.
    pub mailbox: MailboxId,
    /// Its octets.
    pub staged: Staged,
    /// Header fields that stand in front of the staged octets, each ended by CRLF.
    pub prefix: Vec<u8>,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE.
    pub received_at: Timestamp,
    /// What engines want to keep beside it.
    pub facts: Vec<Facts>,
}

/// Where a message was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub id: MessageId,
    /// Its UID.
    pub uid: Uid,
    /// UIDVALIDITY of the mailbox, for APPENDUID.
    pub uid_validity: UidValidity,
    /// The modseq.
    pub modseq: ModSeq,
}

/// Names one delivery to one account, so that one done again after a crash is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub String);

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Stored now.
    New(Appended),
    /// This delivery was done before.
    Duplicate,
}

/// The state of a message that a view of a mailbox keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageState {
    /// Its UID.
    pub uid: Uid,
    /// Its number.
    pub id: MessageId,
    /// Its flags.
    pub flags: Flags,
    /// When it last changed.
    pub modseq: ModSeq,
}

/// How much of a message to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The row only; `content` is `None`.
    Row,
    /// With structure and preview.
    Content,
}

/// A stored message without its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// UID, number, flags, modseq.
    pub state: MessageState,
    /// When it came into the account; kept across MOVE.
    pub create_modseq: ModSeq,
    /// RFC822.SIZE, prefix included.
    pub size: u64,
    /// INTERNALDATE.
    pub received_at: Timestamp,
    /// SAVEDATE (RFC 8514).
    pub save_date: Timestamp,
    /// Its conversation.
    pub thread: ThreadId,
    /// Its body without the prefix.
    pub(crate) blob: BlobId,
    /// If asked for.
    pub content: Option<MessageContent>,
}

/// The stored findings about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageContent {
    structure: Vec<u8>,
    /// The first words of its text, at most 256 characters.
    pub preview: String,
}

impl MessageContent {
    /// Where its parts are, and its envelope. Offsets count the prefix.
    pub fn structure(&self) -> Result<Structure> {
        Structure::decode(&self.structure).map_err(|error| Error::corrupt(format!("a stored structure: {error}")))
    }
}

/// The columns of [`MessageState`] and [`MessageRow`].
const STATE_COLUMNS: &str = "m.uid, m.id, m.flags, m.keywords, m.modseq";
const ROW_COLUMNS: &str = "m.create_modseq, m.size, m.received_at, m.save_date, m.thread_id, m.blob_id";
const CONTENT_COLUMNS: &str = "c.structure, c.preview";

impl MessageState {
    pub(crate) fn of(row: &Row<'_>) -> Result<Self> {
        let keywords: String = row.get(3)?;
        Ok(MessageState {
            uid: row.get(0)?,
            id: row.get(1)?,
            flags: Flags::from_stored(row.get(2)?, &keywords),
            modseq: row.get(4)?,
        })
    }

    /// What the message counts for in its mailbox.
    fn counts(&self, size: u64) -> Delta {
        let has = |flag| i64::from(self.flags.system.contains(flag));
        Delta {
            total: 1,
            unseen: 1 - has(SystemFlags::SEEN),
            deleted: has(SystemFlags::DELETED),
            size: size.cast_signed(),
        }
    }
}

impl MessageRow {
    fn of(row: &Row<'_>) -> Result<Self> {
        Ok(MessageRow {
            state: MessageState::of(row)?,
            create_modseq: row.get(5)?,
            size: row.get(6)?,
            received_at: row.get(7)?,
            save_date: row.get(8)?,
            thread: row.get(9)?,
            blob: row.get(10)?,
            content: None,
        })
    }

    fn with_content(row: &Row<'_>) -> Result<Self> {
        let content = MessageContent { structure: row.get(11)?, preview: row.get(12)? };
        Ok(MessageRow { content: Some(content), ..MessageRow::of(row)? })
    }
}

impl Detail {
    /// A query for rows with this detail, up to its conditions on `m`.
    fn select(self) -> String {
        match self {
            Detail::Row => format!("select {STATE_COLUMNS}, {ROW_COLUMNS} from messages m where m.account_id = $1"),
            Detail::Content => format!(
                "select {STATE_COLUMNS}, {ROW_COLUMNS}, {CONTENT_COLUMNS} from messages m
                    join message_content c on c.account_id = m.account_id and c.id = m.id where m.account_id = $1"
            ),
        }
    }

    fn reader(self) -> fn(&Row<'_>) -> Result<MessageRow> {
        match self {
            Detail::Row => MessageRow::of,
            Detail::Content => MessageRow::with_content,
        }
    }
}

/// What a STORE did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagsOutcome {
    /// The messages whose flags are others now, with the new ones. One that had them already is not here.
    pub changed: Vec<MessageState>,
    /// The messages that were changed by another since, and left alone (RFC 7162 §3.1.3).
    pub failed: Vec<Uid>,
    /// Keywords that the mailbox did not have before, for an untagged FLAGS.
    pub new_keywords: Vec<String>,
}

/// A stored message opened within a transaction.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    prefix: Vec<u8>,
    body: Body,
}

impl StoredMessage {
    pub(crate) fn new(prefix: Vec<u8>, body: Body) -> Self {
        StoredMessage { prefix, body }
    }

    /// Length in octets, prefix included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.prefix.len() as u64 + self.body.size()
    }

    /// The octets of a range; what lies beyond the end is left out. Blocks on the disk.
    pub fn read_at(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let cut = self.prefix.len() as u64;
        let (from_prefix, from_body) =
            (range.start.min(cut)..range.end.min(cut), range.start.max(cut)..range.end.max(cut));
        let mut octets = usize::try_from(from_prefix.start)
            .ok()
            .zip(usize::try_from(from_prefix.end).ok())
            .and_then(|(start, end)| self.prefix.get(start..end))
            .unwrap_or_default()
            .to_vec();
        if !from_body.is_empty() {
            octets.extend(self.body.read_at(from_body.start - cut..from_body.end - cut)?);
        }
        Ok(octets)
    }

    /// The octets that were staged, without the prefix.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The header fields put in front.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }
}

/// A message opened for random access from asynchronous code. Stays readable after the message is expunged.
#[derive(Debug, Clone)]
pub struct MessageReader {
    message: StoredMessage,
    store: Store,
}

impl MessageReader {
    pub(crate) fn new(message: StoredMessage, store: Store) -> Self {
        MessageReader { message, store }
    }

    /// Length in octets, prefix included: RFC822.SIZE.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.message.size()
    }

    /// The octets of a range; what lies beyond the end is left out. Read a large message in pieces.
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        if self.message.body.in_memory().is_some() {
            return self.message.read_at(range);
        }
        let message = self.message.clone();
        self.store.spool().run(move || message.read_at(range)).await
    }
}

impl Read<'_> {
    /// The state of every message of a mailbox, by UID.
    pub fn message_states(&self, mailbox: MailboxId) -> Result<Vec<MessageState>> {
        self.states_where(mailbox, "true", &[])
    }

    /// The states of the messages of a mailbox for which a condition holds; `$3` and up are `more`.
    pub(crate) fn states_where(
        &self,
        mailbox: MailboxId,
        condition: &str,
        more: &[Value<'_>],
    ) -> Result<Vec<MessageState>> {
        let sql = format!(
            "select {STATE_COLUMNS} from messages m
                where m.account_id = $1 and m.mailbox_id = $2 and {condition} order by m.uid"
        );
        let params = [params![self.account_id(), mailbox], more].concat();
        self.sql().rows(&sql, &params, MessageState::of)
    }

    /// The UIDs of a mailbox, in order.
    pub fn uids(&self, mailbox: MailboxId) -> Result<Vec<Uid>> {
        let sql = "select uid from messages where account_id = $1 and mailbox_id = $2 order by uid";
        self.sql().rows(sql, params![self.account_id(), mailbox], |row| row.get(0))
    }

    /// The first `limit` messages of a set, by UID. UIDs that do not exist are skipped.
    /// For more, ask again with `set.after(last)`.
    pub fn messages(&self, mailbox: MailboxId, set: &UidSet, detail: Detail, limit: usize) -> Result<Vec<MessageRow>> {
        let sql =
            format!("{} and m.mailbox_id = $2 and m.uid between $3 and $4 order by m.uid limit $5", detail.select());
        let mut found = Vec::new();
        for range in set.ranges() {
            let left = i64::try_from(limit.saturating_sub(found.len())).unwrap_or(i64::MAX);
            if left == 0 {
                break;
            }
            let params = params![self.account_id(), mailbox, *range.start(), *range.end(), left];
            found.extend(self.sql().rows(&sql, params, detail.reader())?);
        }
        Ok(found)
    }

    /// A message and the mailbox it is in.
    ///
    /// # Errors
    /// [`Error::NoMessage`]
    pub fn message(&self, id: MessageId, detail: Detail) -> Result<(MailboxId, MessageRow)> {
        let mailbox: Option<MailboxId> = self.sql().scalar(
            "select mailbox_id from messages where account_id = $1 and id = $2",
            params![self.account_id(), id],
        )?;
        let row = self.sql().row(
            &format!("{} and m.id = $2", detail.select()),
            params![self.account_id(), id],
            detail.reader(),
        )?;
        mailbox.zip(row).ok_or(Error::NoMessage)
    }

    /// Opens a message's octets.
    ///
    /// # Errors
    /// [`Error::NoMessage`]
    pub fn open_message(&self, id: MessageId) -> Result<StoredMessage> {
        let (prefix, blob) = self
            .sql()
            .row(
                "select c.prefix, m.blob_id from messages m
                    join message_content c on c.account_id = m.account_id and c.id = m.id
                    where m.account_id = $1 and m.id = $2",
                params![self.account_id(), id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .ok_or(Error::NoMessage)?;
        Ok(StoredMessage { prefix, body: self.open_blob(blob)? })
    }
}

impl Write<'_> {
    /// Stores a message.
    ///
    /// # Errors
    /// [`Error::NoMailbox`], [`Error::OverQuota`], [`Error::DiskFull`], [`Error::TooManyKeywords`]
    pub fn append(&mut self, message: &NewMessage) -> Result<Appended> {
        let size = message.prefix.len() as u64 + message.staged.size();
        self.use_octets(size.cast_signed())?;
        let (uid, uid_validity) = self.take_uids(message.mailbox, 1)?;
        self.add_keywords(message.mailbox, &message.flags.keywords)?;
        let blob = self.put_blob(&message.staged)?;
        let id = MessageId(self.next_id());
        let modseq = self.modseq();
        let facts = message.staged.content().thread_facts();
        let newcomer = Newcomer { id, mailbox: message.mailbox, received_at: message.received_at, facts };
        let thread = self.assign_thread(newcomer)?;
        let state = MessageState { uid, id, flags: message.flags.clone(), modseq };
        let row = MessageRow {
            create_modseq: modseq,
            size,
            received_at: message.received_at,
            save_date: self.now(),
            thread,
            blob,
            content: None,
            state,
        };
        self.insert_message(message.mailbox, &row)?;
        self.insert_content(id, message)?;
        message.facts.iter().try_for_each(|facts| self.set_facts(id, facts))?;
        self.count(message.mailbox, row.state.counts(size))?;
        Ok(Appended { id, uid, uid_validity, modseq })
    }

    fn insert_message(&mut self, mailbox: MailboxId, row: &MessageRow) -> Result<()> {
        let MessageState { uid, id, flags, modseq } = &row.state;
        self.sql().execute(
            "insert into messages (account_id, mailbox_id, uid, id, modseq, create_modseq, flags, keywords, size,
                received_at, save_date, thread_id, blob_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            params![
                self.account_id(),
                mailbox,
                *uid,
                *id,
                *modseq,
                row.create_modseq,
                flags.system.bits(),
                &flags.keywords_text(),
                row.size.cast_signed(),
                row.received_at,
                row.save_date,
                row.thread,
                row.blob,
            ],
        )?;
        Ok(())
    }

    fn insert_content(&mut self, id: MessageId, message: &NewMessage) -> Result<()> {
        let content = message.staged.content();
        let message_id = content.threading().message_id.as_deref().filter(|id| id.len() <= MAX_MESSAGE_ID);
        let mut structure = content.structure().clone();
        structure.prepend(message.prefix.len() as u64);
        self.sql().execute(
            "insert into message_content (account_id, id, prefix, structure, preview, message_id, subject_base)
             values ($1, $2, $3, $4, $5, $6, $7)",
            params![
                self.account_id(),
                id,
                &message.prefix,
                &structure.encode(),
                content.preview(),
                message_id,
                &content.threading().base_subject,
            ],
        )?;
        self.index(Indexing::Add { id, content: content.clone(), prefix: Terms::of_prefix(&message.prefix) });
        Ok(())
    }

    /// Stores a message unless this delivery was done before.
    ///
    /// # Errors
    /// Those of [`Write::append`].
    pub fn deliver(&mut self, delivery: &DeliveryId, message: &NewMessage) -> Result<Delivered> {
        let (account, now) = (self.account_id(), self.now());
        let done: Option<i64> = self.sql().scalar(
            "select 1 from deliveries where account_id = $1 and delivery_id = $2",
            params![account, &delivery.0],
        )?;
        if done.is_some() {
            return Ok(Delivered::Duplicate);
        }
        let appended = self.append(message)?;
        self.sql().execute(
            "insert into deliveries (account_id, delivery_id, id, delivered_at) values ($1, $2, $3, $4)",
            params![account, &delivery.0, appended.id, now],
        )?;
        self.sql().execute(
            "delete from deliveries where account_id = $1 and delivered_at < $2",
            params![account, now - DELIVERY_MEMORY],
        )?;
        Ok(Delivered::New(appended))
    }

    /// Changes the flags of messages that exist. With `unchanged_since`, messages changed later are left
    /// alone (RFC 7162 §3.1.3). A change that changes nothing takes no modseq.
    ///
    /// # Errors
    /// [`Error::NoMailbox`], [`Error::TooManyKeywords`]
    pub fn set_flags(
        &mut self,
        mailbox: MailboxId,
        set: &UidSet,
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<ModSeq>,
    ) -> Result<FlagsOutcome> {
        let mut outcome = FlagsOutcome::default();
        if change != FlagChange::Remove {
            outcome.new_keywords = self.add_keywords(mailbox, &flags.keywords)?;
        }
        let mut delta = Delta::default();
        for mut state in self.states_in(mailbox, set)? {
            if unchanged_since.is_some_and(|since| state.modseq > since) {
                outcome.failed.push(state.uid);
                continue;
            }
            let new = state.flags.changed(change, flags);
            if new == state.flags {
                continue;
            }
            delta -= state.counts(0);
            state.flags = new;
            state.modseq = self.modseq();
            delta += state.counts(0);
            self.sql().execute(
                "update messages set flags = $4, keywords = $5, modseq = $6
                 where account_id = $1 and mailbox_id = $2 and uid = $3",
                params![
                    self.account_id(),
                    mailbox,
                    state.uid,
                    state.flags.system.bits(),
                    &state.flags.keywords_text(),
                    state.modseq,
                ],
            )?;
            outcome.changed.push(state);
        }
        if !outcome.changed.is_empty() {
            self.count(mailbox, delta)?;
        }
        Ok(outcome)
    }

    fn states_in(&self, mailbox: MailboxId, set: &UidSet) -> Result<Vec<MessageState>> {
        let mut states = Vec::new();
        for range in set.ranges() {
            let bounds = params![*range.start(), *range.end()];
            states.extend(self.states_where(mailbox, "m.uid between $3 and $4", bounds)?);
        }
        Ok(states)
    }

    /// Copies messages and gives old and new UIDs, in order. Bodies are shared.
    ///
    /// # Errors
    /// [`Error::SameMailbox`], [`Error::NoMailbox`], [`Error::OverQuota`], [`Error::TooManyKeywords`]
    pub fn copy_messages(&mut self, from: MailboxId, set: &UidSet, to: MailboxId) -> Result<Vec<(Uid, Uid)>> {
        self.transfer(from, set, to, |write, row, uid| {
            let original = row.state.id;
            write.use_octets(row.size.cast_signed())?;
            write.share_blob(row.blob)?;
            let copy = MessageId(write.next_id());
            row.state =
                MessageState { uid, id: copy, modseq: write.modseq(), flags: std::mem::take(&mut row.state.flags) };
            row.create_modseq = row.state.modseq;
            row.save_date = write.now();
            write.insert_message(to, row)?;
            write.sql().execute(
                "insert into message_content (account_id, id, prefix, structure, preview, message_id, subject_base)
                 select account_id, cast($3 as bigint), prefix, structure, preview, message_id, subject_base
                    from message_content where account_id = $1 and id = $2",
                params![write.account_id(), original, copy],
            )?;
            write.copy_facts(original, copy)?;
            write.index(Indexing::Copy { original, copy });
            Ok(())
        })
    }

    /// Moves messages and gives old and new UIDs, in order. Message numbers stay.
    ///
    /// # Errors
    /// [`Error::SameMailbox`], [`Error::NoMailbox`], [`Error::TooManyKeywords`]
    pub fn move_messages(&mut self, from: MailboxId, set: &UidSet, to: MailboxId) -> Result<Vec<(Uid, Uid)>> {
        let mut left = Delta::default();
        let moved = self.transfer(from, set, to, |write, row, uid| {
            left -= row.state.counts(row.size);
            write.bury(from, row, Grave::Moved)?;
            let modseq = write.modseq();
            write.sql().execute(
                "update messages set mailbox_id = $4, uid = $5, modseq = $6, save_date = $7
                 where account_id = $1 and mailbox_id = $2 and uid = $3",
                params![write.account_id(), from, row.state.uid, to, uid, modseq, write.now()],
            )?;
            Ok(())
        })?;
        if !moved.is_empty() {
            self.count(from, left)?;
        }
        Ok(moved)
    }

    /// What COPY and MOVE have in common: `each` stores one message under a new UID of the destination.
    fn transfer(
        &mut self,
        from: MailboxId,
        set: &UidSet,
        to: MailboxId,
        mut each: impl FnMut(&mut Self, &mut MessageRow, Uid) -> Result<()>,
    ) -> Result<Vec<(Uid, Uid)>> {
        if from == to {
            return Err(Error::SameMailbox);
        }
        self.mailbox(to)?;
        let (mut pairs, mut arrived) = (Vec::new(), Delta::default());
        let mut rest = set.clone();
        loop {
            let mut rows = self.messages(from, &rest, Detail::Row, BATCH)?;
            let Some(last) = rows.last().map(|row| row.state.uid) else { break };
            rest = rest.after(last);
            for row in &mut rows {
                let old = row.state.uid;
                let (new, _) = self.take_uids(to, 1)?;
                self.add_keywords(to, &row.state.flags.keywords)?;
                arrived += row.state.counts(row.size);
                each(self, row, new)?;
                pairs.push((old, new));
            }
        }
        if !pairs.is_empty() {
            self.count(to, arrived)?;
        }
        Ok(pairs)
    }

    /// Removes the messages with `\Deleted`, all or those of a set, and gives their UIDs.
    pub fn expunge(&mut self, mailbox: MailboxId, set: Option<&UidSet>) -> Result<Vec<Uid>> {
        if self.mailbox(mailbox)?.counts.deleted == 0 {
            return Ok(Vec::new());
        }
        let deleted = self.states_where(mailbox, "(m.flags & $3) <> 0", params![SystemFlags::DELETED.bits()])?;
        let wanted = deleted.into_iter().map(|state| state.uid).filter(|uid| set.is_none_or(|set| set.contains(*uid)));
        let wanted = wanted.collect();
        self.remove_messages(mailbox, &wanted)
    }

    /// Removes messages whatever their flags, and gives their UIDs. For REPLACE and for JMAP.
    pub fn remove_messages(&mut self, mailbox: MailboxId, set: &UidSet) -> Result<Vec<Uid>> {
        let (mut removed, mut delta) = (Vec::new(), Delta::default());
        let mut rest = set.clone();
        loop {
            let rows = self.messages(mailbox, &rest, Detail::Row, BATCH)?;
            let Some(last) = rows.last().map(|row| row.state.uid) else { break };
            rest = rest.after(last);
            for row in rows {
                delta -= row.state.counts(row.size);
                self.remove_message(mailbox, &row)?;
                removed.push(row.state.uid);
            }
        }
        if !removed.is_empty() {
            self.count(mailbox, delta)?;
        }
        Ok(removed)
    }

    fn remove_message(&mut self, mailbox: MailboxId, row: &MessageRow) -> Result<()> {
        let (account, id) = (self.account_id(), row.state.id);
        self.bury(mailbox, row, Grave::Expunged)?;
        for table in ["messages", "message_content", "message_facts"] {
            self.sql()
                .execute(&format!("delete from {table} where account_id = $1 and id = $2"), params![account, id])?;
        }
        self.index(Indexing::Remove { id });
        self.leave_thread(id, row.thread)?;
        self.release_blob(row.blob)?;
        self.use_octets(-row.size.cast_signed())
    }

    /// Leaves a tombstone where a message was.
    fn bury(&mut self, mailbox: MailboxId, row: &MessageRow, grave: Grave) -> Result<()> {
        let modseq = self.modseq();
        self.sql().execute(
            "insert into tombstones (account_id, mailbox_id, uid, id, create_modseq, modseq, kept)
             values ($1, $2, $3, $4, $5, $6, $7)",
            params![
                self.account_id(),
                mailbox,
                row.state.uid,
                row.state.id,
                row.create_modseq,
                modseq,
                grave == Grave::Moved,
            ],
        )?;
        Ok(())
    }

    /// Takes `\Recent`: gives the first UID that no session was told as recent, and marks all as told.
    /// Worth a transaction only if `Mailbox::first_recent` is below `uid_next`.
    ///
    /// # Errors
    /// [`Error::NoMailbox`]
    pub fn claim_recent(&mut self, mailbox: MailboxId) -> Result<Uid> {
        let first = self.mailbox(mailbox)?.first_recent;
        self.sql().execute(
            "update mailboxes set first_recent = uid_next where account_id = $1 and id = $2",
            params![self.account_id(), mailbox],
        )?;
        Ok(first)
    }
}

/// Why a UID is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grave {
    /// The message is no more.
    Expunged,
    /// The message is in another mailbox now.
    Moved,
}
