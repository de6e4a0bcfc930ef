//! One question in flight for many askers.
//!
//! The work runs as a task of its own, so that an asker who loses patience takes nothing from the others.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use mailstead_runtime::Supervisor;
use tokio::sync::watch;

type Flights<K, V> = Mutex<HashMap<K, watch::Receiver<Option<V>>>>;

/// Work under way, by what is worked on.
#[derive(Debug)]
pub(super) struct Flight<K, V> {
    flights: Arc<Flights<K, V>>,
    most: usize,
}

/// Why there is no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoOutcome {
    /// As much work as is allowed is under way already.
    Full,
    /// The work has ended without an outcome.
    Lost,
}

impl<K, V> Flight<K, V>
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// No work yet, and never more than `most` pieces of it at once.
    pub(super) fn new(most: usize) -> Self {
        Flight { flights: Arc::new(Mutex::new(HashMap::new())), most }
    }

    /// The outcome of the work on `key`: of that under way, or of `work`, which begins now.
    pub(super) async fn join<F>(
        &self,
        key: K,
        supervisor: &Supervisor,
        work: impl FnOnce() -> F,
    ) -> Result<V, NoOutcome>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut outcome = {
            // Nobody panics while holding the lock.
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.get(&key) {
                Some(outcome) => outcome.clone(),
                None if flights.len() >= self.most => return Err(NoOutcome::Full),
                None => {
                    let (sender, receiver) = watch::channel(None);
                    flights.insert(key.clone(), receiver.clone());
                    let landing = Landing { flights: Arc::clone(&self.flights), key };
                    let work = work();
                    // Boxed, because on its way to a task a future is copied several times, and this may be a large one.
                    let flight = Box::pin(async move {
                        let value = work.await;
                        // Taken off first: whoever comes from now on finds the outcome in the cache.
                        drop(landing);
                        sender.send_replace(Some(value));
                    });
                    supervisor.spawn("dns", flight);
                    receiver
                }
            }
        };
        match outcome.wait_for(Option::is_some).await {
            Ok(value) => value.clone().ok_or(NoOutcome::Lost),
            Err(_) => Err(NoOutcome::Lost),
        }
    }
}

/// Takes the work off the list when it ends, however it ends.
#[derive(Debug)]
struct Landing<K: Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_askers_cause_one_piece_of_work() {
        let (flight, supervisor) = (Flight::new(10), Supervisor::new());
        let begun = Arc::new(AtomicU32::new(0));
        let ask = || {
            flight.join("name", &supervisor, || {
                let begun = Arc::clone(&begun);
                async move {
                    begun.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    7
                }
            })
        };
        // One of them loses patience, and it happens to be the first.
        let (first, second, third) = tokio::join!(tokio::time::timeout(Duration::from_millis(10), ask()), ask(), ask());
        assert!(first.is_err());
        assert_eq!((second, third), (Ok(7), Ok(7)));
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        assert_eq!(ask().await, Ok(7));
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn work_that_panics_or_is_too_much_is_told() {
        let (flight, supervisor) = (Flight::<_, ()>::new(1), Supervisor::new());
        assert_eq!(flight.join(1, &supervisor, || async { panic!("as the test wants") }).await, Err(NoOutcome::Lost));
        let (stuck, full) = tokio::join!(
            tokio::time::timeout(Duration::from_millis(10), flight.join(1, &supervisor, std::future::pending)),
            flight.join(2, &supervisor, || async {})
        );
        assert!(stuck.is_err());
        assert_eq!(full, Err(NoOutcome::Full));
    }
}
