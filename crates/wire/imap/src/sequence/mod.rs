//! Sets of message numbers: `sequence-set` and `uid-set` of RFC 9051 §9, kept as ranges.
//!
//! [`UidSet`] is canonical (ascending, disjoint, never adjacent ranges), so equal sets compare equal and print the
//! shortest. [`SequenceSet`] is what a client wrote, with `*` unresolved; resolving it needs the numbers in use.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::RangeInclusive;

/// `seq-number = nz-number / "*"`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SequenceNumber {
    /// A number, not 0.
    Number(u32),
    /// `*`: the largest number in use.
    Largest,
}

impl SequenceNumber {
    fn resolve(self, largest: u32) -> u32 {
        match self {
            SequenceNumber::Number(number) => number,
            SequenceNumber::Largest => largest,
        }
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SequenceNumber::Number(number) => number.fmt(f),
            SequenceNumber::Largest => f.write_str("*"),
        }
    }
}

/// A message set argument: numbers, or `$` for the saved search result (RFC 5182).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSet {
    /// A sequence set.
    Numbers(SequenceSet),
    /// `$`
    SearchResult,
}

impl fmt::Display for MessageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageSet::Numbers(set) => set.fmt(f),
            MessageSet::SearchResult => f.write_str("$"),
        }
    }
}

/// A sequence set as a client wrote it: one or more numbers and ranges, in any order, with `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet {
    ranges: Vec<(SequenceNumber, SequenceNumber)>,
}

impl SequenceSet {
    /// A set of the given ranges, ends included and in either order.
    #[must_use]
    pub fn new(ranges: Vec<(SequenceNumber, SequenceNumber)>) -> SequenceSet {
        SequenceSet { ranges }
    }

    /// The ranges as written.
    #[must_use]
    pub fn ranges(&self) -> &[(SequenceNumber, SequenceNumber)] {
        &self.ranges
    }

    /// Whether `*` occurs.
    #[must_use]
    pub fn uses_largest(&self) -> bool {
        self.ranges.iter().any(|(a, b)| [a, b].contains(&&SequenceNumber::Largest))
    }

    /// The numbers meant, with `*` standing for `largest`. Not limited to numbers in use: `1:4000000000` stays one range.
    #[must_use]
    pub fn resolve(&self, largest: u32) -> UidSet {
        self.ranges.iter().map(|(a, b)| ordered(a.resolve(largest), b.resolve(largest))).collect()
    }

    /// The message sequence numbers meant in a mailbox of `exists` messages, or `None` if one is out of range,
    /// which deserves a BAD (RFC 9051 §9, seq-number). `*` is out of range in an empty mailbox.
    #[must_use]
    pub fn resolve_sequence(&self, exists: u32) -> Option<UidSet> {
        let set = self.resolve(exists);
        (set.first()? >= 1 && set.last()? <= exists).then_some(set)
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}:{last}")?;
            }
        }
        Ok(())
    }
}

fn ordered(a: u32, b: u32) -> RangeInclusive<u32> {
    a.min(b)..=a.max(b)
}

/// A set of numbers, mostly UIDs, as ascending ranges that neither overlap nor touch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct UidSet {
    ranges: Vec<RangeInclusive<u32>>,
}

impl UidSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> UidSet {
        UidSet { ranges: Vec::new() }
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.ranges
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| u64::from(range.end() - range.start()) + 1).sum()
    }

    /// The smallest number.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|range| *range.start())
    }

    /// The largest number.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|range| *range.end())
    }

    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let index = self.ranges.partition_point(|range| *range.end() < number);
        self.ranges.get(index).is_some_and(|range| range.contains(&number))
    }

    /// All numbers, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(Clone::clone)
    }

    /// Adds one number. Cheapest in ascending order.
    pub fn insert(&mut self, number: u32) {
        self.insert_range(number..=number);
    }

    /// Adds a range; an empty range adds nothing.
    pub fn insert_range(&mut self, range: RangeInclusive<u32>) {
        if range.is_empty() {
            return;
        }
        let (start, end) = range.into_inner();
        // Every range from `from` up to `to` overlaps or touches the new one and is merged into it.
        let from = self.ranges.partition_point(|old| old.end().saturating_add(1) < start);
        let to = self.ranges.partition_point(|old| *old.start() <= end.saturating_add(1));
        let merged = match self.ranges.get(from..to) {
            Some([first, ..]) => {
                let last_end = self.ranges.get(to - 1).map_or(end, |last| *last.end());
                start.min(*first.start())..=end.max(last_end)
            }
            _ => start..=end,
        };
        self.ranges.splice(from..to, [merged]);
    }

    /// Numbers in either set.
    #[must_use]
    pub fn union(&self, other: &UidSet) -> UidSet {
        let mut ranges = [self.ranges.as_slice(), other.ranges.as_slice()].concat();
        ranges.sort_unstable_by_key(|range| *range.start());
        ranges.into_iter().collect()
    }

    /// Numbers in both sets.
    #[must_use]
    pub fn intersection(&self, other: &UidSet) -> UidSet {
        let mut both = UidSet::new();
        let (mut left, mut right) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            both.insert_range(*a.start().max(b.start())..=*a.end().min(b.end()));
            if a.end() <= b.end() {
                left.next()
            } else {
                right.next()
            };
        }
        both
    }

    /// Numbers in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &UidSet) -> UidSet {
        let mut rest = UidSet::new();
        for range in &self.ranges {
            let mut start = u64::from(*range.start());
            let end = u64::from(*range.end());
            let skip = other.ranges.partition_point(|cut| u64::from(*cut.end()) < start);
            for cut in other.ranges.iter().skip(skip).take_while(|cut| u64::from(*cut.start()) <= end) {
                rest.insert_wide(start, u64::from(*cut.start()));
                start = u64::from(*cut.end()) + 1;
            }
            rest.insert_wide(start, end + 1);
        }
        rest
    }

    /// Adds `start..end`, whose bounds are one past u32 at most.
    fn insert_wide(&mut self, start: u64, end: u64) {
        if let (true, Ok(start), Ok(last)) = (start < end, u32::try_from(start), u32::try_from(end.saturating_sub(1))) {
            self.insert_range(start..=last);
        }
    }

    /// Splits the set into texts of at most `limit` octets each (at least one range per text), for responses whose
    /// lines must stay short. Empty for the empty set.
    #[must_use]
    pub fn lines(&self, limit: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for range in &self.ranges {
            let text = RangeText(range).to_string();
            match lines.last_mut() {
                Some(line) if line.len() + 1 + text.len() <= limit => {
                    line.push(',');
                    line.push_str(&text);
                }
                _ => lines.push(text),
            }
        }
        lines
    }
}

struct RangeText<'a>(&'a RangeInclusive<u32>);

impl fmt::Display for RangeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.0.start(), self.0.end());
        if start == end { write!(f, "{start}") } else { write!(f, "{start}:{end}") }
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            RangeText(range).fmt(f)?;
        }
        Ok(())
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> UidSet {
        numbers.into_iter().map(|number| number..=number).collect()
    }
}

impl FromIterator<RangeInclusive<u32>> for UidSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u32>>>(ranges: I) -> UidSet {
        let mut set = UidSet::new();
        for range in ranges {
            set.insert_range(range);
        }
        set
    }
}

impl From<UidSet> for SequenceSet {
    fn from(set: UidSet) -> SequenceSet {
        let number = SequenceNumber::Number;
        SequenceSet::new(set.ranges.iter().map(|range| (number(*range.start()), number(*range.end()))).collect())
    }
}
