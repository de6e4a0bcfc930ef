//! Sender Policy Framework (RFC 7208): may this client use this domain?
//!
//! [`Query`] is the question, [`check_host`] asks the DNS, [`Verdict`] is the answer with its reasons. [`Record`] reads
//! and writes records without looking anything up. Internationalised senders are treated as RFC 8616 §4 wants it.
//! Received-SPF is in [`received_spf`](crate::received_spf); what to do with a result is the caller's to decide.

mod check;
mod error;
mod expand;
mod macros;
mod mechanism;
mod query;
mod record;
#[cfg(test)]
mod tests;
mod verdict;

pub use check::{MOST_EXCHANGERS, MOST_EXPLANATION, MOST_LOOKUP_TERMS, MOST_NAMES, MOST_VOID_LOOKUPS, check_host};
pub use error::{SyntaxError, SyntaxErrorKind};
pub use macros::{DomainSpec, MacroString};
pub use query::{Identity, Query};
pub use record::{Directive, Mechanism, PrefixLengths, Qualifier, Record};
pub use verdict::{Explanation, Matched, Problem, Reason, SpfResult, UnknownResult, Verdict};
