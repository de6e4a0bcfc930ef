//! The one clear message with which a command ends that could not do what it was asked for.

use std::fmt;
use std::io::Write as _;

/// Why a command failed, in words for the person who gave it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure(message.into())
    }

    /// Prints the message on standard error.
    pub(crate) fn report(&self) {
        // Without standard error there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "mailstead: {}", self.0);
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Errors of the crates below speak for themselves.
macro_rules! from_error {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure::new(error.to_string())
            }
        }
    )*};
}

from_error!(
    mailstead_config::Error,
    mailstead_config::Diagnostics,
    mailstead_net::Error,
    mailstead_queue::Error,
    mailstead_store::Error,
    mailstead_store::OpenError
);
