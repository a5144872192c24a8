//! Blobs: read whole or in part, looked for, removed.

use std::io::SeekFrom;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::error::{Code, Error};
use super::{DIGEST, Registry, with_header};
use crate::modules::{BlobError, Digest};

/// Bytes read at once.
const PIECE: usize = 64 << 10;

/// What of a blob is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    All,
    /// From this byte, so many: at least one.
    Part {
        from: u64,
        length: u64,
    },
    /// A part that it does not have.
    None,
}

pub async fn get(registry: &Registry, digest: Digest, headers: &HeaderMap, head: bool) -> Result<Response, Error> {
    let size = registry.modules.blobs().size(digest)?.ok_or(BlobError::NotFound(digest))?;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (code, from, length) = match asked(range, size) {
        Asked::All => (StatusCode::OK, 0, size),
        Asked::Part { from, length } => (StatusCode::PARTIAL_CONTENT, from, length),
        Asked::None => {
            let message = format!("the blob has {size} bytes, and none of those that are asked for");
            let refusal = Error::new(Code::SizeInvalid, message).with_status(416).into_response();
            return Ok(with_header(refusal, header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let body = match head {
        true => Body::empty(),
        false => read(registry, digest, from, length, length == size).await?,
    };
    let mut response = (code, body).into_response();
    response = with_header(response, header::CONTENT_TYPE, "application/octet-stream");
    response = with_header(response, header::CONTENT_LENGTH, &length.to_string());
    response = with_header(response, header::ACCEPT_RANGES, "bytes");
    response = with_header(response, header::ETAG, &format!("\"{digest}\""));
    // It is asked for by its digest: compressed it would be other bytes.
    response = with_header(response, header::CACHE_CONTROL, "max-age=31536000, no-transform");
    response.extensions_mut().insert(super::super::compress::Live);
    if code == StatusCode::PARTIAL_CONTENT {
        let last = from + length - 1;
        response = with_header(response, header::CONTENT_RANGE, &format!("bytes {from}-{last}/{size}"));
    }
    Ok(with_header(response, DIGEST, &digest.to_string()))
}

/// Reads as it is sent. The end of a whole blob is sent only if its digest is right: a disk that lies breaks the connection
/// instead.
async fn read(registry: &Registry, digest: Digest, from: u64, length: u64, whole: bool) -> Result<Body, Error> {
    let path = registry.modules.blobs().path(digest);
    let failed = |error: std::io::Error| Error::new(Code::Unknown, format!("the blob cannot be read: {error}"));
    let mut file = File::open(&path).await.map_err(|_| BlobError::NotFound(digest))?;
    file.seek(SeekFrom::Start(from)).await.map_err(failed)?;
    let begin = (file, length, whole.then(Sha256::new));
    let pieces = stream::try_unfold(begin, move |(mut file, left, mut hash)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        file.read_exact(&mut piece).await?;
        let left = left - piece.len() as u64;
        if let Some(hash) = &mut hash {
            hash.update(&piece);
            if left == 0 && Digest::from_hash(hash.clone()) != digest {
                tracing::error!(%digest, "a blob is damaged: it holds other bytes than its name says");
                return Err(std::io::Error::other("the blob is damaged"));
            }
        }
        Ok(Some((Bytes::from(piece), (file, left, hash))))
    });
    Ok(Body::from_stream(pieces))
}

/// One range of bytes, as RFC 9110 has it (14.2); anything else in the header is as if it was not there.
fn asked(range: Option<&str>, size: u64) -> Asked {
    let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return Asked::All;
    };
    let (from, to) = match (from.trim(), to.trim()) {
        ("", last) => match last.parse::<u64>() {
            Ok(last) => (size.saturating_sub(last), size.saturating_sub(1)),
            Err(_) => return Asked::All,
        },
        (from, to) => match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) if from <= to => (from, to.min(size.saturating_sub(1))),
            (Ok(from), Err(_)) if to.is_empty() => (from, size.saturating_sub(1)),
            _ => return Asked::All,
        },
    };
    if size == 0 || from > to { Asked::None } else { Asked::Part { from, length: to - from + 1 } }
}

/// Refused while a manifest refers to it: whoever pulls that would miss it.
pub async fn delete(registry: &Registry, digest: Digest) -> Result<Response, Error> {
    match registry.modules.delete_blob(digest).await? {
        true => Ok(StatusCode::ACCEPTED.into_response()),
        false => Err(BlobError::NotFound(digest).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        let part = |from, length| Asked::Part { from, length };
        for (range, size, expected) in [
            (None, 10, Asked::All),
            (Some("bytes=0-3"), 10, part(0, 4)),
            (Some("bytes=5-"), 10, part(5, 5)),
            (Some("bytes=5-100"), 10, part(5, 5)),
            (Some("bytes=-3"), 10, part(7, 3)),
            (Some("bytes=-30"), 10, part(0, 10)),
            (Some("bytes=9-9"), 10, part(9, 1)),
            (Some("bytes=10-"), 10, Asked::None),
            (Some("bytes=10-12"), 10, Asked::None),
            (Some("bytes=-0"), 10, Asked::None),
            (Some("bytes=0-"), 0, Asked::None),
            (Some("bytes=3-1"), 10, Asked::All),
            (Some("bytes=0-1,3-4"), 10, Asked::All),
            (Some("lines=0-1"), 10, Asked::All),
            (Some("bytes=a-b"), 10, Asked::All),
            (Some("bytes=18446744073709551615-"), 10, Asked::None),
        ] {
            assert_eq!(asked(range, size), expected, "{range:?} of {size}");
        }
    }
}
