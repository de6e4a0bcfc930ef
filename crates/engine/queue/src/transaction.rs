//! Sending one message over a connection: as many transactions as its recipients need.

use mailstead_smtp::client::{self, Event, Recipient, RequestError, Stage};
use mailstead_smtp::{Extension, Mail};
use mailstead_store::{MessageReader, QueueRow};
use mailstead_tlspolicy::facts::TlsRequirement;

use crate::MessageClass;
use crate::connection::{Connection, request_failure, session_failure, unexpected};
use crate::demand::Demand;
use crate::form::Form;
use crate::notification;
use crate::outcome::{Dsn, Failure, Outcome, Permanence, Remote, Taker};

/// One message with its recipients at one destination.
pub(crate) struct Letter<'a> {
    pub(crate) demand: Demand,
    pub(crate) class: MessageClass,
    /// At least one.
    pub(crate) rows: &'a [QueueRow],
    pub(crate) message: &'a MessageReader,
}

impl Letter<'_> {
    /// Whether the recipient at a position can be sent the message only with SMTPUTF8. An internationalised domain needs
    /// no more than its A-labels.
    fn smtputf8(&self, index: usize) -> bool {
        self.rows.get(index).is_some_and(|row| row.smtputf8 || row.recipient.needs_smtputf8())
    }
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

/// Transactions until the recipients at these positions are answered for, or the server takes no more of them. Recipients
/// who need SMTPUTF8 have transactions of their own: for the others nobody down the road is asked for it (RFC 6531 §3.4).
pub(crate) async fn transact(connection: &mut Connection, letter: &Letter<'_>, which: &[usize]) -> Transacted {
    let (international, others): (Vec<usize>, Vec<usize>) = which.iter().partition(|index| letter.smtputf8(**index));
    let mut passage = Passage { connection, letter, form: None };
    let mut transacted = Transacted { outcomes: Vec::new(), answered: false, reusable: true };
    let mut failure = None;
    for (utf8, pending) in [(Utf8::NotNeeded, others), (Utf8::Needed, international)] {
        if pending.is_empty() {
            continue;
        }
        let series = match failure.take().filter(|_| !transacted.reusable) {
            // What ended the connection is what became of those who were to follow.
            Some(failure) => Series::nothing_sent(pending, failure),
            None => passage.series(utf8, pending).await,
        };
        transacted.answered |= series.answered;
        transacted.reusable = series.reusable;
        transacted.outcomes.extend(series.outcomes);
        let failed = Outcome::Failed(series.failure.clone().at(&passage.connection.remote));
        transacted.outcomes.extend(series.unanswered.into_iter().map(|index| (index, failed.clone())));
        failure = Some(series.failure);
    }
    transacted
}

/// One message on its way over a connection.
struct Passage<'a> {
    connection: &'a mut Connection,
    letter: &'a Letter<'a>,
    /// What is sent of the message, once that was found out.
    form: Option<Form>,
}

/// Whether a transaction needs SMTPUTF8 (RFC 6531).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Utf8 {
    Needed,
    NotNeeded,
}

/// What became of recipients with the same need.
struct Series {
    /// By the position of the row.
    outcomes: Vec<(usize, Outcome)>,
    /// Of whom the server has said nothing.
    unanswered: Vec<usize>,
    /// Why it has not.
    failure: Failure,
    answered: bool,
    reusable: bool,
}

impl Series {
    /// The connection could not be used any more.
    fn nothing_sent(unanswered: Vec<usize>, failure: Failure) -> Series {
        Series { outcomes: Vec::new(), unanswered, failure, answered: false, reusable: false }
    }
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

impl Passage<'_> {
    /// As many transactions as the server wants for these recipients.
    async fn series(&mut self, utf8: Utf8, mut pending: Vec<usize>) -> Series {
        let mut outcomes = Vec::new();
        let mut answered = false;
        let (failure, reusable) = loop {
            let result = match self.transaction(utf8, &pending).await {
                Ok(result) => result,
                Err(interrupted) => {
                    answered |= interrupted.reached != Reached::Envelope;
                    break (interrupted.failure, interrupted.reached == Reached::Nothing);
                }
            };
            answered |= result.reached == Reached::Message;
            let result = result.outcome;
            let closing = result.closing;
            let offered = self.connection.session.extensions().contains(&Extension::Dsn);
            let dsn = if offered { Dsn::PassedOn } else { Dsn::NotOffered };
            let taken = result.recipients.iter().any(|(_, recipient)| matches!(recipient, Recipient::Accepted(_)));
            let mut again = Vec::new();
            for (index, (_, recipient)) in pending.iter().zip(result.recipients) {
                answered |= is_answer(&recipient);
                match settled(recipient, &self.connection.remote, dsn, taken && !closing) {
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
        Series { outcomes, unanswered: pending, failure, answered, reusable }
    }

    /// One transaction for the recipients at these positions.
    async fn transaction(&mut self, utf8: Utf8, which: &[usize]) -> Result<Ended, Interrupted> {
        let Passage { connection, letter, form } = self;
        let unsent = |failure| Interrupted { failure, reached: Reached::Nothing };
        let first = letter.rows.first().ok_or_else(|| unsent(Failure::temporary(3, 0, "The message is gone")))?;
        let extensions = connection.session.extensions();
        if utf8 == Utf8::Needed && !extensions.contains(&Extension::SmtpUtf8) {
            // Before the message is looked at in vain.
            return Err(unsent(request_failure(&RequestError::NotOffered("SMTPUTF8"))));
        }
        let form = match form {
            Some(form) => form,
            None => form.insert(Form::fit(letter.message, first.eight_bit, extensions).await.map_err(unsent)?),
        };
        let mail = Mail {
            size: Some(form.size(letter.message)),
            body: form.body(),
            smtputf8: utf8 == Utf8::Needed,
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
                    match form.send(connection, letter.message).await {
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
