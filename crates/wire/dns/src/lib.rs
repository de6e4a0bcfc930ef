//! What mail asks of the DNS: record types, answers that say how far they can be trusted, and the [`Resolver`] trait.
//!
//! Three rules shape these types. An answer carries its [`Authenticity`], because DANE and REQUIRETLS stand or fall with
//! it. Absence (no such name, no such records) is an answer, with its own authenticity; not knowing is a
//! [`LookupError`]. Aliases are followed by the look-up itself and every hop is told, so nobody asks twice.
//!
//! Record data: RFC 1035, 3596 (AAAA), 2782 (SRV), 8659 (CAA), 6698 (TLSA), 4034 (DS). Extended errors: RFC 8914.
//! Below them lie messages as they are on the wire ([`Message`], [`Query`], [`Name`]), for those who resolve, and records
//! as text ([`zonefile`]). Sending queries and caching are `mailstead-net`'s, validating is `mailstead-dnssec`'s.
#![warn(missing_docs)]

mod answer;
mod error;
mod extended;
mod message;
mod name;
mod record;
mod resolver;
mod rtype;
pub mod zonefile;

pub use answer::{Answer, Authenticity, Existence, Hop, HopKind};
pub use error::{LookupError, LookupErrorKind};
pub use extended::{ExtendedError, ExtendedErrorClass};
pub use message::{Edns, Flags, Message, MessageError, Query, QueryFlags, Question, Rcode, RrSet, Rrsig, UDP_SIZE};
pub use name::{Labels, Name};
pub use record::{Caa, Ds, Mx, Record, RecordData, RecordType, Soa, Srv, Target, Tlsa, Txt};
pub use resolver::{Lookup, Resolver, reverse_name};
pub use rtype::Rtype;
