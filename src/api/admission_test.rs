//! Whole objects through admission: what is stored, what is refused, in which words.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn stamp() -> Stamp<'static> {
    Stamp { now: "2026-01-02T03:04:05.678Z".parse().unwrap(), uid: "uid-1".to_owned(), suffix: "abcde" }
}

fn object(kind: Kind, value: Value) -> Object {
    Object::deserialize(kind, value).unwrap()
}

fn created(kind: Kind, value: Value) -> Object {
    create(object(kind, value), &stamp()).unwrap()
}

/// The faults of an object, as kubectl lists them.
fn faults(result: Result<Object, ApiError>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(ApiError::Invalid { causes, .. }) => causes.iter().map(ToString::to_string).collect(),
        Err(other) => vec![other.to_string()],
    }
}

fn job_faults(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = job();
    change(&mut value);
    faults(create(object(Kind::Job, value), &stamp()))
}

fn pod_faults(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = pod();
    change(&mut value["spec"]);
    faults(create(object(Kind::Pod, value), &stamp()))
}

fn job() -> Value {
    json!({"metadata": {"name": "pi", "namespace": "default"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "pi", "image": "pi"}]}}}})
}

fn pod() -> Value {
    json!({"metadata": {"name": "pi", "namespace": "default"},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "pi", "image": "pi"}]}})
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_job_is_stored_as_kubernetes_stores_it() {
    let labels = json!({"batch.kubernetes.io/controller-uid": "uid-1", "batch.kubernetes.io/job-name": "pi",
        "controller-uid": "uid-1", "job-name": "pi"});
    assert_eq!(
        created(Kind::Job, job()).to_value(),
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "pi", "namespace": "default", "uid": "uid-1", "generation": 1,
                "creationTimestamp": "2026-01-02T03:04:05Z", "labels": labels},
            "spec": {
                "backoffLimit": 6, "completionMode": "NonIndexed", "completions": 1, "manualSelector": false,
                "parallelism": 1, "podReplacementPolicy": "TerminatingOrFailed",
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "uid-1"}}, "suspend": false,
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "containers": [{"name": "pi", "image": "pi", "imagePullPolicy": "Always", "resources": {},
                            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
                        "dnsPolicy": "ClusterFirst", "restartPolicy": "Never", "schedulerName": "default-scheduler",
                        "securityContext": {}, "terminationGracePeriodSeconds": 30}}},
            "status": {}
        })
    );
}

#[test]
fn what_a_client_sends_of_the_servers_fields_is_dropped() {
    let mut value = job();
    value["metadata"] = json!({"generateName": "pi-", "namespace": "default", "uid": "x", "resourceVersion": "7",
        "generation": 9, "selfLink": "/x", "deletionTimestamp": "2026-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 5, "managedFields": [{"manager": "m"}], "labels": {"a": "b"}});
    value["status"] = json!({"succeeded": 5});
    let stored = created(Kind::Job, value).to_value();
    assert_eq!(
        stored["metadata"],
        json!({"name": "pi-abcde", "generateName": "pi-", "namespace": "default", "uid": "uid-1", "generation": 1,
            "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"a": "b"}})
    );
    assert_eq!(stored["status"], json!({}));
}

#[test]
fn all_faults_of_a_job_are_told_at_once_and_in_order() {
    let found = job_faults(|job| {
        job["metadata"]["name"] = json!("Pi");
        job["spec"]["parallelism"] = json!(-1);
        job["spec"]["completions"] = json!(-1);
        job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("");
        job["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    });
    assert!(found[0].starts_with("metadata.name: Invalid value: \"Pi\": a lowercase RFC 1123 subdomain"), "{found:?}");
    assert_eq!(
        found[1..],
        [
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
            "spec.completions: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.spec.containers[0].image: Required value",
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ]
    );
}

#[test]
fn a_long_job_name_fails_as_a_label() {
    let name = "a".repeat(64);
    let found = job_faults(|job| job["metadata"]["name"] = json!(name));
    let label = format!("Invalid value: \"{name}\": must be no more than 63 characters");
    assert!(found.contains(&format!("spec.template.metadata.labels: {label}")), "{found:?}");
}

#[test]
fn a_selector_or_label_of_ones_own_is_refused() {
    let found = job_faults(|job| {
        job["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
        job["spec"]["template"]["metadata"] = json!({"labels": {"controller-uid": "old"}});
    });
    assert!(found[0].starts_with("spec.template.metadata.labels[controller-uid]: Invalid value: {"), "{found:?}");
    assert!(found[0].ends_with("must be 'uid-1'"), "{found:?}");
    assert!(
        found[1].starts_with("spec.selector: Invalid value: ") && found[1].ends_with("`selector` not auto-generated")
    );
    assert!(found[2].ends_with("`selector` does not match template `labels`"));
    assert_eq!(found.len(), 3);
}

#[test]
fn every_field_of_a_job_is_validated_and_one_is_refused() {
    let found = job_faults(|job| {
        job["spec"]["completionMode"] = json!("Indexed");
        job["spec"]["completions"] = json!(3);
        job["spec"]["maxFailedIndexes"] = json!(4);
        job["spec"]["suspend"] = json!(true);
        job["spec"]["ttlSecondsAfterFinished"] = json!(-1);
        job["spec"]["managedBy"] = json!("acme.io/a b");
        job["spec"]["podReplacementPolicy"] = json!("Failed");
        job["spec"]["scheduling"] = json!({});
    });
    let fields: Vec<&str> = found.iter().map(|f| f.split(": ").next().unwrap()).collect();
    let expected = [
        "spec.ttlSecondsAfterFinished",
        "spec.backoffLimitPerIndex",
        "spec.managedBy",
        "spec.maxFailedIndexes",
        "spec.scheduling",
    ];
    assert_eq!(fields, expected);
    let told = "spec.scheduling: Forbidden: not supported by this version of kiln: pods are placed one by one";
    assert_eq!(found[4], told);
    assert_eq!(job_faults(|job| job["spec"]["managedBy"] = json!("kubernetes.io/job-controller")), NOTHING);
}

#[test]
fn an_indexed_job_makes_host_names() {
    let found = job_faults(|job| {
        job["metadata"]["name"] = json!("a".repeat(61));
        job["spec"]["completionMode"] = json!("Indexed");
        job["spec"]["completions"] = json!(101);
    });
    let last = found.last().unwrap();
    assert!(last.contains("will not able to create pod with invalid DNS label: aaa"), "{last}");
}

#[test]
fn a_bare_pod_gets_its_status_and_must_end() {
    let mut value = pod();
    value["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
    let stored = created(Kind::Pod, value).to_value();
    assert_eq!(stored["status"], json!({"phase": "Pending", "qosClass": "Guaranteed"}));
    assert_eq!(stored["spec"]["containers"][0]["resources"]["requests"], json!({"cpu": "1", "memory": "1Gi"}));
    assert_eq!(stored["metadata"]["generation"], json!(1));
    let found = pod_faults(|spec| spec["restartPolicy"] = json!(null));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("spec.restartPolicy: Forbidden: not supported by this version of kiln: "),
        "{found:?}"
    );
}

#[test]
fn containers_are_validated_as_in_kubernetes() {
    let table: Vec<(Value, Vec<&str>)> = vec![
        (json!({"name": ""}), vec!["name: Required value"]),
        (json!({"name": "a.b"}), vec!["name: Invalid value: \"a.b\": must not contain dots"]),
        (
            json!({"imagePullPolicy": "Maybe"}),
            vec![
                "imagePullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            ],
        ),
        (
            json!({"env": [{"name": ""}, {"name": "A=B"}]}),
            vec![
                "env[0].name: Required value",
                "env[1].name: Invalid value: \"A=B\": a valid environment variable name must consist only of printable ASCII \
             characters other than '='",
            ],
        ),
        (
            json!({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            vec!["env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"],
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {}}]}),
            vec![
                "env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, \
                  `configMapKeyRef` or `secretKeyRef`",
            ],
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}),
            vec![
                "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting fieldPath: field label \
                  not supported: spec.x",
            ],
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b/c']"}}}]}),
            vec![
                "env[0].valueFrom.fieldRef: Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or \
             'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with \
             an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            ],
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": ""}}}]}),
            vec!["env[0].valueFrom.secretKeyRef.key: Required value"],
        ),
        (
            json!({"envFrom": [{}]}),
            vec!["envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"],
        ),
        (
            json!({"volumeMounts": [{"name": "gone", "mountPath": "/a"}, {"name": "v", "mountPath": "/a/"},
            {"name": "v", "mountPath": "b"}, {"name": "v", "mountPath": "/c:d"}, {"name": "v", "mountPath": "/e/../f"},
            {"name": "v", "mountPath": ""}, {"name": "v", "mountPath": "/g", "subPath": "../x"}]}),
            vec![
                "volumeMounts[0].name: Not found: \"gone\"",
                "volumeMounts[1].mountPath: Invalid value: \"/a/\": must be unique",
                "volumeMounts[2].mountPath: Invalid value: \"b\": must be an absolute path",
                "volumeMounts[3].mountPath: Invalid value: \"/c:d\": must not contain ':' or NUL",
                "volumeMounts[4].mountPath: Invalid value: \"/e/../f\": must not contain '.' or '..'",
                "volumeMounts[5].mountPath: Required value",
                "volumeMounts[6].subPath: Invalid value: \"../x\": must not contain '..'",
            ],
        ),
        (
            json!({"resources": {"limits": {"cpu": "1", "memory": "lots"}, "requests": {"cpu": "2"}}}),
            vec![
                "resources.limits[memory]: Invalid value: \"lots\": quantities must match the regular expression \
             '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
                "resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            json!({"resources": {"limits": {"cpu": "-1", "kiln.dev/fuel": "1500m"}}}),
            vec![
                "resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
                "resources.limits[kiln.dev/fuel]: Invalid value: \"1500m\": must be an integer",
            ],
        ),
    ];
    for (change, want) in table {
        let found = pod_faults(|spec| {
            spec["volumes"] = json!([{"name": "v"}]);
            for (field, value) in change.as_object().unwrap() {
                spec["containers"][0][field] = value.clone();
            }
            if change["resources"]["limits"].get("cpu") == Some(&json!("-1")) {
                spec["containers"][0]["resources"]["requests"] = json!({"cpu": "0"});
            }
        });
        let want: Vec<String> = want.iter().map(|w| format!("spec.containers[0].{w}")).collect();
        assert_eq!(found, want, "{change}");
    }
}

#[test]
fn pods_and_volumes_are_validated_as_in_kubernetes() {
    let table: Vec<(Value, Vec<&str>)> = vec![
        (json!({"containers": []}), vec!["containers: Required value"]),
        (
            json!({"activeDeadlineSeconds": 0}),
            vec!["activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
        ),
        (
            json!({"terminationGracePeriodSeconds": -1}),
            vec!["terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            json!({"restartPolicy": "Perhaps"}),
            vec![
                "restartPolicy: Unsupported value: \"Perhaps\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ],
        ),
        (json!({"hostname": "a.b"}), vec!["hostname: Invalid value: \"a.b\": must not contain dots"]),
        (json!({"volumes": [{"name": "a"}, {"name": "a"}]}), vec!["volumes[1].name: Duplicate value: \"a\""]),
        (
            json!({"volumes": [{"name": "a", "configMap": {"defaultMode": 512, "items": [{"key": "", "path": "/x"}]}}]}),
            vec![
                "volumes[0].configMap.name: Required value",
                "volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both \
                 inclusive",
                "volumes[0].configMap.items[0].key: Required value",
                "volumes[0].configMap.items[0].path: Invalid value: \"/x\": must be a relative path",
            ],
        ),
        (
            json!({"volumes": [{"name": "a", "emptyDir": {}, "secret": {"secretName": "s"}}]}),
            vec!["volumes[0].secret: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            json!({"tolerations": [{"operator": "Equal"}]}),
            vec![
                "tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \
             \"match all values and all keys\"",
            ],
        ),
        (
            json!({"nodeSelector": {"a": "-"}, "nodeName": "A", "serviceAccountName": "_"}),
            vec![
                "nodeSelector: Invalid value: \"-\":",
                "serviceAccountName: Invalid value: \"_\":",
                "nodeName: Invalid value: \"A\":",
            ],
        ),
    ];
    for (change, want) in table {
        let found = pod_faults(|spec| {
            for (field, value) in change.as_object().unwrap() {
                spec[field] = value.clone();
            }
        });
        assert_eq!(found.len(), want.len(), "{found:?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.starts_with(&format!("spec.{want}")), "{found} is not {want}");
        }
    }
}

#[test]
fn what_a_module_cannot_have_is_refused_in_a_sentence() {
    let spec = [
        json!({"initContainers": [{"name": "a", "image": "a", "restartPolicy": "Always"}]}),
        json!({"hostNetwork": true}),
        json!({"hostPID": true}),
        json!({"affinity": {"nodeAffinity": {}}}),
        json!({"priorityClassName": "high"}),
        json!({"runtimeClassName": "kata"}),
        json!({"dnsPolicy": "None"}),
        json!({"schedulerName": "mine"}),
        json!({"securityContext": {"runAsUser": 0}}),
        json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
        json!({"securityContext": {"sysctls": [{"name": "a", "value": "b"}]}}),
        json!({"volumes": [{"name": "a", "hostPath": {"path": "/", "type": "Socket"}}]}),
        json!({"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "a"}}]}),
        json!({"volumes": [{"name": "a", "emptyDir": {"medium": "HugePages"}}]}),
    ];
    let container = [
        json!({"ports": [{"containerPort": 80}]}),
        json!({"livenessProbe": {"exec": {"command": ["a"]}}}),
        json!({"lifecycle": {"preStop": {"exec": {"command": ["a"]}}}}),
        json!({"tty": true}),
        json!({"resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}}),
        json!({"resources": {"limits": {"kiln.dev/fuel": "1"}, "requests": {"kiln.dev/fuel": "1"}}}),
        json!({"securityContext": {"privileged": true}}),
        json!({"securityContext": {"allowPrivilegeEscalation": true}}),
        json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}),
    ];
    let refusals = |change: &Value, in_container: bool| {
        let found = pod_faults(|spec| {
            let target = if in_container { &mut spec["containers"][0] } else { spec };
            for (field, value) in change.as_object().unwrap() {
                target[field] = value.clone();
            }
        });
        assert!(!found.is_empty(), "{change} is refused");
        for fault in found {
            assert!(fault.contains(": Forbidden: not supported by this version of kiln: "), "{fault}");
        }
    };
    spec.iter().for_each(|change| refusals(change, false));
    container.iter().for_each(|change| refusals(change, true));
}

#[test]
fn a_hardened_pod_and_one_with_all_that_is_honoured_pass() {
    let found = pod_faults(|spec| {
        *spec = json!({
            "restartPolicy": "OnFailure", "activeDeadlineSeconds": 5, "terminationGracePeriodSeconds": 0,
            "nodeSelector": {"a": "b"}, "nodeName": "n", "serviceAccountName": "s", "automountServiceAccountToken": true,
            "tolerations": [{"operator": "Exists"}], "dnsPolicy": "Default", "hostname": "h", "hostUsers": false,
            "enableServiceLinks": false, "priority": 0, "preemptionPolicy": "PreemptLowerPriority",
            "hostNetwork": false, "initContainers": [], "affinity": {},
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "e", "emptyDir": {"medium": "Memory"}}, {"name": "c", "configMap": {"name": "c",
                "items": [{"key": "k", "path": "a/b", "mode": 256}]}}, {"name": "s", "secret": {"secretName": "s"}}],
            "containers": [{"name": "a", "image": "pi:1", "command": ["a"], "args": ["b"], "workingDir": "/x",
                "env": [{"name": "A", "value": "$(B)"},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": true}}},
                    {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['X.io/a']"}}},
                    {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}],
                "resources": {"limits": {"cpu": "1", "memory": "64Mi", "kiln.dev/fuel": "1e9"}, "requests": {"cpu": "1"}},
                "volumeMounts": [{"name": "e", "mountPath": "/e", "subPath": "a"}, {"name": "c", "mountPath": "/c",
                    "readOnly": true}],
                "securityContext": {"allowPrivilegeEscalation": false, "privileged": false,
                    "capabilities": {"drop": ["ALL"]}}}],
        });
    });
    assert_eq!(found, NOTHING);
}

#[test]
fn a_change_keeps_what_is_the_servers_and_counts_changes_of_the_spec() {
    let mut old = created(Kind::Job, job());
    old.meta_mut().resource_version = Some("7".to_owned());
    let now = stamp().now;

    let mut value = old.to_value();
    value["metadata"]["annotations"] = json!({"a": "b"});
    value["metadata"]["generation"] = json!(99);
    value["metadata"]["creationTimestamp"] = json!(null);
    value["status"] = json!({"succeeded": 9});
    let new = update(&old, object(Kind::Job, value.clone()), now).unwrap();
    assert_eq!(new.meta().generation, Some(1));
    assert_eq!(new.meta().resource_version.as_deref(), Some("7"));
    assert_eq!(new.to_value()["status"], json!({}));

    value["spec"]["parallelism"] = json!(4);
    assert_eq!(update(&old, object(Kind::Job, value.clone()), now).unwrap().meta().generation, Some(2));
    assert_eq!(update(&old, old.clone(), now).unwrap(), old, "a change of nothing is equal");

    value["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
    value["metadata"]["name"] = json!("other");
    let found = faults(update(&old, object(Kind::Job, value.clone()), now));
    assert_eq!(found[0], "metadata.name: Invalid value: \"other\": field is immutable");
    assert!(found[1].starts_with("spec.template: Invalid value: {") && found[1].ends_with("field is immutable"));
    assert_eq!(found.len(), 2, "{found:?}");

    value["metadata"]["uid"] = json!("uid-2");
    let conflict = update(&old, object(Kind::Job, value), now).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "Operation cannot be fulfilled on jobs.batch \"pi\": Precondition failed: UID in precondition: uid-2, UID in \
         object meta: uid-1"
    );
}

#[test]
fn of_a_pod_little_may_change() {
    let mut value = pod();
    value["spec"]["activeDeadlineSeconds"] = json!(10);
    value["spec"]["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
    let old = created(Kind::Pod, value);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = old.to_value();
        change(&mut value["spec"]);
        faults(update(&old, object(Kind::Pod, value), stamp().now))
    };
    let free = |spec: &mut Value| {
        spec["activeDeadlineSeconds"] = json!(5);
        spec["tolerations"] = json!([{"key": "b", "operator": "Exists"}, {"key": "a", "operator": "Exists"}]);
    };
    assert_eq!(changed(&free), NOTHING);
    let later = |spec: &mut Value| spec["activeDeadlineSeconds"] = json!(11);
    assert_eq!(
        changed(&later),
        ["spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value"]
    );
    let image = |spec: &mut Value| spec["containers"][0]["image"] = json!("other");
    assert_eq!(
        changed(&image),
        [
            "spec.containers[0].image: Forbidden: not supported by this version of kiln: a running module keeps the digest it \
          was started with; delete the pod and create it anew"
        ]
    );
    let init = |spec: &mut Value| spec["initContainers"] = json!([{"name": "i", "image": "i"}]);
    assert_eq!(changed(&init), ["spec.initContainers: Forbidden: pod updates may not add or remove init containers"]);
    let args = |spec: &mut Value| spec["containers"][0]["args"] = json!(["x"]);
    let found = changed(&args);
    assert!(found[0].starts_with("spec: Forbidden: pod updates may not change fields other than `spec.containers[*]"));
    let fewer = |spec: &mut Value| spec["tolerations"] = json!([]);
    assert_eq!(
        changed(&fewer),
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    );
}

#[test]
fn a_status_write_leaves_the_spec_alone() {
    let old = created(Kind::Job, job());
    let mut value = old.to_value();
    value["spec"]["parallelism"] = json!(9);
    value["status"] = json!({"active": 1});
    value["metadata"]["annotations"] = json!({"a": "b"});
    value["metadata"]["finalizers"] = json!(["x.io/y"]);
    let new = update_status(&old, object(Kind::Job, value.clone())).unwrap().to_value();
    assert_eq!((&new["status"], &new["spec"]), (&json!({"active": 1}), &old.to_value()["spec"]));
    assert_eq!(
        (&new["metadata"]["annotations"], &new["metadata"]["finalizers"]),
        (&json!({"a": "b"}), &json!(["x.io/y"]))
    );
    value["status"] = json!({"active": -1});
    assert_eq!(
        faults(update_status(&old, object(Kind::Job, value))),
        ["status.active: Invalid value: -1: must be greater than or equal to 0"]
    );
    let map = created(Kind::ConfigMap, json!({"metadata": {"name": "a", "namespace": "b"}}));
    assert!(update_status(&map, map.clone()).is_err());
}

#[test]
fn a_namespace_is_active_and_can_be_selected_by_name() {
    let stored = created(Kind::Namespace, json!({"metadata": {"name": "a"}}));
    assert_eq!(
        stored.to_value(),
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "a", "uid": "uid-1", "creationTimestamp": "2026-01-02T03:04:05Z",
                "labels": {"kubernetes.io/metadata.name": "a"}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
    );
}

#[test]
fn a_name_that_makes_poor_host_names_is_warned_of() {
    let mut value = job();
    value["metadata"]["name"] = json!("a.b");
    assert_eq!(
        warnings(&created(Kind::Job, value)),
        [
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is \
          recommended: [must not contain dots]"
        ]
    );
    assert!(warnings(&created(Kind::Job, job())).is_empty());
}

#[test]
fn an_annotation_that_a_job_cannot_use_is_warned_of() {
    let annotations = json!({"kiln.dev/network": "outbound", "kiln.dev/on-delete": "wait", "a": "b"});
    let mut value = job();
    value["spec"]["template"]["metadata"]["annotations"] = annotations.clone();
    assert!(warnings(&created(Kind::Job, value.clone())).is_empty(), "its pods can");
    value["metadata"]["annotations"] = annotations;
    let warned = |name: &str| {
        format!("metadata.annotations[{name}]: has no effect on a Job; set it on spec.template.metadata.annotations")
    };
    assert_eq!(warnings(&created(Kind::Job, value)), [warned("kiln.dev/network"), warned("kiln.dev/on-delete")]);
}

#[test]
fn an_object_without_spec_is_refused_and_not_a_panic() {
    for &kind in Kind::ALL {
        let mut value = json!({"metadata": {}});
        if kind == Kind::Event {
            value["involvedObject"] = json!({});
        }
        assert_ne!(faults(create(object(kind, value), &stamp())), NOTHING, "{kind:?}");
    }
}

/// Any JSON value in any field that the type accepts: admission answers, and what it stores passes as an update.
fn arbitrary_job() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(false)),
        any::<i32>().prop_map(|i| json!(i)),
        "[-a-zA-Z0-9./: '\\[\\]]{0,12}".prop_map(|s| json!(s)),
    ];
    let fields = prop_oneof![
        Just("parallelism"),
        Just("completions"),
        Just("completionMode"),
        Just("backoffLimitPerIndex"),
        Just("maxFailedIndexes"),
        Just("suspend"),
        Just("managedBy"),
        Just("activeDeadlineSeconds"),
    ];
    let pod_fields = prop_oneof![
        Just("restartPolicy"),
        Just("hostname"),
        Just("nodeName"),
        Just("dnsPolicy"),
        Just("serviceAccount"),
        Just("hostNetwork"),
        Just("terminationGracePeriodSeconds"),
    ];
    let container = prop_oneof![Just("name"), Just("image"), Just("imagePullPolicy"), Just("workingDir"), Just("tty")];
    let some = |fields: BoxedStrategy<&'static str>| prop::collection::vec((fields, leaf.clone()), 0..4);
    (some(fields.boxed()), some(pod_fields.boxed()), some(container.boxed())).prop_map(|(spec, pod, container)| {
        let mut value = job();
        for (field, leaf) in spec {
            value["spec"][field] = leaf;
        }
        for (field, leaf) in pod {
            value["spec"]["template"]["spec"][field] = leaf;
        }
        for (field, leaf) in container {
            value["spec"]["template"]["spec"]["containers"][0][field] = leaf;
        }
        value
    })
}

proptest! {
    #[test]
    fn no_job_makes_admission_panic_and_what_is_stored_stays(value in arbitrary_job()) {
        let Ok(job) = Object::deserialize(Kind::Job, value) else { return Ok(()) };
        if let Ok(stored) = create(job, &stamp()) {
            prop_assert_eq!(update(&stored, stored.clone(), stamp().now).unwrap(), stored);
        }
    }
}
