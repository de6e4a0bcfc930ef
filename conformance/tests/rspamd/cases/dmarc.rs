//! DMARC: what SPF and DKIM prove, how the record wants it aligned, and where the record is.

use mailstead_mailauth::crypto::KeyType;
use mailstead_mailauth::dkim::KeyRecord;

use super::{BAD, Case, GOOD, key, message, signed, signer, txt};

/// Records at the author's domain `{d}` and at the organization's `{o}`, as `owner=record`, parted by `|`.
const RECORDS: &[(&str, &str)] = &[
    ("reject", "{d}=v=DMARC1; p=reject"),
    ("quarantine-strict", "{d}=v=DMARC1; p=quarantine; adkim=s; aspf=s"),
    ("none", "{d}=v=DMARC1; p=none"),
    ("organization", "{o}=v=DMARC1; p=reject"),
    ("organization-sp", "{o}=v=DMARC1; p=none; sp=quarantine"),
    ("both", "{d}=v=DMARC1; p=none|{o}=v=DMARC1; p=reject; sp=reject"),
    ("absent", ""),
    ("two", "{d}=v=DMARC1; p=reject|{d}=v=DMARC1; p=none"),
    ("no-policy", "{d}=v=DMARC1; rua=mailto:a@{d}"),
    ("bad-policy", "{d}=v=DMARC1; p=destroy"),
    ("other-version", "{d}=v=DMARC2; p=reject"),
    ("capitals", "{d}=v=DMARC1; P=Reject"),
];

/// What is proved: for SPF and for DKIM a domain, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proved {
    Author,
    Organization,
    Elsewhere,
    Nothing,
}

const PROVED: [Proved; 4] = [Proved::Author, Proved::Organization, Proved::Elsewhere, Proved::Nothing];

pub(super) fn cases() -> Vec<Case> {
    let key = key(KeyType::Rsa);
    let mut cases = Vec::new();
    for (number, (label, records)) in RECORDS.iter().enumerate() {
        let organization = format!("o{number}.example");
        let author = format!("news.{organization}");
        let elsewhere = format!("e{number}.example");
        let mut zone: String = records
            .split('|')
            .filter_map(|record| record.split_once('='))
            .map(|(owner, record)| {
                let owner = owner.replace("{d}", &author).replace("{o}", &organization);
                txt(&format!("_dmarc.{owner}"), &record.replace("{d}", &author))
            })
            .collect();
        let public = KeyRecord::new(key.public_key().clone()).to_string();
        for domain in [&author, &organization, &elsewhere] {
            zone += &txt(domain, &format!("v=spf1 ip4:{GOOD} -all"));
            zone += &txt(&format!("key._domainkey.{domain}"), &public);
        }
        for spf in PROVED {
            for dkim in PROVED {
                let domain = |proved| match proved {
                    Proved::Author | Proved::Nothing => &author,
                    Proved::Organization => &organization,
                    Proved::Elsewhere => &elsewhere,
                };
                let text = message(&format!("user@{author}"));
                let text = if dkim == Proved::Nothing { text } else { signed(signer(domain(dkim), &key), &text) };
                let ip = if spf == Proved::Nothing { BAD } else { GOOD };
                cases.push(Case {
                    name: format!("dmarc {label} spf={spf:?} dkim={dkim:?}"),
                    zone: std::mem::take(&mut zone),
                    ip: ip.parse().expect("an address"),
                    mail_from: format!("user@{}", domain(spf)),
                    message: text.into_bytes(),
                });
            }
        }
    }
    cases
}
