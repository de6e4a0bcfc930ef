//! What operators see and do by hand.

use jiff::SignedDuration;
use mailstead_store::{Claim, Order};

use super::*;
use crate::{AddressPattern, Deed, Filter, Handled, Outstanding, Plaintext, Span, TlsRequirement};

/// A queue with two messages that have been tried once; nobody listens.
async fn waiting() -> (World, Vec<Outstanding>) {
    let world = World::new().await;
    world.submit(&["a@other.example"]).await;
    world.submit(&["b@elsewhere.example"]).await;
    world.run();
    let rows = world.deferred(1).await;
    (world, rows.into_iter().map(Outstanding::of).collect())
}

fn to(pattern: &str) -> Filter {
    Filter { to: Some(pattern.parse().unwrap()), ..Filter::default() }
}

/// The recipients that are found, page after page.
async fn found(world: &World, filter: Filter, order: Order) -> Vec<String> {
    let mut search = world.queue.search(filter, order).await.unwrap();
    let mut found = Vec::new();
    loop {
        let page = search.next().await.unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(page.iter().map(|outstanding| outstanding.row.recipient.localpart.to_string()));
    }
}

#[tokio::test]
async fn what_waits_is_shown_with_its_attempts() {
    let (_world, waiting) = waiting().await;
    assert_eq!(waiting[0].demand, Some(Demand::default()));
    assert_eq!(waiting[0].attempts.len(), 1);
    assert_eq!(waiting[0].attempts[0].status, "4.4.1");
}

#[tokio::test]
async fn everything_that_is_given_must_be_so() {
    let world = World::new().await;
    let hour = SignedDuration::from_hours(1);
    for (sender, recipient) in
        [("<you@here.example>", "a@one.example"), ("<>", "b@two.example"), ("<me@here.example>", "c@one.example")]
    {
        world.submit_as(sender, &[recipient], Demand::default()).await;
        world.advance_to(world.clock.now() + hour);
    }
    let rows = world.rows().await;
    world.store.queue().reschedule(vec![rows[0].id], world.clock.now() + hour * 2).await.unwrap();
    let all = Filter::default;
    let pattern = |text: &str| text.parse::<AddressPattern>().ok();
    let span = |text: &str| text.parse::<Span>().ok();
    for (filter, expected) in [
        (all(), "a b c"),
        (to("@ONE.example"), "a c"),
        (Filter { from: pattern("you"), ..to("@one.example") }, "a"),
        (Filter { from: pattern("you"), ..to("two") }, ""),
        (Filter { from: pattern("<>"), ..all() }, "b"),
        (Filter { from: pattern("HERE"), ..all() }, "a c"),
        (Filter { submitted: span("<90m"), ..all() }, "c"),
        (Filter { submitted: span(">90m"), ..all() }, "a b"),
        (Filter { next: span("now"), ..all() }, "b c"),
        (Filter { next: span("<1h"), ..all() }, "b c"),
        (Filter { next: span(">1h"), ..all() }, "a"),
        (Filter { ids: vec![rows[0].id.0, rows[2].id.0, 12_345], ..all() }, "a c"),
        (Filter { ids: vec![rows[0].id.0], ..to("two") }, ""),
        (Filter { max: Some(2), ..all() }, "a b"),
        (Filter { max: Some(1), ..to("two") }, "b"),
    ] {
        assert_eq!(found(&world, filter.clone(), Order::Queued).await.join(" "), expected, "{filter:?}");
    }
    assert_eq!(found(&world, all(), Order::NextAttempt).await.join(" "), "b c a");
    assert_eq!(found(&world, Filter { max: Some(1), ..all() }, Order::NextAttempt).await, ["b"]);
}

#[tokio::test]
async fn giving_up_tells_the_sender_and_dropping_does_not() {
    let (world, waiting) = waiting().await;
    let only = |id| Filter { ids: vec![id], ..Filter::default() };
    let one = Handled { done: 1, left: Vec::new() };
    assert_eq!(world.queue.perform(only(waiting[0].row.id.0), Deed::Fail).await.unwrap(), one);
    assert_eq!(world.queue.perform(only(waiting[1].row.id.0), Deed::Drop).await.unwrap(), one);
    world.empty().await;
    let told = world.accounts.delivered();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].status("Final-Recipient").as_deref(), Some("rfc822; a@other.example"));
    assert_eq!(told[0].status("Status").as_deref(), Some("5.0.0"));
    let said = "The administrator of the server has given up delivery. What came of the last attempt at [192.0.2.25]";
    assert!(told[0].message.contains(said), "{}", told[0].message);
    // What is gone is not there to be given up again.
    let none = world.queue.perform(only(waiting[0].row.id.0), Deed::Fail).await.unwrap();
    assert_eq!(none, Handled::default());
}

#[tokio::test]
async fn one_notice_for_all_recipients_of_a_message_and_none_about_the_notice() {
    let world = World::new().await;
    world.submit(&["a@other.example", "b@elsewhere.example"]).await;
    let demand = Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };
    world.submit_as("<me@here.example>", &["c@other.example"], demand).await;
    // Nobody runs the queue, so the notices wait in it behind the rest: they are not given up with it.
    assert_eq!(world.queue.perform(Filter::default(), Deed::Fail).await.unwrap().done, 3);
    let rows = world.rows().await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.sender == ReversePath::Null));
    // RFC 8689 §5: they demand what their messages did.
    let of_notices: Vec<_> = rows.into_iter().map(|row| Outstanding::of(row).demand.unwrap().requirement).collect();
    assert_eq!(of_notices, [TlsRequirement::Opportunistic, TlsRequirement::RequireTls]);
    assert_eq!(world.queue.perform(Filter::default(), Deed::Fail).await.unwrap().done, 2);
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn another_time_for_the_next_attempt() {
    let (world, _) = waiting().await;
    let peer = world.peer(super::smtp::ACCEPTS);
    let moved = world.queue.perform(to("@other.example"), Deed::Schedule(SignedDuration::ZERO)).await.unwrap();
    assert_eq!(moved, Handled { done: 1, left: Vec::new() });
    world.until("one left", |rows| rows.len() == 1).await;
    peer.await.unwrap();
    let hours = SignedDuration::from_hours(30);
    world.queue.perform(Filter::default(), Deed::Schedule(hours)).await.unwrap();
    assert_eq!(world.rows().await[0].next_attempt, world.clock.now() + hours);
}

#[tokio::test]
async fn an_attempt_that_is_under_way_is_left_alone() {
    let world = World::new().await;
    world.submit(&["a@other.example"]).await;
    let silent = world.dialer.expect(address());
    world.run();
    let rows = world.until("claimed", |rows| rows.iter().all(|row| row.leased)).await;
    for deed in [Deed::Fail, Deed::Drop, Deed::Schedule(SignedDuration::ZERO)] {
        let handled = world.queue.perform(Filter::default(), deed).await.unwrap();
        assert_eq!(handled, Handled { done: 0, left: vec![rows[0].id] }, "{deed:?}");
    }
    drop(silent);
    world.deferred(1).await;
}

#[tokio::test]
async fn what_an_earlier_run_was_delivering_can_be_removed_when_nothing_runs() {
    let world = World::new().await;
    world.submit(&["a@other.example"]).await;
    let claim = Claim { now: world.clock.now(), limit: 1, lease: SignedDuration::from_hours(1), busy: Vec::new() };
    assert_eq!(world.store.queue().claim(claim).await.unwrap().len(), 1);
    assert_eq!(world.queue.perform(Filter::default(), Deed::Drop).await.unwrap().done, 0);
    world.queue.take_back().await.unwrap();
    assert_eq!(world.queue.perform(Filter::default(), Deed::Drop).await.unwrap().done, 1);
    world.empty().await;
}

#[tokio::test]
async fn more_than_a_page() {
    let world = World::new().await;
    let many: Vec<String> = (0..450).map(|number| format!("u{number}@other.example")).collect();
    world.submit(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for order in [Order::Queued, Order::NextAttempt] {
        assert_eq!(found(&world, Filter::default(), order).await.len(), 450, "{order:?}");
        assert_eq!(found(&world, Filter { max: Some(401), ..Filter::default() }, order).await.len(), 401);
        assert_eq!(found(&world, to("u44"), order).await.len(), 11, "u44 and u440 to u449");
    }
    assert_eq!(world.queue.perform(to("u1"), Deed::Drop).await.unwrap().done, 111);
    assert_eq!(world.queue.perform(Filter::default(), Deed::Drop).await.unwrap().done, 339);
    world.empty().await;
}
