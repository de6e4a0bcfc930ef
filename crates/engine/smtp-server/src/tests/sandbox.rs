//! A server for trying things out.

use super::*;
use crate::Sandbox;

const MESSAGE: &str = "From: whoever@elsewhere.example\r\n\r\nbody";

async fn sandbox() -> Scene {
    let mut setting = Setting { passwords: &["jane"], ..Setting::new() };
    setting.settings.sandbox = Sandbox::On;
    setting.config = CONFIG.replacen("postmaster =", "sandbox = { account = \"jane\" }\npostmaster =", 1);
    setting.zones = Zones::new();
    setting.build().await
}

#[tokio::test(start_paused = true)]
async fn everything_lands_in_one_account() {
    let scene = sandbox().await;
    let mut client = scene.inbound().await;
    client.play("C: HELO nowhere.example\nS: 250 mx.example.org").await;
    for recipient in ["anybody@elsewhere.example", "nobody@example.org", "you@[127.0.0.1]"] {
        assert_eq!(client.send("a@nowhere.example", &[recipient], MESSAGE).await, "250 2.2.0 it is done");
    }
    assert_eq!(client.send("a@nowhere.example", &["joe@example.org"], MESSAGE).await, "250 2.2.0 it is done");
    assert_eq!(scene.inbox("jane").await.len(), 3);
    assert_eq!(scene.inbox("joe").await.len(), 1, "who has an account gets the mail");
}

#[tokio::test(start_paused = true)]
async fn any_author_may_submit() {
    let scene = sandbox().await;
    let mut client = scene.cleartext().await;
    client.ehlo().await;
    client.login("jane").await;
    let answer = client.send("whoever@elsewhere.example", &["you@elsewhere.example"], MESSAGE).await;
    assert_eq!(answer, "250 2.0.0 it is queued");
}

#[tokio::test(start_paused = true)]
async fn local_parts_provoke_failures() {
    let scene = sandbox().await;
    for role in [Role::Submission, Role::Transfer] {
        // One after the other: a client that only waits would be timed out.
        let mut client = if role == Role::Submission { scene.cleartext().await } else { scene.inbound().await };
        client.ehlo().await;
        if role == Role::Submission {
            client.login("jane").await;
        }
        client
            .play(
                "C: MAIL FROM:<mailfrompermerror@a.example>
                S: 550 5.3.0 as the local part asks for
                C: MAIL FROM:<temperror@a.example>
                S: 250 2.1.0 sender ok
                C: RCPT TO:<rcptto-450@a.example>
                S: 450 4.3.0 as the local part asks for
                C: RCPT TO:<rcpttotemperror@a.example>
                S: 451 4.3.0 as the local part asks for
                C: RSET
                S: 250 2.0.0 ok",
            )
            .await;
        for (recipient, code) in [("x-temperror", 451), ("permerror", 550), ("500", 500), ("x-599", 599)] {
            let answer = client.send("a@a.example", &[&format!("{recipient}@a.example")], MESSAGE).await;
            assert_eq!(answer, format!("{code} {}.3.0 as the local part asks for", code / 100));
        }
    }
    assert!(scene.inbox("jane").await.is_empty() && scene.queued().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_queue_fails_where_asked_to() {
    let scene = sandbox().await;
    let mut client = scene.cleartext().await;
    client.ehlo().await;
    client.login("jane").await;
    let answer = client.send("a@a.example", &["queue-permerror@a.example"], MESSAGE).await;
    assert_eq!(answer, "250 2.0.0 it is queued", "submission does not fail");
    let mut inbound = scene.inbound().await;
    inbound.ehlo().await;
    let answer = inbound.send("a@a.example", &["queue-permerror@a.example"], MESSAGE).await;
    assert_eq!(answer, "550 5.3.0 as the local part asks for");
}

#[tokio::test(start_paused = true)]
async fn silence_lasts_an_hour() {
    let scene = sandbox().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let before = tokio::time::Instant::now();
    let answer = client.send("a@a.example", &["timeout@a.example"], MESSAGE).await;
    assert_eq!(answer, "451 4.3.0 as the local part asks for");
    assert!(before.elapsed().as_secs() >= 3600);
}

#[tokio::test(start_paused = true)]
async fn failures_of_some_recipients_cause_no_notice() {
    let scene = sandbox().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    let answer = client.send("a@a.example", &["you@a.example", "permerror@a.example"], MESSAGE).await;
    assert_eq!(answer, "250 2.2.0 it is done");
    assert_eq!(scene.inbox("jane").await.len(), 1);
    assert!(scene.queued().await.is_empty());
}
