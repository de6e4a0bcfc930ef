//! DMARC: whether the domain in From stands behind a message, and what its owner wants done otherwise.
//!
//! Implements RFC 9989, with the authorization of report receivers (RFC 9990 §4). Records of RFC 7489 are read; what
//! only they had (`pct`, `rf`, `ri`, size limits of URIs) is kept to be shown and has no effect. Writing, sending and
//! reading of reports is elsewhere.
//!
//! [`evaluate`] does all of it for a message:
//!
//! ```
//! # use mailstead_dns::{Record as DnsRecord, Txt};
//! # use mailstead_testkit::Zones;
//! use mailstead_mailauth::dmarc::{self, Identifier, Mechanism, Outcome, Policy, Status};
//! use mailstead_names::Domain;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let txt = Txt::from("v=DMARC1; p=reject");
//! # let resolver = Zones::new().with("_dmarc.example.com", DnsRecord::Txt(txt));
//! // `resolver` knows: _dmarc.example.com. TXT "v=DMARC1; p=reject"
//! let domain = |name| Domain::parse(name).unwrap();
//! let signature =
//!     Identifier { mechanism: Mechanism::Dkim, domain: domain("news.example.com"), outcome: Outcome::Pass };
//! let result = dmarc::evaluate(&resolver, &[domain("example.com")], &[signature]).await;
//! assert_eq!(result.status, Status::Pass);
//!
//! let result = dmarc::evaluate(&resolver, &[domain("example.com")], &[]).await;
//! assert_eq!((result.status, result.disposition), (Status::Fail, Policy::Reject));
//! # }
//! ```

mod author;
mod destination;
mod evaluate;
mod identifier;
mod record;
mod result;
mod uri;
mod walk;

pub use author::author_domains;
pub use destination::{Destination, DestinationResult, Refusal, verify_destination};
pub use evaluate::{MOST_AUTHORS, MOST_COMPARED, evaluate};
pub use identifier::identifiers;
pub use record::{AlignmentMode, FailureOption, Historic, Policy, Psd, Record, RecordProblem, Tag};
pub use result::{
    Aligned, Alignment, AppliedPolicy, DmarcResult, Identifier, Mechanism, Outcome, PolicyTag, Reason, Status,
};
pub use uri::{ReportUri, UriError};
pub use walk::{MOST_QUERIES, PolicySource, PublishedRecord, TreeWalk, walk, walk_names};
