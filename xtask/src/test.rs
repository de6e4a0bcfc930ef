//! `cargo xtask test`: everything that must pass, with nothing skipped in silence.

use std::ffi::OsString;
use std::time::Instant;

use clap::Args;

use crate::debian::{self, SUITES};
use crate::process::{cargo, output, root, say, step};
use crate::{Outcome, postgres, python};

#[derive(Args)]
pub(crate) struct Options {
    /// Fail when anything had to be skipped (what CI uses)
    #[arg(long)]
    strict: bool,
    /// Leave out the end-to-end suites
    #[arg(long)]
    no_e2e: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let start = Instant::now();
    let mut skipped = Vec::new();
    debian::install()?;

    let server = postgres::Server::start();
    let mut environment: Vec<(&str, OsString)> = Vec::new();
    match &server {
        Ok(server) => environment.push(("MAILSTEAD_TEST_POSTGRES", server.url().into())),
        Err(reason) => skipped.push(format!("the store's suites on PostgreSQL: {reason}")),
    }

    units(&environment)?;
    if options.no_e2e {
        skipped.push("the end-to-end suites: --no-e2e".to_owned());
    } else {
        end_to_end(environment, &mut skipped)?;
    }

    for reason in &skipped {
        say(&format!("SKIPPED {reason}"));
    }
    say(&format!("all that ran passed, in {:.0} s", start.elapsed().as_secs_f64()));
    if options.strict && !skipped.is_empty() {
        return Err(format!("{} skipped, and --strict was given", skipped.len()));
    }
    Ok(())
}

/// Unit, engine and documentation tests of every package but the black-box one.
fn units(environment: &[(&str, OsString)]) -> Outcome {
    let everything = ["--workspace", "--exclude", "mailstead-e2e"];
    let mut tests = cargo();
    if has_nextest() {
        tests.args(["nextest", "run", "--no-fail-fast", "--status-level=slow", "--final-status-level=slow"]);
        tests.args(everything).arg("--all-targets");
    } else {
        tests.args(["test", "--quiet", "--no-fail-fast"]).args(everything).arg("--all-targets");
    }
    step("tests of the crates", tests.envs(environment.iter().cloned()))?;
    step(
        "documentation tests",
        cargo().args(["test", "--quiet", "--doc"]).args(everything).envs(environment.iter().cloned()),
    )
}

/// The binary as a black box. A suite whose programs are missing is left out, and named.
fn end_to_end(mut environment: Vec<(&str, OsString)>, skipped: &mut Vec<String>) -> Outcome {
    let mut suites = Vec::new();
    for (suite, _) in SUITES {
        if !root().join("e2e/tests").join(format!("{suite}.rs")).is_file() {
            return Err(format!("e2e/tests/{suite}.rs is listed in xtask but does not exist"));
        }
        let reason = debian::lacking(suite).or_else(|| {
            if *suite != "python" {
                return None;
            }
            match python::environment() {
                Ok(interpreter) => {
                    environment.push(("MAILSTEAD_TEST_PYTHON", interpreter.into()));
                    None
                }
                Err(reason) => Some(reason),
            }
        });
        match reason {
            None => suites.push(*suite),
            Some(reason) => skipped.push(format!("end-to-end suite {suite}: {reason}")),
        }
    }
    step("the binary", cargo().args(["build", "--package", "mailstead"]))?;
    let mut tests = cargo();
    if has_nextest() {
        tests.args(["nextest", "run", "--no-fail-fast", "--status-level=slow", "--final-status-level=slow"]);
    } else {
        tests.args(["test", "--quiet", "--no-fail-fast"]);
    }
    tests.args(["--package", "mailstead-e2e", "--lib"]);
    for suite in suites {
        tests.args(["--test", suite]);
    }
    step("end-to-end tests", tests.envs(environment))
}

fn has_nextest() -> bool {
    output(cargo().args(["nextest", "--version"])).is_ok()
}
