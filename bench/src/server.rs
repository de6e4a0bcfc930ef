//! The server under measurement: `mailstead serve` with a configuration and a directory of its own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mailstead_e2e::{Imap, free_port, peak_memory, run_with_input};

use crate::{Options, Outcome};

/// How many accounts there are.
const ACCOUNTS: usize = 50;
const PASSWORD: &str = "correct horse";

/// The address of an account.
pub(crate) fn address(account: usize) -> String {
    format!("account{account}@bench.example")
}

/// A running server. Dropping it kills it and removes its data.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    smtp: u16,
    imap: u16,
}

impl Server {
    /// Starts it on an empty directory and waits until it answers.
    pub(crate) fn start(options: &Options) -> Outcome<Self> {
        let folder = options.directory.join("server");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        if let Some(url) = &options.postgres {
            let empty = "drop schema public cascade; create schema public";
            run_with_input(Command::new("psql").args(["--quiet", url, "--command", empty]), "").success();
        }
        let (smtp, imap) = (free_port(), free_port());
        let file = folder.join("mailstead.toml");
        std::fs::write(&file, configuration(smtp, imap, options.postgres.as_deref()))?;
        let log = std::fs::File::create(folder.join("log"))?;
        let binary = std::fs::canonicalize(&options.binary)
            .map_err(|error| format!("{}: {error} (cargo xtask bench builds it)", options.binary.display()))?;
        let password = ["account", "password", "account0", "--config"];
        run_with_input(Command::new(&binary).args(password).arg(&file), &format!("{PASSWORD}\n")).success();
        let child =
            Command::new(&binary).args(["serve", "--config"]).arg(&file).stdout(Stdio::null()).stderr(log).spawn()?;
        let server = Self { child, folder, smtp, imap };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", smtp)).is_err() {
            if start.elapsed() > Duration::from_secs(30) {
                let log = std::fs::read_to_string(server.folder.join("log")).unwrap_or_default();
                return Err(format!("the server did not start: {log}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: &str) -> u16 {
        if service == "smtp" { self.smtp } else { self.imap }
    }

    /// An IMAP session of the first account.
    pub(crate) fn imap(&self) -> Outcome<Imap> {
        let mut imap = Imap::connect(self.imap)?;
        imap.ok(&format!("LOGIN {} \"{PASSWORD}\"", address(0)));
        Ok(imap)
    }

    /// The most memory that the server has used at one time.
    pub(crate) fn peak_megabytes(&self) -> u64 {
        peak_memory(self.child.id()).unwrap_or(0) >> 20
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn configuration(smtp: u16, imap: u16, postgres: Option<&str>) -> String {
    let mut text =
        String::from("hostname = \"mail.bench.example\"\ndata-directory = \"data\"\npostmaster = \"account0\"\n\n");
    if let Some(url) = postgres {
        // Writing to a string cannot fail.
        let _ = write!(text, "[database]\nengine = \"postgres\"\nurl = \"{url}\"\n\n");
    }
    let _ = write!(
        text,
        "[log]\nlevel = \"warn\"\n\n[limits]\nexempt-networks = [\"127.0.0.0/8\"]\n\n\
         [[listener]]\naddresses = [\"127.0.0.1\"]\nplaintext-login = true\nsmtp = {smtp}\nimap = {imap}\n\n\
         [domains.\"bench.example\"]\n\n"
    );
    for account in 0..ACCOUNTS {
        let _ = write!(text, "[accounts.account{account}]\naddresses = [\"{}\"]\n\n", address(account));
    }
    text
}
