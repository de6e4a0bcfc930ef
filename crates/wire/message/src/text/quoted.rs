//! Quoted-printable written in pieces of any size (RFC 2045 §6.7).

/// Longest line without CRLF (§6.7 (5)).
const LINE: usize = 76;

/// Encodes text whose lines end in CRLF. Line ends stay line ends; lines that are too long get soft breaks, and what is
/// decoded from it is octet for octet what was encoded. No line begins with `--`, so that none can be a delimiter of a
/// multipart (RFC 2046 §5.1.1), wherever lines are broken.
///
/// ```
/// use mailstead_message::text::QuotedPrintable;
///
/// assert_eq!(QuotedPrintable::encode("Grüße \r\nx=1".as_bytes()), b"Gr=C3=BC=C3=9Fe=20\r\nx=3D1");
/// ```
#[derive(Debug, Default)]
pub struct QuotedPrintable {
    /// Octets of the line so far.
    line: usize,
    /// The last octets: what becomes of them depends on what follows.
    held: Vec<u8>,
}

impl QuotedPrintable {
    /// Encodes all of a text.
    #[must_use]
    pub fn encode(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + text.len() / 4);
        let mut encoder = QuotedPrintable::default();
        encoder.update(text, &mut out);
        encoder.finish(&mut out);
        out
    }

    /// Takes a piece; appends what can be told of it.
    pub fn update(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        // An octet is looked at together with the next two.
        let taken = self.take(&text, text.len().saturating_sub(2), out);
        self.held = text.split_off(taken);
    }

    /// Ends the text.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.held);
        self.take(&text, text.len(), out);
    }

    /// Encodes the octets before `until`, and the LF of a CRLF behind it; says how many octets that were.
    fn take(&mut self, text: &[u8], until: usize, out: &mut Vec<u8>) -> usize {
        let mut octets = text.iter().copied().enumerate().peekable();
        while let Some((at, octet)) = octets.next_if(|(at, _)| *at < until) {
            if octet == b'\r' && octets.next_if(|(_, next)| *next == b'\n').is_some() {
                out.extend_from_slice(b"\r\n");
                self.line = 0;
                continue;
            }
            let rest = text.get(at + 1..).unwrap_or_default();
            let ends_line = rest.is_empty() || rest.starts_with(b"\r\n");
            let literal = matches!(octet, 33..=60 | 62..=126) || (matches!(octet, b' ' | b'\t') && !ends_line);
            let width = if literal { 1 } else { 3 };
            if self.line + width > LINE - usize::from(!ends_line) {
                out.extend_from_slice(b"=\r\n");
                self.line = 0;
            }
            let dashes = self.line == 0 && octet == b'-' && rest.starts_with(b"-");
            let (literal, width) = if dashes { (false, 3) } else { (literal, width) };
            if literal {
                out.push(octet);
            } else {
                let digit = |value: u8| b"0123456789ABCDEF".get(usize::from(value)).copied().unwrap_or(b'0');
                out.extend([b'=', digit(octet >> 4), digit(octet & 15)]);
            }
            self.line += width;
        }
        octets.peek().map_or(text.len(), |(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::structure::TransferEncoding;
    use crate::text::Transfer;

    fn decoded(encoded: &[u8]) -> Vec<u8> {
        let mut decoder = Transfer::new(TransferEncoding::QuotedPrintable);
        let mut out = Vec::new();
        decoder.decode(encoded, &mut out);
        decoder.finish(&mut out);
        out
    }

    proptest! {
        /// Text comes back as it was, in whatever pieces it went, and no line is too long.
        #[test]
        fn what_is_encoded_comes_back(
            lines in proptest::collection::vec("[ -~\t=é\r\u{1}]{0,200}|-{0,200}", 0..5),
            cuts in proptest::collection::vec(0_usize..600, 0..4),
        ) {
            let text = lines.join("\r\n").into_bytes();
            let whole = QuotedPrintable::encode(&text);
            prop_assert_eq!(decoded(&whole), text.clone());
            prop_assert!(whole.split(|octet| *octet == b'\n').all(|line| !line.starts_with(b"--")));
            let too_long = whole.split(|octet| *octet == b'\n').find(|line| line.len() > LINE + 1);
            prop_assert!(too_long.is_none(), "{:?}", too_long);

            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let (mut encoder, mut pieces, mut at) = (QuotedPrintable::default(), Vec::new(), 0);
            for cut in cuts.into_iter().chain([text.len()]) {
                encoder.update(&text[at..cut], &mut pieces);
                at = cut;
            }
            encoder.finish(&mut pieces);
            prop_assert_eq!(pieces, whole);
        }
    }
}
