//! Values in, responses out.

use mailstead_message::Structure;

use super::{Data, Encoder, FetchItem, Mode};
use crate::command::{Section, SectionText, SpecialUse, StatusItem, Tag};
use crate::response::{ChildInfo, Condition, ESearch, ListAttribute, ListEntry, Response};
use crate::{Code, Flag, MailboxName, NameEncoding, UidSet};

fn utf8() -> Encoder {
    let mut encoder = Encoder::new();
    encoder.set_mode(Mode { names: NameEncoding::Utf8 });
    encoder
}

fn text(encoder: &mut Encoder) -> String {
    String::from_utf8_lossy(&encoder.take()).into_owned()
}

fn encode(response: &Response) -> String {
    let mut encoder = Encoder::new();
    encoder.response(response);
    text(&mut encoder)
}

fn item(item: &FetchItem<'_>) -> String {
    let mut encoder = Encoder::new();
    encoder.fetch_start(1);
    encoder.fetch_item(item);
    encoder.fetch_end();
    let text = text(&mut encoder);
    let inner = text.strip_prefix("* 1 FETCH (").and_then(|text| text.strip_suffix(")\r\n"));
    inner.expect("a FETCH response").to_owned()
}

fn body(message: &str) -> String {
    item(&FetchItem::Body(&Structure::scan(message.as_bytes()).root))
}

fn body_structure(message: &str) -> String {
    item(&FetchItem::BodyStructure(&Structure::scan(message.as_bytes()).root))
}

fn uids(numbers: &[u32]) -> UidSet {
    numbers.iter().copied().collect()
}

fn entry(name: &str) -> ListEntry {
    ListEntry { attributes: Vec::new(), mailbox: MailboxName::new(name), child_info: Vec::new(), old_name: None }
}

#[test]
fn status_responses() {
    let tag = Tag::new("a1").expect("a tag");
    let tagged = |code| encode(&Response::tagged(&tag, Condition::Ok, code, "done"));
    assert_eq!(tagged(None), "a1 OK done\r\n");
    for (code, expected) in [
        (Code::ReadWrite, "READ-WRITE"),
        (Code::AppendUid { uid_validity: 7, uid: 9 }, "APPENDUID 7 9"),
        (Code::CopyUid { uid_validity: 7, from: uids(&[1, 2, 5]), to: uids(&[8, 9, 10]) }, "COPYUID 7 1:2,5 8:10"),
        (Code::Downgraded(uids(&[3, 4])), "DOWNGRADED 3:4"),
        (Code::HighestModSeq(715_194_045_007), "HIGHESTMODSEQ 715194045007"),
        (Code::Modified(uids(&[7, 9])), "MODIFIED 7,9"),
        (Code::PermanentFlags(vec![Flag::Deleted, Flag::Wildcard]), "PERMANENTFLAGS (\\Deleted \\*)"),
        (Code::BadCharset, "BADCHARSET (US-ASCII UTF-8)"),
        (Code::Capability(vec!["IMAP4rev2".into(), "IDLE".into()]), "CAPABILITY IMAP4rev2 IDLE"),
        (Code::UnknownCte, "UNKNOWN-CTE"),
    ] {
        assert_eq!(tagged(Some(code)), format!("a1 OK [{expected}] done\r\n"));
    }
    // Text never breaks the line, and stays ASCII until the client wants more.
    let bye = Response::untagged(Condition::Bye, Some(Code::Alert), "gr\u{fc}\u{df}e\r\n* OK");
    assert_eq!(encode(&bye), "* BYE [ALERT] gr??e  * OK\r\n");
    let mut encoder = utf8();
    encoder.response(&bye);
    assert_eq!(text(&mut encoder), "* BYE [ALERT] gr\u{fc}\u{df}e  * OK\r\n");
}

#[test]
fn mailbox_data() {
    for (response, expected) in [
        (Response::Exists(23), "* 23 EXISTS"),
        (Response::Recent(5), "* 5 RECENT"),
        (Response::Expunge(44), "* 44 EXPUNGE"),
        (Response::Flags(vec![Flag::Seen, Flag::Keyword("$Junk".to_owned())]), "* FLAGS (\\Seen $Junk)"),
        (Response::Namespace, "* NAMESPACE ((\"\" \"/\")) NIL NIL"),
        (Response::Continue("ready".to_owned()), "+ ready"),
        (Response::Enabled(vec!["QRESYNC".into()]), "* ENABLED QRESYNC"),
        (Response::Enabled(Vec::new()), "* ENABLED"),
        (Response::Id(None), "* ID NIL"),
        (Response::Id(Some(vec![("name".into(), Some("a\"b".into())), ("os".into(), None)])), {
            "* ID (\"name\" \"a\\\"b\" \"os\" NIL)"
        }),
        (Response::Search { numbers: vec![2, 84], modseq: Some(9) }, "* SEARCH 2 84 (MODSEQ 9)"),
        (Response::Search { numbers: Vec::new(), modseq: Some(9) }, "* SEARCH"),
        (Response::ESearch(ESearch::default()), "* ESEARCH"),
        (
            Response::ESearch(ESearch {
                tag: Tag::new("A282"),
                uid: true,
                min: Some(2),
                max: Some(9),
                all: Some(uids(&[2, 3, 9])),
                count: Some(3),
                modseq: Some(1236),
            }),
            "* ESEARCH (TAG \"A282\") UID MIN 2 MAX 9 ALL 2:3,9 COUNT 3 MODSEQ 1236",
        ),
        (Response::ESearch(ESearch { all: Some(UidSet::new()), ..ESearch::default() }), "* ESEARCH"),
        (
            Response::MailboxStatus {
                mailbox: MailboxName::new("a b"),
                items: vec![(StatusItem::Messages, Some(231)), (StatusItem::AppendLimit, None)],
            },
            "* STATUS \"a b\" (MESSAGES 231 APPENDLIMIT NIL)",
        ),
    ] {
        assert_eq!(encode(&response), format!("{expected}\r\n"));
    }
}

#[test]
fn mailbox_lists() {
    assert_eq!(encode(&Response::List(entry("inbox"))), "* LIST () \"/\" Inbox\r\n");
    assert_eq!(encode(&Response::Lsub(entry(""))), "* LSUB () \"/\" \"\"\r\n");
    assert_eq!(encode(&Response::List(entry("nil"))), "* LIST () \"/\" \"nil\"\r\n");
    assert_eq!(encode(&Response::List(entry("a\"\\"))), "* LIST () \"/\" \"a\\\"\\\\\"\r\n");
    assert_eq!(encode(&Response::List(entry("50%/R&D \u{e9}"))), "* LIST () \"/\" \"50%/R&-D &AOk-\"\r\n");
    let mut encoder = utf8();
    encoder.response(&Response::List(entry("R&D/\u{e9}")));
    assert_eq!(text(&mut encoder), "* LIST () \"/\" \"R&D/\u{e9}\"\r\n");
    let extended = ListEntry {
        attributes: vec![ListAttribute::HasChildren, ListAttribute::SpecialUse(SpecialUse::Sent)],
        child_info: vec![ChildInfo::Subscribed, ChildInfo::SpecialUse],
        old_name: Some(MailboxName::new("Old \u{e9}")),
        ..entry("New")
    };
    assert_eq!(
        encode(&Response::List(extended)),
        "* LIST (\\HasChildren \\Sent) \"/\" New (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\") \"OLDNAME\" (\"Old &AOk-\"))\r\n"
    );
}

#[test]
fn vanished_lines_are_short() {
    let many: UidSet = (1..20_000).step_by(2).collect();
    let encoded = encode(&Response::Vanished { earlier: true, uids: many });
    assert!(encoded.lines().count() > 10);
    assert!(encoded.lines().all(|line| line.len() < 4096 && line.starts_with("* VANISHED (EARLIER) ")));
    assert_eq!(encode(&Response::Vanished { earlier: false, uids: UidSet::new() }), "");
}

#[test]
fn simple_fetch_items() {
    assert_eq!(item(&FetchItem::Flags(&[])), "FLAGS ()");
    assert_eq!(item(&FetchItem::ModSeq(65402)), "MODSEQ (65402)");
    assert_eq!(item(&FetchItem::BinarySize { part: &[1, 2], size: 77 }), "BINARY.SIZE[1.2] 77");
    let date = "1996-07-05T02:44:25-07:00".parse().expect("a date");
    assert_eq!(item(&FetchItem::InternalDate(date)), "INTERNALDATE \"05-Jul-1996 09:44:25 +0000\"");
    let mut encoder = Encoder::new();
    encoder.fetch_start(12);
    encoder.fetch_item(&FetchItem::Uid(7));
    encoder.fetch_item(&FetchItem::Rfc822Size(44_827));
    encoder.fetch_end();
    encoder.fetch_start(13);
    encoder.fetch_item(&FetchItem::Flags(&[Flag::Seen, Flag::Recent]));
    encoder.fetch_end();
    assert_eq!(text(&mut encoder), "* 12 FETCH (UID 7 RFC822.SIZE 44827)\r\n* 13 FETCH (FLAGS (\\Seen \\Recent))\r\n");
}

#[test]
fn sections() {
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    for (part, section_text, origin, expected) in [
        (vec![], None, None, "BODY[]"),
        (vec![1, 2], None, Some(0), "BODY[1.2]<0>"),
        (vec![1], Some(SectionText::Mime), None, "BODY[1.MIME]"),
        (vec![], Some(SectionText::HeaderFields(fields(&["Date", "X (y)"]))), None, {
            "BODY[HEADER.FIELDS (Date \"X (y)\")]"
        }),
        (vec![3], Some(SectionText::HeaderFieldsNot(fields(&["To"]))), None, "BODY[3.HEADER.FIELDS.NOT (To)]"),
    ] {
        let section = Section { part, text: section_text };
        let data = Data::Octets(b"\"x\"\r\n");
        let expected = format!("{expected} {{5}}\r\n\"x\"\r\n");
        assert_eq!(item(&FetchItem::Section { section: &section, origin, data }), expected);
    }
    assert_eq!(item(&FetchItem::Rfc822("RFC822.TEXT", Data::Octets(b""))), "RFC822.TEXT {0}\r\n");
    let section = Section::default();
    assert_eq!(item(&FetchItem::Section { section: &section, origin: None, data: Data::Nil }), "BODY[] NIL");
}

#[test]
fn nul_only_in_literal8() {
    let data = Data::Octets(b"a\0b");
    let binary = FetchItem::Binary { part: &[1], origin: Some(5), data };
    assert_eq!(item(&binary), "BINARY[1]<5> ~{3}\r\na\0b");
    let plain = FetchItem::Binary { part: &[1], origin: None, data: Data::Octets(b"ab") };
    assert_eq!(item(&plain), "BINARY[1] {2}\r\nab");
    let mut encoder = Encoder::new();
    encoder.fetch_item(&FetchItem::Section { section: &Section::default(), origin: None, data });
    assert_eq!(encoder.take(), b"BODY[] {3}\r\na\x80b");
}

#[test]
fn streamed_literals() {
    let mut encoder = Encoder::new();
    encoder.fetch_start(1);
    let data = Data::Streamed { size: 6, nul: true };
    encoder.fetch_item(&FetchItem::Binary { part: &[], origin: None, data });
    encoder.raw(b"ab\0");
    assert_eq!(encoder.pending(), 29);
    let mut sent = encoder.take();
    encoder.raw(b"def");
    encoder.fetch_item(&FetchItem::Section { section: &Section::default(), origin: None, data });
    encoder.raw(b"abc\0ef");
    encoder.fetch_end();
    sent.extend(encoder.take());
    assert_eq!(sent, b"* 1 FETCH (BINARY[] ~{6}\r\nab\0def BODY[] {6}\r\nabc\x80ef)\r\n");
}

#[test]
fn envelopes() {
    let envelope = |header: &str| {
        let structure = Structure::scan(header.as_bytes());
        item(&FetchItem::Envelope(&structure.envelope()))
    };
    // RFC 9051 §7.5.2: sender and reply-to default to from; groups keep their NIL markers.
    assert_eq!(
        envelope(
            "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.example>\r\nSubject: a \"b\"\r\n\
             To: Team: joe@example.org, \"M, N\" <mn@example.org>;, lone\r\nMessage-ID: <B27397@cac.example>\r\n\r\n"
        ),
        "ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"a \\\"b\\\"\" \
         ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) \
         ((NIL NIL \"Team\" NIL)(NIL NIL \"joe\" \"example.org\")(\"M, N\" NIL \"mn\" \"example.org\")\
         (NIL NIL NIL NIL)(NIL NIL \"lone\" \"\")) \
         NIL NIL NIL \"<B27397@cac.example>\")"
    );
    assert_eq!(envelope("\r\n"), "ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    // 8-bit text is quoted only for clients that asked for it.
    assert!(envelope("Subject: \u{e9}\r\n\r\n").starts_with("ENVELOPE (NIL {2}\r\n\u{e9} NIL"));
    let structure = Structure::scan("Subject: \u{e9}\r\n\r\n".as_bytes());
    let mut encoder = utf8();
    encoder.fetch_item(&FetchItem::Envelope(&structure.envelope()));
    assert!(text(&mut encoder).starts_with("ENVELOPE (NIL \"\u{e9}\" NIL"));
}

#[test]
fn simple_bodies() {
    // RFC 2045 §5.2: the default type
    assert_eq!(
        body("Subject: x\r\n\r\nhello\r\nworld\r\n"),
        "BODY (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 14 2)"
    );
    assert_eq!(
        body_structure("Content-Type: text/html\r\n\r\nx"),
        "BODYSTRUCTURE (\"TEXT\" \"HTML\" NIL NIL NIL \"7BIT\" 1 1 NIL NIL NIL NIL)"
    );
    assert_eq!(
        body_structure(
            "Content-Type: application/pdf; name=\"a b.pdf\"\r\nContent-ID: <1@x>\r\nContent-Description: paper\r\n\
             Content-Transfer-Encoding: base64\r\nContent-MD5: Q2hlY2s=\r\nContent-Language: en, de\r\n\
             Content-Location: http://x/\r\nContent-Disposition: Attachment; filename=\"x.pdf\"\r\n\r\nAAAA\r\n"
        ),
        "BODYSTRUCTURE (\"APPLICATION\" \"PDF\" (\"NAME\" \"a b.pdf\") \"<1@x>\" \"paper\" \"BASE64\" 6 \"Q2hlY2s=\" \
         (\"attachment\" (\"FILENAME\" \"x.pdf\")) (\"en\" \"de\") \"http://x/\")"
    );
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\
                     Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\ny\r\n--b--\r\n";

#[test]
fn multipart_and_message_bodies() {
    let inner = "(NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL NIL)";
    let text =
        |octets, lines| format!("\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" {octets} {lines}");
    assert_eq!(
        body(MIXED),
        format!(
            "BODY (({})(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 22 {inner} ({}) 4) \"MIXED\")",
            text(3, 1),
            text(4, 2)
        )
    );
    assert_eq!(
        body_structure(MIXED),
        format!(
            "BODYSTRUCTURE (({} NIL NIL NIL NIL)(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 22 {inner} \
             ({} NIL NIL NIL NIL) 4 NIL NIL NIL NIL) \"MIXED\" (\"BOUNDARY\" \"b\") NIL NIL NIL)",
            text(3, 1),
            text(4, 2)
        )
    );
}
