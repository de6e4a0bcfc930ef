//! Mail from other servers, after its last octet: evidence, a verdict for each recipient, delivery, one reply.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use mailstead_config::{AccountName, Destination};
use mailstead_message::Fields;
use mailstead_message::date::Date;
use mailstead_message::trace::{Received, With};
use mailstead_names::{Address, Domain, EhloName, ReversePath};
use mailstead_smtp::Reply;
use mailstead_smtp::server::Role;
use mailstead_store::{DeliveryId, Staged};

use crate::analysis::{self, Decision};
use crate::delivery::{Copy, envelope_fields};
use crate::reception::{Examine, Separator};
use crate::record;
use crate::reply;
use crate::server::Server;

/// Most Received fields before a message counts as going round in circles (RFC 5321 §6.3).
pub(crate) const RECEIVED_MAX: usize = 100;

/// A message that arrived completely.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) sender: ReversePath,
    pub(crate) recipients: Vec<(Address, Destination)>,
    pub(crate) origin: Origin,
    pub(crate) staged: Staged,
    pub(crate) header: Vec<u8>,
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
    fn examine(&self, header: &[u8], _separator: Separator) -> Result<Vec<u8>, Reply> {
        if mailstead_message::trace::received_count(header) > RECEIVED_MAX {
            return Err(reply::loop_detected());
        }
        Ok(without_forged_results(header, &self.hostname))
    }
}

/// The header without Authentication-Results that claim to be ours (RFC 8601 §5).
pub(crate) fn without_forged_results(header: &[u8], hostname: &Domain) -> Vec<u8> {
    let mut kept = Vec::with_capacity(header.len());
    let mut copied = 0;
    for field in Fields::new(header).filter(|field| field.is("Authentication-Results")) {
        let value = field.unfolded();
        let id = value
            .split(|c: char| c == ';' || c.is_ascii_whitespace())
            .find(|word| !word.is_empty() && !word.starts_with('('));
        // RFC 8601 §2.5: the identifier is compared like a domain name.
        if id.is_some_and(|id| Domain::parse_lenient(id.trim_matches('"')).is_ok_and(|id| id == *hostname)) {
            kept.extend_from_slice(header.get(copied..field.range().start).unwrap_or_default());
            copied = field.range().end;
        }
    }
    kept.extend_from_slice(header.get(copied..).unwrap_or_default());
    kept
}

impl Origin {
    /// The Received field; it names the recipient where there is only one (RFC 5321 §7.2).
    pub(crate) fn received(&self, by: &Domain, only_recipient: Option<&Address>) -> String {
        Received {
            from: &self.hello,
            remote: Some(self.remote),
            reverse_name: None,
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
    pub(crate) async fn deliver_inbound(&self, arrival: Arrival) -> Reply {
        let authentication = analysis::authenticate(&arrival).await;
        let mut failures = Vec::new();
        let mut copies: BTreeMap<AccountName, Vec<(Address, Copy)>> = BTreeMap::new();
        let only = match arrival.recipients.as_slice() {
            [(recipient, _)] => Some(recipient),
            _ => None,
        };
        let received = arrival.origin.received(&self.settings.hostname, only);
        let delivery = self.random_name();
        for (index, accepted @ (recipient, destination)) in arrival.recipients.iter().enumerate() {
            let verdict = analysis::classify(&arrival, &authentication, accepted, self.settings.sandbox);
            tracing::debug!(%recipient, account = %destination.account, matched = ?destination.matched, ?verdict, "classified");
            match &verdict.decision {
                Decision::Reject(reply) => failures.push((recipient.clone(), reply.clone())),
                Decision::Accept => {
                    let prefix = (envelope_fields(&arrival.sender, recipient) + &received).into_bytes();
                    let facts = vec![record::arrival(&arrival, recipient, &verdict)];
                    let copy = Copy { id: DeliveryId(format!("{delivery}-{index}")), prefix, facts };
                    copies.entry(destination.account.clone()).or_default().push((recipient.clone(), copy));
                }
            }
        }
        let mut delivered = 0;
        for (account, copies) in copies {
            let (recipients, copies): (Vec<_>, Vec<_>) = copies.into_iter().unzip();
            match self.delivery.store(&account, copies, &arrival.staged).await {
                Ok(()) => {
                    delivered += recipients.len();
                    tracing::info!(from = %arrival.sender, %account, size = arrival.staged.size(), recipients = recipients.len(), "delivered");
                }
                Err(error) => {
                    failures.extend(recipients.into_iter().map(|recipient| (recipient, reply::store_error(&error))));
                }
            }
        }
        self.conclude(&arrival, delivered, &failures).await
    }

    /// One reply for all recipients. After some copies were delivered, the others' failures are told by a notice.
    async fn conclude(&self, arrival: &Arrival, delivered: usize, failures: &[(Address, Reply)]) -> Reply {
        for (recipient, reply) in failures {
            tracing::info!(from = %arrival.sender, %recipient, code = reply.code, reason = %reply, "not delivered");
            self.services.metrics.recipients(Role::Transfer, reply.code, 1);
        }
        self.services.metrics.recipients(Role::Transfer, 250, delivered);
        if delivered == 0 {
            return reply::all_failed(failures);
        }
        if failures.is_empty() {
            return reply::accepted();
        }
        match self.notify_sender(arrival, failures).await {
            Ok(()) => reply::accepted(),
            Err(error) => {
                // Told nobody, the failures would be lost: sent again, some recipients get the message twice.
                tracing::error!(%error, "failure notice not queued");
                reply::queue_error(&error)
            }
        }
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
        assert_eq!(examiner.examine(&looping, Separator::Present), Err(reply::loop_detected()));
    }
}
