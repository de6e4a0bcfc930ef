use std::collections::BTreeSet;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use mailstead_dns::{HopKind, Rrsig};

use super::*;
use crate::START;

mod attacks;
mod rfc;

const NOW: u32 = START as u32;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn question(text: &str, rtype: Rtype) -> Question {
    Question { name: name(text), rtype }
}

/// Checks a signature from what is in the message and the DNSKEY record alone (RFC 4035 §5.3.2).
fn verifies(set: &RrSet, signature: &Rrsig, dnskey: &[u8]) -> bool {
    let Rrsig { algorithm, labels, original_ttl, .. } = signature;
    let mut message = signature.to_data();
    message.truncate(message.len() - signature.signature.len());
    let missing = set.owner.label_count() - usize::from(*labels);
    let owner = match missing {
        0 => set.owner.clone(),
        _ if set.owner.is_wildcard() => set.owner.clone(),
        _ => set.owner.ancestor(usize::from(*labels)).wildcard().unwrap(),
    };
    for data in &set.data {
        let parts = [
            owner.as_wire(),
            &set.rtype.0.to_be_bytes(),
            &[0, 1],
            &original_ttl.to_be_bytes(),
            &u16::try_from(data.len()).unwrap().to_be_bytes(),
            data,
        ];
        message.extend(parts.concat());
    }
    let (key, octets) = (&dnskey[4..], &signature.signature);
    let point = [&[4], key].concat();
    // The exponent with its length takes four octets.
    let rsa = RsaPublicKeyComponents { n: key.get(4..).unwrap_or_default(), e: &[1, 0, 1] };
    let verified = match algorithm {
        8 => rsa.verify(&RSA_PKCS1_2048_8192_SHA256, &message, octets),
        10 => rsa.verify(&RSA_PKCS1_2048_8192_SHA512, &message, octets),
        13 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(&message, octets),
        14 => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(&message, octets),
        15 => UnparsedPublicKey::new(&ED25519, key).verify(&message, octets),
        other => panic!("algorithm {other}"),
    };
    verified.is_ok()
}

/// How many signatures over a set verify with the keys of their signer.
fn valid_signatures(world: &SignedWorld, set: &RrSet) -> usize {
    let verifies = |signature: &&Rrsig| {
        let keys = world.respond(&Question { name: signature.signer.clone(), rtype: Rtype::DNSKEY }, true);
        let keys = keys.answer.first().map(|keys| keys.data.clone()).unwrap_or_default();
        let tagged = |key: &[u8]| key::key_tag(key) == signature.key_tag && key[3] == signature.algorithm;
        signature.type_covered == set.rtype && keys.iter().any(|key| tagged(key) && verifies(set, signature, key))
    };
    set.signatures.iter().filter(verifies).count()
}

#[test]
fn every_signature_verifies() {
    let records = "@ MX 10 mx\n@ MX 5 MX.Example.\nmx A 192.0.2.1\nmx 60 AAAA 2001:db8::1\n*.w TXT x";
    let zone = |apex, algorithms: &[u8]| ZonePlan::signed(apex).records(records).algorithms(algorithms);
    let world = SignedWorld::builder()
        .zone(zone("rsa", &[8, 10]).nsec3(2, b"salt"))
        .zone(zone("ecdsa", &[13, 14]).layout(KeyLayout::Combined))
        .zone(zone("eddsa.ecdsa", &[15]).nsec3_opt_out(0, b""))
        .zone(ZonePlan::unsigned("none"))
        .build();
    let mut seen = BTreeSet::new();
    for zone in world.zones.values() {
        for set in zone.sets() {
            let cut = zone.cut(&set.owner);
            let expected = match (zone.plan.signed, cut) {
                (false, _) => 0,
                (true, Some(cut)) if cut != set.owner || !matches!(set.rtype, Rtype::DS | Rtype::NSEC) => 0,
                _ => zone.plan.algorithms.len(),
            };
            assert_eq!(set.signatures.len(), expected, "{} {}", set.owner, set.rtype);
            assert_eq!(valid_signatures(&world, &set), expected, "{} {}", set.owner, set.rtype);
            seen.extend(set.signatures.iter().map(|signature| signature.algorithm));
        }
    }
    assert_eq!(seen, BTreeSet::from([8, 10, 13, 14, 15]));
    let expanded = world.respond(&question("a.b.w.rsa", Rtype::TXT), true);
    assert_eq!(expanded.answer[0].signatures[0].labels, 2);
    assert_eq!(valid_signatures(&world, &expanded.answer[0]), 2);
}

#[test]
fn the_chain_leads_from_the_anchor_to_the_keys() {
    let world = SignedWorld::builder()
        .zone(ZonePlan::signed("test").algorithms(&[13, 15]).digest_types(&[1, 2, 4]))
        .zone(ZonePlan::signed("bare.test").vouching(Vouching::Absent))
        .build();
    let (root, anchor) = world.anchor();
    assert!(root.is_root() && anchor.len() == 1 && anchor[0].len() == 36);
    assert_eq!(world.anchor_text().lines().count(), 1);
    assert!(world.entry_keys_text(&name("test")).starts_with("test. 300 IN DNSKEY 257 3 13 "));
    let ds = world.respond(&question("test", Rtype::DS), true);
    assert_eq!((ds.answer[0].data.len(), ds.answer[0].signatures[0].signer.is_root()), (6, true));
    let keys = world.respond(&question("test", Rtype::DNSKEY), true);
    // Each of these keys, and no other, has the tag and algorithm of three of the six DS records.
    for key in world.entry_keys(&name("test")) {
        assert!(keys.answer[0].data.contains(&key.clone().into()));
        let tag = key::key_tag(&key).to_be_bytes();
        let same = ds.answer[0].data.iter().filter(|ds| ds[..2] == tag && ds[2] == key[3]);
        assert_eq!(same.map(|ds| ds[3]).collect::<Vec<_>>(), [1, 2, 4]);
    }
    let none = world.respond(&question("bare.test", Rtype::DS), true);
    assert!(none.answer.is_empty() && none.authority.iter().any(|set| set.owner == name("bare.test")));
}

fn owners(section: &[RrSet]) -> Vec<String> {
    section.iter().map(|set| format!("{} {}", set.owner, set.rtype)).collect()
}

#[test]
fn aliases_are_followed_through_zones() {
    let world = SignedWorld::example().build();
    let response = world.respond(&question("host.far.test", Rtype::A), true);
    assert_eq!(owners(&response.answer), ["far.test. DNAME", "host.far.test. CNAME", "host.salted.test. A"]);
    assert!(response.answer[1].signatures.is_empty());
    assert!(response.answer[2].signatures[0].signer == name("salted.test"));
    let truth = world.truth(&question("host.far.test", Rtype::A), NOW);
    assert_eq!((truth.chain.len(), truth.chain[0].kind), (1, HopKind::Dname));
    assert!(matches!(&truth.end, End::Records(set) if set.data.len() == 2 && set.owner == name("host.salted.test")));

    // An alias made by a wildcard is proved as one, and what it leads to as itself.
    let response = world.respond(&question("x.y.many.test", Rtype::AAAA), true);
    assert_eq!(owners(&response.answer), ["x.y.many.test. CNAME", "mx.test. AAAA"]);
    assert_eq!(owners(&response.authority), ["*.many.test. NSEC"]);

    let response = world.respond(&question("nowhere.test", Rtype::A), true);
    assert_eq!((response.rcode, owners(&response.answer)), (Rcode::NXDOMAIN, vec!["nowhere.test. CNAME".to_owned()]));
    assert_eq!(world.respond(&question("loop.test", Rtype::A), true).rcode, Rcode::SERVFAIL);
    assert_eq!(world.truth(&question("loop.test", Rtype::A), NOW).end, End::AliasLoop);
    let long = ["a"; 112].join(".") + ".long.test";
    assert_eq!(world.respond(&question(&long, Rtype::A), true).rcode, Rcode::YXDOMAIN);
    assert_eq!(world.truth(&question("outside.test", Rtype::A), NOW).security(), Security::Insecure);
    assert_eq!(world.truth(&question("outside.test", Rtype::A), NOW).chain[0].security, Security::Secure);
    // Asked for as itself, an alias is a record.
    let truth = world.truth(&question("www.test", Rtype::CNAME), NOW);
    assert!(truth.chain.is_empty() && matches!(truth.end, End::Records(_)));
}

#[test]
fn who_does_not_say_so_gets_no_signatures() {
    let world = SignedWorld::example().build();
    for asked in world.questions().iter().filter(|asked| asked.name.is_within(&name("hashed.test"))) {
        let plain = world.respond(asked, false);
        let sets = || plain.answer.iter().chain(&plain.authority);
        assert!(sets().all(|set| set.signatures.is_empty() && set.rtype != Rtype::NSEC3));
        assert_eq!(plain.rcode, world.respond(asked, true).rcode);
    }
    let ds = world.respond(&question("hashed.test", Rtype::DS), false);
    assert_eq!(owners(&ds.answer), ["hashed.test. DS"]);
}

#[test]
fn servers_refer_and_refuse() {
    let world = SignedWorld::example().build();
    let asked = question("www.signed.optout.test", Rtype::A);
    let referral = world.authority(&name("optout.test"), &asked, true);
    assert!(!referral.flags.authoritative && referral.answer.is_empty());
    assert_eq!(owners(&referral.authority), ["signed.optout.test. NS", "signed.optout.test. DS"]);
    assert_eq!(owners(&referral.additional), ["ns.signed.optout.test. A"]);
    let address = Ipv4Addr::from(<[u8; 4]>::try_from(&*referral.additional[0].data[0]).unwrap());
    assert_eq!(world.served_at(address), Some(&name("signed.optout.test")));
    assert_eq!(world.server(&name("signed.optout.test")), Some(address));
    let unsigned = world.authority(&name("optout.test"), &question("plain.optout.test", Rtype::A), true);
    let proofs = unsigned.authority.iter().filter(|set| set.rtype == Rtype::NSEC3);
    assert_eq!(proofs.filter(|set| set.data[0][1] == 1).count(), 2);
    let refused = world.authority(&name("optout.test"), &question("test", Rtype::A), true);
    assert_eq!(refused.rcode, Rcode::REFUSED);
    // The child does not know about its DS records, and says so.
    let child = world.authority(&name("hashed.test"), &question("hashed.test", Rtype::DS), true);
    assert!(child.flags.authoritative && child.answer.is_empty());
    assert!(child.authority.iter().all(|set| set.signatures[0].signer == name("hashed.test")));
}

#[test]
fn the_truth_about_zones() {
    let world = SignedWorld::example().build();
    let security = |zone: &str| world.truth(&question(&format!("mx.{zone}"), Rtype::A), NOW).security();
    for zone in ["test", "hashed.test", "salted.test", "optout.test", "signed.optout.test", "two.test"] {
        assert_eq!(security(zone), Security::Secure, "{zone}");
    }
    let insecure = ["plain.test", "below.plain.test", "island.test", "unknown.test", "digest.test"];
    for zone in insecure.into_iter().chain(["plain.optout.test", "deep.ent.optout.test"]) {
        assert_eq!(security(zone), Security::Insecure, "{zone}");
    }
    for zone in ["expired", "early", "wrongds", "otherds", "nokeys", "revoked", "flawed"] {
        assert_eq!(security(&format!("{zone}.test")), Security::Bogus, "{zone}");
    }
    let at = |now| world.truth(&question("mx.expired.test", Rtype::A), now).security();
    assert_eq!(at(Window::PAST.inception), Security::Bogus, "the zones above are not yet valid then");
    let past = SignedWorld::example().window(Window::PAST).build();
    let asked = question("mx.expired.test", Rtype::A);
    assert_eq!(past.truth(&asked, Window::PAST.expiration).security(), Security::Secure);
    assert_eq!(past.truth(&asked, Window::PAST.expiration + 1).security(), Security::Bogus);
}

#[test]
fn the_truth_about_absence() {
    let world = SignedWorld::example().build();
    let truth = |text: &str, rtype| world.truth(&question(text, rtype), NOW);
    let end = |text: &str, rtype| (truth(text, rtype).end, truth(text, rtype).security());
    assert_eq!(end("absent.hashed.test", Rtype::A), (End::NxDomain, Security::Secure));
    assert_eq!(end("b.c.test", Rtype::A), (End::NoData, Security::Secure));
    assert_eq!(end("x.wild.test", Rtype::A), (End::NoData, Security::Secure));
    assert_eq!(end("x.host.wild.test", Rtype::A), (End::NxDomain, Security::Secure));
    // What may be an unsigned delegation is not proved not to be there.
    assert_eq!(end("absent.optout.test", Rtype::A), (End::NxDomain, Security::Insecure));
    assert_eq!(end("plain.optout.test", Rtype::DS), (End::NoData, Security::Insecure));
    assert_eq!(end("ent.optout.test", Rtype::A), (End::NoData, Security::Insecure));
    assert_eq!(end("mx.optout.test", Rtype::MX), (End::NoData, Security::Secure));
    assert!(truth("absent.optout.test", Rtype::A).opt_out && !truth("mx.optout.test", Rtype::MX).opt_out);
    assert_eq!(end("plain.test", Rtype::DS), (End::NoData, Security::Secure));
    // Iterations count where there is a proof.
    assert_eq!(truth("absent.salted.test", Rtype::A).iterations, 5);
    assert_eq!(truth("mx.salted.test", Rtype::A).iterations, 0);
}

#[test]
fn flaws_are_where_they_were_ordered() {
    let world = SignedWorld::example().build();
    let answer = |text: &str, rtype| world.respond(&question(text, rtype), true).answer.remove(0);
    let signatures = |text: &str, rtype| {
        let set = answer(text, rtype);
        (set.signatures.len(), valid_signatures(&world, &set))
    };
    assert_eq!(signatures("flawed.test", Rtype::MX), (1, 0));
    assert_eq!(signatures("mx.flawed.test", Rtype::A), (0, 0));
    assert_eq!(signatures("mx.flawed.test", Rtype::AAAA), (1, 1));
    assert_eq!(answer("mx.flawed.test", Rtype::AAAA).signatures[0].expiration, Window::PAST.expiration);
    assert_eq!(answer("host.flawed.test", Rtype::A).signatures[0].signer, name("other.flawed.test"));
    assert_eq!(signatures("www.flawed.test", Rtype::CNAME), (1, 0));
    assert_eq!(signatures("flawed.test", Rtype::TXT), (1, 1));
    let spoiled = world.respond(&question("_tcp.mx.flawed.test", Rtype::A), true);
    let valid = spoiled.authority.iter().map(|set| (set.rtype, valid_signatures(&world, set)));
    assert_eq!(valid.collect::<BTreeSet<_>>(), BTreeSet::from([(Rtype::SOA, 1), (Rtype::NSEC3, 0)]));
    let keys = answer("revoked.test", Rtype::DNSKEY);
    assert!(keys.data.iter().all(|key| key[1] & 0x80 != 0));
    assert_eq!(signatures("revoked.test", Rtype::DNSKEY), (1, 1));
}

#[test]
fn the_shapes_of_keytrap() {
    let plan = ZonePlan::signed("trap").layout(KeyLayout::Combined).records("www A 192.0.2.1\nonce A 192.0.2.2");
    let world = SignedWorld::builder()
        .zone(plan.colliding_keys(20).garbage_signatures(30).extra_ds(10).extra_signatures("once", Rtype::A, 7))
        .build();
    let answer = |text: &str, rtype| world.respond(&question(text, rtype), true).answer.remove(0);
    let (keys, ds) = (answer("trap", Rtype::DNSKEY), answer("trap", Rtype::DS));
    assert_eq!((keys.data.len(), ds.data.len()), (21, 11));
    let tags: BTreeSet<_> = keys.data.iter().map(|key| key::key_tag(key)).collect();
    let named: BTreeSet<_> = ds.data.iter().map(|ds| u16::from_be_bytes([ds[0], ds[1]])).collect();
    assert_eq!((tags.len(), &tags), (1, &named));
    let set = answer("www.trap", Rtype::A);
    assert_eq!((set.signatures.len(), answer("once.trap", Rtype::A).signatures.len()), (31, 38));
    assert_eq!(valid_signatures(&world, &set), 1);
    let last = RrSet { signatures: set.signatures[30..].to_vec(), ..set };
    assert_eq!(valid_signatures(&world, &last), 1, "the good one comes last");
    assert_eq!(world.truth(&question("www.trap", Rtype::A), NOW).security(), Security::Secure);
}

#[test]
fn responses_can_be_sent_and_read() {
    let world = SignedWorld::example().build();
    for asked in world.questions().iter().step_by(7) {
        let response = world.respond(asked, true);
        assert_eq!(Message::parse(&response.to_octets().unwrap()), Ok(response));
    }
}

#[test]
fn a_zone_file_has_every_record() {
    let world = SignedWorld::example().build();
    let file = world.zone_file(&name("hashed.test")).unwrap();
    assert!(file.starts_with("hashed.test. 300 IN SOA "));
    let lines: Vec<_> = file.lines().map(|line| line.split(' ').collect::<Vec<_>>()).collect();
    let of_type = |rtype| lines.iter().filter(|words| words[3] == rtype).count();
    let sets: BTreeSet<_> = lines.iter().map(|words| (words[0], words[3])).filter(|set| set.1 != "RRSIG").collect();
    assert_eq!((of_type("DNSKEY"), of_type("RRSIG")), (2, sets.len()));
    assert_eq!(of_type("NSEC3"), world.zones[&name("hashed.test")].hashed.len());
}

#[test]
fn absence_is_kept_as_long_as_the_soa_says() {
    let soa = "@ 600 SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53";
    let world = SignedWorld::builder()
        .zone(ZonePlan::signed("names").records(soa))
        .zone(ZonePlan::signed("hashes").records(soa).nsec3(0, b""))
        .build();
    for zone in ["names", "hashes"] {
        let absent = world.respond(&question(&format!("absent.{zone}"), Rtype::A), true);
        let proofs = absent.authority.iter().filter(|set| set.rtype != Rtype::SOA);
        // RFC 9077 §3.
        assert!(proofs.clone().count() > 0 && proofs.clone().all(|set| set.ttl == 60));
    }
}

#[test]
fn wildcards_keep_names_above_delegations_in_the_chain() {
    // Without them, `ent` could not be told from a name that the wildcard makes.
    let zone = |records: &str| ZonePlan::signed("test").nsec3_opt_out(0, b"").records(records);
    let proofs = |records: &str| {
        let child = ZonePlan::unsigned("plain.ent.test");
        let world = SignedWorld::builder().zone(zone(records)).zone(child).build();
        let response = world.respond(&question("ent.test", Rtype::A), true);
        response.authority.iter().filter(|set| set.rtype == Rtype::NSEC3).count()
    };
    assert_eq!((proofs("www A 192.0.2.1"), proofs("*.www A 192.0.2.1")), (2, 1));
}

#[test]
#[should_panic(expected = "is an alias and has other records")]
fn aliases_stand_alone() {
    let _ = SignedWorld::builder().zone(ZonePlan::signed("test").records("www CNAME a\nwww A 192.0.2.1")).build();
}
