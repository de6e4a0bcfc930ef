//! Who sent a message, in a program that is not part of the server: the DNS is a zone file, the message another.
//!
//! ```text
//! mailstead-outside ZONEFILE IP HELO MAIL-FROM [MESSAGE]
//! mailstead-outside zones.txt 192.0.2.25 mx.example.org joe@example.org < message.eml
//! ```
//!
//! It prints Authentication-Results, the reasons, and what was asked. It stands for other people's programs: it may use
//! the library crates only (`xtask/src/layers.rs` sees to it), so that what they lack is noticed. A program that asks the
//! real DNS brings another [`Resolver`](mailstead_dns::Resolver), and nothing else changes.
#![expect(clippy::print_stdout, reason = "a program for people")]

mod checks;
#[cfg(test)]
mod tests;
mod zone;

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::time::SystemTime;

use mailstead_dns::Authenticity;
use mailstead_mailauth::results::Form;
use mailstead_mailauth::{Answered, Evidence};
use mailstead_names::{Domain, EhloName, ReversePath};

use checks::{Arrived, Found};
use zone::Zone;

/// Octets of the longest message that is read.
const MOST: u64 = 100_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument =
        |name: &str| arguments.next().ok_or_else(|| format!("{name} is missing: ZONEFILE IP HELO MAIL-FROM [MESSAGE]"));
    let zone = Zone::parse(&std::fs::read_to_string(argument("ZONEFILE")?)?)?;
    let remote = argument("IP")?.parse().map_err(|error| format!("IP: {error}"))?;
    let hello = EhloName::parse(&argument("HELO")?);
    let sender = argument("MAIL-FROM")?;
    let sender = ReversePath::parse(&format!("<{}>", sender.trim_matches(['<', '>'])))?;
    let message = match arguments.next() {
        Some(path) if path != "-" => read(File::open(path)?)?,
        _ => read(io::stdin().lock())?,
    };

    let here = Domain::parse("mx.receiver.example")?;
    let arrived = Arrived { message: &message, remote, hello, sender, at: SystemTime::now() };
    let found = checks::check(&zone, &here, &arrived).await;
    print!("{}", found.results(&here).to_field(Form::Ascii));
    print_reasons(&found);
    Ok(())
}

/// Reads a message. What is signed has CRLF at the ends of its lines, files often have LF.
fn read(input: impl Read) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    input.take(MOST).read_to_end(&mut octets)?;
    let mut message = Vec::with_capacity(octets.len());
    for (index, octet) in octets.iter().enumerate() {
        if *octet == b'\n' && (index == 0 || octets[index - 1] != b'\r') {
            message.push(b'\r');
        }
        message.push(*octet);
    }
    Ok(message)
}

fn print_reasons(found: &Found) {
    let Found { iprev, spf, dkim, dmarc, arc, .. } = found;
    println!("iprev {}: {}", iprev.result, iprev.reason);
    print_asked(&iprev.evidence);
    println!("SPF {}: {}", spf.result, spf.reason);
    print_asked(&spf.evidence);
    for outcome in &dkim.outcomes {
        let domain = outcome.domain.as_ref().map_or("?", Domain::as_ascii);
        println!("DKIM of {domain} {}", outcome.status);
        outcome.reasons.iter().for_each(|reason| println!("  because {reason}"));
        print_asked(&outcome.evidence);
    }
    println!("DMARC {}, to be done: {}", dmarc.status, dmarc.disposition);
    dmarc.reasons.iter().for_each(|reason| println!("  because {reason}"));
    print_asked(&dmarc.evidence);
    println!("ARC {}", arc.status);
    arc.reason.iter().for_each(|reason| println!("  because {reason}"));
    print_asked(&arc.evidence);
}

fn print_asked(evidence: &Evidence) {
    for asked in &evidence.consulted {
        let answer = match &asked.answered {
            Answered::Answer { records, authenticity, .. } => {
                let proof = if *authenticity == Authenticity::Secure { "secure" } else { "insecure" };
                format!("{} ({proof})", if records.is_empty() { "nothing".to_owned() } else { records.join(", ") })
            }
            Answered::Failed { words, .. } => words.clone(),
        };
        println!("  asked {} {}: {answer}", asked.record_type, asked.name);
    }
}
