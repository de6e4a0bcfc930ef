//! Message data after DATA: the transparency of RFC 5321 §4.5.2, in both directions.
//!
//! [`Decoder`] ends only at `CRLF.CRLF`. Sequences that other servers take for an end of data (`LF.LF`, `LF.CRLF`,
//! `CRLF.LF`), and any CR without LF, are attempts at SMTP smuggling or come from software too broken to trust:
//! the message is read to its real end and then refused. A lone LF elsewhere is repaired to CRLF.
//!
//! [`Encoder`] refuses to send what another server could take for an end of data.
//! Line length is not limited here (RFC 5321 §4.5.3.1.6 is a minimum to support).

/// Why message data was refused although it ended properly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Smuggling {
    /// A CR that is not followed by LF.
    #[error("bare carriage return")]
    BareCr,
    /// `LF . LF` or `LF . CRLF`, the first LF bare.
    #[error("dot line after bare line feed")]
    DotAfterBareLf,
    /// `CRLF . LF`.
    #[error("dot line ended by bare line feed")]
    DotBeforeBareLf,
}

/// Where the decoder stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// After CRLF, or at the very start: a dot here is stuffing or the end.
    LineStart,
    /// `CRLF .`
    Dot,
    /// `CRLF . CR`
    DotCr,
    /// Within a line.
    Text,
    /// A CR within a line, not yet passed on.
    Cr,
    /// After a bare LF, passed on as CRLF.
    AfterLf,
    /// `LF .`, the dot passed on as content.
    LfDot,
    /// `LF . CR`
    LfDotCr,
    /// `CRLF . CRLF` was read.
    End,
}

/// Streaming decoder of message data.
#[derive(Clone, Debug)]
pub struct Decoder {
    at: At,
    smuggling: Option<Smuggling>,
    eight_bit: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { at: At::LineStart, smuggling: None, eight_bit: false }
    }
}

/// How much [`Decoder::decode`] took, and whether that was the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Octets of the input that belong to the data; what follows the end is the next command.
    pub consumed: usize,
    /// Whether the end of data was among them.
    pub ended: bool,
}

impl Decoder {
    /// A decoder for the octets right after the 354 reply.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Decodes as much of `input` as belongs to the message and appends the message octets to `out`.
    ///
    /// Once an attempt at smuggling was seen nothing is appended any more.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Progress {
        let mut position = 0;
        while let Some(&octet) = input.get(position) {
            if self.at == At::Text && octet != b'\r' && octet != b'\n' {
                let rest = input.get(position..).unwrap_or_default();
                let run = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                self.emit(rest.get(..run).unwrap_or_default(), out);
                position += run;
                continue;
            }
            position += 1;
            self.step(octet, out);
            if self.at == At::End {
                return Progress { consumed: position, ended: true };
            }
        }
        Progress { consumed: position, ended: self.at == At::End }
    }

    /// What makes the data unacceptable, once the end was reached.
    pub fn smuggling(&self) -> Option<Smuggling> {
        self.smuggling
    }

    /// Whether an octet above 127 was seen.
    pub fn eight_bit(&self) -> bool {
        self.eight_bit
    }

    fn emit(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        self.eight_bit = self.eight_bit || !octets.is_ascii();
        if self.smuggling.is_none() {
            out.extend_from_slice(octets);
        }
    }

    fn refuse(&mut self, reason: Smuggling) {
        self.smuggling.get_or_insert(reason);
    }

    fn step(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.at = match (self.at, octet) {
            (At::Cr, b'\n') => {
                self.emit(b"\r\n", out);
                At::LineStart
            }
            (At::DotCr, b'\n') => At::End,
            (At::LfDotCr, b'\n') => {
                self.refuse(Smuggling::DotAfterBareLf);
                At::LineStart
            }
            // A CR pending in any other company is bare. The octet after it starts no line.
            (At::Cr | At::DotCr | At::LfDotCr, _) => {
                self.refuse(Smuggling::BareCr);
                if octet == b'\r' { At::Cr } else { At::Text }
            }
            (At::Dot, b'\r') => At::DotCr,
            (At::LfDot, b'\r') => At::LfDotCr,
            (_, b'\r') => At::Cr,
            (At::Dot, b'\n') => {
                self.refuse(Smuggling::DotBeforeBareLf);
                At::AfterLf
            }
            (At::LfDot, b'\n') => {
                self.refuse(Smuggling::DotAfterBareLf);
                At::AfterLf
            }
            (_, b'\n') => {
                self.emit(b"\r\n", out);
                At::AfterLf
            }
            // The dot is held back: with more on the line it was stuffing and is dropped (RFC 5321 §4.5.2).
            (At::LineStart, b'.') => At::Dot,
            // After a bare LF no sender has stuffed, so the dot is content.
            (At::AfterLf, b'.') => {
                self.emit(b".", out);
                At::LfDot
            }
            (At::End, _) => At::End,
            _ => {
                self.emit(&[octet], out);
                At::Text
            }
        };
    }
}

/// Message content that must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message contains a bare carriage return or line feed")]
pub struct BareLineEnding;

/// Streaming encoder of message data: stuffs dots and appends the end of data.
#[derive(Clone, Debug)]
pub struct Encoder {
    line_start: bool,
    cr: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { line_start: true, cr: false }
    }
}

impl Encoder {
    /// An encoder at the start of a message.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Appends the encoded form of `message` to `out`.
    ///
    /// After an error the transfer cannot be completed: the connection must be dropped, since an end of data would
    /// make the peer accept half a message.
    pub fn encode(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), BareLineEnding> {
        out.reserve(message.len() + message.len() / 64);
        let mut rest = message;
        while let Some(&first) = rest.first() {
            if self.cr != (first == b'\n') {
                return Err(BareLineEnding);
            }
            if self.cr {
                out.push(b'\n');
                (self.cr, self.line_start) = (false, true);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            if self.line_start && first == b'.' {
                out.push(b'.');
            }
            self.line_start = false;
            let run = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (text, after) = rest.split_at_checked(run).unwrap_or((rest, &[]));
            out.extend_from_slice(text);
            rest = match after.split_first() {
                Some((b'\r', after)) => {
                    out.push(b'\r');
                    self.cr = true;
                    after
                }
                _ => after,
            };
        }
        Ok(())
    }

    /// Appends the end of data, after completing a last line that has no CRLF.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), BareLineEnding> {
        if self.cr {
            return Err(BareLineEnding);
        }
        if !self.line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes in two pieces split at `split`; gives message, rest and verdict.
    fn decode_split(input: &[u8], split: usize) -> Option<(Vec<u8>, Vec<u8>, Option<Smuggling>)> {
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        let (head, tail) = input.split_at(split);
        let first = decoder.decode(head, &mut out);
        if first.ended {
            let rest = [&head[first.consumed..], tail].concat();
            return Some((out, rest, decoder.smuggling()));
        }
        assert_eq!(first.consumed, head.len());
        let second = decoder.decode(tail, &mut out);
        second.ended.then(|| (out, tail[second.consumed..].to_vec(), decoder.smuggling()))
    }

    fn decode(input: &[u8]) -> Option<(Vec<u8>, Vec<u8>, Option<Smuggling>)> {
        let whole = decode_split(input, 0);
        for split in 1..=input.len() {
            assert_eq!(decode_split(input, split), whole, "split at {split} of {input:?}");
        }
        whole
    }

    #[test]
    fn ends_only_at_crlf_dot_crlf() {
        let cases: &[(&[u8], &[u8], &[u8])] = &[
            (b".\r\nQUIT", b"", b"QUIT"),
            (b"a\r\n.\r\n", b"a\r\n", b""),
            (b"a\r\n..\r\n.\r\nNOOP\r\n", b"a\r\n.\r\n", b"NOOP\r\n"),
            (b"a\r\n..b\r\n.c\r\n.\r\n", b"a\r\n.b\r\nc\r\n", b""),
            (b"a.\r\nb\r\n.\r\n", b"a.\r\nb\r\n", b""),
            (b"a\nb\r\n.\r\n", b"a\r\nb\r\n", b""),
            (b"a\n.b\r\n.\r\n", b"a\r\n.b\r\n", b""),
            (b"\n\r\n.\r\n", b"\r\n\r\n", b""),
            (b"a\n..\r\n.\r\n", b"a\r\n..\r\n", b""),
        ];
        for (input, message, rest) in cases {
            assert_eq!(decode(input), Some((message.to_vec(), rest.to_vec(), None)), "{input:?}");
        }
        for unfinished in [&b"a\r\n."[..], b"a\r\n.\r", b"a\n.\n", b"a\r\n.\n", b"a\r.\r", b"", b"a.\r\n"] {
            assert_eq!(decode(unfinished), None, "{unfinished:?}");
        }
    }

    #[test]
    fn smuggling_is_consumed_to_the_real_end_and_refused() {
        use Smuggling::{BareCr, DotAfterBareLf, DotBeforeBareLf};
        let cases: &[(&[u8], Smuggling)] = &[
            (b"a\n.\nMAIL FROM:<>\r\n.\r\n", DotAfterBareLf),
            (b"a\n.\r\nMAIL FROM:<>\r\n.\r\n", DotAfterBareLf),
            (b"a\r\n.\nMAIL FROM:<>\r\n.\r\n", DotBeforeBareLf),
            (b".\nMAIL FROM:<>\r\n.\r\n", DotBeforeBareLf),
            (b"a\rb\r\n.\r\n", BareCr),
            (b"a\r.\r\r\n.\r\n", BareCr),
            (b"a\r\n.\rb\r\n.\r\n", BareCr),
            (b"a\n.\rb\r\n.\r\n", BareCr),
            (b"a\r\r\n.\r\n", BareCr),
        ];
        for (input, reason) in cases {
            let (_, rest, found) = decode(&[input, &b"QUIT\r\n"[..]].concat()).unwrap();
            assert_eq!((rest.as_slice(), found), (&b"QUIT\r\n"[..], Some(*reason)), "{input:?}");
        }
    }

    #[test]
    fn encoder_refuses_bare_line_endings() {
        for message in ["a\nb", "a\rb", "\n", "a\r\r\n", "a\r\n\n"] {
            let mut out = Vec::new();
            assert_eq!(Encoder::new().encode(message.as_bytes(), &mut out), Err(BareLineEnding), "{message:?}");
        }
        let mut encoder = Encoder::new();
        encoder.encode(b"a\r", &mut Vec::new()).unwrap();
        assert_eq!(encoder.finish(&mut Vec::new()), Err(BareLineEnding));
    }

    #[test]
    fn encoder_completes_the_last_line() {
        let mut out = Vec::new();
        let mut encoder = Encoder::new();
        encoder.encode(b".a\r\n.", &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        assert_eq!(out, b"..a\r\n..\r\n.\r\n");
        let mut empty = Vec::new();
        Encoder::new().finish(&mut empty).unwrap();
        assert_eq!(empty, b".\r\n");
    }

    proptest! {
        #[test]
        fn decoding_what_was_encoded_gives_the_message(
            lines in proptest::collection::vec("[.a\u{e9}]{0,4}", 0..8), splits in proptest::collection::vec(0usize..64, 0..4)
        ) {
            let message: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
            let mut wire = Vec::new();
            let mut encoder = Encoder::new();
            let mut start = 0;
            let mut splits: Vec<usize> = splits.into_iter().map(|split| split.min(message.len())).collect();
            splits.sort_unstable();
            for split in splits.into_iter().chain([message.len()]) {
                encoder.encode(&message[start..split], &mut wire).unwrap();
                start = split;
            }
            encoder.finish(&mut wire).unwrap();
            prop_assert_eq!(decode(&wire), Some((message, Vec::new(), None)));
        }

        /// Whatever is accepted holds no sequence that another server could take for an end of data.
        #[test]
        fn accepted_messages_smuggle_nothing(input in "[\r\n.a]{0,24}") {
            let input = [input.as_bytes(), b"\r\n.\r\n"].concat();
            if let Some((message, _, None)) = decode(&input) {
                prop_assert!(Encoder::new().encode(&message, &mut Vec::new()).is_ok());
            }
        }
    }
}
