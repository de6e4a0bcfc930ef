//! Tests of header fields and of the values in them: addresses, dates, identifiers, encoded words, parameters.

use proptest::prelude::*;

use crate::address::{self, AddressItem, Mailbox};
use crate::header::{Fields, fold};
use crate::{Envelope, date, id, param, subject, thread, word};

#[test]
fn fields_cover_every_octet() {
    let header = b"A: 1\r\nB :  2\r\n\tcontinued\r\nno field\n c\r\n:x\r\n\r\nbody: y\r\n";
    let fields: Vec<_> = Fields::new(header).collect();
    assert_eq!(fields.iter().map(crate::Field::name).collect::<Vec<_>>(), ["A", "B", "", ""]);
    assert_eq!(fields[1].unfolded(), "2\tcontinued");
    assert_eq!(fields[1].value(), b"  2\r\n\tcontinued");
    let end = fields.iter().fold(0, |at, field| {
        assert_eq!((field.range().start, &header[field.range()]), (at, field.raw()));
        field.range().end
    });
    assert!(header[end..].starts_with(b"\r\nbody"));
    assert_eq!(Fields::find(header, "b").unwrap().text(), "2 continued");
    assert_eq!(Fields::find(b"X: a\xe4b", "x").unwrap().unfolded(), "aäb");
}

fn mailbox(name: Option<&str>, localpart: &str, domain: Option<&str>) -> AddressItem {
    AddressItem::Mailbox(Mailbox {
        name: name.map(str::to_owned),
        route: None,
        localpart: localpart.to_owned(),
        domain: domain.map(str::to_owned),
    })
}

#[test]
fn address_lists() {
    let cases: [(&str, Vec<AddressItem>); 17] = [
        ("", vec![]),
        ("a@b", vec![mailbox(None, "a", Some("b"))]),
        (", a@b ,, c@d,", vec![mailbox(None, "a", Some("b")), mailbox(None, "c", Some("d"))]),
        // RFC 5322 appendix A.1.2.
        (
            "Joe Q. Public <john.q.public@example.com>",
            vec![mailbox(Some("Joe Q. Public"), "john.q.public", Some("example.com"))],
        ),
        (
            "\"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            vec![mailbox(Some("Giant; \"Big\" Box"), "sysservices", Some("example.net"))],
        ),
        // Appendix A.1.3.
        (
            "A Group:Ed Jones <joe@where.test>,c@d;",
            vec![
                AddressItem::GroupStart("A Group".to_owned()),
                mailbox(Some("Ed Jones"), "joe", Some("where.test")),
                mailbox(None, "c", Some("d")),
                AddressItem::GroupEnd,
            ],
        ),
        (
            "Undisclosed recipients:;, x@y",
            vec![
                AddressItem::GroupStart("Undisclosed recipients".to_owned()),
                AddressItem::GroupEnd,
                mailbox(None, "x", Some("y")),
            ],
        ),
        // Appendix A.5.
        (
            "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            vec![mailbox(Some("Pete"), "pete", Some("silly.test"))],
        ),
        ("a@b (Old Style)", vec![mailbox(Some("Old Style"), "a", Some("b"))]),
        ("\"a b\"@[192.0.2.1]", vec![mailbox(None, "a b", Some("[192.0.2.1]"))]),
        ("root", vec![mailbox(None, "root", None)]),
        // Words are joined only around a dot, RFC 5322 §4.4: nobody's address is made of what stands beside it.
        ("a . b @ c . d", vec![mailbox(None, "a.b", Some("c.d"))]),
        ("Ed Jones joe@where.test", vec![mailbox(Some("Ed Jones"), "joe", Some("where.test"))]),
        ("a@b.c d, x@y", vec![mailbox(None, "a", Some("b.c")), mailbox(None, "x", Some("y"))]),
        ("a@b.c \"d, e\" (Name)", vec![mailbox(Some("Name"), "a", Some("b.c"))]),
        ("a b c", vec![mailbox(None, "a b c", None)]),
        ("jörg@müller.example", vec![mailbox(None, "jörg", Some("müller.example"))]),
    ];
    for (text, expected) in cases {
        assert_eq!(address::list(text), expected, "{text}");
    }
    let routed = address::list("<@a,@b:c@d>");
    let routed = address::mailboxes(&routed).next().unwrap();
    assert_eq!((routed.route.as_deref(), routed.addr_spec().as_str()), (Some("@a,@b"), "c@d"));
}

#[test]
fn mailboxes_are_written_so_that_they_read_back() {
    for (name, localpart) in [(Some("Joe Q"), "a.b"), (Some("x, \"y\""), "a b"), (None, "a\"b"), (Some("J. R"), "..")] {
        let item = mailbox(name, localpart, Some("example.org"));
        let AddressItem::Mailbox(mailbox) = &item else { panic!() };
        assert_eq!(address::list(&mailbox.to_string()), std::slice::from_ref(&item), "{mailbox}");
    }
}

#[test]
fn envelope_fields() {
    let header = concat!(
        "Subject: =?utf-8?q?x?=\r\n folded\r\nFROM: a@b\r\nTo: c@d\r\nTo: e@f\r\nReply-To:\r\nMessage-Id: <1@x>\r\n",
        "Subject: second\r\nDate: today\r\nIn-Reply-To: <0@x>\r\n\r\n",
    );
    let envelope = Envelope::parse(header.as_bytes());
    assert_eq!(envelope.subject.as_deref(), Some("=?utf-8?q?x?= folded"));
    assert_eq!(envelope.effective_reply_to(), [mailbox(None, "a", Some("b"))]);
    assert_eq!(envelope.effective_sender(), envelope.effective_reply_to());
    assert_eq!(address::mailboxes(&envelope.to).count(), 2);
    assert_eq!((envelope.date.as_deref(), envelope.message_id.as_deref()), (Some("today"), Some("<1@x>")));
}

#[test]
fn dates() {
    let cases = [
        ("Fri, 21 Nov 1997 09:55:06 -0600", "Fri, 21 Nov 1997 09:55:06 -0600"),
        ("Tue, 1 Jul 2003 10:52:37 +0200", "Tue, 01 Jul 2003 10:52:37 +0200"),
        // RFC 5322 appendices A.5 and A.6.2.
        (
            "Thu,\r\n   13\r\n  Feb\r\n   1969\r\n  23:32\r\n   -0330 (Newfoundland Time)",
            "Thu, 13 Feb 1969 23:32:00 -0330",
        ),
        ("21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000"),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 EST", "Fri, 21 Nov 1997 09:55:06 -0500"),
        ("1 Jan 00 00:00 Z", "Sat, 01 Jan 2000 00:00:00 +0000"),
        ("Wed, 31 Dec 2008 23:59:60 +0000", "Wed, 31 Dec 2008 23:59:59 +0000"),
        ("23-Nov-2026 17:05:09 +0100", "Mon, 23 Nov 2026 17:05:09 +0100"),
    ];
    for (text, expected) in cases {
        assert_eq!(date::parse(text).map(|date| date.to_string()).as_deref(), Ok(expected), "{text}");
    }
    for text in ["", "today", "31 Feb 2020 00:00 +0000", "1 Jan 2020", "1 Jan 2020 25:00 +0000", "1 J\u{e4}n 2020 1:00"]
    {
        assert!(date::parse(text).is_err(), "{text}");
    }
}

#[test]
fn message_identifiers() {
    assert_eq!(id::list("<a@b> (c <d@e>) phrase \"<f@g>\" <h\t@i>,<>"), ["a@b", "h@i"]);
    assert_eq!(id::first("a@b"), Some("a@b".to_owned()));
    assert_eq!(id::first("nothing here"), None);
}

#[test]
fn encoded_words() {
    // RFC 2047 §8, and what mail programs really send.
    let cases = [
        ("=?ISO-8859-1?Q?a?=", "a"),
        ("=?ISO-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ("=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?= <paf@nada.kth.se>", "Patrik Fältström <paf@nada.kth.se>"),
        ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        ("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
        // One character split over two words.
        ("=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "€"),
        ("=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€"),
        ("x =? y ?= z", "x =? y ?= z"),
        ("=?nonsense?q?a?=", "a"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?a=0D=0AInjected:?=", "a  Injected:"),
    ];
    for (text, expected) in cases {
        assert_eq!(word::decode(text), expected, "{text}");
    }
}

#[test]
fn parameters_of_rfc_2231() {
    let value = |field: &str, name: &str| param::value(&param::parse(field).1, name).map(std::borrow::Cow::into_owned);
    // §3 and §4, and the combination of §4.1.
    let url = "message/external-body; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\"";
    assert_eq!(value(url, "url").as_deref(), Some("ftp://cs.utk.edu/pub"));
    let title = concat!(
        "application/x-stuff; title*1*=%2a%2a%2afun%2a%2a%2a%20; title*2=\"isn't it!\";",
        " title*0*=us-ascii'en'This%20is%20even%20more%20",
    );
    assert_eq!(value(title, "title").as_deref(), Some("This is even more ***fun*** isn't it!"));
    assert_eq!(value("x; f*=iso-8859-1''%E4; f=a", "f").as_deref(), Some("ä"));
    assert_eq!(value("x; name=\"=?utf-8?q?=C3=A4?=\"", "name").as_deref(), Some("ä"));
    assert_eq!(value("x; a=b c.txt ; d=e", "a").as_deref(), Some("b c.txt"));
    // A gap ends the value; a start elsewhere is no value.
    assert_eq!(value("x; a*0=1; a*2=3", "a").as_deref(), Some("1"));
    assert_eq!(value("x; a*1=2", "a"), None);
    let (token, params) = param::parse("attachment; FileName=\"a;b\"; junk; c = d (comment)");
    assert_eq!(token, "attachment");
    assert_eq!(params, [("filename".to_owned(), "a;b".to_owned()), ("c".to_owned(), "d".to_owned())]);
    assert_eq!(
        param::decoded(&param::parse("x; a*0=1; a*1=2; b=3").1),
        [("a".to_owned(), "12".to_owned()), ("b".to_owned(), "3".to_owned())]
    );
}

#[test]
fn base_subjects() {
    let cases = [
        ("Hello", "Hello", false),
        ("Re: Hello", "Hello", true),
        ("RE : [list] fwd: Hello (fwd) ", "Hello", true),
        ("[list] Hello", "Hello", false),
        ("[a] [b]", "[b]", false),
        ("Re[2]: Hello", "Hello", true),
        ("[fwd: Re: Hello]", "Hello", true),
        ("=?utf-8?q?Re=3A_h=C3=A4?=", "hä", true),
        ("Reply", "Reply", false),
        ("Re:", "", true),
        ("", "", false),
        ("a\t  b", "a b", false),
    ];
    for (text, base, is_reply) in cases {
        assert_eq!(subject::base(text), subject::Base { text: base.to_owned(), is_reply }, "{text}");
    }
}

#[test]
fn threading_facts() {
    let header =
        "Message-ID: <4@x>\nReferences: <1@x> <2@x> <1@x>\n <4@x> <3@x>\nIn-Reply-To: <9@x>\nSubject: Re: s\n\n";
    let facts = thread::Threading::parse(header.as_bytes());
    assert_eq!(facts.references, ["2@x", "1@x", "3@x"]);
    assert_eq!((facts.message_id.as_deref(), facts.base_subject.as_str(), facts.is_reply), (Some("4@x"), "s", true));
    let facts = thread::Threading::parse(b"In-Reply-To: mail of <2@x> and <3@x>\n\n");
    assert_eq!(facts.references, ["2@x"]);
}

#[test]
fn folding_never_adds_a_field() {
    let field = fold("X", ["a\r\nInjected: b", &"c".repeat(100), "d"]);
    assert_eq!(Fields::new(field.as_bytes()).count(), 1);
    assert_eq!(field.lines().count(), 3);
    assert!(field.ends_with("\r\n d\r\n"), "{field:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_survives_encoded_words_and_folding(text in "[^\r\n\0]{0,120}") {
        let encoded = word::encode(&text);
        prop_assert!(encoded.is_ascii());
        prop_assert!(encoded.split(' ').filter(|word| word.starts_with("=?")).all(|word| word.len() <= 75));
        prop_assert_eq!(word::decode(&encoded), text);
    }

    #[test]
    fn any_text_survives_as_a_parameter(text in "[^\r\n\0]{0,60}") {
        let field = format!("x/y; {}", param::format("name", &text));
        prop_assert!(field.is_ascii());
        let params = param::parse(&field).1;
        let encoded_word = text.contains("=?");
        prop_assert!(encoded_word || param::value(&params, "name").as_deref() == Some(text.as_str()), "{field}");
    }

    #[test]
    fn nothing_makes_the_parsers_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&octets);
        let items = address::list(&text);
        prop_assert_eq!(
            items.iter().filter(|item| matches!(item, AddressItem::GroupStart(_))).count(),
            items.iter().filter(|item| matches!(item, AddressItem::GroupEnd)).count()
        );
        let _ = date::parse(&text);
        let _ = id::first(&text);
        let _ = word::decode(&text);
        let _ = param::decoded(&param::parse(&text).1);
        let _ = subject::base(&text);
        let _ = Envelope::parse(&octets);
    }

    #[test]
    fn dates_round_trip(second in 0_i64..4_000_000_000, quarters in -48_i32..=56) {
        let offset = jiff::tz::Offset::from_seconds(quarters * 900).unwrap();
        let date = date::Date { at: jiff::Timestamp::from_second(second).unwrap(), offset };
        prop_assert_eq!(date::parse(&date.to_string()), Ok(date));
    }
}

/// Work on hostile values stays in proportion to their length; these would take minutes if it were the square.
#[test]
fn hostile_values_are_read_in_linear_time() {
    let many = |piece: &str| piece.repeat(500_000 / piece.len());
    let _ = word::decode(&many("=?a?q?x"));
    let _ = subject::base(&many("[a]"));
    let _ = subject::base(&many("re:"));
    let _ = param::decoded(&param::parse(&many(";a*0=b")).1);
    assert_eq!(address::list(&many("((")).len(), 0);
    let _ = address::list(&many("<@:"));
    let _ = id::list(&many("<<\""));
    let _ = Envelope::parse(many("To: a:\n").as_bytes());
}
