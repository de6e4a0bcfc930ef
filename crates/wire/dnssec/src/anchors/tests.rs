use aws_lc_rs::digest;
use mailstead_dns::Rtype;

use super::*;
use crate::Verdict;

/// Real digests and no signatures.
#[derive(Debug)]
pub(crate) struct Digests;

impl Crypto for Digests {
    fn verify(&self, _: u8, _: &[u8], _: &[u8], _: &[u8]) -> Verdict {
        Verdict::Invalid
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        let algorithm = if digest_type == 4 { &digest::SHA384 } else { &digest::SHA256 };
        Some(digest::digest(algorithm, data).as_ref().to_vec())
    }

    fn sha1(&self, _: &[u8]) -> [u8; 20] {
        [0; 20]
    }
}

/// The keys of the root, as they are in its zone.
pub(crate) const ROOT_KEYS: &str = "\
. 172800 IN DNSKEY 257 3 8 (
    AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kv
    ArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+e
    oZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwN
    R1AkUTV74bU= )
. 172800 IN DNSKEY 257 3 8 (
    AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHb
    GiShvZsx4wMYSjH8e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/dL/q8PkcRU5oUKEpUge71M3ej2/7CPqp
    dVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGOHOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF18UYH9Z9GNUUe
    ayffKC73PYc= )
";

pub(crate) fn root_keys() -> Vec<Dnskey> {
    Anchors::parse(ROOT_KEYS).unwrap().iter().flat_map(|anchor| anchor.keys.clone()).collect()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[test]
fn the_built_in_anchors_are_those_of_iana_and_vouch_for_the_keys_of_the_root() {
    let published = "\
        . IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n\
        . IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n";
    assert_eq!(Anchors::parse(published).unwrap(), Anchors::root());
    let anchors = Anchors::root();
    let Closest::Anchor(root) = anchors.closest(&name("mail.example"), 0) else { panic!() };
    let keys = root_keys();
    assert_eq!(keys.iter().map(Dnskey::key_tag).collect::<Vec<_>>(), [20326, 38696]);
    for key in &keys {
        assert!(root.vouches_for(key, &Digests));
        assert!(!root.vouches_for(&key.revoked(), &Digests), "a revoked key is no anchor");
        // Any octet of it matters; so does the zone.
        for place in 0..key.public_key.len() {
            let mut other = key.clone();
            other.public_key[place] ^= 1;
            assert!(!root.vouches_for(&other, &Digests), "octet {place}");
        }
        assert!(!Anchor { zone: name("example"), ..root.clone() }.vouches_for(key, &Digests));
    }
    // Keys themselves are anchors too, but not with the flag that withdraws them.
    let by_key = Anchor { keys: vec![keys[0].clone(), keys[1].revoked()], ..Anchor::new(Name::root()) };
    assert!(by_key.vouches_for(&keys[0], &Digests) && !by_key.vouches_for(&keys[1], &Digests));
    assert!(!by_key.vouches_for(&keys[1].revoked(), &Digests));
}

#[test]
fn sha_384_vouches_and_sha_1_does_not() {
    let key = &root_keys()[0];
    let anchor = |digest_type| {
        let ds = key.digest(&Name::root(), digest_type, &Digests).unwrap();
        Anchor { ds: vec![ds], ..Anchor::new(Name::root()) }
    };
    assert!(anchor(4).vouches_for(key, &Digests));
    assert!(!anchor(1).vouches_for(key, &Digests));
}

#[test]
fn several_zones_and_repetitions() {
    let digest = "00".repeat(32);
    let text = format!(
        "$ORIGIN Example.\n@ DS 1 13 2 {digest}\n@ DS 1 13 2 {digest}\nsub DNSKEY 256 3 15 AwEA\n@ DS 1 13 4 {digest}{}\n",
        "00".repeat(16)
    );
    let anchors = Anchors::parse(&text).unwrap();
    let counts: Vec<_> =
        anchors.iter().map(|anchor| (anchor.zone.to_string(), anchor.ds.len(), anchor.keys.len())).collect();
    assert_eq!(counts, [("example.".into(), 2, 0), ("sub.example.".into(), 0, 1)]);
}

#[test]
fn what_cannot_be_used_is_named() {
    let fault = |text: &str| match Anchors::parse(text) {
        Err(AnchorsError::Unusable { line, fault }) => (line, fault),
        other => panic!("{text}: {other:?}"),
    };
    let digest = "00".repeat(32);
    assert_eq!(fault("\n. A 192.0.2.1"), (2, AnchorFault::Type(Rtype::A)));
    assert_eq!(fault(&format!(". DS 1 5 2 {digest}")), (1, AnchorFault::Algorithm(5)));
    assert_eq!(fault(". DS 1 8 1 00"), (1, AnchorFault::DigestType(1)));
    let length = AnchorFault::DigestLength { digest_type: 4, expected: 48, found: 32 };
    assert_eq!(fault(&format!(". DS 1 8 4 {digest}")), (1, length));
    assert_eq!(fault(". DNSKEY 257 3 7 AwEA"), (1, AnchorFault::Algorithm(7)));
    assert_eq!(fault(". DNSKEY 385 3 8 AwEA"), (1, AnchorFault::Revoked));
    assert_eq!(fault(". DNSKEY 1 3 8 AwEA"), (1, AnchorFault::NotZoneKey));
    assert_eq!(fault(". DNSKEY 257 2 8 AwEA"), (1, AnchorFault::NotZoneKey));
    assert_eq!(Anchors::parse("; nothing\n"), Err(AnchorsError::Empty));
    assert!(matches!(Anchors::parse(". DS"), Err(AnchorsError::Zonefile(_))));
    let shown = Anchors::parse(&format!("\n. DS 1 5 2 {digest}")).unwrap_err().to_string();
    assert_eq!(shown, "line 2: keys of algorithm 5 (RSASHA1) are not supported");
}

#[test]
fn the_closest_anchor_counts() {
    let mut anchors = Anchors::root();
    let anchor = Anchor { keys: root_keys(), ..Anchor::new(name("b.example")) };
    anchors.set(anchor.clone());
    assert_eq!(anchors.closest(&name("a.b.example"), 0), Closest::Anchor(&anchor));
    assert_eq!(anchors.closest(&name("b.example"), 0), Closest::Anchor(&anchor));
    let Closest::Anchor(root) = anchors.closest(&name("xb.example"), 0) else { panic!() };
    assert!(root.zone.is_root());
    let mut island = Anchors::default();
    island.set(anchor.clone());
    assert_eq!(island.closest(&name("example"), 0), Closest::None);
}

#[test]
fn negative_anchors_cut_off_what_is_below_until_they_end() {
    let mut anchors = Anchors::root();
    let anchor = Anchor { keys: root_keys(), ..Anchor::new(name("inner.broken.example")) };
    anchors.set(anchor.clone());
    anchors.distrust(name("broken.example"), 100);
    let broken = name("broken.example");
    assert_eq!(anchors.closest(&broken, 99), Closest::Negative(&broken));
    assert_eq!(anchors.closest(&name("mail.broken.example"), 99), Closest::Negative(&broken));
    // RFC 7646 §1.1, §2.1: neither other zones nor an anchor of its own further down are affected.
    assert!(matches!(anchors.closest(&name("example"), 99), Closest::Anchor(_)));
    assert!(matches!(anchors.closest(&name("unbroken.example"), 99), Closest::Anchor(_)));
    assert_eq!(anchors.closest(&name("a.inner.broken.example"), 99), Closest::Anchor(&anchor));
    // §4: it ends by itself.
    assert!(matches!(anchors.closest(&broken, 100), Closest::Anchor(_)));
    // §3: in one place the negative one counts.
    anchors.distrust(anchor.zone.clone(), 100);
    assert_eq!(anchors.closest(&anchor.zone, 99), Closest::Negative(&anchor.zone));
    assert_eq!(anchors.negative().count(), 2);
}

#[test]
fn a_zone_whose_keys_are_all_revoked_does_not_become_insecure() {
    let mut anchors = Anchors::root();
    anchors.withdraw(name("example"));
    // RFC 5011 §5: the anchor above counts where there is one.
    let Closest::Anchor(root) = anchors.closest(&name("a.example"), 0) else { panic!() };
    assert!(root.zone.is_root());
    anchors.withdraw(Name::root());
    assert_eq!(anchors.closest(&name("a.example"), 0), Closest::Withdrawn(&name("example")));
    assert_eq!(anchors.closest(&name("org"), 0), Closest::Withdrawn(&Name::root()));
    anchors.distrust(name("org"), 1);
    assert_eq!(anchors.closest(&name("org"), 0), Closest::Negative(&name("org")));
}
