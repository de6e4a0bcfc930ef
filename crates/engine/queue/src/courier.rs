//! Serves one destination: its messages that are due, to host after host and address after address until every recipient
//! is answered for, over as few connections as possible.
//!
//! What may be tried with a host is what [`plan`] says, whether a connection may carry a message is what [`judge`] says,
//! for each message anew. A connection, and what was found where none came about, serves the messages that follow; it is
//! recorded once, when it happened.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mailstead_names::{EhloName, Host as HostName};
use mailstead_net::Target;
use mailstead_runtime::Deadline;
use mailstead_tlspolicy::facts;
use mailstead_tlspolicy::judge::{self, Next, Verdict, judge};
use mailstead_tlspolicy::plan::{Attempt, Channel, HostPlan, TlsResult, Way, destination_results, plan};
use mailstead_tlspolicy::reasons::Shortfall;

use crate::MessageClass;
use crate::connection::{Call, Connection, Opened};
use crate::facts::{Exchange, Found, HostFacts, Nobody};
use crate::outcome::{Failure, Outcome, Permanence, Remote, attempts};
use crate::queue::Inner;
use crate::results::TlsSession;
use crate::route::Carrier;
use crate::transaction::{Letter, Transacted, transact};

/// Everything that one message does with one address.
const PER_ADDRESS: Duration = Duration::from_secs(30 * 60);
/// Addresses of a host that are tried for one message.
const MOST_ADDRESSES: usize = 5;
/// Of the hosts and addresses that were of no use, as many are told of besides the last.
const MOST_TOLD: usize = 4;
/// Messages sent over one connection.
const MOST_USES: u64 = 100;
/// How long to wait while a host has as many connections as it may have.
const HOST_PATIENCE: Duration = Duration::from_secs(60);

/// Serves the messages for one destination.
pub(crate) struct Courier<'a> {
    inner: &'a Inner,
    /// The way that they go.
    carrier: Carrier<'a>,
    found: Found,
    hosts: HashMap<HostName, Result<HostFacts, Box<Nobody>>>,
    known: Vec<Known>,
    kept: Option<Kept>,
}

/// A host at one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    host: HostName,
    ip: IpAddr,
}

/// What an attempt has shown.
#[derive(Clone)]
struct Known {
    place: Place,
    attempt: Attempt,
    outcome: judge::Outcome,
    failure: Option<Failure>,
}

/// A connection for the next message.
struct Kept {
    place: Place,
    channel: Channel,
    connection: Connection,
    uses: u64,
}

/// What went wrong for one message where no server took it.
#[derive(Debug, Default)]
struct Missed(Vec<Failure>);

impl Missed {
    /// Whether something was in the way that may pass.
    fn is_passing(&self) -> bool {
        self.0.iter().any(|failure| failure.permanence == Permanence::Temporary)
    }

    /// The last failure, with what went wrong before it in words. For good only where it was so everywhere: what no host
    /// grants (RFC 8689 §4.2.1), or a domain without a host.
    fn failure(mut self) -> Failure {
        let is_passing = self.is_passing();
        let Some(last) = self.0.pop() else { return Failure::temporary(4, 1, "The server has no address") };
        let mut before: Vec<String> = Vec::new();
        for failure in &self.0 {
            let words = failure.words_of_place();
            if failure.text != last.text && !before.contains(&words) {
                before.push(words);
            }
        }
        before.truncate(MOST_TOLD);
        let last = if before.is_empty() {
            last
        } else {
            Failure { text: format!("{}. Before that, {}", last.text, before.join("; ")), ..last }
        };
        if is_passing { last.with_permanence(Permanence::Temporary) } else { last }
    }
}

/// An address without a connection that could be used.
#[derive(Debug)]
struct Miss {
    outcome: judge::Outcome,
    failure: Failure,
}

/// What came of one host for one message.
enum Visit {
    /// It answered for recipients, by the position of the row.
    Answered(Vec<(usize, Outcome)>),
    /// It could not be used.
    Missed(Vec<Failure>),
    /// It is this server.
    Ours(Failure),
}

impl Visit {
    /// What a host lacks at one address, it lacks: that its other addresses cannot be reached says nothing more of it.
    fn missed(misses: Vec<Miss>) -> Visit {
        let was_reached = misses.iter().any(|miss| miss.outcome != judge::Outcome::Unreachable);
        let counts = |miss: &Miss| !was_reached || miss.outcome != judge::Outcome::Unreachable;
        Visit::Missed(misses.into_iter().filter(counts).map(|miss| miss.failure).collect())
    }
}

/// What came of giving a message to a server.
enum Handed {
    /// It answered.
    Answered(Vec<(usize, Outcome)>),
    /// It was gone before it answered anything.
    Gone(Vec<(usize, Outcome)>),
    /// It did not let us in.
    NotLoggedIn(Failure),
}

impl<'a> Courier<'a> {
    /// Finds out where mail for this domain or address goes by this carrier.
    ///
    /// # Errors
    /// What it means for every message that there is nobody to deliver to.
    pub(crate) async fn new(
        inner: &'a Inner,
        recipients: &HostName,
        carrier: Carrier<'a>,
        class: MessageClass,
    ) -> Result<Courier<'a>, Box<Failure>> {
        let found = match inner.gatherer.found(carrier, recipients).await {
            Ok(found) => found,
            Err(nobody) => {
                inner.record(recipients, class, None, None, nobody.results);
                return Err(Box::new(nobody.failure));
            }
        };
        inner.record(recipients, class, None, None, destination_results(&found.destination));
        Ok(Courier { inner, carrier, found, hosts: HashMap::new(), known: Vec::new(), kept: None })
    }

    /// One more for the same destination, who knows what this one has found out.
    pub(crate) fn another(&self) -> Courier<'a> {
        Courier {
            inner: self.inner,
            carrier: self.carrier,
            found: self.found.clone(),
            hosts: self.hosts.clone(),
            known: self.known.clone(),
            kept: None,
        }
    }

    /// Whether there is a connection for the next message.
    pub(crate) fn is_connected(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether somebody waits for the room that its connection takes at a host.
    pub(crate) fn is_in_the_way(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| self.inner.host_slots.are_wanted(kept.place.ip))
    }

    /// Delivers one message to its recipients, and answers for each.
    pub(crate) async fn deliver(&mut self, letter: &Letter<'_>) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; letter.rows.len()];
        let mut missed = Missed::default();
        for exchange in self.found.hosts.clone() {
            let pending = pending(&outcomes);
            if pending.is_empty() {
                break;
            }
            match self.visit(&exchange, letter, &pending).await {
                Visit::Answered(answers) => {
                    for (index, outcome) in answers {
                        if let Some(place) = outcomes.get_mut(index) {
                            *place = Some(outcome);
                        }
                    }
                }
                Visit::Missed(failures) => missed.0.extend(failures),
                Visit::Ours(failure) => {
                    missed.0.push(failure);
                    break;
                }
            }
        }
        let is_passing = missed.is_passing();
        let failure = missed.failure();
        let settled = |outcome: Option<Outcome>| match outcome {
            // Another host may offer what this one does not.
            Some(Outcome::Failed(failure)) if is_passing && failure.is_our_own() => {
                Outcome::Failed(failure.with_permanence(Permanence::Temporary))
            }
            Some(outcome) => outcome,
            None => Outcome::Failed(failure.clone()),
        };
        outcomes.into_iter().map(settled).collect()
    }

    /// Ends the connection that is still open.
    pub(crate) async fn finish(mut self) {
        self.hang_up().await;
    }

    /// Tries one host, address by address, for the recipients at these positions.
    async fn visit(&mut self, exchange: &Exchange, letter: &Letter<'_>, pending: &[usize]) -> Visit {
        let facts = match self.facts(exchange, letter).await {
            Ok(facts) => facts,
            Err(nobody) if nobody.is_ours => return Visit::Ours(nobody.failure),
            Err(nobody) => return Visit::Missed(vec![nobody.failure]),
        };
        let HostPlan { way, reasons, .. } = plan(&self.found.destination, &facts.host, letter.demand);
        tracing::debug!(host = %exchange.name, ?reasons, "planned");
        let remote = Remote { host: exchange.name.clone(), ip: None };
        let attempts = match way {
            Way::Attempts(attempts) => attempts,
            Way::Skip(shortfall) => return Visit::Missed(vec![Failure::of_shortfall(&shortfall).at(&remote)]),
            Way::RequireTlsUnsupported(shortfall) => {
                return Visit::Missed(vec![Failure::require_tls_unsupported(&shortfall).at(&remote)]);
            }
        };
        let mut misses = Vec::new();
        let addresses = in_order(&facts.addresses, &earlier_addresses(letter, &exchange.name));
        for ip in addresses.into_iter().take(MOST_ADDRESSES) {
            let place = Place { host: exchange.name.clone(), ip };
            match self.send(&place, &attempts, letter, pending).await {
                Ok(answers) => {
                    let attempts = |index: usize| letter.rows.get(index).map_or(0, |row| row.attempts);
                    let answers = answers.into_iter();
                    return Visit::Answered(
                        answers
                            .map(|(index, outcome)| (index, self.second_thoughts(outcome, &facts, attempts(index))))
                            .collect(),
                    );
                }
                Err(more) => misses.extend(more),
            }
        }
        Visit::missed(misses)
    }

    /// Sends the message to a place, over the connection there is or a new one.
    async fn send(
        &mut self,
        place: &Place,
        attempts: &[Attempt],
        letter: &Letter<'_>,
        pending: &[usize],
    ) -> Result<Vec<(usize, Outcome)>, Vec<Miss>> {
        let kept = self.connect(place, attempts, letter.class).await?;
        let was_used = kept.uses > 0;
        match self.hand_over(kept, letter, pending).await {
            // The server has not waited for another message. A new connection says whether it is there.
            Handed::Gone(_) if was_used => {
                self.known.retain(|known| known.place != *place);
                let kept = self.connect(place, attempts, letter.class).await?;
                self.hand_over(kept, letter, pending).await.answers()
            }
            handed => handed.answers(),
        }
    }

    /// What is known of a host, looked up once. What is to be reported of a host that must not be used is recorded then.
    async fn facts(&mut self, exchange: &Exchange, letter: &Letter<'_>) -> Result<HostFacts, Box<Nobody>> {
        if let Some(facts) = self.hosts.get(&exchange.name) {
            return facts.clone();
        }
        let facts = self.inner.gatherer.host(&self.found.destination, exchange, self.carrier.families()).await;
        let results = match &facts {
            Ok(facts) => plan(&self.found.destination, &facts.host, letter.demand).results,
            Err(nobody) => nobody.results.clone(),
        };
        self.record(letter.class, Some(&exchange.name), None, results);
        self.hosts.insert(exchange.name.clone(), facts.clone());
        facts
    }

    /// A connection to this place that the message may use, the one there is or a new one.
    async fn connect(&mut self, place: &Place, attempts: &[Attempt], class: MessageClass) -> Result<Kept, Vec<Miss>> {
        let remote = Remote { host: place.host.clone(), ip: Some(place.ip) };
        let mut in_the_clear = None;
        let mut misses = Vec::new();
        for attempt in attempts {
            let (outcome, failure, connection) = match self.recall(place, attempt) {
                Some(known) => known,
                None => self.open(place, attempt, in_the_clear.take(), class).await,
            };
            let Verdict { next, shortfall, .. } = judge(attempt, &outcome);
            match connection {
                Some(kept) if next == Next::Transact => return Ok(kept),
                Some(kept) if matches!(outcome, judge::Outcome::NoStartTls(_)) => in_the_clear = Some(kept),
                Some(mut kept) => kept.connection.quit().await,
                None => {}
            }
            let failure = why_not(next, shortfall.as_ref(), failure).at(&remote);
            tracing::info!(host = %place.host, ip = %place.ip, channel = ?attempt.channel, reason = failure.text, "no connection");
            misses.push(Miss { outcome, failure });
            if next != Next::NextAttempt {
                break;
            }
        }
        if let Some(mut kept) = in_the_clear {
            kept.connection.quit().await;
        }
        Err(misses)
    }

    /// What an attempt would show here, as far as that is known: by the open connection, or where none came about.
    fn recall(&mut self, place: &Place, attempt: &Attempt) -> Option<(judge::Outcome, Option<Failure>, Option<Kept>)> {
        let known = self.known.iter().find(|known| known.place == *place && known.tells_of(attempt))?;
        let (outcome, failure) = (known.outcome.clone(), known.failure.clone());
        if judge(attempt, &outcome).next != Next::Transact {
            return Some((outcome, failure, None));
        }
        let fits = |kept: &Kept| kept.place == *place && kept.channel == attempt.channel;
        let kept = self.kept.take_if(|kept| fits(kept))?;
        Some((outcome, failure, Some(kept)))
    }

    /// Tries, unless a session in the clear is what is wanted and there. What comes of it is judged, recorded and remembered.
    async fn open(
        &mut self,
        place: &Place,
        attempt: &Attempt,
        in_the_clear: Option<Kept>,
        class: MessageClass,
    ) -> (judge::Outcome, Option<Failure>, Option<Kept>) {
        let keep = |connection| Kept { place: place.clone(), channel: attempt.channel, connection, uses: 0 };
        let opened = match in_the_clear {
            Some(Kept { connection, .. }) if attempt.channel == Channel::Plaintext => {
                let outcome = judge::Outcome::Clear;
                Opened { outcome, connection: Some(connection), failure: None, session: None }
            }
            _ => match self.dial(place, attempt).await {
                Ok(opened) => opened,
                // Our own limit: not the host's doing.
                Err(failure) => return (judge::Outcome::Unreachable, Some(failure), None),
            },
        };
        let Opened { outcome, connection, failure, session } = opened;
        let Verdict { next, results, .. } = judge(attempt, &outcome);
        let usable = next == Next::Transact && connection.is_some();
        self.inner.services.metrics.connection(if usable { "ready" } else { "failed" });
        self.record(class, Some(&place.host), session, results);
        // A greeting that is refused may be granted to the next.
        self.known.retain(|known| known.place != *place || !known.tells_of(attempt));
        self.known.push(Known {
            place: place.clone(),
            attempt: attempt.clone(),
            outcome: outcome.clone(),
            failure: failure.clone(),
        });
        (outcome, failure, connection.map(keep))
    }

    async fn dial(&mut self, place: &Place, attempt: &Attempt) -> Result<Opened, Failure> {
        // One connection at a time, so that nobody waits for another's while holding one.
        self.hang_up().await;
        let services = &self.inner.services;
        let slot = self.inner.host_slots.take(place.ip, Deadline::after(HOST_PATIENCE)).await;
        let slot = slot.map_err(|_| {
            Failure::temporary(4, 5, "There are as many connections to this server already as there may be at once")
        })?;
        let settings = &self.inner.settings;
        let (relay, proxy) = (self.carrier.relay(), self.carrier.proxy());
        let dialer = match (relay, proxy) {
            (Some(_), _) => &services.dialer,
            (None, Some(proxy)) => &proxy.dialer,
            (None, None) => &services.direct_dialer,
        };
        let of_family = |source: &&IpAddr| source.is_ipv4() == place.ip.is_ipv4();
        let source = settings.sources.iter().find(of_family).filter(|_| relay.is_none() && proxy.is_none());
        let hostname = proxy.and_then(|proxy| proxy.hostname.as_ref()).unwrap_or(&settings.hostname);
        let call = Call {
            dialer: Arc::clone(dialer),
            target: Target { address: SocketAddr::new(place.ip, self.carrier.port()), source: source.copied() },
            remote: Remote { host: place.host.clone(), ip: Some(place.ip) },
            name: EhloName::Domain(hostname.clone()),
            tls: relay.and_then(|relay| relay.tls.as_ref()).unwrap_or(&services.tls).clone(),
            patience: PER_ADDRESS,
        };
        Ok(Connection::open(call, attempt, slot).await)
    }

    /// Gives the message to the server, and keeps the connection for the next.
    async fn hand_over(&mut self, mut kept: Kept, letter: &Letter<'_>, pending: &[usize]) -> Handed {
        if kept.uses == 0
            && let Some(credentials) = self.carrier.relay().and_then(|relay| relay.credentials.as_ref())
            && let Err(failure) = kept.connection.authenticate(&self.inner.services, credentials).await
        {
            kept.connection.quit().await;
            // For the other messages as well: a password is not tried a hundred times.
            for known in self.known.iter_mut().filter(|known| known.place == kept.place) {
                (known.outcome, known.failure) = (judge::Outcome::Unreachable, Some(failure.clone()));
            }
            return Handed::NotLoggedIn(failure);
        }
        kept.connection.renew(PER_ADDRESS);
        let Transacted { outcomes, answered, reusable } = transact(&mut kept.connection, letter, pending).await;
        kept.uses += 1;
        let most = kept.connection.session.extensions().limits().mail_max.unwrap_or(MOST_USES).min(MOST_USES);
        if kept.uses < most && reusable {
            self.kept = Some(kept);
        } else {
            kept.connection.quit().await;
        }
        if answered { Handed::Answered(outcomes) } else { Handed::Gone(outcomes) }
    }

    /// A host with addresses of both families that refuses for its policy may only mind one of ours: it is asked once
    /// more, from the other.
    fn second_thoughts(&self, outcome: Outcome, facts: &HostFacts, attempts: u32) -> Outcome {
        let both = facts.addresses.iter().any(IpAddr::is_ipv4) && facts.addresses.iter().any(IpAddr::is_ipv6);
        match outcome {
            Outcome::Failed(failure)
                if both
                    && attempts <= 1
                    && self.carrier.relay().is_none()
                    && failure.reply.is_some()
                    && failure.status.subject() == 7 =>
            {
                Outcome::Failed(failure.with_permanence(Permanence::Temporary))
            }
            other => other,
        }
    }

    async fn hang_up(&mut self) {
        if let Some(mut kept) = self.kept.take() {
            kept.connection.quit().await;
        }
    }

    fn record(
        &self,
        class: MessageClass,
        host: Option<&HostName>,
        session: Option<TlsSession>,
        results: Vec<TlsResult>,
    ) {
        if let facts::NextHop::Domain { name, .. } = &self.found.destination.next_hop {
            self.inner.record(&HostName::Domain(name.clone()), class, host, session, results);
        }
    }
}

impl Handed {
    fn answers(self) -> Result<Vec<(usize, Outcome)>, Vec<Miss>> {
        match self {
            Handed::Answered(answers) | Handed::Gone(answers) => Ok(answers),
            Handed::NotLoggedIn(failure) => Err(vec![Miss { outcome: judge::Outcome::Unreachable, failure }]),
        }
    }
}

impl Known {
    /// Whether another attempt here would find the same. A certificate that was refused says nothing of an attempt that
    /// would not refuse it.
    fn tells_of(&self, attempt: &Attempt) -> bool {
        match &self.outcome {
            judge::Outcome::Unreachable => true,
            judge::Outcome::CertificateRejected(_) => self.attempt == *attempt,
            _ => self.attempt.checks_the_same(attempt),
        }
    }
}

/// The positions of recipients that no server has answered for finally. What a server could not be asked for is no answer.
fn pending(outcomes: &[Option<Outcome>]) -> Vec<usize> {
    let is_pending = |outcome: &Option<Outcome>| match outcome {
        None => true,
        Some(Outcome::Failed(failure)) => failure.permanence == Permanence::Temporary || failure.is_our_own(),
        Some(Outcome::Delivered(..)) => false,
    };
    outcomes.iter().enumerate().filter(|(_, outcome)| is_pending(outcome)).map(|(index, _)| index).collect()
}

/// What it means for a message that a connection cannot be used.
fn why_not(next: Next, shortfall: Option<&Shortfall>, failure: Option<Failure>) -> Failure {
    match (shortfall, failure) {
        (Some(shortfall), _) if next == Next::RequireTlsUnsupported => Failure::require_tls_unsupported(shortfall),
        (Some(shortfall), failure) if shortfall.is_policy() || failure.is_none() => Failure::of_shortfall(shortfall),
        (_, Some(failure)) => failure,
        (_, None) => Failure::temporary(4, 2, "The connection failed"),
    }
}

/// The addresses of a host that earlier attempts for the message came to, oldest first.
fn earlier_addresses(letter: &Letter<'_>, host: &HostName) -> Vec<IpAddr> {
    let remembered = letter.rows.first().and_then(|row| attempts(row.result.as_ref()).ok()).unwrap_or_default();
    let host = host.to_string();
    remembered.into_iter().filter(|record| record.is_at(&host)).filter_map(|record| record.ip).collect()
}

/// The order in which addresses are tried: first those of the family that the last attempt did not come to, in case it is
/// the family that is the trouble, and within a family the one that was tried before, for servers that take a message
/// only when the same client brings it again (greylisting).
fn in_order(addresses: &[IpAddr], earlier: &[IpAddr]) -> Vec<IpAddr> {
    let last = earlier.last();
    let before = |ip: &IpAddr| earlier.iter().rev().find(|other| other.is_ipv4() == ip.is_ipv4()) == Some(ip);
    let mut ordered = addresses.to_vec();
    ordered.sort_by_key(|ip| (last.is_some_and(|last| last.is_ipv4() == ip.is_ipv4()), !before(ip)));
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_family_first_and_within_one_the_same_address() {
        let order = |earlier: &str| {
            let parse = |text: &str| text.split_whitespace().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
            let ordered = in_order(&parse("::1 ::2 1.0.0.1 1.0.0.2"), &parse(earlier));
            ordered.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(""), "::1 ::2 1.0.0.1 1.0.0.2");
        assert_eq!(order("::2"), "1.0.0.1 1.0.0.2 ::2 ::1");
        assert_eq!(order("::2 1.0.0.2"), "::2 ::1 1.0.0.2 1.0.0.1");
        assert_eq!(order("::2 1.0.0.2 ::1"), "1.0.0.2 1.0.0.1 ::1 ::2");
        assert_eq!(order("1.0.0.9"), "::1 ::2 1.0.0.1 1.0.0.2");
    }
}
