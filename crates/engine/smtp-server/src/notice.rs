//! The notice to a sender whose message was stored for some recipients and refused for others.
//!
//! The reply after the message speaks for all recipients (RFC 5321 §4.2.5), so once a copy is stored it is positive, and
//! the failures are told by a notice (RFC 3464) with the null reverse-path.

use mailstead_message::Mailbox;
use mailstead_message::date::Date;
use mailstead_message::dsn::{Action, Recipient, Report};
use mailstead_names::{Address, EnhancedStatus, ReversePath, StatusClass};
use mailstead_queue::{Demand, Envelope, MessageClass};
use mailstead_smtp::Reply;

use crate::inbound::Arrival;
use crate::sandbox::Sandbox;
use crate::server::Server;

impl Server {
    /// Queues the notice.
    pub(crate) async fn notify_sender(
        &self,
        arrival: &Arrival,
        failures: &[(Address, Reply)],
    ) -> Result<(), mailstead_queue::Error> {
        // Nobody answers a notice (RFC 5321 §4.5.5), and in a sandbox senders are made up.
        let ReversePath::Address(sender) = &arrival.sender else { return Ok(()) };
        if self.settings.sandbox == Sandbox::On {
            return Ok(());
        }
        let message = self.compose_notice(arrival, sender, failures);
        self.queue_notice(sender, &message).await?;
        tracing::info!(to = %sender, failures = failures.len(), "failure notice queued");
        Ok(())
    }

    async fn queue_notice(&self, sender: &Address, message: &[u8]) -> Result<(), mailstead_queue::Error> {
        let mut stage = self.services.store.stage();
        stage.write(message).await?;
        let staged = stage.finish().await?;
        let structure = staged.content().structure();
        let envelope = Envelope {
            submitter: None,
            sender: ReversePath::Null,
            recipients: vec![sender.clone()],
            eight_bit: structure.has_8bit(),
            smtputf8: structure.needs_smtputf8(),
        };
        let queue = &self.services.queue;
        queue.enqueue(envelope, Vec::new(), staged, Demand::default(), MessageClass::Notice).await.map(drop)
    }

    fn compose_notice(&self, arrival: &Arrival, sender: &Address, failures: &[(Address, Reply)]) -> Vec<u8> {
        let hostname = &self.settings.hostname;
        let now = Date::utc(self.services.clock.now());
        let recipients: Vec<Recipient> = failures
            .iter()
            .map(|(to, reply)| Recipient {
                final_recipient: to.clone(),
                action: Action::Failed,
                status: reply.status.map_or(EnhancedStatus::new(5, 0, 0), permanent),
                remote_mta: None,
                diagnostic: Some(reply.to_string()),
                last_attempt: Some(now),
                will_retry_until: None,
            })
            .collect();
        let domain = recipients.iter().find_map(|recipient| recipient.final_recipient.domain()).unwrap_or(hostname);
        let listed: String = failures.iter().map(|(to, reply)| format!("\r\n  <{to}>\r\n    {reply}\r\n")).collect();
        let text = format!("Your message was delivered to some of its recipients, but not to these:\r\n{listed}");
        let report = Report {
            reporting_mta: hostname,
            from: Mailbox {
                localpart: "postmaster".to_owned(),
                domain: Some(domain.to_string()),
                ..Mailbox::default()
            },
            to: sender,
            subject: "Mail not delivered to some recipients",
            text: &text,
            message_id: &format!("{}@{hostname}", self.random_name()),
            date: now,
            arrival: Some(Date::utc(arrival.origin.at)),
            recipients: &recipients,
            original_header: arrival.header(),
            boundary: &self.random_name(),
        };
        report.compose()
    }
}

/// No further attempt is made, so the failure is final whatever it was (RFC 3464 §2.3.3).
fn permanent(status: EnhancedStatus) -> EnhancedStatus {
    status.with_class(StatusClass::Permanent)
}
