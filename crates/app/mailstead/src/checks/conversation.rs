//! As much of an SMTP session as it takes to see what a server is like: greeting, EHLO, STARTTLS, QUIT.

use std::sync::Arc;
use std::time::Duration;

use mailstead_names::{EhloName, Host};
use mailstead_net::Stream;
use mailstead_net::tls::{ClientTls, TlsFacts, provider, server_name};
use mailstead_runtime::Deadline;
use mailstead_smtp::Extension;
use mailstead_smtp::client::{Event, Session};
use mailstead_tlspolicy::plan::Enforcement;
use mailstead_tlspolicy::verify::{CertificateFailure, Checks, Findings, Verifier};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// For a goodbye.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// TLS that came about, whatever the certificate.
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) facts: TlsFacts,
    pub(super) findings: Findings,
}

impl Secured {
    /// Such as `TLSv1.3 with TLS_AES_256_GCM_SHA384`.
    pub(super) fn in_words(&self) -> String {
        format!("{} with {}", self.facts.version, self.facts.cipher_suite)
    }

    /// The members for programs: what was negotiated, and what PKIX says of the certificate.
    pub(super) fn json(&self) -> Value {
        json!({
            "version": self.facts.version,
            "cipher_suite": self.facts.cipher_suite,
            "pkix": failure_json(self.findings.pkix.as_ref().err()),
        })
    }

    /// What PKIX says of the certificate.
    pub(super) fn pkix_in_words(&self, name: &Host) -> String {
        let name = plain(name);
        match &self.findings.pkix {
            Ok(()) => format!("trusted for {name}"),
            Err(failure) => format!("not trusted for {name}: {}", failure_in_words(failure)),
        }
    }
}

/// Such as `invalid peer certificate: Expired (certificate-expired)`.
pub(super) fn failure_in_words(failure: &CertificateFailure) -> String {
    format!("{} [{}]", failure.detail, failure.reason)
}

/// Whether a check holds, and why not.
pub(super) fn failure_json(failure: Option<&CertificateFailure>) -> Value {
    json!({
        "holds": failure.is_none(),
        "reason": failure.map(|failure| failure.reason.to_string()),
        "detail": failure.map(|failure| failure.detail.as_str()),
    })
}

/// A host as people write it, without the brackets that addresses have in mail.
pub(super) fn plain(host: &Host) -> String {
    match host {
        Host::Domain(domain) => domain.to_string(),
        Host::Ip(ip) => ip.to_string(),
    }
}

/// Takes the client's side of a handshake in which nothing is enforced, so that everything can be told. `name` is asked
/// for in SNI.
pub(super) async fn handshake(
    stream: &mut Stream,
    checks: Checks,
    name: &Host,
    deadline: Deadline,
) -> Result<Secured, String> {
    let name = server_name(name).map_err(|error| error.to_string())?;
    let verifier = Verifier::with_checks(checks, Enforcement::Record, Enforcement::Record, provider());
    let seen = verifier.seen();
    let tls = ClientTls::with_verifier(Arc::new(verifier)).map_err(|error| error.to_string())?;
    let facts = stream.connect_tls(&tls, name, &[], deadline).await.map_err(|error| error.to_string())?.clone();
    let findings = seen.findings().cloned().ok_or("the server showed no certificate")?;
    Ok(Secured { facts, findings })
}

/// A session on a connection.
#[derive(Debug)]
pub(super) struct Conversation {
    stream: Stream,
    pub(super) session: Session,
    deadline: Deadline,
}

impl Conversation {
    /// A session on this connection, in which we are so called; nothing has been said.
    pub(super) fn new(mut stream: Stream, name: EhloName, deadline: Deadline) -> Conversation {
        stream.set_deadline(deadline);
        Conversation { stream, session: Session::new(name), deadline }
    }

    /// Awaits the greeting, except after STARTTLS, and the reply to EHLO.
    pub(super) async fn greeted(&mut self) -> Result<(), String> {
        match self.event().await {
            Event::Ready => Ok(()),
            other => Err(in_words(&other)),
        }
    }

    /// Changes to TLS; then [`Conversation::greeted`] is to be called again.
    pub(super) async fn start_tls(&mut self, checks: Checks, name: &Host) -> Result<Secured, String> {
        if !self.session.extensions().contains(&Extension::StartTls) {
            return Err("the server does not offer STARTTLS".to_owned());
        }
        self.session.start_tls().map_err(|error| error.to_string())?;
        match self.event().await {
            Event::StartTls => {}
            Event::StartTlsRefused(reply) => return Err(format!("the server refused STARTTLS: {reply}")),
            other => return Err(in_words(&other)),
        }
        let secured = handshake(&mut self.stream, checks, name, self.deadline).await?;
        self.session.tls_established();
        Ok(secured)
    }

    /// What the server offers now.
    pub(super) fn extensions(&self) -> Vec<String> {
        self.session.extensions().iter().map(ToString::to_string).collect()
    }

    /// Says goodbye, and does not insist.
    pub(super) async fn quit(mut self) {
        self.deadline = self.deadline.earlier(Deadline::after(LAST_WORDS));
        self.stream.set_deadline(self.deadline);
        if self.session.quit().is_ok() {
            let _ = self.event().await;
        }
        self.stream.close(self.deadline).await;
    }

    async fn event(&mut self) -> Event {
        let mut buffer = Vec::with_capacity(4096);
        loop {
            let event = self.session.next_event();
            let output = self.session.take_output();
            let sent = async {
                self.stream.write_all(&output).await?;
                self.stream.flush().await
            };
            if let Err(error) = sent.await {
                self.session.lost(error.to_string());
            }
            if let Some(event) = event {
                return event;
            }
            buffer.clear();
            match self.stream.read_buf(&mut buffer).await {
                Ok(0) => self.session.lost("closed by the server"),
                Ok(_) => self.session.receive(&buffer),
                Err(error) => self.session.lost(error.to_string()),
            }
        }
    }
}

/// An event that ends a conversation.
fn in_words(event: &Event) -> String {
    match event {
        Event::Failed(error) => error.to_string(),
        _ => "the server does not follow the protocol".to_owned(),
    }
}
