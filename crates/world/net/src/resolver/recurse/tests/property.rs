//! Whatever hostile authorities send: the work ends within its bounds, they are believed about their own zone only, and
//! others are none the worse for it.

use mailstead_dns::{Flags, Rcode, RrSet};
use proptest::prelude::*;

use super::super::*;
use super::world::*;

const HOSTILE: [&str; 2] = ["192.0.2.66", "192.0.2.67"];
const HONEST: &str = "192.0.2.4";

/// Names that matter: of the hostile zone, of the good one, above and beside them.
fn names() -> impl Strategy<Value = Name> {
    let known = [
        ".",
        "example",
        "evil.example",
        "www.evil.example",
        "a.b.c.evil.example",
        "b.c.evil.example",
        "c.evil.example",
        "ns.evil.example",
        "*.evil.example",
        "good.example",
        "www.good.example",
        "ns.good.example",
        "evil.example.good.example",
        "ns.root",
        "other.example",
    ];
    prop_oneof![
        8 => proptest::sample::select(known.to_vec()).prop_map(name),
        1 => "[a-c]{1,2}".prop_map(|label| name(&format!("{label}.evil.example"))),
    ]
}

fn sets() -> impl Strategy<Value = RrSet> {
    let types = [
        Rtype::A,
        Rtype::AAAA,
        Rtype::NS,
        Rtype::NS,
        Rtype::CNAME,
        Rtype::DNAME,
        Rtype::SOA,
        Rtype::DS,
        Rtype::NSEC,
        Rtype::NSEC3,
        Rtype::MX,
    ];
    let rtypes = proptest::sample::select(types.to_vec());
    (names(), rtypes, proptest::collection::vec((names(), any::<u8>()), 0..4), any::<bool>(), 0..100_000_u32).prop_map(
        |(owner, rtype, data, has_signature, ttl)| {
            let data = data.into_iter().map(|(target, octet)| match rtype {
                // Their own servers, the honest one and the root's, private ones, and nobody's.
                Rtype::A => vec![[192, 0, 2, 66], [192, 0, 2, 4], [192, 0, 2, 1], [127, 0, 0, 1], [203, 0, 113, octet]]
                    [usize::from(octet % 5)]
                .to_vec(),
                Rtype::AAAA => [[0; 15].as_slice(), &[octet]].concat(),
                Rtype::NS | Rtype::CNAME | Rtype::DNAME => target.as_wire().to_vec(),
                _ => vec![octet; usize::from(octet % 7)],
            });
            let signatures = if has_signature { signed(". NSEC x").signatures } else { Vec::new() };
            RrSet { owner, rtype, ttl, data: data.map(Into::into).collect(), signatures }
        },
    )
}

#[derive(Debug, Clone)]
struct Response {
    rcode: u16,
    bits: (bool, bool, bool),
    sections: [Vec<RrSet>; 3],
    is_silent: bool,
}

fn responses() -> impl Strategy<Value = Response> {
    let section = || proptest::collection::vec(sets(), 0..5);
    let rcodes = prop_oneof![6 => Just(0_u16), 2 => Just(3), 1 => 0..24_u16];
    (rcodes, any::<(bool, bool, bool)>(), section(), section(), section(), proptest::bool::weighted(0.05)).prop_map(
        |(rcode, bits, answer, authority, additional, is_silent)| Response {
            rcode,
            bits,
            sections: [answer, authority, additional],
            is_silent,
        },
    )
}

impl Response {
    fn to(&self, question: &Question) -> Message {
        let [answer, authority, additional] = self.sections.clone();
        let (authoritative, has_edns, truncated) = self.bits;
        Message {
            id: 0,
            flags: Flags {
                response: true,
                authoritative,
                truncated: truncated && self.rcode % 2 == 1,
                ..Flags::default()
            },
            rcode: Rcode(self.rcode),
            question: question.clone(),
            answer,
            authority,
            additional,
            edns: has_edns.then(Default::default),
        }
    }
}

async fn scenario(script: Vec<Response>, asked: Vec<(Name, Rtype, u32)>) -> Result<(), TestCaseError> {
    let root = "evil.example NS ns.evil.example\nevil.example NS ns2.evil.example\nns.evil.example A 192.0.2.66\n\
                ns2.evil.example A 192.0.2.67\ngood.example NS ns.good.example\nns.good.example A 192.0.2.4";
    let mut world = World::new(root).zone(&[HONEST], "good.example", "www.good.example A 198.51.100.2");
    for server in HOSTILE {
        let (script, next) = (script.clone(), AtomicU32::new(0));
        world = world.odd(server, move |question, _| {
            let turn = next.fetch_add(1, Ordering::Relaxed) as usize;
            let response = &script[turn % script.len()];
            (!response.is_silent).then(|| Ok(response.to(question)))
        });
    }
    let world = Arc::new(world);
    let limits = Limits::default();
    let recursor = world.recursor(limits);
    for (name, rtype, attempt) in asked {
        let question = Question { name, rtype };
        let started = Instant::now();
        let result = recursor.fetch(&question, attempt, Deadline::after(Duration::from_secs(20))).await;
        prop_assert!(started.elapsed() <= Duration::from_secs(20));
        let log = world.asked();
        prop_assert!(log.len() <= limits.questions as usize, "{} questions", log.len());
        prop_assert!(log.iter().all(|asked| AddressPolicy::Public.check(asked.server).is_ok()));
        if let Ok(message) = result {
            prop_assert!([Rcode::NOERROR, Rcode::NXDOMAIN].contains(&message.rcode));
            prop_assert_eq!(&message.question, &question);
            prop_assert!(message.additional.is_empty());
            let evil = super::world::name("evil.example");
            for set in message.answer.iter().chain(&message.authority) {
                // What the parent says of the zone itself comes from the root here.
                let is_from_above = rtype == Rtype::DS && question.name == evil;
                prop_assert!(set.owner.is_within(&evil) || is_from_above, "{} {}", set.owner, set.rtype);
            }
        }
    }
    // The good zone is where it was, and only its own server has been asked.
    let message = fetch(&recursor, "www.good.example A", 0).await;
    prop_assert_eq!(message.map(|message| message.answer.clone()), Ok(vec![set("www.good.example A 198.51.100.2")]));
    for asked in world.asked() {
        prop_assert!([ip(ROOT), ip(HONEST)].contains(&asked.server), "{}", asked.server);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn hostile_authorities_gain_nothing(
        script in proptest::collection::vec(responses(), 1..8),
        asked in proptest::collection::vec(
            (
                proptest::sample::select(vec!["evil.example", "www.evil.example", "a.b.c.evil.example"]).prop_map(name),
                proptest::sample::select(vec![Rtype::A, Rtype::MX, Rtype::DS, Rtype::NS]),
                0..3_u32,
            ),
            1..4,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(scenario(script, asked))?;
    }
}
