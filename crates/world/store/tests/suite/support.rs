//! Stores that disappear with their test, on either engine.

use std::future::Future;
use std::time::Duration;

use mailstead_names::Secret;
use mailstead_runtime::Random;
use mailstead_runtime::SystemRandom;
use mailstead_store::{Backend, Options, Staged, Store};
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

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Runs a test in a new place. Without a PostgreSQL server its half passes without doing anything.
pub(crate) async fn run(engine: Engine, test: impl AsyncFn(&Place)) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let clock = ManualClock::new();
    let place = match engine {
        Engine::Sqlite => Place { engine, directory, clock, backend: Backend::Sqlite },
        Engine::Postgres => {
            let Ok(server) = std::env::var("MAILSTEAD_TEST_POSTGRES") else { return };
            let name = format!("mailstead_{:016x}", (&SystemRandom as &dyn Random).number());
            administer(&server, format!("create database {name}")).await;
            let url = Secret::new(format!("{} dbname={name}", key_value(&server)));
            Place { engine, directory, clock, backend: Backend::Postgres { url } }
        }
    };
    test(&place).await;
}
