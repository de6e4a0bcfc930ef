//! `cargo xtask bench`: the release binary and the figures of `bench/`.

use clap::Args;

use crate::Outcome;
use crate::process::{cargo, step};

#[derive(Args)]
pub(crate) struct Options {
    /// Given on to the benchmark program (try `-- --help`)
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    step("the binary, optimised", cargo().args(["build", "--release", "--package", "mailstead"]))?;
    step(
        "benchmarks",
        cargo().args(["run", "--quiet", "--release", "--package", "mailstead-bench", "--"]).args(&options.rest),
    )
}
