//! What engines keep beside messages, and finding it by a reference.

use mailstead_store::{Account, Facts, MessageId, Store, UidSet};

use crate::letters::{mailbox, new_message};
use crate::support::{on_both, staged};

fn facts(kind: &str, payload: &str, reference: Option<&str>) -> Facts {
    Facts {
        kind: kind.to_owned(),
        version: 2,
        payload: payload.as_bytes().to_vec(),
        reference: reference.map(str::to_owned),
    }
}

/// Stores a message in Inbox with these facts.
async fn store_with(store: &Store, account: &Account, facts: Vec<Facts>) -> MessageId {
    let inbox = mailbox(account, "Inbox").await.id;
    let mut message = new_message(inbox, &staged(store, "Subject: x\r\n\r\n").await);
    message.facts = facts;
    account.write(move |write| write.append(&message)).await.expect("stored").id
}

async fn find(account: &Account, kind: &'static str, reference: &str, most: usize) -> Vec<(MessageId, Facts)> {
    let reference = reference.to_owned();
    account.read(move |read| read.facts_by_reference(kind, &reference, most)).await.expect("read")
}

on_both! {
    async fn facts_are_found_by_kind_and_reference(place: &Place) {
        let (store, account) = place.with_account().await;
        let other = store.create_account(mailstead_store::NewAccount::named("other")).await.expect("created");
        // Two messages of one connection, each with facts of another kind under the same word.
        let both = |payload| vec![facts("arrival", payload, Some("m1")), facts("analysis", "words", Some("m1"))];
        let first = store_with(&store, &account, both("first")).await;
        let second = store_with(&store, &account, both("second")).await;
        store_with(&store, &account, vec![facts("arrival", "another", Some("m2"))]).await;
        store_with(&store, &account, vec![facts("arrival", "nameless", None)]).await;
        let theirs = store_with(&store, &other, vec![facts("arrival", "theirs", Some("m1"))]).await;

        let expected = [
            (second, facts("arrival", "second", Some("m1"))),
            (first, facts("arrival", "first", Some("m1"))),
        ];
        assert_eq!(find(&account, "arrival", "m1", 10).await, expected);
        assert_eq!(find(&account, "arrival", "m1", 1).await, expected[..1]);
        assert_eq!(find(&account, "analysis", "m1", 10).await.len(), 2);
        assert_eq!(find(&account, "arrival", "m", 10).await, []);
        assert_eq!(find(&account, "arrival", "", 10).await, [], "none is not the empty reference");
        assert_eq!(find(&other, "arrival", "m1", 10).await, [(theirs, facts("arrival", "theirs", Some("m1")))]);
        let by_number = account.read(move |read| read.facts(second, "arrival")).await.expect("read");
        assert_eq!(by_number, Some(expected[0].1.clone()));
        place.check_and_close(store).await;
    }

    async fn references_are_replaced_copied_and_removed_with_their_facts(place: &Place) {
        let (store, account) = place.with_account().await;
        let id = store_with(&store, &account, vec![facts("arrival", "old", Some("m1"))]).await;
        account.write(move |write| write.set_facts(id, &facts("arrival", "new", Some("m2")))).await.expect("kept");
        assert_eq!(find(&account, "arrival", "m1", 10).await, []);
        let (inbox, archive) = (mailbox(&account, "Inbox").await.id, mailbox(&account, "Archive").await.id);
        account.write(move |write| write.copy_messages(inbox, &UidSet::all(), archive)).await.expect("copied");
        let found = find(&account, "arrival", "m2", 10).await;
        assert_eq!((found.len(), found[1].0), (2, id));
        assert!(found.iter().all(|(_, kept)| *kept == facts("arrival", "new", Some("m2"))), "{found:?}");

        account.write(move |write| write.remove_messages(inbox, &UidSet::all())).await.expect("removed");
        let copy = found[0].0;
        assert_eq!(find(&account, "arrival", "m2", 10).await.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [copy]);
        account.write(move |write| write.set_facts(copy, &facts("arrival", "new", None))).await.expect("kept");
        assert_eq!(find(&account, "arrival", "m2", 10).await, []);
        place.check_and_close(store).await;
    }

    async fn a_reference_too_long_to_be_found_does_not_hold_up_mail(place: &Place) {
        let (store, account) = place.with_account().await;
        let (most, more) = ("r".repeat(128), "r".repeat(129));
        let all = vec![facts("a", "kept", Some(&most)), facts("b", "kept", Some(&more))];
        let id = store_with(&store, &account, all).await;
        assert_eq!(find(&account, "a", &most, 10).await, [(id, facts("a", "kept", Some(&most)))]);
        assert_eq!(find(&account, "b", &more, 10).await, []);
        let kept = account.read(move |read| read.facts(id, "b")).await.expect("read");
        assert_eq!(kept, Some(facts("b", "kept", None)));
        place.check_and_close(store).await;
    }
}
