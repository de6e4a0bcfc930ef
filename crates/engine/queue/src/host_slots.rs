//! How many connections there are to one address at a time. Many domains share few hosts, and one destination knows
//! nothing of the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mailstead_runtime::Deadline;

use crate::slots::{Slot, Slots};

/// The connections to every address.
#[derive(Debug)]
pub(crate) struct HostSlots {
    most: usize,
    hosts: Mutex<HashMap<IpAddr, Slots>>,
}

/// Everything that an address takes was in use for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AllTaken;

impl HostSlots {
    pub(crate) fn new(most: usize) -> HostSlots {
        HostSlots { most, hosts: Mutex::default() }
    }

    /// Waits in line for a connection to this address.
    pub(crate) async fn take(&self, address: IpAddr, deadline: Deadline) -> Result<Slot, AllTaken> {
        let slots = self.of(address);
        deadline.bound(slots.take()).await.map_err(|_| AllTaken)
    }

    /// Whether somebody waits for a connection to this address.
    pub(crate) fn are_wanted(&self, address: IpAddr) -> bool {
        self.hosts().get(&address.to_canonical()).is_some_and(Slots::are_wanted)
    }

    fn of(&self, address: IpAddr) -> Slots {
        let mut hosts = self.hosts();
        if hosts.len() >= MOST_IDLE {
            hosts.retain(|_, slots| !slots.are_idle());
        }
        hosts.entry(address.to_canonical()).or_insert_with(|| Slots::new(self.most)).clone()
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<IpAddr, Slots>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses that are remembered without need.
const MOST_IDLE: usize = 1000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_at_once_and_nobody_waits_for_ever() {
        let slots = HostSlots::new(2);
        let address = IpAddr::from([192, 0, 2, 1]);
        let soon = || Deadline::after(Duration::from_secs(60));
        let first = slots.take(address, soon()).await.unwrap();
        let _second = slots.take(address, soon()).await.unwrap();
        assert_eq!(slots.take(address, soon()).await.unwrap_err(), AllTaken);
        slots.take(IpAddr::from([192, 0, 2, 2]), soon()).await.unwrap();
        // Another way to write the same.
        assert_eq!(slots.take("::ffff:192.0.2.1".parse().unwrap(), soon()).await.unwrap_err(), AllTaken);
        drop(first);
        slots.take(address, soon()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_used_is_forgotten() {
        let slots = HostSlots::new(1);
        let held = slots.take(IpAddr::from([192, 0, 2, 1]), Deadline::NEVER).await.unwrap();
        for number in 0..3000_u32 {
            slots.take(IpAddr::from(number.to_be_bytes()), Deadline::NEVER).await.unwrap();
        }
        assert!(slots.hosts.lock().unwrap().len() <= MOST_IDLE + 1);
        let soon = Deadline::after(Duration::ZERO);
        assert_eq!(slots.take(IpAddr::from([192, 0, 2, 1]), soon).await.unwrap_err(), AllTaken);
        drop(held);
    }
}
