//! Login attempts.

use mailstead_store::{AccountId, LoginAttempt, LoginOutcome};

use crate::support::{Engine, on_both};

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

    async fn of_failed_attempts_the_latest_are_kept(place: &Place) {
        let store = place.open().await;
        store.record_login(attempt(Some(1), "you", LoginOutcome::Ok)).await.expect("recorded");
        store.record_login(attempt(Some(1), "oldest", LoginOutcome::WrongPassword)).await.expect("recorded");
        store.close().await;
        drop(store);
        // As many as an account may have, each a microsecond later than the one before.
        let likeness = match place.engine {
            Engine::Sqlite => "cast(n as blob)",
            Engine::Postgres => "int8send(n)",
        };
        let many = format!(
            "insert into login_attempts (account_id, likeness, succeeded, first_at, last_at, count, login, remote_ip,
                    local_ip, protocol, mechanism, tls, client, outcome)
                with recursive numbers (n) as (select cast(1 as bigint) union all select n + 1 from numbers where n < 10000)
                select 1, {likeness}, 0, first_at + n, last_at + n, 1, 'guess', remote_ip, local_ip, protocol, mechanism,
                    tls, client, outcome
                from login_attempts, numbers where login = 'oldest'"
        );
        place.meddle(None, &many).await;
        place.advance(1);
        let store = place.open().await;
        store.record_login(attempt(Some(1), "newest", LoginOutcome::WrongPassword)).await.expect("recorded");
        let seen = store.login_attempts(Some(AccountId(1)), 20_000).await.expect("read");
        assert_eq!(seen.len(), 10_001);
        assert_eq!(seen[0].attempt.login, "newest");
        assert_eq!(seen[10_000].attempt.login, "you");
        place.check_and_close(store).await;
    }
}
