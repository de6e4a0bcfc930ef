//! Entries as they are stored.

use std::sync::Arc;

use jiff::Timestamp;
use mailstead_names::Domain;
use mailstead_store::{Payload, StoredStsPolicy};
use mailstead_tlspolicy::report::{FailureReason, ResultType};
use mailstead_tlspolicy::sts::{Entry, Policy};
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
    },
    Failed {
        result: String,
        code: String,
        id: String,
        at: Timestamp,
    },
}

pub(super) fn encode(domain: &Domain, entry: &Entry) -> StoredStsPolicy {
    let (stored, used) = match entry {
        Entry::Policy { policy, id, fetched, used } => {
            (Stored::Policy { text: policy.text.clone(), id: id.clone(), fetched: *fetched }, *used)
        }
        Entry::Failed { reason: FailureReason { result, code }, id, at } => {
            let result = result.as_str().to_owned();
            (Stored::Failed { result, code: code.clone(), id: id.clone(), at: *at }, *at)
        }
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
        Stored::Policy { text, id, fetched } => {
            Entry::Policy { policy: Arc::new(Policy::parse(&text).ok()?), id, fetched, used: stored.used }
        }
        Stored::Failed { result, code, id, at } => {
            Entry::Failed { reason: FailureReason { result: ResultType::parse(&result)?, code }, id, at }
        }
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
        for (entry, octets) in [
            (
                Entry::Policy { policy, id: "1".to_owned(), fetched: at, used: at },
                r#"{"policy":{"text":"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 60\n","id":"1","fetched":"1970-01-01T00:00:00Z"}}"#,
            ),
            (
                Entry::Failed { reason, id: "2".to_owned(), at },
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
