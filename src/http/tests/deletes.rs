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
async fn only_an_empty_namespace_can_be_deleted() {
    let f = Fixture::new();
    let namespace = |name: &str| format!("/api/v1/namespaces/{name}");
    f.post("/api/v1/namespaces", &json!({"metadata": {"name": "full"}})).await;
    f.post("/api/v1/namespaces/full/configmaps", &json!({"metadata": {"name": "m"}})).await;
    let full = f.delete(&namespace("full"), &json!({})).await;
    assert_eq!(full.refusal(), (403, "Forbidden".to_owned()));
    assert!(full.message().contains("has configmaps such as \"m\""), "{}", full.text);
    assert_eq!(f.delete(&namespace("default"), &json!({})).await.refusal().0, 403);
    f.delete("/api/v1/namespaces/full/configmaps/m", &json!({})).await;
    assert_eq!(f.delete(&namespace("full"), &json!({})).await.json()["kind"], "Namespace");
    assert_eq!(f.get(&namespace("full")).await.refusal().0, 404);
    assert_eq!(f.get("/api/v1/namespaces/default/status").await.json()["metadata"]["name"], "default");
}
