//! Clocks that tests move.
//!
//! [`ManualClock`] stands still until it is told to advance; [`PausedClock`] follows tokio's clock, which a
//! test with `start_paused` moves by sleeping.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mailstead_runtime::{BoxFuture, Clock};
use tokio::sync::watch;
use tokio::time::Instant;

/// Where both clocks start: 2026-01-15T12:00:00Z.
pub const START: i64 = 1_768_478_400;

fn start() -> Timestamp {
    Timestamp::from_second(START).expect("a time that jiff knows")
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| from.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// A clock that moves only when told. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    shared: Arc<watch::Sender<Hands>>,
}

#[derive(Debug, Clone, Copy)]
struct Hands {
    wall: Timestamp,
    monotonic: Instant,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// A clock that stands at [`START`].
    #[must_use]
    pub fn new() -> Self {
        Self::at(start())
    }

    /// A clock that stands at this time.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        ManualClock { shared: Arc::new(watch::Sender::new(Hands { wall, monotonic: Instant::now() })) }
    }

    /// Moves both hands forward and wakes who waits.
    pub fn advance(&self, by: Duration) {
        self.shared.send_modify(|hands| {
            hands.wall = later(hands.wall, by);
            hands.monotonic += by;
        });
    }

    /// Sets the wall clock alone, as an operator or NTP may; it may go backwards.
    pub fn set_wall(&self, wall: Timestamp) {
        self.shared.send_modify(|hands| hands.wall = wall);
    }

    /// This clock as the trait object that engines take.
    #[must_use]
    pub fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.shared.borrow().wall
    }

    fn monotonic(&self) -> Instant {
        self.shared.borrow().monotonic
    }

    fn sleep_until(&self, when: Instant) -> BoxFuture<'_, ()> {
        let mut hands = self.shared.subscribe();
        Box::pin(async move {
            // The sender lives in `self`, which this future borrows: the channel stays open.
            let _ = hands.wait_for(|hands| hands.monotonic >= when).await;
        })
    }
}

/// A clock that starts at [`START`] and follows tokio's time, paused or not.
#[derive(Debug, Clone, Copy)]
pub struct PausedClock {
    origin: Instant,
}

impl Default for PausedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl PausedClock {
    /// A clock whose [`START`] is now.
    #[must_use]
    pub fn new() -> Self {
        PausedClock { origin: Instant::now() }
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        later(start(), self.origin.elapsed())
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, when: Instant) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep_until(when))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn advancing_wakes_sleepers_in_time() {
        let clock = ManualClock::new();
        let until = clock.monotonic() + Duration::from_secs(60);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(until).await }
        });
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now().as_second(), START + 60);
    }

    #[tokio::test(start_paused = true)]
    async fn the_paused_clock_follows_tokio() {
        let clock = PausedClock::new();
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now().as_second(), START + 90);
    }
}
