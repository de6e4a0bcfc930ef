//! What an SMTP server is like.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::Resolver;
use mailstead_names::{EhloName, Host};
use mailstead_net::{AddressPolicy, Dialer, DirectDialer, Stream, Target};
use mailstead_runtime::Deadline;
use mailstead_tlspolicy::verify::Checks;
use rustls::RootCertStore;
use serde_json::json;

use super::conversation::{Conversation, Secured, handshake, plain};
use super::options::transport::{Server, SmtpCommand, TlsBegins};
use super::{Finding, resolver};
use crate::failure::Failure;

/// For all that is said on one connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// For connecting to one address.
const DIAL: Duration = Duration::from_secs(30);

/// `mailstead smtp`.
pub(crate) async fn run(command: SmtpCommand) -> Result<(), Failure> {
    let SmtpCommand::Dial { server, tls, helo, trust, asking } = command;
    let roots = trust.roots()?;
    let port = server.port.unwrap_or(if tls == TlsBegins::Immediate { 465 } else { 25 });
    let Server { host, .. } = server;
    let addresses = match &host {
        Host::Ip(ip) => vec![*ip],
        Host::Domain(_) => addresses(&resolver(&asking.source).await?, &host).await?,
    };
    // The operator names the server: no address is forbidden.
    let dialer = DirectDialer::new(AddressPolicy::Any);
    let dialled = Dialling { host: &host, tls, helo, roots }.dial(&dialer, &addresses, port).await;
    shown(&host, &dialled).show(asking.json)?;
    dialled.trouble.map_or(Ok(()), |trouble| Err(Failure::new(trouble)))
}

async fn addresses(resolver: &dyn Resolver, host: &Host) -> Result<Vec<IpAddr>, Failure> {
    let Host::Domain(domain) = host else { return Ok(Vec::new()) };
    let answer = resolver.addresses(domain).await.map_err(|error| Failure::new(error.to_string()))?;
    if answer.records.is_empty() {
        return Err(Failure::new(format!("{domain} has no address")));
    }
    Ok(answer.records)
}

/// How to talk with a server.
struct Dialling<'a> {
    host: &'a Host,
    tls: TlsBegins,
    helo: Option<EhloName>,
    roots: Arc<RootCertStore>,
}

/// How far it came.
#[derive(Debug, Default)]
struct Dialled {
    /// Addresses that cannot be connected to, and why.
    unreachable: Vec<(IpAddr, String)>,
    /// The one that can.
    address: Option<SocketAddr>,
    /// Code and text.
    greeting: Option<(u16, String)>,
    /// What was offered without TLS.
    offered_in_the_clear: Option<Vec<String>>,
    tls: Option<Secured>,
    /// What was offered with TLS.
    offered_with_tls: Option<Vec<String>>,
    /// Why it came no farther.
    trouble: Option<String>,
}

impl Dialling<'_> {
    /// Talks with the first address that can be connected to.
    async fn dial(self, dialer: &dyn Dialer, addresses: &[IpAddr], port: u16) -> Dialled {
        let mut dialled = Dialled::default();
        for ip in addresses {
            let address = SocketAddr::new(*ip, port);
            match dialer.dial(Target::from(address), Deadline::after(DIAL)).await {
                Ok(stream) => {
                    dialled.address = Some(address);
                    dialled.trouble = self.talk(stream, &mut dialled).await.err();
                    return dialled;
                }
                Err(error) => dialled.unreachable.push((*ip, error.to_string())),
            }
        }
        dialled.trouble = Some(format!("no connection to {} on port {port}", plain(self.host)));
        dialled
    }

    async fn talk(&self, mut stream: Stream, dialled: &mut Dialled) -> Result<(), String> {
        let deadline = Deadline::after(PATIENCE);
        if self.tls == TlsBegins::Immediate {
            dialled.tls = Some(handshake(&mut stream, self.checks(), self.host, deadline).await?);
        }
        let helo = self.helo.clone().unwrap_or_else(|| EhloName::Literal(stream.local_addr().ip()));
        let mut conversation = Conversation::new(stream, helo, deadline);
        let greeted = conversation.greeted().await;
        dialled.greeting = conversation.session.greeting().map(|reply| (reply.code, reply.text()));
        greeted?;
        let offered = Some(conversation.extensions());
        if dialled.tls.is_some() {
            dialled.offered_with_tls = offered;
        } else {
            dialled.offered_in_the_clear = offered;
        }
        if self.tls == TlsBegins::Starttls {
            let outcome = self.start_tls(&mut conversation, dialled).await;
            conversation.quit().await;
            return outcome;
        }
        conversation.quit().await;
        Ok(())
    }

    async fn start_tls(&self, conversation: &mut Conversation, dialled: &mut Dialled) -> Result<(), String> {
        dialled.tls = Some(conversation.start_tls(self.checks(), self.host).await?);
        conversation.greeted().await?;
        dialled.offered_with_tls = Some(conversation.extensions());
        Ok(())
    }

    /// PKIX for the name of the host, and nothing else.
    fn checks(&self) -> Checks {
        let roots = Arc::clone(&self.roots);
        Checks { roots, name: self.host.clone(), records: Vec::new(), anchored_names: Vec::new() }
    }
}

fn shown(host: &Host, dialled: &Dialled) -> Finding {
    let result = match (&dialled.trouble, dialled.address) {
        (None, _) => "good",
        (Some(_), None) => "unreachable",
        (Some(_), Some(_)) => "failed",
    };
    let tls = dialled.tls.as_ref().map_or_else(|| "without TLS".to_owned(), Secured::in_words);
    let place = dialled.address.map(|address| format!(" at {address}, {tls}")).unwrap_or_default();
    let mut finding = Finding::new(format!("{result}: {}{place}", plain(host)));
    finding.put("result", json!(result));
    finding.put("host", json!(plain(host)));
    finding.put("address", json!(dialled.address.map(|address| address.to_string())));
    finding.reasons(dialled.trouble.clone());
    let mut unreachable = Vec::new();
    for (ip, why) in &dialled.unreachable {
        finding.line(format_args!("no connection to {ip}: {why}"));
        unreachable.push(json!({ "address": ip.to_string(), "detail": why }));
    }
    finding.put("unreachable", json!(unreachable));
    if let Some((code, text)) = &dialled.greeting {
        finding.line(format_args!("greeting: {code} {text}"));
    }
    let greeting = dialled.greeting.as_ref().map(|(code, text)| json!({ "code": code, "text": text }));
    finding.put("greeting", json!(greeting));
    offered(&mut finding, "offered_in_the_clear", "offers in the clear", dialled.offered_in_the_clear.as_deref());
    if let Some(tls) = &dialled.tls {
        finding.line(format_args!("certificate: {}", tls.pkix_in_words(host)));
    }
    finding.put("tls", json!(dialled.tls.as_ref().map(Secured::json)));
    offered(&mut finding, "offered_with_tls", "offers with TLS", dialled.offered_with_tls.as_deref());
    finding
}

fn offered(finding: &mut Finding, key: &str, words: &str, extensions: Option<&[String]>) {
    match extensions {
        Some([]) => finding.line(format_args!("{words}: no extensions")),
        Some(extensions) => finding.line(format_args!("{words}: {}", extensions.join(", "))),
        None => {}
    }
    finding.put(key, json!(extensions));
}

#[cfg(test)]
mod tests {
    use mailstead_names::Domain;
    use mailstead_testkit::{Certificates, MemoryDialer, ScriptedPeer};

    use super::*;

    const NAME: &str = "mx.example.org";
    const HELLO: &str = "S: 220 mx.example.org ESMTP ready
        C: EHLO client.example
        S: 250-mx.example.org
        S: 250-PIPELINING
        S: 250-SIZE 1000000
        S: 250 STARTTLS";
    const HELLO_AGAIN: &str = "C: EHLO client.example
        S: 250-mx.example.org
        S: 250-REQUIRETLS
        S: 250 AUTH PLAIN SCRAM-SHA-256-PLUS
        C: QUIT
        S: 221 bye";

    fn host() -> Host {
        Host::Domain(Domain::parse(NAME).unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// What is seen of a server that plays the first script and, if there is a second, changes to TLS before it.
    async fn seen(tls: TlsBegins, clear: &str, secured: Option<&str>, names: &[&str]) -> Finding {
        let (dialer, host) = (MemoryDialer::new(), host());
        let stream = dialer.expect("192.0.2.25:25".parse().unwrap());
        let server = Certificates::server(names);
        let playing = async move {
            let mut peer = ScriptedPeer::new(stream);
            peer.play(clear).await;
            if let Some(script) = secured {
                peer.start_tls(&server).await;
                peer.play(script).await;
            }
        };
        let helo = Some(EhloName::parse("client.example"));
        let dialling = Dialling { host: &host, tls, helo, roots: Certificates::roots() };
        let addresses = [ip("192.0.2.24"), ip("192.0.2.25")];
        let (dialled, ()) = tokio::join!(dialling.dial(&*dialer, &addresses, 25), playing);
        shown(&host, &dialled)
    }

    fn with_starttls() -> String {
        format!("{HELLO}\nC: STARTTLS\nS: 220 go on")
    }

    #[tokio::test]
    async fn before_and_after_starttls() {
        let finding = seen(TlsBegins::Starttls, &with_starttls(), Some(HELLO_AGAIN), &[NAME]).await;
        insta::assert_snapshot!(finding.text);
        insta::assert_snapshot!(serde_json::to_string_pretty(&finding.json).unwrap());
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_told_and_no_failure() {
        let finding = seen(TlsBegins::Starttls, &with_starttls(), Some(HELLO_AGAIN), &["www.example.org"]).await;
        assert_eq!((&finding.json["result"], &finding.json["tls"]["pkix"]["holds"]), (&json!("good"), &json!(false)));
        assert_eq!(finding.json["tls"]["pkix"]["reason"], "certificate-host-mismatch");
        assert!(finding.text.contains("\n  certificate: not trusted for mx.example.org: "), "{}", finding.text);
    }

    #[tokio::test]
    async fn immediate_tls_and_none() {
        let hello = format!("{HELLO}\nC: QUIT\nS: 221 bye");
        let finding = seen(TlsBegins::Immediate, "", Some(&hello), &[NAME]).await;
        assert!(finding.text.starts_with("good: mx.example.org at 192.0.2.25:25, TLSv1.3 with TLS_AES_"));
        assert_eq!(finding.json["offered_in_the_clear"], serde_json::Value::Null);
        assert_eq!(finding.json["offered_with_tls"], json!(["PIPELINING", "SIZE 1000000", "STARTTLS"]));
        let finding = seen(TlsBegins::None, &hello, None, &[NAME]).await;
        insta::assert_snapshot!(finding.text);
    }

    #[tokio::test]
    async fn what_may_go_wrong() {
        let mut texts = Vec::new();
        for script in [
            "S: 554 5.7.1 not you",
            "S: 220 mx.example.org\nC: EHLO client.example\nS: 250 mx.example.org\nC: QUIT\nS: 221 bye",
            &format!("{HELLO}\nC: STARTTLS\nS: 454 4.7.0 not now\nC: QUIT\nS: 221 bye"),
        ] {
            let finding = seen(TlsBegins::Starttls, script, None, &[NAME]).await;
            assert_eq!(finding.json["result"], "failed", "{}", finding.text);
            texts.push(finding.text);
        }
        let broken = seen(TlsBegins::Starttls, &format!("{}\nS: <close>", with_starttls()), None, &[NAME]).await;
        assert_eq!(broken.json["result"], "failed");
        assert!(broken.text.contains("\n  reason: TLS handshake: "), "{}", broken.text);
        let (dialer, host) = (MemoryDialer::new(), Host::Ip(ip("2001:db8::25")));
        let dialling = Dialling { host: &host, tls: TlsBegins::None, helo: None, roots: Certificates::roots() };
        let finding = shown(&host, &dialling.dial(&*dialer, &[ip("2001:db8::25")], 25).await);
        assert_eq!(finding.json["result"], "unreachable");
        texts.push(finding.text);
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
