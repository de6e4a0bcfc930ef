//! Names in mail: domains, local parts, addresses, paths, EHLO names, enhanced status codes, fingerprints of keys, and
//! secrets.
//!
//! Values of these types are valid by construction and canonical: two spellings of one domain compare equal, a local
//! part is NFC and unquoted, and `Display` writes what belongs on the wire. Internationalised names (IDNA, RFC 6531)
//! are not a special case.
//!
//! Implements the address grammar of RFC 5321 §4.1.2 and §4.1.3 with the extensions of RFC 6531 §3.3, IDNA names by
//! UTS #46 (RFC 5890 and following), and the status codes of RFC 3463. Header address lists (RFC 5322 §3.4: comments,
//! folding, groups) are in `mailstead-message`; SMTP commands and their parameters in `mailstead-smtp`.
#![warn(missing_docs)]

mod address;
mod domain;
mod ehlo;
mod error;
mod fingerprint;
mod localpart;
pub mod parse;
mod path;
mod pattern;
mod secret;
mod status;

pub use address::{Address, Host};
pub use domain::Domain;
pub use ehlo::EhloName;
pub use error::{DomainError, Error, LocalpartError};
pub use fingerprint::KeyFingerprint;
pub use localpart::Localpart;
pub use path::{ForwardPath, ReversePath};
pub use pattern::DomainPattern;
pub use secret::Secret;
pub use status::{EnhancedStatus, StatusClass};
