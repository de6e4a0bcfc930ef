//! `cargo xtask check`: what a reviewer should not have to look for.

use clap::Args;

use crate::process::{cargo, step};
use crate::{Outcome, architecture, layers, one_room};

#[derive(Args)]
pub(crate) struct Options {
    /// Also run cargo-deny on licences, advisories and duplicates (takes minutes to install)
    #[arg(long)]
    deny: bool,
    /// Rewrite generated documents instead of comparing them
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(crate::process::root())
        .exec()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    layers::check(&metadata)?;
    one_room::check()?;
    architecture::check(&metadata, options.write)?;
    step("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    step("clippy", cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    step(
        "documentation",
        cargo().args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    if options.deny {
        step("cargo deny", cargo().args(["deny", "check"]))?;
    }
    Ok(())
}
