//! A resolver of one's own: a zone file that has all names that there are. Nothing in it is proved.

use std::collections::BTreeMap;
use std::time::Duration;

use mailstead_dns::zonefile::{self, ZonefileError};
use mailstead_dns::{
    Answer, Authenticity, Existence, Hop, HopKind, Lookup, LookupError, LookupErrorKind, Name, Record, RecordType,
    Resolver, Target,
};
use mailstead_names::Domain;

/// Aliases that are followed.
const MOST_ALIASES: usize = 8;

/// The records by their owners.
#[derive(Debug, Default)]
pub(crate) struct Zone(BTreeMap<Name, Vec<Record>>);

impl Zone {
    pub(crate) fn parse(text: &str) -> Result<Zone, ZonefileError> {
        let mut zone = Zone::default();
        for entry in zonefile::records(text) {
            let entry = entry?;
            // Types that no check asks for have no form of their own.
            zone.0.entry(entry.owner.clone()).or_default().extend(entry.record());
        }
        Ok(zone)
    }

    /// The records of a name, or of the closest wildcard above it (RFC 4592); nothing where there is no such name.
    fn records(&self, name: &Name) -> Option<&[Record]> {
        if let Some(records) = self.0.get(name) {
            return Some(records);
        }
        // A name that others are below exists too (RFC 8020).
        let exists = |name: &Name| self.0.keys().any(|other| other.is_within(name));
        if exists(name) {
            return Some(&[]);
        }
        let closest = (0..name.label_count()).rev().map(|labels| name.ancestor(labels)).find(exists)?;
        self.0.get(&closest.wildcard()?).map(Vec::as_slice)
    }

    fn answer(&self, asked: &Domain, record_type: RecordType) -> Result<Answer<Record>, LookupError> {
        let (mut name, mut chain) = (asked.clone(), Vec::new());
        loop {
            let Some(records) = self.records(&Name::from(&name)) else {
                let absent = Answer::absent(Existence::NxDomain, Authenticity::Insecure, Duration::ZERO);
                return Ok(Answer { chain, ..absent });
            };
            let alias = records.iter().find_map(|record| match record {
                Record::Cname(Target::Domain(to)) if record_type != RecordType::Cname => Some(to.clone()),
                _ => None,
            });
            let Some(to) = alias else {
                let wanted = records.iter().filter(|record| record.record_type() == record_type).cloned();
                let found = Answer::found(wanted.collect(), Authenticity::Insecure, Duration::ZERO);
                return Ok(Answer { chain, ..found });
            };
            if chain.len() == MOST_ALIASES {
                return Err(LookupError::new(LookupErrorKind::AliasLoop, asked, record_type));
            }
            let from = std::mem::replace(&mut name, to.clone());
            chain.push(Hop { from, to, kind: HopKind::Cname, authenticity: Authenticity::Insecure });
        }
    }
}

impl Resolver for Zone {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        Box::pin(std::future::ready(self.answer(name, record_type)))
    }
}
