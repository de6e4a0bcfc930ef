use super::*;
use proptest::prelude::*;

fn lenient(line: &str) -> String {
    Command::parse(line.as_bytes(), Strictness::Lenient)
        .map_or_else(|error| format!("! {error}"), |command| format!("{command:?}"))
}

fn pedantic(line: &str) -> bool {
    Command::parse(line.as_bytes(), Strictness::Pedantic).is_ok()
}

#[test]
fn forgiven_unless_pedantic() {
    for (sloppy, proper) in [
        ("mail from: <a@b.example>", "MAIL FROM:<a@b.example>"),
        ("MAIL FROM:a@b.example", "MAIL FROM:<a@b.example>"),
        ("MAIL FROM:<a@b.example>  SIZE=1", "MAIL FROM:<a@b.example> SIZE=1"),
        ("MAIL FROM:<a@b.example> ", "MAIL FROM:<a@b.example>"),
        ("RCPT TO: <a@b.example>", "RCPT TO:<a@b.example>"),
        ("DATA ", "DATA"),
        ("AUTH PLAIN   AGEAYg==", "AUTH PLAIN AGEAYg=="),
    ] {
        assert_eq!(lenient(sloppy), lenient(proper));
        assert!(!lenient(proper).starts_with('!'));
        assert!(pedantic(proper) && !pedantic(sloppy), "{sloppy}");
    }
    let long = format!("RCPT TO:<{}@b.example>", "a".repeat(65));
    assert!(!pedantic(&long) && !lenient(&long).starts_with('!'));
    assert!(!pedantic("EHLO a(b") && !lenient("EHLO a(b").starts_with('!'));
    assert!(!pedantic("NOOP a b") && pedantic("NOOP \"a b\""));
}

#[test]
fn paths() {
    assert_eq!(lenient("MAIL FROM:<>"), "Mail(Null, [])");
    assert_eq!(lenient("RCPT TO:<postmaster>"), "Rcpt(Postmaster, [])");
    assert_eq!(lenient("RCPT TO:<@c.example,@d.example:a@b.example>"), lenient("RCPT TO:<a@b.example>"));
    assert!(lenient("RCPT TO:<\"a b\"@[192.0.2.1]>").starts_with("Rcpt"));
    for bad in
        ["MAIL", "MAIL FROM", "MAIL TO:<>", "MAIL FROM:<a@b.example", "RCPT TO:<>", "RCPT TO:<a>", "MAIL FROM:<>SIZE=1"]
    {
        assert!(lenient(bad).starts_with('!'), "{bad}: {}", lenient(bad));
    }
}

#[test]
fn auth_arguments() {
    let parse = |line: &str| match Command::parse(line.as_bytes(), Strictness::Lenient) {
        Ok(Command::Auth(mechanism, initial)) => (mechanism, initial.map(|initial| initial.expose().clone())),
        other => panic!("{other:?}"),
    };
    assert_eq!(parse("AUTH plain"), ("PLAIN".into(), None));
    assert_eq!(parse("AUTH PLAIN ="), ("PLAIN".into(), Some(Vec::new())));
    assert_eq!(parse("AUTH PLAIN AGEAYg=="), ("PLAIN".into(), Some(b"\0a\0b".to_vec())));
    assert_eq!(lenient("AUTH PLAIN AGEAYg="), "! initial response is not base64");
    assert_eq!(lenient("AUTH PLAIN AGEAYg=="), "Auth(\"PLAIN\", Some(***))");
    assert!(lenient("AUTH").starts_with('!') && lenient("AUTH PL\"AIN").starts_with('!'));
}

#[test]
fn octets_that_are_not_utf_8() {
    let parse = |line: &[u8]| Command::parse(line, Strictness::Lenient).unwrap_err();
    assert_eq!(parse(b"\xff\xfe"), CommandError::Unknown);
    assert!(matches!(parse(b"MAIL FROM:<\xff@b.example>"), CommandError::Syntax(_)));
}

proptest! {
    #[test]
    fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..40), verb in 0..VERBS.len()) {
        let line = [VERBS[verb].as_bytes(), b" ", &line].concat();
        for strictness in [Strictness::Lenient, Strictness::Pedantic] {
            let _ = Command::parse(&line, strictness);
        }
    }
}
