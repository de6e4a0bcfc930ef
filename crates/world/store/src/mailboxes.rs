//! Mailboxes: names, special use, subscriptions, counts.
//!
//! RFC 9051 §5.1 and §6.3, RFC 6154. Names are Unicode in NFC with `/` between levels; modified UTF-7 is
//! wire/imap's. There is no mailbox that exists only as a parent: parents are created.

use std::collections::BTreeSet;
use std::ops::{AddAssign, SubAssign};

use unicode_normalization::is_nfc;

use crate::error::{Error, Result};
use crate::ids::{MailboxId, ModSeq, Uid, UidSet, UidValidity};
use crate::sql::{Row, params};
use crate::transaction::{Read, Write};

/// The name of the one mailbox that is always there.
pub(crate) const INBOX: &str = "Inbox";

/// Longest name in octets.
const MAX_NAME: usize = 1000;

/// Most levels of a name.
const MAX_LEVELS: usize = 32;

/// Most keywords that a mailbox remembers.
const MAX_KEYWORDS: usize = 1000;

/// The role of a mailbox (RFC 6154 §2). An account has at most one mailbox of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    const ALL: [(SpecialUse, &'static str); 5] = [
        (SpecialUse::Archive, "archive"),
        (SpecialUse::Drafts, "drafts"),
        (SpecialUse::Junk, "junk"),
        (SpecialUse::Sent, "sent"),
        (SpecialUse::Trash, "trash"),
    ];

    /// The stored word, which is also the IMAP attribute without its backslash and in lower case.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, word)| word)
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(role, _)| *role)
    }
}

/// A mailbox, with its counts as of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its number, kept across RENAME.
    pub id: MailboxId,
    /// Full name; Inbox is `Inbox`.
    pub name: String,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// UIDNEXT.
    pub uid_next: Uid,
    /// The first UID that no IMAP4rev1 session has been told as `\Recent` yet.
    pub first_recent: Uid,
    /// When it was created.
    pub create_modseq: ModSeq,
    /// HIGHESTMODSEQ: of the last change to the mailbox or a message in it.
    pub modseq: ModSeq,
    /// Its role.
    pub special_use: Option<SpecialUse>,
    /// Number and size of its messages.
    pub counts: Counts,
    /// Every keyword that a message in it ever had, in lower case, without those that have a bit.
    pub keywords: BTreeSet<String>,
}

/// The counts of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages.
    pub total: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub size: u64,
}

/// The columns of [`Mailbox`], in the order in which `Mailbox::of` reads them.
const COLUMNS: &str = "id, name, uid_validity, uid_next, first_recent, create_modseq, modseq, special_use,
    total, unseen, deleted, size, keywords";

impl Mailbox {
    fn of(row: &Row<'_>) -> Result<Self> {
        let special_use: Option<String> = row.get(7)?;
        let keywords: String = row.get(12)?;
        Ok(Mailbox {
            id: row.get(0)?,
            name: row.get(1)?,
            uid_validity: row.get(2)?,
            uid_next: row.get(3)?,
            first_recent: row.get(4)?,
            create_modseq: row.get(5)?,
            modseq: row.get(6)?,
            special_use: special_use.as_deref().and_then(SpecialUse::of_word),
            counts: Counts { total: row.get(8)?, unseen: row.get(9)?, deleted: row.get(10)?, size: row.get(11)? },
            keywords: keywords.split_ascii_whitespace().map(str::to_owned).collect(),
        })
    }

    /// The names of the mailboxes above, outermost first.
    fn parents(name: &str) -> impl Iterator<Item = &str> {
        name.match_indices('/').filter_map(|(at, _)| name.get(..at))
    }

    fn is_below(&self, name: &str) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Checks a name and writes Inbox as `Inbox`, also as the first level of others.
///
/// # Errors
/// [`Error::MailboxName`] with what is wrong.
pub(crate) fn checked_name(name: &str) -> Result<String> {
    let wrong = |why| Err(Error::MailboxName(why));
    if name.len() > MAX_NAME || name.split('/').count() > MAX_LEVELS {
        return wrong("too long");
    }
    if !is_nfc(name) {
        return wrong("not in Unicode normalization form C");
    }
    if name.starts_with('#') {
        return wrong("starts with # (reserved for other namespaces)");
    }
    if name.split('/').any(|level| matches!(level, "" | "." | "..")) {
        return wrong("has an empty level, or one of dots");
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return wrong("has a control character");
    }
    let (first, rest) = name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let first = if first.eq_ignore_ascii_case(INBOX) { INBOX } else { first };
    Ok(rest.map_or_else(|| first.to_owned(), |rest| format!("{first}/{rest}")))
}

impl Read<'_> {
    fn mailbox_where(&self, condition: &str, value: &str) -> Result<Option<Mailbox>> {
        let sql = format!("select {COLUMNS} from mailboxes where account_id = $1 and {condition} = $2");
        self.sql().row(&sql, params![self.account_id(), value], Mailbox::of)
    }

    /// All mailboxes, by name.
    pub fn mailboxes(&self) -> Result<Vec<Mailbox>> {
        let sql = format!("select {COLUMNS} from mailboxes where account_id = $1");
        let mut all = self.sql().rows(&sql, params![self.account_id()], Mailbox::of)?;
        // Here and not in SQL: collation is the database's choice on PostgreSQL.
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// A mailbox by its number.
    ///
    /// # Errors
    /// [`Error::NoMailbox`]
    pub fn mailbox(&self, id: MailboxId) -> Result<Mailbox> {
        let sql = format!("select {COLUMNS} from mailboxes where account_id = $1 and id = $2");
        self.sql().row(&sql, params![self.account_id(), id], Mailbox::of)?.ok_or(Error::NoMailbox)
    }

    /// A mailbox by its name; `inbox` in any case of letters is Inbox (RFC 9051 §5.1). What cannot be a
    /// name is the name of no mailbox.
    pub fn mailbox_by_name(&self, name: &str) -> Result<Option<Mailbox>> {
        match checked_name(name) {
            Ok(name) => self.mailbox_where("name", &name),
            Err(_) => Ok(None),
        }
    }

    /// The mailbox with this role.
    pub fn mailbox_by_use(&self, special_use: SpecialUse) -> Result<Option<Mailbox>> {
        self.mailbox_where("special_use", special_use.word())
    }

    /// Names subscribed, whether such a mailbox exists or not, in order.
    pub fn subscriptions(&self) -> Result<Vec<String>> {
        let sql = "select name from subscriptions where account_id = $1";
        let mut names: Vec<String> = self.sql().rows(sql, params![self.account_id()], |row| row.get(0))?;
        names.sort();
        Ok(names)
    }
}

impl Write<'_> {
    /// Creates a mailbox and the parents that are missing, and subscribes to all that are new.
    /// A role that another mailbox has moves here.
    ///
    /// # Errors
    /// [`Error::MailboxExists`], [`Error::Inbox`], [`Error::MailboxName`]
    pub fn create_mailbox(&mut self, name: &str, special_use: Option<SpecialUse>) -> Result<Mailbox> {
        let name = checked_name(name)?;
        if name == INBOX {
            return Err(Error::Inbox);
        }
        if self.mailbox_where("name", &name)?.is_some() {
            return Err(Error::MailboxExists);
        }
        self.create_parents(&name)?;
        let id = self.insert_mailbox(&name)?;
        if special_use.is_some() {
            self.set_special_use(id, special_use)?;
        }
        self.mailbox(id)
    }

    /// Creates Inbox in a new account.
    pub(crate) fn create_inbox(&mut self) -> Result<MailboxId> {
        self.insert_mailbox(INBOX)
    }

    fn create_parents(&mut self, name: &str) -> Result<()> {
        for parent in Mailbox::parents(name) {
            if self.mailbox_where("name", parent)?.is_none() {
                self.insert_mailbox(parent)?;
            }
        }
        Ok(())
    }

    fn insert_mailbox(&mut self, name: &str) -> Result<MailboxId> {
        let id = MailboxId(self.next_id());
        let (modseq, uid_validity) = (self.modseq(), self.next_uid_validity());
        self.sql().execute(
            "insert into mailboxes (account_id, id, name, uid_validity, uid_next, first_recent, create_modseq, modseq,
                special_use, total, unseen, deleted, size, keywords)
             values ($1, $2, $3, $4, 1, 1, $5, $5, null, 0, 0, 0, 0, '')",
            params![self.account_id(), id, name, uid_validity, modseq],
        )?;
        self.subscribe(name)?;
        Ok(id)
    }

    /// Renames a mailbox with its children; parents of the new name are created. Renaming Inbox moves its
    /// messages to a new mailbox instead (RFC 9051 §6.3.6). Subscriptions stay with the names.
    ///
    /// # Errors
    /// [`Error::NoMailbox`], [`Error::MailboxExists`], [`Error::Inbox`], [`Error::MailboxName`]
    pub fn rename_mailbox(&mut self, id: MailboxId, name: &str) -> Result<Mailbox> {
        let name = checked_name(name)?;
        let old = self.mailbox(id)?;
        if name == INBOX || name == old.name {
            return Err(Error::MailboxExists);
        }
        if old.name == INBOX {
            let new = self.create_mailbox(&name, None)?;
            self.move_messages(id, &UidSet::all(), new.id)?;
            return self.mailbox(new.id);
        }
        let (mut tree, others): (Vec<Mailbox>, Vec<Mailbox>) =
            self.mailboxes()?.into_iter().partition(|mailbox| mailbox.id == id || mailbox.is_below(&old.name));
        let renamed = |mailbox: &Mailbox| format!("{name}{}", mailbox.name.get(old.name.len()..).unwrap_or_default());
        if tree.iter().any(|mailbox| others.iter().any(|other| other.name == renamed(mailbox))) {
            return Err(Error::MailboxExists);
        }
        // The deepest first, so that `a` can become `a/b` while there is an `a/b` that becomes `a/b/b`.
        tree.sort_by_key(|mailbox| std::cmp::Reverse(mailbox.name.len()));
        let modseq = self.modseq();
        for mailbox in &tree {
            let new_name = checked_name(&renamed(mailbox))?;
            self.sql().execute(
                "update mailboxes set name = $3, modseq = $4 where account_id = $1 and id = $2",
                params![self.account_id(), mailbox.id, &new_name, modseq],
            )?;
        }
        self.create_parents(&name)?;
        self.mailbox(id)
    }

    /// Deletes a mailbox with its messages and annotations. Subscriptions stay.
    ///
    /// # Errors
    /// [`Error::NoMailbox`], [`Error::HasChildren`], [`Error::Inbox`]
    pub fn delete_mailbox(&mut self, id: MailboxId) -> Result<()> {
        let mailbox = self.mailbox(id)?;
        if mailbox.name == INBOX {
            return Err(Error::Inbox);
        }
        if self.mailboxes()?.iter().any(|other| other.is_below(&mailbox.name)) {
            return Err(Error::HasChildren);
        }
        self.remove_messages(id, &UidSet::all())?;
        let (account, modseq) = (self.account_id(), self.modseq());
        for table in ["mailboxes where id", "annotations where mailbox_id"] {
            self.sql().execute(&format!("delete from {table} = $2 and account_id = $1"), params![account, id])?;
        }
        self.sql().execute(
            "insert into mailbox_tombstones (account_id, id, name, uid_validity, create_modseq, modseq)
             values ($1, $2, $3, $4, $5, $6)",
            params![account, id, &mailbox.name, mailbox.uid_validity, mailbox.create_modseq, modseq],
        )?;
        Ok(())
    }

    /// Subscribes to a name, of which there need be no mailbox.
    pub fn subscribe(&mut self, name: &str) -> Result<()> {
        let name = checked_name(name)?;
        let added = self.sql().execute(
            "insert into subscriptions (account_id, name) values ($1, $2) on conflict (account_id, name) do nothing",
            params![self.account_id(), &name],
        )?;
        self.note_subscription(added, &name)
    }

    /// Ends a subscription; one that is not there is no error.
    pub fn unsubscribe(&mut self, name: &str) -> Result<()> {
        let name = checked_name(name)?;
        let removed = self.sql().execute(
            "delete from subscriptions where account_id = $1 and name = $2",
            params![self.account_id(), &name],
        )?;
        self.note_subscription(removed, &name)
    }

    /// A subscription is a property of a mailbox in JMAP (RFC 8621 §2), so it is a change of one.
    fn note_subscription(&mut self, changed: u64, name: &str) -> Result<()> {
        if changed > 0 {
            let modseq = self.modseq();
            self.sql().execute(
                "update mailboxes set modseq = $3 where account_id = $1 and name = $2",
                params![self.account_id(), name, modseq],
            )?;
        }
        Ok(())
    }

    /// Gives a mailbox a role, which another loses, or takes its role away.
    ///
    /// # Errors
    /// [`Error::NoMailbox`]
    pub fn set_special_use(&mut self, id: MailboxId, special_use: Option<SpecialUse>) -> Result<()> {
        if self.mailbox(id)?.special_use == special_use {
            return Ok(());
        }
        let (account, modseq) = (self.account_id(), self.modseq());
        let word = special_use.map(SpecialUse::word);
        self.sql().execute(
            "update mailboxes set special_use = null, modseq = $3 where account_id = $1 and special_use = $2",
            params![account, word, modseq],
        )?;
        self.sql().execute(
            "update mailboxes set special_use = $3, modseq = $4 where account_id = $1 and id = $2",
            params![account, id, word, modseq],
        )?;
        Ok(())
    }

    /// Adds to a mailbox's counts, as part of a change of its messages.
    pub(crate) fn count(&mut self, id: MailboxId, change: Delta) -> Result<()> {
        let modseq = self.modseq();
        self.sql().execute(
            "update mailboxes set modseq = $3, total = total + $4, unseen = unseen + $5, deleted = deleted + $6,
                size = size + $7 where account_id = $1 and id = $2",
            params![self.account_id(), id, modseq, change.total, change.unseen, change.deleted, change.size],
        )?;
        Ok(())
    }

    /// Takes the next `count` UIDs of a mailbox and gives the first.
    ///
    /// # Errors
    /// [`Error::NoMailbox`], [`Error::UidsExhausted`]
    pub(crate) fn take_uids(&mut self, id: MailboxId, count: u32) -> Result<(Uid, UidValidity)> {
        let (uid_next, uid_validity): (i64, UidValidity) = self
            .sql()
            .row(
                "update mailboxes set uid_next = uid_next + $3 where account_id = $1 and id = $2
                 returning uid_next - $3, uid_validity",
                params![self.account_id(), id, count],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .ok_or(Error::NoMailbox)?;
        // UIDNEXT itself must stay a number that can be shown.
        let fits = uid_next + i64::from(count) <= i64::from(u32::MAX);
        let first = u32::try_from(uid_next).ok().filter(|_| fits).and_then(Uid::new).ok_or(Error::UidsExhausted)?;
        Ok((first, uid_validity))
    }

    /// Adds keywords to those of a mailbox and gives the new ones.
    ///
    /// # Errors
    /// [`Error::TooManyKeywords`]
    pub(crate) fn add_keywords(&mut self, id: MailboxId, keywords: &BTreeSet<String>) -> Result<Vec<String>> {
        if keywords.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.mailbox(id)?.keywords;
        let new: Vec<String> = keywords.difference(&known).cloned().collect();
        if new.is_empty() {
            return Ok(new);
        }
        if known.len() + new.len() > MAX_KEYWORDS {
            return Err(Error::TooManyKeywords);
        }
        let all: Vec<&str> = known.union(keywords).map(String::as_str).collect();
        let modseq = self.modseq();
        self.sql().execute(
            "update mailboxes set keywords = $3, modseq = $4 where account_id = $1 and id = $2",
            params![self.account_id(), id, &all.join(" "), modseq],
        )?;
        Ok(new)
    }
}

/// A change of [`Counts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Delta {
    pub(crate) total: i64,
    pub(crate) unseen: i64,
    pub(crate) deleted: i64,
    pub(crate) size: i64,
}

impl AddAssign for Delta {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.unseen += other.unseen;
        self.deleted += other.deleted;
        self.size += other.size;
    }
}

impl SubAssign for Delta {
    fn sub_assign(&mut self, other: Self) {
        let Delta { total, unseen, deleted, size } = other;
        *self += Delta { total: -total, unseen: -unseen, deleted: -deleted, size: -size };
    }
}
