//! One rule after the other: what makes a signature not pass, and how it is called.

use super::*;
use crate::crypto::PublicKeyError;

/// The message with its signature as the function has changed it.
fn changed(signer: &Signer, change: impl Fn(String) -> String) -> Vec<u8> {
    [change(field(signer, MESSAGE)).as_bytes(), MESSAGE].concat()
}

async fn reason(message: &[u8], zones: &Zones) -> (Status, Vec<Reason>) {
    let found = outcome(message, zones, &policy()).await;
    assert_eq!(found.authenticated().is_some(), found.status == Status::Pass);
    (found.status, found.reasons)
}

#[tokio::test]
async fn an_unsigned_message_has_no_outcomes() {
    let found = verified(MESSAGE, &Zones::new(), &policy()).await;
    assert!(found.outcomes.is_empty() && found.ignored == 0);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    assert!(!Verifier::new(MESSAGE, &mut hasher).is_signed());
}

#[tokio::test]
async fn signed_by_several_keys() {
    let rsa = signer(KeyType::Rsa);
    let mut ed25519 = signer(KeyType::Ed25519);
    ed25519.selector = Selector::parse("Ed-1.2024").unwrap();
    ed25519.identity = Some(Identity { localpart: "a;b=c d".into(), domain: domain("sub.example.org") });
    ed25519.lifetime = Some(Duration::from_secs(3600));
    ed25519.header_canonicalization = Canonicalization::Simple;
    let zones = zones(&rsa)
        .with("ed-1.2024._domainkey.example.org", txt(&KeyRecord::new(ed25519.key.public_key().clone()).to_string()));

    let (header, body) = split_message(MESSAGE);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    let signers = [rsa, ed25519];
    signers.iter().for_each(|signer| signer.request(&mut hasher));
    hasher.update(body);
    let fields = sign(&signers, &AwsLcRs, header, &hasher.finish(), at(NOW)).unwrap();
    assert!(fields.split("\r\n").all(|line| line.len() <= 78), "{fields}");
    assert!(fields.contains("h=from:from:reply-to:to:to:cc:subject:subject:date:date:"), "{fields}");

    let message = [fields.as_bytes(), MESSAGE].concat();
    let found = verified(&message, &zones, &policy()).await;
    let [first, second] = &*found.outcomes else { panic!("{found:?}") };
    assert_eq!((first.status, first.algorithm()), (Status::Pass, Some(Algorithm::RsaSha256)));
    assert_eq!(first.identity().unwrap().to_string(), "@example.org");
    assert_eq!((second.status, second.algorithm()), (Status::Pass, Some(Algorithm::Ed25519Sha256)));
    assert_eq!(second.identity().unwrap().to_string(), "a;b=c d@sub.example.org");
    let times = second.signature.as_ref().map(|signature| (signature.time, signature.expires));
    assert_eq!(times, Some((Some(NOW), Some(NOW + 3600))));
    assert_eq!(zones.asked().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_signed() {
    let mut signer = signer(KeyType::Ed25519);
    let hashes = |signer: &Signer| {
        let mut hasher = BodyHasher::new(&AwsLcRs);
        signer.request(&mut hasher);
        hasher.finish()
    };
    let sign = |signer: &Signer, header: &[u8], hashes: &BodyHashes| signer.sign(&AwsLcRs, header, hashes, at(NOW));
    assert_eq!(sign(&signer, b"To: a@b\r\n", &hashes(&signer)), Err(SignError::NoFrom));
    assert_eq!(sign(&signer, MESSAGE, &BodyHashes::default()), Err(SignError::BodyNotHashed));
    signer.identity = Some(Identity { localpart: String::new(), domain: domain("example.net") });
    assert_eq!(sign(&signer, MESSAGE, &hashes(&signer)), Err(SignError::Identity));
    signer.identity = None;
    for name in ["", "a b", "a:b", "a;b", "ä"] {
        signer.coverage.signed = vec![name.to_owned()];
        assert_eq!(sign(&signer, MESSAGE, &hashes(&signer)), Err(SignError::FieldName), "{name}");
    }
}

#[tokio::test]
async fn over_signed_fields_cannot_be_added() {
    let signer = signer(KeyType::Ed25519);
    let zones = zones(&signer);
    let message = signed(&signer, MESSAGE);
    for (added, status) in [
        ("Subject: another\r\n", Status::Fail),
        ("From: x@example.net\r\n", Status::Fail),
        ("Cc: x@example.net\r\n", Status::Fail),
        ("Content-Type: text/html\r\n", Status::Fail),
        ("List-ID: <x.example.net>\r\n", Status::Pass),
        ("Sender: x@example.net\r\n", Status::Pass),
        ("Received: from x\r\n", Status::Pass),
        ("X-Any: x\r\n", Status::Pass),
    ] {
        let found = outcome(&[added.as_bytes(), &message].concat(), &zones, &policy()).await;
        assert_eq!(found.status, status, "{added}");
    }
}

#[tokio::test]
async fn syntax_errors_are_neutral() {
    let signer = signer(KeyType::Ed25519);
    let zones = zones(&signer);
    for (from, to, expected) in [
        ("v=1;", "v=2;", Reason::Version),
        ("v=1; ", "", Reason::MissingTag("v")),
        ("a=ed25519-sha256", "a=ed25519-sha512", Reason::UnknownAlgorithm),
        ("c=relaxed/relaxed", "c=nowsp", Reason::UnknownCanonicalization),
        ("t=", "q=ldap; t=", Reason::UnknownQueryMethod),
        ("t=", "t=now", Reason::BadTag("t")),
        ("t=", "a=", Reason::TagList(crate::taglist::TagListError::Duplicate)),
    ] {
        let message = changed(&signer, |field| field.replacen(from, to, 1));
        assert_eq!(reason(&message, &zones).await, (Status::Neutral, vec![expected]), "{from} {to}");
    }
    // Nothing was asked for any of them, and what can be read is told.
    assert!(zones.asked().is_empty());
    let message = changed(&signer, |field| field.replacen("v=1;", "v=2;", 1));
    let found = outcome(&message, &zones, &policy()).await;
    assert_eq!((found.domain, found.selector), (Some(domain("example.org")), Some(signer.selector)));
    assert!(found.signature.is_none());
}

#[tokio::test]
async fn permanent_errors_of_the_field() {
    let signer = signer(KeyType::Rsa);
    let zones = zones(&signer);
    for (from, to, expected) in [
        ("a=rsa-sha256", "a=rsa-sha1", Reason::HistoricAlgorithm),
        ("h=from:from:", "h=", Reason::FromNotSigned),
        ("t=", "i=@example.net; t=", Reason::DomainMismatch),
    ] {
        let message = changed(&signer, |field| field.replacen(from, to, 1));
        assert_eq!(reason(&message, &zones).await, (Status::PermError, vec![expected]), "{from} {to}");
    }
    assert!(zones.asked().is_empty());
}

#[tokio::test]
async fn rsa_sha1_never_passes_even_with_a_sha1_body_hash() {
    // RFC 8301 §3.1; the signature is of RFC 8617's example.
    let message = "DKIM-Signature: v=1; a=rsa-sha1; c=relaxed/relaxed; d=d1.example; h=\r\n message-id:date:from:to:subject; s=origin2015; bh=bIxxaeIQvmOBdT\r\n AitYfSNFgzPP4=; b=qKjd5fYibKXWWIcMKCgRYuo1vJ2fD+IAQPjX+uamXIGY2Q\r\n 0HjQ+Lq3/yHzG3JHJp6780/nKQPOWt2UDJQrJkEA==\r\nFrom: John Q Doe <jqd@d1.example>\r\n\r\n";
    let found = outcome(message.as_bytes(), &Zones::new(), &policy()).await;
    assert_eq!((found.status, found.reasons), (Status::PermError, vec![Reason::HistoricAlgorithm]));
    assert_eq!(found.domain, Some(domain("d1.example")));
}

#[tokio::test]
async fn expiry() {
    let mut signer = signer(KeyType::Ed25519);
    signer.lifetime = Some(Duration::from_secs(1000));
    let (zones, message) = (zones(&signer), signed(&signer, MESSAGE));
    for (now, expected) in [
        (NOW, Status::Pass),
        // Clocks may differ by five minutes.
        (NOW + 1300, Status::Pass),
        (NOW + 1301, Status::PermError),
    ] {
        let found = outcome(&message, &zones, &Policy::new(at(now), &no_suffix)).await;
        assert_eq!(found.status, expected, "{}", now - NOW);
        assert_eq!(found.reasons == [Reason::Expired], expected != Status::Pass);
    }
}

#[tokio::test]
async fn public_suffixes_do_not_sign() {
    let signer = signer(KeyType::Ed25519);
    let (zones, message) = (zones(&signer), signed(&signer, MESSAGE));
    let suffix = domain("example.org");
    let is_suffix = |domain: &Domain| suffix.is_subdomain_of(domain);
    let found = outcome(&message, &zones, &Policy::new(at(NOW), &is_suffix)).await;
    assert_eq!((found.status, found.reasons), (Status::PermError, vec![Reason::PublicSuffix]));
}

#[tokio::test]
async fn look_ups_that_fail_or_find_nothing() {
    let signer = signer(KeyType::Ed25519);
    let message = signed(&signer, MESSAGE);
    let zone = "sel._domainkey.example.org";
    let failing = Zones::new().failing(zone, RecordType::Txt, LookupErrorKind::Timeout).secure("example.org");
    let found = outcome(&message, &failing, &policy()).await;
    assert_eq!(
        (found.status, found.reasons),
        (Status::TempError, vec![Reason::KeyUnavailable(LookupErrorKind::Timeout)])
    );
    assert_eq!((found.authenticity, found.evidence.consulted.len()), (Authenticity::Insecure, 1));

    let absent = Zones::new().secure("example.org");
    let found = outcome(&message, &absent, &policy()).await;
    assert_eq!((found.status, found.reasons), (Status::PermError, vec![Reason::NoKey]));
    assert_eq!(found.authenticity, Authenticity::Secure);

    let address = Zones::new().with(zone, Record::A([192, 0, 2, 1].into()));
    assert_eq!(reason(&message, &address).await, (Status::PermError, vec![Reason::NoKey]));
}

#[tokio::test]
async fn the_authenticity_is_that_of_the_whole_answer() {
    let signer = signer(KeyType::Ed25519);
    let message = signed(&signer, MESSAGE);
    let record = txt(&KeyRecord::new(signer.key.public_key().clone()).to_string());
    let alias = || {
        Zones::new().with_alias("sel._domainkey.example.org", "key.example.net").with("key.example.net", record.clone())
    };
    let found = outcome(&message, &alias().secure("example.org").secure("example.net"), &policy()).await;
    assert_eq!((found.status, found.authenticity), (Status::Pass, Authenticity::Secure));
    let found = outcome(&message, &alias().secure("example.org"), &policy()).await;
    assert_eq!((found.status, found.authenticity), (Status::Pass, Authenticity::Insecure));
}

#[tokio::test]
async fn keys_that_are_not_suitable() {
    let signer = signer(KeyType::Ed25519);
    let message = signed(&signer, MESSAGE);
    let public = KeyRecord::new(signer.key.public_key().clone()).to_string();
    let p = public.rsplit(';').next().unwrap();
    for (record, expected) in [
        ("v=spf1 -all".to_owned(), Reason::KeyRecord(KeyRecordError::Version)),
        (public.replace("DKIM1", "DKIM2"), Reason::KeyRecord(KeyRecordError::Version)),
        (format!("k=rsa;{p}"), Reason::KeyRecord(KeyRecordError::PublicKey(PublicKeyError::Malformed))),
        (format!("k=ed448;{p}"), Reason::KeyRecord(KeyRecordError::KeyType)),
        ("v=DKIM1; k=ed25519; p=".to_owned(), Reason::KeyRevoked),
        (format!("{public}; s=tlsrpt"), Reason::KeyService),
        (format!("{public}; s="), Reason::KeyService),
        (format!("{public}; h=sha1"), Reason::KeyHash),
        (
            KeyRecord::new(PublicKey::Rsa(RsaPublicKey::new(&[0xff; 256], &[1, 0, 1]).unwrap())).to_string(),
            Reason::KeyType(KeyType::Rsa),
        ),
    ] {
        let found = reason(&message, &zones_with(&record)).await;
        assert_eq!(found, (Status::PermError, vec![expected]), "{record}");
    }
    for record in [
        format!("{public}; s=*"),
        format!("{public}; s=x:email"),
        format!("{public}; h=sha1:sha256; t=x"),
        format!("k=ed25519;{p}"),
    ] {
        assert_eq!(reason(&message, &zones_with(&record)).await, (Status::Pass, vec![]), "{record}");
    }
    let tlsrpt = zones_with(&format!("{public}; s=tlsrpt"));
    let mut policy = policy();
    policy.service = "tlsrpt";
    assert_eq!(outcome(&message, &tlsrpt, &policy).await.status, Status::Pass);
}

#[tokio::test]
async fn sizes_of_rsa_keys() {
    let signer = signer(KeyType::Rsa);
    let message = signed(&signer, MESSAGE);
    let with_bits = |octets: usize| {
        let key = RsaPublicKey::new(&[&[0x7f][..], &vec![0xff; octets - 1]].concat(), &[1, 0, 1]).unwrap();
        zones_with(&KeyRecord::new(PublicKey::Rsa(key)).to_string())
    };
    // One bit less than 1024, and one octet more.
    let found = reason(&message, &with_bits(128)).await;
    assert_eq!(found, (Status::PermError, vec![Reason::KeyTooShort(1023)]));
    assert_eq!(reason(&message, &with_bits(129)).await, (Status::Fail, vec![Reason::Signature]));
    assert_eq!(reason(&message, &with_bits(1024)).await, (Status::Fail, vec![Reason::Signature]));
}

#[tokio::test]
async fn strict_keys_allow_no_subdomain() {
    let mut signer = signer(KeyType::Ed25519);
    let public = KeyRecord::new(signer.key.public_key().clone()).to_string();
    let zones = zones_with(&format!("{public}; t=s"));
    assert_eq!(reason(&signed(&signer, MESSAGE), &zones).await.0, Status::Pass);
    signer.identity = Some(Identity { localpart: "a".into(), domain: domain("example.org") });
    assert_eq!(reason(&signed(&signer, MESSAGE), &zones).await.0, Status::Pass);
    signer.identity = Some(Identity { localpart: String::new(), domain: domain("a.example.org") });
    assert_eq!(reason(&signed(&signer, MESSAGE), &zones).await, (Status::PermError, vec![Reason::KeyStrict]));
    assert_eq!(reason(&signed(&signer, MESSAGE), &zones_with(&public)).await.0, Status::Pass);
}

#[tokio::test]
async fn signatures_with_keys_for_tests_do_not_count() {
    let signer = signer(KeyType::Ed25519);
    let public = KeyRecord::new(signer.key.public_key().clone()).to_string();
    let zones = zones_with(&format!("{public}; t=y"));
    let message = signed(&signer, MESSAGE);
    let found = outcome(&message, &zones, &policy()).await;
    assert_eq!((found.status, found.testing, found.authenticated()), (Status::Pass, Testing::Yes, None));

    let found = outcome(&[&message[..], b"more"].concat(), &zones, &policy()).await;
    assert_eq!((found.status, found.testing), (Status::None, Testing::Yes));
    assert_eq!(found.reasons, [Reason::BodyHash]);
}

#[tokio::test]
async fn of_several_records_one_suffices() {
    let signer = signer(KeyType::Ed25519);
    let message = signed(&signer, MESSAGE);
    let public = KeyRecord::new(signer.key.public_key().clone()).to_string();
    let other = KeyRecord::new(new_key(KeyType::Ed25519).public_key().clone()).to_string();
    let zone = |records: &[&str]| {
        records.iter().fold(Zones::new(), |zones, record| zones.with("sel._domainkey.example.org", txt(record)))
    };
    for records in [[&*other, &*public], [&*public, &*other], ["v=spf1 -all", &*public], ["v=DKIM1; p=", &*public]] {
        assert_eq!(reason(&message, &zone(&records)).await, (Status::Pass, vec![]), "{records:?}");
    }
    // A key that might have made it says more than one that could not.
    let found = reason(&message, &zone(&["v=DKIM1; p=", &other, "v=DKIM1; k=ed25519; p="])).await;
    assert_eq!(found, (Status::Fail, vec![Reason::Signature]));
    // The fifth is not tried.
    let found = reason(&message, &zone(&[&other, &other, &other, &other, &public])).await;
    assert_eq!(found, (Status::Fail, vec![Reason::Signature]));
}

#[tokio::test]
async fn failures_say_what_was_changed() {
    let signer = signer(KeyType::Rsa);
    let zones = zones(&signer);
    let message = String::from_utf8(signed(&signer, MESSAGE)).unwrap();
    for (from, to, expected) in [
        ("Hi.", "Ho.", Reason::BodyHash),
        ("Subject: Dinner", "Subject: dinner", Reason::Signature),
        ("To: Sue", "X-To: Sue", Reason::Signature),
        ("t=1700000000", "t=1700000001", Reason::Signature),
        ("v=1;", "v=1; y=unknown;", Reason::Signature),
    ] {
        let changed = message.replacen(from, to, 1);
        assert_ne!(changed, message);
        assert_eq!(reason(changed.as_bytes(), &zones).await, (Status::Fail, vec![expected]), "{from}");
    }
}

/// Signs with an `l=` or other fields, which our signer never does.
fn signed_by_hand(signer: &Signer, header: &str, body: &str, fields: &str, length: Option<usize>) -> Vec<u8> {
    let canonical = Canonicalization::Relaxed.body(body.as_bytes());
    let digest = |octets: &[u8]| {
        let mut hash = AwsLcRs.sha256();
        hash.update(octets);
        hash.finish()
    };
    let encode = |octets: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, octets);
    let bh = encode(&digest(&canonical[..length.unwrap_or(canonical.len()).min(canonical.len())]));
    let l = length.map(|length| format!("l={length}; ")).unwrap_or_default();
    let own = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=sel; h={fields}; {l}bh={bh}; b="
    );
    let names: Vec<String> = fields.split(':').map(str::to_owned).collect();
    let index = HeaderIndex::new(header.as_bytes());
    let mut octets = Vec::new();
    index.select(&names, None).for_each(|field| Canonicalization::Relaxed.field(field, &mut octets));
    octets.extend_from_slice(&Canonicalization::Relaxed.header_field(own.as_bytes()));
    octets.truncate(octets.len() - 2);
    let signature = encode(&signer.key.sign(&digest(&octets)).unwrap());
    format!("{own}{signature}\r\n{header}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn what_is_signed_must_be_enough() {
    let signer = signer(KeyType::Ed25519);
    let zones = zones(&signer);
    let mut lenient = policy();
    (lenient.body_length, lenient.unsigned_fields) = (Acceptance::Accepted, Acceptance::Accepted);
    let both = "From: a@example.org\r\nSubject: x\r\n";
    for (header, fields, length, expected) in [
        (both, "from:subject", None, vec![]),
        (both, "from", None, vec![Reason::SubjectNotSigned]),
        // One can be added.
        ("From: a@example.org\r\n", "from", None, vec![Reason::SubjectNotSigned]),
        ("From: a@example.org\r\n", "from:subject", None, vec![]),
        (both, "from:subject", Some(0), vec![Reason::BodyLength]),
        (both, "from:subject", Some(7), vec![Reason::BodyLength]),
        (both, "from", Some(7), vec![Reason::BodyLength, Reason::SubjectNotSigned]),
        ("From: a@example.org\r\nFrom: b@example.org\r\n", "from:subject", None, vec![Reason::FieldAdded("From")]),
        ("From: a@example.org\r\nFrom: b@example.org\r\n", "from:from:subject", None, vec![]),
        (
            "From: a@example.org\r\nSubject: x\r\nSubject: y\r\n",
            "from:subject",
            None,
            vec![Reason::FieldAdded("Subject")],
        ),
    ] {
        let message = signed_by_hand(&signer, header, "Hello\r\n", fields, length);
        let status = if expected.is_empty() { Status::Pass } else { Status::Policy };
        assert_eq!(reason(&message, &zones).await, (status, expected), "{header}{fields} {length:?}");
        assert_eq!(outcome(&message, &zones, &lenient).await.status, Status::Pass, "{header}{fields} {length:?}");
    }
    // Whatever the policy, what is wrong is wrong.
    let longer = signed_by_hand(&signer, both, "Hello\r\n", "from:subject", Some(8));
    assert_eq!(reason(&longer, &zones).await, (Status::Fail, vec![Reason::BodyTooShort]));
    let mut other = signed_by_hand(&signer, both, "Hello\r\n", "from:subject", Some(5));
    let at = other.len() - 3;
    other[at] = b'0';
    assert_eq!(outcome(&other, &zones, &lenient).await.reasons, [Reason::BodyHash]);
    // What comes after is not covered.
    let more = [signed_by_hand(&signer, both, "Hello\r\n", "from:subject", Some(7)), b"more\r\n".to_vec()].concat();
    assert_eq!(outcome(&more, &zones, &lenient).await.status, Status::Pass);
}

#[tokio::test]
async fn a_signature_does_not_cover_itself() {
    // h= with DKIM-Signature means another one (§3.5): here there is none, then one below.
    let signer = signer(KeyType::Ed25519);
    let zones = zones(&signer);
    let header = "From: a@example.org\r\nSubject: x\r\n";
    let message = signed_by_hand(&signer, header, "", "from:subject:dkim-signature", None);
    assert_eq!(reason(&message, &zones).await.0, Status::Pass);
    let first = format!("{}{header}", field(&signer, header.as_bytes()));
    let message = signed_by_hand(&signer, &first, "", "from:subject:dkim-signature", None);
    let found = verified(&message, &zones, &policy()).await;
    assert_eq!(found.outcomes.iter().map(|outcome| outcome.status).collect::<Vec<_>>(), [Status::Pass, Status::Pass]);
    // One look-up serves both.
    assert_eq!(zones.asked().len(), 2);
}

#[tokio::test]
async fn internationalised_domains_are_looked_up_in_their_ascii_form() {
    let mut signer = signer(KeyType::Ed25519);
    signer.domain = domain("bücher.example");
    signer.identity = Some(Identity { localpart: "jürgen".into(), domain: domain("bücher.example") });
    let message = signed(&signer, "From: jürgen@bücher.example\r\nSubject: Grüße\r\n\r\n".as_bytes());
    let text = String::from_utf8(message).unwrap();
    assert!(text.contains("d=xn--bcher-kva.example;") && text.contains("i=j=C3=BCrgen@"), "{text}");
    let record = txt(&KeyRecord::new(signer.key.public_key().clone()).to_string());
    let zones = Zones::new().with("sel._domainkey.xn--bcher-kva.example", record);
    let found = outcome(text.as_bytes(), &zones, &policy()).await;
    assert_eq!((found.status, found.identity().unwrap().localpart.as_str()), (Status::Pass, "jürgen"));
}

#[tokio::test]
async fn hashes_of_another_message_are_noticed() {
    let signer = signer(KeyType::Ed25519);
    let message = signed(&signer, MESSAGE);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    let verifier = Verifier::new(&message, &mut hasher);
    let found = verifier.verify(&zones(&signer), &BodyHashes::default(), &policy()).await;
    assert_eq!(found.outcomes[0].reasons, [Reason::BodyNotHashed]);
    assert_eq!(found.outcomes[0].status, Status::Neutral);
}

#[test]
fn verifying_may_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let mut hasher = BodyHasher::new(&AwsLcRs);
    let verifier = Verifier::new(MESSAGE, &mut hasher);
    is_send(&hasher);
    let (zones, hashes, policy) = (Zones::new(), hasher.finish(), policy());
    is_send(&verifier.verify(&zones, &hashes, &policy));
    is_send(&crate::arc::verify(MESSAGE, &AwsLcRs, &zones, &policy));
    is_send(&signer(KeyType::Ed25519));
}
