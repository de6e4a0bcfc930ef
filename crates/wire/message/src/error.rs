//! The one error type of this crate.

/// What can go wrong when a stored or given value is read back. Messages themselves never fail: see
/// [`crate::structure::Anomalies`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes given to [`crate::Structure::decode`] are not an encoded structure, or are cut short.
    #[error("stored message structure is damaged at octet {offset}")]
    DamagedStructure {
        /// Where decoding stopped, in octets from the start.
        offset: usize,
    },
    /// The stored structure was written by a newer version of this crate.
    #[error("stored message structure has version {found}, this program reads up to {supported}")]
    NewerStructure {
        /// Version octet found.
        found: u8,
        /// Highest version known here.
        supported: u8,
    },
    /// A date does not follow RFC 5322 §3.3, its obsolete forms included.
    #[error("not an RFC 5322 date-time")]
    Date,
}
