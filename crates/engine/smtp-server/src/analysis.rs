//! The judgement of a message for one recipient. Pure: facts in, a verdict with its reasons out.
//!
//! What is known about the sender is gathered in `authentication.rs`; what has to be done about a verdict is in
//! `inbound.rs`, and the codes for it in `reply.rs`.

use mailstead_config::{Destination, Rule, RuleKind};
use mailstead_mailauth::dkim::{Outcome, Testing};
use mailstead_mailauth::dmarc::{self, Policy};
use mailstead_mailauth::spf::SpfResult;
use mailstead_names::{Address, Domain};
use mailstead_smtp::Reply;

use crate::authentication::Authentication;
use crate::refusal::Cause;
use crate::reply;
use crate::sandbox::Sandbox;

/// What is known about who sent a message.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// Nothing was checked: in a sandbox anybody may be anybody.
    Unchecked,
    /// Everything was.
    Checked(Box<Authentication>),
}

impl Evidence {
    /// The results of the checks, where there were any.
    pub(crate) fn authentication(&self) -> Option<&Authentication> {
        match self {
            Evidence::Unchecked => None,
            Evidence::Checked(authentication) => Some(authentication),
        }
    }
}

/// What to do with a message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) decision: Decision,
    pub(crate) reasons: Vec<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Store it in Inbox, or where a rule of the recipient wants it.
    Accept(Option<String>),
    /// Store it in Junk.
    Junk,
    /// Refuse it with this reply, for now or for good.
    Reject(Reply),
}

/// Why a verdict is as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No evidence was gathered, so none can speak against the message.
    Unchecked,
    /// The local part asks for it.
    Provoked,
    /// There is nobody of this address.
    UnknownUser,
    /// A rule of the recipient trusts this mailing list.
    ListAllow(Domain),
    /// A rule of the recipient knows that this server forwards mail to it.
    Forwarded(Domain),
    /// DMARC failed, and the owner of the domain wants such mail refused, or put aside.
    DmarcPolicy(Policy),
    /// From has so many domains that not all were checked (RFC 9989 §11.5).
    TooManyAuthors,
    /// Checks could not be made now, and the outcome would decide.
    Undecided,
    /// Nothing speaks against it.
    NoBadSignals,
    /// It was accepted, and then could not be stored.
    NotStored,
}

impl Reason {
    /// Its word in what is stored and shown.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Reason::Unchecked => "unchecked",
            Reason::Provoked => "provoked",
            Reason::UnknownUser => "unknown-user",
            Reason::ListAllow(_) => "list-allow",
            Reason::Forwarded(_) => "forwarded",
            Reason::DmarcPolicy(_) => "dmarc-policy",
            Reason::TooManyAuthors => "too-many-authors",
            Reason::Undecided => "authentication-undecided",
            Reason::NoBadSignals => "no-bad-signals",
            Reason::NotStored => Cause::Storage.name(),
        }
    }

    /// The domain that the recipient trusts by a rule.
    pub(crate) fn trusted(&self) -> Option<&Domain> {
        match self {
            Reason::ListAllow(domain) | Reason::Forwarded(domain) => Some(domain),
            _ => None,
        }
    }

    /// The word of RFC 9990 for why a DMARC policy is not followed.
    fn dmarc_override(&self) -> Option<&'static str> {
        match self {
            Reason::ListAllow(_) => Some("mailing_list"),
            Reason::Forwarded(_) => Some("trusted_forwarder"),
            _ => None,
        }
    }
}

impl Verdict {
    /// For a copy that was accepted and then could not be stored.
    pub(crate) fn not_stored(reply: Reply) -> Verdict {
        reject(reply, Reason::NotStored)
    }

    /// Why a DMARC policy is not followed, in the words of RFC 9990; nothing where it asks for nothing.
    pub(crate) fn overrides(&self, dmarc: &dmarc::DmarcResult) -> Vec<&'static str> {
        let asks = dmarc.disposition != Policy::None || dmarc.is_worth_deferring();
        self.reasons.iter().filter_map(Reason::dmarc_override).filter(|_| asks).collect()
    }
}

/// The verdict for one recipient.
pub(crate) fn classify(
    evidence: &Evidence,
    recipient: &Address,
    destination: Option<&Destination>,
    rule: Option<&Rule>,
    sandbox: Sandbox,
) -> Verdict {
    if let Some(provocation) = sandbox.provocation(&recipient.localpart) {
        return reject(reply::provoked(provocation.code), Reason::Provoked);
    }
    if destination.is_none() {
        return reject(reply::no_such_user(), Reason::UnknownUser);
    }
    let mailbox = rule.and_then(|rule| rule.mailbox.clone());
    let authentication = match evidence {
        Evidence::Unchecked => return accept(mailbox, Reason::Unchecked),
        Evidence::Checked(authentication) => authentication,
    };
    // Whoever is trusted to pass mail on breaks what DMARC looks at, and has been believed by the recipient.
    match rule.map(|rule| &rule.kind) {
        Some(RuleKind::List(domain)) if is_verified(authentication, domain) => {
            return accept(mailbox, Reason::ListAllow(domain.clone()));
        }
        Some(RuleKind::Forwarder(domain)) if is_verified(authentication, domain) => {
            return accept(mailbox, Reason::Forwarded(domain.clone()));
        }
        _ => {}
    }
    judge_dmarc(authentication).unwrap_or_else(|| accept(mailbox, Reason::NoBadSignals))
}

/// What DMARC asks for, where it asks for something.
fn judge_dmarc(authentication: &Authentication) -> Option<Verdict> {
    let result = &authentication.dmarc;
    // Else whoever forges a message could hide the domain behind others.
    if result.reasons.contains(&dmarc::Reason::TooManyAuthorDomains) && result.disposition != Policy::Reject {
        return Some(reject(reply::too_many_authors(), Reason::TooManyAuthors));
    }
    let author = result.author.as_ref()?;
    if result.is_worth_deferring() {
        return Some(reject(reply::authentication_undecided(author), Reason::Undecided));
    }
    let policy = result.policy.as_ref()?;
    match result.disposition {
        Policy::None => None,
        Policy::Quarantine => {
            Some(Verdict { decision: Decision::Junk, reasons: vec![Reason::DmarcPolicy(Policy::Quarantine)] })
        }
        Policy::Reject => {
            let reply = reply::refused_by_dmarc(author, &policy.domain, &cause(authentication));
            Some(reject(reply, Reason::DmarcPolicy(Policy::Reject)))
        }
    }
}

/// Why neither mechanism helped, for whoever runs the sending server.
fn cause(authentication: &Authentication) -> String {
    let spf = &authentication.spf.verdict;
    let domain = spf.domain.as_ref().map_or_else(|| "no domain".to_owned(), Domain::to_string);
    let spf = match spf.result {
        SpfResult::Pass => format!("SPF passed for {domain}, which is not aligned"),
        result => format!("SPF gave {result} for {domain}"),
    };
    let dkim = match authentication.dkim.outcomes.as_slice() {
        [] => "there is no DKIM signature".to_owned(),
        outcomes => {
            let shown = |outcome: &Outcome| {
                let domain = outcome.domain.as_ref().map_or_else(|| "?".to_owned(), Domain::to_string);
                match outcome.reasons.first() {
                    Some(reason) => format!("{domain}: {reason}"),
                    None if outcome.testing == Testing::Yes => format!("{domain} signed with a key for tests"),
                    None => format!("{domain} signed, which is not aligned"),
                }
            };
            format!("DKIM {}", outcomes.iter().take(2).map(shown).collect::<Vec<_>>().join(", "))
        }
    };
    format!("{spf}, and {dkim}")
}

/// Whether a domain, or one below it, is proved to have to do with the message.
fn is_verified(authentication: &Authentication, domain: &Domain) -> bool {
    authentication.verified_domains().any(|verified| verified.is_subdomain_of(domain))
}

fn accept(mailbox: Option<String>, reason: Reason) -> Verdict {
    Verdict { decision: Decision::Accept(mailbox), reasons: vec![reason] }
}

fn reject(reply: Reply, reason: Reason) -> Verdict {
    Verdict { decision: Decision::Reject(reply), reasons: vec![reason] }
}

/// What DMARC aggregate reports are made of (RFC 9990). Takes values and cannot fail a delivery.
pub trait EvaluationSink: std::fmt::Debug + Send + Sync {
    /// A message has been judged.
    fn evaluated(&self, evaluation: Evaluation<'_>);
}

/// One evaluation.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// Where the message came from.
    pub remote: std::net::IpAddr,
    /// Domain of MAIL FROM, where it has one.
    pub envelope_from: Option<&'a Domain>,
    /// Domain of the recipient.
    pub envelope_to: Option<&'a Domain>,
    /// What DMARC says.
    pub dmarc: &'a dmarc::DmarcResult,
    /// What SPF says.
    pub spf: &'a mailstead_mailauth::spf::Verdict,
    /// What DKIM says.
    pub dkim: &'a mailstead_mailauth::dkim::Verification,
    /// What was done.
    pub applied: Policy,
    /// Why it is not what was asked for (RFC 9990), if so.
    pub overrides: Vec<&'static str>,
}
