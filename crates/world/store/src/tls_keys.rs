//! Public keys by which accounts are known in TLS: whoever holds the private half may log in (SASL EXTERNAL, RFC 4422
//! appendix A).
//!
//! They are looked up by their fingerprint alone, before it is known whose connection it is. So the key of the table cannot
//! begin with the account, and no key can be of two accounts.

use jiff::Timestamp;
use mailstead_names::KeyFingerprint;

use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::sql::{Dialect, FromValue, Row, Value, params};
use crate::store::Store;
use crate::transaction::Write;

/// Longest key in octets, as DER: RSA with 8192 bits takes 1062.
const MAX_KEY: usize = 4096;
/// Longest login or name of a key in octets.
const MAX_TEXT: usize = 1024;
/// Keys that an account may have.
const MAX_KEYS: i64 = 100;

/// The tables of this module, for the schema.
pub(crate) fn tables(_: Dialect) -> String {
    "create table tls_keys (
        fingerprint bytea not null primary key,
        account_id bigint not null,
        login text not null,
        name text not null,
        kind text not null,
        imap_preauth bigint not null,
        spki bytea not null,
        added_at bigint not null
     );
     create index tls_keys_account on tls_keys (account_id, added_at);"
        .to_owned()
}

/// Whether an IMAP connection over TLS from its first octet is logged in by the key alone (PREAUTH, RFC 9051 §7.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImapPreauth {
    /// It is.
    Allowed,
    /// It is not, for programs that want to log in by themselves.
    Refused,
}

/// A key with which somebody may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsKey {
    /// Its fingerprint.
    pub fingerprint: KeyFingerprint,
    /// Whose it is.
    pub account: AccountId,
    /// What they are logged in as: one of the account's addresses.
    pub login: String,
    /// What people call it; may be empty.
    pub name: String,
    /// What it is, such as `ecdsa-p256`.
    pub kind: String,
    /// Whether IMAP connections are logged in by it alone.
    pub imap_preauth: ImapPreauth,
    /// Its SubjectPublicKeyInfo as DER.
    pub spki: Vec<u8>,
    /// Since when it is here.
    pub added: Timestamp,
}

const COLUMNS: &str = "fingerprint, account_id, login, name, kind, imap_preauth, spki, added_at";

impl TlsKey {
    fn of(row: &Row<'_>) -> Result<Self> {
        Ok(TlsKey {
            fingerprint: row.get(0)?,
            account: row.get(1)?,
            login: row.get(2)?,
            name: row.get(3)?,
            kind: row.get(4)?,
            imap_preauth: if row.get(5)? { ImapPreauth::Allowed } else { ImapPreauth::Refused },
            spki: row.get(6)?,
            added: row.get(7)?,
        })
    }
}

impl<'v> From<&'v KeyFingerprint> for Value<'v> {
    fn from(fingerprint: &'v KeyFingerprint) -> Self {
        Value::Blob(fingerprint.octets())
    }
}

impl FromValue for KeyFingerprint {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(octets) => octets.try_into().ok().map(KeyFingerprint::new),
            _ => None,
        }
    }
}

/// The keys of all accounts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsKeyStore {
    store: Store,
}

impl Store {
    /// The keys with which people may log in.
    #[must_use]
    pub fn tls_keys(&self) -> TlsKeyStore {
        TlsKeyStore { store: self.clone() }
    }
}

impl TlsKeyStore {
    /// The key with this fingerprint, if it is somebody's.
    pub async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<TlsKey>> {
        let fingerprint = *fingerprint;
        let find = format!("select {COLUMNS} from tls_keys where fingerprint = $1");
        self.store.server_read(move |read| read.sql().row(&find, params![&fingerprint], TlsKey::of)).await
    }

    /// An account's keys, oldest first: never more than 100.
    pub async fn list(&self, account: AccountId) -> Result<Vec<TlsKey>> {
        let list =
            format!("select {COLUMNS} from tls_keys where account_id = $1 order by added_at, fingerprint limit $2");
        self.store.server_read(move |read| read.sql().rows(&list, params![account, MAX_KEYS], TlsKey::of)).await
    }

    /// Adds a key. Returns after it is on the disk.
    ///
    /// # Errors
    /// [`Error::KeyExists`] when it is there already, be it of another account; [`Error::TooManyKeys`] for more than 100 of
    /// one account; [`Error::TooLarge`] for a key of more than 4096 octets or a text of more than 1024;
    /// [`Error::NoAccount`].
    pub async fn add(&self, key: TlsKey) -> Result<()> {
        let sizes = [("a key", key.spki.len(), MAX_KEY), ("a login", key.login.len(), MAX_TEXT)];
        for (what, size, most) in sizes.into_iter().chain([("the name of a key", key.name.len(), MAX_TEXT)]) {
            if size > most {
                return Err(Error::TooLarge { what, size, most });
            }
        }
        self.store.server_write(move |write| insert(write, &key)).await
    }

    /// Removes a key. Says whether it was there.
    pub async fn remove(&self, fingerprint: &KeyFingerprint) -> Result<bool> {
        let fingerprint = *fingerprint;
        let remove = "delete from tls_keys where fingerprint = $1";
        self.store.server_write(move |write| Ok(write.sql().execute(remove, params![&fingerprint])? > 0)).await
    }
}

fn insert(write: &mut Write<'_>, key: &TlsKey) -> Result<()> {
    let sql = write.sql();
    let known: Option<i64> = sql.scalar("select 1 from accounts where account_id = $1", params![key.account])?;
    known.ok_or(Error::NoAccount)?;
    let count: Option<i64> = sql.scalar("select count(*) from tls_keys where account_id = $1", params![key.account])?;
    let TlsKey { fingerprint, account, login, name, kind, imap_preauth, spki, added } = key;
    let preauth = *imap_preauth == ImapPreauth::Allowed;
    let added = sql.execute(
        &format!(
            "insert into tls_keys ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8)
                on conflict (fingerprint) do nothing"
        ),
        params![fingerprint, *account, login, name, kind, preauth, spki, *added],
    )?;
    match (added, count) {
        (0, _) => Err(Error::KeyExists),
        // Undone by the error.
        (_, Some(MAX_KEYS..)) => Err(Error::TooManyKeys),
        _ => Ok(()),
    }
}

/// Removes all keys of an account.
pub(crate) fn forget(write: &mut Write<'_>, account: AccountId) -> Result<()> {
    write.sql().execute("delete from tls_keys where account_id = $1", params![account])?;
    Ok(())
}
