//! Signatures over sets of records (RFC 4035 §5.3).

use std::cmp::Reverse;

use mailstead_dns::{Name, RrSet, Rrsig};

use crate::work::{MOST_KEYS_OF_A_TAG, MOST_SIGNATURES_OF_A_SET};
use crate::{Bogus, Dnskey, SignatureFault, Stop, Verdict, Work, ZoneKeys, is_supported_algorithm};

/// How far a clock may be off before signatures are too old or too new. RFC 4035 §5.3.1 knows no such grace, but signers
/// begin validity at the very moment of signing, and clocks of mail servers are no better than others.
pub const CLOCK_GRACE: u32 = 300;

/// A set of records that a zone's key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The zone.
    pub zone: Name,
    /// Tag of the key.
    pub key_tag: u16,
    /// Algorithm of the key.
    pub algorithm: u8,
    /// When the signature expires: seconds since 1970 modulo 2^32.
    pub expiration: u32,
    /// How long the records may be kept, in seconds (RFC 4035 §5.3.3).
    pub ttl: u32,
    /// The name above the wildcard that the records were made from, if they were (§5.3.4).
    pub wildcard_base: Option<Name>,
}

/// Checks that a zone has signed these records.
pub(crate) fn verify(set: &RrSet, keys: &ZoneKeys, work: &mut Work<'_>) -> Result<Signed, Stop> {
    let mut fault = SignatureFault::Missing;
    let by_zone = set.signatures.iter().filter(|signature| signature.signer == keys.zone);
    for signature in by_zone.take(MOST_SIGNATURES_OF_A_SET) {
        match verify_one(set, signature, keys, work)? {
            Ok(signed) => return Ok(signed),
            // What came closest is the most useful to know.
            Err(found) => fault = std::cmp::max_by_key(fault, found, closeness),
        }
    }
    Err(Stop::Bogus(Bogus::Signature { name: set.owner.clone(), rtype: set.rtype, fault }))
}

fn closeness(fault: &SignatureFault) -> (u8, Reverse<u32>) {
    match fault {
        SignatureFault::Missing => (0, Reverse(0)),
        SignatureFault::Unsupported => (1, Reverse(0)),
        SignatureFault::Mismatch => (2, Reverse(0)),
        SignatureFault::NoKey { .. } => (3, Reverse(0)),
        SignatureFault::Expired { ago: span } | SignatureFault::NotYetValid { ahead: span } => (4, Reverse(*span)),
        SignatureFault::Wrong { .. } => (5, Reverse(0)),
    }
}

fn verify_one(
    set: &RrSet,
    signature: &Rrsig,
    keys: &ZoneKeys,
    work: &mut Work<'_>,
) -> Result<Result<Signed, SignatureFault>, Stop> {
    if !is_supported_algorithm(signature.algorithm) {
        return Ok(Err(SignatureFault::Unsupported));
    }
    if signature.type_covered != set.rtype {
        return Ok(Err(SignatureFault::Mismatch));
    }
    // RFC 4035 §5.3.1: the owner lies within the zone and has no fewer labels than were signed.
    let labels = set.owner.label_count();
    let signed_labels = usize::from(signature.labels);
    let own_labels = labels - usize::from(set.owner.is_wildcard());
    if signed_labels > own_labels || signed_labels < keys.zone.label_count() || !set.owner.is_within(&keys.zone) {
        return Ok(Err(SignatureFault::Mismatch));
    }
    if let Err(fault) = check_validity(signature, work.now) {
        return Ok(Err(fault));
    }
    let (key_tag, algorithm) = (signature.key_tag, signature.algorithm);
    let mut candidates = keys.keys_of(key_tag, algorithm).take(MOST_KEYS_OF_A_TAG).peekable();
    if candidates.peek().is_none() {
        return Ok(Err(SignatureFault::NoKey { key_tag, algorithm }));
    }
    let wildcard_base = (signed_labels < own_labels).then(|| set.owner.ancestor(signed_labels));
    let message = signed_data(set, signature, wildcard_base.as_ref());
    for key in candidates {
        work.spend_signature()?;
        if work.crypto.verify(algorithm, &key.public_key, &message, &signature.signature) == Verdict::Valid {
            // §5.3.3: no longer than the zone says, and not beyond the signature's own end.
            let left = signature.expiration.wrapping_add(CLOCK_GRACE).wrapping_sub(work.now as u32);
            return Ok(Ok(Signed {
                zone: keys.zone.clone(),
                key_tag,
                algorithm,
                expiration: signature.expiration,
                ttl: set.ttl.min(signature.original_ttl).min(left),
                wildcard_base,
            }));
        }
    }
    Ok(Err(SignatureFault::Wrong { key_tag, algorithm }))
}

/// Whether this key has made this signature over the keys of its own zone, and it is within its time.
pub(crate) fn is_own(set: &RrSet, signature: &Rrsig, key: &Dnskey, work: &mut Work<'_>) -> Result<bool, Stop> {
    let is_own = signature.type_covered == set.rtype
        && signature.signer == set.owner
        && signature.algorithm == key.algorithm
        && usize::from(signature.labels) == set.owner.label_count()
        && check_validity(signature, work.now).is_ok()
        && signature.key_tag == key.key_tag();
    if !is_own {
        return Ok(false);
    }
    work.spend_signature()?;
    let message = signed_data(set, signature, None);
    Ok(work.crypto.verify(key.algorithm, &key.public_key, &message, &signature.signature) == Verdict::Valid)
}

/// RFC 4034 §3.1.5: times are serial numbers (RFC 1982), so the sign of the difference counts.
fn check_validity(signature: &Rrsig, now: u64) -> Result<(), SignatureFault> {
    let now = now as u32;
    let late = now.wrapping_sub(signature.expiration) as i32;
    if late > CLOCK_GRACE as i32 {
        return Err(SignatureFault::Expired { ago: late.unsigned_abs() });
    }
    let early = signature.inception.wrapping_sub(now) as i32;
    if early > CLOCK_GRACE as i32 {
        return Err(SignatureFault::NotYetValid { ahead: early.unsigned_abs() });
    }
    // Validity that ends before it begins is none (RFC 8914 §4.26).
    if (signature.expiration.wrapping_sub(signature.inception) as i32) < 0 {
        return Err(SignatureFault::Mismatch);
    }
    Ok(())
}

/// RFC 4034 §3.1.8.1.
fn signed_data(set: &RrSet, signature: &Rrsig, wildcard_base: Option<&Name>) -> Vec<u8> {
    let mut data = signature.signed_prefix();
    let wildcard = wildcard_base.and_then(Name::wildcard);
    let owner = wildcard.as_ref().unwrap_or(&set.owner).as_wire();
    let length: usize = set.data.iter().map(|data| data.len() + owner.len() + 10).sum();
    data.reserve(length);
    for record in &set.data {
        data.extend_from_slice(owner);
        data.extend(set.rtype.0.to_be_bytes());
        data.extend([0, 1]);
        data.extend(signature.original_ttl.to_be_bytes());
        data.extend((record.len() as u16).to_be_bytes());
        data.extend_from_slice(record);
    }
    data
}
