//! Notices to the sender of inbound mail (RFC 3464), with the null reverse-path and as far as they are asked for
//! (RFC 3461).
//!
//! The reply after the message speaks for all recipients (RFC 5321 §4.2.5), so once a copy is stored it is positive, and
//! the failures are told by a notice. What is refused as a whole is told by whoever tried to send it.

use mailstead_message::Mailbox;
use mailstead_message::date::Date;
use mailstead_message::dsn::{self, Action, Original, RETURNED_MESSAGE, Report};
use mailstead_names::{Address, EnhancedStatus, ReversePath, StatusClass};
use mailstead_queue::{Envelope, EnvelopeRecipient, MessageClass, Notification, TlsRequirement, original_recipient};
use mailstead_smtp::{Reply, Ret};

use crate::connection::Recipient;
use crate::inbound::Arrival;
use crate::sandbox::Sandbox;
use crate::server::Server;

/// What a notice says.
struct Content<'a> {
    subject: &'static str,
    text: String,
    recipients: Vec<dsn::Recipient>,
    original: Original<'a>,
}

impl Server {
    /// Queues the notice that the message was not stored for these recipients, unless nobody wants it.
    pub(crate) async fn notify_of_failure(
        &self,
        arrival: &Arrival,
        failures: &[(Address, Reply)],
    ) -> Result<(), mailstead_queue::Error> {
        let Some(sender) = self.recipient_of_notices(arrival) else { return Ok(()) };
        let wanted: Vec<(&Recipient, &Reply)> = failures
            .iter()
            .filter_map(|(address, reply)| Some((arrival.recipient(address)?, reply)))
            .filter(|(recipient, _)| recipient.notify.is_none_or(|notify| notify.failure))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let now = Date::utc(self.services.clock.now());
        let listed: String = wanted
            .iter()
            .map(|(recipient, reply)| format!("\r\n  <{}>\r\n    {reply}\r\n", recipient.address))
            .collect();
        let fields = |(recipient, reply): &(&Recipient, &Reply)| {
            let status = reply.status.map_or(EnhancedStatus::new(5, 0, 0), permanent);
            dsn::Recipient { diagnostic: Some(reply.to_string()), ..fields(recipient, Action::Failed, status, now) }
        };
        let whole = self.returned_whole(arrival).await?;
        let content = Content {
            subject: "Mail not delivered to some recipients",
            text: format!("Your message was delivered to some of its recipients, but not to these:\r\n{listed}"),
            recipients: wanted.iter().map(fields).collect(),
            original: whole.as_deref().map_or(Original::Header(arrival.header()), Original::whole),
        };
        self.queue_notice(arrival, sender, &self.compose_notice(arrival, sender, content)).await?;
        tracing::info!(to = %sender, failures = wanted.len(), "failure notice queued");
        Ok(())
    }

    /// Queues the notice that the message was stored for those of these recipients of whom the sender wants to hear it
    /// (RFC 3461 §5.2.3).
    pub(crate) async fn notify_of_success(
        &self,
        arrival: &Arrival,
        accepted: impl Iterator<Item = &Address>,
    ) -> Result<(), mailstead_queue::Error> {
        let Some(sender) = self.recipient_of_notices(arrival) else { return Ok(()) };
        let wanted: Vec<&Recipient> = accepted
            .filter_map(|address| arrival.recipient(address))
            .filter(|recipient| recipient.notify.is_some_and(|notify| notify.success))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let now = Date::utc(self.services.clock.now());
        let listed: String = wanted.iter().map(|recipient| format!("\r\n  <{}>\r\n", recipient.address)).collect();
        let content = Content {
            subject: "Mail delivered",
            text: format!("As you asked to be told: your message was delivered to\r\n{listed}"),
            recipients: wanted
                .iter()
                .map(|recipient| fields(recipient, Action::Delivered, EnhancedStatus::new(2, 0, 0), now))
                .collect(),
            original: Original::Header(arrival.header()),
        };
        self.queue_notice(arrival, sender, &self.compose_notice(arrival, sender, content)).await?;
        tracing::info!(to = %sender, recipients = wanted.len(), "notice of delivery queued");
        Ok(())
    }

    /// Nobody answers a notice (RFC 5321 §4.5.5), and in a sandbox senders are made up.
    fn recipient_of_notices<'a>(&self, arrival: &'a Arrival) -> Option<&'a Address> {
        arrival.sender.address().filter(|_| self.settings.sandbox == Sandbox::Off)
    }

    /// The message, where a notice of failure is to return all of it. RFC 8689 §5: not where it required TLS.
    async fn returned_whole(&self, arrival: &Arrival) -> Result<Option<Vec<u8>>, mailstead_store::Error> {
        let size = arrival.staged.size();
        let wanted = arrival.notification.ret == Some(Ret::Full)
            && arrival.demand.requirement != TlsRequirement::RequireTls
            && size <= RETURNED_MESSAGE as u64;
        if !wanted {
            return Ok(None);
        }
        self.services.store.read_staged(&arrival.staged, 0..size).await.map(Some)
    }

    async fn queue_notice(
        &self,
        arrival: &Arrival,
        sender: &Address,
        message: &[u8],
    ) -> Result<(), mailstead_queue::Error> {
        let mut stage = self.services.store.stage();
        stage.write(message).await?;
        let staged = stage.finish().await?;
        let structure = staged.content().structure();
        let envelope = Envelope {
            submitter: None,
            sender: ReversePath::Null,
            recipients: vec![EnvelopeRecipient::from(sender.clone())],
            eight_bit: structure.has_8bit(),
            smtputf8: structure.needs_smtputf8(),
            notification: Notification::default(),
        };
        let demand = arrival.demand.of_notice();
        self.services.queue.enqueue(envelope, Vec::new(), staged, demand, MessageClass::Notice).await.map(drop)
    }

    fn compose_notice(&self, arrival: &Arrival, sender: &Address, content: Content<'_>) -> Vec<u8> {
        let Content { subject, text, recipients, original } = content;
        let hostname = &self.settings.hostname;
        let domain = recipients.iter().find_map(|recipient| recipient.final_recipient.domain()).unwrap_or(hostname);
        let report = Report {
            reporting_mta: hostname,
            from: Mailbox {
                localpart: "postmaster".to_owned(),
                domain: Some(domain.to_string()),
                ..Mailbox::default()
            },
            to: sender,
            subject,
            text: &text,
            message_id: &format!("{}@{hostname}", self.random_name()),
            date: Date::utc(self.services.clock.now()),
            original_envelope_id: arrival.notification.envid.as_deref(),
            arrival: Some(Date::utc(arrival.origin.at)),
            recipients: &recipients,
            original,
            boundary: &self.random_name(),
        };
        report.compose()
    }
}

/// What is told of a recipient, without a diagnostic.
fn fields(recipient: &Recipient, action: Action, status: EnhancedStatus, at: Date) -> dsn::Recipient {
    dsn::Recipient {
        original_recipient: recipient.orcpt.as_ref().map(original_recipient),
        final_recipient: recipient.address.clone(),
        action,
        status,
        remote_mta: None,
        diagnostic: None,
        last_attempt: Some(at),
        will_retry_until: None,
    }
}

/// No further attempt is made, so the failure is final whatever it was (RFC 3464 §2.3.3).
fn permanent(status: EnhancedStatus) -> EnhancedStatus {
    status.with_class(StatusClass::Permanent)
}
