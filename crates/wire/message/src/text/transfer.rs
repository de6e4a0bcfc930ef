//! Undoing a Content-Transfer-Encoding in pieces: base64 (RFC 2045 §6.8) and quoted-printable (§6.7). Both are lenient:
//! what is not valid is skipped or kept, never an error.

use crate::structure::TransferEncoding;

/// Longest run of blanks held back to see whether a line ends after it; lines are at most 76 characters by §6.7 (5).
const MAX_BLANKS: usize = 1024;

/// Decodes a part's body in pieces.
#[derive(Debug)]
pub struct Transfer {
    kind: Kind,
    malformed: bool,
}

#[derive(Debug)]
enum Kind {
    Identity,
    Base64 {
        group: u32,
        digits: u8,
    },
    /// What is held back: blanks that vanish at the end of a line, or an unfinished escape.
    QuotedPrintable {
        held: Vec<u8>,
    },
}

impl Transfer {
    /// A decoder; an unknown encoding is passed through, as RFC 2045 §6.4 shows no better way to look at it.
    #[must_use]
    pub fn new(encoding: TransferEncoding) -> Transfer {
        let kind = match encoding {
            TransferEncoding::Identity | TransferEncoding::Unknown => Kind::Identity,
            TransferEncoding::Base64 => Kind::Base64 { group: 0, digits: 0 },
            TransferEncoding::QuotedPrintable => Kind::QuotedPrintable { held: Vec::new() },
        };
        Transfer { kind, malformed: false }
    }

    /// Whether something was not valid in the encoding.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// Appends what `octets` decode to.
    pub fn decode(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match &mut self.kind {
            Kind::Identity => out.extend_from_slice(octets),
            Kind::Base64 { group, digits } => {
                for octet in octets {
                    match sextet(*octet) {
                        Some(value) => {
                            *group = *group << 6 | value;
                            *digits += 1;
                            if *digits == 4 {
                                out.extend_from_slice(&group.to_be_bytes()[1..]);
                                (*group, *digits) = (0, 0);
                            }
                        }
                        // Padding ends a group; some programs put encoded pieces in a row.
                        None if *octet == b'=' => flush_base64(group, digits, out),
                        None => self.malformed |= !octet.is_ascii_whitespace(),
                    }
                }
            }
            Kind::QuotedPrintable { held } => {
                for octet in octets {
                    self.malformed |= quoted_printable(held, *octet, out);
                }
            }
        }
    }

    /// Appends what was held back at the end of the body.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.kind {
            Kind::Identity => {}
            Kind::Base64 { group, digits } => {
                self.malformed |= *digits != 0;
                flush_base64(group, digits, out);
            }
            Kind::QuotedPrintable { held } => {
                // Blanks at the very end, and a soft line break without line end, are nothing.
                if held.first() == Some(&b'=') && held.iter().any(u8::is_ascii_hexdigit) {
                    out.extend_from_slice(held);
                }
                held.clear();
            }
        }
    }
}

fn sextet(octet: u8) -> Option<u32> {
    let value = match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

fn flush_base64(group: &mut u32, digits: &mut u8, out: &mut Vec<u8>) {
    let octets = (*group << (6 * (4 - u32::from(*digits)))).to_be_bytes();
    match *digits {
        2 => out.extend_from_slice(&octets[1..2]),
        3 => out.extend_from_slice(&octets[1..3]),
        _ => {}
    }
    (*group, *digits) = (0, 0);
}

/// One octet; answers whether it showed a malformed escape.
fn quoted_printable(held: &mut Vec<u8>, octet: u8, out: &mut Vec<u8>) -> bool {
    match (held.as_slice(), octet) {
        // Soft line break: "=" [blanks] line end, §6.7 (5).
        ([b'=', ..], b'\n') if held.iter().skip(1).all(|o| matches!(o, b' ' | b'\t' | b'\r')) => {
            held.clear();
            false
        }
        ([b'=', blanks @ ..], b' ' | b'\t' | b'\r')
            if blanks.len() < MAX_BLANKS && blanks.iter().all(|o| matches!(o, b' ' | b'\t')) =>
        {
            held.push(octet);
            false
        }
        ([b'='], _) if octet.is_ascii_hexdigit() => {
            held.push(octet);
            false
        }
        ([b'=', high], _) if high.is_ascii_hexdigit() && octet.is_ascii_hexdigit() => {
            let digit = |octet: u8| char::from(octet).to_digit(16).unwrap_or(0);
            out.push(u8::try_from(digit(*high) << 4 | digit(octet)).unwrap_or(b'?'));
            held.clear();
            false
        }
        ([b'=', ..], _) => {
            // Not an escape: keep it as text, and look at this octet afresh.
            out.append(held);
            quoted_printable(held, octet, out);
            true
        }
        // Blanks before a line end were added on the way, §6.7 (3).
        (_, b'\n') => {
            let line_end = held.last() == Some(&b'\r');
            held.clear();
            out.extend_from_slice(if line_end { b"\r\n" } else { b"\n" });
            false
        }
        ([.., b'\r'], b' ' | b'\t' | b'\r') => {
            out.append(held);
            held.push(octet);
            false
        }
        (_, b' ' | b'\t' | b'\r') if held.len() < MAX_BLANKS => {
            held.push(octet);
            false
        }
        (_, b'=') => {
            out.append(held);
            held.push(octet);
            false
        }
        _ => {
            out.append(held);
            out.push(octet);
            false
        }
    }
}
