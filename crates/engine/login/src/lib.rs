//! Logging in, for every protocol: who is it, may they, and who is guessing.
//!
//! [`Login`] is shared by all servers; an [`Authenticator`] belongs to one connection and takes it from the name of a
//! mechanism to a [`User`] or a [`Refusal`]. It runs the exchanges of `mailstead-sasl` against the directory and the
//! store, counts failures against the limits shared over all protocols, slows guessers down, records each attempt, and
//! never tells an unknown user from a wrong password.
//!
//! Reply codes and response lines are each protocol's own. Why this is a crate of its own:
//! docs/decisions/0002-login-room.md.
#![warn(missing_docs)]

mod attempt;
mod authenticator;
mod cache;
mod login;
mod metrics;
mod refusal;
#[cfg(test)]
mod tests;

pub use authenticator::{Authenticator, Peer, Step};
pub use login::{Login, Settings, User};
pub use mailstead_config::PlaintextLogin;
pub use metrics::Metrics;
pub use refusal::Refusal;
