//! Tests as a stranger would write them: with a zone file, with testkit's zones, and with its signed world.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mailstead_dns::{
    Answer, Authenticity, Existence, Lookup, LookupError, LookupErrorKind, Name, Question, Record, RecordType,
    Resolver, Rtype, Target, Txt,
};
use mailstead_mailauth::arc;
use mailstead_mailauth::crypto::{AwsLcRs, KeyType, generate_pem, read_pem};
use mailstead_mailauth::dkim::{self, BodyHasher, KeyRecord, Selector, Signer};
use mailstead_mailauth::dmarc::{self, Policy, Status};
use mailstead_mailauth::iprev::{self, IprevResult};
use mailstead_mailauth::results::Form;
use mailstead_mailauth::spf::{self, SpfResult};
use mailstead_names::{Domain, EhloName, ReversePath};
use mailstead_testkit::{START, Security, SignedWorld, ZonePlan, Zones};

use crate::checks::{Arrived, Found, check};
use crate::zone::Zone;

const MESSAGE: &str =
    "From: Joe <joe@shop.test>\r\nSubject: offer\r\nDate: Thu, 15 Jan 2026 12:00:00 +0000\r\n\r\nbuy\r\n";
const ZONE: &str = "$ORIGIN shop.test.\n@ TXT \"v=spf1 include:spf.post.test -all\"\n\
    _dmarc CNAME policy.post.test.\nmx A 192.0.2.25\n*.list TXT \"v=spf1 -all\"\n\
    $ORIGIN post.test.\nspf TXT \"v=spf1 ip4:192.0.2.25 ?all\"\npolicy TXT \"v=DMARC1; p=reject\"\n\
    25.2.0.192.in-addr.arpa. PTR mx.shop.test.\n";

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(START.unsigned_abs())
}

async fn found(resolver: &dyn Resolver, message: &[u8], remote: [u8; 4], sender: &str) -> Found {
    let sender = ReversePath::parse(sender).unwrap();
    let hello = EhloName::parse("mx.shop.test");
    let arrived = Arrived { message, remote: remote.into(), hello, sender, at: now() };
    check(resolver, &domain("here.test"), &arrived).await
}

/// The message with a signature of `shop.test`, and the record of the key.
fn signed() -> (Vec<u8>, Txt) {
    let key = read_pem(&AwsLcRs, generate_pem(&AwsLcRs, KeyType::Ed25519).unwrap().expose()).unwrap();
    let record = KeyRecord::new(key.public_key().clone()).to_txt();
    let signer = Signer::new(domain("shop.test"), Selector::parse("s1").unwrap(), key);
    let (header, body) = dkim::split_message(MESSAGE.as_bytes());
    let mut hasher = BodyHasher::new(&AwsLcRs);
    signer.request(&mut hasher);
    hasher.update(body);
    let fields = dkim::sign(&[signer], &AwsLcRs, header, &hasher.finish(), now()).unwrap();
    ([fields.as_bytes(), MESSAGE.as_bytes()].concat(), record)
}

#[tokio::test]
async fn a_zone_file_is_enough() {
    let zone = Zone::parse(ZONE).unwrap();
    let found = found(&zone, MESSAGE.as_bytes(), [192, 0, 2, 25], "<joe@shop.test>").await;
    assert_eq!((found.iprev.result, found.spf.result), (IprevResult::Pass, SpfResult::Pass));
    assert_eq!((found.dmarc.status, found.dmarc.disposition), (Status::Pass, Policy::None));
    let field = found.results(&domain("here.test")).to_field(Form::Ascii);
    for part in [
        "Authentication-Results: here.test;",
        "iprev=pass",
        "dkim=none",
        "spf=pass",
        "dmarc=pass (without dnssec) header.from=shop.test policy.dmarc=reject",
    ] {
        assert!(field.replace("\r\n ", " ").contains(part), "{part}: {field}");
    }

    let elsewhere = self::found(&zone, MESSAGE.as_bytes(), [192, 0, 2, 66], "<joe@x.list.shop.test>").await;
    assert_eq!((elsewhere.iprev.result, elsewhere.spf.result), (IprevResult::PermError, SpfResult::Fail));
    assert_eq!((elsewhere.dmarc.status, elsewhere.dmarc.disposition), (Status::Fail, Policy::Reject));
}

#[test]
fn mistakes_in_zone_files_are_told_with_their_line() {
    let error = Zone::parse("shop.test. A 192.0.2.1\nshop.test. A nonsense\n").unwrap_err();
    assert_eq!(error.line, 2);
}

#[tokio::test]
async fn zones_of_the_testkit_count_what_is_asked() {
    let (message, key) = signed();
    let zones = Zones::new()
        .with("s1._domainkey.shop.test", Record::Txt(key))
        .with("shop.test", Record::Txt(Txt::from("v=spf1 -all")))
        .with("_dmarc.shop.test", Record::Txt(Txt::from("v=DMARC1; p=reject")))
        .with("25.2.0.192.in-addr.arpa", Record::Ptr(Target::parse("mx.shop.test")))
        .failing("mx.shop.test", RecordType::A, LookupErrorKind::Timeout)
        .secure("shop.test");
    let found = found(&zones, &message, [192, 0, 2, 25], "<joe@shop.test>").await;
    assert_eq!((found.iprev.result, found.spf.result), (IprevResult::TempError, SpfResult::Fail));
    // The signature is enough, and all that it rests on is proved.
    assert_eq!((found.dmarc.status, found.dmarc.authenticity()), (Status::Pass, Authenticity::Secure));
    let asked = |name: &str| zones.asked().iter().filter(|(asked, _)| asked.as_ascii() == name).count();
    assert_eq!((asked("s1._domainkey.shop.test"), asked("_dmarc.shop.test"), asked("shop.test")), (1, 1, 1));

    // One letter of the body.
    let mut changed = message.clone();
    let last = changed.len() - 3;
    changed[last] ^= 1;
    let found = self::found(&zones, &changed, [192, 0, 2, 25], "<joe@shop.test>").await;
    assert_eq!((found.dmarc.status, found.dmarc.disposition), (Status::Fail, Policy::Reject));
}

/// A stub of a validating resolver in front of the signed world: what is not proved is told by its word for it.
#[derive(Debug)]
struct Validating(SignedWorld);

impl Validating {
    fn answer(&self, name: &Domain, record_type: RecordType) -> Result<Answer<Record>, LookupError> {
        let question = Question { name: Name::from(name), rtype: Rtype::from(record_type) };
        let authenticity = match self.0.truth(&question, START as u32).security() {
            Security::Secure => Authenticity::Secure,
            Security::Insecure => Authenticity::Insecure,
            Security::Bogus => return Err(LookupError::new(LookupErrorKind::Bogus, name, record_type)),
        };
        let response = self.0.respond(&question, false);
        let sets = response.answer.iter().filter(|set| set.rtype == question.rtype);
        let records = sets.flat_map(|set| &set.data).filter_map(|data| Record::from_data(record_type, data)).collect();
        let answer = Answer::found(records, authenticity, Duration::ZERO);
        let absent = response.rcode == mailstead_dns::Rcode::NXDOMAIN;
        Ok(if absent { Answer { existence: Existence::NxDomain, ..answer } } else { answer })
    }
}

impl Resolver for Validating {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        Box::pin(std::future::ready(self.answer(name, record_type)))
    }
}

#[tokio::test]
async fn the_signed_world_proves_what_is_told() {
    let (message, key) = signed();
    let strings: Vec<String> =
        key.strings.iter().map(|string| format!("\"{}\"", String::from_utf8_lossy(string))).collect();
    let records = format!(
        "@ TXT \"v=spf1 -all\"\n_dmarc TXT \"v=DMARC1; p=quarantine\"\ns1._domainkey TXT {}",
        strings.join(" ")
    );
    let world = |plan: ZonePlan| {
        let zones = SignedWorld::builder().zone(ZonePlan::signed(".")).zone(ZonePlan::signed("test"));
        Validating(zones.zone(plan.records(&records)).build())
    };
    let check = async |resolver: Validating| {
        let found = found(&resolver, &message, [192, 0, 2, 25], "<joe@shop.test>").await;
        (found.dmarc.status, found.dmarc.authenticity(), found.results(&domain("here.test")).to_field(Form::Ascii))
    };
    let (status, authenticity, field) = check(world(ZonePlan::signed("shop.test"))).await;
    assert_eq!((status, authenticity), (Status::Pass, Authenticity::Secure), "{field}");
    assert!(field.contains("with dnssec"), "{field}");

    let (status, authenticity, field) = check(world(ZonePlan::unsigned("shop.test"))).await;
    assert_eq!((status, authenticity), (Status::Pass, Authenticity::Insecure), "{field}");

    // A forged policy is not believed, and not taken for none.
    let flawed = ZonePlan::signed("shop.test").flaw("_dmarc", Rtype::TXT, mailstead_testkit::Flaw::Corrupt);
    let (status, _, field) = check(world(flawed)).await;
    assert_eq!(status, Status::TempError, "{field}");
}

/// Everything at once that senders can put into a message and into their own DNS: the work has an end.
#[tokio::test]
async fn hostile_senders_cost_a_bounded_number_of_questions() {
    let txt = |text: String| Record::Txt(Txt::from(text.as_str()));
    let mega = "x".repeat(1 << 20);
    let (signed, _) = signed();
    let signature = String::from_utf8(signed).unwrap().split("From:").next().unwrap().to_owned();
    let mut header = String::new();
    for index in 0..5_000 {
        header += &signature.replace("s=s1;", &format!("s=k{index};"));
    }
    for index in (1..=50).rev() {
        let tags = format!("i={index}; a=ed25519-sha256; d=a{index}.test; s=s; b=AAAA;");
        let cv = if index == 1 { "none" } else { "pass" };
        let hash = "A".repeat(43);
        header += &format!(
            "ARC-Seal: {tags} cv={cv}\r\nARC-Message-Signature: {tags} h=from; bh={hash}=\r\n\
             ARC-Authentication-Results: i={index}; x\r\n"
        );
    }
    let deep = "a.".repeat(50);
    let authors: Vec<String> = (0..1_000).map(|index| format!("joe@{deep}x{index}.test")).collect();
    let message = format!("{header}From: {}\r\nSubject: offer\r\n\r\nbuy\r\n", authors.join(",\r\n "));

    let mut zones = Zones::new()
        .with(
            "shop.test",
            txt(format!("v=spf1 {} ptr:%{{d}} exp=%{{p}}.shop.test -all", "include:shop.test mx ".repeat(10_000))),
        )
        .with("_dmarc.test", txt(format!("v=DMARC1; p=reject; rua=mailto:{mega}@x.test")))
        .with("_dmarc.x1.test", txt("v=DMARC1; p=reject; ".repeat(50_000)));
    for index in 0..1_000 {
        zones = zones.with("25.2.0.192.in-addr.arpa", Record::Ptr(Target::parse(&format!("n{index}.shop.test"))));
    }
    for index in 0..2 * dkim::MOST_SIGNATURES {
        zones = zones.with(&format!("k{index}._domainkey.shop.test"), txt(format!("v=DKIM1; k=ed25519; p={mega}")));
    }
    let found = found(&zones, message.as_bytes(), [192, 0, 2, 25], "<joe@shop.test>").await;
    assert_eq!(found.spf.result, SpfResult::PermError);
    assert_ne!(found.dmarc.status, Status::Pass);
    assert!(found.dkim.authenticated().next().is_none());

    let iprev = 1 + iprev::MOST_NAMES;
    let spf = 1 + spf::MOST_LOOKUP_TERMS * (1 + spf::MOST_EXCHANGERS) + 1 + spf::MOST_NAMES;
    let arc = 2 * usize::from(arc::MOST_SETS);
    let dmarc = dmarc::MOST_AUTHORS * (dmarc::MOST_QUERIES + 1) + dmarc::MOST_COMPARED * dmarc::MOST_QUERIES;
    let asked = |part: &str| zones.asked().iter().filter(|(name, _)| name.as_ascii().contains(part)).count();
    assert!(zones.asked().len() <= iprev + spf + dkim::MOST_SIGNATURES + arc + dmarc, "{}", zones.asked().len());
    assert_eq!(asked("_domainkey.shop.test"), dkim::MOST_SIGNATURES);
    assert!(asked("_dmarc.") <= dmarc, "{}", asked("_dmarc."));
    // What is kept and shown of it is bounded too.
    assert!(found.results(&domain("here.test")).to_field(Form::Ascii).len() < 20_000);
    assert!(format!("{:?}", found.dmarc.evidence).len() < 200_000);
}
