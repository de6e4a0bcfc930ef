//! What was found out about a server, for people and for programs.

use std::net::IpAddr;

use mailstead_dns::{Answer, Authenticity, Record, Tlsa};
use mailstead_names::{Domain, Host};
use serde_json::{Value, json};

use super::dial::{Connection, Dialling, Records, Seen, Trouble, Use};
use crate::checks::Finding;
use crate::checks::conversation::{failure_in_words, failure_json};
use crate::dns::{status, with_dnssec};

pub(super) fn shown(dialling: &Dialling, seen: &Seen) -> Finding {
    let verdict = seen.verdict();
    let about = format!("DANE of {} port {}", dialling.host, dialling.port);
    let mut finding = Finding::result(verdict.as_str(), &about, authenticity(seen));
    finding.put("host", json!(dialling.host.as_ascii()));
    finding.put("port", json!(dialling.port));
    finding.reasons(seen.objection());
    if let Ok(Some(answer)) = &seen.addresses {
        addresses(&mut finding, &dialling.host, answer);
    }
    if let Records::Found { base, records } = &seen.records {
        finding.line(format_args!("TLSA base domain: {base}"));
        finding.put("tlsa_base_domain", json!(base.0.as_ascii()));
        for (record, used) in records {
            finding.line(format_args!("TLSA {}: {used}", text(record)));
        }
        finding.put("records", records.iter().map(record_json).collect());
    }
    let host = Host::Domain(dialling.host.clone());
    for connection in &seen.connections {
        connection_lines(&mut finding, connection, &host);
    }
    finding.put("connections", seen.connections.iter().map(connection_json).collect());
    finding.evidence(&seen.evidence);
    finding
}

/// Of addresses and records together.
fn authenticity(seen: &Seen) -> Authenticity {
    match &seen.addresses {
        Ok(Some(answer)) if seen.evidence.consulted.is_empty() => answer.authenticity(),
        Ok(Some(answer)) => answer.authenticity().min(seen.evidence.authenticity()),
        Ok(None) | Err(_) => Authenticity::Insecure,
    }
}

fn addresses(finding: &mut Finding, host: &Domain, answer: &Answer<IpAddr>) {
    for hop in &answer.chain {
        finding.line(format_args!("{} is an alias of {}, {}", hop.from, hop.to, with_dnssec(hop.authenticity)));
    }
    let records: Vec<String> = answer.records.iter().map(ToString::to_string).collect();
    let (name, proved) = (answer.final_name(host), with_dnssec(answer.record_authenticity));
    finding.line(format_args!("addresses of {name}: {}, {proved}", records.join(", ")));
    let hop = |hop: &mailstead_dns::Hop| json!({ "from": hop.from.as_ascii(), "to": hop.to.as_ascii(), "status": status(hop.authenticity) });
    let aliases: Vec<Value> = answer.chain.iter().map(hop).collect();
    finding
        .put("addresses", json!({ "records": records, "status": status(answer.authenticity()), "aliases": aliases }));
}

pub(super) fn text(record: &Tlsa) -> String {
    Record::Tlsa(record.clone()).to_string()
}

fn record_json((record, used): &(Tlsa, Use)) -> Value {
    json!({ "record": text(record), "used": *used == Use::Tried, "detail": used.to_string() })
}

pub(super) fn connection_lines(finding: &mut Finding, connection: &Connection, host: &Host) {
    let ip = connection.ip;
    match &connection.outcome {
        Err(Trouble::Unreachable(why)) => finding.line(format_args!("{ip}: no connection: {why}")),
        Err(Trouble::Failed(why)) => finding.line(format_args!("{ip}: no TLS: {why}")),
        Ok(secured) => {
            finding.line(format_args!("{ip}: {}", secured.in_words()));
            match &secured.findings.dane {
                Some(Ok(matched)) => finding.line(format_args!("  DANE: matches {}", text(&matched.record))),
                Some(Err(failure)) => finding.line(format_args!("  DANE: {}", failure_in_words(failure))),
                None => {}
            }
            finding.line(format_args!("  PKIX: {}", secured.pkix_in_words(host)));
        }
    }
}

pub(super) fn connection_json(connection: &Connection) -> Value {
    let (mut tls, mut dane, mut detail) = (Value::Null, Value::Null, None);
    match &connection.outcome {
        Ok(secured) => {
            tls = secured.json();
            dane = match &secured.findings.dane {
                Some(Ok(matched)) => json!({ "holds": true, "record": text(&matched.record) }),
                Some(Err(failure)) => failure_json(Some(failure)),
                None => Value::Null,
            };
        }
        Err(Trouble::Unreachable(why) | Trouble::Failed(why)) => detail = Some(why),
    }
    json!({
        "address": connection.ip.to_string(),
        "result": connection.verdict().as_str(),
        "tls": tls,
        "dane": dane,
        "detail": detail,
    })
}
