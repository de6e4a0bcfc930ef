//! Identifiers from the results of SPF and DKIM (RFC 9989 §4.4.1 and §4.4.2).

use super::result::{Identifier, Mechanism, Outcome};
use crate::{dkim, spf};

impl Identifier {
    /// What SPF says. Nothing for a check of HELO, which does not count (§4.4.2), and where there was no domain.
    pub fn of_spf(verdict: &spf::Verdict) -> Option<Identifier> {
        let domain = verdict.domain.clone().filter(|_| verdict.identity == spf::Identity::MailFrom)?;
        let outcome = match verdict.result {
            spf::SpfResult::Pass => Outcome::Pass,
            spf::SpfResult::TempError => Outcome::TempError,
            spf::SpfResult::None
            | spf::SpfResult::Neutral
            | spf::SpfResult::Fail
            | spf::SpfResult::SoftFail
            | spf::SpfResult::PermError => Outcome::Fail,
        };
        Some(Identifier { mechanism: Mechanism::Spf, domain, outcome })
    }

    /// What a signature says. Nothing where its domain could not be read. A signature with a key for tests does not pass
    /// (RFC 6376 §3.6.1).
    pub fn of_dkim(signature: &dkim::Outcome) -> Option<Identifier> {
        let domain = signature.domain.clone()?;
        let outcome = match signature.status {
            dkim::Status::TempError => Outcome::TempError,
            _ if signature.authenticated().is_some() => Outcome::Pass,
            _ => Outcome::Fail,
        };
        Some(Identifier { mechanism: Mechanism::Dkim, domain, outcome })
    }
}

/// Everything that DMARC compares with the Author Domain (§4.3): what SPF says, then each signature.
pub fn identifiers(spf: &spf::Verdict, dkim: &dkim::Verification) -> Vec<Identifier> {
    let signatures = dkim.outcomes.iter().filter_map(Identifier::of_dkim);
    Identifier::of_spf(spf).into_iter().chain(signatures).collect()
}

#[cfg(test)]
mod tests {
    use mailstead_dns::Authenticity;
    use mailstead_names::Domain;

    use super::*;
    use crate::Evidence;

    fn domain() -> Domain {
        Domain::parse("example.com").unwrap()
    }

    #[test]
    fn results_of_spf() {
        use spf::{Identity, SpfResult};
        for (identity, domain, result, expected) in [
            (Identity::MailFrom, Some(domain()), SpfResult::Pass, Some(Outcome::Pass)),
            (Identity::MailFrom, Some(domain()), SpfResult::TempError, Some(Outcome::TempError)),
            (Identity::MailFrom, Some(domain()), SpfResult::PermError, Some(Outcome::Fail)),
            (Identity::MailFrom, Some(domain()), SpfResult::Neutral, Some(Outcome::Fail)),
            (Identity::MailFrom, None, SpfResult::None, None),
            (Identity::Helo, Some(domain()), SpfResult::Pass, None),
        ] {
            let verdict = spf::Verdict {
                result,
                identity,
                mailbox: "postmaster@example.com".to_owned(),
                domain,
                reason: spf::Reason::Default,
                explanation: None,
                authenticity: Authenticity::Insecure,
                evidence: Evidence::default(),
            };
            let identifier = Identifier::of_spf(&verdict);
            assert_eq!(identifier.map(|identifier| identifier.outcome), expected, "{identity} {result}");
        }
    }

    #[test]
    fn results_of_dkim() {
        use dkim::{Status, Testing};
        for (status, testing, domain, expected) in [
            (Status::Pass, Testing::No, Some(domain()), Some(Outcome::Pass)),
            (Status::Pass, Testing::Yes, Some(domain()), Some(Outcome::Fail)),
            (Status::TempError, Testing::No, Some(domain()), Some(Outcome::TempError)),
            (Status::Policy, Testing::No, Some(domain()), Some(Outcome::Fail)),
            (Status::PermError, Testing::No, None, None),
        ] {
            let signature = dkim::Outcome {
                status,
                reasons: Vec::new(),
                domain,
                selector: None,
                signature: None,
                key: None,
                testing,
                authenticity: Authenticity::Insecure,
                evidence: Evidence::default(),
            };
            let identifier = Identifier::of_dkim(&signature);
            assert_eq!(identifier.map(|identifier| identifier.outcome), expected, "{status:?} {testing:?}");
        }
    }
}
