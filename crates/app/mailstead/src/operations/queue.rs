//! `mailstead queue`: what waits to be delivered, why it still waits, and what is done about it by hand.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use mailstead_queue::{Outstanding, Plaintext, Queue, TlsRequirement};
use mailstead_runtime::{Clock as _, SystemClock};
use mailstead_store::{QueueId, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Form;
use crate::failure::Failure;

/// Rows read, and changed, at once.
const PAGE: usize = 500;
/// Octets of a message that travel at once.
const PIECE: u64 = 4 << 20;

/// Which messages are meant. What is left out does not matter, and everything that is given must be so.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// Only these numbers.
    #[arg(long = "id", value_name = "NUMBER")]
    pub(crate) ids: Vec<i64>,
    /// Only messages whose sender's address has this in it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) from: Option<String>,
    /// Only messages for recipients whose address has this in it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) to: Option<String>,
    /// Only messages that were queued longer ago than this, such as 90m, 4h or 2d.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) older: Option<u64>,
    /// Only messages that were queued less long ago than this.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) newer: Option<u64>,
    /// Only messages whose next attempt is due within this time.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) due: Option<u64>,
    /// No more than this many, those that were queued first.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max: Option<usize>,
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

/// What is to be done with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    /// The next attempt is made in so many seconds.
    Schedule(u64),
    /// Delivery is given up, and the sender told.
    Fail,
    /// The message goes, and nobody is told.
    Drop,
}

/// A time as people write it: a number with s, m, h or d.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    let parsed = UNITS.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    parsed.ok_or_else(|| "use a number with s, m, h or d behind it, such as 90m, 4h or 2d".to_owned())
}

impl Filter {
    /// Whether it leaves nothing out.
    fn is_empty(&self) -> bool {
        let Filter { ids, from, to, older, newer, due, max } = self;
        let times = older.or(*newer).or(*due);
        ids.is_empty() && from.is_none() && to.is_none() && times.is_none() && max.is_none()
    }

    fn is_met_by(&self, row: &Outstanding, now: Timestamp) -> bool {
        let contains = |part: &Option<String>, text: String| {
            part.as_ref().is_none_or(|part| text.to_lowercase().contains(&part.to_lowercase()))
        };
        let span = |seconds: u64| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let age = now.duration_since(row.row.created);
        (self.ids.is_empty() || self.ids.contains(&row.row.id.0))
            && contains(&self.from, row.row.sender.to_string())
            && contains(&self.to, row.row.recipient.to_string())
            && self.older.is_none_or(|older| age > span(older))
            && self.newer.is_none_or(|newer| age < span(newer))
            && self.due.is_none_or(|due| row.row.next_attempt.duration_since(now) <= span(due))
    }
}

/// What is meant, in the order in which it was queued.
async fn matching(store: &Store, filter: &Filter) -> Result<Vec<Outstanding>, Failure> {
    let rows = store.queue();
    let now = SystemClock.now();
    let (mut found, mut after) = (Vec::new(), None::<QueueId>);
    let most = filter.max.unwrap_or(usize::MAX);
    while found.len() < most {
        let page = rows.list(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page.into_iter().map(Outstanding::of).filter(|row| filter.is_met_by(row, now)));
    }
    found.truncate(most);
    Ok(found)
}

pub(super) async fn list(store: &Store, filter: &Filter, form: Form) -> Result<String, Failure> {
    let found = matching(store, filter).await?;
    let shown: Vec<String> = found
        .iter()
        .map(|row| match form {
            Form::Words => words(row),
            Form::Json => object(row).to_string(),
        })
        .collect();
    Ok(if shown.is_empty() && form == Form::Words { "nothing waits".to_owned() } else { shown.join("\n") })
}

/// Does something to all that is meant.
pub(super) async fn perform(
    store: &Store,
    queue: &Queue,
    filter: &Filter,
    scope: Scope,
    deed: Deed,
) -> Result<String, Failure> {
    if filter.is_empty() && scope == Scope::Named {
        return Err(Failure::new("say which messages are meant, or --all if every one is"));
    }
    let meant: Vec<QueueId> = matching(store, filter).await?.iter().map(|row| row.row.id).collect();
    let mut done = 0;
    for ids in meant.chunks(PAGE) {
        let failed = |error: mailstead_queue::Error| Failure::new(error.to_string());
        done += match deed {
            Deed::Schedule(later) => {
                let later = SignedDuration::from_secs(i64::try_from(later).unwrap_or(i64::MAX));
                let when = SystemClock.now().saturating_add(later).unwrap_or(Timestamp::MAX);
                queue.schedule(ids, when).await.map_err(failed)?
            }
            Deed::Fail => queue.fail(ids).await.map_err(failed)?,
            Deed::Drop => queue.drop_recipients(ids).await.map_err(failed)?,
        }
        .len();
    }
    let what = match deed {
        Deed::Schedule(_) => "scheduled",
        Deed::Fail => "given up, and their senders told",
        Deed::Drop => "dropped",
    };
    let left = match meant.len() - done {
        0 => String::new(),
        left => format!("; {left} left alone, because an attempt is under way"),
    };
    Ok(format!("{done} of {} {what}{left}", meant.len()))
}

/// A piece of a message, in base64; nothing behind its end.
pub(super) async fn read(store: &Store, id: i64, at: u64) -> Result<String, Failure> {
    let message = store.queue().open(QueueId(id)).await?;
    let message = message.ok_or_else(|| Failure::new(format!("there is no message {id} in the queue")))?;
    Ok(STANDARD.encode(message.read(at..at.saturating_add(PIECE)).await?))
}

fn words(outstanding: &Outstanding) -> String {
    let Outstanding { row, demand, attempts } = outstanding;
    let mut text =
        format!("{}  {} to {}, {} octets, queued {:.0}", row.id, row.sender, row.recipient, row.size, row.created);
    let state = if row.leased {
        format!("under way, attempt {}", row.attempts)
    } else {
        format!("after {} attempts the next is at {:.0}", row.attempts, row.next_attempt)
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "\n  {state}");
    match demand.map(|demand| demand.requirement) {
        Some(TlsRequirement::RequireTls) => text.push_str("\n  demands REQUIRETLS"),
        Some(TlsRequirement::TlsRequiredNo) => text.push_str("\n  TLS-Required: No"),
        Some(TlsRequirement::Opportunistic) => {}
        None => text.push_str("\n  written by a newer version of this program, which this one leaves alone"),
    }
    if let Some(last) = attempts.last() {
        let host = last.host.as_ref().map(|host| format!(" at {host}")).unwrap_or_default();
        let _ = write!(text, "\n  {:.0}{host}: {} {}", last.at, last.status, last.text);
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
