//! Equal flag sets kept once, each also in its wire form, and the keywords that the client has been told of (RFC 9051
//! §2.3.2, §7.3.5).

use std::collections::{BTreeSet, HashMap};

use mailstead_imap::Flag;
use mailstead_store::{Flags, SystemFlags};

/// Keywords that every mailbox has, used or not (RFC 9051 §2.3.2).
const KEYWORDS: [&str; 5] = ["$Forwarded", "$Junk", "$MDNSent", "$NotJunk", "$Phishing"];

/// Flag sets by number.
#[derive(Debug)]
pub(crate) struct FlagTable {
    sets: Vec<(Flags, Box<[Flag]>)>,
    numbers: HashMap<Flags, u32>,
    keywords: BTreeSet<Box<str>>,
    news: bool,
}

impl Default for FlagTable {
    fn default() -> Self {
        let keywords = KEYWORDS.into_iter().map(Into::into).collect();
        FlagTable { sets: Vec::new(), numbers: HashMap::new(), keywords, news: false }
    }
}

impl FlagTable {
    /// The number of this set.
    pub(crate) fn intern(&mut self, flags: Flags) -> u32 {
        if let Some(number) = self.numbers.get(&flags) {
            return *number;
        }
        for keyword in flags.names().filter(|name| !name.starts_with('\\')) {
            self.add_keyword(keyword);
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push((flags.clone(), to_wire(&flags).into()));
        self.numbers.insert(flags, number);
        number
    }

    pub(crate) fn add_keyword(&mut self, keyword: &str) {
        if !self.keywords.contains(keyword) {
            self.keywords.insert(keyword.into());
            self.news = true;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }

    /// The set with this number.
    pub(crate) fn set(&self, number: u32) -> &Flags {
        &self.sets[number as usize].0
    }

    /// The same set as it is written.
    pub(crate) fn wire(&self, number: u32) -> &[Flag] {
        &self.sets[number as usize].1
    }

    pub(crate) fn keywords(&self) -> impl Iterator<Item = &str> {
        self.keywords.iter().map(AsRef::as_ref)
    }

    /// Whether a keyword was met for the first time since the last call.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Forgets all sets, but not the keywords; returns the old table for renumbering.
    pub(crate) fn start_over(&mut self) -> FlagTable {
        let fresh = FlagTable { keywords: self.keywords.clone(), news: self.news, ..FlagTable::default() };
        std::mem::replace(self, fresh)
    }
}

/// The flags of the store that are system flags in IMAP.
const SYSTEM: [(SystemFlags, Flag); 5] = [
    (SystemFlags::SEEN, Flag::Seen),
    (SystemFlags::ANSWERED, Flag::Answered),
    (SystemFlags::FLAGGED, Flag::Flagged),
    (SystemFlags::DELETED, Flag::Deleted),
    (SystemFlags::DRAFT, Flag::Draft),
];

/// Stored flags as IMAP flags.
fn to_wire(flags: &Flags) -> Vec<Flag> {
    let system = SYSTEM.into_iter().filter(|(bit, _)| flags.system.contains(*bit)).map(|(_, flag)| flag);
    let keywords = flags.names().filter(|name| !name.starts_with('\\'));
    system.chain(keywords.map(|name| Flag::Keyword(name.to_owned()))).collect()
}

/// IMAP flags as stored; `None` if one of them cannot be set by a client.
pub(crate) fn from_wire(flags: &[Flag]) -> Option<Flags> {
    let mut stored = Flags::default();
    for flag in flags {
        match flag {
            Flag::Keyword(name) => match SystemFlags::named(name) {
                Some(bit) => stored.system |= bit,
                None => drop(stored.keywords.insert(name.to_ascii_lowercase())),
            },
            system => stored.system |= SYSTEM.iter().find(|(_, known)| known == system)?.0,
        }
    }
    Some(stored)
}
