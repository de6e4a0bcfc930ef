//! Running other people's programs, with a bound on how long they may take.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that a client of a test may take. These machines are shared and slow at times.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Asserts that the program succeeded, showing what it said where it did not.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Both streams, for programs that use either.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }
}

/// Runs a program to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    run_with_input(command, "")
}

/// Runs a program to its end with something to read on its standard input.
#[track_caller]
pub fn run_with_input(command: &mut Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.as_bytes().to_vec();
    let feed = std::thread::spawn(move || {
        // A program that ends without reading its input is judged by its exit code.
        let _ = stdin.write_all(&input);
    });
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let out = std::thread::spawn(move || read_all(&mut stdout));
    let err = std::thread::spawn(move || read_all(&mut stderr));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait for the program") {
            break Some(status);
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let _ = feed.join();
    let out = out.join().expect("reader of stdout");
    let err = err.join().expect("reader of stderr");
    let Some(status) = status else {
        panic!("{:?} took more than {PATIENCE:?}\nstdout:\n{out}\nstderr:\n{err}", command.get_program());
    };
    Ran { code: status.code().unwrap_or(-1), out, err }
}

/// The most memory that a process has had at one time, in octets.
pub fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn read_all(stream: &mut impl Read) -> String {
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets);
    String::from_utf8_lossy(&octets).into_owned()
}

/// The Python interpreter that has what the tests import; `cargo xtask test` prepares it.
pub fn python() -> PathBuf {
    std::env::var_os("MAILSTEAD_TEST_PYTHON").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/e2e-python/bin/python"),
        PathBuf::from,
    )
}
