//! Opening: what is refused, and that a refusal touches nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mailstead_names::Secret;
use mailstead_store::{Backend, Error, NewAccount, OpenError, Store};

use crate::letters::mailbox;
use crate::support::{Engine, on_both};

/// Every file below a directory with its octets.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).expect("readable"));
        }
    }
    found
}

async fn refusal(options: mailstead_store::Options) -> OpenError {
    match Store::open(options).await {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

on_both! {
    async fn accounts_survive_a_restart(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await;
        place.fill(&store, &account, inbox.id, 2).await;
        let taken = store.create_account(NewAccount::named("alice")).await;
        assert!(matches!(taken, Err(Error::AccountExists)));
        store.close().await;
        assert!(matches!(account.read(|read| read.usage()).await, Err(Error::Closed)));

        let store = place.open().await;
        let account = store.account("alice").await.expect("looked up").expect("there");
        assert_eq!(mailbox(&account, "Inbox").await.counts.total, 2);
        place.check_and_close(store).await;
    }

    async fn a_removed_account_is_gone(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await;
        let other = store.create_account(NewAccount::named("bob")).await.expect("created");
        let theirs = mailbox(&other, "Inbox").await;
        place.fill(&store, &other, theirs.id, 1).await;
        place.fill(&store, &account, inbox.id, 1).await;
        store.remove_account("alice").await.expect("removed");
        assert!(matches!(store.remove_account("alice").await, Err(Error::NoAccount)));
        assert!(matches!(account.read(|read| read.usage()).await, Err(Error::NoAccount)));
        assert!(store.account("alice").await.expect("looked up").is_none());
        // A new account of the old name begins anew, and clients can tell.
        place.advance(1);
        let again = store.create_account(NewAccount::named("alice")).await.expect("created");
        assert_ne!(again.id(), account.id());
        let new = mailbox(&again, "Inbox").await;
        assert_eq!(new.counts.total, 0);
        assert!(new.uid_validity > inbox.uid_validity);
        assert_eq!(mailbox(&other, "Inbox").await.counts.total, 1);
        place.check_and_close(store).await;
    }

    async fn a_second_process_is_refused(place: &Place) {
        let (store, account) = place.with_account().await;
        let refused = refusal(place.options()).await;
        assert!(matches!(refused, OpenError::Locked(_)), "{refused}");
        mailbox(&account, "Inbox").await;
        if place.engine == Engine::Postgres {
            let elsewhere = tempfile::tempdir().expect("made");
            let mut options = place.options();
            options.directory = elsewhere.path().to_owned();
            assert!(matches!(refusal(options).await, OpenError::DatabaseLocked));
        }
        place.check_and_close(store).await;
    }

    /// PostgreSQL keeps the lock of a process that is gone until it notices: a restart waits for that.
    async fn a_database_that_is_given_back_soon_is_waited_for(place: &Place) {
        if place.engine != Engine::Postgres {
            return;
        }
        let store = place.open().await;
        let elsewhere = tempfile::tempdir().expect("made");
        let mut options = place.options();
        options.directory = elsewhere.path().to_owned();
        let given_back = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            store.close().await;
            drop(store);
        };
        let (opened, ()) = tokio::join!(Store::open(options), given_back);
        opened.expect("it waited").close().await;
    }

    async fn spool_files_of_a_crash_are_removed(place: &Place) {
        let store = place.open().await;
        store.close().await;
        drop(store);
        fs::write(place.directory.path().join("spool/left"), b"x").expect("written");
        let store = place.open().await;
        assert_eq!(place.spooled(), 0);
        place.check_and_close(store).await;
    }

    async fn a_newer_database_is_refused(place: &Place) {
        let (store, _) = place.with_account().await;
        store.close().await;
        drop(store);
        place.set_version(99).await;
        let before = contents(place.directory.path());
        let refused = refusal(place.options()).await;
        assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
        assert_eq!(contents(place.directory.path()), before);
    }
}

#[tokio::test]
async fn damaged_files_are_refused() {
    crate::support::run(Engine::Sqlite, async |place| {
        let (store, account) = place.with_account().await;
        let id = account.id();
        store.close().await;
        drop(store);
        let server = place.directory.path().join("server.db");
        let mail = place.directory.path().join(format!("accounts/{id}/mail.db"));
        let whole = contents(place.directory.path());
        let half = |path: &PathBuf| whole[path][..whole[path].len() / 2].to_vec();
        for (path, octets) in [
            (&server, b"this is not a database, this is a text".to_vec()),
            (&mail, vec![7; 100_000]),
            (&server, half(&server)),
            (&mail, half(&mail)),
        ] {
            fs::write(path, &octets).expect("written");
            let before = contents(place.directory.path());
            let refused = refusal(place.options()).await;
            assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
            assert!(refused.to_string().contains(path.to_str().expect("a name")), "{refused}");
            assert_eq!(contents(place.directory.path()), before);
            fs::write(path, &whole[path]).expect("written");
        }
        place.check_and_close(place.open().await).await;
    })
    .await;
}

#[tokio::test]
async fn an_unreachable_server_is_said_to_be() {
    crate::support::run(Engine::Sqlite, async |place| {
        for url in ["postgres://nobody@127.0.0.1:1/nothing", "no connection string"] {
            let mut options = place.options();
            options.backend = Backend::Postgres { url: Secret::new(url.to_owned()) };
            assert!(matches!(refusal(options).await, OpenError::Connect(_)), "{url}");
        }
        let mut options = place.options();
        options.directory = place.directory.path().join("lock");
        let refused = refusal(options).await;
        assert!(matches!(refused, OpenError::Store(Error::Io { .. })), "a file is no directory: {refused}");
    })
    .await;
}

#[tokio::test]
async fn files_are_for_us_alone() {
    crate::support::run(Engine::Sqlite, async |place| {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        place.fill(&store, &account, inbox, 1).await;
        for path in contents(place.directory.path()).keys() {
            let mode = fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
            let above = path.parent().expect("in a directory");
            if above != place.directory.path() {
                assert_eq!(
                    fs::metadata(above).expect("there").permissions().mode() & 0o777,
                    0o700,
                    "{}",
                    above.display()
                );
            }
        }
        place.check_and_close(store).await;
    })
    .await;
}

#[tokio::test]
async fn broken_connections_are_replaced() {
    crate::support::run(Engine::Postgres, async |place| {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        // As when the server is restarted while nothing is under way.
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()";
        place.administer(end.to_owned()).await;
        place.fill(&store, &account, inbox, 1).await;
        place.administer(end.to_owned()).await;
        assert_eq!(mailbox(&account, "Inbox").await.counts.total, 1);
        place.check_and_close(store).await;
    })
    .await;
}
