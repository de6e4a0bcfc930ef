//! Many questions at once, a line each.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use mailstead_dns::RecordType;
use mailstead_names::Domain;
use mailstead_net::resolver::DnsResolver;
use serde_json::json;
use tokio::task::JoinSet;

use super::{look_up, parse};
use crate::cli::print;
use crate::failure::Failure;

/// Questions under way at the same time.
const AT_ONCE: usize = 32;
/// Longest list of questions, in octets.
const MOST_OCTETS: u64 = 64 << 20;

/// A question, or why a line is none.
pub(super) type Line = Result<(Domain, RecordType), NoQuestion>;

/// A line that cannot be asked.
#[derive(Debug)]
pub(super) struct NoQuestion {
    record_type: String,
    name: String,
    reason: String,
}

impl NoQuestion {
    fn shown(&self, json: bool) -> String {
        let NoQuestion { record_type, name, reason } = self;
        if json {
            let error = json!({ "kind": "malformed", "detail": reason });
            json!({ "type": record_type, "name": name, "status": "error", "error": error }).to_string()
        } else {
            format!("{record_type} {name}: not asked, {reason}")
        }
    }
}

/// Lines of a type and a name; `-` is standard input. Empty lines and those that begin with `#` are passed over.
pub(super) fn read(file: &Path) -> Result<Vec<Line>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", file.display()));
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(MOST_OCTETS).read_to_string(&mut text).map_err(failed)?;
    } else {
        std::fs::File::open(file).map_err(failed)?.take(MOST_OCTETS).read_to_string(&mut text).map_err(failed)?;
    }
    let mut questions = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(record_type) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let name = words.next().unwrap_or_default();
        match parse(record_type, name) {
            Ok(parsed) => questions.extend(parsed.into_iter().map(Ok)),
            Err(failure) => questions.push(Err(NoQuestion {
                record_type: record_type.to_owned(),
                name: name.to_owned(),
                reason: failure.to_string(),
            })),
        }
    }
    Ok(questions)
}

/// Answers them in their order, several at a time. A question without an answer is no failure of the whole.
pub(super) async fn run(resolver: &DnsResolver, questions: Vec<Line>, json: bool) -> Result<(), Failure> {
    let mut waiting = questions.into_iter().enumerate();
    let mut under_way = JoinSet::new();
    let mut done = BTreeMap::new();
    let mut next = 0;
    loop {
        while under_way.len() < AT_ONCE
            && let Some((number, line)) = waiting.next()
        {
            let resolver = resolver.clone();
            under_way.spawn(async move {
                let shown = match line {
                    Ok((name, record_type)) => {
                        let report = look_up(&resolver, &name, record_type).await;
                        if json { report.json().to_string() } else { report.text() }
                    }
                    Err(no_question) => no_question.shown(json),
                };
                (number, shown)
            });
        }
        let Some(outcome) = under_way.join_next().await else { return Ok(()) };
        let (number, shown) = outcome.map_err(|error| Failure::new(format!("a look-up ended early: {error}")))?;
        done.insert(number, shown);
        while let Some(shown) = done.remove(&next) {
            print(&shown)?;
            next += 1;
        }
    }
}
