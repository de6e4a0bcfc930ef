//! The SQLite engine: one file for the server, one for each account, WAL with `synchronous=FULL`.
//!
//! In SQLite `$2` is a parameter *named* "$2" that is numbered by its first appearance, so positional
//! binding would swap values without an error. [`numbered`] turns `$N` into `?N`, which is a position.

use std::borrow::Cow;
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ToSql};

use super::{Access, Connection, Database, Dialect, Engine, Row, Value};
use crate::error::{Error, IoContext, OpenError, Result};
use crate::ids::AccountId;

/// Marks our files for `file(1)`: "mstd".
const APPLICATION_ID: i64 = 0x6d73_7464;

/// Page cache of one connection in KiB. With the number of connections bounded this is the store's
/// share of a small machine's memory; the operating system caches the files besides.
const CACHE_KIB: i64 = 512;

/// Page size. Larger pages save overflow pages of bodies and cost more in the WAL for every small row;
/// measured in docs/decisions/0003-blob-threshold.md.
const PAGE_SIZE: i64 = 4096;

/// The WAL is copied back into the database when it has grown to this many pages.
const CHECKPOINT_PAGES: i64 = 4000;

/// SQLite databases in a data directory.
pub(crate) struct SqliteEngine {
    directory: PathBuf,
}

impl SqliteEngine {
    pub(crate) fn new(directory: &Path) -> Self {
        SqliteEngine { directory: directory.to_owned() }
    }

    /// The file of a database.
    pub(crate) fn path(&self, database: Database) -> PathBuf {
        match database {
            Database::Server => self.directory.join("server.db"),
            Database::Account(id) => self.directory.join("accounts").join(id.to_string()).join("mail.db"),
        }
    }
}

impl Engine for SqliteEngine {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn pool_key(&self, database: Database) -> Database {
        database
    }

    fn connect(&self, database: Database, access: Access) -> Result<Box<dyn Connection>> {
        let path = self.path(database);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            rusqlite::Connection::open_with_flags(&path, flags).map_err(|error| map_open(&error, &path))?;
        connection.set_prepared_statement_cache_capacity(128);
        // Without it SQLite prepares a statement anew whenever a parameter compared with a key changes, in
        // case the statistics favour another plan: an eighth of the time of an APPEND.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(map_error)?;
        connection
            .execute_batch(&format!(
                "pragma busy_timeout = 5000;
                 pragma page_size = {PAGE_SIZE};
                 pragma journal_mode = wal;
                 pragma synchronous = full;
                 pragma foreign_keys = off;
                 pragma cache_size = -{CACHE_KIB};
                 pragma temp_store = memory;
                 pragma journal_size_limit = 33554432;
                 pragma wal_autocheckpoint = {CHECKPOINT_PAGES};"
            ))
            .map_err(|error| map_open(&error, &path))?;
        if access == Access::Read {
            connection.execute_batch("pragma query_only = on").map_err(map_error)?;
        }
        Ok(Box::new(SqliteConnection { connection }))
    }

    fn describe(&self, database: Database) -> String {
        self.path(database).display().to_string()
    }

    fn existing(&self) -> Result<Vec<Database>, OpenError> {
        let mut found = Vec::new();
        if self.path(Database::Server).exists() {
            found.push(Database::Server);
        }
        let accounts = self.directory.join("accounts");
        if accounts.exists() {
            for entry in fs::read_dir(&accounts).at("list", &accounts)? {
                let name = entry.at("list", &accounts)?.file_name();
                let database =
                    name.to_str().and_then(|name| name.parse().ok()).map(|id| Database::Account(AccountId(id)));
                found.extend(database.filter(|&database| self.path(database).exists()));
            }
        }
        Ok(found)
    }

    /// Reads the header of the file (<https://www.sqlite.org/fileformat.html#the_database_header>): magic,
    /// and the user version at offset 60. A database whose creation was interrupted is still empty.
    fn inspect(&self, database: Database, known: i64) -> Result<Option<i64>, OpenError> {
        let path = self.path(database);
        let mut file = fs::File::open(&path).at("open", &path)?;
        let mut header = Vec::new();
        (&mut file).take(100).read_to_end(&mut header).at("read", &path)?;
        if header.is_empty() {
            return Ok(None);
        }
        let damaged = |detail: &str| OpenError::Corrupt { what: path.display().to_string(), detail: detail.to_owned() };
        if !header.starts_with(b"SQLite format 3\0") {
            return Err(damaged("not an SQLite database"));
        }
        let number = |at: usize| header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let (Some(pages), Some(version)) = (number(28), number(60)) else {
            return Err(damaged("cut off within its header"));
        };
        // While there is a WAL, what is missing in the file may be there.
        let whole = !path.with_extension("db-wal").exists();
        let size = file.metadata().at("stat", &path)?.len();
        if whole && u64::from(pages) * PAGE_SIZE.unsigned_abs() > size {
            return Err(damaged("shorter than its header says"));
        }
        let found = i64::from(version);
        if found > known {
            return Err(OpenError::Newer { what: path.display().to_string(), found, known });
        }
        Ok(whole.then_some(found))
    }

    fn settle(&self, connection: &dyn Connection) -> Result<()> {
        connection.query("pragma wal_checkpoint(truncate)", &[], &mut |_| Ok(()))
    }

    fn create(&self, database: Database) -> Result<()> {
        let path = self.path(database);
        let directory = path.parent().unwrap_or(&self.directory);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).at("create", directory)?;
        if path.exists() {
            return Ok(());
        }
        let file = fs::File::create(&path).at("create", &path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600)).at("chmod", &path)?;
        // The file's entry, its directory's and the one above must survive a power cut as the first
        // commit does.
        for directory in directory.ancestors().take_while(|above| above.starts_with(&self.directory)) {
            sync_directory(directory)?;
        }
        let connection = rusqlite::Connection::open(&path).map_err(map_error)?;
        connection
            .execute_batch(&format!("pragma page_size = {PAGE_SIZE}; pragma application_id = {APPLICATION_ID};"))
            .map_err(map_error)
    }

    fn remove(&self, database: Database) -> Result<()> {
        let path = self.path(database);
        match path.parent() {
            Some(directory) if directory != self.directory && directory.exists() => {
                fs::remove_dir_all(directory).at("remove", directory)
            }
            _ => Ok(()),
        }
    }

    fn back_up(&self, database: Database, connection: &dyn Connection, version: i64) -> Result<()> {
        let directory = self.directory.join("backup");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).at("create", &directory)?;
        let name = match database {
            Database::Server => format!("server-v{version}.db"),
            Database::Account(id) => format!("account-{id}-v{version}.db"),
        };
        let (partial, target) = (directory.join(format!("{name}.partial")), directory.join(name));
        if partial.exists() {
            fs::remove_file(&partial).at("remove", &partial)?;
        }
        connection.execute("vacuum into $1", &[Value::Text(&partial.to_string_lossy())])?;
        let file = fs::File::open(&partial).at("open", &partial)?;
        file.set_permissions(fs::Permissions::from_mode(0o600)).at("chmod", &partial)?;
        file.sync_all().at("sync", &partial)?;
        fs::rename(&partial, &target).at("rename to", &target)?;
        sync_directory(&directory)
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    fs::File::open(directory).and_then(|open| open.sync_all()).at("sync", directory)
}

struct SqliteConnection {
    connection: rusqlite::Connection,
}

impl Connection for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(&numbered(sql)).map_err(map_error)?;
        let changed = statement.execute(rusqlite::params_from_iter(params)).map_err(map_error)?;
        Ok(changed as u64)
    }

    fn query(&self, sql: &str, params: &[Value<'_>], each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let mut statement = self.connection.prepare_cached(&numbered(sql)).map_err(map_error)?;
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(map_error)?;
        while let Some(row) = rows.next().map_err(map_error)? {
            each(&Row::Sqlite(row))?;
        }
        Ok(())
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(map_error)
    }

    fn begin(&self) -> Result<()> {
        self.batch("begin immediate")
    }

    fn begin_read(&self) -> Result<()> {
        self.batch("begin deferred")
    }

    fn begin_write(&self, _account: AccountId) -> Result<()> {
        self.begin()
    }

    fn commit(&self) -> Result<()> {
        self.batch("commit")
    }

    fn rollback(&self) -> Result<()> {
        self.batch("rollback")
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn is_reusable(&self) -> bool {
        !self.in_transaction()
    }

    fn schema_version(&self) -> Result<i64> {
        self.connection.query_row("pragma user_version", [], |row| row.get(0)).map_err(map_error)
    }

    fn set_schema_version(&self, version: i64) -> Result<()> {
        self.batch(&format!("pragma user_version = {version}"))
    }
}

/// `$1` to `?1`, outside of quotes.
fn numbered(sql: &str) -> Cow<'_, str> {
    if !sql.contains('$') {
        return Cow::Borrowed(sql);
    }
    let mut quoted = false;
    let rewritten = sql.chars().map(|c| {
        quoted ^= c == '\'';
        if c == '$' && !quoted { '?' } else { c }
    });
    Cow::Owned(rewritten.collect())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Int(x) => ValueRef::Integer(x),
            Value::Text(x) => ValueRef::Text(x.as_bytes()),
            Value::Blob(x) => ValueRef::Blob(x),
        }))
    }
}

/// The value of a column.
pub(super) fn column<'r>(row: &'r rusqlite::Row<'_>, column: usize) -> Result<Value<'r>> {
    Ok(match row.get_ref(column).map_err(map_error)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(x) => Value::Int(x),
        ValueRef::Text(x) => Value::Text(std::str::from_utf8(x).map_err(|_| Error::corrupt("text that is not UTF-8"))?),
        ValueRef::Blob(x) => Value::Blob(x),
        ValueRef::Real(_) => return Err(Error::corrupt("a fraction where none is stored")),
    })
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn map_error(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(code) => map_code(code, error.to_string()),
        None => Error::Database(error.to_string()),
    }
}

fn map_code(code: ErrorCode, text: String) -> Error {
    match code {
        ErrorCode::DiskFull => Error::DiskFull,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::corrupt(text),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Conflict,
        _ => Error::Database(text),
    }
}

/// An error that is about the file as such.
fn map_open(error: &rusqlite::Error, path: &Path) -> Error {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            let denied = io::Error::new(io::ErrorKind::PermissionDenied, text);
            Error::Io { what: "open", path: path.to_owned(), source: denied }
        }
        Some(code) => map_code(code, text),
        None => Error::Database(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_positions_not_names() {
        assert_eq!(numbered("values ($2, '$3', $1)"), "values (?2, '$3', ?1)");
        let connection = rusqlite::Connection::open_in_memory().expect("opens");
        let connection: &dyn Connection = &SqliteConnection { connection };
        let swapped = connection
            .row("select $2, $1", &[Value::Int(1), Value::Int(2)], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("runs");
        assert_eq!(swapped, Some((2_i64, 1_i64)));
    }
}
