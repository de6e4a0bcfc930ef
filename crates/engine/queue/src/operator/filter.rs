//! Which recipients an operator means. Pure.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use mailstead_names::{Address, Domain, ReversePath};
use mailstead_store::{Listing, QueueId, QueueRow};
use serde::{Deserialize, Serialize};

/// Which recipients are meant. What is left out does not matter, and everything that is given must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Only these numbers, if there are any.
    pub ids: Vec<i64>,
    /// What the reverse-path must be like.
    pub from: Option<AddressPattern>,
    /// What the forward-path must be like.
    pub to: Option<AddressPattern>,
    /// How long ago it was queued.
    pub submitted: Option<Span>,
    /// How soon the next attempt is due; what is overdue is within every span.
    pub next: Option<Span>,
    /// No more than this many, the first in the order in which they are looked for.
    pub max: Option<usize>,
}

/// What an address must be like: a part of it, `@` and all of its domain, or `<>` for the null reverse-path. The case of
/// letters does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AddressPattern {
    /// It has this in it, in ASCII or in Unicode.
    Contains(String),
    /// Its domain is this one.
    Domain(Domain),
    /// There is none.
    Null,
}

/// A distance from now: `<1h` is less than an hour, `>2d` more than two days, `now` nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// So much, or less.
    Within(SignedDuration),
    /// So much, or more.
    Beyond(SignedDuration),
}

impl Filter {
    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// What the store can find by itself.
    pub(crate) fn listing(&self, now: Timestamp, limit: usize) -> Listing {
        let ago = |span: SignedDuration| now.saturating_sub(span).unwrap_or(Timestamp::MIN);
        let hence = |span: SignedDuration| now.saturating_add(span).unwrap_or(Timestamp::MAX);
        let mut listing = Listing::everything(limit);
        match self.submitted {
            Some(Span::Within(span)) => listing.created = ago(span)..=Timestamp::MAX,
            Some(Span::Beyond(span)) => listing.created = Timestamp::MIN..=ago(span),
            None => {}
        }
        match self.next {
            Some(Span::Within(span)) => listing.next_attempt = Timestamp::MIN..=hence(span),
            Some(Span::Beyond(span)) => listing.next_attempt = hence(span)..=Timestamp::MAX,
            None => {}
        }
        if !self.ids.is_empty() {
            listing.ids = Some(self.ids.iter().copied().map(QueueId).collect());
        }
        listing
    }

    /// The rest: whether the addresses are as they must be.
    pub(crate) fn is_met_by(&self, row: &QueueRow) -> bool {
        let sender = match &row.sender {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        };
        self.from.as_ref().is_none_or(|pattern| pattern.matches(sender))
            && self.to.as_ref().is_none_or(|pattern| pattern.matches(Some(&row.recipient)))
    }
}

impl AddressPattern {
    fn matches(&self, address: Option<&Address>) -> bool {
        match (self, address) {
            (AddressPattern::Null, address) => address.is_none(),
            (_, None) => false,
            (AddressPattern::Domain(domain), Some(address)) => address.domain() == Some(domain),
            (AddressPattern::Contains(part), Some(address)) => {
                let part = part.to_lowercase();
                let ascii = format!("{}@{}", address.localpart, address.host);
                [ascii, address.unicode()].iter().any(|text| text.to_lowercase().contains(&part))
            }
        }
    }
}

impl FromStr for AddressPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<AddressPattern, String> {
        match text.strip_prefix('@') {
            _ if text.is_empty() => Err("a part of an address, a domain behind `@`, or `<>` is needed".to_owned()),
            None if text == "<>" => Ok(AddressPattern::Null),
            None => Ok(AddressPattern::Contains(text.to_owned())),
            Some(domain) => match Domain::parse(domain) {
                Ok(domain) => Ok(AddressPattern::Domain(domain)),
                Err(error) => Err(format!("`{domain}` is not a domain: {error}")),
            },
        }
    }
}

impl TryFrom<String> for AddressPattern {
    type Error = String;

    fn try_from(text: String) -> Result<AddressPattern, String> {
        text.parse()
    }
}

impl From<AddressPattern> for String {
    fn from(pattern: AddressPattern) -> String {
        pattern.to_string()
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressPattern::Contains(part) => f.write_str(part),
            AddressPattern::Domain(domain) => write!(f, "@{domain}"),
            AddressPattern::Null => f.write_str("<>"),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        match (text, text.strip_prefix('<'), text.strip_prefix('>')) {
            ("now", ..) => Ok(Span::Within(SignedDuration::ZERO)),
            (_, Some(time), _) => Ok(Span::Within(duration(time)?)),
            (_, _, Some(time)) => Ok(Span::Beyond(duration(time)?)),
            _ => Err("use < or > with a time behind it, such as `<90m` or `>2d`, or `now`".to_owned()),
        }
    }
}

/// A time as people write it: a number with s, m, h or d.
///
/// # Errors
/// Anything else, in words for a person.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    const UNITS: [(char, i64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    let parsed = UNITS.iter().find_map(|(unit, seconds)| {
        let number: u32 = text.strip_suffix(*unit)?.parse().ok()?;
        Some(SignedDuration::from_secs(i64::from(number) * seconds))
    });
    parsed.ok_or_else(|| "use a number with s, m, h or d behind it, such as 90m, 4h or 2d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans() {
        let seconds = |text: &str| duration(text).ok().map(|span| span.as_secs());
        assert_eq!(["90m", "4h", "2d", "7s"].map(seconds), [Some(5400), Some(14_400), Some(172_800), Some(7)]);
        for wrong in ["4", "h", "-1h", "+ 1h", "1.5h", "99999999999d", "1 h", ""] {
            assert_eq!(seconds(wrong), None, "{wrong}");
            assert!(wrong.parse::<Span>().is_err() && format!("<{wrong}").parse::<Span>().is_err(), "{wrong}");
        }
        let hour = SignedDuration::from_hours(1);
        assert_eq!("<1h".parse(), Ok(Span::Within(hour)));
        assert_eq!(">60m".parse(), Ok(Span::Beyond(hour)));
        assert_eq!("now".parse(), Ok(Span::Within(SignedDuration::ZERO)));
        assert!("1h".parse::<Span>().is_err() && "soon".parse::<Span>().is_err());
    }

    #[test]
    fn addresses() {
        let matches = |pattern: &str, address: &str| {
            let address = (address != "<>").then(|| Address::parse(address).unwrap());
            pattern.parse::<AddressPattern>().unwrap().matches(address.as_ref())
        };
        for (pattern, address, expected) in [
            ("jane", "jane@one.example", true),
            ("JANE@One", "jane@one.example", true),
            ("one.example", "jane@mail.one.example", true),
            ("joe", "jane@one.example", false),
            ("@one.example", "jane@one.example", true),
            ("@ONE.example", "jane@one.example", true),
            ("@one.example", "jane@mail.one.example", false),
            ("@bücher.example", "jane@xn--bcher-kva.example", true),
            ("@xn--bcher-kva.example", "jürgen@bücher.example", true),
            ("bücher", "jane@xn--bcher-kva.example", true),
            ("bcher-kva", "jürgen@bücher.example", true),
            ("<>", "<>", true),
            ("<>", "jane@one.example", false),
            ("jane", "<>", false),
            ("@one.example", "jane@[192.0.2.1]", false),
            ("192.0.2", "jane@[192.0.2.1]", true),
        ] {
            assert_eq!(matches(pattern, address), expected, "{pattern} for {address}");
        }
        assert!("".parse::<AddressPattern>().is_err() && "@".parse::<AddressPattern>().is_err());
        assert!("@one example".parse::<AddressPattern>().is_err());
    }

    #[test]
    fn the_form_on_the_way_to_a_server() {
        let filter = Filter {
            ids: vec![7],
            from: Some("<>".parse().unwrap()),
            to: Some("@bücher.example".parse().unwrap()),
            submitted: Some(">2d".parse().unwrap()),
            next: Some("now".parse().unwrap()),
            max: Some(3),
        };
        let sent = serde_json::to_string(&filter).unwrap();
        assert_eq!(serde_json::from_str::<Filter>(&sent).unwrap(), filter);
        assert!(!filter.is_empty() && Filter::default().is_empty());
    }
}
