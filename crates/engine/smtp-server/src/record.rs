//! What is kept about the arrival of a message and about its verdict, accepted or not: what was checked, what the DNS
//! answered and with what proof, and why. It explains the verdict later, and reputation can be built on it. The store
//! keeps it without looking inside; [`crate::why`] puts it in words.

use std::fmt::Display;

use mailstead_dns::{Authenticity, Existence};
use mailstead_mailauth::dkim::Algorithm;
use mailstead_mailauth::dmarc::AlignmentMode;
use mailstead_mailauth::{Answered, Consulted};
use mailstead_names::{Address, Domain, ReversePath};
use mailstead_store::Facts;
use serde_json::{Map, Value, json};

use crate::analysis::{Decision, Evidence, Reason, Verdict};
use crate::authentication::Authentication;
use crate::inbound::{Arrival, Origin};
use crate::refusal::{Envelope, Refusal};

/// The kind of these facts in the store. There is one record for each copy of a message.
pub const KIND: &str = "arrival";
/// The version of what is written. The first had no checks.
pub const VERSION: u32 = 2;

/// Answers of one check that are kept.
const MOST_CONSULTED: usize = 24;
/// Characters of a record, a name or a reason that are kept.
const MOST_TEXT: usize = 300;
/// Octets that the answers of all checks may take, as they are written. Senders choose what their DNS says, and the store
/// takes 64 KiB: of a refusal that takes more nothing would be kept.
const MOST_DNS: usize = 32 * 1024;

/// The record of one copy, as a JSON object. It is found by the id in replies and Received fields.
pub(crate) fn arrival(arrival: &Arrival, recipient: &Address, evidence: &Evidence, verdict: &Verdict) -> Facts {
    let origin = &arrival.origin;
    let (decision, reply, mailbox) = match &verdict.decision {
        Decision::Accept(mailbox) => ("accept", None, mailbox.as_deref()),
        Decision::Junk => ("junk", None, None),
        Decision::Reject(reply) if reply.code < 500 => ("defer", Some(reply.to_string()), None),
        Decision::Reject(reply) => ("reject", Some(reply.to_string()), None),
    };
    let mut record = origin_of(origin, &arrival.sender, recipient);
    record.extend([
        ("decision".to_owned(), json!(decision)),
        ("reply".to_owned(), json!(reply)),
        ("reasons".to_owned(), verdict.reasons.iter().map(Reason::name).collect()),
        ("trusted".to_owned(), json!(verdict.reasons.iter().find_map(Reason::trusted).map(Domain::to_string))),
        ("mailbox".to_owned(), json!(mailbox)),
        ("checks".to_owned(), json!(evidence.authentication().map(checks))),
    ]);
    facts(origin, record)
}

/// The record of a message that was refused as a whole, for all its recipients.
pub(crate) fn refusal(envelope: &Envelope, refusal: &Refusal) -> Facts {
    let Envelope { sender, recipient, more, origin } = envelope;
    let decision = if refusal.reply.code < 500 { "defer" } else { "reject" };
    let mut record = origin_of(origin, sender, recipient);
    record.extend([
        ("more-recipients".to_owned(), json!(more)),
        ("decision".to_owned(), json!(decision)),
        ("reply".to_owned(), json!(cut(&refusal.reply))),
        ("reasons".to_owned(), json!([refusal.cause.name()])),
    ]);
    facts(origin, record)
}

/// Where a message came from, and who it is from and for.
fn origin_of(origin: &Origin, sender: &ReversePath, recipient: &Address) -> Map<String, Value> {
    let record = [
        ("remote", json!(origin.remote.to_string())),
        ("hello", json!(cut(&origin.hello))),
        ("protocol", json!(origin.with.to_string())),
        ("tls", json!(origin.tls)),
        ("id", json!(origin.mark)),
        ("at", json!(origin.at.to_string())),
        ("mail-from", json!(sender.to_string())),
        ("rcpt-to", json!(recipient.to_string())),
    ];
    record.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn facts(origin: &Origin, record: Map<String, Value>) -> Facts {
    Facts {
        kind: KIND.to_owned(),
        version: VERSION,
        reference: Some(origin.mark.clone()),
        payload: Value::Object(record).to_string().into_bytes(),
    }
}

fn checks(authentication: &Authentication) -> Value {
    let Authentication { iprev, spf, dkim, dmarc, arc } = authentication;
    let name = |domain: &Option<Domain>| domain.as_ref().map(Domain::to_string);
    let spf = &spf.verdict;
    // What decides most comes first: the room may not be enough for all.
    let mut room = Room(MOST_DNS);
    let dmarc_dns = room.consulted(&dmarc.evidence.consulted);
    let spf_dns = room.consulted(&spf.evidence.consulted);
    let iprev_dns = room.consulted(&iprev.evidence.consulted);
    let mut signatures = Vec::new();
    for outcome in &dkim.outcomes {
        signatures.push(json!({
            "result": outcome.status.name(),
            "domain": name(&outcome.domain),
            "selector": outcome.selector.as_ref().map(cut),
            "algorithm": outcome.algorithm().map(Algorithm::name),
            "key-bits": outcome.key_size().map(|(_, bits)| bits),
            "reasons": outcome.reasons.iter().map(cut).collect::<Vec<_>>(),
            "dnssec": dnssec(outcome.authenticity),
            "dns": room.consulted(&outcome.evidence.consulted),
        }));
    }
    json!({
        "iprev": {
            "result": iprev.result.as_str(),
            "name": iprev.name().map(Domain::to_string),
            "reason": cut(&iprev.reason),
            "dnssec": dnssec(iprev.authenticity),
            "dns": iprev_dns,
        },
        "spf": {
            "result": spf.result.as_str(),
            "identity": spf.identity.as_str(),
            "domain": name(&spf.domain),
            "reason": cut(&spf.reason),
            "dnssec": dnssec(spf.authenticity),
            "dns": spf_dns,
        },
        "dkim": { "signatures": signatures, "ignored": dkim.ignored },
        "dmarc": {
            "result": dmarc.status.as_str(),
            "author": name(&dmarc.author),
            "organization": name(&dmarc.organizational_domain),
            "policy": dmarc.policy.as_ref().map(|policy| json!({
                "domain": policy.domain.to_string(),
                "published": policy.published.as_str(),
                "effective": policy.effective.as_str(),
                "spf-alignment": match policy.record.spf_alignment {
                    AlignmentMode::Relaxed => "relaxed",
                    AlignmentMode::Strict => "strict",
                },
            })),
            "disposition": dmarc.disposition.as_str(),
            "aligned": dmarc.identifiers.iter().filter(|aligned| aligned.passes())
                .map(|aligned| format!("{} {}", aligned.identifier.mechanism, aligned.identifier.domain))
                .collect::<Vec<_>>(),
            "reasons": dmarc.reasons.iter().map(cut).collect::<Vec<_>>(),
            "dnssec": dnssec(dmarc.authenticity()),
            "dns": dmarc_dns,
        },
        "arc": {
            "result": arc.status.name(),
            "reason": arc.reason.as_ref().map(cut),
        },
    })
}

fn dnssec(authenticity: Authenticity) -> bool {
    authenticity == Authenticity::Secure
}

/// Any text, up to a limit.
fn cut(text: &impl Display) -> String {
    text.to_string().chars().take(MOST_TEXT).collect()
}

/// Octets that are left for answers.
struct Room(usize);

impl Room {
    /// What was asked and answered. Where there is no room left, the number of what is left out.
    fn consulted(&mut self, all: &[Consulted]) -> Value {
        let mut kept = Vec::new();
        for consulted in all.iter().take(MOST_CONSULTED) {
            let one = answered(consulted);
            let Some(left) = self.0.checked_sub(one.to_string().len()) else { break };
            self.0 = left;
            kept.push(one);
        }
        let omitted = all.len() - kept.len();
        if omitted > 0 {
            kept.push(json!({ "omitted": omitted }));
        }
        Value::Array(kept)
    }
}

fn answered(consulted: &Consulted) -> Value {
    let (record_type, name) = (consulted.record_type.to_string(), consulted.name.as_ascii());
    match &consulted.answered {
        Answered::Answer { records, existence, authenticity, alias_of, remarks } => json!({
            "type": record_type,
            "name": name,
            "records": records.iter().map(cut).collect::<Vec<_>>(),
            "existence": match existence {
                Existence::Found => "found",
                Existence::NoData => "nodata",
                Existence::NxDomain => "nxdomain",
            },
            "alias-of": alias_of.as_ref().map(Domain::to_string),
            "dnssec": dnssec(*authenticity),
            "remarks": remarks.iter().map(cut).collect::<Vec<_>>(),
        }),
        Answered::Failed { words, .. } => json!({ "type": record_type, "name": name, "failed": cut(words) }),
    }
}
