//! Everything that touches the network: listeners with per-network limits, streams that carry their
//! deadlines through STARTTLS, TLS configurations and certificates, dialers, SOCKS among them, the resolver, and small documents
//! over HTTPS.
//!
//! Protocols are elsewhere (`mailstead-smtp`, `mailstead-imap` and the engines); decisions about which TLS
//! a delivery needs belong to the policy room.

#![warn(missing_docs)]

mod certificate;
mod dial;
mod error;
pub mod https;
pub mod limits;
mod listener;
mod public_key;
pub mod resolver;
mod socks;
mod stream;
pub mod tls;

pub use certificate::{Authority, ClientIdentity, Identity, Issued};
pub use dial::{AddressPolicy, Dialer, DirectDialer, Target};
pub use error::Error;
pub use listener::{Admission, Connection, ConnectionId, ConnectionIds, Listener, Reception, Refusal};
pub use public_key::{KeyError, KeyKind, PublicKey};
pub use socks::{Proxy, SocksDialer, SocksError, SocksLogin};
pub use stream::{Stream, Transport};
