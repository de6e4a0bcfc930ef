//! The Authentication-Results field (RFC 8601): written, read, and removed on arrival where it was forged.
//!
//! A [`MethodResult`] is words and properties, so that any program can report its own methods; what this crate's checks
//! found is put into them by [`MethodResult::of_spf`] and its like. Internationalised names are written in U-labels where the message is internationalised
//! anyway, and in A-labels otherwise ([`Form`]).
//!
//! ```
//! use mailstead_dns::Authenticity;
//! use mailstead_mailauth::results::{AuthenticationResults, Form, MethodResult, ResultCode};
//! use mailstead_names::Domain;
//!
//! let domain = |name| Domain::parse(name).unwrap();
//! let field = AuthenticationResults::new(domain("mx.example.org"))
//!     .with(MethodResult::dmarc(ResultCode::Pass, domain("example.com")).with_dnssec(Authenticity::Secure))
//!     .with(MethodResult::spf_mailfrom(ResultCode::Pass, domain("example.com")))
//!     .to_field(Form::Ascii);
//! assert_eq!(
//!     field,
//!     "Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=example.com;\r\n \
//!      dmarc=pass (with dnssec) header.from=example.com\r\n"
//! );
//!
//! let read = AuthenticationResults::parse("mx.example.org; spf=pass smtp.mailfrom=example.com").unwrap();
//! assert_eq!(read.results[0].code, ResultCode::Pass);
//! assert_eq!(read.results[0].property("smtp", "mailfrom").unwrap().to_string(), "example.com");
//! ```

mod arrival;
mod found;
mod parse;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

use mailstead_dns::Authenticity;
use mailstead_names::{Domain, Localpart};

pub use arrival::{Removal, claims, forged_fields, must_be_removed};
pub use parse::ParseError;

/// Name of the field.
pub const FIELD: &str = "Authentication-Results";
/// The version of the field that is read and written (RFC 8601 §2.6).
pub const VERSION: u32 = 1;

/// The content of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationResults {
    /// Who checked. Most often a host or a domain (§2.5).
    pub authserv_id: Value,
    /// The version of the field, where it is written. There is only one so far.
    pub version: Option<u32>,
    /// The results. Empty: nothing was checked, written as `none`.
    pub results: Vec<MethodResult>,
}

/// What one method had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodResult {
    /// The method.
    pub method: Method,
    /// The version of the method, where it is written. One is assumed otherwise.
    pub version: Option<u32>,
    /// How it ended.
    pub code: ResultCode,
    /// Details for people.
    pub comment: Option<String>,
    /// Why, for programs and people.
    pub reason: Option<String>,
    /// What was looked at.
    pub properties: Vec<Property>,
}

/// A property of the message that a result rests on, as in `header.from=example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Where it is from. Nothing where a field has `name=value`, which is not legal and still common.
    pub ptype: Option<Ptype>,
    /// Its name, in lower case.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Details for people.
    pub comment: Option<String>,
}

/// A word with a meaning: known ones are variants, any other is kept.
macro_rules! keyword {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// Another one, in lower case.
            Other(Box<str>),
        }

        impl $name {
            /// The word as it is written.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $word,)*
                    $name::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            /// In any case of letters. Characters that a word cannot have are left out.
            fn from(word: &str) -> $name {
                let word: String = word.chars().filter(|c| parse::is_keyword(*c)).collect();
                match word.to_ascii_lowercase().as_str() {
                    $($word => $name::$variant,)*
                    word => $name::Other(word.into()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

keyword! {
    /// How something was authenticated (§2.7).
    Method {
        /// SMTP AUTH
        Auth = "auth",
        /// The reverse name of the client's address leads back to it (§3)
        Iprev = "iprev",
        /// DKIM
        Dkim = "dkim",
        /// SPF
        Spf = "spf",
        /// DMARC
        Dmarc = "dmarc",
        /// ARC
        Arc = "arc",
    }
}

keyword! {
    /// How it ended (§2.7.1 to §2.7.4).
    ResultCode {
        /// Nothing to authenticate
        None = "none",
        /// Authentic
        Pass = "pass",
        /// Not authentic
        Fail = "fail",
        /// Probably not authentic
        Softfail = "softfail",
        /// No statement
        Neutral = "neutral",
        /// Authentic, but not acceptable here
        Policy = "policy",
        /// Unknown, perhaps not for long
        Temperror = "temperror",
        /// Cannot be known
        Permerror = "permerror",
    }
}

keyword! {
    /// Where a property is from (§2.3).
    Ptype {
        /// An SMTP command
        Smtp = "smtp",
        /// The header, or a tag of a signature
        Header = "header",
        /// The body
        Body = "body",
        /// A decision of the one who checked
        Policy = "policy",
        /// The DNS (RFC 8904)
        Dns = "dns",
    }
}

/// A value of a property, or an authserv-id.
///
/// What is read is always [`Value::Text`], without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Any text. It is quoted where it must be, and cut where it is very long.
    Text(String),
    /// A domain.
    Domain(Domain),
    /// `local@domain`, or `@domain` (§2.2: "an email identity").
    Mailbox(Option<Localpart>, Domain),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Domain> for Value {
    fn from(domain: Domain) -> Value {
        Value::Domain(domain)
    }
}

/// For people: U-labels, nothing quoted but local parts.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Domain(domain) => f.write_str(domain.unicode()),
            Value::Mailbox(None, domain) => write!(f, "@{}", domain.unicode()),
            Value::Mailbox(Some(localpart), domain) => write!(f, "{localpart}@{}", domain.unicode()),
        }
    }
}

/// Which characters a field may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// ASCII: A-labels, encoded words in comments, and `?` for what has no other form.
    Ascii,
    /// UTF-8, for messages that need SMTPUTF8: U-labels, with the A-labels beside them in a comment.
    Utf8,
}

impl AuthenticationResults {
    /// Nothing checked so far.
    pub fn new(authserv_id: impl Into<Value>) -> AuthenticationResults {
        AuthenticationResults { authserv_id: authserv_id.into(), version: None, results: Vec::new() }
    }

    /// Adds a result at its place: AUTH, iprev, DKIM, SPF, DMARC, ARC, then others. Those of one method stay in the order
    /// in which they are added.
    #[must_use]
    pub fn with(mut self, result: MethodResult) -> AuthenticationResults {
        let at = self.results.partition_point(|earlier| earlier.method.place() <= result.method.place());
        self.results.insert(at, result);
        self
    }
}

impl Method {
    fn place(&self) -> u8 {
        match self {
            Method::Auth => 0,
            Method::Iprev => 1,
            Method::Dkim => 2,
            Method::Spf => 3,
            Method::Dmarc => 4,
            Method::Arc => 5,
            Method::Other(_) => 6,
        }
    }
}

impl MethodResult {
    /// A result without details.
    pub fn new(method: Method, code: ResultCode) -> MethodResult {
        MethodResult { method, version: None, code, comment: None, reason: None, properties: Vec::new() }
    }

    /// iprev of a client's address (§2.7.3).
    pub fn iprev(code: ResultCode, ip: IpAddr) -> MethodResult {
        MethodResult::new(Method::Iprev, code).with_property(Ptype::Policy, "iprev", ip.to_string())
    }

    /// SPF of MAIL FROM (§2.7.2).
    pub fn spf_mailfrom(code: ResultCode, domain: impl Into<Value>) -> MethodResult {
        MethodResult::new(Method::Spf, code).with_property(Ptype::Smtp, "mailfrom", domain)
    }

    /// SPF of HELO or EHLO (§2.7.2).
    pub fn spf_helo(code: ResultCode, name: impl Into<Value>) -> MethodResult {
        MethodResult::new(Method::Spf, code).with_property(Ptype::Smtp, "helo", name)
    }

    /// A DKIM signature by its `d`, `s` and `a` (§2.7.1). Further tags, such as `b` (RFC 6008) and `i`, are properties of
    /// [`Ptype::Header`] too.
    pub fn dkim(code: ResultCode, domain: impl Into<Value>, selector: &str, algorithm: &str) -> MethodResult {
        MethodResult::new(Method::Dkim, code)
            .with_property(Ptype::Header, "d", domain)
            .with_property(Ptype::Header, "s", selector)
            .with_property(Ptype::Header, "a", algorithm)
    }

    /// DMARC of the Author Domain (RFC 9989 §9.1). The policy that applies is the property `dmarc` of [`Ptype::Policy`].
    pub fn dmarc(code: ResultCode, author: impl Into<Value>) -> MethodResult {
        MethodResult::new(Method::Dmarc, code).with_property(Ptype::Header, "from", author)
    }

    /// ARC of a message from this address (RFC 8617 §10.2). The oldest set that passes is the property `oldest-pass` of
    /// [`Ptype::Header`].
    pub fn arc(code: ResultCode, ip: IpAddr) -> MethodResult {
        MethodResult::new(Method::Arc, code).with_property(Ptype::Smtp, "remote-ip", ip.to_string())
    }

    /// With a property more.
    #[must_use]
    pub fn with_property(mut self, ptype: Ptype, name: &str, value: impl Into<Value>) -> MethodResult {
        let name = name.to_ascii_lowercase();
        self.properties.push(Property { ptype: Some(ptype), name, value: value.into(), comment: None });
        self
    }

    /// With a reason.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> MethodResult {
        self.reason = Some(reason.into());
        self
    }

    /// With something more in the comment.
    #[must_use]
    pub fn with_comment(mut self, comment: &str) -> MethodResult {
        self.comment = join(self.comment.take(), comment);
        self
    }

    /// With `with dnssec` or `without dnssec` in the comment.
    #[must_use]
    pub fn with_dnssec(self, authenticity: Authenticity) -> MethodResult {
        self.with_comment(match authenticity {
            Authenticity::Secure => "with dnssec",
            Authenticity::Insecure => "without dnssec",
        })
    }

    /// The first property of this type and name, as in `property("smtp", "mailfrom")`.
    pub fn property(&self, ptype: &str, name: &str) -> Option<&Value> {
        let wanted = |property: &&Property| {
            property.ptype.as_ref().is_some_and(|own| own.as_str().eq_ignore_ascii_case(ptype))
                && property.name.eq_ignore_ascii_case(name)
        };
        self.properties.iter().find(wanted).map(|property| &property.value)
    }
}

fn join(first: Option<String>, second: &str) -> Option<String> {
    match first {
        _ if second.is_empty() => first,
        Some(first) => Some(first + ", " + second),
        None => Some(second.to_owned()),
    }
}
