use super::*;

const PODS: &str = "/api/v1/namespaces/default/pods";

async fn pod(f: &Fixture, name: &str, node: Option<&str>) -> Value {
    let spec = json!({"nodeName": node, "restartPolicy": "Never", "containers": [{"name": "c", "image": "hello"}]});
    let answer = f.post(PODS, &json!({"metadata": {"name": name}, "spec": spec})).await;
    assert_eq!(answer.code, 201, "{}", answer.text);
    answer.json()
}

fn binding(pod: &str, node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod, "annotations": {"by": "hand"}},
        "target": {"kind": "Node", "name": node}})
}

#[tokio::test]
async fn a_binding_gives_a_pod_its_node_once() {
    let f = Fixture::new();
    assert_eq!(f.post("/api/v1/nodes", &json!({"metadata": {"name": "n"}})).await.code, 201);
    pod(&f, "p", None).await;
    let path = format!("{PODS}/p/binding");
    let nowhere = f.post(&path, &binding("p", "none")).await;
    assert_eq!((nowhere.refusal().0, nowhere.message()), (404, "nodes \"none\" not found".to_owned()));
    let mut wrong = binding("p", "n");
    wrong["target"] = json!({"kind": "Pod"});
    let wrong = f.post(&path, &wrong).await;
    assert_eq!(wrong.refusal(), (422, "Invalid".to_owned()));
    assert_eq!(wrong.json()["details"]["causes"].as_array().unwrap().len(), 2, "{}", wrong.text);
    assert_eq!(f.post(&path, &binding("q", "n")).await.refusal().0, 400);
    assert_eq!(f.post(&path, &json!({"kind": "Pod", "metadata": {}})).await.refusal().0, 400);
    assert_eq!(f.post(&format!("{PODS}/none/binding"), &binding("none", "n")).await.refusal().0, 404);

    assert_eq!(f.post(&format!("{path}?dryRun=All"), &binding("p", "n")).await.code, 201);
    assert_eq!(f.get(&format!("{PODS}/p")).await.json()["spec"].get("nodeName"), None);
    let bound = f.post(&path, &binding("p", "n")).await;
    assert_eq!((bound.code, &bound.json()["status"]), (StatusCode::CREATED, &json!("Success")), "{}", bound.text);
    let now = f.get(&format!("{PODS}/p")).await.json();
    assert_eq!((&now["spec"]["nodeName"], &now["metadata"]["annotations"]), (&json!("n"), &json!({"by": "hand"})));
    let scheduled = &now["status"]["conditions"][0];
    assert_eq!((&scheduled["type"], &scheduled["status"]), (&json!("PodScheduled"), &json!("True")));
    let again = f.post(&path, &binding("p", "n")).await;
    assert_eq!(again.refusal(), (409, "Conflict".to_owned()));
    assert!(again.message().ends_with("pod p is already assigned to node \"n\""), "{}", again.text);

    pod(&f, "q", None).await;
    assert_eq!(f.post("/api/v1/namespaces/default/bindings", &binding("q", "n")).await.code, 201);
    assert_eq!(f.get(&format!("{PODS}/q")).await.json()["spec"]["nodeName"], "n");
}

#[tokio::test]
async fn an_eviction_deletes_the_pod_and_says_so_on_it() {
    let f = Fixture::new();
    let made = pod(&f, "p", Some("n")).await;
    let path = format!("{PODS}/p/eviction");
    let eviction = |name: &str, options: Value| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": options});
    assert_eq!(f.post(&path, &eviction("other", json!({}))).await.refusal().0, 400);
    let wrong = json!({"preconditions": {"uid": "other"}});
    assert_eq!(f.post(&path, &eviction("p", wrong)).await.refusal().0, 409);
    for dry in [json!({"dryRun": ["All"]}), json!({"gracePeriodSeconds": 0, "dryRun": ["All"]})] {
        assert_eq!(f.post(&path, &eviction("p", dry)).await.code, 201);
    }
    assert_eq!(f.post(&format!("{path}?dryRun=All"), &eviction("p", json!({}))).await.code, 201);
    assert_eq!(f.get(&format!("{PODS}/p")).await.json(), made, "a dry run changes nothing");

    let options = json!({"gracePeriodSeconds": 7, "preconditions": {"uid": made["metadata"]["uid"]}});
    let evicted = f.post(&path, &eviction("p", options)).await;
    assert_eq!((evicted.code, &evicted.json()["status"]), (StatusCode::CREATED, &json!("Success")), "{}", evicted.text);
    let now = f.get(&format!("{PODS}/p")).await.json();
    assert_eq!(now["metadata"]["deletionGracePeriodSeconds"], 7);
    let condition = &now["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["reason"]),
        (&json!("DisruptionTarget"), &json!("EvictionByEvictionAPI"))
    );
    assert_eq!(f.post(&path, &eviction("p", json!({}))).await.code, 201, "it is being evicted already");
    assert_eq!(f.post(&path, &eviction("p", json!({"gracePeriodSeconds": 0}))).await.code, 201);
    assert_eq!(f.post(&path, &eviction("p", json!({}))).await.refusal(), (404, "NotFound".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_done_to_a_pod_is_said_in_words() {
    let f = Fixture::new();
    for (sub, word) in [
        ("exec?command=sh", "nothing to exec"),
        ("attach", "nothing to attach"),
        ("portforward", "no port to forward"),
        ("proxy", "no ports"),
        ("proxy/any/path", "no ports"),
        ("ephemeralcontainers", "no container can be added"),
        ("resize", "cannot be resized"),
    ] {
        for method in ["GET", "POST", "PATCH"] {
            let answer = f.ask(method, &format!("{PODS}/p/{sub}"), "application/json", "{}").await;
            assert_eq!(answer.refusal(), (501, "NotImplemented".to_owned()), "{method} {sub}");
            assert!(answer.message().contains(word), "{}", answer.text);
        }
    }
    for scale in ["/apis/batch/v1/namespaces/default/jobs/x/scale", "/api/v1/namespaces/default/pods/x/scale"] {
        assert_eq!(f.get(scale).await.message(), "the server could not find the requested resource");
    }
}
