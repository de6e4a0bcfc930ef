//! What is known of the address of a client: its name (iprev, RFC 8601 §3), and lists of addresses (RFC 5782).

use mailstead_dns::Authenticity;
use mailstead_mailauth::dnsbl::{DnsblResult, Family, Health, Listing, Reason, check_dnsbl, check_health};
use mailstead_mailauth::iprev::{Verdict, check_iprev};
use mailstead_names::Domain;
use serde_json::{Value, json};

use super::options::{DnsblCommand, IprevOptions};
use super::{Finding, resolver};
use crate::failure::Failure;

/// `mailstead iprev`.
pub(crate) async fn iprev(options: IprevOptions) -> Result<(), Failure> {
    let resolver = resolver(&options.asking.source).await?;
    named(&check_iprev(&resolver, options.ip).await).show(options.asking.json)
}

/// `mailstead dnsbl`.
pub(crate) async fn dnsbl(command: DnsblCommand) -> Result<(), Failure> {
    match command {
        DnsblCommand::Check { zone, ip, asking } => {
            let resolver = resolver(&asking.source).await?;
            listed(&check_dnsbl(&resolver, &zone, ip).await).show(asking.json)
        }
        DnsblCommand::Health { zone, asking } => {
            let resolver = resolver(&asking.source).await?;
            let (ip4, ip6) =
                tokio::join!(check_health(&resolver, &zone, Family::V4), check_health(&resolver, &zone, Family::V6));
            health(&zone, &ip4, &ip6).show(asking.json)
        }
    }
}

pub(super) fn named(verdict: &Verdict) -> Finding {
    let about = format!("name of {}", verdict.ip);
    let mut finding = Finding::result(verdict.result.as_str(), &about, verdict.authenticity);
    finding.put("ip", json!(verdict.ip.to_string()));
    finding.put("name", json!(verdict.name().map(Domain::as_ascii)));
    finding.reasons([verdict.reason.to_string()]);
    finding.evidence(&verdict.evidence);
    finding
}

fn listed(listing: &Listing) -> Finding {
    let about = format!("{} at {}", listing.ip, listing.zone);
    let mut finding = Finding::result(listing.result.as_str(), &about, listing.authenticity);
    finding.put("ip", json!(listing.ip.to_string()));
    finding.put("zone", json!(listing.zone.as_ascii()));
    let codes: Vec<String> = match &listing.reason {
        Reason::Codes(codes) => codes.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    finding.put("codes", json!(codes));
    finding.reasons([listing.reason.to_string()]);
    if let Some(explanation) = &listing.explanation {
        finding.line(format_args!("the list explains: {explanation}"));
    }
    finding.put("explanation", json!(listing.explanation));
    finding.evidence(&listing.evidence);
    finding
}

fn healthy(health: &Health) -> &'static str {
    if health.is_healthy() {
        "healthy"
    } else if [&health.must_be_listed, &health.must_not_be_listed].iter().any(|l| l.result == DnsblResult::TempError) {
        "temperror"
    } else {
        "unhealthy"
    }
}

/// Lists need not have IPv6 addresses, so that the result is that for IPv4 unless only the other is one.
pub(super) fn health(zone: &Domain, ip4: &Health, ip6: &Health) -> Finding {
    let result = if ip6.is_healthy() { "healthy" } else { healthy(ip4) };
    let authenticity = [ip4, ip6]
        .iter()
        .flat_map(|health| [health.must_be_listed.authenticity, health.must_not_be_listed.authenticity])
        .fold(Authenticity::Secure, Authenticity::min);
    let mut finding = Finding::result(result, &format!("list {zone}"), authenticity);
    finding.put("zone", json!(zone.as_ascii()));
    for (family, key, health) in [("IPv4", "ip4", ip4), ("IPv6", "ip6", ip6)] {
        finding.line(format_args!("{family}: {}", healthy(health)));
        let mut tests = Vec::new();
        for (listing, wanted) in [(&health.must_be_listed, "must be"), (&health.must_not_be_listed, "must not be")] {
            let part = listed(listing);
            finding.line(format_args!("  {wanted} listed: {}", part.text.replace('\n', "\n    ")));
            tests.push(Value::Object(part.json));
        }
        finding.put(key, json!({ "result": healthy(health), "tests": tests }));
    }
    finding
}
