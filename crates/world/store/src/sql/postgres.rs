//! The PostgreSQL engine: all accounts in one database, reached with the synchronous client.
//!
//! An account's writers serialise on the row lock of its `account_state`, so that UIDs and modseqs become
//! visible in order. `synchronous_commit` is forced on.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

use ::postgres::error::SqlState;
use ::postgres::types::private::BytesMut;
use ::postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use ::postgres::{Client, Statement};

use super::{Access, Connection, Database, Dialect, Engine, Row, Value};
use crate::error::{Error, OpenError, Result};
use crate::ids::AccountId;

/// How long a connection may take to be made, unless the connection string says.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A PostgreSQL database.
pub(crate) struct PostgresEngine {
    config: ::postgres::Config,
}

impl PostgresEngine {
    /// Reads the connection string; nothing is connected yet.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let mut config: ::postgres::Config = url.parse().map_err(map_error)?;
        config.application_name("mailstead");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        Ok(PostgresEngine { config })
    }

    /// A connection outside of the pool, for the lock that lives as long as it.
    pub(crate) fn client(&self) -> Result<Client> {
        self.config.connect(::postgres::NoTls).map_err(map_error)
    }
}

impl Engine for PostgresEngine {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn pool_key(&self, _database: Database) -> Database {
        Database::Server
    }

    fn connect(&self, _database: Database, access: Access) -> Result<Box<dyn Connection>> {
        let mut client = self.client()?;
        let mode = match access {
            Access::Read => {
                "set default_transaction_isolation = 'repeatable read'; set default_transaction_read_only = on;"
            }
            Access::Write => "set default_transaction_isolation = 'read committed'; set synchronous_commit = on;",
        };
        client.batch_execute(mode).map_err(map_error)?;
        Ok(Box::new(PostgresConnection {
            client: RefCell::new(client),
            statements: RefCell::default(),
            in_transaction: Cell::new(false),
        }))
    }

    fn describe(&self, _database: Database) -> String {
        "the PostgreSQL database".to_owned()
    }

    fn existing(&self) -> Result<Vec<Database>, OpenError> {
        Ok(vec![Database::Server])
    }

    fn inspect(&self, database: Database, known: i64) -> Result<Option<i64>, OpenError> {
        let connection = self.connect(database, Access::Read).map_err(|error| OpenError::Connect(error.to_string()))?;
        let found = connection.schema_version()?;
        if found > known {
            return Err(OpenError::Newer { what: self.describe(database), found, known });
        }
        Ok(Some(found))
    }

    fn settle(&self, _connection: &dyn Connection) -> Result<()> {
        Ok(())
    }

    fn create(&self, _database: Database) -> Result<()> {
        Ok(())
    }

    fn remove(&self, _database: Database) -> Result<()> {
        Ok(())
    }

    fn back_up(&self, _database: Database, connection: &dyn Connection, version: i64) -> Result<()> {
        // Copies beside the tables, in a schema of their own: no tool outside the server is needed.
        let backup = format!("mailstead_backup_v{version}");
        connection.batch(&format!("drop schema if exists {backup} cascade; create schema {backup};"))?;
        let tables = connection.rows(
            "select tablename::text from pg_tables where schemaname = current_schema()",
            &[],
            |row| row.get::<String>(0),
        )?;
        for table in tables {
            connection.batch(&format!("create table {backup}.{table} as table {table}"))?;
        }
        Ok(())
    }
}

struct PostgresConnection {
    client: RefCell<Client>,
    /// Prepared statements by their text. The texts are a fixed set, so this does not grow.
    statements: RefCell<HashMap<String, Statement>>,
    /// Whether a transaction was begun and not ended. An error leaves it open until it is rolled back.
    in_transaction: Cell<bool>,
}

impl PostgresConnection {
    fn prepared(&self, sql: &str) -> Result<Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.borrow_mut().prepare(sql).map_err(map_error)?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// References to the values, as the client wants them.
fn references<'v>(params: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Connection for PostgresConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        let statement = self.prepared(sql)?;
        self.client.borrow_mut().execute(&statement, &references(params)).map_err(map_error)
    }

    fn query(&self, sql: &str, params: &[Value<'_>], each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let statement = self.prepared(sql)?;
        let rows = self.client.borrow_mut().query(&statement, &references(params)).map_err(map_error)?;
        rows.iter().try_for_each(|row| each(&Row::Postgres(row)))
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.client.borrow_mut().batch_execute(sql).map_err(map_error)
    }

    fn begin(&self) -> Result<()> {
        self.batch("begin")?;
        self.in_transaction.set(true);
        Ok(())
    }

    fn begin_read(&self) -> Result<()> {
        self.begin()
    }

    fn begin_write(&self, account: AccountId) -> Result<()> {
        self.begin()?;
        self.execute("select 1 from account_state where account_id = $1 for update", &[account.into()])?;
        Ok(())
    }

    fn commit(&self) -> Result<()> {
        self.batch("commit")?;
        self.in_transaction.set(false);
        Ok(())
    }

    fn rollback(&self) -> Result<()> {
        self.batch("rollback")?;
        self.in_transaction.set(false);
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction.get()
    }

    fn is_reusable(&self) -> bool {
        !self.in_transaction.get() && !self.client.borrow().is_closed()
    }

    fn schema_version(&self) -> Result<i64> {
        let connection: &dyn Connection = self;
        let exists: Option<bool> =
            connection.row("select to_regclass('schema_version') is not null", &[], |row| row.get(0))?;
        if exists != Some(true) {
            return Ok(0);
        }
        Ok(connection.scalar("select version from schema_version", &[])?.unwrap_or(0))
    }

    fn set_schema_version(&self, version: i64) -> Result<()> {
        self.batch(&format!(
            "create table if not exists schema_version (version bigint not null);
             delete from schema_version; insert into schema_version values ({version});"
        ))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match *self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(x) if *ty == Type::INT4 => i32::try_from(x)?.to_sql(ty, out),
            Value::Int(x) => x.to_sql(&Type::INT8, out),
            // PostgreSQL has no NUL in text. Where it matters it was taken out before; here it only must not
            // make an error of what somebody sent us.
            Value::Text(x) if x.contains('\0') => x.replace('\0', "\u{fffd}").to_sql(&Type::TEXT, out),
            Value::Text(x) => x.to_sql(&Type::TEXT, out),
            Value::Blob(x) => x.to_sql(&Type::BYTEA, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The value of a column.
pub(super) fn column(row: &::postgres::Row, column: usize) -> Result<Value<'_>> {
    let Some(described) = row.columns().get(column) else {
        return Err(Error::corrupt("fewer columns than asked for"));
    };
    let value = match *described.type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(column).map(|x| x.map(Value::Int)),
        Type::INT4 => row.try_get::<_, Option<i32>>(column).map(|x| x.map(|x| Value::Int(i64::from(x)))),
        Type::BOOL => row.try_get::<_, Option<bool>>(column).map(|x| x.map(|x| Value::Int(i64::from(x)))),
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(column).map(|x| x.map(Value::Blob)),
        _ => row.try_get::<_, Option<&str>>(column).map(|x| x.map(Value::Text)),
    };
    Ok(value.map_err(map_error)?.unwrap_or(Value::Null))
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn map_error(error: ::postgres::Error) -> Error {
    match error.code() {
        Some(&SqlState::DISK_FULL) => Error::DiskFull,
        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => Error::Conflict,
        Some(&SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED) => Error::corrupt(error.to_string()),
        _ => Error::Database(describe(&error)),
    }
}

/// The client's own text says only "db error"; the cause has the words.
fn describe(error: &::postgres::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
