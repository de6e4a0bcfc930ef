//! Any message, read as an answer, as a delegation and as keys: without a valid signature nothing is proved, and what is
//! proved where all are valid is an answer to the question, by a zone that may give it, within the limits on work.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use mailstead_dns::{Ds, Flags, Message, Name, Question, Rcode, Record, RecordType, RrSet, Rrsig, Rtype};
use mailstead_dnssec::{
    Bogus, Budget, Content, Crypto, Delegation, Dnskey, MOST_DIGESTS, MOST_HASH_ROUNDS, MOST_SIGNATURES, Place, Proof,
    Scope, Stop, Trust, Verdict, Vouchers, Work, ZoneKeys, Zones, delegation, key_set, validate, zone_keys,
};

/// When it is.
const NOW: u64 = 1_768_478_400;

/// Gives the same verdict on every signature; digests and hashes are sums.
#[derive(Debug)]
struct Always(Verdict);

fn sum<const N: usize>(data: &[u8]) -> [u8; N] {
    let mut sum = [0; N];
    data.iter().enumerate().for_each(|(place, octet)| sum[place % N] ^= octet);
    sum
}

impl Crypto for Always {
    fn verify(&self, _: u8, _: &[u8], _: &[u8], _: &[u8]) -> Verdict {
        self.0
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        match digest_type {
            2 => Some(sum::<32>(data).to_vec()),
            4 => Some(sum::<48>(data).to_vec()),
            _ => None,
        }
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        sum(data)
    }
}

/// The zones that there are. Each has one key, of algorithm 15; their tags are 1041 to 1043.
static ZONES: LazyLock<Vec<Arc<ZoneKeys>>> = LazyLock::new(|| {
    let zones = [".", "example", "sub.example"].map(|text| Name::parse(text).unwrap());
    zones.into_iter().zip(1..).map(|(zone, place)| Arc::new(keys(&zone, place))).collect()
});

fn key(place: u8) -> Dnskey {
    Dnskey { flags: 257, protocol: 3, algorithm: 15, public_key: [0, place].into() }
}

fn keys(zone: &Name, place: u8) -> ZoneKeys {
    let key = key(place);
    let mut set = RrSet {
        owner: zone.clone(),
        rtype: Rtype::DNSKEY,
        ttl: 300,
        data: vec![key.to_data().into()],
        signatures: Vec::new(),
    };
    set.signatures.push(Rrsig {
        type_covered: Rtype::DNSKEY,
        algorithm: key.algorithm,
        labels: zone.label_count() as u8,
        original_ttl: 300,
        expiration: NOW as u32,
        inception: NOW as u32,
        key_tag: key.key_tag(),
        signer: zone.clone(),
        signature: Box::default(),
    });
    let message = Message {
        id: 0,
        flags: Flags::default(),
        rcode: Rcode::NOERROR,
        question: Question { name: zone.clone(), rtype: Rtype::DNSKEY },
        answer: vec![set],
        authority: Vec::new(),
        additional: Vec::new(),
        edns: None,
    };
    let mut budget = Budget::default();
    let mut work = Work { crypto: &Always(Verdict::Valid), now: NOW, budget: &mut budget };
    zone_keys(zone, Vouchers::Anchor(&[], &[key]), &message, &mut work).unwrap()
}

struct Known;

impl Zones for Known {
    fn trust(&self, scope: &Scope) -> Option<Result<Trust, Bogus>> {
        let (Scope::Apex(name) | Scope::Enclosing(name)) = scope;
        let zone = ZONES.iter().rfind(|keys| name.is_within(&keys.zone))?;
        Some(match scope {
            Scope::Apex(apex) if zone.zone != *apex => Err(Bogus::NoSuchZone { zone: apex.clone() }),
            _ => Ok(Trust::Secure(Arc::clone(zone))),
        })
    }

    fn anchor(&self, name: &Name) -> Option<Name> {
        ZONES.iter().rfind(|keys| name.is_within(&keys.zone)).map(|keys| keys.zone.clone())
    }
}

/// Whether anything was proved.
fn read(message: &Message, crypto: &dyn Crypto) -> bool {
    let Question { name, rtype } = &message.question;
    let mut any = false;
    for place in [Place::First, Place::Later] {
        let mut budget = Budget::default();
        let mut work = Work { crypto, now: NOW, budget: &mut budget };
        if let Ok(step) = validate(name, *rtype, place, message, &Known, &mut work) {
            let Proof::Secure { zone, .. } = &step.proof else { continue };
            any = true;
            assert!(name.is_within(zone) && (*rtype != Rtype::DS || name.is_root() || name.is_below(zone)));
            match &step.content {
                Content::Records(set) => {
                    assert!(set.owner == *name && set.rtype == *rtype && !set.data.is_empty());
                    assert!(*rtype == Rtype::CNAME || set.ttl >= step.ttl);
                }
                Content::Alias { .. } => assert_ne!(*rtype, Rtype::CNAME),
                Content::Absent(_) => {}
            }
        }
        assert!(budget.signatures_spent() <= MOST_SIGNATURES && budget.hash_rounds_spent() <= MOST_HASH_ROUNDS);
    }
    let mut budget = Budget::default();
    let mut work = Work { crypto, now: NOW, budget: &mut budget };
    let parent = ZONES.iter().rfind(|keys| name.is_below(&keys.zone)).unwrap_or(&ZONES[0]);
    match delegation(name, parent, message, &mut work) {
        Ok((found, _)) => {
            any = true;
            assert!(!matches!(found, Delegation::Signed(ds) if ds.is_empty()));
        }
        Err(stop) => assert!(matches!(stop, Stop::Bogus(_) | Stop::TooMuchWork)),
    }
    // Whatever DS records are there vouch for the keys, and so does the key of each zone.
    let ds: Vec<Ds> = (message.answer.iter().chain(&message.authority))
        .filter(|set| set.rtype == Rtype::DS)
        .flat_map(|set| &set.data)
        .filter_map(|data| match Record::from_data(RecordType::Ds, data) {
            Some(Record::Ds(ds)) => Some(ds),
            _ => None,
        })
        .collect();
    let anchors: Vec<Dnskey> = (1..=ZONES.len() as u8).map(key).collect();
    for vouchers in [Vouchers::Ds(&ds), Vouchers::Anchor(&[], &anchors)] {
        if let Ok(found) = zone_keys(name, vouchers, message, &mut work) {
            any = true;
            assert!(found.zone == *name && found.tags().count() > 0);
            assert!((1..=MOST_DIGESTS as usize + anchors.len()).contains(&found.vouched.len()));
        }
    }
    if let Ok(Some(found)) = key_set(name, message, &mut work) {
        any = true;
        assert!(!found.signers.is_empty() && found.signers.iter().all(|key| found.keys.contains(key)));
    }
    any
}

fuzz_target!(|data: &[u8]| {
    let Ok(message) = Message::parse(data) else { return };
    assert!(!read(&message, &Always(Verdict::Invalid)));
    read(&message, &Always(Verdict::Valid));
});
