//! The worker: claims due rows and serves each destination by one task at a time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mailstead_names::Host;
use mailstead_runtime::Deadline;
use mailstead_smtp::{Reply, Severity};
use mailstead_store::{Claim, DeliveryId, QueueId, QueueRow, Settlement};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Error;
use crate::demand::{MessageClass, Terms};
use crate::local::{LocalMessage, LocalRecipient};
use crate::notice::{Affected, Succeeded};
use crate::outcome::{AttemptRecord, Failure, Outcome, Permanence, Taker, remember};
use crate::queue::Inner;
use crate::schedule::Schedule;

/// Rows taken at once.
const BATCH: usize = 100;
/// How long a claim holds. A destination that is being served is left alone longer than that, and a crash does not wait
/// for the end, so it matters only after a panic.
const LEASE: SignedDuration = SignedDuration::from_hours(1);
/// How long a delivery into an account may take. Its delivery id makes it harmless that it may still succeed.
const LOCAL_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Pause after an error of the database.
const STORE_PAUSE: Duration = Duration::from_secs(60);
/// Longest sleep without looking.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// The same while rows of a busy destination are overdue, which hide when others will be due.
const CROWDED: Duration = Duration::from_secs(15);

pub(crate) struct Worker {
    inner: Arc<Inner>,
    /// Destinations that a task serves or will serve.
    busy: HashSet<String>,
    done_sender: mpsc::UnboundedSender<String>,
    done: mpsc::UnboundedReceiver<String>,
}

/// Reports the end of a task for a destination, by panic too.
struct Serving {
    destination: String,
    done: mpsc::UnboundedSender<String>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The worker may have ended first.
        let _ = self.done.send(std::mem::take(&mut self.destination));
    }
}

impl Worker {
    pub(crate) fn new(inner: Arc<Inner>) -> Worker {
        let (done_sender, done) = mpsc::unbounded_channel();
        Worker { inner, busy: HashSet::new(), done_sender, done }
    }

    pub(crate) async fn run(mut self) {
        let shutdown = self.inner.services.shutdown.clone();
        tokio::select! {
            biased;
            _ = shutdown.begun() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        while let Err(error) = self.inner.reclaim().await {
            self.pause(&error).await;
        }
        loop {
            match self.claim_and_serve().await {
                Ok(next_due) => self.wait(next_due).await,
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn pause(&self, error: &Error) {
        tracing::error!(%error, "queue cannot read or write its rows; waiting a minute");
        self.inner.sleep(STORE_PAUSE).await;
    }

    /// Takes rows while there are free slots; answers when to look again.
    async fn claim_and_serve(&mut self) -> Result<Option<Timestamp>, Error> {
        let inner = Arc::clone(&self.inner);
        while self.busy.len() < inner.settings.concurrency.max(1) {
            let now = inner.services.clock.now();
            let busy = self.busy.iter().cloned().collect();
            let rows = inner.rows.claim(Claim { now, limit: BATCH, lease: LEASE, busy }).await?;
            if rows.is_empty() {
                return Ok(inner.rows.next_due().await?);
            }
            let mut destinations: BTreeMap<String, Vec<QueueRow>> = BTreeMap::new();
            for row in rows {
                destinations.entry(row.destination.clone()).or_default().push(row);
            }
            for (destination, rows) in destinations {
                self.serve(destination, rows);
            }
        }
        Ok(None)
    }

    fn serve(&mut self, destination: String, rows: Vec<QueueRow>) {
        self.busy.insert(destination.clone());
        self.inner.services.metrics.active(self.busy.len());
        let serving = Serving { destination, done: self.done_sender.clone() };
        let inner = Arc::clone(&self.inner);
        self.inner.services.supervisor.spawn("queue delivery", async move {
            let serving = serving;
            let _slot = inner.slots.take().await;
            tracing::debug!(destination = serving.destination, rows = rows.len(), "delivering");
            Arc::clone(&inner).deliver(rows).await;
        });
    }

    /// Until something may have become due: time, a kick, or a destination that is free again.
    async fn wait(&mut self, next_due: Option<Timestamp>) {
        let inner = Arc::clone(&self.inner);
        let now = inner.services.clock.now();
        let sleep = match next_due {
            Some(due) if due > now => Duration::try_from(due.duration_since(now)).unwrap_or(IDLE).min(IDLE),
            Some(_) => CROWDED,
            None => IDLE,
        };
        tokio::select! {
            () = inner.kick.notified() => {}
            Some(destination) = self.done.recv() => self.ended(&destination),
            () = inner.sleep(sleep) => {}
        }
        while let Ok(destination) = self.done.try_recv() {
            self.ended(&destination);
        }
    }

    fn ended(&mut self, destination: &str) {
        self.busy.remove(destination);
        self.inner.services.metrics.active(self.busy.len());
    }
}

/// Rows of one message, with what it demands.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) terms: Terms,
    pub(crate) rows: Vec<QueueRow>,
}

impl Inner {
    async fn sleep(&self, duration: Duration) {
        let clock = &self.services.clock;
        clock.sleep_until(clock.monotonic() + duration).await;
    }

    fn jitter(&self) -> u64 {
        self.services.random.number()
    }

    /// Gives back what a crash left claimed. A first attempt is made again at once: it is hardly to blame. Later ones
    /// wait as if they had failed, so that a message which crashes the server cannot do so in a loop.
    pub(crate) async fn reclaim(&self) -> Result<(), Error> {
        let now = self.services.clock.now();
        let next = move |row: &QueueRow| {
            let begun = row.last_attempt.unwrap_or(now);
            let schedule = Schedule::of(MessageClass::Submission);
            if row.attempts <= 1 { now } else { schedule.next(row.attempts, begun, 0).unwrap_or(now) }
        };
        let reclaimed = self.rows.reclaim(next).await?;
        if reclaimed > 0 {
            tracing::info!(rows = reclaimed, "took back deliveries that the last run did not finish");
        }
        Ok(())
    }

    /// Delivers claimed rows of one destination.
    async fn deliver(self: Arc<Inner>, rows: Vec<QueueRow>) {
        let mut messages: BTreeMap<i64, Vec<QueueRow>> = BTreeMap::new();
        for row in rows {
            messages.entry(row.base).or_default().push(row);
        }
        let (mut local, mut remote) = (Vec::new(), Vec::new());
        for rows in messages.into_values() {
            let Some(first) = rows.first() else { continue };
            let terms = match Terms::decode(&first.demand) {
                Ok(terms) => terms,
                Err(error) => {
                    // Only a newer program could have written it: leave it alone for the length of the lease.
                    tracing::error!(id = %first.id, %error, "message skipped");
                    continue;
                }
            };
            let is_local = terms.account.is_some() || self.services.local.is_local(&first.recipient);
            let group = Group { terms, rows };
            if is_local { local.push(group) } else { remote.push(group) }
        }
        Arc::clone(&self).deliver_all_locally(local).await;
        self.deliver_remotely(remote).await;
    }

    /// Delivers side by side: what is ready at the same time shares commits, and a slow one keeps nobody waiting. One
    /// that panics is a failure of its own message only.
    async fn deliver_all_locally(self: Arc<Inner>, groups: Vec<Group>) {
        let mut deliveries = JoinSet::new();
        let mut under_way = HashMap::new();
        for group in groups {
            let (inner, group) = (Arc::clone(&self), Arc::new(group));
            let delivered = Arc::clone(&group);
            let task = deliveries.spawn(async move { inner.deliver_locally(&delivered).await });
            under_way.insert(task.id(), group);
        }
        while let Some(ended) = deliveries.join_next_with_id().await {
            let mut settled = Vec::new();
            let others = std::iter::from_fn(|| deliveries.try_join_next_with_id());
            for ended in std::iter::once(ended).chain(others) {
                let (id, outcomes) = match ended {
                    Ok((id, outcomes)) => (id, Some(outcomes)),
                    Err(error) => {
                        tracing::error!(%error, "local delivery panicked");
                        (error.id(), None)
                    }
                };
                let Some(group) = under_way.remove(&id).map(Arc::unwrap_or_clone) else { continue };
                let broken = || group.all(&Failure::temporary(3, 0, "Delivery failed for an internal reason"));
                let outcomes = outcomes.unwrap_or_else(broken);
                settled.push((group, outcomes));
            }
            self.conclude("local", settled).await;
        }
    }

    async fn deliver_locally(&self, group: &Group) -> Vec<Outcome> {
        let Some(first) = group.rows.first() else { return Vec::new() };
        let staged = match self.rows.stage(first.id).await {
            Ok(Some(staged)) => staged,
            Ok(None) => return group.all(&Failure::temporary(3, 0, "The message was removed from the queue")),
            Err(error) => {
                tracing::error!(id = %first.id, %error, "queued message cannot be read");
                return group.all(&Failure::temporary(3, 0, "The message could not be read"));
            }
        };
        let (prefix, staged) = staged;
        let recipients = group
            .rows
            .iter()
            .map(|row| LocalRecipient {
                address: row.recipient.clone(),
                delivery: DeliveryId(format!("queue {}", row.id)),
            })
            .collect();
        let message = LocalMessage {
            sender: first.sender.clone(),
            recipients,
            account: group.terms.account(),
            prefix,
            staged,
            queued_at: first.created,
        };
        let Ok(replies) = Deadline::after(LOCAL_PATIENCE).bound(self.services.local.deliver(message)).await else {
            return group.all(&Failure::temporary(4, 7, "Delivery took too long"));
        };
        let mut outcomes: Vec<Outcome> = replies.into_iter().map(local_outcome).collect();
        outcomes.resize(group.rows.len(), Outcome::Failed(Failure::temporary(3, 0, "Delivery gave no answer")));
        outcomes
    }

    /// Records outcomes, with their notices, in one transaction.
    pub(crate) async fn conclude(&self, route: &'static str, groups: Vec<(Group, Vec<Outcome>)>) {
        let mut settlements = Vec::new();
        let mut affected = Vec::new();
        let mut succeeded = Vec::new();
        for (group, outcomes) in groups {
            let told = group.rows.iter().zip(&outcomes).filter_map(|(row, outcome)| Succeeded::of(row, outcome));
            succeeded.push((group.terms.class, told.collect::<Vec<_>>()));
            let (mut delayed, mut failed) = (Vec::new(), Vec::new());
            for (row, outcome) in group.rows.into_iter().zip(outcomes) {
                let (id, settlement, told) = self.settlement(route, row, outcome, group.terms.class);
                settlements.push((id, settlement));
                match told {
                    Some(told) if told.next_attempt.is_some() => delayed.push(told),
                    Some(told) => failed.push(told),
                    None => {}
                }
            }
            affected.push((group.terms.class, delayed));
            affected.push((group.terms.class, failed));
        }
        let has_notices = affected.iter().any(|(_, affected)| !affected.is_empty())
            || succeeded.iter().any(|(_, succeeded)| !succeeded.is_empty());
        // Until it is recorded: a delivery that is not settled would be made again.
        while let Err(error) = self.settle(settlements.clone(), &affected, &succeeded).await {
            tracing::error!(%error, "outcome of deliveries not recorded; trying again in a minute");
            self.sleep(STORE_PAUSE).await;
        }
        if has_notices {
            self.kick.notify_one();
        }
    }

    async fn settle(
        &self,
        settlements: Vec<(QueueId, Settlement)>,
        affected: &[(MessageClass, Vec<Affected>)],
        succeeded: &[(MessageClass, Vec<Succeeded>)],
    ) -> Result<(), Error> {
        let mut notices = Vec::new();
        for (class, affected) in affected {
            notices.extend(self.notice(affected, *class).await?);
        }
        for (class, succeeded) in succeeded {
            notices.extend(self.success_notice(succeeded, *class).await?);
        }
        Ok(self.rows.settle(settlements, notices).await?)
    }

    /// What an outcome means for its row, and whom it concerns.
    fn settlement(
        &self,
        route: &'static str,
        row: QueueRow,
        outcome: Outcome,
        class: MessageClass,
    ) -> (QueueId, Settlement, Option<Affected>) {
        let (id, recipient, attempts) = (row.id, row.recipient.to_string(), row.attempts);
        let failure = match outcome {
            Outcome::Delivered(reply, taker) => {
                let host = match taker {
                    Taker::Account => None,
                    Taker::Server(remote, _) => Some(remote.host.to_string()),
                };
                tracing::info!(%id, %recipient, host, attempts, code = reply.code, "delivered");
                self.services.metrics.attempt(route, "delivered");
                return (id, Settlement::Finished, None);
            }
            Outcome::Failed(failure) => failure,
        };
        let now = self.services.clock.now();
        let schedule = Schedule::of(class);
        let next_attempt = match failure.permanence {
            Permanence::Permanent => None,
            Permanence::Temporary => schedule.next(attempts, now, self.jitter()),
        };
        let (status, reason) = (failure.status, failure.text.as_str());
        let Some(next_attempt) = next_attempt else {
            tracing::warn!(%id, %recipient, attempts, %status, reason, "delivery failed");
            self.services.metrics.attempt(route, "failed");
            return (id, Settlement::Finished, Some(Affected { row, failure, next_attempt: None }));
        };
        tracing::info!(%id, %recipient, attempts, %status, reason, %next_attempt, "delivery deferred");
        self.services.metrics.attempt(route, "deferred");
        let record = AttemptRecord::new(row.last_attempt.unwrap_or(now), &failure);
        let result = remember(row.result.as_ref(), record);
        let told = (schedule.delay_notice == Some(attempts)).then_some(Affected {
            row,
            failure,
            next_attempt: Some(next_attempt),
        });
        (id, Settlement::Deferred { next_attempt, result }, told)
    }
}

impl Group {
    pub(crate) fn destination(&self) -> Option<(MessageClass, Host)> {
        let first = self.rows.first()?;
        Some((self.terms.class, first.recipient.host.clone()))
    }

    /// Whether this is a row of the same message.
    pub(crate) fn is_of(&self, row: &QueueRow) -> bool {
        self.rows.first().is_some_and(|first| first.base == row.base)
    }

    /// The same for every recipient.
    pub(crate) fn fail(self, failure: &Failure) -> (Group, Vec<Outcome>) {
        let outcomes = self.all(failure);
        (self, outcomes)
    }

    pub(crate) fn all(&self, failure: &Failure) -> Vec<Outcome> {
        self.rows.iter().map(|_| Outcome::Failed(failure.clone())).collect()
    }
}

fn local_outcome(reply: Reply) -> Outcome {
    match reply.severity() {
        Severity::Completion => Outcome::Delivered(reply, Taker::Account),
        Severity::Permanent => Outcome::Failed(Failure::of_reply(reply, Permanence::Permanent)),
        Severity::Intermediate | Severity::Transient => {
            Outcome::Failed(Failure::of_reply(reply, Permanence::Temporary))
        }
    }
}
