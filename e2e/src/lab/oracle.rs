//! Asking a resolver, and taking its word for what a name's answer is worth.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use super::proxy::{self, Via};
use super::questions::Question;
use super::wire::{Message, Name, Record, Type};
use super::zone::Verdict;

/// Unbound gives up on dead servers only after many attempts.
const PATIENCE: Duration = Duration::from_secs(60);
/// After this long a question is asked again: unbound says nothing to a client that has waited longer than its
/// `discard-timeout`, as it takes for granted that the client asks again and then finds the answer in the cache.
const AGAIN: Duration = Duration::from_secs(2);

/// One query and its response.
pub fn ask(server: SocketAddr, query: &Message, via: Via, patience: Duration) -> io::Result<Message> {
    let octets = proxy::exchange(server, &query.octets(), via, patience)?;
    let response = Message::read(&octets).ok_or_else(|| io::Error::other("a malformed response"))?;
    if response.id != query.id || response.flags & Message::QR == 0 {
        return Err(io::Error::other("a response to something else"));
    }
    Ok(response)
}

/// Whether there are records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Existence {
    /// There are.
    Found,
    /// The name exists, but not with this type.
    NoData,
    /// The name does not exist.
    NxDomain,
}

impl fmt::Display for Existence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Found => "found",
            Self::NoData => "nodata",
            Self::NxDomain => "nxdomain",
        })
    }
}

/// What the oracle says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What the answer is worth.
    pub verdict: Verdict,
    /// Whether there are records; of what is bogus or no answer, nothing is known.
    pub existence: Option<Existence>,
    /// The data of the records at the end of the aliases.
    pub records: BTreeSet<String>,
    /// Each step of the aliases: from where, to where.
    pub aliases: Vec<(String, String)>,
    /// Extended errors (RFC 8914).
    pub extended_errors: Vec<(u16, String)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A validating resolver whose word is taken.
#[derive(Debug)]
pub struct Oracle {
    server: SocketAddr,
    id: AtomicU16,
}

impl Oracle {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self { server, id: AtomicU16::new(1) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server
    }

    /// Asks with DO; over TCP where the answer is large.
    pub fn query(&self, name: &Name, rtype: Type, flags: u16) -> io::Result<Message> {
        let id = self.id.fetch_add(1, Ordering::Relaxed);
        let query = Message::query(id, name, rtype, Message::RD | flags);
        let start = Instant::now();
        let response = loop {
            match ask(self.server, &query, Via::Udp, AGAIN) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {}
                response => break response?,
            }
        };
        if response.flags & Message::TC == 0 {
            return Ok(response);
        }
        ask(self.server, &query, Via::Tcp, PATIENCE)
    }

    /// What it says about a question. AD makes an answer secure; a failure that becomes an answer with CD is bogus
    /// (RFC 4035 §3.2.2).
    pub fn judge(&self, question: &Question) -> Answer {
        let start = Instant::now();
        let (name, rtype) = (Name::of(&question.name), Type::named(&question.rtype));
        let mut answer = match self.query(&name, rtype, 0) {
            Ok(response) => Self::read(&response, &name, rtype),
            Err(_) => failure(Verdict::Error),
        };
        if answer.verdict == Verdict::Error {
            let unchecked = self.query(&name, rtype, Message::CD);
            if unchecked.is_ok_and(|response| matches!(response.code(), 0 | 3)) {
                answer.verdict = Verdict::Bogus;
            }
        }
        answer.elapsed = start.elapsed();
        answer
    }

    fn read(response: &Message, name: &Name, rtype: Type) -> Answer {
        let (aliases, records) = follow(&response.sections[0], name, rtype);
        let (verdict, existence) = match (response.code(), response.flags & Message::AD > 0) {
            (code @ (0 | 3), authentic) => {
                let verdict = if authentic { Verdict::Secure } else { Verdict::Insecure };
                let existence = match code {
                    3 => Existence::NxDomain,
                    _ if records.is_empty() => Existence::NoData,
                    _ => Existence::Found,
                };
                (verdict, Some(existence))
            }
            _ => return Answer { extended_errors: response.extended_errors(), ..failure(Verdict::Error) },
        };
        let extended_errors = response.extended_errors();
        Answer { verdict, existence, records, aliases, extended_errors, elapsed: Duration::ZERO }
    }

    /// The same for many questions, some at a time, in their order.
    pub fn judge_all(&self, questions: &[Question]) -> Vec<Answer> {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let mut answers: Vec<(usize, Answer)> = std::thread::scope(|scope| {
            let turn = || {
                let mut done = Vec::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    match questions.get(at) {
                        Some(question) => done.push((at, self.judge(question))),
                        None => return done,
                    }
                }
            };
            let threads: Vec<_> = (0..24).map(|_| scope.spawn(turn)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a question")).collect()
        });
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

fn failure(verdict: Verdict) -> Answer {
    let (records, elapsed) = (BTreeSet::new(), Duration::ZERO);
    Answer { verdict, existence: None, records, aliases: Vec::new(), extended_errors: Vec::new(), elapsed }
}

/// Follows the aliases of an answer section to the records at their end.
fn follow(section: &[Record], name: &Name, rtype: Type) -> (Vec<(String, String)>, BTreeSet<String>) {
    let (mut aliases, mut at) = (Vec::new(), name.clone());
    loop {
        let here = |wanted: Type| section.iter().filter(move |record| record.rtype == wanted);
        let records: BTreeSet<String> = here(rtype).filter(|record| record.name.is(&at)).map(Record::text).collect();
        let alias = here(Type::CNAME).find(|record| record.name.is(&at)).filter(|_| records.is_empty());
        match alias {
            Some(alias) if aliases.len() < 64 => {
                aliases.push((at.to_string(), alias.text()));
                at = Name::of(&alias.text());
            }
            _ => return (aliases, records),
        }
    }
}
