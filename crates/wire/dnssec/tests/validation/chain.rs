//! From one zone to the next: keys that the parent vouches for, and delegations that it proves (RFC 4035 §5.2,
//! RFC 4509 §3, RFC 6840 §5).

use mailstead_dns::{Ds, Rcode, RrSet, Rtype};
use mailstead_dnssec::{
    AwsLcRs, Bogus, Budget, Delegation, Dnskey, Insecure, SignatureFault, Stop, Voucher, Vouchers, Work, check_ds,
    delegation, key_set,
};

use crate::handmade::{
    HOUR, Hashing, Key, NOW, TTL, Zone, alias, bogus, check_keys, key_response, name, response, set,
};

/// What `example` proves about a name below it.
fn prove(about: &str, answer: &[&RrSet], authority: &[&RrSet]) -> Result<(Delegation, u32), Stop> {
    let mut budget = Budget::default();
    let mut work = Work { crypto: &AwsLcRs, now: NOW, budget: &mut budget };
    let zone = Zone::new("example");
    delegation(&name(about), &zone.keys, &response(Rcode::NOERROR, answer, authority), &mut work)
}

fn ds(key: &Dnskey, digest_type: u8) -> Ds {
    key.digest(&name("sub.example"), digest_type, &AwsLcRs).unwrap()
}

fn ds_set(records: &[Ds]) -> RrSet {
    let data = |ds: &Ds| [&ds.key_tag.to_be_bytes()[..], &[ds.algorithm, ds.digest_type], &ds.digest].concat().into();
    let mut data: Vec<Box<[u8]>> = records.iter().map(data).collect();
    data.sort_unstable();
    RrSet { data, ..set("sub.example", Rtype::DS, &[]) }
}

fn no_trusted_key<T: std::fmt::Debug>(outcome: Result<T, Stop>) -> bool {
    bogus(outcome) == Bogus::NoTrustedKey { zone: name("sub.example") }
}

#[test]
fn rfc_4035_5_2_ds_records_are_signed_by_the_parent() {
    let zone = Zone::new("example");
    let key = Key::new(1, 257);
    let records = [ds(&key.record, 2), ds(&key.record, 4)];
    let signed = zone.sign(ds_set(&records));
    let (found, ttl) = prove("sub.example", &[&signed], &[]).unwrap();
    let Delegation::Signed(mut found) = found else { panic!("{found:?}") };
    found.sort_by_key(|ds| ds.digest_type);
    assert_eq!((found.as_slice(), ttl), (&records[..], TTL));
    // In a referral they stand in the authority section.
    assert!(matches!(prove("sub.example", &[], &[&signed]), Ok((Delegation::Signed(_), _))));
    // Not signed, by the child, and made from a wildcard.
    let bare = ds_set(&records);
    let child = Zone::new("sub.example").sign(bare.clone());
    for set in [&bare, &child] {
        let found = bogus(prove("sub.example", &[set], &[]));
        assert!(matches!(found, Bogus::Signature { rtype: Rtype::DS, fault: SignatureFault::Missing, .. }));
    }
    let made = zone.sign_as(bare, |signature| signature.labels = 1);
    let span = zone.nsec("a.example", "z.example", &[Rtype::A]);
    assert!(matches!(bogus(prove("sub.example", &[&made], &[&span])), Bogus::ProofWrong { .. }));
}

#[test]
fn rfc_4035_5_2_what_cannot_be_checked_is_like_nothing() {
    let key = Key::new(1, 257).record;
    let with = |algorithm, digest_type| Ds { algorithm, digest_type, ..ds(&key, 2) };
    let zone = name("sub.example");
    let unsupported =
        |algorithms: &[u8]| Err(Insecure::UnsupportedAlgorithms { zone: zone.clone(), algorithms: algorithms.into() });
    let digests = |types: &[u8]| Err(Insecure::UnsupportedDigests { zone: zone.clone(), digest_types: types.into() });
    assert_eq!(check_ds(&zone, &[with(200, 2), with(5, 2), with(7, 2), with(16, 2)]), unsupported(&[5, 7, 16, 200]));
    assert_eq!(check_ds(&zone, &[with(13, 1), with(13, 3), with(15, 1)]), digests(&[1, 3]));
    // One record must have both.
    assert_eq!(check_ds(&zone, &[with(13, 1), with(5, 2)]), digests(&[1]));
    for algorithm in [8, 10, 13, 14, 15] {
        assert_eq!(check_ds(&zone, &[with(200, 200), with(algorithm, 200), with(algorithm, 4)]), Ok(()));
    }
    // The parent's word for it has to be signed.
    let records = ds_set(&[with(200, 2)]);
    assert!(matches!(prove("sub.example", &[&records], &[]), Err(Stop::Bogus(_))));
    let signed = Zone::new("example").sign(records);
    let expected = Delegation::Unsigned(unsupported(&[200]).unwrap_err());
    assert_eq!(prove("sub.example", &[&signed], &[]), Ok((expected, TTL)));
}

#[test]
fn rfc_4509_3_digests_that_nobody_knows_stand_beside_others() {
    let zone = name("sub.example");
    let key = Key::new(1, 257);
    let response = key_response(&zone, &[&key], &[&key]);
    let known = ds(&key.record, 2);
    let unknown = Ds { digest_type: 200, ..known.clone() };
    let keys = check_keys(&zone, Vouchers::Ds(&[unknown.clone(), known.clone()]), &response).unwrap();
    let voucher = Voucher { key_tag: key.record.key_tag(), algorithm: 15, digest_type: Some(2) };
    assert_eq!(keys.vouched, [voucher]);
    assert!(no_trusted_key(check_keys(&zone, Vouchers::Ds(&[unknown]), &response)));
    // A digest of another key, or of this one in another zone.
    let wrong = Ds { digest: vec![0; 32], ..known.clone() };
    assert!(no_trusted_key(check_keys(&zone, Vouchers::Ds(&[wrong]), &response)));
    let elsewhere = key.record.digest(&name("other.example"), 2, &AwsLcRs).unwrap();
    assert!(no_trusted_key(check_keys(&zone, Vouchers::Ds(&[elsewhere]), &response)));
    // RFC 4034 §5.2: tag and algorithm have to fit too.
    for misfit in [Ds { key_tag: known.key_tag ^ 1, ..known.clone() }, Ds { algorithm: 13, ..known }] {
        assert!(no_trusted_key(check_keys(&zone, Vouchers::Ds(&[misfit]), &response)));
    }
}

#[test]
fn rfc_6840_5_11_one_algorithm_that_is_vouched_for_is_enough() {
    // The parent has DS records for algorithms 13 and 15; only 15 has signed.
    let zone = name("sub.example");
    let key = Key::new(1, 257);
    let promised = Ds { algorithm: 13, ..ds(&key.record, 2) };
    let vouchers = [promised.clone(), ds(&key.record, 2)];
    let keys = check_keys(&zone, Vouchers::Ds(&vouchers), &key_response(&zone, &[&key], &[&key])).unwrap();
    assert_eq!(keys.signed.algorithm, 15);
    // When the other is all that is promised, that is no zone to take as unsigned.
    let found = check_keys(&zone, Vouchers::Ds(&[promised]), &key_response(&zone, &[&key], &[&key]));
    assert!(no_trusted_key(found));
}

#[test]
fn rfc_4035_5_2_the_key_that_is_vouched_for_signs_the_others() {
    let zone = name("sub.example");
    let (entry, other) = (Key::new(1, 257), Key::new(2, 256));
    let vouchers = [ds(&entry.record, 2)];
    let outcome = |keys: &[&Key], signers: &[&Key]| {
        check_keys(&zone, Vouchers::Ds(&vouchers), &key_response(&zone, keys, signers))
    };
    let keys = outcome(&[&entry, &other], &[&other, &entry]).unwrap();
    assert_eq!(keys.tags().count(), 2);
    let fault = |outcome| match bogus(outcome) {
        Bogus::Signature { rtype: Rtype::DNSKEY, fault, .. } => fault,
        found => panic!("{found:?}"),
    };
    let no_key = SignatureFault::NoKey { key_tag: other.record.key_tag(), algorithm: 15 };
    assert_eq!(fault(outcome(&[&entry, &other], &[&other])), no_key);
    assert_eq!(fault(outcome(&[&entry, &other], &[])), SignatureFault::Missing);
    assert!(no_trusted_key(outcome(&[&other], &[&other])));
    // There are no keys.
    let missing = check_keys(&zone, Vouchers::Ds(&vouchers), &response(Rcode::NOERROR, &[], &[]));
    assert_eq!(bogus(missing), Bogus::KeysMissing { zone: zone.clone() });
    // They are those of another zone.
    let elsewhere = key_response(&name("other.example"), &[&entry], &[&entry]);
    assert_eq!(bogus(check_keys(&zone, Vouchers::Ds(&vouchers), &elsewhere)), Bogus::KeysMissing { zone });
}

#[test]
fn keys_that_must_not_vouch_do_not() {
    // RFC 5011 §2.1, RFC 4034 §2.1.1 and §2.1.2: not even where the parent points to them.
    let zone = name("sub.example");
    for (flags, protocol) in [(257 | 128, 3), (1, 3), (0, 3), (257, 2), (257, 4)] {
        let mut key = Key::new(1, flags);
        key.record.protocol = protocol;
        let response = key_response(&zone, &[&key], &[&key]);
        assert!(no_trusted_key(check_keys(&zone, Vouchers::Ds(&[ds(&key.record, 2)]), &response)));
        let anchor = [key.record.clone()];
        assert!(no_trusted_key(check_keys(&zone, Vouchers::Anchor(&[], &anchor), &response)));
    }
    // One that is an anchor itself needs no digest.
    let key = Key::new(1, 257);
    let anchor = [key.record.clone()];
    let keys = check_keys(&zone, Vouchers::Anchor(&[], &anchor), &key_response(&zone, &[&key], &[&key])).unwrap();
    assert_eq!(keys.vouched[0].digest_type, None);
}

#[test]
fn keys_come_from_no_wildcard() {
    let zone = name("sub.example");
    let key = Key::new(1, 257);
    let mut response = key_response(&zone, &[&key], &[]);
    let keys = &mut response.answer[0];
    keys.signatures = vec![key.sign(&zone, keys, |signature| signature.labels = 1)];
    let found = check_keys(&zone, Vouchers::Ds(&[ds(&key.record, 2)]), &response);
    assert!(matches!(bogus(found), Bogus::Signature { fault: SignatureFault::Mismatch, .. }));
}

#[test]
fn rfc_6840_4_4_an_unsigned_delegation_is_one_with_name_servers() {
    let zone = Zone::new("example");
    let (ns, rrsig, nsec) = (Rtype::NS, Rtype::RRSIG, Rtype::NSEC);
    let at = |types: &[Rtype]| prove("sub.example", &[], &[&zone.nsec("sub.example", "x.example", types)]);
    let unsigned = Delegation::Unsigned(Insecure::UnsignedDelegation { zone: name("sub.example") });
    assert_eq!(at(&[ns, rrsig, nsec]), Ok((unsigned.clone(), TTL)));
    // A name of the parent, an apex, an alias, and one with DS records.
    assert_eq!(at(&[Rtype::A, rrsig, nsec]), Ok((Delegation::SameZone, TTL)));
    for types in [&[ns, Rtype::SOA, rrsig, nsec][..], &[Rtype::CNAME, rrsig, nsec], &[ns, Rtype::DS, rrsig, nsec]] {
        assert!(matches!(bogus(at(types)), Bogus::ProofWrong { .. }), "{types:?}");
    }
    // The same by hashes.
    let hashed = |types: &[Rtype]| prove("sub.example", &[], &[&zone.matching(Hashing::PLAIN, "sub.example", types)]);
    assert_eq!(hashed(&[ns]), Ok((unsigned, TTL)));
    assert_eq!(hashed(&[Rtype::A, rrsig]), Ok((Delegation::SameZone, TTL)));
    assert_eq!(hashed(&[]), Ok((Delegation::SameZone, TTL)));
    assert!(matches!(bogus(hashed(&[ns, Rtype::DS, rrsig])), Bogus::ProofWrong { .. }));
}

#[test]
fn names_that_do_not_exist_and_names_that_others_make_exist() {
    let zone = Zone::new("example");
    let apex = [Rtype::NS, Rtype::SOA, Rtype::RRSIG, Rtype::NSEC];
    let whole = zone.nsec("example", "a.sub.example", &apex);
    assert_eq!(prove("sub.example", &[], &[&whole]), Ok((Delegation::SameZone, TTL)));
    assert_eq!(prove("nil.example", &[], &[&whole]), Ok((Delegation::NoName, TTL)));
    // RFC 5155 §8.6: what opt-out leaves open may be an unsigned delegation.
    let apex = zone.matching(Hashing::OPT_OUT, "example", &[Rtype::NS, Rtype::SOA]);
    let span = zone.covering(Hashing::OPT_OUT, "sub.example");
    let open = Delegation::Unsigned(Insecure::OptOut { name: name("sub.example") });
    assert_eq!(prove("sub.example", &[], &[&apex, &span]), Ok((open, TTL)));
    assert!(prove("sub.example", &[], &[]).is_err());
}

#[test]
fn an_alias_is_no_zone_and_nothing_below_a_dname_is() {
    let zone = Zone::new("example");
    let cname = alias("sub.example", Rtype::CNAME, "elsewhere");
    let dname = alias("sub.example", Rtype::DNAME, "elsewhere");
    assert_eq!(prove("sub.example", &[&zone.sign(cname.clone())], &[]), Ok((Delegation::SameZone, TTL)));
    assert_eq!(prove("a.sub.example", &[&zone.sign(dname.clone())], &[]), Ok((Delegation::SameZone, TTL)));
    let made = alias("a.sub.example", Rtype::CNAME, "a.elsewhere");
    assert_eq!(prove("a.sub.example", &[&made, &zone.sign(dname.clone())], &[]), Ok((Delegation::SameZone, TTL)));
    assert!(prove("a.sub.example", &[&made], &[]).is_err());
    // Unless it is a forgery, or made from a wildcard without the proof that it may be.
    assert!(prove("sub.example", &[&cname], &[]).is_err());
    assert!(prove("a.sub.example", &[&dname], &[]).is_err());
    assert!(prove("sub.example", &[&zone.sign(dname)], &[]).is_err());
    let made = zone.sign_as(cname, |signature| signature.labels = 1);
    let types = [Rtype::A, Rtype::RRSIG, Rtype::NSEC];
    let span = zone.nsec("m.example", "x.example", &types);
    let exists = zone.nsec("sub.example", "x.example", &[Rtype::NS]);
    assert_eq!(prove("sub.example", &[&made], &[&span]), Ok((Delegation::SameZone, TTL)));
    assert!(prove("sub.example", &[&made], &[&exists]).is_err());
    assert!(prove("sub.example", &[&made], &[]).is_err());
    // What opt-out leaves open is open for aliases from wildcards too.
    let span = zone.covering(Hashing::OPT_OUT, "sub.example");
    let open = Delegation::Unsigned(Insecure::OptOut { name: name("sub.example") });
    assert_eq!(prove("sub.example", &[&made], &[&span]), Ok((open, TTL)));
}

#[test]
fn rfc_5011_2_the_keys_that_have_signed_themselves() {
    let zone = name("sub.example");
    let outcome = |response: &mailstead_dns::Message| {
        let mut budget = Budget::default();
        key_set(&zone, response, &mut Work { crypto: &AwsLcRs, now: NOW, budget: &mut budget }).unwrap()
    };
    let (one, other, revoked) = (Key::new(1, 257), Key::new(2, 256), Key::new(3, 257 | 128));
    let response = key_response(&zone, &[&one, &other, &revoked], &[&one, &revoked]);
    let found = outcome(&response).unwrap();
    assert_eq!(found.keys.len(), 3);
    let mut signers = found.signers.clone();
    signers.sort_by_key(|key| key.flags);
    assert_eq!(signers, [one.record.clone(), revoked.record.clone()]);
    assert_eq!((found.original_ttl, found.expiration), (TTL, NOW as u32 + HOUR));
    // No signature, one in the name of another key, one that is over, one over other keys.
    assert_eq!(outcome(&key_response(&zone, &[&one], &[])), None);
    let spoil = |change: fn(&mut RrSet)| {
        let mut response = key_response(&zone, &[&one, &other], &[&one]);
        change(&mut response.answer[0]);
        outcome(&response)
    };
    assert!(spoil(|_| {}).is_some());
    assert_eq!(spoil(|keys| keys.signatures[0].key_tag ^= 1), None);
    assert_eq!(spoil(|keys| keys.signatures[0].expiration = NOW as u32 - 1_000), None);
    assert_eq!(spoil(|keys| drop(keys.data.pop())), None);
    assert_eq!(spoil(|keys| keys.signatures[0].signer = name("example")), None);
}
