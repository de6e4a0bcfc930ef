//! The examples of RFC 9051 §6.3.9.8, and patterns.

use std::collections::BTreeSet;

use mailstead_imap::Encoder;
use mailstead_imap::Response;
use mailstead_imap::command::ListSelect;
use mailstead_store::{Counts, Mailbox, MailboxId, ModSeq, SpecialUse, Uid, UidValidity};
use proptest::prelude::*;

use super::choose::Hierarchy;
use super::pattern::Pattern;

fn mailbox(name: &str, special_use: Option<SpecialUse>) -> Mailbox {
    Mailbox {
        id: MailboxId(1),
        name: name.to_owned(),
        uid_validity: UidValidity(1),
        uid_next: Uid::new(1).expect("not zero"),
        first_recent: Uid::new(1).expect("not zero"),
        create_modseq: ModSeq(1),
        modseq: ModSeq(1),
        special_use,
        counts: Counts::default(),
        keywords: BTreeSet::new(),
    }
}

/// The lines of a LIST, without `* LIST`, the delimiter and the attributes about children.
fn list(names: &[&str], subscribed: &[&str], select: ListSelect, pattern: &str) -> Vec<String> {
    let mailboxes: Vec<Mailbox> = names.iter().map(|name| mailbox(name, None)).collect();
    lines(&mailboxes, subscribed, select, pattern)
}

fn lines(mailboxes: &[Mailbox], subscribed: &[&str], select: ListSelect, pattern: &str) -> Vec<String> {
    let subscribed: Vec<String> = subscribed.iter().map(|name| (*name).to_owned()).collect();
    let chosen = Hierarchy::new(mailboxes, &subscribed).choose(select, &[Pattern::new("", pattern)]);
    let mut encoder = Encoder::new();
    for chosen in chosen {
        encoder.response(&Response::List(chosen.entry));
    }
    let text = String::from_utf8(encoder.take()).expect("ASCII");
    let short = |line: &str| {
        let line = line.strip_prefix("* LIST ").expect("a LIST response").replace("\"/\" ", "");
        line.replace("\\HasNoChildren", "-").replace("\\HasChildren", "+")
    };
    text.lines().map(short).collect()
}

const PLAIN: ListSelect = ListSelect { subscribed: false, remote: false, recursive_match: false, special_use: false };
const SUBSCRIBED: ListSelect = ListSelect { subscribed: true, ..PLAIN };
const RECURSIVE: ListSelect = ListSelect { recursive_match: true, ..SUBSCRIBED };

const FRUIT: [&str; 8] =
    ["Inbox", "Fruit", "Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable", "Vegetable/Broccoli", "Vegetable/Corn"];
const EATEN: [&str; 5] = ["Inbox", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"];

#[test]
fn example_2_subscribed_mailboxes() {
    assert_eq!(
        list(&FRUIT, &EATEN, SUBSCRIBED, "*"),
        [
            "(- \\Subscribed) Fruit/Banana",
            "(\\NonExistent \\Subscribed -) Fruit/Peach",
            "(- \\Subscribed) Inbox",
            "(+ \\Subscribed) Vegetable",
            "(- \\Subscribed) Vegetable/Broccoli",
        ]
    );
}

#[test]
fn examples_3_and_6_existing_mailboxes() {
    assert_eq!(
        list(&FRUIT, &EATEN, PLAIN, "%"),
        ["(+) Fruit", "(- \\Subscribed) Inbox", "(-) Tofu", "(+ \\Subscribed) Vegetable"]
    );
    let all = list(&FRUIT, &EATEN, PLAIN, "*");
    assert_eq!(all.len(), FRUIT.len());
    assert!(!all.iter().any(|line| line.contains("Peach")));
}

#[test]
fn example_7_child_info() {
    let names = ["Inbox", "Foo", "Foo/Bar", "Foo/Baz", "Moo"];
    assert_eq!(list(&names, &["Foo/Baz"], SUBSCRIBED, "*"), ["(- \\Subscribed) Foo/Baz"]);
    assert!(list(&names, &["Foo/Baz"], SUBSCRIBED, "%").is_empty());
    assert_eq!(list(&names, &["Foo/Baz"], RECURSIVE, "%"), ["(+) Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))"]);
    // A1
    assert_eq!(
        list(&names, &["Foo/Baz", "Foo"], RECURSIVE, "%"),
        ["(+ \\Subscribed) Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))"]
    );
    // A2
    assert_eq!(
        list(&["Inbox", "Moo"], &["Foo/Baz"], RECURSIVE, "%"),
        ["(\\NonExistent -) Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))"]
    );
    // B
    assert!(list(&names, &[], RECURSIVE, "%").is_empty());
    // C
    assert_eq!(list(&names, &["Foo", "Moo"], RECURSIVE, "%"), ["(+ \\Subscribed) Foo", "(- \\Subscribed) Moo"]);
}

#[test]
fn example_8_no_redundant_child_info() {
    let names = [
        "Inbox",
        "foo2",
        "foo2/bar1",
        "foo2/bar2",
        "baz2",
        "baz2/bar2",
        "baz2/bar22",
        "baz2/bar222",
        "eps2",
        "eps2/mamba",
        "qux2",
        "qux2/bar2",
    ];
    let subscribed =
        ["foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "eps2/mamba", "qux2/bar2"];
    assert_eq!(
        list(&names, &subscribed, RECURSIVE, "*2"),
        [
            "(- \\Subscribed) baz2/bar2",
            "(- \\Subscribed) baz2/bar22",
            "(- \\Subscribed) baz2/bar222",
            "(+ \\Subscribed) eps2 (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "(+) foo2 (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "(- \\Subscribed) foo2/bar2",
            "(- \\Subscribed) qux2/bar2",
        ]
    );
}

#[test]
fn special_use() {
    let mailboxes = [mailbox("Inbox", None), mailbox("Old", None), mailbox("Old/Sent", Some(SpecialUse::Sent))];
    let select = ListSelect { special_use: true, ..PLAIN };
    assert_eq!(lines(&mailboxes, &[], select, "*"), ["(- \\Sent) Old/Sent"]);
    let both = ListSelect { special_use: true, ..SUBSCRIBED };
    assert!(lines(&mailboxes, &["Old"], both, "*").is_empty());
    let recursive = ListSelect { recursive_match: true, ..select };
    assert_eq!(lines(&mailboxes, &[], recursive, "%"), ["(+) Old (\"CHILDINFO\" (\"SPECIAL-USE\"))"]);
}

#[test]
fn patterns() {
    let matches = |pattern: &str, name: &str| Pattern::new("", pattern).matches(name);
    for (pattern, yes, no) in [
        ("*", &["a", "a/b"][..], &[][..]),
        ("%", &["a"], &["a/b"]),
        ("a/%", &["a/b", "a/"], &["a", "a/b/c", "b/a/c"]),
        ("a%c", &["ac", "abbc"], &["ab/c", "abcd"]),
        ("%/x*", &["a/x", "a/xy/z"], &["a/b/x", "x"]),
        ("*b%", &["b", "a/ab", "a/b/bc"], &["b/c"]),
        ("INBOX", &["Inbox"], &["Inbox/a", "x/Inbox"]),
        ("inbox/A", &["Inbox/A"], &["Inbox/a"]),
        ("iN*", &["Inbox", "Inbox/a", "iN"], &["inx", "INN"]),
        ("\u{e9}%", &["\u{e9}a"], &["e\u{301}a"]),
        ("", &[], &["a"]),
    ] {
        for name in yes {
            assert!(matches(pattern, name), "{pattern} should match {name}");
        }
        for name in no {
            assert!(!matches(pattern, name), "{pattern} should not match {name}");
        }
    }
    assert!(Pattern::new("a/", "%").matches("a/b"));
    // Recursive matchers take forever here.
    assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    assert!(matches(&"*a%".repeat(200), &"a".repeat(200)));
}

/// The plain definition.
fn simple(pattern: &[char], name: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return name.is_empty() };
    match first {
        '*' => (0..=name.len()).any(|at| simple(rest, &name[at..])),
        '%' => {
            let level = name.iter().take_while(|c| **c != '/').count();
            (0..=level).any(|at| simple(rest, &name[at..]))
        }
        first => name.split_first().is_some_and(|(c, tail)| c == first && simple(rest, tail)),
    }
}

proptest! {
    #[test]
    fn patterns_match_as_defined(pattern in "[ab/%*]{0,7}", name in "[ab/]{0,7}") {
        let characters = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(
            Pattern::new("", &pattern).matches(&name),
            simple(&characters(&pattern), &characters(&name)),
            "{} {}", pattern, name
        );
    }
}
