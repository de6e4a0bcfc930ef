//! Proofs by NSEC records (RFC 4035 §5.4).

use mailstead_dns::Name;

use super::bitmap::Types;
use super::{Claim, Denial};

/// An NSEC record: between its owner and the next name there is nothing.
#[derive(Debug)]
pub(super) struct Nsec<'a> {
    owner: &'a Name,
    next: Name,
    types: Types<'a>,
    is_last: bool,
}

impl<'a> Nsec<'a> {
    /// `None` when it is malformed.
    pub(super) fn read(owner: &'a Name, zone: &Name, data: &'a [u8]) -> Option<Nsec<'a>> {
        let (next, length) = Name::from_wire(data)?;
        let types = Types::read(data.get(length..)?)?;
        // RFC 4034 §4.1.1: the last record of a zone points back to the apex.
        let is_last = next == *zone;
        (next.is_within(zone)).then_some(Nsec { owner, next, types, is_last })
    }

    /// Whether the name would stand between the two, were there any; and the record may speak about it.
    fn covers(&self, name: &Name) -> bool {
        let between = *self.owner < *name && (self.is_last || *name < self.next);
        between && !(name.is_below(self.owner) && self.types.ends_authority())
    }

    /// Labels of the longest name above `name` that exists. The record covers the name.
    fn closest_encloser_labels(&self, name: &Name) -> usize {
        name.common_labels(self.owner).max(name.common_labels(&self.next))
    }
}

pub(super) fn prove(claim: Claim<'_>, records: &[Nsec<'_>]) -> Option<Denial> {
    let name = claim.name;
    if let Some(record) = records.iter().find(|record| record.owner == name) {
        return claim.no_data(&record.types);
    }
    let cover = records.iter().find(|record| record.covers(name))?;
    if cover.next.is_below(name) {
        // An empty non-terminal: the name exists because there is something below it (RFC 4592 §2.2.2).
        return Some(Denial::NoData { is_delegation: false });
    }
    let wildcard = name.ancestor(cover.closest_encloser_labels(name)).wildcard()?;
    if let Some(record) = records.iter().find(|record| *record.owner == wildcard) {
        // A wildcard stands for the name, without such records.
        let denial = claim.no_data(&record.types)?;
        return (denial == Denial::NoData { is_delegation: false }).then_some(denial);
    }
    records.iter().any(|record| record.covers(&wildcard)).then_some(Denial::NxDomain)
}

/// RFC 4035 §5.3.4: the name does not exist, and the closest one above it that does is the base of the wildcard.
pub(super) fn prove_wildcard(claim: Claim<'_>, base: &Name, records: &[Nsec<'_>]) -> bool {
    let name = claim.name;
    records.iter().any(|record| {
        record.covers(name) && !record.next.is_below(name) && record.closest_encloser_labels(name) == base.label_count()
    })
}
