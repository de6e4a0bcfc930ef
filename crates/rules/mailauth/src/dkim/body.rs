//! Hashes of bodies (RFC 6376 §3.7), made while the body passes by.

use std::collections::BTreeMap;

use super::Canonicalization;
use super::canonical::Body;
use crate::crypto::{Crypto, Digest, Sha256};

/// Small pieces are gathered before they are hashed: a call costs as much as some hundred octets.
const GATHERED: usize = 4096;

/// The hash of a body, or of the beginning of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyHash {
    /// The digest.
    Digest(Digest),
    /// The body has fewer octets in canonical form than the `l=` of a signature.
    TooShort,
}

/// Hashes a body in pieces: once in each canonical form that is needed, whatever the number of signatures. The hash of a
/// beginning (`l=`) is a look at the hash of the whole when it gets there.
///
/// ```
/// # #[cfg(feature = "aws-lc-rs")] {
/// use mailstead_mailauth::crypto::AwsLcRs;
/// use mailstead_mailauth::dkim::{BodyHash, BodyHasher, Canonicalization};
///
/// let mut hasher = BodyHasher::new(&AwsLcRs);
/// hasher.request(Canonicalization::Relaxed, None);
/// for piece in [b"Hello, ".as_slice(), b"world!\r", b"\n\r\n"] {
///     hasher.update(piece);
/// }
/// let hashes = hasher.finish();
/// assert!(matches!(hashes.hash(Canonicalization::Relaxed, None), Some(BodyHash::Digest(_))));
/// assert_eq!(hashes.hash(Canonicalization::Simple, None), None);
/// # }
/// ```
#[derive(Debug)]
pub struct BodyHasher<'c> {
    crypto: &'c dyn Crypto,
    streams: Vec<(Canonicalization, Body, Stream)>,
    started: bool,
}

/// What a [`BodyHasher`] found out.
#[derive(Debug, Clone, Default)]
pub struct BodyHashes {
    hashes: BTreeMap<(Canonicalization, Option<u64>), BodyHash>,
}

impl<'c> BodyHasher<'c> {
    /// Nothing is hashed until somebody asks for it.
    pub fn new(crypto: &'c dyn Crypto) -> BodyHasher<'c> {
        BodyHasher { crypto, streams: Vec::new(), started: false }
    }

    pub(crate) fn crypto(&self) -> &'c dyn Crypto {
        self.crypto
    }

    /// Asks for a hash, of the whole body or of the first `length` octets of its canonical form. This must come before
    /// the first piece of the body; later it is ignored, and the hash will not be there.
    pub fn request(&mut self, canonicalization: Canonicalization, length: Option<u64>) {
        if self.started {
            return;
        }
        let found = self.streams.iter().position(|(of, _, _)| *of == canonicalization);
        let index = found.unwrap_or_else(|| {
            let stream = Stream::new(self.crypto.sha256());
            self.streams.push((canonicalization, Body::new(canonicalization), stream));
            self.streams.len() - 1
        });
        if let (Some(length), Some((_, _, stream))) = (length, self.streams.get_mut(index)) {
            stream.lengths.insert(length, BodyHash::TooShort);
        }
    }

    /// Takes a piece of the body as it is on the wire: what comes after the empty line that ends the header.
    pub fn update(&mut self, octets: &[u8]) {
        self.started = true;
        for (_, body, stream) in &mut self.streams {
            body.update(octets, &mut |octets| stream.write(octets));
        }
    }

    /// Ends the body.
    pub fn finish(self) -> BodyHashes {
        let mut hashes = BTreeMap::new();
        for (canonicalization, body, mut stream) in self.streams {
            body.finish(&mut |octets| stream.write(octets));
            stream.flush();
            let lengths = stream.lengths.into_iter().map(|(length, hash)| ((canonicalization, Some(length)), hash));
            hashes.extend(lengths);
            hashes.insert((canonicalization, None), BodyHash::Digest(stream.hash.finish()));
        }
        BodyHashes { hashes }
    }
}

impl BodyHashes {
    /// A hash that was asked for.
    pub fn hash(&self, canonicalization: Canonicalization, length: Option<u64>) -> Option<BodyHash> {
        self.hashes.get(&(canonicalization, length)).copied()
    }
}

/// A canonical form on its way into the hash.
struct Stream {
    hash: Box<dyn Sha256>,
    gathered: Vec<u8>,
    /// Octets hashed so far.
    hashed: u64,
    /// The beginnings that are wanted. They are found when exactly so much is hashed.
    lengths: BTreeMap<u64, BodyHash>,
}

impl Stream {
    fn new(hash: Box<dyn Sha256>) -> Stream {
        Stream { hash, gathered: Vec::with_capacity(GATHERED), hashed: 0, lengths: BTreeMap::new() }
    }

    fn write(&mut self, octets: &[u8]) {
        if self.gathered.len() + octets.len() > GATHERED {
            self.flush();
        }
        if octets.len() > GATHERED {
            self.hash(octets);
        } else {
            self.gathered.extend_from_slice(octets);
        }
    }

    fn flush(&mut self) {
        let mut gathered = std::mem::take(&mut self.gathered);
        self.hash(&gathered);
        gathered.clear();
        self.gathered = gathered;
    }

    fn hash(&mut self, mut octets: &[u8]) {
        let end = self.hashed + octets.len() as u64;
        for (length, hash) in self.lengths.range_mut(self.hashed..=end) {
            // At most the length of the octets, so it fits.
            let wanted = usize::try_from(length - self.hashed).unwrap_or(octets.len());
            let (now, rest) = octets.split_at_checked(wanted).unwrap_or((octets, &[]));
            self.hash.update(now);
            self.hashed = *length;
            octets = rest;
            *hash = BodyHash::Digest(self.hash.fork().finish());
        }
        self.hash.update(octets);
        self.hashed = end;
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("hashed", &self.hashed).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests {
    use proptest::prelude::*;

    use super::Canonicalization::{Relaxed, Simple};
    use super::*;
    use crate::crypto::AwsLcRs;

    fn sha256(octets: &[u8]) -> BodyHash {
        let mut hash = AwsLcRs.sha256();
        hash.update(octets);
        BodyHash::Digest(hash.finish())
    }

    #[test]
    fn empty_bodies_have_the_hashes_of_the_rfc() {
        // §3.4.3, §3.4.4
        for (canonicalization, hash) in [
            (Simple, "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="),
            (Relaxed, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ] {
            let mut hasher = BodyHasher::new(&AwsLcRs);
            hasher.request(canonicalization, None);
            let Some(BodyHash::Digest(digest)) = hasher.finish().hash(canonicalization, None) else { panic!() };
            assert_eq!(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest), hash);
        }
    }

    #[test]
    fn what_is_asked_for_too_late_is_not_there() {
        let mut hasher = BodyHasher::new(&AwsLcRs);
        hasher.request(Simple, None);
        hasher.update(b"a\r\n");
        hasher.request(Relaxed, None);
        let hashes = hasher.finish();
        assert_eq!(hashes.hash(Simple, None), Some(sha256(b"a\r\n")));
        assert_eq!(hashes.hash(Relaxed, None), None);
    }

    proptest! {
        #[test]
        fn beginnings_are_hashed_on_the_way(
            body in "[ab \r\n]{0,300}",
            repeat in 1_usize..60,
            lengths in proptest::collection::vec(0_u64..9000, 0..5),
            cut in 1_usize..10_000,
        ) {
            let body = body.repeat(repeat).into_bytes();
            let mut hasher = BodyHasher::new(&AwsLcRs);
            for canonicalization in Canonicalization::ALL {
                hasher.request(canonicalization, None);
                lengths.iter().for_each(|length| hasher.request(canonicalization, Some(*length)));
            }
            body.chunks(cut).for_each(|piece| hasher.update(piece));
            let hashes = hasher.finish();
            for canonicalization in Canonicalization::ALL {
                let canonical = canonicalization.body(&body);
                prop_assert_eq!(hashes.hash(canonicalization, None), Some(sha256(&canonical)));
                for length in &lengths {
                    let expected = canonical.get(..*length as usize).map_or(BodyHash::TooShort, sha256);
                    prop_assert_eq!(hashes.hash(canonicalization, Some(*length)), Some(expected));
                }
            }
        }
    }
}
