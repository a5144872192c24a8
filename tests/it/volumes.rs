//! What guests find in their volumes, by a guest that prints files (`tests/guests/cat.wat`). Its directories are numbered:
//! 0 is its root, then come the `volumeMounts` that are no single files, in their order.

use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use super::harness::{Server, guest, wait_for};

fn start(more: &[&str]) -> Server {
    let server = Server::start_with(tempfile::tempdir().unwrap(), more);
    server.push("cat", &guest("cat"));
    server.push("write-file", &guest("write-file"));
    server
}

fn post(server: &Server, kind: &str, object: &Value) {
    let path = format!("/api/v1/namespaces/default/{kind}");
    let (code, answer) = server.send("POST", &path, "application/json", object.to_string().as_bytes());
    assert_eq!(code, 201, "{answer}");
}

fn pod(server: &Server, spec: Value) {
    let labels = json!({"app": "a"});
    post(
        server,
        "pods",
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": labels}, "spec": spec}),
    );
}

fn get(server: &Server) -> Value {
    server.get("/api/v1/namespaces/default/pods/p")
}

/// Waits for the end of the pod; answers its phase and its log.
fn end(server: &Server) -> (String, String) {
    wait_for("the end of the pod", || {
        let pod = get(server);
        match pod["status"]["phase"].as_str() {
            Some(phase @ ("Succeeded" | "Failed")) => Ok((phase.to_owned(), server.log(&pod))),
            _ => Err(pod["status"].clone()),
        }
    })
}

/// Waits until the container waits with a message that holds `part`.
fn waits(server: &Server, part: &str) {
    wait_for(part, || {
        let pod = get(server);
        let waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
        match waiting["message"].as_str() {
            Some(message) if message.contains(part) => Ok(()),
            _ => Err(pod["status"].clone()),
        }
    });
}

fn cat(args: &[&str], mounts: Value) -> Value {
    let command: Vec<&str> = [&["cat"], args].concat();
    json!({"name": "c", "image": "cat", "command": command, "volumeMounts": mounts,
        "resources": {"limits": {"memory": "64Mi"}}})
}

#[test]
fn files_of_all_sources_arrive() {
    let server = start(&[]);
    post(&server, "configmaps", &json!({"metadata": {"name": "m"}, "data": {"k": "map\n"}}));
    post(&server, "secrets", &json!({"metadata": {"name": "s"}, "stringData": {"k": "secret\n"}}));
    let down = json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "mib", "resourceFieldRef": {"containerName": "c", "resource": "limits.memory", "divisor": "1Mi"}}]);
    let volumes = json!([{"name": "m", "configMap": {"name": "m"}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}, {"downwardAPI": {"items": down}}]}}]);
    let mounts = json!([{"name": "m", "mountPath": "/m"}, {"name": "p", "mountPath": "/p"},
        {"name": "m", "mountPath": "/etc/one", "subPath": "k"}]);
    let files = ["1/k", "0/etc/one", "2/k", "2/labels", "2/mib", "0/etc/hostname"];
    pod(&server, json!({"restartPolicy": "Never", "volumes": volumes, "containers": [cat(&files, mounts)]}));
    let expected = "map\nmap\nsecret\napp=\"a\"64p\n";
    assert_eq!(end(&server), ("Succeeded".to_owned(), expected.to_owned()));
}

#[test]
fn a_pod_waits_for_its_config_map() {
    let server = start(&[]);
    let volumes = json!([{"name": "m", "configMap": {"name": "late"}}]);
    let mounts = json!([{"name": "m", "mountPath": "/m"}]);
    pod(&server, json!({"restartPolicy": "Never", "volumes": volumes, "containers": [cat(&["1/k"], mounts)]}));
    let message = "MountVolume.SetUp failed for volume \"m\" : configmap \"late\" not found";
    waits(&server, message);
    wait_for("the event", || {
        let events = server.get("/api/v1/namespaces/default/events");
        let told = |e: &Value| e["reason"] == "FailedMount" && e["message"] == message;
        if events["items"].as_array().unwrap().iter().any(told) { Ok(()) } else { Err(events) }
    });
    post(&server, "configmaps", &json!({"metadata": {"name": "late"}, "data": {"k": "there"}}));
    assert_eq!(end(&server), ("Succeeded".to_owned(), "there".to_owned()));
}

#[test]
fn a_host_path_is_seen_if_the_node_allows_it() {
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("f"), "of the host").unwrap();
    let path = host.path().display().to_string();
    let spec = json!({"restartPolicy": "Never", "volumes": [{"name": "h", "hostPath": {"path": path}}],
        "containers": [cat(&["1/f"], json!([{"name": "h", "mountPath": "/h", "readOnly": true}]))]});
    let server = start(&["--allow-host-path", &path]);
    pod(&server, spec.clone());
    assert_eq!(end(&server), ("Succeeded".to_owned(), "of the host".to_owned()));
    let server = start(&[]);
    pod(&server, spec);
    waits(&server, "--allow-host-path");
}

#[test]
fn a_read_only_root_cannot_be_written_to() {
    for (read_only, phase) in [(false, "Succeeded"), (true, "Failed")] {
        let server = start(&[]);
        let container =
            json!({"name": "c", "image": "write-file", "securityContext": {"readOnlyRootFilesystem": read_only}});
        pod(&server, json!({"restartPolicy": "Never", "containers": [container]}));
        assert_eq!(end(&server).0, phase, "{read_only}");
    }
}

#[test]
fn the_network_waits_for_a_node_that_allows_it() {
    let server = start(&[]);
    let spec = json!({"restartPolicy": "Never", "containers": [cat(&["0/etc/hostname"], json!([]))]});
    let meta = json!({"name": "p", "annotations": {"kiln.dev/network": "outbound"}});
    post(&server, "pods", &json!({"metadata": meta, "spec": spec}));
    waits(&server, "--allow-network");
}

/// The host's file is written in place, and after the pod it has no other name than before.
#[test]
fn a_single_file_of_the_host_is_written_in_place() {
    let host = tempfile::tempdir().unwrap();
    let path = |file: &str| host.path().join(file).display().to_string();
    std::fs::write(path("there"), "HELLO\nand more").unwrap();
    let before = std::fs::metadata(path("there")).unwrap();
    for (file, type_, holds) in [("there", "File", "hello\nand more"), ("new", "FileOrCreate", "hello\n")] {
        let server = start(&["--allow-host-path", &host.path().display().to_string()]);
        let container =
            json!({"name": "c", "image": "write-file", "volumeMounts": [{"name": "h", "mountPath": "/out"}]});
        let volumes = json!([{"name": "h", "hostPath": {"path": path(file), "type": type_}}]);
        pod(&server, json!({"restartPolicy": "Never", "volumes": volumes, "containers": [container]}));
        assert_eq!(end(&server).0, "Succeeded", "{type_}");
        assert_eq!(std::fs::read_to_string(path(file)).unwrap(), holds, "{type_}");
        wait_for("the pod's own name of the file to go", || match std::fs::metadata(path(file)).unwrap().nlink() {
            1 => Ok(()),
            names => Err(names),
        });
    }
    let after = std::fs::metadata(path("there")).unwrap();
    assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
}

/// Each of the two waits for a file that the other writes, so neither comes to an end unless both run at once.
#[test]
fn containers_that_run_at_the_same_time_share_a_volume() {
    let server = start(&[]);
    server.push("meet", &guest("meet"));
    let meets = |name: &str, own: &str, other: &str| {
        json!({"name": name, "image": "meet", "command": ["meet", own, other],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]})
    };
    let containers = [meets("a", "from-a", "from-b"), meets("b", "from-b", "from-a")];
    let volumes = json!([{"name": "v", "emptyDir": {}}]);
    pod(&server, json!({"restartPolicy": "Never", "volumes": volumes, "containers": containers}));
    wait_for("both to end", || {
        let pod = get(&server);
        if pod["status"]["phase"] == "Succeeded" { Ok(()) } else { Err(pod["status"].clone()) }
    });
    for (container, other) in [("a", "from-b"), ("b", "from-a")] {
        let path = format!("/api/v1/namespaces/default/pods/p/log?container={container}");
        assert_eq!(server.send("GET", &path, "", b"").1, other, "{container}");
    }
}

/// Kubernetes skips no key since 1.34, for there is none that its relaxed rule for names would not allow.
#[test]
fn every_key_becomes_a_variable_whatever_a_shell_would_say() {
    let server = start(&[]);
    server.push("print-args", &guest("print-args"));
    post(
        &server,
        "configmaps",
        &json!({"metadata": {"name": "m"}, "data": {"1.a-b": "map", "-": "dash", "OK": "yes"}}),
    );
    post(&server, "secrets", &json!({"metadata": {"name": "s"}, "stringData": {".k": "secret"}}));
    let sources = json!([{"configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}, "prefix": "a b"},
        {"configMapRef": {"name": "none", "optional": true}}]);
    let container =
        json!({"name": "c", "image": "print-args", "envFrom": sources, "env": [{"name": "OK", "value": "$(1.a-b)!"}]});
    pod(&server, json!({"restartPolicy": "Never", "containers": [container]}));
    assert_eq!(end(&server).0, "Succeeded");
    let log = server.send("GET", "/api/v1/namespaces/default/pods/p/log?stream=Stderr", "", b"").1;
    let mut found: Vec<&str> = log.as_str().unwrap().split_terminator('\0').collect();
    found.sort_unstable();
    assert_eq!(found, ["-=dash", "1.a-b=map", "HOSTNAME=p", "OK=map!", "a b.k=secret"]);
    let events = server.get("/api/v1/namespaces/default/events");
    let warned = |e: &&Value| e["type"] == "Warning";
    assert_eq!(events["items"].as_array().unwrap().iter().filter(warned).count(), 0, "{events}");
    // A prefix can still be no part of a name.
    let container = json!({"name": "c", "image": "print-args",
        "envFrom": [{"configMapRef": {"name": "m"}, "prefix": "a="}]});
    let refused = json!({"metadata": {"name": "q"}, "spec": {"restartPolicy": "Never", "containers": [container]}});
    let path = "/api/v1/namespaces/default/pods";
    let (code, answer) = server.send("POST", path, "application/json", refused.to_string().as_bytes());
    assert_eq!(code, 422, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("spec.containers[0].envFrom[0].prefix"), "{answer}");
}
