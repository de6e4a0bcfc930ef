//! Transport security of outgoing mail: domains with DANE and MTA-STS, good and broken, in a signed DNS with real
//! receivers. Postfix, as another sender, first says what the world is.

use std::process::Command;

use mailstead_e2e::lab::inside;
use mailstead_e2e::receivers::{Receivers, Scenario, Verdict};
use mailstead_e2e::run;

/// What Postfix says about the way to a domain.
fn finger(receivers: &Receivers, scenario: &Scenario) -> String {
    let mut finger = Command::new("posttls-finger");
    finger.args(["-c", "-l", "dane", "-F"]).arg(receivers.authority_file()).arg(scenario.domain);
    run(&mut finger).text()
}

/// Whether what Postfix says is the verdict of the table.
fn agrees(told: &str, verdict: &Verdict) -> bool {
    let established = |word: &str| told.contains(&format!(": {word} TLS connection established"));
    let failed = told.contains("verification failed");
    match verdict {
        Verdict::Verified => established("Verified"),
        Verdict::Trusted => established("Trusted") && !failed,
        Verdict::Untrusted => established("Untrusted") && !failed,
        Verdict::Plaintext => !told.contains("TLS connection established"),
        Verdict::Refused(reason) => told.contains(reason) && !established("Verified") && !established("Trusted"),
    }
}

#[test]
fn postfix_finds_what_the_table_says() {
    inside("postfix_finds_what_the_table_says", || {
        let receivers = Receivers::start(|_| {});
        let mut wrong = Vec::new();
        for scenario in receivers.scenarios() {
            let told = finger(&receivers, scenario);
            if !agrees(&told, &scenario.postfix) {
                wrong.push(format!("{} ({}): {:?}\n{told}", scenario.domain, scenario.about, scenario.postfix));
            }
        }
        assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), receivers.postfix().log());
    });
}
