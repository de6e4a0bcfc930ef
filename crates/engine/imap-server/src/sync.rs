//! Keeping the view up to date and telling the client about it.
//!
//! RFC 9051 §5.2, §7.4, §7.5; RFC 7162 §3.1.4.2, §3.2.4 (UID and MODSEQ in unsolicited FETCH), §3.2.10 (VANISHED), §6
//! (HIGHESTMODSEQ while expunges are held back). Which message has which number is the view's business.

use std::ops::Range;

use mailstead_imap::command::Access;
use mailstead_imap::encode::FetchItem;
use mailstead_imap::{Code, Flag, Response, UidSet};
use mailstead_store::{self as store, Error, MailboxId};

use crate::reply::{self, Close, Reply};
use crate::session::{Enabled, Selected, Session};
use crate::view::{Expunges, Message};
use crate::wire::Wire;

impl Session {
    /// Reads what changed in the selected mailbox into the view. Says nothing to the client. Where the store cannot tell
    /// at the moment, the view stays as it is and the next command tries again: no answer is less true for that.
    pub(crate) async fn sync(&mut self) -> Result<(), Close> {
        match self.read_changes().await {
            Ok(()) => Ok(()),
            Err(Error::NoMailbox | Error::NoAccount) => Err(Close::Bye(reply::BYE_MAILBOX_GONE)),
            Err(error) => {
                tracing::warn!(%error, "cannot read changes");
                Ok(())
            }
        }
    }

    async fn read_changes(&mut self) -> store::Result<()> {
        let (Some(user), Some(selected)) = (&self.user, &mut self.selected) else { return Ok(()) };
        let (mailbox, since) = (selected.mailbox, selected.view.modseq());
        let news = user.account.read(move |read| {
            if read.highest_modseq(mailbox)? <= since {
                return Ok(None);
            }
            let row = read.mailbox(mailbox)?;
            Ok(Some((read.changes_since(mailbox, since)?, row.first_recent < row.uid_next)))
        });
        let Some((changes, unclaimed)) = news.await? else { return Ok(()) };
        selected.view.apply(changes);
        // RFC 3501 §2.3.2: a message is recent in one session only, the first that hears of it.
        if unclaimed && selected.view.has_arrivals() && !self.enabled.rev2 && selected.access == Access::ReadWrite {
            let recent = user.account.write(move |write| claim_recent(write, mailbox)).await?;
            selected.view.claim_recent(recent);
        }
        Ok(())
    }

    /// Tells the client what the view has for it. True if that included expunges.
    pub(crate) async fn report(&mut self, expunges: Expunges) -> Result<bool, Close> {
        let (enabled, Some(selected)) = (self.enabled, &mut self.selected) else { return Ok(false) };
        let updates = selected.view.take_updates(expunges);
        if updates.is_empty() {
            return Ok(false);
        }
        let view = &selected.view;
        if updates.keywords {
            self.wire.send(&Response::Flags(applicable_flags(selected)));
        }
        let expunged = !updates.expunged.is_empty();
        if enabled.qresync && expunged {
            let uids: UidSet = updates.expunged.iter().map(|(_, uid)| uid.number()).collect();
            self.wire.send(&Response::Vanished { earlier: false, uids });
        } else {
            for (number, _) in updates.expunged {
                self.wire.send(&Response::Expunge(number));
                self.wire.relieve().await?;
            }
        }
        if let Some(exists) = updates.exists {
            self.wire.send(&Response::Exists(exists));
        }
        if let Some(recent) = updates.recent
            && !enabled.rev2
        {
            self.wire.send(&Response::Recent(recent));
        }
        for number in updates.changed {
            if let Some(message) = view.message(number) {
                send_flags(&mut self.wire, enabled, &message);
                self.wire.relieve().await?;
            }
        }
        Ok(expunged)
    }

    /// The end of every command: what changed meanwhile, as far as it may be told now.
    pub(crate) async fn catch_up(&mut self, expunges: Expunges) -> Result<(), Close> {
        self.sync().await?;
        let expunged = self.report(expunges).await?;
        let Some(selected) = &self.selected else { return Ok(()) };
        // RFC 7162 §3.2 and §6: a client must not remember a mod-sequence beyond an expunge that it has not been told.
        if self.enabled.qresync && (expunged || selected.view.holds_expunges()) {
            let safe = selected.view.safe_modseq();
            self.wire.untagged(reply::highest_modseq(safe));
        }
        Ok(())
    }

    /// Switches CONDSTORE on. The first time with a mailbox selected, the client is told HIGHESTMODSEQ (RFC 7162 §3.1).
    pub(crate) fn enable_condstore(&mut self) {
        if !std::mem::replace(&mut self.enabled.condstore, true)
            && let Some(selected) = &self.selected
        {
            let safe = selected.view.safe_modseq();
            self.wire.untagged(reply::highest_modseq(safe));
        }
    }

    /// FLAGS, if the next flag list may hold a keyword that the client has not seen (RFC 9051 §7.3.5).
    pub(crate) fn announce_keywords(&mut self) {
        if let Some(selected) = &mut self.selected
            && selected.view.take_new_keywords()
        {
            let flags = applicable_flags(selected);
            self.wire.send(&Response::Flags(flags));
        }
    }
}

/// Claims `\Recent` for this session: the UIDs that no other session was told of.
pub(crate) fn claim_recent(write: &mut store::Write<'_>, mailbox: MailboxId) -> store::Result<Range<u32>> {
    let first = write.claim_recent(mailbox)?;
    Ok(first.number()..write.mailbox(mailbox)?.uid_next.number())
}

/// The flags that messages of this mailbox may have.
pub(crate) fn applicable_flags(selected: &Selected) -> Vec<Flag> {
    let keywords = selected.view.keywords().map(|keyword| Flag::Keyword(keyword.to_owned()));
    Flag::SYSTEM.into_iter().chain(keywords).collect()
}

/// The flags that a client can change for good.
pub(crate) fn permanent_flags(selected: &Selected) -> Reply {
    let flags = match selected.access {
        Access::ReadWrite => applicable_flags(selected).into_iter().chain([Flag::Wildcard]).collect(),
        Access::ReadOnly => Vec::new(),
    };
    Reply { code: Some(Code::PermanentFlags(flags)), ..reply::ok("flags that can be kept") }
}

/// A FETCH response that nobody asked for: UID, FLAGS and, for those who want it, MODSEQ (RFC 9051 §7.5.2, RFC 7162
/// §3.2.4).
pub(crate) fn send_flags(wire: &mut Wire, enabled: Enabled, message: &Message<'_>) {
    wire.encoder.fetch_start(message.number);
    wire.encoder.fetch_item(&FetchItem::Uid(message.uid.number()));
    flags_item(wire, enabled, message);
    if enabled.condstore {
        wire.encoder.fetch_item(&FetchItem::ModSeq(reply::number(message.modseq)));
    }
    wire.encoder.fetch_end();
}

/// The FETCH response to a `.SILENT` change: the new mod-sequence only (RFC 7162 §3.1.3).
pub(crate) fn send_modseq(wire: &mut Wire, message: &Message<'_>) {
    wire.encoder.fetch_start(message.number);
    wire.encoder.fetch_item(&FetchItem::Uid(message.uid.number()));
    wire.encoder.fetch_item(&FetchItem::ModSeq(reply::number(message.modseq)));
    wire.encoder.fetch_end();
}

/// FLAGS, with `\Recent` for IMAP4rev1 sessions.
pub(crate) fn flags_item(wire: &mut Wire, enabled: Enabled, message: &Message<'_>) {
    if message.recent && !enabled.rev2 {
        let flags: Vec<Flag> = [Flag::Recent].into_iter().chain(message.wire_flags.iter().cloned()).collect();
        wire.encoder.fetch_item(&FetchItem::Flags(&flags));
    } else {
        wire.encoder.fetch_item(&FetchItem::Flags(message.wire_flags));
    }
}
