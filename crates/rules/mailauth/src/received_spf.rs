//! The Received-SPF field (RFC 7208 §9.1): the result of a check with what is needed to do it again.
//!
//! ```abnf
//! header-field   = "Received-SPF:" [CFWS] result FWS [comment FWS] [ key-value-list ] CRLF
//! key-value-list = key-value-pair *( ";" [CFWS] key-value-pair ) [";"]
//! key-value-pair = key [CFWS] "=" ( dot-atom / quoted-string )
//! ```

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use mailstead_dns::Authenticity;
use mailstead_message::header::fold;
use mailstead_names::Domain;

use crate::spf::{Query, SpfResult, Verdict};

/// Longest value that is written, in octets; the rest is cut off. An envelope-from fits, and so does any line of
/// RFC 5322 §2.1.1 that has one.
const MOST_VALUE: usize = 512;

/// Pairs that are read; further ones are ignored. RFC 7208 defines seven.
const MOST_PAIRS: usize = 32;

/// A Received-SPF field.
///
/// [`Display`](fmt::Display) writes the value on one line, [`ReceivedSpf::field`] the whole field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSpf {
    /// What came out.
    pub result: SpfResult,
    /// The same for people.
    pub comment: Option<String>,
    /// Keys and values, unquoted, in the order of the field. Keys are in lower case.
    pub pairs: Vec<(String, String)>,
}

/// Why text is not a Received-SPF field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceivedSpfError {
    /// It does not begin with one of the seven results.
    #[error("no result")]
    Result,
    /// A comment or quoted string has no end.
    #[error("something quoted has no end")]
    Unclosed,
    /// Neither a key with its value nor the end.
    #[error("expected a key and a value")]
    Pair,
}

impl ReceivedSpf {
    /// The field for a check.
    pub fn new(query: &Query, verdict: &Verdict) -> ReceivedSpf {
        let mut pairs = Vec::new();
        let mut pair = |key: &str, value: &str| pairs.push((key.to_owned(), harmless(value)));
        if let Some(receiver) = query.receiver() {
            pair("receiver", receiver.as_ascii());
        }
        pair("identity", verdict.identity.as_str());
        pair("client-ip", &query.ip().to_string());
        if verdict.identity == crate::spf::Identity::MailFrom {
            pair("envelope-from", &verdict.mailbox);
        }
        pair("helo", query.ehlo());
        if let Some(mechanism) = verdict.mechanism() {
            pair("mechanism", &mechanism);
        }
        if let Some(problem) = verdict.problem() {
            pair("problem", &problem);
        }
        ReceivedSpf { result: verdict.result, comment: Some(comment(query, verdict)), pairs }
    }

    /// The value of a key; the first, where a key is there twice.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(it, _)| it.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// The address of the client.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.value("client-ip")?.parse().ok()
    }

    /// The whole field, folded, with its line end.
    #[must_use]
    pub fn field(&self) -> String {
        let pieces = self.pieces();
        // Comments may be folded at their spaces. Quoted strings may, too, but not everybody knows.
        let pieces = pieces.iter().flat_map(|piece| {
            let is_comment = piece.starts_with('(');
            piece.split(move |c| is_comment && c == ' ')
        });
        fold("Received-SPF", pieces)
    }

    fn pieces(&self) -> Vec<String> {
        let mut pieces = vec![self.result.to_string()];
        if let Some(comment) = &self.comment {
            pieces.push(format!("({})", escaped(&harmless(comment), "()\\")));
        }
        let last = self.pairs.len().saturating_sub(1);
        for (i, (key, value)) in self.pairs.iter().enumerate() {
            let end = if i == last { "" } else { ";" };
            pieces.push(format!("{}={}{end}", atom(key), word(value)));
        }
        pieces
    }

    /// Reads the value of a field, folded or not.
    ///
    /// ```
    /// use mailstead_mailauth::received_spf::ReceivedSpf;
    /// use mailstead_mailauth::spf::SpfResult;
    ///
    /// let field = ReceivedSpf::parse("pass (mx.example.org: ok) client-ip=192.0.2.1; helo=foo.example.com;")?;
    /// assert_eq!((field.result, field.value("helo")), (SpfResult::Pass, Some("foo.example.com")));
    /// # Ok::<(), mailstead_mailauth::received_spf::ReceivedSpfError>(())
    /// ```
    ///
    /// # Errors
    /// When it is none. Values that are written without the quotes that they need, as in the RFC's own examples, are
    /// read as they are meant.
    pub fn parse(text: &str) -> Result<ReceivedSpf, ReceivedSpfError> {
        let mut cursor = Cursor { rest: text };
        cursor.skip_cfws()?;
        let result = cursor.take_while(|c| c.is_ascii_alphabetic());
        let result = result.parse().map_err(|_| ReceivedSpfError::Result)?;
        if cursor.rest.starts_with(|c: char| !c.is_ascii_whitespace() && c != '(') {
            return Err(ReceivedSpfError::Result);
        }
        let comment = cursor.skip_cfws()?;
        let mut pairs = Vec::new();
        while !cursor.rest.is_empty() && pairs.len() < MOST_PAIRS {
            let key = cursor.take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)).to_ascii_lowercase();
            cursor.skip_cfws()?;
            if key.is_empty() || !cursor.eat('=') {
                return Err(ReceivedSpfError::Pair);
            }
            cursor.skip_cfws()?;
            let value = match cursor.quoted_string()? {
                Some(value) => value,
                None => cursor.take_while(|c| !c.is_ascii_whitespace() && !";\"(".contains(c)).to_owned(),
            };
            pairs.push((key, value));
            cursor.skip_cfws()?;
            // A separator is missing between pairs in the second example of the RFC.
            if cursor.eat(';') {
                cursor.skip_cfws()?;
            }
        }
        Ok(ReceivedSpf { result, comment, pairs })
    }
}

impl fmt::Display for ReceivedSpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pieces().join(" "))
    }
}

/// What came out, for people. Only the domain is named, because a local part can say anything.
fn comment(query: &Query, verdict: &Verdict) -> String {
    let ip = query.ip();
    let domain = verdict.domain.as_ref().map_or("the client's domain", Domain::as_ascii);
    let told = match verdict.result {
        SpfResult::Pass => format!("{domain} designates {ip} as permitted sender"),
        SpfResult::Fail => format!("{domain} does not designate {ip} as permitted sender"),
        SpfResult::SoftFail => format!("{domain} probably does not designate {ip} as permitted sender"),
        SpfResult::Neutral => format!("{domain} neither permits nor denies {ip}"),
        SpfResult::None => format!("{domain} says nothing about {ip}"),
        SpfResult::TempError => format!("whether {domain} permits {ip} could not be found out"),
        SpfResult::PermError => format!("the records of {domain} cannot be evaluated"),
    };
    let proof = if verdict.authenticity == Authenticity::Secure { "with DNSSEC" } else { "without DNSSEC" };
    match query.receiver() {
        Some(receiver) => format!("{receiver}: {told}, {proof}"),
        None => format!("{told}, {proof}"),
    }
}

/// Bounded and without control characters: "SPF verifiers MUST make sure that the field does not contain invalid
/// characters, is not excessively long, and does not contain malicious data" (§9.1).
fn harmless(text: &str) -> String {
    let cut = text.get(..text.floor_char_boundary(MOST_VALUE)).unwrap_or_default();
    cut.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn escaped<'a>(text: &'a str, special: &str) -> Cow<'a, str> {
    if !text.contains(|c| special.contains(c)) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped.into()
}

/// A key that somebody else made up must not end its pair.
fn atom(key: &str) -> String {
    key.chars().take(64).map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// `dot-atom / quoted-string`
fn word(value: &str) -> String {
    let value = harmless(value);
    let is_atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let is_dot_atom = value.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    if is_dot_atom { value } else { format!("\"{}\"", escaped(&value, "\"\\")) }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn eat(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Skips white space and comments, and gives the text of the first comment.
    fn skip_cfws(&mut self) -> Result<Option<String>, ReceivedSpfError> {
        let mut first = None;
        loop {
            self.rest = self.rest.trim_ascii_start();
            if !self.rest.starts_with('(') {
                return Ok(first);
            }
            let comment = self.comment()?;
            first = first.or(Some(comment));
        }
    }

    fn comment(&mut self) -> Result<String, ReceivedSpfError> {
        let mut text = String::new();
        let mut depth = 0_usize;
        let mut chars = self.rest.chars();
        while let Some(c) = chars.next() {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            match c {
                ')' if depth == 0 => {
                    self.rest = chars.as_str();
                    return Ok(text);
                }
                '(' if depth == 1 => {}
                '\\' => text.extend(chars.next()),
                '\r' | '\n' => {}
                c => text.push(c),
            }
        }
        Err(ReceivedSpfError::Unclosed)
    }

    fn quoted_string(&mut self) -> Result<Option<String>, ReceivedSpfError> {
        if !self.rest.starts_with('"') {
            return Ok(None);
        }
        let mut text = String::new();
        let mut chars = self.rest.chars();
        chars.next();
        while let Some(c) = chars.next() {
            match c {
                '"' => {
                    self.rest = chars.as_str();
                    return Ok(Some(text));
                }
                '\\' => text.extend(chars.next()),
                '\r' | '\n' => {}
                c => text.push(c),
            }
        }
        Err(ReceivedSpfError::Unclosed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use mailstead_dns::{LookupErrorKind, Record, RecordType, Txt};
    use mailstead_names::{EhloName, ReversePath};
    use mailstead_testkit::Zones;
    use proptest::prelude::*;

    use super::*;
    use crate::spf::check_host;

    async fn field(zones: &Zones, path: &str, ehlo: &str) -> ReceivedSpf {
        let path = ReversePath::parse(path).unwrap();
        let query =
            Query::mail_from("2001:db8::1".parse().unwrap(), &path, &EhloName::parse(ehlo), SystemTime::UNIX_EPOCH);
        let query = query.received_by(Domain::parse("in.example.net").unwrap());
        ReceivedSpf::new(&query, &check_host(zones, &query).await)
    }

    #[tokio::test]
    async fn fields_of_checks() {
        let zones =
            Zones::new().with("example.org", Record::Txt(Txt::from("v=spf1 ip6:2001:db8::/32 -all"))).secure("org");
        let pass = field(&zones, "<\"a;b\"@example.org>", "mx.example.org").await;
        assert_eq!(
            pass.field(),
            concat!(
                "Received-SPF: pass (in.example.net: example.org designates 2001:db8::1 as\r\n",
                " permitted sender, with DNSSEC) receiver=in.example.net; identity=mailfrom;\r\n",
                " client-ip=\"2001:db8::1\"; envelope-from=\"\\\"a;b\\\"@example.org\";\r\n",
                " helo=mx.example.org; mechanism=\"ip6:2001:db8::/32\"\r\n",
            )
        );
        assert_eq!(pass.client_ip(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(ReceivedSpf::parse(pass.field().strip_prefix("Received-SPF:").unwrap()), Ok(pass.clone()));
        assert_eq!(ReceivedSpf::parse(&pass.to_string()), Ok(pass));

        let none = field(&zones, "<>", "[192.0.2.1] (x)").await;
        assert_eq!(none.value("envelope-from"), Some("postmaster@[192.0.2.1]"));
        assert_eq!((none.result, none.value("mechanism"), none.value("problem")), (SpfResult::None, None, None));

        let zones = Zones::new().failing("example.org", RecordType::Txt, LookupErrorKind::Timeout);
        let error = field(&zones, "<a@example.org>", "ü").await;
        assert_eq!(error.value("problem"), Some("looking up TXT example.org: timed out"));
    }

    #[test]
    fn examples_of_the_rfc() {
        let parse = |text: &str| ReceivedSpf::parse(text).unwrap();
        let pass = parse(concat!(
            " pass (mybox.example.org: domain of\r\n myname@example.com designates 192.0.2.1 as permitted sender)\r\n",
            "    receiver=mybox.example.org; client-ip=192.0.2.1;\r\n    mechanism=ip4:192.0.2.1; ",
            "envelope-from=\"myname@example.com\";\r\n    helo=foo.example.com;",
        ));
        assert_eq!(pass.result, SpfResult::Pass);
        assert_eq!(
            pass.comment.as_deref(),
            Some("mybox.example.org: domain of myname@example.com designates 192.0.2.1 as permitted sender")
        );
        assert_eq!(pass.client_ip(), Some([192, 0, 2, 1].into()));
        assert_eq!(pass.value("Mechanism"), Some("ip4:192.0.2.1"));
        assert_eq!(pass.value("envelope-from"), Some("myname@example.com"));
        assert_eq!((pass.pairs.len(), pass.value("helo")), (5, Some("foo.example.com")));
        let fail = parse("FAIL (x) identity=mailfrom; client-ip=192.0.2.1;\r\n envelope-from=\"myname@example.com\";");
        assert_eq!((fail.result, fail.pairs.len()), (SpfResult::Fail, 3));
    }

    #[test]
    fn what_is_not_a_field() {
        let refused = |text: &str| ReceivedSpf::parse(text).unwrap_err();
        for text in ["", "(pass)", "passed", "pass; helo=x", "hardfail", "pass=1"] {
            assert_eq!(refused(text), ReceivedSpfError::Result, "{text}");
        }
        for text in ["pass (a", "pass (a (b)", "pass a=\"b", "pass a=\"b\\\"", "(pass"] {
            assert_eq!(refused(text), ReceivedSpfError::Unclosed, "{text}");
        }
        for text in ["pass a", "pass =b", "pass a=b; c", "pass a=b;;"] {
            assert_eq!(refused(text), ReceivedSpfError::Pair, "{text}");
        }
        assert_eq!(ReceivedSpf::parse(&format!("none {}", "a=b; ".repeat(10_000))).unwrap().pairs.len(), MOST_PAIRS);
    }

    #[test]
    fn hostile_values_stay_inside() {
        let long = "x".repeat(100_000);
        let field = ReceivedSpf {
            result: SpfResult::Fail,
            comment: Some("a) b=(c\\\r\nX: y".into()),
            pairs: vec![("he\r\nlo=".into(), "a\r\nSubject: \"x\\".into()), ("problem".into(), long)],
        };
        let written = field.field();
        assert_eq!(written.lines().filter(|line| !line.starts_with(' ')).count(), 1, "{written}");
        assert!(written.lines().all(|line| line.len() < 998));
        let read = ReceivedSpf::parse(&field.to_string()).unwrap();
        assert_eq!(read.comment.as_deref(), Some("a) b=(c\\??X: y"));
        assert_eq!(read.value("he--lo-"), Some("a??Subject: \"x\\"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = ReceivedSpf::parse(&text);
            let _ = ReceivedSpf::parse(&format!("pass {text}"));
        }

        #[test]
        fn written_fields_parse_to_the_same(
            comment in proptest::option::of("[ -~ü]{0,40}"),
            pairs in proptest::collection::vec(("[a-z][a-z0-9._-]{0,9}", "[ -~ü]{0,80}"), 0..6),
        ) {
            let field = ReceivedSpf { result: SpfResult::SoftFail, comment, pairs };
            prop_assert_eq!(ReceivedSpf::parse(&field.to_string()), Ok(field));
        }
    }
}
