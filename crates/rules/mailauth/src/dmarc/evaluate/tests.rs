//! Messages and what becomes of them.

use mailstead_dns::{Authenticity, LookupErrorKind, Mx, Record as DnsRecord, Target, Txt};
use mailstead_testkit::Zones;

use super::*;
use crate::dmarc::MOST_QUERIES;

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn txt(text: &str) -> DnsRecord {
    DnsRecord::Txt(Txt::from(text))
}

fn host() -> DnsRecord {
    DnsRecord::Mx(Mx { preference: 10, exchange: Target::parse("mx.example.com") })
}

fn zones(records: &[(&str, &str)]) -> Zones {
    records.iter().fold(Zones::new(), |zones, (name, text)| zones.with(&format!("_dmarc.{name}"), txt(text)))
}

fn spf(name: &str, outcome: Outcome) -> Identifier {
    Identifier { mechanism: Mechanism::Spf, domain: domain(name), outcome }
}

fn dkim(name: &str, outcome: Outcome) -> Identifier {
    Identifier { mechanism: Mechanism::Dkim, domain: domain(name), outcome }
}

async fn check(zones: &Zones, author: &str, identifiers: &[Identifier]) -> DmarcResult {
    evaluate(zones, &[domain(author)], identifiers).await
}

fn alignments(result: &DmarcResult) -> Vec<Alignment> {
    result.identifiers.iter().map(|aligned| aligned.alignment).collect()
}

/// RFC 9989 §4.4 table 1, and all examples of §B.1: each with a relaxed and a strict record.
#[tokio::test]
async fn alignment() {
    let relaxed = "v=DMARC1; p=reject";
    let strict = "v=DMARC1; p=reject; adkim=s; aspf=s";
    for (author, identifier, by_relaxed, by_strict) in [
        ("news.example.com", "foo.example.com", Alignment::Relaxed, Alignment::None),
        ("news.example.com", "news.example.com", Alignment::Strict, Alignment::Strict),
        ("news.example.com", "foo.example.net", Alignment::None, Alignment::None),
        ("example.com", "example.com", Alignment::Strict, Alignment::Strict),
        ("example.com", "child.example.com", Alignment::Relaxed, Alignment::None),
        ("child.example.com", "example.com", Alignment::Relaxed, Alignment::None),
        ("child.example.com", "example.net", Alignment::None, Alignment::None),
        ("example.com", "notexample.com", Alignment::None, Alignment::None),
    ] {
        for (record, expected) in [(relaxed, by_relaxed), (strict, by_strict)] {
            for mechanism in [Mechanism::Spf, Mechanism::Dkim] {
                let zones = zones(&[("example.com", record)]);
                let identifier = Identifier { mechanism, domain: domain(identifier), outcome: Outcome::Pass };
                let result = check(&zones, author, std::slice::from_ref(&identifier)).await;
                let status = if expected == Alignment::None { Status::Fail } else { Status::Pass };
                assert_eq!(alignments(&result), [expected], "{author} {identifier:?} {record}");
                assert_eq!(result.status, status, "{author} {identifier:?} {record}");
                assert_eq!(result.is_aligned(mechanism), status == Status::Pass);
            }
        }
    }
}

#[tokio::test]
async fn each_mechanism_has_its_own_mode() {
    let zones = zones(&[("example.com", "v=DMARC1; p=reject; aspf=s")]);
    let identifiers = [spf("a.example.com", Outcome::Pass), dkim("a.example.com", Outcome::Pass)];
    let result = check(&zones, "example.com", &identifiers).await;
    assert_eq!(alignments(&result), [Alignment::None, Alignment::Relaxed]);
    assert_eq!((result.is_aligned(Mechanism::Spf), result.is_aligned(Mechanism::Dkim)), (false, true));
}

/// RFC 9989 §B.4.
#[tokio::test]
async fn tree_walks() {
    let signing = &[("example.com", "v=DMARC1; p=reject"), ("signing.example.com", "v=DMARC1; p=none")];
    let identifiers = [spf("example.com", Outcome::Pass), dkim("signing.example.com", Outcome::Pass)];
    let result = check(&zones(signing), "example.com", &identifiers).await;
    assert_eq!((result.status, alignments(&result)), (Status::Pass, vec![Alignment::Strict, Alignment::Relaxed]));
    assert_eq!(result.organizational_domain, Some(domain("example.com")));

    let result = check(&zones(signing), "a.b.c.d.e.f.g.h.i.j.k.example.com", &identifiers).await;
    assert_eq!((result.status, alignments(&result)), (Status::Pass, vec![Alignment::Relaxed, Alignment::Relaxed]));
    let policy = result.policy.unwrap();
    assert_eq!((policy.domain, policy.source), (domain("example.com"), PolicySource::OrganizationalDomain));

    let bank =
        zones(&[("bank.example", "v=DMARC1; p=reject; psd=y"), ("giant.bank.example", "v=DMARC1; p=quarantine")]);
    let identifiers = [spf("mail.giant.bank.example", Outcome::Pass), dkim("mail.mega.bank.example", Outcome::Pass)];
    let result = check(&bank, "giant.bank.example", &identifiers).await;
    assert_eq!((result.status, alignments(&result)), (Status::Pass, vec![Alignment::Relaxed, Alignment::None]));
    let policy = result.policy.unwrap();
    assert_eq!((policy.domain, policy.source), (domain("giant.bank.example"), PolicySource::AuthorDomain));

    // The other way round: what is below a public suffix is not of its organisation.
    let result = check(&bank, "bank.example", &identifiers).await;
    assert_eq!((result.status, alignments(&result)), (Status::Fail, vec![Alignment::None, Alignment::None]));
    // And who has no record of his own is under the one of the public suffix, but is not aligned with it.
    let result = check(&bank, "mega.bank.example", &[spf("bank.example", Outcome::Pass)]).await;
    assert_eq!((result.status, result.disposition), (Status::Fail, Policy::Reject));
    assert_eq!(result.policy.unwrap().source, PolicySource::PublicSuffixDomain);
}

#[tokio::test]
async fn policies() {
    use PolicyTag::{Absent, NonexistentPolicy, Policy as Own, SubdomainPolicy};
    let rua = "rua=mailto:a@example.com";
    for (author, record, tag, published, effective) in [
        ("example.com", "p=none; sp=reject; np=reject", Own, Policy::None, Policy::None),
        ("example.com", "p=reject", Own, Policy::Reject, Policy::Reject),
        ("example.com", "p=reject; t=y", Own, Policy::Reject, Policy::Quarantine),
        ("example.com", "p=quarantine; t=y", Own, Policy::Quarantine, Policy::None),
        ("example.com", "p=none; t=y", Own, Policy::None, Policy::None),
        ("example.com", "p=reject; pct=0", Own, Policy::Reject, Policy::Reject),
        (
            "sub.example.com",
            "p=reject; sp=quarantine; np=none",
            SubdomainPolicy,
            Policy::Quarantine,
            Policy::Quarantine,
        ),
        ("sub.example.com", "p=reject; np=none", Own, Policy::Reject, Policy::Reject),
        ("sub.example.com", "p=none; sp=reject; t=y", SubdomainPolicy, Policy::Reject, Policy::Quarantine),
        ("void.example.com", "p=none; sp=quarantine; np=reject", NonexistentPolicy, Policy::Reject, Policy::Reject),
        ("void.example.com", "p=reject; np=none", NonexistentPolicy, Policy::None, Policy::None),
        ("void.example.com", "p=none; sp=quarantine", SubdomainPolicy, Policy::Quarantine, Policy::Quarantine),
        ("void.example.com", "p=reject", Own, Policy::Reject, Policy::Reject),
        ("void.example.com", "p=none; np=reject; t=y", NonexistentPolicy, Policy::Reject, Policy::Quarantine),
        // An alias exists, even if it leads nowhere.
        ("alias.example.com", "p=reject; np=none", Own, Policy::Reject, Policy::Reject),
        // No valid policy, but reports wanted.
        ("example.com", rua, Absent, Policy::None, Policy::None),
        ("example.com", &format!("p=bogus; {rua}"), Absent, Policy::None, Policy::None),
        ("example.com", &format!("p=reject; sp=bogus; {rua}"), Absent, Policy::None, Policy::None),
        ("void.example.com", &format!("p=reject; np=bogus; {rua}"), Absent, Policy::None, Policy::None),
    ] {
        let zones = zones(&[("example.com", &format!("v=DMARC1; {record}"))])
            .with("example.com", host())
            .with("sub.example.com", host())
            .with_alias("alias.example.com", "nowhere.example.net");
        let result = check(&zones, author, &[]).await;
        assert_eq!((result.status, result.disposition), (Status::Fail, effective), "{author} {record}");
        let policy = result.policy.unwrap();
        assert_eq!((policy.tag, policy.published, policy.effective), (tag, published, effective), "{author} {record}");
        assert_eq!(policy.domain, domain("example.com"));
        let expected =
            |condition, reason: Reason| assert_eq!(result.reasons.contains(&reason), condition, "{author} {record}");
        expected(published != effective, Reason::Testing(domain("example.com")));
        expected(tag == NonexistentPolicy, Reason::NonexistentDomain(domain(author)));
        expected(tag == Absent, Reason::PolicyDefaulted(domain("example.com")));
    }
}

#[tokio::test]
async fn records_that_ask_for_nothing() {
    let pass = [dkim("example.com", Outcome::Pass)];
    for (record, status, reason) in [
        ("v=DMARC1", Status::None, Reason::NoPolicy(domain("example.com"))),
        ("v=DMARC1; adkim=s; ruf=mailto:a@example.com", Status::None, Reason::NoPolicy(domain("example.com"))),
        ("v=DMARC1; p=bogus", Status::PermError, Reason::PolicyMalformed(domain("example.com"))),
        ("v=DMARC1; p=reject; sp=x; rua=nowhere", Status::PermError, Reason::PolicyMalformed(domain("example.com"))),
        ("v=spf1 -all", Status::None, Reason::NoRecord(domain("example.com"))),
    ] {
        let result = check(&zones(&[("example.com", record)]), "example.com", &pass).await;
        assert_eq!((result.status, result.disposition), (status, Policy::None), "{record}");
        assert_eq!((result.policy, result.reasons), (None, vec![reason]), "{record}");
    }
}

#[tokio::test]
async fn several_records_are_told_wherever_they_are() {
    let reject = "v=DMARC1; p=reject";
    let result = check(&zones(&[("example.com", reject), ("example.com", reject)]), "example.com", &[]).await;
    assert_eq!(result.status, Status::None);
    assert_eq!(
        result.reasons,
        [Reason::SeveralRecords(domain("example.com")), Reason::NoRecord(domain("example.com"))]
    );
    let result = check(&zones(&[("example.com", reject), ("example.com", reject)]), "a.example.com", &[]).await;
    assert_eq!(
        result.reasons,
        [Reason::SeveralRecords(domain("example.com")), Reason::NoRecord(domain("a.example.com"))]
    );
}

#[tokio::test]
async fn errors_of_mechanisms_count_where_they_matter() {
    let reject = zones(&[("example.com", "v=DMARC1; p=reject")]);
    for (identifiers, status, worth_deferring) in [
        // SPF might have passed, DKIM did not.
        (vec![spf("example.com", Outcome::TempError), dkim("example.com", Outcome::Fail)], Status::TempError, true),
        (vec![spf("a.example.com", Outcome::TempError)], Status::TempError, true),
        (vec![dkim("example.com", Outcome::TempError), spf("example.com", Outcome::Fail)], Status::TempError, true),
        // Something else passed.
        (vec![spf("example.com", Outcome::TempError), dkim("example.com", Outcome::Pass)], Status::Pass, false),
        // It could not have made a difference: nobody escapes a policy by name servers of his own that fail.
        (vec![spf("attacker.example", Outcome::TempError), dkim("example.com", Outcome::Fail)], Status::Fail, false),
        (vec![spf("attacker.com", Outcome::TempError)], Status::Fail, false),
    ] {
        let result = check(&reject, "example.com", &identifiers).await;
        assert_eq!(result.status, status, "{identifiers:?}");
        assert_eq!(result.is_worth_deferring(), worth_deferring, "{identifiers:?}");
        let disposition = if status == Status::Fail { Policy::Reject } else { Policy::None };
        assert_eq!(result.disposition, disposition, "{identifiers:?}");
    }
    // Nothing is lost by taking it where nothing is asked for.
    let none = zones(&[("example.com", "v=DMARC1; p=none")]);
    let result = check(&none, "example.com", &[spf("example.com", Outcome::TempError)]).await;
    assert_eq!((result.status, result.is_worth_deferring()), (Status::TempError, false));
}

#[tokio::test]
async fn nobody_is_asked_in_vain() {
    for (identifiers, queries) in [
        // Strangers, near and far.
        (vec![dkim("other.example", Outcome::Pass)], &["example.com"][..]),
        (vec![dkim("other.com", Outcome::Pass)], &["example.com", "com"]),
        // What did not pass.
        (vec![dkim("a.example.com", Outcome::Fail)], &["example.com"]),
        // What no longer matters.
        (vec![spf("a.example.com", Outcome::TempError), dkim("example.com", Outcome::Pass)], &["example.com"]),
        // What does.
        (vec![spf("a.example.com", Outcome::Pass)], &["example.com", "com", "a.example.com"]),
    ] {
        let zones = zones(&[("example.com", "v=DMARC1; p=reject")]);
        check(&zones, "example.com", &identifiers).await;
        let asked: Vec<String> = zones.asked().iter().map(|(name, _)| name.to_string()).collect();
        let queries: Vec<String> = queries.iter().map(|name| format!("_dmarc.{name}")).collect();
        assert_eq!(asked, queries, "{identifiers:?}");
    }
}

#[tokio::test]
async fn failing_lookups() {
    let failing = |zones: Zones, name| zones.failing(name, RecordType::Txt, LookupErrorKind::ServerFailure);
    let reject = || zones(&[("example.com", "v=DMARC1; p=reject")]);

    // The record itself.
    let result = check(&failing(reject(), "_dmarc.example.com"), "example.com", &[]).await;
    assert_eq!((result.status, result.is_worth_deferring()), (Status::TempError, true));
    let name = Domain::parse_lenient("_dmarc.example.com").unwrap();
    assert_eq!(result.reasons, [Reason::LookupFailed { name, kind: LookupErrorKind::ServerFailure }]);

    // Above the record, where nobody needs to know.
    for identifiers in [
        vec![],
        vec![dkim("example.com", Outcome::Pass)],
        vec![dkim("example.net", Outcome::Pass)],
        vec![spf("a.example.com", Outcome::Fail)],
    ] {
        let zones = failing(reject(), "_dmarc.com");
        let result = check(&zones, "example.com", &identifiers).await;
        assert!(matches!(result.status, Status::Pass | Status::Fail), "{identifiers:?}");
        assert_eq!(zones.asked().len(), 1, "{identifiers:?}");
    }
    // Where somebody does.
    for identifier in [dkim("a.example.com", Outcome::Pass), dkim("a.example.com", Outcome::TempError)] {
        let result = check(&failing(reject(), "_dmarc.com"), "example.com", &[identifier]).await;
        assert_eq!((result.status, alignments(&result)), (Status::TempError, vec![Alignment::Undecided]));
        assert!(result.is_worth_deferring());
    }
    // It does not hurt a pass.
    let identifiers = [spf("a.example.com", Outcome::Pass), dkim("example.com", Outcome::Pass)];
    let result = check(&failing(reject(), "_dmarc.com"), "example.com", &identifiers).await;
    assert_eq!((result.status, alignments(&result)), (Status::Pass, vec![Alignment::Undecided, Alignment::Strict]));

    // Whether the domain exists, which matters only where the policies differ.
    for (record, status, worth) in [
        ("v=DMARC1; p=none; np=reject", Status::TempError, true),
        ("v=DMARC1; p=reject; np=none", Status::TempError, true),
        ("v=DMARC1; p=reject; np=reject", Status::Fail, false),
        ("v=DMARC1; p=reject", Status::Fail, false),
    ] {
        let zones = zones(&[("example.com", record)]);
        let zones = zones.failing("a.example.com", RecordType::A, LookupErrorKind::Timeout);
        let result = check(&zones, "a.example.com", &[]).await;
        assert_eq!((result.status, result.is_worth_deferring()), (status, worth), "{record}");
    }
}

#[tokio::test]
async fn authors() {
    let zones = zones(&[
        ("reject.example", "v=DMARC1; p=reject"),
        ("none.example", "v=DMARC1; p=none"),
        ("quarantine.example", "v=DMARC1; p=quarantine"),
    ])
    .failing("_dmarc.broken.example", RecordType::Txt, LookupErrorKind::Timeout);
    let pass = [dkim("none.example", Outcome::Pass)];
    for (authors, status, disposition, author) in [
        (&["none.example"][..], Status::Pass, Policy::None, Some("none.example")),
        (&["none.example", "none.example"], Status::Pass, Policy::None, Some("none.example")),
        (&[], Status::PermError, Policy::None, None),
        (&["none.example", "reject.example"], Status::Fail, Policy::Reject, Some("reject.example")),
        (&["reject.example", "quarantine.example"], Status::Fail, Policy::Reject, Some("reject.example")),
        (&["none.example", "unknown.example"], Status::None, Policy::None, Some("unknown.example")),
        (&["broken.example", "reject.example"], Status::Fail, Policy::Reject, Some("reject.example")),
        (&["broken.example", "none.example"], Status::TempError, Policy::None, Some("broken.example")),
        (
            &["a.example", "b.example", "c.example", "d.example", "e.example", "reject.example"],
            Status::PermError,
            Policy::None,
            None,
        ),
        (
            &["reject.example", "b.example", "c.example", "d.example", "e.example", "f.example"],
            Status::Fail,
            Policy::Reject,
            Some("reject.example"),
        ),
    ] {
        let domains: Vec<Domain> = authors.iter().map(|author| domain(author)).collect();
        let result = evaluate(&zones, &domains, &pass).await;
        assert_eq!((result.status, result.disposition), (status, disposition), "{authors:?}");
        assert_eq!(result.author.as_ref().map(Domain::as_ascii), author, "{authors:?}");
    }
}

#[tokio::test]
async fn authenticity_is_that_of_every_name_asked() {
    let record = &[("example.com", "v=DMARC1; p=reject")];
    let signed = zones(record).secure("example.com").secure("_dmarc.com");
    let result = check(&signed, "a.example.com", &[]).await;
    assert_eq!(result.authenticity(), Authenticity::Secure);
    assert_eq!(result.evidence.consulted.len(), 3);

    let partly = zones(record).secure("example.com");
    assert_eq!(check(&partly, "a.example.com", &[]).await.authenticity(), Authenticity::Insecure);
    // One question, one proof.
    assert_eq!(check(&partly, "example.com", &[]).await.authenticity(), Authenticity::Secure);
    // Nothing asked, nothing proved.
    assert_eq!(evaluate(&partly, &[], &[]).await.authenticity(), Authenticity::Insecure);
}

/// Whatever a sender puts into a message, and its owner into the DNS, the work stays the same.
#[tokio::test]
async fn hostile_messages_stay_within_the_limits() {
    let deep = |top: &str| domain(&format!("{}{top}", "a.".repeat(60)));
    let mut zones = Zones::new().with("_dmarc.example", txt("v=DMARC1; p=none; np=reject"));
    for index in 0..200 {
        zones = zones.with(&format!("_dmarc.x{index}.example"), txt("v=DMARC1; p=none"));
    }
    let authors: Vec<Domain> = (0..100).map(|index| deep(&format!("author{index}.example"))).collect();
    let identifiers: Vec<Identifier> = (0..200)
        .map(|index| deep(&format!("x{index}.example")))
        .map(|domain| Identifier { mechanism: Mechanism::Dkim, domain, outcome: Outcome::Pass })
        .collect();
    let result = evaluate(&zones, &authors, &identifiers).await;
    // Each author, each identifier compared, and once per author whether it exists.
    let most = MOST_AUTHORS * (MOST_QUERIES + 1) + MOST_AUTHORS * MOST_COMPARED * MOST_QUERIES;
    let asked = zones.asked().len();
    assert!(asked <= most, "{asked}");
    // No name twice: the identifiers are the same for every author.
    let mut names = zones.asked();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), asked);
    assert!(asked <= MOST_AUTHORS * (MOST_QUERIES + 1) + MOST_COMPARED * MOST_QUERIES, "{asked}");
    assert!(result.reasons.contains(&Reason::TooManyAuthorDomains), "{:?}", result.reasons);

    // One author alone.
    let result = evaluate(&zones, &authors[..1], &identifiers).await;
    assert!(result.reasons.contains(&Reason::TooManyIdentifiers));
    assert_eq!(result.status, Status::Pass);
}
