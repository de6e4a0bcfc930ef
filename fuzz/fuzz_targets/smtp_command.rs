//! One line, read as a command, as a parameter, as an extension.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_smtp::{Command, Extension, Parameter, Strictness};

fuzz_target!(|data: &[u8]| {
    for strictness in [Strictness::Lenient, Strictness::Pedantic] {
        let _ = Command::parse(data, strictness);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Parameter::parse(text);
        Extension::parse(text);
    }
});
