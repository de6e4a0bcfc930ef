//! Reading a large mailbox by IMAP.

use std::time::Instant;

use serde_json::{Value, json};

use crate::Outcome;
use crate::inbound::RARE;
use crate::server::Server;

/// How often each is measured; the median is told.
const TIMES: usize = 5;

pub(crate) fn latencies(server: &Server, messages: usize) -> Outcome<Vec<(&'static str, Value)>> {
    let mut figures = Vec::new();
    let rare = messages.div_ceil(1000);
    for (name, command, lines) in [
        ("SELECT, ms", "SELECT INBOX".to_owned(), None),
        ("FETCH 1:* (FLAGS UID), ms", "FETCH 1:* (FLAGS UID)".to_owned(), Some(messages)),
        ("FETCH 1:* (ENVELOPE), ms", "FETCH 1:* (ENVELOPE)".to_owned(), Some(messages)),
        ("SEARCH TEXT of a rare word, ms", format!("SEARCH TEXT {RARE}"), None),
        ("SEARCH TEXT of a part of a rare word, ms", format!("SEARCH TEXT {}", &RARE[2..9]), None),
        ("SEARCH BODY of a frequent word, ms", "SEARCH BODY word7".to_owned(), None),
        ("SEARCH TEXT of a phrase, ms", format!("SEARCH TEXT \"number {}\"", messages - 1), None),
    ] {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let mut imap = server.imap()?;
            if !command.starts_with("SELECT") {
                imap.ok("SELECT INBOX");
            }
            let start = Instant::now();
            let untagged = imap.ok(&command);
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            if let Some(lines) = lines
                && untagged.len() != lines
            {
                return Err(format!("{command}: {} responses, not {lines}", untagged.len()).into());
            }
            if command.contains(RARE) {
                let found = untagged.iter().find(|line| line.starts_with("* SEARCH")).ok_or("no SEARCH response")?;
                let number = found.split(' ').count() - 2;
                if number != rare {
                    return Err(format!("{command}: found {number}, not {rare}").into());
                }
            }
        }
        times.sort_by(f64::total_cmp);
        figures.push((name, json!((times[TIMES / 2] * 10.0).round() / 10.0)));
    }
    Ok(figures)
}
