//! Record data in the forms that mail needs. `Display` writes the presentation form of zone files.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use mailstead_names::Domain;

use crate::Name;

/// The types of records that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecordType {
    /// IPv4 address (RFC 1035 §3.4.1)
    A,
    /// Name server (RFC 1035 §3.3.11)
    Ns,
    /// Alias (RFC 1035 §3.3.1)
    Cname,
    /// Start of authority (RFC 1035 §3.3.13)
    Soa,
    /// Name of an address (RFC 1035 §3.3.12)
    Ptr,
    /// Mail exchange (RFC 1035 §3.3.9)
    Mx,
    /// Text (RFC 1035 §3.3.14)
    Txt,
    /// IPv6 address (RFC 3596)
    Aaaa,
    /// Service (RFC 2782)
    Srv,
    /// Delegation signer (RFC 4034 §5)
    Ds,
    /// Certificate association (RFC 6698)
    Tlsa,
    /// Certification authority authorization (RFC 8659)
    Caa,
}

impl RecordType {
    const TABLE: [(RecordType, u16, &'static str); 12] = [
        (RecordType::A, 1, "A"),
        (RecordType::Ns, 2, "NS"),
        (RecordType::Cname, 5, "CNAME"),
        (RecordType::Soa, 6, "SOA"),
        (RecordType::Ptr, 12, "PTR"),
        (RecordType::Mx, 15, "MX"),
        (RecordType::Txt, 16, "TXT"),
        (RecordType::Aaaa, 28, "AAAA"),
        (RecordType::Srv, 33, "SRV"),
        (RecordType::Ds, 43, "DS"),
        (RecordType::Tlsa, 52, "TLSA"),
        (RecordType::Caa, 257, "CAA"),
    ];

    fn entry(self) -> (u16, &'static str) {
        RecordType::TABLE.iter().find(|row| row.0 == self).map_or((0, "?"), |row| (row.1, row.2))
    }

    /// The number on the wire.
    pub fn code(self) -> u16 {
        self.entry().0
    }

    /// All of them, by their numbers.
    pub fn all() -> impl Iterator<Item = RecordType> {
        RecordType::TABLE.iter().map(|row| row.0)
    }

    /// The type of this number.
    pub fn from_code(code: u16) -> Option<RecordType> {
        RecordType::TABLE.iter().find(|row| row.1 == code).map(|row| row.0)
    }

    /// The type of this name, in any case of letters.
    pub fn parse(name: &str) -> Option<RecordType> {
        RecordType::TABLE.iter().find(|row| row.2.eq_ignore_ascii_case(name)).map(|row| row.0)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry().1)
    }
}

/// The name in the data of a record.
///
/// It is kept even where it is of no use, because an MX record that points to an address is still an MX record: the
/// domain has no implicit one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A name.
    Domain(Domain),
    /// The root, which says "there is none" (RFC 7505 §3, RFC 2782).
    Root,
    /// Octets that are not a name for our purposes, such as an IP address or labels with spaces; in presentation form.
    Unusable(String),
}

impl Target {
    /// From the presentation form, with or without trailing dot.
    pub fn parse(name: &str) -> Target {
        match name.strip_suffix('.').unwrap_or(name) {
            "" => Target::Root,
            name => Domain::parse_lenient(name).map_or_else(|_| Target::Unusable(name.to_owned()), Target::Domain),
        }
    }

    /// The name, if it is one.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Target::Domain(domain) => Some(domain),
            Target::Root | Target::Unusable(_) => None,
        }
    }
}

impl TryFrom<&Target> for Name {
    type Error = ();

    /// Fails for what is not even a name of the DNS.
    fn try_from(target: &Target) -> Result<Name, ()> {
        match target {
            Target::Domain(domain) => Ok(Name::from(domain)),
            Target::Root => Ok(Name::root()),
            Target::Unusable(name) => Name::parse(name).ok_or(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Domain(domain) => write!(f, "{domain}."),
            Target::Root => f.write_str("."),
            // In presentation form already; escaped here only where it is none.
            Target::Unusable(name) => match Name::parse(name) {
                Some(name) => name.fmt(f),
                None => write!(f, "{}.", name.escape_default()),
            },
        }
    }
}

/// Mail exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mx {
    /// Lower ones are tried first.
    pub preference: u16,
    /// The host.
    pub exchange: Target,
}

impl Mx {
    /// Whether this says, where it is the only one, that the domain takes no mail (RFC 7505 §3).
    pub fn is_null(&self) -> bool {
        self.exchange == Target::Root
    }
}

/// Text: a sequence of strings of up to 255 octets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Txt {
    /// The strings as they are in the record.
    pub strings: Vec<Vec<u8>>,
}

impl Txt {
    /// All strings as one, with nothing between them, as SPF, DKIM, DMARC and others want it (RFC 7208 §3.3).
    pub fn joined(&self) -> Vec<u8> {
        self.strings.concat()
    }
}

impl From<&str> for Txt {
    fn from(text: &str) -> Txt {
        Txt { strings: text.as_bytes().chunks(255).map(<[u8]>::to_vec).collect() }
    }
}

/// Service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Srv {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// TCP or UDP port.
    pub port: u16,
    /// The host; the root where there is no such service.
    pub target: Target,
}

/// Start of authority.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Soa {
    /// Primary server.
    pub mname: Target,
    /// Address of the person responsible, as a name.
    pub rname: Target,
    /// Version of the zone.
    pub serial: u32,
    /// Seconds between refreshes.
    pub refresh: u32,
    /// Seconds until a failed refresh is tried again.
    pub retry: u32,
    /// Seconds until secondaries give up.
    pub expire: u32,
    /// Seconds that absence may be kept (RFC 2308 §4).
    pub minimum: u32,
}

/// Certification authority authorization.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caa {
    /// Flags; 128 is critical.
    pub flags: u8,
    /// Property, in lower case.
    pub tag: String,
    /// Value of the property.
    pub value: Vec<u8>,
}

/// Certificate association. The numbers are as on the wire: which of them can be used is a matter of policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tlsa {
    /// Certificate usage (RFC 6698 §2.1.1).
    pub usage: u8,
    /// Selector (§2.1.2).
    pub selector: u8,
    /// Matching type (§2.1.3).
    pub matching_type: u8,
    /// Certificate association data (§2.1.4).
    pub data: Vec<u8>,
}

/// Delegation signer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ds {
    /// Tag of the key.
    pub key_tag: u16,
    /// Algorithm of the key.
    pub algorithm: u8,
    /// Algorithm of the digest.
    pub digest_type: u8,
    /// Digest of the key.
    pub digest: Vec<u8>,
}

/// The data of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named as the types of records are")]
pub enum Record {
    A(Ipv4Addr),
    Ns(Target),
    Cname(Target),
    Soa(Soa),
    Ptr(Target),
    Mx(Mx),
    Txt(Txt),
    Aaaa(Ipv6Addr),
    Srv(Srv),
    Ds(Ds),
    Tlsa(Tlsa),
    Caa(Caa),
}

impl Record {
    /// The type.
    pub fn record_type(&self) -> RecordType {
        match self {
            Record::A(_) => RecordType::A,
            Record::Ns(_) => RecordType::Ns,
            Record::Cname(_) => RecordType::Cname,
            Record::Soa(_) => RecordType::Soa,
            Record::Ptr(_) => RecordType::Ptr,
            Record::Mx(_) => RecordType::Mx,
            Record::Txt(_) => RecordType::Txt,
            Record::Aaaa(_) => RecordType::Aaaa,
            Record::Srv(_) => RecordType::Srv,
            Record::Ds(_) => RecordType::Ds,
            Record::Tlsa(_) => RecordType::Tlsa,
            Record::Caa(_) => RecordType::Caa,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::A(ip) => ip.fmt(f),
            Record::Aaaa(ip) => ip.fmt(f),
            Record::Ns(name) | Record::Cname(name) | Record::Ptr(name) => name.fmt(f),
            Record::Mx(mx) => write!(f, "{} {}", mx.preference, mx.exchange),
            Record::Txt(txt) => {
                for (i, string) in txt.strings.iter().enumerate() {
                    let space = if i == 0 { "" } else { " " };
                    write!(f, "{space}{}", Quoted(string))?;
                }
                Ok(())
            }
            Record::Soa(Soa { mname, rname, serial, refresh, retry, expire, minimum }) => {
                write!(f, "{mname} {rname} {serial} {refresh} {retry} {expire} {minimum}")
            }
            Record::Srv(srv) => write!(f, "{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target),
            Record::Ds(ds) => {
                write!(f, "{} {} {} {}", ds.key_tag, ds.algorithm, ds.digest_type, Hex(&ds.digest))
            }
            Record::Tlsa(tlsa) => {
                write!(f, "{} {} {} {}", tlsa.usage, tlsa.selector, tlsa.matching_type, Hex(&tlsa.data))
            }
            Record::Caa(caa) => write!(f, "{} {} {}", caa.flags, caa.tag.escape_default(), Quoted(&caa.value)),
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// `<character-string>` (RFC 1035 §5.1).
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for octet in self.0 {
            match octet {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
                b' '..=b'~' => write!(f, "{}", char::from(*octet))?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        f.write_str("\"")
    }
}

/// A type that records of one [`RecordType`] have as data.
pub trait RecordData: Sized {
    /// The type to ask for.
    const TYPE: RecordType;
    /// The data, if the record is of this type.
    fn from_record(record: Record) -> Option<Self>;
}

macro_rules! record_data {
    ($($data:ty => $variant:ident),* $(,)?) => {$(
        impl RecordData for $data {
            const TYPE: RecordType = RecordType::$variant;
            fn from_record(record: Record) -> Option<Self> {
                if let Record::$variant(data) = record { Some(data) } else { None }
            }
        }
    )*};
}

record_data! {
    Ipv4Addr => A, Soa => Soa, Mx => Mx, Txt => Txt, Ipv6Addr => Aaaa, Srv => Srv, Ds => Ds, Tlsa => Tlsa, Caa => Caa,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_numbers_and_names() {
        for (record_type, code, name) in RecordType::TABLE {
            assert_eq!(RecordType::from_code(code), Some(record_type));
            assert_eq!(RecordType::parse(&name.to_lowercase()), Some(record_type));
            assert_eq!(record_type.code(), code);
            assert_eq!(record_type.to_string(), name);
        }
        assert_eq!(RecordType::from_code(99), None);
    }

    #[test]
    fn targets_keep_what_they_cannot_use() {
        assert_eq!(Target::parse("."), Target::Root);
        assert_eq!(Target::parse("Mail.Example.").to_string(), "mail.example.");
        assert!(Target::parse("_dmarc.example").domain().is_some());
        assert_eq!(Target::parse("192.0.2.1."), Target::Unusable("192.0.2.1".into()));
        assert!(Mx { preference: 0, exchange: Target::parse(".") }.is_null());
    }

    #[test]
    fn presentation_form() {
        let shown = |record: Record| record.to_string();
        assert_eq!(shown(Record::Mx(Mx { preference: 10, exchange: Target::parse("mx.example") })), "10 mx.example.");
        assert_eq!(
            shown(Record::Txt(Txt { strings: vec![b"a\"b\\".to_vec(), vec![0, 255]] })),
            r#""a\"b\\" "\000\255""#
        );
        let tlsa = Tlsa { usage: 3, selector: 1, matching_type: 1, data: vec![0xab, 0x01] };
        assert_eq!(shown(Record::Tlsa(tlsa)), "3 1 1 ab01");
        let caa = Caa { flags: 128, tag: "issue".into(), value: b"ca.example".to_vec() };
        assert_eq!(shown(Record::Caa(caa)), "128 issue \"ca.example\"");
    }

    #[test]
    fn long_text_is_cut_into_strings_and_joined_again() {
        let text = "v=DKIM1; p=".to_owned() + &"A".repeat(600);
        let txt = Txt::from(text.as_str());
        assert_eq!(txt.strings.iter().map(Vec::len).collect::<Vec<_>>(), [255, 255, 101]);
        assert_eq!(txt.joined(), text.as_bytes());
    }
}
