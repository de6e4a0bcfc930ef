//! What follows from an attempt to connect: a pure function of the attempt and its outcome.

use crate::plan::{
    Attempt, AttributedPolicy, Attribution, Channel, Enforcement, RequireTlsExtension, Scope, Terms, TlsNeed, TlsResult,
};
use crate::reasons::Shortfall;
use crate::report::{FailureReason, ResultType};
use crate::verify::Findings;

/// How far an attempt to connect came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody answered, or the session ended or was refused before TLS was asked for.
    Unreachable,
    /// Greeted in the clear, as an attempt in the clear wants it.
    Clear,
    /// STARTTLS is not offered, or was refused with this code.
    NoStartTls(Option<u16>),
    /// The handshake failed, or the server took it back after it: an alert that came late, or a connection that ended
    /// without a greeting (RFC 8446 lets a server refuse after we have finished).
    TlsFailed(FailureReason),
    /// We refused the certificate.
    CertificateRejected(Findings),
    /// Greeted with TLS.
    Tls {
        /// What the certificate proved.
        findings: Findings,
        /// Whether the server offers REQUIRETLS now.
        require_tls: RequireTlsOffer,
    },
}

/// Whether a server offers REQUIRETLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequireTlsOffer {
    /// It does.
    Offered,
    /// It does not.
    NotOffered,
}

/// What to do, and what to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What to do next.
    pub next: Next,
    /// One for each policy that the connection counts for.
    pub results: Vec<TlsResult>,
    /// Why the message cannot go over this connection; `None` where it can.
    pub shortfall: Option<Shortfall>,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// Send the message over this connection.
    Transact,
    /// Try the next attempt of the plan, or the next host where there is none.
    NextAttempt,
    /// Try the next host.
    NextHost,
    /// Try the next host; where no host grants it, the message fails for good (RFC 8689 §4.2.1).
    RequireTlsUnsupported,
}

/// What follows from the outcome of an attempt.
#[must_use]
pub fn judge(attempt: &Attempt, outcome: &Outcome) -> Verdict {
    match (attempt.channel, outcome) {
        (Channel::Plaintext, Outcome::Clear) => transact(Vec::new()),
        (Channel::Plaintext, _) | (_, Outcome::Unreachable | Outcome::Clear) => {
            Verdict { next: Next::NextHost, results: Vec::new(), shortfall: Some(Shortfall::Unreachable) }
        }
        (_, Outcome::NoStartTls(code)) => {
            let reason = match code {
                Some(code) => FailureReason::with_code(
                    ResultType::StartTlsNotSupported,
                    format!("smtp-starttls-reply-code-{code}"),
                ),
                None => FailureReason::new(ResultType::StartTlsNotSupported),
            };
            let next = match attempt.need {
                TlsNeed::RequireTls => Next::RequireTlsUnsupported,
                TlsNeed::Policy | TlsNeed::Nothing => Next::NextAttempt,
            };
            Verdict { next, results: all_failed(attempt, &reason), shortfall: Some(Shortfall::NoStartTls) }
        }
        (_, Outcome::TlsFailed(reason)) => Verdict {
            next: Next::NextAttempt,
            results: all_failed(attempt, reason),
            shortfall: Some(Shortfall::TlsFailed(reason.clone())),
        },
        (_, Outcome::CertificateRejected(findings)) => {
            let results = by_findings(attempt, findings);
            match certificate_shortfall(attempt, findings) {
                Some(shortfall) => Verdict { next: Next::NextHost, results, shortfall: Some(shortfall) },
                // Refused although nothing was enforced: as any other handshake that fails.
                None => {
                    let reason = FailureReason::new(ResultType::ValidationFailure);
                    Verdict { next: Next::NextAttempt, results, shortfall: Some(Shortfall::TlsFailed(reason)) }
                }
            }
        }
        (_, Outcome::Tls { findings, require_tls }) => {
            let results = by_findings(attempt, findings);
            if let Some(shortfall) = certificate_shortfall(attempt, findings) {
                return Verdict { next: Next::NextHost, results, shortfall: Some(shortfall) };
            }
            if attempt.extension == RequireTlsExtension::Needed && *require_tls == RequireTlsOffer::NotOffered {
                let shortfall = Some(Shortfall::RequireTlsNotOffered);
                return Verdict { next: Next::RequireTlsUnsupported, results, shortfall };
            }
            transact(results)
        }
    }
}

fn transact(results: Vec<TlsResult>) -> Verdict {
    Verdict { next: Next::Transact, results, shortfall: None }
}

/// The enforced check that failed.
fn certificate_shortfall(attempt: &Attempt, findings: &Findings) -> Option<Shortfall> {
    if let Some(dane) = &attempt.dane
        && dane.enforcement == Enforcement::Enforce
    {
        match &findings.dane {
            Some(Ok(_)) => {}
            Some(Err(failure)) => return Some(Shortfall::DaneFailed(failure.reason.clone())),
            // It was to be checked and was not.
            None => return Some(Shortfall::DaneFailed(FailureReason::new(ResultType::ValidationFailure))),
        }
    }
    match &findings.pkix {
        Err(failure) if attempt.pkix == Enforcement::Enforce => Some(Shortfall::PkixFailed(failure.reason.clone())),
        _ => None,
    }
}

/// What went wrong with the connection itself goes to everybody.
fn all_failed(attempt: &Attempt, reason: &FailureReason) -> Vec<TlsResult> {
    let result =
        |attribution: &Attribution| TlsResult { policy: attribution.policy.clone(), failure: Some(reason.clone()) };
    attempt.attribution.iter().map(result).collect()
}

/// A certificate is seen by each policy in its own way.
fn by_findings(attempt: &Attempt, findings: &Findings) -> Vec<TlsResult> {
    let result = |attribution: &Attribution| TlsResult {
        policy: attribution.policy.clone(),
        failure: attribution.standing.clone().or_else(|| failure_of(&attribution.policy, findings)),
    };
    attempt.attribution.iter().map(result).collect()
}

fn failure_of(policy: &AttributedPolicy, findings: &Findings) -> Option<FailureReason> {
    let pkix = || findings.pkix.as_ref().err().map(|failure| failure.reason.clone());
    let dane = findings.dane.as_ref();
    match (policy.scope, &policy.terms) {
        (Scope::RecipientDomain, Terms::Sts(_)) => pkix(),
        // Where DANE holds, nobody has promised a certificate from a public authority.
        (Scope::RecipientDomain, _) if matches!(dane, Some(Ok(_))) => None,
        (Scope::RecipientDomain, _) => pkix(),
        (Scope::MxHost, Terms::Tlsa(_)) => dane?.as_ref().err().map(|failure| failure.reason.clone()),
        // The host has promised nothing: that TLS works is success.
        (Scope::MxHost, _) => None,
    }
}
