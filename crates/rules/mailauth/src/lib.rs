//! Email authentication: who sent a message, and how far that can be trusted.
//!
//! SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989), ARC (RFC 8617), iprev (RFC 8601 §3) and DNS lists (RFC 5782), each
//! a function from facts to a result. A result carries its reasons, whether DNSSEC proved everything that it rests on,
//! and the evidence: what was asked of the DNS and what was answered. Names are looked up through
//! [`Resolver`](mailstead_dns::Resolver); deadlines are its business, and there is no clock here but the time that the
//! caller passes in.
#![warn(missing_docs)]

pub mod arc;
pub mod crypto;
pub mod dkim;
pub mod dmarc;
pub mod dnsbl;
mod evidence;
pub mod iprev;
mod join;
pub mod psl;
pub mod received_spf;
pub mod results;
pub mod spf;
pub mod taglist;

pub use evidence::{Answered, Consulted, Evidence};
