//! What holds for any input: nothing panics, what is written can be read again, and canonical forms stay as they are.

use mailstead_names::{Address, Domain, EhloName, ForwardPath, Localpart, ReversePath, parse};
use proptest::prelude::*;

/// Text made of what the grammars care about, and of anything.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.@<>\",:\\\\\\[\\]ü。_ -]{0,40}",
        "<[a-z.]{1,8}@[a-z.-]{1,12}>( [A-Z=0-9]{0,9})?",
        "(\"[ -~ü]{0,12}\"|[a-z.]{1,6})@([a-z0-9.ß-]{1,12}|\\[(IPv6:)?[0-9a-f.:]{1,12}\\])",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_parser_panics_or_takes_more_than_there_is(text in text()) {
        let used = [
            parse::reverse_path(&text).map(|(_, used)| used),
            parse::forward_path(&text).map(|(_, used)| used),
            parse::mailbox(&text).map(|(_, used)| used),
            parse::local_part(&text).map(|(_, used)| used),
            parse::domain(&text).map(|(_, used)| used),
            parse::address_literal(&text).map(|(_, used)| used),
            parse::enhanced_status(&text).map(|(_, used)| used),
        ];
        for used in used.into_iter().flatten() {
            prop_assert!(text.is_char_boundary(used) && used <= text.len());
        }
        let _ = Domain::parse_lenient(&text);
        let shown = EhloName::parse(&text).to_string();
        prop_assert!(!shown.chars().any(char::is_control));
    }

    #[test]
    fn addresses_survive_being_written(text in text()) {
        if let Ok(address) = Address::parse(&text) {
            prop_assert_eq!(&Address::parse(&address.to_string()).unwrap(), &address);
            prop_assert_eq!(&Address::parse(&address.unicode()).unwrap(), &address);
            prop_assert_eq!(address.to_string().is_ascii(), !address.needs_smtputf8());
            let reverse = ReversePath::from(address.clone());
            prop_assert_eq!(&ReversePath::parse(&reverse.to_string()).unwrap(), &reverse);
            let forward = ForwardPath::from(address);
            prop_assert_eq!(&ForwardPath::parse(&forward.to_string()).unwrap(), &forward);
        }
    }

    #[test]
    fn any_text_without_controls_can_be_a_local_part(text in "\\PC{0,30}") {
        if let Ok(localpart) = Localpart::new(&text) {
            prop_assert_eq!(&Localpart::parse(&localpart.to_string()).unwrap(), &localpart);
            prop_assert_eq!(&Localpart::new(localpart.as_str()).unwrap(), &localpart);
        }
    }

    #[test]
    fn domains_are_canonical(text in "[a-zA-Z0-9äßİ中🦀。.-]{1,20}") {
        if let Ok(domain) = Domain::parse(&text) {
            prop_assert_eq!(&Domain::parse(domain.as_ascii()).unwrap(), &domain);
            let from_unicode = Domain::parse(domain.unicode()).unwrap();
            prop_assert_eq!(from_unicode.unicode(), domain.unicode());
            prop_assert_eq!(from_unicode, domain);
        }
    }
}
