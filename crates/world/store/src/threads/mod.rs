//! Assignment of messages to threads, within the transaction that stores or removes them.
//!
//! The rule is in `kinship`: messages that share a bond are kin. `thread_bonds` maps bonds to threads; a
//! message that is bound to several joins them. Nothing here reads other messages' text.
//!
//! What the bonds cannot say: a response that names no message at all is taken for a response to the
//! nearest message with its base subject that arrived in the same mailbox, up to four weeks before and one
//! day after it. When such a response comes first, it waits for that message. Only here can the order of
//! arrival matter, and only when several messages would fit.
//!
//! A merged thread keeps the lowest number, and its messages get a new modseq, because a JMAP client must be
//! told (RFC 8621 §3). Parents within a thread are for those who show a tree.

mod kinship;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::error::Result;
use crate::ids::{MailboxId, MessageId, ThreadId};
use crate::sql::{Dialect, json_list, params};
use crate::transaction::{Read, Write};

use kinship::Union;
pub(crate) use kinship::{ThreadFacts, ThreadPart};

/// How long before a response its subject may have been opened.
const BEFORE: SignedDuration = SignedDuration::from_hours(4 * 7 * 24);
/// How long after a response the message that opened its subject may still arrive.
const AFTER: SignedDuration = SignedDuration::from_hours(24);

/// A time of a message is whatever a client says, so it may lie at the end of time.
fn window(at: Timestamp, before: SignedDuration, after: SignedDuration) -> (Timestamp, Timestamp) {
    (at.checked_sub(before).unwrap_or(Timestamp::MIN), at.checked_add(after).unwrap_or(Timestamp::MAX))
}

/// The tables of this module, for the schema.
pub(crate) fn tables(dialect: Dialect) -> String {
    let clustered = dialect.clustered();
    format!(
        "create table thread_bonds (
            account_id bigint not null,
            bond bigint not null,
            thread_id bigint not null,
            primary key (account_id, bond)
         ) {clustered};
         create index thread_bonds_thread on thread_bonds (account_id, thread_id);
         create table thread_subjects (
            account_id bigint not null,
            id bigint not null,
            mailbox_id bigint not null,
            subject_key bigint not null,
            received_at bigint not null,
            waits bigint not null,
            primary key (account_id, id)
         ) {clustered};
         create index thread_subjects_key on thread_subjects (account_id, subject_key, mailbox_id, received_at);"
    )
}

/// The tables with rows of an account.
pub(crate) const ACCOUNT_TABLES: &[&str] = &["thread_bonds", "thread_subjects"];

/// Asks for the threads of an account's ($1) listed bonds ($2). Both engines must look up each bond by key; left to
/// choose, they may walk all bonds of the account.
fn threads_of_bonds(dialect: Dialect) -> String {
    match dialect {
        // The order of a cross join is kept.
        Dialect::Sqlite => format!(
            "select distinct t.thread_id from {} b cross join thread_bonds t where t.account_id = $1 and t.bond = b.n",
            dialect.int_list("$2")
        ),
        Dialect::Postgres => format!(
            "select distinct thread_id from thread_bonds where account_id = $1 and {}",
            dialect.is_listed("bond", "$2")
        ),
    }
}

/// A message that is about to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Newcomer<'m> {
    pub(crate) id: MessageId,
    pub(crate) mailbox: MailboxId,
    pub(crate) received_at: Timestamp,
    pub(crate) facts: &'m ThreadFacts,
}

impl Write<'_> {
    /// Finds the thread of a new message and records its bonds. Call before the message's row is written; a
    /// thread that begins has the number of its first message.
    pub(crate) fn assign_thread(&mut self, message: Newcomer<'_>) -> Result<ThreadId> {
        let (sql, account) = (self.sql(), self.account_id());
        let listed = json_list(message.facts.bonds().into_iter().map(|bond| bond.0));
        let list = sql.dialect().int_list("$2");
        let bound = threads_of_bonds(sql.dialect());
        let mut found: BTreeSet<ThreadId> =
            sql.rows(&bound, params![account, &listed], |row| row.get(0))?.into_iter().collect();
        found.extend(self.threads_by_subject(message)?);
        let union = Union::new(found, ThreadId(message.id.0));
        for &ended in &union.ended {
            self.merge_thread(ended, union.into)?;
        }
        let bind = format!(
            "insert into thread_bonds (account_id, bond, thread_id)
                select cast($1 as bigint), b.n, cast($3 as bigint) from {list} b where true
                on conflict (account_id, bond) do nothing"
        );
        sql.execute(&bind, params![account, &listed, union.into])?;
        Ok(union.into)
    }

    fn merge_thread(&mut self, ended: ThreadId, into: ThreadId) -> Result<()> {
        let modseq = self.modseq();
        let (sql, account) = (self.sql(), self.account_id());
        sql.execute(
            "update thread_bonds set thread_id = $3 where account_id = $1 and thread_id = $2",
            params![account, ended, into],
        )?;
        sql.execute(
            "update mailboxes set modseq = $3 where account_id = $1 and id in
                (select mailbox_id from messages where account_id = $1 and thread_id = $2)",
            params![account, ended, modseq],
        )?;
        sql.execute(
            "update messages set thread_id = $3, modseq = $4 where account_id = $1 and thread_id = $2",
            params![account, ended, into, modseq],
        )?;
        Ok(())
    }

    /// Forgets a message whose row is gone, and its thread with the last message.
    pub(crate) fn leave_thread(&mut self, id: MessageId, thread: ThreadId) -> Result<()> {
        let (sql, account) = (self.sql(), self.account_id());
        sql.execute("delete from thread_subjects where account_id = $1 and id = $2", params![account, id])?;
        sql.execute(
            "delete from thread_bonds where account_id = $1 and thread_id = $2 and not exists
                (select 1 from messages m where m.account_id = $1 and m.thread_id = $2)",
            params![account, thread],
        )?;
        Ok(())
    }

    /// Threads that the message belongs to by its subject; records its subject for those to come.
    fn threads_by_subject(&self, message: Newcomer<'_>) -> Result<Vec<ThreadId>> {
        let Some(key) = message.facts.subject_key() else { return Ok(Vec::new()) };
        let mut found = self.waiting_responses(message, key)?;
        let mut waits = false;
        if message.facts.responds_by_subject() {
            match self.nearest_by_subject(message, key)? {
                Some(thread) => found.push(thread),
                None => waits = true,
            }
        }
        self.sql().execute(
            "insert into thread_subjects (account_id, id, mailbox_id, subject_key, received_at, waits)
                values ($1, $2, $3, $4, $5, $6)",
            params![self.account_id(), message.id, message.mailbox, key, message.received_at, waits],
        )?;
        Ok(found)
    }

    /// The thread of the message that a response most probably answers.
    fn nearest_by_subject(&self, response: Newcomer<'_>, key: i64) -> Result<Option<ThreadId>> {
        let at = response.received_at;
        let (from, to) = window(at, BEFORE, AFTER);
        self.sql().scalar(
            "select m.thread_id from thread_subjects s
                join messages m on m.account_id = s.account_id and m.id = s.id
                where s.account_id = $1 and s.mailbox_id = $2 and s.subject_key = $3 and s.received_at between $4 and $5
                order by abs(s.received_at - $6), s.id desc limit 1",
            params![self.account_id(), response.mailbox, key, from, to, at],
        )
    }

    /// The threads of responses that came before the message that they may answer; they wait no more.
    fn waiting_responses(&self, message: Newcomer<'_>, key: i64) -> Result<Vec<ThreadId>> {
        let (from, to) = window(message.received_at, AFTER, BEFORE);
        let params = params![self.account_id(), message.mailbox, key, from, to];
        let waiting = self.sql().rows(
            "select m.thread_id from thread_subjects s
                join messages m on m.account_id = s.account_id and m.id = s.id
                where s.account_id = $1 and s.mailbox_id = $2 and s.subject_key = $3
                    and s.received_at between $4 and $5 and s.waits = 1",
            params,
            |row| row.get(0),
        )?;
        if !waiting.is_empty() {
            self.sql().execute(
                "update thread_subjects set waits = 0 where account_id = $1 and mailbox_id = $2 and subject_key = $3
                    and received_at between $4 and $5 and waits = 1",
                params,
            )?;
        }
        Ok(waiting)
    }
}

impl Read<'_> {
    /// Whether the bonds of a message lead to its thread, for `check`.
    pub(crate) fn is_bound_to(&self, thread: ThreadId, facts: &ThreadFacts) -> Result<bool> {
        let bonds = facts.bonds();
        let listed = self.sql().dialect().is_listed("bond", "$3");
        let bound: Option<usize> = self
            .sql()
            .scalar(
                &format!(
                    "select count(*) from thread_bonds where account_id = $1 and thread_id = $2
                    and {listed}"
                ),
                params![self.account_id(), thread, &json_list(bonds.iter().map(|bond| bond.0))],
            )?
            .and_then(|count: i64| usize::try_from(count).ok());
        Ok(bound == Some(bonds.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bonds_are_found_by_key_in_large_mailboxes() {
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        sqlite.execute_batch(&tables(Dialect::Sqlite)).unwrap();
        let sql = threads_of_bonds(Dialect::Sqlite).replace('$', "?");
        let mut plan = sqlite.prepare(&format!("explain query plan {sql}")).unwrap();
        let steps = plan.query_map((1, "[1, 2]"), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(steps.iter().any(|step| step.contains("PRIMARY KEY (account_id=? AND bond=?)")), "{steps:?}");
    }
}
