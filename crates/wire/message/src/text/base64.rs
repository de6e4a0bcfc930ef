//! Base64 written in pieces of any size (RFC 2045 §6.8).

/// Octets that make a line of 76 characters.
const LINE: usize = 57;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes octets as lines of 76 characters, each ended by CRLF.
///
/// ```
/// use mailstead_message::text::Base64;
///
/// let mut encoded = Vec::new();
/// let mut encoder = Base64::default();
/// encoder.update("Grüße".as_bytes(), &mut encoded);
/// encoder.finish(&mut encoded);
/// assert_eq!(encoded, b"R3LDvMOfZQ==\r\n");
/// assert_eq!(Base64::encoded_size(7), encoded.len() as u64);
/// ```
#[derive(Debug, Default)]
pub struct Base64 {
    /// The beginning of a line.
    held: Vec<u8>,
}

impl Base64 {
    /// Octets of what so many octets are encoded to.
    #[must_use]
    pub fn encoded_size(octets: u64) -> u64 {
        let digits = octets.div_ceil(3).saturating_mul(4);
        digits.saturating_add(octets.div_ceil(LINE as u64).saturating_mul(2))
    }

    /// Takes a piece; appends the lines that are complete.
    pub fn update(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        if !self.held.is_empty() {
            let (missing, after) = piece.split_at(piece.len().min(LINE - self.held.len()));
            self.held.extend_from_slice(missing);
            rest = after;
            if self.held.len() == LINE {
                line(&self.held, out);
                self.held.clear();
            }
        }
        let lines = rest.chunks_exact(LINE);
        self.held.extend_from_slice(lines.remainder());
        lines.for_each(|octets| line(octets, out));
    }

    /// Ends the octets.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            line(&self.held, out);
        }
    }
}

fn line(octets: &[u8], out: &mut Vec<u8>) {
    for group in octets.chunks(3) {
        let octet = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).ok().and_then(|value| DIGITS.get(value));
            out.push(if place <= group.len() { digit.copied().unwrap_or(b'=') } else { b'=' });
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::structure::TransferEncoding;
    use crate::text::Transfer;

    #[test]
    fn what_rfc_4648_says() {
        for (text, expected) in
            [("", ""), ("f", "Zg==\r\n"), ("fo", "Zm8=\r\n"), ("foo", "Zm9v\r\n"), ("foobar", "Zm9vYmFy\r\n")]
        {
            let (mut encoder, mut out) = (Base64::default(), Vec::new());
            encoder.update(text.as_bytes(), &mut out);
            encoder.finish(&mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }

    proptest! {
        /// Octets come back as they were, in whatever pieces they went, and lines are as long as they may be.
        #[test]
        fn what_is_encoded_comes_back(octets in proptest::collection::vec(any::<u8>(), 0..400), piece in 1_usize..130) {
            let (mut encoder, mut out) = (Base64::default(), Vec::new());
            octets.chunks(piece).for_each(|piece| encoder.update(piece, &mut out));
            encoder.finish(&mut out);
            prop_assert_eq!(Base64::encoded_size(octets.len() as u64), out.len() as u64);
            prop_assert!(out.split(|octet| *octet == b'\n').all(|line| line.len() <= 77));
            let (mut decoder, mut decoded) = (Transfer::new(TransferEncoding::Base64), Vec::new());
            decoder.decode(&out, &mut decoded);
            decoder.finish(&mut decoded);
            prop_assert!(!decoder.is_malformed());
            prop_assert_eq!(decoded, octets);
        }
    }
}
