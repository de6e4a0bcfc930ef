//! Servers that lack SMTPUTF8 or 8BITMIME.

use super::*;

/// A world that sends everything to a relay without TLS.
async fn world() -> World {
    World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await
}

/// What was told about each recipient that failed.
fn told(world: &World) -> Vec<(String, String)> {
    let status = |notice: &Delivered, name| notice.status(name).unwrap_or_default();
    let notices = world.accounts.delivered();
    notices.iter().map(|notice| (status(notice, "Final-Recipient"), status(notice, "Status"))).collect()
}

const PLAIN: &str = "Subject: test\r\n\r\nHello.\r\n";

#[tokio::test]
async fn smtputf8_is_asked_for_those_who_need_it_only() {
    let world = world().await;
    world.submit_message(&["jörg@grün.example", "a@grün.example"], PLAIN).await;
    let peer = world.peer(
        "S: 220 hop
         C: EHLO here.example
         S: 250-hop
         S: 250 SMTPUTF8
         C: MAIL FROM:<you@here.example>
         S: 250 ok
         C: RCPT TO:<a@xn--grn-ioa.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: MAIL FROM:<you@here.example> SMTPUTF8
         S: 250 ok
         C: RCPT TO:<jörg@grün.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    );
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(told(&world), []);
}

#[tokio::test]
async fn without_smtputf8_only_those_who_need_it_come_back() {
    let world = world().await;
    world.submit_message(&["jörg@other.example", "a@other.example"], PLAIN).await;
    let peer = world.peer(super::smtp::ACCEPTS);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(told(&world), [("utf-8; jörg@other.example".to_owned(), "5.6.7".to_owned())]);
}

#[tokio::test]
async fn a_header_in_utf8_needs_smtputf8_for_everybody() {
    let world = world().await;
    world.submit_message(&["a@other.example", "b@other.example"], "Subject: grün\r\n\r\nHello.\r\n").await;
    let peer = world.peer("S: 220 hop\n C: EHLO here.example\n S: 250-hop\n S: 250 8BITMIME\n C: QUIT\n S: 221 bye");
    world.run();
    world.empty().await;
    peer.await.unwrap();
    // One notice for both, which told() shows the first of.
    assert_eq!(told(&world), [("rfc822; a@other.example".to_owned(), "5.6.7".to_owned())]);
    assert!(world.accounts.delivered()[0].message.contains("rfc822; b@other.example"));
}

#[tokio::test]
async fn what_ends_the_connection_defers_those_who_were_to_follow() {
    let world = world().await;
    world.submit_message(&["jörg@other.example", "a@other.example"], PLAIN).await;
    let peer = world.peer(
        "S: 220 hop
         C: EHLO here.example
         S: 250-hop
         S: 250 SMTPUTF8
         C: MAIL FROM:<you@here.example>
         S: 421 4.3.2 too busy
         S: <close>",
    );
    world.run();
    let rows = world.deferred(1).await;
    peer.await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(told(&world), []);
}

const EIGHT_BIT: &str = "Subject: test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\r\n.Grüße\r\n";

/// The message that was taken, without its end.
fn data(heard: &[String]) -> Vec<&str> {
    let lines = heard.iter().map(String::as_str).skip_while(|line| *line != "DATA").skip(1);
    lines.take_while(|line| *line != ".").collect()
}

#[tokio::test]
async fn a_server_with_8bitmime_gets_8_bits() {
    let world = world().await;
    world.submit_message(&["a@other.example"], EIGHT_BIT).await;
    let peer = world.peer(
        "S: 220 hop
         C: EHLO here.example
         S: 250-hop
         S: 250-SIZE
         S: 250 8BITMIME
         C: MAIL FROM:<you@here.example> SIZE=120 BODY=8BITMIME
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    );
    world.run();
    world.empty().await;
    assert_eq!(data(&peer.await.unwrap())[5..], ["..Grüße"]);
}

#[tokio::test]
async fn a_server_without_8bitmime_gets_7_bits() {
    let world = world().await;
    world.submit_message(&["a@other.example", "b@other.example"], EIGHT_BIT).await;
    let peer = world.peer(
        "S: 220 hop
         C: EHLO here.example
         S: 250-hop
         S: 250-LIMITS RCPTMAX=1
         S: 250 SIZE
         C: MAIL FROM:<you@here.example> SIZE=140
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: MAIL FROM:<you@here.example> SIZE=140
         S: 250 ok
         C: RCPT TO:<b@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    );
    world.run();
    world.empty().await;
    let heard = peer.await.unwrap();
    let expected = [
        "Subject: test",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "..Gr=C3=BC=C3=9Fe",
    ];
    assert_eq!(data(&heard), expected);
    let second = heard.iter().rposition(|line| line == "DATA").unwrap();
    assert_eq!(data(&heard[second..]), expected);
    assert_eq!(told(&world), []);
}

/// More than is read at once, with parts that are sent in different forms.
#[tokio::test]
async fn large_messages_are_converted_in_pieces() {
    let world = world().await;
    let text = "Zeile mit Grün.\r\n".repeat(10_000);
    let message = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--b\r\nContent-Type: image/x\r\n\r\n{text}\r\n--b--\r\n"
    );
    world.submit_message(&["a@other.example"], &message).await;
    let peer = world.peer(super::smtp::ACCEPTS);
    world.run();
    world.empty().await;
    let heard = peer.await.unwrap();
    let sent = data(&heard).join("\r\n") + "\r\n";
    assert!(sent.is_ascii() && sent.lines().all(|line| line.len() <= 76));
    let structure = Structure::scan(sent.as_bytes());
    for part in &structure.root.children {
        let mut decoder = mailstead_message::text::Transfer::new(part.transfer_encoding());
        let mut decoded = Vec::new();
        let body = usize::try_from(part.body.start).unwrap()..usize::try_from(part.body.end).unwrap();
        decoder.decode(&sent.as_bytes()[body], &mut decoded);
        decoder.finish(&mut decoded);
        assert!(decoded == text.as_bytes());
    }
    assert_eq!(structure.root.children.len(), 2);
}

#[tokio::test]
async fn what_is_said_to_be_8_bit_and_is_not_goes_anywhere() {
    let world = world().await;
    let staged = world.stage("Content-Transfer-Encoding: 8bit\r\n\r\nHello.\r\n").await;
    let envelope = Envelope {
        submitter: Some(SUBMITTER),
        sender: ReversePath::parse("<you@here.example>").unwrap(),
        recipients: vec![Address::parse("a@other.example").unwrap().into()],
        eight_bit: true,
        smtputf8: false,
        notification: Notification::default(),
    };
    let (demand, class) = (Demand::default(), MessageClass::Submission);
    world.queue.enqueue(envelope, Vec::new(), staged, demand, class).await.unwrap();
    let peer = world.peer(super::smtp::ACCEPTS);
    world.run();
    world.empty().await;
    assert_eq!(data(&peer.await.unwrap()), ["Content-Transfer-Encoding: 8bit", "", "Hello."]);
}

#[tokio::test]
async fn what_cannot_be_converted_comes_back() {
    let signed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nGrüße\r\n--b--\r\n";
    let strange = "Content-Type: multipart/mixed\r\n\r\nGrüße\r\n";
    for (message, status) in [(signed, "5.6.3"), (strange, "5.6.3")] {
        let world = world().await;
        world.submit_message(&["a@other.example"], message).await;
        let peer = world.peer("S: 220 hop\n C: EHLO here.example\n S: 250 hop\n C: QUIT\n S: 221 bye");
        world.run();
        world.empty().await;
        peer.await.unwrap();
        assert_eq!(told(&world), [("rfc822; a@other.example".to_owned(), status.to_owned())]);
    }
}

/// RFC 6531 §3.1 has SMTPUTF8 include 8BITMIME; a server that offers the first alone gets no 8-bit octets.
#[tokio::test]
async fn smtputf8_without_8bitmime_is_not_enough_for_a_header() {
    let world = world().await;
    world.submit_message(&["a@other.example"], "Subject: grün\r\n\r\nHello.\r\n").await;
    let peer = world.peer("S: 220 hop\n C: EHLO here.example\n S: 250-hop\n S: 250 SMTPUTF8\n C: QUIT\n S: 221 bye");
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(told(&world)[0].1, "5.6.7");
}
