//! The base subject, RFC 5256 §2.1: what remains of a subject without `Re:`, `Fwd:`, list tags and `(fwd)`.
//!
//! ```abnf
//! subject         = *subj-leader [subj-middle] *subj-trailer
//! subj-refwd      = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
//! subj-blob       = "[" *BLOBCHAR "]" *WSP
//! subj-fwd        = subj-fwd-hdr subject subj-fwd-trl
//! subj-fwd-hdr    = "[fwd:"
//! subj-fwd-trl    = "]"
//! subj-leader     = (*subj-blob subj-refwd) / WSP
//! subj-trailer    = "(fwd)" / WSP
//! BLOBCHAR        = %x01-5a / %x5c / %x5e-7f
//! ```

use crate::word;

/// Octets of a subject that are looked at.
const MAX_SUBJECT: usize = 2048;

/// A subject's base, and whether it showed signs of a reply or forward.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base {
    /// Base subject, case kept.
    pub text: String,
    /// Whether a `Re:`, `Fwd:`, `(fwd)` or `[fwd: ]` was removed.
    pub is_reply: bool,
}

/// The base of an unfolded, still encoded subject.
#[must_use]
pub fn base(subject: &str) -> Base {
    // (1) decode; white space runs become one space.
    let decoded = word::decode(subject);
    let decoded = decoded.get(..decoded.floor_char_boundary(MAX_SUBJECT)).unwrap_or_default();
    let text = decoded.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = text.as_str();
    let mut is_reply = false;
    loop {
        // (2)
        loop {
            rest = rest.trim_end();
            let Some(head) = strip_suffix_ignore_case(rest, "(fwd)") else { break };
            rest = head;
            is_reply = true;
        }
        // (3) to (5)
        loop {
            rest = rest.trim_start();
            if let Some(tail) = strip_leader(rest) {
                rest = tail;
                is_reply = true;
            } else if let Some(tail) = strip_blob(rest).filter(|tail| !tail.is_empty()) {
                rest = tail;
            } else {
                break;
            }
        }
        // (6)
        match strip_prefix_ignore_case(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => {
                rest = inner;
                is_reply = true;
            }
            None => break,
        }
    }
    Base { text: rest.to_owned(), is_reply }
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

fn strip_suffix_ignore_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

fn strip_blob(text: &str) -> Option<&str> {
    let (blob, rest) = text.strip_prefix('[')?.split_once(']')?;
    (!blob.contains('[')).then(|| rest.trim_start())
}

fn strip_leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(tail) = strip_blob(rest) {
        rest = tail;
    }
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| strip_prefix_ignore_case(rest, word))?.trim_start();
    strip_blob(rest).unwrap_or(rest).strip_prefix(':')
}
