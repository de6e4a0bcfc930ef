//! Wrong rooms: each is ours with one thing changed, and the invariants must notice every one.

use mailstead_dns::Authenticity;

use super::combinations::{facts, outcomes};
use super::invariants::{Rules, violations};
use crate::facts::{
    Demand, Destination, Host, MxRecords, NextHop, Plaintext, RouteSecurity, StsState, TlsRequirement, TlsaState,
};
use crate::judge::{Next, Outcome, RequireTlsOffer, Verdict, judge};
use crate::plan::{Attempt, Channel, Enforcement, HostPlan, RequireTlsExtension, Scope, Way, plan};
use crate::reasons::Shortfall;
use crate::sts::Mode;

/// Changes what is known before our plan sees it.
fn facts_changed(change: impl Fn(&mut Destination, &mut Host, &mut Demand) + 'static) -> Rules {
    Rules {
        plan: Box::new(move |destination, host, demand| {
            let (mut destination, mut host, mut demand) = (destination.clone(), host.clone(), demand);
            change(&mut destination, &mut host, &mut demand);
            plan(&destination, &host, demand)
        }),
        ..Rules::ours()
    }
}

/// Changes each attempt of our plan.
fn attempts_changed(change: impl Fn(&mut Attempt, &Destination, Demand) + 'static) -> Rules {
    Rules {
        plan: Box::new(move |destination, host, demand| {
            let mut plan = plan(destination, host, demand);
            if let Way::Attempts(attempts) = &mut plan.way {
                attempts.iter_mut().for_each(|attempt| change(attempt, destination, demand));
            }
            plan
        }),
        ..Rules::ours()
    }
}

/// Changes our plan.
fn plan_changed(change: impl Fn(&mut HostPlan, &Destination, &Host, Demand) + 'static) -> Rules {
    Rules {
        plan: Box::new(move |destination, host, demand| {
            let mut plan = plan(destination, host, demand);
            change(&mut plan, destination, host, demand);
            plan
        }),
        ..Rules::ours()
    }
}

/// Changes our verdict.
fn verdict_changed(change: impl Fn(&mut Verdict, &Attempt, &Outcome) + 'static) -> Rules {
    Rules {
        judge: Box::new(move |attempt, outcome| {
            let mut verdict = judge(attempt, outcome);
            change(&mut verdict, attempt, outcome);
            verdict
        }),
        ..Rules::ours()
    }
}

fn in_the_clear(attempt: &Attempt) -> Attempt {
    Attempt { channel: Channel::Plaintext, attribution: Vec::new(), dane: None, ..attempt.clone() }
}

fn transact(verdict: &mut Verdict) {
    verdict.next = Next::Transact;
    verdict.shortfall = None;
}

fn mutants_of_facts() -> Vec<(&'static str, Rules)> {
    vec![
        (
            "failed TLSA is taken for none",
            facts_changed(|_, host, _| {
                if matches!(host.tlsa, TlsaState::Failed { .. }) {
                    host.tlsa = TlsaState::Absent;
                }
            }),
        ),
        (
            "unusable TLSA is taken for none",
            facts_changed(|_, host, _| {
                if matches!(host.tlsa, TlsaState::Unusable { .. }) {
                    host.tlsa = TlsaState::Absent;
                }
            }),
        ),
        (
            "usable TLSA is taken for unusable",
            facts_changed(|_, host, _| {
                if let TlsaState::Usable { base, records } = host.tlsa.clone() {
                    host.tlsa = TlsaState::Unusable { base, records };
                }
            }),
        ),
        (
            "undecided MTA-STS is taken for none",
            facts_changed(|destination, _, _| {
                if matches!(destination.sts, StsState::Undecided(_)) {
                    destination.sts = StsState::NotFound;
                }
            }),
        ),
        (
            "a policy that could not be fetched forbids",
            facts_changed(|destination, _, _| {
                if let StsState::FetchFailed(reason) = destination.sts.clone() {
                    destination.sts = StsState::Undecided(reason);
                }
            }),
        ),
        (
            "a cached policy is dropped",
            facts_changed(|destination, _, _| {
                if let StsState::Policy { fallback: Some(_), .. } = destination.sts {
                    destination.sts = StsState::NotFound;
                }
            }),
        ),
        (
            "testing is taken for enforce",
            facts_changed(|destination, _, _| swap_mode(destination, Mode::Testing, Mode::Enforce)),
        ),
        (
            "enforce is taken for testing",
            facts_changed(|destination, _, _| swap_mode(destination, Mode::Enforce, Mode::Testing)),
        ),
        (
            "none is taken for enforce",
            facts_changed(|destination, _, _| swap_mode(destination, Mode::None, Mode::Enforce)),
        ),
        (
            "MX records count as signed",
            facts_changed(|destination, _, _| {
                destination.mx = MxRecords::Explicit(Authenticity::Secure);
            }),
        ),
        (
            "REQUIRETLS is forgotten",
            facts_changed(|_, _, demand| {
                if demand.requirement == TlsRequirement::RequireTls {
                    demand.requirement = TlsRequirement::Opportunistic;
                }
            }),
        ),
        (
            "TLS-Required: No is forgotten",
            facts_changed(|_, _, demand| {
                if demand.requirement == TlsRequirement::TlsRequiredNo {
                    demand.requirement = TlsRequirement::Opportunistic;
                }
            }),
        ),
        (
            "TLS-Required: No for everybody",
            facts_changed(|_, _, demand| {
                if demand.requirement == TlsRequirement::Opportunistic {
                    demand.requirement = TlsRequirement::TlsRequiredNo;
                }
            }),
        ),
        ("plaintext is never forbidden", facts_changed(|_, _, demand| demand.plaintext = Plaintext::Allowed)),
        ("plaintext is always forbidden", facts_changed(|_, _, demand| demand.plaintext = Plaintext::Forbidden)),
        (
            "verified relays are opportunistic",
            facts_changed(|destination, _, _| {
                if let NextHop::Route(security @ RouteSecurity::StartTls) = &mut destination.next_hop {
                    *security = RouteSecurity::Opportunistic;
                }
            }),
        ),
        (
            "a literal is a relay",
            facts_changed(|destination, _, _| {
                if let NextHop::Address(_) = destination.next_hop {
                    destination.next_hop = NextHop::Route(RouteSecurity::Opportunistic);
                }
            }),
        ),
    ]
}

fn swap_mode(destination: &mut Destination, from: Mode, to: Mode) {
    if let StsState::Policy { policy, .. } = &mut destination.sts
        && policy.mode == from
    {
        std::sync::Arc::make_mut(policy).mode = to;
    }
}

fn mutants_of_plans() -> Vec<(&'static str, Rules)> {
    vec![
        (
            "DANE is only recorded",
            attempts_changed(|attempt, _, _| {
                if let Some(dane) = &mut attempt.dane {
                    dane.enforcement = Enforcement::Record;
                }
            }),
        ),
        (
            "DANE is always enforced",
            attempts_changed(|attempt, _, _| {
                if let Some(dane) = &mut attempt.dane {
                    dane.enforcement = Enforcement::Enforce;
                }
            }),
        ),
        ("DANE is not evaluated", attempts_changed(|attempt, _, _| attempt.dane = None)),
        (
            "DANE has no names",
            attempts_changed(|attempt, _, _| {
                if let Some(dane) = &mut attempt.dane {
                    dane.names.clear();
                }
            }),
        ),
        (
            "DANE leaves out the next hop",
            attempts_changed(|attempt, _, _| {
                if let Some(dane) = &mut attempt.dane {
                    dane.names.truncate(1);
                }
            }),
        ),
        ("PKIX is only recorded", attempts_changed(|attempt, _, _| attempt.pkix = Enforcement::Record)),
        ("PKIX is always enforced", attempts_changed(|attempt, _, _| attempt.pkix = Enforcement::Enforce)),
        (
            "PKIX is for the next hop's name",
            attempts_changed(|attempt, destination, _| {
                if let NextHop::Domain { name, .. } = &destination.next_hop {
                    attempt.pkix_name = mailstead_names::Host::Domain(name.clone());
                }
            }),
        ),
        (
            "SNI is the host, whatever the base domain",
            attempts_changed(|attempt, _, _| {
                attempt.server_name = attempt.pkix_name.clone();
            }),
        ),
        (
            "the extension is not needed",
            attempts_changed(|attempt, _, _| {
                attempt.extension = RequireTlsExtension::NotNeeded;
            }),
        ),
        (
            "the extension is always needed",
            attempts_changed(|attempt, _, _| {
                attempt.extension = RequireTlsExtension::Needed;
            }),
        ),
        (
            "only the recipient's domain is told",
            attempts_changed(|attempt, _, _| {
                attempt.attribution.retain(|attribution| attribution.policy.scope == Scope::RecipientDomain);
            }),
        ),
        (
            "only the host is told",
            attempts_changed(|attempt, _, _| {
                attempt.attribution.retain(|attribution| attribution.policy.scope == Scope::MxHost);
            }),
        ),
        (
            "everybody is told twice",
            attempts_changed(|attempt, _, _| {
                attempt.attribution.extend(attempt.attribution.clone());
            }),
        ),
        (
            "attempts in the clear are told",
            plan_changed(|plan, _, _, _| {
                if let Way::Attempts(attempts) = &mut plan.way
                    && let [first, second] = attempts.as_mut_slice()
                {
                    second.attribution = first.attribution.clone();
                }
            }),
        ),
        (
            "always ends in the clear",
            plan_changed(|plan, _, _, _| {
                if let Way::Attempts(attempts) = &mut plan.way
                    && let [only] = attempts.as_slice()
                {
                    let clear = in_the_clear(only);
                    attempts.push(clear);
                }
            }),
        ),
        (
            "never in the clear",
            plan_changed(|plan, _, _, _| {
                if let Way::Attempts(attempts) = &mut plan.way {
                    attempts.truncate(1);
                }
            }),
        ),
        (
            "in the clear first",
            plan_changed(|plan, _, _, _| {
                if let Way::Attempts(attempts) = &mut plan.way {
                    attempts.reverse();
                }
            }),
        ),
        (
            "no attempts",
            plan_changed(|plan, _, _, _| {
                if let Way::Attempts(attempts) = &mut plan.way {
                    attempts.clear();
                }
            }),
        ),
        ("skipping is not reported", plan_changed(|plan, _, _, _| plan.results.clear())),
        (
            "skipping is permanent",
            plan_changed(|plan, _, _, _| {
                if let Way::Skip(shortfall) = plan.way.clone() {
                    plan.way = Way::RequireTlsUnsupported(shortfall);
                }
            }),
        ),
        (
            "what can never be is tried again",
            plan_changed(|plan, _, _, demand| {
                if let Way::RequireTlsUnsupported(_) = plan.way
                    && demand.requirement == TlsRequirement::RequireTls
                {
                    plan.way = Way::Skip(Shortfall::HostNotAuthentic);
                }
            }),
        ),
        ("reasons are left out", plan_changed(|plan, _, _, _| plan.reasons.clear())),
    ]
}

fn mutants_of_verdicts() -> Vec<(&'static str, Rules)> {
    vec![
        (
            "without STARTTLS it goes in the clear",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::NoStartTls(_)) {
                    transact(verdict);
                }
            }),
        ),
        (
            "a failed handshake is ignored",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::TlsFailed(_)) {
                    transact(verdict);
                }
            }),
        ),
        (
            "any certificate will do",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::Tls { .. }) && verdict.next == Next::NextHost {
                    transact(verdict);
                }
            }),
        ),
        (
            "a rejected certificate will do",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::CertificateRejected(_)) {
                    transact(verdict);
                }
            }),
        ),
        (
            "no certificate will do",
            verdict_changed(|verdict, _, outcome| {
                if let Outcome::Tls { findings, .. } = outcome
                    && findings.pkix.is_err()
                {
                    verdict.next = Next::NextHost;
                    verdict.shortfall = Some(Shortfall::Unreachable);
                }
            }),
        ),
        (
            "REQUIRETLS goes where it is not offered",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::Tls { require_tls: RequireTlsOffer::NotOffered, .. }) {
                    transact(verdict);
                }
            }),
        ),
        (
            "a failed handshake skips the host",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::TlsFailed(_)) {
                    verdict.next = Next::NextHost;
                }
            }),
        ),
        (
            "missing STARTTLS is permanent",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::NoStartTls(_)) {
                    verdict.next = Next::RequireTlsUnsupported;
                }
            }),
        ),
        (
            "missing STARTTLS is not told",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::NoStartTls(_)) {
                    verdict.results.clear();
                }
            }),
        ),
        (
            "a failed handshake is told as success",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::TlsFailed(_)) {
                    verdict.results.iter_mut().for_each(|result| result.failure = None);
                }
            }),
        ),
        (
            "findings are told as success",
            verdict_changed(|verdict, _, outcome| {
                if matches!(outcome, Outcome::Tls { .. }) {
                    verdict.results.iter_mut().for_each(|result| result.failure = None);
                }
            }),
        ),
        (
            "success is not told",
            verdict_changed(|verdict, _, _| {
                verdict.results.retain(|result| result.failure.is_some());
            }),
        ),
        (
            "standing failures are forgotten",
            Rules {
                judge: Box::new(|attempt, outcome| {
                    let mut attempt = attempt.clone();
                    attempt.attribution.iter_mut().for_each(|attribution| attribution.standing = None);
                    judge(&attempt, outcome)
                }),
                ..Rules::ours()
            },
        ),
        (
            "an unreachable host is told",
            verdict_changed(|verdict, attempt, outcome| {
                if matches!(outcome, Outcome::Unreachable) {
                    let result = |a: &crate::plan::Attribution| crate::plan::TlsResult {
                        policy: a.policy.clone(),
                        failure: None,
                    };
                    verdict.results = attempt.attribution.iter().map(result).collect();
                }
            }),
        ),
        ("no reason is given", verdict_changed(|verdict, _, _| verdict.shortfall = None)),
    ]
}

#[test]
fn every_mutant_is_noticed() {
    let (facts, outcomes) = (facts(), outcomes());
    let mutants = [mutants_of_facts(), mutants_of_plans(), mutants_of_verdicts()];
    let mut survivors = Vec::new();
    for (name, rules) in mutants.into_iter().flatten() {
        let noticed = facts.iter().any(|facts| !violations(&rules, facts, &outcomes, &mut 0).is_empty());
        if !noticed {
            survivors.push(name);
        }
    }
    assert!(survivors.is_empty(), "nobody notices: {survivors:?}");
}
