//! GET of a collection: whole, in pages, or as a watch. A list is written object by object while it is sent, so a long
//! one costs a pointer per object and not its text.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};
use k8s_openapi::jiff::Timestamp;

use super::Api;
use super::compress::LONG;
use super::continue_token::ContinueToken;
use super::error::{Refusal, json_response};
use super::form::Form;
use super::request::{Params, Target};
use super::revision::{self, At};
use super::selection::Selection;
use super::serve::Stopping;
use super::table::ListMeta;
use super::websocket::Transport;
use super::{snapshot, watch};
use crate::api::{ApiError, Kind, Object};

/// Bytes put together before they are handed to the connection.
const PIECE: usize = 64 << 10;

pub async fn collection(
    State(api): State<Api>,
    transport: Transport,
    target: Target,
    params: Params,
    form: Form,
    stopping: Stopping,
) -> Result<Response, Refusal> {
    let selection = Selection::new(&target, &params)?;
    if params.flag("watch") {
        return watch::open(api, target, &params, selection, form, (stopping, transport)).await;
    }
    transport.only_plain()?;
    let page = page(&api, &target, &params, &selection)?;
    api.store.durable(page.seen).await?;
    Ok(json_response(StatusCode::OK, body(page, target.kind, form, api.clock.now())))
}

pub(super) struct Page {
    pub objects: Vec<Object>,
    pub meta: ListMeta,
    /// The revision that must be on disk before this is shown.
    pub seen: u64,
}

pub(super) fn page(api: &Api, target: &Target, params: &Params, selection: &Selection) -> Result<Page, Refusal> {
    let limit = params.integer("limit")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let limit = limit.unwrap_or(usize::MAX);
    let current = api.store.revision();
    let token = params.get("continue").map(|text| {
        let unknown = || Refusal::bad("continue key is not valid: it is not one that this server made");
        ContinueToken::parse(text).ok_or_else(unknown)
    });
    let token = token.transpose()?;
    let revision = match &token {
        Some(token) => {
            revision::check_continue(params)?;
            token.revision
        }
        None => match At::of_list(params)? {
            At::NotBefore(revision) => {
                revision::check_not_future(revision, current)?;
                None
            }
            At::Exactly(revision) => Some(revision),
        },
    };
    revision::check_not_future(revision.unwrap_or(0), current)?;
    let after = token.as_ref().map(|token| &token.after);
    let found = snapshot::page(&api.store, target, selection, after, revision, limit);
    let found = found.map_err(|expired| match &token {
        // Whoever does not mind an inconsistent list can go on from the same place.
        Some(ContinueToken { after, .. }) => {
            Refusal::ContinueExpired(ContinueToken { revision: None, left: None, after: after.clone() }.text())
        }
        None => ApiError::Expired(expired.to_string()).into(),
    })?;
    let mut meta = ListMeta { resource_version: found.revision.to_string(), ..ListMeta::default() };
    if let Some(last) = found.objects.last().filter(|_| found.more) {
        let behind = match &token {
            Some(token) => token.left,
            None if selection.has_no_selector() && revision.is_none() => {
                Some(api.store.count_in(target.kind, target.namespace.as_deref()))
            }
            None => None,
        };
        let left = behind.map(|all| all.saturating_sub(found.objects.len()));
        meta.continue_token = Some(ContinueToken { revision: Some(found.revision), left, after: last.key() }.text());
        meta.remaining_item_count = left.and_then(|left| i64::try_from(left).ok());
    }
    Ok(Page { objects: found.objects, meta, seen: found.revision })
}

/// A short list is sent whole, with its length; a longer one in pieces, as the client takes them. One that may be worth
/// compressing is always of the second kind.
pub(super) fn body(page: Page, kind: Kind, form: Form, now: Timestamp) -> Body {
    let head = form.head(kind, &page.meta);
    let mut writer = Writer { objects: page.objects.into_iter(), form, now, piece: head, first: true, ended: false };
    let first = Bytes::from(writer.write(LONG));
    if writer.ended {
        return Body::from(first);
    }
    // A piece takes a fraction of a millisecond; then it is somebody else's turn.
    let rest = stream::unfold(writer, |mut writer| async move {
        tokio::task::yield_now().await;
        let piece = writer.next()?;
        Some((Ok::<Bytes, Infallible>(piece), writer))
    });
    // The compressor asks once more after the end.
    Body::from_stream(stream::once(async { Ok(first) }).chain(rest).fuse())
}

struct Writer {
    objects: std::vec::IntoIter<Object>,
    form: Form,
    now: Timestamp,
    piece: Vec<u8>,
    first: bool,
    ended: bool,
}

impl Iterator for Writer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        (!self.ended).then(|| self.write(PIECE).into())
    }
}

impl Writer {
    /// What comes next, up to about `most` bytes.
    fn write(&mut self, most: usize) -> Vec<u8> {
        while self.piece.len() < most {
            let Some(object) = self.objects.next() else {
                self.piece.extend_from_slice(self.form.tail());
                self.ended = true;
                break;
            };
            if !std::mem::take(&mut self.first) {
                self.piece.push(b',');
            }
            self.piece.extend_from_slice(&self.form.item(&object, self.now));
        }
        std::mem::replace(&mut self.piece, Vec::with_capacity(if self.ended { 0 } else { PIECE + PIECE / 4 }))
    }
}
