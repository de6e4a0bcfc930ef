//! Randomness behind an object-safe trait, so that tests can be repeated.

use std::fmt::Debug;

/// Source of random octets fit for keys, salts and nonces.
pub trait Random: Debug + Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Random {
    /// `N` random octets.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut octets = [0; N];
        self.fill(&mut octets);
        octets
    }

    /// A random number.
    #[must_use]
    pub fn number(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number below `bound`, each equally likely. Zero when `bound` is zero.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Values above the last whole multiple of `bound` would favour the small results.
        let fair = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.number();
            if drawn < fair {
                return drawn % bound;
            }
        }
    }

    /// `length` characters out of a-z and 0-9 without the ones that are easily confused, for passwords
    /// and names that people type.
    #[must_use]
    pub fn word(&self, length: usize) -> String {
        const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
        // 32 characters: five bits of each octet, so no bias.
        let mut octets = vec![0; length];
        self.fill(&mut octets);
        octets.iter().map(|octet| char::from(ALPHABET[usize::from(octet & 31)])).collect()
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// When the operating system has no randomness: nothing that follows would be safe.
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system provides randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below() {
        let random: &dyn Random = &SystemRandom;
        assert!((0..1000).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn words_have_the_asked_length_and_differ() {
        let random: &dyn Random = &SystemRandom;
        let (one, two) = (random.word(16), random.word(16));
        assert_eq!(one.len(), 16);
        assert_ne!(one, two);
        assert!(one.bytes().all(|c| c.is_ascii_alphanumeric()));
    }
}
