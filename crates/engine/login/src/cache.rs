//! Passwords that were right a moment ago.
//!
//! IMAP clients open a handful of connections at once and poll with new ones, and argon2id costs tens of milliseconds
//! and 19 MiB each time. So a success is remembered for some minutes: as a keyed hash, in memory only, bound to the
//! verifier that the store keeps for the account. A new password has a new verifier, so nothing remembered outlives a
//! change of password, wherever it was changed.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use mailstead_names::Secret;
use mailstead_sasl::ScramVerifier;
use mailstead_store::AccountId;
use sha2::Sha256;
use tokio::time::Instant;

/// All entries go at once, this long after the first of them came.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// More than this many are forgotten sooner.
const MAX: usize = 10_000;

/// What one success is remembered by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark([u8; 32]);

#[derive(Default)]
struct Entries {
    since: Option<Instant>,
    marks: HashSet<Mark>,
}

/// Remembered successes.
pub(crate) struct Cache {
    /// Random, and gone with the process: without it, marks could be used to guess passwords faster than argon2id
    /// permits.
    key: Secret<[u8; 32]>,
    entries: Mutex<Entries>,
}

impl Cache {
    pub(crate) fn new(key: [u8; 32]) -> Cache {
        Cache { key: Secret::new(key), entries: Mutex::default() }
    }

    /// The mark of an account, as it was when it had this verifier, with a password.
    pub(crate) fn mark(&self, account: AccountId, verifier: &ScramVerifier, password: &Secret<String>) -> Option<Mark> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose()).ok()?;
        for part in [&account.0.to_be_bytes()[..], &verifier.salt, &verifier.stored_key, password.expose().as_bytes()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Some(Mark(mac.finalize().into_bytes().into()))
    }

    pub(crate) fn contains(&self, mark: &Mark, now: Instant) -> bool {
        self.with(now, |entries| entries.marks.contains(mark))
    }

    pub(crate) fn insert(&self, mark: Mark, now: Instant) {
        self.with(now, |entries| {
            if entries.marks.len() >= MAX {
                entries.marks.clear();
            }
            entries.since.get_or_insert(now);
            entries.marks.insert(mark);
        });
    }

    fn with<T>(&self, now: Instant, f: impl FnOnce(&mut Entries) -> T) -> T {
        // A set is whole between its operations, so what a panic elsewhere left behind can be used.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.since.is_some_and(|since| now.duration_since(since) >= LIFE) {
            *entries = Entries::default();
        }
        f(&mut entries)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

#[cfg(test)]
mod tests {
    use mailstead_sasl::{SALT_LEN, ScramHash};

    use super::*;

    #[test]
    fn marks_are_of_account_verifier_and_password_and_do_not_last() {
        let cache = Cache::new([1; 32]);
        let verifier = |name| ScramVerifier::fake(ScramHash::Sha256, b"key", name, 4096);
        let mark = |account, name, password: &str| {
            cache.mark(AccountId(account), &verifier(name), &Secret::new(password.into())).unwrap()
        };
        assert_eq!(verifier("a").salt.len(), SALT_LEN);
        let now = Instant::now();
        let known = mark(1, "a", "password");
        assert!(!cache.contains(&known, now));
        cache.insert(known, now);
        assert!(cache.contains(&mark(1, "a", "password"), now + LIFE / 2));
        for other in [mark(2, "a", "password"), mark(1, "b", "password"), mark(1, "a", "Password")] {
            assert!(!cache.contains(&other, now));
        }
        // Use does not prolong it.
        cache.insert(mark(2, "a", "password"), now + LIFE / 2);
        assert!(!cache.contains(&known, now + LIFE));
        assert!(!cache.contains(&mark(2, "a", "password"), now + LIFE));
    }

    #[test]
    fn the_number_of_marks_is_bounded() {
        let cache = Cache::new([1; 32]);
        let now = Instant::now();
        for n in 0..=MAX {
            let mut octets = [0; 32];
            octets[..8].copy_from_slice(&n.to_be_bytes());
            cache.insert(Mark(octets), now);
        }
        assert_eq!(cache.with(now, |entries| entries.marks.len()), 1);
    }
}
