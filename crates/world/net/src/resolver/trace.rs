//! How an answer came about: each step with what stands behind it, and the chain of trust from anchor to zone.

use std::sync::Arc;

use mailstead_dns::{Answer, LookupError, Name, Record, RecordType};
use mailstead_dnssec::{Bogus, Closest, Content, Insecure, ZoneKeys};
use mailstead_names::Domain;
use mailstead_runtime::Deadline;

use super::chain::Cut;
use super::core::Core;
use super::link::Evidence;
use super::route::{Active, Route};

/// A look-up with all that was found on the way.
#[derive(Debug, Clone)]
pub struct Trace {
    /// By which way; nothing where there is none.
    pub active: Option<Active>,
    /// The steps from the name that was asked for, in order.
    pub steps: Vec<TraceStep>,
    /// The zones on the way to the name where the look-up ended without an answer.
    pub failed_at: Vec<ZoneTrace>,
    /// What came of it.
    pub outcome: Result<Answer<Record>, LookupError>,
}

/// One step.
#[derive(Debug, Clone)]
pub struct TraceStep {
    /// The name.
    pub name: Name,
    /// What there is.
    pub content: Content,
    /// What stands behind it.
    pub evidence: Evidence,
    /// The zones from the trust anchor to this name, where proofs are checked here.
    pub zones: Vec<ZoneTrace>,
}

/// A zone on the way from a trust anchor to a name.
#[derive(Debug, Clone)]
pub struct ZoneTrace {
    /// Its apex.
    pub zone: Name,
    /// What was found.
    pub finding: ZoneFinding,
}

/// What was found about a zone.
#[derive(Debug, Clone)]
pub enum ZoneFinding {
    /// It is signed: its keys, what vouches for them, and the signature over them.
    Signed(Arc<ZoneKeys>),
    /// Nothing vouches for it, and what lies below it is insecure.
    Insecure(Insecure),
    /// It should be proved and is not.
    Bogus(Bogus),
    /// It cannot be known now.
    Unknown(String),
}

impl Core {
    pub(super) async fn trace(self: &Arc<Self>, name: &Domain, record_type: RecordType) -> Trace {
        let route = match self.route().await {
            Ok(route) => route,
            Err(cause) => {
                let outcome = Err(cause.for_lookup(name, record_type));
                return Trace { active: None, steps: Vec::new(), failed_at: Vec::new(), outcome };
            }
        };
        let (passed, outcome) = self.follow_traced(&route, name, record_type).await;
        let mut steps = Vec::new();
        for passed in &passed {
            steps.push(TraceStep {
                name: passed.name.clone(),
                content: passed.link.content.clone(),
                evidence: passed.link.evidence.clone(),
                zones: self.zones_towards(&route, &passed.name).await,
            });
        }
        let end = match (&outcome, passed.last().map(|passed| &passed.link.content)) {
            (Ok(_), _) => None,
            (Err(_), Some(Content::Alias { to, .. })) => Some(to.clone()),
            (Err(_), _) => Some(Name::from(name)),
        };
        let failed_at = match end {
            Some(end) => self.zones_towards(&route, &end).await,
            None => Vec::new(),
        };
        Trace { active: Some(route.active), steps, failed_at, outcome }
    }

    /// What is known, or can be found out, about the zones on the way to a name.
    async fn zones_towards(self: &Arc<Self>, route: &Arc<Route>, name: &Name) -> Vec<ZoneTrace> {
        let mut zones = Vec::new();
        if !route.active.validates() {
            return zones;
        }
        let anchors = self.anchors.current();
        let deadline = Deadline::after(self.patience);
        let anchor = match anchors.closest(name, self.seconds()) {
            Closest::Anchor(anchor) => anchor,
            Closest::Negative(zone) => {
                let reason = Insecure::NegativeAnchor { zone: zone.clone() };
                return vec![ZoneTrace { zone: zone.clone(), finding: ZoneFinding::Insecure(reason) }];
            }
            Closest::Withdrawn(zone) => {
                let bogus = Bogus::AnchorsWithdrawn { zone: zone.clone() };
                return vec![ZoneTrace { zone: zone.clone(), finding: ZoneFinding::Bogus(bogus) }];
            }
            Closest::None => {
                return vec![ZoneTrace { zone: Name::root(), finding: ZoneFinding::Insecure(Insecure::NoAnchor) }];
            }
        };
        let mut place = anchor.zone.clone();
        let mut cut = self.anchored(route, anchor, deadline).await;
        let mut keys: Option<Arc<ZoneKeys>> = None;
        loop {
            let finding = match cut {
                Ok(Cut::Zone(found)) => {
                    keys = Some(Arc::clone(&found));
                    Some(ZoneFinding::Signed(found))
                }
                Ok(Cut::SameZone) => None,
                Ok(Cut::NoName) => return zones,
                Ok(Cut::Unsigned(reason)) => Some(ZoneFinding::Insecure(reason)),
                Ok(Cut::Bogus(bogus)) => Some(ZoneFinding::Bogus(bogus)),
                Ok(Cut::Unknown(error)) | Err(error) => {
                    Some(ZoneFinding::Unknown(format!("{}: {}", error.kind, error.detail)))
                }
            };
            if let Some(finding) = finding {
                let is_end = !matches!(finding, ZoneFinding::Signed(_));
                zones.push(ZoneTrace { zone: place.clone(), finding });
                if is_end {
                    return zones;
                }
            }
            let count = place.label_count() + 1;
            let Some(keys) = keys.as_ref().filter(|_| count <= name.label_count()) else { return zones };
            place = name.ancestor(count);
            cut = self.cut(route, &place, keys, deadline).await;
        }
    }
}
