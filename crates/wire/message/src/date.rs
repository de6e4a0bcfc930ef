//! Dates of header fields: `date-time` of RFC 5322 §3.3, read with the obsolete forms of §4.3, written in the form
//! that needs no exception.
//!
//! ```abnf
//! date-time   = [ day-of-week "," ] date time [CFWS]
//! date        = day month year
//! time        = hour ":" minute [ ":" second ] zone
//! zone        = (FWS ( "+" / "-" ) 4DIGIT) / obs-zone
//! ```

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::Offset;

use crate::Error;
use crate::lex::Cursor;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Obsolete zone names, §4.3; every other name means -0000.
const ZONES: [(&str, i8); 10] = [
    ("UT", 0),
    ("GMT", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// A moment, and the offset from UTC it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The moment.
    pub at: Timestamp,
    /// Offset from UTC.
    pub offset: Offset,
}

impl Date {
    /// A moment to be written in UTC.
    #[must_use]
    pub fn utc(at: Timestamp) -> Date {
        Date { at, offset: Offset::UTC }
    }

    /// Date and time of day as written.
    #[must_use]
    pub fn civil(&self) -> civil::DateTime {
        self.offset.to_datetime(self.at)
    }
}

/// Reads a Date field's unfolded value. The day of the week is not checked; a leap second becomes second 59.
///
/// # Errors
/// [`Error::Date`] for anything that is not a date-time.
pub fn parse(value: &str) -> Result<Date, Error> {
    read(value).ok_or(Error::Date)
}

fn read(value: &str) -> Option<Date> {
    let mut cursor = Cursor::new(value);
    let mut day = word(&mut cursor);
    if day.starts_with(|c: char| c.is_ascii_alphabetic()) {
        cursor.skip_cfws();
        cursor.eat(',');
        day = word(&mut cursor);
    }
    // Some programs write 23-Nov-2026.
    cursor.eat('-');
    let month = word(&mut cursor);
    cursor.eat('-');
    let year = word(&mut cursor);
    let hour = word(&mut cursor);
    let minute = after_colon(&mut cursor)?;
    let second = after_colon(&mut cursor).unwrap_or("0");
    cursor.skip_cfws();
    let zone = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-'));

    let month = MONTHS.iter().position(|name| month.get(..3).is_some_and(|m| m.eq_ignore_ascii_case(name)))?;
    let date = civil::Date::new(full_year(year)?, i8::try_from(month + 1).ok()?, day.parse().ok()?).ok()?;
    let second = second.parse::<i8>().ok()?.min(59);
    let time = civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, second, 0).ok()?;
    let offset = offset(zone)?;
    let at = offset.to_timestamp(date.to_datetime(time)).ok()?;
    Some(Date { at, offset })
}

fn word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.skip_cfws();
    cursor.take_while(|c| c.is_ascii_alphanumeric())
}

fn after_colon<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    cursor.skip_cfws();
    (cursor.eat(':') || cursor.eat('.')).then(|| word(cursor))
}

/// §4.3: two digits below 50 are 20xx, other two digits and three digits count from 1900.
fn full_year(digits: &str) -> Option<i16> {
    let year: i16 = digits.parse().ok()?;
    match digits.len() {
        2 if year < 50 => Some(2000 + year),
        2 | 3 => Some(1900 + year),
        4 => Some(year),
        _ => None,
    }
}

fn offset(zone: &str) -> Option<Offset> {
    let (sign, digits) = match zone.strip_prefix('+') {
        Some(digits) => (1, digits),
        None => match zone.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => {
                let hours =
                    ZONES.iter().find(|(name, _)| name.eq_ignore_ascii_case(zone)).map_or(0, |(_, hours)| *hours);
                return Offset::from_hours(hours).ok();
            }
        },
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

impl std::fmt::Display for Date {
    /// The form for a header: `Mon, 23 Nov 2026 17:05:09 +0100`. UTC is `+0000`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let date = self.civil();
        let seconds = self.offset.seconds();
        let (sign, minutes) = if seconds < 0 { ('-', -seconds / 60) } else { ('+', seconds / 60) };
        let name = |names: &[&'static str], number: i8| {
            usize::try_from(number).ok().and_then(|n| names.get(n.wrapping_sub(1))).copied().unwrap_or_default()
        };
        write!(
            f,
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            name(&DAYS, date.weekday().to_monday_one_offset()),
            date.day(),
            name(&MONTHS, date.month()),
            date.year(),
            date.hour(),
            date.minute(),
            date.second(),
            minutes / 60,
            minutes % 60,
        )
    }
}
