//! Message identifiers, RFC 5322 §3.6.4: Message-ID, In-Reply-To, References.
//!
//! ```abnf
//! msg-id   = [CFWS] "<" id-left "@" id-right ">" [CFWS]
//! id-left  = dot-atom-text / obs-id-left
//! id-right = dot-atom-text / no-fold-literal / obs-id-right
//! ```

use crate::lex::Cursor;

/// Longest identifier that is kept; longer ones are nobody's.
const MAX_ID: usize = 998;

/// The identifiers of a value, without angle brackets and in order. Anything between them is skipped, since old
/// In-Reply-To fields have phrases there. White space inside (from folding) is removed; case is kept.
#[must_use]
pub fn list(value: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = Cursor::new(value);
    while !cursor.is_empty() {
        cursor.skip_cfws();
        if cursor.quoted_string().is_some() {
            continue;
        }
        if !cursor.eat('<') {
            cursor.bump();
            continue;
        }
        let inside = cursor.take_while(|c| !matches!(c, '>' | '<'));
        if !cursor.eat('>') {
            continue;
        }
        let id: String = inside.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        if !id.is_empty() && id.len() <= MAX_ID {
            ids.push(id);
        }
    }
    ids
}

/// The first identifier of a value. A Message-ID without angle brackets is taken too if it is one word with an `@`.
#[must_use]
pub fn first(value: &str) -> Option<String> {
    list(value).into_iter().next().or_else(|| {
        let word = value.trim();
        (word.contains('@') && word.len() <= MAX_ID && !word.contains([' ', '\t', '<', '>', '"', '(']))
            .then(|| word.to_owned())
    })
}
