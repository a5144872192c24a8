use super::*;

#[tokio::test]
async fn a_watch_from_a_list_tells_what_came_after_it() {
    let f = Fixture::new();
    f.map("a", json!({})).await;
    let revision = f.get(MAPS).await.json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut watch = f.watch(&format!("{MAPS}?watch=true&resourceVersion={revision}"), "").await;
    f.map("b", json!({})).await;
    f.delete(&format!("{MAPS}/a"), &json!({})).await;
    assert_eq!(watch.event().await, event("ADDED", "b"));
    assert_eq!(watch.event().await, event("DELETED", "a"));
}

#[tokio::test]
async fn a_watch_without_a_revision_begins_with_what_is_there() {
    let f = Fixture::new();
    f.map("a", json!({})).await;
    for revision in ["", "&resourceVersion=0", "&resourceVersion="] {
        let mut watch = f.watch(&format!("{MAPS}?watch=1{revision}"), "").await;
        assert_eq!(watch.event().await, event("ADDED", "a"), "{revision}");
    }
}

#[tokio::test]
async fn an_object_that_ceases_to_match_goes_and_one_that_begins_to_comes() {
    let f = Fixture::new();
    f.map("a", json!({"x": "1"})).await;
    let mut watch = f.watch(&format!("{MAPS}?watch=true&labelSelector=x%3D1"), "").await;
    assert_eq!(watch.event().await, event("ADDED", "a"));
    let label = |x: &'static str| json!({"metadata": {"name": "a", "labels": {"x": x}}});
    let changed = f.put(&format!("{MAPS}/a"), &label("2")).await.json();
    let gone = watch.next().await.unwrap();
    assert_eq!((&gone["type"], &gone["object"]["metadata"]["labels"]["x"]), (&json!("DELETED"), &json!("1")));
    assert_eq!(gone["object"]["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]);
    f.put(&format!("{MAPS}/a"), &label("3")).await;
    f.put(&format!("{MAPS}/a"), &label("1")).await;
    assert_eq!(watch.event().await, event("ADDED", "a"));
    f.put(&format!("{MAPS}/a"), &json!({"metadata": {"name": "a", "labels": {"x": "1", "y": "2"}}})).await;
    assert_eq!(watch.event().await, event("MODIFIED", "a"));
}

#[tokio::test]
async fn a_watch_list_says_where_the_initial_events_end() {
    let f = Fixture::new();
    let made = f.map("a", json!({})).await;
    let query = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                 &fieldSelector=metadata.name%3Da&timeoutSeconds=90";
    let mut watch = f.watch(&format!("{MAPS}?{query}"), "").await;
    assert_eq!(watch.event().await, event("ADDED", "a"));
    let mark = watch.next().await.unwrap();
    assert_eq!((&mark["type"], &mark["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    let metadata = &mark["object"]["metadata"];
    assert_eq!(metadata["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(metadata["resourceVersion"], made["metadata"]["resourceVersion"]);

    // Then bookmarks: one after a minute, one at the end.
    let mut bookmarks = 0;
    loop {
        f.clock.advance(Duration::from_secs(5));
        match tokio::time::timeout(Duration::from_millis(20), watch.next()).await {
            Ok(Some(line)) => {
                assert_eq!(line["type"], "BOOKMARK");
                bookmarks += 1;
            }
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert_eq!(bookmarks, 2);
}

#[tokio::test]
async fn a_watch_from_before_the_history_ends_with_410_in_the_stream() {
    let f = Fixture::with_ring(2);
    for name in ["a", "b", "c", "d"] {
        f.map(name, json!({})).await;
    }
    let mut watch = f.watch(&format!("{MAPS}?watch=true&resourceVersion=1"), "").await;
    let line = watch.next().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(line["object"]["reason"], "Expired");
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_holds_up_nobody() {
    let f = Fixture::with_ring(10);
    let mut watch = f.watch(&format!("{MAPS}?watch=true"), "").await;
    for i in 0..100 {
        f.map(&format!("m{i}"), json!({})).await;
    }
    let mut last = Value::Null;
    while let Some(line) = watch.next().await {
        last = line;
    }
    assert_eq!(last["object"]["code"], 410);
}

#[tokio::test]
async fn a_watch_for_a_table_sends_a_row_per_event_and_the_columns_once() {
    let f = Fixture::new();
    f.map("a", json!({})).await;
    f.map("b", json!({})).await;
    let mut watch = f.watch(&format!("{MAPS}?watch=true"), TABLE).await;
    let first = watch.next().await.unwrap();
    assert_eq!((&first["type"], &first["object"]["kind"]), (&json!("ADDED"), &json!("Table")));
    assert!(!first["object"]["columnDefinitions"].as_array().unwrap().is_empty());
    let second = watch.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], json!([]));
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
}

#[tokio::test]
async fn what_a_watch_cannot_mean_is_refused() {
    let f = Fixture::new();
    for query in [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan",
        "sendInitialEvents=true&resourceVersionMatch=Exact",
        "resourceVersion=-1",
    ] {
        let answer = f.get(&format!("{MAPS}?watch=true&{query}")).await;
        assert_eq!(answer.refusal(), (422, "Invalid".to_owned()), "{query}");
    }
    assert_eq!(f.get(&format!("{MAPS}?watch=true&resourceVersion=99")).await.refusal().0, 504);
}
