//! DSN (RFC 3461) and REQUIRETLS (RFC 8689): what is announced, and what becomes of the parameters.

use super::*;

const SUBMITTED: &str = "From: Jane <jane@example.org>\r\nSubject: hi\r\n\r\nbody";
const MESSAGE: &str = "From: a@client.example\r\nSubject: hi\r\n\r\nbody";

/// Sends a message whose MAIL and RCPT are given; gives the final reply.
async fn send(client: &mut Client, mail: &str, recipients: &[&str], message: &str) -> String {
    client.play(&format!("C: MAIL FROM:{mail}\nS: 250 2.1.0 sender ok")).await;
    for recipient in recipients {
        client.play(&format!("C: RCPT TO:{recipient}\nS: 250 2.1.5 recipient ok")).await;
    }
    client.play("C: DATA\nS: 354 send the message, end with a dot on a line").await;
    client.say(&format!("{message}\r\n.\r\n")).await;
    client.reply().await.join("\n")
}

async fn jane(scene: &Scene) -> Client {
    let mut client = scene.submissions().await;
    client.ehlo().await;
    client.login("jane@example.org").await;
    client
}

async fn inbound(scene: &Scene) -> Client {
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client
}

fn demand(queued: &Queued) -> serde_json::Value {
    let terms: serde_json::Value = serde_json::from_slice(&queued.row.demand.octets).unwrap();
    terms["demand"].clone()
}

#[tokio::test(start_paused = true)]
async fn requiretls_is_announced_under_tls_only() {
    let scene = Scene::for_submission().await;
    let announced = |extensions: &[String], wanted: &str| extensions.iter().any(|extension| extension == wanted);
    let mut client = scene.inbound().await;
    let before = client.ehlo().await;
    assert!(announced(&before, "DSN") && !announced(&before, "REQUIRETLS"), "{before:?}");
    client
        .play(
            "C: MAIL FROM:<a@client.example> REQUIRETLS
            S: 555 5.3.3 parameter REQUIRETLS not supported
            C: STARTTLS
            S: 220 2.0.0 ready for TLS",
        )
        .await;
    client.handshake().await;
    let after = client.ehlo().await;
    assert!(announced(&after, "DSN") && announced(&after, "REQUIRETLS"), "{after:?}");
    let submission = scene.submissions().await.ehlo().await;
    assert!(announced(&submission, "DSN") && announced(&submission, "REQUIRETLS"), "{submission:?}");
    let cleartext = scene.cleartext().await.ehlo().await;
    assert!(announced(&cleartext, "DSN") && !announced(&cleartext, "REQUIRETLS"), "{cleartext:?}");
}

#[tokio::test(start_paused = true)]
async fn bad_values_are_refused() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    client
        .play(
            "C: MAIL FROM:<jane@example.org> RET=SOME
            S: 501 5.5.4 malformed parameter RET
            C: MAIL FROM:<jane@example.org> ENVID=+0D+0A
            S: 501 5.5.4 malformed parameter ENVID
            C: MAIL FROM:<jane@example.org> ENVID=a ENVID=a
            S: 501 5.5.4 duplicate parameter ENVID
            C: MAIL FROM:<jane@example.org> REQUIRETLS=1
            S: 501 5.5.4 malformed parameter REQUIRETLS
            C: MAIL FROM:<jane@example.org> RET=FULL
            S: 250 2.1.0 sender ok
            C: RCPT TO:<joe@example.org> NOTIFY=NEVER,DELAY
            S: 501 5.5.4 malformed parameter NOTIFY
            C: RCPT TO:<joe@example.org> ORCPT=joe@example.org
            S: 501 5.5.4 malformed parameter ORCPT
            C: RCPT TO:<joe@example.org> NOTIFY=NEVER NOTIFY=NEVER
            S: 501 5.5.4 duplicate parameter NOTIFY
            C: DATA
            S: 554 5.5.1 no valid recipients",
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_submitters_ask_reaches_the_queue() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    let recipients = [
        "<you@elsewhere.example> notify=delay,success ORCPT=rfc822;You+2Bx@elsewhere.example",
        "<joe@example.org> NOTIFY=NEVER",
        "<jane@example.org>",
    ];
    let answer = send(&mut client, "<jane@example.org> ret=hdrs ENVID=QQ+2B31", &recipients, SUBMITTED).await;
    assert_eq!(answer, "250 2.0.0 it is queued");
    let queued = scene.queued().await;
    for queued in &queued {
        assert_eq!((queued.row.ret.as_deref(), queued.row.envid.as_deref()), (Some("HDRS"), Some("QQ+31")));
    }
    let notify: Vec<_> = queued.iter().map(|queued| queued.row.notify.as_deref()).collect();
    assert_eq!(notify, [Some("SUCCESS,DELAY"), Some("NEVER"), None]);
    let orcpt: Vec<_> = queued.iter().map(|queued| queued.row.orcpt.as_deref()).collect();
    assert_eq!(orcpt, [Some("rfc822;You+2Bx@elsewhere.example"), None, None]);
    let mut client = jane(&scene).await;
    send(&mut client, "<jane@example.org>", &["<joe@example.org>"], SUBMITTED).await;
    let silent = scene.queued().await.pop().unwrap().row;
    assert_eq!((silent.ret, silent.envid, silent.notify, silent.orcpt), (None, None, None, None));
}

#[tokio::test(start_paused = true)]
async fn requiretls_reaches_the_queue_and_outweighs_the_header() {
    let scene = Scene::for_submission().await;
    let mut client = jane(&scene).await;
    let tls_required_no = format!("TLS-Required: No\r\n{SUBMITTED}");
    for (parameter, message) in
        [(" REQUIRETLS", SUBMITTED), (" REQUIRETLS", &tls_required_no), ("", &tls_required_no), ("", SUBMITTED)]
    {
        let mail = format!("<jane@example.org>{parameter}");
        let answer = send(&mut client, &mail, &["<you@elsewhere.example>"], message).await;
        assert_eq!(answer, "250 2.0.0 it is queued");
    }
    let demands: Vec<_> = scene.queued().await.iter().map(demand).collect();
    let demand = |requirement, plaintext| serde_json::json!({"requirement": requirement, "plaintext": plaintext});
    assert_eq!(
        demands,
        [
            demand("require-tls", "forbidden"),
            demand("require-tls", "forbidden"),
            demand("tls-required-no", "allowed"),
            demand("opportunistic", "allowed"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn inbound_mail_that_required_tls_is_simply_delivered() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client.play("C: STARTTLS\nS: 220 2.0.0 ready for TLS").await;
    client.handshake().await;
    client.ehlo().await;
    let answer = send(&mut client, "<a@client.example> REQUIRETLS", &["<jane@example.org>"], MESSAGE).await;
    assert_eq!(answer, "250 2.2.0 it is done");
    assert_eq!(scene.inbox("jane").await.len(), 1);
}

const SUCCESS: &str = "<jane@example.org> NOTIFY=SUCCESS ORCPT=rfc822;old@example.org";

#[tokio::test(start_paused = true)]
async fn senders_of_inbound_mail_are_told_of_delivery_if_they_ask() {
    let scene = Scene::new().await;
    let mut client = inbound(&scene).await;
    let recipients = [SUCCESS, "<joe@example.org> NOTIFY=FAILURE"];
    let answer = send(&mut client, "<a@client.example> RET=FULL ENVID=QQ+2B31", &recipients, MESSAGE).await;
    assert_eq!(answer, "250 2.2.0 it is done");
    let queued = scene.queued().await;
    assert_eq!(queued.len(), 1);
    let Queued { row, message } = &queued[0];
    assert_eq!((row.sender.to_string().as_str(), row.recipient.to_string().as_str()), ("<>", "a@client.example"));
    for field in [
        "Original-Envelope-Id: QQ+31",
        "Original-Recipient: rfc822; old@example.org",
        "Final-Recipient: rfc822; jane@example.org",
        "Action: delivered",
        "Status: 2.0.0",
    ] {
        assert!(message.contains(&format!("\r\n{field}\r\n")), "{field}: {message}");
    }
    assert!(!message.contains("joe@example.org") && !message.contains("\r\nbody\r\n"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn success_is_not_told_to_whoever_may_be_forged_nor_of_junk() {
    let policy = Record::Txt(Txt::from("v=DMARC1; p=quarantine"));
    let mut setting = Setting::new();
    setting.zones = setting.zones.with("_dmarc.bücher.example", policy);
    let scene = setting.build().await;
    let mut client = inbound(&scene).await;
    let forged = MESSAGE.replace("a@client.example", "a@bücher.example");
    for (mail, message) in [("<a@address.example>", MESSAGE), ("<>", MESSAGE), ("<a@client.example>", forged.as_str())]
    {
        assert_eq!(send(&mut client, mail, &[SUCCESS], message).await, "250 2.2.0 it is done");
    }
    assert_eq!(scene.inbox("jane").await.len(), 2);
    assert_eq!(scene.mailbox("jane", "Junk").await.map(|junk| junk.len()), Some(1));
    assert!(scene.queued().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn failures_of_some_are_told_as_asked() {
    for (mail, notify, told, whole) in [
        ("", "", true, false),
        (" RET=FULL ENVID=x", " NOTIFY=FAILURE,DELAY ORCPT=rfc822;old@example.org", true, true),
        ("", " NOTIFY=NEVER", false, false),
        ("", " NOTIFY=SUCCESS,DELAY", false, false),
    ] {
        let scene = Scene::new().await;
        let mut client = inbound(&scene).await;
        let (mail, recipient) = (format!("<a@client.example>{mail}"), format!("<poor@example.org>{notify}"));
        let answer = send(&mut client, &mail, &["<jane@example.org>", &recipient], MESSAGE).await;
        assert_eq!(answer, "250 2.2.0 it is done");
        let queued = scene.queued().await;
        assert_eq!(queued.len(), usize::from(told), "{notify}");
        if let Some(Queued { message, .. }) = queued.first() {
            assert!(message.contains("\r\nAction: failed\r\n"), "{message}");
            assert_eq!(message.contains("\r\nOriginal-Recipient: rfc822; old@example.org\r\n"), whole, "{message}");
            assert_eq!(message.contains("\r\nOriginal-Envelope-Id: x\r\n"), whole, "{message}");
            assert_eq!(message.contains("Content-Type: message/rfc822\r\n"), whole, "{message}");
            assert_eq!(message.contains("\r\n\r\nbody\r\n"), whole, "{message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn notices_about_mail_that_required_tls_require_it_and_return_the_header_only() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client.play("C: STARTTLS\nS: 220 2.0.0 ready for TLS").await;
    client.handshake().await;
    client.ehlo().await;
    let mail = "<a@client.example> REQUIRETLS RET=FULL";
    send(&mut client, mail, &["<jane@example.org>", "<poor@example.org>"], MESSAGE).await;
    let notice = scene.queued().await.remove(0);
    assert_eq!(demand(&notice)["requirement"], "require-tls");
    assert!(notice.message.contains("Content-Type: text/rfc822-headers\r\n"), "{}", notice.message);
    assert!(!notice.message.contains("\r\nbody\r\n"), "{}", notice.message);
}
