//! Scenarios of the queue: a store on the disk, a clock moved by hand, servers that play a script.

mod conversion;
mod direct;
mod load;
mod local;
mod notification;
mod operator;
mod retries;
mod routes;
mod smtp;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use mailstead_dns::Resolver;
use mailstead_message::Structure;
use mailstead_message::header::Fields;
use mailstead_names::{Address, Domain, Host, ReversePath};
use mailstead_net::Dialer;
use mailstead_runtime::{BoxFuture, Clock as _, Shutdown, Supervisor};
use mailstead_smtp::Reply;
use mailstead_store::{AccountId, Options, QueueRow, Staged, Store};
use mailstead_testkit::{Certificates, ManualClock, MemoryDialer, ScriptedPeer, SeededRandom, Zones};
use tempfile::TempDir;

use mailstead_tlspolicy::facts::StsState;
use mailstead_tlspolicy::plan::{Terms, TlsResult};

use crate::facts::StsPolicies;
use crate::{
    Demand, Direct, Envelope, EnvelopeRecipient, LocalDelivery, LocalMessage, MessageClass, Metrics, NextHop,
    Notification, OutgoingTls, Queue, RouteSecurity, Routes, Services, Settings, TlsResultSink, TlsResults,
    TransportKind,
};

/// What the scenarios' next hop listens on.
const HOP: &str = "192.0.2.25:25";
/// The account that submits.
const SUBMITTER: AccountId = AccountId(7);

/// Accounts of `here.example`: keeps what is delivered, refuses what a test says.
#[derive(Debug, Default)]
struct Accounts {
    state: Mutex<AccountsState>,
}

#[derive(Debug, Default)]
struct AccountsState {
    /// Addresses for which delivery never ends.
    hanging: HashSet<String>,
    /// Addresses for which delivery panics.
    panicking: HashSet<String>,
    /// Replies for an address before it accepts.
    replies: HashMap<String, VecDeque<Reply>>,
    seen: HashSet<String>,
    delivered: Vec<Delivered>,
    calls: usize,
}

#[derive(Debug, Clone)]
struct Delivered {
    sender: String,
    recipient: String,
    account: Option<AccountId>,
    message: String,
}

impl Delivered {
    fn field(&self, name: &str) -> String {
        Fields::find(self.message.as_bytes(), name).map(|field| field.text()).unwrap_or_default()
    }

    /// A field of the delivery status.
    fn status(&self, name: &str) -> Option<String> {
        let structure = Structure::scan(self.message.as_bytes());
        let part = mailstead_message::dsn::status_part(&structure)?;
        let body = self.message.get(usize::try_from(part.body.start).ok()?..usize::try_from(part.body.end).ok()?)?;
        body.split("\r\n\r\n").find_map(|group| Some(Fields::find(group.as_bytes(), name)?.text()))
    }
}

impl Accounts {
    fn state(&self) -> std::sync::MutexGuard<'_, AccountsState> {
        self.state.lock().unwrap()
    }

    fn refuse(&self, recipient: &str, replies: &[Reply]) {
        self.state().replies.entry(recipient.to_owned()).or_default().extend(replies.iter().cloned());
    }

    fn delivered(&self) -> Vec<Delivered> {
        self.state().delivered.clone()
    }
}

impl LocalDelivery for Accounts {
    fn is_local(&self, recipient: &Address) -> bool {
        recipient.domain().is_some_and(|domain| domain.as_ascii() == "here.example")
    }

    fn deliver(&self, message: LocalMessage) -> BoxFuture<'_, Vec<Reply>> {
        let octets = [message.prefix, message.staged.body().read_at(0..u64::MAX).unwrap()].concat();
        let mut state = self.state();
        state.calls += 1;
        let is_in = |set: &HashSet<String>| message.recipients.iter().any(|r| set.contains(&r.address.to_string()));
        if is_in(&state.hanging) {
            return Box::pin(std::future::pending());
        }
        if is_in(&state.panicking) {
            return Box::pin(async { panic!("as the test wants") });
        }
        let replies = message
            .recipients
            .iter()
            .map(|recipient| {
                let address = recipient.address.to_string();
                if let Some(reply) = state.replies.get_mut(&address).and_then(VecDeque::pop_front) {
                    return reply;
                }
                if state.seen.insert(recipient.delivery.0.clone()) {
                    state.delivered.push(Delivered {
                        sender: message.sender.to_string(),
                        recipient: address,
                        account: message.account,
                        message: String::from_utf8(octets.clone()).unwrap(),
                    });
                }
                Reply::plain(250, "stored")
            })
            .collect();
        Box::pin(std::future::ready(replies))
    }
}

/// MTA-STS policies by domain.
#[derive(Debug, Default)]
struct Policies(HashMap<String, StsState>);

impl StsPolicies for Policies {
    fn state<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, StsState> {
        let state = self.0.get(domain.as_ascii()).cloned().unwrap_or(StsState::NotFound);
        Box::pin(std::future::ready(state))
    }
}

/// What was told about TLS.
#[derive(Debug, Default)]
struct Results(Mutex<Vec<TlsResults>>);

impl TlsResultSink for Results {
    fn record(&self, results: TlsResults) {
        self.0.lock().unwrap().push(results);
    }
}

impl Results {
    /// One line for each result: for whom, at which host, what.
    fn lines(&self) -> Vec<String> {
        let line = |results: &TlsResults, result: &TlsResult| {
            let failure = result.failure.as_ref().map_or("success".to_owned(), ToString::to_string);
            let kind = match result.policy.terms {
                Terms::Sts(_) => "sts",
                Terms::Tlsa(_) => "tlsa",
                Terms::NoPolicyFound => "none",
            };
            let host = results.host.as_ref().map_or("-".to_owned(), ToString::to_string);
            format!("{} {kind} at {host}: {failure}", result.policy.domain)
        };
        let recorded = self.0.lock().unwrap();
        recorded.iter().flat_map(|results| results.results.iter().map(|result| line(results, result))).collect()
    }
}

/// A queue with everything around it.
struct World {
    queue: Queue,
    store: Store,
    clock: ManualClock,
    dialer: Arc<MemoryDialer>,
    accounts: Arc<Accounts>,
    results: Arc<Results>,
    shutdown: Shutdown,
    supervisor: Supervisor,
    _directory: TempDir,
}

impl World {
    async fn new() -> World {
        World::with(|_| {}).await
    }

    /// A world whose queue does not run yet.
    async fn with(change: impl FnOnce(&mut Settings)) -> World {
        World::outside(Zones::new(), Policies::default(), change).await
    }

    /// A world with names and MTA-STS policies of others.
    async fn outside(zones: Zones, sts: Policies, change: impl FnOnce(&mut Settings)) -> World {
        World::around(Arc::new(zones), sts, None, change).await
    }

    /// A world with a network of its own.
    async fn load(
        network: impl Dialer + 'static,
        names: impl Resolver + 'static,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        World::around(Arc::new(names), Policies::default(), Some(Arc::new(network)), change).await
    }

    async fn around(
        resolver: Arc<dyn Resolver>,
        sts: Policies,
        network: Option<Arc<dyn Dialer>>,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let directory = TempDir::new().unwrap();
        let clock = ManualClock::new();
        let store = Store::open(Options::new(directory.path(), clock.shared())).await.unwrap();
        let (dialer, accounts) = (MemoryDialer::new(), Arc::<Accounts>::default());
        let results = Arc::<Results>::default();
        let (shutdown, supervisor) = (Shutdown::new(Duration::from_secs(3)), Supervisor::new());
        let mut settings = Settings::new(Domain::parse("here.example").unwrap());
        settings.routes = relayed(hop(RouteSecurity::Opportunistic));
        change(&mut settings);
        let services = Services {
            store: store.clone(),
            clock: clock.shared(),
            random: Arc::new(SeededRandom::new(1)),
            dialer: Arc::<MemoryDialer>::clone(&dialer),
            direct_dialer: network.unwrap_or_else(|| Arc::<MemoryDialer>::clone(&dialer)),
            resolver,
            sts: Arc::new(sts),
            results: Arc::<Results>::clone(&results),
            tls: OutgoingTls::new(Certificates::roots()),
            local: Arc::<Accounts>::clone(&accounts),
            supervisor: supervisor.clone(),
            shutdown: shutdown.clone(),
            metrics: Metrics::default(),
        };
        let queue = Queue::new(settings, services);
        World { queue, store, clock, dialer, accounts, results, shutdown, supervisor, _directory: directory }
    }

    fn run(&self) {
        let queue = self.queue.clone();
        self.supervisor.spawn("queue", async move { queue.run().await });
    }

    async fn stage(&self, message: &str) -> Staged {
        let mut stage = self.store.stage();
        stage.write(message.as_bytes()).await.unwrap();
        stage.finish().await.unwrap()
    }

    async fn submit(&self, recipients: &[&str]) {
        self.submit_as("<you@here.example>", recipients, Demand::default()).await;
    }

    async fn submit_as(&self, sender: &str, recipients: &[&str], demand: Demand) {
        let recipients = recipients.iter().map(|text| Address::parse(text).unwrap().into()).collect();
        self.submit_asking(sender, recipients, Notification::default(), demand).await;
    }

    async fn submit_asking(
        &self,
        sender: &str,
        recipients: Vec<EnvelopeRecipient>,
        notification: Notification,
        demand: Demand,
    ) {
        let staged = self.stage("Subject: test\r\nMessage-ID: <1@here.example>\r\n\r\nHello.\r\n.\r\n").await;
        let envelope = Envelope {
            submitter: Some(SUBMITTER),
            sender: ReversePath::parse(sender).unwrap(),
            recipients,
            eight_bit: false,
            smtputf8: false,
            notification,
        };
        let prefix = b"Received: by here.example\r\n".to_vec();
        self.queue.enqueue(envelope, prefix, staged, demand, MessageClass::Submission).await.unwrap();
    }

    /// Queues a message whose header and body say what it needs.
    async fn submit_message(&self, recipients: &[&str], message: &str) {
        let staged = self.stage(message).await;
        let structure = Structure::scan(message.as_bytes());
        let envelope = Envelope {
            submitter: Some(SUBMITTER),
            sender: ReversePath::parse("<you@here.example>").unwrap(),
            recipients: recipients.iter().map(|text| Address::parse(text).unwrap().into()).collect(),
            eight_bit: structure.has_8bit(),
            smtputf8: structure.needs_smtputf8(),
            notification: Notification::default(),
        };
        let (demand, class) = (Demand::default(), MessageClass::Submission);
        self.queue.enqueue(envelope, Vec::new(), staged, demand, class).await.unwrap();
    }

    async fn rows(&self) -> Vec<QueueRow> {
        self.store.queue().list(None, 1000).await.unwrap()
    }

    /// Waits until the rows are as the test wants them.
    async fn until(&self, what: &str, wanted: impl Fn(&[QueueRow]) -> bool) -> Vec<QueueRow> {
        let waiting = async {
            loop {
                let rows = self.rows().await;
                if wanted(&rows) {
                    return rows;
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), waiting).await {
            Ok(rows) => rows,
            Err(_) => panic!("never {what}: {:#?}", self.rows().await),
        }
    }

    /// Waits until this many rows have failed an attempt.
    async fn until_tried(&self, rows: usize) {
        self.until("tried", |all| all.iter().filter(|row| row.attempts > 0 && !row.leased).count() >= rows.min(1000))
            .await;
    }

    /// Makes the next attempts for these rows due.
    async fn now(&self, ids: Vec<mailstead_store::QueueId>) {
        self.store.queue().reschedule(ids, self.clock.now()).await.unwrap();
        self.queue.kick();
    }

    async fn empty(&self) {
        self.until("empty", <[QueueRow]>::is_empty).await;
    }

    /// Waits until every row has failed this attempt.
    async fn deferred(&self, attempt: u32) -> Vec<QueueRow> {
        let waits = |row: &QueueRow| row.attempts == attempt && !row.leased;
        self.until("deferred", |rows| !rows.is_empty() && rows.iter().all(waits)).await
    }

    /// Waits until the row of this recipient has failed this attempt, whatever other rows there are.
    async fn deferred_row(&self, recipient: &str, attempt: u32) -> QueueRow {
        let is = |row: &QueueRow| row.recipient.to_string() == recipient && row.attempts == attempt && !row.leased;
        let rows = self.until("deferred", |rows| rows.iter().any(is)).await;
        rows.into_iter().find(is).unwrap()
    }

    /// Moves the clock to this moment.
    fn advance_to(&self, when: Timestamp) {
        if let Ok(wait) = Duration::try_from(when.duration_since(self.clock.now())) {
            self.clock.advance(wait);
        }
        // The worker may just have been about to sleep.
        self.queue.kick();
    }

    /// A server that plays this script with the next connection to the next hop.
    fn peer(&self, script: &'static str) -> tokio::task::JoinHandle<Vec<String>> {
        self.peer_at(HOP, script)
    }

    /// A server that plays this script with the next connection to this address.
    fn peer_at(&self, address: &str, script: &'static str) -> tokio::task::JoinHandle<Vec<String>> {
        let mut peer = ScriptedPeer::new(self.dialer.expect(address.parse().unwrap()));
        tokio::spawn(async move {
            peer.play(script).await;
            peer.heard().to_vec()
        })
    }
}

fn address() -> SocketAddr {
    HOP.parse().unwrap()
}

fn hop(security: RouteSecurity) -> NextHop {
    NextHop { host: Host::Ip(address().ip()), port: address().port(), security, tls: None, credentials: None }
}

/// All mail to this server.
fn relayed(hop: NextHop) -> Routes {
    Routes::only(TransportKind::Relay(hop).into())
}

/// All mail to the servers that the DNS names.
fn direct() -> Routes {
    Routes::only(TransportKind::Direct(Direct::default()).into())
}

fn reply(code: u16, status: &str, text: &str) -> Reply {
    Reply::new(code, mailstead_names::EnhancedStatus::parse(status).unwrap(), text)
}
