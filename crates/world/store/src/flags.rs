//! Message flags: system flags and the registered keywords as bits, other keywords as text.
//!
//! RFC 9051 §2.3.2; keywords are compared without regard to case (RFC 9051 §2.3.2) and kept in lower case.
//! `\Recent` is not here: it is a property of a session, see `Write::claim_recent`.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of system flags and of the keywords that have a bit of their own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SystemFlags(u32);

/// Bit number and IMAP name of each flag. The numbers are stored: never change one.
const NAMES: [(SystemFlags, &str); 10] = [
    (SystemFlags::SEEN, "\\Seen"),
    (SystemFlags::ANSWERED, "\\Answered"),
    (SystemFlags::FLAGGED, "\\Flagged"),
    (SystemFlags::DELETED, "\\Deleted"),
    (SystemFlags::DRAFT, "\\Draft"),
    (SystemFlags::FORWARDED, "$Forwarded"),
    (SystemFlags::JUNK, "$Junk"),
    (SystemFlags::NOT_JUNK, "$NotJunk"),
    (SystemFlags::PHISHING, "$Phishing"),
    (SystemFlags::MDN_SENT, "$MDNSent"),
];

impl SystemFlags {
    /// No flag.
    pub const NONE: Self = SystemFlags(0);
    /// `\Seen`
    pub const SEEN: Self = SystemFlags(1);
    /// `\Answered`
    pub const ANSWERED: Self = SystemFlags(1 << 1);
    /// `\Flagged`
    pub const FLAGGED: Self = SystemFlags(1 << 2);
    /// `\Deleted`
    pub const DELETED: Self = SystemFlags(1 << 3);
    /// `\Draft`
    pub const DRAFT: Self = SystemFlags(1 << 4);
    /// `$Forwarded` (RFC 5788)
    pub const FORWARDED: Self = SystemFlags(1 << 5);
    /// `$Junk` (RFC 9051 §2.3.2)
    pub const JUNK: Self = SystemFlags(1 << 6);
    /// `$NotJunk` (RFC 9051 §2.3.2)
    pub const NOT_JUNK: Self = SystemFlags(1 << 7);
    /// `$Phishing` (RFC 9051 §2.3.2)
    pub const PHISHING: Self = SystemFlags(1 << 8);
    /// `$MDNSent` (RFC 3503)
    pub const MDN_SENT: Self = SystemFlags(1 << 9);

    /// The stored form.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From the stored form; unknown bits are kept, so that an older reader loses nothing.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        SystemFlags(bits)
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        SystemFlags(self.0 & !other.0)
    }

    /// The flag with this IMAP name, in any case of letters.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(flag, _)| *flag)
    }

    /// The IMAP names of the flags set.
    pub fn names(self) -> impl Iterator<Item = &'static str> + use<> {
        NAMES.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
    }
}

impl BitOr for SystemFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        SystemFlags(self.0 | other.0)
    }
}

impl BitOrAssign for SystemFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for SystemFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// All flags of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// The flags with a bit.
    pub system: SystemFlags,
    /// Other keywords, in lower case.
    pub keywords: BTreeSet<String>,
}

impl Flags {
    /// Flags from IMAP names. `\Recent` and unknown system flags are left out: a client cannot set them.
    pub fn from_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut flags = Flags::default();
        for name in names {
            if let Some(known) = SystemFlags::named(name) {
                flags.system |= known;
            } else if !name.starts_with('\\') {
                flags.keywords.insert(name.to_ascii_lowercase());
            }
        }
        flags
    }

    /// The IMAP names, system flags first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let keywords: std::collections::btree_set::Iter<'_, String> = self.keywords.iter();
        self.system.names().map(|name| -> &str { name }).chain(keywords.map(String::as_str))
    }

    /// What the flags become by a change.
    #[must_use]
    pub fn changed(&self, change: FlagChange, by: &Flags) -> Flags {
        match change {
            FlagChange::Replace => by.clone(),
            FlagChange::Add => Flags {
                system: self.system | by.system,
                keywords: self.keywords.union(&by.keywords).cloned().collect(),
            },
            FlagChange::Remove => Flags {
                system: self.system.without(by.system),
                keywords: self.keywords.difference(&by.keywords).cloned().collect(),
            },
        }
    }

    /// The stored form of the keywords: joined by spaces, which no keyword contains.
    pub(crate) fn keywords_text(&self) -> String {
        self.keywords.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// From the stored form.
    pub(crate) fn from_stored(bits: u32, keywords: &str) -> Self {
        Flags {
            system: SystemFlags::from_bits(bits),
            keywords: keywords.split_ascii_whitespace().map(str::to_owned).collect(),
        }
    }
}

impl From<SystemFlags> for Flags {
    fn from(system: SystemFlags) -> Self {
        Flags { system, keywords: BTreeSet::new() }
    }
}

/// How a STORE changes flags (RFC 9051 §6.4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlagChange {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        let flags = Flags::from_names(["\\SEEN", "$notjunk", "Work", "work", "\\Recent", "\\Odd"]);
        assert_eq!(flags.names().collect::<Vec<_>>(), ["\\Seen", "$NotJunk", "work"]);
        assert_eq!(Flags::from_stored(flags.system.bits(), &flags.keywords_text()), flags);
    }

    #[test]
    fn each_change_does_what_store_says() {
        let now = Flags::from_names(["\\Seen", "a", "b"]);
        let by = Flags::from_names(["\\Flagged", "\\Seen", "b", "c"]);
        let names = |change| now.changed(change, &by).names().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(FlagChange::Add), ["\\Seen", "\\Flagged", "a", "b", "c"]);
        assert_eq!(names(FlagChange::Remove), ["a"]);
        assert_eq!(names(FlagChange::Replace), ["\\Seen", "\\Flagged", "b", "c"]);
    }
}
