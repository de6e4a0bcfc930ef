//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2), and what they mean.
//!
//! ```text
//! esmtp-param   = esmtp-keyword ["=" esmtp-value]
//! esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
//! esmtp-value   = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)      ; RFC 6531 §3.3
//! size-value    = 1*20DIGIT                                    ; RFC 1870 §5
//! body-value    = "7BIT" / "8BITMIME"                          ; RFC 6152 §2
//! envid-value   = xtext                                        ; RFC 3461 §4.4
//! ```

use std::fmt;

use mailstead_names::{ForwardPath, ReversePath};

use crate::notification::printable;
use crate::{Extension, Extensions, Notify, Orcpt, Ret, xtext};

/// Longest value of ENVID in octets, encoded (RFC 3461 §4.4).
const ENVID_MAX: usize = 100;

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

impl Parameter {
    fn with_value(keyword: &str, value: impl fmt::Display) -> Parameter {
        Parameter { keyword: keyword.to_owned(), value: Some(value.to_string()) }
    }

    fn without_value(keyword: &str) -> Parameter {
        Parameter { keyword: keyword.to_owned(), value: None }
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
    /// `REQUIRETLS`: it goes on under TLS only (RFC 8689 §2).
    pub require_tls: bool,
    /// `RET=`
    pub ret: Option<Ret>,
    /// `ENVID=`: what the sender calls the transaction, decoded.
    pub envid: Option<String>,
}

/// A RCPT command with its parameters understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rcpt {
    /// The forward-path.
    pub to: ForwardPath,
    /// `NOTIFY=`; without it the sender wants to be told of failure, and may be told of delay (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=`
    pub orcpt: Option<Orcpt>,
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
        Mail { from, size: None, body: None, smtputf8: false, require_tls: false, ret: None, envid: None }
    }

    /// Gives the parameters their meaning. Those of an extension that is not announced are refused.
    pub fn interpret(
        from: ReversePath,
        parameters: &[Parameter],
        announced: &Extensions,
    ) -> Result<Mail, ParameterError> {
        let mut mail = Mail::new(from);
        each_once(parameters, |keyword, value| {
            let malformed = || ParameterError::Malformed(keyword.to_owned());
            match keyword {
                "SIZE" if announced.offers_size() => {
                    let digits = value.ok_or_else(malformed)?;
                    if digits.len() > 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                        return Err(malformed());
                    }
                    // Twenty digits can exceed 64 bits; any such size is too large for everybody.
                    mail.size = Some(digits.parse().unwrap_or(u64::MAX));
                }
                "BODY" if announced.contains(&Extension::EightBitMime) => {
                    mail.body = Some(match value.map(str::to_ascii_uppercase).as_deref() {
                        Some("7BIT") => Body::SevenBit,
                        Some("8BITMIME") => Body::EightBitMime,
                        Some(_) => return Err(ParameterError::UnsupportedValue(keyword.to_owned())),
                        None => return Err(malformed()),
                    });
                }
                "SMTPUTF8" if announced.contains(&Extension::SmtpUtf8) => {
                    mail.smtputf8 = value.is_none().then_some(true).ok_or_else(malformed)?;
                }
                "REQUIRETLS" if announced.contains(&Extension::RequireTls) => {
                    mail.require_tls = value.is_none().then_some(true).ok_or_else(malformed)?;
                }
                "RET" if announced.contains(&Extension::Dsn) => {
                    mail.ret = Some(value.and_then(Ret::parse).ok_or_else(malformed)?);
                }
                "ENVID" if announced.contains(&Extension::Dsn) => {
                    let xtext = value.filter(|value| value.len() <= ENVID_MAX);
                    mail.envid = Some(xtext.and_then(xtext::decode).and_then(printable).ok_or_else(malformed)?);
                }
                // RFC 4954 §5: who submitted the message elsewhere. Without a trust relation it says nothing.
                "AUTH" => {
                    value.ok_or_else(malformed)?;
                }
                _ => return Err(ParameterError::Unsupported(keyword.to_owned())),
            }
            Ok(())
        })?;
        Ok(mail)
    }

    /// The parameters in the form for the wire.
    pub fn parameters(&self) -> Vec<Parameter> {
        let body = self.body.map(|body| match body {
            Body::SevenBit => "7BIT",
            Body::EightBitMime => "8BITMIME",
        });
        [
            self.size.map(|size| Parameter::with_value("SIZE", size)),
            body.map(|body| Parameter::with_value("BODY", body)),
            self.smtputf8.then(|| Parameter::without_value("SMTPUTF8")),
            self.require_tls.then(|| Parameter::without_value("REQUIRETLS")),
            self.ret.map(|ret| Parameter::with_value("RET", ret)),
            self.envid.as_ref().map(|envid| Parameter::with_value("ENVID", xtext::encode(envid.as_bytes()))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Rcpt {
    /// A RCPT command without parameters.
    pub fn new(to: ForwardPath) -> Rcpt {
        Rcpt { to, notify: None, orcpt: None }
    }

    /// Gives the parameters their meaning. Those of an extension that is not announced are refused.
    pub fn interpret(
        to: ForwardPath,
        parameters: &[Parameter],
        announced: &Extensions,
    ) -> Result<Rcpt, ParameterError> {
        let mut rcpt = Rcpt::new(to);
        each_once(parameters, |keyword, value| {
            let malformed = || ParameterError::Malformed(keyword.to_owned());
            match keyword {
                "NOTIFY" if announced.contains(&Extension::Dsn) => {
                    rcpt.notify = Some(value.and_then(Notify::parse).ok_or_else(malformed)?);
                }
                "ORCPT" if announced.contains(&Extension::Dsn) => {
                    let orcpt = value.and_then(Orcpt::parse);
                    // RFC 6533 §3: characters beyond ASCII only for those who announced that they read them.
                    let readable = |orcpt: &Orcpt| !orcpt.needs_smtputf8() || announced.contains(&Extension::SmtpUtf8);
                    rcpt.orcpt = Some(orcpt.filter(readable).ok_or_else(malformed)?);
                }
                _ => return Err(ParameterError::Unsupported(keyword.to_owned())),
            }
            Ok(())
        })?;
        Ok(rcpt)
    }

    /// The parameters in the form for the wire.
    pub fn parameters(&self) -> Vec<Parameter> {
        [
            self.notify.map(|notify| Parameter::with_value("NOTIFY", notify)),
            self.orcpt.as_ref().map(|orcpt| Parameter::with_value("ORCPT", orcpt)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Goes through parameters, none of which may be given twice.
fn each_once(
    parameters: &[Parameter],
    mut interpret: impl FnMut(&str, Option<&str>) -> Result<(), ParameterError>,
) -> Result<(), ParameterError> {
    for (index, Parameter { keyword, value }) in parameters.iter().enumerate() {
        if parameters.iter().take(index).any(|earlier| earlier.keyword == *keyword) {
            return Err(ParameterError::Duplicate(keyword.clone()));
        }
        interpret(keyword, value.as_deref())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
