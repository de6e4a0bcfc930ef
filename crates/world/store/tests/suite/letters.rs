//! Accounts with mail in them, and what tests want to know of the files.

use std::fs;
use std::path::Path;

use mailstead_store::{Account, Depth, Flags, Mailbox, MailboxId, NewAccount, NewMessage, Orphans, Staged, Store, Uid};

use crate::support::{Engine, Place, staged};

impl Place {
    /// A store with the account `alice`.
    pub(crate) async fn with_account(&self) -> (Store, Account) {
        let store = self.open().await;
        let account = store.create_account(NewAccount::named("alice")).await.expect("created");
        (store, account)
    }

    /// Stores some small messages, one transaction for each.
    pub(crate) async fn fill(&self, store: &Store, account: &Account, mailbox: MailboxId, count: usize) {
        for number in 0..count {
            let text = format!("Subject: {number}\r\nMessage-ID: <{number}@fill>\r\n\r\nbody of {number}\r\n");
            let message = new_message(mailbox, &staged(store, &text).await);
            account.write(move |write| write.append(&message)).await.expect("stored");
        }
    }

    /// Ends a test: all must be consistent.
    pub(crate) async fn check_and_close(&self, store: Store) {
        let report = store.check(Depth::Contents, Orphans::Report).await.expect("checked");
        assert!(report.is_clean() && report.orphans.is_empty(), "{report}");
        store.close().await;
    }

    /// How many files lie in the spool.
    pub(crate) fn spooled(&self) -> usize {
        files(&self.directory.path().join("spool"))
    }

    /// How many large bodies an account has.
    pub(crate) fn blob_files(&self, account: &Account) -> usize {
        files(&self.directory.path().join(format!("accounts/{}/blobs", account.id())))
    }

    /// Writes another schema version into the server's database.
    pub(crate) async fn set_version(&self, version: u32) {
        match self.engine {
            Engine::Sqlite => {
                let connection = rusqlite::Connection::open(self.directory.path().join("server.db")).expect("opens");
                connection.pragma_update(None, "user_version", version).expect("written");
            }
            Engine::Postgres => self.administer(format!("update schema_version set version = {version}")).await,
        }
    }
}

fn files(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let count = |path: &Path| if path.is_dir() { files(path) } else { 1 };
    entries.map(|entry| count(&entry.expect("an entry").path())).sum()
}

/// A mailbox that is there, by name.
pub(crate) async fn mailbox(account: &Account, name: &'static str) -> Mailbox {
    account.read(move |read| read.mailbox_by_name(name)).await.expect("read").expect("there")
}

/// A message without flags or prefix, received at the epoch.
pub(crate) fn new_message(mailbox: MailboxId, staged: &Staged) -> NewMessage {
    NewMessage {
        mailbox,
        staged: staged.clone(),
        prefix: Vec::new(),
        flags: Flags::default(),
        received_at: jiff::Timestamp::UNIX_EPOCH,
        facts: Vec::new(),
    }
}

pub(crate) fn uid(number: u32) -> Uid {
    Uid::new(number).expect("not zero")
}

pub(crate) fn numbers(uids: impl IntoIterator<Item = Uid>) -> Vec<u32> {
    uids.into_iter().map(Uid::number).collect()
}
