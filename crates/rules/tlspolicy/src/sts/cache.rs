//! The life of a policy in a cache (RFC 8461 §3.3, §5.1): pure, from what is known, what the DNS says and what was fetched,
//! to what is in force and what is to be kept.
//!
//! A policy that was fetched once outlives the record that announced it and the host that had it: whoever can take those
//! away cannot take away the protection before it ends by itself. A policy of mode `none` protects nothing and goes with
//! its record.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Mode, Policy, PolicyError, Record, RecordError};
use crate::facts::StsState;
use crate::report::{FailureReason, ResultType};
use crate::verify::CertificateFailure;

/// After a fetch that failed, the same version is not asked for again for so long (RFC 8461 §3.3).
const BACK_OFF: Duration = Duration::from_secs(5 * 60);
/// A policy that was not fetched for so long is fetched anew, before it is needed.
const REFRESH: Duration = Duration::from_secs(12 * 3600);
/// A policy that nobody needed for so long is dropped.
const UNUSED: Duration = Duration::from_secs(180 * 24 * 3600);

/// What is kept of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A policy.
    Policy {
        /// It.
        policy: Arc<Policy>,
        /// The `id` of the record under which it was fetched.
        id: String,
        /// When it was fetched.
        fetched: Timestamp,
        /// When it was last needed.
        used: Timestamp,
        /// A later fetch that failed, where it was the last.
        missed: Option<Missed>,
    },
    /// There was none to be had.
    Failed(Missed),
}

/// A fetch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Why.
    pub reason: FailureReason,
    /// The `id` of the record that announced the policy.
    pub id: String,
    /// When it was tried.
    pub at: Timestamp,
}

/// What the DNS says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// There is a policy.
    Record(Record),
    /// There is none.
    Nothing,
    /// There are records that make no sense, which counts as none (RFC 8461 §3.1).
    Malformed(RecordError),
    /// Nobody knows.
    Unknown(FailureReason),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This is in force.
    Settled(StsState),
    /// The policy is to be fetched, and [`settle`] to be asked.
    Fetch(Record),
}

/// Why a policy could not be fetched (RFC 8461 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Another answer than 200. Redirects are not followed.
    #[error("the host of the MTA-STS policy answered with HTTP status {0}")]
    Status(u16),
    /// The answer is not of the type `text/plain` (RFC 8461 §3.2).
    #[error("the MTA-STS policy is not of the media type text/plain")]
    MediaType,
    /// No connection, or one that broke.
    #[error("the host of the MTA-STS policy could not be reached: {0}")]
    Connection(String),
    /// No answer in time.
    #[error("the host of the MTA-STS policy did not answer in time")]
    Timeout,
    /// Its certificate cannot be trusted.
    #[error("the certificate of the MTA-STS policy's host cannot be trusted: {}", .0.detail)]
    Certificate(CertificateFailure),
    /// What it has is no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl FetchError {
    /// As it is reported (RFC 8460 §4.3.2.2).
    #[must_use]
    pub fn report(&self) -> FailureReason {
        let fetch = |code: String| FailureReason::with_code(ResultType::StsPolicyFetchError, code);
        match self {
            FetchError::Status(status) => fetch(format!("http-status-{status}")),
            FetchError::MediaType => FailureReason::with_code(ResultType::StsPolicyInvalid, "policy-media-type"),
            FetchError::Connection(_) => fetch("connection-failed".to_owned()),
            FetchError::Timeout => fetch("timed-out".to_owned()),
            FetchError::Certificate(failure) => {
                let CertificateFailure { reason: FailureReason { result, code }, .. } = failure;
                let code = if code.is_empty() { result.as_str() } else { code };
                FailureReason::with_code(ResultType::StsWebpkiInvalid, code)
            }
            FetchError::Policy(error) => error.report(),
        }
    }
}

/// What becomes of an entry that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// It is looked up and fetched anew.
    Refresh,
    /// It goes.
    Drop,
}

impl Entry {
    /// The policy, as long as it lives.
    fn living(&self, now: Timestamp) -> Option<(&Arc<Policy>, &str)> {
        match self {
            Entry::Policy { policy, id, fetched, .. } if is_within(*fetched, policy.max_age, now) => Some((policy, id)),
            _ => None,
        }
    }

    /// Whether the version of this record could not be fetched a short while ago.
    fn backs_off(&self, record: &Record, now: Timestamp) -> bool {
        let missed = match self {
            Entry::Policy { missed, .. } => missed.as_ref(),
            Entry::Failed(missed) => Some(missed),
        };
        missed.is_some_and(|missed| missed.id == record.id && is_within(missed.at, BACK_OFF, now))
    }

    /// What becomes of it. To be asked about once a day.
    #[must_use]
    pub fn fate(&self, now: Timestamp) -> Fate {
        match self {
            Entry::Failed(missed) if is_within(missed.at, BACK_OFF, now) => Fate::Keep,
            Entry::Failed(_) => Fate::Drop,
            Entry::Policy { used, .. } if !is_within(*used, UNUSED, now) => Fate::Drop,
            Entry::Policy { .. } if self.living(now).is_none() => Fate::Drop,
            Entry::Policy { fetched, .. } if is_within(*fetched, REFRESH, now) => Fate::Keep,
            Entry::Policy { .. } => Fate::Refresh,
        }
    }
}

/// What is in force, or that the policy must be fetched first.
#[must_use]
pub fn consult(entry: Option<&Entry>, announced: &Announced, now: Timestamp) -> Step {
    let living = entry.and_then(|entry| entry.living(now));
    let old = |reason: FailureReason| match living {
        Some((policy, _)) if policy.mode != Mode::None => Some(fallback(policy, &reason)),
        _ => None,
    };
    Step::Settled(match announced {
        Announced::Record(record) => match living {
            Some((policy, id)) if id == record.id => StsState::Policy { policy: Arc::clone(policy), fallback: None },
            _ if entry.is_some_and(|entry| entry.backs_off(record, now)) => {
                let code = "back-off-after-recent-fetch-error";
                let reason = FailureReason::with_code(ResultType::StsPolicyFetchError, code);
                match living {
                    Some((policy, _)) => fallback(policy, &reason),
                    None => StsState::FetchFailed(reason),
                }
            }
            _ => return Step::Fetch(record.clone()),
        },
        Announced::Nothing => {
            let gone = FailureReason::with_code(ResultType::StsPolicyFetchError, "mtasts-record-gone");
            old(gone).unwrap_or(StsState::NotFound)
        }
        Announced::Malformed(error) => old(error.report()).unwrap_or_else(|| StsState::FetchFailed(error.report())),
        Announced::Unknown(reason) => {
            let reason = || reason.clone();
            // Mode `none` needs nothing of the DNS: nothing is what it says.
            let none = living.map(|(policy, _)| fallback(policy, &reason()));
            old(reason()).or(none).unwrap_or_else(|| StsState::Undecided(reason()))
        }
    })
}

/// What is in force after a fetch, and what is to be kept.
#[must_use]
pub fn settle(
    entry: Option<&Entry>,
    record: &Record,
    fetched: Result<Policy, FetchError>,
    now: Timestamp,
) -> (StsState, Entry) {
    let id = record.id.clone();
    match (fetched, entry) {
        (Ok(policy), _) => {
            let policy = Arc::new(policy);
            let entry = Entry::Policy { policy: Arc::clone(&policy), id, fetched: now, used: now, missed: None };
            (StsState::Policy { policy, fallback: None }, entry)
        }
        // Under its own id, so that the new version is tried again, but not at once.
        (Err(error), Some(Entry::Policy { policy, id: kept, fetched, .. }))
            if is_within(*fetched, policy.max_age, now) =>
        {
            let reason = error.report();
            let state = fallback(policy, &reason);
            let (policy, kept, fetched) = (Arc::clone(policy), kept.clone(), *fetched);
            let missed = Some(Missed { reason, id, at: now });
            (state, Entry::Policy { policy, id: kept, fetched, used: now, missed })
        }
        (Err(error), _) => {
            let reason = error.report();
            (StsState::FetchFailed(reason.clone()), Entry::Failed(Missed { reason, id, at: now }))
        }
    }
}

fn fallback(policy: &Arc<Policy>, reason: &FailureReason) -> StsState {
    let code = format!("{}+fallback-to-cached-policy", reason.code);
    let fallback = Some(FailureReason::with_code(reason.result, code));
    StsState::Policy { policy: Arc::clone(policy), fallback }
}

/// Whether no more than this has passed. A clock that was set back makes nothing older.
fn is_within(since: Timestamp, span: Duration, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(since)).map_or(true, |passed| passed < span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// A policy that lives for a week, fetched under id 1.
    fn kept(mode: &str) -> Entry {
        let text = format!("version: STSv1\nmode: {mode}\nmx: mx.example.org\nmax_age: {}\n", 7 * DAY);
        let policy = Arc::new(Policy::parse(&text).unwrap());
        Entry::Policy { policy, id: "1".to_owned(), fetched: at(0), used: at(0), missed: None }
    }

    /// The same, of which version 2 could not be fetched on the first day.
    fn not_renewed() -> Entry {
        settle(Some(&kept("enforce")), &record("2"), Err(FetchError::Timeout), at(DAY)).1
    }

    fn record(id: &str) -> Record {
        Record { id: id.to_owned() }
    }

    fn failed() -> Entry {
        Entry::Failed(Missed { reason: FetchError::Timeout.report(), id: "1".to_owned(), at: at(0) })
    }

    fn announcements() -> [Announced; 5] {
        [
            Announced::Record(record("1")),
            Announced::Record(record("2")),
            Announced::Nothing,
            Announced::Malformed(RecordError::Several),
            Announced::Unknown(FailureReason::with_code(ResultType::ValidationFailure, "dns-timed-out")),
        ]
    }

    /// A step in a word.
    fn word(step: &Step) -> String {
        match step {
            Step::Fetch(record) => format!("fetch {}", record.id),
            Step::Settled(StsState::NotFound) => "none".to_owned(),
            Step::Settled(StsState::Policy { policy, fallback: None }) => policy.mode.to_string(),
            Step::Settled(StsState::Policy { policy, fallback: Some(reason) }) => {
                format!("{}, {}", policy.mode, reason.code)
            }
            Step::Settled(StsState::FetchFailed(reason)) => format!("failed, {}", reason.code),
            Step::Settled(StsState::Undecided(_)) => "undecided".to_owned(),
        }
    }

    #[test]
    fn everything_that_can_be_known_and_said() {
        let none = ["fetch 1", "fetch 2", "none", "failed, mtasts-multiple-records", "undecided"];
        let living = [
            "enforce",
            "fetch 2",
            "enforce, mtasts-record-gone+fallback-to-cached-policy",
            "enforce, mtasts-multiple-records+fallback-to-cached-policy",
            "enforce, dns-timed-out+fallback-to-cached-policy",
        ];
        let withdrawn = [
            "none",
            "fetch 2",
            "none",
            "failed, mtasts-multiple-records",
            "none, dns-timed-out+fallback-to-cached-policy",
        ];
        let not_yet = "enforce, back-off-after-recent-fetch-error+fallback-to-cached-policy";
        let renewed_later = [living[0], not_yet, living[2], living[3], living[4]];
        let backed_off = [
            "failed, back-off-after-recent-fetch-error",
            "fetch 2",
            "none",
            "failed, mtasts-multiple-records",
            "undecided",
        ];
        for (entry, now, expected) in [
            (None, 0, none),
            (Some(kept("enforce")), 7 * DAY - 1, living),
            (Some(kept("enforce")), 7 * DAY, none),
            (Some(kept("enforce")), -DAY, living),
            (Some(kept("none")), DAY, withdrawn),
            (Some(not_renewed()), DAY + 299, renewed_later),
            (Some(not_renewed()), DAY + 300, living),
            (Some(failed()), 299, backed_off),
            (Some(failed()), 300, none),
        ] {
            let steps = announcements().map(|announced| word(&consult(entry.as_ref(), &announced, at(now))));
            assert_eq!(steps, expected, "{entry:?} after {now} s");
        }
    }

    #[test]
    fn after_a_fetch() {
        let fresh = || Policy::parse("version: STSv1\nmode: testing\nmx: a.example\nmax_age: 60\n").unwrap();
        let (state, entry) = settle(Some(&kept("enforce")), &record("2"), Ok(fresh()), at(9));
        assert_eq!(word(&Step::Settled(state)), "testing");
        assert!(matches!(&entry, Entry::Policy { id, fetched, .. } if id == "2" && *fetched == at(9)));

        let failure = || Err(FetchError::Status(404));
        let (state, entry) = settle(Some(&kept("enforce")), &record("2"), failure(), at(9));
        assert_eq!(word(&Step::Settled(state)), "enforce, http-status-404+fallback-to-cached-policy");
        let Entry::Policy { id, fetched, used, missed, .. } = &entry else { panic!("{entry:?}") };
        assert_eq!((id.as_str(), *fetched, *used), ("1", at(0), at(9)), "the old one stays, under its id, and is used");
        assert!(matches!(missed, Some(Missed { id, at: when, .. }) if id == "2" && *when == at(9)));
        let (_, entry) = settle(Some(&entry), &record("2"), Ok(fresh()), at(400));
        assert!(matches!(entry, Entry::Policy { missed: None, .. }));

        // A version that was missed shortly before the old policy ended is not asked for more often than another.
        let (_, late) = settle(Some(&kept("enforce")), &record("2"), failure(), at(7 * DAY - 1));
        for (now, expected) in [(0, "failed, back-off-after-recent-fetch-error"), (300, "fetch 2")] {
            let announced = Announced::Record(record("2"));
            assert_eq!(word(&consult(Some(&late), &announced, at(7 * DAY + now))), expected);
        }

        for old in [None, Some(kept("enforce")), Some(failed())] {
            let (state, entry) = settle(old.as_ref(), &record("2"), failure(), at(8 * DAY));
            assert_eq!(word(&Step::Settled(state)), "failed, http-status-404");
            let again = consult(Some(&entry), &Announced::Record(record("2")), at(8 * DAY + 1));
            assert_eq!(word(&again), "failed, back-off-after-recent-fetch-error");
        }
    }

    #[test]
    fn what_becomes_of_entries() {
        let used = |days: i64| match kept("enforce") {
            Entry::Policy { policy, id, fetched, missed, .. } => {
                let policy = Arc::new(Policy { max_age: Duration::from_secs(365 * 24 * 3600), ..(*policy).clone() });
                Entry::Policy { policy, id, fetched, used: at(days * DAY), missed }
            }
            other => other,
        };
        for (entry, now, expected) in [
            (kept("enforce"), DAY / 2 - 1, Fate::Keep),
            (kept("enforce"), DAY / 2, Fate::Refresh),
            (kept("enforce"), 7 * DAY, Fate::Drop),
            (used(0), 179 * DAY, Fate::Refresh),
            (used(0), 180 * DAY, Fate::Drop),
            (used(100), 279 * DAY, Fate::Refresh),
            (failed(), 299, Fate::Keep),
            (failed(), 300, Fate::Drop),
        ] {
            assert_eq!(entry.fate(at(now)), expected, "{entry:?} after {now} s");
        }
    }

    #[test]
    fn what_is_reported() {
        let reason = FailureReason::new(ResultType::CertificateExpired);
        let certificate = FetchError::Certificate(CertificateFailure { reason, detail: "expired".to_owned() });
        assert_eq!(certificate.report().to_string(), "sts-webpki-invalid (certificate-expired)");
        assert_eq!(FetchError::Policy(PolicyError::NoMx).report().to_string(), "sts-policy-invalid (policy-mx)");
        assert_eq!(FetchError::MediaType.report().to_string(), "sts-policy-invalid (policy-media-type)");
        assert_eq!(FetchError::Timeout.report().to_string(), "sts-policy-fetch-error (timed-out)");
    }
}
