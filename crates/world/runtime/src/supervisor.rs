//! Tasks that may fail alone.
//!
//! Every connection and every background loop is spawned here: a panic is logged and counted and ends only
//! its own task, and a stop can wait for the rest and then cut what remains.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tokio::sync::watch;
use tracing::Instrument;

use crate::Deadline;

/// What a task is, for logs and counts: a short constant such as `smtp` or `queue`.
pub type TaskName = &'static str;

/// Spawns tasks and keeps count of them.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    running: watch::Sender<usize>,
    cut: watch::Sender<bool>,
    panics: AtomicU64,
}

/// Counts a task out even when its future is dropped by the runtime.
struct Running(Arc<Shared>);

impl Running {
    fn count_in(shared: &Arc<Shared>) -> Self {
        shared.running.send_modify(|count| *count += 1);
        Running(Arc::clone(shared))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.send_modify(|count| *count -= 1);
    }
}

impl Supervisor {
    /// A supervisor without tasks.
    #[must_use]
    pub fn new() -> Self {
        Supervisor::default()
    }

    /// Runs `future` as a task of its own, inside the current tracing span.
    pub fn spawn<F>(&self, name: TaskName, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = Running::count_in(&self.shared);
        let shared = Arc::clone(&self.shared);
        let task = async move {
            let _running = running;
            let mut cut = shared.cut.subscribe();
            tokio::select! {
                outcome = caught(future) => if let Err(message) = outcome {
                    shared.panics.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(task = name, panic = %message, "task panicked");
                },
                _ = cut.wait_for(|cut| *cut) => tracing::debug!(task = name, "task cut at shutdown"),
            }
        };
        tokio::spawn(task.in_current_span());
    }

    /// How many tasks run now.
    #[must_use]
    pub fn running(&self) -> usize {
        *self.shared.running.borrow()
    }

    /// How many tasks have panicked since the start.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Waits for all tasks to end; those still running at the deadline are cut. Says how many were.
    pub async fn drain(&self, deadline: Deadline) -> usize {
        let mut running = self.shared.running.subscribe();
        if deadline.bound(running.wait_for(|count| *count == 0)).await.is_ok() {
            return 0;
        }
        let left = self.running();
        self.shared.cut.send_replace(true);
        // A cut task ends at its next await; what holds a thread without awaiting is not waited for.
        let _ = Deadline::after(std::time::Duration::from_secs(1)).bound(running.wait_for(|count| *count == 0)).await;
        left
    }
}

/// Runs a future to its end or to its panic.
async fn caught<F: Future<Output = ()>>(future: F) -> Result<(), String> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        // The future is never polled again after a panic, so nobody sees its broken state.
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(payload) => Poll::Ready(Err(panic_message(payload.as_ref()))),
        }
    })
    .await
}

/// The text of a panic, where it has one.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_only_its_task() {
        let supervisor = Supervisor::new();
        let (done, finished) = tokio::sync::oneshot::channel();
        supervisor.spawn("bad", async { panic!("as the test wants") });
        supervisor.spawn("good", async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = done.send(());
        });
        finished.await.unwrap();
        assert_eq!(supervisor.drain(Deadline::after(Duration::from_secs(1))).await, 0);
        assert_eq!(supervisor.panics(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_outlives_the_deadline_is_cut() {
        let supervisor = Supervisor::new();
        supervisor.spawn("stuck", std::future::pending());
        assert_eq!(supervisor.running(), 1);
        assert_eq!(supervisor.drain(Deadline::after(Duration::from_secs(3))).await, 1);
        assert_eq!(supervisor.running(), 0);
        assert_eq!(supervisor.panics(), 0);
    }
}
