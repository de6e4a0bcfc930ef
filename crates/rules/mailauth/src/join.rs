//! Waiting for several futures at once, without a runtime.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// A future whose result is wanted together with those of others.
pub(crate) type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

enum Slot<'a, T> {
    Waiting(Task<'a, T>),
    Done(T),
}

/// Waits for all and gives their results in the same order. Each wake-up polls all that are still waiting, so this is
/// for few of them.
pub(crate) async fn join_all<T: Unpin>(tasks: Vec<Task<'_, T>>) -> Vec<T> {
    let mut slots: Vec<Slot<'_, T>> = tasks.into_iter().map(Slot::Waiting).collect();
    poll_fn(|context| {
        let mut waiting = false;
        for slot in &mut slots {
            if let Slot::Waiting(task) = slot {
                match task.as_mut().poll(context) {
                    Poll::Ready(value) => *slot = Slot::Done(value),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let done = |slot| if let Slot::Done(value) = slot { Some(value) } else { None };
    slots.into_iter().filter_map(done).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_wait_at_the_same_time_and_keep_their_order() {
        let start = Instant::now();
        let after = |seconds: u64| -> Task<'static, u64> {
            Box::pin(async move {
                sleep(Duration::from_secs(seconds)).await;
                seconds
            })
        };
        assert_eq!(join_all(vec![after(3), after(1), after(2)]).await, [3, 1, 2]);
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(join_all(Vec::<Task<'_, u64>>::new()).await, [0_u64; 0]);
    }
}
