//! DKIM and ARC: tag lists, keys, signatures, canonical forms, hashing of a body in pieces; whole messages and chains with
//! keys out of the input, none of which makes a signature valid.
#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use mailstead_dns::{Answer, Authenticity, Lookup, Record, RecordType, Resolver, Txt};
use mailstead_fuzz::cut;
use mailstead_mailauth::arc::{self, ChainStatus};
use mailstead_mailauth::crypto::{
    Crypto, Digest, KeyType, PrivateKey, PrivateKeyError, PrivateKeyForm, PublicKey, Sha256, Verdict,
};
use mailstead_mailauth::dkim::{self, BodyHash, BodyHasher, Canonicalization, KeyRecord, Signature, split_message};
use mailstead_mailauth::taglist::TagList;
use mailstead_names::{Domain, Secret};

/// A digest that only has to be the same for the same octets.
#[derive(Debug)]
struct Sums;

#[derive(Clone, Default)]
struct Sum(Vec<u8>);

impl Sha256 for Sum {
    fn update(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    fn fork(&self) -> Box<dyn Sha256> {
        Box::new(self.clone())
    }

    fn finish(self: Box<Self>) -> Digest {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&hasher.finish().to_be_bytes());
        digest
    }
}

impl Crypto for Sums {
    fn sha256(&self) -> Box<dyn Sha256> {
        Box::new(Sum::default())
    }

    fn verify(&self, _: &PublicKey, _: &Digest, _: &[u8]) -> Verdict {
        Verdict::Invalid
    }

    fn private_key(&self, _: PrivateKeyForm, _: &[u8]) -> Result<Arc<dyn PrivateKey>, PrivateKeyError> {
        Err(PrivateKeyError::Rejected)
    }

    fn generate(&self, _: KeyType) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
        Err(PrivateKeyError::Generation)
    }
}

/// Under every name there is the last line of the input.
#[derive(Debug)]
struct Last<'a>(&'a [u8]);

impl Resolver for Last<'_> {
    fn lookup<'a>(&'a self, _: &'a Domain, _: RecordType) -> Lookup<'a> {
        let line = self.0.rsplit(|octet| *octet == b'\n').next().unwrap_or_default();
        let record = Record::Txt(Txt { strings: vec![line.to_vec()] });
        Box::pin(async { Ok(Answer::found(vec![record], Authenticity::Secure, Duration::ZERO)) })
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(list) = TagList::parse(data) {
        for tag in list.tags() {
            assert_eq!(
                std::str::from_utf8(&data[tag.span.clone()]).expect("UTF-8").trim_matches([' ', '\t', '\r', '\n']),
                tag.value
            );
        }
    }
    if let Ok(record) = KeyRecord::parse(data) {
        assert_eq!(KeyRecord::parse(&record.to_txt().joined()).as_ref(), Ok(&record));
    }
    if let Ok(signature) = Signature::parse(data) {
        assert!(signature.identity.domain.is_subdomain_of(&signature.domain));
        assert!(signature.fields.iter().any(|name| name == "from"));
    }
    let (message, pieces) = cut(data);
    let (header, body) = split_message(message);
    assert_eq!([header, body].concat(), message);
    let mut hasher = BodyHasher::new(&Sums);
    let signed = dkim::Verifier::new(header, &mut hasher).is_signed();
    let _ = (signed, arc::Verifier::new(header, &mut hasher));

    let policy = dkim::Policy::new(SystemTime::UNIX_EPOCH, &|_| false);
    let found = ready(dkim::verify(message, &Sums, &Last(data), &policy));
    assert!(found.outcomes.len() <= dkim::MOST_SIGNATURES && found.authenticated().next().is_none());
    assert!(found.outcomes.iter().all(|outcome| outcome.evidence.consulted.len() <= 1));
    let chain = ready(arc::verify(message, &Sums, &Last(data), &policy));
    assert!(chain.status != ChainStatus::Pass && chain.evidence.consulted.len() <= 2 * usize::from(arc::MOST_SETS));
    assert_eq!(chain.status == ChainStatus::Fail, chain.reason.is_some());

    // However a body is cut, its canonical form is the same, and that does not change if done again.
    let mut hasher = BodyHasher::new(&Sums);
    for canonicalization in [Canonicalization::Simple, Canonicalization::Relaxed] {
        hasher.request(canonicalization, None);
        hasher.request(canonicalization, Some(10));
    }
    pieces.for_each(|piece| hasher.update(piece));
    let hashes = hasher.finish();
    for canonicalization in [Canonicalization::Simple, Canonicalization::Relaxed] {
        let canonical = canonicalization.body(message);
        assert_eq!(canonicalization.body(&canonical), canonical);
        let digest = |octets: &[u8]| BodyHash::Digest(Box::new(Sum(octets.to_vec())).finish());
        assert_eq!(hashes.hash(canonicalization, None), Some(digest(&canonical)));
        let beginning = canonical.get(..10).map_or(BodyHash::TooShort, digest);
        assert_eq!(hashes.hash(canonicalization, Some(10)), Some(beginning));
        let field = canonicalization.header_field(header);
        assert!(field.is_empty() || field.ends_with(b"\r\n"));
    }
});
