//! Delivery to other servers: which way each message goes, and how many connections serve one destination.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use mailstead_runtime::join_all;

use crate::courier::Courier;
use crate::demand::Terms;
use crate::outcome::Failure;
use crate::queue::Inner;
use crate::route::{Passage, Transport};
use crate::slots::Slot;
use crate::transaction::Letter;
use crate::worker::Group;

/// As many messages wait for each further connection to a destination at least.
const PER_CONNECTION: usize = 10;

/// The messages for one destination by one transport, in the order in which they begin.
struct Line {
    /// How the transport is called in figures.
    route: &'static str,
    groups: Mutex<VecDeque<Group>>,
}

impl Line {
    fn next(&self) -> Option<Group> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn len(&self) -> usize {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Inner {
    /// By the transports that routes choose for the recipients, one after the other.
    pub(crate) async fn deliver_remotely(&self, groups: Vec<Group>) {
        for (transport, groups) in self.by_transport(groups) {
            self.deliver_by(&transport, groups).await;
        }
    }

    /// Recipients of one message may go different ways: then it is several groups. The order is kept within each way.
    fn by_transport(&self, groups: Vec<Group>) -> Vec<(Arc<Transport>, Vec<Group>)> {
        let mut ways: Vec<(Arc<Transport>, Vec<Group>)> = Vec::new();
        for Group { terms, rows } in groups {
            for row in rows {
                let transport = self.settings.routes.choose(Passage::of(&row));
                let way = match ways.iter_mut().find(|(known, _)| Arc::ptr_eq(known, transport)) {
                    Some((_, groups)) => groups,
                    None => &mut ways.push_mut((Arc::clone(transport), Vec::new())).1,
                };
                match way.last_mut().filter(|group| group.is_of(&row)) {
                    Some(group) => group.rows.push(row),
                    None => way.push(Group { terms, rows: vec![row] }),
                }
            }
        }
        ways
    }

    /// One message after the other; where many wait and there is a server, over several connections.
    async fn deliver_by(&self, transport: &Transport, groups: Vec<Group>) {
        let route = transport.label();
        let Some((class, recipients)) = groups.first().and_then(Group::destination) else { return };
        let courier = match transport.carrier() {
            Ok(carrier) => Courier::new(self, &recipients, carrier, class).await,
            Err(failure) => Err(Box::new(failure)),
        };
        let mut courier = match courier {
            Ok(courier) => courier,
            Err(failure) => {
                let failed = groups.into_iter().map(|group| group.fail(&failure)).collect();
                return self.conclude(route, failed).await;
            }
        };
        let line = Line { route, groups: Mutex::new(groups.into()) };
        // The first shows whether anybody is there.
        if let Some(group) = line.next() {
            self.deliver_next(&mut courier, &line, group).await;
        }
        let more = if courier.is_connected() { self.slots_for(line.len()) } else { Vec::new() };
        let more: Vec<_> = more.into_iter().map(|slot| (courier.another(), Some(slot))).collect();
        join_all(
            std::iter::once((courier, None)).chain(more).map(|(courier, slot)| self.work_off(courier, &line, slot)),
        )
        .await;
    }

    /// Slots for further connections to a destination for which so many messages wait; only those that are free.
    fn slots_for(&self, waiting: usize) -> Vec<Slot> {
        let most = self.settings.destination_concurrency.saturating_sub(1).min(waiting / PER_CONNECTION);
        std::iter::from_fn(|| self.slots.take_if_free()).take(most).collect()
    }

    /// Delivers what is in the line. A further connection ends when another destination wants its slot, or its room at the
    /// host.
    async fn work_off(&self, mut courier: Courier<'_>, line: &Line, further: Option<Slot>) {
        while !(further.is_some() && (self.slots.are_wanted() || courier.is_in_the_way())) {
            let Some(group) = line.next() else { break };
            self.deliver_next(&mut courier, line, group).await;
        }
        courier.finish().await;
    }

    async fn deliver_next(&self, courier: &mut Courier<'_>, line: &Line, group: Group) {
        let Some(open) = group.rows.first().map(|row| self.rows.open(row.id)) else { return };
        let outcomes = match open.await {
            Ok(Some(message)) => {
                let Group { terms: Terms { demand, class, .. }, rows } = &group;
                courier.deliver(&Letter { demand: *demand, class: *class, rows, message: &message }).await
            }
            // Removed by the operator: nothing is left to settle.
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "queued message cannot be read");
                group.all(&Failure::temporary(3, 0, "The message could not be read"))
            }
        };
        self.conclude(line.route, vec![(group, outcomes)]).await;
    }
}
