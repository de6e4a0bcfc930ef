//! One outgoing connection: octets between a [`Stream`] and a [`client::Session`], from dialling to QUIT.

use std::time::Duration;

use mailstead_names::{EhloName, Host, Secret};
use mailstead_net::{Stream, Target};
use mailstead_runtime::Deadline;
use mailstead_sasl::client::{Credentials, Exchange, Options, choose};
use mailstead_sasl::{ChannelBinding, Mechanism, Nonce, PlusOffered};
use mailstead_smtp::client::{self, Event, RequestError};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::outcome::{Failure, Permanence, Remote};
use crate::policy::{Attempt, ConnectionOutcome, Verify};
use crate::queue::Services;
use crate::route::NextHop;

/// Connecting, and the handshake, each.
const DIAL: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(60);
/// One block of output, RFC 5321 §4.5.3.2.5.
const WRITE: Duration = Duration::from_secs(180);
/// How long to listen after sending has failed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A connection whose session is idle, or over.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    pub(crate) session: client::Session,
    pub(crate) remote: Remote,
    /// For everything on this connection.
    deadline: Deadline,
}

/// Why there is no connection to use: what the policy judges, and what is told if nothing else works.
#[derive(Debug)]
pub(crate) struct NotConnected {
    pub(crate) outcome: ConnectionOutcome,
    pub(crate) failure: Failure,
}

impl Connection {
    /// Dials and greets as the attempt says.
    pub(crate) async fn open(
        services: &Services,
        name: EhloName,
        hop: &NextHop,
        remote: Remote,
        target: Target,
        attempt: Attempt,
        deadline: Deadline,
    ) -> Result<Connection, NotConnected> {
        let not = |outcome, failure: Failure| NotConnected { outcome, failure: failure.at(&remote) };
        let dialled = services.dialer.dial(target, deadline.earlier(Deadline::after(DIAL))).await;
        let mut stream = dialled.map_err(|error| {
            let failure = Failure::temporary(4, 1, format!("Connecting failed: {error}"));
            not(ConnectionOutcome::Unreachable, failure)
        })?;
        if let Attempt::ImplicitTls(verify) = attempt {
            handshake(services, &mut stream, hop, &remote, verify)
                .await
                .map_err(|failure| not(ConnectionOutcome::TlsFailed, failure))?;
        }
        let session = client::Session::new(name);
        let mut connection = Connection { stream, session, remote: remote.clone(), deadline };
        connection.greeted().await.map_err(|failure| not(ConnectionOutcome::Unreachable, failure))?;
        if let Attempt::StartTls(verify) = attempt {
            connection.start_tls(services, hop, verify).await.map_err(|(outcome, failure)| not(outcome, failure))?;
        }
        Ok(connection)
    }

    async fn greeted(&mut self) -> Result<(), Failure> {
        match self.event().await {
            Event::Ready => Ok(()),
            Event::Failed(error) => Err(session_failure(&error)),
            other => Err(unexpected(&other)),
        }
    }

    async fn start_tls(
        &mut self,
        services: &Services,
        hop: &NextHop,
        verify: Verify,
    ) -> Result<(), (ConnectionOutcome, Failure)> {
        if self.session.start_tls().is_err() {
            self.quit().await;
            let failure = Failure::temporary(7, 10, "The server does not offer TLS");
            return Err((ConnectionOutcome::NoStartTls, failure));
        }
        match self.event().await {
            Event::StartTls => {}
            Event::StartTlsRefused(reply) => {
                self.quit().await;
                return Err((ConnectionOutcome::NoStartTls, Failure::of_reply(reply, Permanence::Temporary)));
            }
            Event::Failed(error) => return Err((ConnectionOutcome::TlsFailed, session_failure(&error))),
            other => return Err((ConnectionOutcome::TlsFailed, unexpected(&other))),
        }
        let tls_failed = |failure| (ConnectionOutcome::TlsFailed, failure);
        handshake(services, &mut self.stream, hop, &self.remote, verify).await.map_err(tls_failed)?;
        self.session.tls_established();
        // In TLS 1.3 a server's refusal of our handshake arrives only here.
        self.greeted().await.map_err(tls_failed)
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
                Err(error) => self.session.lost(error.to_string()),
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

async fn handshake(
    services: &Services,
    stream: &mut Stream,
    hop: &NextHop,
    remote: &Remote,
    verify: Verify,
) -> Result<(), Failure> {
    let tls = match verify {
        Verify::Pkix => &services.tls.verified,
        Verify::Nothing => &services.tls.unverified,
    };
    let name = match &hop.host {
        Host::Domain(domain) => ServerName::try_from(domain.as_ascii().to_owned())
            .map_err(|_| Failure::temporary(7, 5, "The server's name cannot be in a certificate").at(remote))?,
        Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
    };
    match stream.connect_tls(tls, name, &[], Deadline::after(HANDSHAKE)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::temporary(7, 5, format!("TLS failed: {error}")).at(remote)),
    }
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
        // RFC 6531 §3.6.2 and its enhanced status for it.
        RequestError::NotOffered(_) => {
            Failure::permanent(6, 7, "The server does not take internationalised addresses and headers (SMTPUTF8)")
        }
        other => Failure::temporary(5, 0, format!("The message could not be sent: {other}")),
    }
}
