//! What must hold, written from the RFCs and not from the code: `facts` and `outcome` in, what is broken out.

use mailstead_dns::Authenticity;
use mailstead_names::Host as HostName;

use super::combinations::Facts;
use crate::facts::{
    Demand, Destination, Host, MxRecords, NextHop, Plaintext, RouteSecurity, StsState, TlsRequirement, TlsaState,
};
use crate::judge::{Next, Outcome, RequireTlsOffer, Verdict, judge};
use crate::plan::{Attempt, Channel, Enforcement, HostPlan, Scope, Terms, Way, plan};
use crate::reasons::{Reason, Shortfall};
use crate::report::ResultType;
use crate::sts::Mode;

type Plan = dyn Fn(&Destination, &Host, Demand) -> HostPlan;
type Judge = dyn Fn(&Attempt, &Outcome) -> Verdict;

/// The functions under test, or mutants of them.
pub(super) struct Rules {
    pub(super) plan: Box<Plan>,
    pub(super) judge: Box<Judge>,
}

impl Rules {
    pub(super) fn ours() -> Rules {
        Rules { plan: Box::new(plan), judge: Box::new(judge) }
    }
}

/// What a combination is, in the words of the invariants.
struct Case<'a> {
    destination: &'a Destination,
    host: &'a Host,
    demand: Demand,
}

/// The invariants that these facts break, with any of the outcomes.
pub(super) fn violations(
    rules: &Rules,
    (destination, host, demand): &Facts,
    outcomes: &[Outcome],
    checked: &mut usize,
) -> Vec<String> {
    let case = Case { destination, host, demand: *demand };
    let plan = (rules.plan)(destination, host, *demand);
    let mut broken = case.of_plan(&plan, rules);
    if let Way::Attempts(attempts) = &plan.way {
        for (index, attempt) in attempts.iter().enumerate() {
            for outcome in outcomes {
                *checked += 1;
                let verdict = (rules.judge)(attempt, outcome);
                let found = case.of_verdict(attempt, outcome, &verdict, attempts.get(index + 1));
                broken
                    .extend(found.into_iter().map(|what| format!("{what}: attempt {index}, {outcome:?}: {verdict:?}")));
            }
        }
    }
    broken
}

fn check(broken: &mut Vec<&'static str>, what: &'static str, holds: bool) {
    if !holds {
        broken.push(what);
    }
}

impl Case<'_> {
    fn is_domain(&self) -> bool {
        matches!(self.destination.next_hop, NextHop::Domain { .. })
    }

    /// DANE and MTA-STS hold unless the sender made an exception.
    fn obeys(&self) -> bool {
        self.demand.requirement != TlsRequirement::TlsRequiredNo
    }

    fn mode(&self) -> Option<(Mode, bool)> {
        let StsState::Policy { policy, .. } = &self.destination.sts else { return None };
        let HostName::Domain(host) = &self.host.name else { return None };
        Some((policy.mode, policy.admits(host)))
    }

    fn enforces_sts(&self) -> bool {
        matches!(self.mode(), Some((Mode::Enforce, _)))
    }

    fn of_plan(&self, plan: &HostPlan, rules: &Rules) -> Vec<String> {
        let mut broken = Vec::new();
        let attempts = match &plan.way {
            Way::Attempts(attempts) => attempts.as_slice(),
            Way::Skip(_) | Way::RequireTlsUnsupported(_) => &[],
        };
        let permanent = matches!(plan.way, Way::RequireTlsUnsupported(_));
        check(&mut broken, "attempts are not empty", !attempts.is_empty() || !matches!(plan.way, Way::Attempts(_)));
        check(
            &mut broken,
            "only REQUIRETLS fails for good",
            !permanent || self.demand.requirement == TlsRequirement::RequireTls,
        );
        self.of_reasons(plan, &mut broken);
        let clear = attempts.iter().filter(|attempt| attempt.channel == Channel::Plaintext).count();
        let last_is_clear = attempts.last().is_some_and(|attempt| attempt.channel == Channel::Plaintext);
        check(&mut broken, "in the clear at most once, and last", clear == usize::from(last_is_clear));
        check(
            &mut broken,
            "what must not go in the clear does not",
            clear == 0 || self.demand.plaintext == Plaintext::Allowed,
        );
        if self.is_domain() {
            self.of_domain_plan(plan, attempts, last_is_clear, &mut broken);
        } else {
            let told = attempts.iter().any(|attempt| !attempt.attribution.is_empty()) || !plan.results.is_empty();
            check(&mut broken, "nobody is told about relays and literals", !told);
            self.of_route_plan(plan, attempts, &mut broken);
        }
        // RFC 8461 §5: testing changes what is reported and nothing else.
        if self.is_domain() && matches!(self.mode(), Some((Mode::Testing, _))) {
            let without = Destination { sts: StsState::NotFound, ..self.destination.clone() };
            let other = (rules.plan)(&without, self.host, self.demand);
            check(&mut broken, "testing changes attribution only", without_reports(plan) == without_reports(&other));
        }
        broken.into_iter().map(str::to_owned).collect()
    }

    /// Each reason is given exactly where it is one.
    fn of_reasons(&self, plan: &HostPlan, broken: &mut Vec<&'static str>) {
        let requirement = self.demand.requirement;
        let absent = matches!(self.host.tlsa, TlsaState::Absent) && self.is_domain();
        let insecure = self.destination.mx == MxRecords::Explicit(Authenticity::Insecure);
        for (reason, applies) in [
            (Reason::RequireTls, requirement == TlsRequirement::RequireTls),
            (Reason::TlsRequiredNo, requirement == TlsRequirement::TlsRequiredNo),
            (Reason::PlaintextForbidden, self.demand.plaintext == Plaintext::Forbidden),
            (Reason::MxInsecure, absent && insecure),
            (Reason::DaneAbsent, absent && !insecure),
            (Reason::DaneUsable, matches!(self.host.tlsa, TlsaState::Usable { .. })),
            (Reason::DaneUnusable, matches!(self.host.tlsa, TlsaState::Unusable { .. })),
            (Reason::StsEnforced, self.enforces_sts()),
            (Reason::StsTesting, matches!(self.mode(), Some((Mode::Testing, _)))),
            (Reason::StsNone, matches!(self.mode(), Some((Mode::None, _)))),
            (Reason::StsMismatch, matches!(self.mode(), Some((Mode::Enforce | Mode::Testing, false)))),
            (Reason::StsAbsent, self.is_domain() && self.destination.sts == StsState::NotFound),
            (Reason::AddressLiteral, matches!(self.destination.next_hop, NextHop::Address(_))),
        ] {
            check(
                broken,
                "a reason is given where it is one, and only there",
                plan.reasons.contains(&reason) == applies,
            );
        }
        check(broken, "a plan has reasons", !plan.reasons.is_empty());
    }

    fn of_domain_plan(
        &self,
        plan: &HostPlan,
        attempts: &[Attempt],
        last_is_clear: bool,
        broken: &mut Vec<&'static str>,
    ) {
        let skipped = matches!(plan.way, Way::Skip(_));
        let failed = matches!(self.host.tlsa, TlsaState::Failed { .. });
        let mismatch = matches!(self.mode(), Some((Mode::Enforce, false)));
        let undecided = matches!(self.destination.sts, StsState::Undecided(_));
        check(
            broken,
            "a host is skipped where TLSA or MTA-STS forbid it or are unknown, and only there",
            skipped == (self.obeys() && (failed || mismatch || undecided)),
        );
        let secure = self.destination.mx.authenticity() == Authenticity::Secure;
        let provable = secure || matches!(self.mode(), Some((Mode::Enforce, true)));
        check(
            broken,
            "REQUIRETLS is given back where nothing proves the host, and only there",
            matches!(plan.way, Way::RequireTlsUnsupported(_))
                == (self.demand.requirement == TlsRequirement::RequireTls && !provable && !skipped),
        );
        let told = usize::from(failed) + usize::from(mismatch);
        check(broken, "what skips a host is reported", plan.results.len() == if skipped { told } else { 0 });
        check(broken, "reports without a connection are failures", plan.results.iter().all(|r| r.failure.is_some()));
        if failed && skipped {
            let why = matches!(plan.way, Way::Skip(Shortfall::TlsaLookupFailed(_)));
            check(broken, "a failed TLSA look-up is the reason", why);
        }
        if self.demand.requirement == TlsRequirement::TlsRequiredNo {
            let first = attempts.first().is_some_and(|attempt| attempt.channel == Channel::StartTls);
            check(broken, "TLS-Required: No still tries TLS", first);
            check(
                broken,
                "TLS-Required: No ends in the clear",
                last_is_clear == (self.demand.plaintext == Plaintext::Allowed),
            );
        }
        let no_policy = matches!(self.host.tlsa, TlsaState::Absent) && !self.enforces_sts() && !skipped;
        if no_policy && self.demand.requirement == TlsRequirement::Opportunistic {
            check(
                broken,
                "without policies TLS is opportunistic",
                last_is_clear == (self.demand.plaintext == Plaintext::Allowed),
            );
        }
        for attempt in attempts {
            self.of_names(attempt, broken);
            self.of_attribution(attempt, broken);
        }
    }

    fn of_names(&self, attempt: &Attempt, broken: &mut Vec<&'static str>) {
        check(broken, "PKIX is for the host's name", attempt.pkix_name == self.host.name);
        if attempt.channel == Channel::Plaintext {
            return;
        }
        let TlsaState::Usable { base, records } = &self.host.tlsa else {
            check(broken, "no DANE without usable records", attempt.dane.is_none());
            check(broken, "SNI is the host", attempt.server_name == self.host.name);
            return;
        };
        check(broken, "SNI is the TLSA base domain", attempt.server_name == HostName::Domain(base.0.clone()));
        let Some(dane) = &attempt.dane else {
            return check(broken, "DANE is evaluated wherever there are usable records", false);
        };
        check(broken, "DANE has the records", dane.records == *records);
        check(broken, "the base domain comes first", dane.names.first() == Some(&base.0));
        let NextHop::Domain { name, expanded } = &self.destination.next_hop else { return };
        let secure = self.destination.mx.authenticity() == Authenticity::Secure;
        let led = |domain: &mailstead_names::Domain| dane.names.contains(domain);
        let is_other =
            |domain: &mailstead_names::Domain| *domain != base.0 && HostName::Domain(domain.clone()) != self.host.name;
        check(
            broken,
            "the next hop's names count exactly where DNSSEC proves them",
            [Some(name), expanded.as_ref()]
                .into_iter()
                .flatten()
                .filter(|name| is_other(name))
                .all(|name| led(name) == secure),
        );
    }

    fn of_attribution(&self, attempt: &Attempt, broken: &mut Vec<&'static str>) {
        let of = |scope| attempt.attribution.iter().filter(move |a| a.policy.scope == scope).collect::<Vec<_>>();
        let (recipient, host) = (of(Scope::RecipientDomain), of(Scope::MxHost));
        if attempt.channel == Channel::Plaintext {
            return check(broken, "nobody is told about attempts in the clear", attempt.attribution.is_empty());
        }
        check(broken, "one result for each of the two", recipient.len() <= 1 && host.len() <= 1);
        check(broken, "somebody is told", !attempt.attribution.is_empty());
        let terms = |wrong: fn(&Terms) -> bool, list: &[&crate::plan::Attribution]| {
            !list.iter().any(|a| wrong(&a.policy.terms))
        };
        check(broken, "TLSA is the host's", terms(|terms| matches!(terms, Terms::Tlsa(_)), &recipient));
        check(broken, "MTA-STS is the recipient's", terms(|terms| matches!(terms, Terms::Sts(_)), &host));
        let policies = matches!(self.mode(), Some((Mode::Enforce | Mode::Testing, _)));
        if policies {
            let sts = recipient.iter().any(|a| matches!(a.policy.terms, Terms::Sts(_)));
            check(broken, "an MTA-STS policy is told of its results", sts);
        }
        if !matches!(self.host.tlsa, TlsaState::Absent) {
            let tlsa = host.iter().any(|a| matches!(a.policy.terms, Terms::Tlsa(_)));
            check(broken, "TLSA records are told of their results", tlsa);
        }
        let mut domains: Vec<_> =
            attempt.attribution.iter().map(|a| (&a.policy.domain, a.policy.terms == Terms::NoPolicyFound)).collect();
        if domains.len() == 2 && domains[0].0 == domains[1].0 {
            domains.retain(|(_, nothing)| !nothing);
            check(broken, "no domain is told twice without need", domains.len() == 2);
        }
    }

    fn of_route_plan(&self, plan: &HostPlan, attempts: &[Attempt], broken: &mut Vec<&'static str>) {
        let NextHop::Route(security) = &self.destination.next_hop else {
            let provable = self.demand.requirement != TlsRequirement::RequireTls;
            return check(broken, "nothing is proved of a literal", provable != attempts.is_empty());
        };
        match security {
            RouteSecurity::StartTls | RouteSecurity::Implicit => {
                let verified = attempts.len() == 1 && attempts.iter().all(|a| a.pkix == Enforcement::Enforce);
                check(broken, "what the operator wants verified is verified", verified);
            }
            RouteSecurity::Plaintext => {
                let wants = self.demand.plaintext == Plaintext::Forbidden
                    || self.demand.requirement == TlsRequirement::RequireTls;
                check(broken, "no route in the clear for what needs TLS", wants == attempts.is_empty());
            }
            RouteSecurity::Opportunistic => {
                check(broken, "an opportunistic relay is tried", matches!(plan.way, Way::Attempts(_)));
            }
        }
    }

    fn of_verdict(
        &self,
        attempt: &Attempt,
        outcome: &Outcome,
        verdict: &Verdict,
        following: Option<&Attempt>,
    ) -> Vec<&'static str> {
        let mut broken = Vec::new();
        let transacts = verdict.next == Next::Transact;
        check(&mut broken, "a message goes or there is a reason", transacts == verdict.shortfall.is_none());
        check(
            &mut broken,
            "only REQUIRETLS fails for good",
            verdict.next != Next::RequireTlsUnsupported || self.demand.requirement == TlsRequirement::RequireTls,
        );
        let (tls, clear) = (matches!(outcome, Outcome::Tls { .. }), matches!(outcome, Outcome::Clear));
        check(
            &mut broken,
            "a message goes only over what was tried for",
            !transacts || if attempt.channel == Channel::Plaintext { clear } else { tls },
        );
        self.of_results(attempt, outcome, verdict, &mut broken);
        if transacts {
            self.of_transaction(attempt, outcome, &mut broken);
        }
        if self.is_domain() {
            self.of_policies(attempt, outcome, verdict, following, &mut broken);
        }
        broken
    }

    /// One result for each attributed policy and STARTTLS connection; none without one.
    fn of_results(&self, attempt: &Attempt, outcome: &Outcome, verdict: &Verdict, broken: &mut Vec<&'static str>) {
        let counts = attempt.channel != Channel::Plaintext && !matches!(outcome, Outcome::Unreachable | Outcome::Clear);
        let expected: Vec<_> = attempt.attribution.iter().filter(|_| counts).map(|a| &a.policy).collect();
        let got: Vec<_> = verdict.results.iter().map(|result| &result.policy).collect();
        check(broken, "one result for each policy", expected == got);
        if matches!(outcome, Outcome::NoStartTls(_)) {
            let all = verdict
                .results
                .iter()
                .all(|r| r.failure.as_ref().is_some_and(|reason| reason.result == ResultType::StartTlsNotSupported));
            check(broken, "missing STARTTLS is reported as that", all);
        }
        let (Outcome::Tls { findings, .. } | Outcome::CertificateRejected(findings)) = outcome else {
            let failed = verdict.results.iter().all(|result| result.failure.is_some());
            return check(broken, "no TLS is no success", failed);
        };
        for (attribution, result) in attempt.attribution.iter().zip(&verdict.results) {
            let holds = match (&attribution.standing, &attribution.policy.terms) {
                (Some(standing), _) => result.failure.as_ref() == Some(standing),
                (None, Terms::Sts(_)) => result.failure.is_none() == findings.pkix.is_ok(),
                (None, Terms::Tlsa(_)) => result.failure.is_some() == matches!(findings.dane, Some(Err(_))),
                (None, Terms::NoPolicyFound) => {
                    // A host without TLSA records has promised nothing, nor has a domain whose hosts do DANE.
                    let promised =
                        attribution.policy.scope == Scope::RecipientDomain && !matches!(findings.dane, Some(Ok(_)));
                    result.failure.is_some() == (promised && findings.pkix.is_err())
                }
            };
            check(broken, "a policy is told what it asked for", holds);
        }
    }

    fn of_transaction(&self, attempt: &Attempt, outcome: &Outcome, broken: &mut Vec<&'static str>) {
        let (dane, pkix, offered) = match outcome {
            Outcome::Tls { findings, require_tls } => (
                matches!(findings.dane, Some(Ok(_))) && matches!(self.host.tlsa, TlsaState::Usable { .. }),
                findings.pkix.is_ok(),
                *require_tls == RequireTlsOffer::Offered,
            ),
            _ => (false, false, false),
        };
        let tls = matches!(outcome, Outcome::Tls { .. });
        if self.is_domain() && self.obeys() {
            // RFC 7672 §2.2.
            let secure = matches!(self.host.tlsa, TlsaState::Usable { .. } | TlsaState::Unusable { .. });
            check(broken, "secure TLSA records are never without TLS", tls || !secure);
            let usable = matches!(self.host.tlsa, TlsaState::Usable { .. });
            check(broken, "usable TLSA records never go without a match", dane || !usable);
            let failed = matches!(self.host.tlsa, TlsaState::Failed { .. });
            check(broken, "a failed TLSA look-up never degrades", !failed);
            // RFC 8461 §5.
            let named = matches!(self.mode(), Some((_, true)));
            check(
                broken,
                "enforced MTA-STS is TLS, PKIX and a named host",
                !self.enforces_sts() || (tls && pkix && named),
            );
        }
        if self.demand.requirement == TlsRequirement::RequireTls {
            // RFC 8689 §4.2.1.
            let authentic = match self.destination.next_hop {
                NextHop::Domain { .. } => {
                    self.destination.mx.authenticity() == Authenticity::Secure
                        || matches!(self.mode(), Some((Mode::Enforce, true)))
                }
                NextHop::Address(_) => false,
                NextHop::Route(_) => true,
            };
            check(broken, "REQUIRETLS goes to an authentic host only", authentic);
            check(broken, "REQUIRETLS goes over verified TLS only", tls && (dane || pkix));
            check(broken, "REQUIRETLS goes where it is offered only", offered);
        }
        if self.demand.plaintext == Plaintext::Forbidden {
            check(broken, "what must not go in the clear does not", tls);
        }
        if let NextHop::Route(RouteSecurity::StartTls | RouteSecurity::Implicit) = self.destination.next_hop {
            check(broken, "what the operator wants verified is verified", tls && pkix);
        }
        check(broken, "an attempt with TLS is no attempt in the clear", tls || attempt.channel == Channel::Plaintext);
    }

    /// What must not stand in the way of a message.
    fn of_policies(
        &self,
        attempt: &Attempt,
        outcome: &Outcome,
        verdict: &Verdict,
        following: Option<&Attempt>,
        broken: &mut Vec<&'static str>,
    ) {
        let tls = matches!(outcome, Outcome::Tls { .. }) && attempt.channel == Channel::StartTls;
        let nothing_enforced = self.demand.requirement == TlsRequirement::TlsRequiredNo
            || (self.demand.requirement == TlsRequirement::Opportunistic
                && !self.enforces_sts()
                && !matches!(self.host.tlsa, TlsaState::Usable { .. }));
        if nothing_enforced && tls {
            check(broken, "no certificate stands in the way where nothing is enforced", verdict.next == Next::Transact);
        }
        let reached = !matches!(outcome, Outcome::Unreachable | Outcome::Clear);
        if nothing_enforced && attempt.channel == Channel::StartTls && reached && !tls && following.is_some() {
            check(broken, "the attempt in the clear follows", verdict.next == Next::NextAttempt);
        }
        let by_policy =
            self.enforces_sts() || matches!(self.host.tlsa, TlsaState::Usable { .. } | TlsaState::Unusable { .. });
        if by_policy && !tls {
            check(broken, "a policy that fails is never permanent", verdict.next != Next::RequireTlsUnsupported);
        }
        let passes = match outcome {
            Outcome::Tls { findings, require_tls } => {
                findings.pkix.is_ok()
                    && (matches!(findings.dane, Some(Ok(_))) || !matches!(self.host.tlsa, TlsaState::Usable { .. }))
                    && *require_tls == RequireTlsOffer::Offered
            }
            _ => false,
        };
        if passes && attempt.channel == Channel::StartTls {
            check(broken, "what holds everything transacts", verdict.next == Next::Transact);
        }
    }
}

/// A plan as far as it decides about messages.
fn without_reports(plan: &HostPlan) -> Way {
    match &plan.way {
        Way::Attempts(attempts) => Way::Attempts(
            attempts.iter().map(|attempt| Attempt { attribution: Vec::new(), ..attempt.clone() }).collect(),
        ),
        other => other.clone(),
    }
}
