//! When a message is tried again, and when it is given up (RFC 5321 §4.5.4.1). Pure: the notices to senders say what
//! these functions say.

use jiff::{SignedDuration, Timestamp};

use crate::MessageClass;

/// The times of attempts. Each wait is twice the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Wait after the first attempt.
    pub first_wait: SignedDuration,
    /// The last attempt.
    pub attempts: u32,
    /// After which failed attempt the sender is told of the delay.
    pub delay_notice: Option<u32>,
    /// Waits vary by this much in either direction, so that messages do not return in one crowd.
    pub jitter: SignedDuration,
}

impl Schedule {
    /// The schedule for a class of messages: at once, then after 7.5, 15 and 30 minutes, 1, 2, 4 and 8 hours. Reports
    /// are given up sooner, and about them and about notices nobody is told.
    #[must_use]
    pub fn of(class: MessageClass) -> Schedule {
        let (attempts, delay_notice) = match class {
            MessageClass::Submission => (8, Some(5)),
            MessageClass::Notice => (8, None),
            MessageClass::Report => (5, None),
        };
        Schedule {
            first_wait: SignedDuration::from_secs(450),
            attempts,
            delay_notice,
            jitter: SignedDuration::from_secs(5),
        }
    }

    /// The wait after attempt `attempt`, counted from 1, without jitter.
    #[must_use]
    pub fn wait_after(&self, attempt: u32) -> SignedDuration {
        self.first_wait.saturating_mul(1_i32.checked_shl(attempt.saturating_sub(1).min(20)).unwrap_or(i32::MAX))
    }

    /// When to try again after attempt `attempt` has failed; `None` when that was the last. `jitter` is any number.
    #[must_use]
    pub fn next(&self, attempt: u32, now: Timestamp, jitter: u64) -> Option<Timestamp> {
        if attempt >= self.attempts {
            return None;
        }
        let span = u64::try_from(self.jitter.as_secs()).unwrap_or(0);
        let offset = i64::try_from(jitter % (2 * span + 1)).unwrap_or(0) - self.jitter.as_secs();
        let wait = self.wait_after(attempt).checked_add(SignedDuration::from_secs(offset))?;
        Some(now.saturating_add(wait).unwrap_or(Timestamp::MAX))
    }

    /// The waits that are still to come after attempt `attempt` has failed.
    pub fn waits_left(&self, attempt: u32) -> impl Iterator<Item = SignedDuration> {
        let schedule = *self;
        (attempt..self.attempts).map(move |attempt| schedule.wait_after(attempt))
    }

    /// When the last attempt will be made, the next one being at `next` after attempt `attempt`.
    #[must_use]
    pub fn until(&self, attempt: u32, next: Timestamp) -> Timestamp {
        let later = self.waits_left(attempt).skip(1).fold(SignedDuration::ZERO, SignedDuration::saturating_add);
        next.saturating_add(later).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(schedule: &Schedule, after: u32) -> Vec<i64> {
        schedule.waits_left(after).map(|wait| wait.as_secs() / 30).collect()
    }

    #[test]
    fn the_waits_double_and_the_eighth_attempt_is_the_last() {
        let schedule = Schedule::of(MessageClass::Submission);
        // In half minutes.
        assert_eq!(minutes(&schedule, 1), [15, 30, 60, 120, 240, 480, 960]);
        assert_eq!(minutes(&schedule, 5), [240, 480, 960]);
        assert_eq!(minutes(&schedule, 8), [0; 0]);
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(schedule.next(8, now, 0), None);
        assert_eq!(schedule.next(9, now, 0), None);
        let total: i64 = schedule.waits_left(1).map(|wait| wait.as_secs()).sum();
        assert_eq!(total, 57_150, "fifteen hours, 52 minutes and a half");
    }

    #[test]
    fn what_a_delay_notice_promises_is_what_happens() {
        let schedule = Schedule { jitter: SignedDuration::ZERO, ..Schedule::of(MessageClass::Submission) };
        for failed in 1..8 {
            let mut now = Timestamp::UNIX_EPOCH;
            let promised = schedule.until(failed, schedule.next(failed, now, 0).unwrap());
            for attempt in failed..8 {
                now = schedule.next(attempt, now, 0).unwrap();
            }
            assert_eq!(now, promised, "after attempt {failed}");
        }
    }

    #[test]
    fn jitter_is_small() {
        let schedule = Schedule::of(MessageClass::Submission);
        let seconds = |jitter| schedule.next(1, Timestamp::UNIX_EPOCH, jitter).unwrap().as_second();
        assert!((0..100).all(|jitter| (445..=455).contains(&seconds(jitter))));
        assert!((445..=455).contains(&seconds(u64::MAX)));
    }

    #[test]
    fn reports_are_given_up_sooner() {
        assert_eq!(Schedule::of(MessageClass::Report).attempts, 5);
        assert_eq!(Schedule::of(MessageClass::Notice).delay_notice, None);
    }
}
