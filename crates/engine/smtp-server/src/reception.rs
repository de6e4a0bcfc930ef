//! A message on its way in: its header is held back until it is complete, looked at and perhaps rewritten; the body then
//! streams into the store's stage.

use std::fmt;

use mailstead_runtime::Deadline;
use mailstead_store::{Stage, Staged};

use crate::authentication::{Hashing, Signed};
use crate::lines::{LineMeter, LongLine};
use crate::refusal::{Cause, Refusal};
use crate::reply;

/// Longest header. It is held in memory, and nobody needs more.
const HEADER_MAX: usize = 512 * 1024;

/// Whether the empty line between header and body was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Separator {
    Present,
    Missing,
}

#[derive(Debug)]
pub(crate) struct Reception {
    stage: Stage,
    examiner: Box<dyn Examine>,
    head: Head,
    hashing: Option<Hashing>,
    meter: Option<LineMeter>,
    /// For the whole message.
    pub(crate) deadline: Deadline,
}

#[derive(Debug)]
enum Head {
    /// What came so far; no empty line yet.
    Collecting(Vec<u8>),
    /// The header as it was staged.
    Staged(Vec<u8>),
}

/// Looks at a complete header, with its empty line, and gives what is to stand in its place; or refuses the message.
pub(crate) trait Examine: fmt::Debug + Send + Sync {
    fn examine(&self, header: &[u8], separator: Separator) -> Result<Vec<u8>, Refusal>;

    /// What is to be known about the body when the message ends: hashes for signatures. `received` is the header as it
    /// came, `staged` what stands in its place.
    fn hashing(&self, received: &[u8], staged: &[u8]) -> Option<Hashing>;

    /// Looks at the lines of the body, where their length matters. `received` is the header as it came.
    fn meter(&self, received: &[u8]) -> Option<LineMeter>;
}

/// A message that is on the disk.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) staged: Staged,
    /// The header as it was staged.
    pub(crate) header: Vec<u8>,
    /// What signatures need, where it was asked for.
    pub(crate) signed: Option<Signed>,
    /// The first line of the body that is too long, where that was looked at.
    pub(crate) long_line: Option<LongLine>,
}

impl Reception {
    pub(crate) fn new(stage: Stage, examiner: Box<dyn Examine>, deadline: Deadline) -> Reception {
        Reception { stage, examiner, head: Head::Collecting(Vec::new()), hashing: None, meter: None, deadline }
    }

    /// Takes a piece of the message. After an error the rest is of no use.
    pub(crate) async fn receive(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let Head::Collecting(collected) = &mut self.head else { return self.stage_body(piece).await };
        // An end may straddle two pieces.
        let searched = collected.len().saturating_sub(3);
        collected.extend_from_slice(piece);
        let Some(end) = end_of_header(collected, searched) else {
            return if collected.len() > HEADER_MAX { Err(header_too_large()) } else { Ok(()) };
        };
        if end > HEADER_MAX {
            return Err(header_too_large());
        }
        let mut header = std::mem::take(collected);
        let body = header.split_off(end);
        self.stage_header(&header, Separator::Present).await?;
        self.stage_body(&body).await
    }

    /// Ends the message.
    pub(crate) async fn finish(mut self) -> Result<Finished, Refusal> {
        if let Head::Collecting(header) = &mut self.head {
            let header = std::mem::take(header);
            self.stage_header(&header, Separator::Missing).await?;
        }
        let header = match self.head {
            Head::Staged(header) | Head::Collecting(header) => header,
        };
        let signed = self.hashing.map(Hashing::finish);
        let staged = self.stage.finish().await?;
        let long_line = self.meter.and_then(LineMeter::finish);
        Ok(Finished { staged, header, signed, long_line })
    }

    async fn stage_header(&mut self, header: &[u8], separator: Separator) -> Result<(), Refusal> {
        let staged = self.examiner.examine(header, separator)?;
        self.hashing = self.examiner.hashing(header, &staged);
        self.meter = self.examiner.meter(header);
        self.stage(&staged).await?;
        self.head = Head::Staged(staged);
        Ok(())
    }

    async fn stage_body(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        if let Some(hashing) = &mut self.hashing {
            hashing.update(octets);
        }
        if let Some(meter) = &mut self.meter {
            meter.update(octets);
        }
        self.stage(octets).await
    }

    async fn stage(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        Ok(self.stage.write(octets).await?)
    }
}

fn header_too_large() -> Refusal {
    Refusal::new(Cause::TooLarge, reply::header_too_large())
}

/// Where the header ends, its empty line included. `from` may be given where earlier octets were searched.
fn end_of_header(octets: &[u8], from: usize) -> Option<usize> {
    if octets.starts_with(b"\r\n") {
        return Some(2);
    }
    let rest = octets.get(from..)?;
    rest.windows(4).position(|window| window == b"\r\n\r\n").map(|at| from + at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_at_the_first_empty_line() {
        assert_eq!(end_of_header(b"\r\nbody", 0), Some(2));
        assert_eq!(end_of_header(b"a: b\r\n\r\nbody\r\n\r\n", 0), Some(8));
        assert_eq!(end_of_header(b"a: b\r\n", 0), None);
        assert_eq!(end_of_header(b"a: b\r\n\r\n", 4), Some(8));
        assert_eq!(end_of_header(b"", 0), None);
    }
}
