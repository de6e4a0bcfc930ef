//! The results of this crate's own checks in the words of Authentication-Results (RFC 8601 §2.7, RFC 6008, RFC 9989 §9.1,
//! RFC 8617 §10.2). Whatever a domain owner or a sender wrote is quoted or cut when the field is written.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailstead_names::Domain;

use super::{Method, MethodResult, Ptype, ResultCode};
use crate::{arc, dkim, dmarc, iprev, spf};

impl MethodResult {
    /// What iprev found, with its proof.
    pub fn of_iprev(verdict: &iprev::Verdict) -> MethodResult {
        let code = ResultCode::from(verdict.result.as_str());
        MethodResult::iprev(code, verdict.ip).with_dnssec(verdict.authenticity)
    }

    /// What SPF found about what was asked, with its proof.
    pub fn of_spf(query: &spf::Query, verdict: &spf::Verdict) -> MethodResult {
        let code = ResultCode::from(verdict.result.as_str());
        let name = verdict.domain.as_ref().map_or_else(|| query.ehlo().to_owned(), Domain::to_string);
        let result = match verdict.identity {
            spf::Identity::MailFrom => MethodResult::spf_mailfrom(code, name),
            spf::Identity::Helo => MethodResult::spf_helo(code, name),
        };
        result.with_dnssec(verdict.authenticity)
    }

    /// What DKIM found: a result for each signature, or one that says that there is none.
    pub fn of_dkim(verification: &dkim::Verification) -> Vec<MethodResult> {
        if verification.outcomes.is_empty() {
            return vec![MethodResult::new(Method::Dkim, ResultCode::None)];
        }
        verification.outcomes.iter().map(MethodResult::of_signature).collect()
    }

    fn of_signature(outcome: &dkim::Outcome) -> MethodResult {
        let code = ResultCode::from(outcome.status.name());
        let domain = outcome.domain.as_ref().map(Domain::to_string).unwrap_or_default();
        let selector = outcome.selector.as_ref().map_or("", |selector| selector.as_str());
        let algorithm = outcome.algorithm().map_or("", |algorithm| algorithm.name());
        let mut result = MethodResult::dkim(code, domain, selector, algorithm);
        if let Some((key_type, bits)) = outcome.key_size() {
            result = result.with_comment(&format!("{bits} bit {key_type}"));
        }
        if let Some(reason) = outcome.reasons.first() {
            result = result.with_reason(reason.to_string());
        }
        if let Some(signature) = &outcome.signature {
            // RFC 6008 §4: the first eight characters tell signatures of one domain apart.
            let begin = signature.signature.get(..6).unwrap_or(&signature.signature);
            result = result.with_property(Ptype::Header, "b", BASE64.encode(begin));
        }
        if let Some(identity) = outcome.identity() {
            result = result.with_property(Ptype::Header, "i", identity.to_string());
        }
        result.with_dnssec(outcome.authenticity)
    }

    /// What DMARC found, with the policy that applies and its proof. `overrides` are the reasons for not doing what it asks
    /// for, where there are any (RFC 9990 names them).
    pub fn of_dmarc(dmarc: &dmarc::DmarcResult, overrides: &[&str]) -> MethodResult {
        let code = ResultCode::from(dmarc.status.as_str());
        let mut result = match &dmarc.author {
            Some(author) => MethodResult::dmarc(code, author.clone()),
            None => MethodResult::new(Method::Dmarc, code),
        };
        if let Some(policy) = &dmarc.policy {
            result = result.with_property(Ptype::Policy, "dmarc", policy.effective.as_str());
        }
        if !overrides.is_empty() {
            result = result.with_comment(&format!("override {}", overrides.join(",")));
        }
        result.with_dnssec(dmarc.authenticity())
    }

    /// What ARC found about a message from this address; nothing where there is no chain.
    pub fn of_arc(chain: &arc::Chain, ip: IpAddr) -> Option<MethodResult> {
        let code = ResultCode::from(chain.status.name());
        (code != ResultCode::None).then(|| MethodResult::arc(code, ip))
    }
}
