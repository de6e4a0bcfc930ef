//! Message data: what is encoded is decoded the same, and the decoder does not care how octets arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::cut;
use mailstead_smtp::data::{Decoder, Encoder};

fuzz_target!(|data: &[u8]| {
    let (payload, pieces) = cut(data);
    let (mut whole, mut once) = (Decoder::new(), Vec::new());
    let end = whole.decode(payload, &mut once);
    let (mut split, mut again, mut consumed) = (Decoder::new(), Vec::new(), 0);
    for piece in pieces {
        let progress = split.decode(piece, &mut again);
        consumed += progress.consumed;
        if progress.ended {
            break;
        }
    }
    assert_eq!((consumed, split.smuggling(), split.eight_bit()), (end.consumed, whole.smuggling(), whole.eight_bit()));
    assert_eq!(again, once);
    // Nothing given out could end the data of another server.
    if end.ended && whole.smuggling().is_none() {
        assert!(once.is_empty() || once.ends_with(b"\r\n"));
    }

    let (mut encoder, mut encoded) = (Encoder::new(), Vec::new());
    if encoder.encode(payload, &mut encoded).is_ok() && encoder.finish(&mut encoded).is_ok() {
        let (mut decoder, mut decoded) = (Decoder::new(), Vec::new());
        let progress = decoder.decode(&encoded, &mut decoded);
        assert!(progress.ended && progress.consumed == encoded.len() && decoder.smuggling().is_none());
        let complete = payload.is_empty() || payload.ends_with(b"\r\n");
        assert_eq!(decoded, [payload, if complete { b"" } else { b"\r\n" }].concat());
    }
});
