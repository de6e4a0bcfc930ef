//! What can be wrong with octets from the other side.

/// Why input could not be parsed. The text is fit for a BAD response: it says what was expected where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Right so far, but not yet complete.
    #[error("the input is not complete")]
    Incomplete,
    /// Not what the grammar allows.
    #[error("expected {expected} at octet {position}, found {found}")]
    Syntax {
        /// Offset from the start of the command or response, literals counted.
        position: usize,
        /// What the grammar has there.
        expected: &'static str,
        /// What was there.
        found: String,
    },
    /// Grammatical, but with a value that cannot be right.
    #[error("{problem} at octet {position}")]
    Value {
        /// Offset just behind the value.
        position: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no command with this name.
    #[error("unknown command {0}")]
    UnknownCommand(String),
}
