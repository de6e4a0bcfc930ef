//! The chain of trust: from a trust anchor down to the zone of a name, one label at a time (RFC 4035 §5).
//!
//! What is found about each name on the way (a signed zone, an unsigned one, no zone of its own) is kept, so that a
//! look-up in a known zone asks nothing here.

use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Message, Name, Question, Rtype};
use mailstead_dnssec::{
    Anchor, Bogus, Budget, Closest, Delegation, Insecure, Scope, Stop, Trust, Vouchers, Work, ZoneKeys, check_ds,
    delegation, zone_keys,
};
use mailstead_runtime::Deadline;
use tokio::time::Instant;

use super::cache::{BOGUS, FAILURE, octets_of};
use super::core::Core;
use super::flight::NoOutcome;
use super::route::Route;
use super::upstream::FetchError;

/// Most signed zones below one another. Honest names have three or four; each more is work for us and none for whoever
/// makes them.
const MOST_ZONES: usize = 12;
/// How often a zone is asked for its keys when what comes is bogus: the first answer may have been a forgery.
pub(super) const ATTEMPTS: u32 = 2;

/// What is known about a zone beginning at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cut {
    /// One does, and these are its keys.
    Zone(Arc<ZoneKeys>),
    /// One does, or may do, that nothing vouches for.
    Unsigned(Insecure),
    /// None does.
    SameZone,
    /// The name does not exist.
    NoName,
    /// It should be proved and is not.
    Bogus(Bogus),
    /// It cannot be known now.
    Unknown(FetchError),
}

impl Cut {
    /// Roughly the memory that it takes besides its name.
    pub(super) fn octets(&self) -> u64 {
        match self {
            // A key of an elliptic curve and one of RSA.
            Cut::Zone(keys) => 300 + keys.tags().count() as u64 * 200,
            Cut::Unknown(error) => error.detail.len() as u64 + octets_of(&error.extended_errors),
            Cut::Unsigned(_) | Cut::SameZone | Cut::NoName | Cut::Bogus(_) => 0,
        }
    }
}

impl Core {
    /// The trust in a zone, or why there is none; an error where that cannot be known.
    pub(super) async fn trust(
        self: &Arc<Self>,
        route: &Arc<Route>,
        scope: &Scope,
        deadline: Deadline,
    ) -> Result<Result<Trust, Bogus>, FetchError> {
        let (Scope::Apex(target) | Scope::Enclosing(target)) = scope;
        let anchors = self.anchors.current();
        let anchor = match anchors.closest(target, self.seconds()) {
            Closest::Anchor(anchor) => anchor,
            Closest::Negative(zone) => return Ok(Ok(Trust::Insecure(Insecure::NegativeAnchor { zone: zone.clone() }))),
            Closest::Withdrawn(zone) => return Ok(Err(Bogus::AnchorsWithdrawn { zone: zone.clone() })),
            Closest::None => return Ok(Ok(Trust::Insecure(Insecure::NoAnchor))),
        };
        let mut zones = 0;
        let mut keys = match self.anchored(route, anchor, deadline).await? {
            Cut::Zone(keys) => keys,
            Cut::Unsigned(insecure) => return Ok(Ok(Trust::Insecure(insecure))),
            Cut::Bogus(bogus) => return Ok(Err(bogus)),
            Cut::Unknown(error) => return Err(error),
            Cut::SameZone | Cut::NoName => return Ok(Err(Bogus::NoTrustedKey { zone: anchor.zone.clone() })),
        };
        for count in anchor.zone.label_count() + 1..=target.label_count() {
            let name = target.ancestor(count);
            match self.cut(route, &name, &keys, deadline).await? {
                Cut::Zone(_) if zones == MOST_ZONES => return Err(too_much_work()),
                Cut::Zone(below) => {
                    zones += 1;
                    keys = below;
                }
                Cut::Unsigned(insecure) => return Ok(Ok(Trust::Insecure(insecure))),
                Cut::SameZone => {}
                Cut::NoName => break,
                Cut::Bogus(bogus) => return Ok(Err(bogus)),
                Cut::Unknown(error) => return Err(error),
            }
        }
        if matches!(scope, Scope::Apex(zone) if *zone != keys.zone) {
            return Ok(Err(Bogus::NoSuchZone { zone: target.clone() }));
        }
        Ok(Ok(Trust::Secure(keys)))
    }

    /// The keys of the zone of a trust anchor.
    pub(super) async fn anchored(
        self: &Arc<Self>,
        route: &Arc<Route>,
        anchor: &Anchor,
        deadline: Deadline,
    ) -> Result<Cut, FetchError> {
        if let Some(cut) = self.cache.cut(&anchor.zone, Instant::now()) {
            return Ok(cut);
        }
        let (core, route, anchor) = (Arc::clone(self), Arc::clone(route), anchor.clone());
        self.establish(anchor.zone.clone(), deadline, move |deadline| async move {
            if !anchor.ds.is_empty()
                && anchor.keys.is_empty()
                && let Err(insecure) = check_ds(&anchor.zone, &anchor.ds)
            {
                return (Cut::Unsigned(insecure), Duration::from_secs(3600));
            }
            core.keys(&route, &anchor.zone, anchor.vouchers(), u32::MAX, deadline).await
        })
        .await
    }

    /// What there is at a name that lies in the zone of `parent`.
    pub(super) async fn cut(
        self: &Arc<Self>,
        route: &Arc<Route>,
        name: &Name,
        parent: &Arc<ZoneKeys>,
        deadline: Deadline,
    ) -> Result<Cut, FetchError> {
        if let Some(cut) = self.cache.cut(name, Instant::now()) {
            return Ok(cut);
        }
        let (core, route, parent) = (Arc::clone(self), Arc::clone(route), Arc::clone(parent));
        let zone = name.clone();
        self.establish(name.clone(), deadline, move |deadline| async move {
            match core.delegation(&route, &zone, &parent, deadline).await {
                Err(failed) => failed,
                Ok((Delegation::Signed(ds), ttl)) => core.keys(&route, &zone, Vouchers::Ds(&ds), ttl, deadline).await,
                Ok((Delegation::Unsigned(insecure), ttl)) => (Cut::Unsigned(insecure), seconds(ttl)),
                Ok((Delegation::SameZone, ttl)) => (Cut::SameZone, seconds(ttl)),
                Ok((Delegation::NoName, ttl)) => (Cut::NoName, seconds(ttl)),
            }
        })
        .await
    }

    /// Finds out once for all who want to know, and keeps it.
    async fn establish<F>(
        self: &Arc<Self>,
        name: Name,
        deadline: Deadline,
        work: impl FnOnce(Deadline) -> F + Send + 'static,
    ) -> Result<Cut, FetchError>
    where
        F: Future<Output = (Cut, Duration)> + Send + 'static,
    {
        let core = Arc::clone(self);
        let key = name.clone();
        let outcome = self.cuts.join(key, &self.supervisor, move || async move {
            let (cut, span) = work(Deadline::after(core.patience)).await;
            core.cache.keep_cut(&name, cut.clone(), span, Instant::now());
            cut
        });
        match deadline.bound(outcome).await {
            Ok(Ok(cut)) => Ok(cut),
            Ok(Err(NoOutcome::Full)) => {
                Err(FetchError::new(LookupErrorKind::WorkLimit, "too many look-ups are waiting"))
            }
            Ok(Err(NoOutcome::Lost)) => Err(FetchError::new(LookupErrorKind::ServerFailure, "the look-up was lost")),
            Err(_) => Err(FetchError::new(LookupErrorKind::Timeout, "the chain of trust took too long")),
        }
    }

    async fn delegation(
        &self,
        route: &Route,
        name: &Name,
        parent: &ZoneKeys,
        deadline: Deadline,
    ) -> Result<(Delegation, u32), (Cut, Duration)> {
        let question = Question { name: name.clone(), rtype: Rtype::DS };
        self.checked(route, &question, deadline, |response, work| delegation(name, parent, response, work)).await
    }

    async fn keys(
        &self,
        route: &Route,
        zone: &Name,
        vouchers: Vouchers<'_>,
        ttl: u32,
        deadline: Deadline,
    ) -> (Cut, Duration) {
        let question = Question { name: zone.clone(), rtype: Rtype::DNSKEY };
        let check = |response: &Message, work: &mut Work<'_>| zone_keys(zone, vouchers, response, work);
        match self.checked(route, &question, deadline, check).await {
            Ok(keys) => {
                let span = seconds(ttl.min(keys.signed.ttl));
                (Cut::Zone(Arc::new(keys)), span)
            }
            Err(failed) => failed,
        }
    }

    /// Asks and checks what comes; once more where that is bogus.
    async fn checked<T>(
        &self,
        route: &Route,
        question: &Question,
        deadline: Deadline,
        check: impl Fn(&Message, &mut Work<'_>) -> Result<T, Stop>,
    ) -> Result<T, (Cut, Duration)> {
        let mut budget = Budget::default();
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let response = match route.upstream.fetch(question, attempt, deadline).await {
                Ok(response) => response,
                // The first answer was at least one.
                Err(_) if last.is_some() => break,
                Err(error) => return Err((Cut::Unknown(error), FAILURE)),
            };
            let mut work = Work { crypto: &*self.crypto, now: self.seconds(), budget: &mut budget };
            match check(&response, &mut work) {
                Ok(value) => return Ok(value),
                Err(Stop::Bogus(bogus)) => last = Some(bogus),
                Err(Stop::TooMuchWork) => return Err((Cut::Unknown(too_much_work()), BOGUS)),
                // Neither is a question of keys or delegations.
                Err(Stop::Need(_) | Stop::Unanswered) => break,
            }
        }
        let bogus = last.unwrap_or_else(|| Bogus::KeysMissing { zone: question.name.clone() });
        Err((Cut::Bogus(bogus), BOGUS))
    }
}

pub(super) fn too_much_work() -> FetchError {
    FetchError::new(LookupErrorKind::WorkLimit, mailstead_dnssec::TooMuchWork.to_string())
}

fn seconds(ttl: u32) -> Duration {
    // What may not be kept at all is still good for the look-up that needs it now.
    Duration::from_secs(ttl.into())
}
