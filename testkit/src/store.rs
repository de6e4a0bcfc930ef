//! A store that disappears with the test.

use std::ops::Deref;

use mailstead_store::{Options, Store};
use tempfile::TempDir;

use crate::ManualClock;

/// An empty store on SQLite in a directory of its own, with a clock that stands at [`crate::START`].
#[derive(Debug)]
pub struct TempStore {
    store: Store,
    clock: ManualClock,
    directory: TempDir,
}

impl TempStore {
    /// Opens it.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    pub async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = ManualClock::new();
        let options = Options::new(directory.path().join("data"), clock.shared());
        let store = Store::open(options).await.expect("a new store");
        TempStore { store, clock, directory }
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The directory that holds the store's `data` directory and has room for the test's own files.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Deref for TempStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}
