//! Many who ask a resolver over UDP at the same time, as stub resolvers do that take its word (RFC 6840 §5.8: AD in the
//! question asks for AD in the response).

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mailstead_dns::{Name, Query, QueryFlags, Rcode};
use tokio::net::UdpSocket;
use tokio::task::{JoinSet, LocalSet};

use crate::Outcome;
use crate::zones::Question;

/// How long a response is waited for before the question is sent once more, and how often that is.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: usize = 5;

/// How long is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent {
    /// Until every question has had its answer.
    Once,
    /// Over and over for this time.
    For(Duration),
}

/// What asking came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) lookups: usize,
    pub(crate) elapsed: Duration,
}

/// Whose turn it is among those who ask.
#[derive(Debug)]
pub(crate) struct Turns {
    next: AtomicUsize,
    begun: Instant,
    extent: Extent,
}

impl Turns {
    pub(crate) fn new(extent: Extent) -> Turns {
        Turns { next: AtomicUsize::new(0), begun: Instant::now(), extent }
    }

    /// The next question, if there is one.
    pub(crate) fn next<'a>(&self, questions: &'a [Question]) -> Option<&'a Question> {
        if let Extent::For(time) = self.extent
            && self.begun.elapsed() >= time
        {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match self.extent {
            Extent::Once => questions.get(number),
            Extent::For(_) => questions.get(number % questions.len()),
        }
    }

    /// When all have ended, so many times.
    pub(crate) fn pass(&self, lookups: usize) -> Pass {
        Pass { lookups, elapsed: self.begun.elapsed() }
    }
}

/// Asks a resolver by so many clients at the same time. Every answer must be secure.
pub(crate) fn ask(server: SocketAddr, questions: &[Question], askers: usize, extent: Extent) -> Outcome<Pass> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let questions: Rc<[Question]> = questions.into();
    let turns = Rc::new(Turns::new(extent));
    let local = LocalSet::new();
    let lookups = local.block_on(&runtime, async {
        let mut all = JoinSet::new();
        for _ in 0..askers {
            all.spawn_local(asker(server, Rc::clone(&questions), Rc::clone(&turns)));
        }
        let mut lookups = 0;
        while let Some(ended) = all.join_next().await {
            lookups += ended.map_err(|error| error.to_string())??;
        }
        Ok::<_, String>(lookups)
    })?;
    Ok(turns.pass(lookups))
}

async fn asker(server: SocketAddr, questions: Rc<[Question]>, turns: Rc<Turns>) -> Result<usize, String> {
    let connected = async {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect(server).await?;
        Ok::<_, std::io::Error>(socket)
    };
    let socket = connected.await.map_err(|error| error.to_string())?;
    let mut lookups: usize = 0;
    while let Some(question) = turns.next(&questions) {
        // Each of these sockets waits for one answer, so that an id which goes on by one tells it from a late one.
        ask_one(&socket, question, lookups as u16).await?;
        lookups += 1;
    }
    Ok(lookups)
}

async fn ask_one(socket: &UdpSocket, question: &Question, id: u16) -> Result<(), String> {
    let flags = QueryFlags { recursion_desired: true, authentic_data: true, ..QueryFlags::default() };
    let asked = mailstead_dns::Question { name: Name::from(&question.name), rtype: question.record_type.into() };
    let query = Query::new(id, &asked, flags, 0);
    let failed = |what: &str| format!("{} {}: {what}", question.record_type, question.name);
    for _ in 0..TRIES {
        socket.send(query.octets()).await.map_err(|error| failed(&error.to_string()))?;
        let answered = async {
            let mut buffer = [0; 1500];
            loop {
                let length = socket.recv(&mut buffer).await.map_err(|error| error.to_string())?;
                if let Some(reply) = buffer.get(..length).and_then(|octets| query.reply(octets)) {
                    return reply.map_err(|error| error.to_string());
                }
            }
        };
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(reply)) => {
                let found = reply.answer.iter().any(|set| set.rtype == asked.rtype);
                if reply.rcode == Rcode::NOERROR && reply.flags.authentic_data && found {
                    return Ok(());
                }
                return Err(failed(&format!("{}, AD: {}, found: {found}", reply.rcode, reply.flags.authentic_data)));
            }
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => {}
        }
    }
    Err(failed("no answer"))
}
