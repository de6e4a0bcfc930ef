//! Things of the attacker's own making, and things said at another time or to another question.

use mailstead_dns::{Message, Name, Question, RrSet, Rtype};

use super::super::{SignedWorld, zone::Zone};
use super::{Act, Dice, Tamper, other_data, some_set};

pub(super) const ACTS: &[(&str, Act)] = &[
    ("the response of a world with the attacker's keys", by_attacker),
    ("the response of a world without signatures", by_stripped),
    ("the response of an older world", by_past),
    ("the response of a world to come", by_future),
    ("the response to another question", to_another_question),
    ("the response for another type", to_another_type),
    ("the response of a zone above", by_zone_above),
    ("records changed and signed by the attacker's keys", resign_by_attacker),
    ("records changed and signed by another zone", resign_by_other_zone),
    ("a CNAME added, with where it leads", add_alias),
    ("a DNAME added, with where it leads", add_dname),
    ("keys of the attacker added", add_keys),
    ("keys of the attacker instead", replace_keys),
    ("keys without a meaning added", add_garbage_keys),
    ("signatures of the attacker added", add_signatures),
];

/// Takes over what a message says, as an answer to the question of this one.
fn say(message: &mut Message, other: Message) -> bool {
    message.rcode = other.rcode;
    message.answer = other.answer;
    message.authority = other.authority;
    message.additional = other.additional;
    true
}

fn from_world(world: &SignedWorld, message: &mut Message) -> bool {
    let other = world.respond(&message.question, true);
    say(message, other)
}

fn by_attacker(tamper: &Tamper, message: &mut Message, _: Dice<'_>) -> bool {
    from_world(&tamper.forged, message)
}

fn by_stripped(tamper: &Tamper, message: &mut Message, _: Dice<'_>) -> bool {
    from_world(&tamper.stripped, message)
}

fn by_past(tamper: &Tamper, message: &mut Message, _: Dice<'_>) -> bool {
    from_world(&tamper.past, message)
}

fn by_future(tamper: &Tamper, message: &mut Message, _: Dice<'_>) -> bool {
    from_world(&tamper.future, message)
}

fn to_another_question(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let mut other = tamper.world.respond(&tamper.question(dice), true);
    let (asked, name) = (other.question.name.clone(), message.question.name.clone());
    if dice.coin() {
        other.answer.iter_mut().filter(|set| set.owner == asked).for_each(|set| set.owner = name.clone());
    }
    say(message, other)
}

fn to_another_type(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let types = [Rtype::A, Rtype::AAAA, Rtype::MX, Rtype::TXT, Rtype::DS, Rtype::DNSKEY, Rtype::SOA, Rtype::NSEC];
    let Some(rtype) = dice.pick(&types).copied().filter(|rtype| *rtype != message.question.rtype) else { return false };
    let other = tamper.world.respond(&Question { name: message.question.name.clone(), rtype }, true);
    say(message, other)
}

fn by_zone_above(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let apexes: Vec<_> = tamper.world.apexes().filter(|apex| message.question.name.is_within(apex)).collect();
    let Some(apex) = dice.pick(&apexes) else { return false };
    let other = tamper.world.authority(apex, &message.question, true);
    say(message, other)
}

/// Changes a set and has it signed.
fn resign(message: &mut Message, dice: Dice<'_>, zone: &Zone) -> bool {
    let Some(set) = some_set(message, dice, |set| !set.data.is_empty()) else { return false };
    set.data = set.data.iter().map(|data| other_data(set.rtype, data)).collect();
    set.signatures = zone.sign(set);
    true
}

fn resign_by_attacker(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(zone) = tamper.zone_of(&tamper.forged, &message.question) else { return false };
    resign(message, dice, zone)
}

/// The attacker may have a zone of his own with a chain of trust: anywhere but at or above what he forges.
fn resign_by_other_zone(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let owners: Vec<Name> = message.answer.iter().chain(&message.authority).map(|set| set.owner.clone()).collect();
    let is_above = |zone: &Zone| owners.iter().any(|owner| owner.is_within(zone.apex()));
    let zones = tamper.world.zones.values().filter(|zone| zone.plan.signed && !is_above(zone));
    let zones: Vec<_> = zones.collect();
    let Some(zone) = dice.pick(&zones) else { return false };
    resign(message, dice, zone)
}

fn alias(owner: Name, rtype: Rtype, target: &Name) -> RrSet {
    RrSet { owner, rtype, ttl: 300, data: vec![target.as_wire().into()], signatures: Vec::new() }
}

/// Signs with the attacker's key, or with the signatures that another set has, or not.
fn sign_somehow(tamper: &Tamper, message: &Message, dice: Dice<'_>, set: &mut RrSet) {
    match dice.below(3) {
        0 => {}
        1 => {
            if let Some(other) = dice.pick(&message.answer) {
                set.signatures.clone_from(&other.signatures);
                set.signatures.iter_mut().for_each(|signature| signature.type_covered = set.rtype);
            }
        }
        _ => {
            if let Some(zone) = tamper.zone_of(&tamper.forged, &message.question) {
                set.signatures = zone.sign(set);
            }
        }
    }
}

fn add_alias(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let target = tamper.question(dice).name;
    let mut cname = alias(message.question.name.clone(), Rtype::CNAME, &target);
    sign_somehow(tamper, message, dice, &mut cname);
    let mut other = tamper.world.respond(&Question { name: target, rtype: message.question.rtype }, true);
    other.answer.insert(0, cname);
    say(message, other)
}

fn add_dname(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let name = message.question.name.clone();
    let depth = dice.below(name.label_count());
    let (above, to) = (name.ancestor(depth), tamper.question(dice).name);
    let Some(target) = name.substitute(&above, &to) else { return false };
    let mut dname = alias(above, Rtype::DNAME, &to);
    sign_somehow(tamper, message, dice, &mut dname);
    let mut other = tamper.world.respond(&Question { name: target.clone(), rtype: message.question.rtype }, true);
    other.answer.splice(0..0, [dname, alias(name, Rtype::CNAME, &target)]);
    say(message, other)
}

fn keys_or_ds<'m>(message: &'m mut Message, dice: Dice<'_>) -> Option<&'m mut RrSet> {
    some_set(message, dice, |set| matches!(set.rtype, Rtype::DNSKEY | Rtype::DS) && !set.data.is_empty())
}

/// The attacker's records of the same owner and type.
fn attackers(tamper: &Tamper, set: &RrSet) -> Option<RrSet> {
    let question = Question { name: set.owner.clone(), rtype: set.rtype };
    let theirs = tamper.forged.respond(&question, true);
    Message::find(&theirs.answer, &set.owner, set.rtype).cloned()
}

fn add_keys(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = keys_or_ds(message, dice) else { return false };
    let Some(theirs) = attackers(tamper, set) else { return false };
    set.data.extend(theirs.data);
    set.data.sort_unstable();
    // With the true signatures, or with the attacker's over the whole, or with both.
    let zone = theirs.signatures.first().and_then(|signature| tamper.forged.zones.get(&signature.signer));
    let new = zone.map(|zone| zone.sign(set)).unwrap_or_default();
    match dice.below(3) {
        0 => {}
        1 => set.signatures = new,
        _ => set.signatures.extend(new),
    }
    true
}

fn replace_keys(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = keys_or_ds(message, dice) else { return false };
    let Some(theirs) = attackers(tamper, set) else { return false };
    let signatures = if dice.coin() { set.signatures.clone() } else { theirs.signatures.clone() };
    *set = RrSet { signatures, ..theirs };
    true
}

fn add_garbage_keys(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = some_set(message, dice, |set| set.rtype == Rtype::DNSKEY) else { return false };
    let Some(key) = dice.pick(&set.data).cloned() else { return false };
    for _ in 0..50 {
        let mut other = key.clone();
        let place = 4 + dice.below(other.len().saturating_sub(4));
        if let Some(octet) = other.get_mut(place) {
            *octet ^= 1 << dice.below(8);
            set.data.push(other);
        }
    }
    true
}

fn add_signatures(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(zone) = tamper.zone_of(&tamper.forged, &message.question) else { return false };
    let Some(set) = some_set(message, dice, |set| !set.data.is_empty()) else { return false };
    let new = zone.sign(set);
    let place = dice.below(set.signatures.len() + 1);
    set.signatures.splice(place..place, new);
    true
}
