//! Trace fields that a server adds in front of a message: Received (RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3),
//! Return-Path (RFC 5321 §4.4) and Delivered-To (RFC 9228).
//!
//! ```abnf
//! Time-stamp-line = "Received:" FWS Stamp CRLF
//! Stamp           = From-domain By-domain Opt-info [CFWS] ";" FWS date-time
//! From-domain     = "FROM" FWS Extended-Domain
//! Extended-Domain = Domain / (Domain FWS "(" TCP-info ")") / (address-literal FWS "(" TCP-info ")")
//! TCP-info        = address-literal / (Domain FWS address-literal)
//! Opt-info        = [Via] [With] [ID] [For] [Additional-Registered-Clauses]
//! ```

use std::fmt;
use std::net::IpAddr;

use mailstead_names::{Address, Domain, EhloName, Host, ReversePath};

use crate::date::Date;
use crate::header::{Fields, fold};

/// How a message came in, for the `with` clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct With {
    /// EHLO rather than HELO.
    pub extended: bool,
    /// Over TLS.
    pub tls: bool,
    /// After AUTH.
    pub authenticated: bool,
    /// The message needs SMTPUTF8.
    pub smtputf8: bool,
}

impl fmt::Display for With {
    /// The keyword of RFC 3848 §2 or RFC 6531 §4.3.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.smtputf8 {
            f.write_str("UTF8")?;
        } else if self.extended || self.tls || self.authenticated {
            f.write_str("E")?;
        }
        f.write_str("SMTP")?;
        f.write_str(if self.tls { "S" } else { "" })?;
        f.write_str(if self.authenticated { "A" } else { "" })
    }
}

/// One Received field.
#[derive(Debug, Clone)]
pub struct Received<'a> {
    /// What the client called itself.
    pub from: &'a EhloName,
    /// Where it came from; absent to hide a submitter's address.
    pub remote: Option<IpAddr>,
    /// Its verified name in the DNS.
    pub reverse_name: Option<&'a Domain>,
    /// This host.
    pub by: &'a Domain,
    /// The protocol.
    pub with: With,
    /// Protocol version and cipher suite, as a comment.
    pub tls: Option<&'a str>,
    /// Identifies the reception in the log.
    pub id: &'a str,
    /// The recipient, only where there is just one (RFC 5321 §7.2).
    pub recipient: Option<&'a Address>,
    /// When.
    pub at: Date,
}

impl fmt::Display for Received<'_> {
    /// The whole field, folded, with its line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.from {
            EhloName::Other(text) => tame(text),
            name => name.to_string(),
        };
        let mut pieces = vec!["from".to_owned(), from];
        match (self.reverse_name, self.remote) {
            (Some(name), Some(ip)) => pieces.push(format!("({name} {})", Host::Ip(ip))),
            (None, Some(ip)) => pieces.push(format!("({})", Host::Ip(ip))),
            _ => {}
        }
        pieces.push(format!("by {}", self.by));
        pieces.push(format!("with {}", self.with));
        if let Some(tls) = self.tls {
            pieces.push(format!("({})", tame(tls)));
        }
        pieces.push(format!("id {}", tame(self.id)));
        if let Some(recipient) = self.recipient {
            pieces.push(format!("for <{recipient}>"));
        }
        if let Some(last) = pieces.last_mut() {
            last.push(';');
        }
        pieces.push(self.at.to_string());
        f.write_str(&fold("Received", pieces.iter().map(String::as_str)))
    }
}

/// Foreign text made safe for a place where only atoms and blanks belong.
fn tame(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:[]=,+/".contains(c);
    let tamed: String = text.chars().take(255).map(|c| if allowed(c) { c } else { '?' }).collect();
    if tamed.trim().is_empty() { "unknown".to_owned() } else { tamed }
}

/// `Return-Path: <a@b>`, put first at final delivery.
#[must_use]
pub fn return_path(sender: &ReversePath) -> String {
    fold("Return-Path", [sender.to_string().as_str()])
}

/// `Delivered-To: a@b`, RFC 9228.
#[must_use]
pub fn delivered_to(recipient: &Address) -> String {
    fold("Delivered-To", [recipient.to_string().as_str()])
}

/// Number of Received fields, to detect loops (RFC 5321 §6.3).
#[must_use]
pub fn received_count(header: &[u8]) -> usize {
    Fields::new(header).filter(|field| field.is("Received")).count()
}

/// Whether the message was already delivered to this address, by its Delivered-To fields.
#[must_use]
pub fn was_delivered_to(header: &[u8], recipient: &Address) -> bool {
    let recipient = recipient.to_string();
    Fields::new(header)
        .filter(|field| field.is("Delivered-To"))
        .any(|field| field.unfolded().eq_ignore_ascii_case(&recipient))
}
