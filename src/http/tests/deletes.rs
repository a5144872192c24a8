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
    assert_eq!(f.put(&format!("{maps}/m"), &json!({"data": {"a": "b"}})).await.code, 200, "what is there can change");

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
