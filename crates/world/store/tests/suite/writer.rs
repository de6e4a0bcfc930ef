//! Group commit: isolation of closures, panics, notices, many writers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mailstead_store::{Error, NewAccount, UidSet};

use crate::letters::{mailbox, new_message, numbers};
use crate::support::{on_both, staged};

on_both! {
    async fn one_failure_undoes_one_closure(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        let message = new_message(inbox, &staged(&store, "Subject: x\r\n\r\n").await);
        let mut writes = tokio::task::JoinSet::new();
        for number in 0..30 {
            let (account, message) = (account.clone(), message.clone());
            writes.spawn(async move {
                let written = account.write(move |write| {
                    write.append(&message)?;
                    match number % 3 {
                        0 => Ok(number),
                        1 => Err(Error::aborted(std::io::Error::other("enough"))),
                        _ => panic!("a bug"),
                    }
                });
                (number, written.await)
            });
        }
        while let Some(done) = writes.join_next().await {
            let (number, outcome) = done.expect("the task ends");
            match (number % 3, outcome) {
                (0, Ok(same)) => assert_eq!(same, number),
                (1, Err(Error::Aborted(_))) => {}
                (2, Err(Error::Panicked(text))) => assert_eq!(text, "a bug"),
                (_, outcome) => panic!("{number}: {outcome:?}"),
            }
        }
        let uids = account.read(move |read| read.uids(inbox)).await.expect("read");
        assert_eq!(numbers(uids), (1..=10).collect::<Vec<_>>());
        place.check_and_close(store).await;
    }

    async fn many_writers_of_many_accounts(place: &Place) {
        let store = place.open().await;
        let mut writes = tokio::task::JoinSet::new();
        for number in 0..6 {
            let account = store.create_account(NewAccount::named(format!("user{number}"))).await.expect("created");
            let inbox = mailbox(&account, "Inbox").await.id;
            let message = new_message(inbox, &staged(&store, "Subject: x\r\n\r\nbody\r\n").await);
            for _ in 0..20 {
                let (account, message) = (account.clone(), message.clone());
                writes.spawn(async move { account.write(move |write| write.append(&message)).await });
            }
        }
        while let Some(done) = writes.join_next().await {
            done.expect("the task ends").expect("stored");
        }
        for account in store.accounts().await.expect("listed") {
            assert_eq!(mailbox(&account, "Inbox").await.counts.total, 20);
        }
        place.check_and_close(store).await;
    }

    async fn notices_come_after_commits_that_changed_something(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        let mut notices = account.notices();
        account.write(move |write| write.mailbox(inbox)).await.expect("read");
        let quiet = tokio::time::timeout(Duration::from_millis(20), notices.changed()).await;
        assert!(quiet.is_err(), "nothing changed, so nobody is told");
        place.fill(&store, &account, inbox, 1).await;
        let modseq = notices.changed().await;
        assert_eq!(modseq, mailbox(&account, "Inbox").await.modseq);
        account.write(move |write| write.remove_messages(inbox, &UidSet::all())).await.expect("removed");
        assert!(notices.changed().await > modseq);
        place.check_and_close(store).await;
    }

    async fn a_group_shares_its_commit(place: &Place) {
        let (store, account) = place.with_account().await;
        // While the first closure holds the lane, the others gather behind it.
        let runs = Arc::new(AtomicUsize::new(0));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let first = tokio::spawn({
            let account = account.clone();
            async move {
                account
                    .write(move |write| {
                        // Sent once; a second run finds the sender gone.
                        let _ = held.lock().expect("not poisoned").recv();
                        write.account_modseq()
                    })
                    .await
            }
        });
        tokio::task::yield_now().await;
        let mut others = Vec::new();
        for number in 0..20 {
            let (account, runs) = (account.clone(), Arc::clone(&runs));
            others.push(tokio::spawn(async move {
                account
                    .write(move |write| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        write.create_mailbox(&format!("box{number:02}"), None)?;
                        Ok(write.now())
                    })
                    .await
            }));
        }
        tokio::task::yield_now().await;
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        release.send(()).expect("waited for");
        first.await.expect("ends").expect("done");
        for other in others {
            other.await.expect("ends").expect("done");
        }
        assert_eq!(runs.load(Ordering::Relaxed), 20);
        place.check_and_close(store).await;
    }
}

#[tokio::test]
async fn a_closed_store_answers() {
    crate::support::run(crate::support::Engine::Sqlite, async |place| {
        let (store, account) = place.with_account().await;
        let mut writes = tokio::task::JoinSet::new();
        for number in 0..50 {
            let account = account.clone();
            writes.spawn(
                async move { account.write(move |write| write.create_mailbox(&format!("m{number}"), None)).await },
            );
        }
        store.close().await;
        let mut done = 0;
        while let Some(outcome) = writes.join_next().await {
            match outcome.expect("the task ends") {
                Ok(_) => done += 1,
                Err(Error::Closed) => {}
                Err(error) => panic!("{error}"),
            }
        }
        drop((store, account));
        let store = place.open().await;
        let account = store.account("alice").await.expect("looked up").expect("there");
        let all = account.read(|read| read.mailboxes()).await.expect("read");
        assert_eq!(all.len(), 6 + done, "what was answered is there, and nothing else");
        place.check_and_close(store).await;
    })
    .await;
}
