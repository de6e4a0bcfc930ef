//! The SMTP server: mail from other servers (role `smtp`) into accounts, and mail from our users (`submission`,
//! `submissions`) into the queue.
//!
//! [`Server`] serves connections from the listeners. What the protocol demands by itself is done by
//! `mailstead_smtp::server::Session`; here is what needs the world: who may send what to whom, the message on its way
//! into the store, replies with our reasons (all in `reply.rs`). [`AccountDelivery`] stores messages in accounts, for the
//! queue too.
//!
//! RFC 5321, 6409 (submission), 4954 (AUTH), 3207 (STARTTLS), 8314 (implicit TLS), 3848 and 8601 (what trace fields
//! say). Outgoing SMTP is in `queue`; what is thought of a sender goes into `analysis.rs`.
#![warn(missing_docs)]

mod analysis;
mod auth;
mod authentication;
mod connection;
mod delivery;
mod envelope;
mod inbound;
mod lines;
mod mark;
mod message;
mod metrics;
mod notice;
mod reception;
pub mod record;
mod reencode;
mod refusal;
mod reply;
mod rules;
mod sandbox;
mod sender_domain;
mod server;
mod settings;
mod signing;
mod submission;
pub mod why;
mod wire;

#[cfg(test)]
mod tests;

pub use analysis::{Evaluation, EvaluationSink};
pub use delivery::AccountDelivery;
pub use mark::Marks;
pub use metrics::Metrics;
pub use sandbox::Sandbox;
pub use server::{Server, Services};
pub use settings::{CleartextLogin, Endpoint, PlaintextDelivery, Security, Settings, Timeouts};
pub use signing::{Signing, SigningKeyError};

pub use mailstead_smtp::server::Role;
