//! Looks up records and says how far they can be trusted: `cargo run --example lookup -- mx example.org`.
//!
//! Without a configuration the machine's resolver is asked, proofs are checked here, and where the resolver leaves them
//! out names are resolved from the root.

use std::error::Error;
use std::sync::Arc;

use mailstead_dns::{RecordType, Resolver};
use mailstead_names::Domain;
use mailstead_net::resolver::{DnsOptions, DnsResolver};
use mailstead_runtime::{Supervisor, SystemClock, SystemRandom};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it found")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(record_type), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: lookup TYPE NAME".into());
    };
    let record_type = RecordType::parse(&record_type).ok_or("no such type of records")?;
    let name = Domain::parse_lenient(&name)?;

    let options = DnsOptions::default();
    let resolver = DnsResolver::new(options, Arc::new(SystemClock), Arc::new(SystemRandom), Supervisor::new())?;
    // Whoever resolves in another way than usual says so.
    if let (active, Some(notice)) = resolver.way().await.map_err(|cause| cause.to_string())? {
        println!("{active}: {notice}");
    }

    let answer = resolver.lookup(&name, record_type).await?;
    for hop in &answer.chain {
        println!("{} is an alias of {}: {:?}", hop.from, hop.to, hop.authenticity);
    }
    println!("{:?}, {:?}, for {:?}", answer.existence, answer.authenticity(), answer.ttl);
    for record in &answer.records {
        println!("{record}");
    }
    Ok(())
}
