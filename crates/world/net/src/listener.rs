//! Accepting connections: one loop per listening address, each connection a supervised task with an id and
//! the verdict of the limits.
//!
//! A refused connection is still handed to the protocol, which tells the peer why in its own words; only
//! the protocol knows how.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mailstead_runtime::{Shutdown, Supervisor, TaskName};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::Instrument;

use crate::Stream;
use crate::limits::{ConnectionLimits, Excess, OpenConnection};

/// The number of a connection, in every log line about it. Unique while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Hands out connection ids. Clones continue the same count.
#[derive(Debug, Clone)]
pub struct ConnectionIds(Arc<AtomicU64>);

impl ConnectionIds {
    /// Ids that follow `first`.
    #[must_use]
    pub fn starting_at(first: u64) -> Self {
        ConnectionIds(Arc::new(AtomicU64::new(first)))
    }

    /// A new id.
    #[must_use]
    pub fn next(&self) -> ConnectionId {
        ConnectionId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Why a new connection gets no service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The server is stopping.
    ShuttingDown,
    /// Too many new connections from there in this minute.
    Rate,
    /// Too many open connections from there.
    Open,
}

/// The verdict of the limits on a connection.
#[derive(Debug)]
pub enum Admission {
    /// Serve it; keep this as long as the connection lives.
    Admitted(OpenConnection),
    /// Say why not, and close.
    Refused(Refusal),
}

/// A connection as it comes from the listener.
#[derive(Debug)]
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// The stream, always in the clear: implicit TLS is begun by the protocol.
    pub stream: Stream,
    /// Whether to serve it.
    pub admission: Admission,
}

/// What the accept loops of all listeners share.
#[derive(Debug, Clone)]
pub struct Reception {
    /// Limits per network.
    pub limits: Arc<ConnectionLimits>,
    /// Source of connection numbers.
    pub ids: ConnectionIds,
    /// Where connection tasks run.
    pub supervisor: Supervisor,
    /// Ends the accept loops.
    pub shutdown: Shutdown,
}

/// A bound socket that has begun to listen.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
}

impl Listener {
    /// Binds this address. Must run inside the tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Restarting must not wait for the connections of the last run to time out.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // [::] must not take the port of 0.0.0.0 away.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        let socket = TcpListener::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Listener { socket, local })
    }

    /// The address bound, with the port that the system chose where port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts until a stop begins, running `serve` as a task for each connection.
    pub async fn run<S, F>(self, name: TaskName, reception: Reception, serve: S)
    where
        S: Fn(Connection) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some(accepted) = reception.shutdown.or_begun(self.socket.accept()).await {
            let stream = match accepted.and_then(|(socket, _)| Stream::from_tcp(socket)) {
                Ok(stream) => stream,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    // Out of file descriptors or memory: wait for connections to end instead of spinning.
                    tracing::error!(listener = name, local = %self.local, %error, "cannot accept connections");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let connection = reception.receive(stream);
            let span = tracing::info_span!(
                parent: None, "connection", protocol = name, cid = %connection.id, user = tracing::field::Empty,
            );
            span.in_scope(|| {
                tracing::debug!(remote = %connection.stream.peer_addr(), local = %connection.stream.local_addr(), admission = %connection.admission, "connection");
                reception.supervisor.spawn(name, serve(connection).in_current_span());
            });
        }
    }
}

impl Reception {
    /// Numbers a connection and asks the limits about it.
    #[must_use]
    pub fn receive(&self, stream: Stream) -> Connection {
        let admission = if self.shutdown.has_begun() {
            Admission::Refused(Refusal::ShuttingDown)
        } else {
            match self.limits.admit(stream.peer_addr().ip()) {
                Ok(open) => Admission::Admitted(open),
                Err(Excess::Rate) => Admission::Refused(Refusal::Rate),
                Err(Excess::Open) => Admission::Refused(Refusal::Open),
            }
        };
        Connection { id: self.ids.next(), stream, admission }
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Admission::Admitted(_) => "admitted",
            Admission::Refused(Refusal::ShuttingDown) => "shutting down",
            Admission::Refused(Refusal::Rate) => "too many new connections",
            Admission::Refused(Refusal::Open) => "too many open connections",
        })
    }
}

/// Whether an error of accept(2) is about the connection, not about us: the peer was gone already.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, NotConnected, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | NotConnected | WouldBlock)
}
