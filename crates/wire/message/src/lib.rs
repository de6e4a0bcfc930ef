//! Internet messages as bytes in and values out: header fields, MIME structure with exact offsets, decoded text,
//! composing, delivery status notifications, the downgrade of internationalised mail and the conversion of 8-bit mail.
//!
//! Implements RFC 5322, RFC 2045 to 2047, RFC 2183, RFC 2231, RFC 3464, RFC 5256 §2.1, RFC 6522, RFC 6532, RFC 6533 and
//! RFC 6857. Nothing here does I/O, keeps time or knows a mailbox; malformed input is an ordinary value, never an error
//! of the scanner. Transfer encodings and legacy charsets without a streaming decoder come from `mail-parser`.
#![warn(missing_docs)]

pub mod address;
pub mod charset;
pub mod compose;
pub mod date;
pub mod downgrade;
pub mod dsn;
pub mod envelope;
pub mod header;
pub mod id;
pub mod param;
pub mod seven_bit;
pub mod structure;
pub mod subject;
pub mod text;
pub mod thread;
pub mod trace;
pub mod word;

mod error;
mod lex;
#[cfg(test)]
mod tests;

pub use address::{AddressItem, Mailbox};
pub use envelope::Envelope;
pub use error::Error;
pub use header::{Field, Fields};
pub use structure::{Anomalies, ContentType, Disposition, Limits, Part, Scanner, Section, Shape, Structure};
