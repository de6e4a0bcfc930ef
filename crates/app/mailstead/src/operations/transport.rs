//! `transport explain`: what delivery would do, in words and as an object. Nothing is decided here: it is what the queue's
//! own [`explain`](mailstead_queue::Queue::explain) says.

use std::fmt::Write as _;

use mailstead_dns::{Authenticity, Record, Tlsa};
use mailstead_names::{Address, ReversePath};
use mailstead_queue::explain::{Explanation, HostExplanation, Hosts, Way};
use mailstead_queue::facts::{HostFacts, Nobody};
use mailstead_queue::{Demand, Failure as Undelivered, Passage, Permanence};
use mailstead_store::AccountId;
use mailstead_tlspolicy::facts::{Destination, MxRecords, NextHop, StsState, TlsaState};
use mailstead_tlspolicy::plan::{
    Attempt, AttributedPolicy, Channel, Enforcement, RequireTlsExtension, Scope, Terms, TlsNeed, TlsResult,
    Way as Planned,
};
use serde_json::{Value, json};

use super::{Form, Site};
use crate::dns::{status, with_dnssec};
use crate::failure::Failure;

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// A reverse-path.
    pub(super) sender: &'a str,
    /// An address.
    pub(super) recipient: &'a str,
    /// How many attempts were made before.
    pub(super) attempts: u32,
}

pub(super) async fn explain(
    site: Site<'_>,
    Asked { sender, recipient, attempts }: Asked<'_>,
    demand: Demand,
    form: Form,
) -> Result<String, Failure> {
    let wrong = |what: &str, error| Failure::new(format!("{what}: {error}"));
    let path = ReversePath::parse(sender).map_err(|error| wrong(sender, error))?;
    let address = Address::parse(recipient).map_err(|error| wrong(recipient, error))?;
    let passage = Passage { submitter: submitter(site, &path).await?, sender: &path, recipient: &address, attempts };
    let explanation = site.sending.queue.explain(passage, demand).await;
    Ok(match form {
        Form::Words => words(recipient, &explanation),
        Form::Json => object(recipient, &explanation).to_string(),
    })
}

/// The account that would submit it: the one whose address the sender's is.
async fn submitter(site: Site<'_>, sender: &ReversePath) -> Result<Option<AccountId>, Failure> {
    let config = site.config.current();
    let Some(entry) = sender.address().and_then(|address| config.directory.login(&address.to_string())) else {
        return Ok(None);
    };
    Ok(site.store.account(entry.name.as_str()).await?.map(|account| account.id()))
}

fn words(recipient: &str, explanation: &Explanation) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match &explanation.way {
        Way::Local => write!(text, "Mail for {recipient} is delivered here."),
        Way::Fail(failure) => write!(text, "Mail for {recipient} {}{}", fate(failure), by(explanation)),
        Way::Nobody(nobody) => {
            write!(text, "Mail for {recipient} {}{}", fate(&nobody.failure), by(explanation))
        }
        Way::Hosts(hosts) => {
            text = hosts_in_words(recipient, hosts, &by(explanation));
            Ok(())
        }
    };
    if let Way::Nobody(nobody) = &explanation.way {
        results_in_words(&mut text, "  ", &nobody.results);
    }
    text
}

/// The transport that a route has chosen, on a line of its own.
fn by(explanation: &Explanation) -> String {
    explanation.transport.as_ref().map(|name| format!("\n  by: transport {name}")).unwrap_or_default()
}

/// What a failure would mean.
fn fate(failure: &Undelivered) -> String {
    let verb = match failure.permanence {
        Permanence::Permanent => "comes back at once",
        Permanence::Temporary => "waits",
    };
    format!("{verb} ({}): {}", failure.status, failure.text)
}

fn hosts_in_words(recipient: &str, hosts: &Hosts, by: &str) -> String {
    let Destination { next_hop, mx, sts } = &hosts.found.destination;
    let (how, policy) = match (next_hop, mx) {
        (NextHop::Route(_), _) => ("the relay that the configuration names".to_owned(), None),
        (NextHop::Address(ip), _) => (format!("the address {ip}"), None),
        (NextHop::Domain { name, expanded }, mx) => {
            let alias = expanded.as_ref().map(|target| format!(", an alias of {target}")).unwrap_or_default();
            let how = match mx {
                MxRecords::Explicit(authenticity) => {
                    format!("MX records of {name}{alias}, {}", with_dnssec(*authenticity))
                }
                MxRecords::Implicit(authenticity) => {
                    format!("{name}{alias} itself, which has no MX records, {}", with_dnssec(*authenticity))
                }
            };
            (how, Some(sts_in_words(sts)))
        }
    };
    let mut text =
        format!("Mail for {recipient} goes to the first of these servers that takes it.{by}\n  found by: {how}");
    if hosts.is_proxied {
        text.push_str("\n  connected to through a proxy");
    }
    if let Some(policy) = policy {
        let _ = write!(text, "\n  MTA-STS policy: {policy}");
    }
    for unusable in &hosts.found.unusable {
        let _ = write!(text, "\n  left out: {unusable} is no name of a server");
    }
    results_in_words(&mut text, "  ", &hosts.results);
    for (number, host) in (1..).zip(&hosts.hosts) {
        host_in_words(&mut text, number, host);
    }
    text
}

fn sts_in_words(state: &StsState) -> String {
    match state {
        StsState::NotFound => "none".to_owned(),
        StsState::Policy { policy, fallback } => {
            let patterns: Vec<String> = policy.mx.iter().map(ToString::to_string).collect();
            let from =
                fallback.as_ref().map(|reason| format!(", kept from earlier because of {reason}")).unwrap_or_default();
            format!("{}, hosts {}{from}", policy.mode, patterns.join(" "))
        }
        StsState::FetchFailed(reason) => format!("not to be had, which counts as none: {reason}"),
        StsState::Undecided(reason) => format!("nobody knows: {reason}"),
    }
}

fn host_in_words(text: &mut String, number: usize, host: &HostExplanation) {
    let preference =
        host.exchange.preference.map(|preference| format!(", preference {preference}")).unwrap_or_default();
    let _ = write!(text, "\n{number}. {}{preference}", host.exchange.name);
    let (facts, plan) = match &host.plan {
        Ok((facts, plan)) => (facts, plan),
        Err(nobody) => {
            let _ = write!(text, "\n   not used: {}", nobody.failure.text);
            if nobody.is_ours {
                text.push_str("\n   servers after it are not tried");
            }
            return results_in_words(text, "   ", &nobody.results);
        }
    };
    let addresses: Vec<String> = facts.addresses.iter().map(ToString::to_string).collect();
    let status = facts
        .chain
        .as_ref()
        .map(|chain| format!(", {}", with_dnssec(chain.alias.as_ref().map_or(chain.initial, |alias| alias.1))));
    let _ = write!(text, "\n   addresses: {}{}", addresses.join(" "), status.unwrap_or_default());
    if let TlsaState::Usable { base, records } | TlsaState::Unusable { base, records } = &facts.host.tlsa {
        for record in records {
            let _ = write!(text, "\n   TLSA at {}: {}", base.0, presented(record));
        }
    }
    for reason in &plan.reasons {
        let _ = write!(text, "\n   because {reason}");
    }
    match &plan.way {
        Planned::Skip(shortfall) => {
            let _ = write!(text, "\n   not used for now: {shortfall}");
        }
        Planned::RequireTlsUnsupported(shortfall) => {
            let _ = write!(text, "\n   can not be used: {shortfall}");
        }
        Planned::Attempts(attempts) => {
            for (number, attempt) in (1..).zip(attempts) {
                attempt_in_words(text, number, attempt);
            }
        }
    }
    results_in_words(text, "   ", &plan.results);
}

fn attempt_in_words(text: &mut String, number: usize, attempt: &Attempt) {
    let channel = match attempt.channel {
        Channel::StartTls => "STARTTLS",
        Channel::ImplicitTls => "TLS from the start",
        Channel::Plaintext => "without TLS",
    };
    let _ = write!(text, "\n   attempt {number}: {channel}");
    if attempt.channel == Channel::Plaintext {
        return;
    }
    let _ = write!(text, ", asking for {}", attempt.server_name);
    let enforced = |enforcement| match enforcement {
        Enforcement::Enforce => "must hold",
        Enforcement::Record => "is only recorded",
    };
    if let Some(dane) = &attempt.dane {
        let _ = write!(text, "\n     the certificate by TLSA records {}", enforced(dane.enforcement));
    }
    let _ =
        write!(text, "\n     the certificate by authorities, for {}, {}", attempt.pkix_name, enforced(attempt.pkix));
    if attempt.extension == RequireTlsExtension::Needed {
        text.push_str("\n     the server must offer REQUIRETLS");
    }
    for attribution in &attempt.attribution {
        let standing = attribution.standing.as_ref().map(|reason| format!(", a failure in any case: {reason}"));
        let _ =
            write!(text, "\n     counted for {}{}", policy_in_words(&attribution.policy), standing.unwrap_or_default());
    }
}

fn presented(record: &Tlsa) -> String {
    Record::Tlsa(record.clone()).to_string()
}

fn policy_in_words(policy: &AttributedPolicy) -> String {
    let whose = match policy.scope {
        Scope::RecipientDomain => "the recipient's domain",
        Scope::MxHost => "the server",
    };
    let what = match &policy.terms {
        Terms::Sts(policy) => format!("MTA-STS {}", policy.mode),
        Terms::Tlsa(_) => "TLSA".to_owned(),
        Terms::NoPolicyFound => "no policy".to_owned(),
    };
    format!("{} ({whose}, {what})", policy.domain)
}

fn results_in_words(text: &mut String, indent: &str, results: &[TlsResult]) {
    for result in results {
        let failure = result.failure.as_ref().map_or("success".to_owned(), ToString::to_string);
        let _ = write!(text, "\n{indent}reported for {}: {failure}", policy_in_words(&result.policy));
    }
}

fn object(recipient: &str, explanation: &Explanation) -> Value {
    match &explanation.way {
        Way::Local => json!({ "recipient": recipient, "way": "local" }),
        Way::Fail(failure) => json!({
            "recipient": recipient,
            "way": "fail",
            "transport": explanation.transport,
            "failure": failure_object(failure),
        }),
        Way::Nobody(nobody) => json!({
            "recipient": recipient,
            "way": "nobody",
            "transport": explanation.transport,
            "failure": nobody_object(nobody),
            "results": results_object(&nobody.results),
        }),
        Way::Hosts(hosts) => json!({
            "recipient": recipient,
            "way": "hosts",
            "transport": explanation.transport,
            "proxy": hosts.is_proxied,
            "port": hosts.port,
            "destination": destination_object(&hosts.found.destination),
            "unusable_mx": hosts.found.unusable,
            "results": results_object(&hosts.results),
            "hosts": hosts.hosts.iter().map(host_object).collect::<Vec<_>>(),
        }),
    }
}

fn nobody_object(nobody: &Nobody) -> Value {
    let mut object = failure_object(&nobody.failure);
    object["is_ours"] = json!(nobody.is_ours);
    object
}

fn failure_object(failure: &Undelivered) -> Value {
    json!({
        "permanent": failure.permanence == Permanence::Permanent,
        "status": failure.status.to_string(),
        "text": failure.text,
    })
}

fn destination_object(destination: &Destination) -> Value {
    let (kind, name, expanded) = match &destination.next_hop {
        NextHop::Domain { name, expanded } => ("domain", Some(name.as_ascii().to_owned()), expanded.as_ref()),
        NextHop::Address(ip) => ("address", Some(ip.to_string()), None),
        NextHop::Route(_) => ("relay", None, None),
    };
    let (mx, authenticity): (&str, Authenticity) = match destination.mx {
        MxRecords::Explicit(authenticity) => ("explicit", authenticity),
        MxRecords::Implicit(authenticity) => ("implicit", authenticity),
    };
    let sts = match &destination.sts {
        StsState::NotFound => json!({ "state": "none" }),
        StsState::Policy { policy, fallback } => json!({
            "state": "policy",
            "mode": policy.mode.as_str(),
            "mx": policy.mx.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "fallback": fallback.as_ref().map(ToString::to_string),
        }),
        StsState::FetchFailed(reason) => json!({ "state": "not-fetched", "reason": reason.to_string() }),
        StsState::Undecided(reason) => json!({ "state": "undecided", "reason": reason.to_string() }),
    };
    json!({
        "next_hop": kind,
        "name": name,
        "alias_of": expanded.map(mailstead_names::Domain::as_ascii),
        "mx": mx,
        "mx_dnssec": status(authenticity),
        "mta_sts": sts,
    })
}

fn host_object(host: &HostExplanation) -> Value {
    let name = host.exchange.name.to_string();
    match &host.plan {
        Err(nobody) => json!({
            "name": name,
            "preference": host.exchange.preference,
            "way": "nobody",
            "failure": nobody_object(nobody),
            "results": results_object(&nobody.results),
        }),
        Ok((facts, plan)) => {
            let (way, shortfall, attempts) = match &plan.way {
                Planned::Attempts(attempts) => ("attempts", None, attempts.iter().map(attempt_object).collect()),
                Planned::Skip(shortfall) => ("skip", Some(shortfall.to_string()), Vec::new()),
                Planned::RequireTlsUnsupported(shortfall) => {
                    ("requiretls-unsupported", Some(shortfall.to_string()), Vec::new())
                }
            };
            json!({
                "name": name,
                "preference": host.exchange.preference,
                "addresses": facts.addresses,
                "addresses_dnssec": addresses_status(facts),
                "tlsa": tlsa_object(&facts.host.tlsa),
                "reasons": plan.reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "way": way,
                "shortfall": shortfall,
                "attempts": attempts,
                "results": results_object(&plan.results),
            })
        }
    }
}

fn addresses_status(facts: &HostFacts) -> Option<&'static str> {
    let chain = facts.chain.as_ref()?;
    Some(status(chain.alias.as_ref().map_or(chain.initial, |alias| alias.1)))
}

fn tlsa_object(state: &TlsaState) -> Value {
    let (word, base, records, reason) = match state {
        TlsaState::Absent => return json!({ "state": "absent" }),
        TlsaState::Usable { base, records } => ("usable", base, &records[..], None),
        TlsaState::Unusable { base, records } => ("unusable", base, &records[..], None),
        TlsaState::Failed { base, reason } => ("failed", base, &[][..], Some(reason.to_string())),
    };
    json!({
        "state": word,
        "base_domain": base.0.as_ascii(),
        "records": records.iter().map(presented).collect::<Vec<_>>(),
        "reason": reason,
    })
}

fn attempt_object(attempt: &Attempt) -> Value {
    let channel = match attempt.channel {
        Channel::StartTls => "starttls",
        Channel::ImplicitTls => "tls",
        Channel::Plaintext => "plaintext",
    };
    let word = |enforcement| match enforcement {
        Enforcement::Enforce => "enforce",
        Enforcement::Record => "record",
    };
    let need = match attempt.need {
        TlsNeed::Nothing => "nothing",
        TlsNeed::Policy => "policy",
        TlsNeed::RequireTls => "requiretls",
    };
    json!({
        "channel": channel,
        "server_name": attempt.server_name.to_string(),
        "tls_needed_by": need,
        "pkix": word(attempt.pkix),
        "pkix_name": attempt.pkix_name.to_string(),
        "dane": attempt.dane.as_ref().map(|dane| json!({
            "enforcement": word(dane.enforcement),
            "records": dane.records.iter().map(presented).collect::<Vec<_>>(),
            "names": dane.names.iter().map(|name| name.as_ascii().to_owned()).collect::<Vec<_>>(),
        })),
        "requiretls_needed": attempt.extension == RequireTlsExtension::Needed,
        "counted_for": attempt.attribution.iter().map(|attribution| {
            let mut policy = policy_object(&attribution.policy);
            policy["standing_failure"] = json!(attribution.standing.as_ref().map(ToString::to_string));
            policy
        }).collect::<Vec<_>>(),
    })
}

fn policy_object(policy: &AttributedPolicy) -> Value {
    let scope = match policy.scope {
        Scope::RecipientDomain => "recipient-domain",
        Scope::MxHost => "mx-host",
    };
    let terms = match &policy.terms {
        Terms::Sts(_) => "sts",
        Terms::Tlsa(_) => "tlsa",
        Terms::NoPolicyFound => "no-policy-found",
    };
    json!({ "policy_domain": policy.domain.as_ascii(), "scope": scope, "policy_type": terms })
}

fn results_object(results: &[TlsResult]) -> Value {
    results
        .iter()
        .map(|result| {
            let mut object = policy_object(&result.policy);
            object["failure"] = json!(result.failure.as_ref().map(ToString::to_string));
            object
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mailstead_dns::{LookupErrorKind, Mx, RecordType, Target};
    use mailstead_names::Domain;
    use mailstead_queue::explain::explain;
    use mailstead_queue::facts::{Gatherer, Own, StsPolicies};
    use mailstead_queue::{Direct, InsecureMx, TlsRequirement, Transport, TransportKind};
    use mailstead_runtime::BoxFuture;
    use mailstead_testkit::{SeededRandom, Zones};
    use mailstead_tlspolicy::sts::Policy;

    use super::*;

    /// Every domain has this policy.
    #[derive(Debug)]
    struct OnePolicy(StsState);

    impl StsPolicies for OnePolicy {
        fn state<'a>(&'a self, _: &'a Domain) -> BoxFuture<'a, StsState> {
            Box::pin(std::future::ready(self.0.clone()))
        }
    }

    async fn explained(zones: Zones, sts: StsState, requirement: TlsRequirement, recipient: &str) -> Explanation {
        let gatherer = Gatherer {
            resolver: Arc::new(zones),
            sts: Arc::new(OnePolicy(sts)),
            random: Arc::new(SeededRandom::new(1)),
            own: Own::default(),
            insecure_mx: InsecureMx::default(),
        };
        let address = Address::parse(recipient).unwrap();
        let demand = Demand { requirement, ..Demand::default() };
        let direct = Transport::from(TransportKind::Direct(Direct::default()));
        explain(&gatherer, &direct, &address.host, demand).await
    }

    fn zones() -> Zones {
        let mx = |preference, exchange| Record::Mx(Mx { preference, exchange: Target::parse(exchange) });
        let tlsa = Tlsa { usage: 3, selector: 1, matching_type: 1, data: vec![7; 32] };
        Zones::new()
            .secure("example")
            .with("other.example", mx(10, "mx1.other.example"))
            .with("other.example", mx(20, "mx2.other.example"))
            .with("other.example", mx(30, "mx3.other.example"))
            .with("mx1.other.example", Record::A([192, 0, 2, 1].into()))
            .with("_25._tcp.mx1.other.example", Record::Tlsa(tlsa))
            .with("mx2.other.example", Record::A([192, 0, 2, 2].into()))
            .failing("_25._tcp.mx2.other.example", RecordType::Tlsa, LookupErrorKind::ServerFailure)
            .with("mx3.other.example", Record::A([192, 0, 2, 3].into()))
            .with("unsigned.test", mx(10, "mx.unsigned.test"))
            .with("mx.unsigned.test", Record::A([192, 0, 2, 4].into()))
    }

    #[tokio::test]
    async fn in_words_and_as_an_object() {
        let text = "version: STSv1\nmode: enforce\nmx: mx1.other.example\nmx: mx3.other.example\nmax_age: 86400\n";
        let sts = StsState::Policy { policy: Arc::new(Policy::parse(text).unwrap()), fallback: None };
        let recipient = "a@other.example";
        let explained = explained(zones(), sts, TlsRequirement::Opportunistic, recipient).await;
        insta::assert_snapshot!(words(recipient, &explained));
        insta::assert_snapshot!(serde_json::to_string_pretty(&object(recipient, &explained)).unwrap());
    }

    #[tokio::test]
    async fn of_every_kind() {
        let mut texts = Vec::new();
        for (recipient, requirement) in [
            ("a@unsigned.test", TlsRequirement::Opportunistic),
            ("a@unsigned.test", TlsRequirement::RequireTls),
            ("a@other.example", TlsRequirement::TlsRequiredNo),
            ("a@[192.0.2.9]", TlsRequirement::Opportunistic),
            ("a@nowhere.example", TlsRequirement::Opportunistic),
        ] {
            let explained = explained(zones(), StsState::NotFound, requirement, recipient).await;
            texts.push(words(recipient, &explained));
        }
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
