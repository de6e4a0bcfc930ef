//! An attacker who answers every question according to one plan, so that his lies fit together.

use std::sync::Arc;

use mailstead_dns::{Message, Name, Question, Rcode, Rtype};

use super::Security;
use super::tamper::{Dice, Tamper};
use crate::{START, SeededRandom};

/// What the attacker is up to. Most plans are about one zone and all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Everything,
    Sometimes,
    OnlyData,
    OnlyChain,
    Takeover,
    TakeoverWithDs,
    Strip,
    StripAndDenyDs,
    Past,
    Future,
    AddedKeys,
    NoChain,
    OtherZone,
    DenyFromAbove,
}

impl Strategy {
    const ALL: &[(Strategy, &str)] = &[
        (Strategy::Everything, "tampers with every response"),
        (Strategy::Sometimes, "tampers with one response in three"),
        (Strategy::OnlyData, "tampers with every response but keys and DS records"),
        (Strategy::OnlyChain, "tampers with keys and DS records only"),
        (Strategy::Takeover, "has a zone signed by keys of his own"),
        (Strategy::TakeoverWithDs, "has a zone signed by keys of his own, and forges its DS records"),
        (Strategy::Strip, "takes the signatures off a zone"),
        (Strategy::StripAndDenyDs, "takes the signatures off a zone and denies its DS records"),
        (Strategy::Past, "answers for a zone as if it was long ago"),
        (Strategy::Future, "answers for a zone as if it was much later"),
        (Strategy::AddedKeys, "adds his keys to those of a zone that he signs by them"),
        (Strategy::NoChain, "lets questions for keys and DS records fail"),
        (Strategy::OtherZone, "signs for a zone by the keys of another one that is his"),
        (Strategy::DenyFromAbove, "denies what is in a zone by proofs of zones above"),
    ];
}

/// Somebody on the path who follows a plan drawn from a seed, in most plans against a zone that is secure at [`START`].
/// The same question always gets the same response.
#[derive(Debug, Clone)]
pub struct Adversary {
    tamper: Arc<Tamper>,
    seed: u64,
    strategy: Strategy,
    plan: &'static str,
    zone: Name,
}

impl Adversary {
    /// One of many, by seed.
    #[must_use]
    pub fn new(tamper: Arc<Tamper>, seed: u64) -> Adversary {
        let random = SeededRandom::new(seed);
        let dice = Dice(&random);
        let (strategy, plan) = dice.pick(Strategy::ALL).copied().unwrap_or((Strategy::Everything, ""));
        // About others there is nothing to lie about that a validator would believe.
        let is_secure = |apex: &&Name| tamper.world.zone_security(apex, START as u32) == Security::Secure;
        let zones: Vec<_> = tamper.world.apexes().filter(is_secure).cloned().collect();
        let zone = dice.pick(&zones).cloned().unwrap_or_else(Name::root);
        Adversary { tamper, seed, strategy, plan, zone }
    }

    /// What he is up to, in words: "he ...".
    pub fn plan(&self) -> &'static str {
        self.plan
    }

    /// The zone that he is after; of no meaning for some plans. Questions about names in it are the ones to ask.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// His response in place of the one of [`SignedWorld::respond`](super::SignedWorld::respond), and what he did to
    /// it; nothing where he let it pass.
    pub fn respond(&self, question: &Question) -> (Message, Vec<&'static str>) {
        let random = SeededRandom::new(self.seed ^ fingerprint(question));
        let honest = self.tamper.world.respond(question, true);
        let is_chain = matches!(question.rtype, Rtype::DNSKEY | Rtype::DS);
        let is_ds = question.rtype == Rtype::DS && question.name == self.zone;
        let inside = question.name.is_within(&self.zone) && !is_ds;
        let way = |way: &'static str| {
            let tampered = self.tamper.apply_way(way, &honest, &random);
            tampered.map_or((honest.clone(), Vec::new()), |message| (message, vec![way]))
        };
        match self.strategy {
            Strategy::Everything => self.tamper.apply(&honest, &random),
            Strategy::Sometimes if Dice(&random).below(3) == 0 => self.tamper.apply(&honest, &random),
            Strategy::OnlyData if !is_chain => self.tamper.apply(&honest, &random),
            Strategy::OnlyChain if is_chain => self.tamper.apply(&honest, &random),
            Strategy::Takeover | Strategy::TakeoverWithDs if inside => {
                way("the response of a world with the attacker's keys")
            }
            Strategy::TakeoverWithDs if is_ds => {
                let ways = ["keys of the attacker instead", "keys of the attacker added"];
                way(Dice(&random).pick(&ways).copied().unwrap_or(ways[0]))
            }
            Strategy::Strip | Strategy::StripAndDenyDs if inside => way("the response of a world without signatures"),
            Strategy::StripAndDenyDs if is_ds => way(deny_ds(&random)),
            Strategy::Past if inside || is_ds => way("the response of an older world"),
            Strategy::Future if inside || is_ds => way("the response of a world to come"),
            Strategy::AddedKeys if inside && question.rtype == Rtype::DNSKEY => way("keys of the attacker added"),
            Strategy::AddedKeys if inside => way("the response of a world with the attacker's keys"),
            Strategy::NoChain if is_chain && question.name.is_within(&self.zone) => {
                let failure = Message {
                    rcode: Rcode::SERVFAIL,
                    answer: Vec::new(),
                    authority: Vec::new(),
                    additional: Vec::new(),
                    ..honest
                };
                (failure, vec!["a failure instead"])
            }
            Strategy::OtherZone if inside => way("records changed and signed by another zone"),
            Strategy::DenyFromAbove if question.name.is_within(&self.zone) => {
                let ways = ["denied by a zone above", "denied by the delegation above"];
                way(Dice(&random).pick(&ways).copied().unwrap_or(ways[0]))
            }
            _ => (honest, Vec::new()),
        }
    }
}

/// One of the ways to say that there are no DS records.
fn deny_ds(random: &SeededRandom) -> &'static str {
    let ways = [
        "DS denied by the child",
        "said to be unsigned, by the proof of an unsigned delegation",
        "said to have no data, without proof",
        "said not to exist, without proof",
        "said to have no data, by the record of another name of the zone",
        "denied by a span that another zone has signed",
        "the proof of another question",
        "denied by a zone above",
    ];
    Dice(random).pick(&ways).copied().unwrap_or(ways[0])
}

/// FNV-1a over name and type.
fn fingerprint(question: &Question) -> u64 {
    let octets = question.name.as_wire().iter().copied().chain(question.rtype.0.to_be_bytes());
    octets.fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}
