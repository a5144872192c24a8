//! Bad input gets a clear answer and harms nothing else.

use std::process::Command;

use super::harness::{KILN, Server, example_module, guest, job, wait_for};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

#[test]
fn each_bad_body_has_its_code_and_says_what_is_wrong() {
    let server = Server::start();
    let good = job("x", "pi", &["pi"], "");
    let yaml = "application/yaml";
    let json = "application/json";
    let huge = format!("{{\"metadata\":{{\"name\":\"{}\"}}}}", "x".repeat(4 << 20));
    let deep = "[".repeat(100_000);
    let cases: Vec<(&str, String, u16, &str)> = vec![
        (yaml, "spec: [unclosed".to_owned(), 400, "YAML"),
        (json, "{\"spec\":".to_owned(), 400, "JSON"),
        (json, "[]".to_owned(), 400, "object"),
        (json, huge, 413, "may have at most"),
        (json, deep, 400, ""),
        (yaml, good.replace("spec:\n\n", "spec:\n  completions: many\n"), 400, "completions"),
        (yaml, good.replace("spec:\n\n", "spec:\n  completions: -1\n"), 422, "must be greater than or equal to 0"),
        (yaml, good.replace("Never", "Always"), 422, "valid values: \"OnFailure\", \"Never\""),
        (yaml, good.replace("name: x\n", "name: X_\n"), 422, "RFC 1123"),
        (yaml, good.replace("containers", "initContainers"), 422, "containers: Required value"),
        ("application/x-tar", good.clone(), 415, ""),
    ];
    for (content_type, body, code, says) in cases {
        let (got, status) = server.send("POST", JOBS, content_type, body.as_bytes());
        let shown: String = body.chars().take(80).collect();
        assert_eq!(got, code, "{shown:?}: {status}");
        assert_eq!(status["kind"], "Status", "{shown:?}: {status}");
        assert!(status["message"].as_str().unwrap_or_default().contains(says), "{shown:?}: {status}");
    }
    let strict = good.replace("spec:\n\n", "spec:\n  paralelism: 2\n");
    let (code, status) = server.send("POST", &format!("{JOBS}?fieldValidation=Strict"), yaml, strict.as_bytes());
    assert!(
        code == 400 && status["message"].as_str().unwrap().contains("unknown field \"spec.paralelism\""),
        "{status}"
    );
    // The server still works.
    server.push("ok", &guest("exit0"));
    server.create(&job("after", "ok", &["ok"], ""));
    assert_eq!(server.wait_for_end("after").1.0, "Complete");
}

#[test]
fn nobody_takes_an_end_back_by_writing_the_status() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    server.create(&job("done", "ok", &["ok"], ""));
    server.wait_for_end("done");
    let patch = |path: &str, body: &str| server.send("PATCH", path, "application/merge-patch+json", body.as_bytes());
    let of_job = format!("{JOBS}/done/status");
    let pod = server.pods("done").remove(0);
    let of_pod = format!("/api/v1/namespaces/default/pods/{}/status", pod["metadata"]["name"].as_str().unwrap());
    let mut back = pod["status"]["containerStatuses"].clone();
    back[0]["state"] = serde_json::json!({"running": {}});
    let back = serde_json::json!({"status": {"containerStatuses": back}}).to_string();
    let cases = [
        (&of_job, r#"{"status":{"conditions":[]}}"#, "cannot disable the terminal Complete=True condition"),
        (&of_job, r#"{"status":{"succeeded":0}}"#, "cannot decrease the succeeded counter"),
        (&of_job, r#"{"status":{"startTime":null}}"#, "startTime is required for finished job"),
        (&of_job, r#"{"status":{"completedIndexes":"0"}}"#, "cannot set non-empty completedIndexes"),
        (&of_pod, back.as_str(), "may not be transitioned to non-terminated state"),
        (&of_pod, r#"{"status":{"qosClass":"Burstable"}}"#, "field is immutable"),
        (&of_pod, r#"{"status":{"podIPs":[{"ip":"x"}],"podIP":null}}"#, "must be a valid IP address"),
    ];
    for (path, body, says) in cases {
        let before = server.get(path.trim_end_matches("/status"));
        let (code, status) = patch(path, body);
        assert_eq!(code, 422, "{body}: {status}");
        assert!(status["message"].as_str().unwrap_or_default().contains(says), "{body}: {status}");
        assert_eq!(server.get(path.trim_end_matches("/status")), before, "{body}");
    }
    let (code, told) = patch(&of_pod, r#"{"status":{"message":"seen"}}"#);
    assert_eq!((code, &told["status"]["message"]), (200, &serde_json::json!("seen")), "{told}");
}

#[test]
fn an_unknown_image_waits_with_its_reason_and_runs_once_it_is_pushed() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    server.create(&job("unknown", "nowhere:v9", &["x"], ""));
    server.create(&job("other", "ok", &["ok"], ""));
    assert_eq!(server.wait_for_end("other").1.0, "Complete");
    wait_for("the reason", || {
        let pods = server.pods("unknown");
        let waiting = pods.first().map(|p| p["status"]["containerStatuses"][0]["state"]["waiting"].clone());
        match waiting {
            Some(w) if w["reason"] == "ImagePullBackOff" && w["message"].as_str().unwrap().contains("kiln push") => {
                Ok(())
            }
            other => Err(other),
        }
    });
    server.push("nowhere:v9", &guest("exit0"));
    assert_eq!(server.wait_for_end("unknown").1.0, "Complete");
}

#[test]
fn a_module_that_cannot_run_is_refused_with_the_reason() {
    let server = Server::start();
    let whole = example_module("pi");
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("truncated", whole[..whole.len() / 2].to_vec(), ""),
        ("text", b"<html>hello</html>".to_vec(), ""),
        ("empty", Vec::new(), ""),
        ("import", wat("(module (import \"env\" \"foo\" (func)) (func (export \"_start\")))"), "env"),
        ("library", wat("(module (func (export \"run\")))"), "_start"),
    ];
    for (name, bytes, says) in cases {
        let (code, status) = server.send("PUT", &format!("/modules/{name}"), "application/wasm", &bytes);
        assert!((400..500).contains(&code), "{name}: {code} {status}");
        assert!(status["message"].as_str().is_some_and(|m| m.contains(says) && !m.is_empty()), "{name}: {status}");
        assert_eq!(server.send("GET", &format!("/modules/{name}"), "", b"").0, 404);
    }
}

#[test]
fn a_web_page_elsewhere_cannot_reach_a_loopback_server() {
    let server = Server::start();
    let (code, _) = server.send_with("GET", "/api", &[("Host", "evil.example")], b"");
    assert_eq!(code, 403, "DNS rebinding");
    let (code, _) = server.send_with("GET", "/api", &[("Origin", "http://evil.example")], b"");
    assert_eq!(code, 403, "another origin");
    let (code, _) = server.send_with("GET", "/api", &[("Origin", &server.url)], b"");
    assert_eq!(code, 200, "its own origin");
}

#[test]
fn other_addresses_need_a_token_and_the_token_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let refused =
        Command::new(KILN).args(["serve", "--listen", "0.0.0.0:0", "--data-dir"]).arg(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("--token-file"), "{said}");

    let file = dir.path().join("token");
    std::fs::write(&file, "a-long-enough-secret\n").unwrap();
    let server = Server::start_with(dir, &["--token-file", &file.display().to_string()]);
    assert_eq!(server.send("GET", "/api", "", b"").0, 401);
    assert_eq!(server.send_with("GET", "/api", &[("Authorization", "Bearer wrong-but-long-enough")], b"").0, 401);
    assert_eq!(server.send_with("GET", "/api", &[("Authorization", "Bearer a-long-enough-secret")], b"").0, 200);
    assert_eq!(server.send("GET", "/readyz", "", b"").0, 200, "health needs no token");
}

#[test]
fn an_annotation_without_effect_is_accepted_and_kubectl_shows_the_warning() {
    let server = Server::start();
    let manifest = job("x", "pi", &["pi"], "");
    let annotated = manifest.replace("name: x\n", "name: x\n  annotations: {kiln.dev/network: outbound}\n");
    let file = server.dir.path().join("job.yaml");
    std::fs::write(&file, annotated).unwrap();
    let applied = server.kubectl(&["apply", "-f", &file.display().to_string()]);
    let said = String::from_utf8_lossy(&applied.stderr).into_owned();
    let warning = "Warning: metadata.annotations[kiln.dev/network]: has no effect on a Job; set it on spec.template";
    assert!(applied.status.success() && said.contains(warning), "{said}");
}
