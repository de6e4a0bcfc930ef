//! Before and around login: STARTTLS, AUTHENTICATE, LOGIN, ID, ENABLE.
//!
//! RFC 9051 §6.2, §6.3.1; RFC 4959 (initial response); RFC 2971 (ID); RFC 5161 (ENABLE). Who may log in, how failures are slowed down
//! and recorded, is decided in `mailstead-login`.

use std::borrow::Cow;

use mailstead_imap::Response;
use mailstead_imap::command::Tag;
use mailstead_names::Secret;

use crate::reply::{self, Close, Interrupt, Outcome, Reply};
use crate::session::{Session, User};

/// Octets of an ID that are kept for the log of logins.
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
        self.client_id = None;
        Err(Interrupt::Answered)
    }

    pub(crate) fn mechanisms(&self) -> Vec<&'static str> {
        Vec::new()
    }

    pub(crate) async fn authenticate(&mut self, _mechanism: &str, _initial: Option<Secret<Vec<u8>>>) -> Outcome {
        Ok(reply::MECHANISM_UNSUPPORTED)
    }

    pub(crate) async fn login(&mut self, _user: String, _password: Secret<String>) -> Outcome {
        if !self.may_send_password() {
            return Ok(reply::PRIVACY_REQUIRED);
        }
        Ok(reply::AUTHENTICATION_FAILED)
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
            self.client_id = Some(text.chars().take(CLIENT_ID).collect());
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
