//! Server-side apply and field managers, as a client without kubectl sees them.

use super::*;
use crate::api::admission;
use crate::api::managed::{self, Author, Part};

async fn apply(f: &Fixture, path: &str, body: &Value) -> Answer {
    f.ask("PATCH", path, "application/apply-patch+yaml", body.to_string()).await
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data})
}

fn at(query: &str) -> String {
    format!("{MAPS}/m?{query}")
}

/// The managers of an object, as `NAME OPERATION SUBRESOURCE`.
fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let line = |e: &Value| format!("{} {} {}", text(e, "manager"), text(e, "operation"), text(e, "subresource"));
    entries.iter().map(|e| line(e).trim_end().to_owned()).collect()
}

#[tokio::test]
async fn an_applied_object_is_created_changed_and_left_alone() {
    let f = Fixture::new();
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {x: '1', y: '1'}\n";
    let made = f.ask("PATCH", &at("fieldManager=a"), "application/apply-patch+yaml", yaml).await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(managers(&made.json()), ["a Apply"]);
    f.clock.advance(Duration::from_secs(5));
    let again = f.ask("PATCH", &at("fieldManager=a"), "application/apply-patch+yaml", yaml).await;
    assert_eq!((again.code, again.json()), (StatusCode::OK, made.json()), "neither its version nor a time moves");
    let changed = apply(&f, &at("fieldManager=a"), &map(json!({"x": "2"}))).await.json();
    assert_eq!(changed["data"], json!({"x": "2"}));
    assert_ne!(changed["metadata"]["resourceVersion"], made.json()["metadata"]["resourceVersion"]);
    let dry = apply(&f, &at("fieldManager=b&dryRun=All"), &map(json!({"z": "3"}))).await.json();
    assert_eq!(
        (&dry["data"], managers(&dry)),
        (&json!({"x": "2", "z": "3"}), vec!["a Apply".into(), "b Apply".into()])
    );
    assert_eq!(f.get(&format!("{MAPS}/m")).await.json(), changed);
    let dry = apply(
        &f,
        &format!("{MAPS}/n?fieldManager=b&dryRun=All"),
        &json!({"apiVersion": "v1",
        "kind": "ConfigMap", "metadata": {"name": "n"}}),
    )
    .await;
    assert_eq!((dry.code.as_u16(), f.stored(Kind::ConfigMap, "n")), (201, None));
}

#[tokio::test]
async fn a_conflict_names_the_fields_and_their_managers() {
    let f = Fixture::new();
    let made = f.post(&format!("{JOBS}?fieldManager=kubectl-create"), &job("j")).await;
    assert_eq!(managers(&made.json()), ["kubectl-create Update"]);
    let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"backoffLimit": 1}});
    let refused = apply(&f, &format!("{JOBS}/j?fieldManager=b"), &body).await;
    assert_eq!(refused.refusal(), (409, "Conflict".to_owned()));
    let message = "Apply failed with 1 conflict: conflict with \"kubectl-create\" using batch/v1: .spec.backoffLimit";
    assert_eq!(refused.message(), message);
    let causes = json!([{"reason": "FieldManagerConflict", "field": ".spec.backoffLimit",
        "message": "conflict with \"kubectl-create\" using batch/v1"}]);
    assert_eq!(refused.json()["details"]["causes"], causes);
    assert_eq!(f.get(&format!("{JOBS}/j")).await.json(), made.json());
    let forced = apply(&f, &format!("{JOBS}/j?fieldManager=b&force=true"), &body).await.json();
    assert_eq!(forced["spec"]["backoffLimit"], 1);
    assert_eq!(managers(&forced), ["b Apply", "kubectl-create Update"]);
    // The defaults and the rules hold after the merge, too.
    let mut body = body;
    body["spec"] = json!({"completions": -1});
    assert_eq!(apply(&f, &format!("{JOBS}/j?fieldManager=b&force=true"), &body).await.refusal().0, 422);
}

#[tokio::test]
async fn what_an_applied_body_or_its_parameters_may_not_say() {
    let f = Fixture::new();
    let refused = |query: &'static str, body: Value| {
        let f = &f;
        async move {
            let answer = apply(f, &at(query), &body).await;
            (answer.refusal().0, answer.message())
        }
    };
    let (code, message) = refused("force=true", map(json!({}))).await;
    assert_eq!((code, message.ends_with("fieldManager: Required value: is required for apply patch")), (422, true));
    let (code, message) = refused("fieldManager=a%0A", map(json!({}))).await;
    assert_eq!((code, message.contains("invalid character U+000A (at position 1)")), (422, true), "{message}");
    let long = f.post(&format!("{MAPS}?fieldManager={}", "x".repeat(129)), &map(json!({}))).await;
    assert_eq!(long.refusal().0, 422);
    assert!(long.message().ends_with("fieldManager: Too long: may not be more than 128 bytes"), "{}", long.text);
    let forced = f.ask("PATCH", &at("force=false"), "application/merge-patch+json", "{}").await;
    assert_eq!(forced.refusal().0, 422);
    assert!(forced.message().ends_with("force: Forbidden: may not be specified for non-apply patch"));

    let with = |field: &str, value: &str| {
        let mut body = map(json!({}));
        body["metadata"][field] = json!(value);
        body
    };
    let mut managed = map(json!({}));
    managed["metadata"]["managedFields"] = json!([{}]);
    let mut nameless = map(json!({}));
    nameless["metadata"] = json!({});
    for (body, code, part) in [
        (managed, 400, "metadata.managedFields must be nil"),
        (json!({"kind": "ConfigMap"}), 400, "invalid object type"),
        (with("name", "other"), 400, "does not match the name on the URL"),
        (with("namespace", "other"), 400, "does not match the namespace"),
        (nameless, 400, "name must be provided"),
        (with("uid", "u"), 409, "uid mismatch: the provided object specified uid u, and no existing object was found"),
        (with("resourceVersion", "7"), 409, "no existing object was found"),
    ] {
        let (found, message) = refused("fieldManager=a", body).await;
        assert_eq!((found, message.contains(part)), (code, true), "{message}");
    }
    let garbled = f.ask("PATCH", &at("fieldManager=a"), "application/apply-patch+yaml", "a: [").await;
    assert_eq!((garbled.refusal().0, garbled.message().starts_with("error decoding YAML: ")), (400, true));
    let cbor = f.ask("PATCH", &at("fieldManager=a"), "application/apply-patch+cbor", "").await;
    assert_eq!(cbor.refusal().0, 415);
    assert_eq!(f.stored(Kind::ConfigMap, "m"), None);

    f.map("m", json!({})).await;
    assert_eq!(refused("fieldManager=a", with("uid", "u")).await.0, 409);
    assert_eq!(refused("fieldManager=a", with("resourceVersion", "1")).await.0, 409);
    let missing = apply(
        &f,
        &format!("{JOBS}/none/status?fieldManager=a"),
        &json!({"apiVersion": "batch/v1",
        "kind": "Job", "metadata": {"name": "none"}, "status": {"active": 1}}),
    )
    .await;
    assert_eq!(missing.refusal(), (404, "NotFound".to_owned()), "a status without an object is not created");
}

#[tokio::test]
async fn unknown_fields_of_an_applied_body_are_refused_and_duplicate_ones_are_what_the_client_wants() {
    let f = Fixture::new();
    let mut odd = map(json!({"x": "1"}));
    odd["foo"] = json!(1);
    let of = "failed to create typed patch object (default/m; v1, Kind=ConfigMap): ";
    for validation in ["", "&fieldValidation=Strict", "&fieldValidation=Warn", "&fieldValidation=Ignore"] {
        let refused = apply(&f, &at(&format!("fieldManager=a{validation}")), &odd).await;
        assert_eq!(refused.refusal().0, 400);
        assert_eq!(refused.message(), format!("{of}.foo: field not declared in schema"));
    }
    odd["metadata"]["bar"] = json!({});
    let both = apply(&f, &at("fieldManager=a"), &odd).await.message();
    assert!(both.starts_with(&format!("{of}errors:\n  .")) && both.contains("\n  .metadata.bar: field not"), "{both}");
    let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {x: '1', x: '2'}\n";
    let path = at("fieldManager=a&fieldValidation=Strict");
    let twice = f.ask("PATCH", &path, "application/apply-patch+yaml", twice).await;
    assert_eq!((twice.refusal().0, twice.message().contains("duplicate field \"data.x\"")), (400, true));
}

#[tokio::test]
async fn each_write_of_a_client_has_a_manager_and_status_one_of_its_own() {
    let f = Fixture::new();
    let body = job("j").to_string();
    let request = Request::post(JOBS).header("user-agent", "curl/8.0").header("content-type", "application/json");
    let made = f.send(request.body(Body::from(body)).unwrap()).await.json();
    assert_eq!(managers(&made), ["curl Update"]);
    f.clock.advance(Duration::from_secs(1));
    let path = format!("{JOBS}/j?fieldManager=p");
    let patch = json!({"spec": {"parallelism": 2}}).to_string();
    let patched = f.ask("PATCH", &path, "application/strategic-merge-patch+json", patch).await.json();
    assert_eq!(managers(&patched), ["curl Update", "p Update"]);
    f.clock.advance(Duration::from_secs(1));
    let status = json!({"status": {"active": 1}}).to_string();
    let path = format!("{JOBS}/j/status?fieldManager=p");
    let status = f.ask("PATCH", &path, "application/merge-patch+json", status).await.json();
    assert_eq!(managers(&status), ["curl Update", "p Update", "p Update status"]);
    let applied = json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"active": 2}});
    let refused = apply(&f, &format!("{JOBS}/j/status?fieldManager=s"), &applied).await;
    let message = "Apply failed with 1 conflict: conflict with \"p\" with subresource \"status\" using batch/v1: \
                   .status.active";
    assert_eq!(refused.message(), message);
    let applied = apply(&f, &format!("{JOBS}/j/status?fieldManager=s&force=true"), &applied).await.json();
    assert_eq!((&applied["status"]["active"], managers(&applied).len()), (&json!(2), 3));
    let mut replaced = applied.clone();
    replaced["metadata"]["managedFields"] = json!([{}]);
    let reset = f.put(&format!("{JOBS}/j"), &replaced).await.json();
    assert_eq!(reset["metadata"].get("managedFields"), None);
}

#[tokio::test]
async fn an_object_of_the_controllers_has_no_entries_and_keeps_those_it_gets() {
    let f = Fixture::new();
    let pod = json!({"metadata": {"name": "p", "namespace": "default", "uid": "u", "labels": {"a": "b"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let pod = admission::defaulted(&Object::deserialize(Kind::Pod, pod).unwrap());
    f.api.store.commit(Tx::new().create(pod)).unwrap();
    let path = "/api/v1/namespaces/default/pods/p";
    let labels = json!({"metadata": {"labels": {"x": "y"}}}).to_string();
    let labelled = f.ask("PATCH", path, "application/merge-patch+json", labels).await;
    assert_eq!(labelled.code, 200, "{}", labelled.text);
    assert_eq!(managers(&labelled.json()), Vec::<String>::new());
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"z": "1"}}});
    let applied = apply(&f, &format!("{path}?fieldManager=a"), &body).await.json();
    assert_eq!(managers(&applied), ["a Apply", "before-first-apply Update"]);
    // A write inside the process changes the object, and not its entries.
    let mut stored = f.stored(Kind::Pod, "p").unwrap();
    crate::api::meta::set_annotation(stored.meta_mut(), "n", "1");
    f.api.store.commit(Tx::new().update(stored)).unwrap();
    assert_eq!(managers(&f.get(path).await.json()), managers(&applied));
}

/// What the entries of a new object cost, as a part of its whole way through the server and to the disk.
#[tokio::test]
async fn a_create_spends_little_on_its_entries() {
    const TIMES: u32 = 200;
    let f = Fixture::new();
    let jobs: Vec<Value> = (0..TIMES).map(|i| job(&format!("j{i}"))).collect();
    let clock = Clock::real();
    let begin = clock.instant();
    for job in &jobs {
        assert_eq!(f.post(JOBS, job).await.code, 201);
    }
    let whole = clock.instant() - begin;
    let sent: Vec<Object> = jobs.into_iter().map(|job| Object::deserialize(Kind::Job, job).unwrap()).collect();
    let by = Author { manager: "m", part: Part::Object, now: f.clock.now() };
    let begin = clock.instant();
    for sent in &sent {
        let defaulted = admission::defaulted(sent);
        let mut stored = defaulted.clone();
        managed::created(&mut stored, &defaulted, by).unwrap();
        assert!(stored.meta().managed_fields.is_some());
    }
    let entries = clock.instant() - begin;
    let ratio = entries.as_secs_f64() / whole.as_secs_f64();
    eprintln!("a create: {:?}, of which its entries: {:?} ({ratio:.3})", whole / TIMES, entries / TIMES);
    assert!(ratio < 0.5, "{ratio}");
}
