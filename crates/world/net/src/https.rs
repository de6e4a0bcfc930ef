//! Small documents over HTTPS: one GET of HTTP/1.1 (RFC 9112) to a host that is found through our resolver and reached
//! through our dialer, so that what they forbid is forbidden here too.
//!
//! Redirects are not followed, and nothing is kept between requests. What a document means, and whom to trust, is the
//! caller's business.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use mailstead_dns::{LookupError, Resolver};
use mailstead_names::Domain;
use mailstead_runtime::Deadline;
use rustls::pki_types::ServerName;

use crate::tls::{ClientTls, rustls_error};
use crate::{Dialer, Error, Stream, Target};

/// More addresses of one host than this are not tried.
const MOST_ADDRESSES: usize = 8;
/// Where a status line with its header fields has not ended after so many octets, no more are read.
const MOST_HEADER: usize = 64 * 1024;
/// The least time for an address, as long as the whole has so much left.
const LEAST_SHARE: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct HttpsGet<'a> {
    /// The host, which the certificate must be for.
    pub host: &'a Domain,
    /// Its port, normally 443.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: &'a str,
    /// Most octets of the document.
    pub most_octets: usize,
}

/// What a server answered, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsAnswer {
    /// The status code (RFC 9110 §15).
    pub status: u16,
    /// The field `Content-Type` as it is, where there is one in ASCII.
    pub content_type: Option<String>,
    /// The document.
    pub body: Vec<u8>,
    /// The address that answered.
    pub address: SocketAddr,
}

impl HttpsAnswer {
    /// The media type without its parameters, in lower case (RFC 9110 §8.3.1).
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let (media_type, _) = self.content_type.as_deref().map(|value| value.split_once(';').unwrap_or((value, "")))?;
        Some(media_type.trim().to_ascii_lowercase())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpsError {
    /// The addresses of the host could not be looked up.
    #[error("{0}")]
    Dns(#[source] LookupError),
    /// The host has no addresses.
    #[error("the host has no address")]
    NoAddress,
    /// There was no connection, or it broke.
    #[error("{0}")]
    Connect(#[source] Error),
    /// TLS did not come about: most often because of the server's certificate.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
    /// There was no whole answer in time.
    #[error("timed out")]
    TimedOut,
    /// The document is larger than was asked for.
    #[error("the document is too large")]
    TooLarge,
    /// What came is not HTTP.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
}

/// Asks for a document. The addresses of the host are tried in order, each with its share of the time, until TLS comes
/// about with one or is refused by `tls`: that one's answer is the answer, so that `tls` judges at most one certificate.
///
/// # Errors
/// Why there is no answer; where no address could be reached, that of the last.
pub async fn get(
    request: &HttpsGet<'_>,
    dialer: &dyn Dialer,
    resolver: &dyn Resolver,
    tls: &ClientTls,
    deadline: Deadline,
) -> Result<HttpsAnswer, HttpsError> {
    let addresses = deadline.bound(resolver.addresses(request.host)).await.map_err(|_| HttpsError::TimedOut)?;
    let addresses = addresses.map_err(HttpsError::Dns)?.records;
    let name = ServerName::try_from(request.host.as_ascii().to_owned())
        .map_err(|_| HttpsError::Malformed("the name of the host cannot be in a certificate".to_owned()))?;
    let tried = addresses.len().min(MOST_ADDRESSES);
    let mut outcome = Err(HttpsError::NoAddress);
    for (index, address) in addresses.into_iter().take(tried).enumerate() {
        let until = share(deadline, tried - index);
        let address = SocketAddr::new(address, request.port);
        match connect(address, dialer, tls, name.clone(), until).await {
            Ok(stream) => {
                let exchanged = deadline.bound(exchange(request, stream, address)).await;
                return exchanged.map_err(|_| HttpsError::TimedOut)?;
            }
            Err(error @ HttpsError::Tls(_)) => return Err(error),
            Err(error) => outcome = Err(error),
        }
        if deadline.is_past() {
            return Err(HttpsError::TimedOut);
        }
    }
    outcome
}

/// The deadline for the next of so many addresses.
fn share(deadline: Deadline, addresses: usize) -> Deadline {
    let Some(remaining) = deadline.remaining() else { return deadline };
    let equal = remaining / u32::try_from(addresses).unwrap_or(u32::MAX).max(1);
    deadline.earlier(Deadline::after(equal.max(LEAST_SHARE)))
}

/// A connection with TLS.
async fn connect(
    address: SocketAddr,
    dialer: &dyn Dialer,
    tls: &ClientTls,
    name: ServerName<'static>,
    deadline: Deadline,
) -> Result<Stream, HttpsError> {
    let dialled =
        deadline.bound(dialer.dial(Target::from(address), deadline)).await.map_err(|_| HttpsError::TimedOut)?;
    let mut stream = dialled.map_err(connection_error)?;
    stream.set_deadline(deadline);
    stream.connect_tls(tls, name, &[], deadline).await.map_err(connection_error)?;
    stream.set_deadline(Deadline::NEVER);
    Ok(stream)
}

fn connection_error(error: Error) -> HttpsError {
    match error {
        Error::TimedOut => HttpsError::TimedOut,
        Error::Handshake(cause) => match rustls_error(&cause).cloned() {
            Some(refused) => HttpsError::Tls(refused),
            None => HttpsError::Connect(Error::Handshake(cause)),
        },
        other => HttpsError::Connect(other),
    }
}

/// The request and its answer.
async fn exchange(request: &HttpsGet<'_>, stream: Stream, address: SocketAddr) -> Result<HttpsAnswer, HttpsError> {
    let host = match request.port {
        443 => request.host.as_ascii().to_owned(),
        port => format!("{}:{port}", request.host.as_ascii()),
    };
    let get = Request::get(request.path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("Mailstead/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| HttpsError::Malformed(error.to_string()))?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MOST_HEADER).handshake(TokioIo::new(stream)).await.map_err(http_error)?;
    let answer = async {
        let response = sender.send_request(get).await.map_err(http_error)?;
        read(response, request.most_octets, address).await
    };
    let mut answer = pin!(answer);
    // The connection does the work of both. What it fails with, the answer fails with too.
    let connection = async { drop(connection.await) };
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        () = connection => answer.await,
    }
}

async fn read(
    mut response: Response<Incoming>,
    most_octets: usize,
    address: SocketAddr,
) -> Result<HttpsAnswer, HttpsError> {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (status, content_type) = (response.status().as_u16(), content_type.map(str::to_owned));
    let body = response.body_mut();
    if body.size_hint().lower() > most_octets as u64 {
        return Err(HttpsError::TooLarge);
    }
    let mut octets = Vec::new();
    while let Some(frame) = body.frame().await {
        // Frames without data are trailers.
        let Ok(data) = frame.map_err(http_error)?.into_data() else { continue };
        if octets.len() + data.len() > most_octets {
            return Err(HttpsError::TooLarge);
        }
        octets.extend_from_slice(&data);
    }
    Ok(HttpsAnswer { status, content_type, body: octets, address })
}

fn http_error(error: hyper::Error) -> HttpsError {
    let cause = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    match cause {
        // In TLS 1.3 a server's refusal of our side of the handshake arrives only here.
        Some(cause) => match rustls_error(cause).cloned() {
            Some(refused) => HttpsError::Tls(refused),
            None => HttpsError::Connect(Error::Io(io::Error::new(cause.kind(), error))),
        },
        None if error.is_incomplete_message() => {
            HttpsError::Connect(Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, error)))
        }
        None => HttpsError::Malformed(error.to_string()),
    }
}
