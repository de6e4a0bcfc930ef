//! Header fields and everything that reads their values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_message::thread::Threading;
use mailstead_message::{Envelope, Fields, Structure, address, date, downgrade, dsn, id, param, subject, trace, word};

fuzz_target!(|data: &[u8]| {
    for field in Fields::new(data) {
        let range = field.range();
        assert_eq!(data.get(range), Some(field.raw()));
        let value = field.unfolded();
        let _ = (address::list(&value), date::parse(&value), id::list(&value), subject::base(&field.text()));
        let _ = param::decoded(&param::parse(&value).1);
    }
    let _ = (Envelope::parse(data), Threading::parse(data), trace::received_count(data), dsn::read_status(data));
    let header = Structure::scan(data).root.header;
    assert!(downgrade::header(&data[..usize::try_from(header.end).expect("inside")]).is_ascii());
    if let Ok(text) = std::str::from_utf8(data) {
        let encoded = word::encode(text);
        assert!(encoded.is_ascii());
        // A base subject has no base but itself.
        let base = subject::base(text);
        assert_eq!(subject::base(&base.text).text, base.text);
    }
});
