//! The Authenticated Received Chain of a message (RFC 8617).

use mailstead_mailauth::arc::{Chain, ChainStatus, Set, verify};
use mailstead_mailauth::crypto::AwsLcRs;
use mailstead_mailauth::dkim::{Policy, Selector};
use mailstead_mailauth::psl::is_public_suffix;
use mailstead_names::Domain;
use serde_json::{Value, json};

use super::options::ArcCommand;
use super::{Finding, count, now, resolver};
use crate::failure::Failure;

/// `mailstead arc`.
pub(crate) async fn run(command: ArcCommand) -> Result<(), Failure> {
    let ArcCommand::Verify { file, asking } = command;
    let message = file.read()?;
    let resolver = resolver(&asking.source).await?;
    let policy = Policy::new(now(), &is_public_suffix);
    verified(&verify(&message.octets, &AwsLcRs, &resolver, &policy).await).show(asking.json)
}

/// What came of a chain.
pub(super) fn verified(chain: &Chain) -> Finding {
    let about = match chain.status {
        ChainStatus::None => "the message has no ARC chain".to_owned(),
        ChainStatus::Pass | ChainStatus::Fail => format!("ARC chain of {}", count(chain.sets.len(), "set")),
    };
    let mut finding = Finding::result(chain.status.name(), &about, chain.authenticity);
    finding.reasons(chain.reason.iter().map(ToString::to_string));
    match chain.oldest_pass {
        Some(0) => finding.line("all message signatures are valid"),
        Some(instance) => finding.line(format_args!("the message was not changed since instance {instance}")),
        None => {}
    }
    finding.put("oldest_pass", json!(chain.oldest_pass));
    for set in &chain.sets {
        let sealer = set.sealer.as_ref().map_or("an unknown domain", |sealer| sealer.as_ascii());
        finding.line(format_args!("{}: sealed by {sealer}, who says: {}", set.instance, set.results.trim()));
    }
    finding.put("sets", chain.sets.iter().map(set_json).collect());
    finding.evidence(&chain.evidence);
    finding
}

fn set_json(set: &Set) -> Value {
    json!({
        "instance": set.instance,
        "sealer": set.sealer.as_ref().map(Domain::as_ascii),
        "selector": set.selector.as_ref().map(Selector::as_str),
        "signer": set.signer.as_ref().map(Domain::as_ascii),
        "chain_status": set.chain_status.map(ChainStatus::name),
        "results": set.results,
    })
}
