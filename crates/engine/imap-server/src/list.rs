//! LIST and LSUB: RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 5258, RFC 5819 (STATUS), RFC 6154 (special use).

use mailstead_imap::MailboxName;
use mailstead_imap::Response;
use mailstead_imap::command::{List, SpecialUse};
use mailstead_imap::response::{ListAttribute, ListEntry};
use mailstead_store::{self as store, Mailbox};

use crate::reply::{self, Outcome};
use crate::session::Session;

impl Session {
    pub(crate) async fn list(&mut self, list: List) -> Outcome {
        let account = self.logged_in()?;
        let (mailboxes, subscriptions) = account.read(|read| Ok((read.mailboxes()?, read.subscriptions()?))).await?;
        for mailbox in &mailboxes {
            if !list.patterns.iter().any(|pattern| matches(&format!("{}{pattern}", list.reference), &mailbox.name)) {
                continue;
            }
            let below = format!("{}/", mailbox.name);
            let has_children = mailboxes.iter().any(|other| other.name.starts_with(&below));
            self.wire.send(&Response::List(entry(mailbox, has_children, subscriptions.contains(&mailbox.name))));
        }
        Ok(reply::ok("LIST completed"))
    }

    pub(crate) async fn lsub(&mut self, reference: String, pattern: String) -> Outcome {
        let account = self.logged_in()?;
        let subscriptions = account.read(|read| read.subscriptions()).await?;
        for name in subscriptions.iter().filter(|name| matches(&format!("{reference}{pattern}"), name)) {
            let entry = ListEntry {
                attributes: Vec::new(),
                mailbox: MailboxName::new(name),
                child_info: Vec::new(),
                old_name: None,
            };
            self.wire.send(&Response::Lsub(entry));
        }
        Ok(reply::ok("LSUB completed"))
    }
}

/// The entry of an existing mailbox, with everything that is known about it.
pub(crate) fn entry(mailbox: &Mailbox, has_children: bool, subscribed: bool) -> ListEntry {
    let children = if has_children { ListAttribute::HasChildren } else { ListAttribute::HasNoChildren };
    let subscribed = subscribed.then_some(ListAttribute::Subscribed);
    let special_use = mailbox.special_use.map(|role| ListAttribute::SpecialUse(special_use(role)));
    ListEntry {
        attributes: [Some(children), subscribed, special_use].into_iter().flatten().collect(),
        mailbox: MailboxName::new(&mailbox.name),
        child_info: Vec::new(),
        old_name: None,
    }
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

/// `*` matches anything, `%` anything without a delimiter.
fn matches(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let mut tails = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    match first {
        '*' => tails.any(|at| matches(rest, &name[at..])),
        '%' => tails.take_while(|at| !name[..*at].contains('/')).any(|at| matches(rest, &name[at..])),
        _ => name.strip_prefix(first).is_some_and(|name| matches(rest, name)),
    }
}
