//! Sending one message over a connection: as many transactions as its recipients need.

use mailstead_smtp::client::{self, Event, Recipient, Stage};
use mailstead_smtp::{Body, Extension, Mail};
use mailstead_store::{MessageReader, QueueRow};
use mailstead_tlspolicy::facts::TlsRequirement;

use crate::MessageClass;
use crate::connection::{Connection, request_failure, session_failure, unexpected};
use crate::demand::Demand;
use crate::notification;
use crate::outcome::{Dsn, Failure, Outcome, Permanence, Remote, Taker};

/// Octets read from the store at a time.
const PIECE: u64 = 64 * 1024;

/// One message with its recipients at one destination.
pub(crate) struct Letter<'a> {
    pub(crate) demand: Demand,
    pub(crate) class: MessageClass,
    /// At least one.
    pub(crate) rows: &'a [QueueRow],
    pub(crate) message: &'a MessageReader,
}

/// What became of a message at a server.
pub(crate) struct Transacted {
    /// By the position of the row.
    pub(crate) outcomes: Vec<(usize, Outcome)>,
    /// Whether the server has answered anything, but that it closes.
    pub(crate) answered: bool,
    /// Whether the connection may carry another message.
    pub(crate) reusable: bool,
}

/// Transactions until the recipients at these positions are answered for, or the server takes no more of them.
pub(crate) async fn transact(connection: &mut Connection, letter: &Letter<'_>, which: &[usize]) -> Transacted {
    let mut outcomes = Vec::new();
    let mut pending = which.to_vec();
    let mut answered = false;
    let (unanswered, reusable) = loop {
        let result = match transaction(connection, letter, &pending).await {
            Ok(result) => result,
            Err(interrupted) => {
                answered |= interrupted.reached != Reached::Envelope;
                break (interrupted.failure, interrupted.reached == Reached::Nothing);
            }
        };
        answered |= result.reached == Reached::Message;
        let result = result.outcome;
        let closing = result.closing;
        let offered = connection.session.extensions().contains(&Extension::Dsn);
        let dsn = if offered { Dsn::PassedOn } else { Dsn::NotOffered };
        let taken = result.recipients.iter().any(|(_, recipient)| matches!(recipient, Recipient::Accepted(_)));
        let mut again = Vec::new();
        for (index, (_, recipient)) in pending.iter().zip(result.recipients) {
            answered |= is_answer(&recipient);
            match settled(recipient, &connection.remote, dsn, taken && !closing) {
                Some(outcome) => outcomes.push((*index, outcome)),
                None => again.push(*index),
            }
        }
        let progress = again.len() < pending.len();
        pending = again;
        if pending.is_empty() || closing || !progress {
            break (Failure::temporary(5, 3, "The server took no more recipients"), !closing);
        }
    };
    let unanswered = unanswered.at(&connection.remote);
    outcomes.extend(pending.into_iter().map(|index| (index, Outcome::Failed(unanswered.clone()))));
    Transacted { outcomes, answered, reusable }
}

/// A server that closes for want of patience says 421, or nothing.
fn is_answer(recipient: &Recipient) -> bool {
    match recipient {
        Recipient::Refused(_, reply) => reply.code != 421,
        Recipient::Failed(_) => false,
        _ => true,
    }
}

/// How far a transaction came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// Nothing was sent: the session is as it was.
    Nothing,
    /// The envelope was sent.
    Envelope,
    /// The server asked for the message: from then on nobody knows what it has.
    Message,
}

/// A transaction that came to its end.
struct Ended {
    outcome: client::Outcome,
    reached: Reached,
}

/// A transaction that did not.
struct Interrupted {
    failure: Failure,
    reached: Reached,
}

/// One transaction for the recipients at these positions.
async fn transaction(connection: &mut Connection, letter: &Letter<'_>, which: &[usize]) -> Result<Ended, Interrupted> {
    let unsent = |failure| Interrupted { failure, reached: Reached::Nothing };
    let first = letter.rows.first().ok_or_else(|| unsent(Failure::temporary(3, 0, "The message is gone")))?;
    let mail = Mail {
        size: Some(letter.message.size()),
        body: first.eight_bit.then_some(Body::EightBitMime),
        smtputf8: first.smtputf8,
        require_tls: letter.demand.requirement == TlsRequirement::RequireTls,
        ..notification::mail(first)
    };
    let recipients = which.iter().filter_map(|index| letter.rows.get(*index)).map(notification::rcpt).collect();
    connection.session.transact(mail, recipients).map_err(|error| unsent(request_failure(&error)))?;
    let mut reached = Reached::Envelope;
    loop {
        let failure = match connection.event().await {
            Event::SendMessage => {
                reached = Reached::Message;
                match send_message(connection, letter.message).await {
                    Ok(()) => continue,
                    Err(failure) => failure,
                }
            }
            Event::Finished(outcome) => return Ok(Ended { outcome, reached }),
            Event::Failed(error) => session_failure(&error),
            other => unexpected(&other),
        };
        return Err(Interrupted { failure, reached });
    }
}

async fn send_message(connection: &mut Connection, message: &MessageReader) -> Result<(), Failure> {
    let bare = |_| Failure::permanent(6, 0, "The message has bare CR or LF, which SMTP forbids");
    let mut at = 0;
    while at < message.size() {
        let octets = message.read(at..at + PIECE).await.map_err(|error| {
            tracing::error!(%error, "queued message cannot be read");
            Failure::temporary(3, 0, "The message could not be read")
        })?;
        if octets.is_empty() {
            return Err(Failure::temporary(3, 0, "The message ended early"));
        }
        at += octets.len() as u64;
        connection.session.message(&octets).map_err(bare)?;
        connection.flush().await;
    }
    connection.session.end_of_message().map_err(bare)
}

/// What a server's answer means for a recipient; `None` where another transaction may follow at once.
fn settled(recipient: Recipient, remote: &Remote, dsn: Dsn, may_follow: bool) -> Option<Outcome> {
    let permanence = if recipient.is_permanent() { Permanence::Permanent } else { Permanence::Temporary };
    Some(match recipient {
        Recipient::Accepted(reply) => Outcome::Delivered(reply, Taker::Server(remote.clone(), dsn)),
        Recipient::NotSent if may_follow => return None,
        // Too many recipients, RFC 5321 §4.5.3.1.10: the rest goes next.
        Recipient::Refused(Stage::Rcpt, reply) if may_follow && matches!(reply.code, 452 | 552) => return None,
        Recipient::Refused(_, reply) => Outcome::Failed(Failure::of_reply(reply, permanence).at(remote)),
        Recipient::Failed(error) => Outcome::Failed(session_failure(&error).at(remote)),
        _ => Outcome::Failed(Failure::temporary(5, 3, "The server took no more recipients").at(remote)),
    })
}
