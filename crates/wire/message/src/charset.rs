//! Octets in a named charset to UTF-8, all at once or in pieces.
//!
//! The labels of the WHATWG encoding standard stream through `encoding_rs`; what that standard leaves out (UTF-7,
//! cp850, ...) is gathered and decoded at the end by `mail-parser`'s tables.

use std::borrow::Cow;

use encoding_rs::Encoding;
use mail_parser::decoders::charsets::map::charset_decoder;

/// Most octets kept for a charset that cannot be decoded in pieces.
const GATHER_LIMIT: usize = 4 * 1024 * 1024;

/// Decodes octets; never fails. An unknown or empty label is taken for UTF-8, or windows-1252 where it is not that.
#[must_use]
pub fn decode<'a>(label: &str, octets: &'a [u8]) -> Cow<'a, str> {
    if is_utf8_like(label) {
        return lenient_utf8(octets);
    }
    match Encoding::for_label(label.trim().as_bytes()) {
        Some(encoding) => encoding.decode_without_bom_handling(octets).0,
        None => match legacy(label) {
            Some(decoder) => Cow::Owned(decoder(octets)),
            None => lenient_utf8(octets),
        },
    }
}

/// UTF-8 if it is, else windows-1252, which gives text for any octets.
#[must_use]
pub fn lenient_utf8(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(octets).0,
    }
}

/// No charset, ASCII and UTF-8: what is really sent under the first two labels is often the third.
fn is_utf8_like(label: &str) -> bool {
    let label = label.trim();
    ["", "utf-8", "utf8", "us-ascii", "ascii", "unknown-8bit"].iter().any(|known| known.eq_ignore_ascii_case(label))
}

fn legacy(label: &str) -> Option<fn(&[u8]) -> String> {
    charset_decoder(label.trim().as_bytes())
}

/// Decodes a charset in pieces. Text comes out as soon as it is certain.
pub(crate) struct Decoder {
    kind: Kind,
}

enum Kind {
    Streaming(Box<encoding_rs::Decoder>),
    Gathering(Vec<u8>, fn(&[u8]) -> String),
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            Kind::Streaming(_) => "Decoder(streaming)",
            Kind::Gathering(..) => "Decoder(gathering)",
        })
    }
}

impl Decoder {
    pub(crate) fn new(label: &str) -> Decoder {
        let encoding =
            if is_utf8_like(label) { Some(encoding_rs::UTF_8) } else { Encoding::for_label(label.trim().as_bytes()) };
        let kind = match (encoding, legacy(label)) {
            (Some(encoding), _) => Kind::Streaming(Box::new(encoding.new_decoder_with_bom_removal())),
            (None, Some(decoder)) => Kind::Gathering(Vec::new(), decoder),
            (None, None) => Kind::Streaming(Box::new(encoding_rs::UTF_8.new_decoder_with_bom_removal())),
        };
        Decoder { kind }
    }

    /// Appends to `out` what `octets` add; `last` says that nothing follows.
    pub(crate) fn decode(&mut self, octets: &[u8], last: bool, out: &mut String) {
        match &mut self.kind {
            Kind::Streaming(decoder) => {
                out.reserve(decoder.max_utf8_buffer_length(octets.len()).unwrap_or(octets.len() * 3 + 16));
                // The space was reserved, so one call takes everything.
                let _ = decoder.decode_to_string(octets, out, last);
            }
            Kind::Gathering(gathered, decoder) => {
                let room = GATHER_LIMIT.saturating_sub(gathered.len()).min(octets.len());
                gathered.extend_from_slice(&octets[..room]);
                if last {
                    out.push_str(&decoder(gathered));
                    gathered.clear();
                }
            }
        }
    }
}
