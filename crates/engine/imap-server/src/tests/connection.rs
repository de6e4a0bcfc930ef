//! Greeting, TLS, login, ID, ENABLE, limits and the end.

use std::sync::{Arc, Mutex};

use mailstead_login::PlaintextLogin;
use mailstead_net::tls::{ClientTls, ServerTls};
use mailstead_runtime::Deadline;
use mailstead_store::{ImapPreauth, TlsKey};
use mailstead_testkit::Certificates;

use super::{Client, PASSWORD, Scene, scene};
use crate::Security;

fn tls() -> (Security, ClientTls) {
    (Security::StartTls(Certificates::server(&["mail.example.org"])), Certificates::trusting_client())
}

#[tokio::test]
async fn nobody_logs_in_without_tls() {
    let scene = scene().await;
    scene.set_password().await;
    let (security, trust) = tls();
    let mut client = scene.connect(security, PlaintextLogin::Refused);
    let greeting = client.line().await;
    assert!(greeting.contains(" STARTTLS LOGINDISABLED]"), "{greeting}");
    client
        .play(&format!(
            "
        C: a LOGIN jane@example.org \"{PASSWORD}\"
        S: a NO [PRIVACYREQUIRED] ~
        C: b AUTHENTICATE PLAIN
        S: b NO [PRIVACYREQUIRED] ~
        C: c SELECT Inbox
        S: c BAD ~
        C: d STARTTLS
        S: d OK ~"
        ))
        .await;
    handshake(&mut client, &trust).await;
    let capabilities = client.ask("CAPABILITY").await;
    assert!(!capabilities.contains("STARTTLS") && !capabilities.contains("LOGINDISABLED"), "{capabilities}");
    assert!(capabilities.contains("AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=PLAIN"), "{capabilities}");
    assert!(!capabilities.contains("AUTH=LOGIN"), "{capabilities}");
    client
        .play(&format!(
            "
        C: e STARTTLS
        S: e BAD ~
        C: f LOGIN jane@example.org \"wrong\"
        S: f NO [AUTHENTICATIONFAILED] ~
        C: g LOGIN jane@example.org \"{PASSWORD}\"
        S: g OK [CAPABILITY IMAP4rev2 ~
        C: h LOGIN jane@example.org \"{PASSWORD}\"
        S: h BAD ~
        C: i SELECT Inbox
        S: ~
        S: i OK ~
        C: j LOGOUT
        S: * BYE ~
        S: j OK ~
        S: <closed>"
        ))
        .await;
    scene.check().await;
}

/// A client that holds a key of jane's.
async fn key_of_jane(scene: &Scene, imap_preauth: ImapPreauth) -> ClientTls {
    let (client, fingerprint) = Certificates::client_with_key();
    let key = TlsKey {
        fingerprint,
        account: scene.jane.id(),
        login: "jane@example.org".into(),
        name: String::new(),
        kind: "ecdsa-p256".into(),
        imap_preauth,
        spki: Vec::new(),
        added: "2026-01-15T12:00:00Z".parse().expect("a time"),
    };
    scene.store.tls_keys().add(key).await.expect("kept");
    client
}

/// Where clients are asked for certificates.
fn asking() -> ServerTls {
    Certificates::server(&["mail.example.org"]).with_client_certificates().expect("a configuration")
}

async fn handshake(client: &mut Client, trust: &ClientTls) {
    let name = "mail.example.org".try_into().expect("a name");
    client.stream.connect_tls(trust, name, &[], Deadline::NEVER).await.expect("a handshake");
}

/// RFC 9051 §7.1.4: a key is enough where nothing was ever sent in the clear.
#[tokio::test]
async fn a_key_logs_in_before_the_greeting_over_implicit_tls() {
    let scene = scene().await;
    let known = key_of_jane(&scene, ImapPreauth::Allowed).await;
    let mut client = scene.connect(Security::Implicit(asking()), PlaintextLogin::Refused);
    handshake(&mut client, &known).await;
    let greeting = client.line().await;
    assert!(greeting.starts_with("* PREAUTH [CAPABILITY IMAP4rev2 ") && !greeting.contains("AUTH="), "{greeting}");
    client
        .play(
            "
        C: a AUTHENTICATE EXTERNAL =
        S: a BAD already logged in
        C: b SELECT Inbox
        S: ~
        S: b OK ~",
        )
        .await;
    // A key that is nobody's is no reason to refuse anybody, nor to let them in.
    let (unknown, _) = Certificates::client_with_key();
    for trust in [unknown, Certificates::trusting_client()] {
        let mut client = scene.connect(Security::Implicit(asking()), PlaintextLogin::Refused);
        handshake(&mut client, &trust).await;
        let greeting = client.line().await;
        assert!(greeting.starts_with("* OK [CAPABILITY ") && !greeting.contains("EXTERNAL"), "{greeting}");
        client
            .play(
                "
            C: a AUTHENTICATE EXTERNAL =
            S: a NO [AUTHENTICATIONFAILED] no certificate with a known key was shown
            C: b SELECT Inbox
            S: b BAD log in first",
            )
            .await;
    }
    scene.check().await;
}

/// A page somewhere can make a browser send lines to us that its user never wrote, and the browser may show a certificate.
#[tokio::test]
async fn a_browser_that_shows_a_key_gets_nothing_done() {
    let scene = scene().await;
    let known = key_of_jane(&scene, ImapPreauth::Allowed).await;
    for method in ["GET", "POST", "PUT"] {
        let mut client = scene.connect(Security::Implicit(asking()), PlaintextLogin::Refused);
        handshake(&mut client, &known).await;
        assert!(client.line().await.starts_with("* PREAUTH "));
        client
            .send(format!("{method} / HTTP/1.1\r\nHost: mail.example.org\r\n\r\na DELETE Archive\r\n").as_bytes())
            .await;
        client
            .play(
                "
            S: ~
            S: * BYE ~
            S: <closed>",
            )
            .await;
    }
    assert!(scene.jane.read(|read| read.mailbox_by_name("Archive")).await.expect("read").is_some());
    scene.check().await;
}

#[tokio::test]
async fn a_key_that_is_not_to_log_in_by_itself_waits_for_external() {
    let scene = scene().await;
    let known = key_of_jane(&scene, ImapPreauth::Refused).await;
    let mut client = scene.connect(Security::Implicit(asking()), PlaintextLogin::Refused);
    handshake(&mut client, &known).await;
    let greeting = client.line().await;
    assert!(greeting.contains(" AUTH=EXTERNAL AUTH=SCRAM-SHA-256-PLUS "), "{greeting}");
    client
        .play(
            "
        C: a AUTHENTICATE EXTERNAL am9lQGV4YW1wbGUub3Jn
        S: a NO [AUTHORIZATIONFAILED] ~
        C: b AUTHENTICATE EXTERNAL =
        S: b OK [CAPABILITY ~",
        )
        .await;
    scene.check().await;
}

/// A greeting in the clear could be anybody's: with STARTTLS there is never a PREAUTH.
#[tokio::test]
async fn after_starttls_a_key_is_announced_and_has_to_be_used() {
    let scene = scene().await;
    let known = key_of_jane(&scene, ImapPreauth::Allowed).await;
    let mut client = scene.connect(Security::StartTls(asking()), PlaintextLogin::Refused);
    assert!(client.line().await.starts_with("* OK "));
    client
        .play(
            "
        C: a AUTHENTICATE EXTERNAL =
        S: a NO [PRIVACYREQUIRED] ~
        C: b STARTTLS
        S: b OK ~",
        )
        .await;
    handshake(&mut client, &known).await;
    let capabilities = client.ask("CAPABILITY").await;
    assert!(capabilities.contains(" AUTH=EXTERNAL "), "{capabilities}");
    client
        .play(
            "
        C: c SELECT Inbox
        S: c BAD log in first
        C: d AUTHENTICATE EXTERNAL
        S: +~
        C: amFuZUBleGFtcGxlLm9yZw==
        S: d OK ~",
        )
        .await;
    scene.check().await;
}

/// What was sent in the clear after STARTTLS is never obeyed (RFC 9051 §6.2.1).
#[tokio::test]
async fn plaintext_after_starttls_ends_the_connection() {
    let scene = scene().await;
    let mut client = scene.connect(tls().0, PlaintextLogin::Refused);
    client.line().await;
    client.send(b"a STARTTLS\r\nb NOOP\r\n").await;
    assert!(client.line().await.starts_with("a OK"));
    assert_eq!(client.line().await, "<closed>");
    scene.check().await;
}

#[tokio::test]
async fn authenticate_plain_with_and_without_initial_response() {
    let scene = scene().await;
    scene.set_password().await;
    // "\0jane@example.org\0correct horse"
    let plain = "AGphbmVAZXhhbXBsZS5vcmcAY29ycmVjdCBob3JzZQ==";
    for script in [
        format!("C: a AUTHENTICATE PLAIN {plain}\nS: a OK [CAPABILITY ~"),
        format!("C: a AUTHENTICATE PLAIN\nS: +~\nC: {plain}\nS: a OK ~"),
        format!("C: a AUTHENTICATE PLAIN\nS: +~\nC: *\nS: a BAD ~\nC: b AUTHENTICATE PLAIN {plain}\nS: b OK ~"),
        format!("C: a AUTHENTICATE PLAIN ****\nS: a BAD ~\nC: b AUTHENTICATE PLAIN {plain}\nS: b OK ~"),
        "C: a AUTHENTICATE LOGIN\nS: a NO [CANNOT] ~".to_owned(),
        "C: a AUTHENTICATE SCRAM-SHA-256-PLUS\nS: a NO [CANNOT] ~".to_owned(),
    ] {
        let mut client = scene.connect(Security::Cleartext, PlaintextLogin::Allowed);
        client.line().await;
        client.play(&script).await;
    }
    scene.check().await;
}

#[tokio::test]
async fn long_ids_and_odd_values_are_answered() {
    let scene = scene().await;
    let mut client = scene.connect(Security::Cleartext, PlaintextLogin::Allowed);
    client.line().await;
    client
        .play(
            "
        C: a ID NIL
        S: * ID (\"name\" \"Mailstead\")
        S: a OK ~",
        )
        .await;
    let long = "x".repeat(3000);
    let answer = client.ask(&format!("ID (\"name\" \"{long}\" \"version\" NIL \"odd {long}\" \"\")")).await;
    assert!(answer.contains("OK"), "{answer}");
    scene.check().await;
}

#[tokio::test]
async fn enable_names_what_it_enables() {
    let scene = scene().await;
    scene
        .session()
        .await
        .play(
            "
        C: a ENABLE FOO QRESYNC imap4rev2 CONDSTORE
        S: * ENABLED QRESYNC IMAP4rev2 CONDSTORE
        S: a OK ~
        C: b ENABLE X-NONE
        S: * ENABLED
        S: b OK ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn others_than_imap_clients_are_shown_the_door() {
    let scene = scene().await;
    let mut client = scene.connect(Security::Cleartext, PlaintextLogin::Allowed);
    client.line().await;
    client
        .play(
            "
        C: GET / HTTP/1.1
        S: ~
        S: * BYE ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn mistakes_are_answered_and_the_session_goes_on() {
    let scene = scene().await;
    scene
        .session()
        .await
        .play(
            "
        C: a FROBNICATE
        S: a BAD ~
        C: b SELECT
        S: b BAD ~
        C: c NOOP
        S: c OK ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn a_stop_says_goodbye() {
    let scene = scene().await;
    let mut waiting = scene.session().await;
    let mut idling = scene.selected("Inbox").await;
    idling.send(b"a IDLE\r\n").await;
    assert_eq!(idling.line().await, "+ idling");
    scene.shutdown.begin();
    assert!(waiting.line().await.starts_with("* BYE "));
    assert!(idling.line().await.starts_with("* BYE "));
    scene.check().await;
}

#[tokio::test]
async fn idle_tells_at_once() {
    let scene = scene().await;
    scene.fill(1).await;
    let mut client = scene.selected("Inbox").await;
    client
        .play(
            "
        C: a IDLE
        S: + idling",
        )
        .await;
    scene.fill(1).await;
    client
        .play(
            "
        S: * 2 EXISTS
        S: * 2 RECENT",
        )
        .await;
    let mut other = scene.selected("Inbox").await;
    other.ask("STORE 1 +FLAGS (\\Deleted)").await;
    client.play("S: * 1 FETCH (UID 1 FLAGS (\\Recent \\Deleted))").await;
    other.ask("EXPUNGE").await;
    client
        .play(
            "
        S: * 1 EXPUNGE
        C: DONE
        S: a OK ~",
        )
        .await;
    scene.check().await;
}

/// Commands sent without waiting are run in their order, also when they come in pieces.
#[tokio::test]
async fn pipelined_commands_run_in_order() {
    let scene = scene().await;
    scene.fill(3).await;
    let script = b"a SELECT Inbox\r\nb UID SEARCH RETURN (SAVE) SUBJECT {2+}\r\nm2\r\nc STORE $ +FLAGS (\\Deleted)\r\nd EXPUNGE\r\n\
        e FETCH 1:* UID\r\nf LOGOUT\r\n";
    for piece in [script.len(), 1, 7] {
        let mut client = scene.session().await;
        for octets in script.chunks(piece) {
            client.send(octets).await;
        }
        client
            .play(
                r"
            S: ~
            S: a OK ~
            S: b OK ~
            S: ~
            S: c OK ~
            S: ~
            S: d OK ~
            S: * 1 FETCH (UID 1)
            S: * 2 FETCH (UID 3)
            S: e OK ~
            S: * BYE ~
            S: f OK ~
            S: <closed>",
            )
            .await;
    }
    scene.check().await;
}

/// Before login the server waits half a minute; after it, as long as RFC 9051 §5.4 demands.
#[tokio::test]
async fn silence_ends_a_session() {
    let scene = scene().await;
    let mut stranger = scene.connect(Security::Cleartext, PlaintextLogin::Allowed);
    stranger.line().await;
    let mut jane = scene.session().await;
    let mut idling = scene.selected("Inbox").await;
    idling.send(b"a IDLE\r\n").await;
    assert_eq!(idling.line().await, "+ idling");
    // The clocks of the three have been running for a moment already.
    let start = tokio::time::Instant::now() - std::time::Duration::from_secs(5);
    tokio::time::pause();
    assert!(stranger.patient_line().await.starts_with("* BYE "));
    assert!((30..36).contains(&start.elapsed().as_secs()));
    for session in [&mut jane, &mut idling] {
        assert!(session.patient_line().await.starts_with("* BYE "));
        assert!(start.elapsed().as_secs() >= 30 * 60);
    }
}

/// At the most talkative level, too: neither credentials nor mail.
#[tokio::test]
async fn nothing_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    // For the whole process: what other tests say at the same time must hold no secrets either.
    tracing::subscriber::set_global_default(subscriber.finish()).expect("no other test wants it");
    let scene = scene().await;
    scene.set_password().await;
    let plain = "AGphbmVAZXhhbXBsZS5vcmcAY29ycmVjdCBob3JzZQ==";
    for login in [format!("AUTHENTICATE PLAIN {plain}"), format!("LOGIN jane@example.org \"{PASSWORD}\"")] {
        let mut client = scene.connect(Security::Cleartext, PlaintextLogin::Allowed);
        client.line().await;
        assert!(client.ask(&login).await.starts_with("OK"));
        client.ask("APPEND Inbox {15+}\r\nSubject: secret\r\n").await;
        client.ask("SELECT Inbox").await;
        client.ask("FETCH 1 BODY[]").await;
        client.ask("LOGOUT").await;
    }
    let log = String::from_utf8_lossy(&log.0.lock().expect("not poisoned")).into_owned();
    assert!(log.contains("Fetch") && log.contains("jane@example.org"), "{log}");
    for secret in [PASSWORD, plain, "Subject: secret"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// Where a test's log goes.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
