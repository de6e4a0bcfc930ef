//! The reader of IMAP responses: the same octets give the same responses, however they arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::{Trace, cut};
use mailstead_imap::client::Reader;

fn play<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Trace {
    let mut reader = Reader::new();
    let mut trace = Trace::default();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.next_response() {
                Ok(Some(response)) => trace.event(&response),
                Ok(None) => break,
                // Where exactly it went wrong may show earlier or later.
                Err(_) => {
                    trace.event(&"error");
                    return trace;
                }
            }
        }
    }
    trace
}

fuzz_target!(|data: &[u8]| {
    let (payload, pieces) = cut(data);
    assert_eq!(play(pieces), play(std::iter::once(payload)));
});
