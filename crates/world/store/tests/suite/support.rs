//! Stores that disappear with their test, on either engine.

use std::time::Duration;

use mailstead_names::Secret;
use mailstead_runtime::Random;
use mailstead_runtime::SystemRandom;
use mailstead_store::{AccountId, Backend, Options, Staged, Store};
use mailstead_testkit::ManualClock;
use tempfile::TempDir;

/// Which engine a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// One test for both engines: `on_both! { async fn name(place: &Place) { ... } }`.
macro_rules! on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($place:ident: &Place) $body:block)*) => {
        $(
            $(#[$attribute])*
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                async fn test($place: &$crate::support::Place) $body

                #[tokio::test]
                async fn sqlite() {
                    $crate::support::run($crate::support::Engine::Sqlite, async |place| test(place).await).await;
                }

                #[tokio::test]
                async fn postgres() {
                    $crate::support::run($crate::support::Engine::Postgres, async |place| test(place).await).await;
                }
            }
        )*
    };
}
pub(crate) use on_both;

/// A data directory and, on PostgreSQL, a database.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) engine: Engine,
    pub(crate) directory: TempDir,
    pub(crate) clock: ManualClock,
    backend: Backend,
}

impl Place {
    /// How to open the store here.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(self.directory.path(), self.clock.shared());
        options.backend = self.backend.clone();
        options.readers = 2;
        options.writers = 2;
        options.idle_connections = 8;
        options.free_floor = 0;
        options
    }

    /// Opens the store; once at a time.
    pub(crate) async fn open(&self) -> Store {
        Store::open(self.options()).await.expect("the store opens")
    }

    /// Runs a statement in the PostgreSQL database of this place.
    pub(crate) async fn administer(&self, statement: String) {
        if let Backend::Postgres { url } = &self.backend {
            administer(url.expose(), statement).await;
        }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Runs a test in a new place. Without a PostgreSQL server its half passes without doing anything.
pub(crate) async fn run(engine: Engine, test: impl AsyncFn(&Place)) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let clock = ManualClock::new();
    match engine {
        Engine::Sqlite => test(&Place { engine, directory, clock, backend: Backend::Sqlite }).await,
        Engine::Postgres => {
            let Ok(server) = std::env::var("MAILSTEAD_TEST_POSTGRES") else { return };
            let name = format!("mailstead_{:016x}", (&SystemRandom as &dyn Random).number());
            administer(&server, format!("create database {name}")).await;
            let backend = Backend::Postgres { url: Secret::new(of_database(&server, &name)) };
            test(&Place { engine, directory, clock, backend }).await;
            administer(&server, format!("drop database {name} with (force)")).await;
        }
    }
}

/// The connection URL with the name of another database in it.
fn of_database(url: &str, name: &str) -> String {
    let (address, options) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = address.rsplit_once('/').expect("a connection URL with a database");
    format!("{server}/{name}?{options}")
}

async fn administer(server: &str, statement: String) {
    let server = server.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut client = postgres::Client::connect(&server, postgres::NoTls).expect("the server answers");
        client.batch_execute(&statement).expect("the statement is done");
    })
    .await
    .expect("the thread ends well");
}

/// A body, staged whole.
pub(crate) async fn staged(store: &Store, octets: &str) -> Staged {
    let mut stage = store.stage();
    stage.write(octets.as_bytes()).await.expect("the body is taken");
    stage.finish().await.expect("the body is staged")
}

impl Place {
    /// Runs a statement behind the store's back, in the database of an account or of the server.
    pub(crate) async fn meddle(&self, account: Option<AccountId>, statement: &str) {
        let statement = statement.to_owned();
        match &self.backend {
            Backend::Postgres { url } => administer(url.expose(), statement).await,
            Backend::Sqlite => {
                let file = match account {
                    Some(account) => self.directory.path().join(format!("accounts/{account}/mail.db")),
                    None => self.directory.path().join("server.db"),
                };
                let database = rusqlite::Connection::open(file).expect("the database opens");
                database.execute_batch(&statement).expect("the statement is done");
            }
        }
    }
}
