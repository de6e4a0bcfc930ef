//! Proofs by NSEC3 records (RFC 5155 §8).

use mailstead_dns::Name;

use super::bitmap::Types;
use super::{Claim, Denial};
use crate::{Crypto, Insecure, Stop, Work};

/// Most iterations that are followed; beyond it a zone counts as insecure, and is named (RFC 9276 §3.2 asks for zero and
/// lets validators choose; 150 is where most of them draw the line).
pub const MOST_ITERATIONS: u16 = 150;

/// The hash that RFC 5155 §11 registers: SHA-1.
const HASH_SHA1: u8 = 1;
/// The only flag (§3.1.2.1).
const FLAG_OPT_OUT: u8 = 1;

/// How a zone hashes its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nsec3Parameters<'a> {
    /// Further rounds after the first.
    pub iterations: u16,
    /// What is appended in each round.
    pub salt: &'a [u8],
}

/// The hash of a name (RFC 5155 §5).
pub fn nsec3_hash(name: &Name, parameters: Nsec3Parameters<'_>, crypto: &dyn Crypto) -> [u8; 20] {
    let mut buffer = [name.as_wire(), parameters.salt].concat();
    let mut hash = crypto.sha1(&buffer);
    for _ in 0..parameters.iterations {
        buffer.clear();
        buffer.extend_from_slice(&hash);
        buffer.extend_from_slice(parameters.salt);
        hash = crypto.sha1(&buffer);
    }
    hash
}

/// An NSEC3 record: between the hash in its owner's name and the next hash there is nothing.
#[derive(Debug)]
struct Nsec3<'a> {
    hash: [u8; 20],
    next: [u8; 20],
    is_opt_out: bool,
    types: Types<'a>,
}

impl Nsec3<'_> {
    fn covers(&self, hash: &[u8; 20]) -> bool {
        if self.hash < self.next {
            self.hash < *hash && *hash < self.next
        } else {
            // The last of the chain, or the only one.
            *hash > self.hash || *hash < self.next
        }
    }
}

/// The NSEC3 records of one zone in a response, all of one way of hashing.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    zone: &'a Name,
    parameters: Option<Nsec3Parameters<'a>>,
    records: Vec<Nsec3<'a>>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(zone: &'a Name) -> Chain<'a> {
        Chain { zone, parameters: None, records: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes a record, if it can be used (RFC 5155 §8.1, §8.2).
    pub(super) fn add(&mut self, owner: &Name, data: &'a [u8]) {
        if let Some((parameters, record)) = read(owner, self.zone, data)
            && *self.parameters.get_or_insert(parameters) == parameters
        {
            self.records.push(record);
        }
    }

    fn hash(&self, name: &Name, work: &mut Work<'_>) -> Result<[u8; 20], Stop> {
        let parameters = self.parameters.unwrap_or(Nsec3Parameters { iterations: 0, salt: &[] });
        // SHA-1 takes 64 octets at a time, of which 9 are its own at the end.
        let blocks = |octets: usize| ((octets + 9).div_ceil(64)) as u32;
        let rounds = blocks(name.as_wire().len() + parameters.salt.len())
            + u32::from(parameters.iterations) * blocks(20 + parameters.salt.len());
        work.spend_hash_rounds(rounds)?;
        Ok(nsec3_hash(name, parameters, work.crypto))
    }

    fn matching(&self, hash: &[u8; 20]) -> Option<&Nsec3<'a>> {
        self.records.iter().find(|record| record.hash == *hash)
    }

    fn covering(&self, hash: &[u8; 20]) -> Option<&Nsec3<'a>> {
        self.records.iter().find(|record| record.covers(hash))
    }

    /// Why such records are not followed.
    fn excess(&self) -> Option<Insecure> {
        let iterations = self.parameters?.iterations;
        let zone = self.zone.clone();
        (iterations > MOST_ITERATIONS).then_some(Insecure::Nsec3Iterations { zone, iterations })
    }

    pub(super) fn prove(&self, claim: Claim<'_>, work: &mut Work<'_>) -> Result<Option<Denial>, Stop> {
        if let Some(excess) = self.excess() {
            return Ok(Some(Denial::Unproved(excess)));
        }
        let name = claim.name;
        let mut next_closer = self.hash(name, work)?;
        if let Some(record) = self.matching(&next_closer) {
            // §8.5, §8.6
            return Ok(claim.no_data(&record.types));
        }
        // §8.3: the longest name above that exists, and that the one below it towards the name does not.
        let (least, labels) = (self.zone.label_count(), name.label_count());
        for count in (least..labels).rev() {
            let encloser = name.ancestor(count);
            let hash = self.hash(&encloser, work)?;
            let Some(record) = self.matching(&hash) else {
                next_closer = hash;
                continue;
            };
            if record.types.ends_authority() {
                return Ok(None);
            }
            let Some(cover) = self.covering(&next_closer) else { return Ok(None) };
            if cover.is_opt_out {
                // §8.6 for DS, §9.2 for all others: something unsigned may be there.
                return Ok(Some(Denial::Unproved(Insecure::OptOut { name: name.clone() })));
            }
            return self.prove_no_wildcard(claim, &encloser, work);
        }
        Ok(None)
    }

    /// §8.4, §8.7: of the wildcard below the closest encloser.
    fn prove_no_wildcard(
        &self,
        claim: Claim<'_>,
        encloser: &Name,
        work: &mut Work<'_>,
    ) -> Result<Option<Denial>, Stop> {
        let Some(wildcard) = encloser.wildcard() else { return Ok(None) };
        let hash = self.hash(&wildcard, work)?;
        if let Some(record) = self.matching(&hash) {
            let denial = claim.no_data(&record.types);
            return Ok(denial.filter(|denial| *denial == Denial::NoData { is_delegation: false }));
        }
        Ok(self.covering(&hash).map(|_| Denial::NxDomain))
    }

    /// §8.8
    pub(super) fn prove_wildcard(
        &self,
        claim: Claim<'_>,
        base: &Name,
        work: &mut Work<'_>,
    ) -> Result<Option<Option<Insecure>>, Stop> {
        if let Some(excess) = self.excess() {
            return Ok(Some(Some(excess)));
        }
        let next_closer = claim.name.ancestor(base.label_count() + 1);
        let hash = self.hash(&next_closer, work)?;
        let opt_out = || Insecure::OptOut { name: claim.name.clone() };
        Ok(self.covering(&hash).map(|cover| cover.is_opt_out.then(opt_out)))
    }
}

fn read<'a>(owner: &Name, zone: &Name, data: &'a [u8]) -> Option<(Nsec3Parameters<'a>, Nsec3<'a>)> {
    // RFC 5155 §3.2; the owner is the hash before the name of the zone (§3).
    let (&[algorithm, flags, high, low, salt_length], rest) = data.split_first_chunk()?;
    let (salt, rest) = rest.split_at_checked(usize::from(salt_length))?;
    let (&next_length, rest) = rest.split_first()?;
    let (next, types) = rest.split_at_checked(usize::from(next_length))?;
    if algorithm != HASH_SHA1 || flags & !FLAG_OPT_OUT != 0 || owner.parent().as_ref() != Some(zone) {
        return None;
    }
    let record = Nsec3 {
        hash: decode_base32hex(owner.labels().next()?)?,
        next: next.try_into().ok()?,
        is_opt_out: flags & FLAG_OPT_OUT != 0,
        types: Types::read(types)?,
    };
    Some((Nsec3Parameters { iterations: u16::from_be_bytes([high, low]), salt }, record))
}

/// 32 characters without padding (RFC 4648 §7) to 20 octets.
fn decode_base32hex(label: &[u8]) -> Option<[u8; 20]> {
    if label.len() != 32 {
        return None;
    }
    let mut hash = [0; 20];
    for (chunk, octets) in label.chunks_exact(8).zip(hash.chunks_exact_mut(5)) {
        let mut bits = 0_u64;
        for character in chunk {
            let value = match character {
                b'0'..=b'9' => character - b'0',
                b'a'..=b'v' => character - b'a' + 10,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        octets.copy_from_slice(bits.to_be_bytes().get(3..)?);
    }
    Some(hash)
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests {
    use super::*;
    use crate::AwsLcRs;

    #[test]
    fn hashes_of_rfc_5155() {
        // Appendix A.
        let parameters = Nsec3Parameters { iterations: 12, salt: &[0xaa, 0xbb, 0xcc, 0xdd] };
        for (name, hash) in [
            ("example", b"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example", b"35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("*.w.example", b"r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
            ("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", b"kohar7mbb8dc2ce8a9qvl8hon4k53uhi"),
        ] {
            let computed = nsec3_hash(&Name::parse(name).unwrap(), parameters, &AwsLcRs);
            assert_eq!(Some(computed), decode_base32hex(hash), "{name}");
        }
        assert_eq!(decode_base32hex(b"0p9mhaveqvm6t7vbl5lop2u3t2rp3tow"), None);
        assert_eq!(decode_base32hex(b"0p9m"), None);
    }
}
