//! MTA-STS records and policies (RFC 8461).

use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::LookupError;
use mailstead_mailauth::Evidence;
use mailstead_names::Domain;
use mailstead_net::{AddressPolicy, DirectDialer};
use mailstead_queue::PolicyFetcher;
use mailstead_tlspolicy::sts::{FetchError, Mode, Policy, RECORD_LABEL, Record, RecordError};
use serde_json::{Value, json};

use super::options::transport::{MtastsCommand, PolicyCacheCommand};
use super::{Finding, resolver, texts};
use crate::control;
use crate::failure::Failure;
use crate::operations::{Form, Request};

/// How long a policy may take (RFC 8461 §3.3).
const PATIENCE: Duration = Duration::from_secs(60);

/// `mailstead mtasts`.
pub(crate) async fn run(command: MtastsCommand) -> Result<(), Failure> {
    let (domain, private_addresses, trust, asking) = match command {
        MtastsCommand::Lookup { domain, private_addresses, trust, asking } => {
            (domain, private_addresses, trust, asking)
        }
        MtastsCommand::Cache(PolicyCacheCommand::List { json, place }) => {
            let form = if json { Form::Json } else { Form::Words };
            return control::run(&place, Request::PolicyCache { form }).await;
        }
        MtastsCommand::Cache(PolicyCacheCommand::Remove { domain, place }) => {
            let domain = domain.as_ascii().to_owned();
            return control::run(&place, Request::PolicyForget { domain }).await;
        }
    };
    let policy = if private_addresses { AddressPolicy::Any } else { AddressPolicy::Public };
    let roots = trust.roots()?;
    let fetcher = PolicyFetcher {
        dialer: Arc::new(DirectDialer::new(policy)),
        resolver: Arc::new(resolver(&asking.source).await?),
        roots,
        patience: PATIENCE,
    };
    let mut evidence = Evidence::default();
    let found = look_up(&domain, &fetcher, &mut evidence).await?;
    shown(&domain, &found, &evidence).show(asking.json)?;
    match found {
        Found::Nothing | Found::Policy(..) => Ok(()),
        Found::Unknown(error) => Err(Failure::new(error.to_string())),
        Found::Malformed(error) => Err(Failure::new(error.to_string())),
        Found::NotFetched(_, error) => Err(Failure::new(error.to_string())),
    }
}

/// What a domain says.
#[derive(Debug)]
enum Found {
    /// It has no record.
    Nothing,
    /// It is not known whether it has one.
    Unknown(LookupError),
    /// What it has is none.
    Malformed(RecordError),
    /// It has a record without a policy behind it.
    NotFetched(Record, FetchError),
    /// It has both.
    Policy(Record, Policy),
}

async fn look_up(domain: &Domain, fetcher: &PolicyFetcher, evidence: &mut Evidence) -> Result<Found, Failure> {
    let texts = match texts(domain, RECORD_LABEL, &*fetcher.resolver, evidence).await? {
        Ok(texts) => texts,
        Err(error) => return Ok(Found::Unknown(error)),
    };
    Ok(match Record::find(texts.iter().map(String::as_str)) {
        Ok(None) => Found::Nothing,
        Err(error) => Found::Malformed(error),
        Ok(Some(record)) => match fetcher.fetch(domain).await {
            Ok(policy) => Found::Policy(record, policy),
            Err(error) => Found::NotFetched(record, error),
        },
    })
}

fn shown(domain: &Domain, found: &Found, evidence: &Evidence) -> Finding {
    let (result, reason) = match found {
        Found::Nothing => ("none", Some("the domain has no MTA-STS record".to_owned())),
        Found::Unknown(_) => ("temperror", None),
        Found::Malformed(error) => ("invalid", Some(error.to_string())),
        Found::NotFetched(_, error @ FetchError::Policy(_)) => ("invalid", Some(error.to_string())),
        Found::NotFetched(_, error) => ("unavailable", Some(error.to_string())),
        Found::Policy(..) => ("valid", None),
    };
    let mut finding = Finding::result(result, &format!("MTA-STS of {domain}"), evidence.authenticity());
    finding.put("domain", json!(domain.as_ascii()));
    finding.reasons(reason);
    let (record, policy) = match found {
        Found::Policy(record, policy) => (Some(record), Some(policy)),
        Found::NotFetched(record, error) => {
            finding.put("report", json!(error.report().to_string()));
            (Some(record), None)
        }
        Found::Nothing | Found::Unknown(_) | Found::Malformed(_) => (None, None),
    };
    if let Some(record) = record {
        finding.line(format_args!("record: {record}"));
    }
    finding.put("record", json!(record.map(|record| json!({ "id": record.id, "text": record.to_string() }))));
    if let Some(policy) = policy {
        policy_lines(&mut finding, policy);
    }
    finding.put("policy", json!(policy.map(policy_json)));
    finding.evidence(evidence);
    finding
}

fn policy_lines(finding: &mut Finding, policy: &Policy) {
    let meaning = match policy.mode {
        Mode::Enforce => "mail goes only to the hosts below, and only over verified TLS",
        Mode::Testing => "mail goes anywhere, and failures are reported",
        Mode::None => "there is no policy any more",
    };
    finding.line(format_args!("mode: {}: {meaning}", policy.mode));
    for pattern in &policy.mx {
        finding.line(format_args!("host: {pattern}"));
    }
    finding.line(format_args!("may be kept for {} s", policy.max_age.as_secs()));
}

fn policy_json(policy: &Policy) -> Value {
    json!({
        "mode": policy.mode.as_str(),
        "mx": policy.mx.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "max_age": policy.max_age.as_secs(),
        "text": policy.text,
    })
}

#[cfg(test)]
mod tests {
    use mailstead_dns::{LookupErrorKind, Record as DnsRecord, RecordType, Txt};
    use mailstead_testkit::{Certificates, MemoryDialer, Zones};
    use mailstead_tlspolicy::sts::PolicyError;

    use super::*;

    const POLICY: &str =
        "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmx: *.mail.example.net\r\nmax_age: 604800\r\n";

    /// What is found with these records, where nobody has a policy.
    async fn found(texts: &[&str]) -> (Found, Evidence) {
        let record = |zones: Zones, text: &&str| zones.with("_mta-sts.example.org", DnsRecord::Txt(Txt::from(*text)));
        let zones = texts.iter().fold(Zones::new().secure("example.org"), record);
        found_in(zones).await
    }

    async fn found_in(zones: Zones) -> (Found, Evidence) {
        let fetcher = PolicyFetcher {
            dialer: MemoryDialer::new(),
            resolver: Arc::new(zones),
            roots: Certificates::roots(),
            patience: PATIENCE,
        };
        let mut evidence = Evidence::default();
        let found = look_up(&example(), &fetcher, &mut evidence).await.unwrap();
        (found, evidence)
    }

    fn example() -> Domain {
        Domain::parse("example.org").unwrap()
    }

    #[tokio::test]
    async fn policies_in_words_and_as_an_object() {
        let (_, evidence) = found(&["v=STSv1; id=20260101"]).await;
        let record = Record { id: "20260101".to_owned() };
        let finding = shown(&example(), &Found::Policy(record, Policy::parse(POLICY).unwrap()), &evidence);
        insta::assert_snapshot!(finding.text);
        insta::assert_snapshot!(serde_json::to_string_pretty(&finding.json).unwrap());
    }

    #[tokio::test]
    async fn what_may_be_missing() {
        let mut texts = Vec::new();
        for (records, expected) in [
            (&[][..], "none"),
            (&["v=spf1 -all"], "none"),
            (&["v=STSv1; id=a-b"], "invalid"),
            (&["v=STSv1; id=1", "v=STSv1; id=2"], "invalid"),
            (&["v=STSv1; id=1"], "unavailable"),
        ] {
            let (found, evidence) = found(records).await;
            let finding = shown(&example(), &found, &evidence);
            assert_eq!(finding.json["result"], expected, "{records:?}");
            assert_eq!(finding.json["policy"], Value::Null);
            texts.push(finding.text);
        }
        let bogus = Zones::new().failing("_mta-sts.example.org", RecordType::Txt, LookupErrorKind::Bogus);
        let (found, evidence) = found_in(bogus).await;
        let finding = shown(&example(), &found, &evidence);
        assert_eq!(finding.json["result"], "temperror");
        texts.push(finding.text);
        let invalid = Found::NotFetched(Record { id: "1".to_owned() }, FetchError::Policy(PolicyError::NoMx));
        let finding = shown(&example(), &invalid, &Evidence::default());
        assert_eq!(
            (&finding.json["result"], &finding.json["report"]),
            (&json!("invalid"), &json!("sts-policy-invalid (policy-mx)"))
        );
        texts.push(finding.text);
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
