//! Figures as they are told: lines for people, or one JSON array.

use std::process::ExitCode;

use serde_json::{Value, json};

/// Figures in the order in which they were measured, each with its unit in its name.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<(String, Value)>);

impl Figures {
    /// Adds a figure. One that belongs to the figure before it begins with two spaces.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    #[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            // A figure that belongs to another is of no use without its name.
            let mut rows = Vec::new();
            let mut whole = "";
            for (name, value) in &self.0 {
                // A part is of no use without the name of what it belongs to.
                rows.push(match name.strip_prefix("  ") {
                    Some(part) => json!({ "figure": part, "of": whole, "value": value }),
                    None => json!({ "figure": name, "value": value }),
                });
                if !name.starts_with("  ") {
                    whole = name;
                }
            }
            println!("{}", Value::Array(rows));
        } else {
            for (name, value) in &self.0 {
                println!("{name:<72} {:>10}", value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
            }
        }
    }
}

/// What a benchmark ends with.
pub(crate) fn ended(outcome: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "measuring takes minutes: say what is going on")]
pub(crate) fn progress(what: &str) {
    eprintln!("bench: {what}");
}
