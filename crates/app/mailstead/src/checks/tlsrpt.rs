//! TLSRPT records and TLS reports (RFC 8460).

use std::path::Path;

use mailstead_dns::{LookupError, Resolver};
use mailstead_mailauth::Evidence;
use mailstead_message::Structure;
use mailstead_message::text::Transfer;
use mailstead_names::Domain;
use mailstead_tlspolicy::report::{
    FailureDetails, MAX_REPORT, PolicyReport, RECORD_LABELS, Record, RecordError, Report, ResultType,
};
use serde_json::json;

use super::message::Message;
use super::options::transport::TlsrptCommand;
use super::{Finding, count, resolver, texts};
use crate::control;
use crate::failure::Failure;
use crate::files::read_file;
use crate::operations::{Form, Request};

/// Larger messages are not read: their reports would be beyond what the server takes.
const MOST_MESSAGE: usize = 15 * 1000 * 1000;
/// How gzip begins (RFC 1952 §2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// `mailstead tlsrpt`.
pub(crate) async fn run(command: TlsrptCommand) -> Result<(), Failure> {
    match command {
        TlsrptCommand::Lookup { domain, asking } => {
            let resolver = resolver(&asking.source).await?;
            let mut evidence = Evidence::default();
            let found = look_up(&domain, &resolver, &mut evidence).await?;
            looked_up(&domain, &found, &evidence).show(asking.json)?;
            match found {
                Found::Nothing | Found::Record(_) => Ok(()),
                Found::Unknown(error) => Err(Failure::new(error.to_string())),
                Found::Malformed(error) => Err(Failure::new(error.to_string())),
            }
        }
        TlsrptCommand::Parse { file, json } => read_report(file.as_deref())?.show(json),
        TlsrptCommand::Results { domain, day, json, place } => {
            let form = if json { Form::Json } else { Form::Words };
            let domain = domain.map(|domain| domain.as_ascii().to_owned());
            control::run(&place, Request::TlsResults { domain, day, form }).await
        }
    }
}

/// What a domain says.
#[derive(Debug)]
enum Found {
    /// It has no record.
    Nothing,
    /// It is not known whether it has one.
    Unknown(LookupError),
    /// What it has is none.
    Malformed(RecordError),
    /// It has one.
    Record(Record),
}

async fn look_up(domain: &Domain, resolver: &dyn Resolver, evidence: &mut Evidence) -> Result<Found, Failure> {
    let texts = match texts(domain, RECORD_LABELS, resolver, evidence).await? {
        Ok(texts) => texts,
        Err(error) => return Ok(Found::Unknown(error)),
    };
    Ok(match Record::find(texts.iter().map(String::as_str)) {
        Ok(None) => Found::Nothing,
        Ok(Some(record)) => Found::Record(record),
        Err(error) => Found::Malformed(error),
    })
}

fn looked_up(domain: &Domain, found: &Found, evidence: &Evidence) -> Finding {
    let (result, reason) = match found {
        Found::Nothing => ("none", Some("the domain has no TLSRPT record".to_owned())),
        Found::Unknown(_) => ("temperror", None),
        Found::Malformed(error) => ("invalid", Some(error.to_string())),
        Found::Record(_) => ("valid", None),
    };
    let mut finding = Finding::result(result, &format!("TLSRPT record of {domain}"), evidence.authenticity());
    finding.put("domain", json!(domain.as_ascii()));
    finding.reasons(reason);
    let destinations: Vec<String> = match found {
        Found::Record(record) => record.destinations.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    for destination in &destinations {
        finding.line(format_args!("reports go to: {destination}"));
    }
    finding.put("destinations", json!(destinations));
    finding.evidence(evidence);
    finding
}

fn read_report(path: Option<&Path>) -> Result<Finding, Failure> {
    let octets = read_file(path, MAX_REPORT as u64)?;
    report_in(&octets).map(|report| read(&report)).map_err(|reason| match path {
        Some(path) if path != Path::new("-") => Failure::new(format!("{}: {reason}", path.display())),
        _ => Failure::new(format!("standard input: {reason}")),
    })
}

/// The report in a file: all of it, or a part of a message.
fn report_in(octets: &[u8]) -> Result<Report, String> {
    let text = octets.strip_prefix("\u{feff}".as_bytes()).unwrap_or(octets).trim_ascii_start();
    if text.starts_with(b"{") || text.starts_with(GZIP) {
        return Report::read(text).map_err(|error| error.to_string());
    }
    if octets.len() > MOST_MESSAGE {
        return Err(format!("as a message it is longer than {MOST_MESSAGE} octets"));
    }
    let message = Message::new(octets).octets;
    let structure = Structure::scan(&message);
    // RFC 8460 §5.3.
    let of_type = |subtype| structure.root.walk().find(|part| part.content_type.is("application", subtype));
    let Some(part) = of_type("tlsrpt+json").or_else(|| of_type("tlsrpt+gzip")) else {
        return Err(
            "there is no report in it: neither JSON nor a message with a part of type application/tlsrpt+json \
                    or application/tlsrpt+gzip"
                .to_owned(),
        );
    };
    let range = usize::try_from(part.body.start).ok().zip(usize::try_from(part.body.end).ok());
    let body = range.and_then(|(start, end)| message.get(start..end)).unwrap_or_default();
    let (mut transfer, mut content) = (Transfer::new(part.transfer_encoding()), Vec::new());
    transfer.decode(body, &mut content);
    transfer.finish(&mut content);
    Report::read(&content).map_err(|error| error.to_string())
}

/// What a report says.
fn read(report: &Report) -> Finding {
    let sum = |count: fn(&PolicyReport) -> u64| report.policies.iter().map(count).fold(0, u64::saturating_add);
    let successful = sum(|policy| policy.summary.total_successful_session_count);
    let failed = sum(|policy| policy.summary.total_failure_session_count);
    let organization = if report.organization_name.is_empty() { "nobody" } else { &report.organization_name };
    let mut finding = Finding::new(format!(
        "TLS report of {}: {} succeeded, {failed} failed",
        one_line(organization),
        sessions(successful)
    ));
    finding.line(format_args!("from {} to {}", report.date_range.start_datetime, report.date_range.end_datetime));
    finding.line(format_args!("report id: {}", one_line(&report.report_id)));
    if !report.contact_info.is_empty() {
        finding.line(format_args!("contact: {}", one_line(&report.contact_info)));
    }
    for policy in &report.policies {
        policy_lines(&mut finding, policy);
    }
    finding.put("successful", json!(successful));
    finding.put("failed", json!(failed));
    finding.put("report", json!(report));
    finding
}

fn policy_lines(finding: &mut Finding, report: &PolicyReport) {
    let PolicyReport { policy, summary, failure_details } = report;
    let kind = match policy.policy_type.as_str() {
        "sts" => "MTA-STS policy".to_owned(),
        "tlsa" => "DANE policy".to_owned(),
        "no-policy-found" => "no policy".to_owned(),
        other => format!("policy of the unknown type {}", one_line(other)),
    };
    finding.line(format_args!(
        "{kind} for {}: {} succeeded, {} failed",
        one_line(&policy.policy_domain),
        sessions(summary.total_successful_session_count),
        summary.total_failure_session_count
    ));
    for host in &policy.mx_host {
        finding.line(format_args!("  host: {}", one_line(host)));
    }
    for line in &policy.policy_string {
        finding.line(format_args!("  policy: {}", one_line(line)));
    }
    for details in failure_details {
        finding.line(format_args!("  {}", details_in_words(details)));
        if let Some(information) = &details.additional_information {
            finding.line(format_args!("    more: {}", one_line(information)));
        }
    }
}

/// Such as `2 sessions failed: the certificate had expired (certificate-expired) from 192.0.2.1 to mx.example.org`.
fn details_in_words(details: &FailureDetails) -> String {
    let mut text =
        format!("{} failed: {}", sessions(details.failed_session_count), result_in_words(&details.result_type));
    let code = details.failure_reason_code.as_deref().map(|code| format!(", {}", one_line(code))).unwrap_or_default();
    text.push_str(&format!(" ({}{code})", one_line(&details.result_type)));
    if let Some(from) = &details.sending_mta_ip {
        text.push_str(&format!(" from {}", one_line(from)));
    }
    let host = details.receiving_mx_hostname.as_deref().map(one_line);
    let ip = details.receiving_ip.as_deref().map(one_line);
    match (host, ip) {
        (Some(host), Some(ip)) => text.push_str(&format!(" to {host} ({ip})")),
        (Some(to), None) | (None, Some(to)) => text.push_str(&format!(" to {to}")),
        (None, None) => {}
    }
    if let Some(helo) = &details.receiving_mx_helo {
        text.push_str(&format!(", which calls itself {}", one_line(helo)));
    }
    text
}

/// RFC 8460 §4.3.
fn result_in_words(result_type: &str) -> &'static str {
    const WORDS: [(ResultType, &str); 11] = [
        (ResultType::StartTlsNotSupported, "the server did not offer STARTTLS"),
        (ResultType::CertificateHostMismatch, "the certificate was for another name"),
        (ResultType::CertificateExpired, "the certificate had expired"),
        (ResultType::CertificateNotTrusted, "the certificate was not trusted"),
        (ResultType::ValidationFailure, "TLS failed in another way"),
        (ResultType::TlsaInvalid, "no TLSA record could be used"),
        (ResultType::DnssecInvalid, "DNSSEC did not prove the records"),
        (ResultType::DaneRequired, "the sender wanted DANE, and there were no TLSA records that DNSSEC proves"),
        (ResultType::StsPolicyFetchError, "the MTA-STS policy could not be fetched"),
        (ResultType::StsPolicyInvalid, "the MTA-STS policy was invalid"),
        (ResultType::StsWebpkiInvalid, "the host of the MTA-STS policy had no certificate that is trusted"),
    ];
    let known = WORDS.iter().find(|(known, _)| known.as_str() == result_type);
    known.map_or("for a reason that is not known here", |(_, words)| words)
}

fn sessions(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "session")
}

/// Text of others must not look like lines of ours.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use mailstead_dns::{LookupErrorKind, Record as DnsRecord, RecordType, Txt};
    use mailstead_testkit::Zones;

    use super::*;

    /// With what RFC 8460 Appendix B shows, and more.
    const REPORT: &str = r#"{
      "organization-name": "Company-X",
      "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
      "contact-info": "sts-reporting@company-x.example",
      "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
      "policies": [{
        "policy": {
          "policy-type": "sts",
          "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
          "policy-domain": "company-y.example",
          "mx-host": ["*.mail.company-y.example"]
        },
        "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
        "failure-details": [
          {"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:0012::1",
           "receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100},
          {"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1",
           "receiving-mx-hostname": "mx2.mail.company-y.example", "receiving-ip": "203.0.113.56",
           "failed-session-count": 200, "additional-information": "https://reports.company-x.example/?id=1\nforged"},
          {"result-type": "validation-failure", "sending-mta-ip": "198.51.100.62", "receiving-ip": "203.0.113.58",
           "receiving-mx-helo": "mx-backup", "failed-session-count": 1, "failure-reason-code": "X509_V_ERR_SEMANTICS"},
          {"result-type": "gone-fishing", "failed-session-count": 2}
        ]
      }, {
        "policy": {"policy-type": "no-policy-found", "policy-domain": "company-z.example"},
        "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0}
      }]
    }"#;

    fn message(media_type: &str, encoding: &str, body: &str) -> String {
        format!(
            "From: tlsrpt@company-x.example\nTo: reports@company-y.example\nSubject: Report Domain: company-y.example\n\
             MIME-Version: 1.0\nContent-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"xx\"\n\n\
             --xx\nContent-Type: text/plain\n\nA report.\n--xx\nContent-Type: {media_type}\n\
             Content-Transfer-Encoding: {encoding}\n\n{body}\n--xx--\n"
        )
    }

    #[test]
    fn reports_in_words_and_as_an_object() {
        let finding = read(&report_in(REPORT.as_bytes()).unwrap());
        insta::assert_snapshot!(finding.text);
        assert_eq!((&finding.json["successful"], &finding.json["failed"]), (&json!(5327), &json!(303)));
        let details = &finding.json["report"]["policies"][0]["failure-details"];
        assert_eq!(details[2]["failure-reason-code"], "X509_V_ERR_SEMANTICS");
    }

    #[test]
    fn reports_are_found_in_messages() {
        let expected = report_in(REPORT.as_bytes()).unwrap();
        let plain = message("application/tlsrpt+json", "8bit", REPORT);
        let encoded = |text| message("Application/TLSRPT+json; name=x.json", "base64", text);
        assert_eq!(report_in(plain.as_bytes()).unwrap(), expected);
        assert_eq!(report_in(plain.replace('\n', "\r\n").as_bytes()).unwrap(), expected);
        assert_eq!(report_in(format!("\u{feff}\n{REPORT}").as_bytes()).unwrap(), expected);
        // What a report must have, without anything else.
        let small = "eyJkYXRlLXJhbmdlIjogeyJzdGFydC1kYXRldGltZSI6ICIyMDE2LTA0LTAxVDAwOjAwOjAwWiIs\nICJlbmQtZGF0ZXRpbWUiOiAiMjAxNi0wNC0wMVQyMzo1OTo1OVoifSwgInJlcG9ydC1pZCI6ICIx\nIn0=";
        assert_eq!(report_in(encoded(small).as_bytes()).unwrap().report_id, "1");
        // The same, compressed.
        let gzip = "H4sIAAAAAAACA6tWSkksSdUtSsxLT1WyUqhWKi5JLCrRBQmWZOaChJSMDAzNdA1MdA0MQwwMrMAo\nSklHQSk1LwWXOiNjK1NLIIpSqgUqLEotyAeamZkCUmWoVAsArFLX0HQAAAA=";
        let compressed = message("application/tlsrpt+gzip", "base64", gzip);
        assert_eq!(report_in(compressed.as_bytes()).unwrap().report_id, "1");
        // {"report-id": "1"}
        let error = report_in(encoded("eyJyZXBvcnQtaWQiOiAiMSJ9").as_bytes()).unwrap_err();
        assert!(error.contains("date-range"), "{error}");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let error = |octets: &[u8]| report_in(octets).unwrap_err();
        assert!(error(b"\x1f\x8b\x08").contains("cannot be decompressed"));
        let damaged = message("application/tlsrpt+gzip", "base64", "H4sI");
        assert!(error(damaged.as_bytes()).contains("cannot be decompressed"));
        assert!(error(message("application/json", "8bit", REPORT).as_bytes()).starts_with("there is no report"));
        assert!(error(b"").starts_with("there is no report"));
        assert!(error(b"{").starts_with("the TLS report is malformed"));
        assert!(error(&vec![b'a'; MOST_MESSAGE + 1]).contains("longer than"));
    }

    #[tokio::test]
    async fn records() {
        let domain = Domain::parse("example.org").unwrap();
        let zones = |text: &str| Zones::new().with("_smtp._tls.example.org", DnsRecord::Txt(Txt::from(text)));
        let mut texts = Vec::new();
        for (zones, expected) in [
            (zones("v=TLSRPTv1; rua=mailto:tls@example.org,https://example.net/r"), "valid"),
            (zones("v=spf1 -all").secure("example.org"), "none"),
            (zones("v=TLSRPTv1; rua=mailto:nobody"), "invalid"),
            (Zones::new().failing("_smtp._tls.example.org", RecordType::Txt, LookupErrorKind::Timeout), "temperror"),
        ] {
            let mut evidence = Evidence::default();
            let found = look_up(&domain, &zones, &mut evidence).await.unwrap();
            let finding = looked_up(&domain, &found, &evidence);
            assert_eq!(finding.json["result"], expected);
            if expected == "valid" {
                let destinations = json!(["mailto:tls@example.org", "https://example.net/r"]);
                assert_eq!(finding.json["destinations"], destinations);
            }
            texts.push(finding.text);
        }
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
