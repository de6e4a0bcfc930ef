//! SPF records, their macros, and Received-SPF.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_mailauth::received_spf::ReceivedSpf;
use mailstead_mailauth::spf::{DomainSpec, Record};

fuzz_target!(|data: &[u8]| {
    match Record::parse(data) {
        Ok(record) => {
            assert!(Record::has_version(data));
            assert_eq!(Record::parse(record.to_string()).as_ref(), Ok(&record));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(spec) = DomainSpec::parse(text) {
        assert_eq!(DomainSpec::parse(&spec.to_string()).as_ref(), Ok(&spec));
    }
    if let Ok(field) = ReceivedSpf::parse(text) {
        // What is written can be read, and from then on nothing changes any more.
        let again = ReceivedSpf::parse(&field.to_string()).expect("what is written can be read");
        assert_eq!((again.result, again.pairs.len()), (field.result, field.pairs.len()));
        assert_eq!(ReceivedSpf::parse(&again.to_string()).as_ref(), Ok(&again));
    }
});
