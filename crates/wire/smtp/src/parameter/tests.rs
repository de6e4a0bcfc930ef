use super::*;
use proptest::prelude::*;

fn everything() -> Extensions {
    [Extension::Size(None), Extension::EightBitMime, Extension::SmtpUtf8, Extension::RequireTls, Extension::Dsn]
        .into_iter()
        .collect()
}

fn words(text: &str) -> Vec<Parameter> {
    text.split_ascii_whitespace().map(|word| Parameter::parse(word).unwrap()).collect()
}

fn text(parameters: &[Parameter]) -> String {
    parameters.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn mail(parameters: &str, announced: &Extensions) -> Result<Mail, ParameterError> {
    Mail::interpret(ReversePath::Null, &words(parameters), announced)
}

fn rcpt(parameters: &str, announced: &Extensions) -> Result<Rcpt, ParameterError> {
    Rcpt::interpret(ForwardPath::Postmaster, &words(parameters), announced)
}

#[test]
fn parameters_of_mail_round_trip() {
    let all = "SIZE=9 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=QQ+2B+20314159";
    let understood = mail(all, &everything()).unwrap();
    assert_eq!(understood.envid.as_deref(), Some("QQ+ 314159"));
    assert!(understood.require_tls && understood.ret == Some(Ret::Headers));
    assert_eq!(text(&understood.parameters()), all);
    assert_eq!(mail("ret=full", &everything()).unwrap().ret, Some(Ret::Full));
}

#[test]
fn parameters_of_rcpt_round_trip() {
    let all = "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@c.example";
    let understood = rcpt(all, &everything()).unwrap();
    assert_eq!(understood.notify, Some(Notify { success: true, failure: false, delay: true }));
    assert_eq!(text(&understood.parameters()), all);
    assert_eq!(rcpt("", &everything()), Ok(Rcpt::new(ForwardPath::Postmaster)));
}

#[test]
fn each_parameter_needs_its_extension() {
    let none = Extensions::default();
    for (parameter, keyword) in
        [("SIZE=1", "SIZE"), ("REQUIRETLS", "REQUIRETLS"), ("RET=FULL", "RET"), ("ENVID=a", "ENVID")]
    {
        assert_eq!(mail(parameter, &none), Err(ParameterError::Unsupported(keyword.into())));
    }
    for (parameter, keyword) in [("NOTIFY=NEVER", "NOTIFY"), ("ORCPT=rfc822;a", "ORCPT")] {
        assert_eq!(rcpt(parameter, &none), Err(ParameterError::Unsupported(keyword.into())));
    }
    assert_eq!(rcpt("RET=FULL", &everything()), Err(ParameterError::Unsupported("RET".into())));
    assert_eq!(mail("NOTIFY=NEVER", &everything()), Err(ParameterError::Unsupported("NOTIFY".into())));
}

#[test]
fn original_recipients_beyond_ascii_need_smtputf8() {
    let dsn: Extensions = [Extension::Dsn].into_iter().collect();
    let native = "ORCPT=utf-8;\u{e9}@c.example";
    assert_eq!(rcpt(native, &dsn), Err(ParameterError::Malformed("ORCPT".into())));
    assert!(rcpt(native, &everything()).is_ok());
    assert!(rcpt("ORCPT=utf-8;\\x{E9}@c.example", &dsn).is_ok());
}

#[test]
fn bad_values() {
    let long = format!("ENVID={}", "a".repeat(101));
    for bad in
        ["REQUIRETLS=yes", "RET", "RET=ALL", "ENVID", "ENVID=+", "ENVID=+0A", "ENVID=+C3+A9", "ENVID=\u{e9}", &long]
    {
        assert!(matches!(mail(bad, &everything()), Err(ParameterError::Malformed(_))), "{bad}");
    }
    assert!(mail(&long[..long.len() - 1], &everything()).is_ok());
    for bad in ["NOTIFY", "NOTIFY=NEVER,DELAY", "NOTIFY=SOMETIMES", "ORCPT", "ORCPT=a@b.example", "ORCPT=rfc822;+1"] {
        assert!(matches!(rcpt(bad, &everything()), Err(ParameterError::Malformed(_))), "{bad}");
    }
    for twice in ["RET=FULL RET=FULL", "ENVID=a ENVID=b", "REQUIRETLS REQUIRETLS"] {
        assert!(matches!(mail(twice, &everything()), Err(ParameterError::Duplicate(_))), "{twice}");
    }
    assert!(matches!(rcpt("NOTIFY=NEVER NOTIFY=NEVER", &everything()), Err(ParameterError::Duplicate(_))));
}

proptest! {
    #[test]
    fn what_is_understood_round_trips(
        ret in prop_oneof![Just(None), Just(Some(Ret::Full)), Just(Some(Ret::Headers))],
        envid in proptest::option::of("[ -~]{1,33}"),
        (require_tls, smtputf8) in (any::<bool>(), any::<bool>()),
        notify in proptest::option::of((any::<bool>(), any::<bool>(), any::<bool>())),
        orcpt in proptest::option::of("[ -~]{1,100}"),
    ) {
        let mail = Mail { require_tls, smtputf8, ret, envid, ..Mail::new(ReversePath::Null) };
        let words = words(&text(&mail.parameters()));
        prop_assert_eq!(Mail::interpret(ReversePath::Null, &words, &everything()), Ok(mail));
        let notify = notify.map(|(success, failure, delay)| Notify { success, failure, delay });
        let orcpt = orcpt.map(|text| Orcpt::parse(&format!("rfc822;{}", xtext::encode(text.as_bytes()))).unwrap());
        let rcpt = Rcpt { notify, orcpt, ..Rcpt::new(ForwardPath::Postmaster) };
        let words = self::words(&text(&rcpt.parameters()));
        prop_assert_eq!(Rcpt::interpret(ForwardPath::Postmaster, &words, &everything()), Ok(rcpt));
    }
}
