//! CronJobs through an unmodified kubectl. Schedules of a second keep the tests short.

use std::path::PathBuf;

use serde_json::Value;

use super::harness::{Server, guest, wait_for};

const CRON_JOBS: &str = "/apis/batch/v1/namespaces/default/cronjobs";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

/// A server with modules that end at once (`ok`) and never (`loop`).
fn server() -> Server {
    let server = Server::start();
    server.push("ok", &guest("exit0"));
    server.push("loop", &guest("loop"));
    server
}

/// A CronJob of one container named `c`; `spec` is YAML lines of its spec.
fn manifest(name: &str, schedule: &str, image: &str, spec: &[&str]) -> String {
    let spec: String = spec.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: {name}\nspec:\n  schedule: \"{schedule}\"\n{spec}  \
         jobTemplate:\n    spec:\n      template:\n        spec:\n          restartPolicy: Never\n          containers:\n\
         {:10}- {{name: c, image: {image}, command: [{image}]}}\n",
        ""
    )
}

fn write(server: &Server, name: &str, text: &str) -> PathBuf {
    let file = server.dir.path().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn apply(server: &Server, manifest: &str) -> String {
    let file = write(server, "cron-job.yaml", manifest);
    server.kubectl_ok(&["apply", "-f", &file.display().to_string()])
}

fn cron_job(server: &Server, name: &str) -> Value {
    server.get(&format!("{CRON_JOBS}/{name}"))
}

fn jobs(server: &Server) -> Vec<Value> {
    server.get(JOBS)["items"].as_array().unwrap().clone()
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

fn wait_for_jobs(server: &Server, what: &str, right: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    wait_for(what, || {
        let jobs = jobs(server);
        if right(&jobs) {
            Ok(jobs)
        } else {
            Err(jobs.iter().map(|j| (name(j), j["status"].clone())).collect::<Vec<_>>())
        }
    })
}

fn is_complete(job: &Value) -> bool {
    job["status"]["completionTime"].is_string()
}

/// Until the events of a CronJob say this.
fn wait_for_event(server: &Server, cron_job: &str, reason: &str, part: &str) {
    wait_for(&format!("an event {reason} of {cron_job}"), || {
        let events = server.get("/api/v1/namespaces/default/events");
        let events = events["items"].as_array().unwrap().clone();
        let of = |e: &Value| e["involvedObject"]["kind"] == "CronJob" && e["involvedObject"]["name"] == cron_job;
        let told: Vec<_> =
            events.iter().filter(|e| of(e)).map(|e| (e["reason"].clone(), e["message"].clone())).collect();
        let right = |(r, message): &(Value, Value)| r == reason && message.as_str().is_some_and(|m| m.contains(part));
        if told.iter().any(right) { Ok(()) } else { Err(told) }
    });
}

#[test]
fn jobs_are_made_run_and_shown() {
    let server = server();
    let text = manifest("tick", "@every 1s", "ok", &["timeZone: Europe/Berlin", "successfulJobsHistoryLimit: 2"]);
    assert_eq!(apply(&server, &text), "cronjob.batch/tick created\n");
    assert_eq!(apply(&server, &text), "cronjob.batch/tick unchanged\n");
    let jobs = wait_for_jobs(&server, "two complete Jobs", |jobs| jobs.iter().filter(|j| is_complete(j)).count() >= 2);
    let job = &jobs[0];
    assert!(name(job).starts_with("tick-"), "{job}");
    assert_eq!(job["metadata"]["ownerReferences"][0]["name"], "tick");
    let scheduled = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"].as_str().unwrap();
    assert!(scheduled.ends_with("+01:00") || scheduled.ends_with("+02:00"), "{scheduled}");
    assert_eq!(job["metadata"]["labels"]["job-name"], job["metadata"]["name"]);

    let status = wait_for("the last success", || {
        let status = cron_job(&server, "tick")["status"].clone();
        if status["lastSuccessfulTime"].is_string() { Ok(status) } else { Err(status) }
    });
    assert!(status["lastScheduleTime"].is_string(), "{status}");

    // History keeps as many as it may, and the pods go with their Jobs.
    for _ in 0..2 {
        let before = cron_job(&server, "tick")["status"]["lastScheduleTime"].clone();
        wait_for("the next time", || {
            let last = cron_job(&server, "tick")["status"]["lastScheduleTime"].clone();
            if last == before { Err(last) } else { Ok(()) }
        });
    }
    wait_for_event(&server, "tick", "SuccessfulDelete", "Deleted job tick-");
    server.kubectl_ok(&["patch", "cronjob", "tick", "-p", r#"{"spec":{"suspend":true}}"#]);
    wait_for_jobs(&server, "two Jobs left", |jobs| jobs.len() == 2 && jobs.iter().all(is_complete));
    wait_for("as many pods", || {
        let pods = server.kubectl_ok(&["get", "pods", "-o", "name"]);
        if pods.lines().count() == 2 { Ok(()) } else { Err(pods) }
    });

    let shown = server.kubectl_ok(&["get", "cj"]);
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST", "SCHEDULE", "AGE"]);
    assert_eq!(rows[1][..6], ["tick", "@every", "1s", "Europe/Berlin", "True", "0"], "{shown}");
    assert!(server.kubectl_ok(&["get", "all"]).contains("cronjob.batch/tick"), "in the category all");

    let described = server.kubectl_ok(&["describe", "cronjob", "tick"]);
    for part in ["Schedule:", "@every 1s", "Concurrency Policy:", "Allow", "SuccessfulCreate", "SawCompletedJob"] {
        assert!(described.contains(part), "{part:?} in\n{described}");
    }
    let explained = server.kubectl_ok(&["explain", "cronjob.spec.schedule"]);
    assert!(explained.contains("FIELD: schedule <string>") && explained.contains("Cron format"), "{explained}");
}

#[test]
fn forbid_keeps_a_second_job_from_starting() {
    let server = server();
    apply(&server, &manifest("one", "@every 1s", "loop", &["concurrencyPolicy: Forbid"]));
    wait_for_event(&server, "one", "JobAlreadyActive", "concurrency policy is Forbid");
    let jobs = jobs(&server);
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    assert_eq!(cron_job(&server, "one")["status"]["active"][0]["name"], jobs[0]["metadata"]["name"]);
    // When it is gone the time that was missed is made up for.
    server.kubectl_ok(&["delete", "job", &name(&jobs[0])]);
    wait_for_jobs(&server, "another Job", |now| now.len() == 1 && name(&now[0]) != name(&jobs[0]));
    wait_for_event(&server, "one", "MissingJob", &name(&jobs[0]));
}

#[test]
fn replace_stops_the_job_before() {
    let server = server();
    apply(&server, &manifest("latest", "@every 1s", "loop", &["concurrencyPolicy: Replace"]));
    let first = name(&wait_for_jobs(&server, "a Job", |jobs| jobs.len() == 1)[0]);
    wait_for_jobs(&server, "a Job in its place", |jobs| jobs.len() == 1 && name(&jobs[0]) != first);
    wait_for_event(&server, "latest", "SuccessfulDelete", &format!("Deleted job {first}"));
    server.kubectl_ok(&["patch", "cronjob", "latest", "-p", r#"{"spec":{"suspend":true}}"#]);
    wait_for("the pods of those before to be gone", || {
        let pods = server.kubectl_ok(&["get", "pods", "-o", "name"]);
        if pods.lines().count() <= 1 { Ok(()) } else { Err(pods) }
    });
}

#[test]
fn a_job_is_made_from_it_by_hand_while_it_is_suspended() {
    let server = server();
    apply(&server, &manifest("tick", "@every 1s", "ok", &["suspend: true"]));
    // What `kubectl create job --from` sends, as JSON.
    let made =
        server.kubectl_ok(&["create", "job", "by-hand", "--from=cronjob/tick", "--dry-run=client", "-o", "json"]);
    let file = write(&server, "job.json", &made);
    assert_eq!(server.kubectl_ok(&["create", "-f", &file.display().to_string()]), "job.batch/by-hand created\n");
    let (job, end) = server.wait_for_end("by-hand");
    assert_eq!(end.0, "Complete");
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    let success = wait_for("its success to be noted", || {
        let status = cron_job(&server, "tick")["status"].clone();
        if status["lastSuccessfulTime"].is_string() { Ok(status) } else { Err(status) }
    });
    assert_eq!(success["lastSuccessfulTime"], job["status"]["completionTime"]);
    // While it was suspended no time has come; now the last one comes at once, and further ones.
    assert_eq!((jobs(&server).len(), success.get("lastScheduleTime")), (1, None));
    server.kubectl_ok(&["patch", "cronjob", "tick", "--type=merge", "-p", r#"{"spec":{"suspend":false}}"#]);
    wait_for_jobs(&server, "a Job of the schedule", |jobs| jobs.len() > 1);

    // What `kubectl create cronjob` sends, as JSON.
    let args = ["create", "cronjob", "mine", "--image=ok", "--schedule=@hourly", "--dry-run=client", "-o", "json"];
    let file = write(&server, "mine.json", &server.kubectl_ok(&[&args[..], &["--", "ok"]].concat()));
    assert_eq!(server.kubectl_ok(&["create", "-f", &file.display().to_string()]), "cronjob.batch/mine created\n");
    assert_eq!(
        cron_job(&server, "mine")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"],
        "OnFailure"
    );
}

#[test]
fn deletion_takes_jobs_and_pods_along_unless_they_are_orphaned() {
    let server = server();
    apply(&server, &manifest("tick", "@every 1s", "loop", &["concurrencyPolicy: Forbid"]));
    wait_for("a pod that runs", || {
        let pods = server.get("/api/v1/namespaces/default/pods");
        if pods["items"][0]["status"]["phase"] == "Running" { Ok(()) } else { Err(pods) }
    });
    assert_eq!(
        server.kubectl_ok(&["delete", "cronjob", "tick"]),
        "cronjob.batch \"tick\" deleted from default namespace\n"
    );
    wait_for("Jobs and pods to go", || {
        let left = server.kubectl_ok(&["get", "jobs,pods", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });

    // Without a word on it, too: only Jobs leave theirs behind.
    apply(&server, &manifest("tock", "@every 1s", "loop", &["concurrencyPolicy: Forbid"]));
    wait_for_jobs(&server, "a Job", |jobs| jobs.len() == 1);
    assert_eq!(server.send("DELETE", &format!("{CRON_JOBS}/tock"), "application/json", b"").0, 200);
    wait_for_jobs(&server, "the Job to go", <[Value]>::is_empty);

    apply(&server, &manifest("left", "@every 1s", "loop", &["concurrencyPolicy: Forbid"]));
    wait_for_jobs(&server, "a Job", |jobs| jobs.len() == 1);
    server.kubectl_ok(&["delete", "cronjob", "left", "--cascade=orphan"]);
    let jobs = jobs(&server);
    assert!(jobs.len() == 1 && jobs[0]["metadata"].get("ownerReferences").is_none(), "{jobs:#?}");
}

#[test]
fn what_is_wrong_with_a_cron_job_is_told_field_by_field() {
    let server = server();
    let text = manifest(
        "wrong",
        "* * * * 7",
        "ok",
        &["timeZone: Europe/Nowhere", "concurrencyPolicy: Queue", "failedJobsHistoryLimit: -1"],
    );
    let file = write(&server, "cron-job.yaml", &text.replace("Never", "Always"));
    let refused = server.kubectl(&["apply", "-f", &file.display().to_string()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    for part in [
        "The CronJob \"wrong\" is invalid",
        "* spec.schedule: Invalid value: \"* * * * 7\": end of range (7) above maximum (6): 7",
        "* spec.timeZone: Invalid value: \"Europe/Nowhere\": unknown time zone Europe/Nowhere",
        "* spec.concurrencyPolicy: Unsupported value: \"Queue\"",
        "* spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        "* spec.jobTemplate.spec.template.spec.restartPolicy: Required value",
    ] {
        assert!(said.contains(part), "{part:?} in\n{said}");
    }
    let run = std::process::Command::new(super::harness::KILN)
        .arg("run")
        .arg(&file)
        .env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.code() == Some(2) && said.contains("a CronJob needs a server"), "{said}");
}

#[test]
fn everything_may_be_changed_and_a_restart_forgets_no_time() {
    let server = server();
    apply(&server, &manifest("tick", "0 0 1 1 *", "ok", &[]));
    let before = cron_job(&server, "tick");
    assert_eq!((&before["metadata"]["generation"], before["status"].get("lastScheduleTime")), (&1.into(), None));
    assert_eq!(before["spec"]["jobTemplate"]["spec"].get("backoffLimit"), None, "that is for its Jobs");
    apply(
        &server,
        &manifest("tick", "@every 1s", "loop", &["concurrencyPolicy: Forbid", "startingDeadlineSeconds: 100"]),
    );
    let made = wait_for_jobs(&server, "a Job", |jobs| jobs.len() == 1);
    let dir = server.kill();
    let server = Server::start_in(dir);
    assert_eq!(jobs(&server).iter().map(name).collect::<Vec<_>>(), [name(&made[0])], "Forbid holds over a restart");
    let after = cron_job(&server, "tick");
    assert_eq!(
        (&after["metadata"]["generation"], &after["status"]["active"][0]["name"]),
        (&2.into(), &made[0]["metadata"]["name"])
    );
    server.kubectl_ok(&["delete", "job", &name(&made[0])]);
    wait_for_jobs(&server, "the next Job", |jobs| jobs.len() == 1 && name(&jobs[0]) != name(&made[0]));
}
