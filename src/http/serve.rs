//! Connections: accepting them, bounding them, and ending them when the server stops. The numbers are in
//! [`crate::config::ServerLimits`].

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::observe::Peer;
use super::server::Server;
use super::socket::{Heard, Socket};

/// For requests under way to end once the server stops.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Before accepting again after a failure, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What long answers listen to: cancelled when the server stops, so that they end.
#[derive(Clone, Debug, Default)]
pub struct Stopping(pub CancellationToken);

impl<S: Send + Sync> FromRequestParts<S> for Stopping {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Stopping, Self::Rejection> {
        Ok(parts.extensions.get::<Stopping>().cloned().unwrap_or_default())
    }
}

fn http(server: &Server) -> hyper::server::conn::http1::Builder {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let head = size(server.limits.head_bytes);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(server.limits.head_seconds))
        .max_header_size(head)
        .max_headers(size(server.limits.headers))
        .max_buf_size(head.max(PIECES));
    http
}

/// Bytes that a connection holds of an answer before it waits for its client: two pieces of a list.
const PIECES: usize = 128 << 10;

/// Serves until `stop` is cancelled, then lets requests end: watches and followed logs at once, others within
/// 5 seconds.
pub async fn serve(listener: TcpListener, router: Router, server: Arc<Server>, stop: CancellationToken) {
    let service = TowerToHyperService::new(router.layer(Extension(Stopping(stop.clone()))));
    let connections = usize::try_from(server.limits.connections).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    let cut = CancellationToken::new();
    let _cut_at_the_end = cut.clone().drop_guard();
    let http = http(&server);
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                let _ = timeout(ACCEPT_PAUSE, stop.cancelled()).await;
                continue;
            }
        };
        // Events are small and are not to wait for each other.
        let _ = stream.set_nodelay(true);
        let socket = Socket::new(stream, server.clock.clone(), Duration::from_secs(server.limits.stall_seconds));
        let heard = socket.heard();
        let service = service.clone();
        let named = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            service.call(request)
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(socket), named));
        let (cut, server) = (cut.clone(), server.clone());
        tokio::spawn(async move {
            let _permit = permit;
            server.requests.connections.inc();
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    if let Some(reason) = cut_for(&error, &heard) {
                        server.requests.cut(reason);
                    }
                    tracing::debug!(%error, %peer, "a connection ended early");
                },
                () = cut.cancelled() => {}
            }
            server.requests.connections.dec();
        });
    }
    drop(listener);
    if timeout(STOP_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests had not ended when the server stopped");
    }
}

/// Why the server ended the connection, if it was the server.
fn cut_for(error: &hyper::Error, heard: &Heard) -> Option<&'static str> {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
        Some("stalled")
    } else if error.is_timeout() {
        Some(if heard.anything() { "head-too-slow" } else { "idle" })
    } else if error.is_parse_too_large() {
        Some("head-too-large")
    } else {
        None
    }
}
