//! The change log: what happened since a modseq, for CONDSTORE and QRESYNC (RFC 7162) and for JMAP.
//!
//! There is no separate log. A row has the modseq of its last change, an expunged message leaves a
//! tombstone; both together answer any question about the past.

use crate::error::Result;
use crate::ids::{MailboxId, MessageId, ModSeq, Uid};
use crate::messages::MessageState;
use crate::sql::{FromValue, params};
use crate::transaction::Read;

/// What happened in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxChanges {
    /// New messages and those with other flags, by UID.
    pub updated: Vec<MessageState>,
    /// UIDs of the messages expunged or moved away, in order.
    pub vanished: Vec<Uid>,
    /// The mailbox's modseq: ask from here next time.
    pub modseq: ModSeq,
}

/// What happened in an account, in JMAP's terms (RFC 8620 §5.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes<Id> {
    /// Created since.
    pub created: Vec<Id>,
    /// There before, and changed.
    pub updated: Vec<Id>,
    /// There before, and gone.
    pub destroyed: Vec<Id>,
}

impl Read<'_> {
    /// HIGHESTMODSEQ of a mailbox.
    ///
    /// # Errors
    /// [`crate::Error::NoMailbox`]
    pub fn highest_modseq(&self, mailbox: MailboxId) -> Result<ModSeq> {
        Ok(self.mailbox(mailbox)?.modseq)
    }

    /// What happened in a mailbox after this modseq.
    ///
    /// # Errors
    /// [`crate::Error::NoMailbox`]
    pub fn changes_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<MailboxChanges> {
        let modseq = self.highest_modseq(mailbox)?;
        if modseq <= since {
            return Ok(MailboxChanges { updated: Vec::new(), vanished: Vec::new(), modseq });
        }
        let updated = self.states_where(mailbox, "m.modseq > $3", params![since])?;
        Ok(MailboxChanges { updated, vanished: self.vanished_since(mailbox, since)?, modseq })
    }

    /// UIDs of messages expunged or moved away after this modseq, in order.
    pub fn vanished_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vec<Uid>> {
        self.sql().rows(
            "select uid from tombstones where account_id = $1 and mailbox_id = $2 and modseq > $3 order by uid",
            params![self.account_id(), mailbox, since],
            |row| row.get(0),
        )
    }

    /// Mailboxes created, changed (in name, role, subscription or counts) and deleted after this modseq.
    pub fn mailbox_changes(&self, since: ModSeq) -> Result<Changes<MailboxId>> {
        const CHANGED: &str = "where account_id = $1 and modseq > $2 order by id";
        let select = |table| format!("select id, create_modseq from {table} {CHANGED}");
        let (created, updated) = self.split_by_creation(&select("mailboxes"), since)?;
        // One created and deleted since then was never seen.
        let (_, destroyed) = self.split_by_creation(&select("mailbox_tombstones"), since)?;
        Ok(Changes { created, updated, destroyed })
    }

    /// Messages created, changed (in flags, mailbox or thread) and destroyed after this modseq.
    pub fn message_changes(&self, since: ModSeq) -> Result<Changes<MessageId>> {
        // By mailbox, because that is how the indexes lie.
        const MESSAGES: &str = "select m.id, m.create_modseq from mailboxes b
            join messages m on m.account_id = b.account_id and m.mailbox_id = b.id
            where b.account_id = $1 and b.modseq > $2 and m.modseq > $2 order by m.id";
        const TOMBSTONES: &str = "select t.id, t.create_modseq from
            (select id from mailboxes where account_id = $1 and modseq > $2
             union all select id from mailbox_tombstones where account_id = $1 and modseq > $2) b
            join tombstones t on t.account_id = $1 and t.mailbox_id = b.id
            where t.modseq > $2 and t.kept = 0 order by t.id";
        let (created, updated) = self.split_by_creation(MESSAGES, since)?;
        let (_, destroyed) = self.split_by_creation(TOMBSTONES, since)?;
        Ok(Changes { created, updated, destroyed })
    }

    /// The things that a query of id and `create_modseq` gives: those created after a modseq, and the others.
    fn split_by_creation<Id: FromValue>(&self, sql: &str, since: ModSeq) -> Result<(Vec<Id>, Vec<Id>)> {
        let rows = self.sql().rows(sql, params![self.account_id(), since], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for (id, created) in rows {
            if ModSeq(created) > since { new.push(id) } else { old.push(id) }
        }
        Ok((new, old))
    }
}
