//! What operators look for in the queue: rows by number and time, in one of two orders, a page after the other.
//!
//! A page begins behind the last row of the one before, so a long queue is never in memory as a whole. What an address
//! must look like is the queue engine's business.

use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::{QueueId, QueueRow, QueueStore, bounded};
use crate::error::Result;
use crate::sql::{json_list, params};

/// In which order rows are listed. Both end with the number, so no two rows are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they were queued.
    Queued,
    /// By their next attempt.
    NextAttempt,
}

/// Which rows to list.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Only these, where some are named.
    pub ids: Option<Vec<QueueId>>,
    /// Only what was queued in this time.
    pub created: RangeInclusive<Timestamp>,
    /// Only what is tried next in this time.
    pub next_attempt: RangeInclusive<Timestamp>,
    /// Nothing that was queued after this row.
    pub newest: QueueId,
    /// In which order.
    pub order: Order,
    /// At most this many.
    pub limit: usize,
}

impl Listing {
    /// Every row, as they were queued.
    #[must_use]
    pub fn everything(limit: usize) -> Listing {
        let always = Timestamp::MIN..=Timestamp::MAX;
        Listing {
            ids: None,
            created: always.clone(),
            next_attempt: always,
            newest: QueueId(i64::MAX),
            order: Order::Queued,
            limit,
        }
    }
}

impl QueueStore {
    /// The number of the row that was queued last.
    pub async fn newest(&self) -> Result<Option<QueueId>> {
        let last = "select id from queue_recipients order by id desc limit 1";
        self.store.server_read(move |read| read.sql().scalar(last, params![])).await
    }

    /// The rows that a listing names and that come after a row of the page before, its next attempt as it was there.
    pub async fn page(&self, listing: Listing, after: Option<(QueueId, Timestamp)>) -> Result<Vec<QueueRow>> {
        let Listing { ids, created, next_attempt: due, newest, order, limit } = listing;
        let ids = ids.map(|ids| json_list(ids.into_iter().map(|id| id.0)));
        let (after, since) = after.unwrap_or((QueueId(0), Timestamp::MIN));
        self.store
            .server_read(move |read| {
                // Without the signs SQLite may prefer the index of the next attempts and sort all rows for every page.
                let (behind, columns) = match order {
                    Order::Queued => ("r.id > $1 and +r.next_attempt_at between $2 and $3", "r.id"),
                    Order::NextAttempt => (
                        "(r.next_attempt_at, r.id) > ($8, $1) and r.next_attempt_at between $2 and $3",
                        "r.next_attempt_at, r.id",
                    ),
                };
                let mut which = format!("where {behind} and r.id <= $4 and m.created_at between $5 and $6");
                let mut params =
                    params![after, *due.start(), *due.end(), newest, *created.start(), *created.end(), bounded(limit),]
                        .to_vec();
                if order == Order::NextAttempt {
                    params.push(since.into());
                }
                if let Some(ids) = &ids {
                    params.push(ids.as_str().into());
                    let listed = read.sql().dialect().is_listed("r.id", &format!("${}", params.len()));
                    which.push_str(&format!(" and {listed}"));
                }
                read.queue_rows(&format!("{which} order by {columns} limit $7"), &params)
            })
            .await
    }
}
