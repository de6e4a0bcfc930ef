//! Mail that goes different ways: by sender, recipient and attempts, through proxies, or not at all.

use mailstead_dns::{Mx, Record, Target};
use mailstead_names::DomainPattern;
use mailstead_net::{AddressPolicy, Proxy, SocksDialer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::smtp::ACCEPTS;
use super::*;
use crate::explain::{Explanation, Way};
use crate::{Families, Passage, Permanence, ProxyPassage, Route, Transport};

/// The only server of other.example.
const MX: &str = "192.0.2.1:25";
const MX_V6: &str = "[2001:db8::1]:25";
const PROXY: &str = "192.0.2.80:1080";

fn zones() -> Zones {
    Zones::new()
        .with("other.example", Record::Mx(Mx { preference: 10, exchange: Target::parse("mx.other.example") }))
        .with("mx.other.example", Record::A([192, 0, 2, 1].into()))
}

fn dual_stack() -> Zones {
    zones().with("mx.other.example", Record::Aaaa("2001:db8::1".parse().unwrap()))
}

fn route(from: &str, to: &str, minimum_attempts: u32, kind: TransportKind) -> Route {
    let patterns = |text: &str| text.split_whitespace().map(|text| DomainPattern::parse(text).unwrap()).collect();
    let transport = Arc::new(Transport { name: Some("chosen".to_owned()), kind });
    Route { submitters: Vec::new(), from: patterns(from), to: patterns(to), minimum_attempts, transport }
}

fn relay() -> TransportKind {
    TransportKind::Relay(hop(RouteSecurity::Plaintext))
}

/// A world whose mail goes directly where no route matches.
async fn routed(zones: Zones, routes: Vec<Route>) -> World {
    World::outside(zones, Policies::default(), |settings| settings.routes = Routes { routes, ..direct() }).await
}

impl World {
    pub(super) async fn explained(&self, sender: &str, recipient: &str, attempts: u32) -> Explanation {
        let (sender, recipient) = (ReversePath::parse(sender).unwrap(), Address::parse(recipient).unwrap());
        let passage = Passage { submitter: None, sender: &sender, recipient: &recipient, attempts };
        self.queue.explain(passage, Demand::default()).await
    }

    fn dialled(&self) -> Vec<String> {
        self.dialer.dialled().iter().map(ToString::to_string).collect()
    }
}

/// The port that would be connected to.
fn port(explained: &Explanation) -> Option<u16> {
    match &explained.way {
        Way::Hosts(hosts) => Some(hosts.port),
        _ => None,
    }
}

#[tokio::test]
async fn messages_for_one_destination_go_different_ways_by_sender() {
    let world = routed(zones(), vec![route("news.here.example", "", 0, relay())]).await;
    world.submit_as("<you@news.here.example>", &["a@other.example"], Demand::default()).await;
    world.submit(&["a@other.example"]).await;
    let direct = world.peer_at(MX, ACCEPTS);
    let relayed = world.peer_at(HOP, ACCEPTS.replace("<you@", "<you@news.").leak());
    let explained = world.explained("<you@news.here.example>", "a@other.example", 0).await;
    assert_eq!(explained.transport.as_deref(), Some("chosen"));
    assert_eq!(world.explained("<you@here.example>", "a@other.example", 0).await.transport, None);
    world.run();
    world.empty().await;
    direct.await.unwrap();
    relayed.await.unwrap();
    assert_eq!(world.dialled(), [HOP, MX]);
}

#[tokio::test]
async fn recipients_of_one_message_go_different_ways_by_domain() {
    let world = routed(zones(), vec![route("", ".relayed.example", 0, relay())]).await;
    world.submit(&["a@other.example", "a@sub.relayed.example"]).await;
    let direct = world.peer_at(MX, ACCEPTS);
    let relayed = world.peer_at(HOP, ACCEPTS.replace("other", "sub.relayed").leak());
    world.run();
    world.empty().await;
    direct.await.unwrap();
    relayed.await.unwrap();
}

#[tokio::test]
async fn another_way_after_some_attempts() {
    let mut other_port = hop(RouteSecurity::Plaintext);
    other_port.port = 2525;
    let world = routed(zones(), vec![route("", "", 2, TransportKind::Relay(other_port))]).await;
    for (attempts, expected) in [(0, 25), (1, 25), (2, 2525), (3, 2525)] {
        assert_eq!(port(&world.explained("<>", "a@other.example", attempts).await), Some(expected), "{attempts}");
    }
    world.submit(&["a@other.example"]).await;
    world.run();
    for attempt in [1, 2] {
        let row = world.deferred(attempt).await.remove(0);
        world.advance_to(row.next_attempt);
    }
    world.deferred(3).await;
    assert_eq!(world.dialled(), [MX, MX, "192.0.2.25:2525"]);
}

#[tokio::test]
async fn recipients_of_one_message_at_one_destination_go_different_ways_by_attempts() {
    let world = routed(zones(), vec![route("", "", 2, relay())]).await;
    world.submit(&["a@other.example", "b@other.example", "c@other.example"]).await;
    world.run();
    let rows = world.deferred(1).await;
    world.now(vec![rows[0].id]).await;
    world.deferred_row("a@other.example", 2).await;
    let relayed = world.peer_at(HOP, ACCEPTS);
    let direct = world.peer_at(
        MX,
        "S: 220 mx
         C: EHLO here.example
         S: 250 mx
         C: MAIL FROM:<you@here.example>
         S: 250 ok
         C: RCPT TO:<b@other.example>
         S: 250 ok
         C: RCPT TO:<c@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    );
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    world.now(ids).await;
    world.empty().await;
    relayed.await.unwrap();
    direct.await.unwrap();
}

#[tokio::test]
async fn what_a_route_refuses_comes_back_or_waits() {
    let never = TransportKind::refusal(550, "Not by mail");
    let later = TransportKind::refusal(451, "Not on Sundays");
    let routes = vec![route("", "never.example", 0, never), route("", "later.example", 0, later)];
    let world = routed(Zones::new(), routes).await;
    let Way::Fail(failure) = world.explained("<>", "a@never.example", 0).await.way else { panic!("not refused") };
    assert_eq!((failure.permanence, failure.text.as_str()), (Permanence::Permanent, "Not by mail"));
    world.submit(&["a@never.example", "a@later.example"]).await;
    world.run();
    let row = world.deferred_row("a@later.example", 1).await;
    let remembered = crate::attempts(row.result.as_ref()).unwrap().remove(0);
    assert_eq!((remembered.code, remembered.status.as_str()), (Some(451), "4.7.1"));
    world.until("one left", |rows| rows.len() == 1).await;
    let told = world.accounts.delivered().remove(0);
    assert_eq!(told.status("Status").as_deref(), Some("5.7.1"));
    assert_eq!(told.status("Diagnostic-Code").as_deref(), Some("smtp; 550 5.7.1 Not by mail"));
    assert!(world.dialled().is_empty());
}

#[tokio::test]
async fn addresses_of_one_family_only() {
    for (families, expected) in [(Families::Ipv4, MX), (Families::Ipv6, MX_V6)] {
        let kind = TransportKind::Direct(Direct { families, proxy: None });
        let world = routed(dual_stack(), vec![route("", "", 0, kind)]).await;
        let Way::Hosts(hosts) = world.explained("<>", "a@other.example", 0).await.way else { panic!("no hosts") };
        assert_eq!(hosts.hosts[0].plan.as_ref().unwrap().0.addresses.len(), 1);
        world.submit(&["a@other.example"]).await;
        world.run();
        world.deferred(1).await;
        assert_eq!(world.dialled(), [expected]);
    }
}

#[tokio::test]
async fn a_host_without_an_address_of_the_family_is_not_there_for_now() {
    let kind = TransportKind::Direct(Direct { families: Families::Ipv6, proxy: None });
    let world = routed(zones(), vec![route("", "", 0, kind)]).await;
    world.submit(&["a@other.example", "a@[192.0.2.1]"]).await;
    world.run();
    for row in world.deferred(1).await {
        let remembered = crate::attempts(row.result.as_ref()).unwrap().remove(0);
        assert_eq!(remembered.status, "4.4.4");
        assert!(remembered.text.contains("no IPv6 address"), "{}", remembered.text);
    }
    assert!(world.dialled().is_empty());
}

/// Direct delivery through the proxy in this world, greeting with this name.
fn through_proxy(dialer: &Arc<MemoryDialer>, hostname: Option<&str>) -> TransportKind {
    let address: SocketAddr = PROXY.parse().unwrap();
    let proxy = Proxy { host: Host::Ip(address.ip()), port: address.port(), login: None };
    let to_proxy = Arc::<MemoryDialer>::clone(dialer);
    let dialer = Arc::new(SocksDialer::new(proxy, to_proxy, Arc::new(Zones::new()), AddressPolicy::Public));
    let hostname = hostname.map(|name| Domain::parse(name).unwrap());
    TransportKind::Direct(Direct { families: Families::Both, proxy: Some(ProxyPassage { dialer, hostname }) })
}

/// A proxy that is asked for the server of other.example, answers so, and lets it play.
fn proxy(dialer: &MemoryDialer, answer: &'static [u8], script: &'static str) -> tokio::task::JoinHandle<()> {
    let mut stream = dialer.expect(PROXY.parse().unwrap());
    tokio::spawn(async move {
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 1, 0]);
        stream.write_all(&[5, 0]).await.unwrap();
        let mut request = [0; 10];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(request, [5, 1, 0, 1, 192, 0, 2, 1, 0, 25]);
        stream.write_all(answer).await.unwrap();
        ScriptedPeer::new(stream).play(script).await;
    })
}

/// A world that delivers through the proxy, and the dialer that reaches it.
async fn behind_proxy(hostname: Option<&str>) -> (World, Arc<MemoryDialer>) {
    let dialer = MemoryDialer::new();
    let kind = through_proxy(&dialer, hostname);
    (routed(zones(), vec![route("", "", 0, kind)]).await, dialer)
}

#[tokio::test]
async fn through_a_proxy_with_its_name_and_its_address() {
    let (world, dialer) = behind_proxy(Some("exit.example")).await;
    world.submit(&["a@other.example"]).await;
    let connected = &[5, 0, 0, 1, 203, 0, 113, 9, 15, 160];
    let proxy = proxy(
        &dialer,
        connected,
        ACCEPTS.replace("here.example\n    S: 250 hop", "exit.example\n    S: 250 hop").leak(),
    );
    world.run();
    world.empty().await;
    proxy.await.unwrap();
    // Nobody was connected to but the proxy.
    assert!(world.dialled().is_empty());
    let recorded = world.results.0.lock().unwrap();
    let sessions: Vec<_> = recorded.iter().filter_map(|results| results.session.clone()).collect();
    assert_eq!(sessions[0].sending_mta_ip, Some([203, 0, 113, 9].into()));
    assert_eq!(sessions[0].receiving_ip.to_string(), "192.0.2.1");
}

#[tokio::test]
async fn an_address_that_a_proxy_keeps_to_itself_is_not_reported() {
    let (world, dialer) = behind_proxy(None).await;
    world.submit(&["a@other.example"]).await;
    let proxy = proxy(&dialer, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], ACCEPTS);
    world.run();
    world.empty().await;
    proxy.await.unwrap();
    let recorded = world.results.0.lock().unwrap();
    let sessions: Vec<_> = recorded.iter().filter_map(|results| results.session.clone()).collect();
    assert_eq!(sessions[0].sending_mta_ip, None);
}

#[tokio::test]
async fn what_a_proxy_refuses_may_work_later() {
    let (world, dialer) = behind_proxy(None).await;
    world.submit(&["a@other.example"]).await;
    let proxy = proxy(&dialer, &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0], "");
    world.run();
    let row = world.deferred(1).await.remove(0);
    proxy.await.unwrap();
    let remembered = crate::attempts(row.result.as_ref()).unwrap().remove(0);
    assert_eq!(remembered.text, "Connecting failed: the proxy did not connect: connection refused (5)");
    assert_eq!(remembered.host.as_deref(), Some("mx.other.example [192.0.2.1]"));
}

#[tokio::test]
async fn a_relay_with_authorities_of_its_own_believes_no_others() {
    let loopback: SocketAddr = "127.0.0.1:465".parse().unwrap();
    let nobody = OutgoingTls::new(Arc::new(rustls::RootCertStore::empty()));
    for (tls, is_believed) in [(None, true), (Some(nobody), false)] {
        let hop = NextHop {
            host: Host::Ip(loopback.ip()),
            port: loopback.port(),
            security: RouteSecurity::Implicit,
            tls,
            credentials: None,
        };
        let world = routed(Zones::new(), vec![route("", "", 0, TransportKind::Relay(hop))]).await;
        world.submit(&["a@other.example"]).await;
        let mut peer = ScriptedPeer::new(world.dialer.expect(loopback));
        world.run();
        let tls = Certificates::server(&["hop.example"]);
        let shaken = peer.stream().start_tls(&tls, &[], mailstead_runtime::Deadline::NEVER).await;
        assert_eq!(shaken.is_ok(), is_believed);
    }
}
