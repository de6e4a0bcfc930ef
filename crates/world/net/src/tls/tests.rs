//! Certificates of clients, over streams in memory.

use std::net::SocketAddr;
use std::time::Duration;

use mailstead_runtime::Deadline;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SignatureAlgorithm};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::danger::ClientCertVerifier as _;
use rustls::sign::SigningKey;
use rustls::{HandshakeKind, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::{Authority, Stream};

const NAME: &str = "mail.example.org";

fn server() -> ServerTls {
    let now = jiff::Timestamp::now();
    let identity = Authority::generate("test", now).unwrap().issue(&[NAME], &[], now).unwrap().identity;
    let plain = ServerTls::new(&[identity], SessionTickets::On, UnknownName::Refuse).unwrap();
    plain.with_client_certificates().unwrap()
}

/// A self-signed certificate over a key of this kind, which ran out long ago and is for nobody.
fn certificate(algorithm: &'static SignatureAlgorithm) -> (Identity, KeyFingerprint) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(1990, 1, 1), rcgen::date_time_ymd(1991, 1, 1));
    let certificate = params.self_signed(&key).unwrap();
    let fingerprint = PublicKey::from_der(&key.subject_public_key_info()).unwrap().fingerprint();
    let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    (Identity::from_der(vec![], vec![certificate.der().clone()], private), fingerprint)
}

fn client() -> ClientTls {
    ClientTls::new(Verification::Opportunistic).unwrap()
}

/// A client that speaks this version only, and resumes sessions.
fn resuming(client: &ClientTls, version: &'static SupportedProtocolVersion) -> ClientTls {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
        .with_no_client_auth();
    config.client_auth_cert_resolver = Arc::clone(&client.config.client_auth_cert_resolver);
    config.resumption = Resumption::in_memory_sessions(4);
    ClientTls { config: Arc::new(config) }
}

/// A handshake and an octet each way, so that tickets arrive; what the server knows then.
async fn connect(server: &ServerTls, client: &ClientTls) -> Result<TlsFacts, Error> {
    let address: SocketAddr = "192.0.2.7:40000".parse().unwrap();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (mut ours, mut theirs) =
        (Stream::from_transport(ours, address, address), Stream::from_transport(theirs, address, address));
    let deadline = Deadline::after(Duration::from_secs(60));
    let name = ServerName::try_from(NAME).unwrap();
    let (facts, connected) = tokio::join!(
        async {
            let facts = ours.start_tls(server, b"", deadline).await.cloned();
            if facts.is_ok() {
                ours.write_all(b"x").await.unwrap();
                ours.flush().await.unwrap();
            } else {
                ours.close(deadline).await;
            }
            facts
        },
        async {
            theirs.connect_tls(client, name, b"", deadline).await?;
            Ok::<_, Error>(theirs.read_u8().await?)
        }
    );
    assert_eq!(facts.is_ok(), connected.is_ok());
    facts
}

#[tokio::test]
async fn the_key_is_known_whatever_the_certificate_says() {
    let server = server();
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519, &rcgen::PKCS_RSA_SHA256]
    {
        let (identity, fingerprint) = certificate(algorithm);
        let shown = client().with_identity(&identity).unwrap();
        assert_eq!(connect(&server, &shown).await.unwrap().client_key, Some(fingerprint));
    }
}

/// Nobody has to show anything, and who is not asked shows nothing.
#[tokio::test]
async fn certificates_are_asked_for_and_not_demanded() {
    let server = server();
    assert_eq!(connect(&server, &client()).await.unwrap().client_key, None);
    let (identity, _) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    let shown = client().with_identity(&identity).unwrap();
    let now = jiff::Timestamp::now();
    let own = Authority::generate("test", now).unwrap().issue(&[NAME], &[], now).unwrap().identity;
    let quiet = ServerTls::new(&[own], SessionTickets::On, UnknownName::Refuse).unwrap();
    assert_eq!(connect(&quiet, &shown).await.unwrap().client_key, None);
}

/// Certificates that are replaced, and protocols, are those of the configuration that it was made from.
#[tokio::test]
async fn everything_else_stays_as_it_was() {
    let now = jiff::Timestamp::now();
    let authority = Authority::generate("test", now).unwrap();
    let issue = |name: &str| authority.issue(&[name], &[], now).unwrap().identity;
    let plain = ServerTls::new(&[issue("old.example.org")], SessionTickets::On, UnknownName::Refuse).unwrap();
    let asking = plain.with_alpn(&["x"]).with_client_certificates().unwrap();
    assert_eq!(asking.config.alpn_protocols, [b"x"]);
    assert!(connect(&asking, &client()).await.is_err());
    plain.replace(&[issue(NAME)]).unwrap();
    assert!(connect(&asking, &client()).await.is_ok());
}

#[tokio::test]
async fn a_resumed_session_has_the_key_of_its_beginning() {
    let server = server();
    for (version, issuers) in
        [&rustls::version::TLS12, &rustls::version::TLS13].map(|version| [(version, 0), (version, 15_000)]).concat()
    {
        let (mut identity, fingerprint) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        // With as much of a chain as is allowed, too, all of which is in the ticket.
        identity.chain.push(CertificateDer::from(vec![0; issuers]));
        let shown = resuming(&client().with_identity(&identity).unwrap(), version);
        assert_eq!(handshake_kind(&server, &shown).await, (HandshakeKind::Full, Some(fingerprint)), "{version:?}");
        assert_eq!(handshake_kind(&server, &shown).await, (HandshakeKind::Resumed, Some(fingerprint)), "{version:?}");
        let without = resuming(&client(), version);
        assert_eq!(handshake_kind(&server, &without).await, (HandshakeKind::Full, None), "{version:?}");
        assert_eq!(handshake_kind(&server, &without).await, (HandshakeKind::Resumed, None), "{version:?}");
    }
}

/// What kind of handshake it was in the server's eyes, with the key that it knows then.
async fn handshake_kind(server: &ServerTls, client: &ClientTls) -> (HandshakeKind, Option<KeyFingerprint>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(NAME).unwrap();
    let (accepted, connected) = tokio::join!(
        tokio_rustls::TlsAcceptor::from(server.config()).accept(ours),
        tokio_rustls::TlsConnector::from(client.config()).connect(name, theirs),
    );
    let (mut accepted, mut connected) = (accepted.unwrap(), connected.unwrap());
    accepted.write_all(b"x").await.unwrap();
    accepted.flush().await.unwrap();
    connected.read_u8().await.unwrap();
    let state = accepted.get_ref().1;
    (state.handshake_kind().unwrap(), TlsFacts::of_server(state).client_key)
}

/// A certificate with the key of somebody else is not enough.
#[tokio::test]
async fn who_does_not_hold_the_key_is_nobody() {
    /// Shows one certificate and signs with the key of another.
    #[derive(Debug)]
    struct Thief(Arc<CertifiedKey>);

    impl ResolvesClientCert for Thief {
        fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
        fn has_certs(&self) -> bool {
            true
        }
    }

    let server = server();
    let (victim, _) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (own, _) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    let signs: Arc<dyn SigningKey> = provider().key_provider.load_private_key(own.key.clone_key()).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut thief = ClientConfig::clone(&resuming(&client(), version).config);
        let stolen = CertifiedKey::new(victim.chain.clone(), Arc::clone(&signs));
        thief.client_auth_cert_resolver = Arc::new(Thief(Arc::new(stolen)));
        let refused = connect(&server, &ClientTls { config: Arc::new(thief) }).await;
        assert!(matches!(refused, Err(Error::Handshake(_))), "{version:?} {refused:?}");
    }
}

/// openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=weak -days 36500
const WEAK: &str = include_str!("../../testdata/rsa-1024.pem");

#[test]
fn weak_keys_unreadable_and_endless_certificates_are_refused() {
    let verifier = AnyCertificate(provider());
    let now = rustls::pki_types::UnixTime::now();
    let verify = |certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>]| {
        verifier.verify_client_cert(certificate, chain, now).map(|_| ()).map_err(|error| error.to_string())
    };
    let good = &certificate(&rcgen::PKCS_ECDSA_P256_SHA256).0.chain[0];
    assert_eq!(verify(good, &[]), Ok(()));
    let weak = CertificateDer::from_pem_slice(WEAK.as_bytes()).unwrap();
    let refused = verify(&weak, &[]).unwrap_err();
    assert!(refused.contains("Bits(1024)"), "{refused}");
    let refused = verify(&CertificateDer::from(&b"nothing"[..]), &[]).unwrap_err();
    assert!(refused.contains("OtherError(Certificate)"), "{refused}");
    let issuers = [CertificateDer::from(vec![0; 9000]), CertificateDer::from(vec![0; 9000])];
    assert_eq!(verify(good, &issuers[..1]), Ok(()));
    let refused = verify(good, &issuers).unwrap_err();
    assert!(refused.contains("octets"), "{refused}");
}
