//! Replies that follow from the protocol alone. Codes and enhanced status by RFC 5321 §4.2, RFC 3463 and RFC 5248.

use mailstead_names::EnhancedStatus;

use crate::{CommandError, ParameterError, Reply};

const fn status(class: u8, subject: u16, detail: u16) -> EnhancedStatus {
    EnhancedStatus::new(class, subject, detail)
}

/// RSET, NOOP.
pub fn ok() -> Reply {
    Reply::new(250, status(2, 0, 0), "ok")
}

/// QUIT.
pub fn goodbye() -> Reply {
    Reply::new(221, status(2, 0, 0), "goodbye")
}

/// HELP.
pub fn help() -> Reply {
    Reply::new(214, status(2, 0, 0), "see RFC 5321")
}

/// VRFY and EXPN tell nothing to anybody (RFC 5321 §7.3).
pub fn cannot_verify() -> Reply {
    Reply::new(252, status(2, 7, 0), "cannot verify, but will try delivery")
}

/// STARTTLS accepted.
pub fn ready_for_tls() -> Reply {
    Reply::new(220, status(2, 0, 0), "ready for TLS")
}

/// DATA accepted.
pub fn start_mail() -> Reply {
    Reply::plain(354, "send the message, end with a dot on a line")
}

/// The first line is of another protocol: stop before the lines after it do harm.
pub fn not_smtp() -> Reply {
    Reply::new(500, status(5, 5, 2), "please try again speaking smtp")
}

/// The line is longer than allowed.
pub fn line_too_long() -> Reply {
    Reply::new(500, status(5, 5, 0), "line too long")
}

/// Pedantic: a command ended by LF alone.
pub fn bare_line_feed() -> Reply {
    Reply::new(500, status(5, 5, 2), "command must end with CRLF")
}

/// The message contains what could be read as its end.
pub fn smuggling() -> Reply {
    Reply::new(500, status(5, 5, 2), "invalid bare \\r or \\n, may be smtp smuggling")
}

/// A command out of order.
pub fn bad_sequence(problem: &str) -> Reply {
    Reply::new(503, status(5, 5, 1), problem)
}

/// A known command of an extension not offered.
pub fn not_implemented() -> Reply {
    Reply::new(502, status(5, 5, 1), "command not implemented")
}

/// All recipients were refused.
pub fn no_valid_recipients() -> Reply {
    Reply::new(554, status(5, 5, 1), "no valid recipients")
}

/// MAIL before AUTH.
pub fn authentication_required() -> Reply {
    Reply::new(530, status(5, 7, 0), "authentication required")
}

/// The client sent `*`.
pub fn auth_cancelled() -> Reply {
    Reply::new(501, status(5, 5, 0), "authentication aborted")
}

/// The client sent no base64 (RFC 4954 §4).
pub fn not_base64() -> Reply {
    Reply::new(501, status(5, 5, 2), "response is not base64")
}

/// Many bad transactions and no good one.
pub fn too_many_failures() -> Reply {
    Reply::new(550, status(5, 1, 0), "too many failures")
}

/// RFC 9422 announced how many.
pub fn too_many_recipients() -> Reply {
    Reply::new(452, status(4, 5, 3), "too many recipients")
}

/// The message is larger than announced as maximum (RFC 1870 §6.1, §6.3).
pub fn too_large(maximum: u64) -> Reply {
    Reply::new(552, status(5, 3, 4), format!("message too large, maximum is {maximum} octets"))
}

/// Pedantic: an internationalised address without SMTPUTF8 (RFC 6531 §3.5).
pub fn smtputf8_required() -> Reply {
    Reply::new(553, status(5, 6, 7), "address needs SMTPUTF8")
}

/// A parameter of an extension not announced.
pub fn unsupported_parameter(keyword: &str) -> Reply {
    Reply::new(555, status(5, 3, 3), format!("parameter {keyword} not supported"))
}

/// What is wrong with the parameters of MAIL or RCPT.
pub fn parameter_error(error: &ParameterError) -> Reply {
    match error {
        ParameterError::Unsupported(keyword) => unsupported_parameter(keyword),
        ParameterError::UnsupportedValue(_) => Reply::new(555, status(5, 5, 4), error.to_string()),
        ParameterError::Malformed(_) | ParameterError::Duplicate(_) => {
            Reply::new(501, status(5, 5, 4), error.to_string())
        }
    }
}

/// Why a line is no command.
pub fn command_error(error: &CommandError) -> Reply {
    match error {
        CommandError::Unknown => Reply::new(500, status(5, 5, 1), "unknown command"),
        CommandError::Parameter(error) => parameter_error(error),
        CommandError::Path(_) | CommandError::Syntax(_) | CommandError::Base64 => {
            Reply::new(501, status(5, 5, 2), error.to_string())
        }
    }
}
