//! What an operator can choose about SMTP, and how the wiring describes a listener to this crate.

use std::time::Duration;

use mailstead_names::Domain;
use mailstead_net::tls::ServerTls;
use mailstead_smtp::Strictness;
use mailstead_smtp::server::{Role, Transcript};

use crate::sandbox::Sandbox;

/// Choices that hold for all listeners.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name in greetings and trace fields.
    pub hostname: Domain,
    /// Octets of the largest message.
    pub message_max: u64,
    /// Recipients in one transaction.
    pub recipients_max: usize,
    /// How much is forgiven.
    pub strictness: Strictness,
    /// Whether this is a server for trying things out.
    pub sandbox: Sandbox,
    /// Messages that one account may submit in 24 hours.
    pub submissions_per_day: u32,
    /// What the protocol trace shows. Only looked at where trace logging is on.
    pub transcript: Transcript,
    /// How long clients are waited for.
    pub timeouts: Timeouts,
}

impl Settings {
    /// The defaults for a host of this name.
    #[must_use]
    pub fn new(hostname: Domain) -> Settings {
        Settings {
            hostname,
            message_max: 100 * 1024 * 1024,
            recipients_max: 1000,
            strictness: Strictness::Lenient,
            sandbox: Sandbox::Off,
            submissions_per_day: 1000,
            transcript: Transcript::Redacted,
            timeouts: Timeouts::default(),
        }
    }
}

/// How long clients are waited for. RFC 5321 §4.5.3.2.7 asks for at least five minutes between commands.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a command.
    pub command: Duration,
    /// For the next octets of a message.
    pub data_block: Duration,
    /// For a whole message.
    pub message: Duration,
    /// For the client to take what we send.
    pub write: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Timeouts {
            command: minutes(5),
            data_block: minutes(5),
            message: minutes(30),
            write: minutes(5),
            handshake: minutes(1),
        }
    }
}

/// One listener.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Who connects.
    pub role: Role,
    /// Whether and when there is TLS.
    pub security: Security,
    /// Whether passwords may cross the network in the clear.
    pub cleartext_login: CleartextLogin,
    /// Whether other servers may deliver in the clear.
    pub plaintext_delivery: PlaintextDelivery,
}

impl Endpoint {
    /// An endpoint that allows no password and any delivery in the clear.
    #[must_use]
    pub fn new(role: Role, security: Security) -> Endpoint {
        Endpoint {
            role,
            security,
            cleartext_login: CleartextLogin::Refused,
            plaintext_delivery: PlaintextDelivery::Allowed,
        }
    }
}

/// Whether and when there is TLS.
#[derive(Debug, Clone)]
pub enum Security {
    /// None.
    Cleartext,
    /// By STARTTLS (RFC 3207).
    StartTls(ServerTls),
    /// From the first octet (RFC 8314 §3.3).
    Implicit(ServerTls),
}

/// Whether passwords may cross the network in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleartextLogin {
    /// No mechanism is offered before TLS.
    Refused,
    /// For loopback.
    Allowed,
}

/// Whether other servers may deliver in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaintextDelivery {
    /// As everywhere: TLS is opportunistic.
    Allowed,
    /// Recipients are refused before STARTTLS.
    Refused,
}
