//! A server in this process that answers with octets, for what servers do right and wrong.

use std::net::SocketAddr;
use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Record, RecordType};
use mailstead_names::Domain;
use mailstead_net::Stream;
use mailstead_net::https::{HttpsAnswer, HttpsError, HttpsGet, get};
use mailstead_net::tls::ServerTls;
use mailstead_runtime::Deadline;
use mailstead_testkit::{Certificates, MemoryDialer, Zones};
use rustls::CertificateError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HOST: &str = "mta-sts.example.org";
const FIRST: &str = "192.0.2.1:443";
const SECOND: &str = "192.0.2.2:443";
const LARGEST: usize = 1000;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn zones(addresses: &[&str]) -> Zones {
    addresses.iter().fold(Zones::new(), |zones, text| match address(text) {
        SocketAddr::V4(v4) => zones.with(HOST, Record::A(*v4.ip())),
        SocketAddr::V6(v6) => zones.with(HOST, Record::Aaaa(*v6.ip())),
    })
}

async fn ask(dialer: &MemoryDialer, zones: &Zones, deadline: Deadline) -> Result<HttpsAnswer, HttpsError> {
    let host = Domain::parse(HOST).unwrap();
    let request = HttpsGet { host: &host, port: 443, path: "/.well-known/x.txt", most_octets: LARGEST };
    get(&request, dialer, zones, &Certificates::trusting_client(), deadline).await
}

/// Takes one request and answers with these octets; what it was asked comes back.
async fn serve(mut stream: Stream, tls: &ServerTls, answer: &[u8]) -> String {
    if stream.start_tls(tls, &[], Deadline::NEVER).await.is_err() {
        return String::new();
    }
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut asked).await {
            Ok(0) | Err(_) => return String::from_utf8(asked).unwrap(),
            Ok(_) => {}
        }
    }
    let _ = stream.write_all(answer).await;
    stream.close(Deadline::NEVER).await;
    String::from_utf8(asked).unwrap()
}

/// What becomes of such an answer.
async fn answered(answer: &[u8]) -> Result<HttpsAnswer, HttpsError> {
    let dialer = MemoryDialer::new();
    let stream = dialer.expect(address(FIRST));
    let (zones, tls) = (zones(&[FIRST]), Certificates::server(&[HOST]));
    let (outcome, _) = tokio::join!(ask(&dialer, &zones, Deadline::NEVER), serve(stream, &tls, answer));
    outcome
}

#[tokio::test]
async fn a_document_is_asked_for_and_comes() {
    let dialer = MemoryDialer::new();
    let stream = dialer.expect(address(FIRST));
    let (zones, tls) = (zones(&[FIRST]), Certificates::server(&[HOST]));
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello";
    let (outcome, asked) = tokio::join!(ask(&dialer, &zones, Deadline::NEVER), serve(stream, &tls, answer));
    let answer = outcome.unwrap();
    assert_eq!((answer.status, answer.media_type().as_deref()), (200, Some("text/plain")));
    assert_eq!((answer.body.as_slice(), answer.address), (&b"hello"[..], address(FIRST)));
    let lines: Vec<&str> = asked.lines().collect();
    assert_eq!(lines[0], "GET /.well-known/x.txt HTTP/1.1");
    assert!(lines.contains(&"host: mta-sts.example.org"), "{asked}");
    assert!(lines.contains(&"connection: close"), "{asked}");
}

#[tokio::test]
async fn bodies_come_in_all_three_ways() {
    for answer in [
        &b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone"[..],
        b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n2\r\nne\r\n0\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\n\r\nnone",
    ] {
        let answer = answered(answer).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice(), answer.media_type()), (404, &b"none"[..], None));
    }
}

#[tokio::test]
async fn redirects_are_answers() {
    let answer = answered(b"HTTP/1.1 301 Moved\r\nlocation: https://example.net/\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(answer.unwrap().status, 301);
}

#[tokio::test]
async fn a_document_is_bounded_whether_its_length_is_known_or_not() {
    let body = "x".repeat(LARGEST + 1);
    for header in ["content-length: 1001\r\n", "content-length: 99999999999\r\n", ""] {
        let outcome = answered(format!("HTTP/1.1 200 OK\r\n{header}\r\n{body}").as_bytes()).await;
        assert!(matches!(outcome, Err(HttpsError::TooLarge)), "{outcome:?}");
    }
    let whole = answered(format!("HTTP/1.1 200 OK\r\n\r\n{}", &body[1..]).as_bytes()).await.unwrap();
    assert_eq!(whole.body.len(), LARGEST);
}

#[tokio::test]
async fn half_answers_and_others_than_http_are_errors() {
    for cut in [&b""[..], b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"] {
        let outcome = answered(cut).await;
        assert!(matches!(outcome, Err(HttpsError::Connect(_))), "{outcome:?}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(256 * 1024));
    for other in [&b"220 mx.example.org ESMTP\r\n"[..], long.as_bytes()] {
        let outcome = answered(other).await;
        assert!(matches!(outcome, Err(HttpsError::Malformed(_))), "{outcome:?}");
    }
}

/// Without the end of TLS, a document without a length may have been cut by anybody.
#[tokio::test]
async fn a_document_that_ends_with_the_connection_is_none() {
    let dialer = MemoryDialer::new();
    let mut stream = dialer.expect(address(FIRST));
    let (zones, tls) = (zones(&[FIRST]), Certificates::server(&[HOST]));
    let cut = async move {
        stream.start_tls(&tls, &[], Deadline::NEVER).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhel").await.unwrap();
        stream.flush().await.unwrap();
        // Dropped without a close_notify.
    };
    let (outcome, ()) = tokio::join!(ask(&dialer, &zones, Deadline::NEVER), cut);
    assert!(matches!(outcome, Err(HttpsError::Connect(_))), "{outcome:?}");
}

#[tokio::test]
async fn the_certificate_must_be_for_the_host_and_no_other_address_is_asked() {
    let dialer = MemoryDialer::new();
    let stream = dialer.expect(address(FIRST));
    let (zones, tls) = (zones(&[FIRST, SECOND]), Certificates::server(&["www.example.org"]));
    let (outcome, _) = tokio::join!(ask(&dialer, &zones, Deadline::NEVER), serve(stream, &tls, b""));
    let Err(HttpsError::Tls(rustls::Error::InvalidCertificate(error))) = outcome else { panic!("{outcome:?}") };
    assert!(matches!(error, CertificateError::NotValidForNameContext { .. }), "{error:?}");
    assert_eq!(dialer.dialled(), [address(FIRST)]);
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_does_not_answer() {
    let dialer = MemoryDialer::new();
    // Nobody listens at the first; the second hangs up; the third answers.
    drop(dialer.expect(address(SECOND)));
    let third = address("192.0.2.3:443");
    let stream = dialer.expect(third);
    let (zones, tls) = (zones(&[FIRST, SECOND, "192.0.2.3:443"]), Certificates::server(&[HOST]));
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (outcome, _) = tokio::join!(ask(&dialer, &zones, Deadline::NEVER), serve(stream, &tls, answer));
    assert_eq!(outcome.unwrap().address, third);
    assert_eq!(dialer.dialled(), [address(FIRST), address(SECOND), third]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_hangs_leaves_time_for_the_next() {
    let dialer = MemoryDialer::new();
    let _silent = dialer.expect(address(FIRST));
    let stream = dialer.expect(address(SECOND));
    let (zones, tls) = (zones(&[FIRST, SECOND]), Certificates::server(&[HOST]));
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let deadline = Deadline::after(Duration::from_secs(60));
    let (outcome, _) = tokio::join!(ask(&dialer, &zones, deadline), serve(stream, &tls, answer));
    assert_eq!(outcome.unwrap().address, address(SECOND));
    assert_eq!(deadline.remaining(), Some(Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn the_whole_is_bounded_even_for_servers_that_always_have_more() {
    let dialer = MemoryDialer::new();
    let mut stream = dialer.expect(address(FIRST));
    let (zones, tls) = (zones(&[FIRST]), Certificates::server(&[HOST]));
    let dripping = async move {
        stream.start_tls(&tls, &[], Deadline::NEVER).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        while stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok() {
            second.tick().await;
        }
    };
    let deadline = Deadline::after(Duration::from_secs(60));
    let (outcome, ()) = tokio::join!(ask(&dialer, &zones, deadline), dripping);
    assert!(matches!(outcome, Err(HttpsError::TimedOut)), "{outcome:?}");
}

#[tokio::test]
async fn hosts_without_addresses() {
    let dialer = MemoryDialer::new();
    let outcome = ask(&dialer, &Zones::new(), Deadline::NEVER).await;
    assert!(matches!(outcome, Err(HttpsError::NoAddress)), "{outcome:?}");
    let failing = [RecordType::A, RecordType::Aaaa]
        .into_iter()
        .fold(Zones::new(), |zones, record_type| zones.failing(HOST, record_type, LookupErrorKind::Bogus));
    let outcome = ask(&dialer, &failing, Deadline::NEVER).await;
    assert!(matches!(&outcome, Err(HttpsError::Dns(error)) if error.kind == LookupErrorKind::Bogus), "{outcome:?}");
    let crowd: Vec<String> = (1..20).map(|last| format!("192.0.2.{last}:443")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let outcome = ask(&dialer, &zones(&crowd), Deadline::NEVER).await;
    assert!(matches!(outcome, Err(HttpsError::Connect(_))), "{outcome:?}");
    assert_eq!(dialer.dialled().len(), 8);
}
