//! Commands in, values out; and what is said about what is none.

use jiff::civil::date;
use proptest::prelude::*;

use super::{Failure, request};
use crate::command::{
    Access, Charset, Command, DateField, DateRelation, Fetch, FetchAttribute, ListReturn, ListSelect, Numbering,
    Partial, SearchKey, SearchReturn, Section, SectionText, SeenEffect, SpecialUse, StatusItem, StoreAction,
};
use crate::{Error, Flag, MessageSet, NameEncoding};

fn parse(line: &str) -> Command {
    match request(format!("a1 {line}\r\n").as_bytes(), NameEncoding::ModifiedUtf7) {
        Ok(request) => {
            assert_eq!(request.tag.as_str(), "a1");
            request.command
        }
        Err(failure) => panic!("{line}: {}", failure.error),
    }
}

fn complaint(line: &str) -> String {
    match request(format!("a1 {line}\r\n").as_bytes(), NameEncoding::ModifiedUtf7) {
        Ok(request) => panic!("{line} was taken for {request:?}"),
        Err(Failure { error, .. }) => error.to_string(),
    }
}

fn fetch(line: &str) -> Fetch {
    match parse(line) {
        Command::Fetch(fetch) => fetch,
        other => panic!("{line} was taken for {other:?}"),
    }
}

fn search_key(keys: &str) -> SearchKey {
    match parse(&format!("SEARCH {keys}")) {
        Command::Search(search) => search.key,
        other => panic!("{keys} was taken for {other:?}"),
    }
}

/// Commands of every kind, to be cut anywhere.
const COMMANDS: [&str; 40] = [
    "CAPABILITY",
    "ID NIL",
    "ID (\"name\" \"Some Client\" \"version\" NIL)",
    "LOGIN \"joe\" \"a\\\\b\\\"c\"",
    "LOGIN {3}\r\njoe {6+}\r\npa ss!",
    "AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=",
    "AUTHENTICATE EXTERNAL =",
    "ENABLE QRESYNC UTF8=ACCEPT",
    "SELECT INBOX",
    "SELECT \"Entw&APw-rfe\" (CONDSTORE)",
    "EXAMINE x (QRESYNC (67890007 90060115194045000 41:211,214:541))",
    "SELECT x (QRESYNC (67890007 20050715194045000 1:29997 (5000,7500,9000 15000,22500,27000)))",
    "CREATE Sent (USE (\\Sent))",
    "RENAME a {1}\r\nb",
    "LIST \"\" *",
    "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"a%\" b*) RETURN (CHILDREN STATUS (MESSAGES UNSEEN) SPECIAL-USE)",
    "LSUB \"\" \"%/x\"",
    "STATUS blurdybloop (UIDNEXT MESSAGES HIGHESTMODSEQ SIZE)",
    "SEARCH RETURN (MIN COUNT SAVE) CHARSET UTF-8 OR (SEEN 1:3) NOT FROM {5}\r\nSmith SINCE 1-Feb-1994",
    "UID SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338",
    "SEARCH $ SENTON \"17-Jul-1996\" LARGER 4096 HEADER List-Id \"\"",
    "FETCH 2:4,7 ALL",
    "FETCH 1:* (FLAGS BODY[HEADER.FIELDS (DATE FROM)] BODY.PEEK[1.2.MIME]<0.2048> BINARY.SIZE[1])",
    "UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
    "STORE 2:4 +FLAGS.SILENT (\\Deleted $Junk)",
    "UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) FLAGS \\Seen \\Flagged",
    "STORE 1 -FLAGS ()",
    "COPY $ MEETING",
    "UID MOVE 42:69 foo",
    "UID EXPUNGE 3000:3002",
    "NOOP",
    "LOGOUT",
    "STARTTLS",
    "IDLE",
    "CHECK",
    "CLOSE",
    "UNSELECT",
    "EXPUNGE",
    "NAMESPACE",
    "FETCH 1 BODY",
];

#[test]
fn a_prefix_is_incomplete_and_never_an_error() {
    for command in COMMANDS {
        let whole = format!("tag.1 {command}\r\n");
        assert!(request(whole.as_bytes(), NameEncoding::ModifiedUtf7).is_ok(), "{command}");
        for length in 0..whole.len() {
            let prefix = &whole.as_bytes()[..length];
            let failure = request(prefix, NameEncoding::ModifiedUtf7).expect_err(command);
            assert_eq!(failure.error, Error::Incomplete, "{:?}", String::from_utf8_lossy(prefix));
        }
    }
}

#[test]
fn letter_case_does_not_matter() {
    for command in COMMANDS.into_iter().filter(|command| !command.contains("AGpv")) {
        let lower = format!("t {}\r\n", command.to_lowercase());
        assert!(request(lower.as_bytes(), NameEncoding::ModifiedUtf7).is_ok(), "{command}");
    }
}

#[test]
fn simple_arguments() {
    let Command::Login { user, password } = parse("LOGIN joe@example.org \"p\\\"w\"") else { panic!() };
    assert_eq!((user.as_str(), password.expose().as_str()), ("joe@example.org", "p\"w"));
    let Command::Authenticate { mechanism, initial_response } = parse("authenticate plain AGEAYg==") else { panic!() };
    assert_eq!(mechanism, "PLAIN");
    assert_eq!(initial_response.expect("given").expose().as_slice(), b"\0a\0b");
    let Command::Authenticate { initial_response: Some(empty), .. } = parse("AUTHENTICATE X =") else { panic!() };
    assert!(empty.expose().is_empty());
    let Command::Id(Some(fields)) = parse("ID (\"name\" \"x\" os NIL nil \"NIL\")") else { panic!() };
    assert_eq!(fields[1], ("os".to_owned(), None));
    assert_eq!(fields[2], ("nil".to_owned(), Some("NIL".to_owned())));
    assert!(matches!(parse("ID ()"), Command::Id(Some(fields)) if fields.is_empty()));
    assert!(matches!(parse("enable condstore X"), Command::Enable(names) if names == ["CONDSTORE", "X"]));
    let Command::Create { special_use, .. } = parse("CREATE x (USE (\\drafts \\Important))") else { panic!() };
    assert_eq!(special_use, [SpecialUse::Drafts, SpecialUse::Other("Important".to_owned())]);
}

#[test]
fn mailbox_names() {
    let name = |argument: &str, names| match request(format!("a DELETE {argument}\r\n").as_bytes(), names) {
        Ok(request) => match request.command {
            Command::Delete(name) => name.to_string(),
            other => panic!("{other:?}"),
        },
        Err(failure) => failure.error.to_string(),
    };
    let utf7 = |argument: &str| name(argument, NameEncoding::ModifiedUtf7);
    assert_eq!(utf7("iNbOx"), "Inbox");
    assert_eq!(utf7("inbox/Sub"), "Inbox/Sub");
    assert_eq!(utf7("inboxes"), "inboxes");
    assert_eq!(utf7("&-&AOk-"), "&é");
    assert_eq!(utf7("a]b"), "a]b");
    // RFC 6855 §3: taken even before it is enabled.
    assert_eq!(utf7("\"é&\""), "é&");
    assert_eq!(utf7("a&b"), "a mailbox name that is not modified UTF-7 at octet 12");
    assert_eq!(name("a&b", NameEncoding::Utf8), "a&b");
    assert_eq!(name("&AOk-", NameEncoding::Utf8), "&AOk-");
}

#[test]
fn select_parameters() {
    let Command::Select(select) = parse("EXAMINE x (CONDSTORE QRESYNC (7 0 1:3 (1,2:3 10,12:13)))") else { panic!() };
    assert_eq!(select.access, Access::ReadOnly);
    assert!(select.condstore);
    let qresync = select.qresync.expect("given");
    assert_eq!((qresync.uid_validity, qresync.modseq), (7, 0));
    assert_eq!(qresync.known_uids.expect("given").to_string(), "1:3");
    let (sequences, uids) = qresync.known_sequences.expect("given");
    assert_eq!((sequences.to_string(), uids.to_string()), ("1:3".to_owned(), "10,12:13".to_owned()));
    assert!(complaint("SELECT x (QRESYNC (7 1 1:*))").contains("\"*\" where numbers must be given"));
    assert!(complaint("SELECT x (QRESYNC (7 1 (1:2 5)))").contains("fewer or more UIDs"));
}

#[test]
fn lists() {
    let Command::List(list) = parse("LIST \"\" \"\"") else { panic!() };
    assert!(!list.is_extended());
    assert_eq!(list.patterns, [""]);
    let Command::List(list) = parse("LIST (SUBSCRIBED RECURSIVEMATCH) ref (a \"&AOk-%\") RETURN ()") else { panic!() };
    assert_eq!(list.select, Some(ListSelect { subscribed: true, recursive_match: true, ..ListSelect::default() }));
    assert_eq!((list.reference.as_str(), list.patterns.as_slice()), ("ref", &["a".to_owned(), "é%".to_owned()][..]));
    assert_eq!(list.returns, Some(ListReturn::default()));
    let Command::List(list) = parse("LIST () \"\" % RETURN (SUBSCRIBED STATUS (UNSEEN SIZE UNSEEN))") else { panic!() };
    assert_eq!(list.returns.expect("given").status, [StatusItem::Unseen, StatusItem::Size]);
    assert!(complaint("LIST (RECURSIVEMATCH REMOTE) \"\" *").contains("RECURSIVEMATCH without SUBSCRIBED"));
    assert!(complaint("LIST \"\" ").contains("expected a mailbox pattern"));
}

#[test]
fn fetch_items() {
    use FetchAttribute::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    assert_eq!(fetch("FETCH 1 FULL").attributes, [Flags, InternalDate, Rfc822Size, Envelope, Body]);
    assert_eq!(fetch("FETCH 1 FAST").attributes, [Flags, InternalDate, Rfc822Size]);
    assert_eq!(fetch("FETCH 1 (FLAGS FLAGS)").attributes, [Flags]);
    let section = |part: &[u32], text| Section { part: part.to_vec(), text };
    for (text, expected) in [
        ("[]", section(&[], None)),
        ("[1.2]", section(&[1, 2], None)),
        ("[TEXT]", section(&[], Some(SectionText::Text))),
        ("[4.header]", section(&[4], Some(SectionText::Header))),
        ("[4.1.MIME]", section(&[4, 1], Some(SectionText::Mime))),
        ("[HEADER.FIELDS.NOT (To \"X y\")]", {
            section(&[], Some(SectionText::HeaderFieldsNot(vec!["To".to_owned(), "X y".to_owned()])))
        }),
    ] {
        let expected = FetchAttribute::Section { section: expected, partial: None, seen: SeenEffect::Sets };
        assert_eq!(fetch(&format!("FETCH 1 BODY{text}")).attributes, [expected]);
    }
    let peek = FetchAttribute::Binary {
        part: vec![1],
        partial: Some(Partial { offset: 10, count: 20 }),
        seen: SeenEffect::Peek,
    };
    assert_eq!(fetch("UID FETCH 1 BINARY.PEEK[1]<10.20>").attributes, [peek]);
    let fetched = fetch("UID FETCH 1:* (UID) (VANISHED CHANGEDSINCE 0)");
    assert_eq!((fetched.numbering, fetched.changed_since, fetched.vanished), (Numbering::Uid, Some(0), true));
}

#[test]
fn fetch_complaints() {
    for (line, text) in [
        ("FETCH 1 (VANISHED)", "expected an item to fetch at octet 12, found 'V'"),
        (
            "FETCH 1 (UID) (VANISHED CHANGEDSINCE 1)",
            "expected one CHANGEDSINCE, or in UID FETCH also VANISHED at octet 18",
        ),
        ("UID FETCH 1 UID (VANISHED)", "VANISHED without CHANGEDSINCE"),
        ("FETCH 1 BODY[MIME]", "or MIME of a part at octet 16, found 'M'"),
        ("FETCH 1 BODY[1.]", "expected a part number"),
        ("FETCH 1 BODY[0]", "expected a number that is not zero"),
        ("FETCH 1 BODY[]<1.0>", "a count of zero"),
        ("FETCH 1 ()", "expected an item to fetch"),
        ("FETCH 1", "expected a space at octet 10, found the end of the line"),
        ("FETCH 0 FLAGS", "expected a number that is not zero"),
        ("FETCH 1:,2 FLAGS", "expected a message number"),
        ("FETCH 4294967296 FLAGS", "a number beyond 32 bits"),
    ] {
        let found = complaint(line);
        assert!(found.contains(text), "{line}: {found}");
    }
}

#[test]
fn search_keys() {
    let header = |field: &str, value: &str| SearchKey::Header { field: field.to_owned(), value: value.to_owned() };
    for (keys, expected) in [
        ("ALL", SearchKey::All),
        ("UNDELETED", SearchKey::Lacks(Flag::Deleted)),
        ("OLD", SearchKey::Lacks(Flag::Recent)),
        ("NEW", SearchKey::And(vec![SearchKey::Has(Flag::Recent), SearchKey::Lacks(Flag::Seen)])),
        ("UNKEYWORD $Junk", SearchKey::Lacks(Flag::Keyword("$Junk".to_owned()))),
        ("subject \"a b\"", header("SUBJECT", "a b")),
        ("HEADER Message-ID <x@y>", header("Message-ID", "<x@y>")),
        ("TEXT \"ß\"", SearchKey::Text("ß".to_owned())),
        ("(BODY x)", SearchKey::Body("x".to_owned())),
        ("SMALLER 9223372036854775807", SearchKey::Smaller(9_223_372_036_854_775_807)),
        ("NOT NOT SEEN", SearchKey::Not(Box::new(SearchKey::Not(Box::new(SearchKey::Has(Flag::Seen)))))),
        ("OR DRAFT ALL", SearchKey::Or(vec![SearchKey::Has(Flag::Draft), SearchKey::All])),
        (
            "OR OR SEEN DRAFT or FLAGGED NOT OR ALL OLD",
            SearchKey::Or(vec![
                SearchKey::Has(Flag::Seen),
                SearchKey::Has(Flag::Draft),
                SearchKey::Has(Flag::Flagged),
                SearchKey::Not(Box::new(SearchKey::Or(vec![SearchKey::All, SearchKey::Lacks(Flag::Recent)]))),
            ]),
        ),
        (
            "SENTSINCE 01-Mar-2024",
            SearchKey::Date { field: DateField::Sent, relation: DateRelation::Since, date: date(2024, 3, 1) },
        ),
        ("UID $", SearchKey::Uid(MessageSet::SearchResult)),
        ("MODSEQ 0", SearchKey::ModSeq { entry: None, at_least: 0 }),
    ] {
        assert_eq!(search_key(keys), expected, "{keys}");
    }
    assert!(search_key("OR NOT MODSEQ 5 ALL").uses_modseq());
    assert!(matches!(search_key("1,5:7 SEEN"), SearchKey::And(keys) if keys.len() == 2));
}

#[test]
fn search_options() {
    let search = |line: &str| match parse(line) {
        Command::Search(search) => search,
        other => panic!("{other:?}"),
    };
    assert_eq!(search("SEARCH ALL").returns, None);
    // RFC 4731 §3.1
    assert_eq!(search("SEARCH RETURN () ALL").returns, Some(SearchReturn { all: true, ..SearchReturn::default() }));
    assert_eq!(search("SEARCH CHARSET us-ascii ALL").charset, Charset::Utf8);
    assert_eq!(search("SEARCH ALL").charset, Charset::Unspecified);
    // Strings in a charset that is not supported still parse, so that BADCHARSET can be answered.
    let raw = request(b"a SEARCH CHARSET KOI8-R TEXT {2}\r\n\xc1\xc2\r\n", NameEncoding::Utf8).expect("parses");
    assert!(
        matches!(raw.command, Command::Search(search) if search.charset == Charset::Unsupported("KOI8-R".to_owned()))
    );
    let raw = request(b"a SEARCH TEXT {2}\r\n\xc1\xc2\r\n", NameEncoding::Utf8).expect_err("not UTF-8");
    assert!(raw.error.to_string().starts_with("text that is not UTF-8"));
}

#[test]
fn nesting_is_bounded() {
    let deep =
        |open: &str, depth: usize, close: &str| format!("SEARCH {}ALL{}", open.repeat(depth), close.repeat(depth));
    assert_eq!(search_key(&format!("{}ALL{}", "(".repeat(50), ")".repeat(50))), SearchKey::All);
    for line in [deep("(", 51, ")"), deep("NOT ", 51, ""), deep("OR ALL (", 51, ")"), deep("(", 8000, "")] {
        assert!(complaint(&line).contains("nested too deeply"));
    }
    // A list of alternatives is not deep.
    for line in
        [format!("{}ALL", "OR SEEN ".repeat(1000)), format!("{}ALL{}", "OR ".repeat(1000), " SEEN".repeat(1000))]
    {
        assert!(matches!(search_key(&line), SearchKey::Or(keys) if keys.len() == 1001));
    }
    assert!(complaint("SEARCH OR OR SEEN ALL").contains("expected a space"));
}

#[test]
fn stores() {
    let store = |line: &str| match parse(line) {
        Command::Store(store) => store,
        other => panic!("{other:?}"),
    };
    let stored = store("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\seen custom \\Odd)");
    assert_eq!((stored.action, stored.silent, stored.unchanged_since), (StoreAction::Add, true, Some(0)));
    let expected = [Flag::Seen, Flag::Keyword("custom".to_owned()), Flag::Extension("Odd".to_owned())];
    assert_eq!(stored.flags, expected);
    assert_eq!(store("STORE 1 FLAGS a b").flags.len(), 2);
    assert!(complaint("STORE 1 FLAGS (\\Recent)").contains("\\Recent, which only the server sets"));
    assert!(complaint("STORE 1 FLAG x").contains("expected FLAGS or FLAGS.SILENT at octet 11"));
    assert!(complaint("STORE 1 FLAGS").contains("expected a space"));
}

#[test]
fn unknown_and_malformed_commands() {
    assert_eq!(complaint("XYZZY 1"), "unknown command XYZZY");
    assert_eq!(complaint("UID NOOP"), "unknown command UID NOOP");
    assert_eq!(complaint("NOOP "), "expected the end of the line (CRLF) at octet 7, found a space");
    assert_eq!(complaint("LOGIN a\u{1}b"), "expected a space at octet 10, found octet 0x01");
    assert_eq!(complaint("LOGIN {3+}\r\na\0b x"), "NUL within a literal at octet 18");
    assert_eq!(
        complaint("LOGIN \"a\r\nb\" c"),
        "expected the closing double quote at octet 11, found the end of the line"
    );
    assert_eq!(complaint("AUTHENTICATE PLAIN AGE"), "an initial response that is not base64 at octet 25");
    assert_eq!(complaint("SEARCH ON 31-Feb-2024"), "a day that does not exist at octet 24");
    let bare = request(b"a NOOP\n", NameEncoding::Utf8).expect_err("no CRLF").error.to_string();
    assert_eq!(bare, "expected the end of the line (CRLF) at octet 6, found a line feed without carriage return");
    assert_eq!(request(b"+a NOOP\r\n", NameEncoding::Utf8).expect_err("bad tag").tag, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn garbage_is_survived(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = request(&octets, NameEncoding::ModifiedUtf7);
    }

    /// Commands with a few octets changed reach deeper than pure garbage.
    #[test]
    fn damage_is_survived(index in 0..COMMANDS.len(), at in 0_usize..100, octet in any::<u8>(), cut in 0_usize..100) {
        let mut octets = format!("a {}\r\n", COMMANDS[index]).into_bytes();
        let at = at % octets.len();
        octets[at] = octet;
        octets.truncate(octets.len() - cut.min(octets.len()) / 10);
        if let Err(failure) = request(&octets, NameEncoding::ModifiedUtf7) {
            prop_assert!(failure.error.to_string().bytes().all(|octet| !octet.is_ascii_control()));
        }
    }
}
