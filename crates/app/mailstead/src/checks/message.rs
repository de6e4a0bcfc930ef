//! Messages from files, as they would be in transit.

use super::options::MessageFile;
use crate::failure::Failure;
use crate::files::read_file;

/// Longer messages are not read: no server takes them, and they are held in memory.
const MOST_OCTETS: u64 = 100 * 1000 * 1000;

/// How the lines of a file end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    Lf,
    CrLf,
}

/// A message with CRLF everywhere, and how the lines of its file end.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) octets: Vec<u8>,
    pub(super) line_end: LineEnd,
}

impl MessageFile {
    /// Reads the message.
    pub(super) fn read(&self) -> Result<Message, Failure> {
        Ok(Message::new(&read_file(self.message.as_deref(), MOST_OCTETS)?))
    }
}

impl Message {
    pub(super) fn new(octets: &[u8]) -> Message {
        let mut converted = Vec::with_capacity(octets.len());
        let mut line_end = LineEnd::CrLf;
        for (index, line) in octets.split_inclusive(|octet| *octet == b'\n').enumerate() {
            match line.strip_suffix(b"\n") {
                Some(text) if !text.ends_with(b"\r") => {
                    if index == 0 {
                        line_end = LineEnd::Lf;
                    }
                    converted.extend_from_slice(text);
                    converted.extend_from_slice(b"\r\n");
                }
                _ => converted.extend_from_slice(line),
            }
        }
        Message { octets: converted, line_end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_crlf() {
        let message = Message::new(b"a: b\nc: d\r\n\n\r\ne\rf\n\ng");
        assert_eq!(message.octets, b"a: b\r\nc: d\r\n\r\n\r\ne\rf\r\n\r\ng");
        assert_eq!(message.line_end, LineEnd::Lf);
        assert_eq!(Message::new(b"a: b\r\n\n").line_end, LineEnd::CrLf);
        assert_eq!(Message::new(b"").octets, b"");
    }
}
