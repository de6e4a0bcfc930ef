//! DNS messages, as much of them as a test needs (RFC 1035 §4, RFC 6891): taken apart, put together again, and the
//! records in the words of a zone file.
//!
//! Written here and not borrowed from the server's crates, so that the lab does not share a mistake with what it tests.

use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The types that the lab knows by name.
const TYPES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("DNAME", 39),
    ("OPT", 41),
    ("DS", 43),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("NSEC3", 50),
    ("NSEC3PARAM", 51),
    ("TLSA", 52),
    ("CAA", 257),
];

/// A type of record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(pub u16);

#[allow(missing_docs)]
impl Type {
    pub const A: Self = Self(1);
    pub const NS: Self = Self(2);
    pub const CNAME: Self = Self(5);
    pub const SOA: Self = Self(6);
    pub const TXT: Self = Self(16);
    pub const DNAME: Self = Self(39);
    pub const OPT: Self = Self(41);
    pub const DS: Self = Self(43);
    pub const RRSIG: Self = Self(46);
    pub const NSEC: Self = Self(47);
    pub const DNSKEY: Self = Self(48);
    pub const NSEC3: Self = Self(50);

    /// The type of a name such as `MX` or `TYPE65280` (RFC 3597 §5).
    #[track_caller]
    pub fn named(name: &str) -> Self {
        let known = TYPES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let number = known.or_else(|| name.strip_prefix("TYPE")?.parse().ok());
        Self(number.unwrap_or_else(|| panic!("no type of record is named {name}")))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TYPES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => out.write_str(name),
            None => write!(out, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A name in wire form, without compression. Names compare as they are written; see [`Name::lower`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// Reads a name of a zone file, with or without the last dot. Escapes are not needed here and not known.
    #[track_caller]
    pub fn of(text: &str) -> Self {
        let mut octets = Vec::new();
        for label in text.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
            octets.push(u8::try_from(label.len()).expect("a label of at most 63 octets"));
            octets.extend(label.as_bytes());
        }
        octets.push(0);
        Self(octets)
    }

    /// The name in lower case, which is the form to compare (RFC 4343).
    #[must_use]
    pub fn lower(&self) -> Self {
        // Lengths of labels are below 64 and so never letters.
        Self(self.0.to_ascii_lowercase())
    }

    /// Whether both are the same name.
    pub fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The wire form.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Reads a name that may be compressed, at `at`; returns it and where it ends.
    fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let (mut octets, mut here, mut end) = (Vec::new(), at, None);
        for _ in 0..256 {
            let length = *message.get(here)?;
            match length {
                0 => {
                    octets.push(0);
                    return (octets.len() <= 255).then_some((Self(octets), end.unwrap_or(here + 1)));
                }
                1..=63 => {
                    octets.extend(message.get(here..=here + usize::from(length))?);
                    here += 1 + usize::from(length);
                }
                192.. => {
                    end = end.or(Some(here + 2));
                    here = usize::from(u16::from_be_bytes([length & 63, *message.get(here + 1)?]));
                }
                _ => return None,
            }
        }
        None
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        if rest == [0] {
            return out.write_str(".");
        }
        while let Some((&length, more)) = rest.split_first().filter(|(length, _)| **length > 0) {
            let (label, more) = more.split_at(usize::from(length));
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => write!(out, "\\{}", char::from(octet))?,
                    b'!'..=b'~' => out.write_char(octet.into())?,
                    _ => write!(out, "\\{octet:03}")?,
                }
            }
            out.write_char('.')?;
            rest = more;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A record; the names within its data are not compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner.
    pub name: Name,
    /// The type.
    pub rtype: Type,
    /// The class, which is the sender's buffer size in an OPT record.
    pub class: u16,
    /// The time to live, which is flags in an OPT record.
    pub ttl: u32,
    /// The data.
    pub data: Vec<u8>,
}

impl Record {
    /// The type that a signature covers; of every other record its own type.
    pub fn covered(&self) -> Type {
        match self.data.get(..2) {
            Some(&[high, low]) if self.rtype == Type::RRSIG => Type(u16::from_be_bytes([high, low])),
            _ => self.rtype,
        }
    }

    /// The data in the words of a zone file; types that the lab does not know by RFC 3597 §5.
    pub fn text(&self) -> String {
        self.known().unwrap_or_else(|| format!("\\# {} {}", self.data.len(), hex(&self.data)))
    }

    fn known(&self) -> Option<String> {
        let data = self.data.as_slice();
        let number = |at: usize| Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?));
        let name = |at: usize| Name::read(data, at).map(|(name, _)| name);
        Some(match self.rtype.to_string().as_str() {
            "A" => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
            "AAAA" => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
            "NS" | "CNAME" | "PTR" | "DNAME" => name(0)?.to_string(),
            "MX" => format!("{} {}", number(0)?, name(2)?),
            "SRV" => format!("{} {} {} {}", number(0)?, number(2)?, number(4)?, name(6)?),
            "SOA" => {
                let (first, at) = Name::read(data, 0)?;
                let (second, at) = Name::read(data, at)?;
                let mut text = format!("{first} {second}");
                for field in data.get(at..)?.chunks_exact(4) {
                    write!(text, " {}", u32::from_be_bytes(field.try_into().ok()?)).ok()?;
                }
                text
            }
            "TXT" => {
                let (mut rest, mut strings) = (data, Vec::new());
                while let Some((&length, more)) = rest.split_first() {
                    strings.push(quoted(more.get(..length.into())?));
                    rest = more.get(length.into()..)?;
                }
                strings.join(" ")
            }
            "CAA" => {
                let tag = data.get(2..2 + usize::from(*data.get(1)?))?;
                let value = data.get(2 + tag.len()..)?;
                format!("{} {} {}", data.first()?, String::from_utf8_lossy(tag), quoted(value))
            }
            "TLSA" => format!("{} {} {} {}", data.first()?, data.get(1)?, data.get(2)?, hex(data.get(3..)?)),
            "DS" => format!("{} {} {} {}", number(0)?, data.get(2)?, data.get(3)?, hex(data.get(4..)?)),
            _ => return None,
        })
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn quoted(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for &octet in octets {
        let _ = match octet {
            b'"' | b'\\' => write!(text, "\\{}", char::from(octet)),
            b' '..=b'~' => write!(text, "{}", char::from(octet)),
            _ => write!(text, "\\{octet:03}"),
        };
    }
    text.push('"');
    text
}

/// A message, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id.
    pub id: u16,
    /// The second word of the header: QR, opcode, AA, TC, RD, RA, AD, CD and the response code.
    pub flags: u16,
    /// The question.
    pub question: Option<(Name, Type)>,
    /// Answer, authority and additional records.
    pub sections: [Vec<Record>; 3],
}

impl Message {
    /// Message is a response.
    pub const QR: u16 = 0x8000;
    /// Truncated.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
    /// Authentic data (RFC 4035 §3.2.3).
    pub const AD: u16 = 0x0020;
    /// Checking disabled (RFC 4035 §3.2.2).
    pub const CD: u16 = 0x0010;

    /// A query with an OPT record that says DO (RFC 3225).
    pub fn query(id: u16, name: &Name, rtype: Type, flags: u16) -> Self {
        let opt = Record { name: Name::of("."), rtype: Type::OPT, class: 1232, ttl: 0x8000, data: Vec::new() };
        let question = Some((name.clone(), rtype));
        Self { id, flags, question, sections: [Vec::new(), Vec::new(), vec![opt]] }
    }

    /// Takes a message apart; `None` where it is malformed.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
        let (mut at, mut question) = (12, None);
        for _ in 0..word(4)? {
            let (name, end) = Name::read(octets, at)?;
            question = Some((name, Type(word(end)?)));
            at = end + 4;
        }
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        for (section, count) in sections.iter_mut().zip([word(6)?, word(8)?, word(10)?]) {
            for _ in 0..count {
                let (name, end) = Name::read(octets, at)?;
                let (rtype, class) = (Type(word(end)?), word(end + 2)?);
                let ttl = u32::from(word(end + 4)?) << 16 | u32::from(word(end + 6)?);
                let start = end + 10;
                at = start + usize::from(word(end + 8)?);
                let data = expanded(octets, rtype, start, at)?;
                section.push(Record { name, rtype, class, ttl, data });
            }
        }
        Some(Self { id: word(0)?, flags: word(2)?, question, sections })
    }

    /// Puts the message together, without compression.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        let counts = self.sections.iter().map(Vec::len);
        for word in [self.id.into(), self.flags.into(), usize::from(self.question.is_some())].into_iter().chain(counts)
        {
            octets.extend(u16::try_from(word).expect("a count of records").to_be_bytes());
        }
        if let Some((name, rtype)) = &self.question {
            octets.extend(name.octets());
            octets.extend(rtype.0.to_be_bytes());
            octets.extend([0, 1]);
        }
        for record in self.sections.iter().flatten() {
            octets.extend(record.name.octets());
            octets.extend(record.rtype.0.to_be_bytes());
            octets.extend(record.class.to_be_bytes());
            octets.extend(record.ttl.to_be_bytes());
            octets.extend(u16::try_from(record.data.len()).expect("data of a record").to_be_bytes());
            octets.extend(&record.data);
        }
        octets
    }

    /// The response code, without its extension in OPT.
    pub fn code(&self) -> u8 {
        u8::try_from(self.flags & 15).unwrap_or_default()
    }

    /// The OPT record (RFC 6891 §6.1.1).
    pub fn opt(&self) -> Option<&Record> {
        self.sections[2].iter().find(|record| record.rtype == Type::OPT)
    }

    /// The extended errors in the OPT record (RFC 8914 §2): code and text.
    pub fn extended_errors(&self) -> Vec<(u16, String)> {
        let mut rest = self.opt().map(|opt| opt.data.as_slice()).unwrap_or_default();
        let mut errors = Vec::new();
        while let Some((&[o1, o2, l1, l2], more)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([l1, l2])).min(more.len());
            let (option, more) = more.split_at(length);
            if let (15, Some((&code, text))) = (u16::from_be_bytes([o1, o2]), option.split_first_chunk()) {
                errors.push((u16::from_be_bytes(code), String::from_utf8_lossy(text).into_owned()));
            }
            rest = more;
        }
        errors
    }
}

/// The data of a record with its names expanded. Only types of RFC 1035 are ever compressed (RFC 3597 §4).
fn expanded(message: &[u8], rtype: Type, start: usize, end: usize) -> Option<Vec<u8>> {
    let raw = message.get(start..end)?;
    let (before, names) = match rtype.to_string().as_str() {
        "NS" | "CNAME" | "PTR" | "DNAME" => (0, 1),
        "MX" => (2, 1),
        "SRV" => (6, 1),
        "SOA" => (0, 2),
        _ => return Some(raw.to_vec()),
    };
    let mut data = raw.get(..before)?.to_vec();
    let mut at = start + before;
    for _ in 0..names {
        let (name, next) = Name::read(message, at)?;
        data.extend(name.octets());
        at = next;
    }
    data.extend(message.get(at..end)?);
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_message_is_expanded() {
        let mut octets = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        octets.extend(b"\x02mx\x07Example\0\0\x0f\0\x01");
        octets.extend([0xc0, 12, 0, 15, 0, 1, 0, 0, 1, 0, 0, 6, 0, 10, 1, b'a', 0xc0, 15]);
        let message = Message::read(&octets).expect("a message");
        assert_eq!(message.sections[0][0].text(), "10 a.Example.");
        assert_eq!(Message::read(&message.octets()), Some(message));
        assert_eq!(Message::read(&octets[..octets.len() - 1]), None);
    }

    #[test]
    fn a_loop_of_pointers_ends() {
        let mut octets = vec![0, 7, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
        octets.extend([0xc0, 12, 0, 1, 0, 1]);
        assert_eq!(Message::read(&octets), None);
    }

    #[test]
    fn extended_errors_are_found() {
        let mut message = Message::query(1, &Name::of("a.example"), Type::A, 0);
        message.sections[2][0].data = b"\0\x0a\0\x02xx\0\x0f\0\x05\0\x09key".to_vec();
        assert_eq!(message.extended_errors(), [(9, "key".to_owned())]);
    }
}
