//! What became of an attempt, for one recipient: the value that decides on retries, fills notices and is kept in the
//! row.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use mailstead_names::{EnhancedStatus, Host, StatusClass};
use mailstead_smtp::Reply;
use mailstead_store::Payload;
use mailstead_tlspolicy::reasons::Shortfall;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Version of the stored form.
const VERSION: u32 = 1;
/// Attempts that are remembered.
const REMEMBERED: usize = 20;
/// Octets kept of a server's answer.
const MAX_TEXT: usize = 2000;

/// Whether trying again is pointless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permanence {
    /// It may work later.
    Temporary,
    /// It will not.
    Permanent,
}

/// The server that an attempt reached, or tried to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// As configured or found in the DNS.
    pub host: Host,
    /// The address connected to.
    pub ip: Option<IpAddr>,
}

impl fmt::Display for Remote {
    /// Host, and address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => write!(f, "{} [{ip}]", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// Why a recipient was not delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whether to try again.
    pub permanence: Permanence,
    /// For the notice.
    pub status: EnhancedStatus,
    /// What happened, in words for a person.
    pub text: String,
    /// The reply that said so, if one did.
    pub reply: Option<Reply>,
    /// Who said so.
    pub remote: Option<Remote>,
}

impl Failure {
    /// A failure that may pass.
    #[must_use]
    pub fn temporary(subject: u16, detail: u16, text: impl Into<String>) -> Failure {
        Failure::new(Permanence::Temporary, EnhancedStatus::new(4, subject, detail), text.into())
    }

    /// A failure that will not pass.
    #[must_use]
    pub fn permanent(subject: u16, detail: u16, text: impl Into<String>) -> Failure {
        Failure::new(Permanence::Permanent, EnhancedStatus::new(5, subject, detail), text.into())
    }

    fn new(permanence: Permanence, status: EnhancedStatus, text: String) -> Failure {
        Failure { permanence, status, text, reply: None, remote: None }
    }

    /// What a reply means. Without an enhanced status of the right class, the code's class is all that is known.
    #[must_use]
    pub fn of_reply(reply: Reply, permanence: Permanence) -> Failure {
        let class = match permanence {
            Permanence::Temporary => StatusClass::PersistentTransient,
            Permanence::Permanent => StatusClass::Permanent,
        };
        let unknown = EnhancedStatus::new(5, 0, 0).with_class(class);
        let status = reply.status.map_or(unknown, |status| status.with_class(class));
        let text = format!("The server answered: {}", truncated(&reply.to_string()));
        Failure { reply: Some(reply), ..Failure::new(permanence, status, text) }
    }

    /// What REQUIRETLS misses at a server: a message demands it of servers as they are (RFC 8689 §4.2.1).
    #[must_use]
    pub fn require_tls_unsupported(shortfall: &Shortfall) -> Failure {
        Failure::permanent(7, 30, sentence(&shortfall.to_string()))
    }

    /// What a connection that may not be used means. What is missing now may be there later.
    #[must_use]
    pub fn of_shortfall(shortfall: &Shortfall) -> Failure {
        let text = sentence(&shortfall.to_string());
        match shortfall {
            Shortfall::NoStartTls | Shortfall::NoEncryptionOnRoute => Failure::temporary(7, 10, text),
            Shortfall::StsUndecided(_) | Shortfall::TlsaLookupFailed(_) => Failure::temporary(4, 3, text),
            Shortfall::NotInStsPolicy => Failure::temporary(7, 1, text),
            Shortfall::Unreachable => Failure::temporary(4, 1, text),
            _ => Failure::temporary(7, 5, text),
        }
    }

    /// Whether a server could not be asked, for what it does not offer or what the message is: it has refused nothing.
    pub(crate) fn is_our_own(&self) -> bool {
        self.permanence == Permanence::Permanent && self.reply.is_none()
    }

    /// The same failure, to be tried again or not.
    #[must_use]
    pub fn with_permanence(self, permanence: Permanence) -> Failure {
        let class = match permanence {
            Permanence::Temporary => StatusClass::PersistentTransient,
            Permanence::Permanent => StatusClass::Permanent,
        };
        Failure { permanence, status: self.status.with_class(class), ..self }
    }

    /// The failure with the server that is meant.
    #[must_use]
    pub fn at(self, remote: &Remote) -> Failure {
        Failure { remote: Some(remote.clone()), ..self }
    }

    /// What went wrong and where: `at mx.example.org [192.0.2.1]: The connection was refused`.
    pub(crate) fn words_of_place(&self) -> String {
        self.remote.as_ref().map_or_else(|| self.text.clone(), |remote| format!("at {remote}: {}", self.text))
    }

    /// The reply as one text, for Diagnostic-Code.
    pub(crate) fn diagnostic(&self) -> Option<String> {
        self.reply.as_ref().map(|reply| truncated(&reply.to_string()).to_owned())
    }
}

/// With a capital letter in front.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn truncated(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// What became of a recipient in one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered(Reply, Taker),
    Failed(Failure),
}

/// Who took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taker {
    /// An account of ours.
    Account,
    /// Another server.
    Server(Remote, Dsn),
}

/// Whether another server knows what the sender asks to be told (RFC 3461 §5.2.1, §5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dsn {
    /// It offers DSN and tells the sender itself.
    PassedOn,
    NotOffered,
}

/// One attempt, as it is remembered in the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// When it began.
    pub at: Timestamp,
    /// Host, and address in brackets.
    pub host: Option<String>,
    /// The address, where there was a connection to it or an attempt at one.
    #[serde(default)]
    pub ip: Option<IpAddr>,
    /// Code of the reply.
    pub code: Option<u16>,
    /// Enhanced status.
    pub status: String,
    /// In words.
    pub text: String,
    /// Whether it could have been tried again.
    pub permanence: Permanence,
}

impl AttemptRecord {
    pub(crate) fn new(at: Timestamp, failure: &Failure) -> AttemptRecord {
        let host = failure.remote.as_ref().map(ToString::to_string);
        AttemptRecord {
            at,
            host,
            ip: failure.remote.as_ref().and_then(|remote| remote.ip),
            code: failure.reply.as_ref().map(|reply| reply.code),
            status: failure.status.to_string(),
            text: truncated(&failure.text).to_owned(),
            permanence: failure.permanence,
        }
    }

    /// Whether it came to this host.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        self.host.as_deref().is_some_and(|at| at.split(' ').next() == Some(host))
    }
}

/// The attempts that a row remembers, oldest first.
///
/// # Errors
/// [`Error::Payload`] where a newer program wrote them.
pub fn attempts(result: Option<&Payload>) -> Result<Vec<AttemptRecord>, Error> {
    let Some(payload) = result else { return Ok(Vec::new()) };
    let unreadable = Error::Payload { what: "attempts", version: payload.version };
    if payload.version != VERSION {
        return Err(unreadable);
    }
    serde_json::from_slice(&payload.octets).map_err(|_| unreadable)
}

/// The stored form with one attempt more. What cannot be read is not carried on.
pub(crate) fn remember(earlier: Option<&Payload>, record: AttemptRecord) -> Payload {
    let mut records = attempts(earlier).unwrap_or_default();
    records.push(record);
    let surplus = records.len().saturating_sub(REMEMBERED);
    records.drain(..surplus);
    Payload { version: VERSION, octets: serde_json::to_vec(&records).unwrap_or_default() }
}
