//! HTTP: the status page and the metrics. The web applications come later.

mod page;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mailstead_net::tls::ServerTls;
use mailstead_net::{Admission, Connection};
use mailstead_runtime::{Deadline, Shutdown};
use prometheus_client::registry::Registry;

pub(crate) use page::{Page, describe};

/// What the status page may load: nothing but its own inline style.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// How long a client may take for a request's header.
const HEADER_PATIENCE: Duration = Duration::from_secs(30);
/// How long one connection may last.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(120);
/// How long a TLS handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(60);

/// Serves the status page.
pub(crate) fn status(page: &Page) -> Router {
    let html: Arc<str> = page.render().into();
    Router::new().route("/", get(async move || Html(html.to_string()))).fallback(not_found)
}

async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "There is nothing here.\n")
}

/// Serves the metrics in the OpenMetrics text format.
pub(crate) fn metrics(registry: Arc<Registry>) -> Router {
    Router::new().route("/metrics", get(scrape)).fallback(not_found).with_state(registry)
}

async fn scrape(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => {
            let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, media_type)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// One HTTP service, as it is given connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpServer {
    router: Router,
    tls: Option<ServerTls>,
    shutdown: Shutdown,
}

impl HttpServer {
    pub(crate) fn new(router: Router, tls: Option<ServerTls>, shutdown: Shutdown) -> Self {
        let router = router.layer(axum::middleware::map_response(harden));
        HttpServer { router, tls: tls.map(|tls| tls.with_alpn(&["http/1.1"])), shutdown }
    }

    /// Serves one connection.
    pub(crate) async fn serve(self, connection: Connection) {
        let Connection { mut stream, admission, .. } = connection;
        // Whoever comes too often is just closed: HTTP has no greeting to say it in.
        let Admission::Admitted(_open) = admission else { return };
        if let Some(tls) = &self.tls
            && let Err(error) = stream.start_tls(tls, b"", Deadline::after(HANDSHAKE_PATIENCE)).await
        {
            tracing::debug!(%error, "no TLS");
            return;
        }
        stream.set_deadline(Deadline::after(CONNECTION_PATIENCE));
        let service = TowerToHyperService::new(self.router);
        let serving = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_PATIENCE)
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = std::pin::pin!(serving);
        let served = tokio::select! {
            served = serving.as_mut() => served,
            _ = self.shutdown.begun() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "HTTP connection ended");
        }
    }
}

/// Adds what every answer has.
async fn harden(mut response: Response) -> Result<Response, Infallible> {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
