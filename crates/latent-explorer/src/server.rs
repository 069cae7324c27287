//! Connections on loopback, and what every request must show before anything looks at it.
//!
//! - Host is a loopback name (a page elsewhere that had its own name point here is refused), Origin, where there is one, the
//!   same place; `/api/` wants the token of the link in `Authorization: Bearer …`, which no other page can know or send.
//! - Heads must come within seconds, bodies are limited, work is timed, connections are counted; each has its own task, so
//!   that a slow one holds up nobody.
//! - Answers carry a Content-Security-Policy under which only the page's own files run, and are never guessed at or framed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::error::{ExplorerError, Refusal};
use crate::shared::Shared;
use crate::{api, page};

/// Connections at once.
const CONNECTIONS: usize = 128;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(15);
/// How long a request may take, body and work.
const WHOLE: Duration = Duration::from_secs(60);
/// Bytes of a body that is JSON. Files have a limit of their own.
const BODY: usize = 2 << 20;

/// What a page may do: run its own files and ask its own server, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page that is served.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    pub(crate) fn start(shared: Arc<Shared>, port: u16) -> Result<Self, ExplorerError> {
        let system = |what| move |source| ExplorerError::System { what, source };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(8)
            .thread_name("explorer")
            .enable_all()
            .build()
            .map_err(system("threads"))?;
        let listen = |source| ExplorerError::Listen { port, source };
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port))).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let router = router(&shared);
        runtime.spawn(accept(listener, router));
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The link to open: the token stands behind `#`, which a browser sends to nobody.
    pub fn link(&self) -> String {
        format!("http://{}/#token={}", self.address, self.shared.token)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(runtime) = self.runtime.take() {
            // Work under way ends by itself; nobody waits for a slow client.
            runtime.shutdown_timeout(Duration::from_millis(300));
        }
    }
}

/// Takes connections for ever.
async fn accept(listener: TcpListener, router: Router) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Such as too many open files: it passes.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 << 10);
            // A client that breaks off is its own affair.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    let api = api::router()
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), token));
    page::router()
        .merge(api)
        .fallback(|| async { Refusal::missing("there is nothing of that name") })
        .layer(middleware::from_fn(place))
        .with_state(Arc::clone(shared))
}

/// Host and Origin before the work, headers of safety after it.
async fn place(request: Request, next: Next) -> Response {
    let mut response = match misplaced(&request) {
        Some(what) => Refusal::new(StatusCode::FORBIDDEN, what).into_response(),
        None => match tokio::time::timeout(WHOLE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Refusal::new(StatusCode::REQUEST_TIMEOUT, "that took too long").into_response(),
        },
    };
    let headers = response.headers_mut();
    let fixed = |value| HeaderValue::from_static(value);
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    headers.insert("cross-origin-resource-policy", fixed("same-origin"));
    headers.insert("cross-origin-opener-policy", fixed("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(fixed("no-store"));
    response
}

/// Why a request is not from a page of ours.
fn misplaced(request: &Request) -> Option<&'static str> {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let Some(host) = text(header::HOST) else { return Some("a request without Host") };
    // Any port: the connection may come through a tunnel.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    if !["127.0.0.1", "localhost", "[::1]"].contains(&name) {
        return Some("this server answers to 127.0.0.1 and localhost alone");
    }
    match text(header::ORIGIN) {
        Some(origin) if origin.strip_prefix("http://") != Some(host) => Some("asked from another page"),
        _ => None,
    }
}

/// Whether two words are the same, in a time that says nothing about where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

async fn token(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !same(given.as_bytes(), shared.token.as_bytes()) {
        let what = "the token is missing or wrong: open the link that `latent explore` printed";
        return Refusal::new(StatusCode::UNAUTHORIZED, what).into_response();
    }
    next.run(request).await
}
