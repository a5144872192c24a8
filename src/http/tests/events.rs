//! `events.k8s.io/v1` is a second view of the same Events.

use super::*;

const NEWER: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const OLDER: &str = "/api/v1/namespaces/default/events";

fn newer(name: &str) -> Value {
    json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
        "eventTime": "2026-01-02T03:04:05.000006Z", "regarding": {"kind": "Job", "name": "j", "namespace": "default"},
        "note": "it is so", "reason": "Tested", "type": "Normal", "action": "Testing",
        "reportingController": "example.com/test", "reportingInstance": "test-1"})
}

#[tokio::test]
async fn an_event_written_by_one_view_is_read_by_the_other() {
    let f = Fixture::new();
    let made = f.post(NEWER, &newer("e")).await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!((&made.json()["apiVersion"], &made.json()["note"]), (&json!("events.k8s.io/v1"), &json!("it is so")));
    let older = f.get(&format!("{OLDER}/e")).await.json();
    assert_eq!((&older["apiVersion"], &older["message"]), (&json!("v1"), &json!("it is so")));
    assert_eq!(older["involvedObject"]["name"], "j");
    assert_eq!(older["metadata"], made.json()["metadata"]);

    let old = json!({"metadata": {"name": "o"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "message": "m", "count": 2, "source": {"component": "c"}});
    assert_eq!(f.post(OLDER, &old).await.code, 201);
    let shown = f.get(&format!("{NEWER}/o")).await.json();
    assert_eq!((&shown["deprecatedCount"], &shown["deprecatedSource"]), (&json!(2), &json!({"component": "c"})));

    let list = f.get(NEWER).await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("EventList"), &json!("events.k8s.io/v1")));
    assert_eq!((&list["items"][0]["note"], &list["items"][1]["regarding"]["name"]), (&json!("it is so"), &json!("p")));
    assert_eq!(f.get("/apis/events.k8s.io/v1/events").await.json()["items"].as_array().unwrap().len(), 2);
    let table = f.get_as(&format!("{NEWER}/e?includeObject=Object"), TABLE).await.json();
    assert_eq!(table["rows"][0]["object"]["note"], "it is so");
    let some = f.get(&format!("{NEWER}?fieldSelector=regarding.kind%3DPod,reportingController!%3Dx")).await.json();
    assert_eq!(some["items"].as_array().unwrap().len(), 1);
    for wrong in ["involvedObject.kind%3DPod", "source%3Dc"] {
        assert_eq!(f.get(&format!("{NEWER}?fieldSelector={wrong}")).await.refusal().0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn each_verb_speaks_the_words_of_its_view() {
    let f = Fixture::new();
    let mut watch = f.watch(&format!("{NEWER}?watch=true&allowWatchBookmarks=true"), "").await;
    f.post(NEWER, &newer("e")).await;
    let path = format!("{NEWER}/e");
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:00.000000Z"}});
    for media in ["application/merge-patch+json", "application/strategic-merge-patch+json"] {
        let patched = f.ask("PATCH", &path, media, series.to_string()).await;
        assert_eq!((patched.code, &patched.json()["series"]["count"]), (StatusCode::OK, &json!(2)), "{}", patched.text);
    }
    let other = f.ask("PATCH", &path, "application/merge-patch+json", json!({"note": "other"}).to_string()).await;
    assert_eq!(other.refusal(), (422, "Invalid".to_owned()));
    let unknown = format!("{path}?fieldValidation=Strict");
    let unknown = f.ask("PATCH", &unknown, "application/merge-patch+json", json!({"message": "x"}).to_string()).await;
    assert!(unknown.message().contains("unknown field \"message\""), "{}", unknown.text);
    let mut whole = f.get(&path).await.json();
    whole["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(f.put(&path, &whole).await.json()["metadata"]["labels"], json!({"a": "b"}));
    let mut incomplete = newer("i");
    incomplete["eventTime"] = Value::Null;
    incomplete["deprecatedCount"] = json!(1);
    let refused = f.post(NEWER, &incomplete).await;
    assert_eq!(refused.refusal(), (422, "Invalid".to_owned()), "{}", refused.text);
    let core = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "c"}, "involvedObject": {}});
    assert_eq!(f.post(NEWER, &core).await.refusal().0, 400);
    let gone = f.delete(&path, &json!({})).await.json();
    assert_eq!((&gone["status"], &gone["details"]["group"]), (&json!("Success"), &json!("events.k8s.io")));

    let mut seen = Vec::new();
    while seen.len() < 4 {
        let line = watch.next().await.expect("the watch goes on");
        assert_eq!(
            (&line["object"]["apiVersion"], &line["object"]["note"]),
            (&json!("events.k8s.io/v1"), &json!("it is so"))
        );
        seen.push(line["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]);
}
