//! The answer to a question, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use mailstead_dns::{
    Answer, Authenticity, Existence, ExtendedError, HopKind, LookupError, LookupErrorKind, Record, RecordType,
};
use mailstead_names::Domain;
use mailstead_net::resolver::Active;
use serde_json::{Map, Value, json};

/// A question with what came of it.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) name: Domain,
    pub(super) record_type: RecordType,
    pub(super) outcome: Result<Answer<Record>, LookupError>,
    pub(super) active: Option<Active>,
    pub(super) took: Duration,
}

/// "with dnssec" or "without dnssec".
pub(crate) fn with_dnssec(authenticity: Authenticity) -> &'static str {
    match authenticity {
        Authenticity::Secure => "with dnssec",
        Authenticity::Insecure => "without dnssec",
    }
}

pub(crate) fn status(authenticity: Authenticity) -> &'static str {
    match authenticity {
        Authenticity::Secure => "secure",
        Authenticity::Insecure => "insecure",
    }
}

pub(super) fn kind(kind: HopKind) -> &'static str {
    match kind {
        HopKind::Cname => "cname",
        HopKind::Dname => "dname",
    }
}

pub(crate) fn error_kind(kind: LookupErrorKind) -> &'static str {
    match kind {
        LookupErrorKind::Bogus => "bogus",
        LookupErrorKind::Timeout => "timeout",
        LookupErrorKind::ServerFailure => "server-failure",
        LookupErrorKind::Refused => "refused",
        LookupErrorKind::Network => "network",
        LookupErrorKind::Malformed => "malformed",
        LookupErrorKind::AliasLoop => "alias-loop",
        LookupErrorKind::NoResolver => "no-resolver",
        LookupErrorKind::WorkLimit => "work-limit",
        _ => "other",
    }
}

pub(super) fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e5).round() / 100.0
}

fn remarks(errors: &[ExtendedError]) -> Value {
    errors.iter().map(|error| json!({ "code": error.code, "words": error.words(), "text": error.text })).collect()
}

impl Report {
    /// The answer as an object. What does not apply is left out.
    pub(super) fn json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("type", json!(self.record_type.to_string()));
        put("name", json!(self.name.as_ascii()));
        match &self.outcome {
            Ok(answer) => {
                put("status", json!(status(answer.authenticity())));
                let existence = match answer.existence {
                    Existence::Found => "found",
                    Existence::NoData => "nodata",
                    Existence::NxDomain => "nxdomain",
                };
                put("existence", json!(existence));
                put("records", answer.records.iter().map(ToString::to_string).collect());
                let hop = |hop: &mailstead_dns::Hop| {
                    json!({
                        "from": hop.from.as_ascii(),
                        "to": hop.to.as_ascii(),
                        "kind": kind(hop.kind),
                        "status": status(hop.authenticity),
                    })
                };
                put("chain", answer.chain.iter().map(hop).collect());
                put("ttl", json!(answer.ttl.as_secs()));
                put("extended_errors", remarks(&answer.extended_errors));
            }
            Err(error) => {
                let word = if error.kind == LookupErrorKind::Bogus { "bogus" } else { "error" };
                put("status", json!(word));
                put("extended_errors", remarks(&error.extended_errors));
                put("error", json!({ "kind": error_kind(error.kind), "detail": error.detail }));
            }
        }
        if let Some(active) = self.active {
            put("mode", json!(active.name()));
        }
        put("elapsed_ms", json!(milliseconds(self.took)));
        Value::Object(object)
    }

    /// The answer in words.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = match &self.outcome {
            Ok(answer) => self.write_answer(&mut text, answer),
            Err(error) => self.write_error(&mut text, error),
        };
        let mode = self.active.map(|active| format!("mode {active}, ")).unwrap_or_default();
        let _ = write!(text, "  ({mode}{} ms)", milliseconds(self.took));
        text
    }

    fn write_answer(&self, text: &mut String, answer: &Answer<Record>) -> std::fmt::Result {
        let count = match (answer.existence, answer.records.len()) {
            (Existence::NxDomain, _) => "no such name".to_owned(),
            (Existence::NoData, _) => "no such records".to_owned(),
            (Existence::Found, 1) => "1 record".to_owned(),
            (Existence::Found, count) => format!("{count} records"),
        };
        writeln!(text, "{} {}: {count}, {}", self.record_type, self.name, with_dnssec(answer.authenticity()))?;
        for hop in &answer.chain {
            let kind = kind(hop.kind).to_uppercase();
            writeln!(text, "  {} is an alias of {} ({kind}), {}", hop.from, hop.to, with_dnssec(hop.authenticity))?;
        }
        if !answer.chain.is_empty() && answer.authenticity() != answer.record_authenticity {
            writeln!(
                text,
                "  what {} has is {}",
                answer.final_name(&self.name),
                with_dnssec(answer.record_authenticity)
            )?;
        }
        for record in &answer.records {
            writeln!(text, "  {record}")?;
        }
        for error in &answer.extended_errors {
            writeln!(text, "  note: {error}")?;
        }
        writeln!(text, "  may be kept for {} s", answer.ttl.as_secs())
    }

    fn write_error(&self, text: &mut String, error: &LookupError) -> std::fmt::Result {
        writeln!(text, "{} {}: no answer, {}", self.record_type, self.name, error.kind)?;
        if !error.detail.is_empty() {
            writeln!(text, "  {}", error.detail)?;
        }
        for extended in &error.extended_errors {
            // Our own findings say in their text what the detail says.
            if extended.text != error.detail {
                writeln!(text, "  note: {extended}")?;
            } else {
                writeln!(text, "  note: {} (extended error {})", extended.words(), extended.code)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mailstead_dns::{Hop, Mx, Target};

    use super::*;

    fn report(outcome: Result<Answer<Record>, LookupError>) -> Report {
        Report {
            name: Domain::parse("example.org").unwrap(),
            record_type: RecordType::Mx,
            outcome,
            active: Some(Active::Validate),
            took: Duration::from_micros(12_345),
        }
    }

    #[test]
    fn an_answer_through_an_unsigned_alias() {
        let mx = Record::Mx(Mx { preference: 10, exchange: Target::parse("mx.example.net") });
        let mut answer = Answer::found(vec![mx], Authenticity::Secure, Duration::from_secs(300));
        answer.chain.push(Hop {
            from: Domain::parse("example.org").unwrap(),
            to: Domain::parse("example.net").unwrap(),
            kind: HopKind::Cname,
            authenticity: Authenticity::Insecure,
        });
        let report = report(Ok(answer));
        insta::assert_snapshot!(report.text());
        insta::assert_snapshot!(report.json().to_string());
    }

    #[test]
    fn a_failure_says_why() {
        let name = Domain::parse("example.org").unwrap();
        let detail = "the signature over the MX records of example.org. expired 3 days ago";
        let error = LookupError {
            extended_errors: vec![ExtendedError { code: 7, text: detail.to_owned() }],
            ..LookupError::new(LookupErrorKind::Bogus, &name, RecordType::Mx).with_detail(detail)
        };
        let report = report(Err(error));
        insta::assert_snapshot!(report.text());
        insta::assert_snapshot!(report.json().to_string());
    }
}
