//! GET of a collection: whole, in pages, or as a watch. A list is written object by object while it is sent, so a long
//! one costs a pointer per object and not its text.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use k8s_openapi::jiff::Timestamp;

use super::Api;
use super::compress::LONG;
use super::error::{Refusal, json_response};
use super::form::Form;
use super::request::{Params, Plain, Target};
use super::revision::{self, At};
use super::selection::Selection;
use super::serve::Stopping;
use super::table::ListMeta;
use super::{snapshot, watch};
use crate::api::{ApiError, Key, Kind, Object};

/// Bytes put together before they are handed to the connection.
const PIECE: usize = 64 << 10;

pub async fn collection(
    State(api): State<Api>,
    _: Plain,
    target: Target,
    params: Params,
    form: Form,
    stopping: Stopping,
) -> Result<Response, Refusal> {
    let selection = Selection::new(&target, &params)?;
    if params.flag("watch") {
        return watch::open(api, target, &params, selection, form, stopping).await;
    }
    let page = page(&api, &target, &params, &selection)?;
    api.store.durable(page.seen).await?;
    Ok(json_response(StatusCode::OK, body(page, target.kind, form, api.clock.now())))
}

struct Page {
    objects: Vec<Object>,
    meta: ListMeta,
    /// The revision that must be on disk before this is shown.
    seen: u64,
}

fn page(api: &Api, target: &Target, params: &Params, selection: &Selection) -> Result<Page, Refusal> {
    let limit = params.integer("limit")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let current = api.store.revision();
    let listing = match params.get("continue") {
        Some(token) => {
            if params.get("resourceVersion").is_some_and(|v| v != "0") {
                return Err(Refusal::bad("specifying resource version is not allowed when using continue"));
            }
            let (revision, after) = parse_token(token)?;
            revision::check_not_future(revision, current)?;
            snapshot::at(&api.store, target, Some(&after), revision).map_err(|_| {
                let message = "The provided continue parameter is too old to display a consistent list result. You \
                               must start a new list without the continue parameter.";
                ApiError::Expired(message.to_owned())
            })?
        }
        None => match At::of_list(params)? {
            At::NotBefore(revision) => {
                revision::check_not_future(revision, current)?;
                snapshot::now(&api.store, target, selection)
            }
            At::Exactly(revision) => {
                revision::check_not_future(revision, current)?;
                snapshot::at(&api.store, target, None, revision).map_err(|e| ApiError::Expired(e.to_string()))?
            }
        },
    };
    let seen = listing.revision;
    let mut meta = ListMeta { resource_version: seen.to_string(), ..ListMeta::default() };
    let mut objects = listing.objects;
    if let Some(limit) = limit {
        // One more than asked for tells whether there is another page.
        let mut found = objects.iter().enumerate().filter(|(_, o)| selection.matches(o)).map(|(i, _)| i);
        let last = found.by_ref().nth(limit - 1);
        let more = last.is_some() && found.next().is_some();
        if let Some(last) = last.filter(|_| more) {
            meta.continue_token = Some(token(seen, &objects[last].key()));
            if selection.has_no_selector() {
                meta.remaining_item_count = i64::try_from(objects.len() - last - 1).ok();
            }
            objects.truncate(last + 1);
        }
    }
    objects.retain(|object| selection.matches(object));
    Ok(Page { objects, meta, seen })
}

/// Where the next page goes on: the revision that all pages show, and the last key of this one, in hexadecimal because
/// it is nobody else's business.
fn token(revision: u64, last: &Key) -> String {
    let text = format!("{revision}/{}/{}", last.namespace, last.name);
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

fn parse_token(token: &str) -> Result<(u64, Key), Refusal> {
    let parse = || {
        let digits =
            token.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let text = String::from_utf8(digits.collect::<Option<Vec<u8>>>()?).ok()?;
        let mut parts = text.splitn(3, '/');
        Some((parts.next()?.parse().ok()?, Key::new(parts.next()?, parts.next()?)))
    };
    parse().ok_or_else(|| Refusal::bad("continue key is not valid: it is not one that this server made"))
}

/// A short list is sent whole, with its length; a longer one in pieces, as the client takes them. One that may be worth
/// compressing is always of the second kind.
fn body(page: Page, kind: Kind, form: Form, now: Timestamp) -> Body {
    let head = form.head(kind, &page.meta);
    let mut writer = Writer { objects: page.objects.into_iter(), form, now, piece: head, first: true, ended: false };
    let first = Bytes::from(writer.write(LONG));
    if writer.ended {
        return Body::from(first);
    }
    Body::from_stream(stream::iter(std::iter::once(first).chain(writer).map(Ok::<Bytes, Infallible>)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_rubbish_is_refused() {
        let key = Key::new("ns", "a.b-c");
        assert_eq!(parse_token(&token(42, &key)), Ok((42, key)));
        for rubbish in ["x", "zz", "ff", "é", "2f"] {
            assert!(parse_token(rubbish).is_err(), "{rubbish}");
        }
    }
}
