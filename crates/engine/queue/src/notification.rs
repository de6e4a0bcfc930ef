//! What a sender asks to be told about delivery (RFC 3461): from the envelope into the rows, and from the rows to the
//! next server and to the notices.

use mailstead_message::dsn::OriginalRecipient;
use mailstead_names::{Address, ForwardPath};
use mailstead_smtp::{Mail, Notify, Orcpt, Rcpt, Ret};
use mailstead_store::QueueRow;

/// What is asked for a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// How much of the message a notice of failure returns; without it the header (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// What the sender calls the transaction (RFC 3461 §4.4), decoded.
    pub envid: Option<String>,
}

/// A recipient of a message, with what is asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeRecipient {
    /// Forward-path.
    pub address: Address,
    /// Of what the sender wants to be told; without it, failure and delay (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// The original recipient (RFC 3461 §4.2).
    pub orcpt: Option<Orcpt>,
}

impl From<Address> for EnvelopeRecipient {
    fn from(address: Address) -> EnvelopeRecipient {
        EnvelopeRecipient { address, notify: None, orcpt: None }
    }
}

/// The original recipient as a notice names it (RFC 3461 §6.3).
#[must_use]
pub fn original_recipient(orcpt: &Orcpt) -> OriginalRecipient {
    OriginalRecipient { addr_type: orcpt.addr_type().to_owned(), address: orcpt.address().to_owned() }
}

/// MAIL for the message of a row, with what is to be passed on (RFC 3461 §5.2.1).
pub(crate) fn mail(row: &QueueRow) -> Mail {
    Mail { ret: ret(row), envid: row.envid.clone(), ..Mail::new(row.sender.clone()) }
}

/// RCPT for the recipient of a row, with what is to be passed on (RFC 3461 §5.2.1).
pub(crate) fn rcpt(row: &QueueRow) -> Rcpt {
    Rcpt { notify: notify(row), orcpt: orcpt(row), ..Rcpt::new(ForwardPath::from(row.recipient.clone())) }
}

// What a row holds was a value when it was queued. Should it be none to this program, it counts as not given.

pub(crate) fn ret(row: &QueueRow) -> Option<Ret> {
    row.ret.as_deref().and_then(Ret::parse)
}

pub(crate) fn orcpt(row: &QueueRow) -> Option<Orcpt> {
    row.orcpt.as_deref().and_then(Orcpt::parse)
}

fn notify(row: &QueueRow) -> Option<Notify> {
    row.notify.as_deref().and_then(Notify::parse)
}

/// Whether the sender wants to be told of final failure (RFC 3461 §5.2.6).
pub(crate) fn wants_failure(row: &QueueRow) -> bool {
    notify(row).is_none_or(|notify| notify.failure)
}

/// Whether the sender may be told of a delay (RFC 3461 §5.2.5).
pub(crate) fn wants_delay(row: &QueueRow) -> bool {
    notify(row).is_none_or(|notify| notify.delay)
}

/// Whether the sender wants to be told of success (RFC 3461 §5.2.3).
pub(crate) fn wants_success(row: &QueueRow) -> bool {
    notify(row).is_some_and(|notify| notify.success)
}
