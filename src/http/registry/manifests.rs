//! Manifests: read by tag or digest, pushed, deleted.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::error::{Code, Error};
use super::path::Named;
use super::{DIGEST, Registry, located, with_header};
use crate::api::module::PUSHED;
use crate::http::request::Params;
use crate::modules::layout::MAX_MANIFEST;
use crate::modules::{Digest, Reference};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

fn reference(name: &str, named: Named) -> Reference {
    let name = name.to_owned();
    match named {
        Named::Tag(tag) => Reference { name, tag: Some(tag), digest: None },
        Named::Digest(digest) => Reference { name, tag: None, digest: Some(digest) },
    }
}

/// The digest of the manifest that a tag means.
fn meant(registry: &Registry, name: &str, named: &Named) -> Option<Digest> {
    match named {
        Named::Digest(digest) => Some(*digest),
        Named::Tag(_) => {
            let module = registry.modules.index().get(&reference(name, named.clone()))?;
            module.spec.as_ref()?.manifest.as_deref()?.parse().ok()
        }
    }
}

pub async fn get(registry: &Registry, name: &str, named: &Named, head: bool) -> Result<Response, Error> {
    let index = registry.modules.index();
    let found = meant(registry, name, named).and_then(|digest| Some((digest, index.manifest(name, digest)?)));
    let Some((digest, record)) = found else {
        return Err(match index.has_repository(name) {
            true => Error::new(Code::ManifestUnknown, "the repository has no such manifest"),
            false => Error::new(Code::NameUnknown, "there is no such repository"),
        });
    };
    let body = match head {
        true => Bytes::new(),
        false => read(registry, digest).await?,
    };
    let mut response = (StatusCode::OK, body).into_response();
    response = with_header(response, header::CONTENT_TYPE, &record.media_type);
    response = with_header(response, header::CONTENT_LENGTH, &record.size.to_string());
    response = with_header(response, header::ETAG, &format!("\"{digest}\""));
    // Its bytes are what the digest is of.
    response.extensions_mut().insert(super::super::compress::Live);
    Ok(with_header(response, DIGEST, &digest.to_string()))
}

/// The bytes of a manifest, which are those of its digest.
pub async fn read(registry: &Registry, digest: Digest) -> Result<Bytes, Error> {
    let blobs = registry.modules.blobs().clone();
    let read = tokio::task::spawn_blocking(move || blobs.read(digest)).await;
    Ok(read.map_err(|_| Error::new(Code::Unknown, "the server is about to end").with_status(503))??.into())
}

pub async fn put(
    registry: &Registry,
    name: &str,
    named: Named,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = whole(registry, headers, body).await?;
    let now = registry.server.clock.now();
    let reference = reference(name, named);
    let published = registry.modules.publish(PUSHED, &reference, bytes, media_type, now).await?;
    let digest = published.digest;
    let mut response = located(StatusCode::CREATED, &format!("/v2/{name}/manifests/{digest}"));
    if let Some(subject) = published.subject {
        response = with_header(response, SUBJECT, &subject.to_string());
    }
    Ok(with_header(response, DIGEST, &digest.to_string()))
}

/// The tag alone, or the manifest with all its tags. What somebody uses stays: `?force=true` is kiln's own way to say otherwise.
pub async fn delete(registry: &Registry, name: &str, named: Named, params: &Params) -> Result<Response, Error> {
    let (force, now) = (params.flag("force"), registry.server.clock.now());
    match named {
        Named::Digest(digest) => registry.modules.withdraw(name, digest, force, now).await?,
        tag => drop(registry.modules.delete(&reference(name, tag), force, now).await?),
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The whole body, within its limits of size and time.
async fn whole(registry: &Registry, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Error> {
    let too_large = || {
        let message = format!("a manifest may have at most {MAX_MANIFEST} bytes");
        Error::new(Code::SizeInvalid, message).with_status(413)
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_MANIFEST) {
        return Err(too_large());
    }
    let read = async {
        let (mut pieces, mut bytes) = (body.into_data_stream(), BytesMut::new());
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| Error::new(Code::ManifestInvalid, format!("it broke off: {error}")))?;
            if (bytes.len() + piece.len()) as u64 > MAX_MANIFEST {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.to_vec())
    };
    let server = &registry.server;
    tokio::select! {
        bytes = read => bytes,
        () = server.clock.sleep(Duration::from_secs(server.limits.body_seconds)) => {
            Err(Error::new(Code::ManifestInvalid, "the manifest did not arrive in time").with_status(408))
        }
    }
}
