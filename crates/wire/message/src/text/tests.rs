//! Tests of decoded text: transfer encodings, charsets, HTML, search text and previews.

use proptest::prelude::*;

use super::*;
use crate::structure::TransferEncoding;

fn undo(encoding: TransferEncoding, text: &[u8], cut: usize) -> Vec<u8> {
    let mut transfer = Transfer::new(encoding);
    let mut out = Vec::new();
    for piece in text.chunks(cut.max(1)) {
        transfer.decode(piece, &mut out);
    }
    transfer.finish(&mut out);
    out
}

#[test]
fn transfer_encodings_in_any_pieces() {
    use TransferEncoding::{Base64, QuotedPrintable};
    let cases: [(TransferEncoding, &str, &[u8]); 17] = [
        (Base64, "aGVsbG8=\r\n", b"hello"),
        (Base64, "aGVs\r\n bG8", b"hello"),
        (Base64, "aA==aQ==", b"hi"),
        (Base64, "a!GVs*bG8=", b"hello"),
        (QuotedPrintable, "a=C3=A4b", "aäb".as_bytes()),
        (QuotedPrintable, "soft=\r\nbreak", b"softbreak"),
        (QuotedPrintable, "soft= \t\r\nbreak", b"softbreak"),
        (QuotedPrintable, "soft=\nbreak", b"softbreak"),
        (QuotedPrintable, "blanks \t\r\nnext", b"blanks\r\nnext"),
        (QuotedPrintable, "blank=20\r\nnext", b"blank \r\nnext"),
        (QuotedPrintable, "in  side", b"in  side"),
        (QuotedPrintable, "not =XX an = escape =", b"not =XX an = escape "),
        (QuotedPrintable, "=3d=3D==3D", b"====".as_slice()),
        (QuotedPrintable, "a\rb", b"a\rb"),
        (QuotedPrintable, "a \rb", b"a \rb"),
        (QuotedPrintable, "end =4", b"end =4"),
        (TransferEncoding::Unknown, "=41", b"=41"),
    ];
    for (encoding, text, expected) in cases {
        for cut in 1..=text.len() {
            let got = undo(encoding, text.as_bytes(), cut);
            assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected), "{text:?} by {cut}");
        }
    }
}

fn texts(message: &[u8]) -> (String, String) {
    let structure = Structure::scan(message);
    let (mut header, mut body) = (String::new(), String::new());
    let Ok(()) = searchable(&structure, &mut { message }, &mut |place, text| match place {
        Place::Header => header.push_str(text),
        Place::Body => body.push_str(text),
    });
    (header, body)
}

#[test]
fn charsets() {
    let cases: [(&str, &[u8], &str); 9] = [
        ("iso-8859-1", b"\xe4", "ä"),
        ("\"ISO-8859-15\"", b"\xa4", "€"),
        ("utf-8", "ä".as_bytes(), "ä"),
        ("utf-7", b"+AOQ-", "ä"),
        ("iso-2022-jp", b"\x1b$B$\"\x1b(B", "あ"),
        ("gb18030", b"\xc4\xe3", "你"),
        ("koi8-r", b"\xc1", "а"),
        ("utf-16le", b"a\0\xe4\0", "aä"),
        ("nonsense", "ä".as_bytes(), "ä"),
    ];
    for (charset, octets, expected) in cases {
        let mut message = format!("Content-Type: text/plain; charset={charset}\r\n\r\n").into_bytes();
        message.extend_from_slice(octets);
        assert_eq!(texts(&message).1, format!("{expected}\n"), "{charset}");
    }
}

#[test]
fn html_is_read_as_a_person_sees_it() {
    let html = concat!(
        "<!DOCTYPE html><html><head><title>t</title><style>p { color: red }</style></head><body>\n",
        "<!-- a > comment --><p class=\"a>b\">Grüße&nbsp;an&amp;alle</p><div>one<br>two</div>",
        "<script>if (a < b) { '</p>' }</script>1 < 2 &unknown; &#8364; &lt;x&gt;</body></html>",
    );
    let message = format!("Content-Type: text/html; charset=utf-8\r\n\r\n{html}");
    let expected = "Grüße an&alle\none\ntwo\n1 < 2 &unknown; € <x>\n";
    assert_eq!(texts(message.as_bytes()).1, expected);
    let structure = Structure::scan(message.as_bytes());
    // Cut at every octet, the answer is the same.
    for cut in 1..html.len() {
        let mut decoder = Decoder::new(&structure.root);
        let mut text = String::new();
        for piece in html.as_bytes().chunks(cut) {
            text.push_str(decoder.decode(piece));
        }
        text.push_str(decoder.finish());
        assert_eq!(text + "\n", expected, "by {cut}");
    }
}

#[test]
fn search_text_is_decoded_and_placed() {
    let message = concat!(
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw6RiYw==\r\n",
        "--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename*=utf-8''%C3%B6.png\r\n\r\nPNG\r\n",
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n--b--\r\n",
    );
    let (header, body) = texts(message.as_bytes());
    assert!(header.contains("Subject: Grüße\n") && !header.contains("inner"));
    for needle in ["äbc\n", "ö.png", "Subject: inner\n", "inner text"] {
        assert!(body.contains(needle), "{needle}: {body}");
    }
    assert!(!body.contains("PNG"));
}

#[test]
fn previews() {
    let preview_of = |message: &str| {
        let Ok(preview) = preview(&Structure::scan(message.as_bytes()), &mut message.as_bytes());
        preview
    };
    assert_eq!(preview_of("A: b\r\n\r\n\r\n  Hello,\r\n\r\nworld \r\n-- \r\nJoe"), "Hello, world");
    let reply = "A: b\r\n\r\nOn Monday, Joe wrote:\r\n> quoted\r\n>\r\n\r\nMy answer: yes\r\n";
    assert_eq!(preview_of(reply), "My answer: yes");
    let alternative = concat!(
        "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n",
        "--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--",
    );
    assert_eq!(preview_of(alternative), "plain");
    assert_eq!(preview_of("Content-Type: text/html\r\n\r\n<style>x</style><p>rich</p>"), "rich");
    assert_eq!(preview_of("Content-Disposition: attachment\r\n\r\nsecret"), "");
    let long = preview_of(&format!("A: b\r\n\r\n{}", "wörd ".repeat(500)));
    assert!((250..=256).contains(&long.chars().count()));
    assert_eq!(preview_of(&format!("A: b\r\n\r\n{}", "ö".repeat(500))).chars().count(), 256);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_make_no_difference(octets in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'='), Just(b' '),
        Just(b'\r'), Just(b'\n'), Just(b'4')], 0..60), cut in 1..9_usize) {
        for encoding in [TransferEncoding::Base64, TransferEncoding::QuotedPrintable] {
            prop_assert_eq!(undo(encoding, &octets, cut), undo(encoding, &octets, 1000));
        }
    }

    #[test]
    fn any_html_is_read(html in "[<>&;/!a-c \"'-]{0,80}") {
        let message = format!("Content-Type: text/html\r\n\r\n{html}");
        let (_, body) = texts(message.as_bytes());
        prop_assert!(body.len() <= html.len() + 2);
    }
}

/// RFC 9051 §6.4.4: only parts that are neither TEXT nor MESSAGE may be left out.
#[test]
fn message_parts_without_structure_are_searched() {
    let report = "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
                  Final-Recipient: rfc822; bob@example.org\r\n--b\r\nContent-Type: message/rfc822\r\n\
                  Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b\r\nContent-Type: image/png\r\n\r\npixels\r\n--b--\r\n";
    let body = texts(report.as_bytes()).1;
    assert!(body.contains("bob@example.org") && body.contains("hello") && !body.contains("pixels"), "{body}");
}

#[test]
fn a_tab_that_folds_a_field_is_found_as_a_space() {
    assert_eq!(texts(b"Subject: one\r\n\ttwo\r\n\r\n").0, "Subject: one two\n");
}
