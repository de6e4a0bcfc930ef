//! One connection: drives the session's state machine over the stream and answers its events.
//!
//! What the answers depend on is in `auth.rs` (AUTH), `envelope.rs` (HELO, MAIL, RCPT) and `message.rs` (DATA).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mailstead_config::Destination;
use mailstead_login::{Authenticator, Peer, PlaintextLogin, User};
use mailstead_names::{Address, EhloName};
use mailstead_net::{Admission, Connection as Accepted, ConnectionId};
use mailstead_runtime::Deadline;
use mailstead_smtp::server::{Event, Options, Role, Session, Transcript};
use mailstead_smtp::{Extension, Extensions, Limits, Mail, Notify, Orcpt, Reply, Verb};

use crate::authentication::SpfCheck;
use crate::metrics::role_name;
use crate::reception::Reception;
use crate::refusal::Refusal;
use crate::reply;
use crate::server::Server;
use crate::settings::{CleartextLogin, Endpoint, Security};
use crate::wire::Wire;

/// How long a closed connection still listens.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_WHILE_STOPPING: Duration = Duration::from_millis(200);

pub(crate) struct Connection {
    pub(crate) server: Arc<Server>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) session: Session,
    pub(crate) wire: Wire,
    pub(crate) authenticator: Authenticator,
    pub(crate) user: Option<User>,
    pub(crate) hello: EhloName,
    pub(crate) verb: Verb,
    pub(crate) mark: String,
    pub(crate) transaction: Option<Transaction>,
}

/// A mail transaction, from MAIL on.
pub(crate) struct Transaction {
    pub(crate) mail: Mail,
    /// The accepted recipients, each once.
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) reception: Option<Reception>,
    /// Why the message was given up before its end.
    pub(crate) refusal: Option<Refusal>,
    /// What SPF says about the sender, once somebody had to know.
    pub(crate) spf: Option<SpfCheck>,
}

/// A recipient that RCPT was accepted for.
#[derive(Debug, Clone)]
pub(crate) struct Recipient {
    pub(crate) address: Address,
    /// Where its mail goes; nothing for one that is not ours, and for one of ours that does not exist.
    pub(crate) destination: Option<Destination>,
    /// Of what the sender wants to be told.
    pub(crate) notify: Option<Notify>,
    /// The original recipient.
    pub(crate) orcpt: Option<Orcpt>,
}

/// Why a connection ended early.
enum Ended {
    /// The peer went away, or a deadline passed.
    Io(io::Error),
    /// A handshake failed.
    Handshake(mailstead_net::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Io(error)
    }
}

impl Server {
    /// Serves a connection until it ends.
    pub async fn serve(self: Arc<Self>, endpoint: Arc<Endpoint>, accepted: Accepted) {
        let Accepted { id, stream, admission } = accepted;
        let role = endpoint.role;
        let metrics = self.services.metrics.clone();
        metrics.connection(role, if matches!(admission, Admission::Admitted(_)) { "admitted" } else { "refused" });
        let mut connection = Connection::new(self, endpoint, id, Wire::new(stream));
        match connection.run(&admission).await {
            Ok(()) => tracing::debug!("connection closed"),
            Err(Ended::Io(error)) => tracing::debug!(%error, "connection lost"),
            Err(Ended::Handshake(error)) => tracing::info!(%error, "TLS handshake failed"),
        }
        connection.authenticator.abort().await;
        // A stop has no time for peers that do not close.
        let stopping = connection.server.services.shutdown.has_begun();
        connection.wire.close(if stopping { LINGER_WHILE_STOPPING } else { LINGER }).await;
    }
}

impl Connection {
    fn new(server: Arc<Server>, endpoint: Arc<Endpoint>, id: ConnectionId, wire: Wire) -> Connection {
        let mark = server.services.marks.mark(id);
        let (remote, local) = (wire.stream.peer_addr().ip(), wire.stream.local_addr().ip());
        let peer = Peer {
            protocol: role_name(endpoint.role),
            remote,
            local,
            tls: None,
            plaintext: match endpoint.cleartext_login {
                CleartextLogin::Allowed => PlaintextLogin::Allowed,
                CleartextLogin::Refused => PlaintextLogin::Refused,
            },
            client: String::new(),
        };
        let authenticator = server.services.login.authenticator(peer);
        let tracing_on = tracing::enabled!(tracing::Level::TRACE);
        let options = Options {
            role: endpoint.role,
            strictness: server.settings.strictness,
            extensions: Extensions::default(),
            size_max: server.settings.message_max,
            recipients_max: server.settings.recipients_max,
            mark: Some(mark.clone()),
            transcript: if tracing_on { server.settings.transcript } else { Transcript::Off },
        };
        Connection {
            session: match endpoint.security {
                Security::Implicit(_) => Session::over_tls(options),
                Security::Cleartext | Security::StartTls(_) => Session::new(options),
            },
            server,
            endpoint,
            wire,
            authenticator,
            user: None,
            hello: EhloName::Literal(remote),
            verb: Verb::Helo,
            mark,
            transaction: None,
        }
    }

    async fn run(&mut self, admission: &Admission) -> Result<(), Ended> {
        if matches!(self.endpoint.security, Security::Implicit(_)) {
            self.handshake(&[]).await?;
        }
        self.session.announce(self.extensions());
        self.session.reply(self.greeting(admission));
        loop {
            while let Some(event) = self.session.next_event() {
                self.trace();
                if let Event::Close = event {
                    return self.flush().await.map_err(Ended::from);
                }
                self.handle(event).await?;
            }
            self.flush().await?;
            self.read().await?;
        }
    }

    fn greeting(&self, admission: &Admission) -> Reply {
        match admission {
            Admission::Refused(refusal) => reply::refused(*refusal),
            Admission::Admitted(_)
                if self.endpoint.role == Role::Submission && !self.server.services.login.may_try(self.remote()) =>
            {
                reply::too_many_auth_failures()
            }
            Admission::Admitted(_) => reply::greeting(&self.server.settings.hostname),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), Ended> {
        if self.server.services.shutdown.has_begun() && !self.session.is_receiving_message() && asks(&event) {
            self.session.close(reply::shutting_down());
            return Ok(());
        }
        match event {
            Event::Hello(verb, name) => {
                self.transaction = None;
                let reply = self.greeted(verb, name).await;
                if reply.is_completion() {
                    self.verb = verb;
                }
                self.answer(reply);
            }
            Event::StartTls => {
                self.flush().await?;
                let buffered = self.session.take_buffered();
                self.handshake(&buffered).await?;
                (self.user, self.transaction) = (None, None);
                let extensions = self.extensions();
                self.session.tls_established(extensions);
            }
            Event::Auth(mechanism, initial) => self.auth(&mechanism, initial).await,
            Event::AuthResponse(response) => self.auth_response(&response).await,
            Event::AuthAborted => self.authenticator.abort().await,
            Event::Mail(mail) => {
                let reply = self.sender(&mail).await;
                if reply.is_completion() {
                    let (recipients, reception, refusal) = (Vec::new(), None, None);
                    self.transaction = Some(Transaction { mail, recipients, reception, refusal, spf: None });
                }
                self.answer(reply);
            }
            Event::Recipient(rcpt) => {
                let reply = self.recipient(rcpt).await;
                self.answer(reply);
            }
            Event::Data => {
                let reply = self.begin_message();
                self.answer(reply);
            }
            Event::Message(piece) => self.message_piece(&piece).await,
            Event::EndOfMessage(received) => {
                let reply = self.end_of_message(received).await;
                self.answer(reply);
            }
            Event::MessageRefused(refused) => self.message_refused(refused).await,
            Event::Reset => self.transaction = None,
            // Close is dealt with by the caller; there are no others yet.
            _ => {}
        }
        Ok(())
    }

    /// Replies, and counts errors.
    pub(crate) fn answer(&mut self, reply: Reply) {
        if reply.is_error() {
            self.note_error(&reply);
        }
        self.session.reply(reply);
    }

    pub(crate) fn note_error(&self, reply: &Reply) {
        self.server.services.metrics.error(self.endpoint.role, reply.code);
        tracing::info!(code = reply.code, reason = %reply, "refused");
    }

    pub(crate) fn remote(&self) -> std::net::IpAddr {
        self.wire.stream.peer_addr().ip()
    }

    /// What EHLO announces: only what is honoured.
    fn extensions(&self) -> Extensions {
        let settings = &self.server.settings;
        let limits = Limits { rcpt_max: Some(settings.recipients_max as u64), ..Limits::default() };
        let mut extensions = vec![Extension::Pipelining, Extension::Size(Some(settings.message_max))];
        if matches!(self.endpoint.security, Security::StartTls(_)) && self.wire.stream.tls().is_none() {
            extensions.push(Extension::StartTls);
        }
        if self.endpoint.role == Role::Submission {
            let offered: Vec<String> = self.authenticator.offered().iter().map(ToString::to_string).collect();
            // No AUTH line where nothing is offered: clients take an empty one for a mistake, or for LOGIN.
            if !offered.is_empty() {
                extensions.push(Extension::Auth(offered));
            }
        }
        extensions.extend([
            Extension::EnhancedStatusCodes,
            Extension::EightBitMime,
            Extension::Limits(limits),
            Extension::SmtpUtf8,
            Extension::Dsn,
        ]);
        // RFC 8689 §2: only where the session is under TLS itself.
        if self.wire.stream.tls().is_some() {
            extensions.push(Extension::RequireTls);
        }
        extensions.into_iter().collect()
    }

    async fn handshake(&mut self, unread: &[u8]) -> Result<(), Ended> {
        let (Security::StartTls(tls) | Security::Implicit(tls)) = &self.endpoint.security else { return Ok(()) };
        let deadline = Deadline::after(self.server.settings.timeouts.handshake);
        let result = self.wire.stream.start_tls(tls, unread, deadline).await.cloned();
        let metrics = &self.server.services.metrics;
        match result {
            Ok(facts) => {
                metrics.handshake(self.endpoint.role, "success");
                self.authenticator.tls_established(facts).await;
                Ok(())
            }
            Err(error) => {
                metrics.handshake(self.endpoint.role, failure(&error));
                Err(Ended::Handshake(error))
            }
        }
    }

    /// Sends what the session wrote: once for each group of pipelined commands (RFC 2920 §3.2).
    async fn flush(&mut self) -> io::Result<()> {
        self.trace();
        let output = self.session.take_output();
        self.wire.write(&output, self.server.settings.timeouts.write).await
    }

    fn trace(&mut self) {
        for line in self.session.take_transcript() {
            tracing::trace!("{line}");
        }
    }

    /// Waits for the client. A stop ends the wait for a command, but not the reception of a message.
    async fn read(&mut self) -> Result<(), Ended> {
        let timeouts = self.server.settings.timeouts;
        let shutdown = self.server.services.shutdown.clone();
        let result = if self.session.is_receiving_message() {
            let whole = self.transaction.as_ref().and_then(|transaction| transaction.reception.as_ref());
            let whole = whole.map_or(Deadline::NEVER, |reception| reception.deadline);
            self.wire.read(Deadline::after(timeouts.data_block).earlier(whole)).await
        } else {
            match shutdown.or_begun(self.wire.read(Deadline::after(timeouts.command))).await {
                Some(result) => result,
                None => {
                    self.session.close(reply::shutting_down());
                    return Ok(());
                }
            }
        };
        match result {
            Ok(octets) => self.session.receive(octets),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.session.close(reply::timeout()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Why a handshake failed, for the metrics.
fn failure(error: &mailstead_net::Error) -> &'static str {
    use mailstead_net::Error;
    match error {
        Error::TimedOut => "timeout",
        Error::PlaintextAfterStartTls => "plaintext",
        Error::Handshake(error) | Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => "eof",
        Error::Handshake(_) => "protocol",
        _ => "other",
    }
}

/// Whether an event is a new request, to be answered with 421 during a stop.
fn asks(event: &Event) -> bool {
    matches!(
        event,
        Event::Hello(..)
            | Event::Auth(..)
            | Event::AuthResponse(_)
            | Event::Mail(_)
            | Event::Recipient(_)
            | Event::Data
    )
}
