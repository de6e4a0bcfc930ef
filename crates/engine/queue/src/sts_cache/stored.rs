//! Entries as they are stored.

use std::sync::Arc;

use jiff::Timestamp;
use mailstead_names::Domain;
use mailstead_store::{Payload, StoredStsPolicy};
use mailstead_tlspolicy::report::{FailureReason, ResultType};
use mailstead_tlspolicy::sts::{Entry, Missed, Policy};
use serde::{Deserialize, Serialize};

/// Version of the stored form.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stored {
    Policy {
        /// As it was fetched.
        text: String,
        id: String,
        fetched: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missed: Option<StoredMissed>,
    },
    Failed(StoredMissed),
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredMissed {
    result: String,
    code: String,
    id: String,
    at: Timestamp,
}

impl From<&Missed> for StoredMissed {
    fn from(missed: &Missed) -> Self {
        let FailureReason { result, code } = &missed.reason;
        StoredMissed { result: result.as_str().to_owned(), code: code.clone(), id: missed.id.clone(), at: missed.at }
    }
}

impl StoredMissed {
    /// `None` for a result that this version does not know.
    fn missed(self) -> Option<Missed> {
        let StoredMissed { result, code, id, at } = self;
        Some(Missed { reason: FailureReason { result: ResultType::parse(&result)?, code }, id, at })
    }
}

pub(super) fn encode(domain: &Domain, entry: &Entry) -> StoredStsPolicy {
    let (stored, used) = match entry {
        Entry::Policy { policy, id, fetched, used, missed } => {
            let (text, id, missed) = (policy.text.clone(), id.clone(), missed.as_ref().map(StoredMissed::from));
            (Stored::Policy { text, id, fetched: *fetched, missed }, *used)
        }
        Entry::Failed(missed) => (Stored::Failed(missed.into()), missed.at),
    };
    // Text and numbers: there is nothing that could fail.
    let octets = serde_json::to_vec(&stored).unwrap_or_default();
    StoredStsPolicy { domain: domain.as_ascii().to_owned(), used, payload: Payload { version: VERSION, octets } }
}

/// `None` for what a newer program wrote.
pub(super) fn decode(stored: &StoredStsPolicy) -> Option<Entry> {
    if stored.payload.version != VERSION {
        return None;
    }
    Some(match serde_json::from_slice(&stored.payload.octets).ok()? {
        Stored::Policy { text, id, fetched, missed } => {
            let policy = Arc::new(Policy::parse(&text).ok()?);
            // A failure that makes no sense does not make the policy less readable.
            Entry::Policy { policy, id, fetched, used: stored.used, missed: missed.and_then(StoredMissed::missed) }
        }
        Stored::Failed(missed) => Entry::Failed(missed.missed()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was stored is read by the next version.
    #[test]
    fn the_stored_form_stays() {
        let at = Timestamp::UNIX_EPOCH;
        let text = "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 60\n";
        let policy = Arc::new(Policy::parse(text).unwrap());
        let reason = FailureReason::with_code(ResultType::StsPolicyFetchError, "http-status-404");
        let missed = Missed { reason, id: "2".to_owned(), at };
        let kept =
            |missed| Entry::Policy { policy: Arc::clone(&policy), id: "1".to_owned(), fetched: at, used: at, missed };
        for (entry, octets) in [
            (
                kept(None),
                r#"{"policy":{"text":"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 60\n","id":"1","fetched":"1970-01-01T00:00:00Z"}}"#,
            ),
            (
                kept(Some(missed.clone())),
                r#"{"policy":{"text":"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 60\n","id":"1","fetched":"1970-01-01T00:00:00Z","missed":{"result":"sts-policy-fetch-error","code":"http-status-404","id":"2","at":"1970-01-01T00:00:00Z"}}}"#,
            ),
            (
                Entry::Failed(missed),
                r#"{"failed":{"result":"sts-policy-fetch-error","code":"http-status-404","id":"2","at":"1970-01-01T00:00:00Z"}}"#,
            ),
        ] {
            let stored = encode(&Domain::parse("a.example").unwrap(), &entry);
            assert_eq!(std::str::from_utf8(&stored.payload.octets).unwrap(), octets);
            assert_eq!(decode(&stored), Some(entry));
            let newer = Payload { version: 2, ..stored.payload.clone() };
            assert_eq!(decode(&StoredStsPolicy { payload: newer, ..stored }), None);
        }
    }
}
