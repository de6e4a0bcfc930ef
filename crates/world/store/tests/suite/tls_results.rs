//! Results of connections until they are reported.

use mailstead_store::{Error, Payload, StoredTlsResults, TlsResultKey};

use crate::support::on_both;

fn row(day: i64, domain: &str, text: &str) -> StoredTlsResults {
    let key = TlsResultKey {
        day,
        policy_domain: domain.to_owned(),
        recipient_domain: "other.example".to_owned(),
        scope: "mx-host".to_owned(),
    };
    StoredTlsResults { key, causes_report: false, payload: payload(1, text) }
}

fn payload(version: u32, text: &str) -> Payload {
    Payload { version, octets: text.as_bytes().to_vec() }
}

/// Texts one behind the other, of the version that is known.
fn join(old: &Payload, new: &Payload) -> Option<Payload> {
    (old.version == 1).then(|| Payload { version: 1, octets: [old.octets.clone(), new.octets.clone()].concat() })
}

on_both! {
    async fn rows_add_up(place: &Place) {
        let store = place.open().await;
        let results = store.tls_results();
        results.add(vec![row(7, "a.example", "a"), row(7, "b.example", "b")], join).await.expect("kept");
        let causing = StoredTlsResults { causes_report: true, ..row(7, "a.example", "c") };
        results.add(vec![causing, row(7, "a.example", "d"), row(8, "a.example", "e")], join).await.expect("kept");
        let listed = results.list(None, 10).await.expect("read");
        let shown: Vec<_> = listed
            .iter()
            .map(|row| (row.key.day, row.key.policy_domain.as_str(), row.causes_report, row.payload.octets.as_slice()))
            .collect();
        assert_eq!(
            shown,
            [(7, "a.example", true, &b"acd"[..]), (7, "b.example", false, b"b"), (8, "a.example", false, b"e")]
        );
        place.check_and_close(store).await;
    }

    async fn pages_and_days(place: &Place) {
        let store = place.open().await;
        let results = store.tls_results();
        let rows = (0..5).flat_map(|day| [row(day, "a.example", "x"), row(day, "b.example", "x")]).collect();
        results.add(rows, join).await.expect("kept");
        assert_eq!(results.remove_before(2).await.expect("removed"), 4);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = results.list(after.clone(), 4).await.expect("read");
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            seen.extend(page.into_iter().map(|row| (row.key.day, row.key.policy_domain)));
        }
        let all = (2..5).flat_map(|day| [(day, "a.example".to_owned()), (day, "b.example".to_owned())]);
        assert_eq!(seen, all.collect::<Vec<_>>());
        place.check_and_close(store).await;
    }

    async fn what_cannot_be_read_or_is_too_large_changes_nothing(place: &Place) {
        let store = place.open().await;
        let results = store.tls_results();
        let newer = StoredTlsResults { payload: payload(9, "?"), ..row(1, "a.example", "") };
        results.add(vec![newer.clone()], join).await.expect("kept");
        results.add(vec![row(1, "a.example", "x")], join).await.expect("passed over");
        let large = row(1, "b.example", &"x".repeat((4 << 20) + 1));
        let outcome = results.add(vec![row(1, "c.example", "x"), large], join).await;
        assert!(matches!(outcome, Err(Error::TooLarge { size: 4_194_305, .. })), "{outcome:?}");
        assert_eq!(results.list(None, 10).await.expect("read"), [newer]);
        place.check_and_close(store).await;
    }
}
