//! Spoiling what is there: octets, names, signatures, sections.

use mailstead_dns::{Message, Name, Rcode, RrSet, Rrsig, Rtype};

use super::{Act, Dice, Tamper, sections, some_set};

pub(super) const ACTS: &[(&str, Act)] = &[
    ("an octet of data changed", change_data),
    ("a record left out of its set", drop_record),
    ("a record added to a set", add_record),
    ("an owner changed", change_owner),
    ("an owner set to the name asked for", own_by_question),
    ("a TTL raised", raise_ttl),
    ("a signature dropped", drop_signature),
    ("all signatures dropped", drop_signatures),
    ("signatures of two sets exchanged", exchange_signatures),
    ("an octet of a signature changed", change_signature),
    ("labels of a signature changed", change_labels),
    ("the original TTL of a signature changed", change_original_ttl),
    ("the signer of a signature changed", change_signer),
    ("the validity of a signature changed", change_validity),
    ("the key tag of a signature changed", change_key_tag),
    ("the algorithm of a signature changed", change_algorithm),
    ("the type covered by a signature changed", change_type),
    ("a signature repeated a hundred times", repeat_signature),
    ("a set dropped", drop_set),
    ("the DS records dropped", drop_ds),
    ("a proof of absence dropped", drop_proof),
    ("a section dropped", drop_section),
    ("a set moved to another section", move_set),
    ("a wildcard's answer said to be another name's", rename_expansion),
    ("the response code changed", change_rcode),
    ("the target of an alias changed", change_target),
];

fn has_records(set: &RrSet) -> bool {
    !set.data.is_empty()
}

fn is_signed(set: &RrSet) -> bool {
    !set.signatures.is_empty()
}

fn change_data(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = some_set(message, dice, has_records) else { return false };
    let place = dice.below(set.data.len());
    let data = &mut set.data[place];
    let place = dice.below(data.len());
    let Some(octet) = data.get_mut(place) else { return false };
    *octet ^= 1 << dice.below(8);
    true
}

fn drop_record(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = some_set(message, dice, |set| set.data.len() > 1) else { return false };
    let place = dice.below(set.data.len());
    set.data.remove(place);
    true
}

fn add_record(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = some_set(message, dice, has_records) else { return false };
    let Some(data) = dice.pick(&set.data).cloned() else { return false };
    let mut other = super::other_data(set.rtype, &data);
    if other == data
        && let Some(last) = other.last_mut()
    {
        *last ^= 1;
    }
    set.data.push(other);
    true
}

fn change_owner(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let other = tamper.question(dice).name;
    let Some(set) = some_set(message, dice, |_| true) else { return false };
    set.owner = match set.owner.labels().next() {
        Some(label) if dice.coin() => {
            let mut label = label.to_vec();
            let place = dice.below(label.len());
            label[place] = if label[place] == b'x' { b'y' } else { b'x' };
            let above = set.owner.parent().unwrap_or_else(Name::root);
            above.prepend(&label).unwrap_or(other)
        }
        _ => other,
    };
    true
}

fn own_by_question(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let name = message.question.name.clone();
    let Some(set) = some_set(message, dice, |set| set.owner != name) else { return false };
    set.owner = name;
    true
}

fn raise_ttl(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = some_set(message, dice, |_| true) else { return false };
    set.ttl = set.ttl.saturating_mul(1000).clamp(1, i32::MAX as u32);
    true
}

fn drop_signature(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = some_set(message, dice, is_signed) else { return false };
    let place = dice.below(set.signatures.len());
    set.signatures.remove(place);
    true
}

fn drop_signatures(_: &Tamper, message: &mut Message, _: Dice<'_>) -> bool {
    sections(message).into_iter().flatten().for_each(|set| set.signatures.clear());
    true
}

fn exchange_signatures(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let mut sets: Vec<_> = sections(message).into_iter().flatten().filter(|set| is_signed(set)).collect();
    if sets.len() < 2 {
        return false;
    }
    let place = dice.below(sets.len());
    let one = sets.swap_remove(place);
    let place = dice.below(sets.len());
    let other = sets.swap_remove(place);
    std::mem::swap(&mut one.signatures, &mut other.signatures);
    // As they stand in records, signatures belong to the set that they say they cover.
    if dice.coin() {
        one.signatures.iter_mut().for_each(|signature| signature.type_covered = one.rtype);
        other.signatures.iter_mut().for_each(|signature| signature.type_covered = other.rtype);
    }
    true
}

/// Changes one of the signatures.
fn change(message: &mut Message, dice: Dice<'_>, change: impl FnOnce(&mut Rrsig)) -> bool {
    let Some(set) = some_set(message, dice, is_signed) else { return false };
    let place = dice.below(set.signatures.len());
    change(&mut set.signatures[place]);
    true
}

fn change_signature(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    change(message, dice, |signature| {
        let place = dice.below(signature.signature.len());
        if let Some(octet) = signature.signature.get_mut(place) {
            *octet ^= 1 << dice.below(8);
        }
    })
}

fn change_labels(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    change(message, dice, |signature| {
        signature.labels = match dice.below(4) {
            0 => 0,
            1 => signature.labels.saturating_sub(1),
            2 => signature.labels.saturating_add(1),
            _ => 255,
        }
    })
}

fn change_original_ttl(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    change(message, dice, |signature| signature.original_ttl = signature.original_ttl.wrapping_add(3600))
}

fn change_signer(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let apexes: Vec<_> = tamper.world.apexes().collect();
    let Some(signer) = dice.pick(&apexes).map(|apex| (*apex).clone()) else { return false };
    change(message, dice, |signature| signature.signer = signer)
}

fn change_validity(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    const YEAR: u32 = 365 * 86_400;
    change(message, dice, |signature| match dice.below(3) {
        0 => signature.expiration = signature.expiration.wrapping_add(YEAR),
        1 => signature.inception = signature.inception.wrapping_sub(YEAR),
        _ => std::mem::swap(&mut signature.expiration, &mut signature.inception),
    })
}

fn change_key_tag(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    change(message, dice, |signature| signature.key_tag ^= 1 << dice.below(16))
}

fn change_algorithm(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    change(message, dice, |signature| {
        let others = [1, 5, 8, 13, 15, 200].into_iter().filter(|other| *other != signature.algorithm);
        signature.algorithm = dice.pick(&others.collect::<Vec<_>>()).copied().unwrap_or(0);
    })
}

fn change_type(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    change(message, dice, |signature| {
        let others = [Rtype::A, Rtype::MX, Rtype::DS, Rtype::NSEC, Rtype::DNSKEY];
        signature.type_covered = dice.pick(&others).copied().unwrap_or(Rtype::TXT);
    })
}

fn repeat_signature(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let Some(set) = some_set(message, dice, is_signed) else { return false };
    let Some(signature) = dice.pick(&set.signatures).cloned() else { return false };
    let copies = (0..100_u8).map(|copy| {
        let mut signature = signature.clone();
        if let Some(first) = signature.signature.first_mut() {
            *first ^= copy;
        }
        signature
    });
    let copies: Vec<_> = copies.collect();
    set.signatures.splice(0..0, copies);
    true
}

/// Drops one of the sets for which something holds.
fn drop_some(message: &mut Message, dice: Dice<'_>, holds: impl Fn(&RrSet) -> bool) -> bool {
    let Some(set) = some_set(message, dice, holds) else { return false };
    // A set without records and signatures stands for nothing on the wire.
    set.data.clear();
    set.signatures.clear();
    true
}

fn drop_set(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    drop_some(message, dice, |_| true)
}

fn drop_ds(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    drop_some(message, dice, |set| set.rtype == Rtype::DS)
}

fn drop_proof(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    drop_some(message, dice, |set| matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3))
}

fn drop_section(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let [answer, authority, additional] = sections(message);
    let sections: Vec<_> = [answer, authority, additional].into_iter().filter(|section| !section.is_empty()).collect();
    let place = dice.below(sections.len());
    sections.into_iter().nth(place).map(Vec::clear).is_some()
}

fn move_set(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let [answer, authority, additional] = sections(message);
    let sections = [answer, authority, additional];
    let from = dice.below(3);
    let to = (from + 1 + dice.below(2)) % 3;
    let place = dice.below(sections[from].len());
    if sections[from].is_empty() {
        return false;
    }
    let set = sections[from].remove(place);
    sections[to].push(set);
    true
}

fn rename_expansion(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    // Any set that a wildcard of the world makes, for a name that has its own or none.
    for _ in 0..20 {
        let question = tamper.question(dice);
        let mut other = tamper.world.respond(&question, true);
        let expanded = |set: &RrSet| {
            set.signatures.iter().any(|signature| usize::from(signature.labels) < set.owner.label_count())
        };
        let Some(set) = other.answer.iter_mut().find(|set| expanded(set)) else { continue };
        set.owner = message.question.name.clone();
        message.answer = vec![set.clone()];
        if dice.coin() {
            message.authority = other.authority;
        }
        message.rcode = Rcode::NOERROR;
        return true;
    }
    false
}

fn change_rcode(_: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let others = [Rcode::NOERROR, Rcode::NXDOMAIN, Rcode::SERVFAIL, Rcode::YXDOMAIN];
    let others: Vec<_> = others.into_iter().filter(|other| *other != message.rcode).collect();
    dice.pick(&others).map(|rcode| message.rcode = *rcode).is_some()
}

fn change_target(tamper: &Tamper, message: &mut Message, dice: Dice<'_>) -> bool {
    let target = tamper.question(dice).name;
    let is_alias = |set: &RrSet| matches!(set.rtype, Rtype::CNAME | Rtype::DNAME);
    let Some(set) = some_set(message, dice, is_alias) else { return false };
    set.data = vec![target.as_wire().into()];
    true
}
