//! The node as kubectl sees it: its lease, its conditions, what is allocated of it, taints; and what Jobs have used.

use crate::harness::{Server, guest, job, wait_for};

#[test]
fn kubectl_shows_the_node_and_its_lease() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--node-name", "n1", "--max-pods", "7"]);
    let node = wait_for("the node", || match server.send("GET", "/api/v1/nodes/n1", "", b"") {
        (200, node) => Ok(node),
        (code, answer) => Err((code, answer)),
    });
    let info = &node["status"]["nodeInfo"];
    let wide = server.kubectl_ok(&["get", "nodes", "-o", "wide"]);
    for part in ["n1", "Ready", "127.0.0.1", info["containerRuntimeVersion"].as_str().unwrap()] {
        assert!(wide.contains(part), "{part} in\n{wide}");
    }
    let leases = server.kubectl_ok(&["get", "leases", "-A"]);
    let row: Vec<&str> = leases.lines().nth(1).unwrap().split_whitespace().take(3).collect();
    assert_eq!(row, ["kube-node-lease", "n1", "n1"], "{leases}");
    let explained = server.kubectl_ok(&["explain", "lease.spec"]);
    assert!(explained.contains("coordination.k8s.io") && explained.contains("renewTime"), "{explained}");

    server.push("sleep", &guest("sleep"));
    let asking = job("s", "sleep", &["sleep"], "");
    server.create(&(asking + "        resources: {requests: {cpu: 10m, memory: 1Mi, ephemeral-storage: 2Mi}}\n"));
    wait_for("the pod runs", || {
        let status = server.job("s")["status"].clone();
        if status["ready"] == 1 { Ok(()) } else { Err(status) }
    });
    let described = server.kubectl_ok(&["describe", "node", "n1"]);
    for part in [
        "HolderIdentity:  n1",
        "KubeletHasNoDiskPressure",
        "KubeletHasSufficientMemory",
        "ephemeral-storage:",
        "Boot ID:",
        "(1 in total)",
    ] {
        assert!(described.contains(part), "{part} in\n{described}");
    }
    let allocated = described.split("Allocated resources:").nth(1).unwrap();
    let asked = |resource: &str| {
        let row = allocated.lines().find(|line| line.trim_start().starts_with(resource)).unwrap();
        row.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!([asked("cpu"), asked("memory"), asked("ephemeral-storage")], ["10m", "1Mi", "2Mi"]);
}

#[test]
fn a_deleted_node_comes_back_and_a_restart_keeps_it() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--node-name", "n1"]);
    let uid = |server: &Server| {
        wait_for("the node", || match server.send("GET", "/api/v1/nodes/n1", "", b"") {
            (200, node) => Ok(node["metadata"]["uid"].as_str().unwrap().to_owned()),
            (code, answer) => Err((code, answer)),
        })
    };
    let first = uid(&server);
    let server = Server::start_with(server.kill(), &["--node-name", "n1"]);
    assert_eq!(uid(&server), first);
    server.kubectl_ok(&["delete", "node", "n1"]);
    assert_ne!(uid(&server), first);
    let lease = wait_for("its lease", || {
        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1";
        match server.send("GET", path, "", b"") {
            (200, lease) if lease["metadata"]["ownerReferences"][0]["uid"] != first => Ok(lease),
            other => Err(other),
        }
    });
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 40);
}

#[test]
fn a_taint_keeps_pods_off_until_it_is_taken_away() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--node-name", "n1"]);
    server.push("ok", &guest("exit0"));
    server.kubectl_ok(&["taint", "node", "n1", "mine=yes:NoSchedule"]);
    server.create(&job("j", "ok", &["ok"], ""));
    wait_for("the pod says why it waits", || {
        let pods = server.pods("j");
        let conditions = pods.first().map(|pod| pod["status"]["conditions"].to_string()).unwrap_or_default();
        let told = "0/1 nodes are available: 1 node(s) had untolerated taint {mine: yes}.";
        if conditions.contains(told) { Ok(()) } else { Err(pods) }
    });
    let tolerant = job("t", "ok", &["ok"], "").replace(
        "      restartPolicy",
        "      tolerations: [{key: mine, operator: Exists, effect: NoSchedule}]\n      restartPolicy",
    );
    server.create(&tolerant);
    assert_eq!(server.wait_for_end("t").1.0, "Complete");
    server.kubectl_ok(&["taint", "node", "n1", "mine-"]);
    assert_eq!(server.wait_for_end("j").1.0, "Complete");
}

#[test]
fn a_job_shows_what_its_pods_used_and_keeps_it_over_an_apply() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    let file = server.dir.path().join("job.yaml");
    std::fs::write(&file, job("j", "ok", &["ok"], "  completions: 3\n  parallelism: 2")).unwrap();
    let path = file.display().to_string();
    server.kubectl_ok(&["apply", "-f", &path]);
    let (job, _) = server.wait_for_end("j");
    let used = |job: &serde_json::Value| job["metadata"]["annotations"]["kiln.dev/usage"].as_str().map(str::to_owned);
    let sum: serde_json::Value = serde_json::from_str(&used(&job).unwrap()).unwrap();
    let of_pods: u64 = server
        .pods("j")
        .iter()
        .map(|pod| serde_json::from_str::<serde_json::Value>(&used(pod).unwrap()).unwrap()["fuel"].as_u64().unwrap())
        .sum();
    assert_eq!((sum["pods"].as_u64(), sum["fuel"].as_u64()), (Some(3), Some(of_pods)), "{sum}");
    server.kubectl_ok(&["apply", "-f", &path]);
    assert_eq!(used(&server.job("j")), used(&job));
}
