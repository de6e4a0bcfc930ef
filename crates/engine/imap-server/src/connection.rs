//! A connection from its first octet to its last: greeting, implicit TLS, the loop over what the client sends, BYE.
//!
//! RFC 9051 §3, §5.4 (autologout), §7.1.5 (BYE). Refused connections are told why, in IMAP.

use std::sync::Arc;

use mailstead_imap::Code;
use mailstead_imap::server::{Event, Limits, Refusal as AppendRefusal, Rejection};
use mailstead_net::{Admission, Connection, Refusal};
use mailstead_runtime::Deadline;
use tracing::Instrument as _;

use crate::reply::{self, Close, Interrupt, Reply};
use crate::server::Server;
use crate::session::Session;
use crate::settings::{Endpoint, Security};
use crate::wire::Wire;

/// After so many commands in a row that are not IMAP we stop listening.
const MISTAKES: u32 = 20;

impl Server {
    /// Serves one connection, until it ends.
    pub async fn serve(self: Arc<Self>, endpoint: Arc<Endpoint>, connection: Connection) {
        let Connection { stream, admission, .. } = connection;
        let peer = stream.peer_addr();
        let _open = match admission {
            Admission::Admitted(open) => Some(open),
            Admission::Refused(refusal) => {
                self.metrics.refused();
                return self.refuse(&endpoint, stream, refusal).await;
            }
        };
        let mut wire = Wire::new(stream, Limits::default(), Arc::clone(&self.settings));
        if let Security::Implicit(tls) = &endpoint.security
            && let Err(error) = wire.start_tls(tls).await
        {
            tracing::info!(%peer, %error, "TLS handshake failed");
            return;
        }
        let _counted = self.metrics.connected();
        let mut session = Session::new(self, endpoint, wire);
        // The span of the connection has its number; who it is, is known later.
        let span = tracing::info_span!("session", user = tracing::field::Empty);
        session.serve().instrument(span).await;
    }

    /// A refused client is told so where that costs no handshake.
    async fn refuse(&self, endpoint: &Endpoint, stream: mailstead_net::Stream, refusal: Refusal) {
        if matches!(endpoint.security, Security::Implicit(_)) {
            return;
        }
        let mut wire = Wire::new(stream, Limits::default(), Arc::clone(&self.settings));
        wire.untagged(match refusal {
            Refusal::Rate => reply::BYE_RATE,
            Refusal::Open => reply::BYE_OPEN,
            _ => reply::BYE_SHUTDOWN,
        });
        wire.close().await;
    }
}

impl Session {
    /// Serves the client to the end, and says goodbye where that is for us to say.
    pub(crate) async fn serve(&mut self) {
        match self.converse().await {
            Close::Logout => tracing::debug!("client logged out"),
            Close::Gone(error) => tracing::debug!(%error, "client gone"),
            Close::Bye(reply) => {
                tracing::info!(reason = %reply.text, "connection ended by us");
                self.wire.untagged(reply);
            }
        }
        self.wire.close().await;
    }

    /// Greets, then answers until the end.
    async fn converse(&mut self) -> Close {
        if !self.server.login.may_try(self.wire.stream().peer_addr().ip()) {
            return Close::Bye(reply::BYE_AUTHENTICATION_RATE);
        }
        // TLS before the greeting is TLS from the first octet. After STARTTLS there is no greeting, so that nobody is ever
        // let in by one that was sent in the clear (RFC 9051 §7.1.4).
        self.tls_established().await;
        let greeting = match self.authenticator.preauthenticate().await {
            Some(user) => {
                self.enter(user);
                reply::PREAUTH
            }
            None => reply::GREETING,
        };
        let capabilities = self.capabilities();
        self.wire.untagged(Reply { code: Some(Code::Capability(capabilities)), ..greeting });
        if let Err(close) = self.wire.flush().await {
            return close;
        }
        let mut first = true;
        let mut mistakes = 0;
        loop {
            let event = match self.next_event().await {
                Ok(event) => event,
                Err(close) => return close,
            };
            let result = match event {
                Event::Command(request) => {
                    mistakes = 0;
                    self.run(request).await
                }
                Event::Append(append) => {
                    mistakes = 0;
                    self.run_append(append).await
                }
                Event::Rejected(Rejection { tag: None, .. }) if first => Err(Close::Bye(reply::BYE_NOT_IMAP)),
                Event::Rejected(rejection) => {
                    mistakes += 1;
                    self.reject(rejection).await.and(if mistakes < MISTAKES {
                        Ok(())
                    } else {
                        Err(Close::Bye(reply::BYE_TOO_MANY_MISTAKES))
                    })
                }
                Event::Fatal(rejection) => Err(self.fatal(rejection).await),
                // The rest only comes while a command that asked for it runs.
                _ => Err(Close::Bye(reply::BYE_INTERNAL)),
            };
            first = false;
            if let Err(close) = result {
                return close;
            }
        }
    }

    /// What the client sends next, unless it takes too long or the server stops.
    async fn next_event(&mut self) -> Result<Event, Close> {
        let wait =
            if self.user.is_some() { self.server.settings.idle_timeout } else { self.server.settings.login_timeout };
        let shutdown = self.server.shutdown.clone();
        match shutdown.or_begun(self.wire.event(Deadline::after(wait))).await {
            Some(event) => event,
            None => Err(Close::Bye(reply::BYE_SHUTDOWN)),
        }
    }

    async fn reject(&mut self, rejection: Rejection) -> Result<(), Close> {
        let Rejection { tag, code, text } = rejection;
        self.server.metrics.command("(rejected)", "BAD");
        self.wire.status(tag, reply::rejected(code, text));
        self.wire.flush().await
    }

    /// A client that cannot be followed any more is told twice: which command, and that this is the end.
    pub(crate) async fn fatal(&mut self, rejection: Rejection) -> Close {
        let text = rejection.text.clone();
        match self.reject(rejection).await {
            Ok(()) => Close::Bye(Reply { text: text.into(), ..reply::BYE_NOT_IMAP }),
            Err(close) => close,
        }
    }

    /// Answers an APPEND that is not to be taken; the client's octets are thrown away, or the connection ends.
    pub(crate) fn refuse_append(&mut self, reply: Reply) -> Interrupt {
        match self.wire.framing.refuse_append() {
            AppendRefusal::GoesOn => Interrupt::Reply(reply),
            AppendRefusal::MustClose => {
                Interrupt::Close(Close::Bye(Reply { condition: reply::BYE_LOGOUT.condition, ..reply }))
            }
        }
    }
}
