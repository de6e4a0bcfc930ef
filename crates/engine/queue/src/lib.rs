//! The outgoing queue: what was submitted is kept in durable rows until every recipient is delivered to a local account
//! or accepted by another server, or its sender is told why not.
//!
//! [`Queue::enqueue`] stores a message for all its recipients in one transaction; [`Queue::run`] claims what is due,
//! counting each attempt before it is made, delivers, and settles the outcome together with the notice about it
//! (RFC 3464). When to try again is [`schedule`], whether a connection may carry a message is decided by
//! [`mailstead_tlspolicy`], how mail gets into an account is the [`LocalDelivery`] that the application provides.
//!
//! Implements the client's part of RFC 5321 §4.5.4. Message syntax, SMTP and SASL are in the wire crates, rows in the
//! store.
#![warn(missing_docs)]

pub mod explain;
pub mod facts;
pub mod schedule;

mod connection;
mod courier;
mod demand;
mod error;
mod form;
mod host_slots;
mod local;
mod metrics;
mod notice;
mod notification;
mod operator;
mod outcome;
mod queue;
mod remote;
mod results;
mod route;
mod settings;
mod slots;
mod sts_cache;
mod sts_fetch;
mod transaction;
mod worker;

#[cfg(test)]
mod tests;

pub use demand::{Demand, MessageClass, Plaintext, TlsRequirement};
pub use error::Error;
pub use local::{LocalDelivery, LocalMessage, LocalRecipient};
pub use mailstead_store::Order;
pub use mailstead_tlspolicy::facts::RouteSecurity;
pub use metrics::Metrics;
pub use notification::{EnvelopeRecipient, Notification, original_recipient};
pub use operator::filter::{AddressPattern, Filter, Span, duration};
pub use operator::{Deed, Handled, Outstanding, Search};
pub use outcome::{AttemptRecord, Failure, Permanence, Remote, attempts};
pub use queue::{Envelope, Queue, Services};
pub use results::{NoTlsResults, TlsResultSink, TlsResults, TlsSession};
pub use route::{Direct, Families, NextHop, Passage, ProxyPassage, Route, Routes, Transport, TransportKind};
pub use settings::{InsecureMx, OutgoingTls, Settings};
pub use sts_cache::{CachedPolicy, StsCache};
pub use sts_fetch::PolicyFetcher;
