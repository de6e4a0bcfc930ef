//! Many messages to many domains in a simulated network: some hosts slow, some dead, most domains on few hosts.
//!
//! `MAILSTEAD_LOAD` says how many messages (a tenth as many domains); `cargo xtask bench --queue` takes 100,000.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use mailstead_dns::{Answer, Authenticity, Existence, Lookup, Mx, Record, RecordType, Target};
use mailstead_net::{Error, Stream};
use mailstead_runtime::{Deadline, join_all};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::Notify;

use super::*;

/// Hosts that the domains share. Every tenth is dead at first, every tenth is slow.
const HOSTS: usize = 100;
const CONCURRENCY: usize = 40;
const HOST_CONCURRENCY: usize = 5;
/// What a slow host takes for each reply.
const SLOWNESS: Duration = Duration::from_millis(5);
/// Messages queued in one go.
const AT_ONCE: usize = 200;

/// The network: its names, its hosts, and what they have taken.
#[derive(Debug, Default)]
struct Network {
    up: AtomicBool,
    open: Mutex<BTreeMap<IpAddr, usize>>,
    most_open: AtomicUsize,
    most_at_a_host: AtomicUsize,
    dialled: AtomicUsize,
    /// Messages by domain, in the order in which they came.
    taken: Mutex<HashMap<String, Vec<usize>>>,
    /// One more was taken.
    took: Notify,
}

impl Network {
    /// Waits until what was taken is as the test wants it.
    async fn until(&self, wanted: impl Fn(&HashMap<String, Vec<usize>>) -> bool) {
        let waiting = async {
            while !wanted(&self.taken.lock().unwrap()) {
                self.took.notified().await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(ended.is_ok(), "never taken: {:?}", self.taken.lock().unwrap());
    }

    /// Waits until so many messages were taken.
    async fn until_taken(&self, messages: usize) {
        self.until(|taken| taken.values().map(Vec::len).sum::<usize>() >= messages).await;
    }
}

fn host_of(ip: IpAddr) -> usize {
    match ip {
        IpAddr::V4(ip) => usize::from(ip.octets()[3]),
        IpAddr::V6(_) => 0,
    }
}

fn is_dead(host: usize) -> bool {
    host % 10 == 3
}

fn is_slow(host: usize) -> bool {
    host % 10 == 7
}

/// `d17.example` has its mail at `mx17.hosting.example`, modulo the number of hosts.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        let text = name.as_ascii();
        let number = |prefix: &str, suffix: &str| -> Option<usize> {
            text.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok()
        };
        let records = match record_type {
            RecordType::Mx => number("d", ".example").map(|domain| {
                let exchange = Target::parse(&format!("mx{}.hosting.example", domain % HOSTS));
                Record::Mx(Mx { preference: 10, exchange })
            }),
            RecordType::A => {
                number("mx", ".hosting.example").map(|host| Record::A([192, 0, 2, u8::try_from(host).unwrap()].into()))
            }
            _ => None,
        };
        const TTL: Duration = Duration::from_secs(300);
        let answer = match records {
            Some(record) => Answer::found(vec![record], Authenticity::Insecure, TTL),
            None => Answer::absent(Existence::NoData, Authenticity::Insecure, TTL),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// Connections into the network. A type of its own: what is served must own it.
#[derive(Debug, Clone)]
struct Wires(Arc<Network>);

impl Dialer for Wires {
    fn dial(&self, target: mailstead_net::Target, _: Deadline) -> BoxFuture<'_, Result<Stream, Error>> {
        let network = &self.0;
        network.dialled.fetch_add(1, Ordering::Relaxed);
        let ip = target.address.ip();
        let host = host_of(ip);
        if is_dead(host) && !network.up.load(Ordering::Relaxed) {
            return Box::pin(std::future::ready(Err(Error::Io(std::io::ErrorKind::ConnectionRefused.into()))));
        }
        {
            let mut open = network.open.lock().unwrap();
            let here = open.entry(ip).or_default();
            *here += 1;
            network.most_at_a_host.fetch_max(*here, Ordering::Relaxed);
            let all: usize = open.values().sum();
            network.most_open.fetch_max(all, Ordering::Relaxed);
        }
        let ours: SocketAddr = "192.0.2.254:40000".parse().unwrap();
        let (near, far) = tokio::io::duplex(16 * 1024);
        let network = Arc::clone(network);
        tokio::spawn(async move {
            // A client that goes away is none of our business here.
            let _ = serve(&network, far, host).await;
            *network.open.lock().unwrap().get_mut(&ip).unwrap() -= 1;
        });
        Box::pin(std::future::ready(Ok(Stream::from_transport(near, target.address, ours))))
    }
}

/// A server that takes everything, and notes the number in the subject.
async fn serve(network: &Network, stream: tokio::io::DuplexStream, host: usize) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut domain = String::new();
    let mut line = String::new();
    let mut reply = "220 mx".to_owned();
    loop {
        if is_slow(host) {
            tokio::time::sleep(SLOWNESS).await;
        }
        stream.get_mut().write_all(format!("{reply}\r\n").as_bytes()).await?;
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        reply = match line.trim_end().split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250 mx".to_owned(),
            "RCPT" => {
                domain = line.split(['@', '>']).nth(1).unwrap_or_default().to_owned();
                "250 ok".to_owned()
            }
            "DATA" => {
                stream.get_mut().write_all(b"354 go\r\n").await?;
                let mut number = None;
                loop {
                    line.clear();
                    stream.read_line(&mut line).await?;
                    if line == ".\r\n" {
                        break;
                    }
                    number = number.or_else(|| line.strip_prefix("Subject: ")?.trim().parse().ok());
                }
                let number = number.expect("a number in the subject");
                network.taken.lock().unwrap().entry(domain.clone()).or_default().push(number);
                network.took.notify_one();
                "250 taken".to_owned()
            }
            "QUIT" => {
                stream.get_mut().write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok".to_owned(),
        };
    }
}

/// Peak of the memory of this process, in octets.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Queues a message with this number for this domain.
async fn submit(world: &World, number: usize, domain: usize) {
    let (to, message) = (format!("a@d{domain}.example"), format!("Subject: {number}\r\n\r\nHello.\r\n"));
    world.submit_message(&[&to], &message).await;
}

#[expect(clippy::print_stderr, reason = "figures of the benchmark")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_to_many_domains() {
    let messages: usize = std::env::var("MAILSTEAD_LOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(2000);
    let domains = messages / 10;
    let network = Arc::<Network>::default();
    let world = World::load(Wires(Arc::clone(&network)), Names, |settings| {
        settings.routes = direct();
        settings.concurrency = CONCURRENCY;
        settings.host_concurrency = HOST_CONCURRENCY;
    })
    .await;
    let begun = Instant::now();
    for first in (0..messages).step_by(AT_ONCE.min(domains)) {
        // No two for one domain in one go, so that their order is known.
        let group = first..messages.min(first + AT_ONCE.min(domains));
        join_all(group.map(|number| submit(&world, number, number % domains))).await;
    }
    let queued = begun.elapsed();
    let before = peak_memory();
    let dead: usize = (0..messages).filter(|number| is_dead(number % domains % HOSTS)).count();

    let begun = Instant::now();
    world.run();
    let settled = async |rows: u64| {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if world.store.queue().count().await.unwrap() == rows {
                return;
            }
            let left = world.store.queue().count().await.unwrap();
            let row = world.store.queue().list(None, 1).await.unwrap().pop();
            let told = row.map(|row| (row.attempts, crate::attempts(row.result.as_ref())));
            assert!(
                begun.elapsed() < Duration::from_secs(if messages > 10_000 { 1200 } else { 15 }),
                "never done: {left} left, {rows} expected, the first: {told:?}"
            );
        }
    };
    settled(dead as u64).await;
    // What goes to dead hosts has been tried once, and waits.
    world.until_tried(dead).await;
    let took = begun.elapsed();
    let taken: usize = network.taken.lock().unwrap().values().map(Vec::len).sum();
    assert_eq!(taken, messages - dead);

    // The dead come to life, and get what waits when it is due and not before.
    network.up.store(true, Ordering::Relaxed);
    world.queue.kick();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.store.queue().count().await.unwrap(), dead as u64);
    world.clock.advance(Duration::from_secs(460));
    world.queue.kick();
    settled(0).await;

    let taken = network.taken.lock().unwrap();
    assert_eq!(taken.len(), domains);
    for (domain, numbers) in taken.iter() {
        // Each once, and at the first attempt in the order in which they were queued; later ones vary by some seconds.
        let mut ordered = numbers.clone();
        ordered.sort_unstable();
        ordered.dedup();
        assert_eq!((numbers.len(), ordered.len()), (messages / domains, messages / domains), "{domain}");
        assert!(is_dead(ordered[0] % HOSTS) || *numbers == ordered, "{domain}: {numbers:?}");
    }
    assert!(network.most_open.load(Ordering::Relaxed) <= CONCURRENCY);
    assert!(network.most_at_a_host.load(Ordering::Relaxed) <= HOST_CONCURRENCY);
    let (before, after) = (before.unwrap_or(0), peak_memory().unwrap_or(0));
    let grown = after.saturating_sub(before) >> 20;
    let rate = (messages - dead) as f64 / took.as_secs_f64();
    let dialled = network.dialled.load(Ordering::Relaxed);
    eprintln!(
        "{messages} messages to {domains} domains: queued in {queued:.1?}, delivered in {took:.1?} ({rate:.0}/s), \
         {dialled} connections, memory grew by {grown} MiB to {} MiB",
        after >> 20
    );
    // Far below what the messages' rows would take together where there are many.
    assert!(grown < 100, "memory grew by {grown} MiB");
}

async fn many_for_one_domain(
    messages: usize,
    domain: usize,
    change: impl FnOnce(&mut Settings),
) -> (World, Arc<Network>) {
    let network = Arc::<Network>::default();
    let world = World::load(Wires(Arc::clone(&network)), Names, |settings| {
        settings.routes = direct();
        settings.destination_concurrency = 4;
        change(settings);
    })
    .await;
    for number in 0..messages {
        submit(&world, number, domain).await;
    }
    (world, network)
}

#[tokio::test]
async fn many_messages_to_one_domain_share_some_connections() {
    // The slow host.
    let (world, network) = many_for_one_domain(100, 7, |_| {}).await;
    world.run();
    network.until_taken(100).await;
    world.empty().await;
    assert_eq!(network.most_at_a_host.load(Ordering::Relaxed), 4);
    assert_eq!(network.dialled.load(Ordering::Relaxed), 4);
    let taken = network.taken.lock().unwrap()["d7.example"].clone();
    assert_eq!((taken.len(), taken.first()), (100, Some(&0)), "the first goes alone");
    for (position, number) in taken.iter().enumerate() {
        assert!(position.abs_diff(*number) < 12, "they begin in order: {taken:?}");
    }
}

#[tokio::test]
async fn a_dead_host_is_dialled_once_however_much_waits() {
    let (world, network) = many_for_one_domain(100, 3, |_| {}).await;
    world.run();
    world.until_tried(100).await;
    assert_eq!(network.dialled.load(Ordering::Relaxed), 1);
}

/// Two connections take all the room there is. A message for another domain must not wait until they have done.
async fn makes_way(other: usize, change: impl FnOnce(&mut Settings)) {
    let (world, network) = many_for_one_domain(100, 7, change).await;
    world.run();
    network.until_taken(10).await;
    assert_eq!(network.open.lock().unwrap().values().sum::<usize>(), 2);
    submit(&world, 100, other).await;
    let begun = network.taken.lock().unwrap()["d7.example"].len();
    let other = format!("d{other}.example");
    network.until(|taken| taken.contains_key(&other)).await;
    // One message each may have been on its way over either connection, and some more until the other domain was served: how
    // many depends on the machine, but without making way it would be all 90.
    let waited = network.taken.lock().unwrap()["d7.example"].len() - begun;
    assert!(waited <= 45, "{waited} messages went first");
    network.until_taken(101).await;
    world.empty().await;
    assert_eq!(network.most_open.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn further_connections_to_a_domain_make_way_for_other_domains() {
    makes_way(8, |settings| settings.concurrency = 2).await;
}

#[tokio::test]
async fn further_connections_to_a_host_make_way_for_other_domains() {
    // At the same host, which is the slow one.
    makes_way(107, |settings| settings.host_concurrency = 2).await;
}
