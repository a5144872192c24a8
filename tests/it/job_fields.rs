//! Fields of a Job, through the API of a running server and kubectl: indexes, policies, suspension, ownership, and what
//! kiln adds.

use serde_json::{Value, json};

use super::harness::{Server, guest, job, wait_for};

/// A Job whose pods end with their index as their exit code.
const BY_INDEX: &str = "
apiVersion: batch/v1
kind: Job
metadata:
  name: NAME
spec:
  completionMode: Indexed
  completions: 4
  parallelism: 4
MORE
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: c
        image: exit
        args: [\"$(JOB_COMPLETION_INDEX)\"]
";

fn by_index(name: &str, more: &str) -> String {
    BY_INDEX.replace("NAME", name).replace("MORE", more)
}

fn server() -> Server {
    let server = Server::start();
    for (name, module) in [("exit", "exit-code"), ("sleep", "sleep"), ("ok", "exit0"), ("env", "print-args")] {
        server.push(name, &guest(module));
    }
    server
}

fn wait_for_status(server: &Server, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || {
        let job = server.job(name);
        if is(&job["status"]) { Ok(job) } else { Err(job["status"].clone()) }
    })
}

fn condition<'a>(job: &'a Value, type_: &str) -> &'a Value {
    let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    conditions.rev().find(|c| c["type"] == type_).unwrap_or(&Value::Null)
}

#[test]
fn a_pod_of_an_indexed_job_knows_its_index() {
    let server = server();
    let text = "  completionMode: Indexed\n  completions: 3\n  parallelism: 2";
    server.create(&job("ranks", "env", &["env"], text));
    let (job, end) = server.wait_for_end("ranks");
    assert_eq!((end.0.as_str(), &job["status"]["completedIndexes"]), ("Complete", &json!("0-2")));
    let pods = server.pods("ranks");
    assert_eq!(pods.len(), 3);
    for pod in pods {
        let meta = &pod["metadata"];
        let index = meta["labels"]["batch.kubernetes.io/job-completion-index"].as_str().unwrap();
        assert_eq!(meta["annotations"]["batch.kubernetes.io/job-completion-index"], index);
        assert_eq!(pod["spec"]["hostname"], format!("ranks-{index}"));
        assert!(meta["name"].as_str().unwrap().starts_with(&format!("ranks-{index}-")));
        let log = server.log(&pod);
        assert!(log.contains(&format!("JOB_COMPLETION_INDEX={index}")), "{log}");
    }
    let described = server.kubectl_ok(&["describe", "job", "ranks"]);
    assert!(described.contains("Completed Indexes:  0-2"), "{described}");
}

#[test]
fn indexes_fail_by_themselves_and_run_again_when_asked_to() {
    let server = server();
    server.create(&by_index("each", "  backoffLimitPerIndex: 0"));
    let (job, end) = server.wait_for_end("each");
    assert_eq!(end, ("Failed".to_owned(), "FailedIndexes".to_owned()));
    let status = &job["status"];
    assert_eq!((&status["completedIndexes"], &status["failedIndexes"]), (&json!("0"), &json!("1-3")));
    server.kubectl_ok(&["annotate", "job", "each", "kiln.dev/rerun=rerun-failed:1"]);
    let job = wait_for_status(&server, "each", "another end", |status| {
        status["failedIndexes"] == "1-3" && status["failed"] == 3
    });
    assert_eq!(condition(&job, "Failed")["reason"], "FailedIndexes");
    let attempts = wait_for("seven pods", || {
        let n = server.pods("each").len();
        if n == 7 { Ok(server.job("each")) } else { Err(n) }
    });
    let attempts = attempts["metadata"]["annotations"]["kiln.dev/attempts"].as_str().unwrap();
    let attempts: Value = serde_json::from_str(attempts).unwrap();
    assert_eq!((&attempts[0]["failedIndexes"], attempts.as_array().unwrap().len()), (&json!("1-3"), 1));
}

#[test]
fn an_exit_code_ends_the_job_and_says_which() {
    let server = server();
    let policy =
        "  podFailurePolicy:\n    rules:\n    - action: FailJob\n      onExitCodes: {operator: In, values: [3]}";
    server.create(&by_index("codes", policy));
    let (job, end) = server.wait_for_end("codes");
    assert_eq!(end, ("Failed".to_owned(), "PodFailurePolicy".to_owned()));
    let message = condition(&job, "Failed")["message"].as_str().unwrap();
    assert!(message.ends_with("failed with exit code 3 matching FailJob rule at index 0"), "{message}");
}

#[test]
fn a_success_policy_needs_only_some_indexes() {
    let server = server();
    server.create(&by_index("leader", "  successPolicy:\n    rules:\n    - succeededIndexes: \"0\""));
    let (job, end) = server.wait_for_end("leader");
    assert_eq!(end, ("Complete".to_owned(), "SuccessPolicy".to_owned()));
    assert_eq!(condition(&job, "Complete")["message"], "Matched rules at index 0");
    assert_eq!(job["status"]["completedIndexes"], "0");
}

#[test]
fn a_suspended_job_has_no_pods_until_it_is_resumed() {
    let server = server();
    server.create(&job("pause", "sleep", &["sleep"], "  parallelism: 2\n  completions: 2"));
    wait_for_status(&server, "pause", "two pods", |status| status["ready"] == 2);
    server.kubectl_ok(&["patch", "job", "pause", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
    let job = wait_for_status(&server, "pause", "no pods", |s| s["ready"] == 0 && s["terminating"] == 0);
    assert_eq!((&condition(&job, "Suspended")["status"], job["status"].get("startTime")), (&json!("True"), None));
    assert_eq!((job["status"].get("failed"), server.pods("pause").len()), (None, 0));
    let table = server.kubectl_ok(&["get", "job", "pause"]);
    assert!(table.contains("Suspended"), "{table}");
    server.kubectl_ok(&["patch", "job", "pause", "--type=merge", "-p", r#"{"spec":{"suspend":false}}"#]);
    let job = wait_for_status(&server, "pause", "two pods again", |status| status["ready"] == 2);
    assert_eq!(condition(&job, "Suspended")["reason"], "JobResumed");
    let events = server.kubectl_ok(&["describe", "job", "pause"]);
    assert!(events.contains("Job suspended") && events.contains("Job resumed"), "{events}");
}

#[test]
fn an_elastic_job_is_scaled() {
    let server = server();
    let text = "  completionMode: Indexed\n  completions: 2\n  parallelism: 2";
    server.create(&job("elastic", "sleep", &["sleep"], text));
    wait_for_status(&server, "elastic", "two pods", |status| status["ready"] == 2);
    let size = |n: i32| format!(r#"{{"spec":{{"completions":{n},"parallelism":{n}}}}}"#);
    server.kubectl_ok(&["patch", "job", "elastic", "--type=merge", "-p", &size(4)]);
    wait_for_status(&server, "elastic", "four pods", |status| status["ready"] == 4);
    server.kubectl_ok(&["patch", "job", "elastic", "--type=merge", "-p", &size(1)]);
    wait_for_status(&server, "elastic", "one pod", |s| s["ready"] == 1 && s["terminating"] == 0);
    let left = server.pods("elastic");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"], "0");
}

#[test]
fn a_manual_selector_takes_a_pod_that_was_there() {
    let server = server();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "early", "labels": {"app": "a"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "sleep"}]}});
    let body = pod.to_string();
    let (code, answer) = server.send("POST", "/api/v1/namespaces/default/pods", "application/json", body.as_bytes());
    assert_eq!(code, 201, "{answer}");
    let text = "  manualSelector: true\n  selector: {matchLabels: {app: a}}";
    let text =
        job("takes", "sleep", &["sleep"], text).replace("    spec:\n", "    metadata: {labels: {app: a}}\n    spec:\n");
    server.create(&text);
    wait_for_status(&server, "takes", "its pod", |status| status["active"] == 1);
    let pod = server.get("/api/v1/namespaces/default/pods/early");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], "takes");
    server.kubectl_ok(&["label", "pod", "early", "app=b", "--overwrite"]);
    wait_for("the pod to be nobody's", || {
        let pod = server.get("/api/v1/namespaces/default/pods/early");
        if pod["metadata"].get("ownerReferences").is_none() { Ok(()) } else { Err(pod["metadata"].clone()) }
    });
    wait_for_status(&server, "takes", "another pod", |status| status["active"] == 1);
}

#[test]
fn a_job_of_another_manager_is_left_alone() {
    let server = server();
    server.create(&job("theirs", "ok", &["ok"], "  managedBy: acme.io/runner"));
    server.create(&job("ours", "ok", &["ok"], ""));
    server.wait_for_end("ours");
    let theirs = server.job("theirs");
    assert_eq!((&theirs["status"], server.pods("theirs").len()), (&json!({}), 0));
}

#[test]
fn one_wait_covers_both_ends() {
    let server = server();
    for (name, code) in [("good", "0"), ("bad", "1")] {
        let text = job(name, "exit", &["exit", code], "  backoffLimit: 0");
        let annotated = "metadata:\n  annotations: {kiln.dev/finished-condition: \"true\"}\n";
        server.create(&text.replacen("metadata:\n", annotated, 1));
        server.kubectl_ok(&["wait", "--for=condition=Finished", &format!("job/{name}"), "--timeout=60s"]);
    }
}

#[test]
fn a_job_sets_its_own_back_off() {
    let server = server();
    let text = job("quick", "exit", &["exit", "1"], "  backoffLimit: 3");
    let annotated = "metadata:\n  annotations: {kiln.dev/backoff: \"base=0,cap=0\"}\n";
    let begun = std::time::Instant::now();
    server.create(&text.replacen("metadata:\n", annotated, 1));
    let (job, _) = server.wait_for_end("quick");
    assert_eq!(job["status"]["failed"], 4);
    assert!(begun.elapsed().as_secs_f64() < 10.0, "{:?}", begun.elapsed());
    let wrong =
        text.replace("name: quick", "name: wrong").replacen("metadata:\n", &annotated.replace("base=0,", "fast,"), 1);
    let (code, answer) =
        server.send("POST", "/apis/batch/v1/namespaces/default/jobs", "application/yaml", wrong.as_bytes());
    assert_eq!(code, 422, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("kiln.dev/backoff"), "{answer}");
}

#[test]
fn work_that_may_be_done_only_once_is_not_done_again_after_a_crash() {
    let server = server();
    for (name, annotated) in [("once", true), ("again", false)] {
        let text = job(name, "sleep", &["sleep"], "");
        let annotation = "metadata:\n  annotations: {kiln.dev/at-most-once: \"true\"}\n";
        server.create(&if annotated { text.replacen("metadata:\n", annotation, 1) } else { text });
        wait_for_status(&server, name, "a pod that runs", |status| status["ready"] == 1);
    }
    let server = Server::start_in(server.kill());
    let (job, end) = server.wait_for_end("once");
    assert_eq!(end, ("Failed".to_owned(), "FateUnknown".to_owned()));
    assert_eq!((&job["status"]["failed"], server.pods("once").len()), (&json!(1), 1));
    wait_for_status(&server, "again", "another pod", |status| status["ready"] == 1);
    assert_eq!(server.pods("again").len(), 2);
}
