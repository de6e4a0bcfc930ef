//! What a message demands of its delivery. Set once, when it is queued, and kept in the row as a versioned payload.
//!
//! What it demands of the transport is [`mailstead_tlspolicy`]'s.

use mailstead_store::{AccountId, Payload};
pub use mailstead_tlspolicy::facts::{Demand, Plaintext, TlsRequirement};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Version of the stored form.
const VERSION: u32 = 1;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows outlive programs: what was queued is read by the next version.
    #[test]
    fn the_stored_form_stays() {
        let stored = r#"{"demand":{"requirement":"require-tls","plaintext":"forbidden"},"class":"report","account":7}"#;
        let demand = Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };
        let terms = Terms { demand, class: MessageClass::Report, account: Some(7) };
        assert_eq!(terms.encode(), Payload { version: VERSION, octets: stored.as_bytes().to_vec() });
        assert_eq!(Terms::decode(&terms.encode()).unwrap(), terms);
        for (requirement, word) in
            [(TlsRequirement::Opportunistic, "opportunistic"), (TlsRequirement::TlsRequiredNo, "tls-required-no")]
        {
            assert_eq!(serde_json::to_string(&requirement).unwrap(), format!("\"{word}\""));
        }
    }
}
