//! What of a stored message a FETCH needs, read within one snapshot: rows, structure, and the octets of sections.
//!
//! RFC 9051 §6.4.5.1 (sections), RFC 3516 §4.2 (BINARY), RFC 6855 §7 with RFC 6858 (what a session without UTF8=ACCEPT
//! sees of an internationalised message). Small pieces are read at once, large ones are only measured here and streamed
//! later.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use mailstead_imap::command::{FetchAttribute, Partial, Section, SectionText};
use mailstead_message::downgrade::Surrogate;
use mailstead_message::structure::TransferEncoding;
use mailstead_message::text::Source;
use mailstead_message::{Fields, Section as Place, Structure};
use mailstead_store::{Account, Detail, Error, MailboxId, MessageRow, Read, Result, StoredMessage, Uid, UidSet};

use super::binary::{Coding, Decoding};

/// Rows read in one snapshot; fewer when each comes with its structure, which may be large.
const ROWS: usize = 1000;
const CONTENTS: usize = 100;
/// Octets held in memory for one batch, after which it ends.
const BATCH_OCTETS: usize = 1024 * 1024;
/// A piece of at most this size is held; a larger one is streamed in pieces of this size.
const PIECE: u64 = 64 * 1024;

/// What a FETCH command wants from the store.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) attributes: Arc<[FetchAttribute]>,
    pub(super) detail: Detail,
    /// The session must not be shown UTF-8 in headers.
    pub(super) surrogates: bool,
}

/// A message as far as it was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) uid: Uid,
    pub(super) received_at: Timestamp,
    text: Option<Arc<Text>>,
    /// One for each attribute wanted.
    pub(super) values: Vec<Value>,
    /// Why one of them failed.
    pub(super) problem: Option<Problem>,
    held: usize,
}

/// Why an item is left out of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// RFC 3516 §4.3: UNKNOWN-CTE.
    UnknownEncoding,
    /// The store cannot give it.
    Unreadable,
}

/// What an attribute amounts to.
#[derive(Debug)]
pub(super) enum Value {
    /// The view knows.
    InView,
    /// In [`Loaded`] itself.
    Found,
    Size(u64),
    Octets(Chunk),
    /// Left out of the answer.
    Failed,
}

/// The octets of an item.
#[derive(Debug)]
pub(super) enum Chunk {
    /// There is no such part.
    Nil,
    Held(Vec<u8>),
    Large(Large),
}

/// A message's octets and structure, or those of its surrogate.
#[derive(Debug)]
struct Text {
    message: Option<StoredMessage>,
    structure: Structure,
    surrogate: Option<Surrogate>,
}

impl Loaded {
    pub(super) fn structure(&self) -> Option<&Structure> {
        self.text.as_ref().map(|text| text.structure())
    }

    /// Whether something else is shown than what was stored.
    pub(super) fn is_downgraded(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.surrogate.is_some())
    }
}

/// Reads the first messages of a set, as many as make a batch.
pub(super) fn load(read: &Read<'_>, mailbox: MailboxId, set: &UidSet, wanted: &Wanted) -> Result<Vec<Loaded>> {
    let mut batch = Vec::new();
    let mut held = 0;
    let limit = if wanted.detail == Detail::Row { ROWS } else { CONTENTS };
    for row in read.messages(mailbox, set, wanted.detail, limit)? {
        let loaded = load_message(read, &row, wanted)?;
        held += loaded.held;
        batch.push(loaded);
        if held > BATCH_OCTETS {
            break;
        }
    }
    Ok(batch)
}

fn load_message(read: &Read<'_>, row: &MessageRow, wanted: &Wanted) -> Result<Loaded> {
    let mut loaded = Loaded {
        uid: row.state.uid,
        received_at: row.received_at,
        text: None,
        values: Vec::new(),
        problem: None,
        held: 0,
    };
    if wanted.detail == Detail::Content {
        match Text::open(read, row, wanted) {
            Ok(text) => loaded.text = Some(Arc::new(text)),
            // One damaged message must not make its neighbours unreadable.
            Err(Error::Corrupt(_) | Error::Io { .. } | Error::NoMessage) => loaded.problem = Some(Problem::Unreadable),
            Err(error) => return Err(error),
        }
    }
    for attribute in wanted.attributes.iter() {
        let value = value(attribute, row, loaded.text.as_ref());
        loaded.values.push(value.unwrap_or_else(|problem| {
            loaded.problem = Some(problem);
            Value::Failed
        }));
        if let Some(Value::Octets(Chunk::Held(octets))) = loaded.values.last() {
            loaded.held += octets.len();
        }
    }
    Ok(loaded)
}

fn value(attribute: &FetchAttribute, row: &MessageRow, text: Option<&Arc<Text>>) -> Result<Value, Problem> {
    use FetchAttribute as A;
    let text = || text.ok_or(Problem::Unreadable);
    let section =
        |part: &[u32], place, partial| text().and_then(|text| Ok(Value::Octets(text.section(part, place, partial)?)));
    match attribute {
        A::Uid | A::Flags | A::ModSeq => Ok(Value::InView),
        A::InternalDate => Ok(Value::Found),
        // RFC 6858 §3: the size may be that of the original message where a surrogate is shown.
        A::Rfc822Size => Ok(Value::Size(row.size)),
        A::Envelope | A::Body | A::BodyStructure => text().map(|_| Value::Found),
        A::Rfc822 => section(&[], Place::Body, None),
        A::Rfc822Header => section(&[], Place::Header, None),
        A::Rfc822Text => section(&[], Place::Text, None),
        A::Section { section: Section { part, text: named }, partial, .. } => match named {
            None => section(part, Place::Body, *partial),
            Some(SectionText::Header) => section(part, Place::Header, *partial),
            Some(SectionText::Text) => section(part, Place::Text, *partial),
            Some(SectionText::Mime) => section(part, Place::Mime, *partial),
            Some(SectionText::HeaderFields(names)) => Ok(Value::Octets(text()?.fields(part, names, true, *partial)?)),
            Some(SectionText::HeaderFieldsNot(names)) => {
                Ok(Value::Octets(text()?.fields(part, names, false, *partial)?))
            }
        },
        A::Binary { part, partial, .. } => Ok(Value::Octets(text()?.decoded(part, *partial)?)),
        A::BinarySize { part } => Ok(Value::Size(text()?.decoded_size(part)?)),
        _ => Err(Problem::Unreadable),
    }
}

impl Text {
    fn open(read: &Read<'_>, row: &MessageRow, wanted: &Wanted) -> Result<Text> {
        let content = row.content.as_ref().ok_or(Error::NoMessage)?;
        let structure = content.structure()?;
        let needs_octets = |attribute: &FetchAttribute| {
            !matches!(super::detail(attribute), None | Some(Detail::Row))
                && !matches!(attribute, FetchAttribute::Envelope | FetchAttribute::Body | FetchAttribute::BodyStructure)
        };
        let surrogate_possible = wanted.surrogates && structure.needs_smtputf8();
        let message = if surrogate_possible || wanted.attributes.iter().any(needs_octets) {
            Some(read.open_message(row.state.id)?)
        } else {
            None
        };
        let surrogate = match &message {
            Some(message) if wanted.surrogates => Surrogate::build(&structure, &mut Octets(message))?,
            _ => None,
        };
        Ok(Text { message, structure, surrogate })
    }

    fn structure(&self) -> &Structure {
        self.surrogate.as_ref().map_or(&self.structure, Surrogate::structure)
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let message = self.message.as_ref().ok_or(Error::NoMessage)?;
        let Some(surrogate) = &self.surrogate else { return message.read_at(range) };
        let mut octets = Vec::new();
        surrogate.read(range, &mut Octets(message), &mut octets)?;
        Ok(octets)
    }

    /// Reads without leaving the thread, if no disk is involved.
    fn read_now(&self, range: Range<u64>) -> Option<Result<Vec<u8>>> {
        let in_memory = self.message.as_ref().is_some_and(|message| message.body().in_memory().is_some());
        in_memory.then(|| self.read(range))
    }

    fn section(self: &Arc<Self>, part: &[u32], place: Place, partial: Option<Partial>) -> Result<Chunk, Problem> {
        let Some(range) = self.structure().section(part, place) else { return Ok(Chunk::Nil) };
        let range = within(range, partial);
        if range.end - range.start <= PIECE {
            return Ok(Chunk::Held(self.read(range)?));
        }
        Ok(Chunk::Large(Large {
            size: range.end - range.start,
            has_nul: false,
            text: Arc::clone(self),
            range,
            coding: None,
        }))
    }

    /// HEADER.FIELDS and HEADER.FIELDS.NOT: the fields as they stand, then the empty line if the header has one.
    fn fields(&self, part: &[u32], names: &[String], keep: bool, partial: Option<Partial>) -> Result<Chunk, Problem> {
        let Some(range) = self.structure().section(part, Place::Header) else { return Ok(Chunk::Nil) };
        let header = self.read(range)?;
        let mut subset = Vec::new();
        let mut end = 0;
        for field in Fields::new(&header) {
            end = field.range().end;
            if names.iter().any(|name| field.is(name)) == keep {
                subset.extend_from_slice(field.raw());
            }
        }
        subset.extend_from_slice(header.get(end..).unwrap_or_default());
        let range = within(0..subset.len() as u64, partial);
        let range =
            usize::try_from(range.start).unwrap_or(usize::MAX)..usize::try_from(range.end).unwrap_or(usize::MAX);
        Ok(Chunk::Held(subset.get(range).unwrap_or_default().to_vec()))
    }

    /// Where a part's content lies, and how it is encoded. The message as a whole is not.
    fn coding(&self, part: &[u32], partial: Option<Partial>) -> Result<Option<(Range<u64>, Coding)>, Problem> {
        let window = partial.map(|partial| (partial.offset, partial.count));
        let structure = self.structure();
        if part.is_empty() {
            return Ok(Some((
                0..structure.size,
                Coding { encoding: TransferEncoding::Identity, is_text: false, window },
            )));
        }
        let Some(found) = structure.part(part) else { return Ok(None) };
        match found.transfer_encoding() {
            TransferEncoding::Unknown => Err(Problem::UnknownEncoding),
            encoding => {
                Ok(Some((found.body.clone(), Coding { encoding, is_text: found.content_type.kind == "text", window })))
            }
        }
    }

    /// BINARY: content with its transfer encoding undone.
    fn decoded(self: &Arc<Self>, part: &[u32], partial: Option<Partial>) -> Result<Chunk, Problem> {
        let Some((range, coding)) = self.coding(part, partial)? else { return Ok(Chunk::Nil) };
        let mut held = Vec::new();
        let (mut size, mut has_nul) = (0, false);
        self.decode(range.clone(), coding, &mut |piece| {
            size += piece.len() as u64;
            has_nul |= piece.contains(&0);
            if size <= PIECE {
                held.extend_from_slice(piece);
            }
        })?;
        if size <= PIECE {
            return Ok(Chunk::Held(held));
        }
        Ok(Chunk::Large(Large { size, has_nul, text: Arc::clone(self), range, coding: Some(coding) }))
    }

    fn decoded_size(&self, part: &[u32]) -> Result<u64, Problem> {
        let Some((range, coding)) = self.coding(part, None)? else { return Ok(0) };
        let mut size = 0;
        self.decode(range, coding, &mut |piece| size += piece.len() as u64)?;
        Ok(size)
    }

    fn decode(&self, range: Range<u64>, coding: Coding, sink: &mut dyn FnMut(&[u8])) -> Result<(), Problem> {
        let mut decoding = coding.start();
        let mut at = range.start;
        while at < range.end && !decoding.is_done() {
            let end = range.end.min(at + PIECE);
            sink(decoding.piece(&self.read(at..end)?));
            at = end;
        }
        sink(decoding.finish());
        Ok(())
    }
}

/// RFC 9051 §6.4.5: a range that goes beyond the end is cut, one that starts there is empty.
fn within(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(Partial { offset, count }) = partial else { return range };
    let start = range.start.saturating_add(offset).min(range.end);
    start..start.saturating_add(count).min(range.end)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "cannot read a message");
        Problem::Unreadable
    }
}

/// A stored message as what the surrogate is made from.
struct Octets<'m>(&'m StoredMessage);

impl Source for Octets<'_> {
    type Error = Error;

    fn read(&mut self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.0.read_at(range)?);
        Ok(())
    }
}

/// Octets too many to hold.
#[derive(Debug)]
pub(super) struct Large {
    text: Arc<Text>,
    range: Range<u64>,
    /// `None`: the octets as they are.
    coding: Option<Coding>,
    size: u64,
    has_nul: bool,
}

impl Large {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn has_nul(&self) -> bool {
        self.has_nul
    }

    pub(super) fn pieces(&self) -> Pieces {
        Pieces { text: Arc::clone(&self.text), range: self.range.clone(), decoding: self.coding.map(Coding::start) }
    }
}

/// [`Large`] octets one after the other.
#[derive(Debug)]
pub(super) struct Pieces {
    text: Arc<Text>,
    range: Range<u64>,
    decoding: Option<Decoding>,
}

impl Pieces {
    /// The next octets; `None` at the end.
    pub(super) async fn next(&mut self, account: &Account) -> Result<Option<Vec<u8>>> {
        if self.range.is_empty() || self.decoding.as_ref().is_some_and(Decoding::is_done) {
            let mut rest = self.decoding.take();
            return Ok(rest.as_mut().map(|decoding| decoding.finish().to_vec()));
        }
        let end = self.range.end.min(self.range.start + PIECE);
        let range = self.range.start..end;
        self.range.start = end;
        let octets = match self.text.read_now(range.clone()) {
            Some(octets) => octets?,
            None => {
                let text = Arc::clone(&self.text);
                account.read(move |_| text.read(range)).await?
            }
        };
        Ok(Some(match &mut self.decoding {
            Some(decoding) => decoding.piece(&octets).to_vec(),
            None => octets,
        }))
    }
}
