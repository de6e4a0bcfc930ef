//! The names of all cases.

use mailstead_dns::{LookupErrorKind, RecordType, zonefile};
use mailstead_testkit::Zones;

/// Names with this first label cannot be looked up.
const BROKEN: &str = "broken.";

/// From the text of a zone whose names are all absolute.
pub(super) fn zones(text: &str) -> Zones {
    let mut zones = Zones::new();
    for record in zonefile::records(text) {
        let record = record.unwrap_or_else(|error| panic!("{error}"));
        let data = record.record().unwrap_or_else(|| panic!("{record} is of a type that we know"));
        let owner = record.owner.to_string();
        let owner = owner.trim_end_matches('.');
        zones = zones.with(owner, data);
        if owner.starts_with(BROKEN) {
            for record_type in [RecordType::Txt, RecordType::A, RecordType::Aaaa] {
                zones = zones.failing(owner, record_type, LookupErrorKind::ServerFailure);
            }
        }
    }
    zones
}
