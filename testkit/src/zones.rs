//! DNS without a network: a table of answers behind the resolver trait.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use mailstead_dns::{
    Answer, Authenticity, Existence, Hop, HopKind, Lookup, LookupError, LookupErrorKind, Record, RecordType, Resolver,
    Target,
};
use mailstead_names::Domain;

/// Names with their records. Names that are not there do not exist; aliases are followed.
#[derive(Debug, Default)]
pub struct Zones {
    records: HashMap<Domain, Vec<Record>>,
    secure: Vec<Domain>,
    failing: HashMap<(Domain, RecordType), LookupErrorKind>,
    asked: Mutex<Vec<(Domain, RecordType)>>,
}

fn domain(name: &str) -> Domain {
    Domain::parse_lenient(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Zones {
    /// No names at all.
    #[must_use]
    pub fn new() -> Self {
        Zones::default()
    }

    /// Adds a record.
    #[must_use]
    pub fn with(mut self, name: &str, record: Record) -> Self {
        self.records.entry(domain(name)).or_default().push(record);
        self
    }

    /// Adds an alias.
    #[must_use]
    pub fn with_alias(self, name: &str, target: &str) -> Self {
        self.with(name, Record::Cname(Target::parse(target)))
    }

    /// Makes everything at and below this name secure.
    #[must_use]
    pub fn secure(mut self, name: &str) -> Self {
        self.secure.push(domain(name));
        self
    }

    /// Makes look-ups fail.
    #[must_use]
    pub fn failing(mut self, name: &str, record_type: RecordType, kind: LookupErrorKind) -> Self {
        self.failing.insert((domain(name), record_type), kind);
        self
    }

    /// Every question so far.
    #[must_use]
    pub fn asked(&self) -> Vec<(Domain, RecordType)> {
        self.asked.lock().expect("no test panics while it asks").clone()
    }

    fn authenticity(&self, name: &Domain) -> Authenticity {
        let is_secure = self.secure.iter().any(|apex| name.is_subdomain_of(apex));
        if is_secure { Authenticity::Secure } else { Authenticity::Insecure }
    }

    pub(crate) fn answer(&self, asked: &Domain, record_type: RecordType) -> Result<Answer<Record>, LookupError> {
        const TTL: Duration = Duration::from_secs(300);
        let mut name = asked.clone();
        let mut chain = Vec::new();
        loop {
            if let Some(kind) = self.failing.get(&(name.clone(), record_type)) {
                return Err(LookupError::new(*kind, asked, record_type));
            }
            let authenticity = self.authenticity(&name);
            let Some(records) = self.records.get(&name) else {
                return Ok(Answer { chain, ..Answer::absent(Existence::NxDomain, authenticity, TTL) });
            };
            let alias = records.iter().find_map(|record| match record {
                Record::Cname(Target::Domain(to)) if record_type != RecordType::Cname => Some(to.clone()),
                _ => None,
            });
            match alias {
                Some(_) if chain.len() > 16 => {
                    return Err(LookupError::new(LookupErrorKind::AliasLoop, asked, record_type));
                }
                Some(to) => {
                    let from = std::mem::replace(&mut name, to.clone());
                    chain.push(Hop { from, to, kind: HopKind::Cname, authenticity });
                }
                None => {
                    let records =
                        records.iter().filter(|record| record.record_type() == record_type).cloned().collect();
                    return Ok(Answer { chain, ..Answer::found(records, authenticity, TTL) });
                }
            }
        }
    }
}

impl Resolver for Zones {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        self.asked.lock().expect("no test panics while it asks").push((name.clone(), record_type));
        Box::pin(std::future::ready(self.answer(name, record_type)))
    }
}

#[cfg(test)]
mod tests {
    use mailstead_dns::Mx;

    use super::*;

    #[tokio::test]
    async fn aliases_lead_from_signed_to_unsigned_zones() {
        let mx = Mx { preference: 10, exchange: Target::parse("mx.example.net") };
        let zones = Zones::new()
            .with_alias("a.example.org", "b.example.net")
            .with("b.example.net", Record::Mx(mx))
            .with_alias("loop.example", "loop.example")
            .secure("example.org")
            .failing("example.com", RecordType::Mx, LookupErrorKind::Bogus);
        let resolver: &dyn Resolver = &zones;
        let answer = resolver.records::<Mx>(&domain("a.example.org")).await.unwrap();
        assert_eq!((answer.records.len(), answer.chain.len(), answer.is_secure()), (1, 1, false));
        assert!(answer.chain[0].authenticity == Authenticity::Secure);
        let absent = resolver.records::<Mx>(&domain("none.example.org")).await.unwrap();
        assert_eq!((absent.existence, absent.is_secure()), (Existence::NxDomain, true));
        let error = |name: &'static str| async move { resolver.records::<Mx>(&domain(name)).await.unwrap_err().kind };
        assert_eq!(error("loop.example").await, LookupErrorKind::AliasLoop);
        assert_eq!(error("example.com").await, LookupErrorKind::Bogus);
        assert_eq!(zones.asked().len(), 4);
    }
}
