//! What k9s and Headlamp ask of an API server, as far as their sources show it, sent as they send it. Neither is
//! installed here: k9s needs a terminal and Headlamp a browser.
//!
//! k9s (`internal/client`, `internal/dao` of derailed/k9s) is client-go: discovery, lists as Tables, informers, followed
//! logs. Headlamp (`frontend/src/lib/k8s` and `backend/cmd` of kubernetes-sigs/headlamp) lists JSON through its own server,
//! and follows changes and logs by WebSocket.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::harness::{Server, guest, job, wait_for};

/// Every kind that is served, by the path of its collection.
const COLLECTIONS: &[(&str, &str)] = &[
    ("/api/v1/configmaps", "ConfigMapList"),
    ("/api/v1/events", "EventList"),
    ("/api/v1/namespaces", "NamespaceList"),
    ("/api/v1/nodes", "NodeList"),
    ("/api/v1/pods", "PodList"),
    ("/api/v1/secrets", "SecretList"),
    ("/api/v1/serviceaccounts", "ServiceAccountList"),
    ("/apis/batch/v1/cronjobs", "CronJobList"),
    ("/apis/batch/v1/jobs", "JobList"),
    ("/apis/events.k8s.io/v1/events", "EventList"),
    ("/apis/coordination.k8s.io/v1/leases", "LeaseList"),
    ("/apis/kiln.dev/v1/modules", "ModuleList"),
];

/// A server with a Job `one` that is complete, and its node.
fn server() -> Server {
    let server = Server::start();
    server.push("hello", &guest("hello"));
    server.create(&job("one", "hello", &["hello"], ""));
    server.wait_for_end("one");
    wait_for("the node", || match server.get("/api/v1/nodes")["items"].as_array().map(Vec::len) {
        Some(1) => Ok(()),
        other => Err(other),
    });
    server
}

fn get_as(server: &Server, path: &str, accept: &str) -> Value {
    let (code, answer) = server.send_with("GET", path, &[("Accept", accept)], b"");
    assert_eq!(code, 200, "{path}: {answer}");
    answer
}

/// The events of a watch that ends by itself.
fn watched(server: &Server, path: &str) -> Vec<Value> {
    match server.send("GET", path, "application/json", b"") {
        (200, Value::String(lines)) => lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        (200, single) => vec![single],
        (code, answer) => panic!("{path}: {code} {answer}"),
    }
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[test]
fn k9s_finds_out_what_there_is() {
    let server = server();
    assert_eq!(server.get("/version")["major"], "1");
    // What client-go accepts of discovery: two aggregated forms, and the old one.
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                  application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    for path in ["/api", "/apis"] {
        let answer = get_as(&server, &format!("{path}?timeout=32s"), accept);
        assert_eq!(
            (&answer["kind"], &answer["apiVersion"]),
            (&json!("APIGroupDiscoveryList"), &json!("apidiscovery.k8s.io/v2"))
        );
    }
    let groups = server.get("/apis");
    let names: Vec<&str> = groups["groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    // By the last it knows that there are figures for its columns.
    assert!(names.contains(&"batch") && names.contains(&"metrics.k8s.io"), "{names:?}");
}

#[test]
fn both_read_what_pods_and_the_node_use() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--node-name", "n1"]);
    server.push("hold", &guest("hold"));
    server.create(&job("one", "hold", &["hold", "14"], ""));
    let metrics = "/apis/metrics.k8s.io/v1beta1";
    let read = |path: &str, kind: &str| {
        wait_for(path, || {
            let list =
                get_as(&server, &format!("{metrics}/{path}"), "application/vnd.kubernetes.protobuf,application/json");
            assert_eq!((&list["kind"], &list["apiVersion"]), (&json!(kind), &json!("metrics.k8s.io/v1beta1")));
            if list["items"][0].is_object() { Ok(list["items"][0].clone()) } else { Err(list) }
        })
    };
    // Of all namespaces and of one, as a page shows one or all.
    for path in ["pods", "namespaces/default/pods"] {
        let pod = read(path, "PodMetricsList");
        assert_eq!((&pod["metadata"]["namespace"], &pod["containers"][0]["name"]), (&json!("default"), &json!("c")));
        assert_eq!(pod["containers"][0]["usage"]["memory"], "1Mi");
        let one =
            server.get(&format!("{metrics}/namespaces/default/pods/{}", pod["metadata"]["name"].as_str().unwrap()));
        assert_eq!((&one["kind"], &one["containers"][0]["usage"]["memory"]), (&json!("PodMetrics"), &json!("1Mi")));
    }
    let node = read("nodes", "NodeMetricsList");
    assert_eq!(node["metadata"]["name"], "n1");
    assert!(node["usage"]["cpu"].is_string() && node["usage"]["memory"].as_str().unwrap().ends_with('i'), "{node}");
}

#[test]
fn both_ask_what_they_may_do() {
    let server = server();
    let review = |resource: &str, body: Value| {
        let path = format!("/apis/authorization.k8s.io/v1/{resource}");
        let (code, answer) = server.send("POST", &path, "application/json", body.to_string().as_bytes());
        assert_eq!(code, 201, "{answer}");
        answer["status"].clone()
    };
    // k9s asks before it shows a view, for each verb that the view needs.
    for (group, resource, allowed) in [("", "pods", true), ("batch", "jobs", true), ("apps", "deployments", false)] {
        for verb in ["list", "watch"] {
            let attributes = json!({"namespace": "", "verb": verb, "group": group, "resource": resource});
            let body =
                json!({"metadata": {}, "spec": {"resourceAttributes": attributes}, "status": {"allowed": false}});
            let status = review("selfsubjectaccessreviews", body);
            assert_eq!(status["allowed"], allowed, "{verb} {resource}: {status}");
        }
    }
    // Headlamp takes the answer for a proof that it is let in.
    let rules = review("selfsubjectrulesreviews", json!({"spec": {"namespace": "default"}}));
    assert!(rules["resourceRules"].as_array().is_some_and(|rules| !rules.is_empty()), "{rules}");
}

#[test]
fn k9s_lists_tables_of_every_kind() {
    let server = server();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io, application/json";
    for (path, _) in COLLECTIONS {
        let table = get_as(&server, path, accept);
        assert_eq!(table["kind"], "Table", "{path}");
        let columns = table["columnDefinitions"].as_array().unwrap().len();
        for row in table["rows"].as_array().unwrap() {
            assert_eq!(row["cells"].as_array().unwrap().len(), columns, "{path}");
            assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
            assert!(row["object"]["metadata"]["name"].is_string());
        }
    }
    let full = get_as(&server, "/apis/batch/v1/namespaces/default/jobs?includeObject=Object", accept);
    assert_eq!(full["rows"][0]["object"]["status"]["succeeded"], 1);
}

#[test]
fn k9s_informers_list_and_watch_and_its_logs_follow() {
    let server = server();
    for (path, kind) in COLLECTIONS {
        let list = server.get(&format!("{path}?limit=500&resourceVersion=0"));
        assert_eq!(list["kind"], *kind);
        let version = list["metadata"]["resourceVersion"].as_str().unwrap();
        let query = format!("allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds=1&watch=true");
        let events = watched(&server, &format!("{path}?{query}"));
        let last = events.last().unwrap();
        assert_eq!(last["type"], "BOOKMARK", "{path} ends by saying how far it was: {events:?}");
        let told: u64 = last["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        assert!(told >= version.parse().unwrap());
    }
    let query =
        "allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds=1&watch=true";
    let events = watched(&server, &format!("/apis/batch/v1/jobs?{query}"));
    assert_eq!(types(&events)[..2], ["ADDED", "BOOKMARK"]);
    assert_eq!(events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");

    let pod = server.pods("one")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let query = "container=c&follow=true&tailLines=100&timestamps=true";
    let (code, log) = server.send("GET", &format!("/api/v1/namespaces/default/pods/{pod}/log?{query}"), "", b"");
    assert_eq!((code, log.as_str().unwrap().lines().count()), (200, 2));
}

#[test]
fn headlamp_lists_and_edits_objects() {
    let server = server();
    assert_eq!(server.get("/healthz"), "ok");
    for (path, kind) in COLLECTIONS {
        let list = server.get(path);
        assert_eq!(list["kind"], *kind);
        assert!(list["metadata"]["resourceVersion"].is_string());
        for item in list["items"].as_array().unwrap() {
            assert!(item["metadata"]["uid"].is_string() && item["metadata"]["resourceVersion"].is_string(), "{item}");
        }
    }
    // It tries versions of a kind until one answers, and kinds that are not there are only not shown.
    for path in ["/apis/batch/v1beta1/cronjobs", "/apis/apps/v1/deployments", "/api/v1/persistentvolumes"] {
        let (code, answer) = server.send("GET", path, "application/json", b"");
        assert_eq!((code, &answer["kind"], &answer["code"]), (404, &json!("Status"), &json!(404)), "{path}");
    }
    // Its editor sends the whole object back.
    let mut edited = server.job("one");
    edited["metadata"]["labels"]["edited"] = json!("yes");
    let path = "/apis/batch/v1/namespaces/default/jobs/one";
    let (code, answer) = server.send("PUT", path, "application/json", edited.to_string().as_bytes());
    assert_eq!((code, &answer["metadata"]["labels"]["edited"]), (200, &json!("yes")));
    let (code, answer) = server.send("PUT", path, "application/json", edited.to_string().as_bytes());
    assert_eq!((code, &answer["reason"]), (409, &json!("Conflict")), "it was edited in the meantime");
}

/// A WebSocket, opened as Headlamp's page or server does; the code of the answer if it is refused.
fn websocket(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let address = server.url.trim_start_matches("http://");
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => Err(answer.status().as_u16()),
        Err(other) => panic!("{path}: {other}"),
    }
}

type Socket = tungstenite::WebSocket<TcpStream>;

fn next_event(socket: &mut Socket) -> Value {
    match socket.read().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("no event: {other:?}"),
    }
}

#[test]
fn headlamp_follows_changes_and_logs_by_websocket() {
    let server = server();
    // Its multiplexer (`backend/cmd/multiplexer.go`) names kiln itself as the origin, offers no protocol, and begins by
    // sending a message with nothing in it.
    let origin = [("origin", server.url.as_str())];
    let list = server.get("/apis/batch/v1/jobs");
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("/apis/batch/v1/jobs?watch=1&resourceVersion={version}");
    let mut jobs = websocket(&server, &path, &origin).unwrap();
    jobs.send(Message::Binary(Vec::new().into())).unwrap();
    server.create(&job("two", "hello", &["hello"], ""));
    let first = next_event(&mut jobs);
    assert_eq!((&first["type"], &first["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("two")));
    let done = loop {
        let event = next_event(&mut jobs);
        let conditions = event["object"]["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|c| c["type"] == "Complete") {
            break event;
        }
    };
    assert_eq!((&done["type"], &done["object"]["status"]["succeeded"]), (&json!("MODIFIED"), &json!(1)));
    jobs.close(None).unwrap();

    // Its page (`frontend/src/lib/k8s/api/v1/streamingApi.ts`) offers this protocol for whatever it follows.
    let protocol = [("sec-websocket-protocol", "base64.binary.k8s.io")];
    let pod = server.pods("one")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/namespaces/default/pods/{pod}/log?container=c&follow=true&tailLines=100");
    let mut log = websocket(&server, &path, &protocol).unwrap();
    let mut pieces = Vec::new();
    loop {
        match log.read().unwrap() {
            Message::Text(text) => pieces.push(text.to_string()),
            Message::Close(frame) => break assert_eq!(frame.unwrap().code, CloseCode::Normal),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pieces.remove(0), "", "the log was found");
    let plain = server.send("GET", &format!("/api/v1/namespaces/default/pods/{pod}/log"), "", b"").1;
    let bytes: k8s_openapi::ByteString = serde_json::from_value(json!(pieces.concat())).unwrap();
    assert_eq!(String::from_utf8(bytes.0).unwrap(), plain.as_str().unwrap());
}

#[test]
fn headlamps_server_is_let_in_by_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let token = token.display().to_string();
    let open = Server::start();
    let server = Server::start_with(dir, &["--token-file", &token]);
    let watch = "/api/v1/namespaces?watch=1";
    // It passes on what the browser said, and adds the token of the kubeconfig.
    let page = ("origin", "http://localhost:4466");
    let bearer = ("authorization", "Bearer 0123456789abcdef");
    // Pages that reach a server by themselves, such as those of OpenShift, send it among the protocols.
    let among = (
        "sec-websocket-protocol",
        "base64url.bearer.authorization.k8s.io.MDEyMzQ1Njc4OWFiY2RlZg, base64.binary.k8s.io",
    );
    for headers in [&[page, bearer][..], &[page, among]] {
        let mut socket = websocket(&server, watch, headers).unwrap();
        assert_eq!(next_event(&mut socket)["type"], "ADDED");
    }
    assert_eq!(websocket(&server, watch, &[page]).err(), Some(403));
    assert_eq!(websocket(&server, watch, &[]).err(), Some(401));
    assert!(websocket(&server, watch, &[("authorization", "Bearer other"), among]).is_ok(), "either of them");
    assert_eq!(websocket(&open, watch, &[page, bearer]).err(), Some(403), "any page can say that where there is none");
    let body = json!({"metadata": {"name": "n"}}).to_string();
    let headers = [("Origin", page.1), ("Authorization", bearer.1), ("Content-Type", "application/json")];
    assert_eq!(server.send_with("POST", "/api/v1/namespaces", &headers, body.as_bytes()).0, 201);
}

#[test]
fn a_page_of_another_origin_may_not_ask_even_in_advance() {
    let server = server();
    let preflight = [
        ("Origin", "http://localhost:4466"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "authorization"),
    ];
    let (code, answer) = server.send_with("OPTIONS", "/api/v1/pods", &preflight, b"");
    assert_eq!((code, &answer["reason"]), (403, &json!("Forbidden")), "{answer}");
    // To a WebSocket the browser's rule of one origin does not apply: the server must keep the page out.
    for origin in ["http://localhost:4466", "https://evil.example", "null"] {
        assert_eq!(websocket(&server, "/api/v1/secrets?watch=1", &[("origin", origin)]).err(), Some(403), "{origin}");
    }
}
