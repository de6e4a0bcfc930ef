//! Filling a queue by SMTP, over a few connections.

use std::sync::atomic::{AtomicUsize, Ordering};

use mailstead_e2e::Smtp;

use crate::Outcome;
use crate::sender::{ADDRESS, Sender};

/// Connections that fill it.
const CONNECTIONS: usize = 20;

/// Submits so many messages, each to one recipient, to the domains in turn.
pub(crate) fn fill(sender: &impl Sender, messages: usize, size: usize, domains: usize) -> Outcome<()> {
    let next = AtomicUsize::new(0);
    let text = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstu\r\n".repeat(size / 69 + 1);
    std::thread::scope(|scope| -> Outcome<()> {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| -> std::io::Result<()> {
                    let mut smtp = Smtp::connect(sender.port())?;
                    smtp.command("EHLO bench.example")?;
                    if let Some(login) = sender.login() {
                        let reply = smtp.command(login)?;
                        accepted(reply, "235")?;
                    }
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= messages {
                            return Ok(());
                        }
                        let recipient = format!("somebody{number}@domain{}.example", number % domains);
                        let message = format!(
                            "From: <{from}>\r\nTo: <{recipient}>\r\nSubject: {number}\r\n\
                             Message-ID: <{number}.bench@bench.example>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n{text}",
                            from = ADDRESS,
                        );
                        accepted(smtp.send(ADDRESS, &[&recipient], &message)?, "250")?;
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        Ok(())
    })
}

fn accepted(reply: String, code: &str) -> std::io::Result<()> {
    if reply.starts_with(code) { Ok(()) } else { Err(std::io::Error::other(reply)) }
}
