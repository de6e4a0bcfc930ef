//! Servers in memory and what their records say; each test names what is other than in [`world`].

use std::net::SocketAddr;
use std::sync::Arc;

use mailstead_dns::{LookupErrorKind, Mx, Record, RecordType, Target};
use mailstead_names::Domain;
use mailstead_net::tls::{ServerTls, SessionTickets, UnknownName};
use mailstead_net::{Identity, Stream};
use mailstead_runtime::Deadline;
use mailstead_testkit::{Certificates, MemoryDialer, ScriptedPeer, Zones};
use mailstead_tlspolicy::verify::record_for;
use rustls::RootCertStore;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::dial::{Dialling, Seen, Verdict};
use super::mx::Mail;
use super::report::shown;
use crate::checks::Finding;
use crate::checks::options::transport::StartTls;

const HOST: &str = "www.example.org";
const PLACE: &str = "_443._tcp.www.example.org";
const FIRST: &str = "192.0.2.1:443";
const SECOND: &str = "192.0.2.2:443";

/// A host, and one who connects to it.
struct World {
    zones: Zones,
    identity: Identity,
    dialling: Dialling,
}

/// DNSSEC proves the address of the host and that it has no records yet; the certificate is trusted and for its name.
fn world() -> World {
    let dialling = Dialling {
        host: Domain::parse(HOST).unwrap(),
        port: 443,
        usages: vec![0, 1, 2, 3],
        starttls: StartTls::None,
        roots: Certificates::roots(),
    };
    let zones = Zones::new().with(HOST, Record::A([192, 0, 2, 1].into())).secure("example.org");
    World { zones, identity: Certificates::identity(&[HOST]), dialling }
}

/// A record for the key of a certificate.
fn tlsa(identity: &Identity, usage: u8, matching_type: u8) -> Record {
    Record::Tlsa(record_for(&identity.chain()[0], usage, 1, matching_type).unwrap())
}

impl World {
    fn with(self, name: &str, record: Record) -> World {
        World { zones: self.zones.with(name, record), ..self }
    }

    /// With the record for its certificate.
    fn with_match(self) -> World {
        let record = tlsa(&self.identity, 3, 1);
        self.with(PLACE, record)
    }

    /// What is seen where servers with this certificate are at these addresses.
    async fn seen(self, served: &[&str]) -> (Dialling, Seen) {
        let servers = served.iter().map(|address| (*address, None)).collect::<Vec<_>>();
        self.seen_with(&servers).await
    }

    /// The same where some of the servers have a certificate of their own.
    async fn seen_with(self, served: &[(&str, Option<&Identity>)]) -> (Dialling, Seen) {
        let (dialer, World { zones, identity, dialling }) = (MemoryDialer::new(), self);
        let servers: Vec<(Stream, ServerTls)> = served
            .iter()
            .map(|(address, own)| {
                let tls = ServerTls::new(
                    std::slice::from_ref(own.unwrap_or(&identity)),
                    SessionTickets::Off,
                    UnknownName::Fallback,
                );
                (dialer.expect(address.parse::<SocketAddr>().unwrap()), tls.unwrap())
            })
            .collect();
        let smtp = dialling.starttls == StartTls::Smtp;
        let serving = async move {
            for (stream, tls) in servers {
                if smtp { serve_smtp(stream, &tls).await } else { serve(stream, &tls).await }
            }
        };
        let (seen, ()) = tokio::join!(dialling.dial(&zones, &*dialer), serving);
        (dialling, seen)
    }

    async fn verdict(self, served: &[&str]) -> (Verdict, String) {
        let (_, seen) = self.seen(served).await;
        (seen.verdict(), seen.objection().unwrap_or_default())
    }
}

async fn serve(mut stream: Stream, tls: &ServerTls) {
    if stream.start_tls(tls, &[], Deadline::NEVER).await.is_ok() {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

async fn serve_smtp(stream: Stream, tls: &ServerTls) {
    let mut peer = ScriptedPeer::new(stream);
    peer.play("S: 220 hello\nC: *\nS: 250-hello\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go on").await;
    peer.start_tls(tls).await;
    peer.play("C: *\nS: 250 hello\nC: QUIT\nS: 221 bye").await;
}

/// Keys are new each time.
fn without_digests(text: &str) -> String {
    let is_long = |word: &str| word.len() >= 64 && word.bytes().all(|octet| octet.is_ascii_hexdigit());
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|word| {
        let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len();
        let (inner, delimiter) = word.split_at(end);
        if is_long(inner) { format!("<{} digits>{delimiter}", inner.len()) } else { word.to_owned() }
    });
    words.collect()
}

#[tokio::test]
async fn a_match_in_words_and_as_an_object() {
    let world = world();
    let records = [
        tlsa(&world.identity, 3, 1),
        tlsa(&world.identity, 3, 2),
        tlsa(&world.identity, 1, 1),
        Record::Tlsa(mailstead_dns::Tlsa { usage: 3, selector: 1, matching_type: 1, data: vec![1, 2] }),
        Record::Tlsa(mailstead_dns::Tlsa { usage: 4, selector: 1, matching_type: 1, data: vec![0; 32] }),
    ];
    let mut world = records.into_iter().fold(world, |world, record| world.with(PLACE, record));
    world.dialling.usages = vec![2, 3];
    let (dialling, seen) = world.seen(&[FIRST]).await;
    let finding = shown(&dialling, &seen);
    insta::assert_snapshot!(without_digests(&finding.text));
    insta::assert_snapshot!(without_digests(&serde_json::to_string_pretty(&finding.json).unwrap()));
}

#[tokio::test]
async fn another_certificate_does_not_match() {
    let other = Certificates::identity(&[HOST]);
    let (dialling, seen) = world().with(PLACE, tlsa(&other, 3, 1)).seen(&[FIRST]).await;
    assert_eq!(seen.objection().as_deref(), Some("192.0.2.1: no TLSA record matches a certificate of the server"));
    let finding = shown(&dialling, &seen);
    assert_eq!(finding.json["connections"][0]["dane"]["reason"], "validation-failure (dane-no-match)");
    insta::assert_snapshot!(without_digests(&finding.text));
}

#[tokio::test]
async fn dane_ee_needs_no_authority_and_pkix_ee_does() {
    let mut unknown = world().with_match();
    unknown.dialling.roots = Arc::new(RootCertStore::empty());
    let (dialling, seen) = unknown.seen(&[FIRST]).await;
    assert_eq!(seen.verdict(), Verdict::Match);
    let finding = shown(&dialling, &seen);
    assert!(finding.text.contains("\n    PKIX: not trusted for www.example.org: "), "{}", finding.text);

    for (roots, expected) in
        [(Certificates::roots(), Verdict::Match), (Arc::new(RootCertStore::empty()), Verdict::NoMatch)]
    {
        let mut pkix = world();
        pkix.dialling.roots = roots;
        let record = tlsa(&pkix.identity, 1, 1);
        let (verdict, why) = pkix.with(PLACE, record).verdict(&[FIRST]).await;
        assert_eq!(verdict, expected, "{why}");
    }
}

#[tokio::test]
async fn a_secure_alias_has_the_records_first() {
    let alias = |world: World| {
        let target = "host.example.net";
        let zones = Zones::new().with_alias(HOST, target).with(target, Record::A([192, 0, 2, 1].into()));
        World { zones: zones.secure("example.org"), ..world }
    };
    let secure = alias(world());
    let record = tlsa(&secure.identity, 3, 1);
    let secure = World { zones: secure.zones.secure("example.net"), ..secure };
    let (dialling, seen) = secure.with("_443._tcp.host.example.net", record).seen(&[FIRST]).await;
    let finding = shown(&dialling, &seen);
    assert_eq!((seen.verdict(), &finding.json["tlsa_base_domain"]), (Verdict::Match, &json!("host.example.net")));
    assert!(finding.text.contains("\n  www.example.org is an alias of host.example.net, with dnssec\n"));

    // An insecure one counts as none: only the name itself may have records.
    let insecure = alias(world()).with_match();
    let (dialling, seen) = insecure.seen(&[FIRST]).await;
    let finding = shown(&dialling, &seen);
    assert_eq!((seen.verdict(), &finding.json["tlsa_base_domain"]), (Verdict::Match, &json!(HOST)));
    assert_eq!(finding.json["dnssec"], "insecure");
}

#[tokio::test]
async fn where_dnssec_does_not_help() {
    let address = || Zones::new().with(HOST, Record::A([192, 0, 2, 1].into()));
    let mut texts = Vec::new();
    for (zones, expected) in [
        (Zones::new().secure("example.org"), Verdict::Unreachable),
        (address().failing(HOST, RecordType::A, LookupErrorKind::Bogus), Verdict::Unknown),
        (address(), Verdict::Insecure),
        (address().secure("example.org"), Verdict::NoRecords),
        (address().secure("example.org").failing(PLACE, RecordType::Tlsa, LookupErrorKind::Bogus), Verdict::Unknown),
        (address().secure("www.example.org").with_alias(PLACE, "tlsa.example.net"), Verdict::NoRecords),
        (
            address()
                .secure("www.example.org")
                .with_alias(PLACE, "tlsa.example.net")
                .with("tlsa.example.net", tlsa(&world().identity, 3, 1)),
            Verdict::Insecure,
        ),
    ] {
        let (dialling, seen) = World { zones, ..world() }.seen(&[]).await;
        assert_eq!(seen.verdict(), expected);
        let finding = shown(&dialling, &seen);
        assert_eq!((&finding.json["result"], &finding.json["connections"]), (&json!(expected.as_str()), &json!([])));
        texts.push(without_digests(&finding.text));
    }
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[tokio::test]
async fn records_that_cannot_be_used() {
    let mut world = world().with_match();
    world.dialling.usages = vec![0, 1, 2];
    let (verdict, why) = world.verdict(&[]).await;
    assert_eq!((verdict, why.as_str()), (Verdict::Unusable, "none of the TLSA records can be used"));
}

#[tokio::test]
async fn every_address_that_can_be_connected_to_must_match() {
    let world = || world().with_match().with(HOST, Record::A([192, 0, 2, 2].into()));
    assert_eq!(world().verdict(&[FIRST, SECOND]).await.0, Verdict::Match);
    assert_eq!(world().verdict(&[SECOND]).await.0, Verdict::Match);
    let (verdict, why) = world().verdict(&[]).await;
    assert_eq!((verdict, why.as_str()), (Verdict::Unreachable, "no address of the host can be connected to"));
    let other = Certificates::identity(&[HOST]);
    let (_, seen) = world().seen_with(&[(FIRST, None), (SECOND, Some(&other))]).await;
    assert_eq!(seen.verdict(), Verdict::NoMatch);
    assert!(seen.objection().unwrap().starts_with("192.0.2.2: "));
}

#[tokio::test]
async fn smtp_begins_tls_by_a_command() {
    let mut world = world().with_match();
    world.dialling.starttls = StartTls::Smtp;
    let (dialling, seen) = world.seen(&[FIRST]).await;
    assert_eq!(seen.verdict(), Verdict::Match);
    assert_eq!(shown(&dialling, &seen).json["connections"][0]["tls"]["version"], "TLSv1.3");
}

#[tokio::test]
async fn a_server_without_tls_fails() {
    let (dialer, World { zones, mut dialling, .. }) = (MemoryDialer::new(), world().with_match());
    dialling.starttls = StartTls::Smtp;
    let mut peer = ScriptedPeer::new(dialer.expect(FIRST.parse().unwrap()));
    let script = "S: 220 hello\nC: *\nS: 250 hello";
    let (seen, ()) = tokio::join!(dialling.dial(&zones, &*dialer), peer.play(script));
    assert_eq!(seen.verdict(), Verdict::Failed);
    assert_eq!(seen.objection().as_deref(), Some("192.0.2.1: the server does not offer STARTTLS"));
    let finding = shown(&dialling, &seen);
    assert!(finding.text.contains("\n  192.0.2.1: no TLS: the server does not offer STARTTLS\n"), "{}", finding.text);
    assert_eq!(finding.json["connections"][0]["tls"], Value::Null);
}

/// A domain with two servers, whose names and addresses DNSSEC proves.
fn mail_zones() -> Zones {
    let mx = |preference, exchange| Record::Mx(Mx { preference, exchange: Target::parse(exchange) });
    Zones::new()
        .secure("example.org")
        .with("example.org", mx(10, "mx1.example.org"))
        .with("example.org", mx(20, "mx2.example.org"))
        .with("mx1.example.org", Record::A([192, 0, 2, 1].into()))
        .with("mx2.example.org", Record::A([192, 0, 2, 2].into()))
}

/// What is seen of the servers of a domain, where these serve.
async fn seen_mail(
    zones: Zones,
    domain: &str,
    host: Option<&str>,
    served: &[(&str, &Identity)],
) -> (Option<String>, Finding) {
    let dialer = MemoryDialer::new();
    let servers: Vec<(Stream, ServerTls)> = served
        .iter()
        .map(|(address, identity)| {
            let tls =
                ServerTls::new(std::slice::from_ref(*identity), SessionTickets::Off, UnknownName::Fallback).unwrap();
            (dialer.expect(address.parse::<SocketAddr>().unwrap()), tls)
        })
        .collect();
    let parsed = |name: &str| Domain::parse(name).unwrap();
    let mail = Mail { domain: parsed(domain), host: host.map(parsed), roots: Certificates::roots() };
    let serving = async move {
        for (stream, tls) in servers {
            serve_smtp(stream, &tls).await;
        }
    };
    let (seen, ()) = tokio::join!(mail.dial(Arc::new(zones), &*dialer), serving);
    (seen.objection(), seen.shown())
}

#[tokio::test]
async fn all_servers_of_a_domain_are_found_and_must_match() {
    let [first, second] = ["mx1.example.org", "mx2.example.org"].map(|name| Certificates::identity(&[name]));
    let zones = || mail_zones().with("_25._tcp.mx1.example.org", tlsa(&first, 3, 1));
    let served = [("192.0.2.1:25", &first), ("192.0.2.2:25", &second)];

    let both = zones().with("_25._tcp.mx2.example.org", tlsa(&second, 2, 1)).with(
        "_25._tcp.mx2.example.org",
        // The key of the end entity, as one that most have.
        tlsa(&second, 3, 1),
    );
    let (objection, finding) = seen_mail(both, "example.org", None, &served).await;
    assert_eq!(objection, None, "{}", finding.text);
    insta::assert_snapshot!(without_digests(&finding.text));
    insta::assert_snapshot!(without_digests(&serde_json::to_string_pretty(&finding.json).unwrap()));

    // One of them has another key than its record says.
    let wrong = zones().with("_25._tcp.mx2.example.org", tlsa(&first, 3, 1));
    let (objection, finding) = seen_mail(wrong, "example.org", None, &served).await;
    let why = "mx2.example.org: 192.0.2.2: no TLSA record matches a certificate of the server";
    assert_eq!((objection.as_deref(), &finding.json["result"]), (Some(why), &json!("no-match")));

    // One that is away does not count.
    let away = zones().with("_25._tcp.mx2.example.org", tlsa(&second, 3, 1));
    let (objection, finding) = seen_mail(away, "example.org", None, &served[..1]).await;
    assert_eq!((objection, &finding.json["hosts"][1]["result"]), (None, &json!("unreachable")));

    // One of them has no record.
    let (objection, finding) = seen_mail(zones(), "example.org", None, &served[..1]).await;
    let why = "mx2.example.org: it has no TLSA records that DNSSEC proves";
    assert_eq!((objection.as_deref(), &finding.json["result"]), (Some(why), &json!("no-records")));
    // Which does not matter where the other is asked about.
    let (objection, finding) = seen_mail(zones(), "example.org", Some("mx1.example.org"), &served[..1]).await;
    assert_eq!((objection, &finding.json["result"]), (None, &json!("match")));
    assert_eq!(finding.json["hosts"][0]["preference"], 10);
}

#[tokio::test]
async fn a_server_that_the_mx_records_do_not_name_yet() {
    let identity = Certificates::identity(&["new.example.org"]);
    let zones = mail_zones()
        .with("new.example.org", Record::A([192, 0, 2, 3].into()))
        .with("_25._tcp.new.example.org", tlsa(&identity, 3, 1));
    let served = [("192.0.2.3:25", &identity)];
    let (objection, finding) = seen_mail(zones, "example.org", Some("new.example.org"), &served).await;
    assert_eq!((objection, &finding.json["hosts"][0]["named_by_mx"]), (None, &json!(false)));
    assert!(
        finding.text.contains("\n  new.example.org, which the MX records do not name: match\n"),
        "{}",
        finding.text
    );
}

#[tokio::test]
async fn mail_servers_that_dane_does_not_protect() {
    let record = || Record::Tlsa(mailstead_dns::Tlsa { usage: 3, selector: 1, matching_type: 1, data: vec![7; 32] });
    let pkix = || Record::Tlsa(mailstead_dns::Tlsa { usage: 1, selector: 1, matching_type: 1, data: vec![7; 32] });
    let at = "_25._tcp.mx1.example.org";
    let mx = |exchange| Record::Mx(Mx { preference: 10, exchange: Target::parse(exchange) });
    let mut texts = Vec::new();
    for (zones, domain) in [
        (mail_zones(), "absent.example.org"),
        (mail_zones().with("null.example.org", mx(".")), "null.example.org"),
        (mail_zones().failing("example.org", RecordType::Mx, LookupErrorKind::Bogus), "example.org"),
        (mail_zones().with(at, pkix()), "example.org"),
        (mail_zones().failing(at, RecordType::Tlsa, LookupErrorKind::Bogus), "example.org"),
        (mail_zones().with(at, record()), "example.org"),
        // Unsigned MX records, and signed ones that name an unsigned host.
        (mail_zones().with("other.example", mx("mx1.example.org")).with(at, record()), "other.example"),
        (
            mail_zones()
                .with("far.example.org", mx("mx.other.example"))
                .with("mx.other.example", Record::A([192, 0, 2, 9].into())),
            "far.example.org",
        ),
    ] {
        let (objection, finding) = seen_mail(zones, domain, None, &[]).await;
        assert!(objection.is_some() && finding.json["result"] != "match", "{}", finding.text);
        texts.push(without_digests(&finding.text));
    }
    insta::assert_snapshot!(texts.join("\n\n"));
}
