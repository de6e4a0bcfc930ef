//! Modified UTF-7: every name has exactly one encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_imap::utf7;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let encoded = utf7::encode(text);
    assert!(encoded.is_ascii());
    assert_eq!(utf7::decode(&encoded).as_deref(), Some(text));
    if let Some(name) = utf7::decode(text) {
        assert_eq!(utf7::decode(&utf7::encode(&name)), Some(name));
    }
});
