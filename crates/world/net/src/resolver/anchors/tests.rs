use std::os::unix::fs::PermissionsExt as _;

use mailstead_dnssec::rfc5011::Change;
use mailstead_dnssec::{AwsLcRs, Closest, Dnskey};
use tempfile::TempDir;

use super::*;

const DAY: u64 = 86_400;
/// The beginning of the year 2026.
const START: u64 = 1_767_225_600;

fn key(number: u8) -> Dnskey {
    Dnskey { flags: 257, protocol: 3, algorithm: 13, public_key: [number; 64].into() }
}

/// Anchors of the root: digests of these keys.
fn configured(numbers: &[u8]) -> Anchors {
    let lines = numbers.iter().map(|number| {
        let ds = key(*number).digest(&Name::root(), 2, &AwsLcRs).unwrap();
        format!(". DS {}\n", mailstead_dns::Record::Ds(ds))
    });
    Anchors::parse(&lines.collect::<String>()).unwrap()
}

fn open(directory: &TempDir, numbers: &[u8]) -> AnchorStore {
    let file = directory.path().join("trust-anchors");
    following(&file, configured(numbers)).unwrap()
}

fn following(file: &Path, configured: Anchors) -> Result<AnchorStore, AnchorStoreError> {
    AnchorStore::following(file.to_owned(), configured, Arc::new(AwsLcRs), START)
}

fn observe(store: &AnchorStore, keys: &[Dnskey], signers: &[Dnskey], now: u64) -> Observed {
    store.observe(&Name::root(), &Observation { keys, signers, original_ttl: 172_800 }, now).unwrap()
}

fn trusts(store: &AnchorStore, key: &Dnskey) -> bool {
    match store.current().closest(&Name::root(), START) {
        Closest::Anchor(anchor) => anchor.vouches_for(key, &AwsLcRs),
        _ => false,
    }
}

fn change(event: &Event) -> Option<Change> {
    match event {
        Event::Key { change, .. } => Some(*change),
        Event::Deleted => None,
    }
}

#[test]
fn what_is_learned_survives() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trust-anchors");
    let (old, new) = (key(1), key(2));
    let store = open(&directory, &[1]);
    assert_eq!(*store.current(), configured(&[1]));
    assert!(!file.exists());
    let keys = [old.clone(), new.clone()];
    let observed = observe(&store, &keys, &keys[..1], START);
    assert_eq!(observed.events.len(), 2);
    observed.saved.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside the file");

    // The time to wait goes on over a restart, and the file is written again.
    let store = open(&directory, &[1]);
    assert!(!trusts(&store, &new));
    let observed = observe(&store, &keys, &keys[..1], START + 30 * DAY);
    assert_eq!(observed.events.iter().map(change).collect::<Vec<_>>(), [Some(Change::Accepted)]);
    assert!(trusts(&store, &new), "without a restart");
    let store = open(&directory, &[1]);
    assert!(trusts(&store, &old) && trusts(&store, &new));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(HEADER) && text.contains("origin=ACCEPTED since=2026-01-31T00:00:00Z"), "{text}");
    assert_eq!(store.followed().collect::<Vec<_>>(), [&Name::root()]);
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, &[1]);
    let keys = [key(1)];
    observe(&store, &keys, &keys, START).saved.unwrap();
    let file = directory.path().join("trust-anchors");
    fs::remove_file(&file).unwrap();
    let observed = observe(&store, &keys, &keys, START + DAY);
    assert!(observed.events.is_empty() && observed.saved.is_ok() && !file.exists());
    let not_signed = Observation { keys: &keys, signers: &[], original_ttl: 5 };
    assert!(store.observe(&Name::root(), &not_signed, START).is_err());
    let other = Name::parse("example").unwrap();
    assert!(store.observe(&other, &Observation { keys: &keys, signers: &keys, original_ttl: 5 }, START).is_err());
}

#[test]
fn revocations_count_at_once_and_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, &[1, 2]);
    let before = store.current();
    let keys = [key(1).revoked(), key(2)];
    observe(&store, &keys, &keys, START);
    assert!(!trusts(&store, &key(1)) && trusts(&store, &key(2)));
    assert_eq!(*before, configured(&[1, 2]), "whoever had the old ones keeps them to the end of the look-up");
    assert!(!trusts(&open(&directory, &[1, 2]), &key(1)));
    // The last one: fail, do not go unvalidated.
    let keys = [key(2).revoked()];
    let observed = observe(&store, &keys, &keys, START);
    assert_eq!(observed.events.last(), Some(&Event::Deleted));
    for store in [store, open(&directory, &[1, 2])] {
        let root = Name::root();
        assert_eq!(store.current().closest(&root, START), Closest::Withdrawn(&root));
        assert_eq!(store.followed().count(), 1, "it is still looked at");
    }
    // A new version brings a new anchor.
    assert!(trusts(&open(&directory, &[2, 3]), &key(3)));
}

#[test]
fn a_damaged_file_is_put_aside() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trust-anchors");
    let keys = [key(1), key(2)];
    observe(&open(&directory, &[1]), &keys, &keys[..1], START).saved.unwrap();
    let good = fs::read(&file).unwrap();
    let too_long = [good.clone(), vec![b'\n'; MAX_TEXT]].concat();
    let cut = good[..good.len() - 5].to_vec();
    for damaged in [b"".to_vec(), b"\xff".to_vec(), cut, too_long] {
        fs::write(&file, &damaged).unwrap();
        let store = open(&directory, &[1]);
        assert_eq!(*store.current(), configured(&[1]));
        assert!(!file.exists());
        assert_eq!(fs::read(directory.path().join("trust-anchors.damaged")).unwrap(), damaged);
        assert_eq!(observe(&store, &keys, &keys[..1], START).events.len(), 2);
        assert_eq!(fs::read(&file).unwrap(), good);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trust-anchors");
    fs::create_dir(&file).unwrap();
    let error = following(&file, configured(&[1])).unwrap_err();
    assert!(matches!(error, AnchorStoreError::Read { .. }));
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn what_cannot_be_written_counts_and_is_written_later() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    let file = inner.join("trust-anchors");
    let store = following(&file, configured(&[1, 2])).unwrap();
    let keys = [key(1).revoked(), key(2)];
    let observed = observe(&store, &keys, &keys, START);
    assert!(matches!(observed.saved, Err(AnchorStoreError::Write { .. })));
    assert_eq!(observed.events.len(), 2);
    assert!(!trusts(&store, &key(1)));
    fs::create_dir(&inner).unwrap();
    // What a crash has left is no obstacle.
    fs::write(inner.join("trust-anchors.new"), "half").unwrap();
    let observed = observe(&store, &keys, &keys, START + DAY);
    assert!(observed.events.is_empty() && observed.saved.is_ok());
    assert!(fs::read_to_string(&file).unwrap().contains("state=REVOKED"));
}

#[test]
fn other_anchors_stay_as_they_are_configured() {
    let directory = tempfile::tempdir().unwrap();
    let mut anchors = configured(&[1]);
    let zone = Name::parse("broken.example").unwrap();
    anchors.distrust(zone.clone(), START + DAY);
    let file = directory.path().join("trust-anchors");
    let store = following(&file, anchors).unwrap();
    observe(&store, &[key(1)], &[key(1)], START);
    assert_eq!(store.current().closest(&zone, START), Closest::Negative(&zone));
    // What is not configured any more is kept, but does not count.
    let other = Anchors::parse("example. DNSKEY 257 3 13 AwEA").unwrap();
    let store = following(&file, other.clone()).unwrap();
    assert_eq!(*store.current(), other);
}

#[test]
fn what_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trust-anchors");
    let zone = Name::parse("broken.example").unwrap();
    let open =
        |anchors| AnchorStore::open(anchors, vec![(zone.clone(), START + DAY)], Arc::new(AwsLcRs), START).unwrap();
    let mut root = Anchors::root();
    root.distrust(zone.clone(), START + DAY);
    let (built_in, updated) = (open(TrustAnchors::BuiltIn), open(TrustAnchors::Updated(file)));
    assert_eq!((&*built_in.current(), &*updated.current()), (&root, &root));
    assert_eq!((built_in.followed().count(), updated.followed().count()), (0, 1));
    let fixed = open(TrustAnchors::Fixed(configured(&[1])));
    assert!(trusts(&fixed, &key(1)));
    assert_eq!(fixed.current().closest(&zone, START), Closest::Negative(&zone));
    assert_eq!(fixed.followed().count(), 0);
    let revoked = [key(1).revoked()];
    observe(&fixed, &revoked, &revoked, START).saved.unwrap();
    assert!(!trusts(&fixed, &key(1)), "a revocation counts even where nothing is kept");
}
