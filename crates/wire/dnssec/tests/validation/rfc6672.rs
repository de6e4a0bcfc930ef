//! Aliases: DNAME records and the CNAME records that they make (RFC 6672 §5.3), and CNAME records of their own.

use mailstead_dns::{Existence, HopKind, Rcode, RrSet, Rtype};
use mailstead_dnssec::{Bogus, Content, Insecure, Proof, SignatureFault, Step, Stop};

use crate::handmade::{Hashing, Zone, address, alias, bogus, insecurity, name, proved, read, read_on, response, set};

fn outcome(about: &str, rtype: Rtype, answer: &[&RrSet], authority: &[&RrSet]) -> Result<Step, Stop> {
    read(&[&Zone::new("example")], about, rtype, &response(Rcode::NOERROR, answer, authority))
}

fn to(target: &str, kind: HopKind) -> Option<Content> {
    Some(Content::Alias { to: name(target), kind })
}

fn wrong_alias(about: &str) -> Bogus {
    Bogus::WrongAlias { name: name(about) }
}

#[test]
fn rfc_6672_5_3_1_the_dname_proves_the_alias_that_it_makes() {
    let zone = Zone::new("example");
    let dname = zone.sign(alias("old.example", Rtype::DNAME, "new.example"));
    let made = alias("www.old.example", Rtype::CNAME, "www.new.example");
    let expected = to("www.new.example", HopKind::Dname);
    assert_eq!(proved(outcome("www.old.example", Rtype::A, &[&dname, &made], &[])), expected);
    // The alias need not be there, and where it stands does not matter.
    assert_eq!(proved(outcome("www.old.example", Rtype::A, &[&dname], &[])), expected);
    assert_eq!(proved(outcome("www.old.example", Rtype::A, &[&made, &dname], &[])), expected);
    assert_eq!(proved(outcome("www.old.example", Rtype::DS, &[&dname, &made], &[])), expected);
    // Alone, it is not proved.
    let found = bogus(outcome("www.old.example", Rtype::A, &[&made], &[]));
    assert!(matches!(found, Bogus::Signature { fault: SignatureFault::Missing, .. }));
    // Nor may the DNAME be a forgery.
    let forged = alias("old.example", Rtype::DNAME, "new.example");
    let found = bogus(outcome("www.old.example", Rtype::A, &[&forged, &made], &[]));
    assert!(matches!(found, Bogus::Signature { rtype: Rtype::DNAME, .. }));
}

#[test]
fn rfc_6672_5_3_1_an_alias_to_elsewhere_is_none_of_the_dnames() {
    let zone = Zone::new("example");
    let dname = zone.sign(alias("old.example", Rtype::DNAME, "new.example"));
    for target in ["www.old.example", "other.new.example", "new.example", "evil"] {
        let made = alias("www.old.example", Rtype::CNAME, target);
        let found = outcome("www.old.example", Rtype::A, &[&dname, &made], &[]);
        assert_eq!(bogus(found), wrong_alias("www.old.example"));
        let found = outcome("www.old.example", Rtype::CNAME, &[&dname, &made], &[]);
        assert_eq!(bogus(found), wrong_alias("www.old.example"));
    }
    // Neither set may have two records (RFC 6672 §2.4, RFC 1034 §3.6.2).
    let two = RrSet { data: vec![[0].into(), name("a").as_wire().into()], ..alias("old.example", Rtype::DNAME, "a") };
    assert_eq!(bogus(outcome("www.old.example", Rtype::A, &[&zone.sign(two)], &[])), wrong_alias("www.old.example"));
    let two = RrSet { data: vec![[0].into(), name("a").as_wire().into()], ..alias("www.example", Rtype::CNAME, "a") };
    assert_eq!(bogus(outcome("www.example", Rtype::A, &[&zone.sign(two)], &[])), wrong_alias("www.example"));
}

#[test]
fn rfc_6672_3_1_names_below_a_dname_are_not_the_dname() {
    let zone = Zone::new("example");
    let dname = zone.sign(alias("old.example", Rtype::DNAME, "new.example"));
    let found = bogus(outcome("old.example", Rtype::A, &[&dname], &[]));
    assert!(matches!(found, Bogus::ProofMissing { .. }));
    let found = bogus(outcome("gold.example", Rtype::A, &[&dname], &[]));
    assert!(matches!(found, Bogus::ProofMissing { .. }));
    assert!(matches!(proved(outcome("old.example", Rtype::DNAME, &[&dname], &[])), Some(Content::Records(_))));
    // RFC 6672 §2.3: it may stand at an apex.
    let dname = zone.sign(alias("example", Rtype::DNAME, "new"));
    assert_eq!(proved(outcome("a.b.example", Rtype::MX, &[&dname], &[])), to("a.b.new", HopKind::Dname));
    // RFC 6672 §2.2: too long a name is none.
    let long = format!("{}.old.example", ["a"; 100].join("."));
    let dname = zone.sign(alias("old.example", Rtype::DNAME, &["b".repeat(63).as_str(); 3].join(".")));
    assert_eq!(bogus(outcome(&long, Rtype::A, &[&dname], &[])), wrong_alias(&long));
}

#[test]
fn who_asks_for_the_alias_below_a_dname_gets_the_one_that_it_makes() {
    let zone = Zone::new("example");
    let dname = zone.sign(alias("old.example", Rtype::DNAME, "new.example"));
    let made = alias("www.old.example", Rtype::CNAME, "www.new.example");
    for answer in [&[&dname, &made][..], &[&dname]] {
        let step = outcome("www.old.example", Rtype::CNAME, answer, &[]).unwrap();
        let Proof::Secure { signed: Some(_), .. } = &step.proof else { panic!("{step:?}") };
        let Content::Records(set) = step.content else { panic!() };
        assert_eq!((set.owner, set.data, set.signatures), (made.owner.clone(), made.data.clone(), Vec::new()));
    }
}

#[test]
fn an_alias_with_a_signature_of_its_own_needs_no_dname() {
    let zone = Zone::new("example");
    let own = zone.sign(alias("www.old.example", Rtype::CNAME, "elsewhere"));
    let dname = zone.sign(alias("old.example", Rtype::DNAME, "new.example"));
    let expected = to("elsewhere", HopKind::Cname);
    assert_eq!(proved(outcome("www.old.example", Rtype::A, &[&own], &[])), expected);
    assert_eq!(proved(outcome("www.old.example", Rtype::A, &[&dname, &own], &[])), expected);
    // With a wrong one it is not made by the DNAME either.
    let mut spoiled = own;
    spoiled.signatures[0].signature[0] ^= 1;
    let found = bogus(outcome("www.old.example", Rtype::A, &[&dname, &spoiled], &[]));
    assert!(matches!(found, Bogus::Signature { rtype: Rtype::CNAME, .. }));
}

#[test]
fn a_dname_from_a_wildcard_stands_for_names_that_do_not_exist() {
    let zone = Zone::new("example");
    let types = [Rtype::A, Rtype::RRSIG, Rtype::NSEC];
    let made = zone.sign_as(alias("n.example", Rtype::DNAME, "new"), |signature| signature.labels = 1);
    let span = zone.nsec("m.example", "x.example", &types);
    let expected = to("www.new", HopKind::Dname);
    assert_eq!(proved(outcome("www.n.example", Rtype::A, &[&made], &[&span])), expected);
    let exists = zone.nsec("n.example", "x.example", &types);
    for proofs in [&[][..], &[&exists]] {
        let found = bogus(outcome("www.n.example", Rtype::A, &[&made], proofs));
        assert!(matches!(found, Bogus::WildcardProofMissing { .. }));
    }
}

#[test]
fn each_alias_is_as_good_as_its_own_zone() {
    let zone = Zone::new("example");
    let unsigned = alias("www.plain", Rtype::CNAME, "www.example");
    let step = outcome("www.plain", Rtype::A, &[&unsigned, &zone.sign(address("www.example"))], &[]);
    assert_eq!(insecurity(step), Insecure::NoAnchor);
    let signed = zone.sign(alias("www.example", Rtype::CNAME, "www.plain"));
    let step = outcome("www.example", Rtype::A, &[&signed, &address("www.plain")], &[]);
    assert_eq!(proved(step), to("www.plain", HopKind::Cname));
}

#[test]
fn an_unsigned_dname_does_not_reach_into_a_zone_with_an_anchor() {
    // An island below an unsigned zone: whoever has its anchor is owed a proof by it.
    let island = Zone::new("island.plain");
    let dname = alias("plain", Rtype::DNAME, "evil");
    let found = read(&[&island], "www.island.plain", Rtype::A, &response(Rcode::NOERROR, &[&dname], &[]));
    assert!(matches!(found, Err(Stop::Bogus(_))), "{found:?}");
    let found = read(&[&island], "www.other.plain", Rtype::A, &response(Rcode::NOERROR, &[&dname], &[]));
    assert_eq!(insecurity(found), Insecure::NoAnchor);
}

#[test]
fn what_comes_with_an_alias_need_not_be_about_its_target() {
    let zone = Zone::new("example");
    let read_on = |about: &str, rcode, answer: &[&RrSet], authority: &[&RrSet]| {
        read_on(&[&zone], about, Rtype::A, &response(rcode, answer, authority))
    };
    let made = zone.sign_as(alias("n.example", Rtype::CNAME, "www.plain.example"), |signature| signature.labels = 1);
    // The proof of the alias, or the referral to where it leads: by names, by hashes, by a span that is left open.
    let proof = zone.nsec("m.example", "o.example", &[Rtype::A]);
    let referral = zone.nsec("plain.example", "x.example", &[Rtype::NS]);
    let hashed = zone.matching(Hashing::PLAIN, "plain.example", &[Rtype::NS]);
    let apex = zone.matching(Hashing::OPT_OUT, "example", &[Rtype::SOA, Rtype::NS]);
    let open = zone.covering(Hashing::OPT_OUT, "plain.example");
    for authority in [&[][..], &[&proof], &[&referral], &[&hashed], &[&apex, &open]] {
        assert_eq!(read_on("www.plain.example", Rcode::NOERROR, &[&made], authority), Err(Stop::Unanswered));
    }
    // With the target's own SOA record it is an answer (RFC 2308 §5).
    let numbers = [1_u32, 1, 1, 1, 60].map(u32::to_be_bytes);
    let data = [name("plain.example").as_wire(), name("plain.example").as_wire(), numbers.as_flattened()].concat();
    let soa = set("plain.example", Rtype::SOA, &data);
    let unsigned = Insecure::UnsignedDelegation { zone: name("plain.example") };
    for (rcode, existence) in [(Rcode::NOERROR, Existence::NoData), (Rcode::NXDOMAIN, Existence::NxDomain)] {
        let step = read_on("www.plain.example", rcode, &[&made], &[&referral, &soa]).unwrap();
        assert_eq!((&step.content, step.ttl), (&Content::Absent(existence), 60));
        assert_eq!(insecurity(Ok(step)), unsigned);
    }
    let step = read_on("www.plain.example", Rcode::NOERROR, &[&made, &address("www.plain.example")], &[]);
    assert_eq!(insecurity(step), unsigned);

    // In a signed zone only what is proved counts; the rest is for another question.
    assert_eq!(read_on("www.example", Rcode::NOERROR, &[&made], &[]), Err(Stop::Unanswered));
    assert_eq!(read_on("www.example", Rcode::NXDOMAIN, &[&made], &[&soa]), Err(Stop::Unanswered));
    let www = zone.nsec("www.example", "x.example", &[Rtype::MX]);
    let step = read_on("www.example", Rcode::NOERROR, &[&made], &[&proof, &www]);
    assert_eq!(proved(step), Some(Content::Absent(Existence::NoData)));
    assert!(matches!(bogus(read_on("www.example", Rcode::NOERROR, &[&made], &[&proof])), Bogus::ProofWrong { .. }));
}
