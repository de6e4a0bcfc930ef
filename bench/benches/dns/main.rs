//! The resolver beside unbound, in one run and against the same authorities; and validation alone.
//!
//! Authorities and names are the end-to-end lab's, in namespaces of their own. Both resolvers are asked over UDP by the
//! same client, ours through a small server that does nothing else ([`front`]), and once more as the library that it is.
//! Rates say how machine and resolver do together; the processor time of a look-up is the steadier figure. Where the
//! lab's programs are missing, `--without-lab` leaves only what needs none.

mod client;
#[path = "../../src/figures.rs"]
mod figures;
mod front;
mod library;
mod lookups;
mod memory;
mod process;
mod unbound;
mod validation;
mod zones;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use mailstead_e2e::lab::inside_program;
use serde_json::{Value, json};

use figures::{Figures, ended, progress};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about = "Measures the resolver beside unbound, and validation alone")]
struct Options {
    /// Names that are asked for, with nothing known and again
    #[arg(long, default_value_t = 20_000)]
    names: usize,
    /// Names in the caches when memory is measured
    #[arg(long, default_value_t = 100_000)]
    cached: usize,
    /// Who ask at the same time
    #[arg(long, default_value_t = 50)]
    askers: usize,
    /// Seconds for each measure of what is cached
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Only these ways to resolve: unbound, recursing or validating
    #[arg(long)]
    only: Option<String>,
    /// Leave out what needs other people's servers
    #[arg(long)]
    without_lab: bool,
    /// One JSON array instead of lines for people
    #[arg(long)]
    json: bool,
    /// What cargo says to benchmarks
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Be the server through which our resolver is asked
    #[command(hide = true)]
    Front(front::Options),
}

impl Options {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Whether a way to resolve is to be measured.
    fn wants(&self, way: &str) -> bool {
        self.only.as_ref().is_none_or(|only| way.contains(only))
    }
}

fn main() -> ExitCode {
    // Run as a test, or asked which tests there are: there are none.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let outcome = match &options.role {
        Some(Role::Front(front)) => front::serve(front),
        None if options.without_lab => measure(&options),
        None => inside_program(|| measure(&options).map_err(|error| io::Error::other(error.to_string())))
            .map_err(Into::into),
    };
    ended(outcome)
}

fn measure(options: &Options) -> Outcome<()> {
    let mut figures = Figures::default();
    validation::measure(&mut figures)?;
    if options.without_lab {
        figures.add("look-ups beside unbound, memory", "left out");
    } else {
        progress("signing the zones");
        let zones = zones::Zones::start(options);
        lookups::measure(options, &zones, &mut figures)?;
    }
    figures.print(options.json);
    Ok(())
}

/// The number with three digits that count; the next would be noise.
fn rounded(number: f64) -> Value {
    if number == 0.0 || !number.is_finite() {
        return json!(0);
    }
    let places = 2 - number.abs().log10().floor() as i32;
    if places <= 0 {
        let unit = 10_f64.powi(-places);
        json!(((number / unit).round() * unit) as i64)
    } else {
        let unit = 10_f64.powi(places);
        json!((number * unit).round() / unit)
    }
}
