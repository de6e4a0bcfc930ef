//! DNSSEC validation (RFC 4033 to RFC 4035, RFC 5155, RFC 6840) without I/O: messages and keys in, proofs and reasons
//! out.
//!
//! Nothing here asks a server, knows a clock or holds state: whoever resolves brings the messages, the time and the
//! cryptography.
#![warn(missing_docs)]

mod anchors;
mod crypto;
mod denial;
mod key;
mod reason;
pub mod rfc5011;
mod signature;
mod validate;
mod work;
mod zone;

pub use anchors::{Anchor, AnchorFault, Anchors, AnchorsError, Closest};
#[cfg(feature = "aws-lc-rs")]
pub use crypto::AwsLcRs;
pub use crypto::{Crypto, Verdict};
pub use denial::{MOST_ITERATIONS, Nsec3Parameters, nsec3_hash};
pub use key::{Dnskey, algorithm_name, digest_name};
pub use reason::{Bogus, Insecure, SignatureFault};
pub use signature::{CLOCK_GRACE, Signed};
pub use validate::{Content, Place, Proof, Scope, Step, Stop, Trust, Zones, validate};
pub use work::{Budget, MOST_DIGESTS, MOST_HASH_ROUNDS, MOST_SIGNATURES, TooMuchWork, Work};
pub use zone::{
    Delegation, KeySet, Voucher, Vouchers, ZoneKeys, check_ds, delegation, is_supported_algorithm, is_supported_digest,
    key_set, zone_keys,
};
