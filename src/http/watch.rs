//! Watches: a line of JSON per event, for as long as the client listens.
//!
//! A watch is a body that is written when the connection can take more. It reads the store's ring at the pace of its
//! client: a slow client costs one piece of memory, and is told 410 Expired when the ring has moved past it. A client
//! that goes away ends it, since nothing else holds it. Who watches the same is sent the same bytes, made once
//! ([`super::rendered`]). A dashboard has the lines as messages of a [`super::websocket`].
//!
//! Invariant: all events up to [`Follower::told`] that the selection sees have been told, in order, and none after it.

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
use super::rendered::{Found, LineKey, Piece, Subject, Watcher};
use super::request::{Params, Target};
use super::revision::{self, From};
use super::selection::{self, Selection};
use super::serve::Stopping;
use super::snapshot;
use super::table::{self, ListMeta};
use super::websocket::{Content, Transport};
use crate::api::{ApiError, Kind, Object};
use crate::store::{Change, Event, Expired, Visibility, Watch};

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
    let subject = Subject {
        served: target.served,
        form,
        namespace: target.namespace.clone(),
        labels: params.get("labelSelector").unwrap_or_default().to_owned(),
        fields: params.get("fieldSelector").unwrap_or_default().to_owned(),
    };
    let follower = Follower {
        watch: api.store.watch(target.kind, start, Visibility::Durable),
        told: start,
        read: VecDeque::new(),
        others: api.server.rendered.watcher(subject),
        line: Lines { kind: target.kind, form, with_columns: true },
        sent: api.server.requests.watch_events(target.kind),
        initial: initial.into_iter(),
        mark: mark.then_some(start),
        selection,
        bookmarks: params.flag("allowWatchBookmarks").then(|| now + BOOKMARK_EVERY),
        end: now + Duration::from_secs(timeout),
        stopping,
        ended: false,
        since_pause: 0,
        api,
    };
    let pieces = stream::unfold(follower, |mut follower| async move {
        // Who has much to tell gives way now and then: a thousand such watchers must not stand before everybody else.
        if follower.since_pause >= PIECE {
            follower.since_pause = 0;
            tokio::task::yield_now().await;
        }
        let piece = follower.next().await?;
        follower.since_pause += piece.len();
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
    /// The client has been told everything up to this revision, but for what is in `initial`.
    told: u64,
    /// Events that were read and are still to be told.
    read: VecDeque<Arc<Event>>,
    /// Those who watch the same.
    others: Watcher,
    selection: Selection,
    line: Lines,
    sent: Counter,
    /// Objects that were there at the start and are still to be told.
    initial: std::vec::IntoIter<Object>,
    /// The revision of the bookmark that is to follow them.
    mark: Option<u64>,
    /// When the next bookmark is due, if the client wants them.
    bookmarks: Option<Instant>,
    end: Instant,
    stopping: Stopping,
    ended: bool,
    /// Bytes told since this watch last gave way.
    since_pause: usize,
}

impl Follower {
    /// The next lines; waits until there are some.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ended {
                return None;
            }
            // Listen first, then look: what comes in between is seen by one or the other.
            self.watch.look();
            match self.tell() {
                Ok(Some(piece)) => return Some(piece),
                Ok(None) => {}
                Err(expired) => {
                    self.ended = true;
                    let status = Refusal::Api(ApiError::Expired(expired.to_string())).status();
                    return Some(self.line.error(&status));
                }
            }
            let due = self.bookmarks.map_or(self.end, |at| at.min(self.end));
            let left = due.saturating_duration_since(self.api.clock.instant());
            if !left.is_zero() {
                tokio::select! {
                    biased;
                    () = self.stopping.0.cancelled() => return None,
                    () = self.api.clock.sleep(left) => {}
                    () = self.watch.changed() => {}
                }
                continue;
            }
            let now = self.api.clock.instant();
            self.ended = now >= self.end;
            if let Some(next) = &mut self.bookmarks {
                *next = now + BOOKMARK_EVERY;
                return Some(self.line.bookmark(self.told, false));
            }
        }
    }

    /// What is known and not yet told, up to about a [`PIECE`]; `None` if there is nothing.
    fn tell(&mut self) -> Result<Option<Bytes>, Expired> {
        let now = self.api.clock.now();
        if let Some(begin) = self.tell_initial(now) {
            return Ok(Some(begin));
        }
        let is_table = matches!(self.line.form, Form::Table(_));
        let second = if is_table { now.as_second() } else { 0 };
        loop {
            // The first Table is this watch's own: it has the columns.
            let found = match is_table && self.line.with_columns {
                true => Found::NoneUntil(u64::MAX),
                false => self.others.find(self.told, second),
            };
            let piece = match found {
                Found::Piece(piece) => {
                    self.api.server.rendered.count_shared(piece.events);
                    self.go_on_at(piece.end);
                    piece
                }
                Found::NoneUntil(limit) => match self.make(limit, now, second)? {
                    Some(piece) => piece,
                    None => return Ok(None),
                },
            };
            self.sent.inc_by(piece.events);
            // Of others' objects there may be many in a row.
            if !piece.bytes.is_empty() {
                return Ok(Some(piece.bytes));
            }
        }
    }

    /// The objects that there were at the start, and the bookmark after them.
    fn tell_initial(&mut self, now: Timestamp) -> Option<Bytes> {
        let mut out = Vec::new();
        while out.len() < PIECE
            && let Some(object) = self.initial.next()
        {
            if self.selection.matches(&object) {
                self.line.event(&mut out, Change::Added, &object, now);
                self.sent.inc();
            }
        }
        if out.len() < PIECE
            && let Some(revision) = self.mark.take()
        {
            out.extend_from_slice(&self.line.bookmark(revision, true));
        }
        (!out.is_empty()).then(|| out.into())
    }

    fn go_on_at(&mut self, revision: u64) {
        self.told = revision;
        self.watch.skip_to(revision);
        while self.read.front().is_some_and(|event| event.revision <= revision) {
            self.read.pop_front();
        }
    }

    /// Puts events after those that were told together, none after `limit`, for this watch and for the others. `None` if
    /// there are none.
    fn make(&mut self, limit: u64, now: Timestamp, second: i64) -> Result<Option<Piece>, Expired> {
        if self.read.is_empty() {
            self.read.extend(self.watch.try_next_until(limit)?);
        }
        let Some(first) = self.read.front().map(|event| event.revision).filter(|first| *first <= limit) else {
            // Nothing of this kind lies between.
            self.told = self.told.max(self.watch.cursor().min(limit));
            return Ok(None);
        };
        let with_columns = matches!(self.line.form, Form::Table(_)) && self.line.with_columns;
        let (after, mut end, mut out, mut events) = (self.told, self.told, Vec::new(), 0);
        while out.len() < PIECE
            && let Some(event) = self.read.pop_front_if(|event| event.revision <= limit)
        {
            end = event.revision;
            let Some(change) = self.selection.sees(&event) else { continue };
            events += 1;
            if with_columns {
                self.line.event(&mut out, change, &selection::shown(change, &event), now);
                break;
            }
            let key = LineKey { revision: end, change, form: self.line.form, second };
            let line = self.api.server.rendered.line(key, || {
                let mut made = Vec::with_capacity(4096);
                self.line.event(&mut made, change, &selection::shown(change, &event), now);
                made
            });
            out.extend_from_slice(&line);
        }
        self.told = end;
        let piece = Piece { after, end, bytes: out.into(), events, second };
        if !with_columns {
            self.others.keep(first, &piece);
        }
        Ok(Some(piece))
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
    fn bookmark(&self, revision: u64, ends_initial_events: bool) -> Bytes {
        let mut out = Vec::new();
        let resource_version = revision.to_string();
        if let Form::Table(_) = self.form {
            let mut table = table::head(self.kind, &ListMeta { resource_version, ..ListMeta::default() }, false);
            table.extend_from_slice(table::TAIL);
            line(&mut out, "BOOKMARK", &table);
            return out.into();
        }
        let mut metadata = json!({"resourceVersion": resource_version, "creationTimestamp": null});
        if ends_initial_events {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let (kind, version) = self.form.kind_and_version(self.kind);
        let object = json!({"kind": kind, "apiVersion": version, "metadata": metadata});
        line(&mut out, "BOOKMARK", object.to_string().as_bytes());
        out.into()
    }

    fn error(&self, status: &Value) -> Bytes {
        let mut out = Vec::new();
        line(&mut out, "ERROR", status.to_string().as_bytes());
        out.into()
    }
}

fn line(out: &mut Vec<u8>, type_: &str, object: &[u8]) {
    out.extend_from_slice(format!(r#"{{"type":"{type_}","object":"#).as_bytes());
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}
