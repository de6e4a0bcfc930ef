//! MTA-STS (RFC 8461): the TXT record that says that there is a policy, the policy, which hosts it names, and how long it
//! is kept.
//!
//! Looking the record up and fetching the policy is elsewhere.

mod cache;
mod policy;
mod record;

pub use cache::{Announced, Entry, Fate, FetchError, Missed, Step, consult, settle};
pub use policy::{MAX_POLICY, Mode, MxPattern, Policy, PolicyError};
pub use record::{Record, RecordError};

/// The label below which the record is (RFC 8461 §3.1).
pub const RECORD_LABEL: &str = "_mta-sts";
/// The label of the host that has the policy (§3.2).
pub const POLICY_LABEL: &str = "mta-sts";
/// The path of the policy there (§3.2).
pub const POLICY_PATH: &str = "/.well-known/mta-sts.txt";
