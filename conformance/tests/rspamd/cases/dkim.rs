//! DKIM: keys and their records, canonicalizations, and what happens to a message on the way.

use std::sync::Arc;
use std::time::Duration;

use mailstead_mailauth::crypto::{KeyType, PrivateKey};
use mailstead_mailauth::dkim::{Canonicalization, KeyRecord};

use super::{BAD, Case, key, message, signed, signer, txt};

/// What happens to a message: a label, what is replaced in it and by what.
const CHANGES: &[(&str, &str, &str)] = &[
    ("unchanged", "", ""),
    ("body-changed", "hungry", "thirsty"),
    ("body-spaces", "you  hungry? ", "you hungry?"),
    ("body-ends-longer", "hungry? \r\n\r\n", "hungry? \r\n\r\n\r\n\r\n"),
    ("body-ends-shorter", "hungry? \r\n\r\n", "hungry? \r\n"),
    ("subject-changed", "A question", "An answer"),
    ("subject-folded", "A question\r\n about", "A question about"),
    ("subject-spaces", "A question", "A  question"),
    ("subject-again", "Subject: A question", "Subject: Another\r\nSubject: A question"),
    ("name-in-capitals", "Subject: ", "SUBJECT:"),
    ("from-again", "From: Author", "From: <evil@evil.example>\r\nFrom: Author"),
    ("unsigned-field", "To: <rcpt", "X-List: one\r\nTo: <rcpt"),
];

/// What is said of the key: a label and its record; `{p}` is the key and `{k}` its type.
const RECORDS: &[(&str, &str)] = &[
    ("plain", "v=DKIM1; k={k}; p={p}"),
    ("without-version", "k={k}; p={p}"),
    ("without-type", "v=DKIM1; p={p}"),
    ("other-type", "v=DKIM1; k=other; p={p}"),
    ("other-version", "v=DKIM2; k={k}; p={p}"),
    ("revoked", "v=DKIM1; k={k}; p="),
    ("without-key", "v=DKIM1; k={k}"),
    ("bad-key", "v=DKIM1; k={k}; p=AAAA!"),
    ("other-key", "v=DKIM1; k={k}; p={o}"),
    ("sha256", "v=DKIM1; h=sha256; k={k}; p={p}"),
    ("sha1", "v=DKIM1; h=sha1; k={k}; p={p}"),
    ("service-all", "v=DKIM1; s=*; k={k}; p={p}"),
    ("service-email", "v=DKIM1; s=email; k={k}; p={p}"),
    ("service-other", "v=DKIM1; s=tlsrpt; k={k}; p={p}"),
    ("testing", "v=DKIM1; t=y; k={k}; p={p}"),
    ("strict", "v=DKIM1; t=s; k={k}; p={p}"),
    ("notes", "v=DKIM1; n=a note; k={k}; p={p}"),
    ("spaces", "v=DKIM1 ; k = {k} ; p = {p} ;"),
    ("unknown-tag", "v=DKIM1; k={k}; z=what; p={p}"),
    ("two", "v=DKIM1; k={k}; p={o}|v=DKIM1; k={k}; p={p}"),
    ("none", ""),
];

/// What is done to the signature itself.
const SIGNATURES: &[(&str, &str, &str)] = &[
    ("version-2", "v=1;", "v=2;"),
    ("no-version", "v=1;", ""),
    ("unknown-algorithm", "a=rsa-sha256;", "a=rsa-sha3;"),
    ("sha1", "a=rsa-sha256;", "a=rsa-sha1;"),
    ("unknown-canonicalization", "c=relaxed/relaxed;", "c=tidy/tidy;"),
    ("other-canonicalization", "c=relaxed/relaxed;", "c=simple/simple;"),
    ("other-selector", "s=key;", "s=other;"),
    ("body-hash-altered", "bh=", "bh=AAAA"),
    ("signature-altered", " b=", " b=AAAA"),
    ("identity-elsewhere", "s=key;", "s=key; i=@evil.example;"),
    ("unknown-tag", "s=key;", "s=key; zz=1;"),
];

fn public(key: &Arc<dyn PrivateKey>) -> String {
    let record = KeyRecord::new(key.public_key().clone()).to_string();
    record.split_once("p=").map(|(_, key)| key.trim_end_matches(';').to_owned()).expect("the record has a key")
}

fn case(name: &str, domain: &str, records: &str, message: String) -> Case {
    let owner = format!("key._domainkey.{domain}");
    let zone = records.split('|').filter(|record| !record.is_empty()).map(|record| txt(&owner, record)).collect();
    Case {
        name: format!("dkim {name}"),
        zone,
        ip: BAD.parse().expect("an address"),
        mail_from: format!("user@{domain}"),
        message: message.into_bytes(),
    }
}

pub(super) fn cases() -> Vec<Case> {
    // Each with another that the message is not signed with.
    let [rsa, ed25519] = [KeyType::Rsa, KeyType::Ed25519].map(|key_type| (key(key_type), key(key_type)));
    let plain = format!("v=DKIM1; k=rsa; p={}", public(&rsa.0));
    let mut cases = Vec::new();
    let mut number = 0;
    let mut domain = || {
        number += 1;
        format!("signed{number}.example")
    };
    for header in [Canonicalization::Relaxed, Canonicalization::Simple] {
        for body in [Canonicalization::Relaxed, Canonicalization::Simple] {
            for (label, from, to) in CHANGES {
                let domain = domain();
                let mut signer = signer(&domain, &rsa.0);
                (signer.header_canonicalization, signer.body_canonicalization) = (header, body);
                let message = signed(signer, &message(&format!("user@{domain}"))).replacen(from, to, 1);
                cases.push(case(&format!("{header}/{body} {label}"), &domain, &plain, message));
            }
        }
    }
    for (label, record) in RECORDS {
        for (kind, (key, other)) in [("rsa", &rsa), ("ed25519", &ed25519)] {
            let domain = domain();
            let record = record.replace("{k}", kind).replace("{p}", &public(key)).replace("{o}", &public(other));
            let message = signed(signer(&domain, key), &message(&format!("user@{domain}")));
            cases.push(case(&format!("{kind} record {label}"), &domain, &record, message));
        }
    }
    for (label, from, to) in SIGNATURES {
        let domain = domain();
        let message = signed(signer(&domain, &rsa.0), &message(&format!("user@{domain}")));
        assert!(message.contains(from), "{label}: {message}");
        cases.push(case(&format!("signature {label}"), &domain, &plain, message.replacen(from, to, 1)));
    }
    let domain = domain();
    let mut expired = signer(&domain, &rsa.0);
    expired.lifetime = Some(Duration::from_secs(1));
    let message = signed(expired, &message(&format!("user@{domain}")));
    cases.push(case("signature expired", &domain, &plain, message));
    cases
}
