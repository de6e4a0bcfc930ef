//! The handle that others hold: puts messages in, wakes the worker.

use std::fmt;
use std::sync::Arc;

use mailstead_dns::Resolver;
use mailstead_names::{Host, ReversePath};
use mailstead_net::Dialer;
use mailstead_runtime::{Clock, Random, Shutdown, Supervisor};
use mailstead_store::{AccountId, NewQueued, NewRecipient, QueueId, QueueStore, Staged, Store};
use mailstead_tlspolicy::plan::TlsResult;
use tokio::sync::Notify;

use crate::demand::Terms;
use crate::explain::{Explanation, Way, explain};
use crate::facts::{Gatherer, Own, StsPolicies};
use crate::host_slots::HostSlots;
use crate::local::LocalDelivery;
use crate::results::{TlsResultSink, TlsResults, TlsSession};
use crate::route::Passage;
use crate::settings::{OutgoingTls, Settings};
use crate::slots::Slots;
use crate::worker::Worker;
use crate::{Demand, EnvelopeRecipient, Error, MessageClass, Metrics, Notification};

/// What the queue needs from the rest of the server.
#[derive(Debug, Clone)]
pub struct Services {
    /// Rows and messages.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter, nonces, message identifiers.
    pub random: Arc<dyn Random>,
    /// Connections to relays, which the operator chose.
    pub dialer: Arc<dyn Dialer>,
    /// Connections to servers that the DNS names, which anybody may have chosen.
    pub direct_dialer: Arc<dyn Dialer>,
    /// The DNS.
    pub resolver: Arc<dyn Resolver>,
    /// MTA-STS policies of other domains.
    pub sts: Arc<dyn StsPolicies>,
    /// Takes the results of connections for TLS reports.
    pub results: Arc<dyn TlsResultSink>,
    /// Certificates of other servers.
    pub tls: OutgoingTls,
    /// Accounts.
    pub local: Arc<dyn LocalDelivery>,
    /// Spawns the deliveries.
    pub supervisor: Supervisor,
    /// Ends the worker.
    pub shutdown: Shutdown,
    /// Counters.
    pub metrics: Metrics,
}

/// The envelope of a message to be queued.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The account that submitted it, which is told when delivery fails; `None` for what the server itself sends.
    pub submitter: Option<AccountId>,
    /// Reverse-path; the null one is never told anything.
    pub sender: ReversePath,
    /// Recipients; repeated ones are delivered once.
    pub recipients: Vec<EnvelopeRecipient>,
    /// Whether the sender declared or the message has 8-bit content (RFC 6152).
    pub eight_bit: bool,
    /// Whether a header field of the message is not ASCII (RFC 6532), so that every recipient's server must offer
    /// SMTPUTF8 (RFC 6531). What the addresses need is noticed without it: the sender's by all, a recipient's by itself.
    pub smtputf8: bool,
    /// What the sender asks to be told about delivery.
    pub notification: Notification,
}

/// The queue. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) services: Services,
    pub(crate) rows: QueueStore,
    pub(crate) gatherer: Gatherer,
    pub(crate) slots: Slots,
    pub(crate) host_slots: HostSlots,
    /// Something may be due sooner than the worker thinks.
    pub(crate) kick: Notify,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Queue {
    /// A queue over the rows of this store. Nothing happens before [`Queue::run`].
    #[must_use]
    pub fn new(settings: Settings, services: Services) -> Queue {
        let rows = services.store.queue();
        let gatherer = Gatherer {
            resolver: Arc::clone(&services.resolver),
            sts: Arc::clone(&services.sts),
            random: Arc::clone(&services.random),
            own: Own { hostname: Some(settings.hostname.clone()), addresses: settings.addresses.clone() },
            insecure_mx: settings.insecure_mx,
        };
        let slots = Slots::new(settings.concurrency);
        let host_slots = HostSlots::new(settings.host_concurrency);
        Queue { inner: Arc::new(Inner { settings, services, rows, gatherer, slots, host_slots, kick: Notify::new() }) }
    }

    /// Queues a message for all its recipients, or for none. Returns when it is on the disk. `prefix` are header fields
    /// in front of the staged octets.
    ///
    /// # Errors
    /// [`Error::NoRecipients`], or what the store says.
    pub async fn enqueue(
        &self,
        envelope: Envelope,
        prefix: Vec<u8>,
        staged: Staged,
        demand: Demand,
        class: MessageClass,
    ) -> Result<Vec<QueueId>, Error> {
        let message = self.inner.message(envelope, prefix, staged, Terms { demand, class, account: None });
        if message.recipients.is_empty() {
            return Err(Error::NoRecipients);
        }
        let ids = self.inner.rows.enqueue(message).await?;
        self.inner.services.metrics.enqueued(ids.len());
        self.kick();
        Ok(ids)
    }

    /// What would happen to a message on this passage now, if it demanded this of its delivery.
    pub async fn explain(&self, passage: Passage<'_>, demand: Demand) -> Explanation {
        let Inner { services, gatherer, settings, .. } = &*self.inner;
        let recipients = &passage.recipient.host;
        if services.local.is_local(passage.recipient) {
            return Explanation { recipients: recipients.clone(), transport: None, way: Way::Local };
        }
        explain(gatherer, settings.routes.choose(passage), recipients, demand).await
    }

    /// Wakes the worker: a row was changed by another hand.
    pub fn kick(&self) {
        self.inner.kick.notify_one();
    }

    /// Delivers until a shutdown begins. To be run once.
    pub async fn run(&self) {
        Worker::new(Arc::clone(&self.inner)).run().await;
    }
}

impl Inner {
    /// Tells what was found out about TLS on the way to these recipients. Addresses have no policies, and nobody to report to.
    pub(crate) fn record(
        &self,
        recipients: &Host,
        class: MessageClass,
        host: Option<&Host>,
        session: Option<TlsSession>,
        results: Vec<TlsResult>,
    ) {
        let Some(recipient_domain) = recipients.domain().filter(|_| !results.is_empty()).cloned() else { return };
        let at = self.services.clock.now();
        let host = host.cloned();
        self.services.results.record(TlsResults { recipient_domain, class, at, results, host, session });
    }

    /// A message for the store, due now.
    pub(crate) fn message(&self, envelope: Envelope, prefix: Vec<u8>, staged: Staged, terms: Terms) -> NewQueued {
        let Envelope { submitter, sender, mut recipients, eight_bit, smtputf8, notification } = envelope;
        let now = self.services.clock.now();
        let mut seen = std::collections::HashSet::new();
        recipients.retain(|recipient| seen.insert(recipient.address.clone()));
        // What stands in front may name the only recipient.
        let international = !prefix.is_ascii();
        let smtputf8 = smtputf8 || sender.needs_smtputf8() || international;
        let eight_bit = eight_bit || international;
        let recipients = recipients
            .into_iter()
            .map(|EnvelopeRecipient { address, notify, orcpt }| NewRecipient {
                destination: match terms.account {
                    Some(account) => format!("account {account}"),
                    None => address.host.to_string(),
                },
                recipient: address,
                next_attempt: now,
                notify: notify.map(|notify| notify.to_string()),
                orcpt: orcpt.map(|orcpt| orcpt.to_string()),
            })
            .collect();
        NewQueued {
            submitter,
            sender,
            recipients,
            staged,
            prefix,
            eight_bit,
            smtputf8,
            demand: terms.encode(),
            ret: notification.ret.map(|ret| ret.to_string()),
            envid: notification.envid,
        }
    }
}
