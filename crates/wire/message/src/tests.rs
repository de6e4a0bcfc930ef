//! Tests of what this crate writes: trace fields, messages, notifications and surrogates.

use mailstead_names::{Address, Domain, EhloName, EnhancedStatus, Host, ReversePath};
use proptest::prelude::*;

use crate::compose::{Charset, Entity};
use crate::date::Date;
use crate::downgrade::{self, Surrogate};
use crate::dsn::{self, Action, Original, OriginalRecipient, Recipient, RemoteMta, Report};
use crate::header::Fields;
use crate::trace::{self, Received, With};
use crate::{Mailbox, Section, Structure};

fn date() -> Date {
    crate::date::parse("Mon, 23 Nov 2026 17:05:09 +0000").unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[test]
fn received_field() {
    let (by, reverse) = (Domain::parse("mx.example").unwrap(), Domain::parse("host.example.org").unwrap());
    let recipient = address("you@example");
    let mut received = Received {
        from: &EhloName::parse("client.example.org"),
        remote: Some("192.0.2.7".parse().unwrap()),
        reverse_name: Some(&reverse),
        by: &by,
        with: With { extended: true, tls: true, ..With::default() },
        tls: Some("TLS1.3 TLS_AES_128_GCM_SHA256"),
        id: "abc",
        recipient: Some(&recipient),
        at: date(),
    };
    assert_eq!(
        received.to_string(),
        concat!(
            "Received: from client.example.org (host.example.org [192.0.2.7]) by mx.example\r\n",
            " with ESMTPS (TLS1.3 TLS_AES_128_GCM_SHA256) id abc for <you@example>;\r\n",
            " Mon, 23 Nov 2026 17:05:09 +0000\r\n",
        )
    );
    let hostile = EhloName::parse("x (evil\" ;\u{e4}");
    received = Received { from: &hostile, remote: None, reverse_name: None, tls: None, recipient: None, ..received };
    assert_eq!(
        received.to_string(),
        concat!(
            "Received: from x??evil???? by mx.example with ESMTPS id abc;\r\n",
            " Mon, 23 Nov 2026 17:05:09 +0000\r\n",
        )
    );
}

#[test]
fn protocol_keywords() {
    let with = |extended, tls, authenticated, smtputf8| With { extended, tls, authenticated, smtputf8 }.to_string();
    assert_eq!(with(false, false, false, false), "SMTP");
    assert_eq!(with(true, false, false, false), "ESMTP");
    assert_eq!(with(true, true, true, false), "ESMTPSA");
    assert_eq!(with(true, false, false, true), "UTF8SMTP");
    assert_eq!(with(true, true, true, true), "UTF8SMTPSA");
}

#[test]
fn loops_are_seen() {
    let header = "Received: a\r\nreceived: b\r\nDelivered-To: You@Example\r\n\r\nReceived: body";
    assert_eq!(trace::received_count(header.as_bytes()), 2);
    assert!(trace::was_delivered_to(header.as_bytes(), &address("you@example")));
    assert!(!trace::was_delivered_to(header.as_bytes(), &address("me@example")));
    assert_eq!(trace::return_path(&ReversePath::Null), "Return-Path: <>\r\n");
    assert_eq!(trace::delivered_to(&address("a@b.example")), "Delivered-To: a@b.example\r\n");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn composed_text_reads_back(subject in "[^\r\n\0]{0,60}", lines in proptest::collection::vec("[^\r\n\0]{0,1100}", 0..4)) {
        let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let message = Entity::text(Charset::Ascii, &text).field("Subject", &subject).into_message();
        prop_assert!(message.is_ascii());
        prop_assert!(message.split(|octet| *octet == b'\n').all(|line| line.len() <= 999));
        let structure = Structure::scan(&message);
        prop_assert!(structure.anomalies.is_empty());
        let found = Fields::find(&message, "Subject").unwrap().text();
        prop_assert_eq!(found.split_whitespace().collect::<Vec<_>>(), subject.split_whitespace().collect::<Vec<_>>());
        let mut decoder = crate::text::Decoder::new(&structure.root);
        let body = &message[structure.root.body.start as usize..];
        let mut decoded = decoder.decode(body).to_owned();
        decoded.push_str(decoder.finish());
        prop_assert_eq!(decoded.trim_start_matches('\u{feff}'), text.trim_start_matches('\u{feff}'));
    }
}

fn report(recipient: &str, diagnostic: &str, header: &str) -> String {
    report_of(None, recipient, diagnostic, Original::Header(header.as_bytes()))
}

fn report_of(
    original_recipient: Option<OriginalRecipient>,
    recipient: &str,
    diagnostic: &str,
    original: Original<'_>,
) -> String {
    let original_envelope_id = original_recipient.is_some().then_some("QQ  31+4");
    let recipient = Recipient {
        original_recipient,
        final_recipient: address(recipient),
        action: Action::Delayed,
        status: EnhancedStatus::new(4, 4, 1),
        remote_mta: Some(RemoteMta {
            host: Host::Domain(Domain::parse("mx.example.net").unwrap()),
            ip: Some("192.0.2.9".parse().unwrap()),
        }),
        diagnostic: Some(diagnostic.to_owned()),
        last_attempt: Some(date()),
        will_retry_until: Some(date()),
    };
    let message = Report {
        reporting_mta: &Domain::parse("mx.example").unwrap(),
        from: Mailbox {
            name: Some("Mail delivery".to_owned()),
            localpart: "postmaster".to_owned(),
            domain: Some("mx.example".to_owned()),
            ..Mailbox::default()
        },
        to: &address("sender@example"),
        subject: "mail delivery delayed",
        text: "Not yet.\n",
        message_id: "1@mx.example",
        date: date(),
        arrival: Some(date()),
        recipients: &[recipient],
        original_envelope_id,
        original,
        boundary: "=_report",
    }
    .compose();
    String::from_utf8(message).unwrap()
}

#[test]
fn delivery_status_notification() {
    let message =
        report("a@b.example", "451 4.3.0 first\r\n451 4.3.0 second", "Subject: x\r\nMessage-ID: <o@x>\r\n\r\n");
    let structure = Structure::scan(message.as_bytes());
    assert!(structure.anomalies.is_empty(), "{:?}", structure.anomalies);
    let status = dsn::status_part(&structure).unwrap();
    assert!(status.content_type.is("message", "delivery-status"));
    let range = status.body.start as usize..status.body.end as usize;
    assert_eq!(
        &message[range.clone()],
        concat!(
            "Reporting-MTA: dns; mx.example\r\nArrival-Date: Mon, 23 Nov 2026 17:05:09 +0000\r\n\r\n",
            "Final-Recipient: rfc822; a@b.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n",
            "Remote-MTA: dns; mx.example.net (192.0.2.9)\r\n",
            "Diagnostic-Code: smtp; 451 4.3.0 first 451 4.3.0 second\r\n",
            "Last-Attempt-Date: Mon, 23 Nov 2026 17:05:09 +0000\r\n",
            "Will-Retry-Until: Mon, 23 Nov 2026 17:05:09 +0000\r\n",
        )
    );
    assert_eq!(dsn::read_status(message[range].as_bytes()), [("a@b.example".to_owned(), Action::Delayed)]);
    let part = structure.section(&[3], Section::Body).unwrap();
    assert_eq!(&message[part.start as usize..part.end as usize], "Subject: x\r\nMessage-ID: <o@x>\r\n");
    for (name, value) in [("Auto-Submitted", "auto-replied"), ("References", "<o@x>"), ("To", "sender@example")] {
        assert_eq!(Fields::find(message.as_bytes(), name).unwrap().unfolded(), value);
    }
    assert!(dsn::status_part(&Structure::scan(b"Subject: x\r\n\r\n")).is_none());
}

#[test]
fn international_notifications_use_the_global_types() {
    let message = report("jörg@b.example", "550 nein", "Subject: ü\r\n\r\n");
    let structure = Structure::scan(message.as_bytes());
    let types: Vec<_> = structure.root.children.iter().map(|part| part.content_type.subtype.as_str()).collect();
    assert_eq!(types, ["plain", "global-delivery-status", "global-headers"]);
    assert!(message.contains("Final-Recipient: utf-8; jörg@b.example\r\n"));
    assert!(dsn::status_part(&structure).is_some());
}

#[test]
fn notifications_say_what_the_sender_called_things() {
    let named = |addr_type: &str, address: &str| {
        let original = OriginalRecipient { addr_type: addr_type.to_owned(), address: address.to_owned() };
        let message = report_of(Some(original), "a@b.example", "451 no", Original::Header(b"Subject: x\r\n\r\n"));
        let status = Structure::scan(message.as_bytes()).root.children[1].clone();
        (status.content_type.subtype, message[status.body.start as usize..status.body.end as usize].to_owned())
    };
    let (subtype, status) = named("rfc822", "old+x@b.example");
    assert_eq!(subtype, "delivery-status");
    assert!(status.starts_with("Original-Envelope-Id: QQ  31+4\r\nReporting-MTA: dns; mx.example\r\n"), "{status}");
    assert!(
        status.contains(
            "\r\n\r\nOriginal-Recipient: rfc822; old+x@b.example\r\nFinal-Recipient: rfc822; a@b.example\r\n"
        ),
        "{status}"
    );
    let (subtype, status) = named("utf-8", "jörg@b.example");
    assert_eq!(subtype, "global-delivery-status");
    assert!(status.contains("\r\nOriginal-Recipient: utf-8; jörg@b.example\r\n"), "{status}");
}

#[test]
fn whole_messages_are_returned_where_a_report_can_hold_them() {
    let returned = |message: &[u8]| match Original::whole(message) {
        Original::Message(_) => {
            let report = report_of(None, "a@b.example", "451 no", Original::whole(message));
            let structure = Structure::scan(report.as_bytes());
            let part = structure.section(&[3], Section::Body).unwrap();
            assert_eq!(&report.as_bytes()[part.start as usize..part.end as usize], message);
            let part = structure.part(&[3]).unwrap();
            assert!(part.content_type.is_message() && part.children.len() == 1, "{report}");
            let encoding = part.encoding.clone().unwrap_or_default();
            format!("{}/{} {encoding}", part.content_type.kind, part.content_type.subtype)
        }
        Original::Header(_) => "header".to_owned(),
    };
    assert_eq!(returned(b"Subject: x\r\n\r\nbody\r\n"), "message/rfc822 ");
    assert_eq!(returned("Subject: x\r\n\r\nbödy\r\n".as_bytes()), "message/rfc822 8bit");
    assert_eq!(returned("Subject: ü\r\n\r\nbody\r\n".as_bytes()), "message/global 8bit");
    assert_eq!(returned(b"Subject: \xfc\r\n\r\nbody\r\n"), "header");
    assert_eq!(returned(b"Subject: x\r\n\r\n\0\r\n"), "header");
    assert_eq!((returned(b""), returned(b"\r\nbody")), ("header".into(), "header".into()));
    let line = |length: usize| format!("Subject: x\r\n\r\n{}\r\n", "y".repeat(length));
    assert_eq!(
        (returned(line(998).as_bytes()), returned(line(999).as_bytes())),
        ("message/rfc822 ".into(), "header".into())
    );
    let long = format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(dsn::RETURNED_MESSAGE / 12));
    assert_eq!(returned(long.as_bytes()), "header");
}

#[test]
fn long_original_headers_are_cut_at_a_field() {
    let header = format!("Subject: x\r\n{}\r\n", format!("X: {}\r\n", "y".repeat(70)).repeat(2000));
    let message = report("a@b.example", "550 no", &header);
    assert!(message.len() < 70_000);
    assert!(message.contains(&format!("X: {}\r\n\r\n--=_report--\r\n", "y".repeat(70))));
}

#[test]
fn downgraded_header() {
    let header = concat!(
        "From: Jörg <jörg@müller.example>\r\nTo: Plain <a@b>, \"Ü\" <u@ü.example>, Gruppe: ä@b, c@d;\r\n",
        "Subject: Grüße\r\nMessage-ID: <ä@b>\r\nX-Other: ö\r\nX-Plain: kept  as\r\n it is\r\n",
        "Content-Type: text/plain; charset=utf-8; name=\"ä b.txt\"\r\n\r\n",
    );
    let downgraded = String::from_utf8(downgrade::header(header.as_bytes())).unwrap();
    assert!(downgraded.is_ascii());
    let text = |name: &str| Fields::find(downgraded.as_bytes(), name).map(|field| field.text());
    assert_eq!(text("From").as_deref(), Some("Jörg (jörg@müller.example) <invalid@internationalized-address.invalid>"));
    assert_eq!(
        text("To").as_deref(),
        Some(concat!(
            "Plain <a@b>, Ü <u@xn--tda.example>, ",
            "Gruppe: ä@b <invalid@internationalized-address.invalid>, c@d;"
        ))
    );
    assert_eq!(text("Subject").as_deref(), Some("Grüße"));
    assert_eq!((text("Message-ID"), text("X-Other")), (None, None));
    assert!(downgraded.contains("X-Plain: kept  as\r\n it is\r\n"));
    let part = Structure::scan(downgraded.as_bytes()).root;
    assert_eq!(part.file_name().as_deref(), Some("ä b.txt"));
    assert!(downgraded.ends_with("\r\n\r\n"));
}

#[test]
fn a_surrogate_is_the_message_that_it_says_it_is() {
    let message = concat!(
        "Received: by x\r\nFrom: ä@b.example\r\nSubject: plain\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
        "--b\r\n\r\ntext ä\r\n--b\r\nContent-Type: message/global\r\n\r\nSubject: ä\r\nTo: a@b\r\n\r\ninner\r\n",
        "--b\r\nContent-Type: image/png; name=ä\r\nContent-Description: ä\r\nX: ä\r\n\r\nPNG\r\n--b--\r\n",
    );
    let original = Structure::scan(message.as_bytes());
    let source = &mut message.as_bytes();
    let Ok(Some(surrogate)) = Surrogate::build(&original, source) else { panic!() };
    let mut octets = Vec::new();
    let Ok(()) = surrogate.read(0..u64::MAX, source, &mut octets);
    // What the structure claims is what a scan of the octets finds.
    let mut scanned = Structure::scan(&octets);
    scanned.anomalies = surrogate.structure().anomalies;
    assert_eq!(surrogate.structure(), &scanned);
    assert!(original.root.walk().all(|part| !part.header.is_empty()));
    for part in scanned.root.walk() {
        let mut header = Vec::new();
        let Ok(()) = surrogate.read(part.header.clone(), source, &mut header);
        assert!(header.is_ascii());
    }
    // Any range is the same range of the whole.
    for start in (0..octets.len()).step_by(7) {
        let mut piece = Vec::new();
        let Ok(()) = surrogate.read(start as u64..start as u64 + 50, source, &mut piece);
        assert_eq!(piece, octets[start..octets.len().min(start + 50)]);
    }
    assert!(scanned.part(&[2]).unwrap().content_type.is("message", "rfc822"));
    let ascii = b"Subject: x\r\n\r\n\xc3\xa4".as_slice();
    assert!(matches!(Surrogate::build(&Structure::scan(ascii), &mut { ascii }), Ok(None)));
}
