//! Mail from our users: what must be right about a message before it goes into the queue, and what is added to it
//! (RFC 6409 §4 to §8).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mailstead_config::{AccountName, Directory};
use mailstead_login::User;
use mailstead_message::date::Date;
use mailstead_message::header::{Fields, fold};
use mailstead_message::trace::Received;
use mailstead_message::{address, trace};
use mailstead_names::{Address, Domain, EhloName, ReversePath};
use mailstead_queue::{Envelope, EnvelopeRecipient, MessageClass, Notification};
use mailstead_runtime::Deadline;
use mailstead_smtp::server::Role;
use mailstead_smtp::{Mail, Reply, Strictness};
use mailstead_store::{AccountId, Staged};

use crate::authentication::{Hashing, Signed};
use crate::connection::{Connection, Recipient, Transaction};
use crate::inbound::{Origin, RECEIVED_MAX, without_forged_results};
use crate::lines::{self, LineMeter, LongLine};
use crate::message::demand;
use crate::reception::{Examine, Finished, Reception, Separator};
use crate::reencode::{Source, reencode};
use crate::refusal::{Cause, Refusal};
use crate::reply;
use crate::sandbox::Sandbox;
use crate::server::Server;
use crate::signing::{self, Signing};

/// Looks at the header of submitted mail and completes it.
#[derive(Debug)]
pub(crate) struct SubmissionHeader {
    directory: Arc<Directory>,
    account: AccountName,
    hostname: Domain,
    strictness: Strictness,
    now: Timestamp,
    /// Left-hand side of a Message-ID, should there be none.
    unique: String,
    signing: Signing,
}

impl SubmissionHeader {
    /// For a message that this user submits now.
    pub(crate) fn new(server: &Server, user: &User) -> SubmissionHeader {
        SubmissionHeader {
            directory: server.directory(),
            account: user.name.clone(),
            hostname: server.settings.hostname.clone(),
            strictness: server.settings.strictness,
            now: server.services.clock.now(),
            unique: server.random_name(),
            signing: server.services.signing.clone(),
        }
    }
}

impl Examine for SubmissionHeader {
    fn examine(&self, header: &[u8], separator: Separator) -> Result<Vec<u8>, Refusal> {
        if separator == Separator::Missing {
            return Err(Refusal::new(Cause::Malformed, reply::no_separator()));
        }
        if self.strictness == Strictness::Pedantic && Fields::find(header, "Return-Path").is_some() {
            return Err(Refusal::new(Cause::Malformed, reply::return_path_present()));
        }
        if trace::received_count(header) > RECEIVED_MAX {
            return Err(Refusal::new(Cause::Loop, reply::loop_detected()));
        }
        let from = author(header).ok_or_else(|| Refusal::new(Cause::Malformed, reply::from_needed()))?;
        if !self.directory.may_send_as(&self.account, &from) {
            return Err(Refusal::new(Cause::Author, reply::from_not_yours()));
        }
        // RFC 6409 §8.2, §8.3: what every message must or should have. Part of the message, not of its trace.
        let mut completed = Vec::with_capacity(header.len() + 128);
        if Fields::find(header, "Message-ID").is_none() {
            let domain = from.domain().unwrap_or(&self.hostname);
            completed.extend_from_slice(format!("Message-ID: <{}@{domain}>\r\n", self.unique).as_bytes());
        }
        if Fields::find(header, "Date").is_none() {
            completed.extend_from_slice(format!("Date: {}\r\n", Date::utc(self.now)).as_bytes());
        }
        completed.extend(without_forged_results(header, &self.hostname));
        lines::refolded(completed)
            .map_err(|field| Refusal::new(Cause::LineLength, reply::header_line_too_long(&field.field, field.length)))
    }

    fn hashing(&self, _received: &[u8], staged: &[u8]) -> Option<Hashing> {
        let author = author(staged)?;
        let domain = author.domain()?;
        let signers = self.signing.signers(domain);
        (!signers.is_empty()).then(|| Hashing::to_sign(staged, signers))
    }

    fn meter(&self, received: &[u8]) -> Option<LineMeter> {
        Some(LineMeter::after(received))
    }
}

/// The one address in the one From field.
fn author(header: &[u8]) -> Option<Address> {
    let mut fields = Fields::new(header).filter(|field| field.is("From"));
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let items = address::list(&field.unfolded());
    let mut mailboxes = address::mailboxes(&items);
    let (mailbox, None) = (mailboxes.next()?, mailboxes.next()) else { return None };
    Address::parse(&mailbox.addr_spec()).ok()
}

impl Connection {
    /// Puts a complete message into the queue, for all its recipients or none.
    pub(crate) async fn submit(
        &self,
        transaction: Transaction,
        origin: Origin,
        staged: Staged,
        header: &[u8],
        signed: Option<Signed>,
    ) -> Result<Reply, Refusal> {
        let server = &self.server;
        let user = self.user.as_ref().ok_or_else(|| Refusal::new(Cause::Internal, reply::processing()))?;
        // In a sandbox nobody is harmed, and people measure.
        if server.settings.sandbox == Sandbox::Off && !server.allowance.take(user.account.id(), origin.at) {
            return Err(Refusal::new(Cause::Allowance, reply::submission_limit()));
        }
        let demand = demand(&transaction.mail, header);
        let Mail { from: sender, ret, envid, .. } = transaction.mail;
        let recipients = transaction.recipients;
        let mut prefix = submission_trace(&server.settings.hostname, &origin, &sender, &recipients);
        prefix.push_str(&signed.map(|signed| signatures(&signed, &origin)).unwrap_or_default());
        let (count, size) = (recipients.len(), staged.size());
        let structure = staged.content().structure();
        let envelope = Envelope {
            submitter: Some(user.account.id()),
            sender: sender.clone(),
            recipients: recipients
                .into_iter()
                .map(|Recipient { address, notify, orcpt, .. }| EnvelopeRecipient { address, notify, orcpt })
                .collect(),
            eight_bit: structure.has_8bit(),
            // What the message needs, not what the client declared: programs declare it whenever they could need it, and
            // where nothing does it is not asked of the next server (RFC 6531 §3.4).
            smtputf8: structure.needs_smtputf8(),
            notification: Notification { ret, envid },
        };
        let queue = &server.services.queue;
        match queue.enqueue(envelope, prefix.into_bytes(), staged, demand, MessageClass::Submission).await {
            Ok(_) => {
                server.services.metrics.recipients(Role::Submission, 250, count);
                tracing::info!(from = %sender, user = user.username, recipients = count, size, "queued");
                Ok(reply::queued())
            }
            Err(error) => {
                tracing::warn!(%error, "message not queued");
                let reply = reply::queue_error(&error);
                server.services.metrics.recipients(Role::Submission, reply.code, count);
                Err(Refusal::new(Cause::Storage, reply))
            }
        }
    }
}

impl Connection {
    /// A message whose lines are all short enough, from one where `long` is the first that is not: parts that may be
    /// touched are encoded. Where that does not help, the message is refused.
    pub(crate) async fn shortened(
        &self,
        finished: Finished,
        long: LongLine,
        examiner: Box<dyn Examine>,
        deadline: Deadline,
    ) -> Result<Finished, Refusal> {
        let store = &self.server.services.store;
        let mut again = Reception::new(store.stage(), examiner, deadline);
        let source = Source { store, staged: &finished.staged, header: &finished.header };
        let refused = || Refusal::new(Cause::LineLength, reply::line_too_long(long.number, long.length));
        if !reencode(&source, &mut again).await? {
            return Err(refused());
        }
        let shortened = again.finish().await?;
        if shortened.long_line.is_some() {
            return Err(refused());
        }
        tracing::info!(line = long.number, length = long.length, "lines too long, parts of the message encoded");
        Ok(shortened)
    }
}

/// The signatures of the author's domain. A message that cannot be signed is not held back: its sender would wait for
/// something that only the administrator can mend, who is told.
fn signatures(signed: &Signed, origin: &Origin) -> String {
    signing::signatures(signed.signers(), signed, origin.at).unwrap_or_else(|error| {
        let domain = signed.signers().first().map(|signer| signer.domain.as_ascii());
        tracing::error!(domain, %error, "message not signed");
        String::new()
    })
}

/// Authentication-Results and Received. Where the user was is nobody's business, so we are the origin (RFC 6409 §8
/// leaves that to the server).
fn submission_trace(hostname: &Domain, origin: &Origin, sender: &ReversePath, recipients: &[Recipient]) -> String {
    let sender = sender.address().map(|address| format!(" smtp.mailfrom={address}")).unwrap_or_default();
    let results = fold("Authentication-Results", [format!("{hostname};").as_str(), &format!("auth=pass{sender}")]);
    let received = Received {
        from: &EhloName::Domain(hostname.clone()),
        remote: None,
        reverse_name: None,
        by: hostname,
        with: origin.with,
        tls: origin.tls.as_deref(),
        id: &origin.mark,
        recipient: if let [only] = recipients { Some(&only.address) } else { None },
        at: Date::utc(origin.at),
    };
    format!("{results}{received}")
}

/// How many messages each account may submit in 24 hours. Kept in memory: a stolen password is noticed by the limit,
/// and a restart costs the thief's victim nothing.
#[derive(Debug)]
pub(crate) struct Allowance {
    per_day: usize,
    submitted: Mutex<HashMap<AccountId, VecDeque<Timestamp>>>,
}

impl Allowance {
    pub(crate) fn new(per_day: u32) -> Allowance {
        Allowance { per_day: per_day as usize, submitted: Mutex::default() }
    }

    /// Counts a message at this time; false where that is one too many.
    fn take(&self, account: AccountId, now: Timestamp) -> bool {
        let day_ago = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
        let mut submitted = self.submitted.lock().unwrap_or_else(PoisonError::into_inner);
        let times = submitted.entry(account).or_default();
        while times.front().is_some_and(|first| *first <= day_ago) {
            times.pop_front();
        }
        let room = times.len() < self.per_day;
        if room {
            times.push_back(now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_author() {
        let author = |header: &str| author(header.as_bytes()).map(|address| address.to_string());
        assert_eq!(author("From: A <a@b.example>\r\n\r\n").as_deref(), Some("a@b.example"));
        for wrong in [
            "To: a@b.example\r\n\r\n",
            "From: a@b.example\r\nFrom: a@b.example\r\n\r\n",
            "From: a@b.example, c@b.example\r\n\r\n",
            "From: nobody\r\n\r\n",
            "From:\r\n\r\n",
        ] {
            assert_eq!(author(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn allowance_comes_back_after_a_day() {
        let allowance = Allowance::new(2);
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        assert!(allowance.take(AccountId(1), at(0)) && allowance.take(AccountId(1), at(1)));
        assert!(!allowance.take(AccountId(1), at(23)) && allowance.take(AccountId(2), at(23)));
        assert!(allowance.take(AccountId(1), at(24)) && !allowance.take(AccountId(1), at(24)));
    }
}
