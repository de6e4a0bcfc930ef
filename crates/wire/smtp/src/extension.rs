//! Service extensions as announced in the EHLO reply (RFC 5321 §4.1.1.1).
//!
//! ```text
//! ehlo-line    = ehlo-keyword *( SP ehlo-param )
//! ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
//! ehlo-param   = 1*(%d33-126)
//! ```

use std::fmt;

/// One announced extension.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// RFC 2920
    Pipelining,
    /// RFC 1870; without a value or with 0 there is no fixed maximum.
    Size(Option<u64>),
    /// RFC 3207
    StartTls,
    /// RFC 4954: the mechanisms, upper case.
    Auth(Vec<String>),
    /// RFC 2034
    EnhancedStatusCodes,
    /// RFC 6152
    EightBitMime,
    /// RFC 6531
    SmtpUtf8,
    /// RFC 9422
    Limits(Limits),
    /// RFC 8689
    RequireTls,
    /// RFC 3461
    Dsn,
    /// Any other, as written.
    Other(String),
}

/// The limits of RFC 9422; unknown ones are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Transactions in one connection.
    pub mail_max: Option<u64>,
    /// Recipients in one transaction.
    pub rcpt_max: Option<u64>,
    /// Recipient domains in one transaction.
    pub rcpt_domain_max: Option<u64>,
}

impl Extension {
    /// Parses one line of an EHLO reply, without the code. Keywords are case-insensitive.
    pub fn parse(line: &str) -> Extension {
        let mut words = line.split_ascii_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        // "AUTH=LOGIN" is how servers spoke before RFC 2554 and some still do, beside the proper line.
        if let Some(first) = keyword.strip_prefix("AUTH=") {
            let first = first.to_owned();
            return Extension::Auth(std::iter::once(first).chain(words.map(str::to_ascii_uppercase)).collect());
        }
        match keyword.as_str() {
            "PIPELINING" => Extension::Pipelining,
            "SIZE" => Extension::Size(words.next().and_then(|max| max.parse().ok()).filter(|&max| max > 0)),
            "STARTTLS" => Extension::StartTls,
            "AUTH" => Extension::Auth(words.map(str::to_ascii_uppercase).collect()),
            "ENHANCEDSTATUSCODES" => Extension::EnhancedStatusCodes,
            "8BITMIME" => Extension::EightBitMime,
            "SMTPUTF8" => Extension::SmtpUtf8,
            "LIMITS" => Extension::Limits(Limits::parse(words)),
            "REQUIRETLS" => Extension::RequireTls,
            "DSN" => Extension::Dsn,
            _ => Extension::Other(line.to_owned()),
        }
    }
}

impl Limits {
    fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Limits {
        let mut limits = Limits::default();
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let value = value.parse().ok().filter(|&value| value > 0);
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => limits.mail_max = value,
                "RCPTMAX" => limits.rcpt_max = value,
                "RCPTDOMAINMAX" => limits.rcpt_domain_max = value,
                _ => {}
            }
        }
        limits
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extension::Pipelining => f.write_str("PIPELINING"),
            Extension::Size(None) => f.write_str("SIZE"),
            Extension::Size(Some(max)) => write!(f, "SIZE {max}"),
            Extension::StartTls => f.write_str("STARTTLS"),
            Extension::Auth(mechanisms) => write!(f, "AUTH {}", mechanisms.join(" ")),
            Extension::EnhancedStatusCodes => f.write_str("ENHANCEDSTATUSCODES"),
            Extension::EightBitMime => f.write_str("8BITMIME"),
            Extension::SmtpUtf8 => f.write_str("SMTPUTF8"),
            Extension::Limits(limits) => {
                f.write_str("LIMITS")?;
                let named = [
                    ("MAILMAX", limits.mail_max),
                    ("RCPTMAX", limits.rcpt_max),
                    ("RCPTDOMAINMAX", limits.rcpt_domain_max),
                ];
                named.iter().try_for_each(|(name, value)| value.map_or(Ok(()), |value| write!(f, " {name}={value}")))
            }
            Extension::RequireTls => f.write_str("REQUIRETLS"),
            Extension::Dsn => f.write_str("DSN"),
            Extension::Other(line) => f.write_str(line),
        }
    }
}

/// What a server announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<Extension>);

impl Extensions {
    /// Whether exactly this extension, with these parameters, is announced.
    pub fn contains(&self, extension: &Extension) -> bool {
        self.0.contains(extension)
    }

    /// The maximum message size; `None` when not announced or without a fixed maximum.
    pub fn size(&self) -> Option<u64> {
        self.0.iter().find_map(|extension| if let Extension::Size(max) = extension { *max } else { None })
    }

    /// Whether SIZE is announced at all.
    pub fn offers_size(&self) -> bool {
        self.0.iter().any(|extension| matches!(extension, Extension::Size(_)))
    }

    /// The SASL mechanisms, of all AUTH lines.
    pub fn mechanisms(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(|e| if let Extension::Auth(list) = e { Some(list) } else { None })
            .flatten()
            .map(String::as_str)
    }

    /// The limits of RFC 9422.
    pub fn limits(&self) -> Limits {
        self.0
            .iter()
            .find_map(|e| if let Extension::Limits(limits) = e { Some(*limits) } else { None })
            .unwrap_or_default()
    }

    /// All extensions, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Extension> {
        self.0.iter()
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Extensions {
        Extensions(extensions.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_round_trip() {
        for line in [
            "PIPELINING",
            "SIZE 104857600",
            "SIZE",
            "STARTTLS",
            "AUTH PLAIN SCRAM-SHA-256",
            "ENHANCEDSTATUSCODES",
            "8BITMIME",
            "SMTPUTF8",
            "LIMITS RCPTMAX=1000",
            "LIMITS MAILMAX=5 RCPTMAX=9 RCPTDOMAINMAX=1",
            "REQUIRETLS",
            "DSN",
            "X-Thing a b",
        ] {
            assert_eq!(Extension::parse(line).to_string(), line);
        }
    }

    #[test]
    fn lenient_in_what_is_read() {
        assert_eq!(Extension::parse("size 0"), Extension::Size(None));
        assert_eq!(Extension::parse("auth=login plain"), Extension::Auth(vec!["LOGIN".into(), "PLAIN".into()]));
        assert_eq!(Extension::parse("limits rcptmax=0 NEW=1"), Extension::Limits(Limits::default()));
    }
}
