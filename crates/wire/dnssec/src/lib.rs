//! DNSSEC validation (RFC 4033 to RFC 4035, RFC 5155, RFC 6840) without I/O: messages and keys in, proofs and reasons
//! out.
//!
//! Nothing here asks a server, knows a clock or holds state: whoever resolves brings the messages, the time and the
//! cryptography.
#![warn(missing_docs)]

mod crypto;
mod key;

#[cfg(feature = "aws-lc-rs")]
pub use crypto::AwsLcRs;
pub use crypto::{Crypto, Verdict};
pub use key::{Dnskey, algorithm_name, digest_name};
