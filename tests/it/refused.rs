//! What a pod is refused, and what it is told: the network that it did not ask for, a module that asks for what kiln
//! does not offer, a node without room.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::harness::{Server, guest, job, wait_for};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn create(server: &Server, name: &str, annotations: Value, containers: &[Value]) {
    let spec = json!({"restartPolicy": "Never", "containers": containers});
    let pod = json!({"metadata": {"name": name, "annotations": annotations}, "spec": spec});
    let (code, answer) = server.send("POST", PODS, "application/json", pod.to_string().as_bytes());
    assert_eq!(code, 201, "{answer}");
}

fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image})
}

fn pod(server: &Server, name: &str) -> Value {
    server.get(&format!("{PODS}/{name}"))
}

fn ended(server: &Server, name: &str) -> Value {
    wait_for(&format!("the end of {name}"), || {
        let pod = pod(server, name);
        match pod["status"]["phase"].as_str() {
            Some("Succeeded" | "Failed") => Ok(pod["status"]["containerStatuses"][0]["state"]["terminated"].clone()),
            _ => Err(pod["status"].clone()),
        }
    })
}

/// Waits until the pod is told that it has no node, in these words, by its condition and by an event.
fn told_unschedulable(server: &Server, pods: &str, message: &str) {
    let condition = json!([message, "Unschedulable", "False"]);
    wait_for(message, || {
        let list = server.get(pods);
        let all = list["items"].as_array().unwrap().iter().flat_map(|pod| pod["status"]["conditions"].as_array());
        let scheduled = all.flatten().filter(|c| c["type"] == "PodScheduled");
        let seen: Vec<Value> = scheduled.map(|c| json!([c["message"], c["reason"], c["status"]])).collect();
        if seen.contains(&condition) { Ok(()) } else { Err(list) }
    });
    wait_for("the event", || {
        let events = server.get("/api/v1/namespaces/default/events");
        let told = |e: &Value| e["reason"] == "FailedScheduling" && e["message"] == message && e["type"] == "Warning";
        if events["items"].as_array().unwrap().iter().any(told) { Ok(()) } else { Err(events) }
    });
}

const TOO_MANY: &str = "0/1 nodes are available: 1 Too many pods.";

/// Of `wasi:sockets/network` and of `wasi:http/types`; 100 is what the guests say when it works.
const ACCESS_DENIED: u32 = 1;
const UNRESOLVABLE: u32 = 20;
const REQUEST_DENIED: u32 = 15;
const WORKS: u32 = 100;

/// A guest of `tests/guests` with numbers, or a text, in the place of its words.
fn filled(name: &str, words: &[(&str, u32)]) -> Vec<u8> {
    let file = format!("{}/tests/guests/{name}.wat", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(file).unwrap().replace("\"AUTHORITY\"", "\"localhost:1\"");
    let put = |text: String, (word, n): &(&str, u32)| text.replace(&format!("const {word}"), &format!("const {n}"));
    wat::parse_str(words.iter().fold(text, put)).unwrap()
}

#[test]
fn a_pod_that_did_not_ask_for_the_network_has_none_where_others_have() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = u32::from(listener.local_addr().unwrap().port());
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--allow-network", "127.0.0.0/8"]);
    let sockets =
        |mode: u32, wanted: u32| filled("component-sockets", &[("MODE", mode), ("PORT", port), ("WANTED", wanted)]);
    let request = |scheme: u32, wanted: u32| {
        filled("component-http", &[("LENGTH", 11), ("SCHEME", scheme), ("SIZE", 0), ("WANTED", wanted)])
    };
    // Succeeds if it meets the error that it is made for.
    let guests = [
        ("connect", sockets(1, ACCESS_DENIED)),
        ("listen", sockets(2, ACCESS_DENIED)),
        ("datagram", sockets(3, ACCESS_DENIED)),
        ("resolve", sockets(4, UNRESOLVABLE)),
        ("http", request(0, REQUEST_DENIED)),
        ("https", request(1, REQUEST_DENIED)),
        ("connects", sockets(1, WORKS)),
    ];
    for (name, module) in &guests {
        server.push(name, module);
        create(&server, name, json!({}), &[container("c", name)]);
    }
    create(&server, "asked", json!({"kiln.dev/network": "outbound"}), &[container("c", "connects")]);
    for (name, _) in &guests {
        let code = i64::from(*name == "connects");
        let end = ended(&server, name);
        assert_eq!(end["exitCode"], code, "{name}: {end}");
    }
    assert_eq!(ended(&server, "asked")["reason"], "Completed");
    assert_eq!(listener.accept().unwrap().1.ip(), std::net::Ipv4Addr::LOCALHOST, "the one that asked");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "and nobody else");
}

/// No such module gets in by the API; one that an earlier kiln took in may be there all the same.
#[test]
fn a_module_with_unknown_imports_keeps_its_pod_waiting_and_names_them() {
    let server = Server::start();
    let module = wat::parse_str(
        "(module (import \"env\" \"frobnicate\" (func)) (import \"wasi_snapshot_preview1\" \"fd_shine\" (func))
           (func (export \"_start\")))",
    );
    let module = module.unwrap();
    let (code, status) = server.send("PUT", "/modules/odd", "application/wasm", &module);
    assert!(code == 422 && status["message"].as_str().unwrap().contains("env.frobnicate"), "{code} {status}");
    let digest: String = Sha256::digest(&module).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(server.dir.path().join("data/modules/blobs/sha256").join(&digest), &module).unwrap();
    create(&server, "odd", json!({}), &[container("c", &format!("odd@sha256:{digest}"))]);
    let message = wait_for("the pod to say why it waits", || {
        let pod = pod(&server, "odd");
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        match (waiting["reason"].as_str(), waiting["message"].as_str()) {
            (Some("ErrImagePull"), Some(message)) => Ok(message.to_owned()),
            _ => Err(pod["status"].clone()),
        }
    });
    for part in ["env.frobnicate", "wasi_snapshot_preview1.fd_shine", "kiln does not offer", &digest] {
        assert!(message.contains(part), "{part} in {message}");
    }
    wait_for("the event", || {
        let events = server.get("/api/v1/namespaces/default/events");
        let told = |e: &Value| e["reason"] == "Failed" && e["message"].as_str().is_some_and(|m| m.contains(&message));
        if events["items"].as_array().unwrap().iter().any(told) { Ok(()) } else { Err(events) }
    });
    assert_eq!(pod(&server, "odd")["status"]["phase"], "Pending");
    assert_eq!(server.send("GET", "/readyz", "", b"").0, 200);
}

#[test]
fn a_pod_beyond_what_the_node_holds_waits_and_says_why() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--max-pods", "1"]);
    server.push("sleep", &guest("sleep"));
    server.push("ok", &guest("exit0"));
    server.create(&job("first", "sleep", &["sleep"], ""));
    wait_for("the first to run", || {
        let pods = server.pods("first");
        if pods.iter().any(|pod| pod["status"]["phase"] == "Running") { Ok(()) } else { Err(pods) }
    });
    server.create(&job("second", "ok", &["ok"], ""));
    told_unschedulable(&server, &format!("{PODS}?labelSelector=job-name%3Dsecond"), TOO_MANY);
    assert_eq!(server.pods("second")[0]["status"]["phase"], "Pending");
    let path = "/apis/batch/v1/namespaces/default/jobs/first?propagationPolicy=Background";
    assert_eq!(server.send("DELETE", path, "application/json", b"").0, 200);
    assert_eq!(server.wait_for_end("second").1.0, "Complete", "there is room now");
}

/// Each of its containers needs an instance, so it never fits; it waits for ever, and holds nothing meanwhile.
#[test]
fn a_pod_of_more_containers_than_the_node_holds_waits_and_harms_nobody() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--max-pods", "2"]);
    server.push("ok", &guest("exit0"));
    let of = |names: &[&str]| -> Vec<Value> { names.iter().map(|name| container(name, "ok")).collect() };
    create(&server, "three", json!({}), &of(&["a", "b", "c"]));
    told_unschedulable(&server, PODS, TOO_MANY);
    create(&server, "one", json!({}), &of(&["a"]));
    assert_eq!(ended(&server, "one")["exitCode"], 0);
    create(&server, "two", json!({}), &of(&["a", "b"]));
    assert_eq!(ended(&server, "two")["exitCode"], 0);
    server.create(&job("many", "ok", &["ok"], "  completions: 6\n  parallelism: 6"));
    assert_eq!(server.wait_for_end("many").1.0, "Complete");
    let three = pod(&server, "three");
    assert_eq!(three["status"]["phase"], "Pending");
    assert!(three["spec"]["nodeName"].is_null() && three["status"]["containerStatuses"].is_null(), "{three}");
}
