//! Cryptography that remembers, counts, or believes everything.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use mailstead_dnssec::{AwsLcRs, Crypto, Verdict};

/// Remembers verdicts, because tests check the same signatures again and again.
#[derive(Debug, Default)]
pub(crate) struct Remembering {
    verdicts: Mutex<HashMap<u64, Verdict>>,
    hasher: RandomState,
}

impl Crypto for Remembering {
    fn verify(&self, algorithm: u8, public_key: &[u8], message: &[u8], signature: &[u8]) -> Verdict {
        let key = self.hasher.hash_one((algorithm, public_key, message, signature));
        if let Some(verdict) = self.verdicts.lock().unwrap().get(&key) {
            return *verdict;
        }
        let verdict = AwsLcRs.verify(algorithm, public_key, message, signature);
        self.verdicts.lock().unwrap().insert(key, verdict);
        verdict
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        AwsLcRs.digest(digest_type, data)
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        AwsLcRs.sha1(data)
    }
}

/// Counts what it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    crypto: Remembering,
    pub(crate) signatures: AtomicU32,
    pub(crate) digests: AtomicU32,
    /// Blocks of 64 octets that SHA-1 works through, its own padding of at least nine octets included.
    pub(crate) hash_blocks: AtomicU32,
}

impl Counting {
    /// Signatures, digests and blocks of SHA-1 since the last time.
    pub(crate) fn take(&self) -> [u32; 3] {
        [&self.signatures, &self.digests, &self.hash_blocks].map(|count| count.swap(0, Ordering::Relaxed))
    }
}

impl Crypto for Counting {
    fn verify(&self, algorithm: u8, public_key: &[u8], message: &[u8], signature: &[u8]) -> Verdict {
        self.signatures.fetch_add(1, Ordering::Relaxed);
        self.crypto.verify(algorithm, public_key, message, signature)
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        self.digests.fetch_add(1, Ordering::Relaxed);
        self.crypto.digest(digest_type, data)
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        self.hash_blocks.fetch_add((data.len() + 9).div_ceil(64) as u32, Ordering::Relaxed);
        self.crypto.sha1(data)
    }
}

/// Gives the same verdict on every signature: the mutant that a test must not survive, or the one to which nothing is
/// proved.
#[derive(Debug)]
pub(crate) struct Always(pub(crate) Verdict);

impl Crypto for Always {
    fn verify(&self, _: u8, _: &[u8], _: &[u8], _: &[u8]) -> Verdict {
        self.0
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        AwsLcRs.digest(digest_type, data)
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        AwsLcRs.sha1(data)
    }
}
