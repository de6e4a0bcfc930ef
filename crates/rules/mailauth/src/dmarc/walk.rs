//! The DNS Tree Walk (RFC 9989 §4.10): which records stand at and above a domain, and what they say about where its
//! organisation begins.

use std::collections::HashMap;

use mailstead_dns::{LookupError, Resolver, Txt};
use mailstead_names::Domain;

use super::record::{Psd, Record};
use crate::Evidence;

/// Queries that one walk makes at most (RFC 9989 §4.10).
pub const MOST_QUERIES: usize = 8;

/// What a name says in its `_dmarc` records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Published {
    /// Nothing about DMARC, or there can be no such name.
    Nothing,
    /// One record, as it should be.
    Record(Box<Record>),
    /// Several, which is as good as none (§4.10 steps 2 and 6).
    Several,
}

/// A record and the domain that it is published for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRecord {
    /// The domain, without `_dmarc`.
    pub domain: Domain,
    /// The record.
    pub record: Record,
}

/// Which name a record was found at, seen from the Author Domain (RFC 9989 §4.10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicySource {
    /// The Author Domain itself.
    AuthorDomain,
    /// Its Organizational Domain.
    OrganizationalDomain,
    /// The Public Suffix Domain above.
    PublicSuffixDomain,
}

/// A walk from a domain towards the root, done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeWalk {
    /// Where it began.
    pub start: Domain,
    /// The records found, from the longest name to the shortest.
    pub records: Vec<PublishedRecord>,
    /// Names with more than one record, which were discarded.
    pub ambiguous: Vec<Domain>,
}

impl TreeWalk {
    /// The Organizational Domain of where the walk began (RFC 9989 §4.10.2).
    pub fn organizational_domain(&self) -> Domain {
        for PublishedRecord { domain, record } in &self.records {
            match record.psd {
                Psd::No => return domain.clone(),
                Psd::Yes if *domain != self.start => return below(domain, &self.start),
                Psd::Yes | Psd::Unknown => {}
            }
        }
        self.records.last().map_or(&self.start, |found| &found.domain).clone()
    }

    /// The record that applies to mail from where the walk began (RFC 9989 §4.10.1).
    pub fn policy(&self) -> Option<(&PublishedRecord, PolicySource)> {
        let at = |name: &Domain| self.records.iter().find(|found| found.domain == *name);
        if let Some(found) = at(&self.start) {
            return Some((found, PolicySource::AuthorDomain));
        }
        if let Some(found) = at(&self.organizational_domain()) {
            return Some((found, PolicySource::OrganizationalDomain));
        }
        // An Organizational Domain without a record is found by that of the Public Suffix Domain above it, where the walk
        // then ends.
        self.records.last().map(|found| (found, PolicySource::PublicSuffixDomain))
    }
}

/// The names at which one after another a record is looked for, `_dmarc` left out.
///
/// ```
/// use mailstead_mailauth::dmarc::walk_names;
/// use mailstead_names::Domain;
///
/// let names: Vec<String> =
///     walk_names(&Domain::parse("a.mail.example.com").unwrap()).map(|name| name.to_string()).collect();
/// assert_eq!(names, ["a.mail.example.com", "mail.example.com", "example.com", "com"]);
/// ```
pub fn walk_names(start: &Domain) -> impl Iterator<Item = Domain> {
    let mut parent = start.parent();
    // §4.10 step 4: names of eight labels and more are cut to seven after the first query.
    while let Some(long) = parent.take_if(|name| name.labels().count() >= MOST_QUERIES) {
        parent = long.parent();
    }
    std::iter::once(start.clone()).chain(std::iter::successors(parent, Domain::parent))
}

/// Walks from `start` to the first record that says what it is (`psd=y`, `psd=n`) or to the top-level domain.
///
/// # Errors
/// When a name has no answer: then it is not known which record applies.
pub async fn walk(resolver: &dyn Resolver, start: &Domain, evidence: &mut Evidence) -> Result<TreeWalk, LookupError> {
    let mut walker = Walker::new(resolver);
    let outcome = walker.walk(start).await;
    evidence.extend(walker.evidence);
    outcome
}

/// Looks records up, each name once.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    pub(super) resolver: &'a dyn Resolver,
    pub(super) evidence: Evidence,
    known: HashMap<Domain, Result<Published, LookupError>>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(resolver: &'a dyn Resolver) -> Walker<'a> {
        Walker { resolver, evidence: Evidence::default(), known: HashMap::new() }
    }

    /// What is published for this very domain.
    pub(super) async fn published(&mut self, domain: &Domain) -> Result<Published, LookupError> {
        if let Some(known) = self.known.get(domain) {
            return known.clone();
        }
        let outcome = match domain.prepend("_dmarc") {
            Ok(name) => self.evidence.records::<Txt>(self.resolver, &name).await.map(|answer| read(&answer.records)),
            // Too long to exist.
            Err(_) => Ok(Published::Nothing),
        };
        tracing::trace!(%domain, ?outcome, "DMARC record looked up");
        self.known.insert(domain.clone(), outcome.clone());
        outcome
    }

    pub(super) async fn walk(&mut self, start: &Domain) -> Result<TreeWalk, LookupError> {
        let mut walk = TreeWalk { start: start.clone(), records: Vec::new(), ambiguous: Vec::new() };
        for domain in walk_names(start) {
            match self.published(&domain).await? {
                Published::Nothing => {}
                Published::Several => walk.ambiguous.push(domain),
                Published::Record(record) => {
                    let stop = record.psd != Psd::Unknown;
                    walk.records.push(PublishedRecord { domain, record: *record });
                    if stop {
                        break;
                    }
                }
            }
        }
        Ok(walk)
    }
}

fn read(records: &[Txt]) -> Published {
    let mut found = records.iter().filter_map(|txt| Record::parse(&txt.joined()));
    match (found.next(), found.next()) {
        (None, _) => Published::Nothing,
        (Some(record), None) => Published::Record(Box::new(record)),
        (Some(_), Some(_)) => Published::Several,
    }
}

/// The name one label below `ancestor` on the way to `descendant`.
fn below(ancestor: &Domain, descendant: &Domain) -> Domain {
    let mut name = descendant.clone();
    while let Some(parent) = name.parent().filter(|parent| parent != ancestor) {
        name = parent;
    }
    name
}

#[cfg(test)]
mod tests;
