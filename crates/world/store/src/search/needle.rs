//! What the index can say about a needle, and the exact test on text.
//!
//! RFC 9051 §6.4.4: a message matches when the needle is a substring of the text. A needle of token
//! characters occurs in a text exactly if one of the text's terms contains it; then the index answers
//! alone. Any other needle names fragments that a matching text must have, and the text is asked.

use super::fold::{Folder, fold};
use super::tokens::{FRAGMENT_CHARS, is_token_char};

/// A piece of a needle that terms of a matching document must show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fragment {
    /// Some term contains this.
    Within(String),
    /// Some term is this.
    Whole(String),
}

/// How a needle is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The empty string is a substring of every text.
    Everything,
    /// The documents with a term that contains the fragment are the answer, but for those indexed in part.
    Certain(String),
    /// The documents that show all fragments may match; their text decides.
    Candidates(Vec<Fragment>),
    /// The index knows nothing: every text is read.
    Scan,
}

/// Pieces this short name so many terms that asking for them does not pay beside a reading of the text.
const USEFUL_CHARS: usize = 2;

impl Plan {
    /// The plan for a needle as the client gave it.
    pub(crate) fn new(needle: &str) -> Plan {
        let needle = fold(needle);
        if needle.is_empty() {
            return Plan::Everything;
        }
        if needle.chars().all(is_token_char) && needle.chars().count() <= FRAGMENT_CHARS {
            return Plan::Certain(needle);
        }
        let mut fragments: Vec<Fragment> = Vec::new();
        let mut rest = needle.as_str();
        while let Some(start) = rest.find(is_token_char) {
            let bounded_left = start > 0 || rest.len() < needle.len();
            rest = &rest[start..];
            let end = rest.find(|c| !is_token_char(c)).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            rest = after;
            fragments.extend(fragments_of(run, bounded_left && !after.is_empty()));
        }
        fragments.sort();
        fragments.dedup();
        if fragments.is_empty() { Plan::Scan } else { Plan::Candidates(fragments) }
    }
}

/// What a run of the needle asks of the terms; `bounded` when separators stand on both its sides, so that
/// it is a whole run of the text too.
fn fragments_of(run: &str, bounded: bool) -> Vec<Fragment> {
    let characters: Vec<char> = run.chars().collect();
    if bounded && characters.len() <= FRAGMENT_CHARS {
        return vec![Fragment::Whole(run.to_owned())];
    }
    characters
        .chunks(FRAGMENT_CHARS)
        .filter(|piece| piece.len() >= USEFUL_CHARS)
        .map(|piece| Fragment::Within(piece.iter().collect()))
        .collect()
}

/// Looks for a needle in text that comes in pieces.
#[derive(Debug)]
pub(crate) struct Finder {
    needle: String,
    folder: Folder,
    window: String,
    found: bool,
}

impl Finder {
    pub(crate) fn new(needle: &str) -> Finder {
        let needle = fold(needle);
        Finder { found: needle.is_empty(), needle, folder: Folder::default(), window: String::new() }
    }

    /// Takes the next piece of a text.
    pub(crate) fn feed(&mut self, piece: &str) {
        if !self.found {
            self.folder.feed(piece, &mut self.window);
            self.look();
        }
    }

    /// Whether the needle was in the text.
    pub(crate) fn finish(mut self) -> bool {
        if !self.found {
            self.folder.finish(&mut self.window);
            self.look();
        }
        self.found
    }

    fn look(&mut self) {
        self.found = self.window.contains(&self.needle);
        // What could be the start of a match stays; never cut inside a character.
        let mut keep_from = self.window.len().saturating_sub(self.needle.len() - 1);
        while !self.window.is_char_boundary(keep_from) {
            keep_from -= 1;
        }
        self.window.drain(..keep_from);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tokens::Tokenizer;
    use super::*;

    fn within(text: &str) -> Fragment {
        Fragment::Within(text.to_owned())
    }

    fn whole(text: &str) -> Fragment {
        Fragment::Whole(text.to_owned())
    }

    #[test]
    fn plans_follow_the_shape_of_the_needle() {
        assert_eq!(Plan::new(""), Plan::Everything);
        assert_eq!(Plan::new("Invoice"), Plan::Certain("invoice".into()));
        assert_eq!(Plan::new("é"), Plan::Certain("e\u{301}".into()));
        assert_eq!(Plan::new("--"), Plan::Scan);
        assert_eq!(Plan::new("a.b"), Plan::Scan);
        assert_eq!(Plan::new("foo bar"), Plan::Candidates(vec![within("bar"), within("foo")]));
        assert_eq!(Plan::new("foo a bar"), Plan::Candidates(vec![within("bar"), within("foo"), whole("a")]));
        assert_eq!(Plan::new(" foo "), Plan::Candidates(vec![whole("foo")]));
        assert_eq!(Plan::new("user@"), Plan::Candidates(vec![within("user")]));
        let long = "a1b2c3d4e5f6g7h8i9j0k1l2";
        assert_eq!(Plan::new(long), Plan::Candidates(vec![within(&long[21..]), within(&long[..21])]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn pieces_are_searched_like_the_whole(
            pieces in prop::collection::vec("[abÄß\u{301} ]{0,5}", 0..6),
            needle in "[abÄß ]{0,4}",
        ) {
            let mut finder = Finder::new(&needle);
            for piece in &pieces {
                finder.feed(piece);
            }
            prop_assert_eq!(finder.finish(), fold(&pieces.concat()).contains(&fold(&needle)));
        }

        /// No plan loses a match: a text with the needle shows every fragment, and a certain plan is right
        /// both ways.
        #[test]
        fn plans_are_sound(text in "[abc.@ ]{0,60}", needle in "[abc.@ ]{0,8}") {
            let mut tokenizer = Tokenizer::default();
            tokenizer.feed(&text);
            let (terms, _) = tokenizer.finish();
            let matches = text.contains(&needle);
            match Plan::new(&needle) {
                Plan::Everything => prop_assert!(matches),
                Plan::Certain(fragment) => {
                    prop_assert_eq!(terms.iter().any(|term| term.contains(&fragment)), matches);
                }
                Plan::Candidates(fragments) => {
                    let shown = fragments.iter().all(|fragment| match fragment {
                        Fragment::Within(piece) => terms.iter().any(|term| term.contains(piece)),
                        Fragment::Whole(run) => terms.contains(run),
                    });
                    prop_assert!(shown || !matches);
                }
                Plan::Scan => {}
            }
        }
    }
}
