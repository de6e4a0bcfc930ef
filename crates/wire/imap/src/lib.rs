//! IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501) on the wire, without I/O, clock or configuration.
//!
//! Four parts, usable each on its own:
//!
//! - [`command`] and [`parse`]: what a client may send, as values, and the parser that makes them;
//! - [`server::Session`]: frames a byte stream into those commands: literals, limits, APPEND data,
//!   AUTHENTICATE lines, IDLE;
//! - [`response`] and [`encode`]: what a server may answer, and the encoder for it;
//! - [`client`]: a strict parser of responses, for tests, tools and benchmarks.
//!
//! Extensions: LITERAL+ (RFC 7888), SASL-IR (4959), ENABLE (5161), ID (2971), IDLE (2177), NAMESPACE (2342),
//! UNSELECT (3691), UIDPLUS (4315), MOVE (6851), LIST-EXTENDED (5258), LIST-STATUS (5819), SPECIAL-USE and
//! CREATE-SPECIAL-USE (6154), STATUS=SIZE (8438), ESEARCH (4731), SEARCHRES (5182), BINARY (3516),
//! UTF8=ACCEPT (6855), CONDSTORE and QRESYNC (7162), APPENDLIMIT (7889).
//!
//! What the commands *do* (mailboxes, views, matching of search keys) is elsewhere: this crate knows syntax only.
#![warn(missing_docs)]

pub mod client;
pub mod command;
pub mod encode;
pub mod parse;
pub mod response;
pub mod server;

mod error;
mod flag;
mod mailbox;
mod sequence;
pub mod utf7;

pub use command::Command;
pub use encode::Encoder;
pub use error::Error;
pub use flag::Flag;
pub use mailbox::{MailboxName, NameEncoding};
pub use response::{Code, Response};
pub use sequence::{MessageSet, SequenceNumber, SequenceSet, UidSet};
