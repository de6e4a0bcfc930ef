use proptest::prelude::*;

use super::*;
use crate::{Caa, Ds, Mx, Soa, Srv, Tlsa, Txt};

fn read(text: &str) -> Vec<String> {
    records(text).map(|record| record.unwrap().to_string()).collect()
}

fn mistake(text: &str) -> (usize, ZonefileErrorKind) {
    let mut records = records(text);
    let error = records.by_ref().find_map(Result::err).unwrap_or_else(|| panic!("{text:?} is without mistake"));
    assert!(records.next().is_none(), "nothing comes after a mistake");
    (error.line, error.kind)
}

#[test]
fn the_example_of_rfc_1035() {
    // §5.3, with an origin and without the included file.
    let text = r"$ORIGIN ISI.EDU.
@   IN  SOA     VENERA      Action\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        MX      10      VENERA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32
";
    assert_eq!(
        read(text),
        [
            r"isi.edu. IN SOA venera.isi.edu. action\.domains.isi.edu. 20 7200 600 3600000 60",
            "isi.edu. IN NS a.isi.edu.",
            "isi.edu. IN NS venera.isi.edu.",
            "isi.edu. IN MX 10 venera.isi.edu.",
            "a.isi.edu. IN A 26.3.0.103",
            "venera.isi.edu. IN A 10.1.0.52",
            "venera.isi.edu. IN A 128.9.0.32",
        ]
    );
    let lines: Vec<_> = records(text).map(|record| record.unwrap().line).collect();
    assert_eq!(lines, [2, 9, 10, 11, 13, 15, 16]);
}

#[test]
fn hints_and_anchors_as_they_are_distributed() {
    let text = "; formerly NS.INTERNIC.NET\r\n;\r\n.                        3600000      NS    A.ROOT-SERVERS.NET.\r\n\
        A.ROOT-SERVERS.NET.      3600000      AAAA  2001:503:ba3e::2:30\r\n\
        . IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\r\n\
        . IN DNSKEY 257 3 8 AwEAAa ( z/tAm8 ; in pieces\r\n yTn4 ) ; keytag\r\n";
    assert_eq!(
        read(text),
        [
            ". 3600000 IN NS a.root-servers.net.",
            "a.root-servers.net. 3600000 IN AAAA 2001:503:ba3e::2:30",
            ". 3600000 IN DS 20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d",
            ". 3600000 IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4",
        ]
    );
}

#[test]
fn ttl_and_class_come_in_either_order_or_not_at_all() {
    let text = "a. A 192.0.2.1\na. in 5 A 192.0.2.2\na. 6 CLASS1 A 192.0.2.3\na. A 192.0.2.4\n$TTL 7\na. A 192.0.2.5\n\
        a. 0 A 192.0.2.6\n in. A 192.0.2.7";
    let ttls: Vec<_> = records(&text[..text.find(" in.").unwrap()]).map(|record| record.unwrap().ttl).collect();
    assert_eq!(ttls, [None, Some(5), Some(6), Some(6), Some(7), Some(0)]);
    // An owner may be named as a class, a type or a number; behind a blank it is no owner.
    assert_eq!(read("in. 5 A 192.0.2.1\n5. A 192.0.2.1\n"), ["in. 5 IN A 192.0.2.1", "5. 5 IN A 192.0.2.1"]);
    assert_eq!(mistake(text), (8, ZonefileErrorKind::Type("in.".into())));
}

#[test]
fn names_are_relative_where_they_do_not_end_in_a_dot() {
    let text = "$ORIGIN Example.\n@ NS a\n$ORIGIN sub\na\\. NS a\\\\.\n*.b CNAME @\n\\@ PTR \\$\n";
    assert_eq!(
        read(text),
        [
            "example. IN NS a.example.",
            r"a\..sub.example. IN NS a\\.",
            "*.b.sub.example. IN CNAME sub.example.",
            r"\@.sub.example. IN PTR \$.sub.example.",
        ]
    );
    assert_eq!(mistake("$ORIGIN .\na A 192.0.2.1\nb. NS c..d\n"), (3, ZonefileErrorKind::Name("c..d".into())));
    assert_eq!(mistake("a A 192.0.2.1"), (1, ZonefileErrorKind::NoOrigin("a".into())));
    assert_eq!(mistake("a. NS @"), (1, ZonefileErrorKind::NoOrigin("@".into())));
    assert_eq!(mistake("bücher. NS a."), (1, ZonefileErrorKind::NameNotAscii("bücher.".into())));
    let long = format!("$ORIGIN {}\n{} NS .", "b.".repeat(100), "a".repeat(55));
    assert!(matches!(mistake(&long), (2, ZonefileErrorKind::Name(_))));
    assert!(matches!(mistake("\"a.\" NS ."), (1, ZonefileErrorKind::Name(_))));
}

#[test]
fn strings_keep_what_is_quoted_and_escaped() {
    let text = "a. TXT \"a;(b) \\\"c\\\\\" plain\\;\\032d \"\" ( \"é\\000\"\n  e ) ; comment \"\n";
    let record = records(text).next().unwrap().unwrap();
    let Some(Record::Txt(txt)) = record.record() else { panic!("{record:?}") };
    assert_eq!(txt.strings, [b"a;(b) \"c\\".as_slice(), b"plain; d", b"", b"\xc3\xa9\0", b"e"]);
    assert_eq!(records(&record.to_string()).next().unwrap().unwrap().data, record.data);

    assert_eq!(mistake("\na. TXT \"a\nb\""), (2, ZonefileErrorKind::UnclosedString));
    assert_eq!(mistake("a. TXT \"a\\\""), (1, ZonefileErrorKind::UnclosedString));
    assert_eq!(mistake("a. TXT a\"b\""), (1, ZonefileErrorKind::QuotationMark));
    assert_eq!(mistake("a. TXT \"a\"b"), (1, ZonefileErrorKind::QuotationMark));
    for wrong in ["a\\", "a\\\n", "\\256", "\\25", "\\2x5", "\"\\1\""] {
        assert_eq!(mistake(&format!("a. TXT {wrong}")), (1, ZonefileErrorKind::Escape), "{wrong:?}");
    }
    let string = "a".repeat(255);
    assert_eq!(read(&format!("a. TXT {string}")), [format!("a. IN TXT \"{string}\"")]);
    assert_eq!(mistake(&format!("a. TXT {string}a")), (1, ZonefileErrorKind::StringTooLong));
}

#[test]
fn parentheses_join_lines() {
    assert_eq!(read("a. ( MX\n;x\n\n (10) b. )\nb. MX 1 a."), ["a. IN MX 10 b.", "b. IN MX 1 a."]);
    assert_eq!(mistake("\na. MX ( 1\n (b.\n)"), (2, ZonefileErrorKind::UnclosedParenthesis));
    assert_eq!(mistake("a. MX 1 b.\n)"), (2, ZonefileErrorKind::UnopenedParenthesis));
    // Mistakes are on the line of the word.
    assert!(matches!(mistake("a. MX (\n1\nb..c )"), (3, ZonefileErrorKind::Name(_))));
    assert_eq!(mistake("a. MX (\n1\n) "), (2, ZonefileErrorKind::Missing("exchange")));
}

#[test]
fn the_generic_form_is_for_every_type_and_is_checked() {
    assert_eq!(
        read("a. TYPE65280 \\# 3 ab CDe f\na. CLASS1 TYPE1 \\# 4 0A000001\na. TYPE1 10.0.0.2\na. type65281 \\# 0\n"),
        ["a. IN TYPE65280 \\# 3 abcdef", "a. IN A 10.0.0.1", "a. IN A 10.0.0.2", "a. IN TYPE65281 \\# 0"]
    );
    // Names in data become canonical; RRSIG and NSEC have no other form here.
    let rrsig = "000108020000012C000000050000000400010141006142";
    let record = records(&format!("a. RRSIG \\# 23 {rrsig}")).next().unwrap().unwrap();
    assert_eq!(record.data[18..], *b"\x01a\x00aB");
    assert_eq!(mistake("a. RRSIG A 8 2 300 5 4 1 a. ab=="), (1, ZonefileErrorKind::GenericOnly(Rtype::RRSIG)));
    assert_eq!(mistake("a. A \\# 5 0a00000100"), (1, ZonefileErrorKind::Unfit(Rtype::A)));
    // A pointer has nothing to point into, not even its own record.
    assert_eq!(mistake("a. TYPE26 \\# 7 0000 00 c000 0000"), (1, ZonefileErrorKind::Unfit(Rtype(26))));
    assert_eq!(mistake("a. TYPE26 \\# 5 0000 00 c000"), (1, ZonefileErrorKind::Unfit(Rtype(26))));
    assert_eq!(mistake("a. TYPE9999 \\# 2 00"), (1, ZonefileErrorKind::Length { stated: 2, found: 1 }));
    assert_eq!(mistake("a. TYPE9999 \\# 1 0"), (1, ZonefileErrorKind::Hex("data")));
    assert_eq!(mistake("a. TYPE9999 \\# 0 00"), (1, ZonefileErrorKind::Surplus("00".into())));
    assert_eq!(mistake("a. TYPE9999 00"), (1, ZonefileErrorKind::GenericOnly(Rtype(9999))));
    // Quoted it is a string.
    assert_eq!(read("a. TXT \"\\#\" 3"), ["a. IN TXT \"#\" \"3\""]);
    for meta in [0, 41, 250, 255] {
        assert_eq!(mistake(&format!("a. TYPE{meta} \\# 0")), (1, ZonefileErrorKind::NotData(Rtype(meta))));
    }
}

#[test]
fn fields_that_are_missing_wrong_or_too_many() {
    use ZonefileErrorKind::*;
    let number = |word: &str, what, most| Number { word: word.into(), what, most };
    for (text, expected) in [
        ("a.", Missing("type")),
        ("a. A", Missing("address")),
        ("a. A 192.0.2", Address { word: "192.0.2".into(), rtype: Rtype::A }),
        ("a. AAAA 192.0.2.1", Address { word: "192.0.2.1".into(), rtype: Rtype::AAAA }),
        ("a. A 192.0.2.1 x", Surplus("x".into())),
        ("a. MX +1 a.", number("+1", "preference", 65_535)),
        ("a. MX 65536 a.", number("65536", "preference", 65_535)),
        ("a. SRV 1 2 \"3\" a.", number("3", "port", 65_535)),
        ("a. SOA a. b. 1 2 3 4 4294967296", number("4294967296", "minimum", u32::MAX)),
        ("a. DS 1 256 2 00", number("256", "algorithm", 255)),
        ("a. DS 1 8 2", Missing("digest")),
        ("a. DS 1 8 2 0g", Hex("digest")),
        ("a. DS \\# 4 00010802", Unfit(Rtype::DS)),
        ("a. DNSKEY 257 3 8 AwE", Base64("public key")),
        ("a. DNSKEY 257 3 8 \"\"", Base64("public key")),
        ("a. TLSA 3 1 1 a", Hex("certificate association data")),
        ("a. CAA 0 is-sue x", CaaTag("is-sue".into())),
        ("a. CAA 0 issue", Missing("value")),
        ("a. 1h A 192.0.2.1", Ttl("1h".into())),
        ("a. 2147483648 A 192.0.2.1", Ttl("2147483648".into())),
        ("a. 1 2 A 192.0.2.1", Type("2".into())),
        ("a. IN IN A 192.0.2.1", Type("IN".into())),
        ("a. CH A 192.0.2.1", Class("CH".into())),
        ("a. CLASS3 A 192.0.2.1", Class("CLASS3".into())),
        ("a. HINFO a b", Type("HINFO".into())),
        ("a. TYPE65536 \\# 0", Type("TYPE65536".into())),
        ("a. TYPE+1 \\# 0", Type("TYPE+1".into())),
        ("a. \"A\" 192.0.2.1", Type("A".into())),
        (" A 192.0.2.1", NoOwner),
        ("$INCLUDE other.zone", Directive("$INCLUDE".into())),
        ("$GENERATE 1-2 a A 192.0.2.1", Directive("$GENERATE".into())),
        ("$TTL", Missing("TTL")),
        ("$TTL 5 x", Surplus("x".into())),
        ("a. A \u{1}", ControlCharacter),
        ("a. A 192.0.2.1\rb. A 192.0.2.2", ControlCharacter),
    ] {
        assert_eq!(mistake(text), (1, expected), "{text:?}");
    }
    let shown = records("\n\na. MX 65536 b.").next().unwrap().unwrap_err().to_string();
    assert_eq!(shown, "line 3: 65536 is no preference: that is a number up to 65535");
    let long = mistake(&format!("a. {}", "é".repeat(5_000))).1;
    assert!(long.to_string().len() < 200, "{long}");
}

#[test]
fn size_is_bounded() {
    let lines = "a. A 192.0.2.1\n".repeat(MAX_RECORDS);
    assert_eq!(read(&lines).len(), MAX_RECORDS);
    assert_eq!(mistake(&(lines + " A 192.0.2.1")), (MAX_RECORDS + 1, ZonefileErrorKind::TooManyRecords));
    assert_eq!(mistake(&" ".repeat(MAX_TEXT + 1)), (1, ZonefileErrorKind::TextTooLong));
    let data = format!("a. TYPE9999 \\# 65535 {}", "00".repeat(65_535));
    assert_eq!(records(&data).next().unwrap().unwrap().data.len(), 65_535);
    let strings = format!("a. TXT {}", ("a".repeat(255) + " ").repeat(256));
    assert_eq!(mistake(&strings), (1, ZonefileErrorKind::DataTooLong));
}

fn names() -> impl Strategy<Value = Name> {
    let label = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..6),
        "[a-z0-9_-]{1,12}".prop_map(String::into_bytes),
        "[@$;()\"\\\\. ]{1,3}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(label, 0..4)
        .prop_map(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap())
}

fn octets(least: usize, most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), least..most)
}

fn typed_records() -> impl Strategy<Value = Record> {
    let target = || names().prop_map(|name| name.to_target());
    prop_oneof![
        any::<[u8; 4]>().prop_map(|address| Record::A(address.into())),
        any::<[u8; 16]>().prop_map(|address| Record::Aaaa(address.into())),
        target().prop_map(Record::Ns),
        target().prop_map(Record::Cname),
        target().prop_map(Record::Ptr),
        (any::<u16>(), target()).prop_map(|(preference, exchange)| Record::Mx(Mx { preference, exchange })),
        (target(), target(), any::<[u32; 5]>()).prop_map(
            |(mname, rname, [serial, refresh, retry, expire, minimum])| {
                Record::Soa(Soa { mname, rname, serial, refresh, retry, expire, minimum })
            }
        ),
        proptest::collection::vec(octets(0, 256), 1..4).prop_map(|strings| Record::Txt(Txt { strings })),
        (any::<[u16; 3]>(), target()).prop_map(|([priority, weight, port], target)| Record::Srv(Srv {
            priority,
            weight,
            port,
            target
        })),
        (any::<u16>(), any::<[u8; 2]>(), octets(1, 64)).prop_map(|(key_tag, [algorithm, digest_type], digest)| {
            Record::Ds(Ds { key_tag, algorithm, digest_type, digest })
        }),
        (any::<[u8; 3]>(), octets(1, 64)).prop_map(|([usage, selector, matching_type], data)| {
            Record::Tlsa(Tlsa { usage, selector, matching_type, data })
        }),
        (any::<u8>(), "[a-z0-9]{1,15}", octets(0, 300))
            .prop_map(|(flags, tag, value)| { Record::Caa(Caa { flags, tag, value }) }),
    ]
}

proptest! {
    #[test]
    fn what_records_write_is_read_back(owner in names(), ttl in 0..=MAX_TTL, record in typed_records()) {
        let text = format!("{owner} {ttl} IN {} {record}\n", record.record_type());
        let read = records(&text).collect::<Result<Vec<_>, _>>();
        let expected = ZoneRecord {
            line: 1,
            owner,
            ttl: Some(ttl),
            rtype: record.record_type().into(),
            data: record.to_data().unwrap().into(),
        };
        prop_assert_eq!(expected.record(), Some(record));
        prop_assert_eq!(read, Ok(vec![expected]), "{}", text);
    }

    #[test]
    fn what_zone_records_write_is_read_back(
        owner in names(), ttl: Option<u16>, rtype in 1..300_u16, data in octets(0, 80),
    ) {
        // Data that is refused is of no interest here; what is taken must come out the same.
        let hex: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
        let ttl = ttl.map_or_else(String::new, |ttl| ttl.to_string());
        let text = format!("{owner} {ttl} TYPE{rtype} \\# {} {hex}", data.len());
        if let Some(Ok(record)) = records(&text).next() {
            prop_assert!(record.data.eq_ignore_ascii_case(&data));
            let again = records(&record.to_string()).next();
            prop_assert_eq!(again, Some(Ok(record)));
        }
    }

    #[test]
    fn text_of_any_kind_is_read_or_refused(text in "[ \\t\\n\\r;()\"\\\\$@#.a-cA-CTYPEXMINS0-9\u{e9}\u{1}]{0,80}") {
        for record in records(&text).flatten() {
            let again = records(&record.to_string()).next();
            prop_assert_eq!(again, Some(Ok(ZoneRecord { line: 1, ..record })));
        }
    }
}
