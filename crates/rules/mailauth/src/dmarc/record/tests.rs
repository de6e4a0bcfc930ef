//! Records good and bad.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Record {
    Record::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a record"))
}

fn uri(text: &str) -> ReportUri {
    ReportUri::parse(text).unwrap()
}

#[test]
fn the_version_makes_the_record() {
    for (text, is_record) in [
        ("v=DMARC1", true),
        ("v=DMARC1;", true),
        ("v = DMARC1 ;p=none", true),
        ("v\t=\tDMARC1\t; p=none", true),
        ("V=DMARC1", true),
        ("v=DMARC1\r\n", true),
        ("", false),
        ("v", false),
        ("v=", false),
        ("v=dmarc1; p=none", false),
        ("v=DMARC2; p=none", false),
        ("v=DMARC10; p=none", false),
        ("v=DMARC1 p=none", false),
        (" v=DMARC1; p=none", false),
        ("p=none; v=DMARC1", false),
        ("v=spf1 -all", false),
        ("version=DMARC1; p=none", false),
    ] {
        assert_eq!(Record::is_record(text.as_bytes()), is_record, "{text}");
        assert_eq!(Record::parse(text.as_bytes()).is_some(), is_record, "{text}");
    }
}

#[test]
fn every_tag_is_read() {
    let record = parse(
        "v=DMARC1;p=quarantine ; sp = reject;\tnp=none; t=y; psd=n; adkim=s; aspf=S; \
         rua=mailto:a@example.com , mailto:b@example.net; ruf=mailto:c@example.com; fo=1:d:s",
    );
    let expected = Record {
        policy: Some(Policy::Quarantine),
        subdomain_policy: Some(Policy::Reject),
        nonexistent_policy: Some(Policy::None),
        testing: true,
        psd: Psd::No,
        dkim_alignment: AlignmentMode::Strict,
        spf_alignment: AlignmentMode::Strict,
        aggregate_reports: vec![uri("mailto:a@example.com"), uri("mailto:b@example.net")],
        failure_reports: vec![uri("mailto:c@example.com")],
        failure_options: vec![FailureOption::AnyFail, FailureOption::Dkim, FailureOption::Spf],
        historic: Historic::default(),
        problems: Vec::new(),
    };
    assert_eq!(record, expected);
    assert!(record.policy_is_valid());
}

/// The records of RFC 9989 §B.2 and §B.3.
#[test]
fn examples_of_the_rfc() {
    let feedback = || vec![uri("mailto:dmarc-feedback@example.com")];
    let third = "mailto:tld-test@thirdparty.example.net";
    for (text, expected) in [
        (
            "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com",
            Record { aggregate_reports: feedback(), ..Record::new(Policy::None) },
        ),
        (
            "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; ruf=mailto:auth-reports@example.com",
            Record {
                aggregate_reports: feedback(),
                failure_reports: vec![uri("mailto:auth-reports@example.com")],
                ..Record::new(Policy::None)
            },
        ),
        (
            "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,\
             mailto:tld-test@thirdparty.example.net; t=y",
            Record {
                aggregate_reports: [feedback(), vec![uri(third)]].concat(),
                testing: true,
                ..Record::new(Policy::Quarantine)
            },
        ),
        (
            "v=DMARC1; p=reject; aspf=r; rua=mailto:dmarc-feedback@example.com",
            Record { aggregate_reports: feedback(), ..Record::new(Policy::Reject) },
        ),
        ("v=DMARC1;", Record { problems: vec![RecordProblem::NoPolicy], ..Record::default() }),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn tags_of_rfc_7489_are_kept_and_told() {
    let record = parse("v=DMARC1; p=none; pct=50; rf=afrf; ri=3600; rua=mailto:a@example.com!10m");
    assert_eq!(
        record.historic,
        Historic { percent: Some(50), report_format: Some("afrf".to_owned()), report_interval: Some(3600) }
    );
    assert_eq!(record.aggregate_reports[0].size_limit(), Some(10 << 20));
    assert_eq!(
        record.problems,
        [
            RecordProblem::Historic(Tag::Pct),
            RecordProblem::Historic(Tag::Rf),
            RecordProblem::Historic(Tag::Ri),
            RecordProblem::SizeLimit(Tag::Rua)
        ]
    );
    for text in ["pct=101", "pct=-1", "pct=+1", "pct=", "ri=4294967296", "ri=x", "rf=", "rf=ä"] {
        let record = parse(&format!("v=DMARC1; p=none; {text}"));
        assert_eq!(record.historic, Historic::default(), "{text}");
        assert_eq!(record.problems.len(), 2, "{text}: {:?}", record.problems);
    }
}

#[test]
fn errors_give_way_to_defaults() {
    let invalid = |tag, value: &str| RecordProblem::InvalidValue { tag, value: value.to_owned() };
    for (text, problem) in [
        ("p=none; t=x", invalid(Tag::T, "x")),
        ("p=none; psd=", invalid(Tag::Psd, "")),
        ("p=none; adkim=strict", invalid(Tag::Adkim, "strict")),
        ("p=none; aspf=q", invalid(Tag::Aspf, "q")),
        ("p=none; fo=0:1", invalid(Tag::Fo, "0:1")),
        ("p=none; fo=d:d", invalid(Tag::Fo, "d:d")),
        ("p=none; fo=", invalid(Tag::Fo, "")),
        ("p=none; p=reject", RecordProblem::Repeated(Tag::P)),
        ("p=none; v=DMARC1", RecordProblem::Repeated(Tag::V)),
        ("p=none; x-new=1", RecordProblem::NotATag("x-new=1".to_owned())),
        ("p=none; new=1", RecordProblem::Unknown("new".to_owned())),
        ("p=none; reject", RecordProblem::NotATag("reject".to_owned())),
        ("p=none; =reject", RecordProblem::NotATag("=reject".to_owned())),
        (
            "p=none; rua=a@example.com",
            RecordProblem::InvalidUri { tag: Tag::Rua, uri: "a@example.com".to_owned(), error: UriError::Scheme },
        ),
        ("p=none; ruf=", RecordProblem::InvalidUri { tag: Tag::Ruf, uri: String::new(), error: UriError::Scheme }),
    ] {
        let record = parse(&format!("v=DMARC1; {text}"));
        assert_eq!(record, Record { problems: vec![problem], ..Record::new(Policy::None) }, "{text}");
        assert!(record.policy_is_valid(), "{text}");
    }
}

#[test]
fn a_policy_is_valid_as_a_whole() {
    for (text, valid, malformed) in [
        ("p=reject; sp=none; np=none", true, false),
        ("P=REJECT", true, false),
        ("p=reject\n", true, false),
        ("sp=reject", false, false),
        ("p=bogus", false, true),
        ("p=", false, true),
        ("p=reject; sp=bogus", false, true),
        ("p=reject; np=", false, true),
        ("p=n\u{f6}ne", false, true),
    ] {
        let record = parse(&format!("v=DMARC1; {text}"));
        assert_eq!((record.policy_is_valid(), record.policy_is_malformed()), (valid, malformed), "{text}");
    }
    // However much else is wrong.
    let junk = "x;".repeat(1000);
    assert!(parse(&format!("v=DMARC1;{junk}p=reject;sp=bogus")).policy_is_malformed());
}

#[test]
fn hostile_records_stay_small() {
    let record = parse(&format!("v=DMARC1; {}", ["z", &"y".repeat(500), ";"].concat().repeat(1000)));
    assert_eq!(record.problems.len(), MOST_PROBLEMS + 1);
    assert!(record.problems.iter().all(|problem| problem.to_string().chars().count() < MOST_SHOWN + 20));
    let uris = vec!["mailto:a@example.com"; 1000].join(",");
    let record = parse(&format!("v=DMARC1; p=none; rua={uris}"));
    assert_eq!(record.aggregate_reports.len(), MOST_URIS);
    assert_eq!(record.problems, [RecordProblem::TooManyUris(Tag::Rua)]);
}

fn policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(vec![Policy::None, Policy::Quarantine, Policy::Reject])
}

fn uris() -> impl Strategy<Value = Vec<ReportUri>> {
    prop::collection::vec(("[a-z+=.]{1,8}", prop::option::of(0_u64..1 << 40)), 0..4).prop_map(|uris| {
        let written = |(local, size): (String, Option<u64>)| match size {
            Some(size) => format!("https://example.com/{local}!{size}"),
            None => format!("https://example.com/{local}"),
        };
        uris.into_iter().map(|parts| uri(&written(parts))).collect()
    })
}

fn mode() -> impl Strategy<Value = AlignmentMode> {
    prop::sample::select(vec![AlignmentMode::Relaxed, AlignmentMode::Strict])
}

prop_compose! {
    fn record()(
        policy in policy(),
        subdomain_policy in prop::option::of(policy()),
        nonexistent_policy in prop::option::of(policy()),
        testing in any::<bool>(),
        psd in prop::sample::select(vec![Psd::Yes, Psd::No, Psd::Unknown]),
        modes in (mode(), mode()),
        reports in (uris(), uris()),
        failure_options in prop::sample::subsequence(
            vec![FailureOption::AnyFail, FailureOption::Dkim, FailureOption::Spf], 0..=3),
        percent in prop::option::of(0_u8..=100),
        report_interval in prop::option::of(any::<u32>()),
    ) -> Record {
        Record {
            policy: Some(policy), subdomain_policy, nonexistent_policy, testing, psd,
            dkim_alignment: modes.0, spf_alignment: modes.1,
            aggregate_reports: reports.0, failure_reports: reports.1, failure_options,
            historic: Historic { percent, report_format: None, report_interval },
            problems: Vec::new(),
        }
    }
}

const PIECES: &[&str] = &[
    ";",
    "=",
    ",",
    "!",
    ":",
    " ",
    "p",
    "sp",
    "np",
    "t",
    "psd",
    "fo",
    "rua",
    "pct",
    "rf",
    "ri",
    "none",
    "reject",
    "y",
    "1",
    "d",
    "mailto:a@b.example",
    "ä",
];

proptest! {
    #[test]
    fn what_is_written_is_read_back(record in record()) {
        let read = parse(&record.to_string());
        let informative =
            |problem: &RecordProblem| matches!(problem, RecordProblem::Historic(_) | RecordProblem::SizeLimit(_));
        prop_assert!(read.problems.iter().all(informative), "{:?}", read.problems);
        prop_assert_eq!(Record { problems: Vec::new(), ..read }, record);
    }

    #[test]
    fn whatever_is_read_can_be_written(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let text = pieces.concat();
        let record = parse(&format!("v=DMARC1;{text}"));
        let again = parse(&record.to_string());
        let plain = |record: Record| Record { problems: Vec::new(), ..record };
        prop_assert_eq!(plain(again), plain(record));
    }
}
