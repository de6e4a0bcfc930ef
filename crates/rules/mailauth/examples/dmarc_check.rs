//! Evaluates DMARC for a message that claims to be from some domain, and writes the header field that tells the result:
//! `cargo run -p mailstead-mailauth --example dmarc_check -- news.example.com`.
//!
//! The names are not looked up in the DNS but in the table below, to show how little a resolver needs.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::time::Duration;

use mailstead_dns::{Answer, Authenticity, Existence, Lookup, Record, RecordType, Resolver, Txt};
use mailstead_mailauth::dmarc::{self, DmarcResult, Identifier, Mechanism, Outcome};
use mailstead_mailauth::results::{AuthenticationResults, Form, MethodResult, Ptype, ResultCode};
use mailstead_names::Domain;

const TEXTS: &[(&str, &str)] = &[
    ("_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:dmarc@example.com"),
    ("_dmarc.shop.example.com", "v=DMARC1; p=quarantine; t=y; psd=n"),
    ("_dmarc.example", "v=DMARC1; p=reject; psd=y"),
];

/// Knows the texts above, and nothing else.
#[derive(Debug)]
struct Table;

impl Resolver for Table {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        let texts = TEXTS.iter().filter(|(owner, _)| *owner == name.as_ascii() && record_type == RecordType::Txt);
        let records: Vec<Record> = texts.map(|(_, text)| Record::Txt(Txt::from(*text))).collect();
        let answer = match records.is_empty() {
            true => Answer::absent(Existence::NxDomain, Authenticity::Insecure, Duration::ZERO),
            false => Answer::found(records, Authenticity::Insecure, Duration::ZERO),
        };
        Box::pin(async { Ok(answer) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let author = std::env::args().nth(1).unwrap_or_else(|| "news.example.com".to_owned());
    let header = format!("From: Somebody <somebody@{author}>\r\n\r\n");
    let authors = dmarc::author_domains(header.as_bytes());
    // What SPF and DKIM found out.
    let identifiers = [
        Identifier { mechanism: Mechanism::Spf, domain: Domain::parse("bounces.example.net")?, outcome: Outcome::Pass },
        Identifier { mechanism: Mechanism::Dkim, domain: Domain::parse("example.com")?, outcome: Outcome::Pass },
    ];
    let result = dmarc::evaluate(&Table, &authors, &identifiers).await;
    show(&result);
    let mut reported = MethodResult::dmarc(ResultCode::from(result.status.as_str()), author.as_str())
        .with_dnssec(result.authenticity());
    if let Some(policy) = &result.policy {
        reported = reported.with_property(Ptype::Policy, "dmarc", policy.effective.as_str());
    }
    let field = AuthenticationResults::new("mx.example.org").with(reported).to_field(Form::Ascii);
    println!("\n{}", field.trim_end());
    Ok(())
}

fn show(result: &DmarcResult) {
    println!("{}, disposition {}", result.status, result.disposition);
    for reason in &result.reasons {
        println!("  {reason}");
    }
    if let Some(policy) = &result.policy {
        println!("policy {} of {} ({:?})", policy.effective, policy.domain, policy.tag);
    }
    for consulted in &result.evidence.consulted {
        println!("asked {} {}: {:?}", consulted.record_type, consulted.name, consulted.answered);
    }
}
