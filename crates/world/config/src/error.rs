//! Errors around the configuration file. Mistakes inside it are [`Diagnostics`].

use std::io;
use std::path::PathBuf;

use crate::Diagnostics;

/// Why a configuration could not be had or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the configuration {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file has mistakes.
    #[error("{0}")]
    Invalid(#[from] Diagnostics),
    /// An edit asks for something that is not there, or is there already.
    #[error("{0}")]
    Edit(String),
}
