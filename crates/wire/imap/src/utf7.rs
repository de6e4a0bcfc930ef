//! Modified UTF-7 for mailbox names (RFC 3501 §5.1.3).
//!
//! Printable ASCII stands for itself, except that `&` is written `&-`. Everything else is UTF-16, in base64 with `,` for
//! `/` and no padding, between `&` and `-`.

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};

const ENGINE: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

fn stands_for_itself(c: char) -> bool {
    matches!(c, ' '..='~') && c != '&'
}

/// Text to modified UTF-7.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '&' {
            out.push_str("&-");
        } else if stands_for_itself(c) {
            out.push(c);
        } else {
            let mut utf16 = Vec::new();
            let mut push = |c: char| {
                let mut units = [0; 2];
                utf16.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
            };
            push(c);
            while let Some(c) = rest.next_if(|c| *c != '&' && !stands_for_itself(*c)) {
                push(c);
            }
            out.push('&');
            ENGINE.encode_string(utf16, &mut out);
            out.push('-');
        }
    }
    out
}

/// Modified UTF-7 to text. `None` unless it is just what [`encode`] makes of that text, so that a mailbox has one name
/// only (RFC 3501 §5.1.3: no superfluous shifts, printable characters are not encoded).
#[must_use]
pub fn decode(encoded: &str) -> Option<String> {
    let mut out = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (base64, after) = shifted.split_once('-')?;
        if base64.is_empty() {
            out.push('&');
        } else {
            let octets = ENGINE.decode(base64).ok()?;
            let (units, odd) = octets.as_chunks::<2>();
            if !odd.is_empty() {
                return None;
            }
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            for c in char::decode_utf16(units) {
                out.push(c.ok()?);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    (encode(&out) == encoded).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn known_names() {
        for (text, encoded) in [
            ("", ""),
            ("Inbox", "Inbox"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("R&D", "R&-D"),
            ("&&", "&-&-"),
            ("&é&", "&-&AOk-&-"),
            ("☺!", "&Jjo-!"),
            ("😀", "&2D3eAA-"),
        ] {
            assert_eq!(encode(text), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(text));
        }
    }

    #[test]
    fn only_the_canonical_form_is_taken() {
        for bad in
            ["&", "A&B", "&AOk", "&AOl-", "&AGE-", "&AOk-&AOk-", "&2D0-", "&A-", "&AOkA-", "&AOk=-", "é", "&ACY-"]
        {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "[ -~é-ü&日本😀\\x00-\\x1f]{0,12}") {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            prop_assert_eq!(decode(&encoded), Some(text));
        }

        #[test]
        fn decoding_never_panics(text in "[&A-Za-z0-9+,/=é-]{0,20}") {
            if let Some(decoded) = decode(&text) {
                prop_assert_eq!(encode(&decoded), text);
            }
        }
    }
}
