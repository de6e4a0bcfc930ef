//! Wall-clock and monotonic time behind one object-safe trait.
//!
//! Engines hold an `Arc<dyn Clock>` and never call the system's clock themselves, so a test can move time
//! by hand. Monotonic time is tokio's [`Instant`], which tests may pause.

use std::fmt::Debug;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::BoxFuture;

/// Source of time.
pub trait Clock: Debug + Send + Sync {
    /// The wall-clock time, for what is stored or shown. It may jump.
    fn now(&self) -> Timestamp;

    /// Time that only moves forward, for measuring and waiting.
    fn monotonic(&self) -> Instant;

    /// Completes at or after `when` of [`Clock::monotonic`].
    fn sleep_until(&self, when: Instant) -> BoxFuture<'_, ()>;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, when: Instant) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep_until(when))
    }
}
