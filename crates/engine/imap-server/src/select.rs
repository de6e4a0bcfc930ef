//! Opening and leaving a mailbox: SELECT, EXAMINE, CLOSE, UNSELECT, EXPUNGE, UID EXPUNGE.
//!
//! RFC 9051 §6.3.2, §6.3.3, §6.4.1 to §6.4.3; RFC 3501 §6.3.1 (RECENT, UNSEEN); RFC 7162 §3.1.8 (CONDSTORE), §3.2.5
//! (QRESYNC), §3.2.7 to §3.2.9 (HIGHESTMODSEQ after expunges), §3.2.11 (CLOSED).

use mailstead_imap::command::{Access, Numbering, Qresync, Select};
use mailstead_imap::response::ListEntry;
use mailstead_imap::{MessageSet, Response, UidSet};
use mailstead_store::{self as store, Mailbox, MailboxChanges, MessageState, ModSeq, Uid};

use crate::list;
use crate::reply::{self, Outcome, Reply};
use crate::session::{Selected, Session, selected_reply};
use crate::sync::{applicable_flags, claim_recent, permanent_flags, send_flags};
use crate::view::{Expunges, View};

/// A mailbox as it is opened: everything from one snapshot.
struct Opened {
    mailbox: Mailbox,
    messages: Vec<MessageState>,
    entry: ListEntry,
    /// What happened since the client was last here, if it knows the mailbox (RFC 7162 §3.2.5).
    missed: Option<MailboxChanges>,
}

impl Session {
    pub(crate) async fn select(&mut self, select: Select) -> Outcome {
        if select.qresync.is_some() && !self.enabled.qresync {
            return Ok(reply::QRESYNC_NOT_ENABLED);
        }
        let account = self.logged_in()?;
        // RFC 9051 §6.3.2: the old mailbox is left even if the new one cannot be opened.
        if self.selected.take().is_some() {
            self.wire.untagged(reply::CLOSED);
        }
        let name = select.mailbox.as_str().to_owned();
        let known = select.qresync.as_ref().map(|known| (known.uid_validity, reply::modseq(known.modseq)));
        let opened = account.read(move |read| open(read, &name, known)).await?;
        let unclaimed = opened.mailbox.first_recent.number()..opened.mailbox.uid_next.number();
        let recent = if unclaimed.is_empty() || self.enabled.rev2 {
            0..0
        } else if select.access == Access::ReadWrite {
            let mailbox = opened.mailbox.id;
            account.write(move |write| claim_recent(write, mailbox)).await?
        } else {
            // RFC 3501 §6.3.2: EXAMINE shows them and leaves them for others.
            unclaimed
        };
        let Opened { mailbox, messages, entry, missed } = opened;
        let mut view = View::new(messages, mailbox.modseq, recent);
        view.add_keywords(mailbox.keywords.iter().map(String::as_str));
        view.take_new_keywords();
        let selected = Selected { mailbox: mailbox.id, access: select.access, view, saved: UidSet::new() };
        self.enabled.condstore |= select.condstore;
        self.describe(&selected, &mailbox, entry);
        if let (Some(known), Some(missed)) = (select.qresync, missed) {
            self.resynchronize(&selected, &known, missed).await?;
        }
        self.selected = Some(selected);
        Ok(selected_reply(select.access))
    }

    /// The untagged responses of SELECT and EXAMINE.
    fn describe(&mut self, selected: &Selected, mailbox: &Mailbox, entry: ListEntry) {
        let wire = &mut self.wire;
        let view = &selected.view;
        wire.send(&Response::Flags(applicable_flags(selected)));
        wire.untagged(permanent_flags(selected));
        wire.send(&Response::Exists(view.exists()));
        if !self.enabled.rev2 {
            wire.send(&Response::Recent(view.recent()));
            if let Some(number) = view.first_unseen() {
                wire.untagged(reply::unseen(number));
            }
        }
        wire.untagged(reply::uid_validity(mailbox.uid_validity));
        wire.untagged(reply::uid_next(mailbox.uid_next.number()));
        // Not only after a CONDSTORE enabling command: clients that do not know the code ignore it (RFC 9051 §7.1).
        wire.untagged(reply::highest_modseq(view.modseq()));
        wire.send(&Response::List(entry));
    }

    /// RFC 7162 §3.2.5.1: what a client that knew this mailbox at some mod-sequence has missed, expunges first.
    async fn resynchronize(&mut self, selected: &Selected, known: &Qresync, missed: MailboxChanges) -> Outcome<()> {
        let all = || UidSet::from_iter([1..=u32::MAX]);
        let mut of_interest = known.known_uids.clone().unwrap_or_else(all);
        let vanished: UidSet = missed.vanished.into_iter().map(Uid::number).collect();
        let updated: Vec<Uid> =
            missed.updated.iter().map(|state| state.uid).filter(|uid| of_interest.contains(uid.number())).collect();
        if let Some((numbers, uids)) = &known.known_sequences {
            let matching = last_match(&selected.view, numbers, uids);
            of_interest = of_interest.difference(&UidSet::from_iter([1..=matching]));
        }
        let vanished = vanished.intersection(&of_interest);
        if !vanished.is_empty() {
            self.wire.send(&Response::Vanished { earlier: true, uids: vanished });
        }
        for uid in updated {
            if let Some(message) = selected.view.find(uid).and_then(|number| selected.view.message(number)) {
                send_flags(&mut self.wire, self.enabled, &message);
                self.wire.relieve().await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn close(&mut self) -> Outcome {
        let account = self.logged_in()?;
        let selected = self.selected()?;
        // RFC 9051 §6.4.1: no error, and no expunge, when the mailbox is open for reading only.
        if selected.access == Access::ReadWrite {
            let mailbox = selected.mailbox;
            account.write(move |write| write.expunge(mailbox, None)).await?;
        }
        self.selected = None;
        Ok(reply::ok("CLOSE completed"))
    }

    pub(crate) fn unselect(&mut self) -> Reply {
        self.selected = None;
        reply::ok("UNSELECT completed")
    }

    /// EXPUNGE, and with a set UID EXPUNGE.
    pub(crate) async fn expunge(&mut self, set: Option<MessageSet>) -> Outcome {
        let account = self.logged_in()?;
        let uids = match set {
            Some(set) => Some(self.uids_of(&set)?),
            None => None,
        };
        let mailbox = self.writable()?.mailbox;
        let expunged = account.write(move |write| write.expunge(mailbox, uids.as_ref())).await?;
        self.sync().await?;
        self.report(Expunges::Report).await?;
        let done = reply::ok("EXPUNGE completed");
        if expunged.is_empty() || !self.enabled.qresync {
            return Ok(done);
        }
        Ok(Reply { code: reply::highest_modseq(self.selected()?.view.modseq()).code, ..done })
    }

    /// The UIDs in the set of UID EXPUNGE, as the store takes them. A UID is compared, not looked up: `*` is the last
    /// message.
    fn uids_of(&mut self, set: &MessageSet) -> Outcome<store::UidSet> {
        let numbers = self.numbers(set, Numbering::Uid)?;
        Ok(self.selected()?.view.live(&numbers).into_iter().collect())
    }
}

fn open(read: &store::Read<'_>, name: &str, known: Option<(u32, ModSeq)>) -> store::Result<Opened> {
    let mailbox = read.mailbox_by_name(name)?.ok_or(store::Error::NoMailbox)?;
    let messages = read.message_states(mailbox.id)?;
    let entry = list::entry_of(read, &mailbox)?;
    let missed = match known {
        Some((uid_validity, modseq)) if uid_validity == mailbox.uid_validity.0 => {
            Some(read.changes_since(mailbox.id, modseq)?)
        }
        _ => None,
    };
    Ok(Opened { mailbox, messages, entry, missed })
}

/// RFC 7162 §3.2.5.2: of the numbers and UIDs that the client knows to belong together, the last UID that still does.
/// Below it the client has missed no expunge.
fn last_match(view: &View, numbers: &UidSet, uids: &UidSet) -> u32 {
    let pairs = numbers.iter().zip(uids.iter());
    pairs
        .take_while(|(number, uid)| view.message(*number).is_some_and(|message| message.uid.number() == *uid))
        .last()
        .map_or(0, |(_, uid)| uid)
}
