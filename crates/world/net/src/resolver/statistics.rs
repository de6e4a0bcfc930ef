//! Counts of what the resolver does, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mailstead_dns::{Answer, LookupError, LookupErrorKind, Record};

/// Upper bounds of the classes that durations of look-ups are counted in, in milliseconds.
pub const DURATION_BOUNDS: [u64; 8] = [1, 5, 20, 100, 500, 2_000, 5_000, 20_000];

/// How look-ups end, for counting.
pub const OUTCOMES: [&str; 6] = ["secure", "insecure", "bogus", "timeout", "no-resolver", "error"];

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    outcomes: [AtomicU64; OUTCOMES.len()],
    durations: [AtomicU64; DURATION_BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, outcome: &Result<Answer<Record>, LookupError>, took: Duration) {
        let place = match outcome {
            Ok(answer) if answer.is_secure() => 0,
            Ok(_) => 1,
            Err(error) => match error.kind {
                LookupErrorKind::Bogus => 2,
                LookupErrorKind::Timeout => 3,
                LookupErrorKind::NoResolver => 4,
                _ => 5,
            },
        };
        self.outcomes[place].fetch_add(1, Ordering::Relaxed);
        let class = DURATION_BOUNDS.iter().take_while(|bound| took > Duration::from_millis(**bound)).count();
        self.durations[class].fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    pub(super) fn outcomes(&self) -> [u64; OUTCOMES.len()] {
        self.outcomes.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    pub(super) fn durations(&self) -> [u64; DURATION_BOUNDS.len() + 1] {
        self.durations.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    pub(super) fn total(&self) -> Duration {
        Duration::from_micros(self.microseconds.load(Ordering::Relaxed))
    }
}

/// What the resolver has done since the start, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Look-ups by how they ended, in the order of [`OUTCOMES`].
    pub outcomes: [u64; OUTCOMES.len()],
    /// Look-ups by how long they took: up to each of [`DURATION_BOUNDS`], and longer.
    pub durations: [u64; DURATION_BOUNDS.len() + 1],
    /// How long all look-ups together took.
    pub total: Duration,
    /// Steps of answers that were in the cache.
    pub cache_hits: u64,
    /// Steps of answers that were not.
    pub cache_misses: u64,
    /// Entries of the cache.
    pub cache_entries: u64,
    /// Octets that they take, roughly.
    pub cache_octets: u64,
    /// Questions asked over UDP.
    pub udp_queries: u64,
    /// Questions asked over TCP.
    pub tcp_queries: u64,
    /// Questions without answer in time.
    pub timeouts: u64,
    /// Replies that did not fit the question: late ones, and attempts at forgery.
    pub mismatched_replies: u64,
}
