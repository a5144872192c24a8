//! Connections: accepting them, bounding them, and ending them when the server stops. The numbers are in
//! [`crate::config::ServerLimits`].

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::observe::Peer;
use super::server::Server;
use super::socket::{self, Heard, Socket};
use super::unread;

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

/// Serves until `stop` is cancelled, then lets requests end: watches and followed logs at once, also as WebSockets, others
/// within 5 seconds.
pub async fn serve(listener: TcpListener, router: Router, server: Arc<Server>, stop: CancellationToken) {
    let service = TowerToHyperService::new(router.layer(Extension(Stopping(stop.clone()))));
    let connections = u32::try_from(server.limits.connections).unwrap_or(u32::MAX);
    let permits = Arc::new(Semaphore::new(connections as usize));
    let cut = CancellationToken::new();
    let _cut_at_the_end = cut.clone().drop_guard();
    let http = http(&server);
    loop {
        let accepted = async {
            let place = permits.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
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
        // There is no place once the semaphore is closed, which it never is.
        let Ok(place) = place else { break };
        socket::prepare(&stream);
        let open = Connection::new(server.clone(), place, cut.clone());
        let socket = Socket::new(stream, server.clock.clone(), Duration::from_secs(server.limits.stall_seconds));
        let heard = socket.heard();
        let (service, held, clock) = (service.clone(), open.clone(), server.clock.clone());
        let named = service_fn(move |request: Request<Incoming>| {
            let (mut request, rest) = unread::shared(request);
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(held.clone());
            let (answered, clock) = (service.call(request), clock.clone());
            async move {
                let answer = answered.await?;
                rest.read_after(answer.status(), &clock);
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http.serve_connection(TokioIo::new(socket), named).with_upgrades();
        let stop = stop.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let mut told_to_end = false;
            let ended = loop {
                tokio::select! {
                    ended = connection.as_mut() => break ended,
                    () = open.cut() => return,
                    () = stop.cancelled(), if !told_to_end => {
                        connection.as_mut().graceful_shutdown();
                        told_to_end = true;
                    }
                }
            };
            if let Err(error) = ended {
                if let Some(reason) = cut_for(&error, &heard) {
                    open.count_cut(reason);
                }
                tracing::debug!(%error, %peer, "a connection ended early");
            }
        });
    }
    drop(listener);
    // A connection that became a WebSocket is over when its place is free, like all others.
    if timeout(STOP_TIME, permits.acquire_many(connections)).await.is_err() {
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
