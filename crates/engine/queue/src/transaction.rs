//! Sending one message to a next hop: addresses and attempts as planned, then as many transactions as its recipients
//! need on the one connection.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mailstead_names::{EhloName, Host};
use mailstead_net::Target;
use mailstead_runtime::Deadline;
use mailstead_smtp::client::{self, Event, Recipient, Stage};
use mailstead_smtp::{Body, Mail};
use mailstead_store::{MessageReader, QueueRow};

use crate::connection::{Connection, NotConnected, request_failure, session_failure, unexpected};
use crate::demand::Demand;
use crate::notification;
use crate::outcome::{Failure, Outcome, Permanence, Remote};
use crate::policy::{HostPlan, Verdict};
use crate::queue::Inner;
use crate::route::NextHop;

/// Everything with one address of a host.
const PER_ADDRESS: Duration = Duration::from_secs(30 * 60);
/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 5;
/// Octets read from the store at a time.
const PIECE: u64 = 64 * 1024;

/// How an attempt at a host ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The server answered for each recipient, or the message itself stood in the way.
    Answered(Vec<Outcome>),
    /// No connection could be used: it would be the same for any other message now.
    NotReached(Failure),
}

/// One message for one next hop.
pub(crate) struct Transmission<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) hop: &'a NextHop,
    pub(crate) demand: Demand,
    /// Recipients of one message, at least one.
    pub(crate) rows: &'a [QueueRow],
    pub(crate) message: &'a MessageReader,
}

impl Transmission<'_> {
    /// Connects as the policy allows, and sends.
    pub(crate) async fn run(&self) -> Ended {
        let services = &self.inner.services;
        let attempts = match services.policy.plan(self.hop, self.demand) {
            HostPlan::Refuse(failure) => return Ended::Answered(self.all(&failure)),
            HostPlan::Attempts(attempts) => attempts,
        };
        let addresses = match self.addresses().await {
            Ok(addresses) => addresses,
            Err(failure) => return Ended::NotReached(failure),
        };
        let mut last = Failure::temporary(4, 1, "The server has no address");
        for ip in addresses.into_iter().take(MAX_ADDRESSES) {
            let remote = Remote { host: self.hop.host.clone(), ip: Some(ip) };
            let target = Target::from(SocketAddr::new(ip, self.hop.port));
            for attempt in &attempts {
                let name = EhloName::Domain(self.inner.settings.hostname.clone());
                let deadline = Deadline::after(PER_ADDRESS);
                let opened =
                    Connection::open(services, name, self.hop, remote.clone(), target, *attempt, deadline).await;
                let (outcome, connection) = match opened {
                    Ok(connection) => (crate::policy::ConnectionOutcome::Ready, Some(connection)),
                    Err(NotConnected { outcome, failure }) => {
                        tracing::info!(host = %self.hop.host, %ip, ?attempt, reason = failure.text, "no connection");
                        last = failure;
                        (outcome, None)
                    }
                };
                services.metrics.connection(if connection.is_some() { "ready" } else { "failed" });
                match (services.policy.judge(*attempt, &outcome), connection) {
                    (Verdict::Transact, Some(connection)) => return self.over(connection).await,
                    (Verdict::NextHost, _) => break,
                    (Verdict::NextAttempt | Verdict::Transact, _) => {}
                }
            }
        }
        Ended::NotReached(last)
    }

    fn all(&self, failure: &Failure) -> Vec<Outcome> {
        self.rows.iter().map(|_| Outcome::Failed(failure.clone())).collect()
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, Failure> {
        let domain = match &self.hop.host {
            Host::Ip(ip) => return Ok(vec![*ip]),
            Host::Domain(domain) => domain,
        };
        let remote = Remote { host: self.hop.host.clone(), ip: None };
        match self.inner.services.resolver.addresses(domain).await {
            Ok(answer) if answer.records.is_empty() => {
                // The operator's own setting: mail waits until it is corrected.
                Err(Failure::temporary(4, 4, format!("{domain} has no address")).at(&remote))
            }
            Ok(answer) => Ok(answer.records),
            Err(error) => Err(Failure::temporary(4, 3, format!("Looking up {domain} failed: {error}")).at(&remote)),
        }
    }

    /// Logs in where that is asked for, and sends.
    async fn over(&self, mut connection: Connection) -> Ended {
        if let Some(credentials) = &self.hop.credentials
            && let Err(failure) = connection.authenticate(&self.inner.services, credentials).await
        {
            connection.quit().await;
            return Ended::NotReached(failure);
        }
        let outcomes = self.transact(&mut connection).await;
        connection.quit().await;
        Ended::Answered(outcomes)
    }

    /// Transactions until every recipient is answered for, or the server takes no more of them.
    async fn transact(&self, connection: &mut Connection) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; self.rows.len()];
        let mut pending: Vec<usize> = (0..self.rows.len()).collect();
        let unanswered = loop {
            let result = match self.transaction(connection, &pending).await {
                Ok(result) => result,
                Err(failure) => break failure,
            };
            let closing = result.closing;
            let taken = result.recipients.iter().any(|(_, recipient)| matches!(recipient, Recipient::Accepted(_)));
            let mut again = Vec::new();
            for (index, (_, recipient)) in pending.iter().zip(result.recipients) {
                match settled(recipient, &connection.remote, taken && !closing) {
                    Some(outcome) => outcomes[*index] = Some(outcome),
                    None => again.push(*index),
                }
            }
            let progress = again.len() < pending.len();
            pending = again;
            if pending.is_empty() || closing || !progress {
                break Failure::temporary(5, 3, "The server took no more recipients");
            }
        };
        let unanswered = unanswered.at(&connection.remote);
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Outcome::Failed(unanswered.clone()))).collect()
    }

    /// One transaction for the recipients at these positions.
    async fn transaction(&self, connection: &mut Connection, which: &[usize]) -> Result<client::Outcome, Failure> {
        let Some(first) = self.rows.first() else { return Err(Failure::temporary(3, 0, "The message is gone")) };
        let mail = Mail {
            size: Some(self.message.size()),
            body: first.eight_bit.then_some(Body::EightBitMime),
            smtputf8: first.smtputf8,
            ..notification::mail(first)
        };
        let recipients = which.iter().filter_map(|index| self.rows.get(*index)).map(notification::rcpt).collect();
        connection.session.transact(mail, recipients).map_err(|error| request_failure(&error))?;
        match connection.event().await {
            Event::SendMessage => self.send_message(connection).await?,
            Event::Finished(result) => return Ok(result),
            Event::Failed(error) => return Err(session_failure(&error)),
            other => return Err(unexpected(&other)),
        }
        match connection.event().await {
            Event::Finished(result) => Ok(result),
            Event::Failed(error) => Err(session_failure(&error)),
            other => Err(unexpected(&other)),
        }
    }

    async fn send_message(&self, connection: &mut Connection) -> Result<(), Failure> {
        let bare = |_| Failure::permanent(6, 0, "The message has bare CR or LF, which SMTP forbids");
        let mut at = 0;
        while at < self.message.size() {
            let octets = self.message.read(at..at + PIECE).await.map_err(|error| {
                tracing::error!(%error, "queued message cannot be read");
                Failure::temporary(3, 0, "The message could not be read")
            })?;
            if octets.is_empty() {
                return Err(Failure::temporary(3, 0, "The message ended early"));
            }
            at += octets.len() as u64;
            connection.session.message(&octets).map_err(bare)?;
            connection.flush().await;
        }
        connection.session.end_of_message().map_err(bare)
    }
}

/// What a server's answer means for a recipient; `None` where another transaction may follow at once.
fn settled(recipient: Recipient, remote: &Remote, may_follow: bool) -> Option<Outcome> {
    let permanence = if recipient.is_permanent() { Permanence::Permanent } else { Permanence::Temporary };
    Some(match recipient {
        Recipient::Accepted(reply) => Outcome::Delivered(reply, Some(remote.clone())),
        Recipient::NotSent if may_follow => return None,
        // Too many recipients, RFC 5321 §4.5.3.1.10: the rest goes next.
        Recipient::Refused(Stage::Rcpt, reply) if may_follow && matches!(reply.code, 452 | 552) => return None,
        Recipient::Refused(_, reply) => Outcome::Failed(Failure::of_reply(reply, permanence).at(remote)),
        Recipient::Failed(error) => Outcome::Failed(session_failure(&error).at(remote)),
        _ => Outcome::Failed(Failure::temporary(5, 3, "The server took no more recipients").at(remote)),
    })
}
