//! The data of records: canonical form by type, and the typed forms of [`Record`].

use std::net::{Ipv4Addr, Ipv6Addr};

use super::MessageError;
use super::reader::Reader;
use crate::{Caa, Ds, Mx, Name, Record, RecordType, Rtype, Soa, Srv, Tlsa, Txt};

/// A part of the data of a record.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// This many octets.
    Octets(usize),
    /// A name; in lower case in the canonical form.
    Name,
    /// A name that keeps its case (RFC 6840 §5.1).
    NameAsIs,
    /// A `<character-string>`.
    String,
    /// Whatever is left.
    Rest,
}

/// The types that have names in their data and where, after RFC 4034 §6.2 with the corrections of RFC 6840 §5.1.
/// Everything else is opaque (RFC 3597 §4).
fn layout(rtype: Rtype) -> &'static [Part] {
    use Part::{Name, NameAsIs, Octets, Rest, String};
    match rtype.0 {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => &[Name],
        // SOA
        6 => &[Name, Name, Octets(20)],
        // MINFO, RP
        14 | 17 => &[Name, Name],
        // MX, AFSDB, RT, KX
        15 | 18 | 21 | 36 => &[Octets(2), Name],
        // SIG, RRSIG
        24 | 46 => &[Octets(18), Name, Rest],
        // PX
        26 => &[Octets(2), Name, Name],
        // SRV
        33 => &[Octets(6), Name],
        // NAPTR
        35 => &[Octets(4), String, String, String, Name],
        // NSEC
        47 => &[NameAsIs, Rest],
        _ => &[Rest],
    }
}

/// The canonical form of data that may be compressed. The reader ends where the data ends.
pub(super) fn canonical(rtype: Rtype, mut reader: Reader<'_>) -> Result<Box<[u8]>, MessageError> {
    let parts = layout(rtype);
    if let [Part::Rest] = parts {
        return Ok(reader.rest().into());
    }
    // Nothing is compressed in an update that empties a set, but its data is empty too; answers never have that.
    let mut data = Vec::with_capacity(64);
    // Running out of octets here means that the data is wrong, not that the message is cut.
    let wrong = |error| if error == MessageError::Short { MessageError::Data } else { error };
    for part in parts {
        match part {
            Part::Octets(count) => data.extend_from_slice(reader.take(*count).map_err(wrong)?),
            Part::Name => data.extend_from_slice(reader.name().map_err(wrong)?.as_wire()),
            Part::NameAsIs => {
                let mut wire = [0; 255];
                let length = reader.name_into(&mut wire).map_err(wrong)?;
                data.extend_from_slice(wire.get(..length).ok_or(MessageError::Data)?);
            }
            Part::String => {
                let length = reader.u8().map_err(wrong)?;
                data.push(length);
                data.extend_from_slice(reader.take(length.into()).map_err(wrong)?);
            }
            Part::Rest => data.extend_from_slice(reader.rest()),
        }
    }
    if reader.is_at_end() { Ok(data.into()) } else { Err(MessageError::Data) }
}

/// The canonical form of data that stands by itself; `None` when it does not fit its type. Its names must be whole,
/// because there is no message that they could point into (RFC 3597 §4).
pub(crate) fn canonical_data(rtype: Rtype, data: &[u8]) -> Option<Box<[u8]>> {
    // A pointer is no length of a label, so that names which were compressed differ from what they stand for.
    canonical(rtype, Reader::new(data)).ok().filter(|canonical| canonical.eq_ignore_ascii_case(data))
}

impl Record {
    /// From the data of a record that is not compressed; `None` when it does not fit the type.
    pub fn from_data(record_type: RecordType, data: &[u8]) -> Option<Record> {
        let mut reader = Reader::new(data);
        let mut target = || Some(reader.name().ok()?.to_target());
        let record = match record_type {
            RecordType::A => Record::A(Ipv4Addr::from(<[u8; 4]>::try_from(reader.rest()).ok()?)),
            RecordType::Aaaa => Record::Aaaa(Ipv6Addr::from(<[u8; 16]>::try_from(reader.rest()).ok()?)),
            RecordType::Ns => Record::Ns(target()?),
            RecordType::Cname => Record::Cname(target()?),
            RecordType::Ptr => Record::Ptr(target()?),
            RecordType::Soa => {
                let (mname, rname) = (target()?, target()?);
                let mut number = || reader.u32().ok();
                Record::Soa(Soa {
                    mname,
                    rname,
                    serial: number()?,
                    refresh: number()?,
                    retry: number()?,
                    expire: number()?,
                    minimum: number()?,
                })
            }
            RecordType::Mx => {
                Record::Mx(Mx { preference: reader.u16().ok()?, exchange: reader.name().ok()?.to_target() })
            }
            RecordType::Txt => Record::Txt(Txt { strings: strings(&mut reader)? }),
            RecordType::Srv => Record::Srv(Srv {
                priority: reader.u16().ok()?,
                weight: reader.u16().ok()?,
                port: reader.u16().ok()?,
                target: reader.name().ok()?.to_target(),
            }),
            RecordType::Ds => Record::Ds(Ds {
                key_tag: reader.u16().ok()?,
                algorithm: reader.u8().ok()?,
                digest_type: reader.u8().ok()?,
                digest: reader.rest().to_vec(),
            }),
            RecordType::Tlsa => Record::Tlsa(Tlsa {
                usage: reader.u8().ok()?,
                selector: reader.u8().ok()?,
                matching_type: reader.u8().ok()?,
                data: reader.rest().to_vec(),
            }),
            RecordType::Caa => {
                let flags = reader.u8().ok()?;
                let length = reader.u8().ok()?;
                let tag = std::str::from_utf8(reader.take(length.into()).ok()?).ok()?;
                // RFC 8659 §4.1: one or more ASCII letters and digits.
                if tag.is_empty() || !tag.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
                    return None;
                }
                Record::Caa(Caa { flags, tag: tag.to_ascii_lowercase(), value: reader.rest().to_vec() })
            }
        };
        reader.is_at_end().then_some(record)
    }

    /// The data of the record on the wire; `None` where a name in it is not one.
    pub fn to_data(&self) -> Option<Vec<u8>> {
        let mut data = Vec::new();
        match self {
            Record::A(address) => data.extend(address.octets()),
            Record::Aaaa(address) => data.extend(address.octets()),
            Record::Ns(target) | Record::Cname(target) | Record::Ptr(target) => {
                data.extend_from_slice(Name::try_from(target).ok()?.as_wire());
            }
            Record::Soa(soa) => {
                data.extend_from_slice(Name::try_from(&soa.mname).ok()?.as_wire());
                data.extend_from_slice(Name::try_from(&soa.rname).ok()?.as_wire());
                for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
                    data.extend(number.to_be_bytes());
                }
            }
            Record::Mx(mx) => {
                data.extend(mx.preference.to_be_bytes());
                data.extend_from_slice(Name::try_from(&mx.exchange).ok()?.as_wire());
            }
            Record::Txt(txt) => {
                for string in &txt.strings {
                    data.push(u8::try_from(string.len()).ok()?);
                    data.extend_from_slice(string);
                }
            }
            Record::Srv(srv) => {
                data.extend([srv.priority, srv.weight, srv.port].map(u16::to_be_bytes).as_flattened());
                data.extend_from_slice(Name::try_from(&srv.target).ok()?.as_wire());
            }
            Record::Ds(ds) => {
                data.extend(ds.key_tag.to_be_bytes());
                data.extend([ds.algorithm, ds.digest_type]);
                data.extend_from_slice(&ds.digest);
            }
            Record::Tlsa(tlsa) => {
                data.extend([tlsa.usage, tlsa.selector, tlsa.matching_type]);
                data.extend_from_slice(&tlsa.data);
            }
            Record::Caa(caa) => {
                data.extend([caa.flags, u8::try_from(caa.tag.len()).ok()?]);
                data.extend_from_slice(caa.tag.as_bytes());
                data.extend_from_slice(&caa.value);
            }
        }
        Some(data)
    }
}

/// One or more `<character-string>`s.
fn strings(reader: &mut Reader<'_>) -> Option<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    while strings.is_empty() || !reader.is_at_end() {
        let length = reader.u8().ok()?;
        strings.push(reader.take(length.into()).ok()?.to_vec());
    }
    Some(strings)
}
