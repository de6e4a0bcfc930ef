//! The tables, and how an older database becomes a current one.
//!
//! One text for both engines. Every key begins with the account's number, so that SQLite can keep a file
//! for each account and PostgreSQL one database for all. Rooms that own tables state them themselves
//! (`threads`, `search`, `passwords`, `logins`, `queue`, `refused`); a migration adds up the texts.
//!
//! A migration is one transaction that ends with the new version number, after a backup. A database
//! without a version is new; one with a higher version than ours is refused before anything is written.

use crate::error::{OpenError, Result};
use crate::sql::{Access, Database, Dialect, Engine};
use crate::{logins, passwords, queue, refused, search, sts_policies, threads, tls_keys, tls_results};

/// What a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The server's own tables: accounts, passwords, keys, login attempts, queue, refused messages.
    Server,
    /// The tables of accounts.
    Account,
    /// Both, where one database has all.
    Whole,
}

/// One step from a version to the next.
pub(crate) struct Migration {
    /// In every database.
    pub(crate) both: fn(Dialect) -> String,
    /// Where the server's tables are.
    pub(crate) server: fn(Dialect) -> String,
    /// Where accounts' tables are.
    pub(crate) account: fn(Dialect) -> String,
}

/// All steps; the first makes version 1 from nothing. Never change one that was released.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { both: both_1, server: server_1, account: account_1 },
    Migration { both: |_| String::new(), server: refused::tables, account: account_2 },
    Migration { both: |_| String::new(), server: queue::notification_columns, account: |_| String::new() },
    Migration { both: |_| String::new(), server: server_4, account: |_| String::new() },
    Migration { both: |_| String::new(), server: tls_keys::tables, account: |_| String::new() },
];

/// Counters of an account and its bodies. The server itself is account 0: it has queued bodies.
///
/// `next_id` numbers mailboxes, messages, threads and blobs alike. Rows of `blobs` are small so that
/// counting references never rewrites a body; `file` names a body that is kept outside of the database.
fn both_1(_: Dialect) -> String {
    "create table account_state (
        account_id bigint not null primary key,
        next_id bigint not null,
        modseq bigint not null,
        next_uid_validity bigint not null,
        used bigint not null,
        quota bigint
     );
     create table blobs (
        account_id bigint not null,
        id bigint not null,
        size bigint not null,
        refs bigint not null,
        file text,
        primary key (account_id, id)
     );
     create unique index blobs_file on blobs (account_id, file);
     create table blob_data (
        account_id bigint not null,
        id bigint not null,
        data bytea not null,
        primary key (account_id, id)
     );"
    .to_owned()
}

/// `active` is 0 while an account is being created or removed; what is then found at start is removed.
fn server_1(dialect: Dialect) -> String {
    let accounts = "create table accounts (
        account_id bigint not null primary key,
        name text not null unique,
        active bigint not null,
        created_at bigint not null
     );
     insert into account_state values (0, 1, 0, 0, 0, null);";
    [accounts, &passwords::tables(dialect), &logins::tables(dialect), &queue::tables(dialect)].join("\n")
}

/// What direct delivery keeps of others.
fn server_4(dialect: Dialect) -> String {
    [queue::destination_index(dialect), sts_policies::tables(dialect), tls_results::tables(dialect)].join("\n")
}

/// `messages` is narrow and, on SQLite, stored in the order of its key: a view of a mailbox is one scan.
/// What is wide and rarely read lies in `message_content`, and what engines note in `message_facts`.
fn account_1(dialect: Dialect) -> String {
    let clustered = dialect.clustered();
    let tables = format!(
        "create table mailboxes (
            account_id bigint not null,
            id bigint not null,
            name text not null,
            uid_validity bigint not null,
            uid_next bigint not null,
            first_recent bigint not null,
            create_modseq bigint not null,
            modseq bigint not null,
            special_use text,
            total bigint not null,
            unseen bigint not null,
            deleted bigint not null,
            size bigint not null,
            keywords text not null,
            primary key (account_id, id)
         );
         create unique index mailboxes_name on mailboxes (account_id, name);
         create unique index mailboxes_special_use on mailboxes (account_id, special_use);
         create table mailbox_tombstones (
            account_id bigint not null,
            id bigint not null,
            name text not null,
            uid_validity bigint not null,
            create_modseq bigint not null,
            modseq bigint not null,
            primary key (account_id, id)
         );
         create table subscriptions (
            account_id bigint not null,
            name text not null,
            primary key (account_id, name)
         );
         create table messages (
            account_id bigint not null,
            mailbox_id bigint not null,
            uid bigint not null,
            id bigint not null,
            modseq bigint not null,
            create_modseq bigint not null,
            flags bigint not null,
            keywords text not null,
            size bigint not null,
            received_at bigint not null,
            save_date bigint not null,
            thread_id bigint not null,
            blob_id bigint not null,
            primary key (account_id, mailbox_id, uid)
         ) {clustered};
         create unique index messages_id on messages (account_id, id);
         create index messages_modseq on messages (account_id, mailbox_id, modseq);
         create index messages_thread on messages (account_id, thread_id);
         create table message_content (
            account_id bigint not null,
            id bigint not null,
            prefix bytea not null,
            structure bytea not null,
            preview text not null,
            message_id text,
            subject_base text not null,
            primary key (account_id, id)
         );
         create index message_content_message_id on message_content (account_id, message_id);
         create table message_facts (
            account_id bigint not null,
            id bigint not null,
            kind text not null,
            version bigint not null,
            payload bytea not null,
            primary key (account_id, id, kind)
         );
         create table tombstones (
            account_id bigint not null,
            mailbox_id bigint not null,
            uid bigint not null,
            id bigint not null,
            create_modseq bigint not null,
            modseq bigint not null,
            kept bigint not null,
            primary key (account_id, mailbox_id, uid)
         ) {clustered};
         create index tombstones_modseq on tombstones (account_id, mailbox_id, modseq);
         create table annotations (
            account_id bigint not null,
            mailbox_id bigint not null,
            entry text not null,
            value bytea not null,
            is_text bigint not null,
            modseq bigint not null,
            primary key (account_id, mailbox_id, entry)
         );
         create table deliveries (
            account_id bigint not null,
            delivery_id text not null,
            id bigint not null,
            delivered_at bigint not null,
            primary key (account_id, delivery_id)
         );
         create index deliveries_delivered_at on deliveries (account_id, delivered_at);"
    );
    [tables.as_str(), &threads::tables(dialect), &search::tables(dialect)].join("\n")
}

/// Facts can be found by a reference. Most have none, so the index is of those that do.
fn account_2(_: Dialect) -> String {
    "alter table message_facts add column reference text;
     create index message_facts_reference on message_facts (account_id, reference, kind, id)
        where reference is not null;"
        .to_owned()
}

/// The tables whose rows belong to an account, for removing one from a database that has many.
pub(crate) fn account_tables() -> impl Iterator<Item = &'static str> {
    const OWN: &[&str] = &[
        "blobs",
        "blob_data",
        "mailboxes",
        "mailbox_tombstones",
        "subscriptions",
        "messages",
        "message_content",
        "message_facts",
        "tombstones",
        "annotations",
        "deliveries",
    ];
    OWN.iter().chain(threads::ACCOUNT_TABLES).chain(search::ACCOUNT_TABLES).copied()
}

/// Brings a database from the version it has to the last of `migrations`; nothing is done to a current one.
///
/// # Errors
/// [`OpenError::Newer`] before anything is written. After any other error the database is as it was.
pub(crate) fn migrate(
    engine: &dyn Engine,
    database: Database,
    part: Part,
    migrations: &[Migration],
) -> Result<(), OpenError> {
    let name = engine.describe(database);
    migrate_connected(engine, database, part, migrations, &name).map_err(|error| match error {
        OpenError::Store(error) => OpenError::of(error, &name),
        other => other,
    })
}

fn migrate_connected(
    engine: &dyn Engine,
    database: Database,
    part: Part,
    migrations: &[Migration],
    name: &str,
) -> Result<(), OpenError> {
    let connection = engine.connect(database, Access::Write)?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found = connection.schema_version()?;
    if found > known {
        return Err(OpenError::Newer { what: name.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    if found > 0 {
        engine.back_up(database, &*connection, found)?;
    }
    connection.begin()?;
    let mut steps = migrations.iter().skip(usize::try_from(found).unwrap_or_default());
    let applied = steps.try_for_each(|step| connection.batch(&step.text(part, connection.dialect())));
    let done = applied.and_then(|()| connection.set_schema_version(known)).and_then(|()| connection.commit());
    if done.is_err() && connection.in_transaction() {
        // The error is what matters; a transaction that cannot be rolled back ends with the connection.
        let _ = connection.rollback();
    }
    done?;
    engine.settle(&*connection)?;
    Ok(())
}

impl Migration {
    fn text(&self, part: Part, dialect: Dialect) -> String {
        let mut text = (self.both)(dialect);
        if part != Part::Account {
            text.push_str(&(self.server)(dialect));
        }
        if part != Part::Server {
            text.push_str(&(self.account)(dialect));
        }
        text
    }
}

/// Brings all databases up to date and creates the server's. Every database is looked at before the first
/// is written to.
pub(crate) fn prepare(engine: &dyn Engine) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let existing = engine.existing()?;
    let mut outdated = Vec::new();
    for &database in &existing {
        if engine.inspect(database, known)? != Some(known) {
            outdated.push(database);
        }
    }
    if !existing.contains(&Database::Server) {
        engine.create(Database::Server)?;
        outdated.push(Database::Server);
    }
    outdated
        .into_iter()
        .try_for_each(|database| migrate(engine, database, Part::in_database(engine, database), MIGRATIONS))
}

impl Part {
    pub(crate) fn in_database(engine: &dyn Engine, database: Database) -> Self {
        match (engine.dialect(), database) {
            (Dialect::Postgres, _) => Part::Whole,
            (Dialect::Sqlite, Database::Server) => Part::Server,
            (Dialect::Sqlite, Database::Account(_)) => Part::Account,
        }
    }
}

#[cfg(test)]
mod tests;
