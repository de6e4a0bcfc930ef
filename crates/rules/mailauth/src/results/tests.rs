//! Fields of the RFC, of others and of our own.

use mailstead_dns::Authenticity;
use mailstead_message::Fields;
use mailstead_names::{Domain, Localpart};
use proptest::prelude::*;

use super::*;

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn parse(text: &str) -> AuthenticationResults {
    AuthenticationResults::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn result(method: &str, code: &str) -> MethodResult {
    MethodResult::new(method.into(), code.into())
}

fn results(authserv_id: &str, results: Vec<MethodResult>) -> AuthenticationResults {
    AuthenticationResults { results, ..AuthenticationResults::new(authserv_id) }
}

/// RFC 8601 §B.2 to §B.7.
#[test]
fn examples_of_the_rfc() {
    let smtp = || Ptype::Smtp;
    for (text, expected) in [
        (" example.org 1; none", AuthenticationResults { version: Some(1), ..results("example.org", vec![]) }),
        (
            " example.com;\r\n          spf=pass smtp.mailfrom=example.net",
            results("example.com", vec![result("spf", "pass").with_property(smtp(), "mailfrom", "example.net")]),
        ),
        (
            " example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n          \
             spf=pass smtp.mailfrom=example.net",
            results(
                "example.com",
                vec![
                    result("auth", "pass").with_comment("cram-md5").with_property(smtp(), "auth", "sender@example.net"),
                    result("spf", "pass").with_property(smtp(), "mailfrom", "example.net"),
                ],
            ),
        ),
        (
            " example.com; iprev=pass\r\n          policy.iprev=192.0.2.200",
            results("example.com", vec![MethodResult::iprev(ResultCode::Pass, [192, 0, 2, 200].into())]),
        ),
        (
            " example.com;\r\n          dkim=pass (good signature) header.d=example.com",
            results(
                "example.com",
                vec![result("dkim", "pass").with_comment("good signature").with_property(
                    Ptype::Header,
                    "d",
                    "example.com",
                )],
            ),
        ),
        (
            " example.com;\r\n      dkim=pass reason=\"good signature\"\r\n        \
             header.i=@mail-router.example.net;\r\n      dkim=fail reason=\"bad signature\"\r\n        \
             header.i=@newyork.example.com",
            results(
                "example.com",
                vec![
                    result("dkim", "pass").with_reason("good signature").with_property(
                        Ptype::Header,
                        "i",
                        "@mail-router.example.net",
                    ),
                    result("dkim", "fail").with_reason("bad signature").with_property(
                        Ptype::Header,
                        "i",
                        "@newyork.example.com",
                    ),
                ],
            ),
        ),
        (
            " foo.example.net (foobar) 1 (baz);\r\n   dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n \
             policy (A dot can go here) . (like that) expired\r\n     \
             (this surprised me) = (as I wasn't expecting it) 1362471462",
            AuthenticationResults {
                version: Some(1),
                ..results(
                    "foo.example.net",
                    vec![MethodResult {
                        version: Some(1),
                        comment: Some("Because I like it, One yay, wait for it".to_owned()),
                        properties: vec![Property {
                            ptype: Some(Ptype::Policy),
                            name: "expired".to_owned(),
                            value: "1362471462".into(),
                            comment: Some(
                                "A dot can go here, like that, this surprised me, as I wasn't expecting it".to_owned(),
                            ),
                        }],
                        ..result("dkim", "fail")
                    }],
                )
            },
        ),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn what_others_write() {
    for (text, expected) in
        [
            // A semicolon at the end, values that ought to be quoted, unknown words.
            (
                "mx.example; dkim=pass header.b=aB/c+d=; x-Thing=Odd body.part=\"a;b\\\"c\";",
                results(
                    "mx.example",
                    vec![
                        result("dkim", "pass").with_property(Ptype::Header, "b", "aB/c+d="),
                        MethodResult::new(Method::Other("x-thing".into()), ResultCode::Other("odd".into()))
                            .with_property(Ptype::Body, "part", "a;b\"c"),
                    ],
                ),
            ),
            // A property without type, an address of IPv6, an empty value.
            (
                "mx.example; dmarc=pass action=none policy.iprev=2001:db8::1 smtp.mailfrom=; spf=none smtp.helo=<>",
                results(
                    "mx.example",
                    vec![
                        MethodResult {
                            properties: vec![Property {
                                ptype: None,
                                name: "action".to_owned(),
                                value: "none".into(),
                                comment: None,
                            }],
                            ..result("dmarc", "pass")
                        }
                        .with_property(Ptype::Policy, "iprev", "2001:db8::1")
                        .with_property(Ptype::Smtp, "mailfrom", ""),
                        result("spf", "none").with_property(Ptype::Smtp, "helo", "<>"),
                    ],
                ),
            ),
            // Quoted things that fold and nest.
            (
                "\"mx example\"; SPF=Pass (a (b\\) c)\r\n d) Reason=\"x\r\n y\" SMTP.MailFrom=\"a b\"@example.com",
                results(
                    "mx example",
                    vec![result("spf", "pass").with_comment("a (b) c) d").with_reason("x y").with_property(
                        Ptype::Smtp,
                        "mailfrom",
                        "\"a b\"@example.com",
                    )],
                ),
            ),
            // UTF-8 as it is.
            (
                "bücher.example; spf=pass smtp.mailfrom=jürgen@bücher.example",
                results(
                    "bücher.example",
                    vec![result("spf", "pass").with_property(Ptype::Smtp, "mailfrom", "jürgen@bücher.example")],
                ),
            ),
            // A method can be called so.
            ("mx.example; none=pass", results("mx.example", vec![result("none", "pass")])),
            ("mx.example;none;", results("mx.example", vec![])),
        ]
    {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn refusals_name_the_place() {
    for (text, at, expected) in [
        ("", 0, "authserv-id"),
        (" (only a comment)", 17, "authserv-id"),
        ("mx.example", 10, "semicolon"),
        ("mx.example;", 11, "method"),
        ("mx.example; ;", 12, "method"),
        ("mx.example 1x; none", 12, "semicolon"),
        ("mx.example; none; spf=pass", 16, "equals sign"),
        ("mx.example; spf", 15, "equals sign"),
        ("mx.example; spf=", 16, "result"),
        ("mx.example; spf/=pass", 16, "version"),
        ("mx.example; spf=pass smtp", 25, "equals sign"),
        ("mx.example; spf=pass smtp.=x", 26, "property"),
        ("mx.example; spf=pass =x", 21, "property"),
        ("mx.example; spf=pass (x", 23, "closing parenthesis"),
        ("mx.example; spf=pass reason=\"x", 30, "closing quote"),
        ("mx.example; spf=pass a=b\"c\"", 24, "property"),
    ] {
        assert_eq!(AuthenticationResults::parse(text), Err(ParseError::Syntax { at, expected }), "{text}");
    }
    assert_eq!(AuthenticationResults::parse("mx.example 2; ???"), Err(ParseError::Version(2)));
    assert_eq!(AuthenticationResults::parse("mx.example 99999999999; spf=pass"), Err(ParseError::Version(u32::MAX)));
    let many = |count| format!("mx.example{}", ";spf=pass".repeat(count));
    assert_eq!(parse(&many(100)).results.len(), 100);
    assert_eq!(AuthenticationResults::parse(&many(101)), Err(ParseError::TooMany));
}

/// All methods in their order, with their properties.
#[test]
fn a_field_of_ours() {
    let field = AuthenticationResults::new(domain("mx.example.org"))
        .with(MethodResult::arc(ResultCode::Pass, [192, 0, 2, 1].into()).with_property(
            Ptype::Header,
            "oldest-pass",
            "0",
        ))
        .with(
            MethodResult::dmarc(ResultCode::Fail, domain("example.com"))
                .with_dnssec(Authenticity::Insecure)
                .with_comment("override mailing_list")
                .with_property(Ptype::Policy, "dmarc", "quarantine"),
        )
        .with(MethodResult::spf_helo(ResultCode::Softfail, domain("mail.example.com")))
        .with(
            MethodResult::dkim(ResultCode::Pass, domain("example.com"), "sel1", "rsa-sha256")
                .with_comment("2048 bit rsa")
                .with_dnssec(Authenticity::Secure)
                .with_property(Ptype::Header, "b", "aB/c+d=e")
                .with_property(Ptype::Header, "i", Value::Mailbox(None, domain("news.example.com"))),
        )
        .with(
            MethodResult::dkim(ResultCode::Fail, domain("example.net"), "sel2", "ed25519-sha256")
                .with_reason("body hash does not match"),
        )
        .with(MethodResult::iprev(ResultCode::Pass, "2001:db8::1".parse().unwrap()).with_dnssec(Authenticity::Insecure))
        .to_field(Form::Ascii);
    let expected = "\
        Authentication-Results: mx.example.org; iprev=pass (without dnssec)\r\n \
        policy.iprev=\"2001:db8::1\"; dkim=pass (2048 bit rsa, with dnssec)\r\n \
        header.d=example.com header.s=sel1 header.a=rsa-sha256 header.b=\"aB/c+d=e\"\r\n \
        header.i=@news.example.com; dkim=fail reason=\"body hash does not match\"\r\n \
        header.d=example.net header.s=sel2 header.a=ed25519-sha256; spf=softfail\r\n \
        smtp.helo=mail.example.com; dmarc=fail (without dnssec, override\r\n \
        mailing_list) header.from=example.com policy.dmarc=quarantine; arc=pass\r\n \
        smtp.remote-ip=192.0.2.1 header.oldest-pass=0\r\n";
    assert_eq!(field, expected);
    assert_eq!(parse(field.strip_prefix("Authentication-Results:").unwrap()).results.len(), 6);
    assert_eq!(
        AuthenticationResults::new(domain("mx.example.org")).to_field(Form::Ascii),
        "Authentication-Results: mx.example.org; none\r\n"
    );
}

#[test]
fn international_names() {
    let field = AuthenticationResults::new(domain("mx.bücher.example"))
        .with(
            MethodResult::dkim(ResultCode::Pass, domain("bücher.example"), "sel", "rsa-sha256")
                .with_reason("schön")
                .with_comment("größe"),
        )
        .with(MethodResult::spf_mailfrom(
            ResultCode::Pass,
            Value::Mailbox(Some(Localpart::new("jürgen").unwrap()), domain("bücher.example")),
        ));
    let (ascii, utf8) = (field.to_field(Form::Ascii), field.to_field(Form::Utf8));
    assert!(ascii.is_ascii());
    let unfolded = |field: &str| field.replace("\r\n", "");
    assert_eq!(
        unfolded(&ascii),
        "Authentication-Results: mx.xn--bcher-kva.example; dkim=pass (=?utf-8?q?gr=C3=B6=C3=9Fe?=) reason=\"sch?n\" \
         header.d=xn--bcher-kva.example header.s=sel header.a=rsa-sha256; spf=pass \
         smtp.mailfrom=j?rgen@xn--bcher-kva.example"
    );
    assert_eq!(
        unfolded(&utf8),
        "Authentication-Results: \"mx.bücher.example\"; dkim=pass (größe) reason=\"schön\" \
         header.d=bücher.example (xn--bcher-kva.example) header.s=sel header.a=rsa-sha256; spf=pass \
         smtp.mailfrom=jürgen@bücher.example (xn--bcher-kva.example)"
    );
    assert!(claims(&ascii[23..], "mx.bücher.example") && claims(&utf8[23..], "mx.xn--bcher-kva.example"));
}

#[test]
fn no_text_escapes_its_place() {
    let evil = "x\r\nBcc:\u{1}\u{85} y\0; dkim=pass \"(\\)";
    let field = AuthenticationResults::new(evil)
        .with(
            MethodResult::new(Method::Other(evil.into()), ResultCode::Other(evil.into()))
                .with_comment(evil)
                .with_reason(evil)
                .with_property(Ptype::Other(evil.into()), evil, evil),
        )
        .to_field(Form::Ascii);
    assert_eq!(Fields::new(field.as_bytes()).count(), 1);
    let read = parse(Fields::new(field.as_bytes()).next().unwrap().unfolded().as_ref());
    assert_eq!(read.results.len(), 1);
    assert_eq!(read.results[0].properties.len(), 1);
    assert_eq!(read.results[0].properties[0].value.to_string(), "xBcc: y; dkim=pass \"(\\)");

    let long = "ö\"".repeat(5000);
    let field = AuthenticationResults::new("mx.example")
        .with(result("dkim", "pass").with_comment(&long).with_reason(long.clone()).with_property(
            Ptype::Header,
            "d",
            long,
        ))
        .to_field(Form::Utf8);
    assert!(field.split("\r\n").all(|line| line.len() <= 998), "{field}");
}

#[test]
fn claims_of_ours() {
    let ours = "mx.example.org";
    for value in [
        "mx.example.org; none",
        " MX.Example.ORG.; none",
        "\"mx.example.org\"; none",
        "(a) (b) mx.example.org (c) 1 (d); none",
        "\r\n mx.example.org; none",
        "mx.example.org 2; none",
        // Not legal, and perhaps read by somebody nevertheless.
        "mx.example.org",
        "mx.example.org dkim=pass",
        "mx.example.org/1; none",
        "; mx.example.org; dkim=pass",
        "\"mx.example.org; dkim=pass",
        "(mx.example.org; dkim=pass",
        "other.example; dkim=; mx.example.org; dkim=pass",
    ] {
        assert!(claims(value, ours), "{value}");
    }
    for value in [
        "",
        "example.org; none",
        "mx.example.orgs; none",
        "a-mx.example.org; none",
        "mx.example.org.example; none",
        "other.example; spf=pass smtp.helo=mx.example.org",
        "other.example 2; mx.example.org",
        "other.example; spf=; smtp.helo=a.mx.example.org",
    ] {
        assert!(!claims(value, ours), "{value}");
    }
    assert!(claims("xn--bcher-kva.example; none", "Bücher.example"));
    assert!(claims("BÜCHER.example; none", "xn--bcher-kva.example"));
    assert!(claims("local_id; none", "LOCAL_ID"));
}

#[test]
fn forged_fields_are_found() {
    let header = b"Received: from a\r\nauthentication-results : mx.example.org;\r\n dkim=pass header.d=bank.example\r\n\
        Authentication-Results: list.example; dkim=pass\r\nAuthentication-Results: list.example 3; dkim=pass\r\n\
        ARC-Authentication-Results: i=1; mx.example.org; dkim=pass\r\n\r\nAuthentication-Results: mx.example.org; x\r\n";
    let found: Vec<_> =
        forged_fields(header, &["mx.example.org"]).map(|(field, removal)| (field.range().start, removal)).collect();
    assert_eq!(found, [(18, Removal::Forged), (143, Removal::UnsupportedVersion(3))]);
}

fn text() -> impl Strategy<Value = String> {
    "[ -~öß]{1,20}"
}

fn single_spaced() -> impl Strategy<Value = String> {
    "[!-~öß]{1,8}( [!-~öß]{1,8}){0,3}"
}

prop_compose! {
    fn method_result()(
        method in "[a-z]{1,5}(-[a-z0-9]{1,3})?",
        version in prop::option::of(0_u32..9),
        code in "[a-z]{1,9}",
        comment in prop::option::of(single_spaced()),
        reason in prop::option::of(single_spaced()),
        properties in prop::collection::vec(
            (prop::option::of("[a-z]{1,6}"), "[a-z-]{1,6}", text(), prop::option::of(single_spaced())), 0..4),
    ) -> MethodResult {
        let properties = properties.into_iter().map(|(ptype, name, value, comment)| {
            // Without its type it would be the reason.
            let ptype = ptype.as_deref().or((name == "reason").then_some("header")).map(Ptype::from);
            Property { ptype, name, value: value.into(), comment }
        });
        MethodResult { version, comment, reason, properties: properties.collect(), ..result(&method, &code) }
    }
}

const PIECES: &[&str] = &[
    ";",
    "=",
    ".",
    "(",
    ")",
    "\"",
    "\\",
    "/",
    "@",
    " ",
    "\r\n ",
    "; spf=pass",
    "none",
    "reason",
    "a.b=c",
    "1",
    "mx.example",
    "ä",
];

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        authserv_id in text(),
        version in prop::option::of(Just(VERSION)),
        list in prop::collection::vec(method_result(), 0..5),
    ) {
        let field = AuthenticationResults { version, ..results(&authserv_id, list) };
        let written = field.to_field(Form::Utf8);
        let header = Fields::new(written.as_bytes()).next().unwrap();
        // The field as it stands, and as a reader of headers hands it out.
        let value = std::str::from_utf8(header.value()).unwrap();
        prop_assert_eq!(&parse(value), &field, "{}", written);
        prop_assert_eq!(&parse(&header.unfolded()), &field, "{}", written);
        prop_assert!(claims(value, &authserv_id));
        prop_assert!(field.to_field(Form::Ascii).is_ascii());
        prop_assert!(AuthenticationResults::parse(field.to_field(Form::Ascii)[23..].trim()).is_ok());
    }

    #[test]
    fn whatever_is_read_can_be_written(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30)) {
        let value = ["mx.example", &pieces.concat()].concat();
        if let Ok(read) = AuthenticationResults::parse(&value) {
            let written = read.to_field(Form::Utf8);
            let again = parse(&written[23..]);
            prop_assert_eq!(again.results.len(), read.results.len(), "{}", written);
        }
        let _ = claims(&value, "mx.example");
    }
}
