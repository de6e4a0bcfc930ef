//! The one place where SQL text meets a database engine.
//!
//! Everywhere else writes one SQL text with `$1`-style parameters, `bigint`, `text` and `bytea` columns.
//! Here lie the differences: parameter syntax, value types, how a transaction begins, error codes.
//! What the two engines cannot say in one text (search index, row locks) asks [`Connection::dialect`].
//! Rules for writers of SQL: every sum is `cast(... as bigint)` (PostgreSQL's `sum` of bigint is numeric),
//! every parameter is an `i64`, text or bytes, and no query is run inside the callback of another.

mod connections;
mod postgres;
mod sqlite;

use std::fmt;

pub(crate) use connections::{Access, Connections, Lease};
pub(crate) use postgres::PostgresEngine;
pub(crate) use sqlite::{SqliteEngine, sync_directory};

use crate::error::{Error, OpenError, Result};
use crate::ids::{AccountId, BlobId, MailboxId, MessageId, ModSeq, ThreadId, Uid, UidValidity};

/// Which engine a connection speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// What ends the statement that creates a table stored in the order of its primary key, where that can be had.
    pub(crate) const fn clustered(self) -> &'static str {
        match self {
            Dialect::Sqlite => "without rowid",
            Dialect::Postgres => "",
        }
    }

    /// The integers of a [`json_list`] parameter as a table with the column `n`: one text of the statement
    /// for lists of every length.
    pub(crate) fn int_list(self, parameter: &str) -> String {
        match self {
            Dialect::Sqlite => format!("(select value as n from json_each({parameter}))"),
            Dialect::Postgres => {
                format!("(select e::bigint as n from json_array_elements_text({parameter}::text::json) e)")
            }
        }
    }

    /// Whether a column is one of the integers of a [`json_list`] parameter. PostgreSQL gets an array, which
    /// it looks up in an index whatever it believes of the size of the table.
    pub(crate) fn is_listed(self, column: &str, parameter: &str) -> String {
        let list = self.int_list(parameter);
        match self {
            Dialect::Sqlite => format!("{column} in {list}"),
            Dialect::Postgres => format!("{column} = any(array{list})"),
        }
    }

    /// The texts of a JSON array in a parameter as a table with the column `t`.
    pub(crate) fn text_list(self, parameter: &str) -> String {
        match self {
            Dialect::Sqlite => format!("(select value as t from json_each({parameter}))"),
            Dialect::Postgres => format!("(select e as t from json_array_elements_text({parameter}::text::json) e)"),
        }
    }
}

/// Integers as the text that [`Dialect::int_list`] reads.
pub(crate) fn json_list(numbers: impl IntoIterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.into_iter().map(|number| number.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

/// Which database of an engine: SQLite has a file for each, PostgreSQL one database for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Database {
    Server,
    Account(AccountId),
}

impl Database {
    /// The database in which the rows of this account lie.
    pub(crate) fn of(account: AccountId) -> Self {
        if account == AccountId::SERVER { Database::Server } else { Database::Account(account) }
    }

    /// The account number that begins every key there.
    pub(crate) fn account(self) -> AccountId {
        match self {
            Database::Server => AccountId::SERVER,
            Database::Account(account) => account,
        }
    }
}

/// A way to reach databases.
pub(crate) trait Engine: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// Databases that share connections have the same key.
    fn pool_key(&self, database: Database) -> Database;

    /// Opens a connection. `Access::Read` never changes anything, not even by recovery.
    fn connect(&self, database: Database, access: Access) -> Result<Box<dyn Connection>>;

    /// What to call a database when talking to the operator.
    fn describe(&self, database: Database) -> String;

    /// The databases there are. An engine with one for all names that one, whether it has tables or not.
    fn existing(&self) -> Result<Vec<Database>, OpenError>;

    /// Looks at a database from outside, without changing a bit, for damage and for a version above `known`.
    /// Gives the version if it can be told for certain.
    fn inspect(&self, database: Database, known: i64) -> Result<Option<i64>, OpenError>;

    /// After a migration: makes what [`Engine::inspect`] sees current.
    fn settle(&self, connection: &dyn Connection) -> Result<()>;

    /// Creates the database of an account, if the engine keeps one for each.
    fn create(&self, database: Database) -> Result<()>;

    /// Removes what [`Engine::create`] made. The rows are deleted by the caller where accounts share a database.
    fn remove(&self, database: Database) -> Result<()>;

    /// Saves the database aside before a migration from this version.
    fn back_up(&self, database: Database, connection: &dyn Connection, version: i64) -> Result<()>;
}

/// An open connection, used by one thread at a time.
pub(crate) trait Connection: Send {
    fn dialect(&self) -> Dialect;

    /// Runs a statement and returns the number of rows changed.
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64>;

    /// Runs a query and calls `each` for every row. `each` must not use the connection.
    fn query(&self, sql: &str, params: &[Value<'_>], each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()>;

    /// Runs statements without parameters, separated by semicolons.
    fn batch(&self, sql: &str) -> Result<()>;

    /// Begins a transaction for changing the schema.
    fn begin(&self) -> Result<()>;

    /// Begins a snapshot for reading.
    fn begin_read(&self) -> Result<()>;

    /// Begins a transaction that is the only writer of this account's rows until it ends.
    fn begin_write(&self, account: AccountId) -> Result<()>;

    /// Makes everything since the beginning durable.
    fn commit(&self) -> Result<()>;

    /// Undoes everything since the beginning.
    fn rollback(&self) -> Result<()>;

    /// Whether a transaction is open. SQLite ends one by itself after some errors.
    fn in_transaction(&self) -> bool;

    /// Whether the connection may serve another; not with a transaction left open, or when it broke.
    fn is_reusable(&self) -> bool;

    /// The schema version, 0 for a database without tables.
    fn schema_version(&self) -> Result<i64>;

    /// Records the schema version, within the open transaction.
    fn set_schema_version(&self, version: i64) -> Result<()>;
}

impl dyn Connection + '_ {
    /// All rows of a query.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.query(sql, params, &mut |row| {
            all.push(map(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// The first row of a query, if there is one.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut first = None;
        self.query(sql, params, &mut |row| {
            if first.is_none() {
                first = Some(map(row)?);
            }
            Ok(())
        })?;
        Ok(first)
    }

    /// The first column of the first row.
    pub(crate) fn scalar<T: FromValue>(&self, sql: &str, params: &[Value<'_>]) -> Result<Option<T>> {
        self.row(sql, params, |row| row.get(0))
    }
}

/// A value bound to a parameter or read from a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'v> {
    Null,
    Int(i64),
    Text(&'v str),
    Blob(&'v [u8]),
}

/// The parameters of a statement: `params![account, uid, "text"]`.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::sql::Value::from($value)),*]
    };
}
pub(crate) use params;

macro_rules! value_from {
    ($($from:ty => |$x:ident| $to:expr;)*) => {
        $(impl<'v> From<$from> for Value<'v> {
            fn from($x: $from) -> Self {
                $to
            }
        })*
    };
}

value_from! {
    i64 => |x| Value::Int(x);
    u32 => |x| Value::Int(i64::from(x));
    bool => |x| Value::Int(i64::from(x));
    &'v str => |x| Value::Text(x);
    &'v String => |x| Value::Text(x);
    &'v [u8] => |x| Value::Blob(x);
    &'v Vec<u8> => |x| Value::Blob(x);
    AccountId => |x| Value::Int(x.0);
    MailboxId => |x| Value::Int(x.0);
    MessageId => |x| Value::Int(x.0);
    ThreadId => |x| Value::Int(x.0);
    BlobId => |x| Value::Int(x.0);
    ModSeq => |x| Value::Int(x.0);
    Uid => |x| Value::Int(i64::from(x.number()));
    UidValidity => |x| Value::Int(i64::from(x.0));
    jiff::Timestamp => |x| Value::Int(x.as_microsecond());
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A type that a column can be read as.
pub(crate) trait FromValue: Sized {
    fn from_value(value: Value<'_>) -> Option<Self>;
}

macro_rules! from_value {
    ($($to:ty => $pattern:pat => $some:expr;)*) => {
        $(impl FromValue for $to {
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    $pattern => $some,
                    _ => None,
                }
            }
        })*
    };
}

from_value! {
    i64 => Value::Int(x) => Some(x);
    u32 => Value::Int(x) => u32::try_from(x).ok();
    u64 => Value::Int(x) => u64::try_from(x).ok();
    bool => Value::Int(x) => Some(x != 0);
    String => Value::Text(x) => Some(x.to_owned());
    Vec<u8> => Value::Blob(x) => Some(x.to_vec());
    AccountId => Value::Int(x) => Some(AccountId(x));
    MailboxId => Value::Int(x) => Some(MailboxId(x));
    MessageId => Value::Int(x) => Some(MessageId(x));
    ThreadId => Value::Int(x) => Some(ThreadId(x));
    BlobId => Value::Int(x) => Some(BlobId(x));
    ModSeq => Value::Int(x) => Some(ModSeq(x));
    Uid => Value::Int(x) => u32::try_from(x).ok().and_then(Uid::new);
    UidValidity => Value::Int(x) => u32::try_from(x).ok().map(UidValidity);
    jiff::Timestamp => Value::Int(x) => jiff::Timestamp::from_microsecond(x).ok();
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// A row of a result.
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r ::postgres::Row),
}

impl Row<'_> {
    /// The value of a column, by its position from zero.
    pub(crate) fn value(&self, column: usize) -> Result<Value<'_>> {
        match self {
            Row::Sqlite(row) => sqlite::column(row, column),
            Row::Postgres(row) => postgres::column(row, column),
        }
    }

    /// A column as a type of ours. Anything else there means that somebody else wrote the row.
    pub(crate) fn get<T: FromValue>(&self, column: usize) -> Result<T> {
        T::from_value(self.value(column)?).ok_or_else(|| Error::corrupt(format!("column {column} holds an odd value")))
    }
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").finish_non_exhaustive()
    }
}
