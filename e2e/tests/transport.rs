//! Transport security of outgoing mail: domains with DANE and MTA-STS, good and broken, in a signed DNS with real
//! receivers. Other people's clients first say what the world is: Postfix as a sender, curl, OpenSSL.

use std::collections::BTreeMap;
use std::process::Command;

use mailstead_e2e::lab::{Name, Record, Type, inside};
use mailstead_e2e::receivers::{Asks, Mailstead, Page, Policy, Postfix, Receivers, Scenario, Site, Verdict};
use mailstead_e2e::{bounded, run};
use serde_json::{Value, json};

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
    of_each(receivers, finger)
}

/// What is to be said of the scenarios, two at a time.
fn of_each(receivers: &Receivers, probe: impl Fn(&Scenario) -> Option<String> + Sync) -> Vec<String> {
    let half = receivers.scenarios().len().div_ceil(2);
    std::thread::scope(|scope| {
        let parts = receivers.scenarios().chunks(half);
        let probe = &probe;
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || part.iter().filter_map(probe).collect())).collect();
        threads.into_iter().flat_map(|thread| -> Vec<String> { thread.join().expect("a probe") }).collect()
    })
}

/// Where `dane dialmx` finds DANE in force and Postfix's probe does not, or the other way round.
fn dialled(receivers: &Receivers, sender: &Mailstead) -> Vec<String> {
    of_each(receivers, |scenario| {
        let told = sender.command(&["dane", "dialmx", scenario.domain, "--json"]);
        let seen: Value = serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("no JSON: {}", told.text()));
        assert_eq!(seen["result"] == "match", told.code == 0, "{}", told.text());
        let verified = scenario.probe.unwrap_or(scenario.postfix) == Verdict::Verified;
        (verified != (seen["result"] == "match")).then(|| format!("{}: {seen}", scenario.domain))
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
fn dane_dialmx_finds_what_the_probe_of_postfix_finds() {
    inside("dane_dialmx_finds_what_the_probe_of_postfix_finds", || {
        let receivers = Receivers::start(|_| {});
        let sender = Mailstead::send(&receivers);
        let wrong = dialled(&receivers, &sender);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
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

/// What became of one message, in words that are the same in every run.
fn fate(line: &Value, message: Option<&String>) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    match text("m").as_str() {
        "delivered" => {
            let tls = message.is_some_and(|message| message.contains("using TLSv1"));
            format!("delivered to {} {}", text("host"), if tls { "over TLS" } else { "in the clear" })
        }
        "delivery deferred" => format!("deferred {}: {}", text("status"), without_key_tags(&text("reason"))),
        "delivery failed" => format!("bounced {}: {}", text("status"), without_key_tags(&text("reason"))),
        other => panic!("{other}: {line}"),
    }
}

/// Keys are made anew for every run.
fn without_key_tags(text: &str) -> String {
    let mut words = text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for at in 1..words.len() {
        if words[at - 1] == "key" {
            words[at] = "N".to_owned();
        }
    }
    words.join(" ")
}

fn address(scenario: &Scenario, asks: Asks) -> String {
    format!("{}@{}", asks.localpart(), scenario.domain)
}

/// Sends one message to all domains, and says what became of it in each; and of what had been said before, what did not
/// come true.
fn send(receivers: &Receivers, sender: &Mailstead, asks: Asks) -> (BTreeMap<String, String>, Vec<String>) {
    let to: Vec<String> = receivers.scenarios().iter().map(|scenario| address(scenario, asks)).collect();
    let said: Vec<Value> = to.iter().map(|to| sender.explain(to, asks)).collect();
    // What could not be fetched for that is not asked for again at once; here it is the delivery's to find out.
    for scenario in receivers.scenarios().iter().filter(|scenario| scenario.policy.is_some()) {
        sender.command(&["mtasts", "cache", "remove", scenario.domain]);
    }
    sender.submit(&to, asks);
    let lines = sender.fates(&to, 1);
    let accepted = lines.values().filter(|line| line["m"] == "delivered").count();
    let is_ours = |message: &&String| message.contains(&format!("<{}@", asks.localpart()));
    let messages = bounded("messages to be stored", || {
        let all: Vec<String> = receivers.messages();
        (all.iter().filter(is_ours).count() >= accepted).then_some(all)
    });
    let mut wrong = Vec::new();
    let mut fates = BTreeMap::new();
    for (to, said) in to.iter().zip(&said) {
        let fate = fate(&lines[to], messages.iter().find(|message| message.contains(&format!("<{to}>"))));
        if let Err(difference) = as_said(said, &fate) {
            wrong.push(format!("{to}: {difference}: {fate}\n{said}"));
        }
        fates.insert(to.clone(), fate);
    }
    (fates, wrong)
}

/// Whether a fate is one of those that `transport explain` leaves open: it does not know what servers do, but in which
/// order and how they are tried.
fn as_said(said: &Value, fate: &str) -> Result<(), &'static str> {
    let check = |condition: bool, what: &'static str| if condition { Ok(()) } else { Err(what) };
    if said["way"] == "nobody" {
        let outcome = if said["failure"]["permanent"] == true { "bounced" } else { "deferred" };
        let status = said["failure"]["status"].as_str().unwrap_or_default();
        return check(fate.starts_with(&format!("{outcome} {status}: ")), "another failure was said");
    }
    let hosts = said["hosts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let channels = |host: &Value| -> Vec<String> {
        let attempts = host["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
        attempts.iter().map(|attempt| attempt["channel"].as_str().unwrap_or_default().to_owned()).collect()
    };
    if let Some(place) = fate.strip_prefix("delivered to ") {
        let (name, tls) = place.split_once(' ').unwrap_or_default();
        let host = hosts.iter().find(|host| host["name"] == name).ok_or("it was said of no such host")?;
        let channel = if tls == "over TLS" { "starttls" } else { "plaintext" };
        return check(channels(host).iter().any(|said| said == channel), "no such attempt was said");
    }
    // What is not used is not used for the reason that was said, in the end that of the last host.
    let all_skipped = hosts.iter().all(|host| host["way"] == "skip");
    let last = hosts.last().map(|host| host["shortfall"].as_str().unwrap_or_default().to_owned()).unwrap_or_default();
    if all_skipped && !last.is_empty() {
        let told = fate.split_once(": ").map(|(_, reason)| reason.to_lowercase());
        return check(fate.starts_with("deferred ") && told == Some(last.to_lowercase()), "another reason was said");
    }
    if fate.starts_with("bounced 5.7.30: ") {
        let may = |host: &Value| {
            let asked =
                host["attempts"].as_array().is_some_and(|all| all.iter().all(|a| a["requiretls_needed"] == true));
            host["way"] == "requiretls-unsupported" || asked
        };
        return check(hosts.iter().all(may), "REQUIRETLS was not said to be asked for");
    }
    check(fate.starts_with("deferred "), "nothing that would fail for good was said")?;
    // Without TLS nothing waits where an attempt in the clear was said.
    let tls = ["TLS failed", "certificate", "not offer TLS"].iter().any(|word| fate.contains(word));
    let answered = fate.contains("The server answered");
    let in_the_clear = hosts.iter().any(|host| channels(host).iter().any(|channel| channel == "plaintext"));
    check(answered || !tls || !in_the_clear, "an attempt in the clear was said")
}

/// What the ledger has of mail for a domain, a line for each policy.
fn ledger(sender: &Mailstead, domain: &str) -> Vec<String> {
    let told = sender.command(&["tlsrpt", "results", "--domain", domain, "--json"]).success().out;
    let mut lines = Vec::new();
    for row in told.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        if row["recipient_domain"] != domain {
            continue;
        }
        assert_eq!(row["causes_report"], true, "{row}");
        for policy in row["policies"].as_array().expect("policies") {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let summary = &policy["summary"];
            let mut line = format!(
                "{} {} of {}: {} succeeded, {} failed",
                text(&policy["policy"]["policy-type"]),
                text(&row["side"]),
                text(&row["policy_domain"]),
                summary["total-successful-session-count"],
                summary["total-failure-session-count"],
            );
            for details in policy["failure-details"].as_array().into_iter().flatten() {
                line.push_str(&format!(
                    "; {} {} {}",
                    details["failed-session-count"],
                    text(&details["result-type"]),
                    text(&details["failure-reason-code"])
                ));
            }
            lines.push(line.trim_end().to_owned());
        }
    }
    lines
}

/// Where Postfix and we see the same world and do another thing, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "insecure-mx-mismatch.test",
        "RFC 7672 section 2.2.1: no DANE behind MX records that are not signed, unless set so",
    ),
    ("tls10.test", "RFC 8996: TLS 1.0 is no TLS; without a policy mail goes in the clear, RFC 7435"),
    ("refusing.test", "RFC 7435: without a policy mail goes in the clear at once, Postfix does so at a later attempt"),
    ("refusing-late.test", "as before"),
    ("hang-up.test", "as before"),
    ("sts-wrong-mx.test", "RFC 8461, which Postfix does not know"),
    ("sts-self-signed.test", "RFC 8461"),
    ("sts-expired.test", "RFC 8461"),
    ("sts-misnamed.test", "RFC 8461"),
    ("sts-stripped.test", "RFC 8461"),
    ("both-sts-fails.test", "RFC 8461 section 2: DANE does not excuse a failure of MTA-STS"),
];

/// Whether a fate is what Postfix makes of the same domain.
fn like_postfix(verdict: Verdict, fate: &str) -> bool {
    match verdict {
        Verdict::Verified | Verdict::Trusted | Verdict::Untrusted => fate.ends_with(" over TLS"),
        Verdict::Plaintext => fate.ends_with(" in the clear"),
        Verdict::Deferred(_) => fate.starts_with("deferred "),
        Verdict::Bounced(_) => fate.starts_with("bounced "),
    }
}

/// The table of what Mailstead makes of every scenario: what became of three messages (one as any other, one with
/// REQUIRETLS, one with `TLS-Required: No`), and what is counted for reports of the first.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/transport.txt");

#[test]
fn mailstead_does_what_the_table_says_and_what_it_said_before() {
    inside("mailstead_does_what_the_table_says_and_what_it_said_before", || {
        let receivers = Receivers::start(|_| {});
        let sender = Mailstead::send(&receivers);
        let (mut fates, mut wrong) = send(&receivers, &sender, Asks::Nothing);
        // One message so far, so that a connection is a connection.
        let counted: Vec<Vec<String>> =
            receivers.scenarios().iter().map(|scenario| ledger(&sender, scenario.domain)).collect();
        for asks in [Asks::RequireTls, Asks::TlsRequiredNo] {
            let (more, differences) = send(&receivers, &sender, asks);
            fates.extend(more);
            wrong.extend(differences);
        }
        let mut table = String::new();
        for (scenario, counted) in receivers.scenarios().iter().zip(counted) {
            table.push_str(&format!("{}: {}\n", scenario.domain, scenario.about));
            for asks in Asks::ALL {
                table.push_str(&format!("  {}: {}\n", asks.localpart(), fates[&address(scenario, asks)]));
            }
            counted.iter().for_each(|line| table.push_str(&format!("  {line}\n")));
            let differs = !like_postfix(scenario.postfix, &fates[&address(scenario, Asks::Nothing)]);
            let is_listed = DIFFERENCES.iter().any(|(domain, _)| *domain == scenario.domain);
            if differs != is_listed {
                let postfix = scenario.postfix;
                wrong.push(format!("{}: Postfix has {postfix:?}; listed as different: {is_listed}", scenario.domain));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        if std::env::var_os("MAILSTEAD_WRITE_TABLE").is_some() {
            std::fs::write(TABLE, &table).expect("the table");
        }
        let expected = std::fs::read_to_string(TABLE).expect("the table");
        let different: Vec<String> = expected
            .lines()
            .zip(table.lines())
            .filter(|(expected, found)| expected != found)
            .map(|(expected, found)| format!("-{expected}\n+{found}"))
            .collect();
        assert!(expected == table, "{TABLE}:\n{}", different.join("\n"));
    });
}

/// What a domain's MTA-STS policy is to the server, as `transport explain` says it.
fn policy_state(sender: &Mailstead, domain: &str) -> Value {
    sender.explain(&format!("somebody@{domain}"), Asks::Nothing)["destination"]["mta_sts"].clone()
}

#[test]
fn policies_that_change_and_addresses_without_names() {
    inside("policies_that_change_and_addresses_without_names", || {
        let mut receivers = Receivers::start(|_| {});
        let sender = Mailstead::send(&receivers);
        let domains = ["sts-renewed.test", "sts-removed.test", "sts-outage.test"];
        let to = |name: &str| domains.map(|domain| format!("{name}@{domain}"));
        sender.submit(&to("before"), Asks::Nothing);
        for (to, line) in sender.fates(&to("before"), 1) {
            assert_eq!(line["m"], "delivered", "{to}: {line}");
        }
        for domain in domains {
            assert_eq!(policy_state(&sender, domain)["fallback"], Value::Null, "{domain}");
        }

        // A new policy, which does not name the server; no record any more; a new record, and no host behind it.
        let other = "version: STSv1\r\nmode: enforce\r\nmx: mx.other.test\r\nmax_age: 604800\r\n";
        let id = "v=STSv1; id=20260202000000;";
        receivers.change_policy("sts-renewed.test", Some(id), Page::Policy(other.to_owned()));
        receivers.change_policy("sts-removed.test", None, Page::Error(404));
        receivers.change_policy("sts-outage.test", Some(id), Page::HangUp);
        bounded("the new policy", || {
            (policy_state(&sender, "sts-renewed.test")["mx"][0] == "mx.other.test").then_some(())
        });
        let kept = |domain: &str, reason: &str| {
            bounded("a policy from earlier", || {
                let state = policy_state(&sender, domain);
                let fallback = state["fallback"].as_str().unwrap_or_default().to_owned();
                (state["mode"] == "enforce" && fallback.contains(reason)).then_some(())
            });
        };
        kept("sts-removed.test", "mtasts-record-gone+fallback-to-cached-policy");
        kept("sts-outage.test", "connection-failed+fallback-to-cached-policy");

        sender.submit(&to("after"), Asks::Nothing);
        let fates = sender.fates(&to("after"), 1);
        let renewed = &fates["after@sts-renewed.test"];
        assert_eq!((&renewed["m"], &renewed["status"]), (&json!("delivery deferred"), &json!("4.7.1")), "{renewed}");
        for domain in ["sts-removed.test", "sts-outage.test"] {
            let line = &fates[&format!("after@{domain}")];
            assert_eq!(line["m"], "delivered", "{line}");
            let reported = ledger(&sender, domain).concat();
            assert!(reported.contains("fallback-to-cached-policy"), "{reported}");
        }
        let listed = sender.command(&["mtasts", "cache", "list"]).success().out;
        assert!(domains.iter().all(|domain| listed.contains(&format!("{domain}: enforce, hosts "))), "{listed}");

        // The policy's host is back, and the operator does not wait for the next message.
        let policy = receivers.scenario("sts-renewed.test").policy.clone().expect("a policy");
        receivers.policies().change("mta-sts.sts-renewed.test", Page::Policy(policy.text()));
        sender.command(&["mtasts", "cache", "remove", "sts-renewed.test"]).success();
        let again = sender.command(&["queue", "schedule", "--to", "after@sts-renewed.test"]).success().out;
        assert_eq!(again.trim(), "1 of 1 scheduled");
        let line = sender.fates(&["after@sts-renewed.test".to_owned()], 2).remove("after@sts-renewed.test");
        assert_eq!(line.expect("a line")["m"], "delivered");

        by_number(&receivers, &sender);
    });
}

/// A recipient whose server is named by its address: no policies, TLS where it is offered, nothing to report.
fn by_number(receivers: &Receivers, sender: &Mailstead) {
    let name = Name::of("mx.nothing.test.");
    let answer = receivers.lab().oracle().query(&name, Type::named("A"), 0).expect("an answer");
    let address = answer.sections[0].iter().find(|record| record.rtype == Type::named("A")).map(Record::text);
    let to = format!("number@[{}]", address.expect("an address"));
    let before = sender.command(&["tlsrpt", "results", "--json"]).success().out;
    let said = sender.explain(&to, Asks::Nothing);
    assert_eq!(said["destination"]["next_hop"], "address", "{said}");
    assert_eq!(said["hosts"][0]["attempts"][0]["counted_for"], json!([]), "{said}");
    sender.submit(std::slice::from_ref(&to), Asks::Nothing);
    let line = sender.fates(std::slice::from_ref(&to), 1).remove(&to).expect("a line");
    assert_eq!(line["m"], "delivered", "{line}");
    assert!(receivers.await_message(&format!("<{to}>")).contains("using TLSv1"));
    assert_eq!(sender.command(&["tlsrpt", "results", "--json"]).success().out, before);
    // With REQUIRETLS there is nothing that could be proved.
    let secret = to.replace("number@", "secret@");
    sender.submit(std::slice::from_ref(&secret), Asks::RequireTls);
    let line = sender.fates(std::slice::from_ref(&secret), 1).remove(&secret).expect("a line");
    assert_eq!((&line["m"], &line["status"]), (&json!("delivery failed"), &json!("5.7.30")), "{line}");
}
