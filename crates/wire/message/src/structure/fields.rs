//! From the retained header of a part to the fields that structure needs (RFC 2045, RFC 2183, RFC 3282, RFC 2557).

use crate::header::Fields;
use crate::lex::{self, Cursor};
use crate::param;
use crate::structure::{ContentType, Disposition, Part};

/// The content type that applies where a part has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DefaultType {
    /// RFC 2045 §5.2.
    TextPlain,
    /// Inside multipart/digest, RFC 2046 §5.1.5.
    MessageRfc822,
}

impl DefaultType {
    fn content_type(self) -> ContentType {
        match self {
            DefaultType::TextPlain => ContentType::default(),
            DefaultType::MessageRfc822 => ContentType {
                kind: "message".to_owned(),
                subtype: "rfc822".to_owned(),
                params: Vec::new(),
                explicit: false,
            },
        }
    }
}

/// Fills the content fields of `part` from its header; the first field of a name counts.
pub(super) fn read(part: &mut Part, header: &[u8], default: DefaultType) {
    let mut content_type = None;
    for field in Fields::new(header) {
        if field.name().len() < 8 || !field.name().as_bytes()[..8].eq_ignore_ascii_case(b"content-") {
            continue;
        }
        let text = |slot: &mut Option<String>| {
            if slot.is_none() {
                *slot = Some(field.unfolded().into_owned()).filter(|text| !text.is_empty());
            }
        };
        match field.name().to_ascii_lowercase().as_str() {
            "content-type" if content_type.is_none() => content_type = Some(parse_type(&field.unfolded())),
            "content-disposition" if part.disposition.is_none() => {
                let (kind, params) = param::parse(&field.unfolded());
                part.disposition = (!kind.is_empty()).then(|| Disposition { kind: kind.to_ascii_lowercase(), params });
            }
            "content-transfer-encoding" if part.encoding.is_none() => {
                let (encoding, _) = param::parse(&field.unfolded());
                part.encoding = Some(encoding).filter(|encoding| !encoding.is_empty());
            }
            "content-language" if part.language.is_empty() => part.language = languages(&field.unfolded()),
            "content-id" => text(&mut part.id),
            "content-description" => text(&mut part.description),
            "content-md5" => text(&mut part.md5),
            "content-location" => text(&mut part.location),
            _ => {}
        }
    }
    // A Content-Type that cannot be parsed is treated as text/plain, RFC 2045 §5.2, even in a digest.
    part.content_type = match content_type {
        Some(parsed) => parsed.unwrap_or_default(),
        None => default.content_type(),
    };
}

fn parse_type(value: &str) -> Option<ContentType> {
    let (token, params) = param::parse(value);
    let (kind, subtype) = token.split_once('/')?;
    let valid = |name: &str| !name.is_empty() && name.is_ascii() && name.chars().all(lex::is_token);
    (valid(kind) && valid(subtype)).then(|| ContentType {
        kind: kind.to_ascii_lowercase(),
        subtype: subtype.to_ascii_lowercase(),
        params,
        explicit: true,
    })
}

/// `Content-Language: en, fr (comment)`, RFC 3282 §2.
fn languages(value: &str) -> Vec<String> {
    let mut cursor = Cursor::new(value);
    let mut tags = Vec::new();
    while !cursor.is_empty() {
        cursor.skip_cfws();
        let tag = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '-');
        if tag.is_empty() {
            cursor.bump();
        } else {
            tags.push(tag.to_owned());
        }
    }
    tags
}
