//! The seam to accounts: the queue decides when and what, the application knows how mail gets into an account.

use std::fmt;

use jiff::Timestamp;
use mailstead_names::{Address, ReversePath};
use mailstead_runtime::BoxFuture;
use mailstead_smtp::Reply;
use mailstead_store::{AccountId, DeliveryId, Staged};

/// Delivers into accounts of this server.
pub trait LocalDelivery: fmt::Debug + Send + Sync {
    /// Whether mail for this address ends here, by its domain. An unknown user of a domain of ours is ours to refuse.
    fn is_local(&self, recipient: &Address) -> bool;

    /// Delivers one message, and answers for each recipient, in order, as a server would: 2yz once it is on the disk,
    /// 4yz to be asked again, 5yz for good. Asked again with the same delivery id, it stores nothing twice.
    fn deliver(&self, message: LocalMessage) -> BoxFuture<'_, Vec<Reply>>;
}

/// A message for accounts of this server.
#[derive(Debug, Clone)]
pub struct LocalMessage {
    /// The reverse-path.
    pub sender: ReversePath,
    /// At least one.
    pub recipients: Vec<LocalRecipient>,
    /// The account that gets it whatever the recipients' addresses: set for notices to a submitter. If it is gone, the
    /// postmaster's.
    pub account: Option<AccountId>,
    /// Header fields in front of the staged octets; Return-Path and Delivered-To go before them.
    pub prefix: Vec<u8>,
    /// The rest of the message.
    pub staged: Staged,
    /// When it was queued.
    pub queued_at: Timestamp,
}

/// One recipient of a [`LocalMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRecipient {
    /// The forward-path.
    pub address: Address,
    /// Names this delivery for ever.
    pub delivery: DeliveryId,
}
