//! CONDSTORE and QRESYNC (RFC 7162).

use super::{Client, Scene, scene};

/// The number after a word in an answer.
fn number(answer: &str, word: &str) -> u64 {
    let rest = answer.split_once(word).unwrap_or_else(|| panic!("no {word} in {answer}")).1;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

async fn modseq(client: &mut Client, uid: u32) -> u64 {
    number(&client.ask(&format!("UID FETCH {uid} MODSEQ")).await, "MODSEQ (")
}

async fn aware(scene: &Scene, what: &str) -> Client {
    let mut client = scene.session().await;
    client.ask(&format!("ENABLE {what}")).await;
    client.ask("SELECT Inbox").await;
    client
}

/// RFC 7162 §3.1: the first enabling command tells HIGHESTMODSEQ; after it every FETCH response has MODSEQ and UID.
#[tokio::test]
async fn enabling_commands_enable() {
    let scene = scene().await;
    scene.fill(2).await;
    let mut client = scene.selected("Inbox").await;
    let mut other = scene.selected("Inbox").await;
    let answer = client.ask("FETCH 1 MODSEQ").await;
    assert!(answer.starts_with("* OK [HIGHESTMODSEQ "), "{answer}");
    assert!(answer.contains("* 1 FETCH (MODSEQ ("), "{answer}");
    other.ask("STORE 1 +FLAGS (\\Seen)").await;
    let answer = client.ask("NOOP").await;
    assert!(answer.starts_with("* 1 FETCH (UID 1 FLAGS (\\Recent \\Seen) MODSEQ ("), "{answer}");
    let answer = client.ask("STORE 2 +FLAGS.SILENT (\\Seen)").await;
    assert!(answer.starts_with("* 2 FETCH (UID 2 MODSEQ ("), "{answer}");
    let answer = client.ask("FETCH 2 FLAGS").await;
    assert!(answer.contains("FLAGS (\\Recent \\Seen) MODSEQ ("), "{answer}");
    scene.check().await;
}

#[tokio::test]
async fn conditional_store() {
    let scene = scene().await;
    scene.fill(3).await;
    let mut client = aware(&scene, "CONDSTORE").await;
    let mut other = scene.selected("Inbox").await;
    let before = number(&client.ask("STATUS Inbox (HIGHESTMODSEQ)").await, "HIGHESTMODSEQ ");
    other.ask("STORE 2 +FLAGS (\\Flagged)").await;
    let answer = client.ask(&format!("STORE 1:3 (UNCHANGEDSINCE {before}) +FLAGS.SILENT (\\Seen)")).await;
    let lines: Vec<&str> = answer.lines().collect();
    assert!(lines[0].starts_with("* 1 FETCH (UID 1 MODSEQ ("), "{answer}");
    assert!(lines[1].starts_with("* 2 FETCH (UID 2 FLAGS (\\Recent \\Flagged) MODSEQ ("), "{answer}");
    assert!(lines[2].starts_with("* 3 FETCH (UID 3 MODSEQ ("), "{answer}");
    assert!(lines[3].starts_with("OK [MODIFIED 2] "), "{answer}");
    // RFC 7162 §3.1.3, example 7: 0 always fails.
    let answer = client.ask("UID STORE 3 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)").await;
    assert!(answer.starts_with("OK [MODIFIED 3] "), "{answer}");
    scene.check().await;
}

#[tokio::test]
async fn changed_since_and_vanished() {
    let scene = scene().await;
    scene.fill(4).await;
    let mut client = aware(&scene, "QRESYNC").await;
    let before = number(&client.ask("STATUS Inbox (HIGHESTMODSEQ)").await, "HIGHESTMODSEQ ");
    client.ask("STORE 2 +FLAGS (\\Seen)").await;
    client.ask("STORE 4 +FLAGS (\\Deleted)").await;
    let answer = client.ask("EXPUNGE").await;
    assert!(answer.starts_with("* VANISHED 4\nOK [HIGHESTMODSEQ "), "{answer}");
    let answer = client.ask(&format!("UID FETCH 1:10 (FLAGS) (CHANGEDSINCE {before} VANISHED)")).await;
    assert!(
        answer.starts_with("* VANISHED (EARLIER) 4\n* 2 FETCH (FLAGS (\\Recent \\Seen) UID 2 MODSEQ ("),
        "{answer}"
    );
    assert_eq!(answer.lines().count(), 3, "{answer}");
    let mut plain = scene.selected("Inbox").await;
    assert!(plain.ask("UID FETCH 1:10 (FLAGS) (CHANGEDSINCE 1 VANISHED)").await.contains("BAD"));
    assert!(plain.ask("SELECT Inbox (QRESYNC (1 1))").await.contains("BAD"));
    scene.check().await;
}

#[tokio::test]
async fn select_with_qresync_tells_what_was_missed() {
    let scene = scene().await;
    scene.fill(6).await;
    let mut client = scene.session().await;
    client.ask("ENABLE QRESYNC").await;
    let answer = client.ask("SELECT Inbox").await;
    let (validity, highest) = (number(&answer, "UIDVALIDITY "), number(&answer, "HIGHESTMODSEQ "));
    client.ask("UNSELECT").await;
    let mut other = scene.selected("Inbox").await;
    other.ask("STORE 2,5 +FLAGS (\\Deleted)").await;
    other.ask("EXPUNGE").await;
    other.ask("UID STORE 3 +FLAGS (\\Seen)").await;
    scene.deliver("Inbox", "Subject: new\n\nnew\n").await;

    let answer = client.ask(&format!("SELECT Inbox (QRESYNC ({validity} {highest}))")).await;
    let missed = |answer: &str| -> Vec<String> {
        let lines = answer.lines().filter(|line| line.contains("VANISHED") || line.contains("FETCH"));
        lines.map(|line| line.split(" MODSEQ").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(
        missed(&answer),
        ["* VANISHED (EARLIER) 2,5", "* 2 FETCH (UID 3 FLAGS (\\Seen)", "* 5 FETCH (UID 7 FLAGS (\\Recent)"]
    );

    // Only what the client says it knows.
    let answer = client.ask(&format!("SELECT Inbox (QRESYNC ({validity} {highest} 4:6))")).await;
    assert!(answer.starts_with("* OK [CLOSED]"), "{answer}");
    assert_eq!(missed(&answer), ["* VANISHED (EARLIER) 5"]);
    // §3.2.5.2: numbers that still match show how far the client is right.
    let answer = client.ask(&format!("SELECT Inbox (QRESYNC ({validity} {highest} 1:6 (1,2,3 1,3,4)))")).await;
    assert_eq!(missed(&answer)[0], "* VANISHED (EARLIER) 5");
    // §3.2.5: another UIDVALIDITY, nothing more to say.
    let answer = client.ask(&format!("SELECT Inbox (QRESYNC ({} {highest}))", validity + 1)).await;
    assert!(missed(&answer).is_empty() && answer.contains("OK [READ-WRITE]"), "{answer}");
    scene.check().await;
}

/// RFC 7162 §6: while an expunge is held back, the client is kept from remembering a mod-sequence beyond it.
#[tokio::test]
async fn delayed_expunges_lower_the_highest_modseq() {
    let scene = scene().await;
    scene.fill(3).await;
    let mut client = aware(&scene, "QRESYNC").await;
    let mut other = scene.selected("Inbox").await;
    other.ask("STORE 1 +FLAGS (\\Deleted)").await;
    let before = number(&client.ask("NOOP").await, "MODSEQ (");
    other.ask("EXPUNGE").await;
    let answer = client.ask("STORE 3 +FLAGS.SILENT (\\Seen)").await;
    let told = number(&answer, "[HIGHESTMODSEQ ");
    assert!(told == before && number(&answer, "MODSEQ (") > told, "{answer}");
    let answer = client.ask("NOOP").await;
    assert!(answer.starts_with("* VANISHED 1\n* OK [HIGHESTMODSEQ "), "{answer}");
    assert!(number(&answer, "[HIGHESTMODSEQ ") >= modseq(&mut client, 3).await, "{answer}");
    scene.check().await;
}

#[tokio::test]
async fn implicit_seen_tells_its_modseq() {
    let scene = scene().await;
    scene.fill(1).await;
    let mut client = aware(&scene, "CONDSTORE").await;
    let answer = client.ask("FETCH 1 BODY[TEXT]<0.4>").await;
    assert!(answer.contains(" UID 1 FLAGS (\\Recent \\Seen) MODSEQ ("), "{answer}");
    scene.check().await;
}
