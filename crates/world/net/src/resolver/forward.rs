//! Asking servers that resolve for others: those of resolv.conf, or configured ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Message, QueryFlags, Question, Rcode};
use mailstead_runtime::{BoxFuture, Deadline};

use super::exchange::{AskServer, Asking, ExchangeError, NameCase, Transport};
use super::upstream::{FetchError, Reach, Upstream};

/// How long the first question may take before the next server is asked. It goes on doubling, so that what a server is
/// still resolving for us is waited for.
const FIRST_PATIENCE: Duration = Duration::from_millis(1500);

/// Servers that resolve for others.
#[derive(Debug)]
pub(super) struct Forwarder {
    asker: Arc<dyn AskServer>,
    servers: Vec<SocketAddr>,
    attempts: u32,
    longest: Duration,
    flags: QueryFlags,
    /// Which server answered last; the others are asked when it does not.
    preferred: AtomicUsize,
}

impl Forwarder {
    /// A forwarder that asks with these flags, and each server as patiently.
    pub(super) fn new(
        asker: Arc<dyn AskServer>,
        servers: Vec<SocketAddr>,
        (attempts, longest): (u32, Duration),
        flags: QueryFlags,
    ) -> Forwarder {
        Forwarder { asker, servers, attempts, longest, flags, preferred: AtomicUsize::new(0) }
    }

    async fn ask_all(&self, question: &Question, attempt: u32, deadline: Deadline) -> Result<Arc<Message>, FetchError> {
        let count = self.servers.len();
        let first = self.preferred.load(Ordering::Relaxed) + attempt as usize;
        let transport = if attempt > 0 { Transport::TcpOnly } else { Transport::UdpFirst };
        let asking = Asking { flags: self.flags, case: NameCase::Mixed, transport };
        let mut failures = Vec::new();
        let mut refusal = None;
        let mut errors = Vec::new();
        let mut patience = FIRST_PATIENCE.min(self.longest);
        for turn in 0..count * self.attempts as usize {
            let place = (first + turn) % count.max(1);
            let Some(server) = self.servers.get(place) else { break };
            if deadline.is_past() {
                break;
            }
            match self.asker.ask(*server, question, asking, deadline.earlier(Deadline::after(patience))).await {
                Ok(message) if matches!(message.rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN) => {
                    if attempt == 0 {
                        self.preferred.store(place, Ordering::Relaxed);
                    }
                    return Ok(Arc::new(message));
                }
                Ok(message) => {
                    // Another server may know better, but asking the same one again leads nowhere.
                    failures.push(format!("{} says {}", server.ip(), message.rcode));
                    refusal = Some(message);
                    if turn + 1 >= count {
                        break;
                    }
                }
                Err(error) => {
                    failures.push(format!("{} {error}", server.ip()));
                    if error == ExchangeError::Timeout {
                        patience = (patience * 2).min(self.longest);
                    }
                    errors.push(error);
                }
            }
        }
        failures.dedup();
        let detail = failures.join(", ");
        Err(match refusal {
            Some(message) => FetchError {
                extended_errors: message.extended_errors().to_vec(),
                ..FetchError::new(failure_kind(message.rcode), detail)
            },
            None => FetchError { reach: Some(Reach::Resolver), ..FetchError::new(kind_of(&errors), detail) },
        })
    }
}

/// What it means that nobody answered. That somebody is there tells most, and silence more than that there is no way.
fn kind_of(errors: &[ExchangeError]) -> LookupErrorKind {
    let any = |is_it: fn(&ExchangeError) -> bool| errors.iter().any(is_it);
    if any(|error| matches!(error, ExchangeError::Malformed(_))) {
        LookupErrorKind::Malformed
    } else if !errors.is_empty() && !any(|error| matches!(error, ExchangeError::Timeout | ExchangeError::NoSocket)) {
        LookupErrorKind::Network
    } else {
        LookupErrorKind::Timeout
    }
}

/// What a response code other than that of an answer means.
pub(super) fn failure_kind(rcode: Rcode) -> LookupErrorKind {
    match rcode {
        Rcode::SERVFAIL => LookupErrorKind::ServerFailure,
        Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS => LookupErrorKind::Malformed,
        _ => LookupErrorKind::Refused,
    }
}

impl Upstream for Forwarder {
    fn fetch<'a>(
        &'a self,
        question: &'a Question,
        attempt: u32,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Message>, FetchError>> {
        Box::pin(self.ask_all(question, attempt, deadline))
    }
}
