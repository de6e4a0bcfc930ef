//! Where the judgement of senders will stand: first what can be verified, then a verdict for each recipient.
//!
//! `authenticate` gathers evidence about a message (reverse name, SPF, DKIM, DMARC), once. `classify` turns it into a
//! verdict for one recipient; verdicts carry their reasons. Nothing is verified yet, and the values say so: no field is
//! written that would claim a check.

use mailstead_config::Destination;
use mailstead_names::Address;
use mailstead_smtp::Reply;

use crate::inbound::Arrival;
use crate::reply;
use crate::sandbox::Sandbox;

/// What is known about who sent a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Authentication {
    /// Nothing was checked.
    Unchecked,
}

/// What to do with a message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) decision: Decision,
    pub(crate) reasons: Vec<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Decision {
    /// Store it in Inbox.
    Accept,
    /// Refuse it with this reply.
    Reject(Reply),
}

/// Why a verdict is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Reason {
    /// No evidence was gathered, so none can speak against the message.
    Unchecked,
    /// The local part asks for it.
    Provoked,
}

impl Reason {
    /// Its word in what is stored and shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Unchecked => "unchecked",
            Reason::Provoked => "provoked",
        }
    }
}

/// Gathers evidence about an arrived message.
pub(crate) async fn authenticate(_arrival: &Arrival) -> Authentication {
    Authentication::Unchecked
}

/// The verdict for one recipient. Pure.
pub(crate) fn classify(
    _arrival: &Arrival,
    authentication: &Authentication,
    (recipient, _destination): &(Address, Destination),
    sandbox: Sandbox,
) -> Verdict {
    if let Some(provocation) = sandbox.provocation(&recipient.localpart) {
        let decision = Decision::Reject(reply::provoked(provocation.code));
        return Verdict { decision, reasons: vec![Reason::Provoked] };
    }
    match authentication {
        Authentication::Unchecked => Verdict { decision: Decision::Accept, reasons: vec![Reason::Unchecked] },
    }
}
