//! Scenarios: a whole server over streams in memory. Each begins with [`Scene::new`], where everything works, and names
//! one deviation.

mod authentication;
mod connection;
mod inbound;
mod notification;
mod sandbox;
mod submission;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailstead_config::{Config, Directory};
use mailstead_dns::{LookupErrorKind, Mx, Record, RecordType, Resolver, Target, Txt};
use mailstead_login::Login;
use mailstead_names::{Domain, Secret};
use mailstead_net::limits::{AuthFailureSettings, AuthFailures, ConnectionLimitSettings, ConnectionLimits};
use mailstead_net::tls::{ClientTls, ServerTls};
use mailstead_net::{Admission, Connection, ConnectionId, Refusal, Stream};
use mailstead_queue::OutgoingTls;
use mailstead_queue::facts::StsPolicies;
use mailstead_runtime::{BoxFuture, Clock, Deadline, Shutdown, Supervisor};
use mailstead_smtp::server::Role;
use mailstead_store::{Account, Depth, Detail, NewAccount, Options, Orphans, Store, UidSet, WeakVerifiers};
use mailstead_testkit::{Certificates, MemoryDialer, PausedClock, SeededRandom, Zones, duplex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{
    AccountDelivery, CleartextLogin, Endpoint, Evaluation, EvaluationSink, Marks, Metrics, Security, Server, Services,
    Settings, Signing,
};

const HOST: &str = "mx.example.org";
const PASSWORD: &str = "correct horse";
const CONFIG: &str = r#"
    hostname = "mx.example.org"
    data-directory = "data"
    postmaster = "jane"
    [[listener]]
    addresses = "127.0.0.1"
    smtp = 25
    [domains."example.org"]
    subaddress-separators = ["+"]
    [accounts.jane]
    addresses = ["jane@example.org", "jané@example.org"]
    [accounts.joe]
    addresses = ["joe@example.org"]
    [accounts.poor]
    addresses = ["poor@example.org"]
    [accounts.unborn]
    addresses = ["unborn@example.org"]
    [accounts.off]
    addresses = ["off@example.org"]
    login-disabled = "ask the desk"
    "#;

/// Nothing is sent here, so that no policy is in force.
#[derive(Debug)]
struct Nothing;

impl StsPolicies for Nothing {
    fn state<'a>(&'a self, _: &'a Domain) -> BoxFuture<'a, mailstead_queue::facts::StsState> {
        Box::pin(std::future::ready(mailstead_queue::facts::StsState::NotFound))
    }
}

/// A server with some accounts (`poor` has no room, `off` may not log in, `unborn` is configured but not in the store)
/// and some senders in the DNS. Everybody connects from 192.0.2.7.
struct Scene {
    server: Arc<Server>,
    store: Store,
    zones: Arc<Zones>,
    evaluations: Arc<Evaluations>,
    tls: ServerTls,
    failures: Arc<AuthFailures>,
    limits: Arc<ConnectionLimits>,
    _data: TempDir,
}

/// Keeps what was evaluated, a line each: Author Domain, result, what was done, and why it is something else than asked for.
#[derive(Debug, Default)]
struct Evaluations(Mutex<Vec<String>>);

impl Evaluations {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl EvaluationSink for Evaluations {
    fn evaluated(&self, evaluation: Evaluation<'_>) {
        let Evaluation { remote, envelope_from, envelope_to, dmarc, applied, overrides, .. } = evaluation;
        let name = |domain: Option<&Domain>| domain.map_or("-", Domain::as_ascii).to_owned();
        let (from, to, author) = (name(envelope_from), name(envelope_to), name(dmarc.author.as_ref()));
        let overrides = overrides.join(",");
        let line = format!("{remote} {from} {to}: {author} {} {} [{overrides}]", dmarc.status, applied.as_str());
        self.0.lock().unwrap().push(line);
    }
}

/// What a test changes before the server is made.
struct Setting {
    config: String,
    settings: Settings,
    zones: Zones,
    store: fn(&mut Options),
    metrics: Metrics,
    /// Accounts that get a password, which takes its time.
    passwords: &'static [&'static str],
}

impl Setting {
    fn new() -> Setting {
        let mx = |name: &str| Record::Mx(Mx { preference: 10, exchange: Target::parse(name) });
        let zones = Zones::new()
            .with("client.example", mx("mx.client.example"))
            .with("client.example", Record::Txt(Txt::from("v=spf1 ip4:192.0.2.7 -all")))
            .with("bücher.example", mx("mx.client.example"))
            .with("null.example", mx("."))
            .with("address.example", Record::A([192, 0, 2, 7].into()))
            .with("text.example", Record::Mx(Mx { preference: 1, exchange: Target::Unusable("1.2.3.4".into()) }))
            .with("slow.example", mx("mx.client.example"));
        let slow = [RecordType::Mx, RecordType::A, RecordType::Aaaa];
        let zones =
            slow.into_iter().fold(zones, |zones, slow| zones.failing("slow.example", slow, LookupErrorKind::Timeout));
        let settings = Settings::new(Domain::parse(HOST).unwrap());
        Setting {
            config: CONFIG.to_owned(),
            settings,
            zones,
            store: |_| {},
            metrics: Metrics::default(),
            passwords: &[],
        }
    }

    async fn build(self) -> Scene {
        let data = TempDir::new().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
        let mut options = Options::new(data.path(), Arc::clone(&clock));
        (self.store)(&mut options);
        let store = Store::open(options).await.unwrap();
        for name in ["jane", "joe", "poor", "off"] {
            let quota = (name == "poor").then_some(10);
            let account = store.create_account(NewAccount { quota, ..NewAccount::named(name) }).await.unwrap();
            if self.passwords.contains(&name) {
                let password = Secret::new(PASSWORD.to_owned());
                store.set_password(account.id(), &password, WeakVerifiers::default()).await.unwrap();
            }
        }
        let config = Config::parse(&self.config, "test.toml".as_ref()).unwrap_or_else(|problems| panic!("{problems}"));
        let signing = Signing::load(&config.directory).unwrap();
        let (zones, evaluations) = (Arc::new(self.zones), Arc::new(Evaluations::default()));
        let directory: watch::Receiver<Arc<Directory>> = watch::Sender::new(config.directory).subscribe();
        let random = Arc::new(SeededRandom::new(1));
        let delivery =
            AccountDelivery::new(store.clone(), directory.clone(), Arc::clone(&clock), self.settings.sandbox);
        let failures = AuthFailures::new(AuthFailureSettings::default(), Arc::clone(&clock));
        let login = Login::new(
            mailstead_login::Settings::new(HOST),
            store.clone(),
            directory.clone(),
            Arc::clone(&failures),
            Arc::clone(&clock),
            random.clone(),
            mailstead_login::Metrics::default(),
        );
        let shutdown = Shutdown::new(Duration::from_secs(3));
        let queue = mailstead_queue::Queue::new(
            mailstead_queue::Settings::new(Domain::parse(HOST).unwrap()),
            mailstead_queue::Services {
                store: store.clone(),
                clock: Arc::clone(&clock),
                random: random.clone(),
                dialer: MemoryDialer::new(),
                direct_dialer: MemoryDialer::new(),
                resolver: Arc::new(Zones::new()),
                sts: Arc::new(Nothing),
                results: Arc::new(mailstead_queue::NoTlsResults),
                tls: OutgoingTls::new(Certificates::roots()),
                local: Arc::new(delivery),
                supervisor: Supervisor::new(),
                shutdown: shutdown.clone(),
                metrics: mailstead_queue::Metrics::default(),
            },
        );
        let services = Services {
            store: store.clone(),
            login,
            queue,
            directory,
            resolver: Arc::clone(&zones) as Arc<dyn Resolver>,
            clock: Arc::clone(&clock),
            random,
            shutdown,
            marks: Marks::new(&[7; 24]),
            signing,
            evaluations: Arc::clone(&evaluations) as Arc<dyn EvaluationSink>,
            metrics: self.metrics,
        };
        Scene {
            server: Server::new(services, self.settings),
            store,
            zones,
            evaluations,
            tls: Certificates::server(&[HOST]),
            failures,
            limits: ConnectionLimits::new(ConnectionLimitSettings::default(), clock),
            _data: data,
        }
    }
}

impl Scene {
    async fn new() -> Scene {
        Setting::new().build().await
    }

    /// A server where jane can log in.
    async fn for_submission() -> Scene {
        Setting { passwords: &["jane"], ..Setting::new() }.build().await
    }

    /// A connection to port 25.
    async fn inbound(&self) -> Client {
        let security = Security::StartTls(self.tls.clone());
        self.connect(Endpoint::new(Role::Transfer, security)).await
    }

    /// A connection to port 465.
    async fn submissions(&self) -> Client {
        let mut client = self.open(Endpoint::new(Role::Submission, Security::Implicit(self.tls.clone())), None);
        client.handshake().await;
        client.hear("220 mx.example.org ESMTP Mailstead").await;
        client
    }

    /// A submission connection without TLS, as on loopback.
    async fn cleartext(&self) -> Client {
        let endpoint = Endpoint::new(Role::Submission, Security::Cleartext);
        self.connect(Endpoint { cleartext_login: CleartextLogin::Allowed, ..endpoint }).await
    }

    /// A connection after its greeting.
    async fn connect(&self, endpoint: Endpoint) -> Client {
        let mut client = self.open(endpoint, None);
        client.hear("220 mx.example.org ESMTP Mailstead").await;
        client
    }

    fn open(&self, endpoint: Endpoint, refusal: Option<Refusal>) -> Client {
        let (ours, theirs) = duplex();
        let admission = match refusal {
            None => Admission::Admitted(self.limits.admit(ours.peer_addr().ip()).unwrap()),
            Some(refusal) => Admission::Refused(refusal),
        };
        let connection = Connection { id: ConnectionId(42), stream: ours, admission };
        let task = tokio::spawn(Arc::clone(&self.server).serve(Arc::new(endpoint), connection));
        Client { stream: theirs, unread: Vec::new(), task }
    }

    async fn account(&self, name: &str) -> Account {
        self.store.account(name).await.unwrap().unwrap()
    }

    /// Whoever looks at the store looks at all of it.
    async fn check_store(&self) {
        let report = self.store.check(Depth::Contents, Orphans::Report).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }

    /// The messages in an account's Inbox, whole.
    async fn inbox(&self, account: &str) -> Vec<String> {
        self.mailbox(account, "Inbox").await.expect("an inbox")
    }

    /// The messages in a mailbox, whole; nothing where there is no such mailbox.
    async fn mailbox(&self, account: &str, mailbox: &'static str) -> Option<Vec<String>> {
        self.check_store().await;
        let account = self.account(account).await;
        let rows = account
            .read(|read| match read.mailbox_by_name(mailbox)? {
                Some(found) => read.messages(found.id, &UidSet::all(), Detail::Row, 1000).map(Some),
                None => Ok(None),
            })
            .await
            .unwrap()?;
        let mut messages = Vec::new();
        for row in rows {
            let reader = account.open_message(row.state.id).await.unwrap();
            messages.push(String::from_utf8(reader.read(0..reader.size()).await.unwrap()).unwrap());
        }
        Some(messages)
    }

    async fn only_message(&self, account: &str) -> String {
        let mut messages = self.inbox(account).await;
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages.remove(0)
    }

    /// What is queued: recipient, reverse-path, and the message.
    async fn queued(&self) -> Vec<Queued> {
        self.check_store().await;
        let mut queued = Vec::new();
        for row in self.store.queue().list(None, 1000).await.unwrap() {
            let reader = self.store.queue().open(row.id).await.unwrap().unwrap();
            let message = String::from_utf8(reader.read(0..reader.size()).await.unwrap()).unwrap();
            queued.push(Queued { row, message });
        }
        queued
    }
}

struct Queued {
    row: mailstead_store::QueueRow,
    message: String,
}

/// The other end.
struct Client {
    stream: Stream,
    unread: Vec<u8>,
    task: JoinHandle<()>,
}

impl Client {
    /// Says the `C:` lines and expects the `S:` lines. Marks at the end of replies are not compared.
    async fn play(&mut self, transcript: &str) {
        for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once(": ").unwrap_or_else(|| (line.trim_end_matches(':'), "")) {
                ("C", text) => self.say(&format!("{text}\r\n")).await,
                ("S", text) => self.hear(text).await,
                _ => panic!("{line}"),
            }
        }
    }

    async fn say(&mut self, text: &str) {
        // The server may have closed: what it said before is looked at by `hear`.
        let _ = self.stream.write_all(text.as_bytes()).await;
        let _ = self.stream.flush().await;
    }

    async fn hear(&mut self, expected: &str) {
        let line = self.line().await.unwrap_or_else(|| panic!("connection closed instead of {expected}"));
        assert_eq!(without_mark(&line), expected);
    }

    /// The next line; `None` at the end of the connection.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
            }
        }
    }

    async fn closed(mut self) {
        assert_eq!(self.line().await, None);
        self.task.await.unwrap();
    }

    async fn handshake(&mut self) {
        self.handshake_as(&Certificates::trusting_client()).await;
    }

    async fn handshake_as(&mut self, client: &ClientTls) {
        let name = HOST.to_owned().try_into().unwrap();
        let deadline = Deadline::after(Duration::from_secs(60));
        self.stream.connect_tls(client, name, &self.unread, deadline).await.unwrap();
    }

    async fn login(&mut self, username: &str) {
        use base64::Engine as _;
        let response = base64::engine::general_purpose::STANDARD.encode(format!("\0{username}\0{PASSWORD}"));
        self.play(&format!("C: AUTH PLAIN {response}\nS: 235 2.7.0 welcome")).await;
    }

    /// Everything up to a line with a space after its code.
    async fn reply(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await.expect("a reply");
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(without_mark(&line).to_owned());
            if last {
                return lines;
            }
        }
    }

    async fn ehlo(&mut self) -> Vec<String> {
        self.say("EHLO client.example\r\n").await;
        self.reply().await.into_iter().skip(1).map(|line| line[4..].to_owned()).collect()
    }

    /// A whole message; gives the final reply.
    async fn send(&mut self, from: &str, to: &[&str], message: &str) -> String {
        self.say(&format!("MAIL FROM:<{from}>\r\n")).await;
        assert_eq!(self.reply().await, ["250 2.1.0 sender ok"]);
        for to in to {
            self.say(&format!("RCPT TO:<{to}>\r\n")).await;
            assert_eq!(self.reply().await, ["250 2.1.5 recipient ok"]);
        }
        self.say("DATA\r\n").await;
        assert_eq!(self.reply().await, ["354 send the message, end with a dot on a line"]);
        self.say(&format!("{message}\r\n.\r\n")).await;
        self.reply().await.join("\n")
    }
}

/// A line without its mark: 22 characters in parentheses.
fn without_mark(line: &str) -> &str {
    match line.rsplit_once(" (") {
        Some((text, mark)) if mark.len() == 23 && mark.ends_with(')') => text,
        _ => line,
    }
}
