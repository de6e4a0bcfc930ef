//! The Authenticated Received Chain (RFC 8617): verifying it.
//!
//! The result is for information: whoever forwards a message says with it what they found when it came in. Whether they
//! are to be believed is for the receiver to decide, by the domains that sealed (§7.2). All failures are permanent, failed
//! look-ups too (§5.2.1), and a chain that failed is as good as none.
//!
//! Like [`dkim`](crate::dkim), this works on a header in memory and hashes of a body that passed by; one
//! [`BodyHasher`](crate::dkim::BodyHasher) serves both.

mod chain;
mod set;
mod verify;

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;

pub use chain::{Chain, ChainStatus, FieldKind, Reason, Set};
pub use set::MOST_SETS;
pub use verify::{Verifier, verify};
