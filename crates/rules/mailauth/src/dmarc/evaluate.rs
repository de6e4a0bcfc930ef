//! From identifiers to a result (RFC 9989 §5.3).

use mailstead_dns::{Existence, HopKind, LookupError, RecordType, Resolver};
use mailstead_names::Domain;

use super::record::{AlignmentMode, Policy, Record};
use super::result::{
    Aligned, Alignment, AppliedPolicy, DmarcResult, Identifier, Mechanism, Outcome, PolicyTag, Reason, Status,
};
use super::walk::{PolicySource, Published, PublishedRecord, TreeWalk, Walker};
use crate::Evidence;

/// Domains in From that are looked at. Messages by several people are rare, and those of several organisations more so;
/// each costs up to [`MOST_QUERIES`](super::MOST_QUERIES) queries (RFC 9989 §11.5).
pub const MOST_AUTHORS: usize = 5;
/// Domains whose Organizational Domain is found out for a comparison, for the same reason. Only names below the Author
/// Domain's own organisation get that far, and a message has a handful of signatures.
pub const MOST_COMPARED: usize = 8;

/// Evaluates DMARC for a message.
///
/// `authors` are the domains of the addresses in From (see [`author_domains`](super::author_domains)). With several,
/// each is evaluated, and the strictest policy among those that fail is the result (RFC 9989 §11.5).
///
/// An error of SPF or DKIM makes the result [`Status::TempError`] where it could have been a pass without the error: the
/// domain is aligned, and nothing else passed. It changes nothing for domains that are not aligned, or else whoever
/// forges a message could choose a domain whose name servers fail.
pub async fn evaluate(resolver: &dyn Resolver, authors: &[Domain], identifiers: &[Identifier]) -> DmarcResult {
    let mut domains: Vec<&Domain> = Vec::new();
    for author in authors {
        if !domains.contains(&author) && domains.len() <= MOST_AUTHORS {
            domains.push(author);
        }
    }
    let mut walker = Walker::new(resolver);
    let mut worst = match domains.len() {
        0 => Some(undecidable(Reason::NoAuthorDomain)),
        1..=MOST_AUTHORS => None,
        _ => Some(undecidable(Reason::TooManyAuthorDomains)),
    };
    for author in domains.iter().take(MOST_AUTHORS) {
        let result = Evaluation::new(author, identifiers).run(&mut walker).await;
        tracing::debug!(%author, status = %result.status, disposition = %result.disposition, "DMARC evaluated");
        let severity = |result: &DmarcResult| (result.disposition, result.status);
        if worst.as_ref().is_none_or(|worst| severity(worst) < severity(&result)) {
            worst = Some(result);
        }
    }
    // There is one, because there is one for no domains at all.
    let mut result = worst.unwrap_or_else(|| undecidable(Reason::NoAuthorDomain));
    if domains.len() > MOST_AUTHORS && !result.reasons.contains(&Reason::TooManyAuthorDomains) {
        result.reasons.push(Reason::TooManyAuthorDomains);
    }
    if domains.len() > 1 {
        result.reasons.push(Reason::SeveralAuthorDomains(domains.into_iter().cloned().collect()));
    }
    result.evidence = walker.evidence;
    result
}

fn undecidable(reason: Reason) -> DmarcResult {
    DmarcResult {
        status: Status::PermError,
        disposition: Policy::None,
        author: None,
        policy: None,
        organizational_domain: None,
        identifiers: Vec::new(),
        reasons: vec![reason],
        evidence: Evidence::default(),
    }
}

/// The evaluation for one Author Domain.
struct Evaluation<'a> {
    author: &'a Domain,
    result: DmarcResult,
    /// Domains compared so far.
    compared: Vec<Domain>,
}

impl<'a> Evaluation<'a> {
    fn new(author: &'a Domain, identifiers: &[Identifier]) -> Evaluation<'a> {
        let unaligned =
            |identifier: &Identifier| Aligned { identifier: identifier.clone(), alignment: Alignment::Irrelevant };
        let result = DmarcResult {
            status: Status::None,
            disposition: Policy::None,
            author: Some(author.clone()),
            policy: None,
            organizational_domain: None,
            identifiers: identifiers.iter().map(unaligned).collect(),
            reasons: Vec::new(),
            evidence: Evidence::default(),
        };
        Evaluation { author, result, compared: Vec::new() }
    }

    async fn run(mut self, walker: &mut Walker<'_>) -> DmarcResult {
        match self.discover(walker).await {
            Ok(Some((found, source))) => self.apply(walker, found, source).await,
            Ok(None) => self.reason(Reason::NoRecord(self.author.clone())),
            Err(error) => {
                self.failed(&error);
                self.result.status = Status::TempError;
            }
        }
        self.result
    }

    /// Policy Discovery (§4.10.1). Further names are asked about only where the Author Domain has no record itself: an
    /// error up there must not matter where nobody needs to know.
    async fn discover(
        &mut self,
        walker: &mut Walker<'_>,
    ) -> Result<Option<(PublishedRecord, PolicySource)>, LookupError> {
        match walker.published(self.author).await? {
            Published::Record(record) => {
                let found = PublishedRecord { domain: self.author.clone(), record: *record };
                Ok(Some((found, PolicySource::AuthorDomain)))
            }
            Published::Several | Published::Nothing => {
                let walk = self.walk(walker).await?;
                Ok(walk.policy().map(|(found, source)| (found.clone(), source)))
            }
        }
    }

    /// The walk from the Author Domain.
    async fn walk(&mut self, walker: &mut Walker<'_>) -> Result<TreeWalk, LookupError> {
        let walk = walker.walk(self.author).await?;
        for name in &walk.ambiguous {
            self.reason(Reason::SeveralRecords(name.clone()));
        }
        self.result.organizational_domain = Some(walk.organizational_domain());
        Ok(walk)
    }

    async fn apply(&mut self, walker: &mut Walker<'_>, found: PublishedRecord, source: PolicySource) {
        let PublishedRecord { domain, record } = found;
        if !record.policy_is_valid() {
            if record.aggregate_reports.is_empty() {
                if record.policy_is_malformed() {
                    self.result.status = Status::PermError;
                    return self.reason(Reason::PolicyMalformed(domain));
                }
                return self.reason(Reason::NoPolicy(domain));
            }
            self.reason(Reason::PolicyDefaulted(domain.clone()));
        }
        let modes = Modes { spf: record.spf_alignment, dkim: record.dkim_alignment };
        self.align(walker, modes, Outcome::Pass).await;
        let passed = self.result.identifiers.iter().any(Aligned::passes);
        if !passed {
            // Whether errors matter is a question only now.
            self.align(walker, modes, Outcome::TempError).await;
        }
        self.result.status = self.judge();
        // What the existence of the domain is good for is telling `np` from `sp`, so a pass does without.
        let exists = match record.nonexistent_policy {
            Some(_) if !passed && source != PolicySource::AuthorDomain && record.policy_is_valid() => {
                exists(walker, self.author).await
            }
            _ => Ok(true),
        };
        let (tag, published) = choose(&record, source, exists.as_ref().ok().copied());
        match exists {
            Ok(true) => {}
            Ok(false) => self.reason(Reason::NonexistentDomain(self.author.clone())),
            // It makes no difference where both say the same.
            Err(_) if choose(&record, source, Some(true)).1 == choose(&record, source, Some(false)).1 => {}
            Err(error) => {
                self.failed(&error);
                self.result.status = Status::TempError;
            }
        }
        let effective = if record.testing { published.lowered() } else { published };
        if effective != published {
            self.reason(Reason::Testing(domain.clone()));
        }
        if self.result.status == Status::Fail {
            self.result.disposition = effective;
        }
        self.result.policy = Some(AppliedPolicy { domain, source, record, tag, published, effective });
    }

    /// Finds the alignment of the identifiers with this outcome.
    async fn align(&mut self, walker: &mut Walker<'_>, modes: Modes, outcome: Outcome) {
        for index in 0..self.result.identifiers.len() {
            let Some(identifier) = self.result.identifiers.get(index).map(|aligned| aligned.identifier.clone()) else {
                continue;
            };
            if identifier.outcome == outcome {
                let alignment = self.alignment(walker, &identifier.domain, modes.of(identifier.mechanism)).await;
                if let Some(aligned) = self.result.identifiers.get_mut(index) {
                    aligned.alignment = alignment;
                }
            }
        }
    }

    /// Identifier Alignment Evaluation (§4.10.2), with no more walks than it takes.
    async fn alignment(&mut self, walker: &mut Walker<'_>, domain: &Domain, mode: AlignmentMode) -> Alignment {
        if domain == self.author {
            return Alignment::Strict;
        }
        // Names without a common top-level domain have no common Organizational Domain.
        if mode == AlignmentMode::Strict || domain.labels().next_back() != self.author.labels().next_back() {
            return Alignment::None;
        }
        match self.same_organization(walker, domain).await {
            Ok(true) => Alignment::Relaxed,
            Ok(false) => Alignment::None,
            Err(error) => {
                self.failed(&error);
                Alignment::Undecided
            }
        }
    }

    async fn same_organization(&mut self, walker: &mut Walker<'_>, domain: &Domain) -> Result<bool, LookupError> {
        let organization = match &self.result.organizational_domain {
            Some(known) => known.clone(),
            None => self.walk(walker).await?.organizational_domain(),
        };
        // An Organizational Domain is the domain itself or above it.
        if !domain.is_subdomain_of(&organization) {
            return Ok(false);
        }
        if !self.compared.contains(domain) {
            if self.compared.len() == MOST_COMPARED {
                self.reason(Reason::TooManyIdentifiers);
                return Ok(false);
            }
            self.compared.push(domain.clone());
        }
        Ok(walker.walk(domain).await?.organizational_domain() == organization)
    }

    /// Pass, fail or neither (§5.3.5, §5.3.6).
    fn judge(&mut self) -> Status {
        let mut reasons = Vec::new();
        let (mut passed, mut undecided) = (false, false);
        for aligned in &self.result.identifiers {
            let Identifier { mechanism, domain, outcome } = aligned.identifier.clone();
            match (outcome, aligned.alignment) {
                (Outcome::Pass, Alignment::Strict | Alignment::Relaxed) => {
                    passed = true;
                    reasons.push(Reason::Aligned { mechanism, domain });
                }
                (Outcome::Pass | Outcome::TempError, Alignment::Undecided)
                | (Outcome::TempError, Alignment::Strict | Alignment::Relaxed) => {
                    undecided = true;
                    reasons.push(Reason::Undecided { mechanism, domain });
                }
                (Outcome::Pass, Alignment::None) => reasons.push(Reason::NotAligned { mechanism, domain }),
                _ => {}
            }
        }
        if reasons.is_empty() {
            reasons.push(Reason::Unauthenticated);
        }
        reasons.into_iter().for_each(|reason| self.reason(reason));
        match (passed, undecided) {
            (true, _) => Status::Pass,
            (false, true) => Status::TempError,
            (false, false) => Status::Fail,
        }
    }

    fn failed(&mut self, error: &LookupError) {
        self.reason(Reason::LookupFailed { name: error.name.clone(), kind: error.kind });
    }

    /// Once is enough, however often it happens.
    fn reason(&mut self, reason: Reason) {
        if !self.result.reasons.contains(&reason) {
            self.result.reasons.push(reason);
        }
    }
}

#[derive(Clone, Copy)]
struct Modes {
    spf: AlignmentMode,
    dkim: AlignmentMode,
}

impl Modes {
    fn of(self, mechanism: Mechanism) -> AlignmentMode {
        match mechanism {
            Mechanism::Spf => self.spf,
            Mechanism::Dkim => self.dkim,
        }
    }
}

/// The policy for the Author Domain (§4.10.1). Where it is not known whether the domain exists, the stricter one.
fn choose(record: &Record, source: PolicySource, exists: Option<bool>) -> (PolicyTag, Policy) {
    if !record.policy_is_valid() {
        return (PolicyTag::Absent, Policy::None);
    }
    let own = (PolicyTag::Policy, record.policy.unwrap_or(Policy::None));
    if source == PolicySource::AuthorDomain {
        return own;
    }
    let existing = record.subdomain_policy.map_or(own, |policy| (PolicyTag::SubdomainPolicy, policy));
    let nonexistent = record.nonexistent_policy.map_or(existing, |policy| (PolicyTag::NonexistentPolicy, policy));
    match exists {
        Some(true) => existing,
        Some(false) => nonexistent,
        None => std::cmp::max_by_key(existing, nonexistent, |choice| choice.1),
    }
}

/// Whether there is such a name at all (§3.2.13, §A.4). One question tells: a name with records of any type answers
/// "no data" for the others, one without any, and without names below it, "no such name" for all (RFC 8020).
async fn exists(walker: &mut Walker<'_>, domain: &Domain) -> Result<bool, LookupError> {
    let answer = walker.evidence.lookup(walker.resolver, domain, RecordType::A).await?;
    // An alias exists even if what it points to does not. That of a DNAME was made up and says nothing about the name.
    let is_alias = answer.chain.iter().any(|hop| hop.kind == HopKind::Cname);
    Ok(answer.existence != Existence::NxDomain || is_alias)
}

#[cfg(test)]
mod tests;
