//! Messages coming in by SMTP, each acknowledged before the next is sent on its connection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mailstead_e2e::Smtp;

use crate::Outcome;
use crate::server::{Server, address};

/// The word that occurs in one message of a thousand.
pub(crate) const RARE: &str = "quetzalcoatlus";

/// A text of words that differ from message to message, so that the index has something to do.
fn message(number: usize, length: usize) -> String {
    let mut text = format!(
        "From: Sender {number} <sender{number}@example.org>\r\nTo: <someone@example.com>\r\nSubject: message number {number}\r\n\
         Message-ID: <{number}.bench@example.org>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n"
    );
    if number.is_multiple_of(1000) {
        text.push_str(RARE);
        text.push_str("\r\n");
    }
    let mut state = number as u64 | 1;
    let mut column = 0;
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Words as frequent as in a language: a few often, most seldom.
        let rank = (((state >> 33) % 1_000_000) as f64 / 1_000_000.0).powi(4) * 20_000.0;
        let word = format!("word{rank:.0} ");
        column += word.len();
        text.push_str(&word);
        if column > 70 {
            text.push_str("\r\n");
            column = 0;
        }
    }
    text.push_str("\r\n");
    text
}

/// Connections that deliver for a time, spread over a number of accounts.
pub(crate) fn messages_per_second(
    server: &Server,
    accounts: usize,
    connections: usize,
    time: Duration,
) -> Outcome<f64> {
    let delivered = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let elapsed = std::thread::scope(|scope| -> Outcome<Duration> {
        let mut senders = Vec::new();
        for connection in 0..connections {
            let (delivered, stop) = (&delivered, &stop);
            senders.push(scope.spawn(move || -> std::io::Result<()> {
                let mut smtp = Smtp::connect(server.port("smtp"))?;
                smtp.command("EHLO bench.example.org")?;
                let recipient = address(connection % accounts);
                let mut number = connection;
                while !stop.load(Ordering::Relaxed) {
                    deliver(&mut smtp, &recipient, &message(number, 10_240))?;
                    delivered.fetch_add(1, Ordering::Relaxed);
                    number += connections;
                }
                Ok(())
            }));
        }
        let start = Instant::now();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().map_err(|_| "a sender panicked")??;
        }
        Ok(start.elapsed())
    })?;
    Ok(delivered.load(Ordering::Relaxed) as f64 / elapsed.as_secs_f64())
}

/// Fills the mailbox of the first account.
pub(crate) fn fill(server: &Server, messages: usize) -> Outcome<f64> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| -> Outcome<()> {
        let senders: Vec<_> = (0..50)
            .map(|_| {
                let next = &next;
                scope.spawn(move || -> std::io::Result<()> {
                    let mut smtp = Smtp::connect(server.port("smtp"))?;
                    smtp.command("EHLO bench.example.org")?;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= messages {
                            return Ok(());
                        }
                        deliver(&mut smtp, &address(0), &message(number, 2_048))?;
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().map_err(|_| "a sender panicked")??;
        }
        Ok(())
    })?;
    Ok(messages as f64 / start.elapsed().as_secs_f64())
}

fn deliver(smtp: &mut Smtp, recipient: &str, message: &str) -> std::io::Result<()> {
    // The null reverse-path: no sender's domain is to be looked up, so no resolver is measured.
    let reply = smtp.send("", &[recipient], message)?;
    if reply.starts_with("250") { Ok(()) } else { Err(std::io::Error::other(reply)) }
}
