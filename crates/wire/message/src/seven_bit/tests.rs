//! What is converted, what is not, and that nobody reads anything else afterwards.

use proptest::prelude::*;

use super::*;
use crate::structure::{Part, Structure};
use crate::text::Transfer;

/// The plan for a message that arrives in pieces of this size.
fn plan(message: &[u8], size: usize) -> Result<SevenBit, Obstacle> {
    let structure = Structure::scan(message);
    let mut planner = Planner::new(&structure);
    message.chunks(size).for_each(|piece| planner.feed(piece));
    planner.finish()
}

fn octets<'a>(message: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &message[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
}

/// What a plan makes of a message.
fn carried_out(plan: &SevenBit, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in plan.pieces() {
        match piece {
            Piece::Original(range) => out.extend_from_slice(octets(message, range)),
            Piece::Inserted(fields) => out.extend_from_slice(fields.as_bytes()),
            Piece::Encoded(range, encoding) => {
                let mut encoder = encoding.encoder();
                octets(message, range).chunks(1000).for_each(|piece| encoder.update(piece, &mut out));
                encoder.finish(&mut out);
            }
        }
    }
    assert_eq!(out.len() as u64, plan.size());
    out
}

fn converted(message: &str) -> Result<String, Obstacle> {
    let plan = plan(message.as_bytes(), usize::MAX)?;
    Ok(String::from_utf8(carried_out(&plan, message.as_bytes())).unwrap())
}

/// Types and decoded contents of all parts that hold no others.
fn leaves(message: &[u8]) -> Vec<(String, Vec<u8>)> {
    let structure = Structure::scan(message);
    let content = |part: &Part| {
        let mut decoder = Transfer::new(part.transfer_encoding());
        let mut out = Vec::new();
        decoder.decode(octets(message, &part.body), &mut out);
        decoder.finish(&mut out);
        (format!("{}/{}", part.content_type.kind, part.content_type.subtype), out)
    };
    structure.root.walk().filter(|part| part.children.is_empty()).map(content).collect()
}

/// A message from its lines.
fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

#[test]
fn text_becomes_quoted_printable_and_the_rest_base64() {
    let message = lines(&[
        "MIME-Version: 1.0",
        "Content-Transfer-Encoding: 8bit",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "preamble",
        "--b",
        "Content-Type: text/plain; charset=utf-8",
        "content-transfer-encoding: 8BIT (grows)",
        "X-After: 1",
        "",
        "Grüße",
        "--b",
        "Content-Type: image/x",
        "Content-Transfer-Encoding: 8bit",
        "",
        "ü",
        "--b",
        "Content-Transfer-Encoding: 8bit",
        "",
        "only ASCII",
        "--b",
        "",
        "so is this = that",
        "--b--",
        "epilogue",
    ]);
    let expected = lines(&[
        "MIME-Version: 1.0",
        "Content-Transfer-Encoding: 7bit",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "preamble",
        "--b",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "X-After: 1",
        "",
        "Gr=C3=BC=C3=9Fe",
        "--b",
        "Content-Type: image/x",
        "Content-Transfer-Encoding: base64",
        "",
        "w7w=",
        "",
        "--b",
        "Content-Transfer-Encoding: 7bit",
        "",
        "only ASCII",
        "--b",
        "",
        "so is this = that",
        "--b--",
        "epilogue",
    ]);
    assert_eq!(converted(&message).unwrap(), expected);
}

#[test]
fn embedded_messages_are_converted_inside() {
    let message = lines(&[
        "MIME-Version: 1.0",
        "Content-Type: message/rfc822",
        "Content-Transfer-Encoding: 8bit",
        "",
        "Subject: inside",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "grün",
    ]);
    let expected = lines(&[
        "MIME-Version: 1.0",
        "Content-Type: message/rfc822",
        "Content-Transfer-Encoding: 7bit",
        "",
        "Subject: inside",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "gr=C3=BCn",
    ]);
    assert_eq!(converted(&message).unwrap(), expected);
}

#[test]
fn what_is_not_mime_becomes_text_that_nobody_knows() {
    assert_eq!(
        converted("Subject: a\r\n\r\ngrün\r\n").unwrap(),
        "Subject: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn\r\n"
    );
    // Without MIME-Version, which everybody takes for MIME all the same.
    assert_eq!(
        converted("Content-Type: text/html; charset=utf-8\r\n\r\ngrün").unwrap(),
        "Content-Type: text/html; charset=utf-8\r\nMIME-Version: 1.0\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn"
    );
    assert_eq!(
        converted("\r\nü").unwrap(),
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC"
    );
}

#[test]
fn what_is_ascii_stays_as_it_is() {
    let long = "x".repeat(2000);
    for message in [
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\nHello.\r\n".to_owned(),
        format!("A: b\r\n\r\n{long}"),
        String::new(),
    ] {
        let plan = plan(message.as_bytes(), 7).unwrap();
        assert!(plan.is_original());
        assert_eq!(carried_out(&plan, message.as_bytes()), message.as_bytes());
    }
}

/// RFC 2045 §2.7: where something is converted, other parts that are not 7bit are as well.
#[test]
fn lines_are_short_and_end_in_crlf() {
    let long = "x".repeat(999);
    let message =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nü\r\n--b\r\n\r\n{long}\r\n--b--\r\n");
    let result = converted(&message).unwrap();
    assert!(result.split("\r\n").all(|line| line.len() <= 76 && line.is_ascii()), "{result}");
    for odd in ["a\nb", "a\rb", "a\0b", "a\r"] {
        let message =
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nü\r\n--b\r\n\r\n{odd}\r\n--b--\r\n");
        let result = converted(&message).unwrap();
        assert!(!result.replace("\r\n", "").contains(['\n', '\r', '\0']), "{odd:?}");
        assert_eq!(leaves(result.as_bytes()), leaves(message.as_bytes()));
    }
}

/// A line that only the encoding begins must not end a part.
#[test]
fn encoded_text_holds_no_delimiter() {
    let text = format!("ü{}--b\r\n--b=\r\n", "x".repeat(69));
    for boundary in ["b", "b=3D"] {
        let message = format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n\r\n{text}ü--{boundary}\r\n\
             --{boundary}--\r\n"
        );
        let result = converted(&message).unwrap();
        assert_eq!(leaves(result.as_bytes()), leaves(message.as_bytes()), "{result}");
    }
}

#[test]
fn what_is_in_the_way() {
    use Obstacle::{InternationalHeader, Protected, Structure};
    let inside = |subtype: &str, part: &str| {
        format!("MIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary=b\r\n\r\n--b\r\n{part}\r\n--b--\r\n")
    };
    for (message, expected) in [
        ("Subject: ü\r\n\r\nü".to_owned(), InternationalHeader),
        (inside("mixed", "X: ü\r\n\r\nascii"), InternationalHeader),
        (inside("mixed", "Content-Type: message/global\r\n\r\nSubject: ü\r\n\r\nx"), InternationalHeader),
        (inside("signed", "\r\nü"), Protected),
        (inside("encrypted", "\r\nü"), Protected),
        (inside("signed", "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nü"), Protected),
        // Octets that no field can declare as encoded.
        ("Content-Type: multipart/mixed; boundary=b\r\n\r\nü\r\n--b\r\n\r\n--b--\r\n".to_owned(), Structure),
        (inside("mixed", "\r\nx\r\n--b--\r\nü"), Structure),
        (inside("mixed", "Content-Transfer-Encoding: base64\r\n\r\nü"), Structure),
        (inside("mixed", "Content-Transfer-Encoding: x-own\r\n\r\nü"), Structure),
        (inside("mixed", "Content-Type: message/delivery-status\r\n\r\nü"), Structure),
        // Structures that others may read in other ways.
        ("Content-Type: multipart/mixed\r\n\r\nü".to_owned(), Structure),
        ("Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n--b\r\n\r\nü"
            .to_owned(), Structure),
        ("Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nü".to_owned(), Structure),
        ("Content-Type: multipart\r\n\r\nü".to_owned(), Structure),
        ("From me today\r\nA: b\r\n\r\nü".to_owned(), Structure),
    ] {
        assert_eq!(converted(&message), Err(expected), "{message}");
    }
    // What is ASCII is in nobody's way.
    let signed = inside("signed", "Content-Transfer-Encoding: 8bit\r\n\r\nx");
    let message = inside("related", &format!("\r\nü\r\n--b\r\n{}", signed.replace("=b", "=c").replace("--b", "--c")));
    assert!(converted(&message).unwrap().contains("--c\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n--c--"));
}

#[test]
fn delivery_status_in_utf8_can_be_encoded() {
    let message = "Content-Type: message/global-delivery-status\r\n\r\nReporting-MTA: dns; ü.example\r\n";
    assert!(converted(message).unwrap().ends_with("\r\n\r\nReporting-MTA: dns; =C3=BC.example\r\n"));
}

#[test]
fn octets_must_be_those_of_the_structure() {
    let structure = Structure::scan("\r\ngrün".as_bytes());
    let mut planner = Planner::new(&structure);
    planner.feed("\r\ngr".as_bytes());
    assert_eq!(planner.finish(), Err(Obstacle::Structure));
}

/// Lines of which some make up a structure.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=a"),
        Just("Content-Type: multipart/signed; boundary=b"),
        Just("Content-Type: multipart/digest; boundary=\"a=3D\""),
        Just("Content-Type: message/rfc822"),
        Just("Content-Type: text/html; charset=utf-8"),
        Just("Content-Type: application/x"),
        Just("Content-Transfer-Encoding: 8bit"),
        Just("Content-Transfer-Encoding: quoted-printable"),
        Just("MIME-Version: 1.0"),
        Just("Subject: x"),
        Just("not a field"),
        Just("--a"),
        Just("--a--"),
        Just("--a=3D"),
        Just("--a= "),
        Just("--b"),
        Just("--b--"),
        Just("ü="),
        Just(" "),
        Just(""),
        Just(""),
    ];
    proptest::collection::vec(line, 0..40).prop_map(|lines| lines.join("\r\n").into_bytes())
}

/// Any parts in a multipart, of which some need to be converted.
fn multipart() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        Just(""),
        Just("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"),
        Just("Content-Type: image/png\r\n"),
        Just("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n"),
    ];
    let piece = prop_oneof![
        any::<[u8; 3]>().prop_map(|octets| octets.to_vec()),
        Just(b"--".to_vec()),
        Just("ü".as_bytes().to_vec()),
        Just(b"= ".to_vec()),
        Just(b"\r\n".to_vec()),
        (60_usize..80).prop_map(|length| vec![b'x'; length]),
        Just(vec![b'y'; 999]),
    ];
    let body = proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat());
    proptest::collection::vec((header, body), 1..5).prop_map(|parts| {
        let mut message = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=-\r\n".to_vec();
        for (header, body) in parts {
            message.extend_from_slice(format!("\r\n---\r\n{header}\r\n").as_bytes());
            message.extend_from_slice(&body);
        }
        [message, b"\r\n-----\r\n".to_vec()].concat()
    })
}

/// A message that was converted means what it meant.
fn check(message: &[u8]) -> Result<(), TestCaseError> {
    let Ok(plan) = plan(message, usize::MAX) else { return Ok(()) };
    let result = carried_out(&plan, message);
    prop_assert_eq!(leaves(&result), leaves(message), "{}", String::from_utf8_lossy(&result));
    prop_assert!(result.is_ascii());
    if plan.is_original() {
        return Ok(());
    }
    for line in result.split(|octet| *octet == b'\n') {
        prop_assert!(line.len() <= 999);
    }
    let again = self::plan(&result, usize::MAX);
    prop_assert!(again.is_ok_and(|again| again.is_original()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn contents_stay_the_same(message in prop_oneof![message(), multipart()]) {
        check(&message)?;
    }

    #[test]
    fn the_plan_does_not_depend_on_pieces(message in prop_oneof![message(), multipart()], size in 1_usize..100) {
        prop_assert_eq!(plan(&message, size), plan(&message, usize::MAX));
    }

    #[test]
    fn well_formed_parts_are_always_converted(message in multipart()) {
        let structure = Structure::scan(&message);
        // What is in a header or before a delimiter is another matter.
        let is_plain = structure.root.children.iter().all(|part| part.children.is_empty() && !part.header.is_empty());
        if is_plain && !structure.needs_smtputf8() {
            let result = carried_out(&plan(&message, usize::MAX).unwrap(), &message);
            let is_line_end = |at: usize| at > 0 && result[at - 1] == b'\r';
            let foreign = result.iter().enumerate().find(|(at, octet)| **octet == b'\n' && !is_line_end(*at));
            prop_assert!(!structure.has_8bit() || foreign.is_none());
        }
    }

    #[test]
    fn no_octets_make_it_panic(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&message)?;
    }
}
