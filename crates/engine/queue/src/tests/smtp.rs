//! Delivery over SMTP to a configured next hop.

use mailstead_names::Secret;
use mailstead_sasl::client::Credentials;

use super::*;
use crate::{Plaintext, TlsRequirement};

#[tokio::test]
async fn one_transaction_for_all_recipients_of_a_destination_and_an_answer_for_each() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    world.submit(&["a@other.example", "no@other.example", "later@other.example"]).await;
    let peer = world.peer(
        "S: 220 hop.example ESMTP
         C: EHLO here.example
         S: 250-hop.example
         S: 250-PIPELINING
         S: 250-SIZE 1000
         S: 250 ENHANCEDSTATUSCODES
         C: MAIL FROM:<you@here.example> SIZE=85
         C: RCPT TO:<a@other.example>
         C: RCPT TO:<no@other.example>
         C: RCPT TO:<later@other.example>
         C: DATA
         S: 250 2.1.0 ok
         S: 250 2.1.5 ok
         S: 550-5.1.1 no such user
         S: 550 5.1.1 at all
         S: 450 4.2.1 not now
         S: 354 go
         C: <data>
         S: 250 2.0.0 taken
         C: QUIT
         S: 221 bye",
    );
    world.run();
    let heard = peer.await.unwrap();
    assert!(heard.ends_with(&["Hello.".to_owned(), "..".to_owned(), ".".to_owned(), "QUIT".to_owned()]), "{heard:?}");
    assert!(heard.contains(&"Received: by here.example".to_owned()));
    let rows = world.deferred(1).await;
    assert_eq!(rows[0].recipient.to_string(), "later@other.example");
    let told = world.accounts.delivered();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].status("Final-Recipient").as_deref(), Some("rfc822; no@other.example"));
    assert_eq!(told[0].status("Remote-MTA").as_deref(), Some("dns; [192.0.2.25]"));
    assert_eq!(told[0].status("Diagnostic-Code").as_deref(), Some("smtp; 550 5.1.1 no such user at all"));
    assert_eq!(told[0].status("Status").as_deref(), Some("5.1.1"));
}

#[tokio::test]
async fn tls_is_used_where_it_is_offered_whatever_the_certificate() {
    let world = World::new().await;
    world.submit(&["a@other.example"]).await;
    let mut peer = ScriptedPeer::new(world.dialer.expect(address()));
    world.run();
    peer.play("S: 220 hop\n C: EHLO here.example\n S: 250-hop\n S: 250 STARTTLS\n C: STARTTLS\n S: 220 go").await;
    peer.start_tls(&Certificates::server(&["another.name.example"])).await;
    peer.play(
        "C: EHLO here.example
         S: 250 hop
         C: MAIL FROM:<you@here.example>
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    )
    .await;
    world.empty().await;
}

const NO_TLS: &str = "S: 220 hop
    C: EHLO here.example
    S: 250 hop
    C: QUIT
    S: 221 bye";
pub(super) const ACCEPTS: &str = "S: 220 hop
    C: EHLO here.example
    S: 250 hop
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
async fn without_tls_the_connection_goes_on_in_the_clear_where_that_is_allowed() {
    let world = World::new().await;
    world.submit(&["a@other.example"]).await;
    let peer = world.peer(ACCEPTS);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert_eq!(world.dialer.dialled().len(), 1);
}

#[tokio::test]
async fn after_a_failed_handshake_a_second_connection_goes_in_the_clear_where_that_is_allowed() {
    let world = World::new().await;
    world.submit(&["a@other.example"]).await;
    let first = world.peer(
        "S: 220 hop
         C: EHLO here.example
         S: 250-hop
         S: 250 STARTTLS
         C: STARTTLS
         S: 220 go
         S: this is not TLS
         S: <close>",
    );
    let second = world.peer(ACCEPTS);
    world.run();
    world.empty().await;
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(world.dialer.dialled().len(), 2);
}

#[tokio::test]
async fn what_one_message_misses_at_a_server_others_of_the_same_demand_need_not_try() {
    let world = World::new().await;
    let forbidding = Demand { plaintext: Plaintext::Forbidden, ..Demand::default() };
    for (recipient, demand) in [("a", forbidding), ("b", forbidding), ("c", Demand::default())] {
        world.submit_as("<you@here.example>", &[&format!("{recipient}@other.example")], demand).await;
    }
    let first = world.peer(NO_TLS);
    let second: &'static str = ACCEPTS.replace("<a@", "<c@").leak();
    let second = world.peer(second);
    world.run();
    let rows = world.until("two deferred", |rows| rows.len() == 2 && rows.iter().all(|row| !row.leased)).await;
    first.await.unwrap();
    second.await.unwrap();
    let waiting: Vec<String> = rows.iter().map(|row| row.recipient.to_string()).collect();
    assert_eq!(waiting, ["a@other.example", "b@other.example"]);
    assert_eq!(world.dialer.dialled().len(), 2);
}

#[tokio::test]
async fn a_message_that_forbids_plaintext_waits() {
    let world = World::new().await;
    let demand = Demand { plaintext: Plaintext::Forbidden, ..Demand::default() };
    world.submit_as("<you@here.example>", &["a@other.example"], demand).await;
    let peer = world.peer(NO_TLS);
    world.run();
    let row = world.deferred(1).await.remove(0);
    peer.await.unwrap();
    let remembered = crate::attempts(row.result.as_ref()).unwrap();
    assert_eq!(remembered[0].status, "4.7.10");
    assert_eq!(remembered[0].host.as_deref(), Some("[192.0.2.25] [192.0.2.25]"));
}

const REQUIRE_TLS: Demand = Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };

/// A relay whose certificate the tests' authority has issued.
fn verified_hop() -> NextHop {
    let loopback: SocketAddr = "127.0.0.1:25".parse().unwrap();
    let (host, port) = (Host::Ip(loopback.ip()), loopback.port());
    NextHop { host, port, security: RouteSecurity::StartTls, tls: None, credentials: None }
}

/// A queue with a message that demands REQUIRETLS, and its relay after TLS has begun.
async fn requiring_tls(certificate: &[&str], hop: NextHop) -> (World, ScriptedPeer) {
    let address = match hop.host {
        Host::Ip(ip) => SocketAddr::new(ip, hop.port),
        Host::Domain(_) => panic!("by number only"),
    };
    let world = World::with(|settings| settings.routes = relayed(hop)).await;
    world.submit_as("<you@here.example>", &["a@other.example"], REQUIRE_TLS).await;
    let mut peer = ScriptedPeer::new(world.dialer.expect(address));
    world.run();
    peer.play("S: 220 hop\n C: EHLO here.example\n S: 250-hop\n S: 250 STARTTLS\n C: STARTTLS\n S: 220 go").await;
    // One that our side refuses does not come about on the peer's.
    let tls = Certificates::server(certificate);
    let _ = peer.stream().start_tls(&tls, &[], mailstead_runtime::Deadline::NEVER).await;
    (world, peer)
}

#[tokio::test]
async fn requiretls_is_passed_on_over_verified_tls_to_a_server_that_offers_it() {
    let (world, mut peer) = requiring_tls(&["hop.example"], verified_hop()).await;
    peer.play(
        "C: EHLO here.example
         S: 250-hop
         S: 250 REQUIRETLS
         C: MAIL FROM:<you@here.example> REQUIRETLS
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    )
    .await;
    world.empty().await;
    assert!(world.accounts.delivered().is_empty());
}

#[tokio::test]
async fn requiretls_that_a_server_does_not_offer_is_given_back() {
    let (world, mut peer) = requiring_tls(&["hop.example"], verified_hop()).await;
    peer.play("C: EHLO here.example\n S: 250 hop\n C: QUIT\n S: 221 bye").await;
    world.empty().await;
    assert_eq!(world.accounts.delivered()[0].status("Status").as_deref(), Some("5.7.30"));
}

#[tokio::test]
async fn requiretls_waits_where_the_certificate_is_wrong() {
    // The tests' certificates are for loopback addresses, and for no other.
    let (world, _peer) = requiring_tls(&["hop.example"], hop(RouteSecurity::Opportunistic)).await;
    let row = world.deferred(1).await.remove(0);
    let remembered = crate::attempts(row.result.as_ref()).unwrap();
    assert_eq!(remembered[0].status, "4.7.5");
    assert!(remembered[0].text.contains("certificate-host-mismatch"), "{}", remembered[0].text);
}

#[tokio::test]
async fn requiretls_is_given_back_without_dialling_where_the_relay_has_no_tls() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    world.submit_as("<you@here.example>", &["a@other.example"], REQUIRE_TLS).await;
    world.run();
    world.empty().await;
    assert!(world.dialer.dialled().is_empty());
    assert_eq!(world.accounts.delivered()[0].status("Status").as_deref(), Some("5.7.30"));
}

#[tokio::test]
async fn a_server_that_takes_few_recipients_gets_the_rest_at_once() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    world.submit(&["a@other.example", "b@other.example", "c@other.example"]).await;
    let peer = world.peer(
        "S: 220 hop
         C: EHLO here.example
         S: 250-hop
         S: 250 LIMITS RCPTMAX=2
         C: MAIL FROM:<you@here.example>
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 250 ok
         C: RCPT TO:<b@other.example>
         S: 452 4.5.3 too many
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
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
    world.run();
    world.empty().await;
    peer.await.unwrap();
    assert!(world.accounts.delivered().is_empty());
}

#[tokio::test]
async fn when_nobody_answers_the_other_messages_do_not_try() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    world.submit(&["a@other.example"]).await;
    world.submit(&["b@other.example"]).await;
    world.run();
    let rows = world.deferred(1).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(world.dialer.dialled().len(), 1);
    assert_eq!(crate::attempts(rows[1].result.as_ref()).unwrap()[0].status, "4.4.1");
}

#[tokio::test]
async fn an_internationalised_address_needs_a_server_that_takes_it() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    world.submit(&["jörg@other.example"]).await;
    let peer = world.peer("S: 220 hop\n C: EHLO here.example\n S: 250 hop\n C: QUIT\n S: 221 bye");
    world.run();
    world.empty().await;
    peer.await.unwrap();
    let told = world.accounts.delivered();
    assert_eq!(told[0].status("Status").as_deref(), Some("5.6.7"));
    assert_eq!(told[0].status("Final-Recipient").as_deref(), Some("utf-8; jörg@other.example"));
}

#[tokio::test]
async fn a_connection_lost_after_the_message_is_tried_again() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    world.submit(&["a@other.example"]).await;
    let peer = world.peer(
        "S: 220 hop
         C: EHLO here.example
         S: 250 hop
         C: MAIL FROM:<you@here.example>
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: <close>",
    );
    world.run();
    let row = world.deferred(1).await.remove(0);
    peer.await.unwrap();
    assert_eq!(crate::attempts(row.result.as_ref()).unwrap()[0].status, "4.4.2");
    let again = world.peer(ACCEPTS);
    world.advance_to(row.next_attempt);
    world.empty().await;
    again.await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_to_serve_is_asked_again_later() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    world.submit(&["a@other.example"]).await;
    let peer = world.peer("S: 554 5.7.1 not today\n S: <close>");
    world.run();
    let row = world.deferred(1).await.remove(0);
    peer.await.unwrap();
    let remembered = crate::attempts(row.result.as_ref()).unwrap().remove(0);
    assert_eq!((remembered.code, remembered.status.as_str()), (Some(554), "4.7.1"));
}

#[tokio::test]
async fn a_next_hop_that_must_be_verified_and_is_another_gets_nothing() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Implicit))).await;
    world.submit(&["a@other.example"]).await;
    let mut peer = ScriptedPeer::new(world.dialer.expect(address()));
    world.run();
    // Issued for a name and loopback addresses: not for 192.0.2.25.
    let tls = Certificates::server(&["another.name.example"]);
    assert!(peer.stream().start_tls(&tls, &[], mailstead_runtime::Deadline::NEVER).await.is_err());
    let row = world.deferred(1).await.remove(0);
    assert_eq!(crate::attempts(row.result.as_ref()).unwrap()[0].status, "4.7.5");
}

#[tokio::test]
async fn credentials_are_shown_to_the_verified_server_only() {
    let credentials =
        Credentials { authzid: None, authcid: "us".to_owned(), password: Secret::new("secret".to_owned()) };
    let loopback: SocketAddr = "127.0.0.1:465".parse().unwrap();
    let next_hop = NextHop {
        host: Host::Ip(loopback.ip()),
        port: loopback.port(),
        security: RouteSecurity::Implicit,
        tls: None,
        credentials: Some(credentials),
    };
    let world = World::with(|settings| settings.routes = relayed(next_hop)).await;
    world.submit(&["a@other.example"]).await;
    let mut peer = ScriptedPeer::new(world.dialer.expect(loopback));
    world.run();
    peer.start_tls(&Certificates::server(&["hop.example"])).await;
    peer.play(
        "S: 220 hop
         C: EHLO here.example
         S: 250-hop
         S: 250 AUTH PLAIN
         C: AUTH PLAIN AHVzAHNlY3JldA==
         S: 235 2.7.0 welcome
         C: MAIL FROM:<you@here.example>
         S: 250 ok
         C: RCPT TO:<a@other.example>
         S: 250 ok
         C: DATA
         S: 354 go
         C: <data>
         S: 250 taken
         C: QUIT
         S: 221 bye",
    )
    .await;
    world.empty().await;
}

#[tokio::test]
async fn what_must_not_leave_comes_back_at_once() {
    let world =
        World::with(|settings| settings.routes = Routes::only(TransportKind::refusal(550, "Not from here").into()))
            .await;
    world.submit(&["a@other.example"]).await;
    world.run();
    world.empty().await;
    assert_eq!(world.accounts.delivered()[0].status("Status").as_deref(), Some("5.7.1"));
}

#[tokio::test]
async fn no_more_destinations_at_once_than_the_settings_say_and_one_connection_to_each() {
    let world = World::with(|settings| {
        settings.routes = relayed(hop(RouteSecurity::Plaintext));
        settings.concurrency = 2;
    })
    .await;
    for recipient in ["a@one.example", "b@one.example", "a@two.example", "a@three.example"] {
        world.submit(&[recipient]).await;
    }
    let mut silent: Vec<_> = (0..4).map(|_| world.dialer.expect(address())).collect();
    world.run();
    world.until("all claimed", |rows| rows.iter().all(|row| row.leased)).await;
    let dialled = async {
        while world.dialer.dialled().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), dialled).await.unwrap();
    assert_eq!(world.dialer.dialled().len(), 2);
    // When they hang up, the next ones get their turn.
    silent.clear();
    world.deferred(1).await;
    assert!((3..=4).contains(&world.dialer.dialled().len()));
}
