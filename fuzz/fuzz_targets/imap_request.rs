//! IMAP commands: nothing panics, and the beginning of a good command is incomplete, not wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_imap::{Error, NameEncoding, parse};

fuzz_target!(|data: &[u8]| {
    for names in [NameEncoding::ModifiedUtf7, NameEncoding::Utf8] {
        let Ok(request) = parse::request(data, names) else { continue };
        if data.len() > 300 {
            continue;
        }
        for end in 0..data.len() {
            match parse::request(&data[..end], names) {
                // Octets behind the end of a command are not looked at.
                Ok(same) => assert_eq!(format!("{same:?}"), format!("{request:?}")),
                Err(failure) => assert_eq!(failure.error, Error::Incomplete, "at {end}"),
            }
        }
    }
});
