use super::*;

#[tokio::test]
async fn a_job_deleted_without_a_policy_leaves_its_pods_and_warns() {
    let f = Fixture::new();
    f.post(JOBS, &job("a")).await;
    let answer = f.ask("DELETE", &format!("{JOBS}/a"), "", "").await;
    assert_eq!(answer.code, 200);
    assert!(answer.warnings()[0].contains("child pods are preserved by default"), "{:?}", answer.warnings());
    assert_eq!(answer.json()["metadata"]["finalizers"], json!(["orphan"]));
    assert!(answer.json()["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test]
async fn a_job_deleted_in_the_background_is_gone_with_the_answer() {
    let f = Fixture::new();
    let made = f.post(JOBS, &job("a")).await.json();
    let answer = f.delete(&format!("{JOBS}/a"), &json!({"propagationPolicy": "Background"})).await;
    assert!(answer.warnings().is_empty());
    let details = json!({"name": "a", "group": "batch", "kind": "jobs", "uid": made["metadata"]["uid"]});
    assert_eq!((&answer.json()["status"], &answer.json()["details"]), (&json!("Success"), &details));
    assert_eq!(f.get(&format!("{JOBS}/a")).await.refusal().0, 404);
    assert_eq!(f.delete(&format!("{JOBS}/a"), &json!({})).await.refusal().0, 404);
}

#[tokio::test]
async fn options_may_stand_in_the_url() {
    let f = Fixture::new();
    f.post(JOBS, &job("a")).await;
    let path = format!("{JOBS}/a");
    let foreground = f.ask("DELETE", &format!("{path}?propagationPolicy=Foreground&dryRun=All"), "", "").await;
    assert_eq!(foreground.json()["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert_eq!(f.stored(Kind::Job, "a").unwrap().meta().finalizers, None, "a dry run stores nothing");
    for wrong in ["propagationPolicy=Maybe", "propagationPolicy=Orphan&orphanDependents=true", "dryRun=Some"] {
        let answer = f.ask("DELETE", &format!("{path}?{wrong}"), "", "").await;
        assert_eq!(answer.refusal(), (422, "Invalid".to_owned()), "{wrong}");
    }
    assert_eq!(f.ask("DELETE", &format!("{path}?orphanDependents=false"), "", "").await.json()["status"], "Success");
}

#[tokio::test]
async fn a_precondition_that_does_not_hold_is_a_conflict() {
    let f = Fixture::new();
    let made = f.map("a", json!({})).await;
    let path = format!("{MAPS}/a");
    let wrong = f.delete(&path, &json!({"preconditions": {"uid": "other"}})).await;
    assert_eq!(wrong.refusal(), (409, "Conflict".to_owned()));
    assert!(wrong.message().contains("Precondition failed: UID in precondition: other"), "{}", wrong.text);
    let stale = json!({"preconditions": {"resourceVersion": "1"}});
    assert_eq!(f.delete(&path, &stale).await.refusal().0, 409);
    let right = json!({"preconditions": {"uid": made["metadata"]["uid"]}});
    assert_eq!(f.delete(&path, &right).await.code, 200);
    assert_eq!(f.delete(&path, &json!([])).await.refusal().0, 400);
}

#[tokio::test]
async fn a_placed_pod_is_marked_and_a_waiting_one_is_gone() {
    let f = Fixture::new();
    let pods = "/api/v1/namespaces/default/pods";
    for (name, node) in [("placed", json!("n")), ("waiting", Value::Null)] {
        let spec = json!({"nodeName": node, "restartPolicy": "Never", "containers": [{"name": "c", "image": "hello"}]});
        let answer = f.post(pods, &json!({"metadata": {"name": name}, "spec": spec})).await;
        assert_eq!(answer.code, 201, "{}", answer.text);
    }
    let placed = f.delete(&format!("{pods}/placed"), &json!({"gracePeriodSeconds": 7})).await.json();
    assert_eq!(placed["metadata"]["deletionGracePeriodSeconds"], 7);
    assert_eq!(f.delete(&format!("{pods}/waiting"), &json!({})).await.json()["kind"], "Pod");
    assert_eq!(f.stored(Kind::Pod, "waiting"), None);
    assert_eq!(f.delete(&format!("{pods}/placed"), &json!({"gracePeriodSeconds": 0})).await.code, 200);
    assert_eq!(f.stored(Kind::Pod, "placed"), None);
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_takes_nothing_new_and_goes_when_it_is_released() {
    let f = Fixture::new();
    let path = "/api/v1/namespaces/full";
    let maps = format!("{path}/configmaps");
    f.post("/api/v1/namespaces", &json!({"metadata": {"name": "full"}})).await;
    f.post(&maps, &json!({"metadata": {"name": "m"}})).await;
    for permanent in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let refused = f.delete(&format!("/api/v1/namespaces/{permanent}"), &json!({})).await;
        assert_eq!(refused.refusal(), (403, "Forbidden".to_owned()));
        let message = format!("namespaces {permanent:?} is forbidden: this namespace may not be deleted");
        assert_eq!(refused.message(), message);
    }
    let dry = f.ask("DELETE", &format!("{path}?dryRun=All"), "", "").await.json();
    assert_eq!(dry["status"]["phase"], "Terminating");
    assert_eq!(f.get(path).await.json()["status"]["phase"], "Active");

    let marked = f.delete(path, &json!({"propagationPolicy": "Background"})).await.json();
    assert_eq!((&marked["kind"], &marked["status"]["phase"]), (&json!("Namespace"), &json!("Terminating")));
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(f.delete(path, &json!({})).await.json(), marked, "once is enough");
    let refused = f.post(&maps, &json!({"metadata": {"name": "late"}})).await;
    assert_eq!(refused.refusal(), (403, "Forbidden".to_owned()));
    let message = "configmaps \"late\" is forbidden: unable to create new content in namespace full because it is \
                   being terminated";
    assert_eq!(refused.message(), message);
    let cause = json!({"reason": "NamespaceTerminating", "message": "namespace full is being terminated",
        "field": "metadata.namespace"});
    assert_eq!(refused.json()["details"]["causes"], json!([cause]));
    let changed = json!({"metadata": {"name": "m"}, "data": {"a": "b"}});
    assert_eq!(f.put(&format!("{maps}/m"), &changed).await.code, 200, "what is there can change");

    let mut emptied = marked.clone();
    emptied["metadata"]["resourceVersion"] = json!("1");
    assert_eq!(f.put(&format!("{path}/finalize"), &emptied).await.refusal().0, 409);
    emptied["metadata"]["resourceVersion"] = marked["metadata"]["resourceVersion"].clone();
    emptied["metadata"]["labels"] = json!({"not": "written here"});
    emptied["spec"]["finalizers"] = json!(["kubernetes", "unqualified"]);
    assert_eq!(f.put(&format!("{path}/finalize"), &emptied).await.refusal().0, 422);
    emptied["spec"]["finalizers"] = json!([]);
    let gone = f.put(&format!("{path}/finalize"), &emptied).await;
    assert_eq!((gone.code, &gone.json()["metadata"]["name"]), (StatusCode::OK, &json!("full")), "{}", gone.text);
    assert_eq!(gone.json()["metadata"]["labels"], marked["metadata"]["labels"]);
    assert_eq!(f.get(path).await.refusal().0, 404);
    assert_eq!(f.get("/api/v1/namespaces/default/status").await.json()["metadata"]["name"], "default");
}

fn listed(answer: &Answer) -> Vec<String> {
    let items = answer.json()["items"].as_array().unwrap_or_else(|| panic!("{}", answer.text)).clone();
    items.iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_collection_is_deleted_as_far_as_it_is_selected() {
    let f = Fixture::new();
    for (name, x) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "1")] {
        f.map(name, json!({"x": x})).await;
    }
    let all = ["a", "b", "c", "d"];
    let dry = f.ask("DELETE", &format!("{MAPS}?dryRun=All"), "", "").await;
    assert_eq!((listed(&dry), dry.json()["kind"].clone()), (all.map(str::to_owned).to_vec(), json!("ConfigMapList")));
    assert_eq!(f.delete(&format!("{MAPS}?dryRun=All"), &json!({"gracePeriodSeconds": 0})).await.code, 200);
    assert_eq!(listed(&f.get(MAPS).await), all, "a dry run deletes nothing");
    let selected = f.ask("DELETE", &format!("{MAPS}?labelSelector=x%3D1&limit=2"), "", "").await;
    assert_eq!(listed(&selected), ["a", "c"]);
    assert!(selected.json()["metadata"]["continue"].is_string());
    assert_eq!(listed(&f.get(MAPS).await), ["b", "d"]);
    let field = f.delete(&format!("{MAPS}?fieldSelector=metadata.name%3Dd"), &json!({"gracePeriodSeconds": 0})).await;
    assert_eq!(listed(&field), ["d"]);
    assert_eq!(f.delete(MAPS, &json!({"preconditions": {"uid": "other"}})).await.refusal().0, 409);
    assert_eq!(f.delete(MAPS, &json!({"propagationPolicy": "Never"})).await.refusal().0, 422);
    assert_eq!(f.delete(MAPS, &json!({"kind": "Pod"})).await.refusal().0, 400);
    assert_eq!(listed(&f.delete(MAPS, &json!({"kind": "DeleteOptions", "apiVersion": "v1"})).await), ["b"]);
    assert_eq!(listed(&f.delete(MAPS, &json!({})).await), [] as [&str; 0]);
    assert_eq!(f.delete("/api/v1/namespaces", &json!({})).await.refusal().0, 405, "namespaces go one by one");
}

#[tokio::test]
async fn a_collection_of_jobs_honours_the_propagation() {
    let f = Fixture::new();
    for name in ["a", "b"] {
        f.post(JOBS, &job(name)).await;
    }
    let kept = f.ask("DELETE", &format!("{JOBS}?dryRun=All"), "", "").await;
    assert!(kept.warnings()[0].contains("child pods are preserved by default"), "{:?}", kept.warnings());
    let foreground = f.ask("DELETE", &format!("{JOBS}?propagationPolicy=Foreground"), "", "").await;
    assert!(foreground.warnings().is_empty());
    assert_eq!(listed(&foreground), ["a", "b"]);
    let finalizers = |name: &str| f.stored(Kind::Job, name).unwrap().meta().finalizers.clone().unwrap();
    assert_eq!(
        (finalizers("a"), finalizers("b")),
        (vec!["foregroundDeletion".to_owned()], vec!["foregroundDeletion".to_owned()])
    );
    assert_eq!(f.delete(JOBS, &json!({"propagationPolicy": "Background"})).await.code, 200);
    assert_eq!(f.stored(Kind::Job, "a"), None);
}

#[tokio::test]
async fn a_large_collection_goes_in_batches_between_which_others_have_their_turn() {
    let f = Fixture::with_ring(20_000);
    let count = 1201;
    for batch in 0..3 {
        let mut tx = Tx::new();
        for n in 0..count / 3 + 1 {
            let meta =
                json!({"name": format!("m{batch}-{n:05}"), "namespace": "default", "uid": format!("{batch}-{n}")});
            tx = tx.create(Object::deserialize(Kind::ConfigMap, json!({"metadata": meta})).unwrap());
        }
        f.api.store.commit(tx).unwrap();
    }
    let stored = || f.api.store.count_in(Kind::ConfigMap, Some("default"));
    let before = stored();
    let (router, seen) = (f.router.clone(), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let request = Request::delete(MAPS).body(Body::empty()).unwrap();
    let deleting = tokio::spawn(router.oneshot(request));
    // On a runtime of one thread the two take turns.
    while !deleting.is_finished() {
        seen.lock().unwrap().push(stored());
        tokio::task::yield_now().await;
    }
    assert_eq!(deleting.await.unwrap().unwrap().status(), 200);
    assert_eq!(stored(), 0);
    let seen = seen.lock().unwrap().clone();
    assert!(seen.contains(&(before - 500)) && seen.contains(&(before - 1000)), "{before}: {seen:?}");
}

#[tokio::test]
async fn the_older_way_to_ask_for_a_cascade_is_accepted_while_something_is_waited_for() {
    let f = Fixture::new();
    let mut held = job("held");
    held["metadata"]["finalizers"] = json!(["a.b/c"]);
    f.post(JOBS, &held).await;
    assert_eq!(f.delete(&format!("{JOBS}/held"), &json!({"orphanDependents": false})).await.code, 202);
    f.post(JOBS, &job("free")).await;
    assert_eq!(f.delete(&format!("{JOBS}/free"), &json!({"orphanDependents": false})).await.code, 200);
}
