//! kiln as a registry: the OCI distribution specification 1.1 under `/v2/`, so that any client of registries pushes
//! modules and pulls them.
//!
//! A manifest that is of a WebAssembly module is checked and compiled before it is taken, and its tag is then a `Module` that
//! pods can name. Anything else is kept and served as well, and cannot be run. Blobs are one store: a repository is where a
//! manifest and a tag are, and does not keep bytes from anybody.
//!
//! A handler reads as: what is named, what is done, what is answered. Every refusal is in `error.rs`.

mod blobs;
mod error;
mod listing;
mod manifests;
mod path;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;

use super::request::Params;
use super::server::Server;
use crate::ids::Ids;
use crate::modules::{Modules, Uploads};
pub use error::{Code, Error};
use path::Target;

const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

#[derive(Clone)]
pub struct Registry {
    modules: Modules,
    uploads: Uploads,
    server: Arc<Server>,
}

/// `/v2/` and everything below it.
pub fn routes(modules: Modules, ids: Ids, server: Arc<Server>) -> Router {
    let uploads = Uploads::new(modules.blobs().clone(), server.clock.clone(), ids);
    Router::new()
        .route("/v2", any(serve))
        .route("/v2/", any(serve))
        .route("/v2/{*path}", any(serve))
        .with_state(Registry { modules, uploads, server })
}

/// Whether a path is one of a registry, whose clients expect refusals in their own form.
pub fn is_of_registry(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

async fn serve(State(registry): State<Registry>, params: Params, request: Request) -> Response {
    let mut response = match answer(&registry, &params, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    response.headers_mut().insert(VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

async fn answer(registry: &Registry, params: &Params, request: Request) -> Result<Response, Error> {
    let path = decoded(request.uri().path().strip_prefix("/v2").unwrap_or_default())?;
    let target = Target::of(&path)?;
    let (parts, body) = request.into_parts();
    let (method, headers) = (&parts.method, &parts.headers);
    match (target, method) {
        (Target::Base, &Method::GET | &Method::HEAD) => Ok(json(StatusCode::OK, "{}".to_owned())),
        (Target::Tags(name), &Method::GET | &Method::HEAD) => listing::tags(registry, &name, params),
        (Target::Referrers(name, digest), &Method::GET | &Method::HEAD) => {
            listing::referrers(registry, &name, digest, params).await
        }
        (Target::Manifest(name, named), &Method::GET | &Method::HEAD) => {
            manifests::get(registry, &name, &named, method == Method::HEAD).await
        }
        (Target::Manifest(name, named), &Method::PUT) => manifests::put(registry, &name, named, headers, body).await,
        (Target::Manifest(name, named), &Method::DELETE) => manifests::delete(registry, &name, named, params).await,
        (Target::Blob(_, digest), &Method::GET | &Method::HEAD) => {
            blobs::get(registry, digest, headers, method == Method::HEAD).await
        }
        (Target::Blob(_, digest), &Method::DELETE) => blobs::delete(registry, digest).await,
        (Target::Uploads(name), &Method::POST) => uploads::open(registry, &name, params, headers, body).await,
        (Target::Upload(name, id), &Method::GET | &Method::HEAD) => uploads::status(registry, &name, &id),
        (Target::Upload(name, id), &Method::PATCH) => uploads::append(registry, &name, &id, headers, body).await,
        (Target::Upload(name, id), &Method::PUT) => uploads::close(registry, &name, &id, params, headers, body).await,
        (Target::Upload(name, id), &Method::DELETE) => uploads::cancel(registry, &name, &id),
        _ => Err(Error::new(Code::Unsupported, format!("{method} is not for this path"))),
    }
}

/// A path without its percent signs; clients write the colon of a digest either way.
fn decoded(path: &str) -> Result<String, Error> {
    let bad = || Error::new(Code::NameInvalid, "the path is not text in percent-encoding");
    if !path.contains('%') {
        return Ok(path.to_owned());
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

fn json(code: StatusCode, body: String) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], Bytes::from(body)).into_response()
}

/// An answer without a body that says where something is.
fn located(code: StatusCode, location: &str) -> Response {
    let mut response = code.into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn with_header(mut response: Response, name: impl Into<HeaderName>, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name.into(), value);
    }
    response
}
