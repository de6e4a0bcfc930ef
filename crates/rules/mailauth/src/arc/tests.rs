//! Chains made here, and what breaks them.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailstead_dns::{Authenticity, LookupErrorKind, Record, RecordType, Txt};
use mailstead_names::Domain;
use mailstead_testkit::Zones;
use proptest::prelude::*;

use super::*;
use crate::crypto::{AwsLcRs, Crypto, Digest, KeyType, PrivateKey, generate_pem, read_pem};
use crate::dkim::{self, Canonicalization, HeaderIndex, KeyRecord, Policy, split_message};

struct Sealer {
    key: std::sync::Arc<dyn PrivateKey>,
}

const MESSAGE: &str = "From: a@example.org\r\nSubject: x\r\n\r\nHi\r\n";

fn digest(octets: &[u8]) -> Digest {
    let mut hash = AwsLcRs.sha256();
    hash.update(octets);
    hash.finish()
}

impl Sealer {
    fn new() -> Sealer {
        let pem = generate_pem(&AwsLcRs, KeyType::Ed25519).unwrap();
        Sealer { key: read_pem(&AwsLcRs, pem.expose()).unwrap() }
    }

    fn zones(&self) -> Zones {
        let record = KeyRecord::new(self.key.public_key().clone()).to_txt();
        (1..=50).fold(Zones::new(), |zones, instance| {
            zones.with(&format!("sel._domainkey.d{instance}.example"), Record::Txt(record.clone()))
        })
    }

    /// Adds the set of an instance; tags of the two signatures may be replaced.
    fn seal(&self, message: &str, instance: usize, cv: &str, change: impl Fn(String) -> String) -> String {
        let (header, body) = split_message(message.as_bytes());
        let tags = format!("i={instance}; a=ed25519-sha256; d=d{instance}.example; s=sel;");
        let results = format!("ARC-Authentication-Results: i={instance};\r\n mx{instance}.example; none\r\n");
        let bh = STANDARD.encode(digest(&Canonicalization::Relaxed.body(body)));
        let signature = change(format!("ARC-Message-Signature: {tags} c=relaxed/relaxed; h=from:subject; bh={bh}; b="));
        let index = HeaderIndex::new(header);
        let mut octets = Vec::new();
        index
            .select(&["from".into(), "subject".into()], None)
            .for_each(|field| Canonicalization::Relaxed.field(field, &mut octets));
        octets.extend(Canonicalization::Relaxed.header_field(signature.as_bytes()));
        octets.truncate(octets.len() - 2);
        let signature = self.sign(signature, &octets);

        let seal = change(format!("ARC-Seal: {tags} cv={cv}; b="));
        octets.clear();
        for instance in 1..instance {
            for kind in FieldKind::ALL {
                let fields = index.named(&kind.name().to_ascii_lowercase());
                Canonicalization::Relaxed.field(&fields[instance - 1], &mut octets);
            }
        }
        for field in [&results, &signature, &seal] {
            octets.extend(Canonicalization::Relaxed.header_field(field.as_bytes()));
        }
        octets.truncate(octets.len() - 2);
        let seal = self.sign(seal, &octets);
        format!("{seal}{signature}{results}{message}")
    }

    fn sign(&self, mut field: String, octets: &[u8]) -> String {
        write!(field, "{}\r\n", STANDARD.encode(self.key.sign(&digest(octets)).unwrap())).unwrap();
        field
    }

    fn chain(&self, length: usize) -> String {
        (1..=length).fold(MESSAGE.to_owned(), |message, instance| {
            self.seal(&message, instance, if instance == 1 { "none" } else { "pass" }, |field| field)
        })
    }
}

fn policy() -> Policy<'static> {
    Policy::new(UNIX_EPOCH + Duration::from_secs(1_700_000_000), &|_| false)
}

async fn result(message: &str, zones: &Zones) -> (ChainStatus, Option<Reason>) {
    let chain = verify(message.as_bytes(), &AwsLcRs, zones, &policy()).await;
    assert_eq!(chain.oldest_pass.is_some(), chain.status == ChainStatus::Pass);
    (chain.status, chain.reason)
}

#[tokio::test]
async fn chains_of_all_lengths() {
    let sealer = Sealer::new();
    let zones = sealer.zones().secure("example");
    assert_eq!(result(MESSAGE, &zones).await, (ChainStatus::None, None));
    for length in [1, 2, 5, 50] {
        let chain = verify(sealer.chain(length).as_bytes(), &AwsLcRs, &zones, &policy()).await;
        assert_eq!((chain.status, chain.reason, chain.oldest_pass), (ChainStatus::Pass, None, Some(0)));
        assert_eq!((chain.authenticity, chain.evidence.consulted.len()), (Authenticity::Secure, length));
        let sealers: Vec<_> = chain.sets.iter().map(|set| set.sealer.clone().unwrap().to_string()).collect();
        assert_eq!(sealers, (1..=length).map(|instance| format!("d{instance}.example")).collect::<Vec<_>>());
        assert_eq!(chain.sets[0].results, "mx1.example; none");
        assert_eq!(chain.sets[0].chain_status, Some(ChainStatus::None));
    }
    let message = sealer.chain(50);
    let more = sealer.seal(&message, 51, "pass", |field| field);
    assert_eq!(result(&more, &zones).await, (ChainStatus::Fail, Some(Reason::TooManySets)));
}

#[tokio::test]
async fn later_changes_of_the_message() {
    let sealer = Sealer::new();
    let zones = sealer.zones();
    let message = sealer.chain(2).replace("Subject: x", "Subject: [list] x");
    let failed = |instance, reason| (ChainStatus::Fail, Some(Reason::MessageSignature(instance, reason)));
    assert_eq!(result(&message, &zones).await, failed(2, dkim::Reason::Signature));
    assert_eq!(result(&sealer.chain(2).replace("Hi", "Ho"), &zones).await, failed(2, dkim::Reason::BodyHash));
    // A list that changes and seals again.
    let message = sealer.seal(&message, 3, "pass", |field| field);
    let message = sealer.seal(&message, 4, "pass", |field| field);
    let chain = verify(message.as_bytes(), &AwsLcRs, &zones, &policy()).await;
    assert_eq!((chain.status, chain.oldest_pass), (ChainStatus::Pass, Some(3)));
}

#[tokio::test]
async fn seals_cover_all_sets_before_them() {
    let sealer = Sealer::new();
    let zones = sealer.zones();
    let message = sealer.chain(3);
    for (from, to, instance) in
        [("mx1.example; none", "mx1.example; dkim=pass", 3), ("mx3.example; none", "mx3.example;none", 3)]
    {
        let changed = message.replacen(from, to, 1);
        assert_ne!(changed, message);
        let expected = Some(Reason::Seal(instance, dkim::Reason::Signature));
        assert_eq!(result(&changed, &zones).await, (ChainStatus::Fail, expected), "{from}");
    }
    // White space does not matter: only relaxed canonicalization is used.
    let changed = message.replacen("mx1.example; none", "mx1.example;  \r\n\tnone ", 1);
    assert_eq!(result(&changed, &zones).await.0, ChainStatus::Pass);
}

#[tokio::test]
async fn what_seals_say_about_the_chain() {
    let sealer = Sealer::new();
    let zones = sealer.zones();
    let same = |field| field;
    for (first, second, expected) in [
        ("none", "pass", None),
        ("none", "fail", Some(Reason::AlreadyFailed(2))),
        ("fail", "fail", Some(Reason::AlreadyFailed(2))),
        ("none", "none", Some(Reason::ChainStatus(2))),
        ("pass", "pass", Some(Reason::ChainStatus(1))),
        ("fail", "pass", Some(Reason::ChainStatus(1))),
        ("none", "PASS", Some(Reason::Seal(2, dkim::Reason::BadTag("cv")))),
    ] {
        let message = sealer.seal(&sealer.seal(MESSAGE, 1, first, same), 2, second, same);
        assert_eq!(result(&message, &zones).await.1, expected, "{first} {second}");
    }
    assert!(zones.asked().len() <= 2);
}

#[tokio::test]
async fn tags_that_do_not_belong_there() {
    let sealer = Sealer::new();
    let zones = sealer.zones();
    let both = |from: &'static str, to: &'static str| move |field: String| field.replacen(from, to, 1);
    let with = |change: &dyn Fn(String) -> String| sealer.seal(MESSAGE, 1, "none", change);
    for (message, expected) in [
        (with(&both("cv=", "h=from; cv=")), Reason::Seal(1, dkim::Reason::BadTag("h"))),
        (with(&both("cv=none; ", "")), Reason::Seal(1, dkim::Reason::MissingTag("cv"))),
        (with(&both("h=from:subject", "h=from:arc-seal")), Reason::MessageSignature(1, dkim::Reason::BadTag("h"))),
        (with(&both("h=from:subject", "h=subject")), Reason::MessageSignature(1, dkim::Reason::FromNotSigned)),
        (with(&both("bh=", "l=1; bh=")), Reason::MessageSignature(1, dkim::Reason::BodyHash)),
        (with(&both("bh=", "l=4; bh=")), Reason::MessageSignature(1, dkim::Reason::BodyLength)),
        (with(&both("bh=", "x=1; bh=")), Reason::MessageSignature(1, dkim::Reason::Expired)),
        (with(&both("a=ed25519-sha256", "a=rsa-sha1")), Reason::MessageSignature(1, dkim::Reason::HistoricAlgorithm)),
        (with(&both("d=d1", "d=unknown")), Reason::MessageSignature(1, dkim::Reason::NoKey)),
        (with(&both("i=1;", "i=1; i=1;")), Reason::Instance(FieldKind::MessageSignature)),
        (with(&both("s=sel;", "s=sel;;")), Reason::Instance(FieldKind::MessageSignature)),
    ] {
        assert_eq!(result(&message, &zones).await, (ChainStatus::Fail, Some(expected)), "{message}");
    }
    // Version and unknown tags mean nothing.
    assert_eq!(result(&with(&both("a=", "v=7; foo=bar; a=")), &zones).await.0, ChainStatus::Pass);
}

#[tokio::test]
async fn failed_look_ups_are_permanent() {
    let sealer = Sealer::new();
    let name = "sel._domainkey.d1.example";
    let zones = sealer.zones().failing(name, RecordType::Txt, LookupErrorKind::Timeout);
    let reason = dkim::Reason::KeyUnavailable(LookupErrorKind::Timeout);
    assert_eq!(result(&sealer.chain(2), &zones).await, (ChainStatus::Fail, Some(Reason::Seal(1, reason))));
}

#[tokio::test]
async fn public_suffixes_do_not_seal() {
    let sealer = Sealer::new();
    let suffix = Domain::parse("d1.example").unwrap();
    let is_suffix = |domain: &Domain| *domain == suffix;
    let policy = Policy::new(UNIX_EPOCH, &is_suffix);
    let chain = verify(sealer.chain(2).as_bytes(), &AwsLcRs, &sealer.zones(), &policy).await;
    assert_eq!(chain.reason, Some(Reason::Seal(1, dkim::Reason::PublicSuffix)));
}

#[tokio::test]
async fn keys_of_others_are_not_asked_for() {
    // The last set is good; forty-nine made-up ones below name the keys of whoever shall be asked.
    let sealer = Sealer::new();
    let zones = sealer.zones();
    let forged: String = (1..50).rev().fold(String::new(), |mut header, instance| {
        let cv = if instance == 1 { "none" } else { "pass" };
        let tags = format!("i={instance}; a=ed25519-sha256; d=victim{instance}.example; s=sel; b=AAAA;");
        write!(header, "ARC-Seal: {tags} cv={cv}\r\nARC-Message-Signature: {tags} h=from; bh={}\r\nARC-Authentication-Results: i={instance}; x\r\n", "A".repeat(43)).unwrap();
        header
    });
    let message = sealer.seal(&format!("{forged}{MESSAGE}"), 50, "pass", |field| field);
    let chain = verify(message.as_bytes(), &AwsLcRs, &zones, &policy()).await;
    assert_eq!(chain.reason, Some(Reason::Seal(49, dkim::Reason::NoKey)));
    assert_eq!(zones.asked().len(), 4);
}

#[tokio::test]
async fn strings_that_are_long_or_many() {
    let zones = Zones::new();
    let many = "ARC-Seal: i=1; a=x\r\n".repeat(10_000);
    assert_eq!(result(&format!("{many}{MESSAGE}"), &zones).await.1, Some(Reason::TooManySets));
    let long = format!("ARC-Authentication-Results: i=1; {}\r\n", "(".repeat(1 << 20));
    assert_eq!(
        result(&format!("{long}{MESSAGE}"), &zones).await.1,
        Some(Reason::Missing(1, FieldKind::MessageSignature))
    );
    let record = Record::Txt(Txt::from("v=DKIM1; p="));
    let revoked = Zones::new().with("sel._domainkey.d1.example", record);
    let expected = Reason::MessageSignature(1, dkim::Reason::KeyRevoked);
    assert_eq!(result(&Sealer::new().chain(1), &revoked).await.1, Some(expected));
}

proptest! {
    #[test]
    fn no_fields_make_it_panic(
        header in "((ARC-Seal|ARC-Message-Signature|ARC-Authentication-Results): ?i=[123][; ]{1,2}([abcdhist]{1,2}=[ -~]{0,12};){0,7}\r\n){0,9}",
    ) {
        let message = format!("{header}{MESSAGE}");
        let future = std::pin::pin!(async { result(&message, &Zones::new()).await });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        prop_assert!(future.poll(&mut context).is_ready());
    }
}
