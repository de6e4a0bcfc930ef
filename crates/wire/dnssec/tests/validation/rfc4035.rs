//! Signatures over records and what follows from them: RFC 4035 §5.3, RFC 4034 §3.1.

use mailstead_dns::{Rcode, RrSet, Rrsig, Rtype};
use mailstead_dnssec::{Bogus, CLOCK_GRACE, Content, Proof, SignatureFault, Step, Stop};

use crate::handmade::{
    HOUR, Key, NOW, TTL, Zone, address, bogus, check_keys, key_response, name, proved, read, read_at, response,
};

/// What is wrong with the only signature over the address of `www.example`, if it is that.
fn fault(zones: &[&Zone], set: &RrSet) -> SignatureFault {
    match bogus(read(zones, "www.example", Rtype::A, &response(Rcode::NOERROR, &[set], &[]))) {
        Bogus::Signature { name: owner, rtype: Rtype::A, fault } if owner == name("www.example") => fault,
        other => panic!("{other:?}"),
    }
}

fn signed(change: impl FnOnce(&mut Rrsig)) -> RrSet {
    Zone::new("example").sign_as(address("www.example"), change)
}

/// Whether the address of `www.example` is secure at a time, and how long it may be kept.
fn ttl_at(now: u64, set: &RrSet) -> Result<u32, Stop> {
    let zone = Zone::new("example");
    let step = read_at(now, &[&zone], "www.example", Rtype::A, &response(Rcode::NOERROR, &[set], &[]))?;
    assert!(matches!(step.proof, Proof::Secure { .. }));
    Ok(step.ttl)
}

#[test]
fn rfc_4035_5_3_1_the_signer_is_a_zone_at_or_above_the_owner() {
    let (root, zone, other) = (Zone::new("."), Zone::new("example"), Zone::new("other"));
    let zones = [&root, &zone, &other];
    let by = |zone: &Zone| zone.sign(address("www.example"));
    let outcome = |set: &RrSet| read(&zones, "www.example", Rtype::A, &response(Rcode::NOERROR, &[set], &[]));
    let Ok(Step { proof: Proof::Secure { zone: by_zone, .. }, .. }) = outcome(&by(&zone)) else { panic!() };
    assert_eq!(by_zone, zone.apex);
    assert_eq!(fault(&zones, &by(&other)), SignatureFault::Missing);
    // The name itself is no zone, and neither is one below it.
    for signer in ["www.example", "a.www.example"] {
        let set = zone.sign_as(address("www.example"), |signature| signature.signer = name(signer));
        let found = bogus(outcome(&set));
        let expected = match signer {
            "www.example" => Bogus::NoSuchZone { zone: name(signer) },
            _ => Bogus::Signature { name: name("www.example"), rtype: Rtype::A, fault: SignatureFault::Missing },
        };
        assert_eq!(found, expected);
    }
    // One signature that counts is enough, whatever else is there.
    let mut both = by(&other);
    both.signatures.extend(by(&zone).signatures);
    assert!(proved(outcome(&both)).is_some());
    // A key of the zone that signs in the name of another one.
    let set = zone.sign_as(address("www.example"), |signature| signature.signer = name("other"));
    assert_eq!(fault(&zones, &set), SignatureFault::Missing);
}

#[test]
fn rfc_4035_5_3_1_labels_are_no_more_than_the_owner_has() {
    let zone = Zone::new("example");
    assert_eq!(fault(&[&zone], &signed(|signature| signature.labels = 3)), SignatureFault::Mismatch);
    assert_eq!(fault(&[&zone], &signed(|signature| signature.labels = 255)), SignatureFault::Mismatch);
    // A wildcard above the zone is none of the zone's.
    assert_eq!(fault(&[&zone], &signed(|signature| signature.labels = 0)), SignatureFault::Mismatch);
    // RFC 4034 §3.1.3: the asterisk of a wildcard that is asked for does not count.
    let set = zone.sign(address("*.example"));
    assert_eq!(set.signatures[0].labels, 1);
    assert!(proved(read(&[&zone], "*.example", Rtype::A, &response(Rcode::NOERROR, &[&set], &[]))).is_some());
    let set = zone.sign_as(address("*.example"), |signature| signature.labels = 2);
    let outcome = read(&[&zone], "*.example", Rtype::A, &response(Rcode::NOERROR, &[&set], &[]));
    assert!(matches!(bogus(outcome), Bogus::Signature { fault: SignatureFault::Mismatch, .. }));
}

#[test]
fn rfc_4035_5_3_1_type_key_and_algorithm_are_those_of_the_signature() {
    let zone = Zone::new("example");
    let key_tag = zone.key.record.key_tag();
    let set = signed(|signature| signature.type_covered = Rtype::MX);
    assert_eq!(fault(&[&zone], &set), SignatureFault::Mismatch);
    let set = signed(|signature| signature.key_tag ^= 1);
    assert_eq!(fault(&[&zone], &set), SignatureFault::NoKey { key_tag: key_tag ^ 1, algorithm: 15 });
    let set = signed(|signature| signature.algorithm = 13);
    assert_eq!(fault(&[&zone], &set), SignatureFault::NoKey { key_tag, algorithm: 13 });
    // The zone promises an algorithm that we know; one that we do not know does not make it unsigned.
    for algorithm in [1, 3, 5, 7, 12, 16, 200, 253] {
        let set = signed(|signature| signature.algorithm = algorithm);
        assert_eq!(fault(&[&zone], &set), SignatureFault::Unsupported);
    }
    assert_eq!(fault(&[&zone], &address("www.example")), SignatureFault::Missing);
}

#[test]
fn rfc_4034_3_1_5_validity_and_the_grace_for_clocks() {
    let zone = Zone::new("example");
    let grace = u64::from(CLOCK_GRACE);
    let set = signed(|_| {});
    let (first, last) = (NOW - u64::from(HOUR) - grace, NOW + u64::from(HOUR) + grace);
    for now in [first, NOW, last] {
        assert!(ttl_at(now, &set).is_ok(), "{now}");
    }
    let at = |now| bogus(read_at(now, &[&zone], "www.example", Rtype::A, &response(Rcode::NOERROR, &[&set], &[])));
    let fault = |fault| Bogus::Signature { name: name("www.example"), rtype: Rtype::A, fault };
    assert_eq!(at(first - 1), fault(SignatureFault::NotYetValid { ahead: CLOCK_GRACE + 1 }));
    assert_eq!(at(last + 1), fault(SignatureFault::Expired { ago: CLOCK_GRACE + 1 }));
    // Validity that ends before it begins is none, however short it is.
    let inverted = signed(|signature| std::mem::swap(&mut signature.inception, &mut signature.expiration));
    assert!(ttl_at(NOW, &inverted).is_err());
    let inverted = signed(|signature| (signature.inception, signature.expiration) = (NOW as u32 + 1, NOW as u32));
    assert!(ttl_at(NOW, &inverted).is_err());
}

#[test]
fn rfc_4034_3_1_5_times_are_serial_numbers() {
    // Seconds since 1970 pass 2^32 in February 2106.
    const WRAP: u64 = 1 << 32;
    let across = signed(|signature| (signature.inception, signature.expiration) = (u32::MAX - 99, 100));
    for now in [WRAP - 100, WRAP - 1, WRAP, WRAP + 100, WRAP + 100 + u64::from(CLOCK_GRACE)] {
        assert!(ttl_at(now, &across).is_ok(), "{now}");
    }
    for now in [NOW, WRAP - 101 - u64::from(CLOCK_GRACE), WRAP + 101 + u64::from(CLOCK_GRACE)] {
        assert!(ttl_at(now, &across).is_err(), "{now}");
    }
    // As long as it may be, and one second more.
    let long = |seconds: u32| {
        signed(|signature| {
            (signature.inception, signature.expiration) = (NOW as u32, (NOW as u32).wrapping_add(seconds));
        })
    };
    assert!(ttl_at(NOW, &long(i32::MAX as u32)).is_ok());
    assert!(ttl_at(NOW, &long(1 << 31)).is_err());
}

#[test]
fn rfc_4035_5_3_3_records_are_kept_no_longer_than_their_signature_lets_them() {
    assert_eq!(ttl_at(NOW, &signed(|_| {})), Ok(TTL));
    // Not longer than in the zone, nor longer than they came with.
    assert_eq!(ttl_at(NOW, &signed(|signature| signature.original_ttl = 60)), Ok(60));
    assert_eq!(ttl_at(NOW, &RrSet { ttl: 30, ..signed(|_| {}) }), Ok(30));
    assert_eq!(ttl_at(NOW, &RrSet { ttl: u32::MAX, ..signed(|_| {}) }), Ok(TTL));
    // Not beyond the end of the signature, with the grace that it has.
    let ending = signed(|signature| signature.expiration = NOW as u32 + 10);
    assert_eq!(ttl_at(NOW, &ending), Ok(10 + CLOCK_GRACE));
    assert_eq!(ttl_at(NOW + 10, &ending), Ok(CLOCK_GRACE));
    assert_eq!(ttl_at(NOW + 10 + u64::from(CLOCK_GRACE), &ending), Ok(0));
}

#[test]
fn rfc_4035_5_3_4_a_wildcard_stands_for_names_that_do_not_exist() {
    let zone = Zone::new("example");
    let expanded = |owner: &str, labels: u8| zone.sign_as(address(owner), |signature| signature.labels = labels);
    let outcome = |owner: &str, labels: u8, proofs: &[&RrSet]| {
        read(&[&zone], owner, Rtype::A, &response(Rcode::NOERROR, &[&expanded(owner, labels)], proofs))
    };
    let types = [Rtype::A, Rtype::RRSIG, Rtype::NSEC];
    let nsec = |owner: &str, next: &str| zone.nsec(owner, next, &types);
    let missing = |about: &str| Bogus::WildcardProofMissing { name: name(about), rtype: Rtype::A };

    let proof = nsec("m.example", "x.example");
    let step = outcome("n.example", 1, &[&proof]).unwrap();
    let Proof::Secure { signed: Some(signed), .. } = &step.proof else { panic!("{step:?}") };
    assert_eq!(signed.wildcard_base, Some(name("example")));
    assert!(proved(outcome("a.b.n.example", 1, &[&proof])).is_some());
    // The proof is kept no longer than its own TTL.
    let short = zone.sign(RrSet { ttl: 20, signatures: Vec::new(), ..proof.clone() });
    assert_eq!(outcome("n.example", 1, &[&short]).unwrap().ttl, 20);

    assert_eq!(bogus(outcome("n.example", 1, &[])), missing("n.example"));
    // The name is there, or names below it are, or it is outside the span.
    for [owner, next] in [["n.example", "x.example"], ["m.example", "a.n.example"], ["o.example", "x.example"]] {
        assert_eq!(bogus(outcome("n.example", 1, &[&nsec(owner, next)])), missing("n.example"), "{owner} {next}");
    }
    // There is a name closer than the wildcard: as owner, as next name, or as what is above one of them.
    for [owner, next] in [["n.example", "x.example"], ["a.n.example", "x.example"], ["m.example", "z.n.example"]] {
        assert_eq!(bogus(outcome("c.n.example", 1, &[&nsec(owner, next)])), missing("c.n.example"), "{owner} {next}");
        // A wildcard below that name might be.
        assert!(proved(outcome("c.n.example", 2, &[&nsec(owner, next)])).is_some(), "{owner} {next}");
    }
    // A proof that is a record made from a wildcard itself.
    let made = zone.sign_as(RrSet { signatures: Vec::new(), ..proof.clone() }, |signature| signature.labels = 1);
    assert!(matches!(bogus(outcome("n.example", 1, &[&made])), Bogus::WildcardProofMissing { .. }));
    // A proof by another zone, which has nothing between its beginning and its end.
    let other = Zone::new("other");
    let foreign = other.nsec("other", "other", &types);
    let both = read(
        &[&zone, &other],
        "n.example",
        Rtype::A,
        &response(Rcode::NOERROR, &[&expanded("n.example", 1)], &[&foreign]),
    );
    assert_eq!(bogus(both), missing("n.example"));
}

#[test]
fn keys_that_must_not_sign_do_not() {
    // RFC 4034 §2.1.1 (zone keys), §2.1.2 (protocol), RFC 5011 §2.1 (revoked keys).
    const ZONE_KEY: u16 = 256;
    const REVOKED: u16 = 128;
    let zone = name("example");
    let outcome = |key: &Key| {
        // They stand beside a good one that has signed the keys, and sign the records.
        let good = Key::new(1, 257);
        let anchor = [good.record.clone()];
        let vouchers = mailstead_dnssec::Vouchers::Anchor(&[], &anchor);
        let keys = check_keys(&zone, vouchers, &key_response(&zone, &[&good, key], &[&good])).unwrap();
        let zone = Zone { apex: zone.clone(), key: Key::new(1, 257), keys: keys.into() };
        let mut set = address("www.example");
        set.signatures.push(key.sign(&zone.apex, &set, |_| {}));
        read(&[&zone], "www.example", Rtype::A, &response(Rcode::NOERROR, &[&set], &[]))
    };
    let no_key = |key: &Key| {
        let fault = SignatureFault::NoKey { key_tag: key.record.key_tag(), algorithm: 15 };
        Bogus::Signature { name: name("www.example"), rtype: Rtype::A, fault }
    };
    // What a flag without a meaning says does not matter, and neither does that of entry points.
    for flags in [ZONE_KEY, ZONE_KEY | 1, ZONE_KEY | 0x8000, ZONE_KEY | 2] {
        assert!(proved(outcome(&Key::new(2, flags))).is_some(), "{flags}");
    }
    for flags in [0, 1, ZONE_KEY | REVOKED, ZONE_KEY | REVOKED | 1] {
        let key = Key::new(2, flags);
        assert_eq!(bogus(outcome(&key)), no_key(&key), "{flags}");
    }
    for protocol in [0, 1, 2, 4, 255] {
        let mut key = Key::new(2, ZONE_KEY);
        key.record.protocol = protocol;
        assert_eq!(bogus(outcome(&key)), no_key(&key), "{protocol}");
    }
}

#[test]
fn rfc_4035_5_3_2_records_are_signed_as_a_whole_and_in_order() {
    let zone = Zone::new("example");
    let mut set = address("www.example");
    set.data.push([192, 0, 2, 2].into());
    let set = zone.sign(set);
    let outcome = |set: &RrSet| read(&[&zone], "www.example", Rtype::A, &response(Rcode::NOERROR, &[set], &[]));
    let Some(Content::Records(found)) = proved(outcome(&set)) else { panic!() };
    assert_eq!(found.data.len(), 2);
    let one = RrSet { data: vec![set.data[0].clone()], ..set.clone() };
    let three = RrSet { data: [set.data.clone(), vec![[192, 0, 2, 3].into()]].concat(), ..set.clone() };
    let other_type = RrSet { rtype: Rtype::TXT, ..set.clone() };
    for changed in [one, three] {
        assert!(matches!(fault(&[&zone], &changed), SignatureFault::Wrong { .. }));
    }
    let outcome =
        |set: &RrSet| bogus(read(&[&zone], "www.example", Rtype::TXT, &response(Rcode::NOERROR, &[set], &[])));
    assert!(matches!(outcome(&other_type), Bogus::Signature { fault: SignatureFault::Mismatch, .. }));
    let mut other_type = other_type;
    other_type.signatures[0].type_covered = Rtype::TXT;
    assert!(matches!(outcome(&other_type), Bogus::Signature { fault: SignatureFault::Wrong { .. }, .. }));
}
