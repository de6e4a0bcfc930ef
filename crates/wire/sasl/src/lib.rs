//! SASL (RFC 4422) without I/O, clock or randomness: bytes and verdicts in, bytes and questions out.
//!
//! [`server::Exchange`] and [`client::Exchange`] each run one authentication exchange, step by step, on decoded octets:
//! base64, the `=` and `*` conventions and reply codes belong to the protocol (RFC 4954 for SMTP, RFC 9051 for IMAP).
//! The server side never sees an account database: it asks its caller a [`server::Query`] and goes on with the
//! [`server::Answer`].
//!
//! | mechanism | RFC |
//! |---|---|
//! | PLAIN | 4616 |
//! | LOGIN | none; a draft and custom |
//! | CRAM-MD5 | 2195 |
//! | SCRAM-SHA-1, SCRAM-SHA-1-PLUS | 5802 |
//! | SCRAM-SHA-256, SCRAM-SHA-256-PLUS | 7677 |
//! | EXTERNAL | 4422 appendix A |
//! | OAUTHBEARER | 7628 |
//!
//! Channel binding is `tls-exporter` (RFC 9266) only: `tls-unique` is not defined for TLS 1.3 and unsafe without the
//! extended master secret before it.
#![warn(missing_docs)]

mod channel;
pub mod client;
mod cram_md5;
mod error;
mod mechanism;
mod nonce;
mod oauth;
mod plain;
pub mod prepare;
mod scram;
pub mod server;

pub use channel::{ChannelBinding, PlusOffered};
pub use cram_md5::CramMd5Secret;
pub use error::Error;
pub use mechanism::Mechanism;
pub use nonce::Nonce;
pub use scram::{SALT_LEN, ScramHash, ScramVerifier};
