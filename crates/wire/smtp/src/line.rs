//! Octets received and not yet understood, taken off line by line or all at once.

/// An input buffer that moves its contents only now and then.
#[derive(Clone, Default)]
pub(crate) struct Input {
    octets: Vec<u8>,
    start: usize,
    /// Where the search for the end of a line goes on, so that octets are looked at once.
    searched: usize,
}

/// What [`Input::line`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line without its ending.
    Complete { text: Vec<u8>, ending: Ending },
    /// No end of line yet.
    Incomplete,
    /// More octets than allowed.
    TooLong,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    CrLf,
    BareLf,
}

impl Input {
    pub(crate) fn receive(&mut self, octets: &[u8]) {
        if self.start > 0 && self.start >= self.octets.len() / 2 {
            self.octets.drain(..self.start);
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    pub(crate) fn pending(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.octets.len().min(self.start + count);
    }

    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.octets);
        all.drain(..self.start);
        *self = Input::default();
        all
    }

    /// Takes a line of at most `max` octets, counting its CRLF (RFC 5321 §4.5.3.1.4).
    pub(crate) fn line(&mut self, max: usize) -> Line {
        let from = self.searched.max(self.start);
        let Some(offset) = memchr::memchr(b'\n', self.octets.get(from..).unwrap_or_default()) else {
            self.searched = self.octets.len();
            return if self.octets.len() - self.start > max { Line::TooLong } else { Line::Incomplete };
        };
        let end = from + offset;
        if end + 1 - self.start > max {
            return Line::TooLong;
        }
        let line = self.octets.get(self.start..end).unwrap_or_default();
        let (text, ending) = line.strip_suffix(b"\r").map_or((line, Ending::BareLf), |text| (text, Ending::CrLf));
        let text = text.to_vec();
        self.start = end + 1;
        Line::Complete { text, ending }
    }
}
