//! What operators do by hand.

use super::*;
use crate::Outstanding;

/// A queue with two messages that have been tried once; nobody listens.
async fn waiting() -> (World, Vec<Outstanding>) {
    let world = World::new().await;
    world.submit(&["a@other.example"]).await;
    world.submit(&["b@elsewhere.example"]).await;
    world.run();
    let rows = world.deferred(1).await;
    (world, rows.into_iter().map(Outstanding::of).collect())
}

#[tokio::test]
async fn what_waits_is_shown_with_its_attempts() {
    let (_world, waiting) = waiting().await;
    assert_eq!(waiting[0].demand, Some(Demand::default()));
    assert_eq!(waiting[0].attempts.len(), 1);
    assert_eq!(waiting[0].attempts[0].status, "4.4.1");
}

#[tokio::test]
async fn giving_up_tells_the_sender_and_dropping_does_not() {
    let (world, waiting) = waiting().await;
    assert_eq!(world.queue.fail(&[waiting[0].row.id]).await.unwrap(), [waiting[0].row.id]);
    assert_eq!(world.queue.drop_recipients(&[waiting[1].row.id]).await.unwrap(), [waiting[1].row.id]);
    world.empty().await;
    let told = world.accounts.delivered();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].status("Final-Recipient").as_deref(), Some("rfc822; a@other.example"));
    assert_eq!(told[0].status("Status").as_deref(), Some("5.0.0"));
    // What is gone is not there to be given up again.
    assert!(world.queue.fail(&[waiting[0].row.id]).await.unwrap().is_empty());
}

#[tokio::test]
async fn another_time_for_the_next_attempt() {
    let (world, waiting) = waiting().await;
    let peer = world.peer(super::smtp::ACCEPTS);
    let moved = world.queue.schedule(&[waiting[0].row.id], world.clock.now()).await.unwrap();
    assert_eq!(moved, [waiting[0].row.id]);
    world.until("one left", |rows| rows.len() == 1).await;
    peer.await.unwrap();
}

#[tokio::test]
async fn an_attempt_that_is_under_way_is_left_alone() {
    let world = World::new().await;
    world.submit(&["a@other.example"]).await;
    let silent = world.dialer.expect(address());
    world.run();
    let rows = world.until("claimed", |rows| rows.iter().all(|row| row.leased)).await;
    let id = rows[0].id;
    assert!(world.queue.fail(&[id]).await.unwrap().is_empty());
    assert!(world.queue.drop_recipients(&[id]).await.unwrap().is_empty());
    assert!(world.queue.schedule(&[id], world.clock.now()).await.unwrap().is_empty());
    drop(silent);
    world.deferred(1).await;
}
