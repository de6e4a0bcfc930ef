//! What came of asking the servers of a zone when nothing came of it: in words for people, and typed for those who decide.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use mailstead_dns::{ExtendedError, LookupErrorKind, MessageError, Name};

use super::super::upstream::{FetchError, Reach};
use super::reading::Fault;

/// Servers and names told of one by one; more would not be read.
const MOST_TOLD: usize = 6;
/// Remarks of servers kept.
const MOST_REMARKS: usize = 8;

/// RFC 8914 §4.23
const NO_REACHABLE_AUTHORITY: u16 = 22;
/// RFC 8914 §4.24
const NETWORK_ERROR: u16 = 23;

/// What came of asking a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    TimedOut,
    Network(String),
    Malformed(MessageError),
    Unusable(Fault),
    /// We had no socket, or enough questions with this server already.
    NotAsked,
    /// The policy for addresses forbids to ask it, for this reason.
    Forbidden(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::TimedOut => f.write_str("timed out"),
            Outcome::Network(text) => write!(f, "could not be reached ({text})"),
            Outcome::Malformed(error) => write!(f, "sent a malformed response ({error})"),
            Outcome::Unusable(fault) => fault.fmt(f),
            Outcome::NotAsked => f.write_str("could not be asked, too many questions are under way"),
            Outcome::Forbidden(why) => write!(f, "is not allowed ({why})"),
        }
    }
}

/// Why a server has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAddress {
    /// It has none, or does not exist.
    None,
    /// It lies in the zone that it serves, and the parent gives no address for it.
    NoGlue,
    /// To find it we would have to have found it already.
    Circular,
    /// It depends on servers that depend on servers, and so on.
    TooDeep,
    /// Too many such look-ups for one answer.
    TooMany,
    /// The look-up failed.
    Failed { kind: LookupErrorKind, root_unreached: bool },
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAddress::None => f.write_str("has no address"),
            NoAddress::NoGlue => f.write_str("has no address in its parent zone"),
            NoAddress::Circular => f.write_str("can only be found by asking itself"),
            NoAddress::TooDeep => f.write_str("depends on too many other servers"),
            NoAddress::TooMany => f.write_str("was not looked up, there are too many such names"),
            NoAddress::Failed { kind, .. } => write!(f, "could not be looked up ({kind})"),
        }
    }
}

/// Why there is no usable response from any server of a zone.
#[derive(Debug)]
pub(super) struct ZoneFailure {
    zone: Name,
    servers: Vec<(IpAddr, Outcome)>,
    names: Vec<(Name, NoAddress)>,
    remarks: Vec<ExtendedError>,
    /// Servers known that were not asked for lack of time or tries.
    pub(super) not_asked: usize,
    /// Whether time was up.
    pub(super) out_of_time: bool,
}

impl ZoneFailure {
    /// Nothing has failed yet.
    pub(super) fn new(zone: &Name) -> Self {
        ZoneFailure {
            zone: zone.clone(),
            servers: Vec::new(),
            names: Vec::new(),
            remarks: Vec::new(),
            not_asked: 0,
            out_of_time: false,
        }
    }

    /// What came of a server in the end.
    pub(super) fn server(&mut self, address: IpAddr, outcome: Outcome) {
        match self.servers.iter_mut().find(|(known, _)| *known == address) {
            Some((_, known)) => *known = outcome,
            None => self.servers.push((address, outcome)),
        }
    }

    /// Why a server cannot be asked at all.
    pub(super) fn name(&mut self, name: Name, why: NoAddress) {
        self.names.push((name, why));
    }

    /// What a server remarked (RFC 8914).
    pub(super) fn remarks(&mut self, remarks: &[ExtendedError]) {
        for remark in remarks {
            if self.remarks.len() < MOST_REMARKS && !self.remarks.contains(remark) {
                self.remarks.push(remark.clone());
            }
        }
    }

    /// Whether any server sent a response at all.
    pub(super) fn has_heard(&self) -> bool {
        self.servers.iter().any(|(_, outcome)| matches!(outcome, Outcome::Unusable(_) | Outcome::Malformed(_)))
    }

    fn is_root_unreached(&self) -> bool {
        let of_names = |(_, why): &(Name, NoAddress)| matches!(why, NoAddress::Failed { root_unreached: true, .. });
        !self.has_heard() && (self.zone.is_root() || self.names.iter().any(of_names))
    }

    fn asked(&self) -> usize {
        self.servers.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Forbidden(_))).count()
    }

    /// What matters most to whoever asked: a server that speaks is more telling than one that is silent.
    fn kind(&self) -> LookupErrorKind {
        let any = |is_it: fn(&Outcome) -> bool| self.servers.iter().any(|(_, outcome)| is_it(outcome));
        let of_names = |(_, why): &(Name, NoAddress)| match why {
            NoAddress::Failed { kind, .. } => Some(*kind),
            NoAddress::TooMany | NoAddress::TooDeep => Some(LookupErrorKind::WorkLimit),
            NoAddress::None | NoAddress::NoGlue | NoAddress::Circular => None,
        };
        if any(|outcome| matches!(outcome, Outcome::Unusable(fault) if !fault.is_refusal())) {
            LookupErrorKind::ServerFailure
        } else if any(|outcome| matches!(outcome, Outcome::Unusable(_))) {
            LookupErrorKind::Refused
        } else if any(|outcome| matches!(outcome, Outcome::Malformed(_))) {
            LookupErrorKind::Malformed
        } else if self.out_of_time || any(|outcome| matches!(outcome, Outcome::TimedOut | Outcome::NotAsked)) {
            LookupErrorKind::Timeout
        } else if any(|outcome| matches!(outcome, Outcome::Network(_))) {
            LookupErrorKind::Network
        } else {
            self.names.iter().find_map(of_names).unwrap_or(LookupErrorKind::ServerFailure)
        }
    }

    fn detail(&self) -> String {
        let (asked, all) = (self.asked(), self.not_asked == 0);
        let servers = match (asked, self.zone.is_root()) {
            (0 | 1, true) => "root server".to_owned(),
            (_, true) => "root servers".to_owned(),
            (0 | 1, false) => format!("server of {}", self.zone),
            (_, false) => format!("servers of {}", self.zone),
        };
        let mut detail = match asked {
            0 => format!("no {servers} has an address that can be asked"),
            1 if all => format!("the only {servers} did not answer"),
            _ if all => format!("none of the {asked} {servers} answered"),
            1 => format!("the one {servers} asked did not answer"),
            _ => format!("none of the {asked} {servers} asked answered"),
        };
        let told = self.servers.iter().map(|(address, outcome)| format!("{address} {outcome}"));
        let told: Vec<_> = told.chain(self.names.iter().map(|(name, why)| format!("{name} {why}"))).collect();
        for (index, line) in told.iter().take(MOST_TOLD).enumerate() {
            detail.push_str(if index == 0 { ": " } else { ", " });
            detail.push_str(line);
        }
        if let Some(more) = told.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
            // Writing to a string does not fail.
            let _ = write!(detail, " and {more} more");
        }
        if self.out_of_time {
            detail.push_str("; time was up");
        }
        detail
    }

    /// For whoever asked.
    pub(super) fn into_error(self) -> FetchError {
        let text = format!("at {}", self.zone);
        let mut extended_errors = vec![ExtendedError { code: NO_REACHABLE_AUTHORITY, text }];
        if self.servers.iter().any(|(_, outcome)| matches!(outcome, Outcome::Network(_))) {
            extended_errors.push(ExtendedError::new(NETWORK_ERROR));
        }
        let (kind, mut detail) = (self.kind(), self.detail());
        let reach = if self.is_root_unreached() {
            if !self.zone.is_root() {
                detail.push_str("; no root server could be reached");
            }
            Some(Reach::Root)
        } else {
            (!self.has_heard()).then_some(Reach::Zone(self.zone))
        };
        extended_errors.extend(self.remarks);
        FetchError { kind, detail, extended_errors, reach }
    }
}

#[cfg(test)]
mod tests {
    use mailstead_dns::Rcode;

    use super::*;

    fn address(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn failure(zone: &str, outcomes: &[Outcome]) -> ZoneFailure {
        let mut failure = ZoneFailure::new(&Name::parse(zone).unwrap());
        for (number, outcome) in (1..).zip(outcomes) {
            failure.server(address(number), outcome.clone());
        }
        failure
    }

    #[test]
    fn told_in_words() {
        let refused = Outcome::Unusable(Fault::Rcode(Rcode::REFUSED));
        let error = failure("example.org", &[Outcome::TimedOut, refused.clone()]).into_error();
        assert_eq!(
            error.detail,
            "none of the 2 servers of example.org. answered: 192.0.2.1 timed out, 192.0.2.2 refused"
        );
        assert_eq!(error.kind, LookupErrorKind::Refused);
        assert_eq!(error.extended_errors, [ExtendedError { code: 22, text: "at example.org.".into() }]);

        let mut failed = failure("example.org", &[Outcome::TimedOut]);
        failed.server(address(1), refused);
        assert_eq!(failed.into_error().detail, "the only server of example.org. did not answer: 192.0.2.1 refused");

        let mut none = failure("example.org", &[Outcome::Forbidden("a private address")]);
        none.name(Name::parse("ns.example").unwrap(), NoAddress::None);
        assert_eq!(
            none.into_error().detail,
            "no server of example.org. has an address that can be asked: 192.0.2.1 is not allowed (a private address), \
             ns.example. has no address"
        );

        let mut many = failure(".", &vec![Outcome::TimedOut; 9]);
        many.not_asked = 4;
        let error = many.into_error();
        assert!(error.detail.starts_with("none of the 9 root servers asked answered: 192.0.2.1 timed out, "));
        assert!(error.detail.ends_with("192.0.2.6 timed out and 3 more"), "{}", error.detail);
    }

    #[test]
    fn kinds() {
        use LookupErrorKind::{Malformed, Network, Refused, ServerFailure, Timeout, WorkLimit};
        let network = Outcome::Network("unreachable".into());
        let malformed = Outcome::Malformed(MessageError::Name);
        let (failed, lame) = (Outcome::Unusable(Fault::Failed), Outcome::Unusable(Fault::NotAuthoritative));
        for (outcomes, kind) in [
            (vec![network.clone()], Network),
            (vec![network.clone(), Outcome::TimedOut], Timeout),
            (vec![Outcome::TimedOut, malformed.clone()], Malformed),
            (vec![malformed, lame.clone()], Refused),
            (vec![lame, failed, network], ServerFailure),
            (vec![], ServerFailure),
        ] {
            assert_eq!(failure("example", &outcomes).into_error().kind, kind, "{outcomes:?}");
        }
        let mut names = failure("example", &[]);
        names.name(Name::root(), NoAddress::TooMany);
        assert_eq!(names.into_error().kind, WorkLimit);
    }

    #[test]
    fn the_root_is_told_from_zones() {
        let reach = |failure: ZoneFailure| failure.into_error().reach;
        assert_eq!(reach(failure(".", &[Outcome::TimedOut])), Some(Reach::Root));
        assert_eq!(reach(failure(".", &[Outcome::Unusable(Fault::Failed)])), None, "somebody is there");
        let example = Name::parse("example").unwrap();
        assert_eq!(reach(failure("example", &[Outcome::TimedOut])), Some(Reach::Zone(example)));
        let mut nested = failure("example", &[]);
        let kind = LookupErrorKind::Timeout;
        nested.name(Name::parse("ns.org").unwrap(), NoAddress::Failed { kind, root_unreached: true });
        let error = nested.into_error();
        assert_eq!(error.reach, Some(Reach::Root));
        assert!(error.detail.ends_with("; no root server could be reached"), "{}", error.detail);
    }
}
