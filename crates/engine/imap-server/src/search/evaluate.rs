//! Carrying out a plan on the store: RFC 9051 §6.4.4 for what each key means.
//!
//! Sets of UIDs go in and come out, each step looking only at what the steps before have left. Rows are read in
//! batches, texts through the store's index.

use jiff::civil;
use jiff::tz::Offset;
use mailstead_imap::UidSet;
use mailstead_imap::command::{DateField, DateRelation};
use mailstead_message::{Fields, date};
use mailstead_store::{self as store, Detail, Error, MailboxId, MessageRow, Read, Result, TextField, Uid, fold};

use super::plan::{Node, Stored};

/// Rows read at once.
const BATCH: usize = 500;
/// Octets of one header that are looked at, as in the index.
const HEADER: u64 = 4 * 1024 * 1024;
/// A set of more ranges is read as one range with gaps: one query instead of many.
const RANGES: usize = 64;
/// Where only the ends are wanted: messages looked at first, and how much more each time after that.
const FIRST_SLICE: usize = 500;
const GROWTH: usize = 8;

/// How much of the result is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    /// The lowest, the highest, or both.
    Ends {
        min: bool,
        max: bool,
    },
}

/// The messages among `among` that the plan finds, as far as wanted.
pub(super) fn evaluate(
    read: &Read<'_>,
    mailbox: MailboxId,
    node: &Node,
    among: UidSet,
    extent: Extent,
) -> Result<UidSet> {
    let evaluation = Evaluation { read, mailbox };
    let Extent::Ends { min, max } = extent else { return evaluation.matching(node, &among) };
    let mut found = UidSet::new();
    if min && let Some(lowest) = evaluation.end(node, among.clone(), End::Lowest)? {
        found.insert(lowest);
    }
    if max && let Some(highest) = evaluation.end(node, among, End::Highest)? {
        found.insert(highest);
    }
    Ok(found)
}

/// The wanted ends of a set.
pub(super) fn ends(found: UidSet, extent: Extent) -> UidSet {
    let Extent::Ends { min, max } = extent else { return found };
    [found.first().filter(|_| min), found.last().filter(|_| max)].into_iter().flatten().collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Lowest,
    Highest,
}

struct Evaluation<'r> {
    read: &'r Read<'r>,
    mailbox: MailboxId,
}

impl Evaluation<'_> {
    /// One end of the result, looking at ever larger slices from that end.
    fn end(&self, node: &Node, mut among: UidSet, end: End) -> Result<Option<u32>> {
        let mut size = FIRST_SLICE;
        while !among.is_empty() {
            let slice = match end {
                End::Lowest => [0..=among.iter().nth(size).unwrap_or(u32::MAX)],
                End::Highest => [among.iter().nth_back(size).unwrap_or(0)..=u32::MAX],
            };
            let slice = among.intersection(&slice.into_iter().collect());
            let found = self.matching(node, &slice)?;
            let found = if end == End::Lowest { found.first() } else { found.last() };
            if found.is_some() {
                return Ok(found);
            }
            among = among.difference(&slice);
            size *= GROWTH;
        }
        Ok(None)
    }

    fn matching(&self, node: &Node, among: &UidSet) -> Result<UidSet> {
        if among.is_empty() {
            return Ok(UidSet::new());
        }
        match node {
            Node::Known(set) => Ok(among.intersection(set)),
            Node::Not(node) => Ok(among.difference(&self.matching(node, among)?)),
            Node::All(nodes) => nodes.iter().try_fold(among.clone(), |left, node| self.matching(node, &left)),
            Node::Any(nodes) => nodes.iter().try_fold(UidSet::new(), |found, node| {
                Ok(found.union(&self.matching(node, &among.difference(&found))?))
            }),
            Node::Stored(stored) => self.stored(stored, among),
        }
    }

    fn stored(&self, stored: &Stored, among: &UidSet) -> Result<UidSet> {
        match stored {
            Stored::Text(field, needle) => self.text(*field, needle, among),
            Stored::Header { field, value } => self.header(field, value, among),
            Stored::Larger(size) => self.rows(among, Detail::Row, |row| Ok(row.size > *size)),
            Stored::Smaller(size) => self.rows(among, Detail::Row, |row| Ok(row.size < *size)),
            Stored::Date { field: DateField::Internal, relation, date } => self.rows(among, Detail::Row, |row| {
                // In UTC, as INTERNALDATE shows it.
                Ok(holds(*relation, Offset::UTC.to_datetime(row.received_at).date(), *date))
            }),
            Stored::Date { field: DateField::Sent, relation, date } => self.rows(among, Detail::Content, |row| {
                Ok(sent_on(row)?.is_some_and(|sent| holds(*relation, sent, *date)))
            }),
        }
    }

    fn text(&self, field: TextField, needle: &str, among: &UidSet) -> Result<UidSet> {
        let found = self.read.search_text(self.mailbox, needle, field, Some(&to_store(among)))?;
        Ok(found.into_iter().map(Uid::number).collect::<UidSet>().intersection(among))
    }

    /// Messages with a field that contains the value; with an empty value, messages that have the field at all.
    fn header(&self, field: &str, value: &str, among: &UidSet) -> Result<UidSet> {
        // The text of a message has each of its fields as `Name: value`, so the index finds candidates for both.
        let candidates = if value.is_empty() {
            self.text(TextField::Text, &format!("{field}:"), among)?
        } else {
            self.text(TextField::Text, value, among)?
        };
        let needle = fold(value);
        self.rows(&candidates, Detail::Content, |row| {
            let Some(content) = &row.content else { return Ok(false) };
            let range = content.structure()?.root.header;
            let end = range.end.min(range.start.saturating_add(HEADER));
            let header = self.read.open_message(row.state.id)?.read_at(range.start..end)?;
            let mut fields = Fields::new(&header).filter(|found| found.is(field));
            Ok(fields.any(|found| needle.is_empty() || fold(&found.text()).contains(&needle)))
        })
    }

    /// The messages whose row passes a test.
    fn rows(
        &self,
        among: &UidSet,
        detail: Detail,
        mut test: impl FnMut(&MessageRow) -> Result<bool>,
    ) -> Result<UidSet> {
        let mut found = UidSet::new();
        let mut rest = match (among.first(), among.last()) {
            (Some(first), Some(last)) if among.ranges().len() > RANGES => store::UidSet::from_ranges([first..=last]),
            _ => to_store(among),
        };
        loop {
            let batch = self.read.messages(self.mailbox, &rest, detail, BATCH)?;
            let Some(last) = batch.last().map(|row| row.state.uid) else { return Ok(found) };
            for row in batch.iter().filter(|row| among.contains(row.state.uid.number())) {
                if unless_damaged(test(row))? {
                    found.insert(row.state.uid.number());
                }
            }
            rest = rest.after(last);
        }
    }
}

fn to_store(set: &UidSet) -> store::UidSet {
    store::UidSet::from_ranges(set.ranges().iter().cloned())
}

fn holds(relation: DateRelation, date: civil::Date, than: civil::Date) -> bool {
    match relation {
        DateRelation::Before => date < than,
        DateRelation::On => date == than,
        DateRelation::Since => date >= than,
    }
}

/// The day of the Date field, as written: time and zone are disregarded.
fn sent_on(row: &MessageRow) -> Result<Option<civil::Date>> {
    let Some(content) = &row.content else { return Ok(None) };
    let structure = content.structure()?;
    let envelope = structure.envelope();
    let parsed = envelope.date.as_deref().and_then(|text| date::parse(text).ok());
    Ok(parsed.map(|date| date.civil().date()))
}

/// One damaged message is not found, and does not keep the others from being found.
fn unless_damaged(outcome: Result<bool>) -> Result<bool> {
    match outcome {
        Err(error @ (Error::Corrupt(_) | Error::Io { .. } | Error::NoMessage)) => {
            tracing::error!(%error, "cannot search a message");
            Ok(false)
        }
        other => other,
    }
}
