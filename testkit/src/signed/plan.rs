//! What a zone of a [`SignedWorld`](super::SignedWorld) is like: records, keys, denial, the parent's word for it, and
//! deliberate flaws.

use mailstead_dns::{Name, Rtype};

use super::text::{self, Entry};
use crate::START;

/// Seconds of a day.
const DAY: u32 = 86_400;
/// TTL of records that name none, in seconds.
pub(super) const DEFAULT_TTL: u32 = 300;

/// From when until when signatures are valid: seconds since 1970, both ends included (RFC 4034 §3.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Beginning.
    pub inception: u32,
    /// End.
    pub expiration: u32,
}

impl Window {
    /// A week before [`START`] to three weeks after it.
    pub const VALID: Window = Window::days(-7, 21);
    /// Over for a month at [`START`].
    pub const PAST: Window = Window::days(-60, -30);
    /// Begins a month after [`START`].
    pub const FUTURE: Window = Window::days(30, 60);

    const fn days(from: i32, to: i32) -> Window {
        let start = START as u32;
        Window {
            inception: start.wrapping_add_signed(from * DAY as i32),
            expiration: start.wrapping_add_signed(to * DAY as i32),
        }
    }

    /// Whether this moment lies in it.
    pub fn covers(self, now: u32) -> bool {
        (self.inception..=self.expiration).contains(&now)
    }
}

/// Which keys a zone has, for each of its algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLayout {
    /// One key for the keys, another for the rest (KSK and ZSK).
    Split,
    /// One key for everything (CSK).
    Combined,
}

/// How a zone proves what it does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// RFC 4034 §4.
    Nsec,
    /// RFC 5155.
    Nsec3 {
        /// Additional iterations of the hash.
        iterations: u16,
        /// Salt, of up to 255 octets.
        salt: Vec<u8>,
        /// Leave out unsigned delegations, and say so in every record (§6).
        opt_out: bool,
    },
}

/// What the parent says about the keys of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouching {
    /// DS records of the keys that sign the keys. In front of an unsigned zone this makes it bogus.
    Correct,
    /// No DS record: the zone is insecure, even if it is signed.
    Absent,
    /// DS records with tag and algorithm of the keys but the digest of something else.
    WrongDigest,
    /// DS records of keys that the zone does not have.
    UnknownKey,
}

/// What is wrong with the signatures over one set of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A bit of them is wrong.
    Corrupt,
    /// There are none.
    Missing,
    /// They are over.
    Expired,
    /// They are not valid yet.
    NotYetValid,
    /// They name another zone as their signer.
    WrongSigner,
    /// They name a key that the zone does not have.
    UnknownKey,
}

/// A zone to be. Names in text are relative to its apex unless they end in a dot; `@` is the apex.
///
/// What is not given is made: the SOA record, NS records to `ns` below the apex with its address, and, in the zone
/// above, the delegation with glue and DS records.
#[derive(Debug, Clone)]
pub struct ZonePlan {
    pub(super) apex: Name,
    pub(super) signed: bool,
    pub(super) algorithms: Vec<u8>,
    pub(super) layout: KeyLayout,
    pub(super) denial: Denial,
    pub(super) window: Window,
    pub(super) digest_types: Vec<u8>,
    pub(super) vouching: Vouching,
    pub(super) entries: Vec<Entry>,
    pub(super) flaws: Vec<(Name, Rtype, Flaw)>,
    pub(super) extra_signatures: Vec<(Name, Rtype, usize)>,
    pub(super) garbage_signatures: usize,
    pub(super) colliding_keys: usize,
    pub(super) extra_ds: usize,
    pub(super) flag_changes: u16,
}

impl ZonePlan {
    /// A zone with a chain of trust: ECDSA P-256, KSK and ZSK, NSEC, SHA-256 in the parent's DS.
    ///
    /// # Panics
    /// When the apex is not a name.
    #[must_use]
    pub fn signed(apex: &str) -> ZonePlan {
        ZonePlan {
            apex: Name::parse(apex).unwrap_or_else(|| panic!("{apex} is not a name")),
            signed: true,
            algorithms: vec![13],
            layout: KeyLayout::Split,
            denial: Denial::Nsec,
            window: Window::VALID,
            digest_types: vec![2],
            vouching: Vouching::Correct,
            entries: Vec::new(),
            flaws: Vec::new(),
            extra_signatures: Vec::new(),
            garbage_signatures: 0,
            colliding_keys: 0,
            extra_ds: 0,
            flag_changes: 0,
        }
    }

    /// A zone without signatures, of which the parent says so.
    ///
    /// # Panics
    /// When the apex is not a name.
    #[must_use]
    pub fn unsigned(apex: &str) -> ZonePlan {
        ZonePlan { signed: false, vouching: Vouching::Absent, ..ZonePlan::signed(apex) }
    }

    /// Adds records in the form of a zone file without its continuation lines: `owner [TTL] [IN] type data`, one a
    /// line. Types without a form of their own are written as RFC 3597 §5 has it.
    ///
    /// # Panics
    /// When a line cannot be read.
    #[must_use]
    pub fn records(mut self, lines: &str) -> ZonePlan {
        self.entries.extend(lines.lines().filter_map(|line| text::entry(line, &self.apex)));
        self
    }

    /// Adds one record by its data on the wire.
    #[must_use]
    pub fn record(mut self, owner: Name, ttl: u32, rtype: Rtype, data: impl Into<Box<[u8]>>) -> ZonePlan {
        self.entries.push(Entry { owner, ttl, rtype, data: data.into() });
        self
    }

    /// Signs with these algorithms. Numbers other than 8, 10, 13, 14 and 15 get keys and signatures that nobody can
    /// check: an unsupported algorithm.
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[u8]) -> ZonePlan {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Has these keys.
    #[must_use]
    pub fn layout(mut self, layout: KeyLayout) -> ZonePlan {
        self.layout = layout;
        self
    }

    /// Denies by NSEC3 without opt-out.
    #[must_use]
    pub fn nsec3(self, iterations: u16, salt: &[u8]) -> ZonePlan {
        self.denial(Denial::Nsec3 { iterations, salt: salt.to_vec(), opt_out: false })
    }

    /// Denies by NSEC3 with opt-out.
    #[must_use]
    pub fn nsec3_opt_out(self, iterations: u16, salt: &[u8]) -> ZonePlan {
        self.denial(Denial::Nsec3 { iterations, salt: salt.to_vec(), opt_out: true })
    }

    /// Denies in this way.
    #[must_use]
    pub fn denial(mut self, denial: Denial) -> ZonePlan {
        self.denial = denial;
        self
    }

    /// Signs for this time.
    #[must_use]
    pub fn window(mut self, window: Window) -> ZonePlan {
        self.window = window;
        self
    }

    /// Has DS records with these digests: 1 is SHA-1, 2 SHA-256, 4 SHA-384; any other number is one that nobody can
    /// check.
    #[must_use]
    pub fn digest_types(mut self, digest_types: &[u8]) -> ZonePlan {
        self.digest_types = digest_types.to_vec();
        self
    }

    /// What the parent says of this zone.
    #[must_use]
    pub fn vouching(mut self, vouching: Vouching) -> ZonePlan {
        self.vouching = vouching;
        self
    }

    /// Spoils the signatures over one set. Of a wildcard's set the owner is the wildcard; of NSEC3 records it is the
    /// name whose hash they stand under.
    #[must_use]
    pub fn flaw(mut self, owner: &str, rtype: Rtype, flaw: Flaw) -> ZonePlan {
        self.flaws.push((text::name(owner, &self.apex), rtype, flaw));
        self
    }

    /// Puts this many signatures by nobody in front of those over one set. They name the zone's key.
    #[must_use]
    pub fn extra_signatures(mut self, owner: &str, rtype: Rtype, count: usize) -> ZonePlan {
        self.extra_signatures.push((text::name(owner, &self.apex), rtype, count));
        self
    }

    /// Puts this many signatures by nobody in front of those over every set. With
    /// [`colliding_keys`](ZonePlan::colliding_keys) this is KeyTrap (CVE-2023-50387).
    #[must_use]
    pub fn garbage_signatures(mut self, count: usize) -> ZonePlan {
        self.garbage_signatures = count;
        self
    }

    /// Adds this many keys with the tag and the algorithm of each key of the zone.
    #[must_use]
    pub fn colliding_keys(mut self, count: usize) -> ZonePlan {
        self.colliding_keys = count;
        self
    }

    /// Adds this many DS records with tag and algorithm of a key of the zone and digests of nothing.
    #[must_use]
    pub fn extra_ds(mut self, count: usize) -> ZonePlan {
        self.extra_ds = count;
        self
    }

    /// Makes all keys revoked ones (RFC 5011 §2.1), of which validation must not make use.
    #[must_use]
    pub fn revoked_keys(mut self) -> ZonePlan {
        self.flag_changes |= 0x0080;
        self
    }

    /// Makes all keys ones that are not for zones (RFC 4034 §2.1.1).
    #[must_use]
    pub fn no_zone_keys(mut self) -> ZonePlan {
        self.flag_changes |= 0x0100;
        self
    }

    /// The apex.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The same zone without deliberate flaws, but with the same keys and the same parent's word.
    pub(super) fn without_flaws(mut self) -> ZonePlan {
        self.flaws.clear();
        self.extra_signatures.clear();
        (self.garbage_signatures, self.colliding_keys, self.extra_ds, self.flag_changes) = (0, 0, 0, 0);
        self
    }
}
