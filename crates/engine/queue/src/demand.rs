//! What a message demands of its delivery. Set once, when it is queued, and kept in the row as a versioned payload.

use mailstead_store::{AccountId, Payload};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Version of the stored form.
const VERSION: u32 = 1;

/// What the transport must grant a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Demand {
    /// TLS towards the recipient's server.
    pub requirement: TlsRequirement,
    /// Whether it may go in the clear where TLS is not required.
    pub plaintext: Plaintext,
}

impl Default for Demand {
    /// Opportunistic TLS, the habit of mail (RFC 7435).
    fn default() -> Demand {
        Demand { requirement: TlsRequirement::Opportunistic, plaintext: Plaintext::Allowed }
    }
}

/// Which TLS the sender asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsRequirement {
    /// Whatever the destination's policies say.
    Opportunistic,
    /// REQUIRETLS (RFC 8689 §4): verified TLS on every hop, or a notice.
    RequireTls,
    /// `TLS-Required: No` (RFC 8689 §5): deliver even where policies would not.
    TlsRequiredNo,
}

/// Whether a message may be sent without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plaintext {
    /// It may.
    Allowed,
    /// It must not.
    Forbidden,
}

/// What kind of message it is: decides how long it is tried and who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageClass {
    /// From one of our users.
    Submission,
    /// A notice of this server about a delivery. Nobody is told when it fails.
    Notice,
    /// A report to other operators (DMARC, TLS). Tried less long.
    Report,
}

/// The payload of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) demand: Demand,
    pub(crate) class: MessageClass,
    /// The account that gets the message whatever its recipient's address: for notices to a submitter.
    pub(crate) account: Option<i64>,
}

impl Terms {
    pub(crate) fn account(&self) -> Option<AccountId> {
        self.account.map(AccountId)
    }

    pub(crate) fn encode(&self) -> Payload {
        // Plain enums and numbers: there is nothing that could fail.
        Payload { version: VERSION, octets: serde_json::to_vec(self).unwrap_or_default() }
    }

    pub(crate) fn decode(payload: &Payload) -> Result<Terms, Error> {
        let unreadable = Error::Payload { what: "a demand", version: payload.version };
        if payload.version != VERSION {
            return Err(unreadable);
        }
        serde_json::from_slice(&payload.octets).map_err(|_| unreadable)
    }
}
