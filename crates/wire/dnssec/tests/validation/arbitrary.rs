//! Messages of plausible parts in any arrangement: nothing panics, nothing is proved where no signature is valid, and what
//! is proved is an answer to the question even where all of them are.

use std::sync::LazyLock;

use mailstead_dns::{Ds, Message, Name, Rcode, RrSet, Rrsig, Rtype};
use mailstead_dnssec::{
    Budget, Content, Crypto, Delegation, Dnskey, MOST_HASH_ROUNDS, MOST_SIGNATURES, Place, Proof, Stop, Verdict,
    Vouchers, Work, delegation, key_set, validate, zone_keys,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::crypto::Always;
use crate::handmade::{Hashing, NOW, Trusted, Zone, base32hex, response};

/// The zones that there are, the closest to most names last.
static ZONES: LazyLock<[Zone; 3]> = LazyLock::new(|| [".", "example", "sub.example"].map(Zone::new));

fn zones() -> impl Strategy<Value = &'static Zone> {
    select(&[0_usize, 1, 1, 2, 2][..]).prop_map(|place| &ZONES[place])
}

/// Names that have to do with each other.
fn names() -> impl Strategy<Value = Name> {
    let below = vec(select(vec![&b"a"[..], b"a", b"b", b"*", b"sub", b"\xff"]), 0..3);
    (zones(), below)
        .prop_map(|(zone, labels)| labels.iter().fold(zone.apex.clone(), |name, label| name.prepend(label).unwrap()))
}

const TYPES: &[Rtype] = &[
    Rtype::A,
    Rtype::NS,
    Rtype::CNAME,
    Rtype::SOA,
    Rtype::DNAME,
    Rtype::DS,
    Rtype::NSEC,
    Rtype::NSEC3,
    Rtype::DNSKEY,
    Rtype(65_280),
];

fn types() -> impl Strategy<Value = Rtype> {
    select(TYPES)
}

/// Octets that mostly are bit maps of types.
fn bitmaps() -> impl Strategy<Value = Vec<u8>> {
    let window = vec(any::<u8>(), 1..8).prop_map(|bits| [&[0, bits.len() as u8], bits.as_slice()].concat());
    prop_oneof![4 => window, 1 => vec(any::<u8>(), 0..12), 2 => Just(Vec::new())]
}

/// Data as records of the type have it, more or less.
fn data(rtype: Rtype) -> BoxedStrategy<Vec<u8>> {
    let wire = || names().prop_map(|name| name.as_wire().to_vec());
    let likely = match rtype {
        Rtype::CNAME | Rtype::DNAME | Rtype::NS => wire().boxed(),
        Rtype::NSEC => (wire(), bitmaps()).prop_map(|(next, types)| [next, types].concat()).boxed(),
        Rtype::NSEC3 => {
            let parameters = (select(&[0, 1, 1, 1, 2][..]), 0..3_u8, select(&[0_u16, 0, 0, 1, 150, 151][..]));
            let salt_and_next =
                (vec(any::<u8>(), 0..2), prop_oneof![4 => Just(20_usize), 1 => 0..40_usize], any::<u8>());
            (parameters, salt_and_next, bitmaps())
                .prop_map(|((algorithm, flags, iterations), (salt, length, next), types)| {
                    let [high, low] = iterations.to_be_bytes();
                    let fixed = [algorithm, flags, high, low, salt.len() as u8];
                    [&fixed[..], &salt[..], &[length as u8], &vec![next; length][..], &types[..]].concat()
                })
                .boxed()
        }
        Rtype::DNSKEY => keys().prop_map(|key| key.to_data()).boxed(),
        Rtype::DS => digests()
            .prop_map(|ds| [&ds.key_tag.to_be_bytes()[..], &[ds.algorithm, ds.digest_type], &ds.digest].concat())
            .boxed(),
        Rtype::SOA => (wire(), wire(), any::<[u8; 20]>()).prop_map(|(a, b, rest)| [&a[..], &b, &rest].concat()).boxed(),
        _ => vec(any::<u8>(), 0..8).boxed(),
    };
    prop_oneof![9 => likely, 1 => vec(any::<u8>(), 0..40)].boxed()
}

/// Keys, those of the zones among them.
fn keys() -> impl Strategy<Value = Dnskey> {
    let flags = select(&[0, 1, 128, 256, 257, 257 + 128, u16::MAX][..]);
    let algorithms = select(&[1, 5, 8, 13, 15, 16, 200][..]);
    let others = (flags, 2..5_u8, algorithms, vec(any::<u8>(), 0..8))
        .prop_map(|(flags, protocol, algorithm, key)| Dnskey { flags, protocol, algorithm, public_key: key.into() });
    prop_oneof![3 => zones().prop_map(|zone| zone.key.record.clone()), 1 => others]
}

fn digests() -> impl Strategy<Value = Ds> {
    let changed = prop_oneof![4 => Just(None), 1 => any::<u8>().prop_map(Some)];
    (zones(), keys(), select(&[2, 4][..]), changed).prop_map(|(zone, key, digest_type, changed)| {
        let ds = key.digest(&zone.apex, digest_type, &Always(Verdict::Invalid)).unwrap();
        Ds { digest_type: changed.unwrap_or(digest_type), ..ds }
    })
}

/// What a signature says about itself.
#[derive(Debug, Clone)]
enum Signing {
    /// What the closest zone would say.
    Right,
    /// What this zone would say.
    By(&'static Zone),
    /// Something else.
    As(Rrsig),
}

fn signatures() -> impl Strategy<Value = Signing> {
    let key = keys().prop_map(|key| (key.key_tag(), key.algorithm));
    let times = prop_oneof![2 => Just((NOW as u32 - 60, NOW as u32 + 60)), 1 => any::<(u32, u32)>()];
    let others = (types(), key, 0..5_u8, any::<u32>(), times, names()).prop_map(
        |(type_covered, (key_tag, algorithm), labels, original_ttl, (inception, expiration), signer)| {
            Signing::As(Rrsig {
                type_covered,
                algorithm,
                labels,
                original_ttl,
                expiration,
                inception,
                key_tag,
                signer,
                signature: Box::default(),
            })
        },
    );
    prop_oneof![6 => Just(Signing::Right), 2 => zones().prop_map(Signing::By), 1 => others]
}

fn sets() -> impl Strategy<Value = RrSet> {
    let parts = |rtype| (names(), zones(), Just(rtype), any::<u16>(), vec(data(rtype), 0..3), vec(signatures(), 0..3));
    types().prop_flat_map(parts).prop_map(|(about, zone, rtype, ttl, data, signatures)| {
        let owner = match rtype {
            Rtype::NSEC3 => zone.apex.prepend(&base32hex(&Hashing::PLAIN.hash(&about.to_string()))).unwrap(),
            _ => about,
        };
        let data = data.into_iter().map(Vec::into_boxed_slice).collect();
        let mut set = RrSet { owner, rtype, ttl: ttl.into(), data, signatures: Vec::new() };
        let closest = ZONES.iter().rfind(|zone| set.owner.is_within(&zone.apex)).unwrap();
        for signature in signatures {
            let signature = match signature {
                Signing::Right => closest.unsigned(&set),
                Signing::By(zone) => zone.unsigned(&set),
                Signing::As(signature) => signature,
            };
            set.signatures.push(signature);
        }
        set
    })
}

/// A message and a question, which it mostly has to do with.
fn messages() -> impl Strategy<Value = (Message, Name, Rtype)> {
    let rcodes = select(vec![Rcode::NOERROR, Rcode::NXDOMAIN, Rcode::YXDOMAIN, Rcode(4_095)]);
    (rcodes, vec(sets(), 0..4), vec(sets(), 0..6), names(), types(), any::<Index>()).prop_map(
        |(rcode, answer, authority, name, rtype, place)| {
            let message = response(rcode, &answer.iter().collect::<Vec<_>>(), &authority.iter().collect::<Vec<_>>());
            let first = answer.get(place.index(answer.len() + 1)).map(|set| (set.owner.clone(), set.rtype));
            let (name, rtype) = first.unwrap_or((name, rtype));
            (message, name, rtype)
        },
    )
}

/// Gives a verdict that has nothing to do with the key.
#[derive(Debug)]
struct Parity;

impl Crypto for Parity {
    fn verify(&self, _: u8, _: &[u8], message: &[u8], _: &[u8]) -> Verdict {
        let sum = message.iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
        if sum.is_multiple_of(2) { Verdict::Valid } else { Verdict::Invalid }
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        Always(Verdict::Valid).digest(digest_type, data)
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        Always(Verdict::Valid).sha1(data)
    }
}

/// Runs everything that reads a message. Says whether anything was proved.
fn read_all(
    about: &Name,
    rtype: Rtype,
    message: &Message,
    vouchers: (&[Ds], &[Dnskey]),
    crypto: &dyn Crypto,
) -> Result<bool, TestCaseError> {
    let zones: Vec<&Zone> = ZONES.iter().collect();
    let mut any = false;
    for place in [Place::First, Place::Later] {
        let mut budget = Budget::default();
        let mut work = Work { crypto, now: NOW, budget: &mut budget };
        if let Ok(step) = validate(about, rtype, place, message, &Trusted(&zones, &[]), &mut work) {
            if let Proof::Secure { zone, .. } = &step.proof {
                any = true;
                prop_assert!(about.is_within(zone) && zones.iter().any(|other| other.apex == *zone));
                // DS records are the parent's, and so is what there is instead.
                prop_assert!(rtype != Rtype::DS || about.is_root() || about.is_below(zone));
            }
            match &step.content {
                Content::Records(set) => {
                    prop_assert!(set.owner == *about && set.rtype == rtype && !set.data.is_empty());
                }
                Content::Alias { .. } => prop_assert!(rtype != Rtype::CNAME),
                Content::Absent(_) => {}
            }
        }
        prop_assert!(budget.signatures_spent() <= MOST_SIGNATURES && budget.hash_rounds_spent() <= MOST_HASH_ROUNDS);
    }
    let mut budget = Budget::default();
    let mut work = Work { crypto, now: NOW, budget: &mut budget };
    for zone in &zones {
        match delegation(about, &zone.keys, message, &mut work) {
            Ok((found, _)) => {
                any = true;
                prop_assert!(!matches!(found, Delegation::Signed(ds) if ds.is_empty()));
            }
            Err(stop) => prop_assert!(matches!(stop, Stop::Bogus(_) | Stop::TooMuchWork)),
        }
    }
    let (ds, keys) = vouchers;
    for vouchers in [Vouchers::Ds(ds), Vouchers::Anchor(ds, keys)] {
        if let Ok(found) = zone_keys(about, vouchers, message, &mut work) {
            any = true;
            prop_assert!(found.zone == *about && found.tags().count() > 0 && !found.vouched.is_empty());
        }
    }
    if let Ok(Some(found)) = key_set(about, message, &mut work) {
        any = true;
        prop_assert!(found.signers.iter().all(|key| found.keys.contains(key)) && !found.signers.is_empty());
    }
    Ok(any)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_can_be_read_and_without_valid_signatures_proves_nothing(
        (message, about, rtype) in messages(),
        ds in vec(digests(), 0..4),
        keys in vec(keys(), 0..3),
    ) {
        let vouchers = (&ds[..], &keys[..]);
        let proved = read_all(&about, rtype, &message, vouchers, &Always(Verdict::Invalid))?;
        prop_assert!(!proved);
        read_all(&about, rtype, &message, vouchers, &Always(Verdict::Valid))?;
        read_all(&about, rtype, &message, vouchers, &Parity)?;
    }
}

#[test]
fn such_messages_would_prove_something_if_signatures_were_valid() {
    let mut runner = TestRunner::deterministic();
    let any = (messages(), vec(keys(), 0..3));
    let proves = |_: &u32| {
        let ((message, about, rtype), keys) = any.new_tree(&mut runner).unwrap().current();
        read_all(&about, rtype, &message, (&[], &keys), &Always(Verdict::Valid)).unwrap()
    };
    let proved = (0..400).filter(proves).count();
    assert!(proved > 40, "{proved}");
}
