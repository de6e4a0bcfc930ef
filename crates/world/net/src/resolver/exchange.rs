//! One question to one server, and its response (RFC 1035 §4.2, RFC 7766 for TCP, RFC 5452 against forgeries).
//!
//! Whoever wants to forge a response has to guess the id, the port and the case of the letters of the name. Whatever
//! does not fit is passed over, and where somebody seems to be guessing the question goes over TCP. Whom to ask, how
//! long to wait and what to make of the response is the caller's.

use std::fmt;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mailstead_dns::{Flags, Message, MessageError, Query, QueryFlags, Question, Rcode};
use mailstead_runtime::{BoxFuture, Deadline, Random};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

/// Sockets open at the same time; more questions wait. A quarter of the 1,024 descriptors that a process has where
/// nobody has allowed it more: the rest is for mail.
const SOCKETS: usize = 256;

/// Responses that do not fit, on one socket, before we take it for an attack. A stray late one is no reason.
const MOST_MISFITS: u32 = 64;

/// Ports tried before the kernel chooses: the ones in use are few.
const PORT_TRIES: u32 = 3;

/// The first port that needs no privilege (RFC 5452 §9.2: as many as practicable).
const FIRST_PORT: u16 = 1024;

/// Room for a response over UDP. More than we announce, so that one that is somewhat too long is not cut.
const UDP_BUFFER: usize = 4096;

/// Octets of a header (RFC 1035 §4.1.1).
const HEADER: usize = 12;

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asking {
    /// What to ask for besides the question.
    pub(crate) flags: QueryFlags,
    /// What to do with the letters of the name.
    pub(crate) case: NameCase,
    /// Which way.
    pub(crate) transport: Transport,
}

/// The case of the letters in a question's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameCase {
    /// At random, to be repeated by the server ("0x20").
    Mixed,
    /// As they are.
    AsIs,
}

/// The way of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// UDP, and TCP where that is not enough.
    UdpFirst,
    /// TCP alone.
    TcpOnly,
}

/// Why a question got no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExchangeError {
    /// None came in time.
    Timeout,
    /// The server could not be reached.
    Network {
        /// Which kind. [`io::ErrorKind::NetworkUnreachable`] also where this machine has no such addresses at all.
        kind: io::ErrorKind,
        /// The same in words.
        text: String,
    },
    /// What came is no message.
    Malformed(MessageError),
    /// This machine had no socket left; nothing can be said about the server.
    NoSocket,
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExchangeError::Timeout => f.write_str("timed out"),
            ExchangeError::Network { text, .. } => f.write_str(text),
            ExchangeError::Malformed(error) => write!(f, "sent a malformed response: {error}"),
            ExchangeError::NoSocket => f.write_str("was not asked, too many sockets are open"),
        }
    }
}

impl std::error::Error for ExchangeError {}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            _ if is_descriptor_shortage(&error) => ExchangeError::NoSocket,
            // What the kernel says when a connection over TCP gets no reply at all.
            io::ErrorKind::TimedOut => ExchangeError::Timeout,
            // No address of this family to send from is no route for this family.
            io::ErrorKind::AddrNotAvailable => {
                ExchangeError::Network { kind: io::ErrorKind::NetworkUnreachable, text: error.to_string() }
            }
            kind => ExchangeError::Network { kind, text: error.to_string() },
        }
    }
}

/// EMFILE and ENFILE, which have no kind of their own and the same numbers on every Unix.
fn is_descriptor_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// Asks servers. Tests have their own.
pub(crate) trait AskServer: fmt::Debug + Send + Sync {
    /// One question to one server.
    fn ask<'a>(
        &'a self,
        server: SocketAddr,
        question: &'a Question,
        asking: Asking,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Message, ExchangeError>>;
}

impl AskServer for Exchange {
    fn ask<'a>(
        &'a self,
        server: SocketAddr,
        question: &'a Question,
        asking: Asking,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Message, ExchangeError>> {
        Box::pin(Exchange::ask(self, server, question, asking, deadline))
    }
}

/// What has been counted so far.
#[derive(Debug, Default)]
pub(crate) struct ExchangeStats {
    /// Questions sent over UDP.
    pub udp_queries: AtomicU64,
    /// Questions sent over TCP, those included that had been sent over UDP before.
    pub tcp_queries: AtomicU64,
    /// Questions without a response in time.
    pub timeouts: AtomicU64,
    /// Responses that did not fit the question: late ones, and attempts to forge.
    pub mismatched_replies: AtomicU64,
}

impl ExchangeStats {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends questions and takes their responses.
#[derive(Debug)]
pub(crate) struct Exchange {
    random: Arc<dyn Random>,
    sockets: Semaphore,
    stats: ExchangeStats,
}

/// What asking over UDP came to.
#[derive(Debug)]
enum Heard {
    Response(Message),
    /// A response that is truncated, is not trusted, or does not come from what we understand as a server.
    AskOverTcp,
}

impl Exchange {
    /// With this randomness for ids, ports and letters; it must not be predictable.
    pub(crate) fn new(random: Arc<dyn Random>) -> Self {
        Exchange::with_sockets(random, SOCKETS)
    }

    fn with_sockets(random: Arc<dyn Random>, sockets: usize) -> Self {
        Exchange { random, sockets: Semaphore::new(sockets), stats: ExchangeStats::default() }
    }

    /// The counters.
    pub(crate) fn stats(&self) -> &ExchangeStats {
        &self.stats
    }

    /// The response of this server to this question, whatever it says.
    ///
    /// # Errors
    /// When there is none before the deadline. It covers everything, TCP after UDP included.
    pub(crate) async fn ask(
        &self,
        server: SocketAddr,
        question: &Question,
        asking: Asking,
        deadline: Deadline,
    ) -> Result<Message, ExchangeError> {
        // The semaphore is never closed.
        let _socket = deadline.bound(self.sockets.acquire()).await.map_err(|_| ExchangeError::NoSocket)?;
        let response = deadline.bound(self.ask_either_way(server, question, asking)).await;
        let response = response.unwrap_or(Err(ExchangeError::Timeout));
        if response == Err(ExchangeError::Timeout) {
            ExchangeStats::count(&self.stats.timeouts);
        }
        response
    }

    async fn ask_either_way(
        &self,
        server: SocketAddr,
        question: &Question,
        asking: Asking,
    ) -> Result<Message, ExchangeError> {
        if asking.transport == Transport::UdpFirst
            && let Heard::Response(message) = self.ask_udp(server, &self.query(question, asking)).await?
        {
            return Ok(message);
        }
        // Another id and other letters: those sent before may be known to somebody by now.
        self.ask_tcp(server, question, &self.query(question, asking)).await
    }

    fn query(&self, question: &Question, asking: Asking) -> Query {
        let case = match asking.case {
            NameCase::Mixed => self.random.number(),
            NameCase::AsIs => 0,
        };
        Query::new(u16::from_le_bytes(self.random.bytes()), question, asking.flags, case)
    }

    async fn ask_udp(&self, server: SocketAddr, query: &Query) -> Result<Heard, ExchangeError> {
        let socket = self.socket(server.is_ipv4()).await?;
        // Connected, so that the kernel drops what comes from elsewhere.
        socket.connect(server).await?;
        socket.send(query.octets()).await?;
        ExchangeStats::count(&self.stats.udp_queries);
        // An error alone is also something to hear: that nobody is there.
        let heard = Interest::READABLE | Interest::ERROR;
        for _ in 0..MOST_MISFITS {
            match socket.async_io(heard, || take_reply(&socket, query)).await? {
                Some(heard) => return heard,
                // A late response of somebody else's question, or a forgery: the real one may still come.
                None => ExchangeStats::count(&self.stats.mismatched_replies),
            }
        }
        Ok(Heard::AskOverTcp)
    }

    /// A socket on a port that nobody can know.
    ///
    /// The kernel would choose at random too, but out of its range for connections: 28,232 ports unless configured,
    /// fewer in some containers, and not everywhere well. We choose among all that need no privilege (RFC 5452 §9.2),
    /// and leave it to the kernel only where ports turn out to be taken or forbidden.
    async fn socket(&self, is_ipv4: bool) -> Result<UdpSocket, ExchangeError> {
        let any: IpAddr = if is_ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        for _ in 0..PORT_TRIES {
            let above = self.random.below(u64::from(u16::MAX - FIRST_PORT) + 1);
            // Not more than the highest port, by the bound above.
            let port = u16::try_from(above).map_or(0, |above| FIRST_PORT.saturating_add(above));
            if let Ok(socket) = UdpSocket::bind(SocketAddr::new(any, port)).await {
                return Ok(socket);
            }
        }
        UdpSocket::bind(SocketAddr::new(any, 0)).await.map_err(|error| {
            if is_descriptor_shortage(&error) {
                ExchangeError::NoSocket
            } else {
                // Where not even the kernel finds a port, the machine does not have this family.
                ExchangeError::Network { kind: io::ErrorKind::NetworkUnreachable, text: error.to_string() }
            }
        })
    }

    async fn ask_tcp(&self, server: SocketAddr, question: &Question, query: &Query) -> Result<Message, ExchangeError> {
        let mut stream = TcpStream::connect(server).await?;
        // RFC 7766 §8: the length and the message in one piece, for servers that expect them so.
        let length = u16::try_from(query.octets().len()).unwrap_or(u16::MAX);
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(query.octets());
        stream.write_all(&framed).await?;
        ExchangeStats::count(&self.stats.tcp_queries);
        let length = stream.read_u16().await?;
        let mut octets = vec![0; length.into()];
        stream.read_exact(&mut octets).await?;
        if let Some(reply) = query.reply(&octets) {
            return reply.map_err(ExchangeError::Malformed);
        }
        // Whoever holds the connection is the server: it does not keep the case of letters.
        if query.is_reply_in_other_case(&octets) {
            return Message::parse(&octets).map_err(ExchangeError::Malformed);
        }
        if let Some(rcode) = bare_rcode(query, &octets) {
            return Ok(bare(question, rcode));
        }
        ExchangeStats::count(&self.stats.mismatched_replies);
        Err(ExchangeError::Malformed(MessageError::Question))
    }
}

/// What a datagram that has come is worth; `None` where it does not fit the question. The buffer lives no longer than
/// that: while answers are kept, others of its size would leave holes behind in memory.
fn take_reply(socket: &UdpSocket, query: &Query) -> io::Result<Option<Result<Heard, ExchangeError>>> {
    let mut buffer = [0; UDP_BUFFER];
    let socket = SockRef::from(socket);
    let length = (&*socket).read(&mut buffer)?;
    let octets = buffer.get(..length).unwrap_or_default();
    Ok(Some(match query.reply(octets) {
        Some(Ok(message)) if message.flags.truncated => Ok(Heard::AskOverTcp),
        // One cut in the middle of a record with the flag not set, by whoever cut it.
        Some(Err(MessageError::Short)) => Ok(Heard::AskOverTcp),
        Some(Ok(message)) => Ok(Heard::Response(message)),
        Some(Err(error)) => Err(ExchangeError::Malformed(error)),
        // Over TCP we shall see whether it is the server that loses the case of letters, or leaves the question out.
        None if query.is_reply_in_other_case(octets) || bare_rcode(query, octets).is_some() => Ok(Heard::AskOverTcp),
        None => return Ok(None),
    }))
}

/// The code of a response without a question, as servers send it that could not read ours because of EDNS
/// (RFC 6891 §7). Over UDP it is a hint only, as it says so little about what was asked.
fn bare_rcode(query: &Query, octets: &[u8]) -> Option<Rcode> {
    let (&[id_high, id_low, bits, more_bits, questions_high, questions_low, ..], HEADER) = (octets, octets.len())
    else {
        return None;
    };
    let rcode = Rcode(u16::from(more_bits & 0x0f));
    let is_ours = query.octets().get(..2) == Some(&[id_high, id_low]) && bits & 0x80 != 0;
    (is_ours && (questions_high, questions_low) == (0, 0) && [Rcode::FORMERR, Rcode::NOTIMP].contains(&rcode))
        .then_some(rcode)
}

/// A response that says no more than its code.
fn bare(question: &Question, rcode: Rcode) -> Message {
    Message {
        id: 0,
        flags: Flags { response: true, ..Flags::default() },
        rcode,
        question: question.clone(),
        answer: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        edns: None,
    }
}

#[cfg(test)]
mod tests;
