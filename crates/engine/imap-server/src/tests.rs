//! Sessions against a temporary store, as transcripts.
//!
//! In a script, `C:` lines are sent and `S:` lines must come back, in this order. A trailing `~` in an expected line
//! stands for any rest of it; a line of `S: ~` skips whatever comes before the next expected line. `{n}` literals are
//! written as in the RFCs, the octets on the following `C:` lines.

mod append;
mod concurrent;
mod connection;
mod fetch;
mod list;
mod mailbox;
mod resync;
mod search;
mod select;
mod store;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mailstead_config::{Config, Directory};
use mailstead_imap::server::Limits;
use mailstead_login::{Login, PlaintextLogin, Settings as LoginSettings};
use mailstead_names::Secret;
use mailstead_net::limits::{AuthFailureSettings, AuthFailures};
use mailstead_net::{Admission, Connection, ConnectionId, Stream};
use mailstead_runtime::{Shutdown, SystemClock};
use mailstead_store::{Account, Depth, Flags, NewAccount, NewMessage, Orphans, WeakVerifiers};
use mailstead_testkit::{SeededRandom, TempStore, duplex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::session::{Session, User};
use crate::wire::Wire;
use crate::{Endpoint, Metrics, Security, Server, Settings};

const PASSWORD: &str = "correct horse";

/// A server with one account, `jane`.
struct Scene {
    server: Arc<Server>,
    store: TempStore,
    jane: Account,
    shutdown: Shutdown,
}

async fn scene() -> Scene {
    let store = TempStore::open().await;
    let clock = store.clock().shared();
    let jane = store.create_account(NewAccount::named("jane")).await.expect("an account");
    let login = Login::new(
        LoginSettings::new("mail.example.org"),
        store.clone(),
        watch::Sender::new(addresses()).subscribe(),
        AuthFailures::new(AuthFailureSettings::default(), Arc::clone(&clock)),
        Arc::clone(&clock),
        Arc::new(SeededRandom::new(1)),
        mailstead_login::Metrics::default(),
    );
    let shutdown = Shutdown::new(Duration::from_secs(3));
    let settings = Settings { max_message: 100_000, ..Settings::default() };
    let server = Server::new(store.clone(), login, clock, shutdown.clone(), settings, Arc::new(Metrics::default()));
    Scene { server, store, jane, shutdown }
}

fn addresses() -> Arc<Directory> {
    let text = r#"
        hostname = "mail.example.org"
        data-directory = "data"
        postmaster = "jane"
        [[listener]]
        addresses = "127.0.0.1"
        smtp = 25
        [domains."example.org"]
        [accounts.jane]
        addresses = ["jane@example.org"]
        "#;
    Config::parse(text, "test.toml".as_ref()).unwrap_or_else(|problems| panic!("{problems}")).directory
}

impl Scene {
    /// A connection to an endpoint, from the greeting on.
    fn connect(&self, security: Security, plaintext_login: PlaintextLogin) -> Client {
        let (ours, theirs) = duplex();
        let connection = Connection { id: ConnectionId(1), stream: ours, admission: admitted() };
        tokio::spawn(Arc::clone(&self.server).serve(Arc::new(Endpoint { security, plaintext_login }), connection));
        Client::new(theirs)
    }

    async fn set_password(&self) {
        let password = Secret::new(PASSWORD.to_owned());
        self.store.set_password(self.jane.id(), &password, WeakVerifiers::default()).await.expect("a password");
    }

    /// A session of jane's, after login.
    async fn session(&self) -> Client {
        let (ours, theirs) = duplex();
        let wire = Wire::new(ours, Limits::default(), Arc::clone(&self.server.settings));
        let endpoint = Endpoint { security: Security::Cleartext, plaintext_login: PlaintextLogin::Allowed };
        let mut session = Session::new(Arc::clone(&self.server), Arc::new(endpoint), wire);
        session.user = Some(User { notices: self.jane.notices(), account: self.jane.clone() });
        tokio::spawn(async move { session.serve().await });
        let mut client = Client::new(theirs);
        assert!(client.line().await.starts_with("* OK [CAPABILITY "));
        client
    }

    /// A session with a mailbox selected; what SELECT says is swallowed.
    async fn selected(&self, mailbox: &str) -> Client {
        let mut client = self.session().await;
        client.ask(&format!("SELECT {mailbox}")).await;
        client
    }

    /// Puts a message into a mailbox, as a delivery would.
    async fn deliver(&self, mailbox: &str, message: &str) -> u32 {
        self.deliver_with(mailbox, message, "").await
    }

    async fn deliver_with(&self, mailbox: &str, message: &str, flags: &str) -> u32 {
        let mut stage = self.store.stage();
        stage.write(message.replace('\n', "\r\n").as_bytes()).await.expect("space");
        let staged = stage.finish().await.expect("space");
        let (mailbox, flags) = (mailbox.to_owned(), Flags::from_names(flags.split_whitespace()));
        let received_at = "2026-03-01T12:30:00Z".parse().expect("a time");
        let appended = self.jane.write(move |write| {
            let mailbox = write.mailbox_by_name(&mailbox)?.expect("the mailbox").id;
            let (staged, flags) = (staged.clone(), flags.clone());
            write.append(&NewMessage { mailbox, staged, prefix: Vec::new(), flags, received_at, facts: Vec::new() })
        });
        appended.await.expect("stored").uid.number()
    }

    /// At the end of every scenario: nothing in the store contradicts itself.
    async fn check(&self) {
        let report = self.store.check(Depth::Contents, Orphans::Report).await.expect("a check");
        assert!(report.is_clean(), "{:?}", report.problems);
    }

    /// Messages named `m1`, `m2`, ... in Inbox.
    async fn fill(&self, count: usize) {
        for n in 1..=count {
            self.deliver("Inbox", &format!("From: a@example.org\nSubject: m{n}\n\nbody {n}\n")).await;
        }
    }
}

/// Nothing in the tests is limited.
fn admitted() -> Admission {
    use mailstead_net::limits::{ConnectionLimitSettings, ConnectionLimits};
    let limits = ConnectionLimits::new(ConnectionLimitSettings::default(), Arc::new(SystemClock));
    Admission::Admitted(limits.admit([192, 0, 2, 7].into()).expect("room for one"))
}

/// The client's end of a session.
struct Client {
    stream: Stream,
    unread: Vec<u8>,
    tag: u32,
}

impl Client {
    fn new(stream: Stream) -> Client {
        Client { stream, unread: Vec::new(), tag: 0 }
    }

    async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.expect("the server listens");
        self.stream.flush().await.expect("the server listens");
    }

    /// The next line, without its end; literals are left as lines.
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(20), self.patient_line()).await;
        line.unwrap_or_else(|_| panic!("no more lines; unread: {:?}", String::from_utf8_lossy(&self.unread)))
    }

    /// The next line, however long it takes.
    async fn patient_line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).take(end).collect();
                return String::from_utf8_lossy(&line).into_owned();
            }
            if self.stream.read_buf(&mut self.unread).await.unwrap_or(0) == 0 {
                return "<closed>".to_owned();
            }
        }
    }

    /// Sends a command and returns everything up to its completion, one line each.
    async fn ask(&mut self, command: &str) -> String {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(format!("{tag} {command}\r\n").as_bytes()).await;
        let mut answer = String::new();
        loop {
            let line = self.line().await;
            let end = line.starts_with(&format!("{tag} ")) || line == "<closed>";
            let _ = writeln!(answer, "{}", line.strip_prefix(&format!("{tag} ")).unwrap_or(&line));
            if end {
                return answer;
            }
        }
    }

    /// Plays a transcript; see the module documentation.
    async fn play(&mut self, script: &str) {
        let mut skipping = false;
        for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
            match step.split_once(": ").unwrap_or((step.trim_end_matches(':'), "")) {
                ("C", line) => self.send(format!("{line}\r\n").as_bytes()).await,
                ("S", "~") => skipping = true,
                ("S", expected) => {
                    let mut line = self.line().await;
                    while skipping && !matches_line(&line, expected) && line != "<closed>" {
                        line = self.line().await;
                    }
                    skipping = false;
                    assert!(matches_line(&line, expected), "expected {expected:?}, got {line:?}");
                }
                _ => panic!("not a step: {step}"),
            }
        }
    }
}

fn matches_line(line: &str, expected: &str) -> bool {
    expected.strip_suffix('~').map_or(line == expected, |start| line.starts_with(start))
}

/// Plays a transcript on a session that has selected Inbox.
async fn play(scene: &Scene, script: &str) {
    scene.selected("Inbox").await.play(script).await;
}
