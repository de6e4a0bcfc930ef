//! Doubles and fixtures for the tests of every other crate. Only ever a dev-dependency, so that nothing
//! here can be reached from a release build.
//!
//! Always there: [`ManualClock`], [`PausedClock`], [`SeededRandom`]. Feature `net`: certificates, a dialer
//! that stays in memory, scripted SMTP peers, zones for the resolver and
//! over UDP. Feature `store`: a store in a
//! directory that disappears with the test. Feature `dnssec`: a signed world of zones, and attackers on it.

#![warn(missing_docs)]

mod clock;
mod random;

pub use clock::{ManualClock, PausedClock, START};
pub use random::SeededRandom;

#[cfg(feature = "net")]
mod name_server;
#[cfg(feature = "net")]
mod net;
#[cfg(feature = "net")]
mod peer;
#[cfg(feature = "dnssec")]
mod signed;
#[cfg(feature = "store")]
mod store;
#[cfg(feature = "net")]
mod zones;

#[cfg(feature = "net")]
pub use name_server::NameServer;
#[cfg(feature = "net")]
pub use net::{CLIENT, Certificates, MemoryDialer, SERVER, duplex, duplex_from};
#[cfg(feature = "net")]
pub use peer::ScriptedPeer;
#[cfg(feature = "dnssec")]
pub use signed::{
    Adversary, AliasTruth, Denial, End, Flaw, KeyLayout, Security, SignedWorld, SignedWorldBuilder, Tamper, Truth,
    Vouching, Window, ZonePlan,
};
#[cfg(feature = "store")]
pub use store::TempStore;
#[cfg(feature = "net")]
pub use zones::Zones;
