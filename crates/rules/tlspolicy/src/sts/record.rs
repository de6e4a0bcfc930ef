//! The TXT record (RFC 8461 §3.1).
//!
//! ```abnf
//! sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
//! sts-field       = sts-id / sts-extension
//! sts-field-delim = *WSP ";" *WSP
//! sts-version     = %s"v=STSv1"
//! sts-id          = %s"id=" 1*32(ALPHA / DIGIT)
//! sts-extension   = sts-ext-name "=" sts-ext-value
//! sts-ext-name    = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
//! sts-ext-value   = 1*(%x21-3A / %x3C / %x3E-7E)
//! ```

use std::fmt;

use crate::report::{FailureReason, ResultType};

/// More fields than this are refused: RFC 8461 defines two.
const MOST_FIELDS: usize = 64;
/// Longest `id` (RFC 8461 §3.1).
const MAX_ID: usize = 32;

/// The record of a domain that has a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Names one version of the policy; there is no order among them.
    pub id: String,
}

/// Why TXT records do not say that there is a policy. A sender takes all of it for none (RFC 8461 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Several records begin with the version.
    #[error("there are several MTA-STS records; there must be one")]
    Several,
    /// There is no `id`.
    #[error("the MTA-STS record has no id")]
    NoId,
    /// The `id` is not of 1 to 32 letters and digits.
    #[error("the id of the MTA-STS record must be 1 to 32 letters and digits")]
    Id,
    /// A field is not a name, `=` and a value.
    #[error("a field of the MTA-STS record is malformed")]
    Field,
    /// More than 64 fields.
    #[error("the MTA-STS record has too many fields")]
    TooMany,
}

impl RecordError {
    /// As it is reported.
    #[must_use]
    pub fn report(self) -> FailureReason {
        let code = match self {
            RecordError::Several => "mtasts-multiple-records",
            RecordError::NoId | RecordError::Id | RecordError::Field | RecordError::TooMany => {
                "mtasts-record-malformed"
            }
        };
        FailureReason::with_code(ResultType::StsPolicyInvalid, code)
    }
}

impl Record {
    /// The one record among the TXT records of `_mta-sts`, each with its strings joined. `None` where there is none:
    /// records that do not begin with the version are for others.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn find<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Option<Record>, RecordError> {
        let mut candidates = texts.into_iter().filter(|text| has_version(text));
        match (candidates.next(), candidates.next()) {
            (None, _) => Ok(None),
            (Some(text), None) => Record::parse(text).map(Some),
            (Some(_), Some(_)) => Err(RecordError::Several),
        }
    }

    /// The record with this text.
    ///
    /// ```
    /// # use mailstead_tlspolicy::sts::Record;
    /// assert_eq!(Record::parse("v=STSv1; id=20160831085700Z;").unwrap().id, "20160831085700Z");
    /// ```
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn parse(text: &str) -> Result<Record, RecordError> {
        // The record begins with the version; there may be white space behind it only.
        let (version, fields) = text.split_once(';').unwrap_or((text, ""));
        if version.trim_end_matches(is_wsp) != "v=STSv1" {
            return Err(RecordError::Field);
        }
        let mut id = None;
        for (index, field) in fields.split(';').map(|field| field.trim_matches(is_wsp)).enumerate() {
            if index >= MOST_FIELDS {
                return Err(RecordError::TooMany);
            }
            // The last delimiter may have nothing behind it.
            if field.is_empty() {
                continue;
            }
            let (name, value) = field.split_once('=').ok_or(RecordError::Field)?;
            if !is_name(name) {
                return Err(RecordError::Field);
            }
            // RFC 8461 §3.2: the first of several counts.
            if name == "id" {
                id = id.or(Some(value));
            } else if value.is_empty() || !value.bytes().all(|octet| matches!(octet, 0x21..=0x3a | 0x3c | 0x3e..=0x7e))
            {
                return Err(RecordError::Field);
            }
        }
        let id = id.ok_or(RecordError::NoId)?;
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
            return Err(RecordError::Id);
        }
        Ok(Record { id: id.to_owned() })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=STSv1; id={};", self.id)
    }
}

/// The version is a field of its own, with white space before its delimiter allowed.
fn has_version(text: &str) -> bool {
    text.strip_prefix("v=STSv1").is_some_and(|rest| rest.trim_start_matches(is_wsp).starts_with(';'))
}

fn is_wsp(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn is_name(name: &str) -> bool {
    name.len() <= 32
        && name.bytes().next().is_some_and(|octet| octet.is_ascii_alphanumeric())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records() {
        let id = |text| Record::parse(text).map(|record| record.id);
        for good in
            ["v=STSv1; id=1", "v=STSv1;id=1;", "v=STSv1 ; id=1 ; ", "v=STSv1; x.y=z; id=1; id=2", "v=STSv1;id=1;;"]
        {
            assert_eq!(id(good).as_deref(), Ok("1"), "{good}");
        }
        assert_eq!(id("v=STSv1;"), Err(RecordError::NoId));
        assert_eq!(id("v=STSv1; ID=1"), Err(RecordError::NoId));
        for bad in ["v=STSv1; id=", "v=STSv1; id=a-b", "v=STSv1; id=123456789012345678901234567890123"] {
            assert_eq!(id(bad), Err(RecordError::Id), "{bad}");
        }
        for bad in [
            "",
            "id=1; v=STSv1",
            "V=STSv1; id=1",
            "v=STSv2; id=1",
            "v=STSv1; id",
            "v=STSv1; =x; id=1",
            "v=STSv1; x= ; id=1",
        ] {
            assert_eq!(id(bad), Err(RecordError::Field), "{bad}");
        }
        assert_eq!(id(&format!("v=STSv1{}", "; x=y".repeat(65))), Err(RecordError::TooMany));
    }

    #[test]
    fn one_of_several() {
        let find =
            |texts: &[&'static str]| Record::find(texts.iter().copied()).map(|found| found.map(|record| record.id));
        assert_eq!(find(&[]), Ok(None));
        assert_eq!(find(&["v=spf1 -all", "v=STSv10; id=1", "v=STSv1"]), Ok(None));
        assert_eq!(find(&["v=spf1 -all", "v=STSv1 ; id=1"]), Ok(Some("1".to_owned())));
        assert_eq!(find(&["v=STSv1; id=1", "v=STSv1; id=1"]), Err(RecordError::Several));
        assert_eq!(find(&["v=STSv1;"]), Err(RecordError::NoId));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id in "[0-9A-Za-z]{1,32}") {
            let record = Record { id };
            prop_assert_eq!(Record::parse(&record.to_string()), Ok(record));
        }

        #[test]
        fn anything_may_come(text in "\\PC{0,60}", fields in "(v=STSv1)?([;= \ta-z0-9]){0,40}") {
            let _ = Record::find([text.as_str(), fields.as_str()]);
            if let Ok(record) = Record::parse(&fields) {
                prop_assert_eq!(Record::find([fields.as_str()]), Ok(Some(record)));
            }
        }
    }
}
