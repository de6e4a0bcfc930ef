//! `mailstead spf`, `dkim`, `dmarc`, `arc`, `iprev` and `dnsbl`: the checks of the server, for those who want to know
//! why mail is trusted or is not; `smtp`, `dane`, `mtasts` and `tlsrpt`, for those who want to know how securely mail travels.
//!
//! Every module turns results into a [`Finding`], with all that was asked of the DNS for them. Commands end with success
//! when a check could be made, whatever its result: a message without a valid signature is no failure of the program.

mod arc;
mod client;
mod conversation;
mod dane;
mod dkim;
mod dmarc;
mod message;
mod mtasts;
pub(crate) mod options;
mod smtp;
mod spf;
mod tlsrpt;

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mailstead_dns::{Authenticity, Existence, LookupError, Resolver, Txt};
use mailstead_mailauth::{Answered, Consulted, Evidence};
use mailstead_names::{Domain, EhloName, ReversePath};
use mailstead_net::resolver::DnsResolver;
use mailstead_runtime::{Clock as _, SystemClock};
use serde_json::{Map, Value, json};

use crate::cli::{DnsSource, print};
use crate::dns::{error_kind, say_notice, status, with_dnssec};
use crate::failure::Failure;

pub(crate) use arc::run as arc;
pub(crate) use client::{dnsbl, iprev};
pub(crate) use dane::run as dane;
pub(crate) use dkim::run as dkim;
pub(crate) use dmarc::run as dmarc;
pub(crate) use mtasts::run as mtasts;
pub(crate) use smtp::run as smtp;
pub(crate) use spf::run as spf;
pub(crate) use tlsrpt::run as tlsrpt;

/// What a command found out: text for people, an object for programs.
#[derive(Debug)]
struct Finding {
    text: String,
    json: Map<String, Value>,
}

impl Finding {
    /// Begins with a line that says what matters most.
    fn new(line: impl Into<String>) -> Finding {
        Finding { text: line.into(), json: Map::new() }
    }

    /// The first line for a result, which its DNSSEC status ends.
    fn result(result: &str, about: &str, authenticity: Authenticity) -> Finding {
        let mut finding = Finding::new(format!("{result}: {about}, {}", with_dnssec(authenticity)));
        finding.put("result", json!(result));
        finding.put("dnssec", json!(status(authenticity)));
        finding
    }

    /// Adds a line of details.
    fn line(&mut self, line: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "\n  {line}");
    }

    /// Adds a member of the object.
    fn put(&mut self, key: &str, value: Value) {
        self.json.insert(key.to_owned(), value);
    }

    /// Adds why the result is as it is.
    fn reasons(&mut self, reasons: impl IntoIterator<Item = String>) {
        let reasons: Vec<String> = reasons.into_iter().collect();
        for reason in &reasons {
            self.line(format_args!("reason: {reason}"));
        }
        self.put("reasons", json!(reasons));
    }

    /// Adds what was asked of the DNS.
    fn evidence(&mut self, evidence: &Evidence) {
        for consulted in &evidence.consulted {
            for line in consulted_lines(consulted) {
                self.line(line);
            }
        }
        self.put("evidence", evidence.consulted.iter().map(consulted_json).collect());
    }

    /// Adds a part: its text as it is, its object as a member.
    fn part(&mut self, key: &str, part: Finding) {
        let _ = write!(self.text, "\n{key} {}", part.text);
        self.put(key, Value::Object(part.json));
    }

    /// Prints it in the form that was asked for.
    fn show(self, as_json: bool) -> Result<(), Failure> {
        print(&if as_json { Value::Object(self.json).to_string() } else { harmless(&self.text) })
    }
}

/// Text from messages and records must not drive the terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn count(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn consulted_lines(consulted: &Consulted) -> Vec<String> {
    let Consulted { name, record_type, answered } = consulted;
    match answered {
        Answered::Answer { records, existence, authenticity, alias_of, remarks } => {
            let found = match existence {
                Existence::Found => count(records.len(), "record"),
                Existence::NoData => "no such records".to_owned(),
                Existence::NxDomain => "no such name".to_owned(),
            };
            let alias = alias_of.as_ref().map(|target| format!(", an alias of {target}")).unwrap_or_default();
            let first = format!("asked {record_type} {name}: {found}{alias}, {}", with_dnssec(*authenticity));
            let records = records.iter().map(|record| format!("  {record}"));
            let remarks = remarks.iter().map(|remark| format!("  note: {remark}"));
            std::iter::once(first).chain(records).chain(remarks).collect()
        }
        Answered::Failed { words, .. } => vec![format!("asked {record_type} {name}: no answer: {words}")],
    }
}

fn consulted_json(consulted: &Consulted) -> Value {
    let Consulted { name, record_type, answered } = consulted;
    let mut object = Map::new();
    object.insert("type".to_owned(), json!(record_type.to_string()));
    object.insert("name".to_owned(), json!(name.as_ascii()));
    let members = match answered {
        Answered::Answer { records, existence, authenticity, alias_of, remarks } => {
            let existence = match existence {
                Existence::Found => "found",
                Existence::NoData => "nodata",
                Existence::NxDomain => "nxdomain",
            };
            json!({
                "status": status(*authenticity),
                "existence": existence,
                "records": records,
                "alias_of": alias_of.as_ref().map(Domain::as_ascii),
                "remarks": remarks,
            })
        }
        Answered::Failed { kind, words } => {
            json!({ "status": "error", "error": { "kind": error_kind(*kind), "detail": words } })
        }
    };
    if let Value::Object(members) = members {
        object.extend(members);
    }
    Value::Object(object)
}

/// The resolver that a command asks, once it is known to have a way of resolving names.
async fn resolver(source: &DnsSource) -> Result<DnsResolver, Failure> {
    let resolver = crate::dns::open(source)?;
    if let Err(cause) = resolver.way().await {
        return Err(Failure::new(format!("cannot resolve names: {cause}")));
    }
    say_notice(&resolver).await;
    Ok(resolver)
}

/// The TXT records below a domain, each in one piece; the inner error is a look-up without an answer.
async fn texts(
    domain: &Domain,
    labels: &str,
    resolver: &dyn Resolver,
    evidence: &mut Evidence,
) -> Result<Result<Vec<String>, LookupError>, Failure> {
    let name = domain
        .prepend(labels)
        .map_err(|error| Failure::new(format!("the name of the record would be no name: {error}")))?;
    let answer = evidence.records::<Txt>(resolver, &name).await;
    let text = |record: &Txt| String::from_utf8_lossy(&record.joined()).into_owned();
    Ok(answer.map(|answer| answer.records.iter().map(text).collect()))
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(SystemClock.now().as_second()).unwrap_or(0))
}

/// The name of a client, which without one is its address, as clients without a name say it (RFC 5321 §4.1.3).
fn ehlo_name(helo: Option<EhloName>, ip: std::net::IpAddr, mail_from: &ReversePath) -> Result<EhloName, Failure> {
    match (helo, mail_from) {
        (Some(name), _) => Ok(name),
        (None, ReversePath::Address(_)) => Ok(EhloName::Literal(ip)),
        // RFC 7208 §2.4: what is checked is the name.
        (None, ReversePath::Null) => {
            Err(Failure::new("with a null path the name of the client is checked; give it with --helo"))
        }
    }
}

#[cfg(test)]
mod tests;
