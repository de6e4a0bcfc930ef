//! Types of records by their number, the ones that nobody asks for included.

use std::fmt;

use crate::RecordType;

/// The type of a record on the wire (RFC 1035 §3.2.2, RFC 3597 §5 for its name).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rtype(pub u16);

#[expect(missing_docs, reason = "named as the types of records are")]
impl Rtype {
    pub const A: Rtype = Rtype(1);
    pub const NS: Rtype = Rtype(2);
    pub const CNAME: Rtype = Rtype(5);
    pub const SOA: Rtype = Rtype(6);
    pub const PTR: Rtype = Rtype(12);
    pub const MX: Rtype = Rtype(15);
    pub const TXT: Rtype = Rtype(16);
    pub const AAAA: Rtype = Rtype(28);
    pub const SRV: Rtype = Rtype(33);
    pub const DNAME: Rtype = Rtype(39);
    pub const OPT: Rtype = Rtype(41);
    pub const DS: Rtype = Rtype(43);
    pub const RRSIG: Rtype = Rtype(46);
    pub const NSEC: Rtype = Rtype(47);
    pub const DNSKEY: Rtype = Rtype(48);
    pub const NSEC3: Rtype = Rtype(50);
    pub const TLSA: Rtype = Rtype(52);
    pub const CAA: Rtype = Rtype(257);

    /// The type as one that can be asked for.
    pub fn record_type(self) -> Option<RecordType> {
        RecordType::from_code(self.0)
    }
}

impl From<RecordType> for Rtype {
    fn from(record_type: RecordType) -> Rtype {
        Rtype(record_type.code())
    }
}

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.record_type()) {
            (_, Some(record_type)) => record_type.fmt(f),
            (Rtype::DNAME, _) => f.write_str("DNAME"),
            (Rtype::OPT, _) => f.write_str("OPT"),
            (Rtype::RRSIG, _) => f.write_str("RRSIG"),
            (Rtype::NSEC, _) => f.write_str("NSEC"),
            (Rtype::DNSKEY, _) => f.write_str("DNSKEY"),
            (Rtype::NSEC3, _) => f.write_str("NSEC3"),
            (Rtype(number), _) => write!(f, "TYPE{number}"),
        }
    }
}
