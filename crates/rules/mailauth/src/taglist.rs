//! Tag-value lists (RFC 6376 §3.2), the syntax of DKIM signatures and keys, DMARC policies and ARC fields.
//!
//! ```abnf
//! tag-list  = tag-spec *( ";" tag-spec ) [ ";" ]
//! tag-spec  = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
//! tag-name  = ALPHA *ALNUMPUNC
//! tag-value = [ tval *( 1*(WSP / FWS) tval ) ]
//! VALCHAR   = %x21-3A / %x3C-7E
//! ```
//! Values may also have UTF-8 outside ASCII (RFC 8616 §5). What a value means is the business of whoever reads the tag.

use std::borrow::Cow;
use std::ops::Range;

/// More tags than this are refused: DKIM defines thirteen, and looking for duplicates must not become expensive.
pub const MOST_TAGS: usize = 64;

/// Why text is not a tag-list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagListError {
    /// Something is not UTF-8, or is a control character.
    #[error("forbidden octet in tag-list")]
    Octet,
    /// A name that begins with something else than a letter, or has something else than letters, digits and `_`.
    #[error("malformed tag name")]
    Name,
    /// A tag without `=`, or nothing at all between two semicolons.
    #[error("tag without value")]
    NoValue,
    /// A name occurs more than once, which makes the whole list invalid.
    #[error("duplicate tag")]
    Duplicate,
    /// More than [`MOST_TAGS`].
    #[error("too many tags")]
    TooMany,
}

/// A tag with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The name; its case counts.
    pub name: &'a str,
    /// The value without the white space around it; that within is still there.
    pub value: &'a str,
    /// Where the value is in the text that was parsed, with the white space around it.
    pub span: Range<usize>,
}

/// A list of tags in the order in which they were written. No name occurs twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagList<'a> {
    tags: Vec<Tag<'a>>,
}

impl<'a> TagList<'a> {
    /// Parses a whole list. Folding may still be in it.
    ///
    /// ```
    /// # use mailstead_mailauth::taglist::TagList;
    /// let list = TagList::parse(b"v=1; d = example.org;").unwrap();
    /// assert_eq!(list.get("d"), Some("example.org"));
    /// ```
    ///
    /// # Errors
    /// When it is not a tag-list. The empty text is one without tags.
    pub fn parse(text: &'a [u8]) -> Result<TagList<'a>, TagListError> {
        let text = std::str::from_utf8(text).map_err(|_| TagListError::Octet)?;
        if text.chars().any(|c| c.is_control() && !is_space(c)) {
            return Err(TagListError::Octet);
        }
        let mut tags: Vec<Tag<'a>> = Vec::new();
        let mut at = 0;
        for spec in text.split(';') {
            let start = at;
            at += spec.len() + 1;
            // What follows the last semicolon may be empty; white space there is harmless and common.
            if at > text.len() && spec.chars().all(is_space) {
                break;
            }
            let (name, value) = spec.split_once('=').ok_or(TagListError::NoValue)?;
            let span = start + name.len() + 1..start + spec.len();
            let name = name.trim_matches(is_space);
            if !is_name(name) {
                return Err(TagListError::Name);
            }
            if tags.iter().any(|tag| tag.name == name) {
                return Err(TagListError::Duplicate);
            }
            if tags.len() == MOST_TAGS {
                return Err(TagListError::TooMany);
            }
            tags.push(Tag { name, value: value.trim_matches(is_space), span });
        }
        Ok(TagList { tags })
    }

    /// The value of a tag. One that is there and empty is not the same as one that is not there.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.tag(name).map(|tag| tag.value)
    }

    /// A tag.
    pub fn tag(&self, name: &str) -> Option<&Tag<'a>> {
        self.tags.iter().find(|tag| tag.name == name)
    }

    /// All tags in their order.
    pub fn tags(&self) -> &[Tag<'a>] {
        &self.tags
    }
}

/// White space, folding included.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// The elements of a value with colons between them, without the white space around each.
pub(crate) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(':').map(|element| element.trim_matches(is_space))
}

/// The value without any white space, as base64 wants it.
pub(crate) fn without_space(value: &str) -> Cow<'_, str> {
    if value.contains(is_space) { value.split(is_space).collect::<String>().into() } else { value.into() }
}

/// An unsigned number in decimal digits. One with more than 12 digits counts as infinite (RFC 6376 §3.5, `t=`).
pub(crate) fn number(value: &str) -> Option<u64> {
    if value.is_empty() || !value.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    if value.len() > 12 { Some(u64::MAX) } else { value.parse().ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<(&str, &str)> {
        let list = TagList::parse(text.as_bytes()).unwrap();
        list.tags().iter().map(|tag| (tag.name, tag.value)).collect()
    }

    #[test]
    fn white_space_around_names_and_values_is_not_part_of_them() {
        let text = "v=1;\r\n\td =\texample.org ;b=ab\r\n cd; x_1=; Z=a=b";
        assert_eq!(parsed(text), [("v", "1"), ("d", "example.org"), ("b", "ab\r\n cd"), ("x_1", ""), ("Z", "a=b")]);
        let list = TagList::parse(text.as_bytes()).unwrap();
        assert_eq!(&text[list.tag("d").unwrap().span.clone()], "\texample.org ");
        assert_eq!(&text[list.tag("x_1").unwrap().span.clone()], "");
        assert_eq!(list.get("missing"), None);
    }

    #[test]
    fn the_last_semicolon_is_optional() {
        for text in ["a=1", "a=1;", "a=1; ", "a=1;\r\n "] {
            assert_eq!(parsed(text), [("a", "1")], "{text:?}");
        }
        assert_eq!(parsed(""), []);
        assert_eq!(parsed(" "), []);
    }

    #[test]
    fn refusals_name_the_reason() {
        let refused = |text: &[u8]| TagList::parse(text).unwrap_err();
        for text in [b"a".as_slice(), b"a=1;;b=2", b";", b"a=1;;", b"a=1; ;", b"a=1; b"] {
            assert_eq!(refused(text), TagListError::NoValue, "{text:?}");
        }
        for text in [b"=1".as_slice(), b"1a=1", b"_a=1", b"a b=1", "ä=1".as_bytes(), b"a-b=1"] {
            assert_eq!(refused(text), TagListError::Name, "{text:?}");
        }
        assert_eq!(refused(b"a=1; b=2; a=3"), TagListError::Duplicate);
        assert_eq!(parsed("a=1; A=2"), [("a", "1"), ("A", "2")]);
        for text in [b"a=\xff".as_slice(), b"a=\0", b"a=\x7f", b"a=\x1b[1m"] {
            assert_eq!(refused(text), TagListError::Octet, "{text:?}");
        }
        let many: String = (0..=MOST_TAGS).map(|i| format!("a{i}=;")).collect();
        assert_eq!(refused(many.as_bytes()), TagListError::TooMany);
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(number("0012"), Some(12));
        assert_eq!(number("999999999999"), Some(999_999_999_999));
        assert_eq!(number("1000000000000"), Some(u64::MAX));
        assert_eq!(number(&"9".repeat(76)), Some(u64::MAX));
        for text in ["", "-1", "+1", "1 2", "1.0", "٣"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn white_space_is_taken_out() {
        assert_eq!(without_space("abcd"), "abcd");
        assert_eq!(without_space("ab\r\n\t c d"), "abcd");
        assert_eq!(elements("from :\r\n to:subject").collect::<Vec<_>>(), ["from", "to", "subject"]);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic_and_spans_lie_within(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(list) = TagList::parse(&text) {
                for tag in list.tags() {
                    let value = std::str::from_utf8(&text[tag.span.clone()]).unwrap();
                    prop_assert_eq!(value.trim_matches(is_space), tag.value);
                }
            }
        }

        #[test]
        fn what_is_written_is_read(tags in proptest::collection::btree_map("[a-zA-Z][a-z0-9_]{0,3}", "[!-:<-~]{0,8}", 0..20)) {
            let text: String = tags.iter().map(|(name, value)| format!("{name} = {value};\r\n ")).collect();
            let list = TagList::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(list.tags().len(), tags.len());
            for (name, value) in &tags {
                prop_assert_eq!(list.get(name), Some(value.as_str()));
            }
        }
    }
}
