//! Fetching the MTA-STS policy of a domain over HTTPS (RFC 8461 §3.3).
//!
//! Whether there is one, and how long it is kept, is decided in `tlspolicy::sts`.

use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::Resolver;
use mailstead_names::{Domain, Host};
use mailstead_net::Dialer;
use mailstead_net::https::{HttpsAnswer, HttpsError, HttpsGet, get};
use mailstead_net::tls::{ClientTls, provider};
use mailstead_runtime::Deadline;
use mailstead_tlspolicy::plan::Enforcement;
use mailstead_tlspolicy::sts::{FetchError, MAX_POLICY, POLICY_LABEL, POLICY_PATH, Policy, PolicyError};
use mailstead_tlspolicy::verify::{Checks, Seen, Verifier};
use rustls::RootCertStore;

const HTTPS: u16 = 443;

/// Fetches policies.
#[derive(Debug, Clone)]
pub struct PolicyFetcher {
    /// Connections to the hosts of policies.
    pub dialer: Arc<dyn Dialer>,
    /// Their addresses.
    pub resolver: Arc<dyn Resolver>,
    /// Whom their certificates are trusted for.
    pub roots: Arc<RootCertStore>,
    /// How long one fetch may take, names and all; RFC 8461 §3.3 suggests a minute.
    pub patience: Duration,
}

impl PolicyFetcher {
    /// The policy of a domain, as its host has it now: `mta-sts.<domain>`, whose certificate must be trusted for this
    /// name. Redirects are not followed, and only a document of type `text/plain` is a policy.
    ///
    /// # Errors
    /// Why there is none to be had.
    pub async fn fetch(&self, domain: &Domain) -> Result<Policy, FetchError> {
        let unreachable = |error: &dyn std::fmt::Display| FetchError::Connection(error.to_string());
        let host = domain.prepend(POLICY_LABEL).map_err(|error| unreachable(&error))?;
        let verifier = verifier(&host, Arc::clone(&self.roots));
        let seen = verifier.seen();
        let tls = ClientTls::with_verifier(Arc::new(verifier)).map_err(|error| unreachable(&error))?;
        let request = HttpsGet { host: &host, port: HTTPS, path: POLICY_PATH, most_octets: MAX_POLICY };
        let deadline = Deadline::after(self.patience);
        match get(&request, &*self.dialer, &*self.resolver, &tls, deadline).await {
            Ok(answer) => policy(&answer),
            Err(error) => Err(failure(&error, &seen)),
        }
    }
}

/// What the connection must prove: PKIX for the host of the policy (RFC 8461 §3.3), and nothing else.
fn verifier(host: &Domain, roots: Arc<RootCertStore>) -> Verifier {
    let name = Host::Domain(host.clone());
    let checks = Checks { roots, name, records: Vec::new(), anchored_names: Vec::new() };
    Verifier::with_checks(checks, Enforcement::Enforce, Enforcement::Record, provider())
}

fn policy(answer: &HttpsAnswer) -> Result<Policy, FetchError> {
    if answer.status != 200 {
        return Err(FetchError::Status(answer.status));
    }
    // RFC 8461 §3.2.
    if answer.media_type().as_deref() != Some("text/plain") {
        return Err(FetchError::MediaType);
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| PolicyError::Line)?;
    Ok(Policy::parse(text)?)
}

fn failure(error: &HttpsError, seen: &Seen) -> FetchError {
    match (error, seen.findings().map(|findings| &findings.pkix)) {
        (HttpsError::Tls(_), Some(Err(failure))) => FetchError::Certificate(failure.clone()),
        (HttpsError::TimedOut, _) => FetchError::Timeout,
        (HttpsError::TooLarge, _) => FetchError::Policy(PolicyError::TooLarge),
        (other, _) => FetchError::Connection(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use mailstead_dns::{LookupErrorKind, Record, RecordType};
    use mailstead_net::Stream;
    use mailstead_net::tls::ServerTls;
    use mailstead_testkit::{Certificates, MemoryDialer, Zones};
    use mailstead_tlspolicy::report::ResultType;
    use mailstead_tlspolicy::sts::Mode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmax_age: 604800\r\n";
    const HOST: &str = "mta-sts.example.org";

    /// The host of the policy of example.org, and one who asks for it.
    struct Setting {
        fetcher: PolicyFetcher,
        tls: ServerTls,
        stream: Stream,
    }

    fn setting(names: &[&str]) -> Setting {
        let dialer = MemoryDialer::new();
        let stream = dialer.expect(SocketAddr::from(([192, 0, 2, 80], HTTPS)));
        let zones = Zones::new().with(HOST, Record::A([192, 0, 2, 80].into()));
        let fetcher = PolicyFetcher {
            dialer,
            resolver: Arc::new(zones),
            roots: Certificates::roots(),
            patience: Duration::from_secs(60),
        };
        Setting { fetcher, tls: Certificates::server(names), stream }
    }

    impl Setting {
        async fn answering(self, answer: &str) -> Result<Policy, FetchError> {
            let Setting { fetcher, tls, mut stream } = self;
            let serving = async move {
                if stream.start_tls(&tls, &[], Deadline::NEVER).await.is_ok() {
                    let mut asked = Vec::new();
                    while !asked.ends_with(b"\r\n\r\n") {
                        assert!(stream.read_buf(&mut asked).await.unwrap() > 0, "a whole request");
                    }
                    assert!(asked.starts_with(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n"));
                    let _ = stream.write_all(answer.as_bytes()).await;
                    stream.close(Deadline::NEVER).await;
                }
            };
            let domain = Domain::parse("example.org").unwrap();
            tokio::join!(fetcher.fetch(&domain), serving).0
        }
    }

    async fn answered(answer: &str) -> Result<Policy, FetchError> {
        setting(&[HOST]).answering(answer).await
    }

    #[tokio::test]
    async fn a_policy() {
        let policy = answered(&format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{POLICY}")).await.unwrap();
        assert_eq!((policy.mode, policy.text.as_str()), (Mode::Enforce, POLICY));
        let type_with_charset = "Content-Type: text/plain; charset=utf-8";
        answered(&format!("HTTP/1.1 200 OK\r\n{type_with_charset}\r\n\r\n{POLICY}")).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_policy() {
        for status in [301, 404, 500, 204] {
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\n\r\n{POLICY}");
            assert_eq!(answered(&answer).await, Err(FetchError::Status(status)));
        }
        for header in ["", "Content-Type: text/html\r\n", "Content-Type: text/plainer\r\n"] {
            let outcome = answered(&format!("HTTP/1.1 200 OK\r\n{header}\r\n{POLICY}")).await;
            assert_eq!(outcome, Err(FetchError::MediaType));
        }
        let text = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}");
        let wrong = answered(&text("mode: enforce")).await;
        assert_eq!(wrong, Err(FetchError::Policy(PolicyError::Version)));
        let long = answered(&text(&"x".repeat(MAX_POLICY + 1))).await;
        assert_eq!(long, Err(FetchError::Policy(PolicyError::TooLarge)));
        let other = answered("220 mx.example.org ESMTP\r\n").await;
        assert!(matches!(other, Err(FetchError::Connection(_))), "{other:?}");
    }

    #[tokio::test]
    async fn a_certificate_for_another_name() {
        let outcome = setting(&["www.example.org"]).answering("").await;
        let Err(FetchError::Certificate(failure)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.reason.result, ResultType::CertificateHostMismatch);
    }

    #[tokio::test]
    async fn a_certificate_of_nobody_we_know() {
        let mut setting = setting(&[HOST]);
        setting.fetcher.roots = Arc::new(RootCertStore::empty());
        let outcome = setting.answering("").await;
        let Err(FetchError::Certificate(failure)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.reason.result, ResultType::CertificateNotTrusted);
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_do_not_answer() {
        let domain = Domain::parse("example.org").unwrap();
        let Setting { fetcher, stream: _silent, .. } = setting(&[HOST]);
        assert_eq!(fetcher.fetch(&domain).await, Err(FetchError::Timeout));
        // Nobody listens a second time.
        let refused = fetcher.fetch(&domain).await;
        assert!(matches!(refused, Err(FetchError::Connection(_))), "{refused:?}");
        let failing = Zones::new().failing(HOST, RecordType::A, LookupErrorKind::Bogus);
        let unknown = PolicyFetcher { resolver: Arc::new(failing), ..fetcher }.fetch(&domain).await;
        assert!(matches!(&unknown, Err(FetchError::Connection(why)) if why.contains("DNSSEC")), "{unknown:?}");
    }
}
