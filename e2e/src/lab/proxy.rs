//! A DNS forwarder that meddles: it stands on an address of the lab, passes queries to a server over UDP and TCP, and
//! lets its owner alter either direction.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a server behind a proxy may take. Longer than any client waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// In a datagram.
    Udp,
    /// Over a connection (RFC 7766).
    Tcp,
}

/// What becomes of a query.
#[derive(Debug)]
pub enum Course {
    /// It goes to the server, as it now is.
    Forward,
    /// It is answered with these octets.
    Answer(Vec<u8>),
    /// It is dropped.
    Silence,
}

/// What a proxy does to the messages that pass. The default is nothing.
pub trait Meddler: Send + Sync + 'static {
    /// Decides about a query, which it may alter.
    fn query(&self, query: &mut Vec<u8>, via: Via) -> Course {
        let _ = (query, via);
        Course::Forward
    }

    /// Alters a response; what is left empty is not sent. `query` is the client's, before it was altered.
    fn response(&self, response: &mut Vec<u8>, query: &[u8], via: Via) {
        let _ = (response, query, via);
    }
}

/// A closure over responses is a meddler.
struct Tamperer<F>(F);

impl<F: Fn(&mut Vec<u8>, &[u8]) + Send + Sync + 'static> Meddler for Tamperer<F> {
    fn response(&self, response: &mut Vec<u8>, query: &[u8], _: Via) {
        (self.0)(response, query);
    }
}

/// A running proxy; it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Passes queries from port 53 of `address` to `server`, and lets `tamper` alter the octets of each response.
    #[track_caller]
    pub fn tampering(
        address: IpAddr,
        server: SocketAddr,
        tamper: impl Fn(&mut Vec<u8>, &[u8]) + Send + Sync + 'static,
    ) -> Self {
        Self::start(address, server, Tamperer(tamper))
    }

    /// Passes queries from port 53 of `address` to `server` with a meddler between them.
    #[track_caller]
    pub fn start(address: IpAddr, server: SocketAddr, meddler: impl Meddler) -> Self {
        let address = SocketAddr::new(address, 53);
        let datagrams = UdpSocket::bind(address).unwrap_or_else(|error| panic!("listen on {address}: {error}"));
        let connections = TcpListener::bind(address).unwrap_or_else(|error| panic!("listen on {address}: {error}"));
        let passage = Arc::new(Passage { server, meddler: Box::new(meddler) });
        let ended = Arc::new(AtomicBool::new(false));
        let (other, stop) = (Arc::clone(&passage), Arc::clone(&ended));
        let udp = std::thread::spawn(move || serve_datagrams(&datagrams, &passage, &stop));
        let stop = Arc::clone(&ended);
        let tcp = std::thread::spawn(move || serve_connections(&connections, &other, &stop));
        Self { address, ended, threads: vec![udp, tcp] }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Both threads wait for a client; this is the last one.
        if let Ok(socket) = UdpSocket::bind(any(self.address)) {
            let _ = socket.send_to(&[], self.address);
        }
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

struct Passage {
    server: SocketAddr,
    meddler: Box<dyn Meddler>,
}

impl Passage {
    /// The response to a query; empty where there is none.
    fn pass(&self, query: &[u8], via: Via) -> Vec<u8> {
        let mut altered = query.to_vec();
        let mut response = match self.meddler.query(&mut altered, via) {
            Course::Forward => exchange(self.server, &altered, via, PATIENCE).unwrap_or_default(),
            Course::Answer(octets) => octets,
            Course::Silence => Vec::new(),
        };
        if !response.is_empty() {
            self.meddler.response(&mut response, query, via);
        }
        response
    }
}

fn serve_datagrams(socket: &UdpSocket, passage: &Arc<Passage>, ended: &AtomicBool) {
    let mut buffer = vec![0; 65536];
    while let Ok((length, client)) = socket.recv_from(&mut buffer) {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let query = buffer[..length].to_vec();
        let (passage, socket) = (Arc::clone(passage), socket.try_clone());
        // A slow answer must not hold up the others.
        std::thread::spawn(move || {
            let response = passage.pass(&query, Via::Udp);
            if let (Ok(socket), false) = (socket, response.is_empty()) {
                let _ = socket.send_to(&response, client);
            }
        });
    }
}

fn serve_connections(listener: &TcpListener, passage: &Arc<Passage>, ended: &AtomicBool) {
    while let Ok((mut stream, _)) = listener.accept() {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let passage = Arc::clone(passage);
        std::thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            while let Ok(query) = read_framed(&mut stream) {
                let response = passage.pass(&query, Via::Tcp);
                if response.is_empty() || write_framed(&mut stream, &response).is_err() {
                    break;
                }
            }
        });
    }
}

/// One query and its response, as octets. Over UDP a lost datagram is not sent again.
pub(crate) fn exchange(server: SocketAddr, query: &[u8], via: Via, patience: Duration) -> io::Result<Vec<u8>> {
    match via {
        Via::Udp => {
            let socket = UdpSocket::bind(any(server))?;
            socket.connect(server)?;
            socket.set_read_timeout(Some(patience))?;
            socket.send(query)?;
            let mut response = vec![0; 65536];
            let length = socket.recv(&mut response)?;
            response.truncate(length);
            Ok(response)
        }
        Via::Tcp => {
            let mut stream = TcpStream::connect_timeout(&server, patience)?;
            stream.set_read_timeout(Some(patience))?;
            write_framed(&mut stream, query)?;
            read_framed(&mut stream)
        }
    }
}

/// The address to send from.
fn any(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// RFC 1035 §4.2.2: two octets of length before each message.
fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    // In one piece: some servers take a length alone for a broken client.
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}
