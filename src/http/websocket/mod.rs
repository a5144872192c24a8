//! Watches and logs over a WebSocket, for clients in a browser, which cannot read an answer while it grows in any other
//! way that they like: Headlamp follows everything so.
//!
//! ```text
//! GET with Upgrade ─► guard: Host, Origin, token ─► handler: all that a plain request could be refused for
//!                                                      │ 101
//!                                                      ▼
//!         a piece of the answer: its messages ──────► open ◄────── what the client sends: not looked at; pings answered
//!                                                      │  ▲
//!                              30 s without a message: └──┘ a ping, for the proxies in between
//!     the client closes or is gone ─► over   the answer ends: close 1000   the server stops: 1001   the disk fails: 1011
//!                                              └──────────► its close comes, or two seconds pass ─► over
//! ```
//!
//! What is sent is what the API server sends (apiserver `endpoints/handlers/watch.go`, `HandleWS`; apimachinery
//! `util/httpstream/wsstream/stream.go`): a watch is a text message per event, whatever the subprotocol is called; a log
//! is its bytes, as they are or in base64, after an empty message.
//!
//! Invariants: nothing is sent that a plain answer would not have; a client that does not read costs what it costs there
//! (a piece, and the patience of [`super::socket`]); what it sends costs nothing; place, connection and ticket of the
//! request are held until it is over.

mod link;
pub mod token;

use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;

use super::connection::Connection;
use super::error::Refusal;
use super::observe::UnderWay;
use super::serve::Stopping;
use crate::clock::Clock;
use link::{Framing, Link};

/// Bytes read at a time: clients have next to nothing to say.
const READ_BUFFER: usize = 1 << 10;
/// Bytes of messages gathered before they are written; each piece is written to its end before the next is asked for.
const WRITE_BUFFER: usize = 16 << 10;
/// Bytes of a message or frame of a client's; a longer one ends the connection.
const CLIENT_MESSAGE: usize = 64 << 10;

/// How the answer to a request is to travel.
pub enum Transport {
    /// As the body of a plain answer.
    Plain,
    WebSocket(Box<Upgrade>),
}

/// A request to become a WebSocket, with what it holds until that is over.
pub struct Upgrade {
    upgrade: WebSocketUpgrade,
    stopping: Stopping,
    connection: Option<Connection>,
    under_way: Option<UnderWay>,
}

/// What an answer is, in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Lines of JSON.
    Events,
    /// Bytes.
    Log,
}

impl<S: Send + Sync> FromRequestParts<S> for Transport {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Transport, Refusal> {
        if !token::is_wanted(&parts.headers) {
            return Ok(Transport::Plain);
        }
        let stopping = parts.extensions.get::<Stopping>().cloned().unwrap_or_default();
        let connection = parts.extensions.get::<Connection>().cloned();
        let under_way = parts.extensions.get::<UnderWay>().cloned();
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
        let upgrade =
            upgrade.map_err(|e| Refusal::bad(format!("this is no WebSocket handshake: {}", e.body_text())))?;
        Ok(Transport::WebSocket(Box::new(Upgrade { upgrade, stopping, connection, under_way })))
    }
}

impl Transport {
    /// For an answer that is there at once.
    pub fn only_plain(&self) -> Result<(), Refusal> {
        match self {
            Transport::Plain => Ok(()),
            Transport::WebSocket(_) => Err(Refusal::bad(
                "only watches and logs come by WebSocket; add watch=true, or send the request without 'Upgrade'",
            )),
        }
    }
}

impl Upgrade {
    /// Answers 101, and then sends `pieces` until they end.
    pub fn carry<E>(
        self,
        content: Content,
        clock: Clock,
        pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<Response, Refusal>
    where
        E: std::fmt::Display + Send + 'static,
    {
        let Upgrade { mut upgrade, stopping, connection, under_way } = self;
        let offered: Vec<String> =
            upgrade.requested_protocols().filter_map(|p| p.to_str().ok()).map(str::to_owned).collect();
        let (framing, chosen) = choose(content, &offered)?;
        if let Some(protocol) = chosen.and_then(|name| HeaderValue::from_str(name).ok()) {
            upgrade.set_selected_protocol(protocol);
        }
        let upgrade = upgrade
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(CLIENT_MESSAGE)
            .max_frame_size(CLIENT_MESSAGE)
            .on_failed_upgrade(|error| tracing::debug!(%error, "a connection did not become a WebSocket"));
        let mut response = upgrade.on_upgrade(move |socket| async move {
            let cut = async {
                match &connection {
                    Some(connection) => connection.cut().await,
                    None => std::future::pending().await,
                }
            };
            let link = Link { socket, clock, framing, stopping, under_way };
            tokio::select! {
                stalled = link.run(Box::pin(pieces)) => {
                    if let Some(connection) = connection.as_ref().filter(|_| stalled) {
                        connection.count_cut("stalled");
                    }
                }
                () = cut => {}
            }
        });
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        Ok(response)
    }
}

/// What messages look like, and the subprotocol that is answered.
fn choose(content: Content, offered: &[String]) -> Result<(Framing, Option<&str>), Refusal> {
    let first = offered.first().map(String::as_str);
    match (content, first) {
        // Whatever it is called: it is there for the token to be beside it.
        (Content::Events, first) => Ok((Framing::Lines, first)),
        (Content::Log, None) => Ok((Framing::Binary, None)),
        (Content::Log, Some(_)) => {
            let known = offered.iter().find_map(|name| match name.as_str() {
                "binary.k8s.io" => Some((Framing::Binary, Some(name.as_str()))),
                "base64.binary.k8s.io" => Some((Framing::Base64, Some(name.as_str()))),
                _ => None,
            });
            known.ok_or_else(|| {
                Refusal::bad(format!(
                    "requested protocol(s) are not supported: {offered:?}; supports [\"binary.k8s.io\", \
                     \"base64.binary.k8s.io\"]"
                ))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_chosen_from_those_that_are_offered() {
        let chosen = |content, offered: &[&str]| {
            let offered: Vec<String> = offered.iter().map(|o| (*o).to_owned()).collect();
            choose(content, &offered).map(|(framing, name)| (framing, name.map(str::to_owned)))
        };
        let ok = |framing, name: &str| Ok((framing, Some(name.to_owned())));
        assert_eq!(chosen(Content::Events, &[]), Ok((Framing::Lines, None)));
        assert_eq!(chosen(Content::Events, &["base64.binary.k8s.io"]), ok(Framing::Lines, "base64.binary.k8s.io"));
        assert_eq!(chosen(Content::Events, &["garden", "x"]), ok(Framing::Lines, "garden"));
        assert_eq!(chosen(Content::Log, &[]), Ok((Framing::Binary, None)));
        assert_eq!(chosen(Content::Log, &["x", "binary.k8s.io"]), ok(Framing::Binary, "binary.k8s.io"));
        assert_eq!(chosen(Content::Log, &["base64.binary.k8s.io"]), ok(Framing::Base64, "base64.binary.k8s.io"));
        assert!(chosen(Content::Log, &["v4.channel.k8s.io"]).is_err());
    }
}
