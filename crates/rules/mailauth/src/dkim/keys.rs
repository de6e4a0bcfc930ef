//! Looking keys up (RFC 6376 §3.6.2, §6.1.2).

use std::collections::BTreeMap;

use mailstead_dns::{Existence, Resolver, Txt};
use mailstead_names::Domain;

use super::{KeyRecord, Reason, Selector};
use crate::Evidence;
use crate::join::{Task, join_all};

/// There should be one record (§3.6.2.2). Where somebody publishes the old and the new key under one selector, or a
/// wildcard adds something else, there are a few; each costs the check of a signature.
const MOST_RECORDS: usize = 4;

/// What is published under a name.
#[derive(Debug)]
pub(crate) struct FoundKeys {
    /// At least one, or why there is none.
    pub(crate) records: Result<Vec<KeyRecord>, Reason>,
    /// The question and its answer.
    pub(crate) evidence: Evidence,
}

/// Where the key of a selector is (§3.6.2.1).
pub(crate) fn key_name(selector: &Selector, domain: &Domain) -> Result<Domain, Reason> {
    domain.prepend(&format!("{selector}._domainkey")).map_err(|_| Reason::KeyName)
}

/// Looks up all names at once, and each once.
pub(crate) async fn look_up(
    resolver: &dyn Resolver,
    names: impl IntoIterator<Item = Domain>,
) -> BTreeMap<Domain, FoundKeys> {
    let mut names: Vec<Domain> = names.into_iter().collect();
    names.sort();
    names.dedup();
    let tasks = names.iter().map(|name| -> Task<'_, FoundKeys> { Box::pin(find(resolver, name)) });
    let found = join_all(tasks.collect()).await;
    names.into_iter().zip(found).collect()
}

async fn find(resolver: &dyn Resolver, name: &Domain) -> FoundKeys {
    let mut evidence = Evidence::default();
    let records = match evidence.records::<Txt>(resolver, name).await {
        // §6.1.2 step 2
        Err(error) => Err(Reason::KeyUnavailable(error.kind)),
        // Step 3
        Ok(answer) if answer.existence != Existence::Found => Err(Reason::NoKey),
        // Step 4: what is malformed must be ignored, and of several the verifier may try one after the other. That is
        // what is done here, so that a domain that publishes two keys is not unsigned.
        Ok(answer) => {
            let parsed: Vec<_> = answer.records.iter().map(|txt| KeyRecord::parse(&txt.joined())).collect();
            let error = parsed.iter().find_map(|record| record.as_ref().err().copied());
            let records: Vec<KeyRecord> = parsed.into_iter().flatten().take(MOST_RECORDS).collect();
            match error {
                // Step 5
                Some(error) if records.is_empty() => Err(Reason::KeyRecord(error)),
                None if records.is_empty() => Err(Reason::NoKey),
                _ => Ok(records),
            }
        }
    };
    FoundKeys { records, evidence }
}
