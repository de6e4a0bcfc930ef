//! Notices to senders about delayed and failed delivery (RFC 5321 §6.1, RFC 3464). They are queued in the transaction
//! that settles the rows, so a failure is never without its notice and a notice never without its failure.

use jiff::{SignedDuration, Timestamp};
use mailstead_message::date::Date;
use mailstead_message::dsn::{Action, Recipient, RemoteMta, Report};
use mailstead_message::{Mailbox, Structure};
use mailstead_names::{Address, ReversePath};
use mailstead_store::{NewQueued, QueueRow};

use crate::demand::{Demand, MessageClass, Terms};
use crate::outcome::Failure;
use crate::queue::{Envelope, Inner};
use crate::schedule::Schedule;

/// Octets of the original message among which its header is looked for.
const HEADER: u64 = 64 * 1024;

/// A recipient that the sender must hear of.
#[derive(Debug, Clone)]
pub(crate) struct Affected {
    pub(crate) row: QueueRow,
    pub(crate) failure: Failure,
    /// When the next attempt is, for a delay; `None` for a failure.
    pub(crate) next_attempt: Option<Timestamp>,
}

/// Whether anybody is to be told: RFC 5321 §6.1 forbids it for the null reverse-path.
pub(crate) fn recipient_of_notices(row: &QueueRow, class: MessageClass) -> Option<&Address> {
    match (class, &row.sender) {
        (MessageClass::Notice, _) | (_, ReversePath::Null) => None,
        (_, ReversePath::Address(address)) => Some(address),
    }
}

impl Inner {
    /// The notice about recipients of one message, all delayed or all failed. `None` where nobody is to be told or the
    /// message is gone.
    pub(crate) async fn notice(
        &self,
        affected: &[Affected],
        class: MessageClass,
    ) -> Result<Option<NewQueued>, crate::Error> {
        let Some(Affected { row, next_attempt, .. }) = affected.first() else { return Ok(None) };
        let Some(sender) = recipient_of_notices(row, class) else { return Ok(None) };
        let header = self.original_header(row).await;
        let now = self.services.clock.now();
        let schedule = Schedule::of(class);
        let (subject, kind) = match next_attempt {
            Some(_) => ("Mail delivery delayed", "delayed"),
            None => ("Mail delivery failed", "failed"),
        };
        let token = self.services.random.word(24);
        let hostname = &self.settings.hostname;
        let recipients: Vec<Recipient> = affected.iter().map(|affected| affected.fields(&schedule, now)).collect();
        let octets = Report {
            reporting_mta: hostname,
            from: Mailbox {
                name: Some("Mail delivery".to_owned()),
                localpart: "postmaster".to_owned(),
                domain: Some(hostname.to_string()),
                ..Mailbox::default()
            },
            to: sender,
            subject,
            text: &explanation(affected, &schedule, now),
            message_id: &format!("{token}@{hostname}"),
            date: Date::utc(now),
            arrival: Some(Date::utc(row.created)),
            recipients: &recipients,
            original_header: &header,
            boundary: &format!("=_{token}"),
        }
        .compose();
        let structure = Structure::scan(&octets);
        let mut stage = self.services.store.stage();
        stage.write(&octets).await?;
        let envelope = Envelope {
            submitter: None,
            sender: ReversePath::Null,
            recipients: vec![sender.clone()],
            eight_bit: structure.has_8bit(),
            smtputf8: structure.needs_smtputf8(),
        };
        self.services.metrics.notice(kind);
        // The submitter's account gets it, whatever address it sent from.
        let account = row.submitter.map(|account| account.0);
        let terms = Terms { demand: Demand::default(), class: MessageClass::Notice, account };
        Ok(Some(self.message(envelope, Vec::new(), stage.finish().await?, terms)))
    }
}

impl Inner {
    /// A message that cannot be read any more is no reason to tell nobody.
    async fn original_header(&self, row: &QueueRow) -> Vec<u8> {
        let header = async {
            match self.rows.open(row.id).await? {
                Some(reader) => reader.read(0..HEADER).await,
                None => Ok(Vec::new()),
            }
        };
        header.await.unwrap_or_else(|error| {
            tracing::error!(id = %row.id, %error, "queued message cannot be read for a notice");
            Vec::new()
        })
    }
}

impl Affected {
    fn fields(&self, schedule: &Schedule, now: Timestamp) -> Recipient {
        let Affected { row, failure, next_attempt } = self;
        let remote_mta = failure.remote.as_ref().map(|remote| RemoteMta { host: remote.host.clone(), ip: remote.ip });
        Recipient {
            final_recipient: row.recipient.clone(),
            action: if next_attempt.is_some() { Action::Delayed } else { Action::Failed },
            status: failure.status,
            remote_mta,
            diagnostic: failure.diagnostic(),
            last_attempt: Some(Date::utc(row.last_attempt.unwrap_or(now))),
            will_retry_until: next_attempt.map(|next| Date::utc(schedule.until(row.attempts, next))),
        }
    }
}

/// The part for a person.
fn explanation(affected: &[Affected], schedule: &Schedule, now: Timestamp) -> String {
    let mut text = String::new();
    let delayed = affected.first().is_some_and(|affected| affected.next_attempt.is_some());
    if delayed {
        text.push_str("Your message could not be delivered yet to these recipients:\n");
    } else {
        text.push_str("Your message could not be delivered to these recipients, and will not be tried again:\n");
    }
    for Affected { row, failure, .. } in affected {
        text.push_str(&format!("\n    {}\n    {}\n", row.recipient.unicode(), failure.text));
        if let Some(remote) = &failure.remote {
            let address = remote.ip.map(|ip| format!(" [{ip}]")).unwrap_or_default();
            text.push_str(&format!("    Server: {}{address}\n", remote.host));
        }
        text.push_str(&format!("    Attempts: {}\n", row.attempts));
    }
    if let Some((row, next)) = affected.first().and_then(|affected| Some((&affected.row, affected.next_attempt?))) {
        let first = span(next.duration_since(now));
        let later: Vec<String> = schedule.waits_left(row.attempts).skip(1).map(span).collect();
        text.push_str(&format!("\nThere is nothing you need to do. The next attempt is in {first}"));
        if !later.is_empty() {
            text.push_str(&format!(", further ones follow {} later", later.join(", then ")));
        }
        let until = Date::utc(schedule.until(row.attempts, next));
        text.push_str(&format!(". If the last one fails, about {until}, you will be told.\n"));
    }
    text.push_str("\nThe technical details and the header of your message follow.\n");
    text
}

/// A duration for a person, in whole minutes or hours.
fn span(duration: SignedDuration) -> String {
    let minutes = duration.as_secs().max(0).saturating_add(30) / 60;
    let (number, unit) = if minutes >= 90 { ((minutes + 30) / 60, "hour") } else { (minutes, "minute") };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
