//! Storing a message in a local account: the last step of inbound mail and of the queue alike.

use std::fmt;
use std::sync::Arc;

use mailstead_config::{AccountName, Directory, Lookup};
use mailstead_message::trace;
use mailstead_names::{Address, ForwardPath, ReversePath};
use mailstead_queue::{LocalDelivery, LocalMessage, LocalRecipient};
use mailstead_runtime::{BoxFuture, Clock};
use mailstead_smtp::Reply;
use mailstead_store::{
    Account, AccountId, DeliveryId, Error, Facts, Flags, MailboxId, NewMessage, SpecialUse, Staged, Store, Write,
};
use tokio::sync::watch;

use crate::reply;
use crate::sandbox::{Moment, Sandbox};

/// The mailbox that mail is delivered to.
const INBOX: &str = "Inbox";
/// The mailbox for what is suspected.
const JUNK: &str = "Junk";

/// Delivers into accounts: for inbound connections, and for the queue as its [`LocalDelivery`].
#[derive(Clone)]
pub struct AccountDelivery {
    store: Store,
    directory: watch::Receiver<Arc<Directory>>,
    clock: Arc<dyn Clock>,
    sandbox: Sandbox,
}

impl fmt::Debug for AccountDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountDelivery").field("sandbox", &self.sandbox).finish_non_exhaustive()
    }
}

/// One copy of a message for an account.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) id: DeliveryId,
    /// Trace fields in front of the message.
    pub(crate) prefix: Vec<u8>,
    /// Where it goes.
    pub(crate) mailbox: Target,
    /// What is kept beside it.
    pub(crate) facts: Vec<Facts>,
}

/// Where a copy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Inbox.
    Inbox,
    /// The mailbox for junk.
    Junk,
    /// A mailbox that a rule of the account names. It is made where it is not there.
    Named(String),
}

impl Target {
    fn name(&self) -> &str {
        match self {
            Target::Inbox => INBOX,
            Target::Junk => JUNK,
            Target::Named(name) => name,
        }
    }

    /// The role of a mailbox, whatever its name (RFC 6154 §2).
    fn role(&self) -> Option<SpecialUse> {
        (*self == Target::Junk).then_some(SpecialUse::Junk)
    }
}

impl AccountDelivery {
    /// A delivery into this store. `directory` is the one in force.
    #[must_use]
    pub fn new(
        store: Store,
        directory: watch::Receiver<Arc<Directory>>,
        clock: Arc<dyn Clock>,
        sandbox: Sandbox,
    ) -> AccountDelivery {
        AccountDelivery { store, directory, clock, sandbox }
    }

    /// One recipient of a message from the queue.
    async fn deliver_queued(&self, message: &LocalMessage, recipient: &LocalRecipient) -> Result<(), Reply> {
        if let Some(provocation) = self.sandbox.provocation(&recipient.address.localpart)
            && matches!(provocation.moment, Moment::EndOfData | Moment::QueueDelivery)
        {
            tokio::time::sleep(provocation.silence).await;
            return Err(reply::provoked(provocation.code));
        }
        let account = match message.account {
            Some(id) => self.account_or_postmaster(id).await,
            None => self.account_of(&ForwardPath::Address(recipient.address.clone())).await?,
        };
        let mut prefix = envelope_fields(&message.sender, &recipient.address).into_bytes();
        prefix.extend_from_slice(&message.prefix);
        let copy = Copy { id: recipient.delivery.clone(), prefix, mailbox: Target::Inbox, facts: Vec::new() };
        let stored = match account {
            Ok(account) => self.store_in(&account, vec![copy], &message.staged).await,
            Err(error) => Err(error),
        };
        stored.map_err(|error| reply::store_error(&error))
    }

    /// The account of a recipient, or the reply that there is none.
    async fn account_of(&self, recipient: &ForwardPath) -> Result<Result<Account, Error>, Reply> {
        let found = self.directory.borrow().lookup(recipient);
        match found {
            Lookup::Found(destination) => Ok(self.named(&destination.account).await),
            Lookup::UnknownUser => Err(reply::no_such_user()),
            Lookup::NotLocal => Err(reply::not_local()),
        }
    }

    /// The account of this number; where it is gone, the postmaster's.
    async fn account_or_postmaster(&self, id: AccountId) -> Result<Account, Error> {
        if let Some(account) = self.store.accounts().await?.into_iter().find(|account| account.id() == id) {
            return Ok(account);
        }
        self.account_of(&ForwardPath::Postmaster).await.unwrap_or(Err(Error::NoAccount))
    }

    async fn named(&self, account: &AccountName) -> Result<Account, Error> {
        self.store.account(account.as_str()).await?.ok_or(Error::NoAccount)
    }

    /// Stores all copies for one account in one transaction; they are on the disk when this returns.
    pub(crate) async fn store(&self, account: &AccountName, copies: Vec<Copy>, staged: &Staged) -> Result<(), Error> {
        self.store_in(&self.named(account).await?, copies, staged).await
    }

    async fn store_in(&self, account: &Account, copies: Vec<Copy>, staged: &Staged) -> Result<(), Error> {
        let (staged, received_at) = (staged.clone(), self.clock.now());
        let write = account.write(move |write| {
            for Copy { id, prefix, mailbox, facts } in &copies {
                let mailbox = place(write, mailbox)?;
                let message = NewMessage {
                    mailbox,
                    staged: staged.clone(),
                    prefix: prefix.clone(),
                    flags: Flags::default(),
                    received_at,
                    facts: facts.clone(),
                };
                write.deliver(id, &message)?;
            }
            Ok(())
        });
        let outcome = write.await;
        if let Err(error) = &outcome {
            tracing::warn!(account = account.name(), %error, "message not stored");
        }
        outcome
    }
}

/// The mailbox that has the role, or else the name; it is made where it is not there. What cannot be made is Inbox.
fn place(write: &mut Write<'_>, target: &Target) -> Result<MailboxId, Error> {
    if let Some(role) = target.role()
        && let Some(mailbox) = write.mailbox_by_use(role)?
    {
        return Ok(mailbox.id);
    }
    if let Some(mailbox) = write.mailbox_by_name(target.name())? {
        return Ok(mailbox.id);
    }
    match write.create_mailbox(target.name(), target.role()) {
        Ok(mailbox) => Ok(mailbox.id),
        Err(error) => {
            tracing::warn!(mailbox = target.name(), %error, "mailbox not made, delivering to Inbox");
            Ok(write.mailbox_by_name(INBOX)?.ok_or(Error::NoMailbox)?.id)
        }
    }
}

impl LocalDelivery for AccountDelivery {
    fn is_local(&self, recipient: &Address) -> bool {
        let directory = self.directory.borrow();
        match recipient.domain() {
            Some(domain) => directory.is_local(domain),
            // In a sandbox even address literals are somebody's.
            None => matches!(directory.lookup(&ForwardPath::Address(recipient.clone())), Lookup::Found(_)),
        }
    }

    fn deliver(&self, message: LocalMessage) -> BoxFuture<'_, Vec<Reply>> {
        Box::pin(async move {
            let mut replies = Vec::with_capacity(message.recipients.len());
            for recipient in &message.recipients {
                let outcome = self.deliver_queued(&message, recipient).await;
                replies.push(outcome.map_or_else(|reply| reply, |()| reply::accepted()));
            }
            replies
        })
    }
}

/// Return-Path and Delivered-To, the first of the trace fields (RFC 5321 §4.4, RFC 9228).
pub(crate) fn envelope_fields(sender: &ReversePath, recipient: &Address) -> String {
    trace::return_path(sender) + &trace::delivered_to(recipient)
}
