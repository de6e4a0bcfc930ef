//! What is known of messages that were not stored: found by its reference, and no longer than it should.

use jiff::SignedDuration;
use mailstead_runtime::Clock;
use mailstead_store::{Area, Depth, Error, Orphans, Refused, Retention, Store};

use crate::support::{Place, on_both};

const DAY: u64 = 24 * 3600;

fn refused(place: &Place, reference: &str, payload: &str) -> Refused {
    Refused { reference: reference.to_owned(), at: place.clock.now(), version: 3, payload: payload.as_bytes().to_vec() }
}

async fn put(place: &Place, store: &Store, reference: &str) {
    store.refused().put(refused(place, reference, "{}")).await.expect("kept");
}

/// Which of these references are found.
async fn found(store: &Store, references: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    for reference in references {
        if !store.refused().find(&reference, 1).await.expect("read").is_empty() {
            found.push(reference);
        }
    }
    found
}

fn numbered(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("m{number}"))
}

/// Opens the store with other limits.
async fn open(place: &Place, age: SignedDuration, rows: u32) -> Store {
    let mut options = place.options();
    options.refused = Retention { age, rows };
    Store::open(options).await.expect("the store opens")
}

async fn close(store: Store) {
    store.close().await;
    drop(store);
}

on_both! {
    async fn what_is_put_is_found_again(place: &Place) {
        let store = place.open().await;
        let (first, second) = (refused(place, "m1", "first"), refused(place, "m1", "second"));
        for put in [&first, &second, &refused(place, "m2", "other")] {
            store.refused().put(put.clone()).await.expect("kept");
        }
        assert_eq!(store.refused().find("m1", 10).await.expect("read"), [second.clone(), first.clone()]);
        assert_eq!(store.refused().find("m1", 1).await.expect("read"), std::slice::from_ref(&second));
        assert_eq!(store.refused().find("m", 10).await.expect("read"), []);
        close(store).await;

        let store = place.open().await;
        put(place, &store, "m3").await;
        assert_eq!(store.refused().find("m1", 10).await.expect("read"), [second, first]);
        place.check_and_close(store).await;
    }

    async fn what_is_old_is_neither_found_nor_kept(place: &Place) {
        let store = place.open().await;
        put(place, &store, "m0").await;
        place.advance(DAY);
        put(place, &store, "m1").await;
        place.advance(29 * DAY);
        assert_eq!(found(&store, numbered(0..2)).await, ["m0", "m1"]);
        place.advance(1);
        assert_eq!(found(&store, numbered(0..2)).await, ["m1"]);
        close(store).await;

        // It is still there, for one who keeps more, until something else is put.
        let years = SignedDuration::from_hours(24 * 3650);
        let store = open(place, years, 10).await;
        assert_eq!(found(&store, numbered(0..2)).await, ["m0", "m1"]);
        close(store).await;
        let store = place.open().await;
        put(place, &store, "m2").await;
        close(store).await;
        let store = open(place, years, 10).await;
        assert_eq!(found(&store, numbered(0..3)).await, ["m1", "m2"]);
        place.check_and_close(store).await;
    }

    async fn all_may_be_too_old(place: &Place) {
        let store = place.open().await;
        for reference in numbered(0..3) {
            put(place, &store, &reference).await;
        }
        place.advance(31 * DAY);
        // Later than all, and older than what is kept: as when a clock was set.
        let mut late = refused(place, "late", "{}");
        late.at -= SignedDuration::from_hours(40 * 24);
        store.refused().put(late).await.expect("taken");
        assert_eq!(found(&store, numbered(0..3).chain(["late".to_owned()])).await, Vec::<String>::new());
        put(place, &store, "m9").await;
        assert_eq!(found(&store, numbered(0..10)).await, ["m9"]);
        place.check_and_close(store).await;
    }

    async fn of_many_the_newest_are_kept(place: &Place) {
        let age = Retention::default().age;
        let store = open(place, age, 5).await;
        for reference in numbered(0..8) {
            put(place, &store, &reference).await;
        }
        let kept: Vec<String> = numbered(3..8).collect();
        assert_eq!(found(&store, numbered(0..8)).await, kept);
        close(store).await;

        // A limit that was lowered is reached in a few steps, with the newest always there.
        let store = open(place, age, 1000).await;
        for reference in numbered(8..100) {
            put(place, &store, &reference).await;
        }
        close(store).await;
        let store = open(place, age, 2).await;
        put(place, &store, "m100").await;
        let some = found(&store, numbered(0..101)).await;
        assert!(some.len() > 2 && some.len() < 97, "one put removes some: {}", some.len());
        assert_eq!(some.last().map(String::as_str), Some("m100"));
        for reference in numbered(101..110) {
            put(place, &store, &reference).await;
        }
        assert_eq!(found(&store, numbered(0..110)).await, ["m108", "m109"]);
        place.check_and_close(store).await;
    }

    async fn what_is_too_large_is_not_taken(place: &Place) {
        let store = place.open().await;
        let most = refused(place, &"r".repeat(128), &"x".repeat(64 * 1024));
        store.refused().put(most.clone()).await.expect("kept");
        assert_eq!(store.refused().find(&most.reference, 9).await.expect("read"), std::slice::from_ref(&most));
        for (more, octets) in [
            (Refused { payload: vec![b'x'; 64 * 1024 + 1], ..most.clone() }, 64 * 1024 + 1),
            (Refused { reference: "r".repeat(129), ..most.clone() }, 129),
        ] {
            let outcome = store.refused().put(more).await;
            assert!(matches!(outcome, Err(Error::TooLarge { size, .. }) if size == octets), "{outcome:?}");
        }
        assert_eq!(store.refused().find(&most.reference, 9).await.expect("read").len(), 1);
        place.check_and_close(store).await;
    }

    async fn check_tells_what_was_not_taken_in_this_way(place: &Place) {
        let store = place.open().await;
        put(place, &store, "m1").await;
        close(store).await;
        let large = match place.engine {
            crate::support::Engine::Sqlite => "zeroblob(65537)",
            crate::support::Engine::Postgres => "decode(repeat('00', 65537), 'hex')",
        };
        place.meddle(None, &format!("update refused set payload = {large}")).await;
        let store = place.open().await;
        let report = store.check(Depth::Rows, Orphans::Report).await.expect("checked");
        assert_eq!(report.problems.iter().map(|problem| problem.area).collect::<Vec<_>>(), [Area::Rows], "{report}");
        close(store).await;
    }
}
