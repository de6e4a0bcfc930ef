//! Which name to ask for next, so that no server learns more of it than it has to (RFC 9156).

use mailstead_dns::{Name, Question};

/// Questions with less than the whole name (MAX_MINIMISE_COUNT, RFC 9156 §2.3).
const MOST_STEPS: usize = 10;
/// The first of them add one label each (MINIMISE_ONE_LAB, RFC 9156 §2.3).
const SINGLE_STEPS: usize = 4;

/// The way from a zone down to the name of a question.
#[derive(Debug)]
pub(super) struct Minimiser<'a> {
    question: &'a Question,
    used: usize,
}

impl<'a> Minimiser<'a> {
    /// The way to this question's name.
    pub(super) fn new(question: &'a Question) -> Self {
        Minimiser { question, used: 0 }
    }

    /// From now on ask for the whole name.
    pub(super) fn give_up(&mut self) {
        self.used = MOST_STEPS;
    }

    /// The next name to ask for, when `known` is the deepest of which nothing more is to be learnt. `None` when it is
    /// time for the question itself. Names without a zone cut of which `is_known` already take no question.
    ///
    /// The question itself is asked as soon as its whole name is due. RFC 9156 §4 asks once more with type A before,
    /// which hides the type from a parent zone at the price of a question for almost every look-up; the type is not
    /// worth that.
    pub(super) fn next(&mut self, known: &Name, mut is_known: impl FnMut(&Name) -> bool) -> Option<Name> {
        let all = self.question.name.label_count();
        let mut depth = known.label_count();
        while self.used < MOST_STEPS {
            depth += self.labels_to_add(all.saturating_sub(depth));
            let mut child = self.question.name.ancestor(depth);
            // Labels that begin with an underscore are conventions and not boundaries (RFC 9156 §2.3). Besides, many
            // servers deny names that have nothing but others below, of which these are most.
            while depth < all && child.labels().next().is_some_and(|label| label.starts_with(b"_")) {
                depth += 1;
                child = self.question.name.ancestor(depth);
            }
            if depth >= all {
                break;
            }
            if !is_known(&child) {
                self.used += 1;
                return Some(child);
            }
        }
        None
    }

    /// RFC 9156 §2.3: at first one, then equal shares of what is left, the larger ones last.
    fn labels_to_add(&self, left: usize) -> usize {
        if self.used < SINGLE_STEPS { 1 } else { (left / (MOST_STEPS - self.used).max(1)).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use mailstead_dns::Rtype;
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    /// Every name asked for before the question itself, when no zone cut is found.
    fn way(from: &str, to: &str, known: &[&str]) -> Vec<Name> {
        let question = Question { name: name(to), rtype: Rtype::MX };
        let mut minimiser = Minimiser::new(&question);
        let mut at = name(from);
        let mut way = Vec::new();
        while let Some(next) = minimiser.next(&at, |child| known.iter().any(|known| name(known) == *child)) {
            assert!(next.is_below(&at) && question.name.is_below(&next), "{next}");
            way.push(next.clone());
            at = next;
        }
        way
    }

    fn assert_way(from: &str, to: &str, expected: &[&str]) {
        assert_eq!(way(from, to, &[]), expected.iter().map(|text| name(text)).collect::<Vec<_>>(), "{from} {to}");
    }

    #[test]
    fn one_label_at_a_time() {
        assert_way(".", "a.b.example.org", &["org", "example.org", "b.example.org"]);
        assert_way("example.org", "a.b.example.org", &["b.example.org"]);
        assert_way("org", "example.org", &[]);
        assert_way(".", "org", &[]);
        assert_way(".", ".", &[]);
    }

    #[test]
    fn underscores_are_no_boundaries() {
        assert_way("example.org", "_25._tcp.mx.example.org", &["mx.example.org"]);
        assert_way("example.org", "key._domainkey.example.org", &[]);
        assert_way("example.org", "a.b._x.example.org", &["b._x.example.org"]);
    }

    #[test]
    fn names_known_to_have_no_cut_take_no_question() {
        assert_eq!(way("org", "a.b.c.example.org", &["c.example.org"]), [name("example.org"), name("b.c.example.org")]);
        assert_eq!(way("org", "a.example.org", &["example.org"]), []);
    }

    #[test]
    fn many_labels_are_shared_as_in_the_example() {
        // RFC 9156 §2.3: 18 labels take 1,1,1,1,2,2,2,2,3,3; the last of these is the question itself.
        let long = (0..18).map(|number| format!("l{number}")).collect::<Vec<_>>().join(".");
        let labels: Vec<_> = way(".", &long, &[]).iter().map(Name::label_count).collect();
        assert_eq!(labels, [1, 2, 3, 4, 6, 8, 10, 12, 15]);
    }

    proptest! {
        #[test]
        fn never_more_than_ten(labels in 1..120_usize) {
            let question = Question {
                name: Name::from_labels((0..labels).map(|_| b"a".as_slice())).unwrap(),
                rtype: Rtype::A,
            };
            let mut minimiser = Minimiser::new(&question);
            let (mut at, mut steps) = (Name::root(), 0);
            while let Some(next) = minimiser.next(&at, |_| false) {
                prop_assert!(next.is_below(&at) && question.name.is_below(&next));
                (at, steps) = (next, steps + 1);
            }
            prop_assert!(steps <= MOST_STEPS);
        }
    }
}
