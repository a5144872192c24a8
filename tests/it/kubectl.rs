//! An unmodified kubectl, as a user types it.

use super::harness::{Server, example, job, wait_for};

fn manifest(name: &str) -> String {
    example(name).join("job.yaml").display().to_string()
}

#[test]
fn the_pi_job_runs_end_to_end() {
    let server = Server::start();
    server.push_example("pi");
    assert_eq!(server.kubectl_ok(&["apply", "-f", &manifest("pi")]), "job.batch/pi created\n");
    let waited = server.kubectl_ok(&["wait", "--for=condition=complete", "job/pi", "--timeout=60s"]);
    assert_eq!(waited, "job.batch/pi condition met\n");

    let jobs = server.kubectl_ok(&["get", "jobs"]);
    let rows: Vec<Vec<&str>> = jobs.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]);
    assert_eq!(rows[1][..3], ["pi", "Complete", "5/5"]);

    let pods = server.kubectl_ok(&["get", "pods"]);
    let rows: Vec<Vec<&str>> = pods.lines().skip(1).map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 5, "{pods}");
    assert!(rows.iter().all(|r| r[0].starts_with("pi-") && r[1..4] == ["0/1", "Completed", "0"]), "{pods}");

    let yaml = server.kubectl_ok(&["get", "job", "pi", "-o", "yaml"]);
    for line in ["  succeeded: 5", "    reason: CompletionsReached", "    type: Complete", "  completions: 5"] {
        assert!(yaml.lines().any(|l| l == line), "{line:?} in\n{yaml}");
    }
    let described = wait_for("the events of the Job", || {
        let text = server.kubectl_ok(&["describe", "job", "pi"]);
        if text.contains("Job completed") && text.matches("Created pod: pi-").count() == 5 {
            Ok(text)
        } else {
            Err(text)
        }
    });
    assert!(described.contains("0 Active (0 Ready) / 5 Succeeded / 0 Failed"), "{described}");

    let log = server.kubectl_ok(&["logs", "job/pi"]);
    assert!(log.len() == 2002 && log.starts_with("3.14159") && log.ends_with("4780275901\n"), "{log}");
    let pod = format!("pod/{}", rows[0][0]);
    assert_eq!(server.kubectl_ok(&["logs", "-f", &pod]), log);

    assert_eq!(server.kubectl_ok(&["apply", "-f", &manifest("pi")]), "job.batch/pi unchanged\n");
    let deleted = server.kubectl_ok(&["delete", "job", "pi"]);
    assert_eq!(deleted, "job.batch \"pi\" deleted from default namespace\n");
    wait_for("the pods to go with their Job", || {
        let pods = server.kubectl_ok(&["get", "pods", "-o", "name"]);
        if pods.is_empty() { Ok(()) } else { Err(pods) }
    });
}

#[test]
fn a_log_is_followed_while_it_is_written() {
    let server = Server::start();
    server.push_example("sleep");
    server.create(&job("s", "sleep", &["sleep", "1"], ""));
    let pod = wait_for("the pod to run", || {
        let pods = server.pods("s");
        match pods.first().map(|p| p["status"]["phase"].clone()) {
            Some(phase) if phase == "Running" => Ok(pods[0]["metadata"]["name"].as_str().unwrap().to_owned()),
            other => Err(other),
        }
    });
    let log = server.kubectl_ok(&["logs", "-f", &pod]);
    assert_eq!(log.lines().count(), 2, "both lines, the second written after the following began: {log}");
}

#[test]
fn an_edited_manifest_is_applied_and_a_forbidden_edit_is_refused() {
    let server = Server::start();
    server.push_example("sleep");
    let file = server.dir.path().join("job.yaml");
    let write = |parallelism: u32, seconds: &str| {
        let text = job("s", "sleep", &["sleep", seconds], &format!("  completions: 4\n  parallelism: {parallelism}"));
        std::fs::write(&file, text).unwrap();
    };
    let path = file.display().to_string();
    write(1, "60");
    server.kubectl_ok(&["apply", "-f", &path]);
    write(3, "60");
    assert_eq!(server.kubectl_ok(&["apply", "-f", &path]), "job.batch/s configured\n");
    wait_for("three active pods", || {
        let active = server.job("s")["status"]["active"].clone();
        if active == 3 { Ok(()) } else { Err(active) }
    });
    write(3, "61");
    let refused = server.kubectl(&["apply", "-f", &path]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("field is immutable"), "{said}");
}

#[test]
fn kubectl_shows_the_refusal_of_each_field() {
    let server = Server::start();
    let file = server.dir.path().join("job.yaml");
    let text = job("x", "pi", &["pi"], "  completions: -1\n  backoffLimit: -2");
    std::fs::write(&file, text.replace("Never", "Always")).unwrap();
    let refused = server.kubectl(&["apply", "-f", &file.display().to_string()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    for part in [
        "The Job \"x\" is invalid",
        "* spec.completions: Invalid value: -1: must be greater than or equal to 0",
        "* spec.backoffLimit: Invalid value: -2: must be greater than or equal to 0",
        "* spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
    ] {
        assert!(said.contains(part), "{part:?} in\n{said}");
    }
}
