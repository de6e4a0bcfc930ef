//! Expanding macros (RFC 7208 §7.2, §7.3).

use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::SystemTime;

use mailstead_names::Domain;

use super::macros::{Letter, Macro, MacroString, Piece};
use super::{DomainSpec, Query};

/// Longest name that can be asked for (§7.3).
const LONGEST_NAME: usize = 253;

/// Stands for a name that is not known: of the client (`p`) or of the host that checks (`r`).
pub(super) const UNKNOWN: &str = "unknown";

/// What macros stand for in one place of an evaluation.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) query: &'a Query,
    /// `<domain>`: whose record the macro is in.
    pub(super) domain: &'a Domain,
    /// The validated name of the client, where it is needed and known.
    pub(super) validated_name: &'a str,
}

/// Where a domain-spec leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Name(Domain),
    /// A name that cannot be asked for, such as one with an empty label. What that means is undefined (§4.8).
    Malformed,
    /// A local part with other than ASCII characters is in it: the term does not match (RFC 8616 §4).
    Unmatchable,
}

impl Values<'_> {
    fn value(&self, letter: Letter) -> Cow<'_, str> {
        let query = self.query;
        match letter {
            Letter::Sender => format!("{}@{}", query.localpart, query.host).into(),
            Letter::LocalPart => query.localpart.as_str().into(),
            Letter::SenderDomain => query.host.as_str().into(),
            Letter::Domain => self.domain.as_ascii().into(),
            Letter::Ip => dotted(query.ip).into(),
            Letter::ValidatedName => self.validated_name.into(),
            Letter::IpVersion => if query.ip.is_ipv4() { "in-addr" } else { "ip6" }.into(),
            Letter::Helo => query.helo.as_str().into(),
            Letter::ReadableIp => query.ip.to_string().into(),
            Letter::Receiver => query.receiver.as_ref().map_or(UNKNOWN, Domain::as_ascii).into(),
            Letter::Timestamp => {
                let since = query.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                since.as_secs().to_string().into()
            }
        }
    }

    fn expanded<'a>(&'a self, piece: &'a Piece) -> Cow<'a, str> {
        match piece {
            Piece::Literal(text) => text.into(),
            Piece::Percent => "%".into(),
            Piece::Space => " ".into(),
            Piece::EncodedSpace => "%20".into(),
            Piece::Macro(it) => {
                let value = it.transform(self.value(it.letter));
                if it.escaped { escape(&value).into() } else { value }
            }
        }
    }

    /// Text for people, cut to a number of octets as soon as there are enough.
    pub(super) fn text(&self, string: &MacroString, most: usize) -> String {
        let mut text = String::new();
        for piece in &string.pieces {
            text.push_str(&self.expanded(piece));
            if text.len() > most {
                text.truncate(text.floor_char_boundary(most));
                break;
            }
        }
        text
    }

    /// The `<target-name>` (§4.8).
    ///
    /// Of a name that is too long the left side is removed (§7.3), so expanding begins at the end and goes no further
    /// than that: however many macros there are, little is done for them.
    pub(super) fn target(&self, spec: &DomainSpec) -> Target {
        let DomainSpec(string) = spec;
        let shows_localpart = string.uses(Letter::Sender) || string.uses(Letter::LocalPart);
        if shows_localpart && !self.query.localpart.is_ascii() {
            return Target::Unmatchable;
        }
        let mut name = String::new();
        for piece in string.pieces.iter().rev() {
            // One more for a dot at the end, and one to see whether a label begins where the name is cut.
            if name.len() > LONGEST_NAME + 2 {
                break;
            }
            name.insert_str(0, &self.expanded(piece));
        }
        let name = name.strip_suffix('.').unwrap_or(&name);
        match shortened(name).filter(|name| name.is_ascii()).map(Domain::parse_composed) {
            Some(Ok(domain)) => Target::Name(domain),
            _ => Target::Malformed,
        }
    }
}

impl Macro {
    /// Splits, reverses, takes parts from the right and joins again (§7.3).
    fn transform<'a>(&self, value: Cow<'a, str>) -> Cow<'a, str> {
        if self.keep.is_none() && !self.reversed && self.delimiters.is_empty() {
            return value;
        }
        let is_delimiter = |c| if self.delimiters.is_empty() { c == '.' } else { self.delimiters.contains(c) };
        let mut parts: Vec<&str> = value.split(is_delimiter).collect();
        if self.reversed {
            parts.reverse();
        }
        let keep = self.keep.map_or(usize::MAX, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
        let skip = parts.len().saturating_sub(keep);
        parts.get(skip..).unwrap_or_default().join(".").into()
    }
}

/// The name without as many labels from the left as make it too long; nothing where only a part of a label would fit.
fn shortened(name: &str) -> Option<&str> {
    let Some(excess) = name.len().checked_sub(LONGEST_NAME).filter(|excess| *excess > 0) else { return Some(name) };
    // The dot that is removed last may stand right before what is kept.
    let tail = name.get(name.ceil_char_boundary(excess - 1)..)?;
    tail.split_once('.').map(|(_, rest)| rest)
}

/// Octets, or for IPv6 nibbles, with dots between them, for use in `%{ir}`. The nibbles are capitals as in the test
/// suite of openspf; names do not mind.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            nibbles.map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{octet:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use mailstead_names::EhloName;

    use super::super::macros::Place;
    use super::*;

    fn query(ip: &str, sender: &str) -> Query {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        Query::sender(ip.parse().unwrap(), sender, &EhloName::parse("mx.example.org"), now)
    }

    fn expand(query: &Query, text: &str) -> String {
        let domain = Domain::parse("email.example.com").unwrap();
        let values = Values { query, domain: &domain, validated_name: "mx.example.org" };
        values.text(&MacroString::parse(text, Place::Explanation).unwrap(), 1000)
    }

    fn target(query: &Query, text: &str) -> Target {
        let domain = Domain::parse("email.example.com").unwrap();
        let values = Values { query, domain: &domain, validated_name: "mx.example.org" };
        values.target(&DomainSpec::parse(text).unwrap())
    }

    /// RFC 7208 §7.4.
    #[test]
    fn examples_of_the_rfc() {
        let ip4 = query("192.0.2.3", "strong-bad@email.example.com");
        for (text, expansion) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ] {
            assert_eq!(expand(&ip4, text), expansion, "{text}");
        }
        let ip6 = query("2001:db8::cb01", "strong-bad@email.example.com");
        let name = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com";
        assert_eq!(target(&ip6, "%{ir}.%{v}._spf.%{d2}"), Target::Name(Domain::parse_lenient(name).unwrap()));
    }

    #[test]
    fn all_letters_and_escapes() {
        let query = query("2001:db8::1", "~jack&jill=up-a_b3.c@example.org");
        let receiver = query.clone().received_by(Domain::parse("in.example.net").unwrap());
        assert_eq!(
            expand(&query, "%{c} %{v} %{h} %{p} %{r} %{t}"),
            "2001:db8::1 ip6 mx.example.org mx.example.org unknown 1700000000"
        );
        assert_eq!(expand(&receiver, "%{r2}"), "example.net");
        assert_eq!(
            expand(&query, "%{L}%%%_%-%{S}"),
            "~jack%26jill%3Dup-a_b3.c% %20~jack%26jill%3Dup-a_b3.c%40example.org"
        );
        assert_eq!(expand(&query, "%{l+=}.%{l2=_}"), "~jack&jill.up-a_b3.c.up-a.b3.c");
        // Empty parts are parts.
        let dots = Query { localpart: ".a..b.".into(), ..query };
        assert_eq!(expand(&dots, "%{l}|%{lr}|%{l2}|%{l99999}"), ".a..b.|.b..a.|b.|.a..b.");
    }

    #[test]
    fn long_names_lose_their_left_side() {
        let long = "a".repeat(63);
        let query = query("192.0.2.1", &format!("{long}@{long}.example"));
        let Target::Name(name) = target(&query, "x.%{l}.%{o}.%{l}.%{l}.y.example.") else { panic!("a name") };
        assert_eq!(name.as_ascii(), format!("{long}.example.{long}.{long}.y.example"));
        // Exactly as long as can be, with a dot at the end that does not count.
        let exact = format!("{long}.{long}.{long}.{}.example", "b".repeat(53));
        assert_eq!(exact.len(), 253);
        assert_eq!(target(&query, &format!("{exact}.")), Target::Name(Domain::parse(&exact).unwrap()));
        assert_eq!(target(&query, &format!("%{{l}}.{exact}.")), Target::Name(Domain::parse(&exact).unwrap()));
        let Target::Name(name) = target(&query, &format!("b{exact}")) else { panic!("a name") };
        assert_eq!(name.as_ascii(), &exact[64..]);
        // Nothing but a part of a label is left.
        assert_eq!(target(&query, &format!("{}.x", "a".repeat(60_000))), Target::Name(Domain::parse("x").unwrap()));
        assert_eq!(target(&query, &"%{l}".repeat(10_000)), Target::Malformed);
    }

    #[test]
    fn names_that_cannot_be_asked_for() {
        let plain = query("192.0.2.1", "user+tag@example.org");
        for text in ["a..example", ".example", &format!("{}.example", "a".repeat(64)), "%{i}"] {
            assert_eq!(target(&plain, text), Target::Malformed, "{text}");
        }
        let Target::Name(name) = target(&plain, "%{l}._SPF.%{o}") else { panic!("a name") };
        assert_eq!(name.as_ascii(), "user+tag._spf.example.org");
        let international = query("192.0.2.1", "bücher@example.org");
        assert_eq!(target(&international, "%{l}._spf.%{o}"), Target::Unmatchable);
        assert_eq!(target(&international, "%{S}._spf.%{o}"), Target::Unmatchable);
        assert!(matches!(target(&international, "_spf.%{o}"), Target::Name(_)));
        let helo = Query { helo: "bücher".into(), ..plain };
        assert_eq!(target(&helo, "%{h}.example.org"), Target::Malformed);
    }
}
