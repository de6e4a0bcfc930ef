//! FETCH: items, sections, `\Seen`, and what old sessions see of new messages.

use super::{play, scene};

const MIXED: &str = "\
Return-Path: <a@example.org>
From: Ann <a@example.org>
To: friends:;, Bob <b@example.org>
Subject: two parts
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

preamble
--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9
--x
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

AGEK
--x--
";

#[tokio::test]
async fn small_items_in_the_order_asked() {
    let scene = scene().await;
    scene.deliver_with("Inbox", "Subject: hi\n\nbody\n", "\\Flagged").await;
    play(
        &scene,
        r#"
        C: a FETCH 1 (RFC822.SIZE UID FLAGS INTERNALDATE)
        S: * 1 FETCH (RFC822.SIZE 21 UID 1 FLAGS (\Recent \Flagged) INTERNALDATE "01-Mar-2026 12:30:00 +0000")
        S: a OK ~
        C: b FETCH 1 ENVELOPE
        S: * 1 FETCH (ENVELOPE (NIL "hi" NIL NIL NIL NIL NIL NIL NIL NIL))
        S: b OK ~
        C: c FETCH 1 BODY
        S: * 1 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 6 1))
        S: c OK ~
        C: d UID FETCH 1 BODY.PEEK[TEXT]
        S: * 1 FETCH (BODY[TEXT] {6}
        S: body
        S:  UID 1)
        S: d OK ~"#,
    )
    .await;
    scene.check().await;
}

#[tokio::test]
async fn sections_are_served_exactly() {
    let scene = scene().await;
    scene.deliver("Inbox", MIXED).await;
    play(
        &scene,
        r#"
        C: a FETCH 1 BODY.PEEK[HEADER.FIELDS (subject FROM)]
        S: * 1 FETCH (BODY[HEADER.FIELDS (subject FROM)] {49}
        S: From: Ann <a@example.org>
        S: Subject: two parts
        S:
        S: )
        S: a OK ~
        C: b FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.MIME]<0.12> BODY.PEEK[2]<2.100> BODY.PEEK[3])
        S: * 1 FETCH (BODY[1] {9}
        S: caf=C3=A9 BODY[1.MIME]<0> {12}
        S: Content-Type BODY[2]<2> {2}
        S: EK BODY[3] NIL)
        S: b OK ~
        C: c FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.SIZE[2] BINARY.PEEK[1]<3.9>)
        S: * 1 FETCH (BINARY[1] {5}
        S: café BINARY.SIZE[1] 5 BINARY.SIZE[2] 3 BINARY[1]<3> {2}
        S: é)
        S: c OK ~
        C: d FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (From To Subject Return-Path Content-Type)]
        S: * 1 FETCH (BODY[HEADER.FIELDS.NOT ~
        S: MIME-Version: 1.0
        S:
        S: )
        S: d OK ~"#,
    )
    .await;
    scene.check().await;
}

/// Address groups keep their NIL markers in ENVELOPE.
#[tokio::test]
async fn groups_keep_their_markers() {
    let scene = scene().await;
    scene.deliver("Inbox", MIXED).await;
    let answer = scene.selected("Inbox").await.ask("FETCH 1 ENVELOPE").await;
    assert!(answer.contains(r#"((NIL NIL "friends" NIL)(NIL NIL NIL NIL)("Bob" NIL "b" "example.org"))"#), "{answer}");
    scene.check().await;
}

#[tokio::test]
async fn unknown_transfer_encodings_are_named() {
    let scene = scene().await;
    scene.deliver("Inbox", "Content-Transfer-Encoding: x-odd\n\nbody\n").await;
    play(
        &scene,
        r#"
        C: a FETCH 1 (UID BINARY.PEEK[1])
        S: * 1 FETCH (UID 1)
        S: a NO [UNKNOWN-CTE] ~
        C: b FETCH 1 BINARY.SIZE[1]
        S: b NO [UNKNOWN-CTE] ~"#,
    )
    .await;
    scene.check().await;
}

/// `\Seen` set by a FETCH is reported in that FETCH's own reply, and only where it was missing.
#[tokio::test]
async fn implicit_seen_is_in_the_reply() {
    let scene = scene().await;
    scene.deliver_with("Inbox", "Subject: a\n\na\n", "\\Seen").await;
    scene.deliver("Inbox", "Subject: b\n\nb\n").await;
    let mut other = scene.selected("Inbox").await;
    play(
        &scene,
        r"
        C: a FETCH 1:2 BODY.PEEK[TEXT]
        S: * 1 FETCH (BODY[TEXT] {3}
        S: a
        S: )
        S: * 2 FETCH (BODY[TEXT] {3}
        S: b
        S: )
        S: a OK ~
        C: b FETCH 1:2 RFC822.TEXT
        S: * 1 FETCH (RFC822.TEXT {3}
        S: a
        S: )
        S: * 2 FETCH (RFC822.TEXT {3}
        S: b
        S:  UID 2 FLAGS (\Seen))
        S: b OK ~
        C: c NOOP
        S: c OK ~",
    )
    .await;
    other
        .play(
            r"
        C: a NOOP
        S: * 2 FETCH (UID 2 FLAGS (\Recent \Seen))
        S: a OK ~
        C: b EXAMINE Inbox
        S: ~
        S: b OK ~
        C: c STORE 2 -FLAGS (\Seen)
        S: c NO ~
        C: d FETCH 2 BODY[]<0.1>
        S: * 2 FETCH (BODY[]<0> {1}
        S: S)
        S: d OK ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn large_messages_are_streamed() {
    let scene = scene().await;
    let line = format!("{}\n", "x".repeat(98));
    scene.deliver("Inbox", &format!("Subject: big\n\n{}", line.repeat(5000))).await;
    let mut client = scene.selected("Inbox").await;
    let whole = client.ask("FETCH 1 BODY.PEEK[]").await;
    assert!(whole.starts_with("* 1 FETCH (BODY[] {500016}\n"), "{}", &whole[..60]);
    assert_eq!(whole.matches(&line).count(), 5000);
    let part = client.ask("FETCH 1 BODY.PEEK[TEXT]<100000.100000>").await;
    assert_eq!(part.matches(&line).count(), 1000);
    let decoded = client.ask("FETCH 1 BINARY.PEEK[1]<499900.500>").await;
    assert!(decoded.starts_with("* 1 FETCH (BINARY[1]<499900> {100}\n"), "{decoded}");
    scene.check().await;
}

const INTERNATIONAL: &str = "From: Jürgen <jürgen@example.org>\nTo: jane@example.org\nSubject: Grüße\n\nhallo\n";

/// RFC 6855 §7: a session without UTF8=ACCEPT sees a surrogate whose parts agree with each other.
#[tokio::test]
async fn old_sessions_see_a_surrogate() {
    let scene = scene().await;
    scene.deliver("Inbox", INTERNATIONAL).await;
    let mut old = scene.selected("Inbox").await;
    let header = old.ask("FETCH 1 (BODY.PEEK[HEADER] ENVELOPE)").await;
    assert!(header.is_ascii(), "{header}");
    assert!(header.contains("=?utf-8?"), "{header}");
    let mut new = scene.session().await;
    new.ask("ENABLE UTF8=ACCEPT").await;
    new.ask("SELECT Inbox").await;
    let header = new.ask("FETCH 1 (BODY.PEEK[HEADER] ENVELOPE)").await;
    assert!(header.contains("Subject: Grüße"), "{header}");
    assert!(header.contains(r#""Grüße""#), "{header}");
    scene.check().await;
}
