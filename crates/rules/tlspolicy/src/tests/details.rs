//! What no combination shows: results of the destination itself, what connections have in common, and words.

use std::sync::Arc;

use mailstead_dns::{Authenticity, ExtendedError, LookupError, LookupErrorKind, RecordType};
use mailstead_names::Host as HostName;

use super::combinations::{demands, domain, policy, record};
use crate::facts::{
    Demand, Destination, Host, MxRecords, NextHop, Plaintext, RouteSecurity, StsState, TlsRequirement, TlsaState,
    lookup_failure, tlsa_lookup_failure,
};
use crate::plan::{
    Attempt, Channel, Enforcement, RequireTlsExtension, Scope, Terms, TlsNeed, Way, destination_results, plan,
};
use crate::reasons::{Reason, Shortfall};
use crate::report::{FailureReason, ResultType};
use crate::sts::Mode;
use crate::tlsa::TlsaBaseDomain;

fn of_domain(sts: StsState) -> Destination {
    let next_hop = NextHop::Domain { name: domain("example.org"), expanded: None };
    Destination { next_hop, mx: MxRecords::Explicit(Authenticity::Secure), sts }
}

#[test]
fn a_policy_that_cannot_be_had_is_reported_once_for_the_destination() {
    let reason = FailureReason::new(ResultType::StsPolicyFetchError);
    let cached = Arc::new(policy(Mode::Enforce, "mx.example.org"));
    let told = |sts| {
        let results = destination_results(&of_domain(sts));
        results.into_iter().map(|result| (result.policy.scope, result.policy.terms, result.failure)).collect::<Vec<_>>()
    };
    let failed = |terms| vec![(Scope::RecipientDomain, terms, Some(reason.clone()))];
    assert_eq!(told(StsState::FetchFailed(reason.clone())), failed(Terms::NoPolicyFound));
    assert_eq!(told(StsState::Undecided(reason.clone())), failed(Terms::NoPolicyFound));
    let fallback = |fallback| StsState::Policy { policy: Arc::clone(&cached), fallback };
    assert_eq!(told(fallback(Some(reason.clone()))), failed(Terms::Sts(Arc::clone(&cached))));
    assert_eq!(told(fallback(None)), []);
    assert_eq!(told(StsState::NotFound), []);
    let relay =
        Destination { next_hop: NextHop::Route(RouteSecurity::StartTls), ..of_domain(StsState::FetchFailed(reason)) };
    assert_eq!(destination_results(&relay), []);
}

/// The first attempt that is made at a host with these records.
fn first_attempt(tlsa: TlsaState, demand: Demand) -> Attempt {
    let host = Host { name: HostName::Domain(domain("mx.example.org")), tlsa };
    match plan(&of_domain(StsState::NotFound), &host, demand).way {
        Way::Attempts(attempts) => attempts.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_connection_serves_attempts_that_look_at_the_same() {
    let usable = || TlsaState::Usable { base: TlsaBaseDomain(domain("mx.example.org")), records: vec![record()] };
    let one = first_attempt(usable(), Demand::default());
    // Whatever they enforce, and whom they tell.
    for demand in demands() {
        assert!(one.checks_the_same(&first_attempt(usable(), demand)), "{demand:?}");
    }
    let extension = RequireTlsExtension::Needed;
    let recorded = Attempt {
        pkix: Enforcement::Record,
        need: TlsNeed::Nothing,
        extension,
        attribution: Vec::new(),
        ..one.clone()
    };
    assert!(one.checks_the_same(&recorded));
    let other = HostName::Domain(domain("other.example.org"));
    assert!(!one.checks_the_same(&Attempt { channel: Channel::ImplicitTls, ..one.clone() }));
    assert!(!one.checks_the_same(&Attempt { server_name: other.clone(), ..one.clone() }));
    assert!(!one.checks_the_same(&Attempt { pkix_name: other, ..one.clone() }));
    assert!(!one.checks_the_same(&first_attempt(TlsaState::Absent, Demand::default())));
}

#[test]
fn a_notice_is_protected_as_its_message_was() {
    for demand in demands() {
        let secret = demand.requirement == TlsRequirement::RequireTls;
        assert_eq!(demand.of_notice(), if secret { demand } else { Demand::default() });
    }
    let usual = Demand { requirement: TlsRequirement::Opportunistic, plaintext: Plaintext::Allowed };
    assert_eq!(Demand::default(), usual);
}

#[test]
fn look_ups_without_an_answer_are_reported_by_what_is_known() {
    let error = |kind| LookupError::new(kind, &domain("example.org"), RecordType::Tlsa);
    let shown = |error: &LookupError| [tlsa_lookup_failure(error).to_string(), lookup_failure(error).to_string()];
    assert_eq!(
        shown(&error(LookupErrorKind::Bogus)),
        ["dnssec-invalid (dns-dnssec-validation-failed)"; 2].map(str::to_owned)
    );
    assert_eq!(
        shown(&error(LookupErrorKind::ServerFailure)),
        ["dnssec-invalid (dns-server-failure)", "validation-failure (dns-server-failure)"]
    );
    assert_eq!(
        shown(&error(LookupErrorKind::Timeout)),
        ["tlsa-invalid (dns-timed-out)", "validation-failure (dns-timed-out)"]
    );
    let expired = ExtendedError { code: 7, text: "the server's own words".to_owned() };
    let told = LookupError { extended_errors: vec![expired], ..error(LookupErrorKind::Bogus) };
    assert_eq!(tlsa_lookup_failure(&told).to_string(), "dnssec-invalid (dns-extended-error-7-signature-expired)");
}

fn shortfalls() -> Vec<Shortfall> {
    let reason = |result| FailureReason::with_code(result, "code");
    vec![
        Shortfall::NotInStsPolicy,
        Shortfall::StsUndecided(reason(ResultType::ValidationFailure)),
        Shortfall::TlsaLookupFailed(reason(ResultType::DnssecInvalid)),
        Shortfall::HostNotAuthentic,
        Shortfall::NoEncryptionOnRoute,
        Shortfall::NoStartTls,
        Shortfall::TlsFailed(reason(ResultType::ValidationFailure)),
        Shortfall::DaneFailed(reason(ResultType::ValidationFailure)),
        Shortfall::PkixFailed(reason(ResultType::CertificateExpired)),
        Shortfall::RequireTlsNotOffered,
        Shortfall::Unreachable,
    ]
}

#[test]
fn what_does_not_work_is_no_policy() {
    let technical: Vec<Shortfall> = shortfalls().into_iter().filter(|shortfall| !shortfall.is_policy()).collect();
    assert_eq!(
        technical,
        [
            Shortfall::NoStartTls,
            Shortfall::TlsFailed(FailureReason::with_code(ResultType::ValidationFailure, "code")),
            Shortfall::Unreachable
        ]
    );
}

#[test]
fn reasons_in_words() {
    let reason = || FailureReason::with_code(ResultType::StsPolicyFetchError, "code");
    let reasons = [
        Reason::TlsRequiredNo,
        Reason::RequireTls,
        Reason::PlaintextForbidden,
        Reason::DaneUsable,
        Reason::DaneUnusable,
        Reason::DaneUndecided(reason()),
        Reason::MxInsecure,
        Reason::DaneAbsent,
        Reason::StsEnforced,
        Reason::StsTesting,
        Reason::StsNone,
        Reason::StsMismatch,
        Reason::StsFallback(reason()),
        Reason::StsUnavailable(reason()),
        Reason::StsUndecided(reason()),
        Reason::StsAbsent,
        Reason::AddressLiteral,
        Reason::Route(RouteSecurity::Opportunistic),
        Reason::Route(RouteSecurity::StartTls),
        Reason::Route(RouteSecurity::Implicit),
        Reason::Route(RouteSecurity::Plaintext),
    ];
    let lines = |words: Vec<String>| words.join("\n");
    insta::assert_snapshot!("reasons", lines(reasons.iter().map(ToString::to_string).collect()));
    insta::assert_snapshot!("shortfalls", lines(shortfalls().iter().map(ToString::to_string).collect()));
}
