//! Terms of the word index, made by us and not by the database, so that both engines index the same and
//! so that we can prove what a term tells.
//!
//! ```abnf
//! run   = 1*token-char          ; longest possible, in folded text
//! term  = a run of at most TERM_CHARS characters, or a window of that length on a longer run
//! ```
//!
//! Windows on long runs overlap, so that every fragment of up to [`FRAGMENT_CHARS`] characters that
//! occurs in a run occurs whole in one of its terms. This is the property that lets `needle` (the next
//! file) call an answer of the index certain; the tests below prove it.

use std::collections::HashSet;

use unicode_normalization::char::is_combining_mark;

use super::fold::Folder;

/// Longest term, in characters.
const TERM_CHARS: usize = 40;
/// Distance between the windows on a run that is longer.
const WINDOW_STEP: usize = TERM_CHARS / 2;
/// Longest fragment that is contained in a term wherever it occurs in a run.
pub(crate) const FRAGMENT_CHARS: usize = TERM_CHARS - WINDOW_STEP + 1;
/// Length of the pieces of terms by which terms are found.
pub(crate) const GRAM_CHARS: usize = 3;

/// Distinct terms kept for one document.
const MAX_TERMS: usize = 20_000;
/// Octets of distinct terms kept for one document.
const MAX_TERM_OCTETS: usize = 512 * 1024;

/// Whether `c` belongs to a run.
pub(crate) fn is_token_char(c: char) -> bool {
    c.is_alphanumeric() || (!c.is_ascii() && is_combining_mark(c))
}

/// Whether every term of a document was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// All: the index alone answers.
    Whole,
    /// The document exceeded the bounds: its text decides.
    Partial,
}

/// Collects the distinct terms of one document from text that comes in pieces.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    folder: Folder,
    folded: String,
    run: String,
    run_chars: usize,
    /// Characters of `run` that no emitted window contains.
    fresh: usize,
    terms: HashSet<String>,
    octets: usize,
    coverage: Coverage,
}

impl Default for Tokenizer {
    fn default() -> Self {
        Tokenizer {
            folder: Folder::default(),
            folded: String::new(),
            run: String::new(),
            run_chars: 0,
            fresh: 0,
            terms: HashSet::new(),
            octets: 0,
            coverage: Coverage::Whole,
        }
    }
}

impl Tokenizer {
    /// Takes the next piece of a text.
    pub(crate) fn feed(&mut self, piece: &str) {
        if self.coverage == Coverage::Partial {
            return;
        }
        let mut folded = std::mem::take(&mut self.folded);
        folded.clear();
        self.folder.feed(piece, &mut folded);
        self.take(&folded);
        self.folded = folded;
    }

    /// The terms, in no order.
    pub(crate) fn finish(mut self) -> (HashSet<String>, Coverage) {
        let mut folded = String::new();
        self.folder.finish(&mut folded);
        self.take(&folded);
        self.end_run();
        (self.terms, self.coverage)
    }

    fn take(&mut self, folded: &str) {
        for c in folded.chars() {
            if !is_token_char(c) {
                self.end_run();
                continue;
            }
            if self.run_chars == TERM_CHARS {
                self.keep();
                let dropped = self.run.char_indices().nth(WINDOW_STEP).map_or(0, |(at, _)| at);
                self.run.drain(..dropped);
                self.run_chars -= WINDOW_STEP;
            }
            self.run.push(c);
            self.run_chars += 1;
            self.fresh += 1;
        }
    }

    fn end_run(&mut self) {
        if self.fresh > 0 {
            self.keep();
        }
        self.run.clear();
        self.run_chars = 0;
    }

    fn keep(&mut self) {
        self.fresh = 0;
        if self.terms.contains(&self.run) {
            return;
        }
        if self.terms.len() == MAX_TERMS || self.octets + self.run.len() > MAX_TERM_OCTETS {
            self.coverage = Coverage::Partial;
            return;
        }
        self.octets += self.run.len();
        self.terms.insert(self.run.clone());
    }
}

/// The distinct pieces of `GRAM_CHARS` characters of a term or fragment; none when it is shorter.
pub(crate) fn grams(term: &str) -> HashSet<&str> {
    let ends = term.char_indices().map(|(at, _)| at).chain([term.len()]).skip(GRAM_CHARS);
    term.char_indices().zip(ends).map(|((from, _), to)| &term[from..to]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fold::fold;
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut tokenizer = Tokenizer::default();
        tokenizer.feed(text);
        let (terms, coverage) = tokenizer.finish();
        assert_eq!(coverage, Coverage::Whole);
        let mut terms: Vec<_> = terms.into_iter().collect();
        terms.sort();
        terms
    }

    #[test]
    fn runs_are_folded_and_distinct() {
        assert_eq!(terms("The cat; the CAT's hat\r\n(2026)"), ["2026", "cat", "hat", "s", "the"]);
        assert_eq!(terms("caf\u{e9} CAFE\u{301}"), [fold("café")]);
        assert_eq!(terms(" -- \r\n"), [""; 0]);
    }

    #[test]
    fn too_many_terms_make_a_partial_document() {
        let mut tokenizer = Tokenizer::default();
        for number in 0..=MAX_TERMS {
            tokenizer.feed(&format!("{number} "));
        }
        let (terms, coverage) = tokenizer.finish();
        assert_eq!(coverage, Coverage::Partial);
        assert_eq!(terms.len(), MAX_TERMS);
    }

    #[test]
    fn grams_cover_a_term() {
        assert_eq!(grams("cats"), HashSet::from(["cat", "ats"]));
        assert_eq!(grams("äöü"), HashSet::from(["äöü"]));
        assert!(grams("ab").is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// The promise of the module: a fragment occurs in a text exactly if a term contains it.
        #[test]
        fn fragments_of_runs_are_fragments_of_terms(
            text in "[ab ]{0,90}",
            fragment in "[ab]{1,21}",
        ) {
            let found = terms(&text).iter().any(|term| term.contains(&fragment));
            prop_assert_eq!(found, text.contains(&fragment));
        }

        #[test]
        fn long_runs_hide_no_fragment(text in "[a-z0-9]{30,130}", from in 0usize..110, length in 1usize..=FRAGMENT_CHARS) {
            let from = from.min(text.len() - 1);
            let fragment = &text[from..(from + length).min(text.len())];
            prop_assert!(terms(&text).iter().any(|term| term.contains(fragment)));
        }

        #[test]
        fn pieces_tokenize_like_the_whole(text in "[a-cÄé\u{301} ]{0,60}", cut in 0usize..60) {
            let cut = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
            let mut tokenizer = Tokenizer::default();
            tokenizer.feed(&text[..cut]);
            tokenizer.feed(&text[cut..]);
            let mut pieces: Vec<_> = tokenizer.finish().0.into_iter().collect();
            pieces.sort();
            prop_assert_eq!(pieces, terms(&text));
        }
    }
}
