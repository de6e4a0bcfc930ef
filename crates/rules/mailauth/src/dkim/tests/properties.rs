//! Properties: what is signed verifies, in whatever pieces it comes; what changes the canonical form does not.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// Made once: making RSA keys takes its time.
static KEYS: LazyLock<[Signer; 2]> = LazyLock::new(|| [signer(KeyType::Rsa), signer(KeyType::Ed25519)]);

fn canonicalization() -> impl Strategy<Value = Canonicalization> {
    prop_oneof![Just(Canonicalization::Simple), Just(Canonicalization::Relaxed)]
}

prop_compose! {
    fn any_signer()(
        key in 0_usize..2,
        header in canonicalization(),
        body in canonicalization(),
        lifetime in proptest::option::of(1_u64..1_000_000),
        identity in proptest::option::of("\\PC{0,20}"),
    ) -> Signer {
        Signer {
            header_canonicalization: header,
            body_canonicalization: body,
            lifetime: lifetime.map(Duration::from_secs),
            identity: identity.map(|localpart| Identity { localpart, domain: domain("a.example.org") }),
            ..KEYS[key].clone()
        }
    }
}

/// Headers with folding, odd white space, repeated and empty fields and UTF-8.
fn header() -> impl Strategy<Value = String> {
    let name = prop_oneof!["(From|To|Cc|Subject|SUBJECT|Received|List-ID|MIME-Version)", "[!-9;-~]{1,12}"];
    let field = (name, "[ \t]{0,2}", "[ -~\tä€]{0,40}(\r\n[ \t][ -~]{0,20}){0,3}")
        .prop_map(|(name, space, value)| format!("{name}{space}:{value}\r\n"));
    proptest::collection::vec(field, 0..8).prop_map(|fields| {
        // No signature but our own.
        fields.concat().replace("DKIM-Signature", "X") + "From: a@example.org\r\n"
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(b"\r\n".to_vec()),
        2 => Just(b" ".to_vec()),
        1 => Just(b"\t".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        4 => proptest::collection::vec(any::<u8>(), 1..20),
        1 => proptest::collection::vec(Just(b'a'), 900..5000),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// What of a message a signature covers, in canonical form.
fn covered(message: &[u8], signature: &Signature) -> (Vec<u8>, Vec<u8>) {
    let (header, body) = split_message(message);
    let index = HeaderIndex::new(header);
    let own = index.named("dkim-signature")[0];
    let list = crate::taglist::TagList::parse(own.value()).unwrap();
    let canonicalization = signature.header_canonicalization;
    let mut octets = Vec::new();
    index.select(&signature.fields, Some(&own)).for_each(|field| canonicalization.field(field, &mut octets));
    canonicalization.own_field(&own, &list.tag("b").unwrap().span, &mut octets);
    (octets, signature.body_canonicalization.body(body))
}

/// Whether a message has the same signature, of what is in canonical form the same.
fn is_same(changed: &[u8], signature: &Signature, before: &(Vec<u8>, Vec<u8>)) -> bool {
    // The signature must still be the same one, for "the canonical form" to be of the same things.
    let own = HeaderIndex::new(split_message(changed).0).named("dkim-signature").first().copied();
    let parsed = own.and_then(|own| Signature::parse(own.value()).ok());
    parsed.is_some_and(|parsed| {
        let same = (&parsed.signature, &parsed.fields) == (&signature.signature, &signature.fields);
        let same = same && (parsed.domain == signature.domain) && (parsed.selector == signature.selector);
        same && covered(changed, signature) == *before
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_signed_passes_in_any_pieces(
        signer in any_signer(),
        header in header(),
        body in body(),
        cuts in proptest::collection::vec(0_usize..300, 0..20),
    ) {
        let message = signed(&signer, &[header.as_bytes(), b"\r\n", &body].concat());
        let (header, body) = split_message(&message);
        let mut hasher = BodyHasher::new(&AwsLcRs);
        let verifier = Verifier::new(header, &mut hasher);
        let mut rest = body;
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            hasher.update(piece);
            rest = after;
        }
        hasher.update(rest);
        let found = block_on(verifier.verify(&zones(&signer), &hasher.finish(), &policy()));
        prop_assert_eq!((found.outcomes[0].status, &*found.outcomes[0].reasons), (Status::Pass, &[][..]));
        prop_assert!(header.split(|octet| *octet == b'\n').take(8).all(|line| line.len() < 990));
    }

    #[test]
    fn one_octet_matters_if_it_changes_the_canonical_form(
        signer in any_signer(),
        header in header(),
        body in body(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let message = signed(&signer, &[header.as_bytes(), b"\r\n", &body].concat());
        let zones = zones(&signer);
        let original = block_on(outcome(&message, &zones, &policy()));
        let signature = original.signature.unwrap();
        let before = covered(&message, &signature);
        for (at, octet) in changes {
            let mut changed = message.clone();
            let at = at.index(changed.len());
            if changed[at] == octet {
                continue;
            }
            changed[at] = octet;
            let mut found = block_on(verified(&changed, &zones, &policy())).outcomes;
            let passes = found.pop().is_some_and(|outcome| outcome.status == Status::Pass);
            prop_assert_eq!(passes, is_same(&changed, &signature, &before), "octet {} to {}", at, octet);
        }
    }

    #[test]
    fn no_message_makes_it_panic(
        header in "((DKIM-Signature|From|X): ?([abcdhilqstvx]{1,2}=[ -~\r\n]{0,20}; ?){0,9}\r?\n){0,9}",
        body in body(),
        record in "\\PC{0,60}",
    ) {
        let message = [header.as_bytes(), b"\r\n", &body].concat();
        block_on(verified(&message, &zones_with(&record), &policy()));
    }
}

/// What an octet is changed to: neighbours, other case, white space, and what has a meaning.
fn replacements(octet: u8) -> Vec<u8> {
    let mut all = vec![octet ^ 1, octet ^ 0x20, octet ^ 0x80];
    all.extend_from_slice(b" \r\n;a");
    all.sort_unstable();
    all.dedup();
    all.retain(|other| *other != octet);
    all
}

/// Every octet of a small message, its signature included: changed in many ways, left out, and with others before it; in
/// all four canonicalizations. The signature holds exactly as long as the canonical form is the same.
#[test]
fn each_single_octet() {
    use Canonicalization::{Relaxed, Simple};
    let plain = b"From: a@example.org\r\nSubject:  x \r\n y\r\n\r\n Hi \t there \r\n\r\n.\r\n\r\n";
    for (header_canonicalization, body_canonicalization) in
        [(Simple, Simple), (Simple, Relaxed), (Relaxed, Simple), (Relaxed, Relaxed)]
    {
        let signer = Signer { header_canonicalization, body_canonicalization, ..KEYS[1].clone() };
        let zones = zones(&signer);
        let message = signed(&signer, plain);
        let signature = block_on(outcome(&message, &zones, &policy())).signature.unwrap();
        let before = covered(&message, &signature);
        let (mut passing, mut tried) = (0, 0);
        let mut check = |changed: &[u8], what: &dyn std::fmt::Debug| {
            let mut found = block_on(verified(changed, &zones, &policy())).outcomes;
            let passes = found.pop().is_some_and(|outcome| outcome.status == Status::Pass);
            assert_eq!(passes, is_same(changed, &signature, &before), "{what:?}: {}", String::from_utf8_lossy(changed));
            passing += usize::from(passes);
            tried += 1;
        };
        // The canonicalization of the body makes no difference to the signature's own field.
        let own = if header_canonicalization == body_canonicalization { 0 } else { message.len() - plain.len() };
        for at in own..message.len() {
            let (start, rest) = message.split_at(at);
            check(&[start, &rest[1..]].concat(), &("left out", at));
            for other in replacements(rest[0]) {
                check(&[start, &[other], &rest[1..]].concat(), &("changed", at, other));
            }
            for other in *b" \r\na" {
                check(&[start, &[other], rest].concat(), &("put before", at, other));
            }
        }
        // The rest is white space where it does not matter, and what may stand within b=.
        assert!(passing < tried / 8, "{passing} of {tried}");
        assert!(passing > 0 || header_canonicalization == Simple);
    }
}
