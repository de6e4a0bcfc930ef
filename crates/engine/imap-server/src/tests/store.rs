//! STORE, COPY, MOVE.

use super::{play, scene};

#[tokio::test]
async fn flags_are_told_unless_silent() {
    let scene = scene().await;
    scene.fill(2).await;
    let mut other = scene.selected("Inbox").await;
    play(
        &scene,
        r"
        C: a STORE 1:2 FLAGS (\Seen \Flagged)
        S: * 1 FETCH (UID 1 FLAGS (\Seen \Flagged))
        S: * 2 FETCH (UID 2 FLAGS (\Seen \Flagged))
        S: a OK ~
        C: b STORE 2 -FLAGS.SILENT (\Flagged)
        S: b OK ~
        C: c UID STORE 1,77 +FLAGS (\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\Seen \Flagged))
        S: c OK ~
        C: d NOOP
        S: d OK ~",
    )
    .await;
    other
        .play(
            r"
        C: a NOOP
        S: * 1 FETCH (UID 1 FLAGS (\Recent \Seen \Flagged))
        S: * 2 FETCH (UID 2 FLAGS (\Recent \Seen))
        S: a OK ~",
        )
        .await;
    scene.check().await;
}

/// A keyword nobody has seen is announced by FLAGS before it is used, in every session.
#[tokio::test]
async fn new_keywords_are_announced() {
    let scene = scene().await;
    scene.fill(1).await;
    let mut other = scene.selected("Inbox").await;
    play(
        &scene,
        r"
        C: a STORE 1 +FLAGS (ToDo)
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $Junk $MDNSent $NotJunk $Phishing todo)
        S: * 1 FETCH (UID 1 FLAGS (todo))
        S: a OK ~
        C: b STORE 1 +FLAGS (todo)
        S: * 1 FETCH (UID 1 FLAGS (todo))
        S: b OK ~",
    )
    .await;
    other
        .play(
            r"
        C: a FETCH 1 FLAGS
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $Junk $MDNSent $NotJunk $Phishing todo)
        S: * 1 FETCH (UID 1 FLAGS (\Recent todo))
        S: * 1 FETCH (FLAGS (\Recent todo))
        S: a OK ~",
        )
        .await;
    scene.check().await;
}

/// RFC 9051 §6.4.6: `.SILENT` does not hide what somebody else did.
#[tokio::test]
async fn silence_does_not_hide_other_changes() {
    let scene = scene().await;
    scene.fill(1).await;
    let mut other = scene.selected("Inbox").await;
    let mut client = scene.selected("Inbox").await;
    other.ask("STORE 1 +FLAGS (\\Answered)").await;
    client
        .play(
            r"
        C: a STORE 1 +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\Seen \Answered))
        S: a OK ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn copy_and_move_tell_the_uids() {
    let scene = scene().await;
    scene.fill(4).await;
    play(
        &scene,
        r"
        C: a COPY 1:2 nowhere
        S: a NO [TRYCREATE] ~
        C: b COPY 1:2 Archive
        S: b OK [COPYUID ~
        C: c COPY 1 Inbox
        S: c NO [CANNOT] ~
        C: d MOVE 2,4 Archive
        S: * OK [COPYUID ~
        S: * 2 EXPUNGE
        S: * 3 EXPUNGE
        S: d OK ~
        C: e UID COPY 77 Archive
        S: e OK ~
        C: f UID MOVE 3 nowhere
        S: f NO [TRYCREATE] ~
        C: g FETCH 1:* UID
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 3)
        S: g OK ~
        C: h STATUS Archive (MESSAGES UIDNEXT)
        S: * STATUS Archive (MESSAGES 4 UIDNEXT 5)
        S: h OK ~",
    )
    .await;
    let answer = scene.selected("Inbox").await.ask("UID COPY 1,3 Archive").await;
    assert!(answer.contains(" 1,3 5:6] "), "{answer}");
    scene.check().await;
}
