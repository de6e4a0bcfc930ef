//! The IMAP server: sessions over the store.
//!
//! IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501) with the extensions that `capability` announces. Syntax, framing and
//! encoding are in `mailstead-imap`, storage in `mailstead-store`, credentials in `mailstead-login`. This crate has
//! what lies between them: the state of a session, the view of its selected mailbox, and one file for each family of
//! commands.
//!
//! ```text
//! connection   greeting, TLS, the loop over what the client sends     wire   octets, deadlines, back-pressure
//! session      state, which command is allowed when, its handler      reply  every status response
//! view         the selected mailbox as the client knows it (pure)     sync   keeping it and the client up to date
//! auth  mailbox  list  select  append  fetch  store  copy_move  search  idle     the commands
//! ```

mod append;
mod auth;
mod capability;
mod connection;
mod copy_move;
mod fetch;
mod idle;
mod list;
mod mailbox;
mod metrics;
mod reply;
mod search;
mod select;
mod server;
mod session;
mod settings;
mod store;
mod sync;
#[cfg(test)]
mod tests;
mod view;
mod wire;

pub use metrics::Metrics;
pub use server::Server;
pub use settings::{Endpoint, Security, Settings};
