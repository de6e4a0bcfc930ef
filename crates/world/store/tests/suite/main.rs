//! The store through its public API, every test on each engine.
//!
//! PostgreSQL takes part when `MAILSTEAD_TEST_POSTGRES` names a server (`cargo xtask test` starts one); each
//! test has a database of its own there.

#![allow(
    clippy::redundant_closure_for_method_calls,
    reason = "the method itself is not general enough over Read's lifetime"
)]

mod check;
mod facts;
mod letters;
mod logins;
mod mailboxes;
mod messages;
mod model;
mod open;
mod passwords;
mod queue;
mod refused;
mod search;
mod sts_policies;
mod support;
mod threads;
mod tls_keys;
mod tls_results;
mod upgrade;
mod writer;
