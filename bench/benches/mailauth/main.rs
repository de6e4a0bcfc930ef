//! Sender authentication: whole messages a second on one core beside rspamd, in one run and on the same messages; and
//! what signing and verifying cost alone.
//!
//! Both ask the same name server and have everything in their caches when the clock starts. Ours is the library with the
//! server's resolver, on one thread; rspamd is one worker, asked by a few clients so that it never waits for one. It is
//! asked over a local socket and parses the message for its other purposes as well, which is part of what it costs to use
//! it; that is why the comparison says how far a design goes, and not which code is better.

#[path = "../../src/figures.rs"]
mod figures;
#[path = "../dns/process.rs"]
#[expect(dead_code, reason = "what memory is used is not measured here")]
mod process;
mod signatures;
mod whole;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};

use figures::{Figures, ended};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about = "Measures sender authentication beside rspamd, and DKIM signatures alone")]
struct Options {
    /// Seconds for each measure of whole messages
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Leave out rspamd
    #[arg(long)]
    without_rspamd: bool,
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
    signatures::measure(&mut figures)?;
    whole::measure(Duration::from_secs(options.seconds), !options.without_rspamd, &mut figures)?;
    Ok(figures)
}

/// Three digits that count; the next would be noise.
fn rounded(number: f64) -> Value {
    let unit = 10_f64.powi(number.abs().max(1e-9).log10().floor() as i32 - 2);
    let rounded = (number / unit).round() * unit;
    if unit >= 1.0 { json!(rounded as i64) } else { json!((rounded * 1e4).round() / 1e4) }
}
