//! Turns: how many look-ups below one domain may be under way.
//!
//! Whoever runs a slow or broken authority shall hold up look-ups of that domain and no others, although sockets and
//! patience of resolvers are shared by all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mailstead_names::Domain;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Look-ups under way below one domain. Bursts of more wait for each other, which takes no time where answers are quick.
const MOST_BELOW: usize = 32;

/// The domains with look-ups under way.
#[derive(Debug, Default)]
pub(super) struct Turns {
    domains: Arc<Mutex<HashMap<Box<str>, Arc<Semaphore>>>>,
}

/// A turn; it ends when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    domain: Box<str>,
    domains: Arc<Mutex<HashMap<Box<str>, Arc<Semaphore>>>>,
}

impl Turns {
    /// Waits for a turn below the domain of this name.
    pub(super) async fn take(&self, name: &Domain) -> Turn {
        let domain: Box<str> = domain(name.as_ascii()).into();
        let semaphore = {
            // Nobody panics while holding the lock.
            let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(MOST_BELOW));
            Arc::clone(domains.entry(domain.clone()).or_insert_with(new))
        };
        // In place before waiting: whoever gives up takes the entry away too.
        let mut turn = Turn { permit: None, domain, domains: Arc::clone(&self.domains) };
        // The semaphore is never closed.
        turn.permit = semaphore.acquire_owned().await.ok();
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit = None;
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own, and nobody else's: no look-up below it is under way or waiting.
        if domains.get(&self.domain).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            domains.remove(&self.domain);
        }
    }
}

/// The last two labels: roughly what one owner has. Where many share them, they wait for each other at worst.
fn domain(name: &str) -> &str {
    name.rmatch_indices('.').nth(1).map_or(name, |(dot, _)| name.get(dot + 1..).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        assert_eq!(domain("a.b.example.org"), "example.org");
        assert_eq!(domain("example.org"), "example.org");
        assert_eq!(domain("org"), "org");
    }

    #[tokio::test(start_paused = true)]
    async fn one_domain_waits_and_others_do_not() {
        let turns = Turns::default();
        let name = |text: &str| Domain::parse(text).unwrap();
        let mut held = Vec::new();
        for number in 0..MOST_BELOW {
            held.push(turns.take(&name(&format!("n{number}.slow.example"))).await);
        }
        let wait = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, turns.take(&name("more.slow.example"))).await.is_err());
        assert!(tokio::time::timeout(wait, turns.take(&name("www.quick.example"))).await.is_ok());
        held.pop();
        assert!(tokio::time::timeout(wait, turns.take(&name("more.slow.example"))).await.is_ok());
        held.clear();
        assert!(turns.domains.lock().unwrap().is_empty(), "nothing is kept about domains without look-ups");
    }
}
