//! What to try with a host, before any connection is made: a pure function of facts and demand.
//!
//! The policies are independent of each other. DANE (RFC 7672 §2.2) and an enforced MTA-STS policy (RFC 8461 §5) that both
//! apply must both hold; the certificate is always checked against both, and what is not enforced is recorded for the
//! reports. `TLS-Required: No` (RFC 8689 §4.2.2) is the exception to all of them: everything is tried and recorded, and
//! nothing is a reason not to deliver.

use std::sync::Arc;

use mailstead_dns::{Authenticity, Tlsa};
use mailstead_names::{Domain, Host as HostName};

use crate::facts::{
    Demand, Destination, Host, MxRecords, NextHop, Plaintext, RouteSecurity, StsState, TlsRequirement, TlsaState,
};
use crate::reasons::{Reason, Shortfall};
use crate::report::{FailureReason, ResultType};
use crate::sts::{Mode, Policy};
use crate::tlsa::reference_identifiers;

/// What to do with one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPlan {
    /// The attempts, or why there are none.
    pub way: Way,
    /// What is to be reported although no connection was made.
    pub results: Vec<TlsResult>,
    /// Why it is so, for people, the weightiest first.
    pub reasons: Vec<Reason>,
}

/// Attempts, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// These, in order; at least one.
    Attempts(Vec<Attempt>),
    /// A policy forbids this host for now: the next one, or another time.
    Skip(Shortfall),
    /// The message demands REQUIRETLS, and this host can never grant it.
    RequireTlsUnsupported(Shortfall),
}

/// One way to connect, with what it must prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How the connection is protected.
    pub channel: Channel,
    /// Sent as server name (SNI): the TLSA base domain where there is one (RFC 7672 §8.1), else the host.
    pub server_name: HostName,
    /// Whether the certificate must be trusted by its chain, for `pkix_name`.
    pub pkix: Enforcement,
    /// The name that the certificate must be for: the host (RFC 8461 §4.2).
    pub pkix_name: HostName,
    /// The TLSA records to be checked, where there are usable ones.
    pub dane: Option<Dane>,
    /// What wants TLS here.
    pub need: TlsNeed,
    /// Whether the server must offer REQUIRETLS once TLS is there.
    pub extension: RequireTlsExtension,
    /// To whom the result is told.
    pub attribution: Vec<Attribution>,
}

impl Attempt {
    /// Whether a connection made for the other attempt shows what this one wants to know, whatever either enforces.
    #[must_use]
    pub fn checks_the_same(&self, other: &Attempt) -> bool {
        let checks = |attempt: &Attempt| {
            let dane = attempt.dane.as_ref().map(|dane| (dane.records.clone(), dane.names.clone()));
            (attempt.channel, attempt.server_name.clone(), attempt.pkix_name.clone(), dane)
        };
        checks(self) == checks(other)
    }
}

/// TLSA records that a certificate is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dane {
    /// Whether it must match.
    pub enforcement: Enforcement,
    /// Usable ones.
    pub records: Vec<Tlsa>,
    /// What a certificate below a DANE-TA anchor may be for (RFC 7672 §3.2.2).
    pub names: Vec<Domain>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// STARTTLS (RFC 3207).
    StartTls,
    /// TLS from the start (RFC 8314).
    ImplicitTls,
    /// Not at all, even if STARTTLS is offered.
    Plaintext,
}

/// What wants TLS on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsNeed {
    /// Nothing: without it, the message goes in the clear or not at all.
    Nothing,
    /// A policy of the destination or of the operator, or that the message must not go in the clear.
    Policy,
    /// REQUIRETLS, and nothing else. What it misses is missed for good (RFC 8689 §4.2.1).
    RequireTls,
}

/// Whether a check may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Enforcement {
    /// It must hold.
    Enforce,
    /// It is only recorded.
    Record,
}

/// Whether the server must offer the extension REQUIRETLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequireTlsExtension {
    /// It must, and is asked for it (RFC 8689 §4.2.1 step 5).
    Needed,
    /// It need not.
    NotNeeded,
}

/// A policy that results are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributedPolicy {
    /// The policy domain (RFC 8460 §3): the recipient's, or for the host the TLSA base domain or its name.
    pub domain: Domain,
    /// Whose it is.
    pub scope: Scope,
    /// What it says.
    pub terms: Terms,
}

/// Whose policy it is. Results of one never go to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The recipient's domain.
    RecipientDomain,
    /// The host.
    MxHost,
}

/// What a policy says, as far as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terms {
    /// An MTA-STS policy.
    Sts(Arc<Policy>),
    /// TLSA records, none where they could not be had.
    Tlsa(Vec<Tlsa>),
    /// There is none.
    NoPolicyFound,
}

/// Which policy the result of a connection counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// The policy.
    pub policy: AttributedPolicy,
    /// What is wrong whatever the connection shows.
    pub standing: Option<FailureReason>,
}

/// A result for the ledger: one session that succeeded or failed, for one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsResult {
    /// The policy.
    pub policy: AttributedPolicy,
    /// `None` for success.
    pub failure: Option<FailureReason>,
}

/// The reason code of an MX host that an MTA-STS policy does not name.
const MX_MISMATCH: &str = "mtasts-policy-mx-mismatch";
/// The reason code of TLSA records that are all unusable; the connection is made all the same.
const ALL_UNUSABLE: &str = "all-unusable-records+ignored";

/// What to try with this host, in order.
#[must_use]
pub fn plan(destination: &Destination, host: &Host, demand: Demand) -> HostPlan {
    match &destination.next_hop {
        NextHop::Route(security) => plan_route(*security, host, demand),
        NextHop::Address(_) => plan_address(host, demand),
        NextHop::Domain { name, .. } => Room { destination, host, demand, name }.plan(),
    }
}

/// What is to be reported of a destination whatever its hosts are: once for each time that its facts are gathered.
#[must_use]
pub fn destination_results(destination: &Destination) -> Vec<TlsResult> {
    let NextHop::Domain { name, .. } = &destination.next_hop else { return Vec::new() };
    let (terms, failure) = match &destination.sts {
        StsState::FetchFailed(reason) | StsState::Undecided(reason) => (Terms::NoPolicyFound, reason),
        StsState::Policy { policy, fallback: Some(reason) } => (Terms::Sts(Arc::clone(policy)), reason),
        StsState::Policy { fallback: None, .. } | StsState::NotFound => return Vec::new(),
    };
    let policy = AttributedPolicy { domain: name.clone(), scope: Scope::RecipientDomain, terms };
    vec![TlsResult { policy, failure: Some(failure.clone()) }]
}

/// A host of a recipient's domain, with all that is decided about it.
struct Room<'a> {
    destination: &'a Destination,
    host: &'a Host,
    demand: Demand,
    name: &'a Domain,
}

/// How the MTA-STS policy sees a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sts {
    /// No policy that says anything.
    Silent,
    Testing(Naming),
    Enforced(Naming),
}

/// Whether a policy names a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    Named,
    NotNamed,
}

impl Room<'_> {
    fn plan(&self) -> HostPlan {
        let sts = self.sts();
        let reasons = self.reasons(sts);
        if self.demand.requirement != TlsRequirement::TlsRequiredNo
            && let Some((shortfall, results)) = self.obstacle(sts)
        {
            return HostPlan { way: Way::Skip(shortfall), results, reasons };
        }
        // RFC 8689 §4.2.1 step 2.
        let authentic =
            self.destination.mx.authenticity() == Authenticity::Secure || sts == Sts::Enforced(Naming::Named);
        if self.demand.requirement == TlsRequirement::RequireTls && !authentic {
            let way = Way::RequireTlsUnsupported(Shortfall::HostNotAuthentic);
            return HostPlan { way, results: Vec::new(), reasons };
        }
        HostPlan { way: Way::Attempts(self.attempts(sts)), results: Vec::new(), reasons }
    }

    fn sts(&self) -> Sts {
        let StsState::Policy { policy, .. } = &self.destination.sts else { return Sts::Silent };
        let named = self.host.name.domain().is_some_and(|host| policy.admits(host));
        let naming = if named { Naming::Named } else { Naming::NotNamed };
        match policy.mode {
            Mode::Enforce => Sts::Enforced(naming),
            Mode::Testing => Sts::Testing(naming),
            Mode::None => Sts::Silent,
        }
    }

    /// What forbids the host for now, and all that is reported of it.
    fn obstacle(&self, sts: Sts) -> Option<(Shortfall, Vec<TlsResult>)> {
        let mut obstacles = Vec::new();
        let mut results = Vec::new();
        let mut report = |attribution: Attribution| {
            results.push(TlsResult { policy: attribution.policy, failure: attribution.standing });
        };
        if let TlsaState::Failed { reason, .. } = &self.host.tlsa {
            // RFC 7672 §2.1.2: never a reason to go on without DANE.
            obstacles.push(Shortfall::TlsaLookupFailed(reason.clone()));
            self.of_host().map(&mut report);
        }
        if sts == Sts::Enforced(Naming::NotNamed) {
            // RFC 8461 §5.
            obstacles.push(Shortfall::NotInStsPolicy);
            report(self.of_recipient(sts));
        }
        if let StsState::Undecided(reason) = &self.destination.sts {
            obstacles.push(Shortfall::StsUndecided(reason.clone()));
        }
        obstacles.into_iter().next().map(|first| (first, results))
    }

    fn attempts(&self, sts: Sts) -> Vec<Attempt> {
        let requirement = self.demand.requirement;
        let obeyed = requirement != TlsRequirement::TlsRequiredNo;
        let enforced = |condition: bool| if condition { Enforcement::Enforce } else { Enforcement::Record };
        let dane = match &self.host.tlsa {
            TlsaState::Usable { base, records } => Some(Dane {
                enforcement: enforced(obeyed),
                records: records.clone(),
                names: reference_identifiers(&self.destination.next_hop, self.destination.mx, &self.host.name, base),
            }),
            _ => None,
        };
        let sts_enforced = obeyed && matches!(sts, Sts::Enforced(_));
        let require_tls = requirement == TlsRequirement::RequireTls;
        // RFC 8689 §4.2.1 step 4: by DANE or by PKIX.
        let pkix = enforced(sts_enforced || (require_tls && dane.is_none()));
        let secure_tlsa = matches!(self.host.tlsa, TlsaState::Usable { .. } | TlsaState::Unusable { .. });
        let need = if sts_enforced || (obeyed && secure_tlsa) { TlsNeed::Policy } else { need_of(self.demand) };
        let server_name = match &self.host.tlsa {
            TlsaState::Usable { base, .. } => HostName::Domain(base.0.clone()),
            _ => self.host.name.clone(),
        };
        let extension = if require_tls { RequireTlsExtension::Needed } else { RequireTlsExtension::NotNeeded };
        let with_tls = Attempt {
            channel: Channel::StartTls,
            server_name,
            pkix,
            pkix_name: self.host.name.clone(),
            dane,
            need,
            extension,
            attribution: self.attribution(sts),
        };
        with_fallback(with_tls)
    }

    /// One result for the recipient's domain and one for the host, unless both are the same and one has no policy.
    fn attribution(&self, sts: Sts) -> Vec<Attribution> {
        let recipient = self.of_recipient(sts);
        let Some(host) = self.of_host() else { return vec![recipient] };
        if recipient.policy.domain == host.policy.domain {
            if host.policy.terms == Terms::NoPolicyFound {
                return vec![recipient];
            }
            if recipient.policy.terms == Terms::NoPolicyFound {
                return vec![host];
            }
        }
        vec![recipient, host]
    }

    fn of_recipient(&self, sts: Sts) -> Attribution {
        let (terms, standing) = match (&self.destination.sts, sts) {
            (StsState::Policy { policy, .. }, Sts::Testing(naming) | Sts::Enforced(naming)) => {
                (Terms::Sts(Arc::clone(policy)), (naming == Naming::NotNamed).then(mismatch))
            }
            _ => (Terms::NoPolicyFound, None),
        };
        let policy = AttributedPolicy { domain: self.name.clone(), scope: Scope::RecipientDomain, terms };
        Attribution { policy, standing }
    }

    fn of_host(&self) -> Option<Attribution> {
        let name = self.host.name.domain()?;
        let (domain, terms, standing) = match &self.host.tlsa {
            TlsaState::Absent => (name, Terms::NoPolicyFound, None),
            TlsaState::Usable { base, records } => (&base.0, Terms::Tlsa(records.clone()), None),
            TlsaState::Unusable { base, records } => {
                let unusable = FailureReason::with_code(ResultType::TlsaInvalid, ALL_UNUSABLE);
                (&base.0, Terms::Tlsa(records.clone()), Some(unusable))
            }
            TlsaState::Failed { base, reason } => (&base.0, Terms::Tlsa(Vec::new()), Some(reason.clone())),
        };
        Some(Attribution { policy: AttributedPolicy { domain: domain.clone(), scope: Scope::MxHost, terms }, standing })
    }

    fn reasons(&self, sts: Sts) -> Vec<Reason> {
        let mut reasons = of_demand(self.demand);
        reasons.push(match &self.host.tlsa {
            TlsaState::Usable { .. } => Reason::DaneUsable,
            TlsaState::Unusable { .. } => Reason::DaneUnusable,
            TlsaState::Failed { reason, .. } => Reason::DaneUndecided(reason.clone()),
            TlsaState::Absent if self.destination.mx == MxRecords::Explicit(Authenticity::Insecure) => {
                Reason::MxInsecure
            }
            TlsaState::Absent => Reason::DaneAbsent,
        });
        reasons.push(match (&self.destination.sts, sts) {
            (StsState::Policy { .. }, Sts::Enforced(_)) => Reason::StsEnforced,
            (StsState::Policy { .. }, Sts::Testing(_)) => Reason::StsTesting,
            (StsState::Policy { .. }, Sts::Silent) => Reason::StsNone,
            (StsState::FetchFailed(reason), _) => Reason::StsUnavailable(reason.clone()),
            (StsState::Undecided(reason), _) => Reason::StsUndecided(reason.clone()),
            (StsState::NotFound, _) => Reason::StsAbsent,
        });
        if matches!(sts, Sts::Testing(Naming::NotNamed) | Sts::Enforced(Naming::NotNamed)) {
            reasons.push(Reason::StsMismatch);
        }
        if let StsState::Policy { fallback: Some(reason), .. } = &self.destination.sts {
            reasons.push(Reason::StsFallback(reason.clone()));
        }
        reasons
    }
}

fn mismatch() -> FailureReason {
    FailureReason::with_code(ResultType::ValidationFailure, MX_MISMATCH)
}

fn of_demand(demand: Demand) -> Vec<Reason> {
    let mut reasons = Vec::new();
    match demand.requirement {
        TlsRequirement::Opportunistic => {}
        TlsRequirement::RequireTls => reasons.push(Reason::RequireTls),
        TlsRequirement::TlsRequiredNo => reasons.push(Reason::TlsRequiredNo),
    }
    if demand.plaintext == Plaintext::Forbidden {
        reasons.push(Reason::PlaintextForbidden);
    }
    reasons
}

/// What a message wants by itself, where no policy does.
fn need_of(demand: Demand) -> TlsNeed {
    match demand {
        Demand { requirement: TlsRequirement::RequireTls, .. } => TlsNeed::RequireTls,
        Demand { plaintext: Plaintext::Forbidden, .. } => TlsNeed::Policy,
        Demand { .. } => TlsNeed::Nothing,
    }
}

/// An attempt, and one in the clear after it unless TLS is needed.
fn with_fallback(with_tls: Attempt) -> Vec<Attempt> {
    let plaintext = (with_tls.need == TlsNeed::Nothing).then(|| in_the_clear(&with_tls.pkix_name));
    std::iter::once(with_tls).chain(plaintext).collect()
}

fn in_the_clear(host: &HostName) -> Attempt {
    bare(Channel::Plaintext, host, Enforcement::Record, TlsNeed::Nothing)
}

/// An attempt without DANE, of which nobody is told.
fn bare(channel: Channel, host: &HostName, pkix: Enforcement, need: TlsNeed) -> Attempt {
    Attempt {
        channel,
        server_name: host.clone(),
        pkix,
        pkix_name: host.clone(),
        dane: None,
        need,
        extension: RequireTlsExtension::NotNeeded,
        attribution: Vec::new(),
    }
}

/// A host that the recipient's address names by number: nothing can be proved about it, and nobody is told.
fn plan_address(host: &Host, demand: Demand) -> HostPlan {
    let mut reasons = of_demand(demand);
    reasons.push(Reason::AddressLiteral);
    let way = if demand.requirement == TlsRequirement::RequireTls {
        Way::RequireTlsUnsupported(Shortfall::HostNotAuthentic)
    } else {
        let with_tls = bare(Channel::StartTls, &host.name, Enforcement::Record, need_of(demand));
        Way::Attempts(with_fallback(with_tls))
    };
    HostPlan { way, results: Vec::new(), reasons }
}

/// A relay: its name comes from the operator, so that it is authentic, and what the operator wants verified is verified
/// whatever the message says.
fn plan_route(security: RouteSecurity, host: &Host, demand: Demand) -> HostPlan {
    let mut reasons = of_demand(demand);
    reasons.push(Reason::Route(security));
    let require_tls = demand.requirement == TlsRequirement::RequireTls;
    let extension = if require_tls { RequireTlsExtension::Needed } else { RequireTlsExtension::NotNeeded };
    let verified = |channel| {
        let attempt = bare(channel, &host.name, Enforcement::Enforce, TlsNeed::Policy);
        Way::Attempts(vec![Attempt { extension, ..attempt }])
    };
    let way = match (security, need_of(demand)) {
        (RouteSecurity::StartTls, _) => verified(Channel::StartTls),
        (RouteSecurity::Implicit, _) => verified(Channel::ImplicitTls),
        (RouteSecurity::Opportunistic, need) => {
            let pkix = if require_tls { Enforcement::Enforce } else { Enforcement::Record };
            let with_tls = bare(Channel::StartTls, &host.name, pkix, need);
            Way::Attempts(with_fallback(Attempt { extension, ..with_tls }))
        }
        (RouteSecurity::Plaintext, TlsNeed::RequireTls) => Way::RequireTlsUnsupported(Shortfall::NoEncryptionOnRoute),
        (RouteSecurity::Plaintext, TlsNeed::Policy) => Way::Skip(Shortfall::NoEncryptionOnRoute),
        (RouteSecurity::Plaintext, TlsNeed::Nothing) => Way::Attempts(vec![in_the_clear(&host.name)]),
    };
    HostPlan { way, results: Vec::new(), reasons }
}
