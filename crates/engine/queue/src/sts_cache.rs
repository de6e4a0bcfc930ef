//! The MTA-STS policies of the domains that mail goes to: looked up in the DNS for every destination, fetched when they
//! are new, kept in the store as long as they live (RFC 8461 §3.3, §5.1).
//!
//! What is in force, and what becomes of what is kept, is decided in [`mailstead_tlspolicy::sts`].

mod stored;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailstead_dns::{LookupError, Resolver, Txt};
use mailstead_names::Domain;
use mailstead_runtime::{BoxFuture, Clock, Random, Shutdown};
use mailstead_store::StsPolicyStore;
use mailstead_tlspolicy::facts::{StsState, lookup_failure};
use mailstead_tlspolicy::report::{FailureReason, ResultType};
use mailstead_tlspolicy::sts::{Announced, Entry, Fate, Mode, RECORD_LABEL, Record, Step, consult, settle};
use tokio::sync::Semaphore;

use crate::facts::StsPolicies;
use crate::sts_fetch::PolicyFetcher;

/// Fetches at the same time.
const FETCHES: usize = 10;
/// That a policy was needed is noted no more often than this.
const NOTED: Duration = Duration::from_secs(24 * 3600);
/// How often entries that nobody needed are looked after.
const UPKEEP: Duration = Duration::from_secs(24 * 3600);
/// Over how long the fetches of one upkeep are spread at most, and how long the pause between two may be.
const SPREAD: Duration = Duration::from_secs(3 * 3600);
const MOST_PAUSE: Duration = Duration::from_secs(60);
/// Entries read at once.
const PAGE: usize = 100;

/// The cache. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StsCache {
    store: StsPolicyStore,
    fetcher: PolicyFetcher,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    fetches: Arc<Semaphore>,
    turns: Arc<Mutex<Turns>>,
}

/// Those who wait for one domain: what the first of them learns, the others find in the store.
type Turns = HashMap<Domain, Arc<tokio::sync::Mutex<()>>>;

/// Why an entry is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A message is to be delivered.
    Delivery,
    /// It is old.
    Refresh,
}

/// What is kept of a domain, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedPolicy {
    /// The domain.
    pub domain: String,
    /// What is kept; `None` where this program cannot read it.
    pub entry: Option<Entry>,
}

impl StsPolicies for StsCache {
    fn state<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, StsState> {
        Box::pin(async move {
            let announced = announced(&*self.fetcher.resolver, domain).await;
            self.in_turn(domain, self.consult(domain, &announced, Purpose::Delivery)).await
        })
    }
}

impl StsCache {
    /// A cache over what is stored.
    #[must_use]
    pub fn new(
        store: StsPolicyStore,
        fetcher: PolicyFetcher,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> StsCache {
        let fetches = Arc::new(Semaphore::new(FETCHES));
        StsCache { store, fetcher, clock, random, fetches, turns: Arc::default() }
    }

    /// Does this while nobody else works on the domain.
    async fn in_turn<T>(&self, domain: &Domain, work: impl Future<Output = T>) -> T {
        let turn = Arc::clone(self.turns().entry(domain.clone()).or_default());
        let waited = turn.lock().await;
        let done = work.await;
        drop(waited);
        drop(turn);
        self.turns().retain(|_, turn| Arc::strong_count(turn) > 1);
        done
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn consult(&self, domain: &Domain, announced: &Announced, purpose: Purpose) -> StsState {
        let entry = match self.entry(domain).await {
            Ok(entry) => entry,
            // It may hold a policy that is enforced: what is not known is not taken for absence.
            Err(reason) => return StsState::Undecided(reason),
        };
        let now = self.clock.now();
        match consult(entry.as_ref(), announced, now) {
            Step::Settled(state) => {
                self.suspected(domain, announced, &state);
                match (&entry, announced) {
                    (Some(Entry::Policy { policy, .. }), Announced::Nothing) if policy.mode == Mode::None => {
                        self.forget(domain).await;
                    }
                    (Some(Entry::Policy { used, .. }), _) if purpose == Purpose::Delivery => {
                        let passed = Duration::try_from(now.duration_since(*used)).unwrap_or_default();
                        if passed >= NOTED {
                            let noted = self.store.touch(domain.as_ascii(), now).await;
                            self.logged(domain, noted);
                        }
                    }
                    _ => {}
                }
                state
            }
            Step::Fetch(record) => self.fetch(domain, entry.as_ref(), &record, purpose).await,
        }
    }

    async fn fetch(&self, domain: &Domain, entry: Option<&Entry>, record: &Record, purpose: Purpose) -> StsState {
        // The semaphore is never closed.
        let slot = self.fetches.acquire().await;
        let fetched = self.fetcher.fetch(domain).await;
        drop(slot);
        let failure = fetched.as_ref().err().map(ToString::to_string);
        let (state, mut settled) = settle(entry, record, fetched, self.clock.now());
        let id = &record.id;
        match (&state, failure) {
            // RFC 8461 §3.3: somebody should know before the old one ends.
            (StsState::Policy { policy, .. }, Some(error)) if policy.mode != Mode::None => {
                tracing::warn!(%domain, id, error, "MTA-STS policy not renewed; the one that is kept stays in force");
            }
            (_, Some(error)) => tracing::info!(%domain, id, error, "MTA-STS policy not fetched"),
            (StsState::Policy { policy, .. }, None) => {
                tracing::info!(%domain, mode = %policy.mode, id, "MTA-STS policy fetched");
            }
            (_, None) => {}
        }
        if purpose == Purpose::Refresh
            && let (Some(Entry::Policy { used: before, .. }), Entry::Policy { used, .. }) = (entry, &mut settled)
        {
            // Nobody needed it: it grows no younger by being refreshed.
            *used = *before;
        }
        let put = self.store.put(stored::encode(domain, &settled)).await;
        self.logged(domain, put);
        state
    }

    /// What is kept, or that it cannot be read.
    async fn entry(&self, domain: &Domain) -> Result<Option<Entry>, FailureReason> {
        let unreadable = || FailureReason::with_code(ResultType::ValidationFailure, "cached-policy-unreadable");
        match self.store.find(domain.as_ascii()).await {
            Ok(None) => Ok(None),
            Ok(Some(stored)) => stored::decode(&stored).map(Some).ok_or_else(unreadable),
            Err(error) => {
                tracing::error!(%domain, %error, "MTA-STS policy cannot be read");
                Err(unreadable())
            }
        }
    }

    async fn forget(&self, domain: &Domain) {
        let removed = self.store.remove(domain.as_ascii()).await;
        self.logged(domain, removed.map(drop));
    }

    /// A record that goes before its policy ends may have been taken away by somebody who does not want it obeyed
    /// (RFC 8461 §10.2).
    fn suspected(&self, domain: &Domain, announced: &Announced, state: &StsState) {
        let gone = matches!(announced, Announced::Nothing | Announced::Malformed(_));
        if let (true, StsState::Policy { policy, fallback: Some(reason) }) = (gone, state) {
            tracing::error!(%domain, mode = %policy.mode, %reason, "MTA-STS record is gone; its policy stays in force");
        }
    }

    /// What is not kept is fetched again; a delivery does not depend on it.
    fn logged(&self, domain: &Domain, written: mailstead_store::Result<()>) {
        if let Err(error) = written {
            tracing::error!(%domain, %error, "MTA-STS policy not kept");
        }
    }

    /// Everything that is kept of domains after this one, by name, at most `limit` of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> mailstead_store::Result<Vec<CachedPolicy>> {
        let stored = self.store.list(after, limit).await?;
        Ok(stored
            .into_iter()
            .map(|stored| CachedPolicy { entry: stored::decode(&stored), domain: stored.domain })
            .collect())
    }

    /// Forgets what is kept of a domain, so that it is fetched anew. Says whether there was something. A fetch under way
    /// ends first, lest it puts back what is to go.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove(&self, domain: &Domain) -> mailstead_store::Result<bool> {
        self.in_turn(domain, self.store.remove(domain.as_ascii())).await
    }

    /// Refreshes and drops what nobody asked for, at the start and every day, until the shutdown begins.
    pub async fn maintain(&self, shutdown: Shutdown) {
        let work = async {
            loop {
                self.look_after().await;
                self.sleep(UPKEEP).await;
            }
        };
        let _: Option<std::convert::Infallible> = shutdown.or_begun(work).await;
    }

    async fn look_after(&self) {
        let mut old = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = match self.store.list(after.as_deref(), PAGE).await {
                Ok(page) => page,
                Err(error) => return tracing::error!(%error, "MTA-STS policies cannot be read"),
            };
            after = page.last().map(|stored| stored.domain.clone());
            for stored in &page {
                let Ok(domain) = Domain::parse_lenient(&stored.domain) else { continue };
                match stored::decode(stored).map(|entry| entry.fate(self.clock.now())) {
                    Some(Fate::Refresh) => old.push((self.random.number(), domain)),
                    Some(Fate::Drop) => self.attend(&domain).await,
                    Some(Fate::Keep) | None => {}
                }
            }
            if page.len() < PAGE {
                break;
            }
        }
        // In no order, so that nobody is asked at the same time of each day.
        old.sort();
        let pause = MOST_PAUSE.min(SPREAD / u32::try_from(old.len().max(1)).unwrap_or(u32::MAX));
        for (_, domain) in old {
            self.attend(&domain).await;
            self.sleep(pause).await;
        }
    }

    /// Does what is due with the entry as it is now: since it was listed, hours ago perhaps, a delivery may have renewed
    /// it or an operator removed it. What is refreshed is fetched although its record may not have changed (RFC 8461
    /// §3.3: before it ends).
    async fn attend(&self, domain: &Domain) {
        let work = async {
            let Ok(Some(entry)) = self.entry(domain).await else { return };
            match entry.fate(self.clock.now()) {
                Fate::Keep => {}
                Fate::Drop => self.forget(domain).await,
                Fate::Refresh => {
                    let announced = announced(&*self.fetcher.resolver, domain).await;
                    drop(match &announced {
                        Announced::Record(record) => self.fetch(domain, Some(&entry), record, Purpose::Refresh).await,
                        _ => self.consult(domain, &announced, Purpose::Refresh).await,
                    });
                }
            }
        };
        self.in_turn(domain, work).await;
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep_until(self.clock.monotonic() + duration).await;
    }
}

/// What the DNS says of a domain's policy (RFC 8461 §3.1).
async fn announced(resolver: &dyn Resolver, domain: &Domain) -> Announced {
    // A name that is too long has no records.
    let Ok(name) = domain.prepend(RECORD_LABEL) else { return Announced::Nothing };
    let unknown = |error: LookupError| Announced::Unknown(lookup_failure(&error));
    match resolver.records::<Txt>(&name).await {
        Err(error) => unknown(error),
        Ok(answer) => {
            let text = |record: &Txt| String::from_utf8_lossy(&record.joined()).into_owned();
            let texts: Vec<String> = answer.records.iter().map(text).collect();
            match Record::find(texts.iter().map(String::as_str)) {
                Ok(Some(record)) => Announced::Record(record),
                Ok(None) => Announced::Nothing,
                Err(error) => Announced::Malformed(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
