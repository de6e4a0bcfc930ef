//! A signed world behind servers of all kinds, what they have been asked, and resolvers that ask them.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mailstead_dns::{Edns, ExtendedError, Message, Name, Question, Rcode, RecordType, Resolver, RrSet, Rtype};
use mailstead_dnssec::{Anchors, AwsLcRs};
use mailstead_names::Domain;
use mailstead_runtime::{BoxFuture, Clock, Deadline, Supervisor};
use mailstead_testkit::{PausedClock, START, Security, SeededRandom, SignedWorld};
use tokio::time::{Instant, sleep};

use super::super::anchors::AnchorStore;
use super::super::core::Outcome;
use super::super::exchange::{AskServer, Asking, Exchange, ExchangeError};
use super::super::{DnsMode, DnsOptions, DnsResolver, ResolvConf, Servers, TrustAnchors};

/// The usual resolver, one besides it, and one on this machine.
pub(super) const RESOLVER: &str = "192.0.2.53";
pub(super) const ANOTHER: &str = "192.0.2.54";
pub(super) const LOCAL: &str = "127.0.0.1";

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn domain(text: &str) -> Domain {
    Domain::parse_lenient(text).unwrap()
}

/// From `name TYPE`.
fn asked_for(text: &str) -> (Domain, RecordType) {
    let (owner, kind) = text.split_once(' ').unwrap();
    (domain(owner), RecordType::parse(kind).unwrap())
}

/// The same, for keys too.
pub(super) fn question(text: &str) -> Question {
    let (owner, kind) = text.split_once(' ').unwrap();
    let rtype = if kind == "DNSKEY" { Rtype::DNSKEY } else { RecordType::parse(kind).unwrap().into() };
    Question { name: name(owner), rtype }
}

/// A question as `name TYPE`.
pub(super) fn what(question: &Question) -> String {
    format!("{} {}", question.name, question.rtype)
}

/// Addresses of servers on the usual port.
pub(super) fn servers(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 53)).collect()
}

/// What a server sends; nothing where it stays silent.
pub(super) type Reply = Option<Result<Message, ExchangeError>>;
type Behaviour = Arc<dyn Fn(&World, &Question, Asking) -> Reply + Send + Sync>;
type Change = Box<dyn FnOnce(&mut Message) + Send>;

/// A question that was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) server: IpAddr,
    pub(super) question: Question,
    pub(super) asking: Asking,
}

impl Asked {
    /// `name TYPE`.
    pub(super) fn what(&self) -> String {
        what(&self.question)
    }
}

#[derive(Default)]
struct State {
    servers: HashMap<IpAddr, Behaviour>,
    /// Changes to the next responses to these questions.
    changes: Vec<(Question, Change)>,
    /// Names at and below which answers take this long.
    slow: Vec<(Name, Duration)>,
    asked: Vec<Asked>,
}

/// Zones and servers.
pub(super) struct World {
    zones: Mutex<SignedWorld>,
    state: Mutex<State>,
    begun: Instant,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// A world with nobody but the authorities of its zones.
    pub(super) fn new(zones: SignedWorld) -> Arc<World> {
        Arc::new(World { zones: Mutex::new(zones), state: Mutex::default(), begun: Instant::now() })
    }

    /// One with a resolver that behaves like this.
    pub(super) fn with(
        zones: SignedWorld,
        behaviour: impl Fn(&World, &Question, Asking) -> Reply + Send + Sync + 'static,
    ) -> Arc<World> {
        let world = World::new(zones);
        world.set(RESOLVER, behaviour);
        world
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn zones(&self) -> SignedWorld {
        self.zones.lock().unwrap().clone()
    }

    /// Goes on with other zones.
    pub(super) fn replace_zones(&self, zones: SignedWorld) {
        *self.zones.lock().unwrap() = zones;
    }

    /// Puts a server there, or makes it behave in another way.
    pub(super) fn set(
        &self,
        server: &str,
        behaviour: impl Fn(&World, &Question, Asking) -> Reply + Send + Sync + 'static,
    ) {
        self.state().servers.insert(server.parse().unwrap(), Arc::new(behaviour));
    }

    /// Keeps the authorities from answering, as a firewall does.
    pub(super) fn block_authorities(&self) {
        for apex in self.zones().apexes() {
            self.set(&self.zones().server(apex).unwrap().to_string(), silent);
        }
    }

    /// Changes the next response to `name TYPE`; called twice, the next two.
    pub(super) fn once(&self, text: &str, change: impl FnOnce(&mut Message) + Send + 'static) {
        self.state().changes.push((question(text), Box::new(change)));
    }

    /// Makes answers about a name and all below it take this long.
    pub(super) fn delay(&self, below: &str, delay: Duration) {
        self.state().slow.push((name(below), delay));
    }

    /// Takes what has been asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    /// The same as `name TYPE`.
    pub(super) fn log(&self) -> Vec<String> {
        self.asked().iter().map(Asked::what).collect()
    }

    /// Seconds since 1970, when the clock is right.
    pub(super) fn now(&self) -> u32 {
        START as u32 + self.begun.elapsed().as_secs() as u32
    }

    /// The anchors of the root as it is now.
    pub(super) fn anchors(&self) -> Anchors {
        Anchors::parse(&self.zones().anchor_text()).unwrap()
    }

    /// What a resolver is to do unless a test wants something else: validate, and ask the usual resolver.
    pub(super) fn options(&self) -> DnsOptions {
        let zones = self.zones();
        let server = zones.server(&Name::root()).unwrap();
        DnsOptions {
            mode: DnsMode::Validate,
            servers: asking(&[RESOLVER]),
            anchors: TrustAnchors::Fixed(self.anchors()),
            root_servers: vec![(name("ns"), vec![server.into()])],
            ..DnsOptions::default()
        }
    }

    /// A resolver in this world.
    pub(super) fn resolver(self: &Arc<World>, change: impl FnOnce(&mut DnsOptions)) -> DnsResolver {
        self.resolver_at(Arc::new(PausedClock::new()), change)
    }

    /// One whose clock is this.
    pub(super) fn resolver_at(
        self: &Arc<World>,
        clock: Arc<dyn Clock>,
        change: impl FnOnce(&mut DnsOptions),
    ) -> DnsResolver {
        let mut options = self.options();
        change(&mut options);
        let (chosen, negative) = (options.anchors.clone(), options.negative_anchors.clone());
        let anchors = AnchorStore::open(chosen, negative, Arc::new(AwsLcRs), START as u64).unwrap();
        self.assemble(options, anchors, clock)
    }

    /// One with these trust anchors.
    pub(super) fn assemble(
        self: &Arc<World>,
        options: DnsOptions,
        anchors: AnchorStore,
        clock: Arc<dyn Clock>,
    ) -> DnsResolver {
        let random = Arc::new(SeededRandom::new(7));
        // Nobody asks by it, so its counters stay at zero.
        let exchange = Arc::new(Exchange::new(random.clone()));
        let asker = (Arc::clone(self) as Arc<dyn AskServer>, exchange);
        DnsResolver::assemble(options, anchors, asker, clock, random, Supervisor::new())
    }
}

/// These servers, with the usual patience.
pub(super) fn asking(addresses: &[&str]) -> Servers {
    Servers::Fixed(ResolvConf::with_servers(servers(addresses)))
}

impl AskServer for World {
    fn ask<'a>(
        &'a self,
        server: SocketAddr,
        question: &'a Question,
        asking: Asking,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Message, ExchangeError>> {
        assert_eq!(server.port(), 53);
        self.state().asked.push(Asked { server: server.ip(), question: question.clone(), asking });
        Box::pin(async move {
            let reply = async {
                let slow = |(below, delay): &(Name, Duration)| question.name.is_within(below).then_some(*delay);
                let delay = self.state().slow.iter().find_map(slow);
                if let Some(delay) = delay {
                    sleep(delay).await;
                }
                match self.reply(server.ip(), question, asking) {
                    Some(reply) => reply,
                    None => std::future::pending().await,
                }
            };
            deadline.bound(reply).await.unwrap_or(Err(ExchangeError::Timeout))
        })
    }
}

impl World {
    fn reply(&self, server: IpAddr, question: &Question, asking: Asking) -> Reply {
        let behaviour = self.state().servers.get(&server).cloned();
        let mut message = match (behaviour, server) {
            (Some(behaviour), _) => match behaviour(self, question, asking)? {
                Ok(message) => message,
                Err(error) => return Some(Err(error)),
            },
            (None, IpAddr::V4(address)) => {
                let zones = self.zones();
                let mut message = zones.authority(zones.served_at(address)?, question, asking.flags.dnssec_ok);
                if asking.flags.no_edns {
                    message.edns = None;
                }
                message
            }
            (None, IpAddr::V6(_)) => return None,
        };
        let change = {
            let mut state = self.state();
            let place = state.changes.iter().position(|(of, _)| of == question);
            place.map(|place| state.changes.remove(place).1)
        };
        if let Some(change) = change {
            change(&mut message);
        }
        // As it would be read from the network.
        let octets = message.to_octets().expect("the message fits");
        Some(Ok(Message::parse(&octets).expect("it can be read")))
    }
}

/// A resolver that passes on what there is, proofs included.
pub(super) fn honest(world: &World, question: &Question, asking: Asking) -> Reply {
    let mut message = world.zones().respond(question, asking.flags.dnssec_ok);
    message.flags.checking_disabled = asking.flags.checking_disabled;
    if asking.flags.no_edns {
        message.edns = None;
    }
    Some(Ok(message))
}

/// Nobody is there.
pub(super) fn silent(_: &World, _: &Question, _: Asking) -> Reply {
    None
}

/// A response without records.
pub(super) fn saying(rcode: Rcode) -> impl Fn(&World, &Question, Asking) -> Reply + Send + Sync {
    move |world, question, asking| {
        let mut message = honest(world, question, asking)?.unwrap();
        empty(&mut message, rcode);
        Some(Ok(message))
    }
}

/// Takes everything out of a message but the question.
pub(super) fn empty(message: &mut Message, rcode: Rcode) {
    message.rcode = rcode;
    for section in [&mut message.answer, &mut message.authority, &mut message.additional] {
        section.clear();
    }
}

/// An honest resolver whose responses are then changed.
pub(super) fn changed(change: impl Fn(&mut Message) + Send + Sync) -> impl Fn(&World, &Question, Asking) -> Reply {
    move |world, question, asking| {
        let mut message = honest(world, question, asking)?.unwrap();
        change(&mut message);
        Some(Ok(message))
    }
}

/// Keeps only the sets for which this holds.
pub(super) fn retain(message: &mut Message, mut keep: impl FnMut(&RrSet) -> bool) {
    for section in [&mut message.answer, &mut message.authority, &mut message.additional] {
        section.retain(&mut keep);
    }
}

/// Takes all signatures away.
pub(super) fn drop_signatures(message: &mut Message) {
    for section in [&mut message.answer, &mut message.authority, &mut message.additional] {
        section.iter_mut().for_each(|set| set.signatures.clear());
    }
}

/// Spoils every signature.
pub(super) fn spoil_signatures(message: &mut Message) {
    for section in [&mut message.answer, &mut message.authority] {
        for signature in section.iter_mut().flat_map(|set| &mut set.signatures) {
            let middle = signature.signature.len() / 2;
            signature.signature[middle] ^= 1;
        }
    }
}

/// Adds a remark of the server.
pub(super) fn remark(message: &mut Message, code: u16, text: &str) {
    let edns = message.edns.get_or_insert_with(Edns::default);
    edns.extended_errors.push(ExtendedError { code, text: text.to_owned() });
}

/// What a validating resolver says of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Explains {
    /// Why, by an extended error.
    Why,
    /// Nothing, as before RFC 8914.
    Nothing,
}

/// A resolver that validates: it says AD, and fails where it must unless CD is set.
pub(super) fn validating(explains: Explains) -> impl Fn(&World, &Question, Asking) -> Reply + Send + Sync {
    move |world, question, asking| {
        let mut message = honest(world, question, asking)?.unwrap();
        let truth = world.zones().truth(question, world.now());
        // RFC 6840 §5.8: AD for those who ask for it, or for DNSSEC.
        let wants_to_know = asking.flags.authentic_data || asking.flags.dnssec_ok;
        match truth.security() {
            Security::Secure => message.flags.authentic_data = wants_to_know && !asking.flags.checking_disabled,
            Security::Bogus if !asking.flags.checking_disabled => {
                let failed_before = message.rcode == Rcode::SERVFAIL;
                empty(&mut message, Rcode::SERVFAIL);
                if explains == Explains::Why && !failed_before {
                    remark(&mut message, 6, "validation failure");
                }
            }
            Security::Bogus | Security::Insecure => {}
        }
        Some(Ok(message))
    }
}

/// Looks up `name TYPE`.
pub(super) async fn look_up(resolver: &DnsResolver, text: &str) -> Outcome {
    let (name, record_type) = asked_for(text);
    resolver.lookup(&name, record_type).await
}

/// The same in words.
pub(super) async fn told(resolver: &DnsResolver, text: &str) -> String {
    tell(&look_up(resolver, text).await)
}

/// An outcome in words: `secure: records`, with hops and codes of extended errors where there are any. A hop is
/// `=> name` where it is secure, `-> name` where it is not.
pub(super) fn tell(outcome: &Outcome) -> String {
    use mailstead_dns::{Authenticity, Existence, HopKind};
    let words = |authenticity| if authenticity == Authenticity::Secure { "secure" } else { "insecure" };
    let codes =
        |errors: &[ExtendedError]| -> String { errors.iter().map(|error| format!(" ({})", error.code)).collect() };
    match outcome {
        Ok(answer) => {
            let mut text = format!("{}:", words(answer.authenticity()));
            for hop in &answer.chain {
                let arrow = if hop.authenticity == Authenticity::Secure { "=>" } else { "->" };
                let kind = if hop.kind == HopKind::Dname { " dname" } else { "" };
                text += &format!("{kind} {arrow} {}", hop.to);
            }
            if !answer.chain.is_empty() {
                text += &format!("; {}", words(answer.record_authenticity));
            }
            match answer.existence {
                Existence::Found => {
                    let mut records: Vec<_> = answer.records.iter().map(ToString::to_string).collect();
                    records.sort();
                    text += &format!(" {}", records.join(", "));
                }
                Existence::NoData => text += " no data",
                Existence::NxDomain => text += " no such name",
            }
            text + &codes(&answer.extended_errors)
        }
        Err(error) => {
            let mut text = error.kind.to_string();
            if !error.detail.is_empty() {
                text += &format!(": {}", error.detail);
            }
            text + &codes(&error.extended_errors)
        }
    }
}
