//! The queue's rows: claims, leases, settlements, and a crash between them.

use jiff::{SignedDuration, Timestamp};
use mailstead_names::{Address, ReversePath};
use mailstead_runtime::Clock;
use mailstead_store::{Claim, Listing, NewQueued, NewRecipient, Order, Payload, QueueId, QueueRow, Settlement, Store};

use crate::support::{on_both, staged};

const LEASE: SignedDuration = SignedDuration::from_mins(7);

fn payload(text: &str) -> Payload {
    Payload { version: 1, octets: text.as_bytes().to_vec() }
}

async fn message(store: &Store, recipients: &[&str], next_attempt: Timestamp) -> NewQueued {
    let recipients = recipients.iter().map(|text| {
        let recipient = Address::parse(text).expect("an address");
        let destination = recipient.domain().expect("a domain").as_ascii().to_owned();
        NewRecipient { recipient, destination, next_attempt, notify: None, orcpt: None }
    });
    NewQueued {
        submitter: None,
        sender: ReversePath::parse("<me@example.org>").expect("a path"),
        recipients: recipients.collect(),
        staged: staged(store, "Subject: hello\r\n\r\nworld\r\n").await,
        prefix: b"Received: here\r\n".to_vec(),
        eight_bit: false,
        smtputf8: true,
        demand: payload("demand"),
        ret: None,
        envid: None,
    }
}

fn everything(now: Timestamp) -> Claim {
    Claim { now, limit: 100, lease: LEASE, busy: Vec::new() }
}

fn ids(rows: &[QueueRow]) -> Vec<QueueId> {
    rows.iter().map(|row| row.id).collect()
}

on_both! {
    async fn rows_come_back_as_they_went_in(place: &Place) {
        let store = place.open().await;
        let (queue, now) = (store.queue(), place.clock.now());
        let queued = queue.enqueue(message(&store, &["a@one.example", "ü@two.example"], now).await).await.expect("queued");
        let rows = queue.list(None, 10).await.expect("listed");
        assert_eq!(ids(&rows), queued);
        assert_eq!(rows[0].base, rows[1].base);
        assert_eq!(rows[1].recipient.to_string(), "ü@two.example");
        assert_eq!(rows[1].destination, "two.example");
        assert_eq!(rows[0].sender.to_string(), "<me@example.org>");
        assert_eq!((rows[0].attempts, rows[0].last_attempt, rows[0].leased), (0, None, false));
        assert_eq!((rows[0].created, rows[0].next_attempt), (now, now));
        assert_eq!(rows[0].demand, payload("demand"));
        assert!(rows[0].smtputf8 && !rows[0].eight_bit);
        let message = queue.open(queued[0]).await.expect("opened").expect("there");
        let octets = message.read(0..message.size()).await.expect("read");
        assert_eq!(octets, b"Received: here\r\nSubject: hello\r\n\r\nworld\r\n");
        assert_eq!(rows[0].size, octets.len() as u64);
        assert_eq!(queue.row(queued[1]).await.expect("read").as_ref(), rows.get(1));
        assert_eq!(ids(&queue.list(Some(queued[0]), 10).await.expect("listed")), queued[1..]);
        place.check_and_close(store).await;
    }

    async fn what_the_sender_wants_to_be_told_is_kept(place: &Place) {
        let store = place.open().await;
        let (queue, now) = (store.queue(), place.clock.now());
        let mut asking = message(&store, &["a@one.example", "b@two.example"], now).await;
        (asking.ret, asking.envid) = (Some("HDRS".to_owned()), Some("QQ 3+1".to_owned()));
        asking.recipients[0].notify = Some("SUCCESS,DELAY".to_owned());
        asking.recipients[1].orcpt = Some("utf-8;ü@two.example".to_owned());
        queue.enqueue(asking).await.expect("queued");
        let rows = queue.claim(everything(now)).await.expect("claimed");
        for row in &rows {
            assert_eq!((row.ret.as_deref(), row.envid.as_deref()), (Some("HDRS"), Some("QQ 3+1")));
        }
        assert_eq!((rows[0].notify.as_deref(), rows[0].orcpt.as_deref()), (Some("SUCCESS,DELAY"), None));
        assert_eq!((rows[1].notify.as_deref(), rows[1].orcpt.as_deref()), (None, Some("utf-8;ü@two.example")));
        place.check_and_close(store).await;
    }

    async fn a_claim_counts_the_attempt_and_leases_the_row(place: &Place) {
        let store = place.open().await;
        let (queue, now) = (store.queue(), place.clock.now());
        let queued = queue.enqueue(message(&store, &["a@one.example", "b@two.example"], now).await).await.expect("queued");
        assert_eq!(queue.next_due().await.expect("read"), Some(now));
        let first = queue.claim(Claim { limit: 1, ..everything(now) }).await.expect("claimed");
        assert_eq!(ids(&first), queued[..1]);
        assert_eq!((first[0].attempts, first[0].last_attempt, first[0].next_attempt), (1, Some(now), now + LEASE));
        assert!(first[0].leased);
        let second = queue.claim(everything(now)).await.expect("claimed");
        assert_eq!(ids(&second), queued[1..]);
        assert!(queue.claim(everything(now)).await.expect("claimed").is_empty());
        assert_eq!(queue.next_due().await.expect("read"), Some(now + LEASE));
        let again = queue.claim(everything(now + LEASE)).await.expect("claimed");
        assert_eq!(again.iter().map(|row| row.attempts).collect::<Vec<_>>(), [2, 2]);
        place.check_and_close(store).await;
    }

    async fn busy_destinations_are_left_alone(place: &Place) {
        let store = place.open().await;
        let (queue, now) = (store.queue(), place.clock.now());
        let queued = queue
            .enqueue(message(&store, &["a@one.example", "b@two.example", "c@one.example"], now).await)
            .await
            .expect("queued");
        let busy = vec!["one.example".to_owned(), "three.example".to_owned()];
        assert_eq!(ids(&queue.claim(Claim { busy, ..everything(now) }).await.expect("claimed")), queued[1..2]);
        place.check_and_close(store).await;
    }

    async fn settling_removes_or_defers_and_queues_notices(place: &Place) {
        let store = place.open().await;
        let (queue, now) = (store.queue(), place.clock.now());
        let queued = queue.enqueue(message(&store, &["a@one.example", "b@two.example"], now).await).await.expect("queued");
        queue.claim(everything(now)).await.expect("claimed");
        let later = now + SignedDuration::from_hours(1);
        let deferred = Settlement::Deferred { next_attempt: later, result: payload("4.4.1") };
        let notice = message(&store, &["me@example.org"], now).await;
        queue
            .settle(vec![(queued[0], Settlement::Finished), (queued[1], deferred)], vec![notice])
            .await
            .expect("settled");
        let rows = queue.list(None, 10).await.expect("listed");
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].id, rows[0].next_attempt, rows[0].leased), (queued[1], later, false));
        assert_eq!(rows[0].result, Some(payload("4.4.1")));
        assert_eq!(rows[1].recipient.to_string(), "me@example.org");
        assert!(queue.open(queued[0]).await.expect("opened").is_none());
        assert!(queue.open(queued[1]).await.expect("opened").is_some());
        queue.finish(queued[1]).await.expect("finished");
        queue.finish(queued[1]).await.expect("gone already");
        queue.finish(rows[1].id).await.expect("finished");
        assert_eq!(queue.count().await.expect("counted"), 0);
        assert_eq!(queue.next_due().await.expect("read"), None);
        place.check_and_close(store).await;
    }

    async fn after_a_restart_leases_end_when_the_engine_says(place: &Place) {
        let store = place.open().await;
        let now = place.clock.now();
        let queued =
            store.queue().enqueue(message(&store, &["a@one.example", "b@two.example"], now).await).await.expect("queued");
        store.queue().claim(Claim { limit: 1, ..everything(now) }).await.expect("claimed");
        store.close().await;
        drop(store);

        let store = place.open().await;
        let queue = store.queue();
        let soon = now + SignedDuration::from_secs(30);
        assert_eq!(queue.reclaim(move |row| { assert_eq!(row.attempts, 1); soon }).await.expect("reclaimed"), 1);
        assert_eq!(ids(&queue.claim(everything(now)).await.expect("claimed")), queued[1..]);
        let reclaimed = queue.claim(everything(soon)).await.expect("claimed");
        assert_eq!((ids(&reclaimed), reclaimed[0].attempts), (queued[..1].to_vec(), 2));
        place.check_and_close(store).await;
    }

    async fn what_is_due_for_one_destination_goes_along(place: &Place) {
        let store = place.open().await;
        let (queue, now) = (store.queue(), place.clock.now());
        let to: Vec<String> =
            (0..12).flat_map(|number| ["one", "two"].map(|domain| format!("{number}@{domain}.example"))).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        queue.enqueue(message(&store, &to, now).await).await.expect("queued");
        let claimed = queue.claim(Claim { limit: 1, ..everything(now) }).await.expect("claimed");
        assert_eq!(claimed.len(), 10);
        assert!(claimed.iter().all(|row| row.destination == "one.example"));
        let claimed = queue.claim(Claim { limit: 2, ..everything(now) }).await.expect("claimed");
        assert_eq!(claimed.len(), 12, "all of the other, which are due before the two that are left");
        place.check_and_close(store).await;
    }

    async fn an_operator_moves_and_holds_what_is_not_under_way(place: &Place) {
        let store = place.open().await;
        let (queue, now) = (store.queue(), place.clock.now());
        let queued =
            queue.enqueue(message(&store, &["a@one.example", "b@two.example"], now).await).await.expect("queued");
        queue.claim(Claim { limit: 1, ..everything(now) }).await.expect("claimed");
        let later = now + SignedDuration::from_hours(2);
        assert_eq!(queue.reschedule(queued.clone(), later).await.expect("moved"), queued[1..]);
        assert!(queue.claim(everything(now)).await.expect("claimed").is_empty());
        let held = queue.take(queued.clone(), now, SignedDuration::from_mins(5)).await.expect("held");
        assert_eq!((ids(&held), held[0].attempts, held[0].leased), (queued[1..].to_vec(), 0, true));
        assert!(queue.take(queued, now, SignedDuration::from_mins(5)).await.expect("nothing").is_empty());
        place.check_and_close(store).await;
    }

    async fn pages_of_what_is_looked_for(place: &Place) {
        let store = place.open().await;
        let (queue, start) = (store.queue(), place.clock.now());
        assert_eq!(queue.newest().await.expect("read"), None);
        let hours = |hours: i64| start + SignedDuration::from_hours(hours);
        // The later they were queued, the sooner they are tried, but for two that are tried together.
        let mut queued = Vec::new();
        for next in [5, 4, 3, 3] {
            queued.extend(queue.enqueue(message(&store, &["a@one.example"], hours(next)).await).await.expect("queued"));
            place.clock.advance(std::time::Duration::from_secs(3600));
        }
        assert_eq!(queue.newest().await.expect("read"), queued.last().copied());
        let pages = async |listing: Listing| {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = queue.page(listing.clone(), after).await.expect("listed");
                assert!(page.len() <= listing.limit);
                let Some(last) = page.last() else { return found };
                after = Some((last.id, last.next_attempt));
                found.extend(ids(&page));
            }
        };
        let two = || Listing::everything(2);
        let by_next = || Listing { order: Order::NextAttempt, ..Listing::everything(1) };
        let soonest = vec![queued[2], queued[3], queued[1], queued[0]];
        assert_eq!(pages(two()).await, queued);
        assert_eq!(pages(by_next()).await, soonest);
        assert_eq!(pages(Listing { created: hours(1)..=hours(2), ..two() }).await, queued[1..3]);
        assert_eq!(pages(Listing { next_attempt: hours(4)..=hours(5), ..two() }).await, queued[..2]);
        assert_eq!(pages(Listing { next_attempt: hours(4)..=hours(5), ..by_next() }).await, soonest[2..]);
        let named = || Some(vec![queued[3], queued[0], QueueId(99_999)]);
        assert_eq!(pages(Listing { ids: named(), ..two() }).await, [queued[0], queued[3]]);
        assert_eq!(pages(Listing { ids: named(), ..by_next() }).await, [queued[3], queued[0]]);
        assert_eq!(pages(Listing { ids: Some(Vec::new()), ..two() }).await, []);
        assert_eq!(pages(Listing { newest: queued[1], ..by_next() }).await, [queued[1], queued[0]]);
        place.check_and_close(store).await;
    }

    async fn a_large_body_goes_with_its_last_recipient(place: &Place) {
        let store = place.open().await;
        let (queue, now) = (store.queue(), place.clock.now());
        let mut large = message(&store, &["a@one.example", "b@one.example"], now).await;
        large.staged = staged(&store, &"x".repeat(300_000)).await;
        let queued = queue.enqueue(large).await.expect("queued");
        queue.finish(queued[0]).await.expect("finished");
        let (prefix, body) = queue.stage(queued[1]).await.expect("opened").expect("there");
        assert_eq!((prefix.len(), body.size()), (16, 300_000));
        queue.finish(queued[1]).await.expect("finished");
        place.check_and_close(store).await;
    }
}
