//! Zone files: what is read is written as a line that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_dns::zonefile;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut last = 1;
    for record in zonefile::records(text) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                // Lines are counted, and a message has a bounded part of the text.
                assert!((1..=text.split('\n').count()).contains(&error.line), "{error}");
                assert!(error.to_string().len() < 1024 && !error.to_string().contains(char::is_control), "{error:?}");
                return;
            }
        };
        assert!(record.line >= last);
        last = record.line;
        let again = zonefile::records(&record.to_string()).next();
        assert_eq!(again, Some(Ok(zonefile::ZoneRecord { line: 1, ..record.clone() })));
        if let Some(typed) = record.record() {
            let text = format!("{} IN {} {typed}", record.owner, record.rtype);
            let again = zonefile::records(&text).next().expect("a record").expect("what is written can be read");
            assert_eq!(again.record(), Some(typed));
        }
    }
});
