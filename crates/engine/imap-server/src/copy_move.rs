//! COPY, MOVE and their UID forms: RFC 9051 §6.4.7, §6.4.8, RFC 4315 (COPYUID), RFC 6851.

use mailstead_imap::UidSet;
use mailstead_imap::command::{Numbering, Transfer};
use mailstead_store::{self as store, Error, MailboxId, Read, Uid, UidValidity};

use crate::reply::{self, Outcome};
use crate::session::Session;
use crate::view::Expunges;

/// What was transferred: the destination's UIDVALIDITY, and old and new UIDs in ascending order.
type Transferred = (UidValidity, Vec<(Uid, Uid)>);

/// What to transfer.
#[derive(Debug, Clone)]
struct Job {
    from: MailboxId,
    set: store::UidSet,
    /// How many messages must be there. Message numbers name messages that the client believes to exist: all or
    /// nothing.
    required: Option<usize>,
    to: String,
}

impl Job {
    fn destination(&self, read: &Read<'_>) -> store::Result<store::Mailbox> {
        read.mailbox_by_name(&self.to)?.ok_or(Error::NoMailbox)
    }

    /// RFC 9051 §6.4.7: no partial copy.
    fn complete(&self, validity: UidValidity, pairs: Vec<(Uid, Uid)>) -> store::Result<Transferred> {
        if self.required.is_some_and(|required| required != pairs.len()) {
            Err(Error::NoMessage)
        } else {
            Ok((validity, pairs))
        }
    }
}

impl Session {
    pub(crate) async fn copy(&mut self, transfer: Transfer) -> Outcome {
        let account = self.logged_in()?;
        let Some(job) = self.job(&transfer)? else { return Ok(reply::NOTHING_COPIED) };
        let copied = account.write(move |write| {
            let to = job.destination(write)?;
            job.complete(to.uid_validity, write.copy_messages(job.from, &job.set, to.id)?)
        });
        let (validity, pairs) = copied.await.map_err(reply::to_destination)?;
        if pairs.is_empty() {
            return Ok(reply::NOTHING_COPIED);
        }
        let (from, to) = sets(&pairs);
        Ok(reply::copy_uid(validity, from, to, "COPY completed"))
    }

    /// MOVE: COPYUID goes ahead of the expunges, so that a client can follow its messages (§6.4.8).
    pub(crate) async fn move_messages(&mut self, transfer: Transfer) -> Outcome {
        let account = self.logged_in()?;
        self.writable()?;
        let Some(job) = self.job(&transfer)? else { return Ok(reply::NOTHING_COPIED) };
        let moved = account.write(move |write| {
            let to = job.destination(write)?;
            job.complete(to.uid_validity, write.move_messages(job.from, &job.set, to.id)?)
        });
        let (validity, pairs) = moved.await.map_err(reply::to_destination)?;
        if pairs.is_empty() {
            return Ok(reply::NOTHING_COPIED);
        }
        let (from, to) = sets(&pairs);
        self.wire.untagged(reply::copy_uid(validity, from, to, "messages moved"));
        self.sync().await?;
        self.report(Expunges::Report).await?;
        let done = reply::ok("MOVE completed");
        if !self.enabled.qresync {
            return Ok(done);
        }
        // RFC 7162 §3.2: the mailbox has a new mod-sequence, as after EXPUNGE.
        Ok(reply::Reply { code: reply::highest_modseq(self.selected()?.view.modseq()).code, ..done })
    }

    /// `None` if there is nothing to do.
    fn job(&mut self, transfer: &Transfer) -> Outcome<Option<Job>> {
        let numbers = self.numbers(&transfer.set, transfer.numbering)?;
        let selected = self.selected()?;
        let uids = selected.view.live(&numbers);
        let required = match transfer.numbering {
            Numbering::Sequence if uids.len() as u64 != numbers.len() => return Err(reply::EXPUNGE_ISSUED.into()),
            Numbering::Sequence => Some(uids.len()),
            Numbering::Uid => None,
        };
        let set = uids.iter().copied().collect();
        let job = Job { from: selected.mailbox, set, required, to: transfer.mailbox.as_str().to_owned() };
        Ok((!uids.is_empty()).then_some(job))
    }
}

fn sets(pairs: &[(Uid, Uid)]) -> (UidSet, UidSet) {
    (pairs.iter().map(|(from, _)| from.number()).collect(), pairs.iter().map(|(_, to)| to.number()).collect())
}
