//! How many destinations are served at the same time, and how many connections serve them all.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The slots that there are.
#[derive(Debug)]
pub(crate) struct Slots {
    permits: Semaphore,
    /// Destinations that wait for one.
    waiting: AtomicUsize,
}

/// The right to serve, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    /// Nothing only where the semaphore was closed, which nobody does.
    _permit: Option<SemaphorePermit<'a>>,
}

impl Slots {
    pub(crate) fn new(most: usize) -> Slots {
        Slots { permits: Semaphore::new(most.max(1)), waiting: AtomicUsize::new(0) }
    }

    /// Waits in line for a slot.
    pub(crate) async fn take(&self) -> Slot<'_> {
        let _waiting = Waiting::new(&self.waiting);
        Slot { _permit: self.permits.acquire().await.ok() }
    }

    /// A slot that nobody else wants.
    pub(crate) fn take_if_free(&self) -> Option<Slot<'_>> {
        self.permits.try_acquire().ok().map(|permit| Slot { _permit: Some(permit) })
    }

    /// Whether somebody waits for a slot.
    pub(crate) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Counts who waits, also where it is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_free_slot_is_given_away_until_somebody_wants_it() {
        let slots = Slots::new(2);
        let first = slots.take().await;
        let second = slots.take_if_free().unwrap();
        assert!(slots.take_if_free().is_none());
        assert!(!slots.are_wanted());
        {
            let mut third = std::pin::pin!(slots.take());
            let is_ready =
                std::future::poll_fn(|context| std::task::Poll::Ready(third.as_mut().poll(context).is_ready()));
            assert!(!is_ready.await);
            assert!(slots.are_wanted());
            drop(second);
            assert!(slots.take_if_free().is_none(), "it is for who waits");
            third.await;
            assert!(!slots.are_wanted());
        }
        drop(first);
        assert!(slots.take_if_free().is_some());
    }
}
