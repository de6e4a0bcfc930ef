//! States as text: records of a zone file, with what is known about each key in a comment behind it. So other programs
//! can read the keys, and people everything.
//!
//! ```text
//! . IN DNSKEY 257 3 8 AwEAAa... ;; tag=20326 state=VALID origin=CONFIGURED since=2026-01-01T00:00:00Z
//! . IN DNSKEY 257 3 8 AwEAAa... ;; tag=38696 state=ADDPEND since=... until=... by=20326,12345
//! ```

use std::fmt;

use jiff::Timestamp;
use mailstead_dns::zonefile::{self, MAX_TEXT, ZoneRecord, ZonefileErrorKind};
use mailstead_dns::{Name, Rtype};

use super::{KeyState, MOST_KEYS, Origin, TrackedKey, TrustPoint};
use crate::{Dnskey, is_supported_algorithm};

/// What is wrong with a text of states, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct StateError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: StateErrorKind,
}

/// What is wrong with a text of states.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateErrorKind {
    /// The record cannot be read.
    #[error(transparent)]
    Record(ZonefileErrorKind),
    /// There is another record than one key of a zone.
    #[error("there must be one DNSKEY record, of a key of a zone without the flag REVOKE")]
    NotKey,
    /// The key is not the one that the line is about.
    #[error("the key has another tag than the line says")]
    Tag,
    /// A field behind the record is missing.
    #[error("the field {0}= is missing behind the record")]
    Missing(&'static str),
    /// A field behind the record has a value that it cannot have, or there is another field or one too many.
    #[error("there is a field behind the record that cannot be read")]
    Field,
    /// A key is there twice.
    #[error("the key is there twice")]
    Twice,
    /// There are more keys of one zone than are ever written.
    #[error("the zone has more than {MOST_KEYS} keys")]
    TooMany,
    /// There is no key at all: whatever was written here is gone.
    #[error("there is no key")]
    Empty,
}

/// Seconds since 1970 as people write them (RFC 3339).
pub(super) struct Time(pub(super) u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Later than the year 9999 there is nothing to wait for.
        let time = i64::try_from(self.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.unwrap_or(Timestamp::MAX).fmt(f)
    }
}

fn time(text: &str) -> Option<u64> {
    u64::try_from(text.parse::<Timestamp>().ok()?.as_second()).ok()
}

impl Origin {
    const TABLE: [(Origin, &'static str); 2] = [(Origin::Configured, "CONFIGURED"), (Origin::Accepted, "ACCEPTED")];

    fn name(self) -> &'static str {
        Origin::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    fn parse(name: &str) -> Option<Origin> {
        Origin::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

impl fmt::Display for TrackedKey {
    /// What stands behind the record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = Time(self.since);
        write!(f, "tag={} state=", self.key.key_tag())?;
        match &self.state {
            KeyState::AddPend { until, validated_by } => {
                write!(f, "ADDPEND since={since} until={} by=", Time(*until))?;
                validated_by.iter().enumerate().try_for_each(|(place, tag)| {
                    let comma = if place == 0 { "" } else { "," };
                    write!(f, "{comma}{tag}")
                })
            }
            KeyState::Valid(origin) => write!(f, "VALID origin={} since={since}", origin.name()),
            KeyState::Missing(origin) => write!(f, "MISSING origin={} since={since}", origin.name()),
            KeyState::Revoked { absent_since } => {
                write!(f, "REVOKED since={since}")?;
                absent_since.map_or(Ok(()), |absent| write!(f, " absent={}", Time(absent)))
            }
            KeyState::Removed => write!(f, "REMOVED since={since}"),
            KeyState::Withdrawn => write!(f, "WITHDRAWN since={since}"),
        }
    }
}

impl fmt::Display for TrustPoint {
    /// A line for each key. Without keys there is nothing to write.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tracked in &self.keys {
            let record = ZoneRecord {
                line: 1,
                owner: self.zone.clone(),
                ttl: None,
                rtype: Rtype::DNSKEY,
                data: tracked.key.to_data().into(),
            };
            writeln!(f, "{record} ;; {tracked}")?;
        }
        Ok(())
    }
}

impl TrustPoint {
    /// Reads the states of all zones in a text. Empty lines and those that begin with a semicolon are left out.
    ///
    /// # Errors
    /// When any of it is not as it was written, because half of what was known can be worse than nothing: a key could be
    /// trusted again that was revoked. Also when there is nothing.
    pub fn parse_all(text: &str) -> Result<Vec<TrustPoint>, StateError> {
        if text.len() > MAX_TEXT {
            return Err(StateError { line: 1, kind: StateErrorKind::Record(ZonefileErrorKind::TextTooLong) });
        }
        let mut points: Vec<TrustPoint> = Vec::new();
        for (place, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with(';') {
                continue;
            }
            let wrong = |kind| StateError { line: place + 1, kind };
            let (zone, tracked) = parse_line(line).map_err(wrong)?;
            let at = points.iter().position(|point| point.zone == zone).unwrap_or_else(|| {
                points.push(TrustPoint::new(zone));
                points.len() - 1
            });
            let Some(point) = points.get_mut(at) else { continue };
            if point.keys.iter().any(|other| other.key == tracked.key) {
                return Err(wrong(StateErrorKind::Twice));
            }
            if point.keys.len() == MOST_KEYS {
                return Err(wrong(StateErrorKind::TooMany));
            }
            point.keys.push(tracked);
        }
        if points.is_empty() { Err(StateError { line: 1, kind: StateErrorKind::Empty }) } else { Ok(points) }
    }
}

fn parse_line(line: &str) -> Result<(Name, TrackedKey), StateErrorKind> {
    let (record, fields) = line.split_once(";;").ok_or(StateErrorKind::Missing("state"))?;
    let mut records = zonefile::records(record);
    let record = records.next().ok_or(StateErrorKind::NotKey)?.map_err(|error| StateErrorKind::Record(error.kind))?;
    let key = (record.rtype == Rtype::DNSKEY).then(|| Dnskey::from_data(&record.data)).flatten();
    let usable = |key: &Dnskey| key.is_usable() && is_supported_algorithm(key.algorithm);
    let key = key.filter(usable).ok_or(StateErrorKind::NotKey)?;
    let mut fields = Fields::read(fields)?;
    if fields.take("tag").and_then(|tag| tag.parse().ok()) != Some(key.key_tag()) {
        return Err(StateErrorKind::Tag);
    }
    let state = match fields.required("state")? {
        "ADDPEND" => {
            let until = fields.time("until")?;
            let tags = fields.required("by")?.split(',').map(|tag| tag.parse().map_err(|_| StateErrorKind::Field));
            KeyState::AddPend { until, validated_by: tags.collect::<Result<_, _>>()? }
        }
        "VALID" => KeyState::Valid(fields.origin()?),
        "MISSING" => KeyState::Missing(fields.origin()?),
        "REVOKED" => {
            let absent = fields.take("absent").map(|value| time(value).ok_or(StateErrorKind::Field));
            KeyState::Revoked { absent_since: absent.transpose()? }
        }
        "REMOVED" => KeyState::Removed,
        "WITHDRAWN" => KeyState::Withdrawn,
        _ => return Err(StateErrorKind::Field),
    };
    let since = fields.time("since")?;
    if !fields.0.is_empty() {
        return Err(StateErrorKind::Field);
    }
    Ok((record.owner, TrackedKey { key, state, since }))
}

/// The fields behind a record that have not been read.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Fields<'a>, StateErrorKind> {
        let fields = text.split_ascii_whitespace().map(|field| field.split_once('=').ok_or(StateErrorKind::Field));
        Ok(Fields(fields.collect::<Result<_, _>>()?))
    }

    fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|(field, _)| *field == name)?;
        Some(self.0.remove(place).1)
    }

    fn required(&mut self, name: &'static str) -> Result<&'a str, StateErrorKind> {
        self.take(name).ok_or(StateErrorKind::Missing(name))
    }

    fn time(&mut self, name: &'static str) -> Result<u64, StateErrorKind> {
        time(self.required(name)?).ok_or(StateErrorKind::Field)
    }

    fn origin(&mut self) -> Result<Origin, StateErrorKind> {
        Origin::parse(self.required("origin")?).ok_or(StateErrorKind::Field)
    }
}
