//! The present configuration, and how it is replaced while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::{Config, Directory, Error};

/// Holds the configuration that is in force. Whoever needs it subscribes; nothing is read from the file
/// system but by [`ConfigWatch::load`] and [`ConfigWatch::reload`].
#[derive(Debug)]
pub struct ConfigWatch {
    file: PathBuf,
    config: watch::Sender<Arc<Config>>,
    directory: watch::Sender<Arc<Directory>>,
}

/// What a reload has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// Settings that differ from those in force, but cannot change while the server runs.
    pub needs_restart: Vec<&'static str>,
}

impl ConfigWatch {
    /// Reads and validates a file.
    pub fn load(file: &Path) -> Result<Self, Error> {
        let config = Arc::new(read(file)?);
        let directory = watch::Sender::new(Arc::clone(&config.directory));
        Ok(ConfigWatch { file: file.to_owned(), config: watch::Sender::new(config), directory })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The configuration in force.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// The configuration, now and after each reload.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.config.subscribe()
    }

    /// The directory alone, now and after each reload.
    #[must_use]
    pub fn directory(&self) -> watch::Receiver<Arc<Directory>> {
        self.directory.subscribe()
    }

    /// Reads the file again. Domains, accounts and addresses change at once; for the rest the answer says what waits for a
    /// restart. After a mistake the old configuration stays in force.
    pub fn reload(&self) -> Result<Reload, Error> {
        let config = Arc::new(read(&self.file)?);
        let needs_restart = fixed_differences(&self.current(), &config);
        self.directory.send_replace(Arc::clone(&config.directory));
        self.config.send_replace(config);
        Ok(Reload { needs_restart })
    }
}

fn read(file: &Path) -> Result<Config, Error> {
    let source = std::fs::read_to_string(file).map_err(|cause| Error::Read { path: file.to_owned(), cause })?;
    Ok(Config::parse(&source, file)?)
}

/// The settings in which two configurations differ and that are fixed while the server runs.
fn fixed_differences(old: &Config, new: &Config) -> Vec<&'static str> {
    let database = |config: &Config| match &config.database {
        crate::Database::Sqlite => None,
        crate::Database::Postgres { url } => Some(url.expose().clone()),
    };
    let settings = [
        ("hostname", old.hostname != new.hostname),
        ("data-directory", old.data_directory != new.data_directory),
        ("database", database(old) != database(new)),
        ("log", old.log != new.log),
        ("listener", old.listeners != new.listeners),
        // Other files are read at once; with or without TLS is a matter of the listeners.
        ("tls", old.tls.is_some() != new.tls.is_some()),
        ("limits", old.limits != new.limits),
        ("queue", old.queue != new.queue),
        ("transports", old.routing.transports != new.routing.transports),
        ("route", old.routing.routes != new.routing.routes),
        ("dns", old.dns != new.dns),
        ("pedantic", old.strictness != new.strictness),
        ("sandbox", old.sandbox.is_some() != new.sandbox.is_some()),
    ];
    settings.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
