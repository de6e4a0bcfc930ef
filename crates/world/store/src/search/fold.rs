//! Folding of text for comparison: what SEARCH calls "case-insensitive".
//!
//! The comparator is that of `i;unicode-casemap` (RFC 5051, which RFC 5255 §4.1 asks of SEARCH): full
//! decomposition, then case removed. It is applied with Unicode's full case mappings instead of the
//! one-character ones, so that `STRASSE` finds `Straße`. The stored index, the needle and the text a match
//! is verified on all pass through this one file; that is what makes the index exact.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// `text` with compatibility decomposition (NFKD) and without case.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

fn fold_into(text: &str, folded: &mut String) {
    if text.is_ascii() {
        folded.extend(text.bytes().map(|octet| char::from(octet.to_ascii_lowercase())));
        return;
    }
    for c in text.nfkd() {
        if c.is_ascii() {
            folded.push(c.to_ascii_lowercase());
        } else {
            // Down, up and down again: ẞ and ß become "ss", ς and Σ become σ.
            folded.extend(c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
        }
    }
}

/// Combining marks kept back while more of a sequence may follow. Longer sequences are not text.
const MARKS_KEPT: usize = 256;

/// Folds text that comes in pieces as if it had come whole: marks at the start of a piece belong to the
/// last character of the piece before.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    held: String,
}

impl Folder {
    /// Appends the folded form of `piece`, as far as it is settled, to `folded`.
    pub(crate) fn feed(&mut self, piece: &str, folded: &mut String) {
        if self.held.is_empty() && piece.is_ascii() {
            // An ASCII character decomposes to itself; only a mark that follows it could be reordered,
            // and marks are reordered among themselves.
            fold_into(piece, folded);
            return;
        }
        self.held.push_str(piece);
        let settled =
            self.held.char_indices().rev().find(|&(_, c)| canonical_combining_class(c) == 0).map_or(0, |(at, _)| at);
        let settled = if self.held.len() - settled > MARKS_KEPT { self.held.len() } else { settled };
        fold_into(&self.held[..settled], folded);
        self.held.drain(..settled);
    }

    /// Appends what was kept back.
    pub(crate) fn finish(&mut self, folded: &mut String) {
        fold_into(&self.held, folded);
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_compatibility_forms_disappear() {
        for (left, right) in [
            ("Hello", "hELLO"),
            ("Straße", "STRASSE"),
            ("STRA\u{1e9e}E", "strasse"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("\u{fb01}sh", "FISH"),
            ("\u{ff28}\u{ff29}", "hi"),
        ] {
            assert_eq!(fold(left), fold(right), "{left} and {right}");
        }
        assert_ne!(fold("cat"), fold("car"));
    }

    #[test]
    fn folding_is_idempotent() {
        for c in '\0'..=char::MAX {
            let once = fold(c.encode_utf8(&mut [0; 4]));
            assert_eq!(fold(&once), once, "{c:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn pieces_fold_like_the_whole(pieces in prop::collection::vec("[a-cÄéß\u{301}\u{323}Σ日 ]{0,6}", 0..6)) {
            let mut folder = Folder::default();
            let mut folded = String::new();
            for piece in &pieces {
                folder.feed(piece, &mut folded);
            }
            folder.finish(&mut folded);
            prop_assert_eq!(folded, fold(&pieces.concat()));
        }
    }
}
