//! Checks that one statement makes: each selects a sentence for every row that breaks it.
//!
//! `$1` is the account. The statements join on keys, so that a large account takes seconds.

use super::{Area, Findings};
use crate::error::Result;
use crate::facts::MAX_REFERENCE;
use crate::flags::SystemFlags;
use crate::refused::MAX_PAYLOAD;
use crate::sql::params;
use crate::transaction::Read;

/// Sentences shown of one rule; who has more of them knows enough.
const SHOWN: usize = 50;

pub(super) const SERVER: &[(Area, &str)] = &[
    (
        Area::Rows,
        "select 'a password is kept for account ' || p.account_id || ', which does not exist' from passwords p
            where $1 = 0 and not exists (select 1 from accounts a where a.account_id = p.account_id)",
    ),
    (
        Area::Rows,
        "select 'a ' || v.mechanism || ' verifier is kept for account ' || v.account_id || ', which does not exist'
            from verifiers v
            where $1 = 0 and not exists (select 1 from accounts a where a.account_id = v.account_id)",
    ),
    (
        Area::Rows,
        "select 'a key of ' || k.login || ' is kept for account ' || k.account_id || ', which does not exist'
            from tls_keys k
            where $1 = 0 and not exists (select 1 from accounts a where a.account_id = k.account_id)",
    ),
    (
        Area::Queue,
        "select 'queue row ' || r.id || ' has no message' from queue_recipients r
            where $1 = 0 and not exists (select 1 from queue_messages m where m.id = r.message_id)",
    ),
    (
        Area::Queue,
        "select 'queued message ' || m.id || ' has no recipient' from queue_messages m
            where $1 = 0 and not exists (select 1 from queue_recipients r where r.message_id = m.id)",
    ),
    (
        Area::Queue,
        "select 'queued message ' || m.id || ' has ' || (length(m.prefix) + b.size) || ' octets instead of ' || m.size
            from queue_messages m join blobs b on b.account_id = $1 and b.id = m.blob_id
            where m.size <> length(m.prefix) + b.size",
    ),
];

const ACCOUNT: &[(Area, &str)] = &[
    (
        Area::Uids,
        "select 'mailbox ' || b.name || ': UID ' || m.uid || ' is not below UIDNEXT ' || b.uid_next from messages m
            join mailboxes b on b.account_id = m.account_id and b.id = m.mailbox_id
            where m.account_id = $1 and (m.uid >= b.uid_next or m.uid < 1)",
    ),
    (
        Area::Uids,
        "select 'mailbox ' || b.name || ': expunged UID ' || t.uid || ' is not below UIDNEXT ' || b.uid_next
            from tombstones t join mailboxes b on b.account_id = t.account_id and b.id = t.mailbox_id
            where t.account_id = $1 and t.uid >= b.uid_next",
    ),
    (
        Area::Uids,
        "select 'mailbox ' || m.mailbox_id || ': UID ' || m.uid || ' is there and expunged' from messages m
            join tombstones t on t.account_id = m.account_id and t.mailbox_id = m.mailbox_id and t.uid = m.uid
            where m.account_id = $1",
    ),
    (
        Area::Uids,
        "select 'UIDVALIDITY ' || v.uid_validity || ' was given ' || count(*) || ' times' from (
                select uid_validity from mailboxes where account_id = $1
                union all select uid_validity from mailbox_tombstones where account_id = $1) v
            group by v.uid_validity having count(*) > 1",
    ),
    (
        Area::Modseqs,
        "select 'message ' || m.id || ' has modseq ' || m.modseq || ', its mailbox ' || b.modseq from messages m
            join mailboxes b on b.account_id = m.account_id and b.id = m.mailbox_id
            where m.account_id = $1 and (m.modseq > b.modseq or m.modseq < m.create_modseq)",
    ),
    (
        Area::Modseqs,
        "select 'expunged message ' || t.id || ' has modseq ' || t.modseq || ', its mailbox ' || b.modseq
            from tombstones t join mailboxes b on b.account_id = t.account_id and b.id = t.mailbox_id
            where t.account_id = $1 and (t.modseq > b.modseq or t.modseq < t.create_modseq)",
    ),
    (
        Area::Modseqs,
        "select 'mailbox ' || b.name || ' has modseq ' || b.modseq || ', the account ' || s.modseq from mailboxes b
            join account_state s on s.account_id = b.account_id where b.account_id = $1 and b.modseq > s.modseq",
    ),
    (
        Area::Rows,
        "select 'number ' || n.id || ' was given, but the next is ' || s.next_id from (
                select account_id, id from messages union all select account_id, id from mailboxes
                union all select account_id, id from blobs) n
            join account_state s on s.account_id = n.account_id where n.account_id = $1 and n.id >= s.next_id",
    ),
    (
        Area::Rows,
        "select 'message ' || m.id || ' is in mailbox ' || m.mailbox_id || ', which does not exist' from messages m
            where m.account_id = $1 and not exists
                (select 1 from mailboxes b where b.account_id = m.account_id and b.id = m.mailbox_id)",
    ),
    (
        Area::Rows,
        "select 'message ' || m.id || ' has no content' from messages m where m.account_id = $1 and not exists
            (select 1 from message_content c where c.account_id = m.account_id and c.id = m.id)",
    ),
    (
        Area::Rows,
        "select 'content is kept of message ' || c.id || ', which does not exist' from message_content c
            where c.account_id = $1 and not exists
                (select 1 from messages m where m.account_id = c.account_id and m.id = c.id)",
    ),
    (
        Area::Rows,
        "select 'facts are kept of message ' || f.id || ', which does not exist' from message_facts f
            where f.account_id = $1 and not exists
                (select 1 from messages m where m.account_id = f.account_id and m.id = f.id)",
    ),
    (
        Area::Sizes,
        "select 'message ' || m.id || ' has ' || (length(c.prefix) + b.size) || ' octets instead of ' || m.size
            from messages m join message_content c on c.account_id = m.account_id and c.id = m.id
            join blobs b on b.account_id = m.account_id and b.id = m.blob_id
            where m.account_id = $1 and m.size <> length(c.prefix) + b.size",
    ),
    (
        Area::Quota,
        "select s.used || ' octets are counted, the messages have ' || u.size from account_state s
            join (select cast(coalesce(sum(size), 0) as bigint) as size from messages where account_id = $1) u
                on u.size <> s.used
            where s.account_id = $1",
    ),
    (
        Area::Threads,
        "select 'thread ' || b.thread_id || ' has bonds and no message' from thread_bonds b
            where b.account_id = $1 and not exists
                (select 1 from messages m where m.account_id = b.account_id and m.thread_id = b.thread_id)
            group by b.thread_id",
    ),
    (
        Area::Threads,
        "select 'a subject is kept of message ' || s.id || ', which does not exist' from thread_subjects s
            where s.account_id = $1 and not exists
                (select 1 from messages m where m.account_id = s.account_id and m.id = s.id)",
    ),
    (
        Area::Index,
        "select 'message ' || m.id || ' has no document' from messages m where m.account_id = $1 and not exists
            (select 1 from search_documents d where d.account_id = m.account_id and d.id = m.id)",
    ),
    (
        Area::Index,
        "select 'document ' || d.document_id || ' is of message ' || d.id || ', which does not exist'
            from search_documents d where d.account_id = $1 and not exists
                (select 1 from messages m where m.account_id = d.account_id and m.id = d.id)",
    ),
    (
        Area::Index,
        "select 'document ' || p.document_id || ' is indexed in part, but not there' from search_partial p
            where p.account_id = $1 and not exists (select 1 from search_documents d
                where d.account_id = p.account_id and d.document_id = p.document_id)",
    ),
];

/// The rules about what is kept of refused messages: what was larger was not taken.
pub(super) fn refused() -> [(Area, String); 1] {
    let sql = format!(
        "select 'what is kept of refused message ' || r.id || ' is larger than is taken' from refused r
            where $1 = 0 and (length(r.payload) > {MAX_PAYLOAD} or length(r.reference) > {MAX_REFERENCE})"
    );
    [(Area::Rows, sql)]
}

/// The rules about bodies, which the rows of `users` refer to.
pub(super) fn bodies(users: &str, owned: &str) -> [(Area, String); 4] {
    [
        (
            Area::Bodies,
            format!(
                "select 'body ' || b.id || ' counts ' || b.refs || ' references instead of ' || coalesce(u.n, 0)
                    from blobs b left join (select blob_id, count(*) as n from {users} where {owned} group by blob_id) u
                        on u.blob_id = b.id
                    where b.account_id = $1 and b.refs <> coalesce(u.n, 0)"
            ),
        ),
        (
            Area::Bodies,
            format!(
                "select 'body ' || u.blob_id || ' is missing' from {users} u where {owned} and not exists
                    (select 1 from blobs b where b.account_id = $1 and b.id = u.blob_id)"
            ),
        ),
        (
            Area::Bodies,
            "select 'body ' || b.id || ' has ' || coalesce(length(d.data), 0) || ' octets instead of ' || b.size
                from blobs b left join blob_data d on d.account_id = b.account_id and d.id = b.id
                where b.account_id = $1 and b.file is null and coalesce(length(d.data), -1) <> b.size"
                .to_owned(),
        ),
        (
            Area::Bodies,
            "select 'octets are kept of body ' || d.id || ', which is not there' from blob_data d
                where d.account_id = $1 and not exists
                    (select 1 from blobs b where b.account_id = d.account_id and b.id = d.id and b.file is null)"
                .to_owned(),
        ),
    ]
}

/// The rules about an account's rows.
pub(super) fn check_rows(read: &Read<'_>, findings: &mut Findings) -> Result<()> {
    check_counts(read, findings)?;
    apply(read, ACCOUNT, findings)?;
    apply(read, &bodies("messages", "account_id = $1"), findings)?;
    read.check_documents(findings)
}

pub(super) fn apply(read: &Read<'_>, rules: &[(Area, impl AsRef<str>)], findings: &mut Findings) -> Result<()> {
    for (area, sql) in rules {
        let mut broken = 0;
        read.sql().query(sql.as_ref(), params![read.account_id()], &mut |row| {
            broken += 1;
            if broken <= SHOWN {
                findings.add(*area, row.get::<String>(0)?);
            }
            Ok(())
        })?;
        if broken > SHOWN {
            findings.add(*area, format!("and {} more of the kind", broken - SHOWN));
        }
    }
    Ok(())
}

fn check_counts(read: &Read<'_>, findings: &mut Findings) -> Result<()> {
    let sql = "select b.name, b.total, b.unseen, b.deleted, b.size,
            coalesce(m.total, 0), coalesce(m.unseen, 0), coalesce(m.deleted, 0), coalesce(m.size, 0)
        from mailboxes b left join (
            select mailbox_id, count(*) as total, cast(sum(size) as bigint) as size,
                cast(sum(case when (flags & $2) = 0 then 1 else 0 end) as bigint) as unseen,
                cast(sum(case when (flags & $3) <> 0 then 1 else 0 end) as bigint) as deleted
            from messages where account_id = $1 group by mailbox_id) m on m.mailbox_id = b.id
        where b.account_id = $1";
    let params = params![read.account_id(), SystemFlags::SEEN.bits(), SystemFlags::DELETED.bits()];
    read.sql().query(sql, params, &mut |row| {
        let name: String = row.get(0)?;
        findings.messages += row.get::<u64>(5)?;
        for (at, what) in ["messages", "unseen", "deleted", "octets"].into_iter().enumerate() {
            let (counted, real): (i64, i64) = (row.get(at + 1)?, row.get(at + 5)?);
            if counted != real {
                findings.add(Area::Counts, format!("mailbox {name} counts {counted} {what} instead of {real}"));
            }
        }
        Ok(())
    })
}
