//! SPF records and checks (RFC 7208).

use mailstead_dns::{Existence, Txt};
use mailstead_mailauth::Evidence;
use mailstead_mailauth::spf::{Query, Record, SyntaxError, Verdict, check_host};
use mailstead_names::Domain;
use serde_json::json;

use super::options::SpfCommand;
use super::{Finding, count, ehlo_name, now, resolver};
use crate::failure::Failure;

/// `mailstead spf`.
pub(crate) async fn run(command: SpfCommand) -> Result<(), Failure> {
    match command {
        SpfCommand::Lookup { domain, asking } => {
            let resolver = resolver(&asking.source).await?;
            let mut evidence = Evidence::default();
            let answer = evidence.records::<Txt>(&resolver, &domain).await;
            let texts = answer.map(|answer| {
                let texts = answer.records.iter().map(Txt::joined);
                let texts: Vec<_> = texts.filter(|text| Record::has_version(text)).collect();
                (answer.existence, texts)
            });
            match texts {
                Ok((existence, texts)) => looked_up(&domain, existence, &texts, &evidence).show(asking.json),
                Err(error) => {
                    no_answer(&domain, &evidence).show(asking.json)?;
                    Err(Failure::new(error.to_string()))
                }
            }
        }
        SpfCommand::Parse { text, json } => match parsed(&text) {
            Ok(finding) => finding.show(json),
            Err(error) => {
                if json {
                    let mut finding = Finding::new("");
                    finding.put("error", error_json(&error));
                    finding.show(json)?;
                }
                Err(Failure::new(format!("no valid SPF record: {error}")))
            }
        },
        SpfCommand::Check { ip, mail_from, helo, asking } => {
            let ehlo = ehlo_name(helo, ip, &mail_from)?;
            let resolver = resolver(&asking.source).await?;
            let query = Query::mail_from(ip, &mail_from, &ehlo, now());
            checked(&query, &check_host(&resolver, &query).await).show(asking.json)
        }
    }
}

fn no_answer(domain: &Domain, evidence: &Evidence) -> Finding {
    let mut finding = Finding::result("temperror", &format!("SPF record of {domain}"), evidence.authenticity());
    finding.put("domain", json!(domain.as_ascii()));
    finding.evidence(evidence);
    finding
}

/// What a domain publishes; `texts` are its SPF records.
fn looked_up(domain: &Domain, existence: Existence, texts: &[Vec<u8>], evidence: &Evidence) -> Finding {
    let records: Vec<_> = texts.iter().map(Record::parse).collect();
    let (result, reason) = match records.as_slice() {
        [] if existence == Existence::NxDomain => ("none", Some("the domain does not exist".to_owned())),
        [] => ("none", Some("the domain has no SPF record".to_owned())),
        [Ok(_)] => ("valid", None),
        [Err(error)] => ("permerror", Some(format!("syntax error: {error}"))),
        // §4.5
        several => ("permerror", Some(format!("{}, where only one may be", count(several.len(), "SPF record")))),
    };
    let mut finding = Finding::result(result, &format!("SPF record of {domain}"), evidence.authenticity());
    finding.put("domain", json!(domain.as_ascii()));
    finding.reasons(reason);
    let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
    for text in &texts {
        finding.line(format_args!("record: {text}"));
    }
    finding.put("records", json!(texts));
    if let [Ok(record)] = records.as_slice() {
        parts(&mut finding, record);
    }
    finding.evidence(evidence);
    finding
}

fn parsed(text: &str) -> Result<Finding, SyntaxError> {
    let record = Record::parse(text)?;
    let mut finding = Finding::new(record.to_string());
    finding.put("record", json!(record.to_string()));
    parts(&mut finding, &record);
    Ok(finding)
}

/// The parts of a record, in the order in which they count.
fn parts(finding: &mut Finding, record: &Record) {
    let mut directives = Vec::new();
    for directive in &record.directives {
        let (result, mechanism) = (directive.qualifier.result(), directive.mechanism.to_string());
        finding.line(format_args!("{result} if {mechanism}"));
        directives.push(json!({ "result": result.as_str(), "mechanism": mechanism }));
    }
    if let Some(redirect) = &record.redirect {
        finding.line(format_args!("otherwise the record of {redirect}"));
    }
    if let Some(explanation) = &record.explanation {
        finding.line(format_args!("failures are explained at {explanation}"));
    }
    let unknown: Vec<String> = record.unknown.iter().map(|(name, value)| format!("{name}={value}")).collect();
    for modifier in &unknown {
        finding.line(format_args!("ignored: {modifier}"));
    }
    finding.put(
        "parsed",
        json!({
            "directives": directives,
            "redirect": record.redirect.as_ref().map(ToString::to_string),
            "exp": record.explanation.as_ref().map(ToString::to_string),
            "unknown": unknown,
        }),
    );
}

fn error_json(error: &SyntaxError) -> serde_json::Value {
    json!({ "term": error.term, "detail": error.kind.to_string() })
}

/// What came of a check.
pub(super) fn checked(query: &Query, verdict: &Verdict) -> Finding {
    let about = format!("{} ({}) from {}", verdict.mailbox, verdict.identity, query.ip());
    let mut finding = Finding::result(verdict.result.as_str(), &about, verdict.authenticity);
    finding.put("ip", json!(query.ip().to_string()));
    finding.put("identity", json!(verdict.identity.as_str()));
    finding.put("mailbox", json!(verdict.mailbox));
    finding.put("domain", json!(verdict.domain.as_ref().map(Domain::as_ascii)));
    finding.put("mechanism", json!(verdict.mechanism()));
    finding.reasons([verdict.reason.to_string()]);
    if let Some(explanation) = &verdict.explanation {
        finding.line(format_args!("{} explains: {}", explanation.domain, explanation.text));
        finding.put("explanation", json!({ "domain": explanation.domain.as_ascii(), "text": explanation.text }));
    }
    finding.evidence(&verdict.evidence);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_in_parts() {
        let finding = parsed("v=spf1  +MX a:%{d}.example/24 ~ip6:2001:db8::/32 exp=why.example.org x=y ?all").unwrap();
        assert_eq!(
            finding.text,
            "v=spf1 mx a:%{d}.example/24 ~ip6:2001:db8::/32 ?all exp=why.example.org x=y\n  pass if mx\n  \
             pass if a:%{d}.example/24\n  softfail if ip6:2001:db8::/32\n  neutral if all\n  \
             failures are explained at why.example.org\n  ignored: x=y"
        );
        assert_eq!(finding.json["parsed"]["directives"][2]["result"], "softfail");
    }

    #[test]
    fn what_is_no_record_says_which_term() {
        let error = parsed("v=spf1 a:192.0.2.1 -all").unwrap_err();
        assert!(error.to_string().starts_with("a:192.0.2.1: the last label of a domain is not a number"), "{error}");
        assert_eq!(error_json(&error)["term"], "a:192.0.2.1");
        assert_eq!(parsed("v=DMARC1").unwrap_err().to_string(), "not an SPF record");
    }

    #[test]
    fn what_a_domain_publishes() {
        let domain = Domain::parse("example.org").unwrap();
        let result = |texts: &[&[u8]]| {
            let texts: Vec<_> = texts.iter().map(|text| text.to_vec()).collect();
            looked_up(&domain, Existence::Found, &texts, &Evidence::default()).text
        };
        assert_eq!(
            result(&[]),
            "none: SPF record of example.org, without dnssec\n  reason: the domain has no SPF record"
        );
        assert!(result(&[b"v=spf1 -all", b"v=spf1 +all"]).contains("reason: 2 SPF records, where only one may be"));
        assert!(result(&[b"v=spf1 ipv4:192.0.2.1"]).contains("syntax error: ipv4:192.0.2.1: unknown mechanism"));
        assert!(result(&[b"v=spf1 -all"]).starts_with("valid: "));
    }
}
