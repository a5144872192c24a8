//! What is deleted with a Job, after it, and never: through `kubectl` where it can say it.

use serde_json::{Value, json};

use super::harness::{KILN, Server, guest, job, wait_for};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

/// A server with a Job of two pods that run and do not end by themselves.
fn with_running_job(name: &str) -> Server {
    let server = Server::start();
    server.push("loop", &guest("loop"));
    server.create(&job(name, "loop", &["loop"], "  parallelism: 2\n  completions: 2"));
    wait_for("two pods to run", || {
        let pods = server.pods(name);
        let running = pods.iter().filter(|p| p["status"]["phase"] == "Running").count();
        if running == 2 { Ok(()) } else { Err(pods) }
    });
    server
}

fn exists(server: &Server, path: &str) -> bool {
    match server.send("GET", path, "application/json", b"") {
        (200, _) => true,
        (404, _) => false,
        (code, answer) => panic!("{path}: {code} {answer}"),
    }
}

fn wait_until_gone(server: &Server, name: &str) {
    wait_for(&format!("job {name} to go"), || match server.send("GET", &format!("{JOBS}/{name}"), "", b"") {
        (404, _) => Ok(()),
        (_, job) => Err(job),
    });
}

fn wait_until_without_pods(server: &Server, job: &str) {
    wait_for("its pods to go", || match server.pods(job) {
        pods if pods.is_empty() => Ok(()),
        pods => Err(pods),
    });
}

/// The pods of a Job that was deleted without them: nobody's, and running on.
fn assert_orphaned(server: &Server, job: &str) {
    let pods = server.pods(job);
    assert_eq!(pods.len(), 2);
    for pod in pods {
        let (meta, phase) = (&pod["metadata"], &pod["status"]["phase"]);
        let held = (meta.get("ownerReferences"), meta.get("finalizers"), meta.get("deletionTimestamp"));
        assert_eq!((held, phase), ((None, None, None), &json!("Running")), "{pod}");
    }
}

#[test]
fn kubectl_deletes_a_running_job_and_its_pods_free_their_slots() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--max-pods", "1"]);
    server.push("loop", &guest("loop"));
    server.push("ok", &guest("exit0"));
    server.create(&job("endless", "loop", &["loop"], ""));
    wait_for("its pod to run", || match server.pods("endless") {
        pods if pods.first().is_some_and(|p| p["status"]["phase"] == "Running") => Ok(()),
        pods => Err(pods),
    });
    let told = server.kubectl_ok(&["delete", "job", "endless"]);
    assert_eq!(told.trim(), "job.batch \"endless\" deleted from default namespace");
    wait_until_without_pods(&server, "endless");
    server.create(&job("next", "ok", &["ok"], ""));
    assert_eq!(server.wait_for_end("next").1.0, "Complete");
}

#[test]
fn in_the_foreground_the_pods_go_first() {
    let server = with_running_job("front");
    server.kubectl_ok(&["delete", "job", "front", "--cascade=foreground"]);
    assert!(!exists(&server, &format!("{JOBS}/front")), "kubectl waits for the Job");
    assert_eq!(server.pods("front"), [] as [Value; 0], "which waited for its pods");
}

#[test]
fn in_the_background_the_job_goes_first() {
    let server = with_running_job("back");
    server.kubectl_ok(&["delete", "job", "back", "--cascade=background"]);
    assert!(!exists(&server, &format!("{JOBS}/back")));
    wait_until_without_pods(&server, "back");
}

#[test]
fn orphans_run_on_and_are_nobodys() {
    let server = with_running_job("gone");
    server.kubectl_ok(&["delete", "job", "gone", "--cascade=orphan"]);
    assert!(!exists(&server, &format!("{JOBS}/gone")), "kubectl waits for the Job");
    assert_orphaned(&server, "gone");
}

#[test]
fn a_delete_that_says_nothing_orphans_the_pods_of_a_job_and_warns() {
    let server = with_running_job("raw");
    let answer = ureq::delete(format!("{}{JOBS}/raw", server.url)).call().unwrap();
    let warning = answer.headers().get("Warning").expect("a warning").to_str().unwrap();
    assert!(warning.starts_with("299 "), "{warning}");
    assert!(
        warning.contains(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them \
             or set propagationPolicy=Orphan to suppress this warning"
        ),
        "{warning}"
    );
    wait_until_gone(&server, "raw");
    assert_orphaned(&server, "raw");
}

#[test]
fn what_names_an_owner_that_never_was_is_collected_and_what_has_one_stays_until_it_goes() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    server.create(&job("owner", "ok", &["ok"], ""));
    let (owner, _) = server.wait_for_end("owner");
    let maps = "/api/v1/namespaces/default/configmaps";
    let owned_by = |name: &str, uid: &Value| {
        let reference = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "owner", "uid": uid});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "ownerReferences": [reference]}});
        let (code, answer) = server.send("POST", maps, "application/json", map.to_string().as_bytes());
        assert_eq!(code, 201, "{answer}");
    };
    owned_by("right", &owner["metadata"]["uid"]);
    owned_by("wrong", &json!("of-another-job-of-that-name"));
    let gone = |name: &str| {
        wait_for(&format!("{name} to be collected"), || match exists(&server, &format!("{maps}/{name}")) {
            true => Err(name.to_owned()),
            false => Ok(()),
        });
    };
    gone("wrong");
    assert!(exists(&server, &format!("{maps}/right")));
    server.kubectl_ok(&["delete", "job", "owner"]);
    gone("right");
}

#[test]
fn without_time_to_live_a_job_goes_as_soon_as_it_is_complete() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    let before = server.get(JOBS)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    server.create(&job("brief", "ok", &["ok"], "  ttlSecondsAfterFinished: 0\n  completions: 3\n  parallelism: 3"));
    wait_until_gone(&server, "brief");
    assert_eq!(server.pods("brief"), [] as [Value; 0], "its pods go first");
    // What happened, from the history.
    let (_, history) =
        server.send("GET", &format!("{JOBS}?watch=1&resourceVersion={before}&timeoutSeconds=1"), "", b"");
    let history = history.as_str().unwrap().to_owned();
    let last: Value = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["object"]["status"]["succeeded"]), (&json!("DELETED"), &json!(3)), "{history}");
    let held = json!(["foregroundDeletion"]);
    let marked = |line: &str| serde_json::from_str::<Value>(line).unwrap()["object"]["metadata"]["finalizers"] == held;
    assert!(history.lines().any(marked), "{history}");
}

#[test]
fn a_time_to_live_may_depend_on_how_the_job_ends_and_be_given_afterwards() {
    let server = Server::start();
    server.push("exit", &guest("exit-code"));
    let annotated = |name: &str, code: &str, ttl: &str| {
        let spec = "  backoffLimit: 0\n  ttlSecondsAfterFinished: 3600";
        let annotations = format!("  name: {name}\n  annotations:\n    kiln.dev/ttl-seconds-after-failed: \"{ttl}\"\n");
        job(name, "exit", &["exit", code], spec).replacen(&format!("  name: {name}\n"), &annotations, 1)
    };
    server.create(&annotated("succeeds", "0", "0"));
    server.create(&annotated("later", "0", "0"));
    for name in ["succeeds", "later"] {
        assert_eq!(server.wait_for_end(name).1.0, "Complete");
    }
    server.create(&annotated("fails", "1", "0"));
    wait_until_gone(&server, "fails");
    wait_until_without_pods(&server, "fails");
    assert!(exists(&server, &format!("{JOBS}/succeeds")), "it ended earlier, and has an hour");

    let refused = server.kubectl(&["annotate", "job", "succeeds", "kiln.dev/ttl-seconds-after-succeeded=1h"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    let fault = "metadata.annotations[kiln.dev/ttl-seconds-after-succeeded]: Invalid value: \"1h\": must be a whole \
                 number of seconds, 0 or more";
    assert!(!refused.status.success() && why.contains(fault), "{why}");
    server.kubectl_ok(&["annotate", "job", "succeeds", "kiln.dev/ttl-seconds-after-succeeded=0"]);
    wait_until_gone(&server, "succeeds");
    server.kubectl_ok(&["patch", "job", "later", "--patch", r#"{"spec": {"ttlSecondsAfterFinished": 0}}"#]);
    wait_until_gone(&server, "later");

    let (code, answer) = server.send("POST", JOBS, "application/yaml", annotated("never", "0", "soon").as_bytes());
    assert_eq!(code, 422, "{answer}");
}

#[test]
fn what_pods_own_goes_with_them_and_what_a_foreign_kind_owns_stays() {
    let server = with_running_job("owner");
    let maps = "/api/v1/namespaces/default/configmaps";
    let pod = &server.pods("owner")[0]["metadata"];
    let make = |name: &str, api_version: &str, kind: &str, owner: &Value| {
        let owner = json!({"apiVersion": api_version, "kind": kind, "name": owner["name"], "uid": owner["uid"]});
        let map = json!({"metadata": {"name": name, "ownerReferences": [owner]}}).to_string();
        let (code, answer) = server.send("POST", maps, "application/json", map.as_bytes());
        assert_eq!(code, 201, "{answer}");
    };
    make("of-pod", "v1", "Pod", pod);
    make("of-workflow", "argoproj.io/v1alpha1", "Workflow", &json!({"name": "w", "uid": "w-uid"}));
    make("of-nobody", "v1", "ConfigMap", &json!({"name": "none", "uid": "none"}));
    let wait_for_end_of = |name: &str| {
        let path = format!("{maps}/{name}");
        wait_for(name, || if exists(&server, &path) { Err("still there") } else { Ok(()) });
    };
    wait_for_end_of("of-nobody");
    assert!(exists(&server, &format!("{maps}/of-pod")), "its owner is there");
    server.kubectl_ok(&["delete", "pod", pod["name"].as_str().unwrap(), "--cascade=foreground"]);
    assert!(!exists(&server, &format!("{maps}/of-pod")), "a pod waits for what it owns if it is told to");
    assert!(exists(&server, &format!("{maps}/of-workflow")), "nobody can say whether its owner is there");
    server.kubectl_ok(&["delete", "job", "owner"]);
}

#[test]
fn terminated_pods_beyond_the_threshold_go_and_stay_counted() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--terminated-pod-gc-threshold", "3"]);
    server.push("hello", &guest("hello"));
    server.push("loop", &guest("loop"));
    server.create(&job("endless", "loop", &["loop"], ""));
    server.create(&job("ten", "hello", &["hello"], "  completions: 10\n  parallelism: 4"));
    let (ended, end) = server.wait_for_end("ten");
    assert_eq!((end.0.as_str(), &ended["status"]["succeeded"]), ("Complete", &json!(10)));
    let kept = wait_for("three pods to be left", || match server.pods("ten") {
        pods if pods.len() <= 3 => Ok(pods),
        pods => Err(pods.len()),
    });
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|pod| server.log(pod).contains("hello")), "what stays has its log");
    // Those of another Job push out the older ones; of the same second, those whose name comes first.
    server.create(&job("zen", "hello", &["hello"], "  completions: 3\n  parallelism: 3"));
    server.wait_for_end("zen");
    wait_until_without_pods(&server, "ten");
    assert_eq!(server.pods("zen").len(), 3);
    assert_eq!(server.pods("endless").len(), 1, "what runs stays");
    assert_eq!(server.job("ten")["status"]["succeeded"], 10);
}

#[test]
fn what_kiln_run_leaves_goes_when_a_server_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("job.yaml");
    std::fs::write(dir.path().join("hello.wasm"), guest("hello")).unwrap();
    let spec = "  ttlSecondsAfterFinished: 0\n  completions: 3";
    std::fs::write(&manifest, job("brief", "hello", &["hello"], spec)).unwrap();
    let data = dir.path().join("data");
    let run = std::process::Command::new(KILN).arg("run").arg(&manifest).arg("--data-dir").arg(&data).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!((run.status.code(), out.matches("hello").count()), (Some(0), 3), "{out}{err}");
    let server = Server::start_in(dir);
    wait_until_gone(&server, "brief");
    assert_eq!(server.pods("brief"), [] as [Value; 0]);
}
