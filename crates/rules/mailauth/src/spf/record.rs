//! The record (RFC 7208 §4.5, §4.6.1, §5, §6): parser and writer.
//!
//! ```abnf
//! record           = version terms *SP
//! version          = "v=spf1"
//! terms            = *( 1*SP ( directive / modifier ) )
//! directive        = [ qualifier ] mechanism
//! qualifier        = "+" / "-" / "?" / "~"
//! mechanism        = ( all / include / a / mx / ptr / ip4 / ip6 / exists )
//! modifier         = redirect / explanation / unknown-modifier
//! unknown-modifier = name "=" macro-string
//! name             = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
//! ```

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::macros::Place;
use super::{DomainSpec, MacroString, SpfResult, SyntaxError, SyntaxErrorKind};

const VERSION: &str = "v=spf1";

/// Longest prefix of an IPv4 address, and what is meant where none is given (§5.6).
const IP4_BITS: u8 = 32;
/// The same for IPv6.
const IP6_BITS: u8 = 128;

/// A record: who may send for a domain.
///
/// [`Display`](fmt::Display) writes it in one canonical spelling, which parses to an equal value.
///
/// ```
/// use mailstead_mailauth::spf::{Mechanism, Qualifier, Record};
///
/// let record = Record::parse("v=spf1  +MX a:colo.example.com/28  -all")?;
/// assert_eq!(record.to_string(), "v=spf1 mx a:colo.example.com/28 -all");
/// assert_eq!(record.directives[2].qualifier, Qualifier::Fail);
/// assert_eq!(record.directives[2].mechanism, Mechanism::All);
/// assert_eq!(Record::parse("v=spf1 a:192.0.2.1").unwrap_err().term, "a:192.0.2.1");
/// # Ok::<(), mailstead_mailauth::spf::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Record {
    /// Tried from left to right; the first that matches decides.
    pub directives: Vec<Directive>,
    /// Whose record decides when nothing matches (§6.1).
    pub redirect: Option<DomainSpec>,
    /// Where the explanation of a failure stands (§6.2).
    pub explanation: Option<DomainSpec>,
    /// Modifiers that RFC 7208 does not know, and that mean nothing here.
    pub unknown: Vec<(String, MacroString)>,
}

/// A mechanism with what its match means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Directive {
    /// What a match means.
    pub qualifier: Qualifier,
    /// What is compared.
    pub mechanism: Mechanism,
}

/// What a match means (§4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Qualifier {
    /// `+`, or none
    #[default]
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// How many leading bits of an address count, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrefixLengths {
    /// 0 to 32
    pub ip4: u8,
    /// 0 to 128
    pub ip6: u8,
}

/// What the address of a client is compared with (§5). A domain that is not given is the one whose record this is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Everything (§5.1).
    All,
    /// Whatever another record passes (§5.2).
    Include(DomainSpec),
    /// The addresses of a name (§5.3).
    A(Option<DomainSpec>, PrefixLengths),
    /// The addresses of the mail exchangers of a domain (§5.4).
    Mx(Option<DomainSpec>, PrefixLengths),
    /// The names of the client (§5.5). Not to be used, says the RFC, but to be supported.
    Ptr(Option<DomainSpec>),
    /// A network (§5.6).
    Ip4(Ipv4Addr, u8),
    /// A network (§5.6).
    Ip6(Ipv6Addr, u8),
    /// Whether a name has an address (§5.7).
    Exists(DomainSpec),
}

impl Record {
    /// Whether a text record is meant as a record of this version (§4.5). Others are none of our business.
    pub fn has_version(text: impl AsRef<[u8]>) -> bool {
        terms(text.as_ref()).is_some()
    }

    /// Reads a record: the strings of a TXT record in one (§3.3).
    ///
    /// # Errors
    /// When there is an error anywhere in it (§4.6).
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Record, SyntaxError> {
        let terms = terms(text.as_ref()).ok_or(SyntaxError::new("", SyntaxErrorKind::Version))?;
        let mut record = Record::default();
        for term in terms.split(|octet| *octet == b' ').filter(|term| !term.is_empty()) {
            let shown = String::from_utf8_lossy(term);
            let term = str::from_utf8(term).map_err(|_| SyntaxError::new(&shown, SyntaxErrorKind::Character))?;
            record.add(term).map_err(|kind| SyntaxError::new(term, kind))?;
        }
        Ok(record)
    }

    fn add(&mut self, term: &str) -> Result<(), SyntaxErrorKind> {
        // "Modifiers always contain an equals character immediately after the name, and before any : or /" (§4.6.1).
        let Some((name, value)) = term.split_once('=').filter(|(name, _)| is_modifier_name(name)) else {
            self.directives.push(Directive::parse(term)?);
            return Ok(());
        };
        // A known modifier with a wrong value is not an unknown one, though the grammar alone would have it so.
        let known = if name.eq_ignore_ascii_case("redirect") {
            &mut self.redirect
        } else if name.eq_ignore_ascii_case("exp") {
            &mut self.explanation
        } else {
            self.unknown.push((name.to_owned(), MacroString::parse(value, Place::Modifier)?));
            return Ok(());
        };
        if known.is_some() {
            return Err(SyntaxErrorKind::DuplicateModifier);
        }
        *known = Some(DomainSpec::parse(value)?);
        Ok(())
    }
}

/// What follows the version; nothing for text without one.
fn terms(text: &[u8]) -> Option<&[u8]> {
    let (version, rest) = text.split_at_checked(VERSION.len())?;
    let ended = matches!(rest.first(), None | Some(b' '));
    (ended && version.eq_ignore_ascii_case(VERSION.as_bytes())).then_some(rest)
}

fn is_modifier_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl Directive {
    fn parse(term: &str) -> Result<Directive, SyntaxErrorKind> {
        let mut chars = term.chars();
        let qualifier = match chars.next() {
            Some('+') => Some(Qualifier::Pass),
            Some('-') => Some(Qualifier::Fail),
            Some('~') => Some(Qualifier::SoftFail),
            Some('?') => Some(Qualifier::Neutral),
            _ => None,
        };
        let mechanism = if qualifier.is_some() { chars.as_str() } else { term };
        Ok(Directive { qualifier: qualifier.unwrap_or_default(), mechanism: Mechanism::parse(mechanism)? })
    }
}

impl Qualifier {
    /// The result of a match (§4.6.2).
    pub fn result(self) -> SpfResult {
        match self {
            Qualifier::Pass => SpfResult::Pass,
            Qualifier::Fail => SpfResult::Fail,
            Qualifier::SoftFail => SpfResult::SoftFail,
            Qualifier::Neutral => SpfResult::Neutral,
        }
    }
}

impl PrefixLengths {
    /// Whole addresses.
    pub const WHOLE: PrefixLengths = PrefixLengths { ip4: IP4_BITS, ip6: IP6_BITS };
}

impl Mechanism {
    fn parse(text: &str) -> Result<Mechanism, SyntaxErrorKind> {
        let (name, argument) = text.split_at(text.find([':', '/']).unwrap_or(text.len()));
        match name.to_ascii_lowercase().as_str() {
            "all" if argument.is_empty() => Ok(Mechanism::All),
            "all" => Err(SyntaxErrorKind::Argument),
            "include" => Ok(Mechanism::Include(required(argument)?)),
            "exists" => Ok(Mechanism::Exists(required(argument)?)),
            "ptr" => Ok(Mechanism::Ptr(optional(argument)?)),
            "a" | "mx" => {
                let (argument, lengths) = split_prefix_lengths(argument)?;
                let domain = optional(argument)?;
                let is_mx = name.eq_ignore_ascii_case("mx");
                Ok(if is_mx { Mechanism::Mx(domain, lengths) } else { Mechanism::A(domain, lengths) })
            }
            "ip4" => network(argument, IP4_BITS).map(|(network, length)| Mechanism::Ip4(network, length)),
            "ip6" => network(argument, IP6_BITS).map(|(network, length)| Mechanism::Ip6(network, length)),
            _ => Err(SyntaxErrorKind::UnknownMechanism),
        }
    }
}

/// `":" domain-spec`
fn required(argument: &str) -> Result<DomainSpec, SyntaxErrorKind> {
    optional(argument)?.ok_or(SyntaxErrorKind::MissingDomain)
}

/// `[ ":" domain-spec ]`
fn optional(argument: &str) -> Result<Option<DomainSpec>, SyntaxErrorKind> {
    match argument.strip_prefix(':') {
        Some(domain) => DomainSpec::parse(domain).map(Some),
        None if argument.is_empty() => Ok(None),
        None => Err(SyntaxErrorKind::Argument),
    }
}

/// Takes `[ ip4-cidr-length ] [ "/" ip6-cidr-length ]` off the end. A domain-spec cannot end like that.
fn split_prefix_lengths(argument: &str) -> Result<(&str, PrefixLengths), SyntaxErrorKind> {
    let mut lengths = PrefixLengths::WHOLE;
    let mut head = argument;
    if let Some((before, digits)) = split_digits(head).filter(|(before, _)| before.ends_with("//")) {
        lengths.ip6 = prefix_length(digits, IP6_BITS)?;
        head = before.strip_suffix("//").unwrap_or(before);
    }
    if let Some((before, digits)) = split_digits(head).filter(|(before, _)| before.ends_with('/')) {
        lengths.ip4 = prefix_length(digits, IP4_BITS)?;
        head = before.strip_suffix('/').unwrap_or(before);
    }
    Ok((head, lengths))
}

fn split_digits(text: &str) -> Option<(&str, &str)> {
    let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
    text.strip_prefix(before).filter(|digits| !digits.is_empty()).map(|digits| (before, digits))
}

/// `"0" / %x31-39 *DIGIT` up to a number of bits.
fn prefix_length(digits: &str, most: u8) -> Result<u8, SyntaxErrorKind> {
    let plain = digits.chars().all(|c| c.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    let length = digits.parse().ok().filter(|length| plain && *length <= most);
    length.ok_or(SyntaxErrorKind::PrefixLength)
}

/// `":" network [ "/" length ]`
fn network<T: std::str::FromStr>(argument: &str, bits: u8) -> Result<(T, u8), SyntaxErrorKind> {
    let argument = argument.strip_prefix(':').ok_or(SyntaxErrorKind::Address)?;
    let (address, length) = match argument.split_once('/') {
        Some((address, digits)) => (address, prefix_length(digits, bits)?),
        None => (argument, bits),
    };
    Ok((address.parse().map_err(|_| SyntaxErrorKind::Address)?, length))
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        self.directives.iter().try_for_each(|directive| write!(f, " {directive}"))?;
        self.redirect.iter().try_for_each(|domain| write!(f, " redirect={domain}"))?;
        self.explanation.iter().try_for_each(|domain| write!(f, " exp={domain}"))?;
        self.unknown.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let qualifier = match self.qualifier {
            Qualifier::Pass => "",
            Qualifier::Fail => "-",
            Qualifier::SoftFail => "~",
            Qualifier::Neutral => "?",
        };
        write!(f, "{qualifier}{}", self.mechanism)
    }
}

impl fmt::Display for PrefixLengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ip4 != IP4_BITS {
            write!(f, "/{}", self.ip4)?;
        }
        if self.ip6 != IP6_BITS {
            write!(f, "//{}", self.ip6)?;
        }
        Ok(())
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = |f: &mut fmt::Formatter<'_>, name: &str, domain: &Option<DomainSpec>| match domain {
            Some(domain) => write!(f, "{name}:{domain}"),
            None => f.write_str(name),
        };
        match self {
            Mechanism::All => f.write_str("all"),
            Mechanism::Include(domain) => write!(f, "include:{domain}"),
            Mechanism::Exists(domain) => write!(f, "exists:{domain}"),
            Mechanism::Ptr(name) => domain(f, "ptr", name),
            Mechanism::A(name, lengths) => domain(f, "a", name).and_then(|()| lengths.fmt(f)),
            Mechanism::Mx(name, lengths) => domain(f, "mx", name).and_then(|()| lengths.fmt(f)),
            Mechanism::Ip4(network, IP4_BITS) => write!(f, "ip4:{network}"),
            Mechanism::Ip4(network, length) => write!(f, "ip4:{network}/{length}"),
            Mechanism::Ip6(network, IP6_BITS) => write!(f, "ip6:{network}"),
            Mechanism::Ip6(network, length) => write!(f, "ip6:{network}/{length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions() {
        for text in ["v=spf1", "V=SpF1 -all", "v=spf1 "] {
            assert!(Record::has_version(text) && Record::parse(text).is_ok(), "{text}");
        }
        for text in ["v=spf10", "v=spf", " v=spf1", "v=spf1\t-all", "spf2.0/pra", "", "v=sp\u{fc}f1"] {
            assert!(!Record::has_version(text), "{text}");
            assert_eq!(Record::parse(text).unwrap_err().kind, SyntaxErrorKind::Version);
        }
    }

    #[test]
    fn records_are_written_in_one_spelling() {
        for (text, written) in [
            ("v=spf1", "v=spf1"),
            ("V=SPF1  -ALL  ", "v=spf1 -all"),
            ("v=spf1 +mx:Example.org/24//64 a a/0 a//0 ?ptr", "v=spf1 mx:Example.org/24//64 a a/0 a//0 ?ptr"),
            ("v=spf1 a/32//128 ip4:192.0.2.1/32 ip4:192.0.2.0/24", "v=spf1 a ip4:192.0.2.1 ip4:192.0.2.0/24"),
            ("v=spf1 ip6:2001:DB8::/32 ip6:::1/128 ~all", "v=spf1 ip6:2001:db8::/32 ip6:::1 ~all"),
            ("v=spf1 exp=e.%{d} redirect=r.example a", "v=spf1 a redirect=r.example exp=e.%{d}"),
            (
                "v=spf1 moo.cow-far_out=man:dog/cat empty= include:%{l}",
                "v=spf1 include:%{l} moo.cow-far_out=man:dog/cat empty=",
            ),
            ("v=spf1 a:foo:bar/baz.example.com", "v=spf1 a:foo:bar/baz.example.com"),
            ("v=spf1 a:%{d}/24//64 a:x%%/24", "v=spf1 a:%{d}/24//64 a:x%%/24"),
        ] {
            let record = Record::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(record.to_string(), written);
            assert_eq!(Record::parse(written), Ok(record));
        }
    }

    #[test]
    fn refusals_name_the_term_and_the_reason() {
        use SyntaxErrorKind::*;
        for (term, kind) in [
            ("moo", UnknownMechanism),
            ("-all.", UnknownMechanism),
            ("redirect:example.org", UnknownMechanism),
            ("1up=foo", UnknownMechanism),
            ("=all", UnknownMechanism),
            ("moo.cow/far_out=man", UnknownMechanism),
            ("--all", UnknownMechanism),
            ("all:foobar", Argument),
            ("all/8", Argument),
            ("ptr/0", Argument),
            ("a/", Argument),
            ("a/24/", Argument),
            ("exists", MissingDomain),
            ("include", MissingDomain),
            ("include:", MissingDomain),
            ("a:", MissingDomain),
            ("redirect=", MissingDomain),
            ("exp=-all", DomainEnd),
            ("include:example.com/24", DomainEnd),
            ("a:192.0.2.1", NumericDomain),
            ("a:%{r}.example", ExplanationMacro),
            ("exists:%(ir).example", Macro),
            ("foo=%abc", Macro),
            ("a/33", PrefixLength),
            ("a//129", PrefixLength),
            ("a/24/64", PrefixLength),
            ("a/032", PrefixLength),
            ("a/00", PrefixLength),
            ("ip4:192.0.2.1/33", PrefixLength),
            ("ip4:192.0.2.1//32", PrefixLength),
            ("ip4:192.0.2.1/+1", PrefixLength),
            ("ip4:192.0.2.1/", PrefixLength),
            ("ip6:::1/129", PrefixLength),
            ("ip4", Address),
            ("ip4:192.0.2", Address),
            ("ip4:192.0.02.1", Address),
            ("ip4:192.0.2.1:25", Address),
            ("ip4:::1", Address),
            ("ip6::CAFE::BABE", Address),
            ("a:\u{feff}x.example", Character),
        ] {
            let error = Record::parse(format!("v=spf1 ip4:192.0.2.9 -all {term}")).unwrap_err();
            assert_eq!(error.kind, kind, "{term}");
            assert_eq!(error.term, term.escape_default().to_string());
        }
        for text in ["v=spf1 exp=a.example EXP=a.example", "v=spf1 redirect=a.example -all redirect=a.example"] {
            assert_eq!(Record::parse(text).unwrap_err().kind, DuplicateModifier);
        }
        let error = Record::parse(b"v=spf1 \x80a:example.net -all").unwrap_err();
        assert_eq!(error.kind, Character);
        let long = Record::parse(format!("v=spf1 {}", "x".repeat(60_000))).unwrap_err();
        assert!(long.to_string().len() < 100, "{long}");
    }

    fn domain_spec() -> impl Strategy<Value = String> {
        let piece = prop_oneof!["[!-$&-~]{1,6}", "%\\{[slodipvhSLODIPVH][1-9]?r?[-.+,/_=]{0,3}\\}", "%[%_-]"];
        let end = prop_oneof!["\\.[a-z][a-z0-9]{0,4}\\.?", "%\\{d2?r?\\}"];
        (proptest::collection::vec(piece, 0..4), end).prop_map(|(pieces, end)| pieces.concat() + &end)
    }

    fn term() -> impl Strategy<Value = String> {
        let lengths = "(/(0|[12]?[1-9]|3[0-2]))?(//(0|[1-9]|12[0-8]))?";
        prop_oneof![
            Just("all".to_owned()),
            domain_spec().prop_map(|domain| format!("include:{domain}")),
            domain_spec().prop_map(|domain| format!("exists:{domain}")),
            (proptest::option::of(domain_spec()), lengths).prop_map(|(domain, lengths)| match domain {
                Some(domain) => format!("a:{domain}{lengths}"),
                None => format!("mx{lengths}"),
            }),
            domain_spec().prop_map(|domain| format!("ptr:{domain}")),
            (any::<Ipv4Addr>(), 0..=32_u8).prop_map(|(ip, length)| format!("ip4:{ip}/{length}")),
            (any::<Ipv6Addr>(), 0..=128_u8).prop_map(|(ip, length)| format!("ip6:{ip}/{length}")),
        ]
    }

    proptest! {
        #[test]
        fn parsing_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::parse(&octets);
            let _ = Record::parse([b"v=spf1 ", octets.as_slice()].concat());
        }

        #[test]
        fn what_looks_like_a_record_never_panics(text in "v=spf1( [-+~?]?(a|mx|ip4|ip6|exp|redirect|x)[:=/%{}a-z0-9.]{0,12}){0,4}") {
            if let Ok(record) = Record::parse(&text) {
                prop_assert_eq!(Record::parse(record.to_string()), Ok(record));
            }
        }

        #[test]
        fn written_records_parse_to_the_same(
            terms in proptest::collection::vec(("[-+~?]?", term()), 0..6),
            redirect in proptest::option::of(domain_spec()),
            explanation in proptest::option::of(domain_spec()),
        ) {
            let mut text = VERSION.to_owned();
            terms.iter().for_each(|(qualifier, term)| text += &format!(" {qualifier}{term}"));
            redirect.iter().for_each(|domain| text += &format!(" redirect={domain}"));
            explanation.iter().for_each(|domain| text += &format!(" exp={domain}"));
            let record = Record::parse(&text).unwrap();
            prop_assert_eq!(record.directives.len(), terms.len());
            prop_assert_eq!(Record::parse(record.to_string()), Ok(record));
        }
    }
}
