//! Zone files: records as text (RFC 1035 §5, RFC 2308 §4 for `$TTL`, RFC 3597 §5 for types without a form of their own).
//!
//! Read here are hints of root servers, trust anchors and zones of tests: small texts that somebody wrote by hand or
//! keeps on disk. There is no `$INCLUDE`, because this crate opens no files, and no class but IN. Whether the records
//! make a zone (one SOA, glue, nothing beside an alias) is not looked at.

mod data;
mod error;
mod words;

use std::fmt;

pub use error::{ZonefileError, ZonefileErrorKind};

use crate::{Name, Record, RecordType, Rtype};
use data::Fields;
use words::{Entries, Entry, Word};

/// Longest text in octets. The hints of the root servers have 3,000, a zone of a test with a thousand names 60,000.
pub const MAX_TEXT: usize = 1 << 20;
/// Most records of a text.
pub const MAX_RECORDS: usize = 10_000;
/// Largest TTL in seconds (RFC 2181 §8).
const MAX_TTL: u32 = i32::MAX as u32;

/// A record as it stands in a zone file. `Display` writes it as one line, without the line's end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ZoneRecord {
    /// Number of the line where it begins, from 1.
    pub line: usize,
    /// Whose record.
    pub owner: Name,
    /// TTL in seconds, where the record, a `$TTL` or a record before it says one.
    pub ttl: Option<u32>,
    /// The type.
    pub rtype: Rtype,
    /// The data in canonical form, as messages are read too (RFC 4034 §6.2).
    pub data: Box<[u8]>,
}

impl ZoneRecord {
    /// The data in its typed form, for types that have one.
    pub fn record(&self) -> Option<Record> {
        Record::from_data(self.rtype.record_type()?, &self.data)
    }
}

impl fmt::Display for ZoneRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.owner)?;
        if let Some(ttl) = self.ttl {
            write!(f, "{ttl} ")?;
        }
        write!(f, "IN {} ", self.rtype)?;
        data::write(f, self.rtype, &self.data)
    }
}

/// Reads the records of a zone file one after the other. After a mistake nothing more comes.
///
/// ```
/// # use mailstead_dns::zonefile;
/// let text = "$ORIGIN example.\n@ 3600 MX 10 mail\nmail A 192.0.2.1 ; the only host\n";
/// let records: Vec<_> = zonefile::records(text).collect::<Result<_, _>>().unwrap();
/// assert_eq!(records[0].to_string(), "example. 3600 IN MX 10 mail.example.");
/// assert_eq!(records[1].to_string(), "mail.example. 3600 IN A 192.0.2.1");
/// ```
pub fn records(text: &str) -> Records<'_> {
    let failure = (text.len() > MAX_TEXT).then_some(ZonefileError { line: 1, kind: ZonefileErrorKind::TextTooLong });
    let text = if failure.is_some() { "" } else { text };
    Records { entries: Entries::new(text), failure, ..Records::default() }
}

/// The records of a zone file; made by [`records`].
#[derive(Debug, Default)]
pub struct Records<'a> {
    entries: Entries<'a>,
    failure: Option<ZonefileError>,
    origin: Option<Name>,
    owner: Option<Name>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    count: usize,
    ended: bool,
}

impl Iterator for Records<'_> {
    type Item = Result<ZoneRecord, ZonefileError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let result = match self.failure.take() {
                Some(failure) => Err(failure),
                None => match self.entries.next_entry() {
                    Ok(Some(entry)) => self.take(&entry),
                    Ok(None) => {
                        self.ended = true;
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match result {
                Ok(None) => {}
                Ok(Some(record)) => return Some(Ok(record)),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Records<'_> {
    /// A record or, with nothing to show for it, a directive.
    ///
    /// ```text
    /// $ORIGIN <domain-name> [<comment>]
    /// $TTL <TTL> [<comment>]
    /// <domain-name><rr> [<comment>]
    /// <blank><rr> [<comment>]
    /// <rr> = [<TTL>] [<class>] <type> <RDATA>  or  [<class>] [<TTL>] <type> <RDATA>
    /// ```
    fn take(&mut self, entry: &Entry<'_>) -> Result<Option<ZoneRecord>, ZonefileError> {
        let origin = self.origin.clone();
        let mut fields = Fields::new(entry, origin.as_ref());
        if let Some(directive) = entry.words.first().filter(|word| word.text.starts_with('$') && !word.quoted) {
            self.obey(directive, &mut fields)?;
            return Ok(None);
        }
        self.count += 1;
        if self.count > MAX_RECORDS {
            return Err(entry.error(ZonefileErrorKind::TooManyRecords));
        }
        if entry.names_owner {
            self.owner = Some(fields.name("owner")?);
        }
        let owner = self.owner.clone().ok_or_else(|| entry.error(ZonefileErrorKind::NoOwner))?;
        let (stated, rtype) = head(&mut fields)?;
        // RFC 2308 §4: `$TTL` is for the records that state none; without it RFC 1035 §5.1 has the last one stated.
        let ttl = stated.or(self.default_ttl).or(self.last_ttl);
        self.last_ttl = stated.or(self.last_ttl);
        let data = data::read(rtype, &mut fields)?;
        Ok(Some(ZoneRecord { line: entry.line, owner, ttl, rtype, data }))
    }

    fn obey(&mut self, directive: &Word<'_>, fields: &mut Fields<'_, '_>) -> Result<(), ZonefileError> {
        fields.next("directive")?;
        if directive.text.eq_ignore_ascii_case("$ORIGIN") {
            self.origin = Some(fields.name("origin")?);
        } else if directive.text.eq_ignore_ascii_case("$TTL") {
            let word = fields.next("TTL")?;
            self.default_ttl = Some(ttl(word)?);
        } else {
            return Err(directive.error(ZonefileErrorKind::Directive(directive.excerpt())));
        }
        fields.end()
    }
}

/// What stands before the data: TTL and class, in either order and both optional, and the type.
fn head(fields: &mut Fields<'_, '_>) -> Result<(Option<u32>, Rtype), ZonefileError> {
    let (mut stated, mut class_seen) = (None, false);
    loop {
        let word = fields.next("type")?;
        if word.quoted {
            return Err(word.error(ZonefileErrorKind::Type(word.excerpt())));
        }
        if stated.is_none() && word.text.starts_with(|first: char| first.is_ascii_digit()) {
            stated = Some(ttl(word)?);
        } else if !class_seen && is_class(word)? {
            class_seen = true;
        } else {
            return Ok((stated, rtype(word)?));
        }
    }
}

fn ttl(word: &Word<'_>) -> Result<u32, ZonefileError> {
    // `parse` alone would take a sign too.
    let number = word.text.bytes().all(|octet| octet.is_ascii_digit()).then(|| word.text.parse().ok()).flatten();
    number.filter(|ttl| *ttl <= MAX_TTL).ok_or_else(|| word.error(ZonefileErrorKind::Ttl(word.excerpt())))
}

/// Whether this is class IN; other classes are refused (RFC 1035 §3.2.4, RFC 3597 §5 for `CLASS1`).
fn is_class(word: &Word<'_>) -> Result<bool, ZonefileError> {
    let is = |name: &str| word.text.eq_ignore_ascii_case(name);
    if is("IN") || is("CLASS1") {
        return Ok(true);
    }
    let numbered = word.text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("CLASS"));
    if numbered || is("CH") || is("HS") || is("CS") || is("NONE") || is("ANY") {
        return Err(word.error(ZonefileErrorKind::Class(word.excerpt())));
    }
    Ok(false)
}

fn rtype(word: &Word<'_>) -> Result<Rtype, ZonefileError> {
    /// Names of types that nobody asks for by [`RecordType`].
    const OTHERS: [Rtype; 5] = [Rtype::DNAME, Rtype::RRSIG, Rtype::NSEC, Rtype::DNSKEY, Rtype::NSEC3];
    let unknown = || word.error(ZonefileErrorKind::Type(word.excerpt()));
    let named = RecordType::parse(word.text).map(Rtype::from);
    let rtype = match named.or_else(|| OTHERS.into_iter().find(|r| r.to_string().eq_ignore_ascii_case(word.text))) {
        Some(rtype) => rtype,
        None => {
            // RFC 3597 §5
            let (start, digits) = word.text.split_at_checked(4).ok_or_else(unknown)?;
            if !start.eq_ignore_ascii_case("TYPE") || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
                return Err(unknown());
            }
            Rtype(digits.parse().map_err(|_| unknown())?)
        }
    };
    // RFC 6895 §3.1: zero, OPT and the numbers from 128 to 255 are no types of data.
    if matches!(rtype.0, 0 | 41 | 128..=255) {
        return Err(word.error(ZonefileErrorKind::NotData(rtype)));
    }
    Ok(rtype)
}

#[cfg(test)]
mod tests;
