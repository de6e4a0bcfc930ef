//! SIGKILL while mail leaves: whatever was acknowledged arrives, and only what was under way when the server died may
//! arrive twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailstead_e2e::{Configured, Smtp, binary, bounded, lasting_port, moment};

/// How often the server is killed; `MAILSTEAD_CRASH_ROUNDS` asks for another number.
const ROUNDS: usize = 25;
const SUBMITTERS: usize = 4;
/// Domains that the recipients are of.
const DOMAINS: usize = 30;
/// Connections that the server makes at the same time.
const CONCURRENCY: usize = 12;
const SENDER: &str = "sender@crash.example";

fn rounds() -> usize {
    std::env::var("MAILSTEAD_CRASH_ROUNDS").ok().and_then(|number| number.parse().ok()).unwrap_or(ROUNDS)
}

/// A message for one recipient, once taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Delivery {
    round: usize,
    /// Whether the client has gone on with the same connection: it knows that the message was taken.
    went_on: bool,
}

/// Where all mail goes: it notes what it takes before it says so, dawdles, and refuses some for the time being.
#[derive(Debug, Default)]
struct Sink {
    /// By subject and recipient, every time that it was taken.
    taken: Mutex<BTreeMap<(String, String), Vec<Delivery>>>,
    round: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    number: AtomicUsize,
    is_willing: AtomicBool,
}

impl Sink {
    fn start() -> (Arc<Sink>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let sink = Arc::<Sink>::default();
        let shared = Arc::clone(&sink);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let open = sink.open.fetch_add(1, Ordering::SeqCst) + 1;
                    sink.most_open.fetch_max(open, Ordering::SeqCst);
                    // That the server dies in the middle is what this is about.
                    let _ = sink.serve(&stream);
                    sink.open.fetch_sub(1, Ordering::SeqCst);
                    // The client hears of it when it is counted: then it may open another.
                    let _ = (&stream).write_all(b"221 bye\r\n");
                });
            }
        });
        (sink, port)
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut lines, mut out) = (BufReader::new(stream), stream);
        let mut before: Vec<(String, String)> = Vec::new();
        let mut recipients = Vec::new();
        out.write_all(b"220 sink.example\r\n")?;
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let word = line.split([' ', ':']).next().unwrap_or_default().trim_end().to_owned();
            for key in before.drain(..) {
                let mut taken = self.taken.lock().expect("lock");
                let delivery = taken.get_mut(&key).and_then(|deliveries| deliveries.last_mut());
                delivery.expect("it was noted").went_on = true;
            }
            let reply = match word.as_str() {
                "EHLO" => "250-sink.example\r\n250 PIPELINING",
                "RCPT" => {
                    recipients.push(line.split(['<', '>']).nth(1).unwrap_or_default().to_owned());
                    "250 ok"
                }
                "DATA" => {
                    out.write_all(b"354 go on\r\n")?;
                    let subject = message(&mut lines)?;
                    let number = self.number.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(moment(0, 12, number));
                    let to = std::mem::take(&mut recipients);
                    if number % 16 == 9 && !self.is_willing.load(Ordering::Relaxed) {
                        "451 4.7.1 later"
                    } else {
                        before = to.into_iter().map(|to| (subject.clone(), to)).collect();
                        let delivery = Delivery { round: self.round.load(Ordering::SeqCst), went_on: false };
                        let mut taken = self.taken.lock().expect("lock");
                        before.iter().for_each(|key| taken.entry(key.clone()).or_default().push(delivery));
                        "250 taken"
                    }
                }
                "QUIT" => return Ok(()),
                _ => "250 ok",
            };
            out.write_all(format!("{reply}\r\n").as_bytes())?;
            line.clear();
        }
        Ok(())
    }
}

/// Reads a message to its end, and gives its subject.
fn message(lines: &mut impl BufRead) -> std::io::Result<String> {
    let (mut subject, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(subject);
        }
        if let Some(text) = line.strip_prefix("Subject: ") {
            text.trim_end().clone_into(&mut subject);
        }
    }
}

/// Submits one message after another, some for two, until the connection dies.
fn submitter(port: u16, counter: &AtomicUsize, acknowledged: &Mutex<BTreeSet<(String, String)>>) -> Option<()> {
    let mut smtp = Smtp::connect(port).ok()?;
    smtp.command("EHLO crash.example").ok()?;
    let reply = smtp.command(&Configured::auth_plain("sender")).ok()?;
    assert!(reply.starts_with("235"), "{reply}");
    loop {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let subject = format!("crash-{number}");
        let mut to = vec![format!("one@d{}.example", number % DOMAINS)];
        match number % 8 {
            // At the same domain, and at another.
            3 => to.push(format!("two@d{}.example", number % DOMAINS)),
            5 => to.push(format!("two@d{}.example", (number + 1) % DOMAINS)),
            _ => {}
        }
        // Every sixteenth is large enough for a file of its own.
        let length = if number.is_multiple_of(16) { 200_000 } else { 2_000 };
        let body = format!("{}\r\n", "x".repeat(70)).repeat(length / 72);
        let text = format!("From: <{SENDER}>\r\nSubject: {subject}\r\n\r\n{body}");
        let recipients: Vec<&str> = to.iter().map(String::as_str).collect();
        let reply = smtp.send(SENDER, &recipients, &text).ok()?;
        assert!(reply.starts_with("250"), "{reply}");
        acknowledged.lock().expect("lock").extend(to.into_iter().map(|to| (subject.clone(), to)));
    }
}

fn start(port: u16, sink: u16) -> Configured {
    let config = format!(
        "hostname = \"mail.crash.example\"\npostmaster = \"sender\"\n\
         [limits]\nexempt-networks = [\"127.0.0.0/8\"]\nsubmissions-per-day = 10000000\n\
         [queue]\nnext-hop = \"127.0.0.1:{sink}\"\nsecurity = \"plaintext\"\nhost-concurrency = {CONCURRENCY}\n\
         [[listener]]\naddresses = [\"127.0.0.1\"]\nplaintext-login = true\nsubmission = {port}\n\
         [domains.\"crash.example\"]\n[accounts.sender]\naddresses = [\"{SENDER}\"]\n"
    );
    Configured::start(&binary(), tempfile::tempdir().expect("a folder"), &config, "sender")
}

/// Whether this is kept somewhere below a folder.
fn holds_message(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.is_file() || holds_message(&path))
}

#[test]
fn acknowledged_mail_arrives_and_only_what_was_under_way_arrives_twice() {
    let (sink, sink_port) = Sink::start();
    let port = lasting_port();
    let mut server = start(port, sink_port);
    let counter = Arc::new(AtomicUsize::new(1));
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let arrived = |sink: &Sink| sink.taken.lock().expect("lock").len();
    for round in 0..rounds() {
        let before = (acknowledged.lock().expect("lock").len(), arrived(&sink));
        let clients: Vec<_> = (0..SUBMITTERS)
            .map(|_| {
                let (counter, acknowledged) = (Arc::clone(&counter), Arc::clone(&acknowledged));
                std::thread::spawn(move || submitter(port, &counter, &acknowledged))
            })
            .collect();
        // Every round has something to lose.
        bounded("submissions and deliveries", || {
            let now = (acknowledged.lock().expect("lock").len(), arrived(&sink));
            (now.0 > before.0 && now.1 > before.1).then_some(())
        });
        std::thread::sleep(moment(1, 250, round));
        server.kill();
        for client in clients {
            client.join().expect("a client found nothing wrong");
        }
        // What was written to the sink's sockets is still taken, and belongs to this round.
        bounded("the connections to end", || (sink.open.load(Ordering::SeqCst) == 0).then_some(()));
        sink.round.store(round + 1, Ordering::SeqCst);
        server.restart();
    }

    sink.is_willing.store(true, Ordering::Relaxed);
    bounded("the queue to be empty", || {
        server.command(&["queue", "schedule", "--all", "--now"]).success();
        std::thread::sleep(Duration::from_millis(100));
        server.command(&["queue", "list"]).success().out.contains("nothing waits").then_some(())
    });

    let taken = sink.taken.lock().expect("lock");
    let acknowledged = acknowledged.lock().expect("lock");
    let lost: Vec<_> = acknowledged.iter().filter(|key| !taken.contains_key(key)).collect();
    assert!(lost.is_empty(), "acknowledged and never delivered: {lost:?}");
    let mut again = BTreeMap::<usize, usize>::new();
    for (key, deliveries) in taken.iter() {
        for pair in deliveries.windows(2) {
            assert!(!pair[0].went_on, "{key:?} came again after the server knew that it was taken: {deliveries:?}");
            assert!(pair[0].round < pair[1].round, "{key:?} came twice without a crash: {deliveries:?}");
            *again.entry(pair[0].round).or_default() += 1;
        }
    }
    // A connection carries one message at a time, for two recipients at the most.
    let most = again.values().copied().max().unwrap_or(0);
    assert!(most <= 2 * CONCURRENCY, "{again:?}");
    let most_open = sink.most_open.load(Ordering::SeqCst);
    assert!(most_open <= CONCURRENCY, "{most_open} connections at once");
    assert!(acknowledged.len() >= rounds(), "each round took something: {}", acknowledged.len());
    show(acknowledged.len(), taken.len(), &again);

    server.command(&["store", "check"]).success();
    assert!(!holds_message(&server.folder().join("data/spool")), "the spool is empty when nothing waits");
}

#[expect(clippy::print_stderr, reason = "figures of a long run")]
fn show(acknowledged: usize, delivered: usize, again: &BTreeMap<usize, usize>) {
    let copies: usize = again.values().sum();
    eprintln!("{acknowledged} acknowledged, {delivered} delivered, {copies} of them twice, by round: {again:?}");
}
