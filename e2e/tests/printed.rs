//! The lines that `localserve` prints for copying: each works as printed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use mailstead_e2e::{binary, run};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn copied_lines_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("data");
    let mut child = Command::new(binary())
        .args(["localserve", "--ports", "any", "--dir"])
        .arg(&directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let stdout = child.stdout.take().expect("stdout is piped");
    let running = Running(child);
    let mut printed = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.expect("a line");
        let last = line.starts_with("Stop it");
        printed.push(line);
        if last {
            break;
        }
    }
    let programs = ["swaks ", "printf ", "curl ", "mbsync "];
    let lines: Vec<&str> = printed
        .iter()
        .map(|line| line.trim())
        .filter(|line| programs.iter().any(|program| line.starts_with(program)))
        .collect();
    for program in programs {
        assert!(lines.iter().any(|line| line.starts_with(program)), "nothing to copy for {program}: {printed:#?}");
    }
    for line in &lines {
        let ran = run(Command::new("sh").args(["-c", line]));
        assert_eq!(ran.code, 0, "{line}\n{}", ran.text());
        if line.starts_with("curl ") {
            assert!(ran.out.contains("Subject: "), "{line}\n{}", ran.text());
        }
    }
    let mirrored = run(Command::new("find").arg(&directory).args(["-path", "*/INBOX/new/*", "-type", "f"]));
    let mirrored = mirrored.out.lines().count()
        + run(Command::new("find").arg(&directory).args(["-path", "*/INBOX/cur/*", "-type", "f"])).out.lines().count();
    assert!(mirrored >= 2, "mbsync mirrored what the other lines sent");

    let stop = printed.last().and_then(|line| line.split_once("with: mailstead ")).expect("how to stop it").1;
    run(Command::new(binary()).args(stop.split(' '))).success();
    drop(running);
}
