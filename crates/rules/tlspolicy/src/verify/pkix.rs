//! Chains, dates and names by webpki, with failures in the words of RFC 8460.

use mailstead_names::Host;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::{CertificateFailure, Chain};
use crate::report::{FailureReason, ResultType};

/// Whether a chain leads to one of these roots, now.
pub(super) fn trusted(
    roots: &RootCertStore,
    chain: Chain<'_>,
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), CertificateFailure> {
    if roots.is_empty() {
        return Err(failure(ResultType::CertificateNotTrusted, "no-system-roots", "there are no trusted authorities"));
    }
    let certificate = ParsedCertificate::try_from(chain.end_entity).map_err(|error| explained(&error))?;
    verify_server_cert_signed_by_trust_anchor(&certificate, roots, chain.intermediates, now, algorithms.all)
        .map_err(|error| explained(&error))
}

/// Whether the server's certificate is for one of these names.
pub(super) fn is_for(chain: Chain<'_>, names: &[Host]) -> Result<(), CertificateFailure> {
    let certificate = ParsedCertificate::try_from(chain.end_entity).map_err(|error| explained(&error))?;
    let mut mismatch = failure(ResultType::CertificateHostMismatch, "", "there is no name that it could be for");
    for name in names {
        let Some(name) = server_name(name) else { continue };
        match verify_server_name(&certificate, &name) {
            Ok(()) => return Ok(()),
            Err(error) => mismatch = explained(&error),
        }
    }
    Err(mismatch)
}

/// A host as TLS names it; `None` for names that cannot be in a certificate.
pub(super) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(domain) => ServerName::try_from(domain.as_ascii().to_owned()).ok(),
        Host::Ip(ip) => Some(ServerName::IpAddress((*ip).into())),
    }
}

fn failure(result: ResultType, code: &str, detail: &str) -> CertificateFailure {
    CertificateFailure { reason: FailureReason::with_code(result, code), detail: detail.to_owned() }
}

/// RFC 8460 §4.3.1.
fn explained(error: &Error) -> CertificateFailure {
    use ResultType::{CertificateExpired, CertificateHostMismatch, CertificateNotTrusted};
    let Error::InvalidCertificate(error) = error else {
        return failure(ResultType::ValidationFailure, "certificate-unreadable", &error.to_string());
    };
    let (result, code) = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (CertificateExpired, ""),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (CertificateHostMismatch, "")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            (CertificateNotTrusted, "not-valid-yet")
        }
        CertificateError::UnknownIssuer => (CertificateNotTrusted, "unknown-issuer"),
        CertificateError::BadSignature => (CertificateNotTrusted, "bad-signature"),
        CertificateError::BadEncoding => (CertificateNotTrusted, "bad-encoding"),
        CertificateError::UnhandledCriticalExtension => (CertificateNotTrusted, "unknown-critical-extension"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            (CertificateNotTrusted, "not-for-servers")
        }
        // Among others: an authority's certificate where a server's should be, as `openssl req -x509` makes them.
        _ => (CertificateNotTrusted, "not-usable"),
    };
    failure(result, code, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that no chain in the other tests has.
    #[test]
    fn what_is_wrong_with_a_certificate_has_a_word() {
        let said = |error: CertificateError| explained(&Error::InvalidCertificate(error)).reason.to_string();
        for (error, word) in [
            (CertificateError::Expired, "certificate-expired"),
            (CertificateError::NotValidForName, "certificate-host-mismatch"),
            (CertificateError::NotValidYet, "certificate-not-trusted (not-valid-yet)"),
            (CertificateError::UnknownIssuer, "certificate-not-trusted (unknown-issuer)"),
            (CertificateError::BadSignature, "certificate-not-trusted (bad-signature)"),
            (CertificateError::BadEncoding, "certificate-not-trusted (bad-encoding)"),
            (CertificateError::UnhandledCriticalExtension, "certificate-not-trusted (unknown-critical-extension)"),
            (CertificateError::InvalidPurpose, "certificate-not-trusted (not-for-servers)"),
            (CertificateError::Revoked, "certificate-not-trusted (not-usable)"),
        ] {
            assert_eq!(said(error), word);
        }
        let other = explained(&Error::General("odd".to_owned()));
        assert_eq!(
            (other.reason.to_string().as_str(), other.detail.as_str()),
            ("validation-failure (certificate-unreadable)", "unexpected error: odd")
        );
    }
}
