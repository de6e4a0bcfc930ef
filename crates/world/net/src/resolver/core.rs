//! Looking up: from a name over its aliases to records, step by step, each with its proof.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mailstead_dns::{
    Answer, Existence, ExtendedErrorClass, Hop, HopKind, LookupError, LookupErrorKind, Message, Name, Question, Record,
    RecordType, Rtype,
};
use mailstead_dnssec::{
    Anchors, Bogus, Budget, Closest, Content, Crypto, Insecure, Place, Scope, Stop, Trust, Work, Zones, validate,
};
use mailstead_names::Domain;
use mailstead_runtime::{Clock, Deadline, Random, Supervisor};
use tokio::time::Instant;

use super::anchors::AnchorStore;
use super::cache::{BOGUS, Cache, FAILURE, Found};
use super::chain::{ATTEMPTS, Cut, too_much_work};
use super::exchange::Exchange;
use super::flight::{Flight, NoOutcome};
use super::link::{Evidence, Link};
use super::route::{Active, Route, Router};
use super::statistics::Counters;
use super::turns::Turns;
use super::upstream::FetchError;

/// Longest chain of aliases that is followed.
const MOST_ALIASES: usize = 12;
/// Most look-ups under way at the same time.
pub(super) const MOST_LOOKUPS: usize = 4096;

/// What all look-ups share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) router: Router,
    pub(super) anchors: AnchorStore,
    pub(super) cache: Cache,
    pub(super) cuts: Flight<Name, Cut>,
    pub(super) lookups: Flight<(Domain, RecordType), Outcome>,
    pub(super) turns: Turns,
    pub(super) crypto: Arc<dyn Crypto>,
    pub(super) exchange: Arc<Exchange>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) supervisor: Supervisor,
    /// How long a look-up may take.
    pub(super) patience: Duration,
    pub(super) counters: Counters,
}

/// How a look-up ends.
pub(super) type Outcome = Result<Answer<Record>, LookupError>;

/// What was passed on the way to an answer.
#[derive(Debug, Clone)]
pub(super) struct Passed {
    pub(super) name: Name,
    pub(super) link: Arc<Link>,
}

impl Core {
    /// The wall-clock time in seconds since 1970.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from(self.clock.now().as_second()).unwrap_or(0)
    }

    /// The answer, from the cache or from elsewhere.
    pub(super) async fn resolve(self: &Arc<Self>, name: &Domain, record_type: RecordType) -> Outcome {
        if let Some(outcome) = self.cached(name, record_type) {
            return outcome;
        }
        let (core, key) = (Arc::clone(self), (name.clone(), record_type));
        let work = move || async move {
            let (name, record_type) = key;
            core.look_up(&name, record_type).await
        };
        let failed = |kind, detail| Err(LookupError::new(kind, name, record_type).with_detail(detail));
        match self.lookups.join((name.clone(), record_type), &self.supervisor, work).await {
            Ok(outcome) => outcome,
            Err(NoOutcome::Full) => failed(LookupErrorKind::WorkLimit, "too many look-ups are waiting"),
            Err(NoOutcome::Lost) => failed(LookupErrorKind::ServerFailure, "the look-up was lost"),
        }
    }

    /// The whole answer, if every step of it is known.
    fn cached(&self, name: &Domain, record_type: RecordType) -> Option<Outcome> {
        let now = Instant::now();
        let mut reading = Reading::new(name, record_type);
        loop {
            let outcome = match self.cache.peek(&reading.current, reading.rtype, now)? {
                Found::Failure(error) => Some(Err(reading.again(&error))),
                Found::Link(link, ttl) => reading.pass(link, ttl),
            };
            if outcome.is_some() {
                // Otherwise each step counts where it is found out.
                self.cache.hits.fetch_add(reading.passed.len().max(1) as u64, Ordering::Relaxed);
                return outcome;
            }
        }
    }

    async fn look_up(self: &Arc<Self>, name: &Domain, record_type: RecordType) -> Outcome {
        let deadline = Deadline::after(self.patience);
        let Ok(_turn) = deadline.bound(self.turns.take(name)).await else {
            let detail = "look-ups of other names of the domain take too long";
            return Err(LookupError::new(LookupErrorKind::Timeout, name, record_type).with_detail(detail));
        };
        let route = self.route().await.map_err(|cause| cause.for_lookup(name, record_type))?;
        let outcome = self.look_up_by(&route, name, record_type, deadline).await;
        // Proofs that do not come may mean that the network has changed, and with it the resolver.
        if let Err(error) = &outcome
            && error.kind == LookupErrorKind::Bogus
            && let Some(route) = self.reconsider(&route, error).await
        {
            return self.look_up_by(&route, name, record_type, deadline).await;
        }
        outcome
    }

    async fn look_up_by(
        self: &Arc<Self>,
        route: &Arc<Route>,
        name: &Domain,
        record_type: RecordType,
        deadline: Deadline,
    ) -> Outcome {
        let mut reading = Reading::new(name, record_type);
        // Boxed, as whatever is awaited within a deadline takes three times its size.
        match deadline.bound(Box::pin(self.follow(route, &mut reading, deadline))).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let error = reading.error(LookupErrorKind::Timeout, format!("no answer in {:?}", self.patience));
                self.keep_failure(&reading, &error);
                Err(error)
            }
        }
    }

    /// The same look-up for those who want to see every step.
    pub(super) async fn follow_traced(
        self: &Arc<Self>,
        route: &Arc<Route>,
        name: &Domain,
        record_type: RecordType,
    ) -> (Vec<Passed>, Outcome) {
        let deadline = Deadline::after(self.patience);
        let mut reading = Reading::new(name, record_type);
        let outcome = deadline.bound(self.follow(route, &mut reading, deadline)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(reading.error(LookupErrorKind::Timeout, format!("no answer in {:?}", self.patience)))
        });
        (reading.passed, outcome)
    }

    async fn follow(self: &Arc<Self>, route: &Arc<Route>, reading: &mut Reading<'_>, deadline: Deadline) -> Outcome {
        let mut fetched = Fetched::new(Known::new(self.anchors.current(), self.seconds()));
        loop {
            let (link, ttl) = match self.cache.link(&reading.current, reading.rtype, Instant::now()) {
                Some(Found::Failure(error)) => return Err(reading.again(&error)),
                Some(Found::Link(link, ttl)) => (link, ttl),
                None => match self.next(route, reading, &mut fetched, deadline).await {
                    Ok(link) => self.cache.keep_link(&reading.current, reading.rtype, link, Instant::now()),
                    Err(failure) => {
                        let error = failure.for_reading(reading);
                        self.keep_failure(reading, &error);
                        return Err(error);
                    }
                },
            };
            if let Some(outcome) = reading.pass(link, ttl) {
                return outcome;
            }
        }
    }

    fn keep_failure(&self, reading: &Reading<'_>, error: &LookupError) {
        let span = if error.kind == LookupErrorKind::Bogus { BOGUS } else { FAILURE };
        self.cache.keep_failure(&reading.current, reading.rtype, error.clone(), span, Instant::now());
    }

    /// The next step: out of the response at hand, or out of another.
    async fn next(
        self: &Arc<Self>,
        route: &Arc<Route>,
        reading: &Reading<'_>,
        fetched: &mut Fetched,
        deadline: Deadline,
    ) -> Result<Link, Failure> {
        let question = Question { name: reading.current.clone(), rtype: reading.rtype };
        if let Some(response) = fetched.response.take() {
            match self.read(route, &question, Place::Later, &response, fetched, deadline).await {
                Ok(link) => {
                    // What a trusted resolver says about all of it, it does not say about each step.
                    fetched.response = route.active.is_read_on(&link).then_some(response);
                    return Ok(link);
                }
                Err(Failure::Unanswered | Failure::Bogus(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut last = Failure::Unanswered;
        for attempt in 0..ATTEMPTS {
            let response = match route.upstream.fetch(&question, attempt, deadline).await {
                Ok(response) => response,
                Err(_) if attempt > 0 => break,
                Err(error) => return Err(self.explain(route, &question, error, deadline).await),
            };
            match self.read(route, &question, Place::First, &response, fetched, deadline).await {
                Ok(link) => {
                    fetched.response = route.active.is_read_on(&link).then_some(response);
                    return Ok(link);
                }
                // Perhaps a forgery: another server, or another way, may show the truth.
                Err(failure @ (Failure::Bogus(_) | Failure::Unanswered)) => last = failure,
                Err(failure) => return Err(failure),
            }
        }
        Err(last)
    }

    /// What a failed question means: a validating resolver tells what it finds bogus as a failure.
    async fn explain(&self, route: &Route, question: &Question, error: FetchError, deadline: Deadline) -> Failure {
        let says_so = error.extended_errors.iter().any(|error| error.class() == ExtendedErrorClass::Authentication);
        if route.active != Active::TrustAd || error.kind != LookupErrorKind::ServerFailure || says_so {
            return Failure::Fetch(error);
        }
        // RFC 4035 §3.2.2: with CD it does not hold back what it finds bogus.
        match &route.unchecked {
            Some(unchecked) if unchecked.fetch(question, 0, deadline).await.is_ok() => {
                let detail = format!("the resolver has an answer, but only without validation ({})", error.detail);
                Failure::Fetch(FetchError { kind: LookupErrorKind::Bogus, detail, ..error })
            }
            _ => Failure::Fetch(error),
        }
    }

    async fn read(
        self: &Arc<Self>,
        route: &Arc<Route>,
        question: &Question,
        place: Place,
        response: &Message,
        fetched: &mut Fetched,
        deadline: Deadline,
    ) -> Result<Link, Failure> {
        if route.active.validates() {
            return self.read_validated(route, question, place, response, fetched, deadline).await;
        }
        let mut work = Work { crypto: &*self.crypto, now: self.seconds(), budget: &mut fetched.budget };
        let step = validate(&question.name, question.rtype, place, response, &NoZones, &mut work)?;
        let evidence = match route.active {
            Active::TrustAd if response.flags.authentic_data => Evidence::Vouched,
            // AD speaks of the whole answer; of an alias in it, another question must.
            Active::TrustAd if matches!(step.content, Content::Alias { .. }) => {
                let alias = Question { name: question.name.clone(), rtype: Rtype::CNAME };
                match route.upstream.fetch(&alias, 0, deadline).await {
                    Ok(response) if response.flags.authentic_data => Evidence::Vouched,
                    // Some resolvers fail when asked for the CNAME that a DNAME makes; it is not vouched for then.
                    Ok(_) | Err(_) => Evidence::NotVouched,
                }
            }
            Active::TrustAd => Evidence::NotVouched,
            _ => Evidence::Unchecked,
        };
        Ok(Link::with_evidence(step, evidence, response))
    }

    async fn read_validated(
        self: &Arc<Self>,
        route: &Arc<Route>,
        question: &Question,
        place: Place,
        response: &Message,
        fetched: &mut Fetched,
        deadline: Deadline,
    ) -> Result<Link, Failure> {
        loop {
            let Fetched { budget, known, .. } = fetched;
            let mut work = Work { crypto: &*self.crypto, now: self.seconds(), budget };
            match validate(&question.name, question.rtype, place, response, known, &mut work) {
                Ok(step) => return Ok(Link::proved(step, response)),
                Err(Stop::Need(scope)) => {
                    let known = self.trust(route, &scope, deadline).await.map_err(Failure::Fetch)?;
                    fetched.known.trust.insert(scope, known);
                }
                Err(stop) => return Err(stop.into()),
            }
        }
    }
}

/// What a look-up has at hand.
#[derive(Debug)]
struct Fetched {
    /// The response that the last step came from, if there may be more in it.
    response: Option<Arc<Message>>,
    known: Known,
    budget: Budget,
}

impl Fetched {
    fn new(known: Known) -> Fetched {
        Fetched { response: None, known, budget: Budget::default() }
    }
}

/// Where trust begins, and the trust in zones that this look-up has needed.
#[derive(Debug)]
struct Known {
    anchors: Arc<Anchors>,
    now: u64,
    trust: HashMap<Scope, Result<Trust, Bogus>>,
}

impl Known {
    fn new(anchors: Arc<Anchors>, now: u64) -> Known {
        Known { anchors, now, trust: HashMap::new() }
    }
}

impl Zones for Known {
    fn trust(&self, scope: &Scope) -> Option<Result<Trust, Bogus>> {
        self.trust.get(scope).cloned()
    }

    fn anchor(&self, name: &Name) -> Option<Name> {
        match self.anchors.closest(name, self.now) {
            Closest::Anchor(anchor) => Some(anchor.zone.clone()),
            Closest::Negative(_) | Closest::Withdrawn(_) | Closest::None => None,
        }
    }
}

/// Nothing is asked to prove itself.
#[derive(Debug)]
struct NoZones;

impl Zones for NoZones {
    fn trust(&self, _scope: &Scope) -> Option<Result<Trust, Bogus>> {
        Some(Ok(Trust::Insecure(Insecure::NoAnchor)))
    }
}

/// Why there is no next step.
#[derive(Debug)]
enum Failure {
    Fetch(FetchError),
    Bogus(Bogus),
    Unanswered,
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        match stop {
            Stop::Bogus(bogus) => Failure::Bogus(bogus),
            Stop::TooMuchWork => Failure::Fetch(too_much_work()),
            Stop::Need(_) | Stop::Unanswered => Failure::Unanswered,
        }
    }
}

impl Failure {
    fn for_reading(self, reading: &Reading<'_>) -> LookupError {
        match self {
            Failure::Fetch(error) => {
                let is_authentication = |class| class == ExtendedErrorClass::Authentication;
                let kind = match error.kind {
                    // Only somebody who validates says so.
                    LookupErrorKind::ServerFailure
                        if error.extended_errors.iter().any(|error| is_authentication(error.class())) =>
                    {
                        LookupErrorKind::Bogus
                    }
                    kind => kind,
                };
                LookupError { extended_errors: error.extended_errors, ..reading.error(kind, error.detail) }
            }
            Failure::Bogus(bogus) => LookupError {
                extended_errors: vec![bogus.extended_error()],
                ..reading.error(LookupErrorKind::Bogus, bogus.to_string())
            },
            Failure::Unanswered => {
                reading.error(LookupErrorKind::Malformed, "the response does not answer the question".to_owned())
            }
        }
    }
}

/// How far a look-up has come.
struct Reading<'a> {
    asked: &'a Domain,
    record_type: RecordType,
    rtype: Rtype,
    current: Name,
    passed: Vec<Passed>,
    ttl: Duration,
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reading({} {}, now at {})", self.record_type, self.asked, self.current)
    }
}

impl<'a> Reading<'a> {
    fn new(asked: &'a Domain, record_type: RecordType) -> Reading<'a> {
        Reading {
            asked,
            record_type,
            rtype: record_type.into(),
            current: Name::from(asked),
            passed: Vec::new(),
            ttl: Duration::MAX,
        }
    }

    fn error(&self, kind: LookupErrorKind, detail: String) -> LookupError {
        LookupError::new(kind, self.asked, self.record_type).with_detail(detail)
    }

    /// An earlier failure, which may have been met on the way from another name.
    fn again(&self, error: &LookupError) -> LookupError {
        LookupError { name: self.asked.clone(), record_type: self.record_type, ..error.clone() }
    }

    /// Takes a step; the outcome if it was the last.
    fn pass(&mut self, link: Arc<Link>, ttl: Duration) -> Option<Outcome> {
        self.ttl = self.ttl.min(ttl);
        let name = self.current.clone();
        let next = match &link.content {
            Content::Alias { to, .. } => Some(to.clone()),
            Content::Records(_) | Content::Absent(_) => None,
        };
        self.passed.push(Passed { name, link });
        match next {
            None => Some(self.conclude()),
            Some(to) if self.passed.len() > MOST_ALIASES || self.passed.iter().any(|passed| passed.name == to) => {
                Some(Err(self.error(LookupErrorKind::AliasLoop, format!("at {to}"))))
            }
            Some(to) => {
                self.current = to;
                None
            }
        }
    }

    fn conclude(&self) -> Outcome {
        let mut answer = Answer::absent(Existence::NoData, mailstead_dns::Authenticity::Insecure, self.ttl);
        for Passed { name, link } in &self.passed {
            let authenticity = link.evidence.authenticity();
            if let Evidence::Insecure(reason) = &link.evidence {
                answer.extended_errors.extend(reason.extended_error());
            }
            answer.extended_errors.extend(link.remarks.iter().cloned());
            match &link.content {
                Content::Alias { to, kind } => answer.chain.push(self.hop(name, to, *kind, authenticity)?),
                Content::Records(set) => {
                    answer.existence = Existence::Found;
                    answer.record_authenticity = authenticity;
                    let records = set.data.iter().map(|data| Record::from_data(self.record_type, data));
                    answer.records = records.flatten().collect();
                }
                Content::Absent(existence) => {
                    answer.existence = *existence;
                    answer.record_authenticity = authenticity;
                }
            }
        }
        answer.extended_errors.dedup();
        Ok(answer)
    }

    fn hop(
        &self,
        from: &Name,
        to: &Name,
        kind: HopKind,
        authenticity: mailstead_dns::Authenticity,
    ) -> Result<Hop, LookupError> {
        let domain = |name: &Name| {
            let odd = || self.error(LookupErrorKind::Malformed, format!("{name} is no domain name that mail can use"));
            name.to_domain().ok_or_else(odd)
        };
        Ok(Hop { from: domain(from)?, to: domain(to)?, kind, authenticity })
    }
}
