//! Keys with which people log in.

use mailstead_names::KeyFingerprint;
use mailstead_runtime::Clock;
use mailstead_store::{AccountId, Depth, Error, ImapPreauth, NewAccount, Orphans, Store, TlsKey};

use crate::support::{Place, on_both};

fn key(place: &Place, account: AccountId, number: u8) -> TlsKey {
    TlsKey {
        fingerprint: KeyFingerprint::new([number; 32]),
        account,
        login: "jane@example.org".to_owned(),
        name: "laptop".to_owned(),
        kind: "ecdsa-p256".to_owned(),
        imap_preauth: ImapPreauth::Refused,
        spki: vec![number; 91],
        added: place.clock.now(),
    }
}

async fn account(store: &Store, name: &str) -> AccountId {
    store.create_account(NewAccount::named(name)).await.expect("created").id()
}

on_both! {
    async fn found_by_their_fingerprint_alone(place: &Place) {
        let store = place.open().await;
        let (jane, joe) = (account(&store, "jane").await, account(&store, "joe").await);
        let keys = store.tls_keys();
        let first = key(place, jane, 9);
        place.advance(1);
        let second = TlsKey { imap_preauth: ImapPreauth::Allowed, ..key(place, jane, 1) };
        let third = TlsKey { login: "joe@example.org".to_owned(), name: String::new(), ..key(place, joe, 2) };
        for key in [&first, &second, &third] {
            assert_eq!(keys.find(&key.fingerprint).await.expect("read"), None);
            keys.add(key.clone()).await.expect("kept");
            assert_eq!(keys.find(&key.fingerprint).await.expect("read").as_ref(), Some(key));
        }
        assert_eq!(keys.list(jane).await.expect("read"), [first.clone(), second]);
        assert_eq!(keys.list(joe).await.expect("read"), [third]);
        assert!(keys.remove(&first.fingerprint).await.expect("removed"));
        assert!(!keys.remove(&first.fingerprint).await.expect("gone"));
        assert_eq!(keys.find(&first.fingerprint).await.expect("read"), None);
        place.check_and_close(store).await;
    }

    async fn a_key_is_of_one_account(place: &Place) {
        let store = place.open().await;
        let (jane, joe) = (account(&store, "jane").await, account(&store, "joe").await);
        let keys = store.tls_keys();
        let first = key(place, jane, 1);
        keys.add(first.clone()).await.expect("kept");
        for other in [first.clone(), TlsKey { account: joe, ..first.clone() }] {
            assert!(matches!(keys.add(other).await, Err(Error::KeyExists)));
        }
        assert_eq!(keys.find(&first.fingerprint).await.expect("read"), Some(first));
        assert!(matches!(keys.add(key(place, AccountId(77), 2)).await, Err(Error::NoAccount)));
        place.check_and_close(store).await;
    }

    async fn keys_go_with_their_account(place: &Place) {
        let store = place.open().await;
        let (jane, joe) = (account(&store, "jane").await, account(&store, "joe").await);
        let keys = store.tls_keys();
        keys.add(key(place, jane, 1)).await.expect("kept");
        keys.add(key(place, joe, 2)).await.expect("kept");
        store.remove_account("jane").await.expect("removed");
        assert_eq!(keys.find(&KeyFingerprint::new([1; 32])).await.expect("read"), None);
        assert_eq!(keys.list(joe).await.expect("read").len(), 1);
        // Somebody else may have it now.
        keys.add(key(place, joe, 1)).await.expect("kept");
        place.check_and_close(store).await;
    }

    async fn keys_of_nobody_are_found(place: &Place) {
        let store = place.open().await;
        let jane = account(&store, "jane").await;
        store.tls_keys().add(key(place, jane, 1)).await.expect("kept");
        store.close().await;
        drop(store);
        place.meddle(None, "update tls_keys set account_id = 77").await;
        let store = place.open().await;
        let report = store.check(Depth::Rows, Orphans::Report).await.expect("checked");
        let sentences: Vec<&str> = report.problems.iter().map(|problem| problem.detail.as_str()).collect();
        assert_eq!(sentences, ["a key of jane@example.org is kept for account 77, which does not exist"]);
        store.close().await;
    }

    async fn there_is_a_limit_to_all_of_it(place: &Place) {
        let store = place.open().await;
        let (jane, joe) = (account(&store, "jane").await, account(&store, "joe").await);
        let keys = store.tls_keys();
        for large in [
            TlsKey { spki: vec![0; 4097], ..key(place, jane, 1) },
            TlsKey { name: "n".repeat(1025), ..key(place, jane, 1) },
            TlsKey { login: "l".repeat(1025), ..key(place, jane, 1) },
        ] {
            assert!(matches!(keys.add(large).await, Err(Error::TooLarge { .. })));
        }
        for number in 0..100 {
            keys.add(key(place, jane, number)).await.expect("kept");
        }
        assert!(matches!(keys.add(key(place, jane, 100)).await, Err(Error::TooManyKeys)));
        assert_eq!(keys.find(&KeyFingerprint::new([100; 32])).await.expect("read"), None);
        assert_eq!(keys.list(jane).await.expect("read").len(), 100);
        keys.add(key(place, joe, 100)).await.expect("another account has room");
        place.check_and_close(store).await;
    }
}
