//! The client end of a session, without I/O.
//!
//! Give the session what arrives ([`Session::receive`]), send what it writes ([`Session::take_output`]), and act on its
//! events ([`Session::next_event`]). After [`Event::Ready`] it is idle and takes a request: [`Session::start_tls`],
//! [`Session::authenticate`], [`Session::transact`] or [`Session::quit`]; each ends in an event.
//!
//! Which servers to contact, what to do about TLS, and when to try again are not decided here.

mod transaction;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailstead_names::{EhloName, Secret};

use crate::data::{BareLineEnding, Encoder};
use crate::{Body, Extension, Extensions, Mail, Orcpt, Rcpt, Reply, ReplyError, ReplyParser, Severity};
use transaction::{Step, Transaction};

pub use transaction::{Outcome, Recipient, Stage};

/// What happened. Every variant but [`Event::SendMessage`] and [`Event::Challenge`] leaves the session idle or over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Greeted, at the beginning or again after TLS; [`Session::extensions`] says what the server offers.
    Ready,
    /// The server awaits the TLS handshake. Afterwards call [`Session::tls_established`].
    StartTls,
    /// The server refused STARTTLS; the session is idle and without TLS.
    StartTlsRefused(Reply),
    /// A SASL challenge, to be answered with [`Session::respond`] or [`Session::cancel_authentication`].
    Challenge(Vec<u8>),
    /// Authentication succeeded.
    Authenticated(Reply),
    /// Authentication failed.
    AuthenticationRefused(Reply),
    /// The server awaits the message: give it to [`Session::message`], then call [`Session::end_of_message`].
    SendMessage,
    /// The transaction is over.
    Finished(Outcome),
    /// The session ended after [`Session::quit`].
    Closed,
    /// The session ended otherwise. A transaction under way has reported [`Event::Finished`] before.
    Failed(Error),
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused to serve us: in its greeting, or both EHLO and HELO.
    #[error("server refused the session: {0}")]
    Refused(Reply),
    /// The server sent something that is no reply.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// The server sent a reply that answers nothing, for example 421 before closing.
    #[error("unexpected reply: {0}")]
    Unexpected(Reply),
    /// Plaintext followed the reply to STARTTLS (RFC 3207 §4.2, CVE-2011-0411): somebody is injecting replies.
    #[error("plaintext after the reply to STARTTLS")]
    PlaintextAfterStartTls,
    /// The connection was lost.
    #[error("connection lost: {0}")]
    Lost(String),
}

/// Why a request was not even sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Another request is under way, or the session is over.
    #[error("session is not idle")]
    NotIdle,
    /// The server does not offer the extension.
    #[error("server does not offer {0}")]
    NotOffered(&'static str),
    /// The message is larger than the server's SIZE (RFC 1870 §6).
    #[error("message larger than the server's maximum of {maximum} octets")]
    TooLarge {
        /// As announced.
        maximum: u64,
    },
    /// No recipients.
    #[error("no recipients")]
    NoRecipients,
}

#[derive(Debug)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    Idle,
    StartTls,
    Handshake,
    Auth,
    Envelope(Transaction),
    Message(Transaction, Encoder),
    /// The end of data was sent.
    Delivering(Transaction),
    Quit,
    Over,
}

/// A session with one server.
#[derive(Debug)]
pub struct Session {
    name: EhloName,
    replies: ReplyParser,
    output: Vec<u8>,
    state: State,
    extensions: Extensions,
    /// A transaction was left open and RSET must come before the next.
    open: bool,
    /// Reported by the next call of `next_event`.
    failure: Option<Error>,
    greeting: Option<Reply>,
    server_name: Option<String>,
}

impl Session {
    /// A session over a new connection; `name` is how we greet.
    pub fn new(name: EhloName) -> Session {
        Session {
            name,
            replies: ReplyParser::new(),
            output: Vec::new(),
            state: State::Greeting,
            extensions: Extensions::default(),
            open: false,
            failure: None,
            greeting: None,
            server_name: None,
        }
    }

    /// Takes octets from the server.
    pub fn receive(&mut self, octets: &[u8]) {
        self.replies.receive(octets);
    }

    /// Octets to be sent, now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// How the server greeted, before TLS if that came later.
    pub fn greeting(&self) -> Option<&Reply> {
        self.greeting.as_ref()
    }

    /// What the server calls itself: the first word of its latest reply to EHLO or HELO (RFC 5321 §4.1.1.1).
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// What the server offers; of the latest EHLO only, as RFC 3207 §4.2 demands.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// How long to wait for the server now (RFC 5321 §4.5.3.2); writing a block of the message may take three minutes.
    pub fn patience(&self) -> Duration {
        let minutes = match &self.state {
            State::Envelope(transaction) if transaction.awaits_data() => 2,
            State::Message(..) => 3,
            State::Delivering(_) => 10,
            State::Quit => return Duration::from_secs(5),
            _ => 5,
        };
        Duration::from_secs(minutes * 60)
    }

    /// Asks for TLS.
    pub fn start_tls(&mut self) -> Result<(), RequestError> {
        self.idle()?;
        if !self.extensions.contains(&Extension::StartTls) {
            return Err(RequestError::NotOffered("STARTTLS"));
        }
        self.send("STARTTLS");
        self.state = State::StartTls;
        Ok(())
    }

    /// Goes on after the TLS handshake: everything learnt before is forgotten (RFC 3207 §4.2).
    pub fn tls_established(&mut self) {
        self.replies = ReplyParser::new();
        self.extensions = Extensions::default();
        self.say_hello();
    }

    /// Begins authentication with a SASL mechanism; `initial` is its initial response, if it has one.
    pub fn authenticate(&mut self, mechanism: &str, initial: Option<&Secret<Vec<u8>>>) -> Result<(), RequestError> {
        self.idle()?;
        if !self.extensions.mechanisms().any(|offered| offered.eq_ignore_ascii_case(mechanism)) {
            return Err(RequestError::NotOffered("the mechanism"));
        }
        let initial = initial.map(|initial| encode_response(initial.expose()));
        self.send(
            &initial.map_or_else(|| format!("AUTH {mechanism}"), |initial| format!("AUTH {mechanism} {initial}")),
        );
        self.state = State::Auth;
        Ok(())
    }

    /// Answers a challenge.
    pub fn respond(&mut self, response: &Secret<Vec<u8>>) {
        self.send(&BASE64.encode(response.expose()));
    }

    /// Gives up authentication (RFC 4954 §4).
    pub fn cancel_authentication(&mut self) {
        self.send("*");
    }

    /// Begins a transaction. `mail` and `recipients` say what the message needs; a parameter the server does not know is
    /// left out, except SMTPUTF8, which is required where a path or `mail` needs it, REQUIRETLS, and BODY=8BITMIME: a
    /// message that has 8-bit octets must not be sent without it (RFC 6152 §3). Recipients beyond the server's limit
    /// (RFC 9422) are reported as [`Recipient::NotSent`] and can follow in another transaction.
    ///
    /// Where the server does not offer DSN, what RFC 3461 §5.2.2 asks of the last server that does is the caller's.
    pub fn transact(&mut self, mail: Mail, mut recipients: Vec<Rcpt>) -> Result<(), RequestError> {
        self.idle()?;
        if recipients.is_empty() {
            return Err(RequestError::NoRecipients);
        }
        let offers = |extension| self.extensions.contains(&extension);
        let needs_utf8 = mail.smtputf8
            || mail.from.needs_smtputf8()
            || recipients.iter().any(|recipient| recipient.to.needs_smtputf8());
        if needs_utf8 && !offers(Extension::SmtpUtf8) {
            return Err(RequestError::NotOffered("SMTPUTF8"));
        }
        if mail.body == Some(Body::EightBitMime) && !offers(Extension::EightBitMime) {
            return Err(RequestError::NotOffered("8BITMIME"));
        }
        if mail.require_tls && !offers(Extension::RequireTls) {
            return Err(RequestError::NotOffered("REQUIRETLS"));
        }
        if let (Some(size), Some(maximum)) = (mail.size, self.extensions.size())
            && size > maximum
        {
            return Err(RequestError::TooLarge { maximum });
        }
        let dsn = offers(Extension::Dsn);
        let mail = Mail {
            size: mail.size.filter(|_| self.extensions.offers_size()),
            body: mail.body.filter(|_| offers(Extension::EightBitMime)),
            smtputf8: needs_utf8,
            ret: mail.ret.filter(|_| dsn),
            envid: mail.envid.filter(|_| dsn),
            ..mail
        };
        for recipient in &mut recipients {
            recipient.notify = recipient.notify.filter(|_| dsn);
            recipient.orcpt = recipient.orcpt.take().filter(|_| dsn);
            // RFC 6533 §3: in ASCII where the transaction is not declared to hold anything else.
            if !needs_utf8 && recipient.orcpt.as_ref().is_some_and(Orcpt::needs_smtputf8) {
                recipient.orcpt = recipient.orcpt.as_ref().and_then(Orcpt::to_ascii);
            }
        }
        let limit = self.extensions.limits().rcpt_max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        let pipelining = offers(Extension::Pipelining);
        let mut transaction = Transaction::new(mail, recipients, limit, pipelining, std::mem::take(&mut self.open));
        transaction.advance(&mut self.output);
        self.state = State::Envelope(transaction);
        Ok(())
    }

    /// Sends a piece of the message, after [`Event::SendMessage`]. On an error the connection must be dropped.
    pub fn message(&mut self, octets: &[u8]) -> Result<(), BareLineEnding> {
        match &mut self.state {
            State::Message(_, encoder) => encoder.encode(octets, &mut self.output),
            _ => Ok(()),
        }
    }

    /// Ends the message. On an error the connection must be dropped.
    pub fn end_of_message(&mut self) -> Result<(), BareLineEnding> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Message(transaction, encoder) => {
                encoder.finish(&mut self.output)?;
                self.state = State::Delivering(transaction);
            }
            other => self.state = other,
        }
        Ok(())
    }

    /// Says goodbye.
    pub fn quit(&mut self) -> Result<(), RequestError> {
        self.idle()?;
        self.send("QUIT");
        self.state = State::Quit;
        Ok(())
    }

    /// Says that the connection is lost. What was under way is reported by the events that follow.
    pub fn lost(&mut self, reason: impl Into<String>) {
        self.failure.get_or_insert_with(|| Error::Lost(reason.into()));
    }

    /// The next event; `None` when the server must speak first.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if matches!(self.state, State::Over) {
                return self.failure.take().map(Event::Failed);
            }
            // Replies that arrived before the connection was lost count.
            match self.replies.next_reply() {
                Ok(Some(reply)) => {
                    if let Some(event) = self.reply(reply) {
                        return Some(event);
                    }
                }
                Ok(None) => return self.failure.take().map(|failure| self.fail(failure)),
                Err(error) => return Some(self.fail(error.into())),
            }
        }
    }

    fn idle(&self) -> Result<(), RequestError> {
        if matches!(self.state, State::Idle) { Ok(()) } else { Err(RequestError::NotIdle) }
    }

    fn send(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    fn say_hello(&mut self) {
        self.send(&format!("EHLO {}", self.name));
        self.state = State::Ehlo;
    }

    /// Ends the session; a transaction under way is reported first.
    fn fail(&mut self, error: Error) -> Event {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Envelope(transaction) | State::Message(transaction, _) | State::Delivering(transaction) => {
                self.failure = Some(error.clone());
                Event::Finished(transaction.lost(&error))
            }
            State::Quit => Event::Closed,
            _ => Event::Failed(error),
        }
    }

    fn reply(&mut self, reply: Reply) -> Option<Event> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Greeting if reply.is_completion() => {
                self.greeting = Some(reply);
                self.say_hello();
                None
            }
            State::Ehlo if reply.is_completion() => {
                self.server_name = first_word(&reply);
                self.extensions = reply.lines.iter().skip(1).map(|line| Extension::parse(line)).collect();
                Some(Event::Ready)
            }
            // Servers that do not know EHLO, or fail at it (RFC 5321 §3.2); 421 is the end of the session.
            State::Ehlo if reply.severity() == Severity::Permanent => {
                self.send(&format!("HELO {}", self.name));
                self.state = State::Helo;
                None
            }
            State::Helo if reply.is_completion() => {
                self.server_name = first_word(&reply);
                Some(Event::Ready)
            }
            State::Greeting | State::Ehlo | State::Helo => Some(self.fail(Error::Refused(reply))),
            State::StartTls if reply.is_completion() => {
                if self.replies.pending() > 0 {
                    return Some(self.fail(Error::PlaintextAfterStartTls));
                }
                self.state = State::Handshake;
                Some(Event::StartTls)
            }
            State::StartTls => Some(Event::StartTlsRefused(reply)),
            State::Auth => Some(self.auth_reply(reply)),
            State::Envelope(transaction) => self.envelope_reply(transaction, reply),
            State::Delivering(transaction) => Some(self.finish(transaction.delivered(reply))),
            State::Quit => {
                self.state = State::Over;
                Some(Event::Closed)
            }
            // A server that gives up in the middle of the message says so before it closes.
            State::Message(transaction, _) => {
                self.state = State::Over;
                Some(Event::Finished(transaction.delivered(reply)))
            }
            State::Idle | State::Handshake | State::Over => Some(self.fail(Error::Unexpected(reply))),
        }
    }

    fn auth_reply(&mut self, reply: Reply) -> Event {
        match reply.severity() {
            Severity::Completion => Event::Authenticated(reply),
            Severity::Intermediate => {
                self.state = State::Auth;
                // What is not base64 answers nothing; the mechanism will object to an empty challenge.
                Event::Challenge(BASE64.decode(reply.text()).unwrap_or_default())
            }
            Severity::Transient | Severity::Permanent => Event::AuthenticationRefused(reply),
        }
    }

    fn envelope_reply(&mut self, mut transaction: Transaction, reply: Reply) -> Option<Event> {
        match transaction.answered(reply) {
            Step::Continue => {
                transaction.advance(&mut self.output);
                self.state = State::Envelope(transaction);
                None
            }
            Step::SendMessage => {
                self.state = State::Message(transaction, Encoder::new());
                Some(Event::SendMessage)
            }
            // DATA was pipelined and accepted although no recipient was: RFC 2920 §3.1 asks for a lone dot.
            Step::SendNothing => {
                self.output.extend_from_slice(b".\r\n");
                self.state = State::Delivering(transaction);
                None
            }
            Step::Over => {
                let outcome = transaction.refused();
                Some(self.finish(outcome))
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) -> Event {
        self.open = outcome.open;
        if outcome.closing {
            self.state = State::Over;
        }
        Event::Finished(outcome)
    }
}

fn first_word(reply: &Reply) -> Option<String> {
    reply.lines.first()?.split_ascii_whitespace().next().map(str::to_owned)
}

/// The wire form of an initial response; `=` stands for an empty one (RFC 4954 §4).
fn encode_response(response: &[u8]) -> String {
    if response.is_empty() { "=".to_owned() } else { BASE64.encode(response) }
}

#[cfg(test)]
mod tests;
