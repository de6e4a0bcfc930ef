//! What a response means to somebody who has asked a server of a certain zone (RFC 1034 §5.3.3, RFC 2308 §2), and which
//! part of it that server may speak about.

use std::fmt;

use mailstead_dns::{Message, Name, Question, Rcode, RrSet, Rtype};

/// Aliases followed within one response: those of one zone that matter are few.
const MOST_ALIASES: usize = 16;

/// What a response means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// There are records, or an alias.
    Answer,
    /// The name has none of these.
    NoData,
    /// There is no such name.
    NxDomain,
    /// Others know: the servers of this zone, which lies below the one asked and at or above the name.
    Referral(Name),
    /// The server could not read the question because of EDNS (RFC 6891 §7).
    EdnsNotUnderstood,
    /// Nothing.
    Unusable(Fault),
}

/// What is wrong with a server, or with its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SERVFAIL
    Failed,
    /// REFUSED, NOTAUTH and whatever other code.
    Rcode(Rcode),
    /// It is not authoritative for the zone.
    NotAuthoritative,
    /// It refers to the zone itself, one above it or one beside it (RFC 1912 §2.8 calls such servers lame).
    UpwardReferral,
    /// It speaks for a zone of which ours is a part, and does not know ours.
    ParentZone,
    /// It is cut short, even over TCP.
    Truncated,
    /// It answers something else.
    BesideThePoint,
}

impl Fault {
    /// Whether the server said that it will not answer for this zone, as opposed to having failed at it.
    pub(super) fn is_refusal(self) -> bool {
        !matches!(self, Fault::Failed | Fault::Truncated | Fault::BesideThePoint)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Failed => f.write_str("failed (SERVFAIL)"),
            Fault::Rcode(Rcode::REFUSED) => f.write_str("refused"),
            Fault::Rcode(rcode) => write!(f, "said {rcode}"),
            Fault::NotAuthoritative => f.write_str("is not authoritative"),
            Fault::UpwardReferral => f.write_str("referred elsewhere than down"),
            Fault::ParentZone => f.write_str("answered for a zone above"),
            Fault::Truncated => f.write_str("sent a truncated response"),
            Fault::BesideThePoint => f.write_str("answered something else"),
        }
    }
}

/// Reads the response of a server of `zone`, to a question about a name in it.
pub(super) fn read(message: &Message, zone: &Name, question: &Question, asked_with_edns: bool) -> Reading {
    match message.rcode {
        Rcode::BADVERS if asked_with_edns => return Reading::EdnsNotUnderstood,
        Rcode::FORMERR | Rcode::NOTIMP if asked_with_edns && message.edns.is_none() => {
            return Reading::EdnsNotUnderstood;
        }
        Rcode::NOERROR | Rcode::NXDOMAIN => {}
        // A name that became too long through a DNAME (RFC 6672 §2.2): whoever follows the DNAME finds out.
        Rcode::YXDOMAIN if answers(message, zone, question) => {}
        Rcode::SERVFAIL => return Reading::Unusable(Fault::Failed),
        other => return Reading::Unusable(Fault::Rcode(other)),
    }
    if message.flags.truncated {
        return Reading::Unusable(Fault::Truncated);
    }
    if answers(message, zone, question) {
        return if message.flags.authoritative { Reading::Answer } else { Reading::Unusable(Fault::NotAuthoritative) };
    }
    let soa = with_data(&message.authority).find(|set| set.rtype == Rtype::SOA);
    if message.rcode == Rcode::NOERROR && soa.is_none() {
        // RFC 1034 §5.3.3 step 4b. Some servers set AA here too.
        let below = |set: &&RrSet| set.owner.is_below(zone) && question.name.is_within(&set.owner);
        if let Some(cut) = delegations(message).filter(below).max_by_key(|set| set.owner.label_count()) {
            return Reading::Referral(cut.owner.clone());
        }
    }
    if !message.flags.authoritative {
        let fault = if delegations(message).next().is_some() { Fault::UpwardReferral } else { Fault::NotAuthoritative };
        return Reading::Unusable(fault);
    }
    if soa.is_some_and(|soa| !soa.owner.is_within(zone)) {
        return Reading::Unusable(Fault::ParentZone);
    }
    if with_data(&message.answer).next().is_some() || soa.is_some_and(|soa| !question.name.is_within(&soa.owner)) {
        return Reading::Unusable(Fault::BesideThePoint);
    }
    if message.rcode == Rcode::NXDOMAIN { Reading::NxDomain } else { Reading::NoData }
}

fn with_data(section: &[RrSet]) -> impl Iterator<Item = &RrSet> {
    section.iter().filter(|set| !set.data.is_empty())
}

/// The NS sets of the authority section.
fn delegations(message: &Message) -> impl Iterator<Item = &RrSet> {
    with_data(&message.authority).filter(|set| set.rtype == Rtype::NS)
}

/// Whether the answer section begins with what was asked for.
fn answers(message: &Message, zone: &Name, question: &Question) -> bool {
    with_data(&message.answer).any(|set| {
        let is_it = set.owner == question.name && (set.rtype == question.rtype || set.rtype == Rtype::CNAME);
        is_it || is_dname_above(set, zone, &question.name)
    })
}

fn is_dname_above(set: &RrSet, zone: &Name, name: &Name) -> bool {
    set.rtype == Rtype::DNAME && name.is_below(&set.owner) && set.owner.is_within(zone)
}

/// Whether there is a DNAME in the answer: then nothing can lie below its owner (RFC 6672 §2.4).
pub(super) fn has_dname(message: &Message) -> bool {
    with_data(&message.answer).any(|set| set.rtype == Rtype::DNAME)
}

/// Whether the response comes with signed proofs of absence. Their maker knows which names exist only because of others
/// below them; servers that deny those wrongly know no DNSSEC.
pub(super) fn has_signed_denial(message: &Message) -> bool {
    with_data(&message.authority)
        .any(|set| matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3) && !set.signatures.is_empty())
}

/// What is left of a response when everything is taken out that a server of `zone` may not speak about or that does not
/// belong to the question: the answer as far as it follows from the question within the zone, and what is said about
/// absence.
pub(super) fn scrub(mut message: Message, zone: &Name, question: &Question) -> Message {
    let chain = follow(&message.answer, zone, question);
    message.answer = chain.kept.iter().filter_map(|place| message.answer.get(*place).cloned()).collect();
    message.authority.retain(|set| {
        // What a zone says of its own servers is not needed: its parent has said whom to ask.
        let belongs = matches!(set.rtype, Rtype::SOA | Rtype::NSEC | Rtype::NSEC3);
        belongs && set.owner.is_within(zone) && !set.data.is_empty()
    });
    message.additional.clear();
    // RFC 6604 §2: the code is about the end of the chain. Where that lies elsewhere, it says nothing about this zone.
    if chain.leaves || message.rcode == Rcode::YXDOMAIN {
        message.rcode = Rcode::NOERROR;
    }
    message.question = question.clone();
    message.id = 0;
    message.flags.authentic_data = false;
    message
}

struct Chain {
    /// Places in the section.
    kept: Vec<usize>,
    /// Whether it goes on outside the zone.
    leaves: bool,
}

fn follow(answer: &[RrSet], zone: &Name, question: &Question) -> Chain {
    let mut chain = Chain { kept: Vec::new(), leaves: false };
    let mut owner = question.name.clone();
    for _ in 0..MOST_ALIASES {
        let place = |is_it: &dyn Fn(&RrSet) -> bool| answer.iter().position(|set| !set.data.is_empty() && is_it(set));
        let dname = place(&|set| is_dname_above(set, zone, &owner));
        if let Some(found) = place(&|set| set.owner == owner && set.rtype == question.rtype) {
            chain.kept.push(found);
            // The DNAME that a CNAME is made of is its proof.
            chain.kept.extend(dname.filter(|_| question.rtype == Rtype::CNAME));
            return chain;
        }
        let cname = place(&|set| set.owner == owner && set.rtype == Rtype::CNAME);
        let before = chain.kept.len();
        for place in dname.into_iter().chain(cname) {
            if !chain.kept.contains(&place) {
                chain.kept.push(place);
            }
        }
        if chain.kept.len() == before {
            // The end, or a circle.
            return chain;
        }
        let target = |place: usize| {
            let (name, _) = Name::from_wire(answer.get(place)?.data.first()?)?;
            Some((name, answer.get(place)?))
        };
        let next = match (cname.and_then(target), dname.and_then(target)) {
            (Some((target, _)), _) => Some(target),
            (None, Some((target, dname))) => owner.substitute(&dname.owner, &target),
            (None, None) => None,
        };
        let Some(next) = next else { return chain };
        if !next.is_within(zone) {
            chain.leaves = true;
            return chain;
        }
        owner = next;
    }
    chain
}

#[cfg(test)]
mod tests;
