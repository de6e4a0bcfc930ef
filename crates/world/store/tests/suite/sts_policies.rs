//! What is kept of the MTA-STS policies of other domains.

use mailstead_runtime::Clock;
use mailstead_store::{Error, Payload, StoredStsPolicy};

use crate::support::{Place, on_both};

fn policy(place: &Place, domain: &str, octets: &[u8]) -> StoredStsPolicy {
    let payload = Payload { version: 7, octets: octets.to_vec() };
    StoredStsPolicy { domain: domain.to_owned(), used: place.clock.now(), payload }
}

on_both! {
    async fn one_entry_for_each_domain(place: &Place) {
        let store = place.open().await;
        let policies = store.sts_policies();
        assert_eq!(policies.find("a.example").await.expect("read"), None);
        policies.put(policy(place, "a.example", b"old")).await.expect("kept");
        place.clock.advance(std::time::Duration::from_secs(60));
        let new = policy(place, "a.example", b"new");
        policies.put(new.clone()).await.expect("kept");
        assert_eq!(policies.find("a.example").await.expect("read"), Some(new.clone()));
        place.clock.advance(std::time::Duration::from_secs(60));
        policies.touch("a.example", place.clock.now()).await.expect("kept");
        policies.touch("b.example", place.clock.now()).await.expect("nothing to do");
        let touched = StoredStsPolicy { used: place.clock.now(), ..new };
        assert_eq!(policies.find("a.example").await.expect("read"), Some(touched));
        assert!(policies.remove("a.example").await.expect("removed"));
        assert!(!policies.remove("a.example").await.expect("gone"));
        place.check_and_close(store).await;
    }

    async fn pages_by_name(place: &Place) {
        let store = place.open().await;
        let policies = store.sts_policies();
        for name in ["c.example", "a.example", "b.example"] {
            policies.put(policy(place, name, b"x")).await.expect("kept");
        }
        let mut seen: Vec<String> = Vec::new();
        loop {
            let page = policies.list(seen.last().map(String::as_str), 2).await.expect("read");
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|stored| stored.domain));
        }
        assert_eq!(seen, ["a.example", "b.example", "c.example"]);
        place.check_and_close(store).await;
    }

    async fn no_more_than_a_policy_takes(place: &Place) {
        let store = place.open().await;
        let outcome = store.sts_policies().put(policy(place, "a.example", &[b'x'; 192 * 1024 + 1])).await;
        assert!(matches!(outcome, Err(Error::TooLarge { size: 196_609, .. })), "{outcome:?}");
        place.check_and_close(store).await;
    }
}
