//! Proofs by NSEC3 records, and what only looks like one: RFC 5155 §8 and §9.2, RFC 9276 §3.2.

use mailstead_dns::{Existence, Name, Rcode, RrSet, Rtype};
use mailstead_dnssec::{Bogus, Content, Insecure, MOST_ITERATIONS, Step, Stop};

use crate::handmade::{Hashing, Zone, address, bogus, insecurity, name, proved, read, response};

const PLAIN: Hashing<'static> = Hashing::PLAIN;
const OPT_OUT: Hashing<'static> = Hashing::OPT_OUT;

const NAME: &[Rtype] = &[Rtype::A, Rtype::RRSIG];
const APEX: &[Rtype] = &[Rtype::NS, Rtype::SOA, Rtype::RRSIG, Rtype::DNSKEY];
const UNSIGNED: &[Rtype] = &[Rtype::NS];
const SIGNED: &[Rtype] = &[Rtype::NS, Rtype::DS, Rtype::RRSIG];

const NO_DATA: Option<Content> = Some(Content::Absent(Existence::NoData));
const NX_DOMAIN: Option<Content> = Some(Content::Absent(Existence::NxDomain));

fn outcome(about: &str, rtype: Rtype, rcode: Rcode, proofs: &[&RrSet]) -> Result<Step, Stop> {
    read(&[&Zone::new("example")], about, rtype, &response(rcode, &[], proofs))
}

fn wrong(about: &str, rtype: Rtype) -> Bogus {
    Bogus::ProofWrong { name: name(about), rtype }
}

fn missing(about: &str) -> Bogus {
    Bogus::ProofMissing { name: name(about), rtype: Rtype::A }
}

/// The three records that deny `n.example`: the apex, the name, the wildcard (§8.4).
fn denial(zone: &Zone, hashing: Hashing<'_>) -> [RrSet; 3] {
    [zone.matching(hashing, "example", APEX), zone.covering(hashing, "n.example"), zone.covering(hashing, "*.example")]
}

#[test]
fn rfc_5155_8_4_encloser_name_and_wildcard() {
    let zone = Zone::new("example");
    let [apex, span, wildcard] = denial(&zone, PLAIN);
    let claim = |about: &str, proofs: &[&RrSet]| outcome(about, Rtype::A, Rcode::NXDOMAIN, proofs);
    assert_eq!(proved(claim("n.example", &[&apex, &span, &wildcard])), NX_DOMAIN);
    assert_eq!(proved(claim("a.b.n.example", &[&wildcard, &span, &apex])), NX_DOMAIN);
    // The proof decides what there is, whatever the response code says.
    assert_eq!(proved(outcome("n.example", Rtype::A, Rcode::NOERROR, &[&apex, &span, &wildcard])), NX_DOMAIN);
    // None of the three can be missing.
    for proofs in [[&apex, &span], [&apex, &wildcard], [&span, &wildcard]] {
        assert_eq!(bogus(claim("n.example", &proofs)), wrong("n.example", Rtype::A));
    }
    assert_eq!(bogus(claim("o.example", &[&apex, &span, &wildcard])), wrong("o.example", Rtype::A));
    // A zone with no name but its apex, whose only record covers all others.
    let hash = PLAIN.hash("example");
    let alone = zone.nsec3(PLAIN, hash, hash, APEX);
    assert_eq!(proved(claim("z.example", &[&alone])), NX_DOMAIN);
    // The last record of a chain covers what is after it and what is before the first one.
    let around = zone.nsec3(PLAIN, [0xf0; 20], [0x01; 20], NAME);
    let outside = |about: &str| !([0x01; 20]..=[0xf0; 20]).contains(&PLAIN.hash(about));
    for host in 0..400 {
        let about = format!("{host}.example");
        let expected = if outside(&about) { NX_DOMAIN } else { None };
        let found = claim(&about, &[&apex, &around, &wildcard]);
        assert_eq!(found.ok().and_then(|step| proved(Ok(step))), expected, "{about}");
    }
}

#[test]
fn rfc_5155_8_3_the_closest_encloser_is_the_closest() {
    let zone = Zone::new("example");
    let [apex, _, wildcard] = denial(&zone, PLAIN);
    let claim = |about: &str, proofs: &[&RrSet]| outcome(about, Rtype::A, Rcode::NXDOMAIN, proofs);
    // `b.example` is there. That `a.b.example` is not is shown together with its own wildcard, not with the zone's.
    let closer = zone.matching(PLAIN, "b.example", NAME);
    let span = zone.covering(PLAIN, "a.b.example");
    let own = zone.covering(PLAIN, "*.b.example");
    assert_eq!(proved(claim("a.b.example", &[&closer, &span, &own])), NX_DOMAIN);
    assert_eq!(bogus(claim("a.b.example", &[&closer, &span, &wildcard])), wrong("a.b.example", Rtype::A));
    // Without the record of the closer name there is a gap between encloser and name.
    assert_eq!(bogus(claim("a.b.example", &[&apex, &span, &wildcard])), wrong("a.b.example", Rtype::A));
    // With it, but with the span of a name further down.
    let deeper = zone.covering(PLAIN, "z.a.b.example");
    assert_eq!(bogus(claim("z.a.b.example", &[&closer, &deeper, &own])), wrong("z.a.b.example", Rtype::A));
    // A zone above has nothing to say about names below its own apex' hash: records must be of the very zone.
    let (root, zone) = (Zone::new("."), Zone::new("example"));
    let foreign = root.sign(RrSet { signatures: Vec::new(), ..apex.clone() });
    let found = read(&[&root, &zone], "a.example", Rtype::A, &response(Rcode::NXDOMAIN, &[], &[&foreign]));
    assert!(matches!(bogus(found), Bogus::ProofMissing { .. }));
}

#[test]
fn rfc_5155_8_3_an_encloser_must_not_be_a_delegation_or_a_dname() {
    let zone = Zone::new("example");
    for types in [UNSIGNED, SIGNED, &[Rtype::DNAME, Rtype::RRSIG], &[Rtype::A, Rtype::DNAME, Rtype::RRSIG]] {
        let cut = zone.matching(PLAIN, "sub.example", types);
        let span = zone.covering(PLAIN, "a.sub.example");
        let wildcard = zone.covering(PLAIN, "*.sub.example");
        for rtype in [Rtype::A, Rtype::DS] {
            let claim = outcome("a.sub.example", rtype, Rcode::NXDOMAIN, &[&cut, &span, &wildcard]);
            assert_eq!(bogus(claim), wrong("a.sub.example", rtype), "{types:?}");
        }
    }
    // An apex is one, although it has NS records.
    let [apex, span, wildcard] = denial(&zone, PLAIN);
    assert_eq!(proved(outcome("n.example", Rtype::DS, Rcode::NXDOMAIN, &[&apex, &span, &wildcard])), NX_DOMAIN);
}

#[test]
fn rfc_5155_8_5_a_record_of_the_name_says_what_there_is() {
    let zone = Zone::new("example");
    let claim = |types: &[Rtype], rtype| {
        outcome("www.example", rtype, Rcode::NOERROR, &[&zone.matching(PLAIN, "www.example", types)])
    };
    assert_eq!(proved(claim(NAME, Rtype::MX)), NO_DATA);
    assert_eq!(proved(claim(NAME, Rtype::DS)), NO_DATA);
    assert_eq!(bogus(claim(NAME, Rtype::A)), wrong("www.example", Rtype::A));
    // A name that only others make exist has a record without types.
    assert_eq!(proved(claim(&[], Rtype::A)), NO_DATA);
    // RFC 6840 §4.3.
    let alias = [Rtype::CNAME, Rtype::RRSIG];
    for rtype in [Rtype::A, Rtype::DS, Rtype::CNAME] {
        assert_eq!(bogus(claim(&alias, rtype)), wrong("www.example", rtype));
    }
    // RFC 6840 §4.1.
    for types in [UNSIGNED, SIGNED] {
        assert_eq!(bogus(claim(types, Rtype::A)), wrong("www.example", Rtype::A));
    }
    assert_eq!(proved(claim(UNSIGNED, Rtype::DS)), NO_DATA);
    assert_eq!(bogus(claim(SIGNED, Rtype::DS)), wrong("www.example", Rtype::DS));
    // An apex is not spoken about by its own zone where DS records are meant.
    assert_eq!(bogus(claim(APEX, Rtype::DS)), wrong("www.example", Rtype::DS));
}

#[test]
fn rfc_5155_8_6_and_9_2_opt_out_leaves_it_open() {
    let zone = Zone::new("example");
    let [apex, span, wildcard] = denial(&zone, OPT_OUT);
    let open = |about: &str| Insecure::OptOut { name: name(about) };
    let claim = |about: &str, rtype, proofs: &[&RrSet]| outcome(about, rtype, Rcode::NXDOMAIN, proofs);
    assert_eq!(insecurity(claim("n.example", Rtype::DS, &[&apex, &span])), open("n.example"));
    assert_eq!(insecurity(claim("n.example", Rtype::A, &[&apex, &span, &wildcard])), open("n.example"));
    assert_eq!(insecurity(claim("a.n.example", Rtype::A, &[&apex, &span, &wildcard])), open("a.n.example"));
    // What is proved without such a span is proved.
    let record = zone.matching(OPT_OUT, "www.example", NAME);
    assert_eq!(proved(claim("www.example", Rtype::MX, &[&record])), NO_DATA);
    // It is the flag of the record that covers the name that counts.
    let [plain_apex, plain_span, plain_wildcard] = denial(&zone, PLAIN);
    let mixed = [&apex, &plain_span, &wildcard];
    assert_eq!(proved(claim("n.example", Rtype::A, &mixed)), NX_DOMAIN);
    let mixed = [&plain_apex, &span, &plain_wildcard];
    assert_eq!(insecurity(claim("n.example", Rtype::A, &mixed)), open("n.example"));
    // Opt-out does not replace the proof.
    assert_eq!(bogus(claim("n.example", Rtype::DS, &[&span])), wrong("n.example", Rtype::DS));
    assert_eq!(bogus(claim("n.example", Rtype::DS, &[&apex])), wrong("n.example", Rtype::DS));
    assert_eq!(bogus(claim("o.example", Rtype::DS, &[&apex, &span])), wrong("o.example", Rtype::DS));
}

#[test]
fn what_is_open_above_is_not_open_in_a_zone_with_an_anchor() {
    // An island below a delegation that is left out of the chain: whoever has its anchor is owed a proof by it.
    let (zone, island) = (Zone::new("example"), Zone::new("n.example"));
    let zones = [&zone, &island];
    let [apex, span, wildcard] = denial(&zone, OPT_OUT);
    for about in ["n.example", "a.n.example"] {
        let claim = response(Rcode::NXDOMAIN, &[], &[&apex, &span, &wildcard]);
        assert_eq!(bogus(read(&zones, about, Rtype::A, &claim)), wrong(about, Rtype::A));
        let made = zone.sign_as(address(about), |signature| signature.labels = 1);
        let claim = response(Rcode::NOERROR, &[&made], &[&span]);
        let missing = Bogus::WildcardProofMissing { name: name(about), rtype: Rtype::A };
        assert_eq!(bogus(read(&zones, about, Rtype::A, &claim)), missing);
    }
    // Whether it has DS records is its parent's to say.
    let claim = response(Rcode::NOERROR, &[], &[&apex, &span]);
    let open = Insecure::OptOut { name: name("n.example") };
    assert_eq!(insecurity(read(&zones, "n.example", Rtype::DS, &claim)), open);
}

#[test]
fn rfc_5155_8_7_a_wildcard_without_such_records() {
    let zone = Zone::new("example");
    let [apex, span, _] = denial(&zone, PLAIN);
    let claim = |types: &[Rtype], rtype| {
        let wildcard = zone.matching(PLAIN, "*.example", types);
        outcome("n.example", rtype, Rcode::NOERROR, &[&apex, &span, &wildcard])
    };
    assert_eq!(proved(claim(NAME, Rtype::MX)), NO_DATA);
    assert_eq!(bogus(claim(NAME, Rtype::A)), wrong("n.example", Rtype::A));
    assert_eq!(bogus(claim(&[Rtype::CNAME, Rtype::RRSIG], Rtype::A)), wrong("n.example", Rtype::A));
    assert_eq!(bogus(claim(UNSIGNED, Rtype::DS)), wrong("n.example", Rtype::DS));
}

#[test]
fn rfc_5155_8_8_a_wildcard_stands_for_names_that_do_not_exist() {
    let zone = Zone::new("example");
    let outcome = |about: &str, labels: u8, proofs: &[&RrSet]| {
        let made = zone.sign_as(address(about), |signature| signature.labels = labels);
        read(&[&zone], about, Rtype::A, &response(Rcode::NOERROR, &[&made], proofs))
    };
    let missing = |about: &str| Bogus::WildcardProofMissing { name: name(about), rtype: Rtype::A };
    let span = zone.covering(PLAIN, "n.example");
    assert!(proved(outcome("n.example", 1, &[&span])).is_some());
    assert!(proved(outcome("a.b.n.example", 1, &[&span])).is_some());
    assert_eq!(bogus(outcome("o.example", 1, &[&span])), missing("o.example"));
    assert_eq!(bogus(outcome("n.example", 1, &[])), missing("n.example"));
    // A closer name is there: that something below it is not does not help.
    let below = zone.covering(PLAIN, "a.n.example");
    assert_eq!(bogus(outcome("a.n.example", 1, &[&below])), missing("a.n.example"));
    assert!(proved(outcome("a.n.example", 2, &[&below])).is_some());
    let exists = zone.matching(PLAIN, "n.example", NAME);
    assert_eq!(bogus(outcome("n.example", 1, &[&exists])), missing("n.example"));
    // §9.2: something unsigned may be there.
    let open = zone.covering(OPT_OUT, "n.example");
    let found = insecurity(outcome("n.example", 1, &[&open]));
    assert_eq!(found, Insecure::OptOut { name: name("n.example") });
}

#[test]
fn rfc_5155_8_1_and_8_2_hashes_and_flags_that_nobody_knows() {
    let zone = Zone::new("example");
    let strange = [
        Hashing { algorithm: 0, ..PLAIN },
        Hashing { algorithm: 2, ..PLAIN },
        Hashing { flags: 2, ..PLAIN },
        Hashing { flags: 0x81, ..PLAIN },
    ];
    for hashing in strange {
        let proofs = denial(&zone, hashing);
        let claim = outcome("n.example", Rtype::A, Rcode::NXDOMAIN, &proofs.each_ref());
        assert_eq!(bogus(claim), missing("n.example"), "{hashing:?}");
    }
    // Beside records that can be used they do not matter.
    let known = denial(&zone, PLAIN);
    let unknown = denial(&zone, Hashing { algorithm: 2, ..PLAIN });
    let both: Vec<&RrSet> = unknown.iter().chain(&known).collect();
    assert_eq!(proved(outcome("n.example", Rtype::A, Rcode::NXDOMAIN, &both)), NX_DOMAIN);
}

#[test]
fn rfc_5155_8_2_records_of_one_proof_are_hashed_alike() {
    let zone = Zone::new("example");
    let salted = Hashing { iterations: 1, salt: b"salt", ..PLAIN };
    let [apex, span, wildcard] = denial(&zone, PLAIN);
    let [salted_apex, salted_span, salted_wildcard] = denial(&zone, salted);
    let claim = |proofs: &[&RrSet]| outcome("n.example", Rtype::A, Rcode::NXDOMAIN, proofs);
    assert_eq!(proved(claim(&[&salted_apex, &salted_span, &salted_wildcard])), NX_DOMAIN);
    for mixed in [
        [&apex, &span, &salted_wildcard],
        [&apex, &salted_span, &wildcard],
        [&salted_apex, &span, &wildcard],
        [&apex, &salted_span, &salted_wildcard],
    ] {
        assert_eq!(bogus(claim(&mixed)), wrong("n.example", Rtype::A));
    }
    // A span of hashes of one kind says nothing about those of another, however wide it is.
    let wide = zone.nsec3(salted, [0; 20], [0xff; 20], NAME);
    for mixed in [[&apex, &wide, &wildcard], [&apex, &span, &wide]] {
        assert_eq!(bogus(claim(&mixed)), wrong("n.example", Rtype::A));
    }
    assert_eq!(proved(claim(&[&salted_apex, &wide])), NX_DOMAIN);
    // While a zone changes its salt, a response is of one or the other; the first that comes counts.
    assert_eq!(proved(claim(&[&apex, &salted_apex, &span, &salted_span, &wildcard, &salted_wildcard])), NX_DOMAIN);
}

#[test]
fn rfc_9276_3_2_zones_that_hash_too_often_are_insecure() {
    let zone = Zone::new("example");
    let most = Hashing { iterations: MOST_ITERATIONS, ..PLAIN };
    let claim = |hashing| outcome("n.example", Rtype::A, Rcode::NXDOMAIN, &denial(&zone, hashing).each_ref());
    assert_eq!(proved(claim(most)), NX_DOMAIN);
    for iterations in [MOST_ITERATIONS + 1, 2_500, u16::MAX] {
        // The records themselves must be genuine nevertheless.
        let mut proofs = denial(&zone, Hashing { iterations: 0, ..PLAIN });
        for proof in &mut proofs {
            let data = [&proof.data[0][..2], &iterations.to_be_bytes(), &proof.data[0][4..]].concat();
            proof.data = vec![data.into()];
        }
        let forged = outcome("n.example", Rtype::A, Rcode::NXDOMAIN, &proofs.each_ref());
        assert!(matches!(bogus(forged), Bogus::Signature { .. }), "{iterations}");
        let signed = proofs.map(|proof| zone.sign(RrSet { signatures: Vec::new(), ..proof }));
        let found = insecurity(outcome("n.example", Rtype::A, Rcode::NXDOMAIN, &signed.each_ref()));
        assert_eq!(found, Insecure::Nsec3Iterations { zone: name("example"), iterations });
    }
}

#[test]
fn rfc_5155_3_owners_are_hashes_in_front_of_the_apex() {
    let zone = Zone::new("example");
    let [apex, span, wildcard] = denial(&zone, PLAIN);
    let elsewhere = |set: &RrSet, owner: Name| zone.sign(RrSet { owner, signatures: Vec::new(), ..set.clone() });
    let claim = |moved: &RrSet| outcome("n.example", Rtype::A, Rcode::NXDOMAIN, &[&apex, moved, &wildcard]);
    assert_eq!(proved(claim(&elsewhere(&span, span.owner.clone()))), NX_DOMAIN);
    let label = span.owner.labels().next().unwrap();
    let owners = [
        name("sub.example").prepend(label).unwrap(),
        name("example").prepend(&label[1..]).unwrap(),
        name("example").prepend(&[b"w", &label[1..]].concat()).unwrap(),
        name("example"),
    ];
    for owner in owners {
        assert_eq!(bogus(claim(&elsewhere(&span, owner))), wrong("n.example", Rtype::A));
    }
    // A record that a wildcard has made. The asterisk is no hash, but what it stands for may be.
    let bare = RrSet { signatures: Vec::new(), ..span.clone() };
    let made = zone.sign_as(bare, |signature| signature.labels = 1);
    assert_eq!(bogus(claim(&made)), wrong("n.example", Rtype::A));
}
