//! Zone cuts: who serves a zone, and what its parent says about its keys (RFC 1034 §4.2.1, RFC 4035 §3.1.4).
//!
//! All of it comes from referrals and stays what the parent said: a zone cannot prolong its own delegation.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailstead_dns::{Flags, Message, Name, Question, Rcode, RrSet, Rtype};
use tokio::time::Instant;

use super::super::bounded::Bounded;

/// Delegations kept: some 10 MB of usual ones, 100 MB of the largest.
const MOST_DELEGATIONS: usize = 10_000;
/// No delegation is kept longer, whatever its TTL.
const LONGEST: Duration = Duration::from_secs(86_400);
/// None is kept shorter: several questions in a row will need it.
const SHORTEST: Duration = Duration::from_secs(30);
/// Servers of one zone; 13 are many. A referral may carry a thousand, so that we ask about them all
/// (CVE-2020-8616).
const MOST_SERVERS: usize = 16;
/// Addresses of one family that a server may have.
const MOST_ADDRESSES: usize = 4;
/// Longest statement about DS kept with a delegation, in octets: enough for proofs with two RSA signatures. Longer ones
/// are asked for when needed.
const MOST_PROOF: usize = 4096;

/// A server of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameServer {
    pub(super) name: Name,
    /// Addresses that the parent has given for it. They serve for this zone alone.
    pub(super) glue: Vec<IpAddr>,
}

/// A zone and its servers.
#[derive(Debug)]
pub(super) struct Delegation {
    pub(super) zone: Name,
    pub(super) servers: Vec<NameServer>,
    proof: Option<Proof>,
    learnt: Instant,
    expires: Instant,
}

/// Whether there are DS records, with what proves it.
#[derive(Debug)]
struct Proof {
    sets: Vec<RrSet>,
    expires: Instant,
}

impl Delegation {
    /// The root, by these servers.
    pub(super) fn root(servers: Vec<NameServer>, life: Duration) -> Self {
        let now = Instant::now();
        Delegation { zone: Name::root(), servers, proof: None, learnt: now, expires: now + life.min(LONGEST) }
    }

    /// The zone that a server of `above` refers to.
    pub(super) fn from_referral(message: &Message, zone: Name, above: &Delegation) -> Self {
        let now = Instant::now();
        let set = Message::find(&message.authority, &zone, Rtype::NS);
        let mut servers = set.map(|set| name_servers(set, message, &above.zone)).unwrap_or_default();
        // Those that can be asked right away first, in case that there are too many.
        servers.sort_by_key(|server| server.glue.is_empty());
        servers.truncate(MOST_SERVERS);
        let life = Duration::from_secs(set.map_or(0, |set| set.ttl).into());
        // Not beyond the parent's own delegation: else one could be kept alive from below after its parent has been
        // taken away. The root is always there.
        let most = if above.zone.is_root() { LONGEST } else { above.expires.saturating_duration_since(now) };
        let proof = proof(message, &zone, &above.zone, now);
        Delegation { zone, servers, proof, learnt: now, expires: now + life.min(most).clamp(SHORTEST, LONGEST) }
    }

    /// How long ago it was learnt.
    pub(super) fn age(&self) -> Duration {
        self.learnt.elapsed()
    }

    /// Whether its time is over.
    pub(super) fn has_expired(&self) -> bool {
        self.expires <= Instant::now()
    }

    /// What the referral said about DS, as the answer to that question; `None` if it said nothing, or it is too old.
    pub(super) fn ds_response(&self) -> Option<Message> {
        let now = Instant::now();
        let proof = self.proof.as_ref().filter(|proof| proof.expires > now)?;
        let age = u32::try_from(self.age().as_secs()).unwrap_or(u32::MAX);
        let mut authority = proof.sets.clone();
        for set in &mut authority {
            set.ttl = set.ttl.saturating_sub(age);
        }
        Some(Message { authority, ..self.empty_ds_response() })
    }

    /// The same when the referral said nothing.
    pub(super) fn empty_ds_response(&self) -> Message {
        Message {
            id: 0,
            flags: Flags { response: true, ..Flags::default() },
            rcode: Rcode::NOERROR,
            question: Question { name: self.zone.clone(), rtype: Rtype::DS },
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            edns: None,
        }
    }
}

/// The servers of an NS set, with the addresses that a server of `bailiwick` may give for them.
pub(super) fn name_servers(set: &RrSet, message: &Message, bailiwick: &Name) -> Vec<NameServer> {
    // Both sections may have thousands of sets.
    let glue: HashMap<_, _> = message.additional.iter().map(|set| ((&set.owner, set.rtype), set)).collect();
    let names = set.data.iter().filter_map(|data| Name::from_wire(data)).map(|(name, _)| name);
    names
        .map(|name| {
            let may_speak = name.is_within(bailiwick);
            let of =
                |rtype| glue.get(&(&name, rtype)).filter(|_| may_speak).map(|set| addresses(set)).unwrap_or_default();
            let glue = of(Rtype::A).into_iter().chain(of(Rtype::AAAA)).collect();
            NameServer { name, glue }
        })
        .collect()
}

/// The addresses in a set of A or AAAA records.
pub(super) fn addresses(set: &RrSet) -> Vec<IpAddr> {
    let address = |data: &[u8]| match set.rtype {
        Rtype::A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        Rtype::AAAA => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    };
    set.data.iter().filter_map(|data| address(data)).take(MOST_ADDRESSES).collect()
}

/// RFC 4035 §3.1.4: a referral to a signed zone has its DS, one to another proves that there is none.
fn proof(message: &Message, zone: &Name, above: &Name, now: Instant) -> Option<Proof> {
    let belongs = |set: &&RrSet| match set.rtype {
        Rtype::DS => set.owner == *zone,
        Rtype::NSEC | Rtype::NSEC3 => set.owner.is_within(above) && !set.owner.is_below(zone),
        _ => false,
    };
    let sets: Vec<_> = message
        .authority
        .iter()
        .filter(belongs)
        .filter(|set| !set.data.is_empty() && !set.signatures.is_empty())
        .cloned()
        .collect();
    let least = sets.iter().map(|set| set.ttl).min()?;
    let octets: usize = sets
        .iter()
        .map(|set| {
            let signatures = set.signatures.iter().map(|signature| signature.signature.len() + 64).sum::<usize>();
            set.data.iter().map(|data| data.len()).sum::<usize>() + signatures
        })
        .sum();
    let life = Duration::from_secs(least.into()).min(LONGEST);
    (octets <= MOST_PROOF).then_some(Proof { sets, expires: now + life })
}

/// Delegations that are known.
#[derive(Debug)]
pub(super) struct Delegations(Mutex<Bounded<Name, Arc<Delegation>>>);

impl Delegations {
    pub(super) fn new() -> Self {
        Delegations(Mutex::new(Bounded::new(MOST_DELEGATIONS)))
    }

    fn lock(&self) -> MutexGuard<'_, Bounded<Name, Arc<Delegation>>> {
        // Nobody panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The deepest zone that the name lies in, other than the root.
    pub(super) fn deepest(&self, name: &Name) -> Option<Arc<Delegation>> {
        let now = Instant::now();
        let mut known = self.lock();
        let mut at = Some(name.clone());
        while let Some(zone) = at.filter(|zone| !zone.is_root()) {
            if let Some(delegation) = known.get(&zone, now) {
                return Some(Arc::clone(delegation));
            }
            at = zone.parent();
        }
        None
    }

    /// The delegation of exactly this zone.
    pub(super) fn of(&self, zone: &Name) -> Option<Arc<Delegation>> {
        self.lock().get(zone, Instant::now()).cloned()
    }

    pub(super) fn keep(&self, delegation: &Arc<Delegation>) {
        self.lock().insert(delegation.zone.clone(), Arc::clone(delegation), delegation.expires);
    }

    pub(super) fn forget(&self, zone: &Name) {
        self.lock().remove(zone);
    }
}
