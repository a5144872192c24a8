use super::*;

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|i| i["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_has_its_kind_and_the_revision_from_which_it_can_be_watched() {
    let f = Fixture::new();
    f.map("b", json!({"x": "1"})).await;
    let last = f.map("a", json!({"x": "2"})).await;
    let list = f.get(MAPS).await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(list["metadata"], json!({"resourceVersion": last["metadata"]["resourceVersion"]}));
    assert_eq!(names(&list), ["a", "b"]);
    assert_eq!(names(&f.get(&format!("{MAPS}?labelSelector=x%3D1")).await.json()), ["b"]);
    assert_eq!(names(&f.get(&format!("{MAPS}?fieldSelector=metadata.name%3Da")).await.json()), ["a"]);
    assert_eq!(names(&f.get("/api/v1/configmaps").await.json()), ["a", "b"]);
    assert!(names(&f.get("/api/v1/namespaces/none/configmaps").await.json()).is_empty());
    assert_eq!(f.get(&format!("{MAPS}?labelSelector=%3D%3D")).await.refusal().0, 400);
    assert_eq!(f.get(&format!("{MAPS}?fieldSelector=data%3Da")).await.refusal().0, 400);
}

#[tokio::test]
async fn a_switch_may_be_turned_off_in_any_case() {
    let f = Fixture::new();
    for off in ["false", "False", "FALSE", "0"] {
        let path = format!("{MAPS}?watch={off}");
        let list = tokio::time::timeout(Duration::from_secs(10), f.get(&path));
        assert_eq!(list.await.expect("it is no watch").json()["kind"], "ConfigMapList", "{off}");
    }
    let path = format!("{MAPS}?watch=True&resourceVersionMatch=NotOlderThan&sendInitialEvents=False");
    let mut watch = f.watch(&path, "application/json").await;
    f.map("a", json!({})).await;
    assert_eq!(watch.event().await, event("ADDED", "a"));
}

#[tokio::test]
async fn a_list_comes_in_the_form_that_is_asked_for() {
    let f = Fixture::new();
    f.map("a", json!({})).await;
    let table = f.get_as(MAPS, TABLE).await.json();
    assert_eq!((&table["kind"], &table["rows"][0]["cells"][0]), (&json!("Table"), &json!("a")));
    assert_eq!(f.get_as(&format!("{MAPS}/a"), TABLE).await.json()["rows"].as_array().unwrap().len(), 1);
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    assert_eq!(f.get_as(MAPS, partial).await.json()["kind"], "PartialObjectMetadataList");
    assert_eq!(f.get_as(MAPS, "text/html").await.refusal(), (406, "NotAcceptable".to_owned()));
}

#[tokio::test]
async fn whoever_wants_yaml_is_answered_in_yaml() {
    const YAML: &str = "application/yaml";
    let read = |answer: &Answer| {
        assert_eq!(answer.headers["content-type"], YAML, "{}", answer.text);
        crate::api::decode::yaml::single(answer.text.as_bytes())
            .unwrap_or_else(|e| panic!("{e}: {}", answer.text))
            .value
    };
    let f = Fixture::new();
    let made = f.map("a", json!({"switch": "on"})).await;
    let one = f.get_as(&format!("{MAPS}/a"), "application/json;q=0.5, application/yaml").await;
    assert_eq!(read(&one), made);
    assert!(one.text.starts_with("apiVersion: v1\nkind: ConfigMap\nmetadata:\n"), "{}", one.text);
    // Longer than what is put together in one piece.
    let long = json!({"metadata": {"name": "b"}, "data": {"lines": "x: \"y\"\n".repeat(40_000)}});
    assert_eq!(f.post(MAPS, &long).await.code, 201);
    assert_eq!(read(&f.get_as(MAPS, YAML).await), f.get(MAPS).await.json());
    let table = "application/yaml;as=Table;v=v1;g=meta.k8s.io";
    assert_eq!(read(&f.get_as(MAPS, table).await)["kind"], "Table");
    let missing = f.get_as(&format!("{MAPS}/none"), YAML).await;
    assert_eq!((missing.code.as_u16(), &read(&missing)["reason"]), (404, &json!("NotFound")));
    assert_eq!(read(&f.get_as("/version", YAML).await)["major"], "1");
    assert_eq!(f.get_as(MAPS, "application/json, application/yaml").await.json()["kind"], "ConfigMapList");
    let watch = f.get_as(&format!("{MAPS}?watch=true"), YAML).await;
    assert_eq!(watch.refusal(), (406, "NotAcceptable".to_owned()));
    let head = Request::head(MAPS).header("accept", YAML).body(Body::empty()).unwrap();
    let head = f.send(head).await;
    assert_eq!(
        (head.code.as_u16(), &head.headers["content-type"], head.text.as_str()),
        (200, &YAML.parse().unwrap(), "")
    );
}

#[tokio::test]
async fn pages_show_one_moment_however_much_changes_between_them() {
    let f = Fixture::new();
    for name in ["a", "b", "c", "d", "e"] {
        f.map(name, json!({})).await;
    }
    let first = f.get(&format!("{MAPS}?limit=2")).await.json();
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(3)));
    f.delete(&format!("{MAPS}/c"), &json!({})).await;
    f.map("bb", json!({})).await;
    f.put(&format!("{MAPS}/d"), &json!({"metadata": {"name": "d"}, "data": {"new": "yes"}})).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    for (more, code) in [("resourceVersion=5", 400), ("resourceVersionMatch=Exact", 422)] {
        assert_eq!(f.get(&format!("{MAPS}?limit=2&continue={token}&{more}")).await.refusal().0, code, "{more}");
    }
    let second = f.get(&format!("{MAPS}?limit=2&continue={token}")).await.json();
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["items"][1].get("data"), None);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = f.get(&format!("{MAPS}?limit=2&continue={token}")).await.json();
    assert_eq!((names(&third), third["metadata"].get("continue")), (vec!["e"], None));
}

#[tokio::test]
async fn a_page_of_a_selection_is_full_if_there_is_enough() {
    let f = Fixture::new();
    for (name, x) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2"), ("e", "1")] {
        f.map(name, json!({"x": x})).await;
    }
    let first = f.get(&format!("{MAPS}?limit=2&labelSelector=x%3D1")).await.json();
    assert_eq!((names(&first), first["metadata"].get("remainingItemCount")), (vec!["a", "c"], None));
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = f.get(&format!("{MAPS}?limit=2&labelSelector=x%3D1&continue={token}")).await.json();
    assert_eq!((names(&second), second["metadata"].get("continue")), (vec!["e"], None));
}

#[tokio::test]
async fn pages_of_all_namespaces_count_what_is_behind_them() {
    let f = Fixture::new();
    f.post("/api/v1/namespaces", &json!({"metadata": {"name": "other"}})).await;
    for namespace in ["default", "other"] {
        for name in ["a", "b", "c"] {
            let path = format!("/api/v1/namespaces/{namespace}/configmaps");
            assert_eq!(f.post(&path, &json!({"metadata": {"name": name}})).await.code, 201);
        }
    }
    let (mut seen, mut counts, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = f.get(&format!("/api/v1/configmaps?limit=1&continue={token}")).await.json();
        seen.push(format!("{}/{}", page["items"][0]["metadata"]["namespace"], page["items"][0]["metadata"]["name"]));
        let Some(next) = page["metadata"]["continue"].as_str() else { break };
        counts.push(page["metadata"]["remainingItemCount"].as_i64().unwrap());
        token = next.to_owned();
    }
    assert_eq!((seen.len(), counts), (6, vec![5, 4, 3, 2, 1]));
    assert!(seen.is_sorted(), "{seen:?}");
    let one = f.get("/api/v1/namespaces/other/configmaps?limit=2").await.json();
    assert_eq!(one["metadata"]["remainingItemCount"], 1);
}

#[tokio::test]
async fn history_that_is_gone_is_expired_and_a_future_revision_is_to_be_asked_for_later() {
    let f = Fixture::with_ring(2);
    f.map("a", json!({})).await;
    f.map("b", json!({})).await;
    let first = f.get(&format!("{MAPS}?limit=1")).await.json();
    for name in ["c", "d", "e"] {
        f.map(name, json!({})).await;
    }
    let token = first["metadata"]["continue"].as_str().unwrap();
    let expired = f.get(&format!("{MAPS}?limit=1&continue={token}")).await;
    assert_eq!(expired.refusal(), (410, "Expired".to_owned()));
    assert!(expired.message().starts_with("The provided continue parameter is too old"), "{}", expired.text);
    // Who does not mind can go on from there with what is there now.
    let token = expired.json()["metadata"]["continue"].as_str().unwrap().to_owned();
    let rest = f.get(&format!("{MAPS}?limit=2&continue={token}")).await.json();
    assert_eq!((names(&rest), rest["metadata"].get("remainingItemCount")), (vec!["b", "c"], None));
    let token = rest["metadata"]["continue"].as_str().unwrap();
    assert_eq!(names(&f.get(&format!("{MAPS}?continue={token}")).await.json()), ["d", "e"]);
    let exact = |n: &str| format!("{MAPS}?resourceVersionMatch=Exact&resourceVersion={n}");
    assert_eq!(f.get(&exact("2")).await.refusal(), (410, "Expired".to_owned()));
    let future = f.get(&format!("{MAPS}?resourceVersion=99")).await;
    assert_eq!((future.refusal(), future.headers["retry-after"].as_bytes()), ((504, "Timeout".to_owned()), &b"1"[..]));
    assert_eq!(future.message(), "Too large resource version: 99, current: 6");
    assert_eq!(names(&f.get(&exact("5")).await.json()), ["a", "b", "c", "d"]);
    assert_eq!(f.get(&format!("{MAPS}?resourceVersion=0")).await.code, 200);
    assert_eq!(f.get(&format!("{MAPS}/a?resourceVersion=99")).await.refusal(), (504, "Timeout".to_owned()));
    assert_eq!(f.get(&format!("{MAPS}/a?resourceVersion=0")).await.code, 200);
    let initial = f.get(&format!("{MAPS}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan")).await;
    assert_eq!(initial.json()["details"]["causes"][0]["message"], "Forbidden: sendInitialEvents is forbidden for list");
    for wrong in ["resourceVersionMatch=Exact", "resourceVersion=x", "resourceVersionMatch=Nearly&resourceVersion=1"] {
        assert_eq!(f.get(&format!("{MAPS}?{wrong}")).await.refusal(), (422, "Invalid".to_owned()), "{wrong}");
    }
    assert_eq!(f.get(&format!("{MAPS}?continue=zz")).await.refusal().0, 400);
}

#[tokio::test]
async fn a_long_list_is_sent_in_pieces_that_are_one_document() {
    let f = Fixture::new();
    let filler = "x".repeat(10_000);
    for i in 0..30 {
        let body = json!({"metadata": {"name": format!("m{i}")}, "data": {"a": filler}});
        assert_eq!(f.post(MAPS, &body).await.code, 201);
    }
    let request = Request::get(MAPS).body(Body::empty()).unwrap();
    let response = f.router.clone().oneshot(request).await.unwrap();
    let pieces: Vec<_> = response.into_body().into_data_stream().map(Result::unwrap).collect().await;
    assert!(pieces.len() > 3, "{}", pieces.len());
    let list: Value = serde_json::from_slice(&pieces.concat()).unwrap();
    assert_eq!(names(&list).len(), 30);
}
