//! Upgrades: atomic, backed up, and from every version that ever was.

use std::path::Path;

use super::*;
use crate::error::Error;
use crate::ids::AccountId;
use crate::sql::{Connection, SqliteEngine, params};

const ACCOUNT: Database = Database::Account(AccountId(7));

fn nothing(_: Dialect) -> String {
    String::new()
}

fn first() -> Migration {
    Migration { both: both_1, server: server_1, account: account_1 }
}

fn engine(directory: &Path) -> SqliteEngine {
    let engine = SqliteEngine::new(directory);
    engine.create(ACCOUNT).expect("created");
    engine
}

fn upgrade(engine: &dyn Engine, migrations: &[Migration]) -> Result<(), OpenError> {
    migrate(engine, ACCOUNT, Part::Account, migrations)
}

fn count(connection: &dyn Connection, table: &str) -> Result<i64> {
    Ok(connection.scalar(&format!("select count(*) from {table}"), &[])?.unwrap_or(0))
}

#[test]
fn an_upgrade_keeps_the_rows_and_a_backup() {
    let place = tempfile::tempdir().expect("made");
    let engine = engine(place.path());
    upgrade(&engine, &[first()]).expect("new");
    let connection = engine.connect(ACCOUNT, Access::Write).expect("opens");
    connection.execute("insert into subscriptions values ($1, $2)", params![7_i64, "Inbox"]).expect("stored");
    drop(connection);
    assert!(!place.path().join("backup").exists(), "a new database needs no backup");

    let second = Migration { both: nothing, server: nothing, account: |_| "create table more (id bigint)".to_owned() };
    upgrade(&engine, &[first(), second]).expect("upgraded");
    let connection = engine.connect(ACCOUNT, Access::Read).expect("opens");
    assert_eq!(connection.schema_version().expect("read"), 2);
    assert_eq!(count(&*connection, "subscriptions").expect("read"), 1);
    assert_eq!(count(&*connection, "more").expect("read"), 0);
    assert_eq!(engine.inspect(ACCOUNT, 2).expect("whole"), None, "a connection is open, so there is a WAL");
    drop(connection);
    assert_eq!(engine.inspect(ACCOUNT, 2).expect("whole"), Some(2));

    let backup = rusqlite::Connection::open(place.path().join("backup/account-7-v1.db")).expect("opens");
    let version: i64 = backup.query_row("pragma user_version", [], |row| row.get(0)).expect("read");
    let rows: i64 = backup.query_row("select count(*) from subscriptions", [], |row| row.get(0)).expect("read");
    assert_eq!((version, rows), (1, 1));
}

#[test]
fn a_failing_upgrade_leaves_all_as_it_was() {
    let place = tempfile::tempdir().expect("made");
    let engine = engine(place.path());
    upgrade(&engine, &[first()]).expect("new");
    let half = Migration {
        both: nothing,
        server: nothing,
        account: |_| {
            "create table more (id bigint); drop table subscriptions; create table subscriptions_of nobody".to_owned()
        },
    };
    let failed = upgrade(&engine, &[first(), half]);
    assert!(matches!(failed, Err(OpenError::Store(Error::Database(_)))), "{failed:?}");
    let connection = engine.connect(ACCOUNT, Access::Read).expect("opens");
    assert_eq!(connection.schema_version().expect("read"), 1);
    assert_eq!(count(&*connection, "subscriptions").expect("still there"), 0);
    assert!(count(&*connection, "more").is_err());
}

#[test]
fn every_database_is_looked_at_before_one_is_upgraded() {
    let place = tempfile::tempdir().expect("made");
    let engine = engine(place.path());
    upgrade(&engine, &[first()]).expect("new");
    let connection = engine.connect(ACCOUNT, Access::Write).expect("opens");
    connection.set_schema_version(50).expect("written");
    drop(connection);
    assert!(matches!(prepare(&engine), Err(OpenError::Newer { found: 50, .. })));
    assert!(!place.path().join("server.db").exists());
}

/// The text of each released version, as it was released. When a migration is added, its text joins the
/// directory and nothing there changes.
#[test]
fn released_schemas_do_not_change() {
    for (number, migration) in (1..).zip(MIGRATIONS) {
        for (dialect, name) in [(Dialect::Sqlite, "sqlite"), (Dialect::Postgres, "postgres")] {
            let path = format!("{}/testdata/schema/{number}.{name}.sql", env!("CARGO_MANIFEST_DIR"));
            let text = migration.text(Part::Whole, dialect).lines().map(str::trim).collect::<Vec<_>>().join("\n");
            if std::env::var_os("MAILSTEAD_WRITE_SCHEMA").is_some() {
                std::fs::write(&path, &text).expect("written");
            }
            let released = std::fs::read_to_string(&path).expect("a released schema");
            assert_eq!(text, released, "{path}: add a migration instead of changing one");
        }
    }
}

/// Databases of every older version, made from the released text, become current and keep their rows.
#[test]
fn every_older_version_can_be_upgraded() {
    for version in 1..=MIGRATIONS.len() {
        let place = tempfile::tempdir().expect("made");
        let engine = engine(place.path());
        let connection = engine.connect(ACCOUNT, Access::Write).expect("opens");
        for number in 1..=version {
            let path = format!("{}/testdata/schema/{number}.sqlite.sql", env!("CARGO_MANIFEST_DIR"));
            connection.batch(&std::fs::read_to_string(path).expect("a released schema")).expect("applied");
        }
        let version = i64::try_from(version).expect("small");
        connection.set_schema_version(version).expect("written");
        connection.batch(ROWS_OF_1).expect("rows");
        drop(connection);
        migrate(&engine, ACCOUNT, Part::Whole, MIGRATIONS).expect("upgraded");
        let files = crate::blobs::BlobFiles::new(place.path());
        let connection = engine.connect(ACCOUNT, Access::Read).expect("opens");
        let read = crate::transaction::Read::new(&*connection, &files, AccountId(7));
        let mailbox = read.mailbox_by_name("inbox").expect("read").expect("there");
        assert_eq!(mailbox.counts.total, 1);
        let states = read.message_states(mailbox.id).expect("read");
        let message = read.open_message(states[0].id).expect("opens");
        assert_eq!(message.read_at(0..100).expect("reads"), b"A: b\r\nSubject: x\r\n\r\n");
        let content = read.message(states[0].id, crate::messages::Detail::Content).expect("read").1.content;
        assert_eq!(content.map(|content| content.preview).as_deref(), Some("hello"));
        let facts = read.facts(states[0].id, "evidence").expect("read").expect("there");
        assert_eq!((facts.version, facts.payload.as_slice(), facts.reference), (1, b"{}".as_slice(), None));
    }
}

/// An account with one message, in the words of version 1.
const ROWS_OF_1: &str = include_str!("../../testdata/schema/1.rows.sql");
