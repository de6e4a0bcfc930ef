//! Verifying the signatures of a message (RFC 6376 §6.1).

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mailstead_dns::{Authenticity, Resolver};
use mailstead_message::Field;
use mailstead_names::Domain;

use super::{
    Algorithm, BodyHash, BodyHasher, BodyHashes, FoundKeys, HeaderIndex, Identity, KeyRecord, Reason, Selector,
    Signature, Status, key_name, look_up, signature, split_message,
};
use crate::Evidence;
use crate::crypto::{Crypto, Digest, KeyType, Verdict};
use crate::dkim::signature::list;

/// Signatures that are verified, from the top of the header, where the last ones were added. A message through two
/// mailing lists and a service for newsletters, all of them signing with both algorithms, has eight; more than that costs
/// look-ups without adding anybody whom a reader knows.
pub const MOST_SIGNATURES: usize = 8;

/// Clocks are not all right (§3.5, `x=`).
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// RFC 8301 §3.2
const LEAST_RSA_BITS: usize = crate::crypto::LEAST_RSA_BITS;

/// What to make of a valid signature that covers too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Its result is [`Status::Policy`].
    Refused,
    /// It passes.
    Accepted,
}

/// What a verifier must know besides the message, and what it may decide (§6.1.1, §6.3).
#[derive(Clone)]
#[non_exhaustive]
pub struct Policy<'p> {
    /// When the message came in, which decides about expiry.
    pub now: SystemTime,
    /// Whether a domain is a public suffix such as `com` or `co.uk`, or above one: whoever signs as such says nothing.
    pub is_public_suffix: &'p (dyn Fn(&Domain) -> bool + Sync),
    /// Signatures of only the beginning of the body (`l=`, §8.2).
    pub body_length: Acceptance,
    /// Signatures without Subject, or of fewer From and Subject fields than there are (§8.15).
    pub unsigned_fields: Acceptance,
    /// The service that keys must be for (§3.6.1, `s=`).
    pub service: &'p str,
}

impl<'p> Policy<'p> {
    /// The strict one, for mail.
    pub fn new(now: SystemTime, is_public_suffix: &'p (dyn Fn(&Domain) -> bool + Sync)) -> Policy<'p> {
        Policy {
            now,
            is_public_suffix,
            body_length: Acceptance::Refused,
            unsigned_fields: Acceptance::Refused,
            service: "email",
        }
    }

    pub(crate) fn is_expired(&self, expires: Option<u64>) -> bool {
        let now = self.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        expires.is_some_and(|expires| now.saturating_sub(CLOCK_SKEW).as_secs() > expires)
    }
}

impl std::fmt::Debug for Policy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("now", &self.now)
            .field("body_length", &self.body_length)
            .field("unsigned_fields", &self.unsigned_fields)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// Whether the key of a signature is one for tests (§3.6.1, `t=y`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Testing {
    /// The message must not be treated differently from an unsigned one, whatever the result.
    Yes,
    /// The result counts.
    No,
}

/// What came of one signature.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The result.
    pub status: Status,
    /// Why it is not [`Status::Pass`]. Where a key for tests made it [`Status::None`], what it would have been otherwise
    /// follows from them.
    pub reasons: Vec<Reason>,
    /// `d=`, as far as it could be read.
    pub domain: Option<Domain>,
    /// `s=`, as far as it could be read.
    pub selector: Option<Selector>,
    /// The signature, if all of it could be read.
    pub signature: Option<Signature>,
    /// The key that was decisive, if there was one.
    pub key: Option<KeyRecord>,
    /// Whether that is one for tests.
    pub testing: Testing,
    /// Whether DNSSEC proved the key record, or that there is none.
    pub authenticity: Authenticity,
    /// What was asked for the key.
    pub evidence: Evidence,
}

impl Outcome {
    /// Type and size in bits of the key.
    pub fn key_size(&self) -> Option<(KeyType, usize)> {
        let key = self.key.as_ref()?.public_key()?;
        Some((key.key_type(), key.bits()))
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.signature.as_ref().map(|signature| signature.algorithm)
    }

    /// The domain that takes responsibility for the message; nothing unless the signature passes and its key is not one
    /// for tests. This is what decisions are made with.
    pub fn authenticated(&self) -> Option<&Domain> {
        let counts = self.status == Status::Pass && self.testing == Testing::No;
        self.domain.as_ref().filter(|_| counts)
    }

    /// The identity on behalf of which the domain does so (§3.11).
    pub fn identity(&self) -> Option<&Identity> {
        self.signature.as_ref().map(|signature| &signature.identity)
    }
}

/// What came of all signatures of a message.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Verification {
    /// One for each signature, from the top of the header.
    pub outcomes: Vec<Outcome>,
    /// How many more there are that were not looked at ([`MOST_SIGNATURES`]).
    pub ignored: usize,
}

impl Verification {
    /// The domains that take responsibility for the message ([`Outcome::authenticated`]).
    pub fn authenticated(&self) -> impl Iterator<Item = &Domain> {
        self.outcomes.iter().filter_map(Outcome::authenticated)
    }
}

/// The signatures of a header, ready to be verified once the body has been hashed.
#[derive(Debug)]
pub struct Verifier<'h, 'c> {
    crypto: &'c dyn Crypto,
    index: HeaderIndex<'h>,
    candidates: Vec<Candidate<'h>>,
    ignored: usize,
}

#[derive(Debug)]
struct Candidate<'h> {
    field: Field<'h>,
    /// Where in its value the signature proper is.
    own: Range<usize>,
    domain: Option<Domain>,
    selector: Option<Selector>,
    parsed: Result<Signature, Reason>,
}

impl<'h, 'c> Verifier<'h, 'c> {
    /// Reads the signatures of a header, which may have its empty line and more after it, and asks for the hashes of the
    /// body that they need.
    pub fn new(header: &'h [u8], body: &mut BodyHasher<'c>) -> Verifier<'h, 'c> {
        let index = HeaderIndex::new(header);
        let fields = index.named("dkim-signature");
        let candidates: Vec<_> = fields.iter().rev().take(MOST_SIGNATURES).map(|field| candidate(*field)).collect();
        for signature in candidates.iter().filter_map(|candidate| candidate.parsed.as_ref().ok()) {
            if signature.algorithm != Algorithm::RsaSha1 {
                body.request(signature.body_canonicalization, signature.body_length);
            }
        }
        let ignored = fields.len().saturating_sub(MOST_SIGNATURES);
        Verifier { crypto: body.crypto(), index, candidates, ignored }
    }

    /// Whether there is anything to verify. If not, the body need not be hashed for it.
    pub fn is_signed(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// Looks the keys up, all at once, and verifies. `body` comes from the hasher that was given to [`Verifier::new`].
    pub async fn verify(&self, resolver: &dyn Resolver, body: &BodyHashes, policy: &Policy<'_>) -> Verification {
        let names: Vec<Result<Domain, Reason>> =
            self.candidates.iter().map(|candidate| candidate.key_name(policy)).collect();
        let keys = look_up(resolver, names.iter().filter_map(|name| name.as_ref().ok()).cloned()).await;
        let outcomes = self.candidates.iter().zip(names).map(|(candidate, name)| {
            let outcome = match name.map(|name| keys.get(&name)) {
                Ok(Some(keys)) => self.outcome(candidate, keys, body, policy),
                Ok(None) => candidate.outcome(vec![Reason::NoKey]),
                Err(reason) => candidate.outcome(vec![reason]),
            };
            tracing::debug!(
                status = %outcome.status,
                domain = outcome.domain.as_ref().map(Domain::as_ascii),
                reasons = ?outcome.reasons,
                "DKIM signature verified"
            );
            outcome
        });
        Verification { outcomes: outcomes.collect(), ignored: self.ignored }
    }

    fn outcome(&self, candidate: &Candidate<'_>, keys: &FoundKeys, body: &BodyHashes, policy: &Policy<'_>) -> Outcome {
        let Ok(signature) = &candidate.parsed else { return candidate.outcome(Vec::new()) };
        let digest = header_digest(self.crypto, &self.index, signature, &candidate.field, &candidate.own);
        let signed = Signed {
            algorithm: signature.algorithm,
            digest: &digest,
            signature: &signature.signature,
            identity: Some((&signature.identity, &signature.domain)),
            body: Some((&signature.body_hash, body.hash(signature.body_canonicalization, signature.body_length))),
        };
        let (result, key) = check(self.crypto, keys, policy.service, &signed);
        let reasons = match result {
            Ok(()) => policy_reasons(signature, &self.index, policy),
            Err(reason) => vec![reason],
        };
        let mut outcome = candidate.outcome(reasons);
        outcome.authenticity = keys.evidence.authenticity();
        outcome.evidence = keys.evidence.clone();
        if key.is_some_and(KeyRecord::is_testing) {
            outcome.testing = Testing::Yes;
            // §3.6.1: not different from unsigned. A good signature is still told as such; that nobody relies on it is
            // the business of `authenticated`.
            if outcome.status != Status::Pass {
                outcome.status = Status::None;
            }
        }
        outcome.key = key.cloned();
        outcome
    }
}

fn candidate<'h>(field: Field<'h>) -> Candidate<'h> {
    let list = match list(field.value()) {
        Ok(list) => list,
        Err(reason) => return Candidate { field, own: 0..0, domain: None, selector: None, parsed: Err(reason) },
    };
    Candidate {
        field,
        own: list.tag("b").map(|tag| tag.span.clone()).unwrap_or_default(),
        domain: signature::domain(&list).ok(),
        selector: signature::selector(&list).ok(),
        parsed: Signature::from_list(&list),
    }
}

impl Candidate<'_> {
    /// Where the key is, unless it is not needed to know the result.
    fn key_name(&self, policy: &Policy<'_>) -> Result<Domain, Reason> {
        let signature = self.parsed.as_ref().map_err(Clone::clone)?;
        acceptable(signature, policy)?;
        key_name(&signature.selector, &signature.domain)
    }

    fn outcome(&self, reasons: Vec<Reason>) -> Outcome {
        Outcome {
            status: reasons.first().map_or(Status::Pass, Reason::status),
            reasons,
            domain: self.domain.clone(),
            selector: self.selector.clone(),
            signature: self.parsed.as_ref().ok().cloned(),
            key: None,
            testing: Testing::No,
            authenticity: Authenticity::Insecure,
            evidence: Evidence::default(),
        }
    }
}

/// What makes a signature worthless before its key is known (§6.1.1).
pub(crate) fn acceptable(signature: &Signature, policy: &Policy<'_>) -> Result<(), Reason> {
    if signature.algorithm == Algorithm::RsaSha1 {
        return Err(Reason::HistoricAlgorithm);
    }
    if policy.is_expired(signature.expires) {
        return Err(Reason::Expired);
    }
    if (policy.is_public_suffix)(&signature.domain) {
        return Err(Reason::PublicSuffix);
    }
    Ok(())
}

/// What makes a valid signature unacceptable.
pub(crate) fn policy_reasons(signature: &Signature, index: &HeaderIndex<'_>, policy: &Policy<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if signature.body_length.is_some() && policy.body_length == Acceptance::Refused {
        reasons.push(Reason::BodyLength);
    }
    if policy.unsigned_fields == Acceptance::Refused {
        let signed = |name: &str| signature.fields.iter().filter(|field| *field == name).count();
        if signed("subject") == 0 {
            reasons.push(Reason::SubjectNotSigned);
        }
        for (name, lower) in [("From", "from"), ("Subject", "subject")] {
            if (1..index.count(lower)).contains(&signed(lower)) {
                reasons.push(Reason::FieldAdded(name));
            }
        }
    }
    reasons
}

/// Hash step 2 (§3.7).
pub(crate) fn header_digest(
    crypto: &dyn Crypto,
    index: &HeaderIndex<'_>,
    signature: &Signature,
    field: &Field<'_>,
    own: &Range<usize>,
) -> Digest {
    let canonicalization = signature.header_canonicalization;
    let mut octets = Vec::with_capacity(4096);
    for field in index.select(&signature.fields, Some(field)) {
        canonicalization.field(field, &mut octets);
    }
    canonicalization.own_field(field, own, &mut octets);
    let mut hash = crypto.sha256();
    hash.update(&octets);
    hash.finish()
}

/// What a key is held against.
#[derive(Debug)]
pub(crate) struct Signed<'s> {
    pub(crate) algorithm: Algorithm,
    pub(crate) digest: &'s Digest,
    pub(crate) signature: &'s [u8],
    /// `i=` and `d=`, where there is an `i=`.
    pub(crate) identity: Option<(&'s Identity, &'s Domain)>,
    /// What the hash of the body should be, and what it is.
    pub(crate) body: Option<(&'s [u8], Option<BodyHash>)>,
}

/// Tries the keys one after the other (§6.1.2, §6.1.3); the key given is the one that the result is due to.
pub(crate) fn check<'k>(
    crypto: &dyn Crypto,
    keys: &'k FoundKeys,
    service: &str,
    signed: &Signed<'_>,
) -> (Result<(), Reason>, Option<&'k KeyRecord>) {
    let records = match &keys.records {
        Ok(records) => records,
        Err(reason) => return (Err(reason.clone()), None),
    };
    let mut failure: Option<(Reason, &KeyRecord)> = None;
    for record in records {
        match check_one(crypto, record, service, signed) {
            Ok(()) => return (Ok(()), Some(record)),
            // A key that was suitable says more than one that was not.
            Err(reason) => {
                let suitable = |reason: &Reason| reason.status() == Status::Fail;
                if failure.as_ref().is_none_or(|(before, _)| !suitable(before) && suitable(&reason)) {
                    failure = Some((reason, record));
                }
            }
        }
    }
    match failure {
        Some((reason, record)) => (Err(reason), Some(record)),
        None => (Err(Reason::NoKey), None),
    }
}

fn check_one(crypto: &dyn Crypto, record: &KeyRecord, service: &str, signed: &Signed<'_>) -> Result<(), Reason> {
    if !record.allows_service(service) {
        return Err(Reason::KeyService);
    }
    // §6.1.2 step 6
    if !record.allows_hash("sha256") {
        return Err(Reason::KeyHash);
    }
    // Step 7
    let key = record.public_key().ok_or(Reason::KeyRevoked)?;
    // Step 8
    if key.key_type() != signed.algorithm.key_type() {
        return Err(Reason::KeyType(key.key_type()));
    }
    if key.key_type() == KeyType::Rsa && key.bits() < LEAST_RSA_BITS {
        return Err(Reason::KeyTooShort(key.bits()));
    }
    // §3.10
    if let Some((identity, domain)) = signed.identity
        && record.is_strict()
        && identity.domain != *domain
    {
        return Err(Reason::KeyStrict);
    }
    // §6.1.3 step 3
    if let Some((expected, found)) = signed.body {
        match found {
            Some(BodyHash::Digest(digest)) if digest.as_slice() == expected => {}
            Some(BodyHash::Digest(_)) => return Err(Reason::BodyHash),
            Some(BodyHash::TooShort) => return Err(Reason::BodyTooShort),
            None => return Err(Reason::BodyNotHashed),
        }
    }
    // Step 4
    match crypto.verify(key, signed.digest, signed.signature) {
        Verdict::Valid => Ok(()),
        Verdict::Invalid => Err(Reason::Signature),
    }
}

/// Verifies the signatures of a message that is in memory.
pub async fn verify(message: &[u8], crypto: &dyn Crypto, resolver: &dyn Resolver, policy: &Policy<'_>) -> Verification {
    let (header, body) = split_message(message);
    let mut hasher = BodyHasher::new(crypto);
    let verifier = Verifier::new(header, &mut hasher);
    hasher.update(body);
    verifier.verify(resolver, &hasher.finish(), policy).await
}
