//! The one wrapper that bounds a wait.
//!
//! A [`Deadline`] is a point in time, not a duration: passing it on through several steps (dial, TLS
//! handshake, greeting) keeps the total bounded, and it stays valid when a stream changes its form.

use std::time::Duration;

use tokio::time::Instant;

/// The latest moment at which a wait may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

/// The deadline passed before the awaited thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("deadline passed")]
pub struct Expired;

impl From<Expired> for std::io::Error {
    fn from(_: Expired) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, Expired)
    }
}

impl Deadline {
    /// No bound at all. For waits that something else bounds, such as a shutdown.
    pub const NEVER: Deadline = Deadline(None);

    /// A deadline at this instant.
    #[must_use]
    pub const fn at(when: Instant) -> Self {
        Deadline(Some(when))
    }

    /// A deadline this long from now. A duration too long for the clock means never.
    #[must_use]
    pub fn after(wait: Duration) -> Self {
        Deadline(Instant::now().checked_add(wait))
    }

    /// The instant, or `None` for [`Deadline::NEVER`].
    #[must_use]
    pub const fn instant(self) -> Option<Instant> {
        self.0
    }

    /// Whichever of the two comes first.
    #[must_use]
    pub fn earlier(self, other: Deadline) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Deadline(Some(a.min(b))),
            (one, None) | (None, one) => Deadline(one),
        }
    }

    /// Whether the moment has come.
    #[must_use]
    pub fn is_past(self) -> bool {
        self.0.is_some_and(|when| Instant::now() >= when)
    }

    /// How long is left, zero once past, `None` for never.
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|when| when.saturating_duration_since(Instant::now()))
    }

    /// Awaits `future`, but not past the deadline.
    pub async fn bound<F: Future>(self, future: F) -> Result<F::Output, Expired> {
        match self.0 {
            None => Ok(future.await),
            Some(when) => tokio::time::timeout_at(when, future).await.map_err(|_| Expired),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bounds_the_total_of_several_steps() {
        let deadline = Deadline::after(Duration::from_secs(10));
        let step = || tokio::time::sleep(Duration::from_secs(6));
        assert_eq!(deadline.bound(step()).await, Ok(()));
        assert_eq!(deadline.remaining(), Some(Duration::from_secs(4)));
        assert_eq!(deadline.bound(step()).await, Err(Expired));
        assert!(deadline.is_past());
    }

    #[tokio::test(start_paused = true)]
    async fn never_is_later_than_anything() {
        let soon = Deadline::after(Duration::from_secs(1));
        assert_eq!(Deadline::NEVER.earlier(soon), soon);
        assert_eq!(soon.earlier(Deadline::NEVER), soon);
        assert!(!Deadline::NEVER.is_past());
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    }
}
