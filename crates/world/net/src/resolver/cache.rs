//! What has been found out, for as long as it may be kept, within a bound of memory.
//!
//! Steps of answers are kept, not whole answers: an alias that many names share is kept once, and each step has the
//! time to live of its own records. Nothing is served beyond it (RFC 8767 is not for those who need proofs).

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mailstead_dns::{Existence, ExtendedError, LookupError, Name, Rtype};
use mailstead_dnssec::Content;
use quick_cache::Weighter;
use quick_cache::sync::Cache as QuickCache;
use tokio::time::Instant;

use super::chain::Cut;
use super::link::Link;

/// Nothing is kept longer: who publishes mistakes wants to see them gone some day.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Absence is not kept longer (RFC 2308 §5 recommends one to three hours).
const LONGEST_ABSENCE: Duration = Duration::from_secs(3 * 3600);
/// How long a failure is remembered (RFC 9520 §3.2: at least a second, at most five minutes).
pub(super) const FAILURE: Duration = Duration::from_secs(5);
/// The same where validation failed; asking again costs many questions.
pub(super) const BOGUS: Duration = Duration::from_secs(30);

/// Octets that an entry takes besides its content: measured by `cargo xtask bench --dns`.
const ENTRY: u64 = 420;

/// Under what a step is kept: a type, or everything at the name (an alias, or that there is no such name).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(Name, Option<Rtype>);

#[derive(Debug, Clone)]
enum Entry {
    Link(Arc<Link>),
    Failure(Arc<LookupError>),
}

#[derive(Debug, Clone)]
struct Kept<T> {
    entry: T,
    until: Instant,
}

#[derive(Debug, Clone, Default)]
struct Octets;

impl Octets {
    fn of_name(name: &Name) -> u64 {
        name.as_wire().len() as u64 + 16
    }
}

impl Weighter<Key, Kept<Entry>> for Octets {
    fn weight(&self, key: &Key, kept: &Kept<Entry>) -> u64 {
        let content = match &kept.entry {
            Entry::Link(link) => {
                let content = match &link.content {
                    // A name in an entry shares its octets with the key.
                    Content::Records(set) => set.data.iter().map(|data| data.len() as u64 + 32).sum(),
                    Content::Alias { to, .. } => Octets::of_name(to),
                    Content::Absent(_) => 0,
                };
                content + octets_of(&link.remarks)
            }
            Entry::Failure(error) => error.detail.len() as u64 + 200 + octets_of(&error.extended_errors),
        };
        Octets::of_name(&key.0) + content + ENTRY
    }
}

impl Weighter<Name, Kept<Cut>> for Octets {
    fn weight(&self, name: &Name, kept: &Kept<Cut>) -> u64 {
        Octets::of_name(name) + kept.entry.octets() + ENTRY
    }
}

/// Roughly the memory that remarks take: several hundred octets each, where a server likes.
pub(super) fn octets_of(remarks: &[ExtendedError]) -> u64 {
    remarks.iter().map(|remark| remark.text.len() as u64 + 40).sum()
}

/// What a look-up in the cache gives.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Link(Arc<Link>, Duration),
    Failure(Arc<LookupError>),
}

type Part<K, T> = QuickCache<K, Kept<T>, Octets>;

/// The cache.
#[derive(Debug)]
pub(super) struct Cache {
    answers: Part<Key, Entry>,
    cuts: Part<Name, Cut>,
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
}

impl Cache {
    /// A cache that takes no more than this many octets.
    pub(super) fn new(octets: u64) -> Cache {
        // Zones are fewer than names, and needed by all of them.
        let cuts = octets / 4;
        let answers = octets - cuts;
        let entries = |octets: u64| usize::try_from(octets / (ENTRY + 100)).unwrap_or(usize::MAX);
        Cache {
            cuts: Part::with_weighter(entries(cuts), cuts, Octets),
            answers: Part::with_weighter(entries(answers), answers, Octets),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.answers.len() + self.cuts.len()
    }

    pub(super) fn octets(&self) -> u64 {
        self.answers.weight() + self.cuts.weight()
    }

    fn get<K: Eq + Hash, T: Clone>(part: &Part<K, T>, key: &K, now: Instant) -> Option<Kept<T>>
    where
        Octets: Weighter<K, Kept<T>>,
    {
        let kept = part.get(key)?;
        if kept.until > now {
            return Some(kept);
        }
        part.remove(key);
        None
    }

    /// What is known about this name and type; counted.
    pub(super) fn link(&self, name: &Name, rtype: Rtype, now: Instant) -> Option<Found> {
        let found = self.peek(name, rtype, now);
        let count = if found.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// The same, not counted.
    pub(super) fn peek(&self, name: &Name, rtype: Rtype, now: Instant) -> Option<Found> {
        let found = Cache::get(&self.answers, &Key(name.clone(), Some(rtype)), now).or_else(|| {
            let kept = Cache::get(&self.answers, &Key(name.clone(), None), now)?;
            // An alias has no alias: it is its own CNAME record that is asked for.
            let is_alias = matches!(&kept.entry, Entry::Link(link) if matches!(link.content, Content::Alias { .. }));
            (!is_alias || rtype != Rtype::CNAME).then_some(kept)
        });
        let kept = found?;
        match kept.entry {
            Entry::Link(link) => Some(Found::Link(link, kept.until - now)),
            Entry::Failure(error) => Some(Found::Failure(error)),
        }
    }

    /// Keeps a step for as long as it may be kept, and gives it back with that time.
    pub(super) fn keep_link(&self, name: &Name, rtype: Rtype, mut link: Link, now: Instant) -> (Arc<Link>, Duration) {
        let longest = if matches!(link.content, Content::Absent(_)) { LONGEST_ABSENCE } else { LONGEST };
        let ttl = Duration::from_secs(link.ttl.into()).min(longest);
        let whole_name = match &mut link.content {
            Content::Records(set) => {
                // They have done their work.
                set.signatures = Vec::new();
                // The same name, and then also the same octets.
                set.owner = name.clone();
                false
            }
            Content::Alias { .. } => true,
            // RFC 8020 §2, for the name itself.
            Content::Absent(existence) => *existence == Existence::NxDomain,
        };
        let link = Arc::new(link);
        if !ttl.is_zero() {
            let key = Key(name.clone(), (!whole_name).then_some(rtype));
            self.answers.insert(key, Kept { entry: Entry::Link(Arc::clone(&link)), until: now + ttl });
        }
        (link, ttl)
    }

    pub(super) fn keep_failure(&self, name: &Name, rtype: Rtype, error: LookupError, span: Duration, now: Instant) {
        let entry = Entry::Failure(Arc::new(error));
        self.answers.insert(Key(name.clone(), Some(rtype)), Kept { entry, until: now + span });
    }

    /// What is known about a zone beginning at this name.
    pub(super) fn cut(&self, name: &Name, now: Instant) -> Option<Cut> {
        Some(Cache::get(&self.cuts, name, now)?.entry)
    }

    pub(super) fn keep_cut(&self, name: &Name, cut: Cut, span: Duration, now: Instant) {
        let span = span.min(LONGEST);
        if !span.is_zero() {
            self.cuts.insert(name.clone(), Kept { entry: cut, until: now + span });
        }
    }

    /// Forgets everything: the answers come from elsewhere from now on.
    pub(super) fn clear(&self) {
        self.answers.clear();
        self.cuts.clear();
    }
}
