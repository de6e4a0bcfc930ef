//! Mailboxes as such: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS.
//!
//! RFC 9051 §6.3.4 to §6.3.8, §6.3.11; RFC 6154 §3 (CREATE with a special use); RFC 8438 (STATUS=SIZE); RFC 7162 §3.1.7
//! (HIGHESTMODSEQ); RFC 7889 (APPENDLIMIT). Which names are allowed is the store's rule. LIST is in `list`.

use mailstead_imap::command::{SpecialUse, StatusItem};
use mailstead_imap::response::ListEntry;
use mailstead_imap::{MailboxName, Response};
use mailstead_store::{self as store, Error, Mailbox};

use crate::list;
use crate::reply::{self, Outcome};
use crate::session::Session;

impl Session {
    pub(crate) async fn create(&mut self, mailbox: MailboxName, special_use: Vec<SpecialUse>) -> Outcome {
        let account = self.logged_in()?;
        let role = match special_use.as_slice() {
            [] => None,
            [one] => match role(one) {
                Some(role) => Some(role),
                None => return Ok(reply::USE_ATTRIBUTE),
            },
            // A mailbox has one role in the store.
            _ => return Ok(reply::USE_ATTRIBUTE),
        };
        // RFC 9051 §6.3.4: a delimiter at the end only declares that there will be children.
        let name = mailbox.as_str().strip_suffix(MailboxName::DELIMITER).unwrap_or(mailbox.as_str()).to_owned();
        account.write(move |write| write.create_mailbox(&name, role)).await?;
        Ok(reply::ok("CREATE completed"))
    }

    pub(crate) async fn delete(&mut self, mailbox: MailboxName) -> Outcome {
        let account = self.logged_in()?;
        let deleted = account.write(move |write| {
            let id = write.mailbox_by_name(mailbox.as_str())?.ok_or(Error::NoMailbox)?.id;
            write.delete_mailbox(id)?;
            Ok(id)
        });
        let id = deleted.await?;
        // A session that deletes the mailbox it has selected is left without one.
        if self.selected.as_ref().is_some_and(|selected| selected.mailbox == id) {
            self.selected = None;
        }
        Ok(reply::ok("DELETE completed"))
    }

    pub(crate) async fn rename(&mut self, from: MailboxName, to: MailboxName) -> Outcome {
        let account = self.logged_in()?;
        let name = to.as_str().strip_suffix(MailboxName::DELIMITER).unwrap_or(to.as_str()).to_owned();
        let old = from.clone();
        let renamed = account.write(move |write| {
            let id = write.mailbox_by_name(from.as_str())?.ok_or(Error::NoMailbox)?.id;
            let renamed = write.rename_mailbox(id, &name)?;
            list::entry_of(write, &renamed)
        });
        let renamed = renamed.await?;
        // RFC 9051 §6.3.9.7. Inbox stays where it is, and older clients do not know OLDNAME.
        if self.enabled.rev2 && !old.is_inbox() {
            self.wire.send(&Response::List(ListEntry { old_name: Some(old), ..renamed }));
        }
        Ok(reply::ok("RENAME completed"))
    }

    pub(crate) async fn subscribe(&mut self, mailbox: MailboxName) -> Outcome {
        let account = self.logged_in()?;
        account.write(move |write| write.subscribe(mailbox.as_str())).await?;
        Ok(reply::ok("SUBSCRIBE completed"))
    }

    pub(crate) async fn unsubscribe(&mut self, mailbox: MailboxName) -> Outcome {
        let account = self.logged_in()?;
        account.write(move |write| write.unsubscribe(mailbox.as_str())).await?;
        Ok(reply::ok("UNSUBSCRIBE completed"))
    }

    pub(crate) async fn status(&mut self, mailbox: MailboxName, items: Vec<StatusItem>) -> Outcome {
        let account = self.logged_in()?;
        if items.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        let name = mailbox.as_str().to_owned();
        let found =
            account.read(move |read| Found::new(read, read.mailbox_by_name(&name)?.ok_or(Error::NoMailbox)?)).await?;
        let response = self.status_response(&found, &items);
        self.wire.send(&response);
        Ok(reply::ok("STATUS completed"))
    }

    /// An untagged STATUS, also for LIST with RETURN (STATUS (...)).
    pub(crate) fn status_response(&self, found: &Found, items: &[StatusItem]) -> Response {
        let mailbox = &found.mailbox;
        let value = |item: &StatusItem| {
            let counts = &mailbox.counts;
            match item {
                StatusItem::Messages => counts.total.into(),
                StatusItem::UidNext => mailbox.uid_next.number().into(),
                StatusItem::UidValidity => mailbox.uid_validity.0.into(),
                StatusItem::Unseen => counts.unseen.into(),
                StatusItem::Deleted => counts.deleted.into(),
                StatusItem::Size => counts.size,
                StatusItem::Recent => found.recent.into(),
                StatusItem::HighestModSeq => reply::number(mailbox.modseq),
                _ => self.append_limit(),
            }
        };
        let items = items.iter().map(|item| (*item, Some(value(item)))).collect();
        Response::MailboxStatus { mailbox: MailboxName::new(&mailbox.name), items }
    }
}

/// A mailbox with what STATUS can ask about it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) mailbox: Mailbox,
    /// Messages that no session has been told of as recent (RFC 3501 §6.3.10).
    recent: u32,
}

impl Found {
    pub(crate) fn new(read: &store::Read<'_>, mailbox: Mailbox) -> store::Result<Found> {
        let recent = if mailbox.first_recent < mailbox.uid_next {
            read.uids(mailbox.id)?.into_iter().filter(|uid| *uid >= mailbox.first_recent).count()
        } else {
            0
        };
        Ok(Found { mailbox, recent: u32::try_from(recent).unwrap_or(u32::MAX) })
    }
}

/// The store's role for a special use, if it has one.
pub(crate) fn role(special_use: &SpecialUse) -> Option<store::SpecialUse> {
    Some(match special_use {
        SpecialUse::Archive => store::SpecialUse::Archive,
        SpecialUse::Drafts => store::SpecialUse::Drafts,
        SpecialUse::Junk => store::SpecialUse::Junk,
        SpecialUse::Sent => store::SpecialUse::Sent,
        SpecialUse::Trash => store::SpecialUse::Trash,
        _ => return None,
    })
}
