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
            "SMTPUTF8"
        ]
    );
    assert_eq!(client.send("a@client.example", &["Jane+x@example.org"], MESSAGE).await, "250 2.2.0 it is done");
    client.play("C: QUIT\nS: 221 2.0.0 goodbye").await;
    client.closed().await;
    let mark = Marks::new(&[7; 24]).mark(ConnectionId(42));
    let expected = format!(
        "Return-Path: <a@client.example>\r\nDelivered-To: Jane+x@example.org\r\n\
         Received: from client.example ([192.0.2.7]) by mx.example.org with ESMTP id\r\n \
         {mark} for <Jane+x@example.org>;\r\n Thu, 15 Jan 2026 12:00:00 +0000\r\n{MESSAGE}\r\n"
    );
    let message = scene.only_message("jane").await;
    let unfold = |text: &str| text.replace("\r\n ", " ");
    assert_eq!(unfold(&message), unfold(&expected));
}
