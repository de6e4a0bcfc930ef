//! Parts with lines that are too long become quoted-printable (RFC 6409 §8.4, RFC 2045 §6.7): what is read stays the same,
//! octet for octet.
//!
//! Not touched are messages that somebody has signed, parts inside multipart/signed and multipart/encrypted (RFC 1847
//! §2.1: not to be altered), and embedded messages, which may have no encoding (RFC 2046 §5.2.1). What is long there is
//! still long afterwards, and refused by whoever measures again.

use std::ops::Range;

use mailstead_message::structure::TransferEncoding;
use mailstead_message::text::QuotedPrintable;
use mailstead_message::{Anomalies, Fields, Part, Structure};
use mailstead_store::{Error, Staged, Store};

use crate::lines::LineMeter;
use crate::reception::Reception;
use crate::refusal::Refusal;

/// Octets that are read at once.
const PIECE: u64 = 64 * 1024;
/// Signatures that cover the body, or the fields about its form.
const SIGNATURES: [&str; 3] = ["DKIM-Signature", "ARC-Message-Signature", "DomainKey-Signature"];

/// A part that can be encoded.
#[derive(Debug, PartialEq, Eq)]
struct Encodable {
    header: Range<u64>,
    body: Range<u64>,
    /// Whether it is the message itself.
    is_message: bool,
}

/// What the message is to be read from.
#[derive(Debug)]
pub(crate) struct Source<'s> {
    pub(crate) store: &'s Store,
    pub(crate) staged: &'s Staged,
    /// The message's header as it was staged.
    pub(crate) header: &'s [u8],
}

/// Which parts of a message can be encoded, in their order. None where it must not be touched, or is too strange.
fn encodable(structure: &Structure, header: &[u8]) -> Vec<Encodable> {
    let limits = [Anomalies::NESTING_LIMIT, Anomalies::PART_LIMIT, Anomalies::HEADER_LIMIT];
    let is_signed = Fields::new(header).any(|field| SIGNATURES.iter().any(|name| field.is(name)));
    if is_signed || limits.into_iter().any(|limit| structure.anomalies.contains(limit)) {
        return Vec::new();
    }
    // A message that is not MIME says nothing about what its octets above 127 mean, and must not seem to.
    let is_mime = Fields::find(header, "MIME-Version").is_some();
    if !is_mime && (structure.root.content_type.explicit || structure.has_8bit()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    collect(&structure.root, true, &mut found);
    found
}

fn collect(part: &Part, is_message: bool, found: &mut Vec<Encodable>) {
    match part.content_type.kind.as_str() {
        "multipart" if matches!(part.content_type.subtype.as_str(), "signed" | "encrypted") => {}
        "multipart" => part.children.iter().for_each(|child| collect(child, false, found)),
        "message" => {}
        _ if part.transfer_encoding() == TransferEncoding::Identity && part.children.is_empty() => {
            found.push(Encodable { header: part.header.clone(), body: part.body.clone(), is_message });
        }
        _ => {}
    }
}

/// The header of a part that is to be quoted-printable.
fn with_encoding(header: &[u8], is_message: bool) -> Vec<u8> {
    let mut changed = Vec::with_capacity(header.len() + 128);
    let mut end = 0;
    for field in Fields::new(header) {
        if !field.is("Content-Transfer-Encoding") {
            changed.extend_from_slice(field.raw());
        }
        end = field.range().end;
    }
    if is_message && Fields::find(header, "MIME-Version").is_none() {
        changed.extend_from_slice(b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n");
    }
    changed.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n");
    // The empty line.
    changed.extend_from_slice(header.get(end..).unwrap_or_default());
    changed
}

/// Receives a message once more, with its long parts encoded. Nothing is received where nothing can be done; says whether
/// something was.
pub(crate) async fn reencode(source: &Source<'_>, again: &mut Reception) -> Result<bool, Refusal> {
    let structure = source.staged.content().structure();
    let mut long = Vec::new();
    for part in encodable(structure, source.header) {
        if source.has_long_line(part.body.clone()).await? {
            long.push(part);
        }
    }
    let mut at = 0;
    for part in &long {
        source.copy(at..part.header.start, again).await?;
        let header = source.read(part.header.clone()).await?;
        again.receive(&with_encoding(&header, part.is_message)).await?;
        let (mut encoder, mut encoded) = (QuotedPrintable::default(), Vec::new());
        for piece in pieces(part.body.clone()) {
            encoder.update(&source.read(piece).await?, &mut encoded);
            again.receive(&encoded).await?;
            encoded.clear();
        }
        encoder.finish(&mut encoded);
        again.receive(&encoded).await?;
        at = part.body.end;
    }
    if !long.is_empty() {
        source.copy(at..source.staged.size(), again).await?;
    }
    Ok(!long.is_empty())
}

fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = at.saturating_add(PIECE).min(range.end);
        (start < at).then_some(start..at)
    })
}

impl Source<'_> {
    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        self.store.read_staged(self.staged, range).await
    }

    async fn copy(&self, range: Range<u64>, again: &mut Reception) -> Result<(), Refusal> {
        for piece in pieces(range) {
            again.receive(&self.read(piece).await?).await?;
        }
        Ok(())
    }

    async fn has_long_line(&self, body: Range<u64>) -> Result<bool, Error> {
        let mut meter = LineMeter::after(b"");
        for piece in pieces(body) {
            meter.update(&self.read(piece).await?);
        }
        Ok(meter.finish().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(message: &str) -> Vec<String> {
        let (header, _) = message.split_once("\r\n\r\n").unwrap();
        let parts = encodable(&Structure::scan(message.as_bytes()), format!("{header}\r\n\r\n").as_bytes());
        let octets = |range: &Range<u64>| message[range.start as usize..range.end as usize].trim().to_owned();
        parts.iter().map(|part| octets(&part.body)).collect()
    }

    #[test]
    fn only_what_may_be_touched_is() {
        let mime = |rest: &str| format!("MIME-Version: 1.0\r\n{rest}");
        let bounded = |boundary: &str, subtype: &str, parts: &[&str]| {
            let parts: String = parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect();
            format!("Content-Type: multipart/{subtype}; boundary={boundary}\r\n\r\n{parts}--{boundary}--\r\n")
        };
        let mixed = |subtype: &str, parts: &[&str]| bounded("x", subtype, parts);
        let signed = bounded("y", "signed", &["Content-Type: text/html\r\n\r\none"]);
        let text = "Content-Type: text/html\r\n\r\none";
        let base64 = "Content-Transfer-Encoding: base64\r\n\r\nb25l";
        let message = "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nthree";
        for (message, expected) in [
            ("A: b\r\n\r\none\r\n".to_owned(), &["one"][..]),
            ("A: b\r\n\r\nén\r\n".to_owned(), &[]),
            ("Content-Type: text/plain\r\n\r\none\r\n".to_owned(), &[]),
            (mime("Content-Type: text/plain; charset=utf-8\r\n\r\nén\r\n"), &["én"]),
            (mime("Content-Transfer-Encoding: 8bit\r\n\r\none"), &["one"]),
            (mime("Content-Transfer-Encoding: binhex\r\n\r\none"), &[]),
            (mime("DKIM-Signature: v=1\r\n\r\none"), &[]),
            (mime(&mixed("mixed", &[text, "\r\ntwo", base64, message])), &["one", "two"]),
            (mime(&mixed("signed", &[text, "\r\ntwo"])), &[]),
            (mime(&mixed("encrypted", &[text])), &[]),
            (mime(&mixed("mixed", &[&signed, "\r\ntwo"])), &["two"]),
            (mime("Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\none"), &[]),
        ] {
            assert_eq!(headers(&message), expected, "{message}");
        }
    }

    #[test]
    fn headers_say_how_the_body_is_encoded() {
        let changed =
            |header: &str, is_message| String::from_utf8(with_encoding(header.as_bytes(), is_message)).unwrap();
        let encoding = "Content-Transfer-Encoding: quoted-printable\r\n";
        assert_eq!(
            changed("A: b\r\n\r\n", true),
            format!("A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n{encoding}\r\n")
        );
        assert_eq!(
            changed("MIME-Version: 1.0\r\ncontent-transfer-encoding:\r\n 7bit\r\nX: y\r\n\r\n", true),
            format!("MIME-Version: 1.0\r\nX: y\r\n{encoding}\r\n")
        );
        assert_eq!(changed("\r\n", false), format!("{encoding}\r\n"));
    }
}
