//! Delivery status notifications: multipart/report (RFC 6522) with message/delivery-status (RFC 3464), or their global
//! variants where addresses or text are internationalised (RFC 6533).

use std::net::IpAddr;

use mailstead_names::{Address, Domain, EnhancedStatus, Host};

use crate::address::Mailbox;
use crate::compose::{Charset, Entity};
use crate::date::Date;
use crate::header::{Fields, fold, fold_text};
use crate::structure::{Part, Structure};

/// Octets of the original header that are returned.
const RETURNED_HEADER: usize = 64 * 1024;
/// Octets of a message that is returned as a whole (RFC 3461 §6.2 leaves the limit to the server).
pub const RETURNED_MESSAGE: usize = 256 * 1024;
/// Longest line without its CRLF, RFC 5322 §2.1.1.
const MAX_LINE: usize = 998;

/// What became of a recipient, RFC 3464 §2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Not delivered, and no further attempts.
    Failed,
    /// Not delivered yet; attempts go on.
    Delayed,
    /// Delivered.
    Delivered,
    /// Handed to a system that does not send notifications.
    Relayed,
    /// Given to several recipients.
    Expanded,
}

impl Action {
    const ALL: [(Action, &'static str); 5] = [
        (Action::Failed, "failed"),
        (Action::Delayed, "delayed"),
        (Action::Delivered, "delivered"),
        (Action::Relayed, "relayed"),
        (Action::Expanded, "expanded"),
    ];

    /// The keyword.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Action::ALL.iter().find(|(action, _)| *action == self).map_or("failed", |(_, keyword)| keyword)
    }
}

/// Per-recipient fields, RFC 3464 §2.3.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// What the sender said the original address is, if anything (RFC 3461 §6.3).
    pub original_recipient: Option<OriginalRecipient>,
    /// The address as the sender gave it.
    pub final_recipient: Address,
    /// What became of it.
    pub action: Action,
    /// Status code.
    pub status: EnhancedStatus,
    /// The host that answered, with its address.
    pub remote_mta: Option<RemoteMta>,
    /// The reply of that host, lines with their codes.
    pub diagnostic: Option<String>,
    /// When delivery was last attempted.
    pub last_attempt: Option<Date>,
    /// For [`Action::Delayed`]: when it will be given up.
    pub will_retry_until: Option<Date>,
}

/// Original-Recipient, RFC 3464 §2.3.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalRecipient {
    /// For example `rfc822`.
    pub addr_type: String,
    /// The address in its own syntax, without xtext or unitext.
    pub address: String,
}

/// Remote-MTA, RFC 3464 §2.3.5, with the address as a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMta {
    /// Host name or address literal dialled.
    pub host: Host,
    /// Address connected to.
    pub ip: Option<IpAddr>,
}

/// A notification to be written.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// This host.
    pub reporting_mta: &'a Domain,
    /// Sender of the notification, usually the postmaster.
    pub from: Mailbox,
    /// The sender of the original message.
    pub to: &'a Address,
    /// Subject.
    pub subject: &'a str,
    /// Explanation for a person.
    pub text: &'a str,
    /// Message-ID for the notification, without brackets.
    pub message_id: &'a str,
    /// Now.
    pub date: Date,
    /// What the sender called the transaction, without xtext (RFC 3461 §6.3).
    pub original_envelope_id: Option<&'a str>,
    /// When the original message was accepted.
    pub arrival: Option<Date>,
    /// The recipients reported on.
    pub recipients: &'a [Recipient],
    /// What is returned of the original message.
    pub original: Original<'a>,
    /// A boundary that occurs nowhere in the content.
    pub boundary: &'a str,
}

/// What is returned of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Original<'a> {
    /// Its header, of which a long one is cut at a field. What follows the header is not looked at.
    Header(&'a [u8]),
    /// All of it.
    Message(&'a [u8]),
}

impl<'a> Original<'a> {
    /// All of a message, or its header where a report cannot hold the rest: it is longer than [`RETURNED_MESSAGE`],
    /// its lines are too long for a message within a message, which no transfer encoding may help (RFC 2046 §5.2.1),
    /// or its header is in no charset or empty.
    #[must_use]
    pub fn whole(message: &'a [u8]) -> Original<'a> {
        let lines_fit = message
            .split(|octet| *octet == b'\n')
            .all(|line| line.strip_suffix(b"\r").unwrap_or(line).len() <= MAX_LINE && !line.contains(&0));
        let header = Fields::new(message).last().and_then(|field| message.get(..field.range().end));
        let header_reads = header.is_some_and(|header| std::str::from_utf8(header).is_ok());
        if message.len() <= RETURNED_MESSAGE && lines_fit && header_reads {
            Original::Message(message)
        } else {
            Original::Header(message)
        }
    }

    /// Media type and octets. RFC 6533 §4: the global types where the content needs them.
    fn returned(self) -> (&'static str, &'a [u8]) {
        match self {
            Original::Message(message) if Structure::scan(message).needs_smtputf8() => ("message/global", message),
            Original::Message(message) => ("message/rfc822", message),
            Original::Header(header) => {
                let end =
                    Fields::new(header).map(|field| field.range().end).take_while(|end| *end <= RETURNED_HEADER).last();
                let header = header.get(..end.unwrap_or(0)).unwrap_or_default();
                let media_type = match (header.is_ascii(), std::str::from_utf8(header)) {
                    (true, _) => "text/rfc822-headers",
                    (false, Ok(_)) => "message/global-headers",
                    (false, Err(_)) => "application/octet-stream",
                };
                (media_type, header)
            }
        }
    }
}

impl Report<'_> {
    /// The notification as a message.
    #[must_use]
    pub fn compose(&self) -> Vec<u8> {
        let (original_type, original) = self.original.returned();
        let status_utf8 = self.recipients.iter().any(Recipient::is_international);
        let charset = if status_utf8 || self.to.needs_smtputf8() { Charset::Utf8 } else { Charset::Ascii };
        // RFC 6533 §4.1: the global type where the content needs it.
        let status_type = if status_utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
        let parts = vec![
            Entity::text(charset, self.text),
            Entity::octets(charset, status_type, self.delivery_status().into_bytes()),
            Entity::octets(charset, original_type, original.to_vec()),
        ];
        let to = Mailbox {
            localpart: self.to.localpart.as_str().to_owned(),
            domain: Some(self.to.host.to_string()),
            ..Mailbox::default()
        };
        let mut entity =
            Entity::multipart(charset, "report", &[("report-type", "delivery-status")], self.boundary, parts)
                .addresses("From", std::slice::from_ref(&self.from))
                .addresses("To", &[to])
                .field("Subject", self.subject)
                .raw_field("Date", &self.date.to_string())
                .raw_field("Message-ID", &format!("<{}>", self.message_id))
                // RFC 3834 §5.
                .raw_field("Auto-Submitted", "auto-replied");
        if let Some(id) = Fields::find(original, "Message-ID").map(|field| field.unfolded())
            && id.is_ascii()
            && !id.is_empty()
        {
            entity = entity.raw_field("In-Reply-To", &id).raw_field("References", &id);
        }
        entity.into_message()
    }

    /// RFC 3464 §2.1: per-message fields, then a group for each recipient, separated by empty lines.
    fn delivery_status(&self) -> String {
        // In one piece: the sender compares it.
        let mut out = self.original_envelope_id.map(|envid| fold("Original-Envelope-Id", [envid])).unwrap_or_default();
        out.push_str(&fold_text("Reporting-MTA", &format!("dns; {}", self.reporting_mta)));
        if let Some(arrival) = self.arrival {
            out.push_str(&fold_text("Arrival-Date", &arrival.to_string()));
        }
        for recipient in self.recipients {
            out.push_str("\r\n");
            out.push_str(&recipient.fields());
        }
        out
    }
}

impl Recipient {
    /// Whether its group needs message/global-delivery-status. An original address of type utf-8 does in any case: in
    /// the other type it would have to be in ASCII form (RFC 6533 §3).
    fn is_international(&self) -> bool {
        let original = self.original_recipient.as_ref();
        self.final_recipient.needs_smtputf8()
            || self.diagnostic.as_deref().is_some_and(|text| !text.is_ascii())
            || original.is_some_and(|original| original.addr_type.eq_ignore_ascii_case("utf-8"))
    }

    fn fields(&self) -> String {
        let mut out = String::new();
        if let Some(OriginalRecipient { addr_type, address }) = &self.original_recipient {
            out.push_str(&fold("Original-Recipient", [format!("{addr_type};").as_str(), address]));
        }
        // RFC 6533 §3: address type utf-8 for what RFC 822 cannot say.
        let kind = if self.final_recipient.needs_smtputf8() { "utf-8" } else { "rfc822" };
        out.push_str(&fold_text("Final-Recipient", &format!("{kind}; {}", self.final_recipient)));
        out.push_str(&fold_text("Action", self.action.as_str()));
        out.push_str(&fold_text("Status", &self.status.to_string()));
        if let Some(remote) = &self.remote_mta {
            let name = match &remote.host {
                Host::Domain(domain) => domain.to_string(),
                host @ Host::Ip(_) => host.to_string(),
            };
            let pieces = match (remote.ip, &remote.host) {
                (Some(ip), Host::Domain(_)) => format!("dns; {name} ({ip})"),
                _ => format!("dns; {name}"),
            };
            out.push_str(&fold_text("Remote-MTA", &pieces));
        }
        if let Some(diagnostic) = &self.diagnostic {
            let text = diagnostic.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            out.push_str(&fold("Diagnostic-Code", std::iter::once("smtp;").chain(text.split(' '))));
        }
        if let Some(last_attempt) = self.last_attempt {
            out.push_str(&fold_text("Last-Attempt-Date", &last_attempt.to_string()));
        }
        if let Some(until) = self.will_retry_until {
            out.push_str(&fold_text("Will-Retry-Until", &until.to_string()));
        }
        out
    }
}

/// The delivery-status part, if the message is a delivery status notification: a multipart/report of that type
/// (RFC 6522 §3), whose second part is one of the two status types.
#[must_use]
pub fn status_part(structure: &Structure) -> Option<&Part> {
    let root = &structure.root;
    let is_report = root.content_type.is("multipart", "report")
        && root.content_type.param("report-type").is_some_and(|kind| kind.eq_ignore_ascii_case("delivery-status"));
    root.children.get(1).filter(|part| {
        is_report
            && part.content_type.kind == "message"
            && ["delivery-status", "global-delivery-status"].contains(&part.content_type.subtype.as_str())
    })
}

/// The final recipients and actions in the body of a status part; groups that lack either are left out.
#[must_use]
pub fn read_status(body: &[u8]) -> Vec<(String, Action)> {
    let mut found = Vec::new();
    let mut rest = body;
    loop {
        let end = Fields::new(rest).last().map_or(0, |field| field.range().end);
        let value = |name: &str| Fields::find(rest, name).map(|field| field.unfolded());
        let recipient = value("Final-Recipient")
            .and_then(|value| value.split_once(';').map(|(_, address)| address.trim().to_owned()));
        let action = value("Action").and_then(|value| {
            Action::ALL.iter().find(|(_, keyword)| value.eq_ignore_ascii_case(keyword)).map(|(action, _)| *action)
        });
        found.extend(recipient.zip(action));
        let Some(after) = rest.get(end..).filter(|after| !after.is_empty()) else { return found };
        let after = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")).unwrap_or_default();
        if after.is_empty() {
            return found;
        }
        rest = after;
    }
}
