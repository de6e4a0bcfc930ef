//! Notices to senders about delayed, failed and successful delivery (RFC 5321 §6.1, RFC 3464), as far as they are asked
//! for (RFC 3461). They are queued in the transaction that settles the rows, so a failure is never without its notice
//! and a notice never without its failure.

use jiff::{SignedDuration, Timestamp};
use mailstead_message::date::Date;
use mailstead_message::dsn::{Action, Original, OriginalRecipient, RETURNED_MESSAGE, Recipient, RemoteMta, Report};
use mailstead_message::{Mailbox, Structure};
use mailstead_names::{Address, EnhancedStatus, ReversePath, StatusClass};
use mailstead_smtp::{Reply, Ret};
use mailstead_store::{NewQueued, QueueRow};

use crate::demand::{Demand, MessageClass, Terms, TlsRequirement};
use crate::notification;
use crate::outcome::{Dsn, Failure, Outcome, Remote, Taker};
use crate::queue::{Envelope, Inner};
use crate::schedule::Schedule;
use crate::{EnvelopeRecipient, Notification};

/// Octets of the original message among which its header is looked for.
const HEADER: u64 = 64 * 1024;

/// A recipient that the sender must hear of, unless it is not wanted.
#[derive(Debug, Clone)]
pub(crate) struct Affected {
    pub(crate) row: QueueRow,
    pub(crate) failure: Failure,
    /// When the next attempt is, for a delay; `None` for a failure.
    pub(crate) next_attempt: Option<Timestamp>,
}

/// A recipient whose delivery the sender wants to hear of.
#[derive(Debug, Clone)]
pub(crate) struct Succeeded {
    row: QueueRow,
    action: Action,
    reply: Reply,
    remote: Option<Remote>,
}

/// Whether anybody is to be told: RFC 5321 §6.1 forbids it for the null reverse-path.
fn recipient_of_notices(row: &QueueRow, class: MessageClass) -> Option<&Address> {
    match (class, &row.sender) {
        (MessageClass::Notice, _) | (_, ReversePath::Null) => None,
        (_, ReversePath::Address(address)) => Some(address),
    }
}

/// What a notice says; about whom and to whom is in the row, which stands for its message.
struct Content<'a> {
    row: &'a QueueRow,
    to: &'a Address,
    subject: &'static str,
    /// For the metrics.
    kind: &'static str,
    text: String,
    recipients: Vec<Recipient>,
    original: Original<'a>,
    terms: Terms,
}

impl Inner {
    /// The notice about recipients of one message, all delayed or all failed. `None` where nobody is to be told.
    pub(crate) async fn notice(
        &self,
        affected: &[Affected],
        class: MessageClass,
    ) -> Result<Option<NewQueued>, crate::Error> {
        // RFC 3461 §5.2.8: nothing about those for whom nothing is asked.
        let affected: Vec<&Affected> = affected.iter().filter(|affected| affected.is_wanted()).collect();
        let Some(Affected { row, next_attempt, .. }) = affected.first() else { return Ok(None) };
        let Some(to) = recipient_of_notices(row, class) else { return Ok(None) };
        let (now, schedule) = (self.services.clock.now(), Schedule::of(class));
        let terms = terms(row);
        let (subject, kind) = match next_attempt {
            Some(_) => ("Mail delivery delayed", "delayed"),
            None => ("Mail delivery failed", "failed"),
        };
        // RFC 3461 §4.3: RET is about failures only. RFC 8689 §5: what needed TLS is not shown to others.
        let whole = next_attempt.is_none()
            && notification::ret(row) == Some(Ret::Full)
            && terms.demand.requirement != TlsRequirement::RequireTls
            && row.size <= RETURNED_MESSAGE as u64;
        let octets = self.original(row, if whole { row.size } else { HEADER }).await;
        let original = if whole { Original::whole(&octets) } else { Original::Header(&octets) };
        let mut text = explanation(&affected, &schedule, now);
        text.push_str(what_follows(original));
        let recipients = affected.iter().map(|affected| affected.fields(&schedule, now)).collect();
        self.compose(Content { row, to, subject, kind, text, recipients, original, terms }).await.map(Some)
    }

    /// The notice about recipients of one message that got it. `None` where nobody is to be told.
    pub(crate) async fn success_notice(
        &self,
        succeeded: &[Succeeded],
        class: MessageClass,
    ) -> Result<Option<NewQueued>, crate::Error> {
        let Some(Succeeded { row, .. }) = succeeded.first() else { return Ok(None) };
        let Some(to) = recipient_of_notices(row, class) else { return Ok(None) };
        let now = self.services.clock.now();
        let octets = self.original(row, HEADER).await;
        let original = Original::Header(&octets);
        let mut text = "You asked to be told what became of your message:\n".to_owned();
        succeeded.iter().for_each(|succeeded| text.push_str(&succeeded.explanation()));
        text.push_str(what_follows(original));
        let recipients = succeeded.iter().map(|succeeded| succeeded.fields(now)).collect();
        let (subject, kind, terms) = ("Mail delivered", "succeeded", terms(row));
        self.compose(Content { row, to, subject, kind, text, recipients, original, terms }).await.map(Some)
    }

    async fn compose(&self, content: Content<'_>) -> Result<NewQueued, crate::Error> {
        let Content { row, to, subject, kind, text, recipients, original, terms } = content;
        let token = self.services.random.word(24);
        let hostname = &self.settings.hostname;
        let octets = Report {
            reporting_mta: hostname,
            from: Mailbox {
                name: Some("Mail delivery".to_owned()),
                localpart: "postmaster".to_owned(),
                domain: Some(hostname.to_string()),
                ..Mailbox::default()
            },
            to,
            subject,
            text: &text,
            message_id: &format!("{token}@{hostname}"),
            date: Date::utc(self.services.clock.now()),
            original_envelope_id: row.envid.as_deref(),
            arrival: Some(Date::utc(row.created)),
            recipients: &recipients,
            original,
            boundary: &format!("=_{token}"),
        }
        .compose();
        let structure = Structure::scan(&octets);
        let mut stage = self.services.store.stage();
        stage.write(&octets).await?;
        let envelope = Envelope {
            submitter: None,
            sender: ReversePath::Null,
            recipients: vec![EnvelopeRecipient::from(to.clone())],
            eight_bit: structure.has_8bit(),
            smtputf8: structure.needs_smtputf8(),
            notification: Notification::default(),
        };
        self.services.metrics.notice(kind);
        let terms = Terms {
            demand: terms.demand.of_notice(),
            class: MessageClass::Notice,
            // The submitter's account gets it, whatever address it sent from.
            account: row.submitter.map(|account| account.0),
        };
        Ok(self.message(envelope, Vec::new(), stage.finish().await?, terms))
    }

    /// The first octets of the original. A message that cannot be read any more is no reason to tell nobody.
    async fn original(&self, row: &QueueRow, length: u64) -> Vec<u8> {
        let octets = async {
            match self.rows.open(row.id).await? {
                Some(reader) => reader.read(0..length).await,
                None => Ok(Vec::new()),
            }
        };
        octets.await.unwrap_or_else(|error| {
            tracing::error!(id = %row.id, %error, "queued message cannot be read for a notice");
            Vec::new()
        })
    }
}

/// What was demanded for the message. Who delivers it has read the same.
fn terms(row: &QueueRow) -> Terms {
    let unknown = Terms { demand: Demand::default(), class: MessageClass::Submission, account: None };
    Terms::decode(&row.demand).unwrap_or(unknown)
}

fn remote_mta(remote: Option<&Remote>) -> Option<RemoteMta> {
    remote.map(|remote| RemoteMta { host: remote.host.clone(), ip: remote.ip })
}

fn original_recipient(row: &QueueRow) -> Option<OriginalRecipient> {
    notification::orcpt(row).as_ref().map(notification::original_recipient)
}

impl Affected {
    /// Whether the sender wants to hear of it.
    fn is_wanted(&self) -> bool {
        match self.next_attempt {
            Some(_) => notification::wants_delay(&self.row),
            None => notification::wants_failure(&self.row),
        }
    }

    fn fields(&self, schedule: &Schedule, now: Timestamp) -> Recipient {
        let Affected { row, failure, next_attempt } = self;
        Recipient {
            original_recipient: original_recipient(row),
            final_recipient: row.recipient.clone(),
            action: if next_attempt.is_some() { Action::Delayed } else { Action::Failed },
            status: failure.status,
            remote_mta: remote_mta(failure.remote.as_ref()),
            diagnostic: failure.diagnostic(),
            last_attempt: Some(Date::utc(row.last_attempt.unwrap_or(now))),
            will_retry_until: next_attempt.map(|next| Date::utc(schedule.until(row.attempts, next))),
        }
    }
}

impl Succeeded {
    /// What is to be told of a positive reply; `None` where the sender did not ask. The action is
    /// [`Action::Delivered`] without a remote, and [`Action::Relayed`] where that one does not offer DSN (RFC 3461
    /// §5.2.2, §5.2.3). Of a remote that does offer it nothing is told: it does so itself.
    pub(crate) fn if_wanted(
        row: &QueueRow,
        action: Action,
        reply: &Reply,
        remote: Option<&Remote>,
    ) -> Option<Succeeded> {
        let succeeded = || Succeeded { row: row.clone(), action, reply: reply.clone(), remote: remote.cloned() };
        notification::wants_success(row).then(succeeded)
    }

    /// The same of an outcome.
    pub(crate) fn of(row: &QueueRow, outcome: &Outcome) -> Option<Succeeded> {
        match outcome {
            Outcome::Delivered(reply, Taker::Account) => Succeeded::if_wanted(row, Action::Delivered, reply, None),
            Outcome::Delivered(reply, Taker::Server(remote, Dsn::NotOffered)) => {
                Succeeded::if_wanted(row, Action::Relayed, reply, Some(remote))
            }
            Outcome::Delivered(_, Taker::Server(_, Dsn::PassedOn)) | Outcome::Failed(_) => None,
        }
    }

    fn fields(&self, now: Timestamp) -> Recipient {
        let Succeeded { row, action, reply, remote } = self;
        let success = |status: &EnhancedStatus| status.class() == StatusClass::Success;
        Recipient {
            original_recipient: original_recipient(row),
            final_recipient: row.recipient.clone(),
            action: *action,
            status: reply.status.filter(success).unwrap_or(EnhancedStatus::new(2, 0, 0)),
            remote_mta: remote_mta(remote.as_ref()),
            // RFC 3461 §6.3: with Remote-MTA.
            diagnostic: remote.is_some().then(|| reply.to_string()),
            last_attempt: Some(Date::utc(row.last_attempt.unwrap_or(now))),
            will_retry_until: None,
        }
    }

    fn explanation(&self) -> String {
        let recipient = self.row.recipient.unicode();
        match &self.remote {
            None => format!("\n    {recipient}\n    Delivered.\n"),
            Some(remote) => {
                let host = &remote.host;
                format!("\n    {recipient}\n    Accepted by {host}, which does not say what becomes of it.\n")
            }
        }
    }
}

/// The part for a person.
fn explanation(affected: &[&Affected], schedule: &Schedule, now: Timestamp) -> String {
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
    text
}

fn what_follows(original: Original<'_>) -> &'static str {
    match original {
        Original::Header(_) => "\nThe technical details and the header of your message follow.\n",
        Original::Message(_) => "\nThe technical details and your message follow.\n",
    }
}

/// A duration for a person, in whole minutes or hours.
fn span(duration: SignedDuration) -> String {
    let minutes = duration.as_secs().max(0).saturating_add(30) / 60;
    let (number, unit) = if minutes >= 90 { ((minutes + 30) / 60, "hour") } else { (minutes, "minute") };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
