//! What kubectl does beside applying and looking: many objects at once, lists, pages, events of the newer group.

use serde_json::json;

use super::harness::{Server, job, wait_for};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn write(server: &Server, name: &str, text: &str) -> String {
    let file = server.dir.path().join(name);
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn map(name: &str, label: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  labels: {{x: '{label}'}}\n")
}

fn names(server: &Server) -> Vec<String> {
    let names = server.kubectl_ok(&["get", "configmaps", "-o", "name", "--chunk-size=2"]);
    names.lines().map(|line| line.trim_start_matches("configmap/").to_owned()).collect()
}

#[test]
fn a_manifest_may_be_a_list_and_its_objects_are_paged_selected_and_deleted_together() {
    let server = Server::start();
    let item = |name: &str, label: &str| {
        let metadata = json!({"name": name, "labels": {"x": label}});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    };
    let items = [item("a", "1"), item("b", "2"), item("c", "1"), item("d", "1"), item("e", "2")];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let path = write(&server, "list.json", &list);
    let applied = server.kubectl_ok(&["apply", "-f", &path]);
    assert_eq!(
        applied.lines().collect::<Vec<_>>(),
        ["a", "b", "c", "d", "e"].map(|n| format!("configmap/{n} created"))
    );
    assert!(server.kubectl_ok(&["apply", "-f", &path]).lines().all(|line| line.ends_with(" unchanged")));
    let wrong = write(&server, "wrong.json", &list.replace("\"labels\"", "\"lables\""));
    let refused = server.kubectl(&["create", "-f", &wrong]);
    // The items of a List are checked by kubectl itself, by OpenAPI v2, and would be by the server.
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("unknown field \"lables\" in io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"), "{told}");

    assert_eq!(names(&server), ["a", "b", "c", "d", "e"]);
    server.kubectl_ok(&["delete", "configmaps", "-l", "x=2"]);
    assert_eq!(names(&server), ["a", "c", "d"]);
    // The one way in which kubectl sends a single request for many.
    let deleted = server.kubectl_ok(&["delete", "--raw", &format!("{MAPS}?fieldSelector=metadata.name!=d")]);
    assert!(deleted.contains("\"kind\":\"ConfigMapList\""), "{deleted}");
    assert_eq!(names(&server), ["d"]);
    server.kubectl_ok(&["delete", "configmaps", "--all"]);
    assert_eq!(names(&server), [] as [&str; 0]);
}

#[test]
fn objects_are_replaced_by_force_and_waited_for() {
    let server = Server::start();
    let path = write(&server, "map.yaml", &map("m", "1"));
    server.kubectl_ok(&["create", "-f", &path]);
    let uid = |server: &Server| server.get(&format!("{MAPS}/m"))["metadata"]["uid"].clone();
    let before = uid(&server);
    write(&server, "map.yaml", &map("m", "2"));
    server.kubectl_ok(&["replace", "--force", "-f", &path]);
    assert_ne!(uid(&server), before);

    let held = json!({"metadata": {"finalizers": ["a.b/c"]}}).to_string();
    let patch =
        |body: &str| server.send("PATCH", &format!("{MAPS}/m"), "application/merge-patch+json", body.as_bytes()).0;
    assert_eq!(patch(&held), 200);
    server.kubectl_ok(&["delete", "configmap", "m", "--wait=false"]);
    let waited = server.kubectl(&["wait", "--for=delete", "configmap/m", "--timeout=1s"]);
    assert!(!waited.status.success(), "it is held");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.kubectl_ok(&["wait", "--for=delete", "configmap/m", "--timeout=60s"]));
        assert_eq!(patch(r#"{"metadata": {"finalizers": null}}"#), 200);
        // It says nothing if the object was gone before it looked.
        let said = waiting.join().unwrap();
        assert!(["", "configmap/m condition met\n"].contains(&&*said), "{said}");
    });
}

#[test]
fn events_are_seen_in_both_groups_and_fields_are_explained() {
    let server = Server::start();
    server.push_example("sleep");
    server.create(&job("j", "sleep", &["sleep", "0"], ""));
    server.wait_for_end("j");
    let rows = wait_for("the events of the Job", || {
        let text = server.kubectl_ok(&["get", "events.events.k8s.io", "--field-selector", "regarding.kind=Job"]);
        if text.contains("Job completed") { Ok(text) } else { Err(text) }
    });
    assert!(rows.contains("job/j") && rows.starts_with("LAST SEEN"), "{rows}");
    let notes = server.kubectl_ok(&["get", "events.events.k8s.io", "-o", "jsonpath={.items[*].note}"]);
    let messages = server.kubectl_ok(&["get", "events", "-o", "jsonpath={.items[*].message}"]);
    assert_eq!(notes, messages);
    let all = server.kubectl_ok(&["api-resources", "--api-group=events.k8s.io", "-o", "wide"]);
    assert!(all.contains("events.k8s.io/v1") && all.contains("deletecollection"), "{all}");

    let explained = server.kubectl_ok(&["explain", "job.spec.podFailurePolicy", "--recursive"]);
    for part in ["FIELD: podFailurePolicy", "onExitCodes\t<PodFailurePolicyOnExitCodesRequirement>", "-required-"] {
        assert!(explained.contains(part), "{part:?} in\n{explained}");
    }
    let newer = server.kubectl_ok(&["explain", "events.note", "--api-version=events.k8s.io/v1"]);
    assert!(newer.contains("human-readable description of the status"), "{newer}");
}
