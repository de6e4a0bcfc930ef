//! Accounts: creation, removal, and the handle through which everything else is done.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::ids::{AccountId, MessageId};
use crate::mailboxes::SpecialUse;
use crate::messages::MessageReader;
use crate::notices::Notices;
use crate::passwords;
use crate::schema;
use crate::sql::{self, Access, Database, Dialect, params};
use crate::store::{Core, Shared, Store};
use crate::tls_keys;
use crate::transaction::{Read, Write};

/// What a new account begins with.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its name, unique on the server.
    pub name: String,
    /// Mailboxes besides Inbox, all subscribed.
    pub mailboxes: Vec<(String, Option<SpecialUse>)>,
    /// Limit of storage in octets.
    pub quota: Option<u64>,
}

impl NewAccount {
    /// An account with the usual mailboxes.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        let usual = [
            ("Sent", SpecialUse::Sent),
            ("Archive", SpecialUse::Archive),
            ("Trash", SpecialUse::Trash),
            ("Drafts", SpecialUse::Drafts),
            ("Junk", SpecialUse::Junk),
        ];
        NewAccount {
            name: name.into(),
            mailboxes: usual.map(|(name, special_use)| (name.to_owned(), Some(special_use))).into(),
            quota: None,
        }
    }
}

/// A handle to an account. Cheap to clone; keeps no database open.
#[derive(Clone)]
pub struct Account {
    pub(crate) store: Store,
    pub(crate) shared: Arc<Shared>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Account {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> AccountId {
        self.shared.database.account()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Runs a closure over one snapshot of the account, on a thread for blocking work.
    pub async fn read<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<T> + Send + 'static,
    {
        self.store.read_in(&self.shared, closure).await
    }

    /// Runs a closure in a transaction and returns after it is on the disk.
    ///
    /// Closures that wait for the same account share a transaction, each in a savepoint of its own: an
    /// error or a panic undoes only the closure it came from. The closure may run more than once, the last
    /// run counts. If the future is dropped the closure may or may not be done.
    pub async fn write<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Write<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.store.write_in(&self.shared, closure).await
    }

    /// Notices of commits from now on.
    #[must_use]
    pub fn notices(&self) -> Notices {
        Notices::new(self.shared.notices.subscribe())
    }

    /// Opens a message for random access.
    ///
    /// # Errors
    /// [`Error::NoMessage`] when it is expunged.
    pub async fn open_message(&self, message: MessageId) -> Result<MessageReader> {
        let stored = self.read(move |read| read.open_message(message)).await?;
        Ok(MessageReader::new(stored, self.store.clone()))
    }
}

/// An account's row.
struct Row {
    id: AccountId,
    name: String,
}

const ROWS: &str = "select account_id, name from accounts where active = 1";

impl Row {
    fn of(row: &sql::Row<'_>) -> Result<Self> {
        Ok(Row { id: row.get(0)?, name: row.get(1)? })
    }
}

impl Store {
    /// Creates an account with its mailboxes.
    ///
    /// # Errors
    /// [`Error::AccountExists`], [`Error::MailboxName`], [`Error::MailboxExists`].
    pub async fn create_account(&self, new: NewAccount) -> Result<Account> {
        let name = new.name.clone();
        let id = self
            .server_write(move |write| {
                let id = AccountId(write.next_id());
                let added = write.sql().execute(
                    "insert into accounts (account_id, name, active, created_at) values ($1, $2, 0, $3)
                     on conflict (name) do nothing",
                    params![id, &name, write.now()],
                )?;
                if added == 0 { Err(Error::AccountExists) } else { Ok(id) }
            })
            .await?;
        let account = self.handle(Row { id, name: new.name.clone() });
        let filled = self.fill_account(&account, new).await;
        match filled {
            Ok(()) => Ok(account),
            Err(error) => {
                // The row is inactive: what cannot be removed now is removed at the next start.
                if let Err(error) = self.discard_account(&account).await {
                    tracing::warn!(account = %id, %error, "an unfinished account was not removed");
                }
                Err(error)
            }
        }
    }

    /// Makes the account's database and its first rows, then the account visible.
    async fn fill_account(&self, account: &Account, new: NewAccount) -> Result<()> {
        let (core, shared) = (Arc::clone(self.core()), Arc::clone(&account.shared));
        let quota = new.quota;
        self.spool().run(move || begin_account(&core, &shared, quota)).await?;
        account
            .write(move |write| {
                write.create_inbox()?;
                new.mailboxes
                    .iter()
                    .try_for_each(|(name, special_use)| write.create_mailbox(name, *special_use).map(|_| ()))
            })
            .await?;
        let id = account.id();
        self.server_write(move |write| {
            write.sql().execute("update accounts set active = 1 where account_id = $1", params![id])?;
            Ok(())
        })
        .await
    }

    /// The account of this name.
    pub async fn account(&self, name: &str) -> Result<Option<Account>> {
        let name = name.to_owned();
        let row = self
            .server_read(move |read| read.sql().row(&format!("{ROWS} and name = $1"), params![&name], Row::of))
            .await?;
        Ok(row.map(|row| self.handle(row)))
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows = self.server_read(|read| read.sql().rows(&format!("{ROWS} order by name"), &[], Row::of)).await?;
        Ok(rows.into_iter().map(|row| self.handle(row)).collect())
    }

    /// Removes an account and all that belongs to it. Handles to it get [`Error::NoAccount`] from then on.
    ///
    /// # Errors
    /// [`Error::NoAccount`].
    pub async fn remove_account(&self, name: &str) -> Result<()> {
        let account = self.account(name).await?.ok_or(Error::NoAccount)?;
        let id = account.id();
        self.server_write(move |write| {
            write.sql().execute("update accounts set active = 0 where account_id = $1", params![id])?;
            Ok(())
        })
        .await?;
        self.discard_account(&account).await
    }

    /// Removes the data of an inactive account, then its row.
    async fn discard_account(&self, account: &Account) -> Result<()> {
        // In the account's own lane, after whatever is being written.
        let emptied = account.write(|write| {
            for table in schema::account_tables() {
                if write.sql().dialect() == Dialect::Postgres {
                    write
                        .sql()
                        .execute(&format!("delete from {table} where account_id = $1"), params![write.account_id()])?;
                }
            }
            write.sql().execute("delete from account_state where account_id = $1", params![write.account_id()])?;
            Ok(())
        });
        match emptied.await {
            // There may be nothing yet, or nothing that can be read any more.
            Ok(()) | Err(Error::NoAccount | Error::Corrupt(_) | Error::Io { .. }) => {}
            Err(error) => return Err(error),
        }
        account.shared.removed.store(true, Ordering::Release);
        self.known_accounts().remove(&account.id());
        let (core, database) = (Arc::clone(self.core()), account.shared.database);
        self.spool().run(move || remove_data(&core, database)).await?;
        let id = account.id();
        self.server_write(move |write| forget_account(write, id)).await
    }

    /// Removes the accounts whose creation or removal a crash interrupted.
    pub(crate) async fn remove_unfinished(&self) -> Result<()> {
        let rows = self
            .server_read(|read| read.sql().rows("select account_id, name from accounts where active = 0", &[], Row::of))
            .await?;
        for row in rows {
            let account = self.handle(row);
            self.discard_account(&account).await?;
        }
        Ok(())
    }

    fn handle(&self, row: Row) -> Account {
        let mut known = self.known_accounts();
        let shared = known.entry(row.id).or_insert_with(|| Arc::new(Shared::new(Database::of(row.id), row.name)));
        Account { store: self.clone(), shared: Arc::clone(shared) }
    }
}

/// Makes the database of a new account. UIDVALIDITY starts at the time of creation, so that an account
/// made anew under an old name does not repeat the old one's values.
fn begin_account(core: &Core, shared: &Shared, quota: Option<u64>) -> Result<()> {
    let engine = &**core.connections.engine();
    engine.create(shared.database)?;
    let part = schema::Part::in_database(engine, shared.database);
    if part == schema::Part::Account {
        schema::migrate(engine, shared.database, part, schema::MIGRATIONS).map_err(Error::from_open)?;
    }
    let lease = core.lease(shared, Access::Write)?;
    let uid_validity = u32::try_from(core.clock.now().as_second()).unwrap_or(1).max(1);
    let quota = quota.map(|octets| i64::try_from(octets).unwrap_or(i64::MAX));
    lease.execute(
        "insert into account_state (account_id, next_id, modseq, next_uid_validity, used, quota)
         values ($1, 1, 1, $2, 0, $3)",
        params![shared.database.account(), uid_validity, quota],
    )?;
    Ok(())
}

fn remove_data(core: &Core, database: Database) -> Result<()> {
    core.connections.forget(database);
    core.files.remove_all(database.account())?;
    core.connections.engine().remove(database)
}

/// Removes what the server's tables know of an account.
fn forget_account(write: &mut Write<'_>, id: AccountId) -> Result<()> {
    passwords::forget(write, id)?;
    tls_keys::forget(write, id)?;
    write.sql().execute("delete from accounts where account_id = $1", params![id])?;
    Ok(())
}
