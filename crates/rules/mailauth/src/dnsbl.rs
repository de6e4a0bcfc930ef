//! Lists of addresses in the DNS, most of which list whom not to trust (RFC 5782).
//!
//! What a listing means is for the caller to decide, and so is the list: there are none here, and no scores.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mailstead_dns::{Authenticity, LookupError, Record, RecordType, Resolver, Txt, reverse_name};
use mailstead_names::Domain;

use crate::Evidence;

/// Codes of a listing that are kept. Lists have a handful.
const MOST_CODES: usize = 32;

/// Longest explanation, in characters; the rest is cut off. It has to fit in a few lines of an SMTP reply.
pub const MOST_EXPLANATION: usize = 800;

/// What a list says about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DnsblResult {
    /// The address is on the list.
    Listed,
    /// The address is not on the list.
    NotListed,
    /// It is not known, and may be known later.
    TempError,
    /// This is no list, or it does not answer us.
    PermError,
}

impl DnsblResult {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            DnsblResult::Listed => "listed",
            DnsblResult::NotListed => "not-listed",
            DnsblResult::TempError => "temperror",
            DnsblResult::PermError => "permerror",
        }
    }
}

impl fmt::Display for DnsblResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a result is what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The list has these codes for the address, in ascending order. They say on which of its sublists the address is;
    /// how, is up to the list (§2.3).
    #[error("{}", Codes(.0))]
    Codes(Vec<Ipv4Addr>),
    /// The list has no entry.
    #[error("no entry")]
    NoEntry,
    /// The question was not answered.
    #[error(transparent)]
    Lookup(LookupError),
    /// An answer outside of 127.0.0.0/8. Lists do not give such (§2.3), but whoever takes over a domain that was once a
    /// list does, for every address (§7).
    #[error("{0} is not an answer of a list")]
    NotAList(Ipv4Addr),
    /// An answer from 127.255.255.0/24, by which lists refuse to answer: too many questions, or through a resolver that
    /// they do not serve. No RFC has it, but the large lists do.
    #[error("the list refuses to answer: {0}")]
    Refused(Ipv4Addr),
    /// The name of the list is too long to have entries.
    #[error("the name of the list is too long")]
    ZoneTooLong,
}

struct Codes<'a>(&'a [Ipv4Addr]);

impl fmt::Display for Codes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, code)| {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{code}")
        })
    }
}

/// What a list says about an address, with all that speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The list.
    pub zone: Domain,
    /// The address; never an IPv4-mapped one.
    pub ip: IpAddr,
    /// What came out.
    pub result: DnsblResult,
    /// Why.
    pub reason: Reason,
    /// Why the list has the address, in its own words: printable ASCII, at most [`MOST_EXPLANATION`] characters.
    pub explanation: Option<String>,
    /// Whether DNSSEC proved the result. The explanation does not count.
    pub authenticity: Authenticity,
    /// What was asked and answered, in this order.
    pub evidence: Evidence,
}

/// Asks a list for an address, and where the address is listed also for the explanation.
///
/// ```
/// use mailstead_dns::{Record, Txt};
/// use mailstead_mailauth::dnsbl::{DnsblResult, check_dnsbl};
/// use mailstead_names::Domain;
/// use mailstead_testkit::Zones;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let zones = Zones::new()
///     .with("99.2.0.192.bad.example.com", Record::A([127, 0, 0, 2].into()))
///     .with("99.2.0.192.bad.example.com", Record::Txt(Txt::from("Dynamic address")));
/// let zone = Domain::parse("bad.example.com").unwrap();
/// let listing = check_dnsbl(&zones, &zone, [192, 0, 2, 99].into()).await;
/// assert_eq!(listing.result, DnsblResult::Listed);
/// assert_eq!(listing.explanation.as_deref(), Some("Dynamic address"));
/// # });
/// ```
pub async fn check_dnsbl(resolver: &dyn Resolver, zone: &Domain, ip: IpAddr) -> Listing {
    check(resolver, zone, ip.to_canonical()).await
}

/// The same for an address that is taken literally, because §5 has test entries for IPv4-mapped addresses.
async fn check(resolver: &dyn Resolver, zone: &Domain, ip: IpAddr) -> Listing {
    let mut evidence = Evidence::default();
    let Some(name) = entry(zone, ip) else {
        return Listing {
            zone: zone.clone(),
            ip,
            result: DnsblResult::PermError,
            reason: Reason::ZoneTooLong,
            explanation: None,
            authenticity: Authenticity::Insecure,
            evidence,
        };
    };
    let answer = evidence.lookup(resolver, &name, RecordType::A).await;
    let authenticity = evidence.authenticity();
    let (result, reason) = match answer {
        Ok(answer) => interpret(answer.records),
        Err(error) => (DnsblResult::TempError, Reason::Lookup(error)),
    };
    let explanation = match result {
        DnsblResult::Listed => explain(&mut evidence, resolver, &name).await,
        _ => None,
    };
    Listing { zone: zone.clone(), ip, result, reason, explanation, authenticity, evidence }
}

/// The name of an entry: the address reversed as for PTR records, but in the list (§2.1, §2.4).
fn entry(zone: &Domain, ip: IpAddr) -> Option<Domain> {
    let reversed = reverse_name(ip);
    let suffix = if ip.is_ipv4() { ".in-addr.arpa" } else { ".ip6.arpa" };
    let labels = reversed.as_ascii().strip_suffix(suffix)?;
    zone.prepend(labels).ok()
}

fn interpret(records: Vec<Record>) -> (DnsblResult, Reason) {
    let code = |record| if let Record::A(code) = record { Some(code) } else { None };
    let mut codes: Vec<Ipv4Addr> = records.into_iter().filter_map(code).collect();
    codes.sort();
    codes.dedup();
    codes.truncate(MOST_CODES);
    // "A client MUST interpret any returned A record as meaning that an address is listed", says §6. These are the two
    // kinds of answer for which nobody does, because they would list the whole Internet.
    if let Some(code) = codes.iter().find(|code| !code.is_loopback()) {
        (DnsblResult::PermError, Reason::NotAList(*code))
    } else if let Some(code) = codes.iter().find(|code| code.octets().starts_with(&[127, 255, 255])) {
        (DnsblResult::PermError, Reason::Refused(*code))
    } else if codes.is_empty() {
        (DnsblResult::NotListed, Reason::NoEntry)
    } else {
        (DnsblResult::Listed, Reason::Codes(codes))
    }
}

/// All texts of an entry. Nothing tells which one belongs to which code (§2.3).
async fn explain(evidence: &mut Evidence, resolver: &dyn Resolver, name: &Domain) -> Option<String> {
    let answer = evidence.records::<Txt>(resolver, name).await.ok()?;
    let mut text = String::new();
    for txt in &answer.records {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.extend(String::from_utf8_lossy(&txt.joined()).chars().take(MOST_EXPLANATION).map(printable));
    }
    text.truncate(MOST_EXPLANATION);
    (!text.trim().is_empty()).then_some(text)
}

fn printable(c: char) -> char {
    if matches!(c, ' '..='~') { c } else { '?' }
}

/// Which addresses a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The addresses that every list must have, and must not have (§5).
    fn test_addresses(self) -> (IpAddr, IpAddr) {
        const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
        const NOT_LISTED: Ipv4Addr = Ipv4Addr::LOCALHOST;
        const MAPPED: fn(Ipv4Addr) -> Ipv6Addr = |ip| ip.to_ipv6_mapped();
        match self {
            Family::V4 => (LISTED.into(), NOT_LISTED.into()),
            Family::V6 => (MAPPED(LISTED).into(), MAPPED(NOT_LISTED).into()),
        }
    }
}

/// Whether a list is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What the list says about the address that must be on it.
    pub must_be_listed: Listing,
    /// What the list says about the address that must not be on it.
    pub must_not_be_listed: Listing,
}

impl Health {
    /// Whether both are as they must be. A list of which that is not known is not healthy.
    pub fn is_healthy(&self) -> bool {
        self.must_be_listed.result == DnsblResult::Listed && self.must_not_be_listed.result == DnsblResult::NotListed
    }
}

/// Asks a list for its test entries (§5). A list without them is abandoned or none, and SHOULD NOT be used (§7).
pub async fn check_health(resolver: &dyn Resolver, zone: &Domain, family: Family) -> Health {
    let (listed, not_listed) = family.test_addresses();
    Health {
        must_be_listed: check(resolver, zone, listed).await,
        must_not_be_listed: check(resolver, zone, not_listed).await,
    }
}

#[cfg(test)]
mod tests {
    use mailstead_dns::LookupErrorKind;
    use mailstead_testkit::Zones;

    use super::*;

    const ENTRY: &str = "99.2.0.192.bad.example.com";

    fn a(code: [u8; 4]) -> Record {
        Record::A(code.into())
    }

    async fn check(zones: &Zones) -> Listing {
        check_dnsbl(zones, &Domain::parse("bad.example.com").unwrap(), "::ffff:192.0.2.99".parse().unwrap()).await
    }

    #[tokio::test]
    async fn listings_have_codes_and_explanations() {
        let zones = Zones::new()
            .with(ENTRY, a([127, 0, 1, 2]))
            .with(ENTRY, a([127, 0, 1, 1]))
            .with(ENTRY, Record::Txt(Txt::from("first\r\nline")))
            .with(ENTRY, Record::Txt(Txt::from("zweiter Größe")))
            .secure("bad.example.com");
        let listing = check(&zones).await;
        assert_eq!((listing.result, listing.ip), (DnsblResult::Listed, [192, 0, 2, 99].into()));
        assert_eq!(listing.reason, Reason::Codes(vec![[127, 0, 1, 1].into(), [127, 0, 1, 2].into()]));
        assert_eq!(listing.reason.to_string(), "127.0.1.1, 127.0.1.2");
        assert_eq!(listing.explanation.as_deref(), Some("first??line; zweiter Gr??e"));
        assert_eq!((listing.authenticity, listing.evidence.consulted.len()), (Authenticity::Secure, 2));

        let long = Zones::new().with(ENTRY, a([127, 0, 0, 2])).with(ENTRY, Record::Txt(Txt::from(&*"x".repeat(5000))));
        assert_eq!(check(&long).await.explanation.map(|text| text.len()), Some(MOST_EXPLANATION));
        let silent =
            Zones::new().with(ENTRY, a([127, 0, 0, 2])).failing(ENTRY, RecordType::Txt, LookupErrorKind::Timeout);
        let listing = check(&silent).await;
        assert_eq!((listing.result, listing.explanation), (DnsblResult::Listed, None));
    }

    #[tokio::test]
    async fn absence_and_ignorance_differ() {
        let listing = check(&Zones::new()).await;
        assert_eq!((listing.result, listing.reason), (DnsblResult::NotListed, Reason::NoEntry));
        assert_eq!(listing.evidence.consulted.len(), 1);
        let listing = check(&Zones::new().failing(ENTRY, RecordType::A, LookupErrorKind::Timeout)).await;
        assert_eq!(listing.result, DnsblResult::TempError);
        assert!(matches!(listing.reason, Reason::Lookup(LookupError { kind: LookupErrorKind::Timeout, .. })));
    }

    #[tokio::test]
    async fn answers_that_would_list_everybody_do_not_count() {
        let parked = check(&Zones::new().with(ENTRY, a([127, 0, 0, 2])).with(ENTRY, a([203, 0, 113, 7]))).await;
        assert_eq!(parked.result, DnsblResult::PermError);
        assert_eq!(parked.reason, Reason::NotAList([203, 0, 113, 7].into()));
        let refused = check(&Zones::new().with(ENTRY, a([127, 255, 255, 254]))).await;
        assert_eq!(refused.reason, Reason::Refused([127, 255, 255, 254].into()));
        let zone = Domain::parse(&vec!["a".repeat(60); 4].join(".")).unwrap();
        let long = check_dnsbl(&Zones::new(), &zone, "2001:db8::1".parse().unwrap()).await;
        assert_eq!((long.result, long.reason), (DnsblResult::PermError, Reason::ZoneTooLong));
    }

    #[tokio::test]
    async fn ipv6_entries_are_nibbles() {
        // The example of RFC 5782 §2.4.
        let name = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com";
        let zones = Zones::new().with(name, a([127, 0, 0, 2]));
        let zone = Domain::parse("ugly.example.com").unwrap();
        let listing = check_dnsbl(&zones, &zone, "2001:db8:1:2:3:4:567:89ab".parse().unwrap()).await;
        assert_eq!(listing.result, DnsblResult::Listed);
    }

    #[tokio::test]
    async fn health() {
        let zone = Domain::parse("bad.example.com").unwrap();
        let (listed, not_listed) = ("2.0.0.127.bad.example.com", "1.0.0.127.bad.example.com");
        let good = || Zones::new().with(listed, a([127, 0, 0, 2]));
        assert!(check_health(&good(), &zone, Family::V4).await.is_healthy());
        assert!(!check_health(&good(), &zone, Family::V6).await.is_healthy());
        assert!(!check_health(&Zones::new(), &zone, Family::V4).await.is_healthy());
        // A wildcard lists everything.
        let wildcard = check_health(&good().with(not_listed, a([127, 0, 0, 2])), &zone, Family::V4).await;
        assert_eq!(wildcard.must_not_be_listed.result, DnsblResult::Listed);
        assert!(!wildcard.is_healthy());
        let silent = good().failing(not_listed, RecordType::A, LookupErrorKind::Timeout);
        assert!(!check_health(&silent, &zone, Family::V4).await.is_healthy());

        let v6 = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bad.example.com";
        assert!(check_health(&Zones::new().with(v6, a([127, 0, 0, 2])), &zone, Family::V6).await.is_healthy());
    }
}
