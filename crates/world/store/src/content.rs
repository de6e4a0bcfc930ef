//! What is computed once from a message's octets, before its transaction, and stored with it.
//!
//! The octets are those of the body without the prefix that a delivery puts in front (Return-Path,
//! Received, ...): a message for several recipients is analysed once.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use mailstead_message::structure::{Limits, Scanner, Structure};
use mailstead_message::text::{self, Source};
use mailstead_message::thread::Threading;

use crate::blobs::Body;
use crate::error::{Error, Result};
use crate::search::Terms;
use crate::threads::{ThreadFacts, ThreadPart};

/// How much of a large body is read at a time.
const CHUNK: u64 = 256 * 1024;

/// Octets of the header that threading looks at.
const THREADING_HEADER: u64 = 512 * 1024;

/// What was found in a message. Cheap to clone.
#[derive(Clone)]
pub struct Content(Arc<Found>);

struct Found {
    structure: Structure,
    preview: String,
    thread: ThreadFacts,
    terms: Terms,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("structure", &self.0.structure).finish_non_exhaustive()
    }
}

impl Content {
    /// Analyses a body. Malformed mail is no error; a disk that cannot be read is. Blocks.
    pub(crate) fn of(body: &Body) -> Result<Self> {
        let structure = scan(body)?;
        let mut source = body;
        let mut preview = text::preview(&structure, &mut source)?;
        preview.retain(storable);
        let terms = Terms::of(&structure, &mut source)?;
        let thread = thread_facts(&structure, body)?;
        Ok(Content(Arc::new(Found { structure, preview, thread, terms })))
    }

    /// Where the parts of the message are. Offsets do not count a prefix.
    #[must_use]
    pub fn structure(&self) -> &Structure {
        &self.0.structure
    }

    /// The first words of its text, at most 256 characters.
    #[must_use]
    pub fn preview(&self) -> &str {
        &self.0.preview
    }

    /// Message-ID, References and base subject.
    #[must_use]
    pub fn threading(&self) -> &Threading {
        &self.0.thread.names
    }

    pub(crate) fn thread_facts(&self) -> &ThreadFacts {
        &self.0.thread
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.0.terms
    }
}

impl Source for &Body {
    type Error = Error;

    fn read(&mut self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.read_at(range)?);
        Ok(())
    }
}

/// PostgreSQL has no NUL in text; malformed mail has.
fn storable(c: char) -> bool {
    c != '\0'
}

fn scan(body: &Body) -> Result<Structure> {
    let mut scanner = Scanner::new(Limits::default());
    if let Some(octets) = body.in_memory() {
        scanner.feed(octets);
        return Ok(scanner.finish());
    }
    let mut at = 0;
    while at < body.size() {
        let piece = body.read_at(at..at + CHUNK)?;
        at += piece.len() as u64;
        scanner.feed(&piece);
    }
    Ok(scanner.finish())
}

fn thread_facts(structure: &Structure, body: &Body) -> Result<ThreadFacts> {
    let header = &structure.root.header;
    let octets = body.read_at(header.start..header.end.min(header.start + THREADING_HEADER))?;
    let is_report = structure.root.content_type.is("multipart", "report");
    let part = if is_report { ThreadPart::Notice } else { ThreadPart::Letter };
    let mut names = Threading::parse(&octets);
    names.base_subject.retain(storable);
    names.message_id.iter_mut().chain(&mut names.references).for_each(|id| id.retain(storable));
    Ok(ThreadFacts { names, part })
}
