//! Names as the DNS has them: the root, wildcards and labels of any octets (RFC 1035 §3.1, RFC 2181 §11).
//!
//! Names of mail are `mailstead_names::Domain`; what is here is for messages, zones and proofs.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use mailstead_names::Domain;

use crate::Target;

/// Longest name on the wire, root label included (RFC 1035 §2.3.4).
const MAX_WIRE: usize = 255;
const MAX_LABEL: usize = 63;

/// A name in its canonical wire form: not compressed, ASCII letters in lower case (RFC 4034 §6.2).
///
/// Ordered canonically (RFC 4034 §6.1). Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// The root.
    pub fn root() -> Name {
        Name(Arc::from([0].as_slice()))
    }

    /// From labels without the root; `None` when one is empty or too long, or all together are.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Option<Name> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            if label.is_empty() || label.len() > MAX_LABEL {
                return None;
            }
            wire.push(label.len() as u8);
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
        }
        wire.push(0);
        (wire.len() <= MAX_WIRE).then(|| Name(Arc::from(wire)))
    }

    /// From the presentation form of zone files, escapes included, with or without the trailing dot.
    ///
    /// ```
    /// # use mailstead_dns::Name;
    /// assert_eq!(Name::parse(r"*.A\.b.Example").unwrap().to_string(), r"*.a\.b.example.");
    /// assert!(Name::parse("a..example").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Name> {
        if text == "." {
            return Some(Name::root());
        }
        let mut labels = vec![Vec::new()];
        let mut octets = text.bytes();
        while let Some(octet) = octets.next() {
            match octet {
                b'.' => labels.push(Vec::new()),
                b'\\' => {
                    let first = octets.next()?;
                    let octet = if first.is_ascii_digit() {
                        let digits = [first, octets.next()?, octets.next()?];
                        std::str::from_utf8(&digits).ok()?.parse().ok()?
                    } else {
                        first
                    };
                    labels.last_mut()?.push(octet);
                }
                _ => labels.last_mut()?.push(octet),
            }
        }
        if labels.last()?.is_empty() {
            labels.pop();
        }
        Name::from_labels(labels.iter().map(Vec::as_slice)).filter(|name| !name.is_root())
    }

    /// From the beginning of octets that hold a name without compression. Also says how many octets it took.
    pub fn from_wire(octets: &[u8]) -> Option<(Name, usize)> {
        let mut end = 0;
        loop {
            let length = usize::from(*octets.get(end)?);
            if length > MAX_LABEL {
                return None;
            }
            end += 1 + length;
            if end > MAX_WIRE {
                return None;
            }
            if length == 0 {
                break;
            }
        }
        let wire = octets.get(..end)?;
        Some((Name::from_checked(wire), end))
    }

    /// From a whole name on the wire that has been checked.
    pub(crate) fn from_checked(wire: &[u8]) -> Name {
        let mut name: Arc<[u8]> = Arc::from(wire);
        // Length octets are at most 63, below any letter.
        if let Some(octets) = Arc::get_mut(&mut name) {
            octets.make_ascii_lowercase();
        }
        Name(name)
    }

    /// The wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The labels from the left, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels(&self.0)
    }

    /// How many labels, without the root.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The wire form of what follows the first labels.
    fn suffix(&self, skip: usize) -> &[u8] {
        let mut labels = self.labels();
        for _ in 0..skip {
            labels.next();
        }
        labels.0
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        (!self.is_root()).then(|| Name(Arc::from(self.suffix(1))))
    }

    /// The last `count` labels of the name; the name itself where it has no more.
    pub fn ancestor(&self, count: usize) -> Name {
        match self.label_count().checked_sub(count) {
            None | Some(0) => self.clone(),
            Some(skip) => Name(Arc::from(self.suffix(skip))),
        }
    }

    /// Whether this name is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Name) -> bool {
        // Only where labels begin, so that the end of a label is not taken for one.
        let excess = self.0.len().checked_sub(ancestor.0.len());
        excess.is_some_and(|excess| {
            let mut rest: &[u8] = &self.0;
            while rest.len() > ancestor.0.len() {
                rest = rest.get(1 + usize::from(rest[0])..).unwrap_or_default();
            }
            rest == &*ancestor.0 && excess + rest.len() == self.0.len()
        })
    }

    /// Whether this name lies below `ancestor` and is another.
    pub fn is_below(&self, ancestor: &Name) -> bool {
        self.0.len() > ancestor.0.len() && self.is_within(ancestor)
    }

    /// How many labels both names end in alike.
    pub fn common_labels(&self, other: &Name) -> usize {
        let (mine, theirs) = (self.labels().collect::<Vec<_>>(), other.labels().collect::<Vec<_>>());
        mine.iter().rev().zip(theirs.iter().rev()).take_while(|(a, b)| a == b).count()
    }

    /// Whether the first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// The wildcard below this name; `None` when there is no room for it.
    pub fn wildcard(&self) -> Option<Name> {
        self.prepend(b"*")
    }

    /// The name with one label in front; `None` when that is too long.
    pub fn prepend(&self, label: &[u8]) -> Option<Name> {
        Name::from_labels(std::iter::once(label).chain(self.labels()))
    }

    /// The name with its end `from` replaced by `to`, as a DNAME does it (RFC 6672 §2.2); `None` when that is too long
    /// or the name does not lie below `from`.
    pub fn substitute(&self, from: &Name, to: &Name) -> Option<Name> {
        if !self.is_below(from) {
            return None;
        }
        let keep = self.label_count() - from.label_count();
        Name::from_labels(self.labels().take(keep).chain(to.labels()))
    }

    /// The name as one of mail, where it is one.
    pub fn to_domain(&self) -> Option<Domain> {
        let mut text = String::with_capacity(self.0.len());
        for label in self.labels() {
            // Of all others no domain can consist, least of all of a dot within a label.
            if !label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')) {
                return None;
            }
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(std::str::from_utf8(label).ok()?);
        }
        Domain::parse_lenient(&text).ok()
    }

    /// The name as it stands in the data of a record.
    pub fn to_target(&self) -> Target {
        Target::parse(&self.to_string())
    }
}

impl From<&Domain> for Name {
    fn from(domain: &Domain) -> Name {
        // A domain has labels of 1 to 63 octets and at most 253 octets in all, which is what the wire allows.
        Name::from_labels(domain.labels().map(str::as_bytes)).unwrap_or_else(Name::root)
    }
}

/// The labels of a [`Name`].
#[derive(Debug, Clone)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first().filter(|(length, _)| **length != 0)?;
        let (label, rest) = rest.split_at_checked(usize::from(*length))?;
        self.0 = rest;
        Some(label)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        // RFC 4034 §6.1: label by label from the right, as unsigned octets; absent labels first.
        let mut mine = [0_u8; 128];
        let mut theirs = [0_u8; 128];
        let (mine_count, theirs_count) = (label_starts(&self.0, &mut mine), label_starts(&other.0, &mut theirs));
        for back in 1..=mine_count.min(theirs_count) {
            let a = label_at(&self.0, mine[mine_count - back]);
            let b = label_at(&other.0, theirs[theirs_count - back]);
            match a.cmp(b) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        mine_count.cmp(&theirs_count)
    }
}

fn label_starts(wire: &[u8], starts: &mut [u8; 128]) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(&length) = wire.get(at).filter(|length| **length != 0) {
        // A name of 255 octets has at most 127 labels, and begins none after octet 254.
        starts[count & 127] = at as u8;
        count += 1;
        at += 1 + usize::from(length);
    }
    count
}

fn label_at(wire: &[u8], start: u8) -> &[u8] {
    Labels(wire.get(usize::from(start)..).unwrap_or_default()).next().unwrap_or_default()
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => write!(f, "\\{}", char::from(*octet))?,
                    b'!'..=b'~' => write!(f, "{}", char::from(*octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn canonical_order_of_rfc_4034() {
        // The example of §6.1.
        let ordered = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            r"\001.z.example",
            "*.z.example",
            r"\200.z.example",
        ];
        let names: Vec<_> = ordered.iter().map(|text| name(text)).collect();
        let mut sorted = names.clone();
        sorted.reverse();
        sorted.sort();
        assert_eq!(sorted, names);
        assert!(Name::root() < names[0]);
    }

    #[test]
    fn ancestors_begin_where_labels_begin() {
        let long = name("a.b.example");
        assert!(long.is_within(&name("b.example")) && long.is_within(&long) && long.is_within(&Name::root()));
        assert!(!long.is_below(&long) && long.is_below(&Name::root()));
        assert!(!name("xb.example").is_within(&name("b.example")));
        // A label whose end looks like another name on the wire.
        assert!(!name(r"a\001b\007example").is_within(&name("b.example")));
        assert_eq!(long.ancestor(2), name("b.example"));
        assert_eq!(long.ancestor(0), Name::root());
        assert_eq!(long.ancestor(9), long);
        assert_eq!(long.parent().unwrap(), name("b.example"));
        assert_eq!(Name::root().parent(), None);
        assert_eq!(long.common_labels(&name("c.b.example")), 2);
        assert_eq!(long.common_labels(&name("b.org")), 0);
    }

    #[test]
    fn lengths_are_exact() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(name(&longest).as_wire().len(), 255);
        assert!(Name::parse(&format!("a{longest}")).is_none());
        assert!(Name::parse(&format!("a.{longest}")).is_none());
        assert!(name(&longest).wildcard().is_none());
        assert!(Name::parse(&"a".repeat(64)).is_none());
        assert!(Name::parse("").is_none());
    }

    #[test]
    fn dname_substitution() {
        let to = name("target.example");
        assert_eq!(name("a.b.old").substitute(&name("old"), &to), Some(name("a.b.target.example")));
        assert_eq!(name("old").substitute(&name("old"), &to), None);
        assert_eq!(name("a.new").substitute(&name("old"), &to), None);
        assert_eq!(name("a").substitute(&Name::root(), &to), Some(name("a.target.example")));
        let label = "a".repeat(63);
        assert_eq!(
            name(&format!("{label}.{label}.{label}.{}.old", "a".repeat(50))).substitute(&name("old"), &to),
            None
        );
    }

    #[test]
    fn presentation_escapes_and_domains() {
        let odd = Name::from_labels([b"a.b\\\x00\xff ".as_slice(), b"example"]).unwrap();
        assert_eq!(odd.to_string(), r"a\.b\\\000\255\032.example.");
        assert_eq!(Name::parse(&odd.to_string()), Some(odd.clone()));
        assert_eq!(odd.to_domain(), None);
        let domain = Domain::parse("Bücher.example").unwrap();
        assert_eq!(Name::from(&domain).to_domain(), Some(domain));
        assert_eq!(Name::root().to_domain(), None);
        assert_eq!(Name::root().to_target(), Target::Root);
    }

    #[test]
    fn wire_forms() {
        assert_eq!(Name::from_wire(b"\x01A\x00rest"), Some((name("a"), 3)));
        assert_eq!(Name::from_wire(b"\x01A"), None);
        assert_eq!(Name::from_wire(b"\xc0\x00"), None);
        assert_eq!(Name::from_wire(b""), None);
        assert_eq!(Name::from_wire(&[1; 300]), None);
    }
}
