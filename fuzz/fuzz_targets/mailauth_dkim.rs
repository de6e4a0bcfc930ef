//! DKIM and ARC: tag lists, keys, signatures, canonical forms, hashing of a body in pieces.
#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::cut;
use mailstead_mailauth::arc;
use mailstead_mailauth::crypto::{
    Crypto, Digest, KeyType, PrivateKey, PrivateKeyError, PrivateKeyForm, PublicKey, Sha256, Verdict,
};
use mailstead_mailauth::dkim::{self, BodyHash, BodyHasher, Canonicalization, KeyRecord, Signature, split_message};
use mailstead_mailauth::taglist::TagList;
use mailstead_names::Secret;

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
