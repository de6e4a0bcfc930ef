//! The data of records in their presentation forms, to and from the canonical form of the wire.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::words::{Entry, Word};
use super::{ZonefileError, ZonefileErrorKind};
use crate::message::canonical_data;
use crate::{Name, Record, Rtype};

/// The words of an entry that have not been read.
#[derive(Debug)]
pub(super) struct Fields<'e, 'a> {
    words: std::slice::Iter<'e, Word<'a>>,
    /// The line of the last word that was read.
    line: usize,
    origin: Option<&'e Name>,
}

impl<'e, 'a> Fields<'e, 'a> {
    pub(super) fn new(entry: &'e Entry<'a>, origin: Option<&'e Name>) -> Self {
        Fields { words: entry.words.iter(), line: entry.line, origin }
    }

    fn error(&self, kind: ZonefileErrorKind) -> ZonefileError {
        ZonefileError { line: self.line, kind }
    }

    pub(super) fn next(&mut self, what: &'static str) -> Result<&'e Word<'a>, ZonefileError> {
        let word = self.words.next().ok_or_else(|| self.error(ZonefileErrorKind::Missing(what)))?;
        self.line = word.line;
        Ok(word)
    }

    pub(super) fn end(&mut self) -> Result<(), ZonefileError> {
        match self.words.next() {
            None => Ok(()),
            Some(word) => Err(word.error(ZonefileErrorKind::Surplus(word.excerpt()))),
        }
    }

    /// An absolute name, or a relative one made whole by the origin.
    pub(super) fn name(&mut self, what: &'static str) -> Result<Name, ZonefileError> {
        let word = self.next(what)?;
        if word.quoted {
            return Err(word.error(ZonefileErrorKind::Name(word.excerpt())));
        }
        let origin = || self.origin.ok_or_else(|| word.error(ZonefileErrorKind::NoOrigin(word.excerpt())));
        if word.text == "@" {
            return origin().cloned();
        }
        if !word.text.is_ascii() {
            return Err(word.error(ZonefileErrorKind::NameNotAscii(word.excerpt())));
        }
        let wrong = || word.error(ZonefileErrorKind::Name(word.excerpt()));
        let name = Name::parse(word.text).ok_or_else(wrong)?;
        if is_absolute(word.text) {
            return Ok(name);
        }
        Name::from_labels(name.labels().chain(origin()?.labels())).ok_or_else(wrong)
    }

    fn number(&mut self, what: &'static str, most: u32) -> Result<u32, ZonefileError> {
        let word = self.next(what)?;
        let digits = !word.quoted && word.text.bytes().all(|octet| octet.is_ascii_digit());
        let number = digits.then(|| word.text.parse().ok()).flatten().filter(|number| *number <= most);
        number.ok_or_else(|| word.error(ZonefileErrorKind::Number { word: word.excerpt(), what, most }))
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, ZonefileError> {
        self.number(what, u8::MAX.into()).map(|number| number as u8)
    }

    fn u16(&mut self, what: &'static str) -> Result<[u8; 2], ZonefileError> {
        self.number(what, u16::MAX.into()).map(|number| (number as u16).to_be_bytes())
    }

    fn u32(&mut self, what: &'static str) -> Result<[u8; 4], ZonefileError> {
        self.number(what, u32::MAX).map(u32::to_be_bytes)
    }

    /// What is left, without the blanks between.
    fn rest(&mut self, what: &'static str) -> Result<String, ZonefileError> {
        let mut rest = self.next(what)?.text.to_owned();
        for word in self.words.by_ref() {
            self.line = word.line;
            rest.push_str(word.text);
        }
        Ok(rest)
    }

    fn hex(&mut self, what: &'static str) -> Result<Vec<u8>, ZonefileError> {
        let digits = self.rest(what)?;
        unhex(&digits).ok_or_else(|| self.error(ZonefileErrorKind::Hex(what)))
    }

    fn base64(&mut self, what: &'static str) -> Result<Vec<u8>, ZonefileError> {
        let text = self.rest(what)?;
        let octets = BASE64.decode(text).ok().filter(|octets| !octets.is_empty());
        octets.ok_or_else(|| self.error(ZonefileErrorKind::Base64(what)))
    }
}

/// Whether the name ends in a dot that is not escaped.
fn is_absolute(text: &str) -> bool {
    text.strip_suffix('.').is_some_and(|rest| {
        let backslashes = rest.bytes().rev().take_while(|octet| *octet == b'\\').count();
        backslashes % 2 == 0
    })
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |octet: u8| char::from(octet).to_digit(16).map(|digit| digit as u8);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| if let [high, low] = *pair { Some(digit(high)? << 4 | digit(low)?) } else { None }).collect()
}

/// The octets of a `<character-string>`, or of a word that may be longer than one.
fn unescape(word: &Word<'_>) -> Result<Vec<u8>, ZonefileError> {
    let mut string = Vec::with_capacity(word.text.len());
    let mut octets = word.text.bytes();
    let wrong = || word.error(ZonefileErrorKind::Escape);
    while let Some(octet) = octets.next() {
        string.push(match octet {
            b'\\' => match octets.next().ok_or_else(wrong)? {
                first if first.is_ascii_digit() => {
                    let digits =
                        [first, octets.next().ok_or_else(wrong)?, octets.next().ok_or_else(wrong)?].map(char::from);
                    let digits = digits.map(|digit| digit.to_digit(10));
                    let [Some(hundreds), Some(tens), Some(ones)] = digits else { return Err(wrong()) };
                    u8::try_from(hundreds * 100 + tens * 10 + ones).map_err(|_| wrong())?
                }
                other => other,
            },
            octet => octet,
        });
    }
    Ok(string)
}

/// Reads the data of a record.
pub(super) fn read(rtype: Rtype, fields: &mut Fields<'_, '_>) -> Result<Box<[u8]>, ZonefileError> {
    let is_generic = fields.words.clone().next().is_some_and(|word| word.text == "\\#" && !word.quoted);
    let data = if is_generic { generic(fields)? } else { typed(rtype, fields)? };
    fields.end()?;
    if data.len() > u16::MAX.into() {
        return Err(fields.error(ZonefileErrorKind::DataTooLong));
    }
    canonical_data(rtype, &data)
        .filter(|data| fits(rtype, data))
        .ok_or_else(|| fields.error(ZonefileErrorKind::Unfit(rtype)))
}

/// Whether data is what zone files can say in the form of its type.
fn fits(rtype: Rtype, data: &[u8]) -> bool {
    // RFC 4034 §2.2 and §5.3, RFC 6698 §2.2: keys and digests have no form for nothing.
    let most_fixed = match rtype {
        Rtype::DNSKEY | Rtype::DS => 4,
        Rtype::TLSA => 3,
        _ => return rtype.record_type().is_none_or(|record_type| Record::from_data(record_type, data).is_some()),
    };
    data.len() > most_fixed
}

/// RFC 3597 §5: `\# <length> <hex>`, where the hexadecimal digits may be in several words.
fn generic(fields: &mut Fields<'_, '_>) -> Result<Vec<u8>, ZonefileError> {
    fields.next("data")?;
    let stated = u16::from_be_bytes(fields.u16("length")?);
    let data = if stated == 0 { Vec::new() } else { fields.hex("data")? };
    if data.len() == usize::from(stated) {
        Ok(data)
    } else {
        Err(fields.error(ZonefileErrorKind::Length { stated, found: data.len() }))
    }
}

fn typed(rtype: Rtype, fields: &mut Fields<'_, '_>) -> Result<Vec<u8>, ZonefileError> {
    let mut data = Vec::new();
    match rtype {
        Rtype::A => data.extend(address::<Ipv4Addr>(rtype, fields)?.octets()),
        Rtype::AAAA => data.extend(address::<Ipv6Addr>(rtype, fields)?.octets()),
        Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME => {
            data.extend_from_slice(fields.name("name")?.as_wire());
        }
        Rtype::SOA => {
            data.extend_from_slice(fields.name("primary server")?.as_wire());
            data.extend_from_slice(fields.name("mailbox of the person responsible")?.as_wire());
            for what in ["serial", "refresh", "retry", "expire", "minimum"] {
                data.extend(fields.u32(what)?);
            }
        }
        Rtype::MX => {
            data.extend(fields.u16("preference")?);
            data.extend_from_slice(fields.name("exchange")?.as_wire());
        }
        Rtype::TXT => loop {
            let word = fields.next("string")?;
            let string = unescape(word)?;
            data.push(u8::try_from(string.len()).map_err(|_| word.error(ZonefileErrorKind::StringTooLong))?);
            data.extend(string);
            if fields.words.len() == 0 {
                break;
            }
        },
        Rtype::SRV => {
            for what in ["priority", "weight", "port"] {
                data.extend(fields.u16(what)?);
            }
            data.extend_from_slice(fields.name("target")?.as_wire());
        }
        Rtype::DS => {
            data.extend(fields.u16("key tag")?);
            data.extend([fields.u8("algorithm")?, fields.u8("digest type")?]);
            data.extend(fields.hex("digest")?);
        }
        Rtype::DNSKEY => {
            data.extend(fields.u16("flags")?);
            data.extend([fields.u8("protocol")?, fields.u8("algorithm")?]);
            data.extend(fields.base64("public key")?);
        }
        Rtype::TLSA => {
            data.extend([fields.u8("certificate usage")?, fields.u8("selector")?, fields.u8("matching type")?]);
            data.extend(fields.hex("certificate association data")?);
        }
        Rtype::CAA => {
            data.push(fields.u8("flags")?);
            let word = fields.next("property")?;
            let tag = word.text.as_bytes();
            let length = u8::try_from(tag.len()).ok();
            let length = length.filter(|length| *length > 0 && tag.iter().all(u8::is_ascii_alphanumeric));
            data.push(length.ok_or_else(|| word.error(ZonefileErrorKind::CaaTag(word.excerpt())))?);
            data.extend_from_slice(tag);
            data.extend(unescape(fields.next("value")?)?);
        }
        _ => return Err(fields.error(ZonefileErrorKind::GenericOnly(rtype))),
    }
    Ok(data)
}

fn address<A: std::str::FromStr>(rtype: Rtype, fields: &mut Fields<'_, '_>) -> Result<A, ZonefileError> {
    let word = fields.next("address")?;
    word.text.parse().map_err(|_| word.error(ZonefileErrorKind::Address { word: word.excerpt(), rtype }))
}

/// Writes data in the form of its type, where that says all of it, and otherwise in the generic one.
pub(super) fn write(f: &mut fmt::Formatter<'_>, rtype: Rtype, data: &[u8]) -> fmt::Result {
    if fits(rtype, data) {
        if let (Rtype::DNSKEY, &[high, low, protocol, algorithm, ref key @ ..]) = (rtype, data) {
            let flags = u16::from_be_bytes([high, low]);
            return write!(f, "{flags} {protocol} {algorithm} {}", BASE64.encode(key));
        }
        if let Some((name, _)) = Name::from_wire(data).filter(|_| rtype == Rtype::DNAME) {
            return write!(f, "{name}");
        }
        let record = rtype.record_type().and_then(|record_type| Record::from_data(record_type, data));
        // A CAA property in capitals is one whose form says less.
        if let Some(record) = record.filter(|record| record.to_data().as_deref() == Some(data)) {
            return write!(f, "{record}");
        }
    }
    write!(f, "\\# {}", data.len())?;
    if !data.is_empty() {
        f.write_str(" ")?;
    }
    data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}
