//! Verifies the DKIM signatures and the ARC chain of a message as it comes in, with keys from a file:
//! `cargo run -p mailstead-mailauth --features aws-lc-rs --example dkim_verify -- keys < signed.eml`.
//!
//! The file has a name and the text of a TXT record on each line; `dkim_sign` writes such a one. It stands for the DNS.
//! Only the header of the message is kept in memory.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead as _};
use std::time::{Duration, SystemTime};

use mailstead_dns::{Answer, Authenticity, Existence, Lookup, Record, RecordType, Resolver, Txt};
use mailstead_mailauth::crypto::AwsLcRs;
use mailstead_mailauth::dkim::{BodyHasher, Policy, Verifier};
use mailstead_mailauth::{arc, psl};
use mailstead_names::Domain;

/// Knows the records of a file.
#[derive(Debug)]
struct Table(HashMap<String, String>);

impl Resolver for Table {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        let found = self.0.get(name.as_ascii()).filter(|_| record_type == RecordType::Txt);
        let answer = match found {
            Some(text) => {
                let record = Record::Txt(Txt::from(text.as_str()));
                Answer::found(vec![record], Authenticity::Insecure, Duration::ZERO)
            }
            None => Answer::absent(Existence::NxDomain, Authenticity::Insecure, Duration::ZERO),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("which file has the key records?")?;
    let records = std::fs::read_to_string(file)?;
    let records = records.lines().filter_map(|line| line.split_once(' '));
    let table = Table(records.map(|(name, text)| (name.to_owned(), text.to_owned())).collect());

    let mut input = io::stdin().lock();
    let mut header = Vec::new();
    while input.read_until(b'\n', &mut header)? > 0 {
        if header == b"\r\n" || header.ends_with(b"\n\r\n") {
            break;
        }
    }

    let mut hasher = BodyHasher::new(&AwsLcRs);
    let dkim = Verifier::new(&header, &mut hasher);
    let arc = arc::Verifier::new(&header, &mut hasher);
    loop {
        let piece = input.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        hasher.update(piece);
        let length = piece.len();
        input.consume(length);
    }
    let hashes = hasher.finish();

    let policy = Policy::new(SystemTime::now(), &psl::is_public_suffix);
    let verification = dkim.verify(&table, &hashes, &policy).await;
    for outcome in &verification.outcomes {
        let domain = outcome.domain.as_ref().map_or("?", Domain::as_ascii);
        let size = outcome.key_size().map(|(key_type, bits)| format!(" ({bits} bits {key_type})")).unwrap_or_default();
        println!("{domain}: {}{size}", outcome.status);
        outcome.reasons.iter().for_each(|reason| println!("  {reason}"));
        outcome.evidence.consulted.iter().for_each(|asked| println!("  asked: {} {}", asked.record_type, asked.name));
    }
    if verification.ignored > 0 {
        println!("{} more signatures ignored", verification.ignored);
    }

    let chain = arc.verify(&table, &hashes, &policy).await;
    println!("chain of custody: {}", chain.status);
    for set in &chain.sets {
        println!("  {}: {}", set.sealer.as_ref().map_or("?", Domain::as_ascii), set.results);
    }
    Ok(())
}
