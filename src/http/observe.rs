//! What is seen of each request, from before anybody decides about it until the last byte of its answer is on its way:
//! its place among those under way, the metrics, the request log.
//!
//! ```text
//! request ─► a place? ── none: 429
//!               │ a ticket ─► guard, routes, handler ─► head of the answer: the code is known
//!               │                                          ├► body, piece by piece ─► its end, or its client's
//!               │                                          └► 101: a WebSocket, which has the ticket until it is over
//!               └──────────── the ticket is dropped there, in whatever way it ends: counted and told, exactly once
//! ```

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use hyper::body::{Frame, SizeHint};

use super::error::Refusal;
use super::inflight::Place;
use super::request_info::{Class, RequestInfo};
use super::server::Server;

/// One that takes longer is worth a line for everybody, unless it may take as long as it wants.
const SLOW: Duration = Duration::from_secs(1);
/// The code of a request whose client went away before there was an answer, as nginx counts it.
const CLIENT_GONE: u16 = 499;

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Puts the observer before everything else.
pub fn observed(router: Router, server: Arc<Server>) -> Router {
    router.layer(from_fn_with_state(server, observe))
}

async fn observe(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let info = RequestInfo::of(request.method(), request.uri());
    let place = server.inflight.enter(info.class);
    let refusal = match &place {
        None => Some(Refusal::TooManyRequests),
        Some(_) => too_long(request.uri(), server.limits.url_bytes),
    };
    let ticket = Arc::new(Ticket {
        info,
        begun: server.clock.instant(),
        code: AtomicU16::new(CLIENT_GONE),
        sent: AtomicU64::new(0),
        uri: request.uri().clone(),
        agent: request.headers().get(header::USER_AGENT).cloned(),
        peer: request.extensions().get::<Peer>().copied(),
        server,
        _place: place,
    });
    if info.class == Class::Long {
        ticket.server.requests.long(&info, 1);
    }
    let response = match refusal {
        Some(refusal) => refusal.into_response(),
        None => {
            request.extensions_mut().insert(UnderWay(ticket.clone()));
            next.run(request).await
        }
    };
    ticket.code.store(response.status().as_u16(), Relaxed);
    response.map(|body| Body::new(Told { body, ticket }))
}

fn too_long(uri: &Uri, most: u64) -> Option<Refusal> {
    let length = uri.path_and_query().map_or(0, |p| p.as_str().len()) as u64;
    (length > most).then(|| {
        Refusal::UriTooLong(format!("the URL of a request may have at most {most} bytes; this one has {length}"))
    })
}

/// A request under way.
struct Ticket {
    server: Arc<Server>,
    info: RequestInfo,
    begun: Instant,
    code: AtomicU16,
    sent: AtomicU64,
    uri: Uri,
    agent: Option<HeaderValue>,
    peer: Option<Peer>,
    _place: Option<Place>,
}

/// The ticket of a request, for what goes on after its answer. The request is under way until the last of these is dropped.
#[derive(Clone)]
pub struct UnderWay(Arc<Ticket>);

impl UnderWay {
    /// So many more bytes were sent.
    pub fn sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let (code, sent) = (self.code.load(Relaxed), self.sent.load(Relaxed));
        let took = self.server.clock.instant().saturating_duration_since(self.begun);
        self.server.requests.ended(&self.info, code, took);
        if self.info.class == Class::Long {
            self.server.requests.long(&self.info, -1);
        }
        if took >= SLOW && self.info.class != Class::Long {
            tracing::info!(target: "kiln::http::slow", verb = self.info.verb, path = self.uri.path(), code,
                ms = took.as_millis(), bytes = sent, "a request took long");
        }
        tracing::debug!(target: "kiln::http::requests", verb = self.info.verb, resource = self.info.resource,
            uri = %self.uri, code, ms = took.as_secs_f64() * 1e3, bytes = sent,
            client = self.peer.map(|peer| tracing::field::display(peer.0)), agent = self.agent.as_ref().map(tracing::field::debug),
            "request");
    }
}

/// The body of an answer, and the ticket of the request.
struct Told {
    body: Body,
    ticket: Arc<Ticket>,
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
            self.ticket.sent.fetch_add(bytes, Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
