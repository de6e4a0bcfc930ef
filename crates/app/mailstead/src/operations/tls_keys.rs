//! `tlskey`: the keys with which people may log in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use mailstead_config::Directory;
use mailstead_names::{Address, KeyFingerprint};
use mailstead_net::PublicKey;
use mailstead_store::{Account, Error, ImapPreauth, Store, TlsKey};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Form, create, no_such_account};
use crate::failure::Failure;

/// Whether IMAP connections are logged in by a key alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preauth {
    /// They are, over implicit TLS.
    Allowed,
    /// They are not.
    Refused,
}

pub(super) async fn list(
    store: &Store,
    directory: &Directory,
    account: Option<&str>,
    form: Form,
) -> Result<String, Failure> {
    let accounts = match account {
        None => store.accounts().await?,
        Some(name) => {
            let entry = directory.login(name).map_or(name, |entry| entry.name.as_str());
            vec![store.account(entry).await?.ok_or_else(|| no_such_account(name))?]
        }
    };
    let mut lines = Vec::new();
    for account in accounts {
        for key in store.tls_keys().list(account.id()).await? {
            lines.push(match form {
                Form::Words => words(&account, directory, &key),
                Form::Json => object(&account, directory, &key),
            });
        }
    }
    Ok(if lines.is_empty() && form == Form::Words { "no keys".to_owned() } else { lines.join("\n") })
}

/// Whether what a key logs in as is still a name of its account: the server lets in nobody else.
fn is_usable(account: &Account, directory: &Directory, key: &TlsKey) -> bool {
    directory.login(&key.login).is_some_and(|entry| entry.name.as_str() == account.name())
}

fn words(account: &Account, directory: &Directory, key: &TlsKey) -> String {
    let TlsKey { fingerprint, login, name, kind, imap_preauth, added, .. } = key;
    let preauth = if *imap_preauth == ImapPreauth::Refused { ", no IMAP preauth" } else { "" };
    let name = if name.is_empty() { String::new() } else { format!("  {name}") };
    let trouble = if is_usable(account, directory, key) {
        String::new()
    } else {
        format!("\n  lets nobody in: {login} is no address of account `{}` any more", account.name())
    };
    format!("{fingerprint}  {login}  {kind}, added {added:.0}{preauth}{name}{trouble}")
}

fn object(account: &Account, directory: &Directory, key: &TlsKey) -> String {
    json!({
        "fingerprint": key.fingerprint.to_string(),
        "account": account.name(),
        "login": key.login,
        "name": key.name,
        "kind": key.kind,
        "imap_preauth": key.imap_preauth == ImapPreauth::Allowed,
        "added": key.added.to_string(),
        "usable": is_usable(account, directory, key),
    })
    .to_string()
}

/// A key as it comes from the command.
#[derive(Debug)]
pub(super) struct NewKey<'a> {
    pub(super) address: &'a str,
    pub(super) name: &'a str,
    pub(super) preauth: Preauth,
    /// SubjectPublicKeyInfo in base64.
    pub(super) key: &'a str,
}

pub(super) async fn add(store: &Store, directory: &Directory, new: NewKey<'_>) -> Result<String, Failure> {
    let NewKey { address, name, preauth, key } = new;
    let login = Address::parse(address).map_err(|error| Failure::new(format!("{address}: {error}")))?.unicode();
    let Some(entry) = directory.login(&login) else {
        return Err(Failure::new(format!("no account has the address {login}; `mailstead account list` shows all")));
    };
    if name.chars().any(char::is_control) {
        return Err(Failure::new("the name of a key cannot have line ends or other control characters"));
    }
    let spki = STANDARD.decode(key).map_err(|error| Failure::new(format!("the key is not in base64: {error}")))?;
    let public = PublicKey::from_der(&spki).map_err(|error| Failure::new(error.to_string()))?;
    let (fingerprint, kind) = (public.fingerprint(), public.kind().to_string());
    let account = create(store, &entry.name, entry.quota).await?;
    let key = TlsKey {
        fingerprint,
        account: account.id(),
        login: login.clone(),
        name: name.to_owned(),
        kind: kind.clone(),
        imap_preauth: match preauth {
            Preauth::Allowed => ImapPreauth::Allowed,
            Preauth::Refused => ImapPreauth::Refused,
        },
        spki,
        added: Timestamp::now(),
    };
    let added = store.tls_keys().add(key).await;
    let account = account.name();
    match added {
        Ok(()) => Ok(format!("key {fingerprint} ({kind}) lets in as {login}, account `{account}`")),
        Err(Error::KeyExists) => {
            let there = store.tls_keys().find(&fingerprint).await?;
            let whose = there.map_or_else(|| "somebody".to_owned(), |key| key.login);
            let advice = format!("to change that, remove it first: `mailstead tlskey remove {fingerprint}`");
            Err(Failure::new(format!("the key {fingerprint} lets in {whose} already; {advice}")))
        }
        Err(Error::TooManyKeys) => {
            let advice = format!("remove one of those that `mailstead tlskey list {account}` shows");
            Err(Failure::new(format!("account `{account}` has as many keys as it may have; {advice}")))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn remove(store: &Store, fingerprint: &str) -> Result<String, Failure> {
    let parsed = KeyFingerprint::parse(fingerprint);
    let fingerprint = parsed.map_err(|error| Failure::new(format!("{fingerprint} is no fingerprint: {error}")))?;
    let keys = store.tls_keys();
    let there = keys.find(&fingerprint).await?;
    if keys.remove(&fingerprint).await? {
        let whose = there.map(|key| format!(" of {}", key.login)).unwrap_or_default();
        Ok(format!("key {fingerprint}{whose} removed; who has logged in with it stays so until the connection ends"))
    } else {
        Err(Failure::new(format!("no key has the fingerprint {fingerprint}; `mailstead tlskey list` shows all")))
    }
}
