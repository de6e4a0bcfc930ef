//! The binary as a black box: starting it, talking to it as plain clients do, and running other people's programs.
//!
//! Each test has a server of its own, in a directory of its own, on ports that the system chose, so that tests run in
//! parallel. Nothing here knows the inside of Mailstead.

mod configured;
mod imap;
pub mod lab;
mod program;
pub mod receivers;
pub mod rspamd;
mod server;
mod smtp;

pub use configured::Configured;
pub use imap::Imap;
pub use program::{Ran, peak_memory, python, run, run_with_input};
pub use server::{PASSWORD, Server, USER, binary, bounded, free_port, lasting_port, moment};
pub use smtp::Smtp;
