//! DATA: a message comes in, and goes to accounts (`inbound.rs`) or into the queue (`submission.rs`).

use mailstead_message::trace::With;
use mailstead_runtime::Deadline;
use mailstead_smtp::server::{Received, Role, reply as protocol};
use mailstead_smtp::{Reply, Verb};

use crate::connection::{Connection, Transaction};
use crate::inbound::{Arrival, InboundHeader, Origin};
use crate::reception::{Examine, Finished, Reception};
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
        let Some(reception) = self.transaction.as_mut().and_then(|transaction| transaction.reception.as_mut()) else {
            return;
        };
        if let Err(reply) = reception.receive(piece).await {
            self.note_error(&reply);
            self.session.abandon_message(reply);
        }
    }

    pub(crate) async fn end_of_message(&mut self, received: Received) -> Reply {
        let Some(mut transaction) = self.transaction.take() else { return reply::processing() };
        let Some(reception) = transaction.reception.take() else { return reply::processing() };
        match self.accept(transaction, reception, received).await {
            Ok(reply) | Err(reply) => reply,
        }
    }

    async fn accept(&self, transaction: Transaction, reception: Reception, received: Received) -> Result<Reply, Reply> {
        self.provoked_by_recipients(&transaction).await?;
        let Finished { staged, header, signed } = reception.finish().await?;
        let structure = staged.content().structure();
        self.check_declared(&transaction.mail, received, structure)?;
        let origin = self.origin(&transaction, structure.needs_smtputf8());
        match self.endpoint.role {
            Role::Transfer => {
                let arrival = Arrival {
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
            || transaction.recipients.iter().any(|(recipient, _)| recipient.needs_smtputf8());
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
