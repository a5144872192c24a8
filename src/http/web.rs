//! The dashboard: the files of `web/`, which are inside the program, as they are. `/` is its page for whoever would like
//! HTML, and what it was before for everybody else; the rest is under `/web/`.
//!
//! The files hold nothing secret and are served without a token ([`is_public`]); the API that they ask wants it. The
//! policy below lets the page load nothing but these files, talk to nobody but this server, be framed by nobody, and turn
//! no text into markup or code: what guests and users write is shown, and never run.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

use super::Api;
use super::error::Refusal;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/web");

const PAGE: &str = "index.html";
const FOLDER: &str = "/web/";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// With each answer: what the browser may do with it.
const RULES: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Asked for anew each time, and answered by 304 until kiln is another: no page is put together of two versions.
    (header::CACHE_CONTROL, "no-cache"),
];

pub fn routes() -> Router<Api> {
    Router::new().route("/", get(page)).route(&format!("{FOLDER}{{*file}}"), get(file))
}

/// Whether this is asked for before anybody can have been asked for a token.
pub fn is_public(path: &str, headers: &HeaderMap) -> bool {
    path.starts_with(FOLDER) || (path == "/" && wants_page(headers))
}

/// Browsers name HTML when they go to a page. kubectl and other clients do not, nor does a wildcard.
fn wants_page(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("text/html"));
        is_html && !parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0))
    })
}

async fn page(headers: HeaderMap) -> Response {
    let mut response = if wants_page(&headers) { send(PAGE, &headers) } else { Refusal::NoSuchPath.into_response() };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

async fn file(Path(file): Path<String>, headers: HeaderMap) -> Response {
    send(&file, &headers)
}

/// The whole file, whatever range was asked for: the longest has some kilobytes.
fn send(path: &str, asked: &HeaderMap) -> Response {
    let (Some(bytes), Some(media), Some(etag)) =
        (FILES.get_file(path).map(include_dir::File::contents), media_type(path), etags().get(path))
    else {
        return Refusal::NoSuchPath.into_response();
    };
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    let mut response = if known.any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media)], bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag.clone());
    headers.extend(RULES.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// By the end of its name. A file of another kind does not belong to a page, and is not served.
fn media_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

/// The digest of each file, made when the first is asked for.
fn etags() -> &'static BTreeMap<&'static str, HeaderValue> {
    static TAGS: OnceLock<BTreeMap<&'static str, HeaderValue>> = OnceLock::new();
    TAGS.get_or_init(|| {
        let mut tags = BTreeMap::new();
        collect(&FILES, &mut tags);
        tags
    })
}

fn collect(dir: &Dir<'static>, into: &mut BTreeMap<&'static str, HeaderValue>) {
    for file in dir.files() {
        let digest: String = Sha256::digest(file.contents()).iter().take(16).map(|b| format!("{b:02x}")).collect();
        if let (Some(path), Ok(tag)) = (file.path().to_str(), HeaderValue::from_str(&format!("\"{digest}\""))) {
            into.insert(path, tag);
        }
    }
    dir.dirs().for_each(|dir| collect(dir, into));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())])
    }

    #[test]
    fn the_page_is_for_those_who_name_html() {
        for accept in
            ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "TEXT/HTML;q=0.5", "a, text/html"]
        {
            assert!(wants_page(&accepting(accept)), "{accept}");
        }
        for accept in ["", "*/*", "application/json, */*", "text/*", "text/html;q=0", "text/htmlx"] {
            assert!(!wants_page(&accepting(accept)), "{accept}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }

    #[test]
    fn only_the_page_and_its_files_are_public() {
        let (browser, client) = (accepting("text/html"), accepting("*/*"));
        assert!(is_public("/", &browser) && is_public("/web/app.js", &client));
        for path in ["/api", "/web", "/webhooks", "/metrics", "//web/app.js", "/apis/web/"] {
            assert!(!is_public(path, &browser), "{path}");
        }
        assert!(!is_public("/", &client));
    }

    #[test]
    fn what_is_embedded_is_what_lies_in_the_folder() {
        fn compare(dir: &std::path::Path) -> usize {
            let mut files = 0;
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    files += compare(&path);
                    continue;
                }
                let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                let embedded = FILES.get_file(name).map(include_dir::File::contents);
                assert!(
                    embedded == Some(&std::fs::read(&path).unwrap()),
                    "{name}: touch src/http/web.rs and build anew"
                );
                assert!(media_type(name).is_some(), "{name} would not be served");
                files += 1;
            }
            files
        }
        let files = compare(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web"));
        assert_eq!(files, etags().len(), "a file is embedded that does not exist any more: build anew");
    }

    #[test]
    fn the_page_keeps_its_own_policy() {
        let page = FILES.get_file(PAGE).unwrap().contents_utf8().unwrap();
        for forbidden in ["style=", "<style", " on", "javascript:", "http://", "https://"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(
            page.matches("<script").count()
                == page.matches("<script src=\"web/").count()
                    + page.matches("<script type=\"module\" src=\"web/").count()
        );
    }
}
