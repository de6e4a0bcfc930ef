//! `mailstead serve` with a configuration of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Ran, bounded, run, run_with_input};

/// The password of every account.
const PASSWORD: &str = "correct horse";

/// A running `mailstead serve`. Dropping it kills it.
#[derive(Debug)]
pub struct Configured {
    child: Child,
    folder: TempDir,
    binary: PathBuf,
}

impl Configured {
    /// Starts it in a folder, where its configuration is written beside what it names, and gives this account its password.
    /// The configuration needs to say nothing of `data-directory` and `log`.
    #[track_caller]
    pub fn start(binary: &Path, folder: TempDir, config: &str, account: &str) -> Self {
        let file = folder.path().join("mailstead.toml");
        let config = format!("data-directory = \"data\"\n{config}\n[log]\nformat = \"json\"\n");
        fs::write(&file, config).expect("a configuration");
        let mut password = Command::new(binary);
        password.args(["account", "password", account, "--config"]).arg(&file);
        run_with_input(&mut password, &format!("{PASSWORD}\n")).success();
        let child = launch(binary, folder.path());
        let server = Self { child, folder, binary: binary.to_owned() };
        server.await_told("ready", 1);
        server
    }

    /// What a client says to log in to an account over SMTP (RFC 4616).
    pub fn auth_plain(account: &str) -> String {
        format!("AUTH PLAIN {}", BASE64_STANDARD.encode(format!("\0{account}\0{PASSWORD}")))
    }

    /// The password of every account.
    pub fn password() -> &'static str {
        PASSWORD
    }

    /// Where its configuration is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and nothing else.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Starts again on the same directory, after [`Self::kill`].
    #[track_caller]
    pub fn restart(&mut self) {
        let before = self.told("ready");
        self.child = launch(&self.binary, self.folder.path());
        self.await_told("ready", before + 1);
    }

    /// Lets it read its configuration and certificates again.
    #[track_caller]
    pub fn reload(&self) {
        let before = self.told("configuration reloaded");
        run(Command::new("kill").args(["-HUP", &self.pid().to_string()])).success();
        self.await_told("configuration reloaded", before + 1);
    }

    /// Runs a `mailstead` command about it.
    pub fn command(&self, words: &[&str]) -> Ran {
        run(Command::new(&self.binary).args(words).arg("--config").arg(self.folder.path().join("mailstead.toml")))
    }

    /// What it has told so far, a line each.
    pub fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How often the log says this.
    fn told(&self, message: &str) -> usize {
        self.log().iter().filter(|line| line["m"] == message).count()
    }

    #[track_caller]
    fn await_told(&self, message: &str, times: usize) {
        bounded(&format!("the server to say {message:?}"), || (self.told(message) >= times).then_some(()));
    }
}

impl Drop for Configured {
    #[expect(clippy::print_stderr, reason = "a failed test shows what happened")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
    }
}

fn launch(binary: &Path, folder: &Path) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).expect("a log");
    Command::new(binary)
        .args(["serve", "--config"])
        .arg(folder.join("mailstead.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the server starts")
}
