//! DMARC records and checks (RFC 9989).

use mailstead_mailauth::Evidence;
use mailstead_mailauth::crypto::AwsLcRs;
use mailstead_mailauth::dmarc::{
    Alignment, DmarcResult, Outcome, Policy, PolicySource, PublishedRecord, Record, ReportUri, TreeWalk,
    author_domains, evaluate, identifiers, walk,
};
use mailstead_mailauth::psl::is_public_suffix;
use mailstead_mailauth::{dkim, spf};
use mailstead_names::Domain;
use serde_json::{Value, json};

use super::options::DmarcCommand;
use super::{Finding, ehlo_name, now, resolver};
use crate::failure::Failure;

/// `mailstead dmarc`.
pub(crate) async fn run(command: DmarcCommand) -> Result<(), Failure> {
    match command {
        DmarcCommand::Lookup { domain, asking } => {
            let resolver = resolver(&asking.source).await?;
            let mut evidence = Evidence::default();
            match walk(&resolver, &domain, &mut evidence).await {
                Ok(walk) => walked(&walk, &evidence).show(asking.json),
                Err(error) => {
                    let about = format!("DMARC record for {domain}");
                    let mut finding = Finding::result("temperror", &about, evidence.authenticity());
                    finding.put("domain", json!(domain.as_ascii()));
                    finding.evidence(&evidence);
                    finding.show(asking.json)?;
                    Err(Failure::new(error.to_string()))
                }
            }
        }
        DmarcCommand::Verify { file, ip, mail_from, helo, asking } => {
            let ehlo = ehlo_name(helo, ip, &mail_from)?;
            let message = file.read()?;
            let resolver = resolver(&asking.source).await?;
            let query = spf::Query::mail_from(ip, &mail_from, &ehlo, now());
            let policy = dkim::Policy::new(now(), &is_public_suffix);
            let (spf, dkim) = tokio::join!(
                spf::check_host(&resolver, &query),
                dkim::verify(&message.octets, &AwsLcRs, &resolver, &policy)
            );
            let (header, _) = dkim::split_message(&message.octets);
            let dmarc = evaluate(&resolver, &author_domains(header), &identifiers(&spf, &dkim)).await;
            let mut finding = evaluated(&dmarc);
            finding.part("spf", super::spf::checked(&query, &spf));
            finding.part("dkim", super::dkim::verified(&dkim));
            finding.show(asking.json)
        }
    }
}

fn source(source: PolicySource) -> &'static str {
    match source {
        PolicySource::AuthorDomain => "the domain itself",
        PolicySource::OrganizationalDomain => "its organizational domain",
        PolicySource::PublicSuffixDomain => "the public suffix domain above it",
    }
}

fn source_word(source: PolicySource) -> &'static str {
    match source {
        PolicySource::AuthorDomain => "author-domain",
        PolicySource::OrganizationalDomain => "organizational-domain",
        PolicySource::PublicSuffixDomain => "public-suffix-domain",
    }
}

fn alignment_word(alignment: Alignment) -> &'static str {
    match alignment {
        Alignment::Strict => "strict",
        Alignment::Relaxed => "relaxed",
        Alignment::None => "none",
        Alignment::Undecided => "undecided",
        Alignment::Irrelevant => "irrelevant",
    }
}

fn record_json(record: &Record) -> Value {
    let policy = |policy: Option<Policy>| policy.map(Policy::as_str);
    let problems: Vec<String> = record.problems.iter().map(ToString::to_string).collect();
    json!({
        "text": record.to_string(),
        "policy": policy(record.policy),
        "subdomain_policy": policy(record.subdomain_policy),
        "nonexistent_policy": policy(record.nonexistent_policy),
        "testing": record.testing,
        "aggregate_reports": record.aggregate_reports.iter().map(ReportUri::as_str).collect::<Vec<_>>(),
        "failure_reports": record.failure_reports.iter().map(ReportUri::as_str).collect::<Vec<_>>(),
        "problems": problems,
    })
}

/// Which record applies, by a walk (§4.10).
pub(super) fn walked(walk: &TreeWalk, evidence: &Evidence) -> Finding {
    let applies = walk.policy();
    let organization = walk.organizational_domain();
    let (result, about) = match applies {
        Some((found, from)) if found.record.policy_is_valid() => ("valid", found_at(&walk.start, &found.domain, from)),
        Some((found, from)) => ("invalid", found_at(&walk.start, &found.domain, from)),
        None => ("none", format!("no DMARC record for {}", walk.start)),
    };
    let mut finding = Finding::result(result, &about, evidence.authenticity());
    finding.put("domain", json!(walk.start.as_ascii()));
    finding.put("organizational_domain", json!(organization.as_ascii()));
    finding.reasons(walk.ambiguous.iter().map(|name| format!("several DMARC records at {name}, all ignored")));
    finding.line(format_args!("organizational domain: {organization}"));
    for found in &walk.records {
        finding.line(format_args!("record of {}: {}", found.domain, found.record));
        for problem in &found.record.problems {
            finding.line(format_args!("  problem: {problem}"));
        }
    }
    let record =
        |found: &PublishedRecord| json!({ "domain": found.domain.as_ascii(), "record": record_json(&found.record) });
    finding.put("records", walk.records.iter().map(record).collect());
    let applies =
        applies.map(|(found, from)| json!({ "domain": found.domain.as_ascii(), "source": source_word(from) }));
    finding.put("applies", json!(applies));
    finding.evidence(evidence);
    finding
}

fn found_at(start: &Domain, domain: &Domain, from: PolicySource) -> String {
    format!("DMARC record for {start} from {domain}, {}", source(from))
}

/// What came of a message.
pub(super) fn evaluated(result: &DmarcResult) -> Finding {
    let author = result.author.as_ref().map_or("an unknown author", |author| author.as_ascii());
    let about = format!("DMARC for {author}, disposition {}", result.disposition);
    let mut finding = Finding::result(result.status.as_str(), &about, result.authenticity());
    finding.put("author", json!(result.author.as_ref().map(Domain::as_ascii)));
    finding.put("disposition", json!(result.disposition.as_str()));
    finding.put("organizational_domain", json!(result.organizational_domain.as_ref().map(Domain::as_ascii)));
    finding.reasons(result.reasons.iter().map(ToString::to_string));
    if let Some(policy) = &result.policy {
        let tested = if policy.effective == policy.published { "" } else { ", in test mode" };
        let from = source(policy.source);
        finding.line(format_args!("policy {} of {}, {from}{tested}", policy.published, policy.domain));
        finding.put(
            "policy",
            json!({
                "domain": policy.domain.as_ascii(),
                "source": source_word(policy.source),
                "published": policy.published.as_str(),
                "effective": policy.effective.as_str(),
                "record": record_json(&policy.record),
            }),
        );
    }
    let identifiers = result.identifiers.iter().map(|aligned| {
        let outcome = match aligned.identifier.outcome {
            Outcome::Pass => "pass",
            Outcome::TempError => "temperror",
            Outcome::Fail => "fail",
        };
        json!({
            "mechanism": aligned.identifier.mechanism.to_string().to_lowercase(),
            "domain": aligned.identifier.domain.as_ascii(),
            "outcome": outcome,
            "alignment": alignment_word(aligned.alignment),
        })
    });
    finding.put("identifiers", identifiers.collect());
    finding.evidence(&result.evidence);
    finding
}
