//! Certificates: reading the operator's, and making our own for machines that have none.

use std::fmt::Debug;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use mailstead_names::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{Error, PublicKey, tls};

/// A certificate chain with its key, and the names it answers for.
pub struct Identity {
    /// Names to match against what a client asks for; may be wildcards.
    pub names: Vec<String>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads a chain (leaf first) and its key from PEM files, to answer for these names.
    pub fn from_files(certificate: &Path, key: &Path, names: Vec<String>) -> Result<Self, Error> {
        Ok(Identity { names, chain: tls::certificates(certificate)?, key: tls::private_key(key)? })
    }

    /// An identity of DER parts, leaf first.
    #[must_use]
    pub fn from_der(names: Vec<String>, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Identity { names, chain, key }
    }

    /// The chain as DER, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }
}

/// A small certificate authority of our own, to be trusted by the people who run it.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate issued by an [`Authority`], as PEM for files and as an [`Identity`] for use.
#[derive(Debug)]
pub struct Issued {
    /// Chain, leaf first, without the authority.
    pub certificate_pem: String,
    /// PKCS#8 key. Secret.
    pub key_pem: String,
    /// Both, ready for [`tls::ServerTls`].
    pub identity: Identity,
}

/// A key with a certificate that it signed itself, for a mail program to show to servers that know the key.
#[derive(Debug)]
pub struct ClientIdentity {
    /// The certificate.
    pub certificate_pem: String,
    /// PKCS#8 key.
    pub key_pem: Secret<String>,
    /// What servers know it by.
    pub key: PublicKey,
}

impl ClientIdentity {
    /// Makes one with an ECDSA P-256 key, which every program can use. Only people read the name.
    pub fn generate(name: &str) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        // Good from long ago, for clocks that are wrong, until the end of time (RFC 5280 §4.1.2.5): servers take the key out
        // of their list when it is to be used no more, and programs silently show nothing once a certificate has run out.
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31) + Duration::from_secs(24 * 60 * 60 - 1);
        let certificate = params.self_signed(&key)?;
        let public =
            PublicKey::of_certificate(certificate.der()).map_err(|error| Error::Certificate(error.to_string()))?;
        Ok(ClientIdentity {
            certificate_pem: certificate.pem(),
            key_pem: Secret::new(key.serialize_pem()),
            key: public,
        })
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Four years: long enough to be forgotten about, short enough for clients that refuse longer ones to be rare.
fn validity(params: &mut CertificateParams, now: jiff::Timestamp) {
    let day = jiff::SignedDuration::from_hours(24);
    let from = now.saturating_sub(day).unwrap_or(now);
    let until = now.saturating_add(day * (4 * 365)).unwrap_or(now);
    let date = |time: jiff::Timestamp| {
        let date = jiff::tz::Offset::UTC.to_datetime(time).date();
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = date(from);
    params.not_after = date(until);
}

impl Authority {
    /// Makes an authority with an ECDSA P-256 key, valid for four years from `now`. The key is never
    /// written anywhere, so nobody can issue more certificates with it.
    pub fn generate(common_name: &str, now: jiff::Timestamp) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        validity(&mut params, now);
        let issuer = CertifiedIssuer::self_signed(params, key)?;
        Ok(Authority { issuer })
    }

    /// The authority's certificate, for clients to trust.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's certificate as DER.
    #[must_use]
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Issues a server certificate for these names and addresses, valid for four years from `now`.
    pub fn issue(&self, names: &[&str], addresses: &[IpAddr], now: jiff::Timestamp) -> Result<Issued, Error> {
        let key = KeyPair::generate()?;
        let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(owned.clone())?;
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = named(names.first().copied().unwrap_or("mail server"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, now);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            identity: Identity {
                names: owned,
                chain: vec![certificate.der().clone()],
                key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            },
        })
    }
}
