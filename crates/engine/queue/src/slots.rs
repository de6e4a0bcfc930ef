//! How many may do something at the same time, who waits for it, and who can make room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many slots, and those who wait in line for one. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    most: usize,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Nothing only where the semaphore was closed, which nobody does.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// At least one.
    pub(crate) fn new(most: usize) -> Slots {
        let most = most.max(1);
        Slots { most, permits: Arc::new(Semaphore::new(most)), waiting: Arc::default() }
    }

    /// Waits in line for a slot.
    pub(crate) async fn take(&self) -> Slot {
        let _waiting = Waiting::new(&self.waiting);
        Slot { _permit: Arc::clone(&self.permits).acquire_owned().await.ok() }
    }

    /// A slot that nobody else wants.
    pub(crate) fn take_if_free(&self) -> Option<Slot> {
        Arc::clone(&self.permits).try_acquire_owned().ok().map(|permit| Slot { _permit: Some(permit) })
    }

    /// Whether somebody waits for a slot.
    pub(crate) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Whether nobody has one or waits for one, or is about to.
    pub(crate) fn are_idle(&self) -> bool {
        Arc::strong_count(&self.permits) == 1 && self.permits.available_permits() == self.most
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
