use super::*;

#[tokio::test]
async fn a_job_is_created_read_and_replaced() {
    let f = Fixture::new();
    let made = f.post(JOBS, &job("a")).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!((&made["kind"], &made["metadata"]["namespace"]), (&json!("Job"), &json!("default")));
    let read = f.get(&format!("{JOBS}/a")).await;
    assert_eq!((read.code, read.json()), (StatusCode::OK, made.clone()));

    let mut changed = made.clone();
    changed["spec"]["parallelism"] = json!(3);
    let answer = f.put(&format!("{JOBS}/a"), &changed).await;
    assert_eq!((answer.code, &answer.json()["spec"]["parallelism"]), (StatusCode::OK, &json!(3)));
    assert_eq!(f.put(&format!("{JOBS}/a"), &changed).await.refusal(), (409, "Conflict".to_owned()));
    changed["metadata"]["resourceVersion"] = Value::Null;
    let unchanged = f.put(&format!("{JOBS}/a"), &changed).await;
    assert_eq!(unchanged.json(), answer.json(), "a change of nothing keeps its version");
}

#[tokio::test]
async fn what_is_not_there_is_said_as_kubernetes_says_it() {
    let f = Fixture::new();
    for (path, message) in [
        (format!("{JOBS}/x"), "jobs.batch \"x\" not found"),
        ("/api/v1/nodes/n".to_owned(), "nodes \"n\" not found"),
        ("/apis/batch/v2/jobs".to_owned(), "the server could not find the requested resource"),
        (format!("{JOBS}/x/scale"), "the server could not find the requested resource"),
        ("/openapi/v4".to_owned(), "the server could not find the requested resource"),
    ] {
        let answer = f.get(&path).await;
        assert_eq!(answer.refusal(), (404, "NotFound".to_owned()), "{path}");
        assert_eq!(answer.message(), message);
    }
    assert_eq!(f.post("/apis/batch/v1/namespaces/no/jobs", &job("a")).await.message(), "namespaces \"no\" not found");
    assert_eq!(f.put(&format!("{JOBS}/x"), &job("x")).await.refusal().0, 404);
    assert_eq!(f.put(JOBS, &json!({})).await.refusal(), (405, "MethodNotAllowed".to_owned()));
    assert_eq!(f.post("/apis/batch/v1/jobs", &job("a")).await.refusal().0, 405);
    let exec = f.post("/api/v1/namespaces/default/pods/p/exec?command=sh", &json!({})).await;
    assert_eq!(exec.refusal(), (501, "NotImplemented".to_owned()));
}

#[tokio::test]
async fn a_put_says_what_it_is_about() {
    let f = Fixture::new();
    let made = f.map("a", json!({"keep": "me"})).await;
    for nameless in [json!({}), json!({"metadata": {"namespace": "default"}})] {
        let answer = f.put(&format!("{MAPS}/a"), &nameless).await;
        assert_eq!(answer.refusal(), (400, "BadRequest".to_owned()));
        let message = "the name of the object (a based on URL) was undeterminable: name must be provided";
        assert_eq!(answer.message(), message);
    }
    assert_eq!(f.put(&format!("{MAPS}/a"), &json!({"metadata": {"name": "b"}})).await.refusal().0, 400);
    assert_eq!(f.get(&format!("{MAPS}/a")).await.json(), made);
}

#[tokio::test]
async fn a_slash_at_the_end_is_nothing_and_an_empty_part_is_no_path() {
    let f = Fixture::new();
    f.map("a", json!({})).await;
    assert_eq!(f.get(&format!("{MAPS}/")).await.json()["items"][0]["metadata"]["name"], "a");
    assert_eq!(f.get(&format!("{MAPS}/a/")).await.json()["kind"], "ConfigMap");
    assert_eq!(f.get("/api/v1/configmaps/").await.json()["kind"], "ConfigMapList");
    assert_eq!(f.get("/api/v1/namespaces/default/").await.json()["kind"], "Namespace");
    assert_eq!(f.post(&format!("{JOBS}/"), &job("j")).await.code, 201);
    assert_eq!(f.get(&format!("{JOBS}/j/status/")).await.json()["kind"], "Job");
    for path in ["/api/v1/namespaces//configmaps", "/api/v1/namespaces//configmaps/a", "/api/v1/namespaces//"] {
        assert_eq!(f.get(path).await.refusal().0, 404, "{path}");
    }
    assert_eq!(f.post("/api/v1/namespaces//configmaps", &json!({"metadata": {"name": "a"}})).await.refusal().0, 404);
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_ignored_as_the_client_wants() {
    let f = Fixture::new();
    let mut odd = job("odd");
    odd["spec"]["foo"] = json!(1);
    let post = |query: &'static str| {
        let (f, body) = (&f, odd.to_string());
        async move { f.ask("POST", &format!("{JOBS}?dryRun=All{query}"), "application/json", body).await }
    };
    let strict = f.post(&format!("{JOBS}?fieldValidation=Strict"), &odd).await;
    assert_eq!(strict.refusal(), (400, "BadRequest".to_owned()));
    assert!(strict.message().contains("strict decoding error: unknown field \"spec.foo\""), "{}", strict.text);
    assert_eq!(post("").await.warnings(), ["299 - \"unknown field \\\"spec.foo\\\"\""]);
    assert!(post("&fieldValidation=Ignore").await.warnings().is_empty());
    assert_eq!(post("&fieldValidation=Maybe").await.refusal(), (422, "Invalid".to_owned()));
    assert_eq!(f.stored(Kind::Job, "odd"), None, "a dry run stores nothing");
}

#[tokio::test]
async fn a_manifest_may_be_yaml_and_not_anything() {
    let f = Fixture::new();
    let yaml = "metadata: {name: why}\ndata: {a: b}\n";
    assert_eq!(f.ask("POST", MAPS, "application/yaml", yaml).await.code, 201);
    let cbor = f.ask("POST", MAPS, "application/cbor", "x").await;
    assert_eq!(cbor.refusal(), (415, "UnsupportedMediaType".to_owned()));
    assert!(cbor.message().contains("application/json"));
    assert_eq!(f.ask("POST", MAPS, "application/json", "{").await.refusal().0, 400);
    let long = vec![b' '; crate::config::MAX_BODY + 1];
    let long = f.ask("POST", MAPS, "application/json", long).await;
    assert_eq!(long.refusal(), (413, "RequestEntityTooLarge".to_owned()));
}

#[tokio::test]
async fn the_url_says_where_the_object_is() {
    let f = Fixture::new();
    let elsewhere = json!({"metadata": {"name": "a", "namespace": "other"}});
    assert_eq!(f.post(MAPS, &elsewhere).await.refusal().0, 400);
    f.map("a", json!({})).await;
    assert_eq!(f.put(&format!("{MAPS}/a"), &json!({"metadata": {"name": "b"}})).await.refusal().0, 400);
    assert_eq!(f.post(MAPS, &json!({"metadata": {"name": "a"}})).await.refusal(), (409, "AlreadyExists".to_owned()));
}

#[tokio::test]
async fn a_generated_name_that_is_taken_is_generated_anew() {
    let f = Fixture::new();
    let body = json!({"metadata": {"generateName": "g-"}});
    // The same sequence of ids as the server's, one name ahead of it.
    let ids = Ids::seeded(1);
    ids.uid();
    f.map(&format!("g-{}", ids.suffix()), json!({})).await;
    let answer = f.post(MAPS, &body).await;
    assert_eq!(answer.code, 201);
    assert!(answer.json()["metadata"]["name"].as_str().unwrap().starts_with("g-"));
}

#[tokio::test]
async fn all_three_patches_change_the_object_and_what_is_none_is_refused_with_words() {
    let f = Fixture::new();
    f.map("p", json!({"a": "1"})).await;
    let path = format!("{MAPS}/p");
    let patch = |kind: &str, body: Value| {
        let (media, body) = (format!("application/{kind}"), body.to_string());
        let (f, path) = (&f, &path);
        async move { f.ask("PATCH", path, &media, body).await }
    };
    let merge = patch("merge-patch+json", json!({"metadata": {"labels": {"b": "2"}}})).await;
    assert_eq!(merge.json()["metadata"]["labels"], json!({"a": "1", "b": "2"}));
    let strategic = patch("strategic-merge-patch+json", json!({"metadata": {"labels": {"a": null}}})).await;
    assert_eq!(strategic.json()["metadata"]["labels"], json!({"b": "2"}));
    let steps = json!([{"op": "replace", "path": "/metadata/labels/b", "value": "3"}]);
    assert_eq!(patch("json-patch+json", steps).await.json()["metadata"]["labels"], json!({"b": "3"}));
    let test = json!([{"op": "test", "path": "/metadata/labels/b", "value": "9"}]);
    assert_eq!(patch("json-patch+json", test).await.refusal(), (422, "Invalid".to_owned()));
    let stale = json!({"metadata": {"resourceVersion": "1"}});
    assert_eq!(patch("merge-patch+json", stale).await.refusal(), (409, "Conflict".to_owned()));
    let other = patch("json", json!({})).await;
    assert_eq!(other.refusal().0, 415);
    assert!(other.message().contains("application/apply-patch+yaml"), "{}", other.text);
}

#[tokio::test]
async fn what_a_patch_makes_no_object_of_is_the_fault_of_the_patch() {
    let f = Fixture::new();
    f.post(JOBS, &job("p")).await;
    let patch = async |query: &str, body: Value| {
        let path = format!("{JOBS}/p?{query}");
        f.ask("PATCH", &path, "application/merge-patch+json", body.to_string()).await
    };
    let unknown = json!({"spec": {"foo": 1}});
    let strict = patch("fieldValidation=Strict", unknown.clone()).await;
    assert_eq!(strict.refusal(), (422, "Invalid".to_owned()));
    let value = r#""{\"spec\":{\"foo\":1}}""#;
    let detail = format!("Invalid value: {value}: strict decoding error: unknown field \"spec.foo\"");
    assert_eq!(strict.message(), format!(" \"\" is invalid: patch: {detail}"));
    let cause = json!({"reason": "FieldValueInvalid", "message": detail, "field": "patch"});
    assert_eq!(strict.json()["details"], json!({"causes": [cause]}), "no kind: kubectl then says \"The request\"");
    assert_eq!(
        patch("fieldValidation=Warn", unknown.clone()).await.warnings(),
        ["299 - \"unknown field \\\"spec.foo\\\"\""]
    );
    assert!(patch("fieldValidation=Ignore", unknown).await.warnings().is_empty());
    let wrong = patch("fieldValidation=Ignore", json!({"spec": {"completions": "x".repeat(5000)}})).await;
    assert_eq!(wrong.refusal().0, 422);
    assert!(wrong.message().contains("must be a 32-bit integer") && wrong.text.len() < 4000, "{}", wrong.text);
}

#[tokio::test]
async fn options_are_named_with_their_group() {
    let f = Fixture::new();
    f.post(JOBS, &job("o")).await;
    let said = async |method: &str, query: &str| {
        let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let path = if method == "POST" || query.starts_with("res") { JOBS.to_owned() } else { format!("{JOBS}/o") };
        let answer = f.ask(method, &format!("{path}?{query}"), media, if method == "GET" { "" } else { "{}" }).await;
        assert_eq!((answer.refusal().0, &answer.json()["details"]["group"]), (422, &json!("meta.k8s.io")));
        answer.message().split(" is").next().unwrap().to_owned()
    };
    for (method, query, kind) in [
        ("PATCH", "dryRun=x", "PatchOptions"),
        ("PATCH", "force=true", "PatchOptions"),
        ("POST", "fieldValidation=x", "CreateOptions"),
        ("PUT", "dryRun=x", "UpdateOptions"),
        ("DELETE", "propagationPolicy=x&dryRun=x", "DeleteOptions"),
        ("GET", "resourceVersionMatch=x", "ListOptions"),
    ] {
        assert_eq!(said(method, query).await, format!("{kind}.meta.k8s.io \"\""), "{method} {query}");
    }
}

#[tokio::test]
async fn status_is_written_by_its_own_path_only() {
    let f = Fixture::new();
    let mut made = f.post(JOBS, &job("s")).await.json();
    made["status"] = json!({"succeeded": 1});
    made["spec"]["parallelism"] = json!(5);
    let status = f.put(&format!("{JOBS}/s/status"), &made).await;
    assert_eq!(status.code, 200, "{}", status.text);
    let now = status.json();
    assert_eq!((&now["status"]["succeeded"], &now["spec"]["parallelism"]), (&json!(1), &json!(1)));
    let body = json!({"status": {"succeeded": 7}}).to_string();
    let patched = f.ask("PATCH", &format!("{JOBS}/s"), "application/merge-patch+json", body).await;
    assert_eq!(patched.json()["status"]["succeeded"], 1);
}

#[tokio::test]
async fn discovery_and_version_answer() {
    let f = Fixture::new();
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let answer = f.get_as("/apis", aggregated).await;
    assert_eq!(answer.headers["content-type"], crate::http::discovery::AGGREGATED);
    assert_eq!(f.get("/apis").await.json()["kind"], "APIGroupList");
    assert_eq!(f.get("/api/v1").await.json()["kind"], "APIResourceList");
    assert_eq!(f.get("/apis/batch").await.json()["kind"], "APIGroup");
    assert_eq!(f.get("/version").await.json()["minor"], "37");
    // As the client for Python writes them.
    for path in ["/api/", "/apis/", "/api/v1/", "/apis/batch/", "/apis/batch/v1/", "/version/"] {
        assert_eq!(f.get(path).await.json(), f.get(path.trim_end_matches('/')).await.json(), "{path}");
    }
    let document = f.get("/openapi/v3/apis/batch/v1?hash=x").await;
    let request = Request::get("/openapi/v3/apis/batch/v1").header("if-none-match", &document.headers["etag"]);
    assert_eq!(f.send(request.body(Body::empty()).unwrap()).await.code, 304);
    let older = f.get_as("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf").await;
    assert_eq!(older.headers["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert!(older.text.starts_with("\n\u{3}2.0\u{12}") && older.text.contains("io.k8s.api.batch.v1.Job"));
    let json = f.get("/openapi/v2").await;
    assert_eq!(json.json()["swagger"], "2.0");
    assert_ne!(json.headers["etag"], older.headers["etag"]);
    let request = Request::get("/openapi/v2").header("if-none-match", &json.headers["etag"]);
    assert_eq!(f.send(request.body(Body::empty()).unwrap()).await.code, 304);
}

#[tokio::test]
async fn a_new_object_has_no_version_yet() {
    let f = Fixture::new();
    let refused = f.post(MAPS, &json!({"metadata": {"name": "a", "resourceVersion": "7"}})).await;
    assert_eq!(refused.refusal(), (400, "BadRequest".to_owned()));
    assert_eq!(refused.message(), "resourceVersion should not be set on objects to be created");
}

#[tokio::test]
async fn a_put_creates_what_may_be_created_so_and_a_lease_is_not_replaced_blindly() {
    let f = Fixture::new();
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    let lease = |holder: &str| json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": holder}});
    let made = f.put(leases, &lease("a")).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let blind = f.put(leases, &lease("b")).await;
    assert_eq!(blind.refusal(), (422, "Invalid".to_owned()));
    assert!(
        blind.message().contains("metadata.resourceVersion: Invalid value: 0: must be specified"),
        "{}",
        blind.text
    );
    let mut seeing = made.json();
    seeing["spec"]["holderIdentity"] = json!("b");
    assert_eq!(f.put(leases, &seeing).await.code, 200);
    assert_eq!(f.put(leases, &seeing).await.refusal().0, 409);
    f.delete(leases, &json!({})).await;
    assert_eq!(f.put(leases, &seeing).await.refusal().0, 404, "that one is gone");
    assert_eq!(f.put(&format!("{MAPS}/none"), &json!({"metadata": {"name": "none"}})).await.refusal().0, 404);
}
