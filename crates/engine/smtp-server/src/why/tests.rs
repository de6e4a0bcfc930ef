//! Records as `record.rs` writes them, and what people are told.

use insta::assert_snapshot;
use serde_json::json;

use super::*;

/// A message in the name of example.org from a server that it does not know, refused.
fn refused() -> Value {
    json!({
        "remote": "192.0.2.1", "hello": "mx.client.example", "protocol": "ESMTPS",
        "tls": "TLSv1.3 TLS_AES_128_GCM_SHA256", "id": "d3mpVIZtWo831dHiLCVM3w", "at": "2026-01-15T12:00:00Z",
        "mail-from": "<bounces@client.example>", "rcpt-to": "jane@example.net", "decision": "reject",
        "reply": "550 5.7.1 refused by the DMARC policy of example.org (p=reject)",
        "reasons": ["dmarc-policy"], "trusted": null, "mailbox": null,
        "checks": {
            "iprev": {
                "result": "pass", "name": "mx.client.example", "reason": "mx.client.example has the address",
                "dnssec": false, "dns": [
                    { "type": "PTR", "name": "1.2.0.192.in-addr.arpa", "records": ["mx.client.example."],
                      "existence": "found", "alias-of": null, "dnssec": false, "remarks": [] },
                    { "type": "A", "name": "mx.client.example", "records": ["192.0.2.1", "192.0.2.2"],
                      "existence": "found", "alias-of": "host.client.example", "dnssec": false,
                      "remarks": ["stale answer"] },
                ],
            },
            "spf": {
                "result": "pass", "identity": "mailfrom", "domain": "client.example", "reason": "ip4:192.0.2.1 matched",
                "dnssec": false, "dns": [
                    { "type": "TXT", "name": "client.example", "records": ["\"v=spf1 ip4:192.0.2.1 -all\""],
                      "existence": "found", "alias-of": null, "dnssec": false, "remarks": [] },
                    { "omitted": 3 },
                ],
            },
            "dkim": { "ignored": 1, "signatures": [{
                "result": "fail", "domain": "example.org", "selector": "2026a", "algorithm": "rsa-sha256",
                "key-bits": 2048, "reasons": ["body hash did not verify"], "dnssec": true, "dns": [
                    { "type": "TXT", "name": "2026a._domainkey.example.org", "records": ["\"v=DKIM1; p=MII\""],
                      "existence": "found", "alias-of": null, "dnssec": true, "remarks": [] },
                ],
            }] },
            "dmarc": {
                "result": "fail", "author": "example.org", "organization": "example.org",
                "policy": { "domain": "example.org", "published": "reject", "effective": "reject",
                            "spf-alignment": "relaxed" },
                "disposition": "reject", "aligned": [], "reasons": ["SPF passed for client.example, not aligned"],
                "dnssec": true, "dns": [
                    { "type": "TXT", "name": "_dmarc.example.org", "records": ["\"v=DMARC1; p=reject\""],
                      "existence": "found", "alias-of": null, "dnssec": true, "remarks": [] },
                    { "type": "TXT", "name": "_dmarc.org", "records": [], "existence": "nxdomain", "alias-of": null,
                      "dnssec": true, "remarks": [] },
                ],
            },
            "arc": { "result": "fail", "reason": "gap in the chain" },
        },
    })
}

/// A part of a record, to be changed.
fn at<'r>(record: &'r mut Value, path: &str) -> &'r mut Value {
    record.pointer_mut(path).unwrap_or_else(|| panic!("no {path}"))
}

fn words(record: &Value) -> String {
    explain(record.to_string().as_bytes()).expect("a record")
}

/// What is said after the checks.
fn advice_of(record: &Value) -> String {
    let words = words(record);
    words.split_once("what would have changed this:\n").map(|(_, advice)| advice.to_owned()).unwrap_or_default()
}

#[test]
fn a_refusal() {
    assert_snapshot!(words(&refused()));
}

#[test]
fn a_refusal_for_want_of_spf() {
    let mut record = refused();
    *at(&mut record, "/mail-from") = json!("<bounces@mail.example.org>");
    *at(&mut record, "/checks/spf/domain") = json!("mail.example.org");
    *at(&mut record, "/checks/spf/result") = json!("fail");
    *at(&mut record, "/checks/dkim/signatures") = json!([]);
    assert_snapshot!(advice_of(&record));
    *at(&mut record, "/checks/dmarc/policy/spf-alignment") = json!("strict");
    assert!(advice_of(&record).contains("a MAIL FROM address in example.org, with"));
    *at(&mut record, "/checks/dmarc/policy/spf-alignment") = json!("relaxed");
    // A name that only ends alike is another one.
    *at(&mut record, "/checks/spf/domain") = json!("notexample.org");
    assert!(advice_of(&record).contains("a MAIL FROM address in example.org, with"));
}

#[test]
fn a_deferral() {
    let mut record = refused();
    *at(&mut record, "/decision") = json!("defer");
    *at(&mut record, "/reasons") = json!(["authentication-undecided"]);
    *at(&mut record, "/checks/dmarc/result") = json!("temperror");
    *at(&mut record, "/checks/spf/result") = json!("temperror");
    *at(&mut record, "/checks/spf/dns") =
        json!([{ "type": "TXT", "name": "client.example", "failed": "TXT client.example: timeout" }]);
    assert_snapshot!(words(&record));
}

#[test]
fn acceptance_by_a_rule() {
    let mut record = refused();
    *at(&mut record, "/decision") = json!("accept");
    *at(&mut record, "/reply") = Value::Null;
    *at(&mut record, "/reasons") = json!(["list-allow"]);
    *at(&mut record, "/trusted") = json!("client.example");
    *at(&mut record, "/mailbox") = json!("Lists");
    *at(&mut record, "/checks/arc/result") = json!("none");
    assert_snapshot!(words(&record));
    // A rule without which nothing would have happened either.
    *at(&mut record, "/checks/dmarc/disposition") = json!("none");
    assert_eq!(advice_of(&record), "");
}

#[test]
fn other_verdicts() {
    let mut record = refused();
    *at(&mut record, "/decision") = json!("junk");
    *at(&mut record, "/checks/dmarc/policy") =
        json!({ "domain": "example.org", "published": "reject", "effective": "quarantine" });
    let words_of_junk = words(&record);
    assert!(
        words_of_junk
            .contains("\naccepted, into Junk, because the DMARC policy of example.org asks for it (p=quarantine)\n")
    );
    assert!(words_of_junk.contains("policy p=reject of example.org, in effect quarantine, proved by DNSSEC\n"));

    *at(&mut record, "/decision") = json!("reject");
    *at(&mut record, "/reasons") = json!(["unknown-user"]);
    let expected = "  - an account that jane@example.net is an address of, or a catch-all account of its domain";
    assert_eq!(advice_of(&record), expected);

    *at(&mut record, "/decision") = json!("accept");
    *at(&mut record, "/reasons") = json!(["no-bad-signals"]);
    *at(&mut record, "/checks/dmarc/disposition") = json!("none");
    assert!(advice_of(&record).contains("a DMARC policy of example.org with p=quarantine or p=reject would have"));
    *at(&mut record, "/checks/dmarc/result") = json!("pass");
    assert_eq!(advice_of(&record), "");
}

#[test]
fn the_first_version() {
    let record = json!({
        "hello": "client.example", "id": "d3mpVIZtWo831dHiLCVM3w", "mail-from": "<>", "protocol": "ESMTP",
        "rcpt-to": "jane@example.org", "reasons": ["unchecked"], "remote": "192.0.2.7", "tls": null,
    });
    assert_snapshot!(words(&record));
}

#[test]
fn strangers_write_no_control_characters() {
    let mut record = refused();
    *at(&mut record, "/hello") = json!("\u{1b}[2J\u{9b}1m");
    *at(&mut record, "/checks/spf/reason") = json!("a\r\nb\u{7f}");
    *at(&mut record, "/checks/spf/dns/0/records/0") = json!("\u{1b}]0;x\u{7}");
    *at(&mut record, "/reasons/0") = json!("what\u{1b}");
    let words = words(&record);
    assert!(!words.contains(|c: char| c.is_control() && c != '\n'), "{words:?}");
    assert!(words.contains("\n    a??b?\n"), "{words:?}");
}

#[test]
fn what_is_no_record() {
    for other in ["", "[]", "7", "{}", r#"{"rcpt-to": 7}"#, "\u{1}"] {
        assert_eq!(explain(other.as_bytes()), None, "{other}");
    }
    assert_eq!(explain(b"\xff"), None);
    // Whatever is missing or of another type, there are words for the rest.
    for key in refused().as_object().expect("an object").keys().filter(|key| *key != "rcpt-to") {
        for value in [Value::Null, json!([7]), json!({ "a": 1 })] {
            let mut record = refused();
            record[key] = value;
            assert!(words(&record).contains("jane@example.net"));
        }
    }
}
