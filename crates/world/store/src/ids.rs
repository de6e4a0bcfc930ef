//! Identifiers of accounts, mailboxes and messages, and sets of UIDs.
//!
//! All but [`Uid`] and [`UidValidity`] are internal numbers that IMAP never shows; JMAP and OBJECTID
//! will. A [`MessageId`] survives a MOVE. Rules for UIDs: RFC 9051 §2.3.1.1.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// An account. Never reused.
    AccountId
}
id! {
    /// A mailbox within its account. Kept across RENAME, never reused.
    MailboxId
}
id! {
    /// A message within its account. Kept across MOVE, never reused; a COPY gets a new one.
    MessageId
}
id! {
    /// A conversation within its account.
    ThreadId
}
id! {
    /// A stored body within its account, shared by the copies of a message.
    BlobId
}
id! {
    /// A modification sequence (RFC 7162 §3.1), one counter for the whole account.
    ModSeq
}

impl AccountId {
    /// The account number under which the server keeps what belongs to no account, such as queued bodies.
    pub(crate) const SERVER: AccountId = AccountId(0);
}

/// A UID of a message in a mailbox (RFC 9051 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub NonZeroU32);

impl Uid {
    /// The first UID that a mailbox hands out.
    pub const FIRST: Uid = Uid(NonZeroU32::MIN);

    /// A UID, unless the number is zero.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Uid(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The UIDVALIDITY of a mailbox; each mailbox of an account, past and present, has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidValidity(pub u32);

impl fmt::Display for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of UIDs as sorted ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UidSet {
    ranges: Vec<RangeInclusive<u32>>,
}

impl UidSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        UidSet { ranges: Vec::new() }
    }

    /// Every UID there can be.
    #[must_use]
    pub fn all() -> Self {
        UidSet { ranges: vec![1..=u32::MAX] }
    }

    /// The set of these ranges, in any order; zero is no UID and is left out.
    #[must_use]
    pub fn from_ranges(ranges: impl IntoIterator<Item = RangeInclusive<u32>>) -> Self {
        let mut ranges: Vec<_> = ranges
            .into_iter()
            .map(|range| (*range.start()).max(1)..=*range.end())
            .filter(|range| !range.is_empty())
            .collect();
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut set = UidSet::new();
        for range in ranges {
            set.push_range(range);
        }
        set
    }

    /// Adds a range that starts at or after the start of the last one.
    fn push_range(&mut self, range: RangeInclusive<u32>) {
        match self.ranges.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=(*last.end()).max(*range.end());
            }
            _ => self.ranges.push(range),
        }
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.ranges
    }

    /// Whether the set has no UID.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether the set has this UID.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let number = uid.number();
        let after = self.ranges.partition_point(|range| *range.start() <= number);
        after.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|range| range.contains(&number))
    }

    /// The part of the set above `uid`, for reading a large set in batches.
    #[must_use]
    pub fn after(&self, uid: Uid) -> Self {
        let Some(first) = uid.number().checked_add(1) else { return UidSet::new() };
        let ranges = self.ranges.iter().filter(|range| *range.end() >= first);
        UidSet { ranges: ranges.map(|range| (*range.start()).max(first)..=*range.end()).collect() }
    }

    /// The UIDs, in order. Only sensible for sets of UIDs that exist: [`UidSet::all`] has four thousand million.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().cloned().flatten().filter_map(Uid::new)
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let mut numbers: Vec<u32> = uids.into_iter().map(Uid::number).collect();
        if !numbers.is_sorted() {
            numbers.sort_unstable();
        }
        let mut set = UidSet::new();
        for number in numbers {
            set.push_range(number..=number);
        }
        set
    }
}

impl From<Uid> for UidSet {
    fn from(uid: Uid) -> Self {
        UidSet { ranges: vec![uid.number()..=uid.number()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(number: u32) -> Uid {
        Uid::new(number).expect("not zero")
    }

    #[test]
    fn ranges_are_merged_and_sorted() {
        let set = UidSet::from_ranges([7..=9, 1..=2, 3..=3, 8..=12, 0..=0]);
        assert_eq!(set.ranges(), [1..=3, 7..=12]);
        assert_eq!(set, [1, 2, 3, 7, 8, 9, 10, 11, 12].map(uid).into_iter().collect());
        assert_eq!(UidSet::from_ranges([5..=u32::MAX, 9..=10]).ranges(), [5..=u32::MAX]);
    }

    #[test]
    fn membership_and_rest() {
        let set = UidSet::from_ranges([2..=4, 10..=10]);
        let inside: Vec<u32> = (1..12).filter(|&number| set.contains(uid(number))).collect();
        assert_eq!(inside, [2, 3, 4, 10]);
        assert_eq!(set.after(uid(3)).ranges(), [4..=4, 10..=10]);
        assert!(set.after(uid(10)).is_empty());
        assert!(UidSet::all().after(uid(u32::MAX)).is_empty());
    }
}
