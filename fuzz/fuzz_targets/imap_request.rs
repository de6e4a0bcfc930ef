//! IMAP commands: nothing panics, and the beginning of a good command is incomplete, not wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_imap::{Error, NameEncoding, parse};

fuzz_target!(|data: &[u8]| {
    for names in [NameEncoding::ModifiedUtf7, NameEncoding::Utf8] {
        if parse::request(data, names).is_ok() && data.len() <= 300 {
            for end in 0..data.len() {
                let error = parse::request(&data[..end], names).expect_err("only the whole is complete").error;
                assert_eq!(error, Error::Incomplete, "{:?}", String::from_utf8_lossy(&data[..end]));
            }
        }
    }
});
