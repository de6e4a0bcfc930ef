use std::net::SocketAddr;

use jiff::Timestamp;
use mailstead_dns::{LookupErrorKind, Record as DnsRecord, RecordType};
use mailstead_runtime::Deadline;
use mailstead_store::{Options, Payload, Store, StoredStsPolicy};
use mailstead_testkit::{Certificates, ManualClock, MemoryDialer, SeededRandom, Zones};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;

const DAY: u64 = 24 * 3600;
const ENFORCE: &str = "version: STSv1\nmode: enforce\nmx: mx.other.example\nmax_age: 604800\n";
const NONE: &str = "version: STSv1\nmode: none\nmax_age: 604800\n";

/// A cache that survives changes of the DNS.
struct Setting {
    store: Store,
    dialer: Arc<MemoryDialer>,
    clock: ManualClock,
    _directory: TempDir,
}

fn other() -> Domain {
    Domain::parse("other.example").unwrap()
}

fn zones(record: Option<&str>) -> Zones {
    let zones = Zones::new().with("mta-sts.other.example", DnsRecord::A([192, 0, 2, 80].into()));
    match record {
        Some(text) => zones.with("_mta-sts.other.example", DnsRecord::Txt(Txt::from(text))),
        None => zones,
    }
}

impl Setting {
    async fn new() -> Setting {
        let directory = TempDir::new().unwrap();
        let clock = ManualClock::new();
        let store = Store::open(Options::new(directory.path(), clock.shared())).await.unwrap();
        Setting { store, dialer: MemoryDialer::new(), clock, _directory: directory }
    }

    fn cache(&self, zones: Zones) -> StsCache {
        let fetcher = PolicyFetcher {
            dialer: Arc::<MemoryDialer>::clone(&self.dialer),
            resolver: Arc::new(zones),
            roots: Certificates::roots(),
            patience: Duration::from_secs(60),
        };
        StsCache::new(self.store.sts_policies(), fetcher, self.clock.shared(), Arc::new(SeededRandom::new(1)))
    }

    /// The policy's host answers one request with this.
    fn host(&self, policy: &str) -> JoinHandle<()> {
        let mut stream = self.dialer.expect(SocketAddr::from(([192, 0, 2, 80], 443)));
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{policy}");
        tokio::spawn(async move {
            stream.start_tls(&Certificates::server(&["mta-sts.other.example"]), &[], Deadline::NEVER).await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut asked).await.unwrap() > 0, "a whole request");
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.close(Deadline::NEVER).await;
        })
    }

    /// What is in force, in words.
    async fn state(&self, zones: Zones) -> String {
        words(&self.cache(zones).state(&other()).await)
    }

    fn fetches(&self) -> usize {
        self.dialer.dialled().len()
    }

    async fn stored(&self) -> Option<StoredStsPolicy> {
        self.store.sts_policies().find("other.example").await.unwrap()
    }
}

fn words(state: &StsState) -> String {
    match state {
        StsState::NotFound => "none".to_owned(),
        StsState::Policy { policy, fallback: None } => policy.mode.to_string(),
        StsState::Policy { policy, fallback: Some(reason) } => format!("{}, {}", policy.mode, reason.code),
        StsState::FetchFailed(reason) => format!("failed, {}", reason.code),
        StsState::Undecided(reason) => format!("undecided, {}", reason.code),
    }
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_kept_over_a_restart() {
    let setting = Setting::new().await;
    let host = setting.host(ENFORCE);
    assert_eq!(setting.state(zones(Some("v=STSv1; id=1"))).await, "enforce");
    host.await.unwrap();
    // Each time a new cache, which knows only what is stored.
    assert_eq!(setting.state(zones(Some("v=STSv1; id=1"))).await, "enforce");
    assert_eq!(setting.fetches(), 1);
    let listed = setting.cache(zones(None)).list(None, 10).await.unwrap();
    assert!(
        matches!(&listed[..], [CachedPolicy { domain, entry: Some(Entry::Policy { id, .. }) }] if domain == "other.example" && id == "1")
    );
}

#[tokio::test]
async fn a_new_id_is_fetched_and_the_old_policy_stays_where_that_fails() {
    let setting = Setting::new().await;
    let host = setting.host(ENFORCE);
    setting.state(zones(Some("v=STSv1; id=1"))).await;
    host.await.unwrap();
    let down = setting.state(zones(Some("v=STSv1; id=2"))).await;
    assert_eq!(down, "enforce, connection-failed+fallback-to-cached-policy");
    setting.clock.advance(Duration::from_secs(300));
    let host = setting.host(NONE);
    assert_eq!(setting.state(zones(Some("v=STSv1; id=2"))).await, "none");
    host.await.unwrap();
    assert_eq!(setting.fetches(), 3);
}

#[tokio::test]
async fn an_update_that_failed_is_not_tried_again_for_five_minutes() {
    let setting = Setting::new().await;
    let host = setting.host(ENFORCE);
    setting.state(zones(Some("v=STSv1; id=1"))).await;
    host.await.unwrap();
    let updated = || zones(Some("v=STSv1; id=2"));
    assert_eq!(setting.state(updated()).await, "enforce, connection-failed+fallback-to-cached-policy");
    setting.clock.advance(Duration::from_secs(299));
    let backed_off = "enforce, back-off-after-recent-fetch-error+fallback-to-cached-policy";
    assert_eq!(setting.state(updated()).await, backed_off);
    assert_eq!(setting.fetches(), 2);
    // Another version is another matter (RFC 8461 §3.3), and the one that is kept needs no fetch.
    assert_eq!(setting.state(zones(Some("v=STSv1; id=1"))).await, "enforce");
    assert_eq!(setting.fetches(), 2);
    let host = setting.host(NONE);
    assert_eq!(setting.state(zones(Some("v=STSv1; id=3"))).await, "none");
    host.await.unwrap();
}

#[tokio::test]
async fn a_policy_that_could_not_be_renewed_is_used_all_the_same() {
    let setting = Setting::new().await;
    let host = setting.host(ENFORCE);
    setting.state(zones(Some("v=STSv1; id=1"))).await;
    host.await.unwrap();
    setting.clock.advance(Duration::from_secs(DAY));
    setting.state(zones(Some("v=STSv1; id=2"))).await;
    assert_eq!(setting.stored().await.unwrap().used, setting.clock.now());
}

#[tokio::test]
async fn a_store_that_cannot_be_read_may_hide_a_policy() {
    let setting = Setting::new().await;
    setting.store.close().await;
    for zones in [zones(None), zones(Some("v=STSv1; id=1"))] {
        assert_eq!(setting.state(zones).await, "undecided, cached-policy-unreadable");
    }
    assert_eq!(setting.fetches(), 0);
}

#[tokio::test]
async fn without_a_record_an_enforced_policy_stays_and_one_of_mode_none_goes() {
    let setting = Setting::new().await;
    let host = setting.host(ENFORCE);
    setting.state(zones(Some("v=STSv1; id=1"))).await;
    host.await.unwrap();
    assert_eq!(setting.state(zones(None)).await, "enforce, mtasts-record-gone+fallback-to-cached-policy");
    let host = setting.host(NONE);
    setting.state(zones(Some("v=STSv1; id=2"))).await;
    host.await.unwrap();
    assert!(setting.stored().await.is_some());
    assert_eq!(setting.state(zones(None)).await, "none");
    assert_eq!(setting.stored().await, None);
}

#[tokio::test]
async fn after_a_failed_fetch_nobody_asks_for_five_minutes() {
    let setting = Setting::new().await;
    let record = || zones(Some("v=STSv1; id=1"));
    assert_eq!(setting.state(record()).await, "failed, connection-failed");
    setting.clock.advance(Duration::from_secs(299));
    assert_eq!(setting.state(record()).await, "failed, back-off-after-recent-fetch-error");
    assert_eq!(setting.fetches(), 1);
    setting.clock.advance(Duration::from_secs(1));
    let host = setting.host(ENFORCE);
    assert_eq!(setting.state(record()).await, "enforce");
    host.await.unwrap();
}

#[tokio::test]
async fn what_nobody_knows_is_not_taken_for_absence() {
    let setting = Setting::new().await;
    let failing = || zones(None).failing("_mta-sts.other.example", RecordType::Txt, LookupErrorKind::Timeout);
    assert!(setting.state(failing()).await.starts_with("undecided, dns"));
    // An entry of a newer program, with and without a record.
    let payload = Payload { version: 99, octets: b"?".to_vec() };
    let stored = StoredStsPolicy { domain: "other.example".to_owned(), used: Timestamp::UNIX_EPOCH, payload };
    setting.store.sts_policies().put(stored).await.unwrap();
    for zones in [zones(None), zones(Some("v=STSv1; id=1"))] {
        assert_eq!(setting.state(zones).await, "undecided, cached-policy-unreadable");
    }
    assert!(setting.cache(zones(None)).remove(&other()).await.unwrap());
    assert_eq!(setting.state(zones(None)).await, "none");
}

#[tokio::test]
async fn deliveries_at_the_same_time_fetch_once() {
    let setting = Setting::new().await;
    let host = setting.host(ENFORCE);
    let cache = setting.cache(zones(Some("v=STSv1; id=1")));
    let domain = other();
    let states = tokio::join!(cache.state(&domain), cache.state(&domain), cache.state(&domain));
    for state in [states.0, states.1, states.2] {
        assert_eq!(words(&state), "enforce");
    }
    host.await.unwrap();
    assert_eq!(setting.fetches(), 1);
    assert!(cache.turns().is_empty());
}

#[tokio::test]
async fn that_a_policy_is_needed_is_noted_once_a_day() {
    let setting = Setting::new().await;
    let host = setting.host(ENFORCE);
    setting.state(zones(Some("v=STSv1; id=1"))).await;
    host.await.unwrap();
    let start = setting.clock.now();
    for (later, noted) in [(DAY - 1, start), (1, start + jiff::SignedDuration::from_secs(86400))] {
        setting.clock.advance(Duration::from_secs(later));
        setting.state(zones(Some("v=STSv1; id=1"))).await;
        assert_eq!(setting.stored().await.unwrap().used, noted);
    }
}

#[tokio::test]
async fn upkeep_leaves_alone_what_changed_since_it_was_listed() {
    let setting = Setting::new().await;
    let cache = setting.cache(zones(Some("v=STSv1; id=1")));
    // Removed by an operator: nobody sends to this domain, and nothing is fetched.
    cache.attend(&other()).await;
    assert_eq!((setting.fetches(), setting.stored().await), (0, None));
    // Renewed by a delivery: neither fetched again nor dropped.
    let host = setting.host(ENFORCE);
    cache.state(&other()).await;
    host.await.unwrap();
    cache.attend(&other()).await;
    assert_eq!(setting.fetches(), 1);
    assert!(setting.stored().await.is_some());
    // What is over by now goes, without being asked for.
    setting.clock.advance(Duration::from_secs(7 * DAY));
    cache.attend(&other()).await;
    assert_eq!((setting.fetches(), setting.stored().await), (1, None));
}

#[tokio::test]
async fn a_removal_waits_for_the_fetch_under_way() {
    let setting = Setting::new().await;
    let cache = setting.cache(zones(Some("v=STSv1; id=1")));
    let domain = other();
    let host = setting.host(ENFORCE);
    let (state, removed) = tokio::join!(cache.state(&domain), async {
        while setting.fetches() == 0 {
            tokio::task::yield_now().await;
        }
        cache.remove(&domain).await.unwrap()
    });
    host.await.unwrap();
    assert_eq!((words(&state).as_str(), removed), ("enforce", true));
    assert_eq!(setting.stored().await, None);
}

#[tokio::test]
async fn upkeep_refreshes_what_lives_and_drops_what_is_over() {
    let setting = Setting::new().await;
    let host = setting.host(ENFORCE);
    setting.state(zones(Some("v=STSv1; id=1"))).await;
    host.await.unwrap();
    let used = setting.clock.now();
    let (shutdown, cache) = (Shutdown::new(Duration::ZERO), setting.cache(zones(Some("v=STSv1; id=1"))));
    setting.clock.advance(Duration::from_secs(DAY));
    let host = setting.host(ENFORCE);
    let upkeep = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { cache.maintain(shutdown).await }
    });
    host.await.unwrap();
    let refreshed = async {
        loop {
            let stored = setting.stored().await.unwrap();
            if matches!(stored::decode(&stored), Some(Entry::Policy { fetched, .. }) if fetched == setting.clock.now())
            {
                return stored;
            }
            tokio::task::yield_now().await;
        }
    };
    let stored = tokio::time::timeout(Duration::from_secs(20), refreshed).await.unwrap();
    assert_eq!(stored.used, used, "nobody needed it");
    // Its host has gone; after a week the policy is over.
    let gone = async {
        while setting.stored().await.is_some() {
            setting.clock.advance(Duration::from_secs(DAY));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    shutdown.begin();
    upkeep.await.unwrap();
}
