//! Running other programs and finding the workspace.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::Outcome;

/// Prints one line of progress.
pub(crate) fn say(line: &str) {
    // A closed standard error is no reason to stop a test run.
    let _ = writeln!(std::io::stderr(), "xtask: {line}");
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// `cargo`, as the toolchain that runs this program names it, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a step to its end, and says how long it took.
pub(crate) fn step(name: &str, command: &mut Command) -> Outcome {
    say(name);
    let start = Instant::now();
    let status =
        command.status().map_err(|error| format!("{name}: cannot run {:?}: {error}", command.get_program()))?;
    if !status.success() {
        return Err(format!("{name} ({status})"));
    }
    say(&format!("{name}: done in {:.0} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// Runs a program and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("cannot run {:?}: {error}", command.get_program()))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{:?} ended with {}: {}", command.get_program(), output.status, told.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is, looking in PATH and in the folders that hold servers.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}
