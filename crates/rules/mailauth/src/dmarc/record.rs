//! DMARC Policy Records as text (RFC 9989 §4.7 and §4.8), and the tags that only RFC 7489 knew.
//!
//! ```abnf
//! dmarc-record  = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep]
//! dmarc-version = "v" equals %s"DMARC1"
//! dmarc-sep     = *WSP ";" *WSP
//! dmarc-tag     = 1*ALPHA equals 1*dmarc-value
//! equals        = *WSP "=" *WSP
//! dmarc-value   = %x20-3A / %x3C-7E
//! ```

use std::fmt;

use super::uri::{ReportUri, UriError};

/// What the owner of a domain wants done with mail that fails (RFC 9989 §4.7 `p`). Ordered by strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// No preference.
    None,
    /// Treat as suspicious.
    Quarantine,
    /// Reject.
    Reject,
}

impl Policy {
    fn parse(text: &str) -> Option<Policy> {
        [Policy::None, Policy::Quarantine, Policy::Reject]
            .into_iter()
            .find(|policy| text.eq_ignore_ascii_case(policy.as_str()))
    }

    /// The word for records, reports and Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        }
    }

    /// One level below, for domains in test mode (RFC 9989 §4.7 `t`).
    #[must_use]
    pub fn lowered(self) -> Policy {
        match self {
            Policy::Reject => Policy::Quarantine,
            Policy::Quarantine | Policy::None => Policy::None,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How close an authenticated domain must be to the Author Domain (RFC 9989 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AlignmentMode {
    /// Of the same organisation.
    #[default]
    Relaxed,
    /// The same.
    Strict,
}

/// What a domain says about its place (RFC 9989 §4.7 `psd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Psd {
    /// `y`: others register names below it.
    Yes,
    /// `n`: it is an Organizational Domain.
    No,
    /// `u`: the Tree Walk is to find out.
    #[default]
    Unknown,
}

/// When the owner wants a report of a single failure (RFC 9989 §4.7 `fo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureOption {
    /// `0`: no mechanism gave an aligned pass.
    AllFail,
    /// `1`: some mechanism gave no aligned pass.
    AnyFail,
    /// `d`: a DKIM signature failed.
    Dkim,
    /// `s`: SPF failed.
    Spf,
}

impl FailureOption {
    const TABLE: [(FailureOption, &'static str); 4] = [
        (FailureOption::AllFail, "0"),
        (FailureOption::AnyFail, "1"),
        (FailureOption::Dkim, "d"),
        (FailureOption::Spf, "s"),
    ];

    fn parse(text: &str) -> Option<FailureOption> {
        FailureOption::TABLE.iter().find(|row| row.1.eq_ignore_ascii_case(text)).map(|row| row.0)
    }

    fn as_str(self) -> &'static str {
        FailureOption::TABLE.iter().find(|row| row.0 == self).map_or("0", |row| row.1)
    }
}

/// Tags of RFC 7489 that RFC 9989 made historic (§C.5.2). They have no effect and are kept to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Historic {
    /// `pct`: for how many percent of failing messages the policy was meant.
    pub percent: Option<u8>,
    /// `rf`: format of failure reports.
    pub report_format: Option<String>,
    /// `ri`: seconds between aggregate reports.
    pub report_interval: Option<u32>,
}

/// The tags with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in records")]
pub enum Tag {
    V,
    P,
    Sp,
    Np,
    T,
    Psd,
    Adkim,
    Aspf,
    Rua,
    Ruf,
    Fo,
    Pct,
    Rf,
    Ri,
}

impl Tag {
    const TABLE: [(Tag, &'static str); 14] = [
        (Tag::V, "v"),
        (Tag::P, "p"),
        (Tag::Sp, "sp"),
        (Tag::Np, "np"),
        (Tag::T, "t"),
        (Tag::Psd, "psd"),
        (Tag::Adkim, "adkim"),
        (Tag::Aspf, "aspf"),
        (Tag::Rua, "rua"),
        (Tag::Ruf, "ruf"),
        (Tag::Fo, "fo"),
        (Tag::Pct, "pct"),
        (Tag::Rf, "rf"),
        (Tag::Ri, "ri"),
    ];

    fn parse(name: &str) -> Option<Tag> {
        Tag::TABLE.iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| row.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Tag::TABLE.iter().find(|row| row.0 == *self).map_or("?", |row| row.1))
    }
}

/// Something in a record that its owner should look at. None of them makes it less of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RecordProblem {
    /// No `p`. Whether that amounts to `p=none` depends on `rua` (RFC 9989 §4.10.1).
    #[error("no p tag")]
    NoPolicy,
    /// The value of this tag is not one, so the default stands. For `p`, `sp` and `np` see [`Record::policy_is_valid`].
    #[error("invalid value {value:?} of tag {tag}")]
    InvalidValue {
        /// The tag.
        tag: Tag,
        /// Its value, shortened.
        value: String,
    },
    /// Reports cannot be sent there.
    #[error("invalid URI {uri:?} in tag {tag}: {error}")]
    InvalidUri {
        /// `rua` or `ruf`.
        tag: Tag,
        /// The URI, shortened.
        uri: String,
        /// Why.
        error: UriError,
    },
    /// More URIs than are read.
    #[error("too many URIs in tag {0}")]
    TooManyUris(Tag),
    /// The tag was there before; the first one counts.
    #[error("tag {0} repeated")]
    Repeated(Tag),
    /// The tag has no effect any more (RFC 9989 §C.5.2).
    #[error("tag {0} is historic")]
    Historic(Tag),
    /// A size limit has no effect any more (RFC 9989 §C.4).
    #[error("size limit of a URI in tag {0} is historic")]
    SizeLimit(Tag),
    /// Nobody knows this tag; it is ignored, as it must be (RFC 9989 §4.7).
    #[error("unknown tag {0:?}")]
    Unknown(String),
    /// A piece without the form `name=value`.
    #[error("{0:?} is not a tag")]
    NotATag(String),
}

/// A DMARC Policy Record.
///
/// [`Display`](fmt::Display) writes it for the DNS, defaults left out.
///
/// ```
/// use mailstead_mailauth::dmarc::{Policy, Record};
///
/// let record = Record::parse(b"v=DMARC1; p=reject; sp=quarantine; rua=mailto:dmarc@example.com; pct=20").unwrap();
/// assert_eq!((record.policy, record.subdomain_policy), (Some(Policy::Reject), Some(Policy::Quarantine)));
/// assert_eq!(record.historic.percent, Some(20));
///
/// let record = Record { testing: true, ..Record::new(Policy::Quarantine) };
/// assert_eq!(record.to_string(), "v=DMARC1; p=quarantine; t=y");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Record {
    /// `p`: for the domain itself.
    pub policy: Option<Policy>,
    /// `sp`: for existing names below it.
    pub subdomain_policy: Option<Policy>,
    /// `np`: for names below it that do not exist.
    pub nonexistent_policy: Option<Policy>,
    /// `t=y`: one level less than the policy says.
    pub testing: bool,
    /// `psd`
    pub psd: Psd,
    /// `adkim`
    pub dkim_alignment: AlignmentMode,
    /// `aspf`
    pub spf_alignment: AlignmentMode,
    /// `rua`: where aggregate reports go to. Empty: nobody wants any.
    pub aggregate_reports: Vec<ReportUri>,
    /// `ruf`: where failure reports go to. Empty: nobody wants any.
    pub failure_reports: Vec<ReportUri>,
    /// `fo`, without effect where there is no `ruf`. Empty stands for the default, `0`.
    pub failure_options: Vec<FailureOption>,
    /// What RFC 7489 had.
    pub historic: Historic,
    /// What the owner should look at, in the order of the record.
    pub problems: Vec<RecordProblem>,
}

/// Texts from records are cut to this many characters in problems: enough to find the place.
const MOST_SHOWN: usize = 80;
/// Problems beyond are not told: whoever has twenty needs a new record, not a longer list. Those of known tags always
/// are, and there are only so many.
const MOST_PROBLEMS: usize = 20;
/// URIs of one tag that are read. Owners name one or two; nobody should get a mail bombing for the price of one record.
const MOST_URIS: usize = 10;

impl Record {
    /// A record with nothing but a policy.
    pub fn new(policy: Policy) -> Record {
        Record { policy: Some(policy), ..Record::default() }
    }

    /// Whether this is a DMARC Policy Record and not some other text: `v=DMARC1` comes first.
    pub fn is_record(text: &[u8]) -> bool {
        let version = text.split(|octet| *octet == b';').next().unwrap_or_default();
        let Some(value) = version.strip_prefix(b"v").or_else(|| version.strip_prefix(b"V")) else { return false };
        trim(value).strip_prefix(b"=").is_some_and(|value| trim(value) == b"DMARC1")
    }

    /// Reads the joined strings of a TXT record. Nothing for what is not a DMARC Policy Record; everything that is one
    /// can be read, its errors give way to defaults (RFC 9989 §4.8).
    pub fn parse(text: &[u8]) -> Option<Record> {
        if !Record::is_record(text) {
            return None;
        }
        let mut record = Record::default();
        let mut seen = vec![Tag::V];
        for piece in text.split(|octet| *octet == b';').skip(1).map(trim).filter(|piece| !piece.is_empty()) {
            record.read(&String::from_utf8_lossy(piece), &mut seen);
        }
        if !seen.contains(&Tag::P) {
            record.problems.push(RecordProblem::NoPolicy);
        }
        Some(record)
    }

    /// Whether `p` is there and `p`, `sp` and `np` are valid. Otherwise the record works as `p=none` if it has a valid
    /// address for aggregate reports, and not at all if not (RFC 9989 §4.10.1).
    pub fn policy_is_valid(&self) -> bool {
        self.policy.is_some() && !self.policy_is_malformed()
    }

    /// Whether `p`, `sp` or `np` has a value that is not one.
    pub fn policy_is_malformed(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| matches!(problem, RecordProblem::InvalidValue { tag: Tag::P | Tag::Sp | Tag::Np, .. }))
    }

    fn read(&mut self, piece: &str, seen: &mut Vec<Tag>) {
        let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphabetic());
        let Some((name, value)) = piece
            .split_once('=')
            .map(|(name, value)| (name.trim_end_matches(WSP), value.trim_start_matches(WSP)))
            .filter(|(name, _)| is_name(name))
        else {
            return self.remark(RecordProblem::NotATag(shown(piece)));
        };
        let Some(tag) = Tag::parse(name) else {
            return self.remark(RecordProblem::Unknown(shown(name)));
        };
        if seen.contains(&tag) {
            return self.remark(RecordProblem::Repeated(tag));
        }
        seen.push(tag);
        if !self.set(tag, value) {
            self.problems.push(RecordProblem::InvalidValue { tag, value: shown(value) });
        }
    }

    /// Takes the value of a tag; false where it is not valid.
    fn set(&mut self, tag: Tag, value: &str) -> bool {
        match tag {
            Tag::V => true,
            Tag::P => set(&mut self.policy, Policy::parse(value)),
            Tag::Sp => set(&mut self.subdomain_policy, Policy::parse(value)),
            Tag::Np => set(&mut self.nonexistent_policy, Policy::parse(value)),
            Tag::T => pick(&mut self.testing, value, &[("y", true), ("n", false)]),
            Tag::Psd => pick(&mut self.psd, value, &[("y", Psd::Yes), ("n", Psd::No), ("u", Psd::Unknown)]),
            Tag::Adkim => pick(&mut self.dkim_alignment, value, &MODES),
            Tag::Aspf => pick(&mut self.spf_alignment, value, &MODES),
            Tag::Rua => {
                self.aggregate_reports = self.uris(tag, value);
                true
            }
            Tag::Ruf => {
                self.failure_reports = self.uris(tag, value);
                true
            }
            Tag::Fo => match failure_options(value) {
                Some(options) => {
                    self.failure_options = options;
                    true
                }
                None => false,
            },
            Tag::Pct | Tag::Rf | Tag::Ri => {
                self.problems.push(RecordProblem::Historic(tag));
                let is_number = !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit());
                let historic = &mut self.historic;
                match tag {
                    Tag::Pct => {
                        let percent = value.parse().ok().filter(|percent| is_number && *percent <= 100);
                        set(&mut historic.percent, percent)
                    }
                    Tag::Ri => set(&mut historic.report_interval, value.parse().ok().filter(|_| is_number)),
                    _ => {
                        let printable = value.bytes().all(|octet| matches!(octet, b' '..=b'~'));
                        let format = (printable && (1..=MOST_SHOWN).contains(&value.len())).then(|| value.to_owned());
                        set(&mut historic.report_format, format)
                    }
                }
            }
        }
    }

    /// `dmarc-urilist`: what is not a URI is left out.
    fn uris(&mut self, tag: Tag, value: &str) -> Vec<ReportUri> {
        let mut uris = Vec::new();
        for text in value.split(',').map(|text| text.trim_matches(WSP)) {
            if uris.len() == MOST_URIS {
                self.problems.push(RecordProblem::TooManyUris(tag));
                break;
            }
            match ReportUri::parse(text) {
                Ok(uri) => {
                    if uri.size_limit().is_some() {
                        self.remark(RecordProblem::SizeLimit(tag));
                    }
                    uris.push(uri);
                }
                Err(error) => self.remark(RecordProblem::InvalidUri { tag, uri: shown(text), error }),
            }
        }
        uris
    }

    fn remark(&mut self, problem: RecordProblem) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DMARC1")?;
        for (tag, policy) in
            [(Tag::P, self.policy), (Tag::Sp, self.subdomain_policy), (Tag::Np, self.nonexistent_policy)]
        {
            if let Some(policy) = policy {
                write!(f, "; {tag}={policy}")?;
            }
        }
        if self.testing {
            f.write_str("; t=y")?;
        }
        match self.psd {
            Psd::Yes => f.write_str("; psd=y")?,
            Psd::No => f.write_str("; psd=n")?,
            Psd::Unknown => {}
        }
        for (tag, mode) in [(Tag::Adkim, self.dkim_alignment), (Tag::Aspf, self.spf_alignment)] {
            if mode == AlignmentMode::Strict {
                write!(f, "; {tag}=s")?;
            }
        }
        for (tag, uris) in [(Tag::Rua, &self.aggregate_reports), (Tag::Ruf, &self.failure_reports)] {
            for (index, uri) in uris.iter().enumerate() {
                match index {
                    0 => write!(f, "; {tag}={uri}")?,
                    _ => write!(f, ",{uri}")?,
                }
            }
        }
        for (index, option) in self.failure_options.iter().enumerate() {
            f.write_str(if index == 0 { "; fo=" } else { ":" })?;
            f.write_str(option.as_str())?;
        }
        if let Some(percent) = self.historic.percent {
            write!(f, "; pct={percent}")?;
        }
        if let Some(format) = &self.historic.report_format {
            write!(f, "; rf={format}")?;
        }
        if let Some(interval) = self.historic.report_interval {
            write!(f, "; ri={interval}")?;
        }
        Ok(())
    }
}

/// `WSP`, and line ends, which do get into records and mean nothing there (RFC 6376 §3.2 has `FWS` here).
const WSP: [char; 4] = [' ', '\t', '\r', '\n'];
const MODES: [(&str, AlignmentMode); 2] = [("r", AlignmentMode::Relaxed), ("s", AlignmentMode::Strict)];

fn trim(text: &[u8]) -> &[u8] {
    let is_wsp = |octet: &u8| WSP.contains(&char::from(*octet));
    let start = text.iter().position(|octet| !is_wsp(octet)).unwrap_or(text.len());
    let end = text.iter().rposition(|octet| !is_wsp(octet)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

fn set<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    *field = value;
    field.is_some()
}

fn pick<T: Copy>(field: &mut T, value: &str, choices: &[(&str, T)]) -> bool {
    match choices.iter().find(|choice| choice.0.eq_ignore_ascii_case(value)) {
        Some(choice) => {
            *field = choice.1;
            true
        }
        None => false,
    }
}

/// `dmarc-fo`: each option once, `0` and `1` exclusive.
fn failure_options(value: &str) -> Option<Vec<FailureOption>> {
    let mut options = Vec::new();
    for text in value.split(':') {
        let option = FailureOption::parse(text.trim_matches(WSP))?;
        if options.contains(&option) {
            return None;
        }
        options.push(option);
    }
    let both = options.contains(&FailureOption::AllFail) && options.contains(&FailureOption::AnyFail);
    (!both).then_some(options)
}

fn shown(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => text[..end].to_owned() + "…",
        None => text,
    }
}

#[cfg(test)]
mod tests;
