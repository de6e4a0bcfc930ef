//! Sending one message to a next hop: addresses and attempts as planned, then as many transactions as its recipients
//! need on the one connection.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mailstead_dns::Authenticity;
use mailstead_names::{EhloName, Host};
use mailstead_net::Target;
use mailstead_runtime::Deadline;
use mailstead_smtp::client::{self, Event, Recipient, Stage};
use mailstead_smtp::{Body, Extension, Mail};
use mailstead_store::{MessageReader, QueueRow};
use mailstead_tlspolicy::facts::{self, Destination, MxRecords, StsState, TlsRequirement, TlsaState};
use mailstead_tlspolicy::judge::{self, Next, Verdict, judge};
use mailstead_tlspolicy::plan::{Attempt, Channel, HostPlan, Way, plan};

use crate::connection::{Connection, Opened, request_failure, session_failure, unexpected};
use crate::demand::Demand;
use crate::notification;
use crate::outcome::{Dsn, Failure, Outcome, Permanence, Remote, Taker};
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
    /// No connection could be used: it would be the same now for these other messages.
    NotConnected(Others, Failure),
}

/// Which other messages need not try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Every one.
    All,
    /// Those that demand the same.
    SameDemand,
}

/// What went wrong so far.
#[derive(Debug, Default)]
struct Missed {
    last: Option<Failure>,
    /// Something else than REQUIRETLS was missing somewhere, so that it may be had another time.
    passing: bool,
    /// A server could be reached, so that a message of another demand may be let through.
    reached: bool,
}

impl Missed {
    fn record(&mut self, outcome: &judge::Outcome, next: Next, failure: Failure) {
        self.passing |= next != Next::RequireTlsUnsupported;
        self.reached |= *outcome != judge::Outcome::Unreachable;
        self.last = Some(failure);
    }

    /// REQUIRETLS that no server grants fails for good (RFC 8689 §4.2.1); all else may pass.
    fn ended(self) -> Ended {
        let last = self.last.unwrap_or_else(|| Failure::temporary(4, 1, "The server has no address"));
        let failure = if self.passing { last.with_permanence(Permanence::Temporary) } else { last };
        Ended::NotConnected(if self.reached { Others::SameDemand } else { Others::All }, failure)
    }
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
    /// Connects as planned, and sends.
    pub(crate) async fn run(&self) -> Ended {
        let destination = Destination {
            next_hop: facts::NextHop::Route(self.hop.security),
            mx: MxRecords::Implicit(Authenticity::Secure),
            sts: StsState::NotFound,
        };
        let host = facts::Host { name: self.hop.host.clone(), tlsa: TlsaState::Absent };
        let HostPlan { way, reasons, .. } = plan(&destination, &host, self.demand);
        tracing::debug!(host = %self.hop.host, ?reasons, "planned");
        let attempts = match way {
            Way::Attempts(attempts) => attempts,
            Way::Skip(shortfall) => {
                return Ended::NotConnected(Others::SameDemand, Failure::of_shortfall(&shortfall));
            }
            Way::RequireTlsUnsupported(shortfall) => {
                return Ended::NotConnected(Others::SameDemand, Failure::require_tls_unsupported(&shortfall));
            }
        };
        let addresses = match self.addresses().await {
            Ok(addresses) => addresses,
            Err(failure) => return Ended::NotConnected(Others::All, failure),
        };
        let mut missed = Missed::default();
        for ip in addresses.into_iter().take(MAX_ADDRESSES) {
            if let Some(connection) = self.connect(ip, &attempts, &mut missed).await {
                return self.over(connection).await;
            }
        }
        missed.ended()
    }

    /// A connection to this address that the message may use.
    async fn connect(&self, ip: IpAddr, attempts: &[Attempt], missed: &mut Missed) -> Option<Connection> {
        let services = &self.inner.services;
        let remote = Remote { host: self.hop.host.clone(), ip: Some(ip) };
        let target = Target::from(SocketAddr::new(ip, self.hop.port));
        let mut in_the_clear = None;
        for attempt in attempts {
            let opened = match (attempt.channel, in_the_clear.take()) {
                // Greeted already, when TLS was not to be had there.
                (Channel::Plaintext, Some(connection)) => {
                    Opened { outcome: judge::Outcome::Clear, connection: Some(connection), failure: None }
                }
                _ => {
                    let name = EhloName::Domain(self.inner.settings.hostname.clone());
                    let deadline = Deadline::after(PER_ADDRESS);
                    Connection::open(services, name, remote.clone(), target, attempt, deadline).await
                }
            };
            let Verdict { next, shortfall, .. } = judge(attempt, &opened.outcome);
            let usable = next == Next::Transact && opened.connection.is_some();
            services.metrics.connection(if usable { "ready" } else { "failed" });
            if usable {
                return opened.connection;
            }
            let failure = match (&shortfall, opened.failure) {
                (Some(shortfall), _) if next == Next::RequireTlsUnsupported => {
                    Failure::require_tls_unsupported(shortfall)
                }
                (Some(shortfall), failure) if shortfall.is_policy() || failure.is_none() => {
                    Failure::of_shortfall(shortfall)
                }
                (_, Some(failure)) => failure,
                (_, None) => Failure::temporary(4, 2, "The connection failed"),
            };
            let failure = failure.at(&remote);
            tracing::info!(host = %self.hop.host, %ip, channel = ?attempt.channel, reason = failure.text, "no connection");
            missed.record(&opened.outcome, next, failure);
            match (opened.outcome, opened.connection) {
                (judge::Outcome::NoStartTls(_), Some(connection)) => in_the_clear = Some(connection),
                (_, Some(mut connection)) => connection.quit().await,
                (_, None) => {}
            }
            if next != Next::NextAttempt {
                break;
            }
        }
        if let Some(mut connection) = in_the_clear {
            connection.quit().await;
        }
        None
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
            return Ended::NotConnected(Others::All, failure);
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
            let offered = connection.session.extensions().contains(&Extension::Dsn);
            let dsn = if offered { Dsn::PassedOn } else { Dsn::NotOffered };
            let taken = result.recipients.iter().any(|(_, recipient)| matches!(recipient, Recipient::Accepted(_)));
            let mut again = Vec::new();
            for (index, (_, recipient)) in pending.iter().zip(result.recipients) {
                match settled(recipient, &connection.remote, dsn, taken && !closing) {
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
            require_tls: self.demand.requirement == TlsRequirement::RequireTls,
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
fn settled(recipient: Recipient, remote: &Remote, dsn: Dsn, may_follow: bool) -> Option<Outcome> {
    let permanence = if recipient.is_permanent() { Permanence::Permanent } else { Permanence::Temporary };
    Some(match recipient {
        Recipient::Accepted(reply) => Outcome::Delivered(reply, Taker::Server(remote.clone(), dsn)),
        Recipient::NotSent if may_follow => return None,
        // Too many recipients, RFC 5321 §4.5.3.1.10: the rest goes next.
        Recipient::Refused(Stage::Rcpt, reply) if may_follow && matches!(reply.code, 452 | 552) => return None,
        Recipient::Refused(_, reply) => Outcome::Failed(Failure::of_reply(reply, permanence).at(remote)),
        Recipient::Failed(error) => Outcome::Failed(session_failure(&error).at(remote)),
        _ => Outcome::Failed(Failure::temporary(5, 3, "The server took no more recipients").at(remote)),
    })
}
