//! The checks as a verifier of rustls.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{Chain, Checks, Findings, evaluate};
use crate::plan::{Attempt, Enforcement};

/// What a [`Verifier`] found, for whoever made it. Empty until a certificate came.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<OnceLock<Findings>>);

impl Seen {
    /// What was found.
    #[must_use]
    pub fn findings(&self) -> Option<&Findings> {
        self.0.get()
    }
}

/// Verifies the certificate of one server on one connection as an attempt wants it.
///
/// Where a session is resumed, a verifier is not asked: configurations that use it must have resumption off. Signatures
/// of the handshake are always verified, so a certificate that webpki cannot read fails even where nothing is enforced.
#[derive(Debug)]
pub struct Verifier {
    checks: Checks,
    pkix: Enforcement,
    dane: Enforcement,
    provider: Arc<CryptoProvider>,
    seen: Seen,
}

impl Verifier {
    /// For this attempt. PKIX trusts `roots`; cryptography is the provider's.
    #[must_use]
    pub fn new(attempt: &Attempt, roots: Arc<RootCertStore>, provider: Arc<CryptoProvider>) -> Verifier {
        let (records, anchored_names, dane) = match &attempt.dane {
            Some(dane) => (dane.records.clone(), dane.names.clone(), dane.enforcement),
            None => (Vec::new(), Vec::new(), Enforcement::Record),
        };
        let checks = Checks { roots, name: attempt.pkix_name.clone(), records, anchored_names };
        Verifier::with_checks(checks, attempt.pkix, dane, provider)
    }

    /// For other connections than those of a plan: these checks, each enforced or not.
    #[must_use]
    pub fn with_checks(
        checks: Checks,
        pkix: Enforcement,
        dane: Enforcement,
        provider: Arc<CryptoProvider>,
    ) -> Verifier {
        Verifier { checks, pkix, dane, provider, seen: Seen::default() }
    }

    /// Where the findings will be.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// The failure that the handshake ends with.
    fn objection(&self, findings: &Findings) -> Option<Error> {
        let pkix_fails = self.pkix == Enforcement::Enforce && findings.pkix.is_err();
        let dane_fails = self.dane == Enforcement::Enforce && matches!(findings.dane, Some(Err(_)));
        // RFC 8446 §6.2: the alert that a server can act on least wrongly in both cases.
        (pkix_fails || dane_fails)
            .then_some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = Chain { end_entity, intermediates };
        let findings = evaluate(&self.checks, chain, now, &self.provider.signature_verification_algorithms);
        let objection = self.objection(&findings);
        // One connection has one certificate; a second would be another connection's.
        if self.seen.0.set(findings).is_err() {
            return Err(Error::General("a verifier serves one connection".to_owned()));
        }
        objection.map_or(Ok(ServerCertVerified::assertion()), Err)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
