//! What connections and look-ups showed about TLS, on its way to the ledger that TLS reports are made from (RFC 8460).
//!
//! Values go in and nothing comes out: whatever becomes of them, a delivery never depends on it.

use std::net::IpAddr;

use jiff::Timestamp;
use mailstead_names::{Domain, Host};
use mailstead_tlspolicy::plan::TlsResult;

use crate::MessageClass;

/// Takes results. What it cannot keep is lost, and nobody waits for it.
pub trait TlsResultSink: std::fmt::Debug + Send + Sync {
    /// Takes what was found at one time.
    fn record(&self, results: TlsResults);
}

/// Keeps nothing: for operators who send no TLS reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTlsResults;

impl TlsResultSink for NoTlsResults {
    fn record(&self, _: TlsResults) {}
}

/// The results of one connection, or of what was known before one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsResults {
    /// The domain of the recipients, as in their addresses.
    pub recipient_domain: Domain,
    /// What was delivered: reports must not cause reports.
    pub class: MessageClass,
    /// When.
    pub at: Timestamp,
    /// One for each policy; at least one.
    pub results: Vec<TlsResult>,
    /// The host in question, where it is about one.
    pub host: Option<Host>,
    /// The connection, where there was one.
    pub session: Option<TlsSession>,
}

/// The ends of a connection, as reports show them (RFC 8460 §4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSession {
    /// Our address; `None` behind a proxy that keeps it to itself.
    pub sending_mta_ip: Option<IpAddr>,
    /// The address of the host.
    pub receiving_ip: IpAddr,
    /// What the host calls itself in its reply to EHLO.
    pub receiving_mx_helo: Option<String>,
}
