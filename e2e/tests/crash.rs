//! SIGKILL at a random moment: whatever was acknowledged is there, once, and the store is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mailstead_e2e::{Imap, PASSWORD, Server, Smtp, USER, bounded, moment};

/// How often the server is killed; `MAILSTEAD_CRASH_ROUNDS` asks for another number.
const ROUNDS: usize = 50;
const SENDERS: usize = 4;
const FLAGGERS: usize = 2;
/// How many keywords there are to give. A prime, so that a message hardly gets the same one twice in a row.
const KEYWORDS: u64 = 97;

/// What the server has acknowledged so far.
#[derive(Default)]
struct Acknowledged {
    /// The subjects of messages whose DATA was answered with 250.
    messages: BTreeSet<String>,
    /// The keyword that a UID was given last, by a STORE that was answered with OK.
    keywords: BTreeMap<u32, u64>,
    /// How many STOREs were answered with OK.
    stores: usize,
    /// The keyword of a STORE that was sent and not answered: it may have happened or not.
    pending: BTreeMap<u32, u64>,
}

impl Acknowledged {
    /// How many messages and STOREs.
    fn progress(&self) -> (usize, usize) {
        (self.messages.len(), self.stores)
    }
}

fn rounds() -> usize {
    std::env::var("MAILSTEAD_CRASH_ROUNDS").ok().and_then(|number| number.parse().ok()).unwrap_or(ROUNDS)
}

/// Delivers one message after another until the connection dies.
fn sender(port: u16, counter: &AtomicU64, acknowledged: &Mutex<Acknowledged>) -> Option<()> {
    let mut smtp = Smtp::connect(port).ok()?;
    smtp.command("EHLO crash.example.org").ok()?;
    loop {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let subject = format!("crash-{number}");
        // Every sixteenth is large enough for a file of its own.
        let length = if number.is_multiple_of(16) { 200_000 } else { 2_000 };
        let body = format!("{}\r\n", "x".repeat(70)).repeat(length / 72);
        let message = format!("From: <a@example.org>\r\nSubject: {subject}\r\n\r\n{body}");
        let reply = smtp.send("a@example.org", &[USER], &message).ok()?;
        assert!(reply.starts_with("250"), "{reply}");
        acknowledged.lock().expect("lock").messages.insert(subject);
    }
}

/// Gives messages one keyword after another until the connection dies.
fn flagger(port: u16, lane: u32, counter: &AtomicU64, acknowledged: &Mutex<Acknowledged>) -> Option<()> {
    let mut imap = Imap::connect(port).ok()?;
    imap.command(&format!("LOGIN {USER} {PASSWORD}")).ok()?;
    imap.command("SELECT INBOX").ok()?;
    for uid in (1..=40).filter(|uid| uid % FLAGGERS as u32 == lane).cycle() {
        let keyword = counter.fetch_add(1, Ordering::Relaxed) % KEYWORDS;
        acknowledged.lock().expect("lock").pending.insert(uid, keyword);
        let (_, tagged) = imap.command(&format!("UID STORE {uid} FLAGS.SILENT (k{keyword})")).ok()?;
        assert!(tagged.starts_with("OK"), "{tagged}");
        let mut acknowledged = acknowledged.lock().expect("lock");
        acknowledged.pending.remove(&uid);
        acknowledged.keywords.insert(uid, keyword);
        acknowledged.stores += 1;
    }
    None
}

#[test]
fn keeps_every_acknowledged_message_and_flag() {
    let mut server = Server::start();
    for number in 0..40 {
        server.deliver(&format!("ground-{number}"), "to be flagged");
    }
    let counter = Arc::new(AtomicU64::new(1));
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..rounds() {
        let (smtp, imap) = (server.port("smtp"), server.port("imap"));
        let before = acknowledged.lock().expect("lock").progress();
        let mut clients = Vec::new();
        for _ in 0..SENDERS {
            let (counter, acknowledged) = (counter.clone(), acknowledged.clone());
            clients.push(std::thread::spawn(move || sender(smtp, &counter, &acknowledged)));
        }
        for lane in 0..FLAGGERS as u32 {
            let (counter, acknowledged) = (counter.clone(), acknowledged.clone());
            clients.push(std::thread::spawn(move || flagger(imap, lane, &counter, &acknowledged)));
        }
        // Every round has something to lose.
        bounded("deliveries and STOREs", || {
            let now = acknowledged.lock().expect("lock").progress();
            (now.0 > before.0 && now.1 > before.1).then_some(())
        });
        std::thread::sleep(moment(1, 250, round));
        server.kill();
        for client in clients {
            client.join().expect("a client found nothing wrong");
        }
        server.restart();
        verify(&server, &mut acknowledged.lock().expect("lock"), round);
    }
    let acknowledged = acknowledged.lock().expect("lock");
    let (messages, stores) = acknowledged.progress();
    assert!(messages >= rounds() && stores >= rounds(), "each round delivered and stored: {messages}, {stores}");
    server.stop();
    server.check();
}

fn verify(server: &Server, acknowledged: &mut Acknowledged, round: usize) {
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    let mut times = BTreeMap::<String, usize>::new();
    let mut keywords = BTreeMap::new();
    for line in imap.ok("UID FETCH 1:* (FLAGS ENVELOPE)") {
        if let Some(subject) = word_with_prefix(&line, "crash-") {
            *times.entry(subject).or_default() += 1;
        }
        if let (Some(uid), Some(keyword)) = (number_after(&line, "UID "), number_after(&line, " (k")) {
            keywords.insert(uid as u32, keyword);
        } else if let (Some(uid), Some(keyword)) = (number_after(&line, "UID "), number_after(&line, "(\\Recent k")) {
            keywords.insert(uid as u32, keyword);
        }
    }
    for subject in &acknowledged.messages {
        let number = times.get(subject).copied().unwrap_or(0);
        assert_eq!(number, 1, "round {round}: {subject} was acknowledged and is there {number} times");
    }
    for (subject, number) in &times {
        assert_eq!(*number, 1, "round {round}: {subject} is there {number} times");
    }
    for (uid, keyword) in &acknowledged.keywords {
        let found = keywords.get(uid).copied();
        let pending = acknowledged.pending.get(uid).copied();
        assert!(
            found == Some(*keyword) || (found.is_some() && found == pending),
            "round {round}: UID {uid} has keyword {found:?}, not {keyword} (or the unanswered {pending:?})"
        );
    }
    // From here on, what is there is what counts.
    acknowledged.pending.clear();
    acknowledged.keywords = keywords;
    server.check_quickly();
}

fn word_with_prefix(line: &str, prefix: &str) -> Option<String> {
    let start = line.find(prefix)?;
    let rest = line.get(start..)?;
    Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect())
}

fn number_after(line: &str, mark: &str) -> Option<u64> {
    let rest = line.split_once(mark)?.1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
