//! Rules of an account for mail that comes in, and keys that a domain signs with.

use std::path::{Path, PathBuf};

use mailstead_names::Domain;
use regex_lite::{Regex, RegexBuilder};

use crate::reader::{Complaint, Section};
use crate::value;

/// A regular expression. Letters match in either case, as in most of what it is held against.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// The letters outside ASCII are made lower case here; the library takes care of the others. Not of all of them at
    /// once: `\S` is something else than `\s`.
    fn compile(text: &str) -> Result<Pattern, regex_lite::Error> {
        RegexBuilder::new(&lower(text)).case_insensitive(true).build().map(Pattern)
    }

    /// Whether it matches somewhere in the text. Linear in the length of the text, whatever the pattern.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(&lower(text))
    }
}

fn lower(text: &str) -> String {
    let mut lower = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() { lower.push(c) } else { lower.extend(c.to_lowercase()) }
    }
    lower
}

/// What the mail is that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleKind {
    /// Any mail.
    Plain,
    /// Mail of a mailing list, proved by this domain: accepted whatever DMARC says about its authors.
    List(Domain),
    /// Mail that a server of the recipient's own choice forwards, proved by this domain: DMARC is ignored.
    Forwarder(Domain),
}

/// A rule for mail that comes in. All conditions that are there must hold; the first rule that fits counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// MAIL FROM matches.
    pub mail_from: Option<Pattern>,
    /// The address in From matches.
    pub from: Option<Pattern>,
    /// SPF or DKIM passed for this domain or one below it.
    pub verified_domain: Option<Domain>,
    /// A header field with a name that matches has a value that matches.
    pub headers: Vec<(Pattern, Pattern)>,
    /// What such mail is.
    pub kind: RuleKind,
    /// Where it goes instead of Inbox.
    pub mailbox: Option<String>,
}

/// A key that a domain signs with (RFC 6376).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimKey {
    /// Its selector.
    pub selector: String,
    /// File with the private key, PEM.
    pub file: PathBuf,
    /// How long signatures are valid, in days.
    pub valid_days: u32,
}

/// Signatures are of use for as long as a message may be on its way.
const VALID_DAYS: u32 = 3;

/// Longest pattern. Nobody writes longer ones by hand.
const MOST_PATTERN: usize = 1000;

fn pattern(value: &toml_edit::Value) -> Result<Pattern, Complaint> {
    let text = value::text(value)?;
    if text.len() > MOST_PATTERN {
        return Err(too_long());
    }
    Pattern::compile(&text).map_err(|error| {
        Complaint::new(
            format!("`{text}` is not a regular expression: {error}"),
            "write `.` as `\\\\.` where it is meant as such",
        )
    })
}

fn too_long() -> Complaint {
    Complaint::new("the pattern is too long", "use at most 1000 characters")
}

/// `name: value`, each a pattern.
fn header(value: &toml_edit::Value) -> Result<(Pattern, Pattern), Complaint> {
    let text = value::text(value)?;
    let advice = "write the name of the field, a colon and a pattern, such as \"list-id: <users\\\\.example\\\\.org>\"";
    let (name, rest) = text.split_once(':').ok_or_else(|| Complaint::new("this is no header field", advice))?;
    if text.len() > MOST_PATTERN {
        return Err(too_long());
    }
    match (Pattern::compile(&format!("^(?:{})$", name.trim())), Pattern::compile(rest.trim())) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        (Err(error), _) | (_, Err(error)) => {
            Err(Complaint::new(format!("`{text}` is not a pair of regular expressions: {error}"), advice))
        }
    }
}

pub(crate) fn read_rule(mut section: Section<'_>) -> Rule {
    let list = section.placed("mailing-list", value::domain);
    let forwarder = section.placed("forwarder", value::domain);
    if let (Some(_), Some(forwarder)) = (&list, &forwarder) {
        let advice = "keep `mailing-list` or `forwarder`, or make two rules";
        section.complain(&forwarder.span, Complaint::new("a rule is for a list or for a forwarder", advice));
    }
    let rule = Rule {
        mail_from: section.optional("mail-from", pattern),
        from: section.optional("from", pattern),
        verified_domain: section.optional("verified-domain", value::domain),
        headers: section.list("headers", header).into_iter().map(|placed| placed.value).collect(),
        kind: match (list, forwarder) {
            (Some(list), _) => RuleKind::List(list.value),
            (None, Some(forwarder)) => RuleKind::Forwarder(forwarder.value),
            (None, None) => RuleKind::Plain,
        },
        mailbox: section.optional("mailbox", value::text),
    };
    let has_condition =
        rule.mail_from.is_some() || rule.from.is_some() || rule.verified_domain.is_some() || !rule.headers.is_empty();
    if !has_condition && rule.kind == RuleKind::Plain {
        let advice = "add `verified-domain`, `from`, `mail-from`, `headers`, `mailing-list` or `forwarder`";
        section.complain(section.span(), Complaint::new("a rule needs a condition", advice));
    }
    section.finish();
    rule
}

/// At least one: a signature that has expired before the message arrives is worse than none.
fn days(value: &toml_edit::Value) -> Result<u32, Complaint> {
    match value::count(value)? {
        0 => Err(Complaint::new("no signature is valid for 0 days", "use at least 1, or leave `valid-days` out")),
        days => Ok(days),
    }
}

pub(crate) fn read_dkim_key(mut section: Section<'_>, base: &Path) -> Option<DkimKey> {
    let selector = section.required("selector", "\"2026a\"", |value| {
        value::domain(value).map_err(|_| Complaint::new("this is no selector", "use letters, digits and hyphens"))
    });
    let file = section.required("key", "\"dkim/2026a.pem\"", value::path);
    let valid_days = section.optional("valid-days", days).unwrap_or(VALID_DAYS);
    section.finish();
    Some(DkimKey { selector: selector?.value.as_ascii().to_owned(), file: base.join(file?.value), valid_days })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_of_no_interest_but_to_the_pattern_itself() {
        let pattern = Pattern::compile("^\\S+@BÜCHER\\.example$").unwrap();
        assert!(pattern.is_match("Jane@bücher.EXAMPLE"));
        assert!(!pattern.is_match("j ane@bücher.example"), "\\S is not \\s");
    }

    #[test]
    fn names_of_fields_match_as_a_whole() {
        let (name, value) = header(&"List-(ID|Post): <\\S+>".into()).unwrap_or_else(|_| panic!("a pair of patterns"));
        assert!(name.is_match("list-id") && name.is_match("LIST-POST") && !name.is_match("x-list-id"));
        assert!(value.is_match("Users <users.example.org>") && !value.is_match("< >"));
        assert!(header(&"no colon".into()).is_err() && header(&"a: (".into()).is_err());
        assert!(header(&format!("a: {}", "x".repeat(MOST_PATTERN)).into()).is_err());
    }

    fn parse(text: &str) -> Result<crate::Config, String> {
        let source = format!(
            "hostname = \"mx.example.org\"\ndata-directory = \"data\"\npostmaster = \"jane\"\n[[listener]]\n\
             addresses = \"127.0.0.1\"\nsmtp = 25\n[accounts.jane]\naddresses = []\n[domains.\"example.org\"]\n{text}"
        );
        crate::Config::parse(&source, "/etc/mailstead/test.toml".as_ref()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn rules_and_keys_are_read() {
        let config = parse(
            "[[accounts.jane.rules]]\nmailing-list = \"lists.example\"\nmailbox = \"Lists\"\n\
             [[accounts.jane.rules]]\nforwarder = \"old.example\"\nheaders = [\"list-id: x\", \"to: y\"]\n\
             [[domains.\"example.org\".dkim]]\nselector = \"2026a\"\nkey = \"dkim/a.pem\"\n\
             [[domains.\"example.org\".dkim]]\nselector = \"2026b\"\nkey = \"/b.pem\"\nvalid-days = 7\n",
        )
        .unwrap();
        let domain = |name: &str| Domain::parse(name).unwrap();
        let rules = &config.directory.account("jane").unwrap().rules;
        let kinds: Vec<_> = rules.iter().map(|rule| (rule.kind.clone(), rule.headers.len())).collect();
        let lists = RuleKind::List(domain("lists.example"));
        assert_eq!(kinds, [(lists, 0), (RuleKind::Forwarder(domain("old.example")), 2)]);
        assert_eq!((rules[0].mailbox.as_deref(), rules[1].mailbox.as_deref()), (Some("Lists"), None));
        let (_, of_domain) = config.directory.domains().find(|(name, _)| **name == domain("example.org")).unwrap();
        let keys: Vec<_> =
            of_domain.dkim.iter().map(|key| (key.selector.as_str(), key.file.as_path(), key.valid_days)).collect();
        let (a, b) = (Path::new("/etc/mailstead/dkim/a.pem"), Path::new("/b.pem"));
        assert_eq!(keys, [("2026a", a, VALID_DAYS), ("2026b", b, 7)]);
    }

    #[test]
    fn mistakes_are_named() {
        let rule = "[[accounts.jane.rules]]\n";
        let key = "[[domains.\"example.org\".dkim]]\nkey = \"a.pem\"\n";
        for (text, expected) in [
            (format!("{rule}mailbox = \"x\""), "a rule needs a condition"),
            (
                format!("{rule}mailing-list = \"a.example\"\nforwarder = \"b.example\""),
                "a rule is for a list or for a forwarder",
            ),
            (format!("{rule}from = \"(\""), "is not a regular expression"),
            (format!("{rule}from = \"{}\"", "x".repeat(MOST_PATTERN + 1)), "the pattern is too long"),
            (format!("{rule}headers = [\"list-id\"]"), "this is no header field"),
            (format!("{rule}from = \"x\"\nwhatever = 1"), "whatever"),
            (key.to_owned(), "selector"),
            (format!("{key}selector = \"a b\""), "this is no selector"),
            (format!("{key}selector = \"a\"\nvalid-days = 0"), "no signature is valid for 0 days"),
        ] {
            let problems = parse(&text).expect_err(&text);
            assert!(problems.contains(expected), "{problems}");
        }
    }
}
