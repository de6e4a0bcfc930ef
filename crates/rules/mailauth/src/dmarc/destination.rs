//! Whether somebody outside an organisation agreed to receive its reports (RFC 9990 §4).

use mailstead_dns::{Authenticity, LookupError, LookupErrorKind, Resolver, Txt};
use mailstead_names::Domain;

use super::record::Record;
use super::uri::ReportUri;
use super::walk::Walker;
use crate::Evidence;

/// What the receiver of reports says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// It belongs to the organisation that asks for the reports, and needs not be asked.
    Internal,
    /// It agreed.
    Authorized {
        /// Where it wants aggregate reports instead; empty where the address given is fine. Always of the same host.
        aggregate_reports: Vec<ReportUri>,
        /// The same for failure reports.
        failure_reports: Vec<ReportUri>,
    },
    /// It did not: no reports may go there.
    Unauthorized(Refusal),
    /// It is not known yet.
    Undecided(LookupErrorKind),
}

/// Why no reports may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The URI names no host that could be asked.
    #[error("the URI has no host name")]
    NoHost,
    /// The name of the record to ask for is longer than names can be.
    #[error("the name of the authorization record is too long")]
    NameTooLong,
    /// There is no such record.
    #[error("there is no authorization record")]
    NoRecord,
    /// The record sends reports to yet another host.
    #[error("the authorization record names another host")]
    OtherHost,
}

/// The answer with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationResult {
    /// The answer.
    pub destination: Destination,
    /// What was looked up.
    pub evidence: Evidence,
}

impl DestinationResult {
    /// Whether DNSSEC proved all of it.
    pub fn authenticity(&self) -> Authenticity {
        self.evidence.authenticity()
    }
}

/// Finds out whether reports about `policy_domain`, whose record names `uri`, may be sent there.
pub async fn verify_destination(resolver: &dyn Resolver, policy_domain: &Domain, uri: &ReportUri) -> DestinationResult {
    let mut walker = Walker::new(resolver);
    let destination =
        verify(&mut walker, policy_domain, uri).await.unwrap_or_else(|error| Destination::Undecided(error.kind));
    DestinationResult { destination, evidence: walker.evidence }
}

async fn verify(walker: &mut Walker<'_>, policy_domain: &Domain, uri: &ReportUri) -> Result<Destination, LookupError> {
    let Some(host) = uri.destination() else { return Ok(Destination::Unauthorized(Refusal::NoHost)) };
    if host == *policy_domain {
        return Ok(Destination::Internal);
    }
    let organization = walker.walk(policy_domain).await?.organizational_domain();
    if host.is_subdomain_of(&organization) && walker.walk(&host).await?.organizational_domain() == organization {
        return Ok(Destination::Internal);
    }
    let Ok(name) = host.prepend(&format!("{policy_domain}._report._dmarc")) else {
        return Ok(Destination::Unauthorized(Refusal::NameTooLong));
    };
    let answer = walker.evidence.records::<Txt>(walker.resolver, &name).await?;
    let records: Vec<Record> = answer.records.iter().filter_map(|txt| Record::parse(&txt.joined())).collect();
    if records.is_empty() {
        return Ok(Destination::Unauthorized(Refusal::NoRecord));
    }
    let all = |uris: fn(&Record) -> &Vec<ReportUri>| -> Vec<ReportUri> {
        records.iter().flat_map(|record| uris(record).iter().cloned()).collect()
    };
    let aggregate_reports = all(|record| &record.aggregate_reports);
    let failure_reports = all(|record| &record.failure_reports);
    if aggregate_reports.iter().chain(&failure_reports).any(|uri| uri.destination().as_ref() != Some(&host)) {
        return Ok(Destination::Unauthorized(Refusal::OtherHost));
    }
    Ok(Destination::Authorized { aggregate_reports, failure_reports })
}

#[cfg(test)]
mod tests {
    use mailstead_dns::{Record as DnsRecord, RecordType};
    use mailstead_testkit::Zones;

    use super::*;

    fn uri(text: &str) -> ReportUri {
        ReportUri::parse(text).unwrap()
    }

    fn zones(records: &[(&str, &str)]) -> Zones {
        records.iter().fold(Zones::new(), |zones, (name, text)| zones.with(name, DnsRecord::Txt(Txt::from(*text))))
    }

    async fn verify(zones: &Zones, policy_domain: &str, to: &str) -> Destination {
        let policy_domain = Domain::parse(policy_domain).unwrap();
        verify_destination(zones, &policy_domain, &uri(to)).await.destination
    }

    const AUTHORIZATION: &str = "example.com._report._dmarc.thirdparty.example.net";
    const RECORD: (&str, &str) = ("_dmarc.example.com", "v=DMARC1; p=none");

    fn authorized(aggregate: &[&str], failure: &[&str]) -> Destination {
        let uris = |texts: &[&str]| texts.iter().map(|text| uri(text)).collect();
        Destination::Authorized { aggregate_reports: uris(aggregate), failure_reports: uris(failure) }
    }

    #[tokio::test]
    async fn the_own_organization_needs_no_authorization() {
        let zones = zones(&[RECORD]);
        for (policy_domain, to) in [
            ("example.com", "mailto:a@example.com"),
            ("example.com", "mailto:a@reports.example.com"),
            ("mail.example.com", "mailto:a@example.com"),
            ("example.com", "https://reports.example.com/dmarc"),
        ] {
            assert_eq!(verify(&zones, policy_domain, to).await, Destination::Internal, "{policy_domain} {to}");
        }
        // The same host: no question.
        assert_eq!(zones.asked().iter().filter(|(name, _)| name.as_ascii() == "_dmarc.com").count(), 3);
    }

    /// RFC 9989 §B.2.3 and §B.2.4, RFC 9990 §4.
    #[tokio::test]
    async fn somebody_else_has_to_agree() {
        let to = "mailto:auth-reports@thirdparty.example.net";
        let refused = |refusal| Destination::Unauthorized(refusal);
        for (texts, expected) in [
            (&["v=DMARC1;"][..], authorized(&[], &[])),
            (&["v=DMARC1"], authorized(&[], &[])),
            (&["hello", "v=DMARC1"], authorized(&[], &[])),
            (&["v=DMARC1", "v=DMARC1;"], authorized(&[], &[])),
            (
                &["v=DMARC1; rua=mailto:aggregate-reports@thirdparty.example.net; \
                   ruf=mailto:failure-reports@thirdparty.example.net"],
                authorized(
                    &["mailto:aggregate-reports@thirdparty.example.net"],
                    &["mailto:failure-reports@thirdparty.example.net"],
                ),
            ),
            (&["v=DMARC1; rua=mailto:victim@example.org"], refused(Refusal::OtherHost)),
            (&["v=DMARC1; ruf=mailto:victim@example.net"], refused(Refusal::OtherHost)),
            (&["v=dmarc1"], refused(Refusal::NoRecord)),
            (&[], refused(Refusal::NoRecord)),
        ] {
            let records: Vec<_> = texts.iter().map(|text| (AUTHORIZATION, *text)).chain([RECORD]).collect();
            let zones = zones(&records);
            assert_eq!(verify(&zones, "example.com", to).await, expected, "{texts:?}");
            // Where its organisation begins does not matter.
            let asked: Vec<_> = zones.asked().into_iter().map(|(name, _)| name.to_string()).collect();
            assert_eq!(asked, ["_dmarc.example.com", "_dmarc.com", AUTHORIZATION]);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked() {
        let zones = zones(&[RECORD]);
        for (to, refusal) in [
            ("mailto:a@[192.0.2.1]", Refusal::NoHost),
            ("urn:example:x", Refusal::NoHost),
            (&format!("mailto:a@{}example.net", "a123456789.".repeat(20)), Refusal::NameTooLong),
        ] {
            assert_eq!(verify(&zones, "example.com", to).await, Destination::Unauthorized(refusal), "{to}");
        }
        let failing = zones.failing(AUTHORIZATION, RecordType::Txt, LookupErrorKind::Timeout);
        let result = verify(&failing, "example.com", "mailto:a@thirdparty.example.net").await;
        assert_eq!(result, Destination::Undecided(LookupErrorKind::Timeout));
    }

    /// A host below a public suffix is not of the organisation of another.
    #[tokio::test]
    async fn neighbours_are_strangers() {
        let zones = zones(&[
            ("_dmarc.bank.example", "v=DMARC1; p=none; psd=y"),
            ("_dmarc.giant.bank.example", "v=DMARC1; p=none"),
        ]);
        for (policy_domain, to) in [
            ("giant.bank.example", "mailto:a@mega.bank.example"),
            // The public suffix itself is not that of who registered below it.
            ("bank.example", "mailto:a@giant.bank.example"),
            ("giant.bank.example", "mailto:a@bank.example"),
        ] {
            let expected = Destination::Unauthorized(Refusal::NoRecord);
            assert_eq!(verify(&zones, policy_domain, to).await, expected, "{policy_domain} {to}");
        }
    }
}
