//! From the message sets of commands to the numbers of messages in the view.
//!
//! RFC 9051 §6.4.9 and the notes on `sequence-set` in §9: ranges have no direction; `*` is the last message; a UID that
//! does not exist is ignored, a message number that does not exist is an error.

use mailstead_imap::{SequenceNumber, SequenceSet, UidSet};
use mailstead_store::Uid;

use super::{View, to_u32};

/// A message number that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfRange;

impl View {
    /// The messages with these numbers.
    pub(crate) fn by_number(&self, set: &SequenceSet) -> Result<UidSet, OutOfRange> {
        let last = self.exists();
        let mut numbers = UidSet::new();
        for range in set.ranges() {
            let (first, end) = match *range {
                // `n:*` beyond the end is how a client asks for what may be new: nothing is.
                (SequenceNumber::Number(n), SequenceNumber::Largest)
                | (SequenceNumber::Largest, SequenceNumber::Number(n))
                    if n > last =>
                {
                    continue;
                }
                (SequenceNumber::Largest, SequenceNumber::Largest) if last == 0 => continue,
                (one, other) => (resolve(one, last), resolve(other, last)),
            };
            if first.max(end) > last || first.min(end) == 0 {
                return Err(OutOfRange);
            }
            numbers.insert_range(first.min(end)..=first.max(end));
        }
        Ok(numbers)
    }

    /// The numbers of the messages with these UIDs.
    pub(crate) fn by_uid(&self, set: &SequenceSet) -> UidSet {
        let Some(last) = self.last_uid() else { return UidSet::new() };
        let ranges =
            set.ranges().iter().map(|(one, other)| (resolve(*one, last.number()), resolve(*other, last.number())));
        self.numbers_between(ranges)
    }

    /// The numbers of those of these UIDs that the client knows of.
    pub(crate) fn by_known_uids(&self, uids: &UidSet) -> UidSet {
        self.numbers_between(uids.ranges().iter().map(|range| (*range.start(), *range.end())))
    }

    fn numbers_between(&self, ranges: impl Iterator<Item = (u32, u32)>) -> UidSet {
        let known = &self.messages[..self.announced];
        ranges
            .map(|(one, other)| {
                let before = known.partition_point(|entry| entry.uid < one.min(other));
                let through = known.partition_point(|entry| entry.uid <= one.max(other));
                to_u32(before) + 1..=to_u32(through)
            })
            .collect()
    }

    /// The UIDs of these messages.
    pub(crate) fn uids(&self, numbers: &UidSet) -> UidSet {
        self.messages(numbers).map(|message| message.uid.number()).collect()
    }

    /// The UIDs of these messages, without those known to be expunged.
    pub(crate) fn live(&self, numbers: &UidSet) -> Vec<Uid> {
        self.messages(numbers).filter(|message| !message.gone).map(|message| message.uid).collect()
    }
}

fn resolve(number: SequenceNumber, last: u32) -> u32 {
    match number {
        SequenceNumber::Number(number) => number,
        SequenceNumber::Largest => last,
    }
}
