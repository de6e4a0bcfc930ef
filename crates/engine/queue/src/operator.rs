//! What operators see of the queue and do to it by hand.
//!
//! Everything goes page by page, so a queue of any length can be worked on while mail is delivered; what is queued after
//! the work has begun, such as the notices that it brings about, is not part of it. Which recipients are meant is
//! [`filter`]'s.

pub(crate) mod filter;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mailstead_store::{Listing, Order, QueueId, QueueRow, Settlement};
use serde::{Deserialize, Serialize};

use crate::demand::{Demand, Terms};
use crate::operator::filter::Filter;
use crate::outcome::{AttemptRecord, Failure, Outcome, attempts};
use crate::worker::Group;
use crate::{Error, Queue};

/// Rows that are read, and changed in one transaction.
const PAGE: usize = 200;
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

/// What can be done to recipients by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// The next attempt is made after this time.
    Schedule(SignedDuration),
    /// Delivery is given up, with a notice to the sender as after a last attempt.
    Fail,
    /// Delivery is given up, and nobody is told.
    Drop,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handled {
    /// To how many recipients it was done.
    pub done: usize,
    /// Those to whom it was not, because an attempt is under way or a newer program wrote what they demand. Whoever was
    /// delivered to meanwhile is not among them.
    pub left: Vec<QueueId>,
}

/// A look through the queue, page by page.
#[derive(Debug)]
pub struct Search {
    queue: Queue,
    filter: Filter,
    listing: Listing,
    after: Option<(QueueId, Timestamp)>,
    /// How many may still be found.
    left: usize,
}

impl Search {
    /// Those found next; none at the end.
    ///
    /// # Errors
    /// The store's.
    pub async fn next(&mut self) -> Result<Vec<Outstanding>, Error> {
        while self.left > 0 {
            let page = self.queue.inner.rows.page(self.listing.clone(), self.after).await?;
            let Some(last) = page.last() else { break };
            self.after = Some((last.id, last.next_attempt));
            let met = page.into_iter().filter(|row| self.filter.is_met_by(row)).take(self.left);
            let found: Vec<Outstanding> = met.map(Outstanding::of).collect();
            if !found.is_empty() {
                self.left -= found.len();
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

impl Queue {
    /// Begins to look for recipients, as they are now. One whose next attempt is moved meanwhile may be found twice or not
    /// at all in the order of these.
    ///
    /// # Errors
    /// The store's.
    pub async fn search(&self, filter: Filter, order: Order) -> Result<Search, Error> {
        // With nothing in the queue there is no number to stop at, and nothing to find.
        let newest = self.inner.rows.newest().await?.unwrap_or(QueueId(0));
        let listing = Listing { newest, order, ..filter.listing(self.inner.services.clock.now(), PAGE) };
        let left = filter.max.unwrap_or(usize::MAX);
        Ok(Search { queue: self.clone(), filter, listing, after: None, left })
    }

    /// Does something to all recipients that are meant, in the order in which they were queued. An attempt that is under
    /// way is not disturbed: its recipients are left as they are, and named.
    ///
    /// # Errors
    /// The store's. What was done before the error stays done; what was not is as it was, at the latest after a few minutes.
    pub async fn perform(&self, filter: Filter, deed: Deed) -> Result<Handled, Error> {
        let mut search = self.search(filter, Order::Queued).await?;
        let mut handled = Handled::default();
        loop {
            let page = search.next().await?;
            if page.is_empty() {
                return Ok(handled);
            }
            let meant: Vec<QueueId> = page.iter().map(|outstanding| outstanding.row.id).collect();
            let done: BTreeSet<QueueId> = match deed {
                Deed::Schedule(wait) => self.schedule(meant.clone(), wait).await?.into_iter().collect(),
                Deed::Fail => self.fail(&page).await?.into_iter().collect(),
                Deed::Drop => self.drop_recipients(meant.clone()).await?.into_iter().collect(),
            };
            self.kick();
            handled.done += done.len();
            let left: Vec<QueueId> = meant.into_iter().filter(|id| !done.contains(id)).collect();
            if !left.is_empty() {
                let there = Listing { ids: Some(left), ..Listing::everything(PAGE) };
                handled.left.extend(self.inner.rows.page(there, None).await?.iter().map(|row| row.id));
            }
        }
    }

    /// Gives back what an earlier run was delivering when it ended, as [`Queue::run`] does first. For commands that work on
    /// a queue that nobody runs, where nothing can be under way.
    ///
    /// # Errors
    /// The store's.
    pub async fn take_back(&self) -> Result<(), Error> {
        self.inner.reclaim().await
    }

    async fn schedule(&self, ids: Vec<QueueId>, wait: SignedDuration) -> Result<Vec<QueueId>, Error> {
        let next_attempt = self.inner.services.clock.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
        Ok(self.inner.rows.reschedule(ids, next_attempt).await?)
    }

    /// One notice for each message, about all of its recipients that are on the page.
    async fn fail(&self, page: &[Outstanding]) -> Result<Vec<QueueId>, Error> {
        let inner = &self.inner;
        // What a newer program wrote is not understood well enough to tell anybody about it.
        let understood = page.iter().filter(|outstanding| outstanding.demand.is_some());
        let ids = understood.map(|outstanding| outstanding.row.id).collect();
        let mut messages: BTreeMap<i64, Vec<QueueRow>> = BTreeMap::new();
        for row in inner.rows.take(ids, inner.services.clock.now(), HOLD).await? {
            messages.entry(row.base).or_default().push(row);
        }
        let mut given_up = Vec::new();
        let mut failed = Vec::new();
        for rows in messages.into_values() {
            let Some(Ok(terms)) = rows.first().map(|row| Terms::decode(&row.demand)) else { continue };
            given_up.extend(rows.iter().map(|row| row.id));
            let outcomes = rows.iter().map(|row| Outcome::Failed(given_up_after(row))).collect();
            failed.push((Group { terms, rows }, outcomes));
        }
        inner.conclude("operator", failed).await;
        Ok(given_up)
    }

    async fn drop_recipients(&self, ids: Vec<QueueId>) -> Result<Vec<QueueId>, Error> {
        let rows = &self.inner.rows;
        let taken = rows.take(ids, self.inner.services.clock.now(), HOLD).await?;
        let settled = taken.iter().map(|row| (row.id, Settlement::Finished)).collect();
        rows.settle(settled, Vec::new()).await?;
        for QueueRow { id, recipient, attempts, .. } in &taken {
            tracing::warn!(%id, %recipient, attempts, "dropped by the administrator");
        }
        Ok(taken.into_iter().map(|row| row.id).collect())
    }
}

/// What the sender is told: that it was a person's decision, and what had come of the delivery until then.
fn given_up_after(row: &QueueRow) -> Failure {
    let mut text = "The administrator of the server has given up delivery".to_owned();
    if let Some(last) = attempts(row.result.as_ref()).unwrap_or_default().pop() {
        let host = last.host.map(|host| format!(" at {host}")).unwrap_or_default();
        text.push_str(&format!(". What came of the last attempt{host}: {}", last.text));
    }
    Failure::permanent(0, 0, text)
}
