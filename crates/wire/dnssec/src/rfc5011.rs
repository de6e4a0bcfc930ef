//! Trust anchors that follow their zones: automated updates after RFC 5011, as a state machine without clock and I/O.
//!
//! A [`TrustPoint`] is what has been learned about the keys of one zone, and is what is to be kept on disk. What the
//! operator or the software says (`configured`, an [`Anchor`]) is kept apart from it and is brought along each time,
//! so that a newer version can bring other anchors:
//!
//! - A configured anchor is trusted from the start. The first set of keys that it proves turns its digests into keys;
//!   those that are not in the set stay trusted as digests.
//! - A key that nothing but the configuration vouched for is trusted only as long as the configuration does; then it is
//!   [`KeyState::Withdrawn`]. A key that has been accepted after its hold-down stays until it is revoked (RFC 5011 §2.2),
//!   unless none of the keys that were known is configured any more: then it is another zone that is meant.
//! - A revoked key is never trusted again, whatever is configured (§2.1).
//!
//! Where all keys of a zone have been revoked, there is no anchor left ([`TrustPoint::anchor`]), and names below become
//! bogus and not insecure; see [`crate::Anchors::withdraw`].

mod observe;
mod text;

use std::fmt;
use std::time::Duration;

use mailstead_dns::Name;

use crate::anchors::is_digest_of;
use crate::{Anchor, Crypto, Dnskey, algorithm_name};

pub use observe::{NotAuthenticated, Observation, Update};
pub use text::{StateError, StateErrorKind};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// How long, in seconds, a key must have been in every set that was seen (RFC 5011 §2.4.1).
pub const ADD_HOLD_DOWN: u64 = 30 * DAY;
/// How long, in seconds, a revoked key must have been absent until its state says so (§2.4.2).
pub const REMOVE_HOLD_DOWN: u64 = 30 * DAY;
/// Most keys of one zone that are remembered. §2.4.3 wants at least five; the root has had three in fifteen years.
pub const MOST_KEYS: usize = 64;

/// Why a key is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The configuration vouched for it.
    Configured,
    /// Keys that were trusted vouched for it, for as long as the hold-down.
    Accepted,
}

/// The state of a key (RFC 5011 §4.2). "Start" is that of a key that is not remembered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// It has been seen in a proved set, but not for long enough.
    AddPend {
        /// When the hold-down is over, in seconds since 1970.
        until: u64,
        /// The tags of the trusted keys that had signed the set in which it was first seen (§2.2). Never empty.
        validated_by: Vec<u16>,
    },
    /// It is a trust anchor.
    Valid(Origin),
    /// It is a trust anchor, but was not in the last set that was seen.
    Missing(Origin),
    /// Its owner has revoked it: it is no trust anchor and never will be.
    Revoked {
        /// Since when it has not been in the sets that were seen, in seconds since 1970.
        absent_since: Option<u64>,
    },
    /// It was revoked and has disappeared. It is remembered so that it cannot come back.
    Removed,
    /// Not of the RFC: the configuration that had vouched for it does so no longer. It is no trust anchor, and becomes
    /// one again only when the configuration says so.
    Withdrawn,
}

impl KeyState {
    /// Whether a key in this state is a trust anchor.
    pub fn is_trusted(&self) -> bool {
        matches!(self, KeyState::Valid(_) | KeyState::Missing(_))
    }
}

/// A key and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrackedKey {
    /// The key, always without the flag REVOKE.
    pub key: Dnskey,
    /// Its state.
    pub state: KeyState,
    /// Since when it has been in this state, in seconds since 1970.
    pub since: u64,
}

/// What is known about the keys of a zone with trust anchors. `Display` writes the text that
/// [`TrustPoint::parse_all`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPoint {
    zone: Name,
    keys: Vec<TrackedKey>,
}

impl TrustPoint {
    /// Nothing is known yet.
    pub fn new(zone: Name) -> TrustPoint {
        TrustPoint { zone, keys: Vec::new() }
    }

    /// The zone.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// The keys, in the order in which they were first seen.
    pub fn keys(&self) -> &[TrackedKey] {
        &self.keys
    }

    /// The trust anchors of the zone as they are now: keys that are trusted, and what is configured and has not been
    /// seen yet. `None` where nothing is left because all has been revoked (RFC 5011 §5).
    pub fn anchor(&self, configured: &Anchor, crypto: &dyn Crypto) -> Option<Anchor> {
        // The state of a key that is known counts, whatever else is said about it.
        let known = |key: &Dnskey| self.keys.iter().any(|tracked| tracked.key == *key);
        let trusted = self.keys.iter().filter(|tracked| tracked.state.is_trusted());
        let anchor = Anchor {
            zone: self.zone.clone(),
            ds: configured
                .ds
                .iter()
                .filter(|ds| !self.keys.iter().any(|tracked| is_digest_of(ds, &tracked.key, &self.zone, crypto)))
                .cloned()
                .collect(),
            keys: trusted
                .map(|tracked| tracked.key.clone())
                .chain(configured.keys.iter().filter(|key| !known(key)).cloned())
                .collect(),
        };
        (!anchor.is_empty()).then_some(anchor)
    }
}

/// What has happened to a trust point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Something about one of its keys.
    Key {
        /// Tag of the key without the flag REVOKE.
        key_tag: u16,
        /// Algorithm of the key.
        algorithm: u8,
        /// What.
        change: Change,
    },
    /// All keys have been revoked or withdrawn: nothing below the zone can be validated until other anchors are
    /// configured.
    Deleted,
}

/// What has happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// A configured anchor turned out to be this key.
    Trusted,
    /// A new key: it becomes an anchor if it stays until this time, in seconds since 1970 (NewKey).
    Pending {
        /// When.
        until: u64,
    },
    /// A new key has become an anchor (AddTime).
    Accepted,
    /// A new key disappeared before its time (KeyRem).
    Vanished,
    /// The keys that had vouched for a new key have been revoked; it has to start again (RFC 5011 §2.2).
    Unvouched,
    /// An anchor is not in the set any more, but has not been revoked (KeyRem).
    Missing,
    /// An anchor is there again (KeyPres).
    Returned,
    /// An anchor has been revoked (RevBit).
    Revoked,
    /// A revoked key is gone for good (RemTime).
    Removed,
    /// The configuration vouches no longer for an anchor that it brought.
    Withdrawn,
    /// A new key is of an algorithm that is not supported, so it will not become an anchor.
    Unsupported,
    /// A new key is not followed, because too many are already.
    TooMany,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event::Key { key_tag, algorithm, change } = self else {
            return f.write_str(
                "no trust anchor is left, all have been revoked; nothing can be validated until new ones are configured",
            );
        };
        write!(f, "key {key_tag} ({}) ", algorithm_name(*algorithm))?;
        match change {
            Change::Trusted => f.write_str("is the one that a configured trust anchor means"),
            Change::Pending { until } => {
                write!(f, "is new and becomes a trust anchor if it is still there on {}", text::Time(*until))
            }
            Change::Accepted => f.write_str("has stayed long enough and is a trust anchor now"),
            Change::Vanished => f.write_str("disappeared before it could become a trust anchor"),
            Change::Unvouched => f.write_str("is a new key again, because those that vouched for it were revoked"),
            Change::Missing => f.write_str("is a trust anchor, but not among the zone's keys any more"),
            Change::Returned => f.write_str("is among the zone's keys again"),
            Change::Revoked => f.write_str("was revoked by its owner and is no trust anchor any more"),
            Change::Removed => f.write_str("was revoked and has now been gone for 30 days"),
            Change::Withdrawn => f.write_str("is no trust anchor any more, because it is not configured any more"),
            Change::Unsupported => f.write_str("is new, but of an algorithm that is not supported"),
            Change::TooMany => f.write_str("is new, but too many keys are followed already"),
        }
    }
}

/// When to ask for the keys again (RFC 5011 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// After an answer.
    pub query: Duration,
    /// After a failure, again and again.
    pub retry: Duration,
}

impl Refresh {
    /// From the TTL of the keys in their zone and the end of the signature over them, the earliest if there are several:
    /// the fields of its RRSIG. `now` is when it was received, in seconds since 1970.
    pub fn new(original_ttl: u32, expiration: u32, now: u64) -> Refresh {
        // RFC 4034 §3.1.5: a serial number (RFC 1982), so the sign of the difference counts.
        let expires_in = (expiration.wrapping_sub(now as u32) as i32).max(0).unsigned_abs();
        let lesser = u64::from(original_ttl.min(expires_in));
        Refresh {
            query: Duration::from_secs((lesser / 2).clamp(HOUR, 15 * DAY)),
            retry: Duration::from_secs((lesser / 10).clamp(HOUR, DAY)),
        }
    }
}

impl Default for Refresh {
    /// Before anything has been received.
    fn default() -> Refresh {
        Refresh { query: Duration::from_secs(HOUR), retry: Duration::from_secs(HOUR) }
    }
}

#[cfg(test)]
mod tests;
