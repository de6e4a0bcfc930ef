//! Keeping up with the world: resolv.conf, and the keys of the root.

use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::{Name, Question, Rtype};
use mailstead_dnssec::rfc5011::{Change, Event, Observation, Refresh};
use mailstead_dnssec::{Budget, Work, key_set};
use mailstead_runtime::Deadline;
use tokio::time::Instant;

use super::core::Core;

/// How often resolv.conf is compared with what it was.
const LOOK: Duration = Duration::from_secs(30);
/// The first look at the root's keys waits this long, so that a start is not held up by it.
const FIRST_LOOK: Duration = Duration::from_secs(10);

impl Core {
    pub(super) async fn maintain(self: &Arc<Self>) {
        let mut zones: Vec<(Name, Instant)> =
            self.anchors.followed().map(|zone| (zone.clone(), Instant::now() + FIRST_LOOK)).collect();
        loop {
            let next = zones.iter().map(|(_, when)| *when).min();
            let look = Instant::now() + LOOK;
            tokio::time::sleep_until(next.map_or(look, |next| next.min(look))).await;
            if self.router.has_changed() {
                tracing::info!("resolv.conf has changed; looking at the resolvers again");
                self.cache.clear();
                self.router.reset();
            }
            for (zone, when) in &mut zones {
                if *when <= Instant::now() {
                    *when = Instant::now() + self.follow_keys(zone).await;
                }
            }
        }
    }

    /// Looks at the keys of a zone with a trust anchor. Says when to look again (RFC 5011 §2.3).
    async fn follow_keys(self: &Arc<Self>, zone: &Name) -> Duration {
        let deadline = Deadline::after(self.patience);
        let usual = Refresh::default();
        let route = match self.route().await {
            Ok(route) if route.active.validates() => route,
            // Nobody here relies on the keys.
            Ok(_) => return usual.query,
            Err(_) => return usual.retry,
        };
        let question = Question { name: zone.clone(), rtype: Rtype::DNSKEY };
        let response = match route.upstream.fetch(&question, 0, deadline).await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(%zone, "cannot look at the keys: {}: {}", error.kind, error.detail);
                return usual.retry;
            }
        };
        let now = self.seconds();
        let mut budget = Budget::default();
        let mut work = Work { crypto: &*self.crypto, now, budget: &mut budget };
        let Ok(Some(seen)) = key_set(zone, &response, &mut work) else {
            tracing::warn!(%zone, "the keys are not signed; trust anchors stay as they are");
            return usual.retry;
        };
        let core = Arc::clone(self);
        let place = zone.clone();
        let refresh = Refresh::new(seen.original_ttl, seen.expiration, now);
        let observed = tokio::task::spawn_blocking(move || {
            let observation = Observation { keys: &seen.keys, signers: &seen.signers, original_ttl: seen.original_ttl };
            core.anchors.observe(&place, &observation, now)
        });
        match observed.await {
            Ok(Ok(observed)) => {
                for event in &observed.events {
                    log(zone, event);
                }
                if observed.events.iter().any(ends_trust) {
                    // What rests on an anchor that has gone must be proved again.
                    self.cache.clear();
                }
                if let Err(error) = observed.saved {
                    tracing::error!("{error}");
                    return refresh.retry;
                }
                refresh.query
            }
            Ok(Err(error)) => {
                tracing::warn!(%zone, "{error}; trust anchors stay as they are");
                refresh.retry
            }
            Err(_) => refresh.retry,
        }
    }
}

fn ends_trust(event: &Event) -> bool {
    matches!(event, Event::Deleted | Event::Key { change: Change::Revoked | Change::Withdrawn, .. })
}

fn log(zone: &Name, event: &Event) {
    match event {
        Event::Deleted => tracing::error!(%zone, "trust anchors: {event}"),
        Event::Key { change: Change::Revoked | Change::Missing | Change::Withdrawn, .. } => {
            tracing::warn!(%zone, "trust anchors: {event}");
        }
        Event::Key { .. } => tracing::info!(%zone, "trust anchors: {event}"),
    }
}
