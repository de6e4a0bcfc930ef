//! What an operator can choose about IMAP, and how the wiring describes a listener to this crate.

use std::time::Duration;

use mailstead_login::PlaintextLogin;
use mailstead_net::tls::ServerTls;

/// Choices that hold for all listeners.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Octets of the largest message that APPEND takes. Announced as APPENDLIMIT, which JavaScript clients read with 32
    /// bits.
    pub max_message: u64,
    /// Wait for a complete command before login, for the client to take what we send before login, and for the next
    /// octets of a message at any time.
    pub login_timeout: Duration,
    /// Wait for a command, or for DONE, after login. RFC 9051 §5.4: at least 30 minutes.
    pub idle_timeout: Duration,
    /// Wait for the client to take what we send after login.
    pub write_timeout: Duration,
    /// For a TLS handshake.
    pub handshake_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_message: 100 * 1024 * 1024,
            login_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30 * 60),
            write_timeout: Duration::from_secs(5 * 60),
            handshake_timeout: Duration::from_secs(60),
        }
    }
}

/// One listener.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Whether and when there is TLS.
    pub security: Security,
    /// Whether anybody may log in without TLS; if not, LOGINDISABLED (RFC 9051 §11.3).
    pub plaintext_login: PlaintextLogin,
}

/// Whether and when there is TLS.
#[derive(Debug, Clone)]
pub enum Security {
    /// None: for loopback and for tests.
    Cleartext,
    /// By STARTTLS (RFC 9051 §6.2.1).
    StartTls(ServerTls),
    /// From the first octet (RFC 8314 §3.2).
    Implicit(ServerTls),
}
