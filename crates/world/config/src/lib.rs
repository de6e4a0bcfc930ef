//! The configuration: one TOML file, read and validated as a whole, and the directory of addresses that
//! comes out of it.
//!
//! [`Config::parse`] reports every mistake at once, each with file, line, column and what to do about it.
//! [`Directory`] answers whose mail an address is and who may log in. [`ConfigWatch`] holds the present
//! configuration and swaps it after a reload. [`edit`] changes the file and keeps its comments. Nothing but
//! [`ConfigWatch`] and [`edit::write()`] touches the file system; passwords are in the store, not here.

#![warn(missing_docs)]

mod diagnostic;
mod directory;
mod dns;
pub mod edit;
mod error;
mod reader;
mod rules;
mod schema;
mod transport;
mod value;
mod watch;

pub use diagnostic::{Diagnostic, Diagnostics, Position};
pub use directory::{
    AccountEntry, AccountName, Destination, Directory, DomainRules, LocalpartCase, LoginState, Lookup, Match,
};
pub use dns::{Dns, DnsMode, PrivateServers};
pub use error::Error;
pub use rules::{DkimKey, Pattern, Rule, RuleKind};
pub use schema::{
    ClientCertificates, Config, Database, HostPort, Limits, Listener, Log, LogFormat, LogLevel, MissingAddress,
    PlaintextLogin, Queue, Role, Sandbox, Strictness, TlsFiles,
};
pub use transport::{AddressFamily, Fail, HopSecurity, Login, NextHop, Route, Routing, Socks, Transport};
pub use value::Network;
pub use watch::{ConfigWatch, Reload};
