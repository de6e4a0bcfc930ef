//! Port 25.

use super::*;

const MESSAGE: &str = "From: a@client.example\r\nSubject: hi\r\n\r\nbody";

#[tokio::test(start_paused = true)]
async fn a_message_is_stored_with_its_trace() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    assert_eq!(
        client.ehlo().await,
        [
            "PIPELINING",
            "SIZE 104857600",
            "STARTTLS",
            "ENHANCEDSTATUSCODES",
            "8BITMIME",
            "LIMITS RCPTMAX=1000",
            "SMTPUTF8",
            "DSN"
        ]
    );
    assert_eq!(client.send("a@client.example", &["Jane+x@example.org"], MESSAGE).await, "250 2.2.0 it is done");
    client.play("C: QUIT\nS: 221 2.0.0 goodbye").await;
    client.closed().await;
    let mark = Marks::new(&[7; 24]).mark(ConnectionId(42));
    let expected = format!(
        "Return-Path: <a@client.example>\r\nDelivered-To: Jane+x@example.org\r\n\
         Authentication-Results: mx.example.org; iprev=permerror (without dnssec)\r\n \
         policy.iprev=192.0.2.7; dkim=none; spf=pass (without dnssec)\r\n \
         smtp.mailfrom=client.example; dmarc=none (without dnssec)\r\n \
         header.from=client.example\r\n\
         Received-SPF: pass (mx.example.org: client.example designates 192.0.2.7\r\n \
         as permitted sender, without DNSSEC) receiver=mx.example.org;\r\n \
         identity=mailfrom; client-ip=192.0.2.7; envelope-from=\"a@client.example\";\r\n \
         helo=client.example; mechanism=\"ip4:192.0.2.7\"\r\n\
         Received: from client.example ([192.0.2.7]) by mx.example.org with ESMTP id\r\n \
         {mark} for <Jane+x@example.org>; Thu, 15 Jan 2026 "
    );
    let message = scene.only_message("jane").await.replace("\r\n ", " ");
    assert!(message.starts_with(&expected.replace("\r\n ", " ")), "{message}");
    assert!(message.ends_with(&format!(" +0000\r\n{MESSAGE}\r\n")), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_stored_with_the_record_of_its_arrival() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client.send("a@client.example", &["jane@example.org"], MESSAGE).await;
    let account = scene.account("jane").await;
    let facts = account.read(|read| {
        let inbox = read.mailbox_by_name("Inbox")?.expect("an inbox");
        let id = read.message_states(inbox.id)?.first().expect("a message").id;
        read.facts(id, crate::record::KIND)
    });
    let facts = facts.await.unwrap().expect("the record");
    let mark = Marks::new(&[7; 24]).mark(ConnectionId(42));
    assert_eq!((facts.version, facts.reference.as_deref()), (crate::record::VERSION, Some(mark.as_str())));
    let mut record: serde_json::Value = serde_json::from_slice(&facts.payload).unwrap();
    let checks = record.as_object_mut().unwrap().remove("checks").unwrap();
    assert_eq!((checks["spf"]["result"].as_str(), checks["dmarc"]["result"].as_str()), (Some("pass"), Some("none")));
    let at = record.as_object_mut().unwrap().remove("at").unwrap();
    assert!(at.as_str().unwrap().starts_with("2026-01-15T12:"), "{at}");
    assert_eq!(
        record.to_string(),
        format!(
            r#"{{"decision":"accept","hello":"client.example","id":"{mark}","mail-from":"<a@client.example>","mailbox":null,"protocol":"ESMTP","rcpt-to":"jane@example.org","reasons":["no-bad-signals"],"remote":"192.0.2.7","reply":null,"tls":null,"trusted":null}}"#,
        )
    );
}

/// The inbound session up to MAIL.
const HELLO: &str = "C: HELO client.example\nS: 250 mx.example.org\n";

fn with_settings(change: impl FnOnce(&mut Settings)) -> Setting {
    let mut setting = Setting::new();
    change(&mut setting.settings);
    setting
}

#[tokio::test(start_paused = true)]
async fn clients_that_cannot_be_named() {
    let scene = Setting::new().build().await;
    for (hello, answer) in [
        ("HELO nowhere.example", "550 5.5.0 your ehlo domain does not resolve to an IP address"),
        ("HELO null.example", "550 5.5.0 your ehlo domain does not resolve to an IP address"),
        ("HELO address.example", "250 mx.example.org"),
        ("HELO [192.0.2.7]", "250 mx.example.org"),
        ("HELO my_pc", "550 5.5.0 your ehlo domain does not resolve to an IP address"),
        ("HELO what?ever", "250 mx.example.org"),
        ("HELO slow.example", "250 mx.example.org"),
    ] {
        scene.inbound().await.play(&format!("C: {hello}\nS: {answer}")).await;
    }
    assert!(!scene.inbound().await.ehlo().await.is_empty(), "EHLO is not checked");
}

#[tokio::test(start_paused = true)]
async fn senders_must_be_able_to_receive() {
    let scene = Scene::new().await;
    for (sender, answer) in [
        ("", "250 2.1.0 sender ok"),
        ("a@client.example", "250 2.1.0 sender ok"),
        ("a@bücher.example", "250 2.1.0 sender ok"),
        ("a@address.example", "250 2.1.0 sender ok"),
        ("a@text.example", "250 2.1.0 sender ok"),
        ("joe@example.org", "250 2.1.0 sender ok"),
        ("a@[192.0.2.7]", "550 5.7.0 sender address needs a domain name"),
        ("a@null.example", "550 5.7.27 mailfrom domain not configured for mail"),
        ("a@nowhere.example", "550 5.7.27 mailfrom domain not configured for mail"),
        ("a@slow.example", "451 4.4.0 temporary failure looking up the mailfrom domain"),
    ] {
        let mut client = scene.inbound().await;
        client.ehlo().await;
        client.play(&format!("C: MAIL FROM:<{sender}>\nS: {answer}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn recipients_must_be_ours() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client
        .play(
            "C: MAIL FROM:<a@client.example>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<jane@elsewhere.example>
            S: 550 5.1.1 not accepting email for domain
            C: RCPT TO:<jane@[192.0.2.25]>
            S: 550 5.1.1 not accepting email for domain
            C: DATA
            S: 554 5.5.1 no valid recipients
            C: RCPT TO:<nobody@example.org>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<postmaster>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<PostMaster@mx.example.org>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<JANE+x@EXAMPLE.org>
            S: 250 2.1.5 recipient ok",
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn nobody_learns_quickly_who_exists() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    for recipients in [&["nobody@example.org"][..], &["nobody@example.org", "noone@example.org"]] {
        let before = tokio::time::Instant::now();
        let answer = client.send("a@client.example", recipients, MESSAGE).await;
        assert_eq!(answer, "550 5.1.1 no such user");
        assert!(before.elapsed().as_secs() >= 5);
    }
    // Who has real correspondents here learns of a mistake by a notice.
    let recipients = ["nobody@example.org", "jane@example.org"];
    assert_eq!(client.send("a@client.example", &recipients, MESSAGE).await, "250 2.2.0 it is done");
    let queued = scene.queued().await;
    assert!(queued[0].message.contains("  <nobody@example.org>\r\n    550 5.1.1 no such user\r\n"));
    assert_eq!(scene.evaluations.take().len(), 1, "of those who do not exist nothing is reported");
}

#[tokio::test(start_paused = true)]
async fn several_recipients_need_an_authorized_sender() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client
        .play(
            "C: MAIL FROM:<a@address.example>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<jane@example.org>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<jane@example.org>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<joe@example.org>
            S: 452 4.5.3 only one recipient allowed without spf pass
            C: RSET
            S: 250 2.0.0 ok
            C: MAIL FROM:<a@client.example>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<jane@example.org>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<joe@example.org>
            S: 250 2.1.5 recipient ok",
        )
        .await;
    let asked = scene
        .zones
        .asked()
        .into_iter()
        .filter(|(name, kind)| (name.as_ascii(), *kind) == ("client.example", RecordType::Txt));
    assert_eq!(asked.count(), 1, "only where somebody has to know");
}

#[tokio::test(start_paused = true)]
async fn notices_have_one_recipient() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client
        .play(
            "C: MAIL FROM:<>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<jane@example.org>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<jane@example.org>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<joe@example.org>
            S: 452 4.5.3 only one recipient allowed with null reverse-path",
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn recipients_beyond_the_limit_wait() {
    let scene = with_settings(|settings| settings.recipients_max = 1).build().await;
    let mut client = scene.inbound().await;
    assert!(client.ehlo().await.contains(&"LIMITS RCPTMAX=1".to_owned()));
    client
        .play(
            "C: MAIL FROM:<a@client.example>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<jane@example.org>
            S: 250 2.1.5 recipient ok
            C: RCPT TO:<joe@example.org>
            S: 452 4.5.3 too many recipients",
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn messages_too_large() {
    let scene = with_settings(|settings| settings.message_max = 1000).build().await;
    let mut client = scene.inbound().await;
    assert!(client.ehlo().await.contains(&"SIZE 1000".to_owned()));
    let too_large = "552 5.3.4 message too large, maximum is 1000 octets";
    client.play(&format!("C: MAIL FROM:<a@client.example> SIZE=1001\nS: {too_large}")).await;
    let body = format!("{MESSAGE}\r\n{}", "x".repeat(1000));
    assert_eq!(client.send("a@client.example", &["jane@example.org"], &body).await, too_large);
    assert_eq!(client.send("a@client.example", &["jane@example.org"], MESSAGE).await, "250 2.2.0 it is done");
    assert_eq!(scene.inbox("jane").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn headers_too_large() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let header = format!("X: {}\r\n", "x".repeat(1000)).repeat(1100);
    let answer = client.send("a@client.example", &["jane@example.org"], &format!("{header}\r\nbody")).await;
    assert_eq!(answer, "552 5.3.4 message header too large");
    assert!(scene.inbox("jane").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn large_messages_are_stored_whole() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let message = format!("{MESSAGE}\r\n{}", "0123456789abcdef\r\n".repeat(20_000));
    assert_eq!(client.send("a@client.example", &["jane@example.org"], &message).await, "250 2.2.0 it is done");
    assert!(scene.only_message("jane").await.ends_with(&format!("{message}\r\n")));
}

#[tokio::test(start_paused = true)]
async fn accounts_without_room() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let answer = client.send("a@client.example", &["poor@example.org"], MESSAGE).await;
    assert_eq!(answer, "452 4.2.2 account storage full");
}

#[tokio::test(start_paused = true)]
async fn a_disk_without_room() {
    let store = |options: &mut Options| (options.free_floor, options.inline_max) = (u64::MAX, 1000);
    let scene = Setting { store, ..Setting::new() }.build().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let message = format!("{MESSAGE}\r\n{}", "0123456789abcdef\r\n".repeat(1000));
    let answer = client.send("a@client.example", &["jane@example.org"], &message).await;
    assert_eq!(answer, "452 4.3.1 not enough storage on this server");
    client.play("C: NOOP\nS: 250 2.0.0 ok").await;
}

#[tokio::test(start_paused = true)]
async fn trouble_of_our_own_says_nothing() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let answer = client.send("a@client.example", &["unborn@example.org"], MESSAGE).await;
    assert_eq!(answer, "451 4.3.0 error processing");
    assert!(scene.queued().await.is_empty(), "a single failure is told by the reply, not by a notice");
}

#[tokio::test(start_paused = true)]
async fn failures_of_all_recipients_are_told_together() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let answer = client.send("a@client.example", &["unborn@example.org", "poor@example.org"], MESSAGE).await;
    let mut lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.remove(0), "451-4.3.0 multiple errors");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "451 4.3.0 <unborn@example.org>: 451 4.3.0 error processing",
            "451-4.3.0 <poor@example.org>: 452 4.2.2 account storage full",
        ]
    );
    assert!(scene.queued().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn failures_of_some_recipients_become_a_notice() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let answer = client.send("a@client.example", &["poor@example.org", "jane@example.org"], MESSAGE).await;
    assert_eq!(answer, "250 2.2.0 it is done");
    assert_eq!(scene.inbox("jane").await.len(), 1);
    let queued = scene.queued().await;
    assert_eq!(queued.len(), 1);
    let Queued { row, message } = &queued[0];
    assert_eq!((row.recipient.to_string().as_str(), row.sender.to_string().as_str()), ("a@client.example", "<>"));
    assert_eq!(row.submitter, None);
    for part in [
        "From: postmaster@example.org\r\n",
        "To: a@client.example\r\n",
        "  <poor@example.org>\r\n    452 4.2.2 account storage full\r\n",
        "Final-Recipient: rfc822; poor@example.org\r\nAction: failed\r\nStatus: 5.2.2\r\n",
        "Subject: hi\r\n",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(!message.contains("jane@"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn every_recipient_gets_a_copy() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let recipients = ["jane@example.org", "joe@example.org", "jane+x@example.org", "jane@example.org"];
    assert_eq!(client.send("a@client.example", &recipients, MESSAGE).await, "250 2.2.0 it is done");
    let jane = scene.inbox("jane").await;
    assert_eq!(jane.len(), 2);
    assert!(jane[0].contains("Delivered-To: jane@example.org") && jane[1].contains("Delivered-To: jane+x@example.org"));
    assert!(jane.iter().all(|message| !message.contains(" for <")), "no recipient learns of another");
    assert_eq!(scene.inbox("joe").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_that_must_not_be_stored() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let looping = format!("{}{MESSAGE}", "Received: from x by y; Thu, 15 Jan 2026 12:00:00 +0000\r\n".repeat(101));
    let smuggled = format!("{MESSAGE}\n.\r\nMAIL FROM:<x@client.example>");
    for (message, answer) in [
        (looping.as_str(), "550 5.4.6 loop detected, more than 100 received headers"),
        (smuggled.as_str(), "500 5.5.2 invalid bare \\r or \\n, may be smtp smuggling"),
        ("a: b\rc\r\n\r\n", "500 5.5.2 invalid bare \\r or \\n, may be smtp smuggling"),
    ] {
        assert_eq!(client.send("a@client.example", &["jane@example.org"], message).await, answer);
    }
    client.play("C: NOOP\nS: 250 2.0.0 ok").await;
    assert!(scene.inbox("jane").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn messages_are_repaired_where_that_is_safe() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let message = "Authentication-Results: mx.example.org; auth=pass\r\nSubject: a\nTo: b\r\n\r\n..dot";
    assert_eq!(client.send("a@client.example", &["jane@example.org"], message).await, "250 2.2.0 it is done");
    let stored = scene.only_message("jane").await;
    assert!(stored.ends_with("\r\nSubject: a\r\nTo: b\r\n\r\n.dot\r\n") && !stored.contains("auth=pass"), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn messages_without_body_or_header() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    for message in ["Subject: header only", "\r\nbody only", "what is this?"] {
        assert_eq!(client.send("a@client.example", &["jane@example.org"], message).await, "250 2.2.0 it is done");
    }
    let stored = scene.inbox("jane").await;
    assert!(stored[1].ends_with("\r\n\r\nbody only\r\n"), "{stored:?}");
    assert!(stored[2].ends_with("\r\nwhat is this?\r\n"), "{stored:?}");
}

#[tokio::test(start_paused = true)]
async fn tls_is_part_of_the_trace() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client.play("C: STARTTLS\nS: 220 2.0.0 ready for TLS").await;
    client.handshake().await;
    assert!(!client.ehlo().await.contains(&"STARTTLS".to_owned()));
    client.play("C: STARTTLS\nS: 503 5.5.1 already using TLS").await;
    assert_eq!(client.send("a@client.example", &["jane@example.org"], MESSAGE).await, "250 2.2.0 it is done");
    let message = scene.only_message("jane").await.replace("\r\n ", " ");
    assert!(message.contains(" with ESMTPS (TLSv1.3 TLS_"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn nothing_sent_in_the_clear_survives_starttls() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client.say("STARTTLS\r\nRSET\r\n").await;
    client.hear("220 2.0.0 ready for TLS").await;
    client.closed().await;
}

#[tokio::test(start_paused = true)]
async fn internationalised_mail() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let message = "Subject: grüß\r\n\r\nbody";
    // Decomposed on the wire, the same address.
    let recipients = ["jane\u{301}@example.org"];
    assert_eq!(client.send("ü@bücher.example", &recipients, message).await, "250 2.2.0 it is done");
    let stored = scene.only_message("jane").await.replace("\r\n ", " ");
    assert!(stored.starts_with("Return-Path: <ü@bücher.example>\r\nDelivered-To: jané@example.org\r\n"), "{stored}");
    assert!(stored.contains(" with UTF8SMTP id "), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn delivery_that_wants_tls() {
    let scene = Scene::new().await;
    let endpoint = Endpoint::new(Role::Transfer, Security::StartTls(scene.tls.clone()));
    let endpoint = Endpoint { plaintext_delivery: crate::PlaintextDelivery::Refused, ..endpoint };
    let mut client = scene.connect(endpoint).await;
    let transaction = "C: EHLO client.example
        S: 250-mx.example.org\nS: 250-PIPELINING\nS: 250-SIZE 104857600\nS: 250-STARTTLS\nS: 250-ENHANCEDSTATUSCODES
        S: 250-8BITMIME\nS: 250-LIMITS RCPTMAX=1000\nS: 250-SMTPUTF8\nS: 250 DSN
        C: MAIL FROM:<a@client.example>
        S: 250 2.1.0 sender ok
        C: RCPT TO:<jane@example.org>
        S: 530 5.7.0 STARTTLS required for mail delivery";
    client.play(transaction).await;
}

#[tokio::test(start_paused = true)]
async fn clients_that_only_fail_are_sent_away() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.play(HELLO.replace("client", "address").as_str()).await;
    for _ in 0..11 {
        client.play("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 sender ok\nC: RSET\nS: 250 2.0.0 ok").await;
    }
    client.play("C: MAIL FROM:<a@client.example>\nS: 550 5.1.0 too many failures").await;
    client.closed().await;
}

#[tokio::test(start_paused = true)]
async fn pedantic_servers_want_declarations() {
    let scene = with_settings(|settings| settings.strictness = mailstead_smtp::Strictness::Pedantic).build().await;
    for (parameters, message, answer) in [
        ("", "Subject: grüß\r\n\r\nb", "550 5.6.0 internationalised message without SMTPUTF8"),
        ("", "A: b\r\n\r\ngrüß", "500 5.6.0 8-bit message without BODY=8BITMIME"),
        (" BODY=8BITMIME SMTPUTF8", "Subject: grüß\r\n\r\ngrüß", "250 2.2.0 it is done"),
    ] {
        let mut client = scene.inbound().await;
        client.ehlo().await;
        client
            .play(&format!(
                "C: MAIL FROM:<a@client.example>{parameters}
                S: 250 2.1.0 sender ok
                C: RCPT TO:<jane@example.org>
                S: 250 2.1.5 recipient ok
                C: DATA
                S: 354 send the message, end with a dot on a line"
            ))
            .await;
        client.say(&format!("{message}\r\n.\r\n")).await;
        client.hear(answer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_may_come_octet_by_octet() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let transaction = "MAIL FROM:<a@client.example>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\n";
    for part in [transaction, "A: b\r\n\r\n..body\r\n.\r\n"] {
        for octet in part.chars() {
            client.say(&octet.to_string()).await;
            tokio::task::yield_now().await;
        }
    }
    client
        .play(
            "S: 250 2.1.0 sender ok
            S: 250 2.1.5 recipient ok
            S: 354 send the message, end with a dot on a line
            S: 250 2.2.0 it is done",
        )
        .await;
    assert!(scene.only_message("jane").await.ends_with("\r\nA: b\r\n\r\n.body\r\n"));
}

#[tokio::test(start_paused = true)]
async fn recipients_are_counted_by_reply() {
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = Metrics::register(&mut registry);
    let scene = Setting { metrics, ..Setting::new() }.build().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client.send("a@client.example", &["jane@example.org", "joe@example.org"], MESSAGE).await;
    client.send("a@client.example", &["poor@example.org"], MESSAGE).await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "smtp_server_connections_total{role=\"smtp\",result=\"admitted\"} 1",
        "smtp_server_recipients_total{role=\"smtp\",code=\"250\"} 2",
        "smtp_server_recipients_total{role=\"smtp\",code=\"452\"} 1",
        "smtp_server_errors_total{role=\"smtp\",code=\"452\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
