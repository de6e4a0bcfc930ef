//! SELECT, EXAMINE, CLOSE, UNSELECT, EXPUNGE, and what is told when.

use super::{play, scene};

#[tokio::test]
async fn select_says_everything() {
    let scene = scene().await;
    scene.deliver_with("Inbox", "Subject: a\n\na\n", "\\Seen Work").await;
    scene.deliver("Inbox", "Subject: b\n\nb\n").await;
    scene.session().await.play(
        r#"C: a SELECT inbox
          S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $Junk $MDNSent $NotJunk $Phishing work)
          S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $Junk $MDNSent $NotJunk $Phishing work \*)] ~
          S: * 2 EXISTS
          S: * 2 RECENT
          S: * OK [UNSEEN 2] ~
          S: * OK [UIDVALIDITY ~
          S: * OK [UIDNEXT 3] ~
          S: * OK [HIGHESTMODSEQ ~
          S: * LIST (\HasNoChildren \Subscribed) "/" Inbox
          S: a OK [READ-WRITE] ~
          C: b EXAMINE Inbox
          S: * OK [CLOSED] ~
          S: * FLAGS ~
          S: * OK [PERMANENTFLAGS ()] ~
          S: * 2 EXISTS
          S: * 0 RECENT
          S: ~
          S: b OK [READ-ONLY] ~
          C: c STORE 1 +FLAGS (\Seen)
          S: c NO [READ-ONLY] ~
          C: d SELECT nowhere
          S: * OK [CLOSED] ~
          S: d NO [NONEXISTENT] ~
          C: e FETCH 1 FLAGS
          S: e BAD ~"#,
    ).await;
    scene.check().await;
}

#[tokio::test]
async fn rev2_sessions_hear_nothing_of_recent() {
    let scene = scene().await;
    scene.fill(1).await;
    scene
        .session()
        .await
        .play(
            r"C: a ENABLE IMAP4rev2
          S: * ENABLED IMAP4rev2
          S: a OK ~
          C: b SELECT Inbox
          S: * FLAGS ~
          S: * OK [PERMANENTFLAGS ~
          S: * 1 EXISTS
          S: * OK [UIDVALIDITY ~
          S: ~
          S: b OK ~
          C: c FETCH 1 FLAGS
          S: * 1 FETCH (FLAGS ())
          S: c OK ~",
        )
        .await;
    // The claim was left to this session.
    scene
        .selected("Inbox")
        .await
        .play(
            r"
        C: a FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS (\Recent))
        S: a OK ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn expunge_renumbers_and_close_is_silent() {
    let scene = scene().await;
    scene.fill(5).await;
    play(
        &scene,
        r"
        C: a STORE 2,4:5 +FLAGS.SILENT (\Deleted)
        S: a OK ~
        C: b UID EXPUNGE 1:4
        S: * 2 EXPUNGE
        S: * 3 EXPUNGE
        S: b OK ~
        C: c FETCH 1:* UID
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 3)
        S: * 3 FETCH (UID 5)
        S: c OK ~
        C: d CLOSE
        S: d OK ~
        C: e NOOP
        S: e OK ~
        C: f SELECT Inbox
        S: ~
        S: * 2 EXISTS
        S: ~
        S: f OK ~
        C: g STORE 1 +FLAGS (\Deleted)
        S: * 1 FETCH (UID 1 FLAGS (\Deleted))
        S: g OK ~
        C: h UNSELECT
        S: h OK ~
        C: i STATUS Inbox (MESSAGES DELETED)
        S: * STATUS Inbox (MESSAGES 2 DELETED 1)
        S: i OK ~",
    )
    .await;
    scene.check().await;
}

/// RFC 9051 §7.5.1: another session's expunge changes no number while FETCH, STORE or SEARCH is answered.
#[tokio::test]
async fn numbers_hold_until_a_command_that_may_change_them() {
    let scene = scene().await;
    scene.fill(3).await;
    let mut reader = scene.selected("Inbox").await;
    let mut other = scene.selected("Inbox").await;
    other.ask("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    other.ask("EXPUNGE").await;
    scene.deliver("Inbox", "Subject: new\n\nnew\n").await;
    reader
        .play(
            r"
        C: a FETCH 3 UID
        S: * 4 EXISTS
        S: * 4 RECENT
        S: * 3 FETCH (UID 3)
        S: a OK ~
        C: b FETCH 1 RFC822.SIZE
        S: b NO [EXPUNGEISSUED] ~
        C: c STORE 1 +FLAGS (\Seen)
        S: c NO [EXPUNGEISSUED] ~
        C: d COPY 1:2 Archive
        S: * 1 EXPUNGE
        S: d NO [EXPUNGEISSUED] ~
        C: e UID FETCH 1:* UID
        S: * 1 FETCH (UID 2)
        S: * 2 FETCH (UID 3)
        S: * 3 FETCH (UID 4)
        S: e OK ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn message_numbers_out_of_range_never_give_a_wrong_answer() {
    let scene = scene().await;
    scene.fill(2).await;
    play(
        &scene,
        r"
        C: a FETCH 3 UID
        S: a BAD ~
        C: b FETCH 1:3 UID
        S: b BAD ~
        C: c FETCH 3:* UID
        S: c OK ~
        C: d UID FETCH 3:* UID
        S: * 2 FETCH (UID 2)
        S: d OK ~
        C: e UID FETCH 77 UID
        S: e OK ~",
    )
    .await;
    scene
        .selected("Archive")
        .await
        .play(
            r"
        C: a FETCH 1:* UID
        S: a OK ~
        C: b UID FETCH 1:* UID
        S: b OK ~
        C: c FETCH 1 UID
        S: c BAD ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn a_mailbox_deleted_elsewhere_ends_the_session() {
    let scene = scene().await;
    let mut reader = scene.selected("Archive").await;
    scene.session().await.ask("DELETE Archive").await;
    reader
        .play(
            r"
        C: a NOOP
        S: * BYE ~
        S: <closed>",
        )
        .await;
    scene.check().await;
}
