//! Certificates of every kind, alone and in handshakes.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mailstead_names::{Domain, Host};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::*;
use crate::plan::{Attempt, Channel, Dane as Records, Enforcement, RequireTlsExtension, TlsNeed};

const HOST: &str = "mx.example.org";

/// A root, an authority below it, and a server's certificate, made by `alter`.
struct Pki {
    root: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    key: KeyPair,
}

fn pki(alter: impl FnOnce(&mut CertificateParams)) -> Pki {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let root_key = KeyPair::generate().unwrap();
    let root_params = authority("root");
    let root = root_params.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(root_params, root_key);
    let middle_key = KeyPair::generate().unwrap();
    let middle_params = authority("middle");
    let intermediate = middle_params.signed_by(&middle_key, &root_issuer).unwrap();
    let middle = Issuer::new(middle_params, middle_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    alter(&mut params);
    let leaf = params.signed_by(&key, &middle).unwrap();
    Pki { root: root.into(), intermediate: intermediate.into(), leaf: leaf.into(), key }
}

fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}

fn other_name(params: &mut CertificateParams) {
    *params = CertificateParams::new(vec!["other.example.org".to_owned()]).unwrap();
}

/// 2026-01-01.
const NOW: u64 = 1_767_225_600;

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn checks(trusted: &[&CertificateDer<'static>], records: Vec<Tlsa>) -> Checks {
    let mut roots = RootCertStore::empty();
    trusted.iter().for_each(|root| roots.add((*root).clone()).unwrap());
    Checks {
        roots: Arc::new(roots),
        name: Host::Domain(domain(HOST)),
        records,
        anchored_names: vec![domain(HOST), domain("example.org")],
    }
}

fn found(checks: &Checks, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Findings {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let chain = Chain { end_entity: leaf, intermediates };
    evaluate(checks, chain, now, &default_provider().signature_verification_algorithms)
}

fn record(certificate: &CertificateDer<'_>, usage: u8, selector: u8, matching_type: u8) -> Tlsa {
    record_for(certificate, usage, selector, matching_type).unwrap()
}

/// What is reported of a failure; nothing for none.
fn told<T>(result: &Result<T, CertificateFailure>) -> String {
    result.as_ref().err().map(|failure| failure.reason.to_string()).unwrap_or_default()
}

#[test]
fn pkix() {
    let good = pki(|_| {});
    let chain = [good.intermediate.clone()];
    let pkix = |trusted: &[&CertificateDer<'static>], pki: &Pki| {
        told(&found(&checks(trusted, Vec::new()), &pki.leaf, std::slice::from_ref(&pki.intermediate)).pkix)
    };
    assert_eq!(pkix(&[&good.root], &good), "");
    // Another root of the same name.
    assert_eq!(pkix(&[&pki(|_| {}).root], &good), "certificate-not-trusted (bad-signature)");
    assert_eq!(pkix(&[], &good), "certificate-not-trusted (no-system-roots)");
    let late = pki(expired);
    assert_eq!(pkix(&[&late.root], &late), "certificate-expired");
    let early = pki(|params| params.not_before = date_time_ymd(2030, 1, 1));
    assert_eq!(pkix(&[&early.root], &early), "certificate-not-trusted (not-valid-yet)");
    let other = pki(other_name);
    assert_eq!(pkix(&[&other.root], &other), "certificate-host-mismatch");
    let authority = pki(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(pkix(&[&authority.root], &authority), "certificate-not-trusted (not-usable)");
    let unsent = found(&checks(&[&good.root], Vec::new()), &good.leaf, &[]);
    assert_eq!(told(&unsent.pkix), "certificate-not-trusted (unknown-issuer)");
    assert_eq!(found(&checks(&[&good.root], Vec::new()), &good.leaf, &chain).dane, None);
}

/// RFC 7672 §3.1.1: name and dates are of no importance.
#[test]
fn dane_ee() {
    for pki in [pki(|_| {}), pki(expired), pki(other_name)] {
        for selector in [0, 1] {
            for matching_type in [0, 1, 2] {
                let own = record(&pki.leaf, 3, selector, matching_type);
                let wrong = record(&pki.intermediate, 3, selector, matching_type);
                let dane = |records| found(&checks(&[], records), &pki.leaf, &[]).dane.unwrap();
                assert_eq!(dane(vec![own.clone()]), Ok(Matched { record: own.clone() }));
                assert_eq!(told(&dane(vec![wrong.clone()])), "validation-failure (dane-no-match)");
                // The next key is published before it is used.
                assert_eq!(dane(vec![wrong, own.clone()]), Ok(Matched { record: own }));
            }
        }
    }
}

#[test]
fn dane_ta() {
    let (good, other) = (pki(|_| {}), pki(|_| {}));
    let whole = [good.intermediate.clone(), good.root.clone()];
    for (anchor, sent) in [(&good.intermediate, &whole[..1]), (&good.root, &whole[..])] {
        for selector in [0, 1] {
            for matching_type in [0, 1, 2] {
                let own = record(anchor, 2, selector, matching_type);
                let dane = |pki: &Pki, sent| found(&checks(&[], vec![own.clone()]), &pki.leaf, sent).dane.unwrap();
                assert_eq!(told(&dane(&good, sent)), "", "2 {selector} {matching_type}");
                // Somebody else's certificate, by an authority of the same name.
                assert_eq!(told(&dane(&other, sent)), "certificate-not-trusted (bad-signature)");
                // RFC 7671 §5.2.2: an anchor that is neither sent nor in the record cannot be found.
                let complete = (selector, matching_type) == (0, 0) && sent.len() == 1;
                assert_eq!(dane(&good, &[]).is_ok(), complete, "2 {selector} {matching_type}");
            }
        }
    }
    for (alter, wanted) in
        [(expired as fn(&mut CertificateParams), "certificate-expired"), (other_name, "certificate-host-mismatch")]
    {
        let pki = pki(alter);
        let records = vec![record(&pki.intermediate, 2, 0, 1)];
        let findings = found(&checks(&[&pki.root], records), &pki.leaf, std::slice::from_ref(&pki.intermediate));
        assert_eq!(told(&findings.dane.unwrap()), wanted);
        assert_eq!(told(&findings.pkix), wanted, "both are evaluated");
    }
    // RFC 7672 §3.2.2: the next hop's name is as good as the host's.
    let next_hop = pki(|params| *params = CertificateParams::new(vec!["example.org".to_owned()]).unwrap());
    let records = vec![record(&next_hop.intermediate, 2, 1, 1)];
    let findings =
        found(&checks(&[&next_hop.root], records), &next_hop.leaf, std::slice::from_ref(&next_hop.intermediate));
    assert_eq!(
        (told(&findings.dane.unwrap()), told(&findings.pkix)),
        (String::new(), "certificate-host-mismatch".into())
    );
}

#[test]
fn pkix_constraints() {
    let good = pki(|_| {});
    let chain = [good.intermediate.clone()];
    for (usage, certificate) in [(0, &good.intermediate), (1, &good.leaf)] {
        let dane = |trusted: &[&CertificateDer<'static>], record| {
            found(&checks(trusted, vec![record]), &good.leaf, &chain).dane.unwrap()
        };
        assert_eq!(told(&dane(&[&good.root], record(certificate, usage, 1, 1))), "");
        assert_eq!(told(&dane(&[], record(certificate, usage, 1, 1))), "certificate-not-trusted (no-system-roots)");
        assert_eq!(told(&dane(&[&good.root], record(&good.root, usage, 1, 1))), "validation-failure (dane-no-match)");
    }
}

fn attempt(pkix: Enforcement, dane: Enforcement, records: Vec<Tlsa>) -> Attempt {
    let host = Host::Domain(domain(HOST));
    Attempt {
        channel: Channel::StartTls,
        server_name: host.clone(),
        pkix,
        pkix_name: host,
        dane: (!records.is_empty()).then(|| Records { enforcement: dane, records, names: vec![domain(HOST)] }),
        need: TlsNeed::Nothing,
        extension: RequireTlsExtension::NotNeeded,
        attribution: Vec::new(),
    }
}

/// A handshake in memory: whether it succeeded, and what was found.
fn handshake(attempt: &Attempt, roots: &[&CertificateDer<'static>], pki: &Pki) -> (bool, Findings) {
    let provider = Arc::new(default_provider());
    let roots = Arc::clone(&checks(roots, Vec::new()).roots);
    let verifier = Verifier::new(attempt, roots, Arc::clone(&provider));
    let seen = verifier.seen();
    let client =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let client = client.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(pki.key.serialize_der()).unwrap();
    let chain = vec![pki.leaf.clone(), pki.intermediate.clone()];
    let server = server.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let mut client =
        ClientConnection::new(Arc::new(client), domain(HOST).as_ascii().to_owned().try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut succeeded = true;
    for _ in 0..10 {
        let mut octets = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut octets).unwrap();
        }
        server.read_tls(&mut octets.as_slice()).unwrap();
        let _ = server.process_new_packets();
        let mut octets = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut octets).unwrap();
        }
        client.read_tls(&mut octets.as_slice()).unwrap();
        succeeded &= client.process_new_packets().is_ok();
    }
    (succeeded && !client.is_handshaking(), seen.findings().expect("a certificate came").clone())
}

#[test]
fn a_handshake_fails_only_where_what_fails_is_enforced() {
    use Enforcement::{Enforce, Record};
    let good = pki(|_| {});
    for (enforce_pkix, enforce_dane) in [(Enforce, Enforce), (Enforce, Record), (Record, Enforce), (Record, Record)] {
        for (is_trusted, matches_record) in [(true, true), (true, false), (false, true), (false, false)] {
            let wanted = record(if matches_record { &good.leaf } else { &good.root }, 3, 1, 1);
            let roots = if is_trusted { vec![&good.root] } else { Vec::new() };
            let attempt = attempt(enforce_pkix, enforce_dane, vec![wanted]);
            let (succeeded, findings) = handshake(&attempt, &roots, &good);
            let enforced = (enforce_pkix == Record || is_trusted) && (enforce_dane == Record || matches_record);
            assert_eq!(succeeded, enforced, "{enforce_pkix:?} {enforce_dane:?} {is_trusted} {matches_record}");
            assert_eq!((findings.pkix.is_ok(), findings.dane.unwrap().is_ok()), (is_trusted, matches_record));
        }
    }
}

/// For properties, which are tried often.
static ONE: LazyLock<Pki> = LazyLock::new(|| pki(|_| {}));

proptest! {
    #[test]
    fn any_octets_may_come(octets in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..600, with: u8) {
        let pki = &*ONE;
        let mut altered = pki.leaf.to_vec();
        if let Some(octet) = altered.get_mut(at) {
            *octet = with;
        }
        for leaf in [CertificateDer::from(octets), CertificateDer::from(altered)] {
            let record = record(&pki.intermediate, 2, 1, 1);
            let findings = found(&checks(&[&pki.root], vec![record]), &leaf, std::slice::from_ref(&pki.intermediate));
            if leaf != pki.leaf {
                prop_assert!(findings.pkix.is_err());
            }
        }
    }

    #[test]
    fn public_keys_are_found(octets in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = der::public_key_info(&octets);
        let pki = &*ONE;
        let cut = octets.len() * 5 % pki.leaf.len();
        prop_assert!(der::public_key_info(&pki.leaf[..cut]).is_none());
        let parsed = rustls::server::ParsedCertificate::try_from(&pki.leaf).unwrap();
        let info = parsed.subject_public_key_info();
        prop_assert_eq!(der::public_key_info(&pki.leaf), Some(info.as_ref()));
        for matching_type in 0..4 {
            prop_assert_eq!(record_for_key(&info, 3, matching_type), record_for(&pki.leaf, 3, 1, matching_type));
        }
    }
}
