//! SEARCH: keys, result options, the saved result; and against a plain reading of every message.

use std::fmt;

use mailstead_store::{Flags, NewMessage};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Client, Scene, play, scene};

async fn letters() -> Scene {
    let scene = scene().await;
    for (message, flags) in [
        ("From: Ann <ann@example.org>\nSubject: lunch\nDate: Mon, 2 Feb 2026 23:30:00 -0800\n\nsoup\n", "\\Seen"),
        ("From: bob@example.org\nSubject: =?utf-8?q?Caf=C3=A9?= plans\nList-Id: <x.example.org>\n\nlunch there?\n", ""),
        (
            "From: Ann <ann@example.org>\nSubject: Re: lunch\nContent-Transfer-Encoding: base64\n\nc291cCE=\n",
            "$Junk mine",
        ),
    ] {
        scene.deliver_with("Inbox", message, flags).await;
    }
    scene
}

#[tokio::test]
async fn keys() {
    let scene = letters().await;
    let mut client = scene.selected("Inbox").await;
    for (keys, found) in [
        ("ALL", " 1 2 3"),
        ("SEEN", " 1"),
        ("UNSEEN NOT 2", " 3"),
        ("KEYWORD $junk", " 3"),
        ("KEYWORD MINE UNKEYWORD other", " 3"),
        ("UNKEYWORD mine", " 1 2"),
        ("OR FROM bob SUBJECT re:", " 2 3"),
        ("SUBJECT LUNCH", " 1 3"),
        ("TEXT lunch", " 1 2 3"),
        ("BODY lunch", " 2"),
        ("BODY soup", " 1 3"),
        ("BODY \"soup!\"", " 3"),
        ("SUBJECT \"caf\u{e9} PLANS\"", " 2"),
        ("CHARSET UTF-8 TEXT {5+}\r\nCAF\u{c9}", " 2"),
        ("HEADER List-Id \"\"", " 2"),
        ("HEADER list-id x.example NOT HEADER from ann", " 2"),
        // The word is in the message, but not in that field.
        ("HEADER Subject soup", ""),
        ("SENTON 2-Feb-2026", " 1"),
        ("SENTSINCE 3-Feb-2026", ""),
        // Messages without a date are on no side of any.
        ("NOT SENTBEFORE 1-Jan-2100", " 2 3"),
        ("ON 1-Mar-2026 NOT BEFORE 1-Mar-2026 SINCE 28-Feb-2026", " 1 2 3"),
        ("LARGER 100 SMALLER 110", " 2"),
        ("UID 2:* (OR 1 3)", " 3"),
        ("*:2 UNDELETED UNDRAFT UNFLAGGED UNANSWERED", " 2 3"),
        ("RECENT", " 1 2 3"),
        ("OLD", ""),
        ("NEW", " 2 3"),
        ("TEXT \"\"", " 1 2 3"),
        ("TEXT nowhere", ""),
    ] {
        let answer = client.ask(&format!("SEARCH {keys}")).await;
        assert_eq!(answer.lines().next(), Some(format!("* SEARCH{found}").as_str()), "{keys}");
        assert!(answer.lines().last().is_some_and(|last| last.starts_with("OK ")), "{keys}: {answer}");
    }
}

#[tokio::test]
async fn result_options() {
    let scene = letters().await;
    play(
        &scene,
        r#"
        C: a SEARCH RETURN () FROM ann
        S: * ESEARCH (TAG "a") ALL 1,3
        S: a OK ~
        C: b UID SEARCH RETURN (MIN MAX COUNT) FROM ann
        S: * ESEARCH (TAG "b") UID MIN 1 MAX 3 COUNT 2
        S: b OK ~
        C: c SEARCH RETURN (MAX) FROM ann
        S: * ESEARCH (TAG "c") MAX 3
        S: c OK ~
        C: d SEARCH RETURN (MIN ALL COUNT) FROM nobody
        S: * ESEARCH (TAG "d") COUNT 0
        S: d OK ~
        C: e SEARCH RETURN (MIN MAX) SEEN
        S: * ESEARCH (TAG "e") MIN 1 MAX 1
        S: e OK ~
        C: f ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: f OK ~
        C: g UID SEARCH FROM ann
        S: * ESEARCH (TAG "g") UID ALL 1,3
        S: g OK ~"#,
    )
    .await;
}

#[tokio::test]
async fn saved_results() {
    let scene = letters().await;
    play(
        &scene,
        r#"
        C: a SEARCH RETURN (SAVE) FROM ann
        S: a OK ~
        C: b SEARCH $ UNSEEN
        S: * SEARCH 3
        S: b OK ~
        C: c UID FETCH $ (FLAGS)
        S: * 1 FETCH ~
        S: * 3 FETCH ~
        S: c OK ~
        C: d SEARCH RETURN (SAVE MIN) OR $ 2
        S: * ESEARCH (TAG "d") MIN 1
        S: d OK ~
        C: e SEARCH RETURN (COUNT) UID $
        S: * ESEARCH (TAG "e") COUNT 1
        S: e OK ~
        C: f SEARCH RETURN (SAVE) 9
        S: f BAD ~
        C: g SEARCH RETURN (COUNT) $
        S: * ESEARCH (TAG "g") COUNT 1
        S: g OK ~
        C: h SEARCH RETURN (SAVE) CHARSET KOI8-R ALL
        S: h NO [BADCHARSET (US-ASCII UTF-8)] ~
        C: i SEARCH RETURN (COUNT) $
        S: * ESEARCH (TAG "i") COUNT 0
        S: i OK ~
        C: j FETCH $ FLAGS
        S: j OK ~"#,
    )
    .await;
}

#[tokio::test]
async fn charsets_and_numbers_out_of_range() {
    let scene = letters().await;
    play(
        &scene,
        "
        C: a SEARCH CHARSET us-ascii SEEN
        S: * SEARCH 1
        S: a OK ~
        C: b SEARCH 4 SEEN
        S: b BAD ~
        C: c SEARCH OR SEEN 1:4
        S: c BAD ~
        C: d UID SEARCH UID 4
        S: * SEARCH
        S: d OK ~
        C: e ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: e OK ~
        C: f SEARCH CHARSET UTF-8 ALL
        S: f BAD ~",
    )
    .await;
}

#[tokio::test]
async fn mod_sequences() {
    let scene = letters().await;
    let mut client = scene.selected("Inbox").await;
    let answer = client.ask("SEARCH MODSEQ 1").await;
    assert!(answer.starts_with("* OK [HIGHESTMODSEQ "), "{answer}");
    client.ask("STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    let answer = client.ask("FETCH 1 MODSEQ").await;
    let modseq = answer.split(['(', ')']).nth(2).expect("a mod-sequence").to_owned();
    let line = |answer: String| answer.lines().next().unwrap_or_default().to_owned();
    assert_eq!(line(client.ask(&format!("SEARCH MODSEQ {modseq}")).await), format!("* SEARCH 1 (MODSEQ {modseq})"));
    assert_eq!(
        line(client.ask("SEARCH RETURN (MIN COUNT) OR MODSEQ \"/flags/\\\\flagged\" all 1 SEEN").await),
        format!("* ESEARCH (TAG \"t{}\") MIN 1 COUNT 3 MODSEQ {modseq}", client.tag)
    );
    let later = modseq.parse::<u64>().expect("a number") + 1;
    assert_eq!(line(client.ask(&format!("SEARCH MODSEQ {later}")).await), "* SEARCH");
}

#[tokio::test]
async fn expunged_messages_are_not_found() {
    let scene = letters().await;
    let mut client = scene.selected("Inbox").await;
    let mut other = scene.selected("Inbox").await;
    other.ask("STORE 2 +FLAGS (\\Deleted)").await;
    other.ask("EXPUNGE").await;
    client
        .play(
            r"
        C: a SEARCH ALL
        S: * SEARCH 1 3
        S: a OK ~
        C: b UID SEARCH TEXT lunch
        S: * SEARCH 1 3
        S: * 2 EXPUNGE
        S: b OK ~",
        )
        .await;
}

/// MIN and MAX look at slices of the mailbox, the result is as if they had looked at all of it.
#[tokio::test]
async fn ends_of_a_large_mailbox() {
    let scene = scene().await;
    let mut staged = Vec::new();
    for body in ["small", &"large ".repeat(40)] {
        let mut stage = scene.store.stage();
        stage.write(format!("Subject: x\r\n\r\n{body}\r\n").as_bytes()).await.expect("space");
        staged.push(stage.finish().await.expect("space"));
    }
    let filled = scene.jane.write(move |write| {
        let mailbox = write.mailbox_by_name("Inbox")?.expect("there").id;
        for number in 1..=1300 {
            write.append(&NewMessage {
                mailbox,
                staged: staged[usize::from([650, 700, 720].contains(&number))].clone(),
                prefix: Vec::new(),
                flags: Flags::default(),
                received_at: "2026-03-01T12:30:00Z".parse().expect("a time"),
                facts: Vec::new(),
            })?;
        }
        Ok(())
    });
    filled.await.expect("stored");
    play(
        &scene,
        r#"
        C: a SEARCH RETURN (MIN MAX) LARGER 200
        S: * ESEARCH (TAG "a") MIN 650 MAX 720
        S: a OK ~
        C: b SEARCH RETURN (MAX) NOT LARGER 200 1:720
        S: * ESEARCH (TAG "b") MAX 719
        S: b OK ~
        C: c SEARCH RETURN (MIN) BODY large LARGER 1000
        S: * ESEARCH (TAG "c")
        S: c OK ~
        C: d SEARCH RETURN (ALL) BODY large
        S: * ESEARCH (TAG "d") ALL 650,700,720
        S: d OK ~"#,
    )
    .await;
    scene.check().await;
}

/// A message in pieces that a plain reading understands.
struct Letter {
    from: &'static str,
    subject: &'static str,
    day: u32,
    body: &'static str,
    flags: &'static str,
}

impl Letter {
    fn text(&self) -> String {
        let Letter { from, subject, day, body, .. } = self;
        format!("From: {from}\nSubject: {subject}\nDate: {day} Mar 2026 10:00:00 +0000\n\n{body}\n")
    }
}

const LETTERS: [Letter; 6] = [
    Letter { from: "ann@x.org", subject: "apple pie", day: 1, body: "banana bread", flags: "\\Seen" },
    Letter { from: "bob@x.org", subject: "Apples", day: 2, body: "pie. an an", flags: "" },
    Letter { from: "ann@y.org", subject: "", day: 3, body: "apple\n\npie", flags: "\\Seen \\Flagged kw" },
    Letter { from: "Ban <c@z.net>", subject: "ana-ban", day: 4, body: "x", flags: "kw" },
    Letter { from: "a@b", subject: "re: re: BREAD", day: 5, body: "nan nana bananas", flags: "\\Flagged" },
    Letter { from: "pie@x.org", subject: "an", day: 6, body: "A.N. an-an", flags: "" },
];

#[derive(Debug, Clone)]
enum Key {
    All,
    Flag(&'static str),
    Set(usize, usize),
    From(&'static str),
    Subject(&'static str),
    Body(&'static str),
    Text(&'static str),
    SentSince(u32),
    Larger(usize),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::All => f.write_str("ALL"),
            Key::Flag("kw") => f.write_str("KEYWORD kw"),
            Key::Flag(flag) => f.write_str(flag.trim_start_matches('\\')),
            Key::Set(first, last) => write!(f, "{first}:{last}"),
            Key::From(needle) => write!(f, "FROM \"{needle}\""),
            Key::Subject(needle) => write!(f, "SUBJECT \"{needle}\""),
            Key::Body(needle) => write!(f, "BODY \"{needle}\""),
            Key::Text(needle) => write!(f, "TEXT \"{needle}\""),
            Key::SentSince(day) => write!(f, "SENTSINCE {day}-Mar-2026"),
            Key::Larger(size) => write!(f, "LARGER {size}"),
            Key::Not(key) => write!(f, "NOT {key}"),
            Key::Or(one, other) => write!(f, "OR {one} {other}"),
            Key::And(keys) => {
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                write!(f, "({})", keys.join(" "))
            }
        }
    }
}

impl Key {
    /// What RFC 9051 §6.4.4 says, taken literally.
    fn matches(&self, number: usize, letter: &Letter) -> bool {
        let contains = |text: &str, needle: &str| text.to_lowercase().contains(&needle.to_lowercase());
        match self {
            Key::All => true,
            Key::Flag(flag) => letter.flags.split(' ').any(|has| has == *flag),
            Key::Set(first, last) => (first.min(last)..=first.max(last)).contains(&&number),
            Key::From(needle) => contains(letter.from, needle),
            Key::Subject(needle) => contains(letter.subject, needle),
            Key::Body(needle) => contains(letter.body, needle),
            Key::Text(needle) => contains(&letter.text(), needle),
            Key::SentSince(day) => letter.day >= *day,
            Key::Larger(size) => letter.text().replace('\n', "\r\n").len() > *size,
            Key::Not(key) => !key.matches(number, letter),
            Key::Or(one, other) => one.matches(number, letter) || other.matches(number, letter),
            Key::And(keys) => keys.iter().all(|key| key.matches(number, letter)),
        }
    }
}

fn key() -> impl Strategy<Value = Key> {
    let needle =
        prop::sample::select(vec!["an", "AN", "pie", "banana", "apple pie", "x.org", "a", "-", "an an", "zzz"]);
    let leaf = prop_oneof![
        Just(Key::All),
        prop::sample::select(vec!["\\Seen", "\\Flagged", "kw"]).prop_map(Key::Flag),
        (1..=LETTERS.len(), 1..=LETTERS.len()).prop_map(|(first, last)| Key::Set(first, last)),
        needle.clone().prop_map(Key::From),
        needle.clone().prop_map(Key::Subject),
        needle.clone().prop_map(Key::Body),
        needle.prop_map(Key::Text),
        (1_u32..8).prop_map(Key::SentSince),
        (85_usize..105).prop_map(Key::Larger),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| Key::Not(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| Key::Or(Box::new(one), Box::new(other))),
            prop::collection::vec(inner, 1..4).prop_map(Key::And),
        ]
    })
}

/// Whatever order and index the server takes, it finds what a plain reading of every message finds.
#[test]
fn any_key_finds_what_a_plain_reading_finds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (_scene, client) = runtime.block_on(async {
        let scene = scene().await;
        for letter in &LETTERS {
            scene.deliver_with("Inbox", &letter.text(), letter.flags).await;
        }
        let client = scene.selected("Inbox").await;
        (scene, client)
    });
    let client = std::cell::RefCell::new(client);
    let search = |command: String| {
        let client: &mut Client = &mut client.borrow_mut();
        runtime.block_on(client.ask(&command))
    };
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(150) });
    let outcome = runner.run(&key(), |key| {
        let expected: Vec<usize> = (1..)
            .zip(&LETTERS)
            .filter(|(number, letter)| key.matches(*number, letter))
            .map(|(number, _)| number)
            .collect();
        let numbers: String = expected.iter().map(|number| format!(" {number}")).collect();
        let listed = format!("* SEARCH{numbers}");
        let answer = search(format!("SEARCH {key}"));
        prop_assert_eq!(answer.lines().next(), Some(listed.as_str()), "{}", key);
        let ends = [("MIN", expected.first()), ("MAX", expected.last())];
        let ends: String = ends.iter().filter_map(|(name, end)| Some(format!(" {name} {}", (*end)?))).collect();
        let answer = search(format!("SEARCH RETURN (MIN MAX) {key}"));
        let told = answer.lines().next().and_then(|line| line.split_once(')')).map(|(_, told)| told);
        prop_assert_eq!(told, Some(ends.as_str()), "{}", key);
        Ok(())
    });
    outcome.expect("the same");
}
