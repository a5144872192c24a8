//! Pods of several containers, what they leave behind, and how they are deleted, seen from outside.

use serde_json::{Value, json};

use super::harness::{Server, guest, wait_for};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn create(server: &Server, name: &str, annotations: Value, spec: Value) {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": spec});
    let (code, answer) = server.send("POST", PODS, "application/json", pod.to_string().as_bytes());
    assert_eq!(code, 201, "{answer}");
}

fn container(name: &str, command: &[&str]) -> Value {
    json!({"name": name, "image": command[0], "command": command})
}

/// The pod once `reached` says so.
fn once(server: &Server, name: &str, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
    wait_for(&format!("{name}: {what}"), || {
        let pod = server.get(&format!("{PODS}/{name}"));
        if reached(&pod) { Ok(pod) } else { Err(pod["status"].clone()) }
    })
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn log(server: &Server, pod: &str, query: &str) -> Value {
    server.send("GET", &format!("{PODS}/{pod}/log?{query}"), "text/plain", b"").1
}

#[test]
fn init_containers_come_first_and_the_others_run_together() {
    let server = Server::start();
    server.push("hello", &guest("hello"));
    server.push("exit-code", &guest("exit-code"));
    create(
        &server,
        "several",
        json!({}),
        json!({"restartPolicy": "Never",
        "initContainers": [container("first", &["hello"]), container("second", &["exit-code", "0"])],
        "containers": [container("b", &["hello"]), container("a", &["exit-code", "3"])]}),
    );
    let pod = once(&server, "several", "ended", has_ended);
    assert_eq!(pod["status"]["phase"], "Failed", "one of its containers has failed");
    let inits = pod["status"]["initContainerStatuses"].as_array().unwrap();
    assert!(
        inits.iter().all(|c| c["ready"] == true && c["state"]["terminated"]["reason"] == "Completed"),
        "{inits:#?}"
    );
    let main = pod["status"]["containerStatuses"].as_array().unwrap();
    let shown: Vec<_> = main.iter().map(|c| (&c["name"], &c["state"]["terminated"]["exitCode"])).collect();
    assert_eq!(shown, [(&json!("a"), &json!(3)), (&json!("b"), &json!(0))]);
    for container in ["first", "b"] {
        assert_eq!(log(&server, "several", &format!("container={container}")), "hello\nworld\n", "{container}");
    }
    let usage: Value =
        serde_json::from_str(pod["metadata"]["annotations"]["kiln.dev/usage"].as_str().unwrap()).unwrap();
    assert_eq!(usage["containers"].as_object().unwrap().len(), 4, "{usage}");
    let fuel = |c: &str| usage["containers"][c]["fuel"].as_u64().unwrap();
    assert_eq!(usage["fuel"].as_u64().unwrap(), ["first", "second", "a", "b"].map(fuel).iter().sum::<u64>());

    create(
        &server,
        "init-fails",
        json!({}),
        json!({"restartPolicy": "Never",
        "initContainers": [container("first", &["exit-code", "4"])], "containers": [container("c", &["hello"])]}),
    );
    let pod = once(&server, "init-fails", "ended", has_ended);
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
    assert_eq!(
        server.kubectl_ok(&["get", "pod", "init-fails", "--no-headers"]).split_whitespace().nth(2),
        Some("Init:Error")
    );
}

#[test]
fn a_container_that_fails_is_started_again_in_its_pod_and_its_last_log_is_there() {
    let server = Server::start();
    server.push("exit-code", &guest("exit-code"));
    server.push("hello", &guest("hello"));
    server.push("trap", &guest("trap"));
    create(
        &server,
        "again",
        json!({}),
        json!({"restartPolicy": "OnFailure",
        "containers": [container("c", &["trap"]), container("done", &["hello"])]}),
    );
    let pod = once(&server, "again", "backing off", |pod| {
        let c = &pod["status"]["containerStatuses"][0];
        c["state"]["waiting"]["reason"] == "CrashLoopBackOff" && c["restartCount"] == 1
    });
    let c = &pod["status"]["containerStatuses"][0];
    assert!(c["state"]["waiting"]["message"].as_str().unwrap().starts_with("back-off 10s restarting failed"), "{c}");
    assert_eq!(c["lastState"]["terminated"]["exitCode"], 134);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(
        pod["status"]["containerStatuses"][1]["state"]["terminated"]["reason"], "Completed",
        "it stays as it is"
    );
    let previous = log(&server, "again", "container=c&previous=true");
    assert!(previous.is_string(), "{previous}");
}

#[test]
fn a_trap_is_told_also_where_the_log_would_stand_for_a_message() {
    let server = Server::start();
    server.push("trap", &guest("trap"));
    let mut teller = container("c", &["trap"]);
    teller["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    create(&server, "tells", json!({}), json!({"restartPolicy": "Never", "containers": [teller]}));
    let pod = once(&server, "tells", "ended", has_ended);
    let message = pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("unreachable"), "the trap is told in any case: {message}");
}

#[test]
fn a_deleted_pod_is_stopped_at_once_unless_its_guest_may_run_on() {
    let server = Server::start();
    server.push("sleep", &guest("sleep"));
    for (name, annotations) in [("stops", json!({})), ("waits", json!({"kiln.dev/on-delete": "wait"}))] {
        create(
            &server,
            name,
            annotations,
            json!({"restartPolicy": "Never", "containers": [container("c", &["sleep"])]}),
        );
        once(&server, name, "running", |pod| pod["status"]["phase"] == "Running");
    }
    for name in ["waits", "stops"] {
        let (code, _) =
            server.send("DELETE", &format!("{PODS}/{name}?gracePeriodSeconds=300"), "application/json", b"");
        assert_eq!(code, 200);
    }
    let gone = |name: &str| server.send("GET", &format!("{PODS}/{name}"), "", b"").0 == 404;
    wait_for("the end of the pod that stops", || if gone("stops") { Ok(()) } else { Err("still there") });
    let pod = server.get(&format!("{PODS}/waits"));
    assert!(pod["metadata"]["deletionTimestamp"].is_string() && pod["status"]["phase"] == "Running", "{pod}");
    // A second deletion may shorten the grace.
    server.send("DELETE", &format!("{PODS}/waits?gracePeriodSeconds=1"), "application/json", b"");
    wait_for("the end of the grace", || if gone("waits") { Ok(()) } else { Err("still there") });
}
