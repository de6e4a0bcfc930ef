//! DMARC records, addresses of reports, and Author Domains.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_mailauth::dmarc::{MOST_QUERIES, Record, ReportUri, author_domains, walk_names};

fuzz_target!(|data: &[u8]| {
    if let Some(record) = Record::parse(data) {
        // What is written says the same, without the problems.
        let again = Record::parse(record.to_string().as_bytes()).expect("what is written is a record");
        assert_eq!(Record { problems: Vec::new(), ..again }, Record { problems: Vec::new(), ..record.clone() });
        assert!(record.problems.len() < 50);
        assert!(record.policy.is_some() || !record.policy_is_valid());
    }
    assert_eq!(Record::parse(data).is_some(), Record::is_record(data));
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(uri) = ReportUri::parse(text)
    {
        assert_eq!(ReportUri::parse(&uri.to_string()).as_ref(), Ok(&uri));
        if let Some(address) = uri.address() {
            assert_eq!(uri.destination().as_ref(), address.domain());
            let written = ReportUri::mailto(&address);
            assert_eq!(ReportUri::parse(written.as_str()).ok().and_then(|uri| uri.address()), Some(address));
        }
    }
    for domain in author_domains(data) {
        let names: Vec<_> = walk_names(&domain).collect();
        assert!(names.len() <= MOST_QUERIES && names.iter().all(|name| domain.is_subdomain_of(name)));
    }
});
