//! Envelope paths (RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.2).

use std::fmt;

use crate::{Address, Error, parse};

/// Where failure notices go: the argument of MAIL FROM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversePath {
    /// `<>`: the message is itself a notice and must not cause another (RFC 5321 §4.5.5).
    Null,
    /// An address.
    Address(Address),
}

impl ReversePath {
    /// Parses `<>` or `<user@example>`. A source route is skipped.
    ///
    /// # Errors
    /// When the text, all of it, is not a `Reverse-path`.
    pub fn parse(text: &str) -> Result<ReversePath, Error> {
        parse::whole(text, parse::reverse_path)
    }

    /// The address, unless the path is null.
    pub fn address(&self) -> Option<&Address> {
        match self {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        }
    }

    /// Whether a transaction with this path needs SMTPUTF8.
    pub fn needs_smtputf8(&self) -> bool {
        self.address().is_some_and(Address::needs_smtputf8)
    }
}

impl From<Address> for ReversePath {
    fn from(address: Address) -> ReversePath {
        ReversePath::Address(address)
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReversePath::Null => f.write_str("<>"),
            ReversePath::Address(address) => write!(f, "<{address}>"),
        }
    }
}

/// A recipient: the argument of RCPT TO.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, which every server must accept (RFC 5321 §4.5.1).
    Postmaster,
    /// An address.
    Address(Address),
}

impl ForwardPath {
    /// Parses `<user@example>` or `<Postmaster>`. A source route is skipped.
    ///
    /// # Errors
    /// When the text, all of it, is not a `Forward-path`.
    pub fn parse(text: &str) -> Result<ForwardPath, Error> {
        parse::whole(text, parse::forward_path)
    }

    /// The address, unless this is the bare postmaster.
    pub fn address(&self) -> Option<&Address> {
        match self {
            ForwardPath::Postmaster => None,
            ForwardPath::Address(address) => Some(address),
        }
    }

    /// Whether a transaction with this path needs SMTPUTF8.
    pub fn needs_smtputf8(&self) -> bool {
        self.address().is_some_and(Address::needs_smtputf8)
    }
}

impl From<Address> for ForwardPath {
    fn from(address: Address) -> ForwardPath {
        ForwardPath::Address(address)
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPath::Postmaster => f.write_str("<Postmaster>"),
            ForwardPath::Address(address) => write!(f, "<{address}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_paths() {
        assert_eq!(ReversePath::parse("<>"), Ok(ReversePath::Null));
        let path = ReversePath::parse("<@one.example,@two.example:user@example>").unwrap();
        assert_eq!(path.to_string(), "<user@example>");
        assert_eq!(ReversePath::Null.to_string(), "<>");
        assert!(ReversePath::parse("user@example").is_err());
    }

    #[test]
    fn forward_paths() {
        assert_eq!(ForwardPath::parse("<postMASTER>"), Ok(ForwardPath::Postmaster));
        assert!(matches!(ForwardPath::parse("<postmaster@example>"), Ok(ForwardPath::Address(_))));
        assert!(ForwardPath::parse("<>").is_err());
        assert!(ForwardPath::parse("<user>").is_err());
    }
}
