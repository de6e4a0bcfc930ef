//! The outside suites of `conformance/`: fetched by name, and run as far as they, and what they drive, could be fetched.

use mailstead_conformance::PUBLISHED;

use crate::process::step;
use crate::{Outcome, debian, python, test};

pub(crate) fn run(skipped: &mut Vec<String>) -> Outcome {
    let mut tests = test::runner();
    tests.args(["--package", "mailstead-conformance", "--lib"]);
    for published in PUBLISHED {
        match python::with_pip().and_then(|python| published.locate(python.as_os_str())) {
            Ok(file) => {
                tests.args(["--test", published.suite]).env(published.variable, file);
            }
            Err(reason) => skipped.push(format!("conformance suite {}: {reason}", published.suite)),
        }
    }
    for (suite, _) in debian::CONFORMANCE {
        match debian::lacking(suite).map_or_else(python::environment, Err) {
            Ok(interpreter) => {
                tests.args(["--test", suite]).env("MAILSTEAD_TEST_PYTHON", interpreter);
            }
            Err(reason) => skipped.push(format!("conformance suite {suite}: {reason}")),
        }
    }
    step("conformance", &mut tests)
}
