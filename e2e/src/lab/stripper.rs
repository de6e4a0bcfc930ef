//! Resolvers that do not pass DNSSEC on, as home routers and old forwarders are known to (RFC 8027 §1).

use super::proxy::{Course, Meddler, Via};
use super::wire::{Message, Type};

/// How a resolver fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stripper {
    /// Removes all records of DNSSEC, whatever was asked for, and AD.
    Everything,
    /// Removes signatures only.
    Signatures,
    /// Removes DS records only, so that each DS looks like one that does not exist.
    Ds,
    /// Knows no EDNS: the query goes on without it.
    Edns,
    /// Fails where a query says DO.
    Refusal,
}

impl Meddler for Stripper {
    fn query(&self, query: &mut Vec<u8>, _: Via) -> Course {
        let Some(mut message) = Message::read(query) else { return Course::Silence };
        match self {
            Self::Edns => {
                message.sections[2].retain(|record| record.rtype != Type::OPT);
                message.flags &= !(Message::AD | Message::CD);
                *query = message.octets();
            }
            Self::Refusal if message.opt().is_some_and(|opt| opt.ttl & 0x8000 > 0) => {
                message.flags |= Message::QR | 2;
                return Course::Answer(message.octets());
            }
            _ => {}
        }
        Course::Forward
    }

    fn response(&self, response: &mut Vec<u8>, query: &[u8], via: Via) {
        const RECORDS: &[Type] = &[Type::RRSIG, Type::NSEC, Type::NSEC3, Type::DS, Type::DNSKEY];
        let Some(mut message) = Message::read(response) else { return };
        message.flags &= !Message::AD;
        message = match self {
            Self::Everything => without(message, RECORDS),
            Self::Signatures => without(message, &[Type::RRSIG]),
            Self::Ds => without(message, &[Type::DS]),
            Self::Edns | Self::Refusal => message,
        };
        *response = message.octets();
        // The message is longer without compression.
        let room = Message::read(query).and_then(|query| query.opt().map(|opt| opt.class)).unwrap_or(512);
        if via == Via::Udp && response.len() > room.into() {
            message.flags |= Message::TC;
            message.sections.iter_mut().take(2).for_each(Vec::clear);
            *response = message.octets();
        }
    }
}

/// The message without records of these types and the signatures over them.
pub(super) fn without(mut message: Message, types: &[Type]) -> Message {
    for section in &mut message.sections {
        section.retain(|record| !types.contains(&record.rtype) && !types.contains(&record.covered()));
    }
    message
}
