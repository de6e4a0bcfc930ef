//! DKIM keys and signatures (RFC 6376).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailstead_dns::{Existence, Record, Txt};
use mailstead_mailauth::Evidence;
use mailstead_mailauth::crypto::{
    AwsLcRs, KeyType, PrivateKey, PrivateKeyError, PublicKey, PublicKeyError, generate_pem, read_pem, read_public_pem,
};
use mailstead_mailauth::dkim::{
    Algorithm, BodyHasher, Key, KeyRecord, Outcome, Policy, Selector, Signer, Testing, Verification, sign,
    split_message, verify,
};
use mailstead_mailauth::psl::is_public_suffix;
use mailstead_names::{Domain, Secret};
use serde_json::{Value, json};

use super::message::{LineEnd, Message};
use super::options::{DkimCommand, DkimKeyType, KeyPlace};
use super::{Finding, count, now, resolver};
use crate::cli::print;
use crate::failure::Failure;
use crate::files::write_new;

/// Key files are shorter: an RSA key of 8192 bits takes some 6500 octets.
const MOST_KEY_OCTETS: u64 = 64 * 1024;
/// With less nobody should sign, and many do not verify (RFC 8301 §3.2).
const LEAST_RSA_BITS: usize = 2048;

/// `mailstead dkim`.
pub(crate) async fn run(command: DkimCommand) -> Result<(), Failure> {
    match command {
        DkimCommand::Generate { key_type, out, place, json } => generate(key_type, out.as_deref(), &place, json),
        DkimCommand::Lookup { selector, domain, asking } => {
            let name = domain
                .prepend(&format!("{selector}._domainkey"))
                .map_err(|error| Failure::new(format!("selector and domain make no name: {error}")))?;
            let resolver = resolver(&asking.source).await?;
            let mut evidence = Evidence::default();
            match evidence.records::<Txt>(&resolver, &name).await {
                Ok(answer) => looked_up(&name, answer.existence, &answer.records, &evidence).show(asking.json),
                Err(error) => {
                    key_finding("temperror", &name, &evidence).show(asking.json)?;
                    Err(Failure::new(error.to_string()))
                }
            }
        }
        DkimCommand::Txt { key, place, json } => public_half(&read_public_key(&key)?, &place).show(json),
        DkimCommand::Verify { file, asking } => {
            let message = file.read()?;
            let resolver = resolver(&asking.source).await?;
            let policy = Policy::new(now(), &is_public_suffix);
            verified(&verify(&message.octets, &AwsLcRs, &resolver, &policy).await).show(asking.json)
        }
        DkimCommand::Sign { keys, selectors, domain, file, json } => {
            if keys.len() != selectors.len() {
                return Err(Failure::new("give a --selector for each --key"));
            }
            let signer = |(key, selector): (&PathBuf, &Selector)| {
                Ok(Signer::new(domain.clone(), selector.clone(), read_key(key)?))
            };
            let signers = keys.iter().zip(&selectors).map(signer).collect::<Result<Vec<_>, Failure>>()?;
            let fields = signed(&signers, &file.read()?)?;
            if json {
                print(&json!({ "fields": fields }).to_string())
            } else {
                // As it is to be put before the message: without an empty line.
                print(fields.strip_suffix('\n').unwrap_or(&fields))
            }
        }
    }
}

fn generate(key_type: DkimKeyType, out: Option<&Path>, place: &KeyPlace, json: bool) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let pem = generate_pem(&AwsLcRs, key_type.into()).map_err(|error| failed(&error))?;
    let key = read_pem(&AwsLcRs, pem.expose()).map_err(|error| failed(&error))?;
    let mut finding = public_half(key.public_key(), place);
    match out {
        Some(path) => {
            write_new(path, pem.expose())?;
            finding.put("file", json!(path.display().to_string()));
        }
        None if json => finding.put("pem", json!(pem.expose())),
        // Text after a key is ignored (RFC 7468 §2), so that all of it may become the file of the key.
        None => print(pem.expose())?,
    }
    finding.show(json)
}

pub(super) fn read_key(path: &Path) -> Result<Arc<dyn PrivateKey>, Failure> {
    read_pem(&AwsLcRs, key_file(path)?.expose()).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// The public half of a private key, or a public key.
pub(super) fn read_public_key(path: &Path) -> Result<PublicKey, Failure> {
    let failed = |reason: &dyn std::fmt::Display| Failure::new(format!("{}: {reason}", path.display()));
    let pem = key_file(path)?;
    let key = match read_public_pem(pem.expose()) {
        Err(PublicKeyError::Pem) => {
            let private = read_pem(&AwsLcRs, pem.expose()).map_err(|error| match error {
                PrivateKeyError::Pem => failed(&"neither a private nor a public key in PEM form"),
                error => failed(&error),
            });
            private?.public_key().clone()
        }
        key => key.map_err(|error| failed(&error))?,
    };
    if key.key_type() == KeyType::Rsa && key.bits() < LEAST_RSA_BITS {
        return Err(failed(&format!("an RSA key of {} bits, {LEAST_RSA_BITS} are needed (RFC 8301)", key.bits())));
    }
    Ok(key)
}

fn key_file(path: &Path) -> Result<Secret<String>, Failure> {
    // With the capacity for all of it, no copy stays behind when the string grows.
    let mut pem = String::with_capacity(usize::try_from(MOST_KEY_OCTETS).unwrap_or_default());
    let read = File::open(path).and_then(|file| file.take(MOST_KEY_OCTETS).read_to_string(&mut pem));
    let pem = Secret::new(pem);
    read.map_err(|error| Failure::new(format!("{}: cannot read it: {error}", path.display())))?;
    Ok(pem)
}

/// The record for a key: as a line of a zone file where its name is known.
pub(super) fn public_half(key: &PublicKey, place: &KeyPlace) -> Finding {
    let record = KeyRecord::new(key.clone());
    let name = match place {
        KeyPlace { selector: Some(selector), domain: Some(domain) } => Some(format!("{selector}._domainkey.{domain}.")),
        _ => None,
    };
    let strings = Record::Txt(record.to_txt()).to_string();
    let line = match &name {
        Some(name) => format!("{name} TXT {strings}"),
        None => format!("TXT {strings}"),
    };
    let mut finding = Finding::new(line.as_str());
    finding.put("name", json!(name));
    finding.put("record", json!(record.to_string()));
    finding.put("zone_line", json!(line));
    finding.put("key", key_json(&record));
    finding
}

fn key_text(record: &KeyRecord) -> String {
    let key = match &record.key {
        Key::Public(key) => format!("{} key of {} bits", key.key_type(), key.bits()),
        Key::Revoked(key_type) => format!("revoked {key_type} key"),
    };
    let service = if record.allows_service("email") { "" } else { ", not for mail" };
    let hash = if record.allows_hash("sha256") { "" } else { ", not with sha256" };
    let testing = if record.is_testing() { ", for tests: signatures count for nothing" } else { "" };
    let strict = if record.is_strict() { ", not for subdomains in i=" } else { "" };
    format!("{key}{service}{hash}{testing}{strict}")
}

fn key_json(record: &KeyRecord) -> Value {
    json!({
        "type": record.key_type().name(),
        "bits": record.public_key().map(PublicKey::bits),
        "revoked": record.public_key().is_none(),
        "hashes": record.hashes,
        "services": record.services,
        "flags": record.flags,
        "notes": record.notes,
    })
}

fn key_finding(result: &str, name: &Domain, evidence: &Evidence) -> Finding {
    let mut finding = Finding::result(result, &format!("DKIM key {name}"), evidence.authenticity());
    finding.put("name", json!(name.as_ascii()));
    finding
}

/// What is published under the name of a key.
fn looked_up(name: &Domain, existence: Existence, texts: &[Txt], evidence: &Evidence) -> Finding {
    let parsed: Vec<_> = texts.iter().map(|txt| KeyRecord::parse(&txt.joined())).collect();
    let keys: Vec<_> = parsed.iter().flatten().collect();
    let errors = parsed.iter().filter_map(|record| record.as_ref().err()).map(|error| format!("no key: {error}"));
    let (result, reason) = match keys.as_slice() {
        [] if existence == Existence::NxDomain => ("none", Some("there is no such name".to_owned())),
        [] if texts.is_empty() => ("none", Some("there is no TXT record".to_owned())),
        [] => ("permerror", None),
        [key] if key.public_key().is_none() => ("revoked", None),
        [_] => ("valid", None),
        // RFC 6376 §3.6.2.2
        several => ("valid", Some(format!("{} under one name, where only one may be", count(several.len(), "key")))),
    };
    let mut finding = key_finding(result, name, evidence);
    finding.reasons(reason.into_iter().chain(errors));
    for key in &keys {
        finding.line(key_text(key));
    }
    finding.put("keys", keys.iter().map(|key| key_json(key)).collect());
    finding.evidence(evidence);
    finding
}

/// What came of the signatures of a message.
pub(super) fn verified(verification: &Verification) -> Finding {
    let outcomes = &verification.outcomes;
    let passed = outcomes.iter().filter(|outcome| outcome.authenticated().is_some()).count();
    // What the message as a whole can count on: one good signature is enough (RFC 6376 §4.2).
    let result = match outcomes.as_slice() {
        _ if passed > 0 => "pass",
        [first, ..] if first.authenticated().is_none() && first.testing == Testing::Yes => "none",
        [first, ..] => first.status.name(),
        [] => "none",
    };
    let about = match outcomes.len() {
        0 => "the message has no DKIM signature".to_owned(),
        signatures => format!("{} of {} good", passed, count(signatures, "DKIM signature")),
    };
    let mut finding = Finding::new(format!("{result}: {about}"));
    finding.put("result", json!(result));
    let mut objects = Vec::new();
    for outcome in outcomes {
        let part = signature(outcome);
        finding.line(part.text.replace('\n', "\n  "));
        objects.push(Value::Object(part.json));
    }
    finding.put("signatures", Value::Array(objects));
    if verification.ignored > 0 {
        finding.line(format_args!("{} more not looked at", count(verification.ignored, "signature")));
    }
    finding.put("ignored", json!(verification.ignored));
    finding
}

fn signature(outcome: &Outcome) -> Finding {
    let domain = outcome.domain.as_ref().map_or("an unknown domain", |domain| domain.as_ascii());
    let selector = outcome.selector.as_ref().map(|s| format!(", selector {s}")).unwrap_or_default();
    let algorithm = outcome.algorithm().map(|algorithm| format!(", {}", algorithm.name())).unwrap_or_default();
    let key = outcome.key.as_ref().map(|key| format!(", {}", key_text(key))).unwrap_or_default();
    let about = format!("{domain}{selector}{algorithm}{key}");
    let mut finding = Finding::result(outcome.status.name(), &about, outcome.authenticity);
    finding.put("domain", json!(outcome.domain.as_ref().map(Domain::as_ascii)));
    finding.put("selector", json!(outcome.selector.as_ref().map(Selector::as_str)));
    finding.put("algorithm", json!(outcome.algorithm().map(Algorithm::name)));
    finding.put("identity", json!(outcome.identity().map(ToString::to_string)));
    finding.put("key", outcome.key.as_ref().map_or(Value::Null, key_json));
    finding.put("testing", json!(outcome.testing == Testing::Yes));
    if let Some(signature) = &outcome.signature {
        finding.put("fields", json!(signature.fields));
        finding.put("body_length", json!(signature.body_length));
        finding.put("time", json!(signature.time));
        finding.put("expires", json!(signature.expires));
    }
    finding.reasons(outcome.reasons.iter().map(ToString::to_string));
    finding.evidence(&outcome.evidence);
    finding
}

/// The fields for a message, with the line ends of its file.
pub(super) fn signed(signers: &[Signer], message: &Message) -> Result<String, Failure> {
    let (header, body) = split_message(&message.octets);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    signers.iter().for_each(|signer| signer.request(&mut hasher));
    hasher.update(body);
    let fields = sign(signers, &AwsLcRs, header, &hasher.finish(), now())
        .map_err(|error| Failure::new(format!("cannot sign: {error}")))?;
    Ok(match message.line_end {
        LineEnd::CrLf => fields,
        LineEnd::Lf => fields.replace("\r\n", "\n"),
    })
}
