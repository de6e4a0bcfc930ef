//! What a session without UTF8=ACCEPT sees of an internationalised message: a surrogate with ASCII headers, made when
//! it is read (RFC 6855 §7, RFC 6858; encoding of what can be encoded after RFC 6857).
//!
//! A [`Surrogate`] has its own structure and offsets, so that size, envelope, sections and literals agree with each
//! other. Bodies stay as they are.

use std::ops::Range;

use mailstead_names::Domain;

use crate::address::{self, AddressItem, Mailbox};
use crate::envelope::Envelope;
use crate::header::{Field, Fields, fold, fold_text};
use crate::param;
use crate::structure::{Anomalies, Part, Structure, read_fields};
use crate::text::Source;
use crate::word;

/// Stands for an address that ASCII cannot say, RFC 6858 §2.1: it can never belong to anyone.
const INVALID: (&str, &str) = ("invalid", "internationalized-address.invalid");

/// Fields whose addresses are replaced, RFC 6858 §2.1.
const ADDRESS_FIELDS: [&str; 12] = [
    "bcc",
    "cc",
    "from",
    "reply-to",
    "resent-bcc",
    "resent-cc",
    "resent-from",
    "resent-sender",
    "resent-to",
    "return-path",
    "sender",
    "to",
];
/// Fields with parameters.
const PARAMETER_FIELDS: [&str; 2] = ["content-type", "content-disposition"];
/// Unstructured fields, which encoded words can say (RFC 6857 §3.2.7).
const TEXT_FIELDS: [&str; 3] = ["subject", "comments", "content-description"];

/// A message with ASCII headers in place of an internationalised one.
#[derive(Debug, Clone)]
pub struct Surrogate {
    structure: Structure,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
struct Piece {
    /// Octets of the surrogate.
    at: Range<u64>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// Octets of the original from here on.
    Original(u64),
    Replaced(Vec<u8>),
}

/// A header that was rewritten.
struct Replacement {
    original: Range<u64>,
    octets: Vec<u8>,
    /// Lines, before and after.
    lines: (u64, u64),
}

impl Surrogate {
    /// The surrogate of a message, or `None` where the message can be shown as it is.
    ///
    /// # Errors
    /// What the source says.
    pub fn build<S: Source>(structure: &Structure, source: &mut S) -> Result<Option<Surrogate>, S::Error> {
        let global = |part: &Part| part.content_type.is("message", "global");
        if !structure.anomalies.contains(Anomalies::EIGHT_BIT_HEADER) && !structure.root.walk().any(global) {
            return Ok(None);
        }
        let mut replacements = Vec::new();
        let mut octets = Vec::new();
        for part in structure.root.walk() {
            octets.clear();
            source.read(part.header.clone(), &mut octets)?;
            if !octets.is_ascii() || global(part) {
                let surrogate = header(&octets);
                replacements.push(Replacement {
                    original: part.header.clone(),
                    lines: (count_lines(&octets), count_lines(&surrogate)),
                    octets: surrogate,
                });
            }
        }
        if replacements.is_empty() {
            return Ok(None);
        }
        let mut downgraded = structure.clone();
        downgraded.size = shifted(&replacements, structure.size);
        adjust(&mut downgraded.root, &replacements);
        Ok(Some(Surrogate { pieces: pieces(&replacements, structure.size), structure: downgraded }))
    }

    /// Structure, envelope and offsets of the surrogate.
    #[must_use]
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// Appends octets of the surrogate; `source` has the original message.
    ///
    /// # Errors
    /// What the source says.
    pub fn read<S: Source>(&self, range: Range<u64>, source: &mut S, out: &mut Vec<u8>) -> Result<(), S::Error> {
        for piece in &self.pieces {
            let start = range.start.max(piece.at.start);
            let end = range.end.min(piece.at.end);
            if start >= end {
                continue;
            }
            let within = start - piece.at.start..end - piece.at.start;
            match &piece.content {
                Content::Original(from) => source.read(from + within.start..from + within.end, out)?,
                Content::Replaced(octets) => {
                    let Ok(()) = octets.as_slice().read(within, out);
                }
            }
        }
        Ok(())
    }
}

/// Where an offset of the original is in the surrogate. Offsets lie between headers, never inside a replaced one.
fn shifted(replacements: &[Replacement], offset: u64) -> u64 {
    replacements
        .iter()
        .take_while(|replacement| replacement.original.end <= offset)
        .filter(|replacement| replacement.original.start < offset)
        .fold(offset, |at, replacement| {
            let before = replacement.original.end - replacement.original.start;
            (at + replacement.octets.len() as u64).saturating_sub(before)
        })
}

fn count_lines(octets: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', octets).count() as u64
}

fn adjust(part: &mut Part, replacements: &[Replacement]) {
    for replacement in replacements {
        if part.body.start <= replacement.original.start && replacement.original.end <= part.body.end {
            let (before, after) = replacement.lines;
            part.lines = (part.lines + after).saturating_sub(before);
        }
    }
    let replaced =
        replacements.iter().find(|replacement| replacement.original == part.header && !replacement.original.is_empty());
    if let Some(replacement) = replaced {
        let content_type = part.content_type.clone();
        *part = Part {
            header: part.header.clone(),
            body: part.body.clone(),
            lines: part.lines,
            envelope: part.envelope.take().map(|_| Box::new(Envelope::parse(&replacement.octets))),
            children: std::mem::take(&mut part.children),
            ..read_fields(&replacement.octets)
        };
        if !part.content_type.explicit {
            part.content_type = content_type;
        }
    }
    for range in [&mut part.header, &mut part.body] {
        *range = shifted(replacements, range.start)..shifted(replacements, range.end);
    }
    part.children.iter_mut().for_each(|child| adjust(child, replacements));
}

fn pieces(replacements: &[Replacement], size: u64) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(replacements.len() * 2 + 1);
    let (mut original, mut at) = (0, 0);
    let mut push = |at: &mut u64, length: u64, content: Content| {
        if length > 0 {
            pieces.push(Piece { at: *at..*at + length, content });
            *at += length;
        }
    };
    for replacement in replacements {
        push(&mut at, replacement.original.start.saturating_sub(original), Content::Original(original));
        let length = replacement.octets.len() as u64;
        push(&mut at, length, Content::Replaced(replacement.octets.clone()));
        original = replacement.original.end;
    }
    push(&mut at, size.saturating_sub(original), Content::Original(original));
    pieces
}

/// A header in ASCII. Fields that are ASCII already are copied verbatim.
#[must_use]
pub fn header(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    let mut end = 0;
    for field in Fields::new(header) {
        end = field.range().end;
        out.extend_from_slice(field_in_ascii(&field).as_ref());
    }
    // The empty line.
    out.extend_from_slice(header.get(end..).unwrap_or_default());
    out
}

fn field_in_ascii<'a>(field: &Field<'a>) -> std::borrow::Cow<'a, [u8]> {
    let name = field.name().to_ascii_lowercase();
    let is_global = name == "content-type" && {
        let (kind, _) = param::parse(&field.unfolded());
        kind.eq_ignore_ascii_case("message/global")
    };
    if field.raw().is_ascii() && !is_global {
        return field.raw().into();
    }
    let value = field.unfolded();
    let is = |names: &[&str]| names.contains(&name.as_str());
    let text = if is(&ADDRESS_FIELDS) {
        fold_text(field.name(), &addresses(&address::list(&value)))
    } else if is(&PARAMETER_FIELDS) {
        parameters(field.name(), &value)
    } else if is(&TEXT_FIELDS) {
        fold_text(field.name(), &word::encode(&word::decode(&value)))
    } else {
        // RFC 6858 §2.4: what cannot be presented is left out.
        String::new()
    };
    text.into_bytes().into()
}

/// RFC 6857 §3.2.6: parameter values by RFC 2231. A parameter whose name or a type that is not ASCII goes.
fn parameters(name: &str, value: &str) -> String {
    let (kind, params) = param::parse(value);
    let kind = if kind.eq_ignore_ascii_case("message/global") { "message/rfc822".to_owned() } else { kind };
    if !kind.is_ascii() {
        return String::new();
    }
    let params = params.iter().filter(|(name, _)| name.is_ascii()).map(|(name, value)| param::format(name, value));
    let mut pieces: Vec<String> = std::iter::once(kind).chain(params).map(|piece| piece + ";").collect();
    if let Some(last) = pieces.last_mut() {
        last.pop();
    }
    fold(name, pieces.iter().map(String::as_str))
}

/// An address list in ASCII.
fn addresses(items: &[AddressItem]) -> String {
    let mut elements = Vec::with_capacity(items.len());
    let mut group: Option<(String, Vec<String>)> = None;
    for item in items {
        match item {
            AddressItem::Mailbox(mailbox) => {
                let open = group.as_mut().map_or(&mut elements, |(_, members)| members);
                open.push(mailbox_in_ascii(mailbox).to_string());
            }
            AddressItem::GroupStart(name) => {
                let name = Mailbox { name: Some(word::encode(&word::decode(name))), ..Mailbox::default() };
                group = Some((name.phrase(), Vec::new()));
            }
            AddressItem::GroupEnd => {
                let closed = group.take();
                elements.extend(closed.map(|(name, members)| format!("{name}: {};", members.join(", "))));
            }
        }
    }
    elements.join(", ")
}

/// An address in ASCII: an A-label domain where only the domain was international, else one that can be nobody's with
/// the real one in its display name.
#[must_use]
pub fn mailbox_in_ascii(mailbox: &Mailbox) -> Mailbox {
    let name = mailbox.name.as_deref().map(|name| word::encode(&word::decode(name)));
    let ascii_domain = match mailbox.domain.as_deref() {
        None => Some(None),
        Some(domain) if domain.is_ascii() => Some(Some(domain.to_owned())),
        Some(domain) => Domain::parse(domain).ok().map(|domain| Some(domain.as_ascii().to_owned())),
    };
    match ascii_domain {
        Some(domain) if mailbox.localpart.is_ascii() => {
            let route = mailbox.route.clone().filter(|route| route.is_ascii());
            Mailbox { name, route, localpart: mailbox.localpart.clone(), domain }
        }
        _ => {
            let shown = match mailbox.display_name() {
                Some(name) => format!("{name} ({})", mailbox.addr_spec()),
                None => mailbox.addr_spec(),
            };
            let (localpart, domain) = INVALID;
            Mailbox {
                name: Some(word::encode(&shown)),
                route: None,
                localpart: localpart.to_owned(),
                domain: Some(domain.to_owned()),
            }
        }
    }
}
