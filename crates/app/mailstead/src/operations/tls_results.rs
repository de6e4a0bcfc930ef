//! `tlsrpt results`: the ledger that TLS reports to other operators are made from.

use std::fmt::Write as _;

use jiff::civil::Date;
use mailstead_reports::{Ledger, LedgerRow, Side};

use super::Form;
use crate::failure::Failure;

/// Rows read at once.
const PAGE: usize = 500;
/// Rows that are shown at most.
const MOST_SHOWN: usize = 10_000;

pub(super) async fn list(
    ledger: &Ledger,
    domain: Option<&str>,
    day: Option<Date>,
    form: Form,
) -> Result<String, Failure> {
    ledger.flush().await;
    let is_wanted = |row: &LedgerRow| {
        let is_of = |domain: &str| row.policy_domain == domain || row.recipient_domain == domain;
        domain.is_none_or(is_of) && day.is_none_or(|day| row.day == day)
    };
    let (mut shown, mut after) = (Vec::new(), None);
    loop {
        let (rows, next) = ledger.list(after, PAGE).await?;
        for row in rows.iter().filter(|row| is_wanted(row)) {
            shown.push(match form {
                Form::Words => words(row),
                Form::Json => serde_json::to_string(row).map_err(|error| Failure::new(error.to_string()))?,
            });
        }
        after = next;
        if shown.len() > MOST_SHOWN {
            return Err(Failure::new(format!("there are more than {MOST_SHOWN} results; name a domain")));
        }
        if after.is_none() {
            break;
        }
    }
    Ok(if shown.is_empty() && form == Form::Words { "no results".to_owned() } else { shown.join("\n") })
}

fn words(row: &LedgerRow) -> String {
    let side = match row.side {
        Side::RecipientDomain => "recipient's domain".to_owned(),
        Side::MxHost => format!("server of {}", row.recipient_domain),
    };
    let report = if row.causes_report { "" } else { "; no reason for a report" };
    let mut text = format!("{}  {} ({side}{report})", row.day, row.policy_domain);
    for policy in &row.policies {
        let counts = policy.summary;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n  {}: {} succeeded, {} failed",
            policy.policy.policy_type, counts.total_successful_session_count, counts.total_failure_session_count
        );
        for details in &policy.failure_details {
            let code = details.failure_reason_code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
            let host = details.receiving_mx_hostname.as_ref().map(|host| format!(" at {host}")).unwrap_or_default();
            let ip = details.receiving_ip.as_ref().map(|ip| format!(" [{ip}]")).unwrap_or_default();
            let _ = write!(text, "\n    {} {}{code}{host}{ip}", details.failed_session_count, details.result_type);
        }
    }
    text
}
