//! Responses read back: what the encoder writes, the reader understands, however it is cut.

use proptest::prelude::*;

use super::{Reader, Response, Value};
use crate::command::{SpecialUse, StatusItem, Tag};
use crate::response::{self, ChildInfo, Condition, ESearch, ListAttribute};
use crate::{Code, Encoder, Error, Flag, MailboxName, NameEncoding, UidSet};

fn read(input: &str) -> Result<Response, Error> {
    let mut reader = Reader::new();
    reader.feed(input.as_bytes());
    reader.next_response().map(|response| response.expect("complete"))
}

fn written(response: &response::Response, names: NameEncoding) -> Response {
    let mut encoder = Encoder::new();
    encoder.set_mode(crate::encode::Mode { names });
    encoder.response(response);
    let octets = encoder.take();
    let mut reader = Reader::new();
    reader.set_names(names);
    for (index, octet) in octets.iter().enumerate() {
        assert_eq!(reader.next_response(), Ok(None), "after {index} octets");
        reader.feed(&[*octet]);
    }
    reader.next_response().expect("a response").expect("complete")
}

#[test]
fn status_responses_read_back() {
    let tag = Tag::new("a1").expect("a tag");
    let code = Code::CopyUid { uid_validity: 7, from: [1, 2].into_iter().collect(), to: [5, 9].into_iter().collect() };
    let Response::Status(status) =
        written(&response::Response::tagged(&tag, Condition::No, Some(code), "not now"), NameEncoding::Utf8)
    else {
        panic!()
    };
    assert_eq!((status.tag.as_deref(), status.condition, status.text.as_str()), (Some("a1"), Condition::No, "not now"));
    let atoms = ["7", "1:2", "5,9"].map(|atom| Value::Atom(atom.to_owned()));
    assert_eq!(status.code, Some(("COPYUID".to_owned(), atoms.to_vec())));
    let flags = Code::PermanentFlags(vec![Flag::Seen, Flag::Wildcard]);
    let permanent = response::Response::untagged(Condition::Ok, Some(flags), "kept");
    let Response::Status(status) = written(&permanent, NameEncoding::Utf8) else { panic!() };
    assert_eq!(status.code.expect("a code").1[0].to_string(), "(\\Seen \\*)");
}

#[test]
fn lists_read_back() {
    let entry = response::ListEntry {
        attributes: vec![ListAttribute::HasNoChildren, ListAttribute::SpecialUse(SpecialUse::Trash)],
        mailbox: MailboxName::new("a\"b \u{e9}&"),
        child_info: vec![ChildInfo::Subscribed],
        old_name: Some(MailboxName::new("o")),
    };
    for names in [NameEncoding::ModifiedUtf7, NameEncoding::Utf8] {
        let Response::List(list) = written(&response::Response::List(entry.clone()), names) else { panic!() };
        assert_eq!(list.mailbox, entry.mailbox);
        assert_eq!(list.attributes, ["\\HasNoChildren", "\\Trash"]);
        assert_eq!(list.delimiter, Some('/'));
        let extended: Vec<String> = list.extended.iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(extended, ["CHILDINFO (\"SUBSCRIBED\")", "OLDNAME (o)"]);
    }
}

#[test]
fn fetches_with_literals() {
    let Ok(Response::Fetch(fetch)) = read(
        "* 12 FETCH (UID 7 FLAGS (\\Seen x) BODY[HEADER.FIELDS (To)]<0> {4}\r\n)\r\n( BINARY[1] ~{2}\r\n\0) ENVELOPE (NIL) \
         BODY ((\"A\" NIL)(\"B\" 2) \"MIXED\"))\r\n",
    ) else {
        panic!()
    };
    assert_eq!(fetch.sequence, 12);
    assert_eq!(fetch.item("uid").and_then(Value::as_number), Some(7));
    assert_eq!(fetch.item("BODY[HEADER.FIELDS (To)]<0>").and_then(Value::as_octets), Some(&b")\r\n("[..]));
    assert_eq!(fetch.item("BINARY[1]").and_then(Value::as_octets), Some(&b"\0)"[..]));
    assert_eq!(fetch.item("BODY").expect("there").to_string(), "((\"A\" NIL) (\"B\" 2) \"MIXED\")");
    assert_eq!(fetch.item("FLAGS").and_then(Value::as_list).map(<[Value]>::len), Some(2));
}

#[test]
fn other_responses() {
    assert_eq!(read("+ idling\r\n"), Ok(Response::Continue("idling".to_owned())));
    assert_eq!(read("* 3 EXISTS\r\n"), Ok(Response::Exists(3)));
    assert_eq!(read("* FLAGS (\\Seen $x)\r\n"), Ok(Response::Flags(vec!["\\Seen".to_owned(), "$x".to_owned()])));
    assert_eq!(read("* CAPABILITY IMAP4rev2 AUTH=PLAIN\r\n").map(|_| ()), Ok(()));
    assert_eq!(read("* ID (\"name\" NIL)\r\n").map(|_| ()), Ok(()));
    assert_eq!(read("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n").map(|_| ()), Ok(()));
    assert_eq!(
        read("* STATUS \"a b\" (MESSAGES 3 APPENDLIMIT NIL)\r\n"),
        Ok(Response::MailboxStatus {
            mailbox: MailboxName::new("a b"),
            items: vec![(StatusItem::Messages, Some(3)), (StatusItem::AppendLimit, None)],
        })
    );
}

#[test]
fn strictness() {
    for input in [
        "* OK\r\n",
        "* 3 EXISTS \r\n",
        "* 3  EXISTS\r\n",
        "* WHAT\r\n",
        "* 0 FETCH ()\r\n",
        "* LIST () / x\r\n",
        "* VANISHED 1:*\r\n",
        "* VANISHED (LATER) 1\r\n",
        "a YES done\r\n",
        "* SEARCH 1 2 \r\n",
        "* SEARCH 0\r\n",
        "* 1 FETCH (BODY[] {2}\r\na\0)\r\n",
        "\r\n",
    ] {
        assert!(read(input).is_err(), "{input}");
    }
    let deep = format!("* ID {}\r\n", "(".repeat(100_000));
    assert!(read(&deep).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn search_results_read_back(
        numbers in proptest::collection::vec(1_u32.., 0..6),
        (min, max, count, modseq) in (any::<Option<u32>>(), any::<Option<u32>>(), any::<Option<u32>>(), any::<Option<u32>>()),
        uid in any::<bool>(),
        earlier in any::<bool>(),
        tag in "[!#$&',-;<-z|}~]{1,8}",
    ) {
        prop_assume!(!tag.contains(['\\', '"', '%', '*', '(', '{']));
        let all: UidSet = numbers.iter().copied().collect();
        let found = ESearch {
            tag: Tag::new(&tag),
            uid,
            min: min.filter(|number| *number > 0),
            max: max.filter(|number| *number > 0),
            all: (!all.is_empty()).then(|| all.clone()),
            count,
            modseq: modseq.map(u64::from),
        };
        let back = written(&response::Response::ESearch(found.clone()), NameEncoding::Utf8);
        prop_assert_eq!(back, Response::ESearch(found));
        let modseq = modseq.map(u64::from).filter(|_| !numbers.is_empty());
        let back = written(&response::Response::Search { numbers: numbers.clone(), modseq }, NameEncoding::Utf8);
        prop_assert_eq!(back, Response::Search { numbers, modseq });
        if !all.is_empty() {
            let back = written(&response::Response::Vanished { earlier, uids: all.clone() }, NameEncoding::Utf8);
            prop_assert_eq!(back, Response::Vanished { earlier, uids: all });
        }
    }

    #[test]
    fn names_read_back(name in "[ -~\u{e9}\u{65e5}\u{1f600}\r\n]{0,12}", utf8 in any::<bool>()) {
        let names = if utf8 { NameEncoding::Utf8 } else { NameEncoding::ModifiedUtf7 };
        let mailbox = MailboxName::new(&name);
        let items = vec![(StatusItem::Size, Some(u64::MAX >> 1)), (StatusItem::Recent, Some(0))];
        let status = response::Response::MailboxStatus { mailbox: mailbox.clone(), items: items.clone() };
        prop_assert_eq!(written(&status, names), Response::MailboxStatus { mailbox, items });
    }

    #[test]
    fn garbage_is_survived(octets in proptest::collection::vec(any::<u8>(), 0..60), star in any::<bool>()) {
        let mut reader = Reader::new();
        if star {
            reader.feed(b"* ");
        }
        reader.feed(&octets);
        let _ = reader.next_response();
    }
}
