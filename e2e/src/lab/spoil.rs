//! The faults that are made in a zone after it was signed, on the lines of its file: `owner ttl class type data`.

use std::fmt::Write as _;

use super::zone::{Field, Spoil, Zone};

/// A record as both signers write it.
struct Line {
    owner: String,
    ttl: String,
    rtype: String,
    fields: Vec<String>,
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let text = if text.starts_with(';') { "" } else { text };
        let mut words = text.split_whitespace().map(ToOwned::to_owned);
        let (owner, ttl, _class, rtype) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Self { owner, ttl, rtype, fields: words.collect() })
    }

    /// Whether it is a signature over this type, or any.
    fn signs(&self, rtype: Option<&str>) -> bool {
        self.rtype == "RRSIG" && rtype.is_none_or(|rtype| self.fields.first().is_some_and(|covered| covered == rtype))
    }

    fn alter(&mut self, field: Field) {
        let at = match field {
            Field::Algorithm => 1,
            Field::Labels => 2,
            Field::OriginalTtl => 3,
            Field::Expiration => 4,
            Field::KeyTag => 6,
            Field::Signer => 7,
            Field::Signature => 8,
        };
        let old = self.fields[at].clone();
        let number = old.parse::<u64>().unwrap_or_default();
        self.fields[at] = match field {
            Field::Algorithm => if number == 8 { "13" } else { "8" }.to_owned(),
            Field::Labels => number.saturating_sub(1).to_string(),
            // Longer, as the shorter of two is what counts (RFC 4035 §5.3.3).
            Field::OriginalTtl => (number + 3300).to_string(),
            Field::Expiration => "20560101000000".to_owned(),
            Field::KeyTag => ((number + 1) % 65536).to_string(),
            Field::Signer => old.split_once('.').expect("a name").1.to_owned(),
            Field::Signature => another(&old),
        };
    }
}

/// The word with one letter changed, in its middle: the last letter of base64 may count for nothing.
fn another(word: &str) -> String {
    let (before, after) = word.split_at(word.len() / 2);
    let letter = if after.starts_with('0') { "1" } else { "0" };
    format!("{before}{letter}{}", &after[1..])
}

/// The data with one field altered.
pub(crate) fn altered(data: &str, field: usize) -> String {
    let mut fields: Vec<String> = data.split_whitespace().map(ToOwned::to_owned).collect();
    fields[field] = another(&fields[field]);
    fields.join(" ")
}

/// Whether the zone must be signed a second time with dates of the past.
pub(crate) fn wants_stale(zone: &Zone) -> bool {
    zone.spoils.iter().any(|spoil| matches!(spoil, Spoil::Stale(..)))
}

/// The signed zone with its faults; `stale` is the same zone with signatures that have expired.
pub(crate) fn apply(zone: &Zone, signed: &str, stale: &str) -> String {
    let mut lines: Vec<Line> = signed.lines().filter_map(Line::read).collect();
    for spoil in &zone.spoils {
        apply_one(zone, &mut lines, *spoil, stale);
    }
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{} {} IN {} {}", line.owner, line.ttl, line.rtype, line.fields.join(" "));
        text
    })
}

fn apply_one(zone: &Zone, lines: &mut Vec<Line>, spoil: Spoil, stale: &str) {
    let before = lines.len();
    let mut touched = 0;
    let at = |line: &Line, owner: &str| line.owner.eq_ignore_ascii_case(&zone.full(owner));
    match spoil {
        Spoil::Signature(owner, rtype, field) => {
            for line in lines.iter_mut().filter(|line| at(line, owner) && line.signs(Some(rtype))) {
                line.alter(field);
                touched += 1;
            }
        }
        Spoil::Signatures(rtype) => {
            for line in lines.iter_mut().filter(|line| line.signs(Some(rtype))) {
                line.alter(Field::Signature);
                touched += 1;
            }
        }
        Spoil::Unsign => lines.retain(|line| !line.signs(None) || line.signs(Some("DNSKEY"))),
        Spoil::Remove(owner, rtype) => {
            lines.retain(|line| !(at(line, owner) && (line.rtype == rtype || line.signs(Some(rtype)))));
        }
        Spoil::RemoveSignature(owner, rtype) => {
            lines.retain(|line| !(at(line, owner) && line.signs(Some(rtype))));
        }
        Spoil::Add(line) => {
            let (owner, rest) = line.split_once(' ').expect("an owner");
            lines.extend(Line::read(&format!("{} 300 IN {rest}", zone.full(owner))));
        }
        Spoil::Replace(owner, rtype, data) => {
            for line in lines.iter_mut().filter(|line| at(line, owner) && line.rtype == rtype) {
                line.fields = vec![data.to_owned()];
                touched += 1;
            }
        }
        Spoil::Stale(owner, rtype) => {
            let old = stale.lines().filter_map(Line::read).find(|line| at(line, owner) && line.signs(Some(rtype)));
            let old = old.expect("an expired signature");
            for line in lines.iter_mut().filter(|line| at(line, owner) && line.signs(Some(rtype))) {
                line.fields.clone_from(&old.fields);
                touched += 1;
            }
        }
    }
    // A fault that is not there would make the zone a good one without a word.
    assert!(touched > 0 || lines.len() != before, "{spoil:?} finds nothing in {}", zone.name);
}
