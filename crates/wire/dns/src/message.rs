//! DNS messages on the wire (RFC 1035 §4, RFC 6891 for EDNS): reading them as sets of records, and writing them.
//!
//! A message is read once, into sets of records in canonical form: names whole and in lower case where RFC 4034 §6.2
//! wants it, data ordered and without repetitions. That is what signatures are made over and what a cache keeps.

mod query;
mod rdata;
mod reader;
mod writer;

use std::collections::HashMap;

pub use query::{Query, QueryFlags, UDP_SIZE};
pub(crate) use rdata::canonical_data;

use crate::{ExtendedError, Name, Rtype};
use reader::Reader;

/// Why octets are not a DNS message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It ends before it is complete.
    #[error("the message is cut short")]
    Short,
    /// A name is too long, or its compression does not point backwards (RFC 1035 §4.1.4).
    #[error("a name in the message is malformed")]
    Name,
    /// The data of a record does not fit its type.
    #[error("the data of a record is malformed")]
    Data,
    /// There is not exactly one question.
    #[error("the message has not one question")]
    Question,
}

/// The question of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: Rtype,
}

/// The flags of a header (RFC 1035 §4.1.1, RFC 4035 §3.1.6 and §3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "bits of the header under the names of the RFCs")]
pub struct Flags {
    /// QR: this is a response.
    pub response: bool,
    /// AA: authoritative answer.
    pub authoritative: bool,
    /// TC: truncated.
    pub truncated: bool,
    /// RD: recursion desired.
    pub recursion_desired: bool,
    /// RA: recursion available.
    pub recursion_available: bool,
    /// AD: the server has validated all of it.
    pub authentic_data: bool,
    /// CD: the client wants no validation.
    pub checking_disabled: bool,
}

/// A response code, extended ones included (RFC 1035 §4.1.1, RFC 6891 §6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

#[expect(missing_docs, reason = "named as in the registry")]
impl Rcode {
    pub const NOERROR: Rcode = Rcode(0);
    pub const FORMERR: Rcode = Rcode(1);
    pub const SERVFAIL: Rcode = Rcode(2);
    pub const NXDOMAIN: Rcode = Rcode(3);
    pub const NOTIMP: Rcode = Rcode(4);
    pub const REFUSED: Rcode = Rcode(5);
    pub const YXDOMAIN: Rcode = Rcode(6);
    pub const BADVERS: Rcode = Rcode(16);
}

impl std::fmt::Display for Rcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            9 => "NOTAUTH",
            16 => "BADVERS",
            other => return write!(f, "RCODE{other}"),
        };
        f.write_str(name)
    }
}

/// What a message says by EDNS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edns {
    /// Octets that the sender takes over UDP.
    pub udp_size: u16,
    /// DO: the sender understands DNSSEC (RFC 3225).
    pub dnssec_ok: bool,
    /// Extended errors (RFC 8914).
    pub extended_errors: Vec<ExtendedError>,
}

/// A signature over a set of records (RFC 4034 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rrsig {
    /// The type of the records that it covers.
    pub type_covered: Rtype,
    /// Algorithm of the key.
    pub algorithm: u8,
    /// Labels of the owner without the root and without a wildcard's asterisk.
    pub labels: u8,
    /// TTL of the records in the zone.
    pub original_ttl: u32,
    /// End of validity: seconds since 1970 modulo 2^32.
    pub expiration: u32,
    /// Beginning of validity.
    pub inception: u32,
    /// Tag of the key.
    pub key_tag: u16,
    /// The zone.
    pub signer: Name,
    /// The signature itself.
    pub signature: Box<[u8]>,
}

impl Rrsig {
    /// Octets of the data before the signer's name.
    const FIXED: usize = 18;

    /// From the data of a record.
    pub fn from_data(data: &[u8]) -> Option<Rrsig> {
        let mut fixed = Reader::new(data.get(..Rrsig::FIXED)?);
        let (signer, length) = Name::from_wire(data.get(Rrsig::FIXED..)?)?;
        Some(Rrsig {
            type_covered: Rtype(fixed.u16().ok()?),
            algorithm: fixed.u8().ok()?,
            labels: fixed.u8().ok()?,
            original_ttl: fixed.u32().ok()?,
            expiration: fixed.u32().ok()?,
            inception: fixed.u32().ok()?,
            key_tag: fixed.u16().ok()?,
            signer,
            signature: data.get(Rrsig::FIXED + length..)?.into(),
        })
    }

    /// The data without the signature: the beginning of what is signed (RFC 4034 §3.1.8.1).
    pub fn signed_prefix(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(Rrsig::FIXED + self.signer.as_wire().len());
        data.extend(self.type_covered.0.to_be_bytes());
        data.extend([self.algorithm, self.labels]);
        data.extend(self.original_ttl.to_be_bytes());
        data.extend(self.expiration.to_be_bytes());
        data.extend(self.inception.to_be_bytes());
        data.extend(self.key_tag.to_be_bytes());
        data.extend_from_slice(self.signer.as_wire());
        data
    }

    /// The data of the record.
    pub fn to_data(&self) -> Vec<u8> {
        let mut data = self.signed_prefix();
        data.extend_from_slice(&self.signature);
        data
    }
}

/// The records of one owner and type, with the signatures over them. Signatures alone have no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrSet {
    /// Whose records.
    pub owner: Name,
    /// Their type.
    pub rtype: Rtype,
    /// The least of their TTLs, in seconds (RFC 2181 §5.2).
    pub ttl: u32,
    /// The data of the records: canonical, ordered, each once (RFC 4034 §6.2, §6.3).
    pub data: Vec<Box<[u8]>>,
    /// The signatures that came with them.
    pub signatures: Vec<Rrsig>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// ID
    pub id: u16,
    /// Flags.
    pub flags: Flags,
    /// Response code.
    pub rcode: Rcode,
    /// The question.
    pub question: Question,
    /// Answer section.
    pub answer: Vec<RrSet>,
    /// Authority section.
    pub authority: Vec<RrSet>,
    /// Additional section, without EDNS.
    pub additional: Vec<RrSet>,
    /// EDNS.
    pub edns: Option<Edns>,
}

impl Message {
    /// Reads a message with one question. Records of other classes than IN are left out, as is what follows a
    /// truncated message's last whole record.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(octets: &[u8]) -> Result<Message, MessageError> {
        let mut reader = Reader::new(octets);
        let id = reader.u16()?;
        let bits = reader.u16()?;
        let flags = Flags {
            response: bits & 0x8000 != 0,
            authoritative: bits & 0x0400 != 0,
            truncated: bits & 0x0200 != 0,
            recursion_desired: bits & 0x0100 != 0,
            recursion_available: bits & 0x0080 != 0,
            authentic_data: bits & 0x0020 != 0,
            checking_disabled: bits & 0x0010 != 0,
        };
        let questions = reader.u16()?;
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?];
        if questions != 1 {
            return Err(MessageError::Question);
        }
        let question = Question { name: reader.name()?, rtype: Rtype(reader.u16()?) };
        if reader.u16()? != CLASS_IN {
            return Err(MessageError::Question);
        }
        let mut message = Message {
            id,
            flags,
            rcode: Rcode(bits & 0x000f),
            question,
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            edns: None,
        };
        for (section, count) in counts.into_iter().enumerate() {
            let mut sets = Sets::default();
            for _ in 0..count {
                match reader.record() {
                    Ok(record) => message.take(record, &mut sets),
                    Err(MessageError::Short) if flags.truncated => break,
                    Err(error) => return Err(error),
                }
            }
            *match section {
                0 => &mut message.answer,
                1 => &mut message.authority,
                _ => &mut message.additional,
            } = sets.finish();
        }
        Ok(message)
    }

    fn take(&mut self, record: reader::RawRecord, sets: &mut Sets) {
        if record.rtype == Rtype::OPT {
            // RFC 6891 §6.1.3: the class is a size, the TTL has the upper bits of the response code, version and flags.
            let [high, _version, flags, _] = record.ttl.to_be_bytes();
            self.rcode = Rcode(self.rcode.0 & 0x000f | u16::from(high) << 4);
            self.edns = Some(Edns {
                udp_size: record.class,
                dnssec_ok: flags & 0x80 != 0,
                extended_errors: extended_errors(&record.data),
            });
        } else if record.class == CLASS_IN {
            sets.add(record);
        }
    }

    /// The set of this owner and type in a section.
    pub fn find<'a>(section: &'a [RrSet], owner: &Name, rtype: Rtype) -> Option<&'a RrSet> {
        section.iter().find(|set| set.rtype == rtype && set.owner == *owner && !set.data.is_empty())
    }

    /// What the server had to remark.
    pub fn extended_errors(&self) -> &[ExtendedError] {
        self.edns.as_ref().map_or(&[], |edns| &edns.extended_errors)
    }
}

const CLASS_IN: u16 = 1;

/// Records of a section on their way into sets.
#[derive(Default)]
struct Sets {
    sets: Vec<RrSet>,
    places: HashMap<(Name, Rtype), usize>,
}

impl Sets {
    fn add(&mut self, record: reader::RawRecord) {
        let signature = if record.rtype == Rtype::RRSIG {
            // One that cannot be read proves nothing.
            let Some(signature) = Rrsig::from_data(&record.data) else { return };
            Some(signature)
        } else {
            None
        };
        let rtype = signature.as_ref().map_or(record.rtype, |signature| signature.type_covered);
        // RFC 2181 §8: with the highest bit set it counts as zero.
        let ttl = if record.ttl > i32::MAX as u32 { 0 } else { record.ttl };
        let place = *self.places.entry((record.owner, rtype)).or_insert_with_key(|(owner, _)| {
            self.sets.push(RrSet { owner: owner.clone(), rtype, ttl, data: Vec::new(), signatures: Vec::new() });
            self.sets.len() - 1
        });
        let Some(set) = self.sets.get_mut(place) else { return };
        set.ttl = set.ttl.min(ttl);
        match signature {
            Some(signature) => set.signatures.push(signature),
            None => set.data.push(record.data),
        }
    }

    fn finish(mut self) -> Vec<RrSet> {
        for set in &mut self.sets {
            set.data.sort_unstable();
            set.data.dedup();
        }
        self.sets
    }
}

/// Option code of extended errors (RFC 8914 §2).
const OPTION_EDE: u16 = 15;
/// More of them in one message is noise.
const MOST_EXTENDED_ERRORS: usize = 8;
/// Longer texts are cut; in octets, replacements of what is no UTF-8 included.
const MOST_TEXT: usize = 512;

fn extended_errors(options: &[u8]) -> Vec<ExtendedError> {
    let mut reader = Reader::new(options);
    let mut errors = Vec::new();
    while errors.len() < MOST_EXTENDED_ERRORS {
        let (Ok(code), Ok(length)) = (reader.u16(), reader.u16()) else { break };
        let Ok(data) = reader.take(length.into()) else { break };
        if let (OPTION_EDE, Some((info, text))) = (code, data.split_first_chunk()) {
            let text = String::from_utf8_lossy(text.get(..MOST_TEXT).unwrap_or(text));
            let text = text.get(..text.floor_char_boundary(MOST_TEXT)).unwrap_or_default();
            // Some servers end it with NUL, which RFC 8914 §2 tells them not to.
            let text = text.trim_end_matches('\0').to_owned();
            errors.push(ExtendedError { code: u16::from_be_bytes(*info), text });
        }
    }
    errors
}

#[cfg(test)]
mod tests;
