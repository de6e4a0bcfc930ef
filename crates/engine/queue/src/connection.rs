//! One outgoing connection: octets between a [`Stream`] and a [`client::Session`], from dialling to QUIT.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use mailstead_names::{EhloName, Secret};
use mailstead_net::tls::{ClientTls, rustls_error, server_name};
use mailstead_net::{Dialer, Stream, Target};
use mailstead_runtime::Deadline;
use mailstead_sasl::client::{Credentials, Exchange, Options, choose};
use mailstead_sasl::{ChannelBinding, Mechanism, Nonce, PlusOffered};
use mailstead_smtp::Extension;
use mailstead_smtp::client::{self, Event, RequestError};
use mailstead_tlspolicy::judge::{Outcome, RequireTlsOffer};
use mailstead_tlspolicy::plan::{Attempt, Channel};
use mailstead_tlspolicy::report::{FailureReason, ResultType, handshake_failure};
use mailstead_tlspolicy::verify::{Findings, Verifier};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::outcome::{Failure, Permanence, Remote};
use crate::queue::Services;
use crate::results::TlsSession;
use crate::settings::OutgoingTls;
use crate::slots::Slot;

/// Connecting, and the handshake, each.
const DIAL: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(60);
/// One block of output, RFC 5321 §4.5.3.2.5.
const WRITE: Duration = Duration::from_secs(180);
/// The reason code of a server that hangs up behind a handshake.
const CLOSED_AFTER_HANDSHAKE: &str = "connection-closed-after-handshake";
/// How long to listen after sending has failed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A connection whose session is idle, or over.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    pub(crate) session: client::Session,
    pub(crate) remote: Remote,
    /// For everything on this connection until it is used anew.
    deadline: Deadline,
    /// What TLS had to say when the connection was lost.
    tls_error: Option<FailureReason>,
    /// One of the host's.
    _slot: Slot,
}

/// Whom to connect to, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) target: Target,
    pub(crate) remote: Remote,
    /// How we greet.
    pub(crate) name: EhloName,
    /// Whom to believe who the server is.
    pub(crate) tls: OutgoingTls,
    /// For everything on the connection.
    pub(crate) patience: Duration,
}

/// How an attempt to connect ended.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What is judged.
    pub(crate) outcome: Outcome,
    /// The idle session, where there is one: with TLS or, where TLS was not to be had, still in the clear.
    pub(crate) connection: Option<Connection>,
    /// What is told if nothing else works, without the server that is meant.
    pub(crate) failure: Option<Failure>,
    /// The ends, for reports, where somebody answered.
    pub(crate) session: Option<TlsSession>,
}

/// How far the beginning of a session came.
struct Begun {
    outcome: Outcome,
    /// None where the session is idle, and may be what was wanted.
    failure: Option<Failure>,
    state: State,
}

/// Whether a session can be used.
#[derive(PartialEq, Eq)]
enum State {
    Idle,
    Over,
}

impl Begun {
    fn over(outcome: Outcome, failure: Failure) -> Begun {
        Begun { outcome, failure: Some(failure), state: State::Over }
    }

    fn failed(reason: FailureReason, text: impl std::fmt::Display) -> Begun {
        let failure = Failure::temporary(7, 5, format!("TLS failed: {text}"));
        Begun::over(Outcome::TlsFailed(reason), failure)
    }
}

impl Connection {
    /// Dials and greets as the attempt says. Whether the connection may be used is not decided here.
    pub(crate) async fn open(call: Call, attempt: &Attempt, slot: Slot) -> Opened {
        let deadline = Deadline::after(call.patience);
        let stream = match call.dialer.dial(call.target, deadline.earlier(Deadline::after(DIAL))).await {
            Ok(stream) => stream,
            Err(error) => {
                let failure = Some(Failure::temporary(4, 1, format!("Connecting failed: {error}")));
                return Opened { outcome: Outcome::Unreachable, connection: None, failure, session: None };
            }
        };
        let session = client::Session::new(call.name);
        let mut connection =
            Connection { stream, session, remote: call.remote, deadline, tls_error: None, _slot: slot };
        let Begun { outcome, failure, state } = connection.begin(&call.tls, attempt).await;
        let ends = connection.ends();
        let connection = (state == State::Idle).then_some(connection);
        Opened { outcome, connection, failure, session: Some(ends) }
    }

    fn ends(&self) -> TlsSession {
        TlsSession {
            sending_mta_ip: Some(self.stream.local_addr().ip()).filter(|ip| !ip.is_unspecified()),
            receiving_ip: self.stream.peer_addr().ip(),
            receiving_mx_helo: self.session.server_name().map(str::to_owned),
        }
    }

    async fn begin(&mut self, tls: &OutgoingTls, attempt: &Attempt) -> Begun {
        match attempt.channel {
            Channel::Plaintext => match self.greeted().await {
                Ok(()) => Begun { outcome: Outcome::Clear, failure: None, state: State::Idle },
                Err(failure) => Begun::over(Outcome::Unreachable, failure),
            },
            Channel::ImplicitTls => match self.handshake(tls, attempt).await {
                Ok(findings) => self.greeted_in_tls(findings).await,
                Err(begun) => begun,
            },
            Channel::StartTls => match self.greeted().await {
                Ok(()) => self.start_tls(tls, attempt).await,
                Err(failure) => Begun::over(Outcome::Unreachable, failure),
            },
        }
    }

    async fn greeted(&mut self) -> Result<(), Failure> {
        match self.event().await {
            Event::Ready => Ok(()),
            Event::Failed(error) => Err(session_failure(&error)),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits for the greeting, or the reply to EHLO, behind a handshake. In TLS 1.3 it is only there that a server says
    /// that it has refused the handshake; a reply that refuses the session is another matter.
    async fn greeted_in_tls(&mut self, findings: Findings) -> Begun {
        let failure = match self.event().await {
            Event::Ready => {
                let offered = self.session.extensions().contains(&Extension::RequireTls);
                let require_tls = if offered { RequireTlsOffer::Offered } else { RequireTlsOffer::NotOffered };
                let outcome = Outcome::Tls { findings, require_tls };
                return Begun { outcome, failure: None, state: State::Idle };
            }
            Event::Failed(error @ client::Error::Lost(_)) => {
                let lost = || FailureReason::with_code(ResultType::ValidationFailure, CLOSED_AFTER_HANDSHAKE);
                return Begun::failed(self.tls_error.take().unwrap_or_else(lost), error);
            }
            Event::Failed(error) => session_failure(&error),
            other => unexpected(&other),
        };
        Begun::over(Outcome::Tls { findings, require_tls: RequireTlsOffer::NotOffered }, failure)
    }

    async fn start_tls(&mut self, tls: &OutgoingTls, attempt: &Attempt) -> Begun {
        if self.session.start_tls().is_err() {
            return Begun { outcome: Outcome::NoStartTls(None), failure: None, state: State::Idle };
        }
        match self.event().await {
            Event::StartTls => match self.handshake(tls, attempt).await {
                Ok(findings) => {
                    self.session.tls_established();
                    self.greeted_in_tls(findings).await
                }
                Err(begun) => begun,
            },
            Event::StartTlsRefused(reply) => {
                let outcome = Outcome::NoStartTls(Some(reply.code));
                let failure = Some(Failure::of_reply(reply, Permanence::Temporary));
                Begun { outcome, failure, state: State::Idle }
            }
            Event::Failed(error) => {
                let code = match error {
                    client::Error::PlaintextAfterStartTls => "plaintext-after-starttls",
                    _ => "connection-closed-after-starttls",
                };
                Begun::failed(FailureReason::with_code(ResultType::ValidationFailure, code), error)
            }
            other => {
                let reason = FailureReason::with_code(ResultType::ValidationFailure, "protocol-error-after-starttls");
                Begun::over(Outcome::TlsFailed(reason), unexpected(&other))
            }
        }
    }

    /// The handshake, with every check that the attempt names; what it does not enforce is only found out.
    async fn handshake(&mut self, tls: &OutgoingTls, attempt: &Attempt) -> Result<Findings, Begun> {
        let ours = |code| FailureReason::with_code(ResultType::ValidationFailure, code);
        let name =
            server_name(&attempt.server_name).map_err(|error| Begun::failed(ours("server-name-not-usable"), error))?;
        let verifier = Verifier::new(attempt, Arc::clone(&tls.roots), Arc::clone(&tls.provider));
        let seen = verifier.seen();
        let tls = ClientTls::with_verifier(Arc::new(verifier));
        let tls = tls.map_err(|error| Begun::failed(ours("tls-configuration"), error))?;
        let shaken = self.stream.connect_tls(&tls, name, &[], Deadline::after(HANDSHAKE)).await;
        match (shaken.map(drop), seen.findings()) {
            (Ok(()), Some(findings)) => Ok(findings.clone()),
            (Ok(()), None) => Err(Begun::failed(ours("no-certificate"), "the server showed no certificate")),
            (Err(error), Some(findings)) if is_objection(&error) => {
                let failure = Failure::temporary(7, 5, "The certificate of the server was refused");
                Err(Begun::over(Outcome::CertificateRejected(findings.clone()), failure))
            }
            (Err(error), _) => Err(Begun::failed(handshake_reason(&error), error)),
        }
    }

    /// Logs in, with the strongest mechanism that both sides know.
    pub(crate) async fn authenticate(&mut self, services: &Services, credentials: &Credentials) -> Result<(), Failure> {
        let Some(facts) = self.stream.tls() else {
            return Err(Failure::temporary(7, 11, "Logging in needs TLS").at(&self.remote));
        };
        let channel_binding = facts.exporter.map(ChannelBinding::tls_exporter);
        let offered: Vec<Mechanism> = self.session.extensions().mechanisms().filter_map(Mechanism::parse).collect();
        let Some(mechanism) = choose(&offered, channel_binding.as_ref(), |_| true) else {
            return Err(Failure::temporary(7, 0, "The server offers no way to log in that we know").at(&self.remote));
        };
        let plus = if offered.iter().any(|mechanism| mechanism.is_plus()) {
            PlusOffered::Offered
        } else {
            PlusOffered::NotOffered
        };
        let nonce = Nonce::from_random(services.random.bytes());
        let mut exchange = Exchange::new(mechanism, credentials.clone(), Options { channel_binding, plus, nonce });
        let failed = |why: &dyn std::fmt::Display| Failure::temporary(7, 0, format!("Logging in failed: {why}"));
        let initial = exchange.start().map_err(|error| failed(&error))?.map(Secret::new);
        self.session.authenticate(mechanism.name(), initial.as_ref()).map_err(|error| failed(&error))?;
        loop {
            match self.event().await {
                Event::Challenge(challenge) => match exchange.step(&challenge) {
                    Ok(response) => self.session.respond(&Secret::new(response)),
                    Err(error) => {
                        self.session.cancel_authentication();
                        let _ = self.event().await;
                        return Err(failed(&error).at(&self.remote));
                    }
                },
                Event::Authenticated(_) => {
                    return exchange.finish(None).map_err(|error| failed(&error).at(&self.remote));
                }
                // The operator may correct the password: never a reason to give mail back at once.
                Event::AuthenticationRefused(reply) => {
                    return Err(Failure::of_reply(reply, Permanence::Temporary).at(&self.remote));
                }
                Event::Failed(error) => return Err(session_failure(&error).at(&self.remote)),
                other => return Err(unexpected(&other).at(&self.remote)),
            }
        }
    }

    /// Gives the connection to another message, for this long.
    pub(crate) fn renew(&mut self, patience: Duration) {
        self.deadline = Deadline::after(patience);
    }

    /// Sends what is to be sent and waits for the next event.
    pub(crate) async fn event(&mut self) -> Event {
        let mut buffer = Vec::with_capacity(4096);
        loop {
            let event = self.session.next_event();
            self.flush().await;
            if let Some(event) = event {
                return event;
            }
            let patience = Deadline::after(self.session.patience());
            self.stream.set_read_deadline(self.deadline.earlier(patience));
            buffer.clear();
            match self.stream.read_buf(&mut buffer).await {
                Ok(0) => self.session.lost("closed by the server"),
                Ok(_) => self.session.receive(&buffer),
                Err(error) => {
                    self.tls_error = rustls_error(&error).map(handshake_failure);
                    self.session.lost(error.to_string());
                }
            }
        }
    }

    /// Sends what the session has written. A server that closed after a reply may still be heard, so that a failure here
    /// does not keep us from reading.
    pub(crate) async fn flush(&mut self) {
        let output = self.session.take_output();
        if output.is_empty() {
            return;
        }
        self.stream.set_write_deadline(self.deadline.earlier(Deadline::after(WRITE)));
        let written = async {
            self.stream.write_all(&output).await?;
            self.stream.flush().await
        };
        if let Err(error) = written.await {
            tracing::debug!(%error, "sending failed");
            self.deadline = self.deadline.earlier(Deadline::after(LAST_WORDS));
        }
    }

    /// Says goodbye, and does not insist.
    pub(crate) async fn quit(&mut self) {
        if self.session.quit().is_ok() {
            let _ = self.event().await;
        }
        self.stream.close(Deadline::after(Duration::from_secs(5))).await;
    }
}

/// Whether our verifier ended the handshake.
fn is_objection(error: &mailstead_net::Error) -> bool {
    let objection = rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure);
    matches!(error, mailstead_net::Error::Handshake(error) if rustls_error(error) == Some(&objection))
}

/// A failed handshake as it is reported.
fn handshake_reason(error: &mailstead_net::Error) -> FailureReason {
    let code = match error {
        mailstead_net::Error::TimedOut => "io-timeout-during-handshake",
        mailstead_net::Error::Handshake(error) => match (rustls_error(error), error.kind()) {
            (Some(error), _) => return handshake_failure(error),
            (None, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                "connection-closed-during-handshake"
            }
            _ => "io-error-during-handshake",
        },
        _ => "tls-failed",
    };
    FailureReason::with_code(ResultType::ValidationFailure, code)
}

/// What the end of a session means for a message. A refused greeting counts as temporary, whatever its code: it is about
/// us and that server now, not about the message (RFC 5321 §3.1 has 554 for "no SMTP service here").
pub(crate) fn session_failure(error: &client::Error) -> Failure {
    match error {
        client::Error::Refused(reply) | client::Error::Unexpected(reply) => {
            Failure::of_reply(reply.clone(), Permanence::Temporary)
        }
        other => Failure::temporary(4, 2, format!("The connection failed: {other}")),
    }
}

pub(crate) fn unexpected(event: &Event) -> Failure {
    tracing::debug!(?event, "event out of place");
    Failure::temporary(5, 0, "The server does not follow the protocol")
}

/// What a request that could not be made means for a message.
pub(crate) fn request_failure(error: &RequestError) -> Failure {
    match error {
        RequestError::TooLarge { maximum } => {
            Failure::permanent(3, 4, format!("The server takes messages of at most {maximum} octets"))
        }
        RequestError::NotOffered("REQUIRETLS") => {
            Failure::permanent(7, 30, "The server does not offer REQUIRETLS, which the message demands")
        }
        RequestError::NotOffered("8BITMIME") => Failure::permanent(6, 3, "The server takes 7-bit messages only"),
        // RFC 6531 §3.2, with the enhanced status of its §4.2.
        RequestError::NotOffered(_) => {
            Failure::permanent(6, 7, "The server does not take internationalised addresses and headers (SMTPUTF8)")
        }
        other => Failure::temporary(5, 0, format!("The message could not be sent: {other}")),
    }
}
