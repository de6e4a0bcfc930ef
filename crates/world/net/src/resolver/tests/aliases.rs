//! Aliases as callers see them: one call, every hop with its own status.

use std::sync::atomic::{AtomicU32, Ordering};

use mailstead_dns::{Authenticity, Hop, HopKind, Lookup, LookupError, RecordType, Resolver, Txt};
use mailstead_names::Domain;
use mailstead_testkit::{SignedWorld, ZonePlan};

use super::super::{DnsMode, DnsResolver};
use super::world::*;

/// Counts the calls that reach the resolver.
#[derive(Debug)]
struct Counting {
    resolver: DnsResolver,
    calls: AtomicU32,
}

impl Resolver for Counting {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.resolver.lookup(name, record_type)
    }
}

/// What delivery learns from a domain's MTA-STS record (RFC 8461 §3.1).
#[derive(Debug, PartialEq, Eq)]
struct StsRecord {
    id: String,
    hops: Vec<Hop>,
    found_at: Domain,
    records: Authenticity,
    all: Authenticity,
}

/// Looks for it as RFC 8461 §3.1 says: aliases are the resolver's, and exactly one record must begin with the version.
async fn sts_record(resolver: &dyn Resolver, domain: &Domain) -> Result<Option<StsRecord>, LookupError> {
    let name = domain.prepend("_mta-sts").unwrap();
    let answer = resolver.records::<Txt>(&name).await?;
    let (found_at, all) = (answer.final_name(&name).clone(), answer.authenticity());
    let texts = answer.records.iter().map(|txt| String::from_utf8_lossy(&txt.joined()).into_owned());
    let mut ids = texts.filter_map(|text| Some(text.strip_prefix("v=STSv1; id=")?.trim_end_matches(';').to_owned()));
    Ok(match (ids.next(), ids.next()) {
        (Some(id), None) => {
            Some(StsRecord { id, hops: answer.chain, found_at, records: answer.record_authenticity, all })
        }
        _ => None,
    })
}

/// Domains that leave MTA-STS to a provider, by way of somebody else.
fn zones() -> SignedWorld {
    SignedWorld::builder()
        .zone(ZonePlan::signed("test").records(
            "_mta-sts.down CNAME down.outsourced.test.\n_mta-sts.both CNAME up.outsourced.test.\n\
             _mta-sts.good CNAME sts.provider.test.\n_mta-sts.own TXT \"v=STSv1; id=4\"\n\
             _mta-sts.two CNAME sts.provider.test.",
        ))
        .zone(
            ZonePlan::unsigned("outsourced.test")
                .records("_mta-sts CNAME sts.provider.test.\nup CNAME sts.provider.test.\ndown TXT \"v=STSv1; id=2\""),
        )
        .zone(ZonePlan::signed("provider.test").nsec3(0, b"").records("sts TXT \"v=STSv1; id=3;\"\nsts TXT other"))
        .build()
}

async fn sts(mode: DnsMode, domain_name: &str) -> (StsRecord, u32) {
    let world = World::with(zones(), validating(Explains::Why));
    world.set(LOCAL, validating(Explains::Why));
    let resolver = world.resolver(|options| {
        options.mode = mode;
        if mode == DnsMode::TrustAd {
            options.servers = asking(&[LOCAL]);
        }
    });
    let counting = Counting { resolver, calls: AtomicU32::new(0) };
    let record = sts_record(&counting, &domain(domain_name)).await.unwrap().unwrap();
    (record, counting.calls.load(Ordering::Relaxed))
}

fn hop(from: &str, to: &str, authenticity: Authenticity) -> Hop {
    Hop { from: domain(from), to: domain(to), kind: HopKind::Cname, authenticity }
}

/// Those that know how far an answer can be trusted.
const MODES: [DnsMode; 4] = [DnsMode::Validate, DnsMode::Automatic, DnsMode::Recurse, DnsMode::TrustAd];

#[tokio::test(start_paused = true)]
async fn one_call_tells_that_an_alias_leads_from_a_signed_zone_into_an_unsigned_one() {
    for mode in MODES {
        let (record, calls) = sts(mode, "down.test").await;
        let expected = StsRecord {
            id: "2".into(),
            hops: vec![hop("_mta-sts.down.test", "down.outsourced.test", Authenticity::Secure)],
            found_at: domain("down.outsourced.test"),
            records: Authenticity::Insecure,
            all: Authenticity::Insecure,
        };
        assert_eq!((record, calls), (expected, 1), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_tells_that_an_alias_leads_from_an_unsigned_zone_into_a_signed_one() {
    for mode in MODES {
        let (record, calls) = sts(mode, "outsourced.test").await;
        let expected = StsRecord {
            id: "3".into(),
            hops: vec![hop("_mta-sts.outsourced.test", "sts.provider.test", Authenticity::Insecure)],
            found_at: domain("sts.provider.test"),
            records: Authenticity::Secure,
            all: Authenticity::Insecure,
        };
        assert_eq!((record, calls), (expected, 1), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_insecure_hop_between_secure_ones_is_the_one_that_counts() {
    for mode in MODES {
        let (record, calls) = sts(mode, "both.test").await;
        let expected = StsRecord {
            id: "3".into(),
            hops: vec![
                hop("_mta-sts.both.test", "up.outsourced.test", Authenticity::Secure),
                hop("up.outsourced.test", "sts.provider.test", Authenticity::Insecure),
            ],
            found_at: domain("sts.provider.test"),
            records: Authenticity::Secure,
            all: Authenticity::Insecure,
        };
        assert_eq!((record, calls), (expected, 1), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secure_alias_of_a_secure_record_is_secure_and_so_is_none_at_all() {
    for mode in MODES {
        let (record, calls) = sts(mode, "good.test").await;
        assert_eq!(record.hops, [hop("_mta-sts.good.test", "sts.provider.test", Authenticity::Secure)], "{mode:?}");
        assert_eq!((record.all, calls), (Authenticity::Secure, 1), "{mode:?}");
        let (record, calls) = sts(mode, "own.test").await;
        assert_eq!((record.hops.len(), record.found_at), (0, domain("_mta-sts.own.test")), "{mode:?}");
        assert_eq!((record.all, calls), (Authenticity::Secure, 1), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn unvalidated_hops_are_insecure_in_one_call_as_well() {
    let (record, calls) = sts(DnsMode::Unvalidated, "good.test").await;
    assert_eq!(record.hops, [hop("_mta-sts.good.test", "sts.provider.test", Authenticity::Insecure)]);
    assert_eq!((record.records, record.all, calls), (Authenticity::Insecure, Authenticity::Insecure, 1));
}
