//! Encoded words, RFC 2047: read leniently, written strictly.
//!
//! ```abnf
//! encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="     ; language: RFC 2231 §5
//! ```

use mail_parser::decoders::base64::base64_decode;

use crate::charset;

pub(crate) use charset::lenient_utf8;

/// Longest encoded word, RFC 2047 §2.
const MAX_WORD: usize = 75;
/// Longest one that is read: far above the rule, and a bound on the work that hostile text makes.
const MAX_READ: usize = 2048;

struct Word<'a> {
    charset: &'a str,
    octets: Vec<u8>,
}

/// Replaces the encoded words of an unfolded value by their text. White space between adjacent encoded words goes
/// (§6.2), and characters that a sender split over two words of one charset are put together.
#[must_use]
pub fn decode(text: &str) -> String {
    if !text.contains("=?") {
        return text.to_owned();
    }
    let mut decoded = String::with_capacity(text.len());
    let mut pending: Option<Word<'_>> = None;
    let mut rest = text;
    loop {
        let start = rest.find("=?").unwrap_or(rest.len());
        let (before, from) = rest.split_at(start);
        let word = parse_word(from);
        let between_words = pending.is_some() && word.is_some() && before.chars().all(char::is_whitespace);
        if !between_words {
            flush(&mut pending, &mut decoded);
            decoded.push_str(before);
        }
        match word {
            Some((word, after)) => {
                pending = match pending.take() {
                    Some(mut earlier) if earlier.charset.eq_ignore_ascii_case(word.charset) => {
                        earlier.octets.extend_from_slice(&word.octets);
                        Some(earlier)
                    }
                    earlier => {
                        flush(&mut { earlier }, &mut decoded);
                        Some(word)
                    }
                };
                rest = after;
            }
            None if from.is_empty() => break,
            None => {
                decoded.push_str("=?");
                rest = from.get(2..).unwrap_or("");
            }
        }
    }
    flush(&mut pending, &mut decoded);
    decoded
}

fn flush(pending: &mut Option<Word<'_>>, decoded: &mut String) {
    if let Some(word) = pending.take() {
        let text = charset::decode(word.charset, &word.octets);
        // A line end hidden in an encoded word must not become one in a header or a protocol line.
        decoded.extend(text.chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }));
    }
}

fn parse_word(text: &str) -> Option<(Word<'_>, &str)> {
    let end = text.floor_char_boundary(MAX_READ);
    let body = text.get(..end)?.strip_prefix("=?")?;
    let (charset, body) = body.split_once('?')?;
    let (encoding, body) = body.split_once('?')?;
    let (content, rest) = body.split_once("?=")?;
    let after = text.get(end - rest.len()..)?;
    // "?=" may also be the end of a Q-encoded text that begins with "=": "=?utf-8?q?=41?=" has it at the right place,
    // since Q text has no bare "?".
    let charset = charset.split('*').next().unwrap_or(charset);
    if charset.is_empty() || content.contains(['?', ' ']) || charset.contains(char::is_whitespace) {
        return None;
    }
    let octets = match encoding {
        "b" | "B" => base64_decode(content.as_bytes())?,
        "q" | "Q" => decode_q(content.as_bytes()),
        _ => return None,
    };
    Some((Word { charset, octets }, after))
}

/// §4.2: `_` is a space, `=XX` an octet; anything else stands for itself.
fn decode_q(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(octet) = text.get(at) {
        let hex = |index: usize| text.get(index).and_then(|digit| char::from(*digit).to_digit(16));
        match (octet, hex(at + 1), hex(at + 2)) {
            (b'_', ..) => octets.push(b' '),
            (b'=', Some(high), Some(low)) => {
                octets.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 2;
            }
            _ => octets.push(*octet),
        }
        at += 1;
    }
    octets
}

/// Writes text as encoded words in UTF-8, separated by single spaces; plain ASCII without `=?` stays as it is. The
/// result is ASCII, has no line ends, and can be folded at any space.
#[must_use]
pub fn encode(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") && !text.bytes().any(|octet| octet.is_ascii_control()) {
        return text.to_owned();
    }
    const OPEN: &str = "=?utf-8?q?";
    let mut encoded = String::new();
    let mut line = String::from(OPEN);
    for c in text.chars() {
        let mut buffer = [0; 4];
        let piece: String = c.encode_utf8(&mut buffer).bytes().map(q_octet).collect();
        // A character is not split over words, §5.
        if line.len() + piece.len() + 2 > MAX_WORD {
            encoded.push_str(&line);
            encoded.push_str("?= ");
            line.clear();
            line.push_str(OPEN);
        }
        line.push_str(&piece);
    }
    encoded.push_str(&line);
    encoded.push_str("?=");
    encoded
}

/// The characters allowed in a `phrase`, the strictest place (§5 (3)).
fn q_octet(octet: u8) -> String {
    match octet {
        b' ' => "_".to_owned(),
        b'!' | b'*' | b'+' | b'-' | b'/' => char::from(octet).to_string(),
        _ if octet.is_ascii_alphanumeric() => char::from(octet).to_string(),
        _ => format!("={octet:02X}"),
    }
}
