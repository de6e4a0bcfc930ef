//! Holding what was found against the truth.

use std::cell::RefCell;
use std::collections::HashMap;

use mailstead_dns::{Existence, Name, Question, RrSet, Rtype};
use mailstead_dnssec::{Content, Proof, Step};
use mailstead_testkit::{End, START, Security, SignedWorld, Truth};

use crate::walker::{Failure, Walk};

/// The truth about a world; asked for again and again.
pub(crate) struct Yardstick<'w> {
    world: &'w SignedWorld,
    truths: RefCell<HashMap<Question, Truth>>,
}

/// What there is at one name: an alias, or the end of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StepTruth {
    pub(crate) security: Security,
    /// `None` where the question has no answer.
    pub(crate) content: Option<Content>,
}

impl<'w> Yardstick<'w> {
    pub(crate) fn new(world: &'w SignedWorld) -> Yardstick<'w> {
        Yardstick { world, truths: RefCell::default() }
    }

    /// About a name alone, without what aliases lead to.
    pub(crate) fn at(&self, name: &Name, rtype: Rtype) -> StepTruth {
        let question = Question { name: name.clone(), rtype };
        let mut truths = self.truths.borrow_mut();
        let truth = truths.entry(question).or_insert_with_key(|question| self.world.truth(question, START as u32));
        if let Some(alias) = truth.chain.first() {
            let content = Content::Alias { to: alias.to.clone(), kind: alias.kind };
            return StepTruth { security: alias.security, content: Some(content) };
        }
        let content = match &truth.end {
            End::Records(set) => Some(Content::Records(bare(set))),
            End::NoData => Some(Content::Absent(Existence::NoData)),
            End::NxDomain => Some(Content::Absent(Existence::NxDomain)),
            End::TooLong | End::AliasLoop | End::Unreachable => None,
        };
        // What has no answer is a failure for whoever asks, proved or not.
        let security = if content.is_some() { truth.end_security } else { Security::Bogus };
        StepTruth { security, content }
    }

    /// What is false about a step: something else called secure, or what should be proved taken as unsigned.
    pub(crate) fn lie(&self, name: &Name, rtype: Rtype, step: &Step) -> Option<String> {
        let truth = self.at(name, rtype);
        let is_false = match step.proof {
            Proof::Secure { .. } => {
                truth.security != Security::Secure || truth.content.as_ref() != Some(&bare_content(&step.content))
            }
            Proof::Insecure(_) => truth.security != Security::Insecure,
        };
        is_false.then(|| format!("{name} {rtype}: {step:#?}\nbut the truth is {truth:#?}"))
    }

    /// The first lie of a look-up. A failure is none.
    pub(crate) fn lies(&self, rtype: Rtype, walk: &Walk) -> Option<String> {
        walk.steps.iter().find_map(|(name, step)| self.lie(name, rtype, step))
    }

    /// In what a look-up of untouched responses differs from the truth.
    pub(crate) fn difference(&self, question: &Question, walk: &Walk) -> Option<String> {
        if let Some(lie) = self.lies(question.rtype, walk) {
            return Some(lie);
        }
        for (name, step) in &walk.steps {
            // What is not proved is the same nevertheless when nobody tampers.
            let truth = self.at(name, question.rtype);
            if truth.content.as_ref() != Some(&bare_content(&step.content)) {
                return Some(format!("{name}: {step:#?}\nbut the truth is {truth:#?}"));
            }
        }
        let failure = walk.failure.as_ref()?;
        let last = walk.steps.last().and_then(|(_, step)| match &step.content {
            Content::Alias { to, .. } => Some(to),
            Content::Records(_) | Content::Absent(_) => None,
        });
        let name = last.unwrap_or(&question.name);
        let truth = self.at(name, question.rtype);
        let expected = match failure {
            Failure::Bogus(_) => truth.security == Security::Bogus,
            // The world fails as a whole where aliases go in circles.
            Failure::Rcode(_) | Failure::AliasLoop => {
                let question = Question { name: name.clone(), rtype: question.rtype };
                let truth = self.world.truth(&question, START as u32);
                matches!(truth.end, End::AliasLoop | End::Unreachable)
            }
            Failure::TooMuchWork | Failure::Unanswered => false,
        };
        (!expected).then(|| format!("{name}: {failure:?}\nbut the truth is {truth:#?}"))
    }
}

fn bare(set: &RrSet) -> RrSet {
    // How long a set may be kept depends on more than the zone.
    RrSet { ttl: 0, signatures: Vec::new(), ..set.clone() }
}

fn bare_content(content: &Content) -> Content {
    match content {
        Content::Records(set) => Content::Records(bare(set)),
        other => other.clone(),
    }
}
