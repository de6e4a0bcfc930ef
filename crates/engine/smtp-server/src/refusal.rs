//! Refusals of whole messages after DATA, before or without a verdict for each recipient. Each has a typed reason, and is
//! kept like a verdict: whoever has the id from the reply can find out what happened.

use mailstead_names::{Address, ReversePath};
use mailstead_smtp::Reply;

use crate::inbound::Origin;

/// Why a message was refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It has passed so many servers that it must be going in circles.
    Loop,
    /// A bare CR or LF where other servers would see its end.
    LineEndings,
    /// It, or its header, is too large.
    TooLarge,
    /// A line is too long, and cannot be made shorter.
    LineLength,
    /// It lacks what a message must have, or has what it must not have.
    Malformed,
    /// It is not what MAIL declared.
    Undeclared,
    /// Its author is somebody else than the user.
    Author,
    /// The user has submitted too many.
    Allowance,
    /// A local part asked for it, in a sandbox.
    Provoked,
    /// It could not be put on the disk, or into the queue.
    Storage,
    /// The session was not in a state for it.
    Internal,
}

impl Cause {
    /// Its word in what is stored and shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cause::Loop => "loop",
            Cause::LineEndings => "line-endings",
            Cause::TooLarge => "too-large",
            Cause::LineLength => "line-length",
            Cause::Malformed => "malformed",
            Cause::Undeclared => "undeclared",
            Cause::Author => "author",
            Cause::Allowance => "allowance",
            Cause::Provoked => "provoked",
            Cause::Storage => "storage",
            Cause::Internal => "internal",
        }
    }
}

/// A refusal with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    pub(crate) reply: Reply,
}

impl Refusal {
    pub(crate) fn new(cause: Cause, reply: Reply) -> Refusal {
        Refusal { cause, reply }
    }
}

impl From<mailstead_store::Error> for Refusal {
    fn from(error: mailstead_store::Error) -> Refusal {
        tracing::warn!(%error, "message not staged");
        Refusal::new(Cause::Storage, crate::reply::store_error(&error))
    }
}

/// What is known of a refused message without having it.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) sender: ReversePath,
    /// The first recipient.
    pub(crate) recipient: Address,
    /// How many there are besides.
    pub(crate) more: usize,
    pub(crate) origin: Origin,
}
