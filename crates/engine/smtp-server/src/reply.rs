//! Every reply that comes from a decision of this crate: the one place with codes (those of the protocol alone
//! are in `mailstead_smtp::server::reply`). Enhanced status by RFC 3463, RFC 5248 and their registry.

use mailstead_login::Refusal;
use mailstead_names::{Address, Domain, EnhancedStatus};
use mailstead_smtp::Reply;
use mailstead_store as store;

const fn status(class: u8, subject: u16, detail: u16) -> EnhancedStatus {
    EnhancedStatus::new(class, subject, detail)
}

/// The greeting. "ESMTP" is there because health checkers look for it.
pub(crate) fn greeting(hostname: &Domain) -> Reply {
    Reply::plain(220, format!("{hostname} ESMTP Mailstead"))
}

/// The first line of the answer to HELO and EHLO.
pub(crate) fn hello(hostname: &Domain) -> Reply {
    Reply::plain(250, hostname.as_ascii())
}

/// Instead of the greeting.
pub(crate) fn refused(refusal: mailstead_net::Refusal) -> Reply {
    use mailstead_net::Refusal;
    match refusal {
        Refusal::Rate => Reply::new(421, status(4, 7, 0), "too many connections from your network, try again later"),
        Refusal::Open => Reply::new(421, status(4, 7, 0), "too many open connections from your network"),
        // ShuttingDown, and whatever reason may come.
        _ => shutting_down(),
    }
}

pub(crate) fn shutting_down() -> Reply {
    Reply::new(421, status(4, 3, 2), "shutting down")
}

pub(crate) fn timeout() -> Reply {
    Reply::new(421, status(4, 4, 2), "timeout, closing the connection")
}

pub(crate) fn too_many_auth_failures() -> Reply {
    Reply::new(421, status(4, 7, 0), "too many failed authentications from your network")
}

// HELO and EHLO

pub(crate) fn ehlo_does_not_resolve() -> Reply {
    Reply::new(550, status(5, 5, 0), "your ehlo domain does not resolve to an IP address")
}

// AUTH

pub(crate) fn authenticated() -> Reply {
    Reply::new(235, status(2, 7, 0), "welcome")
}

/// Why somebody is not let in. RFC 4954 §6, RFC 5248 §2.4.
pub(crate) fn login_refused(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Mechanism => Reply::new(504, status(5, 5, 4), "mechanism not supported"),
        Refusal::EncryptionRequired => Reply::new(538, status(5, 7, 11), "encryption required for authentication"),
        Refusal::UnknownKey => Reply::new(535, status(5, 7, 8), "no certificate with a known key was shown"),
        Refusal::Authorization => Reply::new(535, status(5, 7, 8), "cannot assume other role"),
        Refusal::ChannelBinding => Reply::new(535, status(5, 7, 7), "channel bindings do not match, potential mitm"),
        Refusal::Malformed(what) => Reply::new(501, status(5, 5, 4), format!("malformed message: {what}")),
        Refusal::Aborted => Reply::new(501, status(5, 5, 0), "authentication aborted"),
        Refusal::Disabled(message) => Reply::new(525, status(5, 7, 13), format!("login disabled: {message}")),
        Refusal::Unavailable => Reply::new(454, status(4, 7, 0), "temporary authentication failure"),
        Refusal::TooManyFailures => too_many_auth_failures(),
        // Credentials, and whatever else there may be.
        _ => Reply::new(535, status(5, 7, 8), "bad user name or password"),
    }
}

// MAIL

pub(crate) fn sender_ok() -> Reply {
    Reply::new(250, status(2, 1, 0), "sender ok")
}

pub(crate) fn sender_domain_required() -> Reply {
    Reply::new(550, status(5, 7, 0), "sender address needs a domain name")
}

pub(crate) fn sender_domain_without_mail() -> Reply {
    Reply::new(550, status(5, 7, 27), "mailfrom domain not configured for mail")
}

pub(crate) fn sender_domain_unknown_yet() -> Reply {
    Reply::new(451, status(4, 4, 0), "temporary failure looking up the mailfrom domain")
}

pub(crate) fn sender_not_yours() -> Reply {
    Reply::new(550, status(5, 7, 1), "must match authenticated user")
}

// RCPT

pub(crate) fn recipient_ok() -> Reply {
    Reply::new(250, status(2, 1, 5), "recipient ok")
}

pub(crate) fn starttls_required() -> Reply {
    Reply::new(530, status(5, 7, 0), "STARTTLS required for mail delivery")
}

pub(crate) fn one_recipient_for_null_sender() -> Reply {
    Reply::new(452, status(4, 5, 3), "only one recipient allowed with null reverse-path")
}

pub(crate) fn one_recipient_without_spf() -> Reply {
    Reply::new(452, status(4, 5, 3), "only one recipient allowed without spf pass")
}

pub(crate) fn not_local() -> Reply {
    Reply::new(550, status(5, 1, 1), "not accepting email for domain")
}

pub(crate) fn no_such_user() -> Reply {
    Reply::new(550, status(5, 1, 1), "no such user")
}

// The sender

/// RFC 9989 §5.4, RFC 7372 §3.3 has 5.7.26 for it where several checks failed; 5.7.1 says that it is policy. The text is for
/// whoever runs the sending server.
pub(crate) fn refused_by_dmarc(author: &Domain, policy_domain: &Domain, cause: &str) -> Reply {
    let text = format!("refused by the DMARC policy of {policy_domain} (p=reject): for {author}, {cause}");
    Reply::new(550, status(5, 7, 1), text)
}

/// There is or may be a policy to be followed, and whether the message deserves it cannot be known now (RFC 7372 §3.3 is
/// for ever, this is for now).
pub(crate) fn authentication_undecided(author: &Domain) -> Reply {
    let text = format!("whether this message is from {author} cannot be checked now, try again later");
    Reply::new(451, status(4, 7, 1), text)
}

pub(crate) fn too_many_authors() -> Reply {
    Reply::new(550, status(5, 7, 1), "addresses of too many domains in the From header")
}

// The message

pub(crate) fn accepted() -> Reply {
    Reply::new(250, status(2, 2, 0), "it is done")
}

pub(crate) fn queued() -> Reply {
    Reply::new(250, status(2, 0, 0), "it is queued")
}

pub(crate) fn header_too_large() -> Reply {
    Reply::new(552, status(5, 3, 4), "message header too large")
}

pub(crate) fn loop_detected() -> Reply {
    Reply::new(550, status(5, 4, 6), "loop detected, more than 100 received headers")
}

pub(crate) fn no_separator() -> Reply {
    Reply::new(554, status(5, 6, 0), "message needs an empty line between header and body")
}

/// RFC 5322 §2.1.1. Number and length let people find it.
pub(crate) fn line_too_long(number: u64, length: u64) -> Reply {
    let text = format!(
        "line {number} of the message has {length} octets, at most 998 can be sent; have your program encode it as \
         quoted-printable or base64, or break the line"
    );
    Reply::new(554, status(5, 6, 0), text)
}

/// The same in a header, where there is no white space to fold it at.
pub(crate) fn header_line_too_long(field: &str, length: usize) -> Reply {
    let text = format!(
        "header field {field} has {length} octets without a space to fold it at, at most 998 can be sent; shorten it"
    );
    Reply::new(554, status(5, 6, 0), text)
}

pub(crate) fn from_needed() -> Reply {
    Reply::new(550, status(5, 6, 0), "message needs exactly one address in its From header")
}

pub(crate) fn from_not_yours() -> Reply {
    Reply::new(550, status(5, 7, 1), "From address must belong to authenticated user")
}

/// Pedantic: octets that were not declared (RFC 6152 §3).
pub(crate) fn eight_bit_undeclared() -> Reply {
    Reply::new(500, status(5, 6, 0), "8-bit message without BODY=8BITMIME")
}

/// Pedantic: header octets that were not declared (RFC 6531 §3.4).
pub(crate) fn smtputf8_undeclared() -> Reply {
    Reply::new(550, status(5, 6, 0), "internationalised message without SMTPUTF8")
}

/// Pedantic: RFC 5321 §4.4, a message does not bring its own.
pub(crate) fn return_path_present() -> Reply {
    Reply::new(550, status(5, 6, 0), "message must not have a Return-Path header")
}

pub(crate) fn submission_limit() -> Reply {
    let text = "too many messages in 24 hours, the administrator can raise limits.submissions-per-day";
    Reply::new(451, status(4, 7, 1), text)
}

/// Internal trouble: nothing is said about its nature.
pub(crate) fn processing() -> Reply {
    Reply::new(451, status(4, 3, 0), "error processing")
}

pub(crate) fn disk_full() -> Reply {
    Reply::new(452, status(4, 3, 1), "not enough storage on this server")
}

/// A body that could not be kept, or a message that could not be stored.
pub(crate) fn store_error(error: &store::Error) -> Reply {
    match error {
        store::Error::OverQuota => Reply::new(452, status(4, 2, 2), "account storage full"),
        store::Error::DiskFull => disk_full(),
        _ => processing(),
    }
}

/// A submitted message that could not be queued.
pub(crate) fn queue_error(error: &mailstead_queue::Error) -> Reply {
    match error {
        mailstead_queue::Error::Store(error) => store_error(error),
        _ => processing(),
    }
}

/// What somebody asked for in a sandbox.
pub(crate) fn provoked(code: u16) -> Reply {
    let class = if code < 500 { 4 } else { 5 };
    Reply::new(code, status(class, 3, 0), "as the local part asks for")
}

/// All recipients failed: one code if they agree, else one that does not lose mail, with every reason.
pub(crate) fn all_failed(failures: &[(Address, Reply)]) -> Reply {
    let Some((_, first)) = failures.first() else { return processing() };
    if failures.iter().all(|(_, reply)| (reply.code, reply.status) == (first.code, first.status)) {
        return first.clone();
    }
    // One temporary failure is enough to ask for another attempt.
    let (code, enhanced) = if failures.iter().any(|(_, reply)| reply.code < 500) {
        (451, status(4, 3, 0))
    } else {
        (554, status(5, 3, 0))
    };
    let mut reply = Reply::new(code, enhanced, "multiple errors");
    reply.lines.extend(failures.iter().map(|(recipient, reply)| format!("<{recipient}>: {reply}")));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_several_recipients() {
        let to = |text: &str| Address::parse(text).unwrap();
        let same = [(to("a@b.example"), no_such_user()), (to("c@b.example"), no_such_user())];
        assert_eq!(all_failed(&same), no_such_user());
        let mixed = [(to("a@b.example"), no_such_user()), (to("c@b.example"), disk_full())];
        let reply = all_failed(&mixed);
        assert_eq!(reply.code, 451);
        assert_eq!(reply.lines[1], "<a@b.example>: 550 5.1.1 no such user");
        let permanent = [(to("a@b.example"), no_such_user()), (to("c@b.example"), provoked(550))];
        assert_eq!(all_failed(&permanent).code, 554);
    }

    #[test]
    fn provoked_codes_keep_their_class() {
        assert_eq!(provoked(400).to_string(), "400 4.3.0 as the local part asks for");
        assert_eq!(provoked(599).status.unwrap().to_string(), "5.3.0");
    }
}
