//! gzip, for answers that are long and for clients that want it, as at the API server
//! (`endpoints/handlers/responsewriters/writers.go`): from 128 KiB on, at the fastest level. Never for what a client reads
//! while it grows, a watch or a followed log, whose pieces would wait in the compressor. The files of the dashboard are
//! compressed from 1 KiB on: a browser may be far away, and asks for dozens.

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{self, HeaderMap, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

/// Answers of fewer bytes are sent as they are. One whose length is not known when it begins is a list that is longer.
pub const LONG: usize = 128 << 10;

/// Marks an answer that its client reads while it grows.
#[derive(Clone, Copy, Debug)]
pub struct Live;

/// Marks a file of the dashboard.
#[derive(Clone, Copy, Debug)]
pub struct File;

/// A file of fewer bytes is sent as it is.
const LONG_FILE: u64 = 1 << 10;

#[derive(Clone, Copy, Debug)]
struct Worth;

impl Predicate for Worth {
    fn should_compress<B: HttpBody>(&self, response: &http::Response<B>) -> bool {
        let marks = response.extensions();
        let long = if marks.get::<File>().is_some() { LONG_FILE } else { LONG as u64 };
        marks.get::<Live>().is_none() && SizeAbove::new(long).should_compress(response)
    }
}

pub fn compressed(router: Router) -> Router {
    let layer = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Worth);
    router.layer(layer).layer(from_fn(only_gzip))
}

/// What stands behind it reads nothing else out of the header: no preference, and no refusal of an answer as it is.
async fn only_gzip(mut request: Request, next: Next) -> Response {
    let accepts = request.method() == Method::GET && accepts_gzip(request.headers());
    let headers = request.headers_mut();
    headers.remove(header::ACCEPT_ENCODING);
    if accepts {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    next.run(request).await
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_name_it() {
        let accepts = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            accepts_gzip(&headers)
        };
        assert!(accepts("gzip") && accepts("br, GZIP;q=0.5") && accepts("deflate , gzip"));
        assert!(!accepts("") && !accepts("*") && !accepts("gzip;q=0") && !accepts("br") && !accepts("xgzip"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
