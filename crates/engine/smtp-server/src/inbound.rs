//! Mail from other servers, after its last octet: evidence, a verdict for each recipient, delivery, one reply.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use mailstead_config::AccountName;
use mailstead_mailauth::dmarc::Policy;
use mailstead_mailauth::results::{self, Form};
use mailstead_message::date::Date;
use mailstead_message::trace::{Received, With};
use mailstead_names::{Address, Domain, EhloName, ReversePath};
use mailstead_queue::{Demand, Notification};
use mailstead_smtp::Reply;
use mailstead_smtp::server::Role;
use mailstead_store::{DeliveryId, Facts, Refused, Staged};

use crate::analysis::{self, Decision, Evaluation, Evidence, Reason, Verdict};
use crate::authentication::{Hashing, Signed, SpfCheck, authenticate};
use crate::connection::Recipient;
use crate::delivery::{Copy, Target, envelope_fields};
use crate::lines::LineMeter;
use crate::reception::{Examine, Separator};
use crate::record;
use crate::refusal::{Cause, Refusal};
use crate::reply;
use crate::rules::{self, Subject};
use crate::sandbox::Sandbox;
use crate::server::Server;

/// Most Received fields before a message counts as going round in circles (RFC 5321 §6.3).
pub(crate) const RECEIVED_MAX: usize = 100;

/// How long somebody waits who has asked for nobody that exists.
const UNKNOWN_USER_DELAY: Duration = Duration::from_secs(5);

/// Recipients of one message whose refusals are kept. The checks are the same for all of them, each is a write, and what one
/// message brings must not push out what is kept of all others.
const REFUSALS_KEPT: usize = 10;

/// A recipient with what is to be done for it.
type Judged = (Address, Verdict);

/// A message that arrived completely.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) sender: ReversePath,
    /// Those of ours that do not exist have no destination.
    pub(crate) recipients: Vec<Recipient>,
    /// What the sender asks to be told.
    pub(crate) notification: Notification,
    /// What the message demands of the transport, and any notice about it too.
    pub(crate) demand: Demand,
    pub(crate) origin: Origin,
    pub(crate) staged: Staged,
    /// The header as it was received, and hashes of the body.
    pub(crate) signed: Option<Signed>,
    pub(crate) spf: Option<SpfCheck>,
}

impl Arrival {
    /// The header as it was received.
    pub(crate) fn header(&self) -> &[u8] {
        self.signed.as_ref().map_or(&[], Signed::header)
    }

    /// The recipient of this address.
    pub(crate) fn recipient(&self, address: &Address) -> Option<&Recipient> {
        self.recipients.iter().find(|recipient| recipient.address == *address)
    }
}

/// Where a message came from and how.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) hello: EhloName,
    pub(crate) remote: IpAddr,
    pub(crate) with: With,
    /// Protocol version and cipher suite.
    pub(crate) tls: Option<String>,
    pub(crate) mark: String,
    pub(crate) at: Timestamp,
}

/// Looks at the header of inbound mail.
#[derive(Debug)]
pub(crate) struct InboundHeader {
    pub(crate) hostname: Domain,
}

impl Examine for InboundHeader {
    fn examine(&self, header: &[u8], _separator: Separator) -> Result<Vec<u8>, Refusal> {
        if mailstead_message::trace::received_count(header) > RECEIVED_MAX {
            return Err(Refusal::new(Cause::Loop, reply::loop_detected()));
        }
        Ok(without_forged_results(header, &self.hostname))
    }

    fn hashing(&self, received: &[u8], _staged: &[u8]) -> Option<Hashing> {
        Some(Hashing::to_verify(received))
    }

    /// Lines of others are taken as they are: their signatures cover them.
    fn meter(&self, _received: &[u8]) -> Option<LineMeter> {
        None
    }
}

/// The header without Authentication-Results that claim to be ours (RFC 8601 §5).
pub(crate) fn without_forged_results(header: &[u8], hostname: &Domain) -> Vec<u8> {
    let mut kept = Vec::with_capacity(header.len());
    let mut copied = 0;
    for (field, _) in results::forged_fields(header, &[hostname.as_ascii()]) {
        kept.extend_from_slice(header.get(copied..field.range().start).unwrap_or_default());
        copied = field.range().end;
    }
    kept.extend_from_slice(header.get(copied..).unwrap_or_default());
    kept
}

impl Origin {
    /// The Received field; it names the recipient where there is only one (RFC 5321 §7.2).
    pub(crate) fn received(
        &self,
        by: &Domain,
        reverse_name: Option<&Domain>,
        only_recipient: Option<&Address>,
    ) -> String {
        Received {
            from: &self.hello,
            remote: Some(self.remote),
            reverse_name,
            by,
            with: self.with,
            tls: self.tls.as_deref(),
            id: &self.mark,
            recipient: only_recipient,
            at: Date::utc(self.at),
        }
        .to_string()
    }
}

impl Server {
    /// Judges and delivers. The reply is positive once at least one copy is on the disk.
    pub(crate) async fn deliver_inbound(&self, mut arrival: Arrival) -> Reply {
        let evidence = self.evidence(&mut arrival).await;
        if self.settings.sandbox == Sandbox::Off && arrival.recipients.iter().all(|to| to.destination.is_none()) {
            // Whoever tries names one by one shall not be quick about it.
            self.services.shutdown.or_begun(tokio::time::sleep(UNKNOWN_USER_DELAY)).await;
        }
        let mut failures = Vec::new();
        let mut copies: BTreeMap<AccountName, Vec<(Judged, Copy)>> = BTreeMap::new();
        let only = match arrival.recipients.as_slice() {
            [only] => Some(&only.address),
            _ => None,
        };
        let reverse_name = evidence.authentication().and_then(|authentication| authentication.iprev.name());
        let received = arrival.origin.received(&self.settings.hostname, reverse_name, only);
        let delivery = self.random_name();
        let directory = self.directory();
        for (index, recipient) in arrival.recipients.iter().enumerate() {
            let Recipient { address: recipient, destination, .. } = recipient;
            let account = destination.as_ref().and_then(|found| directory.account(found.account.as_str()));
            let subject = Subject {
                sender: &arrival.sender,
                header: arrival.header(),
                authentication: evidence.authentication(),
            };
            let rule = account.and_then(|account| rules::first_match(&account.rules, subject));
            let verdict = analysis::classify(&evidence, recipient, destination.as_ref(), rule, self.settings.sandbox);
            tracing::debug!(%recipient, matched = ?destination.as_ref().map(|found| found.matched), ?verdict, "classified");
            let facts = record::arrival(&arrival, recipient, &evidence, &verdict);
            let mailbox = match &verdict.decision {
                Decision::Reject(reply) => {
                    self.report(&arrival, recipient, &evidence, &verdict);
                    if failures.len() < REFUSALS_KEPT {
                        self.keep_refused(facts).await;
                    }
                    failures.push((recipient.clone(), reply.clone()));
                    continue;
                }
                Decision::Junk => Target::Junk,
                Decision::Accept(None) => Target::Inbox,
                Decision::Accept(Some(name)) => Target::Named(name.clone()),
            };
            let Some(destination) = destination else { continue };
            let mut prefix = envelope_fields(&arrival.sender, recipient);
            if let Some(authentication) = evidence.authentication() {
                let overrides = verdict.overrides(&authentication.dmarc);
                let form = if arrival.origin.with.smtputf8 { Form::Utf8 } else { Form::Ascii };
                prefix += &authentication.fields(&self.settings.hostname, &overrides, form);
            }
            prefix += &received;
            let id = DeliveryId(format!("{delivery}-{index}"));
            let copy = Copy { id, prefix: prefix.into_bytes(), mailbox, facts: vec![facts] };
            copies.entry(destination.account.clone()).or_default().push(((recipient.clone(), verdict), copy));
        }
        let mut delivered = Vec::new();
        for (account, copies) in copies {
            let (judged, copies): (Vec<Judged>, Vec<_>) = copies.into_iter().unzip();
            match self.delivery.store(&account, copies, &arrival.staged).await {
                Ok(()) => {
                    tracing::info!(from = %arrival.sender, %account, size = arrival.staged.size(), recipients = judged.len(), "delivered");
                    // Not before: what could not be stored comes again, and would be reported twice.
                    for (recipient, verdict) in &judged {
                        self.report(&arrival, recipient, &evidence, verdict);
                    }
                    delivered.extend(judged);
                }
                Err(error) => {
                    let reply = reply::store_error(&error);
                    let verdict = Verdict::not_stored(reply.clone());
                    for (recipient, _) in judged {
                        if failures.len() < REFUSALS_KEPT {
                            self.keep_refused(record::arrival(&arrival, &recipient, &evidence, &verdict)).await;
                        }
                        failures.push((recipient, reply.clone()));
                    }
                }
            }
        }
        self.conclude(&arrival, &evidence, &delivered, &failures).await
    }

    /// What can be known about the sender. In a sandbox nobody is asked.
    async fn evidence(&self, arrival: &mut Arrival) -> Evidence {
        let spf = arrival.spf.take();
        let Some(signed) = arrival.signed.as_ref().filter(|_| self.settings.sandbox == Sandbox::Off) else {
            return Evidence::Unchecked;
        };
        let (resolver, hostname) = (&*self.services.resolver, &self.settings.hostname);
        let authentication = authenticate(resolver, hostname, &arrival.sender, &arrival.origin, signed, spf).await;
        tracing::info!(
            iprev = %authentication.iprev.result,
            spf = %authentication.spf.verdict.result,
            dkim = authentication.dkim.outcomes.iter().map(|outcome| outcome.status.name()).collect::<Vec<_>>().join(","),
            dmarc = %authentication.dmarc.status,
            author = authentication.dmarc.author.as_ref().map(tracing::field::display),
            "sender checked"
        );
        Evidence::Checked(Box::new(authentication))
    }

    /// Tells those who report to the owners of domains.
    fn report(&self, arrival: &Arrival, recipient: &Address, evidence: &Evidence, verdict: &Verdict) {
        let Some(authentication) = evidence.authentication() else { return };
        // Of those who do not exist nobody reports anything.
        if verdict.reasons.contains(&Reason::UnknownUser) {
            return;
        }
        let applied = match &verdict.decision {
            Decision::Reject(reply) if reply.code >= 500 => Policy::Reject,
            Decision::Junk => Policy::Quarantine,
            // What is deferred comes again.
            Decision::Reject(_) => return,
            Decision::Accept(_) => Policy::None,
        };
        self.services.evaluations.evaluated(Evaluation {
            remote: arrival.origin.remote,
            envelope_from: arrival.sender.address().and_then(Address::domain),
            envelope_to: recipient.domain(),
            dmarc: &authentication.dmarc,
            spf: &authentication.spf.verdict,
            dkim: &authentication.dkim,
            applied,
            overrides: verdict.overrides(&authentication.dmarc),
        });
    }

    /// Keeps for a while why a message was refused. What cannot be kept changes nothing about the refusal.
    pub(crate) async fn keep_refused(&self, facts: Facts) {
        let refused = Refused {
            reference: facts.reference.unwrap_or_default(),
            at: self.services.clock.now(),
            version: facts.version,
            payload: facts.payload,
        };
        if let Err(error) = self.services.store.refused().put(refused).await {
            tracing::warn!(%error, "the reasons of a refusal are not kept");
        }
    }

    /// One reply for all recipients. After some copies were delivered, the others' failures are told by a notice.
    async fn conclude(
        &self,
        arrival: &Arrival,
        evidence: &Evidence,
        delivered: &[Judged],
        failures: &[(Address, Reply)],
    ) -> Reply {
        for (recipient, reply) in failures {
            tracing::info!(from = %arrival.sender, %recipient, code = reply.code, reason = %reply, "not delivered");
            self.services.metrics.recipients(Role::Transfer, reply.code, 1);
        }
        self.services.metrics.recipients(Role::Transfer, 250, delivered.len());
        if delivered.is_empty() {
            return reply::all_failed(failures);
        }
        if let Err(error) = self.notify_of_failure(arrival, failures).await {
            // Told nobody, the failures would be lost: sent again, some recipients get the message twice.
            tracing::error!(%error, "failure notice not queued");
            return reply::queue_error(&error);
        }
        // What is suspected is not confirmed, and nothing goes to a sender who may have nothing to do with it.
        let is_accepted = |verdict: &Verdict| matches!(verdict.decision, Decision::Accept(_));
        if evidence.authentication().is_some_and(|authentication| authentication.spf.authorizes_sender()) {
            let accepted = delivered.iter().filter(|(_, verdict)| is_accepted(verdict)).map(|(recipient, _)| recipient);
            if let Err(error) = self.notify_of_success(arrival, accepted).await {
                tracing::error!(%error, "notice of delivery not queued");
            }
        }
        reply::accepted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_results_are_removed() {
        let hostname = Domain::parse("mx.example").unwrap();
        let header = b"A: 1\r\nAuthentication-Results: (c) MX.example; auth=pass\r\n more\r\nauthentication-results: other.example; x=y\r\n\
            Authentication-Results: mx.example\r\nB: 2\r\n\r\n";
        let kept = without_forged_results(header, &hostname);
        assert_eq!(kept, b"A: 1\r\nauthentication-results: other.example; x=y\r\nB: 2\r\n\r\n");
    }

    #[test]
    fn messages_that_go_round_are_refused() {
        let hostname = Domain::parse("mx.example").unwrap();
        let examiner = InboundHeader { hostname };
        let fine = b"Received: x\r\n".repeat(RECEIVED_MAX);
        assert!(examiner.examine(&fine, Separator::Present).is_ok());
        let looping = b"Received: x\r\n".repeat(RECEIVED_MAX + 1);
        assert_eq!(
            examiner.examine(&looping, Separator::Present),
            Err(Refusal::new(Cause::Loop, reply::loop_detected()))
        );
    }
}
