//! A whole CronJob through admission: what is stored on creation, on change, and by `/status`.

use serde_json::{Value, json};

use crate::api::admission::{Stamp, create, update, update_status};
use crate::api::{Kind, Object};

fn stamp() -> Stamp<'static> {
    Stamp { now: "2026-01-02T03:04:05.678Z".parse().unwrap(), uid: "uid-1".to_owned(), suffix: "abcde" }
}

fn cron_job() -> Value {
    json!({"metadata": {"name": "tick", "namespace": "default"},
        "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec":
            {"restartPolicy": "Never", "containers": [{"name": "pi", "image": "pi"}]}}}}},
        "status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}})
}

fn object(value: Value) -> Object {
    Object::deserialize(Kind::CronJob, value).unwrap()
}

#[test]
fn a_cron_job_is_stored_as_kubernetes_stores_it() {
    let stored = create(object(cron_job()), &stamp()).unwrap();
    let pod = json!({
        "containers": [{"name": "pi", "image": "pi", "imagePullPolicy": "Always", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Never", "schedulerName": "default-scheduler",
        "securityContext": {}, "terminationGracePeriodSeconds": 30});
    let mut found = stored.to_value();
    assert_eq!(found["spec"]["jobTemplate"]["spec"]["template"]["spec"].take(), pod);
    assert_eq!(
        found,
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": {"name": "tick", "namespace": "default", "uid": "uid-1", "generation": 1,
                "creationTimestamp": "2026-01-02T03:04:05Z"},
            "spec": {"concurrencyPolicy": "Allow", "failedJobsHistoryLimit": 1,
                "jobTemplate": {"metadata": {}, "spec": {"template": {"metadata": {}, "spec": null}}}, "schedule": "@daily",
                "successfulJobsHistoryLimit": 3, "suspend": false},
            "status": {}
        })
    );
    assert_eq!(update(&stored, object(cron_job()), stamp().now).unwrap(), stored, "the same again changes nothing");
}

#[test]
fn a_change_counts_and_leaves_the_status_alone_and_status_leaves_the_rest() {
    let stored = create(object(cron_job()), &stamp()).unwrap();
    let mut value = cron_job();
    value["spec"]["schedule"] = json!("@hourly");
    let changed = update(&stored, object(value.clone()), stamp().now).unwrap().to_value();
    assert_eq!((&changed["metadata"]["generation"], &changed["status"]), (&json!(2), &json!({})));
    let told = update_status(&stored, object(value)).unwrap().to_value();
    assert_eq!((&told["spec"]["schedule"], &told["metadata"]["generation"]), (&json!("@daily"), &json!(1)));
    assert_eq!(told["status"]["lastScheduleTime"], "2026-01-01T00:00:00Z");
}

#[test]
fn without_a_spec_it_is_told_what_is_missing() {
    let empty = object(json!({"metadata": {"name": "tick", "namespace": "default"}}));
    let refused = create(empty, &stamp()).unwrap_err().to_string();
    assert!(refused.contains("spec.schedule: Required value"), "{refused}");
    assert!(refused.contains("spec.jobTemplate.spec.template.spec.containers: Required value"), "{refused}");
}
