//! Starting, stopping and killing the server under test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Ran, run};
use crate::{Imap, Smtp};

/// The account of `localserve`.
pub const USER: &str = "you@localhost";
/// Its password.
pub const PASSWORD: &str = "mailstead";

/// The longest that a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test: `MAILSTEAD_BIN`, or the one beside this test's own folder in `target/`.
pub fn binary() -> PathBuf {
    if let Some(file) = std::env::var_os("MAILSTEAD_BIN") {
        return file.into();
    }
    let test = std::env::current_exe().expect("the path of this test");
    let file = test.ancestors().nth(2).expect("target/<profile>/deps/<test>").join("mailstead");
    assert!(file.is_file(), "{} does not exist: run `cargo xtask test`, or `cargo build` first", file.display());
    file
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// A port that nobody listens on, and that the system gives to nobody by itself: a server can come back to it.
pub fn lasting_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Below those that systems choose from; every process begins elsewhere.
    let first = std::process::id().wrapping_mul(64);
    let mut candidates = (0..10_000).map(|_| 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    let free = candidates.find_map(|port| {
        let port = u16::try_from(port).ok()?;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    free.expect("a free port")
}

/// A moment between `low` and `high` milliseconds that differs from run to run.
pub fn moment(low: u64, high: u64, round: usize) -> Duration {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| u64::from(now.subsec_nanos()));
    let spread = (nanoseconds ^ (round as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 3;
    Duration::from_millis(low + spread % (high - low))
}

/// Calls until an answer comes or patience ends.
#[track_caller]
pub fn bounded<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running `mailstead localserve`.
#[derive(Debug)]
pub struct Server {
    child: Child,
    ready: Value,
    ports: BTreeMap<String, u16>,
    directory: PathBuf,
    arguments: Vec<String>,
    wrapper: Vec<String>,
    owned: Option<TempDir>,
}

impl Server {
    /// Starts `localserve` in a fresh directory.
    pub fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// Starts it with further arguments, run by another program (such as strace) where `wrapper` is not empty.
    pub fn start_with(wrapper: &[&str], arguments: &[&str]) -> Self {
        let owned = TempDir::new().expect("a temporary directory");
        let directory = owned.path().join("data");
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        if let Some(url) = database() {
            arguments.extend(["--database".to_owned(), url]);
        }
        let wrapper: Vec<String> = wrapper.iter().map(ToString::to_string).collect();
        let (child, ready) = launch(&directory, &wrapper, &arguments);
        let ports = ports(&ready);
        Self { child, ready, ports, directory, arguments, wrapper, owned: Some(owned) }
    }

    /// The port of a service: smtp, submission, submissions, imap, imaps, http, https or metrics.
    #[track_caller]
    pub fn port(&self, service: &str) -> u16 {
        *self.ports.get(service).unwrap_or_else(|| panic!("no service {service} in {}", self.ready))
    }

    /// Where the server keeps its data.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the server printed when it was ready.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// The certificate that clients are told to trust.
    pub fn ca_file(&self) -> String {
        self.ready["ca_file"].as_str().expect("ca_file").to_owned()
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

    /// Starts again on the same directory, after [`Self::kill`] or [`Self::stop`]; the ports are new.
    pub fn restart(&mut self) {
        let (child, ready) = launch(&self.directory, &self.wrapper, &self.arguments);
        self.child = child;
        self.ports = ports(&ready);
        self.ready = ready;
    }

    /// A graceful stop with `mailstead stop`.
    #[track_caller]
    pub fn stop(&mut self) {
        self.command(&["stop"]).success();
        bounded("the server to end", || self.child.try_wait().expect("wait"));
    }

    /// Runs a `mailstead` command on this server's directory.
    pub fn command(&self, words: &[&str]) -> Ran {
        run(Command::new(binary()).args(words).arg("--dir").arg(&self.directory))
    }

    /// Asserts that `mailstead store check` finds nothing wrong.
    #[track_caller]
    pub fn check(&self) {
        self.command(&["store", "check"]).success();
    }

    /// The same without reading every message.
    #[track_caller]
    pub fn check_quickly(&self) {
        self.command(&["store", "check", "--quick"]).success();
    }

    /// A plain SMTP connection to the port of a service.
    pub fn smtp(&self, service: &str) -> Smtp {
        Smtp::connect(self.port(service)).expect("connect")
    }

    /// An IMAP connection, logged in.
    pub fn imap(&self) -> Imap {
        let mut imap = Imap::connect(self.port("imap")).expect("connect");
        imap.ok(&format!("LOGIN {USER} {PASSWORD}"));
        imap
    }

    /// Waits until a mailbox holds this number of messages.
    #[track_caller]
    pub fn await_messages(&self, mailbox: &str, number: usize) {
        let mut imap = self.imap();
        let wanted = format!("MESSAGES {number}");
        bounded(&format!("{number} messages in {mailbox}"), || {
            let status = imap.ok(&format!("STATUS {mailbox} (MESSAGES)")).join("\n");
            status.contains(&format!("({wanted})")).then_some(())
        });
    }

    /// Delivers a small message by SMTP, as another server would.
    #[track_caller]
    pub fn deliver(&self, subject: &str, body: &str) {
        let text =
            format!("From: A Friend <friend@example.org>\r\nTo: <{USER}>\r\nSubject: {subject}\r\n\r\n{body}\r\n");
        let mut smtp = self.smtp("smtp");
        smtp.hello();
        let reply = smtp.send("friend@example.org", &[USER], &text).expect("a reply");
        assert!(reply.starts_with("250"), "{reply}");
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the server said")]
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if !self.wrapper.is_empty() {
                // A killed strace would let the server live on.
                let _ = Command::new(binary()).args(["stop", "--dir"]).arg(&self.directory).output();
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            // What the server logged is what one wants to read after a failure.
            let log = std::fs::read_to_string(self.directory.with_extension("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the server's log ends with:");
            for line in tail.iter().rev() {
                eprintln!("  {line}");
            }
        }
        drop(self.owned.take());
    }
}

/// A database of its own on the PostgreSQL server that `MAILSTEAD_E2E_POSTGRES` names, or `None` for SQLite.
fn database() -> Option<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("MAILSTEAD_E2E_POSTGRES").ok()?;
    let name = format!("e2e_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    run(Command::new("psql").args(["--quiet", &server, "--command", &format!("create database {name}")])).success();
    Some(server.replacen("/postgres?", &format!("/{name}?"), 1))
}

fn launch(directory: &Path, wrapper: &[String], arguments: &[String]) -> (Child, Value) {
    let mut words: Vec<String> = wrapper.to_vec();
    words.push(binary().to_string_lossy().into_owned());
    let log =
        std::fs::OpenOptions::new().create(true).append(true).open(directory.with_extension("log")).expect("a log");
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .args(["localserve", "--json", "--ports", "any", "--dir"])
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {words:?}: {error}"));
    let stdout = child.stdout.take().expect("stdout is piped");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        if let Some(Ok(line)) = lines.next() {
            let _ = sender.send(line);
        }
        // Whatever else is printed is read, so that the server never waits for a reader.
        lines.for_each(drop);
    });
    let Ok(line) = receiver.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        let log = std::fs::read_to_string(directory.with_extension("log")).unwrap_or_default();
        panic!("the server did not get ready:\n{log}");
    };
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
    (child, ready)
}

/// The services and their ports, from `{"services": [{"name": "smtp", "address": "127.0.0.1:2525"}, ...]}`.
fn ports(ready: &Value) -> BTreeMap<String, u16> {
    let services = ready["services"].as_array().into_iter().flatten();
    services
        .filter_map(|service| {
            let address: std::net::SocketAddr = service["address"].as_str()?.parse().ok()?;
            address.is_ipv4().then(|| Some((service["name"].as_str()?.to_owned(), address.port())))?
        })
        .collect()
}
