//! Project tasks: `cargo xtask test | check | bench`.
//!
//! Everything a contributor or CI runs goes through here, so that there is one list of steps and it works on a
//! machine with only the Rust toolchain. What the machine lacks is installed (as root, from Debian) or named.

mod architecture;
mod bench;
mod check;
mod conformance;
mod debian;
mod layers;
mod one_room;
mod postgres;
mod process;
mod python;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The result of a task: an error is a sentence for the person who ran it.
type Outcome<T = ()> = Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Mailstead project tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test: units, stores on both engines, and the binary against real clients and servers
    Test(test::Options),
    /// Run fmt, clippy, the layer rules, the generated documents and rustdoc
    Check(check::Options),
    /// Measure throughput and latency beside the disk's own figures, and the resolver beside unbound
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Check(options) => check::run(&options),
        Task::Bench(options) => bench::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            process::say(&format!("failed: {reason}"));
            ExitCode::FAILURE
        }
    }
}
