//! A message with 8-bit bodies in the form that servers without 8BITMIME take (RFC 6152 §3): leaf parts become
//! quoted-printable or base64, and what they decode to stays the same, octet for octet.
//!
//! [`Planner`] looks at the octets of the message once, in pieces, and finds out what is to be changed; [`SevenBit`] is
//! that plan, with the size of the result. Who carries it out reads the original piece by piece: memory is needed for
//! the plan and one header, not for the message.
//!
//! The message must not be changed where a part is protected by multipart/signed or multipart/encrypted (RFC 1847 §2.1),
//! where its structure may be read in more than one way, and where its header fields are internationalised: no encoding
//! makes those ASCII without loss (`downgrade` shows what is lost). These are [`Obstacle`]s.
//!
//! A DKIM signature over the body does not hold for the result, since it is made over what is transferred (RFC 6376
//! §3.7). Nobody but the signer can help that; to return the message instead would help even less.

use std::ops::Range;

use crate::text::{Base64, QuotedPrintable};

mod planner;
#[cfg(test)]
mod tests;

pub use planner::Planner;

/// Why a message cannot be converted to 7 bits without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// A header field, of the message or inside, is not ASCII (RFC 6532).
    #[error("header fields are internationalised")]
    InternationalHeader,
    /// Octets above 127 are inside multipart/signed or multipart/encrypted, which must not be changed (RFC 1847 §2.1).
    #[error("8-bit content is signed or encrypted")]
    Protected,
    /// Octets above 127 are where no encoding can be declared, or the MIME structure is not one that everybody reads in
    /// the same way.
    #[error("8-bit content has no readable MIME structure")]
    Structure,
}

/// How to make a message of 7 bits from one of 8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SevenBit {
    pieces: Vec<Piece>,
    size: u64,
}

/// A piece of the converted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Octets of the original.
    Original(Range<u64>),
    /// Octets of the original, encoded by themselves.
    Encoded(Range<u64>, Encoding),
    /// Header fields that are not in the original.
    Inserted(&'static str),
}

impl SevenBit {
    /// Size of the converted message in octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the converted message consists of, in its order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether the message is in 7 bits already, so that nothing changes.
    #[must_use]
    pub fn is_original(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Original(_)))
    }
}

/// What the body of a part is encoded to (RFC 2045 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// For text.
    QuotedPrintable,
    /// For anything else.
    Base64,
}

impl Encoding {
    /// The header field that declares it.
    fn field(self) -> &'static str {
        match self {
            Encoding::QuotedPrintable => "Content-Transfer-Encoding: quoted-printable\r\n",
            Encoding::Base64 => "Content-Transfer-Encoding: base64\r\n",
        }
    }

    /// An encoder for one [`Piece::Encoded`].
    #[must_use]
    pub fn encoder(self) -> Encoder {
        match self {
            Encoding::QuotedPrintable => Encoder::QuotedPrintable(QuotedPrintable::default()),
            Encoding::Base64 => Encoder::Base64(Base64::default()),
        }
    }
}

/// Encodes octets in pieces of any size.
#[derive(Debug)]
pub enum Encoder {
    /// RFC 2045 §6.7.
    QuotedPrintable(QuotedPrintable),
    /// RFC 2045 §6.8.
    Base64(Base64),
}

impl Encoder {
    /// Takes a piece; appends what can be told of it.
    pub fn update(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoder::QuotedPrintable(encoder) => encoder.update(piece, out),
            Encoder::Base64(encoder) => encoder.update(piece, out),
        }
    }

    /// Appends what was held back.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self {
            Encoder::QuotedPrintable(encoder) => encoder.finish(out),
            Encoder::Base64(encoder) => encoder.finish(out),
        }
    }
}
