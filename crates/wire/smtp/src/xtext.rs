//! xtext, in which parameter values carry what their grammar excludes (RFC 3461 §4), and its successor for
//! internationalised addresses, here called unitext (RFC 6533 §3).
//!
//! ```text
//! xtext   = *( xchar / hexchar )
//! xchar   = %d33-42 / %d44-60 / %d62-126                       ; graphic, without "+" and "="
//! hexchar = "+" 2HEXDIG
//! unitext = 1*( QUCHAR / "\x{" HEXPOINT "}" )
//! QUCHAR  = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e / UTF8-non-ascii
//! ```

/// Encodes octets as xtext: only what must be is written in hexadecimal digits.
pub fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for octet in octets {
        match octet {
            b'+' | b'=' => text.push_str(&format!("+{octet:02X}")),
            graphic if graphic.is_ascii_graphic() => text.push(char::from(*graphic)),
            _ => text.push_str(&format!("+{octet:02X}")),
        }
    }
    text
}

/// Decodes xtext; `None` where it is none. Lower-case digits, which the grammar does not have, are forgiven.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'+' => {
                let (digits, after) = after.split_at_checked(2)?;
                octets.push(u8::try_from(hexadecimal(std::str::from_utf8(digits).ok()?)?).ok()?);
                after
            }
            b'=' => return None,
            graphic if graphic.is_ascii_graphic() => {
                octets.push(*graphic);
                after
            }
            _ => return None,
        };
    }
    Some(octets)
}

/// Decodes unitext; `None` where it is none. Control characters are refused although RFC 6533 can write some: what is
/// decoded goes into header fields.
pub(crate) fn decode_unitext(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '\\' => {
                let (point, after) = rest.strip_prefix("\\x{")?.split_once('}')?;
                decoded.push(embedded(point)?);
                rest = after;
                continue;
            }
            '+' | '=' | ' ' => return None,
            control if control.is_control() => return None,
            other => decoded.push(other),
        }
        rest = rest.get(first.len_utf8()..)?;
    }
    (!decoded.is_empty()).then_some(decoded)
}

/// Writes unitext, given as such, in ASCII.
pub(crate) fn unitext_in_ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            ascii.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
        }
    }
    ascii
}

/// The character of a `HEXPOINT`. Of ASCII it may be only what cannot stand for itself.
fn embedded(point: &str) -> Option<char> {
    let well_formed = (2..=6).contains(&point.len()) && (point.len() == 2 || !point.starts_with('0'));
    let c = char::from_u32(hexadecimal(point).filter(|_| well_formed)?)?;
    let may_be_embedded = matches!(c, ' ' | '+' | '=' | '\\') || !c.is_ascii();
    (may_be_embedded && !c.is_control()).then_some(c)
}

/// A number in hexadecimal digits, without a sign.
fn hexadecimal(digits: &str) -> Option<u32> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples() {
        assert_eq!(encode(b"a+b=c d"), "a+2Bb+3Dc+20d");
        assert_eq!(decode("a+2Bb+3dc+20d").as_deref(), Some(&b"a+b=c d"[..]));
        for bad in ["+", "+2", "+2G", "++2", "a=b", "a b", "\u{e9}", "+\u{e9}", "+-1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn embedded_characters() {
        assert_eq!(
            decode_unitext("\\x{5C}\\x{20}\\x{2b}\\x{3D}\\x{E9}\\x{1F600}\u{e9}").unwrap(),
            "\\ +=\u{e9}\u{1f600}\u{e9}"
        );
        assert_eq!(unitext_in_ascii("a\\x{20}\u{e9}\u{10ffff}"), "a\\x{20}\\x{E9}\\x{10FFFF}");
        for bad in [
            "",
            "+",
            "=",
            " ",
            "a\\",
            "\\x{}",
            "\\x{9}",
            "\\x{41}",
            "\\x{0D}",
            "\\x{0A}",
            "\\x{7F}",
            "\\x{85}",
            "\\x{0E9}",
            "\\x{D800}",
            "\\x{110000}",
            "\\x{1000000}",
            "\\x{+9}",
            "\\x{E9",
            "\\u{E9}",
            "a\r\nb",
        ] {
            assert_eq!(decode_unitext(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn xtext_round_trips(octets: Vec<u8>) {
            let text = encode(&octets);
            prop_assert!(text.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'='));
            prop_assert_eq!(decode(&text), Some(octets));
        }

        #[test]
        fn what_decodes_is_encoded_no_longer(text in "([!-~]|\\+[0-9A-F]{2}){0,20}") {
            if let Some(octets) = decode(&text) {
                let again = encode(&octets);
                prop_assert!(again.len() <= text.len());
                prop_assert_eq!(decode(&again), Some(octets));
            }
        }

        #[test]
        fn unitext_means_the_same_in_ascii(text in "([!-~\u{a1}-\u{ffff}]|\\\\x\\{[0-9A-F]{2,6}\\}){0,12}") {
            let ascii = unitext_in_ascii(&text);
            prop_assert!(ascii.is_ascii());
            prop_assert_eq!(decode_unitext(&ascii), decode_unitext(&text));
        }

        #[test]
        fn never_panics(text: String) {
            let _ = (decode(&text), decode_unitext(&text));
        }
    }
}
