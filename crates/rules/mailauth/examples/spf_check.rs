//! Checks a client against the SPF records of a domain, and shows what was asked on the way:
//! `cargo run -p mailstead-mailauth --example spf_check -- 192.0.2.65 somebody@example.com`.
//!
//! The names are not looked up in the DNS but in the table below, to show how little a resolver needs.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::time::{Duration, SystemTime};

use mailstead_dns::{Answer, Authenticity, Existence, Lookup, Mx, Record, RecordType, Resolver, Target, Txt};
use mailstead_mailauth::Answered;
use mailstead_mailauth::received_spf::ReceivedSpf;
use mailstead_mailauth::spf::{Query, check_host};
use mailstead_names::{Domain, EhloName, ReversePath};

/// Knows a few names.
#[derive(Debug)]
struct Table(Vec<(&'static str, Record)>);

impl Table {
    fn new() -> Table {
        let txt = |text: &str| Record::Txt(Txt::from(text));
        Table(vec![
            ("example.com", txt("v=spf1 mx include:_spf.example.net -all exp=why.example.com")),
            ("example.com", Record::Mx(Mx { preference: 10, exchange: Target::parse("mx.example.com") })),
            ("mx.example.com", Record::A([192, 0, 2, 25].into())),
            ("_spf.example.net", txt("v=spf1 ip4:192.0.2.64/26 ip6:2001:db8::/32 ?all")),
            ("why.example.com", txt("%{i} does not send mail for %{o}")),
        ])
    }
}

impl Resolver for Table {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        let of_name = || self.0.iter().filter(|(owner, _)| *owner == name.as_ascii()).map(|(_, record)| record);
        let records: Vec<Record> = of_name().filter(|record| record.record_type() == record_type).cloned().collect();
        let answer = match of_name().count() {
            0 => Answer::absent(Existence::NxDomain, Authenticity::Insecure, Duration::ZERO),
            _ => Answer::found(records, Authenticity::Insecure, Duration::ZERO),
        };
        Box::pin(async { Ok(answer) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let ip = arguments.next().unwrap_or_else(|| "192.0.2.65".to_owned()).parse()?;
    let sender = arguments.next().unwrap_or_else(|| "somebody@example.com".to_owned());

    let path = ReversePath::parse(&format!("<{sender}>"))?;
    let query = Query::mail_from(ip, &path, &EhloName::parse("mx.example.com"), SystemTime::now())
        .received_by(Domain::parse("in.example.org")?);
    let verdict = check_host(&Table::new(), &query).await;

    println!("{}: {}", verdict.result, verdict.reason);
    if let Some(explanation) = &verdict.explanation {
        println!("{} explains: {}", explanation.domain, explanation.text);
    }
    for consulted in &verdict.evidence.consulted {
        let answer = match &consulted.answered {
            Answered::Answer { records, .. } => records.join(", "),
            Answered::Failed { words, .. } => words.clone(),
        };
        println!("  {} {}: {answer}", consulted.record_type, consulted.name);
    }
    print!("{}", ReceivedSpf::new(&query, &verdict).field());
    Ok(())
}
