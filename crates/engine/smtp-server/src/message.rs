//! DATA: a message comes in, and goes to accounts (`inbound.rs`) or into the queue (`submission.rs`).

use mailstead_message::Fields;
use mailstead_message::trace::With;
use mailstead_queue::{Demand, Notification, Plaintext, TlsRequirement};
use mailstead_runtime::Deadline;
use mailstead_smtp::server::{self as session, Received, Role, reply as protocol};
use mailstead_smtp::{Mail, Reply, Verb};

use crate::connection::{Connection, Transaction};
use crate::inbound::{Arrival, InboundHeader, Origin};
use crate::reception::{Examine, Finished, Reception};
use crate::record;
use crate::refusal::{Cause, Envelope, Refusal};
use crate::reply;
use crate::submission::SubmissionHeader;

impl Connection {
    pub(crate) fn begin_message(&mut self) -> Reply {
        let examiner: Box<dyn Examine> = match (self.endpoint.role, &self.user) {
            (Role::Transfer, _) => Box::new(InboundHeader { hostname: self.server.settings.hostname.clone() }),
            (Role::Submission, Some(user)) => Box::new(SubmissionHeader::new(&self.server, user)),
            (Role::Submission, None) => return protocol::authentication_required(),
        };
        let Some(transaction) = &mut self.transaction else { return reply::processing() };
        let deadline = Deadline::after(self.server.settings.timeouts.message);
        transaction.reception = Some(Reception::new(self.server.services.store.stage(), examiner, deadline));
        protocol::start_mail()
    }

    /// Takes a piece of the message. What is refused early is still read to its end, by the session.
    pub(crate) async fn message_piece(&mut self, piece: &[u8]) {
        let Some(transaction) = &mut self.transaction else { return };
        let Some(reception) = transaction.reception.as_mut() else { return };
        if let Err(refusal) = reception.receive(piece).await {
            let reply = refusal.reply.clone();
            transaction.refusal.get_or_insert(refusal);
            self.note_error(&reply);
            self.session.abandon_message(reply);
        }
    }

    /// The session has refused the message at its end: for what it saw itself, or for what was found on the way.
    pub(crate) async fn message_refused(&mut self, refused: session::Refusal) {
        tracing::info!(?refused, "message refused");
        let Some(mut transaction) = self.transaction.take() else { return };
        let size_max = self.server.settings.message_max;
        let refusal = match refused {
            session::Refusal::Smuggling(_) => Refusal::new(Cause::LineEndings, protocol::smuggling()),
            session::Refusal::TooLarge => Refusal::new(Cause::TooLarge, protocol::too_large(size_max)),
            _ => match transaction.refusal.take() {
                Some(refusal) => refusal,
                None => return,
            },
        };
        if let Some(envelope) = self.envelope(&transaction) {
            self.server.keep_refused(record::refusal(&envelope, &refusal)).await;
        }
    }

    pub(crate) async fn end_of_message(&mut self, received: Received) -> Reply {
        let Some(mut transaction) = self.transaction.take() else { return reply::processing() };
        let Some(reception) = transaction.reception.take() else { return reply::processing() };
        let envelope = self.envelope(&transaction);
        match self.accept(transaction, reception, received).await {
            Ok(reply) => reply,
            Err(refusal) => {
                if let Some(envelope) = envelope {
                    self.server.keep_refused(record::refusal(&envelope, &refusal)).await;
                }
                refusal.reply
            }
        }
    }

    /// What is known without the message.
    fn envelope(&self, transaction: &Transaction) -> Option<Envelope> {
        let recipient = transaction.recipients.first()?;
        Some(Envelope {
            sender: transaction.mail.from.clone(),
            recipient: recipient.address.clone(),
            more: transaction.recipients.len() - 1,
            origin: self.origin(transaction, false),
        })
    }

    async fn accept(
        &self,
        transaction: Transaction,
        reception: Reception,
        received: Received,
    ) -> Result<Reply, Refusal> {
        self.provoked_by_recipients(&transaction).await?;
        let deadline = reception.deadline;
        let mut finished = reception.finish().await?;
        if let (Some(long), Some(user)) = (finished.long_line, &self.user) {
            let examiner = Box::new(SubmissionHeader::new(&self.server, user));
            finished = self.shortened(finished, long, examiner, deadline).await?;
        }
        let Finished { staged, header, signed, .. } = finished;
        let structure = staged.content().structure();
        self.check_declared(&transaction.mail, received, structure)?;
        let origin = self.origin(&transaction, structure.needs_smtputf8());
        match self.endpoint.role {
            Role::Transfer => {
                let arrival = Arrival {
                    demand: demand(&transaction.mail, &header),
                    notification: Notification { ret: transaction.mail.ret, envid: transaction.mail.envid },
                    sender: transaction.mail.from,
                    recipients: transaction.recipients,
                    origin,
                    staged,
                    signed,
                    spf: transaction.spf,
                };
                Ok(self.server.deliver_inbound(arrival).await)
            }
            Role::Submission => self.submit(transaction, origin, staged, &header, signed).await,
        }
    }

    /// How the present transaction came in.
    fn origin(&self, transaction: &Transaction, header_needs_smtputf8: bool) -> Origin {
        let tls = self.wire.stream.tls();
        let envelope = transaction.mail.from.needs_smtputf8()
            || transaction.recipients.iter().any(|recipient| recipient.address.needs_smtputf8());
        Origin {
            hello: self.hello.clone(),
            remote: self.remote(),
            with: With {
                extended: self.verb == Verb::Ehlo,
                tls: tls.is_some(),
                authenticated: self.user.is_some(),
                smtputf8: envelope || header_needs_smtputf8,
            },
            tls: tls.map(|tls| format!("{} {}", tls.version, tls.cipher_suite)),
            mark: self.mark.clone(),
            at: self.server.services.clock.now(),
        }
    }
}

/// What a message demands of every further transport (RFC 8689 §4.1). REQUIRETLS outweighs the header field, which asks
/// to deliver even where TLS cannot be had, and which means nothing if it is there twice or says anything else (§3).
pub(crate) fn demand(mail: &Mail, header: &[u8]) -> Demand {
    if mail.require_tls {
        return Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };
    }
    let mut fields = Fields::new(header).filter(|field| field.is("TLS-Required"));
    match (fields.next(), fields.next()) {
        (Some(field), None) if field.unfolded().trim().eq_ignore_ascii_case("no") => {
            Demand { requirement: TlsRequirement::TlsRequiredNo, ..Demand::default() }
        }
        _ => Demand::default(),
    }
}

#[cfg(test)]
mod tests {
    use mailstead_names::ReversePath;

    use super::*;

    #[test]
    fn only_one_no_means_no() {
        let requirement = |header: &str| demand(&Mail::new(ReversePath::Null), header.as_bytes()).requirement;
        assert_eq!(requirement("TLS-Required: No\r\n\r\n"), TlsRequirement::TlsRequiredNo);
        assert_eq!(requirement("tls-required:\r\n no\r\n\r\n"), TlsRequirement::TlsRequiredNo);
        for other in ["\r\n", "TLS-Required: yes\r\n\r\n", "TLS-Required: No\r\nTLS-Required: No\r\n\r\n"] {
            assert_eq!(requirement(other), TlsRequirement::Opportunistic, "{other}");
        }
    }

    #[test]
    fn requiretls_outweighs_the_header() {
        let mail = Mail { require_tls: true, ..Mail::new(ReversePath::Null) };
        let require_tls = Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };
        assert_eq!(demand(&mail, b"TLS-Required: No\r\n\r\n"), require_tls);
    }
}
