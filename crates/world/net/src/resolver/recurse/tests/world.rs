//! A small internet in memory: authorities with zones, and whatever may be wrong with them.

use std::collections::HashMap;
use std::net::IpAddr;

use mailstead_dns::{Flags, Rcode, RrSet, Rrsig};
use mailstead_testkit::SeededRandom;
use tokio::time::sleep;

use super::super::*;
use crate::resolver::exchange::{Asking, ExchangeError};

pub(super) const TTL: u32 = 3600;
/// The address of the root's server.
pub(super) const ROOT: &str = "192.0.2.1";

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn rtype(text: &str) -> Rtype {
    match text {
        "A" => Rtype::A,
        "AAAA" => Rtype::AAAA,
        "NS" => Rtype::NS,
        "CNAME" => Rtype::CNAME,
        "DNAME" => Rtype::DNAME,
        "MX" => Rtype::MX,
        "TXT" => Rtype::TXT,
        "SOA" => Rtype::SOA,
        "DS" => Rtype::DS,
        "NSEC" => Rtype::NSEC,
        other => panic!("{other}"),
    }
}

/// From `name TYPE`.
pub(super) fn question(text: &str) -> Question {
    let (owner, kind) = text.split_once(' ').unwrap();
    Question { name: name(owner), rtype: rtype(kind) }
}

/// From `name TYPE data`. Data that is no name and no address stays as it is.
pub(super) fn set(text: &str) -> RrSet {
    let (question, data) = match text.splitn(3, ' ').collect::<Vec<_>>()[..] {
        [owner, kind, data] => (question(&format!("{owner} {kind}")), data),
        _ => panic!("{text}"),
    };
    let data = match question.rtype {
        Rtype::A | Rtype::AAAA => match ip(data) {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        },
        Rtype::NS | Rtype::CNAME | Rtype::DNAME => name(data).as_wire().to_vec(),
        _ => data.as_bytes().to_vec(),
    };
    RrSet { owner: question.name, rtype: question.rtype, ttl: TTL, data: vec![data.into()], signatures: Vec::new() }
}

/// The same with a signature, which nobody verifies here.
pub(super) fn signed(text: &str) -> RrSet {
    let unsigned = set(text);
    let signature = Rrsig {
        type_covered: unsigned.rtype,
        algorithm: 13,
        labels: 1,
        original_ttl: TTL,
        expiration: 2,
        inception: 1,
        key_tag: 3,
        signer: Name::root(),
        signature: [0; 64].into(),
    };
    RrSet { signatures: vec![signature], ..unsigned }
}

/// Sets out of many records.
fn gather(sets: impl IntoIterator<Item = RrSet>) -> Vec<RrSet> {
    let mut gathered: Vec<RrSet> = Vec::new();
    for set in sets {
        match gathered.iter_mut().find(|other| other.owner == set.owner && other.rtype == set.rtype) {
            Some(other) => {
                other.data.extend(set.data);
                other.data.sort();
                other.data.dedup();
            }
            None => gathered.push(set),
        }
    }
    gathered
}

/// A response without records.
pub(super) fn empty(question: &Question, rcode: Rcode) -> Message {
    Message {
        id: 0,
        flags: Flags { response: true, authoritative: true, ..Flags::default() },
        rcode,
        question: question.clone(),
        answer: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        edns: Some(mailstead_dns::Edns::default()),
    }
}

/// A referral to these servers, with whatever else.
pub(super) fn referral(question: &Question, authority: &[&str], additional: &[&str]) -> Message {
    let sets = |texts: &[&str]| gather(texts.iter().map(|text| set(text)));
    let mut message = empty(question, Rcode::NOERROR);
    message.flags.authoritative = false;
    (message.authority, message.additional) = (sets(authority), sets(additional));
    message
}

#[derive(Debug, Clone)]
struct Zone {
    origin: Name,
    sets: Vec<RrSet>,
}

impl Zone {
    fn new(origin: &str, records: &str) -> Zone {
        let lines = records.lines().map(str::trim).filter(|line| !line.is_empty());
        Zone { origin: name(origin), sets: gather(lines.map(set)) }
    }

    fn find(&self, owner: &Name, rtype: Rtype) -> Option<RrSet> {
        Message::find(&self.sets, owner, rtype).cloned()
    }

    fn answer(&self, question: &Question) -> Message {
        let mut message = empty(question, Rcode::NOERROR);
        let is_ds = question.rtype == Rtype::DS;
        let cut = self
            .sets
            .iter()
            .filter(|set| set.rtype == Rtype::NS && set.owner.is_below(&self.origin))
            .filter(|set| question.name.is_within(&set.owner) && !(is_ds && question.name == set.owner))
            .min_by_key(|set| set.owner.label_count());
        if let Some(cut) = cut {
            message.flags.authoritative = false;
            message.authority.push(cut.clone());
            message.authority.extend(self.find(&cut.owner, Rtype::DS));
            for data in &cut.data {
                let server = Name::from_wire(data).unwrap().0;
                message.additional.extend([Rtype::A, Rtype::AAAA].into_iter().filter_map(|of| self.find(&server, of)));
            }
            return message;
        }
        let mut owner = question.name.clone();
        for _ in 0..8 {
            let found = self.find(&owner, question.rtype);
            if let Some(found) = found {
                message.answer.push(found);
                return message;
            }
            if let Some(dname) = self.sets.iter().find(|set| set.rtype == Rtype::DNAME && owner.is_below(&set.owner)) {
                let target = Name::from_wire(&dname.data[0]).unwrap().0;
                let target = owner.substitute(&dname.owner, &target).unwrap();
                message.answer.push(dname.clone());
                message.answer.push(set(&format!("{owner} CNAME {target}")));
                owner = target;
            } else if let Some(cname) = self.find(&owner, Rtype::CNAME) {
                owner = Name::from_wire(&cname.data[0]).unwrap().0;
                message.answer.push(cname);
            } else {
                break;
            }
            if !owner.is_within(&self.origin) {
                return message;
            }
        }
        message.authority.push(set(&format!("{} SOA soa", self.origin)));
        if !self.sets.iter().any(|set| set.owner.is_within(&owner)) {
            message.rcode = Rcode::NXDOMAIN;
        }
        message
    }
}

/// What a server sends.
pub(super) type Reply = Option<Result<Message, ExchangeError>>;
type Behaviour = Arc<dyn Fn(&Question, Asking) -> Reply + Send + Sync>;

#[derive(Default)]
struct Server {
    zones: Vec<Zone>,
    behaviour: Option<Behaviour>,
    latency: Duration,
}

impl Server {
    fn reply(&self, question: &Question, asking: Asking) -> Reply {
        if let Some(behaviour) = &self.behaviour {
            return behaviour(question, asking);
        }
        let is_ds = question.rtype == Rtype::DS;
        let has = |zone: &&Zone| question.name.is_within(&zone.origin) && !(is_ds && question.name == zone.origin);
        let zone = self.zones.iter().filter(has).max_by_key(|zone| zone.origin.label_count());
        Some(Ok(zone.map_or_else(|| empty(question, Rcode::REFUSED), |zone| zone.answer(question))))
    }
}

/// A question that was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) server: IpAddr,
    pub(super) question: Question,
    pub(super) asking: Asking,
}

/// The servers, and what they have been asked.
#[derive(Default)]
pub(super) struct World {
    servers: Mutex<HashMap<IpAddr, Server>>,
    asked: Mutex<Vec<Asked>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// A root with these records besides its own server.
    pub(super) fn new(records: &str) -> World {
        let root = format!(". NS ns.root\nns.root A {ROOT}\n{records}");
        World::default().zone(&[ROOT], ".", &root)
    }

    fn server(&self, server: &str, change: impl FnOnce(&mut Server)) {
        change(lock(&self.servers).entry(ip(server)).or_default());
    }

    /// A zone on these servers.
    pub(super) fn zone(self, servers: &[&str], origin: &str, records: &str) -> World {
        for server in servers {
            self.server(server, |server| server.zones.push(Zone::new(origin, records)));
        }
        self
    }

    pub(super) fn slow(self, server: &str, milliseconds: u64) -> World {
        self.server(server, |server| server.latency = Duration::from_millis(milliseconds));
        self
    }

    /// A server that does as it likes.
    pub(super) fn odd(
        self,
        server: &str,
        behaviour: impl Fn(&Question, Asking) -> Reply + Send + Sync + 'static,
    ) -> World {
        self.change(server, behaviour);
        self
    }

    pub(super) fn silent(self, server: &str) -> World {
        self.odd(server, |_, _| None)
    }

    /// The same while it is in use.
    pub(super) fn change(&self, server: &str, behaviour: impl Fn(&Question, Asking) -> Reply + Send + Sync + 'static) {
        self.server(server, |server| server.behaviour = Some(Arc::new(behaviour)));
    }

    /// Takes the questions asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut lock(&self.asked))
    }

    /// The same in words, as `server name TYPE`.
    pub(super) fn log(&self) -> Vec<String> {
        let told = |asked: Asked| format!("{} {} {}", asked.server, asked.question.name, asked.question.rtype);
        self.asked().into_iter().map(told).collect()
    }

    pub(super) fn recursor(self: &Arc<World>, limits: Limits) -> Recursor {
        let hints = vec![(name("ns.root"), vec![ip(ROOT)])];
        let random = Arc::new(SeededRandom::new(7));
        Recursor::new(Arc::clone(self) as Arc<dyn AskServer>, random, hints, AddressPolicy::Public, limits)
    }
}

impl AskServer for World {
    fn ask<'a>(
        &'a self,
        server: SocketAddr,
        question: &'a Question,
        asking: Asking,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Message, ExchangeError>> {
        lock(&self.asked).push(Asked { server: server.ip(), question: question.clone(), asking });
        assert_eq!(server.port(), 53);
        Box::pin(async move {
            let (latency, reply) = match lock(&self.servers).get(&server.ip()) {
                Some(server) => (server.latency, server.reply(question, asking)),
                None => (Duration::ZERO, None),
            };
            let reply = async {
                sleep(latency).await;
                match reply {
                    Some(reply) => reply,
                    None => std::future::pending().await,
                }
            };
            deadline.bound(reply).await.unwrap_or(Err(ExchangeError::Timeout))
        })
    }
}

/// What a fetch gives; nobody waits longer than ten seconds.
pub(super) async fn fetch(recursor: &Recursor, text: &str, attempt: u32) -> Result<Arc<Message>, FetchError> {
    recursor.fetch(&question(text), attempt, Deadline::after(Duration::from_secs(10))).await
}

/// The records of a section as `name TYPE`.
pub(super) fn told(section: &[RrSet]) -> Vec<String> {
    section.iter().map(|set| format!("{} {}", set.owner, set.rtype)).collect()
}
