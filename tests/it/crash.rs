//! `kill -9` and restart: nothing acknowledged is lost, nothing is counted twice.

use std::collections::BTreeMap;

use super::harness::{Server, guest, job, wait_for};

#[test]
fn three_kills_of_a_large_job_end_in_exactly_its_completions() {
    const COMPLETIONS: i64 = 20_000;
    // Its pods are counted at the end, so that all of them stay.
    let keep = ["--terminated-pod-gc-threshold", "-1"];
    let mut server = Server::start_with(tempfile::tempdir().unwrap(), &keep);
    server.push("ok", &guest("exit0"));
    server.create(&job("large", "ok", &["ok"], &format!("  completions: {COMPLETIONS}\n  parallelism: 64")));
    for kill_at in [2_000, 8_000, 14_000] {
        let seen = wait_for(&format!("{kill_at} pods to succeed"), || {
            let succeeded = server.job("large")["status"]["succeeded"].as_i64().unwrap_or(0);
            if succeeded >= kill_at { Ok(succeeded) } else { Err(succeeded) }
        });
        server = Server::start_with(server.kill(), &keep);
        let after = server.job("large")["status"]["succeeded"].as_i64().unwrap_or(0);
        assert!(after >= seen, "a client has seen {seen}, the server remembers {after}");
    }
    let (job, end) = server.wait_for_end("large");
    assert_eq!(end.0, "Complete");
    assert_eq!(job["status"]["succeeded"].as_i64(), Some(COMPLETIONS));
    assert_eq!(job["status"].get("failed"), None, "interrupted pods are not charged");
    let mut phases: BTreeMap<String, i64> = BTreeMap::new();
    for pod in server.pods("large") {
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        *phases.entry(phase.to_owned()).or_default() += 1;
        if phase == "Failed" {
            let disrupted = &pod["status"]["conditions"][0];
            assert_eq!(
                (disrupted["type"].as_str(), disrupted["reason"].as_str()),
                (Some("DisruptionTarget"), Some("NodeRestarted"))
            );
        }
    }
    assert_eq!(phases.get("Succeeded"), Some(&COMPLETIONS), "each success is one pod");
}

#[test]
fn running_pods_are_replaced_and_logs_outlive_the_crash() {
    let server = Server::start();
    server.push_example("sleep");
    server.create(&job("s", "sleep", &["sleep", "2"], "  backoffLimit: 0"));
    let before = wait_for("a running pod with a line of log", || {
        let pods = server.pods("s");
        match pods.first().filter(|p| p["status"]["phase"] == "Running") {
            Some(pod) if server.log(pod).contains("sleeping") => Ok(pod.clone()),
            _ => Err(pods),
        }
    });
    let server = Server::start_in(server.kill());
    let (job, end) = server.wait_for_end("s");
    assert_eq!((end.0.as_str(), job["status"].get("failed")), ("Complete", None));
    let pods = server.pods("s");
    assert_eq!(pods.len(), 2);
    let interrupted = pods.iter().find(|p| p["metadata"]["uid"] == before["metadata"]["uid"]).unwrap();
    assert_eq!(interrupted["status"]["reason"], "NodeRestarted");
    assert!(server.log(interrupted).contains("sleeping"), "the log of the interrupted pod is kept");
}

#[test]
fn modules_and_objects_survive_a_restart() {
    let server = Server::start();
    server.push("ok:v1", &guest("exit0"));
    let config = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"a":"b"}}"#;
    let (code, created) = server.send("POST", "/api/v1/namespaces/default/configmaps", "application/json", config);
    assert_eq!(code, 201);
    let server = Server::start_in(server.kill());
    assert_eq!(server.get("/api/v1/namespaces/default/configmaps/m"), created);
    server.create(&job("j", "ok:v1", &["ok"], ""));
    assert_eq!(server.wait_for_end("j").1.0, "Complete");
}
