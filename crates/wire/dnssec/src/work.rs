//! How much may be spent on one look-up, whoever wrote the answers (KeyTrap: CVE-2023-50387, CVE-2023-50868).
//!
//! A [`Budget`] is for as much as its owner makes it last. The resolver of `mailstead-net` has one for the answer and one
//! for each name that it establishes on the chain of trust, because what is found there is kept and serves others too.

use crate::Crypto;

/// Most signatures that one budget pays for. An honest chain of eight aliases
/// through eight zones takes some 30; at 0.3 ms for the slowest algorithm all of them are 20 ms.
pub const MOST_SIGNATURES: u32 = 64;
/// Most rounds of SHA-1 that one budget pays for. A name of 127 labels at 150 iterations takes 19,000; this is some 10 ms.
pub const MOST_HASH_ROUNDS: u32 = 40_000;
/// Most keys of one tag and algorithm that are tried for one signature. More than two of a tag do not happen by chance.
pub(crate) const MOST_KEYS_OF_A_TAG: usize = 3;
/// Most signatures over one set of records that are tried.
pub(crate) const MOST_SIGNATURES_OF_A_SET: usize = 8;
/// Most digests that are made to find the keys that a parent vouches for.
pub const MOST_DIGESTS: u32 = 64;
/// Most NSEC or NSEC3 records of one answer that are looked at; the longest honest proof has four.
pub(crate) const MOST_PROOF_RECORDS: usize = 8;

/// Answering would take more work than is allowed for one look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("validating the answer would take more work than is allowed")]
pub struct TooMuchWork;

/// What is left to spend on a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    signatures: u32,
    hash_rounds: u32,
    digests: u32,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { signatures: MOST_SIGNATURES, hash_rounds: MOST_HASH_ROUNDS, digests: MOST_DIGESTS }
    }
}

impl Budget {
    /// How many signatures have been checked.
    pub fn signatures_spent(&self) -> u32 {
        MOST_SIGNATURES - self.signatures
    }

    /// How many rounds of SHA-1 have been made.
    pub fn hash_rounds_spent(&self) -> u32 {
        MOST_HASH_ROUNDS - self.hash_rounds
    }
}

/// What a step of validation works with.
#[derive(Debug)]
pub struct Work<'a> {
    /// The cryptography.
    pub crypto: &'a dyn Crypto,
    /// The time: seconds since 1970.
    pub now: u64,
    /// What is left to spend.
    pub budget: &'a mut Budget,
}

impl Work<'_> {
    pub(crate) fn spend_signature(&mut self) -> Result<(), TooMuchWork> {
        spend(&mut self.budget.signatures, 1)
    }

    pub(crate) fn spend_digest(&mut self) -> Result<(), TooMuchWork> {
        spend(&mut self.budget.digests, 1)
    }

    pub(crate) fn spend_hash_rounds(&mut self, rounds: u32) -> Result<(), TooMuchWork> {
        spend(&mut self.budget.hash_rounds, rounds)
    }
}

fn spend(left: &mut u32, amount: u32) -> Result<(), TooMuchWork> {
    *left = left.checked_sub(amount).ok_or(TooMuchWork)?;
    Ok(())
}
