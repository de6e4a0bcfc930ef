use super::*;
use crate::DomainError;

#[test]
fn parsers_say_how_much_they_took() {
    let (path, used) = reverse_path("<user@example> SIZE=1000").unwrap();
    assert_eq!((path.to_string().as_str(), used), ("<user@example>", 14));
    assert_eq!(reverse_path("<>x").unwrap(), (ReversePath::Null, 2));
    assert_eq!(forward_path("<Postmaster> NOTIFY=NEVER").unwrap(), (ForwardPath::Postmaster, 12));
    let (address, used) = mailbox("\"a b\"@[192.0.2.1]>").unwrap();
    assert_eq!((address.to_string().as_str(), used), ("\"a b\"@[192.0.2.1]", 17));
    let (localpart, used) = local_part("jürgen@").unwrap();
    assert_eq!((localpart.as_str(), used), ("jürgen", "jürgen".len()));
}

#[test]
fn source_routes_are_skipped_but_must_be_right() {
    assert_eq!(path("<@a.example:user@example>").unwrap().0.to_string(), "user@example");
    for text in ["<@:user@example>", "<@a.example user@example>", "<@a.example,:user@example>", "<@a.example:>"] {
        assert!(path(text).is_err(), "{text}");
    }
}

#[test]
fn errors_point_to_the_place() {
    let at = |text: &str| match reverse_path(text) {
        Err(Error::Syntax { at, .. }) => at,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(at("user@example"), 0);
    assert_eq!(at("<user>"), 5);
    assert_eq!(at("<user@>"), 6);
    assert_eq!(at("<a..b@example>"), 3);
    assert_eq!(at("<user@example"), 13);
    assert_eq!(at("<user@example@example>"), 13);
    assert_eq!(at("<@a.example:us er@example>"), 14);
    assert_eq!(at("<\"a\u{7}\"@example>"), 3);
    assert_eq!(at("<\"a"), 3);
}

#[test]
fn literals_must_be_addresses() {
    assert_eq!(address_literal("[192.0.2.1] rest").unwrap(), ("192.0.2.1".parse().unwrap(), 11));
    assert_eq!(address_literal("[ipv6:::1]").unwrap(), ("::1".parse().unwrap(), 10));
    for text in [
        "",
        "[",
        "[]",
        "[192.0.2.1",
        "[192.0.2]",
        "[192.0.2.01]",
        "[::1]",
        "[IPv6:192.0.2.1]",
        "[IPv6:]",
        "[x-tag:y]",
        "[Бббб:1]",
    ] {
        assert!(address_literal(text).is_err(), "{text}");
    }
}

#[test]
fn domains_end_where_their_characters_do() {
    assert_eq!(domain("bücher.example>").unwrap().1, "bücher.example".len());
    assert_eq!(domain("a.example:rest").unwrap().1, 9);
    assert_eq!(domain("example. x"), Err(Error::Domain(DomainError::TrailingDot)));
    assert!(matches!(domain("_a.example"), Err(Error::Syntax { at: 0, .. })));
}
