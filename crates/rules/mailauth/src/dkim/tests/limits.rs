//! Hostile input stays within limits of time and number.

use std::time::Instant;

use super::*;

/// Far more than any of this takes, and far less than what it would take without limits.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn thousands_of_signatures() {
    let signer = signer(KeyType::Ed25519);
    let own = field(&signer, MESSAGE);
    let mut message = Vec::new();
    for number in 0..5000 {
        message.extend_from_slice(own.replace("s=sel", &format!("s=s{number}")).as_bytes());
    }
    message.extend_from_slice(MESSAGE);
    let start = Instant::now();
    let zones = zones(&signer);
    let found = verified(&message, &zones, &policy()).await;
    assert_eq!((found.outcomes.len(), found.ignored), (MOST_SIGNATURES, 5000 - MOST_SIGNATURES));
    // The ones at the top.
    let selectors: Vec<_> =
        found.outcomes.iter().map(|outcome| outcome.selector.clone().unwrap().to_string()).collect();
    assert_eq!(selectors, (0..MOST_SIGNATURES).map(|number| format!("s{number}")).collect::<Vec<_>>());
    assert_eq!(zones.asked().len(), MOST_SIGNATURES);
    assert!(start.elapsed() < SOON);
}

#[tokio::test]
async fn huge_keys() {
    let signer = signer(KeyType::Rsa);
    let message = signed(&signer, MESSAGE);
    for record in [format!("v=DKIM1; p={}", "A".repeat(1 << 20)), format!("v=DKIM1; p=; n={}", "x".repeat(1 << 20))] {
        let zones = zones_with(&record);
        let found = outcome(&message, &zones, &policy()).await;
        assert_eq!(found.reasons, [Reason::KeyRecord(KeyRecordError::TooLong)]);
        assert_eq!(zones.asked().len(), 1);
        assert!(format!("{:?}", found.evidence).len() < 20_000);
    }
}

#[tokio::test]
async fn many_records() {
    let signer = signer(KeyType::Rsa);
    let other = KeyRecord::new(new_key(KeyType::Rsa).public_key().clone()).to_string();
    let zones = (0..1000).fold(Zones::new(), |zones, _| zones.with("sel._domainkey.example.org", txt(&other)));
    let found = outcome(&signed(&signer, MESSAGE), &zones, &policy()).await;
    assert_eq!(found.reasons, [Reason::Signature]);
    assert_eq!(zones.asked().len(), 1);
    assert!(format!("{:?}", found.evidence).len() < 40_000);
}

#[tokio::test]
async fn headers_that_name_or_have_too_much() {
    let signer = signer(KeyType::Ed25519);
    let zones = zones(&signer);
    let own = field(&signer, MESSAGE);
    // A field that is too long is not read at all.
    let long = own.replace("h=from", &format!("h={}from", "a:".repeat(40_000)));
    let found = outcome(&[long.as_bytes(), MESSAGE].concat(), &zones, &policy()).await;
    assert_eq!(found.reasons, [Reason::FieldTooLong]);
    // Ten thousand names on a hundred thousand fields, eight times.
    let wide = own.replace("h=from", &format!("h={}from", "x:".repeat(30_000)));
    let message = [wide.repeat(8).as_bytes(), "X: y\r\n".repeat(100_000).as_bytes(), MESSAGE].concat();
    let start = Instant::now();
    let found = verified(&message, &zones, &policy()).await;
    assert!(found.outcomes.iter().all(|outcome| outcome.reasons == [Reason::Signature]));
    assert!(start.elapsed() < SOON);
}

#[tokio::test]
async fn bodies_of_line_ends() {
    let mut signer = signer(KeyType::Ed25519);
    let start = Instant::now();
    for canonicalization in [Canonicalization::Simple, Canonicalization::Relaxed] {
        signer.body_canonicalization = canonicalization;
        let message = [MESSAGE, &b" \r\n".repeat(300_000)].concat();
        let message = signed(&signer, &message);
        assert_eq!(outcome(&message, &zones(&signer), &policy()).await.status, Status::Pass);
    }
    assert!(start.elapsed() < SOON);
}
