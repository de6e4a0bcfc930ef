//! One question to the servers of one zone, until one of them gives a response that can be used.
//!
//! The best server is asked first. When it takes longer than it should, the next one is asked too, while we keep
//! listening to the first; names of servers are turned into addresses only when those known are not enough. Each server
//! may be asked again, because packets get lost.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use mailstead_dns::{Message, Name, QueryFlags, Question};
use mailstead_runtime::{BoxFuture, Deadline};
use tokio::time::{Instant, sleep_until};

use super::super::exchange::{Asking, ExchangeError, NameCase, Transport};
use super::super::servers::{Lame, Standing};
use super::addresses::{LookedUp, first, is_work_limit};
use super::delegation::Delegation;
use super::failure::{NoAddress, Outcome, ZoneFailure};
use super::reading::{Fault, Reading, read};
use super::{Errand, Recursor, lock, take};
use crate::{AddressPolicy, Error};

/// The port of name servers (RFC 1035 §4.2).
const PORT: u16 = 53;

/// Questions in one inquiry: enough to try several servers twice, few enough to leave some for the next zone.
const MOST_ASKED: u32 = 12;
/// Questions in flight in one inquiry: as many as are asked until the first may be given up.
const MOST_IN_FLIGHT: usize = 6;
/// How often one server is asked, where there are but one or two of them, and where there are more.
const ROUNDS_OF_FEW: u32 = 3;
const ROUNDS_OF_MANY: u32 = 2;
/// Servers tried that are known to be of no use now: one may have recovered.
const MOST_PROBES: u32 = 2;
/// Another server that has not been asked yet is asked after this at the latest, however long this one may take:
/// where many are out of reach, one must be found soon that is not.
const LONGEST_HEDGE: Duration = Duration::from_millis(500);
/// Addresses considered.
const MOST_CANDIDATES: usize = 40;

/// Names of servers looked up at the same time (CVE-2020-8616), and in all.
const NAMES_AT_ONCE: usize = 2;
const MOST_NAMES: usize = 6;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Where the zone cut is.
    Cut,
    /// The answer itself.
    Answer,
}

/// A usable response.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) server: SocketAddr,
    pub(super) message: Message,
    pub(super) reading: Reading,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NotHeard {
    Zone(ZoneFailure),
    /// The questions allowed for one fetch are used up.
    WorkLimit,
}

#[derive(Debug)]
struct Candidate {
    server: SocketAddr,
    standing: Standing,
    /// It has answered this very question before, and the answer was not good enough.
    had_its_say: bool,
    /// No place was free among the questions that are with it.
    busy: bool,
    asked: u32,
    /// Asking again makes sense: it has not said anything yet.
    is_open: bool,
}

impl Candidate {
    fn is_fit(&self) -> bool {
        self.standing == Standing::Fit && !self.had_its_say && !self.busy
    }
}

/// What came back from a question in flight.
struct Landed {
    candidate: usize,
    asked: Instant,
    with_edns: bool,
    result: Result<Message, ExchangeError>,
}

/// What to do next.
enum Next {
    Ask(usize),
    LookUp,
    Nothing,
}

pub(super) struct Inquiry<'a> {
    recursor: &'a Recursor,
    errand: &'a Errand<'a>,
    cut: &'a Delegation,
    question: &'a Question,
    aim: Aim,
    candidates: Vec<Candidate>,
    /// Servers whose addresses are not known yet.
    names: VecDeque<Name>,
    flights: Vec<BoxFuture<'a, Landed>>,
    /// Who is being asked, since when; not known for those that wait for a place first.
    in_flight: Vec<(usize, Option<Instant>)>,
    lookup: Option<BoxFuture<'a, LookedUp>>,
    /// When to ask somebody else too.
    ask_others: Option<Instant>,
    asked: u32,
    probes: u32,
    looked_up: usize,
    failure: ZoneFailure,
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(
        recursor: &'a Recursor,
        errand: &'a Errand<'a>,
        cut: &'a Delegation,
        question: &'a Question,
        aim: Aim,
    ) -> Self {
        let mut inquiry = Inquiry {
            recursor,
            errand,
            cut,
            question,
            aim,
            candidates: Vec::new(),
            names: VecDeque::new(),
            flights: Vec::new(),
            in_flight: Vec::new(),
            lookup: None,
            ask_others: None,
            asked: 0,
            probes: 0,
            looked_up: 0,
            failure: ZoneFailure::new(&cut.zone),
        };
        let mut known = Vec::new();
        for server in &cut.servers {
            let mut addresses = server.glue.clone();
            if addresses.is_empty() {
                addresses = recursor.known_addresses(&server.name);
            }
            if !addresses.is_empty() {
                known.extend(addresses);
            } else if server.name.is_within(&cut.zone) {
                inquiry.failure.name(server.name.clone(), NoAddress::NoGlue);
            } else {
                inquiry.names.push_back(server.name.clone());
            }
        }
        // By chance, as far as the order of names goes: it would always be the same ones otherwise.
        let turn = recursor.random.below(inquiry.names.len() as u64);
        inquiry.names.rotate_left(usize::try_from(turn).unwrap_or(0));
        inquiry.add(known);
        inquiry
    }

    /// Adds addresses to those that can be asked.
    fn add(&mut self, addresses: impl IntoIterator<Item = std::net::IpAddr>) {
        let mut new = Vec::new();
        for address in addresses {
            let server = SocketAddr::new(address, PORT);
            let is_known = new.contains(&server) || self.candidates.iter().any(|known| known.server == server);
            if is_known || new.len() + self.candidates.len() >= MOST_CANDIDATES {
                continue;
            }
            match check(self.recursor.policy, server) {
                Ok(()) => new.push(server),
                Err(why) => self.failure.server(address, Outcome::Forbidden(why)),
            }
        }
        let had_their_say = if self.aim == Aim::Answer && self.errand.attempt > 0 {
            lock(&self.recursor.answered).get(self.question, Instant::now()).cloned().unwrap_or_default()
        } else {
            Vec::new()
        };
        let ranked = self.recursor.servers.rank(&self.cut.zone, &new, &*self.recursor.random);
        self.candidates.extend(ranked.into_iter().map(|(server, standing)| Candidate {
            server,
            standing,
            had_its_say: had_their_say.contains(&server),
            busy: false,
            asked: 0,
            is_open: true,
        }));
    }

    pub(super) async fn run(mut self) -> Result<Heard, NotHeard> {
        let deadline = self.errand.deadline;
        let mut go_on = true;
        loop {
            if deadline.is_past() {
                return Err(self.give_up(true));
            }
            if go_on {
                self.start_next()?;
                go_on = false;
            }
            if self.flights.is_empty() && self.lookup.is_none() {
                // With nothing to wait for there was nothing to start.
                return Err(self.give_up(false));
            }
            let ask_others = self.ask_others.filter(|_| self.flights.len() < MOST_IN_FLIGHT);
            tokio::select! {
                biased;
                landed = first(&mut self.flights), if !self.flights.is_empty() => {
                    if let Some(heard) = self.land(landed)? {
                        self.abandon_others();
                        return Ok(heard);
                    }
                    go_on = true;
                }
                found = looked_up(&mut self.lookup), if self.lookup.is_some() => {
                    self.take_addresses(found);
                    go_on = true;
                }
                () = at(ask_others), if ask_others.is_some() => {
                    self.ask_others = None;
                    go_on = true;
                }
                () = at(deadline.instant()), if deadline.instant().is_some() => {}
            }
        }
    }

    /// Starts whatever is to be done next, if anything is.
    fn start_next(&mut self) -> Result<(), NotHeard> {
        loop {
            match self.next() {
                Next::Ask(index) => {
                    if self.ask(index)? {
                        return Ok(());
                    }
                    // It was busy; the next one then.
                }
                Next::LookUp => {
                    let count = NAMES_AT_ONCE.min(MOST_NAMES.saturating_sub(self.looked_up)).min(self.names.len());
                    let names: Vec<_> = self.names.drain(..count).collect();
                    self.looked_up += names.len();
                    self.lookup = Some(self.recursor.look_up(self.errand, names));
                    // Who else is there may be asked meanwhile, if it takes long.
                    self.ask_others = Some(Instant::now() + super::LOOK_UP_PATIENCE);
                    return Ok(());
                }
                Next::Nothing => return Ok(()),
            }
        }
    }

    fn next(&self) -> Next {
        if self.asked >= MOST_ASKED || self.flights.len() >= MOST_IN_FLIGHT {
            return Next::Nothing;
        }
        let candidates = || self.candidates.iter().enumerate();
        if let Some((index, _)) = candidates().find(|(_, candidate)| candidate.asked == 0 && candidate.is_fit()) {
            return Next::Ask(index);
        }
        if !self.names.is_empty() && self.lookup.is_none() && self.looked_up < MOST_NAMES {
            return Next::LookUp;
        }
        // Those who are fit but for us, then a few of the others.
        let reserve = candidates()
            .filter(|(_, candidate)| candidate.asked == 0)
            .filter(|(_, candidate)| candidate.standing == Standing::Fit || self.probes < MOST_PROBES)
            .min_by_key(|(_, candidate)| (candidate.standing, candidate.busy));
        if let Some((index, _)) = reserve {
            return Next::Ask(index);
        }
        let again = candidates()
            .filter(|(_, candidate)| candidate.asked > 0 && candidate.asked < self.rounds() && candidate.is_open)
            .filter(|(_, candidate)| candidate.standing == Standing::Fit)
            .min_by_key(|(_, candidate)| candidate.asked);
        again.map_or(Next::Nothing, |(index, _)| Next::Ask(index))
    }

    fn rounds(&self) -> u32 {
        if self.candidates.len() <= 2 { ROUNDS_OF_FEW } else { ROUNDS_OF_MANY }
    }

    /// Asks a server; `false` when it has too many questions already and can be left for later.
    fn ask(&mut self, index: usize) -> Result<bool, NotHeard> {
        let rounds = self.rounds();
        let Some(candidate) = self.candidates.get_mut(index) else { return Ok(false) };
        let servers = &self.recursor.servers;
        let server = candidate.server;
        let place = servers.place(server);
        if place.is_none() && !candidate.busy {
            candidate.busy = true;
            return Ok(false);
        }
        if !take(&self.errand.budget.questions) {
            return Err(NotHeard::WorkLimit);
        }
        if candidate.standing != Standing::Fit {
            self.probes += 1;
        }
        let round = candidate.asked;
        candidate.asked += 1;
        self.asked += 1;
        let with_edns = !servers.lacks_edns(server);
        let asking = Asking {
            flags: QueryFlags { dnssec_ok: with_edns, no_edns: !with_edns, ..QueryFlags::default() },
            // Silence may also come from a server that keeps neither the case of letters nor speaks TCP.
            case: if round > 0 && round + 1 == rounds { NameCase::AsIs } else { NameCase::Mixed },
            // It would say the same once more; over TCP at least nobody else says it in its place.
            transport: if candidate.had_its_say { Transport::TcpOnly } else { Transport::UdpFirst },
        };
        let waits = servers.waits(server);
        let (now, mut patience) = (Instant::now(), waits.ask_others * (1 << round.min(3)));
        if self.candidates.iter().any(|other| other.asked == 0 && other.is_fit()) {
            patience = patience.min(LONGEST_HEDGE);
        }
        self.ask_others = Some(now + patience);
        self.in_flight.push((index, place.is_some().then_some(now)));
        let (recursor, question, deadline) = (self.recursor, self.question, self.errand.deadline);
        self.flights.push(Box::pin(async move {
            let place = match place {
                Some(place) => Ok(place),
                None => recursor.servers.wait_for_place(server, deadline).await,
            };
            let asked = Instant::now();
            let result = match place {
                Ok(_place) => {
                    let deadline = deadline.earlier(Deadline::after(waits.give_up));
                    recursor.asker.ask(server, question, asking, deadline).await
                }
                Err(_) => Err(ExchangeError::NoSocket),
            };
            Landed { candidate: index, asked, with_edns, result }
        }));
        Ok(true)
    }

    /// Takes what came back; the response, if it can be used.
    fn land(&mut self, landed: Landed) -> Result<Option<Heard>, NotHeard> {
        let Landed { candidate: index, asked, with_edns, result } = landed;
        if let Some(place) = self.in_flight.iter().position(|(flying, _)| *flying == index) {
            self.in_flight.swap_remove(place);
        }
        let Some(candidate) = self.candidates.get_mut(index) else { return Ok(None) };
        let (servers, server) = (&self.recursor.servers, candidate.server);
        let message = match result {
            Ok(message) => message,
            Err(error) => {
                // Only over TCP after UDP may a server be there and fail all the same; it is as good as silent.
                let (outcome, is_open) = match error {
                    ExchangeError::Timeout => (Outcome::TimedOut, true),
                    ExchangeError::Network { kind: std::io::ErrorKind::NetworkUnreachable, text } => {
                        servers.no_route(server);
                        (Outcome::Network(text), false)
                    }
                    ExchangeError::Network { text, .. } => (Outcome::Network(text), false),
                    ExchangeError::Malformed(error) => (Outcome::Malformed(error), false),
                    ExchangeError::NoSocket => (Outcome::NotAsked, true),
                };
                let was_cut_short =
                    self.errand.deadline.is_past() && asked.elapsed() < servers.waits(server).ask_others;
                let is_silence = matches!(outcome, Outcome::TimedOut | Outcome::Network(_));
                if is_silence && !was_cut_short && !servers.has_no_route(server) {
                    servers.silent(server, asked);
                }
                candidate.is_open &= is_open;
                self.failure.server(server.ip(), outcome);
                return Ok(None);
            }
        };
        servers.answered(server, asked.elapsed());
        match read(&message, &self.cut.zone, self.question, with_edns) {
            Reading::EdnsNotUnderstood => {
                servers.without_edns(server);
                // Not a further round: it has answered.
                candidate.asked = 0;
                self.failure.server(server.ip(), Outcome::Unusable(Fault::Rcode(message.rcode)));
                Ok(None)
            }
            Reading::Unusable(fault) => {
                candidate.is_open = false;
                self.failure.server(server.ip(), Outcome::Unusable(fault));
                self.failure.remarks(message.extended_errors());
                self.remember(server, fault);
                Ok(None)
            }
            reading => Ok(Some(Heard { server, message, reading })),
        }
    }

    /// Keeps in mind that a server is of no use for the zone.
    fn remember(&self, server: SocketAddr, fault: Fault) {
        let servers = &self.recursor.servers;
        if fault.is_refusal() {
            servers.lame(server, &self.cut.zone, Lame::NotServing);
        } else if fault == Fault::Failed && self.aim == Aim::Answer {
            // Some servers fail at names that have nothing but others below, and at nothing else.
            servers.lame(server, &self.cut.zone, Lame::Failing);
        }
    }

    fn take_addresses(&mut self, found: LookedUp) {
        // Those that were not waited for may be wanted later.
        self.looked_up = self.looked_up.saturating_sub(found.unfinished.len());
        self.names.extend(found.unfinished);
        for (name, outcome) in found.ended {
            match outcome {
                Ok(addresses) => self.add(addresses),
                Err(why) => {
                    if is_work_limit(&why) {
                        // The others would fare no better.
                        self.names.clear();
                    }
                    self.failure.name(name, why);
                }
            }
        }
    }

    /// Whoever was asked and not waited for has been slow.
    fn abandon_others(&self) {
        for (index, since) in &self.in_flight {
            if let (Some(candidate), Some(since)) = (self.candidates.get(*index), since) {
                self.recursor.servers.abandoned(candidate.server, since.elapsed());
            }
        }
    }

    fn give_up(mut self, out_of_time: bool) -> NotHeard {
        for (index, since) in std::mem::take(&mut self.in_flight) {
            if let Some(candidate) = self.candidates.get(index) {
                self.failure.server(candidate.server.ip(), Outcome::TimedOut);
                let late = self.recursor.servers.waits(candidate.server).ask_others;
                if let Some(since) = since.filter(|since| since.elapsed() >= late) {
                    self.recursor.servers.silent(candidate.server, since);
                }
            }
        }
        self.failure.not_asked = self.candidates.iter().filter(|candidate| candidate.asked == 0).count();
        self.failure.out_of_time = out_of_time;
        NotHeard::Zone(self.failure)
    }
}

fn check(policy: AddressPolicy, server: SocketAddr) -> Result<(), &'static str> {
    policy.check(server.ip()).map_err(|error| match error {
        Error::ForbiddenAddress(_, why) => why,
        _ => "not allowed",
    })
}

/// What was looked up, once it is there.
async fn looked_up(lookup: &mut Option<BoxFuture<'_, LookedUp>>) -> LookedUp {
    match lookup {
        Some(under_way) => {
            let found = under_way.as_mut().await;
            *lookup = None;
            found
        }
        None => std::future::pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
