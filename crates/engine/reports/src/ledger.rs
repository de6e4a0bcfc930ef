//! The ledger of TLS results: what every direct delivery showed, by UTC day, policy domain and recipient domain, until it
//! is reported (RFC 8460 §4).
//!
//! Results are added up in memory and written together every few seconds, and before the server ends. What cannot be kept
//! is lost and counted; no delivery waits for it or fails by it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailstead_queue::{MessageClass, TlsResultSink, TlsResults};
use mailstead_runtime::{Clock, Shutdown};
use mailstead_store::{Payload, StoredTlsResults, TlsResultKey, TlsResultStore};
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::row::{Counts, LedgerRow, day, key, sum};

/// How long results wait for others at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rows that wait at most.
const MOST_WAITING: usize = 20_000;
/// Rows that are written in one transaction.
const BATCH: usize = 500;
/// How often writing a row is tried.
const MOST_TRIES: u32 = 5;
/// Days that are kept behind the present one: yesterday's until it is reported, and one more for a server that was down.
const KEPT_DAYS: i64 = 2;
/// How often days that are over are removed.
const UPKEEP: Duration = Duration::from_secs(3600);

/// The ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: TlsResultStore,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    waiting: Mutex<HashMap<TlsResultKey, Waiting>>,
    /// Held by who writes.
    writing: tokio::sync::Mutex<()>,
    /// There is something to be written.
    wake: Notify,
}

/// A row that is to be added to what is stored.
#[derive(Debug, Default)]
struct Waiting {
    counts: Counts,
    causes_report: bool,
    /// How often it could not be written.
    tries: u32,
}

impl TlsResultSink for Ledger {
    fn record(&self, results: TlsResults) {
        let mut waiting = self.waiting();
        for result in &results.results {
            let full = waiting.len() >= MOST_WAITING;
            let row = match waiting.entry(key(result, &results)) {
                Entry::Occupied(row) => row.into_mut(),
                Entry::Vacant(_) if full => {
                    self.inner.metrics.lost(1);
                    continue;
                }
                Entry::Vacant(free) => free.insert(Waiting::default()),
            };
            row.counts.record(result, &results);
            // A report about the delivery of reports would never end.
            row.causes_report |= results.class != MessageClass::Report;
            self.inner.metrics.recorded(1);
        }
        drop(waiting);
        self.inner.wake.notify_one();
    }
}

impl Ledger {
    /// A ledger over these rows.
    #[must_use]
    pub fn new(store: TlsResultStore, clock: Arc<dyn Clock>, metrics: Metrics) -> Ledger {
        let inner = Inner {
            store,
            clock,
            metrics,
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        };
        Ledger { inner: Arc::new(inner) }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<TlsResultKey, Waiting>> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits, now and then, and removes what is over, until the shutdown begins. [`Ledger::flush`] has the
    /// last word.
    pub async fn run(&self, shutdown: Shutdown) {
        tokio::join!(self.write_now_and_then(&shutdown), self.remove_now_and_then(&shutdown));
    }

    /// Only waits are cut short: what is being written is in nobody's hands but ours.
    async fn write_now_and_then(&self, shutdown: &Shutdown) {
        while shutdown.or_begun(self.inner.wake.notified()).await.is_some() {
            if shutdown.or_begun(self.sleep(PATIENCE)).await.is_none() {
                return;
            }
            self.flush().await;
        }
    }

    async fn remove_now_and_then(&self, shutdown: &Shutdown) {
        loop {
            let oldest = day(self.inner.clock.now()) - KEPT_DAYS;
            match self.inner.store.remove_before(oldest).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "TLS results of days that are over removed"),
                Err(error) => tracing::error!(%error, "old TLS results cannot be removed"),
            }
            if shutdown.or_begun(self.sleep(UPKEEP)).await.is_none() {
                return;
            }
        }
    }

    async fn sleep(&self, duration: Duration) {
        let clock = &self.inner.clock;
        clock.sleep_until(clock.monotonic() + duration).await;
    }

    /// Writes everything that waits. Returns when it is on the disk, or waits for another time.
    pub async fn flush(&self) {
        let _writing = self.inner.writing.lock().await;
        let mut waiting: Vec<(TlsResultKey, Waiting)> = self.waiting().drain().collect();
        while !waiting.is_empty() {
            let batch = waiting.split_off(waiting.len().saturating_sub(BATCH));
            let rows = batch.iter().map(|(key, row)| StoredTlsResults {
                key: key.clone(),
                causes_report: row.causes_report,
                payload: row.counts.encode(),
            });
            let metrics = self.inner.metrics.clone();
            let add = move |old: &Payload, new: &Payload| {
                let sum = sum(old, new);
                if sum.is_none() {
                    // A newer program's row is left alone.
                    metrics.lost(Counts::decode(new).map_or(0, |counts| counts.sessions()));
                }
                sum
            };
            if let Err(error) = self.inner.store.add(rows.collect(), add).await {
                tracing::error!(%error, "TLS results not written");
                self.put_back(batch);
            }
        }
    }

    /// Lets rows that could not be written wait for another time, but not for ever.
    fn put_back(&self, batch: Vec<(TlsResultKey, Waiting)>) {
        let mut waiting = self.waiting();
        for (key, Waiting { counts, causes_report, tries }) in batch {
            if tries + 1 >= MOST_TRIES || (waiting.len() >= MOST_WAITING && !waiting.contains_key(&key)) {
                self.inner.metrics.lost(counts.sessions());
                continue;
            }
            let row = waiting.entry(key).or_default();
            row.counts.absorb(counts);
            row.causes_report |= causes_report;
            row.tries = tries + 1;
        }
        drop(waiting);
        self.inner.wake.notify_one();
    }

    /// The rows behind this one, in the order of their keys, at most `limit` of those that can be read; and the key to go
    /// on behind, if there are more.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        after: Option<TlsResultKey>,
        limit: usize,
    ) -> mailstead_store::Result<(Vec<LedgerRow>, Option<TlsResultKey>)> {
        let stored = self.inner.store.list(after, limit).await?;
        let next = stored.last().filter(|_| stored.len() == limit).map(|row| row.key.clone());
        Ok((stored.into_iter().filter_map(LedgerRow::of).collect(), next))
    }
}

#[cfg(test)]
mod tests;
