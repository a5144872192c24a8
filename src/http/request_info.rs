//! What a request asks for, read from its method and URL alone: the words by which limits, metrics and the request log
//! speak of it (apiserver `endpoints/request/requestinfo.go`, `endpoints/metrics`). Every word is one of a fixed set,
//! whatever a client sends, so that no client can make metrics grow.

use axum::http::{Method, Uri};

use super::request::is_on;
use crate::api::Kind;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestInfo {
    /// `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `DELETE`, `DELETECOLLECTION`, or `OTHER`.
    pub verb: &'static str,
    pub group: &'static str,
    pub version: &'static str,
    /// The plural name of a kind, `modules`, or empty for everything that is no resource.
    pub resource: &'static str,
    /// Of a resource; for other paths their first part, such as `/readyz`.
    pub subresource: &'static str,
    /// `resource`, `namespace`, `cluster`, or empty.
    pub scope: &'static str,
    pub class: Class,
}

/// What is counted against which limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// Health and metrics: they must answer when all else is refused.
    Exempt,
    #[default]
    Read,
    Write,
    /// A watch, a followed log, an upload: it takes as long as its client wants.
    Long,
}

const SUBRESOURCES: [&str; 8] = ["status", "log", "attach", "exec", "portforward", "binding", "eviction", "scale"];
const OTHER_PATHS: [&str; 10] =
    ["/api", "/apis", "/openapi", "/version", "/livez", "/readyz", "/healthz", "/metrics", "/v2", "/web"];

impl RequestInfo {
    pub fn of(method: &Method, uri: &Uri) -> RequestInfo {
        let path = uri.path();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            ["modules", rest @ ..] => return RequestInfo::of_modules(method, rest.is_empty()),
            ["v2", .., "blobs", _] | ["v2", .., "blobs", "uploads", _] => return RequestInfo::of_blob(method),
            _ => return RequestInfo::of_other(method, path),
        };
        // `/namespaces/NAME` is an object, `/namespaces/NAME/jobs` a collection in it; `/status` and `/finalize` are parts
        // of the namespace itself.
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize", ..] => (false, rest),
            ["namespaces", _, rest @ ..] if !rest.is_empty() => (true, rest),
            _ => (false, rest),
        };
        let Some(kind) = rest.first().and_then(|plural| Kind::from_resource(group, version, plural)) else {
            return RequestInfo::of_other(method, path);
        };
        let info = kind.info();
        let named = rest.len() > 1;
        let subresource = rest.get(2).map_or("", |found| among(&SUBRESOURCES, found).unwrap_or("other"));
        let watches = method == Method::GET && !named && flag(uri, "watch");
        let follows = subresource == "log" && flag(uri, "follow");
        let verb = match (method.as_str(), named) {
            ("GET", false) if watches => "WATCH",
            ("GET" | "HEAD", false) => "LIST",
            ("GET" | "HEAD", true) => "GET",
            ("DELETE", false) => "DELETECOLLECTION",
            (other, _) => written(other),
        };
        RequestInfo {
            verb,
            group: info.group,
            version: info.version,
            resource: info.plural,
            subresource,
            scope: if named || verb == "POST" {
                "resource"
            } else if namespace {
                "namespace"
            } else {
                "cluster"
            },
            class: if watches || follows { Class::Long } else { class(method) },
        }
    }

    fn of_modules(method: &Method, all: bool) -> RequestInfo {
        let verb = match method.as_str() {
            "GET" | "HEAD" if all => "LIST",
            "GET" | "HEAD" => "GET",
            other => written(other),
        };
        let class = if matches!(verb, "PUT" | "POST") { Class::Long } else { class(method) };
        RequestInfo { verb, resource: "modules", scope: "cluster", class, ..RequestInfo::default() }
    }

    /// Of a registry: bytes on their way in or out take as long as their client wants.
    fn of_blob(method: &Method) -> RequestInfo {
        let class = match method.as_str() {
            "GET" | "POST" | "PATCH" | "PUT" => Class::Long,
            _ => class(method),
        };
        RequestInfo { verb: written(method.as_str()), subresource: "/v2", class, ..RequestInfo::default() }
    }

    fn of_other(method: &Method, path: &str) -> RequestInfo {
        let first = path.get(1..).and_then(|rest| rest.find('/')).map_or(path, |end| &path[..end + 1]);
        let subresource = among(&OTHER_PATHS, first).unwrap_or("");
        let exempt = matches!(subresource, "/livez" | "/readyz" | "/healthz" | "/metrics");
        let verb = match method.as_str() {
            "GET" | "HEAD" => "GET",
            other => written(other),
        };
        let class = if exempt { Class::Exempt } else { class(method) };
        RequestInfo { verb, subresource, class, ..RequestInfo::default() }
    }
}

fn class(method: &Method) -> Class {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) { Class::Read } else { Class::Write }
}

fn written(method: &str) -> &'static str {
    among(&["POST", "PUT", "PATCH", "DELETE", "GET"], method).unwrap_or("OTHER")
}

fn among(words: &[&'static str], found: &str) -> Option<&'static str> {
    words.iter().copied().find(|word| *word == found)
}

/// As [`super::request::Params::flag`] reads it; neither name can come percent-encoded from a client that means it.
fn flag(uri: &Uri, name: &str) -> bool {
    let pairs = uri.query().unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().any(|(key, value)| key == name && is_on(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, uri: &str) -> RequestInfo {
        RequestInfo::of(&method.parse().unwrap(), &uri.parse().unwrap())
    }

    #[test]
    fn a_request_is_named_as_the_api_server_names_it() {
        let jobs = "/apis/batch/v1/namespaces/a/jobs";
        for (method, uri, verb, resource, subresource, scope, class) in [
            ("GET", "/api/v1/pods", "LIST", "pods", "", "cluster", Class::Read),
            ("GET", "/api/v1/namespaces/a/pods?limit=5", "LIST", "pods", "", "namespace", Class::Read),
            ("GET", "/api/v1/pods?watch=1", "WATCH", "pods", "", "cluster", Class::Long),
            ("GET", "/api/v1/pods?watch=false", "LIST", "pods", "", "cluster", Class::Read),
            ("GET", "/api/v1/pods?watch=False", "LIST", "pods", "", "cluster", Class::Read),
            ("GET", "/api/v1/namespaces/a/pods/p", "GET", "pods", "", "resource", Class::Read),
            ("GET", "/api/v1/namespaces/a/pods/p/log", "GET", "pods", "log", "resource", Class::Read),
            ("GET", "/api/v1/namespaces/a/pods/p/log?follow=true", "GET", "pods", "log", "resource", Class::Long),
            ("POST", "/api/v1/namespaces/a/pods/p/binding", "POST", "pods", "binding", "resource", Class::Write),
            ("POST", jobs, "POST", "jobs", "", "resource", Class::Write),
            ("DELETE", jobs, "DELETECOLLECTION", "jobs", "", "namespace", Class::Write),
            ("PATCH", "/apis/batch/v1/namespaces/a/jobs/j/status", "PATCH", "jobs", "status", "resource", Class::Write),
            ("GET", "/api/v1/namespaces/a", "GET", "namespaces", "", "resource", Class::Read),
            ("PUT", "/api/v1/namespaces/a/status", "PUT", "namespaces", "status", "resource", Class::Write),
            ("PUT", "/modules/docker.io/a/b:1", "PUT", "modules", "", "cluster", Class::Long),
            ("GET", "/modules", "LIST", "modules", "", "cluster", Class::Read),
            ("GET", "/v2/a/b/blobs/sha256:1", "GET", "", "/v2", "", Class::Long),
            ("POST", "/v2/a/b/blobs/uploads/", "POST", "", "/v2", "", Class::Long),
            ("PATCH", "/v2/a/b/blobs/uploads/id", "PATCH", "", "/v2", "", Class::Long),
            ("GET", "/v2/a/b/manifests/1", "GET", "", "/v2", "", Class::Read),
            ("GET", "/readyz/store?verbose", "GET", "", "/readyz", "", Class::Exempt),
            ("GET", "/metrics", "GET", "", "/metrics", "", Class::Exempt),
            ("GET", "/web/lib/dom.js", "GET", "", "/web", "", Class::Read),
            ("GET", "/apis/batch/v1", "GET", "", "/apis", "", Class::Read),
        ] {
            let found = of(method, uri);
            let told = (found.verb, found.resource, found.subresource, found.scope, found.class);
            assert_eq!(told, (verb, resource, subresource, scope, class), "{method} {uri}");
        }
        assert_eq!((of("GET", jobs).group, of("GET", jobs).version), ("batch", "v1"));
    }

    #[test]
    fn a_client_cannot_invent_words() {
        for (method, uri) in [
            ("BREW", "/coffee"),
            ("BREW", "/api/v1/teapots/t"),
            ("GET", "/api/v1/pods/a/b"),
            ("BREW", "/%F0"),
            ("GET", "/"),
        ] {
            let found = of(method, uri);
            assert!(["OTHER", "GET"].contains(&found.verb), "{found:?}");
            assert!(["", "/api", "other"].contains(&found.subresource), "{found:?}");
            assert!(["", "pods"].contains(&found.resource), "{found:?}");
        }
    }
}
