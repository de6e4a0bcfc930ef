//! TLSRPT records and reports: records are written and read again as the same, and so are reports, compressed or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_tlspolicy::report::{Record, Report};

fuzz_target!(|octets: &[u8]| {
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(record) = Record::parse(text)
    {
        assert_eq!(Record::find([text]), Ok(Some(record)));
    }
    if let Ok(report) = Report::read(octets) {
        let written = report.compose().unwrap();
        assert_eq!(Report::read(&written).unwrap(), report);
    }
});
