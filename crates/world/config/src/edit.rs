//! Changes to the configuration file by commands. Comments, order and spelling of everything else stay.
//!
//! The functions turn text into text; [`write()`] puts it in place after validating it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use mailstead_names::{Address, Domain};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

use crate::{AccountName, Config, Error};

fn document(source: &str) -> Result<DocumentMut, Error> {
    source.parse().map_err(|error| Error::Edit(format!("the configuration is not valid TOML: {error}")))
}

/// The table of this name, made without a heading of its own when it is not there yet.
fn tables<'a>(document: &'a mut DocumentMut, name: &str) -> Result<&'a mut dyn TableLike, Error> {
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    document
        .entry(name)
        .or_insert_with(implicit)
        .as_table_like_mut()
        .ok_or_else(|| Error::Edit(format!("[{name}] is not a table")))
}

/// Adds an account with these addresses, and the domains of the addresses where they are missing.
pub fn add_account(source: &str, name: &AccountName, addresses: &[Address]) -> Result<String, Error> {
    let mut document = document(source)?;
    for domain in addresses.iter().filter_map(Address::domain) {
        let domains = tables(&mut document, "domains")?;
        let known = domains.iter().any(|(key, _)| Domain::parse(key).is_ok_and(|key| key == *domain));
        if !known {
            domains.insert(domain.unicode(), Item::Table(Table::new()));
        }
    }
    let accounts = tables(&mut document, "accounts")?;
    if accounts.contains_key(name.as_str()) {
        return Err(Error::Edit(format!("account `{name}` is there already")));
    }
    let mut account = Table::new();
    account.insert("addresses", Item::Value(Value::Array(addresses.iter().map(Address::unicode).collect())));
    accounts.insert(name.as_str(), Item::Table(account));
    Ok(document.to_string())
}

/// Adds an address to an account.
pub fn add_address(source: &str, name: &AccountName, address: &Address) -> Result<String, Error> {
    let mut document = document(source)?;
    let account = tables(&mut document, "accounts")?
        .get_mut(name.as_str())
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| no_such_account(name))?;
    let addresses = account.entry("addresses").or_insert_with(|| Item::Value(Value::Array(Array::new())));
    if let Some(array) = addresses.as_array_mut() {
        array.push(address.unicode());
    } else if let Some(only) = addresses.as_str().map(str::to_owned) {
        *addresses = Item::Value(Value::Array([only, address.unicode()].into_iter().collect()));
    }
    Ok(document.to_string())
}

/// Removes an account with its addresses. References to it (postmaster, catch-all) stay, so that the
/// validation in [`write()`] names them.
pub fn remove_account(source: &str, name: &AccountName) -> Result<String, Error> {
    let mut document = document(source)?;
    tables(&mut document, "accounts")?.remove(name.as_str()).ok_or_else(|| no_such_account(name))?;
    Ok(document.to_string())
}

fn no_such_account(name: &AccountName) -> Error {
    Error::Edit(format!("there is no account `{name}`"))
}

/// Validates the text and, if it is without mistakes, puts it in place of the file: after a crash either
/// the old or the new one is there, whole.
pub fn write(file: &Path, source: &str) -> Result<Config, Error> {
    let config = Config::parse(source, file)?;
    replace(file, source).map_err(|cause| Error::Write { path: file.to_owned(), cause })?;
    Ok(config)
}

fn replace(file: &Path, source: &str) -> io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    // The file may name a database with its password.
    let mut new = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(beside)?;
    new.write_all(source.as_bytes())?;
    new.sync_all()?;
    fs::rename(beside, file)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
