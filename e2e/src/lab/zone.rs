//! What a zone of the lab is: who serves it, how it is signed, what is broken in it, and what a validator must find.

use std::collections::BTreeSet;
use std::fmt;

/// What a validator finds about an answer (RFC 4033 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Proven by signatures from the trust anchor down.
    Secure,
    /// Proven not to be signed, or signed in a way that does not count.
    Insecure,
    /// Neither proven nor proven unsigned.
    Bogus,
    /// No answer at all.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Bogus => "bogus",
            Self::Error => "error",
        })
    }
}

impl Verdict {
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Secure, Self::Insecure, Self::Bogus, Self::Error].into_iter().find(|verdict| verdict.to_string() == name)
    }
}

/// The program that signs a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// `ldns-signzone`.
    Ldns,
    /// BIND's `dnssec-signzone`.
    Bind,
    /// The server itself, for each answer, with records that deny no more than the name in question (Knot).
    Online,
}

/// The keys of a zone, by their algorithm's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// One key that signs everything.
    Csk(u8),
    /// One key for the keys, one for the data.
    Split(u8),
    /// The same, and a second key for data that waits for its turn.
    Standby(u8),
    /// A key of each of two algorithms, which both sign everything (RFC 6781 §4.1.4).
    Two(u8, u8),
}

/// How a zone denies names and types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// RFC 4034 §4.
    Nsec,
    /// RFC 5155.
    Nsec3 {
        /// Additional iterations.
        iterations: u16,
        /// In hexadecimal; `-` for none.
        salt: &'static str,
        /// Whether unsigned delegations are left out (RFC 5155 §6).
        opt_out: bool,
    },
}

/// When the signatures of a zone hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// Now.
    Current,
    /// No more.
    Past,
    /// Not yet.
    Future,
}

impl Dates {
    /// Inception and expiration. Far from now, so that no run depends on the day.
    pub(crate) fn bounds(self) -> (&'static str, &'static str) {
        match self {
            Self::Current => ("20240101000000", "20550101000000"),
            Self::Past => ("20200101000000", "20210101000000"),
            Self::Future => ("20540101000000", "20550101000000"),
        }
    }
}

/// What the parent says about a zone's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ds {
    /// Nothing.
    Absent,
    /// Digest type 2, SHA-256.
    Sha256,
    /// Digest type 4, SHA-384.
    Sha384,
    /// Digest type 1, SHA-1, and no other.
    Sha1,
    /// Types 1 and 2.
    Sha1And256,
    /// SHA-256 of a key that the zone does not have.
    OfAnotherKey,
    /// One of its own key, one of a key it does not have.
    AlsoOfAnotherKey,
    /// The digest is altered in one octet.
    Altered,
    /// A signing algorithm that nobody knows.
    UnknownAlgorithm,
    /// The same, beside a good record.
    AlsoUnknownAlgorithm,
    /// A digest type that nobody knows.
    UnknownDigest,
}

/// What is done to a zone after it was signed. Owners are relative to the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// Alters the signature over one set of records.
    Signature(&'static str, &'static str, Field),
    /// Alters the signatures over every set of this type.
    Signatures(&'static str),
    /// Removes the signatures over every set but that of the keys.
    Unsign,
    /// Removes a set of records and its signature; the denial still says that it exists.
    Remove(&'static str, &'static str),
    /// Removes only the signature over a set.
    RemoveSignature(&'static str, &'static str),
    /// Adds a record without a signature.
    Add(&'static str),
    /// Replaces the data of a set of one record.
    Replace(&'static str, &'static str, &'static str),
    /// Lets the signature over a set be one that has expired.
    Stale(&'static str, &'static str),
}

/// A field of an RRSIG record (RFC 4034 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    Algorithm,
    Labels,
    OriginalTtl,
    Expiration,
    KeyTag,
    Signer,
    Signature,
}

/// What a validator is to find about a zone's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Records that exist by their own name.
    pub positive: Verdict,
    /// Records that come from a wildcard.
    pub wildcard: Verdict,
    /// No records of this type, by the name itself.
    pub nodata: Verdict,
    /// No records of this type at a wildcard.
    pub wildcard_nodata: Verdict,
    /// No such name.
    pub nxdomain: Verdict,
}

impl Expect {
    const fn all(verdict: Verdict) -> Self {
        Self { positive: verdict, wildcard: verdict, nodata: verdict, wildcard_nodata: verdict, nxdomain: verdict }
    }
}

/// A zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Its name, with the last dot, in lower case.
    pub name: String,
    /// The same as its own file and its parent's spell it.
    pub spelling: String,
    /// The authorities to which it is delegated.
    pub servers: Vec<&'static str>,
    /// Those that have it, if they are others.
    pub holders: Vec<&'static str>,
    /// The names of its servers, where they are not names of its own.
    pub hosts: Vec<&'static str>,
    /// How it is signed.
    pub signing: Option<(Signer, Keys, Denial, Dates)>,
    /// What its parent says about its keys.
    pub ds: Ds,
    /// What is broken.
    pub spoils: Vec<Spoil>,
    /// How long its records may be kept, in seconds.
    pub ttl: u32,
    /// The serial number of its SOA record.
    pub serial: u32,
    /// Its records, but for SOA and NS: `owner type data`, one a line. A line may end in `;= verdict` where the
    /// records of that set are to be judged otherwise than the rest.
    pub text: String,
    /// What a validator is to find.
    pub expect: Expect,
    /// Exceptions: owner, type (`*` for all) and what is to be found.
    pub judged: Vec<(&'static str, &'static str, Verdict)>,
    /// Whether it is asked for only a little, because its answers take long.
    pub sparing: bool,
}

impl Zone {
    /// A zone without signatures.
    pub fn new(name: &str, server: &'static str) -> Self {
        Self {
            name: name.to_ascii_lowercase(),
            spelling: name.to_owned(),
            servers: vec![server],
            holders: Vec::new(),
            hosts: Vec::new(),
            signing: None,
            ds: Ds::Absent,
            spoils: Vec::new(),
            ttl: 300,
            serial: 2_024_010_100,
            text: String::new(),
            expect: Expect::all(Verdict::Insecure),
            judged: Vec::new(),
            sparing: false,
        }
    }

    /// Signs it, with NSEC, and tells its parent.
    #[must_use]
    pub fn signed(mut self, signer: Signer, keys: Keys) -> Self {
        self.signing = Some((signer, keys, Denial::Nsec, Dates::Current));
        self.ds = Ds::Sha256;
        self.all(Verdict::Secure)
    }

    /// Denies with NSEC3.
    #[must_use]
    pub fn nsec3(mut self, iterations: u16, salt: &'static str) -> Self {
        if let Some((_, _, denial, _)) = &mut self.signing {
            *denial = Denial::Nsec3 { iterations, salt, opt_out: false };
        }
        self
    }

    /// Denies with NSEC3 and leaves unsigned delegations out.
    #[must_use]
    pub fn opt_out(mut self) -> Self {
        if let Some((_, _, denial, _)) = &mut self.signing {
            *denial = Denial::Nsec3 { iterations: 0, salt: "-", opt_out: true };
        }
        // RFC 5155 §9.2: an answer whose proof has the flag is never authentic, as a delegation may hide there. What
        // comes from a wildcard needs such a proof as well.
        let nodata = self.expect.nodata;
        self = self.denials(Verdict::Insecure);
        self.expect.nodata = nodata;
        self
    }

    /// Dates the signatures otherwise.
    #[must_use]
    pub fn dated(mut self, dates: Dates) -> Self {
        if let Some((_, _, _, current)) = &mut self.signing {
            *current = dates;
        }
        self
    }

    /// Lets the parent say otherwise.
    #[must_use]
    pub fn ds(mut self, ds: Ds) -> Self {
        self.ds = ds;
        self
    }

    /// Breaks something.
    #[must_use]
    pub fn spoil(mut self, spoil: Spoil) -> Self {
        self.spoils.push(spoil);
        self
    }

    /// Adds records.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self.text.push('\n');
        self
    }

    /// Lets its records be kept for so many seconds.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// Delegates it to one more authority.
    #[must_use]
    pub fn also(mut self, server: &'static str) -> Self {
        self.servers.push(server);
        self
    }

    /// Names the authorities that have the zone, where it is not delegated to exactly these.
    #[must_use]
    pub fn held_by(mut self, holders: &[&'static str]) -> Self {
        self.holders = holders.to_vec();
        self
    }

    /// Delegates to these names of other zones.
    #[must_use]
    pub fn hosts(mut self, hosts: &[&'static str]) -> Self {
        self.hosts = hosts.to_vec();
        self
    }

    /// All answers are to be judged so.
    #[must_use]
    pub fn all(mut self, verdict: Verdict) -> Self {
        self.expect = Expect::all(verdict);
        self
    }

    /// Denials are to be judged so, and what comes from wildcards, which needs one (RFC 4035 §5.3.4).
    #[must_use]
    pub fn denials(mut self, verdict: Verdict) -> Self {
        self.expect = Expect { positive: self.expect.positive, ..Expect::all(verdict) };
        self
    }

    /// Denials of names are to be judged so.
    #[must_use]
    pub fn nxdomain(mut self, verdict: Verdict) -> Self {
        self.expect.nxdomain = verdict;
        self
    }

    /// Makes an exception for an owner and a type.
    #[must_use]
    pub fn judge(mut self, owner: &'static str, rtype: &'static str, verdict: Verdict) -> Self {
        self.judged.push((owner, rtype, verdict));
        self
    }

    /// Asks for only a little.
    #[must_use]
    pub fn sparing(mut self) -> Self {
        self.sparing = true;
        self
    }

    /// Whether a name of the lab is this zone's or below it.
    pub fn encloses(&self, name: &str) -> bool {
        self.name == "." || name == self.name || name.strip_suffix(&self.name).is_some_and(|rest| rest.ends_with('.'))
    }

    /// A relative name in full.
    pub fn full(&self, owner: &str) -> String {
        match (owner, self.name.as_str()) {
            ("@", name) => name.to_owned(),
            (owner, ".") => format!("{owner}."),
            (owner, name) => format!("{owner}.{name}"),
        }
    }

    /// The lines of the zone's text: owner, type, data, and the verdict where it is not the zone's.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        Self::lines_of(&self.text)
    }

    /// The lines of a text.
    pub(crate) fn lines_of(text: &str) -> impl Iterator<Item = Line<'_>> {
        text.lines().filter_map(|line| {
            let (line, verdict) = match line.split_once(";=") {
                Some((line, verdict)) => (line, Some(Verdict::named(verdict.trim()).expect("a verdict"))),
                None => (line, None),
            };
            let (owner, rest) = line.trim().split_once(char::is_whitespace)?;
            let (rtype, data) = rest.trim().split_once(char::is_whitespace)?;
            Some(Line { owner, rtype, data: data.trim(), verdict })
        })
    }

    /// The owners of the zone's records and the empty names between them and the apex, in full.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::from([self.name.clone()]);
        for line in self.lines().filter(|line| line.owner != "@") {
            let owner = line.owner.to_ascii_lowercase();
            let mut rest = owner.as_str();
            loop {
                names.insert(self.full(rest));
                match rest.split_once('.') {
                    Some((_, up)) => rest = up,
                    None => break,
                }
            }
        }
        names
    }
}

/// A line of a zone's text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) owner: &'a str,
    pub(crate) rtype: &'a str,
    pub(crate) data: &'a str,
    pub(crate) verdict: Option<Verdict>,
}
