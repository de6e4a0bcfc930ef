//! The fields of a chain and their sets (RFC 8617 §4.1, §4.2).
//!
//! ```abnf
//! position = 1*2DIGIT
//! instance = [CFWS] %s"i" [CFWS] "=" [CFWS] position
//! arc-info = instance [CFWS] ";" authres-payload
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use mailstead_message::Field;
use mailstead_names::Domain;

use super::chain::{ChainStatus, FieldKind, Reason, Set};
use crate::dkim::{self, Algorithm, HeaderIndex, Identity, Selector, Signature, signature};
use crate::taglist::{TagList, number};

/// Sets of a chain (§4.2.1).
pub const MOST_SETS: u8 = 50;

/// A signature field: the field, where in its value the signature proper is, and what it says.
#[derive(Debug)]
pub(super) struct Signing<'h, T> {
    pub(super) field: Field<'h>,
    pub(super) own: Range<usize>,
    pub(super) parsed: Result<T, dkim::Reason>,
}

/// An ARC-Seal (§4.1.3).
#[derive(Debug)]
pub(super) struct Seal {
    pub(super) algorithm: Algorithm,
    pub(super) signature: Vec<u8>,
    pub(super) domain: Domain,
    pub(super) selector: Selector,
    pub(super) chain_status: ChainStatus,
}

/// The fields of one instance.
#[derive(Debug)]
pub(super) struct Fields<'h> {
    pub(super) instance: u8,
    pub(super) results: Field<'h>,
    pub(super) message_signature: Signing<'h, Signature>,
    pub(super) seal: Signing<'h, Seal>,
}

/// Collects the sets, in their order. Empty where there is no ARC field at all.
pub(super) fn collect<'h>(index: &HeaderIndex<'h>) -> Result<Vec<Fields<'h>>, Reason> {
    let mut sets: BTreeMap<u8, BTreeMap<usize, Field<'h>>> = BTreeMap::new();
    for (position, kind) in FieldKind::ALL.into_iter().enumerate() {
        let fields = index.named(&kind.name().to_ascii_lowercase());
        // §5.2 step 1
        if fields.len() > MOST_SETS.into() {
            return Err(Reason::TooManySets);
        }
        for field in fields {
            let instance = instance(kind, field).ok_or(Reason::Instance(kind))?;
            // Step 3 A
            if sets.entry(instance).or_default().insert(position, *field).is_some() {
                return Err(Reason::Repeated(instance, kind));
            }
        }
    }
    let last = sets.keys().last().copied().unwrap_or(0);
    let take = |instance: u8, kind: FieldKind, position: usize| {
        let field = sets.get(&instance).and_then(|set| set.get(&position)).copied();
        field.ok_or(Reason::Missing(instance, kind))
    };
    // Step 3 B: gaps are sets without any field.
    (1..=last)
        .map(|instance| {
            Ok(Fields {
                instance,
                results: take(instance, FieldKind::Results, 0)?,
                message_signature: signing(take(instance, FieldKind::MessageSignature, 1)?, message_signature),
                seal: signing(take(instance, FieldKind::Seal, 2)?, seal),
            })
        })
        .collect()
}

fn instance(kind: FieldKind, field: &Field<'_>) -> Option<u8> {
    let text = match kind {
        FieldKind::Results => arc_info(&field.unfolded())?.0,
        FieldKind::MessageSignature | FieldKind::Seal => position(signature::list(field.value()).ok()?.get("i")?)?,
    };
    Some(text)
}

fn position(text: &str) -> Option<u8> {
    let position = u8::try_from(number(text)?).ok()?;
    (text.len() <= 2 && (1..=MOST_SETS).contains(&position)).then_some(position)
}

/// Instance and payload of an ARC-Authentication-Results field.
fn arc_info(value: &str) -> Option<(u8, &str)> {
    let rest = after_cfws(after_cfws(value).strip_prefix('i')?).strip_prefix('=')?;
    let rest = after_cfws(rest);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(digits);
    let payload = after_cfws(rest).strip_prefix(';')?;
    Some((position(digits)?, payload.trim()))
}

/// Skips white space and comments (RFC 5322 §3.2.2).
fn after_cfws(text: &str) -> &str {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' if depth > 0 => escaped = true,
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ' ' | '\t' => {}
            _ if depth > 0 => {}
            _ => return text.get(at..).unwrap_or_default(),
        }
    }
    ""
}

fn signing<'h, T>(field: Field<'h>, parse: impl Fn(&TagList<'_>) -> Result<T, dkim::Reason>) -> Signing<'h, T> {
    match signature::list(field.value()) {
        Ok(list) => {
            Signing { field, own: list.tag("b").map(|tag| tag.span.clone()).unwrap_or_default(), parsed: parse(&list) }
        }
        Err(reason) => Signing { field, own: 0..0, parsed: Err(reason) },
    }
}

/// An ARC-Message-Signature (§4.1.2): a DKIM-Signature without version and with another meaning of `i=`.
fn message_signature(list: &TagList<'_>) -> Result<Signature, dkim::Reason> {
    let domain = signature::domain(list)?;
    let identity = Identity { localpart: String::new(), domain: domain.clone() };
    let signature = Signature::from_tags(list, domain, identity)?;
    // §4.1.2 forbids all ARC fields and Authentication-Results, but those who seal do sign the former's results. Only the
    // seal is impossible: it comes after the signature that would cover it.
    if signature.fields.iter().any(|name| name == "arc-seal") {
        return Err(dkim::Reason::BadTag("h"));
    }
    Ok(signature)
}

fn seal(list: &TagList<'_>) -> Result<Seal, dkim::Reason> {
    // §4.1.3: which fields are covered is not for the sealer to say.
    if list.get("h").is_some() {
        return Err(dkim::Reason::BadTag("h"));
    }
    let chain_status = list.get("cv").ok_or(dkim::Reason::MissingTag("cv"))?;
    signature::optional_number(list, "t")?;
    Ok(Seal {
        algorithm: signature::algorithm(list)?,
        signature: signature::octets(list, "b")?,
        domain: signature::domain(list)?,
        selector: signature::selector(list)?,
        chain_status: ChainStatus::parse(chain_status).ok_or(dkim::Reason::BadTag("cv"))?,
    })
}

impl Fields<'_> {
    pub(super) fn to_set(&self) -> Set {
        let seal = self.seal.parsed.as_ref().ok();
        Set {
            instance: self.instance,
            sealer: seal.map(|seal| seal.domain.clone()),
            selector: seal.map(|seal| seal.selector.clone()),
            signer: self.message_signature.parsed.as_ref().ok().map(|signature| signature.domain.clone()),
            chain_status: seal.map(|seal| seal.chain_status),
            results: arc_info(&self.results.unfolded()).map(|(_, payload)| payload.to_owned()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_results() {
        for (value, expected) in [
            ("i=1; mx.example; none", Some((1, "mx.example; none"))),
            (" i = 50 ;x", Some((50, "x"))),
            ("(a (b) \\) c) i (d)=(e)7(f);", Some((7, ""))),
            ("i=01; x", Some((1, "x"))),
            ("i=0; x", None),
            ("i=51; x", None),
            ("i=001; x", None),
            ("i=; x", None),
            ("i=1", None),
            ("I=1; x", None),
            ("mx.example; i=1; none", None),
            ("(i=1; x", None),
            ("", None),
        ] {
            assert_eq!(arc_info(value), expected, "{value}");
        }
    }

    #[test]
    fn fields_make_sets() {
        let collect = |fields: &[(FieldKind, &str)]| {
            let header: String = fields.iter().map(|(kind, value)| format!("{kind}: {value}\r\n")).collect();
            collect(&HeaderIndex::new(header.as_bytes())).map(|sets| sets.len())
        };
        use FieldKind::{MessageSignature, Results, Seal};
        let set = |i: &'static str| [(Seal, i), (MessageSignature, i), (Results, i)];
        assert_eq!(collect(&[]), Ok(0));
        assert_eq!(collect(&set("i=1;")), Ok(1));
        assert_eq!(collect(&[set("i=1;"), set("i=2;")].concat()), Ok(2));
        assert_eq!(collect(&[set("i=2;"), set("i=1;")].concat()), Ok(2));
        assert_eq!(collect(&set("i=2;")), Err(Reason::Missing(1, Results)));
        assert_eq!(collect(&set("i=1;")[1..]), Err(Reason::Missing(1, Seal)));
        assert_eq!(collect(&[set("i=1;"), set("i=3;")].concat()), Err(Reason::Missing(2, Results)));
        assert_eq!(collect(&[set("i=1;"), set("i=1;")].concat()), Err(Reason::Repeated(1, Results)));
        assert_eq!(collect(&[(Seal, "a=b")]), Err(Reason::Instance(Seal)));
        assert_eq!(collect(&[(Seal, "i=1; i=1")]), Err(Reason::Instance(Seal)));
        assert_eq!(collect(&[(Results, "x; none")]), Err(Reason::Instance(Results)));
        assert_eq!(collect(&[(MessageSignature, "i=51")]), Err(Reason::Instance(MessageSignature)));
        assert_eq!(collect(&[(Seal, "i=1;"); 51]), Err(Reason::TooManySets));
    }
}
