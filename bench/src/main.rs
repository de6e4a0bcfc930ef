//! Throughput and latency of the optimised binary, beside what the disk itself does in the same run.
//!
//! The server is the real one, run as a black box on loopback with a configuration and a directory of its own. Figures
//! are only worth comparing within one run: machines differ and are noisy.

mod disk;
mod figures;
mod inbound;
mod mailbox;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::json;

use figures::{Figures, ended, progress};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about = "Measures the mailstead binary beside the disk's own figures")]
struct Options {
    /// Where the server keeps its data while it is measured; on the disk that is to be measured
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
    /// The program to measure
    #[arg(long, default_value = "target/release/mailstead")]
    binary: PathBuf,
    /// Seconds for each measure of throughput
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Messages in the mailbox that is fetched and searched
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// Keep the accounts in this PostgreSQL database instead of SQLite files; it is emptied before each measure
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// One JSON object instead of lines for people
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    ended(measure(&options).map(|figures| figures.print(options.json)))
}

fn measure(options: &Options) -> Outcome<Figures> {
    let time = Duration::from_secs(options.seconds);
    let mut figures = Figures::default();
    std::fs::create_dir_all(&options.directory)?;

    progress("the disk");
    let syncs = disk::syncs_per_second(&options.directory, time.min(Duration::from_secs(5)))?;
    figures.add("disk: appends of 10 KB with fdatasync, 1/s", json!(syncs.round()));

    for (name, ratio, accounts) in [
        ("inbound: 10 KB messages, 50 connections, 1 account, 1/s", "  as a multiple of the disk's syncs", 1),
        ("inbound: 10 KB messages, 50 connections, 50 accounts, 1/s", "  as a multiple of the disk's syncs", 50),
    ] {
        progress(name);
        let server = server::Server::start(options)?;
        let rate = inbound::messages_per_second(&server, accounts, 50, time)?;
        figures.add(name, json!(rate.round()));
        figures.add(ratio, json!((rate / syncs * 100.0).round() / 100.0));
        figures.add("  peak memory of the server, MB", json!(server.peak_megabytes()));
    }

    progress("the large mailbox");
    let server = server::Server::start(options)?;
    let rate = inbound::fill(&server, options.messages)?;
    figures.add("filling the mailbox, 2 KB messages, 1/s", json!(rate.round()));
    for (name, latency) in mailbox::latencies(&server, options.messages)? {
        figures.add(name, latency);
    }
    figures.add("peak memory of the server, MB", json!(server.peak_megabytes()));
    Ok(figures)
}
