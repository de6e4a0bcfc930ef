//! Authentication-Results: read, written, read again; nobody writes our name into a field and keeps it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_mailauth::results::{AuthenticationResults, Form, claims, forged_fields};

const OURS: &str = "mx.example.org";

fuzz_target!(|data: &[u8]| {
    let _ = forged_fields(data, &[OURS]).count();
    let Ok(text) = std::str::from_utf8(data) else { return };
    let claimed = claims(text, OURS);
    let Ok(read) = AuthenticationResults::parse(text) else { return };
    if read.authserv_id.to_string().eq_ignore_ascii_case(OURS) {
        assert!(claimed);
    }
    for form in [Form::Utf8, Form::Ascii] {
        let field = read.to_field(form);
        assert!(form == Form::Utf8 || field.is_ascii());
        // One field, whatever was in it.
        assert!(field.ends_with("\r\n") && field.matches("\r\n").count() == field.matches('\n').count());
        assert!(field.trim_end().split("\r\n").skip(1).all(|line| line.starts_with(' ')));
        let value = field.strip_prefix("Authentication-Results:").expect("the name comes first");
        let again = AuthenticationResults::parse(value).expect("what is written can be read");
        assert_eq!(again.results.len(), read.results.len());
        // From here on nothing changes any more, except that encoded words may be cut.
        if form == Form::Utf8 {
            assert_eq!(AuthenticationResults::parse(&again.to_field(form)[23..]).as_ref(), Ok(&again));
        }
    }
});
