//! Connections, certificates and dialers that never leave the process.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};

use mailstead_names::KeyFingerprint;
use mailstead_net::tls::{ClientTls, ServerTls, SessionTickets, UnknownName, Verification};
use mailstead_net::{Authority, Dialer, Error, Identity, PublicKey, Stream, Target};
use mailstead_runtime::{BoxFuture, Deadline};
use rustls::RootCertStore;

/// The address that in-memory clients come from unless a test says otherwise.
pub const CLIENT: &str = "192.0.2.7:40000";
/// The address that in-memory servers have.
pub const SERVER: &str = "192.0.2.25:25";

/// A pair of connected streams: the server's end and the client's end.
#[must_use]
pub fn duplex() -> (Stream, Stream) {
    duplex_from(CLIENT.parse().expect("an address"))
}

/// A pair of connected streams whose client has this address.
#[must_use]
pub fn duplex_from(client: SocketAddr) -> (Stream, Stream) {
    let server: SocketAddr = SERVER.parse().expect("an address");
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    (Stream::from_transport(ours, client, server), Stream::from_transport(theirs, server, client))
}

/// Certificates from one authority that is made once for each test process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Certificates;

impl Certificates {
    fn authority() -> &'static Authority {
        static AUTHORITY: OnceLock<Authority> = OnceLock::new();
        AUTHORITY.get_or_init(|| {
            Authority::generate("Mailstead tests", jiff::Timestamp::now()).expect("a certificate can be made")
        })
    }

    /// A certificate for these names and for 127.0.0.1 and ::1.
    #[must_use]
    pub fn identity(names: &[&str]) -> Identity {
        let loopback = [IpAddr::from([127, 0, 0, 1]), "::1".parse().expect("an address")];
        Self::authority().issue(names, &loopback, jiff::Timestamp::now()).expect("a certificate can be made").identity
    }

    /// A server configuration for these names.
    #[must_use]
    pub fn server(names: &[&str]) -> ServerTls {
        ServerTls::new(&[Self::identity(names)], SessionTickets::Off, UnknownName::Fallback)
            .expect("a usable configuration")
    }

    /// A client configuration that trusts only the tests' authority.
    #[must_use]
    pub fn trusting_client() -> ClientTls {
        ClientTls::new(Verification::Pkix(Self::roots())).expect("a usable configuration")
    }

    /// The same client, that shows a certificate with a key of its own to who asks for one, and that key's fingerprint.
    #[must_use]
    pub fn client_with_key() -> (ClientTls, KeyFingerprint) {
        let identity = Self::identity(&["client"]);
        let key = PublicKey::of_certificate(&identity.chain()[0]).expect("a usable key");
        let client = Self::trusting_client().with_identity(&identity).expect("a usable configuration");
        (client, key.fingerprint())
    }

    /// Whom the tests trust: only their own authority.
    #[must_use]
    pub fn roots() -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(Self::authority().certificate_der()).expect("a usable root");
        Arc::new(roots)
    }
}

/// A dialer into memory: what was put up for an address is what a dial gives.
#[derive(Debug, Default)]
pub struct MemoryDialer {
    inner: Mutex<MemoryDialerState>,
}

#[derive(Debug, Default)]
struct MemoryDialerState {
    waiting: HashMap<SocketAddr, VecDeque<Stream>>,
    dialled: Vec<SocketAddr>,
}

impl MemoryDialer {
    /// A dialer to which nobody answers yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Lets one future dial of `address` succeed, and gives the server's end of that connection.
    pub fn expect(&self, address: SocketAddr) -> Stream {
        let local: SocketAddr = CLIENT.parse().expect("an address");
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let dialled = Stream::from_transport(theirs, address, local);
        self.state().waiting.entry(address).or_default().push_back(dialled);
        Stream::from_transport(ours, local, address)
    }

    /// Every address dialled so far, in order, whether somebody answered or not.
    #[must_use]
    pub fn dialled(&self) -> Vec<SocketAddr> {
        self.state().dialled.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, MemoryDialerState> {
        self.inner.lock().expect("no test panics while it dials")
    }
}

impl Dialer for MemoryDialer {
    fn dial(&self, target: Target, _deadline: Deadline) -> BoxFuture<'_, Result<Stream, Error>> {
        let mut state = self.state();
        state.dialled.push(target.address);
        let answer = state.waiting.get_mut(&target.address).and_then(VecDeque::pop_front);
        let refused = || Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        Box::pin(std::future::ready(answer.ok_or_else(refused)))
    }
}
