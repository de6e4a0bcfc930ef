//! What is so, and how far it can be proved: the yardstick for validators (RFC 4033 §5, RFC 4035 §4.3).

use mailstead_dns::{HopKind, Name, Question, Rtype};

use super::plan::{Denial, Flaw, Vouching, Window};
use super::step::{End, Next, Step};
use super::zone::Zone;
use super::{SignedWorld, parent};

/// What a validator without limits on its work finds. It supports algorithms 8, 10, 13, 14 and 15, digests 2 and 4,
/// and any number of iterations of NSEC3.
///
/// Ordered from worst to best, so that the whole is the least of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Security {
    /// Something that should be signed is not, or not validly; or there is no answer at all.
    Bogus,
    /// It is proved that there is no proof; or there may be an unsigned delegation (RFC 5155 §9.2).
    Insecure,
    /// There is a chain of signatures from the root.
    Secure,
}

/// One alias on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasTruth {
    /// The alias.
    pub from: Name,
    /// Where it points to.
    pub to: Name,
    /// By which kind of record.
    pub kind: HopKind,
    /// Of this step alone.
    pub security: Security,
}

/// The whole truth about a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The aliases from the name asked for.
    pub chain: Vec<AliasTruth>,
    /// What there is in the end.
    pub end: End,
    /// Of the end alone.
    pub end_security: Security,
    /// Whether the proof of the end or of a step leaves room for an unsigned delegation, which makes what would be
    /// secure insecure (RFC 5155 §9.2).
    pub opt_out: bool,
    /// The most iterations of NSEC3 in a proof that the end or a step needs. Validators have a limit, above which they
    /// may take secure for insecure or bogus (RFC 9276 §3.2).
    pub iterations: u16,
}

impl Truth {
    /// Of the whole.
    pub fn security(&self) -> Security {
        self.chain.iter().map(|alias| alias.security).fold(self.end_security, Ord::min)
    }
}

impl SignedWorld {
    /// What a validator finds at this time, in seconds since 1970, when nobody tampers with anything.
    pub fn truth(&self, question: &Question, now: u32) -> Truth {
        let mut steps = self.walk(question);
        let last = steps.pop();
        let chain = steps.iter().filter_map(|step| match &step.next {
            Next::Alias(to, kind) => Some(AliasTruth {
                from: step.name.clone(),
                to: to.clone(),
                kind: *kind,
                security: self.step_security(step, now),
            }),
            Next::Done(_) | Next::Referral(_) => None,
        });
        Truth {
            chain: chain.collect(),
            end: last.as_ref().map_or(End::NxDomain, Step::end),
            end_security: last.as_ref().map_or(Security::Bogus, |step| self.step_security(step, now)),
            opt_out: steps.iter().chain(&last).any(|step| step.opt_out),
            iterations: steps.iter().chain(&last).map(|step| self.iterations(step)).max().unwrap_or(0),
        }
    }

    /// Whether there is a chain of trust to the keys of a zone.
    pub fn zone_security(&self, apex: &Name, now: u32) -> Security {
        let Some(zone) = self.zones.get(apex) else { return Security::Bogus };
        if let Some(parent) = parent(&self.zones, apex).and_then(|parent| self.zones.get(parent)) {
            let above = self.zone_security(parent.apex(), now);
            if above != Security::Secure {
                return above;
            }
            let delegation = self.step_security(&parent.step(apex, Rtype::DS), now);
            if delegation != Security::Secure {
                return delegation;
            }
            let ds = parent.stored(apex, Rtype::DS).map(|stored| stored.set.data.as_slice()).unwrap_or_default();
            // RFC 4035 §5.2: DS records that cannot be checked are like none.
            let checkable = |data: &[u8]| is_supported(data[2]) && matches!(data[3], 2 | 4);
            if !ds.iter().any(|data| checkable(data)) {
                return Security::Insecure;
            }
        }
        if zone.has_vouched_keys(now) { Security::Secure } else { Security::Bogus }
    }

    fn iterations(&self, step: &Step) -> u16 {
        match self.zones.get(&step.apex).map(|zone| &zone.plan.denial) {
            Some(Denial::Nsec3 { iterations, .. }) if step.rests_on.iter().any(|on| on.1 == Rtype::NSEC3) => {
                *iterations
            }
            _ => 0,
        }
    }

    fn step_security(&self, step: &Step, now: u32) -> Security {
        let Some(zone) = self.zones.get(&step.apex) else { return Security::Bogus };
        if matches!(step.next, Next::Done(End::Unreachable | End::AliasLoop)) {
            return Security::Bogus;
        }
        match self.zone_security(&step.apex, now) {
            Security::Secure if !step.rests_on.iter().all(|(about, rtype)| zone.is_intact(about, *rtype, now)) => {
                Security::Bogus
            }
            Security::Secure if step.opt_out => Security::Insecure,
            other => other,
        }
    }
}

/// Whether validators can check signatures by this algorithm.
fn is_supported(algorithm: u8) -> bool {
    matches!(algorithm, 8 | 10 | 13 | 14 | 15)
}

impl Zone {
    /// Whether there is a key that the parent vouches for, and it vouches for the others.
    fn has_vouched_keys(&self, now: u32) -> bool {
        let usable = self.keys.iter().any(|key| is_supported(key.algorithm) && key.is_usable());
        let vouched = self.plan.signed && self.plan.vouching == Vouching::Correct;
        vouched && usable && self.is_intact(self.apex(), Rtype::DNSKEY, now)
    }

    /// Whether the signatures over a set are as they should be.
    fn is_intact(&self, about: &Name, rtype: Rtype, now: u32) -> bool {
        let window = match self.flaw(about, rtype) {
            None => self.plan.window,
            Some(Flaw::Expired) => Window::PAST,
            Some(Flaw::NotYetValid) => Window::FUTURE,
            Some(Flaw::Corrupt | Flaw::Missing | Flaw::WrongSigner | Flaw::UnknownKey) => return false,
        };
        window.covers(now)
    }
}
