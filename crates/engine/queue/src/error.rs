//! The error type of this crate: what goes wrong on our side. What goes wrong with a delivery is a
//! [`Failure`](crate::Failure).

/// Why the queue could not do its own work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] mailstead_store::Error),
    /// A message without recipients cannot be queued.
    #[error("no recipients")]
    NoRecipients,
    /// A row holds something that this version cannot read.
    #[error("queue row has {what} of version {version}, which this program cannot read")]
    Payload {
        /// Which payload.
        what: &'static str,
        /// Its version.
        version: u32,
    },
}
