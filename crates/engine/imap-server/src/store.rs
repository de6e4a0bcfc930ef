//! STORE and UID STORE: RFC 9051 §6.4.6, RFC 7162 §3.1.3 (UNCHANGEDSINCE, MODIFIED).

use mailstead_imap::UidSet;
use mailstead_imap::command::{Numbering, Store, StoreAction};
use mailstead_store::{FlagChange, Uid};

use crate::reply::{self, Outcome};
use crate::session::Session;
use crate::sync::{send_flags, send_modseq};
use crate::view::{Knowledge, from_wire};

impl Session {
    pub(crate) async fn store(&mut self, store: Store) -> Outcome {
        if store.unchanged_since.is_some() {
            self.enable_condstore();
        }
        let account = self.logged_in()?;
        let numbers = self.numbers(&store.set, store.numbering)?;
        let Some(flags) = from_wire(&store.flags) else { return Ok(reply::BAD_FLAG) };
        let change = match store.action {
            StoreAction::Replace => FlagChange::Replace,
            StoreAction::Add => FlagChange::Add,
            StoreAction::Remove => FlagChange::Remove,
        };
        let unchanged_since = store.unchanged_since.map(reply::modseq);
        let selected = self.writable()?;
        let mailbox = selected.mailbox;
        let uids = selected.view.live(&numbers);
        let outcome = {
            let (set, flags) = (uids.iter().copied().collect(), flags.clone());
            account.write(move |write| write.set_flags(mailbox, &set, change, &flags, unchanged_since)).await?
        };
        let changed: UidSet = outcome.changed.iter().map(|state| state.uid.number()).collect();
        for state in outcome.changed {
            // The client can work out the new flags, unless somebody else had changed them (RFC 9051 §6.4.6).
            let known = selected.view.find(state.uid).and_then(|number| selected.view.message(number));
            let foreseen = known.is_some_and(|message| message.flags.changed(change, &flags) == state.flags);
            selected.view.record(state, if foreseen { Knowledge::Told } else { Knowledge::ToTell });
        }
        // Messages that had these flags already may have got them from somebody else a moment ago.
        self.sync().await?;
        self.announce_keywords();
        let failed: UidSet = outcome.failed.iter().map(|uid| uid.number()).collect();
        self.send_stored(&store, &uids, &changed, &failed).await?;
        if !failed.is_empty() {
            return Ok(reply::modified(match store.numbering {
                Numbering::Uid => failed,
                Numbering::Sequence => self.selected()?.view.by_known_uids(&failed),
            }));
        }
        // RFC 2180 §4.2: a message number whose message is gone is an error; a UID is not (RFC 9051 §6.4.9).
        let all_live = self.selected()?.view.live(&numbers).len() as u64 == numbers.len();
        Ok(if all_live || store.numbering == Numbering::Uid {
            reply::ok("STORE completed")
        } else {
            reply::EXPUNGE_ISSUED
        })
    }

    /// The FETCH responses of a STORE: the flags of every message named. With `.SILENT` only what the client cannot
    /// work out: flags that somebody else changed, and with CONDSTORE the mod-sequences (RFC 7162 §3.1.3).
    async fn send_stored(&mut self, store: &Store, uids: &[Uid], changed: &UidSet, failed: &UidSet) -> Outcome<()> {
        let enabled = self.enabled;
        for uid in uids {
            let selected = self.selected.as_mut().ok_or(reply::NOTHING_SELECTED)?;
            let Some(number) = selected.view.find(*uid) else { continue };
            let unknown = selected.view.told(number);
            let Some(message) = selected.view.message(number).filter(|message| !message.gone) else { continue };
            let failed = failed.contains(uid.number());
            if unknown || !(store.silent || failed) {
                send_flags(&mut self.wire, enabled, &message);
            } else if enabled.condstore
                && !failed
                && (changed.contains(uid.number()) || store.unchanged_since.is_some())
            {
                send_modseq(&mut self.wire, &message);
            }
            self.wire.relieve().await?;
        }
        Ok(())
    }
}
