//! Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183), with the continuations, charsets and
//! languages of RFC 2231.
//!
//! ```abnf
//! parameter := attribute "=" value
//! value     := token / quoted-string
//! regular-parameter-name  := attribute [section]     ; RFC 2231 §7
//! extended-parameter-name := (attribute [section] "*")
//! section                 := "*" 1*DIGIT
//! ```

use std::borrow::Cow;

use crate::charset;
use crate::lex::{self, Cursor};
use crate::word;

/// Most parameters of a field that are kept; bounds the work on hostile input.
const MAX_PARAMS: usize = 200;

/// Splits `token; name=value; ...` into the token and its parameters. Names are lower case; values lose quoting only.
/// Fragments that are no parameter are dropped.
#[must_use]
pub fn parse(value: &str) -> (String, Vec<(String, String)>) {
    let mut cursor = Cursor::new(value);
    cursor.skip_cfws();
    let mut token = word(&mut cursor).to_owned();
    // In the lexical terms of RFC 822, which RFC 2045 §5.1 uses, blanks and comments may stand around the slash.
    let mut ahead = cursor;
    ahead.skip_cfws();
    if token.ends_with('/') || ahead.peek() == Some('/') {
        token.push_str(word(&mut ahead));
        if token.ends_with('/') {
            ahead.skip_cfws();
            token.push_str(word(&mut ahead));
        }
        cursor = ahead;
    }
    let mut params = Vec::new();
    while !cursor.is_empty() && params.len() < MAX_PARAMS {
        cursor.skip_cfws();
        if !cursor.eat(';') {
            // Junk between parameters: go on at the next semicolon.
            cursor.take_while(|c| c != ';');
            continue;
        }
        cursor.skip_cfws();
        let name = cursor.take_while(lex::is_token).to_ascii_lowercase();
        cursor.skip_cfws();
        if name.is_empty() || !cursor.eat('=') {
            continue;
        }
        cursor.skip_cfws();
        let value = match cursor.quoted_string() {
            Some(text) => text,
            // Unquoted values with blanks or specials are common in file names; take all up to the semicolon.
            None => cursor.take_while(|c| !matches!(c, ';' | '(')).trim_end().to_owned(),
        };
        params.push((name, value));
    }
    (token, params)
}

fn word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.take_while(|c| !matches!(c, ';' | '(') && !c.is_ascii_whitespace())
}

/// One parameter, decoded: RFC 2231 segments joined in order and their charset applied; an encoded word in a plain
/// value, which RFC 2047 §5 forbids and mail programs write, is decoded too.
#[must_use]
pub fn value<'p>(params: &'p [(String, String)], name: &str) -> Option<Cow<'p, str>> {
    let plain = params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match (joined(params, name), plain) {
        // Where both forms are given, the extended one is the better, RFC 6266 §4.3 says of HTTP, and mail does alike.
        (Some(value), _) => Some(Cow::Owned(value)),
        (None, Some(value)) if value.contains("=?") => Some(Cow::Owned(word::decode(value))),
        (None, Some(value)) => Some(Cow::Borrowed(value)),
        (None, None) => None,
    }
}

/// All parameters decoded, each name once, in the order of first appearance (RFC 9051 §7.5.2 on RFC 2231).
#[must_use]
pub fn decoded(params: &[(String, String)]) -> Vec<(String, String)> {
    let mut decoded: Vec<(String, String)> = Vec::with_capacity(params.len());
    for (name, _) in params {
        let base = name.split('*').next().unwrap_or(name);
        if !decoded.iter().any(|(known, _)| known == base)
            && let Some(value) = value(params, base)
        {
            decoded.push((base.to_owned(), value.into_owned()));
        }
    }
    decoded
}

/// RFC 2231 §3 and §4: `name*`, or `name*0`, `name*1*`, ... from 0 without a gap, in any order in the field.
fn joined(params: &[(String, String)], name: &str) -> Option<String> {
    let mut sections: Vec<(usize, bool, &str)> = Vec::new();
    for (known, value) in params {
        let Some(suffix) = known.strip_prefix(name).and_then(|rest| rest.strip_prefix('*')) else { continue };
        let (number, extended) = match suffix.strip_suffix('*') {
            Some(number) => (number, true),
            None => (suffix, suffix.is_empty()),
        };
        let Ok(number) = (if number.is_empty() { Ok(0) } else { number.parse::<usize>() }) else { continue };
        sections.push((number, extended, value));
    }
    sections.sort_by_key(|(number, ..)| *number);
    let mut charset = "";
    let mut octets = Vec::new();
    let mut expected = 0;
    for (number, extended, text) in sections {
        if number != expected {
            break;
        }
        let mut text = text;
        if extended && number == 0 {
            // extended-initial-value := [charset] "'" [language] "'" extended-other-values
            let mut pieces = text.splitn(3, '\'');
            if let (Some(label), Some(_language), Some(value)) = (pieces.next(), pieces.next(), pieces.next()) {
                charset = label;
                text = value;
            }
        }
        if extended {
            percent_decode(text, &mut octets);
        } else {
            octets.extend_from_slice(text.as_bytes());
        }
        expected += 1;
    }
    (expected > 0).then(|| charset::decode(charset, &octets).into_owned())
}

fn percent_decode(text: &str, octets: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(octet) = bytes.get(at) {
        let hex = |index: usize| bytes.get(index).and_then(|digit| char::from(*digit).to_digit(16));
        match (octet, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                octets.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                octets.push(*octet);
                at += 1;
            }
        }
    }
}

/// Writes one parameter, `; ` and folding left to the caller: as a token or quoted-string where ASCII, else in the
/// extended form of RFC 2231 §4 in UTF-8.
#[must_use]
pub fn format(name: &str, value: &str) -> String {
    if value.is_ascii() && !value.bytes().any(|octet| octet.is_ascii_control()) {
        let token = !value.is_empty() && value.chars().all(lex::is_token);
        return if token { format!("{name}={value}") } else { format!("{name}={}", lex::quote(value)) };
    }
    let mut extended = format!("{name}*=utf-8''");
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            extended.push(char::from(octet));
        } else {
            extended.push_str(&format!("%{octet:02X}"));
        }
    }
    extended
}
