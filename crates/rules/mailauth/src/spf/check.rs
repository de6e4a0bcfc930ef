//! `check_host()` (RFC 7208 §4): from a query to a verdict.
//!
//! Everything hostile is bounded by counting terms: each costs at most eleven questions, and there are at most ten of
//! them over all records of a check.

use std::pin::Pin;

use mailstead_dns::{Answer, Existence, LookupError, RecordType, Resolver, Txt};
use mailstead_names::Domain;

use super::expand::{Target, UNKNOWN, Values};
use super::macros::{Letter, MacroString, Place};
use super::{
    Directive, DomainSpec, Explanation, Matched, Mechanism, PrefixLengths, Problem, Query, Reason, Record, SpfResult,
    Verdict, mechanism,
};
use crate::Evidence;

/// Terms that cause look-ups, in all records of a check together: `include`, `a`, `mx`, `ptr`, `exists`, `redirect`,
/// and the macro `p` where it asks (§4.6.4). One more is a permanent error.
pub const MOST_LOOKUP_TERMS: usize = 10;

/// Terms that look up what does not exist (§4.6.4, §11.1). One more is a permanent error.
pub const MOST_VOID_LOOKUPS: usize = 2;

/// Mail exchangers of a domain (§4.6.4). One more is a permanent error.
pub const MOST_EXCHANGERS: usize = 10;

/// Names of an address (§4.6.4). Further ones are ignored, because the owner of the address is not who publishes the
/// record.
pub const MOST_NAMES: usize = 10;

/// Longest explanation, in characters; the rest is cut off (§6.2). It has to fit in a few lines of an SMTP reply.
pub const MOST_EXPLANATION: usize = 800;

/// Finds out whether a client may use an identity.
///
/// Never waits longer than the resolver lets it wait for each of its questions; there are at most about a hundred and
/// normally two or three, one after the other. A question that is not answered makes this check a temporary error.
///
/// ```
/// use std::time::SystemTime;
///
/// use mailstead_dns::{Record, Txt};
/// use mailstead_mailauth::spf::{Query, SpfResult, check_host};
/// use mailstead_names::{EhloName, ReversePath};
/// use mailstead_testkit::Zones;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let zones = Zones::new().with("example.org", Record::Txt(Txt::from("v=spf1 ip4:192.0.2.0/24 -all")));
/// let path = ReversePath::parse("<user@example.org>").unwrap();
/// let ehlo = EhloName::parse("mx.example.org");
/// let query = Query::mail_from([192, 0, 2, 1].into(), &path, &ehlo, SystemTime::now());
/// let verdict = check_host(&zones, &query).await;
/// assert_eq!(verdict.result, SpfResult::Pass);
/// assert_eq!(verdict.mechanism().as_deref(), Some("ip4:192.0.2.0/24"));
/// # });
/// ```
pub async fn check_host(resolver: &dyn Resolver, query: &Query) -> Verdict {
    let mut evaluation = Evaluation::new(resolver, query);
    let (result, reason, explanation) = match &query.domain {
        Some(domain) if has_several_labels(domain) => evaluation.conclude(domain).await,
        _ => (SpfResult::None, Reason::NoDomain, None),
    };
    Verdict {
        result,
        identity: query.identity,
        mailbox: query.mailbox(),
        domain: query.domain.clone(),
        reason,
        explanation,
        authenticity: evaluation.evidence.authenticity(),
        evidence: evaluation.evidence,
    }
}

/// A name of a single label has no record of its own (§4.3).
fn has_several_labels(domain: &Domain) -> bool {
    domain.labels().nth(1).is_some()
}

/// What ends the whole check at once.
#[derive(Debug)]
pub(super) enum Stop {
    Lookup(LookupError),
    Problem(Problem),
}

impl From<LookupError> for Stop {
    fn from(error: LookupError) -> Stop {
        Stop::Lookup(error)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop::Problem(problem)
    }
}

/// What a record says.
enum Policy {
    /// There is none; the reason is [`Reason::NoRecord`] or [`Reason::NoSuchDomain`].
    Absent(Reason),
    Default,
    Matched {
        result: SpfResult,
        trail: Vec<Matched>,
        explanation: Option<(DomainSpec, Domain)>,
    },
}

/// The directives that matched, from the outermost record to the innermost; nothing when there is no match.
type Match<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<Matched>>, Stop>> + Send + 'a>>;

/// A check under way.
#[derive(Debug)]
pub(super) struct Evaluation<'a> {
    pub(super) resolver: &'a dyn Resolver,
    pub(super) query: &'a Query,
    pub(super) evidence: Evidence,
    lookup_terms: usize,
    void_terms: usize,
    /// Whether the term that is evaluated is already among the void ones.
    term_is_void: bool,
    /// The names of the client, once somebody wanted to know.
    pub(super) names: Option<mechanism::Names>,
}

impl<'a> Evaluation<'a> {
    fn new(resolver: &'a dyn Resolver, query: &'a Query) -> Evaluation<'a> {
        Evaluation {
            resolver,
            query,
            evidence: Evidence::default(),
            lookup_terms: 0,
            void_terms: 0,
            term_is_void: false,
            names: None,
        }
    }

    async fn conclude(&mut self, domain: &Domain) -> (SpfResult, Reason, Option<Explanation>) {
        match self.evaluate(domain.clone()).await {
            Ok(Policy::Absent(reason)) => (SpfResult::None, reason, None),
            Ok(Policy::Default) => (SpfResult::Neutral, Reason::Default, None),
            Ok(Policy::Matched { result, trail, explanation }) => {
                let explanation = match explanation {
                    Some((spec, domain)) if result == SpfResult::Fail => self.explain(&spec, domain).await,
                    _ => None,
                };
                (result, Reason::Matched(trail), explanation)
            }
            Err(Stop::Lookup(error)) => (SpfResult::TempError, Reason::Lookup(error), None),
            Err(Stop::Problem(problem)) => (SpfResult::PermError, Reason::Problem(problem), None),
        }
    }

    /// The record of a domain, and those that it redirects to (§6.1).
    async fn evaluate(&mut self, mut domain: Domain) -> Result<Policy, Stop> {
        let mut is_redirected = false;
        loop {
            let record = match self.record(&domain).await? {
                Ok(record) => record,
                Err(_) if is_redirected => return Err(Problem::RedirectedNowhere(domain).into()),
                Err(reason) => return Ok(Policy::Absent(reason)),
            };
            for directive in &record.directives {
                if let Some(trail) = self.matches(directive, &domain).await? {
                    let result = directive.qualifier.result();
                    let explanation = record.explanation.map(|spec| (spec, domain));
                    return Ok(Policy::Matched { result, trail, explanation });
                }
            }
            // With an "all" we do not get here, so that a redirect beside it is ignored.
            let Some(redirect) = &record.redirect else { return Ok(Policy::Default) };
            self.begin_term()?;
            domain = match self.target(redirect, &domain).await? {
                Target::Name(target) if has_several_labels(&target) => target,
                Target::Name(_) | Target::Malformed => return Err(Problem::NotADomain(domain).into()),
                Target::Unmatchable => return Ok(Policy::Default),
            };
            is_redirected = true;
        }
    }

    /// Looks a record up and parses it (§4.4 to §4.6); why there is none, where there is none.
    async fn record(&mut self, domain: &Domain) -> Result<Result<Record, Reason>, Stop> {
        let answer = self.evidence.records::<Txt>(self.resolver, domain).await?;
        let mut texts = answer.records.iter().map(Txt::joined).filter(|text| Record::has_version(text));
        match (texts.next(), texts.next()) {
            (Some(_), Some(_)) => Err(Problem::SeveralRecords(domain.clone()).into()),
            (Some(text), None) => match Record::parse(text) {
                Ok(record) => Ok(Ok(record)),
                Err(error) => Err(Problem::Syntax { domain: domain.clone(), error }.into()),
            },
            (None, _) if answer.existence == Existence::NxDomain => Ok(Err(Reason::NoSuchDomain)),
            (None, _) => Ok(Err(Reason::NoRecord)),
        }
    }

    fn matches<'b>(&'b mut self, directive: &'b Directive, domain: &'b Domain) -> Match<'b> {
        Box::pin(async move {
            let mut inner = Vec::new();
            let is_match = match &directive.mechanism {
                Mechanism::All => true,
                Mechanism::Ip4(network, length) => {
                    mechanism::is_within(self.query.ip, (*network).into(), PrefixLengths { ip4: *length, ip6: 0 })
                }
                Mechanism::Ip6(network, length) => {
                    mechanism::is_within(self.query.ip, (*network).into(), PrefixLengths { ip4: 0, ip6: *length })
                }
                Mechanism::Include(spec) => match self.include(spec, domain).await? {
                    Some(trail) => {
                        inner = trail;
                        true
                    }
                    None => false,
                },
                Mechanism::A(spec, lengths) => self.a(spec.as_ref(), *lengths, domain).await?,
                Mechanism::Mx(spec, lengths) => self.mx(spec.as_ref(), *lengths, domain).await?,
                Mechanism::Ptr(spec) => self.ptr(spec.as_ref(), domain).await?,
                Mechanism::Exists(spec) => self.exists(spec, domain).await?,
            };
            if !is_match {
                return Ok(None);
            }
            inner.insert(0, Matched { domain: domain.clone(), directive: directive.clone() });
            Ok(Some(inner))
        })
    }

    /// What the included record has to say, if it passes the client (§5.2).
    async fn include(&mut self, spec: &DomainSpec, domain: &Domain) -> Result<Option<Vec<Matched>>, Stop> {
        self.begin_term()?;
        let included = match self.target(spec, domain).await? {
            Target::Name(target) if has_several_labels(&target) => target,
            Target::Name(_) | Target::Malformed => return Err(Problem::NotADomain(domain.clone()).into()),
            Target::Unmatchable => return Ok(None),
        };
        match self.evaluate(included.clone()).await? {
            Policy::Matched { result: SpfResult::Pass, trail, .. } => Ok(Some(trail)),
            Policy::Matched { .. } | Policy::Default => Ok(None),
            Policy::Absent(_) => Err(Problem::IncludedNothing(included).into()),
        }
    }

    /// Counts a term that causes look-ups, before it does.
    pub(super) fn begin_term(&mut self) -> Result<(), Stop> {
        if self.lookup_terms == MOST_LOOKUP_TERMS {
            return Err(Problem::TooManyLookups.into());
        }
        self.lookup_terms += 1;
        self.term_is_void = false;
        Ok(())
    }

    /// Looks up for a term. When there is nothing, the term counts as void, once (§4.6.4).
    pub(super) async fn lookup(
        &mut self,
        name: &Domain,
        record_type: RecordType,
    ) -> Result<Answer<mailstead_dns::Record>, Stop> {
        let answer = self.evidence.lookup(self.resolver, name, record_type).await?;
        if answer.existence != Existence::Found && !self.term_is_void {
            if self.void_terms == MOST_VOID_LOOKUPS {
                return Err(Problem::TooManyVoidLookups.into());
            }
            self.void_terms += 1;
            self.term_is_void = true;
        }
        Ok(answer)
    }

    /// The name that a term is about.
    pub(super) async fn target(&mut self, spec: &DomainSpec, domain: &Domain) -> Result<Target, Stop> {
        let name = if spec.0.uses(Letter::ValidatedName) {
            if self.names.is_none() {
                // The macro asks for PTR records, which counts in addition to the term it is in.
                self.begin_term()?;
                self.learn_names().await?;
            }
            self.validated_name(domain).await
        } else {
            None
        };
        let validated_name = name.as_ref().map_or(UNKNOWN, Domain::as_ascii);
        Ok(Values { query: self.query, domain, validated_name }.target(spec))
    }

    /// The explanation of a failure (§6.2), which no limit counts; it is looked up once, after the result is known.
    /// Whatever goes wrong, there is none.
    async fn explain(&mut self, spec: &DomainSpec, domain: Domain) -> Option<Explanation> {
        let mut name = None;
        if spec.0.uses(Letter::ValidatedName) {
            name = self.validated_name(&domain).await;
        }
        let validated_name = name.as_ref().map_or(UNKNOWN, Domain::as_ascii);
        let Target::Name(target) = (Values { query: self.query, domain: &domain, validated_name }).target(spec) else {
            return None;
        };
        let answer = self.evidence.records::<Txt>(self.resolver, &target).await.ok()?;
        let [txt] = answer.records.as_slice() else { return None };
        let text = String::from_utf8(txt.joined()).ok()?;
        let string = MacroString::parse(&text, Place::Explanation).ok()?;
        if string.uses(Letter::ValidatedName) && name.is_none() {
            name = self.validated_name(&domain).await;
        }
        let validated_name = name.as_ref().map_or(UNKNOWN, Domain::as_ascii);
        let text = Values { query: self.query, domain: &domain, validated_name }.text(&string, MOST_EXPLANATION);
        // What macros bring in may be anything. An explanation in other than ASCII is none.
        let is_printable = !text.is_empty() && text.chars().all(|c| matches!(c, ' '..='~'));
        is_printable.then_some(Explanation { domain, text })
    }
}
