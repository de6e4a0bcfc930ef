//! What engines keep beside messages, each in its own encoding, and how it is found again by a word.
//!
//! The store looks into none of it. The table is `message_facts`, which the schema states with those of the
//! messages; what is kept of messages that were not stored is in `refused`.

use crate::error::Result;
use crate::ids::MessageId;
use crate::sql::{Row, params};
use crate::transaction::{Read, Write};

/// Longest reference in octets. The ids that engines print take some twenty; PostgreSQL cannot index a text of
/// some thousands.
pub(crate) const MAX_REFERENCE: usize = 128;

/// Something an engine keeps beside a message, in its own encoding: evidence, an analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it is, as a short fixed word. One of each kind for a message.
    pub kind: String,
    /// Version of the encoding.
    pub version: u32,
    /// The encoded facts.
    pub payload: Vec<u8>,
    /// A word by which they can be found again; several messages may have the same. One of more than 128
    /// octets is not kept, and the facts are without one.
    pub reference: Option<String>,
}

impl Facts {
    fn of(kind: &str, row: &Row<'_>) -> Result<Self> {
        Ok(Facts { kind: kind.to_owned(), version: row.get(1)?, payload: row.get(2)?, reference: row.get(3)? })
    }
}

impl Read<'_> {
    /// What an engine keeps beside a message.
    pub fn facts(&self, id: MessageId, kind: &str) -> Result<Option<Facts>> {
        self.sql().row(
            "select id, version, payload, reference from message_facts where account_id = $1 and id = $2 and kind = $3",
            params![self.account_id(), id, kind],
            |row| Facts::of(kind, row),
        )
    }

    /// The facts of a kind with this reference and whose they are, latest message first, at most `most` of
    /// them. Copies of a message have its references.
    pub fn facts_by_reference(&self, kind: &str, reference: &str, most: usize) -> Result<Vec<(MessageId, Facts)>> {
        self.sql().rows(
            "select id, version, payload, reference from message_facts
                where account_id = $1 and reference = $2 and kind = $3 order by id desc limit $4",
            params![self.account_id(), reference, kind, i64::try_from(most).unwrap_or(i64::MAX)],
            |row| Ok((row.get(0)?, Facts::of(kind, row)?)),
        )
    }
}

impl Write<'_> {
    /// Keeps something beside a message, in place of what was kept under this kind.
    pub fn set_facts(&mut self, id: MessageId, facts: &Facts) -> Result<()> {
        // Facts are a side record: what is wrong with a reference is no reason to refuse the message.
        let reference = facts.reference.as_deref().filter(|reference| reference.len() <= MAX_REFERENCE);
        self.sql().execute(
            "insert into message_facts (account_id, id, kind, version, payload, reference)
                values ($1, $2, $3, $4, $5, $6)
             on conflict (account_id, id, kind) do update
                set version = excluded.version, payload = excluded.payload, reference = excluded.reference",
            params![self.account_id(), id, &facts.kind, facts.version, &facts.payload, reference],
        )?;
        Ok(())
    }

    /// Keeps beside a copy what is kept beside its original.
    pub(crate) fn copy_facts(&mut self, original: MessageId, copy: MessageId) -> Result<()> {
        self.sql().execute(
            "insert into message_facts (account_id, id, kind, version, payload, reference)
             select account_id, cast($3 as bigint), kind, version, payload, reference from message_facts
                where account_id = $1 and id = $2",
            params![self.account_id(), original, copy],
        )?;
        Ok(())
    }
}
