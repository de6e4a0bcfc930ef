//! Set algebra against a plain set of numbers, and what `*` means.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{SequenceNumber, SequenceSet, UidSet};
use crate::parse::{Cursor, sequence_set, uid_set};

fn numbers() -> impl Strategy<Value = Vec<(u32, u32)>> {
    // Small numbers meet and touch; the largest are where arithmetic could overflow.
    let number = prop_oneof![4 => 1_u32..60, 1 => (u32::MAX - 5)..=u32::MAX];
    proptest::collection::vec((number, 0_u32..6), 0..12)
}

fn both(ranges: &[(u32, u32)]) -> (UidSet, BTreeSet<u32>) {
    let ranges = ranges.iter().map(|(start, length)| *start..=start.saturating_add(*length));
    (ranges.clone().collect(), ranges.flatten().collect())
}

fn canonical(set: &UidSet) -> bool {
    set.ranges().iter().all(|range| !range.is_empty())
        && set.ranges().windows(2).all(|pair| u64::from(*pair[0].end()) + 1 < u64::from(*pair[1].start()))
}

fn parsed(text: &str) -> SequenceSet {
    sequence_set(&mut Cursor::new(format!("{text} ").as_bytes())).expect("a sequence set")
}

proptest! {
    #[test]
    fn algebra(a in numbers(), b in numbers()) {
        let ((a, plain_a), (b, plain_b)) = (both(&a), both(&b));
        for (set, plain) in [
            (a.clone(), plain_a.clone()),
            (a.union(&b), &plain_a | &plain_b),
            (a.intersection(&b), &plain_a & &plain_b),
            (a.difference(&b), &plain_a - &plain_b),
        ] {
            prop_assert!(canonical(&set), "{}", set);
            prop_assert!(set.iter().eq(plain.iter().copied()));
            prop_assert_eq!(set.len(), plain.len() as u64);
            prop_assert_eq!((set.first(), set.last()), (plain.first().copied(), plain.last().copied()));
            prop_assert_eq!(&set, &plain.iter().copied().collect::<UidSet>());
            for number in (0..70).chain((u32::MAX - 8)..=u32::MAX) {
                prop_assert_eq!(set.contains(number), plain.contains(&number));
            }
        }
    }

    #[test]
    fn parsing_undoes_writing(ranges in numbers()) {
        let (set, _) = both(&ranges);
        prop_assume!(!set.is_empty());
        let text = format!("{set} ");
        prop_assert_eq!(&uid_set(&mut Cursor::new(text.as_bytes())).expect("a set"), &set);
        prop_assert_eq!(SequenceSet::from(set.clone()).resolve(7), set);
    }

    #[test]
    fn lines_are_short_and_complete(ranges in numbers(), limit in 0_usize..60) {
        let (set, _) = both(&ranges);
        let lines = set.lines(limit);
        prop_assert_eq!(lines.join(","), set.to_string());
        prop_assert!(lines.iter().all(|line| line.len() <= limit || !line.contains(',')));
    }

    #[test]
    fn written_as_read(text in "([1-9][0-9]{0,3}|\\*)(:([1-9][0-9]{0,3}|\\*))?(,[1-9][0-9]{0,3}){0,3}") {
        let set = parsed(&text);
        let again = parsed(&set.to_string());
        prop_assert_eq!(again.resolve(1000), set.resolve(1000));
    }
}

#[test]
fn the_largest_number() {
    // RFC 9051 §9, sequence-set
    assert_eq!(parsed("2,4:7,9,12:*").resolve(15).to_string(), "2,4:7,9,12:15");
    assert_eq!(parsed("*:4,5:7").resolve(10).to_string(), "4:10");
    // "3291:* includes the UID of the last message in the mailbox, even if that value is less than 3291"
    assert_eq!(parsed("3291:*").resolve(100).to_string(), "100:3291");
    assert!(parsed("1,*").uses_largest());
    assert!(!parsed("1:4").uses_largest());
}

#[test]
fn sequence_numbers_out_of_range() {
    let resolved = |text: &str, exists| parsed(text).resolve_sequence(exists).map(|set| set.to_string());
    assert_eq!(resolved("1:*", 3).as_deref(), Some("1:3"));
    assert_eq!(resolved("3", 3).as_deref(), Some("3"));
    assert_eq!(resolved("2:4", 3), None);
    assert_eq!(resolved("4:*", 3), None);
    assert_eq!(resolved("*", 0), None);
    assert_eq!(resolved("1:*", 0), None);
}

#[test]
fn a_huge_range_costs_nothing() {
    let set = parsed("1:4294967295").resolve(5);
    assert_eq!(set.len(), u64::from(u32::MAX));
    assert_eq!(set.difference(&[3_u32].into_iter().collect()).to_string(), "1:2,4:4294967295");
    let number = SequenceNumber::Number(7);
    assert_eq!(SequenceSet::new(vec![(number, number)]).to_string(), "7");
}
