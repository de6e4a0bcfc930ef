//! Reading a message octet by octet.

use super::{MessageError, rdata};
use crate::{Name, Rtype};

/// Longest name on the wire.
const MAX_NAME: usize = 255;

/// A record as it stands in a message, its data in canonical form.
#[derive(Debug)]
pub(super) struct RawRecord {
    pub(super) owner: Name,
    pub(super) rtype: Rtype,
    pub(super) class: u16,
    pub(super) ttl: u32,
    pub(super) data: Box<[u8]>,
}

/// A place in a message.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Reader { octets, at: 0 }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], MessageError> {
        let end = self.at.checked_add(length).ok_or(MessageError::Short)?;
        let octets = self.octets.get(self.at..end).ok_or(MessageError::Short)?;
        self.at = end;
        Ok(octets)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        self.take(N)?.try_into().map_err(|_| MessageError::Short)
    }

    pub(super) fn u8(&mut self) -> Result<u8, MessageError> {
        self.array().map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self) -> Result<u16, MessageError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, MessageError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A name, which may be compressed.
    pub(super) fn name(&mut self) -> Result<Name, MessageError> {
        let mut wire = [0; MAX_NAME];
        let length = self.name_into(&mut wire)?;
        wire.get(..length).map(Name::from_checked).ok_or(MessageError::Name)
    }

    /// A name, as written, into a buffer. Says how long it is.
    pub(super) fn name_into(&mut self, wire: &mut [u8; MAX_NAME]) -> Result<usize, MessageError> {
        let mut length = 0;
        let mut at = self.at;
        // Where reading goes on afterwards: behind the first pointer, if there is one.
        let mut resume = None;
        // A pointer must point before everything that it is a part of, so that each one goes further back and the name
        // must end.
        let mut before = self.at;
        loop {
            let first = *self.octets.get(at).ok_or(MessageError::Short)?;
            match first {
                0 => {
                    *wire.get_mut(length).ok_or(MessageError::Name)? = 0;
                    self.at = resume.unwrap_or(at + 1);
                    return Ok(length + 1);
                }
                1..=63 => {
                    let end = at + 1 + usize::from(first);
                    let label = self.octets.get(at..end).ok_or(MessageError::Short)?;
                    wire.get_mut(length..length + label.len()).ok_or(MessageError::Name)?.copy_from_slice(label);
                    length += label.len();
                    at = end;
                }
                0xc0.. => {
                    let second = *self.octets.get(at + 1).ok_or(MessageError::Short)?;
                    resume = resume.or(Some(at + 2));
                    let target = usize::from(u16::from_be_bytes([first & 0x3f, second]));
                    if target >= before {
                        return Err(MessageError::Name);
                    }
                    (before, at) = (target, target);
                }
                _ => return Err(MessageError::Name),
            }
        }
    }

    pub(super) fn record(&mut self) -> Result<RawRecord, MessageError> {
        let owner = self.name()?;
        let rtype = Rtype(self.u16()?);
        let class = self.u16()?;
        let ttl = self.u32()?;
        let length = usize::from(self.u16()?);
        let start = self.at;
        self.take(length)?;
        let end = self.at;
        // The data may point back into the message, but not be read beyond its own end.
        let message = self.octets.get(..end).ok_or(MessageError::Short)?;
        let data = rdata::canonical(rtype, Reader { octets: message, at: start })?;
        Ok(RawRecord { owner, rtype, class, ttl, data })
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        self.at = self.octets.len();
        rest
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.octets.len()
    }
}
