//! What Jobs do, seen through the API of a running server.

use super::harness::{Server, guest, job, wait_for};

#[test]
fn a_failing_job_ends_at_its_back_off_limit() {
    let server = Server::start();
    server.push("exit", &guest("exit-code"));
    server.create(&job("fails", "exit", &["exit", "7"], "  backoffLimit: 0"));
    let (job, end) = server.wait_for_end("fails");
    assert_eq!(end, ("Failed".to_owned(), "BackoffLimitExceeded".to_owned()));
    assert_eq!((job["status"]["failed"].as_i64(), job["status"].get("completionTime")), (Some(1), None));
    let pod = &server.pods("fails")[0];
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((ended["exitCode"].as_i64(), ended["reason"].as_str()), (Some(7), Some("Error")));
}

#[test]
fn exit_codes_arrive_as_the_guest_gave_them() {
    let server = Server::start();
    server.push("exit", &guest("exit-code"));
    for code in [1, 126, 137, 255] {
        let name = format!("code-{code}");
        server.create(&job(&name, "exit", &["exit", &code.to_string()], "  backoffLimit: 0"));
        server.wait_for_end(&name);
        let pod = &server.pods(&name)[0];
        assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], code);
    }
}

#[test]
fn a_failed_pod_is_replaced_after_ten_seconds() {
    let server = Server::start();
    server.push("exit", &guest("exit-code"));
    let begun = std::time::Instant::now();
    server.create(&job("twice", "exit", &["exit", "1"], "  backoffLimit: 1"));
    let (job, _) = server.wait_for_end("twice");
    let took = begun.elapsed();
    assert_eq!((job["status"]["failed"].as_i64(), server.pods("twice").len()), (Some(2), 2));
    assert!(took.as_secs_f64() > 9.9, "the second pod came after {took:?}");
}

#[test]
fn a_container_restarts_in_place_and_keeps_its_volume() {
    let server = Server::start();
    server.push_example("fail-once");
    let text = std::fs::read_to_string(super::harness::example("fail-once").join("job.yaml")).unwrap();
    server.create(&text);
    let (_, end) = server.wait_for_end("fail-once");
    assert_eq!(end.0, "Complete");
    let pods = server.pods("fail-once");
    let status = &pods[0]["status"]["containerStatuses"][0];
    assert_eq!((pods.len(), status["restartCount"].as_i64()), (1, Some(1)));
    let name = pods[0]["metadata"]["name"].as_str().unwrap();
    let (code, previous) =
        server.send("GET", &format!("/api/v1/namespaces/default/pods/{name}/log?previous=true"), "text/plain", b"");
    assert!(code == 200 && previous.as_str().unwrap().contains("failing"), "{code} {previous}");
}

#[test]
fn a_work_queue_job_is_complete_when_its_pods_are_done() {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    server.create(&job("queue", "ok", &["ok"], "  parallelism: 3"));
    let (job, end) = server.wait_for_end("queue");
    assert_eq!(end.0, "Complete");
    let succeeded = job["status"]["succeeded"].as_i64().unwrap();
    assert!((1..=3).contains(&succeeded) && job["spec"].get("completions").is_none(), "{job}");
}

#[test]
fn a_deleted_job_stops_its_running_pods() {
    let server = Server::start();
    server.push("loop", &guest("loop"));
    server.create(&job("endless", "loop", &["loop"], "  parallelism: 2\n  completions: 2"));
    wait_for("two running pods", || {
        let running = server.pods("endless").iter().filter(|p| p["status"]["phase"] == "Running").count();
        if running == 2 { Ok(()) } else { Err(running) }
    });
    let path = "/apis/batch/v1/namespaces/default/jobs/endless?propagationPolicy=Background";
    assert_eq!(server.send("DELETE", path, "application/json", b"").0, 200);
    wait_for("the pods to be gone", || {
        let pods = server.pods("endless");
        if pods.is_empty() { Ok(()) } else { Err(pods) }
    });
}

#[test]
fn a_guest_out_of_memory_is_killed_for_it_and_others_go_on() {
    let server = Server::start();
    server.push_example("memory-hog");
    server.push("ok", &guest("exit0"));
    let text = std::fs::read_to_string(super::harness::example("memory-hog").join("job.yaml")).unwrap();
    server.create(&text);
    server.create(&job("fine", "ok", &["ok"], ""));
    assert_eq!(server.wait_for_end("fine").1.0, "Complete");
    let pod = wait_for("a killed pod", || {
        let pods = server.pods("memory-hog");
        match pods.iter().find(|p| p["status"]["phase"] == "Failed") {
            Some(pod) => Ok(pod.clone()),
            None => Err(pods),
        }
    });
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((ended["reason"].as_str(), ended["exitCode"].as_i64()), (Some("OOMKilled"), Some(137)));
}
