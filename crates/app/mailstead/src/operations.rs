//! The administrator's commands as plain functions over the store and the configuration file.
//!
//! The same function runs inside the server when one is running (asked through `control`) and in the command's
//! own process when none is. Requests and answers are what travels between the two.

mod policies;
pub(crate) mod queue;
pub(crate) mod tls_keys;
mod tls_results;
mod transport;

use std::path::Path;

use jiff::civil::Date;
use mailstead_config::{AccountName, ConfigWatch, edit};
use mailstead_names::{Address, Secret};
use mailstead_queue::{Deed, Demand, Filter};
use mailstead_smtp_server::{record, why};
use mailstead_store::{Account, Depth, NewAccount, Orphans, Store, WeakVerifiers};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::wiring::Sending;

/// Records of one id that are shown from each place. A connection can bring any number of messages.
const MOST_RECORDS: usize = 100;

/// What can be asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// End the server.
    Stop,
    /// All accounts.
    AccountList,
    /// A new account.
    AccountAdd { name: String, addresses: Vec<String>, password: Clear },
    /// A new password.
    AccountPassword { account: String, password: Clear },
    /// No account any more.
    AccountRemove { name: String },
    /// Verify the store.
    StoreCheck { reading: Reading, orphans: Orphaned },
    /// What became of the messages with this id.
    MessageWhy { id: String, form: Form },
    /// What would happen to a message.
    TransportExplain { sender: String, recipient: String, attempts: u32, demand: Demand, form: Form },
    /// What connections showed about TLS.
    TlsResults { domain: Option<String>, day: Option<Date>, form: Form },
    /// The MTA-STS policies that are kept.
    PolicyCache { form: Form },
    /// Forget the MTA-STS policy of a domain.
    PolicyForget { domain: String },
    /// What waits in the queue.
    QueueList { filter: Filter, sort: queue::Sort, results: queue::Results, form: Form },
    /// Do something about what waits.
    QueueDo { filter: Filter, scope: queue::Scope, deed: Deed },
    /// A message that waits, in pieces of base64.
    QueueDump { id: i64 },
    /// The keys with which people may log in.
    TlsKeyList { account: Option<String>, form: Form },
    /// One more: a SubjectPublicKeyInfo in base64.
    TlsKeyAdd { address: String, name: String, preauth: tls_keys::Preauth, key: String },
    /// One less.
    TlsKeyRemove { fingerprint: String },
}

/// How a record is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// In words.
    Words,
    /// As it is kept.
    Json,
}

/// How much a check reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reading {
    /// Rows and the sizes of files.
    Rows,
    /// Every message as well.
    Messages,
}

/// What is to happen to files in the store that belong to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Orphaned {
    /// They are named.
    Keep,
    /// They are removed.
    Remove,
}

/// A password on its way through the control socket. Never shown by `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Clear(String);

impl Clear {
    pub(crate) fn new(password: &Secret<String>) -> Self {
        Clear(password.expose().clone())
    }

    fn secret(&self) -> Secret<String> {
        Secret::new(self.0.clone())
    }
}

impl std::fmt::Debug for Clear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What comes of it: lines to print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// Some of it; more follows.
    Part { text: String },
    /// It is done.
    Done { text: String },
    /// It is not, for this reason.
    Failed { reason: String },
}

/// Where long answers go, part by part. Who writes waits until who reads is ready for more.
#[derive(Debug)]
pub(crate) struct Parts(mpsc::Sender<String>);

impl Parts {
    /// With the end that they are read from.
    pub(crate) fn new() -> (Parts, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel(1);
        (Parts(sender), receiver)
    }

    async fn give(&self, text: String) -> Result<(), Failure> {
        self.0.send(text).await.map_err(|_| Failure::new("nobody reads the answer any more"))
    }
}

/// What the operations work on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) store: &'a Store,
    pub(crate) config: &'a ConfigWatch,
    /// Runs, where a server does.
    pub(crate) sending: &'a Sending,
}

impl Site<'_> {
    /// Does what is asked, except stopping, which is not a matter of the store. The answer is what was given in parts, and
    /// then what is returned.
    pub(crate) async fn perform(self, request: Request, parts: Parts) -> Result<String, Failure> {
        match request {
            Request::Stop => Err(Failure::new("there is no server running here")),
            Request::AccountList => self.list().await,
            Request::AccountAdd { name, addresses, password } => self.add(&name, &addresses, &password.secret()).await,
            Request::AccountPassword { account, password } => self.set_password(&account, &password.secret()).await,
            Request::AccountRemove { name } => self.remove(&name).await,
            Request::StoreCheck { reading, orphans } => self.check(reading, orphans).await,
            Request::MessageWhy { id, form } => self.why(&id, form).await,
            Request::TransportExplain { sender, recipient, attempts, demand, form } => {
                let asked = transport::Asked { sender: &sender, recipient: &recipient, attempts };
                transport::explain(self, asked, demand, form).await
            }
            Request::TlsResults { domain, day, form } => {
                tls_results::list(&self.sending.ledger, domain.as_deref(), day, form).await
            }
            Request::PolicyCache { form } => policies::list(&self.sending.policies, form).await,
            Request::PolicyForget { domain } => policies::forget(&self.sending.policies, &domain).await,
            Request::QueueList { filter, sort, results, form } => {
                queue::list(&self.sending.queue, filter, sort, queue::Style { form, results }, &parts).await
            }
            Request::QueueDo { filter, scope, deed } => queue::perform(&self.sending.queue, filter, scope, deed).await,
            Request::QueueDump { id } => queue::dump(self.store, id, &parts).await,
            Request::TlsKeyList { account, form } => {
                tls_keys::list(self.store, &self.config.current().directory, account.as_deref(), form).await
            }
            Request::TlsKeyAdd { address, name, preauth, key } => {
                let new = tls_keys::NewKey { address: &address, name: &name, preauth, key: &key };
                tls_keys::add(self.store, &self.config.current().directory, new).await
            }
            Request::TlsKeyRemove { fingerprint } => tls_keys::remove(self.store, &fingerprint).await,
        }
    }

    async fn list(self) -> Result<String, Failure> {
        let config = self.config.current();
        let mut lines = Vec::new();
        for entry in config.directory.accounts() {
            let addresses: Vec<_> = entry.addresses.iter().map(Address::unicode).collect();
            let used = match self.store.account(entry.name.as_str()).await? {
                Some(account) => account.read(|read| Ok(read.usage()?.used)).await?,
                None => 0,
            };
            let quota = entry.quota.map(|quota| format!(" of {}", in_units(quota))).unwrap_or_default();
            lines.push(format!("{}  {}  {}{quota}", entry.name, addresses.join(" "), in_units(used)));
        }
        for account in self.store.accounts().await? {
            if config.directory.account(account.name()).is_none() {
                lines.push(format!("{}  (in the store, but not in the configuration)", account.name()));
            }
        }
        Ok(if lines.is_empty() { "no accounts".to_owned() } else { lines.join("\n") })
    }

    async fn add(self, name: &str, addresses: &[String], password: &Secret<String>) -> Result<String, Failure> {
        let name = account_name(name)?;
        let addresses = addresses
            .iter()
            .map(|text| Address::parse(text).map_err(|error| Failure::new(format!("{text}: {error}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let source = self.source()?;
        let edited = edit::add_account(&source, &name, &addresses)?;
        // Everything that can be wrong with the new configuration is found before anything is stored.
        let config = mailstead_config::Config::parse(&edited, self.config.file())?;
        let quota = config.directory.account(name.as_str()).and_then(|entry| entry.quota);
        let account = create(self.store, &name, quota).await?;
        if let Err(error) = self.store.set_password(account.id(), password, WeakVerifiers::default()).await {
            self.store.remove_account(name.as_str()).await?;
            return Err(error.into());
        }
        edit::write(self.config.file(), &edited)?;
        self.config.reload()?;
        Ok(format!("account {name} added"))
    }

    async fn set_password(self, account: &str, password: &Secret<String>) -> Result<String, Failure> {
        let config = self.config.current();
        let entry = config.directory.login(account).ok_or_else(|| no_such_account(account))?;
        let stored = create(self.store, &entry.name, entry.quota).await?;
        self.store.set_password(stored.id(), password, WeakVerifiers::default()).await?;
        Ok(format!("password of {} set", entry.name))
    }

    /// The configuration first: from then on no mail is accepted for the account.
    async fn remove(self, name: &str) -> Result<String, Failure> {
        let name = account_name(name)?;
        let is_stored = self.store.account(name.as_str()).await?.is_some();
        if self.config.current().directory.account(name.as_str()).is_some() {
            edit::write(self.config.file(), &edit::remove_account(&self.source()?, &name)?)?;
            self.config.reload()?;
        } else if !is_stored {
            return Err(no_such_account(name.as_str()));
        }
        if is_stored {
            self.store.remove_account(name.as_str()).await?;
        }
        Ok(format!("account {name} and all its mail removed"))
    }

    async fn check(self, reading: Reading, orphans: Orphaned) -> Result<String, Failure> {
        let depth = match reading {
            Reading::Rows => Depth::Rows,
            Reading::Messages => Depth::Contents,
        };
        let orphans = match orphans {
            Orphaned::Keep => Orphans::Report,
            Orphaned::Remove => Orphans::Remove,
        };
        let report = self.store.check(depth, orphans).await?;
        if report.is_clean() { Ok(report.to_string()) } else { Err(Failure::new(report.to_string())) }
    }

    /// What is kept of the arrival of all copies, refused ones first. An id stands for a connection, which may have brought
    /// several messages.
    async fn why(self, id: &str, form: Form) -> Result<String, Failure> {
        // As it is copied from a reply.
        let id = id.trim().trim_start_matches('(').trim_end_matches(')').to_owned();
        let refused = self.store.refused().find(&id, MOST_RECORDS).await?;
        let mut records: Vec<(String, Vec<u8>)> =
            refused.into_iter().map(|refused| ("refused".to_owned(), refused.payload)).collect();
        for account in self.store.accounts().await? {
            let wanted = id.clone();
            let read = account.read(move |read| read.facts_by_reference(record::KIND, &wanted, MOST_RECORDS));
            let kept = format!("kept in account {}", account.name());
            records.extend(read.await?.into_iter().map(|(_, facts)| (kept.clone(), facts.payload)));
        }
        if records.is_empty() {
            let advice = "it is the word in parentheses in a reply, or after `id` in a Received field of ours";
            return Err(Failure::new(format!(
                "nothing is known of a message with the id `{id}` ({advice}; of refused messages it is kept for 30 days)"
            )));
        }
        let shown = records.into_iter().map(|(place, payload)| match form {
            Form::Json => String::from_utf8_lossy(&payload).into_owned(),
            Form::Words => {
                let words = why::explain(&payload);
                words.unwrap_or_else(|| format!("{place}: a record that this version cannot read; --json shows it"))
            }
        });
        let between = if form == Form::Json { "\n" } else { "\n\n" };
        Ok(shown.collect::<Vec<_>>().join(between))
    }

    fn source(self) -> Result<String, Failure> {
        let file: &Path = self.config.file();
        std::fs::read_to_string(file).map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))
    }
}

/// The stored account of this name, made if it is not there.
pub(crate) async fn create(store: &Store, name: &AccountName, quota: Option<u64>) -> Result<Account, Failure> {
    if let Some(account) = store.account(name.as_str()).await? {
        return Ok(account);
    }
    let new = NewAccount { quota, ..NewAccount::named(name.as_str()) };
    Ok(store.create_account(new).await?)
}

fn account_name(text: &str) -> Result<AccountName, Failure> {
    let advice = "use lower-case letters, digits, `-`, `_` and `.`";
    AccountName::parse(text).ok_or_else(|| Failure::new(format!("`{text}` cannot be the name of an account: {advice}")))
}

fn no_such_account(name: &str) -> Failure {
    Failure::new(format!("there is no account `{name}`; `mailstead account list` shows all"))
}

/// Octets as people read them.
fn in_units(octets: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    let unit = UNITS.iter().find(|(_, size)| octets >= *size);
    unit.map_or_else(
        || format!("{octets} B"),
        |(unit, size)| format!("{}.{} {unit}", octets / size, octets % size * 10 / size),
    )
}

#[cfg(test)]
mod tests;
