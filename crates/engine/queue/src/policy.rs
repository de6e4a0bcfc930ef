//! Which connections may carry a message. A plan is made before connecting and a verdict after each connection; the
//! delivery loop only obeys.
//!
//! This is the seam that outgoing transport security fills (MTA-STS, DANE, REQUIRETLS). What is here decides for a next
//! hop that the operator configured, where no policy of a recipient's domain applies.

use std::fmt;

use crate::demand::{Demand, Plaintext, TlsRequirement};
use crate::outcome::Failure;
use crate::route::{HopSecurity, NextHop};

/// Decides about connections. Pure: the same facts give the same answer.
pub trait TransportPolicy: fmt::Debug + Send + Sync {
    /// What to try with this host, in order.
    fn plan(&self, hop: &NextHop, demand: Demand) -> HostPlan;

    /// What to do after an attempt to connect.
    fn judge(&self, attempt: Attempt, outcome: &ConnectionOutcome) -> Verdict;
}

/// The attempts on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPlan {
    /// These, in order.
    Attempts(Vec<Attempt>),
    /// None: the demand cannot be met there.
    Refuse(Failure),
}

/// One way to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// STARTTLS if offered.
    StartTls(Verify),
    /// TLS first.
    ImplicitTls(Verify),
    /// In the clear, even if TLS is offered.
    Plaintext,
}

/// What the certificate must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verify {
    /// The host's name, by a chain to a trusted root.
    Pkix,
    /// Nothing.
    Nothing,
}

/// How far an attempt to connect came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionOutcome {
    /// Greeted, with TLS if the attempt was for it.
    Ready,
    /// Nobody answered, or the session was refused before TLS.
    Unreachable,
    /// STARTTLS is not offered, or refused.
    NoStartTls,
    /// The handshake failed, or the server did not greet after it.
    TlsFailed,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Send the message over this connection.
    Transact,
    /// Close, and try the next attempt of the plan.
    NextAttempt,
    /// Close, and try the next address or host.
    NextHost,
}

/// The policy for a configured next hop: what the operator set, and what the message demands.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConfiguredHop;

impl TransportPolicy for ConfiguredHop {
    fn plan(&self, hop: &NextHop, demand: Demand) -> HostPlan {
        // RFC 8689 §4.2.1 wants REQUIRETLS offered by the next server and passed on, which the client does not do yet.
        if demand.requirement == TlsRequirement::RequireTls {
            return HostPlan::Refuse(Failure::permanent(7, 30, "REQUIRETLS cannot be assured on this route"));
        }
        let attempts = match (hop.security, demand.plaintext) {
            (HopSecurity::Opportunistic, Plaintext::Allowed) => {
                vec![Attempt::StartTls(Verify::Nothing), Attempt::Plaintext]
            }
            (HopSecurity::Opportunistic, Plaintext::Forbidden) => vec![Attempt::StartTls(Verify::Nothing)],
            (HopSecurity::StartTls, _) => vec![Attempt::StartTls(Verify::Pkix)],
            (HopSecurity::Implicit, _) => vec![Attempt::ImplicitTls(Verify::Pkix)],
            (HopSecurity::Plaintext, Plaintext::Allowed) => vec![Attempt::Plaintext],
            (HopSecurity::Plaintext, Plaintext::Forbidden) => {
                return HostPlan::Refuse(Failure::permanent(7, 10, "the route has no encryption"));
            }
        };
        HostPlan::Attempts(attempts)
    }

    fn judge(&self, attempt: Attempt, outcome: &ConnectionOutcome) -> Verdict {
        match (outcome, attempt) {
            (ConnectionOutcome::Ready, _) => Verdict::Transact,
            (ConnectionOutcome::Unreachable, _) => Verdict::NextHost,
            (ConnectionOutcome::NoStartTls | ConnectionOutcome::TlsFailed, _) => Verdict::NextAttempt,
        }
    }
}

#[cfg(test)]
mod tests {
    use mailstead_names::Host;

    use super::*;

    const ALL_SECURITY: [HopSecurity; 4] =
        [HopSecurity::Opportunistic, HopSecurity::StartTls, HopSecurity::Implicit, HopSecurity::Plaintext];

    fn plan(security: HopSecurity, requirement: TlsRequirement, plaintext: Plaintext) -> HostPlan {
        let hop = NextHop { host: Host::Ip([192, 0, 2, 1].into()), port: 25, security, credentials: None };
        ConfiguredHop.plan(&hop, Demand { requirement, plaintext })
    }

    #[test]
    fn plaintext_only_where_both_the_operator_and_the_message_allow_it() {
        for security in ALL_SECURITY {
            for requirement in [TlsRequirement::Opportunistic, TlsRequirement::TlsRequiredNo] {
                for plaintext in [Plaintext::Allowed, Plaintext::Forbidden] {
                    let HostPlan::Attempts(attempts) = plan(security, requirement, plaintext) else {
                        assert_eq!((security, plaintext), (HopSecurity::Plaintext, Plaintext::Forbidden));
                        continue;
                    };
                    let allowed = plaintext == Plaintext::Allowed
                        && matches!(security, HopSecurity::Opportunistic | HopSecurity::Plaintext);
                    assert_eq!(attempts.contains(&Attempt::Plaintext), allowed, "{security:?} {plaintext:?}");
                    assert!(!attempts.is_empty());
                }
            }
        }
    }

    #[test]
    fn what_the_operator_wants_verified_is_verified() {
        for security in [HopSecurity::StartTls, HopSecurity::Implicit] {
            let HostPlan::Attempts(attempts) = plan(security, TlsRequirement::TlsRequiredNo, Plaintext::Allowed) else {
                panic!("refused");
            };
            let verified = |attempt: &Attempt| {
                matches!(attempt, Attempt::StartTls(Verify::Pkix) | Attempt::ImplicitTls(Verify::Pkix))
            };
            assert!(attempts.iter().all(verified));
        }
    }

    #[test]
    fn requiretls_is_refused_until_it_can_be_kept() {
        for security in ALL_SECURITY {
            let HostPlan::Refuse(failure) = plan(security, TlsRequirement::RequireTls, Plaintext::Forbidden) else {
                panic!("{security:?}");
            };
            assert_eq!(failure.status.to_string(), "5.7.30");
        }
    }

    #[test]
    fn only_a_ready_connection_transacts() {
        let outcomes = [ConnectionOutcome::Unreachable, ConnectionOutcome::NoStartTls, ConnectionOutcome::TlsFailed];
        for attempt in [Attempt::StartTls(Verify::Pkix), Attempt::ImplicitTls(Verify::Nothing), Attempt::Plaintext] {
            assert!(outcomes.iter().all(|outcome| ConfiguredHop.judge(attempt, outcome) != Verdict::Transact));
            assert_eq!(ConfiguredHop.judge(attempt, &ConnectionOutcome::Ready), Verdict::Transact);
        }
    }
}
