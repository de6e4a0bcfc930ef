//! Arguments that several commands share: mailbox names, message sets, flags, dates, base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil;
use mailstead_names::Secret;

use super::{Cursor, Parser, Result, is_astring_char};
use crate::{Flag, MailboxName, MessageSet, NameEncoding, SequenceNumber, SequenceSet, UidSet, utf7};

/// `base64 = *(4base64-char) [base64-terminal]`, decoded.
pub(crate) fn base64(text: &[u8]) -> Option<Secret<Vec<u8>>> {
    STANDARD.decode(text).ok().map(Secret::new)
}

/// `flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension`
pub(super) fn flag(cursor: &mut Cursor<'_>) -> Result<Flag> {
    if !cursor.eat(b'\\')? {
        return Ok(Flag::Keyword(cursor.atom("a flag")?.to_owned()));
    }
    match Flag::from_backslash_name(cursor.atom("the name of a flag")?) {
        // RFC 9051 §9: flag does not include \Recent, which clients cannot alter (RFC 3501 §2.3.2).
        Flag::Recent => Err(cursor.bad_value("\\Recent, which only the server sets,")),
        flag => Ok(flag),
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// `"-" date-month "-" date-year`, after the day
fn month_and_year(cursor: &mut Cursor<'_>, day: u16) -> Result<civil::Date> {
    cursor.expect(b'-', "\"-\" after the day")?;
    let position = cursor.position();
    let name = cursor.take_while(|octet| octet.is_ascii_alphabetic())?;
    let index = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month.as_bytes()));
    let month = index.and_then(|index| i8::try_from(index + 1).ok());
    let month = month.ok_or_else(|| cursor.expected_at(position, "a month, such as Jan"))?;
    cursor.expect(b'-', "\"-\" after the month")?;
    let year = cursor.digits(4)?;
    let parts = (i16::try_from(year).ok(), i8::try_from(day).ok());
    let (Some(year), Some(day)) = parts else { return Err(cursor.bad_value("a day that does not exist")) };
    civil::Date::new(year, month, day).map_err(|_| cursor.bad_value("a day that does not exist"))
}

/// `date = date-text / DQUOTE date-text DQUOTE`, `date-text = date-day "-" date-month "-" date-year`
pub(super) fn date(cursor: &mut Cursor<'_>) -> Result<civil::Date> {
    let quoted = cursor.eat(b'"')?;
    let mut day = cursor.digits(1)?;
    if cursor.peek()?.is_ascii_digit() {
        day = day * 10 + cursor.digits(1)?;
    }
    let date = month_and_year(cursor, day)?;
    if quoted {
        cursor.expect(b'"', "the closing double quote")?;
    }
    Ok(date)
}

/// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`
///
/// `date-day-fixed = (SP DIGIT) / 2DIGIT`; a single digit without the space is let through.
pub(crate) fn date_time(cursor: &mut Cursor<'_>) -> Result<jiff::Timestamp> {
    cursor.expect(b'"', "a date and time in double quotes")?;
    cursor.eat(b' ')?;
    let mut day = cursor.digits(1)?;
    if cursor.peek()?.is_ascii_digit() {
        day = day * 10 + cursor.digits(1)?;
    }
    let date = month_and_year(cursor, day)?;
    cursor.space()?;
    let time = time(cursor)?;
    cursor.space()?;
    let east = if cursor.eat(b'+')? {
        1
    } else {
        cursor.expect(b'-', "a zone, such as +0100")?;
        -1
    };
    let (hours, minutes) = (i32::from(cursor.digits(2)?), i32::from(cursor.digits(2)?));
    cursor.expect(b'"', "the closing double quote")?;
    let offset = (minutes < 60).then(|| jiff::tz::Offset::from_seconds(east * (hours * 3600 + minutes * 60)).ok());
    offset
        .flatten()
        .and_then(|offset| offset.to_timestamp(date.to_datetime(time)).ok())
        .ok_or_else(|| cursor.bad_value("a time zone that does not exist"))
}

/// `time = 2DIGIT ":" 2DIGIT ":" 2DIGIT`; a leap second counts as the second before it.
fn time(cursor: &mut Cursor<'_>) -> Result<civil::Time> {
    let hour = cursor.digits(2)?;
    cursor.expect(b':', "\":\" after the hour")?;
    let minute = cursor.digits(2)?;
    cursor.expect(b':', "\":\" after the minute")?;
    let second = match cursor.digits(2)? {
        60 => 59,
        second => second,
    };
    // Three values of at most 99 each fit in i8.
    let narrow = |value: u16| i8::try_from(value).unwrap_or(i8::MAX);
    civil::Time::new(narrow(hour), narrow(minute), narrow(second), 0)
        .map_err(|_| cursor.bad_value("a time that does not exist"))
}

/// `seq-number = nz-number / "*"`
fn sequence_number(cursor: &mut Cursor<'_>) -> Result<SequenceNumber> {
    if cursor.eat(b'*')? {
        return Ok(SequenceNumber::Largest);
    }
    if !cursor.peek()?.is_ascii_digit() {
        return Err(cursor.expected("a message number, \"*\" or \"$\""));
    }
    cursor.nz_number().map(SequenceNumber::Number)
}

/// `sequence-set = (seq-number / seq-range) *("," (seq-number / seq-range))`, `seq-range = seq-number ":" seq-number`
pub(crate) fn sequence_set(cursor: &mut Cursor<'_>) -> Result<SequenceSet> {
    let mut ranges = Vec::new();
    loop {
        let first = sequence_number(cursor)?;
        let last = if cursor.eat(b':')? { sequence_number(cursor)? } else { first };
        ranges.push((first, last));
        if !cursor.eat(b',')? {
            return Ok(SequenceSet::new(ranges));
        }
    }
}

/// `sequence-set =/ seq-last-command`, `seq-last-command = "$"` (RFC 5182)
pub(super) fn message_set(cursor: &mut Cursor<'_>) -> Result<MessageSet> {
    if cursor.eat(b'$')? {
        return Ok(MessageSet::SearchResult);
    }
    sequence_set(cursor).map(MessageSet::Numbers)
}

/// A sequence-set without `*`.
pub(crate) fn uid_set(cursor: &mut Cursor<'_>) -> Result<UidSet> {
    let set = sequence_set(cursor)?;
    if set.uses_largest() {
        return Err(cursor.bad_value("\"*\" where numbers must be given"));
    }
    Ok(set.resolve(0))
}

/// A mailbox name or pattern as text. UTF-8 is understood even before it is enabled (RFC 6855 §3), where ASCII is
/// modified UTF-7.
pub(crate) fn decode_name(
    cursor: &Cursor<'_>,
    octets: std::borrow::Cow<'_, [u8]>,
    names: NameEncoding,
) -> Result<String> {
    let text = cursor.utf8(octets)?;
    if names == NameEncoding::Utf8 || !text.is_ascii() {
        return Ok(text);
    }
    utf7::decode(&text).ok_or_else(|| cursor.bad_value("a mailbox name that is not modified UTF-7"))
}

impl Parser<'_> {
    /// `SP mailbox`, `mailbox = "INBOX" / astring`
    pub(super) fn mailbox_argument(&mut self) -> Result<MailboxName> {
        self.cursor.space()?;
        let octets = self.cursor.astring("a mailbox name")?;
        Ok(MailboxName::new(&decode_name(&self.cursor, octets, self.names)?))
    }

    /// `list-mailbox = 1*list-char / string`, `list-char = ATOM-CHAR / list-wildcards / resp-specials`
    pub(super) fn list_mailbox(&mut self) -> Result<String> {
        let octets = match self.cursor.peek()? {
            b'"' | b'{' => self.cursor.string("a mailbox pattern")?,
            _ => {
                self.cursor.word(|octet| is_astring_char(octet) || b"%*".contains(&octet), "a mailbox pattern")?.into()
            }
        };
        decode_name(&self.cursor, octets, self.names)
    }

    /// `SP sequence-set`
    pub(super) fn message_set_argument(&mut self) -> Result<MessageSet> {
        self.cursor.space()?;
        message_set(&mut self.cursor)
    }
}
