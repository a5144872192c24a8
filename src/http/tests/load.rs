//! Health, metrics, compression and the limits that need no socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::http::{Check, compressed, observed};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

impl Fixture {
    /// The routes as they are served, but for the guard.
    pub(super) fn whole(mut self) -> Fixture {
        self.router = observed(compressed(self.router), self.api.server.clone());
        self
    }

    /// The value of a metric; the labels must be all that it has, in order.
    async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    async fn with_node(&self) {
        let namespace = json!({"metadata": {"name": "kube-node-lease"}});
        assert_eq!(self.post("/api/v1/namespaces", &namespace).await.code, 201);
        let node = json!({"metadata": {"name": "n", "uid": "n"}, "status": {"capacity": {"cpu": "1500m", "memory": "1Ki"},
            "conditions": [{"type": "Ready", "status": "True"}]}});
        self.api.store.commit(Tx::new().create(Object::deserialize(Kind::Node, node).unwrap())).unwrap();
        let lease = json!({"metadata": {"name": "n"}, "spec": {"leaseDurationSeconds": 40,
            "renewTime": "2026-01-02T03:04:05.000000Z"}});
        let answer = self.post(LEASES, &lease).await;
        assert_eq!(answer.code, 201, "{}", answer.text);
    }
}

#[tokio::test]
async fn health_asks_each_question_and_says_as_little_as_the_api_server() {
    let f = Fixture::new();
    assert_eq!(f.get("/livez").await.text, "ok");
    assert_eq!(f.get("/livez?verbose").await.text, "[+]ping ok\nlivez check passed\n");
    let answer = f.get("/readyz").await;
    let report = "[+]ping ok\n[+]store ok\n[+]committer ok\n[-]node failed: reason withheld\n[+]shutdown ok\n\
                  readyz check failed\n";
    assert_eq!((answer.code.as_u16(), answer.text.as_str()), (500, report));
    let answer = f.get("/readyz/node").await;
    let reason = "internal server error: no node has reported yet\n";
    assert_eq!((answer.code.as_u16(), answer.text.as_str()), (500, reason));
    assert_eq!(f.get("/readyz?exclude=node").await.text, "ok");
    let report = "[+]ping ok\n[+]store ok\n[+]committer ok\n[+]node excluded: ok\n[+]shutdown ok\n\
                  warn: some health checks cannot be excluded: no matches for \"x\"\nhealthz check passed\n";
    assert_eq!(f.get("/healthz?verbose&exclude=node&exclude=x").await.text, report);

    f.with_node().await;
    assert_eq!(f.get("/readyz").await.text, "ok");
    assert_eq!(f.get("/readyz/store").await.text, "ok");
    f.clock.advance(Duration::from_secs(41));
    let reason = "internal server error: the lease of node n was renewed 41 s ago, and lasts for 40 s\n";
    assert_eq!(f.get("/readyz/node").await.text, reason);
    assert_eq!(f.get("/livez").await.text, "ok", "a restart does not help");

    assert_eq!(f.get("/readyz/nothing").await.refusal().0, 404);
    assert_eq!(f.get("/livez/store").await.refusal().0, 404);
}

#[tokio::test]
async fn what_the_other_parts_say_of_themselves_is_asked_each_time() {
    let mut f = Fixture::new();
    f.with_node().await;
    let fails = Arc::new(AtomicBool::new(false));
    let asked = fails.clone();
    let ask = move || if asked.load(Relaxed) { Err("no".to_owned()) } else { Ok(()) };
    let checks = vec![Check { name: "loops", of_life: true, ask: Box::new(ask) }];
    f.api.server = Server::new(ServerLimits::default(), f.clock.clone(), Registry::default(), checks);
    f.router = router(f.api.clone());
    for path in ["/livez", "/readyz", "/livez/loops", "/readyz/loops"] {
        assert_eq!(f.get(path).await.text, "ok", "{path}");
    }
    fails.store(true, Relaxed);
    for path in ["/livez", "/readyz", "/livez/loops", "/readyz/loops"] {
        assert_eq!(f.get(path).await.code, 500, "{path}");
    }
}

#[tokio::test]
async fn a_disk_that_hangs_is_found_out_and_its_metrics_are_still_read() {
    let f = Fixture::new();
    f.with_node().await;
    assert_eq!(f.get("/readyz/committer").await.text, "ok");
    let held = f.api.store.hold_disk();
    let map = json!({"metadata": {"name": "m", "namespace": "default"}});
    f.api.store.commit(Tx::new().create(Object::deserialize(Kind::ConfigMap, map).unwrap())).unwrap();
    let said = loop {
        let answer = f.get("/readyz/committer").await;
        if answer.code == 500 {
            break answer.text;
        }
        tokio::task::yield_now().await;
    };
    assert!(said.starts_with("internal server error: a write has waited for the disk for 0 s"), "{said}");
    assert_eq!(f.get("/readyz").await.code, 500);
    // The page waits for the disk, but not for ever.
    let reading = f.metric("kiln_store_oldest_unflushed_seconds");
    let passes = async {
        loop {
            f.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let age = tokio::select! {
        age = reading => age,
        () = passes => None,
    };
    assert!(age.is_some_and(|age| age >= 0.3), "{age:?}");
    drop(held);
    while f.get("/readyz/committer").await.code != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn objects_are_told_by_the_names_of_kube_state_metrics() {
    let f = Fixture::new();
    f.with_node().await;
    let spec = json!({"completions": 3, "parallelism": 2, "activeDeadlineSeconds": 9, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}});
    assert_eq!(f.post(JOBS, &json!({"metadata": {"name": "j"}, "spec": spec})).await.code, 201);
    let cron_job = json!({"metadata": {"name": "cj"}, "spec": {"schedule": "5 4 * * *", "timeZone": "Etc/UTC",
        "jobTemplate": {"spec": spec}}});
    let answer = f.post("/apis/batch/v1/namespaces/default/cronjobs", &cron_job).await;
    assert_eq!(answer.code, 201, "{}", answer.text);
    let of_job = |name: &str, more: &str| format!("kube_job_{name}{{namespace=\"default\",job_name=\"j\"{more}}}");
    let created = 1_767_323_045.0;
    for (name, value) in [
        (of_job("info", ""), 1.0),
        (of_job("created", ""), created),
        (of_job("spec_completions", ""), 3.0),
        (of_job("spec_parallelism", ""), 2.0),
        (of_job("spec_active_deadline_seconds", ""), 9.0),
        (of_job("status_active", ""), 0.0),
        (of_job("status_failed", ""), 0.0),
        (of_job("owner", ",owner_kind=\"\",owner_name=\"\",owner_is_controller=\"\""), 1.0),
        ("kube_cronjob_spec_suspend{namespace=\"default\",cronjob=\"cj\"}".to_owned(), 0.0),
        ("kube_cronjob_next_schedule_time{namespace=\"default\",cronjob=\"cj\"}".to_owned(), created + 3660.0 - 5.0),
        ("kube_node_status_capacity{node=\"n\",resource=\"cpu\",unit=\"core\"}".to_owned(), 1.5),
        ("kube_node_status_capacity{node=\"n\",resource=\"memory\",unit=\"byte\"}".to_owned(), 1024.0),
        ("kube_node_status_condition{node=\"n\",condition=\"Ready\",status=\"true\"}".to_owned(), 1.0),
        ("kube_node_status_condition{node=\"n\",condition=\"Ready\",status=\"false\"}".to_owned(), 0.0),
        ("kiln_store_objects{resource=\"jobs\"}".to_owned(), 1.0),
    ] {
        assert_eq!(f.metric(&name).await, Some(value), "{name}");
    }
    let info = "kube_cronjob_info{namespace=\"default\",cronjob=\"cj\",schedule=\"5 4 * * *\",\
                concurrency_policy=\"Allow\",timezone=\"Etc/UTC\"}";
    assert_eq!(f.metric(info).await, Some(1.0));
    assert_eq!(f.metric(&of_job("status_start_time", "")).await, None, "what is not known is not told");

    // What has changed is told as it is now.
    let set = async |status: Value| {
        let patch = json!({ "status": status }).to_string();
        let answer = f.ask("PATCH", &format!("{JOBS}/j/status"), "application/merge-patch+json", patch).await;
        assert_eq!(answer.code, 200, "{}", answer.text);
    };
    set(json!({"failed": 1, "active": 1, "startTime": "2026-01-02T03:04:06Z"})).await;
    assert_eq!(f.metric(&of_job("status_active", "")).await, Some(1.0));
    assert_eq!(f.metric(&of_job("status_failed", ",reason=\"\"")).await, Some(1.0));
    let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": "BackoffLimitExceeded"});
    let conditions = [condition("FailureTarget"), condition("Failed")];
    set(json!({"failed": 2, "active": 0, "conditions": conditions})).await;
    for (name, value) in [
        (of_job("status_failed", ",reason=\"BackoffLimitExceeded\""), Some(1.0)),
        (of_job("status_failed", ",reason=\"DeadlineExceeded\""), Some(0.0)),
        (of_job("status_failed", ""), None),
        (of_job("failed", ",condition=\"true\""), Some(1.0)),
        (of_job("failed", ",condition=\"unknown\""), Some(0.0)),
        (of_job("complete", ",condition=\"true\""), None),
        (of_job("status_active", ""), Some(0.0)),
        (of_job("status_start_time", ""), Some(created + 1.0)),
    ] {
        assert_eq!(f.metric(&name).await, value, "{name}");
    }
    for accept in ["text/plain", "application/openmetrics-text;version=1.0.0"] {
        let parts = f.get_as("/metrics?objects=false", accept).await.text;
        assert!(!parts.contains("kube_") && parts.contains("\nkiln_store_objects{"), "{parts}");
        assert_eq!(parts.ends_with("# EOF\n"), accept.contains("open"));
        assert!(f.get_as("/metrics?objects=true", accept).await.text.contains("\nkube_job_info{"));
    }
    f.delete(&format!("{JOBS}/j"), &json!({"propagationPolicy": "Background"})).await;
    assert_eq!(f.metric(&of_job("info", "")).await, None);
}

#[tokio::test]
async fn the_page_is_written_as_the_client_reads_it() {
    let f = Fixture::new().whole();
    f.get(MAPS).await;
    let plain = f.get("/metrics").await;
    assert_eq!(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(plain.text.contains("# TYPE apiserver_request_total counter\n"), "{}", plain.text);
    assert!(!plain.text.contains("# EOF"));
    let open = f.get_as("/metrics", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2").await;
    assert_eq!(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(
        open.text.contains("# TYPE apiserver_request counter\n") && open.text.ends_with("# EOF\n"),
        "{}",
        open.text
    );
    // Of every metric there is one description, and every line is one of a metric that is described.
    for text in [plain.text, open.text] {
        let mut described = std::collections::HashSet::new();
        for line in text.lines().filter(|line| *line != "# EOF") {
            match line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
                Some(name) => assert!(described.insert(name), "{name} is described twice"),
                None if line.starts_with('#') => {}
                None => {
                    let name = line.split(['{', ' ']).next().unwrap();
                    let stem = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                    assert!(described.contains(name) || stem.is_some_and(|stem| described.contains(stem)), "{line}");
                    assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
                }
            }
        }
    }
}

#[tokio::test]
async fn each_request_is_counted_once_by_what_came_of_it() {
    let f = Fixture::new().whole();
    let total = |code: u16, verb: &str, scope: &str| {
        format!(
            "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",group=\"\",resource=\"configmaps\",\
             scope=\"{scope}\",subresource=\"\",verb=\"{verb}\",version=\"v1\"}}"
        )
    };
    f.map("a", json!({})).await;
    f.get(&format!("{MAPS}/a")).await;
    f.get(&format!("{MAPS}/b")).await;
    f.get(&format!("{MAPS}/c")).await;
    f.get(MAPS).await;
    let mut watch = f.watch(&format!("{MAPS}?watch=true"), "").await;
    watch.next().await;
    assert_eq!(f.metric(&total(201, "POST", "resource")).await, Some(1.0));
    assert_eq!(f.metric(&total(200, "GET", "resource")).await, Some(1.0));
    assert_eq!(f.metric(&total(404, "GET", "resource")).await, Some(2.0));
    assert_eq!(f.metric(&total(200, "LIST", "namespace")).await, Some(1.0));
    let watches = "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"configmaps\",\
                   scope=\"namespace\",subresource=\"\",verb=\"WATCH\",version=\"v1\"}";
    let events = "apiserver_watch_events_total{group=\"\",resource=\"configmaps\",version=\"v1\"}";
    assert_eq!((f.metric(watches).await, f.metric(events).await), (Some(1.0), Some(1.0)));
    assert_eq!(f.metric(&total(200, "WATCH", "namespace")).await, None, "it goes on");
    f.map("b", json!({})).await;
    watch.next().await;
    assert_eq!(f.metric(events).await, Some(2.0));
    drop(watch);
    assert_eq!((f.metric(watches).await, f.metric(&total(200, "WATCH", "namespace")).await), (Some(0.0), Some(1.0)));
    let seconds = total(0, "LIST", "namespace").replace("total{code=\"0\",", "duration_seconds_count{");
    assert_eq!(f.metric(&seconds).await, Some(1.0));
}

#[tokio::test]
async fn too_many_requests_at_a_time_are_refused_by_kind_and_health_answers() {
    let limits = ServerLimits { long_requests: 1, requests_inflight: 1, url_bytes: 300, ..ServerLimits::default() };
    let f = Fixture::with(100, limits).whole();
    let watch = f.watch(&format!("{MAPS}?watch=true"), "").await;
    let answer = f.get(&format!("{MAPS}?watch=true")).await;
    assert_eq!(answer.refusal(), (429, "TooManyRequests".to_owned()));
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json()["details"]["retryAfterSeconds"], 1);
    assert_eq!(answer.message(), "Too many requests, please try again later.");
    drop(watch);
    let watch = f.watch(&format!("{MAPS}?watch=true"), "").await;
    // An answer whose body has not been read is under way.
    let request = Request::get(MAPS).body(Body::empty()).unwrap();
    let unread = f.router.clone().oneshot(request).await.unwrap();
    assert_eq!(f.get(MAPS).await.code, 429);
    assert_eq!(f.metric("apiserver_current_inflight_requests{request_kind=\"readOnly\"}").await, Some(1.0));
    assert_eq!((f.get("/livez").await.code.as_u16(), f.get("/metrics").await.code.as_u16()), (200, 200));
    assert_eq!(f.post(MAPS, &json!({"metadata": {"name": "w"}})).await.code, 201, "writes have places of their own");
    drop(unread);
    assert_eq!(f.get(MAPS).await.code, 200);
    drop(watch);

    let path = format!("{MAPS}?x=");
    let fits = format!("{path}{}", "x".repeat(300 - path.len()));
    assert_eq!(f.get(&fits).await.code, 200);
    assert_eq!(f.get(&format!("{fits}x")).await.refusal(), (414, "RequestURITooLong".to_owned()));
}

#[tokio::test]
async fn only_long_answers_are_compressed_and_only_for_those_who_read_it() {
    let f = Fixture::new().whole();
    let big = |n: usize| json!({"metadata": {"name": format!("m{n}")}, "data": {"x": "y".repeat(50_000)}});
    f.post(MAPS, &big(0)).await;
    let ask = async |path: &str, encoding: &str| {
        let request = Request::get(path).header("accept-encoding", encoding).body(Body::empty()).unwrap();
        f.router.clone().oneshot(request).await.unwrap()
    };
    let is_gzip = |answer: &axum::response::Response| answer.headers().get("content-encoding").is_some();
    assert!(!is_gzip(&ask(MAPS, "gzip").await), "one is short");
    for n in 1..4 {
        f.post(MAPS, &big(n)).await;
    }
    let packed = ask(MAPS, "deflate, gzip;q=0.9").await;
    assert!(is_gzip(&packed));
    assert_eq!(packed.headers()["vary"], "accept-encoding");
    let packed = axum::body::to_bytes(packed.into_body(), usize::MAX).await.unwrap();
    assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() < 10_000, "{}", packed.len());
    for encoding in ["", "identity", "br", "*;q=0", "identity;q=0"] {
        let plain = ask(MAPS, encoding).await;
        assert!(!is_gzip(&plain) && plain.status() == 200, "{encoding}");
        let plain = axum::body::to_bytes(plain.into_body(), usize::MAX).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&plain).unwrap()["items"].as_array().unwrap().len(), 4);
    }
    assert!(!is_gzip(&ask(&format!("{MAPS}?watch=true"), "gzip").await), "a watch is read while it grows");
}

#[tokio::test]
async fn a_piece_is_found_by_who_comes_to_where_it_begins() {
    let f = Fixture::new();
    let from = |revision: u64| format!("{MAPS}?watch=true&resourceVersion={revision}");
    let mut first = f.watch(&from(f.api.store.revision()), "").await;
    // Of another kind, so that nothing of this one lies between where the two begin.
    f.post(JOBS, &job("j")).await;
    let mut second = f.watch(&from(f.api.store.revision()), "").await;
    f.map("a", json!({})).await;
    assert_eq!(second.event().await, event("ADDED", "a"));
    assert_eq!(first.event().await, event("ADDED", "a"), "and without another event that would wake it");
}

#[tokio::test]
async fn watchers_of_one_form_share_their_lines() {
    let f = Fixture::new().whole();
    let path = format!("{MAPS}?watch=true&resourceVersion={}", f.api.store.revision());
    let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let mut watches = Vec::new();
    for accept in ["", "", "", metadata, metadata] {
        watches.push(f.watch(&path, accept).await);
    }
    let mut selective = f.watch(&format!("{path}&labelSelector=x"), "").await;
    f.map("a", json!({"x": "1"})).await;
    f.put(&format!("{MAPS}/a"), &json!({"metadata": {"name": "a"}, "data": {"k": "v"}})).await;
    f.delete(&format!("{MAPS}/a"), &json!({})).await;
    let mut told = Vec::new();
    for watch in &mut watches {
        let lines = [watch.next().await.unwrap(), watch.next().await.unwrap(), watch.next().await.unwrap()];
        assert_eq!(lines.each_ref().map(|l| l["type"].as_str().unwrap()), ["ADDED", "MODIFIED", "DELETED"]);
        told.push(lines);
    }
    assert_eq!((&told[0], &told[3]), (&told[2], &told[4]));
    assert_eq!((&told[0][1]["object"]["kind"], &told[0][1]["object"]["data"]["k"]), (&json!("ConfigMap"), &json!("v")));
    assert_eq!(told[3][1]["object"]["kind"], "PartialObjectMetadata");
    // To this one the object goes when its label does.
    assert_eq!(selective.event().await, event("ADDED", "a"));
    let gone = selective.next().await.unwrap();
    assert_eq!((&gone["type"], &gone["object"]["metadata"]["labels"]["x"]), (&json!("DELETED"), &json!("1")));
    // Three events, in two forms, and the one that only the last saw so.
    assert_eq!(f.metric("kiln_watch_lines_made_total").await, Some(7.0));
    assert_eq!(f.metric("kiln_watch_lines_shared_total").await, Some(5.0 * 3.0 + 2.0 - 7.0));
}

impl Fixture {
    /// A pod, and what sends it a patch that does as much work as one may: each operation makes room before all arguments.
    fn with_long_patch(&self) -> impl Fn() -> tokio::task::JoinHandle<StatusCode> + use<> {
        let args: Vec<String> = vec![String::new(); 200_000];
        let spec = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "args": args}]});
        let pod = json!({"metadata": {"namespace": "default", "name": "a", "uid": "a"}, "spec": spec});
        self.api.store.commit(Tx::new().create(Object::deserialize(Kind::Pod, pod).unwrap())).unwrap();
        let first = json!({"op": "add", "path": "/spec/containers/0/args/0", "value": ""});
        let patch = json!(vec![first; 1000]).to_string();
        let router = self.router.clone();
        move || {
            let request = Request::patch("/api/v1/namespaces/default/pods/a");
            let request = request.header("content-type", "application/json-patch+json");
            let answer = router.clone().oneshot(request.body(Body::from(patch.clone())).unwrap());
            tokio::spawn(async move { answer.await.unwrap().status() })
        }
    }
}

#[tokio::test]
async fn a_patch_that_takes_long_holds_up_nobody() {
    let f = Fixture::new();
    let long = f.with_long_patch()();
    // This runtime has one thread. The patch begins while this waits, and others are answered before it is done.
    tokio::task::yield_now().await;
    assert_eq!(f.get("/version").await.code, 200);
    assert_eq!(f.get("/api/v1/namespaces/default/configmaps").await.code, 200);
    assert!(!long.is_finished());
    assert_eq!(long.await.unwrap(), 413);
}

#[tokio::test]
async fn clients_that_go_leave_no_more_work_behind_than_there_are_threads_for() {
    let f = Fixture::new();
    let patch = f.with_long_patch();
    let all: Vec<_> = (0..20).map(|_| patch()).collect();
    tokio::task::yield_now().await;
    all.iter().for_each(|client| client.abort());
    for client in all {
        assert!(client.await.unwrap_err().is_cancelled());
    }
    assert_eq!(f.api.asides.available_permits(), 0, "what was begun is still at work");
    // Nobody else is in line: this one is next.
    assert_eq!(patch().await.unwrap(), 413);
    let every = u32::try_from(crate::http::ASIDES).unwrap();
    drop(f.api.asides.acquire_many(every).await.unwrap());
}
