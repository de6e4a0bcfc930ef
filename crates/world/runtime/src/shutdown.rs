//! Orderly stop in two phases: draining, then (after a grace) forced.
//!
//! While draining, sessions finish the command at hand and say goodbye; when the grace is over whatever
//! still waits is cut. Every part of the server holds a clone of the same [`Shutdown`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownPhase {
    /// Nobody asked to stop.
    Running,
    /// A stop was asked for; running work may end by itself until this instant.
    Draining {
        /// When the grace ends.
        until: Instant,
    },
}

/// Clonable handle to one stop.
#[derive(Debug, Clone)]
pub struct Shutdown {
    phase: Arc<watch::Sender<ShutdownPhase>>,
    grace: Duration,
}

impl Shutdown {
    /// A stop that will give running work this much time.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Shutdown { phase: Arc::new(watch::Sender::new(ShutdownPhase::Running)), grace }
    }

    /// Starts the stop. Later calls change nothing.
    pub fn begin(&self) {
        let until = Instant::now() + self.grace;
        self.phase.send_if_modified(|phase| {
            let first = *phase == ShutdownPhase::Running;
            if first {
                *phase = ShutdownPhase::Draining { until };
            }
            first
        });
    }

    /// The present phase.
    #[must_use]
    pub fn phase(&self) -> ShutdownPhase {
        *self.phase.borrow()
    }

    /// Whether a stop has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.phase() != ShutdownPhase::Running
    }

    /// Waits until a stop begins, and says until when work may go on.
    pub async fn begun(&self) -> Instant {
        let mut phases = self.phase.subscribe();
        loop {
            if let ShutdownPhase::Draining { until } = *phases.borrow_and_update() {
                return until;
            }
            // We hold the sender, so the channel cannot close under us.
            let _ = phases.changed().await;
        }
    }

    /// Waits until a stop has begun and its grace is over.
    pub async fn forced(&self) {
        tokio::time::sleep_until(self.begun().await).await;
    }

    /// Awaits `future` unless a stop begins first, then `None`.
    pub async fn or_begun<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            _ = self.begun() => None,
            output = future => Some(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn drains_then_forces() {
        let shutdown = Shutdown::new(Duration::from_secs(3));
        assert_eq!(shutdown.or_begun(async { 1 }).await, Some(1));
        let waiter = tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                shutdown.forced().await;
                Instant::now()
            }
        });
        tokio::task::yield_now().await;
        let start = Instant::now();
        shutdown.begin();
        assert!(shutdown.has_begun());
        assert_eq!(shutdown.or_begun(std::future::pending::<()>()).await, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
        shutdown.begin();
        assert_eq!(waiter.await.unwrap() - start, Duration::from_secs(3));
    }
}
