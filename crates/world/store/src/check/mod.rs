//! `store check`: does everything that is kept twice agree?
//!
//! Counts against rows, sizes against octets, modseqs against their limits, threads against the messages'
//! own words, the index against their text, references against bodies, bodies against files. The checks
//! that one statement can make are a table in `rules`; those that read messages are in `contents`. The
//! result is data; a file that no row names is not a problem but an orphan, left by a crash and reclaimable.

mod contents;
mod rules;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

use crate::accounts::Account;
use crate::error::{Error, Result};
use crate::sql::{Dialect, params};
use crate::store::Store;
use crate::transaction::{Read, Write};

use contents::check_contents;
use rules::check_rows;

/// How much to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// Rows and the sizes of files: a few statements for each account.
    Rows,
    /// Besides, every message is read and analysed anew.
    #[default]
    Contents,
}

/// What to do about files that no row names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Orphans {
    /// List them.
    #[default]
    Report,
    /// List and remove them.
    Remove,
}

/// What does not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Area {
    /// Counts of mailboxes.
    Counts,
    /// UIDs, UIDNEXT, UIDVALIDITY.
    Uids,
    /// Modification sequences.
    Modseqs,
    /// Rows that belong to others which are missing.
    Rows,
    /// Sizes of messages.
    Sizes,
    /// Stored structure and preview.
    Structure,
    /// Threads.
    Threads,
    /// The full-text index.
    Index,
    /// Bodies and their references.
    Bodies,
    /// Storage in use.
    Quota,
    /// The outgoing queue.
    Queue,
    /// The database's own checks.
    Database,
}

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the account; `None` for what belongs to the server.
    pub account: Option<String>,
    /// What kind.
    pub area: Area,
    /// In words.
    pub detail: String,
}

/// A file that no row names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// Name of the account; `None` for the server's.
    pub account: Option<String>,
    /// Name of the file.
    pub file: String,
    /// Its size in octets.
    pub size: u64,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CheckReport {
    /// Accounts looked at.
    pub accounts: u64,
    /// Messages in them.
    pub messages: u64,
    /// What does not agree.
    pub problems: Vec<Problem>,
    /// Files that no row names.
    pub orphans: Vec<Orphan>,
    /// Whether the orphans were removed.
    pub orphans_removed: bool,
}

impl CheckReport {
    /// Whether everything agrees. Orphans do not count.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The owner in front of a line: `you: ` or nothing.
fn of(account: Option<&str>) -> String {
    account.map(|account| format!("{account}: ")).unwrap_or_default()
}

fn counted(count: u64, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{}{}", of(problem.account.as_deref()), problem.detail)?;
        }
        let state = if self.orphans_removed { "removed" } else { "reclaimable" };
        for Orphan { account, file, size } in &self.orphans {
            writeln!(f, "{}file {file} with {size} octets belongs to nothing ({state})", of(account.as_deref()))?;
        }
        let problems = counted(self.problems.len() as u64, "problem");
        write!(f, "{}, {}, {problems}", counted(self.accounts, "account"), counted(self.messages, "message"))
    }
}

/// What is found in one account or in the server's own tables.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    messages: u64,
    problems: Vec<(Area, String)>,
    orphans: Vec<(String, u64)>,
}

impl Findings {
    pub(crate) fn add(&mut self, area: Area, detail: impl Into<String>) {
        self.problems.push((area, detail.into()));
    }

    /// Damage that ended a check is a finding, and the next check goes on.
    fn note(&mut self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(Error::Corrupt(detail)) => {
                self.add(Area::Rows, detail);
                Ok(())
            }
            other => other,
        }
    }
}

impl Store {
    /// Checks that everything agrees, while the store is in use.
    pub async fn check(&self, depth: Depth, orphans: Orphans) -> Result<CheckReport> {
        let mut report = CheckReport { orphans_removed: orphans == Orphans::Remove, ..CheckReport::default() };
        let server = self.server_read(check_server).await?;
        report.add(None, server);
        if orphans == Orphans::Remove {
            self.server_write(remove_orphans).await?;
        }
        for account in self.accounts().await? {
            let findings = match account.check(depth).await {
                // Removed meanwhile.
                Err(Error::NoAccount) => continue,
                findings => findings?,
            };
            if orphans == Orphans::Remove {
                account.write(remove_orphans).await?;
            }
            report.accounts += 1;
            report.add(Some(account.name()), findings);
        }
        Ok(report)
    }
}

impl Account {
    async fn check(&self, depth: Depth) -> Result<Findings> {
        self.read(move |read| {
            let mut findings = Findings::default();
            let checks: &[fn(&Read<'_>, &mut Findings) -> Result<()>] = match depth {
                Depth::Rows => &[check_rows, check_files],
                Depth::Contents => &[check_rows, check_files, check_database, check_contents],
            };
            for check in checks {
                let outcome = check(read, &mut findings);
                findings.note(outcome)?;
            }
            Ok(findings)
        })
        .await
    }
}

impl CheckReport {
    fn add(&mut self, account: Option<&str>, findings: Findings) {
        let Findings { messages, problems, orphans } = findings;
        self.messages += messages;
        let named = |(area, detail)| Problem { account: account.map(str::to_owned), area, detail };
        self.problems.extend(problems.into_iter().map(named));
        let named = |(file, size)| Orphan { account: account.map(str::to_owned), file, size };
        self.orphans.extend(orphans.into_iter().map(named));
    }
}

fn check_server(read: &Read<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    rules::apply(read, rules::SERVER, &mut findings)?;
    rules::apply(read, &rules::refused(), &mut findings)?;
    rules::apply(read, &rules::bodies("queue_messages", "true"), &mut findings)?;
    check_files(read, &mut findings)?;
    Ok(findings)
}

/// Bodies that should be files, against the files. A file that is there and not named is an orphan.
fn check_files(read: &Read<'_>, findings: &mut Findings) -> Result<()> {
    let account = read.account_id();
    let mut files: HashMap<String, u64> = read.files().list(account)?.into_iter().collect();
    let sql = "select file, size from blobs where account_id = $1 and file is not null";
    let named = read.sql().rows(sql, params![account], |row| Ok((row.get::<String>(0)?, row.get::<u64>(1)?)))?;
    for (name, size) in named {
        match files.remove(&name) {
            None => findings.add(Area::Bodies, format!("file {name} is missing")),
            Some(real) if real != size => {
                findings.add(Area::Bodies, format!("file {name} has {real} octets instead of {size}"));
            }
            Some(_) => {}
        }
    }
    findings.orphans.extend(files);
    findings.orphans.sort();
    Ok(())
}

/// What the engine itself can tell.
fn check_database(read: &Read<'_>, findings: &mut Findings) -> Result<()> {
    if read.sql().dialect() == Dialect::Sqlite {
        for line in read.sql().rows("pragma integrity_check(20)", &[], |row| row.get::<String>(0))? {
            if line != "ok" {
                findings.add(Area::Database, line);
            }
        }
    }
    Ok(())
}

/// Within a write transaction: a body that is being stored has its row by then, or no file yet.
fn remove_orphans(write: &mut Write<'_>) -> Result<()> {
    let account = write.account_id();
    let sql = "select file from blobs where account_id = $1 and file is not null";
    let named: HashSet<String> = write.sql().rows(sql, params![account], |row| row.get(0))?.into_iter().collect();
    for (file, _) in write.files().list(account)? {
        if !named.contains(&file) {
            write.removed_file(file);
        }
    }
    Ok(())
}
