//! Commands (RFC 5321 §4.1, RFC 3207 §4, RFC 4954 §4, RFC 3030 §2).
//!
//! ```text
//! ehlo     = "EHLO" SP ( Domain / address-literal ) CRLF
//! helo     = "HELO" SP Domain CRLF
//! mail     = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
//! rcpt     = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters] CRLF
//! data     = "DATA" CRLF            rset = "RSET" CRLF            quit = "QUIT" CRLF
//! vrfy     = "VRFY" SP String CRLF  expn = "EXPN" SP String CRLF
//! help     = "HELP" [ SP String ] CRLF
//! noop     = "NOOP" [ SP String ] CRLF
//! starttls = "STARTTLS" CRLF
//! auth     = "AUTH" SP sasl-mech [SP initial-response] CRLF
//! initial-response = base64 / "="
//! bdat     = "BDAT" SP 1*DIGIT [SP "LAST"] CRLF
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailstead_names::{EhloName, ForwardPath, ReversePath, Secret, parse};

use crate::{Parameter, ParameterError};

/// How much the parser forgives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Forgives what clients are known to get wrong and what has one meaning only.
    #[default]
    Lenient,
    /// The grammar and the minimum limits of the RFCs to the letter, for testing other software.
    Pedantic,
}

/// The initial response of an AUTH command (RFC 4954 §4), decoded.
pub type InitialResponse = Option<Secret<Vec<u8>>>;

/// Which greeting a client used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// HELO: no extensions.
    Helo,
    /// EHLO
    Ehlo,
}

/// A command.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// HELO or EHLO.
    Hello(Verb, EhloName),
    /// MAIL FROM
    Mail(ReversePath, Vec<Parameter>),
    /// RCPT TO
    Rcpt(ForwardPath, Vec<Parameter>),
    /// DATA
    Data,
    /// BDAT: the octets that follow directly, and whether they are the last. Parsed, so that they can be skipped.
    Bdat {
        /// Octets after the command line.
        size: u64,
        /// `LAST`
        last: bool,
    },
    /// RSET
    Reset,
    /// NOOP
    Noop,
    /// QUIT
    Quit,
    /// VRFY
    Verify,
    /// EXPN
    Expand,
    /// HELP
    Help,
    /// STARTTLS
    StartTls,
    /// AUTH, the mechanism in upper case.
    Auth(String, InitialResponse),
}

/// Why a line is not a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The verb is unknown.
    #[error("unknown command")]
    Unknown,
    /// The command is known; this is wrong with the rest of it.
    #[error("{0}")]
    Syntax(String),
    /// A path is not one.
    #[error("bad path: {0}")]
    Path(#[from] mailstead_names::Error),
    /// A parameter is malformed.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The initial response is not base64.
    #[error("initial response is not base64")]
    Base64,
}

impl Command {
    /// Parses a line, given without its line ending.
    pub fn parse(line: &[u8], strictness: Strictness) -> Result<Command, CommandError> {
        let text = std::str::from_utf8(line);
        let Ok(text) = text else {
            let verb = line.split(|&octet| octet == b' ').next().unwrap_or_default();
            let known = VERBS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(verb));
            return Err(if known {
                CommandError::Syntax("command is not UTF-8".into())
            } else {
                CommandError::Unknown
            });
        };
        let text = match strictness {
            Strictness::Lenient => text.trim_end_matches([' ', '\t']),
            Strictness::Pedantic => text,
        };
        let (verb, rest) = text.split_once(' ').map_or((text, None), |(verb, rest)| (verb, Some(rest)));
        let parser = Arguments { rest, strictness };
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => parser.hello(Verb::Ehlo),
            "HELO" => parser.hello(Verb::Helo),
            "MAIL" => {
                let (from, parameters) = parser.path("FROM:", parse::reverse_path, ReversePath::Address)?;
                parser.within_limits(from.address())?;
                Ok(Command::Mail(from, parameters))
            }
            "RCPT" => {
                let (to, parameters) = parser.path("TO:", parse::forward_path, ForwardPath::Address)?;
                parser.within_limits(to.address())?;
                Ok(Command::Rcpt(to, parameters))
            }
            "DATA" => parser.none(Command::Data),
            "RSET" => parser.none(Command::Reset),
            "QUIT" => parser.none(Command::Quit),
            "STARTTLS" => parser.none(Command::StartTls),
            "NOOP" => parser.string(Command::Noop, Presence::Optional),
            "HELP" => parser.string(Command::Help, Presence::Optional),
            "VRFY" => parser.string(Command::Verify, Presence::Required),
            "EXPN" => parser.string(Command::Expand, Presence::Required),
            "AUTH" => parser.auth(),
            "BDAT" => parser.bdat(),
            _ => Err(CommandError::Unknown),
        }
    }

    /// Whether the line holds credentials and must not be logged as it is.
    pub(crate) fn is_auth(line: &[u8]) -> bool {
        line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH"))
    }
}

/// All verbs known to [`Command::parse`].
const VERBS: [&str; 14] = [
    "EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "QUIT", "STARTTLS", "NOOP", "HELP", "VRFY", "EXPN", "AUTH", "BDAT",
];

/// Whether an argument may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Optional,
    Required,
}

/// What follows the verb.
struct Arguments<'a> {
    rest: Option<&'a str>,
    strictness: Strictness,
}

impl<'a> Arguments<'a> {
    fn lenient(&self) -> bool {
        self.strictness == Strictness::Lenient
    }

    fn required(&self) -> Result<&'a str, CommandError> {
        self.rest.filter(|rest| !rest.is_empty()).ok_or_else(|| CommandError::Syntax("argument missing".into()))
    }

    fn none(&self, command: Command) -> Result<Command, CommandError> {
        match self.rest {
            None => Ok(command),
            Some(rest) if self.lenient() && rest.trim().is_empty() => Ok(command),
            Some(_) => Err(CommandError::Syntax("command takes no argument".into())),
        }
    }

    /// `String = Atom / Quoted-string`; what it says is of no interest.
    fn string(&self, command: Command, presence: Presence) -> Result<Command, CommandError> {
        let text = if presence == Presence::Required { Some(self.required()?) } else { self.rest };
        match text {
            Some(text) if !self.lenient() && !parse::local_part(text).is_ok_and(|(_, used)| used == text.len()) => {
                Err(CommandError::Syntax("argument is not an atom or quoted string".into()))
            }
            Some(text) if text.chars().any(char::is_control) => {
                Err(CommandError::Syntax("control character in argument".into()))
            }
            _ => Ok(command),
        }
    }

    fn hello(&self, verb: Verb) -> Result<Command, CommandError> {
        let text = self.required()?;
        let name = EhloName::parse(text);
        if !self.lenient() && matches!(name, EhloName::Other(_)) {
            return Err(CommandError::Syntax("not a domain name or address literal".into()));
        }
        Ok(Command::Hello(verb, name))
    }

    /// `FROM:` or `TO:`, a path, and parameters.
    fn path<P>(
        &self,
        keyword: &str,
        grammar: fn(&str) -> parse::Parsed<P>,
        bare: fn(mailstead_names::Address) -> P,
    ) -> Result<(P, Vec<Parameter>), CommandError> {
        let text = self.required()?;
        let (start, mut text) = text.split_at_checked(keyword.len()).unwrap_or((text, ""));
        if !start.eq_ignore_ascii_case(keyword) {
            return Err(CommandError::Syntax(format!("expected {keyword}")));
        }
        if self.lenient() {
            text = text.trim_start_matches(' ');
        }
        // A path without its angle brackets has one meaning only and is common in hand-written clients.
        let (path, used) = if self.lenient() && !text.starts_with('<') {
            let (address, used) = parse::mailbox(text)?;
            (bare(address), used)
        } else {
            grammar(text)?
        };
        let rest = text.get(used..).unwrap_or_default();
        if !rest.is_empty() && !rest.starts_with(' ') {
            return Err(CommandError::Syntax("expected a space after the path".into()));
        }
        let words = rest.split(' ').skip(1).filter(|word| !(self.lenient() && word.is_empty()));
        let parameters = words.map(Parameter::parse).collect::<Result<_, _>>()?;
        Ok((path, parameters))
    }

    /// The minimum limits that every server supports, which a careful client stays within (RFC 5321 §4.5.3.1.1).
    fn within_limits(&self, address: Option<&mailstead_names::Address>) -> Result<(), CommandError> {
        if !self.lenient() && address.is_some_and(|address| !address.localpart.is_within_minimum_limit()) {
            return Err(CommandError::Syntax("local part longer than 64 octets".into()));
        }
        Ok(())
    }

    fn auth(&self) -> Result<Command, CommandError> {
        let (mechanism, initial) = match self.required()?.split_once(' ') {
            None => (self.required()?, None),
            // Old Windows Mail sends several spaces before the response.
            Some((mechanism, initial)) if self.lenient() => (mechanism, Some(initial.trim_start_matches(' '))),
            Some((mechanism, initial)) => (mechanism, Some(initial)),
        };
        // RFC 4422 §3.1: sasl-mech = 1*20( UPPER-ALPHA / DIGIT / HYPHEN / UNDERSCORE )
        if !mechanism.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')) || mechanism.len() > 20 {
            return Err(CommandError::Syntax("bad mechanism name".into()));
        }
        let initial = match initial {
            None => None,
            // "=" says that there is an initial response and that it is empty (RFC 4954 §4).
            Some("=") => Some(Vec::new()),
            Some(text) => Some(BASE64.decode(text).map_err(|_| CommandError::Base64)?),
        };
        Ok(Command::Auth(mechanism.to_ascii_uppercase(), initial.map(Secret::new)))
    }

    fn bdat(&self) -> Result<Command, CommandError> {
        let text = self.required()?;
        let (digits, last) = text.split_once(' ').map_or((text, ""), |(digits, last)| (digits, last));
        if !digits.bytes().all(|digit| digit.is_ascii_digit())
            || !(last.is_empty() || last.eq_ignore_ascii_case("LAST"))
        {
            return Err(CommandError::Syntax("expected a chunk size".into()));
        }
        let size = digits.parse().map_err(|_| CommandError::Syntax("chunk size out of range".into()))?;
        Ok(Command::Bdat { size, last: !last.is_empty() })
    }
}

#[cfg(test)]
mod tests;
