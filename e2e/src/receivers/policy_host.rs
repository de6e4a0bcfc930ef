//! The web servers of many domains that publish MTA-STS policies (RFC 8461 §3.3), behind one address: each with a
//! certificate of its own, told apart by SNI. What they say may change while they run, and they count who asked.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::server::Acceptor;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::authority::Identity;
use super::service::Service;

/// Where a policy is.
const PATH: &str = "/.well-known/mta-sts.txt";

/// What a client gets that asks for a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// A policy.
    Policy(String),
    /// Something of another media type.
    Html(String),
    /// An error of HTTP, by its code.
    Error(u16),
    /// Another address, where the policy is.
    Moved(String),
    /// The end of the connection, before anything was said.
    HangUp,
}

#[derive(Debug)]
struct Site {
    tls: Arc<ServerConfig>,
    page: Page,
    requests: usize,
}

type Sites = Arc<Mutex<BTreeMap<String, Site>>>;

/// The running servers.
#[derive(Debug)]
pub struct PolicyHosts {
    sites: Sites,
    _service: Service,
}

impl PolicyHosts {
    /// Listens on port 443, without any site.
    #[track_caller]
    pub fn start(address: IpAddr) -> Self {
        let sites = Sites::default();
        let known = Arc::clone(&sites);
        // A client that goes away, or does not like the certificate, is none of the server's concern.
        let service = Service::start(SocketAddr::new(address, 443), move |stream| drop(serve(stream, &known)));
        Self { sites, _service: service }
    }

    /// Puts up the site of a host, such as `mta-sts.example.org`.
    pub fn put(&self, host: &str, identity: &Identity, page: Page) {
        let site = Site { tls: identity.server(), page, requests: 0 };
        lock(&self.sites).insert(host.to_owned(), site);
    }

    /// Lets a host say something else from now on.
    #[track_caller]
    pub fn change(&self, host: &str, page: Page) {
        lock(&self.sites).get_mut(host).unwrap_or_else(|| panic!("no site {host}")).page = page;
    }

    /// How often the policy of a host was asked for. A connection that ends before a request is not counted.
    #[track_caller]
    pub fn requests(&self, host: &str) -> usize {
        lock(&self.sites).get(host).unwrap_or_else(|| panic!("no site {host}")).requests
    }
}

fn lock(sites: &Sites) -> MutexGuard<'_, BTreeMap<String, Site>> {
    sites.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: TcpStream, sites: &Sites) -> io::Result<()> {
    let mut acceptor = Acceptor::default();
    let accepted = loop {
        acceptor.read_tls(&mut stream)?;
        match acceptor.accept() {
            Ok(Some(accepted)) => break accepted,
            Ok(None) => {}
            Err((error, _)) => return Err(io::Error::other(error)),
        }
    };
    let host = accepted.client_hello().server_name().unwrap_or_default().to_owned();
    let tls = match lock(sites).get(&host) {
        Some(Site { page, tls, .. }) if *page != Page::HangUp => Arc::clone(tls),
        _ => return Ok(()),
    };
    let connection: ServerConnection = accepted.into_connection(tls).map_err(|(error, _)| io::Error::other(error))?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    let response = if request.starts_with(&format!("GET {PATH} ")) {
        let mut sites = lock(sites);
        let site = sites.get_mut(&host).ok_or(io::ErrorKind::NotFound)?;
        site.requests += 1;
        response(&site.page)
    } else {
        response(&Page::Error(404))
    };
    let mut stream = reader.into_inner();
    stream.write_all(response.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn response(page: &Page) -> String {
    let (status, fields, body) = match page {
        Page::Policy(text) => (200, "Content-Type: text/plain\r\n".to_owned(), text.as_str()),
        Page::Html(text) => (200, "Content-Type: text/html\r\n".to_owned(), text.as_str()),
        Page::Error(code) => (*code, "Content-Type: text/plain\r\n".to_owned(), "no policy\n"),
        Page::Moved(place) => (301, format!("Location: {place}\r\n"), ""),
        Page::HangUp => (503, String::new(), ""),
    };
    format!("HTTP/1.1 {status} -\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
