//! Proofs of absence in the wrong place: RFC 6840 §4 has most of them, RFC 5155 §8 and §12 others.

use mailstead_dns::{Message, Name, Question, Rcode, RrSet, Rtype};

use super::super::text;
use super::super::zone::{Zone, hash, nsec3_data};
use super::{Act, Dice, Tamper, sections, some_set};

pub(super) const ACTS: &[(&str, Act)] = &[
    ("the proof of another question", foreign_proof),
    ("the proofs of other questions added", more_proofs),
    ("said to have no data, without proof", claim_no_data),
    ("said not to exist, without proof", claim_no_name),
    ("said to have no data, by the record of another name of the zone", claim_no_data_by_neighbour),
    ("denied by a zone above", deny_from_above),
    ("denied by the delegation above", deny_by_delegation),
    ("DS denied by the child", deny_ds_by_child),
    ("said to be unsigned, by the proof of an unsigned delegation", claim_unsigned),
    ("the next name of a proof changed", change_next),
    ("a type of a proof changed", change_types),
    ("the parameters of NSEC3 changed", change_parameters),
    ("denied by a span that another zone has signed", deny_by_other_zone),
];

fn is_proof(set: &RrSet) -> bool {
    matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3)
}

/// Makes the message say that there is nothing, with this for a proof.
fn deny(message: &mut Message, rcode: Rcode, authority: Vec<RrSet>) -> bool {
    message.answer.clear();
    message.authority = authority;
    message.rcode = rcode;
    true
}

fn absence(dice: Dice<'_>) -> Rcode {
    if dice.coin() { Rcode::NOERROR } else { Rcode::NXDOMAIN }
}

fn soa(zone: &Zone) -> Option<RrSet> {
    zone.stored(zone.apex(), Rtype::SOA).map(|stored| zone.fetch(stored))
}

/// The zones of the world at or above the name asked for.
fn zones_above<'t>(tamper: &'t Tamper, message: &Message) -> Vec<&'t Zone> {
    let zones = tamper.world.zones.values();
    zones.filter(|zone| message.question.name.is_within(zone.apex()) && zone.plan.signed).collect()
}

fn foreign_proof(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    for _ in 0..20 {
        let other = tamper.world.respond(&tamper.question(dice), true);
        if other.authority.iter().any(is_proof) {
            return deny(message, other.rcode, other.authority);
        }
    }
    false
}

fn more_proofs(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    for _ in 0..1 + dice.below(4) {
        let other = tamper.world.respond(&tamper.question(dice), true);
        super::super::add(&mut message.authority, other.authority);
    }
    if dice.coin() {
        message.answer.clear();
        message.rcode = absence(dice);
    }
    true
}

fn claim_no_data(tamper: &Tamper, message: &mut Message, _: Dice<'_>) -> bool {
    let soa = tamper.zone_of(&tamper.world, &message.question).and_then(soa);
    deny(message, Rcode::NOERROR, soa.into_iter().collect())
}

fn claim_no_name(tamper: &Tamper, message: &mut Message, _: Dice<'_>) -> bool {
    let soa = tamper.zone_of(&tamper.world, &message.question).and_then(soa);
    deny(message, Rcode::NXDOMAIN, soa.into_iter().collect())
}

fn claim_no_data_by_neighbour(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(zone) = tamper.zone_of(&tamper.world, &message.question) else { return false };
    let nsec = zone.nodes.values().filter_map(|sets| sets.get(&Rtype::NSEC));
    let all: Vec<_> = nsec.chain(zone.hashed.values()).collect();
    let Some(proof) = dice.pick(&all) else { return false };
    let authority = soa(zone).into_iter().chain([zone.fetch(proof)]).collect();
    deny(message, absence(dice), authority)
}

fn deny_from_above(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let zones = zones_above(tamper, message);
    let Some(zone) = dice.pick(&zones) else { return false };
    let proof = zone.forced_proof(&message.question, Zone::deny);
    deny(message, absence(dice), soa(zone).into_iter().chain(proof).collect())
}

fn deny_by_delegation(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let zones: Vec<_> =
        zones_above(tamper, message).into_iter().filter(|zone| zone.cut(&message.question.name).is_some()).collect();
    let Some(zone) = dice.pick(&zones) else { return false };
    let Some(cut) = zone.cut(&message.question.name) else { return false };
    let proof = zone.forced_proof(&Question { name: cut, rtype: Rtype::NSEC }, Zone::deny_data);
    deny(message, absence(dice), soa(zone).into_iter().chain(proof).collect())
}

fn deny_ds_by_child(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let zones = zones_above(tamper, message);
    let Some(zone) = dice.pick(&zones) else { return false };
    let ds = Question { name: zone.apex().clone(), rtype: Rtype::DS };
    let child = tamper.world.authority(zone.apex(), &ds, true);
    deny(message, Rcode::NOERROR, child.authority)
}

fn claim_unsigned(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let worlds = [&tamper.world, &tamper.forged];
    let unsigned: Vec<_> = tamper.world.zones.values().filter(|zone| !zone.plan.signed).collect();
    let Some(unsigned) = dice.pick(&unsigned) else { return false };
    let Some(world) = dice.pick(&worlds) else { return false };
    let ds = Question { name: unsigned.apex().clone(), rtype: Rtype::DS };
    deny(message, Rcode::NOERROR, world.respond(&ds, true).authority)
}

fn change_next(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let name = tamper.question(dice).name;
    let Some(set) = some_set(message, dice, |set| is_proof(set) && !set.data.is_empty()) else { return false };
    let data = &mut set.data[0];
    if set.rtype == Rtype::NSEC {
        let Some((_, length)) = Name::from_wire(data) else { return false };
        *data = [name.as_wire(), &data[length..]].concat().into();
        return true;
    }
    // Algorithm, flags and iterations; the salt; the hash.
    let start = 6 + usize::from(data[4]);
    let place = start + dice.below(data.len().saturating_sub(start).min(20));
    data.get_mut(place).map(|octet| *octet ^= 0x80).is_some()
}

fn change_types(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = some_set(message, dice, |set| is_proof(set) && !set.data.is_empty()) else { return false };
    let types = [Rtype::A, Rtype::NS, Rtype::DS, Rtype::SOA, Rtype::CNAME, Rtype::MX];
    let some = (0..dice.below(4)).filter_map(|_| dice.pick(&types).copied());
    let bits = text::bitmap(some);
    let data = &mut set.data[0];
    let end = match set.rtype {
        Rtype::NSEC => Name::from_wire(data).map(|(_, length)| length),
        _ => Some(6 + usize::from(data[4]) + 20),
    };
    let Some(kept) = end.and_then(|end| data.get(..end)) else { return false };
    *data = [kept, &bits].concat().into();
    true
}

fn change_parameters(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let kind = dice.below(4);
    let mut any = false;
    for set in sections(message).into_iter().flatten().filter(|set| set.rtype == Rtype::NSEC3) {
        for data in &mut set.data {
            match kind {
                // Opt-out.
                0 => data[1] ^= 1,
                // A hash that does not exist.
                1 => data[0] = 2,
                // Iterations.
                2 => data[2] ^= 0x40,
                // Flags without a meaning (RFC 5155 §8.2).
                _ => data[1] ^= 0x80,
            }
            any = true;
        }
    }
    any
}

/// The span of a zone with no name but its apex is everything. Somebody who has such a zone, properly vouched for, can
/// sign this; it must say nothing about names outside.
fn deny_by_other_zone(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let zones = tamper.world.zones.values();
    let outside: Vec<_> =
        zones.filter(|zone| zone.plan.signed && !message.question.name.is_within(zone.apex())).collect();
    let Some(zone) = dice.pick(&outside) else { return false };
    let types = [Rtype::NS, Rtype::SOA, Rtype::RRSIG, Rtype::DNSKEY];
    let (owner, rtype, data) = if dice.coin() {
        let bits = text::bitmap(types.into_iter().chain([Rtype::NSEC]));
        (Some(zone.apex().clone()), Rtype::NSEC, [zone.apex().as_wire(), &bits].concat())
    } else {
        // The hash of the other zone's apex, or of the name itself as if it stood there.
        let about = if dice.coin() { zone.apex() } else { &message.question.name };
        let hash = hash(about, 0, &[]);
        let types = if about == zone.apex() { &types[..] } else { &[] };
        let data = nsec3_data(dice.coin(), 0, &[], &hash, types.iter().copied());
        (zone.apex().prepend(&text::base32hex(&hash)), Rtype::NSEC3, data)
    };
    let Some(owner) = owner else { return false };
    let mut proof = RrSet { owner, rtype, ttl: 300, data: vec![data.into()], signatures: Vec::new() };
    proof.signatures = zone.sign(&proof);
    deny(message, absence(dice), soa(zone).into_iter().chain([proof]).collect())
}
