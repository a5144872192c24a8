use super::*;
use crate::logs::{LogId, Stream};

const POD: &str = "/api/v1/namespaces/default/pods/p";

pub(super) async fn pod(f: &Fixture, status: Value) -> String {
    let spec = json!({"nodeName": "n", "restartPolicy": "Never", "containers": [{"name": "c", "image": "hello"}]});
    let made = f.post("/api/v1/namespaces/default/pods", &json!({"metadata": {"name": "p"}, "spec": spec})).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let body = json!({"status": status}).to_string();
    let set = f.ask("PATCH", &format!("{POD}/status"), "application/merge-patch+json", body).await;
    assert_eq!(set.code, 200, "{}", set.text);
    made.json()["metadata"]["uid"].as_str().unwrap().to_owned()
}

pub(super) fn container(state: Value, restarts: i32) -> Value {
    json!({"containerStatuses": [{"name": "c", "ready": false, "image": "hello", "imageID": "", "state": state,
        "restartCount": restarts}]})
}

#[tokio::test]
async fn the_log_of_a_run_is_text() {
    let f = Fixture::new();
    let pod_uid = pod(&f, container(json!({"terminated": {"exitCode": 0}}), 1)).await;
    let log = f.api.logs.open(LogId { pod_uid, container: "c".to_owned(), restart: 1 });
    log.write(Stream::Stdout, b"one\n");
    log.write(Stream::Stderr, b"two\n");
    log.write(Stream::Stdout, b"three\n");
    let done = f.api.store.commit(log.finish()).unwrap();
    log.committed(done.revision);
    let answer = f.get(&format!("{POD}/log")).await;
    assert_eq!((answer.code, answer.text.as_str()), (StatusCode::OK, "one\ntwo\nthree\n"));
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(f.get(&format!("{POD}/log?tailLines=1")).await.text, "three\n");
    assert_eq!(f.get(&format!("{POD}/log?limitBytes=5&container=c")).await.text, "one\nt");
    assert_eq!(f.get(&format!("{POD}/log?stream=Stderr&tailLines=1")).await.refusal().0, 422);
    assert_eq!(f.get(&format!("{POD}/log?stream=All&tailLines=1")).await.text, "three\n");
    assert_eq!(f.get(&format!("{POD}/log?stream=Stdout")).await.text, "one\nthree\n");
    assert_eq!(f.get(&format!("{POD}/log?stream=Stderr&timestamps=false")).await.text, "two\n");
    assert_eq!(f.get(&format!("{POD}/log?container=x")).await.message(), "container x is not valid for pod p");
}

#[tokio::test]
async fn a_log_may_be_compressed() {
    let f = Fixture::new().whole();
    let pod_uid = pod(&f, container(json!({"terminated": {"exitCode": 0}}), 0)).await;
    let log = f.api.logs.open(LogId { pod_uid, container: "c".to_owned(), restart: 0 });
    log.write(Stream::Stdout, b"one\n");
    let done = f.api.store.commit(log.finish()).unwrap();
    log.committed(done.revision);
    let request = Request::get(format!("{POD}/log")).header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let answer = f.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert!(packed.starts_with(&[0x1f, 0x8b]), "{packed:?}");
}

#[tokio::test]
async fn a_container_that_has_not_started_has_no_log_yet() {
    let f = Fixture::new();
    pod(&f, container(json!({"waiting": {"reason": "ContainerCreating"}}), 0)).await;
    let answer = f.get(&format!("{POD}/log")).await;
    assert_eq!(answer.refusal(), (400, "BadRequest".to_owned()));
    assert_eq!(answer.message(), "container \"c\" in pod \"p\" is waiting to start: ContainerCreating");
    assert_eq!(f.get(&format!("{POD}x/log")).await.refusal().0, 404);
}

#[tokio::test]
async fn options_of_a_log_are_checked() {
    let f = Fixture::new();
    for wrong in [
        "sinceSeconds=0",
        "tailLines=-1",
        "limitBytes=0",
        "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
        "stream=stderr",
        "stream=Stderr&tailLines=1",
    ] {
        let answer = f.get(&format!("{POD}/log?{wrong}")).await;
        assert_eq!(answer.refusal(), (422, "Invalid".to_owned()), "{wrong}");
        assert!(answer.message().starts_with("PodLogOptions \"p\" is invalid: "), "{}", answer.text);
    }
    assert_eq!(f.get(&format!("{POD}/log?tailLines=x")).await.refusal().0, 400);
}
