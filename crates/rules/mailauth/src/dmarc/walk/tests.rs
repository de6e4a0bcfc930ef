//! The examples of RFC 9989, and what they leave open.

use mailstead_dns::{Record as DnsRecord, RecordType};
use mailstead_testkit::Zones;

use super::*;

const PLAIN: &str = "v=DMARC1; p=none";
const PSD: &str = "v=DMARC1; p=none; psd=y";
const OWN: &str = "v=DMARC1; p=none; psd=n";

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn zones(records: &[(&str, &str)]) -> Zones {
    records.iter().fold(Zones::new(), |zones, (name, text)| {
        zones.with(&format!("_dmarc.{name}"), DnsRecord::Txt(Txt::from(*text)))
    })
}

struct Example {
    section: &'static str,
    start: &'static str,
    records: &'static [(&'static str, &'static str)],
    /// Names asked, in order, without `_dmarc`.
    queries: &'static [&'static str],
    organization: &'static str,
    policy: Option<(&'static str, PolicySource)>,
}

use PolicySource::{AuthorDomain, OrganizationalDomain, PublicSuffixDomain};

const DEEP: &[&str] = &[
    "a.b.c.d.e.f.g.h.i.j.mail.example.com",
    "g.h.i.j.mail.example.com",
    "h.i.j.mail.example.com",
    "i.j.mail.example.com",
    "j.mail.example.com",
    "mail.example.com",
    "example.com",
    "com",
];

const SIGNING: &[(&str, &str)] = &[("example.com", PLAIN), ("signing.example.com", PLAIN)];
const BANK: &[(&str, &str)] = &[("bank.example", PSD), ("giant.bank.example", PLAIN)];

const EXAMPLES: &[Example] = &[
    Example {
        section: "4.10, nothing published",
        start: "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        records: &[],
        queries: DEEP,
        organization: "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        policy: None,
    },
    Example {
        section: "4.10.2, first example",
        start: "a.mail.example.com",
        records: &[("mail.example.com", PLAIN), ("example.com", PLAIN)],
        queries: &["a.mail.example.com", "mail.example.com", "example.com", "com"],
        organization: "example.com",
        policy: Some(("example.com", OrganizationalDomain)),
    },
    Example {
        section: "4.10.2, psd=n",
        start: "a.mail.example.com",
        records: &[("mail.example.com", OWN), ("example.com", PLAIN)],
        queries: &["a.mail.example.com", "mail.example.com"],
        organization: "mail.example.com",
        policy: Some(("mail.example.com", OrganizationalDomain)),
    },
    Example {
        section: "4.10.2, psd=y",
        start: "a.mail.example.com",
        records: &[("com", PSD)],
        queries: &["a.mail.example.com", "mail.example.com", "example.com", "com"],
        organization: "example.com",
        policy: Some(("com", PublicSuffixDomain)),
    },
    Example {
        section: "4.10.2, rule 2",
        start: "mail.example.com",
        records: &[("example.com", PSD)],
        queries: &["mail.example.com", "example.com"],
        organization: "mail.example.com",
        policy: Some(("example.com", PublicSuffixDomain)),
    },
    Example {
        section: "5.1.8, a zone cut that is never seen",
        start: "mail.a.b.c.d.e.f.g.example.com",
        records: &[("example.com", PLAIN), ("b.c.d.e.f.g.example.com", OWN)],
        queries: &[
            "mail.a.b.c.d.e.f.g.example.com",
            "c.d.e.f.g.example.com",
            "d.e.f.g.example.com",
            "e.f.g.example.com",
            "f.g.example.com",
            "g.example.com",
            "example.com",
            "com",
        ],
        organization: "example.com",
        policy: Some(("example.com", OrganizationalDomain)),
    },
    Example {
        section: "B.4.1, author",
        start: "example.com",
        records: SIGNING,
        queries: &["example.com", "com"],
        organization: "example.com",
        policy: Some(("example.com", AuthorDomain)),
    },
    Example {
        section: "B.4.1 and B.4.2, signature",
        start: "signing.example.com",
        records: SIGNING,
        queries: &["signing.example.com", "example.com", "com"],
        organization: "example.com",
        policy: Some(("signing.example.com", AuthorDomain)),
    },
    Example {
        section: "B.4.2, author",
        start: "a.b.c.d.e.f.g.h.i.j.k.example.com",
        records: SIGNING,
        queries: &[
            "a.b.c.d.e.f.g.h.i.j.k.example.com",
            "g.h.i.j.k.example.com",
            "h.i.j.k.example.com",
            "i.j.k.example.com",
            "j.k.example.com",
            "k.example.com",
            "example.com",
            "com",
        ],
        organization: "example.com",
        policy: Some(("example.com", OrganizationalDomain)),
    },
    Example {
        section: "B.4.3, author",
        start: "giant.bank.example",
        records: BANK,
        queries: &["giant.bank.example", "bank.example"],
        organization: "giant.bank.example",
        policy: Some(("giant.bank.example", AuthorDomain)),
    },
    Example {
        section: "B.4.3, MAIL FROM",
        start: "mail.giant.bank.example",
        records: BANK,
        queries: &["mail.giant.bank.example", "giant.bank.example", "bank.example"],
        organization: "giant.bank.example",
        policy: Some(("giant.bank.example", OrganizationalDomain)),
    },
    Example {
        section: "B.4.3, signature",
        start: "mail.mega.bank.example",
        records: BANK,
        queries: &["mail.mega.bank.example", "mega.bank.example", "bank.example"],
        organization: "mega.bank.example",
        policy: Some(("bank.example", PublicSuffixDomain)),
    },
    Example {
        section: "a public suffix that sends mail itself: rule 2 is not for where the walk begins",
        start: "bank.example",
        records: BANK,
        queries: &["bank.example"],
        organization: "bank.example",
        policy: Some(("bank.example", AuthorDomain)),
    },
    Example {
        section: "a record between organisation and author is neither's",
        start: "a.b.giant.bank.example",
        records: &[("bank.example", PSD), ("b.giant.bank.example", PLAIN)],
        queries: &["a.b.giant.bank.example", "b.giant.bank.example", "giant.bank.example", "bank.example"],
        organization: "giant.bank.example",
        policy: Some(("bank.example", PublicSuffixDomain)),
    },
    Example {
        section: "one label below a public suffix, where the shortcut jumped over it",
        start: "a.b.c.d.e.f.g.h.example",
        records: &[("c.d.e.f.g.h.example", PSD)],
        queries: &["a.b.c.d.e.f.g.h.example", "c.d.e.f.g.h.example"],
        organization: "b.c.d.e.f.g.h.example",
        policy: Some(("c.d.e.f.g.h.example", PublicSuffixDomain)),
    },
    Example {
        section: "eight labels need no shortcut",
        start: "a.b.c.d.e.f.example.com",
        records: &[],
        queries: &[
            "a.b.c.d.e.f.example.com",
            "b.c.d.e.f.example.com",
            "c.d.e.f.example.com",
            "d.e.f.example.com",
            "e.f.example.com",
            "f.example.com",
            "example.com",
            "com",
        ],
        organization: "a.b.c.d.e.f.example.com",
        policy: None,
    },
    Example {
        section: "a single label",
        start: "example",
        records: &[("example", PLAIN)],
        queries: &["example"],
        organization: "example",
        policy: Some(("example", AuthorDomain)),
    },
    Example {
        section: "several records are none, and the walk goes on",
        start: "mail.example.com",
        records: &[("mail.example.com", OWN), ("mail.example.com", PLAIN), ("example.com", PLAIN)],
        queries: &["mail.example.com", "example.com", "com"],
        organization: "example.com",
        policy: Some(("example.com", OrganizationalDomain)),
    },
    Example {
        section: "other texts do not count",
        start: "example.com",
        records: &[("example.com", "v=spf1 -all"), ("example.com", PLAIN), ("com", "v=DMARC2; psd=y")],
        queries: &["example.com", "com"],
        organization: "example.com",
        policy: Some(("example.com", AuthorDomain)),
    },
];

#[tokio::test]
async fn examples() {
    for example in EXAMPLES {
        let zones = zones(example.records);
        let mut evidence = Evidence::default();
        let walk = walk(&zones, &domain(example.start), &mut evidence).await.unwrap();
        let queries: Vec<_> = example
            .queries
            .iter()
            .map(|name| (Domain::parse_lenient(&format!("_dmarc.{name}")).unwrap(), RecordType::Txt))
            .collect();
        assert_eq!(zones.asked(), queries, "{}", example.section);
        assert!(queries.len() <= MOST_QUERIES, "{}", example.section);
        assert_eq!(walk.organizational_domain(), domain(example.organization), "{}", example.section);
        let policy = walk.policy().map(|(found, source)| (found.domain.as_ascii(), source));
        assert_eq!(policy, example.policy, "{}", example.section);
        assert_eq!(evidence.consulted.len(), queries.len(), "{}", example.section);
    }
}

#[tokio::test]
async fn names_with_several_records_are_told() {
    let zones = zones(&[("example.com", PLAIN), ("example.com", OWN)]);
    let walk = walk(&zones, &domain("mail.example.com"), &mut Evidence::default()).await.unwrap();
    assert_eq!(walk.ambiguous, [domain("example.com")]);
    assert_eq!(walk.policy(), None);
}

#[tokio::test]
async fn strings_of_a_record_are_joined_without_space() {
    let txt = Txt { strings: vec![b"v=DMARC1; p=rej".to_vec(), b"ect".to_vec()] };
    let zones = Zones::new().with("_dmarc.example.com", DnsRecord::Txt(txt));
    let walk = walk(&zones, &domain("example.com"), &mut Evidence::default()).await.unwrap();
    assert_eq!(walk.records[0].record, Record::new(super::super::Policy::Reject));
}

#[test]
fn no_name_makes_more_than_eight_queries() {
    let mut name = String::from("example");
    for labels in 1..=120 {
        let names: Vec<Domain> = walk_names(&domain(&name)).collect();
        assert_eq!(names.len(), labels.min(MOST_QUERIES), "{name}");
        assert_eq!(names[0].as_ascii(), name);
        assert_eq!(names[names.len() - 1].as_ascii(), "example");
        name.insert_str(0, "a.");
    }
}

#[tokio::test]
async fn a_name_too_long_to_have_a_record_is_not_asked_for() {
    let label = "a".repeat(60);
    let start = domain(&format!("{label}.{label}.{label}.{label}.example"));
    let zones = zones(&[("example", PLAIN)]);
    let walk = walk(&zones, &start, &mut Evidence::default()).await.unwrap();
    assert_eq!(walk.organizational_domain(), domain("example"));
    assert_eq!(zones.asked().len(), 4);
}
