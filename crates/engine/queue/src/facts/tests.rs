//! Facts of zones in memory.

use mailstead_dns::{Record, RecordType, Target};
use mailstead_testkit::{SeededRandom, Zones};
use mailstead_tlspolicy::report::ResultType;

use super::*;
use crate::outcome::Permanence;

/// No domain has a policy.
#[derive(Debug)]
struct NoPolicies;

impl StsPolicies for NoPolicies {
    fn state<'a>(&'a self, _: &'a Domain) -> BoxFuture<'a, StsState> {
        Box::pin(std::future::ready(StsState::NotFound))
    }
}

fn domain(name: &str) -> Domain {
    Domain::parse_lenient(name).unwrap()
}

fn mx(preference: u16, exchange: &str) -> Record {
    Record::Mx(Mx { preference, exchange: Target::parse(exchange) })
}

fn a(last: u8) -> Record {
    Record::A([192, 0, 2, last].into())
}

fn tlsa(usage: u8) -> Record {
    Record::Tlsa(Tlsa { usage, selector: 1, matching_type: 1, data: vec![usage; 32] })
}

fn gatherer(zones: Zones) -> Gatherer {
    Gatherer {
        resolver: Arc::new(zones),
        sts: Arc::new(NoPolicies),
        random: Arc::new(SeededRandom::new(1)),
        own: Own { hostname: Some(domain("here.example")), addresses: vec![[192, 0, 2, 99].into()] },
        insecure_mx: InsecureMx::NotUsed,
    }
}

async fn destination(zones: Zones, name: &str) -> Result<Found, Box<Nobody>> {
    gatherer(zones).destination(&HostName::Domain(domain(name))).await
}

/// A signed domain with one MX host, and what a test adds.
fn signed() -> Zones {
    Zones::new().secure("org.example").with("org.example", mx(10, "mx.org.example")).with("mx.org.example", a(1))
}

/// The TLSA state of the first host of `org.example`.
async fn tlsa_of(zones: Zones) -> TlsaState {
    let gatherer = gatherer(zones);
    let found = gatherer.destination(&HostName::Domain(domain("org.example"))).await.unwrap();
    gatherer.host(&found.destination, &found.hosts[0], Families::Both).await.unwrap().host.tlsa
}

#[tokio::test]
async fn hosts_by_preference_without_what_is_no_host() {
    let zones = Zones::new()
        .with("a.example", mx(20, "second.example"))
        .with("a.example", mx(10, "first.example"))
        .with("a.example", mx(5, "192.0.2.1"))
        .with("a.example", mx(30, "third_with.underscore.example"));
    let found = destination(zones, "a.example").await.unwrap();
    let names: Vec<String> = found.hosts.iter().map(|host| host.name.to_string()).collect();
    assert_eq!(names, ["first.example", "second.example", "third_with.underscore.example"]);
    assert_eq!(found.unusable, ["192.0.2.1."]);
    assert_eq!(found.destination.mx, MxRecords::Explicit(Authenticity::Insecure));
}

#[tokio::test]
async fn hosts_of_one_preference_come_in_any_order() {
    let zones = || (0..8).fold(Zones::new(), |zones, n| zones.with("a.example", mx(10, &format!("m{n}.example"))));
    let mut firsts = std::collections::HashSet::new();
    let gatherer = gatherer(zones());
    for _ in 0..50 {
        let found = gatherer.destination(&HostName::Domain(domain("a.example"))).await.unwrap();
        assert_eq!(found.hosts.len(), 8);
        firsts.insert(found.hosts[0].name.to_string());
    }
    assert!(firsts.len() > 3, "{firsts:?}");
}

#[tokio::test]
async fn who_takes_no_mail() {
    let zones = || {
        Zones::new()
            .with("null.example", mx(0, "."))
            .with_alias("alias.example", "nowhere.example")
            .with("nameless.example", mx(0, "."))
            .with("nameless.example", mx(10, "192.0.2.1"))
            .failing("broken.example", RecordType::Mx, LookupErrorKind::Timeout)
            .with("broken.example", a(1))
    };
    for (name, permanence, status, text) in [
        ("null.example", Permanence::Permanent, "5.1.10", "takes no mail"),
        ("none.example", Permanence::Permanent, "5.1.2", "does not exist"),
        ("alias.example", Permanence::Permanent, "5.1.2", "is an alias of nowhere.example"),
        ("nameless.example", Permanence::Temporary, "4.4.4", "name no host"),
        ("broken.example", Permanence::Temporary, "4.4.3", "timed out"),
    ] {
        let Nobody { failure, results, is_ours } = *destination(zones(), name).await.unwrap_err();
        assert_eq!((failure.permanence, failure.status.to_string().as_str()), (permanence, status), "{name}");
        assert!(failure.text.contains(text), "{}", failure.text);
        assert!(results.is_empty() && !is_ours);
    }
}

#[tokio::test]
async fn what_dnssec_refuses_is_reported() {
    let zones = Zones::new().failing("org.example", RecordType::Mx, LookupErrorKind::Bogus);
    let nobody = destination(zones, "org.example").await.unwrap_err();
    assert_eq!(nobody.failure.permanence, Permanence::Temporary);
    let [result] = nobody.results.as_slice() else { panic!("{nobody:?}") };
    assert_eq!((&result.policy.domain, &result.policy.terms), (&domain("org.example"), &Terms::NoPolicyFound));
    assert_eq!(result.failure.as_ref().unwrap().result, ResultType::DnssecInvalid);
}

#[tokio::test]
async fn a_domain_without_mx_records_is_its_own_host() {
    let zones = || Zones::new().secure("org.example").with("org.example", a(1)).with("empty.org.example", tlsa(3));
    let gatherer = gatherer(zones());
    let found = gatherer.destination(&HostName::Domain(domain("org.example"))).await.unwrap();
    assert_eq!(found.destination.mx, MxRecords::Implicit(Authenticity::Secure));
    let host = gatherer.host(&found.destination, &found.hosts[0], Families::Both).await.unwrap();
    assert_eq!(host.addresses, [IpAddr::from([192, 0, 2, 1])]);
    let found = gatherer.destination(&HostName::Domain(domain("empty.org.example"))).await.unwrap();
    let nobody = gatherer.host(&found.destination, &found.hosts[0], Families::Both).await.unwrap_err();
    assert_eq!(nobody.failure.status.to_string(), "5.4.4");
}

#[tokio::test]
async fn an_alias_of_the_domain_counts_as_far_as_it_is_signed() {
    let zones = |signed: &[&str]| {
        let zones =
            Zones::new().with_alias("alias.example", "org.example").with("org.example", mx(10, "mx.org.example"));
        signed.iter().fold(zones, |zones, apex| zones.secure(apex))
    };
    for (signed, authenticity) in [
        (&["alias.example", "org.example"][..], Authenticity::Secure),
        (&["org.example"], Authenticity::Insecure),
        (&["alias.example"], Authenticity::Insecure),
    ] {
        let Destination { next_hop, mx, .. } = destination(zones(signed), "alias.example").await.unwrap().destination;
        assert_eq!(mx, MxRecords::Explicit(authenticity), "{signed:?}");
        let expected = NextHop::Domain { name: domain("alias.example"), expanded: Some(domain("org.example")) };
        assert_eq!(next_hop, expected);
    }
}

#[tokio::test]
async fn this_server_and_what_comes_after_it_is_left_out() {
    let zones = Zones::new()
        .with("a.example", mx(10, "first.example"))
        .with("a.example", mx(20, "here.example"))
        .with("a.example", mx(20, "beside.example"))
        .with("a.example", mx(30, "after.example"))
        .with("only.example", mx(20, "here.example"))
        .with("by-address.example", mx(20, "other.example"))
        .with("other.example", a(99));
    let gatherer = gatherer(zones);
    let find = async |name| gatherer.destination(&HostName::Domain(domain(name))).await;
    let found = find("a.example").await.unwrap();
    assert_eq!(found.hosts.iter().map(|host| host.name.to_string()).collect::<Vec<_>>(), ["first.example"]);
    let nobody = find("only.example").await.unwrap_err();
    assert!(nobody.is_ours && nobody.failure.status.to_string() == "5.4.6");
    let found = find("by-address.example").await.unwrap();
    assert!(gatherer.host(&found.destination, &found.hosts[0], Families::Both).await.unwrap_err().is_ours);
    let own = gatherer.destination(&HostName::Ip([192, 0, 2, 99].into())).await;
    assert!(own.unwrap_err().is_ours);
}

#[tokio::test]
async fn an_address_is_its_own_host() {
    let gatherer = gatherer(Zones::new());
    let found = gatherer.destination(&HostName::Ip([192, 0, 2, 5].into())).await.unwrap();
    let host = gatherer.host(&found.destination, &found.hosts[0], Families::Both).await.unwrap();
    assert_eq!((host.addresses, host.host.tlsa), (vec![IpAddr::from([192, 0, 2, 5])], TlsaState::Absent));
}

#[tokio::test]
async fn tlsa_records_that_dnssec_proves() {
    let base = TlsaBaseDomain(domain("mx.org.example"));
    let usable = tlsa_of(signed().with("_25._tcp.mx.org.example", tlsa(3)).with("_25._tcp.mx.org.example", tlsa(1)));
    let TlsaState::Usable { base: found, records } = usable.await else { panic!() };
    assert_eq!((found, records.len()), (base, 1), "only what can be used");
    let TlsaState::Unusable { records, .. } = tlsa_of(signed().with("_25._tcp.mx.org.example", tlsa(1))).await else {
        panic!()
    };
    assert_eq!(records.len(), 1);
    assert_eq!(tlsa_of(signed()).await, TlsaState::Absent);
    let failing = signed().failing("_25._tcp.mx.org.example", RecordType::Tlsa, LookupErrorKind::ServerFailure);
    let TlsaState::Failed { reason, .. } = tlsa_of(failing).await else { panic!() };
    assert_eq!(reason.result, ResultType::DnssecInvalid);
}

#[tokio::test]
async fn tlsa_records_behind_an_alias_must_be_secure_all_the_way() {
    let zones = |apexes: &[&str]| {
        let zones =
            signed().with_alias("_25._tcp.mx.org.example", "_dane.keys.example").with("_dane.keys.example", tlsa(3));
        apexes.iter().fold(zones, |zones, apex| zones.secure(apex))
    };
    assert!(matches!(tlsa_of(zones(&["keys.example"])).await, TlsaState::Usable { .. }));
    assert_eq!(tlsa_of(zones(&[])).await, TlsaState::Absent);
}

/// RFC 7672 §2.2.2: the name that a host is an alias of comes first where it is signed; else the alias alone counts.
#[tokio::test]
async fn a_host_that_is_an_alias() {
    let zones = |target_signed: bool, target_has: bool, alias_has: bool| {
        let mut zones = Zones::new()
            .secure("org.example")
            .with("org.example", mx(10, "mx.org.example"))
            .with_alias("mx.org.example", "host.net.example")
            .with("host.net.example", a(1));
        if target_signed {
            zones = zones.secure("net.example");
        }
        if target_has {
            zones = zones.with("_25._tcp.host.net.example", tlsa(3));
        }
        if alias_has {
            zones = zones.with("_25._tcp.mx.org.example", tlsa(2));
        }
        zones
    };
    let base = async |zones| match tlsa_of(zones).await {
        TlsaState::Usable { base, .. } => Some(base.to_string()),
        TlsaState::Absent => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(base(zones(true, true, true)).await.as_deref(), Some("host.net.example"));
    assert_eq!(base(zones(true, false, true)).await.as_deref(), Some("mx.org.example"));
    assert_eq!(base(zones(false, true, true)).await.as_deref(), Some("mx.org.example"));
    assert_eq!(base(zones(false, true, false)).await, None);
}

#[tokio::test]
async fn unsigned_mx_records_ask_for_no_tlsa_records() {
    let zones = Arc::new(
        Zones::new()
            .with("org.example", mx(10, "mx.net.example"))
            .with("mx.net.example", a(1))
            .with("_25._tcp.mx.net.example", tlsa(3))
            .secure("net.example"),
    );
    let mut gatherer = gatherer(Zones::new());
    gatherer.resolver = Arc::<Zones>::clone(&zones);
    let found = gatherer.destination(&HostName::Domain(domain("org.example"))).await.unwrap();
    let host = gatherer.host(&found.destination, &found.hosts[0], Families::Both).await.unwrap();
    assert_eq!(host.host.tlsa, TlsaState::Absent);
    assert!(zones.asked().iter().all(|(_, asked)| *asked != RecordType::Tlsa));
    gatherer.insecure_mx = InsecureMx::Used;
    let host = gatherer.host(&found.destination, &found.hosts[0], Families::Both).await.unwrap();
    assert!(matches!(host.host.tlsa, TlsaState::Usable { .. }));
}
