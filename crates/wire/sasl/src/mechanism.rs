//! Names and properties of the mechanisms.

use std::fmt;

use crate::ScramHash;

/// A SASL mechanism that this crate can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mechanism {
    /// SCRAM-SHA-256-PLUS
    ScramSha256Plus,
    /// SCRAM-SHA-256
    ScramSha256,
    /// SCRAM-SHA-1-PLUS
    ScramSha1Plus,
    /// SCRAM-SHA-1
    ScramSha1,
    /// CRAM-MD5
    CramMd5,
    /// PLAIN
    Plain,
    /// LOGIN
    Login,
    /// EXTERNAL
    External,
    /// OAUTHBEARER
    OAuthBearer,
}

impl Mechanism {
    /// All mechanisms with a password, in the order in which a client should prefer them.
    pub const PASSWORD_STRONGEST_FIRST: [Mechanism; 7] = [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha1,
        Mechanism::CramMd5,
        Mechanism::Plain,
        Mechanism::Login,
    ];

    const ALL: [Mechanism; 9] = [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha1,
        Mechanism::CramMd5,
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::External,
        Mechanism::OAuthBearer,
    ];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::CramMd5 => "CRAM-MD5",
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::External => "EXTERNAL",
            Mechanism::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// Finds a mechanism by its name, in any case of letters.
    pub fn parse(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// The hash, for the SCRAM family.
    pub const fn scram_hash(self) -> Option<ScramHash> {
        match self {
            Mechanism::ScramSha256Plus | Mechanism::ScramSha256 => Some(ScramHash::Sha256),
            Mechanism::ScramSha1Plus | Mechanism::ScramSha1 => Some(ScramHash::Sha1),
            _ => None,
        }
    }

    /// Whether the mechanism needs a channel to bind to.
    pub const fn is_plus(self) -> bool {
        matches!(self, Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus)
    }

    /// Whether whoever reads the connection learns the password or token, so that TLS must come first (RFC 4954 §4).
    pub const fn reveals_password(self) -> bool {
        matches!(self, Mechanism::Plain | Mechanism::Login | Mechanism::OAuthBearer)
    }

    /// Whether the client may send something with the command that starts the exchange (RFC 4422 §3.3).
    pub const fn is_client_first(self) -> bool {
        !matches!(self, Mechanism::CramMd5)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
