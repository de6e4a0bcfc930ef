//! `mailstead queue`: what waits to be delivered, why it still waits, and what is done about it by hand. Which messages are
//! meant and what happens to them is the queue's own [`Filter`] and [`Deed`].

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use mailstead_queue::{AttemptRecord, Deed, Filter, Handled, Order, Outstanding, Plaintext, Queue, TlsRequirement};
use mailstead_store::{QueueId, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Form, Parts};
use crate::failure::Failure;

/// Octets of a list from which on it travels.
const PART: usize = 256 << 10;
/// Octets of a message that travel at once.
const PIECE: u64 = 1 << 20;
/// Numbers of messages that are named at most.
const MOST_NAMED: usize = 20;

/// In which order messages are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sort {
    /// By the next attempt.
    Next,
    /// As they were queued.
    Queued,
}

/// Which of the attempts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Results {
    /// The last one.
    Last,
    /// All that are remembered.
    All,
}

/// Whether a filter that leaves nothing out is meant so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scope {
    /// It is a mistake.
    Named,
    /// It is.
    All,
}

/// How messages are shown. As objects they have all their attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) form: Form,
    pub(super) results: Results,
}

pub(super) async fn list(
    queue: &Queue,
    filter: Filter,
    sort: Sort,
    style: Style,
    parts: &Parts,
) -> Result<String, Failure> {
    let order = match sort {
        Sort::Next => Order::NextAttempt,
        Sort::Queued => Order::Queued,
    };
    let mut search = queue.search(filter, order).await?;
    let (mut text, mut shown) = (String::new(), 0);
    loop {
        let page = search.next().await?;
        if page.is_empty() {
            let nothing = shown == 0 && style.form == Form::Words;
            return Ok(if nothing { "nothing waits".to_owned() } else { text });
        }
        for outstanding in &page {
            if text.len() > PART {
                parts.give(std::mem::take(&mut text)).await?;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            match style.form {
                Form::Words => text.push_str(&words(outstanding, style.results)),
                Form::Json => text.push_str(&object(outstanding).to_string()),
            }
        }
        shown += page.len();
    }
}

/// Does something to all that is meant.
pub(super) async fn perform(queue: &Queue, filter: Filter, scope: Scope, deed: Deed) -> Result<String, Failure> {
    if filter.is_empty() && scope == Scope::Named {
        return Err(Failure::new("say which messages are meant, or --all if every one is"));
    }
    Ok(outcome(deed, &queue.perform(filter, deed).await?))
}

fn outcome(deed: Deed, handled: &Handled) -> String {
    let what = match deed {
        Deed::Schedule(_) => "scheduled",
        Deed::Fail => "given up, and their senders told",
        Deed::Drop => "dropped",
    };
    let Handled { done, left } = handled;
    let mut text = format!("{done} of {} {what}", done + left.len());
    if !left.is_empty() {
        let named: Vec<String> = left.iter().take(MOST_NAMED).map(ToString::to_string).collect();
        let _ = write!(text, "; left alone, because an attempt is under way: {}", named.join(", "));
        match left.len().saturating_sub(MOST_NAMED) {
            0 => {}
            more => _ = write!(text, " and {more} more"),
        }
    }
    text
}

/// A message, in pieces of base64. It stays readable to the end when it is delivered meanwhile.
pub(super) async fn dump(store: &Store, id: i64, parts: &Parts) -> Result<String, Failure> {
    let message = store.queue().open(QueueId(id)).await?;
    let message = message.ok_or_else(|| Failure::new(format!("there is no message {id} in the queue")))?;
    let mut at = 0;
    while at < message.size() {
        let piece = message.read(at..at.saturating_add(PIECE).min(message.size())).await?;
        at += PIECE;
        parts.give(STANDARD.encode(piece)).await?;
    }
    Ok(String::new())
}

fn words(outstanding: &Outstanding, results: Results) -> String {
    let Outstanding { row, demand, attempts } = outstanding;
    let mut text = format!(
        "{}  {} to {}, message {}, {} octets, queued {:.0}",
        row.id, row.sender, row.recipient, row.base, row.size, row.created
    );
    let state = match (row.leased, row.attempts) {
        (true, number) => format!("under way, attempt {number}"),
        (false, 0) => format!("not tried yet; the first attempt is at {:.0}", row.next_attempt),
        (false, 1) => format!("tried once; the next attempt is at {:.0}", row.next_attempt),
        (false, number) => format!("tried {number} times; the next attempt is at {:.0}", row.next_attempt),
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "\n  {state}");
    match demand.map(|demand| (demand.requirement, demand.plaintext)) {
        Some((TlsRequirement::RequireTls, _)) => text.push_str("\n  demands verified TLS all the way (REQUIRETLS)"),
        Some((TlsRequirement::TlsRequiredNo, _)) => text.push_str("\n  goes even where TLS fails (TLS-Required: No)"),
        Some((TlsRequirement::Opportunistic, Plaintext::Forbidden)) => text.push_str("\n  demands TLS"),
        Some((TlsRequirement::Opportunistic, Plaintext::Allowed)) => {}
        None => text.push_str("\n  written by a newer version of this program, which this one leaves alone"),
    }
    let shown = match results {
        Results::Last => attempts.len().saturating_sub(1),
        Results::All => 0,
    };
    for attempt in attempts.iter().skip(shown) {
        let AttemptRecord { at, host, status, text: said, .. } = attempt;
        let host = host.as_ref().map(|host| format!(" at {host}")).unwrap_or_default();
        let _ = write!(text, "\n  {at:.0}{host}: {status} {said}");
    }
    text
}

fn object(outstanding: &Outstanding) -> Value {
    let Outstanding { row, demand, attempts } = outstanding;
    json!({
        "id": row.id.0,
        "message": row.base,
        "from": row.sender.to_string(),
        "to": row.recipient.to_string(),
        "size": row.size,
        "queued": row.created.to_string(),
        "attempts": row.attempts,
        "next_attempt": row.next_attempt.to_string(),
        "under_way": row.leased,
        "requirement": demand.map(|demand| demand.requirement),
        "plaintext_forbidden": demand.map(|demand| demand.plaintext == Plaintext::Forbidden),
        "results": attempts,
    })
}

#[cfg(test)]
mod tests {
    use mailstead_names::{Address, ReversePath};
    use mailstead_queue::{Demand, Permanence};
    use mailstead_store::{Payload, QueueRow};

    use super::*;

    /// Time, host, code, status and text.
    type Tried<'a> = (&'a str, Option<&'a str>, Option<u16>, &'a str, &'a str);

    fn outstanding(id: i64, attempts: &[Tried<'_>]) -> Outstanding {
        let at = |time: &str| format!("2026-01-15T{time}Z").parse().unwrap();
        let row = QueueRow {
            id: QueueId(id),
            base: 7,
            submitter: None,
            sender: ReversePath::parse("<jane@example.org>").unwrap(),
            recipient: Address::parse("joe@other.example").unwrap(),
            destination: "other.example".to_owned(),
            size: 2345,
            eight_bit: false,
            smtputf8: false,
            demand: Payload { version: 1, octets: Vec::new() },
            created: at("11:58:00.25"),
            attempts: u32::try_from(attempts.len()).unwrap(),
            last_attempt: None,
            next_attempt: at("13:00:00"),
            leased: false,
            result: None,
            ret: None,
            envid: None,
            notify: None,
            orcpt: None,
        };
        let record = |(time, host, code, status, text): &Tried<'_>| AttemptRecord {
            at: at(time),
            host: host.map(str::to_owned),
            ip: host.and_then(|host| host.split(['[', ']']).nth(1)?.parse().ok()),
            code: *code,
            status: (*status).to_owned(),
            text: (*text).to_owned(),
            permanence: Permanence::Temporary,
        };
        Outstanding { row, demand: Some(Demand::default()), attempts: attempts.iter().map(record).collect() }
    }

    #[test]
    fn in_words_and_as_an_object() {
        let mx = Some("mx.other.example [192.0.2.25]");
        let tried = outstanding(
            9,
            &[
                ("12:00:00", None, None, "4.4.3", "The servers of other.example could not be looked up"),
                ("12:07:30", mx, Some(450), "4.2.1", "The server answered: 450 4.2.1 not now"),
            ],
        );
        let fresh = outstanding(8, &[]);
        let demanding = |id, requirement, plaintext| Outstanding {
            demand: Some(Demand { requirement, plaintext }),
            ..outstanding(id, &[("12:00:00", mx, None, "4.4.1", "No connection")])
        };
        let mut under_way = outstanding(13, &[]);
        (under_way.row.leased, under_way.row.attempts, under_way.row.sender) = (true, 3, ReversePath::Null);
        let newer = Outstanding { demand: None, ..outstanding(14, &[]) };
        let shown = [
            words(&tried, Results::Last),
            words(&tried, Results::All),
            words(&fresh, Results::All),
            words(&demanding(10, TlsRequirement::RequireTls, Plaintext::Forbidden), Results::Last),
            words(&demanding(11, TlsRequirement::TlsRequiredNo, Plaintext::Allowed), Results::Last),
            words(&demanding(12, TlsRequirement::Opportunistic, Plaintext::Forbidden), Results::Last),
            words(&under_way, Results::Last),
            words(&newer, Results::Last),
            object(&tried).to_string(),
            object(&newer).to_string(),
        ];
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn what_was_done_and_what_was_not() {
        let left = |count: i64| Handled { done: 2, left: (1..=count).map(QueueId).collect() };
        let shown = [
            outcome(Deed::Schedule(jiff::SignedDuration::ZERO), &left(0)),
            outcome(Deed::Drop, &left(2)),
            outcome(Deed::Fail, &left(23)),
        ];
        insta::assert_snapshot!(shown.join("\n"));
    }
}
