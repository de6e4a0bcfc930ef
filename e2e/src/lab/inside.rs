//! A test in namespaces of its own: it may listen on port 53 of any address, give itself addresses and replace
//! `/etc/resolv.conf`, without being root, and without the machine or another test noticing.
//!
//! The test runs its own executable again inside `unshare`, so that `cargo test` and nextest both work. Everything that
//! the inner run started ends with it, because it is the first process of a namespace of processes.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{run, run_with_input};

/// Set within the namespaces.
const INSIDE: &str = "MAILSTEAD_LAB_INSIDE";

/// Runs `body` within fresh namespaces (network, mounts, processes and, unless run as root, users).
///
/// `test` is the name of the calling test, with its modules: `all_modes_agree` or `strip::dropped_signatures`.
#[track_caller]
pub fn inside(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        furnish();
        body();
        return;
    }
    let output = again()
        .args(["--exact", test, "--nocapture", "--include-ignored", "--test-threads=1"])
        .stderr(Stdio::inherit())
        .output()
        .expect("run unshare");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{test} failed within its namespaces ({}):\n{told}", output.status);
    // A name that matches no test would succeed as well.
    assert!(told.contains("1 passed"), "no test is named {test}:\n{told}");
}

/// The same for a program that is no test: it runs itself again, with the arguments that it was given.
///
/// # Errors
/// When the inner run fails, or the namespaces cannot be made.
pub fn inside_program(body: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        furnish();
        return body();
    }
    let status = again().args(std::env::args_os().skip(1)).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("within the namespaces: {status}"))) }
}

/// This executable, to run within fresh namespaces.
fn again() -> Command {
    // An owner 0 of this process is root, which needs no namespace of users, and may be forbidden to have one.
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let spaces: &[&str] = if root { &["-nmp"] } else { &["-Urnmp"] };
    let mut command = Command::new("unshare");
    let executable = std::env::current_exe().expect("the path of this program");
    command.args(spaces).args(["--kill-child", "--"]).arg(executable).env(INSIDE, "1").stdin(Stdio::null());
    command
}

/// What every lab needs before its servers.
fn furnish() {
    // Paths in /proc then agree with the ids of processes; where the machine's /proc is masked, it is not allowed.
    let _ = Command::new("mount").args(["-t", "proc", "proc", "/proc"]).stderr(Stdio::null()).status();
    run(&mut ip(&["link", "set", "lo", "up"])).success();
}

/// The program that configures the network.
pub(crate) fn ip(words: &[&str]) -> Command {
    let mut command = Command::new(program("ip"));
    command.args(words);
    command
}

/// Gives addresses to the loopback interface, so that servers can listen on them.
pub(crate) fn add_addresses(addresses: impl IntoIterator<Item = IpAddr>) {
    let batch: String = addresses
        .into_iter()
        .map(|address| match address {
            IpAddr::V4(address) => format!("addr add {address}/32 dev lo\n"),
            // Without `nodad` an address cannot be used at once (RFC 4862 §5.4).
            IpAddr::V6(address) => format!("addr add {address}/128 dev lo nodad\n"),
        })
        .collect();
    run_with_input(&mut ip(&["-batch", "-"]), &batch).success();
}

/// `/etc/resolv.conf` of this test: a file of its own, laid over the machine's.
#[derive(Debug)]
pub(crate) struct ResolvConf(PathBuf);

impl ResolvConf {
    pub(crate) fn new(folder: &Path) -> Self {
        let file = folder.join("resolv.conf");
        fs::write(&file, "").expect("write resolv.conf");
        // It may be a symbolic link, which a mount would follow, but not to nowhere.
        let place = fs::canonicalize("/etc/resolv.conf").expect("/etc/resolv.conf, to lay another over it");
        run(Command::new("mount").arg("--bind").arg(&file).arg(place)).success();
        Self(file)
    }

    pub(crate) fn servers(&self, servers: &[IpAddr]) {
        let text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        fs::write(&self.0, text).expect("write resolv.conf");
    }
}

/// Where a program is: in PATH or, as servers often are, in a folder that only root has in PATH.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed"))
}
