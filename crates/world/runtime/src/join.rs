//! Waiting for several futures at once, within one task.

use std::future::poll_fn;
use std::task::Poll;

/// Drives all of them at once, and gives what they give in their order. Each wake-up polls all that are not ready yet,
/// so this is for few of them; many have tasks of their own.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut is_pending = false;
        for (future, output) in futures.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => is_pending = true,
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_run_at_once_and_answer_in_order() {
        let begun = Instant::now();
        let after = |seconds: u64| async move {
            sleep(Duration::from_secs(seconds)).await;
            seconds
        };
        assert_eq!(join_all([3, 1, 2].map(after)).await, [3, 1, 2]);
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert_eq!(join_all([0; 0].map(after)).await, [0; 0]);
    }
}
