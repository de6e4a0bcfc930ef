//! Mistakes in the configuration, shown where they are.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A place in the file, both numbers from 1. The column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Position {
    /// The position of an octet offset.
    fn of(source: &str, offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// The line, unless it may hold a secret, and how many of its characters are meant.
    excerpt: Option<(String, usize)>,
}

impl Diagnostic {
    pub(crate) fn new(source: &str, span: &Range<usize>, message: String, advice: String) -> Self {
        let position = Position::of(source, span.start);
        let line = source.lines().nth(position.line - 1).unwrap_or_default().trim_end();
        let meant = source.get(span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        let excerpt =
            (!span.is_empty() && !may_hold_secret(line)).then(|| (line.to_owned(), meant.chars().count().max(1)));
        Diagnostic { position, message, advice, excerpt }
    }
}

/// Error messages end up in logs.
fn may_hold_secret(line: &str) -> bool {
    ["url", "://", "password"].iter().any(|sign| line.contains(sign))
}

/// Every mistake found in one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: PathBuf,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(file: &Path, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|diagnostic| diagnostic.position);
        Diagnostics { file: file.to_owned(), list }
    }

    /// The mistakes.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Diagnostic { position, message, advice, excerpt }) in self.list.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{}:{}: {message}", self.file.display(), position.line, position.column)?;
            if let Some((line, length)) = excerpt {
                let margin = position.line.to_string().len();
                let blank: String =
                    line.chars().take(position.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                write!(f, "\n  {} | {line}\n  {:margin$} | {blank}{}", position.line, "", "^".repeat(*length))?;
            }
            write!(f, "\n  {advice}")?;
        }
        Ok(())
    }
}
