//! Whole checks against zones: the examples of the RFC, the limits, what is proved and what is explained.

use std::time::{Duration, SystemTime};

use mailstead_dns::{Authenticity, LookupErrorKind, Mx, Record as DnsRecord, RecordType, Target, Txt, reverse_name};
use mailstead_names::{Domain, EhloName};
use mailstead_testkit::Zones;
use proptest::prelude::*;

use super::*;
use crate::iprev::{IprevResult, check_iprev};

fn txt(text: &str) -> DnsRecord {
    DnsRecord::Txt(Txt::from(text))
}

fn a(ip: &str) -> DnsRecord {
    DnsRecord::A(ip.parse().unwrap())
}

fn mx(exchange: &str) -> DnsRecord {
    DnsRecord::Mx(Mx { preference: 10, exchange: Target::parse(exchange) })
}

fn ptr(name: &str) -> DnsRecord {
    DnsRecord::Ptr(Target::parse(name))
}

fn query(ip: &str, sender: &str) -> Query {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Query::sender(ip.parse().unwrap(), sender, &EhloName::parse("mx.example.org"), now)
}

async fn verdict(zones: &Zones, ip: &str, sender: &str) -> Verdict {
    check_host(zones, &query(ip, sender)).await
}

async fn result(zones: &Zones, ip: &str, sender: &str) -> SpfResult {
    verdict(zones, ip, sender).await.result
}

/// The names of RFC 7208 appendix A.
fn appendix() -> Zones {
    let mut zones = Zones::new()
        .with("example.com", mx("mail-a.example.com"))
        .with("example.com", mx("mail-b.example.com"))
        .with("example.com", a("192.0.2.10"))
        .with("example.com", a("192.0.2.11"))
        .with("amy.example.com", a("192.0.2.65"))
        .with("bob.example.com", a("192.0.2.66"))
        .with("mail-a.example.com", a("192.0.2.129"))
        .with("mail-b.example.com", a("192.0.2.130"))
        .with_alias("www.example.com", "example.com")
        .with("example.org", mx("mail-c.example.org"))
        .with("mail-c.example.org", a("192.0.2.140"));
    for (ip, name) in [
        ("192.0.2.10", "example.com"),
        ("192.0.2.11", "example.com"),
        ("192.0.2.65", "amy.example.com"),
        ("192.0.2.66", "bob.example.com"),
        ("192.0.2.129", "mail-a.example.com"),
        ("192.0.2.130", "mail-b.example.com"),
        ("192.0.2.140", "mail-c.example.org"),
        ("10.0.0.4", "bob.example.com"),
    ] {
        zones = zones.with(reverse_name(ip.parse().unwrap()).as_ascii(), ptr(name));
    }
    zones
}

#[tokio::test]
async fn appendix_a1_simple_examples() {
    let clients = [
        "192.0.2.10",
        "192.0.2.11",
        "192.0.2.65",
        "192.0.2.129",
        "192.0.2.130",
        "192.0.2.131",
        "192.0.2.140",
        "10.0.0.4",
    ];
    for (record, passing) in [
        ("v=spf1 +all", &clients[..]),
        ("v=spf1 a -all", &["192.0.2.10", "192.0.2.11"]),
        ("v=spf1 a:example.org -all", &[]),
        ("v=spf1 mx -all", &["192.0.2.129", "192.0.2.130"]),
        ("v=spf1 mx:example.org -all", &["192.0.2.140"]),
        ("v=spf1 mx mx:example.org -all", &["192.0.2.129", "192.0.2.130", "192.0.2.140"]),
        ("v=spf1 mx/30 mx:example.org/30 -all", &["192.0.2.129", "192.0.2.130", "192.0.2.131", "192.0.2.140"]),
        ("v=spf1 ptr -all", &["192.0.2.10", "192.0.2.11", "192.0.2.65", "192.0.2.129", "192.0.2.130"]),
        ("v=spf1 ip4:192.0.2.128/28 -all", &["192.0.2.129", "192.0.2.130", "192.0.2.131", "192.0.2.140"]),
    ] {
        let zones = appendix().with("example.com", txt(record));
        for client in clients {
            let expected = if passing.contains(&client) { SpfResult::Pass } else { SpfResult::Fail };
            assert_eq!(result(&zones, client, "user@example.com").await, expected, "{record} {client}");
        }
    }
}

#[tokio::test]
async fn appendix_a2_several_domains() {
    let zones = appendix()
        .with("example.com", txt("v=spf1 mx -all"))
        .with("example.net", txt("v=spf1 ip4:198.51.100.0/24 ~all"))
        .with("example.org", txt("v=spf1 include:example.com include:example.net -all"))
        .with("la.example.org", txt("v=spf1 redirect=example.org"));
    for (client, expected) in
        [("192.0.2.129", SpfResult::Pass), ("198.51.100.7", SpfResult::Pass), ("192.0.2.140", SpfResult::Fail)]
    {
        assert_eq!(result(&zones, client, "user@example.org").await, expected, "{client}");
        assert_eq!(result(&zones, client, "user@la.example.org").await, expected, "{client}");
    }
    let verdict = verdict(&zones, "198.51.100.7", "user@la.example.org").await;
    assert_eq!(verdict.mechanism().as_deref(), Some("include:example.net"));
    assert_eq!(
        verdict.reason.to_string(),
        "example.org has include:example.net, because example.net has ip4:198.51.100.0/24"
    );
    assert_eq!(verdict.domain.unwrap().as_ascii(), "la.example.org");
}

#[tokio::test]
async fn appendix_a3_lists_of_users() {
    let zones = appendix()
        .with("example.com", txt("v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all"))
        .with("mobile-users._spf.example.com", txt("v=spf1 exists:%{l1r+}.%{d}"))
        .with("remote-users._spf.example.com", txt("v=spf1 exists:%{ir}.%{l1r+}.%{d}"))
        .with("mary.mobile-users._spf.example.com", a("127.0.0.2"))
        .with("15.15.168.192.joel.remote-users._spf.example.com", a("127.0.0.2"));
    assert_eq!(result(&zones, "203.0.113.1", "mary@example.com").await, SpfResult::Pass);
    assert_eq!(result(&zones, "203.0.113.1", "mary+list@example.com").await, SpfResult::Pass);
    assert_eq!(result(&zones, "203.0.113.1", "list+mary@example.com").await, SpfResult::Fail);
    assert_eq!(result(&zones, "192.168.15.15", "joel@example.com").await, SpfResult::Pass);
    assert_eq!(result(&zones, "192.168.15.16", "joel@example.com").await, SpfResult::Fail);
    // A local part that makes no host name is asked for as it is, and one outside of ASCII matches nothing (RFC 8616).
    assert_eq!(result(&zones, "203.0.113.1", "prvs=1=ann@example.com").await, SpfResult::Fail);
    let asked = zones.asked();
    assert!(asked.iter().any(|(name, _)| name.as_ascii() == "prvs=1=ann.mobile-users._spf.example.com"));
    assert_eq!(result(&zones, "203.0.113.1", "márý@example.com").await, SpfResult::Fail);
    assert_eq!(zones.asked().len(), asked.len() + 6, "record, MX, two exchangers, two included records");
}

#[tokio::test]
async fn appendix_a4_several_requirements() {
    let zones = appendix()
        .with("example.com", txt("v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all"))
        .with("ip4._spf.example.com", txt("v=spf1 -ip4:192.0.2.0/24 +all"))
        .with("ptr._spf.example.com", txt("v=spf1 -ptr:example.com +all"));
    assert_eq!(result(&zones, "192.0.2.65", "user@example.com").await, SpfResult::Pass);
    assert_eq!(result(&zones, "192.0.2.140", "user@example.com").await, SpfResult::Fail);
    assert_eq!(result(&zones, "10.0.0.4", "user@example.com").await, SpfResult::Fail);
}

#[tokio::test]
async fn nothing_is_none_for_a_reason() {
    let zones = Zones::new().with("example.org", txt("v=spf2.0/pra -all")).with("org", txt("v=spf1 -all"));
    for (sender, reason, questions) in [
        ("user@nowhere.example", Reason::NoSuchDomain, 1),
        ("user@example.org", Reason::NoRecord, 1),
        ("user@org", Reason::NoDomain, 0),
        ("user@[192.0.2.1]", Reason::NoDomain, 0),
        ("user@a..example", Reason::NoDomain, 0),
    ] {
        let verdict = verdict(&zones, "192.0.2.1", sender).await;
        assert_eq!((verdict.result, &verdict.reason), (SpfResult::None, &reason), "{sender}");
        assert_eq!(verdict.evidence.consulted.len(), questions, "{sender}");
        assert_eq!((verdict.mechanism(), verdict.problem()), (None, None));
    }
    let helo = Query::helo("192.0.2.1".parse().unwrap(), &EhloName::parse("[192.0.2.1]"), SystemTime::UNIX_EPOCH);
    assert_eq!(check_host(&zones, &helo).await.reason, Reason::NoDomain);
}

#[tokio::test]
async fn permanent_errors_say_what_is_wrong() {
    let zones = Zones::new()
        .with("two.example", txt("v=spf1 -all"))
        .with("two.example", txt("v=spf1 +all"))
        .with("typo.example", txt("v=spf1 ip4:192.0.2.1 -al"))
        .with("outer.example", txt("v=spf1 include:typo.example -all"))
        .with("include.example", txt("v=spf1 include:nowhere.example -all"))
        .with("redirect.example", txt("v=spf1 redirect=nowhere.example"))
        .with("malformed.example", txt("v=spf1 redirect=a..example"))
        .with("short.example", txt("v=spf1 include:%{d1} -all"));
    for (domain, problem) in [
        ("two.example", "two.example has several SPF records"),
        ("typo.example", "syntax error in the record of typo.example: -al: unknown mechanism"),
        ("outer.example", "syntax error in the record of typo.example: -al: unknown mechanism"),
        ("include.example", "nowhere.example is included but has no SPF record"),
        ("redirect.example", "nowhere.example is redirected to but has no SPF record"),
        (
            "malformed.example",
            "the record of malformed.example includes or redirects to something that is not a domain",
        ),
        ("short.example", "the record of short.example includes or redirects to something that is not a domain"),
    ] {
        let verdict = verdict(&zones, "192.0.2.1", &format!("user@{domain}")).await;
        assert_eq!((verdict.result, verdict.problem().as_deref()), (SpfResult::PermError, Some(problem)));
        assert_eq!(verdict.mechanism(), None);
    }
}

/// How many questions a check costs, and what it ends with.
async fn cost(zones: &Zones, ip: &str, sender: &str) -> (usize, Reason) {
    let before = zones.asked().len();
    let verdict = verdict(zones, ip, sender).await;
    let asked = zones.asked().len() - before;
    assert_eq!(verdict.evidence.consulted.len(), asked, "every question is evidence");
    (asked, verdict.reason)
}

#[tokio::test]
async fn hostile_records_cost_few_questions() {
    let limit = Reason::Problem(Problem::TooManyLookups);
    let many = |term: &str| txt(&format!("v=spf1 {} -all", format!("{term} ").repeat(10_000)));
    let mut zones = Zones::new()
        .with("self.example", txt("v=spf1 redirect=self.example"))
        .with("ring.example", txt("v=spf1 include:gnir.example"))
        .with("gnir.example", txt("v=spf1 redirect=ring.example"))
        .with("both.example", txt("v=spf1 include:both.example redirect=both.example"))
        .with("leaf.example", txt("v=spf1 ?all"))
        .with("wide.example", many("include:leaf.example"));
    for i in 0..10_000 {
        let next = format!("v=spf1 include:chain{}.example -all", i + 1);
        zones = zones.with(&format!("chain{i}.example"), txt(&next));
    }
    for sender in ["a@self.example", "a@ring.example", "a@both.example", "a@wide.example", "a@chain0.example"] {
        assert_eq!(cost(&zones, "192.0.2.1", sender).await, (11, limit.clone()), "{sender}");
    }

    // Each include of each record has 10,000 more behind it.
    let tree = (0..100).fold(Zones::new(), |zones, i| zones.with(&format!("{i}.tree.example"), many("include:%{d}")));
    assert_eq!(cost(&tree, "192.0.2.1", "a@1.tree.example").await, (11, limit.clone()));

    // Names that do not exist end a check sooner.
    let void = Zones::new().with("void.example", txt(&format!("v=spf1 {} -all", "a:x.%{d} ".repeat(5000))));
    let (asked, reason) = cost(&void, "192.0.2.1", "a@void.example").await;
    assert_eq!((asked, reason), (4, Reason::Problem(Problem::TooManyVoidLookups)));

    // The most that a record can cost: ten terms with ten exchangers each.
    let mut worst = Zones::new().with("worst.example", many("mx"));
    for i in 0..10 {
        worst = worst.with("worst.example", mx(&format!("mx{i}.worst.example")));
        worst = worst.with(&format!("mx{i}.worst.example"), a("198.51.100.1"));
    }
    assert_eq!(cost(&worst, "192.0.2.1", "a@worst.example").await, (1 + 10 * 11, limit.clone()));
    let worst = worst.with("worst.example", mx("mx10.worst.example"));
    let (asked, reason) = cost(&worst, "192.0.2.1", "a@worst.example").await;
    assert_eq!(asked, 2);
    assert!(matches!(reason, Reason::Problem(Problem::TooManyExchangers(_))));
}

#[tokio::test]
async fn the_clients_own_names_cost_few_questions() {
    // A client with a thousand names, none of which has its address.
    let reverse = reverse_name("192.0.2.1".parse().unwrap());
    let names = |zones: Zones| {
        (0..1000).fold(zones, |zones, i| zones.with(reverse.as_ascii(), ptr(&format!("{i}.evil.example"))))
    };
    let zones = names(Zones::new().with("evil.example", txt(&format!("v=spf1 {}-all", "ptr ".repeat(10)))));
    // The names are asked for once, however many terms want them; that they do not exist is not the domain's fault.
    let (asked, reason) = cost(&zones, "192.0.2.1", "a@evil.example").await;
    assert_eq!(asked, 1 + 1 + MOST_NAMES);
    assert!(matches!(reason, Reason::Matched(_)));
    let zones = names(Zones::new().with("evil.example", txt(&format!("v=spf1 {}-all", "ptr ".repeat(11)))));
    assert_eq!(cost(&zones, "192.0.2.1", "a@evil.example").await.1, Reason::Problem(Problem::TooManyLookups));

    // The macro counts once in addition to its term.
    let exists = |count: usize| {
        let record = format!("v=spf1 {}-all", "exists:%{p}.x.example ".repeat(count));
        names(Zones::new().with("evil.example", txt(&record)).with("unknown.x.example", mx("x.example")))
            .with("unknown.x.example", a("127.0.0.2"))
    };
    assert!(matches!(cost(&exists(1), "192.0.2.1", "a@evil.example").await, (13, Reason::Matched(_))));
    let nowhere = format!("v=spf1 {}exists:%{{p}}.x.example -all", "a ".repeat(9));
    let zones = names(Zones::new().with("evil.example", txt(&nowhere)).with("evil.example", a("198.51.100.1")));
    assert_eq!(cost(&zones, "192.0.2.1", "a@evil.example").await.1, Reason::Problem(Problem::TooManyLookups));
}

#[tokio::test]
async fn a_client_without_name_is_void_where_the_macro_asks() {
    let record = |voids: &str| {
        let record = format!("v=spf1 {voids} exists:%{{p}}.x.example -all");
        Zones::new().with("example.org", txt(&record)).with("unknown.x.example", a("127.0.0.2"))
    };
    assert_eq!(result(&record("a:v.example"), "192.0.2.1", "a@example.org").await, SpfResult::Pass);
    let (asked, reason) = cost(&record("a:v.example a:w.example"), "192.0.2.1", "a@example.org").await;
    assert_eq!((asked, reason), (4, Reason::Problem(Problem::TooManyVoidLookups)));
}

#[tokio::test]
async fn macro_bombs_stay_small() {
    let bomb = "%{s}%{p}%{d99r}%{l1r-+}".repeat(1000);
    let zones = Zones::new()
        .with("bomb.example", txt(&format!("v=spf1 exists:{bomb}.example -all exp={bomb}")))
        .with("loud.example", txt("v=spf1 -all exp=text.example"))
        .with("text.example", txt(&"%{s} %{S} %{p}".repeat(2000)));
    let local = "x".repeat(64);
    let (asked, reason) = cost(&zones, "192.0.2.1", &format!("{local}@bomb.example")).await;
    // The record, the names of the client, and perhaps what remains of both names.
    assert!(asked <= 4 && matches!(reason, Reason::Matched(_)), "{asked} {reason:?}");
    let verdict = verdict(&zones, "192.0.2.1", &format!("{local}@loud.example")).await;
    assert_eq!(verdict.explanation.unwrap().text.len(), MOST_EXPLANATION);
}

#[tokio::test]
async fn void_terms_are_counted_by_term() {
    // Mail exchangers of the other family only are no mistake, and one term is void once.
    let v6 = || DnsRecord::Aaaa("2001:db8::1".parse().unwrap());
    let zones = Zones::new()
        .with("example.org", txt("v=spf1 mx a:v6.example.org -all"))
        .with("example.org", mx("mx1.example.org"))
        .with("example.org", mx("mx2.example.org"))
        .with("example.org", mx("mx3.example.org"))
        .with("mx1.example.org", v6())
        .with("mx2.example.org", v6())
        .with("mx3.example.org", v6())
        .with("v6.example.org", v6());
    assert_eq!(result(&zones, "192.0.2.1", "a@example.org").await, SpfResult::Fail);
    assert_eq!(result(&zones, "2001:db8::1", "a@example.org").await, SpfResult::Pass);
}

#[tokio::test]
async fn a_question_without_answer_is_an_error_of_its_own_check_only() {
    let reverse = reverse_name("192.0.2.1".parse().unwrap());
    let zones = Zones::new()
        .with("example.org", txt("v=spf1 a:late.example.org -all"))
        .with("example.net", txt("v=spf1 ip4:192.0.2.1 a:late.example.org -all"))
        .with("ptr.example", txt("v=spf1 ptr ?all"))
        .with(reverse.as_ascii(), ptr("late.example.org"))
        .with(reverse.as_ascii(), ptr("mx.example.org"))
        .with("mx.example.org", a("192.0.2.1"))
        .failing("late.example.org", RecordType::A, LookupErrorKind::Timeout)
        .failing("late.example", RecordType::Txt, LookupErrorKind::Bogus);
    let late = verdict(&zones, "192.0.2.1", "a@example.org").await;
    assert_eq!(late.result, SpfResult::TempError);
    assert_eq!(late.problem().as_deref(), Some("looking up A late.example.org: timed out"));
    assert_eq!(result(&zones, "192.0.2.1", "a@late.example").await, SpfResult::TempError);
    // What was not needed does not matter, nor does what happens to another check of the same message.
    assert_eq!(result(&zones, "192.0.2.1", "a@example.net").await, SpfResult::Pass);
    assert_eq!(check_iprev(&zones, "192.0.2.1".parse().unwrap()).await.result, IprevResult::Pass);
    // Of the names of a client, one without answer is skipped (§5.5).
    let zones = zones.with("org.example", txt("v=spf1 ptr:example.org -all"));
    assert_eq!(result(&zones, "192.0.2.1", "a@org.example").await, SpfResult::Pass);
    let zones = zones.failing(reverse.as_ascii(), RecordType::Ptr, LookupErrorKind::Timeout);
    assert_eq!(result(&zones, "192.0.2.1", "a@ptr.example").await, SpfResult::Neutral);
}

#[tokio::test]
async fn a_result_is_proved_by_all_its_answers() {
    let zones = || {
        Zones::new()
            .with("example.org", txt("v=spf1 include:example.net -all exp=exp.example.com"))
            .with("example.net", txt("v=spf1 a:mx.example.net"))
            .with("mx.example.net", a("192.0.2.1"))
            .with("exp.example.com", txt("no"))
            .with_alias("www.example.org", "example.org")
    };
    let authenticity = async |zones: Zones, ip: &str, sender: &str| verdict(&zones, ip, sender).await.authenticity;
    let secure = || zones().secure("example.org").secure("example.net");
    assert_eq!(authenticity(secure(), "192.0.2.1", "a@example.org").await, Authenticity::Secure);
    assert_eq!(authenticity(secure(), "192.0.2.1", "a@www.example.org").await, Authenticity::Secure);
    assert_eq!(authenticity(secure(), "192.0.2.1", "a@none.example.org").await, Authenticity::Secure);
    for insecure in [zones(), zones().secure("example.org"), zones().secure("example.net")] {
        assert_eq!(authenticity(insecure, "192.0.2.1", "a@example.org").await, Authenticity::Insecure);
    }
    // The explanation is an answer, too.
    assert_eq!(authenticity(secure(), "192.0.2.9", "a@example.org").await, Authenticity::Insecure);
    assert_eq!(authenticity(secure().secure("example.com"), "192.0.2.9", "a@example.org").await, Authenticity::Secure);
    assert_eq!(authenticity(secure(), "192.0.2.1", "a@[192.0.2.1]").await, Authenticity::Insecure);
}

#[tokio::test]
async fn explanations() {
    let explanation = async |text: DnsRecord, sender: &str| {
        let zones = Zones::new()
            .with("example.com", txt("v=spf1 ip4:192.0.2.1 ?ip4:192.0.2.2 -all exp=explain._spf.%{d}"))
            .with("explain._spf.example.com", text);
        let query = query("192.0.2.9", sender).received_by(Domain::parse("in.example.net").unwrap());
        let verdict = check_host(&zones, &query).await;
        assert_eq!(verdict.result, SpfResult::Fail);
        verdict.explanation.map(|explanation| explanation.text)
    };
    let shown = async |text: &str| explanation(txt(text), "strong-bad@example.com").await;
    assert_eq!(
        shown("%{i} is not one of %{d}'s servers.").await.as_deref(),
        Some("192.0.2.9 is not one of example.com's servers.")
    );
    assert_eq!(
        shown("See http://%{d}/why.html?s=%{S}&i=%{I}").await.as_deref(),
        Some("See http://example.com/why.html?s=strong-bad%40example.com&i=192.0.2.9")
    );
    assert_eq!(shown("%{r} at %{t}: %{p}").await.as_deref(), Some("in.example.net at 1700000000: unknown"));
    for nothing in ["", "%{x}", "100 %", "a\tb", "a\r\nb", "ü"] {
        assert_eq!(shown(nothing).await, None, "{nothing:?}");
    }
    // What is not printable comes in through a macro, or does not.
    assert_eq!(explanation(txt("%{l}"), "bücher@example.com").await, None);
    assert_eq!(explanation(txt("%{L}"), "bücher@example.com").await.as_deref(), Some("b%C3%BCcher"));
    assert_eq!(shown(&"x".repeat(801)).await, Some("x".repeat(800)));
}

#[tokio::test]
async fn an_explanation_is_looked_up_for_failures_only_and_once() {
    let zones = Zones::new()
        .with("example.com", txt("v=spf1 ip4:192.0.2.1 ?ip4:192.0.2.2 -all exp=exp.example.com"))
        .with("exp.example.com", txt("from %{d}"))
        .with("outer.example", txt("v=spf1 redirect=example.com exp=not.this.example"))
        .with("asker.example", txt("v=spf1 -include:%{d2}.other.example ip4:192.0.2.0/24 -all exp=exp.example.com"))
        .with("asker.example.other.example", txt("v=spf1 ip4:192.0.2.9 -all exp=not.this.example"));
    // How often a text was asked for, and the text.
    let asked_for_text = async |ip: &str, sender: &str| {
        let verdict = verdict(&zones, ip, sender).await;
        let texts = verdict.evidence.consulted.iter().filter(|it| it.name.as_ascii().contains("exp")).count();
        (texts, verdict.explanation.map(|it| (it.domain.to_string(), it.text)))
    };
    let words = |domain: &str| Some((domain.to_owned(), format!("from {domain}")));
    assert_eq!(asked_for_text("192.0.2.1", "a@example.com").await.1, None);
    assert_eq!(asked_for_text("192.0.2.2", "a@example.com").await.1, None);
    assert_eq!(asked_for_text("192.0.2.9", "a@example.com").await, (1, words("example.com")));
    // That of the record that failed: after a redirect the last one, with includes the first one (§6.2).
    assert_eq!(asked_for_text("192.0.2.9", "a@outer.example").await.1, words("example.com"));
    assert_eq!(asked_for_text("192.0.2.9", "a@asker.example").await.1, words("asker.example"));
}

#[tokio::test]
async fn mapped_addresses_are_ipv4() {
    let zones = Zones::new().with("example.org", txt("v=spf1 ip6:::/0 -ip4:192.0.2.1 ?all"));
    assert_eq!(result(&zones, "::ffff:192.0.2.1", "a@example.org").await, SpfResult::Fail);
    assert_eq!(result(&zones, "2001:db8::1", "a@example.org").await, SpfResult::Pass);
}

#[test]
fn a_check_can_be_moved_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    let (zones, query) = (Zones::new(), query("192.0.2.1", "a@example.org"));
    is_send(&check_host(&zones, &query));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever two domains publish about each other, a check ends within its limits.
    #[test]
    fn every_check_is_bounded(records in proptest::collection::vec(
        proptest::collection::vec(
            "[-~?]?(a|mx|ptr|include:[ab]\\.example|exists:%\\{[slodiphv]\\}\\.[ab]\\.example|a:%\\{p\\}\\.example|redirect=[ab]\\.example|exp=%\\{p\\}\\.[ab]\\.example)",
            0..15,
        ),
        2,
    )) {
        let mut zones = Zones::new();
        for (name, terms) in ["a.example", "b.example"].iter().zip(&records) {
            zones = zones.with(name, txt(&format!("v=spf1 {}", terms.join(" "))));
            zones = zones.with(name, a("198.51.100.1")).with(name, mx("a.example")).with(name, mx("nowhere.example"));
        }
        zones = zones.with("1.2.0.192.in-addr.arpa", ptr("a.example"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let verdict = runtime.block_on(verdict(&zones, "192.0.2.1", "user@a.example"));
        prop_assert!(zones.asked().len() <= 1 + 10 * 11 + 1 + 10 + 1);
        prop_assert_eq!(verdict.evidence.consulted.len(), zones.asked().len());
        prop_assert_eq!(verdict.problem().is_some(), matches!(verdict.result, SpfResult::TempError | SpfResult::PermError));
    }
}
