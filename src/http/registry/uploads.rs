//! Blobs on their way in: in one request, in two, or in chunks.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::{Code, Error};
use super::path::{read_digest, repository};
use super::{DIGEST, Registry, located, with_header};
use crate::http::modules::receive;
use crate::http::request::Params;
use crate::modules::pieces::pieces;
use crate::modules::{BlobError, Digest, MAX_MODULE};

/// A session; or the whole blob at once, if its digest is given; or nothing, if the blob that another repository is said to have
/// is here.
pub async fn open(
    registry: &Registry,
    name: &str,
    params: &Params,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    if let Some(digest) = params.get("mount") {
        let digest = read_digest(digest)?;
        if let Some(from) = params.get("from") {
            repository(&from.split('/').collect::<Vec<_>>())?;
        }
        // Counts as new: it has the time to be referred to.
        if registry.modules.blobs().touch(digest)? {
            return Ok(created(name, digest));
        }
    }
    if let Some(digest) = params.get("digest") {
        let digest = read_digest(digest)?;
        check_length(headers)?;
        let (queue, received) = pieces();
        let ingested = registry.modules.ingest(received, digest);
        let (ingested, is_slow) = tokio::join!(ingested, receive(body, queue, &registry.server));
        in_time(is_slow)?;
        ingested?;
        return Ok(created(name, digest));
    }
    let id = registry.uploads.open(name).await?;
    Ok(progress(StatusCode::ACCEPTED, name, &id, 0))
}

pub fn status(registry: &Registry, name: &str, id: &str) -> Result<Response, Error> {
    let size = registry.uploads.size(name, id)?;
    Ok(progress(StatusCode::NO_CONTENT, name, id, size))
}

pub async fn append(
    registry: &Registry,
    name: &str,
    id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    match write(registry, name, id, headers, body).await {
        Ok(size) => Ok(progress(StatusCode::ACCEPTED, name, id, size)),
        Err(error) if error.status == StatusCode::RANGE_NOT_SATISFIABLE => out_of_order(registry, name, id, error),
        Err(error) => Err(error),
    }
}

/// Ends the session, perhaps with a last chunk.
pub async fn close(
    registry: &Registry,
    name: &str,
    id: &str,
    params: &Params,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let Some(digest) = params.get("digest") else {
        return Err(Error::new(Code::DigestInvalid, "an upload is closed with its digest: PUT …?digest=sha256:…"));
    };
    let digest = read_digest(digest)?;
    match write(registry, name, id, headers, body).await {
        Ok(_) => {}
        Err(error) if error.status == StatusCode::RANGE_NOT_SATISFIABLE => {
            return out_of_order(registry, name, id, error);
        }
        Err(error) => return Err(error),
    }
    registry.uploads.close(name, id, digest).await?;
    Ok(created(name, digest))
}

pub fn cancel(registry: &Registry, name: &str, id: &str) -> Result<Response, Error> {
    registry.uploads.cancel(name, id)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn write(registry: &Registry, name: &str, id: &str, headers: &HeaderMap, body: Body) -> Result<u64, Error> {
    check_length(headers)?;
    let range = chunk(headers)?;
    let (queue, received) = pieces();
    let appended = registry.uploads.append(name, id, range.map(|(from, _)| from), received);
    let (appended, is_slow) = tokio::join!(appended, receive(body, queue, &registry.server));
    in_time(is_slow)?;
    let size = appended?;
    match range {
        Some((_, to)) if size != to.saturating_add(1) => {
            let message = format!("the chunk should end with byte {to}, and ended with {}", size.saturating_sub(1));
            Err(Error::new(Code::SizeInvalid, message))
        }
        _ => Ok(size),
    }
}

/// With where the next chunk begins, so that a client can go on.
fn out_of_order(registry: &Registry, name: &str, id: &str, error: Error) -> Result<Response, Error> {
    let size = registry.uploads.size(name, id)?;
    let told = progress(StatusCode::RANGE_NOT_SATISFIABLE, name, id, size);
    let mut response = error.into_response();
    for name in [header::LOCATION, header::RANGE] {
        if let Some(value) = told.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

/// `Content-Range: FROM-TO`, with or without a `bytes ` before it.
fn chunk(headers: &HeaderMap) -> Result<Option<(u64, u64)>, Error> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let parse = || {
        let range = range.to_str().ok()?.trim();
        let range = range.strip_prefix("bytes").unwrap_or(range).trim_start_matches([' ', '=']);
        let (from, to) = range.split('/').next()?.split_once('-')?;
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        (from <= to).then_some((from, to))
    };
    match parse() {
        Some(range) => Ok(Some(range)),
        None => Err(Error::new(Code::BlobUploadInvalid, "Content-Range is FIRST-LAST, in bytes from 0")),
    }
}

/// Before the first byte is read: a client that waits for `100 Continue` need not send any.
fn check_length(headers: &HeaderMap) -> Result<(), Error> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match announced {
        Some(length) if length > MAX_MODULE => Err(BlobError::TooLarge { limit: MAX_MODULE }.into()),
        _ => Ok(()),
    }
}

fn in_time(is_slow: bool) -> Result<(), Error> {
    match is_slow {
        true => Err(Error::new(Code::BlobUploadInvalid, "the bytes did not arrive in time").with_status(408)),
        false => Ok(()),
    }
}

fn created(name: &str, digest: Digest) -> Response {
    let response = located(StatusCode::CREATED, &format!("/v2/{name}/blobs/{digest}"));
    with_header(response, DIGEST, &digest.to_string())
}

/// `Range` is what has come: `0-0` is also said of nothing, because nothing else can be.
fn progress(code: StatusCode, name: &str, id: &str, size: u64) -> Response {
    let response = located(code, &format!("/v2/{name}/blobs/uploads/{id}"));
    let response = with_header(response, header::RANGE, &format!("0-{}", size.saturating_sub(1)));
    with_header(response, axum::http::HeaderName::from_static("docker-upload-uuid"), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_says_which_bytes_it_has() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, text.parse().unwrap());
            chunk(&headers).map_err(|error| error.code)
        };
        for text in ["0-5", "bytes 0-5", "bytes 0-5/10", "bytes=0-5"] {
            assert_eq!(read(text), Ok(Some((0, 5))), "{text}");
        }
        for text in ["", "5", "5-0", "a-b", "-5", "5-", "bytes"] {
            assert_eq!(read(text), Err(Code::BlobUploadInvalid), "{text}");
        }
        assert_eq!(chunk(&HeaderMap::new()).unwrap(), None);
    }
}
