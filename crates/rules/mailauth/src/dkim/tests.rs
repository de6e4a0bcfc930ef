//! Vectors of the RFCs, rules one by one, and properties of signing and verifying together.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mailstead_dns::{Authenticity, LookupErrorKind, Record, RecordType, Txt};
use mailstead_names::Domain;
use mailstead_testkit::Zones;

use super::*;
use crate::crypto::{AwsLcRs, Crypto, KeyType, PrivateKey, PublicKey, RsaPublicKey, generate_pem, read_pem};

mod limits;
mod properties;
mod rules;
mod vectors;

/// Time of signing in all tests.
const NOW: u64 = 1_700_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn no_suffix(_: &Domain) -> bool {
    false
}

fn policy() -> Policy<'static> {
    Policy::new(at(NOW + 60), &no_suffix)
}

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn txt(text: &str) -> Record {
    Record::Txt(Txt::from(text))
}

fn new_key(key_type: KeyType) -> std::sync::Arc<dyn PrivateKey> {
    read_pem(&AwsLcRs, generate_pem(&AwsLcRs, key_type).unwrap().expose()).unwrap()
}

/// A signer for example.org with the selector `sel`.
fn signer(key_type: KeyType) -> Signer {
    Signer::new(domain("example.org"), Selector::parse("sel").unwrap(), new_key(key_type))
}

/// The zone of a signer.
fn zones(signer: &Signer) -> Zones {
    zones_with(&KeyRecord::new(signer.key.public_key().clone()).to_string())
}

fn zones_with(record: &str) -> Zones {
    Zones::new().with("sel._domainkey.example.org", txt(record))
}

fn field(signer: &Signer, message: &[u8]) -> String {
    let (header, body) = split_message(message);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    signer.request(&mut hasher);
    hasher.update(body);
    signer.sign(&AwsLcRs, header, &hasher.finish(), at(NOW)).unwrap()
}

fn signed(signer: &Signer, message: &[u8]) -> Vec<u8> {
    [field(signer, message).as_bytes(), message].concat()
}

async fn verified(message: &[u8], zones: &Zones, policy: &Policy<'_>) -> Verification {
    verify(message, &AwsLcRs, zones, policy).await
}

/// The result of a message with one signature.
async fn outcome(message: &[u8], zones: &Zones, policy: &Policy<'_>) -> Outcome {
    let mut verification = verified(message, zones, policy).await;
    assert_eq!((verification.outcomes.len(), verification.ignored), (1, 0));
    verification.outcomes.remove(0)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("zones in memory do not wait"),
    }
}

const MESSAGE: &[u8] = b"From: Joe <joe@example.org>\r\nTo: Sue <sue@example.net>\r\nSubject: Dinner\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <1@example.org>\r\n\r\nHi.\r\n\r\nJoe.\r\n";
