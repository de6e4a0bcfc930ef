//! What can go wrong in the store, and whose fault it is.
//!
//! No protocol's reply codes here: each engine maps these in its `reply.rs`.

use std::io;
use std::path::{Path, PathBuf};

/// Result of the store's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation was not done. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such account, or it is being removed.
    #[error("no such account")]
    NoAccount,
    /// An account of this name exists.
    #[error("the account exists already")]
    AccountExists,
    /// No such mailbox.
    #[error("no such mailbox")]
    NoMailbox,
    /// No such message, or it is expunged.
    #[error("no such message")]
    NoMessage,
    /// A mailbox of this name exists.
    #[error("the mailbox exists already")]
    MailboxExists,
    /// The mailbox has children and cannot be deleted before them.
    #[error("the mailbox has children")]
    HasChildren,
    /// Inbox can be neither created nor deleted.
    #[error("not possible with Inbox")]
    Inbox,
    /// Not a name for a mailbox.
    #[error("not a mailbox name: {0}")]
    MailboxName(&'static str),
    /// Source and destination of a copy or move are one mailbox.
    #[error("source and destination are the same mailbox")]
    SameMailbox,
    /// The mailbox has no UID left (RFC 9051 §2.3.1.1 gives 32 bits).
    #[error("the mailbox has no UID left")]
    UidsExhausted,
    /// More keywords than a mailbox may have.
    #[error("too many keywords")]
    TooManyKeywords,
    /// The account's quota would be exceeded.
    #[error("over quota")]
    OverQuota,
    /// What was to be kept is larger than the store keeps of its kind.
    #[error("{what} has {size} octets; at most {most} are kept")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its octets.
        size: usize,
        /// The most there may be.
        most: usize,
    },
    /// The disk is full, or below the floor of free space.
    #[error("no space left on the disk")]
    DiskFull,
    /// The stored data is damaged.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The closure of a transaction panicked. Others in the same group are not touched.
    #[error("a transaction panicked: {0}")]
    Panicked(String),
    /// The password cannot be used, by the rules of RFC 8265 or the account's own.
    #[error("not usable as a password: {0}")]
    Password(String),
    /// The key is here already.
    #[error("the key belongs to an account already")]
    KeyExists,
    /// More keys than an account may have.
    #[error("the account has as many keys as it may have")]
    TooManyKeys,
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
    /// Two transactions met; the store re-runs the closure by itself and gives up after a while.
    #[error("conflict with another transaction")]
    Conflict,
    /// The database answered with an error of its own.
    #[error("database: {0}")]
    Database(String),
    /// The operating system answered with an error.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A caller's own reason to undo its transaction.
    #[error("{0}")]
    Aborted(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether trying again later cannot help without somebody changing something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        !matches!(
            self,
            Error::OverQuota
                | Error::DiskFull
                | Error::Panicked(_)
                | Error::Closed
                | Error::Conflict
                | Error::Database(_)
                | Error::Io { .. }
                | Error::Corrupt(_)
        )
    }

    /// Undoes a transaction for the caller's own reason.
    pub fn aborted(reason: impl std::error::Error + Send + Sync + 'static) -> Self {
        Error::Aborted(Box::new(reason))
    }

    /// An error of opening, met when the store is open already.
    pub(crate) fn from_open(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error,
            other => Error::Database(other.to_string()),
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Error::Corrupt(what.into())
    }

    /// The error for one who shares the fate of another: of a group of transactions, or of a cached result.
    pub(crate) fn echo(&self) -> Self {
        match self {
            Error::DiskFull => Error::DiskFull,
            Error::Closed => Error::Closed,
            Error::Conflict => Error::Conflict,
            Error::NoAccount => Error::NoAccount,
            Error::Corrupt(what) => Error::Corrupt(what.clone()),
            other => Error::Database(other.to_string()),
        }
    }
}

/// Gives a system error the name of what was tried.
pub(crate) trait IoContext<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull,
            _ => Error::Io { what, path: path.to_owned(), source },
        })
    }
}

/// Why a store could not be opened. Nothing in the data directory was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the data directory.
    #[error("{} is in use by another process; stop that one first", .0.display())]
    Locked(PathBuf),
    /// Another process has the PostgreSQL database.
    #[error("the PostgreSQL database is in use by another process; stop that one first")]
    DatabaseLocked,
    /// No rights on the data directory or something in it.
    #[error("no rights on {} or in it: {source}", .path.display())]
    NoRights {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A newer version of this program wrote the database.
    #[error("{what} has schema version {found}, this program knows up to {known}; use a newer program")]
    Newer {
        /// Which database.
        what: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A database is damaged.
    #[error("{what} is damaged: {detail}; restore it from a backup")]
    Corrupt {
        /// Which database.
        what: String,
        /// What was seen.
        detail: String,
    },
    /// PostgreSQL could not be reached or refused us.
    #[error("cannot connect to PostgreSQL: {0}")]
    Connect(String),
    /// Anything else.
    #[error(transparent)]
    Store(Error),
}

impl OpenError {
    /// What an error means that came while opening this database.
    pub(crate) fn of(error: Error, database: &str) -> Self {
        match error {
            Error::Corrupt(detail) => OpenError::Corrupt { what: database.to_owned(), detail },
            other => other.into(),
        }
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        let denied = |kind| matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
        match error {
            Error::Io { path, source, .. } if denied(source.kind()) => OpenError::NoRights { path, source },
            other => OpenError::Store(other),
        }
    }
}
