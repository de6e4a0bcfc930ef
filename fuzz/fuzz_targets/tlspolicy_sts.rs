//! MTA-STS records and policies: what is read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_tlspolicy::sts::{Policy, Record};

fuzz_target!(|text: &str| {
    if let Ok(record) = Record::parse(text) {
        assert_eq!(Record::parse(&record.to_string()), Ok(record.clone()));
        assert_eq!(Record::find([text]), Ok(Some(record)));
    }
    if let Ok(policy) = Policy::parse(text) {
        let written = Policy::new(policy.mode, policy.mx.clone(), policy.max_age);
        let again = Policy::parse(&written.text);
        assert_eq!(again, Ok(written));
        assert!(policy.lines().count() >= 3);
    }
});
