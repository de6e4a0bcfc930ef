//! TLSA records, and octets that say that they are a certificate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_dns::Tlsa;
use mailstead_tlspolicy::tlsa::{Purpose, to_be_tried, usable};
use mailstead_tlspolicy::verify::{matches, record_for};
use rustls_pki_types::CertificateDer;

fuzz_target!(|input: (Vec<(u8, u8, u8, Vec<u8>)>, Vec<u8>)| {
    let (records, certificate) = input;
    let record = |(usage, selector, matching_type, data)| Tlsa { usage, selector, matching_type, data };
    let records: Vec<Tlsa> = records.into_iter().map(record).collect();
    for purpose in [Purpose::Smtp, Purpose::General] {
        let tried = to_be_tried(&records, purpose);
        assert!(tried.iter().all(|record| usable(record, purpose).is_ok()));
        assert_eq!(tried.is_empty(), records.iter().all(|record| usable(record, purpose).is_err()));
    }
    let certificate = CertificateDer::from(certificate);
    for record in &records {
        let _ = matches(record, &certificate);
    }
    for (selector, matching_type) in [(0, 0), (0, 1), (1, 0), (1, 2)] {
        if let Some(record) = record_for(&certificate, 3, selector, matching_type) {
            assert!(matches(&record, &certificate));
        }
    }
});
