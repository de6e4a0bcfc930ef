use jiff::Timestamp;
use mailstead_names::{Domain, Host};
use mailstead_queue::TlsSession;
use mailstead_store::{Options, Store};
use mailstead_testkit::ManualClock;
use mailstead_tlspolicy::plan::{AttributedPolicy, Scope, Terms, TlsResult};
use mailstead_tlspolicy::report::{FailureReason, ResultType};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::Side;

struct Setting {
    ledger: Ledger,
    clock: ManualClock,
    directory: TempDir,
}

async fn open(directory: &TempDir, clock: &ManualClock) -> Store {
    Store::open(Options::new(directory.path(), clock.shared())).await.unwrap()
}

impl Setting {
    async fn new() -> Setting {
        let (directory, clock) = (TempDir::new().unwrap(), ManualClock::new());
        let store = open(&directory, &clock).await;
        let ledger = Ledger::new(store.tls_results(), clock.shared(), Metrics::default());
        Setting { ledger, clock, directory }
    }

    async fn rows(&self) -> Vec<LedgerRow> {
        let (rows, next) = self.ledger.list(None, 1000).await.unwrap();
        assert_eq!(next, None);
        rows
    }
}

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn result(scope: Scope, failure: Option<&str>) -> TlsResult {
    let name = match scope {
        Scope::RecipientDomain => "other.example",
        Scope::MxHost => "mx.other.example",
    };
    let policy = AttributedPolicy { domain: domain(name), scope, terms: Terms::NoPolicyFound };
    let failure = failure.map(|code| FailureReason::with_code(ResultType::ValidationFailure, code));
    TlsResult { policy, failure }
}

fn session(at: Timestamp, results: Vec<TlsResult>) -> TlsResults {
    let ip = |last| std::net::IpAddr::from([192, 0, 2, last]);
    TlsResults {
        recipient_domain: domain("other.example"),
        class: MessageClass::Submission,
        at,
        results,
        host: Some(Host::Domain(domain("mx.other.example"))),
        session: Some(TlsSession {
            sending_mta_ip: Some(ip(1)),
            receiving_ip: ip(25),
            receiving_mx_helo: Some("called.example".to_owned()),
        }),
    }
}

#[tokio::test]
async fn sessions_of_a_day_add_up_in_memory_and_on_the_disk() {
    let setting = Setting::new().await;
    let at: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let both = |failure| vec![result(Scope::RecipientDomain, failure), result(Scope::MxHost, None)];
    setting.ledger.record(session(at, both(None)));
    setting.ledger.record(session(at, both(Some("x"))));
    setting.ledger.flush().await;
    setting.ledger.record(session(at, both(Some("x"))));
    setting.ledger.flush().await;
    // What is on the disk is there for the next.
    let again = open_again(&setting).await;
    let (rows, _) = again.list(None, 10).await.unwrap();
    let [host, recipient] = &rows[..] else { panic!("{rows:#?}") };
    assert_eq!((host.side, recipient.side), (Side::MxHost, Side::RecipientDomain));
    assert_eq!(recipient.day.to_string(), "2026-11-25");
    assert!(recipient.causes_report);
    let [report] = &recipient.policies[..] else { panic!("{recipient:#?}") };
    assert_eq!(report.summary.total_successful_session_count, 1);
    assert_eq!(report.summary.total_failure_session_count, 2);
    let [details] = &report.failure_details[..] else { panic!("{report:#?}") };
    assert_eq!(details.failed_session_count, 2);
    assert_eq!(details.receiving_mx_hostname.as_deref(), Some("mx.other.example"));
    assert_eq!(details.receiving_mx_helo.as_deref(), Some("called.example"));
    assert_eq!(details.receiving_ip.as_deref(), Some("192.0.2.25"));
    assert_eq!(details.sending_mta_ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(host.policies[0].summary.total_successful_session_count, 3);
}

/// A ledger of a server that was started anew.
async fn open_again(setting: &Setting) -> Ledger {
    let store = open_again_store(setting).await;
    Ledger::new(store.tls_results(), setting.clock.shared(), Metrics::default())
}

async fn open_again_store(setting: &Setting) -> Store {
    let copy = TempDir::new().unwrap();
    for entry in std::fs::read_dir(setting.directory.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    open(&copy, &setting.clock).await
}

#[tokio::test]
async fn a_day_ends_at_midnight_utc() {
    let setting = Setting::new().await;
    for at in ["2026-11-25T23:59:59Z", "2026-11-26T00:00:00Z", "2026-11-26T00:30:00+01:00"] {
        setting.ledger.record(session(at.parse().unwrap(), vec![result(Scope::MxHost, None)]));
    }
    setting.ledger.flush().await;
    let counts: Vec<(String, u64)> = setting
        .rows()
        .await
        .iter()
        .map(|row| (row.day.to_string(), row.policies[0].summary.total_successful_session_count))
        .collect();
    assert_eq!(counts, [("2026-11-25".to_owned(), 2), ("2026-11-26".to_owned(), 1)]);
}

#[tokio::test]
async fn deliveries_of_reports_are_recorded_and_cause_none() {
    let setting = Setting::new().await;
    let at = setting.clock.now();
    let report = TlsResults { class: MessageClass::Report, ..session(at, vec![result(Scope::MxHost, Some("x"))]) };
    setting.ledger.record(report.clone());
    setting.ledger.flush().await;
    assert!(!setting.rows().await[0].causes_report);
    setting.ledger.record(session(at, vec![result(Scope::MxHost, None)]));
    setting.ledger.flush().await;
    setting.ledger.record(report);
    setting.ledger.flush().await;
    let row = setting.rows().await.remove(0);
    assert!(row.causes_report);
    assert_eq!(row.policies[0].summary.total_failure_session_count, 2);
}

#[tokio::test]
async fn what_waits_is_bounded_and_what_is_lost_is_counted() {
    let setting = Setting::new().await;
    let at = setting.clock.now();
    for number in 0..MOST_WAITING + 3 {
        let recipient_domain = domain(&format!("d{number}.example"));
        setting.ledger.record(TlsResults { recipient_domain, ..session(at, vec![result(Scope::MxHost, None)]) });
    }
    assert_eq!(setting.ledger.inner.metrics.lost_so_far(), 3);
    setting.ledger.flush().await;
    let mut seen = 0;
    let mut after = None;
    loop {
        let (rows, next) = setting.ledger.list(after, 999).await.unwrap();
        seen += rows.len();
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, MOST_WAITING);
}

#[tokio::test]
async fn what_cannot_be_written_waits_for_another_time_and_then_is_lost() {
    let setting = Setting::new().await;
    let at = setting.clock.now();
    let store = open_again_store(&setting).await;
    let ledger = Ledger::new(store.tls_results(), setting.clock.shared(), Metrics::default());
    store.close().await;
    ledger.record(session(at, vec![result(Scope::MxHost, None), result(Scope::RecipientDomain, None)]));
    for _ in 1..MOST_TRIES {
        ledger.flush().await;
        assert_eq!((ledger.waiting().len(), ledger.inner.metrics.lost_so_far()), (2, 0));
    }
    ledger.flush().await;
    assert_eq!((ledger.waiting().len(), ledger.inner.metrics.lost_so_far()), (0, 2));
}

#[tokio::test]
async fn by_itself_it_writes_after_a_while_and_forgets_old_days() {
    let setting = Setting::new().await;
    let at = setting.clock.now();
    let old = at - jiff::SignedDuration::from_hours(3 * 24);
    setting.ledger.record(session(old, vec![result(Scope::MxHost, None)]));
    setting.ledger.flush().await;
    setting.ledger.record(session(at, vec![result(Scope::MxHost, None)]));
    let shutdown = Shutdown::new(Duration::ZERO);
    let running = tokio::spawn({
        let (ledger, shutdown) = (setting.ledger.clone(), shutdown.clone());
        async move { ledger.run(shutdown).await }
    });
    let written = async {
        loop {
            let rows = setting.rows().await;
            if rows.len() == 1 && rows[0].day == jiff::tz::TimeZone::UTC.to_datetime(at).date() {
                break;
            }
            setting.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    shutdown.begin();
    running.await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Whatever is recorded in whatever order, with writes in between, is counted once.
    #[test]
    fn nothing_is_lost_or_counted_twice(
        sessions in proptest::collection::vec((0_i64..3, any::<bool>(), 0_usize..4, any::<bool>()), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let setting = Setting::new().await;
            let start = setting.clock.now();
            let (mut successes, mut failures) = (0, 0);
            for (day, host, code, flush) in &sessions {
                let scope = if *host { Scope::MxHost } else { Scope::RecipientDomain };
                let code = ["a", "b", "c"].get(*code).copied();
                if code.is_some() { failures += 1 } else { successes += 1 }
                let at = start + jiff::SignedDuration::from_hours(24 * day);
                setting.ledger.record(session(at, vec![result(scope, code)]));
                if *flush {
                    setting.ledger.flush().await;
                }
            }
            setting.ledger.flush().await;
            let (mut counted, mut failed, mut described) = (0, 0, 0);
            for report in setting.rows().await.iter().flat_map(|row| &row.policies) {
                counted += report.summary.total_successful_session_count;
                failed += report.summary.total_failure_session_count;
                described += report.failure_details.iter().map(|details| details.failed_session_count).sum::<u64>();
            }
            assert_eq!((counted, failed, described), (successes, failures, failures));
        });
    }
}
