//! Proofs by NSEC records that there is nothing, and what only looks like one: RFC 4035 §5.4, RFC 6840 §4, RFC 4592.

use mailstead_dns::{Existence, Question, Rcode, RrSet, Rtype};
use mailstead_dnssec::{Bogus, Content, Step, Stop};
use mailstead_testkit::{SignedWorld, ZonePlan};

use crate::crypto::Remembering;
use crate::handmade::{NOW, TTL, Zone, alias, bogus, name, proved, read, response, set};
use crate::walker::{Failure, Walker};

const NAME: &[Rtype] = &[Rtype::A, Rtype::RRSIG, Rtype::NSEC];
const APEX: &[Rtype] = &[Rtype::NS, Rtype::SOA, Rtype::RRSIG, Rtype::NSEC, Rtype::DNSKEY];
/// A delegation without DS records, and one with.
const UNSIGNED: &[Rtype] = &[Rtype::NS, Rtype::RRSIG, Rtype::NSEC];
const SIGNED: &[Rtype] = &[Rtype::NS, Rtype::DS, Rtype::RRSIG, Rtype::NSEC];

const NO_DATA: Option<Content> = Some(Content::Absent(Existence::NoData));
const NX_DOMAIN: Option<Content> = Some(Content::Absent(Existence::NxDomain));

fn outcome(about: &str, rtype: Rtype, rcode: Rcode, proofs: &[&RrSet]) -> Result<Step, Stop> {
    read(&[&Zone::new("example")], about, rtype, &response(rcode, &[], proofs))
}

fn wrong(about: &str, rtype: Rtype) -> Bogus {
    Bogus::ProofWrong { name: name(about), rtype }
}

#[test]
fn rfc_4035_5_4_a_record_at_the_name_says_what_there_is() {
    let zone = Zone::new("example");
    let nsec = zone.nsec("www.example", "x.example", NAME);
    let ask = |rtype| outcome("www.example", rtype, Rcode::NOERROR, &[&nsec]);
    assert_eq!(proved(ask(Rtype::MX)), NO_DATA);
    assert_eq!(proved(ask(Rtype::DS)), NO_DATA);
    assert_eq!(proved(ask(Rtype::CNAME)), NO_DATA);
    assert_eq!(bogus(ask(Rtype::A)), wrong("www.example", Rtype::A));
    // The proof decides what there is, whatever the response code says.
    assert_eq!(proved(outcome("www.example", Rtype::MX, Rcode::NXDOMAIN, &[&nsec])), NO_DATA);
    // Unsigned, it is none.
    let bare = RrSet { signatures: Vec::new(), ..nsec };
    let missing = Bogus::ProofMissing { name: name("www.example"), rtype: Rtype::MX };
    assert_eq!(bogus(outcome("www.example", Rtype::MX, Rcode::NOERROR, &[&bare])), missing);
    assert_eq!(bogus(outcome("www.example", Rtype::MX, Rcode::NOERROR, &[])), missing);
}

#[test]
fn rfc_6840_4_3_an_alias_is_not_nothing() {
    let zone = Zone::new("example");
    let nsec = zone.nsec("www.example", "x.example", &[Rtype::CNAME, Rtype::RRSIG, Rtype::NSEC]);
    for rtype in [Rtype::A, Rtype::DS, Rtype::CNAME] {
        let claim = outcome("www.example", rtype, Rcode::NOERROR, &[&nsec]);
        assert_eq!(bogus(claim), wrong("www.example", rtype));
    }
    // The same of a wildcard that is one.
    let wildcard = zone.nsec("*.example", "x.example", &[Rtype::CNAME, Rtype::RRSIG, Rtype::NSEC]);
    assert!(matches!(bogus(outcome("a.example", Rtype::A, Rcode::NOERROR, &[&wildcard])), Bogus::ProofWrong { .. }));
}

#[test]
fn rfc_4035_5_4_a_span_and_a_wildcard_that_is_not_there() {
    let zone = Zone::new("example");
    let whole = zone.nsec("example", "m.example", APEX);
    let span = zone.nsec("m.example", "x.example", NAME);
    let claim = |about: &str, proofs: &[&RrSet]| outcome(about, Rtype::A, Rcode::NXDOMAIN, proofs);
    assert_eq!(proved(claim("n.example", &[&whole, &span])), NX_DOMAIN);
    assert_eq!(proved(claim("a.b.n.example", &[&span, &whole])), NX_DOMAIN);
    assert_eq!(proved(outcome("n.example", Rtype::A, Rcode::NOERROR, &[&whole, &span])), NX_DOMAIN);
    // Without the span of the wildcard, or of the name.
    assert_eq!(bogus(claim("n.example", &[&span])), wrong("n.example", Rtype::A));
    assert_eq!(bogus(claim("n.example", &[&whole])), wrong("n.example", Rtype::A));
    // Neither end of a span lies in it.
    assert_eq!(bogus(claim("x.example", &[&whole, &span])), wrong("x.example", Rtype::A));
    // The last span of a zone ends at its apex; any other must not end before it begins.
    let last = zone.nsec("m.example", "example", NAME);
    let back = zone.nsec("m.example", "b.example", NAME);
    assert_eq!(proved(claim("z.example", &[&whole, &last])), NX_DOMAIN);
    assert_eq!(bogus(claim("z.example", &[&whole, &back])), wrong("z.example", Rtype::A));
    // One record for a whole zone.
    let alone = zone.nsec("example", "example", APEX);
    assert_eq!(proved(claim("z.example", &[&alone])), NX_DOMAIN);
    // A span that leads out of the zone.
    let astray = zone.nsec("m.example", "z", NAME);
    assert!(matches!(bogus(claim("n.example", &[&astray])), Bogus::ProofMissing { .. }));
}

#[test]
fn the_wildcard_to_deny_is_below_the_closest_name_that_exists() {
    let zone = Zone::new("example");
    // `c.n.example` shows that `n.example` is there, so that `*.example` does not matter.
    let span = zone.nsec("c.n.example", "x.example", NAME);
    let above = zone.nsec("example", "b.example", APEX);
    let closer = zone.nsec("m.example", "a.n.example", NAME);
    let claim = |proofs: &[&RrSet]| outcome("d.n.example", Rtype::A, Rcode::NXDOMAIN, proofs);
    assert_eq!(bogus(claim(&[&span, &above])), wrong("d.n.example", Rtype::A));
    assert_eq!(proved(claim(&[&span, &closer])), NX_DOMAIN);
}

#[test]
fn rfc_4035_5_4_a_wildcard_without_such_records() {
    let zone = Zone::new("example");
    let span = zone.nsec("m.example", "x.example", NAME);
    let claim = |types: &[Rtype], rtype| {
        let wildcard = zone.nsec("*.example", "b.example", types);
        outcome("n.example", rtype, Rcode::NOERROR, &[&span, &wildcard])
    };
    assert_eq!(proved(claim(NAME, Rtype::MX)), NO_DATA);
    assert_eq!(bogus(claim(NAME, Rtype::A)), wrong("n.example", Rtype::A));
    // RFC 4592 §4.2: delegations are not made from wildcards.
    assert_eq!(bogus(claim(UNSIGNED, Rtype::MX)), wrong("n.example", Rtype::MX));
    assert_eq!(bogus(claim(UNSIGNED, Rtype::DS)), wrong("n.example", Rtype::DS));
    // A record that a wildcard has made says nothing about the name that it was made for.
    let bare = RrSet { signatures: Vec::new(), ..zone.nsec("n.example", "x.example", NAME) };
    let made = zone.sign_as(bare, |signature| signature.labels = 1);
    let found = bogus(outcome("n.example", Rtype::MX, Rcode::NOERROR, &[&made]));
    assert_eq!(found, Bogus::ProofMissing { name: name("n.example"), rtype: Rtype::MX });
}

#[test]
fn rfc_4592_2_2_2_names_that_others_make_exist() {
    let zone = Zone::new("example");
    let whole = zone.nsec("example", "a.ent.example", APEX);
    for rcode in [Rcode::NOERROR, Rcode::NXDOMAIN] {
        assert_eq!(proved(outcome("ent.example", Rtype::A, rcode, &[&whole])), NO_DATA);
    }
    // Of its wildcard nothing is known, but of that of the zone.
    assert_eq!(proved(outcome("b.example", Rtype::A, Rcode::NXDOMAIN, &[&whole])), NX_DOMAIN);
    let after = zone.nsec("a.ent.example", "example", NAME);
    assert_eq!(bogus(outcome("b.ent.example", Rtype::A, Rcode::NXDOMAIN, &[&after])), wrong("b.ent.example", Rtype::A));
    assert_eq!(proved(outcome("b.ent.example", Rtype::A, Rcode::NXDOMAIN, &[&after, &whole])), NX_DOMAIN);
}

#[test]
fn rfc_6840_4_1_a_delegation_says_nothing_about_names_below() {
    let zone = Zone::new("example");
    let whole = zone.nsec("example", "sub.example", APEX);
    for types in [UNSIGNED, SIGNED, &[Rtype::DNAME, Rtype::RRSIG, Rtype::NSEC]] {
        let cut = zone.nsec("sub.example", "x.example", types);
        for about in ["a.sub.example", "a.b.sub.example"] {
            for rtype in [Rtype::A, Rtype::DS] {
                let claim = outcome(about, rtype, Rcode::NXDOMAIN, &[&cut, &whole]);
                assert_eq!(bogus(claim), wrong(about, rtype), "{types:?}");
            }
        }
        // About names beside it it speaks.
        assert_eq!(proved(outcome("t.example", Rtype::A, Rcode::NXDOMAIN, &[&cut, &whole])), NX_DOMAIN);
        // Nor may a wildcard be put in place of what is below.
        let made = zone.sign_as(set("a.sub.example", Rtype::A, &[192, 0, 2, 1]), |signature| signature.labels = 1);
        let found = read(&[&zone], "a.sub.example", Rtype::A, &response(Rcode::NOERROR, &[&made], &[&cut]));
        assert!(matches!(bogus(found), Bogus::WildcardProofMissing { .. }));
    }
}

#[test]
fn rfc_6840_4_1_of_a_delegation_the_parent_knows_the_ds_records_alone() {
    let zone = Zone::new("example");
    for types in [UNSIGNED, SIGNED] {
        let cut = zone.nsec("sub.example", "x.example", types);
        for rtype in [Rtype::A, Rtype::SOA, Rtype::DNSKEY, Rtype::MX] {
            let claim = outcome("sub.example", rtype, Rcode::NOERROR, &[&cut]);
            assert_eq!(bogus(claim), wrong("sub.example", rtype));
        }
        let claim = outcome("sub.example", Rtype::DS, Rcode::NOERROR, &[&cut]);
        if types == UNSIGNED {
            assert_eq!(proved(claim), NO_DATA);
        } else {
            assert_eq!(bogus(claim), wrong("sub.example", Rtype::DS));
        }
    }
    // At an apex, which has a SOA record too, the zone knows everything.
    let apex = zone.nsec("example", "x.example", APEX);
    assert_eq!(proved(outcome("example", Rtype::MX, Rcode::NOERROR, &[&apex])), NO_DATA);
}

#[test]
fn rfc_4035_5_4_of_its_own_ds_records_a_zone_knows_nothing() {
    let (zone, sub) = (Zone::new("example"), Zone::new("sub.example"));
    let apex = sub.nsec("sub.example", "x.sub.example", APEX);
    let claim =
        |proofs: &[&RrSet]| read(&[&zone, &sub], "sub.example", Rtype::DS, &response(Rcode::NOERROR, &[], proofs));
    let missing = Bogus::ProofMissing { name: name("sub.example"), rtype: Rtype::DS };
    assert_eq!(bogus(claim(&[&apex])), missing);
    // Not even when the parent has signed a record of this kind.
    let odd = zone.nsec("sub.example", "x.example", APEX);
    assert_eq!(bogus(claim(&[&odd])), wrong("sub.example", Rtype::DS));
    // The root has nobody above it.
    let root = Zone::new(".");
    let nsec = root.nsec(".", "example", APEX);
    let found = read(&[&root], ".", Rtype::DS, &response(Rcode::NOERROR, &[], &[&nsec]));
    assert_eq!(proved(found), NO_DATA);
}

#[test]
fn an_alias_in_place_of_ds_records_is_the_parents() {
    // The zone is unsigned; that it is, its parent proves, and an alias without a signature proves nothing.
    let world = SignedWorld::builder()
        .zone(ZonePlan::signed("test").records("alias CNAME elsewhere"))
        .zone(ZonePlan::unsigned("plain.test").records("alias CNAME elsewhere"))
        .build();
    let crypto = Remembering::default();
    let ask = |about: &str, tamper: bool| {
        let asked = Question { name: name(about), rtype: Rtype::DS };
        let walker = Walker::new(&world, &crypto, |question| match tamper && *question == asked {
            true => response(Rcode::NOERROR, &[&alias(about, Rtype::CNAME, "elsewhere")], &[]),
            false => world.respond(question, true),
        });
        walker.resolve(&asked)
    };
    assert!(ask("plain.test", false).is_secure());
    let found = ask("plain.test", true).failure;
    assert!(matches!(found, Some(Failure::Bogus(Bogus::Signature { rtype: Rtype::CNAME, .. }))), "{found:?}");
    // Names in the one and in the other may be aliases.
    assert!(ask("alias.test", false).is_secure());
    let found = ask("alias.plain.test", false);
    assert!(found.failure.is_none() && !found.is_secure());
}

#[test]
fn rfc_2308_5_absence_is_kept_no_longer_than_soa_and_proof_say() {
    let zone = Zone::new("example");
    let soa = |ttl, minimum: u32| {
        let numbers = [1, 1, 1, 1, minimum].map(u32::to_be_bytes);
        let data = [name("ns.example").as_wire(), name("root.example").as_wire(), numbers.as_flattened()].concat();
        RrSet { ttl, ..set("example", Rtype::SOA, &data) }
    };
    let nsec = zone.nsec("www.example", "x.example", NAME);
    let ttl = |soa: &RrSet| outcome("www.example", Rtype::MX, Rcode::NOERROR, &[&nsec, soa]).unwrap().ttl;
    assert_eq!(ttl(&soa(100, 50)), 50);
    assert_eq!(ttl(&soa(40, 50)), 40);
    // It is not signed, and cannot make it longer.
    assert_eq!(ttl(&soa(u32::MAX, u32::MAX)), TTL);
    assert_eq!(ttl(&RrSet { owner: name("other"), ..soa(1, 1) }), TTL);
    let ending = zone.sign_as(RrSet { signatures: Vec::new(), ..nsec.clone() }, |signature| {
        signature.expiration = NOW as u32;
    });
    let step = outcome("www.example", Rtype::MX, Rcode::NOERROR, &[&ending]).unwrap();
    assert_eq!(step.ttl, mailstead_dnssec::CLOCK_GRACE);
}

#[test]
fn more_spoiled_proofs_than_are_looked_at_hide_the_good_one() {
    // Limits are for the hostile: an honest answer has up to four records, and one that is spoiled does no harm.
    let zone = Zone::new("example");
    let good = zone.nsec("www.example", "x.example", NAME);
    let spoiled = |place: usize| {
        let mut nsec = zone.nsec(&format!("{place}.example"), "x.example", NAME);
        nsec.signatures[0].signature[0] ^= 1;
        nsec
    };
    let claim = |count: usize| {
        let others: Vec<_> = (0..count).map(spoiled).collect();
        let proofs: Vec<&RrSet> = others.iter().chain([&good]).collect();
        outcome("www.example", Rtype::MX, Rcode::NOERROR, &proofs)
    };
    assert_eq!(proved(claim(1)), NO_DATA);
    assert_eq!(proved(claim(7)), NO_DATA);
    assert!(matches!(bogus(claim(8)), Bogus::Signature { .. }));
}
