//! Before and around login: STARTTLS, AUTHENTICATE, LOGIN, ID, ENABLE.
//!
//! RFC 9051 §6.2, §6.3.1; RFC 4959 (initial response); RFC 2971 (ID); RFC 5161 (ENABLE). Who may log in, how failures
//! are slowed down and recorded, is decided in `mailstead-login`.

use std::borrow::Cow;

use mailstead_imap::Response;
use mailstead_imap::command::Tag;
use mailstead_imap::server::{AuthenticateLine, Event};
use mailstead_login::{Refusal, Step};
use mailstead_names::Secret;
use mailstead_runtime::Deadline;
use mailstead_sasl::Mechanism;

use crate::reply::{self, Close, Interrupt, Outcome, Reply};
use crate::session::{Session, User};

/// A connection that has failed so often is guessing.
const FAILURES: u32 = 10;
/// Characters of an ID that are kept for the log of logins.
const CLIENT_ID: usize = 200;

impl Session {
    pub(crate) async fn start_tls(&mut self, tag: &Tag) -> Outcome {
        if self.wire.stream().tls().is_some() {
            return Ok(reply::TLS_ACTIVE);
        }
        let Some(tls) = self.tls_to_start().cloned() else { return Ok(reply::NO_TLS) };
        self.wire.complete(tag.clone(), reply::START_TLS);
        self.wire.flush().await?;
        if let Err(error) = self.wire.start_tls(&tls).await {
            return Err(Interrupt::Close(Close::Gone(std::io::Error::other(error))));
        }
        // RFC 9051 §6.2.1: nothing that was learned before TLS counts.
        self.tls_established().await;
        self.authenticator.peer.client = String::new();
        Err(Interrupt::Answered)
    }

    /// After a handshake: the room where logins are decided must know of it.
    pub(crate) async fn tls_established(&mut self) {
        if let Some(facts) = self.wire.stream().tls().cloned() {
            self.authenticator.tls_established(facts).await;
        }
    }

    /// The mechanisms to announce: those that work here, without LOGIN, for which IMAP has a command.
    pub(crate) fn mechanisms(&self) -> Vec<Mechanism> {
        self.authenticator.offered().into_iter().filter(|mechanism| *mechanism != Mechanism::Login).collect()
    }

    /// Whether the LOGIN command works as things are (RFC 9051 §11.3).
    pub(crate) fn may_send_password(&self) -> bool {
        self.authenticator.offered().contains(&Mechanism::Plain)
    }

    pub(crate) async fn authenticate(&mut self, mechanism: &str, initial: Option<Secret<Vec<u8>>>) -> Outcome {
        let mut step = if mechanism == Mechanism::Login.name() {
            Step::Done(Err(Refusal::Mechanism))
        } else {
            self.authenticator.start(mechanism, initial.as_ref().map(|octets| octets.expose().as_slice())).await
        };
        loop {
            let challenge = match step {
                Step::Done(result) => return self.admit(result),
                Step::Challenge(challenge) => challenge,
            };
            self.wire.continue_with(&challenge);
            self.wire.flush().await?;
            self.wire.framing.expect_authenticate_line();
            let deadline = Deadline::after(self.server.settings.login_timeout);
            step = match self.wire.event(deadline).await {
                Ok(Event::AuthenticateLine(AuthenticateLine::Data(response))) => {
                    self.authenticator.respond(response.expose()).await
                }
                Ok(Event::AuthenticateLine(AuthenticateLine::Cancelled)) => {
                    self.authenticator.abort().await;
                    return Ok(reply::AUTHENTICATION_CANCELLED);
                }
                Ok(Event::AuthenticateLine(AuthenticateLine::Invalid) | Event::Rejected(_)) => {
                    self.authenticator.abort().await;
                    return Ok(reply::AUTHENTICATION_MALFORMED);
                }
                Ok(_) => return Err(Interrupt::Close(Close::Bye(reply::BYE_INTERNAL))),
                Err(close) => {
                    self.authenticator.abort().await;
                    return Err(close.into());
                }
            };
        }
    }

    pub(crate) async fn login(&mut self, user: String, password: Secret<String>) -> Outcome {
        let result = self.authenticator.password(&user, &password).await;
        self.admit(result)
    }

    /// The end of an attempt to log in.
    fn admit(&mut self, result: Result<mailstead_login::User, Refusal>) -> Outcome {
        match result {
            Ok(user) => {
                self.enter(user);
                Ok(reply::logged_in(self.capabilities()))
            }
            Err(Refusal::TooManyFailures) => Err(Interrupt::Close(Close::Bye(reply::BYE_AUTHENTICATION_RATE))),
            Err(_) if self.authenticator.failures() >= FAILURES => {
                Err(Interrupt::Close(Close::Bye(reply::BYE_TOO_MANY_FAILURES)))
            }
            Err(refusal) => Ok(refusal.into()),
        }
    }

    /// From now on this user's.
    pub(crate) fn enter(&mut self, user: mailstead_login::User) {
        tracing::Span::current().record("user", user.name.as_str());
        self.wire.be_patient();
        self.user = Some(User { notices: user.account.notices(), account: user.account });
    }

    /// RFC 2971. The version is nobody's business before login.
    pub(crate) fn id(&mut self, parameters: Option<Vec<(String, Option<String>)>>) -> Reply {
        if let Some(parameters) = parameters {
            let mut text = String::new();
            for (name, value) in &parameters {
                let value = value.as_deref().unwrap_or_default();
                text.extend(format!("{name}={value} ").chars().filter(|c| !c.is_control()));
            }
            tracing::info!(client = text.trim_end(), "client identification");
            self.authenticator.peer.client = text.trim_end().chars().take(CLIENT_ID).collect();
        }
        let mut ours: Vec<(Cow<'static, str>, Option<Cow<'static, str>>)> =
            vec![("name".into(), Some("Mailstead".into()))];
        if self.user.is_some() {
            ours.push(("version".into(), Some(env!("CARGO_PKG_VERSION").into())));
        }
        self.wire.send(&Response::Id(Some(ours)));
        reply::ok("ID completed")
    }

    /// RFC 5161: what is known and can be enabled is; the rest is ignored.
    pub(crate) fn enable(&mut self, names: &[String]) -> Reply {
        let mut enabled = Vec::new();
        let condstore = self.enabled.condstore;
        for name in names {
            let known = match name.as_str() {
                "IMAP4REV2" => ("IMAP4rev2", &mut self.enabled.rev2),
                "UTF8=ACCEPT" => ("UTF8=ACCEPT", &mut self.enabled.utf8),
                "CONDSTORE" => ("CONDSTORE", &mut self.enabled.condstore),
                "QRESYNC" => ("QRESYNC", &mut self.enabled.qresync),
                _ => continue,
            };
            let (name, flag) = known;
            *flag = true;
            if !enabled.contains(&Cow::Borrowed(name)) {
                enabled.push(Cow::Borrowed(name));
            }
        }
        if self.enabled.rev2 || self.enabled.utf8 {
            self.wire.use_utf8();
        }
        self.wire.send(&Response::Enabled(enabled));
        if self.enabled.qresync || self.enabled.condstore && !condstore {
            // RFC 7162 §3.2.3: QRESYNC is a CONDSTORE enabling command, too.
            self.enabled.condstore = condstore;
            self.enable_condstore();
        }
        reply::ok("ENABLE completed")
    }
}
