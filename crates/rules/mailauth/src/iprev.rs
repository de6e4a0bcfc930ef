//! Whether the address of a client has a name that has this address (iprev, RFC 8601 §2.7.3 and §3).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use mailstead_dns::{Authenticity, LookupError, Record, RecordType, Resolver, Target, reverse_name};
use mailstead_names::Domain;

use crate::Evidence;

/// Names of an address that are looked up; further ones are ignored (§3, which leaves the number to us and mentions
/// this one).
pub const MOST_NAMES: usize = 10;

/// The result of a check (§2.7.3). There is no "none": every client has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IprevResult {
    /// A name of the address has this address.
    Pass,
    /// No name of the address does.
    Fail,
    /// It is not known, and may be known later.
    TempError,
    /// The address has no name.
    PermError,
}

impl IprevResult {
    const ALL: [IprevResult; 4] =
        [IprevResult::Pass, IprevResult::Fail, IprevResult::TempError, IprevResult::PermError];

    /// As in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            IprevResult::Pass => "pass",
            IprevResult::Fail => "fail",
            IprevResult::TempError => "temperror",
            IprevResult::PermError => "permerror",
        }
    }
}

impl fmt::Display for IprevResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is not the name of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a result of iprev")]
pub struct UnknownResult;

impl FromStr for IprevResult {
    type Err = UnknownResult;

    /// In any case of letters.
    fn from_str(text: &str) -> Result<IprevResult, UnknownResult> {
        IprevResult::ALL.into_iter().find(|result| result.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownResult)
    }
}

/// Why a result is what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// This name has the address.
    Confirmed(Domain),
    /// These are the names of the address, and none has it.
    NotConfirmed(Vec<Domain>),
    /// The address has no name, or none that could be looked up.
    NoName,
    /// A question was not answered, and no other name was confirmed.
    Lookup(LookupError),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Confirmed(name) => write!(f, "{name} has the address"),
            Reason::NotConfirmed(names) => {
                f.write_str("none of the address's names has it: ")?;
                names.iter().enumerate().try_for_each(|(i, name)| {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{name}")
                })
            }
            Reason::NoName => f.write_str("the address has no name"),
            Reason::Lookup(error) => error.fmt(f),
        }
    }
}

/// The result of a check with all that speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What came out.
    pub result: IprevResult,
    /// The address that was checked; never an IPv4-mapped one.
    pub ip: IpAddr,
    /// Why.
    pub reason: Reason,
    /// Whether DNSSEC proved the answers: of a pass, the one with the name and the one that confirms it; otherwise all.
    pub authenticity: Authenticity,
    /// What was asked and answered, in this order.
    pub evidence: Evidence,
}

impl Verdict {
    /// The name of the client, where it is confirmed.
    pub fn name(&self) -> Option<&Domain> {
        match &self.reason {
            Reason::Confirmed(name) => Some(name),
            _ => None,
        }
    }
}

/// Looks up the names of an address, and their addresses until one is the same.
///
/// ```
/// use mailstead_dns::{Record, Target};
/// use mailstead_mailauth::iprev::{IprevResult, check_iprev};
/// use mailstead_testkit::Zones;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let zones = Zones::new()
///     .with("1.2.0.192.in-addr.arpa", Record::Ptr(Target::parse("mx.example.org")))
///     .with("mx.example.org", Record::A([192, 0, 2, 1].into()));
/// let verdict = check_iprev(&zones, [192, 0, 2, 1].into()).await;
/// assert_eq!(verdict.result, IprevResult::Pass);
/// assert_eq!(verdict.name().unwrap().as_ascii(), "mx.example.org");
/// # });
/// ```
pub async fn check_iprev(resolver: &dyn Resolver, ip: IpAddr) -> Verdict {
    let ip = ip.to_canonical();
    let mut evidence = Evidence::default();
    let conclude = |result, reason, authenticity: Option<Authenticity>, evidence: Evidence| {
        let authenticity = authenticity.unwrap_or_else(|| evidence.authenticity());
        Verdict { result, ip, reason, authenticity, evidence }
    };
    let answer = match evidence.lookup(resolver, &reverse_name(ip), RecordType::Ptr).await {
        Ok(answer) => answer,
        Err(error) => return conclude(IprevResult::TempError, Reason::Lookup(error), None, evidence),
    };
    let names: Vec<Domain> = answer.records.iter().filter_map(name).take(MOST_NAMES).collect();
    if names.is_empty() {
        return conclude(IprevResult::PermError, Reason::NoName, None, evidence);
    }
    let mut failure = None;
    for name in &names {
        match confirm(&mut evidence, resolver, name, ip).await {
            Ok(Some(authenticity)) => {
                let authenticity = authenticity.min(answer.authenticity());
                return conclude(IprevResult::Pass, Reason::Confirmed(name.clone()), Some(authenticity), evidence);
            }
            Ok(None) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) => conclude(IprevResult::TempError, Reason::Lookup(error), None, evidence),
        None => conclude(IprevResult::Fail, Reason::NotConfirmed(names), None, evidence),
    }
}

/// Looks up the addresses of a name: whether the client's is one of them, and how certain that is.
pub(crate) async fn confirm(
    evidence: &mut Evidence,
    resolver: &dyn Resolver,
    name: &Domain,
    ip: IpAddr,
) -> Result<Option<Authenticity>, LookupError> {
    let answer = evidence.lookup(resolver, name, address_type(ip)).await?;
    let is_confirmed = answer.records.iter().filter_map(address).any(|address| address == ip);
    Ok(is_confirmed.then(|| answer.authenticity()))
}

/// The type of records that hold addresses of this family.
pub(crate) fn address_type(ip: IpAddr) -> RecordType {
    if ip.is_ipv4() { RecordType::A } else { RecordType::Aaaa }
}

/// The address in an address record.
pub(crate) fn address(record: &Record) -> Option<IpAddr> {
    match record {
        Record::A(ip) => Some((*ip).into()),
        Record::Aaaa(ip) => Some((*ip).into()),
        _ => None,
    }
}

/// The name in a PTR record, where it can be looked up.
pub(crate) fn name(record: &Record) -> Option<Domain> {
    match record {
        Record::Ptr(target) => host(target),
        _ => None,
    }
}

/// The name of a host in the data of a record, as strange as it may be.
pub(crate) fn host(target: &Target) -> Option<Domain> {
    match target {
        Target::Domain(domain) => Some(domain.clone()),
        Target::Root => None,
        Target::Unusable(name) => Domain::parse_composed(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use mailstead_dns::LookupErrorKind;
    use mailstead_testkit::Zones;

    use super::*;

    const CLIENT: [u8; 4] = [192, 0, 2, 1];
    const REVERSE: &str = "1.2.0.192.in-addr.arpa";

    fn ptr(name: &str) -> Record {
        Record::Ptr(Target::parse(name))
    }

    async fn check(zones: &Zones) -> Verdict {
        check_iprev(zones, CLIENT.into()).await
    }

    #[tokio::test]
    async fn results() {
        let domain = |name: &str| Domain::parse(name).unwrap();
        let verdict = check(&Zones::new()).await;
        assert_eq!((verdict.result, verdict.reason), (IprevResult::PermError, Reason::NoName));
        let verdict = check(&Zones::new().with(REVERSE, ptr("."))).await;
        assert_eq!((verdict.result, verdict.reason), (IprevResult::PermError, Reason::NoName));

        let named = || Zones::new().with(REVERSE, ptr("mx.example.org")).with(REVERSE, ptr("other.example.org"));
        let names = vec![domain("mx.example.org"), domain("other.example.org")];
        let verdict = check(&named().with("mx.example.org", Record::A([192, 0, 2, 2].into()))).await;
        assert_eq!((verdict.result, verdict.reason), (IprevResult::Fail, Reason::NotConfirmed(names)));

        let verdict = check(&named().with("other.example.org", Record::A(CLIENT.into()))).await;
        assert_eq!(verdict.result, IprevResult::Pass);
        assert_eq!(verdict.name(), Some(&domain("other.example.org")));
        assert_eq!(verdict.evidence.consulted.len(), 3);

        let failing =
            |zones: Zones, name: &str, record_type| zones.failing(name, record_type, LookupErrorKind::Timeout);
        let verdict = check(&failing(named(), REVERSE, RecordType::Ptr)).await;
        assert_eq!(verdict.result, IprevResult::TempError);
        assert!(matches!(verdict.reason, Reason::Lookup(LookupError { kind: LookupErrorKind::Timeout, .. })));
        // One name without an answer does not matter when another is confirmed, and does when none is.
        let failing = failing(named(), "mx.example.org", RecordType::A);
        assert_eq!(check(&failing).await.result, IprevResult::TempError);
        let failing = failing.with("other.example.org", Record::A(CLIENT.into()));
        assert_eq!(check(&failing).await.result, IprevResult::Pass);
    }

    #[tokio::test]
    async fn both_families() {
        let ip: IpAddr = "2001:db8::1".parse().unwrap();
        let zones = Zones::new()
            .with(reverse_name(ip).as_ascii(), ptr("mx.example.org"))
            .with("mx.example.org", Record::Aaaa("2001:db8::1".parse().unwrap()))
            .with(REVERSE, ptr("mx.example.org"))
            .with("mx.example.org", Record::A(CLIENT.into()));
        assert_eq!(check_iprev(&zones, ip).await.result, IprevResult::Pass);
        let mapped = check_iprev(&zones, "::ffff:192.0.2.1".parse().unwrap()).await;
        assert_eq!((mapped.result, mapped.ip), (IprevResult::Pass, CLIENT.into()));
    }

    #[tokio::test]
    async fn both_look_ups_must_be_secure() {
        let zones = || {
            Zones::new()
                .with(REVERSE, ptr("insecure.example"))
                .with(REVERSE, ptr("mx.example.org"))
                .with("mx.example.org", Record::A(CLIENT.into()))
        };
        for (secure, authenticity) in [
            (&[][..], Authenticity::Insecure),
            (&["example.org"], Authenticity::Insecure),
            (&["2.0.192.in-addr.arpa"], Authenticity::Insecure),
            // The name that is not confirmed has no part in the result.
            (&["2.0.192.in-addr.arpa", "example.org"], Authenticity::Secure),
        ] {
            let verdict = check(&secure.iter().fold(zones(), |zones, name| zones.secure(name))).await;
            assert_eq!((verdict.result, verdict.authenticity), (IprevResult::Pass, authenticity), "{secure:?}");
        }
        let absent = check(&Zones::new().secure("in-addr.arpa")).await;
        assert_eq!((absent.result, absent.authenticity), (IprevResult::PermError, Authenticity::Secure));
    }

    #[tokio::test]
    async fn names_are_bounded() {
        let zones = (0..1000).fold(Zones::new(), |zones, i| zones.with(REVERSE, ptr(&format!("{i}.example.org"))));
        let zones = zones.with("10.example.org", Record::A(CLIENT.into()));
        assert_eq!(check(&zones).await.result, IprevResult::Fail);
        assert_eq!(zones.asked().len(), 1 + MOST_NAMES);
    }
}
