//! The server end of a session, without I/O.
//!
//! ```text
//! session.reply(greeting)
//! loop {
//!     while let Some(event) = session.next_event() { ... session.reply(..) ... }
//!     send session.take_output()            // only now: one packet answers a pipelined group (RFC 2920 §3.2)
//!     session.receive(what arrives)
//! }
//! ```
//!
//! The session knows the order of commands, parses them, frames message data and SASL exchanges, and answers by itself
//! what needs no decision (see [`reply`]). Each event that asks for a decision is answered with exactly one
//! [`Session::reply`]; whether its code is positive moves the session on. Who may send what to whom is decided by the
//! caller.

pub mod reply;

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailstead_names::{EhloName, ForwardPath, Secret};

use crate::command::{Command, CommandError, InitialResponse, Strictness, Verb};
use crate::data::{Decoder, Smuggling};
use crate::line::{Ending, Input, Line};
use crate::parameter::{Mail, Parameter, Rcpt};
use crate::{Extension, Extensions, Reply};

/// Longest command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512 and the extensions add to it.
const COMMAND_MAX: usize = 2048;
/// Longest line of an authentication exchange with its CRLF (RFC 4954 §4).
const AUTH_MAX: usize = 12_288;
/// Failed transactions after which a client that never succeeded is sent away.
const BAD_TRANSACTIONS_MAX: u32 = 10;

/// Whether clients must authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A relay or delivery server: no authentication.
    Transfer,
    /// A submission server (RFC 6409): authentication before MAIL.
    Submission,
}

/// What is written to the transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transcript {
    /// Nothing.
    #[default]
    Off,
    /// Commands and replies, credentials and message data replaced.
    Redacted,
    /// Everything but message data.
    WithCredentials,
    /// Everything.
    WithMessages,
}

/// How a session behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who the clients are.
    pub role: Role,
    /// How much is forgiven.
    pub strictness: Strictness,
    /// What EHLO announces. What is not announced is not accepted.
    pub extensions: Extensions,
    /// Largest message accepted, in octets.
    pub size_max: u64,
    /// Most recipients in a transaction.
    pub recipients_max: usize,
    /// Put at the end of every error text, in parentheses, so that people can name the session.
    pub mark: Option<String>,
    /// Whether to keep a transcript.
    pub transcript: Transcript,
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// HELO or EHLO. Reply 250 with our name; the session adds the extensions. Ends a transaction.
    Hello(Verb, EhloName),
    /// STARTTLS; 220 is already written. Send the output, do the handshake with [`Session::take_buffered`] as its first
    /// octets, and call [`Session::tls_established`]. Not to be answered.
    StartTls,
    /// AUTH with a mechanism in upper case. Reply 235 or an error, or send a [`Session::challenge`].
    Auth(String, InitialResponse),
    /// The response to a challenge; answered like [`Event::Auth`].
    AuthResponse(Secret<Vec<u8>>),
    /// The client gave up, or sent no base64. Not to be answered.
    AuthAborted,
    /// MAIL FROM: a transaction begins if the reply is positive.
    Mail(Mail),
    /// RCPT TO
    Recipient(Rcpt),
    /// DATA. Reply 354 or an error.
    Data,
    /// A piece of the message, CRLF line endings, dots unstuffed. Not to be answered; to refuse the rest without
    /// waiting for its end, see [`Session::abandon_message`].
    Message(Vec<u8>),
    /// The end of the message. The reply ends the transaction.
    EndOfMessage(Received),
    /// The message ended and was refused by the session or after [`Session::abandon_message`]. Not to be answered.
    MessageRefused(Refusal),
    /// RSET: a transaction is over. Not to be answered.
    Reset,
    /// Send the output and close the connection.
    Close,
}

/// Facts about a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Octets given out.
    pub octets: u64,
    /// Whether there are octets above 127.
    pub eight_bit: bool,
}

/// Why a message was refused at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Its line endings.
    Smuggling(Smuggling),
    /// Its size.
    TooLarge,
    /// The caller abandoned it.
    Abandoned,
}

#[derive(Debug)]
enum State {
    /// Waiting for a command, or at first for the greeting.
    Command,
    /// An event waits for its reply.
    Decision(Decision),
    /// A SASL response is expected.
    Sasl,
    /// The TLS handshake is due.
    Handshake,
    Message(Reception),
    /// Octets of a BDAT that was refused.
    Skip(u64),
    /// The last reply is written.
    Closing,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Greeting,
    Hello(Verb),
    Auth,
    Mail,
    Recipient,
    Data,
    Message,
}

#[derive(Debug, Default)]
struct Reception {
    decoder: Decoder,
    octets: u64,
    ended: bool,
    abandoned: Option<Reply>,
}

#[derive(Debug, Default)]
struct Transaction {
    attempted: usize,
    accepted: usize,
}

/// A session with one client.
pub struct Session {
    options: Options,
    input: Input,
    output: Vec<u8>,
    transcript: Vec<String>,
    state: State,
    hello: Option<Verb>,
    tls: bool,
    authenticated: bool,
    transaction: Option<Transaction>,
    /// Whether any command was understood.
    speaks_smtp: bool,
    good: u32,
    bad: u32,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither input nor output: they may hold credentials.
        f.debug_struct("Session")
            .field("state", &self.state)
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session over a new connection. The first thing to do is to [`reply`](Session::reply) with the greeting.
    pub fn new(options: Options) -> Session {
        Session {
            options,
            input: Input::default(),
            output: Vec::new(),
            transcript: Vec::new(),
            state: State::Decision(Decision::Greeting),
            hello: None,
            tls: false,
            authenticated: false,
            transaction: None,
            speaks_smtp: false,
            good: 0,
            bad: 0,
        }
    }

    /// The same for a connection on which TLS began before SMTP (RFC 8314 §3.3).
    pub fn over_tls(options: Options) -> Session {
        Session { tls: true, ..Session::new(options) }
    }

    /// Takes octets from the client.
    pub fn receive(&mut self, octets: &[u8]) {
        self.input.receive(octets);
    }

    /// Octets to be sent, once [`Session::next_event`] gives `None` or something that takes time.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The transcript since the last call, a line each, beginning with `C: ` or `S: `.
    pub fn take_transcript(&mut self) -> Vec<String> {
        std::mem::take(&mut self.transcript)
    }

    /// After [`Event::StartTls`]: what the client already sent. It belongs to the handshake; nothing received in
    /// plaintext is ever read as a command under TLS (RFC 3207 §6).
    pub fn take_buffered(&mut self) -> Vec<u8> {
        self.input.take_all()
    }

    /// Whether message data is being received; other waiting is for commands.
    pub fn is_receiving_message(&self) -> bool {
        matches!(self.state, State::Message(_))
    }

    /// Goes on after the TLS handshake with new extensions; everything learnt before is forgotten (RFC 3207 §4.2).
    pub fn tls_established(&mut self, extensions: Extensions) {
        self.options.extensions = extensions;
        self.tls = true;
        self.hello = None;
        self.authenticated = false;
        self.transaction = None;
        self.state = State::Command;
    }

    /// Changes what EHLO announces from now on.
    pub fn announce(&mut self, extensions: Extensions) {
        self.options.extensions = extensions;
    }

    /// Answers the event that waits for it. After 421 the session is over (RFC 5321 §3.8).
    pub fn reply(&mut self, reply: Reply) {
        let State::Decision(decision) = self.state else {
            debug_assert!(false, "no event waits for a reply");
            return;
        };
        self.state = State::Command;
        let accepted = reply.is_completion();
        match decision {
            _ if reply.code == 421 => self.state = State::Closing,
            Decision::Greeting if !accepted => self.state = State::Closing,
            Decision::Hello(verb) if accepted => {
                self.hello = Some(verb);
                return self.write_hello(verb, reply);
            }
            Decision::Auth => self.authenticated |= accepted,
            Decision::Mail if accepted => self.transaction = Some(Transaction::default()),
            Decision::Recipient if accepted => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.accepted += 1;
                }
            }
            Decision::Data if reply.code == 354 => self.state = State::Message(Reception::default()),
            Decision::Message => {
                self.transaction = None;
                if accepted {
                    self.good += 1;
                    self.bad = self.bad.saturating_sub(1);
                }
            }
            _ => {}
        }
        self.write(reply);
    }

    /// Answers an authentication event with a challenge.
    pub fn challenge(&mut self, challenge: &[u8]) {
        self.state = State::Sasl;
        let line = BASE64.encode(challenge);
        match self.options.transcript {
            Transcript::Redacted => self.note("S: 334 ***"),
            _ => self.note(&format!("S: 334 {line}")),
        }
        self.output.extend_from_slice(format!("334 {line}\r\n").as_bytes());
    }

    /// While a message is received: reads it to its end, gives out nothing more, and then answers with `reply`.
    pub fn abandon_message(&mut self, reply: Reply) {
        if let State::Message(reception) = &mut self.state {
            reception.abandoned.get_or_insert(reply);
        }
    }

    /// Writes a last reply, whatever the state, and ends the session.
    pub fn close(&mut self, reply: Reply) {
        self.write(reply);
        self.state = State::Closing;
    }

    /// The next event; `None` when more input is needed.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            let step = match &mut self.state {
                State::Command => self.command(),
                State::Sasl => self.sasl_response(),
                State::Message(_) => self.message(),
                State::Skip(left) => {
                    let available = self.input.pending().len();
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
                    *left -= taken as u64;
                    let done = *left == 0;
                    self.input.consume(taken);
                    if !done {
                        return None;
                    }
                    self.state = State::Command;
                    Step::Continue
                }
                State::Closing => {
                    self.state = State::Closed;
                    return Some(Event::Close);
                }
                State::Decision(_) | State::Handshake | State::Closed => return None,
            };
            match step {
                Step::Event(event) => return Some(event),
                Step::Decide(decision, event) => {
                    self.state = State::Decision(decision);
                    return Some(event);
                }
                Step::Continue => {}
                Step::NeedInput => return None,
            }
        }
    }

    fn note(&mut self, line: &str) {
        if self.options.transcript != Transcript::Off {
            self.transcript.push(line.to_owned());
        }
    }

    fn write(&mut self, reply: Reply) {
        let reply = match &self.options.mark {
            Some(mark) if reply.is_error() => reply.marked(mark),
            _ => reply,
        };
        self.note(&format!("S: {reply}"));
        reply.encode(&mut self.output);
    }

    fn write_hello(&mut self, verb: Verb, mut reply: Reply) {
        self.transaction = None;
        reply.status = None;
        if verb == Verb::Ehlo {
            reply.lines.extend(self.options.extensions.iter().map(ToString::to_string));
        }
        self.write(reply);
    }

    /// Answers without asking.
    fn answer(&mut self, reply: Reply) -> Step {
        self.write(reply);
        Step::Continue
    }

    fn command(&mut self) -> Step {
        let max = if Command::is_auth(self.input.pending()) { AUTH_MAX } else { COMMAND_MAX };
        let line = match self.input.line(max) {
            Line::Incomplete => return Step::NeedInput,
            Line::TooLong => {
                self.close(reply::line_too_long());
                return Step::Continue;
            }
            // Only the message itself needs care about what ends a line: a command ended by a bare LF is the command.
            Line::Complete { ending: Ending::BareLf, .. } if self.options.strictness == Strictness::Pedantic => {
                return self.answer(reply::bare_line_feed());
            }
            Line::Complete { text, .. } => text,
        };
        self.note_command(&line);
        match Command::parse(&line, self.options.strictness) {
            Ok(command) => {
                self.speaks_smtp = true;
                self.execute(command)
            }
            Err(CommandError::Unknown) if !self.speaks_smtp => {
                self.close(reply::not_smtp());
                Step::Continue
            }
            Err(error) => {
                self.speaks_smtp |= error != CommandError::Unknown;
                self.answer(reply::command_error(&error))
            }
        }
    }

    fn note_command(&mut self, line: &[u8]) {
        match self.options.transcript {
            Transcript::Off => {}
            Transcript::Redacted if Command::is_auth(line) => {
                let words = String::from_utf8_lossy(line);
                let mechanism = words.split_ascii_whitespace().nth(1).unwrap_or_default().to_owned();
                self.note(&format!("C: AUTH {mechanism} ***"));
            }
            _ => self.note(&format!("C: {}", String::from_utf8_lossy(line).escape_debug())),
        }
    }

    fn execute(&mut self, command: Command) -> Step {
        match command {
            Command::Hello(verb, name) => Step::Decide(Decision::Hello(verb), Event::Hello(verb, name)),
            Command::StartTls => self.start_tls(),
            Command::Auth(mechanism, initial) => self.auth(mechanism, initial),
            Command::Mail(from, parameters) => self.mail(from, &parameters),
            Command::Rcpt(to, parameters) => self.rcpt(to, &parameters),
            Command::Data => self.data(),
            Command::Bdat { size, .. } => {
                self.state = State::Skip(size);
                self.answer(reply::not_implemented())
            }
            Command::Reset => {
                self.transaction = None;
                self.write(reply::ok());
                Step::Event(Event::Reset)
            }
            Command::Noop => self.answer(reply::ok()),
            Command::Verify | Command::Expand => self.answer(reply::cannot_verify()),
            Command::Help => self.answer(reply::help()),
            Command::Quit => {
                self.close(reply::goodbye());
                Step::Continue
            }
        }
    }

    fn start_tls(&mut self) -> Step {
        if self.tls {
            return self.answer(reply::bad_sequence("already using TLS"));
        }
        if self.authenticated {
            return self.answer(reply::bad_sequence("already authenticated"));
        }
        if !self.options.extensions.contains(&Extension::StartTls) {
            return self.answer(reply::bad_sequence("STARTTLS is not offered"));
        }
        // The mark is in this reply too, to name sessions that end in a failed handshake.
        let ready = reply::ready_for_tls();
        let ready = match &self.options.mark {
            Some(mark) => ready.marked(mark),
            None => ready,
        };
        self.write(ready);
        self.state = State::Handshake;
        Step::Event(Event::StartTls)
    }

    /// RFC 4954 §4: after EHLO, once, and not within a transaction.
    fn auth(&mut self, mechanism: String, initial: InitialResponse) -> Step {
        let problem = if self.options.role == Role::Transfer {
            "authentication is for submission"
        } else if self.hello != Some(Verb::Ehlo) {
            "say EHLO first"
        } else if self.authenticated {
            "already authenticated"
        } else if self.transaction.is_some() {
            "not during a mail transaction"
        } else {
            return Step::Decide(Decision::Auth, Event::Auth(mechanism, initial));
        };
        self.answer(reply::bad_sequence(problem))
    }

    fn sasl_response(&mut self) -> Step {
        let line = match self.input.line(AUTH_MAX) {
            Line::Incomplete => return Step::NeedInput,
            Line::TooLong => {
                self.close(reply::line_too_long());
                return Step::Continue;
            }
            Line::Complete { text, .. } => Secret::new(text),
        };
        match self.options.transcript {
            Transcript::Off | Transcript::Redacted => self.note("C: ***"),
            Transcript::WithCredentials | Transcript::WithMessages => {
                self.note(&format!("C: {}", String::from_utf8_lossy(line.expose()).escape_debug()));
            }
        }
        self.state = State::Command;
        if line.expose() == b"*" {
            self.write(reply::auth_cancelled());
            return Step::Event(Event::AuthAborted);
        }
        match BASE64.decode(line.expose()) {
            Ok(response) => Step::Decide(Decision::Auth, Event::AuthResponse(Secret::new(response))),
            Err(_) => {
                self.write(reply::not_base64());
                Step::Event(Event::AuthAborted)
            }
        }
    }

    fn mail(&mut self, from: mailstead_names::ReversePath, parameters: &[Parameter]) -> Step {
        if self.hello.is_none() {
            return self.answer(reply::bad_sequence("say EHLO first"));
        }
        if self.options.role == Role::Submission && !self.authenticated {
            return self.answer(reply::authentication_required());
        }
        if self.transaction.is_some() {
            return self.answer(reply::bad_sequence("a mail transaction is under way"));
        }
        if self.bad > BAD_TRANSACTIONS_MAX && self.good == 0 {
            self.close(reply::too_many_failures());
            return Step::Continue;
        }
        // Counted as bad until it proves good.
        self.bad = self.bad.saturating_add(1);
        let mail = match Mail::interpret(from, parameters, &self.options.extensions) {
            Ok(mail) => mail,
            Err(error) => return self.answer(reply::parameter_error(&error)),
        };
        if mail.size.is_some_and(|size| size > self.options.size_max) {
            return self.answer(reply::too_large(self.options.size_max));
        }
        if self.options.strictness == Strictness::Pedantic && mail.from.needs_smtputf8() && !mail.smtputf8 {
            return self.answer(reply::smtputf8_required());
        }
        Step::Decide(Decision::Mail, Event::Mail(mail))
    }

    fn rcpt(&mut self, to: ForwardPath, parameters: &[Parameter]) -> Step {
        let Some(transaction) = &mut self.transaction else {
            return self.answer(reply::bad_sequence("say MAIL first"));
        };
        transaction.attempted += 1;
        if transaction.accepted >= self.options.recipients_max {
            return self.answer(reply::too_many_recipients());
        }
        match Rcpt::interpret(to, parameters, &self.options.extensions) {
            Ok(rcpt) => Step::Decide(Decision::Recipient, Event::Recipient(rcpt)),
            Err(error) => self.answer(reply::parameter_error(&error)),
        }
    }

    fn data(&mut self) -> Step {
        match &self.transaction {
            Some(Transaction { accepted: 1.., .. }) => Step::Decide(Decision::Data, Event::Data),
            // RFC 2920 §3.1: a pipelining client sends DATA before it knows.
            Some(Transaction { attempted: 1.., .. }) => self.answer(reply::no_valid_recipients()),
            _ => self.answer(reply::bad_sequence("say MAIL and RCPT first")),
        }
    }

    fn message(&mut self) -> Step {
        let State::Message(reception) = &mut self.state else { return Step::Continue };
        if !reception.ended {
            if self.input.pending().is_empty() {
                return Step::NeedInput;
            }
            let mut piece = Vec::with_capacity(self.input.pending().len());
            let progress = reception.decoder.decode(self.input.pending(), &mut piece);
            self.input.consume(progress.consumed);
            reception.ended = progress.ended;
            reception.octets = reception.octets.saturating_add(piece.len() as u64);
            if reception.octets > self.options.size_max.saturating_mul(2) {
                // Told the size, it still sends without end.
                self.transaction = None;
                self.close(reply::too_large(self.options.size_max));
                return Step::Event(Event::MessageRefused(Refusal::TooLarge));
            }
            let shown = self.options.transcript == Transcript::WithMessages;
            let wanted = reception.abandoned.is_none() && reception.octets <= self.options.size_max;
            if shown {
                self.note(&format!("C: {}", String::from_utf8_lossy(&piece).escape_debug()));
            }
            if wanted && !piece.is_empty() {
                return Step::Event(Event::Message(piece));
            }
            return Step::Continue;
        }
        let Reception { decoder, octets, abandoned, .. } = std::mem::take(reception);
        self.note(&format!("C: ({octets} octets of message)"));
        let refused = if let Some(reply) = abandoned {
            Some((Refusal::Abandoned, reply))
        } else if let Some(reason) = decoder.smuggling() {
            Some((Refusal::Smuggling(reason), reply::smuggling()))
        } else if octets > self.options.size_max {
            Some((Refusal::TooLarge, reply::too_large(self.options.size_max)))
        } else {
            None
        };
        match refused {
            Some((refusal, reply)) => {
                self.state = State::Command;
                self.transaction = None;
                self.write(reply);
                Step::Event(Event::MessageRefused(refusal))
            }
            None => {
                let received = Received { octets, eight_bit: decoder.eight_bit() };
                Step::Decide(Decision::Message, Event::EndOfMessage(received))
            }
        }
    }
}

/// What a handler of input came to.
enum Step {
    /// To be told.
    Event(Event),
    /// To be told, and a reply is awaited.
    Decide(Decision, Event),
    /// Dealt with; look again.
    Continue,
    /// Nothing to be done without more input.
    NeedInput,
}
