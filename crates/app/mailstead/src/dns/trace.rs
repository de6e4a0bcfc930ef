//! The chain of trust behind an answer, step by step.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use mailstead_dns::{Existence, RecordType};
use mailstead_dnssec::{Content, Signed, Voucher, algorithm_name, digest_name};
use mailstead_names::Domain;
use mailstead_net::resolver::{Evidence, Trace, TraceStep, ZoneFinding, ZoneTrace};
use serde_json::{Value, json};

use super::report::{Report, kind, status};

/// The trace as an object: that of the answer, and the steps with their zones.
pub(super) fn json(name: &Domain, record_type: RecordType, trace: &Trace, took: Duration) -> Value {
    let report = report(name, record_type, trace, took);
    let mut object = report.json();
    object["steps"] = trace.steps.iter().map(step_json).collect();
    if !trace.failed_at.is_empty() {
        object["failed_at"] = trace.failed_at.iter().map(zone_json).collect();
    }
    object
}

fn report(name: &Domain, record_type: RecordType, trace: &Trace, took: Duration) -> Report {
    Report { name: name.clone(), record_type, outcome: trace.outcome.clone(), active: trace.active, took }
}

fn step_json(step: &TraceStep) -> Value {
    let content = match &step.content {
        Content::Records(set) => json!({ "records": set.data.len() }),
        Content::Alias { to, kind: by } => json!({ "alias": to.to_string(), "kind": kind(*by) }),
        Content::Absent(Existence::NxDomain) => json!({ "absent": "nxdomain" }),
        Content::Absent(_) => json!({ "absent": "nodata" }),
    };
    let mut object = json!({
        "name": step.name.to_string(),
        "content": content,
        "status": status(step.evidence.authenticity()),
        "because": step.evidence.to_string(),
        "zones": step.zones.iter().map(zone_json).collect::<Vec<_>>(),
    });
    if let Evidence::Proved { signed: Some(signed), .. } = &step.evidence {
        object["signature"] = signature_json(signed);
    }
    object
}

fn signature_json(signed: &Signed) -> Value {
    json!({
        "zone": signed.zone.to_string(),
        "key_tag": signed.key_tag,
        "algorithm": signed.algorithm,
        "expires": expiry(signed.expiration),
        "wildcard": signed.wildcard_base.as_ref().map(|base| format!("*.{base}")),
    })
}

fn zone_json(zone: &ZoneTrace) -> Value {
    let apex = zone.zone.to_string();
    match &zone.finding {
        ZoneFinding::Signed(keys) => json!({
            "zone": apex,
            "status": "secure",
            "vouched_by": keys.vouched.iter().map(|voucher| json!({
                "key_tag": voucher.key_tag,
                "algorithm": voucher.algorithm,
                "digest_type": voucher.digest_type,
            })).collect::<Vec<_>>(),
            "keys": keys.tags().map(|(tag, algorithm)| json!({ "key_tag": tag, "algorithm": algorithm }))
                .collect::<Vec<_>>(),
            "signature": signature_json(&keys.signed),
        }),
        ZoneFinding::Insecure(reason) => json!({ "zone": apex, "status": "insecure", "because": reason.to_string() }),
        ZoneFinding::Bogus(reason) => json!({ "zone": apex, "status": "bogus", "because": reason.to_string() }),
        ZoneFinding::Unknown(reason) => json!({ "zone": apex, "status": "error", "because": reason }),
    }
}

/// RFC 4034 §3.1.5: a serial number; we take it for the one near the present.
fn expiry(seconds: u32) -> String {
    let now = Timestamp::now().as_second();
    let ahead = seconds.wrapping_sub(now as u32) as i32;
    Timestamp::from_second(now + i64::from(ahead)).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// The trace in words.
pub(super) fn text(name: &Domain, record_type: RecordType, trace: &Trace, took: Duration) -> String {
    let mut text = String::new();
    let mut told: Vec<String> = Vec::new();
    for step in &trace.steps {
        zones_text(&mut text, &step.zones, &mut told);
        let what = match &step.content {
            Content::Records(set) if set.data.len() == 1 => format!("has 1 {} record", set.rtype),
            Content::Records(set) => format!("has {} {} records", set.data.len(), set.rtype),
            Content::Alias { to, kind: by } => format!("is an alias of {to} ({})", kind(*by).to_uppercase()),
            Content::Absent(Existence::NxDomain) => "does not exist".to_owned(),
            Content::Absent(_) => format!("has no {record_type} records"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {what}", step.name);
        let _ = match &step.evidence {
            Evidence::Proved { signed: Some(signed), .. } => writeln!(text, "  secure: {}", signature(signed)),
            Evidence::Proved { zone, .. } => writeln!(text, "  secure: proved by records that {zone} has signed"),
            evidence => writeln!(text, "  {}: {evidence}", status(evidence.authenticity())),
        };
    }
    zones_text(&mut text, &trace.failed_at, &mut told);
    if !text.is_empty() {
        text.push('\n');
    }
    text + &report(name, record_type, trace, took).text()
}

fn signature(signed: &Signed) -> String {
    let wildcard =
        signed.wildcard_base.as_ref().map(|base| format!(", from the wildcard *.{base}")).unwrap_or_default();
    format!(
        "signed by key {} of {} ({}), valid until {}{wildcard}",
        signed.key_tag,
        signed.zone,
        algorithm_name(signed.algorithm),
        expiry(signed.expiration)
    )
}

/// Each zone once, however many steps go through it.
fn zones_text(text: &mut String, zones: &[ZoneTrace], told: &mut Vec<String>) {
    for zone in zones {
        let apex = zone.zone.to_string();
        if told.contains(&apex) {
            continue;
        }
        let _ = match &zone.finding {
            ZoneFinding::Signed(keys) => {
                let vouchers: Vec<_> = keys.vouched.iter().map(voucher).collect();
                writeln!(
                    text,
                    "zone {apex}\n  secure: {}; its keys are {}",
                    vouchers.join(" and "),
                    signature(&keys.signed)
                )
            }
            ZoneFinding::Insecure(reason) => writeln!(text, "zone {apex}\n  insecure: {reason}"),
            ZoneFinding::Bogus(reason) => writeln!(text, "zone {apex}\n  bogus: {reason}"),
            ZoneFinding::Unknown(reason) => writeln!(text, "zone {apex}\n  not known: {reason}"),
        };
        told.push(apex);
    }
}

fn voucher(voucher: &Voucher) -> String {
    let algorithm = algorithm_name(voucher.algorithm);
    match voucher.digest_type {
        Some(digest_type) => {
            format!("a {} digest vouches for key {} ({algorithm})", digest_name(digest_type), voucher.key_tag)
        }
        None => format!("key {} ({algorithm}) is a trust anchor", voucher.key_tag),
    }
}
