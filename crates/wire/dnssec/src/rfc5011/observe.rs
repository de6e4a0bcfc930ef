//! What a set of keys does to the states of a trust point (RFC 5011 §2 and §4).

use super::{ADD_HOLD_DOWN, Change, Event, KeyState, MOST_KEYS, Origin, REMOVE_HOLD_DOWN, TrackedKey, TrustPoint};
use crate::{Anchor, Crypto, Dnskey, is_supported_algorithm};

/// The keys of a zone as they were received.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The DNSKEY set.
    pub keys: &'a [Dnskey],
    /// Those of the keys whose own signature over the set has been verified and is within its time, revoked ones
    /// included. It is not enough that a signature with the tag of a key has been verified by some key of that tag: for
    /// any key, its enemy can make another of the same tag, and could revoke it.
    pub signers: &'a [Dnskey],
    /// The TTL of the set in its zone, in seconds: "original TTL" of the signature.
    pub original_ttl: u32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The trust point as it is now.
    pub point: TrustPoint,
    /// What has changed, in the order in which it did.
    pub events: Vec<Event>,
}

/// No key that is trusted has signed the set, so it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the keys of the zone are not signed by a trust anchor")]
pub struct NotAuthenticated;

impl TrustPoint {
    /// Follows a change of the configuration. To be called with what is configured whenever a state is read from disk.
    #[must_use]
    pub fn reconcile(&self, configured: &Anchor, crypto: &dyn Crypto, now: u64) -> Update {
        let mut step = Step::new(self, configured, crypto, now);
        step.reconcile();
        step.finish(self)
    }

    /// Follows what a set of keys says, `now` in seconds since 1970. `configured` is of the same zone.
    ///
    /// The set need not have been validated: that a trusted key has signed it is found out from the signers. Revocations
    /// count without that, because whoever can sign with a key may revoke it (RFC 5011 §2.1).
    ///
    /// # Errors
    /// When no trusted key has signed it and it revokes nothing; then nothing changes.
    pub fn observe(
        &self,
        configured: &Anchor,
        seen: &Observation<'_>,
        crypto: &dyn Crypto,
        now: u64,
    ) -> Result<Update, NotAuthenticated> {
        let mut step = Step::new(self, configured, crypto, now);
        step.reconcile();
        // All that are revoked in this set by themselves, without the flag.
        let revoked: Vec<Dnskey> = seen
            .signers
            .iter()
            .filter(|key| key.is_revoked() && seen.keys.contains(key))
            .map(Dnskey::unrevoked)
            .collect();
        let any_revoked = step.revoke(&revoked);
        let signers = step.trusted_signers(seen);
        if !signers.is_empty() {
            step.compare(seen, &revoked);
            step.trust_configured(seen);
            step.follow_new(seen, &signers, &revoked);
        } else if !any_revoked {
            return Err(NotAuthenticated);
        }
        Ok(step.finish(self))
    }
}

/// A trust point on its way to its next state.
struct Step<'a> {
    point: TrustPoint,
    configured: &'a Anchor,
    crypto: &'a dyn Crypto,
    now: u64,
    events: Vec<Event>,
}

impl<'a> Step<'a> {
    fn new(point: &TrustPoint, configured: &'a Anchor, crypto: &'a dyn Crypto, now: u64) -> Step<'a> {
        Step { point: point.clone(), configured, crypto, now, events: Vec::new() }
    }

    fn tell(&mut self, key: &Dnskey, change: Change) {
        self.events.push(Event::Key { key_tag: key.key_tag(), algorithm: key.algorithm, change });
    }

    /// The key without the flag REVOKE.
    fn find(&mut self, key: &Dnskey) -> Option<&mut TrackedKey> {
        self.point.keys.iter_mut().find(|tracked| tracked.key == *key)
    }

    fn add(&mut self, key: Dnskey, state: KeyState) {
        self.point.keys.push(TrackedKey { key, state, since: self.now });
    }

    /// What is configured now counts for keys that were trusted because of it, and for those that are not trusted yet.
    fn reconcile(&mut self) {
        let keys = std::mem::take(&mut self.point.keys);
        let vouched: Vec<bool> =
            keys.iter().map(|tracked| self.configured.vouches_for(&tracked.key, self.crypto)).collect();
        // Where none of the keys is configured any more, in whatever state, this is another zone of the same name, such
        // as a root of one's own: what the keys of the old one have vouched for is nothing here.
        let same_zone = vouched.contains(&true);
        let mut any_withdrawn = false;
        for (mut tracked, vouched) in keys.into_iter().zip(vouched) {
            let change = match (&tracked.state, vouched) {
                (KeyState::Valid(Origin::Configured) | KeyState::Missing(Origin::Configured), false) => {
                    Some((KeyState::Withdrawn, Change::Withdrawn))
                }
                (KeyState::Valid(Origin::Accepted) | KeyState::Missing(Origin::Accepted), _) if !same_zone => {
                    self.tell(&tracked.key, Change::Withdrawn);
                    continue;
                }
                (KeyState::AddPend { .. } | KeyState::Withdrawn, true) => {
                    Some((KeyState::Valid(Origin::Configured), Change::Trusted))
                }
                (KeyState::AddPend { .. }, _) if !same_zone => {
                    self.tell(&tracked.key, Change::Unvouched);
                    continue;
                }
                _ => None,
            };
            if let Some((state, change)) = change {
                any_withdrawn |= change == Change::Withdrawn;
                (tracked.state, tracked.since) = (state, self.now);
                self.tell(&tracked.key, change);
            }
            self.point.keys.push(tracked);
        }
        if any_withdrawn {
            self.drop_unvouched();
        }
    }

    /// RevBit. Whether any anchor was revoked that had not been.
    fn revoke(&mut self, revoked: &[Dnskey]) -> bool {
        let mut any = false;
        for key in revoked {
            let (now, configured) = (self.now, self.configured.vouches_for(key, self.crypto));
            let state = KeyState::Revoked { absent_since: None };
            match self.find(key) {
                Some(tracked) if tracked.state.is_trusted() || tracked.state == KeyState::Withdrawn => {
                    (tracked.state, tracked.since) = (state, now);
                }
                // A configured anchor that is revoked when it is first seen.
                None if configured => self.add(key.clone(), state),
                // One that is not an anchor has nothing to revoke.
                Some(_) | None => continue,
            }
            self.tell(key, Change::Revoked);
            any = true;
        }
        if any {
            self.drop_unvouched();
        }
        any
    }

    /// RFC 5011 §2.2: a new key for which all vouchers have been revoked has to start again.
    fn drop_unvouched(&mut self) {
        let distrusted: Vec<u16> = self
            .point
            .keys
            .iter()
            .filter(|tracked| {
                matches!(tracked.state, KeyState::Revoked { .. } | KeyState::Removed | KeyState::Withdrawn)
            })
            .map(|tracked| tracked.key.key_tag())
            .collect();
        let keys = std::mem::take(&mut self.point.keys);
        for tracked in keys {
            // Where two keys have one tag and one is revoked, both count as revoked: a new key then only waits longer.
            match &tracked.state {
                KeyState::AddPend { validated_by, .. } if validated_by.iter().all(|tag| distrusted.contains(tag)) => {
                    self.tell(&tracked.key, Change::Unvouched);
                }
                _ => self.point.keys.push(tracked),
            }
        }
    }

    /// The tags of the trusted keys that have signed the set.
    fn trusted_signers(&self, seen: &Observation<'_>) -> Vec<u16> {
        let is_trusted = |key: &Dnskey| match self.point.keys.iter().find(|tracked| tracked.key == *key) {
            Some(tracked) => tracked.state.is_trusted(),
            None => self.configured.vouches_for(key, self.crypto),
        };
        let signers = seen.signers.iter().filter(|key| seen.keys.contains(key) && is_trusted(key));
        signers.map(Dnskey::key_tag).collect()
    }

    /// The table of RFC 5011 §4 for keys that are remembered.
    fn compare(&mut self, seen: &Observation<'_>, revoked: &[Dnskey]) {
        let keys = std::mem::take(&mut self.point.keys);
        for mut tracked in keys {
            let present = seen.keys.contains(&tracked.key) && !revoked.contains(&tracked.key);
            let (state, change) = match tracked.state.clone() {
                KeyState::AddPend { .. } if !present => {
                    self.tell(&tracked.key, Change::Vanished);
                    continue;
                }
                KeyState::AddPend { until, .. } if self.now >= until => {
                    (KeyState::Valid(Origin::Accepted), Some(Change::Accepted))
                }
                KeyState::Valid(origin) if !present => (KeyState::Missing(origin), Some(Change::Missing)),
                KeyState::Missing(origin) if present => (KeyState::Valid(origin), Some(Change::Returned)),
                KeyState::Revoked { .. } if present || seen.keys.contains(&tracked.key.revoked()) => {
                    (KeyState::Revoked { absent_since: None }, None)
                }
                KeyState::Revoked { absent_since: None } => (KeyState::Revoked { absent_since: Some(self.now) }, None),
                KeyState::Revoked { absent_since: Some(since) }
                    if self.now.saturating_sub(since) >= REMOVE_HOLD_DOWN =>
                {
                    (KeyState::Removed, Some(Change::Removed))
                }
                other => (other, None),
            };
            if let Some(change) = change {
                tracked.since = self.now;
                self.tell(&tracked.key, change);
            }
            tracked.state = state;
            self.point.keys.push(tracked);
        }
    }

    /// Configured anchors that are seen for the first time.
    fn trust_configured(&mut self, seen: &Observation<'_>) {
        for key in seen.keys {
            if self.find(key).is_none() && self.configured.vouches_for(key, self.crypto) {
                self.add(key.clone(), KeyState::Valid(Origin::Configured));
                self.tell(key, Change::Trusted);
            }
        }
    }

    /// NewKey. Nobody revokes a key that is to become an anchor.
    fn follow_new(&mut self, seen: &Observation<'_>, signers: &[u16], revoked: &[Dnskey]) {
        for key in seen.keys.iter().filter(|key| key.is_usable() && key.is_secure_entry_point()) {
            if self.find(key).is_some() || revoked.contains(key) {
                continue;
            }
            if !is_supported_algorithm(key.algorithm) {
                // As an anchor it could only make a zone look as if it could not be validated.
                self.tell(key, Change::Unsupported);
            } else if self.make_room() {
                // §2.4.1
                let until = self.now.saturating_add(ADD_HOLD_DOWN.max(seen.original_ttl.into()));
                self.add(key.clone(), KeyState::AddPend { until, validated_by: signers.to_vec() });
                self.tell(key, Change::Pending { until });
            } else {
                self.tell(key, Change::TooMany);
            }
        }
    }

    /// Forgets, where it must, the key that has been gone for longest, unless it would be trusted then (§4.2, "Removed").
    fn make_room(&mut self) -> bool {
        if self.point.keys.len() < MOST_KEYS {
            return true;
        }
        let removed = self.point.keys.iter().enumerate().filter(|(_, tracked)| {
            tracked.state == KeyState::Removed && !self.configured.vouches_for(&tracked.key, self.crypto)
        });
        let oldest = removed.min_by_key(|(_, tracked)| tracked.since).map(|(place, _)| place);
        oldest.map(|place| self.point.keys.remove(place)).is_some()
    }

    fn finish(mut self, before: &TrustPoint) -> Update {
        let exists = |point: &TrustPoint| point.anchor(self.configured, self.crypto).is_some();
        if exists(before) && !exists(&self.point) {
            self.events.push(Event::Deleted);
        }
        Update { point: self.point, events: self.events }
    }
}
