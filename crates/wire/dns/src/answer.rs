//! Answers and how far they can be trusted.

use std::time::Duration;

use mailstead_names::Domain;

use crate::ExtendedError;

/// Whether DNSSEC proved it (RFC 4033 §5). What is bogus or undecided never gets as far as an answer.
///
/// Ordered by trust, so that the weakest of several is their minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Authenticity {
    /// Nothing proves it: the zone is provably unsigned, signed in a way that cannot be checked, or nobody looked. The
    /// answer's extended errors say which, where it is not the first.
    Insecure,
    /// A chain of signatures from a trust anchor proves it.
    Secure,
}

/// Whether there was what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Existence {
    /// There are records.
    Found,
    /// The name, or the last one of the chain, exists but has no such records.
    NoData,
    /// The name, or the last one of the chain, does not exist (RFC 2308 §2.1).
    NxDomain,
}

/// By which kind of record a hop goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopKind {
    /// CNAME
    Cname,
    /// A CNAME made of a DNAME above the name (RFC 6672 §3.1).
    Dname,
}

/// One step from an alias to another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The alias.
    pub from: Domain,
    /// Where it points to.
    pub to: Domain,
    /// By which kind of record.
    pub kind: HopKind,
    /// Of this step alone.
    pub authenticity: Authenticity,
}

/// What the DNS has to say: records, or that there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records, in no particular order; none unless `existence` is [`Existence::Found`].
    pub records: Vec<T>,
    /// Whether there is what was asked for.
    pub existence: Existence,
    /// Of the records, or of the proof that there are none, alone. Decisions are made by [`Answer::authenticity`].
    pub record_authenticity: Authenticity,
    /// The aliases passed on the way, from the name that was asked for.
    pub chain: Vec<Hop>,
    /// How long this may be kept. Zero: not at all.
    pub ttl: Duration,
    /// What servers and validation had to remark.
    pub extended_errors: Vec<ExtendedError>,
}

impl<T> Answer<T> {
    /// Records found under the very name that was asked for.
    pub fn found(records: Vec<T>, authenticity: Authenticity, ttl: Duration) -> Answer<T> {
        let existence = if records.is_empty() { Existence::NoData } else { Existence::Found };
        Answer {
            records,
            existence,
            record_authenticity: authenticity,
            chain: Vec::new(),
            ttl,
            extended_errors: Vec::new(),
        }
    }

    /// There is nothing under the name that was asked for.
    pub fn absent(existence: Existence, authenticity: Authenticity, ttl: Duration) -> Answer<T> {
        Answer { existence, ..Answer::found(Vec::new(), authenticity, ttl) }
    }

    /// Of the whole: the weakest of the records and all hops (RFC 7672 §2.1.3).
    pub fn authenticity(&self) -> Authenticity {
        self.chain.iter().map(|hop| hop.authenticity).fold(self.record_authenticity, Ord::min)
    }

    /// Whether the whole, hops included, is secure.
    pub fn is_secure(&self) -> bool {
        self.authenticity() == Authenticity::Secure
    }

    /// The name that the records stand under, which is the name asked for where there is no chain. With RFC 7672 §2.2.2
    /// this is the first candidate for a TLSA base domain.
    pub fn final_name<'a>(&'a self, asked: &'a Domain) -> &'a Domain {
        self.chain.last().map_or(asked, |hop| &hop.to)
    }

    /// The same answer with other records; those that give nothing are left out.
    ///
    /// Whether something exists stays as it was: records that are of no use to the caller are still there.
    pub fn filter_map<U>(self, f: impl FnMut(T) -> Option<U>) -> Answer<U> {
        Answer {
            records: self.records.into_iter().filter_map(f).collect(),
            existence: self.existence,
            record_authenticity: self.record_authenticity,
            chain: self.chain,
            ttl: self.ttl,
            extended_errors: self.extended_errors,
        }
    }
}
