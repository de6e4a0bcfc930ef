//! Writing messages: a small composer for what a server itself has to say. CRLF everywhere, lines within limits, and a
//! transfer encoding that fits the content.

use crate::address::Mailbox;
use crate::header::{fold, fold_text};
use crate::param;
use crate::text::QuotedPrintable;
use crate::word;

/// Longest line of a body that goes unencoded, RFC 5322 §2.1.1.
const MAX_LINE: usize = 998;

/// How text outside ASCII is written in header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// ASCII only, RFC 2047 and RFC 2231 for the rest.
    Ascii,
    /// UTF-8 as it is, RFC 6532; needs SMTPUTF8 on its way.
    Utf8,
}

/// One MIME entity: its fields and its content.
#[derive(Debug, Clone)]
pub struct Entity {
    charset: Charset,
    header: String,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Octets(Vec<u8>),
    Multipart(String, Vec<Entity>),
}

impl Entity {
    /// A `text/plain` entity in UTF-8. Line ends of any kind become CRLF.
    #[must_use]
    pub fn text(charset: Charset, text: &str) -> Entity {
        let mut body = String::with_capacity(text.len() + 16);
        for line in text.lines() {
            body.push_str(line);
            body.push_str("\r\n");
        }
        let plain = body.is_ascii() && body.lines().all(|line| line.len() <= MAX_LINE);
        let label = if body.is_ascii() { "us-ascii" } else { "utf-8" };
        let content_type = format!("text/plain; charset={label}");
        if plain {
            return Entity::octets(charset, &content_type, body.into_bytes());
        }
        Entity::octets(charset, &content_type, QuotedPrintable::encode(body.as_bytes()))
            .raw_field("Content-Transfer-Encoding", "quoted-printable")
    }

    /// An entity with octets that need no encoding: lines within limits, and 8-bit only where the transport takes it.
    #[must_use]
    pub fn octets(charset: Charset, content_type: &str, octets: Vec<u8>) -> Entity {
        let eight_bit = !octets.is_ascii();
        let entity = Entity { charset, header: String::new(), content: Content::Octets(octets) }
            .raw_field("Content-Type", content_type);
        if eight_bit { entity.raw_field("Content-Transfer-Encoding", "8bit") } else { entity }
    }

    /// A multipart. `boundary` must not occur in the content; `params` are further parameters.
    #[must_use]
    pub fn multipart(
        charset: Charset,
        subtype: &str,
        params: &[(&str, &str)],
        boundary: &str,
        parts: Vec<Entity>,
    ) -> Entity {
        let mut pieces = vec![format!("multipart/{subtype};")];
        for (name, value) in params {
            pieces.push(param::format(name, value) + ";");
        }
        pieces.push(param::format("boundary", boundary));
        Entity {
            charset,
            header: fold("Content-Type", pieces.iter().map(String::as_str)),
            content: Content::Multipart(boundary.to_owned(), parts),
        }
    }

    /// Adds an unstructured field, encoded where needed. Fields stand in the order of these calls.
    #[must_use]
    pub fn field(self, name: &str, value: &str) -> Entity {
        let encoded = match self.charset {
            Charset::Ascii => word::encode(value),
            Charset::Utf8 => value.to_owned(),
        };
        self.raw_field(name, &encoded)
    }

    /// Adds a structured field whose value is ready; it is folded at spaces.
    #[must_use]
    pub fn raw_field(mut self, name: &str, value: &str) -> Entity {
        self.header.push_str(&fold_text(name, value));
        self
    }

    /// Adds an address field.
    #[must_use]
    pub fn addresses(mut self, name: &str, mailboxes: &[Mailbox]) -> Entity {
        let mut pieces: Vec<String> = mailboxes
            .iter()
            .map(|mailbox| match (self.charset, &mailbox.name) {
                (Charset::Ascii, Some(name)) => {
                    Mailbox { name: Some(word::encode(name)), ..mailbox.clone() }.to_string() + ","
                }
                _ => mailbox.to_string() + ",",
            })
            .collect();
        if let Some(last) = pieces.last_mut() {
            last.pop();
        }
        self.header.push_str(&fold(name, pieces.iter().map(String::as_str)));
        self
    }

    /// The whole message, with `MIME-Version: 1.0`.
    #[must_use]
    pub fn into_message(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.raw_field("MIME-Version", "1.0").write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.header.as_bytes());
        out.extend_from_slice(b"\r\n");
        match &self.content {
            Content::Octets(octets) => out.extend_from_slice(octets),
            Content::Multipart(boundary, parts) => {
                for part in parts {
                    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                    part.write(out);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            }
        }
    }
}
