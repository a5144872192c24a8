//! The routes without a socket, over a store in a directory that goes with the test.

mod applies;
mod connections;
mod dashboard;
mod deletes;
mod discovery;
mod events;
mod lists;
mod load;
mod logs;
mod pod_actions;
mod protobuf;
mod reviews;
mod top;
mod verbs;
mod watches;
mod websockets;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use futures::StreamExt;
use jiff::tz::TimeZone;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Api, MetricRegistries, ObjectMetrics, Server, router};
use crate::api::{Key, Kind, Object};
use crate::clock::Clock;
use crate::config::ServerLimits;
use crate::ids::Ids;
use crate::logs::Logs;
use crate::store::{Store, Tx};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

struct Fixture {
    api: Api,
    router: Router,
    clock: Clock,
    _dir: tempfile::TempDir,
}

struct Answer {
    code: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// Code and reason of a refusal.
    fn refusal(&self) -> (u16, String) {
        let status = self.json();
        assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(self.code.as_u16())), "{}", self.text);
        (self.code.as_u16(), status["reason"].as_str().unwrap().to_owned())
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }

    fn warnings(&self) -> Vec<&str> {
        self.headers.get_all("warning").iter().map(|v| v.to_str().unwrap()).collect()
    }
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with_ring(1000)
    }

    fn with_ring(ring: usize) -> Fixture {
        Fixture::with(ring, ServerLimits::default())
    }

    fn with(ring: usize, limits: ServerLimits) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), ring).unwrap();
        let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        let namespace = json!({"metadata": {"name": "default", "uid": "n"}});
        store.commit(Tx::new().create(Object::deserialize(Kind::Namespace, namespace).unwrap())).unwrap();
        let mut registries = MetricRegistries::default();
        store.register_metrics(&mut registries.parts);
        ObjectMetrics::register(store.clone(), TimeZone::UTC, &mut registries);
        let server = Server::new(limits, clock.clone(), registries, Vec::new());
        let api = Api::new(store.clone(), Logs::new(store, clock.clone()), Ids::seeded(1), server);
        Fixture { router: router(api.clone()), api, clock, _dir: dir }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (code, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { code, headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    async fn ask(&self, method: &str, path: &str, media: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", media);
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Request::get(path).header("accept", accept).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "application/json", body.to_string()).await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask("PUT", path, "application/json", body.to_string()).await
    }

    async fn delete(&self, path: &str, options: &Value) -> Answer {
        self.ask("DELETE", path, "application/json", options.to_string()).await
    }

    /// A ConfigMap as it is stored.
    async fn map(&self, name: &str, labels: Value) -> Value {
        let answer = self.post(MAPS, &json!({"metadata": {"name": name, "labels": labels}})).await;
        assert_eq!(answer.code, 201, "{}", answer.text);
        answer.json()
    }

    fn stored(&self, kind: Kind, name: &str) -> Option<Object> {
        self.api.store.get(kind, &Key::new("default", name))
    }

    async fn watch(&self, path: &str, accept: &str) -> Lines {
        let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        Lines { body: response.into_body().into_data_stream(), text: String::new() }
    }
}

/// The lines of a watch, as they come.
struct Lines {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Lines {
    /// The next line; `None` when the watch has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let value = serde_json::from_str(line).unwrap();
                self.text = rest.to_owned();
                return Some(value);
            }
            let piece = tokio::time::timeout(Duration::from_secs(10), self.body.next()).await;
            let piece = piece.unwrap_or_else(|_| panic!("nothing comes; last: {:?}", self.text))?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// Type and name of the next event.
    async fn event(&mut self) -> (String, String) {
        let line = self.next().await.expect("the watch has ended");
        let name = line["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        (line["type"].as_str().unwrap().to_owned(), name)
    }
}

fn event(type_: &str, name: &str) -> (String, String) {
    (type_.to_owned(), name.to_owned())
}

fn job(name: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "hello"}]}}}})
}
