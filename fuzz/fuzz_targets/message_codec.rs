//! The stored form of a structure, damaged in any way: an error or a structure, never a panic or a flood of memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_message::Structure;

fuzz_target!(|data: &[u8]| {
    if let Ok(structure) = Structure::decode(data) {
        assert_eq!(Structure::decode(&structure.encode()).as_ref(), Ok(&structure));
    }
});
