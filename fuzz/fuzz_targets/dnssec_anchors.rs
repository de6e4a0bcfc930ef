//! Trust anchors and their updates: states are written and read back the same, and no set of keys, whoever signed it,
//! makes an anchor of a key that has not waited or was revoked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_dns::zonefile::ZoneRecord;
use mailstead_dns::{Record, Rtype};
use mailstead_dnssec::rfc5011::{KeyState, Observation, TrustPoint};
use mailstead_dnssec::{Anchor, Anchors, Closest, Crypto, Dnskey, Verdict};

/// Digests that are not, so that the fuzzer can make anchors of its own.
#[derive(Debug)]
struct Fold;

impl Crypto for Fold {
    fn verify(&self, _: u8, _: &[u8], _: &[u8], _: &[u8]) -> Verdict {
        Verdict::Invalid
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        let mut digest = vec![0; if digest_type == 4 { 48 } else { 32 }];
        let length = digest.len();
        data.iter().enumerate().for_each(|(place, octet)| digest[place % length] ^= octet);
        Some(digest)
    }

    fn sha1(&self, _: &[u8]) -> [u8; 20] {
        [0; 20]
    }
}

fn written(anchors: &Anchors) -> String {
    let mut text = String::new();
    for anchor in anchors.iter() {
        for ds in &anchor.ds {
            text += &format!("{} DS {}\n", anchor.zone, Record::Ds(ds.clone()));
        }
        for key in &anchor.keys {
            let data = key.to_data().into();
            let record = ZoneRecord { line: 1, owner: anchor.zone.clone(), ttl: None, rtype: Rtype::DNSKEY, data };
            text += &format!("{record}\n");
        }
    }
    text
}

fn trusts(point: &TrustPoint, configured: &Anchor, key: &Dnskey) -> bool {
    point.anchor(configured, &Fold).is_some_and(|anchor| anchor.vouches_for(key, &Fold))
}

/// Shows a trust point its own keys and the configured ones, each as three bits say.
fn follow(point: &TrustPoint, configured: &Anchor, bits: u64) {
    let known = point.keys().iter().map(|tracked| &tracked.key);
    let new = Dnskey { flags: 257, protocol: 3, algorithm: 13, public_key: [0; 64].into() };
    let subjects: Vec<Dnskey> = [new].iter().chain(known).chain(&configured.keys).take(20).cloned().collect();
    let (mut keys, mut signers) = (Vec::new(), Vec::new());
    for (place, key) in subjects.iter().enumerate() {
        let bits = bits >> (3 * place);
        let forms = [(bits & 1 != 0, key.clone()), (bits & 2 != 0, key.revoked())];
        for (_, form) in forms.into_iter().filter(|(shown, _)| *shown) {
            if bits & 4 != 0 {
                signers.push(form.clone());
            }
            keys.push(form);
        }
    }
    let now = 1_800_000_000 + (bits >> 60) * 10 * 86_400;
    let seen = Observation { keys: &keys, signers: &signers, original_ttl: 172_800 };
    let Ok(update) = point.observe(configured, &seen, &Fold, now) else { return };
    for key in &subjects {
        let before = point.keys().iter().find(|tracked| tracked.key == *key).map(|tracked| &tracked.state);
        let trusted = trusts(&update.point, configured, key);
        let waited = matches!(before, Some(KeyState::AddPend { until, .. }) if *until <= now);
        if trusted && !trusts(point, configured, key) {
            assert!(waited || configured.vouches_for(key, &Fold));
        }
        let was_revoked = matches!(before, Some(KeyState::Revoked { .. } | KeyState::Removed));
        let is_revoked = trusts(point, configured, key) && signers.contains(&key.revoked());
        assert!(!(trusted && (was_revoked || is_revoked)));
    }
    if !update.point.keys().is_empty() {
        assert_eq!(TrustPoint::parse_all(&update.point.to_string()), Ok(vec![update.point]));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((bits, text)) = data.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let anchors = Anchors::parse(text).unwrap_or_default();
    if anchors != Anchors::default() {
        assert_eq!(Anchors::parse(&written(&anchors)).as_ref(), Ok(&anchors));
        for anchor in anchors.iter() {
            assert_eq!(anchors.closest(&anchor.zone, 0), Closest::Anchor(anchor));
        }
    }
    let Ok(points) = TrustPoint::parse_all(text) else { return };
    let again: String = points.iter().map(ToString::to_string).collect();
    assert_eq!(TrustPoint::parse_all(&again).as_ref(), Ok(&points));
    for point in &points {
        let configured = anchors.iter().find(|anchor| anchor.zone == *point.zone()).cloned();
        let nothing = Anchor::new(point.zone().clone());
        for configured in [configured.as_ref().unwrap_or(&nothing), &nothing] {
            follow(point, configured, u64::from_le_bytes(*bits));
        }
    }
});
