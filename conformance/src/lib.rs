//! Outside test suites, and how far we agree with them.
//!
//! Each suite is a test in `tests/`. A case with which we do not agree stands in the suite's list of divergences, with
//! the reason. The test fails when an unlisted case fails, when a listed one passes, and when a listed one does not
//! exist, so that the list is always true. Suites are not kept in the repository: they are fetched by name from where
//! their authors publish them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The outcomes of a suite.
#[derive(Debug)]
pub struct Suite {
    name: &'static str,
    divergences: &'static [Divergence],
    passed: BTreeSet<String>,
    failed: Vec<(String, String)>,
}

/// A case with which we do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Divergence {
    /// The name that the suite gives it.
    pub case: &'static str,
    /// Why we do not agree.
    pub reason: &'static str,
}

impl Suite {
    /// A suite of which nothing was run yet.
    #[must_use]
    pub fn new(name: &'static str, divergences: &'static [Divergence]) -> Suite {
        Suite { name, divergences, passed: BTreeSet::new(), failed: Vec::new() }
    }

    /// Takes the outcome of a case: nothing, or in what it differs from what the suite wants.
    ///
    /// # Panics
    /// When there was already a case of this name: one of them would be lost.
    pub fn record(&mut self, case: &str, outcome: Result<(), String>) {
        let is_known = self.passed.contains(case) || self.failed.iter().any(|(known, _)| known == case);
        assert!(!is_known, "{}: {case} was run twice", self.name);
        match outcome {
            Ok(()) => {
                self.passed.insert(case.to_owned());
            }
            Err(difference) => self.failed.push((case.to_owned(), difference)),
        }
    }

    /// What does not fit the list of divergences; empty when all does.
    fn disagreements(&self) -> String {
        let mut told = String::new();
        let listed = |case: &str| self.divergences.iter().any(|divergence| divergence.case == case);
        for (case, difference) in self.failed.iter().filter(|(case, _)| !listed(case)) {
            // Writing to a string cannot fail.
            let _ = writeln!(told, "{case}: {difference}");
        }
        for Divergence { case, .. } in self.divergences {
            if self.passed.contains(*case) {
                let _ = writeln!(told, "{case} is listed as a divergence but passes: take it off the list");
            } else if !self.failed.iter().any(|(failed, _)| failed == case) {
                let _ = writeln!(told, "{case} is listed as a divergence but does not exist");
            }
        }
        told
    }

    /// Ends the suite, which must have had this many cases: fewer would be cases that nobody ran.
    ///
    /// # Panics
    /// When outcomes and divergences do not fit together.
    pub fn finish(self, cases: usize) {
        let told = self.disagreements();
        assert!(told.is_empty(), "{}:\n{told}", self.name);
        assert_eq!(self.passed.len() + self.failed.len(), cases, "cases of {}", self.name);
    }
}

/// A file of a suite that PyPI has in the source archive of a package.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// The test that reads it.
    pub suite: &'static str,
    /// Holds the path of the file, where somebody has fetched it already.
    pub variable: &'static str,
    /// The package with its version, as pip wants it.
    pub package: &'static str,
    /// The name of the file in the archive, without folders.
    pub file: &'static str,
}

/// The suite of openspf.org for RFC 7208.
pub const OPENSPF: Published = Published {
    suite: "openspf",
    variable: "MAILSTEAD_TEST_OPENSPF",
    package: "pyspf==2.0.14",
    file: "rfc7208-tests.yml",
};

/// Every suite that must be fetched before it can run.
pub const PUBLISHED: &[Published] = &[OPENSPF];

impl Published {
    /// The file: the one that the environment names, or one below `target/`, where this Python's pip puts it when it is
    /// not there.
    ///
    /// # Errors
    /// When it cannot be fetched, in words.
    pub fn locate(&self, python: &OsStr) -> Result<PathBuf, String> {
        if let Some(path) = std::env::var_os(self.variable) {
            return Ok(path.into());
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = here.join("../target/conformance").join(self.file);
        if file.is_file() {
            return Ok(file);
        }
        let mut fetch = Command::new(python);
        fetch.arg(here.join("fetch.py")).args([self.package, self.file]).arg(&file);
        let hint = format!("{} may hold the path of {}", self.variable, self.file);
        let output = fetch.output().map_err(|error| format!("cannot run {}: {error}; {hint}", python.display()))?;
        if output.status.success() {
            return Ok(file);
        }
        Err(format!("{}: {}; {hint}", self.package, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIVERGENCES: &[Divergence] = &[Divergence { case: "odd", reason: "none" }];

    fn suite(outcomes: &[(&str, bool)]) -> Suite {
        let mut suite = Suite::new("test", DIVERGENCES);
        for (case, passes) in outcomes {
            suite.record(case, if *passes { Ok(()) } else { Err("differs".into()) });
        }
        suite
    }

    #[test]
    fn the_list_must_be_true() {
        suite(&[("even", true), ("odd", false)]).finish(2);
        assert_eq!(suite(&[("even", false), ("odd", false)]).disagreements(), "even: differs\n");
        let passes = "odd is listed as a divergence but passes: take it off the list\n";
        assert_eq!(suite(&[("even", true), ("odd", true)]).disagreements(), passes);
        assert_eq!(suite(&[("even", true)]).disagreements(), "odd is listed as a divergence but does not exist\n");
    }

    #[test]
    #[should_panic(expected = "cases of test")]
    fn cases_that_are_not_run_are_missed() {
        suite(&[("even", true), ("odd", false)]).finish(3);
    }

    #[test]
    #[should_panic(expected = "run twice")]
    fn names_are_unique() {
        let _ = suite(&[("odd", true), ("odd", false)]);
    }
}
