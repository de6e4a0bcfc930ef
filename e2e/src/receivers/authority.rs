//! Authorities that issue certificates of every kind, and TLSA records of what they issued (RFC 6698 §2).
//!
//! The records are made from nothing but the certificate and a hash, so that they owe nothing to what is tested.

use std::fmt::Write as _;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest, Sha256, Sha512};

use crate::lab::Dates;

/// A certificate, without its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
    /// SubjectPublicKeyInfo, in DER.
    key: Vec<u8>,
}

impl Certificate {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self { der: certificate.der().clone(), pem: certificate.pem(), key: key.subject_public_key_info() }
    }

    /// The data of a TLSA record that it matches: with selector 0 (the certificate) or 1 (its key), and matching type 0
    /// (everything), 1 (SHA-256) or 2 (SHA-512).
    pub fn tlsa(&self, usage: u8, selector: u8, matching: u8) -> String {
        let selected: &[u8] = if selector == 0 { &self.der } else { &self.key };
        let data = match matching {
            0 => hex(selected),
            1 => hex(&Sha256::digest(selected)),
            2 => hex(&Sha512::digest(selected)),
            other => panic!("nobody knows matching type {other}"),
        };
        format!("{usage} {selector} {matching} {data}")
    }

    /// In PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// How much of the chain a server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Its own certificate alone.
    Leaf,
    /// That and the intermediate one, as servers should (RFC 5246 §7.4.2).
    Intermediate,
    /// That and the anchor, as those must whose anchor is known from DNS (RFC 7672 §3.1.2).
    Anchor,
}

/// A server's certificate with its key, and what is sent with it.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<Certificate>,
    key: KeyPair,
}

impl Identity {
    /// A certificate that nobody else signed.
    pub fn self_signed(names: &[&str], dates: Dates) -> Self {
        let key = key();
        let certificate = leaf(names, dates).self_signed(&key).expect("a certificate");
        Self { chain: vec![Certificate::new(&certificate, &key)], key }
    }

    /// The server's own certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// A server of this test process that shows it to anybody.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        self.shown(builder.expect("TLS 1.2 and 1.3").with_no_client_auth())
    }

    /// A server that demands a certificate which nobody has, with one version of TLS.
    pub(super) fn demanding_server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.leaf().der.clone()).expect("a certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
        let verifier = verifier.build().expect("a verifier");
        self.shown(builder.expect("a version of TLS").with_client_cert_verifier(verifier))
    }

    fn shown(&self, builder: ConfigBuilder<ServerConfig, WantsServerCert>) -> Arc<ServerConfig> {
        let chain = self.chain.iter().map(|certificate| certificate.der.clone()).collect();
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der()).into();
        Arc::new(builder.with_single_cert(chain, key).expect("a key and its certificate"))
    }

    /// The key and what is sent, in PEM, in the order of `smtpd_tls_chain_files`.
    pub fn pem(&self) -> String {
        self.chain.iter().fold(self.key.serialize_pem(), |text, certificate| text + certificate.pem())
    }
}

/// An authority: an anchor, and an intermediate authority that issues.
#[derive(Debug)]
pub struct Authority {
    anchor: Certificate,
    intermediate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let anchor_key = key();
        let params = authority(&format!("{name} anchor"));
        let anchor = Certificate::new(&params.self_signed(&anchor_key).expect("a certificate"), &anchor_key);
        let above = Issuer::new(params, anchor_key);
        let own = key();
        let params = authority(&format!("{name} intermediate"));
        let intermediate = Certificate::new(&params.signed_by(&own, &above).expect("a certificate"), &own);
        Self { anchor, intermediate, issuer: Issuer::new(params, own) }
    }

    /// What clients may trust.
    pub fn anchor(&self) -> &Certificate {
        &self.anchor
    }

    /// What signed the servers' certificates.
    pub fn intermediate(&self) -> &Certificate {
        &self.intermediate
    }

    /// Issues a certificate for these names.
    pub fn issue(&self, names: &[&str], dates: Dates, sent: Sent) -> Identity {
        let key = key();
        let certificate = leaf(names, dates).signed_by(&key, &self.issuer).expect("a certificate");
        let above = match sent {
            Sent::Leaf => Vec::new(),
            Sent::Intermediate => vec![self.intermediate.clone()],
            Sent::Anchor => vec![self.intermediate.clone(), self.anchor.clone()],
        };
        Identity { chain: [vec![Certificate::new(&certificate, &key)], above].concat(), key }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn leaf(names: &[&str], dates: Dates) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names.clone()).expect("names for a certificate");
    params.distinguished_name.push(DnType::CommonName, names.first().cloned().unwrap_or_default());
    params.use_authority_key_identifier_extension = true;
    // Far from now, so that no run depends on the day.
    let (from, until) = match dates {
        Dates::Current => (2024, 2049),
        Dates::Past => (2020, 2021),
        Dates::Future => (2048, 2049),
    };
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 12, 1));
    params
}
