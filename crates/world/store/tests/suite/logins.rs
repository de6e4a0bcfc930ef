//! Login attempts.

use mailstead_store::{AccountId, LoginAttempt, LoginOutcome};

use crate::support::on_both;

fn attempt(account: Option<i64>, login: &str, outcome: LoginOutcome) -> LoginAttempt {
    LoginAttempt {
        account: account.map(AccountId),
        login: login.to_owned(),
        remote_ip: "2001:db8::1".parse().expect("an address"),
        local_ip: "192.0.2.1".parse().expect("an address"),
        protocol: "imap".to_owned(),
        mechanism: "SCRAM-SHA-256".to_owned(),
        tls: String::new(),
        client: "test".to_owned(),
        outcome,
    }
}

on_both! {
    async fn attempts_alike_are_one_row(place: &Place) {
        let store = place.open().await;
        let bad = attempt(Some(1), "you@example.org", LoginOutcome::WrongPassword);
        store.record_login(bad.clone()).await.expect("recorded");
        place.advance(60);
        store.record_login(bad.clone()).await.expect("recorded");
        store.record_login(attempt(Some(1), "you@example.org", LoginOutcome::Ok)).await.expect("recorded");
        store.record_login(attempt(None, "nobody", LoginOutcome::UnknownUser)).await.expect("recorded");
        let seen = store.login_attempts(Some(AccountId(1)), 10).await.expect("read");
        assert_eq!(seen.len(), 2);
        let failed = seen.iter().find(|seen| seen.attempt == bad).expect("there");
        assert_eq!((failed.count, (failed.last - failed.first).as_secs()), (2, 60));
        let unknown = store.login_attempts(None, 10).await.expect("read");
        assert_eq!(unknown.len(), 1);
        assert_eq!(unknown[0].attempt.login, "nobody");
        place.check_and_close(store).await;
    }

    async fn old_attempts_are_removed(place: &Place) {
        let store = place.open().await;
        store.record_login(attempt(Some(1), "you", LoginOutcome::Ok)).await.expect("recorded");
        place.advance(31 * 24 * 3600);
        store.record_login(attempt(Some(1), "me", LoginOutcome::Ok)).await.expect("recorded");
        let seen = store.login_attempts(Some(AccountId(1)), 10).await.expect("read");
        assert_eq!(seen.iter().map(|seen| seen.attempt.login.as_str()).collect::<Vec<_>>(), ["me"]);
        place.check_and_close(store).await;
    }
}
