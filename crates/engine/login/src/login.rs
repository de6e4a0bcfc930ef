//! What all connections share: directory, store, limits, cache.

use std::net::IpAddr;
use std::sync::Arc;

use mailstead_config::{AccountEntry, AccountName, Directory};
use mailstead_names::{KeyFingerprint, Secret};
use mailstead_net::limits::AuthFailures;
use mailstead_runtime::{Clock, Random};
use mailstead_sasl::server::Answer;
use mailstead_sasl::{Mechanism, Nonce, ScramHash};
use mailstead_store::{Account, AccountId, Store, TlsKey};
use tokio::sync::watch;

use crate::authenticator::{Authenticator, Peer};
use crate::cache::Cache;
use crate::metrics::Metrics;

/// What can be chosen.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's name in the challenges of CRAM-MD5.
    pub hostname: String,
    /// The mechanisms, in the order in which they are announced. Which of them a connection is offered depends on its
    /// channel, and on what its protocol wants.
    pub mechanisms: Vec<Mechanism>,
}

impl Settings {
    /// The mechanisms that work for every account with a password. SCRAM-SHA-1 and CRAM-MD5 work only for accounts that
    /// asked for them, and some clients choose them as soon as they see them.
    pub const FOR_EVERY_ACCOUNT: [Mechanism; 4] =
        [Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];

    /// The defaults for this host name: those, after EXTERNAL, which is offered only to clients that have shown a key that
    /// somebody may log in with.
    pub fn new(hostname: impl Into<String>) -> Settings {
        let mechanisms = [Mechanism::External].into_iter().chain(Settings::FOR_EVERY_ACCOUNT);
        Settings { hostname: hostname.into(), mechanisms: mechanisms.collect() }
    }
}

/// Somebody who has shown who they are.
#[derive(Debug, Clone)]
pub struct User {
    /// Their account.
    pub account: Account,
    /// Its name in the directory.
    pub name: AccountName,
    /// What they logged in as: one of the account's addresses, or its name.
    pub username: String,
}

/// Whom a user name belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) entry: AccountEntry,
    pub(crate) account: Account,
}

/// Whom a key belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Recognised {
    pub(crate) known: Known,
    pub(crate) key: TlsKey,
}

/// Logins of all protocols.
#[derive(Debug)]
pub struct Login {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    directory: watch::Receiver<Arc<Directory>>,
    pub(crate) failures: Arc<AuthFailures>,
    pub(crate) clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    cache: Cache,
    pub(crate) metrics: Metrics,
}

impl Login {
    /// Logins into the accounts of this directory and store.
    pub fn new(
        settings: Settings,
        store: Store,
        directory: watch::Receiver<Arc<Directory>>,
        failures: Arc<AuthFailures>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        metrics: Metrics,
    ) -> Arc<Login> {
        let cache = Cache::new(random.bytes());
        Arc::new(Login { settings, store, directory, failures, clock, random, cache, metrics })
    }

    /// Whether a new connection from this address may try at all. Servers where everybody must log in ask this before
    /// the greeting.
    pub fn may_try(&self, remote: IpAddr) -> bool {
        self.failures.may_try(remote)
    }

    /// For a new connection.
    pub fn authenticator(self: &Arc<Login>, peer: Peer) -> Authenticator {
        Authenticator::new(Arc::clone(self), peer)
    }

    pub(crate) fn nonce(&self) -> Nonce {
        Nonce::from_random(self.random.bytes())
    }

    /// The present directory.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.borrow())
    }

    /// Whom a user name belongs to. An account that is configured but not in the store is nobody's yet.
    pub(crate) async fn find(&self, username: &str) -> mailstead_store::Result<Option<Known>> {
        let entry = self.directory().login(username).cloned();
        // The store is asked in any case, as it is for whatever follows: an answer that comes sooner for nobody would
        // tell as much as a different one.
        let name = entry.as_ref().map_or("", |entry| entry.name.as_str());
        let account = self.store.account(name).await?;
        Ok(entry.zip(account).map(|(entry, account)| Known { entry, account }))
    }

    /// Whom a key belongs to: nobody where what it logs in as is no name of its account any more.
    pub(crate) async fn recognise(&self, fingerprint: &KeyFingerprint) -> mailstead_store::Result<Option<Recognised>> {
        let Some(key) = self.store.tls_keys().find(fingerprint).await? else { return Ok(None) };
        let known = self.find(&key.login).await?.filter(|known| known.account.id() == key.account);
        Ok(known.map(|known| Recognised { known, key }))
    }

    /// Whether this is the password. Takes as long for nobody as for somebody; sooner for who was here a moment ago.
    pub(crate) async fn check_password(
        &self,
        known: Option<&Known>,
        password: &Secret<String>,
    ) -> mailstead_store::Result<bool> {
        let id = id(known);
        // Read before the password is checked: if the password changes in between, the mark is of no use to anybody.
        let verifier = self.store.scram_verifier(id, ScramHash::Sha256).await?;
        let mark = verifier.and_then(|verifier| self.cache.mark(id, &verifier, password));
        if mark.is_some_and(|mark| self.cache.contains(&mark, self.clock.monotonic())) {
            return Ok(true);
        }
        let right = self.store.verify_password(Some(id), password).await?;
        if let Some(mark) = mark.filter(|_| right) {
            self.cache.insert(mark, self.clock.monotonic());
        }
        Ok(right)
    }

    /// What to go on with in a SCRAM exchange: for nobody, and for who has no verifier, a fake one. It is the same for
    /// all spellings of a name, as a real one would be.
    pub(crate) async fn scram(
        &self,
        known: Option<&Known>,
        username: &str,
        hash: ScramHash,
    ) -> mailstead_store::Result<Answer> {
        let fake = self.store.fake_scram_verifier(&self.directory().canonical_login(username), hash).await?;
        let kept = self.store.scram_verifier(id(known), hash).await?;
        Ok(Answer::Scram(kept.unwrap_or(fake)))
    }

    /// What to go on with in a CRAM-MD5 exchange, likewise.
    pub(crate) async fn cram_md5(&self, known: Option<&Known>, username: &str) -> mailstead_store::Result<Answer> {
        let fake = self.store.fake_cram_md5_secret(username).await?;
        let kept = self.store.cram_md5_secret(id(known)).await?;
        Ok(Answer::CramMd5(kept.unwrap_or(fake)))
    }
}

/// The account's number, or one that no account has.
fn id(known: Option<&Known>) -> AccountId {
    known.map_or(AccountId(i64::MAX), |known| known.account.id())
}
