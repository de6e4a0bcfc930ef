//! `mtasts cache`: the MTA-STS policies of other domains that are kept.

use std::fmt::Write as _;

use jiff::Timestamp;
use mailstead_names::Domain;
use mailstead_queue::{CachedPolicy, StsCache};
use mailstead_tlspolicy::sts::{Entry, Missed};
use serde_json::{Value, json};

use super::Form;
use crate::failure::Failure;

/// Entries read at once.
const PAGE: usize = 500;

pub(super) async fn list(cache: &StsCache, form: Form) -> Result<String, Failure> {
    let mut shown = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = cache.list(after.as_deref(), PAGE).await?;
        shown.extend(page.iter().map(|policy| match form {
            Form::Words => words(policy),
            Form::Json => object(policy).to_string(),
        }));
        after = page.last().map(|policy| policy.domain.clone());
        if page.len() < PAGE {
            break;
        }
    }
    Ok(if shown.is_empty() && form == Form::Words { "no policies".to_owned() } else { shown.join("\n") })
}

pub(super) async fn forget(cache: &StsCache, domain: &str) -> Result<String, Failure> {
    let name = Domain::parse(domain).map_err(|error| Failure::new(format!("{domain}: {error}")))?;
    if cache.remove(&name).await? {
        Ok(format!("the policy of {name} is forgotten; the next message to it fetches it anew"))
    } else {
        Err(Failure::new(format!("no policy of {name} is kept; `mailstead mtasts cache list` shows all")))
    }
}

/// When a policy that was fetched then is over.
fn end(fetched: Timestamp, max_age: std::time::Duration) -> Timestamp {
    fetched.checked_add(max_age).unwrap_or(Timestamp::MAX)
}

fn words(policy: &CachedPolicy) -> String {
    let mut text = policy.domain.clone();
    // Writing to a string cannot fail.
    let _ = match &policy.entry {
        None => write!(text, ": written by a newer version of this program, which this one cannot read"),
        Some(Entry::Failed(Missed { reason, at, .. })) => write!(text, ": not to be had at {at:.0}: {reason}"),
        Some(Entry::Policy { policy, id, fetched, used, missed }) => {
            let hosts: Vec<String> = policy.mx.iter().map(ToString::to_string).collect();
            let end = end(*fetched, policy.max_age);
            write!(
                text,
                ": {}, hosts {}\n  id {id}, fetched {fetched:.0}, last used {used:.0}, valid until {end:.0}",
                policy.mode,
                hosts.join(" ")
            )
            .and_then(|()| match missed {
                Some(Missed { reason, id, at }) => write!(text, "\n  id {id} not to be had at {at:.0}: {reason}"),
                None => Ok(()),
            })
        }
    };
    text
}

fn object(policy: &CachedPolicy) -> Value {
    let domain = &policy.domain;
    match &policy.entry {
        None => json!({ "domain": domain, "state": "unreadable" }),
        Some(Entry::Failed(Missed { reason, id, at })) => json!({
            "domain": domain, "state": "failed", "reason": reason.to_string(), "id": id, "at": at.to_string(),
        }),
        Some(Entry::Policy { policy, id, fetched, used, missed }) => json!({
            "domain": domain,
            "state": "policy",
            "mode": policy.mode.as_str(),
            "mx": policy.mx.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "max_age": policy.max_age.as_secs(),
            "id": id,
            "fetched": fetched.to_string(),
            "used": used.to_string(),
            "valid_until": end(*fetched, policy.max_age).to_string(),
            "missed": missed.as_ref().map(|Missed { reason, id, at }| json!({
                "reason": reason.to_string(), "id": id, "at": at.to_string(),
            })),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mailstead_tlspolicy::report::{FailureReason, ResultType};
    use mailstead_tlspolicy::sts::Policy;

    use super::*;

    #[test]
    fn in_words_and_as_objects() {
        let at: Timestamp = "2026-11-25T12:00:00.123Z".parse().unwrap();
        let text = "version: STSv1\nmode: testing\nmx: mx.example.org\nmx: *.example.net\nmax_age: 86400\n";
        let policy = Arc::new(Policy::parse(text).unwrap());
        let reason = FailureReason::with_code(ResultType::StsPolicyFetchError, "http-status-404");
        let missed = Missed { reason, id: "2".to_owned(), at };
        let kept =
            |missed| Entry::Policy { policy: Arc::clone(&policy), id: "1".to_owned(), fetched: at, used: at, missed };
        let entries = [Some(kept(None)), Some(kept(Some(missed.clone()))), Some(Entry::Failed(missed)), None];
        let shown: Vec<String> = entries
            .into_iter()
            .map(|entry| CachedPolicy { domain: "example.org".to_owned(), entry })
            .flat_map(|policy| [words(&policy), object(&policy).to_string()])
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
