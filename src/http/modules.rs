//! Modules over HTTP: `curl -T pi.wasm http://127.0.0.1:8080/modules/pi:1.0`, then `GET /modules` to see what is there.
//!
//! An upload goes to the disk as it comes, through a short queue: a slow disk slows the client down, and memory does
//! not grow. A connection that breaks leaves nothing behind.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::error::Refusal;
use super::server::Server;
use crate::api::module::{Module, ModuleSpec, ModuleStatus};
use crate::config::ServerLimits;
use crate::modules::pieces::{Piece, pieces};
use crate::modules::{
    BlobError, DeleteError, Deleted, ImportError, MAX_MODULE, Modules, ProgramError, PutError, Reference, digest_of,
};
use crate::sandbox::ProgramKind;
use crate::store::CommitError;

#[derive(Clone)]
struct Served {
    modules: Modules,
    server: Arc<Server>,
}

/// `GET /modules`, and `GET`, `PUT` and `DELETE` of `/modules/NAME[:TAG]`, of which the name may have slashes.
pub fn routes(modules: Modules, server: Arc<Server>) -> Router {
    Router::new()
        .route("/modules", get(list))
        .route("/modules/{*name}", get(show).put(upload).delete(delete))
        .with_state(Served { modules, server })
}

async fn list(State(served): State<Served>) -> Response {
    let rows: Vec<_> = served.modules.index().list().iter().map(|module| info(module)).collect();
    Json(rows).into_response()
}

async fn show(State(served): State<Served>, Path(name): Path<String>) -> Response {
    let reference = match parse(&name) {
        Ok(reference) => reference,
        Err(refusal) => return *refusal,
    };
    let index = served.modules.index();
    match (index.resolve(&reference), index.get(&reference)) {
        (Some(digest), Some(module)) if digest_of(&module) == Some(digest) => Json(info(&module)).into_response(),
        (Some(digest), _) => Json(json!({ "name": reference.name, "digest": digest.to_string() })).into_response(),
        (None, _) => status(StatusCode::NOT_FOUND, "NotFound", &format!("there is no module {reference}")),
    }
}

/// 201 if the name means something new from now on, 200 if it meant these very bytes before.
async fn upload(State(served): State<Served>, Path(name): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let reference = match parse(&name) {
        Ok(reference) => reference,
        Err(refusal) => return *refusal,
    };
    // Before the first byte is read: a client that waits for `100 Continue` need not send any.
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_MODULE) {
        return refuse(ImportError::Blob(BlobError::TooLarge { limit: MAX_MODULE }));
    }
    let (queue, received) = pieces();
    let now = served.server.clock.now();
    let import = served.modules.import(&reference, received, now);
    let (imported, is_slow) = tokio::join!(import, receive(body, queue, &served.server));
    if is_slow {
        return Refusal::TooSlow.into_response();
    }
    match imported {
        Ok(imported) => {
            let kind = match imported.facts.kind {
                ProgramKind::Core => "core",
                ProgramKind::Component => "component",
            };
            let digest = imported.digest.to_string();
            let Reference { name, tag, .. } = reference;
            let answer = json!({ "name": name, "tag": tag, "digest": digest, "size": imported.size, "kind": kind });
            let code = if imported.is_new { StatusCode::CREATED } else { StatusCode::OK };
            (code, Json(answer)).into_response()
        }
        Err(error) => refuse(error),
    }
}

/// `?force=true` also deletes what somebody uses.
async fn delete(
    State(served): State<Served>,
    Path(name): Path<String>,
    Query(options): Query<DeleteQuery>,
) -> Response {
    let reference = match parse(&name) {
        Ok(reference) => reference,
        Err(refusal) => return *refusal,
    };
    match served.modules.delete(&reference, options.force, served.server.clock.now()).await {
        Ok(Deleted { digest, is_gone }) => {
            let code = if is_gone { StatusCode::OK } else { StatusCode::ACCEPTED };
            let Reference { name, tag, .. } = reference;
            (code, Json(json!({ "name": name, "tag": tag, "digest": digest.map(|d| d.to_string()) }))).into_response()
        }
        Err(error) => {
            let (code, reason) = match &error {
                DeleteError::NotFound(_) => (StatusCode::NOT_FOUND, "NotFound"),
                DeleteError::Ambiguous(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
                DeleteError::Used { .. } => (StatusCode::CONFLICT, "Conflict"),
                DeleteError::Commit(CommitError::ReadOnly(_)) | DeleteError::Disk(_) => {
                    (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
                }
                DeleteError::Commit(_) => (StatusCode::CONFLICT, "Conflict"),
            };
            status(code, reason, &error.to_string())
        }
    }
}

#[derive(Deserialize)]
struct DeleteQuery {
    #[serde(default)]
    force: bool,
}

/// What is told of a name; the rest is in its Module.
fn info(module: &Module) -> serde_json::Value {
    let ModuleSpec { name, tag, digest, .. } = module.spec.clone().unwrap_or_default();
    let ModuleStatus { size, pushed, .. } = module.status.clone().unwrap_or_default();
    json!({ "name": name, "tag": tag, "digest": digest, "size": size, "pushed": pushed })
}

fn parse(name: &str) -> Result<Reference, Box<Response>> {
    name.parse().map_err(|error: crate::modules::ReferenceError| {
        Box::new(status(StatusCode::BAD_REQUEST, "BadRequest", &error.to_string()))
    })
}

/// Hands the body on until it ends or nobody wants the rest. True if it came too slowly, and was given up.
pub(super) async fn receive(body: Body, queue: mpsc::Sender<Piece>, server: &Server) -> bool {
    let mut pieces = body.into_data_stream();
    let (begun, mut received) = (server.clock.instant(), 0);
    // The time that the disk took is not the client's.
    let mut not_theirs = Duration::ZERO;
    loop {
        let due = begun + not_theirs + time_for(received, &server.limits);
        let left = due.saturating_duration_since(server.clock.instant());
        let piece = tokio::select! {
            piece = pieces.next() => piece.transpose().map_err(io::Error::other),
            () = queue.closed() => return false,
            () = server.clock.sleep(left) => {
                let _ = queue.send(Err(io::ErrorKind::TimedOut.into())).await;
                return true;
            }
        };
        let is_last = !matches!(piece, Ok(Some(_)));
        received += piece.as_ref().ok().and_then(Option::as_ref).map_or(0, |piece| piece.len() as u64);
        let came = server.clock.instant();
        if queue.send(piece).await.is_err() || is_last {
            return false;
        }
        not_theirs += server.clock.instant().saturating_duration_since(came);
    }
}

/// By when so many bytes and one more must have come.
fn time_for(received: u64, limits: &ServerLimits) -> Duration {
    let earned = received as f64 / limits.upload_bytes_per_second as f64;
    Duration::from_secs(limits.body_seconds) + Duration::from_secs_f64(earned)
}

fn refuse(error: ImportError) -> Response {
    let (code, reason) = match &error {
        ImportError::Source(_) | ImportError::Blob(BlobError::Mismatch { .. }) => {
            (StatusCode::BAD_REQUEST, "BadRequest")
        }
        ImportError::Blob(BlobError::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
        ImportError::Blob(BlobError::Full(_)) => (StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage"),
        ImportError::Program(ProgramError::Refused(_)) => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
        ImportError::Name(PutError::Taken { .. } | PutError::Deleting(_)) => (StatusCode::CONFLICT, "Conflict"),
        ImportError::Name(PutError::Commit(CommitError::ReadOnly(_))) | ImportError::Disk(_) | ImportError::GivenUp => {
            (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
    };
    if code.is_server_error() {
        tracing::error!(%error, "a module could not be taken in");
    }
    status(code, reason, &error.to_string())
}

/// An error as Kubernetes words it.
fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    (code, Json(status)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use bytes::Bytes;
    use futures::stream;
    use prometheus_client::registry::Registry;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::clock::Clock;
    use crate::modules::testing::{LIBRARY, Opened, PROGRAM, another_program};

    struct Server {
        opened: Opened,
        routes: Router,
        clock: Clock,
    }

    impl Server {
        fn new() -> Server {
            let opened = Opened::new();
            let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
            let shared = super::Server::new(ServerLimits::default(), clock.clone(), Registry::default(), Vec::new());
            Server { routes: routes(opened.modules.clone(), shared), opened, clock }
        }

        async fn send(&self, request: Request<Body>) -> (u16, Value) {
            let answer = self.routes.clone().oneshot(request).await.unwrap();
            let code = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            (code, serde_json::from_slice(&body).unwrap_or_default())
        }

        async fn put(&self, name: &str, body: impl Into<Body>) -> (u16, Value) {
            self.send(Request::put(format!("/modules/{name}")).body(body.into()).unwrap()).await
        }

        async fn get(&self, path: &str) -> (u16, Value) {
            self.send(Request::get(path).body(Body::empty()).unwrap()).await
        }
    }

    #[tokio::test]
    async fn what_is_put_is_there_and_listed() {
        let server = Server::new();
        assert_eq!(server.get("/modules").await, (200, json!([])));
        let digest = crate::modules::Digest::of(PROGRAM).to_string();
        let size = PROGRAM.len();
        let name = "docker.io/library/pi";
        let put = json!({ "name": name, "tag": "1.29", "digest": digest, "size": size, "kind": "core" });
        assert_eq!(server.put("docker.io/library/pi:1.29", PROGRAM).await, (201, put.clone()));
        assert_eq!(server.put("docker.io/library/pi:1.29", PROGRAM).await, (200, put));
        let info =
            json!({ "name": name, "tag": "1.29", "digest": digest, "size": size, "pushed": "1970-01-01T00:00:00Z" });
        assert_eq!(server.get("/modules/docker.io/library/pi:1.29").await, (200, info.clone()));
        assert_eq!(server.get("/modules").await, (200, json!([info])));
        let by_digest = json!({ "name": "x", "digest": digest });
        assert_eq!(server.get(&format!("/modules/x@{digest}")).await, (200, by_digest));
        // The tag moves.
        assert_eq!(server.put("docker.io/library/pi:1.29", another_program(1)).await.0, 201);
    }

    #[tokio::test]
    async fn refusals_say_why_and_leave_nothing() {
        let server = Server::new();
        let absent = format!("pi@sha256:{}", "0".repeat(64));
        for (name, body, code, reason, part) in [
            ("lib", LIBRARY, 422, "Invalid", "it exports no `_start`"),
            ("text", &b"hello"[..], 422, "Invalid", "it looks like text"),
            ("nothing", &b""[..], 422, "Invalid", "the file is empty"),
            ("Pi", PROGRAM, 400, "BadRequest", "upper-case"),
            ("pi:", PROGRAM, 400, "BadRequest", "not a valid tag"),
            (&*absent, PROGRAM, 400, "BadRequest", "was announced"),
        ] {
            let (found, status) = server.put(name, body).await;
            assert_eq!((found, &status["code"], &status["reason"]), (code, &json!(code), &json!(reason)), "{status}");
            assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Failure")));
            assert!(status["message"].as_str().unwrap().contains(part), "{status}");
        }
        let (code, status) = server.get("/modules/pi").await;
        assert_eq!((code, &status["message"]), (404, &json!("there is no module pi:latest")));
        assert_eq!(server.get("/modules").await, (200, json!([])));
        assert_eq!(server.opened.files(), (0, 0));
    }

    #[tokio::test]
    async fn a_name_is_deleted_unless_somebody_uses_it() {
        let server = Server::new();
        server.put("tools/pi:1", PROGRAM).await;
        let digest = crate::modules::Digest::of(PROGRAM).to_string();
        let delete = async |path: &str| server.send(Request::delete(path).body(Body::empty()).unwrap()).await;
        let pod = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"},
            "spec": {"containers": [{"name": "c", "image": "tools/pi:1"}]}});
        let pod = crate::api::Object::deserialize(crate::api::Kind::Pod, pod).unwrap();
        server.opened.store.commit(crate::store::Tx::new().create(pod)).unwrap();
        let (code, status) = delete("/modules/tools/pi:1").await;
        assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
        let message = status["message"].as_str().unwrap();
        assert!(message.contains("is used by Pod ns/p") && message.contains("?force=true"), "{message}");
        assert_eq!(delete("/modules/tools/pi:1?force=maybe").await.0, 400);
        let deleted = json!({ "name": "tools/pi", "tag": "1", "digest": digest });
        assert_eq!(delete("/modules/tools/pi:1?force=true").await, (200, deleted));
        assert_eq!(delete("/modules/tools/pi:1").await.0, 404);
        assert_eq!(delete(&format!("/modules/pi:1@{digest}")).await.0, 400);
        assert_eq!(delete("/modules/Pi").await.0, 400);
    }

    #[tokio::test]
    async fn a_module_that_is_announced_too_large_is_refused_before_it_is_read() {
        let server = Server::new();
        let never = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        let request = Request::put("/modules/pi").header("content-length", MAX_MODULE + 1).body(never).unwrap();
        let (code, status) = server.send(request).await;
        assert_eq!((code, &status["reason"]), (413, &json!("RequestEntityTooLarge")));
        // Announced or not, it is refused where it becomes too large, and the rest is not read.
        let piece = Bytes::from(vec![0; 1 << 20]);
        let endless = Body::from_stream(stream::repeat_with(move || io::Result::Ok(piece.clone())));
        assert_eq!(server.put("pi", endless).await.0, 413);
        assert_eq!(server.opened.files(), (0, 0));
    }

    #[tokio::test]
    async fn an_upload_that_hangs_is_given_up_and_one_that_goes_on_is_not() {
        let server = Server::new();
        let limits = ServerLimits::default();
        assert_eq!(time_for(0, &limits), Duration::from_secs(30));
        assert_eq!(time_for(256 << 20, &limits), Duration::from_secs(30 + (16 << 10)));
        let begin = stream::iter([io::Result::Ok(Bytes::from_static(&PROGRAM[..20]))]);
        let put = server.put("pi", Body::from_stream(begin.chain(stream::pending())));
        let passes = async {
            loop {
                server.clock.advance(Duration::from_secs(1));
                tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await.unwrap_err();
            }
        };
        let (code, status) = tokio::select! {
            answer = put => answer,
            () = passes => unreachable!(),
        };
        assert_eq!((code, &status["reason"]), (408, &json!("Timeout")), "{status}");
        server.opened.settle(0).await;
        assert_eq!(server.opened.files(), (0, 0));
    }

    #[tokio::test]
    async fn a_broken_connection_leaves_nothing() {
        let server = Server::new();
        let begin = || stream::iter([Ok(Bytes::from_static(&PROGRAM[..20]))]);
        let broken = begin().chain(stream::iter([Err(io::Error::from(io::ErrorKind::ConnectionReset))]));
        let (code, status) = server.put("pi", Body::from_stream(broken)).await;
        assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")), "{status}");
        // A server drops the handler when it notices. All of the module has come by then, but not its end.
        let whole = stream::iter([io::Result::Ok(Bytes::from_static(PROGRAM))]);
        let stuck = Body::from_stream(whole.chain(stream::pending()));
        let request = Request::put("/modules/pi").body(stuck).unwrap();
        let upload = tokio::spawn(server.routes.clone().oneshot(request));
        while server.opened.files() != (0, 1) {
            tokio::task::yield_now().await;
        }
        upload.abort();
        server.opened.settle(0).await;
        assert_eq!(server.get("/modules").await, (200, json!([])));
    }
}
