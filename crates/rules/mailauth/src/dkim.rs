//! DomainKeys Identified Mail (RFC 6376 with RFC 8301, RFC 8463 and RFC 8616): verifying and signing.
//!
//! A message is a header, which is in memory, and a body, which need not be: [`BodyHasher`] takes it in pieces of any
//! size, and hashes it once for each canonicalization, however many signatures want it.
//!
//! - Verifying: [`Verifier::new`] reads the signatures of a header and tells a [`BodyHasher`] what they need; with the
//!   hashes, [`Verifier::verify`] looks the keys up, all at once, and gives a [`Verification`]. [`verify`] is all of that
//!   for a message in memory.
//! - Signing: a [`Signer`] for each selector, [`sign`] with all of them.
//! - Keys: [`KeyRecord`] reads and writes what is in the DNS, [`crypto`](crate::crypto) makes and reads private keys.
//!
//! Lines end in CRLF: a signature is of what is on the wire (§5.3). Lone CR and LF are ordinary octets of a body.

mod body;
mod canonical;
mod header;
mod key_record;
mod keys;
mod reason;
mod sign;
pub(crate) mod signature;
mod verify;

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;

pub use body::{BodyHash, BodyHasher, BodyHashes};
pub use canonical::Canonicalization;
pub use header::split_message;
pub use key_record::{Key, KeyRecord, KeyRecordError};
pub use reason::{Reason, Status};
pub use sign::{Coverage, SignError, Signer, sign};
pub use signature::{Algorithm, Identity, Selector, Signature};
pub use verify::{Acceptance, MOST_SIGNATURES, Outcome, Policy, Testing, Verification, Verifier, verify};

pub(crate) use header::HeaderIndex;
pub(crate) use keys::{FoundKeys, key_name, look_up};
pub(crate) use verify::{Signed, acceptable, check, header_digest, policy_reasons};
