//! `cargo xtask bench`: the release binary and the figures of `bench/`, those of the queue beside Postfix, of the resolver
//! beside unbound and of sender authentication beside rspamd among them.

use clap::Args;

use crate::Outcome;
use crate::debian;
use crate::process::{cargo, say, step};

#[derive(Args)]
pub(crate) struct Options {
    /// Measure the resolver alone
    #[arg(long)]
    dns: bool,
    /// Measure sender authentication alone
    #[arg(long, conflicts_with = "dns")]
    mailauth: bool,
    /// Measure the outgoing queue alone
    #[arg(long, conflicts_with_all = ["dns", "mailauth"])]
    queue: bool,
    /// Given on to the benchmark program, with `--dns`, `--mailauth` or `--queue` to that one (try `-- --help`)
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    if options.dns {
        return resolver(&options.rest);
    }
    if options.mailauth {
        return mailauth(&options.rest);
    }
    step("the binary, optimised", cargo().args(["build", "--release", "--package", "mailstead"]))?;
    if options.queue {
        return queue(&options.rest);
    }
    step(
        "benchmarks",
        cargo().args(["run", "--quiet", "--release", "--package", "mailstead-bench", "--"]).args(&options.rest),
    )?;
    let json = options.rest.iter().filter(|option| *option == "--json").cloned().collect::<Vec<_>>();
    queue(&json)?;
    resolver(&json)?;
    mailauth(&json)
}

/// The queue with 100,000 messages in a simulated network, and its rate beside Postfix where that is installed.
fn queue(options: &[String]) -> Outcome {
    let mut load = cargo();
    load.env("MAILSTEAD_LOAD", "100000").args([
        "test",
        "--quiet",
        "--release",
        "--package",
        "mailstead-queue",
        "--lib",
    ]);
    step("the queue under load", load.args(["many_messages_to_many_domains", "--", "--nocapture"]))?;
    if let Some(reason) = debian::lacking("postfix") {
        say(&format!("LEFT OUT the queue beside Postfix: {reason}"));
        return Ok(());
    }
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--package", "mailstead-bench", "--bench", "queue", "--"]).args(options);
    step("benchmarks of the queue", &mut bench)
}

/// The resolver beside unbound and against the authorities of the end-to-end lab; without their programs, what needs
/// none of them.
fn resolver(options: &[String]) -> Outcome {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--package", "mailstead-bench", "--bench", "dns", "--"]).args(options);
    if let Some(reason) = debian::lacking("dns") {
        say(&format!("LEFT OUT look-ups and memory beside unbound: {reason}"));
        bench.arg("--without-lab");
    }
    step("benchmarks of the resolver", &mut bench)
}

/// Sender authentication beside rspamd, where that is installed.
fn mailauth(options: &[String]) -> Outcome {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--package", "mailstead-bench", "--bench", "mailauth", "--"]).args(options);
    if let Some(reason) = debian::lacking("rspamd") {
        say(&format!("LEFT OUT rspamd: {reason}"));
        bench.arg("--without-rspamd");
    }
    step("benchmarks of sender authentication", &mut bench)
}
