//! Writing the field, folded (RFC 8601 §2.2).

use std::fmt::Write;

use mailstead_message::{header, word};
use mailstead_names::Domain;

use super::parse::{is_keyword, is_token};
use super::{AuthenticationResults, FIELD, Form, MethodResult, Property, Value, join};

/// Texts are cut to this many octets. Quoted and with every character escaped they still fit into a line (RFC 5322
/// §2.1.1: 998 octets), because a quoted value is not folded.
const MOST_TEXT: usize = 400;

impl AuthenticationResults {
    /// The whole field with its line end.
    pub fn to_field(&self, form: Form) -> String {
        let pieces = self.pieces(form);
        header::fold(FIELD, pieces.iter().map(String::as_str))
    }

    /// The value in pieces, between which there is a space or a folding. For fields with the same content and another
    /// name, such as ARC-Authentication-Results.
    pub fn pieces(&self, form: Form) -> Vec<String> {
        let mut pieces = vec![value(&self.authserv_id, form, Place::AuthservId)];
        if let Some(version) = self.version {
            pieces.push(version.to_string());
        }
        for result in &self.results {
            end(&mut pieces);
            write_result(result, form, &mut pieces);
        }
        if self.results.is_empty() {
            end(&mut pieces);
            pieces.push("none".to_owned());
        }
        pieces
    }
}

fn end(pieces: &mut [String]) {
    if let Some(last) = pieces.last_mut() {
        last.push(';');
    }
}

fn write_result(result: &MethodResult, form: Form, pieces: &mut Vec<String>) {
    let mut method = keyword(result.method.as_str());
    if let Some(version) = result.version {
        let _ = write!(method, "/{version}");
    }
    pieces.push(format!("{method}={}", keyword(result.code.as_str())));
    if let Some(comment) = &result.comment {
        write_comment(comment, form, pieces);
    }
    if let Some(reason) = &result.reason {
        // A reason is for people: white space in it can be folded, if there is one space at a time.
        let quoted = quote(&representable(&single_spaced(cut(reason)), form));
        pieces.extend(format!("reason={quoted}").split(' ').map(str::to_owned));
    }
    for property in &result.properties {
        write_property(property, form, pieces);
    }
}

fn write_property(property: &Property, form: Form, pieces: &mut Vec<String>) {
    let name = keyword(&property.name);
    let value_text = value(&property.value, form, Place::Property);
    pieces.push(match &property.ptype {
        Some(ptype) => format!("{}.{name}={value_text}", keyword(ptype.as_str())),
        None => format!("{name}={value_text}"),
    });
    let comment = match &property.value {
        Value::Domain(domain) | Value::Mailbox(_, domain) if form == Form::Utf8 && !domain.is_ascii_only() => {
            join(property.comment.clone(), domain.as_ascii())
        }
        _ => property.comment.clone(),
    };
    if let Some(comment) = comment {
        write_comment(&comment, form, pieces);
    }
}

/// `comment`, one piece for each word.
fn write_comment(text: &str, form: Form, pieces: &mut Vec<String>) {
    let text = single_spaced(cut(text));
    let content = match form {
        Form::Ascii if !text.is_ascii() => word::encode(&text),
        _ => escape(&text, &['(', ')', '\\']),
    };
    if !content.is_empty() {
        pieces.extend(format!("({content})").split(' ').map(str::to_owned));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `value`
    AuthservId,
    /// `value / [ [ local-part ] "@" ] domain-name`
    Property,
}

fn value(value: &Value, form: Form, place: Place) -> String {
    match value {
        Value::Text(text) => {
            let text = representable(cut(text), form);
            let bare = !text.is_empty() && text.chars().all(is_token);
            if bare || (place == Place::Property && is_mailbox(&text)) { text } else { quote(&text) }
        }
        Value::Domain(domain) => {
            let name = labels(domain, form);
            // A `value` outside ASCII is a quoted-string, a `domain-name` is not.
            if name.is_ascii() || place == Place::Property { name.to_owned() } else { quote(name) }
        }
        Value::Mailbox(localpart, domain) => {
            let localpart = localpart.as_ref().map_or_else(String::new, ToString::to_string);
            let mailbox = format!("{}@{}", representable(&localpart, form), labels(domain, form));
            if place == Place::Property { mailbox } else { quote(&mailbox) }
        }
    }
}

fn labels(domain: &Domain, form: Form) -> &str {
    match form {
        Form::Ascii => domain.as_ascii(),
        Form::Utf8 => domain.unicode(),
    }
}

/// `[ dot-atom ] "@" domain-name` in ASCII.
fn is_mailbox(text: &str) -> bool {
    let Some((localpart, domain)) = text.split_once('@') else { return false };
    let is_atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let is_ldh = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (localpart.is_empty() || localpart.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)))
        && domain.split('.').all(|label| !label.is_empty() && label.chars().all(is_ldh))
}

/// A word that stays one whatever somebody put into it.
fn keyword(word: &str) -> String {
    let word: String = word.chars().filter(|c| is_keyword(*c)).collect();
    if word.is_empty() { "x".to_owned() } else { word }
}

fn representable(text: &str, form: Form) -> String {
    let replace = |c: char| if form == Form::Ascii && !c.is_ascii() { '?' } else { c };
    text.chars().filter(|c| !c.is_control()).map(replace).collect()
}

fn quote(text: &str) -> String {
    format!("\"{}\"", escape(text, &['"', '\\']))
}

fn escape(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MOST_TEXT)).unwrap_or(text)
}

fn single_spaced(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
