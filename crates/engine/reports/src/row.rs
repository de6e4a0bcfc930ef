//! The rows of the ledger: what one policy domain showed on one day to mail for one recipient domain.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use mailstead_queue::TlsResults;
use mailstead_store::{Payload, StoredTlsResults, TlsResultKey};
use mailstead_tlspolicy::plan::{Scope, TlsResult};
use mailstead_tlspolicy::report::{FailureDetails, Policy, PolicyReport};
use serde::{Deserialize, Serialize};

/// Version of the stored form.
const VERSION: u32 = 1;
/// Policies that one row tells apart, and octets of their texts: a day of changes at a domain, not of attempts to fill our
/// disk. Sessions under more of them are counted together.
const MOST_POLICIES: usize = 100;
const MOST_TEXT: usize = 256 * 1024;
/// Kinds of failure that one row tells apart. More of them are counted, and not described.
const MOST_DETAILS: usize = 1000;
/// Octets of a reason code.
const MOST_CODE: usize = 200;
/// Octets of what a host calls itself.
const MOST_NAME: usize = 255;
const DAY: i64 = 24 * 3600;

/// Whose policy a row is about. The two are reported apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The recipient's domain: MTA-STS, or no policy.
    RecipientDomain,
    /// The host: TLSA records, or no policy.
    MxHost,
}

impl Side {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Side::RecipientDomain => "recipient-domain",
            Side::MxHost => "mx-host",
        }
    }

    fn parse(word: &str) -> Option<Side> {
        [Side::RecipientDomain, Side::MxHost].into_iter().find(|side| side.as_str() == word)
    }
}

impl From<Scope> for Side {
    fn from(scope: Scope) -> Side {
        match scope {
            Scope::RecipientDomain => Side::RecipientDomain,
            Scope::MxHost => Side::MxHost,
        }
    }
}

/// A row, for people and for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerRow {
    /// The day, in UTC.
    pub day: Date,
    /// The domain that mail was for.
    pub recipient_domain: String,
    /// The policy domain (RFC 8460 §3): the recipient's or, for a host, the TLSA base domain or its name.
    pub policy_domain: String,
    /// Whose policy it is.
    pub side: Side,
    /// Whether anything in it is a reason for a report.
    pub causes_report: bool,
    /// What was found, by policy.
    pub policies: Vec<PolicyReport>,
}

/// What is stored of a row beside its key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    policies: Vec<PolicyReport>,
}

impl Counts {
    /// Adds one session, or what was known before one.
    pub(crate) fn record(&mut self, result: &TlsResult, results: &TlsResults) {
        let mut report = PolicyReport::of(result, details(results));
        for code in report.failure_details.iter_mut().filter_map(|details| details.failure_reason_code.as_mut()) {
            code.truncate((0..=MOST_CODE).rev().find(|end| code.is_char_boundary(*end)).unwrap_or(0));
        }
        self.add(report);
    }

    /// Adds what is counted elsewhere. Every session is counted; how much is told of them has bounds.
    fn add(&mut self, mut report: PolicyReport) {
        let is_known = self.policies.iter().any(|known| known.policy == report.policy);
        if !is_known && !self.has_room_for(&report.policy) {
            // The type is left, and there are few of those.
            report.policy.policy_string.clear();
            report.policy.mx_host.clear();
        }
        let known = self.policies.iter().find(|known| known.policy == report.policy);
        let described = known.map(|known| &known.failure_details[..]).unwrap_or_default();
        let mut room = MOST_DETAILS.saturating_sub(self.policies.iter().map(|known| known.failure_details.len()).sum());
        report.failure_details.retain(|new| {
            described.iter().any(|old| same(old, new)) || {
                let is_free = room > 0;
                room = room.saturating_sub(1);
                is_free
            }
        });
        report.add_to(&mut self.policies);
    }

    fn has_room_for(&self, policy: &Policy) -> bool {
        let text = |policy: &Policy| policy.policy_string.iter().chain(&policy.mx_host).map(String::len).sum::<usize>();
        let taken: usize = self.policies.iter().map(|known| text(&known.policy)).sum();
        self.policies.len() < MOST_POLICIES && taken + text(policy) <= MOST_TEXT
    }

    /// How many sessions are counted.
    pub(crate) fn sessions(&self) -> u64 {
        let of = |report: &PolicyReport| {
            let counts = report.summary;
            counts.total_successful_session_count.saturating_add(counts.total_failure_session_count)
        };
        self.policies.iter().map(of).sum()
    }

    /// Adds all that others have counted.
    pub(crate) fn absorb(&mut self, others: Counts) {
        others.policies.into_iter().for_each(|report| self.add(report));
    }

    pub(crate) fn encode(&self) -> Payload {
        // Text and numbers: there is nothing that could fail.
        Payload { version: VERSION, octets: serde_json::to_vec(self).unwrap_or_default() }
    }

    pub(crate) fn decode(payload: &Payload) -> Option<Counts> {
        if payload.version != VERSION {
            return None;
        }
        serde_json::from_slice(&payload.octets).ok()
    }
}

/// Whether two kinds of failure are one.
fn same(one: &FailureDetails, other: &FailureDetails) -> bool {
    *one == FailureDetails { failed_session_count: one.failed_session_count, ..other.clone() }
}

/// The sum of two payloads; `None` where a newer program wrote one of them.
pub(crate) fn sum(old: &Payload, new: &Payload) -> Option<Payload> {
    let mut sum = Counts::decode(old)?;
    sum.absorb(Counts::decode(new)?);
    Some(sum.encode())
}

/// What reports show of a connection (RFC 8460 §4.3).
fn details(results: &TlsResults) -> FailureDetails {
    let session = results.session.as_ref();
    let name = |name: &str| name.chars().filter(|c| !c.is_control()).take(MOST_NAME).collect();
    FailureDetails {
        sending_mta_ip: session.and_then(|session| Some(session.sending_mta_ip?.to_string())),
        receiving_mx_hostname: results.host.as_ref().map(ToString::to_string),
        receiving_mx_helo: session.and_then(|session| session.receiving_mx_helo.as_deref()).map(name),
        receiving_ip: session.map(|session| session.receiving_ip.to_string()),
        ..FailureDetails::default()
    }
}

/// The row that a result belongs to.
pub(crate) fn key(result: &TlsResult, results: &TlsResults) -> TlsResultKey {
    TlsResultKey {
        day: day(results.at),
        policy_domain: result.policy.domain.as_ascii().to_owned(),
        recipient_domain: results.recipient_domain.as_ascii().to_owned(),
        scope: Side::from(result.policy.scope).as_str().to_owned(),
    }
}

/// Days since 1970, in UTC.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY)
}

impl LedgerRow {
    /// `None` for what a newer program wrote.
    pub(crate) fn of(stored: StoredTlsResults) -> Option<LedgerRow> {
        let TlsResultKey { day, policy_domain, recipient_domain, scope } = stored.key;
        let start = Timestamp::from_second(day.checked_mul(DAY)?).ok()?;
        Some(LedgerRow {
            day: TimeZone::UTC.to_datetime(start).date(),
            recipient_domain,
            policy_domain,
            side: Side::parse(&scope)?,
            causes_report: stored.causes_report,
            policies: Counts::decode(&stored.payload)?.policies,
        })
    }
}

#[cfg(test)]
mod tests {
    use mailstead_tlspolicy::report::Summary;

    use super::*;

    fn failed(policy: usize, reason: usize) -> PolicyReport {
        let policy = Policy {
            policy_type: "no-policy-found".to_owned(),
            policy_string: Vec::new(),
            policy_domain: policy.to_string(),
            mx_host: Vec::new(),
        };
        let details = FailureDetails {
            failure_reason_code: Some(reason.to_string()),
            failed_session_count: 1,
            ..FailureDetails::default()
        };
        let summary = Summary { total_successful_session_count: 0, total_failure_session_count: 1 };
        PolicyReport { policy, summary, failure_details: vec![details] }
    }

    #[test]
    fn what_is_told_has_bounds_and_everything_is_counted() {
        let mut counts = Counts::default();
        for reason in 0..MOST_DETAILS + 50 {
            counts.add(failed(0, reason));
            counts.add(failed(0, 3));
        }
        let only = &counts.policies[0];
        assert_eq!(only.failure_details.len(), MOST_DETAILS);
        assert_eq!(only.summary.total_failure_session_count, 2 * (MOST_DETAILS as u64 + 50));
        assert_eq!(only.failure_details[1].failed_session_count, MOST_DETAILS as u64 + 51);
        let before = counts.sessions();
        for policy in 0..MOST_POLICIES + 5 {
            let mut report = failed(0, 0);
            report.policy.policy_string = vec![policy.to_string()];
            counts.add(report);
        }
        assert!(counts.policies.len() <= MOST_POLICIES + 1);
        assert_eq!(counts.sessions(), before + MOST_POLICIES as u64 + 5);

        // Policies as long as they may be, with as many failures as are told of, added up from two halves.
        let mut large = [Counts::default(), Counts::default()];
        for number in 0..MOST_POLICIES * 20 {
            let mut report = failed(0, number);
            report.policy.policy_string = vec![format!("{number} {}", "x".repeat(64 * 1024))];
            large[number % 2].add(report);
        }
        let sum = sum(&large[0].encode(), &large[1].encode()).unwrap();
        assert!(sum.octets.len() < 2 << 20, "{}", sum.octets.len());
        assert_eq!(Counts::decode(&sum).unwrap().sessions(), MOST_POLICIES as u64 * 20);
    }

    /// What was stored is read by the next version.
    #[test]
    fn the_stored_form_stays() {
        let octets = r#"{"policies":[{"policy":{"policy-type":"no-policy-found","policy-domain":"7"},"summary":{"total-successful-session-count":0,"total-failure-session-count":1},"failure-details":[{"result-type":"","failed-session-count":1,"failure-reason-code":"3"}]}]}"#;
        let mut counts = Counts::default();
        counts.add(failed(7, 3));
        assert_eq!(std::str::from_utf8(&counts.encode().octets).unwrap(), octets);
        assert_eq!(Counts::decode(&counts.encode()).unwrap().policies, counts.policies);
        assert!(sum(&Payload { version: 2, octets: Vec::new() }, &counts.encode()).is_none());
    }
}
