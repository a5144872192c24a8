//! What the targets share.

use kiln::api::admission::{self, Stamp};
use kiln::api::{Kind, Object};
use kiln::clock::Clock;
use serde_json::{Value, json};

/// Defaults and validates as a POST does, and what is accepted once more as a PUT of the same.
pub fn admit(object: Object) {
    let stamp =
        Stamp { now: Clock::real().now(), uid: "5d3b1a35-9f0a-4a4e-9d1c-0b5f3a0e7c11".to_owned(), suffix: "abcde" };
    let Ok(created) = admission::create(object, &stamp) else { return };
    let _ = admission::warnings(&created);
    admission::update(&created, created.clone(), stamp.now).expect("what was accepted is accepted unchanged");
}

/// A Job with a bit of everything, as a client would send it.
pub fn job() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "a", "namespace": "default", "labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {
            "completions": 5, "parallelism": 2, "completionMode": "Indexed", "backoffLimit": 3,
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}}]},
            "template": {"metadata": {"labels": {"x": "y"}}, "spec": {
                "restartPolicy": "Never",
                "tolerations": [{"key": "k", "operator": "Exists"}],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "m"}}],
                "containers": [
                    {"name": "one", "image": "pi", "args": ["1"], "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                     "volumeMounts": [{"name": "v", "mountPath": "/v"}], "resources": {"limits": {"memory": "1Gi"}}},
                    {"name": "two", "image": "pi"}]}}}
    })
}

/// A namespace with one object of the kinds that most requests are about.
pub fn world() -> Vec<Object> {
    let namespaced = |kind: &str, api_version: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "default"}});
    let mut pod = namespaced("Pod", "v1");
    pod["spec"] = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "pi"}]});
    let mut cron_job = namespaced("CronJob", "batch/v1");
    cron_job["spec"] = json!({"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": pod["spec"]}}}});
    let of = |kind, value: Value| Object::deserialize(kind, value).expect("it is one");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    let objects = [
        of(Kind::Namespace, namespace),
        of(Kind::ConfigMap, namespaced("ConfigMap", "v1")),
        of(Kind::Pod, pod),
        of(Kind::Job, job()),
        of(Kind::CronJob, cron_job),
    ];
    let stamped = objects.into_iter().enumerate().map(|(n, object)| {
        let stamp =
            Stamp { now: Clock::real().now(), uid: format!("00000000-0000-4000-8000-00000000000{n}"), suffix: "abcde" };
        admission::create(object, &stamp).expect("it is valid")
    });
    stamped.collect()
}
