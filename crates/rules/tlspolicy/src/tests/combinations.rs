//! All facts, and all outcomes.

use std::sync::Arc;

use mailstead_dns::{Authenticity, Tlsa};
use mailstead_names::{Domain, Host as HostName};

use crate::facts::{
    Demand, Destination, Host, MxRecords, NextHop, Plaintext, RouteSecurity, StsState, TlsRequirement, TlsaState,
};
use crate::judge::{Outcome, RequireTlsOffer};
use crate::report::{FailureReason, ResultType};
use crate::sts::{Mode, Policy};
use crate::tlsa::TlsaBaseDomain;
use crate::verify::{CertificateFailure, Findings, Matched};

pub(super) type Facts = (Destination, Host, Demand);

pub(super) fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

pub(super) fn record() -> Tlsa {
    Tlsa { usage: 3, selector: 1, matching_type: 1, data: vec![7; 32] }
}

pub(super) fn policy(mode: Mode, host: &str) -> Policy {
    let word = match mode {
        Mode::Enforce => "enforce",
        Mode::Testing => "testing",
        Mode::None => "none",
    };
    Policy::parse(&format!("version: STSv1\nmode: {word}\nmx: {host}\nmax_age: 86400\n")).unwrap()
}

fn sts_states() -> Vec<StsState> {
    let mut states = vec![
        StsState::NotFound,
        StsState::FetchFailed(FailureReason::new(ResultType::StsPolicyFetchError)),
        StsState::Undecided(FailureReason::with_code(ResultType::ValidationFailure, "dns-timed-out")),
    ];
    for mode in [Mode::Enforce, Mode::Testing, Mode::None] {
        for host in ["mx.example.org", "other.example.org"] {
            for fallback in [None, Some(FailureReason::new(ResultType::StsPolicyFetchError))] {
                states.push(StsState::Policy { policy: Arc::new(policy(mode, host)), fallback });
            }
        }
    }
    states
}

fn tlsa_states(base: &str) -> Vec<TlsaState> {
    let base = TlsaBaseDomain(domain(base));
    vec![
        TlsaState::Absent,
        TlsaState::Usable { base: base.clone(), records: vec![record()] },
        TlsaState::Unusable { base: base.clone(), records: vec![Tlsa { usage: 9, ..record() }] },
        TlsaState::Failed { base, reason: FailureReason::new(ResultType::DnssecInvalid) },
    ]
}

pub(super) fn demands() -> Vec<Demand> {
    let mut demands = Vec::new();
    for requirement in [TlsRequirement::Opportunistic, TlsRequirement::RequireTls, TlsRequirement::TlsRequiredNo] {
        for plaintext in [Plaintext::Allowed, Plaintext::Forbidden] {
            demands.push(Demand { requirement, plaintext });
        }
    }
    demands
}

/// Everything that can be known before a connection is made.
pub(super) fn facts() -> Vec<Facts> {
    let mut hosts = Vec::new();
    for authenticity in [Authenticity::Secure, Authenticity::Insecure] {
        for expanded in [None, Some(domain("expanded.example.net"))] {
            let next_hop = NextHop::Domain { name: domain("example.org"), expanded };
            for base in ["mx.example.org", "hosting.example.net"] {
                for tlsa in tlsa_states(base) {
                    let host = Host { name: HostName::Domain(domain("mx.example.org")), tlsa };
                    hosts.push((next_hop.clone(), MxRecords::Explicit(authenticity), host));
                }
            }
            for tlsa in tlsa_states("example.org") {
                let host = Host { name: HostName::Domain(domain("example.org")), tlsa };
                hosts.push((next_hop.clone(), MxRecords::Implicit(authenticity), host));
            }
        }
    }
    let mut all = Vec::new();
    for (next_hop, mx, host) in hosts {
        for sts in sts_states() {
            for demand in demands() {
                all.push((Destination { next_hop: next_hop.clone(), mx, sts: sts.clone() }, host.clone(), demand));
            }
        }
    }
    let literal: std::net::IpAddr = [192, 0, 2, 1].into();
    let routes =
        [RouteSecurity::Opportunistic, RouteSecurity::StartTls, RouteSecurity::Implicit, RouteSecurity::Plaintext];
    let others = std::iter::once(NextHop::Address(literal)).chain(routes.map(NextHop::Route));
    for next_hop in others {
        for demand in demands() {
            let mx = MxRecords::Implicit(Authenticity::Insecure);
            let destination = Destination { next_hop: next_hop.clone(), mx, sts: StsState::NotFound };
            all.push((destination, Host { name: HostName::Ip(literal), tlsa: TlsaState::Absent }, demand));
        }
    }
    all
}

fn failure(result: ResultType) -> CertificateFailure {
    CertificateFailure { reason: FailureReason::new(result), detail: String::new() }
}

fn all_findings() -> Vec<Findings> {
    let mut all = Vec::new();
    for pkix in [Ok(()), Err(failure(ResultType::CertificateHostMismatch))] {
        let matched = Matched { record: record() };
        for dane in [None, Some(Ok(matched)), Some(Err(failure(ResultType::ValidationFailure)))] {
            all.push(Findings { pkix: pkix.clone(), dane });
        }
    }
    all
}

/// Everything that a connection can show.
pub(super) fn outcomes() -> Vec<Outcome> {
    let mut all = vec![
        Outcome::Unreachable,
        Outcome::Clear,
        Outcome::NoStartTls(None),
        Outcome::NoStartTls(Some(454)),
        Outcome::TlsFailed(FailureReason::with_code(ResultType::ValidationFailure, "tls-remote-alert-40")),
    ];
    for findings in all_findings() {
        all.push(Outcome::CertificateRejected(findings.clone()));
        for require_tls in [RequireTlsOffer::Offered, RequireTlsOffer::NotOffered] {
            all.push(Outcome::Tls { findings: findings.clone(), require_tls });
        }
    }
    all
}
