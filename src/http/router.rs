//! Every route, on one page.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use serde_json::{Value, json};

use super::error::{Refusal, json_response};
use super::{Api, delete, discovery, health, list, metrics, openapi, pod_log, resource, review};
use crate::api::Kind;

/// The API. The caller may merge further routes, and puts all behind [`super::guarded`].
pub fn router(api: Api) -> Router {
    // The clients that are generated from Kubernetes' OpenAPI document end these with a slash, others do not.
    let mut router = ["", "/"].into_iter().fold(Router::new(), |router, slash| {
        router
            .route(&format!("/api{slash}"), get(core_versions))
            .route(&format!("/apis{slash}"), get(groups))
            .route(&format!("/api/{{version}}{slash}"), get(core_resources))
            .route(&format!("/apis/{{group}}{slash}"), get(group))
            .route(&format!("/apis/{{group}}/{{version}}{slash}"), get(group_resources))
            .route(&format!("/version{slash}"), get(version))
    });
    router = router
        .route("/openapi/v3", get(openapi_index))
        .route("/openapi/v3/{*path}", get(openapi_document))
        .route("/metrics", get(metrics::read))
        .route("/livez", get(health::live))
        .route("/livez/{check}", get(health::live_one))
        .route("/readyz", get(health::ready))
        .route("/readyz/{check}", get(health::ready_one))
        .route("/healthz", get(health::healthy))
        .route("/healthz/{check}", get(health::ready_one));
    for &kind in Kind::ALL {
        router = router.merge(resource_routes(kind));
    }
    router
        .merge(review::routes())
        .method_not_allowed_fallback(|| async { Refusal::NoSuchMethod })
        // `/openapi/v2` too: kubectl reads it as protobuf only, and does without.
        .fallback(|| async { Refusal::NoSuchPath })
        .with_state(api)
}

fn resource_routes(kind: Kind) -> Router<Api> {
    let info = kind.info();
    let base =
        if info.group.is_empty() { format!("/api/{}", info.version) } else { format!("/apis/{}", info.api_version()) };
    let all = format!("{base}/{}", info.plural);
    let mut router = Router::new();
    let collection = if info.namespaced {
        router = router.route(&all, get(list::collection));
        format!("{base}/namespaces/{{namespace}}/{}", info.plural)
    } else {
        all
    };
    let object = format!("{collection}/{{name}}");
    router = router
        .route(&collection, get(list::collection).post(resource::create))
        .route(&object, get(resource::get).put(resource::update).patch(resource::patch).delete(delete::delete));
    if info.has_status {
        let status = get(resource::get).put(resource::update_status).patch(resource::patch_status);
        router = router.route(&format!("{object}/status"), status);
    }
    if kind == Kind::Pod {
        router = router.route(&format!("{object}/log"), get(pod_log::read));
        for absent in ["attach", "ephemeralcontainers", "exec", "portforward"] {
            router = router.route(&format!("{object}/{absent}"), any(move || no_such_thing(absent)));
        }
    }
    if kind == Kind::ServiceAccount {
        router = router.route(&format!("{object}/token"), any(|| no_such_thing("token")));
    }
    router.layer(Extension(kind))
}

async fn no_such_thing(what: &'static str) -> Refusal {
    Refusal::NotImplemented(match what {
        "portforward" => "a pod here is a WASI module without a network: there is no port to forward".to_owned(),
        "token" => "kiln has no tokens for service accounts: modules have no access to the API, and clients use the \
                    server's own token"
            .to_owned(),
        "ephemeralcontainers" => {
            "a pod here has the containers that it starts with: none can be added to debug it".to_owned()
        }
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
        return ok(&older());
    }
    let mut response = ok(&aggregated());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(discovery::AGGREGATED));
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

async fn openapi_index() -> Response {
    json_response(StatusCode::OK, openapi::index())
}

async fn openapi_document(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let document = openapi::document(&path).ok_or(Refusal::NoSuchPath)?;
    let etag = format!("\"{}\"", document.hash);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let mut response = json_response(StatusCode::OK, document.bytes.as_slice());
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
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
