//! `/metrics` and the pages of health tell what really happens: something is done to the real server, and the number
//! moves. What is read from objects is tested beside the code.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{KILN, SOON, Server, guest, job, wait_for};

/// All metrics by name and labels.
fn metrics(server: &Server) -> HashMap<String, f64> {
    let (code, text) = server.send("GET", "/metrics", "", b"");
    let Value::String(text) = text else { panic!("{text}") };
    assert_eq!(code, 200, "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, n)| (name.to_owned(), n.parse().unwrap())).collect()
}

/// Waits until each of these metrics has its value; the last readings.
fn expect(server: &Server, what: &str, wanted: &[(&str, f64)]) -> HashMap<String, f64> {
    wait_for(what, || {
        let found = metrics(server);
        let wrong: Vec<_> = wanted
            .iter()
            .map(|(name, value)| (*name, *value, found.get(*name).copied()))
            .filter(|(_, value, found)| *found != Some(*value))
            .collect();
        if wrong.is_empty() { Ok(found) } else { Err(wrong) }
    })
}

#[test]
fn the_numbers_move_with_what_happens() {
    let server = Server::start();
    wait_for("the server to be ready", || match server.send("GET", "/readyz", "", b"") {
        (200, _) => Ok(()),
        other => Err(other),
    });
    server.push("ok", &guest("exit0"));
    server.push("bad", &guest("trap"));
    server.push("sleep", &guest("sleep"));
    let before = metrics(&server);
    assert_eq!(before.get("kiln_pod_start_seconds_count"), Some(&0.0));
    server.create(&job("good", "ok", &["ok"], "  completions: 5"));
    server.create(&job("bad", "bad", &["bad"], "  backoffLimit: 0"));
    assert_eq!(server.wait_for_end("good").1.0, "Complete");
    assert_eq!(server.wait_for_end("bad").1.0, "Failed");
    let after = expect(
        &server,
        "what the two Jobs have left",
        &[
            ("kiln_pod_start_seconds_count", 6.0),
            ("kiln_container_runs_total{outcome=\"Completed\"}", 5.0),
            ("kiln_container_runs_total{outcome=\"Unreachable\"}", 1.0),
            ("kiln_pods{namespace=\"default\",phase=\"Succeeded\"}", 5.0),
            ("kiln_pods{namespace=\"default\",phase=\"Failed\"}", 1.0),
            ("kiln_pods_driven", 0.0),
            ("kiln_pods_running", 0.0),
            ("kube_job_status_succeeded{namespace=\"default\",job_name=\"good\"}", 5.0),
            ("kube_job_complete{namespace=\"default\",job_name=\"good\",condition=\"true\"}", 1.0),
            ("kube_job_status_failed{namespace=\"default\",job_name=\"bad\",reason=\"BackoffLimitExceeded\"}", 1.0),
            ("kiln_controller_queue_depth{controller=\"job-controller\"}", 0.0),
            ("kiln_store_objects{resource=\"pods\"}", 6.0),
            ("kiln_store_writable", 1.0),
        ],
    );
    let grown = |name: &str| after[name] - before.get(name).copied().unwrap_or_default();
    // Each pod is created, bound, running, ended and released.
    for (name, least) in [
        ("kiln_store_revision", 30.0),
        ("kiln_store_commits_total", 20.0),
        ("kiln_commit_seconds_count", 20.0),
        ("kiln_flush_seconds_count", 1.0),
        ("kiln_fuel_total", 6.0),
        ("kiln_guest_cpu_seconds_total", f64::MIN_POSITIVE),
        ("kiln_events_written_total", 6.0),
        ("kiln_module_loads_total{from=\"memory\"}", 4.0),
        ("kiln_controller_decisions_total{controller=\"job-controller\"}", 4.0),
        ("kiln_controller_decisions_total{controller=\"default-scheduler\"}", 1.0),
    ] {
        assert!(grown(name) >= least, "{name} grew by {}", grown(name));
    }
    let seconds = after["kiln_pod_start_seconds_sum"];
    assert!(seconds > 0.0 && seconds < 6.0 * SOON.as_secs_f64(), "{seconds}");

    server.create(&job("long", "sleep", &["sleep"], "  parallelism: 3\n  completions: 3"));
    let running = [("kiln_pods_driven", 3.0), ("kiln_pods_running", 3.0), ("kiln_pod_start_seconds_count", 9.0)];
    expect(&server, "pods that run to be counted while they run", &running);
    let gone = server.send(
        "DELETE",
        "/apis/batch/v1/namespaces/default/jobs/long?propagationPolicy=Background",
        "application/json",
        b"",
    );
    assert_eq!(gone.0, 200, "{}", gone.1);
    let cancelled = [("kiln_pods_running", 0.0), ("kiln_container_runs_total{outcome=\"Cancelled\"}", 3.0)];
    expect(&server, "their end to be counted", &cancelled);
}

#[test]
fn a_started_server_becomes_ready_and_says_of_what() {
    let server = Server::start();
    let report = wait_for("the server to be ready", || match server.send("GET", "/readyz?verbose", "", b"") {
        (200, Value::String(report)) => Ok(report),
        other => Err(other),
    });
    let lines: Vec<&str> = report.lines().collect();
    let wanted = ["ping", "store", "committer", "node", "shutdown", "controllers"].map(|name| format!("[+]{name} ok"));
    assert_eq!(lines[..6], wanted);
    assert_eq!(lines[6], "readyz check passed");
    assert_eq!(server.kubectl_ok(&["get", "--raw", "/readyz"]), "ok");
    assert_eq!(server.kubectl_ok(&["get", "--raw", "/livez/controllers"]), "ok");
    assert!(server.kubectl_ok(&["get", "--raw", "/metrics"]).contains("apiserver_request_total{"));
}

#[test]
fn with_a_token_only_the_summaries_of_health_are_for_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let server = Server::start_with(dir, &["--token-file", token.to_str().unwrap()]);
    for (path, code) in [("/livez", 200), ("/metrics", 401), ("/readyz/store", 401), ("/livez/ping", 401)] {
        assert_eq!(server.send("GET", path, "", b"").0, code, "{path}");
    }
    let token = [("Authorization", "Bearer 0123456789abcdef")];
    for path in ["/metrics", "/readyz/store"] {
        assert_eq!(server.send_with("GET", path, &token, b"").0, 200, "{path}");
    }
}

#[test]
fn a_limit_that_is_none_is_refused_before_anything_starts() {
    for wrong in ["nonsense=1", "connections=0", "connections"] {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new(KILN)
            .args(["serve", "--listen", "127.0.0.1:0", "--limit", wrong, "--data-dir"])
            .arg(dir.path().join("data"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--limit"), "{output:?}");
        assert!(!dir.path().join("data").exists());
    }
}

#[test]
fn the_request_log_tells_who_did_what() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(KILN)
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
        .arg(dir.path().join("data"))
        .env("RUST_LOG", "info,kiln::http::requests=debug")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut next = |wanted: &str| -> Value {
        let found = lines.find(|line| line.contains(wanted)).expect("the line is told");
        serde_json::from_str::<Value>(&found).unwrap()["fields"].clone()
    };
    let address = next("kiln serves")["address"].as_str().unwrap().to_owned();
    let url = format!("http://{address}/api/v1/namespaces/default/configmaps/none?x=y");
    let answer =
        ureq::delete(url).header("User-Agent", "someone/1.0 \"quoted\"\u{1b}[31m".replace('\u{1b}', "")).call();
    assert!(answer.is_err());
    let told = next("\"verb\":\"DELETE\"");
    assert_eq!((&told["code"], &told["resource"]), (&Value::from(404), &Value::from("configmaps")), "{told}");
    assert_eq!(told["uri"], "/api/v1/namespaces/default/configmaps/none?x=y");
    assert!(told["agent"].as_str().unwrap().contains("someone/1.0"), "{told}");
    assert!(told["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{told}");
    assert!(told["ms"].as_f64().unwrap() > 0.0 && told["bytes"].as_u64().unwrap() > 0, "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
}
