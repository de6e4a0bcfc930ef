//! The MIME scanner on any octets: the tree does not depend on how they arrive, stays inside them, survives being
//! stored, and everything that reads along it copes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::cut;
use mailstead_message::structure::{Part, Section};
use mailstead_message::{Limits, Scanner, Structure, downgrade::Surrogate, text};

fn check(part: &Part, size: u64) {
    assert!(part.header.start <= part.header.end && part.header.end <= size);
    assert!(part.body.start <= part.body.end && part.body.end <= size);
    assert!(part.header.end <= part.body.start);
    for child in &part.children {
        assert!(child.header.start >= part.body.start && child.body.end <= part.body.end);
        check(child, size);
    }
}

fuzz_target!(|data: &[u8]| {
    let (message, pieces) = cut(data);
    let structure = Structure::scan(message);
    assert_eq!(structure.size, message.len() as u64);
    check(&structure.root, structure.size);

    let mut scanner = Scanner::new(Limits::default());
    pieces.for_each(|piece| scanner.feed(piece));
    assert_eq!(scanner.finish(), structure);
    assert_eq!(Structure::decode(&structure.encode()).as_ref(), Ok(&structure));

    for number in [&[][..], &[1], &[2], &[1, 1], &[1, 2, 1]] {
        for section in [Section::Body, Section::Header, Section::Text, Section::Mime] {
            if let Some(range) = structure.section(number, section) {
                assert!(range.start <= range.end && range.end <= structure.size);
            }
        }
    }
    let source = &mut &*message;
    let Ok(preview) = text::preview(&structure, source);
    assert!(preview.chars().count() <= 256);
    let Ok(()) = text::searchable(&structure, source, &mut |_, _| {});
    let Ok(surrogate) = Surrogate::build(&structure, source);
    if let Some(surrogate) = surrogate {
        let mut octets = Vec::new();
        let Ok(()) = surrogate.read(0..u64::MAX, source, &mut octets);
        assert_eq!(octets.len() as u64, surrogate.structure().size);
        check(&surrogate.structure().root, surrogate.structure().size);
    }

    // Small limits hold.
    let limits = Limits { nesting: 2, parts: 5, header: 100, headers_total: 300 };
    let mut scanner = Scanner::new(limits);
    scanner.feed(message);
    let bounded = scanner.finish();
    assert!(bounded.root.walk().count() <= 5);
    check(&bounded.root, bounded.size);
});
