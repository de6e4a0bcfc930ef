//! One mail transaction as the client sees it: which command to send next, and what the replies mean for each recipient.
//!
//! With PIPELINING (RFC 2920) commands go out ahead of the replies, but never more than [`WINDOW`] of them, so that
//! neither side can block the other while both write.

use mailstead_names::ForwardPath;

use super::Error;
use crate::{Mail, Rcpt, Reply};

/// Most commands sent and not answered.
const WINDOW: usize = 100;

/// Which part of the transaction a reply answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// MAIL FROM
    Mail,
    /// RCPT TO
    Rcpt,
    /// DATA
    Data,
    /// The message itself, after its end.
    Message,
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recipient {
    /// The server took responsibility.
    Accepted(Reply),
    /// The server refused.
    Refused(Stage, Reply),
    /// The session ended before the server said anything about this recipient.
    Failed(Error),
    /// More recipients than the server takes at once: not sent, nothing is known.
    NotSent,
}

impl Recipient {
    /// Whether trying again is pointless (RFC 5321 §4.2.1).
    pub fn is_permanent(&self) -> bool {
        match self {
            // §4.5.3.1.10: too many recipients was once 552; a client treats that as 452.
            Recipient::Refused(Stage::Rcpt, reply) if reply.code == 552 => false,
            Recipient::Refused(_, reply) => reply.code >= 500,
            Recipient::Accepted(_) | Recipient::Failed(_) | Recipient::NotSent => false,
        }
    }
}

/// The end of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// For each recipient, in the order given.
    pub recipients: Vec<(ForwardPath, Recipient)>,
    /// The transaction is still open at the server.
    pub(super) open: bool,
    /// The server is closing the connection (421), or it is lost.
    pub closing: bool,
}

/// What to do after a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Continue,
    SendMessage,
    SendNothing,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
}

#[derive(Debug)]
pub(super) struct Transaction {
    mail: Mail,
    recipients: Vec<Rcpt>,
    /// Recipients that are sent at all.
    attempted: usize,
    window: usize,
    reset: bool,
    sent: usize,
    answered: usize,
    mail_refusal: Option<Reply>,
    rcpt_replies: Vec<Reply>,
    data_refusal: Option<Reply>,
    data_accepted: bool,
    closing: bool,
}

impl Transaction {
    pub(super) fn new(mail: Mail, recipients: Vec<Rcpt>, limit: usize, pipelining: bool, reset: bool) -> Transaction {
        Transaction {
            mail,
            attempted: recipients.len().min(limit),
            recipients,
            window: if pipelining { WINDOW } else { 1 },
            reset,
            sent: 0,
            answered: 0,
            mail_refusal: None,
            rcpt_replies: Vec::new(),
            data_refusal: None,
            data_accepted: false,
            closing: false,
        }
    }

    /// The command at a position: `[RSET] MAIL RCPT* DATA`.
    fn command(&self, position: usize) -> Option<Sent> {
        let position = if self.reset {
            match position.checked_sub(1) {
                None => return Some(Sent::Reset),
                Some(position) => position,
            }
        } else {
            position
        };
        match position {
            0 => Some(Sent::Mail),
            rcpt if rcpt <= self.attempted => Some(Sent::Rcpt(rcpt - 1)),
            data if data == self.attempted + 1 => Some(Sent::Data),
            _ => None,
        }
    }

    fn accepted_any(&self) -> bool {
        self.rcpt_replies.iter().any(Reply::is_completion)
    }

    /// Whether the reply awaited is the one to DATA.
    pub(super) fn awaits_data(&self) -> bool {
        self.command(self.answered) == Some(Sent::Data)
    }

    /// The next command, unless what was already answered makes it pointless.
    fn upcoming(&self) -> Option<Sent> {
        if self.mail_refusal.is_some() || self.closing {
            return None;
        }
        let command = self.command(self.sent)?;
        let all_refused = self.rcpt_replies.len() == self.attempted && !self.accepted_any();
        if command == Sent::Data && all_refused { None } else { Some(command) }
    }

    /// Writes the commands that may be sent now.
    pub(super) fn advance(&mut self, output: &mut Vec<u8>) {
        while self.sent - self.answered < self.window
            && let Some(command) = self.upcoming()
        {
            let (mut line, parameters) = match command {
                Sent::Reset => ("RSET".to_owned(), Vec::new()),
                Sent::Mail => (format!("MAIL FROM:{}", self.mail.from), self.mail.parameters()),
                Sent::Rcpt(index) => self
                    .recipients
                    .get(index)
                    .map(|recipient| (format!("RCPT TO:{}", recipient.to), recipient.parameters()))
                    .unwrap_or_default(),
                Sent::Data => ("DATA".to_owned(), Vec::new()),
            };
            parameters.iter().for_each(|parameter| line.push_str(&format!(" {parameter}")));
            output.extend_from_slice(line.as_bytes());
            output.extend_from_slice(b"\r\n");
            self.sent += 1;
        }
    }

    /// Takes the reply to the oldest unanswered command.
    pub(super) fn answered(&mut self, reply: Reply) -> Step {
        let command = self.command(self.answered);
        self.answered += 1;
        self.closing |= reply.code == 421;
        match command {
            Some(Sent::Mail) if !reply.is_completion() => self.mail_refusal = Some(reply),
            Some(Sent::Rcpt(_)) => self.rcpt_replies.push(reply),
            Some(Sent::Data) if reply.code == 354 => {
                self.data_accepted = true;
                return if self.accepted_any() && self.mail_refusal.is_none() {
                    Step::SendMessage
                } else {
                    Step::SendNothing
                };
            }
            Some(Sent::Data) => self.data_refusal = Some(reply),
            Some(Sent::Reset | Sent::Mail) | None => {}
        }
        if self.answered == self.sent && self.upcoming().is_none() { Step::Over } else { Step::Continue }
    }

    /// The transaction ended with a reply to the message.
    pub(super) fn delivered(mut self, reply: Reply) -> Outcome {
        self.closing |= reply.code == 421;
        let end =
            if reply.is_completion() { Recipient::Accepted(reply) } else { Recipient::Refused(Stage::Message, reply) };
        self.outcome(&end)
    }

    /// The transaction ended before the message was asked for.
    pub(super) fn refused(mut self) -> Outcome {
        let end = match self.data_refusal.take() {
            Some(reply) => Recipient::Refused(Stage::Data, reply),
            None => self.unanswered(None),
        };
        self.outcome(&end)
    }

    /// The connection was lost.
    pub(super) fn lost(mut self, error: &Error) -> Outcome {
        self.closing = true;
        let end = match self.data_refusal.take() {
            Some(reply) => Recipient::Refused(Stage::Data, reply),
            None if self.data_accepted => Recipient::Failed(error.clone()),
            None => self.unanswered(Some(error)),
        };
        self.outcome(&end)
    }

    /// What a recipient gets that was never answered for. A server that hangs up after a temporary refusal meant
    /// everybody; a permanent one for another recipient says nothing about this one.
    fn unanswered(&self, error: Option<&Error>) -> Recipient {
        match self.rcpt_replies.last().filter(|reply| (400..500).contains(&reply.code)) {
            Some(reply) => Recipient::Refused(Stage::Rcpt, reply.clone()),
            None => error.map_or(Recipient::NotSent, |error| Recipient::Failed(error.clone())),
        }
    }

    /// Combines the replies: MAIL before RCPT before whatever came after, which may only be a consequence.
    fn outcome(self, end: &Recipient) -> Outcome {
        let result = |index: usize| match (&self.mail_refusal, self.rcpt_replies.get(index)) {
            _ if index >= self.attempted => Recipient::NotSent,
            (Some(reply), _) => Recipient::Refused(Stage::Mail, reply.clone()),
            (None, Some(reply)) if !reply.is_completion() => Recipient::Refused(Stage::Rcpt, reply.clone()),
            _ => end.clone(),
        };
        let results: Vec<Recipient> = (0..self.recipients.len()).map(result).collect();
        Outcome {
            open: self.mail_refusal.is_none() && !self.data_accepted,
            closing: self.closing,
            recipients: self.recipients.into_iter().map(|recipient| recipient.to).zip(results).collect(),
        }
    }
}
