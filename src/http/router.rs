//! Every route, on one page.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post, put};
use axum::{Extension, Router};
use serde_json::{Value, json};

use super::error::{Refusal, in_view, json_response};
use super::{
    Api, delete, delete_collection, discovery, health, list, metrics, openapi, pod_actions, pod_log, resource, review,
    services, top, web, yaml,
};
use crate::api::{ApiError, Kind, Served, module};

/// The API. The caller may merge further routes, and puts all behind [`super::guarded`].
pub fn router(api: Api) -> Router {
    let mut router = Router::new();
    // Some clients, such as the one for Python, write these with a slash at their end.
    for end in ["", "/"] {
        router = router
            .route(&format!("/api{end}"), get(core_versions))
            .route(&format!("/apis{end}"), get(groups))
            .route(&format!("/api/{{version}}{end}"), get(core_resources))
            .route(&format!("/apis/{{group}}{end}"), get(group))
            .route(&format!("/apis/{{group}}/{{version}}{end}"), get(group_resources))
            .route(&format!("/version{end}"), get(version));
    }
    router = router
        .route("/openapi/v2", get(openapi_v2))
        .route("/openapi/v3", get(openapi_index))
        .route("/openapi/v3/{*path}", get(openapi_document))
        .route("/metrics", get(metrics::read))
        .route("/livez", get(health::live))
        .route("/livez/{check}", get(health::live_one))
        .route("/readyz", get(health::ready))
        .route("/readyz/{check}", get(health::ready_one))
        .route("/healthz", get(health::healthy))
        .route("/healthz/{check}", get(health::ready_one));
    for served in Served::all() {
        router = router.merge(resource_routes(served));
    }
    router
        .merge(review::routes())
        .merge(services::routes())
        .merge(top::routes())
        .merge(web::routes())
        .method_not_allowed_fallback(|| async { Refusal::NoSuchMethod })
        .fallback(|| async { Refusal::NoSuchPath })
        .layer(from_fn(yaml::as_wanted))
        .with_state(api)
}

/// A path with and without a slash at its end, as at the API server, whose router does not look at empty parts.
fn both(router: Router<Api>, path: &str, methods: &MethodRouter<Api>) -> Router<Api> {
    router.route(path, methods.clone()).route(&format!("{path}/"), methods.clone())
}

fn resource_routes(served: Served) -> Router<Api> {
    let (kind, info) = (served.kind(), served.info());
    let base =
        if info.group.is_empty() { format!("/api/{}", info.version) } else { format!("/apis/{}", info.api_version()) };
    let all = format!("{base}/{}", info.plural);
    let mut router = Router::new();
    let collection = if info.namespaced {
        router = both(router, &all, &get(list::collection));
        format!("{base}/namespaces/{{namespace}}/{}", info.plural)
    } else {
        all
    };
    let object = format!("{collection}/{{name}}");
    let mut whole = get(list::collection);
    whole = match discovery::verbs(kind).contains(&"create") {
        true => whole.post(resource::create),
        // Said before the body is looked at: nothing in it would help.
        false => whole.post(|| async { Refusal::from(ApiError::MethodNotAllowed(module::HOW_TO_MAKE.to_owned())) }),
    };
    if discovery::verbs(kind).contains(&"deletecollection") {
        whole = whole.delete(delete_collection::delete_collection);
    }
    router = both(router, &collection, &whole);
    let one = get(resource::get).put(resource::update).patch(resource::patch).delete(delete::delete);
    router = both(router, &object, &one);
    for sub in discovery::subresources(kind) {
        let methods = match sub.name {
            "binding" => post(pod_actions::bind),
            "eviction" => post(pod_actions::evict),
            "finalize" => put(resource::finalize),
            "log" => get(pod_log::read),
            _ => get(resource::get).put(resource::update_status).patch(resource::patch_status),
        };
        router = both(router, &format!("{object}/{}", sub.name), &methods);
    }
    if kind == Kind::Pod {
        let bindings = format!("{base}/namespaces/{{namespace}}/{}", discovery::BINDINGS.plural);
        router = router.route(&bindings, post(pod_actions::bind_named));
        for absent in ["attach", "ephemeralcontainers", "exec", "portforward", "proxy", "resize"] {
            router = router.route(&format!("{object}/{absent}"), any(move || no_such_thing(absent)));
        }
    }
    if kind == Kind::ServiceAccount {
        router = router.route(&format!("{object}/token"), any(|| no_such_thing("token")));
    }
    if matches!(kind, Kind::Pod | Kind::Node) {
        router = router.route(&format!("{object}/proxy/{{*path}}"), any(|| no_such_thing("proxy")));
    }
    if kind == Kind::Node {
        router = router.route(&format!("{object}/proxy"), any(|| no_such_thing("proxy")));
    }
    let router = router.layer(Extension(served));
    match served {
        Served::Stored(_) => router,
        view => router.layer(from_fn_with_state(view, in_view)),
    }
}

async fn no_such_thing(what: &'static str) -> Refusal {
    Refusal::NotImplemented(match what {
        "portforward" => "a pod here is a WASI module without a network: there is no port to forward".to_owned(),
        "token" => "kiln has no tokens for service accounts: modules have no access to the API, and clients use the \
                    server's own token"
            .to_owned(),
        "proxy" => "pods and nodes here have no ports: there is nothing to pass a request on to".to_owned(),
        "ephemeralcontainers" => "a pod here is a WASI module, one program without a shell: no container can be added \
                                  to it while it runs"
            .to_owned(),
        "resize" => "what a WASI module may use is fixed when it starts: a pod cannot be resized; delete it and \
                     create it anew"
            .to_owned(),
        what => format!("a pod here is a WASI module, one program without a shell: there is nothing to {what}"),
    })
}

fn ok(value: &Value) -> Response {
    json_response(StatusCode::OK, value.to_string())
}

/// Discovery has two forms; the newer one is told by its content type.
fn discovered(headers: &HeaderMap, aggregated: fn() -> Value, older: fn() -> Value) -> Response {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    let wants = |clause: &str| {
        let has = |param| clause.split(';').any(|part| part.trim() == param);
        has("g=apidiscovery.k8s.io") && has("v=v2") && has("as=APIGroupDiscoveryList")
    };
    if !accepts.into_iter().any(wants) {
        let mut response = ok(&older());
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        return response;
    }
    let text = aggregated().to_string();
    let mut response = tagged(headers, &openapi::hash(text.as_bytes()), text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(discovery::AGGREGATED));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// A document of which a client may know this version already.
fn tagged(headers: &HeaderMap, hash: &str, document: impl Into<Body>) -> Response {
    let etag = format!("\"{hash}\"");
    let mut response = match headers.get(header::IF_NONE_MATCH) {
        Some(known) if known.as_bytes() == etag.as_bytes() => StatusCode::NOT_MODIFIED.into_response(),
        _ => json_response(StatusCode::OK, document),
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

async fn core_versions(headers: HeaderMap) -> Response {
    discovered(&headers, discovery::aggregated_core, discovery::core_versions)
}

async fn groups(headers: HeaderMap) -> Response {
    discovered(&headers, discovery::aggregated_groups, discovery::groups)
}

async fn group(Path(group): Path<String>) -> Result<Response, Refusal> {
    discovery::group(&group).map(|g| ok(&g)).ok_or(Refusal::NoSuchPath)
}

async fn core_resources(Path(version): Path<String>) -> Result<Response, Refusal> {
    discovery::resources("", &version).map(|r| ok(&r)).ok_or(Refusal::NoSuchPath)
}

async fn group_resources(Path((group, version)): Path<(String, String)>) -> Result<Response, Refusal> {
    discovery::resources(&group, &version).map(|r| ok(&r)).ok_or(Refusal::NoSuchPath)
}

async fn openapi_v2(headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    if !accepted.any(openapi::v2::wants_protobuf) {
        let json = openapi::v2::json();
        return tagged(&headers, &json.hash, json.bytes.as_slice());
    }
    let protobuf = openapi::v2::protobuf();
    let mut response = tagged(&headers, &protobuf.hash, protobuf.bytes.as_slice());
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(openapi::v2::PROTOBUF));
    }
    response
}

async fn openapi_index() -> Response {
    json_response(StatusCode::OK, openapi::index())
}

async fn openapi_document(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let document = openapi::document(&path).ok_or(Refusal::NoSuchPath)?;
    Ok(tagged(&headers, &document.hash, document.bytes.as_slice()))
}

/// The version of Kubernetes whose API this is, and our own.
async fn version() -> Response {
    ok(&json!({
        "major": "1",
        "minor": "37",
        "gitVersion": concat!("v1.37.0+kiln-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    }))
}
