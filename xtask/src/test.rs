//! `cargo xtask test`: everything that must pass, with nothing skipped in silence.

use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;

use clap::Args;

use crate::debian::{self, SUITES};
use crate::process::{cargo, output, root, say, step};
use crate::{Outcome, conformance, postgres, python};

/// The end-to-end suites that also run on PostgreSQL.
const ON_POSTGRES: &[&str] = &["crash", "curl", "mbsync", "swaks"];

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
    conformance::run(&mut skipped)?;
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

/// Unit, engine and documentation tests of every package but the black-box one and the outside suites.
fn units(environment: &[(&str, OsString)]) -> Outcome {
    let everything = ["--workspace", "--exclude", "mailstead-e2e", "--exclude", "mailstead-conformance"];
    let mut tests = runner();
    tests.args(everything).arg("--all-targets");
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
    black_box("end-to-end tests", &suites, &environment)?;
    // The same server on the other engine: the suites that read and write much.
    if let Some((_, url)) = environment.iter().find(|(name, _)| *name == "MAILSTEAD_TEST_POSTGRES") {
        suites.retain(|suite| ON_POSTGRES.contains(suite));
        let environment = [("MAILSTEAD_E2E_POSTGRES", url.clone()), ("MAILSTEAD_CRASH_ROUNDS", "10".into())];
        black_box("end-to-end tests on PostgreSQL", &suites, &environment)?;
    }
    Ok(())
}

fn black_box(name: &str, suites: &[&str], environment: &[(&str, OsString)]) -> Outcome {
    let mut tests = runner();
    tests.args(["--package", "mailstead-e2e", "--lib"]);
    for suite in suites {
        tests.args(["--test", suite]);
    }
    step(name, tests.envs(environment.iter().cloned()))
}

/// nextest where it is installed, `cargo test` where not.
pub(crate) fn runner() -> Command {
    let mut tests = cargo();
    if output(cargo().args(["nextest", "--version"])).is_ok() {
        tests.args(["nextest", "run", "--no-fail-fast", "--no-tests=pass", "--status-level=slow"]);
        tests.arg("--final-status-level=slow");
    } else {
        tests.args(["test", "--quiet", "--no-fail-fast"]);
    }
    tests
}
