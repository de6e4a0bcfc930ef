//! Text and objects of results from zones in memory, and the round of a key.

use clap::Parser as _;
use mailstead_dns::{LookupErrorKind, Record, RecordType, Target, Txt};
use mailstead_testkit::Zones;

use super::options::MessageFile;
use super::*;
use crate::cli::{Cli, Command};

fn zones() -> Zones {
    let txt = |text: &str| Record::Txt(Txt::from(text));
    Zones::new()
        .with("example.org", txt("v=spf1 ip4:192.0.2.1 -all"))
        .with("_dmarc.example.org", txt("v=DMARC1; p=reject; pct=20"))
        .with("1.2.0.192.in-addr.arpa", Record::Ptr(Target::parse("mx.example.org")))
        .with("mx.example.org", Record::A([192, 0, 2, 1].into()))
        .secure("example.org")
}

#[tokio::test]
async fn a_check_tells_reason_and_dnssec() {
    use mailstead_mailauth::spf::{Query, check_host};
    let path = ReversePath::parse("<user@example.org>").unwrap();
    let ehlo = EhloName::parse("mx.example.org");
    let query = Query::mail_from([192, 0, 2, 7].into(), &path, &ehlo, SystemTime::UNIX_EPOCH);
    let finding = super::spf::checked(&query, &check_host(&zones(), &query).await);
    assert_eq!(
        finding.text,
        "fail: user@example.org (mailfrom) from 192.0.2.7, with dnssec\n  reason: example.org has -all\n  \
         asked TXT example.org: 1 record, with dnssec\n    \"v=spf1 ip4:192.0.2.1 -all\""
    );
    assert_eq!((&finding.json["result"], &finding.json["dnssec"]), (&json!("fail"), &json!("secure")));
    assert_eq!(finding.json["evidence"][0]["existence"], "found");
}

#[tokio::test]
async fn what_was_not_answered_is_told() {
    let zones = zones().failing("_dmarc.example.org", RecordType::Txt, LookupErrorKind::Bogus);
    let domain = Domain::parse("example.org").unwrap();
    let mut evidence = Evidence::default();
    assert!(mailstead_mailauth::dmarc::walk(&zones, &domain, &mut evidence).await.is_err());
    let mut finding = Finding::result("temperror", "DMARC record for example.org", evidence.authenticity());
    finding.evidence(&evidence);
    assert!(
        finding.text.starts_with(
            "temperror: DMARC record for example.org, without dnssec\n  \
             asked TXT _dmarc.example.org: no answer: "
        ),
        "{}",
        finding.text
    );
    assert_eq!(finding.json["evidence"][0]["error"]["kind"], "bogus");
}

#[tokio::test]
async fn a_walk_shows_every_name_and_which_record_applies() {
    let domain = Domain::parse("news.example.org").unwrap();
    let mut evidence = Evidence::default();
    let walk = mailstead_mailauth::dmarc::walk(&zones(), &domain, &mut evidence).await.unwrap();
    let finding = super::dmarc::walked(&walk, &evidence);
    let expected = "\
valid: DMARC record for news.example.org from example.org, its organizational domain, without dnssec
  organizational domain: example.org
  record of example.org: v=DMARC1; p=reject; pct=20
    problem: tag pct is historic
  asked TXT _dmarc.news.example.org: no such name, with dnssec
  asked TXT _dmarc.example.org: 1 record, with dnssec
    \"v=DMARC1; p=reject; pct=20\"
  asked TXT _dmarc.org: no such name, without dnssec";
    assert_eq!(finding.text, expected);
    assert_eq!(finding.json["applies"], json!({ "domain": "example.org", "source": "organizational-domain" }));
}

#[tokio::test]
async fn dmarc_tells_what_its_owner_wants() {
    use mailstead_mailauth::dmarc::evaluate;
    let finding = super::dmarc::evaluated(&evaluate(&zones(), &[Domain::parse("example.org").unwrap()], &[]).await);
    let lines: Vec<&str> = finding.text.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "fail: DMARC for example.org, disposition reject, with dnssec",
            "  reason: neither SPF nor DKIM passed",
            "  policy reject of example.org, the domain itself",
        ]
    );
    assert_eq!(finding.json["policy"]["record"]["problems"], json!(["tag pct is historic"]));
}

#[tokio::test]
async fn clients_have_names_and_are_on_lists() {
    use mailstead_mailauth::dnsbl::{Family, check_health};
    let verdict = mailstead_mailauth::iprev::check_iprev(&zones(), [192, 0, 2, 1].into()).await;
    let finding = super::client::named(&verdict);
    assert!(
        finding.text.starts_with(
            "pass: name of 192.0.2.1, without dnssec\n  reason: mx.example.org has the address\n  \
             asked PTR 1.2.0.192.in-addr.arpa: 1 record, without dnssec\n"
        ),
        "{}",
        finding.text
    );

    let zone = Domain::parse("bl.example.org").unwrap();
    let list = zones().with("2.0.0.127.bl.example.org", Record::A([127, 0, 0, 2].into()));
    let health = async |zones: &Zones| {
        let ip4 = check_health(zones, &zone, Family::V4).await;
        super::client::health(&zone, &ip4, &check_health(zones, &zone, Family::V6).await)
    };
    let alive = health(&list).await;
    assert!(alive.text.starts_with("healthy: list bl.example.org, with dnssec\n  IPv4: healthy\n"), "{}", alive.text);
    assert!(alive.text.contains("    must be listed: listed: 127.0.0.2 at bl.example.org, with dnssec\n"));
    assert_eq!((&alive.json["ip6"]["result"], &alive.json["result"]), (&json!("unhealthy"), &json!("healthy")));
    assert_eq!(health(&zones()).await.json["result"], "unhealthy");
}

#[tokio::test]
async fn a_message_without_a_chain_has_none() {
    use mailstead_mailauth::{arc, crypto::AwsLcRs, dkim::Policy, psl::is_public_suffix};
    let policy = Policy::new(SystemTime::UNIX_EPOCH, &is_public_suffix);
    let verified =
        async |message: &[u8]| super::arc::verified(&arc::verify(message, &AwsLcRs, &zones(), &policy).await);
    let finding = verified(b"From: a@example.org\r\n\r\n").await;
    assert_eq!(finding.text, "none: the message has no ARC chain, without dnssec");
    let finding = verified(b"ARC-Seal: i=1; cv=none\r\nFrom: a@example.org\r\n\r\n").await;
    assert!(finding.text.starts_with("fail: ARC chain"), "{}", finding.text);
    assert!(finding.text.contains("\n  reason: no ARC-"), "{}", finding.text);
}

#[test]
fn nothing_drives_the_terminal() {
    assert_eq!(harmless("a\u{1b}[31m\r\u{9b}b\nc"), "a\u{fffd}[31m\u{fffd}\u{fffd}b\nc");
}

#[test]
fn a_null_path_needs_the_name_of_the_client() {
    let ip = [192, 0, 2, 1].into();
    assert!(ehlo_name(None, ip, &ReversePath::Null).unwrap_err().to_string().contains("--helo"));
    let path = ReversePath::parse("<user@example.org>").unwrap();
    assert_eq!(ehlo_name(None, ip, &path).unwrap(), EhloName::Literal(ip));
}

#[test]
fn command_lines_that_make_no_sense_are_refused() {
    let refused = |line: &str| Cli::try_parse_from(line.split(' ')).is_err();
    assert!(!refused("mailstead spf check 192.0.2.1 user@example.org --helo mx.example.org"));
    assert!(refused("mailstead spf check 192.0.2.999 user@example.org"));
    assert!(refused("mailstead spf check 192.0.2.1 user@"));
    assert!(refused("mailstead dkim generate dsa"));
    assert!(refused("mailstead dkim txt key.pem --selector s"));
    assert!(refused("mailstead dkim lookup a..b example.org"));
    assert!(refused("mailstead dmarc verify message.eml --ip 192.0.2.1"));
    assert!(!refused("mailstead dmarc verify - --ip 192.0.2.1 --mail-from <>"));
    assert!(refused("mailstead dnsbl check 192.0.2.1"));
}

/// Generates a key, signs a file with it, and verifies what comes of that; the file has LF alone.
#[tokio::test]
async fn a_key_made_here_signs_what_its_record_verifies() {
    use mailstead_mailauth::crypto::AwsLcRs;
    use mailstead_mailauth::dkim::{Policy, Selector, Signer, verify};
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    let generate = |out: &std::path::Path| {
        let line = ["mailstead", "dkim", "generate", "ed25519", "--json", "--out", out.to_str().unwrap()];
        let Command::Dkim(command) = Cli::try_parse_from(line).unwrap().command else { panic!("another command") };
        command
    };
    super::dkim::run(generate(&key)).await.unwrap();
    let pem = std::fs::read(&key).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let failure = super::dkim::run(generate(&key)).await.unwrap_err();
    assert!(failure.to_string().contains("exists"), "{failure}");
    assert_eq!(std::fs::read(&key).unwrap(), pem);

    let (selector, domain) = (Selector::parse("s").unwrap(), Domain::parse("example.org").unwrap());
    let private = super::dkim::read_key(&key).unwrap();
    let place = options::KeyPlace { selector: Some(selector.clone()), domain: Some(domain.clone()) };
    let record = super::dkim::public_half(private.public_key(), &place);
    assert!(record.text.starts_with("s._domainkey.example.org. TXT \"v=DKIM1;k=ed25519;p="), "{}", record.text);

    let file = directory.path().join("message.eml");
    let text = "From: user@example.org\nSubject: test\n\nHello\n";
    std::fs::write(&file, text).unwrap();
    let message = MessageFile { message: Some(file.clone()) }.read().unwrap();
    let signer = Signer::new(domain, selector, private);
    let fields = super::dkim::signed(&[signer], &message).unwrap();
    assert!(fields.starts_with("DKIM-Signature: ") && fields.ends_with('\n') && !fields.contains('\r'));

    std::fs::write(&file, fields + text).unwrap();
    let message = MessageFile { message: Some(file) }.read().unwrap();
    let txt = record.json["record"].as_str().unwrap();
    let zones = zones().with("s._domainkey.example.org", Record::Txt(Txt::from(txt)));
    let policy = Policy::new(super::now(), &mailstead_mailauth::psl::is_public_suffix);
    let verification = verify(&message.octets, &AwsLcRs, &zones, &policy).await;
    let finding = super::dkim::verified(&verification);
    let first_lines: Vec<&str> = finding.text.lines().take(2).collect();
    assert_eq!(
        first_lines,
        [
            "pass: 1 of 1 DKIM signature good",
            "  pass: example.org, selector s, ed25519-sha256, ed25519 key of 256 bits, with dnssec"
        ]
    );

    let changed = message.octets.iter().map(|octet| if *octet == b'H' { b'h' } else { *octet });
    let verification = verify(&changed.collect::<Vec<u8>>(), &AwsLcRs, &zones, &policy).await;
    let finding = super::dkim::verified(&verification);
    assert_eq!(finding.json["result"], "fail", "{}", finding.text);
}

#[test]
fn records_are_made_of_public_keys_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.pem");
    let read = |pem: &str| {
        std::fs::write(&file, pem).unwrap();
        super::dkim::read_public_key(&file).map_err(|failure| failure.to_string())
    };
    // RFC 8410 §10.1 and §10.3: one key, its public and its private half.
    let halves = [
        ("PUBLIC KEY", "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="),
        ("PRIVATE KEY", "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC"),
    ];
    for (label, text) in halves {
        let key = read(&format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")).unwrap();
        let finding = super::dkim::public_half(&key, &options::KeyPlace { selector: None, domain: None });
        assert_eq!(finding.text, "TXT \"v=DKIM1;k=ed25519;p=Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\"", "{label}");
    }
    assert!(read("no key").unwrap_err().ends_with("neither a private nor a public key in PEM form"));
    // openssl genrsa 1024 | openssl rsa -pubout
    let short = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDGi9A/f8TVtVyAmEUFqAoUExDRa3ScEHM/HGaLv5AJh2OCLexxVQVz1HGhak916h/4nn7diX2jfjuWzRSjlZUvoVKzW7WgX7+xyQEVpwRojjj0sfBtUbT5SCuPDhCkskmSk3IPOvab/gts2B/J17bCOmkTp5XJ+Sd4sr3W8KdkMwIDAQAB";
    let refused = read(&format!("-----BEGIN PUBLIC KEY-----\n{short}\n-----END PUBLIC KEY-----")).unwrap_err();
    assert!(refused.ends_with("an RSA key of 1024 bits, 2048 are needed (RFC 8301)"), "{refused}");
}
