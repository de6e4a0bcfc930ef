//! Validation alone: messages at hand and keys known, in microseconds, beside what its signatures take by themselves.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mailstead_dns::{Message, Name, Question, Rtype};
use mailstead_dnssec::{
    AwsLcRs, Bogus, Budget, Content, Crypto, Dnskey, Place, Proof, Scope, Step, Stop, Trust, Verdict, Vouchers, Work,
    Zones, algorithm_name, validate, zone_keys,
};
use mailstead_testkit::{START, SignedWorld, ZonePlan};

use crate::figures::{Figures, progress};
use crate::{Outcome, rounded};

/// How often each is measured; the least is told, as whatever disturbs makes it more.
const ROUNDS: usize = 100;
/// How long one round is.
const ROUND: Duration = Duration::from_millis(2);

/// A case: the zone, what is asked, and its name among the figures.
struct Case {
    name: String,
    plan: ZonePlan,
    asked: &'static str,
}

fn cases() -> Vec<Case> {
    let zone = |algorithm| ZonePlan::signed("example").algorithms(&[algorithm]).records("www A 192.0.2.1");
    let mut cases: Vec<Case> = [8, 10, 13, 14, 15]
        .into_iter()
        .map(|algorithm| Case {
            name: format!("an address, {}", algorithm_name(algorithm)),
            plan: zone(algorithm),
            asked: "www.example",
        })
        .collect();
    let denials = [
        ("NSEC", zone(13)),
        ("NSEC3, 0 iterations", zone(13).nsec3(0, b"")),
        ("NSEC3, 150 iterations", zone(13).nsec3(150, b"\x01\x02\x03\x04\x05\x06\x07\x08")),
    ];
    cases.extend(denials.into_iter().map(|(how, plan)| Case {
        name: format!("no such name, {how}, {}", algorithm_name(13)),
        plan,
        asked: "a.b.nowhere.example",
    }));
    cases
}

/// Measures every case.
pub(crate) fn measure(figures: &mut Figures) -> Outcome<()> {
    progress("validation alone");
    for Case { name, plan, asked } in cases() {
        let world = SignedWorld::builder().zone(plan).build();
        let apex = Name::parse("example").ok_or("a name")?;
        let question = Question { name: Name::parse(asked).ok_or("a name")?, rtype: Rtype::A };
        let response = world.respond(&question, true);
        let octets = response.to_octets().ok_or("a message that is too long")?;
        let known = Known::of(&world, &apex)?;
        let recorder = Recorder::default();
        let step = known.step(&question, &response, &recorder).map_err(|stop| format!("{name}: {stop:?}"))?;
        if !matches!((&step.proof, &step.content), (Proof::Secure { .. }, Content::Records(_) | Content::Absent(_))) {
            return Err(format!("{name}: {step:?}").into());
        }
        let checks = recorder.0.into_inner().map_err(|_| "a panic")?;
        let [whole, signatures, reading] = microseconds([
            &mut || drop(known.step(&question, &response, &AwsLcRs)),
            &mut || {
                for Check { algorithm, key, message, signature } in &checks {
                    AwsLcRs.verify(*algorithm, key, message, signature);
                }
            },
            &mut || drop(Message::parse(&octets)),
        ]);
        figures.add(format!("validation: {name}, µs"), rounded(whole));
        figures.add(format!("  its signatures ({}) alone, µs", checks.len()), rounded(signatures));
        figures.add("  as a multiple of them", rounded(whole / signatures));
        figures.add("  reading the message, µs", rounded(reading));
    }
    Ok(())
}

/// The time of each piece of work, measured in turn so that a bad moment spoils none of them alone.
fn microseconds<const N: usize>(mut works: [&mut dyn FnMut(); N]) -> [f64; N] {
    let time = |work: &mut dyn FnMut(), count: u32| {
        let start = Instant::now();
        (0..count).for_each(|_| work());
        start.elapsed()
    };
    let mut counts = [1_u32; N];
    for (work, count) in works.iter_mut().zip(&mut counts) {
        while *count < 1 << 20 && time(work, *count) < ROUND {
            *count *= 2;
        }
    }
    let mut least = [f64::INFINITY; N];
    for _ in 0..ROUNDS {
        for (place, work) in works.iter_mut().enumerate() {
            let (count, least) = (counts[place], &mut least[place]);
            *least = least.min(time(work, count).as_secs_f64() * 1e6 / f64::from(count));
        }
    }
    least
}

/// The keys of the zone, for everything.
struct Known(Trust);

impl Zones for Known {
    fn trust(&self, _scope: &Scope) -> Option<Result<Trust, Bogus>> {
        Some(Ok(self.0.clone()))
    }
}

impl Known {
    fn of(world: &SignedWorld, apex: &Name) -> Outcome<Known> {
        let keys: Vec<Dnskey> = world.entry_keys(apex).iter().filter_map(|data| Dnskey::from_data(data)).collect();
        let response = world.respond(&Question { name: apex.clone(), rtype: Rtype::DNSKEY }, true);
        let mut budget = Budget::default();
        let mut work = Work { crypto: &AwsLcRs, now: now(), budget: &mut budget };
        let keys = zone_keys(apex, Vouchers::Anchor(&[], &keys), &response, &mut work);
        Ok(Known(Trust::Secure(Arc::new(keys.map_err(|stop| format!("{stop:?}"))?))))
    }

    fn step(&self, question: &Question, response: &Message, crypto: &dyn Crypto) -> Result<Step, Stop> {
        let mut budget = Budget::default();
        let mut work = Work { crypto, now: now(), budget: &mut budget };
        validate(&question.name, question.rtype, Place::First, response, self, &mut work)
    }
}

fn now() -> u64 {
    START.unsigned_abs()
}

/// A signature that is checked.
#[derive(Debug)]
struct Check {
    algorithm: u8,
    key: Box<[u8]>,
    message: Box<[u8]>,
    signature: Box<[u8]>,
}

/// Keeps what is checked.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Check>>);

impl Crypto for Recorder {
    fn verify(&self, algorithm: u8, public_key: &[u8], message: &[u8], signature: &[u8]) -> Verdict {
        if let Ok(mut checks) = self.0.lock() {
            let (key, message, signature) = (public_key.into(), message.into(), signature.into());
            checks.push(Check { algorithm, key, message, signature });
        }
        AwsLcRs.verify(algorithm, public_key, message, signature)
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        AwsLcRs.digest(digest_type, data)
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        AwsLcRs.sha1(data)
    }
}
