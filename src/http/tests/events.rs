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

#[tokio::test]
async fn refusals_name_what_the_view_calls_it() {
    let f = Fixture::new();
    let of_both = async |name: &str| {
        let newer = f.get(&format!("{NEWER}/{name}")).await;
        (newer.message(), newer.json()["details"]["group"].clone(), f.get(&format!("{OLDER}/{name}")).await.message())
    };
    let expected = "events.events.k8s.io \"x\" not found".to_owned();
    assert_eq!(of_both("x").await, (expected, json!("events.k8s.io"), "events \"x\" not found".to_owned()));
    f.post(NEWER, &newer("e")).await;
    let again = f.post(NEWER, &newer("e")).await;
    assert_eq!(again.refusal(), (409, "AlreadyExists".to_owned()));
    assert_eq!(again.message(), "events.events.k8s.io \"e\" already exists");
    let mut stale = newer("e");
    stale["metadata"]["resourceVersion"] = json!("1");
    let stale = f.put(&format!("{NEWER}/e"), &stale).await;
    assert!(
        stale.message().starts_with("Operation cannot be fulfilled on events.events.k8s.io \"e\""),
        "{}",
        stale.text
    );
    let mut incomplete = newer("i");
    incomplete["type"] = json!("Odd");
    let invalid = f.post(NEWER, &incomplete).await;
    assert!(invalid.message().starts_with("Event.events.k8s.io \"i\" is invalid: "), "{}", invalid.text);
    assert_eq!(invalid.json()["details"]["kind"], "Event");
    assert_eq!(
        f.delete(&format!("{NEWER}/none"), &json!({})).await.message(),
        "events.events.k8s.io \"none\" not found"
    );
    // What is about no Event is as everywhere.
    let mut lost = newer("l");
    lost["regarding"]["namespace"] = json!("none");
    let lost = f.post("/apis/events.k8s.io/v1/namespaces/none/events", &lost).await;
    assert_eq!(lost.message(), "namespaces \"none\" not found");
}

#[tokio::test]
async fn an_event_is_applied_in_the_words_of_the_view() {
    let f = Fixture::new();
    let apply = async |query: &str, body: &Value| {
        let path = format!("{NEWER}/e?{query}");
        f.ask("PATCH", &path, "application/apply-patch+yaml", body.to_string()).await
    };
    let made = apply("fieldManager=a", &newer("e")).await;
    assert_eq!((made.code, &made.json()["note"]), (StatusCode::CREATED, &json!("it is so")), "{}", made.text);
    let older = f.get(&format!("{OLDER}/e")).await.json();
    assert_eq!((&older["message"], &older["involvedObject"]["name"]), (&json!("it is so"), &json!("j")));
    let entry = &older["metadata"]["managedFields"][0];
    assert_eq!((&entry["manager"], &entry["operation"]), (&json!("a"), &json!("Apply")));
    assert!(entry["fieldsV1"]["f:message"].is_object() && entry["fieldsV1"]["f:regarding"].is_null(), "{entry}");
    let mut labelled = newer("e");
    labelled["metadata"]["labels"] = json!({"x": "y"});
    let changed = apply("fieldManager=a", &labelled).await;
    assert_eq!((changed.code, &changed.json()["metadata"]["labels"]["x"]), (StatusCode::OK, &json!("y")));
    // What this view demands, and what it does not know.
    let mut other = newer("e");
    other["note"] = json!("other");
    assert_eq!(apply("fieldManager=b", &other).await.refusal(), (409, "Conflict".to_owned()));
    let fixed = apply("fieldManager=b&force=true", &other).await;
    assert_eq!(fixed.refusal(), (422, "Invalid".to_owned()), "the note of an Event does not change: {}", fixed.text);
    let mut odd = newer("e");
    odd["message"] = json!("of the other view");
    let refused = apply("fieldManager=a", &odd).await;
    let expected = "failed to create typed patch object (default/e; events.k8s.io/v1, Kind=Event): .message: field not \
                    declared in schema";
    assert_eq!((refused.refusal().0, refused.message().as_str()), (400, expected));
    let core = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {}});
    assert_eq!(apply("fieldManager=a", &core).await.refusal().0, 400);
}
