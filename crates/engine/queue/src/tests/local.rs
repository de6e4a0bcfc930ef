//! Delivery into accounts, retries, notices, restart.

use jiff::SignedDuration;
use mailstead_store::Claim;

use super::*;
use crate::{Permanence, attempts};

#[tokio::test]
async fn all_recipients_of_a_domain_are_delivered_in_one_call_and_once() {
    let world = World::new().await;
    world.run();
    world.submit(&["a@here.example", "b@here.example", "a@here.example"]).await;
    world.empty().await;
    let delivered = world.accounts.delivered();
    assert_eq!(
        delivered.iter().map(|d| d.recipient.as_str()).collect::<Vec<_>>(),
        ["a@here.example", "b@here.example"]
    );
    assert_eq!(world.accounts.state().calls, 1);
    assert_eq!(delivered[0].sender, "<you@here.example>");
    assert!(delivered[0].message.starts_with("Received: by here.example\r\nSubject: test\r\n"));
    assert_eq!(delivered[0].account, None);
}

#[tokio::test]
async fn a_message_without_recipients_is_refused() {
    let world = World::new().await;
    let envelope = Envelope {
        submitter: None,
        sender: ReversePath::Null,
        recipients: Vec::new(),
        eight_bit: false,
        smtputf8: false,
        notification: Notification::default(),
    };
    let staged = world.stage("A: b\r\n\r\n").await;
    let refused = world.queue.enqueue(envelope, Vec::new(), staged, Demand::default(), MessageClass::Submission).await;
    assert!(matches!(refused, Err(crate::Error::NoRecipients)));
}

#[tokio::test]
async fn a_temporary_failure_is_tried_again_after_seven_and_a_half_minutes() {
    let world = World::new().await;
    world.run();
    world.accounts.refuse("a@here.example", &[reply(452, "4.2.2", "full")]);
    world.submit(&["a@here.example"]).await;
    let row = world.deferred(1).await.remove(0);
    let wait = row.next_attempt.duration_since(world.clock.now()).as_secs();
    assert!((445..=455).contains(&wait), "{wait}");
    let remembered = attempts(row.result.as_ref()).unwrap();
    assert_eq!((remembered[0].code, remembered[0].status.as_str()), (Some(452), "4.2.2"));
    assert_eq!(remembered[0].permanence, Permanence::Temporary);
    world.advance_to(row.next_attempt);
    world.empty().await;
    assert_eq!(world.accounts.delivered().len(), 1);
}

#[tokio::test]
async fn a_permanent_failure_is_told_to_the_submitter_in_the_same_moment() {
    let world = World::new().await;
    world.run();
    world.accounts.refuse("no@here.example", &[reply(550, "5.1.1", "no such user")]);
    world.submit_as("<elsewhere@other.example>", &["no@here.example", "a@here.example"], Demand::default()).await;
    world.empty().await;
    let delivered = world.accounts.delivered();
    assert_eq!(delivered.len(), 2, "one message and one notice");
    let notice = &delivered[1];
    assert_eq!((notice.sender.as_str(), notice.recipient.as_str()), ("<>", "elsewhere@other.example"));
    assert_eq!(notice.account, Some(SUBMITTER), "never sent out over SMTP");
    assert_eq!(notice.field("Subject"), "Mail delivery failed");
    assert_eq!(notice.field("References"), "<1@here.example>");
    assert_eq!(notice.status("Final-Recipient").as_deref(), Some("rfc822; no@here.example"));
    assert_eq!(notice.status("Action").as_deref(), Some("failed"));
    assert_eq!(notice.status("Status").as_deref(), Some("5.1.1"));
    assert_eq!(notice.status("Diagnostic-Code").as_deref(), Some("smtp; 550 5.1.1 no such user"));
    assert_eq!(notice.status("Will-Retry-Until"), None);
    assert!(notice.message.contains("Subject: test\r\n"), "the original header is returned");
    assert!(!notice.message.contains("Hello."), "the original body is not");
}

#[tokio::test]
async fn the_null_sender_is_never_told_anything() {
    let world = World::new().await;
    world.run();
    world.accounts.refuse("no@here.example", &[reply(550, "5.1.1", "no such user")]);
    world.submit_as("<>", &["no@here.example"], Demand::default()).await;
    world.empty().await;
    assert!(world.accounts.delivered().is_empty());
}

#[tokio::test]
async fn a_notice_that_fails_makes_no_other() {
    let world = World::new().await;
    world.run();
    let no = [reply(550, "5.1.1", "no such user")];
    world.accounts.refuse("no@here.example", &no);
    world.accounts.refuse("you@here.example", &no);
    world.submit(&["no@here.example"]).await;
    world.empty().await;
    assert!(world.accounts.delivered().is_empty());
    assert_eq!(world.accounts.state().calls, 2);
}

#[tokio::test]
async fn eight_attempts_a_delay_notice_after_the_fifth_and_what_it_says_comes_true() {
    let world = World::new().await;
    world.run();
    let full = vec![reply(452, "4.2.2", "full"); 8];
    world.accounts.refuse("a@here.example", &full);
    world.submit(&["a@here.example"]).await;
    for attempt in 1..8 {
        let row = world.deferred_row("a@here.example", attempt).await;
        let told = world.accounts.delivered().len();
        assert!(attempt < 5 || told <= 1, "one delay notice");
        world.advance_to(row.next_attempt);
    }
    world.empty().await;
    let told = world.accounts.delivered();
    assert_eq!(told.len(), 2);
    let (delay, failure) = (&told[0], &told[1]);
    assert_eq!(delay.field("Subject"), "Mail delivery delayed");
    assert_eq!(delay.status("Action").as_deref(), Some("delayed"));
    assert_eq!(delay.status("Status").as_deref(), Some("4.2.2"));
    assert!(delay.message.contains("next attempt is in 2 hours, further ones follow 4 hours, then 8 hours later"));
    let promised = mailstead_message::date::parse(&delay.status("Will-Retry-Until").unwrap()).unwrap().at;
    let last = mailstead_message::date::parse(&failure.status("Last-Attempt-Date").unwrap()).unwrap().at;
    // Each of the two waits after the next one may vary by five seconds.
    assert!(promised.duration_since(last).abs() <= SignedDuration::from_secs(11), "{promised} {last}");
    assert_eq!(failure.status("Action").as_deref(), Some("failed"));
    assert!(failure.message.contains("Attempts: 8"));
}

#[tokio::test]
async fn what_a_crash_left_claimed_is_delivered_after_the_restart_and_only_once() {
    let world = World::new().await;
    world.submit(&["a@here.example"]).await;
    // The crash: claimed and delivered, but not settled.
    let claim = Claim { now: world.clock.now(), limit: 10, lease: SignedDuration::from_hours(1), busy: Vec::new() };
    let claimed = world.store.queue().claim(claim).await.unwrap();
    let (prefix, staged) = world.store.queue().stage(claimed[0].id).await.unwrap().unwrap();
    let recipients = vec![crate::LocalRecipient {
        address: claimed[0].recipient.clone(),
        delivery: mailstead_store::DeliveryId(format!("queue {}", claimed[0].id)),
    }];
    let sender = ReversePath::Null;
    let queued_at = claimed[0].created;
    world.accounts.deliver(LocalMessage { sender, recipients, account: None, prefix, staged, queued_at }).await;
    world.run();
    world.empty().await;
    assert_eq!(world.accounts.state().calls, 2, "it was delivered again");
    assert_eq!(world.accounts.delivered().len(), 1, "and noticed as the same");
}

#[tokio::test]
async fn a_later_attempt_that_a_crash_cut_short_waits_as_if_it_had_failed() {
    let world = World::new().await;
    world.submit(&["a@here.example"]).await;
    let rows = world.store.queue();
    for _ in 0..3 {
        let lease = SignedDuration::from_secs(1);
        rows.claim(Claim { now: world.clock.now(), limit: 10, lease, busy: Vec::new() }).await.unwrap();
        world.clock.advance(Duration::from_secs(2));
    }
    world.run();
    let row = world.deferred(3).await.remove(0);
    let wait = row.next_attempt.duration_since(row.last_attempt.unwrap()).as_secs();
    assert!((1795..=1805).contains(&wait), "{wait}");
    world.advance_to(row.next_attempt);
    world.empty().await;
    assert_eq!(world.accounts.delivered().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_hangs_or_panics_is_its_own_affair() {
    let world = World::new().await;
    world.accounts.state().hanging.insert("hangs@here.example".to_owned());
    world.accounts.state().panicking.insert("panics@here.example".to_owned());
    for recipient in ["hangs@here.example", "panics@here.example", "a@here.example"] {
        world.submit(&[recipient]).await;
    }
    world.run();
    world.deferred_row("panics@here.example", 1).await;
    world.until("settled", |rows| rows.len() == 2 && rows.iter().any(|row| row.leased)).await;
    assert_eq!(world.accounts.delivered().len(), 1);
}

#[tokio::test]
async fn a_demand_of_a_newer_program_is_left_alone() {
    let world = World::new().await;
    let staged = world.stage("A: b\r\n\r\n").await;
    let demand = mailstead_store::Payload { version: 99, octets: Vec::new() };
    let recipients = vec![mailstead_store::NewRecipient {
        recipient: Address::parse("a@here.example").unwrap(),
        destination: "here.example".to_owned(),
        next_attempt: world.clock.now(),
        notify: None,
        orcpt: None,
    }];
    let message = mailstead_store::NewQueued {
        submitter: None,
        sender: ReversePath::Null,
        recipients,
        staged,
        prefix: Vec::new(),
        eight_bit: false,
        smtputf8: false,
        demand,
        ret: None,
        envid: None,
    };
    world.store.queue().enqueue(message).await.unwrap();
    world.run();
    world.submit(&["b@here.example"]).await;
    world.until("alone", |rows| rows.len() == 1 && rows[0].leased).await;
    assert_eq!(world.accounts.delivered().len(), 1);
}

#[tokio::test]
async fn a_shutdown_ends_the_worker() {
    let world = World::new().await;
    world.run();
    world.shutdown.begin();
    let deadline = mailstead_runtime::Deadline::after(Duration::from_secs(20));
    assert_eq!(world.supervisor.drain(deadline).await, 0);
    world.submit(&["a@here.example"]).await;
    assert_eq!(world.rows().await.len(), 1);
}
