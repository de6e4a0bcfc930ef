//! Transport security of mail in one room: which connections may carry a message is a value computed before delivery and a
//! verdict computed after each connection.
//!
//! [`plan`](plan::plan) turns what is known of a destination, one of its hosts and the demand of a message into ordered
//! attempts; [`judge`](judge::judge) says what follows from the outcome of one. Both are pure. DANE for SMTP (RFC 7672,
//! RFC 7671, RFC 6698) is in [`tlsa`], MTA-STS (RFC 8461) in [`sts`], certificates are verified in [`verify`], and what is
//! told to whom about it (RFC 8460) is in [`report`]. Look-ups, connections, clocks and stores are elsewhere.
#![warn(missing_docs)]

pub mod facts;
pub mod judge;
pub mod plan;
pub mod reasons;
pub mod report;
pub mod sts;
pub mod tlsa;
pub mod verify;

#[cfg(test)]
mod tests;
