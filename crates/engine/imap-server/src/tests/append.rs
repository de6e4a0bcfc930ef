//! APPEND.

use mailstead_login::PlaintextLogin;

use super::{play, scene};
use crate::Security;

#[tokio::test]
async fn messages_are_stored_with_flags_and_date() {
    let scene = scene().await;
    play(
        &scene,
        r#"
        C: a APPEND Inbox (\Seen $Junk) "01-Jan-2020 00:00:00 +0100" {20}
        S: + ~
        C: Subject: x
        C:
        C: body
        C:
        S: * 1 EXISTS
        S: * 1 RECENT
        S: a OK [APPENDUID ~
        C: b FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)
        S: * 1 FETCH (FLAGS (\Recent \Seen $Junk) INTERNALDATE "31-Dec-2019 23:00:00 +0000" RFC822.SIZE 20)
        S: b OK ~
        C: c APPEND Inbox {1+}
        C: x
        S: ~
        S: c OK [APPENDUID ~"#,
    )
    .await;
    scene.check().await;
}

#[tokio::test]
async fn refusals_come_before_the_message() {
    let scene = scene().await;
    scene
        .jane
        .write(|write| {
            write.set_quota(Some(1000));
            Ok(())
        })
        .await
        .expect("a quota");
    play(
        &scene,
        r"
        C: a APPEND nowhere {10}
        S: a NO [TRYCREATE] ~
        C: b APPEND Inbox {0}
        S: b NO ~
        C: c APPEND Inbox {100001}
        S: c NO [TOOBIG] ~
        C: d APPEND Inbox {2000}
        S: d NO [OVERQUOTA] ~
        C: e APPEND nowhere {10+}
        C: 12345678
        C:
        S: e NO [TRYCREATE] ~
        C: f NOOP
        S: f OK ~",
    )
    .await;
    scene.check().await;
}

#[tokio::test]
async fn strangers_append_nothing() {
    let scene = scene().await;
    let mut client = scene.connect(Security::Cleartext, PlaintextLogin::Allowed);
    client.line().await;
    client
        .play(
            r"
        C: a APPEND Inbox {5}
        S: a BAD ~
        C: b APPEND Inbox {5+}
        C: 12345
        S: b BAD ~
        C: c NOOP
        S: c OK ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn utf8_headers_need_a_session_that_can_read_them() {
    let scene = scene().await;
    let mut client = scene.selected("Inbox").await;
    client
        .play(
            r"
        C: a APPEND Inbox {18+}
        C: Subject: é
        C:
        C: x
        C:
        S: a NO [CANNOT] ~
        C: b APPEND Inbox UTF8 (~{16+}
        C: Subject: é
        C:
        C: x)
        S: b BAD ~",
        )
        .await;
    let mut client = scene.session().await;
    client
        .play(
            r"
        C: a ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: a OK ~
        C: b APPEND Inbox UTF8 (~{16+}
        C: Subject: é
        C:
        C: x)
        S: b OK [APPENDUID ~",
        )
        .await;
    scene.check().await;
}

/// Several messages in one APPEND (RFC 3502) are not offered: a client that sends them unasked is told why it must go.
#[tokio::test]
async fn what_follows_a_message_unasked_ends_the_session() {
    let scene = scene().await;
    let mut client = scene.selected("Inbox").await;
    client
        .play(
            r"
        C: a APPEND Inbox {3+}
        C: abc {3+}
        C: def
        S: a BAD a literal ~
        S: * BYE a literal ~",
        )
        .await;
    scene.check().await;
}
