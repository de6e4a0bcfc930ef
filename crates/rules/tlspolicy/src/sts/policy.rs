//! The policy (RFC 8461 §3.2), and which hosts it names (§4.1).

use std::fmt;
use std::time::Duration;

use mailstead_names::Domain;

use crate::report::{FailureReason, ResultType};

/// Most octets of a policy that are read; RFC 8461 §3.3 suggests 64 KB.
pub const MAX_POLICY: usize = 64 * 1024;
/// Most hosts that a policy may name.
const MOST_HOSTS: usize = 1000;
/// Longest life of a policy (RFC 8461 §3.2): about a year.
const LONGEST: Duration = Duration::from_secs(31_557_600);

/// What is done about a host that does not hold what the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Mail does not go there.
    Enforce,
    /// It is reported, and mail goes there all the same.
    Testing,
    /// There is no policy any more.
    None,
}

impl Mode {
    /// As in a policy.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A host, or all hosts one label below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MxPattern {
    /// `mail.example.com`
    Host(Domain),
    /// `*.example.com`
    Below(Domain),
}

impl MxPattern {
    fn parse(text: &str) -> Option<MxPattern> {
        // RFC 8461 §3.2: A-labels, which are ASCII.
        if !text.is_ascii() {
            return None;
        }
        match text.strip_prefix("*.") {
            Some(domain) => Domain::parse_lenient(domain).ok().map(MxPattern::Below),
            None => Domain::parse_lenient(text).ok().map(MxPattern::Host),
        }
    }

    /// Whether it stands for this host: a wildcard is exactly one label, the leftmost (RFC 8461 §4.1).
    #[must_use]
    pub fn matches(&self, host: &Domain) -> bool {
        match self {
            MxPattern::Host(name) => name == host,
            MxPattern::Below(domain) => host.parent().is_some_and(|parent| parent == *domain),
        }
    }
}

impl fmt::Display for MxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MxPattern::Host(name) => write!(f, "{name}"),
            MxPattern::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What is done about hosts that do not hold it.
    pub mode: Mode,
    /// The hosts.
    pub mx: Vec<MxPattern>,
    /// How long it may be kept after it was fetched.
    pub max_age: Duration,
    /// As it was fetched, for the reports.
    pub text: String,
}

/// Why octets are not a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// More than [`MAX_POLICY`] octets.
    #[error("the MTA-STS policy is larger than 64 KB")]
    TooLarge,
    /// A line is not a name, `:` and a value.
    #[error("a line of the MTA-STS policy is malformed")]
    Line,
    /// There is no version, or not `STSv1`.
    #[error("the version of the MTA-STS policy must be STSv1")]
    Version,
    /// There is no mode, or an unknown one.
    #[error("the mode of the MTA-STS policy must be enforce, testing or none")]
    Mode,
    /// There is no `max_age`, or it is no number.
    #[error("max_age of the MTA-STS policy must be a number of seconds")]
    MaxAge,
    /// A host is not a name.
    #[error("an mx of the MTA-STS policy is not the name of a host")]
    Mx,
    /// There are no hosts.
    #[error("the MTA-STS policy names no mx")]
    NoMx,
    /// There are more than 1,000 hosts.
    #[error("the MTA-STS policy names too many hosts")]
    TooManyMx,
}

impl PolicyError {
    /// As it is reported (RFC 8460 §4.3.2.2).
    #[must_use]
    pub fn report(self) -> FailureReason {
        let code = match self {
            PolicyError::TooLarge => "policy-too-large",
            PolicyError::Line => "policy-malformed",
            PolicyError::Version => "policy-version",
            PolicyError::Mode => "policy-mode",
            PolicyError::MaxAge => "policy-max-age",
            PolicyError::Mx | PolicyError::NoMx | PolicyError::TooManyMx => "policy-mx",
        };
        FailureReason::with_code(ResultType::StsPolicyInvalid, code)
    }
}

impl Policy {
    /// The policy with this text. Unknown fields are ignored; of fields that may occur once, the first counts. A life
    /// longer than RFC 8461 allows is cut to what it allows.
    ///
    /// ```
    /// # use mailstead_tlspolicy::sts::{Mode, Policy};
    /// let policy = Policy::parse("version: STSv1\nmode: testing\nmx: *.example.net\nmax_age: 604800\n").unwrap();
    /// assert_eq!(policy.mode, Mode::Testing);
    /// assert!(policy.admits(&"mx.example.net".parse().unwrap()));
    /// ```
    ///
    /// # Errors
    /// [`PolicyError`]
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        if text.len() > MAX_POLICY {
            return Err(PolicyError::TooLarge);
        }
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in lines(text) {
            let (name, value) = line.split_once(':').ok_or(PolicyError::Line)?;
            let value = value.trim_start_matches([' ', '\t']);
            match name {
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() >= MOST_HOSTS => return Err(PolicyError::TooManyMx),
                "mx" => mx.push(MxPattern::parse(value).ok_or(PolicyError::Mx)?),
                _ if name.is_empty() || value.chars().any(char::is_control) => return Err(PolicyError::Line),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyError::Version);
        }
        let modes = [Mode::Enforce, Mode::Testing, Mode::None];
        let mode = modes.into_iter().find(|known| mode == Some(known.as_str())).ok_or(PolicyError::Mode)?;
        let digits = max_age.filter(|age| (1..=10).contains(&age.len()) && age.bytes().all(|b| b.is_ascii_digit()));
        let seconds: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or(PolicyError::MaxAge)?;
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::NoMx);
        }
        Ok(Policy { mode, mx, max_age: Duration::from_secs(seconds).min(LONGEST), text: text.to_owned() })
    }

    /// A policy to be published.
    #[must_use]
    pub fn new(mode: Mode, mx: Vec<MxPattern>, max_age: Duration) -> Policy {
        let max_age = max_age.min(LONGEST);
        let mut text = format!("version: STSv1\r\nmode: {mode}\r\n");
        text.extend(mx.iter().map(|pattern| format!("mx: {pattern}\r\n")));
        text.push_str(&format!("max_age: {}\r\n", max_age.as_secs()));
        Policy { mode, mx, max_age, text }
    }

    /// Whether it names this host (RFC 8461 §4.1).
    #[must_use]
    pub fn admits(&self, host: &Domain) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(host))
    }

    /// The lines of its text, as a report has them (RFC 8460 §4.4 `policy-string`).
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        lines(&self.text)
    }
}

/// Lines end in LF or CRLF, and may have white space at their ends.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| line.trim_end_matches(['\r', ' ', '\t'])).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n\
                           mx: backupmx.example.com\r\nmax_age: 604800\r\n";

    fn domain(name: &str) -> Domain {
        Domain::parse_lenient(name).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc() {
        let policy = Policy::parse(EXAMPLE).unwrap();
        assert_eq!((policy.mode, policy.max_age.as_secs(), policy.mx.len()), (Mode::Enforce, 604_800, 3));
        assert_eq!(policy.lines().count(), 6);
        let again = Policy::new(policy.mode, policy.mx.clone(), policy.max_age);
        assert_eq!(again.text, EXAMPLE);
        assert_eq!(Policy::parse(&EXAMPLE.replace("\r\n", "\n")).unwrap().mx, policy.mx);
    }

    #[test]
    fn a_wildcard_is_one_label() {
        let policy = Policy::parse(EXAMPLE).unwrap();
        for named in ["mail.example.com", "MAIL.Example.Com", "a.example.net", "backupmx.example.com"] {
            assert!(policy.admits(&domain(named)), "{named}");
        }
        for other in ["example.com", "example.net", "a.b.example.net", "a.mail.example.com", "example.org", "net"] {
            assert!(!policy.admits(&domain(other)), "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let without = |line: &str| Policy::parse(&EXAMPLE.replace(line, "")).unwrap_err();
        assert_eq!(without("version: STSv1\r\n"), PolicyError::Version);
        assert_eq!(without("mode: enforce\r\n"), PolicyError::Mode);
        assert_eq!(without("max_age: 604800\r\n"), PolicyError::MaxAge);
        let instead = |from: &str, to: &str| Policy::parse(&EXAMPLE.replace(from, to)).unwrap_err();
        assert_eq!(instead("STSv1", "STSv2"), PolicyError::Version);
        assert_eq!(instead("enforce", "Enforce"), PolicyError::Mode);
        assert_eq!(instead("604800", "12345678901"), PolicyError::MaxAge);
        assert_eq!(instead("604800", "-1"), PolicyError::MaxAge);
        assert_eq!(instead("mail.example.com", "192.0.2.1"), PolicyError::Mx);
        assert_eq!(instead("mail.example.com", "bücher.example"), PolicyError::Mx);
        assert_eq!(instead("*.example.net", "mx.*.example.net"), PolicyError::Mx);
        assert_eq!(instead("version", "nothing\r\nversion"), PolicyError::Line);
        assert_eq!(instead("version", ": nothing\r\nversion"), PolicyError::Line);
        assert_eq!(instead("version", "future: a\tb\r\nversion"), PolicyError::Line);
        assert_eq!(Policy::parse("version: STSv1\nmode: enforce\nmax_age: 1").unwrap_err(), PolicyError::NoMx);
        assert_eq!(Policy::parse(&"a".repeat(MAX_POLICY + 1)).unwrap_err(), PolicyError::TooLarge);
        assert_eq!(Policy::parse(&"a".repeat(MAX_POLICY)).unwrap_err(), PolicyError::Line);
        let many = EXAMPLE.to_owned() + &"mx: a.example\n".repeat(1000);
        assert_eq!(Policy::parse(&many).unwrap_err(), PolicyError::TooManyMx);
        assert_eq!(PolicyError::Mode.report().to_string(), "sts-policy-invalid (policy-mode)");
    }

    #[test]
    fn what_may_be_there_besides() {
        let policy =
            Policy::parse("mode:none\nversion:\tSTSv1  \nfuture-field: ü \nmode: enforce\nmax_age: 9999999999")
                .unwrap();
        assert_eq!((policy.mode, policy.max_age, policy.mx.len()), (Mode::None, LONGEST, 0));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            mode in prop::sample::select(&[Mode::Enforce, Mode::Testing, Mode::None]),
            hosts in prop::collection::vec(("[a-z]{1,5}(\\.[a-z]{1,5}){1,3}", any::<bool>()), 1..5),
            seconds in 0_u64..31_557_600,
        ) {
            let mx = hosts.iter().map(|(name, wild)| {
                if *wild { MxPattern::Below(domain(name)) } else { MxPattern::Host(domain(name)) }
            });
            let policy = Policy::new(mode, mx.collect(), Duration::from_secs(seconds));
            prop_assert_eq!(Policy::parse(&policy.text), Ok(policy));
        }

        #[test]
        fn anything_may_come(text in "((version|mode|mx|max_age|x): ?)?\\PC{0,40}(\\r?\\n\\PC{0,20}){0,4}") {
            let _ = Policy::parse(&text);
        }
    }
}
