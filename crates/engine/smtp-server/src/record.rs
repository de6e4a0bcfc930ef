//! What is kept beside a delivered message about its arrival and about the verdict that let it in, so that it can be
//! explained later and so that reputation can be built on it. The store keeps it without looking inside.

use mailstead_names::Address;
use mailstead_store::Facts;
use serde_json::json;

use crate::analysis::Verdict;
use crate::inbound::Arrival;

/// The kind of these facts in the store. There is one record for each copy of a message.
pub(crate) const KIND: &str = "arrival";
const VERSION: u32 = 1;

/// The record of one accepted copy, as a JSON object.
pub(crate) fn arrival(arrival: &Arrival, recipient: &Address, verdict: &Verdict) -> Facts {
    let origin = &arrival.origin;
    let payload = json!({
        "remote": origin.remote.to_string(),
        "hello": origin.hello.to_string(),
        "protocol": origin.with.to_string(),
        "tls": origin.tls,
        "id": origin.mark,
        "mail-from": arrival.sender.to_string(),
        "rcpt-to": recipient.to_string(),
        "reasons": verdict.reasons.iter().map(|reason| reason.name()).collect::<Vec<_>>(),
    });
    Facts { kind: KIND.to_owned(), version: VERSION, payload: payload.to_string().into_bytes() }
}
