//! TLS for both sides: which certificate answers which name, which suites are offered, and what a finished
//! handshake says about itself.
//!
//! rustls offers TLS 1.2 and 1.3 with AEAD suites only; we add the server's preference of suites, the rule
//! for unknown names, and the channel binding of RFC 9266. Judging a remote server's certificate is not
//! decided here.

mod any_certificate;

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use mailstead_names::{Host, KeyFingerprint};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ParsedCertificate, ProducesTickets, ResolvesServerCert,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, CommonState, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
};

use crate::{Error, Identity, PublicKey};
use any_certificate::AnyCertificate;

/// Whether a server hands out tickets for resumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionTickets {
    /// Offered, with keys that rotate by themselves.
    On,
    /// Not offered: some large senders fail on port 25 when they are.
    Off,
}

/// What a client gets that asks for a name for which there is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownName {
    /// The first certificate. For port 25, where senders ask for MX names that we need not know.
    Fallback,
    /// A handshake failure.
    Refuse,
}

/// A server's TLS configuration. Cheap to clone; clones share their certificates.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificates: Arc<Present>,
    tickets: SessionTickets,
}

impl ServerTls {
    /// A configuration that answers with these certificates; the first is the fallback.
    pub fn new(identities: &[Identity], tickets: SessionTickets, unknown: UnknownName) -> Result<Self, Error> {
        let certificates = Arc::new(Present(RwLock::new(ByName::new(identities, unknown, &provider())?)));
        Self::build(certificates, tickets, Arc::new(NoClientAuth))
    }

    fn build(
        certificates: Arc<Present>,
        tickets: SessionTickets,
        clients: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        // RFC 9325 §4.2: the server knows best which of the common suites is strongest.
        config.ignore_client_order = true;
        match tickets {
            SessionTickets::On => {
                config.ticketer = aws_lc_rs::Ticketer::new()?;
            }
            SessionTickets::Off => {
                config.ticketer = Arc::new(NoTickets);
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
            }
        }
        Ok(ServerTls { config: Arc::new(config), certificates, tickets })
    }

    /// The same certificates, for clients who may show one of their own: they are asked, and need not. Whoever shows one
    /// must hold its key, which [`TlsFacts::client_key`] then names; nothing else of it matters. A handshake fails over a
    /// certificate that cannot be read, or whose key is too weak to know anybody by.
    pub fn with_client_certificates(&self) -> Result<Self, Error> {
        let clients = Arc::new(AnyCertificate(provider()));
        let mut tls = Self::build(Arc::clone(&self.certificates), self.tickets, clients)?;
        let mut config = ServerConfig::clone(&tls.config);
        config.alpn_protocols.clone_from(&self.config.alpn_protocols);
        tls.config = Arc::new(config);
        Ok(tls)
    }

    /// Answers new handshakes with these certificates, here and in all clones. After an error the old ones stay.
    pub fn replace(&self, identities: &[Identity]) -> Result<(), Error> {
        let mut present = self.certificates.0.write().unwrap_or_else(PoisonError::into_inner);
        *present = ByName::new(identities, present.unknown, &provider())?;
        Ok(())
    }

    /// The same configuration that also negotiates one of these application protocols, best first.
    #[must_use]
    pub fn with_alpn(&self, protocols: &[&str]) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        ServerTls { config: Arc::new(config), ..self.clone() }
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// How a client treats the server's certificate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Verification {
    /// Encrypt, whoever answers (RFC 7435). The handshake signature is still checked.
    Opportunistic,
    /// The certificate must chain to one of these roots and bear the server's name.
    Pkix(Arc<RootCertStore>),
}

/// A client's TLS configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// A configuration with this verification. Sessions are never resumed: a resumed session skips the
    /// verification of the certificate, which the policy of another destination may require.
    pub fn new(verification: Verification) -> Result<Self, Error> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?;
        let mut config = match verification {
            Verification::Opportunistic => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth(),
            Verification::Pkix(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
        };
        config.resumption = rustls::client::Resumption::disabled();
        Ok(ClientTls { config: Arc::new(config) })
    }

    /// A configuration that leaves the judgement of certificates to this verifier. Sessions are never resumed, so that it
    /// is asked for every connection.
    pub fn with_verifier(verifier: Arc<dyn ServerCertVerifier>) -> Result<Self, Error> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(ClientTls { config: Arc::new(config) })
    }

    /// The same configuration that shows this certificate to servers that ask for one.
    pub fn with_identity(&self, identity: &Identity) -> Result<Self, Error> {
        let key = certified(identity, &provider())?;
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        Ok(ClientTls { config: Arc::new(config) })
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

/// A host as a client names it in a handshake: in SNI, and to its verifier.
pub fn server_name(host: &Host) -> Result<ServerName<'static>, Error> {
    match host {
        Host::Ip(ip) => Ok(ServerName::IpAddress((*ip).into())),
        Host::Domain(domain) => ServerName::try_from(domain.as_ascii().to_owned())
            .map_err(|_| Error::Certificate(format!("{domain} cannot be in a certificate"))),
    }
}

/// What TLS has against a connection, where that is why reading, writing or a handshake failed.
#[must_use]
pub fn rustls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The roots in a PEM file.
pub fn roots_from_file(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| Error::Certificate(format!("cannot trust {}: {error}", path.display())))?;
    }
    Ok(roots)
}

/// Where systems keep the certificates that they trust, in one file.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The roots that the system trusts: those of the first file that is there, without those that cannot be used.
/// `SSL_CERT_FILE` comes first. Empty when there are none, and then nothing can be verified.
#[must_use]
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let chosen = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let files = chosen.into_iter().chain(SYSTEM_ROOTS.iter().map(std::path::PathBuf::from));
    if let Some(found) = files.map(|file| certificates(&file)).find_map(Result::ok) {
        roots.add_parsable_certificates(found);
    }
    roots
}

/// What a handshake negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// The suite's IANA name, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: String,
    /// The name the client asked for, on the server's side.
    pub server_name: Option<String>,
    /// The application protocol, where one was negotiated.
    pub alpn: Option<Vec<u8>>,
    /// The `tls-exporter` channel binding (RFC 9266). Only with TLS 1.3: in 1.2 it is unsafe without the
    /// extended master secret, and `tls-unique` has no place in new software.
    pub exporter: Option<[u8; 32]>,
    /// The key that the client proved to hold, on the side of a server that asked for a certificate. In a resumed session
    /// it is the key that was shown when the session began.
    pub client_key: Option<KeyFingerprint>,
}

impl TlsFacts {
    pub(crate) fn of_server(connection: &ServerConnection) -> Self {
        let exported = connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(b"")).ok();
        let server_name = connection.server_name().map(str::to_owned);
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        let client_key = shown.and_then(|shown| PublicKey::of_certificate(shown).ok()).map(|key| key.fingerprint());
        TlsFacts { client_key, ..Self::from_state(connection, server_name, exported) }
    }

    pub(crate) fn of_client(connection: &ClientConnection) -> Self {
        let exported = connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(b"")).ok();
        Self::from_state(connection, None, exported)
    }

    fn from_state(state: &CommonState, server_name: Option<String>, exported: Option<[u8; 32]>) -> Self {
        let protocol = state.protocol_version();
        let version = match protocol {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "unknown",
        };
        let suite = state.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        TlsFacts {
            version,
            // rustls calls the suites of TLS 1.3 TLS13_*, IANA does not.
            cipher_suite: suite.unwrap_or("unknown").replacen("TLS13_", "TLS_", 1),
            server_name,
            alpn: state.alpn_protocol().map(<[u8]>::to_vec),
            exporter: exported.filter(|_| protocol == Some(ProtocolVersion::TLSv1_3)),
            client_key: None,
        }
    }
}

/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The cryptography of all TLS here, for those who verify certificates by themselves.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Reads all certificates of a PEM file, and says which file when that fails.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("certificate", path, &error))?;
    if chain.is_empty() {
        return Err(unreadable("certificate", path, &pem::Error::NoItemsFound));
    }
    Ok(chain)
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable("private key", path, &error))
}

fn unreadable(what: &str, path: &Path, error: &pem::Error) -> Error {
    let reason = match error {
        pem::Error::NoItemsFound => format!("there is no {what} in it (PEM is expected)"),
        pem::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    Error::Certificate(format!("cannot read the {what} {}: {reason}", path.display()))
}

/// The certificates in force.
#[derive(Debug)]
struct Present(RwLock<ByName>);

impl ResolvesServerCert for Present {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).choose(hello.server_name())
    }
}

/// Chooses the certificate by the name that the client asks for: one that was given for the name, or else one that says
/// itself that it is for it.
#[derive(Debug)]
struct ByName {
    names: HashMap<String, Arc<CertifiedKey>>,
    first: Arc<CertifiedKey>,
    others: Vec<Arc<CertifiedKey>>,
    unknown: UnknownName,
}

impl ByName {
    fn new(identities: &[Identity], unknown: UnknownName, provider: &CryptoProvider) -> Result<Self, Error> {
        let mut names = HashMap::new();
        let mut keys = Vec::with_capacity(identities.len());
        for identity in identities {
            let key = Arc::new(certified(identity, provider)?);
            for name in &identity.names {
                names.entry(name.to_ascii_lowercase()).or_insert_with(|| Arc::clone(&key));
            }
            keys.push(key);
        }
        let mut others = keys.into_iter();
        let first = others.next();
        let first = first.ok_or_else(|| Error::Certificate("TLS needs at least one certificate".to_owned()))?;
        Ok(ByName { names, first, others: others.collect(), unknown })
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        // RFC 6125 §6.4.3: the wildcard stands for exactly the leftmost label.
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let given = self.names.get(&name).or_else(|| self.names.get(&wildcard?));
        given.or_else(|| std::iter::once(&self.first).chain(&self.others).find(|key| bears(key, &name)))
    }

    fn choose(&self, asked: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = asked else { return Some(Arc::clone(&self.first)) };
        let found = match (self.find(name), self.unknown) {
            (None, UnknownName::Fallback) => Some(&self.first),
            (found, _) => found,
        };
        found.cloned()
    }
}

/// Whether a certificate says itself that it is for this name.
fn bears(key: &CertifiedKey, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else { return false };
    let certificate = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    certificate.is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
}

fn certified(identity: &Identity, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), provider).map_err(|error| {
        let reason = match error {
            rustls::Error::InconsistentKeys(_) => "the private key belongs to another certificate".to_owned(),
            other => other.to_string(),
        };
        Error::Certificate(format!("the certificate for {} cannot be used: {reason}", identity.names.join(", ")))
    })
}

/// Produces no tickets; rustls asks even when it is told to send none.
#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }
    fn lifetime(&self) -> u32 {
        0
    }
    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests;
