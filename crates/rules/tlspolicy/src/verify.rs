//! Certificates of servers: DANE and PKIX are both evaluated, always, so that reports are complete; a handshake fails only
//! where what fails is enforced.
//!
//! DANE: RFC 7672 §3.1 and §3.2, RFC 7671 §5. PKIX: RFC 5280 by webpki, names by RFC 6125. Which of them is enforced is
//! the plan's business.

mod der;
mod pkix;
mod verifier;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mailstead_dns::Tlsa;
use mailstead_names::{Domain, Host};
use rustls::RootCertStore;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use sha2::{Digest as _, Sha256, Sha512};

pub use verifier::{Seen, Verifier};

use crate::report::{FailureReason, ResultType};
use crate::tlsa::usage;

/// What a server's certificate proved, and what not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The chain to a trusted root, the time and the name (RFC 6125).
    pub pkix: Result<(), CertificateFailure>,
    /// A TLSA record and what it asks for; `None` where there were no usable records.
    pub dane: Option<Result<Matched, CertificateFailure>>,
}

/// The TLSA record that a certificate matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The record.
    pub record: Tlsa,
}

/// Why a certificate does not prove what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFailure {
    /// As it is reported.
    pub reason: FailureReason,
    /// In words, for a person.
    pub detail: String,
}

/// What a certificate is checked against.
#[derive(Debug, Clone)]
pub struct Checks {
    /// Whom PKIX trusts.
    pub roots: Arc<RootCertStore>,
    /// The name that the certificate must be for.
    pub name: Host,
    /// TLSA records that are to be tried; none where DANE does not apply.
    pub records: Vec<Tlsa>,
    /// What a certificate below a DANE-TA anchor may be for (RFC 7672 §3.2.2).
    pub anchored_names: Vec<Domain>,
}

/// A chain as the server sent it.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    /// The server's own certificate.
    pub end_entity: &'a CertificateDer<'a>,
    /// The others, in the order in which they came.
    pub intermediates: &'a [CertificateDer<'a>],
}

/// Evaluates everything, whatever fails.
#[must_use]
pub fn evaluate(checks: &Checks, chain: Chain<'_>, now: UnixTime, algorithms: &WebPkiSupportedAlgorithms) -> Findings {
    let pkix = pkix::trusted(&checks.roots, chain, now, algorithms)
        .and_then(|()| pkix::is_for(chain, std::slice::from_ref(&checks.name)));
    let dane = (!checks.records.is_empty()).then(|| Dane { checks, chain, now, algorithms, pkix: &pkix }.evaluate());
    Findings { pkix, dane }
}

/// One evaluation of TLSA records.
struct Dane<'a> {
    checks: &'a Checks,
    chain: Chain<'a>,
    now: UnixTime,
    algorithms: &'a WebPkiSupportedAlgorithms,
    pkix: &'a Result<(), CertificateFailure>,
}

impl Dane<'_> {
    /// The first record that holds. Where none does, a record that matches and fails otherwise tells more than one that
    /// does not match.
    fn evaluate(&self) -> Result<Matched, CertificateFailure> {
        let mut nearest = None;
        for record in &self.checks.records {
            match self.holds(record) {
                Ok(true) => return Ok(Matched { record: record.clone() }),
                Ok(false) => {}
                Err(failure) => nearest = nearest.or(Some(failure)),
            }
        }
        Err(nearest.unwrap_or_else(|| CertificateFailure {
            reason: FailureReason::with_code(ResultType::ValidationFailure, "dane-no-match"),
            detail: "no TLSA record matches a certificate of the server".to_owned(),
        }))
    }

    /// Whether a record matches; an error where it does and what else it asks for fails.
    fn holds(&self, record: &Tlsa) -> Result<bool, CertificateFailure> {
        let Chain { end_entity, intermediates } = self.chain;
        match record.usage {
            // RFC 7672 §3.1.1: neither names nor dates count.
            usage::DANE_EE => Ok(matches(record, end_entity)),
            usage::DANE_TA => self.below_anchor(record),
            usage::PKIX_EE if matches(record, end_entity) => self.pkix.clone().map(|()| true),
            usage::PKIX_TA if intermediates.iter().any(|certificate| matches(record, certificate)) => {
                self.pkix.clone().map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// RFC 7672 §3.1.2: the anchor is in the chain, or the record has all of it.
    fn below_anchor(&self, record: &Tlsa) -> Result<bool, CertificateFailure> {
        let own = CertificateDer::from(record.data.as_slice());
        let in_record = (record.selector == 0 && record.matching_type == 0).then_some(&own);
        let in_chain = self.chain.intermediates.iter().filter(|certificate| matches(record, certificate));
        let mut anchors = RootCertStore::empty();
        let mut found = false;
        for anchor in in_chain.chain(in_record) {
            // One that webpki cannot read verifies nothing.
            found |= anchors.add(anchor.clone().into_owned()).is_ok();
        }
        if !found {
            return Ok(false);
        }
        pkix::trusted(&anchors, self.chain, self.now, self.algorithms)?;
        let names: Vec<Host> = self.checks.anchored_names.iter().cloned().map(Host::Domain).collect();
        pkix::is_for(self.chain, &names)?;
        Ok(true)
    }
}

/// Whether a certificate is what a record says (RFC 6698 §2.1.2 to §2.1.4).
#[must_use]
pub fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let selected = match record.selector {
        0 => Some(certificate.as_ref()),
        1 => der::public_key_info(certificate),
        _ => None,
    };
    let Some(selected) = selected else { return false };
    match record.matching_type {
        0 => selected == record.data,
        1 => Sha256::digest(selected).as_slice() == record.data,
        2 => Sha512::digest(selected).as_slice() == record.data,
        _ => false,
    }
}

/// The record for a certificate: for a server's own, `3 1 1` (RFC 7672 §3.1) survives its renewal as long as its key does.
/// `None` where selector or matching type is unknown, or the certificate is none.
#[must_use]
pub fn record_for(certificate: &CertificateDer<'_>, usage: u8, selector: u8, matching_type: u8) -> Option<Tlsa> {
    let selected = match selector {
        0 => certificate.as_ref(),
        1 => der::public_key_info(certificate)?,
        _ => return None,
    };
    Some(Tlsa { usage, selector, matching_type, data: matching_data(selected, matching_type)? })
}

/// The record for a public key, for which there need not be a certificate yet: selector 1. `None` where the matching type
/// is unknown.
#[must_use]
pub fn record_for_key(key: &SubjectPublicKeyInfoDer<'_>, usage: u8, matching_type: u8) -> Option<Tlsa> {
    Some(Tlsa { usage, selector: 1, matching_type, data: matching_data(key.as_ref(), matching_type)? })
}

/// RFC 6698 §2.1.3.
fn matching_data(selected: &[u8], matching_type: u8) -> Option<Vec<u8>> {
    match matching_type {
        0 => Some(selected.to_vec()),
        1 => Some(Sha256::digest(selected).to_vec()),
        2 => Some(Sha512::digest(selected).to_vec()),
        _ => None,
    }
}
