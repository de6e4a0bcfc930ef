//! Writing messages, as servers do. Names are not compressed.

use super::{CLASS_IN, Message, RrSet};
use crate::Rtype;

/// Longest message.
const MAX_MESSAGE: usize = 65_535;

impl Message {
    /// The message on the wire; `None` when it is longer than messages can be. Each signature becomes a record behind
    /// those that it covers.
    pub fn to_octets(&self) -> Option<Vec<u8>> {
        let flags = self.flags;
        let bits = (u16::from(flags.response) << 15)
            | (u16::from(flags.authoritative) << 10)
            | (u16::from(flags.truncated) << 9)
            | (u16::from(flags.recursion_desired) << 8)
            | (u16::from(flags.recursion_available) << 7)
            | (u16::from(flags.authentic_data) << 5)
            | (u16::from(flags.checking_disabled) << 4)
            | (self.rcode.0 & 0x000f);
        let mut octets = Vec::with_capacity(512);
        octets.extend(self.id.to_be_bytes());
        octets.extend(bits.to_be_bytes());
        let count = |section: &[RrSet]| section.iter().map(|set| set.data.len() + set.signatures.len()).sum::<usize>();
        let additional = count(&self.additional) + usize::from(self.edns.is_some());
        for count in [1, count(&self.answer), count(&self.authority), additional] {
            octets.extend(u16::try_from(count).ok()?.to_be_bytes());
        }
        octets.extend_from_slice(self.question.name.as_wire());
        octets.extend(self.question.rtype.0.to_be_bytes());
        octets.extend(CLASS_IN.to_be_bytes());
        for set in self.answer.iter().chain(&self.authority).chain(&self.additional) {
            for data in &set.data {
                record(&mut octets, set, set.rtype, data)?;
            }
            for signature in &set.signatures {
                record(&mut octets, set, Rtype::RRSIG, &signature.to_data())?;
            }
        }
        if let Some(edns) = &self.edns {
            octets.extend([0, 0, 41]);
            octets.extend(edns.udp_size.to_be_bytes());
            octets.extend([(self.rcode.0 >> 4) as u8, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
            let mut options = Vec::new();
            for error in &edns.extended_errors {
                options.extend(super::OPTION_EDE.to_be_bytes());
                options.extend(u16::try_from(error.text.len() + 2).ok()?.to_be_bytes());
                options.extend(error.code.to_be_bytes());
                options.extend_from_slice(error.text.as_bytes());
            }
            octets.extend(u16::try_from(options.len()).ok()?.to_be_bytes());
            octets.extend(options);
        }
        (octets.len() <= MAX_MESSAGE).then_some(octets)
    }
}

fn record(octets: &mut Vec<u8>, set: &RrSet, rtype: Rtype, data: &[u8]) -> Option<()> {
    octets.extend_from_slice(set.owner.as_wire());
    octets.extend(rtype.0.to_be_bytes());
    octets.extend(CLASS_IN.to_be_bytes());
    octets.extend(set.ttl.to_be_bytes());
    octets.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
    octets.extend_from_slice(data);
    Some(())
}
