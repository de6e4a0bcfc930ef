//! Streams end to end: TLS in place, deadlines that survive it, channel bindings, refusal of plaintext that
//! follows STARTTLS, choice of certificates.

use std::path::Path;
use std::time::Duration;

use mailstead_net::tls::{ClientTls, ServerTls, SessionTickets, TlsFacts, UnknownName, Verification};
use mailstead_net::{Authority, Error, Identity, Stream};
use mailstead_runtime::Deadline;
use mailstead_testkit::{Certificates, duplex};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn name(text: &str) -> ServerName<'static> {
    ServerName::try_from(text.to_owned()).unwrap()
}

fn opportunistic() -> ClientTls {
    ClientTls::new(Verification::Opportunistic).unwrap()
}

/// Both handshakes at once.
async fn handshake(
    server: &mut Stream,
    client: &mut Stream,
    tls: &ServerTls,
    trust: &ClientTls,
    asked: &str,
) -> (Result<TlsFacts, Error>, Result<TlsFacts, Error>) {
    let (ours, theirs) = tokio::join!(
        async {
            let done = server.start_tls(tls, b"", Deadline::NEVER).await.cloned();
            if done.is_err() {
                server.close(Deadline::NEVER).await;
            }
            done
        },
        client.connect_tls(trust, name(asked), b"", Deadline::after(Duration::from_secs(60))),
    );
    (ours, theirs.cloned())
}

#[tokio::test(start_paused = true)]
async fn starttls_in_place_with_the_same_channel_binding_on_both_sides() {
    let (mut server, mut client) = duplex();
    client.write_all(b"STARTTLS\r\n").await.unwrap();
    let mut line = [0; 10];
    server.read_exact(&mut line).await.unwrap();
    let tls = Certificates::server(&["mx.example.org"]);
    let trust = Certificates::trusting_client();
    let (ours, theirs) = handshake(&mut server, &mut client, &tls, &trust, "mx.example.org").await;
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(ours.version, "TLSv1.3");
    assert!(ours.cipher_suite.starts_with("TLS_AES_"), "{}", ours.cipher_suite);
    assert_eq!(ours.server_name.as_deref(), Some("mx.example.org"));
    assert!(ours.exporter.is_some());
    assert_eq!(ours.exporter, theirs.exporter);
    client.write_all(b"EHLO").await.unwrap();
    client.flush().await.unwrap();
    let mut word = [0; 4];
    server.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"EHLO");
    let again = server.start_tls(&tls, b"", Deadline::NEVER).await;
    assert!(matches!(again, Err(Error::AlreadyTls)));
}

/// Commands sent together with STARTTLS came in the clear: they are never seen by the session that
/// follows the handshake, because there is none.
#[tokio::test(start_paused = true)]
async fn plaintext_behind_starttls_is_refused() {
    let (mut server, mut client) = duplex();
    client.write_all(b"STARTTLS\r\nRSET\r\n").await.unwrap();
    let mut read = vec![0; 64];
    let got = server.read(&mut read).await.unwrap();
    let tls = Certificates::server(&["mx.example.org"]);
    let outcome = server.start_tls(&tls, &read[10..got], Deadline::NEVER).await;
    assert!(matches!(outcome, Err(Error::PlaintextAfterStartTls)));
}

/// The same when the command is still under way: the handshake reads it and fails.
#[tokio::test(start_paused = true)]
async fn plaintext_in_place_of_a_handshake_fails() {
    let (mut server, mut client) = duplex();
    client.write_all(b"RSET\r\nMAIL FROM:<>\r\n").await.unwrap();
    let tls = Certificates::server(&["mx.example.org"]);
    let outcome = server.start_tls(&tls, b"", Deadline::NEVER).await;
    assert!(matches!(outcome, Err(Error::Handshake(_))));
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
}

#[tokio::test(start_paused = true)]
async fn deadlines_survive_starttls() {
    let (mut server, mut client) = duplex();
    server.set_read_deadline(Deadline::after(Duration::from_secs(30)));
    let tls = Certificates::server(&["mx.example.org"]);
    let (ours, _) = handshake(&mut server, &mut client, &tls, &opportunistic(), "mx.example.org").await;
    ours.unwrap();
    let start = tokio::time::Instant::now();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 30);
    // A new deadline makes it usable again; writes were never bounded.
    server.write_all(b"421").await.unwrap();
    server.set_deadline(Deadline::NEVER);
    client.write_all(b"x").await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'x');
}

/// A peer that never lets us wait cannot stretch a deadline either.
#[tokio::test(start_paused = true)]
async fn deadlines_hold_for_talkative_peers() {
    let (mut server, mut client) = duplex();
    client.write_all(&[b'x'; 1000]).await.unwrap();
    server.set_deadline(Deadline::after(Duration::from_secs(30)));
    assert_eq!(server.read_u8().await.unwrap(), b'x');
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(server.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(server.write_all(b"y").await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_cannot_hold_a_handshake_open() {
    let (mut server, _client) = duplex();
    let tls = Certificates::server(&["mx.example.org"]);
    let outcome = server.start_tls(&tls, b"", Deadline::after(Duration::from_secs(60))).await;
    assert!(matches!(outcome, Err(Error::TimedOut)));
}

#[tokio::test(start_paused = true)]
async fn the_name_chooses_the_certificate() {
    let identities = [Certificates::identity(&["mx.example.org"]), Certificates::identity(&["*.example.net"])];
    let trust = Certificates::trusting_client();
    for (unknown, asked, works) in [
        (UnknownName::Fallback, "mx.example.org", true),
        (UnknownName::Fallback, "MX.Example.Org", true),
        (UnknownName::Refuse, "a.example.net", true),
        (UnknownName::Refuse, "a.b.example.net", false),
        (UnknownName::Refuse, "other.example", false),
    ] {
        let tls = ServerTls::new(&identities, SessionTickets::On, unknown).unwrap();
        let (mut server, mut client) = duplex();
        let (ours, theirs) = handshake(&mut server, &mut client, &tls, &trust, asked).await;
        assert_eq!((ours.is_ok(), theirs.is_ok()), (works, works), "{asked}");
    }
    // A certificate is also for the names that are in it.
    let mut several = Certificates::identity(&["mail.example.org", "imap.example.org", "*.pop.example.org"]);
    several.names = vec!["mail.example.org".to_owned()];
    let identities = [Certificates::identity(&["mx.example.org"]), several];
    for (asked, works) in [("imap.example.org", true), ("a.pop.example.org", true), ("pop.example.org", false)] {
        let tls = ServerTls::new(&identities, SessionTickets::On, UnknownName::Refuse).unwrap();
        let (mut server, mut client) = duplex();
        let (ours, theirs) = handshake(&mut server, &mut client, &tls, &trust, asked).await;
        assert_eq!((ours.is_ok(), theirs.is_ok()), (works, works), "{asked}");
    }
    // On port 25 an unknown name gets the first certificate, and who does not verify is content.
    let tls = ServerTls::new(&identities, SessionTickets::Off, UnknownName::Fallback).unwrap();
    let (mut server, mut client) = duplex();
    let (ours, theirs) = handshake(&mut server, &mut client, &tls, &opportunistic(), "other.example").await;
    assert!(ours.is_ok() && theirs.is_ok());
    let (mut server, mut client) = duplex();
    let (_, theirs) = handshake(&mut server, &mut client, &tls, &trust, "other.example").await;
    assert!(matches!(theirs, Err(Error::Handshake(_))), "who verifies is not");
}

#[tokio::test(start_paused = true)]
async fn certificates_are_replaced_for_new_handshakes() {
    let trust = Certificates::trusting_client();
    let tls = Certificates::server(&["old.example.org"]);
    let clone = tls.with_alpn(&["smtp"]);
    clone.replace(&[Certificates::identity(&["new.example.org"])]).unwrap();
    assert!(clone.replace(&[]).is_err(), "and then nothing changes");
    for (tls, asked, works) in [(&tls, "new.example.org", true), (&clone, "old.example.org", false)] {
        let (mut server, mut client) = duplex();
        let (_, theirs) = handshake(&mut server, &mut client, tls, &trust, asked).await;
        assert_eq!(theirs.is_ok(), works, "{asked}");
    }
}

/// What an operator reads whose files are wrong.
#[test]
fn unusable_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key, empty) =
        (folder.path().join("c.pem"), folder.path().join("k.pem"), folder.path().join("e.pem"));
    let issue = || {
        let authority = Authority::generate("test", jiff::Timestamp::now()).unwrap();
        authority.issue(&["mx.example.org"], &[], jiff::Timestamp::now()).unwrap()
    };
    std::fs::write(&certificate, issue().certificate_pem).unwrap();
    std::fs::write(&key, issue().key_pem).unwrap();
    std::fs::write(&empty, "").unwrap();
    let message = |certificate: &Path, key: &Path| {
        let identity = Identity::from_files(certificate, key, vec!["mx.example.org".into()]);
        let tls = identity.and_then(|identity| ServerTls::new(&[identity], SessionTickets::Off, UnknownName::Refuse));
        tls.unwrap_err().to_string().replace(&folder.path().display().to_string(), "")
    };
    let mismatch = "the certificate for mx.example.org cannot be used: the private key belongs to another certificate";
    assert_eq!(message(&certificate, &key), mismatch);
    let none = "cannot read the private key /e.pem: there is no private key in it (PEM is expected)";
    assert_eq!(message(&certificate, &empty), none);
    let none = "cannot read the certificate /e.pem: there is no certificate in it (PEM is expected)";
    assert_eq!(message(&empty, &key), none);
    let missing = message(&folder.path().join("x.pem"), &key);
    assert!(missing.starts_with("cannot read the certificate /x.pem: No such file"), "{missing}");
    assert!(ServerTls::new(&[issue().identity], SessionTickets::Off, UnknownName::Refuse).is_ok());
}
