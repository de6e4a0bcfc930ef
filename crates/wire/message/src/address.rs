//! Address lists, RFC 5322 §3.4 with the obsolete forms of §4.4, groups kept as markers (RFC 9051 §7.5.2).
//!
//! ```abnf
//! address      = mailbox / group
//! mailbox      = name-addr / addr-spec
//! name-addr    = [display-name] angle-addr
//! angle-addr   = [CFWS] "<" [obs-route] addr-spec ">" [CFWS]
//! group        = display-name ":" [group-list] ";" [CFWS]
//! addr-spec    = local-part "@" domain
//! ```

use std::fmt;

use crate::lex::{self, Cursor};
use crate::word;

/// One element of an address list, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressItem {
    /// A mailbox.
    Mailbox(Mailbox),
    /// `name:`, the start of a group. In ENVELOPE: `(NIL NIL "name" NIL)`.
    GroupStart(String),
    /// `;`, the end of a group. In ENVELOPE: `(NIL NIL NIL NIL)`.
    GroupEnd,
}

/// A mailbox as written in a header. Localpart and domain are unquoted, and not validated: see the names crate for that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// Display name, unquoted, encoded words kept.
    pub name: Option<String>,
    /// Source route, `@a,@b`, obsolete.
    pub route: Option<String>,
    /// Local part, unquoted.
    pub localpart: String,
    /// Domain; absent where there was no `@`.
    pub domain: Option<String>,
}

impl Mailbox {
    /// The display name with encoded words decoded.
    #[must_use]
    pub fn display_name(&self) -> Option<String> {
        self.name.as_deref().map(word::decode)
    }

    /// The display name as a `phrase` for a header; empty where there is none.
    pub(crate) fn phrase(&self) -> String {
        match &self.name {
            // Encoded words are atoms too.
            Some(name) if is_phrase(name) => name.clone(),
            Some(name) => lex::quote(name),
            None => String::new(),
        }
    }

    /// `localpart@domain`, the local part quoted where it must be.
    #[must_use]
    pub fn addr_spec(&self) -> String {
        let localpart = if is_dot_atom(&self.localpart) { self.localpart.clone() } else { lex::quote(&self.localpart) };
        match &self.domain {
            Some(domain) => format!("{localpart}@{domain}"),
            None => localpart,
        }
    }
}

impl fmt::Display for Mailbox {
    /// The form for a header. A display name outside ASCII is written as it is: encode it first where that matters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(_) => write!(f, "{} <{}>", self.phrase(), self.addr_spec()),
            None => f.write_str(&self.addr_spec()),
        }
    }
}

fn is_dot_atom(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(lex::is_atext))
}

fn is_phrase(text: &str) -> bool {
    !text.is_empty() && text.split(' ').all(|atom| !atom.is_empty() && atom.chars().all(lex::is_atext))
}

/// The mailboxes among `items`.
pub fn mailboxes(items: &[AddressItem]) -> impl Iterator<Item = &Mailbox> {
    items.iter().filter_map(|item| match item {
        AddressItem::Mailbox(mailbox) => Some(mailbox),
        AddressItem::GroupStart(_) | AddressItem::GroupEnd => None,
    })
}

/// Parses an unfolded address list. What is not an address becomes a mailbox without domain, so nothing is lost.
#[must_use]
pub fn list(value: &str) -> Vec<AddressItem> {
    let mut items = Vec::new();
    let mut cursor = Cursor::new(value);
    let mut in_group = false;
    while !cursor.is_empty() {
        let comment = cursor.skip_cfws();
        // Empty elements, RFC 5322 §4.4.
        if cursor.eat(',') {
            continue;
        }
        if cursor.eat(';') {
            if std::mem::take(&mut in_group) {
                items.push(AddressItem::GroupEnd);
            }
            continue;
        }
        if cursor.is_empty() {
            break;
        }
        match element(&mut cursor, comment) {
            AddressItem::GroupStart(name) => {
                // Groups do not nest: a second start ends the first.
                if std::mem::replace(&mut in_group, true) {
                    items.push(AddressItem::GroupEnd);
                }
                items.push(AddressItem::GroupStart(name));
            }
            item => items.push(item),
        }
    }
    if in_group {
        items.push(AddressItem::GroupEnd);
    }
    items
}

/// What follows the words decides what they were: `<` a display name, `:` a group name, `@` a local part.
#[derive(Default)]
struct Words {
    /// As a phrase: words with single spaces.
    phrase: String,
    /// As a local part: the last words, without spaces.
    joined: String,
    /// Octets of the phrase before them: a display name without angle brackets after it.
    before: usize,
}

impl Words {
    fn push(&mut self, word: &str, after_space: bool) {
        if after_space && !may_join(&self.joined, word.chars().next()) {
            self.before = self.phrase.len();
            self.joined.clear();
        }
        if after_space && !self.phrase.is_empty() {
            self.phrase.push(' ');
        }
        self.phrase.push_str(word);
        self.joined.push_str(word);
    }

    fn name(self) -> Option<String> {
        Some(self.phrase).filter(|phrase| !phrase.is_empty())
    }

    fn name_before(&self) -> Option<String> {
        self.phrase.get(..self.before).filter(|phrase| !phrase.is_empty()).map(str::to_owned)
    }
}

/// Whether words with space between them are one local part or domain, RFC 5322 §4.4: only around a dot.
fn may_join(before: &str, next: Option<char>) -> bool {
    before.is_empty() || before.ends_with('.') || next == Some('.')
}

/// One element up to its `,` or `;`; always consumes something.
fn element(cursor: &mut Cursor<'_>, comment: Option<String>) -> AddressItem {
    let mut words = Words::default();
    let mut comment = comment;
    let mut spaced = false;
    loop {
        let before = cursor.rest().len();
        if let Some(text) = cursor.skip_cfws() {
            comment = Some(text);
        }
        spaced |= cursor.rest().len() != before;
        match cursor.peek() {
            None | Some(',' | ';') => {
                return AddressItem::Mailbox(Mailbox { name: comment, localpart: words.phrase, ..Mailbox::default() });
            }
            Some('"') => words.push(&cursor.quoted_string().unwrap_or_default(), spaced),
            Some('<') => {
                cursor.bump();
                let name = words.name().or(comment);
                return AddressItem::Mailbox(angle_addr(cursor, name));
            }
            Some(':') => {
                cursor.bump();
                return AddressItem::GroupStart(words.phrase);
            }
            Some('@') => {
                cursor.bump();
                let (domain, trailing) = domain(cursor);
                if cursor.peek() == Some('<') {
                    // `a@b <a@b>`: an unquoted address as display name.
                    cursor.bump();
                    return AddressItem::Mailbox(angle_addr(cursor, Some(format!("{}@{domain}", words.joined))));
                }
                let name = trailing.or(comment).or_else(|| words.name_before());
                return AddressItem::Mailbox(Mailbox {
                    name,
                    route: None,
                    localpart: words.joined,
                    domain: Some(domain),
                });
            }
            Some(c) => {
                let mut text = cursor.take_while(|c| lex::is_atext(c) || c == '.').to_owned();
                if text.is_empty() {
                    cursor.bump();
                    text.push(c);
                }
                words.push(&text, spaced);
            }
        }
        spaced = false;
    }
}

/// After `<`, to the matching `>` and the end of the element.
fn angle_addr(cursor: &mut Cursor<'_>, name: Option<String>) -> Mailbox {
    let mut mailbox = Mailbox { name, ..Mailbox::default() };
    cursor.skip_cfws();
    if matches!(cursor.peek(), Some('@')) {
        let route = cursor.take_while(|c| !matches!(c, ':' | '>'));
        if cursor.eat(':') {
            mailbox.route = Some(route.trim().to_owned());
        }
    }
    loop {
        cursor.skip_cfws();
        match cursor.peek() {
            None | Some('>') => break,
            Some('"') => mailbox.localpart.push_str(&cursor.quoted_string().unwrap_or_default()),
            Some('@') => {
                cursor.bump();
                mailbox.domain = Some(domain(cursor).0);
            }
            Some(c) => {
                cursor.bump();
                mailbox.localpart.push(c);
            }
        }
    }
    cursor.eat('>');
    // Whatever follows the angle-addr within the element is noise.
    cursor.skip_cfws();
    while !matches!(cursor.peek(), None | Some(',' | ';')) {
        if cursor.quoted_string().is_none() {
            cursor.bump();
        }
        cursor.skip_cfws();
    }
    mailbox
}

/// A domain or domain-literal, and a comment after it (`a@b (Name)`). Words that follow it are noise.
fn domain(cursor: &mut Cursor<'_>) -> (String, Option<String>) {
    let mut domain = String::new();
    let mut comment = None;
    let mut complete = false;
    loop {
        let before = cursor.rest().len();
        if let Some(text) = cursor.skip_cfws() {
            comment = Some(text);
        }
        complete |= cursor.rest().len() != before && !may_join(&domain, cursor.peek());
        match cursor.peek() {
            None | Some(',' | ';' | '<' | '>') => return (domain, comment),
            Some(_) if complete => {
                if cursor.quoted_string().is_none() {
                    cursor.bump();
                }
            }
            Some('[') => {
                domain.push_str(cursor.take_while(|c| !matches!(c, ']' | '>')));
                if cursor.eat(']') {
                    domain.push(']');
                }
            }
            Some(c) => {
                cursor.bump();
                domain.push(c);
            }
        }
    }
}
