//! What operators see of the queue and do to it by hand.

use jiff::{SignedDuration, Timestamp};
use mailstead_store::{QueueId, QueueRow, Settlement};

use crate::demand::{Demand, Terms};
use crate::outcome::{AttemptRecord, Failure, Outcome, attempts};
use crate::worker::Group;
use crate::{Error, Queue};

/// How long rows are held while something is done to them.
const HOLD: SignedDuration = SignedDuration::from_mins(5);

/// A recipient that is still to be delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outstanding {
    /// As it is stored.
    pub row: QueueRow,
    /// What is demanded of the delivery; `None` where a newer program wrote it.
    pub demand: Option<Demand>,
    /// The attempts that are remembered, oldest first.
    pub attempts: Vec<AttemptRecord>,
}

impl Outstanding {
    /// What a row says.
    #[must_use]
    pub fn of(row: QueueRow) -> Outstanding {
        let demand = Terms::decode(&row.demand).ok().map(|terms| terms.demand);
        let attempts = attempts(row.result.as_ref()).unwrap_or_default();
        Outstanding { row, demand, attempts }
    }
}

impl Queue {
    /// Gives these recipients up, with a notice to the sender as after a last attempt. Says for which ones; an attempt that
    /// is under way is not disturbed.
    ///
    /// # Errors
    /// The store's. What was not done is as it was, at the latest after a few minutes.
    pub async fn fail(&self, ids: &[QueueId]) -> Result<Vec<QueueId>, Error> {
        let inner = &self.inner;
        let rows = inner.rows.take(ids.to_vec(), inner.services.clock.now(), HOLD).await?;
        let mut given_up = Vec::new();
        for row in rows {
            // Only a newer program could have written it: it stays.
            let Ok(terms) = Terms::decode(&row.demand) else { continue };
            let failure = Failure::permanent(0, 0, "The administrator of the server has given up delivery");
            given_up.push(row.id);
            let group = Group { terms, rows: vec![row] };
            inner.conclude("operator", vec![(group, vec![Outcome::Failed(failure)])]).await;
        }
        self.kick();
        Ok(given_up)
    }

    /// Removes these recipients; nobody is told. Says which ones; an attempt that is under way is not disturbed.
    ///
    /// # Errors
    /// The store's, and then as in [`Queue::fail`].
    pub async fn drop_recipients(&self, ids: &[QueueId]) -> Result<Vec<QueueId>, Error> {
        let rows = self.inner.rows.take(ids.to_vec(), self.inner.services.clock.now(), HOLD).await?;
        let dropped: Vec<QueueId> = rows.iter().map(|row| row.id).collect();
        let settled = dropped.iter().map(|id| (*id, Settlement::Finished)).collect();
        self.inner.rows.settle(settled, Vec::new()).await?;
        self.kick();
        Ok(dropped)
    }

    /// Lets the next attempts for these recipients be made then. Says for which ones; one that is under way goes on.
    ///
    /// # Errors
    /// The store's.
    pub async fn schedule(&self, ids: &[QueueId], next_attempt: Timestamp) -> Result<Vec<QueueId>, Error> {
        let moved = self.inner.rows.reschedule(ids.to_vec(), next_attempt).await?;
        self.kick();
        Ok(moved)
    }
}
