//! Who may ask at all: the token, and what protects a server on loopback from the web pages in a browser on the same
//! machine. A page can send requests to 127.0.0.1, and by DNS rebinding even read the answers under a name of its own;
//! the `Origin` header betrays the first and the `Host` header the second. To a WebSocket the rule that a page may not read
//! the answers of others does not apply at all: there only the `Origin` keeps it out.
//!
//! A request that carries the token is nobody's but the holder's: a browser adds it to none by itself. It may name any
//! origin, as those of dashboards do whose own server passes the browser's headers on (Headlamp).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use k8s_openapi::ByteString;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::Refusal;
use super::registry::{self, is_of_registry};
use super::web;
use super::websocket::token;

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Every request but those for health, and for the files of the dashboard, must carry it.
    pub token: Option<String>,
    /// The server listens on loopback only, so it can be reached by few names.
    pub loopback: bool,
}

impl Access {
    /// Whether this is the server's token.
    pub fn is_token(&self, given: &str) -> bool {
        self.token.as_deref().is_some_and(|token| same(given, token))
    }
}

/// Puts the guard before every route, and before the answers to paths that are no route. Handlers can ask for the
/// access by which a request was let in, as an extension.
pub fn guarded(router: Router, access: Access) -> Router {
    let known = Extension(Arc::new(access.clone()));
    router.layer(known).layer(from_fn_with_state(access, guard))
}

async fn guard(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    match check(&access, request.uri(), request.headers()) {
        Ok(()) => {
            token::remove(request.headers_mut());
            next.run(request).await
        }
        Err(Refusal::Unauthorized) if is_of_registry(request.uri().path()) => {
            registry::Error::new(registry::Code::Unauthorized, "give the server's token as password").into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn check(access: &Access, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let host = uri.authority().map(|a| a.as_str()).or(text(header::HOST)).unwrap_or_default();
    if access.loopback && !is_loopback(host) {
        return Err(Refusal::Forbidden(format!(
            "this server listens on loopback and answers only to localhost, 127.0.0.1 and [::1], not to {host:?}: a \
             foreign name can be the DNS rebinding of a web page"
        )));
    }
    let holds_token = holds_token(access, headers)?;
    // A request with a header that is not text has one that does not match.
    if !holds_token
        && headers.contains_key(header::ORIGIN)
        && !same_origin(text(header::ORIGIN).unwrap_or_default(), host)
    {
        return Err(Refusal::Forbidden("requests from web pages of another origin are not allowed".to_owned()));
    }
    let is_public = is_health(uri.path()) || web::is_public(uri.path(), headers);
    let holds_password = || is_of_registry(uri.path()) && holds_password(access, headers);
    match access.token.is_none() || holds_token || is_public || holds_password() {
        true => Ok(()),
        false => Err(Refusal::Unauthorized),
    }
}

/// Whether there is a token and the request carries it, in its header or as a WebSocket carries it.
fn holds_token(access: &Access, headers: &HeaderMap) -> Result<bool, Refusal> {
    if access.token.is_none() {
        return Ok(false);
    }
    let header = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.split_once(' '));
    let header = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    if header.is_some_and(|given| access.is_token(given)) {
        return Ok(true);
    }
    let protocol = token::find(headers).map_err(Refusal::bad)?;
    Ok(protocol.is_some_and(|given| access.is_token(&given)))
}

/// What clients of registries send: `USER:PASSWORD` in base64. Whoever it is, the token is the password. A browser may send it
/// by itself, for a page of another origin, too; so it says nothing about the origin.
fn holds_password(access: &Access, headers: &HeaderMap) -> bool {
    let header = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.split_once(' '));
    let Some((_, given)) = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")) else { return false };
    let decoded = serde_json::from_value::<ByteString>(Value::String(given.trim().to_owned()));
    let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes.0).ok());
    text.is_some_and(|text| text.split_once(':').is_some_and(|(_, password)| access.is_token(password)))
}

/// The summaries, which say no more than that something fails, as at the API server (`system:public-info-viewer`).
fn is_health(path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "/livez" | "/readyz" | "/healthz")
}

/// Compares in a time that does not depend on where the two differ: what is compared are digests, whose bytes nobody
/// can choose.
fn same(a: &str, b: &str) -> bool {
    Sha256::digest(a.as_bytes()) == Sha256::digest(b.as_bytes())
}

/// `host` as in a `Host` header: a name or an address, perhaps with a port.
fn is_loopback(host: &str) -> bool {
    let (name, port) = split(host);
    matches!(name.to_ascii_lowercase().as_str(), "localhost" | "127.0.0.1" | "[::1]")
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Name and port; the brackets of an IPv6 address stay with it.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// A page that this server sent, under whichever of its names.
fn same_origin(origin: &str, host: &str) -> bool {
    let Some((scheme, from)) = origin.split_once("://") else { return false };
    if !matches!(scheme, "http" | "https") {
        return false;
    }
    from.eq_ignore_ascii_case(host)
        || (scheme == "http" && is_loopback(from) && is_loopback(host) && split(from).1 == split(host).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(access: &Access, path: &str, headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        check(access, &path.parse().unwrap(), &headers)
    }

    #[test]
    fn a_server_on_loopback_answers_to_its_own_names_only() {
        let access = Access { token: None, loopback: true };
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]", "[::1]:80"] {
            assert_eq!(ask(&access, "/api", &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "localhost:x", "", "[::2]:80", "127.0.0.1@evil"] {
            assert!(ask(&access, "/livez", &[("host", host)]).is_err(), "{host}");
        }
        assert!(ask(&Access::default(), "/api", &[("host", "kiln.example")]).is_ok());
    }

    #[test]
    fn only_pages_of_this_server_may_ask() {
        let access = Access { token: None, loopback: true };
        let from = |origin| ask(&access, "/api", &[("host", "localhost:8080"), ("origin", origin)]);
        assert!(from("http://localhost:8080").is_ok());
        assert!(from("http://127.0.0.1:8080").is_ok());
        for origin in ["http://localhost:9090", "null", "https://evil.example", "http://localhost", "file://", ""] {
            assert!(from(origin).is_err(), "{origin}");
        }
    }

    #[test]
    fn a_websocket_of_a_foreign_page_is_refused_unless_it_has_the_token() {
        let protocols = "base64.binary.k8s.io, base64url.bearer.authorization.k8s.io.czNjcmV0";
        let foreign = [("host", "localhost:1"), ("upgrade", "websocket"), ("origin", "https://evil.example")];
        let with_token = [foreign.as_slice(), &[("sec-websocket-protocol", protocols)]].concat();
        let open = Access { token: None, loopback: true };
        for headers in [&foreign[..], &with_token] {
            assert!(matches!(ask(&open, "/api", headers), Err(Refusal::Forbidden(_))), "nothing of its own lets it in");
        }
        let access = Access { token: Some("s3cret".to_owned()), loopback: true };
        assert!(matches!(ask(&access, "/api", &foreign), Err(Refusal::Forbidden(_))));
        assert_eq!(ask(&access, "/api", &with_token), Ok(()));
        let other = Access { token: Some("other".to_owned()), loopback: true };
        assert!(ask(&other, "/api", &with_token).is_err());
        // Headlamp's server sends the token in its header, and the origin of the page.
        let proxied =
            [("host", "localhost:1"), ("origin", "http://localhost:4466"), ("authorization", "Bearer s3cret")];
        assert_eq!((ask(&access, "/api", &proxied), ask(&open, "/api", &proxied).is_err()), (Ok(()), true));
        let alone = [("upgrade", "websocket"), ("sec-websocket-protocol", protocols.split_once(", ").unwrap().1)];
        let refused = ask(&Access { loopback: false, ..access }, "/api", &alone).unwrap_err().to_string();
        assert!(refused.contains("additional subprotocol"), "{refused}");
    }

    #[test]
    fn a_token_opens_everything_and_health_needs_none() {
        let access = Access { token: Some("s3cret".to_owned()), loopback: false };
        assert!(ask(&access, "/api", &[("authorization", "Bearer s3cret")]).is_ok());
        assert!(ask(&access, "/api", &[("authorization", "bearer s3cret")]).is_ok());
        for wrong in ["Bearer s3cre", "Bearer ", "Basic s3cret", "s3cret"] {
            assert_eq!(ask(&access, "/api", &[("authorization", wrong)]), Err(Refusal::Unauthorized), "{wrong}");
        }
        assert_eq!(ask(&access, "/api", &[]), Err(Refusal::Unauthorized));
        assert_eq!(ask(&access, "/readyz?verbose", &[]), Ok(()));
        // `me:s3cret` and `me:wrong`.
        let basic = |path, pair: &str| ask(&access, path, &[("authorization", &format!("Basic {pair}"))]);
        assert_eq!(basic("/v2/", "bWU6czNjcmV0"), Ok(()));
        for (path, pair) in [("/v2/", "bWU6d3Jvbmc="), ("/v2/", "czNjcmV0"), ("/v2/", "%"), ("/v2x", "bWU6czNjcmV0")] {
            assert_eq!(basic(path, pair), Err(Refusal::Unauthorized), "{path} {pair}");
        }
        let page = [("authorization", "Basic bWU6czNjcmV0"), ("host", "a"), ("origin", "http://b")];
        assert!(matches!(ask(&access, "/v2/", &page), Err(Refusal::Forbidden(_))), "a browser sends it by itself");
        assert_eq!(ask(&access, "/", &[("accept", "text/html")]), Ok(()));
        assert_eq!(ask(&access, "/web/app.js", &[]), Ok(()));
        for path in ["/readyzx", "/readyz/store", "/metrics", "/", "/webx", "/modules"] {
            assert_eq!(ask(&access, path, &[]), Err(Refusal::Unauthorized), "{path}");
        }
    }
}
