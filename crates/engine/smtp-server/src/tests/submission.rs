//! Ports 587 and 465.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailstead_names::{ForwardPath, ReversePath};
use mailstead_queue::{LocalDelivery as _, LocalMessage, LocalRecipient};
use mailstead_sasl::{ChannelBinding, Mechanism, Nonce, PlusOffered, client};
use mailstead_store::{DeliveryId, ImapPreauth, TlsKey};

use super::*;

const MESSAGE: &str =
    "From: Jane <jane@example.org>\r\nMessage-ID: <1@example.org>\r\nDate: Thu, 15 Jan 2026 11:00:00 +0000\r\n\r\nbody";

/// The offer of an EHLO reply.
fn offered(extensions: &[String]) -> Option<&str> {
    extensions.iter().find_map(|extension| extension.strip_prefix("AUTH "))
}

#[tokio::test(start_paused = true)]
async fn mechanisms_depend_on_the_channel() {
    let scene = Scene::new().await;
    let mut bound = scene.submissions().await;
    assert_eq!(offered(&bound.ehlo().await), Some("SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"));
    let mut clear = scene.cleartext().await;
    assert_eq!(offered(&clear.ehlo().await), Some("SCRAM-SHA-256 PLAIN LOGIN"));
    let mut client = scene.connect(Endpoint::new(Role::Submission, Security::StartTls(scene.tls.clone()))).await;
    let before = client.ehlo().await;
    assert_eq!(offered(&before), None, "no AUTH line at all");
    client
        .play(
            "C: AUTH PLAIN AGEAYg==
            S: 538 5.7.11 encryption required for authentication
            C: AUTH WHATEVER
            S: 504 5.5.4 mechanism not supported
            C: STARTTLS
            S: 220 2.0.0 ready for TLS",
        )
        .await;
    client.handshake().await;
    client.play("C: AUTH PLAIN AGEAYg==\nS: 503 5.5.1 say EHLO first").await;
    assert!(offered(&client.ehlo().await).is_some());
    let mut inbound = scene.inbound().await;
    assert_eq!(offered(&inbound.ehlo().await), None);
    inbound.play("C: AUTH PLAIN\nS: 503 5.5.1 authentication is for submission").await;
}

#[tokio::test(start_paused = true)]
async fn logins_that_fail() {
    let scene = Setting { passwords: &["jane", "off"], ..Setting::new() }.build().await;
    let plain = |message: &str| format!("AUTH PLAIN {}", BASE64.encode(message));
    for (command, answer) in [
        (plain("\0jane\0wrong"), "535 5.7.8 bad user name or password"),
        (plain("\0nobody\0wrong"), "535 5.7.8 bad user name or password"),
        (plain(&format!("joe\0jane\0{PASSWORD}")), "535 5.7.8 cannot assume other role"),
        (plain(&format!("\0off\0{PASSWORD}")), "525 5.7.13 login disabled: ask the desk"),
        ("AUTH PLAIN *".to_owned(), "501 5.5.2 initial response is not base64"),
        ("AUTH GSSAPI".to_owned(), "504 5.5.4 mechanism not supported"),
        ("AUTH SCRAM-SHA-256-PLUS".to_owned(), "504 5.5.4 mechanism not supported"),
    ] {
        let mut client = scene.cleartext().await;
        client.ehlo().await;
        client.play(&format!("C: {command}\nS: {answer}\nC: MAIL FROM:<>\nS: 530 5.7.0 authentication required")).await;
    }
    let mut client = scene.cleartext().await;
    client.ehlo().await;
    client
        .play(
            "C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: *
            S: 501 5.5.0 authentication aborted
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: amFuZQ==
            S: 334 UGFzc3dvcmQ6
            C: d3Jvbmc=
            S: 535 5.7.8 bad user name or password",
        )
        .await;
    client.say(&format!("{}\r\n", plain("\0jane"))).await;
    assert!(client.line().await.unwrap().starts_with("501 5.5.4 malformed message: "));
}

/// A key of jane's, and a client that holds it.
async fn key_of_jane(scene: &Scene) -> ClientTls {
    let (client, fingerprint) = Certificates::client_with_key();
    let key = TlsKey {
        fingerprint,
        account: scene.account("jane").await.id(),
        login: "jane@example.org".into(),
        name: String::new(),
        kind: "ecdsa-p256".into(),
        imap_preauth: ImapPreauth::Allowed,
        spki: Vec::new(),
        added: "2026-01-15T12:00:00Z".parse().unwrap(),
    };
    scene.store.tls_keys().add(key).await.unwrap();
    client
}

#[tokio::test(start_paused = true)]
async fn certificates_log_in_by_their_key() {
    let scene = Scene::new().await;
    let known = key_of_jane(&scene).await;
    let (unknown, _) = Certificates::client_with_key();
    let tls = scene.tls.with_client_certificates().unwrap();
    let submission = |security| Endpoint::new(Role::Submission, security);
    let mut client = scene.connect(submission(Security::StartTls(tls.clone()))).await;
    client.ehlo().await;
    client
        .play(
            "C: AUTH EXTERNAL =
            S: 538 5.7.11 encryption required for authentication
            C: STARTTLS
            S: 220 2.0.0 ready for TLS",
        )
        .await;
    client.handshake_as(&known).await;
    let announced = client.ehlo().await;
    assert_eq!(offered(&announced), Some("EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"));
    client
        .play(
            "C: AUTH EXTERNAL am9lQGV4YW1wbGUub3Jn
            S: 535 5.7.8 cannot assume other role",
        )
        .await;
    client.say("AUTH EXTERNAL\r\n").await;
    assert_eq!(client.reply().await, ["334 "]);
    client.play("C: amFuZUBleGFtcGxlLm9yZw==\nS: 235 2.7.0 welcome").await;
    assert_eq!(client.send("jane@example.org", &["joe@example.org"], MESSAGE).await, "250 2.0.0 it is queued");

    // From the first octet; with a key that is nobody's; with none.
    for (shown, answer) in [
        (Some(known.clone()), "235 2.7.0 welcome"),
        (Some(unknown), "535 5.7.8 no certificate with a known key was shown"),
        (None, "535 5.7.8 no certificate with a known key was shown"),
    ] {
        let mut client = scene.open(submission(Security::Implicit(tls.clone())), None);
        client.handshake_as(&shown.unwrap_or_else(Certificates::trusting_client)).await;
        client.hear("220 mx.example.org ESMTP Mailstead").await;
        let is_known = answer.starts_with("235");
        assert_eq!(offered(&client.ehlo().await).unwrap().starts_with("EXTERNAL "), is_known);
        client.play(&format!("C: AUTH EXTERNAL =\nS: {answer}")).await;
    }
    // Where nobody is asked for a certificate, nobody has one.
    let mut client = scene.open(submission(Security::Implicit(scene.tls.clone())), None);
    client.handshake_as(&known).await;
    client.hear("220 mx.example.org ESMTP Mailstead").await;
    assert!(!offered(&client.ehlo().await).unwrap().contains("EXTERNAL"));
}

#[tokio::test(start_paused = true)]
async fn guessers_become_slow_and_then_unwelcome() {
    let scene = Scene::for_submission().await;
    let mut client = scene.cleartext().await;
    client.ehlo().await;
    let guess = format!("AUTH PLAIN {}", BASE64.encode("\0jane\0wrong"));
    for _ in 0..3 {
        client.play(&format!("C: {guess}\nS: 535 5.7.8 bad user name or password")).await;
    }
    let before = tokio::time::Instant::now();
    client.play("C: NOOP\nS: 250 2.0.0 ok").await;
    assert!(before.elapsed().as_secs() > 10, "an octet a second");
    client.login("jane").await;
    let before = tokio::time::Instant::now();
    client.play("C: NOOP\nS: 250 2.0.0 ok").await;
    assert!(before.elapsed().as_secs() <= 1, "a success ends it");
    for _ in 0..10 {
        scene.failures.failed("192.0.2.7".parse().unwrap());
    }
    let mut refused = scene.open(Endpoint::new(Role::Submission, Security::Cleartext), None);
    refused.hear("421 4.7.0 too many failed authentications from your network").await;
    refused.closed().await;
    // Mail from other servers of that network is another matter.
    scene.inbound().await.play("C: NOOP\nS: 250 2.0.0 ok").await;
}

/// Runs a SCRAM exchange; gives the final reply.
async fn scram(connection: &mut Client, mechanism: Mechanism, binding: Option<[u8; 32]>, username: &str) -> String {
    let credentials =
        client::Credentials { authzid: None, authcid: username.into(), password: Secret::new(PASSWORD.into()) };
    let options = client::Options {
        channel_binding: binding.map(ChannelBinding::tls_exporter),
        plus: PlusOffered::Offered,
        nonce: Nonce::from_random([3; 18]),
    };
    let mut exchange = client::Exchange::new(mechanism, credentials, options);
    let initial = exchange.start().unwrap().unwrap_or_default();
    connection.say(&format!("AUTH {mechanism} {}\r\n", BASE64.encode(initial))).await;
    loop {
        let reply = connection.reply().await.remove(0);
        let Some(challenge) = reply.strip_prefix("334 ") else { return reply };
        let response = exchange.step(&BASE64.decode(challenge).unwrap()).unwrap_or_default();
        connection.say(&format!("{}\r\n", BASE64.encode(response))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn scram_binds_to_the_channel() {
    let scene = Scene::for_submission().await;
    for (mechanism, break_binding, username, answer) in [
        (Mechanism::ScramSha256Plus, false, "jane", "235 2.7.0 welcome"),
        (Mechanism::ScramSha256Plus, true, "jane", "535 5.7.7 channel bindings do not match, potential mitm"),
        (Mechanism::ScramSha256Plus, false, "nobody", "535 5.7.8 bad user name or password"),
    ] {
        let mut client = scene.submissions().await;
        client.ehlo().await;
        let mut binding = client.stream.tls().unwrap().exporter.unwrap();
        binding[0] ^= u8::from(break_binding);
        assert_eq!(scram(&mut client, mechanism, Some(binding), username).await, answer);
    }
    let mut client = scene.cleartext().await;
    client.ehlo().await;
    assert_eq!(scram(&mut client, Mechanism::ScramSha256, None, "jane@example.org").await, "235 2.7.0 welcome");
}

/// A session of jane.
async fn jane(scene: &Scene) -> Client {
    let mut client = scene.submissions().await;
    client.ehlo().await;
    client.login("jane@example.org").await;
    client
}

#[tokio::test(start_paused = true)]
async fn submitted_mail_is_queued_with_its_trace() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    let recipients = ["joe@example.org", "you@elsewhere.example"];
    assert_eq!(client.send("jane@example.org", &recipients, MESSAGE).await, "250 2.0.0 it is queued");
    let queued = scene.queued().await;
    assert_eq!(queued.iter().map(|queued| queued.row.recipient.to_string()).collect::<Vec<_>>(), recipients);
    assert_eq!(queued[0].row.submitter, Some(scene.account("jane").await.id()));
    let message = queued[0].message.replace("\r\n ", " ");
    let results = "Authentication-Results: mx.example.org; auth=pass smtp.mailfrom=jane@example.org\r\n";
    assert!(message.starts_with(results), "{message}");
    assert!(message.contains("Received: from mx.example.org by mx.example.org with ESMTPSA (TLSv1.3 "), "{message}");
    assert!(message.ends_with(&format!("\r\n{MESSAGE}\r\n")), "{message}");
    assert!(!message.contains("192.0.2.7") && !message.contains("client.example"), "where the user is: {message}");
    assert!(!message.contains(" for <"), "{message}");
    assert!(scene.inbox("joe").await.is_empty(), "local mail goes through the queue too");
}

#[tokio::test(start_paused = true)]
async fn missing_fields_are_added() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    let message = "From: jane@example.org\r\nSubject: hi\r\n\r\nbody";
    assert_eq!(client.send("", &["joe@example.org"], message).await, "250 2.0.0 it is queued");
    let queued = &scene.queued().await[0].message;
    assert!(queued.contains("\r\nDate: Thu, 15 Jan 2026 "), "{queued}");
    let id = queued.split("\r\nMessage-ID: <").nth(1).unwrap().split('>').next().unwrap();
    assert!(id.len() > 32 && id.ends_with("@example.org"), "{id}");
    assert!(queued.starts_with("Authentication-Results: mx.example.org; auth=pass\r\n"), "{queued}");
}

#[tokio::test(start_paused = true)]
async fn authors_must_be_themselves() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    for (sender, answer) in [
        ("joe@example.org", "550 5.7.1 must match authenticated user"),
        ("jane@elsewhere.example", "550 5.7.1 must match authenticated user"),
        ("jane@[192.0.2.25]", "550 5.7.1 must match authenticated user"),
    ] {
        client.play(&format!("C: MAIL FROM:<{sender}>\nS: {answer}")).await;
    }
    let two = "From: jane@example.org, joe@example.org\r\n\r\nbody";
    for (message, answer) in [
        ("From: joe@example.org\r\n\r\nbody", "550 5.7.1 From address must belong to authenticated user"),
        (two, "550 5.6.0 message needs exactly one address in its From header"),
        ("Subject: hi\r\n\r\nbody", "550 5.6.0 message needs exactly one address in its From header"),
        ("From: jane@example.org", "554 5.6.0 message needs an empty line between header and body"),
        ("From: jane+x@example.org\r\n\r\nbody", "250 2.0.0 it is queued"),
    ] {
        assert_eq!(client.send("jane@example.org", &["joe@example.org"], message).await, answer);
    }
    assert_eq!(scene.queued().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn recipients_of_ours_must_exist() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    client
        .play(
            "C: MAIL FROM:<jane@example.org>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<nobody@example.org>
            S: 550 5.1.1 no such user
            C: RCPT TO:<anybody@elsewhere.example>
            S: 250 2.1.5 recipient ok",
        )
        .await;
    let answer = {
        client.play("C: RSET\nS: 250 2.0.0 ok").await;
        client.send("jane@example.org", &["postmaster"], MESSAGE).await
    };
    assert_eq!(answer, "250 2.0.0 it is queued");
    assert_eq!(scene.queued().await[0].row.recipient.to_string(), "postmaster@mx.example.org");
}

#[tokio::test(start_paused = true)]
async fn a_wish_about_tls_is_kept() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    for header in ["", "TLS-Required: No\r\n"] {
        let message = format!("{header}{MESSAGE}");
        assert_eq!(client.send("jane@example.org", &["joe@example.org"], &message).await, "250 2.0.0 it is queued");
    }
    let demands = scene.queued().await.into_iter().map(|queued| String::from_utf8(queued.row.demand.octets).unwrap());
    let wishes: Vec<bool> = demands.map(|demand| demand.contains("tls-required-no")).collect();
    assert_eq!(wishes, [false, true]);
}

/// RFC 6531 §3.4: what counts is what the message needs. Recipients are looked at one by one, where it goes out.
#[tokio::test(start_paused = true)]
async fn smtputf8_that_was_declared_in_vain_is_forgotten() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    let international = format!("Subject: grüß\r\n{MESSAGE}");
    let plain = MESSAGE.to_owned();
    let inside = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n{}\r\n--b\r\nX: grüß\r\n\r\nx\r\n--b--",
        MESSAGE.strip_suffix("body").unwrap()
    );
    let eight_bit = format!("{MESSAGE} grüß");
    let mut expected = Vec::new();
    for (message, recipients, needs) in [
        (&plain, &["a@elsewhere.example"][..], (false, false)),
        (&plain, &["a@elsewhere.example", "jörg@elsewhere.example"], (false, false)),
        (&plain, &["a@grün.example", "b@grün.example"], (false, false)),
        (&eight_bit, &["a@elsewhere.example"], (false, true)),
        (&international, &["a@elsewhere.example"], (true, true)),
        (&inside, &["a@elsewhere.example"], (true, true)),
        // It is named in our Received field.
        (&plain, &["jörg@elsewhere.example"], (true, true)),
    ] {
        client.say("MAIL FROM:<jane@example.org> SMTPUTF8 BODY=8BITMIME\r\n").await;
        client.hear("250 2.1.0 sender ok").await;
        for recipient in recipients {
            client.play(&format!("C: RCPT TO:<{recipient}>\nS: 250 2.1.5 recipient ok")).await;
        }
        client.play("C: DATA\nS: 354 send the message, end with a dot on a line").await;
        client.say(&format!("{message}\r\n.\r\n")).await;
        client.hear("250 2.0.0 it is queued").await;
        expected.extend(recipients.iter().map(|_| needs));
    }
    let queued = scene.queued().await;
    let needs: Vec<(bool, bool)> = queued.iter().map(|queued| (queued.row.smtputf8, queued.row.eight_bit)).collect();
    assert_eq!(needs, expected);
}

#[tokio::test(start_paused = true)]
async fn accounts_have_an_allowance() {
    let mut setting = Setting { passwords: &["jane"], ..Setting::new() };
    setting.settings.submissions_per_day = 1;
    let scene = setting.build().await;
    let mut client = jane(&scene).await;
    assert_eq!(client.send("jane@example.org", &["joe@example.org"], MESSAGE).await, "250 2.0.0 it is queued");
    let answer = client.send("jane@example.org", &["joe@example.org"], MESSAGE).await;
    assert!(answer.starts_with("451 4.7.1 too many messages in 24 hours"), "{answer}");
    assert_eq!(scene.queued().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn pedantic_servers_refuse_return_path() {
    let mut setting = Setting { passwords: &["jane"], ..Setting::new() };
    setting.settings.strictness = mailstead_smtp::Strictness::Pedantic;
    let scene = setting.build().await;
    let mut client = jane(&scene).await;
    let message = format!("Return-Path: <>\r\n{MESSAGE}");
    let answer = client.send("jane@example.org", &["joe@example.org"], &message).await;
    assert_eq!(answer, "550 5.6.0 message must not have a Return-Path header");
}

/// What the queue hands over.
async fn from_queue(scene: &Scene, recipient: &str) -> LocalMessage {
    let mut stage = scene.store.stage();
    stage.write(b"Subject: hi\r\n\r\nbody\r\n").await.unwrap();
    let ForwardPath::Address(address) = ForwardPath::parse(&format!("<{recipient}>")).unwrap() else { panic!() };
    LocalMessage {
        sender: ReversePath::parse("<jane@example.org>").unwrap(),
        recipients: vec![LocalRecipient { address, delivery: DeliveryId("queue-1".into()) }],
        account: None,
        prefix: b"Received: queue\r\n".to_vec(),
        staged: stage.finish().await.unwrap(),
        queued_at: scene.server.services.clock.now(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_queue_delivers_once_into_accounts() {
    let scene = Scene::new().await;
    let delivery = scene.server.delivery();
    let message = from_queue(&scene, "joe@example.org").await;
    for _ in 0..2 {
        let replies = delivery.deliver(message.clone()).await;
        assert_eq!(replies.iter().map(|reply| reply.code).collect::<Vec<_>>(), [250]);
    }
    let stored = scene.only_message("joe").await;
    let expected = "Return-Path: <jane@example.org>\r\nDelivered-To: joe@example.org\r\nReceived: queue\r\nSubject: hi\r\n\r\nbody\r\n";
    assert_eq!(stored, expected);
    for (recipient, code) in [("nobody@example.org", 550), ("a@elsewhere.example", 550), ("poor@example.org", 452)] {
        let replies = delivery.deliver(from_queue(&scene, recipient).await).await;
        assert_eq!(replies[0].code, code, "{recipient}");
    }
}

#[tokio::test(start_paused = true)]
async fn notices_reach_their_account_or_the_postmaster() {
    let scene = Scene::new().await;
    let delivery = scene.server.delivery();
    let message = from_queue(&scene, "whoever@elsewhere.example").await;
    let joe = scene.account("joe").await.id();
    delivery.deliver(LocalMessage { account: Some(joe), ..message.clone() }).await;
    assert_eq!(scene.inbox("joe").await.len(), 1);
    scene.store.remove_account("joe").await.unwrap();
    delivery.deliver(LocalMessage { account: Some(joe), ..message }).await;
    assert_eq!(scene.inbox("jane").await.len(), 1);
}

const TO: &[&str] = &["joe@example.org"];

/// What a part says once its transfer encoding is undone.
fn decoded(encoded: &str) -> String {
    use mailstead_message::structure::TransferEncoding;
    let mut transfer = mailstead_message::text::Transfer::new(TransferEncoding::QuotedPrintable);
    let mut out = Vec::new();
    transfer.decode(encoded.as_bytes(), &mut out);
    transfer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

#[tokio::test(start_paused = true)]
async fn long_lines_of_the_header_are_folded() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    let references = "<0123456789@example.org> ".repeat(60);
    let message = MESSAGE.replace("Date:", &format!("References: {}\r\nDate:", references.trim()));
    assert_eq!(client.send("jane@example.org", TO, &message).await, "250 2.0.0 it is queued");
    let queued = scene.queued().await.remove(0).message;
    assert!(queued.lines().all(|line| line.len() <= 80), "{queued}");
    assert!(queued.replace("\r\n ", " ").contains(&format!("References: {}\r\nDate:", references.trim())), "{queued}");

    let mut client = jane(&scene).await;
    let message = MESSAGE.replace("Date:", &format!("X-Token: {}\r\nDate:", "x".repeat(1200)));
    let answer = client.send("jane@example.org", TO, &message).await;
    assert!(answer.starts_with("554 5.6.0 header field X-Token has 1201 octets without a space"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn parts_with_long_lines_are_encoded() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    let header = MESSAGE.strip_suffix("\r\n\r\nbody").unwrap();
    let long = format!("{} = é\r\n.\r\nshort \r\n", "word ".repeat(300));
    let html = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    let message = format!("{header}\r\nMIME-Version: 1.0\r\n{html}{}", long.replace("\r\n.", "\r\n.."));
    assert_eq!(client.send("jane@example.org", TO, &message).await, "250 2.0.0 it is queued");
    let queued = scene.queued().await.remove(0);
    assert!(queued.message.is_ascii() && queued.message.lines().all(|line| line.len() <= 80), "{}", queued.message);
    let (header_sent, body) = queued.message.split_once("\r\n\r\n").unwrap();
    assert_eq!(header_sent.matches("Content-Transfer-Encoding").count(), 1, "{header_sent}");
    assert_eq!(header_sent.matches("Message-ID").count(), 1, "{header_sent}");
    // The client's `send` ends the message with a line end more.
    assert_eq!(decoded(body), format!("{long}\r\n"));

    // In a multipart only the part that needs it, and none that somebody signed.
    let plain = "Content-Type: text/plain\r\n\r\nshort=\r\n";
    let mixed = |subtype: &str| {
        format!(
            "{header}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary=b\r\n\r\n--b\r\n{plain}--b\r\n{html}{}--b--",
            long.replace("\r\n.", "\r\n..")
        )
    };
    let mut client = jane(&scene).await;
    assert_eq!(client.send("jane@example.org", TO, &mixed("alternative")).await, "250 2.0.0 it is queued");
    let queued = scene.queued().await.remove(1).message;
    assert!(
        queued.contains(&format!("\r\n\r\n--b\r\n{plain}--b\r\nContent-Type: text/html; charset=utf-8\r\n")),
        "{queued}"
    );
    let part = queued.rsplit_once("quoted-printable\r\n\r\n").unwrap().1.split_once("\r\n--b--").unwrap().0;
    assert_eq!(decoded(part), long.strip_suffix("\r\n").unwrap());

    let mut client = jane(&scene).await;
    let answer = client.send("jane@example.org", TO, &mixed("signed")).await;
    assert!(
        answer.starts_with("554 5.6.0 line 15 of the message has 1505 octets, at most 998 can be sent;"),
        "{answer}"
    );
    assert_eq!(scene.queued().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn large_messages_with_long_lines_are_encoded_from_the_disk() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    let header = MESSAGE.strip_suffix("\r\n\r\nbody").unwrap();
    let body = format!("{}\r\n", "0123456789".repeat(30)).repeat(2_000) + &"x".repeat(300_000);
    let message = format!("{header}\r\n\r\n{body}");
    assert_eq!(client.send("jane@example.org", TO, &message).await, "250 2.0.0 it is queued");
    let queued = scene.queued().await.remove(0).message;
    let (header, encoded) = queued.split_once("\r\n\r\n").unwrap();
    assert!(header.contains("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"), "{header}");
    assert!(decoded(encoded) == format!("{body}\r\n") && encoded.lines().all(|line| line.len() <= 76));
}

#[tokio::test(start_paused = true)]
async fn refusals_of_submitted_messages_can_be_explained() {
    let scene = Scene::for_submission().await;
    let mark = Marks::new(&[7; 24]).mark(ConnectionId(42));
    for (message, reason) in [
        (MESSAGE.replace("jane@", "joe@"), r#"["author"]"#),
        (format!("MIME-Version: 1.0\r\nDKIM-Signature: v=1\r\n{MESSAGE}{}", "x".repeat(999)), r#"["line-length"]"#),
        ("From: jane@example.org".to_owned(), r#"["malformed"]"#),
    ] {
        let mut client = jane(&scene).await;
        let answer = client.send("jane@example.org", &["joe@example.org", "you@elsewhere.example"], &message).await;
        let refused = scene.store.refused().find(&mark, 10).await.unwrap();
        let record: serde_json::Value = serde_json::from_slice(&refused[0].payload).unwrap();
        assert_eq!(record["reasons"].to_string(), reason);
        assert_eq!(record["reply"].as_str(), Some(answer.as_str()));
        let words = crate::why::explain(&refused[0].payload).unwrap();
        assert!(words.contains("from <jane@example.org> to joe@example.org and 1 more"), "{words}");
    }
}
