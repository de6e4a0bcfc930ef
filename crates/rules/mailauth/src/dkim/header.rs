//! The fields of a header by their names, to be signed from the bottom up (RFC 6376 §5.4.2).

use std::collections::HashMap;

use mailstead_message::{Field, Fields};

/// Takes a message apart: its header with the empty line, and its body.
///
/// ```
/// # use mailstead_mailauth::dkim::split_message;
/// assert_eq!(split_message(b"From: a@b\r\n\r\nHello"), (b"From: a@b\r\n\r\n".as_slice(), b"Hello".as_slice()));
/// ```
pub fn split_message(message: &[u8]) -> (&[u8], &[u8]) {
    let fields = Fields::new(message).last().map_or(0, |field| field.range().end);
    let rest = message.get(fields..).unwrap_or_default();
    let line = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
    message.split_at_checked(fields + line).unwrap_or((message, &[]))
}

/// Fields by name in lower case, each list from the bottom of the header to its top. Made once for all signatures, because
/// looking each signed name up in a hostile header would take the product of two large numbers.
#[derive(Debug)]
pub(crate) struct HeaderIndex<'h> {
    by_name: HashMap<String, Vec<Field<'h>>>,
}

impl<'h> HeaderIndex<'h> {
    pub(crate) fn new(header: &'h [u8]) -> HeaderIndex<'h> {
        let mut by_name: HashMap<String, Vec<Field<'h>>> = HashMap::new();
        for field in Fields::new(header).filter(|field| !field.name().is_empty()) {
            by_name.entry(field.name().to_ascii_lowercase()).or_default().push(field);
        }
        by_name.values_mut().for_each(|fields| fields.reverse());
        HeaderIndex { by_name }
    }

    /// Fields of this name, given in lower case, from the bottom up.
    pub(crate) fn named(&self, name: &str) -> &[Field<'h>] {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many fields have this name, given in lower case.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.named(name).len()
    }

    /// The fields that the names of `h=`, in lower case, stand for, in their order. Names beyond the number of fields
    /// stand for nothing (§5.4). `own` is the signature itself, which is never among them (§3.5, `h=`).
    pub(crate) fn select<'s>(
        &'s self,
        names: &'s [String],
        own: Option<&Field<'_>>,
    ) -> impl Iterator<Item = &'s Field<'h>> {
        let own = own.map(Field::range);
        let mut next: HashMap<&str, usize> = HashMap::new();
        names.iter().filter_map(move |name| {
            let at = next.entry(name.as_str()).or_default();
            let fields = self.named(name);
            let mut field = fields.get(*at)?;
            *at += 1;
            if Some(field.range()) == own {
                field = fields.get(*at)?;
                *at += 1;
            }
            Some(field)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_fields_of_a_name_are_taken_from_the_bottom() {
        // §5.4.2
        let header = b"Received: A\r\nnot a field\r\nRECEIVED: B\r\nTo: x\r\nReceived: C\r\n\r\nReceived: body\r\n";
        let index = HeaderIndex::new(header);
        let select = |names: &[&str], own: Option<&Field<'_>>| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            index.select(&names, own).map(|field| field.value().trim_ascii().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(select(&["received", "received"], None), [b"C", b"B"]);
        assert_eq!(
            select(&["received", "to", "from", "received", "received", "received"], None),
            [b"C", b"x", b"B", b"A"]
        );
        let own = Fields::new(header).nth(2).unwrap();
        assert_eq!(select(&["received", "received", "received"], Some(&own)), [b"C", b"A"]);
        assert_eq!((index.count("received"), index.count("from")), (3, 0));
    }
}
