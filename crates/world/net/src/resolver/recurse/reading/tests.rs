use mailstead_dns::{Edns, Flags};

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn set(owner: &str, rtype: Rtype, target: &str) -> RrSet {
    let data = vec![name(target).as_wire().into()];
    RrSet { owner: name(owner), rtype, ttl: 300, data, signatures: Vec::new() }
}

fn question(owner: &str, rtype: Rtype) -> Question {
    Question { name: name(owner), rtype }
}

fn message(rcode: Rcode, authoritative: bool, answer: Vec<RrSet>, authority: Vec<RrSet>) -> Message {
    Message {
        id: 1,
        flags: Flags { response: true, authoritative, ..Flags::default() },
        rcode,
        question: question("www.example.org", Rtype::A),
        answer,
        authority,
        additional: Vec::new(),
        edns: Some(Edns::default()),
    }
}

/// What a response to `www.example.org A` from a server of example.org means.
fn reading(message: &Message) -> Reading {
    read(message, &name("example.org"), &question("www.example.org", Rtype::A), true)
}

#[test]
fn answers_and_absence() {
    let a = || set("www.example.org", Rtype::A, "x");
    let soa = |owner| set(owner, Rtype::SOA, "x");
    let ns = |owner| set(owner, Rtype::NS, "ns.example");
    let unusable = Reading::Unusable;
    for (expected, given) in [
        (Reading::Answer, message(Rcode::NOERROR, true, vec![a()], vec![ns("example.org")])),
        (Reading::Answer, message(Rcode::NOERROR, true, vec![set("www.example.org", Rtype::CNAME, "x")], vec![])),
        (Reading::Answer, message(Rcode::NXDOMAIN, true, vec![set("www.example.org", Rtype::CNAME, "x")], vec![])),
        (Reading::Answer, message(Rcode::YXDOMAIN, true, vec![set("example.org", Rtype::DNAME, "x")], vec![])),
        (Reading::NoData, message(Rcode::NOERROR, true, vec![], vec![soa("example.org")])),
        (Reading::NoData, message(Rcode::NOERROR, true, vec![], vec![soa("www.example.org")])),
        (Reading::NoData, message(Rcode::NOERROR, true, vec![], vec![])),
        (Reading::NoData, message(Rcode::NOERROR, true, vec![], vec![ns("example.org")])),
        // A zone cut in the authority section of an absence is no referral.
        (Reading::NoData, message(Rcode::NOERROR, true, vec![], vec![soa("example.org"), ns("www.example.org")])),
        (Reading::NxDomain, message(Rcode::NXDOMAIN, true, vec![], vec![soa("example.org")])),
        (
            Reading::Referral(name("www.example.org")),
            message(Rcode::NOERROR, false, vec![], vec![ns("www.example.org")]),
        ),
        (
            Reading::Referral(name("www.example.org")),
            message(Rcode::NOERROR, true, vec![], vec![ns("www.example.org")]),
        ),
        (unusable(Fault::NotAuthoritative), message(Rcode::NOERROR, false, vec![a()], vec![])),
        (unusable(Fault::NotAuthoritative), message(Rcode::NOERROR, false, vec![], vec![])),
        (unusable(Fault::NotAuthoritative), message(Rcode::NXDOMAIN, false, vec![], vec![soa("example.org")])),
        (unusable(Fault::UpwardReferral), message(Rcode::NOERROR, false, vec![], vec![ns("org")])),
        (unusable(Fault::UpwardReferral), message(Rcode::NOERROR, false, vec![], vec![ns(".")])),
        (unusable(Fault::UpwardReferral), message(Rcode::NOERROR, false, vec![], vec![ns("example.org")])),
        (unusable(Fault::UpwardReferral), message(Rcode::NOERROR, false, vec![], vec![ns("mail.example.org")])),
        (unusable(Fault::UpwardReferral), message(Rcode::NOERROR, false, vec![], vec![ns("a.www.example.org")])),
        (unusable(Fault::ParentZone), message(Rcode::NXDOMAIN, true, vec![], vec![soa("org")])),
        (unusable(Fault::BesideThePoint), message(Rcode::NOERROR, true, vec![], vec![soa("mail.example.org")])),
        (unusable(Fault::BesideThePoint), message(Rcode::NOERROR, true, vec![set("x.org", Rtype::A, "x")], vec![])),
        (unusable(Fault::BesideThePoint), message(Rcode::NOERROR, true, vec![set("org", Rtype::DNAME, "x")], vec![])),
        (unusable(Fault::Failed), message(Rcode::SERVFAIL, true, vec![a()], vec![])),
        (unusable(Fault::Rcode(Rcode::REFUSED)), message(Rcode::REFUSED, false, vec![], vec![])),
        (unusable(Fault::Rcode(Rcode::YXDOMAIN)), message(Rcode::YXDOMAIN, true, vec![], vec![])),
        (unusable(Fault::Rcode(Rcode::FORMERR)), message(Rcode::FORMERR, true, vec![], vec![])),
        (Reading::EdnsNotUnderstood, message(Rcode::BADVERS, true, vec![], vec![])),
        (Reading::EdnsNotUnderstood, Message { edns: None, ..message(Rcode::NOTIMP, true, vec![], vec![]) }),
    ] {
        assert_eq!(reading(&given), expected, "{given:?}");
    }
    let mut truncated = message(Rcode::NOERROR, true, vec![a()], vec![]);
    truncated.flags.truncated = true;
    assert_eq!(reading(&truncated), Reading::Unusable(Fault::Truncated));
    // Signatures alone are no records.
    let bare = message(Rcode::NOERROR, true, vec![RrSet { data: Vec::new(), ..a() }], vec![]);
    assert_eq!(reading(&bare), Reading::NoData);
}

#[test]
fn the_deepest_of_several_cuts() {
    let ns = |owner| set(owner, Rtype::NS, "ns.example");
    let given = message(Rcode::NOERROR, false, vec![], vec![ns("example.org"), ns("org"), ns("www.example.org")]);
    let of_root = |given: &Message| read(given, &Name::root(), &question("www.example.org", Rtype::A), true);
    assert_eq!(of_root(&given), Reading::Referral(name("www.example.org")));
}

#[test]
fn scrubbing_keeps_the_chain_and_the_proofs() {
    let given = message(
        Rcode::NXDOMAIN,
        true,
        vec![
            set("c.example.net", Rtype::A, "x"),
            set("b.example.org", Rtype::CNAME, "c.example.net"),
            set("www.example.org", Rtype::CNAME, "b.example.org"),
            set("x.example.org", Rtype::A, "x"),
        ],
        vec![
            set("example.net", Rtype::SOA, "x"),
            set("example.org", Rtype::SOA, "x"),
            set("a.example.org", Rtype::NSEC, "x"),
            set("example.org", Rtype::NS, "x"),
            set("www.example.org", Rtype::DS, "x"),
            set("www.example.org", Rtype::A, "x"),
        ],
    );
    let asked = question("www.example.org", Rtype::A);
    let told = |section: &[RrSet]| section.iter().map(|set| format!("{} {}", set.owner, set.rtype)).collect::<Vec<_>>();
    let scrubbed = scrub(given.clone(), &name("example.org"), &asked);
    assert_eq!(told(&scrubbed.answer), ["www.example.org. CNAME", "b.example.org. CNAME"]);
    assert_eq!(told(&scrubbed.authority), ["example.org. SOA", "a.example.org. NSEC"]);
    // The code was about the name in the other zone.
    assert_eq!(scrubbed.rcode, Rcode::NOERROR);
    // Whoever may speak about both says so of both.
    let all = scrub(given, &Name::root(), &asked);
    assert_eq!((told(&all.answer).len(), all.rcode), (3, Rcode::NXDOMAIN));
}

#[test]
fn a_long_chain_ends() {
    let chain: Vec<_> = (0..1000)
        .map(|number| set(&format!("n{number}.example.org"), Rtype::CNAME, &format!("n{}.example.org", number + 1)))
        .collect();
    let given = message(Rcode::NOERROR, true, chain, vec![]);
    let scrubbed = scrub(given, &name("example.org"), &question("n0.example.org", Rtype::A));
    assert_eq!(scrubbed.answer.len(), MOST_ALIASES);
}
