//! LIST and LSUB: RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154
//! (SPECIAL-USE).
//!
//! `choose` decides which names are listed and what is said about them, `pattern` which names match. Subscriptions,
//! children and special use are always told, asked for or not: clients that only know the plain LIST use them (RFC 5258
//! §4, RFC 6154 §2).

mod choose;
mod pattern;
#[cfg(test)]
mod tests;

use mailstead_imap::command::{List, ListSelect, SpecialUse, StatusItem};
use mailstead_imap::response::{ListAttribute, ListEntry};
use mailstead_imap::{MailboxName, Response};
use mailstead_store::{self as store, Mailbox, Read};

use crate::mailbox::Found;
use crate::reply::{self, Outcome};
use crate::session::Session;
use choose::{Chosen, Hierarchy};
use pattern::Pattern;

impl Session {
    pub(crate) async fn list(&mut self, list: List) -> Outcome {
        let account = self.logged_in()?;
        let status = list.returns.as_ref().map_or_else(Vec::new, |returns| returns.status.clone());
        if status.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        // RFC 9051 §6.3.9: an empty name asks for the delimiter and the root, which is nowhere else than at the top
        // here.
        if !list.is_extended() && list.patterns.iter().all(String::is_empty) {
            let root = ListEntry { attributes: vec![ListAttribute::NoSelect], ..bare("") };
            self.wire.send(&Response::List(root));
            return Ok(reply::ok("LIST completed"));
        }
        let patterns: Vec<_> = list.patterns.iter().map(|pattern| Pattern::new(&list.reference, pattern)).collect();
        let wants_status = !status.is_empty();
        let listed =
            account.read(move |read| listed(read, list.select.unwrap_or_default(), &patterns, wants_status)).await?;
        for (entry, found) in listed {
            self.wire.send(&Response::List(entry));
            if let Some(found) = found {
                let response = self.status_response(&found, &status);
                self.wire.send(&response);
            }
            self.wire.relieve().await?;
        }
        Ok(reply::ok("LIST completed"))
    }

    /// RFC 3501 §6.3.9. What is below a name that `%` stops at shows as that name with `\Noselect`: just the case for
    /// which LIST has RECURSIVEMATCH and CHILDINFO.
    pub(crate) async fn lsub(&mut self, reference: String, pattern: String) -> Outcome {
        let account = self.logged_in()?;
        let select = ListSelect { subscribed: true, recursive_match: true, ..ListSelect::default() };
        let patterns = vec![Pattern::new(&reference, &pattern)];
        let listed = account.read(move |read| listed(read, select, &patterns, false)).await?;
        for (entry, _) in listed {
            let subscribed = entry.attributes.contains(&ListAttribute::Subscribed);
            let attributes = if subscribed { Vec::new() } else { vec![ListAttribute::NoSelect] };
            self.wire.send(&Response::Lsub(ListEntry { attributes, child_info: Vec::new(), ..entry }));
            self.wire.relieve().await?;
        }
        Ok(reply::ok("LSUB completed"))
    }
}

/// The entries of one snapshot, with what STATUS says about those that were selected.
fn listed(
    read: &Read<'_>,
    select: ListSelect,
    patterns: &[Pattern],
    wants_status: bool,
) -> store::Result<Vec<(ListEntry, Option<Found>)>> {
    let (mailboxes, subscriptions) = (read.mailboxes()?, read.subscriptions()?);
    let hierarchy = Hierarchy::new(&mailboxes, &subscriptions);
    let chosen = hierarchy.choose(select, patterns);
    let with_status = |Chosen { entry, selected }| {
        let found = selected.filter(|_| wants_status).map(|mailbox| Found::new(read, mailbox.clone())).transpose()?;
        Ok((entry, found))
    };
    chosen.into_iter().map(with_status).collect()
}

/// The entry of a mailbox as it stands in a snapshot.
pub(crate) fn entry_of(read: &Read<'_>, mailbox: &Mailbox) -> store::Result<ListEntry> {
    let below = format!("{}{}", mailbox.name, MailboxName::DELIMITER);
    let has_children = read.mailboxes()?.iter().any(|other| other.name.starts_with(&below));
    Ok(entry(mailbox, has_children, read.subscriptions()?.contains(&mailbox.name)))
}

/// The entry of an existing mailbox, with everything that is known about it.
fn entry(mailbox: &Mailbox, has_children: bool, subscribed: bool) -> ListEntry {
    let children = if has_children { ListAttribute::HasChildren } else { ListAttribute::HasNoChildren };
    let subscribed = subscribed.then_some(ListAttribute::Subscribed);
    let special_use = mailbox.special_use.map(|role| ListAttribute::SpecialUse(special_use(role)));
    let attributes = [Some(children), subscribed, special_use].into_iter().flatten().collect();
    ListEntry { attributes, ..bare(&mailbox.name) }
}

/// A name and nothing else.
fn bare(name: &str) -> ListEntry {
    ListEntry { attributes: Vec::new(), mailbox: MailboxName::new(name), child_info: Vec::new(), old_name: None }
}

fn special_use(role: store::SpecialUse) -> SpecialUse {
    match role {
        store::SpecialUse::Archive => SpecialUse::Archive,
        store::SpecialUse::Drafts => SpecialUse::Drafts,
        store::SpecialUse::Junk => SpecialUse::Junk,
        store::SpecialUse::Sent => SpecialUse::Sent,
        store::SpecialUse::Trash => SpecialUse::Trash,
    }
}
