//! Transport security of outgoing mail: domains with DANE and MTA-STS, good and broken, in a signed DNS with real
//! receivers. Other people's clients first say what the world is: Postfix as a sender, curl, OpenSSL.

use std::process::Command;

use mailstead_e2e::lab::{Name, Record, Type, inside};
use mailstead_e2e::receivers::{Asks, Mailstead, Page, Policy, Postfix, Receivers, Scenario, Site, Verdict};
use mailstead_e2e::{bounded, run};
use serde_json::Value;

#[test]
fn postfix_finds_what_the_table_says() {
    inside("postfix_finds_what_the_table_says", || {
        let receivers = Receivers::start(|_| {});
        let sender = Postfix::send_with_dane(&receivers.authority_file());
        let recipients: Vec<String> = receivers.scenarios().iter().map(recipient).collect();
        let fates = sender.send(&recipients);
        // What a receiver has accepted it stores a little later.
        let accepted = fates.iter().filter(|fate| fate.contains("status=sent")).count();
        let messages =
            bounded("messages to be stored", || Some(receivers.messages()).filter(|all| all.len() >= accepted));
        let log = sender.log();
        let mut wrong = Vec::new();
        for (scenario, fate) in receivers.scenarios().iter().zip(&fates) {
            if let Err(difference) = sent(scenario, fate, &log, &messages) {
                wrong.push(difference);
            }
        }
        wrong.extend(probe(&receivers));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

fn recipient(scenario: &Scenario) -> String {
    format!("somebody@{}", scenario.domain)
}

/// Whether the table has what became of a message, by the sender's log and by what arrived.
fn sent(scenario: &Scenario, fate: &str, log: &str, messages: &[String]) -> Result<(), String> {
    let (_, relay) = fate.split_once("relay=").unwrap_or_default();
    let relay = relay.split(',').next().unwrap_or_default();
    let tls = log.lines().find_map(|line| {
        let (before, _) = line.split_once(&format!(" TLS connection established to {relay}: "))?;
        before.split(' ').next_back()
    });
    let about = |line: &&str| line.contains(scenario.domain) || line.contains(relay);
    let told: String = log.lines().filter(about).flat_map(|line| [line, "\n"]).collect();
    let agrees = match scenario.postfix {
        Verdict::Verified => fate.contains("status=sent") && tls == Some("Verified"),
        Verdict::Trusted => fate.contains("status=sent") && tls == Some("Trusted"),
        Verdict::Untrusted => fate.contains("status=sent") && tls == Some("Untrusted"),
        Verdict::Plaintext => fate.contains("status=sent") && tls.is_none(),
        Verdict::Deferred(reason) => fate.contains("status=deferred") && told.contains(reason),
        Verdict::Bounced(reason) => fate.contains("status=bounced") && fate.contains(reason),
    };
    let to = recipient(scenario);
    let arrived: Vec<&String> = messages.iter().filter(|message| message.contains(&format!("<{to}>"))).collect();
    let over_tls = arrived.iter().all(|message| message.contains("using TLSv1"));
    let kept = match scenario.postfix {
        Verdict::Deferred(_) | Verdict::Bounced(_) => arrived.is_empty(),
        Verdict::Plaintext => arrived.len() == 1 && !over_tls,
        _ => arrived.len() == 1 && over_tls,
    };
    if agrees && kept {
        return Ok(());
    }
    let Scenario { domain, about, postfix, .. } = scenario;
    Err(format!("{domain} ({about}): {postfix:?}, but: {fate}\n{tls:?}, arrived: {arrived:#?}\n{told}"))
}

/// Where Postfix's probe finds another thing than the table has, at the preferred server of each.
fn probe(receivers: &Receivers) -> Vec<String> {
    let finger = |scenario: &Scenario| {
        let mut finger = Command::new("posttls-finger");
        finger.args(["-c", "-l", "dane", "-F"]).arg(receivers.authority_file()).arg(scenario.domain);
        let told = run(&mut finger).text();
        let verdict = scenario.probe.unwrap_or(scenario.postfix);
        (!agrees(&told, verdict)).then(|| format!("{}: {verdict:?}, but the probe says\n{told}", scenario.domain))
    };
    let half = receivers.scenarios().len().div_ceil(2);
    std::thread::scope(|scope| {
        let parts = receivers.scenarios().chunks(half);
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || part.iter().filter_map(finger).collect())).collect();
        threads.into_iter().flat_map(|thread| -> Vec<String> { thread.join().expect("a probe") }).collect()
    })
}

/// Whether what the probe says is the verdict. It goes on where a sender ends, and looks at names where no sender does.
fn agrees(told: &str, verdict: Verdict) -> bool {
    let established = |word: &str| told.contains(&format!(": {word} TLS connection established"));
    let dane = told.contains("Matched DANE");
    match verdict {
        Verdict::Verified => established("Verified") && dane,
        Verdict::Trusted => (established("Verified") != dane) || told.contains("hostname mismatch"),
        Verdict::Untrusted => established("Untrusted") && !told.contains("DANE TLSA records"),
        Verdict::Plaintext => !told.contains("TLS connection established"),
        Verdict::Deferred(_) => !established("Verified") || told.contains("EHLO") || told.contains("lost connection"),
        Verdict::Bounced(reason) => told.contains(reason),
    }
}

#[test]
fn policies_and_receivers_are_what_the_table_says() {
    inside("policies_and_receivers_are_what_the_table_says", || {
        let mut receivers = Receivers::start(|_| {});
        for scenario in receivers.scenarios() {
            if let Some(policy) = &scenario.policy {
                published(&receivers, scenario.domain, policy);
            }
        }
        changing(&mut receivers);
        old_tls();
        requiretls();
    });
}

/// What curl gets that asks for the policy of a domain, and its exit code.
fn fetch(receivers: &Receivers, domain: &str) -> (i32, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--noproxy", "*", "--write-out", "%{http_code} %{content_type} %{redirect_url}"]);
    curl.arg("--cacert").arg(receivers.authority_file());
    let ran = run(curl.arg(format!("https://mta-sts.{domain}/.well-known/mta-sts.txt")));
    (ran.code, ran.out)
}

/// The text of the `_mta-sts` record, if there is one.
fn record(receivers: &Receivers, domain: &str) -> Option<String> {
    let name = Name::of(&format!("_mta-sts.{domain}."));
    let answer = receivers.lab().oracle().query(&name, Type::named("TXT"), 0).expect("an answer");
    answer.sections[0].iter().find(|record| record.rtype == Type::named("TXT")).map(Record::text)
}

fn published(receivers: &Receivers, domain: &str, policy: &Policy) {
    assert_eq!(record(receivers, domain), policy.record.map(|record| format!("\"{record}\"")), "{domain}");
    let before = receivers.policies().requests(&format!("mta-sts.{domain}"));
    let (code, told) = fetch(receivers, domain);
    let asked = receivers.policies().requests(&format!("mta-sts.{domain}")) - before;
    let ok = match policy.site {
        Site::Good => told == format!("{}200 text/plain ", policy.text()),
        // Refused; a certificate that is not trusted.
        Site::Closed => code == 7,
        Site::Shows(_) => code == 60,
        Site::Error(status) => told.ends_with(&format!("{status} text/plain ")),
        Site::Moved => told.contains("301 ") && told.ends_with(".well-known/mta-sts.txt"),
        Site::Html => told.ends_with("200 text/html "),
        Site::Malformed => told.ends_with("200 text/plain ") && !told.contains("STSv1"),
    };
    assert!(ok, "{domain}: {:?}, but {code} {told}", policy.site);
    assert_eq!(asked, usize::from(!matches!(policy.site, Site::Closed | Site::Shows(_))), "{domain}");
}

/// A policy with a new id, a policy that is gone, and a host that is down for a while.
fn changing(receivers: &mut Receivers) {
    let text = "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n";
    let id = "v=STSv1; id=20260202000000;";
    receivers.change_policy("sts-renewed.test", Some(id), Page::Policy(text.to_owned()));
    receivers.change_policy("sts-removed.test", None, Page::Error(404));
    bounded("the new record", || record(receivers, "sts-renewed.test").filter(|text| text.contains(id)));
    bounded("no record", || record(receivers, "sts-removed.test").is_none().then_some(()));
    assert!(fetch(receivers, "sts-renewed.test").1.starts_with(text));
    assert!(fetch(receivers, "sts-removed.test").1.contains("404 "));

    let policy = receivers.scenario("sts-outage.test").policy.clone().expect("a policy");
    receivers.policies().change("mta-sts.sts-outage.test", Page::HangUp);
    assert_ne!(fetch(receivers, "sts-outage.test").0, 0);
    receivers.policies().change("mta-sts.sts-outage.test", Page::Policy(policy.text()));
    assert_eq!(fetch(receivers, "sts-outage.test").0, 0);
}

/// The receiver with TLS 1.0 speaks that, and nothing newer.
fn old_tls() {
    let connect = |version: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-brief", "-starttls", "smtp", "-connect", "mx.tls10.test:25", version]);
        run(openssl.args(["-cipher", "ALL:@SECLEVEL=0"]))
    };
    let old = connect("-tls1").success();
    assert!(old.text().contains("Protocol version: TLSv1\n"), "{old:?}");
    assert_ne!(connect("-tls1_2").code, 0);
}

/// REQUIRETLS is offered within TLS and not before (RFC 8689 §2), and only by who has it.
fn requiretls() {
    let dialogue = |domain: &str| {
        let told = run(Command::new("posttls-finger").args(["-l", "dane", domain])).success().text();
        let (clear, secured) = told.split_once("TLS connection established").unwrap_or_else(|| panic!("{told}"));
        (clear.contains("REQUIRETLS"), secured.contains("REQUIRETLS"))
    };
    assert_eq!(dialogue("require-dane.test"), (false, true));
    assert_eq!(dialogue("require-unoffered.test"), (false, false));
}

/// What became of one message.
fn fate(line: &Value, message: Option<&String>) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    match text("m").as_str() {
        "delivered" => {
            let tls = message.is_some_and(|message| message.contains("using TLSv1"));
            format!("delivered to {} {}", text("host"), if tls { "over TLS" } else { "in the clear" })
        }
        "delivery deferred" => format!("deferred {}: {}", text("status"), text("reason")),
        "delivery failed" => format!("bounced {}: {}", text("status"), text("reason")),
        other => panic!("{other}: {line}"),
    }
}

#[test]
fn mailstead_sends_as_the_table_says() {
    inside("mailstead_sends_as_the_table_says", || {
        let receivers = Receivers::start(|_| {});
        let sender = Mailstead::send(&receivers);
        let address = |scenario: &Scenario, asks: Asks| format!("{}@{}", asks.localpart(), scenario.domain);
        for asks in Asks::ALL {
            let to: Vec<String> = receivers.scenarios().iter().map(|scenario| address(scenario, asks)).collect();
            sender.submit(&to, asks);
        }
        let all: Vec<String> = Asks::ALL
            .into_iter()
            .flat_map(|asks| receivers.scenarios().iter().map(move |scenario| address(scenario, asks)))
            .collect();
        let fates = sender.fates(&all, 1);
        let messages = receivers.messages();
        let mut table = String::new();
        for scenario in receivers.scenarios() {
            table.push_str(&format!("{}: {}\n", scenario.domain, scenario.about));
            for asks in Asks::ALL {
                let to = address(scenario, asks);
                let message = messages.iter().find(|message| message.contains(&format!("<{to}>")));
                table.push_str(&format!("  {}: {}\n", asks.localpart(), fate(&fates[&to], message)));
            }
        }
        std::fs::write("/tmp/table.txt", &table).unwrap();
    });
}
