use proptest::prelude::*;

use super::*;
use crate::anchors::tests::{Digests, root_keys};
use crate::{Anchors, Closest};

/// The beginning of the year 2026.
const START: u64 = 1_767_225_600;

fn key(number: u8) -> Dnskey {
    Dnskey { flags: 257, protocol: 3, algorithm: 8, public_key: [3, 1, 0, 1, number, number].into() }
}

/// A configuration that trusts these keys: by themselves, so that no digests are needed.
fn configured(keys: &[u8]) -> Anchor {
    Anchor { keys: keys.iter().map(|number| key(*number)).collect(), ..Anchor::new(Name::root()) }
}

/// What is needed again and again: keys and their signers, with a TTL of two days.
fn see<'a>(
    point: &TrustPoint,
    configured: &Anchor,
    keys: impl IntoIterator<Item = &'a Dnskey>,
    signers: impl IntoIterator<Item = &'a Dnskey>,
    now: u64,
) -> Result<Update, NotAuthenticated> {
    let keys: Vec<_> = keys.into_iter().cloned().collect();
    let signers: Vec<_> = signers.into_iter().cloned().collect();
    let seen = Observation { keys: &keys, signers: &signers, original_ttl: 172_800 };
    point.observe(configured, &seen, &Digests, now)
}

fn changes(update: &Update) -> Vec<(u16, Change)> {
    update
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Key { key_tag, change, .. } => Some((*key_tag, *change)),
            Event::Deleted => None,
        })
        .collect()
}

fn state<'a>(point: &'a TrustPoint, key: &Dnskey) -> Option<&'a KeyState> {
    point.keys.iter().find(|tracked| tracked.key == *key).map(|tracked| &tracked.state)
}

fn state_name(point: &TrustPoint, key: &Dnskey) -> &'static str {
    match state(point, key) {
        None => "Start",
        Some(KeyState::AddPend { .. }) => "AddPend",
        Some(KeyState::Valid(_)) => "Valid",
        Some(KeyState::Missing(_)) => "Missing",
        Some(KeyState::Revoked { .. }) => "Revoked",
        Some(KeyState::Removed) => "Removed",
        Some(KeyState::Withdrawn) => "Withdrawn",
    }
}

fn trusts(point: &TrustPoint, configured: &Anchor, key: &Dnskey) -> bool {
    point.anchor(configured, &Digests).is_some_and(|anchor| anchor.vouches_for(key, &Digests))
}

#[test]
fn the_table_of_section_4() {
    let (other, subject) = (key(1), key(2));
    let states = [
        ("Start", None),
        ("AddPend", Some(KeyState::AddPend { until: START + ADD_HOLD_DOWN, validated_by: vec![other.key_tag()] })),
        ("Valid", Some(KeyState::Valid(Origin::Accepted))),
        ("Missing", Some(KeyState::Missing(Origin::Accepted))),
        ("Revoked", Some(KeyState::Revoked { absent_since: Some(START) })),
        ("Removed", Some(KeyState::Removed)),
        ("Withdrawn", Some(KeyState::Withdrawn)),
    ];
    // In the set, not in it, in it with REVOKE and its own signature, in it with REVOKE and without. 30 days late, and
    // a second before that.
    let [early, late] = [START + ADD_HOLD_DOWN - 1, START + ADD_HOLD_DOWN];
    type Row = (&'static str, u64, [&'static str; 4]);
    let table: [Row; 14] = [
        ("Start", early, ["AddPend", "Start", "Start", "Start"]),
        ("Start", late, ["AddPend", "Start", "Start", "Start"]),
        ("AddPend", early, ["AddPend", "Start", "Start", "Start"]),
        ("AddPend", late, ["Valid", "Start", "Start", "Start"]),
        ("Valid", early, ["Valid", "Missing", "Revoked", "Missing"]),
        ("Valid", late, ["Valid", "Missing", "Revoked", "Missing"]),
        ("Missing", early, ["Valid", "Missing", "Revoked", "Missing"]),
        ("Missing", late, ["Valid", "Missing", "Revoked", "Missing"]),
        ("Revoked", early, ["Revoked", "Revoked", "Revoked", "Revoked"]),
        ("Revoked", late, ["Revoked", "Removed", "Revoked", "Revoked"]),
        ("Removed", early, ["Removed", "Removed", "Removed", "Removed"]),
        ("Removed", late, ["Removed", "Removed", "Removed", "Removed"]),
        ("Withdrawn", early, ["Withdrawn", "Withdrawn", "Revoked", "Withdrawn"]),
        ("Withdrawn", late, ["Withdrawn", "Withdrawn", "Revoked", "Withdrawn"]),
    ];
    for (from, now, expected) in table {
        let from_state = states.iter().find(|(name, _)| *name == from).unwrap().1.clone();
        let mut point = TrustPoint::new(Name::root());
        point.keys.push(TrackedKey { key: other.clone(), state: KeyState::Valid(Origin::Configured), since: START });
        point.keys.extend(from_state.map(|state| TrackedKey { key: subject.clone(), state, since: START }));
        let configured = configured(&[1]);
        let sets = [
            (vec![other.clone(), subject.clone()], vec![other.clone()]),
            (vec![other.clone()], vec![other.clone()]),
            (vec![other.clone(), subject.revoked()], vec![other.clone(), subject.revoked()]),
            (vec![other.clone(), subject.revoked()], vec![other.clone()]),
        ];
        for ((keys, signers), expected) in sets.iter().zip(expected) {
            let update = see(&point, &configured, keys, signers, now).unwrap();
            let to = state_name(&update.point, &subject);
            assert_eq!(to, expected, "{from} at {now}: {keys:?} signed by {signers:?}");
            // Only what moves is told, and since when it is so.
            assert_eq!(update.events.len(), usize::from(from != to), "{from} at {now}: {:?}", update.events);
            if let Some(tracked) = update.point.keys.iter().find(|tracked| tracked.key == subject) {
                assert_eq!(tracked.since, if from == to { START } else { now });
            }
            assert_eq!(trusts(&update.point, &configured, &subject), matches!(to, "Valid" | "Missing"));
        }
    }
}

#[test]
fn bootstrap_from_the_digests_of_the_root() {
    let anchors = Anchors::root();
    let Closest::Anchor(root) = anchors.closest(&Name::root(), START) else { panic!() };
    let keys = root_keys();
    let point = TrustPoint::new(Name::root());
    assert_eq!(point.anchor(root, &Digests).as_ref(), Some(root), "at first what is configured counts");

    // Before the second key was published: the digest of it stays trusted.
    let update = see(&point, root, &keys[..1], &keys[..1], START).unwrap();
    assert_eq!(changes(&update), [(20326, Change::Trusted)]);
    let anchor = update.point.anchor(root, &Digests).unwrap();
    assert_eq!((anchor.keys.as_slice(), anchor.ds.as_slice()), (&keys[..1], &root.ds[1..]));
    let later = see(&update.point, root, &keys, &keys[..1], START + DAY).unwrap();
    assert_eq!(changes(&later), [(38696, Change::Trusted)], "a configured key waits for nothing");
    assert!(later.point.anchor(root, &Digests).unwrap().ds.is_empty());

    // With one digest only, the other key waits.
    let old = Anchor { ds: root.ds[..1].to_vec(), ..root.clone() };
    let update = see(&point, &old, &keys, &keys[..1], START).unwrap();
    let until = START + ADD_HOLD_DOWN;
    assert_eq!(changes(&update), [(20326, Change::Trusted), (38696, Change::Pending { until })]);
    assert!(!trusts(&update.point, &old, &keys[1]));
    // Signed by it alone, the set proves nothing.
    assert_eq!(see(&update.point, &old, &keys, &keys[1..], until), Err(NotAuthenticated));
    let update = see(&update.point, &old, &keys, &keys[..1], until).unwrap();
    assert_eq!(changes(&update), [(38696, Change::Accepted)]);
    assert!(see(&update.point, &old, &keys, &keys[1..], until + DAY).unwrap().events.is_empty());
}

#[test]
fn a_key_roll_over() {
    // §6.3: A active, B in reserve; C is added and A revoked at the same time.
    let (a, b, c) = (key(1), key(2), key(3));
    let configured = configured(&[1, 2]);
    let point = TrustPoint::new(Name::root());
    let point = see(&point, &configured, [&a, &b], [&a], START).unwrap().point;
    let keys = [a.revoked(), b.clone(), c.clone()];
    let update = see(&point, &configured, &keys, &[a.revoked(), b.clone()], START + DAY).unwrap();
    let until = START + DAY + ADD_HOLD_DOWN;
    assert_eq!(changes(&update), [(a.key_tag(), Change::Revoked), (c.key_tag(), Change::Pending { until })]);
    assert!(!trusts(&update.point, &configured, &a) && trusts(&update.point, &configured, &b));
    // Only who is still trusted has vouched for the new one.
    assert_eq!(state(&update.point, &c), Some(&KeyState::AddPend { until, validated_by: vec![b.key_tag()] }));
    let update = see(&update.point, &configured, &keys, &[a.revoked(), b.clone()], until).unwrap();
    assert_eq!(changes(&update), [(c.key_tag(), Change::Accepted)]);
    // A disappears, and is not welcome when it comes back as if nothing had been.
    let rest = [b.clone(), c.clone()];
    let update = see(&update.point, &configured, &rest, [&c], until + DAY).unwrap();
    assert_eq!(state(&update.point, &a), Some(&KeyState::Revoked { absent_since: Some(until + DAY) }));
    let gone = until + DAY + REMOVE_HOLD_DOWN;
    let update = see(&update.point, &configured, &rest, [&c], gone).unwrap();
    assert_eq!(changes(&update), [(a.key_tag(), Change::Removed)]);
    let keys = [a.clone(), b, c.clone()];
    let update = see(&update.point, &configured, &keys, &[a.clone(), c], gone + 99 * DAY).unwrap();
    assert!(update.events.is_empty() && !trusts(&update.point, &configured, &a));
    assert_eq!(see(&update.point, &configured, &keys, [&a], gone), Err(NotAuthenticated));
}

#[test]
fn only_the_key_itself_revokes_it() {
    let (a, b) = (key(1), key(2));
    let configured = configured(&[1, 2]);
    let keys = [a.clone(), b.clone()];
    let point = see(&TrustPoint::new(Name::root()), &configured, &keys, &keys, START).unwrap().point;
    // §2.1: whoever has B cannot revoke A, not even with a key of A's tag.
    let keys = [a.revoked(), b.clone()];
    let same_tag = Dnskey { public_key: [0, 1, 3, 1, 1, 1].into(), ..a.revoked() };
    assert!(same_tag.key_tag() == a.revoked().key_tag() && same_tag != a.revoked());
    let with_twin = [a.revoked(), b.clone(), same_tag.clone()];
    for (keys, signers) in [(&keys[..], vec![b.clone()]), (&with_twin[..], vec![b.clone(), same_tag])] {
        let update = see(&point, &configured, keys, &signers, START).unwrap();
        assert_eq!(changes(&update), [(a.key_tag(), Change::Missing)]);
        assert!(trusts(&update.point, &configured, &a), "a missing key stays an anchor");
    }
    // A signer that is not in the set has signed another.
    let absent = see(&point, &configured, [&b], &[a.revoked(), b.clone()], START).unwrap();
    assert_eq!(changes(&absent), [(a.key_tag(), Change::Missing)]);
    assert_eq!(see(&point, &configured, [&b], &[a], START), Err(NotAuthenticated));
}

#[test]
fn a_revocation_needs_no_other_signature() {
    let (a, c) = (key(1), key(3));
    let configured = configured(&[1, 2]);
    let point = TrustPoint::new(Name::root());
    // Signed by nobody who is trusted: the revocation counts, the new key does not.
    let keys = [a.revoked(), c];
    let update = see(&point, &configured, &keys, &keys, START).unwrap();
    assert_eq!(changes(&update), [(a.key_tag(), Change::Revoked)]);
    assert_eq!(update.point.keys.len(), 1);
    assert!(!trusts(&update.point, &configured, &a), "the configured key is not trusted behind its back");
    // Once is enough: the second time it is a set that nobody has proved.
    assert_eq!(see(&update.point, &configured, &keys, &keys, START), Err(NotAuthenticated));
}

#[test]
fn a_trust_point_that_loses_all_keys_says_so() {
    // §6.6: everything is revoked and new keys are added in one go.
    let (a, b, c) = (key(1), key(2), key(3));
    let configured = configured(&[1, 2]);
    let keys = [a.clone(), b.clone()];
    let point = see(&TrustPoint::new(Name::root()), &configured, &keys, &keys, START).unwrap().point;
    let keys = [a.revoked(), b.revoked(), c.clone()];
    let update = see(&point, &configured, &keys, &keys, START).unwrap();
    assert_eq!(changes(&update), [(a.key_tag(), Change::Revoked), (b.key_tag(), Change::Revoked)]);
    assert_eq!(update.events.last(), Some(&Event::Deleted));
    assert_eq!(update.point.anchor(&configured, &Digests), None);
    assert_eq!(see(&update.point, &configured, &keys, [&c], START), Err(NotAuthenticated));
    // A new version of the software brings the new key.
    let newer = self::configured(&[2, 3]);
    let update = update.point.reconcile(&newer, &Digests, START);
    assert!(trusts(&update.point, &newer, &c) && !trusts(&update.point, &newer, &b));
}

#[test]
fn a_new_key_waits_for_its_time_without_a_break() {
    let (a, c) = (key(1), key(3));
    let configured = configured(&[1]);
    let with = [a.clone(), c.clone()];
    let signers = [a.clone()];
    let point = see(&TrustPoint::new(Name::root()), &configured, &with, &signers, START).unwrap().point;
    // §2.2: absent once, and it begins anew.
    let update = see(&point, &configured, &signers, &signers, START + 29 * DAY).unwrap();
    assert_eq!(changes(&update), [(c.key_tag(), Change::Vanished)]);
    let update = see(&update.point, &configured, &with, &signers, START + ADD_HOLD_DOWN).unwrap();
    assert!(matches!(changes(&update)[..], [(_, Change::Pending { until })] if until == START + 2 * ADD_HOLD_DOWN));
    // A set that proves nothing neither stops it nor makes it an anchor.
    assert_eq!(see(&update.point, &configured, &signers, &[], START + 31 * DAY), Err(NotAuthenticated));
    assert_eq!(see(&update.point, &configured, &with, [&c], START + 99 * DAY), Err(NotAuthenticated));
    // §2.4.1: the TTL, where it is longer.
    let seen = Observation { keys: &with, signers: &signers, original_ttl: 31 * DAY as u32 };
    let update = TrustPoint::new(Name::root()).observe(&configured, &seen, &Digests, START).unwrap();
    assert_eq!(changes(&update)[1].1, Change::Pending { until: START + 31 * DAY });
}

#[test]
fn a_new_key_falls_with_those_that_vouched_for_it() {
    let (a, b, c) = (key(1), key(2), key(3));
    let configured = configured(&[1, 2]);
    let keys = [a.clone(), b.clone(), c.clone()];
    let point = see(&TrustPoint::new(Name::root()), &configured, &keys, [&a], START).unwrap().point;
    let keys = [a.revoked(), b.clone(), c.clone()];
    let update = see(&point, &configured, &keys, &[a.revoked(), b.clone()], START + ADD_HOLD_DOWN).unwrap();
    let until = START + 2 * ADD_HOLD_DOWN;
    let expected =
        [(a.key_tag(), Change::Revoked), (c.key_tag(), Change::Unvouched), (c.key_tag(), Change::Pending { until })];
    assert_eq!(changes(&update), expected);
    assert_eq!(state(&update.point, &c), Some(&KeyState::AddPend { until, validated_by: vec![b.key_tag()] }));
    // With two vouchers, one may go.
    let keys = [a.clone(), b.clone(), c.clone()];
    let signers = [a.clone(), b.clone()];
    let point = see(&TrustPoint::new(Name::root()), &configured, &keys, &signers, START).unwrap().point;
    let keys = [a.revoked(), b.clone(), c.clone()];
    let update = see(&point, &configured, &keys, &[a.revoked(), b], START + ADD_HOLD_DOWN).unwrap();
    assert_eq!(changes(&update), [(a.key_tag(), Change::Revoked), (c.key_tag(), Change::Accepted)]);
}

#[test]
fn keys_that_are_no_entry_points_are_not_followed() {
    let a = key(1);
    let configured = configured(&[1]);
    let zone_signing = Dnskey { flags: 256, ..key(4) };
    let not_of_a_zone = Dnskey { flags: 1, ..key(5) };
    let unsupported = Dnskey { algorithm: 16, ..key(6) };
    let keys = [a.clone(), zone_signing, not_of_a_zone, unsupported.clone(), key(7).revoked()];
    let update = see(&TrustPoint::new(Name::root()), &configured, &keys, &keys, START).unwrap();
    assert_eq!(changes(&update), [(a.key_tag(), Change::Trusted), (unsupported.key_tag(), Change::Unsupported)]);
    assert_eq!(update.point.keys.len(), 1);
}

#[test]
fn the_number_of_keys_is_bounded_and_what_is_gone_makes_room() {
    let a = key(1);
    let configured = configured(&[1, 250]);
    let keys: Vec<_> = (1..=100).map(key).collect();
    let update = see(&TrustPoint::new(Name::root()), &configured, &keys, [&a], START).unwrap();
    assert_eq!(update.point.keys.len(), MOST_KEYS);
    assert_eq!(changes(&update).iter().filter(|(_, change)| *change == Change::TooMany).count(), 100 - MOST_KEYS);
    let mut point = update.point;
    for (place, tracked) in point.keys.iter_mut().enumerate().skip(1).take(3) {
        (tracked.state, tracked.since) = (KeyState::Removed, START - place as u64);
    }
    // The oldest that is not configured.
    point.keys[3].key = key(250);
    let keys: Vec<_> = [1].into_iter().chain(5..=64).chain([200]).map(key).collect();
    let update = see(&point, &configured, &keys, &[a], START).unwrap();
    assert_eq!(state_name(&update.point, &key(200)), "AddPend");
    assert_eq!([2, 3, 250].map(|number| state_name(&update.point, &key(number))), ["Removed", "Start", "Removed"]);
    assert_eq!(update.point.keys.len(), MOST_KEYS);
}

#[test]
fn a_new_version_brings_and_takes_away_what_it_vouches_for() {
    let (a, b, c) = (key(1), key(2), key(3));
    let old = configured(&[1, 2]);
    let keys = [a.clone(), b.clone(), c.clone()];
    let point = see(&TrustPoint::new(Name::root()), &old, &keys, [&a, &b], START).unwrap().point;
    let point = see(&point, &old, &keys, [&a], START + ADD_HOLD_DOWN).unwrap().point;
    assert_eq!(state(&point, &c), Some(&KeyState::Valid(Origin::Accepted)));
    // What it does not name any more goes, but not what the zone itself has brought.
    let newer = configured(&[2, 4]);
    let update = point.reconcile(&newer, &Digests, START);
    assert_eq!(changes(&update), [(a.key_tag(), Change::Withdrawn)]);
    assert!(
        !trusts(&update.point, &newer, &a) && trusts(&update.point, &newer, &b) && trusts(&update.point, &newer, &c)
    );
    assert!(trusts(&update.point, &newer, &key(4)), "and what it brings is there at once");
    // It does not come back by waiting.
    let later = see(&update.point, &newer, &keys, [&b], START + 99 * DAY).unwrap();
    assert!(later.events.is_empty() && !trusts(&later.point, &newer, &a));
    // Back to the old version.
    let update = later.point.reconcile(&old, &Digests, START);
    assert_eq!(changes(&update), [(a.key_tag(), Change::Trusted)]);
    assert!(trusts(&update.point, &old, &a));
    // A key that waits is trusted when the configuration names it.
    let point = see(&TrustPoint::new(Name::root()), &old, &keys, [&a], START).unwrap().point;
    let update = point.reconcile(&configured(&[1, 2, 3]), &Digests, START);
    assert_eq!(changes(&update), [(c.key_tag(), Change::Trusted)]);
    // And falls with its only voucher.
    let update = point.reconcile(&configured(&[2]), &Digests, START);
    assert_eq!(changes(&update), [(a.key_tag(), Change::Withdrawn), (c.key_tag(), Change::Unvouched)]);
}

#[test]
fn another_zone_of_the_same_name_begins_anew() {
    // A root of one's own in place of the real one, and back.
    let (a, b, c, d) = (key(1), key(2), key(3), key(4));
    let real = configured(&[1]);
    let point = see(&TrustPoint::new(Name::root()), &real, [&a, &b], [&a], START).unwrap().point;
    let point = see(&point, &real, [&a, &b, &c], [&a], START + ADD_HOLD_DOWN).unwrap().point;
    assert!(trusts(&point, &real, &b));
    let own = configured(&[4]);
    let update = point.reconcile(&own, &Digests, START);
    let expected =
        [(a.key_tag(), Change::Withdrawn), (b.key_tag(), Change::Withdrawn), (c.key_tag(), Change::Unvouched)];
    assert_eq!(changes(&update), expected);
    assert_eq!(update.point.anchor(&own, &Digests), Some(own.clone()));
    let point = see(&update.point, &own, [&d], [&d], START).unwrap().point;
    let update = point.reconcile(&real, &Digests, START);
    assert!(trusts(&update.point, &real, &a) && !trusts(&update.point, &real, &d));
    assert_eq!(state_name(&update.point, &b), "Start", "it may be accepted once more");
}

#[test]
fn when_to_ask_again() {
    let refresh = |ttl, expires_in: u64| {
        let refresh = Refresh::new(ttl, (START + expires_in) as u32, START);
        (refresh.query.as_secs(), refresh.retry.as_secs())
    };
    // §2.3. The root: two days of TTL, some two weeks of signature.
    assert_eq!(refresh(172_800, 14 * DAY), (DAY, 17_280));
    assert_eq!(refresh(172_800, DAY), (12 * HOUR, 8_640));
    assert_eq!(refresh(60 * DAY as u32, 60 * DAY), (15 * DAY, DAY));
    assert_eq!(refresh(60, 14 * DAY), (HOUR, HOUR));
    // Expired, or with a clock that is wrong.
    let expired = Refresh::new(172_800, (START - 5) as u32, START);
    assert_eq!(expired, Refresh::default());
    // Beyond 2106 times begin again.
    let wrapped = Refresh::new(u32::MAX, 10 * DAY as u32, (1 << 32) - DAY);
    assert_eq!(wrapped.query.as_secs(), 11 * DAY / 2);
}

#[test]
fn states_as_text() {
    let text = "; what Mailstead knows about the keys of the root\n\n\
        . IN DNSKEY 257 3 8 AwEAAQEB ;; tag=2060 state=VALID origin=CONFIGURED since=2026-01-01T00:00:00Z\n\
        . IN DNSKEY 257 3 8 AwEAAQIC ;; tag=2317 state=ADDPEND since=2026-01-01T00:00:00Z \
        until=2026-01-31T00:00:00Z by=2060,7\n\
        example. IN DNSKEY 257 3 8 AwEAAQMD ;; tag=2574 state=REVOKED since=2026-01-01T00:00:00Z\n";
    let points = TrustPoint::parse_all(text).unwrap();
    let [root, example] = &points[..] else { panic!("{points:?}") };
    let tracked = |number, state| TrackedKey { key: key(number), state, since: START };
    let pending = KeyState::AddPend { until: START + 30 * DAY, validated_by: vec![2060, 7] };
    assert_eq!(root.keys(), [tracked(1, KeyState::Valid(Origin::Configured)), tracked(2, pending)]);
    assert_eq!(example.keys(), [tracked(3, KeyState::Revoked { absent_since: None })]);
    let lines: String = text.lines().skip(2).map(|line| format!("{line}\n")).collect();
    assert_eq!(format!("{root}{example}"), lines);

    let mistake = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let error = TrustPoint::parse_all(&text.replacen(from, to, 1)).unwrap_err();
        (error.line, error.kind)
    };
    assert_eq!(mistake("tag=2060", "tag=2061"), (3, StateErrorKind::Tag));
    assert_eq!(mistake("AwEAAQEB", "AwEAAQEC"), (3, StateErrorKind::Tag));
    assert_eq!(mistake("257", "385"), (3, StateErrorKind::NotKey));
    assert_eq!(mistake("3 8 AwEAAQIC", "3 5 AwEAAQIC"), (4, StateErrorKind::NotKey));
    assert_eq!(mistake("since", "seit"), (3, StateErrorKind::Missing("since")));
    assert_eq!(mistake(" ;; tag=2060", " ; tag=2060"), (3, StateErrorKind::Missing("state")));
    assert_eq!(mistake("VALID", "GOOD"), (3, StateErrorKind::Field));
    assert_eq!(mistake("CONFIGURED", "SOMEHOW"), (3, StateErrorKind::Field));
    assert_eq!(mistake("2026-01-31", "2026-02-31"), (4, StateErrorKind::Field));
    assert_eq!(mistake("by=2060,7", "by="), (4, StateErrorKind::Field));
    assert_eq!(mistake("REVOKED", "REVOKED until=2026-01-01T00:00:00Z"), (5, StateErrorKind::Field));
    assert_eq!(mistake("AwEAAQIC ;; tag=2317", "AwEAAQEB ;; tag=2060"), (4, StateErrorKind::Twice));
    assert!(matches!(mistake("DNSKEY 257", "DNSKEY x"), (3, StateErrorKind::Record(_))));
    assert_eq!(TrustPoint::parse_all("; nothing\n").unwrap_err().kind, StateErrorKind::Empty);
}

fn times() -> impl Strategy<Value = u64> {
    0..4_000_000_000_u64
}

fn states() -> impl Strategy<Value = KeyState> {
    let origin = || prop_oneof![Just(Origin::Configured), Just(Origin::Accepted)];
    prop_oneof![
        (times(), proptest::collection::vec(any::<u16>(), 1..4))
            .prop_map(|(until, validated_by)| KeyState::AddPend { until, validated_by }),
        origin().prop_map(KeyState::Valid),
        origin().prop_map(KeyState::Missing),
        proptest::option::of(times()).prop_map(|absent_since| KeyState::Revoked { absent_since }),
        Just(KeyState::Removed),
        Just(KeyState::Withdrawn),
    ]
}

fn trust_points() -> impl Strategy<Value = TrustPoint> {
    let key = (proptest::collection::vec(any::<u8>(), 1..40), any::<bool>()).prop_map(|(public_key, entry_point)| {
        Dnskey { flags: 256 | u16::from(entry_point), protocol: 3, algorithm: 13, public_key: public_key.into() }
    });
    let zone = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..6), 0..3)
        .prop_map(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap());
    (zone, proptest::collection::hash_map(key, (states(), times()), 1..6)).prop_map(|(zone, keys)| TrustPoint {
        zone,
        keys: keys.into_iter().map(|(key, (state, since))| TrackedKey { key, state, since }).collect(),
    })
}

/// What a zone shows of a key, and whether the key has signed it.
#[derive(Debug, Clone, Copy)]
struct Shown {
    plain: bool,
    revoked: bool,
    signs: bool,
}

fn shown() -> impl Strategy<Value = Shown> {
    // Mostly as zones are, so that sequences get somewhere.
    let weighted = proptest::bool::weighted;
    (weighted(0.85), weighted(0.1), weighted(0.6)).prop_map(|(plain, revoked, signs)| Shown { plain, revoked, signs })
}

proptest! {
    #[test]
    fn states_are_read_back(points in proptest::collection::vec(trust_points(), 1..4), cut: proptest::sample::Index) {
        let mut distinct = points;
        distinct.sort_by(|a, b| a.zone.cmp(&b.zone));
        distinct.dedup_by(|a, b| a.zone == b.zone);
        let text: String = distinct.iter().map(ToString::to_string).collect();
        let whole = TrustPoint::parse_all(&text);
        prop_assert_eq!(whole.as_ref(), Ok(&distinct));
        // Cut between two lines it says less; anywhere else nothing at all, or as much as the line does without its end.
        let cut = TrustPoint::parse_all(&text[..cut.index(text.len())]);
        prop_assert!(cut.is_err() || cut.map_or(0, |points| points.len()) <= distinct.len());
    }

    #[test]
    fn no_sequence_of_sets_leads_to_trust_that_it_should_not(
        steps in proptest::collection::vec((proptest::array::uniform5(shown()), 0..20_u64), 1..40),
    ) {
        let configured = configured(&[0, 1]);
        let mut point = TrustPoint::new(Name::root());
        let mut now = START;
        // What must hold, told independently of the states: who was revoked, and since when a key has been seen without
        // a break in sets that an anchor had signed.
        let mut was_revoked = [false; 5];
        let mut seen_since: [Option<u64>; 5] = [None; 5];
        let mut was_accepted = [false; 5];
        for (shown, days) in steps {
            now += days * DAY;
            let keys: Vec<Dnskey> = (0..5_u8)
                .zip(shown)
                .flat_map(|(number, shown)| {
                    let key = key(number);
                    [shown.plain.then(|| key.clone()), shown.revoked.then(|| key.revoked())]
                })
                .flatten()
                .collect();
            let signers: Vec<Dnskey> =
                keys.iter().filter(|key| shown[usize::from(key.public_key[5])].signs).cloned().collect();
            let trusted_before: Vec<bool> = (0..5_u8).map(|number| trusts(&point, &configured, &key(number))).collect();
            let update = see(&point, &configured, &keys, &signers, now);
            let mut authenticated = false;
            for (number, shown) in shown.iter().enumerate() {
                let self_revoked = shown.revoked && shown.signs;
                authenticated |= shown.plain && shown.signs && trusted_before[number] && !self_revoked;
                was_revoked[number] |= self_revoked && trusted_before[number];
            }
            if authenticated {
                for (number, shown) in shown.iter().enumerate() {
                    let present = shown.plain && !(shown.revoked && shown.signs);
                    seen_since[number] = if present { seen_since[number].or(Some(now)) } else { None };
                    was_accepted[number] |= seen_since[number].is_some_and(|since| now >= since + ADD_HOLD_DOWN);
                }
            }
            match update {
                Err(NotAuthenticated) => prop_assert!(!authenticated),
                Ok(update) => {
                    let revokes = changes(&update).iter().any(|(_, change)| *change == Change::Revoked);
                    prop_assert!(authenticated || revokes);
                    point = update.point;
                }
            }
            for number in 0..5_u8 {
                let place = usize::from(number);
                let trusted = trusts(&point, &configured, &key(number));
                prop_assert!(!(trusted && was_revoked[place]), "key {} is trusted after its revocation", number);
                prop_assert!(!trusted || number < 2 || was_accepted[place], "key {} is trusted too early", number);
                // Nothing but a revocation takes an anchor away.
                prop_assert!(!trusted_before[place] || trusted || was_revoked[place], "key {} is lost", number);
            }
            if !point.keys.is_empty() {
                prop_assert_eq!(TrustPoint::parse_all(&point.to_string()), Ok(vec![point.clone()]));
            }
        }
    }
}
