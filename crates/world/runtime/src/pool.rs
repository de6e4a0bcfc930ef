//! A bounded pool of threads for blocking work.
//!
//! tokio's own blocking pool grows to hundreds of threads; on a small machine the number of transactions
//! and password hashes in flight must be a choice. Callers wait (asynchronously) for a place in the queue.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use crate::supervisor::panic_message;

type Job = Box<dyn FnOnce() + Send>;

/// Why a job gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The pool has been closed.
    #[error("the thread pool is closed")]
    Closed,
    /// The job panicked, with this message.
    #[error("blocking job panicked: {0}")]
    Panicked(String),
}

/// Clonable handle to a fixed set of threads. The threads end when the last handle is dropped or
/// [`BlockingPool::close`] is called, after the jobs already accepted.
#[derive(Debug, Clone)]
pub struct BlockingPool {
    inner: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("waiting", &self.lock().jobs.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Jobs run outside the lock, so a poisoned lock still holds a whole queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = self.lock();
            } else if queue.closed {
                return;
            } else {
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl BlockingPool {
    /// Starts `threads` threads (at least one). At most `queue` jobs (at least one) run or wait at a time.
    ///
    /// # Panics
    /// When the operating system cannot start a thread.
    #[must_use]
    pub fn new(threads: usize, queue: usize) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new() });
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("blocking-{number}"))
                .spawn(move || shared.work())
                .expect("a thread can be started");
        }
        let places = Arc::new(Semaphore::new(queue.max(1)));
        BlockingPool { inner: Arc::new(Handle { shared, places }) }
    }

    /// Runs `job` on one of the threads. A job that has started runs to its end even when the caller
    /// stops waiting.
    pub async fn run<T, F>(&self, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Arc::clone(&self.inner.places).acquire_owned().await.map_err(|_| PoolError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let span = tracing::Span::current();
        let job: Job = Box::new(move || {
            let _place = place;
            let outcome = span.in_scope(|| std::panic::catch_unwind(AssertUnwindSafe(job)));
            // The caller may have gone; then nobody wants the result.
            let _ = answer.send(outcome.map_err(|payload| PoolError::Panicked(panic_message(payload.as_ref()))));
        });
        {
            let mut queue = self.inner.shared.lock();
            if queue.closed {
                return Err(PoolError::Closed);
            }
            queue.jobs.push_back(job);
        }
        self.inner.shared.wake.notify_one();
        answered.await.map_err(|_| PoolError::Closed)?
    }

    /// Accepts no more jobs; those accepted are still run.
    pub fn close(&self) {
        self.inner.places.close();
        self.inner.shared.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn runs_no_more_than_its_threads_at_once() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let pool = BlockingPool::new(2, 3);
        let jobs: Vec<_> = (0..20)
            .map(|number| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    pool.run(move || {
                        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        NOW.fetch_sub(1, Ordering::SeqCst);
                        number
                    })
                    .await
                })
            })
            .collect();
        for (number, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.await.unwrap(), Ok(number));
        }
        assert!(MOST.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_the_thread_lives() {
        let pool = BlockingPool::new(1, 1);
        let outcome: Result<(), _> = pool.run(|| panic!("as the test wants")).await;
        assert_eq!(outcome, Err(PoolError::Panicked("as the test wants".into())));
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn closed_pools_refuse() {
        let pool = BlockingPool::new(1, 1);
        pool.close();
        assert_eq!(pool.run(|| 7).await, Err(PoolError::Closed));
    }
}
