//! SMTP without I/O: commands, replies, extensions, message data, and the two ends of a session as state machines.
//!
//! Implements RFC 5321 with PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), STARTTLS (RFC 3207),
//! AUTH framing (RFC 4954), ENHANCEDSTATUSCODES (RFC 2034), SMTPUTF8 (RFC 6531), LIMITS (RFC 9422), DSN (RFC 3461, with
//! RFC 6533 §3) and REQUIRETLS (RFC 8689).
//!
//! - [`Command`] and [`Reply`] are the two grammars; [`Extensions`] is what a server announces.
//! - [`data`] frames message data: dot-stuffing, the strict end of data, and detection of smuggling attempts.
//! - [`server::Session`] and [`client::Session`] take octets in and give events and octets out. Neither knows a
//!   socket, a clock or a configuration.
//!
//! SASL mechanisms live in the `sasl` crate, message syntax in `message`; here an authentication exchange is only
//! framed, and message content only carried.
#![warn(missing_docs)]

pub mod client;
pub mod data;
pub mod server;
pub mod xtext;

mod command;
mod extension;
mod line;
mod notification;
mod parameter;
mod reply;

pub use command::{Command, CommandError, InitialResponse, Strictness, Verb};
pub use extension::{Extension, Extensions, Limits};
pub use notification::{Notify, Orcpt, Ret};
pub use parameter::{Body, Mail, Parameter, ParameterError, Rcpt};
pub use reply::{Reply, ReplyError, ReplyParser, Severity};
