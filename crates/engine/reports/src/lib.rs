//! Reports to other operators. For now the [`Ledger`] of TLS results that reports are made from (RFC 8460); sending and
//! receiving reports is not here yet.
#![warn(missing_docs)]

mod ledger;
mod metrics;
mod row;

pub use ledger::Ledger;
pub use metrics::Metrics;
pub use row::{LedgerRow, Side};
