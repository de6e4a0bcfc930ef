//! Questions to servers, and telling their answers from forgeries.

use super::{CLASS_IN, Message, MessageError, Question};

/// What we say we take over UDP: fits into one packet on every path (RFC 9715 §3.1).
pub const UDP_SIZE: u16 = 1232;

/// What is asked of the server besides the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "bits of the header under the names of the RFCs")]
pub struct QueryFlags {
    /// RD: ask others too.
    pub recursion_desired: bool,
    /// AD: say whether you have validated (RFC 6840 §5.7).
    pub authentic_data: bool,
    /// CD: do not hold back what you find bogus (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
    /// DO: send signatures and proofs too.
    pub dnssec_ok: bool,
    /// Leave out EDNS, for servers that cannot cope with it. Then there is no DO either.
    pub no_edns: bool,
}

/// A question ready to send.
#[derive(Debug, Clone)]
pub struct Query {
    octets: Vec<u8>,
    question_end: usize,
}

impl Query {
    /// A question. Each bit of `case` makes a letter of the name a capital, so that whoever answers without having seen
    /// the question has to guess them too ("0x20"); zero leaves the name as it is.
    pub fn new(id: u16, question: &Question, flags: QueryFlags, case: u64) -> Query {
        let mut octets = Vec::with_capacity(64);
        octets.extend(id.to_be_bytes());
        let bits = (u16::from(flags.recursion_desired) << 8)
            | (u16::from(flags.authentic_data) << 5)
            | (u16::from(flags.checking_disabled) << 4);
        octets.extend(bits.to_be_bytes());
        octets.extend([0, 1, 0, 0, 0, 0, 0, u8::from(!flags.no_edns)]);
        let mut case = case;
        for octet in question.name.as_wire() {
            // Length octets are never letters.
            if octet.is_ascii_lowercase() {
                octets.push(if case & 1 == 1 { octet.to_ascii_uppercase() } else { *octet });
                case = case.rotate_right(1);
            } else {
                octets.push(*octet);
            }
        }
        octets.extend(question.rtype.0.to_be_bytes());
        octets.extend(CLASS_IN.to_be_bytes());
        let question_end = octets.len();
        if !flags.no_edns {
            // RFC 6891 §6.1.2: root, OPT, size, extended code and version, flags, no options.
            octets.extend([0, 0, 41]);
            octets.extend(UDP_SIZE.to_be_bytes());
            octets.extend([0, 0, if flags.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        }
        Query { octets, question_end }
    }

    /// What to send.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Reads what came back. `None` when it does not answer this question: the id is another, or the question is not
    /// repeated to the letter. Keep waiting then, it may be a forgery.
    pub fn reply(&self, octets: &[u8]) -> Option<Result<Message, MessageError>> {
        let same = |range: std::ops::Range<usize>| octets.get(range.clone()) == self.octets.get(range);
        let is_response = octets.get(2).is_some_and(|bits| bits & 0xf8 == 0x80);
        (is_response && same(0..2) && same(4..6) && same(12..self.question_end)).then(|| Message::parse(octets))
    }

    /// Whether this is an answer to the question by a server that does not keep the case of letters.
    pub fn is_reply_in_other_case(&self, octets: &[u8]) -> bool {
        let alike = |range: std::ops::Range<usize>| match (octets.get(range.clone()), self.octets.get(range)) {
            (Some(theirs), Some(ours)) => theirs.eq_ignore_ascii_case(ours),
            _ => false,
        };
        octets.get(..2) == self.octets.get(..2)
            && octets.get(2).is_some_and(|bits| bits & 0xf8 == 0x80)
            && octets.get(4..6) == self.octets.get(4..6)
            && alike(12..self.question_end)
    }
}
