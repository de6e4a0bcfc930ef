//! A connection, in the clear or in TLS, whose deadlines survive the change from one to the other.
//!
//! Engines own one [`Stream`] for the life of a connection and call [`Stream::start_tls`] on it, so there
//! is no second reader with a buffer that could keep plaintext for after the handshake.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use mailstead_runtime::Deadline;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::Error;
use crate::tls::{ClientTls, ServerTls, TlsFacts};

/// What carries octets when it is not a TCP connection: a proxy's tunnel, a pipe in memory.
pub trait Transport: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin> Transport for T {}

/// A connection with its addresses, its deadlines and, once there is TLS, what was negotiated.
#[derive(Debug)]
pub struct Stream {
    layer: Layer,
    peer: SocketAddr,
    local: SocketAddr,
    reading: Timer,
    writing: Timer,
    tls: Option<TlsFacts>,
}

#[derive(Debug)]
enum Layer {
    Plain(Socket),
    Server(Box<server::TlsStream<Socket>>),
    Client(Box<client::TlsStream<Socket>>),
    /// During a handshake and after a failed one.
    Broken,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Other(Box<dyn Transport>),
}

/// A deadline that can be polled. Created without a timer, so that a stream without deadlines costs none.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn set(&mut self, deadline: Deadline) {
        match (deadline.instant(), &mut self.0) {
            (None, timer) => *timer = None,
            (Some(when), Some(timer)) => timer.as_mut().reset(when),
            (Some(when), timer) => *timer = Some(Box::pin(tokio::time::sleep_until(when))),
        }
    }

    /// Fails once the deadline has passed, even for a peer that always has something to say; until then it will wake
    /// the task.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let passed = self.0.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready());
        if passed { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl Stream {
    /// A stream over an established TCP connection.
    pub fn from_tcp(socket: TcpStream) -> io::Result<Self> {
        let (peer, local) = (socket.peer_addr()?, socket.local_addr()?);
        // Replies are small and each is waited for: Nagle's algorithm would only add delays.
        socket.set_nodelay(true)?;
        Ok(Self::over(Socket::Tcp(socket), peer, local))
    }

    /// A stream over something else that stands between these two addresses.
    pub fn from_transport(transport: impl Transport + 'static, peer: SocketAddr, local: SocketAddr) -> Self {
        Self::over(Socket::Other(Box::new(transport)), peer, local)
    }

    fn over(socket: Socket, peer: SocketAddr, local: SocketAddr) -> Self {
        let layer = Layer::Plain(socket);
        Stream { layer, peer, local, reading: Timer::default(), writing: Timer::default(), tls: None }
    }

    /// The same octets, which now go to this peer: something in between passes them on.
    pub(crate) fn tunnelled(self, peer: SocketAddr, local: SocketAddr) -> Stream {
        Stream { peer, local, ..self }
    }

    /// Address of the other side.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Our address, as the other side sees it where nothing translates; unspecified behind a proxy that does not say.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What was negotiated, `None` in the clear.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// Bounds every later read and write, until set again.
    pub fn set_deadline(&mut self, deadline: Deadline) {
        self.set_read_deadline(deadline);
        self.set_write_deadline(deadline);
    }

    /// Bounds every later read, until set again.
    pub fn set_read_deadline(&mut self, deadline: Deadline) {
        self.reading.set(deadline);
    }

    /// Bounds every later write, until set again.
    pub fn set_write_deadline(&mut self, deadline: Deadline) {
        self.writing.set(deadline);
    }

    /// Takes the server's side of a TLS handshake, for implicit TLS or after the positive reply to
    /// STARTTLS. `unread` is what the caller has read from the peer and not yet interpreted: it must be
    /// empty, because those octets came in the clear. After an error the stream is of no more use.
    pub async fn start_tls(&mut self, tls: &ServerTls, unread: &[u8], deadline: Deadline) -> Result<&TlsFacts, Error> {
        let socket = self.take_plain(unread)?;
        let accepting = TlsAcceptor::from(tls.config()).accept(socket);
        let accepted = deadline.bound(accepting).await?.map_err(Error::handshake)?;
        let facts = TlsFacts::of_server(accepted.get_ref().1);
        self.layer = Layer::Server(Box::new(accepted));
        Ok(self.tls.insert(facts))
    }

    /// Takes the client's side of a TLS handshake with the server of this name. `unread` as in
    /// [`Stream::start_tls`].
    pub async fn connect_tls(
        &mut self,
        tls: &ClientTls,
        name: ServerName<'static>,
        unread: &[u8],
        deadline: Deadline,
    ) -> Result<&TlsFacts, Error> {
        let socket = self.take_plain(unread)?;
        let connecting = TlsConnector::from(tls.config()).connect(name, socket);
        let connected = deadline.bound(connecting).await?.map_err(Error::handshake)?;
        let facts = TlsFacts::of_client(connected.get_ref().1);
        self.layer = Layer::Client(Box::new(connected));
        Ok(self.tls.insert(facts))
    }

    fn take_plain(&mut self, unread: &[u8]) -> Result<Socket, Error> {
        if !unread.is_empty() {
            return Err(Error::PlaintextAfterStartTls);
        }
        match std::mem::replace(&mut self.layer, Layer::Broken) {
            Layer::Plain(socket) => Ok(socket),
            other => {
                self.layer = other;
                Err(Error::AlreadyTls)
            }
        }
    }

    /// Ends the connection in order (TLS close_notify, then FIN), as far as the peer lets us.
    pub async fn close(&mut self, deadline: Deadline) {
        // A peer that went away first is no news.
        let _ = deadline.bound(self.shutdown()).await;
    }

    fn poll_layer<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut dyn Transport>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.layer {
            Layer::Plain(Socket::Tcp(socket)) => poll(Pin::new(socket)),
            Layer::Plain(Socket::Other(socket)) => poll(Pin::new(socket)),
            Layer::Server(tls) => poll(Pin::new(tls.as_mut())),
            Layer::Client(tls) => poll(Pin::new(tls.as_mut())),
            Layer::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.reading.check(context)?;
        this.poll_layer(|layer| layer.poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.writing.check(context)?;
        this.poll_layer(|layer| layer.poll_write(context, octets))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.writing.check(context)?;
        this.poll_layer(|layer| layer.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.writing.check(context)?;
        this.poll_layer(|layer| layer.poll_shutdown(context))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(context, buffer),
            Socket::Other(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_write(context, octets),
            Socket::Other(socket) => Pin::new(socket).poll_write(context, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_flush(context),
            Socket::Other(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Other(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}
