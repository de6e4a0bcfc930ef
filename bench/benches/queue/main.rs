//! The outgoing queue: what a preloaded queue delivers a second to a sink on loopback, beside Postfix in the same run.
//!
//! Both are filled while nothing listens where their mail goes, so that all of it waits. Then the sink (Postfix's own
//! `smtp-sink`) starts, both are told to try at once, and the clock runs until the sink has the last message. Both make
//! as many connections at the same time, neither uses TLS, both log what they do.

#[path = "../../src/figures.rs"]
mod figures;
mod preload;
mod sender;

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use mailstead_e2e::free_port;
use serde_json::json;

use figures::{Figures, ended, progress};
use sender::{Mailstead, Postfix, Sender};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The longest that a queue may take to deliver.
const PATIENCE: Duration = Duration::from_secs(900);

#[derive(Parser)]
#[command(about = "Measures delivery from the queue beside Postfix")]
struct Options {
    /// Messages in the queue
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// Octets of each
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// The program to measure
    #[arg(long, default_value = "../target/release/mailstead")]
    binary: PathBuf,
    /// One JSON array instead of lines for people
    #[arg(long)]
    json: bool,
    /// What cargo says to benchmarks
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    // Run as a test, or asked which tests there are: there are none.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    ended(measure(&options).map(|figures| figures.print(options.json)))
}

fn measure(options: &Options) -> Outcome<Figures> {
    let mut figures = Figures::default();
    for (name, domains) in [("to 1,000 domains by one relay", 1000), ("to one domain", 1)] {
        progress(&format!("mail {name}: Postfix"));
        let port = free_port();
        let postfix = rate(&Postfix::start(port), port, options, domains)?;
        progress(&format!("mail {name}: Mailstead"));
        let port = free_port();
        let server = Mailstead::start(&options.binary, port)?;
        let ours = rate(&server, port, options, domains)?;
        figures.add(format!("{} messages {name}, 1/s", options.messages), json!(ours.round()));
        figures.add("  Postfix, 1/s", json!(postfix.round()));
        figures.add("  as a multiple of Postfix", json!((ours / postfix * 10.0).round() / 10.0));
        figures.add("  peak memory while it delivers, MB", json!(server.peak_megabytes()));
    }
    Ok(figures)
}

/// Messages a second, from the word to try until the sink has all.
fn rate(sender: &impl Sender, port: u16, options: &Options, domains: usize) -> Outcome<f64> {
    preload::fill(sender, options.messages, options.size, domains)?;
    sender.await_all_deferred(options.messages)?;
    let mut sink = Sink::start(port, options.messages)?;
    let begun = Instant::now();
    sender.try_all()?;
    sink.await_all(begun)?;
    Ok(options.messages as f64 / begun.elapsed().as_secs_f64())
}

/// A server that takes everything and keeps nothing, and ends after so many messages.
struct Sink(Child);

impl Sink {
    fn start(port: u16, messages: usize) -> Outcome<Self> {
        let mut command = Command::new("smtp-sink");
        command.args(["-u", "postfix", "-M", &messages.to_string(), &format!("127.0.0.1:{port}"), "1000"]);
        let sink = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("smtp-sink does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(sink)
    }

    fn await_all(&mut self, begun: Instant) -> Outcome<()> {
        while self.0.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("the sink has not got all after {PATIENCE:?}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
