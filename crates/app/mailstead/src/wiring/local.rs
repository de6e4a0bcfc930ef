//! How the queue gets mail into accounts: over the delivery of the SMTP server, with the domains that the
//! configuration names.

use std::sync::Arc;

use mailstead_config::Directory;
use mailstead_names::Address;
use mailstead_queue::{LocalDelivery, LocalMessage};
use mailstead_runtime::BoxFuture;
use mailstead_smtp::Reply;
use mailstead_smtp_server::AccountDelivery;
use tokio::sync::watch;

/// Delivers what is for a domain of ours. In a sandbox other domains are ours too when mail for them comes in, but the
/// queue sends it out as any other server would.
#[derive(Debug)]
pub(super) struct Delivery {
    accounts: AccountDelivery,
    directory: watch::Receiver<Arc<Directory>>,
}

impl Delivery {
    pub(super) fn new(accounts: AccountDelivery, directory: watch::Receiver<Arc<Directory>>) -> Self {
        Delivery { accounts, directory }
    }
}

impl LocalDelivery for Delivery {
    fn is_local(&self, recipient: &Address) -> bool {
        recipient.domain().is_some_and(|domain| self.directory.borrow().is_configured(domain))
    }

    fn deliver(&self, message: LocalMessage) -> BoxFuture<'_, Vec<Reply>> {
        self.accounts.deliver(message)
    }
}
