//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2), and what those of MAIL mean.
//!
//! ```text
//! esmtp-param   = esmtp-keyword ["=" esmtp-value]
//! esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
//! esmtp-value   = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)      ; RFC 6531 §3.3
//! size-value    = 1*20DIGIT                                    ; RFC 1870 §5
//! body-value    = "7BIT" / "8BITMIME"                          ; RFC 6152 §2
//! ```

use std::fmt;

use mailstead_names::ReversePath;

use crate::{Extension, Extensions};

/// One parameter as written; the keyword in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// For example `SIZE`.
    pub keyword: String,
    /// What follows `=`.
    pub value: Option<String>,
}

impl Parameter {
    /// Parses one word.
    pub fn parse(word: &str) -> Result<Parameter, ParameterError> {
        let (keyword, value) = word.split_once('=').map_or((word, None), |(keyword, value)| (keyword, Some(value)));
        let starts_well = keyword.starts_with(|c: char| c.is_ascii_alphanumeric());
        let keyword_fits = starts_well && keyword.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let value_fits = value.is_none_or(|value| {
            !value.is_empty()
                && value.chars().all(|c| (c.is_ascii_graphic() && c != '=') || (!c.is_ascii() && !c.is_control()))
        });
        // An AUTH value may hold "=" (RFC 4954 §5 examples are xtext, but some clients send a bare address).
        let value_fits = value_fits || keyword.eq_ignore_ascii_case("AUTH");
        if !keyword_fits || !value_fits {
            return Err(ParameterError::Malformed(word.to_owned()));
        }
        Ok(Parameter { keyword: keyword.to_ascii_uppercase(), value: value.map(str::to_owned) })
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keyword)?;
        self.value.as_ref().map_or(Ok(()), |value| write!(f, "={value}"))
    }
}

/// How the client declared the body (RFC 6152 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `BODY=7BIT`
    SevenBit,
    /// `BODY=8BITMIME`
    EightBitMime,
}

/// A MAIL command with its parameters understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The reverse-path.
    pub from: ReversePath,
    /// `SIZE=`: the declared size in octets.
    pub size: Option<u64>,
    /// `BODY=`
    pub body: Option<Body>,
    /// `SMTPUTF8`
    pub smtputf8: bool,
}

/// Why parameters were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// Follows no grammar, or a value is missing or superfluous.
    #[error("malformed parameter {0}")]
    Malformed(String),
    /// Given twice.
    #[error("duplicate parameter {0}")]
    Duplicate(String),
    /// Of no announced extension.
    #[error("parameter {0} not supported")]
    Unsupported(String),
    /// A known parameter with a value that is not supported.
    #[error("value of parameter {0} not supported")]
    UnsupportedValue(String),
}

impl Mail {
    /// A MAIL command without parameters.
    pub fn new(from: ReversePath) -> Mail {
        Mail { from, size: None, body: None, smtputf8: false }
    }

    /// Gives the parameters their meaning. Those of an extension that is not announced are refused.
    pub fn interpret(
        from: ReversePath,
        parameters: &[Parameter],
        announced: &Extensions,
    ) -> Result<Mail, ParameterError> {
        let mut mail = Mail::new(from);
        for (index, Parameter { keyword, value }) in parameters.iter().enumerate() {
            if parameters.iter().take(index).any(|earlier| earlier.keyword == *keyword) {
                return Err(ParameterError::Duplicate(keyword.clone()));
            }
            let malformed = || ParameterError::Malformed(keyword.clone());
            match (keyword.as_str(), value) {
                ("SIZE", value) if announced.offers_size() => {
                    let digits = value.as_deref().ok_or_else(malformed)?;
                    if digits.len() > 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                        return Err(malformed());
                    }
                    // Twenty digits can exceed 64 bits; any such size is too large for everybody.
                    mail.size = Some(digits.parse().unwrap_or(u64::MAX));
                }
                ("BODY", value) if announced.contains(&Extension::EightBitMime) => {
                    mail.body = Some(match value.as_deref().map(str::to_ascii_uppercase).as_deref() {
                        Some("7BIT") => Body::SevenBit,
                        Some("8BITMIME") => Body::EightBitMime,
                        Some(_) => return Err(ParameterError::UnsupportedValue(keyword.clone())),
                        None => return Err(malformed()),
                    });
                }
                ("SMTPUTF8", None) if announced.contains(&Extension::SmtpUtf8) => mail.smtputf8 = true,
                ("SMTPUTF8", Some(_)) if announced.contains(&Extension::SmtpUtf8) => return Err(malformed()),
                // RFC 4954 §5: who submitted the message elsewhere. Without a trust relation it says nothing.
                ("AUTH", Some(_)) => {}
                ("AUTH", None) => return Err(malformed()),
                _ => return Err(ParameterError::Unsupported(keyword.clone())),
            }
        }
        Ok(mail)
    }

    /// The parameters in the form for the wire.
    pub fn parameters(&self) -> Vec<Parameter> {
        let parameter = |keyword: &str, value| Parameter { keyword: keyword.to_owned(), value };
        let body = self.body.map(|body| match body {
            Body::SevenBit => "7BIT",
            Body::EightBitMime => "8BITMIME",
        });
        [
            self.size.map(|size| parameter("SIZE", Some(size.to_string()))),
            body.map(|body| parameter("BODY", Some(body.to_owned()))),
            self.smtputf8.then(|| parameter("SMTPUTF8", None)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
