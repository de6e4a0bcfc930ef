//! Addresses, paths, domains, status codes: nothing panics, and what is accepted is written and read back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_names::{Address, Domain, EhloName, EnhancedStatus, ForwardPath, KeyFingerprint, Localpart, ReversePath};

/// Reads, writes, reads again.
macro_rules! survives {
    ($parse:path, $text:expr) => {
        if let Ok(value) = $parse($text) {
            assert_eq!($parse(&value.to_string()).as_ref(), Ok(&value));
        }
    };
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    survives!(Address::parse, text);
    survives!(ReversePath::parse, text);
    survives!(ForwardPath::parse, text);
    survives!(Localpart::parse, text);
    survives!(Domain::parse, text);
    survives!(Domain::parse_lenient, text);
    survives!(EnhancedStatus::parse, text);
    survives!(KeyFingerprint::parse, text);
    if let Ok(localpart) = Localpart::new(text) {
        assert_eq!(Localpart::parse(&localpart.to_string()), Ok(localpart));
    }
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(domain.unicode()).as_ref(), Ok(&domain));
        assert!(domain.as_ascii().len() <= 253);
    }
    assert!(!EhloName::parse(text).to_string().chars().any(char::is_control));
});
