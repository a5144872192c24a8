//! Whole requests to the API on a real store: method, path with query, headers and body. Never a panic and never a 500,
//! and what a list answers can be read.

#![no_main]

use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use kiln::clock::Clock;
use kiln::config::ServerLimits;
use kiln::http::{Access, Api, Server as Shared, guarded, router};
use kiln::ids::Ids;
use kiln::logs::Logs;
use kiln::store::{Store, Tx};
use libfuzzer_sys::fuzz_target;
use prometheus_client::registry::Registry;
use tower::ServiceExt;

const METHODS: [Method; 6] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
const TYPES: [&str; 8] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "text/plain",
];
const ANSWERS: [&str; 4] = [
    "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
];
const MOST: usize = 64 << 20;

struct Server {
    runtime: tokio::runtime::Runtime,
    router: Router,
    _dir: tempfile::TempDir,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path(), 1024).expect("an empty store opens");
    for object in kiln_fuzz::world() {
        store.commit(Tx::new().create(object)).expect("the store is empty");
    }
    let clock = Clock::real();
    let shared = Shared::new(ServerLimits::default(), clock.clone(), Registry::default(), Vec::new());
    let api = Api::new(store.clone(), Logs::new(store, clock), Ids::seeded(1), shared);
    let router = guarded(router(api), Access { token: None, loopback: true });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    Server { runtime, router, _dir: dir }
});

// A byte for the method, one for the types, a line with the path, and the body.
fuzz_target!(|data: &[u8]| {
    let [choice, form, rest @ ..] = data else { return };
    let (path, body) = rest.split_at(rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()));
    let Ok(path) = std::str::from_utf8(path) else { return };
    let body = body.get(1..).unwrap_or_default();
    // Watches and followed logs end when their client does.
    if path.contains("watch") || path.contains("follow") || path.contains("sendInitialEvents") {
        return;
    }
    let request = Request::builder()
        .method(METHODS[usize::from(*choice) % METHODS.len()].clone())
        .uri(format!("/{}", path.trim_start_matches('/')))
        .header("host", "127.0.0.1")
        .header("content-type", TYPES[usize::from(*form) % TYPES.len()])
        .header("accept", ANSWERS[usize::from(*form / 8) % ANSWERS.len()])
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else { return };
    let told = format!("{request:?}");
    let server = &*SERVER;
    server.runtime.block_on(async {
        let answer = server.router.clone().oneshot(request).await.expect("the router is infallible");
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), MOST).await.expect("the body ends");
        // What is not well says so by a 500, as at the API server; there is no node here.
        let asks_for_health = ["/readyz", "/healthz", "/livez"].iter().any(|health| told.contains(health));
        assert!(
            status != StatusCode::INTERNAL_SERVER_ERROR || asks_for_health,
            "{told}: {}",
            String::from_utf8_lossy(&bytes)
        );
    });
});
