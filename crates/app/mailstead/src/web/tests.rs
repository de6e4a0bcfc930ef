//! The page and the metrics as a browser and a scraper get them.

use std::net::SocketAddr;
use std::time::Duration;

use mailstead_config::Role;
use mailstead_net::limits::{ConnectionLimitSettings, ConnectionLimits};
use mailstead_net::{ConnectionIds, Reception};
use mailstead_runtime::Supervisor;
use mailstead_testkit::{ManualClock, duplex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::binding::Service;

fn page() -> Page {
    let service = |role, address: &str| Service { role, address: address.parse::<SocketAddr>().unwrap() };
    Page {
        hostname: "a<b>.example".to_owned(),
        services: vec![service(Role::Smtp, "127.0.0.1:1025"), service(Role::Imaps, "[::1]:1993")],
        credentials: Some(("you@localhost".to_owned(), "mailstead".to_owned())),
        ca_file: Some("/tmp/ca.pem".to_owned()),
    }
}

/// Sends one request in memory and gives the whole answer.
async fn request(router: Router, request: &str) -> String {
    let reception = Reception {
        limits: ConnectionLimits::new(ConnectionLimitSettings::default(), ManualClock::new().shared()),
        ids: ConnectionIds::starting_at(1),
        supervisor: Supervisor::new(),
        shutdown: Shutdown::new(Duration::from_secs(3)),
    };
    let (server, mut client) = duplex();
    let http = HttpServer::new(router, None, reception.shutdown.clone());
    tokio::spawn(http.serve(reception.receive(server)));
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

const CLOSE: &str = "Host: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn the_status_page() {
    let answer = request(status(&page()), &format!("GET / HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for part in ["content-security-policy: default-src 'none'", "<html lang=\"en\">", "<main>", "127.0.0.1:1025"] {
        assert!(answer.contains(part), "no {part} in {answer}");
    }
    assert!(answer.contains("a&lt;b&gt;.example") && !answer.contains("a<b>"), "{answer}");
    let answer = request(status(&page()), &format!("GET /other HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn the_metrics() {
    let registry = Arc::new(crate::metrics::registry(Supervisor::new()));
    let answer = request(metrics(registry), &format!("GET /metrics HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for part in ["mailstead_build_info{version=", "mailstead_uptime_seconds ", "mailstead_panics_total 0", "# EOF"] {
        assert!(answer.contains(part), "no {part} in {answer}");
    }
}
