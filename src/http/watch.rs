//! Watches: a line of JSON per event, for as long as the client listens.
//!
//! A watch is a body that is written when the connection can take more. It reads the store's ring at the pace of its
//! client: a slow client costs one piece of memory, and is told 410 Expired when the ring has moved past it. A client
//! that goes away ends it, since nothing else holds it. Watchers that keep up share the bytes of each line
//! ([`super::rendered`]). A dashboard has the lines as messages of a [`super::websocket`].

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};

use super::Api;
use super::compress::Live;
use super::error::{Refusal, json_response};
use super::form::Form;
use super::rendered::LineKey;
use super::request::{Params, Target};
use super::revision::{self, From};
use super::selection::{self, Selection};
use super::serve::Stopping;
use super::snapshot;
use super::table::{self, ListMeta};
use super::websocket::{Content, Transport};
use crate::api::{ApiError, Kind, Object};
use crate::store::{Change, Event, Visibility, Watch};

/// Bytes put together before they are handed to the connection. What is there is never held back for more.
const PIECE: usize = 64 << 10;
/// How often a quiet watch says how far it is, for clients that ask for it.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without `timeoutSeconds` ends after this and up to as much again, as at the API server.
const SHORTEST: u64 = 30 * 60;

/// The annotation of the bookmark that ends the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

pub async fn open(
    api: Api,
    target: Target,
    params: &Params,
    selection: Selection,
    form: Form,
    (stopping, transport): (Stopping, Transport),
) -> Result<Response, Refusal> {
    let timeout = params.integer("timeoutSeconds")?.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    let timeout = timeout.unwrap_or_else(|| SHORTEST + api.ids.bits() % SHORTEST).min(u64::from(u32::MAX));
    let current = api.store.revision();
    let (initial, mark, start) = match From::of_watch(params)? {
        From::After(u64::MAX) => (Vec::new(), false, current),
        From::After(revision) => {
            revision::check_not_future(revision, current)?;
            (Vec::new(), false, revision)
        }
        From::Everything { marked, not_before } => {
            revision::check_not_future(not_before, current)?;
            let listing = snapshot::now(&api.store, &target, &selection);
            api.store.durable(listing.revision).await?;
            (listing.objects, marked, listing.revision)
        }
    };
    let clock = api.clock.clone();
    let now = clock.instant();
    let follower = Follower {
        watch: api.store.watch(target.kind, start, Visibility::Durable),
        line: Lines { kind: target.kind, form, with_columns: true },
        sent: api.server.requests.watch_events(target.kind),
        initial: initial.into_iter(),
        mark: mark.then_some(start),
        events: VecDeque::new(),
        selection,
        bookmarks: params.flag("allowWatchBookmarks").then(|| now + BOOKMARK_EVERY),
        end: now + Duration::from_secs(timeout),
        stopping,
        ended: false,
        has_more: false,
        api,
    };
    let pieces = stream::unfold(follower, |mut follower| async move {
        // Who has much to tell gives way after each piece: a thousand such watchers must not stand before everybody else.
        if std::mem::take(&mut follower.has_more) {
            tokio::task::yield_now().await;
        }
        let piece = follower.next().await?;
        follower.has_more = piece.len() >= PIECE;
        Some((Ok::<Bytes, Infallible>(piece), follower))
    });
    match transport {
        Transport::WebSocket(upgrade) => upgrade.carry(Content::Events, clock, pieces.fuse()),
        Transport::Plain => {
            let mut response = json_response(StatusCode::OK, Body::from_stream(pieces.fuse()));
            response.extensions_mut().insert(Live);
            Ok(response)
        }
    }
}

struct Follower {
    api: Api,
    watch: Watch,
    selection: Selection,
    line: Lines,
    sent: Counter,
    /// Objects that were there at the start and are still to be told.
    initial: std::vec::IntoIter<Object>,
    /// The revision of the bookmark that is to follow them.
    mark: Option<u64>,
    /// Events that are still to be told.
    events: VecDeque<Arc<Event>>,
    /// When the next bookmark is due, if the client wants them.
    bookmarks: Option<Instant>,
    end: Instant,
    stopping: Stopping,
    ended: bool,
    /// The last piece was full.
    has_more: bool,
}

impl Follower {
    /// The next lines; waits until there are some.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        loop {
            self.tell(&mut out);
            if !out.is_empty() {
                return Some(out.into());
            }
            if self.ended {
                return None;
            }
            let due = self.bookmarks.map_or(self.end, |at| at.min(self.end));
            let left = due.saturating_duration_since(self.api.clock.instant());
            tokio::select! {
                biased;
                () = self.stopping.0.cancelled() => return None,
                () = self.api.clock.sleep(left) => {
                    // Nothing may have woken this watch for long, and it is told how far it is.
                    if let Ok(events) = self.watch.try_next()
                        && !events.is_empty()
                    {
                        self.events.extend(events);
                        continue;
                    }
                    if self.bookmarks.is_some() {
                        self.line.bookmark(&mut out, self.watch.cursor(), false);
                    }
                    let now = self.api.clock.instant();
                    self.bookmarks = self.bookmarks.map(|_| now + BOOKMARK_EVERY);
                    self.ended = now >= self.end;
                }
                events = self.watch.next() => match events {
                    Ok(events) => self.events.extend(events),
                    Err(expired) => {
                        let status = Refusal::Api(ApiError::Expired(expired.to_string())).status();
                        self.line.error(&mut out, &status);
                        self.ended = true;
                    }
                },
            }
        }
    }

    /// Writes what is known and not yet told, up to about a [`PIECE`].
    fn tell(&mut self, out: &mut Vec<u8>) {
        let now = self.api.clock.now();
        while out.len() < PIECE {
            if let Some(object) = self.initial.next() {
                if self.selection.matches(&object) {
                    self.line.event(out, Change::Added, &object, now);
                    self.sent.inc();
                }
            } else if let Some(revision) = self.mark.take() {
                self.line.bookmark(out, revision, true);
            } else if let Some(event) = self.events.pop_front() {
                if let Some(change) = self.selection.sees(&event) {
                    self.tell_event(out, change, &event, now);
                    self.sent.inc();
                }
            } else {
                return;
            }
        }
    }

    /// The first Table is this watch's own: it has the columns.
    fn tell_event(&mut self, out: &mut Vec<u8>, change: Change, event: &Event, now: Timestamp) {
        let form = self.line.form;
        let is_table = matches!(form, Form::Table(_));
        if is_table && self.line.with_columns {
            return self.line.event(out, change, &selection::shown(change, event), now);
        }
        let second = if is_table { now.as_second() } else { 0 };
        let line = self.api.server.rendered.line(LineKey { revision: event.revision, change, form, second }, || {
            let mut made = Vec::with_capacity(4096);
            self.line.event(&mut made, change, &selection::shown(change, event), now);
            made
        });
        out.extend_from_slice(&line);
    }
}

/// Writes events in the form that the client asked for.
struct Lines {
    kind: Kind,
    form: Form,
    /// Until the first Table has gone out.
    with_columns: bool,
}

impl Lines {
    fn event(&mut self, out: &mut Vec<u8>, change: Change, object: &Object, now: Timestamp) {
        let type_ = match change {
            Change::Added => "ADDED",
            Change::Modified => "MODIFIED",
            Change::Deleted => "DELETED",
        };
        let with_columns = std::mem::take(&mut self.with_columns);
        line(out, type_, &self.form.single(object, now, with_columns));
    }

    /// Says that the client has seen everything up to `revision`.
    fn bookmark(&self, out: &mut Vec<u8>, revision: u64, ends_initial_events: bool) {
        let resource_version = revision.to_string();
        if let Form::Table(_) = self.form {
            let mut table = table::head(self.kind, &ListMeta { resource_version, ..ListMeta::default() }, false);
            table.extend_from_slice(table::TAIL);
            return line(out, "BOOKMARK", &table);
        }
        let mut metadata = json!({"resourceVersion": resource_version, "creationTimestamp": null});
        if ends_initial_events {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let (kind, version) = self.form.kind_and_version(self.kind);
        let object = json!({"kind": kind, "apiVersion": version, "metadata": metadata});
        line(out, "BOOKMARK", object.to_string().as_bytes());
    }

    fn error(&self, out: &mut Vec<u8>, status: &Value) {
        line(out, "ERROR", status.to_string().as_bytes());
    }
}

fn line(out: &mut Vec<u8>, type_: &str, object: &[u8]) {
    out.extend_from_slice(format!(r#"{{"type":"{type_}","object":"#).as_bytes());
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}
