//! Connections as such: greeting, refusals, waiting, the end.

use super::*;

#[tokio::test(start_paused = true)]
async fn refused_before_the_greeting() {
    let scene = Scene::new().await;
    for (refusal, answer) in [
        (Refusal::ShuttingDown, "421 4.3.2 shutting down"),
        (Refusal::Rate, "421 4.7.0 too many connections from your network, try again later"),
        (Refusal::Open, "421 4.7.0 too many open connections from your network"),
    ] {
        let mut client = scene.open(Endpoint::new(Role::Transfer, Security::Cleartext), Some(refusal));
        client.hear(answer).await;
        client.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_protocol() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.play("C: GET / HTTP/1.1\nS: 500 5.5.2 please try again speaking smtp").await;
    client.closed().await;
}

#[tokio::test(start_paused = true)]
async fn endless_lines() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.play("C: NOOP\nS: 250 2.0.0 ok\nC: WHAT\nS: 500 5.5.1 unknown command").await;
    client.say(&"x".repeat(3000)).await;
    client.hear("500 5.5.0 line too long").await;
    client.closed().await;
}

#[tokio::test(start_paused = true)]
async fn silent_clients_are_told_so() {
    let scene = Scene::new().await;
    let start = tokio::time::Instant::now();
    let mut client = scene.inbound().await;
    client.hear("421 4.4.2 timeout, closing the connection").await;
    assert_eq!(start.elapsed().as_secs(), 300, "RFC 5321 §4.5.3.2.7");
    client.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_for_commands() {
    let scene = Scene::new().await;
    let mut waiting = scene.inbound().await;
    let mut receiving = scene.inbound().await;
    receiving.ehlo().await;
    receiving
        .play(
            "C: MAIL FROM:<a@client.example>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<jane@example.org>
            S: 250 2.1.5 recipient ok
            C: DATA
            S: 354 send the message, end with a dot on a line",
        )
        .await;
    scene.server.services.shutdown.begin();
    waiting.hear("421 4.3.2 shutting down").await;
    waiting.closed().await;
    receiving.play("C: Subject: hi\nC:\nC: .\nS: 250 2.2.0 it is done\nS: 421 4.3.2 shutting down").await;
    receiving.closed().await;
    assert_eq!(scene.inbox("jane").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn errors_lead_to_the_connection() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.say("DATA\r\n").await;
    let line = client.line().await.unwrap();
    let mark = line.rsplit_once('(').unwrap().1.trim_end_matches(')');
    assert_eq!(scene.server.services.marks.read(mark), Some(ConnectionId(42)));
}

#[tokio::test(start_paused = true)]
async fn implicit_tls_comes_first() {
    let scene = Scene::new().await;
    let mut client = scene.open(Endpoint::new(Role::Submission, Security::Implicit(scene.tls.clone())), None);
    client.say("EHLO client.example\r\n").await;
    client.task.await.unwrap();
    let mut client = scene.submissions().await;
    client.play("C: STARTTLS\nS: 503 5.5.1 already using TLS").await;
}

#[tokio::test(start_paused = true)]
async fn one_packet_answers_a_pipelined_group() {
    let scene = Scene::new().await;
    let mut client = scene.inbound().await;
    client.ehlo().await;
    client.say("MAIL FROM:<a@client.example>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\n").await;
    let mut buffer = [0; 4096];
    let count = client.stream.read(&mut buffer).await.unwrap();
    let replies = std::str::from_utf8(&buffer[..count]).unwrap();
    assert_eq!(replies.lines().map(|line| &line[..3]).collect::<Vec<_>>(), ["250", "250", "354"]);
}
