//! SIGKILL does not test the disk, so this does: under strace, whatever was written to a database's log or to a
//! message's file was synchronised before the reply of success went out.

use std::collections::BTreeMap;
use std::fs;

use mailstead_e2e::{Server, USER};

/// System calls that write, synchronise, name or answer.
const CALLS: &str = "trace=openat,open,rename,renameat,renameat2,link,linkat,pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync";

fn traced(trace: &std::path::Path) -> Server {
    let file = trace.to_str().expect("a path");
    Server::start_with(&["strace", "-f", "-y", "-s", "512", "-o", file, "-e", CALLS, "--"], &[])
}

/// A line of strace's: the call's name, its arguments, and the path behind its first descriptor.
struct Call<'a> {
    name: &'a str,
    rest: &'a str,
}

impl<'a> Call<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (_, call) = line.split_once(' ')?;
        let (name, rest) = call.trim_start().split_once('(')?;
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(Self { name, rest })
    }

    fn path(&self) -> Option<&'a str> {
        let (_, path) = self.rest.split_once('<')?;
        Some(path.split_once('>')?.0)
    }
}

/// What the trace says of one connection's replies.
#[derive(Default)]
struct Findings {
    replies: usize,
    synchronised_before: usize,
    wrong: Vec<String>,
}

/// Walks the trace. `data` is the server's directory; a reply that contains `mark` promises that all is on disk.
fn judge(trace: &str, data: &str, mark: &str) -> Findings {
    let mut dirty = BTreeMap::<String, usize>::new();
    let mut synchronised = 0;
    let mut findings = Findings::default();
    for (number, line) in whole_calls(trace).iter().enumerate() {
        let Some(call) = Call::parse(line) else { continue };
        let path = call.path();
        let ours = path.is_some_and(|path| path.starts_with(data));
        match call.name {
            "pwrite64" | "pwritev" | "write" | "writev" if ours => {
                let path = path.unwrap_or_default();
                // The shared-memory file and the pages of a checkpoint are rebuilt from the log.
                if path.ends_with("-wal") || path.contains("/blobs/") || path.contains("/spool/") {
                    dirty.insert(path.to_owned(), number);
                }
            }
            "fsync" | "fdatasync" if ours && !line.contains("= -1") => {
                dirty.remove(path.unwrap_or_default());
                synchronised += 1;
            }
            "write" | "writev" | "sendto" | "sendmsg" if call.rest.contains(mark) => {
                findings.replies += 1;
                if synchronised > 0 {
                    findings.synchronised_before += 1;
                }
                synchronised = 0;
                for (path, since) in &dirty {
                    findings.wrong.push(format!("line {number}: {line}\n  but {path} is dirty since line {since}"));
                }
            }
            _ => {}
        }
    }
    findings
}

/// Joins calls that strace shows in two parts because another thread came between. A call counts when it ends, but a
/// reply counts when it begins.
fn whole_calls(trace: &str) -> Vec<String> {
    let mut open = BTreeMap::<&str, String>::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        if let Some(begun) = line.strip_suffix(" <unfinished ...>") {
            if rest.contains("sync(") || rest.contains("datasync(") {
                open.insert(thread, begun.to_owned());
            } else {
                calls.push(begun.to_owned());
            }
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            if let Some(begun) = open.remove(thread) {
                calls.push(begun + end);
            }
        } else {
            calls.push(line.to_owned());
        }
    }
    calls
}

fn assert_ordered(trace: &std::path::Path, server: &Server, mark: &str, replies: usize) {
    let text = fs::read_to_string(trace).expect("the trace");
    let data = server.directory().canonicalize().expect("the directory");
    let findings = judge(&text, data.to_str().expect("a path"), mark);
    assert!(findings.wrong.is_empty(), "{}", findings.wrong.join("\n"));
    assert_eq!(findings.replies, replies, "every reply was seen");
    assert_eq!(findings.synchronised_before, replies, "something was synchronised before every reply");
}

#[test]
fn messages_are_on_disk_before_250() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let mut server = traced(&trace);
    let mut smtp = server.smtp("smtp");
    smtp.hello();
    for (number, length) in [100, 5_000, 200_000, 2_000_000, 300].into_iter().enumerate() {
        let body = format!("{}\r\n", "y".repeat(70)).repeat(length / 72 + 1);
        let message = format!("From: <a@example.org>\r\nSubject: durable {number}\r\n\r\n{body}");
        let reply = smtp.send("a@example.org", &[USER], &message).expect("a reply");
        assert!(reply.starts_with("250 2.2.0"), "{reply}");
    }
    drop(smtp);
    server.stop();
    assert_ordered(&trace, &server, "\"250 2.2.0", 5);
}

#[test]
fn flags_are_on_disk_before_ok() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let mut server = traced(&trace);
    server.deliver("one", "text");
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    for number in 0..5 {
        imap.write(format!("durable STORE 1 +FLAGS.SILENT (k{number})\r\n").as_bytes()).expect("sent");
        while !imap.response().expect("a response").starts_with("durable OK") {}
    }
    drop(imap);
    server.stop();
    assert_ordered(&trace, &server, "durable OK", 5);
}

#[test]
fn the_judge_sees_a_reply_that_came_too_early() {
    let early = "1 pwrite64(9</data/a.db-wal>, \"x\", 1, 0) = 1\n\
                 2 sendto(7<socket:[1]>, \"250 2.2.0 done\", 14, 0, NULL, 0) = 14\n\
                 1 fdatasync(9</data/a.db-wal>) = 0\n";
    assert_eq!(judge(early, "/data", "\"250 2.2.0").wrong.len(), 1);
    let unfinished = "1 pwrite64(9</data/a.db-wal>, \"x\", 1, 0) = 1\n\
                      1 fdatasync(9</data/a.db-wal> <unfinished ...>\n\
                      2 sendto(7<socket:[1]>, \"250 2.2.0 done\", 14, 0, NULL, 0) = 14\n\
                      1 <... fdatasync resumed>) = 0\n";
    assert_eq!(judge(unfinished, "/data", "\"250 2.2.0").wrong.len(), 1);
    let right = "1 pwrite64(9</data/a.db-wal>, \"x\", 1, 0) = 1\n\
                 1 fdatasync(9</data/a.db-wal> <unfinished ...>\n\
                 1 <... fdatasync resumed>) = 0\n\
                 2 sendto(7<socket:[1]>, \"250 2.2.0 done\", 14, 0, NULL, 0) = 14\n";
    let findings = judge(right, "/data", "\"250 2.2.0");
    assert_eq!((findings.wrong.len(), findings.replies, findings.synchronised_before), (0, 1, 1));
}
