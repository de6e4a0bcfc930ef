//! Mailbox names (RFC 9051 §5.1): Unicode text inside, modified UTF-7 or UTF-8 on the wire.
//!
//! Which names may be created (NFC, no control characters, no empty levels) is the store's rule, not the grammar's.

use std::fmt;

/// How mailbox names travel in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameEncoding {
    /// Modified UTF-7 (RFC 3501 §5.1.3), until IMAP4rev2 or UTF8=ACCEPT is enabled.
    #[default]
    ModifiedUtf7,
    /// UTF-8 (RFC 9051 §5.1, RFC 6855 §3).
    Utf8,
}

/// A mailbox name: UTF-8, levels separated by `/`. INBOX, in any case and also as the first level, becomes
/// [`MailboxName::INBOX`] (RFC 9051 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(String);

impl MailboxName {
    /// How the one special mailbox is spelt.
    pub const INBOX: &'static str = "Inbox";

    /// The hierarchy delimiter.
    pub const DELIMITER: char = '/';

    /// A name from its Unicode text.
    #[must_use]
    pub fn new(text: &str) -> MailboxName {
        let first = text.split(Self::DELIMITER).next().unwrap_or_default();
        if first.eq_ignore_ascii_case(Self::INBOX) {
            let rest = text.get(first.len()..).unwrap_or_default();
            MailboxName(format!("{}{rest}", Self::INBOX))
        } else {
            MailboxName(text.to_owned())
        }
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is INBOX itself.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.0 == Self::INBOX
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
