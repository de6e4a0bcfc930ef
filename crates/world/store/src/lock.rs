//! One process for each data directory, and for each PostgreSQL database.
//!
//! The kernel drops a file lock with its process, PostgreSQL an advisory lock with its connection, so a
//! crash leaves nothing to clean up.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, IoContext, OpenError};
use crate::sql::PostgresEngine;

/// "mailstead" in bytes, cut to 63 bits: the key of the advisory lock.
const ADVISORY_KEY: i64 = 0x6d61_696c_7374_6561;

/// How long PostgreSQL may take to notice that the process before this one is gone, as at a restart.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Held while the store is open.
pub(crate) struct Lock {
    _file: File,
    _client: Option<std::sync::Mutex<::postgres::Client>>,
}

impl Lock {
    /// Takes the lock of a data directory.
    pub(crate) fn directory(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join("lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = opened.at("open", &path)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file, _client: None }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(directory.to_owned())),
            Err(TryLockError::Error(source)) => Err(Error::Io { what: "lock", path, source }.into()),
        }
    }

    /// Takes the lock of a PostgreSQL database besides.
    pub(crate) fn with_database(self, engine: &PostgresEngine) -> Result<Self, OpenError> {
        let mut client = engine.client().map_err(|error| OpenError::Connect(error.to_string()))?;
        let begun = Instant::now();
        // Several stores may lie in one database, each in a schema of its own.
        while !client
            .query_one("select pg_try_advisory_lock($1 # hashtext(current_schema())::bigint)", &[&ADVISORY_KEY])
            .map_err(|error| OpenError::Connect(error.to_string()))?
            .get::<_, bool>(0)
        {
            if begun.elapsed() > PATIENCE {
                return Err(OpenError::DatabaseLocked);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Lock { _file: self._file, _client: Some(std::sync::Mutex::new(client)) })
    }
}
