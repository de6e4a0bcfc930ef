//! Delivery to the servers that the DNS names.

use std::net::IpAddr;

use mailstead_dns::{LookupErrorKind, Mx, Record, RecordType, Target, Tlsa};
use mailstead_net::tls::ServerTls;
use mailstead_tlspolicy::sts::Policy;

use super::smtp::ACCEPTS;
use super::*;
use crate::{Plaintext, TlsRequirement, attempts};

const FIRST: &str = "192.0.2.1:25";
const SECOND: &str = "192.0.2.2:25";
const FIRST_V6: &str = "[2001:db8::1]:25";

fn a(ip: &str) -> Record {
    match ip.parse().unwrap() {
        IpAddr::V4(ip) => Record::A(ip),
        IpAddr::V6(ip) => Record::Aaaa(ip),
    }
}

fn mx(preference: u16, exchange: &str) -> Record {
    Record::Mx(Mx { preference, exchange: Target::parse(exchange) })
}

/// other.example with two hosts, which are signed.
fn two_hosts() -> Zones {
    Zones::new()
        .secure("example")
        .with("other.example", mx(10, "mx1.other.example"))
        .with("other.example", mx(20, "mx2.other.example"))
        .with("mx1.other.example", a("192.0.2.1"))
        .with("mx2.other.example", a("192.0.2.2"))
}

fn tlsa(data: &[u8]) -> Record {
    Record::Tlsa(Tlsa { usage: 3, selector: 1, matching_type: 1, data: data.to_vec() })
}

/// A server with the TLSA record for its certificate.
fn with_tlsa() -> (ServerTls, Record) {
    let identity = Certificates::identity(&["mx1.other.example"]);
    let record = mailstead_tlspolicy::verify::record_for(&identity.chain()[0], 3, 1, 1).unwrap();
    let tls =
        ServerTls::new(&[identity], mailstead_net::tls::SessionTickets::Off, mailstead_net::tls::UnknownName::Fallback);
    (tls.unwrap(), Record::Tlsa(record))
}

async fn directly(zones: Zones) -> World {
    World::outside(zones, Policies::default(), |settings| settings.routes = direct()).await
}

fn dialled(world: &World) -> Vec<String> {
    world.dialer.dialled().iter().map(ToString::to_string).collect()
}

const STARTTLS: &str = "S: 220 mx
    C: EHLO here.example
    S: 250-mx.called.example
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 go";

/// A server that speaks TLS and takes messages.
fn secure_peer(world: &World, at: &str, tls: ServerTls, script: &'static str) -> tokio::task::JoinHandle<()> {
    let mut peer = ScriptedPeer::new(world.dialer.expect(at.parse().unwrap()));
    tokio::spawn(async move {
        peer.play(STARTTLS).await;
        if peer.stream().start_tls(&tls, &[], mailstead_runtime::Deadline::NEVER).await.is_ok() {
            peer.play(script).await;
        }
    })
}

const TAKES: &str = "C: EHLO here.example
    S: 250 mx.called.example
    C: MAIL FROM:<you@here.example>
    S: 250 ok
    C: RCPT TO:<a@other.example>
    S: 250 ok
    C: DATA
    S: 354 go
    C: <data>
    S: 250 taken
    C: QUIT
    S: 221 bye";

#[tokio::test]
async fn the_preferred_host_first_and_the_other_where_nobody_answers() {
    let world = directly(two_hosts()).await;
    world.submit(&["a@other.example"]).await;
    let peer = world.peer_at(SECOND, ACCEPTS);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(dialled(&world), [FIRST, SECOND]);
    // STARTTLS was looked for at the second; the first was never spoken to.
    assert_eq!(
        world.results.lines(),
        [
            "other.example none at mx2.other.example: starttls-not-supported",
            "mx2.other.example none at mx2.other.example: starttls-not-supported"
        ]
    );
}

#[tokio::test]
async fn what_one_host_puts_off_the_next_may_take() {
    let world = directly(two_hosts()).await;
    world.submit(&["a@other.example", "no@other.example", "later@other.example"]).await;
    let first = world.peer_at(
        FIRST,
        "S: 220 mx
         C: EHLO here.example
         S: 250 mx
         C: MAIL FROM:<you@here.example>
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 450 4.2.0 greylisted
         C: RCPT TO:<no@other.example>
         S: 550 5.1.1 nobody
         C: RCPT TO:<later@other.example>
         S: 450 4.2.0 greylisted
         C: QUIT
         S: 221 bye",
    );
    let second = world.peer_at(
        SECOND,
        "S: 220 mx
         C: EHLO here.example
         S: 250 mx
         C: MAIL FROM:<you@here.example>
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 250 ok
         C: RCPT TO:<later@other.example>
         S: 451 4.3.0 busy
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    );
    world.run();
    let row = world.deferred_row("later@other.example", 1).await;
    first.await.unwrap();
    second.await.unwrap();
    world.until("told", |rows| rows.len() == 1).await;
    let remembered = crate::attempts(row.result.as_ref()).unwrap().remove(0);
    assert_eq!(remembered.host.as_deref(), Some("mx2.other.example [192.0.2.2]"));
    assert_eq!(remembered.ip, Some(IpAddr::from([192, 0, 2, 2])));
    assert_eq!(world.accounts.delivered()[0].status("Final-Recipient").as_deref(), Some("rfc822; no@other.example"));
}

#[tokio::test]
async fn what_went_wrong_at_each_host_is_told() {
    let world = directly(two_hosts()).await;
    world.submit(&["a@other.example"]).await;
    let second = world.peer_at(SECOND, "S: 421 4.3.2 going down");
    world.run();
    let row = world.deferred_row("a@other.example", 1).await;
    second.await.unwrap();
    let told = attempts(row.result.as_ref()).unwrap().remove(0);
    assert_eq!(
        told.text,
        "The server answered: 421 4.3.2 going down. Before that, at mx1.other.example [192.0.2.1]: Connecting \
         failed: connection refused"
    );
    assert_eq!(told.host.as_deref(), Some("mx2.other.example [192.0.2.2]"));
}

/// A server without SMTPUTF8, and the end of who looked for it.
const WITHOUT_SMTPUTF8: &str = "S: 220 mx
     C: EHLO here.example
     S: 250-mx
     S: 250 8BITMIME
     C: QUIT
     S: 221 bye";

#[tokio::test]
async fn what_one_host_does_not_offer_the_next_may() {
    let world = directly(two_hosts()).await;
    world.submit(&["jörg@other.example"]).await;
    let first = world.peer_at(FIRST, WITHOUT_SMTPUTF8);
    let second = world.peer_at(
        SECOND,
        "S: 220 mx
         C: EHLO here.example
         S: 250-mx
         S: 250-8BITMIME
         S: 250 SMTPUTF8
         C: MAIL FROM:<you@here.example> SMTPUTF8
         S: 250 ok
         C: RCPT TO:<jörg@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    );
    world.run();
    world.empty().await;
    first.await.unwrap();
    second.await.unwrap();
    assert!(world.accounts.delivered().is_empty(), "no notice");
}

#[tokio::test]
async fn what_no_host_offers_comes_back_and_waits_while_one_is_away() {
    for away in [true, false] {
        let world = directly(two_hosts()).await;
        world.submit(&["jörg@other.example"]).await;
        let mut peers = vec![world.peer_at(FIRST, WITHOUT_SMTPUTF8)];
        if !away {
            peers.push(world.peer_at(SECOND, WITHOUT_SMTPUTF8));
        }
        world.run();
        if away {
            world.deferred_row("jörg@other.example", 1).await;
        } else {
            world.empty().await;
        }
        for peer in peers {
            peer.await.unwrap();
        }
    }
}

#[tokio::test]
async fn messages_for_one_destination_share_a_connection_and_it_is_recorded_once() {
    let world = directly(two_hosts()).await;
    for recipient in ["a@other.example", "b@other.example"] {
        world.submit(&[recipient]).await;
    }
    let tls = Certificates::server(&["mx1.other.example"]);
    let script: &'static str = TAKES
        .replace(
            "C: QUIT",
            "C: MAIL FROM:<you@here.example>
             S: 250 ok
             C: RCPT TO:<b@other.example>
             S: 250 ok
             C: DATA
             S: 354 go
             C: <data>
             S: 250 taken
             C: QUIT",
        )
        .leak();
    let peer = secure_peer(&world, FIRST, tls, script);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(dialled(&world), [FIRST]);
    assert_eq!(
        world.results.lines(),
        ["other.example none at mx1.other.example: success", "mx1.other.example none at mx1.other.example: success"]
    );
    let recorded = world.results.0.lock().unwrap();
    let session = recorded[0].session.as_ref().unwrap();
    assert_eq!(session.receiving_mx_helo.as_deref(), Some("mx.called.example"));
    assert_eq!(session.receiving_ip, IpAddr::from([192, 0, 2, 1]));
}

#[tokio::test]
async fn a_server_that_does_not_wait_for_the_next_message_is_called_again() {
    let world = directly(two_hosts()).await;
    for recipient in ["a@other.example", "b@other.example"] {
        world.submit(&[recipient]).await;
    }
    let closes: &'static str = ACCEPTS.replace("C: QUIT\n    S: 221 bye", "S: 421 4.4.2 too slow\n S: <close>").leak();
    let first = world.peer_at(FIRST, closes);
    let second: &'static str = ACCEPTS.replace("<a@", "<b@").leak();
    let second = world.peer_at(FIRST, second);
    world.run();
    world.empty().await;
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(dialled(&world), [FIRST, FIRST]);
}

#[tokio::test]
async fn a_connection_is_judged_anew_for_what_each_message_demands() {
    let world = directly(two_hosts()).await;
    let forbidding = Demand { plaintext: Plaintext::Forbidden, ..Demand::default() };
    world.submit(&["a@other.example"]).await;
    world.submit_as("<you@here.example>", &["b@other.example"], forbidding).await;
    // The first message goes in the clear, over a connection that the second must not use.
    let peer = world.peer_at(FIRST, ACCEPTS);
    world.run();
    let row = world.deferred(1).await.remove(0);
    peer.await.unwrap();
    assert_eq!(row.recipient.to_string(), "b@other.example");
    let remembered = crate::attempts(row.result.as_ref()).unwrap().remove(0);
    assert_eq!(remembered.status, "4.4.1", "{}", remembered.text);
    // That the host has no TLS is known; the next one is tried.
    assert_eq!(dialled(&world), [FIRST, SECOND]);
}

#[tokio::test]
async fn tlsa_records_that_hold() {
    let (tls, record) = with_tlsa();
    let world = directly(two_hosts().with("_25._tcp.mx1.other.example", record)).await;
    world.submit(&["a@other.example"]).await;
    let peer = secure_peer(&world, FIRST, tls, TAKES);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(
        world.results.lines(),
        ["other.example none at mx1.other.example: success", "mx1.other.example tlsa at mx1.other.example: success"]
    );
}

#[tokio::test]
async fn tlsa_records_that_do_not_hold_leave_the_message_to_the_next_host() {
    let world = directly(two_hosts().with("_25._tcp.mx1.other.example", tlsa(&[0; 32]))).await;
    world.submit(&["a@other.example"]).await;
    let first = secure_peer(&world, FIRST, Certificates::server(&["mx1.other.example"]), TAKES);
    let second = secure_peer(&world, SECOND, Certificates::server(&["mx2.other.example"]), TAKES);
    world.run();
    world.empty().await;
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(dialled(&world), [FIRST, SECOND]);
    let lines = world.results.lines();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[1].starts_with("mx1.other.example tlsa at mx1.other.example: "), "{lines:?}");
    assert!(!lines[1].ends_with("success"), "{lines:?}");
    assert_eq!(lines[3], "mx2.other.example none at mx2.other.example: success");
}

#[tokio::test]
async fn a_failed_tlsa_lookup_skips_the_host() {
    let name = "_25._tcp.mx1.other.example";
    let zones = two_hosts().failing(name, RecordType::Tlsa, LookupErrorKind::ServerFailure);
    let zones = zones.failing("_25._tcp.mx2.other.example", RecordType::Tlsa, LookupErrorKind::Bogus);
    let world = directly(zones).await;
    world.submit(&["a@other.example"]).await;
    world.submit(&["b@other.example"]).await;
    world.run();
    let row = world.deferred(1).await.remove(0);
    assert!(world.dialer.dialled().is_empty());
    let remembered = crate::attempts(row.result.as_ref()).unwrap().remove(0);
    assert_eq!(remembered.status, "4.4.3", "{}", remembered.text);
    let lines = world.results.lines();
    assert_eq!(lines.len(), 2, "once for each host, whatever the number of messages: {lines:?}");
    assert!(lines.iter().all(|line| line.contains("dnssec-invalid")), "{lines:?}");
}

#[tokio::test]
async fn an_enforced_mta_sts_policy() {
    let text = "version: STSv1\nmode: enforce\nmx: mx2.other.example\nmax_age: 86400\n";
    let policy = Arc::new(Policy::parse(text).unwrap());
    let state = StsState::Policy { policy, fallback: None };
    let policies = Policies(HashMap::from([("other.example".to_owned(), state)]));
    let world = World::outside(two_hosts(), policies, |settings| settings.routes = direct()).await;
    world.submit(&["a@other.example"]).await;
    let peer = secure_peer(&world, SECOND, Certificates::server(&["mx2.other.example"]), TAKES);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(dialled(&world), [SECOND]);
    assert_eq!(
        world.results.lines(),
        [
            "other.example sts at mx1.other.example: validation-failure (mtasts-policy-mx-mismatch)",
            "other.example sts at mx2.other.example: success",
            "mx2.other.example none at mx2.other.example: success"
        ]
    );
}

#[tokio::test]
async fn tls_required_no_goes_where_policies_would_not_let_it() {
    let world = directly(two_hosts().with("_25._tcp.mx1.other.example", tlsa(&[0; 32]))).await;
    let demand = Demand { requirement: TlsRequirement::TlsRequiredNo, ..Demand::default() };
    world.submit_as("<you@here.example>", &["a@other.example"], demand).await;
    let peer = secure_peer(&world, FIRST, Certificates::server(&["mx1.other.example"]), TAKES);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(dialled(&world), [FIRST]);
    assert!(world.results.lines()[1].starts_with("mx1.other.example tlsa at mx1.other.example: "));
}

#[tokio::test]
async fn domains_that_do_not_exist_or_take_no_mail_are_told_at_once() {
    let zones = Zones::new().with("null.example", mx(0, ".")).with("self.example", mx(0, "here.example"));
    let world = directly(zones).await;
    for (recipient, status) in
        [("a@nowhere.example", "5.1.2"), ("a@null.example", "5.1.10"), ("a@self.example", "5.4.6")]
    {
        world.submit(&[recipient]).await;
        if recipient == "a@nowhere.example" {
            world.run();
        }
        world.queue.kick();
        world.empty().await;
        let told = world.accounts.delivered().pop().unwrap();
        assert_eq!(told.status("Status").as_deref(), Some(status), "{recipient}");
    }
    assert!(world.dialer.dialled().is_empty());
}

#[tokio::test]
async fn address_literals() {
    let world = directly(Zones::new()).await;
    world.submit(&["a@[192.0.2.1]"]).await;
    let script: &'static str = ACCEPTS.replace("<a@other.example>", "<a@[192.0.2.1]>").leak();
    let peer = world.peer_at(FIRST, script);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert!(world.results.lines().is_empty());
}

#[tokio::test]
async fn a_refusal_for_policy_by_a_dual_stack_host_is_asked_again_from_the_other_family() {
    let zones = Zones::new()
        .with("other.example", mx(10, "mx1.other.example"))
        .with("mx1.other.example", a("2001:db8::1"))
        .with("mx1.other.example", a("192.0.2.1"));
    let world = directly(zones).await;
    world.submit(&["a@other.example"]).await;
    const REFUSES: &str = "S: 220 mx
         C: EHLO here.example
         S: 250 mx
         C: MAIL FROM:<you@here.example>
         S: 550 5.7.1 not from this address
         C: QUIT
         S: 221 bye";
    let first = world.peer_at(FIRST_V6, REFUSES);
    world.run();
    let row = world.deferred(1).await.remove(0);
    first.await.unwrap();
    let second = world.peer_at(FIRST, REFUSES);
    world.advance_to(row.next_attempt);
    world.empty().await;
    second.await.unwrap();
    assert_eq!(dialled(&world), [FIRST_V6, FIRST]);
    assert_eq!(world.accounts.delivered()[0].status("Status").as_deref(), Some("5.7.1"));
}

#[tokio::test]
async fn requiretls_comes_back_only_where_no_host_offers_it() {
    let demand = Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };
    const LACKS: &str = "C: EHLO here.example\n S: 250 mx\n C: QUIT\n S: 221 bye";
    for second_answers in [true, false] {
        let world = directly(two_hosts()).await;
        world.submit_as("<you@here.example>", &["a@other.example"], demand).await;
        let first = secure_peer(&world, FIRST, Certificates::server(&["mx1.other.example"]), LACKS);
        let second =
            second_answers.then(|| secure_peer(&world, SECOND, Certificates::server(&["mx2.other.example"]), LACKS));
        world.run();
        if let Some(second) = second {
            world.empty().await;
            second.await.unwrap();
            assert_eq!(world.accounts.delivered()[0].status("Status").as_deref(), Some("5.7.30"));
        } else {
            world.deferred(1).await;
        }
        first.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_explained_is_what_happens() {
    use crate::explain::Way;
    use mailstead_tlspolicy::plan::{self, Channel};
    use mailstead_tlspolicy::reasons::Shortfall;

    let (tls, record) = with_tlsa();
    let zones = two_hosts().with("_25._tcp.mx1.other.example", record);
    let world = directly(zones.failing("_25._tcp.mx2.other.example", RecordType::Tlsa, LookupErrorKind::Timeout)).await;
    let explained = world.explained("<>", "a@other.example", 0).await;
    assert!(world.dialer.dialled().is_empty() && world.results.lines().is_empty());
    let Way::Hosts(hosts) = explained.way else { panic!("{explained:?}") };
    let names: Vec<String> = hosts.hosts.iter().map(|host| host.exchange.name.to_string()).collect();
    assert_eq!(names, ["mx1.other.example", "mx2.other.example"]);
    let plans: Vec<_> = hosts.hosts.iter().map(|host| host.plan.clone().unwrap().1.way).collect();
    let plan::Way::Attempts(attempts) = &plans[0] else { panic!("{plans:?}") };
    assert!(matches!(&attempts[..], [attempt] if attempt.channel == Channel::StartTls && attempt.dane.is_some()));
    assert!(matches!(plans[1], plan::Way::Skip(Shortfall::TlsaLookupFailed(_))));

    world.submit(&["a@other.example"]).await;
    let peer = secure_peer(&world, FIRST, tls, TAKES);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    let local = world.explained("<>", "you@here.example", 0).await;
    assert_eq!(local.way, Way::Local);
    let nobody = world.explained("<>", "a@nowhere.example", 0).await;
    assert!(matches!(nobody.way, Way::Nobody(nobody) if nobody.failure.status.to_string() == "5.1.2"));
}

#[tokio::test]
async fn what_a_host_lacks_it_lacks_whatever_its_other_addresses_are() {
    let demand = Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };
    let zones = Zones::new()
        .secure("example")
        .with("other.example", mx(10, "mx1.other.example"))
        .with("mx1.other.example", a("2001:db8::1"))
        .with("mx1.other.example", a("192.0.2.1"));
    let world = directly(zones).await;
    world.submit_as("<you@here.example>", &["a@other.example"], demand).await;
    let lacks = "C: EHLO here.example\n S: 250 mx\n C: QUIT\n S: 221 bye";
    let peer = secure_peer(&world, FIRST_V6, Certificates::server(&["mx1.other.example"]), lacks);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(dialled(&world), [FIRST_V6, FIRST]);
    assert_eq!(world.accounts.delivered()[0].status("Status").as_deref(), Some("5.7.30"));
}
