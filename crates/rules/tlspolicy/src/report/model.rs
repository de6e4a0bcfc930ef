//! The report itself (RFC 8460 §4.4): composed, read, and added up.

use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize};

use crate::plan::{AttributedPolicy, Terms, TlsResult};

/// Most octets of a report that are read.
pub const MAX_REPORT: usize = 20 * 1024 * 1024;
/// How gzip begins (RFC 1952 §2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// Most policies of a report, and most details of a policy.
const MOST_POLICIES: usize = 10_000;
const MOST_DETAILS: usize = 100_000;

/// Why octets are not a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// More than [`MAX_REPORT`] octets.
    #[error("the TLS report is larger than 20 MiB")]
    TooLarge,
    /// The compression is damaged, or ends too early.
    #[error("the TLS report cannot be decompressed: {0}")]
    Compression(io::Error),
    /// It is not JSON, or not as RFC 8460 wants it.
    #[error("the TLS report is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// More than 10,000 policies, or 100,000 failure details of one.
    #[error("the TLS report has too many policies or details")]
    TooMany,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Who reports.
    #[serde(default)]
    pub organization_name: String,
    /// Which time it is about, both ends included.
    pub date_range: DateRange,
    /// How to reach them.
    #[serde(default)]
    pub contact_info: String,
    /// Unique with who reports it.
    pub report_id: String,
    /// What was found, by policy.
    #[serde(default)]
    pub policies: Vec<PolicyReport>,
}

/// The time that a report is about: a day of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DateRange {
    /// Its first second.
    #[serde(deserialize_with = "moment")]
    pub start_datetime: Timestamp,
    /// Its last second.
    #[serde(deserialize_with = "moment")]
    pub end_datetime: Timestamp,
}

/// What was found under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyReport {
    /// The policy.
    pub policy: Policy,
    /// How many sessions there were.
    pub summary: Summary,
    /// Those that failed, by what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<FailureDetails>,
}

/// A policy as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// `tlsa`, `sts`, `no-policy-found`, or what a later RFC has.
    pub policy_type: String,
    /// Its lines or records.
    #[serde(default, deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    /// Whose it is.
    pub policy_domain: String,
    /// The patterns of an MTA-STS policy, or the host of TLSA records. RFC 8460 has an array; some send one string.
    #[serde(default, deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub mx_host: Vec<String>,
}

/// How many sessions there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// With TLS as the policy wants it.
    pub total_successful_session_count: u64,
    /// Without.
    pub total_failure_session_count: u64,
}

/// Sessions that failed in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureDetails {
    /// One of [`ResultType`](super::ResultType), or what a later RFC has.
    pub result_type: String,
    /// Address of who sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<String>,
    /// The host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// What the host calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_helo: Option<String>,
    /// Address of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<String>,
    /// How many.
    pub failed_session_count: u64,
    /// More about it, or where there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_information: Option<String>,
    /// What went wrong, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

impl Report {
    /// Reads a report as it is sent: compressed by gzip or not (RFC 8460 §5.2), at most [`MAX_REPORT`] octets after
    /// decompression.
    ///
    /// # Errors
    /// [`ReportError`]
    pub fn read(octets: &[u8]) -> Result<Report, ReportError> {
        if !octets.starts_with(GZIP) {
            return Report::parse(octets);
        }
        let mut json = Vec::new();
        let most = u64::try_from(MAX_REPORT).unwrap_or(u64::MAX).saturating_add(1);
        MultiGzDecoder::new(octets).take(most).read_to_end(&mut json).map_err(ReportError::Compression)?;
        Report::parse(&json)
    }

    /// Reads a report that is not compressed.
    ///
    /// # Errors
    /// [`ReportError`]
    pub fn parse(octets: &[u8]) -> Result<Report, ReportError> {
        if octets.len() > MAX_REPORT {
            return Err(ReportError::TooLarge);
        }
        let report: Report = serde_json::from_slice(octets)?;
        let is_long = report.policies.iter().any(|policy| policy.failure_details.len() > MOST_DETAILS);
        if is_long || report.policies.len() > MOST_POLICIES {
            return Err(ReportError::TooMany);
        }
        Ok(report)
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// None in practice: everything in a report is text and numbers.
    pub fn compose(&self) -> Result<Vec<u8>, ReportError> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// The name of its file (RFC 8460 §5.1), without the ending of a compression. Seconds since 1970.
    #[must_use]
    pub fn file_name(&self, submitter: &str, policy_domain: &str) -> String {
        let DateRange { start_datetime, end_datetime } = &self.date_range;
        format!("{submitter}!{policy_domain}!{}!{}.json", start_datetime.as_second(), end_datetime.as_second())
    }
}

impl Policy {
    /// As a report shows a policy.
    #[must_use]
    pub fn of(policy: &AttributedPolicy) -> Policy {
        let (policy_type, policy_string, mx_host) = match &policy.terms {
            Terms::Sts(sts) => {
                ("sts", sts.lines().map(str::to_owned).collect(), sts.mx.iter().map(ToString::to_string).collect())
            }
            Terms::Tlsa(records) => {
                let shown = |record: &mailstead_dns::Tlsa| mailstead_dns::Record::Tlsa(record.clone()).to_string();
                let mut records: Vec<String> = records.iter().map(shown).collect();
                // The DNS has no order, and equal policies must be equal.
                records.sort();
                ("tlsa", records, vec![policy.domain.to_string()])
            }
            Terms::NoPolicyFound => ("no-policy-found", Vec::new(), Vec::new()),
        };
        let policy_domain = policy.domain.to_string();
        Policy { policy_type: policy_type.to_owned(), policy_string, policy_domain, mx_host }
    }
}

impl PolicyReport {
    /// One session. `details` are of the connection; type, reason and count come from the result.
    #[must_use]
    pub fn of(result: &TlsResult, details: FailureDetails) -> PolicyReport {
        let policy = Policy::of(&result.policy);
        let Some(failure) = &result.failure else {
            let summary = Summary { total_successful_session_count: 1, total_failure_session_count: 0 };
            return PolicyReport { policy, summary, failure_details: Vec::new() };
        };
        let details = FailureDetails {
            result_type: failure.result.as_str().to_owned(),
            failed_session_count: 1,
            failure_reason_code: (!failure.code.is_empty()).then(|| failure.code.clone()),
            ..details
        };
        let summary = Summary { total_successful_session_count: 0, total_failure_session_count: 1 };
        PolicyReport { policy, summary, failure_details: vec![details] }
    }

    /// Adds it to others: what is equal but for its count is counted together.
    pub fn add_to(self, reports: &mut Vec<PolicyReport>) {
        let Some(same) = reports.iter_mut().find(|report| report.policy == self.policy) else {
            return reports.push(self);
        };
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        add(&mut same.summary.total_successful_session_count, self.summary.total_successful_session_count);
        add(&mut same.summary.total_failure_session_count, self.summary.total_failure_session_count);
        for details in self.failure_details {
            let count = details.failed_session_count;
            let is_same = |known: &&mut FailureDetails| {
                **known == FailureDetails { failed_session_count: known.failed_session_count, ..details.clone() }
            };
            match same.failure_details.iter_mut().find(is_same) {
                Some(known) => add(&mut known.failed_session_count, count),
                None => same.failure_details.push(details),
            }
        }
    }
}

/// RFC 3339, or the same without a zone, as at least one large sender writes it; then it is UTC.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let without_zone = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    let moment = text.parse::<Timestamp>().ok().or_else(without_zone);
    moment.ok_or_else(|| {
        serde::de::Error::custom(format!("{:?} is no date and time", text.chars().take(40).collect::<String>()))
    })
}

/// An array, or its only element.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
        None(()),
    }
    Ok(match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
        OneOrMore::None(()) => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use mailstead_dns::Tlsa;
    use mailstead_names::Domain;

    use super::*;
    use crate::plan::Scope;
    use crate::report::{FailureReason, ResultType};
    use crate::sts;

    fn result(terms: Terms, failure: Option<FailureReason>) -> TlsResult {
        let domain = Domain::parse("example.org").unwrap();
        TlsResult { policy: AttributedPolicy { domain, scope: Scope::RecipientDomain, terms }, failure }
    }

    fn sts() -> Terms {
        let text = "version: STSv1\r\nmode: testing\r\nmx: *.mail.example.org\r\nmax_age: 86400\r\n";
        Terms::Sts(Arc::new(sts::Policy::parse(text).unwrap()))
    }

    fn report(policies: Vec<PolicyReport>) -> Report {
        let at = |text: &str| text.parse().unwrap();
        Report {
            organization_name: "Company".to_owned(),
            date_range: DateRange {
                start_datetime: at("2026-11-25T00:00:00Z"),
                end_datetime: at("2026-11-25T23:59:59Z"),
            },
            contact_info: "postmaster@mx.example.net".to_owned(),
            report_id: "20261125.example.org@mx.example.net".to_owned(),
            policies,
        }
    }

    #[test]
    fn sessions_add_up() {
        let mismatch = || Some(FailureReason::new(ResultType::CertificateHostMismatch));
        let expired = || Some(FailureReason::with_code(ResultType::CertificateExpired, "yesterday"));
        let host =
            |name: &str| FailureDetails { receiving_mx_hostname: Some(name.to_owned()), ..FailureDetails::default() };
        let mut policies = Vec::new();
        for (failure, host) in [
            (None, host("a")),
            (mismatch(), host("a")),
            (mismatch(), host("a")),
            (mismatch(), host("b")),
            (expired(), host("a")),
            (None, host("b")),
        ] {
            PolicyReport::of(&result(sts(), failure), host).add_to(&mut policies);
        }
        let tlsa = Terms::Tlsa(vec![Tlsa { usage: 3, selector: 1, matching_type: 1, data: vec![0xab; 2] }]);
        PolicyReport::of(&result(tlsa, None), FailureDetails::default()).add_to(&mut policies);
        assert_eq!(policies.len(), 2);
        assert_eq!(policies[0].summary, Summary { total_successful_session_count: 2, total_failure_session_count: 4 });
        let counts: Vec<_> = policies[0].failure_details.iter().map(|details| details.failed_session_count).collect();
        assert_eq!(counts, [2, 1, 1]);
        let types: Vec<_> = policies[0].failure_details.iter().map(|details| details.result_type.as_str()).collect();
        assert_eq!(types, ["certificate-host-mismatch", "certificate-host-mismatch", "certificate-expired"]);
        // Those of a whole report count as often as they say.
        let more = policies[0].clone();
        let mut twice = policies.clone();
        more.clone().add_to(&mut twice);
        more.add_to(&mut twice);
        let counts: Vec<_> = twice[0].failure_details.iter().map(|details| details.failed_session_count).collect();
        assert_eq!(counts, [6, 3, 3]);
        assert_eq!(policies[0].policy.mx_host, ["*.mail.example.org"]);
        assert_eq!(policies[1].policy.policy_string, ["3 1 1 abab"]);

        let report = report(policies);
        let composed = report.compose().unwrap();
        assert_eq!(Report::parse(&composed).unwrap(), report);
        assert_eq!(
            report.file_name("mx.example.net", "example.org"),
            "mx.example.net!example.org!1795564800!1795651199.json"
        );
        let shown = String::from_utf8(composed).unwrap();
        for wanted in [
            "\"start-datetime\": \"2026-11-25T00:00:00Z\"",
            "\"total-failure-session-count\": 4",
            "\"failure-reason-code\": \"yesterday\"",
        ] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
    }

    #[test]
    fn compressed_reports() {
        let report = report(vec![PolicyReport::of(&result(sts(), None), FailureDetails::default())]);
        let gzip = |octets: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(octets).unwrap();
            encoder.finish().unwrap()
        };
        let json = report.compose().unwrap();
        assert_eq!(Report::read(&json).unwrap(), report);
        assert_eq!(Report::read(&gzip(&json)).unwrap(), report);
        // In several members (RFC 1952 §2.2).
        let (first, second) = json.split_at(100);
        assert_eq!(Report::read(&[gzip(first), gzip(second)].concat()).unwrap(), report);
        let compressed = gzip(&json);
        for end in [2, 10, 30, compressed.len() - 1] {
            assert!(matches!(Report::read(&compressed[..end]), Err(ReportError::Compression(_))), "{end}");
        }
        // 20 KB that would become more than 20 MB are not looked at further.
        assert!(matches!(Report::read(&gzip(&vec![b' '; MAX_REPORT + 1])), Err(ReportError::TooLarge)));
    }

    /// What others send: no zone, one string for an array, types that we do not know, members that nobody knows.
    #[test]
    fn reports_of_others() {
        let text = r#"{"organization-name": "Other", "date-range": {"start-datetime": "2026-11-25T00:00:00",
            "end-datetime": "2026-11-25T23:59:59+00:00"}, "contact-info": "x", "report-id": "1", "colour": "blue",
            "policies": [{"policy": {"policy-type": "new", "policy-string": null, "policy-domain": "example.org",
            "mx-host": ".mail.example.org"}, "summary": {"total-successful-session-count": 1,
            "total-failure-session-count": 2}, "failure-details": [{"result-type": "gone-fishing",
            "failed-session-count": 2}]}]}"#;
        let report = Report::parse(text.as_bytes()).unwrap();
        assert_eq!(report.date_range, self::report(Vec::new()).date_range);
        assert_eq!(report.policies[0].policy.mx_host, [".mail.example.org"]);
        assert_eq!(report.policies[0].failure_details[0].result_type, "gone-fishing");
        for bad in
            ["", "[]", "{}", &text.replace("2026-11-25T00:00:00\"", "yesterday\""), &text.replace(": 2}", ": -2}")]
        {
            assert!(Report::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = |what: &str, one: &str, number: usize| text.replace(what, &vec![one; number].join(","));
        let policy = text.split_once("\"policies\": [").unwrap().1.rsplit_once("]}").unwrap().0;
        let detail = r#"{"result-type": "gone-fishing",
            "failed-session-count": 2}"#;
        for (what, one, most) in [(policy, policy, MOST_POLICIES), (detail, detail, MOST_DETAILS)] {
            assert!(Report::parse(many(what, one, most).as_bytes()).is_ok());
            assert!(matches!(Report::parse(many(what, one, most + 1).as_bytes()), Err(ReportError::TooMany)));
        }
        assert!(!matches!(Report::parse(&vec![b' '; MAX_REPORT]), Err(ReportError::TooLarge)));
        assert!(matches!(Report::parse(&vec![b' '; MAX_REPORT + 1]), Err(ReportError::TooLarge)));
    }
}
