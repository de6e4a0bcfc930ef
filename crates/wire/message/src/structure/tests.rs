//! Tests of the scanner and its stored form.

use proptest::prelude::*;

use super::fields::{self, DefaultType};
use super::*;

fn slice<'m>(message: &'m str, range: &Range<u64>) -> &'m str {
    &message[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// The example of RFC 9051 §6.4.5.1, with bodies.
fn nested() -> String {
    crlf(concat!(
        "From: a@example.org\nSubject: outer\nContent-Type: multipart/mixed; boundary=outer\n\npreamble\n",
        "--outer\nContent-Type: text/plain\n\npart 1\n",
        "--outer\nContent-Type: application/octet-stream\n\npart 2\n",
        "--outer\nContent-Type: message/rfc822\nContent-Description: three\n\n",
        "From: b@example.org\nSubject: three\nContent-Type: multipart/mixed; boundary=three\n\n",
        "--three\nContent-Type: text/plain\n\npart 3.1\n--three\n\npart 3.2\nsecond line\n--three--\n",
        "--outer\nContent-Type: multipart/mixed; boundary=four\n\n",
        "--four\nContent-Type: image/gif\n\npart 4.1\n",
        "--four\nContent-Type: message/rfc822\n\nSubject: 4.2\n\npart 4.2.1\n",
        "--four--\nepilogue of four\n--outer--\nepilogue\n",
    ))
}

#[test]
fn part_numbers_and_sections() {
    let message = nested();
    let structure = Structure::scan(message.as_bytes());
    assert!(structure.anomalies.is_empty(), "{:?}", structure.anomalies);
    let get = |number: &[u32], section| structure.section(number, section).map(|range| slice(&message, &range));
    assert_eq!(get(&[], Section::Body), Some(message.as_str()));
    assert!(get(&[], Section::Header).unwrap().ends_with("boundary=outer\r\n\r\n"));
    assert!(get(&[], Section::Text).unwrap().starts_with("preamble\r\n--outer"));
    assert_eq!(get(&[], Section::Mime), None);
    assert_eq!(get(&[1], Section::Body), Some("part 1"));
    assert_eq!(get(&[1], Section::Mime), Some("Content-Type: text/plain\r\n\r\n"));
    assert_eq!(get(&[1], Section::Header), None);
    assert_eq!(get(&[3], Section::Mime), Some("Content-Type: message/rfc822\r\nContent-Description: three\r\n\r\n"));
    assert!(get(&[3], Section::Header).unwrap().starts_with("From: b@"));
    assert!(get(&[3], Section::Text).unwrap().starts_with("--three"));
    assert!(get(&[3], Section::Body).unwrap().ends_with("--three--"));
    assert_eq!(get(&[3, 1], Section::Body), Some("part 3.1"));
    assert_eq!(get(&[3, 2], Section::Body), Some("part 3.2\r\nsecond line"));
    assert_eq!(get(&[3, 2], Section::Mime), Some("\r\n"));
    assert_eq!(get(&[4, 1], Section::Body), Some("part 4.1"));
    assert_eq!(get(&[4, 2], Section::Body), Some("Subject: 4.2\r\n\r\npart 4.2.1"));
    assert_eq!(get(&[4, 2, 1], Section::Body), Some("part 4.2.1"));
    assert_eq!(get(&[4, 2, 1], Section::Mime), Some("Subject: 4.2\r\n\r\n"));
    for missing in [&[0][..], &[5], &[1, 1], &[3, 3], &[4, 2, 2], &[4, 2, 1, 1], &[u32::MAX]] {
        assert_eq!(structure.part(missing), None, "{missing:?}");
    }
    let three = structure.part(&[3]).unwrap();
    let Shape::Message(embedded) = three.shape() else { panic!("{three:?}") };
    assert_eq!(embedded.envelope.as_ref().unwrap().subject.as_deref(), Some("three"));
    assert_eq!(three.envelope, None);
    assert_eq!(structure.part(&[3, 2]).unwrap().lines, 2);
    assert_eq!(structure.envelope().subject.as_deref(), Some("outer"));
}

#[test]
fn a_message_without_content_type_is_plain_ascii_text_and_has_part_1() {
    let structure = Structure::scan(b"Subject: x\r\n\r\nhello\r\nworld");
    assert_eq!(structure.root.content_type, ContentType::default());
    assert_eq!((structure.root.lines, structure.root.shape()), (2, Shape::Text));
    assert_eq!(structure.part(&[1]), Some(&structure.root));
    assert_eq!(structure.part(&[1, 1]), None);
}

#[test]
fn content_types_that_cannot_be_read_become_text_plain() {
    for value in ["", "text", "text/", "/plain", "text plain", "a/b/c", "ü/plain"] {
        let structure = Structure::scan(format!("Content-Type: {value}\r\n\r\n").as_bytes());
        assert_eq!(structure.root.content_type, ContentType::default(), "{value:?}");
    }
}

#[test]
fn blanks_and_comments_may_stand_around_the_slash() {
    for value in [
        "text/html;charset=x",
        "text / html ; charset = \"x\"",
        "text/ html; charset=x",
        "(a) text (b)/ html (c);charset=x",
    ] {
        let structure = Structure::scan(format!("Content-Type: {value}\r\n\r\n").as_bytes());
        let content_type = structure.root.content_type;
        assert!(content_type.is("text", "html"), "{value:?}");
        assert_eq!(content_type.param("charset").as_deref(), Some("x"), "{value:?}");
    }
}

#[test]
fn parts_of_a_digest_are_messages() {
    let message = crlf(concat!(
        "Content-Type: multipart/digest; boundary=\"d\"\n\n--d\n\nSubject: one\n\nbody one\n",
        "--d\nContent-Type: text/plain\n\ntext\n--d--\n",
    ));
    let structure = Structure::scan(message.as_bytes());
    let [first, second] = structure.root.children.as_slice() else { panic!("{structure:?}") };
    assert!(first.content_type.is("message", "rfc822") && !first.content_type.explicit);
    assert_eq!(slice(&message, &first.children[0].body), "body one");
    assert!(second.content_type.is("text", "plain"));
}

#[test]
fn line_ends_before_delimiters_and_line_counts() {
    // (body, its lines) between two delimiters.
    for (body, lines) in [("", 0), ("x", 1), ("x\r\n", 1), ("x\r\ny", 2), ("\r\n", 1), ("x\r\n\r\n", 2)] {
        let message = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{body}\r\n--b--");
        let structure = Structure::scan(message.as_bytes());
        let part = &structure.root.children[0];
        assert_eq!((slice(&message, &part.body), part.lines), (body, lines));
    }
    for (body, lines) in [("", 0), ("x", 1), ("x\n", 1), ("x\n\n", 2), ("\n", 1)] {
        let structure = Structure::scan(format!("A: b\n\n{body}").as_bytes());
        assert_eq!(structure.root.lines, lines, "{body:?}");
    }
}

#[test]
fn boundaries_that_begin_with_each_other() {
    let message = crlf(concat!(
        "Content-Type: multipart/mixed; boundary=abc\n\n--abc\nContent-Type: multipart/mixed; boundary=abcd\n\n",
        "--abcd\n\none\n--abcd  \n\ntwo\n--abcd--\n--abc\n\nthree\n--abce\nmore\n--abc--\n",
    ));
    let structure = Structure::scan(message.as_bytes());
    let body = |number: &[u32]| slice(&message, &structure.part(number).unwrap().body);
    assert_eq!((body(&[1, 1]), body(&[1, 2]), body(&[2])), ("one", "two", "three\r\n--abce\r\nmore"));
    assert!(structure.anomalies.is_empty());
}

#[test]
fn unterminated_parts_end_with_what_encloses_them() {
    let message = crlf(concat!(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n",
        "--i\n\ninner\n--o\nContent-Type: text/html\n--o\n\nlast",
    ));
    let structure = Structure::scan(message.as_bytes());
    assert!(structure.anomalies.contains(Anomalies::UNTERMINATED_MULTIPART));
    let body = |number: &[u32]| slice(&message, &structure.part(number).unwrap().body);
    assert_eq!((body(&[1, 1]), body(&[2]), body(&[3])), ("inner", "", "last"));
    // A part whose header has no empty line is all header.
    assert_eq!(slice(&message, &structure.root.children[1].header), "Content-Type: text/html\r\n");
    assert!(structure.root.children[1].content_type.is("text", "html"));
}

#[test]
fn a_multipart_without_parts_gets_an_empty_one_and_without_boundary_is_opaque() {
    let structure = Structure::scan(b"Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing");
    assert_eq!(structure.root.children.len(), 1);
    assert_eq!(structure.part(&[1]).unwrap().size(), 0);
    let structure = Structure::scan(b"Content-Type: multipart/mixed\r\n\r\n--\r\n\r\nx");
    assert!(structure.anomalies.contains(Anomalies::MISSING_BOUNDARY));
    assert_eq!(structure.root.shape(), Shape::Basic);
    assert_eq!(structure.root.shown_type(), ("application", "octet-stream"));
}

#[test]
fn encoded_messages_are_not_looked_into() {
    let structure =
        Structure::scan(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg==");
    assert!(structure.anomalies.contains(Anomalies::ENCODED_MESSAGE));
    assert_eq!(structure.root.shown_type(), ("application", "octet-stream"));
}

#[test]
fn fields_of_body_structure() {
    let header = concat!(
        "Content-Type: Text/Plain; Charset=\"UTF-8\"; name*0=a; name*1=b\r\nContent-Disposition: Attachment;\r\n",
        "  filename=\"a \\\"b\\\".txt\"\r\nContent-ID: <i@d>\r\nContent-Language: en, fr-CA (Quebec)\r\n",
        "Content-MD5: Q2hlY2s=\r\nContent-Location: http://x/\r\nContent-Transfer-Encoding: Quoted-Printable (ok)\r\n\r\n",
    );
    let part = Structure::scan(header.as_bytes()).root;
    assert!(part.content_type.is("text", "plain"));
    assert_eq!(part.content_type.params[0], ("charset".to_owned(), "UTF-8".to_owned()));
    assert_eq!(part.content_type.param("name").unwrap(), "ab");
    let disposition = part.disposition.clone().unwrap();
    assert_eq!((disposition.kind.as_str(), part.file_name().unwrap().as_ref()), ("attachment", "a \"b\".txt"));
    assert_eq!(part.language, ["en", "fr-CA"]);
    assert_eq!(part.encoding.as_deref(), Some("Quoted-Printable"));
    assert_eq!(part.transfer_encoding(), TransferEncoding::QuotedPrintable);
    assert_eq!((part.id.as_deref(), part.md5.as_deref()), (Some("<i@d>"), Some("Q2hlY2s=")));
    assert_eq!(part.location.as_deref(), Some("http://x/"));
}

fn scan_with(limits: Limits, message: &[u8]) -> Structure {
    let mut scanner = Scanner::new(limits);
    scanner.feed(message);
    scanner.finish()
}

#[test]
fn limits_bound_the_tree_and_are_reported() {
    let deep: String = (0..300).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let structure = scan_with(Limits { nesting: 5, ..Limits::default() }, deep.as_bytes());
    assert!(structure.anomalies.contains(Anomalies::NESTING_LIMIT));
    assert_eq!(structure.root.walk().count(), 6);

    let messages = "Content-Type: message/rfc822\n\n".repeat(300);
    let structure = scan_with(Limits { nesting: 5, ..Limits::default() }, messages.as_bytes());
    assert_eq!(structure.root.walk().count(), 6);

    let many = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(300));
    let structure = scan_with(Limits { parts: 10, ..Limits::default() }, many.as_bytes());
    assert!(structure.anomalies.contains(Anomalies::PART_LIMIT));
    assert_eq!(structure.root.walk().count(), 10);

    let long = format!("Subject: kept\r\nX: {}\r\nFrom: lost@x\r\n\r\nbody", "y".repeat(500));
    let structure = scan_with(Limits { header: 100, ..Limits::default() }, long.as_bytes());
    assert!(structure.anomalies.contains(Anomalies::HEADER_LIMIT));
    assert_eq!(structure.envelope().subject.as_deref(), Some("kept"));
    assert!(structure.envelope().from.is_empty());
    assert_eq!(slice(&long, &structure.root.body), "body");
}

#[test]
fn anomalies_of_octets() {
    let anomalies = |message: &[u8]| Structure::scan(message).anomalies;
    assert!(anomalies(b"A: b\r\n\r\n\xc3\xa4").contains(Anomalies::EIGHT_BIT_BODY));
    assert!(!anomalies(b"A: b\r\n\r\n\xc3\xa4").contains(Anomalies::EIGHT_BIT_HEADER));
    assert!(anomalies(b"A: \xc3\xa4\r\n\r\n").contains(Anomalies::EIGHT_BIT_HEADER));
    assert!(anomalies(b"A: b\n\r\n").contains(Anomalies::BARE_LF));
    assert!(anomalies(b"A: b\r\n\r\n\0").contains(Anomalies::NUL));
    assert!(anomalies(b"A: b\r\n").contains(Anomalies::NO_BODY));
    assert!(anomalies(b"A: b\r\nno colon\r\n\r\n").contains(Anomalies::NOT_A_FIELD));
    // The header of a part inside counts as well: RFC 6531 needs it for SMTPUTF8.
    let inner = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: ä\r\n\r\n--b--";
    assert!(Structure::scan(inner.as_bytes()).needs_smtputf8());
}

#[test]
fn prepending_shifts_everything_and_keeps_the_tree() {
    let message = nested();
    let prefix = "Return-Path: <a@b>\r\nReceived: by x;\r\n\tdate\r\n";
    let mut shifted = Structure::scan(message.as_bytes());
    shifted.prepend(prefix.len() as u64);
    assert_eq!(shifted, Structure::scan(format!("{prefix}{message}").as_bytes()));
}

#[test]
fn stored_form_refuses_what_it_does_not_know() {
    let encoded = Structure::scan(nested().as_bytes()).encode();
    assert!(encoded.len() < 600, "{} octets", encoded.len());
    for cut in 0..encoded.len() {
        assert!(Structure::decode(&encoded[..cut]).is_err(), "{cut}");
    }
    let mut newer = encoded.clone();
    newer[0] = 200;
    assert!(matches!(Structure::decode(&newer), Err(crate::Error::NewerStructure { found: 200, .. })));
    let mut longer = encoded;
    longer.push(0);
    assert!(Structure::decode(&longer).is_err());
}

/// A second, plainer reading of the rules: recursive, over all lines at once.
mod reference {
    use super::*;
    use crate::header::Fields;

    struct Line {
        start: usize,
        content: usize,
    }

    pub(super) struct Reference<'m> {
        message: &'m [u8],
        lines: Vec<Line>,
    }

    /// Why an entity ended.
    enum End {
        Message,
        /// At a delimiter of the multipart at this level.
        Delimiter {
            level: usize,
            close: bool,
        },
    }

    impl<'m> Reference<'m> {
        pub(super) fn new(message: &'m [u8]) -> Reference<'m> {
            let mut lines = Vec::new();
            let mut start = 0;
            for piece in message.split_inclusive(|octet| *octet == b'\n') {
                let end = start + piece.len();
                let content = piece.strip_suffix(b"\n").map_or(piece, |c| c.strip_suffix(b"\r").unwrap_or(c)).len();
                lines.push(Line { start, content: start + content });
                start = end;
            }
            Reference { message, lines }
        }

        pub(super) fn root(&self) -> Part {
            self.entity(0, &mut Vec::new(), DefaultType::TextPlain, true).0
        }

        fn offset(&self, line: usize) -> u64 {
            self.lines.get(line).map_or(self.message.len(), |line| line.start) as u64
        }

        fn delimiter(&self, line: &Line, boundaries: &[Option<String>]) -> Option<End> {
            let text = std::str::from_utf8(&self.message[line.start..line.content]).ok()?;
            let text = text.trim_end_matches([' ', '\t']);
            (0..boundaries.len()).rev().find_map(|level| {
                let boundary = boundaries[level].as_ref()?;
                let close = text == format!("--{boundary}--");
                (close || text == format!("--{boundary}")).then_some(End::Delimiter { level, close })
            })
        }

        /// Reads the entity whose header starts with line `first`: the part, the line after it, and why it ended there.
        fn entity(
            &self,
            first: usize,
            boundaries: &mut Vec<Option<String>>,
            default: DefaultType,
            of_message: bool,
        ) -> (Part, usize, End) {
            let mut at = first;
            let mut end = None;
            while let Some(line) = self.lines.get(at) {
                end = self.delimiter(line, boundaries);
                if end.is_some() {
                    break;
                }
                at += 1;
                if line.start == line.content {
                    break;
                }
            }
            let header = self.offset(first)..self.offset(at);
            let octets = &self.message[header.start as usize..header.end as usize];
            let mut part = Part { header: header.clone(), body: header.end..header.end, ..Part::default() };
            fields::read(&mut part, octets, default);
            part.envelope = of_message.then(|| Box::new(Envelope::parse(octets)));
            assert!(Fields::new(octets).map(|field| field.raw().len()).sum::<usize>() <= octets.len());

            let boundary = part.content_type.param("boundary").map(|b| b.trim_end().to_owned());
            let is_message = part.content_type.is_message() && part.transfer_encoding() == TransferEncoding::Identity;
            let mut end = match end {
                Some(end) => end,
                None => match (part.content_type.kind.as_str(), boundary) {
                    ("multipart", Some(boundary)) if !boundary.is_empty() => {
                        boundaries.push(Some(boundary));
                        let digest = part.content_type.subtype == "digest";
                        let child = if digest { DefaultType::MessageRfc822 } else { DefaultType::TextPlain };
                        let level = boundaries.len() - 1;
                        let mut end = self.skip(&mut at, boundaries);
                        while let End::Delimiter { level: found, close } = end {
                            if found != level {
                                break;
                            }
                            at += 1;
                            end = if close {
                                boundaries[level] = None;
                                self.skip(&mut at, boundaries)
                            } else {
                                let (part_inside, next, end) = self.entity(at, boundaries, child, false);
                                part.children.push(part_inside);
                                at = next;
                                end
                            };
                        }
                        boundaries.pop();
                        end
                    }
                    _ if is_message => {
                        boundaries.push(None);
                        let (message, next, end) = self.entity(at, boundaries, DefaultType::TextPlain, true);
                        boundaries.pop();
                        part.children.push(message);
                        at = next;
                        end
                    }
                    _ => self.skip(&mut at, boundaries),
                },
            };
            // An entity that is cut off in its header is still what its header says.
            if part.children.is_empty() && is_message {
                let here = part.header.end..part.header.end;
                let envelope = Some(Box::new(Envelope::default()));
                part.children.push(Part { header: here.clone(), body: here, envelope, ..Part::default() });
            }
            if let End::Delimiter { .. } = end {
                let previous = at.checked_sub(1).map(|line| &self.lines[line]);
                part.body.end = previous.map_or(0, |line| line.content as u64).max(part.body.start);
                // Where a part inside is header down to the delimiter, its last line end stays with it.
                part.body.end = part.children.last().map_or(0, |child| child.body.end).max(part.body.end);
            } else {
                part.body.end = self.message.len() as u64;
                end = End::Message;
            }
            let has_boundary = part.content_type.param("boundary").is_some_and(|b| !b.trim_end().is_empty());
            if part.children.is_empty() && part.content_type.kind == "multipart" && has_boundary {
                let end = part.body.end;
                part.children.push(Part { header: end..end, body: end..end, ..Part::default() });
            }
            let body = &self.message[part.body.start as usize..part.body.end as usize];
            part.lines = body.split_inclusive(|octet| *octet == b'\n').count() as u64;
            (part, at, end)
        }

        fn skip(&self, at: &mut usize, boundaries: &[Option<String>]) -> End {
            while let Some(line) = self.lines.get(*at) {
                if let Some(end) = self.delimiter(line, boundaries) {
                    return end;
                }
                *at += 1;
            }
            End::Message
        }
    }
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    const LINES: [&str; 20] = [
        "",
        "",
        "--a",
        "--a",
        "--ab",
        "--a--",
        "--ab--",
        "--a \t",
        "--",
        "Content-Type: multipart/mixed; boundary=a",
        "Content-Type: multipart/mixed; boundary=ab",
        "Content-Type: multipart/digest; boundary=a--",
        "Content-Type: multipart/mixed",
        "Content-Type: message/rfc822",
        "Content-Transfer-Encoding: base64",
        "Content-Type: text/html; charset*=utf-8'en'x",
        "Subject: =?utf-8?q?x?=",
        "From: A <a@b>, g: c@d;",
        " folded",
        "t\u{e4}xt\r",
    ];
    let line = (0..LINES.len(), any::<bool>());
    (proptest::collection::vec(line, 0..40), any::<bool>()).prop_map(|(lines, cut)| {
        let mut message = Vec::new();
        for (line, crlf) in lines {
            message.extend_from_slice(LINES[line].as_bytes());
            message.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
        if cut {
            message.pop();
        }
        message
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_reference(message in any_message()) {
        let structure = Structure::scan(&message);
        prop_assert_eq!(&structure.root, &reference::Reference::new(&message).root());
        prop_assert_eq!(structure.size, message.len() as u64);
    }

    #[test]
    fn pieces_make_no_difference(message in any_message(), sizes in proptest::collection::vec(1..9_usize, 1..9)) {
        let mut scanner = Scanner::new(Limits::default());
        let mut rest = message.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at((*size).min(rest.len()));
            scanner.feed(piece);
            rest = tail;
        }
        prop_assert_eq!(scanner.finish(), Structure::scan(&message));
    }

    #[test]
    fn stored_form_round_trips(message in any_message()) {
        let structure = Structure::scan(&message);
        prop_assert_eq!(Structure::decode(&structure.encode()), Ok(structure));
    }

    #[test]
    fn ranges_nest(message in any_message()) {
        for part in Structure::scan(&message).root.walk() {
            prop_assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
            prop_assert!(part.body.start <= part.body.end && part.body.end <= message.len() as u64);
            for pair in part.children.windows(2) {
                prop_assert!(pair[0].body.end <= pair[1].header.start);
            }
            for child in &part.children {
                prop_assert!(part.body.start <= child.header.start && child.body.end <= part.body.end);
            }
        }
    }

    #[test]
    fn decoding_anything_does_not_panic(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Structure::decode(&octets);
        let mut versioned = vec![1];
        versioned.extend(octets);
        let _ = Structure::decode(&versioned);
    }
}
