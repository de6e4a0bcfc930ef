//! The envelope structure of IMAP (RFC 9051 §7.5.2): selected header fields, parsed once when a message arrives.
//!
//! Values are unfolded and otherwise as written: encoded words stay encoded. Octets that are not UTF-8 are read as
//! windows-1252, so that every value is text.

use crate::address::{self, AddressItem};
use crate::header::Fields;

/// Parsed fields of one message header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// Date, as written.
    pub date: Option<String>,
    /// Subject, encoded words kept.
    pub subject: Option<String>,
    /// From.
    pub from: Vec<AddressItem>,
    /// Sender as written; see [`Envelope::effective_sender`].
    pub sender: Vec<AddressItem>,
    /// Reply-To as written; see [`Envelope::effective_reply_to`].
    pub reply_to: Vec<AddressItem>,
    /// To.
    pub to: Vec<AddressItem>,
    /// Cc.
    pub cc: Vec<AddressItem>,
    /// Bcc.
    pub bcc: Vec<AddressItem>,
    /// In-Reply-To, as written.
    pub in_reply_to: Option<String>,
    /// Message-ID, as written with its angle brackets.
    pub message_id: Option<String>,
}

impl Envelope {
    /// Reads the envelope from a header. The first field of a name wins for single values; address fields that are
    /// repeated against the rules are joined.
    #[must_use]
    pub fn parse(header: &[u8]) -> Envelope {
        let mut envelope = Envelope::default();
        for field in Fields::new(header) {
            let name = field.name().to_ascii_lowercase();
            let text = match name.as_str() {
                "date" => &mut envelope.date,
                "subject" => &mut envelope.subject,
                "in-reply-to" => &mut envelope.in_reply_to,
                "message-id" => &mut envelope.message_id,
                _ => {
                    let list = match name.as_str() {
                        "from" => &mut envelope.from,
                        "sender" => &mut envelope.sender,
                        "reply-to" => &mut envelope.reply_to,
                        "to" => &mut envelope.to,
                        "cc" => &mut envelope.cc,
                        "bcc" => &mut envelope.bcc,
                        _ => continue,
                    };
                    list.extend(address::list(&field.unfolded()));
                    continue;
                }
            };
            if text.is_none() {
                *text = Some(field.unfolded().into_owned());
            }
        }
        envelope
    }

    /// Sender, or From where Sender is absent or empty (RFC 9051 §7.5.2).
    #[must_use]
    pub fn effective_sender(&self) -> &[AddressItem] {
        if self.sender.is_empty() { &self.from } else { &self.sender }
    }

    /// Reply-To, or From where Reply-To is absent or empty (RFC 9051 §7.5.2).
    #[must_use]
    pub fn effective_reply_to(&self) -> &[AddressItem] {
        if self.reply_to.is_empty() { &self.from } else { &self.reply_to }
    }
}
