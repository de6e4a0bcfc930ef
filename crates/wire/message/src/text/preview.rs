//! The first words of a message for a list of messages (RFC 8970 §3): the writer's own, without quotations, signature
//! and markup.

use crate::structure::{Part, Shape, Structure};
use crate::text::{Source, read_text};

/// Longest preview, RFC 8970 §3.1.
const MAX_CHARS: usize = 256;
/// Octets of a part that are looked at.
const LOOKED_AT: u64 = 64 * 1024;

/// A preview of at most 256 characters, on one line; empty where the message shows no text.
///
/// # Errors
/// What the source says.
pub fn preview<S: Source>(structure: &Structure, source: &mut S) -> Result<String, S::Error> {
    let mut candidates = Vec::new();
    collect(&structure.root, &mut candidates);
    // Plain text first: it is what the sender wrote for those who see no layout.
    candidates.sort_by_key(|part| !part.content_type.is("text", "plain"));
    let mut octets = Vec::new();
    for part in candidates {
        let mut text = String::new();
        read_text(part, source, LOOKED_AT, &mut octets, &mut |piece| {
            text.push_str(piece);
            true
        })?;
        let preview = first_words(&text);
        if !preview.is_empty() {
            return Ok(preview);
        }
    }
    Ok(String::new())
}

/// Text parts shown inline, outside embedded messages.
fn collect<'a>(part: &'a Part, candidates: &mut Vec<&'a Part>) {
    match part.shape() {
        Shape::Multipart(children) => children.iter().for_each(|child| collect(child, candidates)),
        Shape::Text => {
            let attached = part.disposition.as_ref().is_some_and(|disposition| disposition.kind == "attachment");
            let shown = ["plain", "html", "enriched"].contains(&part.content_type.subtype.as_str());
            if shown && !attached {
                candidates.push(part);
            }
        }
        Shape::Message(_) | Shape::Basic => {}
    }
}

fn first_words(text: &str) -> String {
    let mut preview = String::new();
    let mut chars = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_end_matches('\r');
        // Signature separator, RFC 3676 §4.3.
        if line == "-- " || line == "--" {
            break;
        }
        let quoted = |line: &str| line.starts_with('>');
        let attribution = line.trim_end().ends_with(':') && lines.peek().is_some_and(|next| quoted(next));
        if quoted(line) || attribution {
            continue;
        }
        for word in line.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
            let gap = usize::from(!preview.is_empty());
            let length = word.chars().count();
            if chars + gap + length > MAX_CHARS {
                if preview.is_empty() {
                    preview.extend(word.chars().take(MAX_CHARS));
                }
                return preview;
            }
            if gap == 1 {
                preview.push(' ');
            }
            preview.push_str(word);
            chars += gap + length;
        }
    }
    preview
}
