//! The recursor: asks the authorities themselves, from the root down (RFC 1034 §5.3.3).
//!
//! Its responses are those of one authority, freed from whatever that authority may not speak about (RFC 5452 §6).
//! Aliases into other zones, validation and keeping answers are the caller's; what is kept here are zone cuts and
//! addresses of servers, which are not part of any answer. Names are minimised (RFC 9156), the root is primed
//! (RFC 8109), and the work for one response is bounded, whatever the authorities say (CVE-2020-8616).

mod addresses;
mod delegation;
mod failure;
mod hints;
mod inquiry;
mod minimise;
mod reading;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Message, Name, Question, Rtype};
use mailstead_runtime::{BoxFuture, Deadline, Random};
use tokio::time::Instant;

pub(crate) use hints::root_hints;

use super::bounded::Bounded;
use super::exchange::AskServer;
use super::servers::Servers;
use super::upstream::{FetchError, Upstream};
use crate::AddressPolicy;
use delegation::{Delegation, Delegations, NameServer, name_servers};
use inquiry::{Aim, Heard, Inquiry, NotHeard};
use minimise::Minimiser;
use reading::Reading;

/// Addresses of name servers kept that came without glue.
const MOST_ADDRESSES: usize = 20_000;
/// Names kept that are known to have no zone cut, and how long.
const MOST_UNCUT: usize = 10_000;
const UNCUT: Duration = Duration::from_secs(5 * 60);
/// Questions for which we remember who answered, in case that the answer turns out bad, and how long.
const MOST_ANSWERED: usize = 1000;
const ANSWERED: Duration = Duration::from_secs(60);
/// Servers remembered for one of them.
const MOST_ANSWERERS: usize = 8;
/// A delegation learnt before this may be out of date when none of its servers answers.
const FRESH: Duration = Duration::from_secs(60);
/// The next try at priming after one whose answer was of no use.
const PRIMING_PAUSE: Duration = Duration::from_secs(60);
/// How long a look-up of servers' addresses may take before servers that are unlikely to answer are asked too.
const LOOK_UP_PATIENCE: Duration = Duration::from_millis(400);

/// Bounds of the work for one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Questions to servers, of nested look-ups too. A response takes some ten with nothing known; with this many, a
    /// hostile zone makes us a poor amplifier.
    pub(crate) questions: u32,
    /// Names of servers whose addresses are looked up.
    pub(crate) address_lookups: u32,
    /// Referrals on the way to one name. Under ip6.arpa there may be one for each of 32 labels, but are not.
    pub(crate) referrals: u32,
    /// Look-ups of servers within look-ups of servers. More than two are rare.
    pub(crate) depth: usize,
    /// The whole time, whatever the caller allows.
    pub(crate) time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { questions: 60, address_lookups: 16, referrals: 30, depth: 5, time: Duration::from_secs(30) }
    }
}

/// What is left of the work for one response.
#[derive(Debug)]
struct Budget {
    questions: AtomicU32,
    address_lookups: AtomicU32,
}

/// Takes one, if any is left.
fn take(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nobody panics while holding one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Under which conditions something is resolved.
#[derive(Debug)]
struct Errand<'a> {
    budget: &'a Budget,
    attempt: u32,
    deadline: Deadline,
    /// The servers whose addresses all of this is for, outermost first.
    looking_up: Vec<Name>,
}

#[derive(Debug)]
struct Root {
    primed: Option<Arc<Delegation>>,
    is_being_primed: bool,
    not_before: Option<Instant>,
}

/// Resolves from the root.
#[derive(Debug)]
pub(crate) struct Recursor {
    asker: Arc<dyn AskServer>,
    random: Arc<dyn Random>,
    policy: AddressPolicy,
    limits: Limits,
    servers: Servers,
    hints: Arc<Delegation>,
    root: Mutex<Root>,
    delegations: Delegations,
    addresses: Mutex<Bounded<(Name, Rtype), Vec<IpAddr>>>,
    /// Names below which the servers of the same zone are responsible.
    uncut: Mutex<Bounded<Name, ()>>,
    answered: Mutex<Bounded<Question, Vec<SocketAddr>>>,
}

impl Recursor {
    /// A recursor that asks by `asker`, begins with these servers of the root and asks only servers whose addresses the
    /// policy allows. The randomness decides whom to ask among equals.
    pub(crate) fn new(
        asker: Arc<dyn AskServer>,
        random: Arc<dyn Random>,
        hints: Vec<(Name, Vec<IpAddr>)>,
        policy: AddressPolicy,
        limits: Limits,
    ) -> Self {
        let hints = hints.into_iter().map(|(name, glue)| NameServer { name, glue }).collect();
        Recursor {
            asker,
            random,
            policy,
            limits,
            servers: Servers::new(),
            hints: Arc::new(Delegation::root(hints, Duration::ZERO)),
            root: Mutex::new(Root { primed: None, is_being_primed: false, not_before: None }),
            delegations: Delegations::new(),
            addresses: Mutex::new(Bounded::new(MOST_ADDRESSES)),
            uncut: Mutex::new(Bounded::new(MOST_UNCUT)),
            answered: Mutex::new(Bounded::new(MOST_ANSWERED)),
        }
    }

    /// One authority's response to a question.
    async fn resolve(&self, errand: &Errand<'_>, question: &Question) -> Result<Message, FetchError> {
        // What the parent says of a zone is asked of the parent (RFC 4035 §3.1.4.1).
        let is_ds = question.rtype == Rtype::DS;
        let above = if is_ds { question.name.parent().ok_or_else(no_parent)? } else { question.name.clone() };
        if is_ds && errand.attempt == 0 {
            let known = self.delegations.of(&question.name).and_then(|delegation| delegation.ds_response());
            if let Some(response) = known {
                return Ok(response);
            }
        }
        let mut cut = self.deepest(errand, &above).await?;
        let mut known = cut.zone.clone();
        let mut minimiser = Minimiser::new(question);
        if errand.attempt > 0 {
            // Another way: what went wrong may be what a server said about less than the whole name.
            minimiser.give_up();
        }
        let (mut referrals, mut is_renewed) = (0, false);
        loop {
            let part = minimiser.next(&known, |name| lock(&self.uncut).get(name, Instant::now()).is_some());
            let part = part.map(|name| Question { name, rtype: Rtype::A });
            let (asked, aim) = part.as_ref().map_or((question, Aim::Answer), |part| (part, Aim::Cut));
            let heard = match Inquiry::new(self, errand, &cut, asked, aim).run().await {
                Ok(heard) => heard,
                Err(NotHeard::WorkLimit) => return Err(self.too_much(errand, question)),
                Err(NotHeard::Zone(failure)) if failure.out_of_time => return Err(failure.into_error()),
                Err(NotHeard::Zone(failure)) if aim == Aim::Cut && failure.has_heard() => {
                    // Many servers answer for names that have records, and for others they do not know what to say.
                    minimiser.give_up();
                    continue;
                }
                Err(NotHeard::Zone(failure)) => {
                    // The zone may have moved since we learnt where it is.
                    if is_renewed || !self.forget_stale(&cut) {
                        return Err(failure.into_error());
                    }
                    is_renewed = true;
                    cut = self.deepest(errand, &above).await?;
                    known = cut.zone.clone();
                    continue;
                }
            };
            match (&heard.reading, aim) {
                (Reading::Referral(zone), _) => {
                    referrals += 1;
                    if referrals > self.limits.referrals {
                        return Err(self.too_much(errand, question));
                    }
                    let below = Arc::new(Delegation::from_referral(&heard.message, zone.clone(), &cut));
                    self.delegations.keep(&below);
                    if is_ds && *zone == question.name {
                        // The server knows nothing of DS, or says all that it has to say about it.
                        return Ok(below.ds_response().unwrap_or_else(|| below.empty_ds_response()));
                    }
                    known = zone.clone();
                    cut = below;
                }
                (_, Aim::Answer) => {
                    self.note_answerer(question, heard.server);
                    return Ok(reading::scrub(heard.message, &cut.zone, question));
                }
                // RFC 8020: there is nothing below a name that does not exist. Servers without DNSSEC are wrong about
                // that too often.
                (Reading::NxDomain, Aim::Cut) if reading::has_signed_denial(&heard.message) => {
                    return Ok(reading::scrub(heard.message, &cut.zone, question));
                }
                (Reading::NxDomain, Aim::Cut) => minimiser.give_up(),
                // RFC 9156 §3 (6b): it holds for the whole name.
                (_, Aim::Cut) if reading::has_dname(&heard.message) => minimiser.give_up(),
                (_, Aim::Cut) => {
                    known = asked.name.clone();
                    lock(&self.uncut).insert(known.clone(), (), Instant::now() + UNCUT);
                }
            }
        }
    }

    /// The deepest zone known that the name lies in.
    async fn deepest(&self, errand: &Errand<'_>, name: &Name) -> Result<Arc<Delegation>, FetchError> {
        match self.delegations.deepest(name) {
            Some(delegation) => Ok(delegation),
            None => self.root(errand).await,
        }
    }

    /// The root, as it describes itself (RFC 8109 §3).
    async fn root(&self, errand: &Errand<'_>) -> Result<Arc<Delegation>, FetchError> {
        {
            let mut root = lock(&self.root);
            if let Some(primed) = root.primed.as_ref().filter(|primed| !primed.has_expired()) {
                return Ok(Arc::clone(primed));
            }
            if root.is_being_primed || root.not_before.is_some_and(|when| when > Instant::now()) {
                return Ok(Arc::clone(&self.hints));
            }
            root.is_being_primed = true;
        }
        let mut priming = Priming { root: &self.root, primed: None, pause: false };
        let question = Question { name: Name::root(), rtype: Rtype::NS };
        let errand = Errand { attempt: 0, looking_up: Vec::new(), ..*errand };
        match Inquiry::new(self, &errand, &self.hints, &question, Aim::Answer).run().await {
            Ok(Heard { message, reading: Reading::Answer, .. }) => {
                priming.primed = self.primed(&message).map(Arc::new);
                priming.pause = priming.primed.is_none();
                Ok(Arc::clone(priming.primed.as_ref().unwrap_or(&self.hints)))
            }
            Ok(_) => {
                priming.pause = true;
                Ok(Arc::clone(&self.hints))
            }
            // Whoever is there may still refer us on.
            Err(NotHeard::Zone(failure)) if failure.has_heard() && !failure.out_of_time => {
                priming.pause = true;
                Ok(Arc::clone(&self.hints))
            }
            Err(NotHeard::Zone(failure)) => Err(failure.into_error()),
            Err(NotHeard::WorkLimit) => Err(self.too_much(&errand, &question)),
        }
    }

    /// The root's servers out of the answer to priming; `None` if nobody could be asked.
    fn primed(&self, message: &Message) -> Option<Delegation> {
        let set = Message::find(&message.answer, &Name::root(), Rtype::NS)?;
        let mut servers = name_servers(set, message, &Name::root());
        for server in servers.iter_mut().filter(|server| server.glue.is_empty()) {
            // RFC 8109 §4.2: not all addresses may have found room.
            if let Some(hint) = self.hints.servers.iter().find(|hint| hint.name == server.name) {
                server.glue.clone_from(&hint.glue);
            }
        }
        servers.retain(|server| !server.glue.is_empty());
        (!servers.is_empty()).then(|| Delegation::root(servers, Duration::from_secs(set.ttl.into())))
    }

    /// Forgets where a zone is, unless it has been learnt just now.
    fn forget_stale(&self, cut: &Arc<Delegation>) -> bool {
        if Arc::ptr_eq(cut, &self.hints) || cut.age() < FRESH {
            return false;
        }
        if cut.zone.is_root() {
            let mut root = lock(&self.root);
            root.primed = None;
            // The hints now, and not the same question once more.
            root.not_before = Some(Instant::now() + PRIMING_PAUSE);
        } else {
            self.delegations.forget(&cut.zone);
        }
        true
    }

    fn note_answerer(&self, question: &Question, server: SocketAddr) {
        let now = Instant::now();
        let mut answered = lock(&self.answered);
        let mut servers = answered.get(question, now).cloned().unwrap_or_default();
        if !servers.contains(&server) && servers.len() < MOST_ANSWERERS {
            servers.push(server);
        }
        answered.insert(question.clone(), servers, now + ANSWERED);
    }

    fn too_much(&self, errand: &Errand<'_>, question: &Question) -> FetchError {
        let Limits { questions, referrals, .. } = self.limits;
        let used_up = errand.budget.questions.load(Ordering::Relaxed) == 0;
        let what = if used_up { format!("{questions} questions") } else { format!("{referrals} referrals") };
        let detail = format!("{what} were not enough to find {} {}", question.name, question.rtype);
        FetchError::new(LookupErrorKind::WorkLimit, detail)
    }
}

/// Ends priming, however it ends.
struct Priming<'a> {
    root: &'a Mutex<Root>,
    primed: Option<Arc<Delegation>>,
    pause: bool,
}

impl Drop for Priming<'_> {
    fn drop(&mut self) {
        let mut root = lock(self.root);
        root.is_being_primed = false;
        if self.primed.is_some() {
            root.primed = self.primed.take();
        }
        if self.pause {
            root.not_before = Some(Instant::now() + PRIMING_PAUSE);
        }
    }
}

fn no_parent() -> FetchError {
    FetchError::new(LookupErrorKind::ServerFailure, "the root has no parent zone to ask for its DS")
}

impl Upstream for Recursor {
    fn fetch<'a>(
        &'a self,
        question: &'a Question,
        attempt: u32,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Message>, FetchError>> {
        Box::pin(async move {
            let budget = Budget {
                questions: AtomicU32::new(self.limits.questions),
                address_lookups: AtomicU32::new(self.limits.address_lookups),
            };
            let deadline = deadline.earlier(Deadline::after(self.limits.time));
            let errand = Errand { budget: &budget, attempt, deadline, looking_up: Vec::new() };
            self.resolve(&errand, question).await.map(Arc::new)
        })
    }
}

#[cfg(test)]
mod tests;
