//! A map with a bound on its size and a life for each entry.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use tokio::time::Instant;

/// What others make us remember: entries end at their time, and the one that was longest of no use makes room for a
/// new one.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// The keys in the order of their last use.
    uses: BTreeMap<u64, K>,
    next_use: u64,
    capacity: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    expires: Instant,
    used: u64,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// An empty map for this many entries.
    pub(crate) fn new(capacity: usize) -> Self {
        Bounded { entries: HashMap::new(), uses: BTreeMap::new(), next_use: 0, capacity: capacity.max(1) }
    }

    /// The value, if it has not ended.
    pub(crate) fn get(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        if self.entries.get(key)?.expires <= now {
            self.remove(key);
            return None;
        }
        let entry = self.entries.get_mut(key)?;
        if let Some(key) = self.uses.remove(&entry.used) {
            entry.used = self.next_use;
            self.uses.insert(self.next_use, key);
            self.next_use += 1;
        }
        Some(&mut entry.value)
    }

    /// Puts a value in the place of whatever was there.
    pub(crate) fn insert(&mut self, key: K, value: V, expires: Instant) {
        self.remove(&key);
        while self.entries.len() >= self.capacity
            && let Some((_, oldest)) = self.uses.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.uses.insert(self.next_use, key.clone());
        self.entries.insert(key, Entry { value, expires, used: self.next_use });
        self.next_use += 1;
    }

    /// Makes an entry live longer, or shorter.
    pub(crate) fn set_expiry(&mut self, key: &K, expires: Instant) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.expires = expires;
        }
    }

    /// Forgets.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.uses.remove(&entry.used);
        Some(entry.value)
    }

    /// How many entries there are, ended ones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        debug_assert_eq!(self.entries.len(), self.uses.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_used_stays_and_what_has_ended_goes() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut map = Bounded::new(2);
        map.insert("a", 1, later(10));
        map.insert("b", 2, later(10));
        assert_eq!(map.get(&"a", start), Some(&mut 1));
        map.insert("c", 3, later(20));
        assert_eq!(map.get(&"b", start), None, "the least used made room");
        map.insert("a", 4, later(20));
        assert_eq!((map.len(), map.get(&"a", later(19)).copied()), (2, Some(4)));
        assert_eq!((map.get(&"c", later(20)).copied(), map.len()), (None, 1));
        map.set_expiry(&"a", later(30));
        assert_eq!(map.get(&"a", later(29)), Some(&mut 4));
        assert_eq!((map.remove(&"a"), map.len()), (Some(4), 0));
    }
}
