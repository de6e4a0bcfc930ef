//! Tampering with messages as an attacker on the path can: everything but making signatures with keys that are not
//! his. Keys of his own he has, and a zone that is properly vouched for.
//!
//! One replay is left out on purpose: that of what was true before and is still validly signed cannot be told from the
//! truth. What is replayed here is [`Window::PAST`] or [`Window::FUTURE`].

mod forgery;
mod proofs;
mod records;

use mailstead_dns::{Message, Name, Question, RrSet, Rtype};
use mailstead_runtime::Random;

use super::plan::{Vouching, Window};
use super::text::Entry;
use super::zone::Zone;
use super::{SignedWorld, SignedWorldBuilder, ZonePlan};
use crate::SeededRandom;

/// So many draws end in something that can be done to a message; most are needed for empty ones.
const MOST_DRAWS: usize = 200;
/// The seed of the attacker's keys: odd, so that his RSA keys are others too.
const ATTACKER: u64 = 0xbad1;

/// One way to tamper. Says whether there was anything to do it to.
type Act = fn(&Tamper, &mut Message, Dice<'_>) -> bool;

/// Random choices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice<'a>(pub(super) &'a SeededRandom);

impl Dice<'_> {
    pub(super) fn below(self, bound: usize) -> usize {
        let random: &dyn Random = self.0;
        random.below(bound as u64) as usize
    }

    pub(super) fn pick<T>(self, from: &[T]) -> Option<&T> {
        from.get(self.below(from.len()))
    }

    fn coin(self) -> bool {
        self.below(2) == 1
    }
}

/// Somebody on the path to a world.
#[derive(Debug)]
pub struct Tamper {
    pub(super) world: SignedWorld,
    /// The same zones with other data, signed by the attacker's keys.
    pub(super) forged: SignedWorld,
    /// The same zones with other data, not signed at all.
    pub(super) stripped: SignedWorld,
    /// Other data that the true keys signed for a time that is over.
    pub(super) past: SignedWorld,
    /// Other data that the true keys sign for a time to come.
    pub(super) future: SignedWorld,
    questions: Vec<Question>,
}

impl Tamper {
    /// For this world.
    #[must_use]
    pub fn new(world: &SignedWorld) -> Tamper {
        let plans = world.to_builder().map(ZonePlan::without_flaws);
        let other = plans.clone().map(with_other_data);
        let stripped = |plan: ZonePlan| ZonePlan { signed: false, vouching: Vouching::Absent, ..plan };
        Tamper {
            world: world.clone(),
            forged: other.clone().keys(ATTACKER).window(Window::VALID).build(),
            stripped: root_too(other.clone()).map(stripped).build(),
            past: root_too(other.clone()).window(Window::PAST).build(),
            future: root_too(other).window(Window::FUTURE).build(),
            questions: world.questions(),
        }
    }

    /// Every way to tamper by its name.
    pub fn ways() -> impl Iterator<Item = &'static str> {
        acts().map(|(name, _)| name)
    }

    /// Tampers in one to three ways drawn at random. Says in which. What comes out is different from what went in, and
    /// is as a message from the network would be read.
    ///
    /// # Panics
    /// When the message cannot be sent at all.
    pub fn apply(&self, message: &Message, random: &SeededRandom) -> (Message, Vec<&'static str>) {
        let dice = Dice(random);
        let acts: Vec<_> = acts().collect();
        let mut tampered = message.clone();
        let mut done = Vec::new();
        let wanted = 1 + dice.below(3).min(dice.below(3));
        for _ in 0..MOST_DRAWS {
            if done.len() >= wanted && tampered != *message {
                break;
            }
            let Some((name, act)) = dice.pick(&acts) else { break };
            if let Some(next) = self.act(&tampered, *act, dice) {
                tampered = next;
                done.push(*name);
            }
        }
        assert!(tampered != *message, "nothing could be done to {message:?}");
        (tampered, done)
    }

    /// Tampers in the way of this name; nothing where there is nothing to do it to.
    pub fn apply_way(&self, way: &str, message: &Message, random: &SeededRandom) -> Option<Message> {
        let (_, act) = acts().find(|(name, _)| *name == way)?;
        self.act(message, act, Dice(random))
    }

    fn act(&self, message: &Message, act: Act, dice: Dice<'_>) -> Option<Message> {
        let mut tampered = message.clone();
        if !act(self, &mut tampered, dice) {
            return None;
        }
        // Forged data may not be data at all; that would never get as far as a validator.
        let read = Message::parse(&tampered.to_octets()?).ok()?;
        (read != *message).then_some(read)
    }

    fn question(&self, dice: Dice<'_>) -> Question {
        let root = Question { name: Name::root(), rtype: Rtype::SOA };
        dice.pick(&self.questions).cloned().unwrap_or(root)
    }

    /// The zone of this world that a name is in, or that is above the question's DS records.
    pub(super) fn zone_of<'w>(&self, world: &'w SignedWorld, question: &Question) -> Option<&'w Zone> {
        world.zones.get(&world.step(&question.name, question.rtype).apex)
    }
}

fn acts() -> impl Iterator<Item = (&'static str, Act)> {
    records::ACTS.iter().chain(proofs::ACTS).chain(forgery::ACTS).copied()
}

/// The builder with the root among its zones.
fn root_too(builder: SignedWorldBuilder) -> SignedWorldBuilder {
    let has_root = builder.plans.iter().any(|plan| plan.apex.is_root());
    if has_root { builder } else { builder.zone(ZonePlan::signed(".")) }
}

/// The same names with data that leads elsewhere, and with wildcards where there were none.
fn with_other_data(mut plan: ZonePlan) -> ZonePlan {
    for entry in &mut plan.entries {
        entry.data = other_data(entry.rtype, &entry.data);
    }
    let wildcard = plan.apex.wildcard().filter(|wildcard| {
        let redirected = plan.entries.iter().any(|entry| entry.owner == plan.apex && entry.rtype == Rtype::DNAME);
        !redirected && !plan.entries.iter().any(|entry| entry.owner == *wildcard)
    });
    if let Some(owner) = wildcard {
        plan.entries.push(Entry { owner, ttl: 300, rtype: Rtype::A, data: [203, 0, 113, 66].into() });
    }
    plan
}

/// Data of the same form that says something else.
pub(super) fn other_data(rtype: Rtype, data: &[u8]) -> Box<[u8]> {
    let mut other = data.to_vec();
    match rtype {
        // Delegations lead nowhere else: the attacker need not.
        Rtype::NS | Rtype::SOA | Rtype::DS => {}
        // Names: the last letter of their first label.
        Rtype::CNAME | Rtype::DNAME | Rtype::PTR | Rtype::MX | Rtype::SRV => {
            let start = match rtype {
                Rtype::MX => 2,
                Rtype::SRV => 6,
                _ => 0,
            };
            let length = usize::from(other.get(start).copied().unwrap_or(0));
            if length > 0
                && let Some(letter) = other.get_mut(start + length)
            {
                *letter = if *letter == b'q' { b'z' } else { b'q' };
            }
        }
        _ => {
            if let Some(last) = other.last_mut() {
                *last ^= 1;
            }
        }
    }
    other.into()
}

/// The sections of a message.
pub(super) fn sections(message: &mut Message) -> [&mut Vec<RrSet>; 3] {
    [&mut message.answer, &mut message.authority, &mut message.additional]
}

/// One of the sets of a message for which something holds.
pub(super) fn some_set<'m>(
    message: &'m mut Message,
    dice: Dice<'_>,
    holds: impl Fn(&RrSet) -> bool,
) -> Option<&'m mut RrSet> {
    let mut sets: Vec<_> = sections(message).into_iter().flatten().filter(|set| holds(set)).collect();
    let place = dice.below(sets.len());
    if sets.is_empty() { None } else { Some(sets.swap_remove(place)) }
}
