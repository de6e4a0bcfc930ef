//! Any octets converted to 7 bits: the plan does not depend on how they arrive, its size is true, and what a reader sees
//! of the result is what was in the original.
#![no_main]

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::cut;
use mailstead_message::Structure;
use mailstead_message::seven_bit::{Piece, Planner, SevenBit};
use mailstead_message::text::Transfer;

fn octets<'a>(message: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &message[range.start as usize..range.end as usize]
}

fn converted(plan: &SevenBit, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in plan.pieces() {
        match piece {
            Piece::Original(range) => out.extend_from_slice(octets(message, range)),
            Piece::Inserted(fields) => out.extend_from_slice(fields.as_bytes()),
            Piece::Encoded(range, encoding) => {
                let mut encoder = encoding.encoder();
                octets(message, range).chunks(100).for_each(|piece| encoder.update(piece, &mut out));
                encoder.finish(&mut out);
            }
        }
    }
    out
}

/// Types and decoded contents of the parts that hold no others.
fn leaves(message: &[u8]) -> Vec<(String, Vec<u8>)> {
    let structure = Structure::scan(message);
    let leaves = structure.root.walk().filter(|part| part.children.is_empty());
    leaves
        .map(|part| {
            let (mut decoder, mut content) = (Transfer::new(part.transfer_encoding()), Vec::new());
            decoder.decode(octets(message, &part.body), &mut content);
            decoder.finish(&mut content);
            (format!("{}/{}", part.content_type.kind, part.content_type.subtype), content)
        })
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let (message, pieces) = cut(data);
    let structure = Structure::scan(message);
    let mut planner = Planner::new(&structure);
    pieces.for_each(|piece| planner.feed(piece));
    let plan = planner.finish();
    let mut planner = Planner::new(&structure);
    planner.feed(message);
    assert_eq!(planner.finish(), plan);
    let Ok(plan) = plan else { return };
    let result = converted(&plan, message);
    assert_eq!(result.len() as u64, plan.size());
    assert!(result.is_ascii());
    assert_eq!(leaves(&result), leaves(message));
    if plan.is_original() {
        assert_eq!(result, message);
    }
});
