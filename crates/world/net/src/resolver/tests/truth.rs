//! A world with something of everything, compared question by question with what is so.

use std::collections::BTreeMap;

use mailstead_dns::{Authenticity, Existence, LookupErrorKind, Question, Record, RecordType};
use mailstead_runtime::Random;
use mailstead_testkit::{End, START, Security, SeededRandom, SignedWorld};

use super::super::core::Outcome;
use super::super::{DnsMode, DnsResolver};
use super::world::*;

/// Questions drawn from those that the world knows; all of them take ten times as long.
const DRAWN: usize = 500;

fn record_type(question: &Question) -> Option<RecordType> {
    question.name.to_domain()?;
    question.rtype.record_type()
}

/// What is wrong with the outcome, if anything is.
fn judge(zones: &SignedWorld, question: &Question, outcome: &Outcome, mode: DnsMode) -> Result<(), String> {
    let truth = zones.truth(question, START as u32);
    let answer = match (outcome, &truth.end, truth.security()) {
        // Resolvers fail where aliases go in circles; we notice on our own.
        (Err(error), End::AliasLoop, _) => {
            let kind = match mode {
                DnsMode::Recurse if truth.chain.iter().any(|alias| alias.security == Security::Bogus) => {
                    LookupErrorKind::Bogus
                }
                DnsMode::Recurse => LookupErrorKind::AliasLoop,
                _ => LookupErrorKind::ServerFailure,
            };
            return if error.kind == kind { Ok(()) } else { Err(format!("should be {kind}")) };
        }
        (Err(_), End::TooLong, _) => return Ok(()),
        (Err(error), _, Security::Bogus) if error.kind == LookupErrorKind::Bogus => return Ok(()),
        (Ok(answer), _, Security::Secure | Security::Insecure) => answer,
        _ => return Err("should have ended otherwise".into()),
    };
    let is = |security| if security == Security::Secure { Authenticity::Secure } else { Authenticity::Insecure };
    let hops: Vec<_> = answer.chain.iter().map(|hop| (hop.to.clone(), hop.kind, hop.authenticity)).collect();
    let true_hops: Vec<_> =
        truth.chain.iter().map(|alias| (alias.to.to_domain().unwrap(), alias.kind, is(alias.security))).collect();
    if hops != true_hops {
        return Err(format!("aliases should be {true_hops:?}"));
    }
    if answer.record_authenticity != is(truth.end_security) {
        return Err(format!("the end should be {:?}", truth.end_security));
    }
    let (existence, mut records) = match &truth.end {
        End::Records(set) => {
            let record_type = question.rtype.record_type().unwrap();
            let records = set.data.iter().filter_map(|data| Record::from_data(record_type, data));
            (Existence::Found, records.map(|record| record.to_string()).collect())
        }
        End::NoData => (Existence::NoData, Vec::new()),
        End::NxDomain => (Existence::NxDomain, Vec::new()),
        other => return Err(format!("there should be no answer: {other:?}")),
    };
    let mut found: Vec<_> = answer.records.iter().map(ToString::to_string).collect();
    records.sort();
    found.sort();
    if (answer.existence, &found) != (existence, &records) {
        return Err(format!("there should be {existence:?} {records:?}"));
    }
    Ok(())
}

async fn compare(zones: &SignedWorld, resolver: &DnsResolver, mode: DnsMode, seed: u64) {
    let questions: Vec<_> = zones.questions().into_iter().filter(|question| record_type(question).is_some()).collect();
    let random: &dyn Random = &SeededRandom::new(seed);
    let mut met = BTreeMap::new();
    for _ in 0..DRAWN {
        let question = &questions[random.below(questions.len() as u64) as usize];
        let text = format!("{} {}", question.name.to_domain().unwrap(), question.rtype);
        let outcome = look_up(resolver, &text).await;
        if let Err(wrong) = judge(zones, question, &outcome, mode) {
            panic!("{text}: {wrong}, but is {}", tell(&outcome));
        }
        *met.entry(zones.truth(question, START as u32).security()).or_insert(0) += 1;
    }
    assert!(met.len() == 3 && met.values().all(|count| *count > 20), "a drawing of everything: {met:?}");
}

#[tokio::test(start_paused = true)]
async fn validation_finds_what_is_so() {
    let world = World::with(SignedWorld::example().build(), honest);
    compare(&world.zones(), &world.resolver(|_| {}), DnsMode::Validate, 1).await;
}

#[tokio::test(start_paused = true)]
async fn recursion_finds_what_is_so() {
    let world = World::new(SignedWorld::example().build());
    compare(&world.zones(), &world.resolver(|options| options.mode = DnsMode::Recurse), DnsMode::Recurse, 2).await;
}
